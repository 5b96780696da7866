// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Tests of the life cycle tracker
 *
 * The states through its functions, on addresses that are objects of nothing; then, for each kind
 * that kmm tracks, the mistakes themselves. Each report is announced with its exact headline and
 * counted.
 *
 * Tracking is turned on by each case and back to what it was after it. While it is on, the rest of
 * the machine is tracked, too, so cases look at differences that only they can cause.
 */

#include <linux/slab.h>
#include <linux/uio.h>

#include <kmm/account.h>
#include <kmm/debug_objects.h>
#include <kmm/msgq.h>
#include <kmm/object.h>
#include <kmm/pipe.h>
#include <kmm/space.h>

#include "helpers.h"

static bool was_on;
static char dummy[8 * PAGE_SIZE];

static unsigned int warnings(void)
{
	struct kmm_debug_stat st;

	kmm_debug_objects_stat(&st);
	return st.warnings;
}

/* The next report must have this headline. */
#define EXPECT_REPORT(what, state, type) \
	kmm_expect("^ODEBUG: " what " " state " \\(active state 0\\) object type: " type " hint", 1)

static int debug_objects_init(struct kunit *test)
{
	was_on = kmm_debug_objects_set(true);
	return 0;
}

static void debug_objects_exit(struct kunit *test)
{
	kmm_debug_objects_set(was_on);
}

#define T	KMM_DEBUG_TEST

static void life_without_mistake_is_silent(struct kunit *test)
{
	unsigned int before = warnings(), i;

	for (i = 0; i < 1000; i++) {
		void *p = dummy + i % 100 * 64;

		KUNIT_EXPECT_TRUE(test, kmm_debug_object_init(p, T));
		KUNIT_EXPECT_TRUE(test, kmm_debug_object_activate(p, T));
		KUNIT_EXPECT_TRUE(test, kmm_debug_object_assert_active(p, T));
		KUNIT_EXPECT_TRUE(test, kmm_debug_object_use(p, T));
		kmm_debug_object_unuse(p);
		KUNIT_EXPECT_TRUE(test, kmm_debug_object_destroy(p, T));
		KUNIT_EXPECT_TRUE(test, kmm_debug_object_free(p, T));
	}
	KUNIT_EXPECT_EQ(test, warnings(), before);
}

static void creator_that_fails_may_destroy(struct kunit *test)
{
	unsigned int before = warnings();

	KUNIT_EXPECT_TRUE(test, kmm_debug_object_init(dummy, T));
	KUNIT_EXPECT_TRUE(test, kmm_debug_object_destroy(dummy, T));
	KUNIT_EXPECT_TRUE(test, kmm_debug_object_free(dummy, T));
	KUNIT_EXPECT_TRUE(test, kmm_debug_object_init(dummy, T));
	KUNIT_EXPECT_TRUE(test, kmm_debug_object_free(dummy, T));
	KUNIT_EXPECT_EQ(test, warnings(), before);
}

static void each_wrong_step_is_reported(struct kunit *test)
{
	unsigned int before = warnings();

	kmm_debug_object_init(dummy, T);
	kmm_debug_object_activate(dummy, T);
	EXPECT_REPORT("init", "active", "kmm_test");
	KUNIT_EXPECT_FALSE(test, kmm_debug_object_init(dummy, T));
	kmm_expect_end();
	EXPECT_REPORT("activate", "active", "kmm_test");
	KUNIT_EXPECT_FALSE(test, kmm_debug_object_activate(dummy, T));
	kmm_expect_end();
	EXPECT_REPORT("free", "active", "kmm_test");
	KUNIT_EXPECT_FALSE(test, kmm_debug_object_free(dummy, T));
	kmm_expect_end();

	kmm_debug_object_use(dummy, T);
	kmm_expect("^ODEBUG: destroy active \\(active state 1\\) object type: kmm_test", 1);
	KUNIT_EXPECT_FALSE(test, kmm_debug_object_destroy(dummy, T));
	kmm_expect_end();
	kmm_debug_object_unuse(dummy);

	kmm_debug_object_destroy(dummy, T);
	EXPECT_REPORT("use", "destroyed", "kmm_test");
	KUNIT_EXPECT_FALSE(test, kmm_debug_object_assert_active(dummy, T));
	kmm_expect_end();
	kmm_debug_object_free(dummy, T);
	EXPECT_REPORT("destroy", "destroyed", "kmm_test");
	KUNIT_EXPECT_FALSE(test, kmm_debug_object_destroy(dummy, T));
	kmm_expect_end();
	EXPECT_REPORT("free", "destroyed", "kmm_test");
	KUNIT_EXPECT_FALSE(test, kmm_debug_object_free(dummy, T));
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, warnings() - before, 7);
}

/* What the lab relies on: it plants bugs that only the tracker stops. */
static void held_it_stays_on_and_keeps_one(struct kunit *test)
{
	unsigned int before = warnings(), i;

	kmm_debug_objects_hold();
	kmm_debug_objects_set(false);
	KUNIT_EXPECT_TRUE(test, kmm_debug_objects_on());
	KUNIT_EXPECT_FALSE(test, kmm_debug_objects_keep(dummy));
	kmm_debug_object_init(dummy, T);
	KUNIT_EXPECT_TRUE(test, kmm_debug_objects_keep(dummy));
	kmm_debug_object_destroy(dummy, T);
	kmm_debug_object_free(dummy, T);
	/* more than are remembered */
	for (i = 1; i <= 100; i++) {
		kmm_debug_object_init(dummy + i * 64, T);
		kmm_debug_object_free(dummy + i * 64, T);
	}
	EXPECT_REPORT("destroy", "destroyed", "kmm_test");
	KUNIT_EXPECT_FALSE(test, kmm_debug_object_destroy(dummy, T));
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, warnings() - before, 1);
	kmm_debug_objects_set(was_on);
	kmm_debug_objects_release();
	KUNIT_EXPECT_EQ(test, kmm_debug_objects_on(), was_on);
	kmm_debug_objects_set(true);
}

static void range_with_an_object_is_not_freed(struct kunit *test)
{
	char *p = PTR_ALIGN((char *)dummy, PAGE_SIZE) + PAGE_SIZE + 128;

	kmm_debug_object_init(p, T);
	kmm_debug_object_activate(p, T);
	KUNIT_EXPECT_TRUE(test, kmm_debug_check_no_obj_freed(p - 64, 64));
	KUNIT_EXPECT_TRUE(test, kmm_debug_check_no_obj_freed(p + 1, 4 * PAGE_SIZE));
	EXPECT_REPORT("free", "active", "kmm_test");
	KUNIT_EXPECT_FALSE(test, kmm_debug_check_no_obj_freed(p - PAGE_SIZE, 3 * PAGE_SIZE));
	kmm_expect_end();
	kmm_debug_object_destroy(p, T);
	KUNIT_EXPECT_TRUE(test, kmm_debug_check_no_obj_freed(p - PAGE_SIZE, 3 * PAGE_SIZE));
	kmm_debug_object_free(p, T);
}

static void unknown_is_counted_not_reported(struct kunit *test)
{
	struct kmm_debug_stat before, now;

	if (was_on)
		kunit_skip(test, "tracking is on since load: an unknown object is an error");
	kmm_debug_objects_stat(&before);
	KUNIT_EXPECT_TRUE(test, kmm_debug_object_destroy(dummy + 5000, T));
	kmm_debug_objects_stat(&now);
	KUNIT_EXPECT_EQ(test, now.unknown, before.unknown + 1);
	KUNIT_EXPECT_EQ(test, now.warnings, before.warnings);
}

static void many_objects_come_from_the_cache(struct kunit *test)
{
	struct kmm_debug_stat before, most, now;
	unsigned int i, nr = 2000;

	kmm_debug_objects_stat(&before);
	for (i = 0; i < nr; i++) {
		KUNIT_ASSERT_TRUE(test, kmm_debug_object_init(dummy + i * 8, T));
		kmm_debug_object_activate(dummy + i * 8, T);
	}
	kmm_debug_objects_stat(&most);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_TRUE(test, kmm_debug_object_destroy(dummy + i * 8, T));
		KUNIT_EXPECT_TRUE(test, kmm_debug_object_free(dummy + i * 8, T));
	}
	kmm_debug_objects_stat(&now);
	KUNIT_EXPECT_GE(test, most.pool_used, nr);
	KUNIT_EXPECT_GE(test, most.allocated - before.allocated, nr - 256);
	/* and go back to it: what is remembered needs none of its entries */
	KUNIT_EXPECT_EQ(test, now.allocated - now.freed, before.allocated - before.freed);
}

/* === The kinds, with the mistakes === */

static const struct kmm_limits no_limits = {
	.frames = KMM_NO_LIMIT, .objects = KMM_NO_LIMIT, .names = KMM_NO_LIMIT,
	.host_bytes = KMM_NO_LIMIT,
};

static void cache_destroyed_twice(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_plain);
	struct kmm_cache *s = kmm_test_cache(test, 100, 0, 0, NULL);

	KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	EXPECT_REPORT("destroy", "destroyed", "kmm_cache");
	KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), -EINVAL);
	kmm_expect_end();
	KUNIT_EXPECT_EQ(test, kmm_slab_check(t->slab.caches), 0);
	kmm_test_end_slab(test);
}

static void cache_freed_while_active(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_plain);
	struct kmm_cache *s = kmm_test_cache(test, 100, 0, 0, NULL);
	void *p;

	EXPECT_REPORT("free", "active", "kmm_cache");
	kmm_cache_free(t->slab.caches, s);
	kmm_expect_end();
	/* it was refused: the cache works */
	p = kmm_cache_alloc(s, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, p);
	kmm_cache_free(s, p);
	KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	kmm_test_end_slab(test);
}

static void cache_with_objects_stays_active(struct kunit *test)
{
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_plain);
	struct kmm_cache *s = kmm_test_cache(test, 100, 0, 0, NULL);
	unsigned int before = warnings();
	void *p = kmm_cache_alloc(s, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	kmm_expect("Objects remaining in ", 1);
	KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), -EBUSY);
	kmm_expect_end();
	kmm_cache_free(s, p);
	KUNIT_EXPECT_EQ(test, kmm_slab_cache_destroy(s), 0);
	KUNIT_EXPECT_EQ(test, warnings(), before);
	KUNIT_EXPECT_EQ(test, kmm_slab_check(t->slab.caches), 0);
	kmm_test_end_slab(test);
}

static void pipe_made_destroyed_used_twice(struct kunit *test)
{
	const struct kmm_pipe_attr attr = { .size_bytes = PAGE_SIZE };
	struct kmm_test *t = kmm_test_begin(test, &kmm_layout_plain);
	struct kmm_accounts accounts;
	struct kmm_pipe_set set = { };
	struct kmm_account *a;
	struct kmm_pipe *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);
	struct kvec vec = { .iov_base = dummy, .iov_len = 1 };
	struct iov_iter to;

	KUNIT_ASSERT_NOT_NULL(test, p);
	kmm_accounts_init(&accounts, &no_limits, &no_limits);
	a = kmm_account_create(&accounts, GLOBAL_ROOT_UID, true);
	KUNIT_ASSERT_FALSE(test, IS_ERR(a));
	kmm_pipe_set_init(&set, &t->buddy);

	KUNIT_ASSERT_EQ(test, kmm_pipe_init(p, &set, a, &attr), 0);
	EXPECT_REPORT("init", "active", "kmm_pipe");
	KUNIT_EXPECT_EQ(test, kmm_pipe_init(p, &set, a, &attr), -ESTALE);
	kmm_expect_end();
	kmm_pipe_fini(p);
	EXPECT_REPORT("destroy", "destroyed", "kmm_pipe");
	kmm_pipe_fini(p);
	kmm_expect_end();
	EXPECT_REPORT("use", "destroyed", "kmm_pipe");
	iov_iter_kvec(&to, ITER_DEST, &vec, 1, 1);
	KUNIT_EXPECT_EQ(test, kmm_pipe_read(p, &to, KMM_PIPE_NOWAIT), -ESTALE);
	kmm_expect_end();
	/* a new one at the same place is no mistake */
	memset(p, 0, sizeof(*p));
	KUNIT_EXPECT_EQ(test, kmm_pipe_init(p, &set, a, &attr), 0);
	kmm_pipe_fini(p);

	kmm_pipe_set_fini(&set);
	kmm_account_put(a);
	kmm_accounts_fini(&accounts);
	kmm_test_end(test);
}

static void space_object_queue_destroyed_twice(struct kunit *test)
{
	const struct kmm_object_attr attr = { .size_bytes = PAGE_SIZE };
	struct kmm_test *t = kmm_test_begin_slab(test, &kmm_layout_plain);
	struct kmm_accounts accounts;
	struct kmm_account *a;
	struct kmm_object_set objects = { };
	struct kmm_space_set spaces = { };
	struct kmm_msgq_set msgqs = { };
	struct kmm_object *o;
	struct kmm_space *s;
	struct kmm_msgq *q;

	kmm_accounts_init(&accounts, &no_limits, &no_limits);
	a = kmm_account_create(&accounts, GLOBAL_ROOT_UID, true);
	KUNIT_ASSERT_FALSE(test, IS_ERR(a));
	kmm_pgtables_init(&t->tables, &t->buddy);
	kmm_object_set_init(&objects, &t->buddy, NULL);
	kmm_space_set_init(&spaces, &t->buddy, &t->tables, NULL, false);
	kmm_msgq_set_init(&msgqs, &t->slab, NULL);

	o = kmm_object_create(&objects, a, &attr);
	KUNIT_ASSERT_FALSE(test, IS_ERR(o));
	kmm_object_put(o);
	EXPECT_REPORT("destroy", "destroyed", "kmm_object");
	kmm_object_destroy(o);
	kmm_expect_end();

	s = kmm_space_create(&spaces, a);
	KUNIT_ASSERT_FALSE(test, IS_ERR(s));
	kmm_space_destroy(s);
	EXPECT_REPORT("destroy", "destroyed", "kmm_space");
	kmm_space_destroy(s);
	kmm_expect_end();

	q = kmm_msgq_create(&msgqs, a, 1, 1, NULL, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(q));
	kmm_msgq_put(q);
	EXPECT_REPORT("use", "destroyed", "kmm_msgq");
	kmm_msgq_put(q);
	kmm_expect_end();

	kmm_msgq_set_fini(&msgqs);
	kmm_space_set_fini(&spaces);
	kmm_object_set_fini(&objects);
	kmm_pgtables_fini(&t->tables);
	kmm_account_put(a);
	kmm_accounts_fini(&accounts);
	kmm_test_end_slab(test);
}

static struct kunit_case debug_objects_cases[] = {
	KUNIT_CASE(life_without_mistake_is_silent),
	KUNIT_CASE(creator_that_fails_may_destroy),
	KUNIT_CASE(each_wrong_step_is_reported),
	KUNIT_CASE(held_it_stays_on_and_keeps_one),
	KUNIT_CASE(range_with_an_object_is_not_freed),
	KUNIT_CASE(unknown_is_counted_not_reported),
	KUNIT_CASE(many_objects_come_from_the_cache),
	KUNIT_CASE(cache_destroyed_twice),
	KUNIT_CASE(cache_freed_while_active),
	KUNIT_CASE(cache_with_objects_stays_active),
	KUNIT_CASE(pipe_made_destroyed_used_twice),
	KUNIT_CASE(space_object_queue_destroyed_twice),
	{}
};

struct kunit_suite kmm_debug_objects_suite = {
	.name = "kmm_debug_objects",
	.init = debug_objects_init,
	.exit = debug_objects_exit,
	.test_cases = debug_objects_cases,
};
