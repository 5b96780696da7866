// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_host_tools
 *
 * What the host's KASAN is told, on private instances: the cases read KASAN's shadow, so nothing is
 * reported and lockdep stays on. With kasan=1 a case touches freed memory for real and looks for
 * KASAN's report; tools/checks/guest does this in a boot of its own. On hosts without KASAN all
 * is skipped, except that nothing may happen there.
 */

#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <kmm/hardening.h>
#include <kmm/host_tools.h>
#include <kmm/slab.h>

#include "helpers.h"

/* Switches before the suite changed them. */
static unsigned int switches;

static int tools_init(struct kunit *test)
{
	switches = kmm_hardening_set(0);
	return 0;
}

static void stop(struct kunit *test)
{
	struct kmm_test *t = test->priv;

	if (t && t->region.host_tools)
		kmm_host_tools_stop(&t->region);
}

static void tools_exit(struct kunit *test)
{
	stop(test);
	kmm_hardening_set(switches);
	kmm_test_exit(test);
}

#ifdef CONFIG_KASAN_GENERIC
#define SHADOW_FREE_OBJECT	0xfb
#define SHADOW_FREE_PAGE	0xff

static struct kmm_test *begin(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_plain);

	kmm_host_tools_start(&t->region, KMM_HOST_KASAN);
	return t;
}

static void end(struct kunit *test)
{
	stop(test);
	kmm_test_end_slab(test);
}

static u8 shadow(const void *p)
{
	return *(u8 *)kasan_mem_to_shadow(p);
}

/* Granules in [p, p + size) whose shadow is not @value. */
static unsigned int other_granules(const void *p, size_t size_bytes, u8 value)
{
	unsigned int nr = 0;
	size_t i;

	for (i = 0; i < size_bytes; i += sizeof(long))
		nr += shadow(p + i) != value;
	return nr;
}

static void freed_objects_are_poisoned_but_their_word(struct kunit *test)
{
	static const unsigned int sizes[] = { 8, 16, 64, 100, 256, 1000, 4096, 8192 };
	void *obj[40];
	unsigned int i, j;

	begin(test);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct kmm_cache *s = kmm_test_cache(test, sizes[i], 0, 0, NULL);
		size_t whole = ALIGN(sizes[i], sizeof(long));

		KUNIT_ASSERT_EQ(test, kmm_cache_alloc_bulk(s, KMM_QUIET, 40, obj), 40);
		for (j = 0; j < 40; j++)
			KUNIT_EXPECT_EQ(test, other_granules(obj[j], whole, 0), 0);
		for (j = 0; j < 20; j++)
			kmm_cache_free(s, obj[j]);
		kmm_cache_free_bulk(s, 20, obj + 20);
		for (j = 0; j < 40; j++) {
			KUNIT_EXPECT_EQ_MSG(test, other_granules(obj[j], whole, SHADOW_FREE_OBJECT),
					    1, "size %u", sizes[i]);
			KUNIT_EXPECT_EQ(test, shadow(obj[j] + s->offset), 0);
		}
		/* and again: what comes out can be used, all of it, zeroed or not */
		for (j = 0; j < 40; j++) {
			obj[j] = kmm_cache_alloc(s, KMM_QUIET | (j % 2 ? __GFP_ZERO : 0));
			KUNIT_ASSERT_NOT_NULL(test, obj[j]);
			memset(obj[j], j, sizes[i]);
		}
		kmm_cache_free_bulk(s, 40, obj);
		KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	}
	end(test);
}

static void free_frames_are_poisoned(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 3, 5, 9 };
	struct kmm_test *t = begin(test);
	struct page *page;
	unsigned int i, nr;
	void *p, *mem;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		page = kmm_buddy_alloc(&t->buddy, KMM_QUIET, orders[i]);
		KUNIT_ASSERT_NOT_NULL(test, page);
		mem = page_address(page);
		nr = PAGE_SIZE << orders[i];
		KUNIT_EXPECT_EQ(test, other_granules(mem, nr, 0), 0);
		memset(mem, 1, nr);
		kmm_buddy_free(&t->buddy, page, orders[i]);
		KUNIT_EXPECT_EQ(test, other_granules(mem, nr, SHADOW_FREE_PAGE), 0);
	}
	/* large kmalloc is frames */
	p = kmm_slab_kmalloc(&t->slab, 20000, KMM_QUIET);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, other_granules(p, 32768, 0), 0);
	kmm_slab_kfree(&t->slab, p);
	KUNIT_EXPECT_EQ(test, other_granules(p, 32768, SHADOW_FREE_PAGE), 0);
	stop(test);
	KUNIT_EXPECT_EQ_MSG(test, other_granules(p, 32768, 0), 0, "the host gets it usable");
	kmm_test_end_slab(test);
}

static void a_pinned_frame_is_not_poisoned_before_it_is_home(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct page *page = kmm_buddy_alloc(&t->buddy, KMM_QUIET, 0);
	void *p;

	KUNIT_ASSERT_NOT_NULL(test, page);
	p = page_address(page);
	get_page(page);
	kmm_buddy_free(&t->buddy, page, 0);
	KUNIT_EXPECT_EQ(test, other_granules(p, PAGE_SIZE, 0), 0);
	put_page(page);
	KUNIT_EXPECT_EQ(test, kmm_buddy_recheck_quarantine(&t->buddy), 1);
	KUNIT_EXPECT_EQ(test, other_granules(p, PAGE_SIZE, SHADOW_FREE_PAGE), 0);
	end(test);
}

static void what_may_be_read_free_is_not_poisoned(struct kunit *test)
{
	static const slab_flags_t flags[] = {
		SLAB_TYPESAFE_BY_RCU, SLAB_POISON, SLAB_RED_ZONE, SLAB_STORE_USER,
	};
	unsigned int i;
	void *obj;

	begin(test);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct kmm_cache *s = kmm_test_cache(test, 64, 0, flags[i], NULL);

		obj = kmm_cache_alloc(s, KMM_QUIET);
		KUNIT_ASSERT_NOT_NULL(test, obj);
		kmm_cache_free(s, obj);
		KUNIT_EXPECT_EQ(test, other_granules(obj, 64, 0), 0);
		KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	}
	end(test);
}

/* With all that writes to freed memory, or reads it, on: it must not trip over the poison. */
static void it_goes_with_other_switches(struct kunit *test)
{
	struct rnd_state rnd;
	struct kmm_test *t;
	void **obj = kunit_kcalloc(test, 512, sizeof(*obj), GFP_KERNEL);
	unsigned int i, n;

	KUNIT_ASSERT_NOT_NULL(test, obj);
	prandom_seed_state(&rnd, kmm_test_seed);
	kmm_hardening_set(KMM_INIT_ON_ALLOC | KMM_INIT_ON_FREE | KMM_SLAB_HARDENED);
	t = begin(test);
	for (n = 0; n < 4000; n++) {
		i = kmm_below(&rnd, 512);
		kmm_slab_kfree(&t->slab, obj[i]);
		obj[i] = kmm_slab_kmalloc(&t->slab, 1 + kmm_below(&rnd, 12000), KMM_QUIET);
		if (obj[i])
			memset(obj[i], i, kmm_slab_ksize(&t->slab, obj[i]));
		if (n % 1000 == 999)
			kmm_slab_shrink(&t->slab);
	}
	for (i = 0; i < 512; i++)
		kmm_slab_kfree(&t->slab, obj[i]);
	end(test);
}

/* KASAN's headline for this is "use-after-free" or, since 6.3, "slab-use-after-free". */
static void kasan_reports_a_use_after_free(struct kunit *test)
{
	struct kmm_test *t;
	u64 mark = kmm_log_mark();
	u8 *p;

	if (!kmm_test_kasan)
		kunit_skip(test, "kasan=0: it would switch lockdep off");
	t = begin(test);
	kmm_expect("BUG: KASAN: .*use-after-free", 2);
	p = kmm_slab_kmalloc(&t->slab, 64, KMM_QUIET);
	KUNIT_ASSERT_NOT_NULL(test, p);
	kmm_slab_kfree(&t->slab, p);
	READ_ONCE(p[3]);
	p = kmm_slab_kmalloc(&t->slab, 20000, KMM_QUIET);
	KUNIT_ASSERT_NOT_NULL(test, p);
	kmm_slab_kfree(&t->slab, p);
	WRITE_ONCE(p[15000], 1);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "use-after-free in kasan_reports_a_use"), 2);
	end(test);
}
#endif

static void without_a_tool_nothing_happens(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_one);
	unsigned int have = kmm_host_tools_available();

	kmm_host_tools_start(&t->region, ~have);
	KUNIT_EXPECT_EQ(test, t->region.host_tools, 0);
	KUNIT_EXPECT_EQ(test, have, (IS_ENABLED(CONFIG_KASAN_GENERIC) ? KMM_HOST_KASAN : 0) |
				    (IS_ENABLED(CONFIG_DEBUG_KMEMLEAK) ? KMM_HOST_KMEMLEAK : 0));
	kmm_host_tools_stop(&t->region);
	kmm_test_end_slab(test);
}

static struct kunit_case tools_cases[] = {
#ifdef CONFIG_KASAN_GENERIC
	KUNIT_CASE(freed_objects_are_poisoned_but_their_word),
	KUNIT_CASE(free_frames_are_poisoned),
	KUNIT_CASE(a_pinned_frame_is_not_poisoned_before_it_is_home),
	KUNIT_CASE(what_may_be_read_free_is_not_poisoned),
	KUNIT_CASE(it_goes_with_other_switches),
	KUNIT_CASE(kasan_reports_a_use_after_free),
#endif
	KUNIT_CASE(without_a_tool_nothing_happens),
	{ }
};

struct kunit_suite kmm_host_tools_suite = {
	.name = "kmm_host_tools",
	.init = tools_init,
	.exit = tools_exit,
	.test_cases = tools_cases,
};
