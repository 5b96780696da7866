/* SPDX-License-Identifier: GPL-2.0-only */
/* Background and direct reclaim. See reclaim.c. */
#ifndef _KMM_RECLAIM_H
#define _KMM_RECLAIM_H

#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/wait.h>

struct kmm_buddy;
struct kmm_lru;

/**
 * struct kmm_shrinker - somebody above the buddy who keeps frames that it could give back
 * @shrink: give back what is not in use. Context: may sleep; called from an allocation, so
 *	its locks are none under which anybody allocates from kmm.
 *	Return: how much came back, in any unit; 0 is nothing
 * @ctx: its argument
 * @node: in the list of the reclaim
 */
struct kmm_shrinker {
	unsigned long (*shrink)(void *ctx);
	void *ctx;
	struct list_head node;
};

/**
 * struct kmm_reclaim - the background thread and its reasons to wake
 * @buddy: whose frames; immutable
 * @lru: pages that can be evicted; NULL: none; immutable
 * @task: the thread; NULL when it does not run
 * @shrinkers: asked when memory is short; immutable once clients may allocate
 * @wait: where it sleeps
 * @kicked: bit 0: there may be something to do
 */
struct kmm_reclaim {
	struct kmm_buddy *buddy;
	struct kmm_lru *lru;
	struct task_struct *task;
	struct list_head shrinkers;
	wait_queue_head_t wait;
	unsigned long kicked;
};

void kmm_reclaim_add_shrinker(struct kmm_reclaim *rc, struct kmm_shrinker *sh);
int kmm_reclaim_init(struct kmm_reclaim *rc, struct kmm_buddy *b, struct kmm_lru *lru);
void kmm_reclaim_fini(struct kmm_reclaim *rc);
bool kmm_reclaim_relieve(struct kmm_reclaim *rc, gfp_t gfp, unsigned int order);
void kmm_reclaim_wake(struct kmm_reclaim *rc);

#endif /* _KMM_RECLAIM_H */
