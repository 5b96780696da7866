// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: No free frame in the kernel window
 *
 * The kernel's debug_pagealloc takes free pages out of the direct map: who uses a page after its
 * free gets a fault at once instead of somebody else's data later. The direct map is the host's
 * and a module cannot take anything out of it, but the kernel window is kmm's own. So
 * debug_pagealloc=1 means here::
 *
 *	no entry of the window shows a frame that is free
 *
 * Three things follow.
 *
 *	vfree, vunmap,	Without it the entries go at once, but TLBs may serve them until the next
 *	vm_unmap_ram	purge. With it each call purges: when it returns, an access faults on every
 *			CPU. (In an interrupt: as soon as the purge's work has run.)
 *	free of a page	A client may free a page that it still shows by vmap() or vm_map_ram().
 *			Linux leaves the alias in place. Here the entry is taken out when the page
 *			is freed, and a marker, not present, stays for vunmap(). This CPU's TLB
 *			is flushed before the free returns; those of others soon after, by a work:
 *			a free can come with interrupts off, where an IPI could deadlock. (The
 *			kernel's __kernel_map_pages() flushes only this CPU, for that reason.)
 *	guard pages	Areas of vmalloc() and vmap() end in a page that is never mapped, always.
 *			Runs of vm_map_ram() follow each other without a gap, as in Linux; with it
 *			each has such a page behind it.
 *
 * An access through the direct map to a free page is not seen here; page_poison sees a write, when
 * the page goes out again.
 *
 * debug_guardpage_minorder=N, with debug_pagealloc, is the kernel's: a block below order N is cut
 * from one of order N, and what is left of that stays nobody's until the block comes back
 * (buddy/lists.c). The kernel takes these guards out of the direct map, so an overrun faults. Here
 * they stay in it; with page_poison they are looked at when the block is freed, so an overrun is
 * reported then. The price is memory: with N=1 a page takes two.
 *
 * To know at a free whether the window shows the frame, each frame counts its entries: a
 * page_ext client, so it is a parameter at load only. Where the entries are is not kept; the
 * window is searched, which happens only in the case that is looked for.
 *
 * Invariant: the count of a frame is the number of present entries of the window that show it; a
 * 2 MiB leaf counts as one for each of its frames.
 *
 * Locks: none; counts are atomic, entries are taken out by compare-and-exchange.
 */

#define pr_fmt(fmt) "kmm: " fmt

#include <linux/atomic.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#include <compat/compat.h>
#include <kmm/buddy.h>
#include <kmm/debug_pagealloc.h>
#include <kmm/page_ext.h>
#include <kmm/paths.h>
#include <kmm/region.h>

DEFINE_STATIC_KEY_FALSE(kmm_debug_pagealloc_key);
KMM_EXPORT_INTERNAL(kmm_debug_pagealloc_key);

static bool debug_pagealloc;
module_param(debug_pagealloc, bool, 0444);
MODULE_PARM_DESC(debug_pagealloc, "No free frame stays mapped in the kernel window; guard pages (default 0)");

/* Entries that were taken out because their frame was freed. */
static atomic_long_t pagealloc_taken;

static unsigned int guardpage_minorder;
module_param_named(debug_guardpage_minorder, guardpage_minorder, uint, 0444);
MODULE_PARM_DESC(debug_guardpage_minorder, "With debug_pagealloc: blocks below this order have guards behind them, 0 to 5 (default 0)");

static bool pagealloc_need(void)
{
	return debug_pagealloc;
}

/* A count of entries. */
static size_t pagealloc_size(void)
{
	return sizeof(atomic_t);
}

const struct kmm_page_ext_client kmm_debug_pagealloc_client = {
	.name = "debug_pagealloc",
	.need = pagealloc_need,
	.size = pagealloc_size,
};
KMM_EXPORT_INTERNAL(kmm_debug_pagealloc_client);

/* NULL: not a frame of the region, or nothing is counted there. */
static atomic_t *pagealloc_count(const struct kmm_region *r, unsigned long pfn)
{
	const struct kmm_frame *f = kmm_region_frame(r, pfn);

	return f ? kmm_page_ext_get(&r->ext, KMM_PAGE_EXT_PAGEALLOC, kmm_region_index(r, f)) :
		   NULL;
}

/**
 * kmm_debug_pagealloc_on() - Is it on for this region?
 * @r: region
 *
 * Context: any, after the region's page_ext. Return: true if so.
 */
bool kmm_debug_pagealloc_on(const struct kmm_region *r)
{
	return r->ext.needed & BIT(KMM_PAGE_EXT_PAGEALLOC);
}

/**
 * kmm_debug_pagealloc_count() - Entries of the window come or go.
 * @r: region of the window
 * @pfn: first frame that they show, of the region or not
 * @nr_pages: frames, one behind the other
 * @one: 1 come, -1 go
 *
 * Context: any. The key is on.
 */
void kmm_debug_pagealloc_count(const struct kmm_region *r, unsigned long pfn,
			       unsigned long nr_pages, int one)
{
	for (; nr_pages--; pfn++) {
		atomic_t *count = pagealloc_count(r, pfn);

		if (count)
			atomic_add(one, count);
	}
}

/**
 * kmm_debug_pagealloc_free() - Frames become free: the window must not show them any more.
 * @r: their region
 * @page: first frame
 * @order: log2 of frames
 *
 * Context: any but NMI; the frames still belong to the caller.
 */
void kmm_debug_pagealloc_free(const struct kmm_region *r, struct page *page, unsigned int order)
{
	unsigned long pfn = page_to_pfn(page), end = pfn + (1UL << order);

	for (; pfn < end; pfn++) {
		atomic_t *count = pagealloc_count(r, pfn);

		if (count && atomic_read(count) && r->forget) {
			atomic_long_add(r->forget(r->forget_ctx, page, order), &pagealloc_taken);
			return;
		}
	}
}

/**
 * kmm_debug_pagealloc_taken() - Entries that a free took out of the window.
 *
 * Context: any. Return: their number since load, in all regions.
 */
unsigned long kmm_debug_pagealloc_taken(void)
{
	return atomic_long_read(&pagealloc_taken);
}
KMM_EXPORT_INTERNAL(kmm_debug_pagealloc_taken);

/**
 * kmm_debug_guardpage_minorder() - What the buddy is to be initialised with.
 *
 * Context: any. Return: 0, no guards, unless debug_pagealloc is on, too, as in Linux.
 */
unsigned int kmm_debug_guardpage_minorder(void)
{
	return debug_pagealloc ? guardpage_minorder : 0;
}

/**
 * kmm_debug_pagealloc_init() - Turn the key on, if the parameter says so.
 *
 * A debug_guardpage_minorder that cannot be is 0, with the kernel's words; without debug_pagealloc
 * it is 0, too: the parameter reads as what is in effect.
 *
 * Context: once, at load, before the buddy and the window; may sleep.
 */
void kmm_debug_pagealloc_init(void)
{
	if (guardpage_minorder > KMM_GUARD_MINORDER_MAX) {
		pr_err("Bad debug_guardpage_minorder value\n");
		guardpage_minorder = 0;
	}
	if (guardpage_minorder && !debug_pagealloc) {
		pr_warn("debug_guardpage_minorder has no effect without debug_pagealloc\n");
		guardpage_minorder = 0;
	}
	if (kmm_debug_guardpage_minorder())
		pr_info("Setting debug_guardpage_minorder to %u\n", guardpage_minorder);
	if (debug_pagealloc)
		kmm_hooks_on(&kmm_debug_pagealloc_key, KMM_PATH_PAGE);
}

/**
 * kmm_debug_pagealloc_fini() - Undo kmm_debug_pagealloc_init().
 *
 * Context: may sleep.
 */
void kmm_debug_pagealloc_fini(void)
{
	if (debug_pagealloc)
		kmm_hooks_off(&kmm_debug_pagealloc_key, KMM_PATH_PAGE);
}
