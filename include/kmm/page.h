/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What kmm knows about a page frame. The array of struct kmm_frame belongs to
 * the region; the host's struct page is left alone but for the fields that
 * DESIGN.md section 1 names.
 */
#ifndef _KMM_PAGE_H
#define _KMM_PAGE_H

#include <linux/build_bug.h>
#include <linux/types.h>

/* Blocks are at most 4 MiB; a granule is the naturally aligned run of that size. */
#define KMM_MAX_ORDER		10
#define KMM_NR_ORDERS		(KMM_MAX_ORDER + 1)
#define KMM_GRANULE_FRAMES	(1UL << KMM_MAX_ORDER)

/* Frames of one mobility type are grouped by 2 MiB, as Linux's pageblocks. */
#define KMM_PAGEBLOCK_ORDER	9
#define KMM_PAGEBLOCK_FRAMES	(1UL << KMM_PAGEBLOCK_ORDER)

/**
 * enum kmm_migratetype - who can take a frame back
 * @KMM_UNMOVABLE: nobody: kernel clients, slabs, tables
 * @KMM_MOVABLE: reclaim can evict it (__GFP_MOVABLE)
 * @KMM_RECLAIMABLE: a shrinker can free it (__GFP_RECLAIMABLE)
 * @KMM_NR_MIGRATETYPES: number of types
 */
enum kmm_migratetype {
	KMM_UNMOVABLE,
	KMM_MOVABLE,
	KMM_RECLAIMABLE,
	KMM_NR_MIGRATETYPES
};

/**
 * enum kmm_frame_state - who owns a frame
 * @KMM_FRAME_ABSENT: not part of the region (trimmed, or a gap in a granule)
 * @KMM_FRAME_METADATA: given by the early allocator, for good
 * @KMM_FRAME_TAIL: not the first frame of its block; the block's first frame tells
 * @KMM_FRAME_FREE: first of a block on a free list; protected by the buddy's lock
 * @KMM_FRAME_CACHED: first of a block in a per-CPU cache; protected by its lock
 * @KMM_FRAME_QUARANTINED: freed, but somebody outside holds a reference; order 0
 * @KMM_FRAME_GUARD: first of a block that nobody has, next to a used one; see
 *	kmm_buddy.guard_minorder; protected by the buddy's lock
 * @KMM_FRAME_USED: first of a block that a client holds; the last state, see KMM_TAG_USED
 * @KMM_NR_FRAME_STATES: number of states
 */
enum kmm_frame_state {
	KMM_FRAME_ABSENT,
	KMM_FRAME_METADATA,
	KMM_FRAME_TAIL,
	KMM_FRAME_FREE,
	KMM_FRAME_CACHED,
	KMM_FRAME_QUARANTINED,
	KMM_FRAME_GUARD,
	KMM_FRAME_USED,
	KMM_NR_FRAME_STATES
};

/**
 * struct kmm_frame - 16 bytes per frame of the region
 * @next: index of the next frame on its list; FREE and QUARANTINED only
 * @prev: index of the previous one
 * @tag: KMM_FRAME_TAG(state, order): one word, so that one compare checks both
 * @mt: enum kmm_migratetype of the free list that a FREE block is on; of the pageblock
 *	that any other block was taken from: a hint, the pageblock may have changed since
 * @policy: what the page replacement knows of a USED frame (policy/); zero in others
 * @owner: number of the account that pays for a USED or QUARANTINED frame, 0 is none;
 *	kept by the client of the buddy
 *
 * State and order of a block stand in its first frame; all its other frames are
 * KMM_FRAME_TAIL. So split and merge write one frame each.
 */
struct kmm_frame {
	u32 next;
	u32 prev;
	u16 tag;
	u8 mt;
	u8 policy;
	u32 owner;
};

static_assert(sizeof(struct kmm_frame) == 16);

#define KMM_FRAME_TAG(state, order)	((u16)((state) << 8 | (order)))

/*
 * What the tag of a used block of @order must be. A sum, not cut to 16 bits: because USED is
 * the last state, no order above KMM_MAX_ORDER, however large, gives a tag that exists.
 */
#define KMM_TAG_USED(order)		(((u32)KMM_FRAME_USED << 8) + (order))

static inline enum kmm_frame_state kmm_frame_state(const struct kmm_frame *f)
{
	return f->tag >> 8;
}

static inline unsigned int kmm_frame_order(const struct kmm_frame *f)
{
	return f->tag & 0xff;
}

#endif /* _KMM_PAGE_H */
