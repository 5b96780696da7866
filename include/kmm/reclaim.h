/* SPDX-License-Identifier: GPL-2.0-only */
/* Background and direct reclaim. See reclaim.c. */
#ifndef _KMM_RECLAIM_H
#define _KMM_RECLAIM_H

#include <linux/gfp.h>
#include <linux/sched.h>
#include <linux/wait.h>

struct kmm_buddy;

/**
 * struct kmm_reclaim - the background thread and its reasons to wake
 * @buddy: whose frames; immutable
 * @task: the thread; NULL when it does not run
 * @wait: where it sleeps
 * @kicked: bit 0: there may be something to do
 */
struct kmm_reclaim {
	struct kmm_buddy *buddy;
	struct task_struct *task;
	wait_queue_head_t wait;
	unsigned long kicked;
};

int kmm_reclaim_init(struct kmm_reclaim *rc, struct kmm_buddy *b);
void kmm_reclaim_fini(struct kmm_reclaim *rc);
bool kmm_reclaim_relieve(struct kmm_reclaim *rc, gfp_t gfp, unsigned int order);
void kmm_reclaim_wake(struct kmm_reclaim *rc);

#endif /* _KMM_RECLAIM_H */
