// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The sampled guarded pool (kfence)
 *
 * Finds out-of-bounds accesses, uses after free and bad frees of kmm's objects at a price that can
 * be paid always: now and then (kfence_sample_interval) one allocation of the slab allocator is
 * served from a pool in which each object has a page of its own between two pages that are not
 * there. The idea, the layout and the reports are those of the kernel's mm/kfence, which came from
 * GWP-ASan; here it is on the window's addresses, without a rebuilt kernel::
 *
 *	| none | none | object 0 | none | object 1 | none | ... | object n-1 | none |
 *
 * An object lies at the left or the right edge of its page, by chance, so that an access just
 * behind that edge faults. The rest of the page is a canary, looked at when the object is freed. A
 * freed object's page is taken out, and the object goes to the end of the list of free ones: as
 * many allocations later as the pool has objects it comes back.
 *
 * States of an object, and who owns it::
 *
 *	unused		the pool	nothing is mapped; never given out
 *	allocated	the client	its page is mapped
 *	rcu freeing	RCU		of a SLAB_TYPESAFE_BY_RCU cache, readers may look: mapped
 *	freed		the pool	nothing is mapped; tracks tell who had it
 *
 * Sampling. The gate is closed (1) or open (0). While it is closed no instruction of a fast path
 * knows of the pool. When it opens, the slab allocator is asked to divert its caches: a store to
 * each, after which their next operation finds the CPU's stack busy and takes the slow path, where
 * the gate is. The first allocation to come closes it and takes an object; other caches come by
 * once and go on. So the price in an interval is one sample, and one slow operation for each cache
 * that is in use. The kernel's KFENCE switches a static key twice for each sample instead:
 * code is patched and each CPU gets IPIs; and a look at the gate in each allocation would cost two
 * instructions of some 40. The next interval begins with a sample: if nobody allocates, nothing
 * runs.
 *
 * Coverage. When three quarters of the pool are in use, allocations by a stack (its first 8
 * entries) that has an object in the pool already are passed over, so that long-lived objects of
 * one place do not fill it. The stacks are in a counting Bloom filter.
 *
 * Faults. A module cannot hook the host's page faults. So there are two ways:
 *
 *   - kmm_kfence_read() and _write() survive: they return -EFAULT after the report. Tests and
 *     the lab use them.
 *   - any other access to a page that is not there is an oops of the host, which prints its own
 *     report first and kills the task; then the notifier here prints ours, with both stacks. It
 *     does not try to mend the fault: the host has announced an oops already, may have started
 *     its crash kernel, and does not expect the task back.
 *
 * TLB. A page that is taken out is forgotten by this CPU at once, by others (nothing that
 * flushes an address is exported) with all else before the gate opens next. In between another
 * CPU may miss a use after free; it cannot do harm, the frame belongs to this object always.
 *
 * Memory. Frames are from the early allocator when sampling is on at load; they are metadata
 * then. When it is switched on later they are the buddy's. Objects are not virt_to_page()-able and
 * cannot be used for DMA; requests with zone bits and SLAB_CACHE_DMA caches are passed over, and
 * so are caches with SLAB_SKIP_KFENCE (0 on kernels without KFENCE). The direct map of the
 * frames stays open: an access through it is not seen.
 *
 * Invariants
 *   - an object is on @free if and only if it is unused or freed
 *   - its page is mapped if and only if it is allocated or RCU is freeing it
 *
 * Locks. @control -> the slab allocator's mutex. An object's lock and @list_lock
 * are leaves; reports are printed under the object's lock.
 *
 * It deliberately does not: guard objects of more than a page, pages, or vmalloc (which has a guard
 * page of its own); find an access inside of the page that leaves the canary as it is; taint.
 */

#define pr_fmt(fmt) "kmm: kfence: " fmt

#include <linux/jhash.h>
#include <linux/kdebug.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/ptrace.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/slab.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/special_insns.h>
#include <asm/tlbflush.h>
#include <asm/trap_pf.h>

#include <compat/compat.h>
#include <kmm/assert.h>
#include <kmm/buddy.h>
#include <kmm/debug_objects.h>
#include <kmm/hardening.h>
#include <kmm/inject.h>
#include <kmm/kfence.h>
#include <kmm/slab.h>

/* === Data === */

DEFINE_STATIC_KEY_FALSE(kmm_kfence_key);
KMM_EXPORT_INTERNAL(kmm_kfence_key);

const char * const kmm_kfence_counter_names[KMM_KFENCE_NR_COUNTERS] = {
	[KMM_KFENCE_NR_ALLOCATED]	= "currently allocated",
	[KMM_KFENCE_NR_ALLOCS]		= "total allocations",
	[KMM_KFENCE_NR_FREES]		= "total frees",
	[KMM_KFENCE_NR_ZOMBIES]		= "zombie allocations",
	[KMM_KFENCE_NR_BUGS]		= "total bugs",
	[KMM_KFENCE_NR_SKIP_INCOMPAT]	= "skipped allocations (incompatible)",
	[KMM_KFENCE_NR_SKIP_CAPACITY]	= "skipped allocations (capacity)",
	[KMM_KFENCE_NR_SKIP_COVERED]	= "skipped allocations (covered)",
};

/* Above this percentage of the pool in use, covered stacks are passed over. */
#define KFENCE_COVERED_PERCENT	75
/* Entries of a stack that make it another one. */
#define KFENCE_UNIQUE_DEPTH	8U
/* Bloom filter: hashes of a stack, and log2 of the counters for each object. */
#define KFENCE_COVERED_HASHES	2
#define KFENCE_COVERED_ORDER	2

static void kfence_count(struct kmm_kfence *kf, enum kmm_kfence_counter c, int n)
{
	atomic_long_add(n, &kf->counters[c]);
}

/* === Addresses === */

static unsigned long kfence_page(const struct kmm_kfence *kf, const struct kmm_kfence_object *obj)
{
	return kf->base + (obj - kf->objects + 1) * 2 * PAGE_SIZE;
}

/* The object whose page, or the guard page behind it, has @addr; NULL for the first two pages. */
static struct kmm_kfence_object *kfence_object(const struct kmm_kfence *kf, unsigned long addr)
{
	/* Pairs with kfence_make_pool() */
	struct kmm_kfence_object *objects = smp_load_acquire(&kf->objects);
	unsigned long nr = (addr - kf->base) / (2 * PAGE_SIZE);

	if (!objects || addr < kf->base || !nr || nr > kf->nr_objects)
		return NULL;
	return &objects[nr - 1];
}

static bool kfence_is_guard(const struct kmm_kfence *kf, unsigned long addr)
{
	return ((addr - kf->base) >> PAGE_SHIFT) & 1;
}

static bool kfence_is_live(enum kmm_kfence_state state)
{
	return state == KMM_KFENCE_ALLOCATED || state == KMM_KFENCE_RCU_FREEING;
}

static void kfence_map(struct kmm_kfence *kf, struct kmm_kfence_object *obj)
{
	kmm_window_map(&kf->window, kfence_page(kf, obj), &obj->page, 1, PAGE_KERNEL);
}

static void kfence_unmap(struct kmm_kfence *kf, struct kmm_kfence_object *obj)
{
	unsigned long flags;

	kmm_window_unmap(&kf->window, kfence_page(kf, obj), 1);
	atomic_set(&kf->stale, 1);
	local_irq_save(flags);
	kmm_host_flush_tlb_local();
	local_irq_restore(flags);
}

/**
 * kmm_kfence_sync() - All CPUs forget the pages of freed objects.
 * @kf: pool
 *
 * Context: task with interrupts on.
 */
void kmm_kfence_sync(struct kmm_kfence *kf)
{
	if (atomic_xchg(&kf->stale, 0))
		kmm_tlb_flush_window(kf->set, 1);
}
KMM_EXPORT_INTERNAL(kmm_kfence_sync);

/* === Canary === */

/* The first of these bytes that is wrong, or @end; by words where they are whole. */
static unsigned long kfence_canary_wrong(unsigned long addr, unsigned long end)
{
	for (; addr < end && !IS_ALIGNED(addr, 8); addr++)
		if (*(u8 *)addr != KMM_KFENCE_CANARY(addr))
			return addr;
	for (; addr + 8 <= end && *(u64 *)addr == KMM_KFENCE_CANARY_WORD; addr += 8)
		;
	for (; addr < end; addr++)
		if (*(u8 *)addr != KMM_KFENCE_CANARY(addr))
			return addr;
	return end;
}

static void kfence_check_canary(struct kmm_kfence *kf, struct kmm_kfence_object *obj,
				unsigned long addr, unsigned long end)
{
	unsigned long wrong = kfence_canary_wrong(addr, end), flags;

	if (wrong == end)
		return;
	kfence_count(kf, KMM_KFENCE_NR_BUGS, 1);
	raw_spin_lock_irqsave(&obj->lock, flags);
	kmm_kfence_report(kf, obj, KMM_KFENCE_CORRUPTION, wrong, true, NULL);
	raw_spin_unlock_irqrestore(&obj->lock, flags);
}

/* === Coverage === */

static u32 kfence_stack_hash(const struct kmm_kfence *kf, const unsigned long *stack,
			     unsigned int nr)
{
	return jhash(stack, min(nr, KFENCE_UNIQUE_DEPTH) * sizeof(*stack), kf->seed);
}

static void kfence_covered_add(struct kmm_kfence *kf, u32 hash, int n)
{
	int i;

	for (i = 0; i < KFENCE_COVERED_HASHES; i++) {
		atomic_add(n, &kf->covered[hash & (BIT(kf->covered_order) - 1)]);
		hash = hash_32(hash, kf->covered_order);
	}
}

static bool kfence_is_covered(const struct kmm_kfence *kf, u32 hash)
{
	int i;

	if (atomic_long_read(&kf->counters[KMM_KFENCE_NR_ALLOCATED]) * 100 <=
	    kf->nr_objects * KFENCE_COVERED_PERCENT)
		return false;
	for (i = 0; i < KFENCE_COVERED_HASHES; i++) {
		if (!atomic_read(&kf->covered[hash & (BIT(kf->covered_order) - 1)]))
			return false;
		hash = hash_32(hash, kf->covered_order);
	}
	return true;
}

/* === Allocation === */

/* Of this function's caller's caller, if @stack is NULL. */
static noinline void kfence_set_state(struct kmm_kfence_object *obj, enum kmm_kfence_state next,
				      const unsigned long *stack, unsigned int nr)
{
	struct kmm_kfence_track *t = next == KMM_KFENCE_ALLOCATED ? &obj->alloc_track :
								    &obj->free_track;

	lockdep_assert_held(&obj->lock);
	if (stack)
		memcpy(t->stack, stack, nr * sizeof(*stack));
	else
		nr = stack_trace_save(t->stack, KMM_KFENCE_STACK_DEPTH, 1);
	t->nr = nr;
	t->pid = task_pid_nr(current);
	t->cpu = raw_smp_processor_id();
	t->ts_nsec = local_clock();
	/* Read without the lock by kmm_kfence_handle_fault() and kmm_kfence_cache_live(). */
	WRITE_ONCE(obj->state, next);
}

static struct kmm_kfence_object *kfence_take(struct kmm_kfence *kf)
{
	struct kmm_kfence_object *obj;
	unsigned long flags;

	raw_spin_lock_irqsave(&kf->list_lock, flags);
	obj = list_first_entry_or_null(&kf->free, struct kmm_kfence_object, list);
	if (obj)
		list_del_init(&obj->list);
	raw_spin_unlock_irqrestore(&kf->list_lock, flags);
	return obj;
}

static void kfence_put(struct kmm_kfence *kf, struct kmm_kfence_object *obj)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&kf->list_lock, flags);
	kmm_assert(list_empty(&obj->list));
	list_add_tail(&obj->list, &kf->free);
	raw_spin_unlock_irqrestore(&kf->list_lock, flags);
}

static void *kfence_guarded_alloc(struct kmm_kfence *kf, struct kmm_cache *s, size_t size,
				  gfp_t gfp, const unsigned long *stack, unsigned int nr, u32 hash)
{
	struct kmm_kfence_object *obj = kfence_take(kf);
	unsigned long flags, page;
	void *addr;

	if (!obj) {
		kfence_count(kf, KMM_KFENCE_NR_SKIP_CAPACITY, 1);
		return NULL;
	}
	/* Held by a report on this object, whose printing has come here to allocate. */
	if (!raw_spin_trylock_irqsave(&obj->lock, flags)) {
		kfence_put(kf, obj);
		return NULL;
	}
	page = kfence_page(kf, obj);
	kfence_map(kf, obj);
	obj->addr = page;
	if (get_random_u32() & 1)
		obj->addr = ALIGN_DOWN(page + PAGE_SIZE - size, s->align);
	addr = (void *)obj->addr;
	obj->size = size;
	obj->stack_hash = hash;
	WRITE_ONCE(obj->cache, s);
	kfence_set_state(obj, KMM_KFENCE_ALLOCATED, stack, nr);
	raw_spin_unlock_irqrestore(&obj->lock, flags);

	kfence_covered_add(kf, hash, 1);
	memset64((u64 *)page, KMM_KFENCE_CANARY_WORD, PAGE_SIZE / sizeof(u64));
	if (gfp & __GFP_ZERO || (kmm_want_init_on_alloc(gfp) && s->may_init))
		memset(addr, 0, size);
	if (s->ctor)
		s->ctor(addr);
	kfence_count(kf, KMM_KFENCE_NR_ALLOCATED, 1);
	kfence_count(kf, KMM_KFENCE_NR_ALLOCS, 1);
	return addr;
}

/**
 * kmm_kfence_alloc() - Perhaps an object from the pool.
 * @s: the cache that is asked
 * @size: bytes that the client asked for; 0: an object of @s
 * @gfp: of the request
 *
 * Called in the slow paths. Context: any but NMI.
 * Return: an object, ready for the client; NULL: the gate is closed, or not for this request; the
 * cache serves.
 */
noinline void *kmm_kfence_alloc(struct kmm_cache *s, size_t size, gfp_t gfp)
{
	unsigned long stack[KMM_KFENCE_STACK_DEPTH];
	struct kmm_kfence *kf = s->slab->kfence;
	unsigned int nr;
	u32 hash;

	if (!kf || atomic_read(&kf->gate))
		return NULL;
	size = size ?: s->object_size;
	/* What cannot be served leaves the gate open for what can. */
	if (size > PAGE_SIZE || s->align > PAGE_SIZE || gfp & GFP_ZONEMASK & ~__GFP_MOVABLE ||
	    s->flags & (SLAB_CACHE_DMA | SLAB_CACHE_DMA32)) {
		kfence_count(kf, KMM_KFENCE_NR_SKIP_INCOMPAT, 1);
		return NULL;
	}
	if (s->flags & SLAB_SKIP_KFENCE || atomic_cmpxchg(&kf->gate, 0, 1))
		return NULL;
	irq_work_queue(&kf->kick);
	nr = stack_trace_save(stack, ARRAY_SIZE(stack), 0);
	hash = kfence_stack_hash(kf, stack, nr);
	if (kfence_is_covered(kf, hash)) {
		kfence_count(kf, KMM_KFENCE_NR_SKIP_COVERED, 1);
		return NULL;
	}
	return kfence_guarded_alloc(kf, s, size, gfp, stack, nr, hash);
}

/**
 * kmm_kfence_wants() - Is the gate open?
 * @sl: slab allocator
 *
 * Context: any. Return: true while an allocation is waited for.
 */
bool kmm_kfence_wants(const struct kmm_slab *sl)
{
	return sl->kfence && !atomic_read(&sl->kfence->gate);
}

/* === Free === */

/*
 * @zombie: its cache goes, its client does not know; it is never given out again. @wanted: the
 * state that it must be in.
 */
static void kfence_guarded_free(struct kmm_kfence *kf, struct kmm_kfence_object *obj,
				unsigned long addr, enum kmm_kfence_state wanted, bool zombie)
{
	unsigned long flags, page = kfence_page(kf, obj);
	bool init;

	raw_spin_lock_irqsave(&obj->lock, flags);
	if (obj->state != wanted || obj->addr != addr) {
		kfence_count(kf, KMM_KFENCE_NR_BUGS, 1);
		kmm_kfence_report(kf, obj, KMM_KFENCE_INVALID_FREE, addr, false, NULL);
		raw_spin_unlock_irqrestore(&obj->lock, flags);
		return;
	}
	/* RCU's stack would tell nothing: the client's is kept. */
	if (wanted == KMM_KFENCE_RCU_FREEING)
		WRITE_ONCE(obj->state, KMM_KFENCE_FREED);
	else
		kfence_set_state(obj, KMM_KFENCE_FREED, NULL, 0);
	init = kmm_want_init_on_free() && obj->cache->may_init;
	raw_spin_unlock_irqrestore(&obj->lock, flags);

	kfence_covered_add(kf, obj->stack_hash, -1);
	kfence_check_canary(kf, obj, page, obj->addr);
	kfence_check_canary(kf, obj, obj->addr + obj->size, page + PAGE_SIZE);
	if (init && !zombie)
		memset((void *)addr, 0, obj->size);
	kfence_unmap(kf, obj);
	if (zombie) {
		kfence_count(kf, KMM_KFENCE_NR_ZOMBIES, 1);
		return;
	}
	kfence_put(kf, obj);
	kfence_count(kf, KMM_KFENCE_NR_ALLOCATED, -1);
	kfence_count(kf, KMM_KFENCE_NR_FREES, 1);
}

static void kfence_rcu_free(struct rcu_head *head)
{
	struct kmm_kfence_object *obj = container_of(head, struct kmm_kfence_object, rcu);
	/* The cache is alive: its end waits for RCU. */
	struct kmm_kfence *kf = obj->cache->slab->kfence;

	kfence_guarded_free(kf, obj, obj->addr, KMM_KFENCE_RCU_FREEING, false);
}

/* A free of a cache whose readers may still look. Return: false if it is not that. */
static bool kfence_defer_free(struct kmm_kfence_object *obj, unsigned long addr)
{
	unsigned long flags;
	bool defer;

	raw_spin_lock_irqsave(&obj->lock, flags);
	defer = obj->state == KMM_KFENCE_ALLOCATED && obj->addr == addr && obj->cache &&
		obj->cache->flags & SLAB_TYPESAFE_BY_RCU;
	if (defer)
		kfence_set_state(obj, KMM_KFENCE_RCU_FREEING, NULL, 0);
	raw_spin_unlock_irqrestore(&obj->lock, flags);
	if (defer)
		call_rcu(&obj->rcu, kfence_rcu_free);
	return defer;
}

/**
 * kmm_kfence_free() - Free an object of the pool, or report what is none.
 * @sl: slab allocator
 * @s: the cache that the client named; NULL: none
 * @p: any address
 *
 * Context: any but NMI. Return: false when @p is not in the pool.
 */
noinline bool kmm_kfence_free(struct kmm_slab *sl, struct kmm_cache *s, void *p)
{
	unsigned long addr = (unsigned long)p, flags;
	struct kmm_kfence *kf = sl->kfence;
	struct kmm_kfence_object *obj;

	if (!kmm_kfence_owns(kf, p))
		return false;
	obj = kfence_object(kf, addr);
	if (!obj) {
		kfence_count(kf, KMM_KFENCE_NR_BUGS, 1);
		kmm_kfence_report(kf, NULL, KMM_KFENCE_INVALID_FREE, addr, false, NULL);
	} else if (s && READ_ONCE(obj->cache) && READ_ONCE(obj->cache) != s) {
		kfence_count(kf, KMM_KFENCE_NR_BUGS, 1);
		raw_spin_lock_irqsave(&obj->lock, flags);
		kmm_kfence_report(kf, obj, KMM_KFENCE_INVALID_FREE, addr, false, NULL);
		raw_spin_unlock_irqrestore(&obj->lock, flags);
	} else if (kmm_debug_check_no_obj_freed(p, READ_ONCE(obj->size)) &&
		   !kfence_defer_free(obj, addr)) {
		kfence_guarded_free(kf, obj, addr, KMM_KFENCE_ALLOCATED, false);
	}
	return true;
}

/* === What slab.c asks === */

/**
 * kmm_kfence_find() - The object of an address.
 * @sl: slab allocator
 * @p: any address
 * @found: filled; a page's last object when it is freed
 *
 * Context: any; the client has the object. Return: false when @p is not in the pool.
 */
bool kmm_kfence_find(const struct kmm_slab *sl, const void *p, struct kmm_stray *found)
{
	const struct kmm_kfence_object *obj;

	if (!kmm_kfence_owns(sl->kfence, p))
		return false;
	memset(found, 0, sizeof(*found));
	obj = kfence_object(sl->kfence, (unsigned long)p);
	if (obj) {
		found->cache = READ_ONCE(obj->cache);
		found->start = (void *)READ_ONCE(obj->addr);
		found->size = READ_ONCE(obj->size);
		found->live = kfence_is_live(READ_ONCE(obj->state));
	}
	return true;
}
KMM_EXPORT_INTERNAL(kmm_kfence_find);

/**
 * kmm_kfence_cache_live() - Objects of a cache that clients have.
 * @s: cache
 * @print: log each
 *
 * Context: any; nobody allocates from @s. Return: how many, those that RCU is freeing included.
 */
unsigned int kmm_kfence_cache_live(struct kmm_cache *s, bool print)
{
	struct kmm_kfence *kf = s->slab->kfence;
	unsigned int i, nr = 0;

	/* Pairs with kfence_make_pool() */
	if (!kf || !smp_load_acquire(&kf->objects))
		return 0;
	for (i = 0; i < kf->nr_objects; i++) {
		struct kmm_kfence_object *obj = &kf->objects[i];

		if (READ_ONCE(obj->cache) != s || !kfence_is_live(READ_ONCE(obj->state)))
			continue;
		if (print)
			pr_err("Object 0x%p in kfence-#%u\n", (void *)obj->addr, i);
		nr++;
	}
	return nr;
}

/**
 * kmm_kfence_cache_gone() - A cache ends; it must not be named any more.
 * @s: cache; nobody allocates from it
 * @zombies: objects that clients still have are taken from them, and their pages never given out
 *	again, so that an access or a free is reported with the stack of this
 *
 * Context: task; after rcu_barrier() for a cache with SLAB_TYPESAFE_BY_RCU.
 */
void kmm_kfence_cache_gone(struct kmm_cache *s, bool zombies)
{
	struct kmm_kfence *kf = s->slab->kfence;
	unsigned long flags;
	unsigned int i;

	/* Pairs with kfence_make_pool() */
	if (!kf || !smp_load_acquire(&kf->objects))
		return;
	for (i = 0; i < kf->nr_objects; i++) {
		struct kmm_kfence_object *obj = &kf->objects[i];

		if (READ_ONCE(obj->cache) != s)
			continue;
		if (zombies && READ_ONCE(obj->state) == KMM_KFENCE_ALLOCATED)
			kfence_guarded_free(kf, obj, obj->addr, KMM_KFENCE_ALLOCATED, true);
		raw_spin_lock_irqsave(&obj->lock, flags);
		if (obj->cache == s && obj->state == KMM_KFENCE_FREED)
			WRITE_ONCE(obj->cache, NULL);
		raw_spin_unlock_irqrestore(&obj->lock, flags);
	}
}

/* === Faults === */

/* The object beside a guard page that an access there was most likely meant for. */
static struct kmm_kfence_object *kfence_neighbour(struct kmm_kfence *kf, unsigned long addr)
{
	struct kmm_kfence_object *left = kfence_object(kf, addr - PAGE_SIZE);
	struct kmm_kfence_object *right = kfence_object(kf, addr + PAGE_SIZE);

	if (left && !kfence_is_live(READ_ONCE(left->state)))
		left = NULL;
	if (right && !kfence_is_live(READ_ONCE(right->state)))
		right = NULL;
	if (!left || !right)
		return left ?: right;
	/* They may change meanwhile: then it is the other one. */
	return addr - (READ_ONCE(left->addr) + READ_ONCE(left->size)) >
	       READ_ONCE(right->addr) - addr ? right : left;
}

/**
 * kmm_kfence_handle_fault() - Report an access to a page that is not there.
 * @kf: pool
 * @addr: where
 * @is_write: what
 * @regs: of a fault that nobody recovered; NULL: the caller is to blame
 *
 * Context: any. Return: false when @addr is not in the pool, and nothing is reported.
 */
bool kmm_kfence_handle_fault(struct kmm_kfence *kf, unsigned long addr, bool is_write,
			     struct pt_regs *regs)
{
	enum kmm_kfence_error error = KMM_KFENCE_INVALID;
	struct kmm_kfence_object *obj;
	unsigned long flags;

	if (!kmm_kfence_owns(kf, (void *)addr))
		return false;
	kfence_count(kf, KMM_KFENCE_NR_BUGS, 1);
	if (kfence_is_guard(kf, addr)) {
		obj = kfence_neighbour(kf, addr);
		error = KMM_KFENCE_OOB;
	} else {
		obj = kfence_object(kf, addr);
		/* Given out again meanwhile: then both stacks are of the new client. */
		if (obj && READ_ONCE(obj->state) == KMM_KFENCE_UNUSED)
			obj = NULL;
		error = KMM_KFENCE_UAF;
	}
	if (!obj) {
		kmm_kfence_report(kf, NULL, KMM_KFENCE_INVALID, addr, is_write, regs);
		return true;
	}
	raw_spin_lock_irqsave(&obj->lock, flags);
	kmm_kfence_report(kf, obj, error, addr, is_write, regs);
	raw_spin_unlock_irqrestore(&obj->lock, flags);
	return true;
}
KMM_EXPORT_INTERNAL(kmm_kfence_handle_fault);

/**
 * kmm_kfence_read() - Read from the pool; a fault is reported, and survived.
 * @kf: pool
 * @to: memory for @n bytes
 * @from: any address of the pool
 * @n: bytes
 *
 * Context: any. Return: 0; -EFAULT after a report, with the bytes before it read; -EINVAL when it
 * is not all in the pool.
 */
noinline int kmm_kfence_read(struct kmm_kfence *kf, void *to, const void *from, size_t n)
{
	size_t i;

	if (!n || !kmm_kfence_owns(kf, from) || !kmm_kfence_owns(kf, from + n - 1) ||
	    from + n < from)
		return -EINVAL;
	pagefault_disable();
	for (i = 0; i < n; i++)
		__get_kernel_nofault(to + i, from + i, u8, fault);
	pagefault_enable();
	return 0;
fault:
	pagefault_enable();
	kmm_kfence_handle_fault(kf, (unsigned long)from + i, false, NULL);
	return -EFAULT;
}
KMM_EXPORT_INTERNAL(kmm_kfence_read);

/**
 * kmm_kfence_write() - Write to the pool; a fault is reported, and survived.
 * @kf: pool
 * @to: any address of the pool
 * @from: @n bytes
 * @n: bytes
 *
 * Context: any. Return: as kmm_kfence_read(); the bytes before a fault are written.
 */
noinline int kmm_kfence_write(struct kmm_kfence *kf, void *to, const void *from, size_t n)
{
	size_t i;

	if (!n || !kmm_kfence_owns(kf, to) || !kmm_kfence_owns(kf, to + n - 1) || to + n < to)
		return -EINVAL;
	pagefault_disable();
	for (i = 0; i < n; i++)
		__put_kernel_nofault(to + i, from + i, u8, fault);
	pagefault_enable();
	return 0;
fault:
	pagefault_enable();
	kmm_kfence_handle_fault(kf, (unsigned long)to + i, true, NULL);
	return -EFAULT;
}
KMM_EXPORT_INTERNAL(kmm_kfence_write);

/*
 * The host is in an oops of a page fault; its report is printed. CR2 is still that of the fault:
 * interrupts are off since. An oops of another kind must not be taken for it, CR2 is old then.
 */
static int kfence_oops(struct notifier_block *nb, unsigned long reason, void *data)
{
	struct kmm_kfence *kf = container_of(nb, struct kmm_kfence, oops);
	const struct die_args *args = data;

	if (reason == DIE_OOPS && !strcmp(args->str, "Oops") && args->regs &&
	    !user_mode(args->regs) && !(args->err & X86_PF_PROT))
		kmm_kfence_handle_fault(kf, native_read_cr2(), args->err & X86_PF_WRITE,
					args->regs);
	return NOTIFY_DONE;
}

/* === The gate === */

static void kfence_open_gate(struct kmm_kfence *kf)
{
	kmm_kfence_sync(kf);
	atomic_set(&kf->gate, 0);
	kf->divert(kf->slab);
}

/* The interval is over. */
static void kfence_timer(struct work_struct *work)
{
	struct kmm_kfence *kf = container_of(to_delayed_work(work), struct kmm_kfence, timer);

	if (READ_ONCE(kf->interval))
		kfence_open_gate(kf);
}

/* An allocation has gone through the gate: the next interval begins. */
static void kfence_kick(struct irq_work *work)
{
	struct kmm_kfence *kf = container_of(work, struct kmm_kfence, kick);
	unsigned long interval = READ_ONCE(kf->interval);

	if (interval)
		queue_delayed_work(system_unbound_wq, &kf->timer, msecs_to_jiffies(interval));
}

/* === The pool === */

static void kfence_free_objects(struct kmm_kfence *kf, struct kmm_kfence_object *objects)
{
	unsigned int i;

	for (i = 0; objects && i < kf->nr_objects && !kf->early; i++)
		if (objects[i].page)
			kmm_buddy_free(kf->buddy, objects[i].page, 0);
	kvfree(objects);
}

static int kfence_get_frames(struct kmm_kfence *kf, struct kmm_kfence_object *objects)
{
	unsigned int i;

	for (i = 0; i < kf->nr_objects; i++) {
		if (kf->early)
			objects[i].page = virt_to_page(kf->early + i * PAGE_SIZE);
		else if (!kmm_should_fail())
			objects[i].page = kmm_buddy_alloc(kf->buddy, GFP_KERNEL | __GFP_NOWARN, 0);
		if (!objects[i].page)
			return -ENOMEM;
	}
	return 0;
}

/* In random order, so that neighbours in time are none in space. */
static void kfence_fill_list(struct kmm_kfence *kf)
{
	unsigned int i;

	for (i = 0; i < kf->nr_objects; i++) {
		struct kmm_kfence_object *obj = &kf->objects[i];
		struct kmm_kfence_object *other = &kf->objects[get_random_u32() % (i + 1)];

		/* At any of the i + 1 places among those that are there already. */
		if (other == obj)
			list_add(&obj->list, &kf->free);
		else
			list_add(&obj->list, &other->list);
	}
}

static void kfence_drop_pool(struct kmm_kfence *kf, struct kmm_kfence_object *objects)
{
	kfence_free_objects(kf, objects);
	kvfree(kf->covered);
	kf->objects = NULL;
	kf->covered = NULL;
	kmm_window_fini(&kf->window);
}

static int kfence_make_pool(struct kmm_kfence *kf)
{
	struct kmm_kfence_object *objects = NULL;
	unsigned int i;
	int err;

	lockdep_assert_held(&kf->control);
	err = kmm_window_init_range(&kf->window, kf->base, kf->nr_pages, false, kf->set);
	if (err)
		return err;
	kf->covered_order = order_base_2(kf->nr_objects) + KFENCE_COVERED_ORDER;
	kf->seed = get_random_u32();
	if (!kmm_should_fail())
		kf->covered = kvcalloc(BIT(kf->covered_order), sizeof(*kf->covered),
				       GFP_KERNEL_ACCOUNT);
	if (!kmm_should_fail())
		objects = kvcalloc(kf->nr_objects, sizeof(*objects), GFP_KERNEL_ACCOUNT);
	err = kf->covered && objects ? kfence_get_frames(kf, objects) : -ENOMEM;
	for (i = 0; !err && i < kf->nr_objects; i++) {
		raw_spin_lock_init(&objects[i].lock);
		objects[i].addr = kf->base + (i + 1) * 2 * PAGE_SIZE;
	}
	if (err) {
		kfence_drop_pool(kf, objects);
		return err;
	}
	/* From here on there are readers. Pairs with kfence_object() and debugfs objects. */
	smp_store_release(&kf->objects, objects);
	kfence_fill_list(kf);
	kf->oops.notifier_call = kfence_oops;
	register_die_notifier(&kf->oops);
	static_branch_inc(&kmm_kfence_key);
	pr_info("initialized - using %lu bytes for %u objects at 0x%p-0x%p\n",
		kf->nr_pages * PAGE_SIZE, kf->nr_objects, (void *)kf->base,
		(void *)kf->base + kf->nr_pages * PAGE_SIZE);
	return 0;
}

/* === Interface === */

/**
 * kmm_kfence_pool_pages() - Pages of addresses of a pool.
 * @nr_objects: objects; may be 0
 *
 * Context: any. Return: pages.
 */
unsigned int kmm_kfence_pool_pages(unsigned int nr_objects)
{
	return nr_objects ? 2 * (nr_objects + 1) : 0;
}

/**
 * kmm_kfence_alloc_pool() - Addresses for a pool, and its frames if it starts at once.
 * @kf: caller's memory
 * @r: region, its early allocator open, perhaps with a window
 * @nr_objects: objects; 0: no pool
 * @early: frames now, from the early allocator; otherwise, or if it has not as many in a row,
 *	the buddy's are taken when they are needed
 *
 * Context: init only. Cannot fail: without addresses there is no pool, kf->base tells.
 */
void kmm_kfence_alloc_pool(struct kmm_kfence *kf, struct kmm_region *r, unsigned int nr_objects,
			   bool early)
{
	memset(kf, 0, sizeof(*kf));
	kf->region = r;
	mutex_init(&kf->control);
	raw_spin_lock_init(&kf->list_lock);
	INIT_LIST_HEAD(&kf->free);
	atomic_set(&kf->gate, 1);
	INIT_DELAYED_WORK(&kf->timer, kfence_timer);
	init_irq_work(&kf->kick, kfence_kick);
	kf->nr_pages = kmm_kfence_pool_pages(nr_objects);
	if (nr_objects)
		kf->base = (unsigned long)kmm_region_take_window(r, kf->nr_pages);
	if (!kf->base) {
		kf->nr_pages = 0;
		return;
	}
	kf->nr_objects = nr_objects;
	if (early)
		kf->early = kmm_region_early_alloc(r, (size_t)nr_objects * PAGE_SIZE, PAGE_SIZE);
}
KMM_EXPORT_INTERNAL(kmm_kfence_alloc_pool);

/**
 * kmm_kfence_init() - Start, if it is to start at once.
 * @kf: after kmm_kfence_alloc_pool()
 * @b: buddy
 * @set: for the ledger of flushes
 * @interval: milliseconds between samples; 0: off
 *
 * Context: may sleep. Return: as kmm_kfence_set_interval(); what is off cannot fail.
 */
int kmm_kfence_init(struct kmm_kfence *kf, struct kmm_buddy *b, struct kmm_pgtables *set,
		    unsigned long interval)
{
	kf->buddy = b;
	kf->set = set;
	return interval ? kmm_kfence_set_interval(kf, interval) : 0;
}
KMM_EXPORT_INTERNAL(kmm_kfence_init);

/* @control is held. */
static void kfence_stop(struct kmm_kfence *kf)
{
	WRITE_ONCE(kf->interval, 0);
	irq_work_sync(&kf->kick);
	cancel_delayed_work_sync(&kf->timer);
	atomic_set(&kf->gate, 1);
	kmm_kfence_sync(kf);
}

/**
 * kmm_kfence_set_interval() - How often an allocation is sampled.
 * @kf: pool
 * @interval: milliseconds, at most KMM_KFENCE_MAX_INTERVAL; 0: no more; objects that clients
 *	have stay where they are
 *
 * The first time that it is not 0 the pool is made. Context: may sleep. Return: 0; -ENODEV: kmm
 * was loaded without addresses for a pool; -ENOMEM; -ENXIO; -ERANGE.
 */
int kmm_kfence_set_interval(struct kmm_kfence *kf, unsigned long interval)
{
	int err = 0;

	if (interval > KMM_KFENCE_MAX_INTERVAL)
		return -ERANGE;
	if (interval && !kf->base)
		return -ENODEV;
	mutex_lock(&kf->control);
	if (!interval && kf->objects)
		kfence_stop(kf);
	if (interval && !kf->objects)
		err = kfence_make_pool(kf);
	if (interval && !err) {
		WRITE_ONCE(kf->interval, interval);
		mod_delayed_work(system_unbound_wq, &kf->timer, 0);
	}
	mutex_unlock(&kf->control);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_kfence_set_interval);

/**
 * kmm_kfence_sample() - Sample the next allocation, whoever makes it.
 * @kf: pool; it is made if it is not there
 *
 * For tests and the lab. Context: may sleep. Return: 0; -ENODEV; -ENOMEM; -ENXIO.
 */
int kmm_kfence_sample(struct kmm_kfence *kf)
{
	int err = 0;

	if (!kf->base)
		return -ENODEV;
	mutex_lock(&kf->control);
	if (!kf->objects)
		err = kfence_make_pool(kf);
	if (!err)
		kfence_open_gate(kf);
	mutex_unlock(&kf->control);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_kfence_sample);

/**
 * kmm_kfence_stop() - The end of sampling, before the slab allocator ends.
 * @kf: pool
 *
 * Context: may sleep.
 */
void kmm_kfence_stop(struct kmm_kfence *kf)
{
	if (kf->objects)
		kmm_kfence_set_interval(kf, 0);
}
KMM_EXPORT_INTERNAL(kmm_kfence_stop);

/**
 * kmm_kfence_fini() - The end of the pool.
 * @kf: pool that was stopped; all caches are gone
 *
 * Context: may sleep. The window is still there, and the buddy.
 */
void kmm_kfence_fini(struct kmm_kfence *kf)
{
	unsigned int i;

	if (!kf->objects)
		return;
	kmm_kfence_stop(kf);
	rcu_barrier();
	unregister_die_notifier(&kf->oops);
	static_branch_dec(&kmm_kfence_key);
	for (i = 0; i < kf->nr_objects; i++)
		kmm_assert(!kfence_is_live(kf->objects[i].state));
	kfence_drop_pool(kf, kf->objects);
}
KMM_EXPORT_INTERNAL(kmm_kfence_fini);
