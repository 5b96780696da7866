// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_slab
 *
 * The slab allocator, on private instances: fake region, buddy, slab allocator (helpers.c). A case
 * is a property. Load, contexts and CPUs are in slab_load_kunit.c.
 *
 * Two layouts. In kmm_layout_one addresses have no gap, so frees take the fast path; in
 * kmm_layout_odd granules are missing, so every free takes the slow one. What must hold for both
 * runs on both.
 *
 * Objects are told apart by what is in them: each is filled with a byte that its neighbours do not
 * have. Objects that overlapped would not keep it.
 *
 * Reports of refused frees are rate limited (ten in five seconds): each of the cases that plant
 * them waits until the limit is fresh. Reports of damage are not limited.
 *
 * The switches (slab_hardened, init_on_*) are the module's own: a case sets them by
 * kmm_hardening_set(), the suite's exit puts them back.
 */

#include <linux/cpu.h>
#include <linux/mm.h>
#include <linux/poison.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include <kmm/hardening.h>
#include <kmm/inject.h>
#include <kmm/report.h>
#include <kmm/slab.h>

#include "helpers.h"

#define MAX_OBJECTS	2048

static const struct kmm_test_layout * const both_layouts[] = {
	&kmm_layout_one, &kmm_layout_odd,
};

/* Switches before the suite changed them. */
static unsigned int switches;

static int slab_init(struct kunit *test)
{
	switches = kmm_hardening_set(0);
	return 0;
}

static void slab_exit(struct kunit *test)
{
	kmm_hardening_set(switches);
	kmm_test_exit(test);
}

/* === Small helpers === */

/* Never 0: that is what a zeroed object has. */
static u8 tag_of(unsigned int i)
{
	return 1 + i % 251;
}

static void **object_array(struct kunit *test)
{
	void **obj = kunit_kcalloc(test, MAX_OBJECTS, sizeof(*obj), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, obj);
	return obj;
}

/* Take @nr objects, fill each with its own byte. */
static void take(struct kunit *test, struct kmm_cache *s, void **obj, unsigned int nr)
{
	unsigned int i;

	KUNIT_ASSERT_LE(test, nr, MAX_OBJECTS);
	for (i = 0; i < nr; i++) {
		obj[i] = kmm_cache_alloc(s, KMM_QUIET);
		KUNIT_ASSERT_NOT_NULL_MSG(test, obj[i], "object %u of %u bytes", i,
					  s->object_size);
		memset(obj[i], tag_of(i), s->object_size);
	}
}

/* Objects whose contents are not what take() wrote. */
static unsigned int spoilt(struct kmm_cache *s, void **obj, unsigned int nr)
{
	unsigned int i, bad = 0;

	for (i = 0; i < nr; i++)
		bad += !!memchr_inv(obj[i], tag_of(i), s->object_size);
	return bad;
}

static void give(struct kmm_cache *s, void **obj, unsigned int nr)
{
	while (nr--)
		kmm_cache_free(s, obj[nr]);
}

static void shuffle(void **obj, unsigned int nr)
{
	struct rnd_state rnd;
	u32 other;

	prandom_seed_state(&rnd, kmm_test_seed);
	for (; nr > 1; nr--) {
		other = kmm_below(&rnd, nr);
		swap(obj[nr - 1], obj[other]);
	}
}

static void shrink(struct kmm_cache *s)
{
	cpus_read_lock();
	kmm_slab_cache_shrink(s);
	cpus_read_unlock();
}

static bool all_zero(const void *p, size_t n)
{
	return !memchr_inv(p, 0, n);
}

/* === Sizes, alignment === */

static void one_size(struct kunit *test, unsigned int size, slab_flags_t flags, void **obj)
{
	struct kmm_cache *s = kmm_test_cache(test, size, 0, flags, NULL);
	unsigned int nr = min(3 * s->nr_per_slab + 1, 400U), i;

	KUNIT_EXPECT_EQ(test, kmm_cache_size(s), size);
	take(test, s, obj, nr);
	KUNIT_EXPECT_EQ_MSG(test, spoilt(s, obj, nr), 0, "size %u", size);
	KUNIT_EXPECT_EQ_MSG(test, kmm_test_active(s), nr, "size %u", size);
	for (i = 0; i < nr; i++)
		if (!IS_ALIGNED((unsigned long)obj[i], sizeof(long)) ||
		    kmm_slab_cache_of(s->slab, obj[i]) != s ||
		    kmm_slab_object_start(s, obj[i] + size - 1) != obj[i] ||
		    kmm_slab_object_is_free(s, obj[i]))
			KUNIT_FAIL(test, "size %u: object %u at %p", size, i, obj[i]);
	shuffle(obj, nr);
	give(s, obj, nr);
	KUNIT_EXPECT_EQ_MSG(test, kmm_slab_check(s), 0, "size %u", size);
	KUNIT_EXPECT_EQ_MSG(test, kmm_test_active(s), 0, "size %u", size);
	KUNIT_EXPECT_EQ_MSG(test, kmm_slab_cache_destroy(s), 0, "size %u", size);
}

static void every_size_has_its_objects(struct kunit *test)
{
	static const unsigned int sizes[] = {
		1, 2, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 40, 63, 64, 65, 96, 100, 128, 192, 200,
		256, 257, 320, 500, 512, 700, 1000, 1024, 1500, 2048, 3000, 4095, 4096, 4097, 6000,
		8191, 8192,
	};
	void **obj = object_array(test);
	unsigned int i, l;

	for (l = 0; l < ARRAY_SIZE(both_layouts); l++) {
		kmm_test_begin_slab(test, both_layouts[l]);
		for (i = 0; i < ARRAY_SIZE(sizes); i++)
			one_size(test, sizes[i], 0, obj);
		kmm_test_end_slab(test);
	}
}

/* The same with everything that changes the layout of an object or of a slab. */
static void every_size_under_every_debug_flag(struct kunit *test)
{
	static const unsigned int sizes[] = { 1, 8, 13, 64, 100, 1000, 4096, 8192 };
	static const slab_flags_t flags[] = {
		0, SLAB_RED_ZONE, SLAB_POISON, SLAB_STORE_USER, SLAB_TYPESAFE_BY_RCU,
		SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER | SLAB_HWCACHE_ALIGN,
	};
	void **obj = object_array(test);
	unsigned int i, f, hard;

	kmm_test_begin_slab(test, &kmm_layout_one);
	for (hard = 0; hard < 2; hard++) {
		kmm_hardening_set(hard ? KMM_SLAB_HARDENED : 0);
		for (i = 0; i < ARRAY_SIZE(sizes); i++)
			for (f = 0; f < ARRAY_SIZE(flags); f++)
				one_size(test, sizes[i], flags[f], obj);
	}
	kmm_test_end_slab(test);
}

static void expect_aligned(struct kunit *test, struct kmm_cache *s, unsigned int align)
{
	unsigned int i, bad = 0;
	void *obj[16];

	for (i = 0; i < ARRAY_SIZE(obj); i++) {
		obj[i] = kmm_cache_alloc(s, KMM_QUIET);
		KUNIT_ASSERT_NOT_NULL(test, obj[i]);
		bad += !IS_ALIGNED((unsigned long)obj[i], align);
	}
	KUNIT_EXPECT_EQ_MSG(test, bad, 0, "size %u align %u", s->object_size, align);
	give(s, obj, ARRAY_SIZE(obj));
	KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
}

static void objects_are_aligned(struct kunit *test)
{
	unsigned int align, line = cache_line_size();

	kmm_test_begin_slab(test, &kmm_layout_one);
	for (align = 1; align <= PAGE_SIZE << KMM_SLAB_MAX_ORDER; align *= 2)
		expect_aligned(test, kmm_test_cache(test, 40, align, 0, NULL), align);
	/* a line where more than half of one is used, else as many to a line as fit */
	expect_aligned(test, kmm_test_cache(test, line + 1, 0, SLAB_HWCACHE_ALIGN, NULL), line);
	expect_aligned(test, kmm_test_cache(test, line / 2 + 1, 0, SLAB_HWCACHE_ALIGN, NULL), line);
	expect_aligned(test, kmm_test_cache(test, line / 4 + 1, 0, SLAB_HWCACHE_ALIGN, NULL),
		       line / 2);
	kmm_test_end_slab(test);
}

static void caches_that_cannot_be_are_refused(struct kunit *test)
{
	static const struct kmm_cache_args args[] = {
		{ .name = NULL, .size = 8 },
		{ .name = "no size" },
		{ .name = "too large", .size = KMM_KMALLOC_MAX_CACHE + 1 },
		{ .name = "too large", .size = UINT_MAX },
		{ .name = "align", .size = 8, .align = 3 },
		{ .name = "align", .size = 8, .align = PAGE_SIZE << (KMM_SLAB_MAX_ORDER + 1) },
		{ .name = "user", .size = 8, .useroffset = 9 },
		{ .name = "user", .size = 8, .useroffset = 4, .usersize = 5 },
		{ .name = "user", .size = 8, .useroffset = 4, .usersize = UINT_MAX },
	};
	/* with its bit behind it, an object does not fit into the largest slab */
	const struct kmm_cache_args full = {
		.name = "full", .size = 8, .align = PAGE_SIZE << KMM_SLAB_MAX_ORDER,
	};
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_one);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(args); i++)
		KUNIT_EXPECT_EQ_MSG(test, PTR_ERR(kmm_slab_cache_create(&t->slab, &args[i])),
				    -EINVAL, "%u", i);
	kmm_hardening_set(KMM_SLAB_HARDENED);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kmm_slab_cache_create(&t->slab, &full)), -EINVAL);
	kmm_test_end_slab(test);
}

/* === Contents === */

static void zeroed_objects_are_zero(struct kunit *test)
{
	static const slab_flags_t flags[] = { 0, SLAB_POISON | SLAB_RED_ZONE, SLAB_STORE_USER };
	void **obj = object_array(test);
	unsigned int f, i, nr = 300, bad;

	kmm_test_begin_slab(test, &kmm_layout_one);
	for (f = 0; f < ARRAY_SIZE(flags); f++) {
		struct kmm_cache *s = kmm_test_cache(test, 72, 0, flags[f], NULL);

		take(test, s, obj, nr);
		give(s, obj, nr);
		for (i = 0, bad = 0; i < nr; i++) {
			obj[i] = kmm_cache_zalloc(s, KMM_QUIET);
			bad += !obj[i] || !all_zero(obj[i], 72);
		}
		KUNIT_EXPECT_EQ_MSG(test, bad, 0, "flags %u", f);
		give(s, obj, nr);
		KUNIT_ASSERT_EQ(test, kmm_cache_alloc_bulk(s, KMM_QUIET | __GFP_ZERO, nr, obj), nr);
		for (i = 0, bad = 0; i < nr; i++)
			bad += !all_zero(obj[i], 72);
		KUNIT_EXPECT_EQ_MSG(test, bad, 0, "bulk, flags %u", f);
		kmm_cache_free_bulk(s, nr, obj);
		KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	}
	kmm_test_end_slab(test);
}

/* Objects that were filled and freed: are they zero when they come again? */
static unsigned int not_zero_again(struct kunit *test, struct kmm_cache *s, void **obj)
{
	unsigned int i, bad = 0;

	take(test, s, obj, 100);
	give(s, obj, 100);
	for (i = 0; i < 100; i++) {
		obj[i] = kmm_cache_alloc(s, KMM_QUIET);
		KUNIT_ASSERT_NOT_NULL(test, obj[i]);
		bad += !all_zero(obj[i], s->object_size);
	}
	give(s, obj, 100);
	return bad;
}

static void init_on_alloc_and_free_zero_objects(struct kunit *test)
{
	void **obj = object_array(test);
	struct kmm_cache *s, *typesafe, *poison;

	kmm_test_begin_slab(test, &kmm_layout_one);
	s = kmm_test_cache(test, 64, 0, 0, NULL);
	typesafe = kmm_test_cache(test, 64, 0, SLAB_TYPESAFE_BY_RCU, NULL);
	poison = kmm_test_cache(test, 64, 0, SLAB_POISON, NULL);
	KUNIT_EXPECT_EQ(test, not_zero_again(test, s, obj), 100);
	kmm_hardening_set(KMM_INIT_ON_ALLOC);
	KUNIT_EXPECT_EQ(test, not_zero_again(test, s, obj), 0);
	kmm_hardening_set(KMM_INIT_ON_FREE);
	KUNIT_EXPECT_EQ(test, not_zero_again(test, s, obj), 0);
	/* contents that readers or poison rely on are left alone */
	kmm_hardening_set(KMM_INIT_ON_ALLOC | KMM_INIT_ON_FREE);
	KUNIT_EXPECT_EQ(test, not_zero_again(test, typesafe, obj), 100);
	KUNIT_EXPECT_EQ(test, not_zero_again(test, poison, obj), 100);
	kmm_hardening_set(0);
	kmm_test_end_slab(test);
}

#define CTOR_WORD	0xc0ffeeUL
static unsigned long ctor_calls;

static void count_ctor(void *obj)
{
	ctor_calls++;
	memset(obj, 0, 40);
	*(unsigned long *)obj = CTOR_WORD;
}

static void constructor_runs_once_per_object(struct kunit *test)
{
	void **obj = object_array(test);
	unsigned int i, bad = 0, seen = 0, nr;
	struct kmm_cache *s;

	kmm_test_begin_slab(test, &kmm_layout_one);
	ctor_calls = 0;
	s = kmm_test_cache(test, 40, 0, 0, count_ctor);
	nr = 3 * s->nr_per_slab;
	for (i = 0; i < nr; i++) {
		obj[i] = kmm_cache_alloc(s, KMM_QUIET);
		KUNIT_ASSERT_NOT_NULL(test, obj[i]);
		bad += *(unsigned long *)obj[i] != CTOR_WORD ||
		       !all_zero(obj[i] + sizeof(long), 40 - sizeof(long));
		memset(obj[i] + sizeof(long), 0x77, 40 - sizeof(long));
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_EQ(test, ctor_calls, kmm_test_slabs(s) * s->nr_per_slab);
	/* what a client leaves in an object is there when it comes again */
	give(s, obj, nr);
	for (i = 0; i < nr; i++) {
		obj[i] = kmm_cache_alloc(s, KMM_QUIET);
		KUNIT_ASSERT_NOT_NULL(test, obj[i]);
		bad += *(unsigned long *)obj[i] != CTOR_WORD;
		seen += !memchr_inv(obj[i] + sizeof(long), 0x77, 40 - sizeof(long));
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_GT(test, seen, 0);
	KUNIT_EXPECT_EQ(test, ctor_calls, kmm_test_slabs(s) * s->nr_per_slab);
	give(s, obj, nr);
	/* a slab that went and came is a new one */
	shrink(s);
	ctor_calls = 0;
	obj[0] = kmm_cache_alloc(s, KMM_QUIET);
	KUNIT_ASSERT_NOT_NULL(test, obj[0]);
	KUNIT_EXPECT_EQ(test, ctor_calls, s->nr_per_slab);
	give(s, obj, 1);
	kmm_test_end_slab(test);
}

/* Pages that a reader may still look at: nobody gets them, whatever is asked for. */
static void typesafe_memory_outlives_readers(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_one);
	struct page **pages = kunit_kcalloc(test, 1024, sizeof(*pages), GFP_KERNEL);
	unsigned int nr = 256, i, j, taken = 0, reused = 0, changed = 0;
	void **obj = object_array(test);
	unsigned long used, slabs;
	struct kmm_cache *s;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	s = kmm_test_cache(test, 4096 - 8, 0, SLAB_TYPESAFE_BY_RCU, NULL);
	take(test, s, obj, nr);
	used = kmm_test_used(t);
	slabs = kmm_test_slabs(s);

	rcu_read_lock();
	give(s, obj, nr);
	slabs -= kmm_test_slabs(s);
	while (taken < 1024) {
		pages[taken] = kmm_buddy_alloc(&t->buddy, KMM_GRAB, 0);
		if (!pages[taken])
			break;
		memset(page_address(pages[taken++]), 0, PAGE_SIZE);
	}
	for (i = 0; i < nr; i++) {
		for (j = 0; j < taken; j++)
			reused += virt_to_page(obj[i]) == pages[j];
		changed += !!memchr_inv(obj[i], tag_of(i), s->object_size);
	}
	for (j = 0; j < taken; j++)
		kmm_buddy_free(&t->buddy, pages[j], 0);
	rcu_read_unlock();

	KUNIT_EXPECT_GT(test, slabs, 0);	/* some have left the cache */
	KUNIT_EXPECT_GT(test, taken, 100);
	KUNIT_EXPECT_EQ(test, reused, 0);
	KUNIT_EXPECT_EQ(test, changed, 0);
	rcu_barrier();
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), used - (slabs << s->order));
	KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	kmm_test_end_slab(test);
}

/* === Bulk === */

static void bulk_gives_and_takes_mixed_pages(struct kunit *test)
{
	void **obj = object_array(test);
	unsigned int l, nr = 1500;
	struct kmm_cache *s;

	for (l = 0; l < ARRAY_SIZE(both_layouts); l++) {
		kmm_test_begin_slab(test, both_layouts[l]);
		s = kmm_test_cache(test, 64, 0, 0, NULL);
		KUNIT_ASSERT_EQ(test, kmm_cache_alloc_bulk(s, KMM_QUIET, nr, obj), nr);
		KUNIT_EXPECT_EQ(test, kmm_test_active(s), nr);
		for (unsigned int i = 0; i < nr; i++)
			memset(obj[i], tag_of(i), 64);
		KUNIT_EXPECT_EQ(test, spoilt(s, obj, nr), 0);
		shuffle(obj, nr);
		kmm_cache_free_bulk(s, nr - 1, obj);
		KUNIT_EXPECT_EQ(test, kmm_test_active(s), 1);
		KUNIT_EXPECT_EQ(test, kmm_slab_check(s), 0);
		/* NULL is nothing, wherever it stands */
		obj[1] = obj[nr - 1];
		obj[0] = NULL;
		obj[2] = NULL;
		kmm_cache_free_bulk(s, 3, obj);
		KUNIT_EXPECT_EQ(test, kmm_test_active(s), 0);
		KUNIT_EXPECT_EQ(test, kmm_cache_alloc_bulk(s, KMM_QUIET, 0, obj), 0);
		kmm_test_end_slab(test);
	}
}

static void bulk_is_all_or_nothing(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_one);
	unsigned int nr = (SZ_4M / 4096) + 1;
	void **obj = object_array(test);
	struct kmm_cache *s;

	s = kmm_test_cache(test, 4096, 0, 0, NULL);
	KUNIT_EXPECT_EQ(test, kmm_cache_alloc_bulk(s, KMM_QUIET, nr, obj), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_active(s), 0);
	KUNIT_EXPECT_EQ(test, kmm_slab_check(s), 0);
	KUNIT_EXPECT_EQ(test, kmm_cache_alloc_bulk(s, KMM_QUIET, 100, obj), 100);
	kmm_cache_free_bulk(s, 100, obj);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->slab.nr_bad), 0);
	kmm_test_end_slab(test);
}

/* === kmalloc === */

static void one_kmalloc(struct kunit *test, size_t size)
{
	struct kmm_test *t = test->priv;
	void *p = kmm_slab_kmalloc(&t->slab, size, KMM_QUIET);
	size_t full = kmm_slab_ksize(&t->slab, p);

	KUNIT_ASSERT_FALSE_MSG(test, ZERO_OR_NULL_PTR(p), "size %zu", size);
	KUNIT_EXPECT_GE_MSG(test, full, size, "size %zu", size);
	KUNIT_EXPECT_LE_MSG(test, full, max_t(size_t, 2 * size, 8), "size %zu", size);
	if (is_power_of_2(size))
		KUNIT_EXPECT_TRUE_MSG(test, IS_ALIGNED((unsigned long)p, size), "size %zu", size);
	memset(p, 0xe5, full);
	KUNIT_EXPECT_EQ(test, kmm_slab_usercopy_ok(&t->slab, p, full), true);
	kmm_slab_kfree(&t->slab, p);
	p = kmm_slab_kmalloc(&t->slab, size, KMM_QUIET | __GFP_ZERO);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_TRUE_MSG(test, all_zero(p, size), "size %zu", size);
	kmm_slab_kfree(&t->slab, p);
}

static void kmalloc_serves_every_size(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_plain);
	static const size_t class[KMM_KMALLOC_NR] = {
		8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192,
	};
	size_t size, want;
	unsigned int i;

	KUNIT_EXPECT_PTR_EQ(test, kmm_slab_kmalloc(&t->slab, 0, KMM_QUIET), ZERO_SIZE_PTR);
	KUNIT_EXPECT_EQ(test, kmm_slab_ksize(&t->slab, ZERO_SIZE_PTR), 0);
	KUNIT_EXPECT_EQ(test, kmm_slab_ksize(&t->slab, NULL), 0);
	kmm_slab_kfree(&t->slab, ZERO_SIZE_PTR);
	kmm_slab_kfree(&t->slab, NULL);
	/* the class is the smallest that holds it */
	for (size = 1, i = 0; size <= KMM_KMALLOC_MAX_CACHE; size++) {
		if (size > class[i])
			i++;
		want = t->slab.kmalloc[kmm_kmalloc_index(size)]->object_size;
		if (want != class[i])
			KUNIT_FAIL(test, "size %zu: class of %zu, not %zu", size, want, class[i]);
	}
	for (size = 1; size <= SZ_4M; size *= 2) {
		one_kmalloc(test, size);
		if (size > 2)
			one_kmalloc(test, size - 1);
		if (size < SZ_4M)
			one_kmalloc(test, size + 1);
		if (size > 2 && size < SZ_4M)
			one_kmalloc(test, size + size / 2);
	}
	KUNIT_EXPECT_NULL(test, kmm_slab_kmalloc(&t->slab, SZ_4M + 1, KMM_QUIET));
	KUNIT_EXPECT_NULL(test, kmm_slab_kmalloc(&t->slab, SIZE_MAX, KMM_QUIET));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->slab.nr_bad), 0);
	kmm_test_end_slab(test);
}

static void usercopy_stays_in_the_objects_range(struct kunit *test)
{
	const struct kmm_cache_args args = {
		.name = "user", .size = 100, .useroffset = 16, .usersize = 32,
	};
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_one);
	struct kmm_cache *s = kmm_slab_cache_create(&t->slab, &args);
	struct kmm_cache *none;
	void *p, *q;

	KUNIT_ASSERT_FALSE(test, IS_ERR(s));
	none = kmm_test_cache(test, 100, 0, 0, NULL);
	p = kmm_cache_alloc(s, KMM_QUIET);
	q = kmm_cache_alloc(none, KMM_QUIET);
	KUNIT_ASSERT_TRUE(test, p && q);
	KUNIT_EXPECT_TRUE(test, kmm_slab_usercopy_ok(&t->slab, p + 16, 32));
	KUNIT_EXPECT_TRUE(test, kmm_slab_usercopy_ok(&t->slab, p + 47, 1));
	KUNIT_EXPECT_FALSE(test, kmm_slab_usercopy_ok(&t->slab, p + 15, 2));
	KUNIT_EXPECT_FALSE(test, kmm_slab_usercopy_ok(&t->slab, p + 16, 33));
	KUNIT_EXPECT_FALSE(test, kmm_slab_usercopy_ok(&t->slab, p + 47, 2));
	KUNIT_EXPECT_FALSE(test, kmm_slab_usercopy_ok(&t->slab, p + 48, 1));
	KUNIT_EXPECT_FALSE(test, kmm_slab_usercopy_ok(&t->slab, p + 16, SIZE_MAX));
	KUNIT_EXPECT_FALSE(test, kmm_slab_usercopy_ok(&t->slab, p + 16, s->size + 1));
	KUNIT_EXPECT_FALSE(test, kmm_slab_usercopy_ok(&t->slab, q, 1));
	kmm_cache_free(s, p);
	kmm_cache_free(none, q);
	kmm_test_end_slab(test);
}

/* === Destroy, shrink === */

static void destroy_is_refused_with_live_objects(struct kunit *test)
{
	void **obj = object_array(test), *more;
	struct kmm_cache *s;
	u64 mark;

	kmm_test_begin_slab(test, &kmm_layout_one);
	s = kmm_test_cache(test, 64, 0, SLAB_STORE_USER, NULL);
	take(test, s, obj, 150);
	give(s, obj + 3, 147);
	mark = kmm_log_mark();
	kmm_expect("BUG kunit: Objects remaining in kunit on kmm_cache_destroy", 1);
	KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), -EBUSY);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "on kmm_cache_destroy(); it stays usable"), 1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "Object 0x"), 3);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "Allocated in take"), 3);
	/* and it is as good as before */
	KUNIT_EXPECT_EQ(test, spoilt(s, obj, 3), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_active(s), 3);
	more = kmm_cache_alloc(s, KMM_QUIET);
	KUNIT_EXPECT_NOT_NULL(test, more);
	kmm_cache_free(s, more);
	KUNIT_EXPECT_EQ(test, kmm_slab_check(s), 0);
	give(s, obj, 3);
	KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	kmm_test_end_slab(test);
}

static void shrink_gives_all_slabs_back(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_one);
	void **obj = object_array(test);
	unsigned long used;
	struct kmm_cache *s;

	s = kmm_test_cache(test, 512, 0, 0, NULL);
	used = kmm_test_used(t);
	take(test, s, obj, 1500);
	KUNIT_EXPECT_GT(test, kmm_test_used(t), used);
	give(s, obj, 1500);
	/* most go by themselves */
	KUNIT_EXPECT_LE(test, s->nr_empty, s->max_empty);
	shrink(s);
	KUNIT_EXPECT_EQ(test, kmm_test_slabs(s), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), used);
	/* the shrinker's way, for all caches; what is in use stays */
	take(test, s, obj, 100);
	give(s, obj + 5, 95);
	KUNIT_EXPECT_GT(test, kmm_slab_shrink(&t->slab), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_slabs(s), DIV_ROUND_UP(5, s->nr_per_slab));
	KUNIT_EXPECT_EQ(test, spoilt(s, obj, 5), 0);
	give(s, obj, 5);
	kmm_test_end_slab(test);
}

/* === Bad frees === */

static void bad_free_is_refused_and_reported(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_one);
	void *host = kmalloc(64, GFP_KERNEL), *large, *gone, *p, *q, *bulk[4];
	struct kmm_cache *s, *other;
	struct page *page;
	u64 mark;

	KUNIT_ASSERT_NOT_NULL(test, host);
	s = kmm_test_cache(test, 64, 0, 0, NULL);
	other = kmm_test_cache(test, 64, 0, 0, NULL);
	p = kmm_cache_alloc(s, KMM_QUIET);
	q = kmm_cache_alloc(s, KMM_QUIET);
	gone = kmm_cache_alloc(s, KMM_QUIET);
	large = kmm_slab_kmalloc(&t->slab, SZ_64K, KMM_QUIET);
	page = kmm_buddy_alloc(&t->buddy, KMM_QUIET, 0);
	KUNIT_ASSERT_TRUE(test, p && q && gone && large && page);
	memset(p, 0x33, 64);
	kmm_cache_free(s, gone);

	kmm_report_forget();
	mark = kmm_log_mark();
	kmm_expect("BUG: KMM: double free", 2);
	kmm_expect("BUG: KMM: wrong-cache free", 2);
	kmm_expect("BUG: KMM: foreign free", 4);
	kmm_expect("BUG: KMM: invalid free", 1);
	kmm_cache_free(s, gone);			/* double */
	kmm_slab_kfree(&t->slab, gone);			/* double */
	kmm_cache_free(other, p);			/* wrong cache */
	kmm_cache_free(s, large);			/* wrong cache */
	kmm_cache_free(s, host);			/* foreign: the host's */
	kmm_slab_kfree(&t->slab, host);			/* foreign: the same */
	kmm_cache_free(s, page_address(page));		/* foreign: no slab */
	kmm_slab_kfree(&t->slab, large + PAGE_SIZE);	/* foreign: in a block */
	kmm_slab_kfree(&t->slab, large + 8);		/* invalid: the same */
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KMM: double free in bad_free"), 2);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KMM: wrong-cache free in bad_free"), 2);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KMM: foreign free in bad_free"), 4);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KMM: invalid free in bad_free"), 1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->slab.nr_bad), 9);
	KUNIT_EXPECT_EQ(test, kmm_test_active(s), 2);
	KUNIT_EXPECT_EQ(test, kmm_test_active(other), 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(p, 0x33, 64));

	/* in the middle of a bulk: the good ones are freed */
	kmm_report_forget();
	kmm_expect("BUG: KMM: foreign free", 1);
	kmm_expect("BUG: KMM: double free", 1);
	bulk[0] = p;
	bulk[1] = host;
	bulk[2] = gone;
	bulk[3] = q;
	kmm_cache_free_bulk(s, 4, bulk);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->slab.nr_bad), 11);
	KUNIT_EXPECT_EQ(test, kmm_test_active(s), 0);
	kmm_slab_kfree(&t->slab, large);
	kmm_buddy_free(&t->buddy, page, 0);
	kfree(host);
	kmm_test_end_slab(test);
}

/* A free by page alone does not see that this is no object. It gets no further than the slab. */
static void interior_free_ends_at_the_slab(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_one);
	struct kmm_cache *s;
	void *p;

	s = kmm_test_cache(test, 64, 0, 0, NULL);
	p = kmm_cache_alloc(s, KMM_QUIET);
	KUNIT_ASSERT_NOT_NULL(test, p);
	kmm_report_forget();
	kmm_expect("BUG: KMM: invalid free", 1);
	kmm_cache_free(s, p + 8);
	shrink(s);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->slab.nr_bad), 1);
	KUNIT_EXPECT_EQ(test, kmm_test_active(s), 1);
	kmm_cache_free(s, p);
	kmm_test_end_slab(test);
}

static void hardened_cache_finds_every_double_free(struct kunit *test)
{
	static const unsigned int sizes[] = { 16, 64, 1024 };	/* bits inside and outside */
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_one);
	unsigned int i;
	u64 mark;

	kmm_hardening_set(KMM_SLAB_HARDENED);
	kmm_report_forget();
	mark = kmm_log_mark();
	kmm_expect("BUG: KMM: double free", 6);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct kmm_cache *s = kmm_test_cache(test, sizes[i], 0, 0, NULL);
		void *p = kmm_cache_alloc(s, KMM_QUIET);
		void *q = kmm_cache_alloc(s, KMM_QUIET);

		KUNIT_ASSERT_TRUE(test, p && q);
		kmm_cache_free(s, p);
		kmm_cache_free(s, p);
		/* all that a freed object remembers is gone */
		memset(p, 0x41, sizes[i]);
		kmm_cache_free(s, p);
		KUNIT_EXPECT_EQ(test, kmm_test_active(s), 1);
		kmm_cache_free(s, q);
		KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	}
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KMM: double free in hardened_cache"), 6);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->slab.nr_bad), 6);
	kmm_test_end_slab(test);
}

/* Here, other than by page alone, it is seen at once. */
static void hardened_cache_finds_every_interior_free(struct kunit *test)
{
	static const unsigned int sizes[] = { 16, 64, 96, 1024 };
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_one);
	unsigned int i;
	u64 mark;

	kmm_hardening_set(KMM_SLAB_HARDENED);
	kmm_report_forget();
	mark = kmm_log_mark();
	kmm_expect("BUG: KMM: invalid free", 8);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct kmm_cache *s = kmm_test_cache(test, sizes[i], 0, 0, NULL);
		void *p = kmm_cache_alloc(s, KMM_QUIET);

		KUNIT_ASSERT_NOT_NULL(test, p);
		kmm_cache_free(s, p + 1);
		kmm_cache_free(s, p + sizes[i] / 2);
		KUNIT_EXPECT_EQ(test, kmm_test_active(s), 1);
		kmm_cache_free(s, p);
		KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	}
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KMM: invalid free in hardened_cache"), 8);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->slab.nr_bad), 8);
	kmm_test_end_slab(test);
}

/* Neighbours in time that are neighbours in memory, up or down. */
static unsigned int neighbours(struct kunit *test, struct kmm_cache *s, void **obj, unsigned int nr)
{
	unsigned int i, n = 0;

	take(test, s, obj, nr);
	for (i = 1; i < nr; i++)
		n += abs(obj[i] - obj[i - 1]) == s->size;
	give(s, obj, nr);
	return n;
}

static void hardened_cache_has_no_order(struct kunit *test)
{
	void **obj = object_array(test);

	kmm_test_begin_slab(test, &kmm_layout_one);
	KUNIT_EXPECT_GT(test, neighbours(test, kmm_test_cache(test, 64, 0, 0, NULL), obj, 512),
			400);
	kmm_hardening_set(KMM_SLAB_HARDENED);
	KUNIT_EXPECT_LT(test, neighbours(test, kmm_test_cache(test, 64, 0, 0, NULL), obj, 512),
			200);
	kmm_test_end_slab(test);
}

/* === Damage === */

/* Damaged objects stay out for ever: the instance takes their slabs back. */
static void end_with_damage(struct kunit *test)
{
	struct kmm_test *t = test->priv;

	kmm_expect("BUG kunit: Objects remaining in kunit on kmm_cache_destroy", 1);
	kmm_slab_fini(&t->slab);
	t->has_slab = false;
	kmm_expect_end();
	kmm_test_end(test);
}

/* A damaged object is not given out, and leaves no hole in what is. */
static void hardened_bulk_has_no_hole(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_one);
	unsigned int i, holes = 0;
	struct kmm_cache *s;
	void *p, *obj[16];

	kmm_hardening_set(KMM_SLAB_HARDENED);
	s = kmm_test_cache(test, 64, 0, 0, NULL);
	p = kmm_cache_alloc(s, KMM_QUIET);
	KUNIT_ASSERT_NOT_NULL(test, p);
	kmm_cache_free(s, p);
	set_bit(((unsigned long)p & s->mask) >> s->used_shift,
		(void *)((unsigned long)p & ~s->mask) + s->used);
	kmm_report_forget();
	kmm_expect("BUG: KMM: .found at an allocation. earlier double free", 1);
	KUNIT_EXPECT_EQ(test, kmm_cache_alloc_bulk(s, KMM_QUIET, ARRAY_SIZE(obj), obj),
			ARRAY_SIZE(obj));
	kmm_expect_end();
	for (i = 0; i < ARRAY_SIZE(obj); i++)
		holes += !obj[i] || obj[i] == p;
	KUNIT_EXPECT_EQ(test, holes, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->slab.nr_bad), 1);
	kmm_cache_free_bulk(s, ARRAY_SIZE(obj), obj);
	end_with_damage(test);
}

static void write_behind_an_object_is_reported(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_one);
	struct kmm_cache *s;
	u8 *p, *again;
	u64 mark;

	s = kmm_test_cache(test, 61, 0, SLAB_RED_ZONE | SLAB_STORE_USER, NULL);
	p = kmm_cache_alloc(s, KMM_QUIET);
	KUNIT_ASSERT_NOT_NULL(test, p);
	p[61] = 0x42;
	mark = kmm_log_mark();
	kmm_expect("BUG kunit .kmm.: Right Redzone overwritten", 1);
	kmm_cache_free(s, p);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG kunit (kmm): Right Redzone overwritten"), 1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "@offset=61. First byte 0x42 instead of 0xcc"),
			1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "Allocated in write_behind"), 1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->slab.nr_bad), 1);
	/* it was mended */
	p = kmm_cache_alloc(s, KMM_QUIET);
	kmm_cache_free(s, p);
	/* the zone of a free object is looked at, too */
	p[61] = 0x43;
	kmm_expect("BUG kunit .kmm.: Right Redzone overwritten", 1);
	again = kmm_cache_alloc(s, KMM_QUIET);
	kmm_expect_end();
	KUNIT_EXPECT_NOT_NULL(test, again);
	KUNIT_EXPECT_PTR_NE(test, again, p);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "Freed in write_behind"), 1);
	end_with_damage(test);
}

static void write_after_free_is_reported(struct kunit *test)
{
	struct kmm_cache *s;
	u8 *p, *q, *again;
	u64 mark;

	kmm_test_begin_slab(test, &kmm_layout_one);
	s = kmm_test_cache(test, 64, 0, SLAB_POISON, NULL);
	p = kmm_cache_alloc(s, KMM_QUIET);
	q = kmm_cache_alloc(s, KMM_QUIET);
	KUNIT_ASSERT_TRUE(test, p && q);
	KUNIT_EXPECT_NULL(test, memchr_inv(p, POISON_INUSE, 64));
	kmm_cache_free(s, p);
	KUNIT_EXPECT_NULL(test, memchr_inv(p, POISON_FREE, 63));
	KUNIT_EXPECT_EQ(test, p[63], POISON_END);
	p[10] = 0x42;
	mark = kmm_log_mark();
	kmm_expect("BUG kunit .kmm.: Poison overwritten", 1);
	again = kmm_cache_alloc(s, KMM_QUIET);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG kunit (kmm): Poison overwritten"), 1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "@offset=10. First byte 0x42 instead of 0x6b"),
			1);
	/* another one is served, the damaged one never again */
	KUNIT_EXPECT_NOT_NULL(test, again);
	KUNIT_EXPECT_PTR_NE(test, again, p);
	kmm_cache_free(s, again);
	kmm_cache_free(s, q);
	KUNIT_EXPECT_EQ(test, kmm_slab_check(s), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_active(s), 1);
	q[63] = 0;
	kmm_expect("BUG kunit .kmm.: End Poison overwritten", 1);
	for (unsigned int i = 0; i < s->nr_per_slab; i++)
		KUNIT_EXPECT_NOT_NULL(test, kmm_cache_alloc(s, KMM_QUIET));
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG kunit (kmm): End Poison overwritten"), 1);
	end_with_damage(test);
}

/* === Failure points === */

static void every_failure_of_init_is_survived(struct kunit *test)
{
	struct kmm_test *t = kmm_test_create(test, &kmm_layout_one);
	unsigned int n;

	for (n = 1; n < 1000; n++) {
		int err;

		kmm_inject_arm(n);
		err = kmm_test_start_slab(t);
		if (!kmm_inject_disarm())
			break;
		KUNIT_ASSERT_NE_MSG(test, err, 0, "failure %u was ignored", n);
		KUNIT_ASSERT_FALSE(test, t->has_slab);
		if (t->has_buddy) {
			KUNIT_EXPECT_EQ_MSG(test, kmm_test_used(t), 0, "failure %u", n);
			KUNIT_EXPECT_EQ(test, kmm_buddy_check(&t->buddy), 0);
			kmm_buddy_fini(&t->buddy);
			t->has_buddy = false;
		}
		if (t->has_region)
			KUNIT_EXPECT_EQ(test, kmm_region_fini(&t->region), 0);
		t->has_region = false;
		kmm_test_free_host(t);
	}
	/* three for each cache, and one or two for the frames */
	KUNIT_EXPECT_GT(test, n, 3 * (KMM_KMALLOC_NR + 1));
	KUNIT_EXPECT_LT(test, n, 1000);
	KUNIT_ASSERT_TRUE(test, t->has_slab);
	kunit_info(test, "%u failure points\n", n - 1);
	kmm_test_end_slab(test);
}

static void every_failure_of_create_leaves_nothing(struct kunit *test)
{
	const struct kmm_cache_args args = { .name = "kunit", .size = 100 };
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_one);
	unsigned int n, hard, points = 0;
	struct kmm_cache *s;

	for (hard = 0; hard < 2; hard++) {
		kmm_hardening_set(hard ? KMM_SLAB_HARDENED : 0);
		for (n = 1; n < 100; n++) {
			unsigned long active = kmm_test_active(t->slab.caches);

			kmm_inject_arm(n);
			s = kmm_slab_cache_create(&t->slab, &args);
			if (!kmm_inject_disarm())
				break;
			points++;
			KUNIT_EXPECT_EQ_MSG(test, PTR_ERR(s), -ENOMEM, "failure %u", n);
			KUNIT_EXPECT_EQ(test, kmm_test_active(t->slab.caches), active);
		}
		KUNIT_ASSERT_FALSE(test, IS_ERR(s));
		KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	}
	KUNIT_EXPECT_GE(test, points, 6);
	kmm_test_end_slab(test);
}

static void every_failure_of_alloc_leaves_nothing(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_one);
	unsigned int n, what, nr = 1000;
	void **obj = object_array(test);
	bool fired;

	for (what = 0; what < 4; what++) {
		struct kmm_cache *s = kmm_test_cache(test, 64, 0, 0, NULL);

		for (n = 1; n < 1000; n++) {
			unsigned long used;
			void *p = NULL;
			int got = 0;

			kmm_slab_shrink(&t->slab);
			used = kmm_test_used(t);
			kmm_inject_arm(n);
			if (what == 0)
				p = kmm_cache_alloc(s, KMM_QUIET);
			else if (what == 1)
				p = kmm_slab_kmalloc(&t->slab, 100, KMM_QUIET);
			else if (what == 2)
				p = kmm_slab_kmalloc(&t->slab, SZ_32K, KMM_QUIET);
			else
				got = kmm_cache_alloc_bulk(s, KMM_QUIET, nr, obj);
			fired = kmm_inject_disarm();
			if (fired && (p || got))
				KUNIT_FAIL(test, "%u: failure %u was ignored", what, n);
			KUNIT_EXPECT_EQ(test, kmm_test_active(s), got + (what == 0 && p));
			if (what == 3)
				kmm_cache_free_bulk(s, got, obj);
			else
				kmm_slab_kfree(&t->slab, p);
			kmm_slab_shrink(&t->slab);
			KUNIT_EXPECT_EQ_MSG(test, kmm_test_used(t), used, "%u: failure %u", what,
					    n);
			if (!fired)
				break;
		}
		KUNIT_EXPECT_GT(test, n, what == 3 ? nr / s->nr_per_slab : 1);
		KUNIT_EXPECT_LT(test, n, 1000);
		KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	}
	kmm_test_end_slab(test);
}

/* === Client functions, on the module's own instance === */

static void client_objects_keep_linuxs_contract(struct kunit *test)
{
	struct kmm_cache *s = kmm_cache_create_usercopy("kunit-client", 200, 0, 0, 8, 16, NULL);
	void *mixed[3], *p, *q;
	char *text;

	KUNIT_ASSERT_NOT_NULL(test, s);
	KUNIT_EXPECT_EQ(test, kmm_cache_size(s), 200);
	mixed[0] = kmm_cache_zalloc(s, GFP_KERNEL);
	mixed[1] = kmm_kmalloc(64, GFP_KERNEL);
	mixed[2] = kmm_kmalloc(SZ_64K, GFP_KERNEL);
	KUNIT_ASSERT_TRUE(test, mixed[0] && mixed[1] && mixed[2]);
	KUNIT_EXPECT_TRUE(test, all_zero(mixed[0], 200));
	KUNIT_EXPECT_EQ(test, kmm_ksize(mixed[1]), 64);
	KUNIT_EXPECT_EQ(test, kmm_ksize(mixed[2]), SZ_64K);
	kmm_cache_free_bulk(NULL, 3, mixed);
	KUNIT_EXPECT_EQ(test, kmm_cache_shrink(s), 0);
	kmm_cache_destroy(s);
	kmm_cache_destroy(NULL);
	KUNIT_EXPECT_NULL(test, kmm_cache_create("kunit-client", 0, 0, 0, NULL));

	/* krealloc: in place while it fits, contents kept when not, 0 frees */
	text = kmm_krealloc(NULL, 5, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);
	strcpy(text, "kmm!");
	/* kfence gives what is asked for, and no byte more */
	if (kmm_ksize(text) == 8)
		KUNIT_EXPECT_PTR_EQ(test, kmm_krealloc(text, 8, GFP_KERNEL), (void *)text);
	text = kmm_krealloc(text, 5000, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_EXPECT_STREQ(test, text, "kmm!");
	text = kmm_krealloc(text, 50000, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_EXPECT_STREQ(test, text, "kmm!");
	KUNIT_EXPECT_NULL(test, kmm_krealloc(text, SZ_4M + 1, KMM_QUIET));
	KUNIT_EXPECT_STREQ(test, text, "kmm!");
	KUNIT_EXPECT_PTR_EQ(test, kmm_krealloc(text, 0, GFP_KERNEL), ZERO_SIZE_PTR);
	p = kmm_krealloc(ZERO_SIZE_PTR, 10, GFP_KERNEL);
	KUNIT_EXPECT_FALSE(test, ZERO_OR_NULL_PTR(p));
	kmm_kfree(p);

	p = kmm_kcalloc(10, 30, GFP_KERNEL);
	q = kmm_kmalloc_array(10, 30, GFP_KERNEL);
	KUNIT_ASSERT_TRUE(test, p && q);
	KUNIT_EXPECT_TRUE(test, all_zero(p, 300));
	kmm_kfree(p);
	kmm_kfree(q);
	KUNIT_EXPECT_NULL(test, kmm_kmalloc_array(SIZE_MAX / 2, 3, GFP_KERNEL));
	KUNIT_EXPECT_PTR_EQ(test, kmm_kzalloc(0, GFP_KERNEL), ZERO_SIZE_PTR);
	kmm_kfree(NULL);
}

static struct kunit_case slab_cases[] = {
	KUNIT_CASE(every_size_has_its_objects),
	KUNIT_CASE(every_size_under_every_debug_flag),
	KUNIT_CASE(objects_are_aligned),
	KUNIT_CASE(caches_that_cannot_be_are_refused),
	KUNIT_CASE(zeroed_objects_are_zero),
	KUNIT_CASE(init_on_alloc_and_free_zero_objects),
	KUNIT_CASE(constructor_runs_once_per_object),
	KUNIT_CASE(typesafe_memory_outlives_readers),
	KUNIT_CASE(bulk_gives_and_takes_mixed_pages),
	KUNIT_CASE(bulk_is_all_or_nothing),
	KUNIT_CASE(kmalloc_serves_every_size),
	KUNIT_CASE(usercopy_stays_in_the_objects_range),
	KUNIT_CASE(destroy_is_refused_with_live_objects),
	KUNIT_CASE(shrink_gives_all_slabs_back),
	KUNIT_CASE(bad_free_is_refused_and_reported),
	KUNIT_CASE(interior_free_ends_at_the_slab),
	KUNIT_CASE(hardened_cache_finds_every_double_free),
	KUNIT_CASE(hardened_cache_finds_every_interior_free),
	KUNIT_CASE(hardened_cache_has_no_order),
	KUNIT_CASE(hardened_bulk_has_no_hole),
	KUNIT_CASE(write_behind_an_object_is_reported),
	KUNIT_CASE(write_after_free_is_reported),
	KUNIT_CASE(every_failure_of_init_is_survived),
	KUNIT_CASE(every_failure_of_create_leaves_nothing),
	KUNIT_CASE(every_failure_of_alloc_leaves_nothing),
	KUNIT_CASE(client_objects_keep_linuxs_contract),
	{}
};

struct kunit_suite kmm_slab_suite = {
	.name = "kmm_slab",
	.init = slab_init,
	.exit = slab_exit,
	.test_cases = slab_cases,
};
