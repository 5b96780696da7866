// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_swapin
 *
 * Pages of objects come back: vm/swapin.c, and what vm/object*.c do with pages that are in swap.
 * The store holds a read while the test does something to its page.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/vmalloc.h>

#include <kmm/gift.h>
#include <kmm/inject.h>

#include "paging.h"

/* Pages 0 .. nr - 1, each with its contents, are in swap; slots as they come. */
static struct kmm_object *all_out(struct kunit *test, struct paging *f, unsigned long nr)
{
	struct kmm_object *o = paging_create(test, f, nr);

	paging_put_all(test, o, 0, nr);
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, nr), nr);
	KUNIT_EXPECT_EQ(test, o->swapped, nr);
	return o;
}

/* A job that faults on page @first of @o is being read for. */
static void begin_read(struct kunit *test, struct paging *f, struct kmm_object *o, pgoff_t first,
		       struct paging_job *j)
{
	paging_hold(&f->store, false, true);
	*j = (struct paging_job){ .fn = paging_job_touch, .f = f, .o = o, .first = first };
	paging_job_start(test, j, -1);
	paging_inside(test, &f->store, 1);
}

static void neighbours_are_read_with_it(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 100, NULL);
	struct kmm_object *o = all_out(test, f, 20);
	unsigned int i;

	KUNIT_EXPECT_EQ(test, paging_touch(o, 10), 0);
	for (i = 0; i < 20; i++)
		KUNIT_EXPECT_EQ(test, paging_is_resident(o, i), i >= 8 && i < 16);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->store.nr_read), 8);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_SWPIN_RA), 7);
	/* up to the end */
	KUNIT_EXPECT_EQ(test, paging_touch(o, 19), 0);
	KUNIT_EXPECT_EQ(test, o->resident, 12);
	KUNIT_EXPECT_EQ(test, o->reading, 0);
	/* what has a limit has no frames to spare */
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 20), 12);
	KUNIT_EXPECT_EQ(test, kmm_object_set_limit(o, 10, NULL, false), 0);
	KUNIT_EXPECT_EQ(test, paging_touch(o, 10), 0);
	KUNIT_EXPECT_EQ(test, o->resident, 1);
	paging_expect_all(test, o, 0, 20);
	paging_destroy(test, o);
	paging_end(test, f);
}

static void a_failed_read_is_that_pages_alone(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 100, NULL);
	struct kmm_object *o = all_out(test, f, 8);
	u32 slot = kmm_swp_slot(paging_entry(o, 3));
	unsigned int i;

	set_bit(slot, f->store.fail_read);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, paging_touch(o, i), i == 3 ? -EIO : 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kmm_object_get_page(o, 3, true)), -EIO);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kmm_object_get_page(o, 3, false)), -EIO);
	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, false), -EIO);
	/* nothing is done where it would have to be cut in two */
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 3 * PAGE_SIZE + 5, 10), -EIO);
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 5, 3 * PAGE_SIZE + 10), -EIO);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 3 * PAGE_SIZE + 5), -EIO);
	KUNIT_EXPECT_EQ(test, o->nr_pages, 8);
	KUNIT_EXPECT_EQ(test, o->resident, 7);
	KUNIT_EXPECT_EQ(test, o->nr_pins, 0);
	KUNIT_EXPECT_GT(test, paging_event(f, KMM_SWPIN_ERROR), 0);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, paging_has(o, i, i + 1), i != 3);
	/* nobody's neighbour is read behind one that failed, until a read succeeds */
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 8), 7);
	KUNIT_EXPECT_EQ(test, paging_touch(o, 3), -EIO);
	KUNIT_EXPECT_EQ(test, paging_touch(o, 6), 0);
	KUNIT_EXPECT_EQ(test, o->resident, 1);
	KUNIT_EXPECT_EQ(test, paging_touch(o, 7), 0);
	KUNIT_EXPECT_EQ(test, o->resident, 7);
	/* the device has thought better of it */
	clear_bit(slot, f->store.fail_read);
	paging_expect_all(test, o, 0, 8);
	/* not what was written */
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 8), 8);
	f->store.mem[kmm_swp_slot(paging_entry(o, 5))][77] ^= 4;
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, paging_touch(o, i), i == 5 ? -EIO : 0);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, paging_has(o, i, i + 1), i != 5);
	/* a whole page can go unread */
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 5 * PAGE_SIZE, PAGE_SIZE), 0);
	KUNIT_EXPECT_TRUE(test, paging_has(o, 5, 0));
	paging_destroy(test, o);
	paging_end(test, f);
}

static void those_who_wait_share_one_read(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 100, NULL);
	struct kmm_object *o = all_out(test, f, 8);
	struct paging_job j[4];
	unsigned int i;

	begin_read(test, f, o, 2, &j[0]);
	for (i = 1; i < 4; i++) {
		/* two want the same page, two a neighbour */
		j[i] = j[0];
		j[i].first = 2 + i / 2;
		paging_job_start(test, &j[i], -1);
	}
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_FALSE(test, paging_job_is_done(&j[i], 10));
	paging_release(&f->store);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, paging_job_end(test, &j[i]), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->store.nr_read), 8);
	paging_expect_all(test, o, 0, 8);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->store.nr_read), 8);
	paging_destroy(test, o);
	paging_end(test, f);
}

static void a_killed_waiter_goes_and_the_read_ends(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 100, NULL);
	struct kmm_object *o = all_out(test, f, 8);
	struct paging_job j;

	begin_read(test, f, o, 2, &j);
	send_sig(SIGKILL, j.task, 1);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &j), -EINTR);
	KUNIT_EXPECT_EQ(test, o->reading, 8);
	paging_release(&f->store);
	paging_expect_all(test, o, 0, 8);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->store.nr_read), 8);
	paging_destroy(test, o);
	paging_end(test, f);
}

static void what_is_given_up_is_not_read(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 100, NULL);
	struct kmm_object *o = all_out(test, f, 16);
	struct paging_job j, d = { .fn = paging_job_destroy, .f = f };
	struct page *page[2] = { };
	unsigned int copied;

	/* punched: who waits gets zeros, also where the device fails */
	set_bit(kmm_swp_slot(paging_entry(o, 2)), f->store.fail_read);
	begin_read(test, f, o, 2, &j);
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 2 * PAGE_SIZE, 2 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, o->swapped, 14);
	/* a new page in its place meanwhile */
	paging_put(test, o, 3, 1003);
	paging_release(&f->store);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &j), 0);
	bitmap_zero(f->store.fail_read, PAGING_SLOTS_MAX);
	KUNIT_EXPECT_TRUE(test, paging_has(o, 2, 0));
	KUNIT_EXPECT_TRUE(test, paging_has(o, 3, 1003));
	KUNIT_EXPECT_TRUE(test, paging_has(o, 4, 5));
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);

	/* cut off, and the object grows again */
	begin_read(test, f, o, 12, &j);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 12 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 16 * PAGE_SIZE), 0);
	paging_release(&f->store);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &j), 0);
	KUNIT_EXPECT_TRUE(test, paging_has(o, 12, 0));
	KUNIT_EXPECT_TRUE(test, paging_has(o, 11, 12));
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);

	/* others take their place */
	paging_put(test, o, 0, 1);
	paging_put(test, o, 1, 2);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(o, 0, 2, f->a, page, &copied), 2);
	kmm_object_pageout(o, 0, 16);
	begin_read(test, f, o, 9, &j);
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(o, 9, 2, f->a, page), 0);
	paging_release(&f->store);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &j), 0);
	KUNIT_EXPECT_TRUE(test, paging_has(o, 8, 9));
	KUNIT_EXPECT_TRUE(test, paging_has(o, 9, 1));
	KUNIT_EXPECT_TRUE(test, paging_has(o, 10, 2));
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);

	/* read-ahead that nobody waits for, and the object goes */
	kmm_object_pageout(o, 0, 16);
	begin_read(test, f, o, 4, &j);
	send_sig(SIGKILL, j.task, 1);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &j), -EINTR);
	d.o = o;
	paging_job_start(test, &d, -1);
	KUNIT_EXPECT_FALSE(test, paging_job_is_done(&d, 50));
	paging_release(&f->store);
	paging_job_end(test, &d);
	paging_end(test, f);
}

static void a_page_that_is_cut_in_two_comes_in_first(struct kunit *test)
{
	static const enum paging_kind kinds[] = { PAGING_STORE, PAGING_RAM };
	unsigned int k, limit, i;

	for (k = 0; k < 4; k++) {
		struct paging *f = paging_begin(test, kinds[k % 2], 100, NULL);
		struct kmm_object *o = all_out(test, f, 20);
		u8 *ref = vmalloc(PAGE_SIZE);
		struct page *page;

		limit = k / 2;
		KUNIT_ASSERT_NOT_NULL(test, ref);
		if (limit)
			KUNIT_EXPECT_EQ(test, kmm_object_set_limit(o, 1, NULL, false), 0);
		KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 2 * PAGE_SIZE + 100,
						       8 * PAGE_SIZE + 50), 0);
		for (i = 3; i < 10; i++)
			KUNIT_EXPECT_TRUE(test, paging_has(o, i, 0));
		page = kmm_object_get_page(o, 2, false);
		KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page));
		KUNIT_EXPECT_NULL(test, memchr_inv(page_address(page) + 100, 0, PAGE_SIZE - 100));
		KUNIT_EXPECT_NOT_NULL(test, memchr_inv(page_address(page), 0, 100));
		put_page(page);
		page = kmm_object_get_page(o, 10, false);
		KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page));
		KUNIT_EXPECT_NULL(test, memchr_inv(page_address(page), 0, 150));
		memcpy(ref, page_address(page), PAGE_SIZE);
		put_page(page);
		page = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, page);
		kmm_test_fill(page, 11);
		KUNIT_EXPECT_EQ(test, memcmp(ref + 150, page_address(page) + 150,
					     PAGE_SIZE - 150), 0);
		__free_page(page);
		/* shrink, and grow again */
		kmm_object_pageout(o, 0, 20);
		KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 15 * PAGE_SIZE + 7), 0);
		kmm_object_pageout(o, 0, 20);
		KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 20 * PAGE_SIZE), 0);
		page = kmm_object_get_page(o, 15, false);
		KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page));
		KUNIT_EXPECT_NULL(test, memchr_inv(page_address(page) + 7, 0, PAGE_SIZE - 7));
		KUNIT_EXPECT_NOT_NULL(test, memchr_inv(page_address(page), 0, 7));
		put_page(page);
		for (i = 16; i < 20; i++)
			KUNIT_EXPECT_TRUE(test, paging_has(o, i, 0));
		KUNIT_EXPECT_TRUE(test, paging_has(o, 14, 15));
		vfree(ref);
		paging_destroy(test, o);
		paging_end(test, f);
	}
}

static void what_is_in_swap_can_be_given_away(struct kunit *test)
{
	static const enum paging_kind kinds[] = { PAGING_STORE, PAGING_RAM };
	unsigned int k, i;

	for (k = 0; k < 4; k++) {
		struct paging *f = paging_begin(test, kinds[k % 2], 100, NULL);
		struct kmm_object *o = all_out(test, f, 20), *p = all_out(test, f, 20);
		struct kmm_gift gift;

		if (k / 2)
			KUNIT_EXPECT_EQ(test, kmm_object_set_limit(o, 3, NULL, false), 0);
		KUNIT_EXPECT_EQ(test, kmm_gift_pages(o, 2, p, 10, 8, &gift), 0);
		KUNIT_EXPECT_EQ(test, gift.nr_done, 8);
		KUNIT_EXPECT_EQ(test, gift.moved, 8);
		for (i = 0; i < 20; i++) {
			KUNIT_EXPECT_TRUE(test, paging_has(o, i, i >= 2 && i < 10 ? 0 : i + 1));
			KUNIT_EXPECT_TRUE(test, paging_has(p, i, i >= 10 && i < 18 ? i - 7 :
							   i + 1));
		}
		/* by a pin, too */
		kmm_object_pageout(p, 0, 20);
		KUNIT_EXPECT_EQ(test, kmm_object_pin(p, false), 0);
		KUNIT_EXPECT_EQ(test, p->resident, 20);
		KUNIT_EXPECT_EQ(test, kmm_object_pageout(p, 0, 20), 0);
		kmm_object_unpin(p, false);
		KUNIT_EXPECT_EQ(test, kmm_object_check(o) + kmm_object_check(p), 0);
		paging_destroy(test, o);
		paging_destroy(test, p);
		paging_end(test, f);
	}
}

static long job_swapin_area(struct paging_job *j)
{
	return kmm_swapin_area(&j->f->set, j->first);
}

/* As swapoff does it. */
static int swapoff(struct paging *f, u32 id)
{
	unsigned int tries;
	int err = kmm_swap_close(&f->swap, id);

	for (tries = 0; !err && tries < 100; tries++) {
		err = kmm_swapin_area(&f->set, id);
		if (err)
			break;
		err = kmm_swap_remove(&f->swap, id);
		if (err != -EBUSY)
			return err;
		err = 0;
		msleep(20);
	}
	kmm_swap_reopen(&f->swap, id);
	return err ?: -EBUSY;
}

static void swapoff_brings_all_home(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 100, NULL);
	struct kmm_object *o = all_out(test, f, 20), *p = all_out(test, f, 20);
	struct paging_job j[3];

	/* in swap, resident with a slot, being read, being written */
	paging_expect_all(test, o, 0, 8);
	set_bit(kmm_swp_slot(paging_entry(p, 19)), f->store.fail_read);
	KUNIT_EXPECT_EQ(test, swapoff(f, 0), -EIO);
	bitmap_zero(f->store.fail_read, PAGING_SLOTS_MAX);
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 20), 20);
	paging_expect_all(test, o, 0, 8);
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(p, 0, 20), 19);

	paging_put(test, o, 0, 1);
	paging_hold(&f->store, true, true);
	j[0] = (struct paging_job){ .fn = paging_job_pageout, .f = f, .o = o, .nr = 1 };
	j[1] = (struct paging_job){ .fn = paging_job_touch, .f = f, .o = p, .first = 3 };
	j[2] = (struct paging_job){ .fn = job_swapin_area, .f = f, .first = 0 };
	paging_job_start(test, &j[0], -1);
	paging_inside(test, &f->store, 1);
	paging_job_start(test, &j[1], -1);
	paging_inside(test, &f->store, 2);
	KUNIT_EXPECT_EQ(test, kmm_swap_close(&f->swap, 0), 0);
	paging_job_start(test, &j[2], -1);
	KUNIT_EXPECT_FALSE(test, paging_job_is_done(&j[2], 20));
	KUNIT_EXPECT_EQ(test, kmm_swap_remove(&f->swap, 0), -EBUSY);
	paging_release(&f->store);
	/* it is not left where the area is closing */
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &j[0]), 0);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &j[1]), 0);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &j[2]), 0);
	KUNIT_EXPECT_EQ(test, paging_slots(f), 0);
	KUNIT_EXPECT_EQ(test, o->resident + p->resident, 40);
	KUNIT_EXPECT_EQ(test, kmm_swap_remove(&f->swap, 0), 0);
	paging_expect_all(test, o, 0, 20);
	paging_expect_all(test, p, 0, 20);
	/* dirty all of them: there is nothing that has them */
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 20), 0);
	paging_destroy(test, o);
	paging_destroy(test, p);
	paging_end(test, f);
}

static void who_destroys_waits_for_swapoff(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 100, NULL);
	struct kmm_object *o = all_out(test, f, 20);
	struct paging_job j = { .fn = job_swapin_area, .f = f };
	struct paging_job d = { .fn = paging_job_destroy, .f = f, .o = o };

	KUNIT_EXPECT_EQ(test, kmm_swap_close(&f->swap, 0), 0);
	paging_hold(&f->store, false, true);
	paging_job_start(test, &j, -1);
	paging_inside(test, &f->store, 1);
	paging_job_start(test, &d, -1);
	KUNIT_EXPECT_FALSE(test, paging_job_is_done(&d, 30));
	paging_release(&f->store);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &j), 0);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &d), 0);
	paging_expect_empty(test, f);
	kmm_swap_reopen(&f->swap, 0);
	paging_end(test, f);
}

static void every_failure_point_of_a_fault_leaves_all_as_it_was(struct kunit *test)
{
	static const enum paging_kind kinds[] = { PAGING_STORE, PAGING_RAM };
	unsigned int k, n, i;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct paging *f = paging_begin(test, kinds[k], 100, NULL);
		struct kmm_object *o = all_out(test, f, 16);

		for (n = 1; n < 50; n++) {
			bool fired;
			int err;

			kmm_inject_arm(n);
			err = paging_touch(o, 5);
			if (!err)
				err = kmm_object_punch(o, 9 * PAGE_SIZE, 10) ?:
				      min(kmm_object_pageout(o, 0, 16), 0L);
			fired = kmm_inject_disarm();
			if (err)
				KUNIT_EXPECT_TRUE(test, err == -ENOMEM || err == -EIO);
			KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
			for (i = 0; i < 16; i++)
				KUNIT_EXPECT_TRUE(test, i == 9 || paging_has(o, i, i + 1));
			kmm_object_pageout(o, 0, 16);
			KUNIT_EXPECT_EQ(test, o->swapped, 16);
			if (!fired)
				break;
		}
		KUNIT_EXPECT_GT(test, n, 2);
		KUNIT_EXPECT_LT(test, n, 50);
		kunit_info(test, "%u failure points\n", n - 1);
		paging_destroy(test, o);
		paging_end(test, f);
	}
}

static struct kunit_case swapin_cases[] = {
	KUNIT_CASE(neighbours_are_read_with_it),
	KUNIT_CASE(a_failed_read_is_that_pages_alone),
	KUNIT_CASE(those_who_wait_share_one_read),
	KUNIT_CASE(a_killed_waiter_goes_and_the_read_ends),
	KUNIT_CASE(what_is_given_up_is_not_read),
	KUNIT_CASE(a_page_that_is_cut_in_two_comes_in_first),
	KUNIT_CASE(what_is_in_swap_can_be_given_away),
	KUNIT_CASE(swapoff_brings_all_home),
	KUNIT_CASE(who_destroys_waits_for_swapoff),
	KUNIT_CASE(every_failure_point_of_a_fault_leaves_all_as_it_was),
	{}
};

struct kunit_suite kmm_swapin_suite = {
	.name = "kmm_swapin",
	.exit = kmm_test_exit,
	.test_cases = swapin_cases,
};
