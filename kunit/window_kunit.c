// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_window
 *
 * Entries of the kernel window (vm/window.c), with the hardware: these addresses can be used. Each
 * case reserves a window of its own. What must fault is accessed by the kernel's recoverable
 * accesses, never otherwise; that nothing can be executed is read from the entries.
 *
 * The stale-TLB case shows on two CPUs that the flush is needed and that it works: the other CPU
 * must read the old page where the flush is left out, else the case could not fail and is a
 * failure itself.
 */

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <asm/pgtable.h>

#include <kmm/inject.h>
#include <kmm/pgtable.h>

#include "helpers.h"

/* 2 MiB slots: odd borders included, at least two whole ones in each part. */
#define PAGES	(SZ_16M >> PAGE_SHIFT)

/* Rights without Accessed and Dirty: the hardware sets them. */
static pgprot_t clean(pgprot_t prot)
{
	return __pgprot(pgprot_val(prot) & ~KMM_PT_AD);
}

static struct page *filled_page(struct kunit *test, unsigned long value)
{
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 0);

	*(unsigned long *)page_address(page) = value;
	return page;
}

static unsigned long reads(struct kunit *test, unsigned long addr)
{
	unsigned long value = 0;

	KUNIT_EXPECT_EQ_MSG(test, kmm_test_read((void *)addr, &value), 0, "%lx", addr);
	return value;
}

static bool read_faults(unsigned long addr)
{
	unsigned long value;

	return kmm_test_read((void *)addr, &value) == -EFAULT;
}

static bool write_faults(unsigned long addr)
{
	return kmm_test_write((void *)addr, 1) == -EFAULT;
}

static unsigned long end_of(const struct kmm_window *w)
{
	return w->base + w->nr_pages * PAGE_SIZE;
}

/* === The host's tables === */

/* The host's PMD entry, found by a walk of our own. */
static pmd_t *host_pmd(unsigned long addr)
{
	pgd_t *pgd = pgd_offset_pgd(__va(read_cr3_pa()), addr);

	return pmd_offset(pud_offset(p4d_offset(pgd, addr), addr), addr);
}

/**
 * struct snapshot - all entries of the host for a window
 * @pmd: of each 2 MiB that it touches
 * @pte: of each page of these 2 MiB; the tables themselves, also where they are detached
 * @table: where these are
 * @nr: 2 MiB
 */
struct snapshot {
	unsigned long *pmd;
	unsigned long (*pte)[PTRS_PER_PTE];
	pte_t **table;
	unsigned long nr;
};

static void snapshot_take(struct kunit *test, struct snapshot *s, const struct kmm_region *r)
{
	unsigned long first = (unsigned long)r->window & PMD_MASK, i;

	s->nr = ((unsigned long)r->window + r->window_pages * PAGE_SIZE - 1 - first) / PMD_SIZE + 1;
	s->pmd = kunit_kcalloc(test, s->nr, sizeof(*s->pmd), GFP_KERNEL);
	s->table = kunit_kcalloc(test, s->nr, sizeof(*s->table), GFP_KERNEL);
	s->pte = kunit_kcalloc(test, s->nr, sizeof(*s->pte), GFP_KERNEL);
	KUNIT_ASSERT_TRUE(test, s->pmd && s->table && s->pte);
	for (i = 0; i < s->nr; i++) {
		pmd_t *pmd = host_pmd(first + i * PMD_SIZE);

		s->pmd[i] = pmd_val(*pmd);
		s->table[i] = (pte_t *)pmd_page_vaddr(*pmd);
		memcpy(s->pte[i], s->table[i], PAGE_SIZE);
	}
}

/* Entries that are not as they were. */
static unsigned long snapshot_differs(const struct snapshot *s, const struct kmm_region *r)
{
	unsigned long first = (unsigned long)r->window & PMD_MASK, i, j, nr = 0;

	for (i = 0; i < s->nr; i++) {
		nr += pmd_val(*host_pmd(first + i * PMD_SIZE)) != s->pmd[i];
		for (j = 0; j < PTRS_PER_PTE; j++)
			nr += pte_val(s->table[i][j]) != s->pte[i][j];
	}
	return nr;
}

static void host_tables_are_as_found(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_reserved(test, &kmm_layout_plain, PAGES + 77);
	struct kmm_window *w = &t->window;
	struct page *page, *block;
	struct snapshot s;

	snapshot_take(test, &s, &t->region);
	KUNIT_EXPECT_EQ(test, snapshot_differs(&s, &t->region), 0);
	KUNIT_ASSERT_EQ(test, kmm_window_init(w, &t->region, &t->tables), 0);
	t->has_window = true;
	KUNIT_EXPECT_GE(test, w->huge_nr, 2);
	KUNIT_EXPECT_EQ(test, snapshot_differs(&s, &t->region), w->nr_pages + w->huge_nr);

	/* use it in every way */
	page = filled_page(test, 1);
	block = kmm_test_alloc(test, KMM_QUIET, 9);
	kmm_window_map(w, w->base, &page, 1, PAGE_KERNEL);
	kmm_window_map_huge(w, w->huge_first, block, PAGE_KERNEL);
	kmm_window_attach(w, w->huge_first + PMD_SIZE);
	kmm_window_map(w, w->huge_first + PMD_SIZE, &page, 1, PAGE_KERNEL_RO);
	KUNIT_EXPECT_EQ(test, kmm_test_write((void *)w->base, 5), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_write((void *)w->huge_first, 5), 0);
	KUNIT_EXPECT_EQ(test, reads(test, w->huge_first + PMD_SIZE), 5);
	kmm_window_unmap(w, w->base, 1);
	kmm_window_clear_slots(w, w->huge_first, w->huge_nr);
	kmm_tlb_flush_window(&t->tables, 1);

	kmm_window_fini(w);
	t->has_window = false;
	KUNIT_EXPECT_EQ(test, snapshot_differs(&s, &t->region), 0);
	/* and it still is the zero page, read-only */
	KUNIT_EXPECT_EQ(test, reads(test, (unsigned long)t->region.window), 0);
	KUNIT_EXPECT_TRUE(test, write_faults((unsigned long)t->region.window));
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_buddy_free(&t->buddy, block, 9);
	kmm_test_end_reserved(test);
}

static void every_failure_of_init_leaves_the_tables_alone(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_reserved(test, &kmm_layout_one, PAGES);
	struct snapshot s;
	unsigned int n;
	int err = 0;

	snapshot_take(test, &s, &t->region);
	for (n = 1; n < 20; n++) {
		kmm_inject_arm(n);
		err = kmm_window_init(&t->window, &t->region, &t->tables);
		if (!kmm_inject_disarm())
			break;
		KUNIT_EXPECT_EQ(test, err, -ENOMEM);
		KUNIT_EXPECT_EQ(test, snapshot_differs(&s, &t->region), 0);
	}
	KUNIT_EXPECT_GE(test, n, 2);
	KUNIT_ASSERT_EQ(test, err, 0);
	t->has_window = true;
	kmm_test_end_window(test);
}

/* === Leaves === */

static void an_empty_window_faults_everywhere(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_window(test, &kmm_layout_one, PAGES + 3);
	struct kmm_window *w = &t->window;
	unsigned long addr, bad = 0;

	for (addr = w->base; addr < end_of(w); addr += PAGE_SIZE)
		bad += !read_faults(addr) || !write_faults(addr) || kmm_window_page(w, addr) ||
		       kmm_window_entry(w, addr, NULL);
	KUNIT_EXPECT_EQ(test, bad, 0);
	/* what is not of the window has no page here */
	KUNIT_EXPECT_NULL(test, kmm_window_page(w, end_of(w)));
	KUNIT_EXPECT_NULL(test, kmm_window_page(w, w->base - 1));
	KUNIT_EXPECT_NULL(test, kmm_window_page(w, 0));
	KUNIT_EXPECT_NULL(test, kmm_window_page(w, ~0UL));
	kmm_test_end_window(test);
}

/* All of the 4 KiB part, over the borders of tables; each page where it belongs. */
static void pages_are_mapped_across_tables(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_window(test, &kmm_layout_plain, PAGES + 3);
	struct kmm_window *w = &t->window;
	unsigned long nr = (w->huge_first - w->base) / PAGE_SIZE, i, bad = 0;
	struct page **pages = kunit_kcalloc(test, nr, sizeof(*pages), GFP_KERNEL);
	struct page *block;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	KUNIT_ASSERT_GT(test, nr, 1024);
	for (i = 0; i < nr; i++)
		pages[i] = filled_page(test, i ^ 0x5a5a);
	kmm_window_map(w, w->base, pages, nr, PAGE_KERNEL);
	for (i = 0; i < nr; i++) {
		unsigned long addr = w->base + i * PAGE_SIZE;

		bad += reads(test, addr) != (i ^ 0x5a5a) ||
		       kmm_window_page(w, addr + 5) != pages[i];
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	/* a hole in the middle, and nothing else is hit */
	kmm_window_unmap(w, w->base + 500 * PAGE_SIZE, 30);
	kmm_tlb_flush_window(&t->tables, 30);
	for (i = 0; i < nr; i++)
		bad += read_faults(w->base + i * PAGE_SIZE) != (i >= 500 && i < 530);
	KUNIT_EXPECT_EQ(test, bad, 0);
	/* absent ones are no error */
	kmm_window_unmap(w, w->base, nr);
	kmm_tlb_flush_window(&t->tables, nr);
	for (i = 0; i < nr; i++)
		kmm_buddy_free(&t->buddy, pages[i], 0);

	block = kmm_test_alloc(test, KMM_QUIET, 10);
	for (i = 0; i < 1024; i++)
		*(unsigned long *)page_address(block + i) = i;
	kmm_window_map_block(w, w->base + PAGE_SIZE, block, 1024, PAGE_KERNEL);
	for (i = 0; i < 1024; i++)
		bad += reads(test, w->base + (1 + i) * PAGE_SIZE) != i;
	bad += !read_faults(w->base) + !read_faults(w->base + 1025 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, bad, 0);
	kmm_window_unmap(w, w->base, 1025);
	kmm_tlb_flush_window(&t->tables, 1024);
	kmm_buddy_free(&t->buddy, block, 10);
	kmm_test_end_window(test);
}

static void hardware_sets_accessed_and_dirty(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_window(test, &kmm_layout_one, PAGES);
	struct kmm_window *w = &t->window;
	struct page *page = filled_page(test, 7);

	kmm_window_map(w, w->base, &page, 1, clean(PAGE_KERNEL));
	KUNIT_EXPECT_EQ(test, kmm_window_entry(w, w->base, NULL) & KMM_PT_AD, 0);
	KUNIT_EXPECT_EQ(test, reads(test, w->base), 7);
	KUNIT_EXPECT_EQ(test, kmm_window_entry(w, w->base, NULL) & KMM_PT_AD, _PAGE_ACCESSED);
	KUNIT_EXPECT_EQ(test, kmm_test_write((void *)w->base, 8), 0);
	KUNIT_EXPECT_EQ(test, kmm_window_entry(w, w->base, NULL) & KMM_PT_AD, KMM_PT_AD);
	KUNIT_EXPECT_EQ(test, *(unsigned long *)page_address(page), 8);
	KUNIT_EXPECT_EQ(test, kmm_window_test_and_clear(w, w->base, ~0UL), KMM_PT_AD);
	KUNIT_EXPECT_EQ(test, kmm_window_test_and_clear(w, w->base, KMM_PT_AD), 0);
	/* what the TLB knows is marked already: after a flush it is marked again */
	kmm_tlb_flush_window(&t->tables, 1);
	KUNIT_EXPECT_EQ(test, reads(test, w->base), 8);
	KUNIT_EXPECT_EQ(test, kmm_window_test_and_clear(w, w->base, KMM_PT_AD), _PAGE_ACCESSED);
	kmm_window_unmap(w, w->base, 1);
	kmm_tlb_flush_window(&t->tables, 1);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_test_end_window(test);
}

static void rights_are_the_hardwares(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_window(test, &kmm_layout_one, PAGES);
	struct kmm_window *w = &t->window;
	unsigned long ro = w->base, rw = w->base + PAGE_SIZE, nx = _PAGE_NX & __supported_pte_mask;
	struct page *page = filled_page(test, 7);

	/* one frame, two mappings with different rights */
	kmm_window_map(w, ro, &page, 1, PAGE_KERNEL_RO);
	kmm_window_map(w, rw, &page, 1, PAGE_KERNEL);
	KUNIT_EXPECT_EQ(test, reads(test, ro), 7);
	KUNIT_EXPECT_TRUE(test, write_faults(ro));
	KUNIT_EXPECT_EQ(test, kmm_test_write((void *)rw, 9), 0);
	KUNIT_EXPECT_EQ(test, reads(test, ro), 9);
	KUNIT_EXPECT_EQ(test, kmm_window_entry(w, ro, NULL) & _PAGE_NX, nx);
	KUNIT_EXPECT_EQ(test, kmm_window_entry(w, rw, NULL) & _PAGE_NX, nx);

	kmm_window_protect(w, rw, 1, PAGE_KERNEL_RO);
	kmm_tlb_flush_window(&t->tables, 1);
	KUNIT_EXPECT_TRUE(test, write_faults(rw));
	KUNIT_EXPECT_EQ(test, reads(test, rw), 9);
	kmm_window_protect(w, ro, 2, PAGE_KERNEL);
	kmm_tlb_flush_window(&t->tables, 2);
	KUNIT_EXPECT_EQ(test, kmm_test_write((void *)ro, 10), 0);
	KUNIT_EXPECT_EQ(test, reads(test, rw), 10);
	kmm_window_protect(w, ro, 1, PAGE_KERNEL_ROX);
	kmm_tlb_flush_window(&t->tables, 1);
	KUNIT_EXPECT_EQ(test, kmm_window_entry(w, ro, NULL) & _PAGE_NX, 0);
	KUNIT_EXPECT_TRUE(test, write_faults(ro));
	/* absent pages stay so */
	kmm_window_protect(w, w->base, 10, PAGE_KERNEL);
	KUNIT_EXPECT_TRUE(test, read_faults(w->base + 2 * PAGE_SIZE));
	kmm_window_unmap(w, w->base, 2);
	kmm_tlb_flush_window(&t->tables, 2);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_test_end_window(test);
}

static void huge_slots_take_leaves_and_tables(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_window(test, &kmm_layout_plain, PAGES + 1);
	struct kmm_window *w = &t->window;
	struct page *block = kmm_test_alloc(test, KMM_QUIET, 9);
	struct page *page = filled_page(test, 77);
	unsigned long addr = w->huge_first + PMD_SIZE, i, bad = 0;
	bool huge = false;

	KUNIT_ASSERT_TRUE(test, IS_ALIGNED(w->huge_first, PMD_SIZE));
	KUNIT_ASSERT_LE(test, w->huge_first + w->huge_nr * PMD_SIZE, end_of(w));
	KUNIT_ASSERT_GE(test, w->huge_nr, 3);
	for (i = 0; i < 512; i++)
		*(unsigned long *)page_address(block + i) = i;
	kmm_window_map_huge(w, addr, block, clean(PAGE_KERNEL));
	kmm_window_entry(w, addr, &huge);
	KUNIT_EXPECT_TRUE(test, huge);
	for (i = 0; i < 512; i++)
		bad += reads(test, addr + i * PAGE_SIZE) != i ||
		       kmm_window_page(w, addr + i * PAGE_SIZE + 9) != block + i;
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_EQ(test, kmm_window_entry(w, addr, NULL) & KMM_PT_AD, _PAGE_ACCESSED);
	KUNIT_EXPECT_EQ(test, kmm_test_write((void *)(addr + SZ_1M), 5), 0);
	KUNIT_EXPECT_EQ(test, kmm_window_entry(w, addr, NULL) & KMM_PT_AD, KMM_PT_AD);
	KUNIT_EXPECT_TRUE(test, read_faults(addr - 8) && read_faults(addr + PMD_SIZE));
	kmm_window_clear_slots(w, addr, 1);
	kmm_tlb_flush_window(&t->tables, 512);
	KUNIT_EXPECT_TRUE(test, read_faults(addr) && read_faults(addr + SZ_1M));

	/* the same slot with its table: single pages */
	kmm_window_attach(w, addr);
	KUNIT_EXPECT_TRUE(test, read_faults(addr));
	kmm_window_map(w, addr + 5 * PAGE_SIZE, &page, 1, PAGE_KERNEL);
	KUNIT_EXPECT_EQ(test, reads(test, addr + 5 * PAGE_SIZE), 77);
	KUNIT_EXPECT_TRUE(test, read_faults(addr + 4 * PAGE_SIZE));
	KUNIT_EXPECT_PTR_EQ(test, kmm_window_page(w, addr + 5 * PAGE_SIZE), page);
	KUNIT_EXPECT_NULL(test, kmm_window_page(w, addr));
	kmm_window_clear_slots(w, addr, 1);
	kmm_tlb_flush_window(&t->tables, 1);
	KUNIT_EXPECT_NULL(test, kmm_window_page(w, addr + 5 * PAGE_SIZE));

	/* and a read-only leaf again */
	kmm_window_map_huge(w, addr, block, PAGE_KERNEL_RO);
	KUNIT_EXPECT_EQ(test, reads(test, addr + SZ_1M), 5);
	KUNIT_EXPECT_TRUE(test, write_faults(addr + SZ_1M));
	kmm_window_clear_slots(w, addr, 1);
	kmm_tlb_flush_window(&t->tables, 512);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_buddy_free(&t->buddy, block, 9);
	kmm_test_end_window(test);
}

/* === Stale entries === */

/**
 * struct reader - a CPU that reads one address
 * @addr: where
 * @phase: 0 not yet, 1 has read and goes on, 2 shall read the last time, 3 did
 * @first: read before
 * @last: read after the page was exchanged
 */
struct reader {
	unsigned long addr;
	int phase;
	unsigned long first;
	unsigned long last;
};

/*
 * Reads without a break, so that the entry stays in the TLB; interrupts are on, the flush comes
 * through. A task switch would flush nothing of the kernel's global entries, but it could evict.
 */
static int reader_run(void *arg)
{
	struct reader *r = arg;

	preempt_disable();
	r->first = READ_ONCE(*(unsigned long *)r->addr);
	/* Pairs with read_by_another_cpu(). */
	smp_store_release(&r->phase, 1);
	/* Pairs with read_by_another_cpu(). */
	while (smp_load_acquire(&r->phase) != 2) {
		(void)READ_ONCE(*(unsigned long *)r->addr);
		cpu_relax();
	}
	r->last = READ_ONCE(*(unsigned long *)r->addr);
	preempt_enable();
	/* Pairs with read_by_another_cpu(). */
	smp_store_release(&r->phase, 3);
	return 0;
}

/* What another CPU reads after the page at the window's base was exchanged: 1 old, 2 new. */
static unsigned long read_by_another_cpu(struct kunit *test, struct page *old, struct page *new,
					 bool flush)
{
	struct kmm_test *t = test->priv;
	struct kmm_window *w = &t->window;
	struct reader r = { .addr = w->base };
	struct task_struct *task;

	kmm_stay_on_cpu(0);
	kmm_window_map(w, w->base, &old, 1, PAGE_KERNEL);
	kmm_tlb_flush_window(&t->tables, 1);
	task = kthread_create(reader_run, &r, "kmm_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	kthread_bind(task, cpumask_next(0, cpu_online_mask));
	wake_up_process(task);
	/* Pairs with reader_run(). */
	while (smp_load_acquire(&r.phase) != 1)
		cpu_relax();
	kmm_window_unmap(w, w->base, 1);
	kmm_window_map(w, w->base, &new, 1, PAGE_KERNEL);
	if (flush)
		kmm_tlb_flush_window(&t->tables, 1);
	else
		mdelay(5);
	/* Pairs with reader_run(). */
	smp_store_release(&r.phase, 2);
	/* Pairs with reader_run(). */
	while (smp_load_acquire(&r.phase) != 3)
		cond_resched();
	KUNIT_EXPECT_EQ(test, r.first, 1);
	kmm_window_unmap(w, w->base, 1);
	kmm_tlb_flush_window(&t->tables, 1);
	kmm_go_anywhere();
	return r.last;
}

static void a_flush_is_needed_and_reaches_all_cpus(struct kunit *test)
{
	unsigned int round, stale = 0;
	struct page *old, *new;
	struct kmm_test *t;
	s64 flushes, ipis;

	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	t = kmm_test_begin_window(test, &kmm_layout_one, PAGES);
	old = filled_page(test, 1);
	new = filled_page(test, 2);
	/* Without: stale. Other work of that CPU may have evicted the entry now and then. */
	for (round = 0; round < 5; round++)
		stale += read_by_another_cpu(test, old, new, false) == 1;
	kunit_info(test, "without a flush %u of %u reads were stale\n", stale, round);
	KUNIT_EXPECT_GT(test, stale, 0);
	/* With: never. */
	flushes = atomic64_read(&t->tables.tlb.kernel_flushes);
	ipis = atomic64_read(&t->tables.tlb.ipis);
	for (round = 0; round < 20; round++)
		KUNIT_EXPECT_EQ(test, read_by_another_cpu(test, old, new, true), 2);
	/* three in each round, each interrupts the others */
	KUNIT_EXPECT_EQ(test, atomic64_read(&t->tables.tlb.kernel_flushes), flushes + 60);
	KUNIT_EXPECT_EQ(test, atomic64_read(&t->tables.tlb.ipis),
			ipis + 60 * (num_online_cpus() - 1));
	kmm_buddy_free(&t->buddy, old, 0);
	kmm_buddy_free(&t->buddy, new, 0);
	kmm_test_end_window(test);
}

static struct kunit_case window_cases[] = {
	KUNIT_CASE(host_tables_are_as_found),
	KUNIT_CASE(every_failure_of_init_leaves_the_tables_alone),
	KUNIT_CASE(an_empty_window_faults_everywhere),
	KUNIT_CASE(pages_are_mapped_across_tables),
	KUNIT_CASE(hardware_sets_accessed_and_dirty),
	KUNIT_CASE(rights_are_the_hardwares),
	KUNIT_CASE(huge_slots_take_leaves_and_tables),
	KUNIT_CASE(a_flush_is_needed_and_reaches_all_cpus),
	{}
};

struct kunit_suite kmm_window_suite = {
	.name = "kmm_window",
	.exit = kmm_test_exit,
	.test_cases = window_cases,
};
