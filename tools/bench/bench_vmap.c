// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: kmm_bench.ko, rows of vmalloc and of page tables
 *
 * Both sides put work off: what is freed keeps its addresses, and the other CPUs what they know of
 * them, until many areas are flushed at once. The fastest round would be one in which nothing was
 * flushed, so these rows are means over many purges of both sides; the host's purge runs in a
 * worker, whose time between the rounds is counted.
 *
 *   vmalloc_*_pair	vmalloc() and vfree() of one size; 4m_huge is the host's vmalloc_huge(),
 *   which
 *			maps 2 MiB leaves as kmm_vmalloc() does by itself
 *   vm_map_ram_4_pair	map four pages, unmap them
 *   vmalloc_10k_live	10,000 areas of one page live; one of them, by chance, is freed and another
 *			is allocated
 *   pt_map_1g_huge	1 GiB of address space mapped by 512 leaves of 2 MiB into a fresh tree, all
 *   of one
 *			2 MiB block. The host has no such function for a module: kmm's cost alone
 *
 * Locks: none of its own; bench_lock of bench_main.c is held by whoever calls.
 */

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include <compat/compat.h>
#include <kmm/buddy.h>
#include <kmm/kmm.h>
#include <kmm/pgtable.h>
#include <kmm/region.h>

#include "bench.h"

/* === vmalloc and vfree === */

/* Something that is not NULL and that the compiler knows nothing about. */
static __always_inline void *none_vmalloc(unsigned long size)
{
	void *p = &bench_gfp;

	OPTIMIZER_HIDE_VAR(p);
	return p;
}

static __always_inline void none_vfree(const void *p)
{
	OPTIMIZER_HIDE_VAR(p);
}

/* GFP_KERNEL as vmalloc(), zeroed where the host zeroes by itself. */
static __always_inline void *host_vmalloc(unsigned long size)
{
	return vmalloc(size);
}

static __always_inline void *kmm_side_vmalloc(unsigned long size)
{
	return bench_gfp & __GFP_ZERO ? kmm_vzalloc(size) : kmm_vmalloc(size);
}

static __always_inline void *host_vmalloc_huge(unsigned long size)
{
	return vmalloc_huge(size, GFP_KERNEL);
}

typedef void *(*bench_vmalloc_fn)(unsigned long size);
typedef void (*bench_vfree_fn)(const void *p);

static __always_inline bool vmalloc_pair(bench_vmalloc_fn alloc, bench_vfree_fn free,
					 unsigned int calls, unsigned long size)
{
	while (calls--) {
		void *p = alloc(size);

		if (unlikely(!p))
			return false;
		free(p);
	}
	return true;
}

#define BENCH_VMALLOC(name, host, bytes)						\
enum { name##_bytes = (bytes) };							\
static noinline bool name##_none(unsigned int n)					\
{											\
	return vmalloc_pair(none_vmalloc, none_vfree, n, name##_bytes);				\
}											\
static noinline bool name##_host(unsigned int n)					\
{											\
	return vmalloc_pair(host, vfree, n, name##_bytes);					\
}											\
static noinline bool name##_kmm(unsigned int n)						\
{											\
	return vmalloc_pair(kmm_side_vmalloc, kmm_vfree, n, name##_bytes);			\
}

BENCH_VMALLOC(vmalloc_4k_pair, host_vmalloc, SZ_4K)
BENCH_VMALLOC(vmalloc_64k_pair, host_vmalloc, SZ_64K)
BENCH_VMALLOC(vmalloc_4m_pair, host_vmalloc, SZ_4M)
BENCH_VMALLOC(vmalloc_4m_huge_pair, host_vmalloc_huge, SZ_4M)

/* === Many areas === */

#define BENCH_AREAS	10000

static void **bench_areas;	/* of the side that is measured */
static u32 bench_random;

static void live_finish(enum bench_side side)
{
	unsigned int i;

	for (i = 0; bench_areas && i < BENCH_AREAS; i++) {
		if (side == BENCH_HOST)
			vfree(bench_areas[i]);
		else if (side == BENCH_KMM)
			kmm_vfree(bench_areas[i]);
	}
	kvfree(bench_areas);
	bench_areas = NULL;
}

static bool live_prepare(enum bench_side side)
{
	unsigned int i;

	bench_areas = kvcalloc(BENCH_AREAS, sizeof(*bench_areas), GFP_KERNEL);
	if (!bench_areas)
		return false;
	bench_random = 1;
	for (i = 0; i < BENCH_AREAS; i++) {
		bench_areas[i] = side == BENCH_HOST ? host_vmalloc(PAGE_SIZE) :
				 side == BENCH_KMM ? kmm_side_vmalloc(PAGE_SIZE) :
				 none_vmalloc(PAGE_SIZE);
		if (!bench_areas[i])
			return false;
	}
	return true;
}

static __always_inline bool live_churn(bench_vmalloc_fn alloc, bench_vfree_fn free,
				       unsigned int calls)
{
	while (calls--) {
		void **slot;

		bench_random = bench_random * 1664525 + 1013904223;
		slot = &bench_areas[(bench_random >> 8) % BENCH_AREAS];
		free(*slot);
		*slot = alloc(PAGE_SIZE);
		if (unlikely(!*slot))
			return false;
	}
	return true;
}

static noinline bool vmalloc_10k_live_none(unsigned int n)
{
	return live_churn(none_vmalloc, none_vfree, n);
}

static noinline bool vmalloc_10k_live_host(unsigned int n)
{
	return live_churn(host_vmalloc, vfree, n);
}

static noinline bool vmalloc_10k_live_kmm(unsigned int n)
{
	return live_churn(kmm_side_vmalloc, kmm_vfree, n);
}

/* === vm_map_ram === */

#define BENCH_RAM_PAGES	4

/* By side: kmm maps frames of the region, the host its own. */
static struct page *bench_ram_pages[BENCH_NR_SIDES][BENCH_RAM_PAGES];	/* immutable after init */

static noinline bool vm_map_ram_4_pair_none(unsigned int n)
{
	return vmalloc_pair(none_vmalloc, none_vfree, n, 0);
}

static noinline bool vm_map_ram_4_pair_host(unsigned int n)
{
	while (n--) {
		void *p = vm_map_ram(bench_ram_pages[BENCH_HOST], BENCH_RAM_PAGES, NUMA_NO_NODE);

		if (unlikely(!p))
			return false;
		vm_unmap_ram(p, BENCH_RAM_PAGES);
	}
	return true;
}

static noinline bool vm_map_ram_4_pair_kmm(unsigned int n)
{
	while (n--) {
		void *p = kmm_vm_map_ram(bench_ram_pages[BENCH_KMM], BENCH_RAM_PAGES, NUMA_NO_NODE);

		if (unlikely(!p))
			return false;
		kmm_vm_unmap_ram(p, BENCH_RAM_PAGES);
	}
	return true;
}

/* === A tree of our own === */

/* Room for one block of 2 MiB, whatever alignment the host gives, and for tables. */
#define BENCH_TREE_FRAMES	(SZ_8M >> PAGE_SHIFT)
/* Anywhere in the user half, aligned to 1 GiB. */
#define BENCH_TREE_ADDR		0x40000000UL
#define BENCH_TREE_LEAVES	(SZ_1G / SZ_2M)

/**
 * struct bench_tree - an instance for page tables alone
 * @region: from order-10 blocks of the host
 * @buddy: on it
 * @set: of trees
 * @pt: the tree
 * @block: 2 MiB that all leaves map
 * @state: how far it is built, for bench_tree_finish()
 */
static struct bench_tree {
	struct kmm_region region;
	struct kmm_buddy buddy;
	struct kmm_pgtables set;
	struct kmm_pgtable pt;
	struct page *block;
	unsigned int state;
} bench_tree;

static void tree_finish(enum bench_side side)
{
	struct bench_tree *t = &bench_tree;

	switch (t->state) {
	case 5:
		kmm_pgtable_destroy(&t->pt);
		fallthrough;
	case 4:
		kmm_buddy_free(&t->buddy, t->block, KMM_PAGEBLOCK_ORDER);
		fallthrough;
	case 3:
		kmm_pgtables_fini(&t->set);
		fallthrough;
	case 2:
		kmm_buddy_fini(&t->buddy);
		fallthrough;
	case 1:
		kmm_region_fini(&t->region);
	}
	memset(t, 0, sizeof(*t));
}

static bool tree_prepare(enum bench_side side)
{
	struct bench_tree *t = &bench_tree;

	if (side != BENCH_KMM)
		return true;
	if (kmm_region_init(&t->region, "chunks", BENCH_TREE_FRAMES))
		return false;
	t->state = 1;
	if (kmm_buddy_init(&t->buddy, &t->region))
		return false;
	t->state = 2;
	kmm_pgtables_init(&t->set, &t->buddy);
	t->state = 3;
	t->block = kmm_buddy_alloc(&t->buddy, GFP_KERNEL, KMM_PAGEBLOCK_ORDER);
	if (!t->block)
		return false;
	t->state = 4;
	if (kmm_pgtable_create(&t->pt, &t->set, NULL))
		return false;
	t->state = 5;
	return true;
}

static noinline bool pt_map_1g_huge_none(unsigned int n)
{
	while (n--)
		OPTIMIZER_HIDE_VAR(n);
	return true;
}

/* The tree is empty again at the end of a round; the time of that is part of the row. */
static noinline bool pt_map_1g_huge_kmm(unsigned int n)
{
	struct bench_tree *t = &bench_tree;
	unsigned long i;

	while (n--) {
		struct kmm_pt_gather g;

		for (i = 0; i < BENCH_TREE_LEAVES; i++)
			if (kmm_pt_map_huge(&t->pt, BENCH_TREE_ADDR + i * PMD_SIZE, t->block,
					    PAGE_SHARED))
				return false;
		kmm_pt_gather_init(&g, &t->pt, NULL, NULL);
		kmm_pt_zap(&g, BENCH_TREE_ADDR, BENCH_TREE_ADDR + SZ_1G);
		kmm_pt_prune(&g, BENCH_TREE_ADDR, BENCH_TREE_ADDR + SZ_1G);
		kmm_pt_gather_finish(&g);
	}
	return true;
}

/* === Interface === */

const struct bench_row bench_vmap_rows[] = {
	BENCH_ROW(vmalloc_4k_pair, 1, 2000, .mean = true),
	BENCH_ROW(vmalloc_64k_pair, 1, 500, .mean = true),
	BENCH_ROW(vmalloc_4m_pair, 1, 10, .mean = true),
	BENCH_ROW(vmalloc_4m_huge_pair, 1, 10, .mean = true),
	BENCH_ROW(vm_map_ram_4_pair, 1, 2000, .mean = true),
	BENCH_ROW(vmalloc_10k_live, 1, 2000, .mean = true, .prepare = live_prepare,
		  .finish = live_finish),
	{
		.name = "pt_map_1g_huge", .ops = BENCH_TREE_LEAVES, .calls = 1, .mean = true,
		.prepare = tree_prepare, .finish = tree_finish,
		.run = { pt_map_1g_huge_none, NULL, pt_map_1g_huge_kmm },
	},
};

const unsigned int bench_nr_vmap_rows = ARRAY_SIZE(bench_vmap_rows);

/* Pages for vm_map_ram. */
int bench_vmap_init(void)
{
	unsigned int i;

	for (i = 0; i < BENCH_RAM_PAGES; i++) {
		bench_ram_pages[BENCH_HOST][i] = alloc_page(GFP_KERNEL);
		bench_ram_pages[BENCH_KMM][i] = kmm_alloc_page(GFP_KERNEL);
		if (!bench_ram_pages[BENCH_HOST][i] || !bench_ram_pages[BENCH_KMM][i]) {
			bench_vmap_exit();
			return -ENOMEM;
		}
	}
	return 0;
}

void bench_vmap_exit(void)
{
	unsigned int i;

	for (i = 0; i < BENCH_RAM_PAGES; i++) {
		if (bench_ram_pages[BENCH_HOST][i])
			__free_page(bench_ram_pages[BENCH_HOST][i]);
		if (bench_ram_pages[BENCH_KMM][i])
			__kmm_free_page(bench_ram_pages[BENCH_KMM][i]);
		bench_ram_pages[BENCH_HOST][i] = NULL;
		bench_ram_pages[BENCH_KMM][i] = NULL;
	}
}
