// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_buddy_load
 *
 * The buddy allocator under load, and among others.
 *
 * random_against_reference has the idea of the user-space harness: a byte per frame says
 * who has it, a list has the blocks, and every answer of the allocator is compared. Its
 * number of operations is the module's parameter ops.
 *
 * The concurrent cases run threads and interrupts of two CPUs against each other. That a
 * frame has one owner at a time is checked with one counter per frame, that the statistics
 * are exact by asking for them all the time.
 *
 * Among others: the host's compaction walks over our frames, its checks of user copies
 * look at our pages, and other modules use the client functions of the module's own
 * instance.
 */

#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <kmm/kmm.h>
#include <kmm/report.h>

#include "helpers.h"

/* === Random, against a reference === */

/* Who has a frame, by index: the reference knows only this. */
enum { REF_ALLOCATOR, REF_OURS, REF_PINNED };

struct ref_block {
	u32 index;
	u16 order;
	u16 stamp;
};

struct reference {
	struct kmm_test *t;
	struct rnd_state rnd;
	u8 *state;
	struct ref_block *blocks;
	u32 *pinned;
	u32 nr_blocks;
	u32 nr_pinned;
	unsigned long used;
	u16 stamp;
};

static u16 *ref_word(struct reference *m, u32 index, bool last)
{
	u16 *words = page_address(kmm_region_page(&m->t->region, index));

	return last ? words + PAGE_SIZE / 2 - 1 : words;
}

static void ref_check(struct kunit *test, struct reference *m)
{
	struct kmm_buddy_stat st = kmm_test_stat(m->t);

	KUNIT_ASSERT_EQ(test, kmm_buddy_check(&m->t->buddy), 0);
	KUNIT_ASSERT_EQ(test, st.used, m->used);
	KUNIT_ASSERT_EQ(test, st.free + st.cached + st.quarantined + st.used + st.metadata,
			st.total);
	KUNIT_ASSERT_GE(test, st.quarantined, m->nr_pinned);
}

static void ref_alloc(struct kunit *test, struct reference *m)
{
	static const gfp_t flags[] = {
		GFP_KERNEL, GFP_ATOMIC, GFP_NOWAIT, GFP_KERNEL | __GFP_NORETRY,
		__GFP_MEMALLOC,
	};
	u32 r = kmm_below(&m->rnd, 100), i, index;
	unsigned int order = r < 60 ? 0 : r < 85 ? 1 + r % 3 : kmm_below(&m->rnd, 11);
	gfp_t gfp = flags[kmm_below(&m->rnd, ARRAY_SIZE(flags))] | __GFP_NOWARN;
	struct kmm_frame *f;
	struct page *page;

	gfp |= (__force gfp_t)(kmm_below(&m->rnd, 4) << 3);
	if (!kmm_below(&m->rnd, 8 << order))
		gfp |= __GFP_ZERO;
	page = kmm_buddy_alloc(&m->t->buddy, gfp, order);
	if (!page) {
		/* alone here: then all caches are empty, and what is free is reserved or small */
		struct kmm_buddy_stat st = kmm_test_stat(m->t);
		unsigned long floor = gfp & __GFP_MEMALLOC ? 0 :
			m->t->buddy.watermark[KMM_WMARK_MIN] / (gfp & __GFP_HIGH ? 2 : 1);
		unsigned int o, mt;

		KUNIT_ASSERT_EQ(test, st.cached, 0);
		if (st.free >= floor + (1UL << order))
			for (o = order; o < KMM_NR_ORDERS; o++)
				for (mt = 0; mt < KMM_NR_MIGRATETYPES; mt++)
					KUNIT_ASSERT_EQ(test, st.nr_free_blocks[o][mt], 0);
		return;
	}
	f = kmm_region_frame(&m->t->region, page_to_pfn(page));
	KUNIT_ASSERT_NOT_NULL(test, f);
	index = kmm_region_index(&m->t->region, f);
	KUNIT_ASSERT_EQ(test, page_to_pfn(page) & ((1UL << order) - 1), 0);
	for (i = 0; i < 1U << order; i++) {
		/* conditions first: an expectation costs, a million of them too much */
		if (m->state[index + i] != REF_ALLOCATOR || page_count(page + i) != 1)
			KUNIT_FAIL(test, "frame %u of order %u: state %u, %d references", index + i,
				   order, m->state[index + i], page_count(page + i));
		m->state[index + i] = REF_OURS;
	}
	if (gfp & __GFP_ZERO)
		KUNIT_ASSERT_TRUE(test, kmm_test_is_zero(page, order));
	m->stamp++;
	for (i = 0; i < 1U << order; i++) {
		*ref_word(m, index + i, false) = m->stamp + i;
		*ref_word(m, index + i, true) = m->stamp - i;
	}
	m->blocks[m->nr_blocks++] = (struct ref_block) {
		.index = index, .order = order, .stamp = m->stamp,
	};
	m->used += 1UL << order;
}

static void ref_free(struct kunit *test, struct reference *m)
{
	struct ref_block blk;
	struct page *page;
	u32 i, n, pin = U32_MAX;

	if (!m->nr_blocks)
		return;
	n = kmm_below(&m->rnd, m->nr_blocks);
	blk = m->blocks[n];
	m->blocks[n] = m->blocks[--m->nr_blocks];
	page = kmm_region_page(&m->t->region, blk.index);
	for (i = 0; i < 1U << blk.order; i++) {
		if (*ref_word(m, blk.index + i, false) != (u16)(blk.stamp + i) ||
		    *ref_word(m, blk.index + i, true) != (u16)(blk.stamp - i))
			KUNIT_FAIL(test, "frame %u was written to", blk.index + i);
		m->state[blk.index + i] = REF_ALLOCATOR;
	}
	m->used -= 1UL << blk.order;
	if (m->nr_pinned < 32 && !kmm_below(&m->rnd, 100)) {
		pin = kmm_below(&m->rnd, 1U << blk.order);
		get_page(page + pin);
		m->state[blk.index + pin] = REF_PINNED;
		m->pinned[m->nr_pinned++] = blk.index + pin;
	}
	kmm_buddy_free(&m->t->buddy, page, blk.order);
}

static void ref_unpin(struct reference *m)
{
	u32 n, index;

	if (!m->nr_pinned)
		return;
	n = kmm_below(&m->rnd, m->nr_pinned);
	index = m->pinned[n];
	m->pinned[n] = m->pinned[--m->nr_pinned];
	m->state[index] = REF_ALLOCATOR;
	put_page(kmm_region_page(&m->t->region, index));
}

static void ref_range(struct kunit *test, struct reference *m)
{
	u32 first = kmm_below(&m->rnd, m->t->region.nr_index);
	u32 nr = 1 + kmm_below(&m->rnd, 20), i, bad = 0;
	unsigned long pfn = kmm_region_pfn(&m->t->region, first);
	int err;

	if ((first & (KMM_GRANULE_FRAMES - 1)) + nr > KMM_GRANULE_FRAMES)
		return;
	for (i = first; i < first + nr; i++) {
		enum kmm_frame_state s = kmm_frame_state(&m->t->region.frames[i]);

		bad += m->state[i] != REF_ALLOCATOR || s == KMM_FRAME_METADATA ||
		       s == KMM_FRAME_ABSENT;
	}
	kmm_buddy_recheck_quarantine(&m->t->buddy);
	err = kmm_buddy_alloc_range(&m->t->buddy, pfn, pfn + nr);
	KUNIT_ASSERT_EQ(test, !err, !bad);
	for (i = first; !err && i < first + nr; i++) {
		m->state[i] = REF_OURS;
		*ref_word(m, i, false) = ++m->stamp;
		*ref_word(m, i, true) = m->stamp;
		m->blocks[m->nr_blocks++] = (struct ref_block) { .index = i, .stamp = m->stamp };
		m->used++;
	}
}

/* Any online CPU. */
static unsigned int random_cpu(struct rnd_state *rnd)
{
	return cpumask_local_spread(kmm_below(rnd, num_online_cpus()), NUMA_NO_NODE);
}

static void random_against_reference(struct kunit *test)
{
	static const struct kmm_test_layout *layouts[] = { &kmm_layout_plain, &kmm_layout_odd };
	unsigned long ops = kmm_test_nr_ops, i;
	struct reference m = { };
	unsigned int l, bias = 50;

	kunit_info(test, "seed=%lu ops=%lu\n", kmm_test_seed, ops);
	prandom_seed_state(&m.rnd, kmm_test_seed);
	for (l = 0; l < ARRAY_SIZE(layouts); l++) {
		m.t = kmm_test_begin(test, layouts[l]);
		m.state = kunit_kzalloc(test, m.t->region.nr_index, GFP_KERNEL);
		m.blocks = kunit_kcalloc(test, m.t->region.nr_index, sizeof(*m.blocks), GFP_KERNEL);
		m.pinned = kunit_kcalloc(test, 32, sizeof(*m.pinned), GFP_KERNEL);
		KUNIT_ASSERT_TRUE(test, m.state && m.blocks && m.pinned);
		m.used = 0;
		for (i = 0; i < ops / ARRAY_SIZE(layouts); i++) {
			u32 r = kmm_below(&m.rnd, 1000);

			if (r < 930) {
				if (kmm_below(&m.rnd, 100) < bias)
					ref_alloc(test, &m);
				else
					ref_free(test, &m);
			} else if (r < 950) {
				ref_unpin(&m);
			} else if (r < 970) {
				kmm_buddy_drain_cpu(&m.t->buddy, random_cpu(&m.rnd));
			} else if (r < 990) {
				ref_range(test, &m);
			} else if (r < 995) {
				bias = 25 + kmm_below(&m.rnd, 51);
			} else if (r == 995) {
				ref_check(test, &m);
			} else if (r == 996) {
				kmm_stay_on_cpu(random_cpu(&m.rnd));
			}
			if (i % 1024 == 0)
				cond_resched();
		}
		ref_check(test, &m);
		while (m.nr_blocks)
			ref_free(test, &m);
		while (m.nr_pinned)
			ref_unpin(&m);
		kmm_go_anywhere();
		kmm_buddy_recheck_quarantine(&m.t->buddy);
		kmm_test_end(test);
	}
}

/* === Concurrency === */

#define WORKER_BLOCKS	64

struct worker {
	struct kmm_buddy *b;
	struct task_struct *task;
	struct rnd_state rnd;
	unsigned long rounds;
	unsigned long overlaps;
	atomic_t *owner;	/* by index: nobody else may have a frame that we have */
};

static void worker_claim(struct worker *w, struct page *page, unsigned int order, bool take)
{
	u32 index = kmm_region_index(w->b->region,
				     kmm_region_frame(w->b->region, page_to_pfn(page)));
	unsigned int i;

	for (i = 0; i < 1U << order; i++)
		if (atomic_add_return(take ? 1 : -1, &w->owner[index + i]) != take)
			w->overlaps++;
}

static int worker_run(void *arg)
{
	struct page *page[WORKER_BLOCKS] = { };
	unsigned int order[WORKER_BLOCKS];
	struct worker *w = arg;

	while (!kthread_should_stop()) {
		u32 i = kmm_below(&w->rnd, WORKER_BLOCKS);

		if (page[i]) {
			worker_claim(w, page[i], order[i], false);
			kmm_buddy_free(w->b, page[i], order[i]);
			page[i] = NULL;
		} else {
			u32 r = kmm_below(&w->rnd, 16);

			order[i] = r < 10 ? 0 : r < 14 ? r - 10 : 9 - (r & 1) * 4;
			page[i] = kmm_buddy_alloc(w->b, KMM_QUIET, order[i]);
			if (page[i])
				worker_claim(w, page[i], order[i], true);
		}
		if (!kmm_below(&w->rnd, 500))
			kmm_buddy_drain_all(w->b);
		if (++w->rounds % 64 == 0)
			cond_resched();
	}
	for (u32 i = 0; i < WORKER_BLOCKS; i++) {
		if (!page[i])
			continue;
		worker_claim(w, page[i], order[i], false);
		kmm_buddy_free(w->b, page[i], order[i]);
	}
	return 0;
}

/* In a hard interrupt, wherever it hits a thread. @arg: a worker for each CPU. */
static void worker_interrupt(void *arg)
{
	struct worker *w = (struct worker *)arg + smp_processor_id();
	struct page *page[8];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(page); i++) {
		page[i] = kmm_buddy_alloc(w->b, GFP_ATOMIC | __GFP_NOWARN, i % 4);
		if (page[i])
			worker_claim(w, page[i], i % 4, true);
		w->rounds += !!page[i];
	}
	for (i = 0; i < ARRAY_SIZE(page); i++) {
		if (!page[i])
			continue;
		worker_claim(w, page[i], i % 4, false);
		kmm_buddy_free(w->b, page[i], i % 4);
	}
}

/*
 * Statistics are exact, and the invariants hold, at any moment of two threads' and all
 * CPUs' interrupts' work.
 */
static void sums_are_exact_while_threads_run(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	unsigned long rounds = min(kmm_test_nr_ops / 5000, 100UL) + 10, i, bad = 0, irqs = 0;
	struct worker *w = kunit_kcalloc(test, 2, sizeof(*w), GFP_KERNEL);
	struct worker *irq = kunit_kcalloc(test, nr_cpu_ids, sizeof(*irq), GFP_KERNEL);
	atomic_t *owner = vzalloc(array_size(t->region.nr_index, sizeof(*owner)));
	unsigned int n;

	KUNIT_ASSERT_TRUE(test, w && irq && owner);
	for (n = 0; n < nr_cpu_ids; n++) {
		irq[n].b = &t->buddy;
		irq[n].owner = owner;
	}
	for (n = 0; n < 2; n++) {
		w[n].b = &t->buddy;
		w[n].owner = owner;
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
	for (i = 0; i < rounds; i++) {
		struct kmm_buddy_stat st = kmm_test_stat(t);

		bad += !st.exact || st.free + st.cached + st.quarantined + st.used +
		       st.metadata != st.total;
		if (i % 8 == 0)
			bad += kmm_buddy_check(&t->buddy) != 0;
		for (n = 0; n < 10; n++) {
			smp_call_function(worker_interrupt, irq, true);	/* the others */
			kmm_run_in(KMM_HARDIRQ, worker_interrupt, irq);	/* and this one */
			udelay(5);
		}
		usleep_range(1000, 2000);
	}
	for (n = 0; n < 2; n++) {
		if (!w[n].task)
			continue;
		kthread_stop(w[n].task);
		KUNIT_EXPECT_EQ(test, w[n].overlaps, 0);
		KUNIT_EXPECT_GT(test, w[n].rounds, 1000);
		kunit_info(test, "thread %u: %lu operations\n", n, w[n].rounds);
	}
	for_each_online_cpu(n) {
		KUNIT_EXPECT_EQ(test, irq[n].overlaps, 0);
		irqs += irq[n].rounds;
	}
	KUNIT_EXPECT_GT(test, irqs, 0);
	kunit_info(test, "interrupts: %lu operations\n", irqs);
	KUNIT_EXPECT_EQ(test, bad, 0);
	vfree(owner);
	kmm_test_end(test);
}

struct racer {
	struct kmm_buddy *b;
	struct page *page;
	atomic_t missing;
	atomic_t done;
};

static void race_free(void *arg)
{
	struct racer *r = arg;

	atomic_dec(&r->missing);
	while (atomic_read(&r->missing))
		cpu_relax();
	kmm_buddy_free(r->b, r->page, 0);
	atomic_inc(&r->done);
}

/* Two CPUs free the same frame at once: one is believed. The reports are rate limited. */
static void of_two_racing_frees_one_is_refused(struct kunit *test)
{
	struct kmm_test *t;
	unsigned int i;
	int other;

	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	t = kmm_test_begin(test, &kmm_layout_plain);
	kmm_stay_on_cpu(0);
	other = cpumask_next(0, cpu_online_mask);
	kmm_report_forget();
	kmm_expect("BUG: KMM: double free", 8);
	for (i = 0; i < 8; i++) {
		struct racer r = { .b = &t->buddy, .missing = ATOMIC_INIT(2) };
		u64 bad = kmm_test_event(t, KMM_BAD_FREE);

		r.page = kmm_test_alloc(test, KMM_QUIET, 0);
		preempt_disable();
		smp_call_function_single(other, race_free, &r, 0);
		race_free(&r);
		preempt_enable();
		while (atomic_read(&r.done) < 2)
			cpu_relax();
		KUNIT_EXPECT_EQ(test, kmm_test_event(t, KMM_BAD_FREE), bad + 1);
		KUNIT_EXPECT_EQ(test, kmm_test_used(t), 0);
	}
	kmm_expect_end();
	kmm_go_anywhere();
	kmm_test_end(test);
}

/* === The host over our pages === */

static struct mm_struct *kunit_mm;

static int load_suite_init(struct kunit_suite *suite)
{
	/* Cases run in kernel threads; usercopy needs somebody's address space. */
	kunit_mm = get_task_mm(current);
	return 0;
}

static void load_suite_exit(struct kunit_suite *suite)
{
	if (kunit_mm)
		mmput(kunit_mm);
	kunit_mm = NULL;
}

static void usercopy_of_pages_passes_the_hosts_checks(struct kunit *test)
{
	struct kmm_test *t;
	unsigned long user, len = PAGE_SIZE << 3, left = 1;
	struct page *page;
	u8 *kernel;

	if (!kunit_mm)
		kunit_skip(test, "not started from a process");
	t = kmm_test_begin(test, &kmm_layout_plain);
	page = kmm_test_alloc(test, KMM_QUIET, 3);
	kernel = page_address(page);
	kthread_use_mm(kunit_mm);
	user = vm_mmap(NULL, 0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (!IS_ERR_VALUE(user)) {
		/* over page borders, and all of it: CONFIG_HARDENED_USERCOPY looks at both */
		memset(kernel, 0x5c, len);
		left = copy_to_user((void __user *)user, kernel, len);
		left += copy_to_user((void __user *)(user + 100), kernel + PAGE_SIZE - 50, 100);
		memset(kernel, 0, len);
		left += copy_from_user(kernel, (void __user *)user, len);
		left += copy_from_user(kernel + PAGE_SIZE - 50, (void __user *)(user + 7), 100);
		vm_munmap(user, len);
	}
	kthread_unuse_mm(kunit_mm);
	KUNIT_EXPECT_FALSE(test, IS_ERR_VALUE(user));
	KUNIT_EXPECT_EQ(test, left, 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(kernel, 0x5c, len));
	kmm_buddy_free(&t->buddy, page, 3);
	kmm_test_end(test);
}

/* Compaction looks at every frame of the machine. Ours must not move, nor be changed. */
static void host_compaction_leaves_frames_alone(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	struct page *page[64];
	struct file *file;
	loff_t pos = 0;
	unsigned int i;

	file = filp_open("/proc/sys/vm/compact_memory", O_WRONLY, 0);
	if (IS_ERR(file)) {
		kmm_test_end(test);
		kunit_skip(test, "no compaction: %ld", PTR_ERR(file));
	}
	for (i = 0; i < ARRAY_SIZE(page); i++) {
		page[i] = kmm_test_alloc(test, KMM_QUIET | __GFP_MOVABLE, i % 4);
		memset(page_address(page[i]), i + 1, PAGE_SIZE << i % 4);
	}
	KUNIT_EXPECT_EQ(test, kernel_write(file, "1", 1, &pos), 1);
	filp_close(file, NULL);
	for (i = 0; i < ARRAY_SIZE(page); i++) {
		KUNIT_EXPECT_NULL(test, memchr_inv(page_address(page[i]), i + 1,
						   PAGE_SIZE << i % 4));
		KUNIT_EXPECT_EQ(test, page_count(page[i]), 1);
	}
	KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
	for (i = 0; i < ARRAY_SIZE(page); i++)
		kmm_buddy_free(&t->buddy, page[i], i % 4);
	kmm_test_end(test);
}

/* === Client functions, on the module's own instance === */

static void client_functions_keep_linuxs_contract(struct kunit *test)
{
	struct page *pages[4] = { }, *page;
	unsigned long addr, pfn, i;

	page = kmm_alloc_pages(GFP_KERNEL | __GFP_ZERO, 2);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_TRUE(test, kmm_test_is_zero(page, 2));
	kmm_split_page(page, 2);
	for (i = 0; i < 4; i++)
		__kmm_free_page(page + i);

	addr = __kmm_get_free_pages(GFP_KERNEL, 1);
	KUNIT_ASSERT_NE(test, addr, 0);
	memset((void *)addr, 0xaa, 2 * PAGE_SIZE);
	kmm_free_pages(addr, 1);
	kmm_free_pages(0, 1);

	KUNIT_EXPECT_EQ(test, kmm_alloc_pages_bulk_array(GFP_KERNEL, 4, pages), 4);
	for (i = 0; i < 4; i++)
		__kmm_free_page(pages[i]);

	/* a range that is free: where a large block just was */
	page = kmm_alloc_pages(GFP_KERNEL, 6);
	KUNIT_ASSERT_NOT_NULL(test, page);
	pfn = page_to_pfn(page);
	KUNIT_EXPECT_EQ(test, kmm_alloc_contig_range(pfn + 1, pfn + 40, 0, GFP_KERNEL), -EBUSY);
	__kmm_free_pages(page, 6);
	KUNIT_ASSERT_EQ(test, kmm_alloc_contig_range(pfn + 1, pfn + 40, 0,
						     GFP_KERNEL | __GFP_ZERO), 0);
	for (i = 1; i < 40; i++)
		KUNIT_EXPECT_TRUE(test, kmm_test_is_zero(pfn_to_page(pfn + i), 0));
	kmm_free_contig_range(pfn + 1, 39);
	KUNIT_EXPECT_EQ(test, kmm_alloc_contig_range(0, 4, 0, GFP_KERNEL), -EINVAL);
}

static struct kunit_case load_cases[] = {
	KUNIT_CASE(random_against_reference),
	KUNIT_CASE(sums_are_exact_while_threads_run),
	KUNIT_CASE(of_two_racing_frees_one_is_refused),
	KUNIT_CASE(usercopy_of_pages_passes_the_hosts_checks),
	KUNIT_CASE(host_compaction_leaves_frames_alone),
	KUNIT_CASE(client_functions_keep_linuxs_contract),
	{}
};

struct kunit_suite kmm_buddy_load_suite = {
	.name = "kmm_buddy_load",
	.suite_init = load_suite_init,
	.suite_exit = load_suite_exit,
	.exit = kmm_test_exit,
	.test_cases = load_cases,
};
