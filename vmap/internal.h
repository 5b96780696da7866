/* SPDX-License-Identifier: GPL-2.0-only */
/* What vmap.c and the files of vmap/ share. The essay is in vmap.c. */
#ifndef _KMM_VMAP_INTERNAL_H
#define _KMM_VMAP_INTERNAL_H

#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <kmm/pgtable.h>
#include <kmm/region.h>
#include <kmm/vmap.h>

/* A slot of the upper part, and the largest block of frames: 2 MiB. */
#define KMM_VMAP_HUGE_ORDER	9

/* Pages of the longest run of vm_map_ram() that comes from a block. */
#define KMM_VMAP_RAM_RUN_PAGES	64

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
			struct kmm_vmap_cpu *cpu;
		};
		struct rcu_head rcu;
	};
};

static_assert(sizeof(struct kmm_vmap_area) <= KMM_VMAP_AREA_BYTES);

/**
 * struct kmm_vmap_cpu - what one CPU has at hand
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
struct kmm_vmap_cpu {
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
enum kmm_vmap_part { KMM_VMAP_PART_SMALL, KMM_VMAP_PART_HUGE, KMM_VMAP_NR_PARTS };

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
 * @ram_run_max: KMM_VMAP_RAM_RUN_PAGES; 0 with debug_pagealloc: runs have guards, and each
 *	unmapping purges; immutable
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
	struct kmm_vmap_cpu __percpu *cpu;
	unsigned long lazy_max;
	unsigned long lazy_single_max;
	unsigned long lazy_pages_max;
	unsigned int ram_run_max;
	unsigned long pool_max;
	unsigned long ram_dirty;
	struct work_struct work;
	struct mutex purge_lock;	/* serialises purges */
	spinlock_t lock ____cacheline_aligned;
	struct rb_root free[KMM_VMAP_NR_PARTS];
	unsigned long nr_free[KMM_VMAP_NR_PARTS];
};

static inline unsigned long kmm_vmap_page_index(const struct kmm_vmap *v, unsigned long addr)
{
	return (addr - v->window.base) >> PAGE_SHIFT;
}

static inline enum kmm_vmap_part kmm_vmap_part(const struct kmm_vmap *v, unsigned long addr)
{
	return v->window.huge_nr && addr >= v->window.huge_first ? KMM_VMAP_PART_HUGE :
								   KMM_VMAP_PART_SMALL;
}

static __always_inline struct kmm_vmap_cpu *kmm_vmap_cpu_lock(struct kmm_vmap *v,
							      unsigned long *flags)
{
	struct kmm_vmap_cpu *c;

	local_irq_save(*flags);
	c = this_cpu_ptr(v->cpu);
	spin_lock(&c->lock);
	return c;
}

static __always_inline void kmm_vmap_cpu_unlock(struct kmm_vmap_cpu *c, unsigned long flags)
{
	spin_unlock_irqrestore(&c->lock, flags);
}

static inline void kmm_vmap_count(struct kmm_vmap *v, enum kmm_vmap_event event, unsigned long nr)
{
	unsigned long flags;
	struct kmm_vmap_cpu *c = kmm_vmap_cpu_lock(v, &flags);

	c->event[event] += nr;
	kmm_vmap_cpu_unlock(c, flags);
}

static inline struct kmm_vmap_area *kmm_vmap_node(struct rb_node *n)
{
	return n ? rb_entry(n, struct kmm_vmap_area, node) : NULL;
}

static inline unsigned long kmm_vmap_end(const struct kmm_vmap_area *a)
{
	return a->start + a->nr_pages * PAGE_SIZE;
}

/* Entries are written, or will be before anybody has the address: @a is used from now on. */
static inline void kmm_vmap_area_publish(struct kmm_vmap *v, struct kmm_vmap_area *a,
					 unsigned long nr_mapped, enum kmm_vmap_kind kind,
					 pgprot_t prot, void *caller)
{
	a->nr_mapped = nr_mapped;
	a->writable = pgprot_val(prot) & _PAGE_RW;
	a->exec = !(pgprot_val(prot) & _PAGE_NX);
	a->caller = caller;
	/* Whoever finds the kind finds the rest. Pairs with cmpxchg() in vmap_area_release(). */
	smp_store_release(&a->kind, kind);
}

/* === vmap/areas.c === */

struct kmm_vmap_area *kmm_vmap_area_take_slow(struct kmm_vmap *v, enum kmm_vmap_part part,
					      unsigned long nr_pages);
void kmm_vmap_areas_put(struct kmm_vmap *v, struct kmm_vmap_area *list);
void kmm_vmap_area_put(struct kmm_vmap *v, struct kmm_vmap_area *a);
void kmm_vmap_pools_drain(struct kmm_vmap *v);
int kmm_vmap_add_part(struct kmm_vmap *v, unsigned long start, unsigned long nr_pages);
void kmm_vmap_free_parts(struct kmm_vmap *v);

/* === vmap/ram.c === */

void kmm_vmap_ram_leftover(struct kmm_vmap *v);

/* === vmap.c === */

bool kmm_vmap_lazy_add(struct kmm_vmap *v, struct kmm_vmap_area *a);
void kmm_vmap_purge_soon(struct kmm_vmap *v);
void kmm_vmap_report_bad(struct kmm_vmap *v, const void *addr, const char *what);

#endif /* _KMM_VMAP_INTERNAL_H */
