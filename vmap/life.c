// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Begin and end of vmalloc
 *
 * An instance has one region's window, the table of areas by page and the per-CPU data; at the
 * start all addresses are two free areas, one of each part. The module has one instance, tests make
 * their own on fake regions.
 *
 * How much may wait follows from the sizes, divided by the CPUs, for each has a list:
 *
 *	lazy_max	frames: 1/LAZY_SHARE of the region
 *	lazy_single_max	single frames: half of what the buddy's per-CPU cache takes, so that a
 *			purge's frames are at hand for the next request
 *	lazy_pages_max	addresses: 1/LAZY_WINDOW_SHARE of the window, at most LAZY_PAGES_MAX
 *	pool_max	addresses in pools: 1/POOL_SHARE of the lower part
 *
 * debug_pagealloc wants a freed frame to be unreachable at once: nothing may wait then, and the
 * buddy tells the window of each block that it takes back (region->forget). An entry found so is a
 * client's fault, reported there; it is taken out here, and other CPUs' TLBs are flushed by
 * the work item, for an IPI from a context that may hold locks could deadlock.
 *
 * The end: nobody uses the instance any more, its clients hold the module. What they left is
 * reported and freed: areas first, then idle blocks of vm_map_ram(), then blocks with runs. After
 * the work item has ended one purge empties the lazy lists, the pools go to the trees, the trees
 * are freed, and kmm_window_fini() gives the window back as it was.
 *
 * Locks: none; nobody else has the instance.
 *
 * It deliberately does not: resize a window, or keep an instance when something was left in it.
 */

#define pr_fmt(fmt) "kmm: vmap: " fmt

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <asm/tlbflush.h>

#include <compat/compat.h>
#include <kmm/buddy.h>
#include <kmm/debug_pagealloc.h>
#include <kmm/inject.h>

#include "internal.h"

/* === Data === */

/* Frames that wait for a flush: this part of the region at most. */
#define LAZY_SHARE		16
/* The same of the window's addresses, and on one CPU no more than this. */
#define LAZY_WINDOW_SHARE	4
#define LAZY_PAGES_MAX		4096UL
/* Addresses that wait in pools: this part of the lower half of the window. */
#define POOL_SHARE		4

/* === Begin === */

static void vmap_free_all(struct kmm_vmap *v)
{
	kmm_vmap_free_parts(v);
	free_percpu(v->cpu);
	kvfree(v->area_of);
	kmm_window_fini(&v->window);
	kfree(v);
}

static void vmap_purge_work(struct work_struct *work)
{
	kmm_vmap_purge(container_of(work, struct kmm_vmap, work));
}

/* debug_pagealloc: a block is freed that the window still shows. */
static unsigned long vmap_forget(void *ctx, struct page *page, unsigned int order)
{
	struct kmm_vmap *v = ctx;
	unsigned long nr = kmm_window_forget(&v->window, page, order);

	if (!nr)
		return 0;
	preempt_disable();
	kmm_host_flush_tlb_local();
	preempt_enable();
	/* Other CPUs: an IPI from here could deadlock. */
	WRITE_ONCE(v->ram_dirty, 1);
	schedule_work(&v->work);
	return nr;
}

/* Nothing is lazy, and a free looks at the window. */
static void vmap_debug_pagealloc(struct kmm_vmap *v)
{
	if (!kmm_debug_pagealloc_on(v->region))
		return;
	v->lazy_pages_max = 0;
	v->ram_run_max = 0;
	v->region->forget_ctx = v;
	v->region->forget = vmap_forget;
}

/**
 * kmm_vmap_create() - vmalloc on a region's window.
 * @r: region with a window
 * @b: where frames come from
 * @set: for the ledger of flushes
 *
 * Context: task, may sleep. Return: vmalloc; ERR_PTR: -ENXIO no window, -ENOMEM.
 */
struct kmm_vmap *kmm_vmap_create(struct kmm_region *r, struct kmm_buddy *b,
				 struct kmm_pgtables *set)
{
	unsigned long nr_small;
	struct kmm_vmap *v;
	unsigned int cpu;
	int err;

	if (!r->window)
		return ERR_PTR(-ENXIO);
	v = kmm_should_fail() ? NULL : kzalloc(sizeof(*v), GFP_KERNEL_ACCOUNT);
	if (!v)
		return ERR_PTR(-ENOMEM);
	v->region = r;
	v->buddy = b;
	v->set = set;
	spin_lock_init(&v->lock);
	mutex_init(&v->purge_lock);
	INIT_WORK(&v->work, vmap_purge_work);
	err = kmm_window_init(&v->window, r, set);
	if (err) {
		kfree(v);
		return ERR_PTR(err);
	}
	v->area_of = kmm_should_fail() ? NULL :
		     kvcalloc(r->window_pages, sizeof(*v->area_of), GFP_KERNEL_ACCOUNT);
	v->cpu = kmm_should_fail() ? NULL : alloc_percpu(struct kmm_vmap_cpu);
	err = -ENOMEM;
	if (!v->area_of || !v->cpu)
		goto fail;
	for_each_possible_cpu(cpu)
		spin_lock_init(&per_cpu_ptr(v->cpu, cpu)->lock);
	nr_small = v->window.huge_nr ? kmm_vmap_page_index(v, v->window.huge_first) :
				       v->window.nr_pages;
	v->lazy_max = max(r->nr_frames / LAZY_SHARE / num_online_cpus(), 1UL);
	v->lazy_single_max = b->pcp_high[0] / 2;
	v->lazy_pages_max = clamp(v->window.nr_pages / LAZY_WINDOW_SHARE / num_online_cpus(), 1UL,
				  LAZY_PAGES_MAX);
	v->ram_run_max = KMM_VMAP_RAM_RUN_PAGES;
	v->pool_max = nr_small / POOL_SHARE / num_online_cpus();
	err = kmm_vmap_add_part(v, v->window.base, nr_small) ?:
	      kmm_vmap_add_part(v, v->window.huge_first, v->window.huge_nr << KMM_VMAP_HUGE_ORDER);
	if (!err) {
		vmap_debug_pagealloc(v);
		return v;
	}
fail:
	vmap_free_all(v);
	return ERR_PTR(err);
}
KMM_EXPORT_INTERNAL(kmm_vmap_create);

/* === End === */

/* Whoever left it behind is gone: its clients hold the module. */
static int vmap_leftover(void *ctx, const struct kmm_vmap_info *info)
{
	struct kmm_vmap *v = ctx;

	if (info->kind != KMM_VMAP_VMALLOC && info->kind != KMM_VMAP_VMAP)
		return 0;
	pr_err("%lu pages at %#lx were never freed, allocated by %pS\n", info->nr_pages,
	       info->start, info->caller);
	if (info->kind == KMM_VMAP_VMALLOC)
		kmm_vmap_free(v, (void *)info->start);
	else
		kmm_vmap_unmap(v, (void *)info->start);
	return 0;
}

/**
 * kmm_vmap_destroy() - The end; what was never freed is reported and freed.
 * @v: vmalloc, or NULL
 *
 * Context: task, may sleep.
 */
void kmm_vmap_destroy(struct kmm_vmap *v)
{
	if (!v)
		return;
	kmm_vmap_for_each(v, vmap_leftover, v);
	kmm_vmap_unmap_aliases(v);
	kmm_vmap_ram_leftover(v);
	v->region->forget = NULL;
	cancel_work_sync(&v->work);
	kmm_vmap_purge(v);
	kmm_vmap_pools_drain(v);
	vmap_free_all(v);
}
KMM_EXPORT_INTERNAL(kmm_vmap_destroy);
