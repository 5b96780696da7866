// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The buddy allocator
 *
 * Page frames in blocks of 2^order, order 0..KMM_MAX_ORDER, naturally aligned on their pfn.
 * A block and its buddy (the index with bit `order` flipped) form a block of the next order;
 * a request splits a larger block, a free merges as long as the buddy is free (Knowlton 1965;
 * Linux, mm/page_alloc.c). Above this stand per-CPU caches, as Linux's pcp lists, so that the
 * usual operation touches only memory of its own CPU.
 *
 * States of a block (the tag of its first frame; all its other frames are TAIL)::
 *
 *	FREE		on free[order][type]; owned by the buddy, under @lock
 *	CACHED		in a per-CPU cache; under that cache's lock
 *	USED		given out; owned by the client
 *	QUARANTINED	freed by the client, but page_count() is above 1: somebody outside
 *			(a pipe, a DMA) still looks at the page. Order 0, under @lock. Comes
 *			home when the count is 1 again (kmm_buddy_recheck_quarantine())
 *	GUARD		the rest of a block that a smaller one was taken from, for debugging
 *			(@guard_minorder): nobody's, under @lock, free again with its buddy
 *
 * A free is believed only if the tag says USED and the order is right; the change to CACHED
 * is a compare-and-exchange, so of two racing frees one is refused. That a block is not
 * referenced from outside is seen from the sum of its frames' counts: every frame has the
 * region's own reference, so the sum is 2^order exactly if nobody else has one. This is one
 * addition per frame.
 *
 * Mobility. Free blocks are kept apart by what can take them back (unmovable, movable,
 * reclaimable), by pageblocks of 2 MiB, as in Linux (buddy/lists.c).
 *
 * Per-CPU caches. Orders 0..3 and 9, by type; an array of blocks each, last in, first out.
 * An empty one takes a batch from the free lists; the batch doubles with each refill and
 * halves with each drain. A full one gives its older half back.
 *
 * Watermarks. Below min, only __GFP_HIGH (down to min / 2) and __GFP_MEMALLOC or PF_MEMALLOC
 * (to the last frame) are served from the free lists. Below low, @wake is called.
 *
 * Invariants (kmm_buddy_check() proves them)
 *   - free + cached + quarantined + used + guard + metadata == frames of the region, to the
 *     frame when all locks are held
 *   - no two free buddies of one order below KMM_MAX_ORDER
 *   - a FREE block is on the list of the type that all its pageblocks have
 *   - a request for a single page does not fail while a frame is in any CPU's cache: the last
 *     try holds all locks and empties all caches before it looks at the watermark
 *
 * Locks. A per-CPU cache has a spinlock that is taken with IRQs off, so any context on any
 * CPU may drain it. Order: @stop -> cache locks -> @lock. Only @stop's holder takes more
 * than one cache lock. Callbacks are called without any of them. Every function may be called
 * from any context but NMI.
 *
 * Parts: the free lists are in buddy/lists.c, frames that are held from outside in
 * buddy/quarantine.c, ranges in buddy/range.c, figures and the proof of the invariants in
 * buddy/check.c, begin and end in buddy/life.c.
 *
 * It deliberately does not: zones, NUMA placement, compound pages, compaction.
 */

#define pr_fmt(fmt) "kmm: buddy: " fmt

#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/ratelimit.h>
#include <linux/sched/mm.h>

#include <compat/compat.h>
#include <kmm/buddy.h>
#include <kmm/hardening.h>
#include <kmm/hooks.h>
#include <kmm/kmm.h>
#include <kmm/report.h>
#include <trace/events/kmm.h>

#include "buddy/internal.h"

/* === Data === */

const char * const kmm_buddy_event_names[KMM_NR_BUDDY_EVENTS] = {
	[KMM_PCP_REFILL] = "pcp_refill",
	[KMM_PCP_DRAIN] = "pcp_drain",
	[KMM_PCP_STEAL] = "pcp_steal",
	[KMM_LOCK_SLOW] = "buddy_lock",
	[KMM_ALLOC_FAIL] = "pgalloc_fail",
	[KMM_ALLOC_RELIEVE] = "pgalloc_relieve",
	[KMM_EXTFRAG] = "extfrag",
	[KMM_PAGEBLOCK_STEAL] = "pageblock_steal",
	[KMM_QUARANTINE_IN] = "quarantine_in",
	[KMM_QUARANTINE_OUT] = "quarantine_out",
	[KMM_BAD_FREE] = "bad_free",
};

/* Serves kmm_alloc_pages() and its like; set before any client module can be loaded. */
static struct kmm_buddy *kmm_client __read_mostly;

/* === Locks === */

/*
 * The fast paths' lock: IRQs are off, so nothing needs the preempt count, which is most of what
 * spin_trylock() costs. And there is no call, so the fast paths need no stack frame.
 */
#if defined(CONFIG_QUEUED_SPINLOCKS) && !defined(CONFIG_DEBUG_SPINLOCK) && \
	!defined(CONFIG_DEBUG_LOCK_ALLOC) && !defined(CONFIG_PREEMPT_RT)
static __always_inline bool kmm_trylock_irqoff(spinlock_t *lock)
{
	u32 val = 0;

	/* queued_spin_lock()'s own first step; a spin_lock() that waits pairs with it */
	return likely(atomic_try_cmpxchg_acquire(&lock->rlock.raw_lock.val, &val, _Q_LOCKED_VAL));
}

static __always_inline void kmm_unlock_irqoff(spinlock_t *lock)
{
	arch_spin_unlock(&lock->rlock.raw_lock);
}
#else
static __always_inline bool kmm_trylock_irqoff(spinlock_t *lock)
{
	return spin_trylock(lock);
}

static __always_inline void kmm_unlock_irqoff(spinlock_t *lock)
{
	spin_unlock(lock);
}
#endif

/**
 * kmm_buddy_lock_all() - Everything stands still: all caches and the free lists.
 * @b: buddy instance
 * @flags: for kmm_buddy_unlock_all()
 *
 * Context: any but NMI; takes @stop, all caches' locks and @lock, and turns IRQs off. The caller
 * has seen to it that there are at most KMM_LOCK_ALL_CPUS CPUs, or it is a test.
 */
void kmm_buddy_lock_all(struct kmm_buddy *b, unsigned long *flags)
{
	unsigned int cpu;

	spin_lock_irqsave(&b->stop, *flags);
	for_each_possible_cpu(cpu)
		spin_lock_nest_lock(&per_cpu_ptr(b->pcp, cpu)->lock, &b->stop);
	spin_lock(&b->lock);
}

/**
 * kmm_buddy_unlock_all() - Undo kmm_buddy_lock_all().
 * @b: buddy instance
 * @flags: what that gave
 *
 * Context: all locks are held.
 */
void kmm_buddy_unlock_all(struct kmm_buddy *b, unsigned long flags)
{
	unsigned int cpu;

	spin_unlock(&b->lock);
	for_each_possible_cpu(cpu)
		spin_unlock(&per_cpu_ptr(b->pcp, cpu)->lock);
	spin_unlock_irqrestore(&b->stop, flags);
}

/* === GFP flags === */

/* gfp >> 3 & 3 is the type: bit 3 says movable, bit 4 reclaimable, as in Linux. */
#define KMM_GFP_TYPE_SHIFT	3
static_assert((__force u32)__GFP_MOVABLE >> KMM_GFP_TYPE_SHIFT == KMM_MOVABLE);
static_assert((__force u32)__GFP_RECLAIMABLE >> KMM_GFP_TYPE_SHIFT == KMM_RECLAIMABLE);

static __always_inline unsigned int kmm_gfp_type(gfp_t gfp)
{
	return ((__force u32)gfp >> KMM_GFP_TYPE_SHIFT) & (KMM_PCP_TYPES - 1);
}

/* Frames that a request must leave on the free lists; 0: it may have the last one. */
static unsigned long kmm_gfp_floor(const struct kmm_buddy *b, gfp_t gfp)
{
	if (gfp & __GFP_NOMEMALLOC)
		return b->watermark[KMM_WMARK_MIN];
	if (gfp & __GFP_MEMALLOC || (in_task() && current->flags & PF_MEMALLOC))
		return 0;
	if (gfp & __GFP_HIGH)
		return b->watermark[KMM_WMARK_MIN] / 2;
	return b->watermark[KMM_WMARK_MIN];
}

/* === Per-CPU caches: the cache's lock is held, IRQs are off === */

static void kmm_pcp_drain_list(struct kmm_buddy *b, struct kmm_pcp_list *l, unsigned int order,
			       unsigned int nr)
{
	struct kmm_region *r = b->region;
	unsigned int i;

	lockdep_assert_held(&b->lock);
	for (i = 0; i < nr; i++) {
		u32 index = kmm_region_index(r, l->base[i].frame);

		trace_mm_page_pcpu_drain(l->base[i].page, order, kmm_pageblock_type(r, index));
		kmm_free_block(b, index, order);
	}
	l->top -= nr;
	memmove(l->base, l->base + nr, (void *)l->top - (void *)l->base);
}

/* Return: frames that went to the free lists. */
static unsigned long kmm_pcp_drain_locked(struct kmm_buddy *b, struct kmm_pcp *pcp)
{
	unsigned long frames = 0;
	unsigned int i;

	for (i = 0; i < KMM_PCP_NR_LISTS; i++) {
		struct kmm_pcp_list *l = &pcp->list[i];
		unsigned int nr = kmm_pcp_list_nr(l);

		if (!nr)
			continue;
		pcp->event[KMM_PCP_DRAIN]++;
		frames += (unsigned long)nr << kmm_pcp_order(i);
		kmm_pcp_drain_list(b, l, kmm_pcp_order(i), nr);
	}
	return frames;
}

/* An empty list takes a batch. Return: false when there is nothing that @gfp may take. */
static bool kmm_pcp_refill(struct kmm_buddy *b, struct kmm_pcp *pcp, struct kmm_pcp_list *l,
			   unsigned int order, unsigned int mt, gfp_t gfp)
{
	if (l->limit == l->base)
		return false;
	pcp->event[KMM_PCP_REFILL]++;
	pcp->event[KMM_LOCK_SLOW]++;
	spin_lock(&b->lock);
	l->top += kmm_take_blocks(b, pcp, l->base, l->batch, order, mt, kmm_gfp_floor(b, gfp));
	spin_unlock(&b->lock);
	l->batch = min_t(unsigned long, 2 * l->batch, kmm_pcp_list_high(l));
	return l->top != l->base;
}

/* A full list gives its older half. */
static void kmm_pcp_overflow(struct kmm_buddy *b, struct kmm_pcp *pcp, struct kmm_pcp_list *l,
			     unsigned int order)
{
	pcp->event[KMM_PCP_DRAIN]++;
	pcp->event[KMM_LOCK_SLOW]++;
	spin_lock(&b->lock);
	kmm_pcp_drain_list(b, l, order, DIV_ROUND_UP(kmm_pcp_list_nr(l), 2));
	spin_unlock(&b->lock);
	l->batch = max(l->batch / 2, 1U);
}

/* Return: what was on top; good until @pcp is unlocked. */
static __always_inline const struct kmm_pcp_entry *kmm_pcp_pop(struct kmm_pcp *pcp,
							       struct kmm_pcp_list *l,
							       unsigned int order)
{
	struct kmm_pcp_entry *e = l->top - 1;

	l->top = e;
	e->frame->tag = KMM_TAG_USED(order);
	pcp->nr_alloc[order]++;
	return e;
}

/**
 * kmm_buddy_drain_cpu() - Give a CPU's cached frames to the free lists.
 * @b: buddy
 * @cpu: any possible CPU
 *
 * Context: any but NMI. Return: frames moved.
 */
unsigned long kmm_buddy_drain_cpu(struct kmm_buddy *b, unsigned int cpu)
{
	struct kmm_pcp *pcp = per_cpu_ptr(b->pcp, cpu);
	unsigned long flags, frames;

	spin_lock_irqsave(&pcp->lock, flags);
	spin_lock(&b->lock);
	frames = kmm_pcp_drain_locked(b, pcp);
	spin_unlock(&b->lock);
	spin_unlock_irqrestore(&pcp->lock, flags);
	return frames;
}
KMM_EXPORT_INTERNAL(kmm_buddy_drain_cpu);

/**
 * kmm_buddy_drain_all() - Give all CPUs' cached frames to the free lists.
 * @b: buddy
 *
 * Context: any but NMI. Return: frames moved.
 */
unsigned long kmm_buddy_drain_all(struct kmm_buddy *b)
{
	unsigned long frames = 0;
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		frames += kmm_buddy_drain_cpu(b, cpu);
	return frames;
}
KMM_EXPORT_INTERNAL(kmm_buddy_drain_all);

/* === Blocks that are freed === */

/*
 * The guards of a used block, before it is freed: has anybody written beyond its end? They are
 * tied to it until then, so their tags can be read without the lock.
 */
static noinline void kmm_check_guards(struct kmm_buddy *b, struct page *page, unsigned int order)
{
	struct kmm_region *r = b->region;
	u32 index = kmm_region_index(r, kmm_region_frame(r, page_to_pfn(page)));

	for (; order < b->guard_minorder; order++) {
		u32 buddy = index ^ (1U << order);

		if (READ_ONCE(r->frames[buddy].tag) != KMM_FRAME_TAG(KMM_FRAME_GUARD, order))
			return;
		if (static_branch_unlikely(&kmm_page_key))
			kmm_hook_page_guard(r, kmm_region_page(r, buddy), order);
		index &= ~(1U << order);
	}
}

static noinline void kmm_page_clear(struct page *page, unsigned int order)
{
	unsigned int i;

	for (i = 0; i < 1U << order; i++)
		clear_highpage(page + i);
}

/* Nobody looks at these frames any more: what is in them goes, if that is wanted. */
static __always_inline void kmm_page_idle(struct kmm_buddy *b, struct page *page,
					  unsigned int order)
{
	if (kmm_want_init_on_free())
		kmm_page_clear(page, order);
	if (static_branch_unlikely(&kmm_page_key))
		kmm_hook_page_idle(b->region, page, order);
}

/**
 * kmm_page_is_idle() - Nobody looks at a block any more: what is in it goes, if that is wanted.
 * @b: buddy instance
 * @page: first frame; it is not on a list yet
 * @order: log2 of frames
 *
 * Wipes it for init_on_free and tells the hooks. The fast paths have it inline.
 *
 * Context: any but NMI; any lock may be held.
 */
void kmm_page_is_idle(struct kmm_buddy *b, struct page *page, unsigned int order)
{
	kmm_page_idle(b, page, order);
}

/*
 * The region's own reference is one per frame, so the sum of 2^order counts is 2^order
 * exactly when nobody else holds any. Plain loads on purpose: whoever frees has no mapping
 * left, so a reference that appears now is one that will be dropped without being used.
 */
#define KMM_REFS(i)	data_race(page[i]._refcount.counter)

static __always_inline bool kmm_page_pinned_low(struct page *page, unsigned int order)
{
	unsigned int sum = KMM_REFS(0);

	if (order > 0)
		sum += KMM_REFS(1);
	if (order > 1)
		sum += KMM_REFS(2) + KMM_REFS(3);
	if (order > 2)
		sum += KMM_REFS(4) + KMM_REFS(5) + KMM_REFS(6) + KMM_REFS(7);
	return sum != 1U << order;
}

static __always_inline bool kmm_page_pinned(struct page *page, unsigned int order)
{
	unsigned int sum = 0, i = 0;

	if (order < KMM_PCP_LOW_ORDERS)
		return kmm_page_pinned_low(page, order);
#define KMM_REFS8(i)	(KMM_REFS(i) + KMM_REFS(i + 1) + KMM_REFS(i + 2) + KMM_REFS(i + 3) + \
			 KMM_REFS(i + 4) + KMM_REFS(i + 5) + KMM_REFS(i + 6) + KMM_REFS(i + 7))
	for (; order >= 5 && i < 1U << order; i += 32, page += 32)
		sum += KMM_REFS8(0) + KMM_REFS8(8) + KMM_REFS8(16) + KMM_REFS8(24);
	for (; i < 1U << order; i += 8, page += 8)
		sum += KMM_REFS8(0);
#undef KMM_REFS8
#undef KMM_REFS
	return sum != 1U << order;
}

/* === Slow paths === */

/**
 * kmm_report_bad_free() - Count and log a refused free, in the shape of KFENCE's reports.
 * @b: buddy instance
 * @page: what was to be freed
 * @order: of which order
 * @f: its frame; NULL when it is not the region's
 * @ip: who freed it
 *
 * Context: any but NMI; takes this CPU's cache lock, so no lock is held.
 */
noinline void kmm_report_bad_free(struct kmm_buddy *b, struct page *page, unsigned int order,
				  const struct kmm_frame *f, unsigned long ip)
{
	const char *what = "foreign";
	u16 tag = f ? READ_ONCE(f->tag) : 0;

	kmm_count(b, KMM_BAD_FREE, 1);
	if (!kmm_report_allowed(KMM_REPORT_PAGE))
		return;
	switch (tag >> 8) {
	case KMM_FRAME_FREE:
	case KMM_FRAME_CACHED:
	case KMM_FRAME_QUARANTINED:
		what = "double";
		break;
	case KMM_FRAME_TAIL:
		what = "inside-of-block";
		break;
	case KMM_FRAME_METADATA:
		what = "metadata";
		break;
	case KMM_FRAME_GUARD:
		what = "guard";
		break;
	case KMM_FRAME_USED:
		what = "wrong-order";
		break;
	}
	pr_err("==================================================================\n");
	pr_err("BUG: KMM: %s free in %pS\n\n", what, (void *)ip);
	pr_err("page pfn %#lx order %u: state %u, order %u; nothing was freed\n\n",
	       page_to_pfn(page), order, tag >> 8, tag & 0xff);
	if (f)
		kmm_hook_page_describe(b->region, page);
	dump_stack();
	pr_err("==================================================================\n");
}

/*
 * What is done with a good block before it is free. Return: nobody holds a frame of it; else it
 * is kmm_free_pinned()'s, and nothing was done to what is in it.
 */
static __always_inline bool kmm_free_prepare(struct kmm_buddy *b, struct page *page,
					     const struct kmm_frame *f, unsigned int order,
					     const unsigned long *slot)
{
	trace_mm_page_free(page, order);
	if (static_branch_unlikely(&kmm_page_key))
		kmm_hook_page_free(b->region, page, f, order, slot);
	if (kmm_page_pinned(page, order))
		return false;
	if (unlikely(order < b->guard_minorder))
		kmm_check_guards(b, page, order);
	kmm_page_idle(b, page, order);
	return true;
}

/*
 * A prepared block becomes free: with an owner, into a full cache, of an order that is not
 * cached, or while another CPU has the cache's lock.
 */
static noinline void kmm_free_prepared(struct kmm_buddy *b, struct page *page, unsigned int order,
				       const unsigned long *slot, struct kmm_frame *f)
{
	struct kmm_pcp_list *l = NULL;
	struct kmm_pcp *pcp;
	unsigned long flags;
	u32 owner;
	u16 used;

	pcp = kmm_pcp_lock(b, &flags);
	/* Of two racing frees of one block only one gets past this. */
	used = KMM_TAG_USED(order);
	if (!try_cmpxchg(&f->tag, &used, KMM_FRAME_TAG(KMM_FRAME_CACHED, order))) {
		kmm_pcp_unlock(pcp, flags);
		return kmm_report_bad_free(b, page, order, f, *slot);
	}
	owner = f->owner;
	f->owner = 0;
	pcp->nr_freed[order]++;
	if (kmm_pcp_cached(order))
		l = &pcp->list[kmm_pcp_index(order, f->mt)];
	if (l && l->limit != l->base) {
		if (l->top == l->limit)
			kmm_pcp_overflow(b, pcp, l, order);
		*l->top++ = (struct kmm_pcp_entry) { .page = page, .frame = f };
	} else {
		pcp->event[KMM_LOCK_SLOW]++;
		spin_lock(&b->lock);
		kmm_free_block(b, kmm_region_index(b->region, f), order);
		spin_unlock(&b->lock);
	}
	kmm_pcp_unlock(pcp, flags);
	kmm_uncharge(b, owner, 1UL << order);
}

/* A free in full: what the fast path did not want, the report of a bad one among it. */
static noinline void kmm_free_slow(struct kmm_buddy *b, struct page *page, unsigned int order,
				   const unsigned long *slot)
{
	struct kmm_frame *f = kmm_region_frame(b->region, page_to_pfn(page));

	if (!f || READ_ONCE(f->tag) != KMM_TAG_USED(order))
		return kmm_report_bad_free(b, page, order, f, *slot);
	if (!kmm_free_prepare(b, page, f, order, slot))
		return kmm_free_pinned(b, page, order, *slot);
	kmm_free_prepared(b, page, order, slot, f);
}

/* One try: this CPU's cache, refilled if need be, or the free lists for what is not cached. */
static struct page *kmm_alloc_local(struct kmm_buddy *b, gfp_t gfp, unsigned int order,
				    unsigned int mt)
{
	struct kmm_pcp_entry e = { };
	struct kmm_pcp_list *l = NULL;
	struct kmm_pcp *pcp;
	unsigned long flags;

	pcp = kmm_pcp_lock(b, &flags);
	if (kmm_pcp_cached(order))
		l = &pcp->list[kmm_pcp_index(order, mt)];
	if (l && (l->top != l->base || kmm_pcp_refill(b, pcp, l, order, mt, gfp))) {
		e = *kmm_pcp_pop(pcp, l, order);
	} else {
		pcp->event[KMM_LOCK_SLOW]++;
		spin_lock(&b->lock);
		if (kmm_take_blocks(b, pcp, &e, 1, order, mt, kmm_gfp_floor(b, gfp))) {
			e.frame->tag = KMM_TAG_USED(order);
			pcp->nr_alloc[order]++;
		}
		spin_unlock(&b->lock);
	}
	kmm_pcp_unlock(pcp, flags);
	return e.page;
}

/**
 * kmm_buddy_stop() - Empty all caches and hold them: what is not on the free lists is not there.
 * @b: buddy instance
 * @flags: for kmm_buddy_resume()
 *
 * With more CPUs than the locks can be held for (KMM_LOCK_ALL_CPUS), the caches of other CPUs are
 * emptied only, and may fill again.
 *
 * Context: any but NMI; no lock is held. On return @lock and at least this CPU's cache's lock are,
 * and IRQs are off. Return: this CPU's cache.
 */
struct kmm_pcp *kmm_buddy_stop(struct kmm_buddy *b, unsigned long *flags)
{
	struct kmm_pcp *mine;
	unsigned int cpu;

	if (num_possible_cpus() > KMM_LOCK_ALL_CPUS) {
		kmm_buddy_drain_all(b);
		mine = kmm_pcp_lock(b, flags);
		spin_lock(&b->lock);
		return mine;
	}
	kmm_buddy_lock_all(b, flags);
	mine = this_cpu_ptr(b->pcp);
	for_each_possible_cpu(cpu)
		if (kmm_pcp_drain_locked(b, per_cpu_ptr(b->pcp, cpu)))
			mine->event[KMM_PCP_STEAL]++;
	return mine;
}

/**
 * kmm_buddy_resume() - Undo kmm_buddy_stop(), but for the emptying.
 * @b: buddy instance
 * @mine: what that returned
 * @flags: what it gave
 *
 * Context: after kmm_buddy_stop(), on the same CPU.
 */
void kmm_buddy_resume(struct kmm_buddy *b, struct kmm_pcp *mine, unsigned long flags)
{
	if (num_possible_cpus() > KMM_LOCK_ALL_CPUS) {
		spin_unlock(&b->lock);
		kmm_pcp_unlock(mine, flags);
	} else {
		kmm_buddy_unlock_all(b, flags);
	}
}

/* The last try: every free frame is on the free lists. */
static struct page *kmm_alloc_stopped(struct kmm_buddy *b, gfp_t gfp, unsigned int order,
				      unsigned int mt)
{
	struct kmm_pcp_entry e = { };
	struct kmm_pcp *mine;
	unsigned long flags;

	mine = kmm_buddy_stop(b, &flags);
	if (kmm_take_blocks(b, mine, &e, 1, order, mt, kmm_gfp_floor(b, gfp))) {
		e.frame->tag = KMM_TAG_USED(order);
		mine->nr_alloc[order]++;
	}
	kmm_buddy_resume(b, mine, flags);
	return e.page;
}

/* Requests of this order and below may ask relieve() more than once, as in Linux. */
#define KMM_COSTLY_ORDER	3
#define KMM_RELIEVE_TRIES	8

static void kmm_report_fail(struct kmm_buddy *b, gfp_t gfp, unsigned int order)
{
	static DEFINE_RATELIMIT_STATE(rs, 10 * HZ, 3);

	kmm_count(b, KMM_ALLOC_FAIL, 1);
	if (gfp & __GFP_NOWARN || !__ratelimit(&rs))
		return;
	pr_warn("%s: page allocation failure: order:%u, mode:%#x(%pGg), %lu of %lu frames free, min %lu, %lu quarantined\n",
		current->comm, order, (__force u32)gfp, &gfp, READ_ONCE(b->nr_free), b->managed,
		b->watermark[KMM_WMARK_MIN], READ_ONCE(b->nr_quarantined));
}

/**
 * kmm_wake_if_low() - Call @wake when the free lists are below the low watermark.
 * @b: buddy instance, of which frames were taken
 *
 * Context: any but NMI; no lock is held.
 */
void kmm_wake_if_low(struct kmm_buddy *b)
{
	if (b->wake && READ_ONCE(b->nr_free) < b->watermark[KMM_WMARK_LOW])
		b->wake(b->ctx);
}

/* Is there anything to do but to give the block? */
static __always_inline bool kmm_alloc_wants_more(gfp_t gfp)
{
	return gfp & __GFP_ZERO || static_branch_unlikely(&kmm_page_key);
}

/* What a request wants done with its block before it gets it. */
static __always_inline void kmm_alloc_prepare(struct kmm_buddy *b, gfp_t gfp, unsigned int order,
					      struct page *page, const struct kmm_frame *f,
					      const unsigned long *slot)
{
	if (static_branch_unlikely(&kmm_page_key))
		kmm_hook_page_alloc(b->region, page, f, order, gfp, slot);
	if (kmm_want_init_on_alloc(gfp))
		kmm_page_clear(page, order);
	trace_mm_page_alloc(page, order, gfp, kmm_gfp_type(gfp));
}

/*
 * The rest of a request. The order of the arguments is that of the fast path, so that its tail call
 * moves few registers.
 */
static noinline struct page *kmm_alloc_finish(gfp_t gfp, unsigned int order,
					      struct page *page, const struct kmm_frame *f,
					      struct kmm_buddy *b, const unsigned long *slot)
{
	kmm_alloc_prepare(b, gfp, order, page, f, slot);
	return page;
}

/* The same for a client of kmm_alloc_pages() and its like. */
static noinline struct page *kmm_alloc_finish_client(gfp_t gfp, unsigned int order,
						     struct page *page, const struct kmm_frame *f,
						     struct kmm_buddy *b, const unsigned long *slot)
{
	kmm_alloc_prepare(b, gfp, order, page, f, slot);
	if (static_branch_unlikely(&kmm_page_key))
		kmm_hook_page_client(b->region, page, order, gfp);
	return page;
}

/**
 * kmm_alloc_finish_one() - Do what a request wants done with a frame that was not taken alone.
 * @b: buddy instance
 * @gfp: __GFP_ZERO counts
 * @page: the frame, used
 * @client: it goes to a caller of kmm_alloc_pages() or its like
 * @slot: kmm_depot_slot() of whoever was called
 *
 * Context: any but NMI; no lock is held.
 */
void kmm_alloc_finish_one(struct kmm_buddy *b, gfp_t gfp, struct page *page, bool client,
			  const unsigned long *slot)
{
	const struct kmm_frame *f;

	if (likely(!kmm_alloc_wants_more(gfp)))
		return;
	f = kmm_region_frame(b->region, page_to_pfn(page));
	client ? kmm_alloc_finish_client(gfp, 0, page, f, b, slot) :
		 kmm_alloc_finish(gfp, 0, page, f, b, slot);
}

static noinline struct page *kmm_alloc_slow(struct kmm_buddy *b, gfp_t gfp, unsigned int order,
					    const unsigned long *slot)
{
	unsigned int mt = kmm_gfp_type(gfp);
	unsigned int tries = 0, homecomings = 0, most;
	struct page *page = NULL;

	if (order > KMM_MAX_ORDER)
		return NULL;
	if (mt >= KMM_NR_MIGRATETYPES)
		mt = KMM_MOVABLE;
	most = gfp & __GFP_NORETRY || order > KMM_COSTLY_ORDER ? 1 : KMM_RELIEVE_TRIES;

	for (;;) {
		page = kmm_alloc_local(b, gfp, order, mt);
		if (!page)
			page = kmm_alloc_stopped(b, gfp, order, mt);
		kmm_wake_if_low(b);
		if (page)
			break;
		/* Bounded: others may put frames in as fast as they come home. */
		if (READ_ONCE(b->nr_quarantined) && homecomings++ < KMM_RELIEVE_TRIES &&
		    kmm_buddy_recheck_quarantine(b))
			continue;
		if (!(gfp & __GFP_DIRECT_RECLAIM) || !b->relieve || current->flags & PF_MEMALLOC ||
		    tries++ >= most)
			break;
		kmm_count(b, KMM_ALLOC_RELIEVE, 1);
		if (!b->relieve(b->ctx, gfp, order))
			break;
		cond_resched();
	}
	if (!page) {
		kmm_report_fail(b, gfp, order);
		return NULL;
	}
	return kmm_alloc_finish(gfp, order, page,
				kmm_region_frame(b->region, page_to_pfn(page)), b, slot);
}

static noinline struct page *kmm_alloc_slow_client(struct kmm_buddy *b, gfp_t gfp,
						   unsigned int order, const unsigned long *slot)
{
	struct page *page = kmm_alloc_slow(b, gfp, order, slot);

	if (page && static_branch_unlikely(&kmm_page_key))
		kmm_hook_page_client(b->region, page, order, gfp);
	return page;
}

/* === Interface === */

/*
 * The fast path: this CPU's cache has it. No call but tail calls, so no stack frame. @client:
 * for kmm_alloc_pages() and its like, known when compiling.
 */
static __always_inline struct page *kmm_alloc(struct kmm_buddy *b, gfp_t gfp, unsigned int order,
					      bool client)
{
	const struct kmm_pcp_entry *e;
	const struct kmm_frame *f;
	struct kmm_pcp_list *l;
	struct kmm_pcp *pcp;
	unsigned long flags;
	struct page *page;
	u32 stack;

	might_alloc(gfp);
	if (unlikely(!kmm_pcp_cached(order)))
		return client ? kmm_alloc_slow_client(b, gfp, order, kmm_depot_slot()) :
				kmm_alloc_slow(b, gfp, order, kmm_depot_slot());
	local_irq_save(flags);
	pcp = this_cpu_ptr(b->pcp);
	if (unlikely(!kmm_trylock_irqoff(&pcp->lock)))
		goto slow;
	l = &pcp->list[kmm_pcp_index(order, kmm_gfp_type(gfp))];
	if (unlikely(l->top == l->base))
		goto slow_unlock;
	e = kmm_pcp_pop(pcp, l, order);
	page = e->page;
	f = e->frame;
	kmm_unlock_irqoff(&pcp->lock);
	local_irq_restore(flags);
	if (unlikely(gfp & __GFP_ZERO))
		goto finish;
	if (static_branch_unlikely(&kmm_page_key)) {
		if (unlikely(!kmm_hook_page_short(kmm_depot_slot(), &stack)))
			goto finish;
		kmm_hook_page_alloc_short(b->region, f, order, gfp, stack);
	}
	return page;

finish:
	return client ? kmm_alloc_finish_client(gfp, order, page, f, b, kmm_depot_slot()) :
			kmm_alloc_finish(gfp, order, page, f, b, kmm_depot_slot());

slow_unlock:
	kmm_unlock_irqoff(&pcp->lock);
slow:
	local_irq_restore(flags);
	return client ? kmm_alloc_slow_client(b, gfp, order, kmm_depot_slot()) :
			kmm_alloc_slow(b, gfp, order, kmm_depot_slot());
}

/*
 * A prepared block of a cached order goes into this CPU's cache. @low: order 0..3, known when
 * compiling.
 * Return: false when there is no room or another CPU has the lock; then kmm_free_prepared() does
 * it.
 */
static __always_inline bool kmm_pcp_push(struct kmm_buddy *b, struct page *page,
					 struct kmm_frame *f, unsigned int order, bool low)
{
	struct kmm_pcp_entry *e;
	struct kmm_pcp_list *l;
	struct kmm_pcp *pcp;
	unsigned long flags;
	bool done = false;
	u16 used;

	local_irq_save(flags);
	pcp = this_cpu_ptr(b->pcp);
	if (unlikely(!kmm_trylock_irqoff(&pcp->lock)))
		goto busy;
	l = &pcp->list[low ? order * KMM_PCP_TYPES + f->mt :
			     kmm_pcp_index(KMM_PCP_HUGE_ORDER, f->mt)];
	e = l->top;
	if (unlikely(e == l->limit))
		goto full;
	/* Of two racing frees of one block only one gets past this. */
	used = KMM_TAG_USED(order);
	if (unlikely(!try_cmpxchg(&f->tag, &used, KMM_FRAME_TAG(KMM_FRAME_CACHED, order))))
		goto full;
	e->page = page;
	e->frame = f;
	l->top = e + 1;
	pcp->nr_freed[order]++;
	done = true;
full:
	kmm_unlock_irqoff(&pcp->lock);
busy:
	local_irq_restore(flags);
	return done;
}

/* The fast path with hooks. */
static noinline void kmm_free_hooked(struct kmm_buddy *b, struct page *page, unsigned int order,
				     const unsigned long *slot, struct kmm_frame *f)
{
	if (unlikely(!kmm_free_prepare(b, page, f, order, slot)))
		return kmm_free_pinned(b, page, order, *slot);
	if (unlikely(!kmm_pcp_push(b, page, f, order, order < KMM_PCP_LOW_ORDERS)))
		kmm_free_prepared(b, page, order, slot, f);
}

/*
 * The fast path: a good block of a cached order, and room for it. @low: order 0..3, known when
 * compiling: these need no loop over the counts, so no stack frame either.
 */
static __always_inline void kmm_free_fast(struct kmm_buddy *b, struct page *page,
					  unsigned int order, bool low)
{
	struct kmm_frame *f = kmm_region_frame(b->region, page_to_pfn(page));
	u32 stack;

	if (unlikely(!f || READ_ONCE(f->tag) != KMM_TAG_USED(order) || f->owner))
		return kmm_free_slow(b, page, order, kmm_depot_slot());
	if (static_branch_unlikely(&kmm_page_key)) {
		if (unlikely(!kmm_hook_page_short(kmm_depot_slot(), &stack)))
			return kmm_free_hooked(b, page, order, kmm_depot_slot(), f);
		kmm_hook_page_free_short(b->region, f, stack);
	}
	if (unlikely(low ? kmm_page_pinned_low(page, order) : kmm_page_pinned(page, order)))
		return kmm_free_pinned(b, page, order, _RET_IP_);
	if (unlikely(!kmm_pcp_push(b, page, f, order, low)))
		kmm_free_prepared(b, page, order, kmm_depot_slot(), f);
}

static noinline void kmm_free_high(struct kmm_buddy *b, struct page *page, unsigned int order)
{
	if (order == KMM_PCP_HUGE_ORDER)
		return kmm_free_fast(b, page, KMM_PCP_HUGE_ORDER, false);
	kmm_free_slow(b, page, order, kmm_depot_slot());
}

static __always_inline void kmm_free(struct kmm_buddy *b, struct page *page, unsigned int order)
{
	if (unlikely(order >= KMM_PCP_LOW_ORDERS))
		return kmm_free_high(b, page, order);
	kmm_free_fast(b, page, order, true);
}

/**
 * kmm_buddy_alloc() - Take 2^@order contiguous frames.
 * @b: buddy instance
 * @gfp: Linux GFP flags; __GFP_ZERO, __GFP_NOWARN, __GFP_NORETRY, __GFP_HIGH, __GFP_MEMALLOC,
 *	__GFP_NOMEMALLOC, __GFP_MOVABLE, __GFP_RECLAIMABLE and __GFP_DIRECT_RECLAIM count
 * @order: log2 of frames, 0..KMM_MAX_ORDER
 *
 * Context: any but NMI; sleeps only if @gfp allows, then it may call b->relieve().
 * Return: first frame, or NULL when empty after relieve, or @order is too large.
 */
struct page *kmm_buddy_alloc(struct kmm_buddy *b, gfp_t gfp, unsigned int order)
{
	return kmm_alloc(b, gfp, order, false);
}
KMM_EXPORT_INTERNAL(kmm_buddy_alloc);

/**
 * kmm_buddy_alloc_client() - kmm_buddy_alloc() for a client: what is taken is not kmm's own.
 * @b: buddy instance
 * @gfp: Linux GFP flags
 * @order: log2 of frames
 *
 * Context: as kmm_buddy_alloc(). Return: first frame or NULL.
 */
struct page *kmm_buddy_alloc_client(struct kmm_buddy *b, gfp_t gfp, unsigned int order)
{
	return kmm_alloc(b, gfp, order, true);
}
KMM_EXPORT_INTERNAL(kmm_buddy_alloc_client);

/**
 * kmm_buddy_free() - Give a block back.
 * @b: buddy instance
 * @page: what kmm_buddy_alloc() returned
 * @order: the same order
 *
 * A block that is not @b's, not given out, or of another order is refused with a report.
 * Frames that somebody outside still holds go into quarantine.
 *
 * Context: any but NMI; does not sleep.
 */
void kmm_buddy_free(struct kmm_buddy *b, struct page *page, unsigned int order)
{
	kmm_free(b, page, order);
}
KMM_EXPORT_INTERNAL(kmm_buddy_free);

/* What one lock of the bulk calls covers. */
#define KMM_BULK_CHUNK	32

/* Take up to @nr frames from this CPU's cache. */
static unsigned int kmm_pcp_take(struct kmm_buddy *b, gfp_t gfp, struct page **pages,
				 unsigned int nr)
{
	struct kmm_pcp_list *l;
	struct kmm_pcp *pcp;
	unsigned long flags;
	unsigned int i;

	pcp = kmm_pcp_lock(b, &flags);
	l = &pcp->list[kmm_pcp_index(0, kmm_gfp_type(gfp))];
	if (l->top == l->base)
		kmm_pcp_refill(b, pcp, l, 0, kmm_gfp_type(gfp), gfp);
	nr = min_t(unsigned long, nr, kmm_pcp_list_nr(l));
	for (i = 0; i < nr; i++)
		pages[i] = kmm_pcp_pop(pcp, l, 0)->page;
	kmm_pcp_unlock(pcp, flags);
	return nr;
}

static __always_inline unsigned long kmm_alloc_bulk(struct kmm_buddy *b, gfp_t gfp,
						    unsigned long nr_pages, struct page **pages,
						    bool client)
{
	struct page *got[KMM_BULK_CHUNK];
	unsigned long i = 0, j;

	might_alloc(gfp);
	while (i < nr_pages) {
		unsigned int want = 0, nr, k;

		for (j = i; j < nr_pages && want < KMM_BULK_CHUNK; j++)
			want += !pages[j];
		if (!want)
			return nr_pages;
		nr = kmm_pcp_take(b, gfp, got, want);
		kmm_wake_if_low(b);
		for (k = 0; k < nr; k++)
			kmm_alloc_finish_one(b, gfp, got[k], client, kmm_depot_slot());
		if (!nr) {
			got[0] = client ? kmm_alloc_slow_client(b, gfp, 0, kmm_depot_slot()) :
					  kmm_alloc_slow(b, gfp, 0, kmm_depot_slot());
			nr = !!got[0];
		}
		for (k = 0; k < nr; i++)
			if (!pages[i])
				pages[i] = got[k++];
		while (i < nr_pages && pages[i])
			i++;
		if (!nr)
			break;
	}
	return i;
}

/**
 * kmm_buddy_alloc_bulk() - Take many single frames.
 * @b: buddy instance
 * @gfp: as for kmm_buddy_alloc()
 * @nr_pages: length of @pages
 * @pages: NULL entries are filled, others are left alone
 *
 * Context: as kmm_buddy_alloc(). Return: entries that hold a page now, counted from the start
 * to the first that could not be filled.
 */
unsigned long kmm_buddy_alloc_bulk(struct kmm_buddy *b, gfp_t gfp, unsigned long nr_pages,
				   struct page **pages)
{
	return kmm_alloc_bulk(b, gfp, nr_pages, pages, false);
}
KMM_EXPORT_INTERNAL(kmm_buddy_alloc_bulk);

/**
 * kmm_buddy_free_bulk() - Give many single frames back.
 * @b: buddy instance
 * @pages: frames of order 0; NULL entries are skipped
 * @nr_pages: length of @pages
 *
 * Context: any but NMI; does not sleep.
 */
void kmm_buddy_free_bulk(struct kmm_buddy *b, struct page **pages, unsigned long nr_pages)
{
	unsigned long i;

	for (i = 0; i < nr_pages; i++)
		if (pages[i])
			kmm_free(b, pages[i], 0);
}
KMM_EXPORT_INTERNAL(kmm_buddy_free_bulk);

/**
 * kmm_buddy_split() - Make single frames of a used block.
 * @b: buddy instance
 * @page: what kmm_buddy_alloc() returned
 * @order: its order
 *
 * The frames are freed one by one then. The owner of the block is the owner of each.
 *
 * Context: any but NMI; the caller owns the block.
 */
void kmm_buddy_split(struct kmm_buddy *b, struct page *page, unsigned int order)
{
	struct kmm_frame *f = kmm_region_frame(b->region, page_to_pfn(page));
	struct kmm_pcp *pcp;
	unsigned long flags;
	unsigned int i;

	if (!f || f->tag != KMM_TAG_USED(order))
		return kmm_report_bad_free(b, page, order, f, _RET_IP_);
	if (!order)
		return;
	pcp = kmm_pcp_lock(b, &flags);
	for (i = 0; i < 1U << order; i++) {
		f[i].tag = KMM_TAG_USED(0);
		f[i].mt = f->mt;
		f[i].owner = f->owner;
	}
	pcp->nr_freed[order]++;
	pcp->nr_alloc[0] += 1UL << order;
	kmm_pcp_unlock(pcp, flags);
	if (static_branch_unlikely(&kmm_page_key))
		kmm_hook_page_split(b->region, page, order);
}
KMM_EXPORT_INTERNAL(kmm_buddy_split);

/**
 * kmm_buddy_set_owner() - Name the account that pays for a block.
 * @b: buddy instance
 * @page: a used block
 * @owner: account number; 0 is none
 *
 * Context: the caller owns the block. When it is free again, b->uncharge() gets @owner.
 */
void kmm_buddy_set_owner(struct kmm_buddy *b, struct page *page, u32 owner)
{
	kmm_region_frame(b->region, page_to_pfn(page))->owner = owner;
}
KMM_EXPORT_INTERNAL(kmm_buddy_set_owner);

/**
 * kmm_buddy_owner() - The account that pays for a block.
 * @b: buddy instance
 * @page: a used block
 *
 * Context: the caller owns the block. Return: the account number; 0 is none.
 */
u32 kmm_buddy_owner(struct kmm_buddy *b, struct page *page)
{
	return kmm_region_frame(b->region, page_to_pfn(page))->owner;
}
KMM_EXPORT_INTERNAL(kmm_buddy_owner);

/* === Clients: Linux's functions, on the module's instance === */

/**
 * kmm_buddy_set_client() - Choose the instance that serves the functions below.
 * @b: buddy instance; NULL before it is destroyed
 */
void kmm_buddy_set_client(struct kmm_buddy *b)
{
	kmm_client = b;
}

/**
 * kmm_alloc_pages() - alloc_pages() on kmm's region.
 * @gfp: Linux GFP flags
 * @order: log2 of pages
 *
 * Context: as kmm_buddy_alloc(). Return: first page or NULL.
 */
struct page *kmm_alloc_pages(gfp_t gfp, unsigned int order)
{
	return kmm_alloc(kmm_client, gfp, order, true);
}
EXPORT_SYMBOL_GPL(kmm_alloc_pages);

/**
 * __kmm_free_pages() - __free_pages() on kmm's region.
 * @page: what kmm_alloc_pages() returned
 * @order: the same order
 *
 * Context: as kmm_buddy_free().
 */
void __kmm_free_pages(struct page *page, unsigned int order)
{
	kmm_free(kmm_client, page, order);
}
EXPORT_SYMBOL_GPL(__kmm_free_pages);

/**
 * __kmm_get_free_pages() - __get_free_pages() on kmm's region.
 * @gfp: Linux GFP flags
 * @order: log2 of pages
 *
 * Context: as kmm_buddy_alloc(). Return: kernel address or 0.
 */
unsigned long __kmm_get_free_pages(gfp_t gfp, unsigned int order)
{
	struct page *page = kmm_alloc_pages(gfp & ~__GFP_HIGHMEM, order);

	return page ? (unsigned long)page_address(page) : 0;
}
EXPORT_SYMBOL_GPL(__kmm_get_free_pages);

/**
 * kmm_free_pages() - free_pages() on kmm's region.
 * @addr: what __kmm_get_free_pages() returned; 0 is ignored
 * @order: the same order
 *
 * Context: as kmm_buddy_free().
 */
void kmm_free_pages(unsigned long addr, unsigned int order)
{
	if (!addr)
		return;
	if (!virt_addr_valid((void *)addr)) {
		pr_err("free of %pS by %pS: not an address of a page; nothing was freed\n",
		       (void *)addr, (void *)_RET_IP_);
		return kmm_count(kmm_client, KMM_BAD_FREE, 1);
	}
	kmm_free_slow(kmm_client, virt_to_page((void *)addr), order, kmm_depot_slot());
}
EXPORT_SYMBOL_GPL(kmm_free_pages);

/**
 * kmm_alloc_pages_bulk_array() - alloc_pages_bulk_array() on kmm's region.
 * @gfp: Linux GFP flags
 * @nr_pages: length of @page_array
 * @page_array: NULL entries are filled
 *
 * Context: as kmm_buddy_alloc(). Return: entries that hold a page, from the start.
 */
unsigned long kmm_alloc_pages_bulk_array(gfp_t gfp, unsigned long nr_pages,
					 struct page **page_array)
{
	return kmm_alloc_bulk(kmm_client, gfp, nr_pages, page_array, true);
}
EXPORT_SYMBOL_GPL(kmm_alloc_pages_bulk_array);

/**
 * kmm_alloc_contig_range() - alloc_contig_range() on kmm's region.
 * @start_pfn: first frame
 * @end_pfn: behind the last
 * @migratetype: ignored: nothing is migrated to make room
 * @gfp: __GFP_ZERO counts
 *
 * Context: any but NMI. Return: 0, -EINVAL or -EBUSY, see kmm_buddy_alloc_range().
 */
int kmm_alloc_contig_range(unsigned long start_pfn, unsigned long end_pfn,
			   unsigned int migratetype, gfp_t gfp)
{
	return kmm_alloc_range(kmm_client, start_pfn, end_pfn, gfp, true, kmm_depot_slot());
}
EXPORT_SYMBOL_GPL(kmm_alloc_contig_range);

/**
 * kmm_free_contig_range() - free_contig_range() on kmm's region.
 * @pfn: first frame
 * @nr_pages: frames
 *
 * Context: as kmm_buddy_free().
 */
void kmm_free_contig_range(unsigned long pfn, unsigned long nr_pages)
{
	for (; nr_pages--; pfn++)
		kmm_free_slow(kmm_client, pfn_to_page(pfn), 0, kmm_depot_slot());
}
EXPORT_SYMBOL_GPL(kmm_free_contig_range);

/**
 * kmm_split_page() - split_page() on kmm's region.
 * @page: what kmm_alloc_pages() returned
 * @order: its order
 *
 * Context: the caller owns the block. Its pages are freed one by one then.
 */
void kmm_split_page(struct page *page, unsigned int order)
{
	kmm_buddy_split(kmm_client, page, order);
}
EXPORT_SYMBOL_GPL(kmm_split_page);
