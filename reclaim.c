// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Reclaim
 *
 * Gets frames back for the buddy. There are two sources.
 *
 * The quarantine: frames that were freed while somebody outside (a pipe that vmsplice filled, a
 * DMA) held a reference. Nobody tells kmm about the last put_page(), so the count is looked at
 * again: by the background thread as long as the quarantine is not empty, and by relieve()
 * when a request finds nothing.
 *
 * Shrinkers: layers above the buddy that keep frames they do not need (the slab allocator's
 * stacks, depots and empty slabs). They are asked by the background thread while fewer frames
 * are free than the low watermark, and by relieve().
 *
 * States of the thread: asleep without a timer (nothing quarantined), asleep with one
 * (KMM_RECHECK_MS, something quarantined), running. kmm_reclaim_wake() wakes it from any
 * context: the buddy calls it when frames go into quarantine and when free frames fall below
 * the low watermark.
 *
 * Locks: none of its own. @kicked is an atomic bit; wake_up() orders it before the sleep's check.
 *
 * It deliberately does not evict pages: page replacement comes with policies and swap.
 */

#include <linux/err.h>
#include <linux/kthread.h>

#include <kmm/buddy.h>
#include <kmm/inject.h>
#include <kmm/reclaim.h>

/* A pin that is not gone at once often lasts; looking ten times a second costs nothing. */
#define KMM_RECHECK_MS	100

static bool kmm_reclaim_shrink(struct kmm_reclaim *rc)
{
	struct kmm_shrinker *sh;
	bool any = false;

	list_for_each_entry(sh, &rc->shrinkers, node)
		any |= sh->shrink(sh->ctx) != 0;
	return any;
}

static int kmm_reclaim_thread(void *data)
{
	struct kmm_reclaim *rc = data;
	long timeout;

	while (!kthread_should_stop()) {
		if (READ_ONCE(rc->buddy->nr_free) < rc->buddy->watermark[KMM_WMARK_LOW])
			kmm_reclaim_shrink(rc);
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

	return kmm_reclaim_shrink(rc) || any;
}

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
 *
 * Context: may sleep. Return: 0 or a negative errno.
 */
int kmm_reclaim_init(struct kmm_reclaim *rc, struct kmm_buddy *b)
{
	struct task_struct *task;

	rc->buddy = b;
	INIT_LIST_HEAD(&rc->shrinkers);
	init_waitqueue_head(&rc->wait);
	task = kmm_should_fail() ? ERR_PTR(-ENOMEM) :
	       kthread_run(kmm_reclaim_thread, rc, "kmm_reclaimd");
	if (IS_ERR(task))
		return PTR_ERR(task);
	rc->task = task;
	return 0;
}

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
