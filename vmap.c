// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: vmalloc and its like
 *
 * Kernel addresses for frames that do not follow each other. The addresses are the window that
 * region/ reserved, the entries are written by vm/window.c, the frames are the buddy's; here it
 * is decided what stands where.
 *
 * An area is a run of pages of the window with one owner; the last page, or in the 2 MiB part
 * what follows the last frame, is a guard that is never mapped. An area is in one of these
 * states:
 *
 *	free	in a tree by address, augmented with the largest area below each node: first fit
 *	pooled	of up to KMM_VMAP_POOL_PAGES pages: kept whole on a stack of this CPU, by size
 *	used	vmalloc, vmap, or a block of vm_map_ram
 *	lazy	freed: its entries are cleared, but a TLB may still have them
 *
 *	free -> used -> lazy -> (purge) -> pooled -> used ...
 *	                              \-> free
 *
 * Lazy areas wait on a list of the CPU that freed them, their frames with them. When one CPU has
 * more than its share of what may wait (LAZY_SHARE of the region in frames), a purge takes the
 * lists of all CPUs, flushes every TLB once, and only then gives frames and addresses back. So a
 * pair of vmalloc and vfree costs a stack's push and pop, frames and entries; the tree is for
 * what is large or new, the flush for thousands at a time. Nobody can reach a frame through the
 * window once it is free for others: unmap, flush, free.
 *
 * The frames of an area are linked through the client's word of their first frame. They are
 * taken in the largest blocks that fit (2 MiB, 32 KiB, single pages), all of them before the
 * first entry is written: once written, an entry may be in a TLB, and only a purge could take it
 * back.
 *
 * The window has two parts (vm/window.c). Areas of 2 MiB and more go to the upper one, by slots
 * of 2 MiB: each slot gets a 2 MiB leaf if the buddy has such a block, else its table back and
 * single pages. Where that part is full the lower one serves.
 *
 * vm_map_ram() takes short runs of addresses from a block of this CPU, one after the other; they
 * are not used again before the whole block has been used and freed and has gone through a
 * purge. Such runs have no guard page, as in Linux.
 *
 * A freed address is looked up in a table by page of the window. What is not the start of a used
 * area is refused, reported and counted.
 *
 * Locks: the per-CPU lock, with interrupts off, for pools, lazy list, block, counters; v->lock
 * for the trees and for areas coming to and going from the table; never both. purge_lock
 * serialises purges; nothing is allocated under it, so reclaim may purge.
 *
 * Invariants (kmm_vmap_check()): free, pooled, used and lazy areas cover each part exactly once;
 * only used areas have entries.
 *
 * Parts: what is free, trees and pools, is in vmap/areas.c, vm_map_ram in vmap/ram.c, figures and
 * the proof of the invariants in vmap/check.c, begin and end in vmap/life.c.
 *
 * What this deliberately does not do: no ioremap, no huge vmap of a client's pages, no
 * VM_MAP_PUT_PAGES, no NUMA, no alignment above the page but for slots.
 */

#define pr_fmt(fmt) "kmm: vmap: " fmt

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/vmalloc.h>

#include <compat/compat.h>
#include <kmm/buddy.h>
#include <kmm/hooks.h>
#include <kmm/inject.h>
#include <kmm/kmm.h>
#include <kmm/report.h>
#include <kmm/vmap.h>
#include <trace/events/kmm.h>

#include "vmap/internal.h"

/* === Data === */

/*
 * Frames are taken in blocks of KMM_VMAP_HUGE_ORDER and of this order, as far as they go; the buddy
 * caches both per CPU.
 */
#define BLOCK_ORDER		3
/* Pages of a slot. */
#define HUGE_PAGES		BIT(KMM_VMAP_HUGE_ORDER)

/* Single frames of one call to the buddy. */
#define FRAME_BATCH		16

const char * const kmm_vmap_event_names[KMM_NR_VMAP_EVENTS] = {
	[KMM_VMAP_ALLOC]	= "vmap_alloc",
	[KMM_VMAP_FREE]		= "vmap_free",
	[KMM_VMAP_POOL_HIT]	= "vmap_pool_hit",
	[KMM_VMAP_PURGE]	= "vmap_purge",
	[KMM_VMAP_PURGED_PAGES]	= "vmap_purged_pages",
	[KMM_VMAP_HUGE]		= "vmap_huge",
	[KMM_VMAP_NO_SPACE]	= "vmap_no_space",
	[KMM_VMAP_BAD_FREE]	= "vmap_bad_free",
};

static struct kmm_vmap *vmap_client;

/* === Frames of an area === */

/**
 * struct vmap_chain - blocks linked by the client's word of their first frame
 * @first: index of the first; KMM_LIST_END
 * @last: frame of the last
 */
struct vmap_chain {
	u32 first;
	struct kmm_frame *last;
};

static inline void vmap_chain_add(struct kmm_vmap *v, struct vmap_chain *chain, struct page *page)
{
	struct kmm_frame *f = kmm_region_frame(v->region, page_to_pfn(page));

	f->next = KMM_LIST_END;
	if (chain->last)
		chain->last->next = kmm_region_index(v->region, f);
	else
		chain->first = kmm_region_index(v->region, f);
	chain->last = f;
}

/**
 * struct vmap_batch - single frames on their way to the buddy
 * @nr: how many
 * @pages: frames
 */
struct vmap_batch {
	unsigned int nr;
	struct page *pages[FRAME_BATCH];
};

static void vmap_batch_free(struct kmm_vmap *v, struct vmap_batch *batch)
{
	if (batch->nr)
		kmm_buddy_free_bulk(v->buddy, batch->pages, batch->nr);
	batch->nr = 0;
}

/* Frees a chain; single frames wait in @batch for more. */
static void vmap_frames_free(struct kmm_vmap *v, struct vmap_batch *batch, u32 index)
{
	while (index != KMM_LIST_END) {
		struct kmm_frame *f = &v->region->frames[index];
		struct page *page = kmm_region_page(v->region, index);
		unsigned int order = kmm_frame_order(f);

		index = f->next;
		if (order) {
			kmm_buddy_free(v->buddy, page, order);
			continue;
		}
		batch->pages[batch->nr++] = page;
		if (batch->nr == FRAME_BATCH)
			vmap_batch_free(v, batch);
	}
}

/* As many blocks of one order as can be had without waiting, at most @max. */
static unsigned long vmap_blocks_take(struct kmm_vmap *v, struct vmap_chain *chain, gfp_t gfp,
				      unsigned int order, unsigned long max)
{
	struct page *page;
	unsigned long nr;

	gfp = (gfp & ~__GFP_DIRECT_RECLAIM) | __GFP_NORETRY | __GFP_NOWARN;
	for (nr = 0; nr < max; nr++) {
		page = kmm_buddy_alloc(v->buddy, gfp, order);
		if (!page)
			break;
		vmap_chain_add(v, chain, page);
	}
	return nr;
}

static bool vmap_pages_take(struct kmm_vmap *v, struct vmap_chain *chain, gfp_t gfp,
			    unsigned long nr)
{
	struct page *pages[FRAME_BATCH], *page;
	unsigned long got, i;

	while (nr > 1) {
		memset(pages, 0, sizeof(pages));
		got = kmm_buddy_alloc_bulk(v->buddy, gfp, min_t(unsigned long, nr, FRAME_BATCH),
					   pages);
		for (i = 0; i < got; i++)
			vmap_chain_add(v, chain, pages[i]);
		nr -= got;
		if (got < FRAME_BATCH && nr)
			break;
	}
	while (nr--) {
		page = kmm_buddy_alloc(v->buddy, gfp, 0);
		if (!page)
			return false;
		vmap_chain_add(v, chain, page);
	}
	return true;
}

/* All frames of an area, the largest blocks first; those of 2 MiB are counted in @nr_huge. */
static u32 vmap_frames_take(struct kmm_vmap *v, gfp_t gfp, unsigned long nr, bool huge,
			    u32 *nr_huge)
{
	struct vmap_chain chain = { .first = KMM_LIST_END };
	struct vmap_batch batch;

	batch.nr = 0;
	*nr_huge = 0;
	if (huge) {
		*nr_huge = vmap_blocks_take(v, &chain, gfp, KMM_VMAP_HUGE_ORDER,
					    nr >> KMM_VMAP_HUGE_ORDER);
		nr -= (unsigned long)*nr_huge << KMM_VMAP_HUGE_ORDER;
	}
	if (nr >> BLOCK_ORDER)
		nr -= vmap_blocks_take(v, &chain, gfp, BLOCK_ORDER, nr >> BLOCK_ORDER) <<
		      BLOCK_ORDER;
	if (vmap_pages_take(v, &chain, gfp, nr))
		return chain.first;
	vmap_frames_free(v, &batch, chain.first);
	vmap_batch_free(v, &batch);
	return KMM_LIST_END;
}

/* Entries for the frames of @a, whose addresses have none. */
static void vmap_frames_map(struct kmm_vmap *v, struct kmm_vmap_area *a, pgprot_t prot)
{
	bool slots = kmm_vmap_part(v, a->start) == KMM_VMAP_PART_HUGE;
	unsigned long addr = a->start;
	u32 index = a->frames;

	while (index != KMM_LIST_END) {
		struct kmm_frame *f = &v->region->frames[index];
		struct page *page = kmm_region_page(v->region, index);
		unsigned int order = kmm_frame_order(f);

		if (slots && order == KMM_VMAP_HUGE_ORDER) {
			kmm_window_map_huge(&v->window, addr, page, prot);
		} else {
			/* Blocks get smaller from one to the next: none lies in two slots. */
			if (slots && !(addr & ~PMD_MASK))
				kmm_window_attach(&v->window, addr);
			kmm_window_map_block(&v->window, addr, page, 1UL << order, prot);
		}
		addr += PAGE_SIZE << order;
		index = f->next;
	}
}

/* === Lazy freeing === */

static void vmap_unmap(struct kmm_vmap *v, struct kmm_vmap_area *a)
{
	if (kmm_vmap_part(v, a->start) == KMM_VMAP_PART_HUGE)
		kmm_window_clear_slots(&v->window, a->start, a->nr_pages >> KMM_VMAP_HUGE_ORDER);
	else
		kmm_window_unmap(&v->window, a->start, a->nr_mapped);
}

/* Own frames of a lazy area. */
static inline unsigned long vmap_lazy_frames(const struct kmm_vmap_area *a)
{
	return a->frames == KMM_LIST_END ? 0 : a->nr_mapped;
}

/**
 * kmm_vmap_lazy_add() - Let an area wait for the next purge.
 * @v: vmalloc
 * @a: area that is lazy and has no entry
 *
 * Context: any but NMI. Return: it is time for a purge: call kmm_vmap_purge_soon().
 */
bool kmm_vmap_lazy_add(struct kmm_vmap *v, struct kmm_vmap_area *a)
{
	unsigned long flags, nr_pages;
	struct kmm_vmap_cpu *c = kmm_vmap_cpu_lock(v, &flags);
	bool full;

	a->next = c->lazy;
	c->lazy = a;
	c->lazy_frames += vmap_lazy_frames(a);
	c->lazy_single += vmap_lazy_frames(a) & (BIT(BLOCK_ORDER) - 1);
	c->lazy_pages += a->nr_pages;
	c->event[KMM_VMAP_FREE]++;
	nr_pages = c->lazy_pages;
	full = c->lazy_frames > v->lazy_max || c->lazy_single > v->lazy_single_max ||
	       nr_pages > v->lazy_pages_max;
	kmm_vmap_cpu_unlock(c, flags);
	trace_free_vmap_area_noflush(a->start, nr_pages, v->lazy_pages_max);
	return full;
}

static struct kmm_vmap_area *vmap_lazy_steal(struct kmm_vmap *v, unsigned long *nr_pages)
{
	struct kmm_vmap_area *list = NULL, *a;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct kmm_vmap_cpu *c = per_cpu_ptr(v->cpu, cpu);

		spin_lock_irq(&c->lock);
		a = c->lazy;
		c->lazy = NULL;
		*nr_pages += c->lazy_pages;
		c->lazy_pages = 0;
		c->lazy_frames = 0;
		c->lazy_single = 0;
		spin_unlock_irq(&c->lock);
		while (a) {
			struct kmm_vmap_area *next = a->next;

			a->next = list;
			list = a;
			a = next;
		}
	}
	return list;
}

/**
 * kmm_vmap_purge() - Flush, and give lazily freed frames and addresses back.
 * @v: vmalloc
 *
 * When it returns no TLB has an entry that was taken out before the call.
 *
 * Context: task, may sleep; may be called by reclaim. Return: frames given back.
 */
unsigned long kmm_vmap_purge(struct kmm_vmap *v)
{
	unsigned long nr_pages = 0, nr_frames = 0, nr_areas = 0;
	unsigned long lowest = ULONG_MAX, highest = 0;
	struct kmm_vmap_area *a, *list;
	struct vmap_batch batch;

	mutex_lock(&v->purge_lock);
	list = vmap_lazy_steal(v, &nr_pages);
	if (list || READ_ONCE(v->ram_dirty)) {
		WRITE_ONCE(v->ram_dirty, 0);
		kmm_tlb_flush_window(v->set, nr_pages);
	}
	batch.nr = 0;
	for (a = list; a; a = a->next) {
		lowest = min(lowest, a->start);
		highest = max(highest, kmm_vmap_end(a));
		nr_frames += vmap_lazy_frames(a);
		nr_areas++;
		vmap_frames_free(v, &batch, a->frames);
	}
	vmap_batch_free(v, &batch);
	kmm_vmap_areas_put(v, list);
	mutex_unlock(&v->purge_lock);
	if (!list)
		return 0;
	kmm_vmap_count(v, KMM_VMAP_PURGE, 1);
	kmm_vmap_count(v, KMM_VMAP_PURGED_PAGES, nr_pages);
	trace_purge_vmap_area_lazy(lowest, highest, nr_areas);
	return nr_frames;
}
KMM_EXPORT_INTERNAL(kmm_vmap_purge);

/**
 * kmm_vmap_purge_soon() - Purge now, or as soon as it may sleep.
 * @v: vmalloc
 *
 * Context: any but NMI.
 */
void kmm_vmap_purge_soon(struct kmm_vmap *v)
{
	if (in_interrupt() || irqs_disabled())
		schedule_work(&v->work);
	else
		kmm_vmap_purge(v);
}

/* === Areas === */

/* The pool's index is what the area can map: one page less than it has. */
static struct kmm_vmap_area *vmap_pool_take(struct kmm_vmap *v, unsigned long nr_mapped)
{
	unsigned long flags;
	struct kmm_vmap_cpu *c = kmm_vmap_cpu_lock(v, &flags);
	struct kmm_vmap_area *a = c->pool[nr_mapped];

	if (a) {
		c->pool[nr_mapped] = a->next;
		c->pool_pages -= a->nr_pages;
		c->event[KMM_VMAP_ALLOC]++;
		c->event[KMM_VMAP_POOL_HIT]++;
	}
	kmm_vmap_cpu_unlock(c, flags);
	return a;
}

/* Addresses for @nr_mapped pages and a guard. */
static inline struct kmm_vmap_area *vmap_area_take(struct kmm_vmap *v, unsigned long nr_mapped,
						   bool huge)
{
	struct kmm_vmap_area *a = NULL;

	if (nr_mapped <= KMM_VMAP_POOL_PAGES)
		a = vmap_pool_take(v, nr_mapped);
	else if (huge && v->window.huge_nr)
		a = kmm_vmap_area_take_slow(v, KMM_VMAP_PART_HUGE,
					    round_up(nr_mapped + 1, HUGE_PAGES));
	if (!a)
		a = kmm_vmap_area_take_slow(v, KMM_VMAP_PART_SMALL, nr_mapped + 1);
	trace_alloc_vmap_area(a ? a->start : 0, nr_mapped * PAGE_SIZE, PAGE_SIZE, v->window.base,
			      v->window.base + v->window.nr_pages * PAGE_SIZE, !a);
	return a;
}

/* The used area of @kind that starts at @addr becomes lazy; NULL: there is none. */
static struct kmm_vmap_area *vmap_area_release(struct kmm_vmap *v, unsigned long addr,
					       enum kmm_vmap_kind kind)
{
	struct kmm_vmap_area *a;

	if (addr - v->window.base >= v->window.nr_pages * PAGE_SIZE || addr & ~PAGE_MASK)
		return NULL;
	/* Freed by mistake for the second time it may be on its way out of the table. */
	rcu_read_lock();
	a = READ_ONCE(v->area_of[kmm_vmap_page_index(v, addr)]);
	if (a && (a->start != addr || cmpxchg(&a->kind, kind, KMM_VMAP_LAZY) != kind))
		a = NULL;
	rcu_read_unlock();
	return a;
}

/**
 * kmm_vmap_report_bad() - Count and report an address that was refused.
 * @v: vmalloc
 * @addr: address
 * @what: name of the call
 *
 * Context: any but NMI.
 */
noinline void kmm_vmap_report_bad(struct kmm_vmap *v, const void *addr, const char *what)
{
	kmm_vmap_count(v, KMM_VMAP_BAD_FREE, 1);
	if (!kmm_report_allowed(KMM_REPORT_VMAP))
		return;
	pr_err("==================================================================\n");
	pr_err("BUG: KMM: bad %s of %#lx: no such area; nothing was freed\n\n", what,
	       (unsigned long)addr);
	dump_stack();
	pr_err("==================================================================\n");
}

/* === vmalloc === */

static noinline bool vmap_fill(struct kmm_vmap *v, struct kmm_vmap_area *a, unsigned long nr,
			       gfp_t gfp, pgprot_t prot)
{
	a->frames = vmap_frames_take(v, gfp, nr, kmm_vmap_part(v, a->start) == KMM_VMAP_PART_HUGE,
				     &a->nr_huge);
	if (a->frames == KMM_LIST_END)
		return false;
	vmap_frames_map(v, a, prot);
	if (a->nr_huge)
		kmm_vmap_count(v, KMM_VMAP_HUGE, a->nr_huge);
	return true;
}

/* The same for one page, the most frequent size. */
static inline bool vmap_fill_one(struct kmm_vmap *v, struct kmm_vmap_area *a, gfp_t gfp,
				 pgprot_t prot)
{
	struct vmap_chain chain = { .first = KMM_LIST_END };
	struct page *page = kmm_buddy_alloc(v->buddy, gfp, 0);

	if (unlikely(!page))
		return false;
	vmap_chain_add(v, &chain, page);
	a->frames = chain.first;
	a->nr_huge = 0;
	kmm_window_map_block(&v->window, a->start, page, 1, prot);
	return true;
}

static noinline void *vmap_alloc_hooks(struct kmm_vmap *v, struct kmm_vmap_area *a, gfp_t gfp)
{
	void *addr = (void *)a->start;

	kmm_hook_vmap_alloc(v->region, addr, (unsigned long)a->nr_mapped << PAGE_SHIFT, gfp,
			    a->caller);
	return addr;
}

static noinline void vmap_free_hooks(struct kmm_vmap *v, struct kmm_vmap_area *a)
{
	kmm_hook_vmap_free(v->region, (void *)a->start, (unsigned long)a->nr_mapped << PAGE_SHIFT);
}

/**
 * kmm_vmap_alloc() - Frames at kernel addresses that follow each other.
 * @v: vmalloc
 * @size_bytes: size, rounded up to pages
 * @gfp: Linux GFP flags; __GFP_ZERO is honoured
 * @prot: rights of the mapping
 * @caller: for vmallocinfo
 *
 * Context: task, may sleep. Return: address, or NULL: no frames, no addresses, or size 0.
 */
void *kmm_vmap_alloc(struct kmm_vmap *v, unsigned long size_bytes, gfp_t gfp, pgprot_t prot,
		     void *caller)
{
	unsigned long nr = (size_bytes >> PAGE_SHIFT) + !!offset_in_page(size_bytes);
	struct kmm_vmap_area *a;

	if (!nr || nr > v->region->nr_frames || kmm_should_fail())
		return NULL;
	a = vmap_area_take(v, nr, true);
	if (!a)
		return NULL;
	if (nr == 1 ? vmap_fill_one(v, a, gfp, prot) :
		      vmap_fill(v, a, nr, gfp, prot)) {
		kmm_vmap_area_publish(v, a, nr, KMM_VMAP_VMALLOC, prot, caller);
		if (static_branch_unlikely(&kmm_vmap_key))
			return vmap_alloc_hooks(v, a, gfp);
		return (void *)a->start;
	}
	/* No entry was written: no TLB knows it. */
	kmm_vmap_area_put(v, a);
	return NULL;
}
KMM_EXPORT_INTERNAL(kmm_vmap_alloc);

/**
 * kmm_vmap_free() - Undo kmm_vmap_alloc().
 * @v: vmalloc
 * @addr: what it returned
 *
 * The frames come back with the next purge.
 *
 * Context: any but NMI; outside of interrupts it may sleep.
 * Return: false, and a report, when there is no such area.
 */
bool kmm_vmap_free(struct kmm_vmap *v, const void *addr)
{
	struct kmm_vmap_area *a = vmap_area_release(v, (unsigned long)addr, KMM_VMAP_VMALLOC);

	if (unlikely(!a)) {
		kmm_vmap_report_bad(v, addr, "vfree");
		return false;
	}
	if (static_branch_unlikely(&kmm_vmap_key))
		vmap_free_hooks(v, a);
	vmap_unmap(v, a);
	if (unlikely(kmm_vmap_lazy_add(v, a)))
		kmm_vmap_purge_soon(v);
	return true;
}
KMM_EXPORT_INTERNAL(kmm_vmap_free);

/* === vmap === */

/**
 * kmm_vmap_map() - Show pages of the caller at kernel addresses that follow each other.
 * @v: vmalloc
 * @pages: pages, of the region or of the host; they stay the caller's
 * @nr_pages: how many
 * @prot: rights
 * @caller: for vmallocinfo
 *
 * Context: task, may sleep. Return: address, or NULL: no addresses, or no page.
 */
void *kmm_vmap_map(struct kmm_vmap *v, struct page **pages, unsigned int nr_pages,
		   pgprot_t prot, void *caller)
{
	struct kmm_vmap_area *a;

	if (!nr_pages || nr_pages >= v->window.nr_pages || kmm_should_fail())
		return NULL;
	a = vmap_area_take(v, nr_pages, false);
	if (!a)
		return NULL;
	a->frames = KMM_LIST_END;
	a->nr_huge = 0;
	kmm_window_map(&v->window, a->start, pages, nr_pages, prot);
	kmm_vmap_area_publish(v, a, nr_pages, KMM_VMAP_VMAP, prot, caller);
	return (void *)a->start;
}
KMM_EXPORT_INTERNAL(kmm_vmap_map);

/**
 * kmm_vmap_unmap() - Undo kmm_vmap_map().
 * @v: vmalloc
 * @addr: what it returned
 *
 * A TLB may know the addresses until the next purge: as in Linux, whoever cannot live with
 * that calls kmm_vm_unmap_aliases() before it gives the pages away.
 *
 * Context: task, may sleep. Return: false, and a report, when there is no such area.
 */
bool kmm_vmap_unmap(struct kmm_vmap *v, const void *addr)
{
	struct kmm_vmap_area *a = vmap_area_release(v, (unsigned long)addr, KMM_VMAP_VMAP);

	if (unlikely(!a)) {
		kmm_vmap_report_bad(v, addr, "vunmap");
		return false;
	}
	vmap_unmap(v, a);
	if (unlikely(kmm_vmap_lazy_add(v, a)))
		kmm_vmap_purge_soon(v);
	return true;
}
KMM_EXPORT_INTERNAL(kmm_vmap_unmap);

/* === Looking === */

/**
 * kmm_vmap_page() - The page at an address.
 * @v: vmalloc
 * @addr: any kernel address
 *
 * Context: any. Return: page, or NULL.
 */
struct page *kmm_vmap_page(struct kmm_vmap *v, const void *addr)
{
	return kmm_window_page(&v->window, (unsigned long)addr);
}
KMM_EXPORT_INTERNAL(kmm_vmap_page);

/**
 * kmm_vmap_window() - The window below.
 * @v: vmalloc
 *
 * Context: any. Return: window, for tests and views.
 */
struct kmm_window *kmm_vmap_window(struct kmm_vmap *v)
{
	return &v->window;
}
KMM_EXPORT_INTERNAL(kmm_vmap_window);

/* === Clients === */

/**
 * kmm_vmap_set_client() - The instance that serves kmm_vmalloc() and its like.
 * @v: vmalloc, or NULL for none
 *
 * Context: init and exit.
 */
void kmm_vmap_set_client(struct kmm_vmap *v)
{
	WRITE_ONCE(vmap_client, v);
}

/**
 * __kmm_vmalloc() - __vmalloc() on kmm's region.
 * @size: bytes
 * @gfp: Linux GFP flags
 *
 * Context: task, may sleep. Return: memory, or NULL.
 */
void *__kmm_vmalloc(unsigned long size, gfp_t gfp)
{
	struct kmm_vmap *v = READ_ONCE(vmap_client);

	return v ? kmm_vmap_alloc(v, size, gfp, PAGE_KERNEL, __builtin_return_address(0)) : NULL;
}
EXPORT_SYMBOL_GPL(__kmm_vmalloc);

/**
 * kmm_vmalloc() - vmalloc() on kmm's region.
 * @size: bytes
 *
 * Context: task, may sleep. Return: memory, or NULL.
 */
void *kmm_vmalloc(unsigned long size)
{
	struct kmm_vmap *v = READ_ONCE(vmap_client);

	return v ? kmm_vmap_alloc(v, size, GFP_KERNEL, PAGE_KERNEL,
				  __builtin_return_address(0)) : NULL;
}
EXPORT_SYMBOL_GPL(kmm_vmalloc);

/**
 * kmm_vzalloc() - vzalloc() on kmm's region.
 * @size: bytes
 *
 * Context: task, may sleep. Return: zeroed memory, or NULL.
 */
void *kmm_vzalloc(unsigned long size)
{
	struct kmm_vmap *v = READ_ONCE(vmap_client);

	return v ? kmm_vmap_alloc(v, size, GFP_KERNEL | __GFP_ZERO, PAGE_KERNEL,
				  __builtin_return_address(0)) : NULL;
}
EXPORT_SYMBOL_GPL(kmm_vzalloc);

/**
 * kmm_vfree() - vfree() on kmm's region.
 * @addr: memory of kmm_vmalloc() and its like, or NULL
 *
 * Context: any but NMI; outside of interrupts it may sleep.
 */
void kmm_vfree(const void *addr)
{
	struct kmm_vmap *v = READ_ONCE(vmap_client);

	if (v && addr)
		kmm_vmap_free(v, addr);
}
EXPORT_SYMBOL_GPL(kmm_vfree);

/**
 * kmm_vmap() - vmap() in kmm's window.
 * @pages: pages
 * @count: how many
 * @flags: VM_MAP; VM_MAP_PUT_PAGES is refused
 * @prot: rights
 *
 * Context: task, may sleep. Return: address, or NULL.
 */
void *kmm_vmap(struct page **pages, unsigned int count, unsigned long flags, pgprot_t prot)
{
	struct kmm_vmap *v = READ_ONCE(vmap_client);

	if (!v || flags & ~VM_MAP)
		return NULL;
	return kmm_vmap_map(v, pages, count, prot, __builtin_return_address(0));
}
EXPORT_SYMBOL_GPL(kmm_vmap);

/**
 * kmm_vunmap() - vunmap() in kmm's window.
 * @addr: what kmm_vmap() returned, or NULL
 *
 * Context: task, may sleep.
 */
void kmm_vunmap(const void *addr)
{
	struct kmm_vmap *v = READ_ONCE(vmap_client);

	if (v && addr)
		kmm_vmap_unmap(v, addr);
}
EXPORT_SYMBOL_GPL(kmm_vunmap);

/**
 * kmm_vm_map_ram() - vm_map_ram() in kmm's window.
 * @pages: pages
 * @count: how many
 * @node: ignored
 *
 * Context: task, may sleep. Return: address, or NULL.
 */
void *kmm_vm_map_ram(struct page **pages, unsigned int count, int node)
{
	struct kmm_vmap *v = READ_ONCE(vmap_client);

	return v ? kmm_vmap_map_ram(v, pages, count) : NULL;
}
EXPORT_SYMBOL_GPL(kmm_vm_map_ram);

/**
 * kmm_vm_unmap_ram() - vm_unmap_ram() in kmm's window.
 * @mem: what kmm_vm_map_ram() returned
 * @count: what it was given
 *
 * Context: task, may sleep.
 */
void kmm_vm_unmap_ram(const void *mem, unsigned int count)
{
	struct kmm_vmap *v = READ_ONCE(vmap_client);

	if (v)
		kmm_vmap_unmap_ram(v, mem, count);
}
EXPORT_SYMBOL_GPL(kmm_vm_unmap_ram);

/**
 * kmm_vm_unmap_aliases() - vm_unmap_aliases() of kmm's window.
 *
 * Context: task, may sleep.
 */
void kmm_vm_unmap_aliases(void)
{
	struct kmm_vmap *v = READ_ONCE(vmap_client);

	if (v)
		kmm_vmap_unmap_aliases(v);
}
EXPORT_SYMBOL_GPL(kmm_vm_unmap_aliases);

/**
 * kmm_vmalloc_to_page() - vmalloc_to_page() of kmm's window.
 * @addr: any address
 *
 * Context: any. Return: page, or NULL.
 */
struct page *kmm_vmalloc_to_page(const void *addr)
{
	struct kmm_vmap *v = READ_ONCE(vmap_client);

	return v ? kmm_vmap_page(v, addr) : NULL;
}
EXPORT_SYMBOL_GPL(kmm_vmalloc_to_page);
