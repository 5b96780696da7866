/* SPDX-License-Identifier: GPL-2.0-only */
/* An instance whose pages leave and come back, for the suites of eviction. See paging.c. */
#ifndef _KMM_KUNIT_PAGING_H
#define _KMM_KUNIT_PAGING_H

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/wait.h>

#include <kmm/account.h>
#include <kmm/lru.h>
#include <kmm/object.h>
#include <kmm/reclaim.h>
#include <kmm/swap.h>

#include "helpers.h"

#define PAGING_SLOTS_MAX	4096

/**
 * struct paging_store - a swap area of the test's own: memory behind a device that can be stopped
 * @mem: pages by slot
 * @nr_slots: how many
 * @hold_write: writes wait until it is false again
 * @hold_read: reads do
 * @inside: calls that wait
 * @wait: for both sides of that
 * @fail_write: all writes fail
 * @nr_calls: calls of write
 * @fail_read: reads of these slots fail
 * @nr_write: pages written
 * @nr_read: pages read
 * @closed: calls of close
 */
struct paging_store {
	u8 (*mem)[PAGE_SIZE];
	u32 nr_slots;
	bool hold_write;
	bool hold_read;
	atomic_t inside;
	wait_queue_head_t wait;
	bool fail_write;
	atomic_t nr_calls;
	DECLARE_BITMAP(fail_read, PAGING_SLOTS_MAX);
	atomic_t nr_write;
	atomic_t nr_read;
	unsigned int closed;
};

/* What is behind kmm_swap_alloc(). */
enum paging_kind { PAGING_NO_SWAP, PAGING_STORE, PAGING_RAM };

/**
 * struct paging - objects, replacement and swap over a fake region of 1024 frames
 * @t: region and buddy
 * @kind: of the swap
 * @accounts: those who may pay
 * @a: who pays
 * @base_host_bytes: of @a without anything
 * @swap: what is tested
 * @lru: the same
 * @set: the same
 * @reclaim: runs when paging_reclaim() was called
 * @has_reclaim: it was
 * @store: of PAGING_STORE
 */
struct paging {
	struct kmm_test *t;
	enum paging_kind kind;
	struct kmm_accounts accounts;
	struct kmm_account *a;
	u64 base_host_bytes;
	struct kmm_swap swap;
	struct kmm_lru lru;
	struct kmm_object_set set;
	struct kmm_reclaim reclaim;
	bool has_reclaim;
	struct paging_store store;
};

/**
 * struct paging_job - something that another thread does
 * @fn: what; its result is paging_job_end()'s
 * @f: for @fn
 * @o: for @fn
 * @first: for @fn
 * @nr: for @fn
 * @task: the thread
 * @done: @fn has returned
 * @ret: what it returned
 */
struct paging_job {
	long (*fn)(struct paging_job *j);
	struct paging *f;
	struct kmm_object *o;
	pgoff_t first;
	unsigned long nr;
	struct task_struct *task;
	struct completion done;
	long ret;
};

struct paging *paging_begin(struct kunit *test, enum paging_kind kind, u32 nr_slots,
			    const struct kmm_limits *limits);
void paging_reclaim(struct kunit *test, struct paging *f);
void paging_expect_empty(struct kunit *test, struct paging *f);
void paging_end(struct kunit *test, struct paging *f);
int paging_add_store(struct paging *f, struct paging_store *k, u32 nr_slots, int prio);

struct kmm_object *paging_create(struct kunit *test, struct paging *f, unsigned long nr_pages);
void paging_destroy(struct kunit *test, struct kmm_object *o);
void paging_put(struct kunit *test, struct kmm_object *o, pgoff_t index, u32 what);
void paging_put_all(struct kunit *test, struct kmm_object *o, pgoff_t first, unsigned long nr);
bool paging_has(struct kmm_object *o, pgoff_t index, u32 what);
void paging_expect_all(struct kunit *test, struct kmm_object *o, pgoff_t first, unsigned long nr);
int paging_touch(struct kmm_object *o, pgoff_t index);
kmm_swp_t paging_entry(struct kmm_object *o, pgoff_t index);
bool paging_is_resident(struct kmm_object *o, pgoff_t index);
u32 paging_slots(struct paging *f);
u64 paging_event(struct paging *f, enum kmm_lru_event event);
unsigned long paging_check_policy(struct kmm_lruvec *v);

void paging_hold(struct paging_store *k, bool write, bool read);
void paging_inside(struct kunit *test, struct paging_store *k, int nr);
void paging_release(struct paging_store *k);

void paging_job_start(struct kunit *test, struct paging_job *j, int cpu);
bool paging_job_is_done(struct paging_job *j, unsigned int ms);
long paging_job_end(struct kunit *test, struct paging_job *j);
long paging_job_pageout(struct paging_job *j);
long paging_job_touch(struct paging_job *j);
long paging_job_punch(struct paging_job *j);
long paging_job_destroy(struct paging_job *j);

#endif /* _KMM_KUNIT_PAGING_H */
