// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_region
 *
 * What all providers have in common (region.c), on a fake provider that reports odd pieces
 * (helpers.c), and a little of the real providers: that a small region can be had from
 * them beside the module's own, and what they say when it cannot.
 */

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <kmm/inject.h>

#include "helpers.h"

static struct kmm_test *begin_region(struct kunit *test, const struct kmm_test_layout *layout)
{
	struct kmm_test *t = kmm_test_create(test, layout);

	KUNIT_ASSERT_EQ(test, kmm_test_start_region(t), 0);
	return t;
}

/* From here on with a buddy, to the common end. */
static void end_region(struct kunit *test)
{
	struct kmm_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, kmm_test_start(t), 0);
	kmm_test_free_blocks(t, t->initial);
	kmm_test_end(test);
}

/* Is frame @i of host block @block one that the layout reports? */
static bool in_layout(const struct kmm_test_layout *l, unsigned int block, unsigned int i)
{
	unsigned int p;

	for (p = 0; p < l->nr_pieces; p++)
		if (l->piece[p].block == block && i >= l->piece[p].first &&
		    i < l->piece[p].first + l->piece[p].nr)
			return true;
	return false;
}

static void extents_are_sorted_and_summed(struct kunit *test)
{
	struct kmm_test *t = begin_region(test, &kmm_layout_odd);
	unsigned long sum = 0;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, t->region.nr_extents, kmm_layout_odd.nr_pieces);
	for (i = 0; i < t->region.nr_extents; i++) {
		const struct kmm_extent *e = &t->region.extents[i];

		if (i)
			KUNIT_EXPECT_GE(test, e->start_pfn, e[-1].start_pfn + e[-1].nr_pages);
		KUNIT_EXPECT_EQ(test, e->nr_pages, kmm_layout_odd.piece[e->priv].nr);
		sum += e->nr_pages;
	}
	KUNIT_EXPECT_EQ(test, sum, kmm_test_frames(t));
	KUNIT_EXPECT_EQ(test, t->region.nr_frames, sum);
	KUNIT_EXPECT_EQ(test, t->region.nr_index, 5 * KMM_GRANULE_FRAMES);
	end_region(test);
}

static void index_and_pfn_name_the_same_frame(struct kunit *test)
{
	struct kmm_test *t = begin_region(test, &kmm_layout_odd);
	struct kmm_region *r = &t->region;
	unsigned long bad = 0, i;
	unsigned int b;

	for (i = 0; i < r->nr_index; i++) {
		unsigned long pfn = kmm_region_pfn(r, i);

		bad += kmm_region_frame(r, pfn) != &r->frames[i];
		bad += kmm_region_index(r, &r->frames[i]) != i;
		bad += (pfn ^ i) & (KMM_GRANULE_FRAMES - 1);
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	/* each host block is a granule; nothing around it has a frame */
	for (b = 0; b < kmm_layout_odd.nr_blocks; b++) {
		unsigned long pfn = page_to_pfn(t->host[b]);

		KUNIT_EXPECT_NOT_NULL(test, kmm_region_frame(r, pfn));
		KUNIT_EXPECT_NOT_NULL(test, kmm_region_frame(r, pfn + 1023));
		if (!b || page_to_pfn(t->host[b - 1]) != pfn - 1024)
			KUNIT_EXPECT_NULL(test, kmm_region_frame(r, pfn - 1));
	}
	KUNIT_EXPECT_NULL(test, kmm_region_frame(r, 0));
	KUNIT_EXPECT_NULL(test, kmm_region_frame(r, ULONG_MAX));
	KUNIT_EXPECT_NULL(test, kmm_region_frame(r, r->first_granule << KMM_MAX_ORDER |
						 1UL << 50));
	end_region(test);
}

/* Frames that the source did not give are absent, and nobody writes to them. */
static void gaps_are_left_alone(struct kunit *test)
{
	struct kmm_test *t = begin_region(test, &kmm_layout_odd);
	unsigned long bad = 0, metadata = 0, ours = 0;
	struct page *page;
	unsigned int b, i;

	KUNIT_ASSERT_EQ(test, kmm_test_start(t), 0);
	kmm_test_free_blocks(t, t->initial);
	/* use it all once */
	while ((page = kmm_buddy_alloc(&t->buddy, __GFP_MEMALLOC | __GFP_NOWARN, 0)))
		memset(page_address(page), 0x11, PAGE_SIZE);
	for (b = 0; b < kmm_layout_odd.nr_blocks; b++) {
		for (i = 0; i < KMM_GRANULE_FRAMES; i++) {
			unsigned long pfn = page_to_pfn(t->host[b]) + i;
			struct kmm_frame *f = kmm_region_frame(&t->region, pfn);

			if (!in_layout(&kmm_layout_odd, b, i)) {
				bad += kmm_frame_state(f) != KMM_FRAME_ABSENT;
				bad += !!memchr_inv(pfn_to_kaddr(pfn), 0xdb, PAGE_SIZE);
				continue;
			}
			metadata += kmm_frame_state(f) == KMM_FRAME_METADATA;
			ours += kmm_frame_state(f) == KMM_FRAME_USED;
		}
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_EQ(test, metadata, t->region.early_frames);
	KUNIT_EXPECT_EQ(test, ours + metadata, kmm_test_frames(t));
	for (i = 0; i < t->region.nr_index; i++)
		if (t->region.frames[i].tag == KMM_FRAME_TAG(KMM_FRAME_USED, 0))
			kmm_buddy_free(&t->buddy, kmm_region_page(&t->region, i), 0);
	kmm_test_end(test);
}

static void metadata_is_counted(struct kunit *test)
{
	struct kmm_test *t = begin_region(test, &kmm_layout_odd);
	struct kmm_region *r = &t->region;
	unsigned long frames = DIV_ROUND_UP(r->nr_index * sizeof(struct kmm_frame), PAGE_SIZE);
	struct kmm_buddy_stat st;

	KUNIT_EXPECT_GE(test, r->early_frames, frames);
	KUNIT_EXPECT_LE(test, r->early_frames, frames + 1);
	KUNIT_ASSERT_EQ(test, kmm_test_start(t), 0);
	st = kmm_test_stat(t);
	KUNIT_EXPECT_EQ(test, st.metadata, r->early_frames);
	KUNIT_EXPECT_EQ(test, st.free + st.metadata, r->nr_frames);
	KUNIT_EXPECT_EQ(test, t->buddy.managed, r->nr_frames - r->early_frames);
	kmm_test_free_blocks(t, t->initial);
	kmm_test_end(test);
}

static void early_memory_is_aligned_and_zero(struct kunit *test)
{
	static const struct {
		size_t size, align;
	} ask[] = { { 1, 1 }, { 100, 64 }, { 4096, 4096 }, { 3, 1 }, { 12345, 8 }, { 8, 4096 } };
	struct kmm_test *t = begin_region(test, &kmm_layout_plain);
	unsigned long before = t->region.early_frames;
	u8 *p[ARRAY_SIZE(ask)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ask); i++) {
		p[i] = kmm_region_early_alloc(&t->region, ask[i].size, ask[i].align);
		KUNIT_ASSERT_NOT_NULL(test, p[i]);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)p[i], ask[i].align));
		KUNIT_EXPECT_NULL(test, memchr_inv(p[i], 0, ask[i].size));
		memset(p[i], i + 1, ask[i].size);
	}
	KUNIT_EXPECT_NULL(test, kmm_region_early_alloc(&t->region, 0, 1));
	KUNIT_EXPECT_NULL(test, kmm_region_early_alloc(&t->region, 16 << 20, 1));
	KUNIT_EXPECT_GE(test, t->region.early_frames, before + 5);
	KUNIT_EXPECT_LE(test, t->region.early_frames, before + 7);
	KUNIT_ASSERT_EQ(test, kmm_test_start(t), 0);
	/* mem_init has the rest: no more, and what was given stays */
	KUNIT_EXPECT_NULL(test, kmm_region_early_alloc(&t->region, 1, 1));
	for (i = 0; i < ARRAY_SIZE(ask); i++)
		KUNIT_EXPECT_NULL(test, memchr_inv(p[i], i + 1, ask[i].size));
	KUNIT_EXPECT_EQ(test, kmm_test_metadata(t), t->region.early_frames);
	kmm_test_free_blocks(t, t->initial);
	kmm_test_end(test);
}

static void window_is_one_zero_page_read_only(struct kunit *test)
{
	struct kmm_test *t = begin_region(test, &kmm_layout_plain);
	unsigned long n = 700, i, bad = 0;
	unsigned int level;
	pte_t *pte;

	KUNIT_ASSERT_EQ(test, kmm_region_init_window(&t->region, n), 0);
	KUNIT_ASSERT_NOT_NULL(test, t->region.window);
	KUNIT_EXPECT_EQ(test, t->region.window_pages, n);
	for (i = 0; i < n; i++) {
		void *addr = t->region.window + i * PAGE_SIZE;

		bad += !!memchr_inv(addr, 0, PAGE_SIZE);
		bad += vmalloc_to_page(addr) != vmalloc_to_page(t->region.window);
		pte = lookup_address((unsigned long)addr, &level);
		bad += !pte || level != PG_LEVEL_4K || pte_write(*pte);
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	/* the page is the region's own, and counted */
	i = page_to_pfn(vmalloc_to_page(t->region.window));
	KUNIT_EXPECT_NOT_NULL(test, kmm_region_frame(&t->region, i));
	kmm_region_fini_window(&t->region);
	KUNIT_EXPECT_NULL(test, t->region.window);
	end_region(test);
}

static void too_much_is_refused_with_a_reason(struct kunit *test)
{
	struct kmm_test *t = kmm_test_create(test, &kmm_layout_plain);
	struct kmm_region *r = &t->region;

	KUNIT_EXPECT_EQ(test, kmm_region_init_ops(r, &kmm_fake_provider,
						  kmm_test_frames(t) + 1), -ENOMEM);
	KUNIT_EXPECT_NOT_NULL(test, strstr(r->why, "fake: wanted 4097 frames, 4096 here\n"));
	KUNIT_EXPECT_EQ(test, r->nr_extents, 0);
	KUNIT_EXPECT_NULL(test, t->host[0]);

	memset(r, 0, sizeof(*r));
	KUNIT_EXPECT_EQ(test, kmm_region_init(r, "no such", 1024), -EINVAL);

	/* more than the machine has: CMA says what to put on the command line */
	memset(r, 0, sizeof(*r));
	KUNIT_EXPECT_LT(test, kmm_region_init(r, "cma", totalram_pages() + 1024), 0);
	KUNIT_EXPECT_NOT_NULL(test, strstr(r->why, "cma="));
	KUNIT_EXPECT_EQ(test, r->nr_extents, 0);
	memset(r, 0, sizeof(*r));
	KUNIT_EXPECT_LT(test, kmm_region_init(r, "contig", 2 * totalram_pages()), 0);
	KUNIT_EXPECT_NE(test, r->why[0], 0);
	KUNIT_EXPECT_EQ(test, r->nr_extents, 0);
}

/* Each provider of this kernel gives a small region beside the module's. */
static void small_region_from(struct kunit *test, const char *provider)
{
	struct kmm_test *t = kmm_test_create(test, &kmm_layout_plain);
	unsigned long frames = 8UL << (20 - PAGE_SHIFT);
	struct page *page;
	int err;

	err = kmm_region_init(&t->region, provider, frames);
	if (err == -EOPNOTSUPP || !strcmp(provider, "cma"))
		if (err)
			kunit_skip(test, "%s", t->region.why);
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_STREQ(test, t->region.ops->name, provider);
	KUNIT_EXPECT_FALSE(test, t->region.fallback);
	KUNIT_EXPECT_GE(test, t->region.nr_frames, frames);
	KUNIT_ASSERT_EQ(test, kmm_buddy_init(&t->buddy, &t->region), 0);
	page = kmm_buddy_alloc(&t->buddy, GFP_KERNEL | __GFP_ZERO, 3);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_NULL(test, memchr_inv(page_address(page), 0, PAGE_SIZE << 3));
	kmm_buddy_free(&t->buddy, page, 3);
	KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
	kmm_buddy_fini(&t->buddy);
	KUNIT_EXPECT_EQ(test, kmm_region_fini(&t->region), 0);
}

static void cma_serves(struct kunit *test)
{
	small_region_from(test, "cma");
}

static void contig_serves(struct kunit *test)
{
	small_region_from(test, "contig");
}

static void chunks_serve(struct kunit *test)
{
	small_region_from(test, "chunks");
}

static void extent_with_a_held_frame_is_leaked_not_released(struct kunit *test)
{
	struct kmm_test *t = begin_region(test, &kmm_layout_odd);
	struct page *page;
	u64 mark;

	KUNIT_ASSERT_EQ(test, kmm_test_start(t), 0);
	/* somebody holds a frame of the 513-frame extent, as a pipe would: it was freed */
	KUNIT_ASSERT_EQ(test, kmm_buddy_alloc_range(&t->buddy, page_to_pfn(t->host[0]) + 600,
						    page_to_pfn(t->host[0]) + 601), 0);
	page = t->host[0] + 600;
	get_page(page);
	kmm_buddy_free(&t->buddy, page, 0);
	KUNIT_EXPECT_EQ(test, kmm_test_quarantined(t), 1);
	kmm_buddy_fini(&t->buddy);
	t->has_buddy = false;
	mark = kmm_log_mark();
	kmm_expect("kmm: region: leaked: 513 frames", 1);
	KUNIT_EXPECT_EQ(test, kmm_region_fini(&t->region), 513);
	kmm_expect_end();
	t->has_region = false;
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "region: leaked: 513 frames at"), 1);
	KUNIT_EXPECT_EQ(test, t->releases, kmm_layout_odd.nr_pieces - 1);
	KUNIT_EXPECT_EQ(test, t->released, kmm_test_frames(t) - 513);
	KUNIT_EXPECT_FALSE(test, t->fail_release);
	/* the test's own host block goes back when its holder lets go */
	put_page(page);
}

/* Each allocation of the region and its window fails once. */
static void every_failure_of_init_leaves_nothing(struct kunit *test)
{
	struct kmm_test *t = kmm_test_create(test, &kmm_layout_odd);
	unsigned int n;

	for (n = 1; n < 100; n++) {
		int err;

		kmm_inject_arm(n);
		err = kmm_test_start_region(t);
		if (!err)
			err = kmm_region_init_window(&t->region, 64);
		if (!kmm_inject_disarm())
			break;
		KUNIT_ASSERT_NE_MSG(test, err, 0, "failure %u was ignored", n);
		KUNIT_EXPECT_NULL(test, t->region.window);
		if (t->has_region)
			KUNIT_EXPECT_EQ(test, kmm_region_fini(&t->region), 0);
		t->has_region = false;
		KUNIT_EXPECT_NULL(test, t->region.extents);
		KUNIT_EXPECT_NULL(test, t->region.granule_pfn);
		kmm_test_free_host(t);
	}
	KUNIT_EXPECT_GT(test, n, 5);
	KUNIT_ASSERT_TRUE(test, t->has_region);
	KUNIT_ASSERT_NOT_NULL(test, t->region.window);
	kunit_info(test, "%u failure points\n", n - 1);
	kmm_region_fini_window(&t->region);
	end_region(test);
}

static struct kunit_case region_cases[] = {
	KUNIT_CASE(extents_are_sorted_and_summed),
	KUNIT_CASE(index_and_pfn_name_the_same_frame),
	KUNIT_CASE(gaps_are_left_alone),
	KUNIT_CASE(metadata_is_counted),
	KUNIT_CASE(early_memory_is_aligned_and_zero),
	KUNIT_CASE(window_is_one_zero_page_read_only),
	KUNIT_CASE(too_much_is_refused_with_a_reason),
	KUNIT_CASE(cma_serves),
	KUNIT_CASE(contig_serves),
	KUNIT_CASE(chunks_serve),
	KUNIT_CASE(extent_with_a_held_frame_is_leaked_not_released),
	KUNIT_CASE(every_failure_of_init_leaves_nothing),
	{}
};

struct kunit_suite kmm_region_suite = {
	.name = "kmm_region",
	.exit = kmm_test_exit,
	.test_cases = region_cases,
};
