/* SPDX-License-Identifier: GPL-2.0-only */
/* Which pages can be evicted, in which order, and how. See vm/lru.c and vm/evict.c. */
#ifndef _KMM_LRU_H
#define _KMM_LRU_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include <kmm/policy.h>
#include <kmm/swap.h>

struct kmm_buddy;
struct kmm_lru;
struct kmm_object;
struct page;

/**
 * enum kmm_lru_event - what is counted; names in kmm_lru_event_names[], as in vmstat
 * @KMM_PGSCAN_KSWAPD: candidates that the background thread looked at
 * @KMM_PGSCAN_DIRECT: the same by an allocation that found nothing, or by a limit
 * @KMM_PGSTEAL_KSWAPD: pages evicted by the thread
 * @KMM_PGSTEAL_DIRECT: the same by others
 * @KMM_PGACTIVATE: candidates that were found young and stayed
 * @KMM_PGSKIP_PINNED: candidates skipped: the object is pinned, or a frame is held from outside
 * @KMM_PGSKIP_BUSY: candidates skipped: in flight, or gone meanwhile
 * @KMM_PGSKIP_NOSWAP: candidates skipped: dirty, and no slot to be had
 * @KMM_PGDROP_CLEAN: pages evicted without a write: swap has them, or they were never written
 * @KMM_PGRESCUED: pages used again while they were being written
 * @KMM_PSWPIN: pages read from swap
 * @KMM_PSWPOUT: pages written to swap
 * @KMM_SWPIN_RA: of pswpin: read ahead
 * @KMM_SWPIN_ERROR: pages that could not be read or were not what was written
 * @KMM_SWPOUT_ERROR: pages that could not be written and stayed
 * @KMM_WORKINGSET_REFAULT: pages that came back after an eviction
 * @KMM_OOM: allocations that failed although everything was tried
 * @KMM_NR_LRU_EVENTS: number of events
 */
enum kmm_lru_event {
	KMM_PGSCAN_KSWAPD,
	KMM_PGSCAN_DIRECT,
	KMM_PGSTEAL_KSWAPD,
	KMM_PGSTEAL_DIRECT,
	KMM_PGACTIVATE,
	KMM_PGSKIP_PINNED,
	KMM_PGSKIP_BUSY,
	KMM_PGSKIP_NOSWAP,
	KMM_PGDROP_CLEAN,
	KMM_PGRESCUED,
	KMM_PSWPIN,
	KMM_PSWPOUT,
	KMM_SWPIN_RA,
	KMM_SWPIN_ERROR,
	KMM_SWPOUT_ERROR,
	KMM_WORKINGSET_REFAULT,
	KMM_OOM,
	KMM_NR_LRU_EVENTS
};

extern const char * const kmm_lru_event_names[KMM_NR_LRU_EVENTS];

/**
 * struct kmm_lruvec - pages that compete for frames, under one policy
 * @lru: the instance; immutable
 * @lock: protects what follows, and the links of its pages; a leaf
 * @policy: who is in it, in which order
 * @epoch: counts switches of the policy
 * @limit_pages: most pages that its owner may have resident; 0: no limit
 * @exact: every use is told by kmm_lru_touch(); Accessed bits are not asked
 * @references: exact mode: calls of kmm_object_reference()
 * @faults: those of @references that did not find the page
 * @node: in @lru->vecs; empty when it goes
 * @users: those who evict from it, or stand at it in @lru->vecs; it goes when there are none
 */
struct kmm_lruvec {
	struct kmm_lru *lru;
	spinlock_t lock;	/* a leaf */
	struct kmm_policy policy;
	u32 epoch;
	u32 limit_pages;
	bool exact;
	u64 references;
	u64 faults;
	struct list_head node;
	atomic_t users;
};

/**
 * struct kmm_lru_page - what eviction knows of a frame; all zero for frames of others
 * @object: the object whose page it is; NULL: nobody's, or on its way from one to another
 * @word: KMM_LRU_* state, and in the lower bits the slot of swap that has the same contents as
 *	long as PG_dirty is clear (0: none: unless PG_dirty is set the page was never written)
 *
 * Protected by the lock of the object's lruvec; @object and the slot change only under the
 * object's lock, too.
 */
struct kmm_lru_page {
	struct kmm_object *object;
	u64 word;
};

#define KMM_LRU_LISTED		BIT_ULL(63)	/* in a list of the policy */
#define KMM_LRU_ISOLATED	BIT_ULL(62)	/* somebody is about to evict it */
#define KMM_LRU_WRITEBACK	BIT_ULL(61)	/* on its way to the slot in the lower bits */
#define KMM_LRU_STATE		(KMM_LRU_LISTED | KMM_LRU_ISOLATED | KMM_LRU_WRITEBACK)

/**
 * struct kmm_lru - eviction of one instance
 * @buddy: whose frames; immutable
 * @swap: where pages go; immutable
 * @page: by index of the frame; host memory
 * @global: pages of all objects that have no limit of their own
 * @policy_lock: serialises switches of policies
 * @vecs_lock: protects @vecs; held for a look at them, never across a round of eviction, which
 *	may wait for a device
 * @vecs: all lruvecs, @global first
 * @nr_isolated: candidates in somebody's hands
 * @nr_writing: of these, those that are being written
 * @event: counters
 */
struct kmm_lru {
	struct kmm_buddy *buddy;
	struct kmm_swap *swap;
	struct kmm_lru_page *page;
	struct kmm_lruvec global;
	struct mutex policy_lock;	/* one switch at a time */
	struct rw_semaphore vecs_lock;	/* lruvecs come and go */
	struct list_head vecs;
	atomic_long_t nr_isolated;
	atomic_long_t nr_writing;
	atomic64_t event[KMM_NR_LRU_EVENTS];
};

/* vm/lru.c */
int kmm_lru_init(struct kmm_lru *lru, struct kmm_buddy *b, struct kmm_swap *swap,
		 const struct kmm_policy_ops *ops);
void kmm_lru_fini(struct kmm_lru *lru);
int kmm_lruvec_init(struct kmm_lruvec *v, struct kmm_lru *lru, const struct kmm_policy_ops *ops,
		    u32 capacity);
void kmm_lruvec_fini(struct kmm_lruvec *v);
void kmm_lruvec_put(struct kmm_lruvec *v);
int kmm_lruvec_resize(struct kmm_lruvec *v, const struct kmm_policy_ops *ops, u32 capacity);
int kmm_lruvec_set_policy(struct kmm_lruvec *v, const struct kmm_policy_ops *ops);

/**
 * struct kmm_candidate - a page that was taken from the policy and is to be decided about
 * @object: its object; cannot go until kmm_lru_put_candidates()
 * @page: page
 * @index: in the object
 * @epoch: of its lruvec then
 * @frame: index of the frame @page
 *
 * On the stack, KMM_EVICT_BATCH of them: without gaps.
 */
struct kmm_candidate {
	struct kmm_object *object;
	struct page *page;
	u32 index;
	u32 epoch;
	u32 frame;
} __packed __aligned(4);

/**
 * enum kmm_written - whose is a page that was written
 * @KMM_WRITTEN_MINE: still the object's, and nobody wanted it
 * @KMM_WRITTEN_ORPHAN: the object gave it up: the frame is the writer's
 * @KMM_WRITTEN_RESCUED: somebody wanted it: nothing of it but the slot is the writer's
 */
enum kmm_written { KMM_WRITTEN_MINE, KMM_WRITTEN_ORPHAN, KMM_WRITTEN_RESCUED };

struct kmm_lru_page *kmm_lru_page(struct kmm_lru *lru, struct page *page);

/* The slot of swap that has the same contents as a resident page. Under the object's lock. */
static inline kmm_swp_t kmm_lru_slot(struct kmm_lru *lru, struct page *page)
{
	u64 word = READ_ONCE(kmm_lru_page(lru, page)->word);

	return word & KMM_LRU_WRITEBACK ? 0 : word & ~KMM_LRU_STATE;
}

/* Under the object's lock: it begins and ends there. */
static inline bool kmm_lru_is_writeback(const struct kmm_lruvec *v, struct page *page)
{
	return READ_ONCE(kmm_lru_page(v->lru, page)->word) & KMM_LRU_WRITEBACK;
}

void kmm_lru_add_locked(struct kmm_object *o, struct page *page, kmm_swp_t entry, u32 shadow);
bool kmm_lru_del_locked(struct kmm_object *o, struct page *page);
void kmm_lru_rescue_locked(struct kmm_object *o, struct page *page);
void kmm_lru_detach_locked(struct kmm_object *o, struct page **pages, unsigned int nr);
void kmm_lru_attach_locked(struct kmm_object *o, struct page **pages, unsigned int nr);
void kmm_lru_release(struct kmm_lru *lru, struct page *page);
void kmm_lru_touch_locked(struct kmm_object *o, struct page *page);
kmm_swp_t kmm_lru_take_slot_locked(struct kmm_object *o, struct page *page);
unsigned int kmm_lru_isolate(struct kmm_lruvec *v, struct kmm_candidate *c, unsigned int nr);
bool kmm_lru_isolate_page_locked(struct kmm_object *o, struct page *page,
				 struct kmm_candidate *c);
void kmm_lru_put_object(struct kmm_object *o);
void kmm_lru_put_candidates(struct kmm_object *o, unsigned int nr);
bool kmm_lru_still_locked(const struct kmm_candidate *c);
bool kmm_lru_judge_locked(const struct kmm_lruvec *from, const struct kmm_candidate *c,
			  bool young);
void kmm_lru_putback_locked(struct kmm_object *o, struct page *page, kmm_swp_t entry);
void kmm_lru_writeback_locked(struct kmm_object *o, struct page *page, kmm_swp_t entry);
enum kmm_written kmm_lru_written_locked(struct kmm_object *o, struct page *page, kmm_swp_t entry);
u32 kmm_lru_evicted_locked(struct kmm_object *o, struct page *page);
void kmm_lru_move_locked(struct kmm_object *o, struct page *page, struct kmm_lruvec *to);

/* vm/evict.c */

/**
 * enum kmm_evict_who - on whose behalf
 * @KMM_EVICT_KSWAPD: the background thread
 * @KMM_EVICT_DIRECT: an allocation, or a limit
 * @KMM_EVICT_CLEAN: the same, after too many of its writes have failed: only pages that need none
 */
enum kmm_evict_who { KMM_EVICT_KSWAPD, KMM_EVICT_DIRECT, KMM_EVICT_CLEAN };

/* Candidates of one round, and pages of one write. */
#define KMM_EVICT_BATCH	KMM_SWAP_BATCH

/*
 * Failed writes after which nobody tries another one for the same request: a megabyte of a device,
 * each page elsewhere on it.
 */
#define KMM_EVICT_FAILED_MAX	(8 * KMM_EVICT_BATCH)

/**
 * struct kmm_evict_result - what a round of eviction came to
 * @scanned: candidates looked at
 * @stolen: frames that are free now
 * @busy: candidates that others had in their hands
 * @young: candidates that were used and stay
 * @pinned: candidates that somebody holds, and stay
 * @dirty: candidates that had to be written
 * @failed: pages that a device did not take
 */
struct kmm_evict_result {
	unsigned int scanned;
	unsigned int stolen;
	unsigned int busy;
	unsigned int young;
	unsigned int pinned;
	unsigned int dirty;
	unsigned int failed;
};

/* On whose behalf the next round of a request is, of which so many writes have failed. */
static inline enum kmm_evict_who kmm_evict_direct(unsigned int failed)
{
	return failed < KMM_EVICT_FAILED_MAX ? KMM_EVICT_DIRECT : KMM_EVICT_CLEAN;
}

void kmm_evict(struct kmm_lruvec *v, unsigned int nr, enum kmm_evict_who who,
	       struct kmm_evict_result *res);
void kmm_evict_any(struct kmm_lru *lru, unsigned int nr, enum kmm_evict_who who,
		   struct kmm_evict_result *res);
unsigned long kmm_evict_nr_pages(struct kmm_lru *lru);

static inline void kmm_lru_count(struct kmm_lru *lru, enum kmm_lru_event e, unsigned long nr)
{
	if (nr)
		atomic64_add(nr, &lru->event[e]);
}

#endif /* _KMM_LRU_H */
