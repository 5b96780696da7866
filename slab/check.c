// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Figures and self-check of the slab allocator
 *
 * Figures. Nothing is counted on the fast paths. How many objects clients have is what is left:
 *
 *	used == objects of all slabs - free bits - in the depot - in stacks
 *
 * The first three are read under @lock; other CPUs' stacks are read as they are, so the result is
 * exact when nobody works on the cache, and else off by what is on its way. It is never negative.
 * Objects that kfence serves in the cache's place are in no slab, and added.
 *
 * Self-check. kmm_slab_check() holds @lock and goes two ways, which must meet:
 *
 *	lists	from each list's head: links in both directions, the slab is this cache's, its
 *		number of free objects is one for this list, the list's length
 *	frames	over the whole region: each slab of this cache is a used block of its order, all
 *		frames of which name the cache; as many free bits are set as it says; the sums of
 *		slabs and of free objects are the cache's
 *
 * A slab with free objects that is on no list is not found: its objects are seen as free.
 *
 * What is in use. kmm_slab_for_each_used() goes over the region and names every object and block
 * that is given out, for kmemleak, when it is switched on in the middle of things. An object in a
 * stack or in the depot has its bit cleared, but its free word set, so it is seen to be free. A
 * block for which an account pays holds data of users, or is in a slot of KMM_IOC_OPS: it is not
 * named.
 *
 * Locks: @lock for one cache's figures and check; kmm_slab.mutex for the walk: no cache comes or
 * goes, so a cache whose slab is seen stays.
 *
 * It deliberately does not: repair, or stop anybody for exact figures.
 */

#define pr_fmt(fmt) "kmm: slab: " fmt

#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include <compat/compat.h>
#include <kmm/hooks.h>

#include "internal.h"

/* === Figures === */

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

/* === Self-check === */

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

/* === What is in use === */

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
 * kmm_slab_for_each_used() - The memory that the buddy and the caches have given out.
 * @sl: slab allocator
 * @fn: called for objects of caches, but not for those with SLAB_NOLEAKTRACE, and for blocks that
 *	are no slabs and have no owner (kmm_buddy_set_owner()); may sleep, may not create or
 *	destroy caches
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
		if (s && s != &sl->large) {
			if (!(s->flags & SLAB_NOLEAKTRACE))
				kmm_slab_each_object(s, index, fn, ctx);
		} else if (!READ_ONCE(r->frames[index].owner)) {
			fn(ctx, page_address(kmm_region_page(r, index)), nr << PAGE_SHIFT);
		}
		cond_resched();
	}
	mutex_unlock(&sl->mutex);
}
KMM_EXPORT_INTERNAL(kmm_slab_for_each_used);
