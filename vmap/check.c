// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Figures and self-check of vmalloc
 *
 * Figures. Events are counted per CPU, under the lock that the fast path holds anyway, and summed
 * when somebody asks; so are frames that wait for a flush. The sums are of a moment: what happens
 * meanwhile on other CPUs may be in them or not.
 *
 * The walk over areas (vmallocinfo, leftovers) goes through the table by page, under @lock, with at
 * most PAGE_SIZE of its entries per hold, and gives its caller a copy with no lock held. An area
 * leaves the table under that lock before its descriptor is freed, so a copy is never of freed
 * memory; it may be of an area that is being freed.
 *
 * Self-check. kmm_vmap_check() looks at an instance that nobody uses at the moment:
 *
 *	trees	areas are in order and do not overlap; no node promises less than it has; the sum
 *		is what is counted
 *	table	no page behind the last mapped one of a used area has an entry, and none of a
 *		pooled or lazy one
 *	parts	areas of trees and table together cover each part exactly
 *
 * An area lost, or in two places, is found by the last. Each violation is logged. Blocks of
 * vm_map_ram() are not looked into: their runs are known to their users only.
 *
 * Locks: none in the check; @lock for the walk.
 *
 * It deliberately does not: run by itself (it costs O(pages of the window)), repair, or compare
 * entries with frames: tests do, which know what they mapped.
 */

#define pr_fmt(fmt) "kmm: vmap: " fmt

#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/sched.h>

#include <compat/compat.h>
#include <uapi/kmm.h>

#include "internal.h"

/* === Figures === */

/**
 * kmm_vmap_lazy_frames() - Frames that wait for a flush.
 * @v: vmalloc; NULL has none
 *
 * Context: any. Return: their number, of a moment.
 */
unsigned long kmm_vmap_lazy_frames(struct kmm_vmap *v)
{
	unsigned long nr = 0;
	unsigned int cpu;

	if (v)
		for_each_possible_cpu(cpu)
			nr += READ_ONCE(per_cpu_ptr(v->cpu, cpu)->lazy_frames);
	return nr;
}
KMM_EXPORT_INTERNAL(kmm_vmap_lazy_frames);

/**
 * kmm_vmap_events() - Counters, summed over all CPUs.
 * @v: vmalloc
 * @event: KMM_NR_VMAP_EVENTS sums
 *
 * Context: any.
 */
void kmm_vmap_events(struct kmm_vmap *v, u64 *event)
{
	unsigned int cpu, i;

	memset(event, 0, KMM_NR_VMAP_EVENTS * sizeof(*event));
	for_each_possible_cpu(cpu)
		for (i = 0; i < KMM_NR_VMAP_EVENTS; i++)
			event[i] += READ_ONCE(per_cpu_ptr(v->cpu, cpu)->event[i]);
}
KMM_EXPORT_INTERNAL(kmm_vmap_events);

/* Copies the first area from page @i on that is used or lazy; false at the end. */
static bool vmap_info_next(struct kmm_vmap *v, unsigned long *i, struct kmm_vmap_info *info)
{
	unsigned long end = min(*i + PAGE_SIZE, v->window.nr_pages);
	struct kmm_vmap_area *a = NULL;
	unsigned long flags;

	/* An area leaves the table under this lock before it is freed. */
	spin_lock_irqsave(&v->lock, flags);
	for (; *i < end; ++*i) {
		a = v->area_of[*i];
		if (a && a->kind != KMM_VMAP_FREE_SPACE)
			break;
		a = NULL;
	}
	if (a) {
		*info = (struct kmm_vmap_info) {
			.start = a->start,
			.end = kmm_vmap_end(a),
			.nr_pages = a->nr_mapped,
			.nr_huge = a->nr_huge << KMM_VMAP_HUGE_ORDER,
			.kind = a->kind,
			.prot = KMM_PROT_READ | (a->writable ? KMM_PROT_WRITE : 0) |
				(a->exec ? KMM_PROT_EXEC : 0),
			.caller = a->caller,
		};
		*i += a->nr_pages;
	}
	spin_unlock_irqrestore(&v->lock, flags);
	return a;
}

/**
 * kmm_vmap_for_each() - Every area that is used or waits for a flush, by address.
 * @v: vmalloc
 * @fn: called with a copy; not 0: the walk ends
 * @ctx: its argument
 *
 * Context: as @fn. Return: 0, or what @fn returned.
 */
int kmm_vmap_for_each(struct kmm_vmap *v, int (*fn)(void *ctx, const struct kmm_vmap_info *info),
		      void *ctx)
{
	struct kmm_vmap_info info;
	unsigned long i = 0;
	int err = 0;

	while (i < v->window.nr_pages && !err) {
		if (vmap_info_next(v, &i, &info))
			err = fn(ctx, &info);
		cond_resched();
	}
	return err;
}
KMM_EXPORT_INTERNAL(kmm_vmap_for_each);

/**
 * kmm_vmap_nr_areas() - Areas in use.
 * @v: vmalloc
 *
 * Context: task. Return: their number; blocks of vm_map_ram() count, lazy ones do not.
 */
unsigned long kmm_vmap_nr_areas(struct kmm_vmap *v)
{
	struct kmm_vmap_info info;
	unsigned long i = 0, nr = 0;

	while (i < v->window.nr_pages)
		if (vmap_info_next(v, &i, &info))
			nr += info.kind != KMM_VMAP_LAZY;
	return nr;
}
KMM_EXPORT_INTERNAL(kmm_vmap_nr_areas);

/* === Self-check === */

/**
 * kmm_vmap_check() - Look for violated invariants.
 * @v: vmalloc that nobody uses at the moment
 *
 * Context: task, may sleep. Return: how many were found; each is printed.
 */
unsigned long kmm_vmap_check(struct kmm_vmap *v)
{
	unsigned long i, bad = 0, covered[KMM_VMAP_NR_PARTS] = { }, end = 0, want;
	struct kmm_vmap_area *a;
	enum kmm_vmap_part p;
	struct rb_node *n;

	for (p = 0; p < KMM_VMAP_NR_PARTS; p++) {
		unsigned long nr = 0;

		for (n = rb_first(&v->free[p]); n; n = rb_next(n)) {
			a = kmm_vmap_node(n);
			nr += a->nr_pages;
			if (a->max_pages < a->nr_pages || a->start < end) {
				pr_err("free area %#lx: wrong size or order\n", a->start);
				bad++;
			}
			end = kmm_vmap_end(a);
		}
		if (nr != v->nr_free[p]) {
			pr_err("part %d: %lu pages in the tree, %lu counted\n", p, nr,
			       v->nr_free[p]);
			bad++;
		}
		covered[p] = nr;
	}
	for (i = 0; i < v->window.nr_pages; i++) {
		unsigned long addr = v->window.base + i * PAGE_SIZE, k;

		a = v->area_of[i];
		if (!a || a->start != addr)
			continue;
		covered[kmm_vmap_part(v, addr)] += a->nr_pages;
		k = a->kind == KMM_VMAP_VMALLOC || a->kind == KMM_VMAP_VMAP ? a->nr_mapped : 0;
		for (; k < a->nr_pages && a->kind != KMM_VMAP_RAM; k++) {
			if (!kmm_window_entry(&v->window, addr + k * PAGE_SIZE, NULL))
				continue;
			pr_err("area %#lx of kind %u: page %lu is mapped\n", addr, a->kind, k);
			bad++;
		}
	}
	for (p = 0; p < KMM_VMAP_NR_PARTS; p++) {
		want = p == KMM_VMAP_PART_HUGE ? v->window.huge_nr << KMM_VMAP_HUGE_ORDER :
		       v->window.huge_nr ? kmm_vmap_page_index(v, v->window.huge_first) :
					   v->window.nr_pages;
		if (covered[p] == want)
			continue;
		pr_err("part %d: areas cover %lu of %lu pages\n", p, covered[p], want);
		bad++;
	}
	return bad;
}
KMM_EXPORT_INTERNAL(kmm_vmap_check);
