// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: kmm_bench.ko, what page replacement costs a fault
 *
 * A fault that brings a page tells the policy of it: kmm_lru_add_locked(), under the object's
 * lock. That is all that page replacement does in a fault; the rest is done when a page has to
 * leave, and is measured by tools/bench/evict_bench.c from user space.
 *
 * The rows lru_pair_NAME take a page out of the lists and in again (kmm_lru_del_locked(),
 * kmm_lru_add_locked()), one after the other through all pages of an object, so that the
 * neighbours in the list are other pages. Their target is meant for the second half alone; both
 * together are below it.
 *
 * The instance is the row's own, so that the lists hold nothing else and the policy can be chosen:
 * a region from order-10 blocks of the host, a buddy, objects and a lru without a place to swap
 * to. The object is locked while a round runs.
 *
 * The host has no counterpart that could be called: its lists are changed in batches of other
 * pages, by functions that are not exported.
 *
 * Locks: bench_lock.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include <kmm/account.h>
#include <kmm/buddy.h>
#include <kmm/lru.h>
#include <kmm/object.h>
#include <kmm/policy.h>
#include <kmm/region.h>
#include <kmm/swap.h>

#include "bench.h"

#define LRU_PAGES	512UL

/**
 * struct bench_lru - an instance with one object
 * @region: from order-10 blocks of the host
 * @buddy: on it
 * @accounts: nobody is limited
 * @a: pays
 * @swap: without an area
 * @lru: what is measured
 * @set: of objects
 * @o: LRU_PAGES pages, all resident
 * @state: how far it is built, for lru_finish()
 */
static struct bench_lru {
	struct kmm_region region;
	struct kmm_buddy buddy;
	struct kmm_accounts accounts;
	struct kmm_account *a;
	struct kmm_swap swap;
	struct kmm_lru lru;
	struct kmm_object_set set;
	struct kmm_object *o;
	unsigned int state;
} bench_lru;

static void lru_uncharge(void *ctx, u32 owner, unsigned long nr_pages)
{
	struct bench_lru *b = ctx;

	kmm_accounts_uncharge_frames(&b->accounts, owner, nr_pages);
}

static void lru_finish(enum bench_side side)
{
	struct bench_lru *b = &bench_lru;

	switch (b->state) {
	case 5:
		kmm_object_destroy(b->o);
		fallthrough;
	case 4:
		kmm_object_set_fini(&b->set);
		kmm_lru_fini(&b->lru);
		fallthrough;
	case 3:
		kmm_swap_fini(&b->swap);
		kmm_account_put(b->a);
		fallthrough;
	case 2:
		kmm_accounts_fini(&b->accounts);
		kmm_buddy_fini(&b->buddy);
		fallthrough;
	case 1:
		kmm_region_fini(&b->region);
	}
	memset(b, 0, sizeof(*b));
}

static bool lru_prepare(const struct kmm_policy_ops *ops)
{
	static const struct kmm_limits no_limits = {
		.frames = KMM_NO_LIMIT, .objects = KMM_NO_LIMIT, .names = KMM_NO_LIMIT,
		.host_bytes = KMM_NO_LIMIT,
	};
	const struct kmm_object_attr attr = {
		.size_bytes = LRU_PAGES << PAGE_SHIFT, .flags = KMM_OBJECT_EAGER,
	};
	struct bench_lru *b = &bench_lru;

	if (kmm_region_init(&b->region, "chunks", SZ_8M >> PAGE_SHIFT))
		return false;
	b->state = 1;
	if (kmm_buddy_init(&b->buddy, &b->region))
		return false;
	b->buddy.ctx = b;
	b->buddy.uncharge = lru_uncharge;
	kmm_accounts_init(&b->accounts, &no_limits, &no_limits);
	b->state = 2;
	b->a = kmm_account_create(&b->accounts, GLOBAL_ROOT_UID, false);
	if (IS_ERR(b->a))
		return false;
	kmm_swap_init(&b->swap);
	b->state = 3;
	if (kmm_lru_init(&b->lru, &b->buddy, &b->swap, ops))
		return false;
	kmm_object_set_init(&b->set, &b->buddy, &b->lru);
	b->state = 4;
	b->o = kmm_object_create(&b->set, b->a, &attr);
	if (IS_ERR(b->o))
		return false;
	b->state = 5;
	return true;
}

static noinline bool lru_pair_none(unsigned int n)
{
	struct kmm_object *o = bench_lru.o;
	unsigned long i;

	mutex_lock(&o->lock);
	while (n--)
		for (i = 0; i < LRU_PAGES; i++) {
			struct page *page = *kmm_object_entry_locked(o, i);

			OPTIMIZER_HIDE_VAR(page);
		}
	mutex_unlock(&o->lock);
	return true;
}

static noinline bool lru_pair_kmm(unsigned int n)
{
	struct kmm_object *o = bench_lru.o;
	unsigned long i;

	mutex_lock(&o->lock);
	while (n--)
		for (i = 0; i < LRU_PAGES; i++) {
			struct page *page = *kmm_object_entry_locked(o, i);

			kmm_lru_del_locked(o, page);
			kmm_lru_add_locked(o, page, 0, 0);
		}
	mutex_unlock(&o->lock);
	return true;
}

#define LRU_PREPARE(policy)							\
static bool lru_prepare_##policy(enum bench_side side)				\
{										\
	return lru_prepare(kmm_policy_find(#policy));				\
}

LRU_PREPARE(lru)
LRU_PREPARE(clock)
LRU_PREPARE(twolist)

#define LRU_ROW(policy) {							\
	.name = "lru_pair_" #policy, .ops = LRU_PAGES, .calls = 10, .mean = true, \
	.prepare = lru_prepare_##policy, .finish = lru_finish,			\
	.run = { lru_pair_none, NULL, lru_pair_kmm },				\
}

const struct bench_row bench_lru_rows[] = {
	LRU_ROW(lru),
	LRU_ROW(clock),
	LRU_ROW(twolist),
};

const unsigned int bench_nr_lru_rows = ARRAY_SIZE(bench_lru_rows);
