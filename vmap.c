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
 * What this deliberately does not do: no ioremap, no huge vmap of a client's pages, no
 * VM_MAP_PUT_PAGES, no NUMA, no alignment above the page but for slots.
 */

#define pr_fmt(fmt) "kmm: vmap: " fmt

#include <linux/gfp.h>
#include <linux/interrupt.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rbtree_augmented.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <asm/tlbflush.h>

#include <compat/compat.h>
#include <kmm/assert.h>
#include <kmm/buddy.h>
#include <kmm/debug_pagealloc.h>
#include <kmm/hooks.h>
#include <kmm/inject.h>
#include <kmm/kmm.h>
#include <kmm/report.h>
#include <kmm/vmap.h>
#include <uapi/kmm.h>
#include <trace/events/kmm.h>

/* === Data === */

/* Frames that wait for a flush: this part of the region at most. */
#define LAZY_SHARE		16
/* The same of the window's addresses, and on one CPU no more than this. */
#define LAZY_WINDOW_SHARE	4
#define LAZY_PAGES_MAX		4096UL
/* Addresses that wait in pools: this part of the lower half of the window. */
#define POOL_SHARE		4

/* Frames are taken in blocks of these orders, as far as they go; the buddy caches both per CPU. */
#define BLOCK_ORDER		3
#define HUGE_ORDER		9
#define HUGE_PAGES		BIT(HUGE_ORDER)

/* Single frames of one call to the buddy. */
#define FRAME_BATCH		16

/* Areas that go into a pool under one hold of its lock. */
#define POOL_BATCH		32

/* Pages of a block of vm_map_ram, and of the longest run that comes from one. */
#define RAM_BLOCK_PAGES		512
#define RAM_RUN_PAGES		64

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

/**
 * struct kmm_vmap_area - a run of addresses
 * @start: first address
 * @nr_pages: pages of address space, the guard's included
 * @nr_mapped: frames or pages that it shows
 * @frames: first of its own frames, linked by frame.next; KMM_LIST_END for none
 * @kind: enum kmm_vmap_kind; from used to lazy by cmpxchg, so that only one free succeeds
 * @writable: its entries are
 * @exec: its entries are
 * @nr_huge: 2 MiB leaves
 * @caller: who asked
 * @next: on a pool's stack, on a lazy list
 * @node: in the tree of its part
 * @max_pages: largest area of the tree below and at this node
 * @used: RAM block: pages given out so far; protected by @lock
 * @live: RAM block: pages given out and not taken back; protected by @lock
 * @cpu: RAM block: whose it is or was, its lock protects the block
 * @rcu: merged into a neighbour: a free by mistake may still look at @kind
 */
struct kmm_vmap_area {
	unsigned long start;
	unsigned long nr_pages;
	unsigned long nr_mapped;
	u32 frames;
	u32 kind;
	bool writable;
	bool exec;
	u32 nr_huge;
	void *caller;
	union {
		struct kmm_vmap_area *next;
		struct {
			struct rb_node node;
			unsigned long max_pages;
		};
		struct {
			u32 used;
			u32 live;
			struct vmap_cpu *cpu;
		};
		struct rcu_head rcu;
	};
};

static_assert(sizeof(struct kmm_vmap_area) <= KMM_VMAP_AREA_BYTES);

/**
 * struct vmap_cpu - what one CPU has at hand
 * @lock: protects the rest; interrupts off
 * @pool: areas by the pages that they can map
 * @pool_pages: addresses in them
 * @lazy: freed areas
 * @lazy_frames: their frames
 * @lazy_single: of these, ones that will come back one by one
 * @lazy_pages: their addresses
 * @block: current block of vm_map_ram
 * @event: counters
 */
struct vmap_cpu {
	spinlock_t lock;	/* protects what this CPU has at hand */
	struct kmm_vmap_area *pool[KMM_VMAP_POOL_PAGES + 1];
	unsigned long pool_pages;
	struct kmm_vmap_area *lazy;
	unsigned long lazy_frames;
	unsigned long lazy_single;
	unsigned long lazy_pages;
	struct kmm_vmap_area *block;
	u64 event[KMM_NR_VMAP_EVENTS];
};

/* The parts of the window. */
enum vmap_part { PART_SMALL, PART_HUGE, NR_PARTS };

/**
 * struct kmm_vmap - vmalloc on one window
 * @window: entries
 * @region: frames; immutable
 * @buddy: where they come from; immutable
 * @set: for the ledger of flushes; immutable
 * @area_of: by page of the window: the area that starts there and is not in a tree; a RAM block
 *	stands at all its pages
 * @cpu: per-CPU
 * @lazy_max: frames that one CPU may have waiting; immutable
 * @lazy_single_max: single ones: what a purge gives back should fit into the buddy's cache
 * @lazy_pages_max: addresses likewise; 0 with debug_pagealloc: each free purges; immutable
 * @ram_run_max: RAM_RUN_PAGES; 0 with debug_pagealloc: runs have guards, and each unmapping
 *	purges; immutable
 * @pool_max: addresses that one CPU may have in pools; immutable
 * @ram_dirty: runs of vm_map_ram were taken back since the last flush
 * @work: a purge that could not be made on the spot
 * @purge_lock: one purge at a time
 * @lock: protects @free, and areas in it
 * @free: trees of free areas
 * @nr_free: their pages
 */
struct kmm_vmap {
	struct kmm_window window;
	struct kmm_region *region;
	struct kmm_buddy *buddy;
	struct kmm_pgtables *set;
	struct kmm_vmap_area **area_of;
	struct vmap_cpu __percpu *cpu;
	unsigned long lazy_max;
	unsigned long lazy_single_max;
	unsigned long lazy_pages_max;
	unsigned int ram_run_max;
	unsigned long pool_max;
	unsigned long ram_dirty;
	struct work_struct work;
	struct mutex purge_lock;	/* serialises purges */
	spinlock_t lock ____cacheline_aligned;
	struct rb_root free[NR_PARTS];
	unsigned long nr_free[NR_PARTS];
};

static struct kmm_vmap *vmap_client;

/* === Small helpers === */

static inline unsigned long vmap_page_index(const struct kmm_vmap *v, unsigned long addr)
{
	return (addr - v->window.base) >> PAGE_SHIFT;
}

static inline enum vmap_part vmap_part(const struct kmm_vmap *v, unsigned long addr)
{
	return v->window.huge_nr && addr >= v->window.huge_first ? PART_HUGE : PART_SMALL;
}

static __always_inline struct vmap_cpu *vmap_cpu_lock(struct kmm_vmap *v, unsigned long *flags)
{
	struct vmap_cpu *c;

	local_irq_save(*flags);
	c = this_cpu_ptr(v->cpu);
	spin_lock(&c->lock);
	return c;
}

static __always_inline void vmap_cpu_unlock(struct vmap_cpu *c, unsigned long flags)
{
	spin_unlock_irqrestore(&c->lock, flags);
}

static void vmap_count(struct kmm_vmap *v, enum kmm_vmap_event event, unsigned long nr)
{
	unsigned long flags;
	struct vmap_cpu *c = vmap_cpu_lock(v, &flags);

	c->event[event] += nr;
	vmap_cpu_unlock(c, flags);
}

/* === Free trees === */

static inline unsigned long vmap_area_size(struct kmm_vmap_area *a)
{
	return a->nr_pages;
}

RB_DECLARE_CALLBACKS_MAX(static, vmap_augment, struct kmm_vmap_area, node, unsigned long,
			 max_pages, vmap_area_size)

static inline struct kmm_vmap_area *vmap_node(struct rb_node *n)
{
	return n ? rb_entry(n, struct kmm_vmap_area, node) : NULL;
}

static inline unsigned long vmap_end(const struct kmm_vmap_area *a)
{
	return a->start + a->nr_pages * PAGE_SIZE;
}

static inline unsigned long vmap_max_below(struct rb_node *n)
{
	return n ? rb_entry(n, struct kmm_vmap_area, node)->max_pages : 0;
}

/* The lowest free area that is large enough. */
static struct kmm_vmap_area *vmap_tree_find(struct rb_root *root, unsigned long nr_pages)
{
	struct rb_node *n = root->rb_node;

	if (vmap_max_below(n) < nr_pages)
		return NULL;
	for (;;) {
		if (vmap_max_below(n->rb_left) >= nr_pages) {
			n = n->rb_left;
			continue;
		}
		if (vmap_node(n)->nr_pages >= nr_pages)
			return vmap_node(n);
		n = n->rb_right;
	}
}

/*
 * A new size for an area that stays where it is in the order. RB_DECLARE_CALLBACKS_MAX looks at
 * max_pages of the node itself only through this.
 */
static void vmap_tree_resized(struct kmm_vmap_area *a)
{
	vmap_augment_propagate(&a->node, NULL);
}

/* Gives addresses back, merged with what is free beside them. Frees @a when it was merged. */
static void vmap_tree_add_locked(struct kmm_vmap *v, struct kmm_vmap_area *a)
{
	enum vmap_part part = vmap_part(v, a->start);
	struct rb_root *root = &v->free[part];
	struct rb_node **link = &root->rb_node, *parent = NULL;
	struct kmm_vmap_area *before = NULL, *behind = NULL;

	lockdep_assert_held(&v->lock);
	v->nr_free[part] += a->nr_pages;
	while (*link) {
		parent = *link;
		if (a->start < vmap_node(parent)->start) {
			behind = vmap_node(parent);
			link = &parent->rb_left;
		} else {
			before = vmap_node(parent);
			link = &parent->rb_right;
		}
	}
	if (before && vmap_end(before) != a->start)
		before = NULL;
	if (behind && behind->start != vmap_end(a))
		behind = NULL;
	if (before) {
		before->nr_pages += a->nr_pages;
		kfree_rcu(a, rcu);
		if (behind) {
			before->nr_pages += behind->nr_pages;
			rb_erase_augmented(&behind->node, root, &vmap_augment);
			kfree_rcu(behind, rcu);
		}
		vmap_tree_resized(before);
	} else if (behind) {
		behind->start = a->start;
		behind->nr_pages += a->nr_pages;
		kfree_rcu(a, rcu);
		vmap_tree_resized(behind);
	} else {
		a->max_pages = a->nr_pages;
		rb_link_node(&a->node, parent, link);
		vmap_augment_propagate(parent, NULL);
		rb_insert_augmented(&a->node, root, &vmap_augment);
	}
}

/*
 * Takes @nr_pages of addresses. @spare becomes the area, unless a free one fits exactly;
 * it is then left to the caller.
 */
static struct kmm_vmap_area *vmap_tree_take_locked(struct kmm_vmap *v, enum vmap_part part,
						   unsigned long nr_pages,
						   struct kmm_vmap_area **spare)
{
	struct kmm_vmap_area *a = vmap_tree_find(&v->free[part], nr_pages), *taken;

	lockdep_assert_held(&v->lock);
	if (!a)
		return NULL;
	v->nr_free[part] -= nr_pages;
	if (a->nr_pages == nr_pages) {
		rb_erase_augmented(&a->node, &v->free[part], &vmap_augment);
		return a;
	}
	taken = *spare;
	*spare = NULL;
	taken->start = a->start;
	taken->nr_pages = nr_pages;
	a->start += nr_pages * PAGE_SIZE;
	a->nr_pages -= nr_pages;
	vmap_tree_resized(a);
	return taken;
}

static void vmap_tree_add(struct kmm_vmap *v, struct kmm_vmap_area *a)
{
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	v->area_of[vmap_page_index(v, a->start)] = NULL;
	vmap_tree_add_locked(v, a);
	spin_unlock_irqrestore(&v->lock, flags);
}

static struct kmm_vmap_area *vmap_tree_take(struct kmm_vmap *v, enum vmap_part part,
					    unsigned long nr_pages, struct kmm_vmap_area **spare)
{
	struct kmm_vmap_area *a;
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	a = vmap_tree_take_locked(v, part, nr_pages, spare);
	if (a) {
		a->kind = KMM_VMAP_FREE_SPACE;
		v->area_of[vmap_page_index(v, a->start)] = a;
	}
	spin_unlock_irqrestore(&v->lock, flags);
	return a;
}

/* === Pools === */

/* The pool's index is what the area can map: one page less than it has. */
static struct kmm_vmap_area *vmap_pool_take(struct kmm_vmap *v, unsigned long nr_mapped)
{
	unsigned long flags;
	struct vmap_cpu *c = vmap_cpu_lock(v, &flags);
	struct kmm_vmap_area *a = c->pool[nr_mapped];

	if (a) {
		c->pool[nr_mapped] = a->next;
		c->pool_pages -= a->nr_pages;
		c->event[KMM_VMAP_ALLOC]++;
		c->event[KMM_VMAP_POOL_HIT]++;
	}
	vmap_cpu_unlock(c, flags);
	return a;
}

static inline bool vmap_pool_fits(const struct kmm_vmap *v, const struct vmap_cpu *c,
				  const struct kmm_vmap_area *a)
{
	return a->nr_pages <= KMM_VMAP_POOL_PAGES + 1 && vmap_part(v, a->start) == PART_SMALL &&
	       c->pool_pages + a->nr_pages <= v->pool_max;
}

/* Addresses that are nobody's and in no TLB: a list of areas, linked by next. */
static void vmap_areas_put(struct kmm_vmap *v, struct kmm_vmap_area *list)
{
	struct kmm_vmap_area *a;
	unsigned long flags;
	struct vmap_cpu *c;
	unsigned int i;

	while (list) {
		c = vmap_cpu_lock(v, &flags);
		/* As many as one may hold the lock for. */
		for (i = 0; i < POOL_BATCH && list && vmap_pool_fits(v, c, list); i++) {
			a = list;
			list = a->next;
			WRITE_ONCE(a->kind, KMM_VMAP_FREE_SPACE);
			a->next = c->pool[a->nr_pages - 1];
			c->pool[a->nr_pages - 1] = a;
			c->pool_pages += a->nr_pages;
		}
		vmap_cpu_unlock(c, flags);
		if (!list || i == POOL_BATCH)
			continue;
		a = list;
		list = a->next;
		WRITE_ONCE(a->kind, KMM_VMAP_FREE_SPACE);
		vmap_tree_add(v, a);
	}
}

/* One such area. */
static void vmap_area_put(struct kmm_vmap *v, struct kmm_vmap_area *a)
{
	a->next = NULL;
	vmap_areas_put(v, a);
}

/* All pools into the tree, where the addresses merge. */
static void vmap_pools_drain(struct kmm_vmap *v)
{
	struct kmm_vmap_area *a, *next, *list;
	unsigned int cpu, i;

	for_each_possible_cpu(cpu) {
		struct vmap_cpu *c = per_cpu_ptr(v->cpu, cpu);

		for (i = 0; i <= KMM_VMAP_POOL_PAGES; i++) {
			spin_lock_irq(&c->lock);
			list = c->pool[i];
			c->pool[i] = NULL;
			for (a = list; a; a = a->next)
				c->pool_pages -= a->nr_pages;
			spin_unlock_irq(&c->lock);
			for (a = list; a; a = next) {
				next = a->next;
				vmap_tree_add(v, a);
			}
		}
	}
}

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
		*nr_huge = vmap_blocks_take(v, &chain, gfp, HUGE_ORDER, nr >> HUGE_ORDER);
		nr -= (unsigned long)*nr_huge << HUGE_ORDER;
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
	bool slots = vmap_part(v, a->start) == PART_HUGE;
	unsigned long addr = a->start;
	u32 index = a->frames;

	while (index != KMM_LIST_END) {
		struct kmm_frame *f = &v->region->frames[index];
		struct page *page = kmm_region_page(v->region, index);
		unsigned int order = kmm_frame_order(f);

		if (slots && order == HUGE_ORDER) {
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
	if (vmap_part(v, a->start) == PART_HUGE)
		kmm_window_clear_slots(&v->window, a->start, a->nr_pages >> HUGE_ORDER);
	else
		kmm_window_unmap(&v->window, a->start, a->nr_mapped);
}

/* Own frames of a lazy area. */
static inline unsigned long vmap_lazy_frames(const struct kmm_vmap_area *a)
{
	return a->frames == KMM_LIST_END ? 0 : a->nr_mapped;
}

/* @a is lazy and has no entry. True when it is time for a purge. */
static bool vmap_lazy_add(struct kmm_vmap *v, struct kmm_vmap_area *a)
{
	unsigned long flags, nr_pages;
	struct vmap_cpu *c = vmap_cpu_lock(v, &flags);
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
	vmap_cpu_unlock(c, flags);
	trace_free_vmap_area_noflush(a->start, nr_pages, v->lazy_pages_max);
	return full;
}

static struct kmm_vmap_area *vmap_lazy_steal(struct kmm_vmap *v, unsigned long *nr_pages)
{
	struct kmm_vmap_area *list = NULL, *a;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct vmap_cpu *c = per_cpu_ptr(v->cpu, cpu);

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
		highest = max(highest, vmap_end(a));
		nr_frames += vmap_lazy_frames(a);
		nr_areas++;
		vmap_frames_free(v, &batch, a->frames);
	}
	vmap_batch_free(v, &batch);
	vmap_areas_put(v, list);
	mutex_unlock(&v->purge_lock);
	if (!list)
		return 0;
	vmap_count(v, KMM_VMAP_PURGE, 1);
	vmap_count(v, KMM_VMAP_PURGED_PAGES, nr_pages);
	trace_purge_vmap_area_lazy(lowest, highest, nr_areas);
	return nr_frames;
}
KMM_EXPORT_INTERNAL(kmm_vmap_purge);

static void vmap_purge_work(struct work_struct *work)
{
	kmm_vmap_purge(container_of(work, struct kmm_vmap, work));
}

/* Purge now, or as soon as it may sleep. */
static void vmap_purge_soon(struct kmm_vmap *v)
{
	if (in_interrupt() || irqs_disabled())
		schedule_work(&v->work);
	else
		kmm_vmap_purge(v);
}

/* === Areas === */

static struct kmm_vmap_area *vmap_area_alloc(void)
{
	struct kmm_vmap_area *a;

	a = kmm_should_fail() ? NULL : kzalloc(sizeof(*a), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (a)
		a->frames = KMM_LIST_END;
	return a;
}

/* Addresses that no pool had. What is lazy or scattered is brought together before giving up. */
static noinline struct kmm_vmap_area *vmap_area_take_slow(struct kmm_vmap *v,
							  enum vmap_part part,
							  unsigned long nr_pages)
{
	struct kmm_vmap_area *spare = vmap_area_alloc(), *a;

	if (!spare)
		return NULL;
	a = vmap_tree_take(v, part, nr_pages, &spare);
	if (!a) {
		kmm_vmap_unmap_aliases(v);
		a = vmap_tree_take(v, part, nr_pages, &spare);
	}
	if (!a) {
		vmap_pools_drain(v);
		a = vmap_tree_take(v, part, nr_pages, &spare);
	}
	kfree(spare);
	vmap_count(v, a ? KMM_VMAP_ALLOC : KMM_VMAP_NO_SPACE, 1);
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
		a = vmap_area_take_slow(v, PART_HUGE, round_up(nr_mapped + 1, HUGE_PAGES));
	if (!a)
		a = vmap_area_take_slow(v, PART_SMALL, nr_mapped + 1);
	trace_alloc_vmap_area(a ? a->start : 0, nr_mapped * PAGE_SIZE, PAGE_SIZE, v->window.base,
			      v->window.base + v->window.nr_pages * PAGE_SIZE, !a);
	return a;
}

static void vmap_area_publish(struct kmm_vmap *v, struct kmm_vmap_area *a, unsigned long nr_mapped,
			      enum kmm_vmap_kind kind, pgprot_t prot, void *caller)
{
	a->nr_mapped = nr_mapped;
	a->writable = pgprot_val(prot) & _PAGE_RW;
	a->exec = !(pgprot_val(prot) & _PAGE_NX);
	a->caller = caller;
	/* Whoever finds the kind finds the rest. Pairs with cmpxchg() in vmap_area_release(). */
	smp_store_release(&a->kind, kind);
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
	a = READ_ONCE(v->area_of[vmap_page_index(v, addr)]);
	if (a && (a->start != addr || cmpxchg(&a->kind, kind, KMM_VMAP_LAZY) != kind))
		a = NULL;
	rcu_read_unlock();
	return a;
}

static noinline void vmap_report_bad(struct kmm_vmap *v, const void *addr, const char *what)
{
	vmap_count(v, KMM_VMAP_BAD_FREE, 1);
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
	a->frames = vmap_frames_take(v, gfp, nr, vmap_part(v, a->start) == PART_HUGE,
				     &a->nr_huge);
	if (a->frames == KMM_LIST_END)
		return false;
	vmap_frames_map(v, a, prot);
	if (a->nr_huge)
		vmap_count(v, KMM_VMAP_HUGE, a->nr_huge);
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
		vmap_area_publish(v, a, nr, KMM_VMAP_VMALLOC, prot, caller);
		if (static_branch_unlikely(&kmm_vmap_key))
			return vmap_alloc_hooks(v, a, gfp);
		return (void *)a->start;
	}
	/* No entry was written: no TLB knows it. */
	vmap_area_put(v, a);
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
		vmap_report_bad(v, addr, "vfree");
		return false;
	}
	if (static_branch_unlikely(&kmm_vmap_key))
		vmap_free_hooks(v, a);
	vmap_unmap(v, a);
	if (unlikely(vmap_lazy_add(v, a)))
		vmap_purge_soon(v);
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
	vmap_area_publish(v, a, nr_pages, KMM_VMAP_VMAP, prot, caller);
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
		vmap_report_bad(v, addr, "vunmap");
		return false;
	}
	vmap_unmap(v, a);
	if (unlikely(vmap_lazy_add(v, a)))
		vmap_purge_soon(v);
	return true;
}
KMM_EXPORT_INTERNAL(kmm_vmap_unmap);

/* === vm_map_ram === */

/* A block whose addresses are used up and free again, or that is taken out of use. */
static void vmap_ram_retire(struct kmm_vmap *v, struct kmm_vmap_area *a)
{
	unsigned long first = vmap_page_index(v, a->start);

	/* Only the start is found from now on, as with every area. */
	memset(&v->area_of[first + 1], 0, (RAM_BLOCK_PAGES - 1) * sizeof(*v->area_of));
	WRITE_ONCE(a->kind, KMM_VMAP_LAZY);
	if (vmap_lazy_add(v, a))
		vmap_purge_soon(v);
}

/* No more runs from the current block of @c; true when it can be retired at once. */
static bool vmap_ram_close_locked(struct vmap_cpu *c)
{
	struct kmm_vmap_area *a = c->block;

	lockdep_assert_held(&c->lock);
	c->block = NULL;
	a->used = RAM_BLOCK_PAGES;
	return !a->live;
}

static bool vmap_ram_open(struct kmm_vmap *v)
{
	struct kmm_vmap_area *a = vmap_area_take_slow(v, PART_SMALL, RAM_BLOCK_PAGES), *old;
	unsigned long first, i, flags;
	struct vmap_cpu *c;
	bool idle = false;

	if (!a)
		return false;
	first = vmap_page_index(v, a->start);
	for (i = 0; i < RAM_BLOCK_PAGES; i++)
		WRITE_ONCE(v->area_of[first + i], a);
	a->frames = KMM_LIST_END;
	a->nr_huge = 0;
	a->used = 0;
	a->live = 0;
	vmap_area_publish(v, a, RAM_BLOCK_PAGES, KMM_VMAP_RAM, PAGE_KERNEL, NULL);

	c = vmap_cpu_lock(v, &flags);
	old = c->block;
	if (old)
		idle = vmap_ram_close_locked(c);
	a->cpu = c;
	c->block = a;
	vmap_cpu_unlock(c, flags);
	if (idle)
		vmap_ram_retire(v, old);
	return true;
}

/* @guard: pages behind the run that stay unmapped, known when compiling. */
static __always_inline void *vmap_map_ram(struct kmm_vmap *v, struct page **pages,
					  unsigned int nr_pages, unsigned int guard)
{
	unsigned long addr, flags;
	struct kmm_vmap_area *a;
	struct vmap_cpu *c;

	for (;;) {
		c = vmap_cpu_lock(v, &flags);
		a = c->block;
		if (likely(a && a->used + nr_pages + guard <= RAM_BLOCK_PAGES))
			break;
		vmap_cpu_unlock(c, flags);
		if (!vmap_ram_open(v))
			return NULL;
	}
	addr = a->start + a->used * PAGE_SIZE;
	a->used += nr_pages + guard;
	a->live += nr_pages;
	c->event[KMM_VMAP_ALLOC]++;
	vmap_cpu_unlock(c, flags);
	kmm_window_map(&v->window, addr, pages, nr_pages, PAGE_KERNEL);
	return (void *)addr;
}

/* More pages than a run of this instance has: with debug_pagealloc, as they may be, all. */
static noinline void *vmap_map_ram_slow(struct kmm_vmap *v, struct page **pages,
					unsigned int nr_pages, void *caller)
{
	if (nr_pages > RAM_RUN_PAGES)
		return kmm_vmap_map(v, pages, nr_pages, PAGE_KERNEL, caller);
	return vmap_map_ram(v, pages, nr_pages, 1);
}

/**
 * kmm_vmap_map_ram() - Show a few pages for a short time.
 * @v: vmalloc
 * @pages: pages; they stay the caller's
 * @nr_pages: how many; above RAM_RUN_PAGES an area of its own
 *
 * Context: task, may sleep. Return: address, or NULL.
 */
void *kmm_vmap_map_ram(struct kmm_vmap *v, struct page **pages, unsigned int nr_pages)
{
	if (unlikely(!nr_pages || kmm_should_fail()))
		return NULL;
	if (nr_pages > v->ram_run_max)
		return vmap_map_ram_slow(v, pages, nr_pages, __builtin_return_address(0));
	return vmap_map_ram(v, pages, nr_pages, 0);
}
KMM_EXPORT_INTERNAL(kmm_vmap_map_ram);

/* The block that has all of a run; NULL: none. */
static __always_inline struct kmm_vmap_area *
vmap_ram_find(struct kmm_vmap *v, unsigned long addr, unsigned int nr_pages)
{
	struct kmm_vmap_area *a;

	if (addr - v->window.base >= v->window.nr_pages * PAGE_SIZE || addr & ~PAGE_MASK)
		return NULL;
	a = READ_ONCE(v->area_of[vmap_page_index(v, addr)]);
	if (!a || READ_ONCE(a->kind) != KMM_VMAP_RAM || !kmm_window_entry(&v->window, addr, NULL))
		return NULL;
	return nr_pages <= RAM_RUN_PAGES && addr + nr_pages * PAGE_SIZE <= vmap_end(a) ? a : NULL;
}

static __always_inline void vmap_unmap_ram(struct kmm_vmap *v, const void *addr,
					   unsigned int nr_pages)
{
	struct kmm_vmap_area *a;
	struct vmap_cpu *c;
	unsigned long flags;
	bool idle;

	a = vmap_ram_find(v, (unsigned long)addr, nr_pages);
	if (unlikely(!a)) {
		vmap_report_bad(v, addr, "vm_unmap_ram");
		return;
	}
	kmm_window_unmap(&v->window, (unsigned long)addr, nr_pages);
	WRITE_ONCE(v->ram_dirty, 1);
	c = a->cpu;
	spin_lock_irqsave(&c->lock, flags);
	a->live -= nr_pages;
	c->event[KMM_VMAP_FREE]++;
	idle = !a->live && a->used == RAM_BLOCK_PAGES;
	if (idle && c->block == a)
		c->block = NULL;
	spin_unlock_irqrestore(&c->lock, flags);
	if (unlikely(idle))
		vmap_ram_retire(v, a);
}

static noinline void vmap_unmap_ram_slow(struct kmm_vmap *v, const void *addr,
					 unsigned int nr_pages)
{
	if (nr_pages > RAM_RUN_PAGES) {
		kmm_vmap_unmap(v, addr);
		return;
	}
	vmap_unmap_ram(v, addr, nr_pages);
	vmap_purge_soon(v);
}

/**
 * kmm_vmap_unmap_ram() - Undo kmm_vmap_map_ram().
 * @v: vmalloc
 * @addr: what it returned
 * @nr_pages: what it was given
 *
 * Flushed as kmm_vmap_unmap().
 *
 * Context: task, may sleep.
 */
void kmm_vmap_unmap_ram(struct kmm_vmap *v, const void *addr, unsigned int nr_pages)
{
	if (unlikely(nr_pages > v->ram_run_max))
		return vmap_unmap_ram_slow(v, addr, nr_pages);
	vmap_unmap_ram(v, addr, nr_pages);
}
KMM_EXPORT_INTERNAL(kmm_vmap_unmap_ram);

/**
 * kmm_vmap_unmap_aliases() - Make sure that no TLB has anything that was unmapped.
 * @v: vmalloc
 *
 * Blocks of vm_map_ram() in which nothing is mapped are given back as well.
 *
 * Context: task, may sleep. Return: frames given back.
 */
unsigned long kmm_vmap_unmap_aliases(struct kmm_vmap *v)
{
	struct kmm_vmap_area *a;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct vmap_cpu *c = per_cpu_ptr(v->cpu, cpu);

		spin_lock_irq(&c->lock);
		a = c->block;
		if (a && !(a->used && !a->live && vmap_ram_close_locked(c)))
			a = NULL;
		spin_unlock_irq(&c->lock);
		if (a)
			vmap_ram_retire(v, a);
	}
	return kmm_vmap_purge(v);
}
KMM_EXPORT_INTERNAL(kmm_vmap_unmap_aliases);

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
			.end = vmap_end(a),
			.nr_pages = a->nr_mapped,
			.nr_huge = a->nr_huge << HUGE_ORDER,
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

/**
 * kmm_vmap_check() - Look for violated invariants.
 * @v: vmalloc that nobody uses at the moment
 *
 * Context: task, may sleep. Return: how many were found; each is printed.
 */
unsigned long kmm_vmap_check(struct kmm_vmap *v)
{
	unsigned long i, bad = 0, covered[NR_PARTS] = { }, end = 0, want;
	struct kmm_vmap_area *a;
	enum vmap_part p;
	struct rb_node *n;

	for (p = 0; p < NR_PARTS; p++) {
		unsigned long nr = 0;

		for (n = rb_first(&v->free[p]); n; n = rb_next(n)) {
			a = vmap_node(n);
			nr += a->nr_pages;
			if (a->max_pages < a->nr_pages || a->start < end) {
				pr_err("free area %#lx: wrong size or order\n", a->start);
				bad++;
			}
			end = vmap_end(a);
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
		covered[vmap_part(v, addr)] += a->nr_pages;
		k = a->kind == KMM_VMAP_VMALLOC || a->kind == KMM_VMAP_VMAP ? a->nr_mapped : 0;
		for (; k < a->nr_pages && a->kind != KMM_VMAP_RAM; k++) {
			if (!kmm_window_entry(&v->window, addr + k * PAGE_SIZE, NULL))
				continue;
			pr_err("area %#lx of kind %u: page %lu is mapped\n", addr, a->kind, k);
			bad++;
		}
	}
	for (p = 0; p < NR_PARTS; p++) {
		want = p == PART_HUGE ? v->window.huge_nr << HUGE_ORDER :
		       v->window.huge_nr ? vmap_page_index(v, v->window.huge_first) :
					   v->window.nr_pages;
		if (covered[p] == want)
			continue;
		pr_err("part %d: areas cover %lu of %lu pages\n", p, covered[p], want);
		bad++;
	}
	return bad;
}
KMM_EXPORT_INTERNAL(kmm_vmap_check);

/* === Life === */

static int vmap_add_part(struct kmm_vmap *v, unsigned long start, unsigned long nr_pages)
{
	struct kmm_vmap_area *a;

	if (!nr_pages)
		return 0;
	a = vmap_area_alloc();
	if (!a)
		return -ENOMEM;
	a->start = start;
	a->nr_pages = nr_pages;
	vmap_tree_add(v, a);
	return 0;
}

static void vmap_free_all(struct kmm_vmap *v)
{
	struct kmm_vmap_area *a;
	struct rb_node *n;
	enum vmap_part p;

	for (p = 0; p < NR_PARTS; p++) {
		while ((n = rb_first(&v->free[p]))) {
			a = vmap_node(n);
			rb_erase_augmented(n, &v->free[p], &vmap_augment);
			kfree(a);
		}
	}
	free_percpu(v->cpu);
	kvfree(v->area_of);
	kmm_window_fini(&v->window);
	kfree(v);
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
	v->cpu = kmm_should_fail() ? NULL : alloc_percpu(struct vmap_cpu);
	err = -ENOMEM;
	if (!v->area_of || !v->cpu)
		goto fail;
	for_each_possible_cpu(cpu)
		spin_lock_init(&per_cpu_ptr(v->cpu, cpu)->lock);
	nr_small = v->window.huge_nr ? vmap_page_index(v, v->window.huge_first) :
				       v->window.nr_pages;
	v->lazy_max = max(r->nr_frames / LAZY_SHARE / num_online_cpus(), 1UL);
	v->lazy_single_max = b->pcp_high[0] / 2;
	v->lazy_pages_max = clamp(v->window.nr_pages / LAZY_WINDOW_SHARE / num_online_cpus(), 1UL,
				  LAZY_PAGES_MAX);
	v->ram_run_max = RAM_RUN_PAGES;
	v->pool_max = nr_small / POOL_SHARE / num_online_cpus();
	err = vmap_add_part(v, v->window.base, nr_small) ?:
	      vmap_add_part(v, v->window.huge_first, v->window.huge_nr << HUGE_ORDER);
	if (!err) {
		vmap_debug_pagealloc(v);
		return v;
	}
fail:
	vmap_free_all(v);
	return ERR_PTR(err);
}
KMM_EXPORT_INTERNAL(kmm_vmap_create);

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

/* A block in which runs were never taken back. */
static void vmap_ram_leftover(struct kmm_vmap *v)
{
	unsigned long i;

	for (i = 0; i < v->window.nr_pages; i++) {
		struct kmm_vmap_area *a = v->area_of[i];

		if (!a || a->kind != KMM_VMAP_RAM || vmap_page_index(v, a->start) != i)
			continue;
		pr_err("%u pages of vm_map_ram() at %#lx were never unmapped\n", a->live,
		       a->start);
		kmm_window_unmap(&v->window, a->start, RAM_BLOCK_PAGES);
		a->cpu->block = a->cpu->block == a ? NULL : a->cpu->block;
		vmap_ram_retire(v, a);
	}
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
	vmap_ram_leftover(v);
	v->region->forget = NULL;
	cancel_work_sync(&v->work);
	kmm_vmap_purge(v);
	vmap_pools_drain(v);
	vmap_free_all(v);
}
KMM_EXPORT_INTERNAL(kmm_vmap_destroy);

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
