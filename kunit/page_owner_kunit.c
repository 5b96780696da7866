// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_page_owner
 *
 * On a private buddy on a fake region that has page_owner's space. Stacks go into the module's
 * kmm_stacks. The module's own page_owner is left as it is: what is on is asked for each region.
 */

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/stacktrace.h>

#include <kmm/inject.h>
#include <kmm/page_owner.h>
#include <kmm/paths.h>
#include <kmm/report.h>
#include <kmm/stack_depot.h>

#include "helpers.h"

static bool owner_on;
/* The short hooks were made possible by a case. */
static bool owner_short;

static bool need_yes(void)
{
	return true;
}

static size_t size_of_owner(void)
{
	return sizeof(struct kmm_page_owner);
}

static const struct kmm_page_ext_client owner_client = { "page_owner", need_yes, size_of_owner };

/* A buddy whose region has the space; page_owner is still off. */
static struct kmm_test *begin_reserved(struct kunit *test, const struct kmm_test_layout *layout)
{
	const struct kmm_page_ext_client *clients[KMM_NR_PAGE_EXT] = {
		[KMM_PAGE_EXT_OWNER] = &owner_client,
	};
	struct kmm_test *t = kmm_test_create(test, layout);

	owner_on = false;
	KUNIT_ASSERT_EQ(test, kmm_test_start_region(t), 0);
	KUNIT_ASSERT_EQ(test, kmm_page_ext_init(&t->region, clients), 0);
	KUNIT_ASSERT_EQ(test, kmm_test_start(t), 0);
	kmm_test_free_blocks(t, t->initial);
	return t;
}

static long start(struct kunit *test)
{
	struct kmm_test *t = test->priv;
	long nr = kmm_page_owner_start(&t->region);

	KUNIT_ASSERT_GE(test, nr, 0);
	owner_on = true;
	return nr;
}

static void stop(struct kunit *test)
{
	struct kmm_test *t = test->priv;

	kmm_page_owner_stop(&t->region);
	owner_on = false;
}

static struct kmm_test *begin_owner(struct kunit *test)
{
	struct kmm_test *t = begin_reserved(test, &kmm_layout_plain);

	start(test);
	return t;
}

/*
 * Short hooks want a TSC that is good enough, which a VM of two CPUs may not have. It is for times
 * only, so a case can do with any.
 */
static struct kmm_test *begin_short(struct kunit *test)
{
	struct kmm_test *t = begin_owner(test);

	owner_short = !static_key_enabled(&kmm_page_owner_tsc_key);
	if (owner_short)
		static_branch_enable(&kmm_page_owner_tsc_key);
	return t;
}

static void leave_owner(struct kunit *test)
{
	if (owner_short)
		static_branch_disable(&kmm_page_owner_tsc_key);
	owner_short = false;
	if (owner_on)
		stop(test);
}

static void end_owner(struct kunit *test)
{
	leave_owner(test);
	kmm_test_end(test);
}

/* A case that was aborted. */
static void owner_exit(struct kunit *test)
{
	leave_owner(test);
	kmm_test_exit(test);
}

static u32 index_of(struct kmm_test *t, struct page *page)
{
	return kmm_region_index(&t->region, kmm_region_frame(&t->region, page_to_pfn(page)));
}

static const struct kmm_page_owner *record_of(struct kmm_test *t, struct page *page)
{
	return kmm_page_ext_get(&t->region.ext, KMM_PAGE_EXT_OWNER, index_of(t, page));
}

/* Is @name in the stack of @handle? */
static bool stack_has(struct kunit *test, u32 handle, const char *name)
{
	char *text = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	bool has;

	KUNIT_ASSERT_NOT_NULL(test, text);
	kmm_depot_snprint(&kmm_stacks, handle, text, PAGE_SIZE, 0);
	has = strstr(text, name);
	if (!has)
		kunit_info(test, "no %s in\n%s", name, text);
	kunit_kfree(test, text);
	return has;
}

static void a_record_follows_the_block(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 1, 3, 4, 9, 10 };
	struct kmm_test *t = begin_owner(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		gfp_t gfp = i & 1 ? KMM_QUIET | __GFP_MOVABLE : KMM_QUIET | __GFP_ZERO;
		struct page *page = kmm_test_alloc(test, gfp, orders[i]);
		const struct kmm_page_owner *rec = record_of(t, page);
		struct kmm_page_owner po;

		KUNIT_ASSERT_TRUE(test, kmm_page_owner_get(&t->region, index_of(t, page), &po));
		KUNIT_EXPECT_EQ(test, po.state, KMM_OWNER_ALLOCATED);
		KUNIT_EXPECT_EQ(test, po.order, orders[i]);
		KUNIT_EXPECT_EQ(test, (__force u32)po.gfp, (__force u32)gfp);
		KUNIT_EXPECT_EQ(test, po.pid, current->pid);
		KUNIT_EXPECT_EQ(test, po.tgid, current->tgid);
		KUNIT_EXPECT_STREQ(test, po.comm, current->comm);
		KUNIT_EXPECT_NE(test, po.ts_nsec, 0);
		KUNIT_EXPECT_EQ(test, po.free_ts_nsec, 0);
		KUNIT_EXPECT_TRUE(test, stack_has(test, po.handle, __func__));
		if (orders[i])
			KUNIT_EXPECT_FALSE(test, kmm_page_owner_get(&t->region,
								    index_of(t, page) + 1, &po));
		kmm_buddy_free(&t->buddy, page, orders[i]);
		KUNIT_EXPECT_FALSE(test, kmm_page_owner_get(&t->region, index_of(t, page), &po));
		KUNIT_EXPECT_EQ(test, rec->state, KMM_OWNER_FREED);
		KUNIT_EXPECT_GE(test, rec->free_ts_nsec, rec->ts_nsec);
		KUNIT_EXPECT_TRUE(test, stack_has(test, rec->free_handle, __func__));
		/* not the same block for the next order */
		kmm_buddy_drain_all(&t->buddy);
		memset((void *)rec, 0, sizeof(*rec));
	}
	end_owner(test);
}

static unsigned long nr_known(struct kmm_test *t, enum kmm_page_owner_state state)
{
	struct kmm_page_owner po;
	unsigned long nr = 0;
	u32 i;

	for (i = 0; i < t->region.nr_index; i++)
		if (kmm_page_owner_get(&t->region, i, &po) && po.state == state)
			nr += 1UL << po.order;
	return nr;
}

static void what_was_there_before_is_early(struct kunit *test)
{
	struct kmm_test *t = begin_reserved(test, &kmm_layout_odd);
	unsigned long metadata = kmm_test_metadata(t);
	struct page *small, *large, *later;
	struct kmm_page_owner po;

	small = kmm_test_alloc(test, KMM_QUIET, 0);
	large = kmm_test_alloc(test, KMM_QUIET, 4);
	KUNIT_EXPECT_EQ(test, start(test), metadata + 1 + 16);
	later = kmm_test_alloc(test, KMM_QUIET, 2);
	KUNIT_EXPECT_EQ(test, nr_known(t, KMM_OWNER_EARLY), metadata + 1 + 16);
	KUNIT_EXPECT_EQ(test, nr_known(t, KMM_OWNER_ALLOCATED), 4);
	KUNIT_ASSERT_TRUE(test, kmm_page_owner_get(&t->region, index_of(t, large), &po));
	KUNIT_EXPECT_EQ(test, po.state, KMM_OWNER_EARLY);
	KUNIT_EXPECT_EQ(test, po.order, 4);
	KUNIT_EXPECT_TRUE(test, stack_has(test, po.handle, "register_early_stack+"));
	kmm_buddy_free(&t->buddy, large, 4);
	kmm_buddy_free(&t->buddy, small, 0);
	KUNIT_EXPECT_EQ(test, nr_known(t, KMM_OWNER_EARLY), metadata);
	kmm_buddy_free(&t->buddy, later, 2);
	end_owner(test);
}

static void off_and_on_again_forgets(struct kunit *test)
{
	struct kmm_test *t = begin_owner(test);
	unsigned long metadata = kmm_test_metadata(t);
	struct page *kept = kmm_test_alloc(test, KMM_QUIET, 1), *gone, *meanwhile;
	struct kmm_page_owner po;

	gone = kmm_test_alloc(test, KMM_QUIET, 3);
	stop(test);
	/* with nobody looking */
	kmm_buddy_free(&t->buddy, gone, 3);
	meanwhile = kmm_test_alloc(test, KMM_QUIET, 0);
	KUNIT_EXPECT_EQ(test, start(test), metadata + 2 + 1);
	KUNIT_EXPECT_EQ(test, nr_known(t, KMM_OWNER_EARLY), metadata + 2 + 1);
	KUNIT_EXPECT_EQ(test, nr_known(t, KMM_OWNER_ALLOCATED), 0);
	KUNIT_ASSERT_TRUE(test, kmm_page_owner_get(&t->region, index_of(t, meanwhile), &po));
	KUNIT_EXPECT_EQ(test, po.order, 0);
	kmm_buddy_free(&t->buddy, kept, 1);
	kmm_buddy_free(&t->buddy, meanwhile, 0);
	end_owner(test);
}

static void without_space_it_is_busy(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	struct kmm_page_owner po;
	struct page *page;

	KUNIT_EXPECT_EQ(test, kmm_page_owner_start(&t->region), -EBUSY);
	page = kmm_test_alloc(test, KMM_QUIET, 0);
	KUNIT_EXPECT_FALSE(test, kmm_page_owner_get(&t->region, index_of(t, page), &po));
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_test_end(test);
}

/* The depot can fail only where nobody has asked for it yet. */
static void every_failure_of_start_leaves_it_off(struct kunit *test)
{
	struct kmm_test *t = begin_reserved(test, &kmm_layout_plain);
	bool depot = kmm_stacks.bucket;
	unsigned int n;

	for (n = 1; n < 50; n++) {
		long nr;

		kmm_inject_arm(n);
		nr = kmm_page_owner_start(&t->region);
		owner_on = nr >= 0;
		if (!kmm_inject_disarm())
			break;
		KUNIT_ASSERT_EQ_MSG(test, nr, -ENOMEM, "failure %u was ignored", n);
		KUNIT_EXPECT_FALSE(test, kmm_page_ext_is_on(&t->region.ext, KMM_PAGE_EXT_OWNER));
	}
	KUNIT_EXPECT_TRUE(test, owner_on);
	KUNIT_EXPECT_EQ(test, n, depot ? 1 : 3 + KMM_DEPOT_FIRST_POOLS + 1);
	kunit_info(test, "%u failure points\n", n - 1);
	end_owner(test);
}

static void a_split_gives_each_frame_a_record(struct kunit *test)
{
	struct kmm_test *t = begin_owner(test);
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 3);
	struct kmm_page_owner po;
	unsigned int i;
	u32 handle = record_of(t, page)->handle;

	kmm_buddy_split(&t->buddy, page, 3);
	for (i = 0; i < 8; i++) {
		KUNIT_ASSERT_TRUE(test, kmm_page_owner_get(&t->region, index_of(t, page + i), &po));
		KUNIT_EXPECT_EQ(test, po.order, 0);
		KUNIT_EXPECT_EQ(test, po.handle, handle);
		KUNIT_EXPECT_EQ(test, po.pid, current->pid);
		kmm_buddy_free(&t->buddy, page + i, 0);
	}
	KUNIT_EXPECT_EQ(test, nr_known(t, KMM_OWNER_ALLOCATED), 0);
	end_owner(test);
}

static void bulk_and_range_are_seen(struct kunit *test)
{
	struct kmm_test *t = begin_owner(test);
	struct page *pages[70] = { };
	unsigned long pfn = page_to_pfn(t->host[2]) + 17, i;

	KUNIT_ASSERT_EQ(test, kmm_buddy_alloc_bulk(&t->buddy, KMM_QUIET, ARRAY_SIZE(pages), pages),
			ARRAY_SIZE(pages));
	KUNIT_EXPECT_EQ(test, nr_known(t, KMM_OWNER_ALLOCATED), ARRAY_SIZE(pages));
	kmm_buddy_free_bulk(&t->buddy, pages, ARRAY_SIZE(pages));
	KUNIT_EXPECT_EQ(test, nr_known(t, KMM_OWNER_ALLOCATED), 0);
	KUNIT_ASSERT_EQ(test, kmm_buddy_alloc_range(&t->buddy, pfn, pfn + 100), 0);
	KUNIT_EXPECT_EQ(test, nr_known(t, KMM_OWNER_ALLOCATED), 100);
	for (i = 0; i < 100; i++)
		kmm_buddy_free(&t->buddy, pfn_to_page(pfn + i), 0);
	KUNIT_EXPECT_EQ(test, nr_known(t, KMM_OWNER_ALLOCATED), 0);
	end_owner(test);
}

static void a_pinned_frame_has_no_owner(struct kunit *test)
{
	struct kmm_test *t = begin_owner(test);
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 1);
	struct kmm_page_owner po;

	get_page(page + 1);
	kmm_buddy_free(&t->buddy, page, 1);
	KUNIT_EXPECT_EQ(test, kmm_test_quarantined(t), 1);
	KUNIT_EXPECT_FALSE(test, kmm_page_owner_get(&t->region, index_of(t, page + 1), &po));
	KUNIT_EXPECT_EQ(test, record_of(t, page)->state, KMM_OWNER_FREED);
	put_page(page + 1);
	KUNIT_EXPECT_EQ(test, kmm_buddy_recheck_quarantine(&t->buddy), 1);
	end_owner(test);
}

/* The text, word for word as the kernel's print_page_owner() makes it. */
static void the_dump_has_the_kernels_format(struct kunit *test)
{
	struct kmm_test *t = begin_owner(test);
	struct page *page = kmm_test_alloc(test, KMM_QUIET | __GFP_MOVABLE, 3);
	char *text = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	char *want = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	unsigned long pfn = page_to_pfn(page);
	struct kmm_page_owner po;
	const char *rest;
	int n;

	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_ASSERT_NOT_NULL(test, want);
	KUNIT_ASSERT_TRUE(test, kmm_page_owner_get(&t->region, index_of(t, page), &po));
	po.ts_nsec = 123456789;
	po.free_ts_nsec = 42;
	n = kmm_page_owner_snprint(&t->region, index_of(t, page), &po, text, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, n, strlen(text));
	snprintf(want, PAGE_SIZE,
		 "Page allocated via order 3, mask 0x%x(GFP_KERNEL|__GFP_MOVABLE|__GFP_NOWARN), pid %d, tgid %d (%s), ts 123456789 ns, free_ts 42 ns\n"
		 "PFN %lu type Movable Block %lu type Movable Flags %pGp\n ",
		 (__force u32)po.gfp, current->pid, current->tgid, current->comm, pfn, pfn >> 9,
		 &page->flags);
	/* all but the names of the flags, whose order is the kernel's */
	KUNIT_EXPECT_EQ(test, strncmp(text, want, strcspn(want, "(") + 1), 0);
	rest = strstr(text, "), pid");
	KUNIT_ASSERT_NOT_NULL(test, rest);
	KUNIT_EXPECT_EQ(test, strncmp(rest, strstr(want, "), pid"), strlen(strstr(want, "), pid"))),
			0);
	/* a stack, and an empty line at the end */
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, __func__));
	KUNIT_EXPECT_STREQ(test, text + n - 2, "\n\n");
	/* too small: cut off, never beyond */
	memset(text, 0x7f, PAGE_SIZE);
	n = kmm_page_owner_snprint(&t->region, index_of(t, page), &po, text, 100);
	KUNIT_EXPECT_EQ(test, n, 99);
	KUNIT_EXPECT_EQ(test, strlen(text), 99);
	KUNIT_EXPECT_NULL(test, memchr_inv(text + 100, 0x7f, PAGE_SIZE - 100));
	kmm_buddy_free(&t->buddy, page, 3);
	end_owner(test);
}

static void a_bad_free_tells_the_owner(struct kunit *test)
{
	struct kmm_test *t = begin_owner(test);
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 2);
	struct page *metadata = kmm_region_page(&t->region, 0);
	u64 mark;

	kmm_report_forget();
	kmm_expect("BUG: KMM: inside-of-block free", 1);
	kmm_expect("BUG: KMM: double free", 1);
	kmm_expect("BUG: KMM: metadata free", 1);
	mark = kmm_log_mark();
	kmm_buddy_free(&t->buddy, page + 3, 0);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "page_owner tracks the page as allocated"), 1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "via order 2, migratetype Unmovable, gfp_mask"),
			1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "page_owner free stack trace missing"), 1);
	kmm_buddy_free(&t->buddy, page, 2);
	mark = kmm_log_mark();
	kmm_buddy_free(&t->buddy, page, 2);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "page_owner tracks the page as freed"), 1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "page last free stack trace:"), 1);
	/* once where it was allocated, once where it was freed, once who frees it again */
	KUNIT_EXPECT_GE(test, kmm_log_count(mark, __func__), 3);
	mark = kmm_log_mark();
	kmm_buddy_free(&t->buddy, metadata, 0);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "register_early_stack+"), 1);
	kmm_expect_end();
	end_owner(test);
}

/* Every block in use has its record, whatever happened before. */
static void random_blocks_have_their_records(struct kunit *test)
{
	struct kmm_test *t = begin_owner(test);
	struct {
		struct page *page;
		unsigned int order;
	} *live = kunit_kcalloc(test, 64, sizeof(*live), GFP_KERNEL);
	unsigned long i, bad = 0, frames = 0;
	struct rnd_state rnd;

	KUNIT_ASSERT_NOT_NULL(test, live);
	prandom_seed_state(&rnd, kmm_test_seed);
	for (i = 0; i < kmm_test_nr_ops / 10 + 64; i++) {
		unsigned int k = i < kmm_test_nr_ops / 10 ? kmm_below(&rnd, 64) :
							      i - kmm_test_nr_ops / 10;
		struct kmm_page_owner po;

		if (live[k].page) {
			bad += !kmm_page_owner_get(&t->region, index_of(t, live[k].page), &po) ||
			       po.order != live[k].order || po.state != KMM_OWNER_ALLOCATED;
			kmm_buddy_free(&t->buddy, live[k].page, live[k].order);
			bad += kmm_page_owner_get(&t->region, index_of(t, live[k].page), &po);
			live[k].page = NULL;
			frames -= 1UL << live[k].order;
		} else if (i < kmm_test_nr_ops / 10) {
			live[k].order = kmm_below(&rnd, 6);
			live[k].page = kmm_buddy_alloc(&t->buddy, KMM_QUIET, live[k].order);
			frames += live[k].page ? 1UL << live[k].order : 0;
		}
		if (!(i % 256))
			bad += nr_known(t, KMM_OWNER_ALLOCATED) != frames;
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_EQ(test, frames, 0);
	end_owner(test);
}

/**
 * struct owner_walks - at the end of a walk is an allocation and a free
 * @t: instance
 * @bad: stacks that were not what stack_trace_save() said
 */
struct owner_walks {
	struct kmm_test *t;
	unsigned long bad;
};

/* Is the stack of @handle @want, but for the place in the first function? */
static bool stack_is(u32 handle, const unsigned long *want, unsigned int nr)
{
	const unsigned long *ip;

	return kmm_depot_fetch(&kmm_stacks, handle, &ip) == nr && nr > 2 &&
	       abs((long)(ip[0] - want[0])) < SZ_1K &&
	       !memcmp(ip + 1, want + 1, (nr - 1) * sizeof(*ip));
}

static void owner_walk_end(void *arg)
{
	struct owner_walks *w = arg;
	struct page *page = kmm_buddy_alloc_client(&w->t->buddy, KMM_QUIET, 0), *bulk[2] = { };
	const struct kmm_page_owner *rec;
	unsigned long want[KMM_DEPOT_DEPTH];
	unsigned int nr;

	if (!page || kmm_buddy_alloc_bulk(&w->t->buddy, KMM_QUIET, 2, bulk) != 2) {
		w->bad++;
		return;
	}
	nr = stack_trace_save(want, ARRAY_SIZE(want), 0);
	rec = record_of(w->t, page);
	w->bad += !stack_is(rec->handle, want, nr) || rec->state != KMM_OWNER_ALLOCATED;
	kmm_buddy_free(&w->t->buddy, page, 0);
	w->bad += !stack_is(rec->free_handle, want, nr) || rec->state != KMM_OWNER_FREED;
	rec = record_of(w->t, bulk[1]);
	w->bad += !stack_is(rec->handle, want, nr) || rec->state != KMM_OWNER_ALLOCATED;
	kmm_buddy_free_bulk(&w->t->buddy, bulk, 2);
	w->bad += !stack_is(rec->free_handle, want, nr) || rec->state != KMM_OWNER_FREED;
}

/* With the short hooks, and with the long ones, as when another feature wants pages, too. */
static void short_hooks_say_what_long_ones_say(struct kunit *test)
{
	struct owner_walks w = { .t = begin_short(test) };
	unsigned long i, n = clamp(kmm_test_nr_ops / 20, 200UL, 10000UL);
	struct kmm_depot_stat before, after;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, kmm_test_seed);
	kmm_depot_stat(&kmm_stacks, &before);
	for (i = 0; i < n; i++) {
		/* without the two that no memo recognises */
		u32 path = prandom_u32_state(&rnd) & 0b010101, again;
		unsigned int len = kmm_below(&rnd, 8);
		bool longer = !kmm_below(&rnd, 4);

		if (longer)
			kmm_hooks_on(NULL, KMM_PATH_PAGE);
		for (again = 0; again < 3; again++)
			kmm_walk(path, len, owner_walk_end, &w);
		if (longer)
			kmm_hooks_off(NULL, KMM_PATH_PAGE);
	}
	kmm_depot_stat(&kmm_stacks, &after);
	KUNIT_EXPECT_EQ(test, w.bad, 0);
	KUNIT_EXPECT_EQ(test, after.nr_dropped, before.nr_dropped);
	if (IS_ENABLED(CONFIG_UNWINDER_ORC))
		KUNIT_EXPECT_GT(test, after.nr_remembered - before.nr_remembered, 4 * n);
	end_owner(test);
}

/*
 * The hooks run for this region, too, when they are on for another. First the stacks are made
 * known, so that it is the short ones.
 */
static void where_it_is_off_nothing_is_written(struct kunit *test)
{
	struct kmm_test *t = begin_short(test);
	unsigned int i;

	for (i = 0; i < 8; i++) {
		bool on = i < 4;
		struct page *page;

		kmm_page_ext_switch(&t->region, KMM_PAGE_EXT_OWNER, on);
		page = kmm_test_alloc(test, KMM_QUIET, 0);
		KUNIT_EXPECT_EQ(test, record_of(t, page)->state,
				on ? KMM_OWNER_ALLOCATED : KMM_OWNER_UNKNOWN);
		kmm_buddy_free(&t->buddy, page, 0);
		KUNIT_EXPECT_EQ(test, record_of(t, page)->state,
				on ? KMM_OWNER_FREED : KMM_OWNER_UNKNOWN);
		memset((void *)record_of(t, page), 0, sizeof(struct kmm_page_owner));
	}
	end_owner(test);
}

static struct kunit_case owner_cases[] = {
	KUNIT_CASE(every_failure_of_start_leaves_it_off),
	KUNIT_CASE(a_record_follows_the_block),
	KUNIT_CASE(what_was_there_before_is_early),
	KUNIT_CASE(off_and_on_again_forgets),
	KUNIT_CASE(without_space_it_is_busy),
	KUNIT_CASE(a_split_gives_each_frame_a_record),
	KUNIT_CASE(bulk_and_range_are_seen),
	KUNIT_CASE(a_pinned_frame_has_no_owner),
	KUNIT_CASE(the_dump_has_the_kernels_format),
	KUNIT_CASE(a_bad_free_tells_the_owner),
	KUNIT_CASE(random_blocks_have_their_records),
	KUNIT_CASE(short_hooks_say_what_long_ones_say),
	KUNIT_CASE(where_it_is_off_nothing_is_written),
	{}
};

struct kunit_suite kmm_page_owner_suite = {
	.name = "kmm_page_owner",
	.exit = owner_exit,
	.test_cases = owner_cases,
};
