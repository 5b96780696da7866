// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_buddy
 *
 * The buddy allocator in the kernel, on private instances over a fake region (helpers.c).
 * A case is a property. What the user-space harness (tools/harness) cannot show is here:
 * real contexts, real CPUs, real concurrency, the host's own compaction and usercopy
 * checks over our pages, and lockdep and KASAN on the debug kernel. The random case uses
 * the same idea as the harness: a byte per frame that says who has it.
 *
 * Reports of refused frees are rate limited (ten in five seconds), so all planted ones are
 * in one case, which waits until the limit is fresh and announces what it will provoke.
 */

#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <kmm/inject.h>
#include <kmm/kmm.h>

#include "helpers.h"

/* Never sleeps, never warns, gets the last frame. */
#define GRAB	(__GFP_MEMALLOC | __GFP_NOWARN)
#define QUIET	(GFP_KERNEL | __GFP_NOWARN)

/* === Small helpers === */

static struct page *must_alloc(struct kunit *test, gfp_t gfp, unsigned int order)
{
	struct kmm_test *t = test->priv;
	struct page *page = kmm_buddy_alloc(&t->buddy, gfp, order);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL_MSG(test, page, "order %u gfp %#x", order, (__force u32)gfp);
	KUNIT_ASSERT_TRUE(test, IS_ALIGNED(page_to_pfn(page), 1UL << order));
	for (i = 0; i < 1U << order; i++)
		KUNIT_ASSERT_EQ(test, page_count(page + i), 1);
	return page;
}

/* Take single frames until there are none; returns them in a kunit-owned array. */
static struct page **take_all(struct kunit *test, gfp_t gfp, unsigned long *nr)
{
	struct kmm_test *t = test->priv;
	unsigned long max = kmm_test_frames(t), n = 0;
	struct page **pages = kunit_kmalloc_array(test, max, sizeof(*pages), GFP_KERNEL);
	struct page *page;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	while ((page = kmm_buddy_alloc(&t->buddy, gfp, 0))) {
		KUNIT_ASSERT_LT(test, n, max);
		pages[n++] = page;
	}
	*nr = n;
	return pages;
}

static void free_all(struct kmm_test *t, struct page **pages, unsigned long nr)
{
	while (nr--)
		if (pages[nr])
			kmm_buddy_free(&t->buddy, pages[nr], 0);
}

static bool is_zero(struct page *page, unsigned int order)
{
	return !memchr_inv(page_address(page), 0, PAGE_SIZE << order);
}

/* A whole free granule of the plain layout: not the one with the metadata. */
static unsigned long free_granule(struct kmm_test *t)
{
	return page_to_pfn(t->host[2]);
}

/* === Orders === */

static void blocks_are_aligned_at_every_order(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	struct page *page[KMM_NR_ORDERS];
	unsigned int o;

	for (o = 0; o < KMM_NR_ORDERS; o++)
		page[o] = must_alloc(test, QUIET, o);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), (1UL << KMM_NR_ORDERS) - 1);
	for (o = 0; o < KMM_NR_ORDERS; o++)
		kmm_buddy_free(&t->buddy, page[o], o);
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, QUIET, KMM_NR_ORDERS));
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, QUIET, UINT_MAX));
	kmm_test_end(test);
}

/* One block of order o out of a whole granule leaves one of each order o .. 9. */
static void alloc_splits_the_smallest_block(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned long before[KMM_NR_ORDERS], after[KMM_NR_ORDERS];
	unsigned int o, i;

	for (o = 4; o < KMM_NR_ORDERS; o++) {
		struct page *page;
		unsigned int from = KMM_NR_ORDERS;

		if (o == 9)	/* comes in batches */
			continue;
		kmm_test_free_blocks(t, before);
		for (i = KMM_NR_ORDERS; i-- > o;)
			if (before[i])
				from = i;
		KUNIT_ASSERT_LT(test, from, KMM_NR_ORDERS);
		page = must_alloc(test, QUIET | __GFP_MOVABLE, o);
		kmm_test_free_blocks(t, after);
		for (i = 0; i < KMM_NR_ORDERS; i++)
			KUNIT_EXPECT_EQ_MSG(test, after[i],
					    before[i] + (i >= o && i < from) - (i == from),
					    "order %u: blocks of order %u", o, i);
		kmm_buddy_free(&t->buddy, page, o);
		kmm_test_free_blocks(t, after);
		for (i = 0; i < KMM_NR_ORDERS; i++)
			KUNIT_EXPECT_EQ(test, after[i], before[i]);
	}
	kmm_test_end(test);
}

static void free_merges_with_buddy(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned long pfn = free_granule(t), nr[KMM_NR_ORDERS];
	unsigned int o, i;

	/* All of a granule by single frames; then bring back pairs, order by order. */
	KUNIT_ASSERT_EQ(test, kmm_buddy_alloc_range(&t->buddy, pfn, pfn + 1024), 0);
	kmm_buddy_free(&t->buddy, pfn_to_page(pfn), 0);
	kmm_test_free_blocks(t, nr);
	KUNIT_EXPECT_EQ(test, nr[0], t->initial[0] + 1);
	for (o = 0; o < KMM_MAX_ORDER; o++) {
		/* the first of the buddy's frames last: nothing merges before it */
		for (i = (2U << o) - 1; i > 1U << o; i--)
			kmm_buddy_free(&t->buddy, pfn_to_page(pfn + i), 0);
		kmm_test_free_blocks(t, nr);
		KUNIT_EXPECT_EQ_MSG(test, nr[o], t->initial[o] + 1, "order %u before", o);
		kmm_buddy_free(&t->buddy, pfn_to_page(pfn + (1U << o)), 0);
		kmm_test_free_blocks(t, nr);
		KUNIT_EXPECT_EQ_MSG(test, nr[o], t->initial[o], "order %u", o);
		if (o + 1 < KMM_MAX_ORDER)
			KUNIT_EXPECT_EQ_MSG(test, nr[o + 1], t->initial[o + 1] + 1, "order %u", o);
		KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
	}
	kmm_test_end(test);
}

static void blocks_do_not_merge_over_gaps(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_odd);
	struct page **pages;
	unsigned long nr;

	/* All single frames out and back: the same blocks as at the start, see kmm_test_end(). */
	pages = take_all(test, GRAB, &nr);
	KUNIT_EXPECT_EQ(test, nr, kmm_test_frames(t) - t->region.early_frames);
	KUNIT_EXPECT_EQ(test, kmm_test_free(t), 0);
	free_all(t, pages, nr);
	kmm_test_end(test);
}

/* === gfp flags === */

static void zeroed_blocks_are_zero(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	struct page *pages[3] = { };
	unsigned int o;

	for (o = 0; o < KMM_NR_ORDERS; o++) {
		struct page *page = must_alloc(test, QUIET, o);

		memset(page_address(page), 0xa5, PAGE_SIZE << o);
		kmm_buddy_free(&t->buddy, page, o);
		page = must_alloc(test, QUIET | __GFP_ZERO, o);
		KUNIT_EXPECT_TRUE_MSG(test, is_zero(page, o), "order %u", o);
		memset(page_address(page), 0xa5, PAGE_SIZE << o);
		kmm_buddy_free(&t->buddy, page, o);
	}
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_bulk(&t->buddy, QUIET | __GFP_ZERO, 3, pages), 3);
	for (o = 0; o < 3; o++)
		KUNIT_EXPECT_TRUE(test, is_zero(pages[o], 0));
	kmm_buddy_free_bulk(&t->buddy, pages, 3);
	kmm_test_end(test);
}

static void nowarn_is_silent(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned long nr;
	struct page **pages = take_all(test, GRAB, &nr);
	u64 mark = kmm_log_mark(), fails = kmm_test_event(t, KMM_ALLOC_FAIL);

	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, GFP_KERNEL | __GFP_NOWARN, 0));
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "page allocation failure"), 0);
	kmm_expect("page allocation failure: order:0", 1);
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, GFP_KERNEL, 0));
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "page allocation failure: order:0"), 1);
	KUNIT_EXPECT_EQ(test, kmm_test_event(t, KMM_ALLOC_FAIL), fails + 2);
	free_all(t, pages, nr);
	kmm_test_end(test);
}

struct context_call {
	struct kmm_buddy *b;
	struct page *page[4];
	struct page *extra;
	unsigned int got;
};

/* Alloc and free of several orders, through caches and free lists, and a drain. */
static void context_alloc_free(void *arg)
{
	struct context_call *c = arg;
	unsigned int o, round;

	for (round = 0; round < 20; round++) {
		for (o = 0; o < ARRAY_SIZE(c->page); o++) {
			c->page[o] = kmm_buddy_alloc(c->b, GFP_ATOMIC | __GFP_NOWARN, 2 * o);
			c->got += !!c->page[o];
		}
		if (round % 4 == 0)
			kmm_buddy_drain_all(c->b);
		for (o = 0; o < ARRAY_SIZE(c->page); o++)
			if (c->page[o])
				kmm_buddy_free(c->b, c->page[o], 2 * o);
	}
}

static void any_context_may_allocate(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	enum kmm_context context;

	for (context = 0; context < KMM_NR_CONTEXTS; context++) {
		struct context_call c = { .b = &t->buddy };

		kmm_run_in(context, context_alloc_free, &c);
		KUNIT_EXPECT_EQ_MSG(test, c.got, 80, "%s", kmm_context_names[context]);
		KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
	}
	kmm_test_end(test);
}

/* === Per-CPU caches === */

static void cache_is_refilled_in_growing_batches(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned int high = t->buddy.pcp_high[0], since = 0, last = 0, refills = 0, i;
	struct page **pages = kunit_kcalloc(test, 8 * high, sizeof(*pages), GFP_KERNEL);
	u64 before;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	kmm_stay_on_cpu(0);
	before = kmm_test_event(t, KMM_PCP_REFILL);
	for (i = 0; i < 8 * high; i++) {
		u64 now;

		pages[i] = must_alloc(test, QUIET, 0);
		now = kmm_test_event(t, KMM_PCP_REFILL);
		if (now == before) {
			since++;
			continue;
		}
		KUNIT_EXPECT_EQ(test, now, before + 1);
		before = now;
		refills++;
		if (refills > 1) {
			KUNIT_EXPECT_GE_MSG(test, since, last, "refill %u", refills);
			last = since;
		}
		since = 1;
	}
	/* the batch has grown to all that the cache may hold */
	KUNIT_EXPECT_EQ(test, last, high);
	KUNIT_EXPECT_GT(test, refills, 3);
	for (i = 0; i < 8 * high; i++) {
		kmm_buddy_free(&t->buddy, pages[i], 0);
		KUNIT_EXPECT_LE(test, kmm_test_cached(t),
				(unsigned long)high * KMM_NR_MIGRATETYPES);
	}
	KUNIT_EXPECT_GT(test, kmm_test_event(t, KMM_PCP_DRAIN), 0);
	kmm_go_anywhere();
	kmm_test_end(test);
}

static void pair_stays_in_the_cache(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	static const unsigned int orders[] = { 0, 1, 2, 3, 9 };
	unsigned int i, round;

	kmm_stay_on_cpu(0);
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		unsigned int o = orders[i];
		u64 locks;

		if (!t->buddy.pcp_high[min(i, KMM_PCP_LOW_ORDERS + 0U)])
			continue;
		kmm_buddy_free(&t->buddy, must_alloc(test, QUIET, o), o);
		locks = kmm_test_event(t, KMM_LOCK_SLOW);
		for (round = 0; round < 100; round++)
			kmm_buddy_free(&t->buddy, must_alloc(test, QUIET, o), o);
		KUNIT_EXPECT_EQ_MSG(test, kmm_test_event(t, KMM_LOCK_SLOW), locks,
				    "order %u", o);
	}
	kmm_go_anywhere();
	kmm_test_end(test);
}

static void drain_empties_the_cache(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned long cached, free;

	kmm_stay_on_cpu(0);
	kmm_buddy_free(&t->buddy, must_alloc(test, QUIET, 0), 0);
	kmm_buddy_free(&t->buddy, must_alloc(test, QUIET | __GFP_MOVABLE, 2), 2);
	cached = kmm_test_cached(t);
	free = kmm_test_free(t);
	KUNIT_EXPECT_GE(test, cached, 5);
	KUNIT_EXPECT_EQ(test, kmm_buddy_drain_cpu(&t->buddy, 0), cached);
	KUNIT_EXPECT_EQ(test, kmm_buddy_drain_all(&t->buddy), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_cached(t), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_free(t), free + cached);
	kmm_go_anywhere();
	kmm_test_end(test);
}

static void context_free_extra(void *arg)
{
	struct context_call *c = arg;

	kmm_buddy_free(c->b, c->extra, 0);
}

static void context_grab(void *arg)
{
	struct context_call *c = arg;

	c->page[0] = kmm_buddy_alloc(c->b, GRAB, 0);
}

/* All frames are used but one, and that one is in the cache of the other CPU. */
static void frame_in_another_cpus_cache_is_found(struct kunit *test)
{
	struct kmm_test *t;
	enum kmm_context context;
	unsigned long nr;
	struct page **pages;
	int other;

	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	t = kmm_test_begin(test, &kmm_layout_plain);
	kmm_stay_on_cpu(0);
	other = cpumask_next(0, cpu_online_mask);
	pages = take_all(test, GRAB, &nr);
	for (context = 0; context < KMM_NR_CONTEXTS; context++) {
		struct context_call c = { .b = &t->buddy, .extra = pages[nr / 2] };
		u64 steals = kmm_test_event(t, KMM_PCP_STEAL);

		KUNIT_ASSERT_EQ(test, smp_call_function_single(other, context_free_extra, &c, 1),
				0);
		KUNIT_EXPECT_EQ(test, kmm_test_cached(t), 1);
		kmm_run_in(context, context_grab, &c);
		KUNIT_EXPECT_PTR_EQ_MSG(test, c.page[0], c.extra, "%s",
					kmm_context_names[context]);
		KUNIT_EXPECT_EQ(test, kmm_test_event(t, KMM_PCP_STEAL), steals + 1);
		if (!c.page[0])
			pages[nr / 2] = NULL;
	}
	free_all(t, pages, nr);
	kmm_go_anywhere();
	kmm_test_end(test);
}

static void offlined_cpu_is_drained(struct kunit *test)
{
#ifdef CONFIG_HOTPLUG_CPU
	struct kmm_test *t;
	unsigned long cached;
	int cpu;

	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	t = kmm_test_begin(test, &kmm_layout_plain);
	cpu = cpumask_last(cpu_online_mask);
	kmm_stay_on_cpu(cpu);
	kmm_buddy_free(&t->buddy, must_alloc(test, QUIET, 0), 0);
	kmm_buddy_free(&t->buddy, must_alloc(test, QUIET | __GFP_MOVABLE, 3), 3);
	cached = kmm_test_cached(t);
	KUNIT_EXPECT_GE(test, cached, 9);
	kmm_stay_on_cpu(0);
	KUNIT_ASSERT_EQ(test, remove_cpu(cpu), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_cached(t), 0);
	KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
	KUNIT_ASSERT_EQ(test, add_cpu(cpu), 0);
	/* and it caches again */
	kmm_stay_on_cpu(cpu);
	kmm_buddy_free(&t->buddy, must_alloc(test, QUIET, 0), 0);
	KUNIT_EXPECT_GT(test, kmm_test_cached(t), 0);
	kmm_go_anywhere();
	kmm_test_end(test);
#else
	kunit_skip(test, "no CONFIG_HOTPLUG_CPU");
#endif
}

/* === Bulk, ranges, split === */

static void bulk_fills_only_empty_entries(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned int nr = 300, i, j;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	struct page *own[3];

	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (i = 0; i < 3; i++)
		own[i] = must_alloc(test, QUIET, 0);
	pages[0] = own[0];
	pages[33] = own[1];
	pages[nr - 1] = own[2];
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_bulk(&t->buddy, QUIET, nr, pages), nr);
	KUNIT_EXPECT_PTR_EQ(test, pages[0], own[0]);
	KUNIT_EXPECT_PTR_EQ(test, pages[33], own[1]);
	KUNIT_EXPECT_PTR_EQ(test, pages[nr - 1], own[2]);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), nr);
	for (i = 0; i < nr; i++) {
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
		for (j = 0; j < i; j++)
			KUNIT_ASSERT_PTR_NE(test, pages[i], pages[j]);
	}
	pages[5] = NULL;	/* skipped */
	i = 0;
	kmm_buddy_free_bulk(&t->buddy, pages, nr);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), 1);
	/* It is lost to the caller, not to the allocator: find it by its tag. */
	for (; i < t->region.nr_index; i++)
		if (t->region.frames[i].tag == KMM_FRAME_TAG(KMM_FRAME_USED, 0))
			break;
	KUNIT_ASSERT_LT(test, i, t->region.nr_index);
	kmm_buddy_free(&t->buddy, kmm_region_page(&t->region, i), 0);
	kmm_test_end(test);
}

static void bulk_gives_what_there_is(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned long max = kmm_test_frames(t), got;
	struct page **pages = kunit_kcalloc(test, max, sizeof(*pages), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, pages);
	got = kmm_buddy_alloc_bulk(&t->buddy, GRAB, max, pages);
	KUNIT_EXPECT_EQ(test, got, max - t->region.early_frames);
	KUNIT_EXPECT_NULL(test, pages[got]);
	kmm_buddy_free_bulk(&t->buddy, pages, got);
	kmm_test_end(test);
}

static void exact_range_is_taken_or_nothing(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned long pfn = free_granule(t), i;
	struct kmm_buddy_stat before, after;
	struct page *page;

	/* exactly these, also when they lie in caches */
	page = must_alloc(test, QUIET, 0);
	kmm_buddy_free(&t->buddy, page, 0);
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_range(&t->buddy, pfn + 3, pfn + 700), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), 697);
	KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);

	/* one of it is busy: nothing changes */
	kmm_buddy_drain_all(&t->buddy);
	before = kmm_test_stat(t);
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_range(&t->buddy, pfn + 699, pfn + 900), -EBUSY);
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_range(&t->buddy, pfn, pfn + 4), -EBUSY);
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_range(&t->buddy, pfn + 5, pfn + 6), -EBUSY);
	/* metadata is busy for good */
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_range(&t->buddy, t->region.early_pfn - 1,
						    t->region.early_pfn), -EBUSY);
	/* empty, backwards, outside */
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_range(&t->buddy, pfn, pfn), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_range(&t->buddy, pfn + 1, pfn), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_range(&t->buddy, 0, 16), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_range(&t->buddy, ULONG_MAX - 1, ULONG_MAX), -EINVAL);
	after = kmm_test_stat(t);
	KUNIT_EXPECT_EQ(test, memcmp(before.nr_free_blocks, after.nr_free_blocks,
				     sizeof(before.nr_free_blocks)), 0);
	KUNIT_EXPECT_EQ(test, after.used, before.used);
	KUNIT_EXPECT_EQ(test, after.free, before.free);

	/* they are single frames */
	for (i = 3; i < 700; i++)
		kmm_buddy_free(&t->buddy, pfn_to_page(pfn + i), 0);
	/* the whole granule */
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_range(&t->buddy, pfn, pfn + 1024), 0);
	for (i = 0; i < 1024; i++)
		kmm_buddy_free(&t->buddy, pfn_to_page(pfn + i), 0);
	kmm_test_end(test);
}

static void range_ends_at_a_gap(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_odd);
	unsigned long pfn = page_to_pfn(t->host[0]), i;

	/* frames 1..3 and 7 are ours, 4..6 are not */
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_range(&t->buddy, pfn + 1, pfn + 5), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_range(&t->buddy, pfn, pfn + 2), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_range(&t->buddy, pfn + 7, pfn + 8), 0);
	kmm_buddy_free(&t->buddy, pfn_to_page(pfn + 7), 0);
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_range(&t->buddy, pfn + 1, pfn + 4), 0);
	for (i = 1; i < 4; i++)
		kmm_buddy_free(&t->buddy, pfn_to_page(pfn + i), 0);
	kmm_test_end(test);
}

static void split_block_is_freed_frame_by_frame(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned int o, i;

	for (o = 0; o < KMM_NR_ORDERS; o++) {
		struct page *page = must_alloc(test, QUIET, o);

		kmm_buddy_split(&t->buddy, page, o);
		KUNIT_EXPECT_EQ(test, kmm_test_used(t), 1UL << o);
		KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
		for (i = 0; i < 1U << o; i++)
			kmm_buddy_free(&t->buddy, page + i, 0);
	}
	kmm_test_end(test);
}

/* === Bad frees === */

static void bad_free_is_refused_and_reported(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_odd);
	struct page *a = must_alloc(test, QUIET, 0), *b = must_alloc(test, QUIET, 3);
	struct page *host = alloc_page(GFP_KERNEL), *pinned = must_alloc(test, QUIET, 0);
	struct kmm_buddy_stat before, after;
	u64 mark;

	KUNIT_ASSERT_NOT_NULL(test, host);
	kmm_buddy_free(&t->buddy, a, 0);
	get_page(pinned);
	kmm_buddy_free(&t->buddy, pinned, 0);
	before = kmm_test_stat(t);
	msleep(5100);	/* until ten reports are allowed */
	mark = kmm_log_mark();
	kmm_expect("BUG: KMM: double free", 2);
	kmm_expect("BUG: KMM: foreign free", 3);
	kmm_expect("BUG: KMM: inside-of-block free", 1);
	kmm_expect("BUG: KMM: wrong-order free", 3);
	kmm_expect("BUG: KMM: metadata free", 1);
	kmm_buddy_free(&t->buddy, a, 0);			/* double */
	kmm_buddy_free(&t->buddy, pinned, 0);			/* double, quarantined */
	kmm_buddy_free(&t->buddy, host, 0);			/* another granule */
	kmm_buddy_free(&t->buddy, t->host[0] + 4, 0);		/* a gap in a granule */
	kmm_buddy_free(&t->buddy, t->host[0] + 8, 3);		/* the same */
	kmm_buddy_free(&t->buddy, b + 1, 0);			/* tail */
	kmm_buddy_free(&t->buddy, b, 2);			/* order too small */
	kmm_buddy_free(&t->buddy, b, 4);			/* order too large */
	kmm_buddy_free(&t->buddy, b, 256 + 3);			/* no order at all */
	kmm_buddy_free(&t->buddy, virt_to_page(t->region.frames), 0);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KMM: double free in bad_free"), 2);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KMM: foreign free in bad_free"), 3);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KMM: inside-of-block free in"), 1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KMM: wrong-order free in"), 3);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KMM: metadata free in"), 1);
	after = kmm_test_stat(t);
	KUNIT_EXPECT_EQ(test, after.event[KMM_BAD_FREE], before.event[KMM_BAD_FREE] + 10);
	KUNIT_EXPECT_EQ(test, after.used, before.used);
	KUNIT_EXPECT_EQ(test, after.free + after.cached, before.free + before.cached);
	KUNIT_EXPECT_EQ(test, after.quarantined, 1);
	KUNIT_EXPECT_EQ(test, page_count(host), 1);
	KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
	put_page(pinned);
	KUNIT_EXPECT_EQ(test, kmm_buddy_recheck_quarantine(&t->buddy), 1);
	kmm_buddy_free(&t->buddy, b, 3);
	__free_page(host);
	kmm_test_end(test);
}

/* === Watermarks, relieve, wake === */

static void watermarks_keep_a_reserve(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned long min = t->buddy.watermark[KMM_WMARK_MIN], nr[3];
	struct page **pages[3];

	KUNIT_ASSERT_GT(test, min, 1);
	KUNIT_EXPECT_LT(test, min, t->buddy.watermark[KMM_WMARK_LOW]);
	KUNIT_EXPECT_LT(test, t->buddy.watermark[KMM_WMARK_LOW],
			t->buddy.watermark[KMM_WMARK_HIGH]);
	KUNIT_EXPECT_LT(test, t->buddy.watermark[KMM_WMARK_HIGH], t->buddy.managed);

	pages[0] = take_all(test, QUIET, &nr[0]);
	KUNIT_EXPECT_EQ(test, kmm_test_free(t), min);
	KUNIT_EXPECT_EQ(test, kmm_test_cached(t), 0);
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, GRAB | __GFP_NOMEMALLOC, 0));
	pages[1] = take_all(test, GFP_ATOMIC | __GFP_NOWARN, &nr[1]);
	KUNIT_EXPECT_EQ(test, kmm_test_free(t), min / 2);
	pages[2] = take_all(test, GRAB, &nr[2]);
	KUNIT_EXPECT_EQ(test, kmm_test_free(t), 0);
	KUNIT_EXPECT_EQ(test, nr[0] + nr[1] + nr[2], t->buddy.managed);
	free_all(t, pages[0], nr[0]);
	free_all(t, pages[1], nr[1]);
	free_all(t, pages[2], nr[2]);
	kmm_test_end(test);
}

struct relief {
	struct kmm_buddy *b;
	struct page **pages;		/* what relieve() can free */
	unsigned long nr;
	unsigned int calls;
	unsigned int per_call;
	bool answer;
	bool atomic;			/* it was called where it may not sleep */
	atomic_t wakes;
	u64 uncharged[4];
	gfp_t gfp;
	unsigned int order;
};

static bool relieve(void *ctx, gfp_t gfp, unsigned int order)
{
	struct relief *r = ctx;
	unsigned int i;

	might_sleep();
	r->atomic |= in_atomic() || irqs_disabled();
	r->calls++;
	r->gfp = gfp;
	r->order = order;
	for (i = 0; i < r->per_call && r->nr; i++)
		kmm_buddy_free(r->b, r->pages[--r->nr], 0);
	return r->answer;
}

static void wake(void *ctx)
{
	atomic_inc(&((struct relief *)ctx)->wakes);
}

static void uncharge(void *ctx, u32 owner, unsigned long nr_pages)
{
	struct relief *r = ctx;

	r->uncharged[owner & 3] += nr_pages;
}

static void relieve_is_asked_and_its_success_retried(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	struct relief r = { .b = &t->buddy, .answer = true, .per_call = 1 };
	struct page *page;

	r.pages = take_all(test, QUIET, &r.nr);
	t->buddy.ctx = &r;
	t->buddy.relieve = relieve;

	page = must_alloc(test, QUIET, 0);
	KUNIT_EXPECT_EQ(test, r.calls, 1);
	KUNIT_EXPECT_EQ(test, (__force u32)r.gfp, (__force u32)QUIET);
	KUNIT_EXPECT_EQ(test, r.order, 0);
	KUNIT_EXPECT_EQ(test, kmm_test_event(t, KMM_ALLOC_RELIEVE), 1);
	r.pages[r.nr++] = page;

	/* nobody who may not sleep is sent there */
	r.calls = 0;
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, GFP_NOWAIT | __GFP_NOWARN, 0));
	KUNIT_EXPECT_EQ(test, r.calls, 0);

	/* a relieve() that frees nothing is asked a bounded number of times */
	r.per_call = 0;
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, QUIET, 0));
	KUNIT_EXPECT_GT(test, r.calls, 1);
	KUNIT_EXPECT_LE(test, r.calls, 16);
	r.calls = 0;
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, QUIET | __GFP_NORETRY, 0));
	KUNIT_EXPECT_EQ(test, r.calls, 1);
	r.calls = 0;
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, QUIET, KMM_MAX_ORDER));
	KUNIT_EXPECT_EQ(test, r.calls, 1);

	/* and one that says no is believed */
	r.calls = 0;
	r.answer = false;
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, QUIET, 0));
	KUNIT_EXPECT_EQ(test, r.calls, 1);
	KUNIT_EXPECT_FALSE(test, r.atomic);

	t->buddy.relieve = NULL;
	free_all(t, r.pages, r.nr);
	kmm_test_end(test);
}

static void below_low_somebody_is_woken(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	struct relief r = { .b = &t->buddy };
	struct page *page;

	t->buddy.ctx = &r;
	t->buddy.wake = wake;
	page = must_alloc(test, QUIET, 5);
	KUNIT_EXPECT_EQ(test, atomic_read(&r.wakes), 0);
	kmm_buddy_free(&t->buddy, page, 5);
	r.pages = take_all(test, QUIET, &r.nr);
	KUNIT_EXPECT_GT(test, atomic_read(&r.wakes), 0);
	t->buddy.wake = NULL;
	free_all(t, r.pages, r.nr);
	kmm_test_end(test);
}

/* === Quarantine and owners === */

static void held_frame_waits_in_quarantine(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	struct page *page = must_alloc(test, QUIET, 0), **pages;
	unsigned long nr, i;

	get_page(page);
	kmm_buddy_free(&t->buddy, page, 0);
	KUNIT_EXPECT_EQ(test, kmm_test_quarantined(t), 1);
	KUNIT_EXPECT_EQ(test, kmm_test_event(t, KMM_QUARANTINE_IN), 1);
	KUNIT_EXPECT_EQ(test, kmm_buddy_recheck_quarantine(&t->buddy), 0);
	KUNIT_EXPECT_EQ(test, page_count(page), 2);
	/* nobody gets it, not even the last allocation */
	pages = take_all(test, GRAB, &nr);
	KUNIT_EXPECT_EQ(test, nr, t->buddy.managed - 1);
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_PTR_NE(test, pages[i], page);
	/* what its holder did to it does not stay */
	SetPageDirty(page);
	SetPageReferenced(page);
	put_page(page);
	/* the next request finds it by itself */
	KUNIT_EXPECT_PTR_EQ(test, kmm_buddy_alloc(&t->buddy, GRAB, 0), page);
	KUNIT_EXPECT_EQ(test, kmm_test_event(t, KMM_QUARANTINE_OUT), 1);
	KUNIT_EXPECT_FALSE(test, PageDirty(page));
	KUNIT_EXPECT_FALSE(test, PageReferenced(page));
	kmm_buddy_free(&t->buddy, page, 0);
	free_all(t, pages, nr);
	kmm_test_end(test);
}

static void held_frame_of_a_block_does_not_hold_the_rest(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned int o, i;

	for (o = 1; o < KMM_NR_ORDERS; o++) {
		unsigned int held[3] = { 0, (1U << o) / 2, (1U << o) - 1 };
		struct page *page = must_alloc(test, QUIET, o);
		unsigned int n = held[1] == held[2] ? 2 : 3;

		for (i = 0; i < n; i++)
			get_page(page + held[i]);
		kmm_buddy_free(&t->buddy, page, o);
		KUNIT_EXPECT_EQ_MSG(test, kmm_test_quarantined(t), n, "order %u", o);
		KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
		for (i = 0; i < n; i++)
			put_page(page + held[i]);
		KUNIT_EXPECT_EQ(test, kmm_buddy_recheck_quarantine(&t->buddy), n);
	}
	kmm_test_end(test);
}

static void owner_is_uncharged_when_the_frame_is_home(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	struct relief r = { .b = &t->buddy };
	struct page *a, *b, *c;
	unsigned int i;

	t->buddy.ctx = &r;
	t->buddy.uncharge = uncharge;
	a = must_alloc(test, QUIET, 0);
	b = must_alloc(test, QUIET, 4);
	c = must_alloc(test, QUIET, 2);
	kmm_buddy_set_owner(&t->buddy, a, 1);
	kmm_buddy_set_owner(&t->buddy, b, 2);
	kmm_buddy_set_owner(&t->buddy, c, 3);
	KUNIT_EXPECT_EQ(test, kmm_buddy_owner(&t->buddy, b), 2);
	kmm_buddy_free(&t->buddy, a, 0);
	KUNIT_EXPECT_EQ(test, r.uncharged[1], 1);
	/* one frame of sixteen is held: its owner pays on */
	get_page(b + 5);
	kmm_buddy_free(&t->buddy, b, 4);
	KUNIT_EXPECT_EQ(test, r.uncharged[2], 15);
	KUNIT_EXPECT_EQ(test, kmm_buddy_recheck_quarantine(&t->buddy), 0);
	KUNIT_EXPECT_EQ(test, r.uncharged[2], 15);
	put_page(b + 5);
	KUNIT_EXPECT_EQ(test, kmm_buddy_recheck_quarantine(&t->buddy), 1);
	KUNIT_EXPECT_EQ(test, r.uncharged[2], 16);
	/* a split block has its owner in every frame */
	kmm_buddy_split(&t->buddy, c, 2);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, r.uncharged[3], i);
		KUNIT_EXPECT_EQ(test, kmm_buddy_owner(&t->buddy, c + i), 3);
		kmm_buddy_free(&t->buddy, c + i, 0);
	}
	KUNIT_EXPECT_EQ(test, r.uncharged[3], 4);
	/* the next user of the frame starts without an owner */
	a = must_alloc(test, QUIET, 0);
	KUNIT_EXPECT_EQ(test, kmm_buddy_owner(&t->buddy, a), 0);
	kmm_buddy_free(&t->buddy, a, 0);
	KUNIT_EXPECT_EQ(test, r.uncharged[0], 0);
	kmm_test_end(test);
}

/* === Mobility === */

static unsigned int pageblock_type(struct kmm_test *t, struct page *page)
{
	u32 index = kmm_region_index(&t->region, kmm_region_frame(&t->region, page_to_pfn(page)));

	return t->region.pageblock_mt[index >> KMM_PAGEBLOCK_ORDER];
}

static void types_are_kept_apart_by_pageblock(struct kunit *test)
{
	static const gfp_t gfp[] = { 0, __GFP_MOVABLE, __GFP_RECLAIMABLE };
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	struct page *(*page)[200] = kunit_kcalloc(test, 3, sizeof(*page), GFP_KERNEL);
	unsigned int i, j;

	KUNIT_ASSERT_NOT_NULL(test, page);
	for (i = 0; i < 200; i++)
		for (j = 0; j < 3; j++)
			page[j][i] = must_alloc(test, QUIET | gfp[j], 0);
	for (j = 0; j < 3; j++)
		for (i = 0; i < 200; i++)
			KUNIT_EXPECT_EQ(test, pageblock_type(t, page[j][i]), j);
	/* at first all is movable: two types had to take pageblocks over */
	KUNIT_EXPECT_GE(test, kmm_test_event(t, KMM_EXTFRAG), 2);
	KUNIT_EXPECT_GE(test, kmm_test_event(t, KMM_PAGEBLOCK_STEAL), 2);
	KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
	for (j = 0; j < 3; j++)
		for (i = 0; i < 200; i++)
			kmm_buddy_free(&t->buddy, page[j][i], 0);
	kmm_test_end(test);
}

static void type_with_nothing_left_takes_from_others(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned long pfn = free_granule(t), nr, i;
	struct page **pages, *page;

	/* everything is used by movable blocks but one frame in their middle */
	pages = take_all(test, GRAB | __GFP_MOVABLE, &nr);
	KUNIT_EXPECT_EQ(test, nr, t->buddy.managed);
	kmm_buddy_free(&t->buddy, pfn_to_page(pfn + 300), 0);
	for (i = 0; i < nr; i++)
		if (pages[i] == pfn_to_page(pfn + 300))
			break;
	KUNIT_ASSERT_LT(test, i, nr);
	page = must_alloc(test, GRAB, 0);
	KUNIT_EXPECT_PTR_EQ(test, page, pages[i]);
	/* a pageblock that is full of others' frames does not change its type for that */
	KUNIT_EXPECT_EQ(test, pageblock_type(t, page), KMM_MOVABLE);
	KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
	free_all(t, pages, nr);
	kmm_test_end(test);
}

/* === Failure points === */

static void every_failure_of_init_leaves_nothing(struct kunit *test)
{
	struct kmm_test *t = kmm_test_create(test, &kmm_layout_odd);
	unsigned int n;

	for (n = 1; n < 1000; n++) {
		int err;

		kmm_inject_arm(n);
		err = kmm_test_start_region(t);
		if (!err)
			err = kmm_test_start(t);
		if (!kmm_inject_disarm())
			break;
		KUNIT_ASSERT_NE_MSG(test, err, 0, "failure %u was ignored", n);
		if (t->has_region) {
			KUNIT_EXPECT_EQ(test, kmm_region_fini(&t->region), 0);
			t->has_region = false;
			KUNIT_EXPECT_EQ(test, t->released, kmm_test_frames(t));
		}
		kmm_test_free_host(t);
	}
	KUNIT_EXPECT_GT(test, n, 10);
	KUNIT_EXPECT_LT(test, n, 1000);
	KUNIT_ASSERT_TRUE(test, t->has_buddy);
	kmm_test_free_blocks(t, t->initial);
	kunit_info(test, "%u failure points\n", n - 1);
	kmm_test_end(test);
}

/* === Random, against a reference === */

/* Who has a frame, by index: the reference knows only this. */
enum { REF_ALLOCATOR, REF_OURS, REF_PINNED };

struct ref_block {
	u32 index;
	u16 order;
	u16 stamp;
};

struct reference {
	struct kmm_test *t;
	struct rnd_state rnd;
	u8 *state;
	struct ref_block *blocks;
	u32 *pinned;
	u32 nr_blocks;
	u32 nr_pinned;
	unsigned long used;
	u16 stamp;
};

static u16 *ref_word(struct reference *m, u32 index, bool last)
{
	u16 *words = page_address(kmm_region_page(&m->t->region, index));

	return last ? words + PAGE_SIZE / 2 - 1 : words;
}

static void ref_check(struct kunit *test, struct reference *m)
{
	struct kmm_buddy_stat st = kmm_test_stat(m->t);

	KUNIT_ASSERT_EQ(test, kmm_buddy_check(&m->t->buddy), 0);
	KUNIT_ASSERT_EQ(test, st.used, m->used);
	KUNIT_ASSERT_EQ(test, st.free + st.cached + st.quarantined + st.used + st.metadata,
			st.total);
	KUNIT_ASSERT_GE(test, st.quarantined, m->nr_pinned);
}

static void ref_alloc(struct kunit *test, struct reference *m)
{
	static const gfp_t flags[] = {
		GFP_KERNEL, GFP_ATOMIC, GFP_NOWAIT, GFP_KERNEL | __GFP_NORETRY,
		__GFP_MEMALLOC,
	};
	u32 r = kmm_below(&m->rnd, 100), i, index;
	unsigned int order = r < 60 ? 0 : r < 85 ? 1 + r % 3 : kmm_below(&m->rnd, 11);
	gfp_t gfp = flags[kmm_below(&m->rnd, ARRAY_SIZE(flags))] | __GFP_NOWARN;
	struct kmm_frame *f;
	struct page *page;

	gfp |= (__force gfp_t)(kmm_below(&m->rnd, 4) << 3);
	if (!kmm_below(&m->rnd, 8 << order))
		gfp |= __GFP_ZERO;
	page = kmm_buddy_alloc(&m->t->buddy, gfp, order);
	if (!page) {
		/* alone here: then all caches are empty, and what is free is reserved or small */
		struct kmm_buddy_stat st = kmm_test_stat(m->t);
		unsigned long floor = gfp & __GFP_MEMALLOC ? 0 :
			m->t->buddy.watermark[KMM_WMARK_MIN] / (gfp & __GFP_HIGH ? 2 : 1);
		unsigned int o, mt;

		KUNIT_ASSERT_EQ(test, st.cached, 0);
		if (st.free >= floor + (1UL << order))
			for (o = order; o < KMM_NR_ORDERS; o++)
				for (mt = 0; mt < KMM_NR_MIGRATETYPES; mt++)
					KUNIT_ASSERT_EQ(test, st.nr_free_blocks[o][mt], 0);
		return;
	}
	f = kmm_region_frame(&m->t->region, page_to_pfn(page));
	KUNIT_ASSERT_NOT_NULL(test, f);
	index = kmm_region_index(&m->t->region, f);
	KUNIT_ASSERT_EQ(test, page_to_pfn(page) & ((1UL << order) - 1), 0);
	for (i = 0; i < 1U << order; i++) {
		/* conditions first: an expectation costs, a million of them too much */
		if (m->state[index + i] != REF_ALLOCATOR || page_count(page + i) != 1)
			KUNIT_FAIL(test, "frame %u of order %u: state %u, %d references", index + i,
				   order, m->state[index + i], page_count(page + i));
		m->state[index + i] = REF_OURS;
	}
	if (gfp & __GFP_ZERO)
		KUNIT_ASSERT_TRUE(test, is_zero(page, order));
	m->stamp++;
	for (i = 0; i < 1U << order; i++) {
		*ref_word(m, index + i, false) = m->stamp + i;
		*ref_word(m, index + i, true) = m->stamp - i;
	}
	m->blocks[m->nr_blocks++] = (struct ref_block) {
		.index = index, .order = order, .stamp = m->stamp,
	};
	m->used += 1UL << order;
}

static void ref_free(struct kunit *test, struct reference *m)
{
	struct ref_block blk;
	struct page *page;
	u32 i, n, pin = U32_MAX;

	if (!m->nr_blocks)
		return;
	n = kmm_below(&m->rnd, m->nr_blocks);
	blk = m->blocks[n];
	m->blocks[n] = m->blocks[--m->nr_blocks];
	page = kmm_region_page(&m->t->region, blk.index);
	for (i = 0; i < 1U << blk.order; i++) {
		if (*ref_word(m, blk.index + i, false) != (u16)(blk.stamp + i) ||
		    *ref_word(m, blk.index + i, true) != (u16)(blk.stamp - i))
			KUNIT_FAIL(test, "frame %u was written to", blk.index + i);
		m->state[blk.index + i] = REF_ALLOCATOR;
	}
	m->used -= 1UL << blk.order;
	if (m->nr_pinned < 32 && !kmm_below(&m->rnd, 100)) {
		pin = kmm_below(&m->rnd, 1U << blk.order);
		get_page(page + pin);
		m->state[blk.index + pin] = REF_PINNED;
		m->pinned[m->nr_pinned++] = blk.index + pin;
	}
	kmm_buddy_free(&m->t->buddy, page, blk.order);
}

static void ref_unpin(struct reference *m)
{
	u32 n, index;

	if (!m->nr_pinned)
		return;
	n = kmm_below(&m->rnd, m->nr_pinned);
	index = m->pinned[n];
	m->pinned[n] = m->pinned[--m->nr_pinned];
	m->state[index] = REF_ALLOCATOR;
	put_page(kmm_region_page(&m->t->region, index));
}

static void ref_range(struct kunit *test, struct reference *m)
{
	u32 first = kmm_below(&m->rnd, m->t->region.nr_index);
	u32 nr = 1 + kmm_below(&m->rnd, 20), i, bad = 0;
	unsigned long pfn = kmm_region_pfn(&m->t->region, first);
	int err;

	if ((first & (KMM_GRANULE_FRAMES - 1)) + nr > KMM_GRANULE_FRAMES)
		return;
	for (i = first; i < first + nr; i++) {
		enum kmm_frame_state s = kmm_frame_state(&m->t->region.frames[i]);

		bad += m->state[i] != REF_ALLOCATOR || s == KMM_FRAME_METADATA ||
		       s == KMM_FRAME_ABSENT;
	}
	kmm_buddy_recheck_quarantine(&m->t->buddy);
	err = kmm_buddy_alloc_range(&m->t->buddy, pfn, pfn + nr);
	KUNIT_ASSERT_EQ(test, !err, !bad);
	for (i = first; !err && i < first + nr; i++) {
		m->state[i] = REF_OURS;
		*ref_word(m, i, false) = ++m->stamp;
		*ref_word(m, i, true) = m->stamp;
		m->blocks[m->nr_blocks++] = (struct ref_block) { .index = i, .stamp = m->stamp };
		m->used++;
	}
}

static void random_against_reference(struct kunit *test)
{
	static const struct kmm_test_layout *layouts[] = { &kmm_layout_plain, &kmm_layout_odd };
	unsigned long ops = kmm_test_nr_ops, i;
	struct reference m = { };
	unsigned int l, bias = 50;

	kunit_info(test, "seed=%lu ops=%lu\n", kmm_test_seed, ops);
	prandom_seed_state(&m.rnd, kmm_test_seed);
	for (l = 0; l < ARRAY_SIZE(layouts); l++) {
		m.t = kmm_test_begin(test, layouts[l]);
		m.state = kunit_kzalloc(test, m.t->region.nr_index, GFP_KERNEL);
		m.blocks = kunit_kcalloc(test, m.t->region.nr_index, sizeof(*m.blocks), GFP_KERNEL);
		m.pinned = kunit_kcalloc(test, 32, sizeof(*m.pinned), GFP_KERNEL);
		KUNIT_ASSERT_TRUE(test, m.state && m.blocks && m.pinned);
		m.used = 0;
		for (i = 0; i < ops / ARRAY_SIZE(layouts); i++) {
			u32 r = kmm_below(&m.rnd, 1000);

			if (r < 930) {
				if (kmm_below(&m.rnd, 100) < bias)
					ref_alloc(test, &m);
				else
					ref_free(test, &m);
			} else if (r < 950) {
				ref_unpin(&m);
			} else if (r < 970) {
				kmm_buddy_drain_cpu(&m.t->buddy,
						    cpumask_any_but(cpu_online_mask, r & 1));
			} else if (r < 990) {
				ref_range(test, &m);
			} else if (r < 995) {
				bias = 25 + kmm_below(&m.rnd, 51);
			} else if (r == 995) {
				ref_check(test, &m);
			} else if (r == 996) {
				kmm_stay_on_cpu(cpumask_any_but(cpu_online_mask, r & 1));
			}
			if (i % 1024 == 0)
				cond_resched();
		}
		ref_check(test, &m);
		while (m.nr_blocks)
			ref_free(test, &m);
		while (m.nr_pinned)
			ref_unpin(&m);
		kmm_go_anywhere();
		kmm_buddy_recheck_quarantine(&m.t->buddy);
		kmm_test_end(test);
	}
}

/* === Concurrency === */

#define WORKER_BLOCKS	64

struct worker {
	struct kmm_buddy *b;
	struct task_struct *task;
	struct rnd_state rnd;
	unsigned long rounds;
	unsigned long overlaps;
	atomic_t *owner;	/* by index: nobody else may have a frame that we have */
};

static void worker_claim(struct worker *w, struct page *page, unsigned int order, int add)
{
	u32 index = kmm_region_index(w->b->region,
				     kmm_region_frame(w->b->region, page_to_pfn(page)));
	unsigned int i;

	for (i = 0; i < 1U << order; i++)
		if (atomic_add_return(add, &w->owner[index + i]) != (add > 0))
			w->overlaps++;
}

static int worker_run(void *arg)
{
	struct page *page[WORKER_BLOCKS] = { };
	unsigned int order[WORKER_BLOCKS];
	struct worker *w = arg;

	while (!kthread_should_stop()) {
		u32 i = kmm_below(&w->rnd, WORKER_BLOCKS);

		if (page[i]) {
			worker_claim(w, page[i], order[i], -1);
			kmm_buddy_free(w->b, page[i], order[i]);
			page[i] = NULL;
		} else {
			u32 r = kmm_below(&w->rnd, 16);

			order[i] = r < 10 ? 0 : r < 14 ? r - 10 : 9 - (r & 1) * 4;
			page[i] = kmm_buddy_alloc(w->b, QUIET, order[i]);
			if (page[i])
				worker_claim(w, page[i], order[i], 1);
		}
		if (!kmm_below(&w->rnd, 500))
			kmm_buddy_drain_all(w->b);
		if (++w->rounds % 64 == 0)
			cond_resched();
	}
	for (u32 i = 0; i < WORKER_BLOCKS; i++) {
		if (!page[i])
			continue;
		worker_claim(w, page[i], order[i], -1);
		kmm_buddy_free(w->b, page[i], order[i]);
	}
	return 0;
}

/* Statistics are exact, and the invariants hold, at any moment of two threads' work. */
static void sums_are_exact_while_threads_run(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned long rounds = min(kmm_test_nr_ops / 2000, 200UL) + 20, i, bad = 0;
	struct worker *w = kunit_kcalloc(test, 2, sizeof(*w), GFP_KERNEL);
	atomic_t *owner = vzalloc(array_size(t->region.nr_index, sizeof(*owner)));
	unsigned int n;

	KUNIT_ASSERT_TRUE(test, w && owner);
	for (n = 0; n < 2; n++) {
		w[n].b = &t->buddy;
		w[n].owner = owner;
		prandom_seed_state(&w[n].rnd, kmm_test_seed + n);
		w[n].task = kthread_create(worker_run, &w[n], "kmm_kunit/%u", n);
		if (IS_ERR(w[n].task)) {
			KUNIT_FAIL(test, "no thread");
			w[n].task = NULL;
			continue;
		}
		kthread_bind(w[n].task, cpumask_any_but(cpu_online_mask, n));
		wake_up_process(w[n].task);
	}
	for (i = 0; i < rounds; i++) {
		struct kmm_buddy_stat st = kmm_test_stat(t);

		bad += !st.exact || st.free + st.cached + st.quarantined + st.used +
		       st.metadata != st.total;
		if (i % 8 == 0)
			bad += kmm_buddy_check(&t->buddy) != 0;
		usleep_range(2000, 4000);
	}
	for (n = 0; n < 2; n++) {
		if (!w[n].task)
			continue;
		kthread_stop(w[n].task);
		KUNIT_EXPECT_EQ(test, w[n].overlaps, 0);
		KUNIT_EXPECT_GT(test, w[n].rounds, 1000);
		kunit_info(test, "thread %u: %lu operations\n", n, w[n].rounds);
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	vfree(owner);
	kmm_test_end(test);
}

struct racer {
	struct kmm_buddy *b;
	struct page *page;
	atomic_t missing;
	atomic_t done;
};

static void race_free(void *arg)
{
	struct racer *r = arg;

	atomic_dec(&r->missing);
	while (atomic_read(&r->missing))
		cpu_relax();
	kmm_buddy_free(r->b, r->page, 0);
	atomic_inc(&r->done);
}

/* Two CPUs free the same frame at once: one is believed. The reports are rate limited. */
static void of_two_racing_frees_one_is_refused(struct kunit *test)
{
	struct kmm_test *t;
	unsigned int i;
	int other;

	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	t = kmm_test_begin(test, &kmm_layout_plain);
	kmm_stay_on_cpu(0);
	other = cpumask_next(0, cpu_online_mask);
	msleep(5100);
	kmm_expect("BUG: KMM: double free", 8);
	for (i = 0; i < 8; i++) {
		struct racer r = { .b = &t->buddy, .missing = ATOMIC_INIT(2) };
		u64 bad = kmm_test_event(t, KMM_BAD_FREE);

		r.page = must_alloc(test, QUIET, 0);
		preempt_disable();
		smp_call_function_single(other, race_free, &r, 0);
		race_free(&r);
		preempt_enable();
		while (atomic_read(&r.done) < 2)
			cpu_relax();
		KUNIT_EXPECT_EQ(test, kmm_test_event(t, KMM_BAD_FREE), bad + 1);
		KUNIT_EXPECT_EQ(test, kmm_test_used(t), 0);
	}
	kmm_expect_end();
	kmm_go_anywhere();
	kmm_test_end(test);
}

/* === The host over our pages === */

static struct mm_struct *kunit_mm;

static int buddy_suite_init(struct kunit_suite *suite)
{
	kmm_test_choose_seed();
	/* Cases run in kernel threads; usercopy needs somebody's address space. */
	kunit_mm = get_task_mm(current);
	return 0;
}

static void buddy_suite_exit(struct kunit_suite *suite)
{
	if (kunit_mm)
		mmput(kunit_mm);
	kunit_mm = NULL;
}

static void usercopy_of_pages_passes_the_hosts_checks(struct kunit *test)
{
	struct kmm_test *t;
	unsigned long user, len = PAGE_SIZE << 3, left = 1;
	struct page *page;
	u8 *kernel;

	if (!kunit_mm)
		kunit_skip(test, "not started from a process");
	t = kmm_test_begin(test, &kmm_layout_plain);
	page = must_alloc(test, QUIET, 3);
	kernel = page_address(page);
	kthread_use_mm(kunit_mm);
	user = vm_mmap(NULL, 0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (!IS_ERR_VALUE(user)) {
		/* over page borders, and all of it: CONFIG_HARDENED_USERCOPY looks at both */
		memset(kernel, 0x5c, len);
		left = copy_to_user((void __user *)user, kernel, len);
		left += copy_to_user((void __user *)(user + 100), kernel + PAGE_SIZE - 50, 100);
		memset(kernel, 0, len);
		left += copy_from_user(kernel, (void __user *)user, len);
		left += copy_from_user(kernel + PAGE_SIZE - 50, (void __user *)(user + 7), 100);
		vm_munmap(user, len);
	}
	kthread_unuse_mm(kunit_mm);
	KUNIT_EXPECT_FALSE(test, IS_ERR_VALUE(user));
	KUNIT_EXPECT_EQ(test, left, 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(kernel, 0x5c, len));
	kmm_buddy_free(&t->buddy, page, 3);
	kmm_test_end(test);
}

/* Compaction looks at every frame of the machine. Ours must not move, nor be changed. */
static void host_compaction_leaves_frames_alone(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	struct page *page[64];
	struct file *file;
	loff_t pos = 0;
	unsigned int i;

	file = filp_open("/proc/sys/vm/compact_memory", O_WRONLY, 0);
	if (IS_ERR(file)) {
		kmm_test_end(test);
		kunit_skip(test, "no compaction: %ld", PTR_ERR(file));
	}
	for (i = 0; i < ARRAY_SIZE(page); i++) {
		page[i] = must_alloc(test, QUIET | __GFP_MOVABLE, i % 4);
		memset(page_address(page[i]), i + 1, PAGE_SIZE << i % 4);
	}
	KUNIT_EXPECT_EQ(test, kernel_write(file, "1", 1, &pos), 1);
	filp_close(file, NULL);
	for (i = 0; i < ARRAY_SIZE(page); i++) {
		KUNIT_EXPECT_NULL(test, memchr_inv(page_address(page[i]), i + 1,
						   PAGE_SIZE << i % 4));
		KUNIT_EXPECT_EQ(test, page_count(page[i]), 1);
	}
	KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
	for (i = 0; i < ARRAY_SIZE(page); i++)
		kmm_buddy_free(&t->buddy, page[i], i % 4);
	kmm_test_end(test);
}

/* === Client functions, on the module's own instance === */

static void client_functions_keep_linuxs_contract(struct kunit *test)
{
	struct page *pages[4] = { }, *page;
	unsigned long addr, pfn, i;

	page = kmm_alloc_pages(GFP_KERNEL | __GFP_ZERO, 2);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_TRUE(test, is_zero(page, 2));
	kmm_split_page(page, 2);
	for (i = 0; i < 4; i++)
		__kmm_free_page(page + i);

	addr = __kmm_get_free_pages(GFP_KERNEL, 1);
	KUNIT_ASSERT_NE(test, addr, 0);
	memset((void *)addr, 0xaa, 2 * PAGE_SIZE);
	kmm_free_pages(addr, 1);
	kmm_free_pages(0, 1);

	KUNIT_EXPECT_EQ(test, kmm_alloc_pages_bulk_array(GFP_KERNEL, 4, pages), 4);
	for (i = 0; i < 4; i++)
		__kmm_free_page(pages[i]);

	/* a range that is free: where a large block just was */
	page = kmm_alloc_pages(GFP_KERNEL, 6);
	KUNIT_ASSERT_NOT_NULL(test, page);
	pfn = page_to_pfn(page);
	KUNIT_EXPECT_EQ(test, kmm_alloc_contig_range(pfn + 1, pfn + 40, 0, GFP_KERNEL), -EBUSY);
	__kmm_free_pages(page, 6);
	KUNIT_ASSERT_EQ(test, kmm_alloc_contig_range(pfn + 1, pfn + 40, 0,
						     GFP_KERNEL | __GFP_ZERO), 0);
	for (i = 1; i < 40; i++)
		KUNIT_EXPECT_TRUE(test, is_zero(pfn_to_page(pfn + i), 0));
	kmm_free_contig_range(pfn + 1, 39);
	KUNIT_EXPECT_EQ(test, kmm_alloc_contig_range(0, 4, 0, GFP_KERNEL), -EINVAL);
}

static struct kunit_case buddy_cases[] = {
	KUNIT_CASE(blocks_are_aligned_at_every_order),
	KUNIT_CASE(alloc_splits_the_smallest_block),
	KUNIT_CASE(free_merges_with_buddy),
	KUNIT_CASE(blocks_do_not_merge_over_gaps),
	KUNIT_CASE(zeroed_blocks_are_zero),
	KUNIT_CASE(nowarn_is_silent),
	KUNIT_CASE(any_context_may_allocate),
	KUNIT_CASE(cache_is_refilled_in_growing_batches),
	KUNIT_CASE(pair_stays_in_the_cache),
	KUNIT_CASE(drain_empties_the_cache),
	KUNIT_CASE(frame_in_another_cpus_cache_is_found),
	KUNIT_CASE(offlined_cpu_is_drained),
	KUNIT_CASE(bulk_fills_only_empty_entries),
	KUNIT_CASE(bulk_gives_what_there_is),
	KUNIT_CASE(exact_range_is_taken_or_nothing),
	KUNIT_CASE(range_ends_at_a_gap),
	KUNIT_CASE(split_block_is_freed_frame_by_frame),
	KUNIT_CASE(bad_free_is_refused_and_reported),
	KUNIT_CASE(of_two_racing_frees_one_is_refused),
	KUNIT_CASE(watermarks_keep_a_reserve),
	KUNIT_CASE(relieve_is_asked_and_its_success_retried),
	KUNIT_CASE(below_low_somebody_is_woken),
	KUNIT_CASE(held_frame_waits_in_quarantine),
	KUNIT_CASE(held_frame_of_a_block_does_not_hold_the_rest),
	KUNIT_CASE(owner_is_uncharged_when_the_frame_is_home),
	KUNIT_CASE(types_are_kept_apart_by_pageblock),
	KUNIT_CASE(type_with_nothing_left_takes_from_others),
	KUNIT_CASE(every_failure_of_init_leaves_nothing),
	KUNIT_CASE(sums_are_exact_while_threads_run),
	KUNIT_CASE(random_against_reference),
	KUNIT_CASE(usercopy_of_pages_passes_the_hosts_checks),
	KUNIT_CASE(host_compaction_leaves_frames_alone),
	KUNIT_CASE(client_functions_keep_linuxs_contract),
	{}
};

struct kunit_suite kmm_buddy_suite = {
	.name = "kmm_buddy",
	.suite_init = buddy_suite_init,
	.suite_exit = buddy_suite_exit,
	.exit = kmm_test_exit,
	.test_cases = buddy_cases,
};
