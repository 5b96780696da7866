// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_replay
 *
 * Exact mode: references to pages of an object with a limit, through the live machinery, reference
 * by reference beside the policy alone on an array of frames, as tools/harness/policy_sim.c runs
 * it. So what is measured with the simulation holds for the machinery, and the other way round.
 * Then what theory says of all of them: OPT is never beaten, lru has no anomaly, fifo has one.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include <kmm/account.h>
#include <kmm/inject.h>
#include <kmm/lru.h>
#include <kmm/object.h>
#include <kmm/policy.h>
#include <kmm/swap.h>

#include "helpers.h"

#define MAX_IDS		200
#define MAX_FRAMES	64
#define NR_REFS		1500

struct fixture {
	struct kmm_test *t;
	struct kmm_accounts accounts;
	struct kmm_swap swap;
	struct kmm_lru lru;
	struct kmm_object_set set;
	struct kmm_account *a;
	u64 base_host_bytes;
	struct rnd_state rnd;
	u32 refs[NR_REFS];
};

static const struct kmm_limits no_limits = {
	.frames = KMM_NO_LIMIT, .objects = KMM_NO_LIMIT, .names = KMM_NO_LIMIT,
	.host_bytes = KMM_NO_LIMIT,
};

static void uncharge(void *ctx, u32 owner, unsigned long nr_pages)
{
	kmm_accounts_uncharge_frames(ctx, owner, nr_pages);
}

static struct fixture *begin(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->t = kmm_test_begin(test, &kmm_layout_one);
	f->t->buddy.ctx = &f->accounts;
	f->t->buddy.uncharge = uncharge;
	kmm_accounts_init(&f->accounts, &no_limits, &no_limits);
	kmm_swap_init(&f->swap);
	KUNIT_ASSERT_EQ(test, kmm_lru_init(&f->lru, &f->t->buddy, &f->swap,
					   kmm_policy_find("fifo")), 0);
	kmm_object_set_init(&f->set, &f->t->buddy, &f->lru);
	f->a = kmm_account_create(&f->accounts, GLOBAL_ROOT_UID, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR(f->a));
	f->base_host_bytes = kmm_account_used(f->a, KMM_RES_HOST_BYTES);
	prandom_seed_state(&f->rnd, kmm_test_seed);
	return f;
}

static void end(struct kunit *test, struct fixture *f)
{
	unsigned int r;

	for (r = 0; r < KMM_NR_RESOURCES; r++)
		KUNIT_EXPECT_EQ_MSG(test, kmm_account_used(f->a, r),
				    r == KMM_RES_HOST_BYTES ? f->base_host_bytes : 0,
				    "resource %u", r);
	KUNIT_EXPECT_EQ(test, kmm_test_used(f->t), 0);
	kmm_account_put(f->a);
	kmm_accounts_fini(&f->accounts);
	kmm_object_set_fini(&f->set);
	kmm_lru_fini(&f->lru);
	kmm_swap_fini(&f->swap);
	f->t->buddy.uncharge = NULL;
	kmm_test_end(test);
	rcu_barrier();
}

static struct kmm_object *limited(struct kunit *test, struct fixture *f,
				  const struct kmm_policy_ops *ops, u32 frames)
{
	const struct kmm_object_attr attr = { .size_bytes = MAX_IDS * PAGE_SIZE };
	struct kmm_object *o = kmm_object_create(&f->set, f->a, &attr);

	KUNIT_ASSERT_FALSE(test, IS_ERR(o));
	KUNIT_ASSERT_EQ(test, kmm_object_set_limit(o, frames, ops, true), 0);
	return o;
}

/* Some pages more often than others, and now and then a run. */
static void fill(struct fixture *f, u32 ids)
{
	u32 k, a, b;

	for (k = 0; k < NR_REFS; k++) {
		a = prandom_u32_state(&f->rnd) % ids;
		b = prandom_u32_state(&f->rnd) % ids;
		f->refs[k] = k / 100 % 3 ? min(a, b) : k % ids;
	}
}

/* === The policy alone === */

struct plain {
	struct kmm_policy p;
	struct kmm_frame frames[MAX_FRAMES];
	u32 at[MAX_IDS];
	u32 who[MAX_FRAMES];
	u32 shadow[MAX_IDS];
	u32 nr;
};

static bool plain_use(struct plain *v, u32 id)
{
	u32 i;

	if (v->at[id] != KMM_POLICY_NONE) {
		kmm_policy_touch(&v->p, v->at[id]);
		return false;
	}
	if (v->nr < v->p.capacity) {
		i = v->nr++;
	} else {
		do {
			i = kmm_policy_victim(&v->p);
		} while (kmm_policy_keep(&v->p, i, false));
		v->shadow[v->who[i]] = kmm_policy_evict(&v->p, i);
		v->at[v->who[i]] = KMM_POLICY_NONE;
	}
	v->who[i] = id;
	v->at[id] = i;
	kmm_policy_add(&v->p, i, v->shadow[id]);
	v->shadow[id] = 0;
	return true;
}

static void compare(struct kunit *test, struct fixture *f, const struct kmm_policy_ops *ops,
		    u32 frames)
{
	struct kmm_object *o = limited(test, f, ops, frames);
	struct plain *v = kunit_kzalloc(test, sizeof(*v), GFP_KERNEL);
	u32 k, faults = 0;

	KUNIT_ASSERT_NOT_NULL(test, v);
	memset(v->at, 0xff, sizeof(v->at));
	KUNIT_ASSERT_EQ(test, kmm_policy_init(&v->p, ops, v->frames, frames), 0);
	for (k = 0; k < NR_REFS; k++) {
		int live = kmm_object_reference(o, f->refs[k], false);
		int want = plain_use(v, f->refs[k]);

		KUNIT_EXPECT_EQ_MSG(test, live, want, "%s, %u frames, reference %u", ops->name,
				    frames, k);
		if (live != want)
			break;
		faults += want;
		KUNIT_EXPECT_LE(test, o->resident, (unsigned long)frames);
	}
	KUNIT_EXPECT_EQ(test, o->lruvec->references, (u64)k);
	KUNIT_EXPECT_EQ(test, o->lruvec->faults, (u64)faults);
	KUNIT_EXPECT_EQ(test, kmm_policy_check(&v->p), 0);
	while (v->p.nr)
		v->p.nr -= ops->pop(&v->p) != KMM_POLICY_NONE;
	kmm_policy_fini(&v->p);
	kunit_kfree(test, v);
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	kmm_object_destroy(o);
}

static void live_is_the_policy_alone(struct kunit *test)
{
	static const u32 frames[] = { 1, 2, 7, MAX_FRAMES };
	struct fixture *f = begin(test);
	unsigned int i, k;

	for (k = 0; k < ARRAY_SIZE(frames); k++) {
		fill(f, min_t(u32, frames[k] * 3 + 2, MAX_IDS));
		for (i = 0; i < kmm_nr_policies; i++)
			compare(test, f, kmm_policies[i], frames[k]);
	}
	end(test, f);
}

/* === Theory === */

static long faults_of(struct kunit *test, struct fixture *f, const struct kmm_policy_ops *ops,
		      const u32 *refs, u32 nr, u32 frames)
{
	struct kmm_object *o = limited(test, f, ops, frames);
	long faults = 0;
	u32 k;

	for (k = 0; k < nr; k++) {
		int ret = kmm_object_reference(o, refs[k], false);

		KUNIT_EXPECT_GE(test, ret, 0);
		faults += ret;
	}
	kmm_object_destroy(o);
	return faults;
}

static void nobody_beats_opt(struct kunit *test)
{
	struct fixture *f = begin(test);
	u32 frames;
	unsigned int i;

	fill(f, 100);
	for (frames = 3; frames < 60; frames = frames * 3 + 1) {
		long opt = kmm_policy_opt(f->refs, NR_REFS, 100, frames);

		KUNIT_EXPECT_GE(test, opt, 100);
		for (i = 0; i < kmm_nr_policies; i++)
			KUNIT_EXPECT_GE(test, faults_of(test, f, kmm_policies[i], f->refs, NR_REFS,
							frames), opt);
	}
	end(test, f);
}

static void fifo_has_beladys_anomaly_and_lru_none(struct kunit *test)
{
	static const u32 belady[] = { 1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5 };
	struct fixture *f = begin(test);
	long before = LONG_MAX, now;
	u32 frames;

	KUNIT_EXPECT_EQ(test, faults_of(test, f, kmm_policy_find("fifo"), belady, 12, 3), 9);
	KUNIT_EXPECT_EQ(test, faults_of(test, f, kmm_policy_find("fifo"), belady, 12, 4), 10);
	fill(f, 60);
	for (frames = 1; frames < 60; frames += 6, before = now) {
		now = faults_of(test, f, kmm_policy_find("lru"), f->refs, NR_REFS, frames);
		KUNIT_EXPECT_LE(test, now, before);
	}
	end(test, f);
}

/* Another policy in the middle of it: what is resident stays so. */
static void a_switch_evicts_nothing(struct kunit *test)
{
	struct fixture *f = begin(test);
	struct kmm_object *o;
	unsigned int i, k;

	o = limited(test, f, kmm_policies[0], 30);
	for (k = 0; k < 30; k++)
		KUNIT_EXPECT_EQ(test, kmm_object_reference(o, k, false), 1);
	for (i = 0; i < kmm_nr_policies; i++) {
		KUNIT_EXPECT_EQ(test, kmm_object_set_limit(o, 30, kmm_policies[i], true), 0);
		for (k = 0; k < 30; k++)
			KUNIT_EXPECT_EQ(test, kmm_object_reference(o, k, false), 0);
		KUNIT_EXPECT_EQ(test, kmm_policy_check(&o->lruvec->policy), 0);
	}
	KUNIT_EXPECT_EQ(test, kmm_object_reference(o, 99, false), 1);
	KUNIT_EXPECT_EQ(test, o->resident, 30);
	kmm_object_destroy(o);
	end(test, f);
}

/* A failure of any allocation on the way leaves nothing, and the next try goes through. */
static void every_failure_point(struct kunit *test)
{
	const struct kmm_object_attr attr = { .size_bytes = MAX_IDS * PAGE_SIZE };
	struct fixture *f = begin(test);
	unsigned long nth, failures = 0;
	bool fired = true;

	for (nth = 1; fired && nth < 100; nth++) {
		struct kmm_object *o;
		int ret = 0;
		u32 k;

		kmm_inject_arm(nth);
		o = kmm_object_create(&f->set, f->a, &attr);
		if (IS_ERR(o)) {
			ret = PTR_ERR(o);
		} else {
			ret = kmm_object_set_limit(o, 3, kmm_policy_find("random"), true);
			for (k = 0; ret >= 0 && k < 12; k++)
				ret = kmm_object_reference(o, k % 5, false);
			kmm_object_destroy(o);
		}
		fired = kmm_inject_disarm();
		KUNIT_EXPECT_TRUE_MSG(test, ret >= 0 || (fired && ret == -ENOMEM), "%lu: %d", nth,
				      ret);
		failures += ret < 0;
		KUNIT_EXPECT_EQ(test, f->set.nr, 0);
	}
	KUNIT_EXPECT_FALSE(test, fired);
	KUNIT_EXPECT_GT(test, failures, 4);
	end(test, f);
}

static struct kunit_case replay_cases[] = {
	KUNIT_CASE(live_is_the_policy_alone),
	KUNIT_CASE(nobody_beats_opt),
	KUNIT_CASE(fifo_has_beladys_anomaly_and_lru_none),
	KUNIT_CASE(a_switch_evicts_nothing),
	KUNIT_CASE(every_failure_point),
	{}
};

struct kunit_suite kmm_replay_suite = {
	.name = "kmm_replay",
	.test_cases = replay_cases,
};
