// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Ranges of frames
 *
 * A caller names the frames that it wants, by pfn, as in Linux's alloc_contig_range(). It gets all
 * of them or none:
 *
 *	1. kmm_buddy_stop() empties all CPUs' caches and holds them. What is not given out is on
 *	   the free lists now, and stays.
 *	2. From block to block: the range is free if each of its frames is in a free block. A free
 *	   block that has a frame starts at the frame's index with its low bits cleared, so at most
 *	   one start per order is to be looked at.
 *	3. Each block leaves its list. What the first has before the range and the last has behind
 *	   it goes back in smaller blocks.
 *
 * The range need not be aligned, nor be a power of two long. Its frames are USED of order 0 each,
 * so they are freed one by one, in any order, and merge again by themselves. A range may cross
 * granules; one with a frame that the region does not have is refused with -EINVAL.
 *
 * The watermarks do not count: a range is wanted or not, there is no smaller one that would do. The
 * reserve may be gone then, and @wake is called.
 *
 * Invariant: on an error nothing has changed but where free frames are (caches or lists).
 *
 * Locks: all caches' and @lock from the look to the end of the taking, so a range of n frames costs
 * O(n) with IRQs off. With more CPUs than KMM_LOCK_ALL_CPUS other CPUs' caches may fill again in
 * between: frames that they took from the lists refuse the range, although they are free.
 *
 * It deliberately does not: migrate what is in the way, or reclaim; a frame in use, in quarantine
 * or of the metadata refuses the whole range.
 */

#include <compat/compat.h>
#include <kmm/assert.h>

#include "internal.h"

/* The free block that frame @index is in; false when it is in none. @lock is held. */
static bool kmm_find_free_block_of(struct kmm_buddy *b, u32 index, u32 *start, unsigned int *order)
{
	unsigned int o;

	for (o = 0; o < KMM_NR_ORDERS; o++) {
		*start = index & ~((1U << o) - 1);
		if (b->region->frames[*start].tag == KMM_FRAME_TAG(KMM_FRAME_FREE, o)) {
			*order = o;
			return true;
		}
	}
	return false;
}

/* Index of a pfn whose frame the region has; false otherwise. */
static bool kmm_pfn_to_index(const struct kmm_region *r, unsigned long pfn, u32 *index)
{
	const struct kmm_frame *f = kmm_region_frame(r, pfn);

	if (!f || kmm_frame_state(f) == KMM_FRAME_ABSENT)
		return false;
	*index = kmm_region_index(r, f);
	return true;
}

static int kmm_range_is_free(struct kmm_buddy *b, unsigned long pfn, unsigned long end_pfn)
{
	unsigned int order;
	u32 index, start;

	while (pfn < end_pfn) {
		if (!kmm_pfn_to_index(b->region, pfn, &index))
			return -EINVAL;
		if (!kmm_find_free_block_of(b, index, &start, &order))
			return -EBUSY;
		pfn += (1UL << order) - (index - start);
	}
	return 0;
}

static void kmm_range_take(struct kmm_buddy *b, unsigned long pfn, unsigned long end_pfn)
{
	struct kmm_frame *frames = b->region->frames;
	unsigned int order;
	u32 index, start;

	while (pfn < end_pfn) {
		u32 end, last;
		u8 mt;

		if (!kmm_assert(kmm_pfn_to_index(b->region, pfn, &index) &&
				kmm_find_free_block_of(b, index, &start, &order)))
			return;
		mt = frames[start].mt;
		end = start + (1U << order);
		last = min_t(unsigned long, end - index, end_pfn - pfn) + index;
		kmm_list_del(b, start, order);
		kmm_list_add_rest(b, start, index, mt);
		kmm_list_add_rest(b, last, end, mt);
		pfn += last - index;
		for (; index < last; index++) {
			frames[index].tag = KMM_TAG_USED(0);
			frames[index].mt = mt;
		}
	}
}

/**
 * kmm_alloc_range() - Take exactly these frames, for kmm or for a client.
 * @b: buddy instance
 * @start_pfn: first frame
 * @end_pfn: behind the last
 * @gfp: __GFP_ZERO counts
 * @client: as for kmm_alloc_finish_one()
 * @slot: as for that
 *
 * Context: any but NMI; no lock is held. Return: as kmm_buddy_alloc_range().
 */
int kmm_alloc_range(struct kmm_buddy *b, unsigned long start_pfn, unsigned long end_pfn, gfp_t gfp,
		    bool client, const unsigned long *slot)
{
	unsigned long flags, pfn;
	struct kmm_pcp *mine;
	int err;

	if (start_pfn >= end_pfn)
		return -EINVAL;
	mine = kmm_buddy_stop(b, &flags);
	err = kmm_range_is_free(b, start_pfn, end_pfn);
	if (!err) {
		kmm_range_take(b, start_pfn, end_pfn);
		mine->nr_alloc[0] += end_pfn - start_pfn;
	}
	kmm_buddy_resume(b, mine, flags);
	kmm_wake_if_low(b);
	for (pfn = start_pfn; !err && pfn < end_pfn; pfn++)
		kmm_alloc_finish_one(b, gfp, pfn_to_page(pfn), client, slot);
	return err;
}

/**
 * kmm_buddy_alloc_range() - Take exactly these frames.
 * @b: buddy instance
 * @start_pfn: first frame
 * @end_pfn: behind the last
 *
 * They are single frames from then on, to be freed one by one. All CPUs' caches are emptied.
 *
 * Context: any but NMI. Return: 0; -EINVAL when the range is empty or not all in the region;
 * -EBUSY when a frame of it is in use. On error nothing is taken.
 */
int kmm_buddy_alloc_range(struct kmm_buddy *b, unsigned long start_pfn, unsigned long end_pfn)
{
	return kmm_alloc_range(b, start_pfn, end_pfn, GFP_NOWAIT, false, kmm_depot_slot());
}
KMM_EXPORT_INTERNAL(kmm_buddy_alloc_range);

