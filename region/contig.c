// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Provider contig
 *
 * For kernels without CMA, as Debian's: the host's alloc_contig_range() moves what can be
 * moved out of a range of page frames and gives the range. kmm walks the zones, high ones
 * first and each from its end downwards, in steps of a granule, and asks for each range that
 * looks possible: online, in one zone, no reserved and no hugetlb page. -EBUSY means that
 * something there cannot move; the next range is tried. Downwards, because low memory is
 * what drivers with short addresses need, and because under QEMU clearing the memory in which
 * the kernel's boot code ran, at the low end, can take a minute (0.2 s a page, measured).
 *
 * The DMA zone is left alone, the host's drivers need it; so is the movable zone, which the
 * host must be able to empty (memory that is taken out, hugetlb), and kmm does not migrate.
 *
 * Extents: one, aligned to 4 MiB, contents undefined, reference count 1 on every page.
 *
 * It deliberately does not ask for ranges that overlap others that failed in finer steps:
 * the walk takes 0.5 s for 64 MiB on a loaded machine of 1 GiB as it is.
 */

#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/sched/signal.h>

#include <compat/compat.h>
#include <kmm/inject.h>
#include <kmm/region.h>

static bool kmm_contig_range_possible(const struct zone *zone, unsigned long start,
				      unsigned long nr)
{
	unsigned long pfn;

	for (pfn = start; pfn < start + nr; pfn++) {
		struct page *page = pfn_to_online_page(pfn);

		if (!page || page_zone(page) != zone || PageReserved(page) || PageHuge(page))
			return false;
	}
	return true;
}

/* Return: first pfn of a range that is ours now; 0 when the zone has none. */
static unsigned long kmm_contig_scan_zone(const struct zone *zone, unsigned long nr)
{
	unsigned long first = ALIGN(zone->zone_start_pfn, KMM_GRANULE_FRAMES);
	unsigned long end = zone_end_pfn(zone);
	unsigned long start;

	/* start < end: it does not wrap below a zone that is smaller than nr. */
	for (start = ALIGN_DOWN(end - nr, KMM_GRANULE_FRAMES); start >= first && start < end;
	     start -= KMM_GRANULE_FRAMES) {
		cond_resched();
		if (fatal_signal_pending(current))
			return 0;
		if (kmm_contig_range_possible(zone, start, nr) &&
		    !kmm_host_alloc_contig_range(start, start + nr, GFP_KERNEL | __GFP_NOWARN))
			return start;
	}
	return 0;
}

static int kmm_contig_acquire(struct kmm_region *r, unsigned long nr_pages)
{
	unsigned long start;
	int nid, z, err;

	for_each_online_node(nid) {
		for (z = MAX_NR_ZONES - 1; z >= 0; z--) {
			struct zone *zone = &NODE_DATA(nid)->node_zones[z];

			if (!zone->present_pages || z == ZONE_MOVABLE || !strcmp(zone->name, "DMA"))
				continue;
			start = kmm_should_fail() ? 0 : kmm_contig_scan_zone(zone, nr_pages);
			if (!start)
				continue;
			err = kmm_region_add_extent(r, start, nr_pages, 0);
			if (err)
				free_contig_range(start, nr_pages);
			return err;
		}
	}
	kmm_region_explain(r, "contig: no movable range of %lu MiB in any zone", nr_pages >> 8);
	return -ENOMEM;
}

static void kmm_contig_release(struct kmm_region *r, struct kmm_extent *e)
{
	free_contig_range(e->start_pfn, e->nr_pages);
}

const struct kmm_region_ops kmm_region_contig = {
	.name = "contig",
	.acquire = kmm_contig_acquire,
	.release = kmm_contig_release,
};
