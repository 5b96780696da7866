// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: what the KUnit suites share
 *
 * Instance. A case works on its own struct kmm_region and struct kmm_buddy, never on the
 * module's. The region's provider is fake: acquire() takes blocks of 4 MiB from the host,
 * makes single pages of them, fills them with rubbish, and reports whatever pieces of them
 * the case's layout names: unaligned heads and tails, gaps, several extents in a granule,
 * in any order. The frames that it does not report stay with the test, so that a stray
 * write to them can be seen. The host blocks are freed when the case is over, whatever the
 * region did: release() only counts, and looks at what comes back.
 *
 * Every case ends with kmm_test_end(): the invariant check of the whole state, all frames
 * home, all blocks merged to what init had, every frame released once. A case that is
 * aborted by a failed assertion is cleaned up by the suite's exit, kmm_test_exit().
 *
 * Log. Reports are tested by reading the kernel log back (kmsg_dump_get_line()). For the
 * checker of the VM's log (tools/vm/splat) the same reports are announced with kmm-expect
 * lines. Reports are rate limited, ten in five seconds: a case that wants more waits.
 *
 * Contexts. kmm_run_in() runs a function with interrupts off, in a softirq (a tasklet) or
 * in a hard interrupt (irq_work, which raises one on its own CPU), and waits for the end.
 *
 * Stacks. kmm_walk() calls a function at the end of a chain of calls whose frames have four
 * shapes: small, large, of no fixed size (found by the frame pointer), and with a pointer into
 * itself in a register.
 */

#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kmsg_dump.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "helpers.h"

/* === The fake provider === */

const struct kmm_test_layout kmm_layout_plain = {
	.name = "plain",
	.nr_blocks = 4,
	.nr_pieces = 4,
	.piece = { { 0, 0, 1024 }, { 1, 0, 1024 }, { 2, 0, 1024 }, { 3, 0, 1024 } },
};

const struct kmm_test_layout kmm_layout_one = {
	.name = "one",
	.nr_blocks = 1,
	.nr_pieces = 1,
	.piece = { { 0, 0, 1024 } },
};

const struct kmm_test_layout kmm_layout_odd = {
	.name = "odd",
	.nr_blocks = 5,
	.nr_pieces = 8,
	.piece = {
		{ 4, 0, 1023 },				/* odd tail */
		{ 1, 256, 768 },			/* 1 MiB aligned head */
		{ 0, 1, 3 }, { 0, 7, 1 }, { 0, 9, 500 }, { 0, 511, 513 },	/* gaps */
		{ 2, 512, 512 },
		{ 3, 0, 1024 },
	},
};

static unsigned long kmm_test_piece_pfn(const struct kmm_test *t, unsigned int i)
{
	const struct kmm_test_piece *p = &t->layout->piece[i];

	return page_to_pfn(t->host[p->block]) + p->first;
}

void kmm_test_free_host(struct kmm_test *t)
{
	unsigned int i, j;

	for (i = 0; i < KMM_TEST_BLOCKS && t->host[i]; i++) {
		for (j = 0; j < KMM_GRANULE_FRAMES; j++)
			__free_page(t->host[i] + j);
		t->host[i] = NULL;
	}
}

static int kmm_test_take_host(struct kmm_test *t)
{
	unsigned int i, j;

	for (i = 0; i < t->layout->nr_blocks; i++) {
		struct page *page = alloc_pages(GFP_KERNEL | __GFP_NOWARN, KMM_MAX_ORDER);

		if (!page) {
			kmm_test_free_host(t);
			return -ENOMEM;
		}
		split_page(page, KMM_MAX_ORDER);
		memset(page_address(page), 0xdb, PAGE_SIZE << KMM_MAX_ORDER);
		/* lowest first */
		for (j = i; j && t->host[j - 1] > page; j--)
			t->host[j] = t->host[j - 1];
		t->host[j] = page;
	}
	return 0;
}

static int kmm_test_acquire(struct kmm_region *r, unsigned long nr_pages)
{
	struct kmm_test *t = container_of(r, struct kmm_test, region);
	unsigned int i;
	int err;

	if (nr_pages > kmm_test_frames(t)) {
		kmm_region_explain(r, "fake: wanted %lu frames, %lu here", nr_pages,
				   kmm_test_frames(t));
		return -ENOMEM;
	}
	err = kmm_test_take_host(t);
	for (i = 0; !err && i < t->layout->nr_pieces; i++)
		err = kmm_region_add_extent(r, kmm_test_piece_pfn(t, i),
					    t->layout->piece[i].nr, i);
	if (err)
		kmm_test_free_host(t);
	return err;
}

static void kmm_test_release(struct kmm_region *r, struct kmm_extent *e)
{
	struct kmm_test *t = container_of(r, struct kmm_test, region);
	unsigned long i;

	if (e->start_pfn != kmm_test_piece_pfn(t, e->priv) ||
	    e->nr_pages != t->layout->piece[e->priv].nr)
		t->fail_release = true;
	for (i = 0; i < e->nr_pages; i++) {
		struct page *page = pfn_to_page(e->start_pfn + i);

		if (page_count(page) != 1 || page->mapping || PageDirty(page) ||
		    PageReferenced(page))
			t->fail_release = true;
	}
	t->released += e->nr_pages;
	t->releases++;
}

const struct kmm_region_ops kmm_fake_provider = {
	.name = "fake",
	.acquire = kmm_test_acquire,
	.release = kmm_test_release,
};

/* === Instances === */

/* Frames of the layout. */
unsigned long kmm_test_frames(const struct kmm_test *t)
{
	unsigned long nr = 0;
	unsigned int i;

	for (i = 0; i < t->layout->nr_pieces; i++)
		nr += t->layout->piece[i].nr;
	return nr;
}

/* Memory for an instance; nothing is started. One at a time for a case. */
struct kmm_test *kmm_test_create(struct kunit *test, const struct kmm_test_layout *layout)
{
	struct kmm_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->layout = layout;
	test->priv = t;
	return t;
}

int kmm_test_start_region(struct kmm_test *t)
{
	int err;

	memset(&t->region, 0, sizeof(t->region));
	t->released = 0;
	t->releases = 0;
	err = kmm_region_init_ops(&t->region, &kmm_fake_provider, kmm_test_frames(t));
	t->has_region = !err;
	return err;
}

int kmm_test_start(struct kmm_test *t)
{
	int err;

	memset(&t->buddy, 0, sizeof(t->buddy));
	err = kmm_buddy_init(&t->buddy, &t->region);
	t->has_buddy = !err;
	return err;
}

struct kmm_test *kmm_test_begin(struct kunit *test, const struct kmm_test_layout *layout)
{
	struct kmm_test *t = kmm_test_create(test, layout);

	KUNIT_ASSERT_EQ(test, kmm_test_start_region(t), 0);
	KUNIT_ASSERT_EQ(test, kmm_test_start(t), 0);
	kmm_test_free_blocks(t, t->initial);
	return t;
}

/* Free blocks by order, of all types; the caches are emptied first. */
void kmm_test_free_blocks(struct kmm_test *t, unsigned long *nr)
{
	struct kmm_buddy_stat st;
	unsigned int o, m;

	kmm_buddy_drain_all(&t->buddy);
	st = kmm_test_stat(t);
	for (o = 0; o < KMM_NR_ORDERS; o++) {
		nr[o] = 0;
		for (m = 0; m < KMM_NR_MIGRATETYPES; m++)
			nr[o] += st.nr_free_blocks[o][m];
	}
}

struct kmm_buddy_stat kmm_test_stat(struct kmm_test *t)
{
	struct kmm_buddy_stat st;

	kmm_buddy_stat(&t->buddy, &st, true);
	return st;
}

/* One figure of it: not inlined, the struct is too large for many on a stack. */
noinline u64 kmm_test_event(struct kmm_test *t, enum kmm_buddy_event event)
{
	return kmm_test_stat(t).event[event];
}

noinline unsigned long kmm_test_used(struct kmm_test *t)
{
	return kmm_test_stat(t).used;
}

noinline unsigned long kmm_test_cached(struct kmm_test *t)
{
	return kmm_test_stat(t).cached;
}

noinline unsigned long kmm_test_free(struct kmm_test *t)
{
	return kmm_test_stat(t).free;
}

noinline unsigned long kmm_test_quarantined(struct kmm_test *t)
{
	return kmm_test_stat(t).quarantined;
}

noinline unsigned long kmm_test_metadata(struct kmm_test *t)
{
	return kmm_test_stat(t).metadata;
}

/* All is home, all is merged, all is given back. */
void kmm_test_end(struct kunit *test)
{
	struct kmm_test *t = test->priv;
	unsigned long nr[KMM_NR_ORDERS];
	struct kmm_buddy_stat st;
	unsigned int o;

	KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
	kmm_test_free_blocks(t, nr);
	kmm_buddy_recheck_quarantine(&t->buddy);
	KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
	st = kmm_test_stat(t);
	KUNIT_EXPECT_TRUE(test, st.exact);
	KUNIT_EXPECT_EQ(test, st.used, 0);
	KUNIT_EXPECT_EQ(test, st.cached, 0);
	KUNIT_EXPECT_EQ(test, st.quarantined, 0);
	KUNIT_EXPECT_EQ(test, st.free + st.metadata, kmm_test_frames(t));
	KUNIT_EXPECT_EQ(test, st.total, kmm_test_frames(t));
	for (o = 0; o < KMM_NR_ORDERS; o++)
		KUNIT_EXPECT_EQ_MSG(test, nr[o], t->initial[o], "blocks of order %u", o);

	kmm_buddy_fini(&t->buddy);
	t->has_buddy = false;
	KUNIT_EXPECT_EQ(test, kmm_region_fini(&t->region), 0);
	t->has_region = false;
	KUNIT_EXPECT_EQ(test, t->released, kmm_test_frames(t));
	KUNIT_EXPECT_FALSE(test, t->fail_release);
	kmm_test_free_host(t);
}

/* Whatever an aborted case mapped goes, so that the host's tables can be put back. */
static void kmm_test_clear_window(struct kmm_test *t)
{
	struct kmm_window *w = &t->window;
	unsigned long addr = w->base, end = w->base + w->nr_pages * PAGE_SIZE;

	kmm_window_clear_slots(w, w->huge_first, w->huge_nr);
	for (; addr < end; addr += PAGE_SIZE)
		if (addr - w->huge_first >= w->huge_nr * PMD_SIZE)
			kmm_window_unmap(w, addr, 1);
	kmm_window_fini(w);
	t->has_window = false;
}

/* The suite's exit: what an aborted case left. */
void kmm_test_exit(struct kunit *test)
{
	struct kmm_test *t = test->priv;

	kmm_go_anywhere();
	if (!t)
		return;
	if (t->has_window)
		kmm_test_clear_window(t);
	kmm_vmap_destroy(t->vmap);
	t->vmap = NULL;
	kmm_kfence_stop(&t->kfence);
	if (t->has_slab)
		kmm_slab_fini(&t->slab);
	kmm_kfence_fini(&t->kfence);
	if (t->has_buddy)
		kmm_buddy_fini(&t->buddy);
	if (t->has_region) {
		kmm_region_fini_window(&t->region);
		kmm_region_fini(&t->region);
	}
	kmm_test_free_host(t);
}

/* === Instances with a slab allocator === */

/* Region, buddy and slab allocator, as kmm_main.c does it. */
int kmm_test_start_slab(struct kmm_test *t)
{
	int err = kmm_test_start_region(t);

	memset(&t->slab, 0, sizeof(t->slab));
	if (!err)
		err = kmm_slab_reserve(&t->slab, &t->region);
	if (!err)
		err = kmm_test_start(t);
	if (err)
		return err;
	kmm_test_free_blocks(t, t->initial);
	err = kmm_slab_init(&t->slab, &t->buddy);
	t->has_slab = !err;
	return err;
}

struct kmm_test *kmm_test_begin_slab(struct kunit *test, const struct kmm_test_layout *layout)
{
	struct kmm_test *t = kmm_test_create(test, layout);

	KUNIT_ASSERT_EQ(test, kmm_test_start_slab(t), 0);
	return t;
}

/* No object is out, all invariants hold; then kmm_test_end(). */
void kmm_test_end_slab(struct kunit *test)
{
	struct kmm_test *t = test->priv;
	unsigned long caches = 0;
	struct kmm_cache *s;

	list_for_each_entry(s, &t->slab.list, node) {
		KUNIT_EXPECT_EQ_MSG(test, kmm_slab_check(s), 0, "%s", s->name);
		if (s != t->slab.caches)
			KUNIT_EXPECT_EQ_MSG(test, kmm_test_active(s), 0, "%s", s->name);
		caches++;
	}
	KUNIT_EXPECT_EQ(test, kmm_test_active(t->slab.caches), caches);
	kmm_slab_fini(&t->slab);
	t->has_slab = false;
	kmm_test_end(test);
}

/* === Instances with page tables === */

struct kmm_test *kmm_test_begin_tables(struct kunit *test, const struct kmm_test_layout *layout)
{
	struct kmm_test *t = kmm_test_begin(test, layout);

	kmm_pgtables_init(&t->tables, &t->buddy);
	return t;
}

void kmm_test_end_tables(struct kunit *test)
{
	struct kmm_test *t = test->priv;
	unsigned int row;

	for (row = 0; row < KMM_PT_LEVELS; row++)
		KUNIT_EXPECT_EQ_MSG(test, atomic_long_read(&t->tables.nr[row]), 0, "level %u", row);
	kmm_pgtables_fini(&t->tables);
	kmm_test_end(test);
}

/* Region with a window reserved, buddy, tables. */
struct kmm_test *kmm_test_begin_reserved(struct kunit *test, const struct kmm_test_layout *layout,
					 unsigned long nr_pages)
{
	struct kmm_test *t = kmm_test_create(test, layout);

	KUNIT_ASSERT_EQ(test, kmm_test_start_region(t), 0);
	KUNIT_ASSERT_EQ(test, kmm_region_init_window(&t->region, nr_pages), 0);
	KUNIT_ASSERT_EQ(test, kmm_test_start(t), 0);
	kmm_test_free_blocks(t, t->initial);
	kmm_pgtables_init(&t->tables, &t->buddy);
	return t;
}

struct kmm_test *kmm_test_begin_window(struct kunit *test, const struct kmm_test_layout *layout,
				       unsigned long nr_pages)
{
	struct kmm_test *t = kmm_test_begin_reserved(test, layout, nr_pages);

	KUNIT_ASSERT_EQ(test, kmm_window_init(&t->window, &t->region, &t->tables), 0);
	t->has_window = true;
	return t;
}

void kmm_test_end_reserved(struct kunit *test)
{
	struct kmm_test *t = test->priv;

	kmm_region_fini_window(&t->region);
	kmm_test_end_tables(test);
}

void kmm_test_end_window(struct kunit *test)
{
	struct kmm_test *t = test->priv;

	kmm_window_fini(&t->window);
	t->has_window = false;
	kmm_test_end_reserved(test);
}

/* Twice the addresses that the region has frames. */
struct kmm_test *kmm_test_begin_vmap(struct kunit *test, const struct kmm_test_layout *layout)
{
	struct kmm_test *t = kmm_test_begin_reserved(test, layout,
						     layout->nr_blocks * 2 * KMM_GRANULE_FRAMES);
	struct kmm_vmap *v = kmm_vmap_create(&t->region, &t->buddy, &t->tables);

	KUNIT_ASSERT_FALSE(test, IS_ERR(v));
	t->vmap = v;
	return t;
}

/* No area is out, nothing is lazy, all is there; then the host has its tables back. */
void kmm_test_end_vmap(struct kunit *test)
{
	struct kmm_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, kmm_vmap_check(t->vmap), 0);
	kmm_vmap_unmap_aliases(t->vmap);
	KUNIT_EXPECT_EQ(test, kmm_vmap_nr_areas(t->vmap), 0);
	KUNIT_EXPECT_EQ(test, kmm_vmap_lazy_frames(t->vmap), 0);
	KUNIT_EXPECT_EQ(test, kmm_vmap_check(t->vmap), 0);
	kmm_vmap_destroy(t->vmap);
	t->vmap = NULL;
	kmm_test_end_reserved(test);
}

/* 0, or -EFAULT: what reading there does. The macros' exception tables are this module's. */
int kmm_test_read(const void *addr, unsigned long *value)
{
	__get_kernel_nofault(value, addr, unsigned long, fault);
	return 0;
fault:
	return -EFAULT;
}

int kmm_test_write(void *addr, unsigned long value)
{
	__put_kernel_nofault(addr, &value, unsigned long, fault);
	return 0;
fault:
	return -EFAULT;
}

struct kmm_cache *kmm_test_cache(struct kunit *test, unsigned int size, unsigned int align,
				 slab_flags_t flags, void (*ctor)(void *obj))
{
	struct kmm_test *t = test->priv;
	const struct kmm_cache_args args = {
		.name = "kunit", .size = size, .align = align, .flags = flags, .ctor = ctor,
	};
	struct kmm_cache *s = kmm_slab_cache_create(&t->slab, &args);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(s), "size %u align %u: %ld", size, align, PTR_ERR(s));
	return s;
}

/* Objects that clients have; exact while nobody works on the cache. */
noinline unsigned long kmm_test_active(struct kmm_cache *s)
{
	struct kmm_cache_stat st;

	kmm_slab_stat(s, &st);
	return st.nr_active;
}

noinline unsigned long kmm_test_slabs(struct kmm_cache *s)
{
	struct kmm_cache_stat st;

	kmm_slab_stat(s, &st);
	return st.nr_slabs;
}

/* A block that must be had, aligned and held by nobody else. */
struct page *kmm_test_alloc(struct kunit *test, gfp_t gfp, unsigned int order)
{
	struct kmm_test *t = test->priv;
	struct page *page = kmm_buddy_alloc(&t->buddy, gfp, order);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL_MSG(test, page, "order %u gfp %#x", order, (__force u32)gfp);
	KUNIT_ASSERT_TRUE(test, IS_ALIGNED(page_to_pfn(page), 1UL << order));
	for (i = 0; i < 1U << order; i++)
		KUNIT_ASSERT_EQ(test, page_count(page + i), 1);
	return page;
}

bool kmm_test_is_zero(struct page *page, unsigned int order)
{
	return !memchr_inv(page_address(page), 0, PAGE_SIZE << order);
}

/* Contents that tell what they are; no two are alike, but those of 0, which are zeros. */
void kmm_test_fill(struct page *page, u32 what)
{
	u32 *p = page_address(page), i, x = what * 2654435761U + 1;

	for (i = 0; i < PAGE_SIZE / sizeof(*p); i++) {
		x = x * 1664525 + 1013904223;
		/* every other word is the same: it can be compressed, a little */
		p[i] = !what ? 0 : i & 1 ? what : x;
	}
}

bool kmm_test_is_filled(struct page *page, u32 what)
{
	u32 *p = page_address(page), i, x = what * 2654435761U + 1;

	for (i = 0; i < PAGE_SIZE / sizeof(*p); i++) {
		x = x * 1664525 + 1013904223;
		if (p[i] != (!what ? 0 : i & 1 ? what : x))
			return false;
	}
	return true;
}

/* === Log === */

/* A place in the log: kmm_log_count() looks behind it. */
u64 kmm_log_mark(void)
{
	struct kmsg_dump_iter iter;

	kmsg_dump_rewind(&iter);
	return iter.next_seq;
}

/* Lines since @mark that contain @text. */
unsigned int kmm_log_count(u64 mark, const char *text)
{
	static char line[1024];
	struct kmsg_dump_iter iter;
	unsigned int nr = 0;
	size_t len;

	kmsg_dump_rewind(&iter);
	iter.cur_seq = max(iter.cur_seq, mark);
	while (kmsg_dump_get_line(&iter, false, line, sizeof(line) - 1, &len)) {
		line[len] = 0;
		nr += !!strstr(line, text);
	}
	return nr;
}

/* Tell tools/vm/splat that @nr reports come whose headline matches @regex. */
void kmm_expect(const char *regex, unsigned int nr)
{
	pr_info("kmm-expect: %s x%u\n", regex, nr);
}

void kmm_expect_end(void)
{
	pr_info("kmm-expect-end\n");
}

/* === Contexts === */

const char * const kmm_context_names[KMM_NR_CONTEXTS] = {
	[KMM_TASK] = "task",
	[KMM_IRQS_OFF] = "irqs_off",
	[KMM_SOFTIRQ] = "softirq",
	[KMM_HARDIRQ] = "hardirq",
};

struct kmm_call {
	struct tasklet_struct tasklet;
	struct irq_work work;
	void (*fn)(void *arg);
	void *arg;
};

static void kmm_call_tasklet(struct tasklet_struct *tasklet)
{
	struct kmm_call *c = container_of(tasklet, struct kmm_call, tasklet);

	WARN_ON(!in_serving_softirq());
	c->fn(c->arg);
}

static void kmm_call_work(struct irq_work *work)
{
	struct kmm_call *c = container_of(work, struct kmm_call, work);

	WARN_ON(!in_hardirq());
	c->fn(c->arg);
}

void kmm_run_in(enum kmm_context context, void (*fn)(void *arg), void *arg)
{
	struct kmm_call c = { .fn = fn, .arg = arg };

	switch (context) {
	case KMM_IRQS_OFF:
		local_irq_disable();
		fn(arg);
		local_irq_enable();
		break;
	case KMM_SOFTIRQ:
		tasklet_setup(&c.tasklet, kmm_call_tasklet);
		tasklet_schedule(&c.tasklet);
		tasklet_kill(&c.tasklet);
		break;
	case KMM_HARDIRQ:
		c.work = IRQ_WORK_INIT_HARD(kmm_call_work);
		irq_work_queue(&c.work);
		irq_work_sync(&c.work);
		break;
	default:
		fn(arg);
	}
}

struct kmm_walk {
	u64 path;
	unsigned int left;
	void (*end)(void *arg);
	void *arg;
};

static void walk_on(struct kmm_walk *w);

static noinline void walk_small(struct kmm_walk *w)
{
	walk_on(w);
	barrier();	/* no tail call */
}

static noinline void walk_large(struct kmm_walk *w)
{
	unsigned long space[12];

	OPTIMIZER_HIDE_VAR(w);
	memset(space, 0x5a, sizeof(space));
	walk_on(w);
	/* keep it */
	asm volatile("" : : "r" (space) : "memory");
}

static noinline void walk_alloca(struct kmm_walk *w)
{
	unsigned long size = 16 + (w->path & 0x30);
	char *space = __builtin_alloca(size);

	OPTIMIZER_HIDE_VAR(space);
	space[0] = 1;
	walk_on(w);
	asm volatile("" : : "r" (space) : "memory");
}

/* A pointer into its own frame that lives across the call, perhaps in the same register. */
static noinline void walk_pointer(struct kmm_walk *w)
{
	struct kmm_walk copy = *w, *p = &copy;

	OPTIMIZER_HIDE_VAR(p);
	walk_on(p);
	/* it lives */
	*w = *p;
}

static noinline void walk_on(struct kmm_walk *w)
{
	unsigned int next = w->path & 3;

	if (!w->left) {
		w->end(w->arg);
		barrier();
		return;
	}
	w->left--;
	w->path >>= 2;
	switch (next) {
	case 0:
		walk_small(w);
		break;
	case 1:
		walk_large(w);
		break;
	case 2:
		walk_alloca(w);
		break;
	default:
		walk_pointer(w);
	}
	barrier();
}

void kmm_walk(u64 path, unsigned int len, void (*end)(void *arg), void *arg)
{
	struct kmm_walk w = { .path = path, .left = len, .end = end, .arg = arg };

	walk_on(&w);
}

void kmm_stay_on_cpu(unsigned int cpu)
{
	set_cpus_allowed_ptr(current, cpumask_of(cpu));
}

void kmm_go_anywhere(void)
{
	set_cpus_allowed_ptr(current, cpu_possible_mask);
}
