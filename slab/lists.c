// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Slabs
 *
 * A slab is a block of the buddy that is cut into objects of one size. What is free in it is one
 * bit per object. Addresses, slabs and objects are found from each other without a search:
 *
 *	address -> cache	kmm_slab.cache_of, by the index of the frame
 *	address -> slab		the index with the low @order bits cleared: blocks are aligned
 *	address -> object	the offset in the slab divided by the size, by multiplication with
 *				the reciprocal
 *
 * A slab has a state, by the number of its free bits (frame.owner of its first frame):
 *
 *	full		on no list: nothing is looked for there; an object that comes back finds it
 *	partial		on @partial; taken from first, the last used one first
 *	empty		on @empty; above @max_empty it leaves the cache for the buddy
 *	detached	left the cache, cache_of is NULL: for the buddy, at once or, for a
 *			SLAB_TYPESAFE_BY_RCU cache, after a grace period
 *
 * Taking is from slab to slab, all of one before the next: objects that go out together lie
 * together, and other slabs have time to become empty. A hardened cache shuffles what it took.
 *
 * Grace periods. There is one rcu_head per cache and not one per slab: what is detached while a
 * grace period runs (@rcu_wait) is gathered for the next one (@rcu_next).
 *
 * A new slab is prepared without a lock: nobody knows it. Constructors are called then, once per
 * object, and free words are set. Its first object goes to who asked, so a request that made a
 * slab never has to compete for it.
 *
 * Invariants: those of slab.c; and a slab is on the list that its number of free bits names at
 * each release of @lock.
 *
 * Locks: @lock, with interrupts off, for everything that says so. The buddy is called without it.
 *
 * It deliberately does not: keep lists sorted by how full slabs are, move objects, look at what a
 * free object contains.
 */

#include <linux/bitmap.h>
#include <linux/mm.h>

#include <compat/compat.h>
#include <kmm/inject.h>
#include <kmm/slab_debug.h>

#include "internal.h"

/* === Frames and slabs === */

/**
 * kmm_addr_to_index() - Index of the frame that an address is in.
 * @sl: slab allocator
 * @p: any address
 * @index: set, unless it is not the region's
 *
 * Context: any. Return: false for memory that is not the region's.
 */
bool kmm_addr_to_index(const struct kmm_slab *sl, const void *p, u32 *index)
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

/**
 * kmm_object_nr() - Number of an object in its slab.
 * @s: cache
 * @obj: an address in one of its slabs
 *
 * Context: any. Return: the number; nr_per_slab or more when no object starts there.
 */
unsigned int kmm_object_nr(const struct kmm_cache *s, const void *obj)
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

/**
 * kmm_slabs_take() - Take objects out of slabs: partial ones first, each as a whole.
 * @s: cache
 * @obj: filled
 * @want: length of @obj
 *
 * Context: @lock is held. Return: how many; less than @want: no slab has more.
 */
unsigned int kmm_slabs_take(struct kmm_cache *s, void **obj, unsigned int want)
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

/* All empty slabs but @keep leave the cache. Return: the first, linked by frame.next. */
static u32 kmm_slabs_detach_empty(struct kmm_cache *s, unsigned int keep)
{
	struct kmm_frame *frames = s->slab->region->frames;
	u32 list = KMM_LIST_END, index;

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

/**
 * kmm_slabs_free() - Give detached slabs to the buddy.
 * @s: cache
 * @list: what kmm_slabs_trim_locked() returned
 *
 * Context: any but NMI; no lock is held. Return: how many.
 */
unsigned long kmm_slabs_free(struct kmm_cache *s, u32 list)
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

/* Readers may still look at these slabs: they go to the buddy after a grace period. */
static void kmm_slabs_defer(struct kmm_cache *s, u32 list)
{
	struct kmm_frame *frames = s->slab->region->frames;
	u32 last = list;

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

/**
 * kmm_slabs_trim_locked() - Empty slabs leave the cache.
 * @s: cache
 * @keep: so many stay
 *
 * Those of a SLAB_TYPESAFE_BY_RCU cache go to the buddy by themselves, after a grace period.
 *
 * Context: @lock is held. Return: what is for kmm_slabs_free() once it is not; KMM_LIST_END:
 * nothing.
 */
u32 kmm_slabs_trim_locked(struct kmm_cache *s, unsigned int keep)
{
	u32 list;

	lockdep_assert_held(&s->lock);
	list = kmm_slabs_detach_empty(s, keep);
	if (!(s->flags & SLAB_TYPESAFE_BY_RCU))
		return list;
	kmm_slabs_defer(s, list);
	return KMM_LIST_END;
}

/* === Ways back, and a new slab: no lock is held === */

/**
 * kmm_slabs_give() - Give objects back to their slabs.
 * @s: cache
 * @obj: free objects of it, with their free words set
 * @nr: length of @obj
 *
 * What turns out to be no object, or free already, is reported and dropped. Slabs that are empty
 * then and more than the cache keeps go to the buddy.
 *
 * Context: any but NMI; no lock is held.
 */
void kmm_slabs_give(struct kmm_cache *s, void **obj, unsigned int nr)
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
	list = kmm_slabs_trim_locked(s, s->max_empty);
	raw_spin_unlock_irqrestore(&s->lock, flags);
	kmm_slabs_free(s, list);
	if (nr_bad)
		kmm_report_free(s->slab, s, bad, "invalid", _RET_IP_);
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

/**
 * kmm_cache_grow() - Get a slab from the buddy, and one object of it for the caller.
 * @s: cache
 * @gfp: Linux GFP flags
 *
 * Context: as kmm_buddy_alloc(); no lock is held. Return: the object; NULL when the buddy has
 * nothing.
 */
void *kmm_cache_grow(struct kmm_cache *s, gfp_t gfp)
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
