// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_page_table_check
 *
 * debug/page_table_check.c on private instances: trees whose entries are written as no correct
 * caller would, one case for each rule, and the report read back from the log. That what the
 * module itself does breaks no rule is shown by all other suites, run with page_table_check=1
 * (make soak), and by the last case here: a random mix of what is allowed.
 *
 * Reports are rate limited, ten in five seconds: the cases together plant ten, and the first one
 * waits until the limit is fresh.
 */

#include <linux/mm.h>
#include <linux/slab.h>

#include <kmm/page_ext.h>
#include <kmm/page_owner.h>
#include <kmm/page_table_check.h>
#include <kmm/paths.h>
#include <kmm/pgtable.h>
#include <kmm/report.h>

#include "helpers.h"

#define ADDR	0x123440000000UL
#define END	(ADDR + PMD_SIZE)

/* This case turned the key on. */
static bool key_on;

static bool yes(void)
{
	return true;
}

static size_t part_size(void)
{
	return kmm_page_table_check_client.size();
}

static const struct kmm_page_ext_client wanted = {
	.name = "page_table_check", .need = yes, .size = part_size,
};

static size_t owner_size(void)
{
	return sizeof(struct kmm_page_owner);
}

static const struct kmm_page_ext_client owner = {
	.name = "page_owner", .need = yes, .size = owner_size,
};

static const struct kmm_page_ext_client * const clients[KMM_NR_PAGE_EXT] = {
	[KMM_PAGE_EXT_OWNER] = &owner,
	[KMM_PAGE_EXT_TABLE_CHECK] = &wanted,
};

static void check_off(void)
{
	if (key_on)
		kmm_hooks_off(&kmm_page_table_check_key, KMM_PATH_PAGE);
	key_on = false;
}

static void check_exit(struct kunit *test)
{
	kmm_test_exit(test);
	check_off();
}

/* As kmm_test_begin_tables(), loaded with page_table_check=1. */
static struct kmm_test *begin(struct kunit *test)
{
	struct kmm_test *t = kmm_test_create(test, &kmm_layout_plain);

	kmm_hooks_on(&kmm_page_table_check_key, KMM_PATH_PAGE);
	key_on = true;
	KUNIT_ASSERT_EQ(test, kmm_test_start_region(t), 0);
	KUNIT_ASSERT_EQ(test, kmm_page_ext_init(&t->region, clients), 0);
	KUNIT_ASSERT_EQ(test, kmm_test_start(t), 0);
	kmm_test_free_blocks(t, t->initial);
	kmm_pgtables_init(&t->tables, &t->buddy);
	return t;
}

static struct kmm_pgtable *tree(struct kunit *test)
{
	struct kmm_test *t = test->priv;
	struct kmm_pgtable *pt = kunit_kzalloc(test, sizeof(*pt), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, pt);
	KUNIT_ASSERT_EQ(test, kmm_pgtable_create(pt, &t->tables, NULL), 0);
	return pt;
}

static void unmap(struct kmm_pgtable *pt)
{
	struct kmm_pt_gather g;

	kmm_pt_gather_init(&g, pt, NULL, NULL);
	kmm_pt_zap(&g, ADDR, END);
	kmm_pt_prune(&g, 0, 1UL << 47);
	kmm_pt_gather_finish(&g);
}

static struct page *get(struct kunit *test, unsigned int order)
{
	struct kmm_test *t = test->priv;
	struct page *page = kmm_test_alloc(test, KMM_QUIET, order);

	WRITE_ONCE(kmm_region_frame(&t->region, page_to_pfn(page))->next, 0);
	return page;
}

static void put(struct kunit *test, struct page *page)
{
	struct kmm_test *t = test->priv;

	kmm_buddy_free(&t->buddy, page, 0);
}

#define ANON	KMM_PT_PRIVATE
#define FILE	0

static void map(struct kunit *test, struct kmm_pgtable *pt, unsigned int i, struct page *page,
		pgprot_t prot, unsigned long kind)
{
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, ADDR + i * PAGE_SIZE, 0,
					     kmm_pt_make_entry(page, prot) | kind), 0);
}

static noinline struct kmm_page_table_check_stat sums(struct kunit *test)
{
	struct kmm_test *t = test->priv;
	struct kmm_page_table_check_stat st;

	KUNIT_EXPECT_TRUE(test, kmm_page_table_check_stat(&t->region, &st));
	return st;
}

static void end(struct kunit *test)
{
	struct kmm_page_table_check_stat st = sums(test);

	KUNIT_EXPECT_EQ(test, st.anon_maps, 0);
	KUNIT_EXPECT_EQ(test, st.anon_writable, 0);
	KUNIT_EXPECT_EQ(test, st.file_maps, 0);
	kmm_test_end_tables(test);
}

/* === Each rule === */

/* What a planted bug must bring: @nr reports with this headline, and nothing else. */
struct planted {
	const char *what;
	unsigned long violations;
	u64 mark;
};

static struct planted plant(struct kunit *test, const char *what, unsigned int nr)
{
	char headline[96];

	snprintf(headline, sizeof(headline), "^BUG: KMM: page table check: %s$", what);
	kmm_expect(headline, nr);
	return (struct planted) {
		.what = what, .violations = sums(test).violations, .mark = kmm_log_mark(),
	};
}

static void found(struct kunit *test, const struct planted *p, unsigned int nr)
{
	char headline[96];

	snprintf(headline, sizeof(headline), "BUG: KMM: page table check: %s", p->what);
	KUNIT_EXPECT_EQ(test, kmm_log_count(p->mark, headline), nr);
	KUNIT_EXPECT_EQ(test, kmm_log_count(p->mark, "page pfn 0x"), nr);
	KUNIT_EXPECT_EQ(test, kmm_log_count(p->mark, "Call Trace:"), nr);
	KUNIT_EXPECT_EQ(test, sums(test).violations, p->violations + nr);
	kmm_expect_end();
}

static void a_private_frame_has_one_writable_mapping(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_pgtable *a = tree(test), *b = tree(test);
	struct page *page = get(test, 0);
	struct planted p;
	unsigned long ro;

	kmm_report_forget();
	p = plant(test, "a private frame that is shared and writable", 3);
	map(test, a, 0, page, PAGE_SHARED, ANON);
	KUNIT_EXPECT_EQ(test, sums(test).violations, p.violations);
	/* writable here, and a second one comes: the kernel would not see this one */
	map(test, b, 0, page, PAGE_READONLY, ANON);
	unmap(a);
	KUNIT_EXPECT_EQ(test, sums(test).violations, p.violations + 1);
	/* a second one comes that is writable */
	map(test, a, 0, page, PAGE_SHARED, ANON);
	unmap(a);
	KUNIT_EXPECT_EQ(test, sums(test).violations, p.violations + 2);
	/* two read-only ones are copy-on-write; then one gets the right to write */
	map(test, a, 0, page, PAGE_READONLY, ANON);
	KUNIT_EXPECT_EQ(test, sums(test).violations, p.violations + 2);
	ro = kmm_pt_get(a, ADDR, NULL);
	KUNIT_EXPECT_TRUE(test, kmm_pt_touch(a, ADDR, ro, _PAGE_RW));
	found(test, &p, 3);
	KUNIT_EXPECT_EQ(test, kmm_log_count(p.mark, "anon 2 (writable 1), file 0"), 3);
	unmap(a);
	unmap(b);
	kmm_pgtable_destroy(a);
	kmm_pgtable_destroy(b);
	kmm_buddy_free(&t->buddy, page, 0);
	end(test);
}

static void a_frame_has_one_kind_of_owner(struct kunit *test)
{
	struct kmm_pgtable *a, *b;
	struct planted p;
	struct page *page;

	begin(test);
	a = tree(test);
	b = tree(test);
	page = get(test, 0);
	p = plant(test, "an object's frame that is private to spaces", 1);
	map(test, a, 0, page, PAGE_READONLY, ANON);
	map(test, b, 0, page, PAGE_READONLY, FILE);
	found(test, &p, 1);
	unmap(a);
	unmap(b);
	p = plant(test, "a private frame that is an object's", 1);
	map(test, b, 0, page, PAGE_READONLY, FILE);
	map(test, a, 0, page, PAGE_READONLY, ANON);
	found(test, &p, 1);
	unmap(a);
	unmap(b);
	/* an object's frame may be writable in many */
	p = plant(test, "nothing", 0);
	map(test, a, 0, page, PAGE_SHARED, FILE);
	map(test, a, 1, page, PAGE_SHARED, FILE);
	map(test, b, 0, page, PAGE_SHARED, FILE);
	KUNIT_EXPECT_EQ(test, sums(test).file_frames, 1);
	KUNIT_EXPECT_EQ(test, sums(test).file_maps, 3);
	found(test, &p, 0);
	unmap(a);
	unmap(b);
	put(test, page);
	kmm_pgtable_destroy(a);
	kmm_pgtable_destroy(b);
	end(test);
}

static void a_process_does_not_map_a_private_frame(struct kunit *test)
{
	struct kmm_pgtable *a;
	struct planted p;
	struct page *page;

	begin(test);
	a = tree(test);
	page = get(test, 0);
	p = plant(test, "a private frame that a process maps", 1);
	atomic_inc(&page->_mapcount);
	map(test, a, 0, page, PAGE_SHARED, ANON);
	found(test, &p, 1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(p.mark, "mapped by 1 processes' entries"), 1);
	atomic_dec(&page->_mapcount);
	unmap(a);
	put(test, page);
	kmm_pgtable_destroy(a);
	end(test);
}

static void a_frame_that_is_mapped_is_neither_freed_nor_taken(struct kunit *test)
{
	struct kmm_pgtable *a;
	struct planted p;
	struct page *page;

	begin(test);
	kmm_stay_on_cpu(0);
	a = tree(test);
	page = get(test, 0);
	map(test, a, 0, page, PAGE_SHARED, ANON);
	p = plant(test, "freed while it is mapped", 1);
	put(test, page);
	found(test, &p, 1);
	p = plant(test, "taken while it is mapped", 1);
	KUNIT_EXPECT_PTR_EQ(test, get(test, 0), page);
	found(test, &p, 1);
	unmap(a);
	put(test, page);
	kmm_pgtable_destroy(a);
	kmm_go_anywhere();
	end(test);
}

static void a_mapping_that_never_came_does_not_go(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_pgtable *a;
	struct planted p;
	struct page *page;
	u32 needed;

	a = tree(test);
	page = get(test, 0);
	/* not seen coming */
	needed = t->region.ext.needed;
	t->region.ext.needed = 0;
	map(test, a, 0, page, PAGE_SHARED, FILE);
	t->region.ext.needed = needed;
	p = plant(test, "a mapping goes that never came", 1);
	unmap(a);
	found(test, &p, 1);
	put(test, page);
	kmm_pgtable_destroy(a);
	end(test);
}

static void a_report_tells_who_owns_the_frame(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_pgtable *a = tree(test);
	struct planted p;
	struct page *page;

	KUNIT_ASSERT_GE(test, kmm_page_owner_start(&t->region), 0L);
	page = get(test, 0);
	map(test, a, 0, page, PAGE_SHARED, FILE);
	p = plant(test, "freed while it is mapped", 1);
	put(test, page);
	found(test, &p, 1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(p.mark, "page_owner tracks the page as allocated"), 1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(p.mark, "page last allocated via order 0"), 1);
	kmm_page_owner_stop(&t->region);
	unmap(a);
	kmm_pgtable_destroy(a);
	end(test);
}

/* === What is allowed === */

static void huge_leaves_count_in_each_frame(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_pgtable *a = tree(test);
	struct page *page = get(test, 9);
	unsigned long violations = sums(test).violations;

	KUNIT_ASSERT_EQ(test, kmm_pt_map_huge(a, ADDR, page, __pgprot(pgprot_val(PAGE_SHARED) |
								     KMM_PT_PRIVATE)), 0);
	KUNIT_EXPECT_EQ(test, sums(test).anon_frames, 512);
	KUNIT_EXPECT_EQ(test, sums(test).anon_writable, 512);
	kmm_pt_protect(a, ADDR, END, PAGE_READONLY);
	KUNIT_EXPECT_EQ(test, sums(test).anon_frames, 512);
	KUNIT_EXPECT_EQ(test, sums(test).anon_writable, 0);
	KUNIT_EXPECT_EQ(test, kmm_pt_split_huge(a, ADDR), 0);
	KUNIT_EXPECT_EQ(test, sums(test).anon_maps, 512);
	unmap(a);
	KUNIT_EXPECT_EQ(test, sums(test).anon_maps, 0);
	KUNIT_EXPECT_EQ(test, sums(test).violations, violations);
	kmm_pgtable_destroy(a);
	kmm_buddy_free(&t->buddy, page, 9);
	end(test);
}

#define PAGES	64

/* Copy-on-write as vm/ does it, at random: map, clone, write fault, protect, unmap. */
static void what_is_allowed_brings_no_report(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_page_table_check_stat before = sums(test), st;
	struct kmm_pgtable *a = tree(test), *b;
	struct page *pages[PAGES];
	struct rnd_state rnd;
	unsigned int i, round;

	prandom_seed_state(&rnd, kmm_test_seed);
	for (i = 0; i < PAGES; i++)
		pages[i] = get(test, 0);
	for (round = 0; round < 50; round++) {
		for (i = 0; i < PAGES; i++)
			map(test, a, i, pages[i], kmm_below(&rnd, 2) ? PAGE_SHARED : PAGE_READONLY,
			    i % 3 ? ANON : FILE);
		b = tree(test);
		KUNIT_EXPECT_GE(test, kmm_pt_clone_range(b, a, ADDR, END), 0L);
		st = sums(test);
		KUNIT_EXPECT_EQ(test, st.anon_writable, 0);
		KUNIT_EXPECT_EQ(test, st.anon_maps, 2 * st.anon_frames);
		for (i = 0; i < PAGES; i++) {
			unsigned long addr = ADDR + i * PAGE_SIZE, e = kmm_pt_get(b, addr, NULL);

			/* the clone writes: its leaf goes, the other is the only one */
			if (!e || kmm_below(&rnd, 2))
				continue;
			KUNIT_EXPECT_EQ(test, kmm_pt_replace(b, addr, e, 0), 0);
			e = kmm_pt_get(a, addr, NULL);
			KUNIT_EXPECT_TRUE(test, kmm_pt_touch(a, addr, e, _PAGE_RW));
		}
		kmm_pt_protect(a, ADDR + PAGE_SIZE * kmm_below(&rnd, PAGES), END, PAGE_READONLY);
		unmap(b);
		kmm_pgtable_destroy(b);
		unmap(a);
	}
	KUNIT_EXPECT_EQ(test, sums(test).violations, before.violations);
	for (i = 0; i < PAGES; i++)
		kmm_buddy_free(&t->buddy, pages[i], 0);
	kmm_pgtable_destroy(a);
	end(test);
}

static struct kunit_case page_table_check_cases[] = {
	KUNIT_CASE(a_private_frame_has_one_writable_mapping),
	KUNIT_CASE(a_frame_has_one_kind_of_owner),
	KUNIT_CASE(a_process_does_not_map_a_private_frame),
	KUNIT_CASE(a_frame_that_is_mapped_is_neither_freed_nor_taken),
	KUNIT_CASE(a_mapping_that_never_came_does_not_go),
	KUNIT_CASE(a_report_tells_who_owns_the_frame),
	KUNIT_CASE(huge_leaves_count_in_each_frame),
	KUNIT_CASE(what_is_allowed_brings_no_report),
	{}
};

struct kunit_suite kmm_page_table_check_suite = {
	.name = "kmm_page_table_check",
	.exit = check_exit,
	.test_cases = page_table_check_cases,
};
