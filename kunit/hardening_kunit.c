// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_hardening
 *
 * The switches (debug/hardening.c), page poisoning (debug/page_poison.c) and debug_pagealloc
 * (debug/debug_pagealloc.c). Each detector is shown the bug that it is for: a write to a page
 * after its free, a read of an area after its vfree, of a page after its free; the report is
 * read back from the log, and without the detector the same bug passes unseen.
 *
 * The switches are the module's own, the exit puts them back. debug_pagealloc needs a part in
 * the page_ext of a region: cases make theirs with a table of their own.
 *
 * Reports are rate limited (ten in five seconds): this suite has eight.
 */

#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/poison.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include <kmm/debug_pagealloc.h>
#include <kmm/hardening.h>
#include <kmm/page_ext.h>
#include <kmm/page_owner.h>
#include <kmm/paths.h>
#include <kmm/report.h>
#include <kmm/vmap.h>

#include "helpers.h"

/* Asked for before the suite changed it. */
static unsigned int switches;
/* This case turned debug_pagealloc's key on. */
static bool key_on;

static int hardening_init(struct kunit *test)
{
	switches = kmm_hardening_set(0);
	return 0;
}

static void debug_pagealloc_off(void)
{
	if (key_on)
		kmm_hooks_off(&kmm_debug_pagealloc_key, KMM_PATH_PAGE);
	key_on = false;
}

static void hardening_exit(struct kunit *test)
{
	WRITE_ONCE(kmm_tlb_flush_off, false);
	kmm_test_exit(test);
	debug_pagealloc_off();
	kmm_hardening_set(switches);
}

/* === Switches === */

static void poisoning_takes_precedence(struct kunit *test)
{
	static const char precedence[] =
		"PAGE_POISONING is on, will take precedence over init_on_alloc and init_on_free";
	const unsigned int init = KMM_INIT_ON_ALLOC | KMM_INIT_ON_FREE;
	u64 mark = kmm_log_mark();

	kmm_hardening_set(init);
	KUNIT_EXPECT_EQ(test, kmm_hardening_effective(), init);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "mem auto-init"), 0);
	kmm_hardening_set(init | KMM_PAGE_POISON);
	KUNIT_EXPECT_EQ(test, kmm_hardening_effective(), KMM_PAGE_POISON);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, precedence), 1);
	/* what was asked for comes back */
	KUNIT_EXPECT_EQ(test, kmm_hardening_set(init), init | KMM_PAGE_POISON);
	KUNIT_EXPECT_EQ(test, kmm_hardening_effective(), init);
	kmm_hardening_set(KMM_PAGE_POISON);
	KUNIT_EXPECT_EQ(test, kmm_hardening_effective(), KMM_PAGE_POISON);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "mem auto-init"), 1);
	kmm_hardening_set(0);
	KUNIT_EXPECT_EQ(test, kmm_hardening_effective(), 0);
}

static void the_report_says_what_is_in_effect(struct kunit *test)
{
	static const struct {
		unsigned int set;
		const char *text;
	} cases[] = {
		{ 0, "heap alloc:off, heap free:off" },
		{ KMM_INIT_ON_ALLOC, "heap alloc:on, heap free:off" },
		{ KMM_INIT_ON_FREE, "heap alloc:off, heap free:on" },
		{ KMM_INIT_ON_ALLOC | KMM_INIT_ON_FREE, "heap alloc:on, heap free:on" },
		{ KMM_INIT_ON_ALLOC | KMM_PAGE_POISON, "heap alloc:off, heap free:off" },
	};
	char buf[96], *heap;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		kmm_hardening_set(cases[i].set);
		kmm_hardening_report(buf, sizeof(buf));
		KUNIT_EXPECT_EQ(test, strncmp(buf, "mem auto-init: stack:", 21), 0);
		heap = strstr(buf, "heap");
		KUNIT_ASSERT_NOT_NULL(test, heap);
		KUNIT_EXPECT_STREQ(test, heap, cases[i].text);
	}
}

/* === Page poisoning === */

static bool filled(struct page *page, unsigned int order, u8 byte)
{
	return !memchr_inv(page_address(page), byte, PAGE_SIZE << order);
}

static void free_frames_have_the_pattern(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 1, 3, 4, 9, 10 };
	struct kmm_test *t;
	unsigned long corrupt = kmm_page_poison_corrupt();
	struct page *page;
	unsigned int i;

	kmm_hardening_set(KMM_PAGE_POISON);
	t = kmm_test_begin(test, &kmm_layout_plain);
	/* from the start */
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		page = kmm_test_alloc(test, KMM_QUIET, orders[i]);
		KUNIT_EXPECT_TRUE(test, filled(page, orders[i], PAGE_POISON));
		memset(page_address(page), 0, PAGE_SIZE << orders[i]);
		kmm_buddy_free(&t->buddy, page, orders[i]);
		KUNIT_EXPECT_TRUE(test, filled(page, orders[i], PAGE_POISON));
		/* zero is zero, whatever was there */
		page = kmm_test_alloc(test, KMM_QUIET | __GFP_ZERO, orders[i]);
		KUNIT_EXPECT_TRUE(test, filled(page, orders[i], 0));
		kmm_buddy_free(&t->buddy, page, orders[i]);
	}
	KUNIT_EXPECT_EQ(test, kmm_page_poison_corrupt(), corrupt);
	kmm_test_end(test);
}

/* Frees a block, writes to it, and takes it again. */
static void write_after_free(struct kunit *test, unsigned int order, unsigned long where, u8 change)
{
	struct kmm_test *t = test->priv;
	struct page *page = kmm_test_alloc(test, KMM_QUIET, order), *again;

	kmm_buddy_free(&t->buddy, page, order);
	((u8 *)page_address(page))[where] ^= change;
	again = kmm_test_alloc(test, KMM_QUIET, order);
	/* the last that was freed on this CPU, or the only one of its size */
	KUNIT_EXPECT_PTR_EQ(test, again, page);
	kmm_buddy_free(&t->buddy, again, order);
}

static void a_write_after_free_is_found(struct kunit *test)
{
	struct kmm_test *t;
	unsigned long corrupt;
	u64 mark;

	kmm_hardening_set(KMM_PAGE_POISON);
	t = kmm_test_begin(test, &kmm_layout_one);
	kmm_stay_on_cpu(0);
	kmm_report_forget();
	corrupt = kmm_page_poison_corrupt();
	kmm_expect("^pagealloc: single bit error", 1);
	kmm_expect("^pagealloc: memory corruption", 3);
	mark = kmm_log_mark();
	write_after_free(test, 0, 100, 0x10);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "pagealloc: single bit error"), 1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, ": ba  "), 1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "pagealloc: memory corruption"), 0);
	write_after_free(test, 0, PAGE_SIZE - 1, 0xff);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "pagealloc: memory corruption"), 1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, ": 55  "), 1);
	write_after_free(test, 3, 5 * PAGE_SIZE, 0x11);
	write_after_free(test, 9, 0, 0x03);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "pagealloc: memory corruption"), 3);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "pagealloc: corrupted page details"), 4);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "Call Trace:"), 4);
	KUNIT_EXPECT_EQ(test, kmm_page_poison_corrupt(), corrupt + 4);
	kmm_expect_end();
	/* it is found once: the block was filled again */
	kmm_buddy_free(&t->buddy, kmm_test_alloc(test, KMM_QUIET, 9), 9);
	KUNIT_EXPECT_EQ(test, kmm_page_poison_corrupt(), corrupt + 4);
	/* without it the same is not seen */
	kmm_hardening_set(0);
	write_after_free(test, 0, 100, 0x10);
	KUNIT_EXPECT_EQ(test, kmm_page_poison_corrupt(), corrupt + 4);
	kmm_go_anywhere();
	kmm_test_end(test);
}

static void a_range_is_looked_at_too(struct kunit *test)
{
	unsigned long corrupt, pfn;
	struct kmm_test *t;
	struct page *page;

	kmm_hardening_set(KMM_PAGE_POISON);
	t = kmm_test_begin(test, &kmm_layout_one);
	page = kmm_test_alloc(test, KMM_QUIET, 2);
	pfn = page_to_pfn(page);
	kmm_buddy_free(&t->buddy, page, 2);
	corrupt = kmm_page_poison_corrupt();
	memset(page_address(page + 2), 0x42, 17);
	kmm_expect("^pagealloc: memory corruption", 1);
	KUNIT_EXPECT_EQ(test, kmm_buddy_alloc_range(&t->buddy, pfn, pfn + 4), 0);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_page_poison_corrupt(), corrupt + 1);
	for (; pfn < page_to_pfn(page) + 4; pfn++)
		kmm_buddy_free(&t->buddy, pfn_to_page(pfn), 0);
	kmm_test_end(test);
}

static bool yes(void)
{
	return true;
}

static size_t owner_size(void)
{
	return sizeof(struct kmm_page_owner);
}

static const struct kmm_page_ext_client owner = {
	.name = "page_owner", .need = yes, .size = owner_size,
};

static const struct kmm_page_ext_client * const owner_only[KMM_NR_PAGE_EXT] = {
	[KMM_PAGE_EXT_OWNER] = &owner,
};

static void the_report_tells_who_freed_it(struct kunit *test)
{
	struct kmm_test *t = kmm_test_create(test, &kmm_layout_one);
	u64 mark;

	kmm_hardening_set(KMM_PAGE_POISON);
	KUNIT_ASSERT_EQ(test, kmm_test_start_region(t), 0);
	KUNIT_ASSERT_EQ(test, kmm_page_ext_init(&t->region, owner_only), 0);
	KUNIT_ASSERT_EQ(test, kmm_test_start(t), 0);
	kmm_test_free_blocks(t, t->initial);
	KUNIT_ASSERT_GE(test, kmm_page_owner_start(&t->region), 0L);
	kmm_stay_on_cpu(0);
	kmm_expect("^pagealloc: memory corruption", 1);
	mark = kmm_log_mark();
	write_after_free(test, 0, 8, 0xff);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "page_owner tracks the page as freed"), 1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "page last free stack trace:"), 1);
	kmm_go_anywhere();
	kmm_page_owner_stop(&t->region);
	kmm_test_end(test);
}

/* What lies free from the time before says nothing. */
static void on_and_off_at_run_time(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_one);
	unsigned long corrupt = kmm_page_poison_corrupt();
	struct page *page;
	unsigned int i;

	kmm_stay_on_cpu(0);
	for (i = 0; i < 3; i++) {
		/* off: freed with a client's bytes */
		page = kmm_test_alloc(test, KMM_QUIET, 0);
		memset(page_address(page), 0x77, PAGE_SIZE);
		kmm_buddy_free(&t->buddy, page, 0);
		KUNIT_EXPECT_TRUE(test, filled(page, 0, 0x77));
		/* on: taken, and freed with the pattern */
		kmm_hardening_set(KMM_PAGE_POISON);
		KUNIT_EXPECT_PTR_EQ(test, kmm_test_alloc(test, KMM_QUIET, 0), page);
		kmm_buddy_free(&t->buddy, page, 0);
		KUNIT_EXPECT_TRUE(test, filled(page, 0, PAGE_POISON));
		kmm_hardening_set(0);
	}
	/* its mark is of an earlier time now, and it was not looked at when it went out */
	page = kmm_test_alloc(test, KMM_QUIET, 0);
	memset(page_address(page), 0x77, PAGE_SIZE);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_hardening_set(KMM_PAGE_POISON);
	KUNIT_EXPECT_PTR_EQ(test, kmm_test_alloc(test, KMM_QUIET, 0), page);
	kmm_buddy_free(&t->buddy, page, 0);
	KUNIT_EXPECT_EQ(test, kmm_page_poison_corrupt(), corrupt);
	kmm_go_anywhere();
	kmm_test_end(test);
}

/* A frame that somebody outside holds is left alone, and wiped when it comes home. */
static void a_pinned_frame_is_wiped_at_home(struct kunit *test)
{
	static const struct {
		unsigned int set;
		u8 byte;
	} cases[] = { { KMM_PAGE_POISON, PAGE_POISON }, { KMM_INIT_ON_FREE, 0 } };
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_one);
	struct page *page;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		kmm_hardening_set(cases[i].set);
		page = kmm_test_alloc(test, KMM_QUIET, 1);
		memset(page_address(page), 0x33, 2 * PAGE_SIZE);
		get_page(page + 1);
		kmm_buddy_free(&t->buddy, page, 1);
		KUNIT_EXPECT_TRUE(test, filled(page, 0, cases[i].byte));
		KUNIT_EXPECT_TRUE(test, filled(page + 1, 0, 0x33));
		KUNIT_EXPECT_EQ(test, kmm_test_quarantined(t), 1);
		put_page(page + 1);
		KUNIT_EXPECT_EQ(test, kmm_buddy_recheck_quarantine(&t->buddy), 1);
		KUNIT_EXPECT_TRUE(test, filled(page + 1, 0, cases[i].byte));
	}
	kmm_test_end(test);
}

/* === Guards behind blocks === */

static void begin_guards(struct kunit *test, unsigned int minorder)
{
	struct kmm_test *t = kmm_test_create(test, &kmm_layout_plain);

	KUNIT_ASSERT_EQ(test, kmm_test_start_region(t), 0);
	t->buddy.guard_minorder = minorder;
	KUNIT_ASSERT_EQ(test, kmm_buddy_init(&t->buddy, &t->region), 0);
	t->has_buddy = true;
	kmm_test_free_blocks(t, t->initial);
}

static noinline unsigned long guards(struct kmm_test *t)
{
	return kmm_test_stat(t).guard;
}

static void small_blocks_have_guards(struct kunit *test)
{
	unsigned int minorder, order, nr, i;
	struct page *page[64];
	struct kmm_test *t;

	for (minorder = 1; minorder <= KMM_GUARD_MINORDER_MAX; minorder++) {
		begin_guards(test, minorder);
		t = test->priv;
		for (order = 0; order <= minorder; order++) {
			unsigned long frames = 0;

			nr = ARRAY_SIZE(page);
			for (i = 0; i < nr; i++) {
				page[i] = kmm_test_alloc(test, KMM_QUIET, order);
				memset(page_address(page[i]), i, PAGE_SIZE << order);
				KUNIT_EXPECT_TRUE(test, IS_ALIGNED(page_to_pfn(page[i]),
								   1UL << minorder));
				frames += 1UL << minorder;
			}
			KUNIT_EXPECT_EQ(test, kmm_test_used(t), nr << order);
			KUNIT_EXPECT_EQ(test, guards(t), frames - (nr << order));
			KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
			for (i = 0; i < nr; i++)
				KUNIT_EXPECT_TRUE(test, filled(page[i], order, i));
			for (i = 0; i < nr; i++)
				kmm_buddy_free(&t->buddy, page[(i * 13) % nr], order);
			KUNIT_EXPECT_EQ(test, guards(t), 0);
		}
		/* a block that is split and freed page by page takes its guards with it */
		page[0] = kmm_test_alloc(test, KMM_QUIET, minorder - 1);
		kmm_buddy_split(&t->buddy, page[0], minorder - 1);
		for (i = 0; i < 1U << (minorder - 1); i++)
			kmm_buddy_free(&t->buddy, page[0] + i, 0);
		KUNIT_EXPECT_EQ(test, guards(t), 0);
		kmm_test_end(test);
	}
}

static void an_overrun_is_found_at_the_free(struct kunit *test)
{
	unsigned long corrupt;
	struct kmm_test *t;
	struct page *page;
	u64 mark;

	kmm_hardening_set(KMM_PAGE_POISON);
	begin_guards(test, 3);
	t = test->priv;
	corrupt = kmm_page_poison_corrupt();
	page = kmm_test_alloc(test, KMM_QUIET, 1);
	memset(page_address(page), 0, 2 * PAGE_SIZE);
	kmm_buddy_free(&t->buddy, page, 1);
	KUNIT_EXPECT_EQ(test, kmm_page_poison_corrupt(), corrupt);
	page = kmm_test_alloc(test, KMM_QUIET, 1);
	/* four bytes too many, and one further behind */
	memset(page_address(page), 0, 2 * PAGE_SIZE + 4);
	((u8 *)page_address(page))[7 * PAGE_SIZE] = 1;
	kmm_expect("^pagealloc: memory corruption", 2);
	mark = kmm_log_mark();
	kmm_buddy_free(&t->buddy, page, 1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "pagealloc: memory corruption"), 2);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, ": 00 00 00 00   "), 1);
	KUNIT_EXPECT_EQ(test, kmm_page_poison_corrupt(), corrupt + 2);
	kmm_expect_end();
	/* once */
	kmm_buddy_free(&t->buddy, kmm_test_alloc(test, KMM_QUIET, 10), 10);
	KUNIT_EXPECT_EQ(test, kmm_page_poison_corrupt(), corrupt + 2);
	kmm_test_end(test);
}

/* === debug_pagealloc === */

static size_t part_size(void)
{
	return kmm_debug_pagealloc_client.size();
}

static const struct kmm_page_ext_client wanted = {
	.name = "debug_pagealloc", .need = yes, .size = part_size,
};

static const struct kmm_page_ext_client * const clients[KMM_NR_PAGE_EXT] = {
	[KMM_PAGE_EXT_PAGEALLOC] = &wanted,
};

/* As kmm_test_begin_vmap(), loaded with debug_pagealloc=1. */
static struct kmm_test *begin_debug_pagealloc(struct kunit *test)
{
	struct kmm_test *t = kmm_test_create(test, &kmm_layout_plain);
	struct kmm_vmap *v;

	kmm_hooks_on(&kmm_debug_pagealloc_key, KMM_PATH_PAGE);
	key_on = true;
	KUNIT_ASSERT_EQ(test, kmm_test_start_region(t), 0);
	KUNIT_ASSERT_EQ(test, kmm_page_ext_init(&t->region, clients), 0);
	KUNIT_ASSERT_EQ(test, kmm_region_init_window(&t->region, 8 * KMM_GRANULE_FRAMES), 0);
	KUNIT_ASSERT_EQ(test, kmm_test_start(t), 0);
	kmm_test_free_blocks(t, t->initial);
	kmm_pgtables_init(&t->tables, &t->buddy);
	v = kmm_vmap_create(&t->region, &t->buddy, &t->tables);
	KUNIT_ASSERT_FALSE(test, IS_ERR(v));
	t->vmap = v;
	return t;
}

static bool read_faults(const void *p)
{
	unsigned long value;

	return kmm_test_read(p, &value) == -EFAULT;
}

/**
 * struct reader - another CPU that has an area in its TLB
 * @p: address
 * @phase: 0 not yet, 1 reads all the time, 2 shall read once more, 3 did
 * @faulted: the last read did
 */
struct reader {
	void *p;
	int phase;
	bool faulted;
};

static int reader_run(void *arg)
{
	struct reader *r = arg;

	preempt_disable();
	do {
		if (!read_faults(r->p) && !READ_ONCE(r->phase))
			/* Pairs with reads_after(). */
			smp_store_release(&r->phase, 1);
		cpu_relax();
		/* Pairs with reads_after(). */
	} while (smp_load_acquire(&r->phase) != 2);
	r->faulted = read_faults(r->p);
	preempt_enable();
	/* Pairs with reads_after(). */
	smp_store_release(&r->phase, 3);
	return 0;
}

/* Can another CPU still read @p after @take(@p) on this one? */
static bool reads_after(struct kunit *test, void *p, void (*take)(struct kmm_test *t, void *p))
{
	struct reader r = { .p = p };
	struct task_struct *task;

	kmm_stay_on_cpu(0);
	task = kthread_create(reader_run, &r, "kmm_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	kthread_bind(task, cpumask_next(0, cpu_online_mask));
	wake_up_process(task);
	/* Pairs with reader_run(). */
	while (smp_load_acquire(&r.phase) != 1)
		cpu_relax();
	take(test->priv, p);
	/* Pairs with reader_run(). */
	smp_store_release(&r.phase, 2);
	/* Pairs with reader_run(). */
	while (smp_load_acquire(&r.phase) != 3)
		cond_resched();
	kmm_go_anywhere();
	return !r.faulted;
}

static void take_vfree(struct kmm_test *t, void *p)
{
	kmm_vmap_free(t->vmap, p);
}

static void take_vunmap(struct kmm_test *t, void *p)
{
	kmm_vmap_unmap(t->vmap, p);
}

static void take_unmap_ram(struct kmm_test *t, void *p)
{
	kmm_vmap_unmap_ram(t->vmap, p, 1);
}

/* Each kind of area @rounds times. Return: how often it could be read after it was given back. */
static unsigned int used_after_free(struct kunit *test, unsigned int rounds)
{
	struct kmm_test *t = test->priv;
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 0);
	unsigned int seen = 0;
	void *p;

	while (rounds--) {
		p = kmm_vmap_alloc(t->vmap, PAGE_SIZE, KMM_QUIET, PAGE_KERNEL, NULL);
		KUNIT_ASSERT_NOT_NULL(test, p);
		seen += reads_after(test, p, take_vfree);
		p = kmm_vmap_map(t->vmap, &page, 1, PAGE_KERNEL, NULL);
		KUNIT_ASSERT_NOT_NULL(test, p);
		seen += reads_after(test, p, take_vunmap);
		p = kmm_vmap_map_ram(t->vmap, &page, 1);
		KUNIT_ASSERT_NOT_NULL(test, p);
		seen += reads_after(test, p, take_unmap_ram);
	}
	kmm_buddy_free(&t->buddy, page, 0);
	return seen;
}

static void nothing_is_readable_after_it_was_given_back(struct kunit *test)
{
	struct kmm_test *t;
	unsigned int seen;

	if (num_online_cpus() < 2)
		kunit_skip(test, "one CPU");
	t = begin_debug_pagealloc(test);
	KUNIT_EXPECT_EQ(test, used_after_free(test, 5), 0);
	KUNIT_EXPECT_EQ(test, kmm_vmap_lazy_frames(t->vmap), 0);
	kmm_test_end_vmap(test);
	debug_pagealloc_off();
	/* Without it: until the next purge. Other work of that CPU may evict the entry. */
	kmm_test_begin_vmap(test, &kmm_layout_plain);
	seen = used_after_free(test, 5);
	kunit_info(test, "without it %u of 15 were read after they were given back\n", seen);
	KUNIT_EXPECT_GT(test, seen, 0);
	kmm_test_end_vmap(test);
}

static void a_freed_page_leaves_the_window(struct kunit *test)
{
	struct kmm_test *t = begin_debug_pagealloc(test);
	unsigned long taken = kmm_debug_pagealloc_taken();
	struct page *pages[4];
	void *a, *b, *c;
	unsigned int i;
	u64 mark;

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = kmm_test_alloc(test, KMM_QUIET, 0);
	a = kmm_vmap_map(t->vmap, pages, 4, PAGE_KERNEL, NULL);
	b = kmm_vmap_map(t->vmap, &pages[1], 1, PAGE_KERNEL, NULL);
	c = kmm_vmap_map_ram(t->vmap, &pages[1], 2);
	KUNIT_ASSERT_TRUE(test, a && b && c);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_FALSE(test, read_faults(a + i * PAGE_SIZE));
	/* freed while three areas show it */
	kmm_buddy_free(&t->buddy, pages[1], 0);
	KUNIT_EXPECT_EQ(test, kmm_debug_pagealloc_taken(), taken + 3);
	KUNIT_EXPECT_TRUE(test, read_faults(a + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, kmm_test_write(a + PAGE_SIZE, 1), -EFAULT);
	KUNIT_EXPECT_TRUE(test, read_faults(b));
	KUNIT_EXPECT_TRUE(test, read_faults(c));
	KUNIT_EXPECT_NULL(test, kmm_vmap_page(t->vmap, b));
	/* others stay */
	KUNIT_EXPECT_FALSE(test, read_faults(a));
	KUNIT_EXPECT_FALSE(test, read_faults(a + 2 * PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, read_faults(c + PAGE_SIZE));
	/* and the areas are given back as ever */
	mark = kmm_log_mark();
	KUNIT_EXPECT_TRUE(test, kmm_vmap_unmap(t->vmap, a));
	KUNIT_EXPECT_TRUE(test, kmm_vmap_unmap(t->vmap, b));
	kmm_vmap_unmap_ram(t->vmap, c, 2);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KMM"), 0);
	/* no count is left behind: a free finds nothing to take out */
	for (i = 0; i < 4; i++)
		if (i != 1)
			kmm_buddy_free(&t->buddy, pages[i], 0);
	KUNIT_EXPECT_EQ(test, kmm_debug_pagealloc_taken(), taken + 3);
	kmm_test_end_vmap(test);
}

/* The counts are right for every way into the window and out of it, 2 MiB leaves too. */
static void ordinary_use_takes_nothing_out(struct kunit *test)
{
	static const unsigned long sizes[] = {
		1, 3 * PAGE_SIZE, SZ_64K + 1, SZ_2M, SZ_2M + 1, SZ_4M,
	};
	struct kmm_test *t = begin_debug_pagealloc(test);
	unsigned long taken = kmm_debug_pagealloc_taken(), i, round;
	void *p;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			p = kmm_vmap_alloc(t->vmap, sizes[i], KMM_QUIET, PAGE_KERNEL, NULL);
			KUNIT_ASSERT_NOT_NULL(test, p);
			memset(p, 0x5a, sizes[i]);
			KUNIT_EXPECT_TRUE(test, kmm_vmap_free(t->vmap, p));
			KUNIT_EXPECT_TRUE(test, read_faults(p));
		}
	}
	KUNIT_EXPECT_EQ(test, kmm_debug_pagealloc_taken(), taken);
	kmm_test_end_vmap(test);
}

static void runs_of_vm_map_ram_have_guards(struct kunit *test)
{
	struct kmm_test *t = begin_debug_pagealloc(test);
	struct page *page = kmm_test_alloc(test, KMM_QUIET, 0);
	void *p[8];
	int i;

	for (i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = kmm_vmap_map_ram(t->vmap, &page, 1);
		KUNIT_ASSERT_NOT_NULL(test, p[i]);
	}
	for (i = 0; i < ARRAY_SIZE(p); i++) {
		KUNIT_EXPECT_FALSE(test, read_faults(p[i]));
		KUNIT_EXPECT_TRUE(test, read_faults(p[i] + PAGE_SIZE));
		KUNIT_EXPECT_EQ(test, kmm_test_write(p[i] + PAGE_SIZE, 1), -EFAULT);
	}
	for (i = 0; i < ARRAY_SIZE(p); i++)
		kmm_vmap_unmap_ram(t->vmap, p[i], 1);
	kmm_buddy_free(&t->buddy, page, 0);
	kmm_test_end_vmap(test);
}

static struct kunit_case hardening_cases[] = {
	KUNIT_CASE(poisoning_takes_precedence),
	KUNIT_CASE(the_report_says_what_is_in_effect),
	KUNIT_CASE(free_frames_have_the_pattern),
	KUNIT_CASE(a_write_after_free_is_found),
	KUNIT_CASE(a_range_is_looked_at_too),
	KUNIT_CASE(the_report_tells_who_freed_it),
	KUNIT_CASE(on_and_off_at_run_time),
	KUNIT_CASE(a_pinned_frame_is_wiped_at_home),
	KUNIT_CASE(small_blocks_have_guards),
	KUNIT_CASE(an_overrun_is_found_at_the_free),
	KUNIT_CASE(nothing_is_readable_after_it_was_given_back),
	KUNIT_CASE(a_freed_page_leaves_the_window),
	KUNIT_CASE(ordinary_use_takes_nothing_out),
	KUNIT_CASE(runs_of_vm_map_ram_have_guards),
	{}
};

struct kunit_suite kmm_hardening_suite = {
	.name = "kmm_hardening",
	.init = hardening_init,
	.exit = hardening_exit,
	.test_cases = hardening_cases,
};
