// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_vmap
 *
 * vmalloc, vmap and vm_map_ram (vmap.c) on private instances: fake region, window of its own. Load
 * and two CPUs are in vmap_load_kunit.c.
 *
 * Areas are used: each page is written through the window and read back, what must fault is
 * accessed by the kernel's recoverable accesses. Whether something can be executed is read from
 * the entries.
 *
 * Reports of refused frees are rate limited (ten in five seconds): the case that plants them waits
 * until the limit is fresh.
 */

#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include <kmm/inject.h>
#include <kmm/kmm.h>
#include <kmm/report.h>
#include <kmm/vmap.h>
#include <uapi/kmm.h>

#include "helpers.h"

static void *get(struct kunit *test, unsigned long size)
{
	struct kmm_test *t = test->priv;
	void *p = kmm_vmap_alloc(t->vmap, size, KMM_QUIET, PAGE_KERNEL, NULL);

	KUNIT_ASSERT_NOT_NULL_MSG(test, p, "%lu bytes", size);
	return p;
}

static void put(struct kunit *test, void *p)
{
	struct kmm_test *t = test->priv;

	KUNIT_EXPECT_TRUE(test, kmm_vmap_free(t->vmap, p));
}

static u64 event(struct kmm_test *t, enum kmm_vmap_event e)
{
	u64 event[KMM_NR_VMAP_EVENTS];

	kmm_vmap_events(t->vmap, event);
	return event[e];
}

static bool read_faults(const void *p)
{
	unsigned long value;

	return kmm_test_read(p, &value) == -EFAULT;
}

/* === One area === */

static const unsigned long sizes[] = {
	1, 8, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 2 * PAGE_SIZE, 7 * PAGE_SIZE, SZ_32K,
	SZ_64K + 1, 64 * PAGE_SIZE, 65 * PAGE_SIZE, SZ_1M, SZ_2M - PAGE_SIZE, SZ_2M,
	SZ_2M + PAGE_SIZE, 3 * SZ_1M, SZ_4M,
};

static void every_size_is_memory_with_a_guard_behind(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned long nr = DIV_ROUND_UP(sizes[i], PAGE_SIZE), k, bad = 0;
		u8 *p = get(test, sizes[i]);

		KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(p));
		memset(p, 0x11 + i, nr * PAGE_SIZE);
		for (k = 0; k < nr; k++) {
			struct page *page = kmm_vmap_page(t->vmap, p + k * PAGE_SIZE + 77);

			/* what is written here is in a frame of the region */
			bad += !page || !kmm_region_frame(&t->region, page_to_pfn(page)) ||
			       memchr_inv(page_address(page), 0x11 + i, PAGE_SIZE);
			if (page)
				memset(page_address(page), 0x80 + i, PAGE_SIZE);
		}
		KUNIT_EXPECT_EQ_MSG(test, bad, 0, "%lu bytes", sizes[i]);
		KUNIT_EXPECT_NULL(test, memchr_inv(p, 0x80 + i, nr * PAGE_SIZE));
		KUNIT_EXPECT_TRUE_MSG(test, read_faults(p + nr * PAGE_SIZE), "%lu bytes", sizes[i]);
		KUNIT_EXPECT_EQ(test, kmm_test_write(p + nr * PAGE_SIZE, 1), -EFAULT);
		KUNIT_EXPECT_NULL(test, kmm_vmap_page(t->vmap, p + nr * PAGE_SIZE));
		put(test, p);
		KUNIT_EXPECT_NULL(test, kmm_vmap_page(t->vmap, p));
		KUNIT_EXPECT_EQ(test, kmm_vmap_check(t->vmap), 0);
	}
	kmm_test_end_vmap(test);
}

/* Neighbours: the guard of one is before the other, whatever the sizes. */
static void areas_do_not_touch(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	void *p[64];
	unsigned int i, round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(p); i++) {
			p[i] = get(test, (1 + i % 9) * PAGE_SIZE);
			memset(p[i], 1 + i, (1 + i % 9) * PAGE_SIZE);
		}
		for (i = 0; i < ARRAY_SIZE(p); i++) {
			KUNIT_EXPECT_NULL(test, memchr_inv(p[i], 1 + i, (1 + i % 9) * PAGE_SIZE));
			KUNIT_EXPECT_TRUE(test, read_faults(p[i] + (1 + i % 9) * PAGE_SIZE));
			KUNIT_EXPECT_NULL(test, kmm_vmap_page(t->vmap, p[i] - 1));
		}
		for (i = 0; i < ARRAY_SIZE(p); i++)
			put(test, p[(i * 7) % ARRAY_SIZE(p)]);
	}
	kmm_test_end_vmap(test);
}

static void zeroed_memory_is_zero(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	unsigned int i, round;
	u8 *p;

	for (round = 0; round < 2; round++)
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			p = kmm_vmap_alloc(t->vmap, sizes[i], KMM_QUIET | __GFP_ZERO,
					   PAGE_KERNEL, NULL);
			KUNIT_ASSERT_NOT_NULL(test, p);
			KUNIT_EXPECT_NULL(test, memchr_inv(p, 0, round_up(sizes[i], PAGE_SIZE)));
			memset(p, 0xff, round_up(sizes[i], PAGE_SIZE));
			put(test, p);
		}
	kmm_test_end_vmap(test);
}

static void rights_are_those_asked_for(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	unsigned long nx = _PAGE_NX & __supported_pte_mask, size, entry, value;
	struct kmm_window *w = kmm_vmap_window(t->vmap);
	void *p;

	for (size = PAGE_SIZE; size <= SZ_4M; size *= 4) {
		p = kmm_vmap_alloc(t->vmap, size, KMM_QUIET | __GFP_ZERO, PAGE_KERNEL_RO, NULL);
		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_EXPECT_EQ(test, kmm_test_read(p + size - 8, &value), 0);
		KUNIT_EXPECT_EQ(test, kmm_test_write(p + size - 8, 1), -EFAULT);
		entry = kmm_window_entry(w, (unsigned long)p, NULL);
		KUNIT_EXPECT_EQ(test, entry & (_PAGE_RW | _PAGE_NX | _PAGE_USER), nx);
		put(test, p);

		p = kmm_vmap_alloc(t->vmap, size, KMM_QUIET, PAGE_KERNEL_ROX, NULL);
		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_EXPECT_EQ(test, kmm_test_write(p, 1), -EFAULT);
		entry = kmm_window_entry(w, (unsigned long)p, NULL);
		KUNIT_EXPECT_EQ(test, entry & (_PAGE_RW | _PAGE_NX | _PAGE_USER), 0);
		put(test, p);

		p = get(test, size);
		KUNIT_EXPECT_EQ(test, kmm_test_write(p + size - 8, 1), 0);
		entry = kmm_window_entry(w, (unsigned long)p, NULL);
		KUNIT_EXPECT_EQ(test, entry & (_PAGE_RW | _PAGE_NX | _PAGE_USER), _PAGE_RW | nx);
		put(test, p);
	}
	kmm_test_end_vmap(test);
}

static void sizes_that_cannot_be_are_refused(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	unsigned long frames = kmm_test_frames(t), i;
	const unsigned long bad[] = {
		0, (frames + 1) * PAGE_SIZE, frames * PAGE_SIZE + 1, SZ_1G, 1UL << 47, 1UL << 63,
		~0UL, ~0UL - PAGE_SIZE, ~0UL - 2 * PAGE_SIZE,
	};
	struct page *page = NULL;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_NULL_MSG(test, kmm_vmap_alloc(t->vmap, bad[i], KMM_QUIET,
							   PAGE_KERNEL, NULL), "%lx", bad[i]);
	KUNIT_EXPECT_NULL(test, kmm_vmap_map(t->vmap, &page, 0, PAGE_KERNEL, NULL));
	KUNIT_EXPECT_NULL(test, kmm_vmap_map(t->vmap, &page, UINT_MAX, PAGE_KERNEL, NULL));
	KUNIT_EXPECT_NULL(test, kmm_vmap_map_ram(t->vmap, &page, 0));
	KUNIT_EXPECT_NULL(test, kmm_vmap_map_ram(t->vmap, &page, UINT_MAX));
	KUNIT_EXPECT_EQ(test, kmm_vmap_nr_areas(t->vmap), 0);
	kmm_test_end_vmap(test);
}

/* === 2 MiB leaves === */

static int find_info(void *ctx, const struct kmm_vmap_info *info)
{
	struct kmm_vmap_info *found = ctx;

	if (info->start != found->start)
		return 0;
	*found = *info;
	return 1;
}

static unsigned long nr_huge(struct kmm_test *t, void *p)
{
	struct kmm_vmap_info info = { .start = (unsigned long)p };

	return kmm_vmap_for_each(t->vmap, find_info, &info) == 1 ? info.nr_huge : ~0UL;
}

static void large_areas_have_huge_leaves(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	struct kmm_window *w = kmm_vmap_window(t->vmap);
	u64 huge = event(t, KMM_VMAP_HUGE);
	unsigned long i, bad = 0;
	bool is_huge;
	u8 *p;

	/* two and a half: the rest are single pages in a slot with its table */
	p = get(test, 5 * SZ_1M);
	KUNIT_EXPECT_EQ(test, nr_huge(t, p), 1024);
	KUNIT_EXPECT_EQ(test, event(t, KMM_VMAP_HUGE), huge + 2);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)p, SZ_2M));
	for (i = 0; i < 5 * SZ_1M; i += PAGE_SIZE) {
		kmm_window_entry(w, (unsigned long)p + i, &is_huge);
		bad += is_huge != (i < SZ_4M);
		*(unsigned long *)(p + i) = i;
	}
	for (i = 0; i < 5 * SZ_1M; i += PAGE_SIZE) {
		struct page *page = kmm_vmap_page(t->vmap, p + i);

		bad += *(unsigned long *)(p + i) != i || *(unsigned long *)page_address(page) != i;
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	put(test, p);
	/* one less than 2 MiB has none */
	p = get(test, SZ_2M - PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, nr_huge(t, p), 0);
	put(test, p);
	kmm_test_end_vmap(test);
}

/* No block of 2 MiB is left, though half of the frames are. */
static void large_areas_do_without_huge_leaves(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	unsigned long nr = 0, i, max = kmm_test_frames(t);
	struct page **page = kunit_kcalloc(test, max, sizeof(*page), GFP_KERNEL);
	u8 *p;

	KUNIT_ASSERT_NOT_NULL(test, page);
	while (nr < max && (page[nr] = kmm_buddy_alloc(&t->buddy, KMM_GRAB, 0)))
		nr++;
	for (i = 0; i < nr; i++)
		if (page_to_pfn(page[i]) % 16) {
			kmm_buddy_free(&t->buddy, page[i], 0);
			page[i] = NULL;
		}
	p = get(test, SZ_4M + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, nr_huge(t, p), 0);
	memset(p, 0x3c, SZ_4M + PAGE_SIZE);
	KUNIT_EXPECT_NULL(test, memchr_inv(p, 0x3c, SZ_4M + PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, read_faults(p + SZ_4M + PAGE_SIZE));
	put(test, p);
	for (i = 0; i < nr; i++)
		if (page[i])
			kmm_buddy_free(&t->buddy, page[i], 0);
	kmm_vmap_purge(t->vmap);
	/* the same slots take leaves again */
	p = get(test, SZ_4M);
	KUNIT_EXPECT_EQ(test, nr_huge(t, p), 1024);
	memset(p, 0x3d, SZ_4M);
	put(test, p);
	kmm_test_end_vmap(test);
}

/* === vmap and vm_map_ram === */

static void pages_are_shown_in_order(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	unsigned int nr, i, bad = 0;
	struct page *page[100];
	unsigned long value;
	u8 *p, *ro;

	for (i = 0; i < ARRAY_SIZE(page); i++) {
		page[i] = kmm_test_alloc(test, KMM_QUIET, 0);
		*(unsigned long *)page_address(page[i]) = i;
	}
	for (nr = 1; nr <= ARRAY_SIZE(page); nr += 11) {
		p = kmm_vmap_map(t->vmap, page, nr, PAGE_KERNEL, NULL);
		ro = kmm_vmap_map(t->vmap, page, nr, PAGE_KERNEL_RO, NULL);
		KUNIT_ASSERT_TRUE(test, p && ro);
		for (i = 0; i < nr; i++)
			bad += *(unsigned long *)(p + i * PAGE_SIZE) != i ||
			       kmm_vmap_page(t->vmap, p + i * PAGE_SIZE) != page[i];
		KUNIT_EXPECT_TRUE(test, read_faults(p + nr * PAGE_SIZE));
		/* the same frames with other rights */
		KUNIT_EXPECT_EQ(test, kmm_test_write(ro, 5), -EFAULT);
		KUNIT_EXPECT_EQ(test, kmm_test_write(p + 8, 5 + nr), 0);
		KUNIT_EXPECT_EQ(test, kmm_test_read(ro + 8, &value), 0);
		KUNIT_EXPECT_EQ(test, value, 5 + nr);
		KUNIT_EXPECT_TRUE(test, kmm_vmap_unmap(t->vmap, p));
		KUNIT_EXPECT_TRUE(test, kmm_vmap_unmap(t->vmap, ro));
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	/* the pages are the caller's: nothing of them was freed, nothing is lazy */
	KUNIT_EXPECT_EQ(test, kmm_vmap_lazy_frames(t->vmap), 0);
	for (i = 0; i < ARRAY_SIZE(page); i++) {
		KUNIT_EXPECT_EQ(test, *(unsigned long *)page_address(page[i]), i);
		kmm_buddy_free(&t->buddy, page[i], 0);
	}
	kmm_test_end_vmap(test);
}

static int count_kinds(void *ctx, const struct kmm_vmap_info *info)
{
	unsigned int *nr = ctx;

	nr[info->kind]++;
	return 0;
}

/* Longer than any run that comes from a block; runs of four pages that fill one. */
#define MAX_RUN	100
#define NR_RUNS	128

/* Runs share a block; its addresses do not come again before all of it was flushed. */
static void blocks_of_vm_map_ram_are_used_up_first(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	unsigned int nr[KMM_VMAP_LAZY + 1] = { }, i, seen = 0, bad = 0;
	struct page **page = kunit_kcalloc(test, MAX_RUN, sizeof(*page), GFP_KERNEL);
	void **p = kunit_kcalloc(test, NR_RUNS, sizeof(*p), GFP_KERNEL), *q;
	u64 purges;

	KUNIT_ASSERT_TRUE(test, page && p);
	for (i = 0; i < MAX_RUN; i++) {
		page[i] = kmm_test_alloc(test, KMM_QUIET, 0);
		*(unsigned long *)page_address(page[i]) = i;
	}
	kmm_stay_on_cpu(0);
	for (i = 0; i < NR_RUNS; i++) {
		p[i] = kmm_vmap_map_ram(t->vmap, page + i % 50, 4);
		KUNIT_ASSERT_NOT_NULL(test, p[i]);
		bad += *(unsigned long *)(p[i] + 3 * PAGE_SIZE) != i % 50 + 3;
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	/* 512 pages: one block, full */
	KUNIT_EXPECT_EQ(test, kmm_vmap_nr_areas(t->vmap), 1);
	kmm_vmap_for_each(t->vmap, count_kinds, nr);
	KUNIT_EXPECT_EQ(test, nr[KMM_VMAP_RAM], 1);
	purges = event(t, KMM_VMAP_PURGE);
	for (i = 0; i < NR_RUNS - 1; i++)
		kmm_vmap_unmap_ram(t->vmap, p[i], 4);
	for (i = 0; i < 64; i++) {
		q = kmm_vmap_map_ram(t->vmap, page, 4);
		KUNIT_ASSERT_NOT_NULL(test, q);
		seen += q >= p[0] && q <= p[NR_RUNS - 1];
		kmm_vmap_unmap_ram(t->vmap, q, 4);
	}
	KUNIT_EXPECT_EQ(test, seen, 0);
	KUNIT_EXPECT_EQ(test, event(t, KMM_VMAP_PURGE), purges);
	/* the run that lives is not touched by a flush of all others */
	kmm_vmap_unmap_aliases(t->vmap);
	KUNIT_EXPECT_EQ(test, *(unsigned long *)(p[NR_RUNS - 1] + PAGE_SIZE),
			(NR_RUNS - 1) % 50 + 1);
	KUNIT_EXPECT_EQ(test, kmm_vmap_nr_areas(t->vmap), 1);
	kmm_vmap_unmap_ram(t->vmap, p[NR_RUNS - 1], 4);
	kmm_vmap_unmap_aliases(t->vmap);
	KUNIT_EXPECT_EQ(test, kmm_vmap_nr_areas(t->vmap), 0);

	/* runs of every length, and one that has an area of its own */
	for (i = 1; i <= MAX_RUN; i++) {
		q = kmm_vmap_map_ram(t->vmap, page, i);
		KUNIT_ASSERT_NOT_NULL_MSG(test, q, "%u pages", i);
		bad += *(unsigned long *)(q + (i - 1) * PAGE_SIZE) != i - 1;
		bad += !read_faults(q + i * PAGE_SIZE);
		kmm_vmap_unmap_ram(t->vmap, q, i);
		bad += !!kmm_vmap_page(t->vmap, q);
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	kmm_go_anywhere();
	for (i = 0; i < MAX_RUN; i++)
		kmm_buddy_free(&t->buddy, page[i], 0);
	kmm_test_end_vmap(test);
}

/* === Lazy freeing === */

static void lazy_frames_are_few_and_all_come_back(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	unsigned long max = kmm_test_frames(t) / 16, most = 0, used, i;
	struct kmm_tlb_stat *tlb = &t->tables.tlb;
	s64 flushes, pages;
	u64 purges;

	used = kmm_test_used(t);
	/* a freed area waits, its frames with it */
	put(test, get(test, 5 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, kmm_vmap_lazy_frames(t->vmap), 5);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), used + 5);
	flushes = atomic64_read(&tlb->kernel_flushes);
	pages = atomic64_read(&tlb->kernel_pages);
	KUNIT_EXPECT_EQ(test, kmm_vmap_purge(t->vmap), 5);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), used);
	KUNIT_EXPECT_EQ(test, atomic64_read(&tlb->kernel_flushes), flushes + 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&tlb->kernel_pages), pages + 6);
	/* nothing waits: nothing is flushed */
	KUNIT_EXPECT_EQ(test, kmm_vmap_purge(t->vmap), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&tlb->kernel_flushes), flushes + 1);

	/* one flush serves many */
	purges = event(t, KMM_VMAP_PURGE);
	for (i = 0; i < 1000; i++) {
		put(test, get(test, PAGE_SIZE));
		most = max(most, kmm_vmap_lazy_frames(t->vmap));
	}
	KUNIT_EXPECT_GT(test, event(t, KMM_VMAP_PURGE), purges);
	KUNIT_EXPECT_LT(test, event(t, KMM_VMAP_PURGE), purges + 1000 / 5);
	KUNIT_EXPECT_GE(test, most, 5);
	/* never more than a sixteenth waits, whatever the sizes */
	for (i = 0; i < 2000; i++) {
		put(test, get(test, (1 + i * 7 % 40) * PAGE_SIZE));
		most = max(most, kmm_vmap_lazy_frames(t->vmap));
	}
	kunit_info(test, "at most %lu of %lu frames waited\n", most, kmm_test_frames(t));
	KUNIT_EXPECT_LE(test, most, max);
	put(test, get(test, SZ_4M));
	KUNIT_EXPECT_LE(test, kmm_vmap_lazy_frames(t->vmap), max);
	kmm_vmap_purge(t->vmap);
	KUNIT_EXPECT_EQ(test, kmm_vmap_lazy_frames(t->vmap), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), used);
	kmm_test_end_vmap(test);
}

/* The addresses of a freed area fault at once on this CPU, and are not given to another before. */
static void freed_addresses_wait_for_the_flush(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	void *p = get(test, PAGE_SIZE), *q, *list[20];
	struct page *page = kmm_vmap_page(t->vmap, p);
	unsigned int i, same = 0, frame = 0;

	put(test, p);
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		list[i] = get(test, PAGE_SIZE);
		same += list[i] == p;
		frame += kmm_vmap_page(t->vmap, list[i]) == page;
	}
	KUNIT_EXPECT_EQ(test, same, 0);
	KUNIT_EXPECT_EQ(test, frame, 0);
	for (i = 0; i < ARRAY_SIZE(list); i++)
		put(test, list[i]);
	kmm_vmap_purge(t->vmap);
	/* now they are, from this CPU's pool */
	kmm_stay_on_cpu(0);
	p = get(test, PAGE_SIZE);
	put(test, p);
	kmm_vmap_purge(t->vmap);
	q = get(test, PAGE_SIZE);
	KUNIT_EXPECT_PTR_EQ(test, q, p);
	put(test, q);
	kmm_go_anywhere();
	kmm_test_end_vmap(test);
}

static bool relieve_by_purge(void *ctx, gfp_t gfp, unsigned int order)
{
	struct kmm_test *t = ctx;

	return kmm_vmap_unmap_aliases(t->vmap) > 0;
}

/* All frames that can be had. Returns how many. */
static unsigned long hog(struct kmm_test *t, struct page **page, unsigned long max)
{
	unsigned long nr = 0;

	while (nr < max && (page[nr] = kmm_buddy_alloc(&t->buddy, KMM_GRAB, 0)))
		nr++;
	return nr;
}

static void unhog(struct kmm_test *t, struct page **page, unsigned long nr)
{
	while (nr--)
		kmm_buddy_free(&t->buddy, page[nr], 0);
}

/* Frames are out but for those that wait: who needs one has them flushed. */
static void pressure_brings_lazy_frames_back(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_one);
	struct page **page = kunit_kcalloc(test, 1024, sizeof(*page), GFP_KERNEL);
	unsigned long nr, i, lazy, free;
	void *p[8], *q;

	KUNIT_ASSERT_NOT_NULL(test, page);
	t->buddy.relieve = relieve_by_purge;
	t->buddy.ctx = t;
	for (i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = get(test, PAGE_SIZE);
	nr = hog(t, page, 1024);
	/* what nobody but the reserve's users gets, and two more */
	for (i = 0; i < t->buddy.watermark[KMM_WMARK_MIN] + 2; i++)
		kmm_buddy_free(&t->buddy, page[--nr], 0);
	kmm_buddy_drain_all(&t->buddy);
	for (i = 0; i < ARRAY_SIZE(p); i++)
		put(test, p[i]);
	lazy = kmm_vmap_lazy_frames(t->vmap);
	KUNIT_ASSERT_GE(test, lazy, 2);
	kmm_buddy_drain_all(&t->buddy);
	free = kmm_test_free(t) - t->buddy.watermark[KMM_WMARK_MIN];
	q = get(test, (free + lazy) * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, kmm_vmap_lazy_frames(t->vmap), 0);
	put(test, q);
	unhog(t, page, nr);
	kmm_vmap_purge(t->vmap);
	t->buddy.relieve = NULL;
	kmm_test_end_vmap(test);
}

/* === What is not there === */

static void bad_frees_are_reported_and_refused(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	struct kmm_window *w = kmm_vmap_window(t->vmap);
	void *p = get(test, 3 * PAGE_SIZE), *gone = get(test, PAGE_SIZE), *big = get(test, SZ_2M);
	struct page *page[3];
	void *map, *ram;
	unsigned int i;
	u64 mark;

	for (i = 0; i < 3; i++)
		page[i] = kmm_vmap_page(t->vmap, p + i * PAGE_SIZE);
	map = kmm_vmap_map(t->vmap, page, 3, PAGE_KERNEL, NULL);
	ram = kmm_vmap_map_ram(t->vmap, page, 3);
	KUNIT_ASSERT_TRUE(test, map && ram);
	put(test, gone);

	kmm_report_forget();
	kmm_expect("BUG: KMM: bad vfree", 9);
	mark = kmm_log_mark();
	KUNIT_EXPECT_FALSE(test, kmm_vmap_free(t->vmap, gone));			/* twice */
	KUNIT_EXPECT_FALSE(test, kmm_vmap_free(t->vmap, p + PAGE_SIZE));	/* in the middle */
	KUNIT_EXPECT_FALSE(test, kmm_vmap_free(t->vmap, p + 8));		/* not a page */
	KUNIT_EXPECT_FALSE(test, kmm_vmap_free(t->vmap, p + 3 * PAGE_SIZE));	/* its guard */
	KUNIT_EXPECT_FALSE(test, kmm_vmap_free(t->vmap, big + SZ_1M));		/* in a leaf */
	KUNIT_EXPECT_FALSE(test, kmm_vmap_free(t->vmap, map));			/* of vmap */
	KUNIT_EXPECT_FALSE(test, kmm_vmap_free(t->vmap, ram));			/* of vm_map_ram */
	KUNIT_EXPECT_FALSE(test, kmm_vmap_free(t->vmap, page_address(page[0])));
	KUNIT_EXPECT_FALSE(test, kmm_vmap_free(t->vmap, (void *)w->base - PAGE_SIZE));
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KMM: bad vfree"), 9);
	KUNIT_EXPECT_EQ(test, event(t, KMM_VMAP_BAD_FREE), 9);

	kmm_report_forget();
	kmm_expect("BUG: KMM: bad vunmap", 2);
	kmm_expect("BUG: KMM: bad vm_unmap_ram", 4);
	mark = kmm_log_mark();
	KUNIT_EXPECT_FALSE(test, kmm_vmap_unmap(t->vmap, p));
	KUNIT_EXPECT_FALSE(test, kmm_vmap_unmap(t->vmap, map + PAGE_SIZE));
	kmm_vmap_unmap_ram(t->vmap, p, 3);
	kmm_vmap_unmap_ram(t->vmap, map, 3);
	kmm_vmap_unmap_ram(t->vmap, ram + 3 * PAGE_SIZE, 1);
	kmm_vmap_unmap_ram(t->vmap, NULL, 1);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KMM: bad vunmap"), 2);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KMM: bad vm_unmap_ram"), 4);
	KUNIT_EXPECT_EQ(test, event(t, KMM_VMAP_BAD_FREE), 15);

	/* nothing was taken from anybody */
	memset(p, 0x42, 3 * PAGE_SIZE);
	KUNIT_EXPECT_NULL(test, memchr_inv(map, 0x42, 3 * PAGE_SIZE));
	KUNIT_EXPECT_NULL(test, memchr_inv(ram, 0x42, 3 * PAGE_SIZE));
	memset(big, 0x43, SZ_2M);
	KUNIT_EXPECT_EQ(test, kmm_vmap_check(t->vmap), 0);
	KUNIT_EXPECT_TRUE(test, kmm_vmap_unmap(t->vmap, map));
	kmm_vmap_unmap_ram(t->vmap, ram, 3);
	put(test, p);
	put(test, big);
	kmm_test_end_vmap(test);
}

/* === Nothing left === */

static void frames_run_out_and_come_back(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	unsigned long nr = 0, frames = 0, used = kmm_test_used(t), last;
	void **p = kunit_kcalloc(test, 4096, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	for (last = SZ_2M; last >= PAGE_SIZE; last /= 8) {
		while (nr < 4096) {
			p[nr] = kmm_vmap_alloc(t->vmap, last, KMM_QUIET, PAGE_KERNEL, NULL);
			if (!p[nr])
				break;
			memset(p[nr++], 0x77, last);
			frames += last / PAGE_SIZE;
		}
		/* what could not be had left nothing behind */
		KUNIT_EXPECT_EQ(test, kmm_test_used(t), used + frames);
		KUNIT_EXPECT_EQ(test, kmm_vmap_nr_areas(t->vmap), nr);
	}
	KUNIT_EXPECT_GE(test, frames + t->buddy.watermark[KMM_WMARK_MIN] + 16, t->buddy.managed);
	while (nr)
		put(test, p[--nr]);
	kmm_vmap_purge(t->vmap);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), used);
	kmm_test_end_vmap(test);
}

static void addresses_run_out_and_come_back(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_one);
	struct kmm_window *w = kmm_vmap_window(t->vmap);
	unsigned long small = (w->huge_first - w->base) / PAGE_SIZE, nr, i, round;
	void **p = kunit_kcalloc(test, small, sizeof(*p), GFP_KERNEL);
	struct page **page = kunit_kcalloc(test, small, sizeof(*page), GFP_KERNEL);
	u64 no_space;
	void *all;

	KUNIT_ASSERT_TRUE(test, p && page);
	page[0] = kmm_test_alloc(test, KMM_QUIET, 0);
	for (i = 1; i < small; i++)
		page[i] = page[0];
	for (round = 0; round < 3; round++) {
		no_space = event(t, KMM_VMAP_NO_SPACE);
		for (nr = 0; nr < small; nr++) {
			p[nr] = kmm_vmap_map(t->vmap, page, 1 + nr % (round + 1), PAGE_KERNEL,
					     NULL);
			if (!p[nr])
				break;
		}
		/* all of it, a page and its guard each */
		if (!round)
			KUNIT_EXPECT_EQ(test, nr, small / 2);
		KUNIT_EXPECT_EQ(test, event(t, KMM_VMAP_NO_SPACE), no_space + 1);
		/* every other one is freed: as many can be had again, by a purge unasked for */
		for (i = 0; i < nr; i += 2)
			KUNIT_EXPECT_TRUE(test, kmm_vmap_unmap(t->vmap, p[i]));
		for (i = 0; i < nr; i += 2) {
			p[i] = kmm_vmap_map(t->vmap, page, 1, PAGE_KERNEL, NULL);
			KUNIT_ASSERT_NOT_NULL_MSG(test, p[i], "%lu", i);
		}
		for (i = 0; i < nr; i++)
			KUNIT_EXPECT_TRUE(test, kmm_vmap_unmap(t->vmap, p[i]));
	}
	/* scattered in pools and lazy lists, it still is one run */
	all = kmm_vmap_map(t->vmap, page, small - 1, PAGE_KERNEL, NULL);
	KUNIT_ASSERT_NOT_NULL(test, all);
	KUNIT_EXPECT_EQ(test, (unsigned long)all, w->base);
	KUNIT_EXPECT_TRUE(test, kmm_vmap_unmap(t->vmap, all));
	kmm_buddy_free(&t->buddy, page[0], 0);
	kmm_test_end_vmap(test);
}

static void every_failure_leaves_nothing_behind(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	unsigned int what, n, points = 0;
	struct page *page[4];
	unsigned long used;
	void *p;

	for (n = 0; n < ARRAY_SIZE(page); n++)
		page[n] = kmm_test_alloc(test, KMM_QUIET, 0);
	for (what = 0; what < 6; what++) {
		for (n = 1; n < 2000; n++) {
			bool fired;

			/* so that pools do not help */
			kmm_vmap_unmap_aliases(t->vmap);
			used = kmm_test_used(t);
			kmm_inject_arm(n);
			if (what < 4)
				p = kmm_vmap_alloc(t->vmap, PAGE_SIZE << (3 * what), KMM_QUIET,
						   PAGE_KERNEL, NULL);
			else if (what == 4)
				p = kmm_vmap_map(t->vmap, page, 4, PAGE_KERNEL, NULL);
			else
				p = kmm_vmap_map_ram(t->vmap, page, 4);
			fired = kmm_inject_disarm();
			points += fired;
			if (p && what < 4)
				put(test, p);
			else if (p && what == 4)
				KUNIT_EXPECT_TRUE(test, kmm_vmap_unmap(t->vmap, p));
			else if (p)
				kmm_vmap_unmap_ram(t->vmap, p, 4);
			kmm_vmap_unmap_aliases(t->vmap);
			KUNIT_EXPECT_EQ_MSG(test, kmm_test_used(t), used, "%u: failure %u", what,
					    n);
			KUNIT_EXPECT_EQ(test, kmm_vmap_nr_areas(t->vmap), 0);
			if (!fired) {
				KUNIT_EXPECT_NOT_NULL(test, p);
				break;
			}
			/* a block that cannot be had is had in smaller ones: else it is NULL */
			if (n == 1)
				KUNIT_EXPECT_NULL_MSG(test, p, "%u: failure %u", what, n);
		}
		KUNIT_EXPECT_LT(test, n, 2000);
		KUNIT_EXPECT_EQ(test, kmm_vmap_check(t->vmap), 0);
	}
	kunit_info(test, "%u failure points\n", points);
	KUNIT_EXPECT_GE(test, points, 10);
	for (n = 0; n < ARRAY_SIZE(page); n++)
		kmm_buddy_free(&t->buddy, page[n], 0);
	kmm_test_end_vmap(test);
}

static void every_failure_of_create_leaves_the_window_alone(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_reserved(test, &kmm_layout_one, SZ_8M >> PAGE_SHIFT);
	struct kmm_vmap *v = NULL;
	unsigned int n;

	for (n = 1; n < 100; n++) {
		kmm_inject_arm(n);
		v = kmm_vmap_create(&t->region, &t->buddy, &t->tables);
		if (!kmm_inject_disarm())
			break;
		KUNIT_ASSERT_EQ(test, PTR_ERR(v), -ENOMEM);
		/* the zero page is there again */
		KUNIT_EXPECT_FALSE(test, read_faults(t->region.window));
		KUNIT_EXPECT_FALSE(test, read_faults(t->region.window + SZ_8M - 8));
	}
	KUNIT_EXPECT_GE(test, n, 4);
	KUNIT_ASSERT_FALSE(test, IS_ERR(v));
	kunit_info(test, "%u failure points\n", n - 1);
	kmm_vmap_destroy(v);
	KUNIT_EXPECT_FALSE(test, read_faults(t->region.window));
	kmm_test_end_reserved(test);
}

/* A window that the host did not give is an error that can be lived with. */
static void without_a_window_there_is_none(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_tables(test, &kmm_layout_one);

	KUNIT_EXPECT_EQ(test, PTR_ERR(kmm_vmap_create(&t->region, &t->buddy, &t->tables)), -ENXIO);
	kmm_vmap_destroy(NULL);
	KUNIT_EXPECT_EQ(test, kmm_vmap_lazy_frames(NULL), 0);
	kmm_test_end_tables(test);
}

/* Windows of any size and place: less than a table, not one whole 2 MiB, odd ends. */
static void windows_of_every_size_work(struct kunit *test)
{
	static const unsigned int pages[] = { 1, 2, 7, 511, 512, 700, 1024, 1537, 4099 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		struct kmm_test *t = kmm_test_begin_reserved(test, &kmm_layout_one, pages[i]);
		void *p;

		t->vmap = kmm_vmap_create(&t->region, &t->buddy, &t->tables);
		KUNIT_ASSERT_FALSE(test, IS_ERR(t->vmap));
		p = kmm_vmap_alloc(t->vmap, PAGE_SIZE, KMM_QUIET, PAGE_KERNEL, NULL);
		KUNIT_EXPECT_EQ_MSG(test, !p, pages[i] < 2, "%u pages", pages[i]);
		if (p) {
			memset(p, 1, PAGE_SIZE);
			KUNIT_EXPECT_TRUE(test, read_faults(p + PAGE_SIZE));
			put(test, p);
		}
		p = kmm_vmap_alloc(t->vmap, pages[i] * PAGE_SIZE, KMM_QUIET, PAGE_KERNEL, NULL);
		KUNIT_EXPECT_NULL(test, p);
		kmm_test_end_vmap(test);
	}
}

/* === Contexts and views === */

struct irq_free {
	struct kmm_vmap *v;
	void *p;
	bool ok;
};

static void free_in_context(void *arg)
{
	struct irq_free *f = arg;

	f->ok = kmm_vmap_free(f->v, f->p);
}

static void vfree_works_in_any_context(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	unsigned long max = kmm_test_frames(t) / 16, used = kmm_test_used(t);
	enum kmm_context c;
	unsigned int i;
	u64 purges;

	for (c = 0; c < KMM_NR_CONTEXTS; c++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			struct irq_free f = { .v = t->vmap, .p = get(test, sizes[i]) };

			memset(f.p, 0x77, sizes[i]);
			kmm_run_in(c, free_in_context, &f);
			KUNIT_EXPECT_TRUE_MSG(test, f.ok, "%s", kmm_context_names[c]);
			KUNIT_EXPECT_NULL(test, kmm_vmap_page(t->vmap, f.p));
		}
		kmm_vmap_purge(t->vmap);
		KUNIT_EXPECT_EQ(test, kmm_test_used(t), used);
	}
	/* a purge that is due in an interrupt is done by somebody who may sleep */
	purges = event(t, KMM_VMAP_PURGE);
	for (i = 0; i < 40; i++) {
		struct irq_free f = { .v = t->vmap, .p = get(test, 30 * PAGE_SIZE) };

		kmm_run_in(KMM_HARDIRQ, free_in_context, &f);
	}
	for (i = 0; i < 500 && (kmm_vmap_lazy_frames(t->vmap) > max ||
				event(t, KMM_VMAP_PURGE) <= purges); i++)
		msleep(20);
	KUNIT_EXPECT_LE(test, kmm_vmap_lazy_frames(t->vmap), max);
	KUNIT_EXPECT_GT(test, event(t, KMM_VMAP_PURGE), purges);
	/* another may still be giving addresses back: this waits for it */
	kmm_vmap_purge(t->vmap);
	kmm_test_end_vmap(test);
}

struct seen {
	unsigned int nr;
	unsigned long last;
	unsigned long bad;
	struct kmm_vmap_info info[8];
};

static int see(void *ctx, const struct kmm_vmap_info *info)
{
	struct seen *s = ctx;

	s->bad += info->start < s->last || info->end <= info->start;
	s->last = info->end;
	if (s->nr < ARRAY_SIZE(s->info))
		s->info[s->nr] = *info;
	s->nr++;
	return 0;
}

static void areas_are_listed_by_address(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	struct seen *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	struct page *page[2];
	void *p, *ro, *big, *map;
	unsigned int i, found = 0;

	KUNIT_ASSERT_NOT_NULL(test, s);
	p = kmm_vmap_alloc(t->vmap, 3 * PAGE_SIZE, KMM_QUIET, PAGE_KERNEL, find_info);
	ro = kmm_vmap_alloc(t->vmap, PAGE_SIZE, KMM_QUIET, PAGE_KERNEL_ROX, see);
	big = get(test, SZ_2M);
	KUNIT_ASSERT_TRUE(test, p && ro);
	page[0] = kmm_vmap_page(t->vmap, p);
	page[1] = kmm_vmap_page(t->vmap, p + PAGE_SIZE);
	map = kmm_vmap_map(t->vmap, page, 2, PAGE_KERNEL_RO, NULL);
	KUNIT_ASSERT_NOT_NULL(test, map);
	KUNIT_EXPECT_EQ(test, kmm_vmap_for_each(t->vmap, see, s), 0);
	KUNIT_EXPECT_EQ(test, s->bad, 0);
	KUNIT_EXPECT_EQ(test, s->nr, 4);
	KUNIT_EXPECT_EQ(test, kmm_vmap_nr_areas(t->vmap), 4);
	for (i = 0; i < 4; i++) {
		const struct kmm_vmap_info *n = &s->info[i];

		if (n->start == (unsigned long)p) {
			KUNIT_EXPECT_EQ(test, n->kind, KMM_VMAP_VMALLOC);
			KUNIT_EXPECT_EQ(test, n->nr_pages, 3);
			KUNIT_EXPECT_EQ(test, n->end, n->start + 4 * PAGE_SIZE);
			KUNIT_EXPECT_EQ(test, n->prot, KMM_PROT_READ | KMM_PROT_WRITE);
			KUNIT_EXPECT_PTR_EQ(test, n->caller, (void *)find_info);
			found |= 1;
		} else if (n->start == (unsigned long)ro) {
			KUNIT_EXPECT_EQ(test, n->prot, KMM_PROT_READ | KMM_PROT_EXEC);
			KUNIT_EXPECT_PTR_EQ(test, n->caller, (void *)see);
			found |= 2;
		} else if (n->start == (unsigned long)big) {
			KUNIT_EXPECT_EQ(test, n->nr_pages, 512);
			KUNIT_EXPECT_EQ(test, n->nr_huge, 512);
			found |= 4;
		} else if (n->start == (unsigned long)map) {
			KUNIT_EXPECT_EQ(test, n->kind, KMM_VMAP_VMAP);
			KUNIT_EXPECT_EQ(test, n->nr_pages, 2);
			KUNIT_EXPECT_EQ(test, n->prot, KMM_PROT_READ);
			found |= 8;
		}
	}
	KUNIT_EXPECT_EQ(test, found, 15);
	put(test, big);		/* many frames: a purge */
	KUNIT_EXPECT_TRUE(test, kmm_vmap_unmap(t->vmap, map));
	put(test, p);
	put(test, ro);
	/* what waits for its flush is listed as such */
	memset(s, 0, sizeof(*s));
	kmm_vmap_for_each(t->vmap, see, s);
	KUNIT_EXPECT_GE(test, s->nr, 1);
	for (i = 0; i < min(s->nr, 4U); i++)
		KUNIT_EXPECT_EQ(test, s->info[i].kind, KMM_VMAP_LAZY);
	KUNIT_EXPECT_EQ(test, kmm_vmap_nr_areas(t->vmap), 0);
	kmm_test_end_vmap(test);
}

static void allocations_are_counted(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 0);
	unsigned int i;
	void *p;

	for (i = 0; i < 10; i++) {
		put(test, get(test, PAGE_SIZE));
		put(test, get(test, SZ_1M));
		p = kmm_vmap_map(t->vmap, &page, 1, PAGE_KERNEL, NULL);
		KUNIT_EXPECT_TRUE(test, kmm_vmap_unmap(t->vmap, p));
		kmm_vmap_purge(t->vmap);
	}
	KUNIT_EXPECT_EQ(test, event(t, KMM_VMAP_ALLOC), 30);
	KUNIT_EXPECT_EQ(test, event(t, KMM_VMAP_FREE), 30);
	KUNIT_EXPECT_GT(test, event(t, KMM_VMAP_POOL_HIT), 10);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_test_end_vmap(test);
}

/* === Client functions, on the module's own instance === */

static void client_functions_keep_linuxs_contract(struct kunit *test)
{
	struct page *host = alloc_page(GFP_KERNEL | __GFP_ZERO), *page[2];
	u8 *p;

	KUNIT_ASSERT_NOT_NULL(test, host);
	p = kmm_vmalloc(3 * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	memset(p, 0x5a, 3 * PAGE_SIZE);
	page[0] = kmm_vmalloc_to_page(p + PAGE_SIZE);
	/* the host sees our window as it sees its own */
	KUNIT_EXPECT_PTR_EQ(test, page[0], vmalloc_to_page(p + PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, is_vmalloc_addr(p));
	kmm_vfree(p);
	kmm_vfree(NULL);
	p = kmm_vzalloc(SZ_64K);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_NULL(test, memchr_inv(p, 0, SZ_64K));
	kmm_vfree(p);
	KUNIT_EXPECT_NULL(test, kmm_vmalloc(0));
	KUNIT_EXPECT_NULL(test, __kmm_vmalloc(~0UL, KMM_QUIET));

	/* pages of the host, too */
	page[0] = host;
	page[1] = host;
	p = kmm_vmap(page, 2, VM_MAP, PAGE_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	/* one page at two addresses: the compiler must not know better */
	WRITE_ONCE(p[PAGE_SIZE + 5], 7);
	KUNIT_EXPECT_EQ(test, READ_ONCE(p[5]), 7);
	kmm_vunmap(p);
	kmm_vunmap(NULL);
	KUNIT_EXPECT_NULL(test, kmm_vmap(page, 2, VM_MAP_PUT_PAGES, PAGE_KERNEL));
	p = kmm_vm_map_ram(page, 2, NUMA_NO_NODE);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_EQ(test, p[PAGE_SIZE + 5], 7);
	kmm_vm_unmap_ram(p, 2);
	kmm_vm_unmap_aliases();
	KUNIT_EXPECT_EQ(test, page_count(host), 1);
	__free_page(host);
}

static struct kunit_case vmap_cases[] = {
	KUNIT_CASE(every_size_is_memory_with_a_guard_behind),
	KUNIT_CASE(areas_do_not_touch),
	KUNIT_CASE(zeroed_memory_is_zero),
	KUNIT_CASE(rights_are_those_asked_for),
	KUNIT_CASE(sizes_that_cannot_be_are_refused),
	KUNIT_CASE(large_areas_have_huge_leaves),
	KUNIT_CASE(large_areas_do_without_huge_leaves),
	KUNIT_CASE(pages_are_shown_in_order),
	KUNIT_CASE(blocks_of_vm_map_ram_are_used_up_first),
	KUNIT_CASE(lazy_frames_are_few_and_all_come_back),
	KUNIT_CASE(freed_addresses_wait_for_the_flush),
	KUNIT_CASE(pressure_brings_lazy_frames_back),
	KUNIT_CASE(bad_frees_are_reported_and_refused),
	KUNIT_CASE(frames_run_out_and_come_back),
	KUNIT_CASE(addresses_run_out_and_come_back),
	KUNIT_CASE(every_failure_leaves_nothing_behind),
	KUNIT_CASE(every_failure_of_create_leaves_the_window_alone),
	KUNIT_CASE(without_a_window_there_is_none),
	KUNIT_CASE(windows_of_every_size_work),
	KUNIT_CASE(vfree_works_in_any_context),
	KUNIT_CASE(areas_are_listed_by_address),
	KUNIT_CASE(allocations_are_counted),
	KUNIT_CASE(client_functions_keep_linuxs_contract),
	{}
};

struct kunit_suite kmm_vmap_suite = {
	.name = "kmm_vmap",
	.exit = kmm_test_exit,
	.test_cases = vmap_cases,
};
