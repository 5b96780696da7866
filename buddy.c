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
 * reclaimable), by pageblocks of 2 MiB, as in Linux. A request whose type has nothing left
 * takes the largest block of another type, and the whole pageblock when most of it is free.
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
 * It deliberately does not: zones, NUMA placement, compound pages, compaction.
 */

#define pr_fmt(fmt) "kmm: buddy: " fmt

#include <linux/cpu.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/ratelimit.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <compat/compat.h>
#include <kmm/assert.h>
#include <kmm/buddy.h>
#include <kmm/hardening.h>
#include <kmm/hooks.h>
#include <kmm/inject.h>
#include <kmm/kmm.h>
#include <kmm/report.h>
#include <trace/events/kmm.h>

/* === Data === */

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

static enum cpuhp_state kmm_cpuhp_state;

/* gfp >> 3 & 3 is the type: bit 3 says movable, bit 4 reclaimable, as in Linux. */
#define KMM_GFP_TYPE_SHIFT	3
static_assert((__force u32)__GFP_MOVABLE >> KMM_GFP_TYPE_SHIFT == KMM_MOVABLE);
static_assert((__force u32)__GFP_RECLAIMABLE >> KMM_GFP_TYPE_SHIFT == KMM_RECLAIMABLE);

/* Where each type looks when its own lists are empty. */
static const u8 kmm_fallback[KMM_NR_MIGRATETYPES][KMM_NR_MIGRATETYPES - 1] = {
	[KMM_UNMOVABLE] = { KMM_RECLAIMABLE, KMM_MOVABLE },
	[KMM_MOVABLE] = { KMM_RECLAIMABLE, KMM_UNMOVABLE },
	[KMM_RECLAIMABLE] = { KMM_UNMOVABLE, KMM_MOVABLE },
};

static __always_inline unsigned int kmm_gfp_type(gfp_t gfp)
{
	return ((__force u32)gfp >> KMM_GFP_TYPE_SHIFT) & (KMM_PCP_TYPES - 1);
}

static unsigned long kmm_pcp_list_nr(const struct kmm_pcp_list *l)
{
	return READ_ONCE(l->top) - l->base;
}

static unsigned long kmm_pcp_list_high(const struct kmm_pcp_list *l)
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

static unsigned int kmm_pcp_order(unsigned int index)
{
	unsigned int i = index / KMM_PCP_TYPES;

	return i == KMM_PCP_LOW_ORDERS ? KMM_PCP_HUGE_ORDER : i;
}

static __always_inline u8 kmm_pageblock_type(const struct kmm_region *r, u32 index)
{
	return READ_ONCE(r->pageblock_mt[index >> KMM_PAGEBLOCK_ORDER]);
}

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

static struct kmm_pcp *kmm_pcp_lock(struct kmm_buddy *b, unsigned long *flags)
{
	struct kmm_pcp *pcp;

	local_irq_save(*flags);
	pcp = this_cpu_ptr(b->pcp);
	spin_lock(&pcp->lock);
	return pcp;
}

static void kmm_pcp_unlock(struct kmm_pcp *pcp, unsigned long flags)
{
	spin_unlock(&pcp->lock);
	local_irq_restore(flags);
}

/* More CPUs than this and the preempt count could not hold all locks at once. */
#define KMM_LOCK_ALL_CPUS	128

/* Everything stands still: all caches and the free lists. */
static void kmm_buddy_lock_all(struct kmm_buddy *b, unsigned long *flags)
{
	unsigned int cpu;

	spin_lock_irqsave(&b->stop, *flags);
	for_each_possible_cpu(cpu)
		spin_lock_nest_lock(&per_cpu_ptr(b->pcp, cpu)->lock, &b->stop);
	spin_lock(&b->lock);
}

static void kmm_buddy_unlock_all(struct kmm_buddy *b, unsigned long flags)
{
	unsigned int cpu;

	spin_unlock(&b->lock);
	for_each_possible_cpu(cpu)
		spin_unlock(&per_cpu_ptr(b->pcp, cpu)->lock);
	spin_unlock_irqrestore(&b->stop, flags);
}

static void kmm_count(struct kmm_buddy *b, enum kmm_buddy_event event, u64 n)
{
	unsigned long flags;
	struct kmm_pcp *pcp = kmm_pcp_lock(b, &flags);

	pcp->event[event] += n;
	kmm_pcp_unlock(pcp, flags);
}

/* === Free lists: @lock is held === */

static void kmm_list_add(struct kmm_buddy *b, u32 index, unsigned int order, unsigned int mt)
{
	struct kmm_frame *frames = b->region->frames;
	struct kmm_buddy_list *l = &b->free[order][mt];
	struct kmm_frame *f = &frames[index];

	f->tag = KMM_FRAME_TAG(KMM_FRAME_FREE, order);
	f->mt = mt;
	f->prev = KMM_LIST_END;
	f->next = l->first;
	if (l->first != KMM_LIST_END)
		frames[l->first].prev = index;
	l->first = index;
	l->nr++;
	b->nr_free += 1UL << order;
}

static void kmm_list_del(struct kmm_buddy *b, u32 index, unsigned int order)
{
	struct kmm_frame *frames = b->region->frames;
	struct kmm_frame *f = &frames[index];
	struct kmm_buddy_list *l = &b->free[order][f->mt];

	if (f->prev == KMM_LIST_END)
		l->first = f->next;
	else
		frames[f->prev].next = f->next;
	if (f->next != KMM_LIST_END)
		frames[f->next].prev = f->prev;
	l->nr--;
	b->nr_free -= 1UL << order;
	f->tag = KMM_FRAME_TAG(KMM_FRAME_TAIL, 0);
}

/* Put frames [start, end) of one free block back, in blocks that are as large as may be. */
static void kmm_list_add_rest(struct kmm_buddy *b, u32 start, u32 end, unsigned int mt)
{
	while (start < end) {
		unsigned int order = __ffs(start | KMM_GRANULE_FRAMES);

		while (start + (1U << order) > end)
			order--;
		kmm_list_add(b, start, order, mt);
		start += 1U << order;
	}
}

/*
 * The same for what is left of a block that one of @guard_minorder was cut down from: blocks below
 * that order become guards. As Linux's expand().
 */
static void kmm_list_add_guards(struct kmm_buddy *b, u32 start, u32 end, unsigned int mt)
{
	struct kmm_frame *f;
	unsigned int order;

	while (start < end && __ffs(start) < b->guard_minorder) {
		order = __ffs(start);
		f = &b->region->frames[start];
		f->tag = KMM_FRAME_TAG(KMM_FRAME_GUARD, order);
		f->mt = mt;
		b->nr_guard += 1UL << order;
		start += 1U << order;
	}
	kmm_list_add_rest(b, start, end, mt);
}

/* The guard at @index ends. Return: false when there is none. */
static noinline bool kmm_guard_del(struct kmm_buddy *b, u32 index, unsigned int order)
{
	struct kmm_frame *f = &b->region->frames[index];

	if (f->tag != KMM_FRAME_TAG(KMM_FRAME_GUARD, order))
		return false;
	f->tag = KMM_FRAME_TAG(KMM_FRAME_TAIL, 0);
	b->nr_guard -= 1UL << order;
	return true;
}

/* A block whose tag is not FREE any more or not yet becomes free, and merges. */
static void kmm_free_block(struct kmm_buddy *b, u32 index, unsigned int order)
{
	struct kmm_region *r = b->region;
	struct kmm_frame *frames = r->frames;
	u8 mt = kmm_pageblock_type(r, index);

	frames[index].tag = KMM_FRAME_TAG(KMM_FRAME_TAIL, 0);
	while (order < KMM_MAX_ORDER) {
		u32 buddy = index ^ (1U << order);

		if (likely(frames[buddy].tag == KMM_FRAME_TAG(KMM_FRAME_FREE, order)))
			kmm_list_del(b, buddy, order);
		else if (likely(!b->nr_guard) || !kmm_guard_del(b, buddy, order))
			break;
		index &= ~(1U << order);
		order++;
	}
	/* Two pageblocks become one block: one type. */
	if (order > KMM_PAGEBLOCK_ORDER) {
		WRITE_ONCE(r->pageblock_mt[index >> KMM_PAGEBLOCK_ORDER], mt);
		WRITE_ONCE(r->pageblock_mt[(index >> KMM_PAGEBLOCK_ORDER) + 1], mt);
	}
	kmm_list_add(b, index, order, mt);
}

/* Give all pageblocks from @index on, @nr frames, to @mt, with their free blocks. */
static void kmm_pageblocks_claim(struct kmm_buddy *b, u32 index, u32 nr, unsigned int mt)
{
	struct kmm_frame *frames = b->region->frames;
	u32 i, end = index + nr;

	for (i = index; i < end;) {
		unsigned int order = 0;

		if (kmm_frame_state(&frames[i]) == KMM_FRAME_FREE) {
			order = kmm_frame_order(&frames[i]);
			kmm_list_del(b, i, order);
			kmm_list_add(b, i, order, mt);
		}
		i += 1U << order;
	}
	for (i = index >> KMM_PAGEBLOCK_ORDER; i < end >> KMM_PAGEBLOCK_ORDER; i++)
		WRITE_ONCE(b->region->pageblock_mt[i], mt);
}

static u32 kmm_pageblock_nr_free(struct kmm_buddy *b, u32 index)
{
	const struct kmm_frame *frames = b->region->frames;
	u32 i, nr = 0;

	for (i = index; i < index + KMM_PAGEBLOCK_FRAMES;) {
		unsigned int order = 0;

		if (kmm_frame_state(&frames[i]) == KMM_FRAME_FREE) {
			order = kmm_frame_order(&frames[i]);
			nr += 1U << order;
		}
		i += 1U << order;
	}
	return nr;
}

/*
 * Type @mt has no block of @order or more: find the largest of another type. A block of a
 * pageblock or more, or one in a pageblock that is at least half free, changes type with all
 * of its pageblock; any other is used as it is.
 * Return: true when there is one; then *index and *found name it.
 */
static bool kmm_find_fallback(struct kmm_buddy *b, struct kmm_pcp *pcp, unsigned int order,
			      unsigned int mt, u32 *index, unsigned int *found)
{
	int o, i;

	for (o = KMM_MAX_ORDER; o >= (int)order; o--) {
		for (i = 0; i < ARRAY_SIZE(kmm_fallback[mt]); i++) {
			unsigned int other = kmm_fallback[mt][i];
			struct kmm_buddy_list *l = &b->free[o][other];
			u32 start, nr;
			bool claim;

			if (l->first == KMM_LIST_END)
				continue;
			*index = l->first;
			*found = o;
			nr = max(1UL << o, KMM_PAGEBLOCK_FRAMES);
			start = *index & ~(nr - 1);
			claim = o >= KMM_PAGEBLOCK_ORDER ||
				kmm_pageblock_nr_free(b, start) >= KMM_PAGEBLOCK_FRAMES / 2;
			pcp->event[KMM_EXTFRAG]++;
			trace_mm_page_alloc_extfrag(kmm_region_page(b->region, *index), order, o,
						    mt, other, claim);
			if (claim) {
				pcp->event[KMM_PAGEBLOCK_STEAL] += nr >> KMM_PAGEBLOCK_ORDER;
				kmm_pageblocks_claim(b, start, nr, mt);
			}
			return true;
		}
	}
	return false;
}

static bool kmm_find_block(struct kmm_buddy *b, struct kmm_pcp *pcp, unsigned int order,
			   unsigned int mt, u32 *index, unsigned int *found)
{
	unsigned int o;

	for (o = order; o < KMM_NR_ORDERS; o++) {
		if (b->free[o][mt].first != KMM_LIST_END) {
			*index = b->free[o][mt].first;
			*found = o;
			return true;
		}
	}
	return kmm_find_fallback(b, pcp, order, mt, index, found);
}

/* Frames that a request must leave on the free lists. */
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

/*
 * Take up to @want blocks of @order from the free lists into @entry, neighbours together,
 * lowest address last (it goes out first). The cost of a split is shared by the batch.
 */
static unsigned int kmm_take_blocks(struct kmm_buddy *b, struct kmm_pcp *pcp,
				    struct kmm_pcp_entry *entry, unsigned int want,
				    unsigned int order, unsigned int mt, unsigned long floor)
{
	struct kmm_region *r = b->region;
	unsigned int got = 0;

	lockdep_assert_held(&b->lock);
	while (got < want && b->nr_free >= floor + (1UL << order)) {
		unsigned long spare = b->nr_free - floor;
		unsigned int found, n, i;
		struct kmm_frame *f;
		struct page *page;
		u32 index;
		u8 type;

		if (!kmm_find_block(b, pcp, order, mt, &index, &found))
			break;
		f = &r->frames[index];
		type = f->mt;
		page = kmm_region_page(r, index);
		kmm_list_del(b, index, found);
		if (unlikely(order < b->guard_minorder)) {
			n = 1;
			kmm_list_add_guards(b, index + (1U << order), index + (1U << found), type);
		} else {
			n = min3((unsigned long)want - got, 1UL << (found - order), spare >> order);
			kmm_list_add_rest(b, index + (n << order), index + (1U << found), type);
		}
		for (i = 0; i < n; i++) {
			struct kmm_pcp_entry *e = &entry[got + n - 1 - i];

			f->tag = KMM_FRAME_TAG(KMM_FRAME_CACHED, order);
			f->mt = type;
			e->page = page;
			e->frame = f;
			trace_mm_page_alloc_zone_locked(page, order, mt);
			f += 1UL << order;
			page += 1UL << order;
		}
		got += n;
	}
	return got;
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

/* === Quarantine === */

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
static __always_inline void kmm_page_is_idle(struct kmm_buddy *b, struct page *page,
					     unsigned int order)
{
	if (kmm_want_init_on_free())
		kmm_page_clear(page, order);
	if (static_branch_unlikely(&kmm_page_key))
		kmm_hook_page_idle(b->region, page, order);
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

static void kmm_quarantine_add(struct kmm_buddy *b, u32 index, u32 owner)
{
	struct kmm_frame *f = &b->region->frames[index];

	f->tag = KMM_FRAME_TAG(KMM_FRAME_QUARANTINED, 0);
	f->owner = owner;
	f->next = b->quarantine;
	b->quarantine = index;
	b->nr_quarantined++;
}

static void kmm_uncharge(struct kmm_buddy *b, u32 owner, unsigned long nr_pages)
{
	if (owner && nr_pages && b->uncharge)
		b->uncharge(b->ctx, owner, nr_pages);
}

/* A pinned frame came home: what its holder may have left in the host's struct page goes. */
static void kmm_scrub_page(struct page *page)
{
	ClearPageDirty(page);
	ClearPageReferenced(page);
	ClearPageWorkingset(page);
}

/* Owners whose frames come home in one round of a recheck; 128 bytes of stack. */
#define KMM_HOME_OWNERS		16

/**
 * kmm_buddy_recheck_quarantine() - Take back what nobody holds any more.
 * @b: buddy
 *
 * Context: any but NMI. Return: frames that came home.
 */
unsigned long kmm_buddy_recheck_quarantine(struct kmm_buddy *b)
{
	struct {
		u32 owner;
		u32 nr;
	} come[KMM_HOME_OWNERS];
	struct kmm_region *r = b->region;
	unsigned long flags, home = 0;
	unsigned int nr_owners, i;
	u32 *link, index;
	bool more;

	/* Some owners a round: uncharge() is called without the lock. */
	do {
		nr_owners = 0;
		more = false;
		spin_lock_irqsave(&b->lock, flags);
		for (link = &b->quarantine; (index = *link) != KMM_LIST_END;) {
			struct kmm_frame *f = &r->frames[index];
			struct page *page = kmm_region_page(r, index);

			if (page_ref_count(page) != 1) {
				link = &f->next;
				continue;
			}
			for (i = 0; i < nr_owners && come[i].owner != f->owner; i++)
				;
			if (i == ARRAY_SIZE(come)) {
				more = true;
				break;
			}
			if (i == nr_owners) {
				come[i].owner = f->owner;
				come[i].nr = 0;
				nr_owners++;
			}
			come[i].nr++;
			*link = f->next;
			f->owner = 0;
			b->nr_quarantined--;
			kmm_scrub_page(page);
			kmm_page_is_idle(b, page, 0);
			kmm_free_block(b, index, 0);
			home++;
		}
		spin_unlock_irqrestore(&b->lock, flags);
		for (i = 0; i < nr_owners; i++)
			kmm_uncharge(b, come[i].owner, come[i].nr);
	} while (more);
	if (home)
		kmm_count(b, KMM_QUARANTINE_OUT, home);
	return home;
}
KMM_EXPORT_INTERNAL(kmm_buddy_recheck_quarantine);

/* === Slow paths === */

/* The log of a refused free, in the shape of KFENCE's reports. Any context. */
static noinline void kmm_report_bad_free(struct kmm_buddy *b, struct page *page, unsigned int order,
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

/* Somebody outside holds frames of this block: they wait in quarantine, the rest is free. */
static noinline void kmm_free_pinned(struct kmm_buddy *b, struct page *page, unsigned int order,
				     unsigned long ip)
{
	struct kmm_region *r = b->region;
	struct kmm_frame *f = kmm_region_frame(r, page_to_pfn(page));
	u32 index = kmm_region_index(r, f), i;
	u16 used = KMM_TAG_USED(order);
	unsigned int pinned = 0;
	struct kmm_pcp *pcp;
	unsigned long flags;
	u32 owner;

	pcp = kmm_pcp_lock(b, &flags);
	if (!try_cmpxchg(&f->tag, &used, KMM_FRAME_TAG(KMM_FRAME_TAIL, 0))) {
		kmm_pcp_unlock(pcp, flags);
		return kmm_report_bad_free(b, page, order, f, ip);
	}
	owner = f->owner;
	f->owner = 0;
	pcp->nr_freed[order]++;
	pcp->event[KMM_LOCK_SLOW]++;
	spin_lock(&b->lock);
	for (i = 0; i < 1U << order; i++) {
		if (page_ref_count(page + i) == 1) {
			kmm_page_is_idle(b, page + i, 0);
			kmm_free_block(b, index + i, 0);
		} else {
			kmm_quarantine_add(b, index + i, owner);
			pinned++;
		}
	}
	spin_unlock(&b->lock);
	pcp->event[KMM_QUARANTINE_IN] += pinned;
	kmm_pcp_unlock(pcp, flags);
	kmm_uncharge(b, owner, (1UL << order) - pinned);
	if (pinned && b->wake)
		b->wake(b->ctx);
}

/*
 * What is done with a good block before it is free. Return: nobody holds a frame of it; else it
 * is kmm_free_pinned()'s, and nothing was done to what is in it.
 */
static __always_inline bool kmm_free_prepare(struct kmm_buddy *b, struct page *page,
					     const struct kmm_frame *f, unsigned int order)
{
	trace_mm_page_free(page, order);
	if (static_branch_unlikely(&kmm_page_key))
		kmm_hook_page_free(b->region, page, f, order);
	if (kmm_page_pinned(page, order))
		return false;
	if (unlikely(order < b->guard_minorder))
		kmm_check_guards(b, page, order);
	kmm_page_is_idle(b, page, order);
	return true;
}

/*
 * A prepared block becomes free: with an owner, into a full cache, of an order that is not
 * cached, or while another CPU has the cache's lock.
 */
static noinline void kmm_free_prepared(struct kmm_buddy *b, struct page *page, unsigned int order,
				       unsigned long ip, struct kmm_frame *f)
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
		return kmm_report_bad_free(b, page, order, f, ip);
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
				   unsigned long ip)
{
	struct kmm_frame *f = kmm_region_frame(b->region, page_to_pfn(page));

	if (!f || READ_ONCE(f->tag) != KMM_TAG_USED(order))
		return kmm_report_bad_free(b, page, order, f, ip);
	if (!kmm_free_prepare(b, page, f, order))
		return kmm_free_pinned(b, page, order, ip);
	kmm_free_prepared(b, page, order, ip, f);
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

/*
 * All caches are emptied, and locked with the free lists: what is not found now is not there.
 * With more CPUs than the locks can be held for, other CPUs' caches are emptied only.
 * Return: this CPU's cache.
 */
static struct kmm_pcp *kmm_buddy_stop(struct kmm_buddy *b, unsigned long *flags)
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

static void kmm_buddy_resume(struct kmm_buddy *b, struct kmm_pcp *mine, unsigned long flags)
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

/* After frames were taken from the free lists. No lock is held. */
static void kmm_wake_if_low(struct kmm_buddy *b)
{
	if (b->wake && READ_ONCE(b->nr_free) < b->watermark[KMM_WMARK_LOW])
		b->wake(b->ctx);
}

/* Is there anything to do but to give the block? */
static __always_inline bool kmm_alloc_wants_more(gfp_t gfp)
{
	return gfp & __GFP_ZERO || static_branch_unlikely(&kmm_page_key);
}

/*
 * What a request wants done with its block before it gets it. The order of the arguments is that
 * of the fast path, so that its tail call moves one register.
 */
static __always_inline void kmm_alloc_prepare(struct kmm_buddy *b, gfp_t gfp, unsigned int order,
					      struct page *page, const struct kmm_frame *f)
{
	if (static_branch_unlikely(&kmm_page_key))
		kmm_hook_page_alloc(b->region, page, f, order, gfp);
	if (kmm_want_init_on_alloc(gfp))
		kmm_page_clear(page, order);
	trace_mm_page_alloc(page, order, gfp, kmm_gfp_type(gfp));
}

static noinline struct page *kmm_alloc_finish(struct kmm_buddy *b, gfp_t gfp, unsigned int order,
					      struct page *page, const struct kmm_frame *f)
{
	kmm_alloc_prepare(b, gfp, order, page, f);
	return page;
}

/* The same for a client of kmm_alloc_pages() and its like. */
static noinline struct page *kmm_alloc_finish_client(struct kmm_buddy *b, gfp_t gfp,
						     unsigned int order, struct page *page,
						     const struct kmm_frame *f)
{
	kmm_alloc_prepare(b, gfp, order, page, f);
	if (static_branch_unlikely(&kmm_page_key))
		kmm_hook_page_client(b->region, page, order, gfp);
	return page;
}

/* The same for a single frame that was not taken alone. */
static void kmm_alloc_finish_one(struct kmm_buddy *b, gfp_t gfp, struct page *page, bool client)
{
	const struct kmm_frame *f;

	if (likely(!kmm_alloc_wants_more(gfp)))
		return;
	f = kmm_region_frame(b->region, page_to_pfn(page));
	client ? kmm_alloc_finish_client(b, gfp, 0, page, f) : kmm_alloc_finish(b, gfp, 0, page, f);
}

static noinline struct page *kmm_alloc_slow(struct kmm_buddy *b, gfp_t gfp, unsigned int order)
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
	return kmm_alloc_finish(b, gfp, order, page,
				kmm_region_frame(b->region, page_to_pfn(page)));
}

static noinline struct page *kmm_alloc_slow_client(struct kmm_buddy *b, gfp_t gfp,
						   unsigned int order)
{
	struct page *page = kmm_alloc_slow(b, gfp, order);

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

	might_alloc(gfp);
	if (unlikely(!kmm_pcp_cached(order)))
		return client ? kmm_alloc_slow_client(b, gfp, order) :
				kmm_alloc_slow(b, gfp, order);
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
	if (unlikely(kmm_alloc_wants_more(gfp)))
		return client ? kmm_alloc_finish_client(b, gfp, order, page, f) :
				kmm_alloc_finish(b, gfp, order, page, f);
	return page;

slow_unlock:
	kmm_unlock_irqoff(&pcp->lock);
slow:
	local_irq_restore(flags);
	return client ? kmm_alloc_slow_client(b, gfp, order) : kmm_alloc_slow(b, gfp, order);
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
	l = &pcp->list[kmm_pcp_index(low ? order : KMM_PCP_HUGE_ORDER, f->mt)];
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
				     unsigned long ip, struct kmm_frame *f)
{
	if (unlikely(!kmm_free_prepare(b, page, f, order)))
		return kmm_free_pinned(b, page, order, ip);
	if (unlikely(!kmm_pcp_push(b, page, f, order, order < KMM_PCP_LOW_ORDERS)))
		kmm_free_prepared(b, page, order, ip, f);
}

/*
 * The fast path: a good block of a cached order, and room for it. @low: order 0..3, known when
 * compiling: these need no loop over the counts, so no stack frame either.
 */
static __always_inline void kmm_free_fast(struct kmm_buddy *b, struct page *page,
					  unsigned int order, unsigned long ip, bool low)
{
	struct kmm_frame *f = kmm_region_frame(b->region, page_to_pfn(page));

	if (unlikely(!f || READ_ONCE(f->tag) != KMM_TAG_USED(order) || f->owner))
		return kmm_free_slow(b, page, order, ip);
	if (static_branch_unlikely(&kmm_page_key))
		return kmm_free_hooked(b, page, order, ip, f);
	if (unlikely(low ? kmm_page_pinned_low(page, order) : kmm_page_pinned(page, order)))
		return kmm_free_slow(b, page, order, ip);
	if (unlikely(!kmm_pcp_push(b, page, f, order, low)))
		kmm_free_slow(b, page, order, ip);
}

static noinline void kmm_free_high(struct kmm_buddy *b, struct page *page, unsigned int order,
				   unsigned long ip)
{
	if (order == KMM_PCP_HUGE_ORDER)
		return kmm_free_fast(b, page, KMM_PCP_HUGE_ORDER, ip, false);
	kmm_free_slow(b, page, order, ip);
}

static __always_inline void kmm_free(struct kmm_buddy *b, struct page *page, unsigned int order,
				     unsigned long ip)
{
	if (unlikely(order >= KMM_PCP_LOW_ORDERS))
		return kmm_free_high(b, page, order, ip);
	kmm_free_fast(b, page, order, ip, true);
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
	kmm_free(b, page, order, _RET_IP_);
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
			kmm_alloc_finish_one(b, gfp, got[k], client);
		if (!nr) {
			got[0] = client ? kmm_alloc_slow_client(b, gfp, 0) :
					  kmm_alloc_slow(b, gfp, 0);
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
			kmm_free(b, pages[i], 0, _RET_IP_);
}
KMM_EXPORT_INTERNAL(kmm_buddy_free_bulk);

/* The free block that frame @index is in; false when it is in none. @lock is held. */
static bool kmm_find_free_block_of(struct kmm_buddy *b, u32 index, u32 *start, unsigned int *order)
{
	unsigned int o;

	for (o = 0; o < KMM_NR_ORDERS; o++) {
		*start = index & ~((1U << o) - 1);
		if (b->region->frames[*start].tag == KMM_FRAME_TAG(KMM_FRAME_FREE, o)) {
			*order = o;
			return true;
		}
	}
	return false;
}

/* Index of a pfn whose frame the region has; false otherwise. */
static bool kmm_pfn_to_index(const struct kmm_region *r, unsigned long pfn, u32 *index)
{
	const struct kmm_frame *f = kmm_region_frame(r, pfn);

	if (!f || kmm_frame_state(f) == KMM_FRAME_ABSENT)
		return false;
	*index = kmm_region_index(r, f);
	return true;
}

static int kmm_range_is_free(struct kmm_buddy *b, unsigned long pfn, unsigned long end_pfn)
{
	unsigned int order;
	u32 index, start;

	while (pfn < end_pfn) {
		if (!kmm_pfn_to_index(b->region, pfn, &index))
			return -EINVAL;
		if (!kmm_find_free_block_of(b, index, &start, &order))
			return -EBUSY;
		pfn += (1UL << order) - (index - start);
	}
	return 0;
}

static void kmm_range_take(struct kmm_buddy *b, unsigned long pfn, unsigned long end_pfn)
{
	struct kmm_frame *frames = b->region->frames;
	unsigned int order;
	u32 index, start;

	while (pfn < end_pfn) {
		u32 end, last;
		u8 mt;

		if (!kmm_assert(kmm_pfn_to_index(b->region, pfn, &index) &&
				kmm_find_free_block_of(b, index, &start, &order)))
			return;
		mt = frames[start].mt;
		end = start + (1U << order);
		last = min_t(unsigned long, end - index, end_pfn - pfn) + index;
		kmm_list_del(b, start, order);
		kmm_list_add_rest(b, start, index, mt);
		kmm_list_add_rest(b, last, end, mt);
		pfn += last - index;
		for (; index < last; index++) {
			frames[index].tag = KMM_TAG_USED(0);
			frames[index].mt = mt;
		}
	}
}

static int kmm_alloc_range(struct kmm_buddy *b, unsigned long start_pfn, unsigned long end_pfn,
			   gfp_t gfp, bool client)
{
	unsigned long flags, pfn;
	struct kmm_pcp *mine;
	int err;

	if (start_pfn >= end_pfn)
		return -EINVAL;
	mine = kmm_buddy_stop(b, &flags);
	err = kmm_range_is_free(b, start_pfn, end_pfn);
	if (!err) {
		kmm_range_take(b, start_pfn, end_pfn);
		mine->nr_alloc[0] += end_pfn - start_pfn;
	}
	kmm_buddy_resume(b, mine, flags);
	kmm_wake_if_low(b);
	for (pfn = start_pfn; !err && pfn < end_pfn; pfn++)
		kmm_alloc_finish_one(b, gfp, pfn_to_page(pfn), client);
	return err;
}

/**
 * kmm_buddy_alloc_range() - Take exactly these frames.
 * @b: buddy instance
 * @start_pfn: first frame
 * @end_pfn: behind the last
 *
 * They are single frames from then on, to be freed one by one. All CPUs' caches are emptied.
 *
 * Context: any but NMI. Return: 0; -EINVAL when the range is empty or not all in the region;
 * -EBUSY when a frame of it is in use. On error nothing is taken.
 */
int kmm_buddy_alloc_range(struct kmm_buddy *b, unsigned long start_pfn, unsigned long end_pfn)
{
	return kmm_alloc_range(b, start_pfn, end_pfn, GFP_NOWAIT, false);
}
KMM_EXPORT_INTERNAL(kmm_buddy_alloc_range);

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

/* === Statistics and self-check === */

/* All locks are held, or the figures are approximate. */
static void kmm_buddy_sum(struct kmm_buddy *b, struct kmm_buddy_stat *st)
{
	unsigned int cpu, i, mt;
	long used = 0;

	for_each_possible_cpu(cpu) {
		struct kmm_pcp *pcp = per_cpu_ptr(b->pcp, cpu);

		for (i = 0; i < KMM_PCP_NR_LISTS; i++)
			st->cached += kmm_pcp_list_nr(&pcp->list[i]) << kmm_pcp_order(i);
		for (i = 0; i < KMM_NR_ORDERS; i++) {
			u64 nr_alloc = READ_ONCE(pcp->nr_alloc[i]);
			u64 nr_freed = READ_ONCE(pcp->nr_freed[i]);

			st->nr_alloc[i] += nr_alloc;
			st->nr_freed[i] += nr_freed;
			used += (long)(nr_alloc - nr_freed) * (1L << i);
		}
		for (i = 0; i < KMM_NR_BUDDY_EVENTS; i++)
			st->event[i] += READ_ONCE(pcp->event[i]);
	}
	st->used = max(used, 0L);
	st->guard = READ_ONCE(b->nr_guard);
	st->free = READ_ONCE(b->nr_free);
	st->quarantined = READ_ONCE(b->nr_quarantined);
	st->metadata = b->region->early_frames;
	st->total = b->region->nr_frames;
	for (i = 0; i < KMM_NR_ORDERS; i++)
		for (mt = 0; mt < KMM_NR_MIGRATETYPES; mt++)
			st->nr_free_blocks[i][mt] = READ_ONCE(b->free[i][mt].nr);
}

/**
 * kmm_buddy_stat() - Where the frames are.
 * @b: buddy instance
 * @st: filled
 * @exact: hold all locks for it; @st->exact tells whether that was possible
 *
 * Context: any but NMI. @exact stops all CPUs' allocations for some microseconds.
 */
void kmm_buddy_stat(struct kmm_buddy *b, struct kmm_buddy_stat *st, bool exact)
{
	unsigned long flags;

	memset(st, 0, sizeof(*st));
	st->exact = exact && num_possible_cpus() <= KMM_LOCK_ALL_CPUS;
	if (st->exact)
		kmm_buddy_lock_all(b, &flags);
	kmm_buddy_sum(b, st);
	if (st->exact)
		kmm_buddy_unlock_all(b, flags);
}
KMM_EXPORT_INTERNAL(kmm_buddy_stat);

static __printf(2, 3) void kmm_check_fail(unsigned long *bad, const char *fmt, ...)
{
	struct va_format vaf;
	va_list args;

	if ((*bad)++ >= 10)
		return;
	va_start(args, fmt);
	vaf.fmt = fmt;
	vaf.va = &args;
	pr_err("check: %pV\n", &vaf);
	va_end(args);
}

/* Each list: links, tags, types, counts. */
static void kmm_check_lists(struct kmm_buddy *b, unsigned long *bad)
{
	struct kmm_region *r = b->region;
	unsigned long frames = 0, n = 0;
	unsigned int order, mt;
	u32 i, prev, nr;

	for (order = 0; order < KMM_NR_ORDERS; order++) {
		for (mt = 0; mt < KMM_NR_MIGRATETYPES; mt++) {
			struct kmm_buddy_list *l = &b->free[order][mt];

			nr = 0;
			prev = KMM_LIST_END;
			for (i = l->first; i != KMM_LIST_END; i = r->frames[i].next) {
				const struct kmm_frame *f = &r->frames[i];

				if (i >= r->nr_index || nr > r->nr_index) {
					kmm_check_fail(bad, "list %u/%u is broken at %u", order,
						       mt, i);
					return;
				}
				if (f->prev != prev || f->mt != mt ||
				    f->tag != KMM_FRAME_TAG(KMM_FRAME_FREE, order))
					kmm_check_fail(bad, "frame %u on list %u/%u: tag %#x type %u prev %u",
						       i, order, mt, f->tag, f->mt, f->prev);
				prev = i;
				nr++;
			}
			if (nr != l->nr)
				kmm_check_fail(bad, "list %u/%u has %u blocks, says %u", order, mt,
					       nr, l->nr);
			frames += (unsigned long)nr << order;
		}
	}
	if (frames != b->nr_free)
		kmm_check_fail(bad, "lists have %lu frames, nr_free says %lu", frames, b->nr_free);
	for (i = b->quarantine; i != KMM_LIST_END && n <= b->nr_quarantined;
	     i = r->frames[i].next) {
		if (r->frames[i].tag != KMM_FRAME_TAG(KMM_FRAME_QUARANTINED, 0))
			kmm_check_fail(bad, "frame %u in quarantine: tag %#x", i, r->frames[i].tag);
		n++;
	}
	if (n != b->nr_quarantined)
		kmm_check_fail(bad, "quarantine has %lu frames, says %lu", n, b->nr_quarantined);
}

/* Each frame: blocks are whole, aligned, merged; sums by state. */
static void kmm_check_frames(struct kmm_buddy *b, const struct kmm_buddy_stat *st,
			     unsigned long *bad)
{
	unsigned long sum[KMM_NR_FRAME_STATES] = { };
	struct kmm_region *r = b->region;
	unsigned long i, j;

	for (i = 0; i < r->nr_index; i += j) {
		const struct kmm_frame *f = &r->frames[i];
		unsigned int order = kmm_frame_order(f), state = kmm_frame_state(f);

		j = 1;
		if (state >= KMM_NR_FRAME_STATES || state == KMM_FRAME_TAIL ||
		    order > KMM_MAX_ORDER || i & ((1UL << order) - 1)) {
			kmm_check_fail(bad, "frame %lu: no block starts here, tag %#x", i, f->tag);
			continue;
		}
		for (; j < 1UL << order; j++)
			if (f[j].tag != KMM_FRAME_TAG(KMM_FRAME_TAIL, 0))
				kmm_check_fail(bad, "frame %lu in a block of %lu: tag %#x", i + j,
					       i, f[j].tag);
		sum[state] += 1UL << order;
		if (state != KMM_FRAME_FREE)
			continue;
		if (order < KMM_MAX_ORDER && r->frames[i ^ (1UL << order)].tag == f->tag)
			kmm_check_fail(bad, "block %lu of order %u is not merged", i, order);
		for (j = 0; j < 1UL << order; j += KMM_PAGEBLOCK_FRAMES)
			if (kmm_pageblock_type(r, i + j) != f->mt)
				kmm_check_fail(bad, "block %lu: type %u, pageblock of type %u", i,
					       f->mt, kmm_pageblock_type(r, i + j));
		j = 1UL << order;
	}
	if (sum[KMM_FRAME_FREE] != st->free || sum[KMM_FRAME_CACHED] != st->cached ||
	    sum[KMM_FRAME_USED] != st->used || sum[KMM_FRAME_GUARD] != st->guard ||
	    sum[KMM_FRAME_QUARANTINED] != st->quarantined ||
	    sum[KMM_FRAME_METADATA] != st->metadata)
		kmm_check_fail(bad, "frames say free %lu cached %lu used %lu guard %lu quarantined %lu metadata %lu; counters %lu %lu %lu %lu %lu %lu",
			       sum[KMM_FRAME_FREE], sum[KMM_FRAME_CACHED],
			       sum[KMM_FRAME_USED], sum[KMM_FRAME_GUARD],
			       sum[KMM_FRAME_QUARANTINED], sum[KMM_FRAME_METADATA], st->free,
			       st->cached, st->used, st->guard, st->quarantined, st->metadata);
	if (st->free + st->cached + st->used + st->guard + st->quarantined + st->metadata !=
	    st->total)
		kmm_check_fail(bad, "the sum is not %lu", st->total);
}

static void kmm_check_pcps(struct kmm_buddy *b, unsigned long *bad)
{
	unsigned int cpu, i;

	for_each_possible_cpu(cpu) {
		struct kmm_pcp *pcp = per_cpu_ptr(b->pcp, cpu);

		for (i = 0; i < KMM_PCP_NR_LISTS; i++) {
			u16 tag = KMM_FRAME_TAG(KMM_FRAME_CACHED, kmm_pcp_order(i));
			const struct kmm_pcp_list *l = &pcp->list[i];
			const struct kmm_pcp_entry *e;

			for (e = l->base; e < l->top; e++)
				if (e->frame->tag != tag ||
				    kmm_region_frame(b->region, page_to_pfn(e->page)) != e->frame)
					kmm_check_fail(bad, "cpu %u list %u: pfn %#lx tag %#x", cpu,
						       i, page_to_pfn(e->page), e->frame->tag);
			if (l->top < l->base || l->top > l->limit)
				kmm_check_fail(bad, "cpu %u list %u: %lu blocks, high is %lu",
					       cpu, i, kmm_pcp_list_nr(l), kmm_pcp_list_high(l));
		}
	}
}

/**
 * kmm_buddy_check() - Prove the invariants on the whole state.
 * @b: buddy instance
 *
 * Walks every frame with all locks held: for tests.
 *
 * Context: any but NMI. Return: violations; the first ten are in the log.
 */
unsigned long kmm_buddy_check(struct kmm_buddy *b)
{
	struct kmm_buddy_stat st = { };
	unsigned long flags, bad = 0;

	kmm_buddy_lock_all(b, &flags);
	kmm_buddy_sum(b, &st);
	kmm_check_lists(b, &bad);
	kmm_check_pcps(b, &bad);
	kmm_check_frames(b, &st, &bad);
	kmm_buddy_unlock_all(b, flags);
	return bad;
}
KMM_EXPORT_INTERNAL(kmm_buddy_check);

/* === Life === */

/* A CPU went offline: its cache has no user any more. */
static int kmm_buddy_cpu_dead(unsigned int cpu, struct hlist_node *node)
{
	kmm_buddy_drain_cpu(hlist_entry(node, struct kmm_buddy, cpuhp), cpu);
	return 0;
}

/**
 * kmm_buddy_setup() - Once per module: before the first kmm_buddy_init().
 *
 * Context: may sleep. Return: 0 or a negative errno.
 */
int kmm_buddy_setup(void)
{
	int state = kmm_should_fail() ? -ENOMEM :
		    cpuhp_setup_state_multi(CPUHP_BP_PREPARE_DYN, "mm/kmm:dead", NULL,
					    kmm_buddy_cpu_dead);

	if (state < 0)
		return state;
	kmm_cpuhp_state = state;
	return 0;
}

/**
 * kmm_buddy_teardown() - Undo kmm_buddy_setup(), after the last kmm_buddy_fini().
 */
void kmm_buddy_teardown(void)
{
	cpuhp_remove_multi_state(kmm_cpuhp_state);
}

/*
 * How many blocks a CPU may keep. Of order 0 as many as 1/64 of the region shared by all
 * CPUs (512 at most: a burst of 256 then never needs the lock), of the others about half of
 * that in frames, of 2 MiB one to eight. There are three types, so caches that are all full
 * hold about a third of a region of 64 MiB; a request that finds nothing empties them.
 */
static void kmm_buddy_size_pcp(struct kmm_buddy *b)
{
	unsigned long share = b->region->nr_frames / 64 / num_possible_cpus();
	unsigned long high = clamp(share, 8UL, 512UL);
	unsigned int i;

	b->pcp_high[0] = high;
	for (i = 1; i < KMM_PCP_LOW_ORDERS; i++)
		b->pcp_high[i] = max(high >> (i + 1), 2UL);
	b->pcp_high[KMM_PCP_LOW_ORDERS] =
		clamp(share >> (KMM_PCP_HUGE_ORDER - 2),
		      (unsigned long)(b->region->nr_frames >= SZ_16M >> PAGE_SHIFT), 8UL);
	/* A block with guards is cut anew each time. */
	memset(b->pcp_high, 0, min_t(unsigned int, b->guard_minorder, KMM_PCP_LOW_ORDERS) *
	       sizeof(*b->pcp_high));
}

static void kmm_buddy_free_pcps(struct kmm_buddy *b)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		kvfree(per_cpu_ptr(b->pcp, cpu)->list[0].base);
	free_percpu(b->pcp);
}

static int kmm_buddy_init_pcps(struct kmm_buddy *b)
{
	unsigned int cpu, i, nr = 0;

	for (i = 0; i < KMM_PCP_NR_ORDERS; i++)
		nr += b->pcp_high[i] * KMM_NR_MIGRATETYPES;
	if (kmm_should_fail())
		return -ENOMEM;
	b->pcp = alloc_percpu_gfp(struct kmm_pcp, GFP_KERNEL_ACCOUNT);
	if (!b->pcp)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		struct kmm_pcp *pcp = per_cpu_ptr(b->pcp, cpu);
		struct kmm_pcp_entry *e = NULL;

		spin_lock_init(&pcp->lock);
		if (!kmm_should_fail())
			e = kvzalloc_node(array_size(nr, sizeof(*e)), GFP_KERNEL_ACCOUNT,
					  cpu_to_node(cpu));
		if (!e) {
			kmm_buddy_free_pcps(b);
			return -ENOMEM;
		}
		for (i = 0; i < KMM_PCP_NR_LISTS; i++) {
			struct kmm_pcp_list *l = &pcp->list[i];

			l->base = e;
			l->top = e;
			if (i % KMM_PCP_TYPES < KMM_NR_MIGRATETYPES)
				e += b->pcp_high[i / KMM_PCP_TYPES];
			l->limit = e;
			l->batch = max(kmm_pcp_list_high(l) / 8, 1UL);
		}
	}
	return 0;
}

/* The reserve grows with the square root of the memory, as Linux's min_free_kbytes. */
static void kmm_buddy_init_watermarks(struct kmm_buddy *b)
{
	unsigned long min = int_sqrt(b->managed * 16 << (PAGE_SHIFT - 10)) >> (PAGE_SHIFT - 10);

	b->watermark[KMM_WMARK_MIN] = min;
	b->watermark[KMM_WMARK_LOW] = min + min / 4;
	b->watermark[KMM_WMARK_HIGH] = min + min / 2;
}

/**
 * kmm_buddy_init() - Take over what the early allocator left of a region.
 * @b: buddy instance, zeroed; its callbacks may be set
 * @r: region; its early allocator is closed
 *
 * Context: may sleep. Return: 0 or -ENOMEM.
 */
int kmm_buddy_init(struct kmm_buddy *b, struct kmm_region *r)
{
	unsigned int order, mt, i;
	int err;

	b->region = r;
	spin_lock_init(&b->stop);
	spin_lock_init(&b->lock);
	b->quarantine = KMM_LIST_END;
	for (order = 0; order < KMM_NR_ORDERS; order++)
		for (mt = 0; mt < KMM_NR_MIGRATETYPES; mt++)
			b->free[order][mt].first = KMM_LIST_END;
	kmm_buddy_size_pcp(b);
	err = kmm_buddy_init_pcps(b);
	if (err)
		return err;

	/* As in Linux, memory is movable until somebody wants it otherwise. */
	memset(r->pageblock_mt, KMM_MOVABLE, r->nr_index >> KMM_PAGEBLOCK_ORDER);
	kmm_region_early_close(r);
	for (i = 0; i < r->nr_extents; i++) {
		unsigned long pfn = r->extents[i].start_pfn;
		unsigned long end = pfn + r->extents[i].nr_pages;

		while (pfn < end) {
			struct kmm_frame *f = kmm_region_frame(r, pfn);
			unsigned long next = min(end, ALIGN(pfn + 1, KMM_GRANULE_FRAMES));
			u32 index = kmm_region_index(r, f), behind = index + (next - pfn), j;

			if (kmm_frame_state(f) == KMM_FRAME_METADATA) {
				pfn++;
				continue;
			}
			for (j = index; j < behind; j++) {
				r->frames[j].tag = KMM_FRAME_TAG(KMM_FRAME_TAIL, 0);
				kmm_page_is_idle(b, pfn_to_page(pfn + (j - index)), 0);
			}
			kmm_list_add_rest(b, index, behind, KMM_MOVABLE);
			pfn = next;
		}
	}
	b->managed = b->nr_free;
	kmm_buddy_init_watermarks(b);
	cpuhp_state_add_instance_nocalls(kmm_cpuhp_state, &b->cpuhp);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_buddy_init);

/**
 * kmm_buddy_fini() - The end of an instance; all blocks are back, but for quarantined ones.
 * @b: buddy instance
 *
 * Context: may sleep.
 */
void kmm_buddy_fini(struct kmm_buddy *b)
{
	cpuhp_state_remove_instance_nocalls(kmm_cpuhp_state, &b->cpuhp);
	kmm_buddy_recheck_quarantine(b);
	kmm_buddy_free_pcps(b);
	b->pcp = NULL;
}
KMM_EXPORT_INTERNAL(kmm_buddy_fini);

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
	kmm_free(kmm_client, page, order, _RET_IP_);
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
	kmm_free_slow(kmm_client, virt_to_page((void *)addr), order, _RET_IP_);
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
	return kmm_alloc_range(kmm_client, start_pfn, end_pfn, gfp, true);
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
		kmm_free_slow(kmm_client, pfn_to_page(pfn), 0, _RET_IP_);
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
