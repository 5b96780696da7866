// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_pgtable
 *
 * Page tables of trees (vm/pgtable*.c) on private instances; nothing here is ever loaded into CR3.
 * The kernel window has a suite of its own, window_kunit.c.
 *
 * The random case knows what must be mapped by the most naive means: an array of words, one per
 * page, for a few runs of addresses that lie in different tables of every level. Frames are
 * private ones, so the model also knows how many entries map each.
 *
 * What the hardware does (Accessed and Dirty) is played by kmm_pt_touch(); the hardware itself
 * comes with the window and with vm/mmu.c.
 */

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sizes.h>

#include <kmm/account.h>
#include <kmm/inject.h>
#include <kmm/pgtable.h>

#include "helpers.h"

/* Anywhere in the user half, away from the first table of every level. */
#define ADDR		0x123440000000UL
/* Behind the user half. */
#define USER_END	(pgtable_l5_enabled() ? 1UL << 56 : 1UL << 47)
#define RIGHTS		(_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_NX | _PAGE_PROTNONE)

static struct kmm_pgtable *tree(struct kunit *test)
{
	struct kmm_test *t = test->priv;
	struct kmm_pgtable *pt = kunit_kzalloc(test, sizeof(*pt), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, pt);
	KUNIT_ASSERT_EQ(test, kmm_pgtable_create(pt, &t->tables, NULL), 0);
	return pt;
}

static struct kmm_frame *frame_of(struct kmm_test *t, struct page *page)
{
	return kmm_region_frame(&t->region, page_to_pfn(page));
}

/* A private frame that nothing maps. */
static struct page *private_page(struct kunit *test)
{
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 0);

	WRITE_ONCE(frame_of(test->priv, page)->next, 0);
	return page;
}

static unsigned long entry_of(struct page *page, pgprot_t prot)
{
	return kmm_pt_make_entry(page, prot);
}

/* Maps one page where nothing is. */
static void map(struct kunit *test, struct kmm_pgtable *pt, unsigned long addr, struct page *page,
		pgprot_t prot)
{
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, addr, 0, entry_of(page, prot)), 0);
}

/* All leaves of a range out, and the tables that are empty then. */
static void unmap(struct kmm_pgtable *pt, unsigned long start, unsigned long end)
{
	struct kmm_pt_gather g;

	kmm_pt_gather_init(&g, pt, NULL, NULL);
	kmm_pt_zap(&g, start, end);
	kmm_pt_prune(&g, start, end);
	kmm_pt_gather_finish(&g);
}

static void expect_tables(struct kunit *test, struct kmm_pgtable *pt, long pte, long pmd, long pud)
{
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->nr[KMM_PT_PTE]), pte);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->nr[KMM_PT_PMD]), pmd);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->nr[KMM_PT_PUD]), pud);
	pud = pgtable_l5_enabled() && pud;
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->nr[KMM_PT_P4D]), pud);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->nr[KMM_PT_PGD]), 1);
}

/* === One page === */

static void a_page_is_mapped_and_unmapped(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_tables(test, &kmm_layout_one);
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 0);
	struct kmm_pgtable *pt = tree(test);
	unsigned long entry;
	bool huge = true;

	expect_tables(test, pt, 0, 0, 0);
	KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, ADDR, &huge), 0);
	KUNIT_EXPECT_FALSE(test, huge);
	map(test, pt, ADDR, page, PAGE_SHARED);
	expect_tables(test, pt, 1, 1, 1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->resident), 1);
	entry = kmm_pt_get(pt, ADDR, &huge);
	KUNIT_EXPECT_EQ(test, entry, entry_of(page, PAGE_SHARED));
	KUNIT_EXPECT_EQ(test, entry & KMM_PT_AD, 0);
	KUNIT_EXPECT_PTR_EQ(test, kmm_pt_entry_page(entry, false), page);
	KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, ADDR + PAGE_SIZE, NULL), 0);
	KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, ADDR - PAGE_SIZE, NULL), 0);
	unmap(pt, ADDR, ADDR + PAGE_SIZE);
	/* the gap that prune was told of is one page: the tables are for more */
	expect_tables(test, pt, 1, 1, 1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->resident), 0);
	unmap(pt, 0, USER_END);
	expect_tables(test, pt, 0, 0, 0);
	kmm_pgtable_destroy(pt);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_test_end_tables(test);
}

static void what_changed_meanwhile_is_not_replaced(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_tables(test, &kmm_layout_one);
	struct page *a = kmm_test_alloc(test, KMM_QUIET, 0);
	struct page *b = kmm_test_alloc(test, KMM_QUIET, 0);
	unsigned long ro = entry_of(a, PAGE_READONLY), rw = entry_of(a, PAGE_SHARED);
	unsigned long other = entry_of(b, PAGE_SHARED);
	struct kmm_pgtable *pt = tree(test);

	KUNIT_EXPECT_EQ(test, kmm_pt_replace(pt, ADDR, ro, other), -EAGAIN);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->resident), 0);
	KUNIT_EXPECT_EQ(test, kmm_pt_replace(pt, ADDR, 0, ro), 0);
	KUNIT_EXPECT_EQ(test, kmm_pt_replace(pt, ADDR, 0, other), -EAGAIN);
	KUNIT_EXPECT_EQ(test, kmm_pt_replace(pt, ADDR, other, rw), -EAGAIN);
	KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, ADDR, NULL), ro);
	/* Accessed and Dirty come and go by themselves: they are no reason, and they stay */
	KUNIT_EXPECT_TRUE(test, kmm_pt_touch(pt, ADDR, ro, _PAGE_ACCESSED));
	KUNIT_EXPECT_EQ(test, kmm_pt_replace(pt, ADDR, ro, rw), 0);
	KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, ADDR, NULL), rw | _PAGE_ACCESSED);
	/* they are of the page, not of the address */
	KUNIT_EXPECT_TRUE(test, kmm_pt_touch(pt, ADDR, rw, KMM_PT_AD));
	KUNIT_EXPECT_EQ(test, kmm_pt_replace(pt, ADDR, rw, other), 0);
	KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, ADDR, NULL), other);
	KUNIT_EXPECT_FALSE(test, kmm_pt_touch(pt, ADDR, rw, _PAGE_ACCESSED));
	KUNIT_EXPECT_FALSE(test, kmm_pt_touch(pt, ADDR + PAGE_SIZE, rw, _PAGE_ACCESSED));
	KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, ADDR, NULL), other);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->resident), 1);
	KUNIT_EXPECT_EQ(test, kmm_pt_replace(pt, ADDR, other, 0), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->resident), 0);
	kmm_pgtable_destroy(pt);
	kmm_buddy_free(&t->buddy, a, 0);
	kmm_buddy_free(&t->buddy, b, 0);
	kmm_test_end_tables(test);
}

static void accessed_and_dirty_are_read_and_cleared(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_tables(test, &kmm_layout_plain);
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 0);
	struct page *block = kmm_test_alloc(test, KMM_QUIET, 9);
	struct kmm_pgtable *pt = tree(test);
	unsigned long addr[2] = { ADDR, ADDR + SZ_2M }, i;

	map(test, pt, addr[0], page, PAGE_SHARED);
	KUNIT_ASSERT_EQ(test, kmm_pt_map_huge(pt, addr[1], block, PAGE_SHARED), 0);
	for (i = 0; i < 2; i++) {
		unsigned long a = addr[i], entry = kmm_pt_get(pt, a, NULL);

		KUNIT_EXPECT_EQ(test, entry & KMM_PT_AD, 0);
		KUNIT_EXPECT_EQ(test, kmm_pt_test_and_clear(pt, a, KMM_PT_AD), 0);
		KUNIT_EXPECT_TRUE(test, kmm_pt_touch(pt, a, entry, _PAGE_ACCESSED));
		KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, a, NULL), entry | _PAGE_ACCESSED);
		KUNIT_EXPECT_EQ(test, kmm_pt_test_and_clear(pt, a, _PAGE_DIRTY), 0);
		KUNIT_EXPECT_TRUE(test, kmm_pt_touch(pt, a, entry, KMM_PT_AD));
		KUNIT_EXPECT_EQ(test, kmm_pt_test_and_clear(pt, a, _PAGE_ACCESSED), _PAGE_ACCESSED);
		KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, a, NULL), entry | _PAGE_DIRTY);
		/* nothing but these two can be cleared so */
		KUNIT_EXPECT_EQ(test, kmm_pt_test_and_clear(pt, a, ~0UL), _PAGE_DIRTY);
		KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, a, NULL), entry);
	}
	KUNIT_EXPECT_EQ(test, kmm_pt_test_and_clear(pt, ADDR + PAGE_SIZE, KMM_PT_AD), 0);
	KUNIT_EXPECT_EQ(test, kmm_pt_test_and_clear(pt, ADDR + SZ_1G, KMM_PT_AD), 0);
	unmap(pt, ADDR, ADDR + SZ_4M);
	kmm_pgtable_destroy(pt);
	kmm_buddy_free(&t->buddy, block, 9);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_test_end_tables(test);
}

/* One frame, two addresses, two trees: each has its own rights. */
static void one_frame_has_different_rights_in_two_places(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_tables(test, &kmm_layout_one);
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 0);
	struct kmm_pgtable *one = tree(test), *two = tree(test);
	unsigned long rw = entry_of(page, PAGE_SHARED);

	map(test, one, ADDR, page, PAGE_READONLY);
	map(test, one, ADDR + SZ_1G, page, PAGE_SHARED);
	map(test, two, ADDR, page, PAGE_SHARED_EXEC);
	KUNIT_EXPECT_EQ(test, kmm_pt_get(one, ADDR, NULL) & RIGHTS,
			_PAGE_PRESENT | _PAGE_USER | _PAGE_NX);
	KUNIT_EXPECT_EQ(test, kmm_pt_get(one, ADDR + SZ_1G, NULL) & RIGHTS,
			_PAGE_PRESENT | _PAGE_USER | _PAGE_RW | _PAGE_NX);
	KUNIT_EXPECT_EQ(test, kmm_pt_get(two, ADDR, NULL) & RIGHTS,
			_PAGE_PRESENT | _PAGE_USER | _PAGE_RW);
	/* what happens to one is nothing to the others */
	KUNIT_EXPECT_TRUE(test, kmm_pt_touch(one, ADDR + SZ_1G, rw, KMM_PT_AD));
	kmm_pt_protect(two, ADDR, ADDR + PAGE_SIZE, PAGE_NONE);
	KUNIT_EXPECT_EQ(test, kmm_pt_get(one, ADDR, NULL), entry_of(page, PAGE_READONLY));
	KUNIT_EXPECT_EQ(test, kmm_pt_get(one, ADDR + SZ_1G, NULL), rw | KMM_PT_AD);
	KUNIT_EXPECT_EQ(test, kmm_pt_get(two, ADDR, NULL) & RIGHTS & ~_PAGE_NX, _PAGE_PROTNONE);
	KUNIT_EXPECT_PTR_EQ(test, kmm_pt_entry_page(kmm_pt_get(two, ADDR, NULL), false), page);
	unmap(two, 0, USER_END);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&one->resident), 2);
	unmap(one, 0, USER_END);
	kmm_pgtable_destroy(one);
	kmm_pgtable_destroy(two);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_test_end_tables(test);
}

/* === Tables === */

static void tables_are_counted_by_level(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_tables(test, &kmm_layout_one);
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 0);
	struct kmm_pgtable *pt = tree(test), *other = tree(test);

	map(test, pt, ADDR, page, PAGE_SHARED);
	map(test, pt, ADDR + PAGE_SIZE, page, PAGE_SHARED);
	map(test, pt, ADDR + SZ_2M - PAGE_SIZE, page, PAGE_SHARED);
	expect_tables(test, pt, 1, 1, 1);
	map(test, pt, ADDR + SZ_2M, page, PAGE_SHARED);
	expect_tables(test, pt, 2, 1, 1);
	map(test, pt, ADDR + SZ_1G, page, PAGE_SHARED);
	expect_tables(test, pt, 3, 2, 1);
	map(test, pt, ADDR + (512UL << 30), page, PAGE_SHARED);
	expect_tables(test, pt, 4, 3, 2);
	map(test, other, ADDR, page, PAGE_SHARED);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->tables.nr[KMM_PT_PTE]), 5);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->tables.nr[KMM_PT_PGD]), 2);
	/* an empty table in the middle goes, its neighbours stay */
	unmap(pt, ADDR + SZ_2M, ADDR + SZ_4M);
	expect_tables(test, pt, 3, 3, 2);
	unmap(pt, ADDR + SZ_1G, ADDR + SZ_2G);
	expect_tables(test, pt, 2, 2, 2);
	unmap(pt, 0, USER_END);
	expect_tables(test, pt, 0, 0, 0);
	unmap(other, 0, USER_END);
	kmm_pgtable_destroy(other);
	kmm_pgtable_destroy(pt);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_test_end_tables(test);
}

/* Tables that lie in the gap as a whole go, also with others' entries beside the gap. */
static void prune_keeps_what_reaches_out_of_the_gap(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_tables(test, &kmm_layout_one);
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 0);
	struct kmm_pgtable *pt = tree(test);
	struct kmm_pt_gather g;

	map(test, pt, ADDR + SZ_1G, page, PAGE_SHARED);
	kmm_pt_gather_init(&g, pt, NULL, NULL);
	/* not empty */
	kmm_pt_prune(&g, 0, USER_END);
	expect_tables(test, pt, 1, 1, 1);
	kmm_pt_zap(&g, ADDR, ADDR + SZ_2G);
	/* empty, and begins before, or ends behind the gap */
	kmm_pt_prune(&g, ADDR + SZ_1G + PAGE_SIZE, ADDR + SZ_2G);
	kmm_pt_prune(&g, ADDR, ADDR + SZ_1G + SZ_2M - PAGE_SIZE);
	expect_tables(test, pt, 1, 1, 1);
	/* nothing at all */
	kmm_pt_prune(&g, ADDR, ADDR);
	kmm_pt_prune(&g, ADDR + SZ_2M, ADDR + SZ_4M);
	kmm_pt_prune(&g, ADDR + SZ_1G, ADDR + SZ_1G + SZ_2M);
	expect_tables(test, pt, 0, 1, 1);
	kmm_pt_prune(&g, ADDR + SZ_1G, ADDR + SZ_2G);
	expect_tables(test, pt, 0, 0, 1);
	kmm_pt_gather_finish(&g);
	kmm_pgtable_destroy(pt);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_test_end_tables(test);
}

static void empty_tables_are_kept_zeroed_and_given_back(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_tables(test, &kmm_layout_plain);
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 0);
	struct kmm_pgtable *pt = tree(test);
	unsigned long used, i, kept;

	for (i = 0; i < 400; i++)
		map(test, pt, ADDR + i * SZ_2M + i % 512 * PAGE_SIZE, page, PAGE_SHARED);
	unmap(pt, 0, USER_END);
	kept = t->tables.nr_zeroed;
	KUNIT_EXPECT_GT(test, kept, 100);
	KUNIT_EXPECT_LE(test, kept, 256);
	/* all of them are zero, and serve before the buddy is asked */
	used = kmm_test_used(t);
	for (i = 0; i + 3 < kept; i++)
		map(test, pt, ADDR + i * SZ_2M, page, PAGE_SHARED);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), used);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->resident), i);
	KUNIT_EXPECT_LT(test, t->tables.nr_zeroed, 4);
	for (i = 0; i + 3 < kept; i++)
		KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, ADDR + i * SZ_2M + PAGE_SIZE, NULL), 0);
	unmap(pt, 0, USER_END);
	used = kmm_test_used(t);
	kept = t->tables.nr_zeroed;
	KUNIT_EXPECT_EQ(test, kmm_pgtables_shrink(&t->tables), kept);
	KUNIT_EXPECT_EQ(test, t->tables.nr_zeroed, 0);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), used - kept);
	KUNIT_EXPECT_EQ(test, kmm_pgtables_shrink(&t->tables), 0);
	kmm_pgtable_destroy(pt);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_test_end_tables(test);
}

/* === Huge leaves === */

static void huge_leaves_are_mapped_and_split(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_tables(test, &kmm_layout_plain);
	struct page *block = kmm_test_alloc(test, KMM_QUIET, 9);
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 0);
	struct kmm_pgtable *pt = tree(test);
	unsigned long entry, i, bad = 0;
	bool huge;

	KUNIT_EXPECT_EQ(test, kmm_pt_map_huge(pt, ADDR, block, PAGE_SHARED), 0);
	expect_tables(test, pt, 0, 1, 1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->resident), 512);
	entry = kmm_pt_get(pt, ADDR + 123 * PAGE_SIZE, &huge);
	KUNIT_EXPECT_TRUE(test, huge);
	KUNIT_EXPECT_PTR_EQ(test, kmm_pt_entry_page(entry, true), block);
	/* where something is, nothing else can be put */
	KUNIT_EXPECT_EQ(test, kmm_pt_map_huge(pt, ADDR, block, PAGE_SHARED), -EEXIST);
	KUNIT_EXPECT_EQ(test, kmm_pt_replace(pt, ADDR + PAGE_SIZE, 0,
					     entry_of(page, PAGE_SHARED)), -EAGAIN);
	KUNIT_EXPECT_EQ(test, kmm_pt_prepare(pt, ADDR + PAGE_SIZE), 0);
	map(test, pt, ADDR + SZ_2M, page, PAGE_SHARED);
	KUNIT_EXPECT_EQ(test, kmm_pt_map_huge(pt, ADDR + SZ_2M, block, PAGE_SHARED), -EEXIST);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->resident), 513);

	/* the parts have the rights, Accessed and Dirty of the whole */
	KUNIT_EXPECT_TRUE(test, kmm_pt_touch(pt, ADDR, entry, KMM_PT_AD));
	KUNIT_EXPECT_EQ(test, kmm_pt_split_huge(pt, ADDR + SZ_1M), 0);
	for (i = 0; i < 512; i++)
		bad += kmm_pt_get(pt, ADDR + i * PAGE_SIZE, &huge) !=
		       (entry_of(block + i, PAGE_SHARED) | KMM_PT_AD) || huge;
	KUNIT_EXPECT_EQ(test, bad, 0);
	expect_tables(test, pt, 2, 1, 1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->resident), 513);
	/* there is nothing to split here */
	KUNIT_EXPECT_EQ(test, kmm_pt_split_huge(pt, ADDR), 0);
	KUNIT_EXPECT_EQ(test, kmm_pt_split_huge(pt, ADDR + SZ_1G), 0);
	expect_tables(test, pt, 2, 1, 1);

	/* one without rights splits as well */
	KUNIT_EXPECT_EQ(test, kmm_pt_map_huge(pt, ADDR + SZ_1G, block, PAGE_READONLY), 0);
	kmm_pt_protect(pt, ADDR + SZ_1G, ADDR + SZ_1G + SZ_2M, PAGE_NONE);
	KUNIT_EXPECT_EQ(test, kmm_pt_split_huge(pt, ADDR + SZ_1G), 0);
	for (i = 0; i < 512; i++) {
		entry = kmm_pt_get(pt, ADDR + SZ_1G + i * PAGE_SIZE, &huge);
		bad += huge || entry & _PAGE_PRESENT ||
		       kmm_pt_entry_page(entry, false) != block + i;
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	/* also one that never had any */
	KUNIT_EXPECT_EQ(test, kmm_pt_map_huge(pt, ADDR + 2UL * SZ_1G, block, PAGE_NONE), 0);
	KUNIT_EXPECT_EQ(test, kmm_pt_split_huge(pt, ADDR + 2UL * SZ_1G), 0);
	for (i = 0; i < 512; i++) {
		entry = kmm_pt_get(pt, ADDR + 2UL * SZ_1G + i * PAGE_SIZE, &huge);
		bad += huge || kmm_pt_entry_page(entry, false) != block + i;
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	unmap(pt, 0, USER_END);
	kmm_pgtable_destroy(pt);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_buddy_free(&t->buddy, block, 9);
	kmm_test_end_tables(test);
}

/* === Looking === */

static int count_leaf(void *ctx, unsigned long addr, unsigned int shift, unsigned long entry,
		      unsigned long effective)
{
	unsigned long *count = ctx;

	count[0]++;
	count[1] += !!(effective & _PAGE_RW);
	count[2] += !!(effective & _PAGE_NX);
	return count[0] == count[3] ? -EINTR : 0;
}

static void a_walk_shows_every_level(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_tables(test, &kmm_layout_plain);
	struct page *block = kmm_test_alloc(test, KMM_QUIET, 9);
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 0);
	unsigned int levels = pgtable_l5_enabled() ? 5 : 4, l;
	unsigned long addr = ADDR + 5 * SZ_2M + 7 * PAGE_SIZE;
	unsigned long count[4] = { };
	struct kmm_pgtable *pt = tree(test);
	struct kmm_pt_path path;

	kunit_info(test, "%u levels\n", levels);
	kmm_pt_walk(pt, addr, false, &path);
	KUNIT_EXPECT_EQ(test, path.levels, levels);
	KUNIT_EXPECT_EQ(test, path.depth, 1);
	KUNIT_EXPECT_EQ(test, path.entry[0], 0);
	KUNIT_EXPECT_EQ(test, path.leaf_shift, 0);
	map(test, pt, addr, page, PAGE_READONLY_EXEC);
	KUNIT_EXPECT_EQ(test, kmm_pt_map_huge(pt, ADDR, block, PAGE_SHARED), 0);

	kmm_pt_walk(pt, addr + 123, false, &path);
	KUNIT_EXPECT_EQ(test, path.depth, levels);
	KUNIT_EXPECT_EQ(test, path.leaf_shift, PAGE_SHIFT);
	for (l = 0; l < levels; l++)
		KUNIT_EXPECT_EQ(test, path.index[l],
				(addr >> (PAGE_SHIFT + 9 * (levels - 1 - l))) & 511);
	KUNIT_EXPECT_EQ(test, path.entry[levels - 1], entry_of(page, PAGE_READONLY_EXEC));
	/* the full view forbids to execute in the root, the user view does not */
	KUNIT_EXPECT_EQ(test, path.entry[0] & _PAGE_NX, _PAGE_NX & __supported_pte_mask);
	kmm_pt_walk(pt, addr, true, &path);
	KUNIT_EXPECT_EQ(test, path.entry[0] & _PAGE_NX, 0);
	KUNIT_EXPECT_EQ(test, path.entry[levels - 1], entry_of(page, PAGE_READONLY_EXEC));

	kmm_pt_walk(pt, ADDR + SZ_1M, true, &path);
	KUNIT_EXPECT_EQ(test, path.depth, levels - 1);
	KUNIT_EXPECT_EQ(test, path.leaf_shift, PMD_SHIFT);
	kmm_pt_walk(pt, addr + PAGE_SIZE, true, &path);
	KUNIT_EXPECT_EQ(test, path.depth, levels);
	KUNIT_EXPECT_EQ(test, path.leaf_shift, 0);
	kmm_pt_walk(pt, ADDR + SZ_1G, true, &path);
	KUNIT_EXPECT_EQ(test, path.leaf_shift, 0);

	/* all leaves, and what their levels allow together */
	KUNIT_EXPECT_EQ(test, kmm_pt_for_each(pt, true, 0, USER_END, count_leaf, count), 0);
	KUNIT_EXPECT_EQ(test, count[0], 2);
	KUNIT_EXPECT_EQ(test, count[1], 1);
	KUNIT_EXPECT_EQ(test, count[2], 1);
	memset(count, 0, sizeof(count));
	KUNIT_EXPECT_EQ(test, kmm_pt_for_each(pt, false, 0, USER_END, count_leaf, count), 0);
	KUNIT_EXPECT_EQ(test, count[2], 2);
	memset(count, 0, sizeof(count));
	KUNIT_EXPECT_EQ(test, kmm_pt_for_each(pt, true, ADDR + SZ_2M, addr, count_leaf, count), 0);
	KUNIT_EXPECT_EQ(test, count[0], 0);
	KUNIT_EXPECT_EQ(test, kmm_pt_for_each(pt, true, addr, addr + 1, count_leaf, count), 0);
	KUNIT_EXPECT_EQ(test, count[0], 1);
	count[3] = 2;
	KUNIT_EXPECT_EQ(test, kmm_pt_for_each(pt, true, 0, USER_END, count_leaf, count), -EINTR);
	KUNIT_EXPECT_EQ(test, count[0], 2);

	unmap(pt, 0, USER_END);
	kmm_pgtable_destroy(pt);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_buddy_free(&t->buddy, block, 9);
	kmm_test_end_tables(test);
}

/* === Flush === */

/* A page may be had again by others only when no CPU has it any more. */
static void drop_and_free(struct kmm_pt_gather *g, unsigned long addr, unsigned long entry,
			  struct page *page, unsigned int nr_pages)
{
	unsigned long *count = g->ctx;

	*count += nr_pages;
	kmm_pt_gather_page(g, page);
}

static void pages_are_freed_after_the_flush(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_tables(test, &kmm_layout_one);
	struct kmm_tlb_stat *tlb = &t->tables.tlb;
	struct kmm_pgtable *pt = tree(test);
	unsigned long i, nr = 100, used = kmm_test_used(t), full, count = 0;
	struct kmm_pt_gather g;
	s64 flushes, pages;

	for (i = 0; i < nr; i++)
		map(test, pt, ADDR + i * SZ_1M, kmm_test_alloc(test, KMM_QUIET, 0), PAGE_SHARED);
	full = kmm_test_used(t);
	flushes = atomic64_read(&tlb->space_flushes);
	pages = atomic64_read(&tlb->space_pages);
	kmm_pt_gather_init(&g, pt, drop_and_free, &count);
	kmm_pt_zap(&g, ADDR, ADDR + nr * SZ_1M);
	kmm_pt_prune(&g, 0, USER_END);
	KUNIT_EXPECT_EQ(test, count, nr);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), full);
	KUNIT_EXPECT_EQ(test, atomic64_read(&tlb->space_flushes), flushes);
	kmm_pt_gather_finish(&g);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), used + t->tables.nr_zeroed);
	/* one flush for all of them */
	KUNIT_EXPECT_EQ(test, atomic64_read(&tlb->space_flushes), flushes + 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&tlb->space_pages), pages + nr);
	/* it is ready again, and has nothing to do */
	kmm_pt_gather_finish(&g);
	KUNIT_EXPECT_EQ(test, atomic64_read(&tlb->space_flushes), flushes + 1);
	kmm_pgtable_destroy(pt);
	kmm_test_end_tables(test);
}

struct insider {
	struct kmm_pgtable *pt;
	atomic64_t *ipis;
	atomic_t inside;
	atomic_t left;
};

/*
 * A CPU that has loaded the tree: interrupts off until it leaves, which is some time after the
 * flush has counted it (or after 5 s, when none does). Not by mdelay(): how long that takes on the
 * second CPU of a VM on a busy machine is a matter of luck.
 */
static void stay_inside(void *arg)
{
	struct insider *in = arg;
	u64 start = ktime_get_ns();

	cpumask_set_cpu(smp_processor_id(), &in->pt->active);
	atomic_set(&in->inside, 1);
	while (!atomic64_read(in->ipis) && ktime_get_ns() - start < 5 * NSEC_PER_SEC)
		cpu_relax();
	start = ktime_get_ns();
	while (ktime_get_ns() - start < 20 * NSEC_PER_MSEC)
		cpu_relax();
	atomic_set(&in->left, 1);
	cpumask_clear_cpu(smp_processor_id(), &in->pt->active);
}

static void a_flush_waits_for_who_is_inside(struct kunit *test)
{
	struct insider in = { .inside = ATOMIC_INIT(0) };
	struct kmm_test *t;
	int other;

	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	t = kmm_test_begin_tables(test, &kmm_layout_one);
	in.pt = tree(test);
	in.ipis = &t->tables.tlb.ipis;
	kmm_stay_on_cpu(0);
	other = cpumask_next(0, cpu_online_mask);
	/* Who takes this CPU may wait for the other one (a static key does), until it has left. */
	preempt_disable();
	smp_call_function_single(other, stay_inside, &in, 0);
	while (!atomic_read(&in.inside))
		cpu_relax();
	kmm_pt_flush(in.pt, 1);
	preempt_enable();
	KUNIT_EXPECT_EQ(test, atomic_read(&in.left), 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&t->tables.tlb.ipis), 1);
	/* nobody is inside: nobody is asked */
	kmm_pt_flush(in.pt, 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&t->tables.tlb.ipis), 1);
	kmm_go_anywhere();
	kmm_pgtable_destroy(in.pt);
	kmm_test_end_tables(test);
}

/* === Failures === */

/* What is made to fail, on a tree that has one 2 MiB leaf and one page, private. */
static int fail_call(unsigned int what, struct kmm_pgtable *pt, struct kmm_pgtable *dst,
		     struct page *page)
{
	switch (what) {
	case 0:
		return kmm_pt_prepare(pt, ADDR + SZ_2G);
	case 1:
		return kmm_pt_replace(pt, ADDR + SZ_2G, 0, entry_of(page, PAGE_SHARED));
	case 2:
		return kmm_pt_map_huge(pt, ADDR + SZ_2G, page, PAGE_SHARED);
	case 3:
		return kmm_pt_split_huge(pt, ADDR);
	default:
		return min(kmm_pt_clone_range(dst, pt, ADDR, ADDR + SZ_4M), 0L);
	}
}

static void every_failure_leaves_the_tree_as_it_was(struct kunit *test)
{
	/* a table of each level that is missing; 5-level trees miss one more in a clone */
	static const unsigned int points[] = { 2, 2, 1, 1, 3 };
	struct kmm_test *t = kmm_test_begin_tables(test, &kmm_layout_plain);
	struct page *block = kmm_test_alloc(test, KMM_QUIET, 9), *page = private_page(test);
	pgprot_t private = __pgprot(pgprot_val(PAGE_SHARED) | KMM_PT_PRIVATE);
	unsigned int what, n;
	bool l5 = pgtable_l5_enabled();

	for (what = 0; what < ARRAY_SIZE(points); what++) {
		struct kmm_pgtable *pt = tree(test), *dst = tree(test);

		KUNIT_ASSERT_EQ(test, kmm_pt_map_huge(pt, ADDR, block, PAGE_SHARED), 0);
		map(test, pt, ADDR + SZ_2M, page, private);
		WRITE_ONCE(frame_of(t, page)->next, 1);
		for (n = 1; n < 20; n++) {
			int err;

			kmm_inject_arm(n);
			err = fail_call(what, pt, dst, page);
			if (!kmm_inject_disarm())
				break;
			KUNIT_EXPECT_EQ_MSG(test, err, -ENOMEM, "%u: failure %u", what, n);
			KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->resident), 513);
			KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, ADDR + SZ_2G, NULL), 0);
			KUNIT_EXPECT_EQ(test, kmm_pt_shares(frame_of(t, page)), 1);
			/* tables above the one that could not be had are empty, and go */
			unmap(pt, ADDR + SZ_2G, USER_END);
			unmap(dst, 0, USER_END);
			expect_tables(test, pt, 1, 1, 1);
			expect_tables(test, dst, 0, 0, 0);
		}
		KUNIT_EXPECT_EQ_MSG(test, n - 1, points[what] + (what == 4 && l5), "%u", what);
		unmap(pt, 0, USER_END);
		unmap(dst, 0, USER_END);
		kmm_pgtable_destroy(pt);
		kmm_pgtable_destroy(dst);
	}
	for (n = 1; n < 20; n++) {
		struct kmm_pgtable pt;
		int err;

		kmm_inject_arm(n);
		err = kmm_pgtable_create(&pt, &t->tables, NULL);
		if (!kmm_inject_disarm()) {
			KUNIT_ASSERT_EQ(test, err, 0);
			kmm_pgtable_destroy(&pt);
			break;
		}
		KUNIT_EXPECT_EQ(test, err, -ENOMEM);
	}
	KUNIT_EXPECT_EQ(test, n, 2);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_buddy_free(&t->buddy, block, 9);
	kmm_test_end_tables(test);
}

static void tables_are_charged(struct kunit *test)
{
	const struct kmm_limits few = { 6, KMM_NO_LIMIT, KMM_NO_LIMIT, KMM_NO_LIMIT };
	struct kmm_test *t = kmm_test_begin_tables(test, &kmm_layout_one);
	struct kmm_accounts *set = kunit_kzalloc(test, sizeof(*set), GFP_KERNEL);
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 0);
	unsigned int top = pgtable_l5_enabled();
	struct kmm_account *a;
	struct kmm_pgtable pt, other;

	KUNIT_ASSERT_NOT_NULL(test, set);
	kmm_accounts_init(set, &few, &few);
	a = kmm_account_create(set, KUIDT_INIT(12345), false);
	KUNIT_ASSERT_FALSE(test, IS_ERR(a));
	KUNIT_ASSERT_EQ(test, kmm_pgtable_create(&pt, &t->tables, a), 0);
	KUNIT_EXPECT_EQ(test, kmm_account_used(a, KMM_RES_FRAMES), 2);
	KUNIT_EXPECT_EQ(test, kmm_pt_prepare(&pt, ADDR), 0);
	KUNIT_EXPECT_EQ(test, kmm_account_used(a, KMM_RES_FRAMES), 5 + top);
	KUNIT_EXPECT_EQ(test, kmm_pt_prepare(&pt, ADDR + SZ_1G), -EDQUOT);
	KUNIT_EXPECT_EQ(test, kmm_pgtable_create(&other, &t->tables, a), -EDQUOT);
	kmm_pgtable_destroy(&pt);
	KUNIT_EXPECT_EQ(test, kmm_account_used(a, KMM_RES_FRAMES), 0);
	kmm_account_put(a);
	kmm_accounts_fini(set);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_test_end_tables(test);
}

/* === Random operations against an array === */

#define M_RUNS		5
#define M_PAGES		1024	/* of a run: two tables */
#define M_FRAMES	64

/* Rights that an operation may ask for. */
static pgprot_t model_prot(struct rnd_state *rnd)
{
	static const unsigned long bits[] = {
		_PAGE_PROTNONE | _PAGE_NX,
		_PAGE_PRESENT | _PAGE_USER | _PAGE_NX,
		_PAGE_PRESENT | _PAGE_USER,
		_PAGE_PRESENT | _PAGE_USER | _PAGE_RW | _PAGE_NX,
		_PAGE_PRESENT | _PAGE_USER | _PAGE_RW,
	};

	return __pgprot(bits[kmm_below(rnd, ARRAY_SIZE(bits))]);
}

/* Runs of addresses in tables of their own on every level; the first two share all but the last. */
static const unsigned long model_base[M_RUNS] = {
	0x40000000UL, 0x40000000UL + SZ_4M, 0x80000000UL, 0x28080000000UL, 0x7f0000000000UL,
};

/**
 * struct model - what must be mapped
 * @t: instance
 * @pt: tree
 * @rnd: random numbers
 * @page: private frames
 * @shares: entries of @pt that map each
 * @block: 2 MiB that huge leaves map
 * @word: by run and page: raw entry as it must read, 0 for none; of a huge leaf as if it were split
 * @huge: by run and half: the half is one leaf
 * @resident: pages mapped
 */
struct model {
	struct kmm_test *t;
	struct kmm_pgtable *pt;
	struct rnd_state rnd;
	struct page *page[M_FRAMES];
	u32 shares[M_FRAMES];
	struct page *block;
	unsigned long (*word)[M_PAGES];
	bool huge[M_RUNS][2];
	unsigned long resident;
};

static unsigned long model_addr(unsigned int run, unsigned int i)
{
	return model_base[run] + i * PAGE_SIZE;
}

/* Number of the private frame; M_FRAMES when it is of the block. */
static unsigned int model_frame(struct model *m, unsigned long word)
{
	struct page *page = kmm_pt_entry_page(word, false);
	unsigned int i;

	for (i = 0; i < M_FRAMES && m->page[i] != page; i++)
		;
	return i;
}

/* A page of the model goes. */
static void model_drop(struct model *m, unsigned int run, unsigned int i)
{
	unsigned int f;

	if (!m->word[run][i])
		return;
	f = model_frame(m, m->word[run][i]);
	if (f < M_FRAMES)
		m->shares[f]--;
	m->word[run][i] = 0;
	m->resident--;
}

/* As the drop function of a space: the frame forgets the entry. */
static void share_drop(struct kmm_pt_gather *g, unsigned long addr, unsigned long entry,
		       struct page *page, unsigned int nr_pages)
{
	if (entry & KMM_PT_PRIVATE)
		kmm_pt_share_put(frame_of(g->ctx, page));
}

static void model_replace(struct kunit *test, struct model *m)
{
	unsigned int run = kmm_below(&m->rnd, M_RUNS), i = kmm_below(&m->rnd, M_PAGES);
	unsigned int f = kmm_below(&m->rnd, M_FRAMES);
	unsigned long old = m->word[run][i], new = 0;
	unsigned long addr = model_addr(run, i);
	int err;

	if (kmm_below(&m->rnd, 4)) {
		unsigned long prot = pgprot_val(model_prot(&m->rnd)) | KMM_PT_PRIVATE;

		new = entry_of(m->page[f], __pgprot(prot));
		kmm_pt_share_get(frame_of(m->t, m->page[f]));
	}
	err = kmm_pt_replace(m->pt, addr, old & ~KMM_PT_AD, new);
	if (m->huge[run][i / 512]) {
		KUNIT_ASSERT_EQ(test, err, -EAGAIN);
		if (new)
			kmm_pt_share_put(frame_of(m->t, m->page[f]));
		return;
	}
	KUNIT_ASSERT_EQ(test, err, 0);
	if (old && model_frame(m, old) < M_FRAMES)
		kmm_pt_share_put(frame_of(m->t, kmm_pt_entry_page(old, false)));
	if (new && old && kmm_pt_entry_page(old, false) == m->page[f])
		new |= old & KMM_PT_AD;
	model_drop(m, run, i);
	m->word[run][i] = new;
	if (new) {
		m->shares[f]++;
		m->resident++;
	}
}

static void model_map_huge(struct kunit *test, struct model *m)
{
	unsigned int run = kmm_below(&m->rnd, M_RUNS), half = kmm_below(&m->rnd, 2), i;
	pgprot_t prot = model_prot(&m->rnd);
	unsigned long addr = model_addr(run, half * 512);
	struct kmm_pt_gather g;
	int err;

	/* what an empty table there would refuse */
	for (i = 0; i < 512 && !m->word[run][half * 512 + i]; i++)
		;
	if (i == 512) {
		kmm_pt_gather_init(&g, m->pt, share_drop, m->t);
		kmm_pt_prune(&g, addr, addr + SZ_2M);
		kmm_pt_gather_finish(&g);
	}
	err = kmm_pt_map_huge(m->pt, addr, m->block, prot);
	KUNIT_ASSERT_EQ(test, err, i == 512 ? 0 : -EEXIST);
	if (err)
		return;
	m->huge[run][half] = true;
	m->resident += 512;
	for (i = 0; i < 512; i++)
		m->word[run][half * 512 + i] = entry_of(m->block + i, prot);
}

static void model_split(struct kunit *test, struct model *m)
{
	unsigned int run = kmm_below(&m->rnd, M_RUNS), i = kmm_below(&m->rnd, M_PAGES);

	KUNIT_ASSERT_EQ(test, kmm_pt_split_huge(m->pt, model_addr(run, i)), 0);
	m->huge[run][i / 512] = false;
}

/* A range in one run, huge leaves as a whole. */
static void model_range(struct model *m, unsigned int run, unsigned int *first, unsigned int *last)
{
	unsigned int a = kmm_below(&m->rnd, M_PAGES), b = kmm_below(&m->rnd, M_PAGES);

	*first = min(a, b);
	*last = max(a, b);
	if (m->huge[run][*first / 512])
		*first = round_down(*first, 512);
	if (m->huge[run][*last / 512])
		*last = *last | 511;
}

static void model_zap(struct kunit *test, struct model *m)
{
	unsigned int run = kmm_below(&m->rnd, M_RUNS), first, last, i;
	struct kmm_pt_gather g;

	model_range(m, run, &first, &last);
	kmm_pt_gather_init(&g, m->pt, share_drop, m->t);
	kmm_pt_zap(&g, model_addr(run, first), model_addr(run, last + 1));
	if (kmm_below(&m->rnd, 2))
		kmm_pt_prune(&g, model_addr(run, first), model_addr(run, last + 1));
	kmm_pt_gather_finish(&g);
	for (i = first; i <= last; i++) {
		if (i % 512 == 0 && m->huge[run][i / 512])
			m->huge[run][i / 512] = false;
		model_drop(m, run, i);
	}
}

static void model_protect(struct kunit *test, struct model *m)
{
	unsigned int run = kmm_below(&m->rnd, M_RUNS), first, last, i;
	pgprot_t prot = model_prot(&m->rnd);

	model_range(m, run, &first, &last);
	kmm_pt_protect(m->pt, model_addr(run, first), model_addr(run, last + 1), prot);
	for (i = first; i <= last; i++) {
		unsigned long w = m->word[run][i], p = pgprot_val(prot);

		if (!w)
			continue;
		if (!(w & _PAGE_RW))
			p &= ~_PAGE_RW;
		m->word[run][i] = entry_of(kmm_pt_entry_page(w, false),
					   __pgprot(p | (w & KMM_PT_PRIVATE))) | (w & KMM_PT_AD);
	}
}

static void model_touch(struct kunit *test, struct model *m)
{
	unsigned int run = kmm_below(&m->rnd, M_RUNS), i = kmm_below(&m->rnd, M_PAGES), n = 1;
	unsigned long bits = kmm_below(&m->rnd, 2) ? KMM_PT_AD : _PAGE_ACCESSED;
	unsigned long word = m->word[run][i], addr = model_addr(run, i), got;
	unsigned int first = i;

	if (!word)
		return;
	if (m->huge[run][i / 512]) {
		n = 512;
		first = round_down(i, 512);
	}
	if (kmm_below(&m->rnd, 2)) {
		got = kmm_pt_get(m->pt, addr, NULL);
		KUNIT_ASSERT_TRUE(test, kmm_pt_touch(m->pt, addr, got, bits));
		while (n--)
			m->word[run][first + n] |= bits;
	} else {
		got = kmm_pt_test_and_clear(m->pt, addr, bits);
		KUNIT_ASSERT_EQ(test, got, word & bits);
		while (n--)
			m->word[run][first + n] &= ~bits;
	}
}

/* A clone has the private leaves, read-only; so have we. The rest is not there. */
static void model_clone(struct kunit *test, struct model *m)
{
	struct kmm_pgtable clone;
	struct kmm_pt_gather g;
	unsigned long nr = 0;
	unsigned int run, i;

	KUNIT_ASSERT_EQ(test, kmm_pgtable_create(&clone, &m->t->tables, NULL), 0);
	for (run = 0; run < M_RUNS; run++) {
		long got = kmm_pt_clone_range(&clone, m->pt, model_addr(run, 0),
					      model_addr(run, M_PAGES));

		KUNIT_ASSERT_GE(test, got, 0);
		nr += got;
	}
	kmm_pt_flush(m->pt, nr);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&clone.resident), nr);
	for (run = 0; run < M_RUNS; run++)
		for (i = 0; i < M_PAGES; i++) {
			unsigned long *w = &m->word[run][i], want = 0;
			bool huge;

			if (*w & KMM_PT_PRIVATE) {
				*w &= ~_PAGE_RW;
				want = *w & ~KMM_PT_AD;
				nr--;
			}
			if (kmm_pt_get(&clone, model_addr(run, i), &huge) != want || huge)
				KUNIT_FAIL(test, "clone: run %u page %u", run, i);
		}
	KUNIT_EXPECT_EQ(test, nr, 0);
	for (i = 0; i < M_FRAMES; i++)
		if (kmm_pt_shares(frame_of(m->t, m->page[i])) != 2 * m->shares[i])
			KUNIT_FAIL(test, "clone: frame %u has %u shares, %u expected", i,
				   kmm_pt_shares(frame_of(m->t, m->page[i])), 2 * m->shares[i]);
	kmm_pt_gather_init(&g, &clone, share_drop, m->t);
	kmm_pt_zap(&g, 0, USER_END);
	kmm_pt_gather_finish(&g);
	kmm_pgtable_destroy(&clone);
}

static int model_leaf(void *ctx, unsigned long addr, unsigned int shift, unsigned long entry,
		      unsigned long effective)
{
	unsigned long *nr = ctx;

	*nr += 1UL << (shift - PAGE_SHIFT);
	return 0;
}

static void model_check(struct kunit *test, struct model *m)
{
	unsigned int run, i, bad = 0;
	unsigned long nr = 0;
	bool huge;

	for (run = 0; run < M_RUNS; run++)
		for (i = 0; i < M_PAGES; i++) {
			unsigned long got = kmm_pt_get(m->pt, model_addr(run, i), &huge);
			unsigned long want = m->word[run][i];

			if (huge != m->huge[run][i / 512]) {
				bad++;
			} else if (huge) {
				bad += (got & (RIGHTS | KMM_PT_AD)) !=
				       (want & (RIGHTS | KMM_PT_AD)) ||
				       kmm_pt_entry_page(got, true) + i % 512 !=
				       kmm_pt_entry_page(want, false);
			} else {
				bad += got != want;
			}
		}
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&m->pt->resident), m->resident);
	KUNIT_EXPECT_EQ(test, kmm_pt_for_each(m->pt, true, 0, USER_END, model_leaf, &nr), 0);
	KUNIT_EXPECT_EQ(test, nr, m->resident);
	for (i = 0; i < M_FRAMES; i++)
		KUNIT_EXPECT_EQ(test, kmm_pt_shares(frame_of(m->t, m->page[i])), m->shares[i]);
}

static void random_against_an_array(struct kunit *test)
{
	unsigned long ops = kmm_test_nr_ops, i;
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	struct kmm_pt_gather g;
	unsigned int run, f;

	KUNIT_ASSERT_NOT_NULL(test, m);
	kunit_info(test, "seed=%lu ops=%lu\n", kmm_test_seed, ops);
	prandom_seed_state(&m->rnd, kmm_test_seed);
	m->t = kmm_test_begin_tables(test, &kmm_layout_plain);
	m->word = kunit_kzalloc(test, M_RUNS * sizeof(*m->word), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m->word);
	m->pt = tree(test);
	m->block = kmm_test_alloc(test, KMM_QUIET, 9);
	for (f = 0; f < M_FRAMES; f++)
		m->page[f] = private_page(test);
	for (i = 0; i < ops; i++) {
		u32 r = kmm_below(&m->rnd, 10000);

		if (r < 8500)
			model_replace(test, m);
		else if (r < 9400)
			model_touch(test, m);
		else if (r < 9600)
			model_split(test, m);
		else if (r < 9800)
			model_map_huge(test, m);
		else if (r < 9900)
			model_zap(test, m);
		else if (r < 9990)
			model_protect(test, m);
		else if (r < 9995)
			model_clone(test, m);
		else
			model_check(test, m);
		if (i % 256 == 0)
			cond_resched();
	}
	model_check(test, m);
	kmm_pt_gather_init(&g, m->pt, share_drop, m->t);
	for (run = 0; run < M_RUNS; run++)
		kmm_pt_zap(&g, model_addr(run, 0), model_addr(run, M_PAGES));
	kmm_pt_gather_finish(&g);
	for (f = 0; f < M_FRAMES; f++) {
		KUNIT_EXPECT_EQ(test, kmm_pt_shares(frame_of(m->t, m->page[f])), 0);
		kmm_buddy_free(&m->t->buddy, m->page[f], 0);
	}
	kmm_pgtable_destroy(m->pt);
	kmm_buddy_free(&m->t->buddy, m->block, 9);
	kmm_test_end_tables(test);
}

/* === Two CPUs on one tree === */

#define W_PAGES	2048

struct worker {
	struct kmm_pgtable *pt;
	struct page *page;
	struct task_struct *task;
	struct rnd_state rnd;
	unsigned int odd;
	unsigned long rounds;
	unsigned long bad;
};

/* Every other page of a run belongs to each worker: all tables to both. */
static int worker_run(void *arg)
{
	struct worker *w = arg;
	unsigned long rw = entry_of(w->page, PAGE_SHARED), cur;

	while (!kthread_should_stop()) {
		unsigned long i = 2 * kmm_below(&w->rnd, W_PAGES / 2) + w->odd;
		unsigned long addr = ADDR + i * PAGE_SIZE;

		cur = kmm_pt_get(w->pt, addr, NULL);
		if (cur && kmm_pt_entry_page(cur, false) != w->page)
			w->bad++;
		/* the main thread protects all pages meanwhile: -EAGAIN is right then */
		switch (kmm_pt_replace(w->pt, addr, cur, cur ? 0 : rw)) {
		case 0:
		case -EAGAIN:
			break;
		default:
			w->bad++;
		}
		kmm_pt_test_and_clear(w->pt, addr + PAGE_SIZE, KMM_PT_AD);
		if (++w->rounds % 64 == 0)
			cond_resched();
	}
	return 0;
}

static void two_cpus_share_tables(struct kunit *test)
{
	unsigned long rounds = min(kmm_test_nr_ops / 200, 500UL) + 20, i, mapped = 0;
	struct kmm_test *t = kmm_test_begin_tables(test, &kmm_layout_one);
	struct worker *w = kunit_kcalloc(test, 2, sizeof(*w), GFP_KERNEL);
	struct kmm_pgtable *pt = tree(test);
	unsigned int n;

	KUNIT_ASSERT_NOT_NULL(test, w);
	for (n = 0; n < 2; n++) {
		w[n].pt = pt;
		w[n].odd = n;
		w[n].page = kmm_test_alloc(test, KMM_QUIET, 0);
		prandom_seed_state(&w[n].rnd, kmm_test_seed + n);
		w[n].task = kthread_create(worker_run, &w[n], "kmm_kunit/%u", n);
		if (IS_ERR(w[n].task)) {
			KUNIT_FAIL(test, "no thread");
			w[n].task = NULL;
			continue;
		}
		kthread_bind(w[n].task, cpumask_local_spread(n, NUMA_NO_NODE));
		wake_up_process(w[n].task);
	}
	for (i = 0; i < rounds; i++) {
		kmm_pt_protect(pt, ADDR, ADDR + W_PAGES * PAGE_SIZE,
			       i & 1 ? PAGE_READONLY : PAGE_SHARED);
		usleep_range(500, 1000);
	}
	for (n = 0; n < 2; n++) {
		if (!w[n].task)
			continue;
		kthread_stop(w[n].task);
		KUNIT_EXPECT_EQ(test, w[n].bad, 0);
		KUNIT_EXPECT_GT(test, w[n].rounds, 100);
		kunit_info(test, "thread %u: %lu operations\n", n, w[n].rounds);
	}
	for (i = 0; i < W_PAGES; i++)
		mapped += !!kmm_pt_get(pt, ADDR + i * PAGE_SIZE, NULL);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&pt->resident), mapped);
	unmap(pt, 0, USER_END);
	/* a wrong count of entries would keep a table, or have freed one */
	expect_tables(test, pt, 0, 0, 0);
	kmm_pgtable_destroy(pt);
	for (n = 0; n < 2; n++)
		kmm_buddy_free(&t->buddy, w[n].page, 0);
	kmm_test_end_tables(test);
}

static struct kunit_case pgtable_cases[] = {
	KUNIT_CASE(a_page_is_mapped_and_unmapped),
	KUNIT_CASE(what_changed_meanwhile_is_not_replaced),
	KUNIT_CASE(accessed_and_dirty_are_read_and_cleared),
	KUNIT_CASE(one_frame_has_different_rights_in_two_places),
	KUNIT_CASE(tables_are_counted_by_level),
	KUNIT_CASE(prune_keeps_what_reaches_out_of_the_gap),
	KUNIT_CASE(empty_tables_are_kept_zeroed_and_given_back),
	KUNIT_CASE(huge_leaves_are_mapped_and_split),
	KUNIT_CASE(a_walk_shows_every_level),
	KUNIT_CASE(pages_are_freed_after_the_flush),
	KUNIT_CASE(a_flush_waits_for_who_is_inside),
	KUNIT_CASE(every_failure_leaves_the_tree_as_it_was),
	KUNIT_CASE(tables_are_charged),
	KUNIT_CASE(random_against_an_array),
	KUNIT_CASE(two_cpus_share_tables),
	{}
};

struct kunit_suite kmm_pgtable_suite = {
	.name = "kmm_pgtable",
	.exit = kmm_test_exit,
	.test_cases = pgtable_cases,
};
