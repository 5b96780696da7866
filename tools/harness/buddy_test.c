// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: buddy.c and region.c in user space, against the model
 *
 * The same files that go into kmm.ko run under ASan and UBSan. Random operations on
 * random layouts of extents, each answer compared with the naive reference (model.c), and
 * kmm_buddy_check() in between. Interrupts and other CPUs come in at every lock
 * (kernel.c). Named cases cover what a random run meets too rarely.
 *
 * The rules for a refused allocation, from buddy.c's contract: with nothing running beside
 * it, a request returns NULL only when all caches are empty and the free lists have no block of
 * that order that would leave the watermark's floor of its gfp flags.
 *
 *	buddy_test [--seed N] [--ops N] [--verbose]
 *
 * The seed is printed; the same seed and number of operations repeat a run exactly.
 */

#include <stdlib.h>
#include <time.h>

#include "model.h"

#include <kmm/inject.h>
#include <kmm/kmm.h>

static struct kmm_region region;
static struct kmm_buddy *buddy;
static struct model model;
static unsigned int passed, failed;

static u64 below(u64 n)
{
	return model_random() % n;
}

static bool one_in(u64 n)
{
	return below(n) == 0;
}

/* === Fixture === */

static void start(const struct model_layout *layout)
{
	int err;

	model_layout = layout;
	model_released = 0;
	memset(&region, 0, sizeof(region));
	buddy = calloc(1, sizeof(*buddy));
	err = kmm_region_init_ops(&region, &model_ops, 1);
	if (!err)
		err = kmm_buddy_init(buddy, &region);
	if (err)
		model_fail("init: %d, %s", err, region.why);
	model_init(&model, &region, buddy);
	buddy->ctx = &model;
	buddy->uncharge = model_uncharge;
	if (kmm_buddy_check(buddy))
		model_fail("kmm_buddy_check() after init");
	model_check_stat(&model);
	model_check_merged(&model);
}

static unsigned long layout_frames(const struct model_layout *layout)
{
	unsigned long n = 0;
	unsigned int i;

	for (i = 0; i < layout->nr; i++)
		n += layout->extent[i].nr_pages;
	return n;
}

static void check(void)
{
	unsigned long errors = harness_stat.log_err;

	if (kmm_buddy_check(buddy) || harness_stat.log_err != errors)
		model_fail("kmm_buddy_check(): %s", harness_last_log);
	model_check_stat(&model);
}

static void free_nth(unsigned long i)
{
	struct model_block blk = model_take(&model, i);

	kmm_buddy_free(buddy, pfn_to_page(blk.pfn), blk.order);
}

/* Everything goes home: then it must look as after init. */
static void finish(void)
{
	unsigned long s, leaked;

	harness_interrupt = NULL;
	harness_trylock_fail = 0;
	buddy->relieve = NULL;
	while (model.nr_blocks)
		free_nth(below(model.nr_blocks));
	for (s = 0; s < HARNESS_NR_PAGES; s++)
		while (model.pins[s])
			model_unpin(&model, HARNESS_PFN + s);
	check();
	model_check_merged(&model);
	check();
	kmm_buddy_fini(buddy);
	leaked = kmm_region_fini(&region);
	if (leaked || model_released != layout_frames(model_layout))
		model_fail("%lu frames leaked, %lu of %lu released", leaked, model_released,
			   layout_frames(model_layout));
	if (harness_stat.live)
		model_fail("%lu host allocations are left", harness_stat.live);
	free(buddy);
	model_fini(&model);
}

static struct kmm_buddy_stat stat_now(void)
{
	struct kmm_buddy_stat st;

	kmm_buddy_stat(buddy, &st, true);
	return st;
}

/* === The random run === */

static const gfp_t sleeping_gfp[] = {
	GFP_KERNEL, GFP_KERNEL, GFP_USER, GFP_NOIO, GFP_KERNEL | __GFP_NORETRY,
	GFP_KERNEL | __GFP_MEMALLOC, GFP_KERNEL | __GFP_MEMALLOC | __GFP_NOMEMALLOC,
};

static const gfp_t atomic_gfp[] = {
	GFP_ATOMIC, GFP_NOWAIT, 0, GFP_NOWAIT | __GFP_MEMALLOC,
};

static gfp_t random_gfp(bool may_sleep)
{
	gfp_t gfp = may_sleep && !one_in(4) ? sleeping_gfp[below(ARRAY_SIZE(sleeping_gfp))] :
					      atomic_gfp[below(ARRAY_SIZE(atomic_gfp))];

	gfp |= below(4) << 3;	/* mobility; both bits is no type of its own */
	if (one_in(2))
		gfp |= __GFP_NOWARN;
	return gfp;
}

static unsigned int random_order(void)
{
	u64 r = below(100);

	return r < 60 ? 0 : r < 85 ? 1 + below(3) : r < 88 ? 9 : 4 + below(7);
}

static gfp_t random_zero(unsigned int order)
{
	return one_in(8 << order) ? __GFP_ZERO : 0;
}

static unsigned long floor_of(gfp_t gfp)
{
	unsigned long min = buddy->watermark[KMM_WMARK_MIN];

	if (gfp & __GFP_NOMEMALLOC)
		return min;
	if (gfp & __GFP_MEMALLOC)
		return 0;
	return gfp & __GFP_HIGH ? min / 2 : min;
}

/* A request returned NULL and nothing else ran: was that right? */
static void check_refusal(gfp_t gfp, unsigned int order)
{
	void (*saved)(void) = harness_interrupt;
	struct kmm_buddy_stat st;
	unsigned int o, t;

	harness_interrupt = NULL;
	st = stat_now();
	harness_interrupt = saved;
	if (st.cached)
		model_fail("order %u gfp %#x fails while %lu frames are cached", order, gfp,
			   st.cached);
	if (st.free < floor_of(gfp) + (1UL << order))
		return;
	for (o = order; o < KMM_NR_ORDERS; o++)
		for (t = 0; t < KMM_NR_MIGRATETYPES; t++)
			if (st.nr_free_blocks[o][t])
				model_fail("order %u gfp %#x fails, %lu are free, one of order %u",
					   order, gfp, st.free, o);
}

static unsigned int relieve_calls;

static bool test_relieve(void *ctx, gfp_t gfp, unsigned int order)
{
	unsigned int n = below(8);

	might_sleep();
	if (ctx != &model || !gfpflags_allow_blocking(gfp) || order > KMM_MAX_ORDER)
		model_fail("relieve(%p, %#x, %u)", ctx, gfp, order);
	relieve_calls++;
	while (n-- && model.nr_blocks)
		free_nth(below(model.nr_blocks));
	return !one_in(4);
}

static unsigned long wakes;

static void test_wake(void *ctx)
{
	if (ctx != &model)
		model_fail("wake(%p)", ctx);
	wakes++;
}

static bool op_alloc(bool may_sleep)
{
	unsigned int order = random_order();
	gfp_t gfp = random_gfp(may_sleep) | random_zero(order);
	unsigned long nested = harness_stat.nested, warns = harness_stat.log_warn;
	unsigned long free = buddy->nr_free, woken = wakes;
	unsigned int calls = relieve_calls, most;
	struct page *page;

	if (one_in(500))
		order = KMM_NR_ORDERS + below(100);
	page = kmm_buddy_alloc(buddy, gfp, order);
	most = gfp & __GFP_NORETRY || order > 3 ? 1 : 8;
	if (harness_stat.nested == nested && relieve_calls - calls > most)
		model_fail("order %u gfp %#x: relieve() was called %u times", order, gfp,
			   relieve_calls - calls);
	if (harness_stat.nested == nested && buddy->wake && buddy->nr_free < free &&
	    buddy->nr_free < buddy->watermark[KMM_WMARK_LOW] && wakes == woken)
		model_fail("order %u: %lu frames free, and nobody is woken", order, buddy->nr_free);
	if (page) {
		if (order > KMM_MAX_ORDER)
			model_fail("order %u is served", order);
		model_allocated(&model, page, order, gfp);
		return true;
	}
	if (harness_stat.nested == nested && relieve_calls == calls && order <= KMM_MAX_ORDER)
		check_refusal(gfp, order);
	if (harness_stat.nested == nested && (gfp & __GFP_NOWARN) &&
	    harness_stat.log_warn != warns)
		model_fail("__GFP_NOWARN, and a warning: %s", harness_last_log);
	if (harness_stat.nested == nested && relieve_calls == calls && order <= KMM_MAX_ORDER &&
	    !(gfp & __GFP_NOWARN) && harness_stat.log_warn == warns)
		model_fail("a failure without a warning");
	return false;
}

static void op_free(void)
{
	if (model.nr_blocks)
		free_nth(below(model.nr_blocks));
}

static void op_bulk(bool may_sleep)
{
	struct page *pages[200] = { NULL };
	unsigned long n = 1 + below(ARRAY_SIZE(pages)), got, i;
	gfp_t gfp = random_gfp(may_sleep) | random_zero(0);
	unsigned long nested = harness_stat.nested;
	bool given[200] = { false };
	unsigned int calls = relieve_calls;
	unsigned long free, woken = wakes;
	struct page *own = NULL;

	/* Entries that are set are kept, as Linux's function does. */
	for (i = 0; i < 3 && one_in(3); i++) {
		own = kmm_buddy_alloc(buddy, GFP_NOWAIT, 0);
		if (!own)
			break;
		model_allocated(&model, own, 0, 0);
		pages[below(n)] = own;
	}
	for (i = 0; i < n; i++)
		given[i] = pages[i];
	free = buddy->nr_free;
	nested = harness_stat.nested;
	got = kmm_buddy_alloc_bulk(buddy, gfp, n, pages);
	if (harness_stat.nested == nested && buddy->wake && buddy->nr_free < free &&
	    buddy->nr_free < buddy->watermark[KMM_WMARK_LOW] && wakes == woken)
		model_fail("bulk: %lu frames free, and nobody is woken", buddy->nr_free);
	if (got > n)
		model_fail("bulk: %lu of %lu", got, n);
	for (i = 0; i < n; i++) {
		if (i < got && !pages[i])
			model_fail("bulk: hole at %lu of %lu", i, got);
		if (pages[i] && !given[i])
			model_allocated(&model, pages[i], 0, gfp);
	}
	if (got < n && harness_stat.nested == nested && calls == relieve_calls)
		check_refusal(gfp, 0);
	if (one_in(2)) {
		/* The newest are ours alone if nothing came in since. */
		unsigned long nr = 0;
		struct page *back[200];

		while (nr < got && model.nr_blocks) {
			struct model_block *last = &model.blocks[model.nr_blocks - 1];

			if (last->order)
				break;
			back[nr++] = pfn_to_page(last->pfn);
			model_take(&model, model.nr_blocks - 1);
		}
		kmm_buddy_free_bulk(buddy, back, nr);
	}
}

static void op_split(void)
{
	void (*saved)(void) = harness_interrupt;
	struct model_block blk, *part;
	unsigned long i, j;

	if (!model.nr_blocks)
		return;
	i = below(model.nr_blocks);
	/* What the model has of it must not change meanwhile. */
	harness_interrupt = NULL;
	blk = model.blocks[i];
	/* An order that the block does not have: refused as a free would be. */
	if (one_in(4)) {
		unsigned long stacks = harness_stat.stacks;

		do
			j = below(300);
		while (j == blk.order);
		kmm_buddy_split(buddy, pfn_to_page(blk.pfn), j);
		if (harness_stat.stacks != stacks + 1)
			model_fail("split of %#lx order %u as %lu is not reported", blk.pfn,
				   blk.order, j);
		check();
	}
	if (!blk.order || blk.order > 6) {
		harness_interrupt = saved;
		return;
	}
	model_check_contents(&blk);
	kmm_buddy_split(buddy, pfn_to_page(blk.pfn), blk.order);
	model.blocks[i] = model.blocks[--model.nr_blocks];
	model.nr_freed[blk.order]++;
	for (j = 0; j < 1UL << blk.order; j++) {
		part = &model.blocks[model.nr_blocks++];
		*part = (struct model_block) { .pfn = blk.pfn + j, .stamp = blk.stamp + j };
		model.nr_alloc[0]++;
	}
	harness_interrupt = saved;
}

static void op_owner(void)
{
	void (*saved)(void) = harness_interrupt;

	if (!model.nr_blocks)
		return;
	harness_interrupt = NULL;
	model_set_owner(&model, &model.blocks[below(model.nr_blocks)], below(MODEL_OWNERS));
	harness_interrupt = saved;
}

static void op_pin(void)
{
	const struct model_block *blk, *other;
	unsigned int i;

	if (!model.nr_blocks || model.nr_pinned > 50)
		return;
	blk = &model.blocks[below(model.nr_blocks)];
	/* large blocks are few */
	for (i = one_in(2) ? 0 : 16; i < 16; i++) {
		other = &model.blocks[below(model.nr_blocks)];
		if (other->order > blk->order)
			blk = other;
	}
	model_pin(&model, blk->pfn + below(1UL << blk->order));
}

static void op_unpin(void)
{
	unsigned long s = below(HARNESS_NR_PAGES), i;

	if (!model.nr_pinned)
		return;
	for (i = 0; i < HARNESS_NR_PAGES; i++) {
		if (model.pins[s]) {
			model_unpin(&model, HARNESS_PFN + s);
			return;
		}
		s = (s + 1) % HARNESS_NR_PAGES;
	}
}

/* A free that must be refused: reported, counted, and nothing else. */
static void expect_refused(struct page *page, unsigned int order)
{
	unsigned long errors = harness_stat.log_err, stacks = harness_stat.stacks;
	u64 bad = stat_now().event[KMM_BAD_FREE];

	kmm_buddy_free(buddy, page, order);
	if (stat_now().event[KMM_BAD_FREE] != bad + 1)
		model_fail("bad free of %#lx order %u is not counted", page_to_pfn(page), order);
	if (harness_stat.log_err == errors || harness_stat.stacks != stacks + 1)
		model_fail("bad free of %#lx order %u is not reported", page_to_pfn(page), order);
}

static void op_bad_free(void)
{
	void (*saved)(void) = harness_interrupt;
	unsigned int order = one_in(4) ? below(300) : below(KMM_NR_ORDERS);
	unsigned long s = below(HARNESS_NR_PAGES), i;

	harness_interrupt = NULL;
	if (one_in(8)) {
		expect_refused(harness_mem_map + HARNESS_NR_PAGES + below(1UL << 30), order);
	} else if (one_in(8)) {
		expect_refused(harness_mem_map - 1 - (long)below(HARNESS_PFN), order);
	} else {
		if (model.state[s] == MODEL_USED)
			for (i = 0; i < model.nr_blocks; i++)
				if (model.blocks[i].pfn == HARNESS_PFN + s &&
				    model.blocks[i].order == order)
					goto out;
		expect_refused(&harness_mem_map[s], order);
	}
	if (one_in(50))
		check();
out:
	harness_interrupt = saved;
}

static void op_range(void)
{
	void (*saved)(void) = harness_interrupt;
	unsigned long first = below(HARNESS_NR_PAGES), n = 1 + below(one_in(4) ? 3000 : 40), i;
	unsigned long busy = 0, outside = 0;
	int err;

	/* What happens meanwhile would have to be known here. */
	harness_interrupt = NULL;
	if (!one_in(8)) {
		unsigned int e = below(model_layout->nr);

		first = model_layout->extent[e].first + below(model_layout->extent[e].nr_pages);
	}
	for (i = first; i < first + n; i++) {
		if (i >= HARNESS_NR_PAGES || model.state[i] == MODEL_OUTSIDE)
			outside++;
		else if (model.state[i] != MODEL_HOME)
			busy++;
	}
	if (!busy && !outside)
		kmm_buddy_recheck_quarantine(buddy);
	err = kmm_buddy_alloc_range(buddy, HARNESS_PFN + first, HARNESS_PFN + first + n);
	if (!err) {
		for (i = 0; i < n; i++)
			model_allocated(&model, &harness_mem_map[first + i], 0, 0);
	} else if (outside) {
		if (err != -EINVAL && err != -EBUSY)
			model_fail("range outside: %d", err);
	} else if (!busy || err != -EBUSY) {
		model_fail("range %#lx + %lu: %d with %lu busy", HARNESS_PFN + first, n, err, busy);
	}
	if (one_in(20))
		check();
	harness_interrupt = saved;
}

static void op_cpus(void)
{
	unsigned int cpu = below(NR_CPUS);

	if (harness_in_irq || harness_irqs_off)
		return;
	if (cpu_online(cpu)) {
		if (num_online_cpus() == 1)
			return;
		harness_cpu_offline(cpu);
		if (!harness_interrupt && kmm_buddy_drain_cpu(buddy, cpu))
			model_fail("an offlined CPU has frames in its cache");
	} else {
		harness_cpu_online(cpu);
	}
}

/* What comes in between: an interrupt, or another CPU. */
static void nested_op(void)
{
	u64 r = below(16);

	if (r < 8)
		op_alloc(!harness_in_irq && !harness_irqs_off && preemptible());
	else if (r < 14)
		op_free();
	else if (r == 14)
		kmm_buddy_drain_cpu(buddy, below(NR_CPUS));
	else
		kmm_buddy_recheck_quarantine(buddy);
}

static unsigned long ops_done;

static void random_run(unsigned long ops)
{
	unsigned int bias = 50;
	unsigned long flags;

	for (; ops; ops--, ops_done++) {
		bool atomic = one_in(16);
		u64 r = below(1000);

		if (one_in(3000))
			bias = 20 + below(61);
		if (one_in(2000))
			harness_interrupt = one_in(2) ? nested_op : NULL;
		if (one_in(2000))
			buddy->relieve = one_in(2) ? test_relieve : NULL;
		if (one_in(2000))
			harness_trylock_fail = one_in(2) ? 4 : 0;
		if (one_in(2000))
			buddy->wake = one_in(2) ? test_wake : NULL;
		if (atomic)
			local_irq_save(flags);
		if (r < 860) {
			if (below(100) < bias)
				op_alloc(!atomic);
			else
				op_free();
		} else if (r < 870) {
			op_bulk(!atomic);
		} else if (r < 890) {
			op_range();
		} else if (r < 910) {
			op_pin();
		} else if (r < 930) {
			op_unpin();
		} else if (r < 940) {
			op_bad_free();
		} else if (r < 950) {
			op_split();
		} else if (r < 970) {
			op_owner();
		} else if (r < 985) {
			kmm_buddy_drain_cpu(buddy, below(NR_CPUS));
		} else if (r < 987) {
			kmm_buddy_drain_all(buddy);
		} else if (r < 995) {
			kmm_buddy_recheck_quarantine(buddy);
		} else if (r < 997) {
			op_cpus();
		} else if (r == 997) {
			void (*saved)(void) = harness_interrupt;

			harness_interrupt = NULL;
			check();
			if (one_in(4))
				model_check_merged(&model);
			harness_interrupt = saved;
		}
		if (atomic)
			local_irq_restore(flags);
		if (preemptible() && one_in(4)) {
			unsigned int cpu = below(NR_CPUS);

			if (cpu_online(cpu))
				harness_cpu = cpu;
		}
	}
}

/* === Named cases === */

static struct page *must_alloc(unsigned int order, gfp_t gfp)
{
	struct page *page = kmm_buddy_alloc(buddy, gfp, order);

	if (!page)
		model_fail("order %u is not served", order);
	model_allocated(&model, page, order, gfp);
	return page;
}

static void blocks_of_every_order_merge_back(void)
{
	int order;

	start(&model_layouts[0]);
	for (order = KMM_MAX_ORDER; order >= 0; order--)
		must_alloc(order, GFP_KERNEL | __GFP_ZERO);
	check();
	finish();
}

static void every_frame_can_be_had(void)
{
	unsigned long n;

	start(&model_layouts[1]);
	n = model_count(&model, MODEL_HOME);
	while (n--)
		must_alloc(0, GFP_KERNEL | __GFP_MEMALLOC | (gfp_t)below(4) << 3);
	if (kmm_buddy_alloc(buddy, GFP_KERNEL | __GFP_MEMALLOC | __GFP_NOWARN, 0))
		model_fail("more frames than there are");
	check();
	finish();
}

static void frames_of_other_cpus_are_found(void)
{
	unsigned int cpu;

	start(&model_layouts[6]);
	while (kmm_buddy_alloc(buddy, GFP_NOWAIT | __GFP_NOWARN | __GFP_MEMALLOC, 0))
		;
	/* All are used and none is in the model: take the truth from the frames' tags. */
	for (cpu = 1; cpu < NR_CPUS; cpu++) {
		struct kmm_frame *f = region.frames;
		unsigned long i;

		for (i = 0; i < region.nr_index; i++)
			if (f[i].tag == KMM_FRAME_TAG(KMM_FRAME_USED, 0))
				break;
		/* One frame into another CPU's cache; every context of this one finds it. */
		harness_cpu = cpu;
		kmm_buddy_free(buddy, kmm_region_page(&region, i), 0);
		harness_cpu = 0;
		if (stat_now().cached != 1)
			model_fail("the frame is not cached");
		local_irq_disable();
		if (!kmm_buddy_alloc(buddy, __GFP_MEMALLOC, 0))
			model_fail("an order-0 allocation fails while CPU %u caches a frame", cpu);
		local_irq_enable();
	}
	for (cpu = 0; cpu < region.nr_index; cpu++)
		if (region.frames[cpu].tag == KMM_FRAME_TAG(KMM_FRAME_USED, 0))
			kmm_buddy_free(buddy, kmm_region_page(&region, cpu), 0);
	if (kmm_buddy_check(buddy))
		model_fail("check");
	model_check_merged(&model);
	kmm_buddy_fini(buddy);
	kmm_region_fini(&region);
	free(buddy);
	model_fini(&model);
}

static struct page *race_page;
static unsigned int race_order;

static void race_free(void)
{
	harness_interrupt = NULL;
	kmm_buddy_free(buddy, race_page, race_order);
}

static void of_two_racing_frees_one_is_refused(void)
{
	unsigned int order, tries;

	start(&model_layouts[0]);
	for (order = 0; order <= KMM_MAX_ORDER; order++) {
		for (tries = 0; tries < 20; tries++) {
			u64 bad = stat_now().event[KMM_BAD_FREE];
			bool came;

			race_page = must_alloc(order, GFP_KERNEL);
			race_order = order;
			model_take(&model, model.nr_blocks - 1);
			harness_interrupt = race_free;
			kmm_buddy_free(buddy, race_page, order);
			came = !harness_interrupt;
			harness_interrupt = NULL;
			if (stat_now().event[KMM_BAD_FREE] != bad + came)
				model_fail("order %u: both frees were believed", order);
		}
	}
	check();
	finish();
}

static void pinned_extent_is_leaked(void)
{
	const struct model_layout *l = &model_layouts[4];
	unsigned long leaked, expected;

	start(l);
	expected = l->extent[1].nr_pages;
	get_page(&harness_mem_map[l->extent[1].first + 7]);
	kmm_buddy_fini(buddy);
	leaked = kmm_region_fini(&region);
	put_page(&harness_mem_map[l->extent[1].first + 7]);
	if (leaked != expected || model_released != layout_frames(l) - expected)
		model_fail("leaked %lu of %lu, released %lu", leaked, expected, model_released);
	memset(harness_mem_map, 0, sizeof(harness_mem_map));
	free(buddy);
	model_fini(&model);
}

static void auto_takes_the_first_that_serves(void)
{
	memset(&region, 0, sizeof(region));
	model_layout = &model_layouts[0];
	if (kmm_region_init(&region, "none", 1) != -EINVAL)
		model_fail("an unknown provider");
	if (kmm_region_init(&region, "contig", 1) != -EOPNOTSUPP || region.nr_extents)
		model_fail("a provider that refuses");
	memset(&region, 0, sizeof(region));
	if (kmm_region_init(&region, "auto", 1) || region.ops != &kmm_region_chunks ||
	    !region.fallback || !strstr(region.why, "not in the harness"))
		model_fail("auto: %s", region.why);
	kmm_region_fini(&region);
}

static void early_allocator_counts_as_metadata(void)
{
	unsigned long before, n, i;
	u8 *p, *q;

	memset(&region, 0, sizeof(region));
	model_layout = &model_layouts[0];
	buddy = calloc(1, sizeof(*buddy));
	if (kmm_region_init_ops(&region, &model_ops, 1))
		model_fail("init");
	before = region.early_frames;
	p = kmm_region_early_alloc(&region, 3 * PAGE_SIZE + 5, PAGE_SIZE);
	q = kmm_region_early_alloc(&region, 100, 64);
	if (!p || !q || (unsigned long)p % PAGE_SIZE || (unsigned long)q % 64 ||
	    q < p + 3 * PAGE_SIZE + 5)
		model_fail("early: %p %p", p, q);
	for (i = 0; i < 3 * PAGE_SIZE + 5; i++)
		if (p[i])
			model_fail("early memory is not zero");
	memset(p, 0xff, 3 * PAGE_SIZE + 5);
	memset(q, 0xee, 100);
	if (kmm_region_early_alloc(&region, 64 << 20, 8) || kmm_region_early_alloc(&region, 0, 8))
		model_fail("early: more than there is, or nothing, is served");
	if (kmm_region_init_window(&region, 100) || !region.window || harness_stat.live_vmap != 1)
		model_fail("window");
	n = region.early_frames;
	if (n < before + 4 || n > before + 6)
		model_fail("early: %lu frames, %lu before", n, before);
	if (kmm_buddy_init(buddy, &region) || kmm_region_early_alloc(&region, 1, 1))
		model_fail("the early allocator is open after mem_init");
	if (stat_now().metadata < n || kmm_buddy_check(buddy))
		model_fail("metadata %lu of %lu", stat_now().metadata, n);
	for (i = 0; i < 3 * PAGE_SIZE + 5; i++)
		if (p[i] != 0xff)
			model_fail("early memory was written to");
	kmm_buddy_fini(buddy);
	kmm_region_fini_window(&region);
	if (kmm_region_fini(&region) || harness_stat.live_vmap || harness_stat.live)
		model_fail("something is left");
	free(buddy);
}

/* Each host allocation and each injection point fails once; nothing may stay. */
static void every_failure_of_init_leaves_nothing(void)
{
	unsigned int kind, n, failures[2] = { 0 };

	for (kind = 0; kind < 2; kind++) {
		for (n = 1;; n++) {
			int err;

			memset(&region, 0, sizeof(region));
			memset(harness_mem_map, 0, sizeof(harness_mem_map));
			model_layout = &model_layouts[3];
			model_released = 0;
			buddy = calloc(1, sizeof(*buddy));
			if (kind)
				harness_fail_alloc = n;
			else
				model_inject = n;
			err = kmm_region_init_ops(&region, &model_ops, 1);
			if (!err) {
				err = kmm_region_init_window(&region, 64);
				if (!err) {
					err = kmm_buddy_init(buddy, &region);
					if (!err)
						kmm_buddy_fini(buddy);
					kmm_region_fini_window(&region);
				}
				kmm_region_fini(&region);
				if (model_released != layout_frames(model_layout))
					model_fail("failure %u: %lu frames released", n,
						   model_released);
			}
			free(buddy);
			if (harness_stat.live || harness_stat.live_vmap)
				model_fail("failure %u leaves %lu allocations, %lu windows", n,
					   harness_stat.live, harness_stat.live_vmap);
			if (!err) {
				if (kind ? !harness_fail_alloc : !model_inject)
					model_fail("failure %u was ignored", n);
				break;
			}
			failures[kind]++;
		}
		model_inject = 0;
		harness_fail_alloc = 0;
	}
	if (failures[0] < 3 || failures[1] < 3)
		model_fail("only %u and %u failure points", failures[0], failures[1]);
	printf("# %u injected and %u host allocation failures\n", failures[0], failures[1]);
}

/* === Does it see faults? === */

/* kmm_buddy_check() must find what @corrupt does, and nothing after it is undone. */
#define EXPECT_FOUND(corrupt, undo) do { \
	unsigned long n; \
	corrupt; \
	n = kmm_buddy_check(buddy); \
	undo; \
	if (!n) \
		model_fail("%s", "kmm_buddy_check() does not see: " #corrupt); \
	if (kmm_buddy_check(buddy)) \
		model_fail("%s", "not undone: " #corrupt); \
	planted++; \
} while (0)

static void check_sees_planted_faults(void)
{
	struct kmm_frame *used, *tail, *f = NULL, saved;
	struct page *page;
	unsigned int planted = 0, o, t;
	u8 mt;

	start(&model_layouts[0]);
	page = must_alloc(3, GFP_KERNEL);
	must_alloc(0, GFP_KERNEL);
	free_nth(model.nr_blocks - 1);
	used = kmm_region_frame(&region, page_to_pfn(page));
	tail = used + 5;
	for (o = 0; o < KMM_NR_ORDERS && !f; o++)
		for (t = 0; t < KMM_NR_MIGRATETYPES && !f; t++)
			if (buddy->free[o][t].first != KMM_LIST_END)
				f = region.frames + buddy->free[o][t].first;
	saved = *f;
	mt = region.pageblock_mt[kmm_region_index(&region, f) >> KMM_PAGEBLOCK_ORDER];
	o = kmm_frame_order(f);
	t = f->mt;

	EXPECT_FOUND(used->tag = KMM_FRAME_TAG(KMM_FRAME_TAIL, 0),
		     used->tag = KMM_FRAME_TAG(KMM_FRAME_USED, 3));
	EXPECT_FOUND(used->tag = KMM_FRAME_TAG(KMM_FRAME_USED, 4),
		     used->tag = KMM_FRAME_TAG(KMM_FRAME_USED, 3));
	EXPECT_FOUND(used->tag = KMM_FRAME_TAG(KMM_FRAME_USED, 2),
		     used->tag = KMM_FRAME_TAG(KMM_FRAME_USED, 3));
	EXPECT_FOUND(used->tag = KMM_FRAME_TAG(KMM_FRAME_FREE, 3),
		     used->tag = KMM_FRAME_TAG(KMM_FRAME_USED, 3));
	EXPECT_FOUND(used->tag = KMM_FRAME_TAG(KMM_FRAME_CACHED, 3),
		     used->tag = KMM_FRAME_TAG(KMM_FRAME_USED, 3));
	EXPECT_FOUND(tail->tag = KMM_FRAME_TAG(KMM_FRAME_USED, 0),
		     tail->tag = KMM_FRAME_TAG(KMM_FRAME_TAIL, 0));
	EXPECT_FOUND(tail->tag = KMM_FRAME_TAG(KMM_FRAME_FREE, 0),
		     tail->tag = KMM_FRAME_TAG(KMM_FRAME_TAIL, 0));
	EXPECT_FOUND(tail->tag = KMM_FRAME_TAG(KMM_FRAME_QUARANTINED, 0),
		     tail->tag = KMM_FRAME_TAG(KMM_FRAME_TAIL, 0));
	EXPECT_FOUND(tail->tag = KMM_FRAME_TAG(KMM_FRAME_ABSENT, 0),
		     tail->tag = KMM_FRAME_TAG(KMM_FRAME_TAIL, 0));
	EXPECT_FOUND(f->tag = KMM_FRAME_TAG(KMM_FRAME_USED, o), *f = saved);
	EXPECT_FOUND(f->tag ^= 1, *f = saved);
	EXPECT_FOUND(f->mt = (f->mt + 1) % KMM_NR_MIGRATETYPES, *f = saved);
	EXPECT_FOUND(region.pageblock_mt[kmm_region_index(&region, f) >> KMM_PAGEBLOCK_ORDER] =
		     (mt + 1) % KMM_NR_MIGRATETYPES,
		     region.pageblock_mt[kmm_region_index(&region, f) >> KMM_PAGEBLOCK_ORDER] = mt);
	EXPECT_FOUND(buddy->nr_free++, buddy->nr_free--);
	EXPECT_FOUND(buddy->free[o][t].nr++, buddy->free[o][t].nr--);
	EXPECT_FOUND(f->prev = kmm_region_index(&region, used), *f = saved);
	EXPECT_FOUND(buddy->free[o][t].first = KMM_LIST_END,
		     buddy->free[o][t].first = kmm_region_index(&region, f));
	EXPECT_FOUND(buddy->nr_quarantined++, buddy->nr_quarantined--);
	EXPECT_FOUND(region.frames[0].tag ^= 0x100, region.frames[0].tag ^= 0x100);
	printf("# %u planted faults found\n", planted);
	finish();
}

/* The model must say no to each of these. */
#define EXPECT_NO(text, ...) do { \
	const char *what = text; \
	jmp_buf env; \
	unsigned long live = model.nr_blocks; \
	model_expect = &env; \
	if (!setjmp(env)) { \
		__VA_ARGS__; \
		model_expect = NULL; \
		model_fail("the model accepts: %s", what); \
	} \
	model_expect = NULL; \
	if (!strstr(model_message, what)) \
		model_fail("expected '%s', got '%s'", what, model_message); \
	model.nr_blocks = live; \
} while (0)

static struct model model_saved;

static void model_sees_planted_faults(void)
{
	struct page *page;
	struct model_block *blk;

	start(&model_layouts[0]);
	page = must_alloc(2, GFP_KERNEL);
	blk = &model.blocks[0];
	model_saved = model;
	EXPECT_NO("in state", model_allocated(&model, page, 0, 0));
	EXPECT_NO("in state", model_allocated(&model, page + 3, 0, 0));
	EXPECT_NO("in state", model_allocated(&model, page, 2, 0));
	EXPECT_NO("not aligned", model_allocated(&model, page + 1, 1, 0));
	EXPECT_NO("in state", model_allocated(&model, harness_mem_map, 0, 0));
	EXPECT_NO("in state", model_allocated(&model,
					      virt_to_page(region.frames), 0, 0));
	((char *)page_address(page + 2))[PAGE_SIZE - 1] ^= 1;
	EXPECT_NO("was written to", model_take(&model, 0));
	((char *)page_address(page + 2))[PAGE_SIZE - 1] ^= 1;
	kmm_buddy_free(buddy, page, 2);
	EXPECT_NO("used: 0", model_check_stat(&model));
	/* dirty frames that are claimed to be zero */
	model_take(&model, 0);
	EXPECT_NO("is not zero", model_allocated(&model, page, 2, __GFP_ZERO));
	model = model_saved;
	model_take(&model, 0);
	get_page(page + 1);
	EXPECT_NO("2 references", model_allocated(&model, page, 2, 0));
	put_page(page + 1);
	model = model_saved;
	model_take(&model, 0);
	/* a merge that was not made: the bitmap has a larger block than the lists */
	model.state[page_to_pfn(page) - HARNESS_PFN + 1] = MODEL_USED;
	EXPECT_NO("free blocks, the bitmap has", model_check_merged(&model));
	model.state[page_to_pfn(page) - HARNESS_PFN + 1] = MODEL_HOME;
	EXPECT_NO("owner 1", model_uncharge(&model, 1, 1));
	model.uncharged[1] = 0;
	(void)blk;
	finish();
}

/* === Main === */

static const struct {
	const char *name;
	void (*fn)(void);
} cases[] = {
#define CASE(fn) { #fn, fn }
	CASE(auto_takes_the_first_that_serves),
	CASE(early_allocator_counts_as_metadata),
	CASE(every_failure_of_init_leaves_nothing),
	CASE(pinned_extent_is_leaked),
	CASE(blocks_of_every_order_merge_back),
	CASE(every_frame_can_be_had),
	CASE(frames_of_other_cpus_are_found),
	CASE(of_two_racing_frees_one_is_refused),
	CASE(check_sees_planted_faults),
	CASE(model_sees_planted_faults),
};

static void report(bool ok, const char *name)
{
	if (ok)
		passed++;
	else
		failed++;
	printf("%s %u %s\n", ok ? "ok" : "not ok", passed + failed, name);
	fflush(stdout);
}

static const char *running = "random_against_model";

/* A failed check ends the run: what follows would only be its consequence. */
static void dying(void)
{
	report(false, running);
	printf("%u passed, %u failed\n", passed, failed);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	u64 seed = (u64)time(NULL) * 1000003 % 1000000007;
	unsigned long ops = 2000000, layouts[16] = { 0 }, n;
	char name[160];
	unsigned int i;

	for (i = 1; i < (unsigned int)argc; i++) {
		if (!strcmp(argv[i], "--verbose")) {
			harness_verbose = true;
		} else if (!strcmp(argv[i], "--seed") && i + 1 < (unsigned int)argc) {
			seed = strtoull(argv[++i], NULL, 0);
		} else if (!strcmp(argv[i], "--ops") && i + 1 < (unsigned int)argc) {
			ops = strtoul(argv[++i], NULL, 0);
		} else {
			fprintf(stderr, "usage: %s [--seed N] [--ops N] [--verbose]\n", argv[0]);
			return 2;
		}
	}
	printf("# seed %llu ops %lu\n", seed, ops);
	fflush(stdout);
	model_seed(seed);
	harness_random = model_random;
	harness_dying = dying;
	if (kmm_buddy_setup())
		model_fail("kmm_buddy_setup()");

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		running = cases[i].name;
		cases[i].fn();
		report(true, running);
	}
	running = "random_against_model";

	while (ops_done < ops) {
		unsigned int l = below(model_nr_layouts);

		n = min(ops - ops_done, 20000 + (unsigned long)below(80000));
		start(&model_layouts[l]);
		random_run(n);
		finish();
		layouts[l] += n;
	}
	for (i = 0; i < model_nr_layouts; i++) {
		snprintf(name, sizeof(name), "random_against_model # %lu operations, %s",
			 layouts[i], model_layouts[i].name);
		if (layouts[i])
			report(true, name);
	}
	harness_online = (1UL << NR_CPUS) - 1;
	kmm_buddy_teardown();
	printf("# %lu operations, %lu came in between, %u relieve, %lu wake, %lu refused frees\n",
	       ops_done, harness_stat.nested, relieve_calls, wakes, harness_stat.stacks);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
