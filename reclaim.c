// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Reclaim
 *
 * Gets frames back for the buddy, when and as far as it is needed. There are three sources.
 *
 * The quarantine: frames that were freed while somebody outside (a pipe that vmsplice filled, a
 * DMA) held a reference. Nobody tells kmm about the last put_page(), so the count is looked at
 * again: by the background thread as long as the quarantine is not empty, and by relieve()
 * when a request finds nothing.
 *
 * Shrinkers: layers above the buddy that keep frames they do not need (the slab allocator's
 * stacks, depots and empty slabs; empty page tables; the window's lazily freed areas).
 *
 * Pages of objects, by page replacement: vm/evict.c does it round by round, here is how often.
 *
 * The background thread runs while fewer frames are free than the low watermark and stops
 * when there are as many as the high one: shrinkers first, they cost nobody anything, then
 * rounds of eviction. Where RECLAIM_FUTILE rounds in a row bring nothing (everything is pinned, or
 * there is no swap) it sleeps, until somebody wakes it again.
 *
 * Direct reclaim is what a request does for itself that found nothing and may sleep. It ends
 * when RECLAIM_DIRECT frames have come free, or every page was looked at four times: twice
 * is what a second chance needs, and others take from the lists, too. So it is bounded by the
 * number of pages, and by the device's speed. A killed task gives up at once. When nothing
 * came free, the request fails: -ENOMEM for an ioctl, SIGBUS for a fault, and a line in the
 * log that says what holds the memory.
 *
 * It does not fail while others are about to free something: pages that are being written come
 * free, or into the lists again, when the write ends, and until then there may be no page left to
 * look at. It waits for that, up to RECLAIM_WAIT_SECONDS, and asks again when anybody has freed
 * a frame meanwhile.
 *
 * Where a device fails, each request tries KMM_EVICT_FAILED_MAX writes, and after that only what
 * is clean; the thread goes to sleep.
 *
 * States of the thread: asleep without a timer (nothing quarantined), asleep with one
 * (KMM_RECHECK_MS, something quarantined), running. kmm_reclaim_wake() wakes it from any
 * context: the buddy calls it when frames go into quarantine and when free frames fall below
 * the low watermark.
 *
 * Locks: none of its own; see vm/evict.c for what a round takes. @kicked is an atomic bit;
 * wake_up() orders it before the sleep's check.
 *
 * What this deliberately does not do: no compaction: a request of a higher order may find frames
 * but no block.
 */

#define pr_fmt(fmt) "kmm: " fmt

#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ratelimit.h>
#include <linux/sched/signal.h>

#include <compat/compat.h>
#include <kmm/buddy.h>
#include <kmm/inject.h>
#include <kmm/lru.h>
#include <kmm/reclaim.h>
#include <trace/events/kmm.h>

/* A pin that is not gone at once often lasts; looking ten times a second costs nothing. */
#define KMM_RECHECK_MS	100

/* Rounds without a frame before the thread gives up. */
#define RECLAIM_FUTILE	64

/* Frames that direct reclaim wants. */
#define RECLAIM_DIRECT	KMM_EVICT_BATCH

/* Longer than the patience of swap/io.c: a file that hangs is found out before. */
#define RECLAIM_WAIT_SECONDS	10

static bool kmm_reclaim_shrink(struct kmm_reclaim *rc)
{
	struct kmm_shrinker *sh;
	bool any = false;

	list_for_each_entry(sh, &rc->shrinkers, node)
		any |= sh->shrink(sh->ctx) != 0;
	return any;
}

static bool reclaim_is_below(struct kmm_reclaim *rc, enum kmm_watermark mark)
{
	return READ_ONCE(rc->buddy->nr_free) < rc->buddy->watermark[mark];
}

/* The thread's work. */
static void reclaim_balance(struct kmm_reclaim *rc)
{
	unsigned int futile = 0, failed = 0;
	struct kmm_evict_result res;

	if (!reclaim_is_below(rc, KMM_WMARK_LOW))
		return;
	trace_mm_vmscan_kswapd_wake(rc->buddy->nr_free);
	kmm_reclaim_shrink(rc);
	while (rc->lru && reclaim_is_below(rc, KMM_WMARK_HIGH) && futile < RECLAIM_FUTILE &&
	       failed < KMM_EVICT_FAILED_MAX && !kthread_should_stop()) {
		kmm_evict_any(rc->lru, KMM_EVICT_BATCH, KMM_EVICT_KSWAPD, &res);
		futile = res.stolen ? 0 : futile + 1;
		failed += res.failed;
		if (!res.scanned)
			break;
		if (!res.stolen && res.busy)
			usleep_range(200, 1000);
		cond_resched();
	}
	trace_mm_vmscan_kswapd_sleep(rc->buddy->nr_free);
}

static int kmm_reclaim_thread(void *data)
{
	struct kmm_reclaim *rc = data;
	long timeout;

	while (!kthread_should_stop()) {
		reclaim_balance(rc);
		timeout = READ_ONCE(rc->buddy->nr_quarantined) ? msecs_to_jiffies(KMM_RECHECK_MS) :
								 MAX_SCHEDULE_TIMEOUT;
		wait_event_idle_timeout(rc->wait, test_and_clear_bit(0, &rc->kicked) ||
					kthread_should_stop(), timeout);
		kmm_buddy_recheck_quarantine(rc->buddy);
	}
	return 0;
}

/**
 * kmm_reclaim_wake() - Something may be there to do.
 * @rc: reclaim
 *
 * Context: any but NMI.
 */
void kmm_reclaim_wake(struct kmm_reclaim *rc)
{
	if (!test_and_set_bit(0, &rc->kicked))
		wake_up(&rc->wait);
}
KMM_EXPORT_INTERNAL(kmm_reclaim_wake);

/* Frames that came free since load, whoever did it. */
static u64 reclaim_nr_stolen(struct kmm_lru *lru)
{
	return atomic64_read(&lru->event[KMM_PGSTEAL_KSWAPD]) +
	       atomic64_read(&lru->event[KMM_PGSTEAL_DIRECT]);
}

/*
 * A round has freed nothing. Return: whether it is worth waiting: others have all pages in their
 * hands, or this request has looked at all of them and others write some.
 */
static bool reclaim_wait(struct kmm_lru *lru, const struct kmm_evict_result *res, bool all)
{
	/* Pairs with evict_object(): who sees it gone sees what was freed. */
	if (all)
		return atomic_long_read_acquire(&lru->nr_writing);
	return !res->scanned && atomic_long_read(&lru->nr_isolated);
}

/* Rounds of eviction for a request; @stolen: frames. Return: some came free, for whomever. */
static bool reclaim_evict(struct kmm_reclaim *rc, unsigned long *stolen)
{
	struct kmm_lru *lru = rc->lru;
	unsigned long most = 4 * kmm_evict_nr_pages(lru) + 4 * KMM_EVICT_BATCH, scanned = 0;
	unsigned long end = jiffies + RECLAIM_WAIT_SECONDS * HZ;
	u64 before = reclaim_nr_stolen(lru);
	struct kmm_evict_result res;
	unsigned int failed = 0;
	bool wait;

	for (*stolen = 0; *stolen < RECLAIM_DIRECT; *stolen += res.stolen) {
		if (fatal_signal_pending(current))
			break;
		kmm_evict_any(lru, KMM_EVICT_BATCH, kmm_evict_direct(failed), &res);
		failed += res.failed;
		cond_resched();
		if (res.stolen) {
			scanned += res.scanned;
			continue;
		}
		wait = reclaim_wait(lru, &res, scanned >= most);
		if (reclaim_nr_stolen(lru) != before && (wait || scanned >= most))
			break;
		if (wait ? time_after(jiffies, end) : scanned >= most)
			break;
		if (!wait)
			scanned += res.scanned ?: KMM_EVICT_BATCH;
		/* With no page in any list there is nothing to come back later. */
		if (wait || res.busy || (!res.scanned && kmm_evict_nr_pages(lru)))
			usleep_range(200, 1000);
	}
	return reclaim_nr_stolen(lru) != before;
}

/* Nothing can be had any more: say what holds the memory. */
static void reclaim_report_oom(struct kmm_reclaim *rc, gfp_t gfp, unsigned int order)
{
	static DEFINE_RATELIMIT_STATE(rs, 10 * HZ, 1);
	struct kmm_lru *lru = rc->lru;

	kmm_lru_count(lru, KMM_OOM, 1);
	if (!__ratelimit(&rs))
		return;
	pr_notice("out of memory: %s wants order %u (%pGg): %lu of %lu frames free, %lu of objects, %llu slots of swap free, %lu quarantined; skipped since load: %lld pinned, %lld without a slot\n",
		  current->comm, order, &gfp, READ_ONCE(rc->buddy->nr_free), rc->buddy->managed,
		  kmm_evict_nr_pages(lru), kmm_swap_free_slots(lru->swap),
		  READ_ONCE(rc->buddy->nr_quarantined),
		  atomic64_read(&lru->event[KMM_PGSKIP_PINNED]),
		  atomic64_read(&lru->event[KMM_PGSKIP_NOSWAP]));
}

/**
 * kmm_reclaim_relieve() - A request found nothing: get frames back, now.
 * @rc: reclaim
 * @gfp: the request's
 * @order: the request's
 *
 * Context: may sleep. Return: true if there is more now than before.
 */
bool kmm_reclaim_relieve(struct kmm_reclaim *rc, gfp_t gfp, unsigned int order)
{
	bool any = kmm_buddy_recheck_quarantine(rc->buddy) != 0;
	unsigned long stolen;

	any |= kmm_reclaim_shrink(rc);
	/* Single frames do not make a large block, and who asks for one this way can do without. */
	if (any || !rc->lru || (gfp & __GFP_NORETRY && order > PAGE_ALLOC_COSTLY_ORDER))
		return any;
	trace_mm_vmscan_direct_reclaim_begin(order, gfp);
	any = reclaim_evict(rc, &stolen);
	/* Others may have freed some before it began. */
	any |= !order && READ_ONCE(rc->buddy->nr_free) > rc->buddy->watermark[KMM_WMARK_MIN];
	trace_mm_vmscan_direct_reclaim_end(stolen);
	if (!any && order <= PAGE_ALLOC_COSTLY_ORDER && !fatal_signal_pending(current))
		reclaim_report_oom(rc, gfp, order);
	return any;
}
KMM_EXPORT_INTERNAL(kmm_reclaim_relieve);

/**
 * kmm_reclaim_add_shrinker() - Somebody can give frames back.
 * @rc: reclaim
 * @sh: what to call; lives as long as @rc
 *
 * Context: init, before clients may allocate.
 */
void kmm_reclaim_add_shrinker(struct kmm_reclaim *rc, struct kmm_shrinker *sh)
{
	list_add_tail(&sh->node, &rc->shrinkers);
}

/**
 * kmm_reclaim_init() - Start the background thread.
 * @rc: reclaim, zeroed
 * @b: buddy
 * @lru: pages that can be evicted; NULL: none
 *
 * Context: may sleep. Return: 0 or a negative errno.
 */
int kmm_reclaim_init(struct kmm_reclaim *rc, struct kmm_buddy *b, struct kmm_lru *lru)
{
	struct task_struct *task;

	rc->buddy = b;
	rc->lru = lru;
	INIT_LIST_HEAD(&rc->shrinkers);
	init_waitqueue_head(&rc->wait);
	task = kmm_should_fail() ? ERR_PTR(-ENOMEM) :
	       kthread_run(kmm_reclaim_thread, rc, "kmm_reclaimd");
	if (IS_ERR(task))
		return PTR_ERR(task);
	rc->task = task;
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_reclaim_init);

/**
 * kmm_reclaim_fini() - Stop the background thread.
 * @rc: reclaim; nobody wakes it any more
 *
 * Context: may sleep.
 */
void kmm_reclaim_fini(struct kmm_reclaim *rc)
{
	kthread_stop(rc->task);
	rc->task = NULL;
}
KMM_EXPORT_INTERNAL(kmm_reclaim_fini);
