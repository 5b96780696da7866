// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Free lists of the buddy allocator
 *
 * A list for each order and type; links are indices in the frame array, as the lists are in the
 * region. A block is taken from the smallest order that has one, cut down, and its rest goes back;
 * a block that comes home merges with its buddy as long as that is free.
 *
 * Types. A request that finds nothing of its type takes the largest block of another, in the order
 * of kmm_fallback[]; a block of a pageblock or more, or one in a pageblock that is at least half
 * free, changes its type with all of the pageblock, so that types mix as little as may be (Linux,
 * steal_suitable_fallback()).
 *
 * Guards (@guard_minorder, for debugging): below that order the rest of a cut block is nobody's,
 * until its buddy is free again.
 *
 * Locks: the buddy's @lock is held everywhere; some counters are those of the CPU's cache, whose
 * lock is held, too.
 *
 * It deliberately does not: decide who may have the last frames; callers say how many must stay.
 */

#include <trace/events/kmm.h>

#include "internal.h"

/* === Data === */

/* Where each type looks when its own lists are empty. */
static const u8 kmm_fallback[KMM_NR_MIGRATETYPES][KMM_NR_MIGRATETYPES - 1] = {
	[KMM_UNMOVABLE] = { KMM_RECLAIMABLE, KMM_MOVABLE },
	[KMM_MOVABLE] = { KMM_RECLAIMABLE, KMM_UNMOVABLE },
	[KMM_RECLAIMABLE] = { KMM_UNMOVABLE, KMM_MOVABLE },
};

/* === Lists === */

static void kmm_list_add(struct kmm_buddy *b, u32 index, unsigned int order, unsigned int mt)
{
	struct kmm_frame *frames = b->region->frames;
	struct kmm_buddy_list *l = &b->free[order][mt];
	struct kmm_frame *f = &frames[index];

	f->tag = KMM_FRAME_TAG(KMM_FRAME_FREE, order);
	f->mt = mt;
	f->prev = KMM_LIST_END;
	f->next = l->first;
	if (l->first != KMM_LIST_END)
		frames[l->first].prev = index;
	l->first = index;
	l->nr++;
	b->nr_free += 1UL << order;
}

/**
 * kmm_list_del() - Take a free block off its list.
 * @b: buddy instance
 * @index: its first frame
 * @order: its order
 *
 * Its first frame is TAIL then, as all others: it is the caller's to give it a state.
 *
 * Context: @lock is held.
 */
void kmm_list_del(struct kmm_buddy *b, u32 index, unsigned int order)
{
	struct kmm_frame *frames = b->region->frames;
	struct kmm_frame *f = &frames[index];
	struct kmm_buddy_list *l = &b->free[order][f->mt];

	if (f->prev == KMM_LIST_END)
		l->first = f->next;
	else
		frames[f->prev].next = f->next;
	if (f->next != KMM_LIST_END)
		frames[f->next].prev = f->prev;
	l->nr--;
	b->nr_free -= 1UL << order;
	f->tag = KMM_FRAME_TAG(KMM_FRAME_TAIL, 0);
}

/**
 * kmm_list_add_rest() - Put frames on the free lists, in blocks that are as large as may be.
 * @b: buddy instance
 * @start: index of the first frame
 * @end: behind the last; @end == @start: nothing is to do
 * @mt: type, that of their pageblocks
 *
 * All are TAIL. They are what is left of a block, or new memory: nothing is merged.
 *
 * Context: @lock is held.
 */
void kmm_list_add_rest(struct kmm_buddy *b, u32 start, u32 end, unsigned int mt)
{
	while (start < end) {
		unsigned int order = __ffs(start | KMM_GRANULE_FRAMES);

		while (start + (1U << order) > end)
			order--;
		kmm_list_add(b, start, order, mt);
		start += 1U << order;
	}
}

/*
 * The same for what is left of a block that one of @guard_minorder was cut down from: blocks below
 * that order become guards. As Linux's expand().
 */
static void kmm_list_add_guards(struct kmm_buddy *b, u32 start, u32 end, unsigned int mt)
{
	struct kmm_frame *f;
	unsigned int order;

	while (start < end && __ffs(start) < b->guard_minorder) {
		order = __ffs(start);
		f = &b->region->frames[start];
		f->tag = KMM_FRAME_TAG(KMM_FRAME_GUARD, order);
		f->mt = mt;
		b->nr_guard += 1UL << order;
		start += 1U << order;
	}
	kmm_list_add_rest(b, start, end, mt);
}

/* The guard at @index ends. Return: false when there is none. */
static noinline bool kmm_guard_del(struct kmm_buddy *b, u32 index, unsigned int order)
{
	struct kmm_frame *f = &b->region->frames[index];

	if (f->tag != KMM_FRAME_TAG(KMM_FRAME_GUARD, order))
		return false;
	f->tag = KMM_FRAME_TAG(KMM_FRAME_TAIL, 0);
	b->nr_guard -= 1UL << order;
	return true;
}

/**
 * kmm_free_block() - A block becomes free, and merges.
 * @b: buddy instance
 * @index: its first frame, in any state but FREE
 * @order: its order
 *
 * Context: @lock is held.
 */
void kmm_free_block(struct kmm_buddy *b, u32 index, unsigned int order)
{
	struct kmm_region *r = b->region;
	struct kmm_frame *frames = r->frames;
	u8 mt = kmm_pageblock_type(r, index);

	frames[index].tag = KMM_FRAME_TAG(KMM_FRAME_TAIL, 0);
	while (order < KMM_MAX_ORDER) {
		u32 buddy = index ^ (1U << order);

		if (likely(frames[buddy].tag == KMM_FRAME_TAG(KMM_FRAME_FREE, order)))
			kmm_list_del(b, buddy, order);
		else if (likely(!b->nr_guard) || !kmm_guard_del(b, buddy, order))
			break;
		index &= ~(1U << order);
		order++;
	}
	/* Two pageblocks become one block: one type. */
	if (order > KMM_PAGEBLOCK_ORDER) {
		WRITE_ONCE(r->pageblock_mt[index >> KMM_PAGEBLOCK_ORDER], mt);
		WRITE_ONCE(r->pageblock_mt[(index >> KMM_PAGEBLOCK_ORDER) + 1], mt);
	}
	kmm_list_add(b, index, order, mt);
}

/* Give all pageblocks from @index on, @nr frames, to @mt, with their free blocks. */
static void kmm_pageblocks_claim(struct kmm_buddy *b, u32 index, u32 nr, unsigned int mt)
{
	struct kmm_frame *frames = b->region->frames;
	u32 i, end = index + nr;

	for (i = index; i < end;) {
		unsigned int order = 0;

		if (kmm_frame_state(&frames[i]) == KMM_FRAME_FREE) {
			order = kmm_frame_order(&frames[i]);
			kmm_list_del(b, i, order);
			kmm_list_add(b, i, order, mt);
		}
		i += 1U << order;
	}
	for (i = index >> KMM_PAGEBLOCK_ORDER; i < end >> KMM_PAGEBLOCK_ORDER; i++)
		WRITE_ONCE(b->region->pageblock_mt[i], mt);
}

static u32 kmm_pageblock_nr_free(struct kmm_buddy *b, u32 index)
{
	const struct kmm_frame *frames = b->region->frames;
	u32 i, nr = 0;

	for (i = index; i < index + KMM_PAGEBLOCK_FRAMES;) {
		unsigned int order = 0;

		if (kmm_frame_state(&frames[i]) == KMM_FRAME_FREE) {
			order = kmm_frame_order(&frames[i]);
			nr += 1U << order;
		}
		i += 1U << order;
	}
	return nr;
}

/*
 * Type @mt has no block of @order or more: find the largest of another type. A block of a
 * pageblock or more, or one in a pageblock that is at least half free, changes type with all
 * of its pageblock; any other is used as it is.
 * Return: true when there is one; then *index and *found name it.
 */
static bool kmm_find_fallback(struct kmm_buddy *b, struct kmm_pcp *pcp, unsigned int order,
			      unsigned int mt, u32 *index, unsigned int *found)
{
	int o, i;

	for (o = KMM_MAX_ORDER; o >= (int)order; o--) {
		for (i = 0; i < ARRAY_SIZE(kmm_fallback[mt]); i++) {
			unsigned int other = kmm_fallback[mt][i];
			struct kmm_buddy_list *l = &b->free[o][other];
			u32 start, nr;
			bool claim;

			if (l->first == KMM_LIST_END)
				continue;
			*index = l->first;
			*found = o;
			nr = max(1UL << o, KMM_PAGEBLOCK_FRAMES);
			start = *index & ~(nr - 1);
			claim = o >= KMM_PAGEBLOCK_ORDER ||
				kmm_pageblock_nr_free(b, start) >= KMM_PAGEBLOCK_FRAMES / 2;
			pcp->event[KMM_EXTFRAG]++;
			trace_mm_page_alloc_extfrag(kmm_region_page(b->region, *index), order, o,
						    mt, other, claim);
			if (claim) {
				pcp->event[KMM_PAGEBLOCK_STEAL] += nr >> KMM_PAGEBLOCK_ORDER;
				kmm_pageblocks_claim(b, start, nr, mt);
			}
			return true;
		}
	}
	return false;
}

static bool kmm_find_block(struct kmm_buddy *b, struct kmm_pcp *pcp, unsigned int order,
			   unsigned int mt, u32 *index, unsigned int *found)
{
	unsigned int o;

	for (o = order; o < KMM_NR_ORDERS; o++) {
		if (b->free[o][mt].first != KMM_LIST_END) {
			*index = b->free[o][mt].first;
			*found = o;
			return true;
		}
	}
	return kmm_find_fallback(b, pcp, order, mt, index, found);
}

/**
 * kmm_take_blocks() - Take blocks of one order from the free lists.
 * @b: buddy instance
 * @pcp: this CPU's cache, for its counters
 * @entry: filled; neighbours together, lowest address last (it goes out first)
 * @want: length of @entry
 * @order: log2 of frames of each
 * @mt: type; others are taken when it has none
 * @floor: frames that must stay
 *
 * The cost of a split is shared by the batch. The blocks are CACHED.
 *
 * Context: @lock and @pcp's lock are held. Return: how many, 0..@want.
 */
unsigned int kmm_take_blocks(struct kmm_buddy *b, struct kmm_pcp *pcp, struct kmm_pcp_entry *entry,
			     unsigned int want, unsigned int order, unsigned int mt,
			     unsigned long floor)
{
	struct kmm_region *r = b->region;
	unsigned int got = 0;

	lockdep_assert_held(&b->lock);
	while (got < want && b->nr_free >= floor + (1UL << order)) {
		unsigned long spare = b->nr_free - floor;
		unsigned int found, n, i;
		struct kmm_frame *f;
		struct page *page;
		u32 index;
		u8 type;

		if (!kmm_find_block(b, pcp, order, mt, &index, &found))
			break;
		f = &r->frames[index];
		type = f->mt;
		page = kmm_region_page(r, index);
		kmm_list_del(b, index, found);
		if (unlikely(order < b->guard_minorder)) {
			n = 1;
			kmm_list_add_guards(b, index + (1U << order), index + (1U << found), type);
		} else {
			n = min3((unsigned long)want - got, 1UL << (found - order), spare >> order);
			kmm_list_add_rest(b, index + (n << order), index + (1U << found), type);
		}
		for (i = 0; i < n; i++) {
			struct kmm_pcp_entry *e = &entry[got + n - 1 - i];

			f->tag = KMM_FRAME_TAG(KMM_FRAME_CACHED, order);
			f->mt = type;
			e->page = page;
			e->frame = f;
			trace_mm_page_alloc_zone_locked(page, order, mt);
			f += 1UL << order;
			page += 1UL << order;
		}
		got += n;
	}
	return got;
}
