// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_kmemleak
 *
 * The leak detector on private instances: fake region, buddy, slab allocator, vmalloc (helpers.c),
 * and a detector of its own, to which the region points. A case takes memory by the allocators'
 * functions, so the hooks are tested, too. Pointers to it stand where the case puts them: in a
 * root that it registers, or in other objects. What the case itself keeps in variables is on its
 * stack; stacks are no roots here, but in the case that is about them.
 *
 * All memory is taken zeroed, so nothing but what the case writes can look like a pointer.
 */

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <kmm/hardening.h>
#include <kmm/inject.h>
#include <kmm/kmemleak.h>
#include <kmm/kmm.h>
#include <kmm/slab.h>
#include <kmm/vmap.h>

#include "helpers.h"

#define NR_ROOT		1024
#define ZEROED		(KMM_QUIET | __GFP_ZERO)

/* One case at a time. */
static struct kmm_leak leak;
static unsigned long root_words[NR_ROOT];
static struct kmm_leak_root root;
static struct kmm_test *now;

/* Switches before the suite changed them. */
static unsigned int switches;

static int leak_init(struct kunit *test)
{
	switches = kmm_hardening_set(0);
	return 0;
}

static void finish(void)
{
	if (!now)
		return;
	kmm_leak_remove_root(&leak, &root);
	kmm_leak_fini(&leak);
	now->region.leak = NULL;
	now = NULL;
}

static void leak_exit(struct kunit *test)
{
	finish();
	kmm_hardening_set(switches);
	kmm_test_exit(test);
}

/* A detector on the case's region; @on: it tracks. */
static void prepare(struct kunit *test, struct kmm_test *t, bool on)
{
	memset(&leak, 0, sizeof(leak));
	memset(root_words, 0, sizeof(root_words));
	kmm_leak_init(&leak, &t->region);
	leak.stat.min_age_ms = 0;
	leak.stat.scan_secs = 0;
	leak.stat.stack_scan = false;
	root = (struct kmm_leak_root) { .start = root_words, .size = sizeof(root_words) };
	kmm_leak_add_root(&leak, &root);
	t->region.leak = &leak;
	now = t;
	if (on)
		KUNIT_ASSERT_EQ(test, kmm_leak_on(&leak), 0);
}

static struct kmm_test *begin(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_plain);

	prepare(test, t, true);
	return t;
}

static void end(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, kmm_leak_check(&leak), 0);
	finish();
	kmm_test_end_slab(test);
}

static struct kmm_test *begin_vmap(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_vmap(test, &kmm_layout_plain);

	prepare(test, t, true);
	return t;
}

static void end_vmap(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, kmm_leak_check(&leak), 0);
	finish();
	kmm_test_end_vmap(test);
}

static void scan(struct kunit *test, unsigned int times)
{
	while (times--)
		KUNIT_ASSERT_EQ(test, kmm_leak_scan(&leak), 0);
}

/* Leaks that are told now. */
static unsigned int nr_leaks(void)
{
	struct kmm_leak_info info = { };
	unsigned int nr = 0;

	mutex_lock(&leak.mutex);
	while (kmm_leak_next_locked(&leak, info.serial + 1, &info))
		nr++;
	mutex_unlock(&leak.mutex);
	return nr;
}

/* Is the object that starts at @p told as a leak? Then @size_bytes is its size. */
static bool is_leak(const void *p, unsigned long *size_bytes)
{
	struct kmm_leak_info info = { };
	bool found = false;

	mutex_lock(&leak.mutex);
	while (!found && kmm_leak_next_locked(&leak, info.serial + 1, &info))
		found = info.start == (unsigned long)p;
	mutex_unlock(&leak.mutex);
	if (size_bytes)
		*size_bytes = info.size;
	return found;
}

static void *take(struct kunit *test, size_t size_bytes)
{
	void *p = kmm_slab_kmalloc(&now->slab, size_bytes, ZEROED);

	KUNIT_ASSERT_NOT_NULL(test, p);
	return p;
}

static void give(void *p)
{
	kmm_slab_kfree(&now->slab, p);
}

static struct page *take_pages(struct kunit *test, unsigned int order)
{
	struct page *page = kmm_buddy_alloc_client(&now->buddy, ZEROED, order);

	KUNIT_ASSERT_NOT_NULL(test, page);
	return page;
}

/* === What is found === */

static void expect_leak(struct kunit *test, const char *what, const void *p, unsigned long size)
{
	unsigned long got;

	KUNIT_EXPECT_TRUE_MSG(test, is_leak(p, &got), "%s was not found", what);
	KUNIT_EXPECT_EQ_MSG(test, got, size, "%s", what);
}

static void leaks_of_each_kind_are_found_by_the_second_scan(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_cache *s = kmm_test_cache(test, 200, 0, 0, NULL);
	void *obj = kmm_cache_alloc(s, ZEROED), *bulk[5], *small, *large;
	struct page *one, *eight;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, obj);
	small = take(test, 40);
	large = take(test, 20000);
	one = take_pages(test, 0);
	eight = take_pages(test, 3);
	KUNIT_ASSERT_EQ(test, kmm_cache_alloc_bulk(s, ZEROED, 5, bulk), 5);
	scan(test, 1);
	KUNIT_EXPECT_EQ_MSG(test, nr_leaks(), 0, "reported by the first scan");
	scan(test, 1);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 10);
	expect_leak(test, "object", obj, 200);
	expect_leak(test, "kmalloc", small, 64);
	expect_leak(test, "large kmalloc", large, 20000);
	expect_leak(test, "page", page_address(one), PAGE_SIZE);
	expect_leak(test, "block", page_address(eight), 8 * PAGE_SIZE);
	for (i = 0; i < 5; i++)
		expect_leak(test, "object of a bulk", bulk[i], 200);
	KUNIT_EXPECT_EQ(test, leak.stat.nr_leaks, 10);
	scan(test, 1);
	KUNIT_EXPECT_EQ_MSG(test, leak.stat.nr_leaks, 10, "reported twice");

	/* What is freed is no leak. */
	kmm_cache_free(s, obj);
	kmm_cache_free_bulk(s, 5, bulk);
	give(small);
	give(large);
	kmm_buddy_free(&t->buddy, one, 0);
	kmm_buddy_free(&t->buddy, eight, 3);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 0);
	KUNIT_EXPECT_EQ(test, leak.nr_objects, 0);
	KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	end(test);
}

static void a_leaked_area_is_found(struct kunit *test)
{
	struct kmm_test *t = begin_vmap(test);
	void *a = kmm_vmap_alloc(t->vmap, 3 * PAGE_SIZE, ZEROED, PAGE_KERNEL, NULL);
	void *b = kmm_vmap_alloc(t->vmap, PAGE_SIZE, ZEROED, PAGE_KERNEL, NULL);

	KUNIT_ASSERT_NOT_NULL(test, a);
	KUNIT_ASSERT_NOT_NULL(test, b);
	/* b is known by its middle, and by what stands in a */
	root_words[3] = (unsigned long)a + 2 * PAGE_SIZE + 17;
	((unsigned long *)a)[3 * PAGE_SIZE / sizeof(long) - 1] = (unsigned long)b + PAGE_SIZE - 1;
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 0);
	root_words[3] = (unsigned long)b + 1;
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 1);
	expect_leak(test, "area", a, 3 * PAGE_SIZE);
	kmm_vmap_free(t->vmap, a);
	kmm_vmap_free(t->vmap, b);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 0);
	KUNIT_EXPECT_EQ(test, leak.nr_objects, 0);
	end_vmap(test);
}

static void a_pointer_may_point_anywhere_inside(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	void *p[4];
	struct page *page[2];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = take(test, 256);
	page[0] = take_pages(test, 2);
	page[1] = take_pages(test, 0);
	root_words[0] = (unsigned long)p[0];
	root_words[1] = (unsigned long)p[1] + 128;
	root_words[NR_ROOT - 1] = (unsigned long)p[2] + 255;
	root_words[2] = (unsigned long)p[3] + 256;	/* not in it any more */
	root_words[3] = (unsigned long)(page[0] + 3);	/* struct page of a tail */
	root_words[4] = (unsigned long)page[1] + 8;
	scan(test, 3);
	KUNIT_EXPECT_FALSE(test, is_leak(p[0], NULL));
	KUNIT_EXPECT_FALSE(test, is_leak(p[1], NULL));
	KUNIT_EXPECT_FALSE(test, is_leak(p[2], NULL));
	/* unless the next object of the slab is there */
	KUNIT_EXPECT_TRUE(test, is_leak(p[3], NULL) ||
			  p[3] + 256 == p[0] || p[3] + 256 == p[1] || p[3] + 256 == p[2]);
	KUNIT_EXPECT_FALSE(test, is_leak(page_address(page[0]), NULL));
	KUNIT_EXPECT_FALSE(test, is_leak(page_address(page[1]), NULL));
	for (i = 0; i < ARRAY_SIZE(p); i++)
		give(p[i]);
	kmm_buddy_free(&t->buddy, page[0], 2);
	kmm_buddy_free(&t->buddy, page[1], 0);
	end(test);
}

static void pointers_in_freed_memory_do_not_count(struct kunit *test)
{
	void **holder, *p;

	begin(test);
	holder = take(test, 256);
	p = take(test, 64);
	holder[1] = p;
	root_words[0] = (unsigned long)holder;
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 0);
	give(holder);
	KUNIT_EXPECT_PTR_EQ(test, holder[1], p);
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 1);
	expect_leak(test, "object", p, 64);
	give(p);
	end(test);
}

static void cycles_and_pointers_to_oneself_are_leaks(struct kunit *test)
{
	void **a, **b, **self;

	begin(test);
	a = take(test, 64);
	b = take(test, 128);
	self = take(test, 96);
	a[1] = b;
	*self = self;
	scan(test, 2);
	/* what a leak points to is told after it, or with it */
	KUNIT_EXPECT_TRUE(test, is_leak(a, NULL));
	KUNIT_EXPECT_TRUE(test, is_leak(self, NULL));
	b[1] = a;
	scan(test, 2);
	KUNIT_EXPECT_TRUE(test, is_leak(a, NULL));
	KUNIT_EXPECT_TRUE(test, is_leak(b, NULL));
	KUNIT_EXPECT_TRUE(test, is_leak(self, NULL));
	give(a);
	give(b);
	give(self);
	end(test);
}

static void what_changes_is_in_use(struct kunit *test)
{
	unsigned long *p, i;

	begin(test);
	p = take(test, 64);
	for (i = 1; i < 6; i++) {
		p[1] = i;
		scan(test, 1);
		KUNIT_EXPECT_EQ_MSG(test, nr_leaks(), 0, "scan %lu", i);
	}
	scan(test, 1);
	KUNIT_EXPECT_TRUE(test, is_leak(p, NULL));
	/* a pointer comes back: no leak any more */
	root_words[0] = (unsigned long)p;
	scan(test, 1);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 0);
	give(p);
	end(test);
}

static void what_is_young_is_not_reported(struct kunit *test)
{
	void *p;

	begin(test);
	leak.stat.min_age_ms = 3600 * MSEC_PER_SEC;
	p = take(test, 64);
	scan(test, 3);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 0);
	leak.stat.min_age_ms = 0;
	scan(test, 1);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 1);
	give(p);
	end(test);
}

/* === Colours === */

static void gray_is_scanned_black_is_not(struct kunit *test)
{
	void **gray, **black, **blind, **part, *p[5];
	unsigned int i;

	begin(test);
	gray = take(test, 64);
	black = take(test, 64);
	blind = take(test, 64);
	part = take(test, 256);
	for (i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = take(test, 128);
	gray[2] = p[0];
	black[2] = p[1];
	blind[2] = p[2];
	part[2] = p[3];
	part[20] = p[4];
	KUNIT_EXPECT_EQ(test, kmm_leak_paint(&leak, gray, KMM_LEAK_GRAY), 0);
	KUNIT_EXPECT_EQ(test, kmm_leak_paint(&leak, black, KMM_LEAK_BLACK), 0);
	KUNIT_EXPECT_EQ(test, kmm_leak_paint(&leak, blind, KMM_LEAK_GRAY), 0);
	KUNIT_EXPECT_EQ(test, kmm_leak_no_scan(&leak, blind), 0);
	root_words[5] = (unsigned long)part;
	KUNIT_EXPECT_EQ(test, kmm_leak_scan_area(&leak, &part[16], 64, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, kmm_leak_scan_area(&leak, &part[30], 64, GFP_KERNEL), -ENOENT);
	KUNIT_EXPECT_EQ(test, kmm_leak_paint(&leak, &part[1], KMM_LEAK_GRAY), -ENOENT);
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 3);
	KUNIT_EXPECT_FALSE(test, is_leak(p[0], NULL));
	KUNIT_EXPECT_TRUE(test, is_leak(p[1], NULL));
	KUNIT_EXPECT_TRUE(test, is_leak(p[2], NULL));
	KUNIT_EXPECT_TRUE(test, is_leak(p[3], NULL));
	KUNIT_EXPECT_FALSE(test, is_leak(p[4], NULL));
	for (i = 0; i < ARRAY_SIZE(p); i++)
		give(p[i]);
	give(gray);
	give(black);
	give(blind);
	give(part);
	end(test);
}

static void many_pointers_may_be_wanted(struct kunit *test)
{
	void *p;

	begin(test);
	p = take(test, 64);
	KUNIT_EXPECT_EQ(test, kmm_leak_paint(&leak, p, 2), 0);
	root_words[0] = (unsigned long)p;
	scan(test, 2);
	KUNIT_EXPECT_TRUE(test, is_leak(p, NULL));
	root_words[1] = (unsigned long)p;
	scan(test, 1);
	KUNIT_EXPECT_FALSE(test, is_leak(p, NULL));
	give(p);
	end(test);
}

static void clear_makes_gray_what_was_reported(struct kunit *test)
{
	void **p, *q;

	begin(test);
	p = take(test, 64);
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 1);
	kmm_leak_clear(&leak);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 0);
	q = take(test, 64);
	p[1] = q;
	scan(test, 3);
	KUNIT_EXPECT_EQ_MSG(test, nr_leaks(), 0, "what is cleared is scanned");
	give(p);
	scan(test, 2);
	KUNIT_EXPECT_TRUE(test, is_leak(q, NULL));
	give(q);
	end(test);
}

/* === Roots === */

static void percpu_areas_are_roots(struct kunit *test)
{
	unsigned long __percpu *area = alloc_percpu(unsigned long);
	struct kmm_leak_root r = { .percpu = area, .size = sizeof(*area) };
	unsigned int cpu = cpumask_last(cpu_possible_mask);
	void *p;

	KUNIT_ASSERT_TRUE(test, area);
	begin(test);
	kmm_leak_add_root(&leak, &r);
	p = take(test, 64);
	*per_cpu_ptr(area, cpu) = (unsigned long)p;
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 0);
	*per_cpu_ptr(area, cpu) = 0;
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 1);
	*per_cpu_ptr(area, cpu) = (unsigned long)p;
	kmm_leak_remove_root(&leak, &r);
	scan(test, 1);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 1);
	give(p);
	free_percpu(area);
	end(test);
}

static void *told;

static void tell(struct kmm_leak *l)
{
	kmm_leak_value(l, (unsigned long)told);
}

static void a_root_may_tell_values(struct kunit *test)
{
	struct kmm_leak_root r = { .scan = tell };
	void *p;

	begin(test);
	kmm_leak_add_root(&leak, &r);
	p = take(test, 64);
	told = p;
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 0);
	told = NULL;
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 1);
	kmm_leak_remove_root(&leak, &r);
	give(p);
	end(test);
}

struct keeper {
	struct completion ready;
	unsigned long hidden;
	unsigned long where;	/* hidden, too */
	bool returned;
};

/* Deeper on the stack than what a task needs to sleep, with lockdep, too. */
#define KEEPER_DEPTH	5

static noinline void keeper_left(struct keeper *k, unsigned int depth)
{
	unsigned long left[100] = { ~k->hidden };

	if (depth)
		keeper_left(k, depth - 1);
	else
		k->where = ~(unsigned long)left;
	/* it is not optimised away, and stays when this has returned */
	barrier_data(left);
}

/* Has a pointer on its stack, and nowhere else. */
static int keeper_thread(void *arg)
{
	struct keeper *k = arg;
	void *kept[4] = { k->returned ? NULL : (void *)~k->hidden };

	barrier_data(kept);
	if (k->returned)
		keeper_left(k, KEEPER_DEPTH);
	complete(&k->ready);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ / 100);
	barrier_data(kept);
	return !kept[0] != k->returned;
}

/* What stands where keeper_left() left its pointer. */
static unsigned long keeper_has(const struct keeper *k)
{
	return READ_ONCE_NOCHECK(*(unsigned long *)~k->where);
}

static struct task_struct *keeper_start(struct kunit *test, struct keeper *k, const void *p,
					bool returned)
{
	struct task_struct *task;

	init_completion(&k->ready);
	k->hidden = ~(unsigned long)p;
	k->returned = returned;
	task = kthread_run(keeper_thread, k, "kmm_test_keeper");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	wait_for_completion(&k->ready);
	/* it sleeps, or does so soon */
	msleep(50);
	return task;
}

static void stacks_of_tasks_are_roots(struct kunit *test)
{
	struct task_struct *task;
	struct keeper k;
	void *p;

	begin(test);
	p = take(test, 64);
	task = keeper_start(test, &k, p, false);
	kmm_leak_set_stack_scan(&leak, true);
	scan(test, 3);
	KUNIT_EXPECT_FALSE(test, is_leak(p, NULL));
	kmm_leak_set_stack_scan(&leak, false);
	scan(test, 2);
	KUNIT_EXPECT_TRUE(test, is_leak(p, NULL));
	KUNIT_EXPECT_EQ(test, kthread_stop(task), 0);
	give(p);
	end(test);
}

/* What a call left on a stack that has returned hides nothing. */
static void stacks_are_roots_where_they_are_in_use(struct kunit *test)
{
	struct task_struct *task;
	struct keeper k;
	unsigned int i;
	void *p;

	begin(test);
	p = take(test, 64);
	task = keeper_start(test, &k, p, true);
	KUNIT_EXPECT_EQ_MSG(test, keeper_has(&k), (unsigned long)p, "it is not there any more");
	kmm_leak_set_stack_scan(&leak, true);
	/* it is on a CPU now and then: then all of its stack counts */
	for (i = 0; i < 50 && !is_leak(p, NULL); i++)
		scan(test, 2);
	KUNIT_EXPECT_TRUE(test, is_leak(p, NULL));
	kmm_leak_set_stack_scan(&leak, false);
	KUNIT_EXPECT_EQ(test, kthread_stop(task), 0);
	give(p);
	end(test);
}

/* === Parts === */

static void a_block_may_be_freed_in_parts(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct page *page = take_pages(test, 3);
	unsigned int i;

	KUNIT_EXPECT_EQ(test, leak.nr_objects, 1);
	kmm_buddy_split(&t->buddy, page, 3);
	KUNIT_EXPECT_EQ_MSG(test, leak.nr_objects, 8, "single pages now");
	kmm_buddy_free(&t->buddy, page + 2, 0);
	root_words[0] = (unsigned long)(page + 5);
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 6);
	KUNIT_EXPECT_FALSE(test, is_leak(page_address(page + 5), NULL));
	for (i = 0; i < 8; i++)
		if (i != 2)
			kmm_buddy_free(&t->buddy, page + i, 0);
	KUNIT_EXPECT_EQ(test, leak.nr_objects, 0);
	end(test);
}

static void free_part_keeps_the_rest(struct kunit *test)
{
	unsigned long *mem = root_words + 512, size;

	begin(test);
	/* Memory that is not kmm's, as clients may track it. It is not in the root below. */
	root.size = 256 * sizeof(long);
	kmm_leak_track(&leak, mem, 1024, KMM_LEAK_WHITE, GFP_KERNEL);
	root_words[0] = (unsigned long)mem + 1000;
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 0);
	kmm_leak_forget(&leak, mem + 32, 512);
	KUNIT_EXPECT_EQ(test, leak.nr_objects, 2);
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 1);
	KUNIT_EXPECT_TRUE(test, is_leak(mem, &size));
	KUNIT_EXPECT_EQ(test, size, 256);
	kmm_leak_forget(&leak, mem, 0);
	kmm_leak_forget(&leak, mem + 96, 256);
	KUNIT_EXPECT_EQ(test, leak.nr_objects, 0);
	end(test);
}

/* === On and off === */

static void early_one(void *ctx, const void *p, size_t size_bytes)
{
	kmm_leak_track_early(ctx, p, size_bytes);
}

static void early_walk(void *ctx, struct kmm_leak *l)
{
	kmm_slab_for_each_used(ctx, early_one, l);
}

static void what_was_there_before_is_gray(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_odd);
	struct page *page, *user;
	void **obj, **large, *p[4];

	prepare(test, t, false);
	leak.early = early_walk;
	leak.ctx = &t->slab;
	obj = take(test, 64);
	large = take(test, 20000);
	page = take_pages(test, 1);
	user = take_pages(test, 0);
	kmm_buddy_set_owner(&t->buddy, user, 1);
	KUNIT_ASSERT_EQ(test, kmm_leak_on(&leak), 0);
	p[0] = take(test, 32);
	p[1] = take(test, 32);
	p[2] = take(test, 32);
	p[3] = take(test, 32);
	obj[2] = p[0];
	large[2000] = p[1];
	((void **)page_address(page))[600] = p[2];
	((void **)page_address(user))[7] = p[3];
	scan(test, 3);
	KUNIT_EXPECT_EQ_MSG(test, nr_leaks(), 1, "what users write is no pointer");
	KUNIT_EXPECT_TRUE(test, is_leak(p[3], NULL));
	give(p[3]);
	kmm_buddy_set_owner(&t->buddy, user, 0);
	kmm_buddy_free(&t->buddy, user, 0);
	give(obj);
	give(large);
	kmm_buddy_free(&t->buddy, page, 1);
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 3);
	/* Memory of what was early is tracked like any other then. */
	obj = take(test, 64);
	page = take_pages(test, 1);
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 5);
	give(obj);
	kmm_buddy_free(&t->buddy, page, 1);
	give(p[0]);
	give(p[1]);
	give(p[2]);
	end(test);
}

static void off_keeps_the_report_and_on_begins_anew(struct kunit *test)
{
	struct kmm_leak_stat st;
	void *p, *q;

	begin(test);
	p = take(test, 64);
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 1);
	kmm_leak_off(&leak, "test");
	KUNIT_EXPECT_EQ(test, kmm_leak_scan(&leak), -EBUSY);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 1);
	q = take(test, 64);
	kmm_leak_get_stat(&leak, &st);
	KUNIT_EXPECT_FALSE(test, st.enabled);
	KUNIT_EXPECT_STREQ(test, st.why_off, "test");
	KUNIT_EXPECT_EQ(test, st.nr_objects, 1);
	kmm_leak_clear(&leak);
	kmm_leak_get_stat(&leak, &st);
	KUNIT_EXPECT_EQ(test, st.nr_objects, 0);
	KUNIT_EXPECT_EQ(test, st.host_bytes, 0);
	KUNIT_ASSERT_EQ(test, kmm_leak_on(&leak), 0);
	KUNIT_EXPECT_EQ(test, leak.nr_objects, 0);
	give(p);
	give(q);
	p = take(test, 64);
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 1);
	give(p);
	end(test);
}

static void an_empty_pool_turns_it_off(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_plain);
	void **obj = kunit_kcalloc(test, 5000, sizeof(*obj), GFP_KERNEL);
	struct kmm_leak_stat st;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, obj);
	prepare(test, t, false);
	leak.max_objects = 4096;
	KUNIT_ASSERT_EQ(test, kmm_leak_on(&leak), 0);
	for (i = 0; i < 4096; i++)
		obj[i] = take(test, 16);
	kmm_leak_get_stat(&leak, &st);
	KUNIT_EXPECT_TRUE(test, st.enabled);
	KUNIT_EXPECT_EQ(test, st.nr_objects, 4096);
	for (; i < 5000; i++)
		obj[i] = take(test, 16);
	flush_work(&leak.off_work);
	kmm_leak_get_stat(&leak, &st);
	KUNIT_EXPECT_FALSE(test, st.enabled);
	KUNIT_EXPECT_STREQ(test, st.why_off, "no memory for its objects");
	KUNIT_EXPECT_FALSE(test, leak.keyed);
	for (i = 0; i < 5000; i++)
		give(obj[i]);
	KUNIT_ASSERT_EQ_MSG(test, kmm_leak_on(&leak), 0, "it can be used again");
	leak.max_objects = 100;
	kmm_leak_off(&leak, "test");
	KUNIT_EXPECT_EQ(test, kmm_leak_on(&leak), -ENOSPC);
	end(test);
}

static void the_pool_grows_before_it_is_empty(struct kunit *test)
{
	void **obj = kunit_kcalloc(test, 20000, sizeof(*obj), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, obj);
	begin(test);
	for (i = 0; i < 20000; i++)
		obj[i] = take(test, 16);
	KUNIT_EXPECT_TRUE(test, leak.enabled);
	KUNIT_EXPECT_EQ(test, leak.nr_objects, 20000);
	KUNIT_EXPECT_GE(test, leak.nr_pool, 2048);
	for (i = 0; i < 20000; i++)
		give(obj[i]);
	end(test);
}

struct in_context {
	void *p[64];
	unsigned int nr;
};

static void take_some(void *arg)
{
	struct in_context *c = arg;

	for (c->nr = 0; c->nr < ARRAY_SIZE(c->p); c->nr++)
		c->p[c->nr] = kmm_slab_kmalloc(&now->slab, 48, GFP_ATOMIC | __GFP_ZERO);
}

static void give_some(void *arg)
{
	struct in_context *c = arg;

	while (c->nr)
		give(c->p[--c->nr]);
}

static void it_works_in_every_context(struct kunit *test)
{
	struct in_context *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	enum kmm_context from, to;

	KUNIT_ASSERT_NOT_NULL(test, c);
	begin(test);
	for (from = 0; from < KMM_NR_CONTEXTS; from++) {
		for (to = 0; to < KMM_NR_CONTEXTS; to++) {
			kmm_run_in(from, take_some, c);
			KUNIT_EXPECT_EQ_MSG(test, leak.nr_objects, 64, "%s",
					    kmm_context_names[from]);
			scan(test, 2);
			KUNIT_EXPECT_EQ(test, nr_leaks(), 64);
			kmm_run_in(to, give_some, c);
			KUNIT_EXPECT_EQ_MSG(test, leak.nr_objects, 0, "%s", kmm_context_names[to]);
		}
	}
	end(test);
}

static void the_thread_scans(struct kunit *test)
{
	unsigned long until = jiffies + 60 * HZ;
	void *p;

	begin(test);
	p = take(test, 64);
	KUNIT_ASSERT_EQ(test, kmm_leak_set_period(&leak, 1), 0);
	while (!is_leak(p, NULL) && time_before(jiffies, until))
		schedule_timeout_interruptible(HZ / 10);
	KUNIT_EXPECT_TRUE(test, is_leak(p, NULL));
	KUNIT_EXPECT_EQ(test, kmm_leak_set_period(&leak, 0), 0);
	KUNIT_EXPECT_NULL(test, leak.thread);
	give(p);
	end(test);
}

/* === Everything can fail === */

static void each_failure_leaves_nothing(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_plain);
	unsigned long nth, nr_failed = 0;
	bool hit = true;
	int err;

	prepare(test, t, false);
	leak.stat.scan_secs = 600;
	for (nth = 1; hit; nth++) {
		kmm_inject_arm(nth);
		err = kmm_leak_on(&leak);
		hit = kmm_inject_disarm();
		KUNIT_EXPECT_EQ_MSG(test, !!err, hit, "failure %lu: error %d", nth, err);
		KUNIT_EXPECT_EQ(test, leak.enabled, !hit);
		KUNIT_EXPECT_EQ(test, leak.keyed, !hit);
		KUNIT_EXPECT_EQ_MSG(test, !leak.chunks, hit, "failure %lu", nth);
		nr_failed += hit;
	}
	KUNIT_EXPECT_GE_MSG(test, nr_failed, 3, "buffer, pool, thread");
	end(test);
}

/* The module's own detector, whether it is on or not. */
static void roots_of_clients_can_fail(struct kunit *test)
{
	unsigned long nth;
	bool hit = true;
	int err;

	for (nth = 1; hit; nth++) {
		kmm_inject_arm(nth);
		err = kmm_kmemleak_register_module(THIS_MODULE);
		hit = kmm_inject_disarm();
		KUNIT_EXPECT_EQ(test, err, hit ? -ENOMEM : 0);
	}
	KUNIT_EXPECT_GE(test, nth, 3);
	kmm_kmemleak_unregister_module(THIS_MODULE);
	kmm_inject_arm(1);
	KUNIT_EXPECT_EQ(test, kmm_kmemleak_register_root(root_words, 64), -ENOMEM);
	KUNIT_EXPECT_TRUE(test, kmm_inject_disarm());
	KUNIT_EXPECT_EQ(test, kmm_kmemleak_register_root(root_words, 64), 0);
	kmm_kmemleak_unregister_root(root_words);
	/* what was never registered */
	kmm_kmemleak_unregister_root(root_words);
}

static void without_memory_for_an_area_all_is_scanned(struct kunit *test)
{
	void **p, *q;

	begin(test);
	p = take(test, 256);
	q = take(test, 64);
	p[1] = q;
	root_words[0] = (unsigned long)p;
	kmm_inject_arm(1);
	KUNIT_EXPECT_EQ(test, kmm_leak_scan_area(&leak, &p[16], 64, GFP_KERNEL), 0);
	KUNIT_EXPECT_TRUE(test, kmm_inject_disarm());
	scan(test, 2);
	KUNIT_EXPECT_EQ(test, nr_leaks(), 0);
	give(p);
	give(q);
	end(test);
}

/* === At random, against a model === */

#define NR_NODES	200
#define NR_EDGES	4

struct node {
	void *p;
	unsigned int size;
	int edge[NR_EDGES];
	bool seen;
};

static void model_visit(struct node *n, int i, int *stack)
{
	int depth = 0, e;

	stack[depth++] = i;
	n[i].seen = true;
	while (depth) {
		i = stack[--depth];
		for (e = 0; e < NR_EDGES; e++) {
			int to = n[i].edge[e];

			if (to < 0 || !n[to].p || n[to].seen)
				continue;
			n[to].seen = true;
			stack[depth++] = to;
		}
	}
}

/* Edges are written behind the first 64 bytes: what is freed there may be anything. */
static void node_point(struct rnd_state *rnd, struct node *n, int i, int e, int to)
{
	unsigned long *word = n[i].p + 64 + e * sizeof(long);

	n[i].edge[e] = to;
	*word = to < 0 ? 0 : (unsigned long)n[to].p + kmm_below(rnd, n[to].size);
}

static void random_graphs_agree_with_a_model(struct kunit *test)
{
	struct node *n = kunit_kcalloc(test, NR_NODES, sizeof(*n), GFP_KERNEL);
	int *stack = kunit_kcalloc(test, NR_NODES + 1, sizeof(*stack), GFP_KERNEL);
	unsigned int round, rounds = clamp(kmm_test_nr_ops / 5000, 3UL, 100UL), bad = 0, live = 0;
	struct rnd_state rnd;
	int i, e, r;

	KUNIT_ASSERT_NOT_NULL(test, n);
	KUNIT_ASSERT_NOT_NULL(test, stack);
	prandom_seed_state(&rnd, kmm_test_seed);
	begin(test);
	for (round = 0; round < rounds; round++) {
		memset(root_words, 0, sizeof(root_words));
		for (i = 0; i < NR_NODES; i++) {
			if (n[i].p && kmm_below(&rnd, 2)) {
				give(n[i].p);
				n[i].p = NULL;
			}
			if (n[i].p)
				continue;
			n[i].size = 96 << kmm_below(&rnd, 8);
			n[i].p = take(test, n[i].size);
		}
		/* freed ones among the targets of others are gone, too: all edges anew */
		for (i = 0; i < NR_NODES; i++) {
			n[i].seen = false;
			for (e = 0; e < NR_EDGES; e++)
				node_point(&rnd, n, i, e, kmm_below(&rnd, 4) ? -1 :
					   (int)kmm_below(&rnd, NR_NODES));
		}
		for (r = 0; r < 20; r++) {
			i = kmm_below(&rnd, NR_NODES);
			root_words[kmm_below(&rnd, NR_ROOT - 1)] = 0;
			root_words[r] = (unsigned long)n[i].p + kmm_below(&rnd, n[i].size);
			stack[0] = i;
		}
		for (r = 0; r < NR_ROOT; r++)
			for (i = 0; root_words[r] && i < NR_NODES; i++)
				if (root_words[r] - (unsigned long)n[i].p < n[i].size && !n[i].seen)
					model_visit(n, i, stack);
		scan(test, 2);
		for (i = 0; i < NR_NODES; i++) {
			bad += is_leak(n[i].p, NULL) == n[i].seen;
			live += n[i].seen;
		}
	}
	KUNIT_EXPECT_EQ_MSG(test, bad, 0, "seed %lu", kmm_test_seed);
	KUNIT_EXPECT_GT(test, live, 0);
	KUNIT_EXPECT_LT(test, live, rounds * NR_NODES);
	kunit_info(test, "%u rounds of %u objects, %u reachable", rounds, NR_NODES, live);
	for (i = 0; i < NR_NODES; i++)
		give(n[i].p);
	end(test);
}

static struct kunit_case leak_cases[] = {
	KUNIT_CASE(leaks_of_each_kind_are_found_by_the_second_scan),
	KUNIT_CASE(a_leaked_area_is_found),
	KUNIT_CASE(a_pointer_may_point_anywhere_inside),
	KUNIT_CASE(pointers_in_freed_memory_do_not_count),
	KUNIT_CASE(cycles_and_pointers_to_oneself_are_leaks),
	KUNIT_CASE(what_changes_is_in_use),
	KUNIT_CASE(what_is_young_is_not_reported),
	KUNIT_CASE(gray_is_scanned_black_is_not),
	KUNIT_CASE(many_pointers_may_be_wanted),
	KUNIT_CASE(clear_makes_gray_what_was_reported),
	KUNIT_CASE(percpu_areas_are_roots),
	KUNIT_CASE(a_root_may_tell_values),
	KUNIT_CASE(stacks_of_tasks_are_roots),
	KUNIT_CASE(stacks_are_roots_where_they_are_in_use),
	KUNIT_CASE(a_block_may_be_freed_in_parts),
	KUNIT_CASE(free_part_keeps_the_rest),
	KUNIT_CASE(what_was_there_before_is_gray),
	KUNIT_CASE(off_keeps_the_report_and_on_begins_anew),
	KUNIT_CASE(an_empty_pool_turns_it_off),
	KUNIT_CASE(the_pool_grows_before_it_is_empty),
	KUNIT_CASE(it_works_in_every_context),
	KUNIT_CASE(the_thread_scans),
	KUNIT_CASE(each_failure_leaves_nothing),
	KUNIT_CASE(roots_of_clients_can_fail),
	KUNIT_CASE(without_memory_for_an_area_all_is_scanned),
	KUNIT_CASE(random_graphs_agree_with_a_model),
	{ }
};

struct kunit_suite kmm_kmemleak_suite = {
	.name = "kmm_kmemleak",
	.init = leak_init,
	.exit = leak_exit,
	.test_cases = leak_cases,
};
