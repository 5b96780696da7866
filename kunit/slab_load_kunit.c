// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_slab_load
 *
 * The slab allocator under load: contexts, interrupts in the middle of a task's operation, CPUs
 * that go, threads on two CPUs that free each other's objects.
 *
 * The model. Objects that are alive lie in a table of slots. Whoever takes one out of its slot
 * (xchg) owns it; whoever puts one in gives it away. So each object is freed by a random CPU, and
 * each object that is out is in the table exactly once. An object holds its own address, mixed
 * with its cache's number, in its first and last word: two that overlap cannot both keep that.
 * When the threads rest, what the table has is counted and must be what the cache says, and
 * kmm_slab_check() must find nothing. Rounds of work and rest follow each other; the number
 * of operations is the module's parameter ops.
 */

#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/vmalloc.h>

#include <kmm/hardening.h>
#include <kmm/slab.h>

#include "helpers.h"

/* === The model === */

#define NR_CACHES	8
#define NR_SLOTS	1024	/* of each cache */
#define NR_ROUNDS	10

/**
 * struct load - the shared state
 * @s: caches; the last is kmalloc's
 * @slot: live objects
 * @spoilt: objects that did not hold what was written
 */
struct load {
	struct kmm_cache *s[NR_CACHES];
	void *slot[NR_CACHES][NR_SLOTS];
	atomic_long_t spoilt;
};

struct load_worker {
	struct load *l;
	struct task_struct *task;
	struct completion over;
	struct rnd_state rnd;
	unsigned long ops;
	unsigned long done;
	unsigned long failed;
};

static const struct {
	unsigned int size;
	slab_flags_t flags;
} load_caches[NR_CACHES] = {
	{ 16 }, { 24 }, { 64 }, { 200 }, { 1024 }, { 4096 },
	{ 64, SLAB_TYPESAFE_BY_RCU },
	{ 96, SLAB_RED_ZONE | SLAB_POISON },
};

static unsigned long *last_word(struct load *l, unsigned int n, void *obj)
{
	return obj + ALIGN_DOWN(l->s[n]->object_size, sizeof(long)) - sizeof(long);
}

static void sign(struct load *l, unsigned int n, void *obj)
{
	*(unsigned long *)obj = (unsigned long)obj ^ n;
	*last_word(l, n, obj) = ~(unsigned long)obj ^ n;
}

static void give_back(struct load *l, unsigned int n, void *obj)
{
	if (*(unsigned long *)obj != ((unsigned long)obj ^ n) ||
	    *last_word(l, n, obj) != (~(unsigned long)obj ^ n))
		atomic_long_inc(&l->spoilt);
	/* nobody else has it: what a second owner would find is not our sign */
	*(unsigned long *)obj = 0;
	if (n & 1)
		kmm_slab_kfree(l->s[n]->slab, obj);
	else
		kmm_cache_free(l->s[n], obj);
}

static void put_in(struct load *l, unsigned int n, unsigned int slot, void *obj)
{
	obj = xchg(&l->slot[n][slot], obj);
	if (obj)
		give_back(l, n, obj);
}

/* One operation, in any context. */
static void load_step(struct load_worker *w, gfp_t gfp)
{
	struct load *l = w->l;
	unsigned int n = kmm_below(&w->rnd, NR_CACHES), slot = kmm_below(&w->rnd, NR_SLOTS);
	unsigned int r = kmm_below(&w->rnd, 100), i, nr;
	void *obj[64];

	w->done++;
	/* Phases of growing and of shrinking: the stacks fill and empty, slabs come and go. */
	if (r < ((w->done >> 11) & 1 ? 60 : 30)) {
		obj[0] = kmm_cache_alloc(l->s[n], gfp);
		if (!obj[0]) {
			w->failed++;
			return;
		}
		sign(l, n, obj[0]);
		put_in(l, n, slot, obj[0]);
	} else if (r < 96) {
		put_in(l, n, slot, NULL);
	} else {
		nr = 1 + kmm_below(&w->rnd, ARRAY_SIZE(obj));
		if (kmm_cache_alloc_bulk(l->s[n], gfp, nr, obj) != nr) {
			w->failed++;
			return;
		}
		for (i = 0; i < nr; i++)
			sign(l, n, obj[i]);
		for (i = nr / 2; i < nr; i++)
			put_in(l, n, (slot + i) % NR_SLOTS, obj[i]);
		kmm_cache_free_bulk(l->s[n], nr / 2, obj);
	}
}

static int load_thread(void *arg)
{
	struct load_worker *w = arg;
	unsigned long end = w->done + w->ops;

	while (w->done < end) {
		load_step(w, KMM_QUIET);
		if (kmm_below(&w->rnd, 2000) == 0)
			kmm_cache_shrink(w->l->s[kmm_below(&w->rnd, NR_CACHES)]);
		if (w->done % 64 == 0)
			cond_resched();
	}
	complete(&w->over);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static struct load *load_create(struct kunit *test)
{
	struct load *l = vzalloc(sizeof(*l));
	unsigned int n;

	KUNIT_ASSERT_NOT_NULL(test, l);
	for (n = 0; n < NR_CACHES; n++)
		l->s[n] = kmm_test_cache(test, load_caches[n].size, 0, load_caches[n].flags, NULL);
	return l;
}

/* Everybody rests: the caches have what the table has, and are in order. */
static void load_compare(struct kunit *test, struct load *l)
{
	unsigned int n, i;

	for (n = 0; n < NR_CACHES; n++) {
		unsigned long live = 0;

		for (i = 0; i < NR_SLOTS; i++)
			live += !!l->slot[n][i];
		KUNIT_EXPECT_EQ_MSG(test, kmm_test_active(l->s[n]), live, "cache %u", n);
		KUNIT_EXPECT_EQ_MSG(test, kmm_slab_check(l->s[n]), 0, "cache %u", n);
	}
	KUNIT_EXPECT_EQ(test, atomic_long_read(&l->spoilt), 0);
}

static void load_end(struct kunit *test, struct load *l)
{
	struct kmm_test *t = test->priv;
	unsigned int n, i;

	for (n = 0; n < NR_CACHES; n++)
		for (i = 0; i < NR_SLOTS; i++)
			put_in(l, n, i, NULL);
	load_compare(test, l);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->slab.nr_bad), 0);
	vfree(l);
	kmm_test_end_slab(test);
}

static void load_start(struct kunit *test, struct load_worker *w, unsigned int nr)
{
	unsigned int n;

	for (n = 0; n < nr; n++) {
		init_completion(&w[n].over);
		w[n].task = kthread_create(load_thread, &w[n], "kmm_kunit/%u", n);
		if (IS_ERR(w[n].task)) {
			KUNIT_FAIL(test, "no thread");
			w[n].task = NULL;
			continue;
		}
		kthread_bind(w[n].task, cpumask_local_spread(n, NUMA_NO_NODE));
		wake_up_process(w[n].task);
	}
}

/* When they have done their part. */
static void load_stop(struct load_worker *w, unsigned int nr)
{
	unsigned int n;

	for (n = 0; n < nr; n++) {
		if (!w[n].task)
			continue;
		wait_for_completion(&w[n].over);
		kthread_stop(w[n].task);
	}
}

static void threads_against_the_model(struct kunit *test, const struct kmm_test_layout *layout,
				      unsigned int switches)
{
	struct load_worker *w = kunit_kcalloc(test, 2, sizeof(*w), GFP_KERNEL);
	unsigned int n, round;
	struct load *l;

	KUNIT_ASSERT_NOT_NULL(test, w);
	kunit_info(test, "seed=%lu ops=%lu\n", kmm_test_seed, kmm_test_nr_ops);
	kmm_test_begin_slab(test, layout);
	kmm_hardening_set(switches);
	l = load_create(test);
	for (n = 0; n < 2; n++) {
		w[n].l = l;
		w[n].ops = kmm_test_nr_ops / 4 / NR_ROUNDS;
		prandom_seed_state(&w[n].rnd, kmm_test_seed + n);
	}
	for (round = 0; round < NR_ROUNDS; round++) {
		load_start(test, w, 2);
		load_stop(w, 2);
		load_compare(test, l);
	}
	for (n = 0; n < 2; n++) {
		KUNIT_EXPECT_EQ(test, w[n].done, w[n].ops * NR_ROUNDS);
		KUNIT_EXPECT_EQ(test, w[n].failed, 0);
	}
	load_end(test, l);
}

static void random_with_cross_cpu_frees(struct kunit *test)
{
	threads_against_the_model(test, &kmm_layout_plain, 0);
	threads_against_the_model(test, &kmm_layout_odd, 0);
}

static void random_with_everything_on(struct kunit *test)
{
	threads_against_the_model(test, &kmm_layout_plain,
				  KMM_SLAB_HARDENED | KMM_INIT_ON_ALLOC | KMM_INIT_ON_FREE);
}

/* === Interrupts === */

struct context_call {
	struct kmm_cache *s;
	unsigned int rounds;
	unsigned int bad;
};

/* More objects than a stack has, so that all paths are taken. */
static void use_objects(void *arg)
{
	struct context_call *c = arg;
	static void *obj[600];
	unsigned int i, nr = ARRAY_SIZE(obj);

	for (i = 0; i < nr; i++) {
		obj[i] = kmm_cache_alloc(c->s, GFP_ATOMIC | __GFP_NOWARN);
		c->bad += !obj[i];
	}
	for (i = 0; i < nr; i++)
		kmm_cache_free(c->s, obj[i]);
	if (kmm_cache_alloc_bulk(c->s, GFP_ATOMIC | __GFP_NOWARN, nr, obj) != nr)
		c->bad++;
	else
		kmm_cache_free_bulk(c->s, nr, obj);
	c->rounds++;
}

static void any_context_may_use_objects(struct kunit *test)
{
	enum kmm_context context;
	unsigned int i;

	kmm_test_begin_slab(test, &kmm_layout_one);
	for (i = 0; i < 3; i++) {
		struct context_call c = {
			.s = kmm_test_cache(test, 64, 0, i == 2 ? SLAB_RED_ZONE : 0, NULL),
		};

		for (context = 0; context < KMM_NR_CONTEXTS; context++)
			kmm_run_in(context, use_objects, &c);
		KUNIT_EXPECT_EQ(test, c.rounds, KMM_NR_CONTEXTS);
		KUNIT_EXPECT_EQ(test, c.bad, 0);
		KUNIT_EXPECT_EQ(test, kmm_test_active(c.s), 0);
		KUNIT_EXPECT_EQ(test, kmm_slab_check(c.s), 0);
		if (i == 0)	/* the second is hardened */
			kmm_hardening_set(KMM_SLAB_HARDENED);
		else
			kmm_hardening_set(0);
	}
	kmm_test_end_slab(test);
}

/* In a hard interrupt, wherever it hits a thread. @arg: a worker for each CPU. */
static void load_interrupt(void *arg)
{
	struct load_worker *w = (struct load_worker *)arg + smp_processor_id();
	unsigned int i;

	for (i = 0; i < 8; i++)
		load_step(w, GFP_ATOMIC | __GFP_NOWARN);
}

static void interrupts_come_into_the_middle(struct kunit *test)
{
	unsigned long storms = min(kmm_test_nr_ops / 50, 5000UL) + 200, i, irqs = 0;
	struct load_worker *irq = kunit_kcalloc(test, nr_cpu_ids, sizeof(*irq), GFP_KERNEL);
	struct load_worker *w = kunit_kcalloc(test, 2, sizeof(*w), GFP_KERNEL);
	struct load *l;
	unsigned int n;

	KUNIT_ASSERT_TRUE(test, irq && w);
	kmm_test_begin_slab(test, &kmm_layout_plain);
	l = load_create(test);
	for (n = 0; n < nr_cpu_ids; n++) {
		irq[n].l = l;
		prandom_seed_state(&irq[n].rnd, kmm_test_seed + 10 + n);
	}
	for (n = 0; n < 2; n++) {
		w[n].l = l;
		w[n].ops = kmm_test_nr_ops / 4;
		prandom_seed_state(&w[n].rnd, kmm_test_seed + n);
	}
	load_start(test, w, 2);
	for (i = 0; i < storms; i++) {
		smp_call_function(load_interrupt, irq, true);	/* the others */
		kmm_run_in(KMM_HARDIRQ, load_interrupt, irq);	/* and this one */
		if (i % 16 == 0)
			usleep_range(100, 200);
	}
	load_stop(w, 2);
	for_each_possible_cpu(n)
		irqs += irq[n].done;
	KUNIT_EXPECT_EQ(test, irqs, num_online_cpus() * storms * 8);
	KUNIT_EXPECT_EQ(test, w[0].done + w[1].done, 2 * w[0].ops);
	load_compare(test, l);
	load_end(test, l);
}

/* === CPUs === */

static unsigned long stacked(struct kmm_cache *s)
{
	struct kmm_cache_stat st;

	kmm_slab_stat(s, &st);
	return st.nr_stacked;
}

static void offlined_cpu_empties_its_stacks(struct kunit *test)
{
#ifdef CONFIG_HOTPLUG_CPU
	struct kmm_cache *s;
	void *obj[100];
	int cpu;

	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	kmm_test_begin_slab(test, &kmm_layout_one);
	s = kmm_test_cache(test, 64, 0, 0, NULL);
	cpu = cpumask_last(cpu_online_mask);
	kmm_stay_on_cpu(cpu);
	KUNIT_ASSERT_EQ(test, kmm_cache_alloc_bulk(s, KMM_QUIET, 100, obj), 100);
	kmm_cache_free_bulk(s, 99, obj);
	KUNIT_EXPECT_GE(test, stacked(s), 99);
	kmm_stay_on_cpu(0);
	KUNIT_ASSERT_EQ(test, remove_cpu(cpu), 0);
	KUNIT_EXPECT_EQ(test, stacked(s), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_active(s), 1);
	KUNIT_EXPECT_EQ(test, kmm_slab_check(s), 0);
	KUNIT_ASSERT_EQ(test, add_cpu(cpu), 0);
	/* and it is of use again */
	kmm_stay_on_cpu(cpu);
	kmm_cache_free(s, obj[99]);
	KUNIT_EXPECT_EQ(test, stacked(s), 1);
	kmm_go_anywhere();
	kmm_test_end_slab(test);
#else
	kunit_skip(test, "no CONFIG_HOTPLUG_CPU");
#endif
}

/* Objects of one CPU that another frees come back by the depot, not one by one. */
static void objects_wander_between_cpus(struct kunit *test)
{
	unsigned int round, nr = 1000, i, bad = 0;
	struct kmm_cache *s;
	unsigned long slabs;
	void **obj;
	int other;

	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	obj = kunit_kcalloc(test, nr, sizeof(*obj), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, obj);
	kmm_test_begin_slab(test, &kmm_layout_one);
	s = kmm_test_cache(test, 64, 0, 0, NULL);
	kmm_stay_on_cpu(0);
	other = cpumask_next(0, cpu_online_mask);
	for (round = 0; round < 50; round++) {
		kmm_stay_on_cpu(0);
		for (i = 0; i < nr; i++) {
			obj[i] = kmm_cache_alloc(s, KMM_QUIET);
			KUNIT_ASSERT_NOT_NULL(test, obj[i]);
			*(void **)obj[i] = obj[i];
		}
		if (!round)
			slabs = kmm_test_slabs(s);
		kmm_stay_on_cpu(other);
		for (i = 0; i < nr; i++) {
			bad += *(void **)obj[i] != obj[i];
			kmm_cache_free(s, obj[i]);
		}
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	/* one-way traffic does not make the cache grow: a stack and a depot more at most */
	KUNIT_EXPECT_LE(test, kmm_test_slabs(s),
			slabs + DIV_ROUND_UP(s->cap + s->cap_depot, s->nr_per_slab) + s->max_empty);
	KUNIT_EXPECT_EQ(test, kmm_test_active(s), 0);
	kmm_go_anywhere();
	kmm_test_end_slab(test);
}

static unsigned int switches;

static int load_init(struct kunit *test)
{
	switches = kmm_hardening_set(0);
	return 0;
}

static void load_exit(struct kunit *test)
{
	kmm_hardening_set(switches);
	kmm_test_exit(test);
}

static struct kunit_case load_cases[] = {
	KUNIT_CASE(any_context_may_use_objects),
	KUNIT_CASE(random_with_cross_cpu_frees),
	KUNIT_CASE(random_with_everything_on),
	KUNIT_CASE(interrupts_come_into_the_middle),
	KUNIT_CASE(offlined_cpu_empties_its_stacks),
	KUNIT_CASE(objects_wander_between_cpus),
	{}
};

struct kunit_suite kmm_slab_load_suite = {
	.name = "kmm_slab_load",
	.init = load_init,
	.exit = load_exit,
	.test_cases = load_cases,
};
