// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_buddy
 *
 * The buddy allocator in the kernel, on private instances over a fake region (helpers.c).
 * A case is a property. What the user-space harness (tools/harness) cannot show is here
 * and in buddy_load_kunit.c: real contexts, real CPUs, lockdep and KASAN on the debug
 * kernel.
 *
 * Reports of refused frees are rate limited (ten in five seconds), so all planted ones are
 * in one case, which waits until the limit is fresh and announces what it will provoke.
 */

#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include <kmm/inject.h>
#include <kmm/report.h>

#include "helpers.h"

/* === Small helpers === */

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
		page[o] = kmm_test_alloc(test, KMM_QUIET, o);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), (1UL << KMM_NR_ORDERS) - 1);
	for (o = 0; o < KMM_NR_ORDERS; o++)
		kmm_buddy_free(&t->buddy, page[o], o);
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, KMM_QUIET, KMM_NR_ORDERS));
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, KMM_QUIET, UINT_MAX));
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
		page = kmm_test_alloc(test, KMM_QUIET | __GFP_MOVABLE, o);
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
	pages = take_all(test, KMM_GRAB, &nr);
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
		struct page *page = kmm_test_alloc(test, KMM_QUIET, o);

		memset(page_address(page), 0xa5, PAGE_SIZE << o);
		kmm_buddy_free(&t->buddy, page, o);
		page = kmm_test_alloc(test, KMM_QUIET | __GFP_ZERO, o);
		KUNIT_EXPECT_TRUE_MSG(test, kmm_test_is_zero(page, o), "order %u", o);
		memset(page_address(page), 0xa5, PAGE_SIZE << o);
		kmm_buddy_free(&t->buddy, page, o);
	}
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_bulk(&t->buddy, KMM_QUIET | __GFP_ZERO, 3, pages), 3);
	for (o = 0; o < 3; o++)
		KUNIT_EXPECT_TRUE(test, kmm_test_is_zero(pages[o], 0));
	kmm_buddy_free_bulk(&t->buddy, pages, 3);
	kmm_test_end(test);
}

static void nowarn_is_silent(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned long nr;
	struct page **pages = take_all(test, KMM_GRAB, &nr);
	u64 mark = kmm_log_mark(), fails = kmm_test_event(t, KMM_ALLOC_FAIL);

	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, GFP_KERNEL | __GFP_NOWARN, 0));
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "page allocation failure"), 0);
	kmm_expect("page allocation failure: order:0", 1);
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, GFP_KERNEL, 0));
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "page allocation failure: order:0, mode"), 1);
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

		pages[i] = kmm_test_alloc(test, KMM_QUIET, 0);
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
		kmm_buddy_free(&t->buddy, kmm_test_alloc(test, KMM_QUIET, o), o);
		locks = kmm_test_event(t, KMM_LOCK_SLOW);
		for (round = 0; round < 100; round++)
			kmm_buddy_free(&t->buddy, kmm_test_alloc(test, KMM_QUIET, o), o);
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
	kmm_buddy_free(&t->buddy, kmm_test_alloc(test, KMM_QUIET, 0), 0);
	kmm_buddy_free(&t->buddy, kmm_test_alloc(test, KMM_QUIET | __GFP_MOVABLE, 2), 2);
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

	c->page[0] = kmm_buddy_alloc(c->b, KMM_GRAB, 0);
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
	pages = take_all(test, KMM_GRAB, &nr);
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
	kmm_buddy_free(&t->buddy, kmm_test_alloc(test, KMM_QUIET, 0), 0);
	kmm_buddy_free(&t->buddy, kmm_test_alloc(test, KMM_QUIET | __GFP_MOVABLE, 3), 3);
	cached = kmm_test_cached(t);
	KUNIT_EXPECT_GE(test, cached, 9);
	kmm_stay_on_cpu(0);
	KUNIT_ASSERT_EQ(test, remove_cpu(cpu), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_cached(t), 0);
	KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
	KUNIT_ASSERT_EQ(test, add_cpu(cpu), 0);
	/* and it caches again */
	kmm_stay_on_cpu(cpu);
	kmm_buddy_free(&t->buddy, kmm_test_alloc(test, KMM_QUIET, 0), 0);
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
		own[i] = kmm_test_alloc(test, KMM_QUIET, 0);
	pages[0] = own[0];
	pages[33] = own[1];
	pages[nr - 1] = own[2];
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_bulk(&t->buddy, KMM_QUIET, nr, pages), nr);
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
	got = kmm_buddy_alloc_bulk(&t->buddy, KMM_GRAB, max, pages);
	KUNIT_EXPECT_EQ(test, got, max - t->region.early_frames);
	KUNIT_EXPECT_NULL(test, pages[got]);
	kmm_buddy_free_bulk(&t->buddy, pages, got);
	kmm_test_end(test);
}

/* Work on this CPU is counted here, and the CPUs together have what the instance has. */
static void cpus_add_up(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	struct kmm_buddy_cpu_stat before, after, one;
	u64 alloc = 0, freed = 0, refill = 0;
	unsigned long cached = 0;
	struct page *page, *kept;
	struct kmm_buddy_stat st;
	unsigned int cpu, o;

	kmm_stay_on_cpu(0);
	kmm_buddy_cpu_stat(&t->buddy, 0, &before);
	for (o = 0; o < KMM_NR_ORDERS; o++) {
		page = kmm_test_alloc(test, KMM_QUIET, o);
		if (o == 1)
			kept = page;
		else
			kmm_buddy_free(&t->buddy, page, o);
	}
	kmm_buddy_cpu_stat(&t->buddy, 0, &after);
	kmm_go_anywhere();
	KUNIT_EXPECT_EQ(test, after.pgalloc - before.pgalloc, (1ULL << KMM_NR_ORDERS) - 1);
	KUNIT_EXPECT_EQ(test, after.pgfree - before.pgfree, (1ULL << KMM_NR_ORDERS) - 1 - 2);
	KUNIT_EXPECT_GT(test, after.cached, 0UL);
	KUNIT_EXPECT_LE(test, after.cached, after.high);

	for_each_possible_cpu(cpu) {
		kmm_buddy_cpu_stat(&t->buddy, cpu, &one);
		cached += one.cached;
		alloc += one.pgalloc;
		freed += one.pgfree;
		refill += one.event[KMM_PCP_REFILL];
	}
	st = kmm_test_stat(t);
	KUNIT_EXPECT_EQ(test, cached, st.cached);
	KUNIT_EXPECT_EQ(test, alloc - freed, (u64)st.used);
	KUNIT_EXPECT_EQ(test, refill, st.event[KMM_PCP_REFILL]);
	kmm_buddy_free(&t->buddy, kept, 1);
	kmm_test_end(test);
}

static void exact_range_is_taken_or_nothing(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned long pfn = free_granule(t), i;
	struct kmm_buddy_stat before, after;
	struct page *page;

	/* exactly these, also when they lie in caches */
	page = kmm_test_alloc(test, KMM_QUIET, 0);
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
		struct page *page = kmm_test_alloc(test, KMM_QUIET, o);

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
	struct page *pinned = kmm_test_alloc(test, KMM_QUIET, 0);
	struct page *a = kmm_test_alloc(test, KMM_QUIET, 0);
	struct page *b = kmm_test_alloc(test, KMM_QUIET, 3);
	struct page *host = alloc_page(GFP_KERNEL);
	struct kmm_buddy_stat before, after;
	u64 mark;

	KUNIT_ASSERT_NOT_NULL(test, host);
	kmm_buddy_free(&t->buddy, a, 0);
	get_page(pinned);
	kmm_buddy_free(&t->buddy, pinned, 0);
	before = kmm_test_stat(t);
	kmm_report_forget();
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

	pages[0] = take_all(test, KMM_QUIET, &nr[0]);
	KUNIT_EXPECT_EQ(test, kmm_test_free(t), min);
	KUNIT_EXPECT_EQ(test, kmm_test_cached(t), 0);
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, KMM_GRAB | __GFP_NOMEMALLOC, 0));
	pages[1] = take_all(test, GFP_ATOMIC | __GFP_NOWARN, &nr[1]);
	KUNIT_EXPECT_EQ(test, kmm_test_free(t), min / 2);
	pages[2] = take_all(test, KMM_GRAB, &nr[2]);
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
	r->atomic |= !preemptible();
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

	r.pages = take_all(test, KMM_QUIET, &r.nr);
	t->buddy.ctx = &r;
	t->buddy.relieve = relieve;

	page = kmm_test_alloc(test, KMM_QUIET, 0);
	KUNIT_EXPECT_EQ(test, r.calls, 1);
	KUNIT_EXPECT_EQ(test, (__force u32)r.gfp, (__force u32)KMM_QUIET);
	KUNIT_EXPECT_EQ(test, r.order, 0);
	KUNIT_EXPECT_EQ(test, kmm_test_event(t, KMM_ALLOC_RELIEVE), 1);
	r.pages[r.nr++] = page;

	/* nobody who may not sleep is sent there */
	r.calls = 0;
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, GFP_NOWAIT | __GFP_NOWARN, 0));
	KUNIT_EXPECT_EQ(test, r.calls, 0);

	/* a relieve() that frees nothing is asked a bounded number of times */
	r.per_call = 0;
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, KMM_QUIET, 0));
	KUNIT_EXPECT_GT(test, r.calls, 1);
	KUNIT_EXPECT_LE(test, r.calls, 16);
	r.calls = 0;
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, KMM_QUIET | __GFP_NORETRY, 0));
	KUNIT_EXPECT_EQ(test, r.calls, 1);
	r.calls = 0;
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, KMM_QUIET, KMM_MAX_ORDER));
	KUNIT_EXPECT_EQ(test, r.calls, 1);

	/* and one that says no is believed */
	r.calls = 0;
	r.answer = false;
	KUNIT_EXPECT_NULL(test, kmm_buddy_alloc(&t->buddy, KMM_QUIET, 0));
	KUNIT_EXPECT_EQ(test, r.calls, 1);
	KUNIT_EXPECT_FALSE(test, r.atomic);

	t->buddy.relieve = NULL;
	free_all(t, r.pages, r.nr);
	kmm_test_end(test);
}

static void below_low_somebody_is_woken(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned long low = t->buddy.watermark[KMM_WMARK_LOW], nr;
	struct relief r = { .b = &t->buddy };
	struct page *page;

	t->buddy.ctx = &r;
	t->buddy.wake = wake;
	page = kmm_test_alloc(test, KMM_QUIET, 5);
	KUNIT_EXPECT_EQ(test, atomic_read(&r.wakes), 0);
	kmm_buddy_free(&t->buddy, page, 5);
	r.pages = take_all(test, KMM_QUIET, &r.nr);
	KUNIT_EXPECT_GT(test, atomic_read(&r.wakes), 0);
	free_all(t, r.pages, r.nr);

	/* by bulk requests alone, too */
	kmm_buddy_drain_all(&t->buddy);
	atomic_set(&r.wakes, 0);
	memset(r.pages, 0, r.nr * sizeof(*r.pages));
	nr = kmm_test_free(t) - low;
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_bulk(&t->buddy, KMM_QUIET, nr + 2, r.pages), nr + 2);
	KUNIT_EXPECT_LT(test, kmm_test_free(t), low);
	KUNIT_EXPECT_GT(test, atomic_read(&r.wakes), 0);
	t->buddy.wake = NULL;
	kmm_buddy_free_bulk(&t->buddy, r.pages, nr + 2);
	kmm_test_end(test);
}

/* === Quarantine and owners === */

static void held_frame_waits_in_quarantine(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 0), **pages;
	unsigned long nr, i;

	get_page(page);
	kmm_buddy_free(&t->buddy, page, 0);
	KUNIT_EXPECT_EQ(test, kmm_test_quarantined(t), 1);
	KUNIT_EXPECT_EQ(test, kmm_test_event(t, KMM_QUARANTINE_IN), 1);
	KUNIT_EXPECT_EQ(test, kmm_buddy_recheck_quarantine(&t->buddy), 0);
	KUNIT_EXPECT_EQ(test, page_count(page), 2);
	/* nobody gets it, not even the last allocation */
	pages = take_all(test, KMM_GRAB, &nr);
	KUNIT_EXPECT_EQ(test, nr, t->buddy.managed - 1);
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_PTR_NE(test, pages[i], page);
	/* what its holder did to it does not stay */
	SetPageDirty(page);
	SetPageReferenced(page);
	put_page(page);
	/* the next request finds it by itself */
	KUNIT_EXPECT_PTR_EQ(test, kmm_buddy_alloc(&t->buddy, KMM_GRAB, 0), page);
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
		struct page *page = kmm_test_alloc(test, KMM_QUIET, o);
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
	a = kmm_test_alloc(test, KMM_QUIET, 0);
	b = kmm_test_alloc(test, KMM_QUIET, 4);
	c = kmm_test_alloc(test, KMM_QUIET, 2);
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
	a = kmm_test_alloc(test, KMM_QUIET, 0);
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
			page[j][i] = kmm_test_alloc(test, KMM_QUIET | gfp[j], 0);
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
	pages = take_all(test, KMM_GRAB | __GFP_MOVABLE, &nr);
	KUNIT_EXPECT_EQ(test, nr, t->buddy.managed);
	kmm_buddy_free(&t->buddy, pfn_to_page(pfn + 300), 0);
	for (i = 0; i < nr; i++)
		if (pages[i] == pfn_to_page(pfn + 300))
			break;
	KUNIT_ASSERT_LT(test, i, nr);
	page = kmm_test_alloc(test, KMM_GRAB, 0);
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
	KUNIT_CASE(cpus_add_up),
	KUNIT_CASE(exact_range_is_taken_or_nothing),
	KUNIT_CASE(range_ends_at_a_gap),
	KUNIT_CASE(split_block_is_freed_frame_by_frame),
	KUNIT_CASE(bad_free_is_refused_and_reported),
	KUNIT_CASE(watermarks_keep_a_reserve),
	KUNIT_CASE(relieve_is_asked_and_its_success_retried),
	KUNIT_CASE(below_low_somebody_is_woken),
	KUNIT_CASE(held_frame_waits_in_quarantine),
	KUNIT_CASE(held_frame_of_a_block_does_not_hold_the_rest),
	KUNIT_CASE(owner_is_uncharged_when_the_frame_is_home),
	KUNIT_CASE(types_are_kept_apart_by_pageblock),
	KUNIT_CASE(type_with_nothing_left_takes_from_others),
	KUNIT_CASE(every_failure_of_init_leaves_nothing),
	{}
};

struct kunit_suite kmm_buddy_suite = {
	.name = "kmm_buddy",
	.exit = kmm_test_exit,
	.test_cases = buddy_cases,
};
