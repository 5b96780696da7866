// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_reclaim
 *
 * What a request does that finds no frame: reclaim.c, over the fixture of paging.c. The background
 * thread exists but nobody wakes it, so that what happens is the request's own doing: the region
 * is filled to the last frame, then one page more is wanted.
 *
 * A device that does not answer is the test's own store, which holds its writes; what must not wait
 * for it is done by a job, and the test looks whether it ends. One that is broken fails them all,
 * and the calls are counted.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>

#include <kmm/buddy.h>
#include <kmm/inject.h>

#include "paging.h"

/* More than the fake region has frames. */
#define LARGE_PAGES	1400

static struct paging *reclaim_begin(struct kunit *test, enum paging_kind kind, u32 nr_slots)
{
	struct paging *f = paging_begin(test, kind, nr_slots, NULL);
	unsigned int ms;

	paging_reclaim(test, f);
	f->t->buddy.wake = NULL;
	/* it looks once by itself: now, while there is nothing to do */
	for (ms = 0; ms < 10000 && !wq_has_sleeper(&f->reclaim.wait); ms++)
		usleep_range(1000, 1100);
	KUNIT_ASSERT_TRUE(test, wq_has_sleeper(&f->reclaim.wait));
	return f;
}

/* Takes all frames but about @nr that can be had without reclaim. */
static struct kmm_object *fill_but(struct kunit *test, struct paging *f, unsigned long nr)
{
	struct kmm_buddy *b = &f->t->buddy;
	struct kmm_object_attr attr = { .flags = KMM_OBJECT_LOCKED };
	struct kmm_object *o;

	attr.size_bytes = (u64)(b->nr_free - b->watermark[KMM_WMARK_MIN] - nr) << PAGE_SHIFT;
	o = kmm_object_create(&f->set, f->a, &attr);
	KUNIT_ASSERT_FALSE(test, IS_ERR(o));
	return o;
}

/*
 * Writes to pages of @o from @first on until none can be had without reclaim, at most @max. Return:
 * the one for which there was none.
 */
static pgoff_t fill(struct kunit *test, struct paging *f, struct kmm_object *o, pgoff_t first,
		    unsigned long max)
{
	bool (*relieve)(void *ctx, gfp_t gfp, unsigned int order) = f->t->buddy.relieve;
	struct page *page = NULL;
	pgoff_t i;

	f->t->buddy.relieve = NULL;
	for (i = first; i < first + max; i++) {
		page = kmm_object_get_page(o, i, true);
		if (IS_ERR(page))
			break;
		kmm_test_fill(page, i + 1);
		put_page(page);
	}
	f->t->buddy.relieve = relieve;
	KUNIT_EXPECT_EQ(test, PTR_ERR(page), -ENOMEM);
	return i;
}

/* === Others are at work === */

static void who_finds_nothing_waits_for_those_who_write(struct kunit *test)
{
	struct paging *f = reclaim_begin(test, PAGING_STORE, 64);
	struct kmm_object *hog = fill_but(test, f, 12), *o = paging_create(test, f, 100);
	struct paging_job out = { .fn = paging_job_pageout, .f = f, .o = o, .nr = 60 }, in[2];
	pgoff_t nr = fill(test, f, o, 0, 60);
	unsigned int i;

	KUNIT_ASSERT_GT(test, nr, 0);
	KUNIT_ASSERT_LE(test, nr, KMM_EVICT_BATCH);
	/* all pages that could go are in the hands of one who waits for the device */
	paging_hold(&f->store, true, false);
	paging_job_start(test, &out, -1);
	paging_inside(test, &f->store, 1);
	for (i = 0; i < 2; i++) {
		in[i] = (struct paging_job){ .fn = paging_job_touch, .f = f, .o = o,
					     .first = 70 + i };
		paging_job_start(test, &in[i], -1);
	}
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_FALSE(test, paging_job_is_done(&in[i], 100));
	/* a killed one does not wait */
	send_sig(SIGKILL, in[1].task, 1);
	KUNIT_EXPECT_LT(test, paging_job_end(test, &in[1]), 0);
	KUNIT_EXPECT_FALSE(test, paging_job_is_done(&in[0], 20));
	paging_release(&f->store);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &in[0]), 0);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &out), nr);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_OOM), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&f->lru.nr_isolated), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&f->lru.nr_writing), 0);
	paging_expect_all(test, o, 0, nr);
	paging_destroy(test, o);
	paging_destroy(test, hog);
	paging_end(test, f);
}

static void who_waits_fails_when_the_write_does(struct kunit *test)
{
	struct paging *f = reclaim_begin(test, PAGING_STORE, 64);
	struct kmm_object *hog = fill_but(test, f, 12), *o = paging_create(test, f, 100);
	struct paging_job out = { .fn = paging_job_pageout, .f = f, .o = o, .nr = 60 };
	struct paging_job in = { .fn = paging_job_touch, .f = f, .o = o, .first = 70 };
	pgoff_t nr = fill(test, f, o, 0, 60);

	KUNIT_ASSERT_LE(test, nr, KMM_EVICT_BATCH);
	paging_hold(&f->store, true, false);
	paging_job_start(test, &out, -1);
	paging_inside(test, &f->store, 1);
	paging_job_start(test, &in, -1);
	KUNIT_EXPECT_FALSE(test, paging_job_is_done(&in, 50));
	WRITE_ONCE(f->store.fail_write, true);
	paging_release(&f->store);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &in), -ENOMEM);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &out), 0);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_OOM), 1);
	paging_expect_all(test, o, 0, nr);
	paging_destroy(test, o);
	paging_destroy(test, hog);
	paging_end(test, f);
}

/* Until something has left, or nothing is there. */
static long job_evict_some(struct paging_job *j)
{
	struct kmm_evict_result res;

	do {
		kmm_evict_any(&j->f->lru, KMM_EVICT_BATCH, KMM_EVICT_KSWAPD, &res);
	} while (res.scanned && !res.stolen);
	return res.stolen;
}

/* An object gets a limit, is used, and goes. */
static long job_limited(struct paging_job *j)
{
	int err = kmm_object_set_limit(j->o, 3, NULL, false);
	pgoff_t i;

	for (i = 0; i < 8 && !err; i++)
		err = paging_touch(j->o, i);
	kmm_object_destroy(j->o);
	return err;
}

static void limits_come_and_go_while_a_device_hangs(struct kunit *test)
{
	struct paging *f = reclaim_begin(test, PAGING_STORE, 64);
	struct kmm_object *o = paging_create(test, f, 8), *p = paging_create(test, f, 8);
	struct paging_job out = { .fn = job_evict_some, .f = f, .o = o };
	struct paging_job in = { .fn = job_limited, .f = f, .o = p }, all = out;
	bool done;

	paging_put_all(test, o, 0, 8);
	paging_hold(&f->store, true, false);
	paging_job_start(test, &out, -1);
	paging_inside(test, &f->store, 1);
	paging_job_start(test, &in, -1);
	done = paging_job_is_done(&in, 10000);
	KUNIT_EXPECT_TRUE(test, done);
	/* nor do others who look for a frame */
	paging_job_start(test, &all, -1);
	done &= paging_job_is_done(&all, 10000);
	KUNIT_EXPECT_TRUE(test, done);
	paging_release(&f->store);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &out), 8);
	if (done) {
		kthread_stop(in.task);
		kthread_stop(all.task);
		KUNIT_EXPECT_EQ(test, in.ret, 0);
	} else {
		paging_job_end(test, &in);
		kthread_stop(all.task);
	}
	paging_expect_all(test, o, 0, 8);
	paging_destroy(test, o);
	paging_end(test, f);
}

/* Who evicts began with the longest list, found nothing that can go, and hangs at another one. */
static void the_longest_list_goes_while_a_device_hangs(struct kunit *test)
{
	struct paging *f = reclaim_begin(test, PAGING_STORE, 64);
	struct kmm_object *o = paging_create(test, f, 8), *p = paging_create(test, f, 40);
	struct paging_job out = { .fn = job_evict_some, .f = f, .o = o };
	struct paging_job end = { .fn = paging_job_destroy, .f = f, .o = p };

	paging_put_all(test, o, 0, 8);
	paging_put_all(test, p, 0, 40);
	KUNIT_EXPECT_EQ(test, kmm_object_set_limit(p, 60, NULL, false), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_pin(p, true), 0);
	paging_hold(&f->store, true, false);
	paging_job_start(test, &out, -1);
	paging_inside(test, &f->store, 1);
	kmm_object_unpin(p, true);
	paging_job_start(test, &end, -1);
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&end.done, 10 * HZ));
	paging_release(&f->store);
	kthread_stop(end.task);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &out), 8);
	paging_expect_all(test, o, 0, 8);
	paging_destroy(test, o);
	paging_end(test, f);
}

/* Objects with limits come and go all the time, others evict from whatever there is. */
static long job_limits(struct paging_job *j)
{
	unsigned long n;
	long bad = 0;

	for (n = 0; n < kmm_test_nr_ops / 100 + 50; n++) {
		struct kmm_object_attr attr = { .size_bytes = 16 << PAGE_SHIFT };
		struct kmm_object *o = kmm_object_create(&j->f->set, j->f->a, &attr);
		struct page *page;
		pgoff_t i;

		if (IS_ERR(o))
			return PTR_ERR(o);
		bad += !!kmm_object_set_limit(o, 1 + n % 12, NULL, false);
		for (i = 0; i < 16; i++) {
			page = kmm_object_get_page(o, i, true);
			bad += IS_ERR(page);
			if (IS_ERR(page))
				continue;
			kmm_test_fill(page, n + i + 1);
			put_page(page);
		}
		for (i = 0; i < 16; i++)
			bad += !paging_has(o, i, n + i + 1);
		kmm_object_destroy(o);
	}
	return bad;
}

static long job_evict_all_the_time(struct paging_job *j)
{
	struct kmm_evict_result res;
	long nr = 0;

	while (!READ_ONCE(j->nr)) {
		kmm_evict_any(&j->f->lru, KMM_EVICT_BATCH, KMM_EVICT_DIRECT, &res);
		nr += res.stolen;
		cond_resched();
	}
	return nr;
}

static void limits_come_and_go_under_eviction(struct kunit *test)
{
	struct paging *f = reclaim_begin(test, PAGING_RAM, 500);
	struct paging_job j[2], e[2];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		e[i] = (struct paging_job){ .fn = job_evict_all_the_time, .f = f };
		paging_job_start(test, &e[i], i);
		j[i] = (struct paging_job){ .fn = job_limits, .f = f };
		paging_job_start(test, &j[i], i);
	}
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, paging_job_end(test, &j[i]), 0);
	for (i = 0; i < 2; i++) {
		WRITE_ONCE(e[i].nr, 1);
		KUNIT_EXPECT_GE(test, paging_job_end(test, &e[i]), 0);
	}
	KUNIT_EXPECT_TRUE(test, list_is_singular(&f->lru.vecs));
	KUNIT_EXPECT_EQ(test, atomic_read(&f->lru.global.users), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&f->lru.nr_isolated), 0);
	paging_end(test, f);
}

/* === A broken device === */

static void a_broken_device_costs_a_request_few_writes(struct kunit *test)
{
	/* a call for the batch and for four of its pages; batches may be smaller, too */
	const int most = 3 * KMM_EVICT_FAILED_MAX / KMM_EVICT_BATCH * 5;
	struct paging *f = reclaim_begin(test, PAGING_STORE, 2000);
	struct kmm_object *o = paging_create(test, f, LARGE_PAGES + 1);
	pgoff_t nr;
	int calls;

	f->store.fail_write = true;
	/* never written to: it can go */
	KUNIT_EXPECT_EQ(test, paging_touch(o, LARGE_PAGES), 0);
	nr = fill(test, f, o, 0, LARGE_PAGES);
	KUNIT_ASSERT_GT(test, nr, 2 * KMM_EVICT_FAILED_MAX);
	calls = atomic_read(&f->store.nr_calls);
	KUNIT_EXPECT_EQ(test, paging_touch(o, nr), 0);
	KUNIT_EXPECT_FALSE(test, paging_is_resident(o, LARGE_PAGES));
	KUNIT_EXPECT_LE(test, atomic_read(&f->store.nr_calls) - calls, most);
	paging_put(test, o, nr, nr + 1);
	nr = fill(test, f, o, nr + 1, LARGE_PAGES - nr - 1);
	calls = atomic_read(&f->store.nr_calls);
	KUNIT_EXPECT_EQ(test, paging_touch(o, nr), -ENOMEM);
	calls = atomic_read(&f->store.nr_calls) - calls;
	KUNIT_EXPECT_GT(test, calls, 0);
	KUNIT_EXPECT_LE(test, calls, most);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_OOM), 1);
	paging_expect_all(test, o, 0, nr);
	/* the same for an object at its limit, and for a user at his quota */
	KUNIT_EXPECT_EQ(test, kmm_object_set_limit(o, nr, NULL, false), 0);
	calls = atomic_read(&f->store.nr_calls);
	KUNIT_EXPECT_EQ(test, paging_touch(o, nr), -ENOMEM);
	KUNIT_EXPECT_LE(test, atomic_read(&f->store.nr_calls) - calls, most);
	calls = atomic_read(&f->store.nr_calls);
	KUNIT_EXPECT_FALSE(test, kmm_object_evict_own(o, KMM_EVICT_BATCH));
	KUNIT_EXPECT_LE(test, atomic_read(&f->store.nr_calls) - calls, most);
	KUNIT_EXPECT_EQ(test, kmm_object_set_limit(o, 0, NULL, false), 0);
	/* it works again, and is found out by the next one */
	f->store.fail_write = false;
	KUNIT_EXPECT_EQ(test, paging_touch(o, nr), 0);
	KUNIT_EXPECT_GT(test, o->swapped, 0);
	paging_expect_all(test, o, 0, nr);
	paging_destroy(test, o);
	paging_end(test, f);
}

static void the_other_area_is_filled_when_one_is_broken(struct kunit *test)
{
	struct paging *f = reclaim_begin(test, PAGING_STORE, 2000);
	struct kmm_object *o = paging_create(test, f, LARGE_PAGES);
	struct paging_store *high = kunit_kzalloc(test, sizeof(*high), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, high);
	KUNIT_ASSERT_EQ(test, paging_add_store(f, high, 2000, 7), 1);
	high->fail_write = true;
	paging_put_all(test, o, 0, LARGE_PAGES);
	KUNIT_EXPECT_GT(test, o->swapped, LARGE_PAGES / 4);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_OOM), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&high->nr_calls), 0);
	paging_expect_all(test, o, 0, LARGE_PAGES);
	paging_destroy(test, o);
	paging_end(test, f);
	KUNIT_EXPECT_EQ(test, high->closed, 1);
	vfree(high->mem);
}

/* === Failure points === */

#define POINT_PAGES	40

static void every_failure_point_inside_direct_reclaim(struct kunit *test)
{
	static const enum paging_kind kinds[] = { PAGING_STORE, PAGING_RAM };
	unsigned int k, n;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct paging *f = reclaim_begin(test, kinds[k], 2000);
		struct kmm_object *hog = fill_but(test, f, 100);
		struct kmm_object *o = paging_create(test, f, POINT_PAGES);
		struct kmm_object *more = paging_create(test, f, 1000);
		unsigned int reclaims = 0, failed = 0;
		bool fired = true;
		pgoff_t at = 0;

		paging_put_all(test, o, 0, POINT_PAGES);
		for (n = 1; n < 400 && fired; n++) {
			pgoff_t wanted = n % POINT_PAGES;
			u64 stolen;
			int err;

			kmm_object_pageout(o, wanted, 1);
			if (at > 800) {
				KUNIT_EXPECT_EQ(test, kmm_object_punch(more, 0, U64_MAX), 0);
				at = 0;
			}
			at = fill(test, f, more, at, 200);
			KUNIT_EXPECT_FALSE(test, paging_is_resident(o, wanted));
			stolen = paging_event(f, KMM_PGSTEAL_DIRECT);
			kmm_inject_arm(n);
			err = paging_touch(o, wanted);
			fired = kmm_inject_disarm();
			KUNIT_EXPECT_TRUE_MSG(test, !err || (fired && (err == -ENOMEM ||
								       err == -EIO)),
					      "point %u: %d", n, err);
			reclaims += paging_event(f, KMM_PGSTEAL_DIRECT) != stolen;
			failed += !!err;
			KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
			KUNIT_EXPECT_EQ(test, atomic_long_read(&f->lru.nr_isolated), 0);
		}
		kunit_info(test, "%u failure points, %u of them fatal", n - 2, failed);
		KUNIT_EXPECT_FALSE(test, fired);
		KUNIT_EXPECT_GT(test, n, KMM_EVICT_BATCH);
		/* but for those before it begins */
		KUNIT_EXPECT_GT(test, reclaims, n / 2);
		paging_expect_all(test, o, 0, POINT_PAGES);
		paging_destroy(test, o);
		paging_destroy(test, more);
		paging_destroy(test, hog);
		paging_end(test, f);
	}
}

static struct kunit_case reclaim_cases[] = {
	KUNIT_CASE(who_finds_nothing_waits_for_those_who_write),
	KUNIT_CASE(who_waits_fails_when_the_write_does),
	KUNIT_CASE(limits_come_and_go_while_a_device_hangs),
	KUNIT_CASE(the_longest_list_goes_while_a_device_hangs),
	KUNIT_CASE(limits_come_and_go_under_eviction),
	KUNIT_CASE(a_broken_device_costs_a_request_few_writes),
	KUNIT_CASE(the_other_area_is_filled_when_one_is_broken),
	KUNIT_CASE(every_failure_point_inside_direct_reclaim),
	{}
};

struct kunit_suite kmm_reclaim_suite = {
	.name = "kmm_reclaim",
	.exit = kmm_test_exit,
	.test_cases = reclaim_cases,
};
