// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The slab allocator
 *
 * Objects of one size (a cache) out of blocks of the buddy (slabs). Three levels, from fast to
 * far (Bonwick and Adams 2001, "Magazines and Vmem"; Linux, mm/slab.c and mm/slub.c)::
 *
 *	stack	one per CPU, an array of pointers to free objects. Both halves of it play the
 *		two magazines: an empty stack takes half its size, a full one gives its older
 *		half, so a CPU at either edge does half a stack of work before it is there again
 *	depot	one per cache: free objects on their way between CPUs, in batches
 *	slabs	what is free in a slab is a bit. A refill takes all of a partial slab before it
 *		looks at the next, so that objects that are used together lie together
 *
 * States of an object, and who owns it: used (the client), stacked (a CPU), in the depot, in
 * its slab (a set free bit; the cache's lock). Only objects in their slab count as free there.
 *
 * Capacities. A stack holds 16 KiB of objects, but at most 256 (2 KiB of pointers, a burst of
 * 256 stays inside) and at least 8; the depot four stacks, at most 256 KiB of objects. So an
 * idle cache keeps at most 16 KiB a CPU and 64 KiB (8 objects, if they are larger) back, and
 * kmm_cache_shrink() and the shrinker empty both.
 *
 * No freelist. A free object holds no pointer and no index: there is nothing in it that an
 * overflow could bend. It holds one word, the free word, random key ^ address, that is
 * destroyed when the object goes out. A free that finds it intact is a double free.
 * Every free looks up the page's cache: a pointer that is not in a slab of this cache is
 * refused, never followed. A hardened cache (slab_hardened) also has a bit per object that a
 * client has, so that the free word need not be intact, and shuffles what it takes from its
 * slabs. For caches with a constructor or SLAB_TYPESAFE_BY_RCU the word stands
 * behind the object, whose contents are the client's also while it is free.
 *
 * Where things are. kmm_slab.cache_of has the cache of each frame of the region, kmm_slab.bits
 * the free bits of slabs with up to 64 objects (larger ones have them behind the last
 * object), by frame index. frame.next and .prev of a slab's first frame link the cache's lists,
 * frame.owner counts its free objects. So a slab has no header, and 64 objects of 64 bytes fill
 * a page.
 *
 * Diversion. kmm_slab_divert() makes the fast paths of all caches find a stack that is busy (a
 * plain store to each cache), so that they take their slow paths once, where debugging can serve a
 * request by other memory (kfence).
 *
 * Contexts. The stack is used with preemption off and its @depth raised, before the count
 * is read. An interrupt that finds it raised already takes and gives objects at the slabs,
 * under @lock with IRQs off. So every function works where Linux's does, NMI excluded. Stacks
 * of other CPUs are emptied by a work item on that CPU, so only where sleeping is allowed.
 *
 * Invariants (kmm_slab_check())
 *   - objects of all slabs == used + stacked + in the depot + free bits
 *   - frame.owner == number of free bits; a slab is on the list that this number names:
 *     none (full), partial, empty
 *   - cache_of is the cache for every frame of its slabs and NULL elsewhere
 *
 * Locks. kmm_slab.mutex (list of caches) -> kmm_cache.lock. The buddy is never called under
 * kmm_cache.lock.
 *
 * Bootstrap. The cache of struct kmm_cache is a static one at first. It serves its own
 * replacement, which takes over its slabs.
 *
 * It deliberately does not: merge caches, NUMA nodes, accounting to memcgs.
 */

#define pr_fmt(fmt) "kmm: slab: " fmt

#include <linux/bitmap.h>
#include <linux/cpu.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include <compat/compat.h>
#include <kmm/assert.h>
#include <kmm/debug_objects.h>
#include <kmm/hardening.h>
#include <kmm/hooks.h>
#include <kmm/inject.h>
#include <kmm/report.h>
#include <kmm/slab.h>
#include <kmm/slab_debug.h>
#include <trace/events/kmm.h>

/* === Data === */

/* Serves kmm_kmalloc() and its like; set before any client module can be loaded. */
static struct kmm_slab *kmm_client __read_mostly;

struct kmm_cache *kmm_kmalloc_caches[KMM_KMALLOC_NR] __read_mostly;
EXPORT_SYMBOL_GPL(kmm_kmalloc_caches);

static enum cpuhp_state kmm_slab_cpuhp;

static const struct {
	const char *name;
	unsigned int size;
} kmm_kmalloc_classes[KMM_KMALLOC_NR] = {
	{ "kmalloc-8", 8 }, { "kmalloc-16", 16 }, { "kmalloc-32", 32 }, { "kmalloc-64", 64 },
	{ "kmalloc-96", 96 }, { "kmalloc-128", 128 }, { "kmalloc-192", 192 },
	{ "kmalloc-256", 256 }, { "kmalloc-512", 512 }, { "kmalloc-1k", 1024 },
	{ "kmalloc-2k", 2048 }, { "kmalloc-4k", 4096 }, { "kmalloc-8k", 8192 },
};

/* Bytes of objects in a stack and in a depot, see the essay. */
#define KMM_STACK_BYTES		SZ_16K
#define KMM_STACK_MIN		8U
#define KMM_DEPOT_STACKS	4
#define KMM_DEPOT_BYTES		SZ_256K
/* Empty slabs that a cache keeps: a little above what one depot's flush frees. */
#define KMM_EMPTY_BYTES		SZ_64K

static __always_inline unsigned long *kmm_free_word(const struct kmm_cache *s, void *obj)
{
	return obj + s->offset;
}

static __always_inline unsigned long kmm_free_mark(const struct kmm_cache *s, const void *obj)
{
	return s->key ^ (unsigned long)obj;
}

/* === Frames and slabs === */

/* Index of the frame that @p is in; false for memory that is not the region's. */
static bool kmm_addr_to_index(const struct kmm_slab *sl, const void *p, u32 *index)
{
	const struct kmm_frame *f;

	if (!virt_addr_valid(p))
		return false;
	f = kmm_region_frame(sl->region, page_to_pfn(virt_to_page(p)));
	if (!f)
		return false;
	*index = kmm_region_index(sl->region, f);
	return true;
}

/**
 * kmm_slab_cache_of() - The cache that an address belongs to.
 * @sl: slab allocator
 * @p: any address
 *
 * Context: any. Return: the cache; &sl->large for a kmalloc block from the buddy; NULL for
 * everything else.
 */
struct kmm_cache *kmm_slab_cache_of(const struct kmm_slab *sl, const void *p)
{
	u32 index;

	return kmm_addr_to_index(sl, p, &index) ? READ_ONCE(sl->cache_of[index]) : NULL;
}
KMM_EXPORT_INTERNAL(kmm_slab_cache_of);

/* First frame of the slab that @obj, an object of @s, is in. */
static u32 kmm_slab_of(const struct kmm_cache *s, const void *obj)
{
	u32 index = 0;

	if (likely(s->nr_map))
		index = ((unsigned long)obj - s->base) >> PAGE_SHIFT;
	else
		kmm_addr_to_index(s->slab, obj, &index);
	return index & ~((1U << s->order) - 1);
}

static void *kmm_slab_base(const struct kmm_cache *s, u32 index)
{
	return page_address(kmm_region_page(s->slab->region, index));
}

static unsigned long *kmm_slab_bits(const struct kmm_cache *s, u32 index)
{
	if (s->nr_per_slab <= KMM_SLAB_BITS)
		return (unsigned long *)&s->slab->bits[index];
	return kmm_slab_base(s, index) + (s->hard ? s->used : PAGE_SIZE << s->order) -
	       BITS_TO_LONGS(s->nr_per_slab) * sizeof(long);
}

/* The start of the slab that @obj is in: blocks are aligned by address as by pfn. */
static void *kmm_slab_start(const struct kmm_cache *s, const void *obj)
{
	return (void *)((unsigned long)obj & ~s->mask);
}

/*
 * A hardened cache: the bit that is set while a client has @obj. Only starts of objects ever
 * get theirs set, so an address inside of one, which has another bit or is between two, never
 * finds it set; no division is needed.
 */
static __always_inline bool kmm_object_set_used(const struct kmm_cache *s, void *obj)
{
	return test_and_set_bit(((unsigned long)obj & s->mask) >> s->used_shift,
				kmm_slab_start(s, obj) + s->used);
}

static __always_inline bool kmm_object_clear_used(const struct kmm_cache *s, void *obj)
{
	unsigned long offset = (unsigned long)obj & s->mask, nr = offset >> s->used_shift;

	return likely(nr << s->used_shift == offset) &&
	       test_and_clear_bit(nr, kmm_slab_start(s, obj) + s->used);
}

/* Number of @obj in its slab; nr_per_slab or more when no object starts there. */
static unsigned int kmm_object_nr(const struct kmm_cache *s, const void *obj)
{
	u32 offset = obj - kmm_slab_start(s, obj);
	u32 nr = reciprocal_divide(offset, s->recip);

	return nr * s->size == offset ? nr : s->nr_per_slab;
}

/**
 * kmm_slab_object_start() - The object that an address is in.
 * @s: cache
 * @p: an address in one of its slabs
 *
 * Context: any. Return: start of the object; NULL for the rest at a slab's end.
 */
void *kmm_slab_object_start(const struct kmm_cache *s, const void *p)
{
	void *base = kmm_slab_start(s, p);
	u32 nr = reciprocal_divide(p - base, s->recip);

	return nr < s->nr_per_slab ? base + nr * s->size : NULL;
}
KMM_EXPORT_INTERNAL(kmm_slab_object_start);

/* === Lists of slabs: @lock is held === */

static void kmm_slab_list_add(struct kmm_cache *s, u32 *head, unsigned int *nr, u32 index)
{
	struct kmm_frame *frames = s->slab->region->frames;

	frames[index].prev = KMM_LIST_END;
	frames[index].next = *head;
	if (*head != KMM_LIST_END)
		frames[*head].prev = index;
	*head = index;
	(*nr)++;
}

static void kmm_slab_list_del(struct kmm_cache *s, u32 *head, unsigned int *nr, u32 index)
{
	struct kmm_frame *frames = s->slab->region->frames;
	struct kmm_frame *f = &frames[index];

	if (f->prev == KMM_LIST_END)
		*head = f->next;
	else
		frames[f->prev].next = f->next;
	if (f->next != KMM_LIST_END)
		frames[f->next].prev = f->prev;
	(*nr)--;
}

/* A slab's number of free objects changed from @was: put it on the list that is right now. */
static void kmm_slab_relist(struct kmm_cache *s, u32 index, u32 was)
{
	u32 now = s->slab->region->frames[index].owner, all = s->nr_per_slab;

	if (was == all)
		kmm_slab_list_del(s, &s->empty, &s->nr_empty, index);
	else if (was && (!now || now == all))
		kmm_slab_list_del(s, &s->partial, &s->nr_partial, index);
	else if (was)
		return;
	if (now == all)
		kmm_slab_list_add(s, &s->empty, &s->nr_empty, index);
	else if (now)
		kmm_slab_list_add(s, &s->partial, &s->nr_partial, index);
}

/* Take up to @want objects out of one slab. */
static unsigned int kmm_slab_take(struct kmm_cache *s, u32 index, void **obj, unsigned int want)
{
	struct kmm_frame *f = &s->slab->region->frames[index];
	unsigned long *bits = kmm_slab_bits(s, index);
	void *base = kmm_slab_base(s, index);
	u32 was = f->owner, got = 0;
	unsigned int i, word;

	for (i = 0; i < s->nr_per_slab && got < want; i += BITS_PER_LONG) {
		for (word = 0; bits[i / BITS_PER_LONG] && got < want; got++) {
			word = __ffs(bits[i / BITS_PER_LONG]);
			bits[i / BITS_PER_LONG] &= bits[i / BITS_PER_LONG] - 1;
			obj[got] = base + (i + word) * s->size;
		}
	}
	f->owner = was - got;
	s->nr_free -= got;
	kmm_slab_relist(s, index, was);
	return got;
}

/* Fisher and Yates, with xorshift64*. */
static void kmm_shuffle(struct kmm_cache *s, void **obj, unsigned int nr)
{
	for (; nr > 1; nr--) {
		u64 x = s->random;

		x ^= x >> 12;
		x ^= x << 25;
		x ^= x >> 27;
		s->random = x;
		swap(obj[nr - 1], obj[reciprocal_scale((x * 0x2545f4914f6cdd1dULL) >> 32, nr)]);
	}
}

/* Take up to @want objects: partial slabs first, each as a whole. */
static unsigned int kmm_slabs_take(struct kmm_cache *s, void **obj, unsigned int want)
{
	unsigned int got = 0;

	lockdep_assert_held(&s->lock);
	while (got < want) {
		u32 index = s->partial != KMM_LIST_END ? s->partial : s->empty;

		if (index == KMM_LIST_END)
			break;
		got += kmm_slab_take(s, index, obj + got, want - got);
	}
	if (s->hard)
		kmm_shuffle(s, obj, got);
	return got;
}

/*
 * Return: false if @obj is no object or is free in its slab already. A double free that was not
 * seen may bring an object whose slab has left: its frame is somebody else's.
 */
static bool kmm_slab_give(struct kmm_cache *s, void *obj)
{
	u32 index = kmm_slab_of(s, obj);
	struct kmm_frame *f = &s->slab->region->frames[index];
	unsigned int nr = kmm_object_nr(s, obj);

	if (READ_ONCE(s->slab->cache_of[index]) != s || nr >= s->nr_per_slab ||
	    __test_and_set_bit(nr, kmm_slab_bits(s, index)))
		return false;
	f->owner++;
	s->nr_free++;
	kmm_slab_relist(s, index, f->owner - 1);
	return true;
}

/* Empty slabs above @keep leave the cache; they are linked by frame.next. */
static u32 kmm_slabs_detach_empty(struct kmm_cache *s, unsigned int keep)
{
	struct kmm_frame *frames = s->slab->region->frames;
	u32 list = KMM_LIST_END, index;

	lockdep_assert_held(&s->lock);
	while (s->nr_empty > keep) {
		unsigned int i;

		index = s->empty;
		kmm_slab_list_del(s, &s->empty, &s->nr_empty, index);
		for (i = 0; i < 1U << s->order; i++)
			WRITE_ONCE(s->slab->cache_of[index + i], NULL);
		s->nr_slabs--;
		s->nr_free -= s->nr_per_slab;
		frames[index].owner = 0;
		frames[index].next = list;
		list = index;
	}
	return list;
}

/* Give detached slabs to the buddy. No lock is held. Return: how many. */
static unsigned long kmm_slabs_free(struct kmm_cache *s, u32 list)
{
	struct kmm_region *r = s->slab->region;
	unsigned long n = 0;
	u32 next;

	for (; list != KMM_LIST_END; list = next) {
		next = r->frames[list].next;
		kmm_buddy_free(s->slab->buddy, kmm_region_page(r, list), s->order);
		n++;
	}
	return n;
}

/* A grace period is over: what waited for it goes, what came since waits for the next. */
static void kmm_slabs_free_rcu(struct rcu_head *head)
{
	struct kmm_cache *s = container_of(head, struct kmm_cache, rcu);
	unsigned long flags;
	u32 list;

	raw_spin_lock_irqsave(&s->lock, flags);
	list = s->rcu_wait;
	s->rcu_wait = s->rcu_next;
	s->rcu_next = KMM_LIST_END;
	s->rcu_busy = s->rcu_wait != KMM_LIST_END;
	if (s->rcu_busy)
		call_rcu(&s->rcu, kmm_slabs_free_rcu);
	raw_spin_unlock_irqrestore(&s->lock, flags);
	kmm_slabs_free(s, list);
}

/* Detached slabs of a SLAB_TYPESAFE_BY_RCU cache: readers may still look. */
static void kmm_slabs_defer(struct kmm_cache *s, u32 list)
{
	struct kmm_frame *frames = s->slab->region->frames;
	u32 last = list;

	lockdep_assert_held(&s->lock);
	if (list == KMM_LIST_END)
		return;
	while (frames[last].next != KMM_LIST_END)
		last = frames[last].next;
	if (s->rcu_busy) {
		frames[last].next = s->rcu_next;
		s->rcu_next = list;
		return;
	}
	s->rcu_wait = list;
	s->rcu_busy = true;
	call_rcu(&s->rcu, kmm_slabs_free_rcu);
}

/* === Reports === */

static noinline void kmm_report_free(struct kmm_slab *sl, const struct kmm_cache *s,
				     const void *obj, const char *what, unsigned long ip)
{
	const struct kmm_cache *owner = kmm_slab_cache_of(sl, obj);

	atomic_long_inc(&sl->nr_bad);
	if (!kmm_report_allowed(KMM_REPORT_SLAB))
		return;
	pr_err("==================================================================\n");
	pr_err("BUG: KMM: %s free in %pS\n\n", what, (void *)ip);
	pr_err("object %p of cache %s, freed to cache %s; nothing was freed\n\n", obj,
	       !owner ? "(none)" : owner == &sl->large ? "(page block)" : owner->name,
	       s ? s->name : "(kfree)");
	dump_stack();
	pr_err("==================================================================\n");
}

/* === Between stack, depot and slabs === */

/*
 * Give @nr objects to the slabs. What turns out to be no object, or free already, is
 * reported and dropped.
 */
static void kmm_slabs_give(struct kmm_cache *s, void **obj, unsigned int nr)
{
	unsigned int i, nr_bad = 0;
	unsigned long flags;
	void *bad = NULL;
	u32 list;

	raw_spin_lock_irqsave(&s->lock, flags);
	for (i = 0; i < nr; i++) {
		if (likely(kmm_slab_give(s, obj[i])))
			continue;
		bad = obj[i];
		nr_bad++;
	}
	list = kmm_slabs_detach_empty(s, s->max_empty);
	if (s->flags & SLAB_TYPESAFE_BY_RCU) {
		kmm_slabs_defer(s, list);
		list = KMM_LIST_END;
	}
	raw_spin_unlock_irqrestore(&s->lock, flags);
	kmm_slabs_free(s, list);
	if (nr_bad)
		kmm_report_free(s->slab, s, bad, "invalid", _RET_IP_);
}

/* An empty stack takes a batch. The stack is ours. Return: objects on it now. */
static unsigned long kmm_stack_fill(struct kmm_cache *s, struct kmm_cache_cpu *c)
{
	unsigned long flags;
	unsigned int n;

	raw_spin_lock_irqsave(&s->lock, flags);
	n = min(s->nr_depot, s->batch);
	if (n) {
		s->nr_depot -= n;
		memcpy(c->obj + 1, s->depot + s->nr_depot, n * sizeof(*c->obj));
	} else {
		n = kmm_slabs_take(s, c->obj + 1, s->batch);
	}
	raw_spin_unlock_irqrestore(&s->lock, flags);
	c->nr = n;
	return n;
}

/* A full stack gives its older half. The stack is ours. */
static void kmm_stack_spill(struct kmm_cache *s, struct kmm_cache_cpu *c)
{
	unsigned int n = s->batch;
	unsigned long flags;
	bool fits;

	raw_spin_lock_irqsave(&s->lock, flags);
	fits = s->nr_depot + n <= s->cap_depot;
	if (fits) {
		memcpy(s->depot + s->nr_depot, c->obj + 1, n * sizeof(*c->obj));
		s->nr_depot += n;
	}
	raw_spin_unlock_irqrestore(&s->lock, flags);
	if (!fits)
		kmm_slabs_give(s, c->obj + 1, n);
	c->nr -= n;
	memmove(c->obj + 1, c->obj + 1 + n, c->nr * sizeof(*c->obj));
}

/* All of a stack goes to the slabs. The stack is ours, or its CPU is dead. */
static void kmm_stack_empty(struct kmm_cache *s, struct kmm_cache_cpu *c)
{
	kmm_slabs_give(s, c->obj + 1, c->nr);
	c->nr = 0;
}

/* Preemption is off. Return: false when a task or interrupt below us is in the middle. */
static __always_inline bool kmm_stack_enter(struct kmm_cache_cpu __percpu *c)
{
	/* @depth first, then @nr: a barrier, pairs with interrupts on this CPU */
	return kmm_raw_cpu_incb_and_test(c->depth);
}

static __always_inline void kmm_stack_leave(struct kmm_cache_cpu __percpu *c)
{
	barrier();
	raw_cpu_dec(c->depth);
}

/* This CPU's stack, with preemption off; NULL when somebody below us has it. */
static struct kmm_cache_cpu *kmm_stack_get(struct kmm_cache *s)
{
	preempt_disable();
	if (kmm_stack_enter(s->stacks))
		return raw_cpu_ptr(s->stacks);
	kmm_stack_leave(s->stacks);
	preempt_enable();
	return NULL;
}

static void kmm_stack_put(struct kmm_cache *s)
{
	kmm_stack_leave(s->stacks);
	preempt_enable();
}

/* An operation of a diverted cache was seen: no more are wanted. */
static noinline void kmm_cache_resume(struct kmm_cache *s)
{
	if (!kmm_hook_object_wanted(s->slab))
		WRITE_ONCE(s->cpu, s->stacks);
}

static __always_inline bool kmm_cache_is_diverted(const struct kmm_cache *s)
{
	return unlikely(READ_ONCE(s->cpu) != s->stacks);
}

/* === A new slab === */

/* Bytes of a hardened slab's bits. */
static unsigned int kmm_slab_used_bytes(const struct kmm_cache *s, unsigned int order)
{
	return BITS_TO_LONGS((PAGE_SIZE << order) >> s->used_shift) * sizeof(long);
}

static void kmm_slab_setup_objects(struct kmm_cache *s, u32 index)
{
	void *obj = kmm_slab_base(s, index);
	unsigned int i;

	bitmap_zero(kmm_slab_bits(s, index), s->nr_per_slab);
	bitmap_set(kmm_slab_bits(s, index), 0, s->nr_per_slab);
	if (s->hard)
		memset(obj + s->used, 0, kmm_slab_used_bytes(s, s->order));
	for (i = 0; i < s->nr_per_slab; i++, obj += s->size) {
		if (s->ctor)
			s->ctor(obj);
		if (s->flags & KMM_SLAB_DEBUG_FLAGS)
			kmm_slab_debug_init(s, obj);
		*kmm_free_word(s, obj) = kmm_free_mark(s, obj);
	}
}

/* Get a slab from the buddy, and one object of it for the caller; sleeps if @gfp allows. */
static void *kmm_cache_grow(struct kmm_cache *s, gfp_t gfp)
{
	struct kmm_slab *sl = s->slab;
	unsigned long flags;
	struct page *page;
	void *obj;
	u32 index;
	int i;

	if (kmm_should_fail())
		return NULL;
	gfp &= ~(__GFP_ZERO | __GFP_MOVABLE | __GFP_HIGHMEM | __GFP_RECLAIMABLE);
	if (s->flags & SLAB_RECLAIM_ACCOUNT)
		gfp |= __GFP_RECLAIMABLE;
	page = kmm_buddy_alloc(sl->buddy, gfp, s->order);
	if (!page)
		return NULL;
	kmm_addr_to_index(sl, page_address(page), &index);
	kmm_slab_setup_objects(s, index);

	raw_spin_lock_irqsave(&s->lock, flags);
	for (i = 0; i < 1 << s->order; i++)
		WRITE_ONCE(sl->cache_of[index + i], s);
	sl->region->frames[index].owner = s->nr_per_slab;
	s->nr_slabs++;
	s->nr_free += s->nr_per_slab;
	kmm_slab_list_add(s, &s->empty, &s->nr_empty, index);
	kmm_slab_take(s, index, &obj, 1);
	raw_spin_unlock_irqrestore(&s->lock, flags);
	return obj;
}

/* === Slow paths === */

/* Small objects by words: less than what a call of memset() and its start-up cost. */
static __always_inline void kmm_object_zero(const struct kmm_cache *s, void *obj)
{
	unsigned int n = s->object_size;
	u64 *p = obj, *end;

	if (n > 256 || n % 32) {
		memset(obj, 0, n);
		return;
	}
	for (end = obj + n; p != end; p += 4) {
		p[0] = 0;
		p[1] = 0;
		p[2] = 0;
		p[3] = 0;
		barrier();	/* or the compiler makes it a call of memset() again */
	}
}

/* What a request wants done with its object before it gets it; NULL: it is damaged. */
static __always_inline void *kmm_object_out(struct kmm_cache *s, gfp_t gfp, void *obj,
					    size_t size, unsigned long ip)
{
	if (s->hard && kmm_object_set_used(s, obj)) {
		kmm_report_free(s->slab, s, obj, "(found at an allocation) earlier double", ip);
		return NULL;
	}
	if (unlikely(s->flags & KMM_SLAB_DEBUG_FLAGS) && !kmm_slab_debug_alloc(s, obj, ip))
		return NULL;
	if (static_branch_unlikely(&kmm_slab_hook_key))
		kmm_hook_object_alloc(s, obj, size, gfp, ip);
	*kmm_free_word(s, obj) = 0;
	if (gfp & __GFP_ZERO || (kmm_want_init_on_alloc(gfp) && s->may_init))
		kmm_object_zero(s, obj);
	return obj;
}

static __always_inline void *kmm_object_trace(struct kmm_cache *s, gfp_t gfp, void *obj,
					      size_t size, unsigned long ip)
{
	if (obj)
		obj = kmm_object_out(s, gfp, obj, size, ip);
	if (size)
		trace_kmalloc(ip, obj, size, s->size, gfp);
	else
		trace_kmem_cache_alloc(ip, obj, s->name, s->object_size, s->size, gfp);
	return obj;
}

static void *kmm_cache_alloc_good(struct kmm_cache *s, gfp_t gfp, size_t size, unsigned long ip);
static void kmm_cache_give(struct kmm_cache *s, void *obj);

/* Memory that is no object of a slab; NULL: none is wanted now. */
static void *kmm_object_instead(struct kmm_cache *s, gfp_t gfp, size_t size, unsigned long ip)
{
	void *obj = kmm_hook_object_instead(s, size, gfp);

	if (likely(!obj))
		return NULL;
	if (size)
		trace_kmalloc(ip, obj, size, s->size, gfp);
	else
		trace_kmem_cache_alloc(ip, obj, s->name, s->object_size, s->size, gfp);
	return obj;
}

/* A damaged object is dropped, the next one is tried. */
static noinline void *kmm_cache_alloc_traced(struct kmm_cache *s, gfp_t gfp, void *obj, size_t size)
{
	void *other = kmm_object_instead(s, gfp, size, _RET_IP_);

	if (other) {
		kmm_cache_give(s, obj);
		return other;
	}
	return kmm_object_trace(s, gfp, obj, size, _RET_IP_) ?:
	       kmm_cache_alloc_good(s, gfp, size, _RET_IP_);
}

/*
 * From the fast path, for more than to take: zeroing, hardening, trace. @size is 0 for
 * kmem_cache_alloc, else what kmalloc was asked for.
 */
static noinline void *kmm_cache_alloc_finish(struct kmm_cache *s, gfp_t gfp, void *obj, size_t size)
{
	if (static_branch_unlikely(&kmm_slab_hook_key))
		return kmm_cache_alloc_traced(s, gfp, obj, size);
	/* If it is set already, this finds and reports the same again. */
	if (s->hard && unlikely(kmm_object_set_used(s, obj)))
		return kmm_cache_alloc_traced(s, gfp, obj, size);
	*kmm_free_word(s, obj) = 0;
	if (gfp & __GFP_ZERO || (kmm_want_init_on_alloc(gfp) && s->may_init))
		kmm_object_zero(s, obj);
	return obj;
}

static void *kmm_cache_alloc_one(struct kmm_cache *s, gfp_t gfp)
{
	struct kmm_cache_cpu *c = s->cap ? kmm_stack_get(s) : NULL;
	void *obj = NULL;
	unsigned long flags;

	if (c) {
		if (c->nr || kmm_stack_fill(s, c))
			obj = c->obj[c->nr--];
		kmm_stack_put(s);
	} else {
		raw_spin_lock_irqsave(&s->lock, flags);
		if (s->nr_depot)
			obj = s->depot[--s->nr_depot];
		else
			kmm_slabs_take(s, &obj, 1);
		raw_spin_unlock_irqrestore(&s->lock, flags);
	}
	return obj ?: kmm_cache_grow(s, gfp);
}

/* What is damaged stays out for ever, and the next is tried. */
static void *kmm_cache_alloc_good(struct kmm_cache *s, gfp_t gfp, size_t size, unsigned long ip)
{
	void *obj, *good;

	do {
		obj = kmm_cache_alloc_one(s, gfp);
		good = kmm_object_trace(s, gfp, obj, size, ip);
	} while (obj && !good);
	return good;
}

static noinline void *kmm_cache_alloc_slow(struct kmm_cache *s, gfp_t gfp, size_t size)
{
	void *obj = kmm_object_instead(s, gfp, size, _RET_IP_);

	/* Also what could not be served, so that it is not asked again. */
	if (kmm_cache_is_diverted(s))
		WRITE_ONCE(s->cpu, s->stacks);
	return obj ?: kmm_cache_alloc_good(s, gfp, size, _RET_IP_);
}

/* The object is good: put it away. */
static void kmm_cache_give(struct kmm_cache *s, void *obj)
{
	struct kmm_cache_cpu *c = s->cap ? kmm_stack_get(s) : NULL;

	if (kmm_cache_is_diverted(s))
		kmm_cache_resume(s);
	if (!c)
		return kmm_slabs_give(s, &obj, 1);
	if (c->nr == s->cap)
		kmm_stack_spill(s, c);
	c->obj[++c->nr] = obj;
	kmm_stack_put(s);
}

/* Why @obj cannot be an object of @s; NULL if it can. */
static const char *kmm_free_wrong(const struct kmm_cache *s, const void *obj)
{
	const struct kmm_cache *owner = kmm_slab_cache_of(s->slab, obj);

	if (owner != s)
		return owner ? "wrong-cache" : "foreign";
	return kmm_object_nr(s, obj) < s->nr_per_slab ? NULL : "invalid";
}

/*
 * A free in full: every check, the report of a bad one, debugging, hardening, init_on_free, a
 * full stack. The caller traces it: a kfree() is no kmem_cache_free.
 */
static void kmm_cache_free_checked(struct kmm_cache *s, void *obj, unsigned long ip)
{
	const char *what;

	if (!obj)
		return;
	what = kmm_free_wrong(s, obj);
	/* what is refused stays as it is, its bit of a hardened slab too */
	if (!what && !kmm_debug_check_no_obj_freed(obj, s->object_size))
		return;
	if (!what && s->hard && !kmm_object_clear_used(s, obj))
		what = "double";
	if (!what && *kmm_free_word(s, obj) == kmm_free_mark(s, obj))
		what = "double";
	if (what) {
		if (!kmm_slab_cache_of(s->slab, obj) &&
		    kmm_hook_object_stray(s->slab, s, obj, ip))
			return;
		return kmm_report_free(s->slab, s, obj, what, ip);
	}
	if (static_branch_unlikely(&kmm_slab_hook_key))
		kmm_hook_object_free(s, obj, ip);
	if (s->flags & KMM_SLAB_DEBUG_FLAGS && !kmm_slab_debug_free(s, obj, ip))
		atomic_long_inc(&s->slab->nr_bad);
	if (kmm_want_init_on_free() && s->may_init)
		kmm_object_zero(s, obj);
	if (static_branch_unlikely(&kmm_slab_hook_key))
		kmm_hook_object_idle(s, obj);
	*kmm_free_word(s, obj) = kmm_free_mark(s, obj);
	kmm_cache_give(s, obj);
}

static noinline void kmm_cache_free_slow(struct kmm_cache *s, void *obj)
{
	trace_kmem_cache_free(_RET_IP_, obj, s->name);
	kmm_cache_free_checked(s, obj, _RET_IP_);
}

/* === Fast paths === */

/*
 * This CPU's stack has one. No call but tail calls, so no stack frame; a slow path that is
 * entered by a tail call finds the client in its own return address.
 */
static __always_inline void *kmm_cache_alloc_fast(struct kmm_cache *s, gfp_t gfp, size_t size)
{
	struct kmm_cache_cpu __percpu *c;
	void *obj;

	might_alloc(gfp);
	preempt_disable();
	c = READ_ONCE(s->cpu);
	if (unlikely(!kmm_stack_enter(c)))
		goto slow;
	obj = raw_cpu_read(c->obj[raw_cpu_read(c->nr)]);
	if (unlikely(!obj))
		goto slow;
	raw_cpu_dec(c->nr);
	kmm_stack_leave(c);
	preempt_enable();
	if (unlikely(gfp & __GFP_ZERO || static_branch_unlikely(&kmm_slab_key)))
		return kmm_cache_alloc_finish(s, gfp, obj, size);
	*kmm_free_word(s, obj) = 0;
	return obj;
slow:
	kmm_stack_leave(c);
	preempt_enable();
	return kmm_cache_alloc_slow(s, gfp, size);
}

static __always_inline bool kmm_cache_has_page(const struct kmm_cache *s, const void *obj)
{
	unsigned long i = ((unsigned long)obj - s->base) >> PAGE_SHIFT;

	/* a plain load: nobody else changes the entry of an object that is in use */
	return i < s->nr_map && s->map[i] == s;
}

/* All checks were made, but the stack is full or busy. */
static noinline void kmm_cache_give_marked(struct kmm_cache *s, void *obj)
{
	*kmm_free_word(s, obj) = kmm_free_mark(s, obj);
	kmm_cache_give(s, obj);
}

/*
 * An object in one of this cache's slabs: it is not free, and there is room for it. @checked:
 * that it is not free is known.
 */
static __always_inline void kmm_cache_put_fast(struct kmm_cache *s, void *obj, bool checked)
{
	unsigned long mark = kmm_free_mark(s, obj), *word = kmm_free_word(s, obj);
	struct kmm_cache_cpu __percpu *c;
	unsigned long nr;

	if (unlikely(!checked && *word == mark))
		return kmm_cache_free_slow(s, obj);
	preempt_disable();
	c = READ_ONCE(s->cpu);
	if (unlikely(!kmm_stack_enter(c)))
		goto slow;
	nr = raw_cpu_read(c->nr);
	if (unlikely(nr == s->cap))
		goto slow;
	*word = mark;
	raw_cpu_write(c->obj[nr + 1], obj);
	raw_cpu_inc(c->nr);
	kmm_stack_leave(c);
	preempt_enable();
	return;
slow:
	kmm_stack_leave(c);
	preempt_enable();
	if (checked)
		return kmm_cache_give_marked(s, obj);
	kmm_cache_free_slow(s, obj);
}

/* The key is on: hardening and init_on_free of a good object are still fast. */
static noinline void kmm_cache_free_keyed(struct kmm_cache *s, void *obj)
{
	/* No stack: a cache with debugging. */
	if (unlikely(!s->hard || !s->cap || !kmm_cache_has_page(s, obj) ||
		     static_branch_unlikely(&kmm_slab_hook_key)))
		return kmm_cache_free_slow(s, obj);
	/* If it is clear already, this finds and reports the same again. */
	if (unlikely(!kmm_object_clear_used(s, obj)))
		return kmm_cache_free_slow(s, obj);
	if (kmm_want_init_on_free() && s->may_init)
		kmm_object_zero(s, obj);
	kmm_cache_put_fast(s, obj, true);
}

/* === Objects === */

/**
 * kmm_cache_alloc() - kmem_cache_alloc() on kmm's region.
 * @s: cache
 * @gfp: Linux GFP flags
 *
 * Context: any but NMI; sleeps only if @gfp allows. Return: an object or NULL.
 */
void *kmm_cache_alloc(struct kmm_cache *s, gfp_t gfp)
{
	return kmm_cache_alloc_fast(s, gfp, 0);
}
EXPORT_SYMBOL_GPL(kmm_cache_alloc);

/**
 * kmm_cache_free() - kmem_cache_free() on kmm's region.
 * @s: cache
 * @obj: an object of it; NULL is ignored
 *
 * What is not an object of @s, or is free, is refused with a report.
 *
 * Context: any but NMI; does not sleep.
 */
void kmm_cache_free(struct kmm_cache *s, void *obj)
{
	if (static_branch_unlikely(&kmm_slab_key))
		return kmm_cache_free_keyed(s, obj);
	if (unlikely(!kmm_cache_has_page(s, obj)))
		return kmm_cache_free_slow(s, obj);
	kmm_cache_put_fast(s, obj, false);
}
EXPORT_SYMBOL_GPL(kmm_cache_free);

/* Take up to @nr objects off this CPU's stack, filling it if it is empty. */
static size_t kmm_stack_take(struct kmm_cache *s, size_t nr, void **obj)
{
	struct kmm_cache_cpu *c = kmm_stack_get(s);
	unsigned long offset = s->offset;
	void **top, **end;

	if (!c)
		return 0;
	if (!c->nr)
		kmm_stack_fill(s, c);
	nr = min(nr, c->nr);
	top = c->obj + c->nr;
	for (end = obj + nr; obj != end; obj++) {
		void *o = *top--;

		*(unsigned long *)(o + offset) = 0;
		*obj = o;
	}
	c->nr -= nr;
	kmm_stack_put(s);
	return nr;
}

/**
 * kmm_cache_alloc_bulk() - kmem_cache_alloc_bulk() on kmm's region.
 * @s: cache
 * @gfp: Linux GFP flags
 * @nr: objects wanted
 * @obj: filled
 *
 * Context: as kmm_cache_alloc(). Return: @nr, or 0 and nothing is allocated.
 */
int kmm_cache_alloc_bulk(struct kmm_cache *s, gfp_t gfp, size_t nr, void **obj)
{
	bool whole = true;
	size_t i = 0, j;

	might_alloc(gfp);
	if (kmm_cache_is_diverted(s) && nr) {
		obj[0] = kmm_cache_alloc_slow(s, gfp, 0);
		if (!obj[0])
			return 0;
		i = 1;
	}
	while (i < nr) {
		size_t n = kmm_stack_take(s, nr - i, obj + i);

		if (!n) {
			obj[i] = kmm_object_instead(s, gfp, 0, _RET_IP_) ?:
				 kmm_cache_alloc_good(s, gfp, 0, _RET_IP_);
			if (!obj[i])
				goto undo;
			i++;
			continue;
		}
		for (j = i; unlikely(gfp & __GFP_ZERO || static_branch_unlikely(&kmm_slab_key)) &&
		     j < i + n; j++) {
			void *other = kmm_object_instead(s, gfp, 0, _RET_IP_);

			if (other) {
				kmm_cache_give_marked(s, obj[j]);
				obj[j] = other;
				continue;
			}
			obj[j] = kmm_object_trace(s, gfp, obj[j], 0, _RET_IP_) ?:
				 kmm_cache_alloc_good(s, gfp, 0, _RET_IP_);
			whole &= !!obj[j];
		}
		i += n;
		if (unlikely(!whole))
			goto undo;
	}
	return nr;
undo:
	kmm_cache_free_bulk(s, i, obj);
	return 0;
}
EXPORT_SYMBOL_GPL(kmm_cache_alloc_bulk);

/* Push objects, room for them is there, until one needs the slow path. Return: how many. */
static __always_inline size_t kmm_stack_push(struct kmm_cache *s, void **top, size_t nr, void **obj)
{
	unsigned long offset = s->offset, key = s->key, last = ~(unsigned long)*obj;
	void **p, **end = obj + nr;

	for (p = obj; p != end; p++) {
		unsigned long o = (unsigned long)*p, mark = key ^ o;
		unsigned long *word = (unsigned long *)(o + offset);

		/* Neighbours in the array are often neighbours in a page. */
		if ((o ^ last) & PAGE_MASK) {
			if (unlikely(!kmm_cache_has_page(s, *p)))
				break;
			last = o;
		}
		if (unlikely(*word == mark))
			break;
		*word = mark;
		*++top = (void *)o;
	}
	return p - obj;
}

/* Put objects away until one needs the slow path. Return: how many. */
static size_t kmm_stack_give(struct kmm_cache *s, size_t nr, void **obj)
{
	struct kmm_cache_cpu *c = kmm_stack_get(s);
	size_t i = 0, n, done;

	if (!c)
		return 0;
	do {
		if (c->nr == s->cap)
			kmm_stack_spill(s, c);
		n = min(nr - i, s->cap - c->nr);
		done = kmm_stack_push(s, c->obj + c->nr, n, obj + i);
		c->nr += done;
		i += done;
	} while (done == n && i < nr);
	kmm_stack_put(s);
	return i;
}

/**
 * kmm_cache_free_bulk() - kmem_cache_free_bulk() on kmm's region.
 * @s: cache; NULL: the objects are from kmm_kmalloc() or of any cache
 * @nr: length of @obj
 * @obj: objects
 *
 * Context: as kmm_cache_free().
 */
void kmm_cache_free_bulk(struct kmm_cache *s, size_t nr, void **obj)
{
	bool fast = s && s->cap && !static_branch_unlikely(&kmm_slab_key);
	size_t i = 0, n, done;

	while (i < nr) {
		/* Not for ever with preemption off. */
		n = min_t(size_t, nr - i, KMM_SLAB_CPU_MAX);
		if (likely(fast)) {
			done = kmm_stack_give(s, n, obj + i);
			i += done;
			if (done == n)
				continue;
		}
		if (s) {
			trace_kmem_cache_free(_RET_IP_, obj[i], s->name);
			kmm_cache_free_checked(s, obj[i], _RET_IP_);
		} else {
			kmm_kfree(obj[i]);
		}
		i++;
	}
}
EXPORT_SYMBOL_GPL(kmm_cache_free_bulk);

/**
 * kmm_cache_size() - kmem_cache_size() on kmm's region.
 * @s: cache
 *
 * Context: any. Return: bytes that a client may use of an object.
 */
unsigned int kmm_cache_size(struct kmm_cache *s)
{
	return s->object_size;
}
EXPORT_SYMBOL_GPL(kmm_cache_size);

/* === Emptying === */

/**
 * struct kmm_drain - a work item that empties one CPU's stack
 * @work: runs on that CPU
 * @s: cache
 */
struct kmm_drain {
	struct work_struct work;
	struct kmm_cache *s;
};

static DEFINE_PER_CPU(struct kmm_drain, kmm_drains);
/* One drain at a time; protects kmm_drains. Innermost of the sleeping locks. */
static DEFINE_MUTEX(kmm_drain_mutex);
/* Has a rescuer, because relieve() waits for it. */
static struct workqueue_struct *kmm_drain_wq;

static void kmm_drain_work(struct work_struct *work)
{
	struct kmm_cache *s = container_of(work, struct kmm_drain, work)->s;
	struct kmm_cache_cpu *c = kmm_stack_get(s);

	/* A task in its middle would have preemption off, so nobody is. */
	if (!kmm_assert(c))
		return;
	kmm_stack_empty(s, c);
	kmm_stack_put(s);
}

/* Objects of all stacks and of the depot go to the slabs. cpus_read_lock() is held. */
static void kmm_cache_drain(struct kmm_cache *s)
{
	unsigned long flags;
	unsigned int cpu, n;
	void *obj[32];

	mutex_lock(&kmm_drain_mutex);
	for_each_online_cpu(cpu) {
		struct kmm_drain *d = per_cpu_ptr(&kmm_drains, cpu);

		if (!READ_ONCE(per_cpu_ptr(s->stacks, cpu)->nr))
			continue;
		INIT_WORK(&d->work, kmm_drain_work);
		d->s = s;
		queue_work_on(cpu, kmm_drain_wq, &d->work);
		flush_work(&d->work);
	}
	mutex_unlock(&kmm_drain_mutex);
	do {
		raw_spin_lock_irqsave(&s->lock, flags);
		n = min_t(unsigned int, s->nr_depot, ARRAY_SIZE(obj));
		s->nr_depot -= n;
		memcpy(obj, s->depot + s->nr_depot, n * sizeof(*obj));
		raw_spin_unlock_irqrestore(&s->lock, flags);
		kmm_slabs_give(s, obj, n);
	} while (n);
}

/**
 * kmm_slab_cache_shrink() - Empty a cache's stacks and depot, give its empty slabs back.
 * @s: cache
 *
 * Context: may sleep; cpus_read_lock() is held. Return: slabs given back.
 */
unsigned long kmm_slab_cache_shrink(struct kmm_cache *s)
{
	unsigned long flags, before = READ_ONCE(s->nr_slabs);
	u32 list;

	kmm_cache_drain(s);
	raw_spin_lock_irqsave(&s->lock, flags);
	list = kmm_slabs_detach_empty(s, 0);
	if (s->flags & SLAB_TYPESAFE_BY_RCU) {
		kmm_slabs_defer(s, list);
		list = KMM_LIST_END;
	}
	raw_spin_unlock_irqrestore(&s->lock, flags);
	kmm_slabs_free(s, list);
	return before - min(before, READ_ONCE(s->nr_slabs));
}
KMM_EXPORT_INTERNAL(kmm_slab_cache_shrink);

/**
 * kmm_slab_shrink() - The same for all caches: kmm's shrinker.
 * @sl: slab allocator
 *
 * Context: may sleep; nothing may be allocated from @sl under its mutex. Gives up where a CPU
 * is coming or going: the caller may be part of that. Return: slabs given back.
 */
unsigned long kmm_slab_shrink(struct kmm_slab *sl)
{
	unsigned long n = 0;
	struct kmm_cache *s;

	if (!cpus_read_trylock())
		return 0;
	mutex_lock(&sl->mutex);
	list_for_each_entry(s, &sl->list, node)
		n += kmm_slab_cache_shrink(s);
	mutex_unlock(&sl->mutex);
	cpus_read_unlock();
	return n;
}
KMM_EXPORT_INTERNAL(kmm_slab_shrink);

/**
 * kmm_cache_shrink() - kmem_cache_shrink() on kmm's region.
 * @s: cache
 *
 * Context: may sleep. Return: 0 if no slab is left, else 1.
 */
int kmm_cache_shrink(struct kmm_cache *s)
{
	cpus_read_lock();
	kmm_slab_cache_shrink(s);
	cpus_read_unlock();
	return !!READ_ONCE(s->nr_slabs);
}
EXPORT_SYMBOL_GPL(kmm_cache_shrink);

/**
 * kmm_slab_divert() - The next operation of every cache takes the slow path.
 * @sl: slab allocator
 *
 * For kmm_hook_object_instead(), which is asked there: the fast paths find the stacks busy. The
 * first allocation from a cache ends it for this one.
 *
 * Context: may sleep.
 */
void kmm_slab_divert(struct kmm_slab *sl)
{
	struct kmm_cache *s;

	mutex_lock(&sl->mutex);
	list_for_each_entry(s, &sl->list, node)
		WRITE_ONCE(s->cpu, sl->busy);
	mutex_unlock(&sl->mutex);
}
KMM_EXPORT_INTERNAL(kmm_slab_divert);

/* A CPU went offline: its stacks have no user any more. */
static int kmm_slab_cpu_dead(unsigned int cpu, struct hlist_node *node)
{
	struct kmm_slab *sl = hlist_entry(node, struct kmm_slab, cpuhp);
	struct kmm_cache *s;

	mutex_lock(&sl->mutex);
	list_for_each_entry(s, &sl->list, node) {
		struct kmm_cache_cpu *c = per_cpu_ptr(s->stacks, cpu);

		kmm_stack_empty(s, c);
	}
	mutex_unlock(&sl->mutex);
	return 0;
}

/* === Caches === */

static unsigned int kmm_cache_align(const struct kmm_cache_args *args)
{
	unsigned int align = max_t(unsigned int, args->align, sizeof(void *));

	if (args->flags & SLAB_HWCACHE_ALIGN) {
		unsigned int line = cache_line_size();

		while (args->size <= line / 2)
			line /= 2;
		align = max(align, line);
	}
	return align;
}

static unsigned int kmm_slab_capacity(const struct kmm_cache *s, unsigned int order)
{
	unsigned int bytes = PAGE_SIZE << order, n = bytes / s->size;

	if (s->hard)
		bytes -= kmm_slab_used_bytes(s, order);
	if (n > KMM_SLAB_BITS)
		while (n * s->size + BITS_TO_LONGS(n) * sizeof(long) > bytes)
			n--;
	return min(n, bytes / s->size);
}

/* The smallest slab that holds 8 objects and wastes at most an eighth; else the largest. */
static void kmm_cache_size_slab(struct kmm_cache *s)
{
	unsigned int bytes;

	for (s->order = 0; ; s->order++) {
		bytes = PAGE_SIZE << s->order;
		s->nr_per_slab = kmm_slab_capacity(s, s->order);
		if (s->order == KMM_SLAB_MAX_ORDER)
			return;
		if (s->nr_per_slab >= 8 && (bytes - s->nr_per_slab * s->size) * 8 <= bytes)
			return;
	}
}

static void kmm_cache_layout(struct kmm_cache *s, const struct kmm_cache_args *args)
{
	bool debug = args->flags & KMM_SLAB_DEBUG_FLAGS;

	s->object_size = args->size;
	s->align = kmm_cache_align(args);
	if (debug || args->ctor || args->flags & SLAB_TYPESAFE_BY_RCU) {
		s->offset = ALIGN(args->size, sizeof(long));
		if (args->flags & SLAB_RED_ZONE)
			s->offset += sizeof(long);
		s->track = s->offset + sizeof(long);
		s->size = s->track;
		if (args->flags & SLAB_STORE_USER)
			s->size += KMM_NR_TRACKS * sizeof(struct kmm_track);
		s->size = ALIGN(s->size, s->align);
	} else {
		/* In the middle: an overflow from either side has a way to go. */
		s->offset = ALIGN_DOWN(args->size / 2, sizeof(long));
		s->size = ALIGN(args->size, s->align);
	}
	s->may_init = !args->ctor && !(args->flags & (SLAB_TYPESAFE_BY_RCU | SLAB_POISON));
	s->recip = reciprocal_value(s->size);
	s->used_shift = __ffs(s->size);
	kmm_cache_size_slab(s);
	s->mask = (PAGE_SIZE << s->order) - 1;
	s->used = (PAGE_SIZE << s->order) - kmm_slab_used_bytes(s, s->order);
	/* Without a stack every operation takes the slow path, where debugging is. */
	if (!debug)
		s->cap = clamp_t(unsigned int,
				 rounddown_pow_of_two(max(KMM_STACK_BYTES / s->size, 1U)),
				 KMM_STACK_MIN, KMM_SLAB_CPU_MAX);
	s->batch = s->cap / 2;
	s->cap_depot = min_t(unsigned int, KMM_DEPOT_STACKS * s->cap, KMM_DEPOT_BYTES / s->size);
	s->max_empty = max_t(unsigned int, KMM_EMPTY_BYTES / (PAGE_SIZE << s->order), 2);
}

static void kmm_cache_fini(struct kmm_cache *s)
{
	if (s->hard)
		static_branch_dec(&kmm_slab_key);
	kvfree(s->depot);
	free_percpu(s->stacks);
	kfree_const(s->name);
}

static int kmm_cache_init(struct kmm_cache *s, struct kmm_slab *sl,
			  const struct kmm_cache_args *args)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
	unsigned int cpu;

	memset(s, 0, sizeof(*s));
	s->hard = kmm_slab_hardened();
	kmm_cache_layout(s, args);
	if (!s->nr_per_slab)
		return -EINVAL;
	s->slab = sl;
	s->base = sl->base;
	s->nr_map = sl->nr_map;
	s->map = sl->cache_of;
	s->flags = args->flags;
	s->ctor = args->ctor;
	s->useroffset = args->useroffset;
	s->usersize = args->usersize;
	s->key = get_random_long();
	s->random = get_random_u64() | 1;
	raw_spin_lock_init(&s->lock);
	INIT_LIST_HEAD(&s->node);
	s->partial = KMM_LIST_END;
	s->empty = KMM_LIST_END;
	s->rcu_next = KMM_LIST_END;
	s->rcu_wait = KMM_LIST_END;
	if (s->hard)
		static_branch_inc(&kmm_slab_key);
	s->name = kmm_should_fail() ? NULL : kstrdup_const(args->name, gfp);
	s->stacks = kmm_should_fail() ? NULL :
		 __alloc_percpu_gfp(struct_size(s->stacks, obj, s->cap + 1), cache_line_size(),
				    gfp);
	s->depot = kmm_should_fail() ? NULL :
		   kvmalloc_array(max(s->cap_depot, 1U), sizeof(*s->depot), gfp);
	s->cpu = s->stacks;
	if (s->name && s->stacks && s->depot) {
		for_each_possible_cpu(cpu)
			per_cpu_ptr(s->stacks, cpu)->depth = -1;
		return 0;
	}
	kmm_cache_fini(s);
	return -ENOMEM;
}

/**
 * kmm_slab_cache_create() - A new cache.
 * @sl: slab allocator
 * @args: what it is to be
 *
 * Context: may sleep. Return: the cache, or an ERR_PTR: -EINVAL for a size, alignment or user
 * range that cannot be, -ENOMEM.
 */
struct kmm_cache *kmm_slab_cache_create(struct kmm_slab *sl, const struct kmm_cache_args *args)
{
	struct kmm_cache *s;
	int err;

	if (!args->name || !args->size || args->size > KMM_KMALLOC_MAX_CACHE ||
	    (args->align && !is_power_of_2(args->align)) ||
	    args->align > PAGE_SIZE << KMM_SLAB_MAX_ORDER ||
	    args->useroffset > args->size || args->usersize > args->size - args->useroffset)
		return ERR_PTR(-EINVAL);
	/* who asked is told; users must not fill the log */
	s = kmm_cache_alloc(sl->caches, GFP_KERNEL | __GFP_NOWARN);
	if (!s)
		return ERR_PTR(-ENOMEM);
	err = kmm_cache_init(s, sl, args);
	if (err) {
		kmm_cache_free(sl->caches, s);
		return ERR_PTR(err);
	}
	kmm_debug_object_init(s, KMM_DEBUG_CACHE);
	kmm_debug_object_activate(s, KMM_DEBUG_CACHE);
	mutex_lock(&sl->mutex);
	list_add_tail(&s->node, &sl->list);
	mutex_unlock(&sl->mutex);
	if (sl->cache_added)
		sl->cache_added(s);
	return s;
}
KMM_EXPORT_INTERNAL(kmm_slab_cache_create);

/**
 * kmm_slab_object_is_free() - Does an object lie free in its slab?
 * @s: cache
 * @obj: start of an object of it
 *
 * Objects in stacks and in the depot are not free in this sense, but their free word is set.
 *
 * Context: any. Return: true if the bit or the word says so.
 */
bool kmm_slab_object_is_free(const struct kmm_cache *s, const void *obj)
{
	u32 index = kmm_slab_of(s, obj);

	return test_bit(kmm_object_nr(s, obj), kmm_slab_bits(s, index)) ||
	       READ_ONCE(*kmm_free_word(s, (void *)obj)) == kmm_free_mark(s, obj);
}
KMM_EXPORT_INTERNAL(kmm_slab_object_is_free);

/* Live objects of a cache that should be empty, ten of them by address. */
static void kmm_report_alive(struct kmm_cache *s)
{
	struct kmm_slab *sl = s->slab;
	unsigned int nr, shown = 0;
	u32 index;

	pr_err("=============================================================================\n");
	pr_err("BUG %s: Objects remaining in %s on kmm_cache_destroy(); it stays usable\n", s->name,
	       s->name);
	for (index = 0; index < sl->region->nr_index; index++) {
		if (READ_ONCE(sl->cache_of[index]) != s || index & ((1U << s->order) - 1))
			continue;
		for (nr = 0; nr < s->nr_per_slab && shown < 10; nr++) {
			if (test_bit(nr, kmm_slab_bits(s, index)))
				continue;
			pr_err("Object 0x%p @offset=%u\n", kmm_slab_base(s, index) + nr * s->size,
			       nr * s->size);
			kmm_slab_debug_print_tracks(s, kmm_slab_base(s, index) + nr * s->size);
			shown++;
		}
	}
	kmm_hook_cache_live(s, true);
	dump_stack();
}

/* Return: 0, or -EBUSY with a report while objects are alive. */
static int kmm_cache_end(struct kmm_cache *s)
{
	struct kmm_slab *sl = s->slab;

	/* What was freed, but waits for readers. */
	if (s->flags & SLAB_TYPESAFE_BY_RCU && kmm_hook_cache_live(s, false))
		rcu_barrier();
	cpus_read_lock();
	mutex_lock(&sl->mutex);
	kmm_slab_cache_shrink(s);
	if (s->nr_slabs || kmm_hook_cache_live(s, false)) {
		mutex_unlock(&sl->mutex);
		cpus_read_unlock();
		kmm_report_alive(s);
		return -EBUSY;
	}
	list_del(&s->node);
	mutex_unlock(&sl->mutex);
	cpus_read_unlock();
	if (sl->cache_gone)
		sl->cache_gone(s);
	if (s->flags & SLAB_TYPESAFE_BY_RCU) {
		/* Once for the slabs that wait, once for those that came meanwhile. */
		rcu_barrier();
		rcu_barrier();
	}
	kmm_hook_cache_gone(s, false);
	kmm_cache_fini(s);
	if (s == &sl->boot)
		return 0;
	kmm_debug_object_free(s, KMM_DEBUG_CACHE);
	kmm_cache_free(sl->caches, s);
	return 0;
}

/**
 * kmm_slab_cache_destroy() - The end of a cache.
 * @s: cache that nobody uses any more
 *
 * Context: may sleep. Return: 0; -EBUSY with a report while objects of it are alive: the
 * cache stays and can be used; -EINVAL with a report of the life cycle tracker.
 */
int kmm_slab_cache_destroy(struct kmm_cache *s)
{
	int err;

	if (!kmm_debug_object_destroy(s, KMM_DEBUG_CACHE))
		return -EINVAL;
	err = kmm_cache_end(s);
	if (err) {
		kmm_debug_object_init(s, KMM_DEBUG_CACHE);
		kmm_debug_object_activate(s, KMM_DEBUG_CACHE);
	}
	return err;
}
KMM_EXPORT_INTERNAL(kmm_slab_cache_destroy);

/* === Statistics and self-check === */

/**
 * kmm_slab_stat() - slabinfo's figures of a cache.
 * @s: cache
 * @st: filled
 *
 * Context: any. Other CPUs' stacks are read as they are.
 */
void kmm_slab_stat(struct kmm_cache *s, struct kmm_cache_stat *st)
{
	unsigned long flags;
	unsigned int cpu, live;

	memset(st, 0, sizeof(*st));
	raw_spin_lock_irqsave(&s->lock, flags);
	st->nr_slabs = s->nr_slabs;
	st->nr_active_slabs = s->nr_slabs - s->nr_empty;
	st->nr_objects = s->nr_slabs * s->nr_per_slab;
	st->nr_depot = s->nr_depot;
	for_each_possible_cpu(cpu)
		st->nr_stacked += READ_ONCE(per_cpu_ptr(s->stacks, cpu)->nr);
	st->nr_active = st->nr_objects - min(st->nr_objects,
					     s->nr_free + s->nr_depot + st->nr_stacked);
	raw_spin_unlock_irqrestore(&s->lock, flags);
	/* They are in use, though in no slab. */
	live = kmm_hook_cache_live(s, false);
	st->nr_active += live;
	st->nr_objects += live;
}
KMM_EXPORT_INTERNAL(kmm_slab_stat);

static unsigned long kmm_check_slab_list(struct kmm_cache *s, u32 head, unsigned int nr, bool empty)
{
	const struct kmm_frame *frames = s->slab->region->frames;
	unsigned long bad = 0, n = 0;
	u32 i, prev = KMM_LIST_END;

	for (i = head; i != KMM_LIST_END && n <= nr; prev = i, i = frames[i].next, n++) {
		bad += frames[i].prev != prev;
		bad += READ_ONCE(s->slab->cache_of[i]) != s;
		bad += empty ? frames[i].owner != s->nr_per_slab :
			       !frames[i].owner || frames[i].owner >= s->nr_per_slab;
	}
	return bad + (n != nr);
}

/**
 * kmm_slab_check() - Prove the invariants of a cache.
 * @s: cache; nobody works on it meanwhile
 *
 * Context: any; walks the whole region: for tests. Return: violations.
 */
unsigned long kmm_slab_check(struct kmm_cache *s)
{
	const struct kmm_region *r = s->slab->region;
	unsigned long flags, bad = 0, slabs = 0, nr_free = 0;
	u32 index, i;

	raw_spin_lock_irqsave(&s->lock, flags);
	bad += kmm_check_slab_list(s, s->partial, s->nr_partial, false);
	bad += kmm_check_slab_list(s, s->empty, s->nr_empty, true);
	for (index = 0; index < r->nr_index; index += 1U << s->order) {
		u32 bits;

		if (s->slab->cache_of[index] != s)
			continue;
		slabs++;
		bits = bitmap_weight(kmm_slab_bits(s, index), s->nr_per_slab);
		bad += bits != r->frames[index].owner;
		bad += r->frames[index].tag != KMM_TAG_USED(s->order);
		nr_free += bits;
		for (i = 1; i < 1U << s->order; i++)
			bad += s->slab->cache_of[index + i] != s;
	}
	bad += slabs != s->nr_slabs;
	bad += nr_free != s->nr_free;
	bad += s->nr_depot > s->cap_depot;
	raw_spin_unlock_irqrestore(&s->lock, flags);
	if (bad)
		pr_err("check: cache %s: %lu violations; %lu slabs (says %lu), %lu free (says %lu)\n",
		       s->name, bad, slabs, s->nr_slabs, nr_free, s->nr_free);
	return bad;
}
KMM_EXPORT_INTERNAL(kmm_slab_check);

/* The objects of a slab that clients have. */
static void kmm_slab_each_object(const struct kmm_cache *s, u32 index,
				 void (*fn)(void *ctx, const void *p, size_t size_bytes), void *ctx)
{
	void *obj = kmm_slab_base(s, index);
	unsigned int i;

	for (i = 0; i < s->nr_per_slab; i++, obj += s->size)
		if (!kmm_slab_object_is_free(s, obj))
			fn(ctx, obj, s->object_size);
}

/**
 * kmm_slab_for_each_used() - All memory that the buddy and the caches have given out.
 * @sl: slab allocator
 * @fn: called for objects of caches, but not for those with SLAB_NOLEAKTRACE, and for blocks that
 *	are no slabs; may sleep, may not create or destroy caches
 * @ctx: first argument of @fn
 *
 * What comes and goes meanwhile is seen or not; what was seen may be free already.
 *
 * Context: task, may sleep.
 */
void kmm_slab_for_each_used(struct kmm_slab *sl,
			    void (*fn)(void *ctx, const void *p, size_t size_bytes), void *ctx)
{
	const struct kmm_region *r = sl->region;
	unsigned long index, nr;

	/* A cache whose slab is seen stays. */
	mutex_lock(&sl->mutex);
	for (index = 0; index < r->nr_index; index += nr) {
		const struct kmm_frame f = { .tag = READ_ONCE(r->frames[index].tag) };
		const struct kmm_cache *s = READ_ONCE(sl->cache_of[index]);

		nr = 1;
		if (kmm_frame_state(&f) != KMM_FRAME_USED)
			continue;
		nr = 1UL << min_t(unsigned int, kmm_frame_order(&f), KMM_MAX_ORDER);
		if (!s || s == &sl->large)
			fn(ctx, page_address(kmm_region_page(r, index)), nr << PAGE_SHIFT);
		else if (!(s->flags & SLAB_NOLEAKTRACE))
			kmm_slab_each_object(s, index, fn, ctx);
		cond_resched();
	}
	mutex_unlock(&sl->mutex);
}
KMM_EXPORT_INTERNAL(kmm_slab_for_each_used);

/* === kmalloc === */

static noinline void *kmm_kmalloc_large(struct kmm_slab *sl, size_t size, gfp_t gfp)
{
	unsigned int order = get_order(size);
	struct page *page = NULL;
	void *p = NULL;
	u32 index;

	if (order <= KMM_MAX_ORDER && !kmm_should_fail())
		page = kmm_buddy_alloc(sl->buddy, gfp & ~(__GFP_MOVABLE | __GFP_HIGHMEM), order);
	if (page) {
		p = page_address(page);
		kmm_addr_to_index(sl, p, &index);
		WRITE_ONCE(sl->cache_of[index], &sl->large);
		if (static_branch_unlikely(&kmm_slab_hook_key))
			kmm_hook_object_alloc(&sl->large, p, size, gfp, _RET_IP_);
	}
	trace_kmalloc(_RET_IP_, p, size, PAGE_SIZE << order, gfp);
	return p;
}

static __always_inline void *kmm_kmalloc_any(struct kmm_slab *sl, size_t size, gfp_t gfp)
{
	if (unlikely(size > KMM_KMALLOC_MAX_CACHE))
		return kmm_kmalloc_large(sl, size, gfp);
	if (unlikely(!size))
		return ZERO_SIZE_PTR;
	return kmm_cache_alloc_fast(sl->kmalloc[kmm_kmalloc_index(size)], gfp, size);
}

/* Not a plain object: large, foreign, traced, or nothing at all. */
static noinline void kmm_kfree_slow(struct kmm_slab *sl, const void *p)
{
	unsigned long ip = _RET_IP_;
	struct kmm_cache *s;
	struct page *page;
	u32 index;

	trace_kfree(ip, p);
	if (ZERO_OR_NULL_PTR(p))
		return;
	s = kmm_slab_cache_of(sl, p);
	if (!s) {
		if (kmm_hook_object_stray(sl, NULL, (void *)p, ip))
			return;
		return kmm_report_free(sl, NULL, p, "foreign", ip);
	}
	if (s != &sl->large)
		return kmm_cache_free_checked(s, (void *)p, ip);
	page = virt_to_page(p);
	kmm_addr_to_index(sl, p, &index);
	/* Of two racing frees one finds nothing. */
	if (!PAGE_ALIGNED(p) || cmpxchg(&sl->cache_of[index], s, NULL) != s)
		return kmm_report_free(sl, NULL, p, "invalid", ip);
	if (static_branch_unlikely(&kmm_slab_hook_key))
		kmm_hook_object_free(s, (void *)p, ip);
	kmm_buddy_free(sl->buddy, page, kmm_frame_order(&sl->region->frames[index]));
}

static __always_inline void kmm_kfree_any(struct kmm_slab *sl, const void *p)
{
	unsigned long i = ((unsigned long)p - sl->base) >> PAGE_SHIFT;
	struct kmm_cache *s;

	if (unlikely(i >= sl->nr_map || static_branch_unlikely(&kmm_slab_key)))
		return kmm_kfree_slow(sl, p);
	s = READ_ONCE(sl->cache_of[i]);
	if (unlikely(!s || s == &sl->large))
		return kmm_kfree_slow(sl, p);
	kmm_cache_put_fast(s, (void *)p, false);
}

/**
 * kmm_slab_kmalloc() - Memory of any size.
 * @sl: slab allocator
 * @size: bytes
 * @gfp: Linux GFP flags
 *
 * Context: as kmm_buddy_alloc(). Return: memory, NULL, or ZERO_SIZE_PTR for size 0.
 */
void *kmm_slab_kmalloc(struct kmm_slab *sl, size_t size, gfp_t gfp)
{
	return kmm_kmalloc_any(sl, size, gfp);
}
KMM_EXPORT_INTERNAL(kmm_slab_kmalloc);

/**
 * kmm_slab_kfree() - Free what kmm_slab_kmalloc() or any cache of @sl gave.
 * @sl: slab allocator
 * @p: memory, NULL or ZERO_SIZE_PTR
 *
 * Context: any but NMI.
 */
void kmm_slab_kfree(struct kmm_slab *sl, const void *p)
{
	kmm_kfree_any(sl, p);
}
KMM_EXPORT_INTERNAL(kmm_slab_kfree);

/**
 * kmm_slab_ksize() - Bytes that are really there.
 * @sl: slab allocator
 * @p: memory, NULL or ZERO_SIZE_PTR
 *
 * Context: any. Return: bytes; 0 for what is not ours.
 */
size_t kmm_slab_ksize(const struct kmm_slab *sl, const void *p)
{
	struct kmm_stray found;
	const struct kmm_cache *s;
	u32 index;

	if (ZERO_OR_NULL_PTR(p))
		return 0;
	if (kmm_hook_object_find(sl, p, &found))
		return found.size;
	s = kmm_slab_cache_of(sl, p);
	if (s && s != &sl->large)
		return s->object_size;
	if (!s || !kmm_addr_to_index(sl, p, &index))
		return 0;
	return PAGE_SIZE << kmm_frame_order(&sl->region->frames[index]);
}
KMM_EXPORT_INTERNAL(kmm_slab_ksize);

/**
 * kmm_slab_krealloc() - Another size for what kmm_slab_kmalloc() gave.
 * @sl: slab allocator
 * @p: memory, NULL or ZERO_SIZE_PTR
 * @new_size: bytes; 0 frees
 * @gfp: Linux GFP flags
 *
 * Context: as kmm_slab_kmalloc(). Return: memory with the old contents; NULL, and @p stays; or
 * ZERO_SIZE_PTR for @new_size 0.
 */
void *kmm_slab_krealloc(struct kmm_slab *sl, const void *p, size_t new_size, gfp_t gfp)
{
	size_t old = kmm_slab_ksize(sl, p);
	void *new;

	if (!new_size) {
		kmm_kfree_any(sl, p);
		return ZERO_SIZE_PTR;
	}
	if (old >= new_size)
		return (void *)p;
	new = kmm_kmalloc_any(sl, new_size, gfp);
	if (new && !ZERO_OR_NULL_PTR(p)) {
		memcpy(new, p, old);
		kmm_kfree_any(sl, p);
	}
	return new;
}
KMM_EXPORT_INTERNAL(kmm_slab_krealloc);

/**
 * kmm_slab_usercopy_ok() - May these bytes be copied to or from user space?
 * @sl: slab allocator
 * @p: first byte
 * @n: how many
 *
 * kmm's own copy paths ask this; it is what hardened usercopy asks of Linux's slabs.
 *
 * Context: any. Return: false for bytes outside of an object's user range.
 */
bool kmm_slab_usercopy_ok(const struct kmm_slab *sl, const void *p, size_t n)
{
	const struct kmm_cache *s = kmm_slab_cache_of(sl, p);
	struct kmm_stray found;
	const void *start;
	size_t offset;

	if (kmm_hook_object_find(sl, p, &found)) {
		s = found.cache;
		start = found.start;
		if (p < start || p > start + found.size || n > start + found.size - p)
			return false;
	} else {
		if (!s || s == &sl->large)
			return true;
		start = kmm_slab_object_start(s, p);
	}
	if (!s || !start)
		return false;
	offset = p - start;
	return offset >= s->useroffset && n <= s->usersize &&
	       offset - s->useroffset <= s->usersize - n;
}
KMM_EXPORT_INTERNAL(kmm_slab_usercopy_ok);

/* === Life === */

/**
 * kmm_slab_setup() - Once per module: before the first kmm_slab_init().
 *
 * Context: may sleep. Return: 0 or a negative errno.
 */
int kmm_slab_setup(void)
{
	int state;

	kmm_drain_wq = kmm_should_fail() ? NULL : alloc_workqueue("kmm_slab", WQ_MEM_RECLAIM, 0);
	if (!kmm_drain_wq)
		return -ENOMEM;
	state = kmm_should_fail() ? -ENOMEM :
		cpuhp_setup_state_multi(CPUHP_BP_PREPARE_DYN, "mm/kmm_slab:dead", NULL,
					kmm_slab_cpu_dead);
	if (state < 0) {
		destroy_workqueue(kmm_drain_wq);
		return state;
	}
	kmm_slab_cpuhp = state;
	return 0;
}

/**
 * kmm_slab_teardown() - Undo kmm_slab_setup(), after the last kmm_slab_fini().
 */
void kmm_slab_teardown(void)
{
	cpuhp_remove_multi_state(kmm_slab_cpuhp);
	destroy_workqueue(kmm_drain_wq);
}

/**
 * kmm_slab_reserve() - Take the metadata from the early allocator.
 * @sl: slab allocator, zeroed
 * @r: region, its early allocator open
 *
 * Context: init only. Return: 0 or -ENOMEM.
 */
int kmm_slab_reserve(struct kmm_slab *sl, struct kmm_region *r)
{
	sl->cache_of = kmm_region_early_alloc(r, r->nr_index * sizeof(*sl->cache_of), 8);
	sl->bits = kmm_region_early_alloc(r, r->nr_index * sizeof(*sl->bits), 8);
	return sl->cache_of && sl->bits ? 0 : -ENOMEM;
}
KMM_EXPORT_INTERNAL(kmm_slab_reserve);

/* The cache of caches moves from its first home into an object of its own, or back. */
static void kmm_slab_move_caches(struct kmm_slab *sl, struct kmm_cache *to)
{
	struct kmm_cache *from = sl->caches;
	unsigned long i;

	mutex_lock(&sl->mutex);
	memcpy(to, from, sizeof(*to));
	raw_spin_lock_init(&to->lock);
	list_replace(&from->node, &to->node);
	for (i = 0; i < sl->region->nr_index; i++)
		if (sl->cache_of[i] == from)
			WRITE_ONCE(sl->cache_of[i], to);
	kmm_hook_cache_gone(from, false);
	sl->caches = to;
	mutex_unlock(&sl->mutex);
}

static int kmm_slab_boot(struct kmm_slab *sl)
{
	const struct kmm_cache_args args = {
		.name = "kmm_cache", .size = sizeof(struct kmm_cache), .align = cache_line_size(),
		.flags = SLAB_NOLEAKTRACE,
	};
	struct kmm_cache *self;
	int err;

	err = kmm_cache_init(&sl->boot, sl, &args);
	if (err)
		return err;
	sl->caches = &sl->boot;
	mutex_lock(&sl->mutex);
	list_add(&sl->boot.node, &sl->list);
	mutex_unlock(&sl->mutex);
	self = kmm_cache_alloc(&sl->boot, GFP_KERNEL);
	if (!self)
		return -ENOMEM;
	kmm_slab_move_caches(sl, self);
	return 0;
}

/**
 * kmm_slab_init() - kmem_cache_init(): the first caches, and kmalloc's.
 * @sl: slab allocator, after kmm_slab_reserve()
 * @b: where slabs come from
 *
 * Context: may sleep. Return: 0 or -ENOMEM.
 */
int kmm_slab_init(struct kmm_slab *sl, struct kmm_buddy *b)
{
	struct kmm_region *r = b->region;
	int i, err;

	sl->region = r;
	sl->buddy = b;
	sl->large.name = "kmalloc-large";
	sl->large.slab = sl;
	mutex_init(&sl->mutex);
	INIT_LIST_HEAD(&sl->list);
	atomic_long_set(&sl->nr_bad, 0);
	/* Indexes are linear in addresses if no granule is missing in between. */
	if (r->nr_granules << KMM_MAX_ORDER == r->nr_index) {
		sl->base = (unsigned long)page_address(kmm_region_page(r, 0));
		sl->nr_map = r->nr_index;
	}
	/* All zero, so always entered by somebody else. */
	sl->busy = kmm_should_fail() ? NULL :
		   __alloc_percpu_gfp(sizeof(*sl->busy), cache_line_size(),
				      GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	/* Before the first object: no stack of a CPU that goes is forgotten. It cannot fail. */
	cpuhp_state_add_instance_nocalls(kmm_slab_cpuhp, &sl->cpuhp);
	err = sl->busy ? kmm_slab_boot(sl) : -ENOMEM;
	for (i = 0; i < KMM_KMALLOC_NR && !err; i++) {
		const struct kmm_cache_args args = {
			.name = kmm_kmalloc_classes[i].name,
			.size = kmm_kmalloc_classes[i].size,
			.align = 1U << __ffs(kmm_kmalloc_classes[i].size),
			.usersize = kmm_kmalloc_classes[i].size,
		};

		sl->kmalloc[i] = kmm_slab_cache_create(sl, &args);
		err = PTR_ERR_OR_ZERO(sl->kmalloc[i]);
		if (err)
			sl->kmalloc[i] = NULL;
	}
	if (err)
		kmm_slab_fini(sl);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_slab_init);

/* Objects that clients never gave back go with their slabs: the region outlives nobody. */
static void kmm_cache_abandon(struct kmm_cache *s)
{
	struct kmm_slab *sl = s->slab;
	u32 index, i;

	kmm_hook_cache_gone(s, true);
	for (index = 0; index < sl->region->nr_index; index += 1U << s->order) {
		if (sl->cache_of[index] != s)
			continue;
		for (i = 0; i < 1U << s->order; i++)
			sl->cache_of[index + i] = NULL;
		sl->region->frames[index].owner = 0;
		kmm_buddy_free(sl->buddy, kmm_region_page(sl->region, index), s->order);
	}
	s->nr_slabs = 0;
	s->nr_free = 0;
	s->nr_partial = 0;
	s->partial = KMM_LIST_END;
}

/**
 * kmm_slab_fini() - The end of all caches.
 * @sl: slab allocator; nobody uses it any more
 *
 * Context: may sleep. Caches with live objects are reported and their slabs taken back.
 */
void kmm_slab_fini(struct kmm_slab *sl)
{
	struct kmm_cache *s, *next, *self = sl->caches;

	list_for_each_entry_safe(s, next, &sl->list, node) {
		if (s == self || !kmm_slab_cache_destroy(s))
			continue;
		kmm_cache_abandon(s);
		kmm_slab_cache_destroy(s);
	}
	if (self && self != &sl->boot) {
		kmm_slab_move_caches(sl, &sl->boot);
		kmm_cache_free(&sl->boot, self);
	}
	if (self && kmm_cache_end(&sl->boot)) {
		kmm_cache_abandon(&sl->boot);
		kmm_cache_end(&sl->boot);
	}
	sl->caches = NULL;
	cpuhp_state_remove_instance_nocalls(kmm_slab_cpuhp, &sl->cpuhp);
	free_percpu(sl->busy);
	sl->busy = NULL;
}
KMM_EXPORT_INTERNAL(kmm_slab_fini);

/* === Clients: Linux's functions, on the module's instance === */

/**
 * kmm_slab_set_client() - Choose the instance that serves the functions below.
 * @sl: slab allocator; NULL before it is destroyed
 */
void kmm_slab_set_client(struct kmm_slab *sl)
{
	int i;

	kmm_client = sl;
	for (i = 0; i < KMM_KMALLOC_NR; i++)
		kmm_kmalloc_caches[i] = sl ? sl->kmalloc[i] : NULL;
}

/**
 * kmm_cache_create_usercopy() - kmem_cache_create_usercopy() on kmm's region.
 * @name: shown in slabinfo; copied
 * @size: bytes of an object, at most 8192
 * @align: power of two or 0
 * @flags: Linux's SLAB_*; SLAB_PANIC fails with a message, never panics
 * @useroffset: first byte that kmm's copies to and from user space may touch
 * @usersize: how many
 * @ctor: called for each object of a new slab, or NULL
 *
 * Context: may sleep. Return: the cache or NULL.
 */
struct kmm_cache *kmm_cache_create_usercopy(const char *name, unsigned int size,
					    unsigned int align, slab_flags_t flags,
					    unsigned int useroffset, unsigned int usersize,
					    void (*ctor)(void *obj))
{
	const struct kmm_cache_args args = {
		.name = name, .size = size, .align = align, .flags = flags,
		.useroffset = useroffset, .usersize = usersize, .ctor = ctor,
	};
	struct kmm_cache *s = kmm_slab_cache_create(kmm_client, &args);

	if (!IS_ERR(s))
		return s;
	pr_err("cache %s of %u bytes could not be created (error %ld)\n", name ?: "(null)", size,
	       PTR_ERR(s));
	return NULL;
}
EXPORT_SYMBOL_GPL(kmm_cache_create_usercopy);

/**
 * kmm_cache_create() - kmem_cache_create() on kmm's region.
 * @name: shown in slabinfo; copied
 * @size: bytes of an object, at most 8192
 * @align: power of two or 0
 * @flags: Linux's SLAB_*
 * @ctor: called for each object of a new slab, or NULL
 *
 * Context: may sleep. Return: the cache or NULL.
 */
struct kmm_cache *kmm_cache_create(const char *name, unsigned int size, unsigned int align,
				   slab_flags_t flags, void (*ctor)(void *obj))
{
	return kmm_cache_create_usercopy(name, size, align, flags, 0, 0, ctor);
}
EXPORT_SYMBOL_GPL(kmm_cache_create);

/**
 * kmm_cache_destroy() - kmem_cache_destroy() on kmm's region.
 * @s: cache, or NULL
 *
 * With live objects it is refused with a report, and the cache stays usable.
 *
 * Context: may sleep.
 */
void kmm_cache_destroy(struct kmm_cache *s)
{
	if (s)
		kmm_slab_cache_destroy(s);
}
EXPORT_SYMBOL_GPL(kmm_cache_destroy);

/**
 * kmm_kmalloc_class() - kmm_kmalloc() of a size that is known when compiling.
 * @s: the class
 * @size: bytes
 * @gfp: Linux GFP flags
 *
 * Context: as kmm_cache_alloc(). Return: memory or NULL.
 */
void *kmm_kmalloc_class(struct kmm_cache *s, size_t size, gfp_t gfp)
{
	return kmm_cache_alloc_fast(s, gfp, size);
}
EXPORT_SYMBOL_GPL(kmm_kmalloc_class);

/**
 * __kmm_kmalloc() - kmm_kmalloc() of any size.
 * @size: bytes
 * @gfp: Linux GFP flags
 *
 * Context: as kmm_alloc_pages(). Return: memory, NULL, or ZERO_SIZE_PTR for size 0.
 */
void *__kmm_kmalloc(size_t size, gfp_t gfp)
{
	return kmm_kmalloc_any(kmm_client, size, gfp);
}
EXPORT_SYMBOL_GPL(__kmm_kmalloc);

/**
 * kmm_kfree() - kfree() on kmm's region.
 * @p: what kmm_kmalloc() or a cache gave; NULL and ZERO_SIZE_PTR are ignored
 *
 * Context: any but NMI.
 */
void kmm_kfree(const void *p)
{
	kmm_kfree_any(kmm_client, p);
}
EXPORT_SYMBOL_GPL(kmm_kfree);

/**
 * kmm_ksize() - ksize() on kmm's region.
 * @p: what kmm_kmalloc() gave
 *
 * Context: any. Return: bytes that may be used; 0 for what is not ours.
 */
size_t kmm_ksize(const void *p)
{
	return kmm_slab_ksize(kmm_client, p);
}
EXPORT_SYMBOL_GPL(kmm_ksize);

/**
 * kmm_krealloc() - krealloc() on kmm's region.
 * @p: what kmm_kmalloc() gave; NULL: a new one
 * @new_size: bytes; 0 frees
 * @gfp: Linux GFP flags
 *
 * Context: as kmm_kmalloc(). Return: memory with the old contents; NULL, and @p stays; or
 * ZERO_SIZE_PTR for @new_size 0.
 */
void *kmm_krealloc(const void *p, size_t new_size, gfp_t gfp)
{
	return kmm_slab_krealloc(kmm_client, p, new_size, gfp);
}
EXPORT_SYMBOL_GPL(kmm_krealloc);
