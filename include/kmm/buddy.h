/* SPDX-License-Identifier: GPL-2.0-only */
/* The buddy allocator: page frames out of a region. See buddy.c. */
#ifndef _KMM_BUDDY_H
#define _KMM_BUDDY_H

#include <linux/cache.h>
#include <linux/gfp.h>
#include <linux/mm_types.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include <kmm/page.h>
#include <kmm/region.h>

/* Per-CPU caches exist for orders 0..3 and 9 (2 MiB), each per mobility type. */
#define KMM_PCP_LOW_ORDERS	4
#define KMM_PCP_HUGE_ORDER	9
#define KMM_PCP_NR_ORDERS	(KMM_PCP_LOW_ORDERS + 1)

/**
 * enum kmm_buddy_event - what is counted, per CPU; names in kmm_buddy_event_names[]
 * @KMM_PCP_REFILL: per-CPU cache filled from the free lists
 * @KMM_PCP_DRAIN: per-CPU cache given back to the free lists
 * @KMM_PCP_STEAL: another CPU's cache drained to serve this one
 * @KMM_LOCK_SLOW: free-list lock taken on behalf of an operation
 * @KMM_ALLOC_FAIL: requests that ended in NULL
 * @KMM_ALLOC_RELIEVE: calls of relieve()
 * @KMM_EXTFRAG: blocks taken from another mobility type
 * @KMM_PAGEBLOCK_STEAL: pageblocks that changed type
 * @KMM_QUARANTINE_IN: frames put into quarantine
 * @KMM_QUARANTINE_OUT: frames that came home
 * @KMM_BAD_FREE: double, foreign, wrong-order frees that were refused
 * @KMM_NR_BUDDY_EVENTS: number of events
 */
enum kmm_buddy_event {
	KMM_PCP_REFILL,
	KMM_PCP_DRAIN,
	KMM_PCP_STEAL,
	KMM_LOCK_SLOW,
	KMM_ALLOC_FAIL,
	KMM_ALLOC_RELIEVE,
	KMM_EXTFRAG,
	KMM_PAGEBLOCK_STEAL,
	KMM_QUARANTINE_IN,
	KMM_QUARANTINE_OUT,
	KMM_BAD_FREE,
	KMM_NR_BUDDY_EVENTS
};

extern const char * const kmm_buddy_event_names[KMM_NR_BUDDY_EVENTS];

/* As Linux: half of the largest order. */
#define KMM_GUARD_MINORDER_MAX	(KMM_MAX_ORDER / 2)

struct kmm_pcp;

/**
 * struct kmm_buddy_list - free blocks of one order and type
 * @first: index of the first frame, KMM_LIST_END when empty
 * @nr: blocks on it
 */
struct kmm_buddy_list {
	u32 first;
	u32 nr;
};

#define KMM_LIST_END	((u32)~0U)

/**
 * struct kmm_buddy - a buddy allocator on a region
 * @region: where the frames are; immutable
 * @pcp: per-CPU caches, each under its own lock; immutable
 * @pcp_high: most blocks of a list, by pcp order; immutable
 * @guard_minorder: blocks below this order are taken out of one of this order, and the rest of it
 *	is guards until they are freed: Linux's debug_guardpage_minorder; at most
 *	KMM_GUARD_MINORDER_MAX. 0: none. Set before kmm_buddy_init()
 * @managed: frames handed over by mem_init; immutable after it
 * @watermark: min, low, high in frames of @nr_free; immutable after init
 * @relieve: asked for memory when the lists are empty and sleeping is allowed; NULL: none.
 *	Returns true if another try makes sense. Set before the first use.
 * @wake: told that free frames fell below low; any context; NULL: nobody
 * @uncharge: told the account number (frame.owner) when frames with an owner are free
 *	again: at the free, or for a quarantined frame when it comes home; any context; NULL: nobody
 * @ctx: first argument of @relieve, @wake and @uncharge
 * @cpuhp: in the list of instances whose dead CPUs are drained
 * @stop: taken before all per-CPU locks, by those who need them all
 * @lock: protects everything below and all frames in state FREE or QUARANTINED
 * @free: free lists by order and type
 * @nr_free: frames on them
 * @quarantine: first quarantined frame
 * @nr_quarantined: frames in it
 * @nr_guard: frames that are guards
 */
struct kmm_buddy {
	struct kmm_region *region;
	struct kmm_pcp __percpu *pcp;
	u16 pcp_high[KMM_PCP_NR_ORDERS];
	unsigned int guard_minorder;
	unsigned long managed;
	unsigned long watermark[3];
	bool (*relieve)(void *ctx, gfp_t gfp, unsigned int order);
	void (*wake)(void *ctx);
	void (*uncharge)(void *ctx, u32 owner, unsigned long nr_pages);
	void *ctx;
	struct hlist_node cpuhp;

	spinlock_t stop;
	spinlock_t lock ____cacheline_aligned;
	struct kmm_buddy_list free[KMM_NR_ORDERS][KMM_NR_MIGRATETYPES];
	unsigned long nr_free;
	u32 quarantine;
	unsigned long nr_quarantined;
	unsigned long nr_guard;
};

enum kmm_watermark { KMM_WMARK_MIN, KMM_WMARK_LOW, KMM_WMARK_HIGH };

/**
 * struct kmm_buddy_stat - where the frames are
 * @free: on free lists
 * @cached: in per-CPU caches
 * @quarantined: freed, held from outside
 * @used: given out (counted by itself, not as the rest)
 * @guard: guards of those
 * @metadata: early allocator's
 * @total: of the region
 * @exact: all locks were held: free + cached + quarantined + used + guard + metadata == total
 * @nr_free_blocks: blocks by order and type
 * @nr_alloc: blocks given out since init, by order; a split counts as one block of its
 *	order back and 2^order single frames out
 * @nr_freed: blocks taken back since init, by order
 * @pgalloc: frames given out since init
 * @pgfree: frames taken back
 * @event: sums over all CPUs
 */
struct kmm_buddy_stat {
	unsigned long free;
	unsigned long cached;
	unsigned long quarantined;
	unsigned long used;
	unsigned long guard;
	unsigned long metadata;
	unsigned long total;
	bool exact;
	u32 nr_free_blocks[KMM_NR_ORDERS][KMM_NR_MIGRATETYPES];
	u64 nr_alloc[KMM_NR_ORDERS];
	u64 nr_freed[KMM_NR_ORDERS];
	u64 pgalloc;
	u64 pgfree;
	u64 event[KMM_NR_BUDDY_EVENTS];
};

/**
 * struct kmm_buddy_cpu_stat - one CPU's cache
 * @cached: frames in it
 * @high: frames that it may have
 * @pgalloc: frames given out on this CPU since init
 * @pgfree: frames taken back
 * @event: what else is counted
 */
struct kmm_buddy_cpu_stat {
	unsigned long cached;
	unsigned long high;
	u64 pgalloc;
	u64 pgfree;
	u64 event[KMM_NR_BUDDY_EVENTS];
};

int kmm_buddy_init(struct kmm_buddy *b, struct kmm_region *r);
void kmm_buddy_fini(struct kmm_buddy *b);

struct page *kmm_buddy_alloc(struct kmm_buddy *b, gfp_t gfp, unsigned int order);
struct page *kmm_buddy_alloc_client(struct kmm_buddy *b, gfp_t gfp, unsigned int order);
void kmm_buddy_free(struct kmm_buddy *b, struct page *page, unsigned int order);
unsigned long kmm_buddy_alloc_bulk(struct kmm_buddy *b, gfp_t gfp, unsigned long nr_pages,
				   struct page **pages);
void kmm_buddy_free_bulk(struct kmm_buddy *b, struct page **pages, unsigned long nr_pages);
int kmm_buddy_alloc_range(struct kmm_buddy *b, unsigned long start_pfn, unsigned long end_pfn);
void kmm_buddy_split(struct kmm_buddy *b, struct page *page, unsigned int order);

unsigned long kmm_buddy_drain_all(struct kmm_buddy *b);
unsigned long kmm_buddy_drain_cpu(struct kmm_buddy *b, unsigned int cpu);
unsigned long kmm_buddy_recheck_quarantine(struct kmm_buddy *b);
void kmm_buddy_stat(struct kmm_buddy *b, struct kmm_buddy_stat *st, bool exact);
void kmm_buddy_cpu_stat(struct kmm_buddy *b, unsigned int cpu, struct kmm_buddy_cpu_stat *st);
unsigned long kmm_buddy_check(struct kmm_buddy *b);

void kmm_buddy_set_owner(struct kmm_buddy *b, struct page *page, u32 owner);
u32 kmm_buddy_owner(struct kmm_buddy *b, struct page *page);

/* The instance that serves kmm_alloc_pages() and its like; NULL: none. */
void kmm_buddy_set_client(struct kmm_buddy *b);

int kmm_buddy_setup(void);
void kmm_buddy_teardown(void);

#endif /* _KMM_BUDDY_H */
