// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Figures and self-check of the buddy allocator
 *
 * Figures. The fast paths count blocks given out and taken back, by order, in their CPU's cache
 * only; what is in use is the difference, summed over all CPUs when somebody asks. A CPU's own
 * difference says nothing, and may be negative: a block may be freed where it was not taken. Free
 * frames, guards and quarantined ones are counted where they change, under @lock; cached ones are
 * the lengths of the caches.
 *
 * With all locks held the sum is exact to the frame. Else a block that changes its state meanwhile
 * may be counted twice or not at all, and @exact of struct kmm_buddy_stat says so: whoever asks
 * often does not want all CPUs to stand still for it.
 *
 * Self-check. kmm_buddy_check() holds all locks and looks three times, each time at what the other
 * two do not use:
 *
 *	lists	from each list's head: links in both directions, tag, order and type of each block,
 *		the length of the list, the sum of all against nr_free; the quarantine
 *	caches	each entry's page and frame are the same memory, its tag is that of the list
 *	frames	from the first frame to the last, block by block: it is aligned, all frames in it
 *		are TAIL, its buddy is not free as well, its pageblocks have its type; the sum by
 *		state against the counters, and their sum against the region's size
 *
 * A frame that is on no list and says FREE is found by the sums, one on two lists by its links.
 * Each violation is logged, the first ten of a check; a broken list ends its walk, so that a cycle
 * does not hang. Tests call it after everything that they do.
 *
 * Locks: none in the checks themselves; kmm_buddy_lock_all() around them.
 *
 * It deliberately does not: repair anything, or run by itself: it costs O(frames) with IRQs off.
 */

#define pr_fmt(fmt) "kmm: buddy: " fmt

#include <linux/mm.h>

#include <compat/compat.h>

#include "internal.h"

/* === Figures === */

/* Add what one CPU's cache has, and has done. Its lock is held, or the figures are approximate. */
static void kmm_buddy_add_cpu(struct kmm_buddy_stat *st, const struct kmm_pcp *pcp)
{
	unsigned int i;

	for (i = 0; i < KMM_PCP_NR_LISTS; i++)
		st->cached += kmm_pcp_list_nr(&pcp->list[i]) << kmm_pcp_order(i);
	for (i = 0; i < KMM_NR_ORDERS; i++) {
		u64 nr_alloc = READ_ONCE(pcp->nr_alloc[i]);
		u64 nr_freed = READ_ONCE(pcp->nr_freed[i]);

		st->nr_alloc[i] += nr_alloc;
		st->nr_freed[i] += nr_freed;
		st->pgalloc += nr_alloc << i;
		st->pgfree += nr_freed << i;
	}
	for (i = 0; i < KMM_NR_BUDDY_EVENTS; i++)
		st->event[i] += READ_ONCE(pcp->event[i]);
}

/* All locks are held, or the figures are approximate. */
static void kmm_buddy_sum(struct kmm_buddy *b, struct kmm_buddy_stat *st)
{
	unsigned int cpu, i, mt;

	for_each_possible_cpu(cpu)
		kmm_buddy_add_cpu(st, per_cpu_ptr(b->pcp, cpu));
	/* Approximate, more may have come back than went out. */
	st->used = max((long)(st->pgalloc - st->pgfree), 0L);
	st->guard = READ_ONCE(b->nr_guard);
	st->free = READ_ONCE(b->nr_free);
	st->quarantined = READ_ONCE(b->nr_quarantined);
	st->metadata = b->region->early_frames;
	st->total = b->region->nr_frames;
	for (i = 0; i < KMM_NR_ORDERS; i++)
		for (mt = 0; mt < KMM_NR_MIGRATETYPES; mt++)
			st->nr_free_blocks[i][mt] = READ_ONCE(b->free[i][mt].nr);
}

/**
 * kmm_buddy_stat() - Where the frames are.
 * @b: buddy instance
 * @st: filled
 * @exact: hold all locks for it; @st->exact tells whether that was possible
 *
 * Context: any but NMI. @exact stops all CPUs' allocations for some microseconds.
 */
void kmm_buddy_stat(struct kmm_buddy *b, struct kmm_buddy_stat *st, bool exact)
{
	unsigned long flags;

	memset(st, 0, sizeof(*st));
	st->exact = exact && num_possible_cpus() <= KMM_LOCK_ALL_CPUS;
	if (st->exact)
		kmm_buddy_lock_all(b, &flags);
	kmm_buddy_sum(b, st);
	if (st->exact)
		kmm_buddy_unlock_all(b, flags);
}
KMM_EXPORT_INTERNAL(kmm_buddy_stat);

/**
 * kmm_buddy_cpu_stat() - What one CPU's cache has, and has done.
 * @b: buddy instance
 * @cpu: a possible CPU
 * @st: filled
 *
 * Context: any but NMI; waits for that CPU's cache, no other is stopped.
 */
void kmm_buddy_cpu_stat(struct kmm_buddy *b, unsigned int cpu, struct kmm_buddy_cpu_stat *st)
{
	struct kmm_pcp *pcp = per_cpu_ptr(b->pcp, cpu);
	struct kmm_buddy_stat sum = { };
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&pcp->lock, flags);
	kmm_buddy_add_cpu(&sum, pcp);
	spin_unlock_irqrestore(&pcp->lock, flags);
	st->cached = sum.cached;
	st->pgalloc = sum.pgalloc;
	st->pgfree = sum.pgfree;
	memcpy(st->event, sum.event, sizeof(st->event));
	st->high = 0;
	for (i = 0; i < KMM_PCP_NR_LISTS; i++)
		st->high += kmm_pcp_list_high(&pcp->list[i]) << kmm_pcp_order(i);
}
KMM_EXPORT_INTERNAL(kmm_buddy_cpu_stat);

/* === Self-check === */

static __printf(2, 3) void kmm_check_fail(unsigned long *bad, const char *fmt, ...)
{
	struct va_format vaf;
	va_list args;

	if ((*bad)++ >= 10)
		return;
	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	pr_err("check: %pV\n", &vaf);
	va_end(args);
}

/* Each list: links, tags, types, counts. */
static void kmm_check_lists(struct kmm_buddy *b, unsigned long *bad)
{
	struct kmm_region *r = b->region;
	unsigned long frames = 0, n = 0;
	unsigned int order, mt;
	u32 i, prev, nr;

	for (order = 0; order < KMM_NR_ORDERS; order++) {
		for (mt = 0; mt < KMM_NR_MIGRATETYPES; mt++) {
			struct kmm_buddy_list *l = &b->free[order][mt];

			nr = 0;
			prev = KMM_LIST_END;
			for (i = l->first; i != KMM_LIST_END; i = r->frames[i].next) {
				const struct kmm_frame *f = &r->frames[i];

				if (i >= r->nr_index || nr > r->nr_index) {
					kmm_check_fail(bad, "list %u/%u is broken at %u", order,
						       mt, i);
					return;
				}
				if (f->prev != prev || f->mt != mt ||
				    f->tag != KMM_FRAME_TAG(KMM_FRAME_FREE, order))
					kmm_check_fail(bad, "frame %u on list %u/%u: tag %#x type %u prev %u",
						       i, order, mt, f->tag, f->mt, f->prev);
				prev = i;
				nr++;
			}
			if (nr != l->nr)
				kmm_check_fail(bad, "list %u/%u has %u blocks, says %u", order, mt,
					       nr, l->nr);
			frames += (unsigned long)nr << order;
		}
	}
	if (frames != b->nr_free)
		kmm_check_fail(bad, "lists have %lu frames, nr_free says %lu", frames, b->nr_free);
	for (i = b->quarantine; i != KMM_LIST_END && n <= b->nr_quarantined;
	     i = r->frames[i].next) {
		if (r->frames[i].tag != KMM_FRAME_TAG(KMM_FRAME_QUARANTINED, 0))
			kmm_check_fail(bad, "frame %u in quarantine: tag %#x", i, r->frames[i].tag);
		n++;
	}
	if (n != b->nr_quarantined)
		kmm_check_fail(bad, "quarantine has %lu frames, says %lu", n, b->nr_quarantined);
}

/* Each frame: blocks are whole, aligned, merged; sums by state. */
static void kmm_check_frames(struct kmm_buddy *b, const struct kmm_buddy_stat *st,
			     unsigned long *bad)
{
	unsigned long sum[KMM_NR_FRAME_STATES] = { };
	struct kmm_region *r = b->region;
	unsigned long i, j;

	for (i = 0; i < r->nr_index; i += j) {
		const struct kmm_frame *f = &r->frames[i];
		unsigned int order = kmm_frame_order(f), state = kmm_frame_state(f);

		j = 1;
		if (state >= KMM_NR_FRAME_STATES || state == KMM_FRAME_TAIL ||
		    order > KMM_MAX_ORDER || i & ((1UL << order) - 1)) {
			kmm_check_fail(bad, "frame %lu: no block starts here, tag %#x", i, f->tag);
			continue;
		}
		for (; j < 1UL << order; j++)
			if (f[j].tag != KMM_FRAME_TAG(KMM_FRAME_TAIL, 0))
				kmm_check_fail(bad, "frame %lu in a block of %lu: tag %#x", i + j,
					       i, f[j].tag);
		sum[state] += 1UL << order;
		if (state != KMM_FRAME_FREE)
			continue;
		if (order < KMM_MAX_ORDER && r->frames[i ^ (1UL << order)].tag == f->tag)
			kmm_check_fail(bad, "block %lu of order %u is not merged", i, order);
		for (j = 0; j < 1UL << order; j += KMM_PAGEBLOCK_FRAMES)
			if (kmm_pageblock_type(r, i + j) != f->mt)
				kmm_check_fail(bad, "block %lu: type %u, pageblock of type %u", i,
					       f->mt, kmm_pageblock_type(r, i + j));
		j = 1UL << order;
	}
	if (sum[KMM_FRAME_FREE] != st->free || sum[KMM_FRAME_CACHED] != st->cached ||
	    sum[KMM_FRAME_USED] != st->used || sum[KMM_FRAME_GUARD] != st->guard ||
	    sum[KMM_FRAME_QUARANTINED] != st->quarantined ||
	    sum[KMM_FRAME_METADATA] != st->metadata)
		kmm_check_fail(bad, "frames say free %lu cached %lu used %lu guard %lu quarantined %lu metadata %lu; counters %lu %lu %lu %lu %lu %lu",
			       sum[KMM_FRAME_FREE], sum[KMM_FRAME_CACHED],
			       sum[KMM_FRAME_USED], sum[KMM_FRAME_GUARD],
			       sum[KMM_FRAME_QUARANTINED], sum[KMM_FRAME_METADATA], st->free,
			       st->cached, st->used, st->guard, st->quarantined, st->metadata);
	if (st->free + st->cached + st->used + st->guard + st->quarantined + st->metadata !=
	    st->total)
		kmm_check_fail(bad, "the sum is not %lu", st->total);
}

static void kmm_check_pcps(struct kmm_buddy *b, unsigned long *bad)
{
	unsigned int cpu, i;

	for_each_possible_cpu(cpu) {
		struct kmm_pcp *pcp = per_cpu_ptr(b->pcp, cpu);

		for (i = 0; i < KMM_PCP_NR_LISTS; i++) {
			u16 tag = KMM_FRAME_TAG(KMM_FRAME_CACHED, kmm_pcp_order(i));
			const struct kmm_pcp_list *l = &pcp->list[i];
			const struct kmm_pcp_entry *e;

			for (e = l->base; e < l->top; e++)
				if (e->frame->tag != tag ||
				    kmm_region_frame(b->region, page_to_pfn(e->page)) != e->frame)
					kmm_check_fail(bad, "cpu %u list %u: pfn %#lx tag %#x", cpu,
						       i, page_to_pfn(e->page), e->frame->tag);
			if (l->top < l->base || l->top > l->limit)
				kmm_check_fail(bad, "cpu %u list %u: %lu blocks, high is %lu",
					       cpu, i, kmm_pcp_list_nr(l), kmm_pcp_list_high(l));
		}
	}
}

/**
 * kmm_buddy_check() - Prove the invariants on the whole state.
 * @b: buddy instance
 *
 * Walks every frame with all locks held: for tests.
 *
 * Context: any but NMI. Return: violations; the first ten are in the log.
 */
unsigned long kmm_buddy_check(struct kmm_buddy *b)
{
	struct kmm_buddy_stat st = { };
	unsigned long flags, bad = 0;

	kmm_buddy_lock_all(b, &flags);
	kmm_buddy_sum(b, &st);
	kmm_check_lists(b, &bad);
	kmm_check_pcps(b, &bad);
	kmm_check_frames(b, &st, &bad);
	kmm_buddy_unlock_all(b, flags);
	return bad;
}
KMM_EXPORT_INTERNAL(kmm_buddy_check);
