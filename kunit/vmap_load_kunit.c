// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_vmap_load
 *
 * vmalloc, vmap and vm_map_ram under load: random operations against a naive model, two CPUs with
 * interrupts, and the flush that all of it rests on. Single properties are in vmap_kunit.c.
 *
 * The model is a list of what is out, and a byte for each page of the window: 0, or what kind of
 * area has it, guard pages included. Two areas that overlapped, or a run in another's guard page,
 * are seen there. Each page carries a word of its area at both ends.
 *
 * The last case leaves the flush out (kmm_tlb_flush_off, which exists only for it): another CPU
 * must then read freed memory, else the case could not fail.
 */

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#include <kmm/vmap.h>

#include "helpers.h"

/* === Random operations against a model === */

#define M_AREAS		200
#define M_SOURCE	64	/* frames of our own, to be shown */
#define M_MAX_PAGES	80

enum m_kind { M_NONE, M_VMALLOC, M_VMAP, M_RAM, M_GUARD };

struct m_area {
	unsigned long *p;
	unsigned int nr;
	enum m_kind kind;
	unsigned int from;	/* first of the source pages shown */
	unsigned long stamp;
};

struct m_model {
	struct kmm_test *t;
	struct kmm_window *w;
	struct rnd_state rnd;
	struct page *source[M_SOURCE + M_MAX_PAGES];
	struct m_area area[M_AREAS];
	unsigned int nr;
	u8 *owner;		/* by page of the window */
	unsigned long stamp;
	unsigned long lazy_max;
	unsigned long refused;
};

static unsigned long *m_word(const struct m_area *a, unsigned int page, bool last)
{
	return a->p + page * 512 + (last ? 511 : 0);
}

/* Takes or gives the pages of an area in the map of owners; true when that was right. */
static bool m_claim(struct m_model *m, const struct m_area *a, bool take)
{
	unsigned long first = ((unsigned long)a->p - m->w->base) / PAGE_SIZE, i;
	unsigned long nr = a->nr + (a->kind != M_RAM);
	bool right = true;

	for (i = 0; i < nr; i++) {
		u8 kind = i < a->nr ? a->kind : M_GUARD;

		right &= m->owner[first + i] == (take ? M_NONE : kind);
		m->owner[first + i] = take ? kind : M_NONE;
	}
	return right;
}

static void m_alloc(struct kunit *test, struct m_model *m)
{
	struct m_area *a = &m->area[m->nr];
	unsigned int i, r = kmm_below(&m->rnd, 100);

	if (m->nr == M_AREAS)
		return;
	*a = (struct m_area) { .nr = 1 + kmm_below(&m->rnd, r % 3 ? 6 : M_MAX_PAGES) };
	if (r < 50) {
		if (r < 2)
			a->nr = 512 + kmm_below(&m->rnd, 600);
		a->kind = M_VMALLOC;
		a->p = kmm_vmap_alloc(m->t->vmap, a->nr * PAGE_SIZE, KMM_QUIET, PAGE_KERNEL,
				      NULL);
	} else {
		a->from = kmm_below(&m->rnd, M_SOURCE);
		a->kind = r < 75 ? M_VMAP : M_RAM;
		a->p = a->kind == M_VMAP ?
		       kmm_vmap_map(m->t->vmap, m->source + a->from, a->nr, PAGE_KERNEL, NULL) :
		       kmm_vmap_map_ram(m->t->vmap, m->source + a->from, a->nr);
	}
	if (!a->p) {
		m->refused++;	/* frames and addresses are few here */
		return;
	}
	if (!m_claim(m, a, true))
		KUNIT_FAIL(test, "%u pages at %p: kind %u overlaps", a->nr, a->p, a->kind);
	a->stamp = ++m->stamp;
	for (i = 0; i < a->nr; i++) {
		if (a->kind == M_VMALLOC) {
			*m_word(a, i, false) = a->stamp + i;
			*m_word(a, i, true) = ~(a->stamp + i);
		} else if (kmm_vmap_page(m->t->vmap, a->p + i * 512) != m->source[a->from + i]) {
			KUNIT_FAIL(test, "kind %u: page %u is another", a->kind, i);
		}
	}
	m->nr++;
}

/* All pages of an area are what they were; source pages carry their number. */
static bool m_intact(struct m_model *m, const struct m_area *a)
{
	unsigned int i;

	for (i = 0; i < a->nr; i++) {
		unsigned long first = READ_ONCE(*m_word(a, i, false));
		unsigned long last = READ_ONCE(*m_word(a, i, true));
		unsigned long want = a->kind == M_VMALLOC ? a->stamp + i :
				     (a->from + i) % M_SOURCE + 0x1000;

		if (first != want || last != ~want)
			return false;
	}
	return true;
}

static void m_free(struct kunit *test, struct m_model *m)
{
	unsigned int n;
	struct m_area a;

	if (!m->nr)
		return;
	n = kmm_below(&m->rnd, m->nr);
	a = m->area[n];
	m->area[n] = m->area[--m->nr];
	if (!m_intact(m, &a))
		KUNIT_FAIL(test, "kind %u, %u pages: other contents", a.kind, a.nr);
	if (!m_claim(m, &a, false))
		KUNIT_FAIL(test, "kind %u, %u pages: not ours", a.kind, a.nr);
	switch (a.kind) {
	case M_VMALLOC:
		KUNIT_ASSERT_TRUE(test, kmm_vmap_free(m->t->vmap, a.p));
		break;
	case M_VMAP:
		KUNIT_ASSERT_TRUE(test, kmm_vmap_unmap(m->t->vmap, a.p));
		break;
	default:
		kmm_vmap_unmap_ram(m->t->vmap, a.p, a.nr);
	}
	if (kmm_vmap_page(m->t->vmap, a.p))
		KUNIT_FAIL(test, "kind %u: still mapped", a.kind);
	if (kmm_vmap_lazy_frames(m->t->vmap) > m->lazy_max)
		KUNIT_FAIL(test, "%lu frames wait", kmm_vmap_lazy_frames(m->t->vmap));
}

/* What belongs to nobody, and guard pages, fault; after a flush, so that no old entry helps. */
static void m_check(struct kunit *test, struct m_model *m)
{
	unsigned long i, value, addr, bad = 0;

	kmm_vmap_purge(m->t->vmap);
	for (i = 0; i < m->w->nr_pages; i++) {
		bool owned = m->owner[i] != M_NONE && m->owner[i] != M_GUARD;

		addr = m->w->base + i * PAGE_SIZE;
		bad += !kmm_window_page(m->w, addr) == owned;
		bad += (kmm_test_read((void *)addr, &value) == 0) != owned;
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_EQ(test, kmm_vmap_check(m->t->vmap), 0);
	for (i = 0; i < m->nr; i++)
		bad += !m_intact(m, &m->area[i]);
	KUNIT_EXPECT_EQ(test, bad, 0);
}

static void random_against_a_model(struct kunit *test)
{
	unsigned long ops = kmm_test_nr_ops, i;
	struct m_model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	unsigned int bias = 50;

	KUNIT_ASSERT_NOT_NULL(test, m);
	kunit_info(test, "seed=%lu ops=%lu\n", kmm_test_seed, ops);
	prandom_seed_state(&m->rnd, kmm_test_seed);
	m->t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	m->w = kmm_vmap_window(m->t->vmap);
	m->lazy_max = kmm_test_frames(m->t) / 16;
	m->owner = kunit_kzalloc(test, m->w->nr_pages, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m->owner);
	for (i = 0; i < ARRAY_SIZE(m->source); i++) {
		unsigned long *p;

		m->source[i] = i < M_SOURCE ? kmm_test_alloc(test, KMM_QUIET, 0) :
					      m->source[i - M_SOURCE];
		p = page_address(m->source[i]);
		p[0] = i % M_SOURCE + 0x1000;
		p[511] = ~p[0];
	}
	for (i = 0; i < ops; i++) {
		u32 r = kmm_below(&m->rnd, 10000);

		if (r < 9900) {
			if (kmm_below(&m->rnd, 100) < bias)
				m_alloc(test, m);
			else
				m_free(test, m);
		} else if (r < 9950) {
			kmm_vmap_purge(m->t->vmap);
		} else if (r < 9970) {
			kmm_vmap_unmap_aliases(m->t->vmap);
		} else if (r < 9990) {
			bias = 35 + kmm_below(&m->rnd, 31);
		} else if (r < 9998) {
			kmm_stay_on_cpu(cpumask_local_spread(kmm_below(&m->rnd, num_online_cpus()),
							     NUMA_NO_NODE));
		} else {
			m_check(test, m);
		}
		if (i % 256 == 0)
			cond_resched();
	}
	m_check(test, m);
	kunit_info(test, "%lu requests found no room\n", m->refused);
	KUNIT_EXPECT_LT(test, m->refused, ops / 4 + 1);
	while (m->nr)
		m_free(test, m);
	kmm_go_anywhere();
	for (i = 0; i < M_SOURCE; i++)
		kmm_buddy_free(&m->t->buddy, m->source[i], 0);
	kmm_test_end_vmap(test);
}

/* === Two CPUs === */

#define W_AREAS	32

/* What each thread does at least. */
#define W_ROUNDS	100

/**
 * struct worker - a thread on its CPU
 * @v: vmalloc
 * @task: the thread
 * @rnd: random numbers
 * @rounds: operations
 * @bad: pages with other contents
 * @mine: who: part of what is written
 * @hand: areas that the other one frees, at most one waits
 */
struct worker {
	struct kmm_vmap *v;
	struct task_struct *task;
	struct rnd_state rnd;
	unsigned long rounds;
	unsigned long bad;
	unsigned long mine;
	unsigned long **hand;
};

static int worker_run(void *arg)
{
	unsigned long *p[W_AREAS] = { };
	unsigned int nr[W_AREAS], i, k;
	struct worker *w = arg;

	while (!kthread_should_stop()) {
		i = kmm_below(&w->rnd, W_AREAS);
		if (p[i]) {
			unsigned long *q = p[i];

			for (k = 0; k < nr[i]; k++)
				w->bad += READ_ONCE(q[k * 512]) != w->mine + i;
			p[i] = NULL;
			/* to the other CPU, or what it left here */
			if (!kmm_below(&w->rnd, 4))
				q = xchg(w->hand, q);
			if (q)
				w->bad += !kmm_vmap_free(w->v, q);
		} else {
			nr[i] = 1 + kmm_below(&w->rnd, kmm_below(&w->rnd, 8) ? 8 : 100);
			p[i] = kmm_vmap_alloc(w->v, nr[i] * PAGE_SIZE, KMM_QUIET, PAGE_KERNEL,
					      NULL);
			for (k = 0; p[i] && k < nr[i]; k++)
				WRITE_ONCE(p[i][k * 512], w->mine + i);
		}
		if (!kmm_below(&w->rnd, 300))
			kmm_vmap_unmap_aliases(w->v);
		if (++w->rounds % 32 == 0)
			cond_resched();
	}
	for (i = 0; i < W_AREAS; i++)
		if (p[i])
			w->bad += !kmm_vmap_free(w->v, p[i]);
	return 0;
}

struct irq_load {
	struct kmm_vmap *v;
	void *p;
	unsigned long bad;
};

static void free_in_interrupt(void *arg)
{
	struct irq_load *l = arg;

	l->bad += !kmm_vmap_free(l->v, l->p);
}

/* Is one of the two still short of work? */
static bool worker_late(const struct worker *w)
{
	return (w[0].task && READ_ONCE(w[0].rounds) <= W_ROUNDS) ||
	       (w[1].task && READ_ONCE(w[1].rounds) <= W_ROUNDS);
}

static void two_cpus_and_interrupts_share_the_window(struct kunit *test)
{
	unsigned long rounds = min(kmm_test_nr_ops / 1000, 50UL) + 20, i;
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);
	struct worker *w = kunit_kcalloc(test, 2, sizeof(*w), GFP_KERNEL);
	struct irq_load l = { .v = t->vmap };
	unsigned long end = jiffies + 20 * HZ;
	unsigned long *hand = NULL;
	struct page *page;
	unsigned int n;
	void *ram;

	KUNIT_ASSERT_NOT_NULL(test, w);
	page = kmm_test_alloc(test, KMM_QUIET, 0);
	for (n = 0; n < 2; n++) {
		w[n].v = t->vmap;
		w[n].mine = (n + 1) << 20;
		w[n].hand = &hand;
		prandom_seed_state(&w[n].rnd, kmm_test_seed + n);
		w[n].task = kthread_create(worker_run, &w[n], "kmm_kunit/%u", n);
		if (IS_ERR(w[n].task)) {
			KUNIT_FAIL(test, "no thread");
			w[n].task = NULL;
			continue;
		}
		kthread_bind(w[n].task, cpumask_local_spread(n, NUMA_NO_NODE));
		wake_up_process(w[n].task);
	}
	/* On a busy host a thread may not have come to its turn yet. */
	for (i = 0; i < rounds || (worker_late(w) && time_before(jiffies, end)); i++) {
		l.p = kmm_vmap_alloc(t->vmap, PAGE_SIZE, KMM_QUIET, PAGE_KERNEL, NULL);
		if (l.p)
			kmm_run_in(KMM_HARDIRQ, free_in_interrupt, &l);
		ram = kmm_vmap_map_ram(t->vmap, &page, 1);
		if (ram)
			kmm_vmap_unmap_ram(t->vmap, ram, 1);
		if (i % 8 == 0)
			kmm_vmap_purge(t->vmap);
		usleep_range(500, 1000);
	}
	for (n = 0; n < 2; n++) {
		if (!w[n].task)
			continue;
		kthread_stop(w[n].task);
		KUNIT_EXPECT_EQ(test, w[n].bad, 0);
		KUNIT_EXPECT_GT(test, w[n].rounds, W_ROUNDS);
		kunit_info(test, "thread %u: %lu operations\n", n, w[n].rounds);
	}
	KUNIT_EXPECT_EQ(test, l.bad, 0);
	if (hand)
		KUNIT_EXPECT_TRUE(test, kmm_vmap_free(t->vmap, hand));
	kmm_buddy_free(&t->buddy, page, 0);
	/* another may still be giving addresses back: this waits for it */
	kmm_vmap_purge(t->vmap);
	kmm_test_end_vmap(test);
}

/* === The flush === */

/**
 * struct reader - a CPU that reads an area which is freed meanwhile
 * @p: the area
 * @phase: 0 not yet, 1 has read and goes on, 2 shall read the last time, 3 did
 * @last: what it read then; 0: it faulted
 */
struct reader {
	unsigned long *p;
	int phase;
	unsigned long last;
};

static int reader_run(void *arg)
{
	struct reader *r = arg;
	unsigned long value = 0;

	preempt_disable();
	do {
		/* the page may go at any time */
		if (!kmm_test_read(r->p, &value) && !READ_ONCE(r->phase))
			/* Pairs with freed_memory_read(). */
			smp_store_release(&r->phase, 1);
		cpu_relax();
		/* Pairs with freed_memory_read(). */
	} while (smp_load_acquire(&r->phase) != 2);
	if (kmm_test_read(r->p, &value))
		value = 0;
	preempt_enable();
	r->last = value;
	/* Pairs with freed_memory_read(). */
	smp_store_release(&r->phase, 3);
	return 0;
}

#define SECRET	0x5ec3e7UL

/* Another CPU reads an area that was freed, purged, and whose frame has a new owner. */
static unsigned long freed_memory_read(struct kunit *test)
{
	struct kmm_test *t = test->priv;
	struct reader r = { };
	struct task_struct *task;
	struct page *page;

	kmm_stay_on_cpu(0);
	r.p = kmm_vmap_alloc(t->vmap, PAGE_SIZE, KMM_QUIET, PAGE_KERNEL, NULL);
	KUNIT_ASSERT_NOT_NULL(test, r.p);
	*r.p = 1;
	page = kmm_vmap_page(t->vmap, r.p);
	task = kthread_create(reader_run, &r, "kmm_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	kthread_bind(task, cpumask_next(0, cpu_online_mask));
	wake_up_process(task);
	/* Pairs with reader_run(). */
	while (smp_load_acquire(&r.phase) != 1)
		cpu_relax();
	KUNIT_EXPECT_TRUE(test, kmm_vmap_free(t->vmap, r.p));
	KUNIT_EXPECT_EQ(test, kmm_vmap_purge(t->vmap), 1);
	/* the frame is its next owner's */
	KUNIT_EXPECT_PTR_EQ(test, kmm_buddy_alloc(&t->buddy, KMM_QUIET, 0), page);
	*(unsigned long *)page_address(page) = SECRET;
	mdelay(2);
	/* Pairs with reader_run(). */
	smp_store_release(&r.phase, 2);
	/* Pairs with reader_run(). */
	while (smp_load_acquire(&r.phase) != 3)
		cond_resched();
	kmm_go_anywhere();
	kmm_buddy_free(&t->buddy, page, 0);
	return r.last;
}

static void without_the_flush_freed_memory_is_read(struct kunit *test)
{
	unsigned int round, stale = 0;

	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	kmm_test_begin_vmap(test, &kmm_layout_one);
	for (round = 0; round < 5; round++) {
		WRITE_ONCE(kmm_tlb_flush_off, true);
		stale += freed_memory_read(test) == SECRET;
		WRITE_ONCE(kmm_tlb_flush_off, false);
	}
	kunit_info(test, "without the flush %u of %u read the next owner's memory\n", stale, round);
	KUNIT_EXPECT_GT(test, stale, 0);
	for (round = 0; round < 20; round++)
		KUNIT_EXPECT_EQ(test, freed_memory_read(test), 0);
	kmm_test_end_vmap(test);
}

static void load_exit(struct kunit *test)
{
	WRITE_ONCE(kmm_tlb_flush_off, false);
	kmm_test_exit(test);
}

static struct kunit_case load_cases[] = {
	KUNIT_CASE(random_against_a_model),
	KUNIT_CASE(two_cpus_and_interrupts_share_the_window),
	KUNIT_CASE(without_the_flush_freed_memory_is_read),
	{}
};

struct kunit_suite kmm_vmap_load_suite = {
	.name = "kmm_vmap_load",
	.exit = load_exit,
	.test_cases = load_cases,
};
