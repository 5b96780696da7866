// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Begin and end of a buddy
 *
 * An instance is the caller's memory: one serves the module, each test has its own. Its life:
 *
 *	zeroed		the caller sets the callbacks that it wants
 *	kmm_buddy_init	takes over what the early allocator left of a region. From then on nothing
 *			is taken from the region but through the instance
 *	in use		any context
 *	kmm_buddy_fini	all blocks are back; the region may be given up
 *
 * Taking over. The frames that the early allocator gave out are METADATA and stay so. All others
 * become free blocks, as large as they can be between them, movable. The holes of the region
 * (granules that the host did not give) are no frames: extent by extent, granule by granule. What
 * was in the frames is wiped if that is wanted (init_on_free), for it is the host's.
 *
 * Sizes are derived: how many blocks a CPU's cache may hold, and the watermarks, from the number of
 * frames and of CPUs. The caches' arrays are one allocation per CPU on its own node, made for every
 * possible CPU, so that a CPU that comes later finds its cache; they are charged to whoever loads
 * the module.
 *
 * CPU hotplug. A CPU that goes offline leaves its cache to the free lists. There is one state for
 * the module (kmm_buddy_setup()), which each instance joins last, when nothing can fail any more,
 * and leaves first.
 *
 * Locks: none, nobody else knows the instance yet or any more; a drain takes its own.
 *
 * It deliberately does not: grow or shrink an instance, or wait at the end for frames that are
 * still in quarantine: kmm_buddy_fini() looks once.
 */

#include <linux/cpu.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <compat/compat.h>
#include <kmm/inject.h>

#include "internal.h"

/* kmm_buddy_setup() sets it, before there is an instance. */
static enum cpuhp_state kmm_cpuhp_state;

/* A CPU went offline: its cache has no user any more. */
static int kmm_buddy_cpu_dead(unsigned int cpu, struct hlist_node *node)
{
	kmm_buddy_drain_cpu(hlist_entry(node, struct kmm_buddy, cpuhp), cpu);
	return 0;
}

/**
 * kmm_buddy_setup() - Once per module: before the first kmm_buddy_init().
 *
 * Context: may sleep. Return: 0 or a negative errno.
 */
int kmm_buddy_setup(void)
{
	int state = kmm_should_fail() ? -ENOMEM :
		    cpuhp_setup_state_multi(CPUHP_BP_PREPARE_DYN, "mm/kmm:dead", NULL,
					    kmm_buddy_cpu_dead);

	if (state < 0)
		return state;
	kmm_cpuhp_state = state;
	return 0;
}

/**
 * kmm_buddy_teardown() - Undo kmm_buddy_setup(), after the last kmm_buddy_fini().
 */
void kmm_buddy_teardown(void)
{
	cpuhp_remove_multi_state(kmm_cpuhp_state);
}

/*
 * How many blocks a CPU may keep. Of order 0 as many as 1/64 of the region shared by all
 * CPUs (512 at most: a burst of 256 then never needs the lock), of the others about half of
 * that in frames, of 2 MiB one to eight. There are three types, so caches that are all full
 * hold about a third of a region of 64 MiB; a request that finds nothing empties them.
 */
static void kmm_buddy_size_pcp(struct kmm_buddy *b)
{
	unsigned long share = b->region->nr_frames / 64 / num_possible_cpus();
	unsigned long high = clamp(share, 8UL, 512UL);
	unsigned int i;

	b->pcp_high[0] = high;
	for (i = 1; i < KMM_PCP_LOW_ORDERS; i++)
		b->pcp_high[i] = max(high >> (i + 1), 2UL);
	b->pcp_high[KMM_PCP_LOW_ORDERS] =
		clamp(share >> (KMM_PCP_HUGE_ORDER - 2),
		      (unsigned long)(b->region->nr_frames >= SZ_16M >> PAGE_SHIFT), 8UL);
	/* A block with guards is cut anew each time. */
	memset(b->pcp_high, 0, min_t(unsigned int, b->guard_minorder, KMM_PCP_LOW_ORDERS) *
	       sizeof(*b->pcp_high));
}

static void kmm_buddy_free_pcps(struct kmm_buddy *b)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		kvfree(per_cpu_ptr(b->pcp, cpu)->list[0].base);
	free_percpu(b->pcp);
}

static int kmm_buddy_init_pcps(struct kmm_buddy *b)
{
	unsigned int cpu, i, nr = 0;

	for (i = 0; i < KMM_PCP_NR_ORDERS; i++)
		nr += b->pcp_high[i] * KMM_NR_MIGRATETYPES;
	if (kmm_should_fail())
		return -ENOMEM;
	b->pcp = alloc_percpu_gfp(struct kmm_pcp, GFP_KERNEL_ACCOUNT);
	if (!b->pcp)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		struct kmm_pcp *pcp = per_cpu_ptr(b->pcp, cpu);
		struct kmm_pcp_entry *e = NULL;

		spin_lock_init(&pcp->lock);
		if (!kmm_should_fail())
			e = kvzalloc_node(array_size(nr, sizeof(*e)), GFP_KERNEL_ACCOUNT,
					  cpu_to_node(cpu));
		if (!e) {
			kmm_buddy_free_pcps(b);
			return -ENOMEM;
		}
		for (i = 0; i < KMM_PCP_NR_LISTS; i++) {
			struct kmm_pcp_list *l = &pcp->list[i];

			l->base = e;
			l->top = e;
			if (i % KMM_PCP_TYPES < KMM_NR_MIGRATETYPES)
				e += b->pcp_high[i / KMM_PCP_TYPES];
			l->limit = e;
			l->batch = max(kmm_pcp_list_high(l) / 8, 1UL);
		}
	}
	return 0;
}

/* The reserve grows with the square root of the memory, as Linux's min_free_kbytes. */
static void kmm_buddy_init_watermarks(struct kmm_buddy *b)
{
	unsigned long min = int_sqrt(b->managed * 16 << (PAGE_SHIFT - 10)) >> (PAGE_SHIFT - 10);

	b->watermark[KMM_WMARK_MIN] = min;
	b->watermark[KMM_WMARK_LOW] = min + min / 4;
	b->watermark[KMM_WMARK_HIGH] = min + min / 2;
}

/**
 * kmm_buddy_init() - Take over what the early allocator left of a region.
 * @b: buddy instance, zeroed; its callbacks may be set
 * @r: region; its early allocator is closed
 *
 * Context: may sleep. Return: 0 or -ENOMEM.
 */
int kmm_buddy_init(struct kmm_buddy *b, struct kmm_region *r)
{
	unsigned int order, mt, i;
	int err;

	b->region = r;
	spin_lock_init(&b->stop);
	spin_lock_init(&b->lock);
	b->quarantine = KMM_LIST_END;
	for (order = 0; order < KMM_NR_ORDERS; order++)
		for (mt = 0; mt < KMM_NR_MIGRATETYPES; mt++)
			b->free[order][mt].first = KMM_LIST_END;
	kmm_buddy_size_pcp(b);
	err = kmm_buddy_init_pcps(b);
	if (err)
		return err;

	/* As in Linux, memory is movable until somebody wants it otherwise. */
	memset(r->pageblock_mt, KMM_MOVABLE, r->nr_index >> KMM_PAGEBLOCK_ORDER);
	kmm_region_early_close(r);
	for (i = 0; i < r->nr_extents; i++) {
		unsigned long pfn = r->extents[i].start_pfn;
		unsigned long end = pfn + r->extents[i].nr_pages;

		while (pfn < end) {
			struct kmm_frame *f = kmm_region_frame(r, pfn);
			unsigned long next = min(end, ALIGN(pfn + 1, KMM_GRANULE_FRAMES));
			u32 index = kmm_region_index(r, f), behind = index + (next - pfn), j;

			if (kmm_frame_state(f) == KMM_FRAME_METADATA) {
				pfn++;
				continue;
			}
			for (j = index; j < behind; j++) {
				r->frames[j].tag = KMM_FRAME_TAG(KMM_FRAME_TAIL, 0);
				kmm_page_is_idle(b, pfn_to_page(pfn + (j - index)), 0);
			}
			kmm_list_add_rest(b, index, behind, KMM_MOVABLE);
			pfn = next;
		}
	}
	b->managed = b->nr_free;
	kmm_buddy_init_watermarks(b);
	cpuhp_state_add_instance_nocalls(kmm_cpuhp_state, &b->cpuhp);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_buddy_init);

/**
 * kmm_buddy_fini() - The end of an instance; all blocks are back, but for quarantined ones.
 * @b: buddy instance
 *
 * Context: may sleep.
 */
void kmm_buddy_fini(struct kmm_buddy *b)
{
	cpuhp_state_remove_instance_nocalls(kmm_cpuhp_state, &b->cpuhp);
	kmm_buddy_recheck_quarantine(b);
	kmm_buddy_free_pcps(b);
	b->pcp = NULL;
}
KMM_EXPORT_INTERNAL(kmm_buddy_fini);
