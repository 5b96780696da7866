// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_evict
 *
 * Pages of objects leave: vm/lru.c and vm/evict.c, and what vm/object*.c do with pages that are
 * on their way out. Reading them again is in swapin_kunit.c, the fixture in paging.c.
 *
 * Where something happens while a page is being written, the store holds the write, the test does
 * it, and then lets the write end. The random cases compare with a byte array, with limits and
 * switches of policy, and with a second thread that evicts all the time.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include <kmm/inject.h>
#include <kmm/space.h>

#include "paging.h"

static const enum paging_kind kinds[] = { PAGING_STORE, PAGING_RAM };

/* Until all have been looked at three times and nothing leaves any more. Return: frames. */
static unsigned long evict_all(struct paging *f)
{
	unsigned long nr = 0, futile = 0;
	struct kmm_evict_result res;

	do {
		kmm_evict_any(&f->lru, KMM_EVICT_BATCH, KMM_EVICT_DIRECT, &res);
		nr += res.stolen;
		futile = res.stolen ? 0 : futile + res.scanned;
	} while (res.scanned && futile <= 3 * kmm_evict_nr_pages(&f->lru));
	return nr;
}

static long job_evict(struct paging_job *j)
{
	struct kmm_evict_result res;
	long nr = 0;

	while (!READ_ONCE(j->nr)) {
		kmm_evict_any(&j->f->lru, KMM_EVICT_BATCH, KMM_EVICT_KSWAPD, &res);
		nr += res.stolen;
		if (!res.stolen)
			usleep_range(50, 100);
		cond_resched();
	}
	return nr;
}

/* === Out and back === */

static void dirty_pages_leave_and_come_back(struct kunit *test)
{
	unsigned int k, round;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct paging *f = paging_begin(test, kinds[k], 1024, NULL);
		struct kmm_object *o = paging_create(test, f, 700), *p = paging_create(test, f, 50);

		for (round = 0; round < 3; round++) {
			paging_put_all(test, o, 300, 300);
			paging_put_all(test, p, 0, 50);
			KUNIT_EXPECT_EQ(test, o->resident, 300);
			if (round)
				KUNIT_EXPECT_EQ(test, evict_all(f), 350);
			else
				KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, ULONG_MAX), 300);
			KUNIT_EXPECT_EQ(test, o->resident, 0);
			KUNIT_EXPECT_EQ(test, o->swapped, 300);
			KUNIT_EXPECT_EQ(test, kmm_test_used(f->t), round ? 0 : 50);
			KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES),
					round ? 0 : 50);
			KUNIT_EXPECT_EQ(test, paging_slots(f), round ? 350 : 300);
			KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
			KUNIT_EXPECT_EQ(test, paging_check_policy(&f->lru.global), 0);
			paging_expect_all(test, o, 300, 300);
			paging_expect_all(test, p, 0, 50);
			KUNIT_EXPECT_TRUE(test, paging_has(o, 299, 0));
			KUNIT_EXPECT_EQ(test, o->resident, 300);
			KUNIT_EXPECT_EQ(test, o->swapped, 0);
			KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
		}
		KUNIT_EXPECT_GE(test, paging_event(f, KMM_PSWPOUT), 300);
		KUNIT_EXPECT_GE(test, paging_event(f, KMM_PSWPIN), 1000);
		KUNIT_EXPECT_GE(test, paging_event(f, KMM_WORKINGSET_REFAULT), 1000);
		/* in all three states */
		kmm_object_pageout(o, 400, 100);
		paging_destroy(test, o);
		paging_destroy(test, p);
		paging_end(test, f);
	}
}

static void what_was_never_written_is_dropped(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 64, NULL);
	struct kmm_object *o = paging_create(test, f, 20);
	unsigned int i;

	for (i = 0; i < 20; i++)
		KUNIT_EXPECT_EQ(test, paging_touch(o, i), 0);
	paging_put(test, o, 7, 8);
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 20), 20);
	KUNIT_EXPECT_EQ(test, o->swapped, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->store.nr_write), 1);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_PGDROP_CLEAN), 19);
	/* a shadow is a hole */
	KUNIT_EXPECT_EQ(test, kmm_object_seek(o, 0, true), 7 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, kmm_object_seek(o, 7 * PAGE_SIZE, false), 8 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, kmm_object_seek(o, 8 * PAGE_SIZE, true), 20 * PAGE_SIZE);
	for (i = 0; i < 20; i++)
		KUNIT_EXPECT_TRUE(test, paging_has(o, i, i == 7 ? 8 : 0));
	KUNIT_EXPECT_EQ(test, o->resident, 1);
	for (i = 0; i < 20; i++)
		KUNIT_EXPECT_EQ(test, paging_touch(o, i), 0);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_WORKINGSET_REFAULT), 20);
	for (i = 0; i < 20; i++)
		KUNIT_EXPECT_TRUE(test, paging_has(o, i, i == 7 ? 8 : 0));
	paging_destroy(test, o);
	paging_end(test, f);
}

static void a_clean_page_leaves_without_a_write(struct kunit *test)
{
	unsigned int k, i;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct paging *f = paging_begin(test, kinds[k], 100, NULL);
		struct kmm_object *o = paging_create(test, f, 40);
		kmm_swp_t was[40];

		paging_put_all(test, o, 0, 40);
		KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 40), 40);
		for (i = 0; i < 40; i++)
			was[i] = paging_entry(o, i);
		paging_expect_all(test, o, 0, 40);
		KUNIT_EXPECT_EQ(test, paging_slots(f), 40);
		/* one is written again */
		paging_put(test, o, 33, 1000);
		KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 40), 40);
		KUNIT_EXPECT_EQ(test, paging_event(f, KMM_PSWPOUT), 41);
		KUNIT_EXPECT_EQ(test, paging_event(f, KMM_PGDROP_CLEAN), 39);
		KUNIT_EXPECT_EQ(test, paging_slots(f), 40);
		for (i = 0; i < 40; i++)
			KUNIT_EXPECT_EQ(test, paging_entry(o, i) == was[i], i != 33);
		KUNIT_EXPECT_TRUE(test, paging_has(o, 33, 1000));
		paging_expect_all(test, o, 0, 33);
		paging_destroy(test, o);
		paging_end(test, f);
	}
}

static void an_area_that_is_half_full_gets_its_slots_back(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 100, NULL);
	struct kmm_object *o = paging_create(test, f, 70);

	paging_put_all(test, o, 0, 70);
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 70), 70);
	/* two requests with their neighbours */
	paging_expect_all(test, o, 0, 16);
	KUNIT_EXPECT_EQ(test, paging_slots(f), 54);
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 16), 16);
	KUNIT_EXPECT_EQ(test, paging_slots(f), 70);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->store.nr_write), 86);
	paging_expect_all(test, o, 0, 70);
	KUNIT_EXPECT_EQ(test, paging_slots(f), 50);
	paging_destroy(test, o);
	paging_end(test, f);
}

static void who_is_pinned_or_held_stays_and_is_counted(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 64, NULL);
	struct kmm_object *o = paging_create(test, f, 10);
	struct kmm_evict_result res;
	struct page *page;

	paging_put_all(test, o, 0, 10);
	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, true), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 10), 0);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_PGSKIP_PINNED), 10);
	kmm_evict_any(&f->lru, 4, KMM_EVICT_KSWAPD, &res);
	KUNIT_EXPECT_EQ(test, res.scanned, 4);
	KUNIT_EXPECT_EQ(test, res.stolen, 0);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_PGSKIP_PINNED), 14);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_PGSCAN_KSWAPD), 4);
	kmm_object_unpin(o, true);

	page = kmm_object_get_page(o, 5, false);
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 10), 9);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_PGSKIP_PINNED), 15);
	KUNIT_EXPECT_TRUE(test, kmm_test_is_filled(page, 6));
	KUNIT_EXPECT_TRUE(test, paging_is_resident(o, 5));
	put_page(page);
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 10), 1);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_PGSTEAL_DIRECT), 10);
	paging_expect_all(test, o, 0, 10);
	paging_destroy(test, o);
	paging_end(test, f);
}

static void without_a_slot_the_page_stays(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 4, NULL);
	struct kmm_object *o = paging_create(test, f, 10);

	paging_put_all(test, o, 0, 10);
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 10), 4);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_PGSKIP_NOSWAP), 6);
	KUNIT_EXPECT_EQ(test, o->resident, 6);
	KUNIT_EXPECT_EQ(test, evict_all(f), 0);
	paging_expect_all(test, o, 0, 10);
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 10), 4);
	paging_destroy(test, o);
	paging_end(test, f);

	f = paging_begin(test, PAGING_NO_SWAP, 0, NULL);
	o = paging_create(test, f, 10);
	paging_put_all(test, o, 0, 5);
	KUNIT_EXPECT_EQ(test, paging_touch(o, 5), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 10), 1);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_PGSKIP_NOSWAP), 5);
	paging_expect_all(test, o, 0, 5);
	KUNIT_EXPECT_TRUE(test, paging_has(o, 5, 0));
	paging_destroy(test, o);
	paging_end(test, f);
}

static void a_page_that_cannot_be_written_stays(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 64, NULL);
	struct kmm_object *o = paging_create(test, f, 40);

	paging_put_all(test, o, 0, 40);
	f->store.fail_write = true;
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 40), 0);
	KUNIT_EXPECT_EQ(test, evict_all(f), 0);
	KUNIT_EXPECT_GT(test, paging_event(f, KMM_SWPOUT_ERROR), 80);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_PSWPOUT), 0);
	KUNIT_EXPECT_EQ(test, paging_slots(f), 0);
	KUNIT_EXPECT_EQ(test, o->resident, 40);
	paging_expect_all(test, o, 0, 40);
	f->store.fail_write = false;
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 40), 40);
	paging_expect_all(test, o, 0, 40);
	paging_destroy(test, o);
	paging_end(test, f);

	/* compressed memory beyond its limit: the slot is there, the write fails */
	f = paging_begin(test, PAGING_RAM, 8, NULL);
	o = paging_create(test, f, 40);
	paging_put_all(test, o, 0, 40);
	KUNIT_EXPECT_LE(test, kmm_object_pageout(o, 0, 40), 16);
	paging_expect_all(test, o, 0, 40);
	paging_destroy(test, o);
	paging_end(test, f);
}

/* === While it is being written === */

/* Pages 0-7 of @o are written, and the write does not end before paging_release(). */
static void begin_write(struct kunit *test, struct paging *f, struct kmm_object *o,
			struct paging_job *j)
{
	paging_put_all(test, o, 0, 8);
	paging_hold(&f->store, true, false);
	*j = (struct paging_job){ .fn = paging_job_pageout, .f = f, .o = o, .nr = 8 };
	paging_job_start(test, j, -1);
	paging_inside(test, &f->store, 1);
}

static long end_write(struct kunit *test, struct paging *f, struct paging_job *j)
{
	paging_release(&f->store);
	return paging_job_end(test, j);
}

static void a_page_that_is_wanted_is_rescued(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 64, NULL);
	struct kmm_object *o = paging_create(test, f, 16);
	struct page *pages[8], *page;
	struct paging_job j;
	unsigned int i;

	begin_write(test, f, o, &j);
	/* written, mapped, read: none of them waits */
	paging_put(test, o, 0, 1000);
	KUNIT_EXPECT_EQ(test, kmm_object_lock_pages(o, 3, pages, 8), 1);
	kmm_test_fill(pages[0], 1003);
	SetPageDirty(pages[0]);
	kmm_object_unlock(o);
	page = kmm_object_get_page(o, 5, false);
	KUNIT_EXPECT_TRUE(test, kmm_test_is_filled(page, 6));
	KUNIT_EXPECT_FALSE(test, paging_job_is_done(&j, 20));
	KUNIT_EXPECT_EQ(test, end_write(test, f, &j), 5);
	KUNIT_EXPECT_EQ(test, paging_event(f, KMM_PGRESCUED), 2);
	KUNIT_EXPECT_EQ(test, paging_slots(f), 5);
	KUNIT_EXPECT_TRUE(test, kmm_test_is_filled(page, 6));
	put_page(page);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, paging_is_resident(o, i), i == 0 || i == 3 || i == 5);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_TRUE(test, paging_has(o, i, i == 0 || i == 3 ? 1000 + i : i + 1));
	/* they leave again as they are now */
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 8), 8);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_TRUE(test, paging_has(o, i, i == 0 || i == 3 ? 1000 + i : i + 1));
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	paging_destroy(test, o);
	paging_end(test, f);
}

static void a_page_that_is_given_up_is_freed_by_its_writer(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 64, NULL);
	struct kmm_object *o = paging_create(test, f, 16);
	struct paging_job j;
	unsigned int i;

	begin_write(test, f, o, &j);
	/* one of them rescued, and then given up, too */
	paging_put(test, o, 2, 1002);
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, PAGE_SIZE, 3 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, o->resident, 5);
	for (i = 1; i < 4; i++)
		KUNIT_EXPECT_TRUE(test, paging_has(o, i, 0));
	/* something else takes the place of one */
	paging_put(test, o, 3, 1003);
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	/* the end goes, too, and comes back */
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 6 * PAGE_SIZE + 10), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 9 * PAGE_SIZE), 0);
	KUNIT_EXPECT_FALSE(test, paging_job_is_done(&j, 20));
	/* 0, 4, 5 left; 1, 3 and 7 were given up */
	KUNIT_EXPECT_EQ(test, end_write(test, f, &j), 6);
	KUNIT_EXPECT_EQ(test, paging_slots(f), 3);
	KUNIT_EXPECT_TRUE(test, paging_has(o, 0, 1));
	for (i = 1; i < 3; i++)
		KUNIT_EXPECT_TRUE(test, paging_has(o, i, 0));
	KUNIT_EXPECT_TRUE(test, paging_has(o, 3, 1003));
	KUNIT_EXPECT_TRUE(test, paging_has(o, 4, 5));
	KUNIT_EXPECT_TRUE(test, paging_has(o, 5, 6));
	KUNIT_EXPECT_TRUE(test, paging_has(o, 7, 0));
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	paging_destroy(test, o);
	paging_end(test, f);
}

/* Who evicts by the lists has no reference, as kmm_object_pageout()'s callers have. */
static void who_destroys_waits_for_the_writer(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 64, NULL);
	struct kmm_object *o = paging_create(test, f, 600);
	struct paging_job d = { .fn = paging_job_destroy, .f = f, .o = o };
	struct paging_job j = { .fn = job_evict, .f = f };

	paging_put_all(test, o, 560, 5);
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 560, 5), 5);
	paging_put_all(test, o, 0, 8);
	paging_hold(&f->store, true, false);
	paging_job_start(test, &j, -1);
	paging_inside(test, &f->store, 1);
	WRITE_ONCE(j.nr, 1);
	paging_job_start(test, &d, -1);
	KUNIT_EXPECT_FALSE(test, paging_job_is_done(&d, 50));
	KUNIT_EXPECT_EQ(test, end_write(test, f, &j), 8);
	paging_job_end(test, &d);
	paging_expect_empty(test, f);
	paging_end(test, f);
}

static void pages_that_are_written_are_taken_as_copies(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 64, NULL);
	struct kmm_object *o = paging_create(test, f, 16);
	struct page *pages[8] = { };
	unsigned int copied, i;
	struct paging_job j;

	begin_write(test, f, o, &j);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(o, 0, 8, f->a, pages, &copied), 8);
	KUNIT_EXPECT_EQ(test, copied, 8);
	for (i = 0; i < 8; i++) {
		KUNIT_EXPECT_TRUE(test, kmm_test_is_filled(pages[i], i + 1));
		KUNIT_EXPECT_TRUE(test, paging_has(o, i, 0));
	}
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(o, 8, 8, f->a, pages), 0);
	KUNIT_EXPECT_EQ(test, end_write(test, f, &j), 8);
	KUNIT_EXPECT_EQ(test, paging_slots(f), 0);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_TRUE(test, paging_has(o, 8 + i, i + 1));

	/* others take their place */
	begin_write(test, f, o, &j);
	KUNIT_EXPECT_EQ(test, kmm_object_take_pages(o, 8, 8, f->a, pages, &copied), 8);
	KUNIT_EXPECT_EQ(test, copied, 0);
	for (i = 0; i < 8; i++)
		kmm_test_fill(pages[i], 2000 + i);
	KUNIT_EXPECT_EQ(test, kmm_object_put_pages(o, 0, 8, f->a, pages), 0);
	KUNIT_EXPECT_EQ(test, end_write(test, f, &j), 8);
	KUNIT_EXPECT_EQ(test, paging_slots(f), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_TRUE(test, paging_has(o, i, 2000 + i));
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 16), 8);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_TRUE(test, paging_has(o, i, 2000 + i));
	paging_destroy(test, o);
	paging_end(test, f);
}

static void a_pin_keeps_what_is_being_written(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 64, NULL);
	struct kmm_object *o = paging_create(test, f, 8);
	struct page *pages[8];
	struct paging_job j;
	unsigned int i;

	begin_write(test, f, o, &j);
	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, true), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_pinned_pages(o, pages, 8), 8);
	for (i = 0; i < 8; i++)
		kmm_test_fill(pages[i], 100 + i);
	KUNIT_EXPECT_EQ(test, end_write(test, f, &j), 0);
	KUNIT_EXPECT_EQ(test, paging_slots(f), 0);
	kmm_object_unpin(o, true);
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 8), 8);
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_TRUE(test, paging_has(o, i, 100 + i));
	paging_destroy(test, o);
	paging_end(test, f);
}

static void writing_is_no_reason_to_refuse_a_seal(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 64, NULL);
	struct kmm_object *o = paging_create(test, f, 8);
	struct paging_job j;

	begin_write(test, f, o, &j);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_WRITE), 0);
	KUNIT_EXPECT_EQ(test, end_write(test, f, &j), 8);
	paging_expect_all(test, o, 0, 8);
	KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, 8), 8);
	paging_expect_all(test, o, 0, 8);
	paging_destroy(test, o);
	paging_end(test, f);
}

static void bind(struct kmm_object *o, struct address_space *mapping)
{
	kmm_object_lock(o);
	kmm_object_bind_locked(o, mapping);
	kmm_object_unlock(o);
}

/* An object with a name loses its inode, and gets another one, while its pages leave. */
static void bound_to_another_inode_while_pages_leave(struct kunit *test)
{
	struct address_space *m = kunit_kcalloc(test, 2, sizeof(*m), GFP_KERNEL);
	struct paging *f = paging_begin(test, PAGING_STORE, 64, NULL);
	struct kmm_object *o = paging_create(test, f, 16);
	unsigned long ops = kmm_test_nr_ops / 40 + 200, n;
	struct paging_job j, e = { .fn = job_evict, .f = f };
	struct rnd_state rnd;
	u32 model[16] = { };
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, m);
	bind(o, &m[0]);
	begin_write(test, f, o, &j);
	/* one is its writer's, one is rescued; before and after the last file goes */
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, PAGE_SIZE, PAGE_SIZE), 0);
	paging_put(test, o, 2, 1002);
	bind(o, NULL);
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 3 * PAGE_SIZE, PAGE_SIZE), 0);
	paging_put(test, o, 4, 1004);
	bind(o, &m[1]);
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	KUNIT_EXPECT_FALSE(test, paging_job_is_done(&j, 20));
	KUNIT_EXPECT_EQ(test, end_write(test, f, &j), 6);
	KUNIT_EXPECT_EQ(test, o->resident, 2);
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);

	/* while they come back */
	paging_hold(&f->store, false, true);
	j = (struct paging_job){ .fn = paging_job_touch, .f = f, .o = o };
	paging_job_start(test, &j, -1);
	paging_inside(test, &f->store, 1);
	bind(o, &m[0]);
	paging_release(&f->store);
	KUNIT_EXPECT_EQ(test, paging_job_end(test, &j), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	for (i = 0; i < 8; i++) {
		model[i] = i == 1 || i == 3 ? 0 : i == 2 || i == 4 ? 1000 + i : i + 1;
		KUNIT_EXPECT_TRUE(test, paging_has(o, i, model[i]));
	}

	prandom_seed_state(&rnd, kmm_test_seed);
	paging_job_start(test, &e, -1);
	for (n = 0; n < ops || paging_event(f, KMM_PGSTEAL_KSWAPD) < 50; n++) {
		i = kmm_below(&rnd, 16);
		switch (kmm_below(&rnd, 4)) {
		case 0:
			model[i] = prandom_u32_state(&rnd);
			paging_put(test, o, i, model[i]);
			break;
		case 1:
			bind(o, n % 3 ? &m[n % 2] : NULL);
			KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
			break;
		default:
			if (!paging_has(o, i, model[i]))
				KUNIT_FAIL(test, "seed %lu, step %lu: page %u", kmm_test_seed, n,
					   i);
		}
		cond_resched();
	}
	WRITE_ONCE(e.nr, 1);
	KUNIT_EXPECT_GT(test, paging_job_end(test, &e), 0);
	for (i = 0; i < 16; i++)
		KUNIT_EXPECT_TRUE(test, paging_has(o, i, model[i]));
	bind(o, NULL);
	paging_destroy(test, o);
	paging_end(test, f);
}

/* === Limits === */

static void a_limit_holds_with_every_policy(struct kunit *test)
{
	unsigned int i, k, n, what;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, kmm_test_seed);
	for (i = 0; i < kmm_nr_policies; i++) {
		struct paging *f = paging_begin(test, kinds[i % 2], 512, NULL);
		struct kmm_object *o = paging_create(test, f, 100), *p = paging_create(test, f, 9);
		u32 model[100] = { };

		paging_put_all(test, p, 0, 9);
		paging_put_all(test, o, 0, 100);
		for (n = 0; n < 100; n++)
			model[n] = n + 1;
		/* what is above the limit goes with the next fault */
		KUNIT_EXPECT_EQ(test, kmm_object_set_limit(o, 20, kmm_policies[i], false), 0);
		KUNIT_EXPECT_EQ(test, paging_check_policy(o->lruvec), 0);
		KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 50 * PAGE_SIZE, PAGE_SIZE), 0);
		paging_put(test, o, 50, 51);
		KUNIT_EXPECT_LE(test, o->resident, 20);
		for (k = 0; k < 400; k++) {
			n = kmm_below(&rnd, kmm_below(&rnd, 3) ? 15 : 100);
			what = prandom_u32_state(&rnd);
			if (k % 2) {
				paging_put(test, o, n, what);
				model[n] = what;
			} else if (!paging_has(o, n, model[n])) {
				KUNIT_FAIL(test, "%s: page %u", kmm_policies[i]->name, n);
			}
			if (o->resident > 20)
				KUNIT_FAIL(test, "%s: %lu resident", kmm_policies[i]->name,
					   o->resident);
		}
		KUNIT_EXPECT_EQ(test, paging_check_policy(o->lruvec), 0);
		KUNIT_EXPECT_EQ(test, o->lruvec->policy.nr, o->resident);
		/* the other one's stay */
		KUNIT_EXPECT_EQ(test, p->resident, 9);
		KUNIT_EXPECT_EQ(test, kmm_object_set_limit(o, 3, NULL, false), 0);
		for (n = 0; n < 100; n++)
			KUNIT_EXPECT_TRUE(test, paging_has(o, n, model[n]));
		KUNIT_EXPECT_LE(test, o->resident, 3);
		KUNIT_EXPECT_EQ(test, kmm_object_set_limit(o, 60, NULL, false), 0);
		for (n = 0; n < 100; n++)
			KUNIT_EXPECT_TRUE(test, paging_has(o, n, model[n]));
		KUNIT_EXPECT_GT(test, o->resident, 30);
		KUNIT_EXPECT_EQ(test, kmm_object_set_limit(o, 0, NULL, false), 0);
		for (n = 0; n < 100; n++)
			KUNIT_EXPECT_TRUE(test, paging_has(o, n, model[n]));
		KUNIT_EXPECT_EQ(test, o->resident, 100);
		KUNIT_EXPECT_EQ(test, paging_check_policy(o->lruvec), 0);
		paging_destroy(test, o);
		paging_destroy(test, p);
		paging_end(test, f);
	}
}

/* As Belady's. */
static const u8 belady[] = { 1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5 };

static unsigned int run_belady(struct kunit *test, const char *name, u32 frames,
			       enum paging_kind kind)
{
	struct paging *f = paging_begin(test, kind, 64, NULL);
	struct kmm_object *o = paging_create(test, f, 6);
	unsigned int i, faults = 0;
	u64 word;
	int ret;

	KUNIT_EXPECT_EQ(test, kmm_object_set_limit(o, frames, kmm_policy_find(name), true), 0);
	for (i = 0; i < ARRAY_SIZE(belady); i++) {
		ret = kmm_object_reference(o, belady[i], true);
		KUNIT_EXPECT_TRUE(test, ret == 0 || ret == 1);
		faults += ret;
		KUNIT_EXPECT_LE(test, o->resident, frames);
	}
	KUNIT_EXPECT_EQ(test, o->lruvec->references, ARRAY_SIZE(belady));
	KUNIT_EXPECT_EQ(test, o->lruvec->faults, faults);
	for (i = 1; i < 6; i++) {
		struct page *page = kmm_object_get_page(o, i, false);

		KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page));
		word = *(u64 *)page_address(page);
		KUNIT_EXPECT_EQ(test, word, i);
		put_page(page);
	}
	paging_destroy(test, o);
	paging_end(test, f);
	return faults;
}

static void exact_mode_counts_as_the_textbook(struct kunit *test)
{
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		KUNIT_EXPECT_EQ(test, run_belady(test, "fifo", 3, kinds[k]), 9);
		KUNIT_EXPECT_EQ(test, run_belady(test, "fifo", 4, kinds[k]), 10);
		KUNIT_EXPECT_EQ(test, run_belady(test, "lru", 3, kinds[k]), 10);
		KUNIT_EXPECT_EQ(test, run_belady(test, "lru", 4, kinds[k]), 8);
	}
}

/* === Together === */

static void pinned_pages_keep_nobody_else_in(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 100, NULL);
	struct kmm_object *o = paging_create(test, f, 50), *p = paging_create(test, f, 10);
	struct kmm_evict_result res;

	paging_put_all(test, o, 0, 50);
	paging_put_all(test, p, 0, 10);
	KUNIT_EXPECT_EQ(test, kmm_object_pin(o, true), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_set_limit(o, 60, NULL, false), 0);
	/* @o's list is the longest; @p's pages are used, once */
	kmm_evict_any(&f->lru, KMM_EVICT_BATCH, KMM_EVICT_KSWAPD, &res);
	kmm_evict_any(&f->lru, KMM_EVICT_BATCH, KMM_EVICT_KSWAPD, &res);
	KUNIT_EXPECT_EQ(test, res.stolen, 10);
	KUNIT_EXPECT_EQ(test, p->swapped, 10);
	kmm_object_unpin(o, true);
	paging_destroy(test, o);
	paging_destroy(test, p);
	paging_end(test, f);
}

#define WORK_PAGES	200

/* Writes and verifies its own part of @o; the number of pages that were wrong or failed. */
static long job_work(struct paging_job *j)
{
	unsigned long ops = kmm_test_nr_ops / 40, n;
	u32 *model = kcalloc(j->nr, sizeof(*model), GFP_KERNEL);
	struct rnd_state rnd;
	long bad = 0;

	if (!model)
		return -ENOMEM;
	prandom_seed_state(&rnd, kmm_test_seed + j->first);
	for (n = 0; n < ops + 2 * j->nr; n++) {
		u32 i = n < ops ? kmm_below(&rnd, j->nr) : n % j->nr, r = kmm_below(&rnd, 8);
		struct page *page;

		if (r < 4 && n < ops) {
			page = kmm_object_get_page(j->o, j->first + i, true);
			bad += IS_ERR(page);
			if (!IS_ERR(page)) {
				model[i] = prandom_u32_state(&rnd);
				kmm_test_fill(page, model[i]);
				put_page(page);
			}
		} else if (r == 4 && n < ops) {
			bad += kmm_object_pageout(j->o, j->first + i, 4) < 0;
		} else {
			bad += !paging_has(j->o, j->first + i, model[i]);
		}
		cond_resched();
	}
	kfree(model);
	return bad;
}

/* Two threads, each with its half of @o. */
static void work_with_two(struct kunit *test, struct paging *f, struct kmm_object *o,
			  const char *what)
{
	unsigned long half = o->nr_pages / 2;
	struct paging_job j[2];
	unsigned int i;
	long bad;

	for (i = 0; i < 2; i++) {
		j[i] = (struct paging_job){ .fn = job_work, .f = f, .o = o, .nr = half,
					    .first = i * half };
		paging_job_start(test, &j[i], i);
	}
	for (i = 0; i < 2; i++) {
		bad = paging_job_end(test, &j[i]);
		KUNIT_EXPECT_EQ_MSG(test, bad, 0, "%s", what);
	}
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	KUNIT_EXPECT_EQ(test, paging_check_policy(o->lruvec), 0);
}

static void two_threads_share_a_limit(struct kunit *test)
{
	static const u32 limits[] = { 1, 2, 30 };
	unsigned int k, i;

	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		for (i = 0; i < ARRAY_SIZE(limits); i++) {
			struct paging *f = paging_begin(test, kinds[k], 500, NULL);
			struct kmm_object *o = paging_create(test, f, WORK_PAGES);

			KUNIT_EXPECT_EQ(test, kmm_object_set_limit(o, limits[i], NULL, false), 0);
			work_with_two(test, f, o, "limit");
			KUNIT_EXPECT_LE(test, o->resident, limits[i]);
			paging_destroy(test, o);
			paging_end(test, f);
		}
}

static void who_comes_second_waits_for_the_writer(struct kunit *test)
{
	struct paging *f = paging_begin(test, PAGING_STORE, 100, NULL);
	struct kmm_object *o = paging_create(test, f, 10);
	struct paging_job j[2];
	unsigned int i;

	KUNIT_EXPECT_EQ(test, kmm_object_set_limit(o, 1, NULL, false), 0);
	paging_put(test, o, 0, 1);
	paging_hold(&f->store, true, false);
	for (i = 0; i < 2; i++) {
		j[i] = (struct paging_job){ .fn = paging_job_touch, .f = f, .o = o,
					    .first = 1 + i };
		paging_job_start(test, &j[i], -1);
		paging_inside(test, &f->store, 1);
	}
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_FALSE(test, paging_job_is_done(&j[i], 50));
	paging_release(&f->store);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, paging_job_end(test, &j[i]), 0);
	KUNIT_EXPECT_TRUE(test, paging_has(o, 0, 1));
	KUNIT_EXPECT_LE(test, o->resident, 1);
	paging_destroy(test, o);
	paging_end(test, f);
}

static void a_user_at_the_quota_evicts_his_own(struct kunit *test)
{
	static const struct kmm_limits limits = {
		.frames = 40, .objects = 10, .names = 10, .host_bytes = KMM_NO_LIMIT,
	};
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct paging *f = paging_begin(test, kinds[k], 500, &limits);
		struct kmm_object *o = paging_create(test, f, WORK_PAGES);

		work_with_two(test, f, o, "quota");
		KUNIT_EXPECT_LE(test, o->resident, 40);
		KUNIT_EXPECT_LE(test, kmm_account_used(f->a, KMM_RES_FRAMES), 40);
		paging_destroy(test, o);
		paging_end(test, f);
	}
}

/* Two and a half times the region. */
#define LARGE_PAGES	2400

static long job_switch(struct paging_job *j)
{
	unsigned int n = 0;

	while (!READ_ONCE(j->nr)) {
		if (kmm_lruvec_set_policy(&j->f->lru.global, kmm_policies[n++ % kmm_nr_policies]))
			return -1;
		WRITE_ONCE(j->ret, n);
		usleep_range(500, 1500);
	}
	return n;
}

static void an_object_may_be_larger_than_the_region(struct kunit *test)
{
	unsigned int k, i;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct paging *f = paging_begin(test, kinds[k], 4000, NULL);
		struct kmm_object *o = paging_create(test, f, LARGE_PAGES);
		struct paging_job s = { .fn = job_switch, .f = f };

		paging_reclaim(test, f);
		paging_put_all(test, o, 0, LARGE_PAGES);
		KUNIT_EXPECT_GT(test, o->swapped, LARGE_PAGES - 1024);
		paging_job_start(test, &s, -1);
		paging_expect_all(test, o, 0, LARGE_PAGES);
		/* from here on each thread has contents of its own */
		KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 0, U64_MAX), 0);
		work_with_two(test, f, o, "switch");
		WRITE_ONCE(s.nr, 1);
		KUNIT_EXPECT_GT(test, paging_job_end(test, &s), 0);
		for (i = k; i < kmm_nr_policies; i += ARRAY_SIZE(kinds)) {
			KUNIT_EXPECT_EQ(test, kmm_lruvec_set_policy(&f->lru.global,
								    kmm_policies[i]), 0);
			KUNIT_EXPECT_EQ(test, paging_check_policy(&f->lru.global), 0);
			paging_put_all(test, o, 0, LARGE_PAGES / 2);
			paging_expect_all(test, o, 0, LARGE_PAGES / 2);
		}
		/* what must come in when all of the region is this object's */
		KUNIT_EXPECT_EQ(test, kmm_object_pin(o, true), -ENOMEM);
		KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 100, 1000 * PAGE_SIZE), 0);
		KUNIT_EXPECT_EQ(test, paging_event(f, KMM_OOM), 0);
		paging_destroy(test, o);
		paging_end(test, f);
	}
}

/* The limit, and who decides below it. */
static long job_limit(struct paging_job *j)
{
	unsigned int n = 0;

	while (!READ_ONCE(j->nr)) {
		if (kmm_object_set_limit(j->o, 10 + n % 50, kmm_policies[n % kmm_nr_policies],
					 false))
			return -1;
		n++;
		usleep_range(200, 500);
	}
	return n;
}

/* One thread switches policies; of the other two one uses pages, or both, and one evicts them. */
static void a_third_thread_switches(struct kunit *test)
{
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct paging *f = paging_begin(test, kinds[k], 500, NULL);
		struct kmm_object *o = paging_create(test, f, WORK_PAGES);
		struct paging_job use = { .fn = job_work, .f = f, .o = o, .nr = WORK_PAGES };
		struct paging_job e = { .fn = job_evict, .f = f }, s = { .fn = job_switch, .f = f };
		struct paging_job l = { .fn = job_limit, .f = f, .o = o };

		paging_job_start(test, &s, -1);
		paging_job_start(test, &e, 0);
		do {
			KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 0, U64_MAX), 0);
			paging_job_start(test, &use, 1);
			KUNIT_EXPECT_EQ(test, paging_job_end(test, &use), 0);
		} while (paging_event(f, KMM_PGSTEAL_KSWAPD) < 100 ||
			 (unsigned long)READ_ONCE(s.ret) <= kmm_nr_policies);
		WRITE_ONCE(e.nr, 1);
		KUNIT_EXPECT_GT(test, paging_job_end(test, &e), 0);
		KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);

		KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 0, U64_MAX), 0);
		KUNIT_EXPECT_EQ(test, kmm_object_set_limit(o, 30, NULL, false), 0);
		paging_job_start(test, &l, -1);
		work_with_two(test, f, o, "limit and policy change");
		WRITE_ONCE(l.nr, 1);
		KUNIT_EXPECT_GT(test, paging_job_end(test, &l), 0);
		WRITE_ONCE(s.nr, 1);
		KUNIT_EXPECT_GT(test, paging_job_end(test, &s), kmm_nr_policies);
		KUNIT_EXPECT_EQ(test, paging_check_policy(o->lruvec), 0);
		KUNIT_EXPECT_EQ(test, o->lruvec->policy.nr, o->resident);
		paging_destroy(test, o);
		paging_end(test, f);
	}
}

#define RANDOM_PAGES	600UL

static int random_write(struct kmm_object *o, u64 at, const u8 *from, unsigned long len)
{
	while (len) {
		unsigned long in = offset_in_page(at), n = min(len, PAGE_SIZE - in);
		struct page *page = kmm_object_get_page(o, at >> PAGE_SHIFT, true);

		if (IS_ERR(page))
			return PTR_ERR(page);
		memcpy(page_address(page) + in, from, n);
		put_page(page);
		at += n;
		from += n;
		len -= n;
	}
	return 0;
}

static bool random_equals(struct kmm_object *o, u64 at, const u8 *ref, unsigned long len)
{
	while (len) {
		unsigned long in = offset_in_page(at), n = min(len, PAGE_SIZE - in);
		struct page *page = kmm_object_get_page(o, at >> PAGE_SHIFT, false);
		bool same;

		if (IS_ERR(page))
			return false;
		same = page ? !memcmp(page_address(page) + in, ref, n) : !memchr_inv(ref, 0, n);
		if (page)
			put_page(page);
		if (!same)
			return false;
		at += n;
		ref += n;
		len -= n;
	}
	return true;
}

/* Takes pages out and puts them in again elsewhere. */
static int random_move(struct paging *f, struct kmm_object *o, u8 *ref, pgoff_t from, pgoff_t to,
		       unsigned int nr)
{
	struct page *pages[16] = { };
	unsigned int copied;
	int ret = kmm_object_take_pages(o, from, nr, f->a, pages, &copied);

	if (ret < 0)
		return ret;
	memmove(ref + to * PAGE_SIZE, ref + from * PAGE_SIZE, nr * PAGE_SIZE);
	memset(ref + from * PAGE_SIZE, 0, nr * PAGE_SIZE);
	return kmm_object_put_pages(o, to, nr, f->a, pages);
}

static int random_step(struct paging *f, struct kmm_object *o, u8 *ref, struct rnd_state *rnd,
		       u8 fill)
{
	unsigned long size = o->size_bytes, at = size ? kmm_below(rnd, size) : 0, i;
	unsigned long len = min_t(unsigned long, kmm_below(rnd, kmm_below(rnd, 20) ? 3 * PAGE_SIZE :
							   100 * PAGE_SIZE), size - at);
	u32 r = kmm_below(rnd, 100);
	int err;

	if (r < 35) {
		for (i = 0; i < len; i++)
			ref[at + i] = fill + i * 7;
		return random_write(o, at, ref + at, len);
	}
	if (r < 60)
		return random_equals(o, at, ref + at, len) ? 0 : -EBADMSG;
	if (r < 70) {
		memset(ref + at, 0, len);
		return kmm_object_punch(o, at, len);
	}
	if (r < 80)
		return min(kmm_object_pageout(o, at >> PAGE_SHIFT, len >> PAGE_SHIFT), 0L);
	if (r < 84)
		return kmm_lruvec_set_policy(o->lruvec, kmm_policies[at % kmm_nr_policies]);
	if (r < 87)
		return kmm_object_populate(o, at >> PAGE_SHIFT, len >> PAGE_SHIFT);
	if (r < 88)
		return kmm_object_set_limit(o, 20 + kmm_below(rnd, 50) * 10, NULL, false);
	if (r < 94 && o->nr_pages > 80) {
		/* the two ranges do not overlap, and the last page, which may be a part, is left */
		u32 n = 1 + kmm_below(rnd, 16), from = kmm_below(rnd, o->nr_pages / 2 - 20);

		return random_move(f, o, ref, from, o->nr_pages / 2 + from, n);
	}
	at = kmm_below(rnd, RANDOM_PAGES * PAGE_SIZE);
	err = kmm_object_resize(o, at);
	if (!err && at < size)
		memset(ref + at, 0, size - at);
	return err;
}

static void random_against_byte_array(struct kunit *test)
{
	unsigned long ops = kmm_test_nr_ops / 40 + 100, i;
	unsigned int k;

	for (k = 0; k < 4; k++) {
		struct paging *f = paging_begin(test, kinds[k % 2], 1500, NULL);
		struct kmm_object *o = paging_create(test, f, RANDOM_PAGES / 2);
		struct paging_job e = { .fn = job_evict, .f = f };
		u8 *ref = vzalloc(RANDOM_PAGES * PAGE_SIZE);
		struct rnd_state rnd;
		int err;

		KUNIT_ASSERT_NOT_NULL(test, ref);
		prandom_seed_state(&rnd, kmm_test_seed + k);
		if (k / 2)
			paging_job_start(test, &e, -1);
		for (i = 0; i < ops; i++) {
			err = random_step(f, o, ref, &rnd, i);
			if (err) {
				KUNIT_FAIL(test, "seed %lu, kind %u, step %lu: %d", kmm_test_seed,
					   k, i, err);
				break;
			}
			if (i % 256 == 0)
				KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
			cond_resched();
		}
		KUNIT_EXPECT_TRUE(test, random_equals(o, 0, ref, o->size_bytes));
		WRITE_ONCE(e.nr, 1);
		if (k / 2)
			KUNIT_EXPECT_GT(test, paging_job_end(test, &e), 0);
		KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
		vfree(ref);
		paging_destroy(test, o);
		paging_end(test, f);
	}
}

/* === Through spaces === */

#define SPACE_ADDR	0x7000000000ULL
#define SPACE_PAGES	64

static struct kmm_space *map_in_space(struct kunit *test, struct kmm_space_set *set,
				      struct paging *f, struct kmm_object *o, u32 kind)
{
	struct kmm_space_map_args args = {
		.addr = SPACE_ADDR, .len = SPACE_PAGES * PAGE_SIZE, .object = o,
		.prot = KMM_PROT_READ | KMM_PROT_WRITE, .flags = kind | KMM_MAP_FIXED,
	};
	struct kmm_space *s = kmm_space_create(set, f->a);

	KUNIT_ASSERT_FALSE(test, IS_ERR(s));
	KUNIT_ASSERT_EQ(test, kmm_space_map(s, &args), 0);
	return s;
}

static int space_access(struct kmm_space *s, unsigned int page, u64 *value, bool write)
{
	struct kmm_access a = {
		.addr = SPACE_ADDR + page * PAGE_SIZE + 8 * (page + 3), .buf = value,
		.len = sizeof(*value), .op = write ? KMM_ACCESS_WRITE : KMM_ACCESS_READ,
	};
	int err = kmm_mmu_access(s, &a);

	return err ?: a.done == a.len ? 0 : a.fault.error ?: -EFAULT;
}

static bool space_has(struct kmm_space *s, unsigned int page, u64 value)
{
	u64 got = ~value;

	return !space_access(s, page, &got, false) && got == value;
}

static void spaces_lose_nothing(struct kunit *test)
{
	unsigned long ops = kmm_test_nr_ops / 10 + 200, n;
	u64 *model = kunit_kzalloc(test, 2 * SPACE_PAGES * sizeof(u64), GFP_KERNEL);
	u64 *own = model + SPACE_PAGES, value;
	struct kmm_space *s[2], *p;
	struct rnd_state rnd;
	unsigned int k, i;

	KUNIT_ASSERT_NOT_NULL(test, model);
	prandom_seed_state(&rnd, kmm_test_seed);
	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct paging *f = paging_begin(test, kinds[k], 500, NULL);
		struct kmm_object *o = paging_create(test, f, SPACE_PAGES);
		struct paging_job e = { .fn = job_evict, .f = f };
		struct kmm_pgtables tables;
		struct kmm_space_set set;

		kmm_pgtables_init(&tables, &f->t->buddy);
		kmm_space_set_init(&set, &f->t->buddy, &tables, NULL, false);
		s[0] = map_in_space(test, &set, f, o, KMM_MAP_SHARED);
		s[1] = map_in_space(test, &set, f, o, KMM_MAP_SHARED);
		p = map_in_space(test, &set, f, o, KMM_MAP_PRIVATE);
		for (i = 0; i < SPACE_PAGES; i++) {
			model[i] = prandom_u32_state(&rnd);
			KUNIT_EXPECT_EQ(test, space_access(s[i % 2], i, &model[i], true), 0);
			KUNIT_EXPECT_TRUE(test, space_has(s[1 - i % 2], i, model[i]));
			KUNIT_EXPECT_TRUE(test, space_has(p, i, model[i]));
			own[i] = 0;
		}
		/* only the leaves know that they are dirty, and young */
		KUNIT_EXPECT_EQ(test, evict_all(f), SPACE_PAGES);
		KUNIT_EXPECT_GE(test, paging_event(f, KMM_PGACTIVATE), SPACE_PAGES);
		KUNIT_EXPECT_EQ(test, o->swapped, SPACE_PAGES);
		for (i = 0; i < SPACE_PAGES; i++) {
			unsigned long addr = SPACE_ADDR + i * PAGE_SIZE;

			KUNIT_EXPECT_EQ(test, kmm_pt_get(&s[0]->pt, addr, NULL), 0);
			KUNIT_EXPECT_EQ(test, kmm_pt_get(&s[1]->pt, addr, NULL), 0);
			KUNIT_EXPECT_EQ(test, kmm_pt_get(&p->pt, addr, NULL), 0);
		}
		for (i = 0; i < SPACE_PAGES; i++)
			KUNIT_EXPECT_TRUE(test, space_has(s[1], i, model[i]));
		/* a copy is not the object's, and stays */
		value = 77;
		KUNIT_EXPECT_EQ(test, space_access(p, 5, &value, true), 0);
		own[5] = 77;
		KUNIT_EXPECT_EQ(test, kmm_object_pageout(o, 0, SPACE_PAGES), SPACE_PAGES);
		KUNIT_EXPECT_TRUE(test, space_has(p, 5, 77));
		KUNIT_EXPECT_TRUE(test, space_has(s[0], 5, model[5]));

		paging_job_start(test, &e, 1);
		for (n = 0; n < ops || paging_event(f, KMM_PGSTEAL_KSWAPD) < 100; n++) {
			u32 r = kmm_below(&rnd, 8);

			i = kmm_below(&rnd, SPACE_PAGES);
			value = (u64)prandom_u32_state(&rnd) + 1;
			if (r < 4) {
				KUNIT_EXPECT_EQ(test, space_access(s[r % 2], i, &value, true), 0);
				model[i] = value;
			} else if (r == 4) {
				KUNIT_EXPECT_EQ(test, space_access(p, i, &value, true), 0);
				own[i] = value;
			} else if (r < 7) {
				KUNIT_EXPECT_TRUE(test, space_has(s[r % 2], i, model[i]));
			} else {
				KUNIT_EXPECT_TRUE(test, space_has(p, i, own[i] ?: model[i]));
			}
		}
		WRITE_ONCE(e.nr, 1);
		KUNIT_EXPECT_GT(test, paging_job_end(test, &e), 0);
		for (i = 0; i < SPACE_PAGES; i++) {
			KUNIT_EXPECT_TRUE(test, space_has(s[0], i, model[i]));
			KUNIT_EXPECT_TRUE(test, space_has(p, i, own[i] ?: model[i]));
		}
		KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
		kmm_space_destroy(s[0]);
		kmm_space_destroy(s[1]);
		kmm_space_destroy(p);
		kmm_space_set_fini(&set);
		kmm_pgtables_fini(&tables);
		paging_destroy(test, o);
		paging_end(test, f);
	}
}

static void every_failure_point_of_a_round_leaves_the_pages(struct kunit *test)
{
	unsigned int k, n;

	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct paging *f = paging_begin(test, kinds[k], 100, NULL);
		struct kmm_object *o = paging_create(test, f, 16);

		for (n = 1; n < 100; n++) {
			bool fired;
			long out;

			paging_put_all(test, o, 0, 16);
			kmm_inject_arm(n);
			out = kmm_object_pageout(o, 0, 16);
			fired = kmm_inject_disarm();
			KUNIT_EXPECT_GE(test, out, 15);
			KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
			KUNIT_EXPECT_EQ(test, paging_slots(f), o->swapped);
			paging_expect_all(test, o, 0, 16);
			if (!fired)
				break;
		}
		KUNIT_EXPECT_GT(test, n, 16);
		KUNIT_EXPECT_LT(test, n, 100);
		paging_destroy(test, o);
		paging_end(test, f);
	}
}

static struct kunit_case evict_cases[] = {
	KUNIT_CASE(dirty_pages_leave_and_come_back),
	KUNIT_CASE(what_was_never_written_is_dropped),
	KUNIT_CASE(a_clean_page_leaves_without_a_write),
	KUNIT_CASE(an_area_that_is_half_full_gets_its_slots_back),
	KUNIT_CASE(who_is_pinned_or_held_stays_and_is_counted),
	KUNIT_CASE(without_a_slot_the_page_stays),
	KUNIT_CASE(a_page_that_cannot_be_written_stays),
	KUNIT_CASE(a_page_that_is_wanted_is_rescued),
	KUNIT_CASE(a_page_that_is_given_up_is_freed_by_its_writer),
	KUNIT_CASE(who_destroys_waits_for_the_writer),
	KUNIT_CASE(pages_that_are_written_are_taken_as_copies),
	KUNIT_CASE(a_pin_keeps_what_is_being_written),
	KUNIT_CASE(writing_is_no_reason_to_refuse_a_seal),
	KUNIT_CASE(bound_to_another_inode_while_pages_leave),
	KUNIT_CASE(a_limit_holds_with_every_policy),
	KUNIT_CASE(exact_mode_counts_as_the_textbook),
	KUNIT_CASE(pinned_pages_keep_nobody_else_in),
	KUNIT_CASE(two_threads_share_a_limit),
	KUNIT_CASE(who_comes_second_waits_for_the_writer),
	KUNIT_CASE(a_user_at_the_quota_evicts_his_own),
	KUNIT_CASE(an_object_may_be_larger_than_the_region),
	KUNIT_CASE(a_third_thread_switches),
	KUNIT_CASE(random_against_byte_array),
	KUNIT_CASE(spaces_lose_nothing),
	KUNIT_CASE(every_failure_point_of_a_round_leaves_the_pages),
	{}
};

struct kunit_suite kmm_evict_suite = {
	.name = "kmm_evict",
	.exit = kmm_test_exit,
	.test_cases = evict_cases,
};
