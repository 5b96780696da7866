/* SPDX-License-Identifier: GPL-2.0-only */
/* Kernel address window: areas, lazy flush, vmalloc, vmap, vm_map_ram. See vmap.c. */
#ifndef _KMM_VMAP_H
#define _KMM_VMAP_H

#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include <kmm/pgtable.h>

struct kmm_buddy;

/* Areas up to this many pages (guard page not counted) have per-CPU pools. */
#define KMM_VMAP_POOL_PAGES	64

/**
 * enum kmm_vmap_event - what is counted, per CPU; names in kmm_vmap_event_names[]
 * @KMM_VMAP_ALLOC: areas given out
 * @KMM_VMAP_FREE: areas taken back
 * @KMM_VMAP_POOL_HIT: of the areas given out, ones from this CPU's pool
 * @KMM_VMAP_PURGE: purges, each with one flush
 * @KMM_VMAP_PURGED_PAGES: pages of address space that these brought back
 * @KMM_VMAP_HUGE: 2 MiB leaves made
 * @KMM_VMAP_NO_SPACE: requests that the window had no room for
 * @KMM_VMAP_BAD_FREE: addresses that were refused
 * @KMM_NR_VMAP_EVENTS: number of events
 */
enum kmm_vmap_event {
	KMM_VMAP_ALLOC,
	KMM_VMAP_FREE,
	KMM_VMAP_POOL_HIT,
	KMM_VMAP_PURGE,
	KMM_VMAP_PURGED_PAGES,
	KMM_VMAP_HUGE,
	KMM_VMAP_NO_SPACE,
	KMM_VMAP_BAD_FREE,
	KMM_NR_VMAP_EVENTS
};

extern const char * const kmm_vmap_event_names[KMM_NR_VMAP_EVENTS];

/* kmm_vmap_area.kind */
enum kmm_vmap_kind {
	KMM_VMAP_FREE_SPACE,	/* in the free tree or a pool */
	KMM_VMAP_VMALLOC,
	KMM_VMAP_VMAP,
	KMM_VMAP_RAM,		/* a block of vm_map_ram, or a large vm_map_ram */
	KMM_VMAP_LAZY,		/* freed, not flushed */
};

struct kmm_vmap;

/* Host memory of an area, as kmalloc() rounds it; for whoever is charged for it. */
#define KMM_VMAP_AREA_BYTES	128

/**
 * struct kmm_vmap_info - one line of vmallocinfo
 * @start: first address
 * @end: behind the guard page
 * @nr_pages: frames mapped
 * @nr_huge: of these in 2 MiB leaves
 * @kind: enum kmm_vmap_kind
 * @prot: KMM_PROT_*
 * @caller: who asked
 */
struct kmm_vmap_info {
	unsigned long start;
	unsigned long end;
	unsigned long nr_pages;
	unsigned long nr_huge;
	unsigned int kind;
	unsigned int prot;
	void *caller;
};

struct kmm_vmap *kmm_vmap_create(struct kmm_region *r, struct kmm_buddy *b,
				 struct kmm_pgtables *set);
void kmm_vmap_destroy(struct kmm_vmap *v);
struct kmm_window *kmm_vmap_window(struct kmm_vmap *v);

void *kmm_vmap_alloc(struct kmm_vmap *v, unsigned long size_bytes, gfp_t gfp, pgprot_t prot,
		     void *caller);
bool kmm_vmap_free(struct kmm_vmap *v, const void *addr);
void *kmm_vmap_map(struct kmm_vmap *v, struct page **pages, unsigned int nr_pages,
		   pgprot_t prot, void *caller);
bool kmm_vmap_unmap(struct kmm_vmap *v, const void *addr);
void *kmm_vmap_map_ram(struct kmm_vmap *v, struct page **pages, unsigned int nr_pages);
void kmm_vmap_unmap_ram(struct kmm_vmap *v, const void *addr, unsigned int nr_pages);
unsigned long kmm_vmap_purge(struct kmm_vmap *v);
unsigned long kmm_vmap_unmap_aliases(struct kmm_vmap *v);
struct page *kmm_vmap_page(struct kmm_vmap *v, const void *addr);

unsigned long kmm_vmap_lazy_frames(struct kmm_vmap *v);
unsigned long kmm_vmap_nr_areas(struct kmm_vmap *v);
void kmm_vmap_events(struct kmm_vmap *v, u64 *event);
int kmm_vmap_for_each(struct kmm_vmap *v, int (*fn)(void *ctx, const struct kmm_vmap_info *info),
		      void *ctx);
unsigned long kmm_vmap_check(struct kmm_vmap *v);

/* The instance that serves kmm_vmalloc() and its like; NULL: none. */
void kmm_vmap_set_client(struct kmm_vmap *v);

#endif /* _KMM_VMAP_H */
