// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_swap
 *
 * Slots, checksums and batches over a backend of the test's own: memory that can fail at any
 * slot, drop a write, and be damaged. Then the compressed one (ram.c), with both compressors.
 * Pages are the host's. Every case ends with no slot in use, nothing charged, and each backend
 * closed once. The random case keeps a naive model: which entry has which contents.
 */
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <kmm/account.h>
#include <kmm/inject.h>
#include <kmm/swap.h>

#include "helpers.h"

#define SLOTS	64
#define NR_FAKE	4

/**
 * struct fake - a backend in memory
 * @mem: pages by slot
 * @nr_slots: how many
 * @write_calls: of the ops
 * @read_calls: the same
 * @fail_write: writes of these slots fail
 * @fail_read: reads of these slots fail
 * @drop: a write of this slot is said to be done, and is not; U32_MAX: none
 * @forgotten: calls of forget
 * @closed: calls of close
 */
struct fake {
	u8 (*mem)[PAGE_SIZE];
	u32 nr_slots;
	unsigned int write_calls;
	unsigned int read_calls;
	DECLARE_BITMAP(fail_write, SLOTS);
	DECLARE_BITMAP(fail_read, SLOTS);
	u32 drop;
	atomic_t forgotten;
	unsigned int closed;
};

struct fixture {
	struct kmm_accounts accounts;
	struct kmm_account *a;
	u64 base_host_bytes;
	struct kmm_swap s;
	struct fake fake[NR_FAKE];
	unsigned int nr_fake;
	struct page *page[KMM_SWAP_BATCH];
	int errs[KMM_SWAP_BATCH];
	kmm_swp_t entry[256];
	u32 what[100];
};

static const struct kmm_limits no_limits = {
	.frames = KMM_NO_LIMIT, .objects = KMM_NO_LIMIT, .names = KMM_NO_LIMIT,
	.host_bytes = KMM_NO_LIMIT,
};

/* === The backend === */

static bool fake_hit(const unsigned long *map, u32 slot, unsigned int nr)
{
	return slot < SLOTS && find_next_bit(map, SLOTS, slot) < slot + nr;
}

static int fake_write(struct kmm_swap_area *a, u32 slot, struct page **pages, unsigned int nr)
{
	struct fake *k = a->priv;
	unsigned int i;

	k->write_calls++;
	if (fake_hit(k->fail_write, slot, nr))
		return -EIO;
	for (i = 0; i < nr; i++)
		if (slot + i != k->drop)
			memcpy(k->mem[slot + i], page_address(pages[i]), PAGE_SIZE);
	return 0;
}

static int fake_read(struct kmm_swap_area *a, u32 slot, struct page **pages, unsigned int nr)
{
	struct fake *k = a->priv;
	unsigned int i;

	k->read_calls++;
	if (fake_hit(k->fail_read, slot, nr))
		return -EIO;
	for (i = 0; i < nr; i++)
		memcpy(page_address(pages[i]), k->mem[slot + i], PAGE_SIZE);
	return 0;
}

static void fake_forget(struct kmm_swap_area *a, u32 slot)
{
	struct fake *k = a->priv;

	atomic_inc(&k->forgotten);
}

static void fake_close(struct kmm_swap_area *a)
{
	struct fake *k = a->priv;

	k->closed++;
}

static const struct kmm_swap_ops fake_ops = {
	.name = "fake",
	.write = fake_write,
	.read = fake_read,
	.forget = fake_forget,
	.close = fake_close,
};

/* === Begin and end === */

static struct fixture *begin(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, f);
	kmm_accounts_init(&f->accounts, &no_limits, &no_limits);
	f->a = kmm_account_create(&f->accounts, GLOBAL_ROOT_UID, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR(f->a));
	f->base_host_bytes = kmm_account_used(f->a, KMM_RES_HOST_BYTES);
	kmm_swap_init(&f->s);
	for (i = 0; i < KMM_SWAP_BATCH; i++) {
		f->page[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		KUNIT_ASSERT_NOT_NULL(test, f->page[i]);
	}
	return f;
}

/* One more area of the backend; its id. */
static int add(struct kunit *test, struct fixture *f, u32 nr_slots, int prio)
{
	struct fake *k = &f->fake[f->nr_fake++];
	int id;

	k->mem = vzalloc((size_t)nr_slots * PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, k->mem);
	k->nr_slots = nr_slots;
	k->drop = U32_MAX;
	id = kmm_swap_add(&f->s, f->a, &fake_ops, k, nr_slots, prio);
	KUNIT_ASSERT_GE(test, id, 0);
	return id;
}

static struct fixture *begin_one(struct kunit *test)
{
	struct fixture *f = begin(test);

	KUNIT_ASSERT_EQ(test, add(test, f, SLOTS, 0), 0);
	return f;
}

static void end(struct kunit *test, struct fixture *f)
{
	unsigned int i;

	kmm_swap_fini(&f->s);
	for (i = 0; i < f->nr_fake; i++) {
		KUNIT_EXPECT_EQ(test, f->fake[i].closed, 1);
		vfree(f->fake[i].mem);
	}
	for (i = 0; i < KMM_SWAP_BATCH; i++)
		__free_page(f->page[i]);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES), f->base_host_bytes);
	kmm_account_put(f->a);
	kmm_accounts_fini(&f->accounts);
	rcu_barrier();
}

static int write_one(struct fixture *f, kmm_swp_t entry)
{
	kmm_swap_write(&f->s, &entry, f->page, 1, f->errs);
	return f->errs[0];
}

static int read_one(struct fixture *f, kmm_swp_t entry)
{
	memset(page_address(f->page[0]), 0xa5, PAGE_SIZE);
	kmm_swap_read(&f->s, &entry, f->page, 1, f->errs);
	return f->errs[0];
}

/* === Slots === */

static void each_slot_is_given_out_once(struct kunit *test)
{
	struct fixture *f = begin_one(test);
	DECLARE_BITMAP(seen, SLOTS) = {};
	kmm_swp_t entry[SLOTS];
	unsigned int i, round;

	KUNIT_EXPECT_EQ(test, kmm_swap_free_slots(&f->s), SLOTS);
	for (round = 1; round < 4; round++) {
		bitmap_zero(seen, SLOTS);
		for (i = 0; i < SLOTS; i++) {
			entry[i] = kmm_swap_alloc(&f->s);
			KUNIT_ASSERT_NE(test, entry[i], 0ULL);
			KUNIT_ASSERT_LT(test, kmm_swp_slot(entry[i]), SLOTS);
			KUNIT_EXPECT_FALSE(test, test_and_set_bit(kmm_swp_slot(entry[i]), seen));
			/* what goes out together stands together */
			KUNIT_EXPECT_EQ(test, kmm_swp_slot(entry[i]), i);
			KUNIT_EXPECT_EQ(test, kmm_swp_area(entry[i]), 0);
			KUNIT_EXPECT_EQ(test, kmm_swp_gen(entry[i]), round);
			KUNIT_EXPECT_EQ(test, kmm_swap_is_tight(&f->s, entry[i]),
					i + 1 > SLOTS / 2);
		}
		KUNIT_EXPECT_EQ(test, kmm_swap_free_slots(&f->s), 0);
		KUNIT_EXPECT_EQ(test, kmm_swap_alloc(&f->s), 0ULL);
		for (i = 0; i < SLOTS; i++)
			kmm_swap_free(&f->s, entry[i]);
		KUNIT_EXPECT_EQ(test, atomic_read(&f->fake[0].forgotten), SLOTS * round);
	}
	end(test, f);
}

static void the_shadow_stays_with_the_slot(struct kunit *test)
{
	struct fixture *f = begin_one(test);
	kmm_swp_t a = kmm_swap_alloc(&f->s), b = kmm_swap_alloc(&f->s);

	KUNIT_EXPECT_EQ(test, kmm_swap_shadow(&f->s, a), 0);
	kmm_swap_set_shadow(&f->s, a, 0xffffffff);
	kmm_swap_set_shadow(&f->s, b, 7);
	KUNIT_EXPECT_EQ(test, kmm_swap_shadow(&f->s, a), 0xffffffff);
	KUNIT_EXPECT_EQ(test, kmm_swap_shadow(&f->s, b), 7);
	kmm_swap_free(&f->s, a);
	kmm_swap_free(&f->s, b);
	/* the next one knows nothing of it */
	for (a = 0; !a || kmm_swp_slot(a) != 0; )
		a = kmm_swap_alloc(&f->s);
	KUNIT_EXPECT_EQ(test, kmm_swap_shadow(&f->s, a), 0);
	kmm_swap_free(&f->s, a);
	for (a = 2; a < SLOTS; a++)
		kmm_swap_free(&f->s, a | 1ULL << KMM_SWP_GEN_SHIFT);
	KUNIT_EXPECT_EQ(test, atomic64_read(&f->s.nr_stale), 0);
	end(test, f);
}

static void a_stale_entry_is_refused(struct kunit *test)
{
	struct fixture *f = begin_one(test);
	struct kmm_swap_state st;
	kmm_swp_t old, new;
	unsigned int i;

	old = kmm_swap_alloc(&f->s);
	kmm_test_fill(f->page[0], 1);
	KUNIT_EXPECT_EQ(test, write_one(f, old), 0);
	kmm_swap_free(&f->s, old);
	/* freed, and not given out again */
	KUNIT_EXPECT_EQ(test, read_one(f, old), -EBADMSG);
	KUNIT_EXPECT_EQ(test, write_one(f, old), -EBADMSG);
	kmm_swap_free(&f->s, old);
	/* given out again */
	for (i = 0; i < SLOTS; i++)
		new = kmm_swap_alloc(&f->s);
	KUNIT_ASSERT_EQ(test, kmm_swp_slot(new), kmm_swp_slot(old));
	KUNIT_EXPECT_NE(test, new, old);
	kmm_test_fill(f->page[0], 2);
	KUNIT_EXPECT_EQ(test, write_one(f, new), 0);
	KUNIT_EXPECT_EQ(test, read_one(f, old), -EBADMSG);
	KUNIT_EXPECT_FALSE(test, kmm_test_is_filled(f->page[0], 2));
	kmm_test_fill(f->page[0], 3);
	KUNIT_EXPECT_EQ(test, write_one(f, old), -EBADMSG);
	kmm_swap_free(&f->s, old);
	KUNIT_EXPECT_EQ(test, read_one(f, new), 0);
	KUNIT_EXPECT_TRUE(test, kmm_test_is_filled(f->page[0], 2));
	/* no such area, no such slot */
	KUNIT_EXPECT_EQ(test, read_one(f, new | 3ULL << KMM_SWP_AREA_SHIFT), -EBADMSG);
	KUNIT_EXPECT_EQ(test, read_one(f, new | SLOTS), -EBADMSG);
	KUNIT_EXPECT_EQ(test, atomic64_read(&f->s.nr_stale), 8);
	KUNIT_EXPECT_EQ(test, kmm_swap_tell(&f->s, 0, &st), 0);
	KUNIT_EXPECT_EQ(test, st.nr_used, SLOTS);
	for (i = 0; i < SLOTS; i++)
		kmm_swap_free(&f->s, i | (i == kmm_swp_slot(old) ? 2ULL : 1) <<
					     KMM_SWP_GEN_SHIFT);
	end(test, f);
}

static void the_highest_priority_is_filled_first(struct kunit *test)
{
	struct fixture *f = begin(test);
	unsigned int i, count[NR_FAKE] = {}, changes = 0, last = 0;
	const int low = add(test, f, 64, -5), high = add(test, f, 64, 10);
	const int mid1 = add(test, f, 64, 3), mid2 = add(test, f, 64, 3);
	kmm_swp_t *entry = f->entry;

	for (i = 0; i < 256; i++) {
		entry[i] = kmm_swap_alloc(&f->s);
		KUNIT_ASSERT_NE(test, entry[i], 0ULL);
		count[kmm_swp_area(entry[i])]++;
		changes += i && kmm_swp_area(entry[i]) != last;
		last = kmm_swp_area(entry[i]);
		if (i == 63)
			KUNIT_EXPECT_EQ(test, count[high], 64);
		if (i == 127) {
			/* equals take turns */
			KUNIT_EXPECT_GE(test, count[mid1], KMM_SWAP_BATCH / 2);
			KUNIT_EXPECT_GE(test, count[mid2], KMM_SWAP_BATCH / 2);
		}
		if (i == 191)
			KUNIT_EXPECT_EQ(test, count[low], 0);
	}
	/* a batch each, so that they stand together */
	KUNIT_EXPECT_LE(test, changes, 9);
	KUNIT_EXPECT_EQ(test, kmm_swap_alloc(&f->s), 0ULL);
	/* room above: used before what is below */
	kmm_swap_free(&f->s, entry[255]);
	kmm_swap_free(&f->s, entry[0]);
	entry[0] = kmm_swap_alloc(&f->s);
	KUNIT_EXPECT_EQ(test, kmm_swp_area(entry[0]), high);
	entry[255] = kmm_swap_alloc(&f->s);
	KUNIT_EXPECT_EQ(test, kmm_swp_area(entry[255]), low);
	for (i = 0; i < 256; i++)
		kmm_swap_free(&f->s, entry[i]);
	end(test, f);
}

/* A device that is gone, a ram area at its limit: no page waits for it while others have room. */
static void where_a_write_failed_is_the_last_choice(struct kunit *test)
{
	struct fixture *f = begin(test);
	const int high = add(test, f, 4, 10), low = add(test, f, 4, 0);
	struct kmm_swap_area *a = f->s.area[high];
	unsigned long before = jiffies;
	kmm_swp_t *entry = f->entry, e;
	unsigned int i;

	bitmap_fill(f->fake[high].fail_write, 4);
	e = kmm_swap_alloc(&f->s);
	KUNIT_EXPECT_EQ(test, kmm_swp_area(e), high);
	KUNIT_EXPECT_FALSE(test, time_after(a->avoid_until, jiffies));
	KUNIT_EXPECT_EQ(test, write_one(f, e), -EIO);
	KUNIT_EXPECT_TRUE(test, time_after(a->avoid_until, before));
	kmm_swap_free(&f->s, e);
	/* the clock is not waited for */
	a->avoid_until = jiffies + 1000 * HZ;
	for (i = 0; i < 8; i++) {
		entry[i] = kmm_swap_alloc(&f->s);
		/* but a choice, when nothing else is left */
		KUNIT_EXPECT_EQ(test, kmm_swp_area(entry[i]), i < 4 ? low : high);
	}
	KUNIT_EXPECT_EQ(test, kmm_swap_alloc(&f->s), 0ULL);
	for (i = 0; i < 8; i++)
		kmm_swap_free(&f->s, entry[i]);
	a->avoid_until = jiffies;
	e = kmm_swap_alloc(&f->s);
	KUNIT_EXPECT_EQ(test, kmm_swp_area(e), high);
	kmm_swap_free(&f->s, e);
	end(test, f);
}

static void an_area_goes_when_it_is_closed_and_empty(struct kunit *test)
{
	struct fixture *f = begin(test);
	const int id = add(test, f, SLOTS, 5), other = add(test, f, SLOTS, 0);
	kmm_swp_t entry = kmm_swap_alloc(&f->s), e2;
	struct kmm_swap_state st;

	KUNIT_EXPECT_EQ(test, kmm_swp_area(entry), id);
	kmm_test_fill(f->page[0], 9);
	KUNIT_EXPECT_EQ(test, write_one(f, entry), 0);
	KUNIT_EXPECT_EQ(test, kmm_swap_remove(&f->s, id), -EBUSY);
	KUNIT_EXPECT_FALSE(test, kmm_swap_closing(&f->s, entry));
	KUNIT_EXPECT_EQ(test, kmm_swap_close(&f->s, id), 0);
	KUNIT_EXPECT_TRUE(test, kmm_swap_closing(&f->s, entry));
	KUNIT_EXPECT_EQ(test, kmm_swap_close(&f->s, id), -EBUSY);
	KUNIT_EXPECT_EQ(test, kmm_swap_remove(&f->s, id), -EBUSY);
	KUNIT_EXPECT_EQ(test, kmm_swap_free_slots(&f->s), SLOTS);
	/* gives out no more, and still reads */
	e2 = kmm_swap_alloc(&f->s);
	KUNIT_EXPECT_EQ(test, kmm_swp_area(e2), other);
	KUNIT_EXPECT_EQ(test, read_one(f, entry), 0);
	KUNIT_EXPECT_TRUE(test, kmm_test_is_filled(f->page[0], 9));
	kmm_swap_free(&f->s, e2);
	/* back */
	kmm_swap_reopen(&f->s, id);
	e2 = kmm_swap_alloc(&f->s);
	KUNIT_EXPECT_EQ(test, kmm_swp_area(e2), id);
	kmm_swap_free(&f->s, e2);
	KUNIT_EXPECT_EQ(test, kmm_swap_remove(&f->s, id), -EBUSY);
	/* gone */
	KUNIT_EXPECT_EQ(test, kmm_swap_close(&f->s, id), 0);
	kmm_swap_free(&f->s, entry);
	KUNIT_EXPECT_EQ(test, f->fake[0].closed, 0);
	KUNIT_EXPECT_EQ(test, kmm_swap_remove(&f->s, id), 0);
	KUNIT_EXPECT_EQ(test, f->fake[0].closed, 1);
	KUNIT_EXPECT_EQ(test, kmm_swap_remove(&f->s, id), -ENOENT);
	KUNIT_EXPECT_EQ(test, kmm_swap_close(&f->s, id), -ENOENT);
	KUNIT_EXPECT_EQ(test, kmm_swap_close(&f->s, KMM_SWAP_AREAS), -ENOENT);
	KUNIT_EXPECT_EQ(test, kmm_swap_tell(&f->s, 0, &st), 0);
	KUNIT_EXPECT_EQ(test, st.id, other);
	KUNIT_EXPECT_STREQ(test, st.type, "fake");
	KUNIT_EXPECT_EQ(test, kmm_swap_tell(&f->s, other + 1, &st), -ENOENT);
	KUNIT_EXPECT_EQ(test, read_one(f, entry), -EBADMSG);
	end(test, f);
}

static void there_are_so_many_areas(struct kunit *test)
{
	static const u64 bad[] = { 0, KMM_SWAP_SLOTS_MAX + 1ULL, 1ULL << 32, U64_MAX };
	struct fixture *f = begin(test);
	struct fake *k = &f->fake[NR_FAKE - 1];
	unsigned int i;

	for (i = 0; i < KMM_SWAP_AREAS; i++)
		KUNIT_EXPECT_EQ(test, kmm_swap_add(&f->s, f->a, &fake_ops, k, 8, 0), i);
	KUNIT_EXPECT_EQ(test, k->closed, 0);
	/* what could not be added is closed */
	KUNIT_EXPECT_EQ(test, kmm_swap_add(&f->s, f->a, &fake_ops, k, 8, 0), -EMFILE);
	KUNIT_EXPECT_EQ(test, k->closed, 1);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ(test, kmm_swap_add(&f->s, f->a, &fake_ops, k, bad[i], 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, k->closed, 1 + ARRAY_SIZE(bad));
	end(test, f);
	KUNIT_EXPECT_EQ(test, k->closed, 1 + ARRAY_SIZE(bad) + KMM_SWAP_AREAS);
}

/* === Pages === */

static void pages_come_back_in_batches(struct kunit *test)
{
	struct fixture *f = begin_one(test);
	struct fake *k = &f->fake[0];
	kmm_swp_t entry[SLOTS], some[3];
	unsigned int i, b;

	for (i = 0; i < SLOTS; i++)
		entry[i] = kmm_swap_alloc(&f->s);
	for (b = 0; b < SLOTS; b += KMM_SWAP_BATCH) {
		for (i = 0; i < KMM_SWAP_BATCH; i++)
			kmm_test_fill(f->page[i], b + i);
		kmm_swap_write(&f->s, entry + b, f->page, KMM_SWAP_BATCH, f->errs);
		for (i = 0; i < KMM_SWAP_BATCH; i++)
			KUNIT_EXPECT_EQ(test, f->errs[i], 0);
	}
	/* neighbours go in one call */
	KUNIT_EXPECT_EQ(test, k->write_calls, SLOTS / KMM_SWAP_BATCH);
	for (b = 0; b < SLOTS; b += KMM_SWAP_BATCH) {
		kmm_swap_read(&f->s, entry + b, f->page, KMM_SWAP_BATCH, f->errs);
		for (i = 0; i < KMM_SWAP_BATCH; i++) {
			KUNIT_EXPECT_EQ(test, f->errs[i], 0);
			KUNIT_EXPECT_TRUE(test, kmm_test_is_filled(f->page[i], b + i));
		}
	}
	KUNIT_EXPECT_EQ(test, k->read_calls, SLOTS / KMM_SWAP_BATCH);
	/* what is no neighbour does not */
	some[0] = entry[5];
	some[1] = entry[4];
	some[2] = entry[40];
	kmm_swap_read(&f->s, some, f->page, 3, f->errs);
	KUNIT_EXPECT_TRUE(test, kmm_test_is_filled(f->page[0], 5));
	KUNIT_EXPECT_TRUE(test, kmm_test_is_filled(f->page[1], 4));
	KUNIT_EXPECT_TRUE(test, kmm_test_is_filled(f->page[2], 40));
	KUNIT_EXPECT_EQ(test, k->read_calls, SLOTS / KMM_SWAP_BATCH + 3);
	/* a stale one among them takes nobody along */
	some[0] = entry[4];
	some[1] = entry[5] ^ 1ULL << KMM_SWP_GEN_SHIFT;
	some[2] = entry[6];
	kmm_swap_read(&f->s, some, f->page, 3, f->errs);
	KUNIT_EXPECT_EQ(test, f->errs[0], 0);
	KUNIT_EXPECT_EQ(test, f->errs[1], -EBADMSG);
	KUNIT_EXPECT_EQ(test, f->errs[2], 0);
	KUNIT_EXPECT_TRUE(test, kmm_test_is_filled(f->page[2], 6));
	for (i = 0; i < SLOTS; i++)
		kmm_swap_free(&f->s, entry[i]);
	end(test, f);
}

static void a_bad_slot_takes_its_own_page_only(struct kunit *test)
{
	struct fixture *f = begin_one(test);
	struct fake *k = &f->fake[0];
	kmm_swp_t entry[KMM_SWAP_BATCH];
	struct kmm_swap_state st;
	unsigned int i;

	for (i = 0; i < KMM_SWAP_BATCH; i++) {
		entry[i] = kmm_swap_alloc(&f->s);
		kmm_test_fill(f->page[i], i);
	}
	set_bit(3, k->fail_write);
	set_bit(31, k->fail_write);
	kmm_swap_write(&f->s, entry, f->page, KMM_SWAP_BATCH, f->errs);
	for (i = 0; i < KMM_SWAP_BATCH; i++)
		KUNIT_EXPECT_EQ(test, f->errs[i], i == 3 || i == 31 ? -EIO : 0);
	set_bit(0, k->fail_read);
	set_bit(7, k->fail_read);
	kmm_swap_read(&f->s, entry, f->page, KMM_SWAP_BATCH, f->errs);
	for (i = 0; i < KMM_SWAP_BATCH; i++) {
		if (i == 3 || i == 31)
			KUNIT_EXPECT_EQ(test, f->errs[i], -EBADMSG);
		else
			KUNIT_EXPECT_EQ(test, f->errs[i], i == 0 || i == 7 ? -EIO : 0);
		if (!f->errs[i])
			KUNIT_EXPECT_TRUE(test, kmm_test_is_filled(f->page[i], i));
	}
	KUNIT_EXPECT_EQ(test, kmm_swap_tell(&f->s, 0, &st), 0);
	KUNIT_EXPECT_EQ(test, st.nr_write, 30);
	KUNIT_EXPECT_EQ(test, st.nr_read, 28);
	KUNIT_EXPECT_EQ(test, st.nr_error, 4);
	KUNIT_EXPECT_EQ(test, st.nr_corrupt, 2);
	for (i = 0; i < KMM_SWAP_BATCH; i++)
		kmm_swap_free(&f->s, entry[i]);
	end(test, f);
}

static void a_broken_device_is_not_asked_for_each_page(struct kunit *test)
{
	struct fixture *f = begin_one(test);
	struct fake *k = &f->fake[0];
	kmm_swp_t *entry = f->entry;
	unsigned int i;

	for (i = 0; i < KMM_SWAP_BATCH; i++)
		entry[i] = kmm_swap_alloc(&f->s);
	bitmap_fill(k->fail_write, SLOTS);
	kmm_swap_write(&f->s, entry, f->page, KMM_SWAP_BATCH, f->errs);
	for (i = 0; i < KMM_SWAP_BATCH; i++)
		KUNIT_EXPECT_EQ(test, f->errs[i], -EIO);
	/* the batch, and a few of it alone */
	KUNIT_EXPECT_LE(test, k->write_calls, 5);
	/* a few next to each other are found to be bad, and only these */
	bitmap_zero(k->fail_write, SLOTS);
	bitmap_set(k->fail_write, 8, 3);
	bitmap_set(k->fail_write, 12, 3);
	kmm_swap_write(&f->s, entry, f->page, KMM_SWAP_BATCH, f->errs);
	for (i = 0; i < KMM_SWAP_BATCH; i++)
		KUNIT_EXPECT_EQ(test, f->errs[i], test_bit(i, k->fail_write) ? -EIO : 0);
	for (i = 0; i < KMM_SWAP_BATCH; i++)
		kmm_swap_free(&f->s, entry[i]);
	end(test, f);
}

static void every_flipped_bit_is_found(struct kunit *test)
{
	struct fixture *f = begin_one(test);
	const unsigned long nr_bits = PAGE_SIZE * 8, nr = min(kmm_test_nr_ops, nr_bits);
	kmm_swp_t entry = kmm_swap_alloc(&f->s);
	unsigned long i, bit, found = 0;
	struct kmm_swap_state st;
	u8 *mem = f->fake[0].mem[kmm_swp_slot(entry)];

	kmm_test_fill(f->page[0], 77);
	KUNIT_EXPECT_EQ(test, write_one(f, entry), 0);
	for (i = 0; i < nr; i++) {
		/* an odd step: all of them, when there is time for all */
		bit = i * 12345 % nr_bits;
		mem[bit / 8] ^= 1 << bit % 8;
		kmm_swap_read(&f->s, &entry, f->page, 1, f->errs);
		found += f->errs[0] == -EBADMSG;
		mem[bit / 8] ^= 1 << bit % 8;
		if (i % 64 == 0)
			cond_resched();
	}
	KUNIT_EXPECT_EQ(test, found, nr);
	KUNIT_EXPECT_EQ(test, read_one(f, entry), 0);
	KUNIT_EXPECT_TRUE(test, kmm_test_is_filled(f->page[0], 77));
	KUNIT_EXPECT_EQ(test, kmm_swap_tell(&f->s, 0, &st), 0);
	KUNIT_EXPECT_EQ(test, st.nr_corrupt, nr);
	kmm_swap_free(&f->s, entry);
	end(test, f);
}

static void a_page_in_the_wrong_place_is_found(struct kunit *test)
{
	struct fixture *f = begin(test);
	kmm_swp_t a, b, c, again;
	struct fake *k, *k2;
	unsigned int i;

	add(test, f, 2, 5);
	add(test, f, 2, 4);
	k = &f->fake[0];
	k2 = &f->fake[1];
	/* all have the same contents: only the key tells them apart */
	kmm_test_fill(f->page[0], 5);
	a = kmm_swap_alloc(&f->s);
	KUNIT_EXPECT_EQ(test, write_one(f, a), 0);
	b = kmm_swap_alloc(&f->s);
	kmm_test_fill(f->page[0], 6);
	KUNIT_EXPECT_EQ(test, write_one(f, b), 0);
	c = kmm_swap_alloc(&f->s);
	KUNIT_EXPECT_EQ(test, kmm_swp_area(c), 1);
	kmm_test_fill(f->page[0], 7);
	KUNIT_EXPECT_EQ(test, write_one(f, c), 0);
	/* the write of b went to a */
	memcpy(k->mem[kmm_swp_slot(a)], k->mem[kmm_swp_slot(b)], PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, read_one(f, a), -EBADMSG);
	KUNIT_EXPECT_EQ(test, read_one(f, b), 0);
	/* to the other device */
	memcpy(k->mem[kmm_swp_slot(a)], k2->mem[kmm_swp_slot(c)], PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, read_one(f, a), -EBADMSG);
	/* a write that the device forgot: what was there before comes back */
	kmm_test_fill(f->page[0], 5);
	KUNIT_EXPECT_EQ(test, write_one(f, a), 0);
	k->drop = kmm_swp_slot(a);
	kmm_swap_free(&f->s, a);
	again = kmm_swap_alloc(&f->s);
	KUNIT_ASSERT_EQ(test, kmm_swp_slot(again), kmm_swp_slot(a));
	kmm_test_fill(f->page[0], 8);
	KUNIT_EXPECT_EQ(test, write_one(f, again), 0);
	KUNIT_EXPECT_EQ(test, read_one(f, again), -EBADMSG);
	k->drop = U32_MAX;
	kmm_test_fill(f->page[0], 8);
	KUNIT_EXPECT_EQ(test, write_one(f, again), 0);
	KUNIT_EXPECT_EQ(test, read_one(f, again), 0);
	/* the sums of equal pages differ by slot and by generation */
	kmm_test_fill(f->page[0], 9);
	KUNIT_EXPECT_EQ(test, write_one(f, again), 0);
	KUNIT_EXPECT_EQ(test, write_one(f, b), 0);
	KUNIT_EXPECT_NE(test, f->s.area[0]->slots[kmm_swp_slot(again)].sum,
			f->s.area[0]->slots[kmm_swp_slot(b)].sum);
	for (i = 0; i < 2; i++) {
		u64 sum = f->s.area[0]->slots[kmm_swp_slot(again)].sum;

		kmm_swap_free(&f->s, again);
		again = kmm_swap_alloc(&f->s);
		kmm_test_fill(f->page[0], 9);
		KUNIT_EXPECT_EQ(test, write_one(f, again), 0);
		KUNIT_EXPECT_NE(test, f->s.area[0]->slots[kmm_swp_slot(again)].sum, sum);
	}
	kmm_swap_free(&f->s, again);
	kmm_swap_free(&f->s, b);
	kmm_swap_free(&f->s, c);
	end(test, f);
}

/* === Failure points, threads, chance === */

static void every_failure_point_leaves_nothing(struct kunit *test)
{
	struct fixture *f = begin(test);
	unsigned long n, fired = 0;
	bool again = true;
	int kind, id;

	for (kind = 0; kind < 3; kind++) {
		struct fake *k = &f->fake[NR_FAKE - 1];

		for (n = 1, again = true; again && n < 100; n++) {
			const unsigned int closed = k->closed;

			kmm_inject_arm(n);
			if (!kind)
				id = kmm_swap_add(&f->s, f->a, &fake_ops, k, SLOTS, 0);
			else
				id = kmm_swap_ram_add(&f->s, f->a, kind == 1 ? "lz4" : "zstd",
						      SZ_1M, 0);
			again = kmm_inject_disarm();
			fired += again;
			KUNIT_EXPECT_EQ(test, id, again ? -ENOMEM : 0);
			if (!again) {
				KUNIT_EXPECT_EQ(test, kmm_swap_close(&f->s, id), 0);
				KUNIT_EXPECT_EQ(test, kmm_swap_remove(&f->s, id), 0);
			}
			KUNIT_EXPECT_EQ(test, k->closed, closed + !kind);
			KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES),
					f->base_host_bytes);
		}
		KUNIT_EXPECT_FALSE(test, again);
	}
	/* slots and bitmap of all three, streams and caches of two */
	KUNIT_EXPECT_GT(test, fired, 3 + 2 * 8);
	end(test, f);
}

static void every_failure_of_a_page_is_told(struct kunit *test)
{
	struct fixture *f = begin(test);
	unsigned long n;
	bool again = true;
	kmm_swp_t entry;
	int id;

	id = kmm_swap_ram_add(&f->s, f->a, "lz4", SZ_1M, 0);
	KUNIT_ASSERT_EQ(test, id, 0);
	for (n = 1; again && n < 10; n++) {
		int w = 0, r = 0;

		kmm_inject_arm(n);
		entry = kmm_swap_alloc(&f->s);
		if (entry) {
			kmm_test_fill(f->page[0], n);
			w = write_one(f, entry);
			if (!w)
				r = read_one(f, entry);
		}
		again = kmm_inject_disarm();
		KUNIT_EXPECT_EQ(test, !entry + !!w + !!r, again);
		if (!again)
			KUNIT_EXPECT_TRUE(test, kmm_test_is_filled(f->page[0], n));
		if (entry)
			kmm_swap_free(&f->s, entry);
	}
	/* slot, write, memory, read */
	KUNIT_EXPECT_EQ(test, n, 6);
	end(test, f);
}

struct worker {
	struct fixture *f;
	struct completion done;
	unsigned long nr;
	u32 number;		/* not 0 */
	unsigned long bad;
	u32 *owner;
	u32 nr_slots;
	struct page *page;
};

/* Who has the slot of an entry; 0: nobody. */
static u32 *worker_owner(struct worker *w, kmm_swp_t entry)
{
	return w->owner + kmm_swp_area(entry) * w->nr_slots + kmm_swp_slot(entry);
}

static void worker_take(struct worker *w, kmm_swp_t entry)
{
	int err;

	w->bad += cmpxchg(worker_owner(w, entry), 0, w->number) != 0;
	kmm_test_fill(w->page, entry ^ entry >> 32);
	kmm_swap_write(&w->f->s, &entry, &w->page, 1, &err);
	w->bad += err != 0;
}

static void worker_give(struct worker *w, kmm_swp_t entry)
{
	int err;

	kmm_swap_read(&w->f->s, &entry, &w->page, 1, &err);
	w->bad += err != 0 || !kmm_test_is_filled(w->page, entry ^ entry >> 32);
	w->bad += cmpxchg(worker_owner(w, entry), w->number, 0) != w->number;
	kmm_swap_free(&w->f->s, entry);
}

/* Takes slots and gives them back; nobody else may have one of them meanwhile. */
static int work(void *arg)
{
	struct worker *w = arg;
	kmm_swp_t mine[16] = {};
	struct rnd_state rnd;
	unsigned long i;

	prandom_seed_state(&rnd, kmm_test_seed + w->number);
	for (i = 0; i < w->nr; i++) {
		kmm_swp_t *e = &mine[kmm_below(&rnd, ARRAY_SIZE(mine))];

		if (*e) {
			worker_give(w, *e);
			*e = 0;
		} else {
			*e = kmm_swap_alloc(&w->f->s);
			if (*e)
				worker_take(w, *e);
		}
		if (i % 64 == 0)
			cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(mine); i++)
		if (mine[i])
			worker_give(w, mine[i]);
	complete(&w->done);
	return 0;
}

static void run_workers(struct kunit *test, struct fixture *f, u32 nr_slots)
{
	struct worker w[3];
	u32 *owner = kvcalloc(KMM_SWAP_AREAS * nr_slots, sizeof(*owner), GFP_KERNEL);
	struct task_struct *task;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, owner);
	for (i = 0; i < ARRAY_SIZE(w); i++) {
		w[i] = (struct worker){
			.f = f, .nr = kmm_test_nr_ops / 16, .number = i + 1, .owner = owner,
			.nr_slots = nr_slots, .page = f->page[i],
		};
		init_completion(&w[i].done);
		task = kthread_create(work, &w[i], "kmm_swap_kunit");
		if (IS_ERR(task)) {
			KUNIT_FAIL(test, "no thread");
			complete(&w[i].done);
			continue;
		}
		kthread_bind(task, i % num_online_cpus());
		wake_up_process(task);
	}
	for (i = 0; i < ARRAY_SIZE(w); i++) {
		wait_for_completion(&w[i].done);
		KUNIT_EXPECT_EQ(test, w[i].bad, 0);
	}
	kvfree(owner);
	KUNIT_EXPECT_EQ(test, atomic64_read(&f->s.nr_stale), 0);
}

static void slots_are_given_out_once_on_two_cpus(struct kunit *test)
{
	struct fixture *f = begin(test);

	/* fewer than the threads want */
	add(test, f, 16, 1);
	add(test, f, 16, 1);
	run_workers(test, f, 16);
	KUNIT_EXPECT_EQ(test, kmm_swap_free_slots(&f->s), 32);
	end(test, f);
}

static void random_against_model(struct kunit *test)
{
	struct fixture *f = begin(test);
	u32 *what = f->what, next = 1, used = 0;
	kmm_swp_t *entry = f->entry;
	struct rnd_state rnd;
	unsigned long i;

	add(test, f, 40, 1);
	add(test, f, 30, 1);
	KUNIT_ASSERT_EQ(test, kmm_swap_ram_add(&f->s, f->a, "lz4", 10 * PAGE_SIZE, 0), 2);
	kunit_info(test, "seed=%lu\n", kmm_test_seed);
	prandom_seed_state(&rnd, kmm_test_seed);
	for (i = 0; i < kmm_test_nr_ops / 4; i++) {
		unsigned int k = kmm_below(&rnd, ARRAY_SIZE(f->what));

		if (!entry[k]) {
			bool full = used == 90;

			entry[k] = kmm_swap_alloc(&f->s);
			if (!entry[k] != full) {
				KUNIT_FAIL(test, "op %lu: entry %#llx, %u used", i, entry[k], used);
				break;
			}
			if (!entry[k])
				continue;
			used++;
			what[k] = next++;
			kmm_test_fill(f->page[0], what[k]);
			/* the compressed one may be full: the page stays, the slot goes back */
			if (write_one(f, entry[k])) {
				if (kmm_swp_area(entry[k]) != 2)
					KUNIT_FAIL(test, "op %lu: write failed", i);
				kmm_swap_free(&f->s, entry[k]);
				entry[k] = 0;
				used--;
			}
		} else if (kmm_below(&rnd, 3)) {
			if (read_one(f, entry[k]) || !kmm_test_is_filled(f->page[0], what[k])) {
				KUNIT_FAIL(test, "op %lu: other contents", i);
				break;
			}
		} else {
			kmm_swap_free(&f->s, entry[k]);
			entry[k] = 0;
			used--;
		}
		if (i % 64 == 0)
			cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(f->what); i++)
		if (entry[i])
			kmm_swap_free(&f->s, entry[i]);
	KUNIT_EXPECT_EQ(test, atomic64_read(&f->s.nr_stale), 0);
	end(test, f);
}

/* === Compressed memory === */

/* What compresses to about @percent of a page; 0: all bytes are the same. */
static void fill_percent(struct page *page, unsigned int percent, u32 seed)
{
	u8 *p = page_address(page);
	struct rnd_state rnd;
	unsigned int i;

	memset(p, seed, PAGE_SIZE);
	prandom_seed_state(&rnd, seed);
	for (i = 0; i < PAGE_SIZE * percent / 100; i++)
		p[i] = prandom_u32_state(&rnd);
}

static void ram_keeps_every_kind_of_page(struct kunit *test)
{
	static const char * const names[] = { "lz4", "zstd" };
	static const u8 percents[] = { 0, 1, 10, 20, 26, 33, 40, 48, 51, 57, 63, 70, 76, 90, 100 };
	u64 before, bytes, last = 0;
	unsigned int i, k;
	kmm_swp_t entry;

	for (k = 0; k < ARRAY_SIZE(names); k++) {
		struct fixture *f = begin(test);

		KUNIT_ASSERT_EQ(test, kmm_swap_ram_add(&f->s, f->a, names[k], SZ_1M, 0), 0);
		before = kmm_account_used(f->a, KMM_RES_HOST_BYTES);
		for (i = 0; i < ARRAY_SIZE(percents); i++) {
			entry = kmm_swap_alloc(&f->s);
			KUNIT_EXPECT_TRUE(test, kmm_swap_is_sync(&f->s, entry));
			fill_percent(f->page[0], percents[i], i);
			memcpy(page_address(f->page[1]), page_address(f->page[0]), PAGE_SIZE);
			KUNIT_EXPECT_EQ(test, write_one(f, entry), 0);
			bytes = kmm_account_used(f->a, KMM_RES_HOST_BYTES) - before;
			/* a page of one word costs nothing, more contents cost more */
			if (!percents[i])
				KUNIT_EXPECT_EQ(test, bytes, 0);
			else
				KUNIT_EXPECT_GE(test, bytes, last);
			KUNIT_EXPECT_LE(test, bytes, PAGE_SIZE);
			if (percents[i] <= 70)
				KUNIT_EXPECT_LT(test, bytes,
						PAGE_SIZE * percents[i] / 100 + PAGE_SIZE / 8);
			last = bytes;
			KUNIT_EXPECT_EQ(test, read_one(f, entry), 0);
			KUNIT_EXPECT_EQ(test, memcmp(page_address(f->page[0]),
						     page_address(f->page[1]), PAGE_SIZE), 0);
			kmm_swap_free(&f->s, entry);
			KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES), before);
		}
		last = 0;
		end(test, f);
	}
}

static void ram_has_a_limit(struct kunit *test)
{
	struct fixture *f = begin(test);
	struct kmm_swap_state st;
	kmm_swp_t entry[20];
	unsigned int i;
	u64 before;

	KUNIT_EXPECT_EQ(test, kmm_swap_ram_add(&f->s, f->a, "gzip", SZ_1M, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_swap_ram_add(&f->s, f->a, "lz4", PAGE_SIZE - 1, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_swap_ram_add(&f->s, f->a, "lz4", U64_MAX, 0), -EINVAL);
	KUNIT_ASSERT_EQ(test, kmm_swap_ram_add(&f->s, f->a, "lz4", 10 * PAGE_SIZE, 0), 0);
	before = kmm_account_used(f->a, KMM_RES_HOST_BYTES);
	for (i = 0; i < 20; i++) {
		entry[i] = kmm_swap_alloc(&f->s);
		KUNIT_ASSERT_NE(test, entry[i], 0ULL);
		fill_percent(f->page[0], 100, i);
		KUNIT_EXPECT_EQ(test, write_one(f, entry[i]), i < 10 ? 0 : -ENOSPC);
	}
	KUNIT_EXPECT_EQ(test, kmm_swap_alloc(&f->s), 0ULL);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES), before + 10 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, kmm_swap_tell(&f->s, 0, &st), 0);
	KUNIT_EXPECT_STREQ(test, st.what, "lz4");
	KUNIT_EXPECT_GE(test, st.host_bytes, 10 * PAGE_SIZE);
	/* one goes, one comes */
	kmm_swap_free(&f->s, entry[4]);
	KUNIT_EXPECT_EQ(test, write_one(f, entry[15]), 0);
	KUNIT_EXPECT_EQ(test, read_one(f, entry[15]), 0);
	for (i = 0; i < 20; i++)
		if (i != 4)
			kmm_swap_free(&f->s, entry[i]);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES), before);
	end(test, f);
}

/* No write has to fail before pages go to the next area. */
static void near_its_limit_ram_is_the_last_choice(struct kunit *test)
{
	struct fixture *f = begin(test);
	kmm_swp_t *entry = f->entry;
	unsigned int i, nr[2] = {};

	KUNIT_ASSERT_EQ(test, kmm_swap_ram_add(&f->s, f->a, "lz4", SZ_1M, 10), 0);
	KUNIT_ASSERT_EQ(test, add(test, f, SLOTS, 0), 1);
	for (i = 0; i < SZ_1M / PAGE_SIZE; i++) {
		entry[i] = kmm_swap_alloc(&f->s);
		KUNIT_ASSERT_NE(test, entry[i], 0ULL);
		fill_percent(f->page[0], 100, i);
		KUNIT_EXPECT_EQ(test, write_one(f, entry[i]), 0);
		nr[kmm_swp_area(entry[i])]++;
	}
	KUNIT_EXPECT_GE(test, nr[0], SZ_1M / PAGE_SIZE / 2);
	KUNIT_EXPECT_GE(test, nr[1], KMM_SWAP_BATCH);
	while (i--)
		kmm_swap_free(&f->s, entry[i]);
	/* there is room again */
	entry[0] = kmm_swap_alloc(&f->s);
	KUNIT_EXPECT_EQ(test, kmm_swp_area(entry[0]), 0);
	kmm_swap_free(&f->s, entry[0]);
	end(test, f);
}

static void ram_works_on_two_cpus(struct kunit *test)
{
	struct fixture *f = begin(test);

	KUNIT_ASSERT_EQ(test, kmm_swap_ram_add(&f->s, f->a, "lz4", SZ_1M, 0), 0);
	run_workers(test, f, 2 * SZ_1M / PAGE_SIZE);
	end(test, f);
}

static struct kunit_case swap_cases[] = {
	KUNIT_CASE(each_slot_is_given_out_once),
	KUNIT_CASE(the_shadow_stays_with_the_slot),
	KUNIT_CASE(a_stale_entry_is_refused),
	KUNIT_CASE(the_highest_priority_is_filled_first),
	KUNIT_CASE(where_a_write_failed_is_the_last_choice),
	KUNIT_CASE(an_area_goes_when_it_is_closed_and_empty),
	KUNIT_CASE(there_are_so_many_areas),
	KUNIT_CASE(pages_come_back_in_batches),
	KUNIT_CASE(a_bad_slot_takes_its_own_page_only),
	KUNIT_CASE(a_broken_device_is_not_asked_for_each_page),
	KUNIT_CASE(every_flipped_bit_is_found),
	KUNIT_CASE(a_page_in_the_wrong_place_is_found),
	KUNIT_CASE(every_failure_point_leaves_nothing),
	KUNIT_CASE(every_failure_of_a_page_is_told),
	KUNIT_CASE(slots_are_given_out_once_on_two_cpus),
	KUNIT_CASE(random_against_model),
	KUNIT_CASE(ram_keeps_every_kind_of_page),
	KUNIT_CASE(ram_has_a_limit),
	KUNIT_CASE(near_its_limit_ram_is_the_last_choice),
	KUNIT_CASE(ram_works_on_two_cpus),
	{}
};

struct kunit_suite kmm_swap_suite = {
	.name = "kmm_swap",
	.exit = kmm_test_exit,
	.test_cases = swap_cases,
};
