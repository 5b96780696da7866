// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_object
 *
 * Memory objects and the accounts that pay for them, without files: on a private buddy
 * over a fake region, with accounts of their own. Every case ends with nothing charged and
 * all frames home. The random case compares with the plainest reference there is, a byte
 * array.
 */

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <kmm/account.h>
#include <kmm/inject.h>
#include <kmm/object.h>

#include "helpers.h"

struct fixture {
	struct kmm_test *t;
	struct kmm_accounts accounts;
	struct kmm_object_set set;
	struct kmm_account *a;
	u64 base_host_bytes;
};

static const struct kmm_limits no_limits = {
	.frames = KMM_NO_LIMIT, .objects = KMM_NO_LIMIT, .names = KMM_NO_LIMIT,
	.host_bytes = KMM_NO_LIMIT,
};

static void uncharge(void *ctx, u32 owner, unsigned long nr_pages)
{
	kmm_accounts_uncharge_frames(ctx, owner, nr_pages);
}

static struct fixture *begin(struct kunit *test, const struct kmm_limits *limits)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	struct page *page;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->t = kmm_test_begin(test, &kmm_layout_plain);
	f->t->buddy.ctx = &f->accounts;
	f->t->buddy.uncharge = uncharge;
	kmm_accounts_init(&f->accounts, limits, &no_limits);
	kmm_object_set_init(&f->set, &f->t->buddy, NULL);
	f->a = kmm_account_create(&f->accounts, GLOBAL_ROOT_UID, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR(f->a));
	f->base_host_bytes = kmm_account_used(f->a, KMM_RES_HOST_BYTES);
	/* frames that were in use before are dirty */
	for (i = 0; i < 64; i++) {
		page = kmm_buddy_alloc(&f->t->buddy, GFP_KERNEL | __GFP_MOVABLE, 0);
		KUNIT_ASSERT_NOT_NULL(test, page);
		memset(page_address(page), 0xe7, PAGE_SIZE);
		kmm_buddy_free(&f->t->buddy, page, 0);
	}
	return f;
}

static void expect_empty(struct kunit *test, struct fixture *f)
{
	unsigned int r;

	for (r = 0; r < KMM_NR_RESOURCES; r++)
		KUNIT_EXPECT_EQ_MSG(test, kmm_account_used(f->a, r),
				    r == KMM_RES_HOST_BYTES ? f->base_host_bytes : 0,
				    "resource %u", r);
	KUNIT_EXPECT_EQ(test, f->set.nr, 0);
	KUNIT_EXPECT_EQ(test, kmm_test_used(f->t), 0);
}

static void end(struct kunit *test, struct fixture *f)
{
	expect_empty(test, f);
	kmm_account_put(f->a);
	kmm_accounts_fini(&f->accounts);
	kmm_object_set_fini(&f->set);
	f->t->buddy.uncharge = NULL;
	kmm_test_end(test);
	rcu_barrier();
}

static struct kmm_object *create(struct fixture *f, u64 size_bytes, u32 flags)
{
	struct kmm_object_attr attr = {
		.size_bytes = size_bytes, .flags = flags, .extra_bytes = 300,
	};

	return kmm_object_create(&f->set, f->a, &attr);
}

static struct kmm_object *must_create(struct kunit *test, struct fixture *f, u64 size_bytes,
				      u32 flags)
{
	struct kmm_object *o = create(f, size_bytes, flags);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(o), "%ld", PTR_ERR_OR_ZERO(o));
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	return o;
}

static void destroy(struct kunit *test, struct kmm_object *o)
{
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	kmm_object_destroy(o);
}

/* Write @len bytes at @offset, as write(2) does; page by page. */
static int object_write(struct kmm_object *o, u64 offset, const u8 *from, unsigned long len)
{
	while (len) {
		unsigned long in = offset_in_page(offset), n = min(len, PAGE_SIZE - in);
		struct page *page = kmm_object_get_page(o, offset >> PAGE_SHIFT, true);

		if (IS_ERR(page))
			return PTR_ERR(page);
		memcpy(page_address(page) + in, from, n);
		put_page(page);
		offset += n;
		from += n;
		len -= n;
	}
	return 0;
}

/* Are @len bytes at @offset those at @expected? Holes are zeros. */
static bool object_equals(struct kmm_object *o, u64 offset, const u8 *expected, unsigned long len)
{
	while (len) {
		unsigned long in = offset_in_page(offset), n = min(len, PAGE_SIZE - in);
		struct page *page = kmm_object_get_page(o, offset >> PAGE_SHIFT, false);
		bool same;

		if (IS_ERR(page))
			return false;
		if (page) {
			same = !memcmp(page_address(page) + in, expected, n);
			put_page(page);
		} else {
			same = !memchr_inv(expected, 0, n);
		}
		if (!same)
			return false;
		offset += n;
		expected += n;
		len -= n;
	}
	return true;
}

/* === Cases === */

static void destroy_returns_everything(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o[3];
	unsigned int i;

	o[0] = must_create(test, f, 1, 0);
	o[1] = must_create(test, f, 700 * PAGE_SIZE, KMM_OBJECT_EAGER);
	o[2] = must_create(test, f, KMM_OBJECT_SIZE_MAX, 0);
	KUNIT_EXPECT_EQ(test, f->set.nr, 3);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_OBJECTS), 3);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 700);
	KUNIT_EXPECT_EQ(test, kmm_test_used(f->t), 700);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES), f->base_host_bytes +
			o[0]->host_bytes + o[1]->host_bytes + o[2]->host_bytes);
	KUNIT_EXPECT_NE(test, o[0]->id, o[1]->id);
	KUNIT_EXPECT_EQ(test, object_write(o[2], KMM_OBJECT_SIZE_MAX - 3, "abc", 3), 0);
	KUNIT_EXPECT_TRUE(test, object_equals(o[2], KMM_OBJECT_SIZE_MAX - 4, "\0abc", 4));
	for (i = 0; i < 3; i++)
		destroy(test, o[i]);
	end(test, f);
}

static void page_is_zero_at_first_sight(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o;
	unsigned int round, i;

	for (round = 0; round < 3; round++) {
		o = must_create(test, f, 128 * PAGE_SIZE, round ? KMM_OBJECT_EAGER : 0);
		for (i = 0; i < 128; i++) {
			struct page *page = kmm_object_get_page(o, i, true);

			KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page));
			KUNIT_EXPECT_NULL(test, memchr_inv(page_address(page), 0, PAGE_SIZE));
			memset(page_address(page), 0x77, PAGE_SIZE);
			put_page(page);
		}
		destroy(test, o);
	}
	end(test, f);
}

static void hole_stays_until_it_is_filled(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o = must_create(test, f, 10 * PAGE_SIZE + 1, 0);
	struct page *page;

	KUNIT_EXPECT_EQ(test, o->nr_pages, 11);
	KUNIT_EXPECT_NULL(test, kmm_object_get_page(o, 10, false));
	KUNIT_EXPECT_EQ(test, o->resident, 0);
	page = kmm_object_get_page(o, 10, true);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page));
	KUNIT_EXPECT_EQ(test, page_count(page), 2);
	KUNIT_EXPECT_EQ(test, kmm_buddy_owner(&f->t->buddy, page), f->a->id);
	put_page(page);
	page = kmm_object_get_page(o, 10, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page));
	put_page(page);
	KUNIT_EXPECT_EQ(test, o->resident, 1);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kmm_object_get_page(o, 11, true)), -ENXIO);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kmm_object_get_page(o, 11, false)), -ENXIO);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kmm_object_get_page(o, ULONG_MAX, true)), -ENXIO);
	destroy(test, o);
	end(test, f);
}

static void fault_gets_the_resident_neighbours(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o = must_create(test, f, 600 * PAGE_SIZE, 0);
	struct page *pages[KMM_FAULT_AROUND];
	int n;

	KUNIT_EXPECT_EQ(test, kmm_object_populate(o, 3, 5), 0);
	n = kmm_object_lock_pages(o, 2, pages, KMM_FAULT_AROUND);
	KUNIT_EXPECT_EQ(test, n, 6);	/* 2 was a hole and is filled; 3..7 were there */
	KUNIT_EXPECT_TRUE(test, mutex_is_locked(&o->lock));
	kmm_object_unlock(o);
	n = kmm_object_lock_pages(o, 4, pages, 2);
	KUNIT_EXPECT_EQ(test, n, 2);
	kmm_object_unlock(o);
	n = kmm_object_lock_pages(o, 599, pages, KMM_FAULT_AROUND);
	KUNIT_EXPECT_EQ(test, n, 1);
	kmm_object_unlock(o);
	KUNIT_EXPECT_EQ(test, kmm_object_lock_pages(o, 600, pages, 1), -ENXIO);
	KUNIT_EXPECT_FALSE(test, mutex_is_locked(&o->lock));
	KUNIT_EXPECT_EQ(test, o->resident, 7);
	destroy(test, o);
	end(test, f);
}

static void contiguous_object_is_one_block(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o = must_create(test, f, 37 * PAGE_SIZE, KMM_OBJECT_CONTIG);
	unsigned long first = 0;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, o->resident, 37);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 37);
	/* the rest of the block of 64 went back */
	KUNIT_EXPECT_EQ(test, kmm_test_used(f->t), 37);
	for (i = 0; i < 37; i++) {
		struct page *page = kmm_object_get_page(o, i, false);

		KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page));
		if (!i)
			first = page_to_pfn(page);
		KUNIT_EXPECT_EQ(test, page_to_pfn(page), first + i);
		KUNIT_EXPECT_NULL(test, memchr_inv(page_address(page), 0, PAGE_SIZE));
		put_page(page);
	}
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 0, PAGE_SIZE), -EPERM);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, PAGE_SIZE), -EPERM);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 100 * PAGE_SIZE), -EPERM);
	destroy(test, o);
	o = must_create(test, f, PAGE_SIZE << KMM_MAX_ORDER, KMM_OBJECT_CONTIG);
	destroy(test, o);
	end(test, f);
}

static void locked_object_never_loses_a_page(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o = must_create(test, f, 5 * PAGE_SIZE, KMM_OBJECT_LOCKED);

	KUNIT_EXPECT_EQ(test, o->resident, 5);
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 0, PAGE_SIZE), -EPERM);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, PAGE_SIZE), -EPERM);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 9 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, o->resident, 9);
	destroy(test, o);
	end(test, f);
}

static void bad_attributes_are_refused(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);

	KUNIT_EXPECT_EQ(test, PTR_ERR(create(f, 0, 0)), -EINVAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR(create(f, 4096, 1U << 3)), -EINVAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR(create(f, 4096, 1U << 31)), -EINVAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR(create(f, KMM_OBJECT_SIZE_MAX + 1, 0)), -EFBIG);
	KUNIT_EXPECT_EQ(test, PTR_ERR(create(f, U64_MAX, 0)), -EFBIG);
	KUNIT_EXPECT_EQ(test, PTR_ERR(create(f, (PAGE_SIZE << KMM_MAX_ORDER) + 1,
					     KMM_OBJECT_CONTIG)), -EFBIG);
	/* more than there is: everything taken on the way goes back */
	KUNIT_EXPECT_EQ(test, PTR_ERR(create(f, 64 << 20, KMM_OBJECT_EAGER)), -ENOMEM);
	end(test, f);
}

static void punch_zeroes_and_gives_frames_back(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o = must_create(test, f, 1100 * PAGE_SIZE - 7, KMM_OBJECT_EAGER);
	u8 *buf = kunit_kmalloc(test, 4 * PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	memset(buf, 0x42, 4 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, object_write(o, 0, buf, 4 * PAGE_SIZE), 0);
	/* a page and two halves */
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, PAGE_SIZE / 2, 2 * PAGE_SIZE), 0);
	memset(buf + PAGE_SIZE / 2, 0, 2 * PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, object_equals(o, 0, buf, 4 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, o->resident, 1099);
	/* within a page */
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 3 * PAGE_SIZE + 10, 20), 0);
	memset(buf + 3 * PAGE_SIZE + 10, 0, 20);
	KUNIT_EXPECT_TRUE(test, object_equals(o, 0, buf, 4 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, o->resident, 1099);
	/* nothing, behind the end, over the end of numbers */
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 5000 * PAGE_SIZE, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, U64_MAX - 4, 4), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, U64_MAX - 4, 5), -EOVERFLOW);
	KUNIT_EXPECT_EQ(test, o->resident, 1099);
	/* whole leaves, and the last page, which is not a whole one */
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 4 * PAGE_SIZE, 1ULL << 40), 0);
	KUNIT_EXPECT_EQ(test, o->resident, 3);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 3);
	KUNIT_EXPECT_TRUE(test, object_equals(o, 0, buf, 4 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	destroy(test, o);
	end(test, f);
}

static void shrunk_part_comes_back_as_zeros(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o = must_create(test, f, 20 * PAGE_SIZE, 0);
	u8 *buf = kunit_kzalloc(test, 20 * PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	memset(buf, 0x24, 20 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, object_write(o, 0, buf, 20 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 5 * PAGE_SIZE + 100), 0);
	KUNIT_EXPECT_EQ(test, o->resident, 6);
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 2000 * PAGE_SIZE), 0);
	memset(buf + 5 * PAGE_SIZE + 100, 0, 15 * PAGE_SIZE - 100);
	KUNIT_EXPECT_TRUE(test, object_equals(o, 0, buf, 20 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, KMM_OBJECT_SIZE_MAX + 1), -EFBIG);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 0), 0);
	KUNIT_EXPECT_EQ(test, o->resident, 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kmm_object_get_page(o, 0, true)), -ENXIO);
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	destroy(test, o);
	/* an eager one grows eagerly, or not at all */
	o = must_create(test, f, PAGE_SIZE, KMM_OBJECT_EAGER);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 30 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, o->resident, 30);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 64 << 20), -ENOMEM);
	KUNIT_EXPECT_EQ(test, o->size_bytes, 30 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, o->resident, 30);
	destroy(test, o);
	end(test, f);
}

static void seals_only_grow_and_hold(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o = must_create(test, f, 4 * PAGE_SIZE, 0);
	struct page *page;

	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, 1U << 5), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_GROW), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 5 * PAGE_SIZE), -EPERM);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 3 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_SHRINK), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 2 * PAGE_SIZE), -EPERM);
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 0, PAGE_SIZE), 0);
	/* somebody outside holds a page and may write to it */
	page = kmm_object_get_page(o, 1, true);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page));
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_WRITE), -EBUSY);
	KUNIT_EXPECT_EQ(test, o->seals, KMM_SEAL_GROW | KMM_SEAL_SHRINK);
	put_page(page);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_WRITE | KMM_SEAL_SEAL), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 0, PAGE_SIZE), -EPERM);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_FUTURE_WRITE), -EPERM);
	KUNIT_EXPECT_EQ(test, o->seals, KMM_SEAL_GROW | KMM_SEAL_SHRINK | KMM_SEAL_WRITE |
			KMM_SEAL_SEAL);
	destroy(test, o);
	end(test, f);
}

static void pinned_object_keeps_every_frame(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o = must_create(test, f, 1100 * PAGE_SIZE - 7, 0);
	struct page **pages = kunit_kcalloc(test, 1100, sizeof(*pages), GFP_KERNEL);
	struct page *page;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	/* a hole is no frame */
	KUNIT_EXPECT_EQ(test, kmm_object_pinned_pages(o, pages, 1), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_populate(o, 0, 513), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_pinned_pages(o, pages, 1100), 513);

	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, true), 0);
	KUNIT_EXPECT_EQ(test, o->resident, 1100);
	KUNIT_EXPECT_EQ(test, kmm_object_pinned_pages(o, pages, 1100), 1100);
	for (i = 0; i < 1100; i++) {
		page = kmm_object_get_page(o, i, false);
		KUNIT_ASSERT_PTR_EQ(test, page, pages[i]);
		put_page(page);
	}
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 0, PAGE_SIZE), -EBUSY);
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 5, 1), -EBUSY);
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 5000 * PAGE_SIZE, 1), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 1100 * PAGE_SIZE - 8), -EBUSY);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 0), -EBUSY);
	/* it may grow, also into a new leaf, and is no smaller thereafter */
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 3000 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 1100 * PAGE_SIZE), -EBUSY);
	KUNIT_EXPECT_EQ(test, o->resident, 1100);

	/* the second pin covers what is new; either of them holds */
	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, false), 0);
	KUNIT_EXPECT_EQ(test, o->resident, 3000);
	KUNIT_EXPECT_EQ(test, o->nr_pins, 2);
	KUNIT_EXPECT_EQ(test, o->nr_write_pins, 1);
	kmm_object_unpin(o, true);
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 0, PAGE_SIZE), -EBUSY);
	kmm_object_unpin(o, false);
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 0, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	destroy(test, o);
	end(test, f);
}

static void pin_that_writes_and_seal_exclude_each_other(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o = must_create(test, f, 4 * PAGE_SIZE, 0);

	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, true), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_WRITE), -EBUSY);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_FUTURE_WRITE), -EBUSY);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_GROW | KMM_SEAL_SHRINK), 0);
	KUNIT_EXPECT_EQ(test, o->seals, KMM_SEAL_GROW | KMM_SEAL_SHRINK);
	kmm_object_unpin(o, true);
	/* one that only reads is no hindrance */
	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, false), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_WRITE), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, true), -EPERM);
	KUNIT_EXPECT_EQ(test, o->nr_pins, 1);
	/* a seal is told before the pin */
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 0, PAGE_SIZE), -EPERM);
	kmm_object_unpin(o, false);
	destroy(test, o);
	o = must_create(test, f, PAGE_SIZE, 0);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_FUTURE_WRITE), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, true), -EPERM);
	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, false), 0);
	kmm_object_unpin(o, false);
	destroy(test, o);
	end(test, f);
}

static void pin_that_fails_leaves_no_pin(struct kunit *test)
{
	const struct kmm_limits few = {
		.frames = 10, .objects = 9, .names = 9, .host_bytes = 1 << 20,
	};
	struct fixture *f = begin(test, &few);
	struct kmm_object *o = must_create(test, f, 11 * PAGE_SIZE, 0);

	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, true), -EDQUOT);
	KUNIT_EXPECT_EQ(test, o->nr_pins, 0);
	KUNIT_EXPECT_EQ(test, o->nr_write_pins, 0);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 10 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, true), 0);
	kmm_object_unpin(o, true);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 0), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, true), -EINVAL);
	/* more than the region has: refused before the first frame is taken */
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 1ULL << 36), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, true), -ENOMEM);
	KUNIT_EXPECT_EQ(test, o->resident, 0);
	destroy(test, o);
	end(test, f);
}

static void seek_finds_data_and_holes(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	u64 size = 3000 * PAGE_SIZE + 5;
	struct kmm_object *o = must_create(test, f, size, 0);

	KUNIT_EXPECT_EQ(test, kmm_object_seek(o, 0, true), size);
	KUNIT_EXPECT_EQ(test, kmm_object_seek(o, 7, false), 7);
	KUNIT_EXPECT_EQ(test, kmm_object_populate(o, 1000, 2), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_seek(o, 0, true), 1000 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, kmm_object_seek(o, 1000 * PAGE_SIZE + 3, true), 1000 * PAGE_SIZE + 3);
	KUNIT_EXPECT_EQ(test, kmm_object_seek(o, 1000 * PAGE_SIZE + 3, false), 1002 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, kmm_object_seek(o, 1002 * PAGE_SIZE, true), size);
	/* the last page, up to the end: the end is a hole */
	KUNIT_EXPECT_EQ(test, kmm_object_populate(o, 3000, 1), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_seek(o, 3000 * PAGE_SIZE, false), size);
	destroy(test, o);
	end(test, f);
}

static void limit_refuses_and_changes_nothing(struct kunit *test)
{
	struct kmm_limits limits = no_limits;
	struct kmm_object *o[3], *p;
	struct fixture *f;
	u64 host;

	limits.objects = 3;
	limits.frames = 100;
	f = begin(test, &limits);
	o[0] = must_create(test, f, 80 * PAGE_SIZE, KMM_OBJECT_EAGER);
	o[1] = must_create(test, f, 80 * PAGE_SIZE, 0);
	o[2] = must_create(test, f, 1, 0);
	host = kmm_account_used(f->a, KMM_RES_HOST_BYTES);
	KUNIT_EXPECT_EQ(test, PTR_ERR(create(f, 1, 0)), -EDQUOT);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES), host);
	kmm_object_destroy(o[2]);
	/* twenty frames are left */
	KUNIT_EXPECT_EQ(test, PTR_ERR(create(f, 21 * PAGE_SIZE, KMM_OBJECT_EAGER)), -EDQUOT);
	KUNIT_EXPECT_EQ(test, PTR_ERR(create(f, 21 * PAGE_SIZE, KMM_OBJECT_CONTIG)), -EDQUOT);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 80);
	p = must_create(test, f, 20 * PAGE_SIZE, KMM_OBJECT_EAGER);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kmm_object_get_page(o[1], 0, true)), -EDQUOT);
	KUNIT_EXPECT_EQ(test, kmm_object_populate(o[1], 0, 80), -EDQUOT);
	KUNIT_EXPECT_EQ(test, o[1]->resident, 0);
	kmm_object_destroy(p);
	KUNIT_EXPECT_EQ(test, kmm_object_populate(o[1], 0, 20), 0);
	kmm_object_destroy(o[0]);
	destroy(test, o[1]);
	end(test, f);

	limits = no_limits;
	limits.host_bytes = 16384;
	f = begin(test, &limits);
	KUNIT_EXPECT_EQ(test, PTR_ERR(create(f, 1ULL << 36, 0)), -EDQUOT);
	p = must_create(test, f, 2048 * PAGE_SIZE, 0);
	/* three leaves fit, a fourth does not */
	KUNIT_EXPECT_EQ(test, kmm_object_populate(p, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_populate(p, 512, 1), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_populate(p, 1024, 1), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_populate(p, 1536, 1), -EDQUOT);
	KUNIT_EXPECT_EQ(test, p->resident, 3);
	destroy(test, p);
	end(test, f);
}

static void held_page_is_charged_until_it_is_let_go(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o = must_create(test, f, 8 * PAGE_SIZE, KMM_OBJECT_EAGER);
	struct page *page = kmm_object_get_page(o, 3, false);

	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page));
	kmm_object_destroy(o);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 1);
	KUNIT_EXPECT_EQ(test, kmm_test_quarantined(f->t), 1);
	KUNIT_EXPECT_NULL(test, page->mapping);
	put_page(page);
	KUNIT_EXPECT_EQ(test, kmm_buddy_recheck_quarantine(&f->t->buddy), 1);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 0);
	end(test, f);
}

/* Calls whose every allocation is made to fail once. */
static int call_get_page(struct kmm_object *o)
{
	struct page *page = kmm_object_get_page(o, 700, true);

	if (IS_ERR(page))
		return PTR_ERR(page);
	put_page(page);
	return 0;
}

static int call_populate(struct kmm_object *o)
{
	return kmm_object_populate(o, 1000, 300);
}

static int call_grow(struct kmm_object *o)
{
	return kmm_object_resize(o, 9000 * PAGE_SIZE);
}

/* Until it succeeds without the failure having been used. Return: failure points. */
static unsigned int fail_each(struct kunit *test, struct kmm_object *o,
			      int (*call)(struct kmm_object *o))
{
	unsigned long nr_pages = o->nr_pages;
	unsigned int n;

	for (n = 1; n < 200; n++) {
		bool fired;
		int err;

		kmm_inject_arm(n);
		err = call(o);
		fired = kmm_inject_disarm();
		KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
		if (!fired) {
			KUNIT_EXPECT_EQ(test, err, 0);
			return n - 1;
		}
		/* or it found another way: then again, from the start */
		if (err)
			KUNIT_EXPECT_EQ(test, err, -ENOMEM);
		KUNIT_EXPECT_EQ(test, kmm_object_resize(o, nr_pages * PAGE_SIZE), 0);
		KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 0, nr_pages * PAGE_SIZE), 0);
		KUNIT_EXPECT_EQ(test, o->resident, 0);
	}
	return 0;
}

static void every_failure_point_leaves_nothing(struct kunit *test)
{
	static const u32 flags[] = { 0, KMM_OBJECT_EAGER, KMM_OBJECT_CONTIG, KMM_OBJECT_LOCKED };
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o;
	unsigned int i, n;
	int err;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		for (n = 1; n < 200; n++) {
			bool fired;

			kmm_inject_arm(n);
			o = create(f, 600 * PAGE_SIZE, flags[i]);
			fired = kmm_inject_disarm();
			if (!IS_ERR(o))
				destroy(test, o);
			else
				KUNIT_EXPECT_EQ(test, PTR_ERR(o), -ENOMEM);
			expect_empty(test, f);
			if (!fired)
				break;
		}
		KUNIT_EXPECT_GT(test, n, 2);
		KUNIT_EXPECT_LT(test, n, 200);
		KUNIT_EXPECT_FALSE(test, IS_ERR(o));
	}

	o = must_create(test, f, 2000 * PAGE_SIZE, 0);
	n = fail_each(test, o, call_get_page);
	KUNIT_EXPECT_GT(test, n, 0);
	KUNIT_EXPECT_EQ(test, o->resident, 1);
	kmm_object_punch(o, 0, U64_MAX);
	n += fail_each(test, o, call_populate);
	KUNIT_EXPECT_EQ(test, o->resident, 300);
	kmm_object_punch(o, 0, U64_MAX);
	n += fail_each(test, o, call_grow);
	KUNIT_EXPECT_EQ(test, o->nr_pages, 9000);
	kunit_info(test, "%u failure points of an object's life\n", n);
	destroy(test, o);
	expect_empty(test, f);

	/* growing an eager object fills it: a failure takes back what was filled */
	o = must_create(test, f, 10 * PAGE_SIZE, KMM_OBJECT_EAGER);
	for (n = 1; n < 200; n++) {
		bool fired;

		kmm_inject_arm(n);
		err = kmm_object_resize(o, 100 * PAGE_SIZE);
		fired = kmm_inject_disarm();
		if (!fired)
			break;
		KUNIT_EXPECT_EQ(test, o->resident, err ? 10 : 100);
		KUNIT_EXPECT_EQ(test, o->nr_pages, err ? 10 : 100);
		if (!err)
			KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 10 * PAGE_SIZE), 0);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	destroy(test, o);
	end(test, f);
}

static void accounts_add_up_and_free_late(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_account *b = kmm_account_create(&f->accounts, GLOBAL_ROOT_UID, false);
	struct kmm_account *user = f->a->parent;
	struct kmm_object_attr attr = { .size_bytes = 6 * PAGE_SIZE, .flags = KMM_OBJECT_EAGER };
	struct kmm_object *o, *p;
	struct page *page;

	KUNIT_ASSERT_FALSE(test, IS_ERR(b));
	KUNIT_EXPECT_PTR_EQ(test, b->parent, user);
	KUNIT_EXPECT_NE(test, b->id, f->a->id);
	o = must_create(test, f, 4 * PAGE_SIZE, KMM_OBJECT_EAGER);
	p = kmm_object_create(&f->set, b, &attr);
	KUNIT_ASSERT_FALSE(test, IS_ERR(p));
	KUNIT_EXPECT_EQ(test, kmm_account_used(user, KMM_RES_FRAMES), 10);
	KUNIT_EXPECT_EQ(test, kmm_account_used(user, KMM_RES_OBJECTS), 2);
	/* b's file is closed, its object is not; then its object is gone, a frame is held */
	kmm_account_put(b);
	page = kmm_object_get_page(p, 5, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page));
	kmm_object_destroy(p);
	KUNIT_EXPECT_EQ(test, kmm_account_used(user, KMM_RES_FRAMES), 5);
	put_page(page);
	KUNIT_EXPECT_EQ(test, kmm_buddy_recheck_quarantine(&f->t->buddy), 1);
	KUNIT_EXPECT_EQ(test, kmm_account_used(user, KMM_RES_FRAMES), 4);
	destroy(test, o);
	end(test, f);
}

/* === Frames that change their object === */

static struct kmm_account *must_account(struct kunit *test, struct kmm_accounts *set, uid_t uid)
{
	struct kmm_account *a = kmm_account_create(set, KUIDT_INIT(uid), false);

	KUNIT_ASSERT_FALSE(test, IS_ERR(a));
	return a;
}

static struct kmm_object *must_create_for(struct kunit *test, struct fixture *f,
					  struct kmm_account *a, u64 size_bytes, u32 flags,
					  const struct kmm_mapping_ops *mops)
{
	struct kmm_object_attr attr = { .size_bytes = size_bytes, .flags = flags, .mops = mops };
	struct kmm_object *o = kmm_object_create(&f->set, a, &attr);

	KUNIT_ASSERT_FALSE(test, IS_ERR(o));
	return o;
}

/* Page i of [first, first + nr) is full of i + salt. */
static void fill_pages(struct kunit *test, struct kmm_object *o, pgoff_t first, unsigned int nr,
		       u8 salt)
{
	for (; nr--; first++) {
		struct page *page = kmm_object_get_page(o, first, true);

		KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page));
		memset(page_address(page), (u8)(first + salt), PAGE_SIZE);
		put_page(page);
	}
}

/* -1: a hole; 0 .. 255: full of this byte; -2: of different ones. */
static int page_byte(struct kmm_object *o, pgoff_t index)
{
	struct page *page = kmm_object_get_page(o, index, false);
	int byte;

	if (IS_ERR_OR_NULL(page))
		return -1;
	byte = *(u8 *)page_address(page);
	if (memchr_inv(page_address(page), byte, PAGE_SIZE))
		byte = -2;
	put_page(page);
	return byte;
}

static void taken_pages_move_with_contents_and_charge(struct kunit *test)
{
	struct page **pages = kunit_kcalloc(test, KMM_TAKE_MAX, sizeof(*pages), GFP_KERNEL);
	struct fixture *f = begin(test, &no_limits);
	struct kmm_account *b = must_account(test, &f->accounts, 1000);
	struct kmm_object *src = must_create(test, f, 600 * PAGE_SIZE, 0);
	struct kmm_object *dst = must_create_for(test, f, b, 1100 * PAGE_SIZE, 0, NULL);
	struct page *page;
	unsigned int copied = 7, i;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	/* over the edge of a leaf, with a hole at each end and two in the middle */
	fill_pages(test, src, 501, 30, 0);
	kmm_object_punch(src, 510 * PAGE_SIZE, 2 * PAGE_SIZE);
	fill_pages(test, dst, 998, 3, 100);
	page = kmm_object_get_page(src, 501, false);
	put_page(page);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(src, 500, 32, b, pages, &copied), 28);
	KUNIT_EXPECT_EQ(test, copied, 0);
	KUNIT_EXPECT_EQ(test, kmm_object_check(src), 0);
	KUNIT_EXPECT_EQ(test, src->resident, 0);
	KUNIT_EXPECT_PTR_EQ(test, pages[1], page);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 0);
	KUNIT_EXPECT_EQ(test, kmm_account_used(b, KMM_RES_FRAMES), 28 + 3);
	for (i = 0; i < 32; i++) {
		if (i == 0 || i == 10 || i == 11 || i == 31) {
			KUNIT_EXPECT_NULL(test, pages[i]);
			continue;
		}
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
		KUNIT_EXPECT_EQ(test, page_count(pages[i]), 1);
		KUNIT_EXPECT_NULL(test, pages[i]->mapping);
		KUNIT_EXPECT_EQ(test, kmm_buddy_owner(&f->t->buddy, pages[i]), b->id);
	}

	/* 999 and 1000 are dropped for a hole and a frame, 998 stays */
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(dst, 999, 32, b, pages), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_check(dst), 0);
	KUNIT_EXPECT_EQ(test, dst->resident, 29);
	KUNIT_EXPECT_EQ(test, kmm_account_used(b, KMM_RES_FRAMES), 29);
	KUNIT_EXPECT_EQ(test, page_byte(dst, 998), (u8)((998 + 100) & 0xff));
	for (i = 0; i < 32; i++) {
		int byte = i == 0 || i == 10 || i == 11 || i == 31 ? -1 : (u8)(500 + i);

		KUNIT_EXPECT_EQ_MSG(test, page_byte(dst, 999 + i), byte, "page %u", i);
		KUNIT_EXPECT_EQ_MSG(test, page_byte(src, 500 + i), -1, "page %u", i);
	}
	destroy(test, src);
	destroy(test, dst);
	kmm_account_put(b);
	end(test, f);
}

static void held_frame_is_copied_not_moved(struct kunit *test)
{
	struct page **pages = kunit_kcalloc(test, KMM_TAKE_MAX, sizeof(*pages), GFP_KERNEL);
	struct fixture *f = begin(test, &no_limits);
	struct kmm_account *b = must_account(test, &f->accounts, 1000);
	struct kmm_object *src = must_create(test, f, 8 * PAGE_SIZE, 0);
	struct kmm_object *dst = must_create_for(test, f, b, 8 * PAGE_SIZE, 0, NULL);
	struct page *held[3];
	unsigned int copied, i;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	fill_pages(test, src, 0, 8, 1);
	held[0] = kmm_object_get_page(src, 0, false);
	held[1] = kmm_object_get_page(src, 3, false);
	held[2] = kmm_object_get_page(src, 7, false);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(src, 0, 8, b, pages, &copied), 8);
	KUNIT_EXPECT_EQ(test, copied, 3);
	KUNIT_EXPECT_EQ(test, kmm_object_check(src), 0);
	KUNIT_EXPECT_EQ(test, kmm_test_quarantined(f->t), 3);
	/* the originals are the giver's to pay for until they are let go */
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 3);
	KUNIT_EXPECT_EQ(test, kmm_account_used(b, KMM_RES_FRAMES), 8);
	/* who holds one may write to it: nobody sees that any more */
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_NULL(test, held[i]->mapping);
		memset(page_address(held[i]), 0xee, PAGE_SIZE);
	}
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(dst, 0, 8, b, pages), 0);
	for (i = 0; i < 8; i++) {
		KUNIT_EXPECT_EQ(test, page_byte(dst, i), i + 1);
		KUNIT_EXPECT_EQ(test, page_byte(src, i), -1);
	}
	for (i = 0; i < 3; i++)
		put_page(held[i]);
	KUNIT_EXPECT_EQ(test, kmm_buddy_recheck_quarantine(&f->t->buddy), 3);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 0);
	destroy(test, src);
	destroy(test, dst);
	kmm_account_put(b);
	end(test, f);
}

static void taking_what_must_stay_is_refused(struct kunit *test)
{
	static const u32 fixed[] = { KMM_OBJECT_LOCKED, KMM_OBJECT_CONTIG };
	static const u32 seals[] = { KMM_SEAL_WRITE, KMM_SEAL_FUTURE_WRITE };
	struct page *pages[8] = { }, *given[8] = { };
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o, *dst = must_create(test, f, 8 * PAGE_SIZE, 0);
	unsigned int copied, i;

	fill_pages(test, dst, 0, 8, 0);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(dst, 0, 0, f->a, pages, &copied), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(dst, 0, KMM_TAKE_MAX + 1, f->a, pages,
						    &copied), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(dst, 8, 1, f->a, pages, &copied), -ENXIO);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(dst, 1, 8, f->a, pages, &copied), -ENXIO);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(dst, ULONG_MAX, 2, f->a, pages, &copied),
			-ENXIO);
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(dst, 0, 0, f->a, pages), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(dst, 8, 1, f->a, pages), -ENXIO);
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(dst, 1, 8, f->a, pages), -ENXIO);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(dst, 0, 4, f->a, given, &copied), 4);
	for (i = 0; i < 4; i++) {
		o = must_create(test, f, 8 * PAGE_SIZE, i < 2 ? fixed[i] : KMM_OBJECT_EAGER);
		if (i >= 2)
			KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, seals[i - 2]), 0);
		KUNIT_EXPECT_EQ(test, kmm_object_take_pages(o, 0, 8, f->a, pages, &copied),
				-EPERM);
		KUNIT_EXPECT_EQ(test, kmm_object_reserve(o, 0, 8), -EPERM);
		KUNIT_EXPECT_EQ(test, kmm_object_put_pages(o, 0, 4, f->a, given), -EPERM);
		KUNIT_EXPECT_EQ(test, o->resident, 8);
		destroy(test, o);
	}
	o = must_create(test, f, 8 * PAGE_SIZE, 0);
	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, false), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(o, 0, 8, f->a, pages, &copied), -EBUSY);
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(o, 0, 4, f->a, given), -EBUSY);
	kmm_object_unpin(o, false);
	destroy(test, o);
	/* who was refused still has the frames; size seals do not matter */
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(dst, KMM_SEAL_GROW | KMM_SEAL_SHRINK), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(dst, 0, 4, f->a, given), 0);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, page_byte(dst, i), i);
	destroy(test, dst);
	end(test, f);
}

static void taking_stops_at_the_quota_with_nothing_taken(struct kunit *test)
{
	struct kmm_limits limits = no_limits;
	struct page *pages[8] = { };
	struct kmm_object *src, *dst, *own;
	struct kmm_account *b;
	struct fixture *f;
	unsigned int copied, i;

	limits.frames = 10;
	f = begin(test, &limits);
	b = must_account(test, &f->accounts, 1000);
	src = must_create(test, f, 8 * PAGE_SIZE, 0);
	dst = must_create_for(test, f, b, 8 * PAGE_SIZE, 0, NULL);
	own = must_create_for(test, f, b, 5 * PAGE_SIZE, KMM_OBJECT_EAGER, NULL);
	fill_pages(test, src, 0, 8, 1);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(src, 0, 6, b, pages, &copied), -EDQUOT);
	KUNIT_EXPECT_EQ(test, src->resident, 8);
	KUNIT_EXPECT_EQ(test, kmm_account_used(b, KMM_RES_FRAMES), 5);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 8);
	/* the same when the giver keeps paying and the receiver cannot */
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(src, 0, 6, f->a, pages, &copied), 6);
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(dst, 0, 6, f->a, pages), -EDQUOT);
	KUNIT_EXPECT_EQ(test, dst->resident, 0);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 8);
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(src, 0, 6, f->a, pages), 0);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, page_byte(src, i), i + 1);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(src, 0, 5, b, pages, &copied), 5);
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(dst, 0, 5, b, pages), 0);
	KUNIT_EXPECT_EQ(test, kmm_account_used(b, KMM_RES_FRAMES), 10);
	destroy(test, src);
	destroy(test, dst);
	destroy(test, own);
	kmm_account_put(b);
	end(test, f);
}

static void two_files_of_a_full_user_can_hand_over(struct kunit *test)
{
	struct kmm_limits limits = no_limits;
	struct kmm_account *a, *b, *c;
	struct kmm_accounts set;

	limits.frames = 8;
	kmm_accounts_init(&set, &no_limits, &limits);
	a = must_account(test, &set, 1000);
	b = must_account(test, &set, 1000);
	c = must_account(test, &set, 1001);
	KUNIT_EXPECT_EQ(test, kmm_account_try_charge(a, KMM_RES_FRAMES, 8), 0);
	KUNIT_EXPECT_EQ(test, kmm_account_move(a, b, KMM_RES_FRAMES, 5), 0);
	KUNIT_EXPECT_EQ(test, kmm_account_move(a, a, KMM_RES_FRAMES, 3), 0);
	KUNIT_EXPECT_EQ(test, kmm_account_used(a, KMM_RES_FRAMES), 3);
	KUNIT_EXPECT_EQ(test, kmm_account_used(b, KMM_RES_FRAMES), 5);
	KUNIT_EXPECT_EQ(test, kmm_account_used(a->parent, KMM_RES_FRAMES), 8);
	/* to another user, as far as there is room */
	KUNIT_EXPECT_EQ(test, kmm_account_try_charge(c, KMM_RES_FRAMES, 4), 0);
	KUNIT_EXPECT_EQ(test, kmm_account_move(b, c, KMM_RES_FRAMES, 5), -EDQUOT);
	KUNIT_EXPECT_EQ(test, kmm_account_used(c, KMM_RES_FRAMES), 4);
	KUNIT_EXPECT_EQ(test, kmm_account_used(c->parent, KMM_RES_FRAMES), 4);
	KUNIT_EXPECT_EQ(test, kmm_account_used(b, KMM_RES_FRAMES), 5);
	KUNIT_EXPECT_EQ(test, kmm_account_move(b, c, KMM_RES_FRAMES, 4), 0);
	KUNIT_EXPECT_EQ(test, kmm_account_used(c->parent, KMM_RES_FRAMES), 8);
	KUNIT_EXPECT_EQ(test, kmm_account_used(a->parent, KMM_RES_FRAMES), 4);
	kmm_account_uncharge(a, KMM_RES_FRAMES, 3);
	kmm_account_uncharge(b, KMM_RES_FRAMES, 1);
	kmm_account_uncharge(c, KMM_RES_FRAMES, 8);
	kmm_account_put(a);
	kmm_account_put(b);
	kmm_account_put(c);
	kmm_accounts_fini(&set);
	rcu_barrier();
}

/* What the mapping ops were asked, and whether the pages were still there. */
static struct {
	unsigned int calls;
	unsigned long resident;
	pgoff_t first;
	unsigned long nr;
} unmapped;

static void note_unmap(struct kmm_object *o, pgoff_t first, unsigned long nr)
{
	unmapped.calls++;
	unmapped.resident = o->resident;
	unmapped.first = first;
	unmapped.nr = nr;
}

static const struct kmm_mapping_ops note_ops = { .unmap = note_unmap };

static void mappings_go_before_a_frame_is_taken(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o = must_create_for(test, f, f->a, 8 * PAGE_SIZE, 0, &note_ops);
	struct page *pages[4] = { };
	unsigned int copied;

	memset(&unmapped, 0, sizeof(unmapped));
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(o, 2, 4, f->a, pages, &copied), 0);
	KUNIT_EXPECT_EQ(test, unmapped.calls, 0);
	fill_pages(test, o, 2, 4, 0);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(o, 2, 4, f->a, pages, &copied), 4);
	KUNIT_EXPECT_EQ(test, unmapped.calls, 1);
	KUNIT_EXPECT_EQ(test, unmapped.resident, 4);
	KUNIT_EXPECT_EQ(test, unmapped.first, 2);
	KUNIT_EXPECT_EQ(test, unmapped.nr, 4);
	/* a frame that goes into a hole has no mapping to revoke, one that replaces another has */
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(o, 2, 2, f->a, pages), 0);
	KUNIT_EXPECT_EQ(test, unmapped.calls, 1);
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(o, 3, 2, f->a, pages + 2), 0);
	KUNIT_EXPECT_EQ(test, unmapped.calls, 2);
	KUNIT_EXPECT_EQ(test, page_byte(o, 2), 2);
	KUNIT_EXPECT_EQ(test, page_byte(o, 3), 4);
	KUNIT_EXPECT_EQ(test, page_byte(o, 4), 5);
	destroy(test, o);
	end(test, f);
}

static void bytes_behind_the_end_are_not_given(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o = must_create(test, f, PAGE_SIZE + 10, 0);
	struct page *pages[2] = { };
	unsigned int copied;
	u8 *p;

	/* as a write through a mapping can */
	fill_pages(test, o, 0, 2, 1);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(o, 0, 2, f->a, pages, &copied), 2);
	p = page_address(pages[0]);
	KUNIT_EXPECT_NULL(test, memchr_inv(p, 1, PAGE_SIZE));
	p = page_address(pages[1]);
	KUNIT_EXPECT_NULL(test, memchr_inv(p, 2, 10));
	KUNIT_EXPECT_NULL(test, memchr_inv(p + 10, 0, PAGE_SIZE - 10));
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(o, 0, 2, f->a, pages), 0);
	destroy(test, o);
	end(test, f);
}

static void every_failure_point_of_a_gift_leaves_all_as_it_was(struct kunit *test)
{
	struct page *pages[40] = { };
	struct fixture *f = begin(test, &no_limits);
	struct kmm_account *b = must_account(test, &f->accounts, 1000);
	struct kmm_object *src, *dst;
	struct page *held[2];
	unsigned int n, i, copied;
	int err;

	for (n = 1; n < 100; n++) {
		bool fired;

		src = must_create(test, f, 600 * PAGE_SIZE, 0);
		dst = must_create_for(test, f, b, 600 * PAGE_SIZE, 0, NULL);
		fill_pages(test, src, 500, 40, 0);
		held[0] = kmm_object_get_page(src, 500, false);
		held[1] = kmm_object_get_page(src, 533, false);
		kmm_inject_arm(n);
		err = kmm_object_reserve(dst, 490, 40);
		if (!err)
			err = kmm_object_take_pages(src, 500, 40, b, pages, &copied);
		fired = kmm_inject_disarm();
		KUNIT_EXPECT_EQ(test, kmm_object_check(src), 0);
		if (err < 0) {
			KUNIT_EXPECT_EQ(test, err, -ENOMEM);
			for (i = 500; i < 540; i++)
				KUNIT_EXPECT_EQ(test, page_byte(src, i), (u8)i);
			KUNIT_EXPECT_EQ(test, kmm_account_used(b, KMM_RES_FRAMES), 0);
		} else {
			KUNIT_EXPECT_EQ(test, copied, 2);
			KUNIT_EXPECT_EQ(test, kmm_object_put_pages(dst, 490, 40, b, pages), 0);
			for (i = 0; i < 40; i++)
				KUNIT_EXPECT_EQ(test, page_byte(dst, 490 + i), (u8)(500 + i));
		}
		put_page(held[0]);
		put_page(held[1]);
		kmm_buddy_recheck_quarantine(&f->t->buddy);
		destroy(test, src);
		destroy(test, dst);
		expect_empty(test, f);
		if (!fired)
			break;
	}
	/* two leaves, two copies */
	KUNIT_EXPECT_EQ(test, n, 5);
	KUNIT_EXPECT_GE(test, err, 0);
	kmm_account_put(b);
	end(test, f);
}

#define RANDOM_PAGES	1300UL	/* three leaves */

static void random_against_byte_array(struct kunit *test)
{
	unsigned long ops = kmm_test_nr_ops / 10 + 100, max = RANDOM_PAGES * PAGE_SIZE, i;
	struct fixture *f = begin(test, &no_limits);
	struct kmm_object *o = must_create(test, f, max / 2, 0);
	u8 *ref = vzalloc(max), *buf = vmalloc(max);
	unsigned long size = max / 2;
	struct rnd_state rnd;

	kunit_info(test, "seed=%lu ops=%lu\n", kmm_test_seed, ops);
	prandom_seed_state(&rnd, kmm_test_seed);
	KUNIT_ASSERT_TRUE(test, ref && buf);
	for (i = 0; i < ops; i++) {
		u32 r = kmm_below(&rnd, 100);
		unsigned long at = kmm_below(&rnd, max);
		unsigned long len = kmm_below(&rnd, kmm_below(&rnd, 40) ? 3 * PAGE_SIZE :
						    600 * PAGE_SIZE);

		if (r < 97 && at >= size)
			at = size ? at % size : 0;
		if (r < 97)
			len = min(len, size - at);
		if (r < 40) {
			memset(buf, (i & 0x7f) + 1, len);
			if (object_write(o, at, buf, len))
				KUNIT_FAIL(test, "write of %lu at %lu", len, at);
			memcpy(ref + at, buf, len);
		} else if (r < 70) {
			if (!object_equals(o, at, ref + at, len))
				KUNIT_FAIL(test, "%lu bytes at %lu differ", len, at);
		} else if (r < 90) {
			if (kmm_object_punch(o, at, len))
				KUNIT_FAIL(test, "punch of %lu at %lu", len, at);
			memset(ref + at, 0, len);
		} else if (r < 97) {
			if (kmm_object_populate(o, at >> PAGE_SHIFT, len >> PAGE_SHIFT))
				KUNIT_FAIL(test, "populate");
		} else {
			if (kmm_object_resize(o, at))
				KUNIT_FAIL(test, "resize to %lu", at);
			if (at < size)
				memset(ref + at, 0, size - at);
			size = at;
		}
		if (i % 256 == 0)
			KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
		cond_resched();
	}
	KUNIT_EXPECT_TRUE(test, object_equals(o, 0, ref, size));
	destroy(test, o);
	vfree(ref);
	vfree(buf);
	end(test, f);
}

static struct kunit_case object_cases[] = {
	KUNIT_CASE(destroy_returns_everything),
	KUNIT_CASE(page_is_zero_at_first_sight),
	KUNIT_CASE(hole_stays_until_it_is_filled),
	KUNIT_CASE(fault_gets_the_resident_neighbours),
	KUNIT_CASE(contiguous_object_is_one_block),
	KUNIT_CASE(locked_object_never_loses_a_page),
	KUNIT_CASE(bad_attributes_are_refused),
	KUNIT_CASE(punch_zeroes_and_gives_frames_back),
	KUNIT_CASE(shrunk_part_comes_back_as_zeros),
	KUNIT_CASE(seals_only_grow_and_hold),
	KUNIT_CASE(pinned_object_keeps_every_frame),
	KUNIT_CASE(pin_that_writes_and_seal_exclude_each_other),
	KUNIT_CASE(pin_that_fails_leaves_no_pin),
	KUNIT_CASE(seek_finds_data_and_holes),
	KUNIT_CASE(limit_refuses_and_changes_nothing),
	KUNIT_CASE(held_page_is_charged_until_it_is_let_go),
	KUNIT_CASE(every_failure_point_leaves_nothing),
	KUNIT_CASE(accounts_add_up_and_free_late),
	KUNIT_CASE(taken_pages_move_with_contents_and_charge),
	KUNIT_CASE(held_frame_is_copied_not_moved),
	KUNIT_CASE(taking_what_must_stay_is_refused),
	KUNIT_CASE(taking_stops_at_the_quota_with_nothing_taken),
	KUNIT_CASE(two_files_of_a_full_user_can_hand_over),
	KUNIT_CASE(mappings_go_before_a_frame_is_taken),
	KUNIT_CASE(bytes_behind_the_end_are_not_given),
	KUNIT_CASE(every_failure_point_of_a_gift_leaves_all_as_it_was),
	KUNIT_CASE(random_against_byte_array),
	{}
};

struct kunit_suite kmm_object_suite = {
	.name = "kmm_object",
	.exit = kmm_test_exit,
	.test_cases = object_cases,
};
