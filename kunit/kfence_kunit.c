// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: the guarded pool's suite
 *
 * Modelled on the kernel's mm/kfence/kfence_test.c. Accesses that must fault go through
 * kmm_kfence_read() and kmm_kfence_write(); everything else, the frees, the canaries, the caches,
 * is as there. Reports are read back from the kernel log, with the name of the case in them, and
 * announced to tools/vm/splat.
 *
 * kmm_kfence_sample() opens the gate of the case's own pool, so that the next allocation from the
 * case's own slab allocator is guarded; only which side it lies on is left to chance. A case of the
 * timer waits for it. Between a free and an access that must fault kmm_kfence_sync() comes, because
 * the case may have changed its CPU meanwhile.
 */

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ptrace.h>

#include <kmm/hardening.h>
#include <kmm/inject.h>

#include "helpers.h"

/* Objects of the pool: few, so that it is used up soon. */
#define NR_OBJECTS	16

enum side { ANY, LEFT, RIGHT };

/* === Fixture === */

static int start(struct kmm_test *t, unsigned int nr_objects, bool early)
{
	int err = kmm_test_start_region(t);

	memset(&t->slab, 0, sizeof(t->slab));
	if (!err)
		err = kmm_region_init_window(&t->region, 1024);
	if (err)
		return err;
	kmm_kfence_alloc_pool(&t->kfence, &t->region, nr_objects, early);
	t->kfence.slab = &t->slab;
	t->kfence.divert = kmm_slab_divert;
	t->slab.kfence = &t->kfence;
	err = kmm_slab_reserve(&t->slab, &t->region);
	if (!err)
		err = kmm_test_start(t);
	if (err)
		return err;
	kmm_test_free_blocks(t, t->initial);
	kmm_pgtables_init(&t->tables, &t->buddy);
	err = kmm_kfence_init(&t->kfence, &t->buddy, &t->tables, 0);
	if (!err)
		err = kmm_slab_init(&t->slab, &t->buddy);
	t->has_slab = !err;
	return err;
}

static struct kmm_test *begin_with(struct kunit *test, const struct kmm_test_layout *layout,
				   bool early)
{
	struct kmm_test *t = kmm_test_create(test, layout);

	KUNIT_ASSERT_EQ(test, start(t, NR_OBJECTS, early), 0);
	return t;
}

static struct kmm_test *begin(struct kunit *test)
{
	return begin_with(test, &kmm_layout_plain, true);
}

static long count(struct kmm_test *t, enum kmm_kfence_counter c)
{
	return atomic_long_read(&t->kfence.counters[c]);
}

static unsigned int mapped(struct kmm_test *t)
{
	unsigned int i, nr = 0;

	for (i = 0; t->kfence.objects && i < t->kfence.nr_pages; i++)
		nr += !!kmm_window_entry(&t->kfence.window, t->kfence.base + i * PAGE_SIZE, NULL);
	return nr;
}

/* No object is out, in the pool or in a cache; nothing is mapped; all is given back. */
static void end(struct kunit *test)
{
	struct kmm_test *t = test->priv;
	struct kmm_cache *s;

	rcu_barrier();
	kmm_kfence_stop(&t->kfence);
	list_for_each_entry(s, &t->slab.list, node) {
		KUNIT_EXPECT_EQ_MSG(test, kmm_slab_check(s), 0, "%s", s->name);
		if (s != t->slab.caches)
			KUNIT_EXPECT_EQ_MSG(test, kmm_test_active(s), 0, "%s", s->name);
	}
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_ALLOCATED), 0);
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_ALLOCS), count(t, KMM_KFENCE_NR_FREES));
	KUNIT_EXPECT_EQ(test, mapped(t), 0);
	kmm_slab_fini(&t->slab);
	t->has_slab = false;
	kmm_kfence_fini(&t->kfence);
	kmm_region_fini_window(&t->region);
	kmm_test_end(test);
}

static bool is_guarded(struct kmm_test *t, const void *p)
{
	return kmm_kfence_owns(&t->kfence, p);
}

static struct kmm_kfence_object *object_of(struct kmm_test *t, const void *p)
{
	return &t->kfence.objects[((unsigned long)p - t->kfence.base) / (2 * PAGE_SIZE) - 1];
}

static __always_inline void give(struct kmm_test *t, struct kmm_cache *s, void *p)
{
	if (s)
		kmm_cache_free(s, p);
	else
		kmm_slab_kfree(&t->slab, p);
}

/* A guarded object of @s; NULL: of kmalloc. On the wanted side of its page. */
static noinline void *get(struct kunit *test, struct kmm_cache *s, size_t size, gfp_t gfp,
			  enum side side)
{
	struct kmm_test *t = test->priv;
	unsigned int i;
	void *p;

	for (i = 0; i < 200; i++) {
		KUNIT_ASSERT_EQ(test, kmm_kfence_sample(&t->kfence), 0);
		p = s ? kmm_cache_alloc(s, gfp) : kmm_slab_kmalloc(&t->slab, size, gfp);
		KUNIT_ASSERT_NOT_NULL(test, p);
		KUNIT_ASSERT_TRUE(test, is_guarded(t, p));
		if (side == ANY || PAGE_ALIGNED(p) == (side == LEFT))
			return p;
		give(t, s, p);
	}
	KUNIT_ASSERT_TRUE_MSG(test, false, "200 objects, none on side %d", side);
	return NULL;
}

/* Reports of @what come, about function @fn. */
static void expect(const char *what, const char *fn, unsigned int nr)
{
	char regex[128];

	snprintf(regex, sizeof(regex), "BUG: KFENCE: %s in %s", what, fn);
	kmm_expect(regex, nr);
}

/* Is this what a report about @addr, by function @fn, says? */
static bool reported(u64 mark, const char *what, const char *fn, const char *line, const void *addr)
{
	char text[128];
	bool ok;

	snprintf(text, sizeof(text), "BUG: KFENCE: %s in %s+", what, fn);
	ok = kmm_log_count(mark, text) == 1;
	snprintf(text, sizeof(text), "%s 0x%p ", line, addr);
	return ok && kmm_log_count(mark, text) == 1;
}

/* === Access === */

static void out_of_bounds_read(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_cache *caches[] = { NULL, kmm_test_cache(test, 32, 1, 0, NULL) };
	unsigned int i;
	u8 byte;

	for (i = 0; i < ARRAY_SIZE(caches); i++) {
		u8 *p = get(test, caches[i], 32, GFP_KERNEL, LEFT);
		u64 mark = kmm_log_mark();

		expect("out-of-bounds read", __func__, 2);
		KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, p - 1, 1), -EFAULT);
		KUNIT_EXPECT_TRUE(test, reported(mark, "out-of-bounds read", __func__,
						 "Out-of-bounds read at", p - 1));
		KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "(1B left of kfence-#"), 1);
		KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "allocated by task"), 1);
		KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "freed by task"), 0);
		KUNIT_EXPECT_EQ(test, kmm_log_count(mark, " get+"), 1);
		KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "kmm: the object is from kmm's"), 1);
		KUNIT_EXPECT_EQ(test, kmm_log_count(mark, i ? "size=32, cache=kunit" :
						    "size=32, cache=kmalloc-32"), 1);
		give(t, caches[i], p);

		p = get(test, caches[i], 32, GFP_KERNEL, RIGHT);
		mark = kmm_log_mark();
		KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, p + 31, 2), -EFAULT);
		KUNIT_EXPECT_TRUE(test, reported(mark, "out-of-bounds read", __func__,
						 "Out-of-bounds read at", p + 32));
		KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "(32B right of kfence-#"), 1);
		give(t, caches[i], p);
		kmm_expect_end();
	}
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_BUGS), 4);
	end(test);
}

static void out_of_bounds_write(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	u8 *p = get(test, NULL, 32, GFP_KERNEL, LEFT), byte = 42;
	u64 mark = kmm_log_mark();

	expect("out-of-bounds write", __func__, 1);
	KUNIT_EXPECT_EQ(test, kmm_kfence_write(&t->kfence, p - 1, &byte, 1), -EFAULT);
	kmm_expect_end();
	KUNIT_EXPECT_TRUE(test, reported(mark, "out-of-bounds write", __func__,
					 "Out-of-bounds write at", p - 1));
	/* what is inside is no bug */
	KUNIT_EXPECT_EQ(test, kmm_kfence_write(&t->kfence, p + 31, &byte, 1), 0);
	byte = 0;
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, p + 31, 1), 0);
	KUNIT_EXPECT_EQ(test, byte, 42);
	give(t, NULL, p);
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_BUGS), 1);
	end(test);
}

static void use_after_free(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_cache *caches[] = { NULL, kmm_test_cache(test, 32, 1, 0, NULL) };
	unsigned int i;
	u8 byte = 1;

	for (i = 0; i < ARRAY_SIZE(caches); i++) {
		u8 *p = get(test, caches[i], 32, GFP_KERNEL, ANY);
		u64 mark;

		*p = 7;
		give(t, caches[i], p);
		kmm_kfence_sync(&t->kfence);
		mark = kmm_log_mark();
		expect("use-after-free (read|write)", __func__, 2);
		KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, p, 1), -EFAULT);
		KUNIT_EXPECT_TRUE(test, reported(mark, "use-after-free read", __func__,
						 "Use-after-free read at", p));
		KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "allocated by task"), 1);
		KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "freed by task"), 1);
		/* the access, and below "freed by" */
		KUNIT_EXPECT_GE(test, kmm_log_count(mark, " use_after_free+"), 2);
		mark = kmm_log_mark();
		KUNIT_EXPECT_EQ(test, kmm_kfence_write(&t->kfence, p + 31, &byte, 1), -EFAULT);
		KUNIT_EXPECT_TRUE(test, reported(mark, "use-after-free write", __func__,
						 "Use-after-free write at", p + 31));
		kmm_expect_end();
	}
	end(test);
}

/* Addresses of the pool that no object was ever at, and what is not the pool's. */
static void invalid_access(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	u8 *pool = (u8 *)t->kfence.base, byte;
	unsigned long nr_bytes = t->kfence.nr_pages * PAGE_SIZE;
	u64 mark;

	KUNIT_ASSERT_EQ(test, kmm_kfence_sample(&t->kfence), 0);
	mark = kmm_log_mark();
	expect("invalid (read|write)", __func__, 4);
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, pool + 10, 1), -EFAULT);
	KUNIT_EXPECT_EQ(test, kmm_kfence_write(&t->kfence, pool + PAGE_SIZE, &byte, 1), -EFAULT);
	/* the first object's page, unused; the guard page behind the last */
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, pool + 2 * PAGE_SIZE, 1), -EFAULT);
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, pool + nr_bytes - 1, 1), -EFAULT);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KFENCE: invalid read in "), 3);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KFENCE: invalid write in "), 1);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "allocated by task"), 0);

	mark = kmm_log_mark();
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, pool - 1, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, pool - 1, 2), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, pool + nr_bytes, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, pool, nr_bytes + 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, pool, SIZE_MAX), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, &byte, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_kfence_write(&t->kfence, &byte, &byte, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_kfence_write(&t->kfence, pool, &byte, 0), -EINVAL);
	KUNIT_EXPECT_FALSE(test, kmm_kfence_handle_fault(&t->kfence, (unsigned long)&byte, false,
							 NULL));
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KFENCE"), 0);
	/* the gate was opened and nobody came */
	kmm_kfence_stop(&t->kfence);
	end(test);
}

/* No place is covered: every sample is taken while the pool has objects. */
static void forget_covered(struct kmm_test *t)
{
	memset(t->kfence.covered, 0, BIT(t->kfence.covered_order) * sizeof(atomic_t));
}

/* Between two live objects: the one is meant that is nearer to the address. */
static void nearest_object_is_blamed(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	u8 *guard = (u8 *)t->kfence.base + 3 * PAGE_SIZE, byte;
	void *p[NR_OBJECTS];
	unsigned int i;
	u64 mark;

	KUNIT_ASSERT_EQ(test, kmm_kfence_sample(&t->kfence), 0);
	for (i = 0; i < NR_OBJECTS; i++) {
		forget_covered(t);
		p[i] = get(test, NULL, 64, GFP_KERNEL, ANY);
	}
	expect("out-of-bounds read", __func__, 2);
	mark = kmm_log_mark();
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, guard, 1), -EFAULT);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "B right of kfence-#0)"), 1);
	mark = kmm_log_mark();
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, guard + PAGE_SIZE - 1, 1),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "B left of kfence-#1)"), 1);
	kmm_expect_end();
	for (i = 0; i < NR_OBJECTS; i++)
		give(t, NULL, p[i]);
	end(test);
}

/* What the die notifier does: the report names the interrupted function. */
static void fault_with_registers_names_their_function(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	u8 *p = get(test, NULL, 32, GFP_KERNEL, RIGHT);
	struct pt_regs regs = { .ip = (unsigned long)kmm_log_mark };
	u64 mark = kmm_log_mark();

	kmm_expect("BUG: KFENCE: out-of-bounds write in kmm_log_mark", 1);
	KUNIT_EXPECT_TRUE(test, kmm_kfence_handle_fault(&t->kfence, (unsigned long)p + 32, true,
							&regs));
	kmm_expect_end();
	KUNIT_EXPECT_TRUE(test, reported(mark, "out-of-bounds write", "kmm_log_mark",
					 "Out-of-bounds write at", p + 32));
	give(t, NULL, p);
	end(test);
}

/* === Free === */

static void double_free(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_cache *caches[] = { NULL, kmm_test_cache(test, 32, 1, 0, NULL) };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(caches); i++) {
		void *p = get(test, caches[i], 32, GFP_KERNEL, ANY);
		u64 mark = kmm_log_mark();

		give(t, caches[i], p);
		expect("invalid free", __func__, 1);
		give(t, caches[i], p);
		kmm_expect_end();
		KUNIT_EXPECT_TRUE(test, reported(mark, "invalid free", __func__, "Invalid free of",
						 p));
		KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "freed by task"), 1);
	}
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->slab.nr_bad), 0);
	end(test);
}

static void invalid_addr_free(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_cache *caches[] = { NULL, kmm_test_cache(test, 32, 1, 0, NULL) };
	unsigned int i;
	u64 mark;

	for (i = 0; i < ARRAY_SIZE(caches); i++) {
		void *p = get(test, caches[i], 32, GFP_KERNEL, ANY);

		mark = kmm_log_mark();
		expect("invalid free", __func__, 1);
		give(t, caches[i], p + 1);
		kmm_expect_end();
		KUNIT_EXPECT_TRUE(test, reported(mark, "invalid free", __func__, "Invalid free of",
						 p + 1));
		give(t, caches[i], p);
	}
	/* no object at all */
	mark = kmm_log_mark();
	expect("invalid free", __func__, 3);
	give(t, NULL, (void *)t->kfence.base);
	give(t, caches[1], (void *)t->kfence.base + 64);
	give(t, NULL, (void *)t->kfence.base + PAGE_SIZE);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "Invalid free of 0x"), 3);
	end(test);
}

static void free_to_another_cache_is_refused(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_cache *a = kmm_test_cache(test, 32, 1, 0, NULL);
	struct kmm_cache *b = kmm_test_cache(test, 32, 1, 0, NULL);
	void *p = get(test, a, 32, GFP_KERNEL, ANY);

	u64 mark = kmm_log_mark();

	expect("invalid free", __func__, 1);
	kmm_cache_free(b, p);
	kmm_expect_end();
	KUNIT_EXPECT_TRUE(test, reported(mark, "invalid free", __func__, "Invalid free of", p));
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_BUGS), 1);
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_ALLOCATED), 1);
	kmm_cache_free(a, p);
	end(test);
}

static void corruption_is_found_on_free(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_cache *caches[] = { NULL, kmm_test_cache(test, 32, 1, 0, NULL) };
	static const int right[] = { 32, 33, 39, 40, 4095 }, left[] = { -1, -2, -8, -9, -4064 };
	unsigned int i, k;

	expect("memory corruption", __func__, 2 * 10);
	for (i = 0; i < ARRAY_SIZE(caches); i++) {
		for (k = 0; k < ARRAY_SIZE(right); k++) {
			u8 *p = get(test, caches[i], 32, GFP_KERNEL, LEFT);
			u64 mark = kmm_log_mark();

			p[right[k]] ^= 1;
			give(t, caches[i], p);
			KUNIT_EXPECT_TRUE(test, reported(mark, "memory corruption", __func__,
							 "Corrupted memory at", p + right[k]));
			KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "[ ! "), 1);

			p = get(test, caches[i], 32, GFP_KERNEL, RIGHT);
			mark = kmm_log_mark();
			p[left[k]] ^= 1;
			give(t, caches[i], p);
			KUNIT_EXPECT_TRUE(test, reported(mark, "memory corruption", __func__,
							 "Corrupted memory at", p + left[k]));
		}
	}
	kmm_expect_end();
	end(test);
}

/* Alignment leaves a gap behind an object: a free finds what is in it, what is behind faults. */
static void kmalloc_aligned_oob(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	const size_t size = 73, align = t->slab.kmalloc[kmm_kmalloc_index(73)]->align;
	u8 *p = get(test, NULL, size, GFP_KERNEL, RIGHT), byte;
	u64 mark = kmm_log_mark();

	KUNIT_EXPECT_TRUE(test, IS_ALIGNED((unsigned long)p, align));
	KUNIT_EXPECT_EQ(test, kmm_slab_ksize(&t->slab, p), size);
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, p - 1, 1), 0);
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, p + size, 1), 0);
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "BUG: KFENCE"), 0);
	expect("(out-of-bounds read|memory corruption)", __func__, 2);
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, p + size + align, 1), -EFAULT);
	KUNIT_EXPECT_TRUE(test, reported(mark, "out-of-bounds read", __func__,
					 "Out-of-bounds read at", p + size + align));
	p[size]++;
	give(t, NULL, p);
	kmm_expect_end();
	KUNIT_EXPECT_TRUE(test, reported(mark, "memory corruption", __func__,
					 "Corrupted memory at", p + size));
	end(test);
}

/* === Caches === */

static void ctor_set_x(void *obj)
{
	memset(obj, 'x', 8);
}

static void shrink_and_destroy(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_cache *s = kmm_test_cache(test, 32, 1, 0, NULL);
	void *p = get(test, s, 32, GFP_KERNEL, ANY);
	struct kmm_stray found;
	u64 mark = kmm_log_mark();

	kmm_cache_shrink(s);
	KUNIT_EXPECT_TRUE(test, kmm_kfence_find(&t->slab, p, &found));
	KUNIT_EXPECT_PTR_EQ(test, found.cache, (const struct kmm_cache *)s);
	kmm_expect("BUG kunit: Objects remaining", 1);
	KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), -EBUSY);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, " in kfence-#"), 1);
	kmm_cache_free(s, p);
	KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	/* what is left of it does not name the cache any more */
	KUNIT_EXPECT_TRUE(test, kmm_kfence_find(&t->slab, p, &found));
	KUNIT_EXPECT_NULL(test, found.cache);
	kmm_kfence_sync(&t->kfence);
	mark = kmm_log_mark();
	expect("(use-after-free read|invalid free)", __func__, 2);
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &mark, p, 1), -EFAULT);
	give(t, NULL, p);
	kmm_expect_end();
	end(test);
}

static void free_bulk(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct rnd_state rnd;
	int iter;

	prandom_seed_state(&rnd, kmm_test_seed);
	for (iter = 0; iter < 5; iter++) {
		struct kmm_cache *s = kmm_test_cache(test, 8 + kmm_below(&rnd, 300), 1, 0,
						     iter & 1 ? ctor_set_x : NULL);
		void *p[] = {
			get(test, s, 0, GFP_KERNEL, RIGHT), kmm_cache_alloc(s, GFP_KERNEL),
			get(test, s, 0, GFP_KERNEL, LEFT), kmm_cache_alloc(s, GFP_KERNEL),
			kmm_cache_alloc(s, GFP_KERNEL),
		};

		KUNIT_ASSERT_TRUE(test, p[1] && p[3] && p[4]);
		kmm_cache_free_bulk(s, ARRAY_SIZE(p), p);
		KUNIT_EXPECT_EQ(test, kmm_test_active(s), 0);
		KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	}
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_BUGS), 0);
	end(test);
}

static void alloc_bulk(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	slab_flags_t flags[] = { 0, SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER };
	unsigned int f, i, nr;
	void *p[100];

	for (f = 0; f < ARRAY_SIZE(flags); f++) {
		struct kmm_cache *s = kmm_test_cache(test, 32, 1, flags[f], NULL);

		KUNIT_ASSERT_EQ(test, kmm_kfence_sample(&t->kfence), 0);
		KUNIT_ASSERT_EQ(test, kmm_cache_alloc_bulk(s, GFP_ATOMIC, 100, p), 100);
		for (i = 0, nr = 0; i < 100; i++) {
			nr += is_guarded(t, p[i]);
			memset(p[i], 0x5a, 32);
		}
		KUNIT_EXPECT_EQ(test, nr, 1);
		KUNIT_EXPECT_EQ(test, kmm_test_active(s), 100);
		kmm_cache_free_bulk(s, 100, p);
		KUNIT_EXPECT_EQ(test, kmm_test_active(s), 0);
		KUNIT_EXPECT_EQ(test, kmm_slab_check(s), 0);
	}
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_BUGS), 0);
	end(test);
}

static void ctor_runs_for_each(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_cache *s = kmm_test_cache(test, 32, 1, 0, ctor_set_x);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		u8 *p = get(test, s, 32, GFP_KERNEL, ANY);

		KUNIT_EXPECT_NULL(test, memchr_inv(p, 'x', 8));
		memset(p, 0, 32);
		give(t, s, p);
	}
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_BUGS), 0);
	end(test);
}

/* A reader of a SLAB_TYPESAFE_BY_RCU cache may look until its section ends. */
static void typesafe_by_rcu(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_cache *s = kmm_test_cache(test, 32, 1, SLAB_TYPESAFE_BY_RCU, NULL);
	u8 *p = get(test, s, 32, GFP_KERNEL, ANY), byte;
	u64 mark;

	*p = 42;
	rcu_read_lock();
	kmm_cache_free(s, p);
	KUNIT_EXPECT_EQ(test, READ_ONCE(*p), 42);
	expect("invalid free", __func__, 1);
	kmm_cache_free(s, p);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, READ_ONCE(*p), 42);
	rcu_read_unlock();
	rcu_barrier();
	kmm_kfence_sync(&t->kfence);
	mark = kmm_log_mark();
	expect("use-after-free read", __func__, 1);
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, p, 1), -EFAULT);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "freed by task"), 1);
	/* who freed it is told, not RCU */
	KUNIT_EXPECT_GE(test, kmm_log_count(mark, " typesafe_by_rcu+"), 2);

	/* destroying waits for what was freed */
	p = get(test, s, 32, GFP_KERNEL, ANY);
	kmm_cache_free(s, p);
	KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	end(test);
}

static void hardened_and_debugged_caches(struct kunit *test)
{
	struct kmm_test *t;
	unsigned int was = kmm_hardening_set(KMM_SLAB_HARDENED), i;

	t = begin(test);
	kmm_hardening_set(was);
	for (i = 0; i < 2; i++) {
		struct kmm_cache *s = kmm_test_cache(test, 100, 0, i ? SLAB_RED_ZONE | SLAB_POISON |
						     SLAB_STORE_USER : 0, NULL);
		u8 *p = get(test, s, 0, GFP_KERNEL, RIGHT), *q = kmm_cache_alloc(s, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, q);
		memset(p, 1, 100);
		memset(q, 1, 100);
		kmm_cache_free(s, p);
		kmm_cache_free(s, q);
		expect("invalid free", __func__, 1);
		kmm_cache_free(s, p);
		kmm_expect_end();
	}
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_BUGS), 2);
	end(test);
}

/* A slab allocator that ends with an object out: its page is taken from its client. */
static void zombies(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	u8 *p = get(test, NULL, 32, GFP_KERNEL, ANY), byte;
	u64 mark;

	kmm_expect("BUG kmalloc-32: Objects remaining", 1);
	kmm_kfence_stop(&t->kfence);
	kmm_slab_fini(&t->slab);
	t->has_slab = false;
	kmm_expect_end();
	kmm_kfence_sync(&t->kfence);
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_ZOMBIES), 1);
	mark = kmm_log_mark();
	expect("use-after-free read", __func__, 1);
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, p, 1), -EFAULT);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_log_count(mark, "cache=<destroyed>"), 1);
	kmm_kfence_fini(&t->kfence);
	kmm_region_fini_window(&t->region);
	kmm_test_end(test);
}

/* === Contents === */

static void zeroed_when_asked(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	unsigned int i, was;

	for (i = 0; i < 2 * NR_OBJECTS; i++) {
		u8 *p = get(test, NULL, PAGE_SIZE, GFP_KERNEL | __GFP_ZERO, ANY);

		KUNIT_EXPECT_NULL(test, memchr_inv(p, 0, PAGE_SIZE));
		memset(p, 0xff, PAGE_SIZE);
		give(t, NULL, p);
	}
	was = kmm_hardening_set(KMM_INIT_ON_ALLOC);
	for (i = 0; i < 2; i++) {
		u8 *p = get(test, NULL, 100, GFP_KERNEL, i ? LEFT : RIGHT);

		KUNIT_EXPECT_NULL(test, memchr_inv(p, 0, 100));
		memset(p, 0xff, 100);
		give(t, NULL, p);
	}
	kmm_hardening_set(was);
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_BUGS), 0);
	end(test);
}

/* Seen through the frame's other address. */
static void zeroed_on_free(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	unsigned int i, was;

	for (i = 0; i < 2; i++) {
		u8 *p = get(test, NULL, 100, GFP_KERNEL, ANY);
		u8 *alias = page_address(object_of(t, p)->page) + offset_in_page(p);

		memset(p, 0x77, 100);
		KUNIT_EXPECT_NULL(test, memchr_inv(alias, 0x77, 100));
		was = kmm_hardening_set(i ? KMM_INIT_ON_FREE : 0);
		give(t, NULL, p);
		kmm_hardening_set(was);
		KUNIT_EXPECT_NULL(test, memchr_inv(alias, i ? 0 : 0x77, 100));
	}
	end(test);
}

static void krealloc_keeps_contents(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_slab *sl = &t->slab;
	u8 *first = get(test, NULL, 30, GFP_KERNEL, ANY), *p, byte;

	KUNIT_EXPECT_EQ(test, kmm_slab_ksize(sl, first), 30);
	memset(first, 1, 30);
	KUNIT_EXPECT_PTR_EQ(test, kmm_slab_krealloc(sl, first, 20, GFP_KERNEL), (void *)first);
	KUNIT_ASSERT_EQ(test, kmm_kfence_sample(&t->kfence), 0);
	/* 31 bytes would fit into the class, but not into this object */
	p = kmm_slab_krealloc(sl, first, 31, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_TRUE(test, p != first && is_guarded(t, p));
	KUNIT_EXPECT_NULL(test, memchr_inv(p, 1, 30));
	p = kmm_slab_krealloc(sl, p, 90, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_EXPECT_GE(test, kmm_slab_ksize(sl, p), 90);
	KUNIT_EXPECT_NULL(test, memchr_inv(p, 1, 30));
	KUNIT_EXPECT_PTR_EQ(test, kmm_slab_krealloc(sl, p, 0, GFP_KERNEL), (void *)ZERO_SIZE_PTR);
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_BUGS), 0);
	kmm_kfence_sync(&t->kfence);
	expect("use-after-free read", __func__, 1);
	KUNIT_EXPECT_EQ(test, kmm_kfence_read(&t->kfence, &byte, first, 1), -EFAULT);
	kmm_expect_end();
	end(test);
}

static void usercopy_stays_inside(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	const struct kmm_cache_args args = {
		.name = "kunit", .size = 64, .useroffset = 16, .usersize = 32,
	};
	struct kmm_cache *s = kmm_slab_cache_create(&t->slab, &args);
	struct kmm_slab *sl = &t->slab;
	u8 *p, *q;

	KUNIT_ASSERT_FALSE(test, IS_ERR(s));
	p = get(test, s, 0, GFP_KERNEL, LEFT);
	q = get(test, NULL, 40, GFP_KERNEL, LEFT);
	KUNIT_EXPECT_TRUE(test, kmm_slab_usercopy_ok(sl, p + 16, 32));
	KUNIT_EXPECT_FALSE(test, kmm_slab_usercopy_ok(sl, p + 15, 2));
	KUNIT_EXPECT_FALSE(test, kmm_slab_usercopy_ok(sl, p + 16, 33));
	KUNIT_EXPECT_FALSE(test, kmm_slab_usercopy_ok(sl, p + 16, SIZE_MAX));
	/* of a class of 64 bytes 40 were asked for */
	KUNIT_EXPECT_TRUE(test, kmm_slab_usercopy_ok(sl, q, 40));
	KUNIT_EXPECT_FALSE(test, kmm_slab_usercopy_ok(sl, q, 41));
	KUNIT_EXPECT_FALSE(test, kmm_slab_usercopy_ok(sl, q + 40, 1));
	KUNIT_EXPECT_FALSE(test, kmm_slab_usercopy_ok(sl, q - 1, 1));
	KUNIT_EXPECT_FALSE(test, kmm_slab_usercopy_ok(sl, q + 39, SIZE_MAX));
	give(t, NULL, q);
	give(t, s, p);
	end(test);
}

/* === The pool === */

/* Each object's page is there, and readable, exactly while a client has it. */
static void pages_are_there_while_allocated(struct kunit *test)
{
	struct kmm_test *t = begin_with(test, &kmm_layout_odd, true);
	unsigned long value;
	unsigned int i;

	for (i = 0; i < 3 * NR_OBJECTS; i++) {
		void *p = get(test, NULL, 8, GFP_KERNEL, ANY);
		unsigned long page = (unsigned long)p & PAGE_MASK;

		KUNIT_EXPECT_EQ(test, mapped(t), 1);
		KUNIT_EXPECT_EQ(test, kmm_test_read((void *)page, &value), 0);
		KUNIT_EXPECT_EQ(test, kmm_test_read((void *)page - 8, &value), -EFAULT);
		KUNIT_EXPECT_EQ(test, kmm_test_read((void *)page + PAGE_SIZE, &value), -EFAULT);
		give(t, NULL, p);
		kmm_kfence_sync(&t->kfence);
		KUNIT_EXPECT_EQ(test, mapped(t), 0);
		KUNIT_EXPECT_EQ(test, kmm_test_read(p, &value), -EFAULT);
	}
	end(test);
}

static void frames_are_metadata_or_the_buddys(struct kunit *test)
{
	struct kmm_test *t = begin_with(test, &kmm_layout_plain, true);
	unsigned long metadata = kmm_test_metadata(t), used = kmm_test_used(t);

	KUNIT_ASSERT_EQ(test, kmm_kfence_sample(&t->kfence), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), used);
	end(test);

	KUNIT_ASSERT_EQ(test, start(t, NR_OBJECTS, false), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_metadata(t), metadata - NR_OBJECTS);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), used);
	KUNIT_ASSERT_EQ(test, kmm_kfence_sample(&t->kfence), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_used(t), used + NR_OBJECTS);
	end(test);

	/* more than the early allocator has in one piece */
	KUNIT_ASSERT_EQ(test, start(t, 400, true), 0);
	KUNIT_ASSERT_EQ(test, kmm_kfence_sample(&t->kfence), 0);
	end(test);
}

/* A full pool: the cache serves. Nearly full: places that have an object there are passed over. */
static noinline void *sampled(struct kmm_test *t)
{
	return kmm_kfence_sample(&t->kfence) ? NULL : kmm_slab_kmalloc(&t->slab, 32, GFP_KERNEL);
}

static void full_pool_is_passed_over(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	void *p[NR_OBJECTS + 1];
	unsigned int i;

	kmm_stay_on_cpu(0);
	/* what finds the CPU's stack empty comes by another way, and is another place */
	for (i = 0; i < 2; i++)
		p[i] = kmm_slab_kmalloc(&t->slab, 32, GFP_KERNEL);
	give(t, NULL, p[0]);
	give(t, NULL, p[1]);
	/* up to three quarters all are taken, then this place is covered */
	for (i = 0; i <= NR_OBJECTS; i++) {
		p[i] = sampled(t);
		KUNIT_ASSERT_NOT_NULL(test, p[i]);
	}
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_ALLOCATED), NR_OBJECTS * 3 / 4 + 1);
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_SKIP_COVERED), NR_OBJECTS / 4);
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_SKIP_CAPACITY), 0);
	for (i = 0; i <= NR_OBJECTS; i++)
		give(t, NULL, p[i]);

	/* free again: the filter has forgotten them */
	p[0] = sampled(t);
	KUNIT_EXPECT_TRUE(test, is_guarded(t, p[0]));
	give(t, NULL, p[0]);

	/* no filter: all of them, then none */
	for (i = 0; i <= NR_OBJECTS; i++) {
		forget_covered(t);
		p[i] = sampled(t);
		KUNIT_ASSERT_NOT_NULL(test, p[i]);
		KUNIT_EXPECT_EQ(test, is_guarded(t, p[i]), i < NR_OBJECTS);
	}
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_SKIP_CAPACITY), 1);
	for (i = 0; i <= NR_OBJECTS; i++)
		give(t, NULL, p[i]);
	kmm_go_anywhere();
	end(test);
}

static void incompatible_requests_are_passed_over(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_cache *dma = kmm_test_cache(test, 32, 1, SLAB_CACHE_DMA, NULL);
	struct kmm_cache *wide = kmm_test_cache(test, 32, 2 * PAGE_SIZE, 0, NULL);
	void *p[5];
	unsigned int i;

	KUNIT_ASSERT_EQ(test, kmm_kfence_sample(&t->kfence), 0);
	p[0] = kmm_slab_kmalloc(&t->slab, PAGE_SIZE + 1, GFP_KERNEL);
	p[1] = kmm_slab_kmalloc(&t->slab, 32, GFP_KERNEL | GFP_DMA32);
	p[2] = kmm_cache_alloc(wide, GFP_KERNEL);
	/* the bit is 0 on kernels without ZONE_DMA */
	p[3] = SLAB_CACHE_DMA ? kmm_cache_alloc(dma, GFP_KERNEL) :
				kmm_slab_kmalloc(&t->slab, 32, GFP_KERNEL | GFP_DMA32);
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_SKIP_INCOMPAT), 4);
	/* the gate waited for one that it can take */
	p[4] = kmm_slab_kmalloc(&t->slab, PAGE_SIZE, GFP_KERNEL);
	for (i = 0; i < 5; i++) {
		KUNIT_ASSERT_NOT_NULL(test, p[i]);
		KUNIT_EXPECT_EQ(test, is_guarded(t, p[i]), i == 4);
	}
	kmm_slab_kfree(&t->slab, p[0]);
	kmm_slab_kfree(&t->slab, p[1]);
	kmm_cache_free(wide, p[2]);
	kmm_slab_kfree(&t->slab, p[3]);
	kmm_slab_kfree(&t->slab, p[4]);
	end(test);
}

/* === The gate === */

static void one_sample_closes_the_gate(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kmm_cache *a = kmm_test_cache(test, 32, 1, 0, NULL);
	struct kmm_cache *b = kmm_test_cache(test, 64, 1, 0, NULL);
	void *p[20], *q = kmm_cache_alloc(b, GFP_KERNEL);
	unsigned int i, nr = 0;

	KUNIT_ASSERT_EQ(test, kmm_kfence_sample(&t->kfence), 0);
	KUNIT_EXPECT_TRUE(test, a->cpu == t->slab.busy);
	for (i = 0; i < 20; i++) {
		p[i] = kmm_cache_alloc(a, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, p[i]);
		nr += is_guarded(t, p[i]);
	}
	KUNIT_EXPECT_EQ(test, nr, 1);
	KUNIT_EXPECT_TRUE(test, is_guarded(t, p[0]));
	KUNIT_EXPECT_EQ(test, atomic_read(&t->kfence.gate), 1);
	KUNIT_EXPECT_TRUE(test, a->cpu == a->stacks);
	for (i = 0; i < 20; i++)
		kmm_cache_free(a, p[i]);
	/* another cache comes by once, with a free or an allocation */
	KUNIT_EXPECT_TRUE(test, b->cpu == t->slab.busy);
	kmm_cache_free(b, q);
	KUNIT_EXPECT_TRUE(test, b->cpu == b->stacks);

	/* while the gate is open a free changes nothing */
	q = kmm_cache_alloc(b, GFP_KERNEL);
	KUNIT_ASSERT_EQ(test, kmm_kfence_sample(&t->kfence), 0);
	kmm_cache_free(b, q);
	KUNIT_EXPECT_TRUE(test, b->cpu == t->slab.busy);
	q = kmm_cache_alloc(b, GFP_KERNEL);
	KUNIT_EXPECT_TRUE(test, is_guarded(t, q));
	kmm_cache_free(b, q);
	end(test);
}

/* Allocations until one is guarded, or until @tries milliseconds are over. */
static bool sampled_within(struct kmm_test *t, unsigned int tries)
{
	bool found = false;

	while (tries-- && !found) {
		void *p = kmm_slab_kmalloc(&t->slab, 32, GFP_KERNEL);

		found = is_guarded(t, p);
		give(t, NULL, p);
		usleep_range(500, 1500);
	}
	return found;
}

static void interval_can_be_changed(struct kunit *test)
{
	struct kmm_test *t = begin_with(test, &kmm_layout_plain, false);
	long before;

	KUNIT_EXPECT_EQ(test, kmm_kfence_set_interval(&t->kfence, 0), 0);
	KUNIT_EXPECT_NULL(test, t->kfence.objects);
	KUNIT_EXPECT_EQ(test, kmm_kfence_set_interval(&t->kfence, KMM_KFENCE_MAX_INTERVAL + 1),
			-ERANGE);
	KUNIT_EXPECT_FALSE(test, sampled_within(t, 20));
	KUNIT_ASSERT_EQ(test, kmm_kfence_set_interval(&t->kfence, 1), 0);
	KUNIT_EXPECT_TRUE(test, sampled_within(t, 10000));
	KUNIT_EXPECT_TRUE(test, sampled_within(t, 10000));
	KUNIT_EXPECT_EQ(test, kmm_kfence_set_interval(&t->kfence, 0), 0);
	before = count(t, KMM_KFENCE_NR_ALLOCS);
	KUNIT_EXPECT_FALSE(test, sampled_within(t, 50));
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_ALLOCS), before);
	/* a long one does not keep a short one from starting */
	KUNIT_ASSERT_EQ(test, kmm_kfence_set_interval(&t->kfence, KMM_KFENCE_MAX_INTERVAL), 0);
	KUNIT_EXPECT_TRUE(test, sampled_within(t, 10000));
	KUNIT_ASSERT_EQ(test, kmm_kfence_set_interval(&t->kfence, 2), 0);
	KUNIT_EXPECT_TRUE(test, sampled_within(t, 10000));
	end(test);
}

static void without_addresses_there_is_no_pool(struct kunit *test)
{
	struct kmm_test *t = kmm_test_create(test, &kmm_layout_plain);
	void *p;

	KUNIT_ASSERT_EQ(test, start(t, 0, true), 0);
	KUNIT_EXPECT_EQ(test, kmm_kfence_set_interval(&t->kfence, 0), 0);
	KUNIT_EXPECT_EQ(test, kmm_kfence_set_interval(&t->kfence, 1), -ENODEV);
	KUNIT_EXPECT_EQ(test, kmm_kfence_sample(&t->kfence), -ENODEV);
	KUNIT_EXPECT_EQ(test, t->region.window_pages, 1024);
	p = kmm_slab_kmalloc(&t->slab, 32, GFP_KERNEL);
	KUNIT_EXPECT_FALSE(test, is_guarded(t, p));
	kmm_slab_kfree(&t->slab, p);
	end(test);
	/* more than the window has */
	KUNIT_ASSERT_EQ(test, start(t, 511, false), 0);
	KUNIT_EXPECT_EQ(test, t->kfence.base, 0);
	KUNIT_EXPECT_EQ(test, t->region.window_pages, 1024);
	end(test);
}

struct context_call {
	struct kmm_test *t;
	unsigned int guarded;
	unsigned int failed;
};

static void context_call(void *arg)
{
	struct context_call *c = arg;
	u8 *p = kmm_slab_kmalloc(&c->t->slab, 40, GFP_ATOMIC);

	c->failed += !p;
	c->guarded += is_guarded(c->t, p);
	if (p)
		memset(p, 0x11, 40);
	kmm_slab_kfree(&c->t->slab, p);
}

static void contexts(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	enum kmm_context context;
	unsigned int i;

	for (context = 0; context < KMM_NR_CONTEXTS; context++) {
		struct context_call c = { .t = t };

		for (i = 0; i < 10; i++) {
			KUNIT_ASSERT_EQ(test, kmm_kfence_sample(&t->kfence), 0);
			kmm_run_in(context, context_call, &c);
		}
		KUNIT_EXPECT_EQ_MSG(test, c.guarded, 10, "%s", kmm_context_names[context]);
		KUNIT_EXPECT_EQ(test, c.failed, 0);
	}
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_BUGS), 0);
	end(test);
}

/* === Failures === */

static void forced_failures_leave_nothing(struct kunit *test)
{
	struct kmm_test *t = begin_with(test, &kmm_layout_plain, false);
	unsigned long used = kmm_test_used(t);
	unsigned long nth;
	bool fired;
	int err;

	for (nth = 1; nth < 100; nth++) {
		kmm_inject_arm(nth);
		err = kmm_kfence_set_interval(&t->kfence, 100);
		fired = kmm_inject_disarm();
		if (!fired)
			break;
		KUNIT_EXPECT_EQ_MSG(test, err, -ENOMEM, "failure %lu", nth);
		KUNIT_EXPECT_NULL(test, t->kfence.objects);
		KUNIT_EXPECT_EQ(test, t->kfence.interval, 0);
		KUNIT_EXPECT_EQ(test, kmm_test_used(t), used);
	}
	kunit_info(test, "%lu failure points", nth - 1);
	KUNIT_EXPECT_FALSE(test, fired);
	KUNIT_EXPECT_EQ(test, err, 0);
	/* the window's, the filter, the array, each frame */
	KUNIT_EXPECT_GE(test, nth - 1, 3 + NR_OBJECTS);
	end(test);

	/* the early allocator fails: the buddy's frames are taken later */
	KUNIT_ASSERT_EQ(test, kmm_test_start_region(t), 0);
	KUNIT_ASSERT_EQ(test, kmm_region_init_window(&t->region, 1024), 0);
	kmm_inject_arm(1);
	kmm_kfence_alloc_pool(&t->kfence, &t->region, NR_OBJECTS, true);
	KUNIT_EXPECT_TRUE(test, kmm_inject_disarm());
	KUNIT_EXPECT_TRUE(test, t->kfence.base && !t->kfence.early);
	kmm_region_fini_window(&t->region);
	kmm_region_fini(&t->region);
	t->has_region = false;
	kmm_test_free_host(t);
}

/* === Load === */

/**
 * struct kfence_load - a thread that allocates and frees, also what the other one allocated
 * @t: instance
 * @task: the thread
 * @swap: one object on its way to the other thread
 * @rnd: of this thread
 * @bad: contents that were not as they were written, and failed allocations
 * @guarded: objects of the pool
 */
struct kfence_load {
	struct kmm_test *t;
	struct task_struct *task;
	u8 **swap;
	struct rnd_state rnd;
	unsigned long bad;
	unsigned long guarded;
};

/* The first byte tells how long it is, the rest is that as well. */
static void load_give(struct kfence_load *l, u8 *p)
{
	if (!p)
		return;
	l->bad += !!memchr_inv(p, *p, *p);
	kmm_slab_kfree(&l->t->slab, p);
}

static int load_thread(void *arg)
{
	struct kfence_load *l = arg;
	unsigned int nr = 0;

	while (!kthread_should_stop()) {
		unsigned int size = 1 + kmm_below(&l->rnd, 255);
		u8 *p = kmm_slab_kmalloc(&l->t->slab, size, GFP_KERNEL);

		if (p) {
			l->guarded += is_guarded(l->t, p);
			memset(p, size, size);
		}
		l->bad += !p;
		load_give(l, xchg(l->swap, p));
		/* the timer's worker needs a CPU, too */
		if (++nr % 64 == 0)
			usleep_range(50, 100);
	}
	return 0;
}

static void threads_pass_objects(struct kunit *test)
{
	struct kmm_test *t = begin(test);
	struct kfence_load l[2] = { };
	long wanted = 100 + kmm_test_nr_ops / 1000;
	unsigned int i, started, rounds = 0;
	u8 *swap = NULL;

	KUNIT_ASSERT_EQ(test, kmm_kfence_set_interval(&t->kfence, 1), 0);
	for (started = 0; started < 2; started++) {
		l[started].t = t;
		l[started].swap = &swap;
		prandom_seed_state(&l[started].rnd, kmm_test_seed + started);
		l[started].task = kthread_run(load_thread, &l[started], "kmm_kfence_%u", started);
		KUNIT_ASSERT_FALSE(test, IS_ERR(l[started].task));
	}
	/* beside the timer, as often as it can be */
	while (count(t, KMM_KFENCE_NR_ALLOCS) < wanted && rounds++ < 100 * wanted) {
		KUNIT_EXPECT_EQ(test, kmm_kfence_sample(&t->kfence), 0);
		usleep_range(100, 1000);
	}
	for (i = 0; i < 2; i++)
		kthread_stop(l[i].task);
	load_give(&l[0], swap);
	KUNIT_EXPECT_EQ(test, l[0].bad + l[1].bad, 0);
	KUNIT_EXPECT_GE(test, count(t, KMM_KFENCE_NR_ALLOCS), wanted);
	KUNIT_EXPECT_EQ(test, l[0].guarded + l[1].guarded, count(t, KMM_KFENCE_NR_ALLOCS));
	KUNIT_EXPECT_EQ(test, count(t, KMM_KFENCE_NR_BUGS), 0);
	end(test);
}

/* === The real thing === */

int kmm_kfence_stray(const char *kind)
{
	struct kmm_test *t = kzalloc(sizeof(*t), GFP_KERNEL);
	bool freed = !strcmp(kind, "use-after-free");
	unsigned long page;
	u8 *p;

	if (!t || (!freed && strcmp(kind, "out-of-bounds"))) {
		kfree(t);
		return -EINVAL;
	}
	t->layout = &kmm_layout_plain;
	/* It stays as it is: nobody comes back here. */
	if (start(t, NR_OBJECTS, true) || kmm_kfence_sample(&t->kfence))
		return -ENOMEM;
	p = kmm_slab_kmalloc(&t->slab, 64, GFP_KERNEL);
	if (!is_guarded(t, p))
		return -EAGAIN;
	page = (unsigned long)p & PAGE_MASK;
	if (freed) {
		kmm_slab_kfree(&t->slab, p);
		kmm_kfence_sync(&t->kfence);
	}
	kmm_expect("BUG: unable to handle page fault for address", 1);
	kmm_expect(freed ? "BUG: KFENCE: use-after-free read in kmm_kfence_stray" :
			   "BUG: KFENCE: out-of-bounds write in kmm_kfence_stray", 1);
	if (freed)
		return READ_ONCE(*p);
	WRITE_ONCE(*(u8 *)(PAGE_ALIGNED(p) ? page - 1 : page + PAGE_SIZE), 1);
	return 0;
}

static struct kunit_case kmm_kfence_cases[] = {
	KUNIT_CASE(out_of_bounds_read),
	KUNIT_CASE(out_of_bounds_write),
	KUNIT_CASE(use_after_free),
	KUNIT_CASE(invalid_access),
	KUNIT_CASE(nearest_object_is_blamed),
	KUNIT_CASE(fault_with_registers_names_their_function),
	KUNIT_CASE(double_free),
	KUNIT_CASE(invalid_addr_free),
	KUNIT_CASE(free_to_another_cache_is_refused),
	KUNIT_CASE(corruption_is_found_on_free),
	KUNIT_CASE(kmalloc_aligned_oob),
	KUNIT_CASE(shrink_and_destroy),
	KUNIT_CASE(free_bulk),
	KUNIT_CASE(alloc_bulk),
	KUNIT_CASE(ctor_runs_for_each),
	KUNIT_CASE(typesafe_by_rcu),
	KUNIT_CASE(hardened_and_debugged_caches),
	KUNIT_CASE(zombies),
	KUNIT_CASE(zeroed_when_asked),
	KUNIT_CASE(zeroed_on_free),
	KUNIT_CASE(krealloc_keeps_contents),
	KUNIT_CASE(usercopy_stays_inside),
	KUNIT_CASE(pages_are_there_while_allocated),
	KUNIT_CASE(frames_are_metadata_or_the_buddys),
	KUNIT_CASE(full_pool_is_passed_over),
	KUNIT_CASE(incompatible_requests_are_passed_over),
	KUNIT_CASE(one_sample_closes_the_gate),
	KUNIT_CASE(interval_can_be_changed),
	KUNIT_CASE(without_addresses_there_is_no_pool),
	KUNIT_CASE(contexts),
	KUNIT_CASE(forced_failures_leave_nothing),
	KUNIT_CASE(threads_pass_objects),
	{ }
};

struct kunit_suite kmm_kfence_suite = {
	.name = "kmm_kfence",
	.exit = kmm_test_exit,
	.test_cases = kmm_kfence_cases,
};
