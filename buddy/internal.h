/* SPDX-License-Identifier: GPL-2.0-only */
/* What buddy.c and the files of buddy/ share. The essay is in buddy.c. */
#ifndef _KMM_BUDDY_INTERNAL_H
#define _KMM_BUDDY_INTERNAL_H

#include <linux/percpu.h>
#include <linux/spinlock.h>

#include <kmm/buddy.h>
#include <kmm/region.h>
#include <kmm/stack_depot.h>

/* A cached block: both names of its first frame, so that a request computes nothing. */
struct kmm_pcp_entry {
	struct page *page;
	struct kmm_frame *frame;
};

/**
 * struct kmm_pcp_list - cached blocks of one order and type: a stack
 * @top: behind the block that goes out next
 * @base: the oldest block; @top == @base: empty
 * @limit: @top == @limit: full; @limit == @base: this list is not used
 * @batch: blocks that the next refill takes
 */
struct kmm_pcp_list {
	struct kmm_pcp_entry *top;
	struct kmm_pcp_entry *base;
	struct kmm_pcp_entry *limit;
	unsigned int batch;
};

/* Four types per order, the fourth always empty: so gfp bits index without a branch. */
#define KMM_PCP_TYPES		4
#define KMM_PCP_NR_LISTS	(KMM_PCP_NR_ORDERS * KMM_PCP_TYPES)

/**
 * struct kmm_pcp - one CPU's cache
 * @lock: protects all; taken with IRQs off
 * @list: by kmm_pcp_index()
 * @nr_alloc: blocks given out on this CPU, by order
 * @nr_freed: blocks taken back
 * @event: the rest of what is counted
 */
struct kmm_pcp {
	spinlock_t lock;
	struct kmm_pcp_list list[KMM_PCP_NR_LISTS];
	u64 nr_alloc[KMM_NR_ORDERS];
	u64 nr_freed[KMM_NR_ORDERS];
	u64 event[KMM_NR_BUDDY_EVENTS];
};

static inline unsigned long kmm_pcp_list_nr(const struct kmm_pcp_list *l)
{
	return READ_ONCE(l->top) - l->base;
}

static inline unsigned long kmm_pcp_list_high(const struct kmm_pcp_list *l)
{
	return l->limit - l->base;
}

/* Does a per-CPU cache exist for this order? */
static __always_inline bool kmm_pcp_cached(unsigned int order)
{
	return order < KMM_PCP_LOW_ORDERS || order == KMM_PCP_HUGE_ORDER;
}

/* The list of a cached order and a type. */
static __always_inline unsigned long kmm_pcp_index(unsigned int order, unsigned int type)
{
	unsigned long i = order < KMM_PCP_LOW_ORDERS ? order : KMM_PCP_LOW_ORDERS;

	return i * KMM_PCP_TYPES + type;
}

static inline unsigned int kmm_pcp_order(unsigned int index)
{
	unsigned int i = index / KMM_PCP_TYPES;

	return i == KMM_PCP_LOW_ORDERS ? KMM_PCP_HUGE_ORDER : i;
}

static __always_inline u8 kmm_pageblock_type(const struct kmm_region *r, u32 index)
{
	return READ_ONCE(r->pageblock_mt[index >> KMM_PAGEBLOCK_ORDER]);
}

/* === Locks === */

static inline struct kmm_pcp *kmm_pcp_lock(struct kmm_buddy *b, unsigned long *flags)
{
	struct kmm_pcp *pcp;

	local_irq_save(*flags);
	pcp = this_cpu_ptr(b->pcp);
	spin_lock(&pcp->lock);
	return pcp;
}

static inline void kmm_pcp_unlock(struct kmm_pcp *pcp, unsigned long flags)
{
	spin_unlock(&pcp->lock);
	local_irq_restore(flags);
}

static inline void kmm_count(struct kmm_buddy *b, enum kmm_buddy_event event, u64 n)
{
	unsigned long flags;
	struct kmm_pcp *pcp = kmm_pcp_lock(b, &flags);

	pcp->event[event] += n;
	kmm_pcp_unlock(pcp, flags);
}

/* More CPUs than this and the preempt count could not hold all locks at once. */
#define KMM_LOCK_ALL_CPUS	128

void kmm_buddy_lock_all(struct kmm_buddy *b, unsigned long *flags);
void kmm_buddy_unlock_all(struct kmm_buddy *b, unsigned long flags);
struct kmm_pcp *kmm_buddy_stop(struct kmm_buddy *b, unsigned long *flags);
void kmm_buddy_resume(struct kmm_buddy *b, struct kmm_pcp *mine, unsigned long flags);

/* === buddy/lists.c: @lock is held === */

void kmm_list_del(struct kmm_buddy *b, u32 index, unsigned int order);
void kmm_list_add_rest(struct kmm_buddy *b, u32 start, u32 end, unsigned int mt);
void kmm_free_block(struct kmm_buddy *b, u32 index, unsigned int order);
unsigned int kmm_take_blocks(struct kmm_buddy *b, struct kmm_pcp *pcp, struct kmm_pcp_entry *e,
			     unsigned int nr, unsigned int order, unsigned int mt,
			     unsigned long floor);

/* === buddy/quarantine.c === */

void kmm_free_pinned(struct kmm_buddy *b, struct page *page, unsigned int order, unsigned long ip);

/* @owner need not pay for so many frames any more. No lock is held. */
static inline void kmm_uncharge(struct kmm_buddy *b, u32 owner, unsigned long nr_pages)
{
	if (owner && nr_pages && b->uncharge)
		b->uncharge(b->ctx, owner, nr_pages);
}

/* === buddy/range.c === */

int kmm_alloc_range(struct kmm_buddy *b, unsigned long start_pfn, unsigned long end_pfn, gfp_t gfp,
		    bool client, const unsigned long *slot);

/* === buddy.c === */

void kmm_wake_if_low(struct kmm_buddy *b);
void kmm_alloc_finish_one(struct kmm_buddy *b, gfp_t gfp, struct page *page, bool client,
			  const unsigned long *slot);
void kmm_page_is_idle(struct kmm_buddy *b, struct page *page, unsigned int order);
void kmm_report_bad_free(struct kmm_buddy *b, struct page *page, unsigned int order,
			 const struct kmm_frame *f, unsigned long ip);

#endif /* _KMM_BUDDY_INTERNAL_H */
