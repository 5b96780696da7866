// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: what the suites of eviction share
 *
 * An instance with objects, page replacement and swap, on a fake region of one granule: it is
 * soon full. Swap is compressed memory (swap/ram.c, read under the object's lock), or a store of
 * the test's own, which pretends to be a device: read by requests, and every call of it can be
 * held, or fail, when the test says so.
 *
 * Contents of a page are made from a number (kmm_test_fill()); 0 stands for zeros. No page looks
 * like another, so one in the wrong place is seen.
 *
 * What a test does while a read or write is held is done by jobs, threads of their own.
 *
 * Every case ends with paging_end(): no frame, no slot, nothing charged, lists in order.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/vmalloc.h>

#include "paging.h"

static const struct kmm_limits no_limits = {
	.frames = KMM_NO_LIMIT, .objects = KMM_NO_LIMIT, .names = KMM_NO_LIMIT,
	.host_bytes = KMM_NO_LIMIT,
};

/* === The store === */

static void store_wait(struct paging_store *k, const bool *hold)
{
	if (!READ_ONCE(*hold))
		return;
	atomic_inc(&k->inside);
	wake_up_all(&k->wait);
	wait_event(k->wait, !READ_ONCE(*hold));
	atomic_dec(&k->inside);
}

static int store_write(struct kmm_swap_area *a, u32 slot, struct page **pages, unsigned int nr)
{
	struct paging_store *k = a->priv;
	unsigned int i;

	/* The bytes are taken at the end: whoever changes them meanwhile is caught. */
	store_wait(k, &k->hold_write);
	atomic_inc(&k->nr_calls);
	if (READ_ONCE(k->fail_write))
		return -EIO;
	for (i = 0; i < nr; i++)
		memcpy(k->mem[slot + i], page_address(pages[i]), PAGE_SIZE);
	atomic_add(nr, &k->nr_write);
	return 0;
}

static int store_read(struct kmm_swap_area *a, u32 slot, struct page **pages, unsigned int nr)
{
	struct paging_store *k = a->priv;
	unsigned int i;

	store_wait(k, &k->hold_read);
	if (find_next_bit(k->fail_read, PAGING_SLOTS_MAX, slot) < slot + nr)
		return -EIO;
	for (i = 0; i < nr; i++)
		memcpy(page_address(pages[i]), k->mem[slot + i], PAGE_SIZE);
	atomic_add(nr, &k->nr_read);
	return 0;
}

/* What nobody needs any more is not there any more. */
static void store_forget(struct kmm_swap_area *a, u32 slot)
{
	struct paging_store *k = a->priv;

	memset(k->mem[slot], 0xdd, PAGE_SIZE);
}

static void store_close(struct kmm_swap_area *a)
{
	struct paging_store *k = a->priv;

	k->closed++;
}

static const struct kmm_swap_ops store_ops = {
	.name = "store",
	.write = store_write,
	.read = store_read,
	.forget = store_forget,
	.close = store_close,
};

/* Reads, writes or both are held from now on. */
void paging_hold(struct paging_store *k, bool write, bool read)
{
	WRITE_ONCE(k->hold_write, write);
	WRITE_ONCE(k->hold_read, read);
}

/* Until so many calls are held. */
void paging_inside(struct kunit *test, struct paging_store *k, int nr)
{
	KUNIT_ASSERT_TRUE(test, wait_event_timeout(k->wait, atomic_read(&k->inside) >= nr,
						   10 * HZ));
}

void paging_release(struct paging_store *k)
{
	paging_hold(k, false, false);
	wake_up_all(&k->wait);
}

/* One more area of the test's kind. Return: its id or a negative errno. */
int paging_add_store(struct paging *f, struct paging_store *k, u32 nr_slots, int prio)
{
	init_waitqueue_head(&k->wait);
	k->nr_slots = nr_slots;
	k->mem = vzalloc((size_t)nr_slots * PAGE_SIZE);
	if (!k->mem)
		return -ENOMEM;
	return kmm_swap_add(&f->swap, f->a, &store_ops, k, nr_slots, prio);
}

/* === Begin and end === */

static void paging_uncharge(void *ctx, u32 owner, unsigned long nr_pages)
{
	struct paging *f = ctx;

	kmm_accounts_uncharge_frames(&f->accounts, owner, nr_pages);
}

static bool paging_relieve(void *ctx, gfp_t gfp, unsigned int order)
{
	struct paging *f = ctx;

	return kmm_reclaim_relieve(&f->reclaim, gfp, order);
}

static void paging_wake(void *ctx)
{
	struct paging *f = ctx;

	kmm_reclaim_wake(&f->reclaim);
}

struct paging *paging_begin(struct kunit *test, enum paging_kind kind, u32 nr_slots,
			    const struct kmm_limits *limits)
{
	struct paging *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	int id = 0;

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->kind = kind;
	f->t = kmm_test_begin(test, &kmm_layout_one);
	f->t->buddy.ctx = f;
	f->t->buddy.uncharge = paging_uncharge;
	kmm_accounts_init(&f->accounts, limits ?: &no_limits, &no_limits);
	f->a = kmm_account_create(&f->accounts, GLOBAL_ROOT_UID, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR(f->a));
	f->base_host_bytes = kmm_account_used(f->a, KMM_RES_HOST_BYTES);
	kmm_swap_init(&f->swap);
	KUNIT_ASSERT_EQ(test, kmm_lru_init(&f->lru, &f->t->buddy, &f->swap,
					   kmm_policy_find("twolist")), 0);
	kmm_object_set_init(&f->set, &f->t->buddy, &f->lru);
	if (kind == PAGING_STORE)
		id = paging_add_store(f, &f->store, nr_slots, 0);
	else if (kind == PAGING_RAM)
		id = kmm_swap_ram_add(&f->swap, f->a, "lz4", (u64)nr_slots << PAGE_SHIFT, 0);
	KUNIT_ASSERT_EQ(test, id, 0);
	return f;
}

/* From now on allocations reclaim, and the thread runs. */
void paging_reclaim(struct kunit *test, struct paging *f)
{
	KUNIT_ASSERT_EQ(test, kmm_reclaim_init(&f->reclaim, &f->t->buddy, &f->lru), 0);
	f->has_reclaim = true;
	f->t->buddy.relieve = paging_relieve;
	f->t->buddy.wake = paging_wake;
}

u32 paging_slots(struct paging *f)
{
	struct kmm_swap_state st;
	u32 id, nr = 0;

	for (id = 0; !kmm_swap_tell(&f->swap, id, &st); id = st.id + 1)
		nr += st.nr_used;
	return nr;
}

u64 paging_event(struct paging *f, enum kmm_lru_event event)
{
	return atomic64_read(&f->lru.event[event]);
}

/* What a policy has is checked under its lock: reclaim's thread, or a third, may be at it. */
unsigned long paging_check_policy(struct kmm_lruvec *v)
{
	unsigned long bad;

	spin_lock(&v->lock);
	bad = kmm_policy_check(&v->policy);
	spin_unlock(&v->lock);
	return bad;
}

/* No object is left: no frame, no slot, no page in a list. */
void paging_expect_empty(struct kunit *test, struct paging *f)
{
	kmm_buddy_recheck_quarantine(&f->t->buddy);
	KUNIT_EXPECT_EQ(test, f->set.nr, 0);
	KUNIT_EXPECT_EQ(test, kmm_test_used(f->t), 0);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 0);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_OBJECTS), 0);
	KUNIT_EXPECT_EQ(test, paging_slots(f), 0);
	KUNIT_EXPECT_EQ(test, f->lru.global.policy.nr, 0);
	KUNIT_EXPECT_EQ(test, paging_check_policy(&f->lru.global), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&f->swap.nr_stale), 0);
}

void paging_end(struct kunit *test, struct paging *f)
{
	unsigned long i;

	if (f->has_reclaim) {
		f->t->buddy.relieve = NULL;
		f->t->buddy.wake = NULL;
		kmm_reclaim_fini(&f->reclaim);
	}
	paging_expect_empty(test, f);
	for (i = 0; i < f->t->region.nr_index; i++)
		if (f->lru.page[i].object || f->lru.page[i].word)
			KUNIT_FAIL(test, "frame %lu: word %#llx", i, f->lru.page[i].word);
	kmm_object_set_fini(&f->set);
	kmm_lru_fini(&f->lru);
	kmm_swap_fini(&f->swap);
	if (f->store.mem)
		KUNIT_EXPECT_EQ(test, f->store.closed, 1);
	vfree(f->store.mem);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES), f->base_host_bytes);
	kmm_account_put(f->a);
	kmm_accounts_fini(&f->accounts);
	f->t->buddy.uncharge = NULL;
	kmm_test_end(test);
	rcu_barrier();
}

/* === Objects === */

struct kmm_object *paging_create(struct kunit *test, struct paging *f, unsigned long nr_pages)
{
	struct kmm_object_attr attr = { .size_bytes = (u64)nr_pages << PAGE_SHIFT };
	struct kmm_object *o = kmm_object_create(&f->set, f->a, &attr);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(o), "%ld", PTR_ERR_OR_ZERO(o));
	return o;
}

void paging_destroy(struct kunit *test, struct kmm_object *o)
{
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	kmm_object_destroy(o);
}

void paging_put(struct kunit *test, struct kmm_object *o, pgoff_t index, u32 what)
{
	struct page *page = kmm_object_get_page(o, index, true);

	if (IS_ERR(page)) {
		KUNIT_FAIL(test, "page %lu: %ld", index, PTR_ERR(page));
		return;
	}
	kmm_test_fill(page, what);
	put_page(page);
}

/* Page i gets contents i + 1. */
void paging_put_all(struct kunit *test, struct kmm_object *o, pgoff_t first, unsigned long nr)
{
	pgoff_t i;

	for (i = first; i < first + nr; i++)
		paging_put(test, o, i, i + 1);
}

bool paging_has(struct kmm_object *o, pgoff_t index, u32 what)
{
	struct page *page = kmm_object_get_page(o, index, false);
	bool same;

	if (IS_ERR_OR_NULL(page))
		return !page && !what;
	same = kmm_test_is_filled(page, what);
	put_page(page);
	return same;
}

void paging_expect_all(struct kunit *test, struct kmm_object *o, pgoff_t first, unsigned long nr)
{
	pgoff_t i;

	for (i = first; i < first + nr; i++)
		if (!paging_has(o, i, i + 1))
			KUNIT_FAIL(test, "page %lu is not what was written", i);
}

/* As a fault that reads. */
int paging_touch(struct kmm_object *o, pgoff_t index)
{
	struct page *page;
	int ret = kmm_object_lock_pages(o, index, &page, 1);

	if (ret < 0)
		return ret;
	kmm_object_unlock(o);
	return 0;
}

static void *paging_index_entry(struct kmm_object *o, pgoff_t index)
{
	void **entry, *e = NULL;

	kmm_object_lock(o);
	entry = kmm_object_entry_locked(o, index);
	if (entry)
		e = *entry;
	kmm_object_unlock(o);
	return e;
}

/* Where it is in swap; 0: it is not there. */
kmm_swp_t paging_entry(struct kmm_object *o, pgoff_t index)
{
	void *e = paging_index_entry(o, index);

	return kmm_entry_is_swap(e) ? kmm_entry_swap(e) : 0;
}

bool paging_is_resident(struct kmm_object *o, pgoff_t index)
{
	return kmm_entry_is_page(paging_index_entry(o, index));
}

/* === Jobs === */

static int job_run(void *arg)
{
	struct paging_job *j = arg;

	allow_signal(SIGKILL);
	j->ret = j->fn(j);
	complete(&j->done);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

/* @cpu: -1: anywhere. */
void paging_job_start(struct kunit *test, struct paging_job *j, int cpu)
{
	init_completion(&j->done);
	j->task = kthread_create(job_run, j, "kmm_paging");
	KUNIT_ASSERT_FALSE(test, IS_ERR(j->task));
	if (cpu >= 0)
		kthread_bind(j->task, cpu % num_online_cpus());
	wake_up_process(j->task);
}

bool paging_job_is_done(struct paging_job *j, unsigned int ms)
{
	return try_wait_for_completion(&j->done) ||
	       wait_for_completion_timeout(&j->done, msecs_to_jiffies(ms));
}

long paging_job_end(struct kunit *test, struct paging_job *j)
{
	if (!paging_job_is_done(j, 60000))
		KUNIT_FAIL(test, "job hangs");
	kthread_stop(j->task);
	return j->ret;
}

long paging_job_pageout(struct paging_job *j)
{
	return kmm_object_pageout(j->o, j->first, j->nr);
}

long paging_job_touch(struct paging_job *j)
{
	return paging_touch(j->o, j->first);
}

long paging_job_punch(struct paging_job *j)
{
	return kmm_object_punch(j->o, (u64)j->first << PAGE_SHIFT, (u64)j->nr << PAGE_SHIFT);
}

long paging_job_destroy(struct paging_job *j)
{
	kmm_object_destroy(j->o);
	return 0;
}
