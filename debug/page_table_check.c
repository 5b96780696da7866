// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Page table check
 *
 * A frame that is in the tables of two owners is the worst that a memory manager can do: one reads
 * what the other writes, and nothing crashes. As the kernel's mm/page_table_check.c this file
 * counts, for each frame, the leaves that map it, and looks at the counts with every leaf that
 * comes, goes or changes its rights in a space, and with every frame that is taken or freed.
 *
 * Two kinds of mappings, told by the leaf itself (KMM_PT_PRIVATE)::
 *
 *	anon	a private frame of spaces: zero-filled, or copied
 *	file	a frame of a memory object, shared or not yet copied; and espfix slots
 *
 * Rules, the kernel's first four and two that a module can know better
 *   - a frame has anon or file mappings, never both
 *   - an anon frame with more than one mapping has no writable one (copy-on-write)
 *   - no count goes below 0
 *   - a frame that is freed has none, and a frame that is taken has none
 *   - an anon frame is not mapped by a process: the host's own count in struct page says so
 *   - nor is a frame that is freed
 *
 * The kernel looks at the right to write only when a mapping comes. Here writable mappings are
 * counted as well, so the second rule holds whichever of the two comes first, and when a fault
 * gives the right to write to a leaf that is there.
 *
 * A violation is reported with the counts, the entry, what page_owner knows of the frame, and the
 * stack that made it; it is counted, and nothing is stopped. (The kernel has a BUG here; a module
 * that is to be trusted must not take the host down.) Reports are rate limited, the count is not.
 *
 * The counts are a page_ext client: page_table_check=1 at load. Off, they take no byte and the
 * tables' code has a no-op at each place.
 *
 * Order. vm/pgtable.c calls after it has changed an entry and before it unlocks the table, and
 * before a drop function may let a share go. So whoever finds himself the last owner finds the
 * counts of the others gone.
 *
 * Locks: none; counts are atomic. Context: any.
 *
 * It deliberately does not: count tables, or entries of the kernel window (debug_pagealloc.c), or
 * stop what it finds.
 */

#define pr_fmt(fmt) fmt

#include <linux/atomic.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/sched.h>

#include <compat/compat.h>
#include <kmm/hooks.h>
#include <kmm/page_ext.h>
#include <kmm/page_table_check.h>
#include <kmm/pgtable.h>
#include <kmm/region.h>
#include <kmm/report.h>

/* === Data === */

DEFINE_STATIC_KEY_FALSE(kmm_page_table_check_key);
KMM_EXPORT_INTERNAL(kmm_page_table_check_key);

static bool page_table_check;
module_param(page_table_check, bool, 0444);
MODULE_PARM_DESC(page_table_check, "Count who maps each frame of spaces, report what the rules forbid (default 0)");

/**
 * struct ptc - of a frame, in its page_ext entry
 * @anon: leaves that map it as private
 * @anon_rw: of these, writable ones
 * @file: leaves that map it as an object's
 */
struct ptc {
	atomic_t anon;
	atomic_t anon_rw;
	atomic_t file;
};

/* Reports, rate limited ones included. */
static atomic_long_t ptc_violations;

static bool ptc_need(void)
{
	return page_table_check;
}

static size_t ptc_size(void)
{
	return sizeof(struct ptc);
}

const struct kmm_page_ext_client kmm_page_table_check_client = {
	.name = "page_table_check",
	.need = ptc_need,
	.size = ptc_size,
};
KMM_EXPORT_INTERNAL(kmm_page_table_check_client);

/* === Internals === */

/* NULL: not a frame of the region, or nothing is counted there. */
static struct ptc *ptc_of(const struct kmm_region *r, unsigned long pfn)
{
	const struct kmm_frame *f = kmm_region_frame(r, pfn);

	return f ? kmm_page_ext_get(&r->ext, KMM_PAGE_EXT_TABLE_CHECK, kmm_region_index(r, f)) :
		   NULL;
}

/* Processes have it in their tables; the host counts from -1. */
static bool ptc_process_maps(unsigned long pfn)
{
	return atomic_read(&pfn_to_page(pfn)->_mapcount) >= 0;
}

static noinline void ptc_report(struct kmm_region *r, unsigned long pfn, const struct ptc *c,
				const char *what, unsigned long addr, unsigned long entry)
{
	atomic_long_inc(&ptc_violations);
	if (!kmm_report_allowed(KMM_REPORT_TABLE))
		return;
	pr_err("==================================================================\n");
	pr_err("BUG: KMM: page table check: %s\n\n", what);
	pr_err("page pfn %#lx: anon %d (writable %d), file %d, mapped by %d processes' entries\n",
	       pfn, atomic_read(&c->anon), atomic_read(&c->anon_rw), atomic_read(&c->file),
	       atomic_read(&pfn_to_page(pfn)->_mapcount) + 1);
	if (entry)
		pr_err("entry %#lx (%s%s) at %#lx, by task %s/%d\n", entry,
		       entry & KMM_PT_PRIVATE ? "anon" : "file",
		       entry & _PAGE_RW ? ", writable" : "", addr, current->comm, current->pid);
	kmm_hook_page_describe(r, pfn_to_page(pfn));
	dump_stack();
	pr_err("==================================================================\n");
}

/* Takes one from a count; false, and it stays 0, if there was none. */
static bool ptc_dec(atomic_t *count)
{
	return atomic_dec_if_positive(count) >= 0;
}

static void ptc_add(struct kmm_region *r, unsigned long pfn, struct ptc *c,
		    unsigned long addr, unsigned long entry)
{
	bool rw = entry & _PAGE_RW;
	const char *what = NULL;
	int nr, nr_rw;

	if (!(entry & KMM_PT_PRIVATE)) {
		atomic_inc(&c->file);
		if (atomic_read(&c->anon))
			what = "an object's frame that is private to spaces";
	} else {
		nr = atomic_inc_return(&c->anon);
		nr_rw = rw ? atomic_inc_return(&c->anon_rw) : atomic_read(&c->anon_rw);
		if (atomic_read(&c->file))
			what = "a private frame that is an object's";
		else if (ptc_process_maps(pfn))
			what = "a private frame that a process maps";
		else if (nr > 1 && nr_rw)
			what = "a private frame that is shared and writable";
	}
	if (what)
		ptc_report(r, pfn, c, what, addr, entry);
}

static void ptc_remove(struct kmm_region *r, unsigned long pfn, struct ptc *c,
		       unsigned long addr, unsigned long entry)
{
	bool good;

	if (!(entry & KMM_PT_PRIVATE)) {
		good = ptc_dec(&c->file);
	} else {
		good = ptc_dec(&c->anon);
		if (entry & _PAGE_RW)
			good &= ptc_dec(&c->anon_rw);
	}
	if (!good)
		ptc_report(r, pfn, c, "a mapping goes that never came", addr, entry);
}

static unsigned long ptc_pfn(unsigned long entry, bool huge)
{
	return huge ? pmd_pfn(__pmd(entry)) : pte_pfn(__pte(entry));
}

/* === Interface === */

/**
 * __kmm_page_table_check() - The slow half of kmm_page_table_check().
 * @r: region of the tree
 * @addr: address of the leaf
 * @old: raw word that was there, 0 for none
 * @new: raw word that is there now
 * @huge: they are of 2 MiB
 *
 * Context: any; the entry cannot change meanwhile.
 */
void __kmm_page_table_check(struct kmm_region *r, unsigned long addr, unsigned long old,
			    unsigned long new, bool huge)
{
	unsigned int i, nr = huge ? PTRS_PER_PMD : 1;
	unsigned long pfn;
	struct ptc *c;

	if (!((old ^ new) & ~KMM_PT_AD))
		return;
	for (i = 0; i < nr; i++) {
		pfn = old ? ptc_pfn(old, huge) + i : 0;
		c = old ? ptc_of(r, pfn) : NULL;
		if (c)
			ptc_remove(r, pfn, c, addr + i * PAGE_SIZE, old);
		pfn = new ? ptc_pfn(new, huge) + i : 0;
		c = new ? ptc_of(r, pfn) : NULL;
		if (c)
			ptc_add(r, pfn, c, addr + i * PAGE_SIZE, new);
	}
}
KMM_EXPORT_INTERNAL(__kmm_page_table_check);

/**
 * kmm_page_table_check_zero() - Frames are freed, or taken: nobody may map them.
 * @r: their region
 * @page: first frame
 * @order: log2 of frames
 * @when: for the report
 *
 * Context: any; the frames belong to the caller.
 */
void kmm_page_table_check_zero(struct kmm_region *r, struct page *page, unsigned int order,
			       const char *when)
{
	unsigned long pfn = page_to_pfn(page), end = pfn + (1UL << order);
	struct ptc *c;

	for (; pfn < end; pfn++) {
		c = ptc_of(r, pfn);
		if (!c)
			return;
		if (atomic_read(&c->anon) || atomic_read(&c->file) || ptc_process_maps(pfn))
			ptc_report(r, pfn, c, when, 0, 0);
	}
}

/**
 * kmm_page_table_check_violations() - How often a rule was broken.
 *
 * Context: any. Return: reports since load, rate limited ones included; of all regions.
 */
unsigned long kmm_page_table_check_violations(void)
{
	return atomic_long_read(&ptc_violations);
}

/**
 * kmm_page_table_check_stat() - Sums over a region, of a moment.
 * @r: region
 * @st: filled
 *
 * Context: task. Return: false when nothing is counted in @r.
 */
bool kmm_page_table_check_stat(const struct kmm_region *r, struct kmm_page_table_check_stat *st)
{
	unsigned long i;

	*st = (struct kmm_page_table_check_stat) {
		.violations = kmm_page_table_check_violations(),
	};
	for (i = 0; i < r->nr_index; i++) {
		const struct ptc *c = kmm_page_ext_get(&r->ext, KMM_PAGE_EXT_TABLE_CHECK, i);

		if (!c)
			return false;
		st->anon_frames += !!atomic_read(&c->anon);
		st->anon_maps += atomic_read(&c->anon);
		st->anon_writable += atomic_read(&c->anon_rw);
		st->file_frames += !!atomic_read(&c->file);
		st->file_maps += atomic_read(&c->file);
	}
	return true;
}
KMM_EXPORT_INTERNAL(kmm_page_table_check_stat);

/**
 * kmm_page_table_check_on() - Is it on for this region?
 * @r: region
 *
 * Context: any, after the region's page_ext. Return: true if so.
 */
bool kmm_page_table_check_on(const struct kmm_region *r)
{
	return r->ext.needed & BIT(KMM_PAGE_EXT_TABLE_CHECK);
}

/**
 * kmm_page_table_check_init() - Begin to count, if the parameter says so.
 *
 * Context: once, at load, before there is a space; may sleep.
 */
void kmm_page_table_check_init(void)
{
	if (page_table_check)
		kmm_hooks_on(&kmm_page_table_check_key, KMM_PATH_PAGE);
}

/**
 * kmm_page_table_check_fini() - Undo kmm_page_table_check_init().
 *
 * Context: may sleep.
 */
void kmm_page_table_check_fini(void)
{
	if (page_table_check)
		kmm_hooks_off(&kmm_page_table_check_key, KMM_PATH_PAGE);
}
