// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_stack_depot
 *
 * Each case has a depot of its own. Stacks are made up, but where kmm_depot_save_here() is
 * tested they are real: chains of functions with frames of different kinds, compared with what
 * the kernel's stack_trace_save() says at the same place.
 */

#include <linux/cpu.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/stacktrace.h>
#include <linux/workqueue.h>

#include <kmm/inject.h>
#include <kmm/stack_depot.h>

#include "helpers.h"

static struct kmm_depot *begin_depot(struct kunit *test, size_t max_bytes)
{
	struct kmm_depot *d = kunit_kzalloc(test, sizeof(*d), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, d);
	KUNIT_ASSERT_EQ(test, kmm_depot_init(d, max_bytes), 0);
	test->priv = d;
	return d;
}

static void end_depot(struct kunit *test)
{
	kmm_depot_fini(test->priv);
	test->priv = NULL;
}

/* A case that was aborted. */
static void depot_exit(struct kunit *test)
{
	if (kmm_inject_disarm())
		kunit_info(test, "still armed\n");
	if (test->priv)
		end_depot(test);
}

static void fill(unsigned long *ip, unsigned int nr, unsigned long seed)
{
	while (nr--)
		*ip++ = seed * 0x9e3779b97f4a7c15UL + nr;
}

/* Is @handle the stack that fill() makes? */
static bool is_filled(const struct kmm_depot *d, u32 handle, unsigned int nr, unsigned long seed)
{
	unsigned long want[KMM_DEPOT_DEPTH_MAX];
	const unsigned long *ip;

	fill(want, nr, seed);
	return kmm_depot_fetch(d, handle, &ip) == nr && !memcmp(ip, want, nr * sizeof(*ip));
}

static struct kmm_depot_stat stat_of(struct kmm_depot *d)
{
	struct kmm_depot_stat st;

	kmm_depot_stat(d, &st);
	return st;
}

static void same_stack_same_handle(struct kunit *test)
{
	struct kmm_depot *d = begin_depot(test, SZ_1M);
	unsigned long ip[KMM_DEPOT_DEPTH_MAX];
	u32 handle[50];
	unsigned long i, round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(handle); i++) {
			u32 h;

			fill(ip, 1 + i, i);
			h = kmm_depot_save(d, ip, 1 + i);
			KUNIT_ASSERT_NE(test, h, 0);
			if (!round)
				handle[i] = h;
			KUNIT_EXPECT_EQ(test, h, handle[i]);
			if (i)
				KUNIT_EXPECT_NE(test, h, handle[i - 1]);
		}
	}
	for (i = 0; i < ARRAY_SIZE(handle); i++)
		KUNIT_EXPECT_TRUE(test, is_filled(d, handle[i], 1 + i, i));
	/* a part of a stack is another stack */
	fill(ip, 20, 7);
	KUNIT_EXPECT_NE(test, kmm_depot_save(d, ip, 20), kmm_depot_save(d, ip, 19));
	KUNIT_EXPECT_EQ(test, stat_of(d).nr_stacks, ARRAY_SIZE(handle) + 2);
	KUNIT_EXPECT_EQ(test, stat_of(d).nr_saved, 3 * ARRAY_SIZE(handle) + 2);
	KUNIT_EXPECT_EQ(test, stat_of(d).nr_dropped, 0);
	end_depot(test);
}

static void long_stacks_are_cut_off(struct kunit *test)
{
	struct kmm_depot *d = begin_depot(test, SZ_1M);
	unsigned long ip[KMM_DEPOT_DEPTH_MAX + 1];
	const unsigned long *got;
	u32 handle;

	fill(ip, ARRAY_SIZE(ip), 1);
	handle = kmm_depot_save(d, ip, ARRAY_SIZE(ip));
	KUNIT_EXPECT_EQ(test, kmm_depot_fetch(d, handle, &got), KMM_DEPOT_DEPTH_MAX);
	KUNIT_EXPECT_EQ(test, memcmp(got, ip, KMM_DEPOT_DEPTH_MAX * sizeof(*ip)), 0);
	KUNIT_EXPECT_EQ(test, handle, kmm_depot_save(d, ip, KMM_DEPOT_DEPTH_MAX));
	end_depot(test);
}

static void what_is_no_handle_has_no_stack(struct kunit *test)
{
	struct kmm_depot *d = begin_depot(test, SZ_1M);
	unsigned long ip[KMM_DEPOT_DEPTH_MAX], i;
	const unsigned long *got;
	char text[16] = "x";

	KUNIT_EXPECT_EQ(test, kmm_depot_save(d, ip, 0), 0);
	for (i = 0; i < 200; i++) {
		/* small numbers: in the middle of a record they look like lengths */
		memset32((u32 *)ip, i % 70, 2 * ARRAY_SIZE(ip));
		ip[0] = i;
		KUNIT_ASSERT_NE(test, kmm_depot_save(d, ip, ARRAY_SIZE(ip)), 0);
		/* they are more than the first pools hold */
		flush_work(&d->grow);
	}
	/* Whatever it is, it does not lead out of the pools (KASAN would tell). */
	for (i = 0; i < 4UL * KMM_DEPOT_POOL_BYTES / 8; i++) {
		unsigned int nr = kmm_depot_fetch(d, i, &got), k;
		unsigned long sum = 0;

		KUNIT_ASSERT_LE(test, nr, KMM_DEPOT_DEPTH_MAX);
		for (k = 0; k < nr; k++)
			sum += got[k];
		OPTIMIZER_HIDE_VAR(sum);
	}
	KUNIT_EXPECT_EQ(test, kmm_depot_fetch(d, 0, &got), 0);
	KUNIT_EXPECT_NULL(test, got);
	KUNIT_EXPECT_EQ(test, kmm_depot_fetch(d, U32_MAX, &got), 0);
	KUNIT_EXPECT_EQ(test, kmm_depot_snprint(d, 0, text, sizeof(text), 0), 0);
	end_depot(test);
}

/* Stacks like this array that fit into a pool. */
#define POOL_RECORDS(ip)								\
	(KMM_DEPOT_POOL_BYTES / (sizeof(struct kmm_depot_record) + sizeof(ip)))

static void a_full_depot_drops_and_counts(struct kunit *test)
{
	struct kmm_depot *d = begin_depot(test, 0);
	unsigned long ip[16], i, dropped = 0, kept = 0;
	u32 first = 0;

	for (i = 0; i < 1000; i++) {
		u32 handle;

		fill(ip, ARRAY_SIZE(ip), i);
		handle = kmm_depot_save(d, ip, ARRAY_SIZE(ip));
		if (!i)
			first = handle;
		if (handle)
			kept++;
		else
			dropped++;
		KUNIT_EXPECT_TRUE(test, !handle || is_filled(d, handle, ARRAY_SIZE(ip), i));
	}
	kmm_depot_grow(d);
	KUNIT_EXPECT_EQ(test, kept, KMM_DEPOT_FIRST_POOLS * POOL_RECORDS(ip));
	KUNIT_EXPECT_EQ(test, stat_of(d).nr_stacks, kept);
	KUNIT_EXPECT_EQ(test, stat_of(d).nr_dropped, dropped);
	KUNIT_EXPECT_EQ(test, stat_of(d).nr_saved, 1000);
	KUNIT_EXPECT_EQ(test, d->nr_pools, KMM_DEPOT_FIRST_POOLS);
	/* what is in is still found */
	fill(ip, ARRAY_SIZE(ip), 0);
	KUNIT_EXPECT_EQ(test, kmm_depot_save(d, ip, ARRAY_SIZE(ip)), first);
	end_depot(test);
}

static void a_depot_grows_up_to_its_limit(struct kunit *test)
{
	const u32 max = KMM_DEPOT_FIRST_POOLS + 3;
	struct kmm_depot *d = begin_depot(test, max * KMM_DEPOT_POOL_BYTES);
	unsigned long ip[16], i, kept = 0;

	for (i = 0; i < 2000; i++) {
		fill(ip, ARRAY_SIZE(ip), i);
		kept += !!kmm_depot_save(d, ip, ARRAY_SIZE(ip));
		/* the work item that the call queued */
		flush_work(&d->grow);
		if (i == 10)
			KUNIT_EXPECT_EQ(test, d->nr_pools, KMM_DEPOT_FIRST_POOLS);
	}
	KUNIT_EXPECT_EQ(test, d->nr_pools, max);
	KUNIT_EXPECT_EQ(test, kept, max * POOL_RECORDS(ip));
	KUNIT_EXPECT_EQ(test, stat_of(d).nr_dropped, 2000 - kept);
	KUNIT_EXPECT_LE(test, stat_of(d).used_bytes, stat_of(d).max_bytes);
	KUNIT_EXPECT_GT(test, stat_of(d).bytes, stat_of(d).max_bytes);
	end_depot(test);
}

/**
 * struct racer - saves the same stacks as another, at the same time
 * @work: runs on a CPU of its own
 * @d: depot
 * @handle: what it got
 */
struct racer {
	struct work_struct work;
	struct kmm_depot *d;
	u32 handle[300];
};

static void race(struct work_struct *work)
{
	struct racer *r = container_of(work, struct racer, work);
	unsigned long ip[10], i;

	for (i = 0; i < ARRAY_SIZE(r->handle); i++) {
		fill(ip, ARRAY_SIZE(ip), i);
		r->handle[i] = kmm_depot_save(r->d, ip, ARRAY_SIZE(ip));
	}
}

static void racing_saves_make_one_record(struct kunit *test)
{
	struct kmm_depot *d = begin_depot(test, SZ_1M);
	struct racer *racer = kunit_kcalloc(test, nr_cpu_ids, sizeof(*racer), GFP_KERNEL);
	unsigned int cpu, first = cpumask_first(cpu_online_mask);

	KUNIT_ASSERT_NOT_NULL(test, racer);
	cpus_read_lock();
	for_each_online_cpu(cpu) {
		racer[cpu].d = d;
		INIT_WORK(&racer[cpu].work, race);
		queue_work_on(cpu, system_highpri_wq, &racer[cpu].work);
	}
	for_each_online_cpu(cpu)
		flush_work(&racer[cpu].work);
	for_each_online_cpu(cpu)
		KUNIT_EXPECT_EQ(test, memcmp(racer[cpu].handle, racer[first].handle,
					     sizeof(racer[cpu].handle)), 0);
	cpus_read_unlock();
	KUNIT_EXPECT_EQ(test, stat_of(d).nr_stacks, ARRAY_SIZE(racer->handle));
	KUNIT_EXPECT_EQ(test, stat_of(d).nr_dropped, 0);
	end_depot(test);
}

/* === Real stacks === */

/**
 * struct walks - what is at the end of a walk
 * @d: depot
 * @bad: stacks that were not what stack_trace_save() said
 * @saved: stacks
 */
struct walks {
	struct kmm_depot *d;
	unsigned long bad;
	unsigned long saved;
};

static void walk_end(void *arg)
{
	struct walks *w = arg;
	unsigned long want[KMM_DEPOT_DEPTH];
	const unsigned long *ip;
	unsigned int nr, got;
	u32 handle;

	/* Of both the first entry is in this function, but not the same place. */
	handle = kmm_depot_save_here(w->d);
	nr = stack_trace_save(want, ARRAY_SIZE(want), 0);
	got = kmm_depot_fetch(w->d, handle, &ip);
	w->bad += got != nr || nr < 2 || memcmp(ip + 1, want + 1, (nr - 1) * sizeof(*ip));
	w->saved++;
}

static void here_is_what_the_unwinder_says(struct kunit *test)
{
	struct kmm_depot *d = begin_depot(test, SZ_4M);
	struct rnd_state rnd;
	unsigned long i, n = clamp(kmm_test_nr_ops / 10, 500UL, 20000UL);
	struct walks w = { .d = d };

	prandom_seed_state(&rnd, kmm_test_seed);
	for (i = 0; i < n; i++) {
		u64 path = (u64)prandom_u32_state(&rnd) << 32 | prandom_u32_state(&rnd);
		unsigned int len = kmm_below(&rnd, 8), again;

		/* a few paths often, others once */
		if (kmm_below(&rnd, 4))
			path &= 0xf;
		for (again = 0; again < 3; again++)
			kmm_walk(path, len, walk_end, &w);
		flush_work(&d->grow);
	}
	KUNIT_EXPECT_EQ(test, w.bad, 0);
	KUNIT_EXPECT_EQ(test, w.saved, 3 * n);
	kunit_info(test, "%llu of %llu stacks were remembered, %u are different\n",
		   stat_of(d).nr_remembered, stat_of(d).nr_saved, stat_of(d).nr_stacks);
	KUNIT_EXPECT_EQ(test, stat_of(d).nr_dropped, 0);
	if (IS_ENABLED(CONFIG_UNWINDER_ORC))
		KUNIT_EXPECT_GT(test, stat_of(d).nr_remembered, n / 4);
	end_depot(test);
}

static noinline u32 save_here(struct kmm_depot *d)
{
	u32 handle = kmm_depot_save_here(d);

	barrier();
	return handle;
}

static noinline bool recall(struct kmm_depot *d)
{
	u32 handle, want;
	bool found = kmm_depot_recall(d, kmm_depot_slot(), &handle);

	want = kmm_depot_save_caller(d);
	return found && handle == want;
}

/* However close they are: none takes from another the place that is looked at first. */
static void calls_near_each_other_are_all_recalled(struct kunit *test)
{
	struct kmm_depot *d = begin_depot(test, SZ_1M);
	unsigned int found = 0, rounds = 3;

	OPTIMIZER_HIDE_VAR(d);
	while (rounds--) {
		found = recall(d);
		found += recall(d);
		found += recall(d);
		found += recall(d);
		found += recall(d);
		found += recall(d);
	}
	KUNIT_EXPECT_EQ(test, stat_of(d).nr_stacks, 6);
	if (IS_ENABLED(CONFIG_UNWINDER_ORC))
		KUNIT_EXPECT_EQ(test, found, 6);
	end_depot(test);
}

static void what_is_forgotten_is_unwound_again(struct kunit *test)
{
	struct kmm_depot *d = begin_depot(test, SZ_1M);
	bool found[4] = { };
	unsigned int i, calls = 4;

	for (i = 0; i < calls; i++) {
		OPTIMIZER_HIDE_VAR(calls);
		if (i == 2)
			kmm_depot_forget(d);
		found[i] = recall(d);
	}
	KUNIT_EXPECT_FALSE(test, found[0]);
	KUNIT_EXPECT_EQ(test, found[1], IS_ENABLED(CONFIG_UNWINDER_ORC));
	KUNIT_EXPECT_FALSE(test, found[2]);
	KUNIT_EXPECT_EQ(test, found[3], IS_ENABLED(CONFIG_UNWINDER_ORC));
	KUNIT_EXPECT_EQ(test, stat_of(d).nr_stacks, 1);
	end_depot(test);
}

/* A record without places, of a walk that met a tracer, say: the next walk makes a better one. */
static void a_stack_can_be_recognised_later(struct kunit *test)
{
	struct kmm_depot *from = kunit_kzalloc(test, sizeof(*from), GFP_KERNEL), *d;
	unsigned int i, nr, calls = 4;
	const unsigned long *ip;
	u32 handle[5] = { };

	d = begin_depot(test, SZ_1M);
	KUNIT_ASSERT_NOT_NULL(test, from);
	KUNIT_ASSERT_EQ(test, kmm_depot_init(from, SZ_1M), 0);
	for (i = 0; i < calls; i++) {
		OPTIMIZER_HIDE_VAR(calls);
		/* one call: the stacks are the same */
		handle[i] = save_here(i ? d : from);
		if (i)
			continue;
		nr = kmm_depot_fetch(from, handle[0], &ip);
		handle[calls] = kmm_depot_save(d, ip, nr);
	}
	kmm_depot_fini(from);
	KUNIT_EXPECT_NE(test, handle[1], 0);
	KUNIT_EXPECT_EQ(test, handle[2], handle[1]);
	KUNIT_EXPECT_EQ(test, handle[3], handle[1]);
	KUNIT_EXPECT_EQ(test, stat_of(d).nr_saved, 4);
	if (IS_ENABLED(CONFIG_UNWINDER_ORC)) {
		KUNIT_EXPECT_NE(test, handle[1], handle[calls]);
		KUNIT_EXPECT_EQ(test, stat_of(d).nr_stacks, 2);
		KUNIT_EXPECT_EQ(test, stat_of(d).nr_remembered, 2);
	}
	end_depot(test);
}

static void walk_in_context(void *arg)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		kmm_walk(0b0100, 2, walk_end, arg);
}

static void here_works_in_any_context(struct kunit *test)
{
	struct kmm_depot *d = begin_depot(test, SZ_1M);
	enum kmm_context c;

	for (c = 0; c < KMM_NR_CONTEXTS; c++) {
		struct walks w = { .d = d };

		kmm_run_in(c, walk_in_context, &w);
		KUNIT_EXPECT_EQ_MSG(test, w.bad, 0, "%s", kmm_context_names[c]);
		KUNIT_EXPECT_EQ_MSG(test, w.saved, 3, "%s", kmm_context_names[c]);
	}
	end_depot(test);
}

static noinline u32 save_skipping(struct kmm_depot *d)
{
	u32 handle = kmm_depot_save_caller(d);

	barrier();
	return handle;
}

static void prints_as_the_kernel_does(struct kunit *test)
{
	struct kmm_depot *d = begin_depot(test, SZ_1M);
	char *text = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL), *want;
	u32 handle = save_skipping(d);
	const unsigned long *ip;
	unsigned int nr;
	u64 mark;
	int n;

	want = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_ASSERT_NOT_NULL(test, want);
	nr = kmm_depot_fetch(d, handle, &ip);
	KUNIT_ASSERT_GT(test, nr, 2);
	n = kmm_depot_snprint(d, handle, text, PAGE_SIZE, 0);
	KUNIT_EXPECT_EQ(test, n, strlen(text));
	/* the first is this function: what called the one that was left out */
	snprintf(want, PAGE_SIZE, " %pS\n", (void *)ip[0]);
	KUNIT_EXPECT_NOT_NULL(test, strstr(want, __func__));
	KUNIT_EXPECT_EQ(test, strncmp(text, want, strlen(want)), 0);
	mark = kmm_log_mark();
	kmm_depot_print(d, handle);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, __func__), 1);
	mark = kmm_log_mark();
	kmm_depot_print(d, 0);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, __func__), 0);
	end_depot(test);
}

static void every_failure_of_init_leaves_nothing(struct kunit *test)
{
	struct kmm_depot *d = kunit_kzalloc(test, sizeof(*d), GFP_KERNEL);
	unsigned long ip[4], n;

	KUNIT_ASSERT_NOT_NULL(test, d);
	fill(ip, ARRAY_SIZE(ip), 1);
	for (n = 1; n < 50; n++) {
		int err;

		kmm_inject_arm(n);
		err = kmm_depot_init(d, SZ_1M);
		if (!kmm_inject_disarm())
			break;
		KUNIT_ASSERT_EQ_MSG(test, err, -ENOMEM, "failure %lu was ignored", n);
		KUNIT_EXPECT_EQ(test, kmm_depot_save(d, ip, ARRAY_SIZE(ip)), 0);
		KUNIT_EXPECT_EQ(test, kmm_depot_save_here(d), 0);
		KUNIT_EXPECT_EQ(test, stat_of(d).bytes, 0);
		kmm_depot_fini(d);
	}
	KUNIT_EXPECT_EQ(test, n, 3 + KMM_DEPOT_FIRST_POOLS + 1);
	test->priv = d;
	KUNIT_EXPECT_NE(test, kmm_depot_save(d, ip, ARRAY_SIZE(ip)), 0);
	end_depot(test);
}

static void a_failed_pool_is_tried_again(struct kunit *test)
{
	struct kmm_depot *d = begin_depot(test, SZ_1M);
	u32 first;

	/* no work item takes part: as if the first ones were nearly full */
	d->used_bytes = (KMM_DEPOT_FIRST_POOLS - 1) * KMM_DEPOT_POOL_BYTES + 8;
	first = d->nr_pools;
	kmm_inject_arm(1);
	kmm_depot_grow(d);
	KUNIT_EXPECT_TRUE(test, kmm_inject_disarm());
	KUNIT_EXPECT_EQ(test, d->nr_pools, first);
	kmm_depot_grow(d);
	KUNIT_EXPECT_EQ(test, d->nr_pools, first + 2);
	end_depot(test);
}

static struct kunit_case depot_cases[] = {
	KUNIT_CASE(same_stack_same_handle),
	KUNIT_CASE(long_stacks_are_cut_off),
	KUNIT_CASE(what_is_no_handle_has_no_stack),
	KUNIT_CASE(a_full_depot_drops_and_counts),
	KUNIT_CASE(a_depot_grows_up_to_its_limit),
	KUNIT_CASE(racing_saves_make_one_record),
	KUNIT_CASE(here_is_what_the_unwinder_says),
	KUNIT_CASE(calls_near_each_other_are_all_recalled),
	KUNIT_CASE(what_is_forgotten_is_unwound_again),
	KUNIT_CASE(a_stack_can_be_recognised_later),
	KUNIT_CASE(here_works_in_any_context),
	KUNIT_CASE(prints_as_the_kernel_does),
	KUNIT_CASE(every_failure_of_init_leaves_nothing),
	KUNIT_CASE(a_failed_pool_is_tried_again),
	{}
};

struct kunit_suite kmm_stack_depot_suite = {
	.name = "kmm_stack_depot",
	.exit = depot_exit,
	.test_cases = depot_cases,
};
