// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_page_ext
 *
 * The side array on a fake region, with clients of the cases' own. All of it is metadata, so
 * the region's sum is looked at after the buddy took the rest.
 */

#include <linux/mm.h>

#include <kmm/inject.h>
#include <kmm/page_ext.h>

#include "helpers.h"

static unsigned int nr_asked;

static bool need_yes(void)
{
	nr_asked++;
	return true;
}

static bool need_no(void)
{
	nr_asked++;
	return false;
}

static size_t size_odd(void)
{
	return 13;
}

static size_t size_word(void)
{
	return 8;
}

static size_t size_never(void)
{
	return SZ_1G;
}

static const struct kmm_page_ext_client odd = { "odd", need_yes, size_odd };
static const struct kmm_page_ext_client word = { "word", need_yes, size_word };
/* Not needed: its size must not matter. */
static const struct kmm_page_ext_client never = { "never", need_no, size_never };
static const struct kmm_page_ext_client huge = { "huge", need_yes, size_never };

static struct kmm_test *begin_region(struct kunit *test)
{
	struct kmm_test *t = kmm_test_create(test, &kmm_layout_odd);

	KUNIT_ASSERT_EQ(test, kmm_test_start_region(t), 0);
	nr_asked = 0;
	return t;
}

static void end_region(struct kunit *test)
{
	struct kmm_test *t = test->priv;

	KUNIT_ASSERT_EQ(test, kmm_test_start(t), 0);
	kmm_test_free_blocks(t, t->initial);
	kmm_test_end(test);
	KUNIT_EXPECT_EQ(test, t->region.ext.needed, 0);
}

static void nobody_needs_any_no_byte(struct kunit *test)
{
	const struct kmm_page_ext_client *clients[KMM_NR_PAGE_EXT] = { &never };
	struct kmm_test *t = begin_region(test);
	unsigned long frames = t->region.early_frames;

	KUNIT_EXPECT_EQ(test, kmm_page_ext_init(&t->region, clients), 0);
	KUNIT_EXPECT_EQ(test, nr_asked, 1);
	KUNIT_EXPECT_EQ(test, t->region.early_frames, frames);
	KUNIT_EXPECT_EQ(test, kmm_page_ext_bytes(&t->region), 0);
	KUNIT_EXPECT_NULL(test, kmm_page_ext_get(&t->region.ext, 0, 0));
	end_region(test);
}

static void parts_are_aligned_apart_and_zero(struct kunit *test)
{
	const struct kmm_page_ext_client *clients[KMM_NR_PAGE_EXT] = { };
	struct kmm_test *t = begin_region(test);
	struct kmm_region *r = &t->region;
	unsigned long frames = r->early_frames, bad = 0, i;
	const unsigned int last = KMM_NR_PAGE_EXT - 1;
	u8 *p, *q;

	/* others between them do not need any */
	clients[0] = &odd;
	clients[last] = &word;
	KUNIT_ASSERT_EQ(test, kmm_page_ext_init(r, clients), 0);
	/* 13 and 8 bytes, and an entry is a multiple of a frame */
	KUNIT_EXPECT_EQ(test, r->ext.size, 32);
	KUNIT_EXPECT_EQ(test, kmm_page_ext_bytes(r), r->nr_index * 32);
	/* it may begin in the frame that the one before it ended in */
	KUNIT_EXPECT_LE(test, r->early_frames - frames, PFN_UP(r->nr_index * 32));
	KUNIT_EXPECT_GE(test, r->early_frames - frames,
			(r->nr_index * 32 - PAGE_SIZE) >> PAGE_SHIFT);
	for (i = 0; i < r->nr_index; i++) {
		p = kmm_page_ext_get(&r->ext, 0, i);
		q = kmm_page_ext_get(&r->ext, last, i);
		bad += !IS_ALIGNED((unsigned long)p, 8) || !IS_ALIGNED((unsigned long)q, 8);
		bad += memchr_inv(p, 0, 13) || memchr_inv(q, 0, 8);
		memset(p, 0xaa, 13);
		memset(q, 0x55, 8);
	}
	kmm_page_ext_switch(r, last, true);
	for (i = 0; i < r->nr_index; i++) {
		bad += kmm_page_ext_of(&r->ext, last, r->frames + i) !=
		       kmm_page_ext_get(&r->ext, last, i);
		bad += !!kmm_page_ext_of(&r->ext, 0, r->frames + i);
		bad += !!memchr_inv(kmm_page_ext_get(&r->ext, 0, i), 0xaa, 13);
		bad += !!memchr_inv(kmm_page_ext_get(&r->ext, last, i), 0x55, 8);
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_TRUE(test, kmm_page_ext_is_on(&r->ext, last));
	KUNIT_EXPECT_FALSE(test, kmm_page_ext_is_on(&r->ext, 0));
	kmm_page_ext_switch(r, last, false);
	KUNIT_EXPECT_NULL(test, kmm_page_ext_of(&r->ext, last, r->frames));
	if (last > 1)
		KUNIT_EXPECT_NULL(test, kmm_page_ext_get(&r->ext, 1, 0));
	end_region(test);
}

static void no_room_leaves_all_without(struct kunit *test)
{
	const struct kmm_page_ext_client *clients[KMM_NR_PAGE_EXT] = { &huge };
	struct kmm_test *t = begin_region(test);
	unsigned long frames = t->region.early_frames;

	KUNIT_EXPECT_EQ(test, kmm_page_ext_init(&t->region, clients), -ENOMEM);
	KUNIT_EXPECT_EQ(test, t->region.ext.needed, 0);
	KUNIT_EXPECT_EQ(test, t->region.early_frames, frames);
	clients[0] = &word;
	kmm_inject_arm(1);
	KUNIT_EXPECT_EQ(test, kmm_page_ext_init(&t->region, clients), -ENOMEM);
	KUNIT_EXPECT_TRUE(test, kmm_inject_disarm());
	KUNIT_EXPECT_EQ(test, t->region.ext.needed, 0);
	KUNIT_EXPECT_NULL(test, kmm_page_ext_get(&t->region.ext, 0, 0));
	KUNIT_EXPECT_EQ(test, kmm_page_ext_init(&t->region, clients), 0);
	KUNIT_EXPECT_NOT_NULL(test, kmm_page_ext_get(&t->region.ext, 0, 0));
	end_region(test);
}

static struct kunit_case page_ext_cases[] = {
	KUNIT_CASE(nobody_needs_any_no_byte),
	KUNIT_CASE(parts_are_aligned_apart_and_zero),
	KUNIT_CASE(no_room_leaves_all_without),
	{}
};

struct kunit_suite kmm_page_ext_suite = {
	.name = "kmm_page_ext",
	.exit = kmm_test_exit,
	.test_cases = page_ext_cases,
};
