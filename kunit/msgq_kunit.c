// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_msgq
 *
 * Queues and messages without files: on a private slab allocator over a fake region, with accounts
 * of their own. Every case ends with nothing charged and no object out. The random case compares
 * each message that comes out with the plainest reference there is: a table of what went in, of
 * which the highest priority and in it the smallest number is next.
 */
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>

#include <kmm/account.h>
#include <kmm/inject.h>
#include <kmm/msgq.h>

#include "helpers.h"

#define MODEL_MAX	48

struct fixture {
	struct kmm_test *t;
	struct kmm_accounts accounts;
	struct kmm_msgq_set set;
	struct kmm_account *a;
	u64 base_host_bytes;
};

static const struct kmm_limits no_limits = {
	.frames = KMM_NO_LIMIT, .objects = KMM_NO_LIMIT, .names = KMM_NO_LIMIT,
	.host_bytes = KMM_NO_LIMIT,
};

static const struct kmm_msgq_patience nowait = { .nowait = true, .deadline = KTIME_MAX };
static const struct kmm_msgq_patience forever = { .deadline = KTIME_MAX };

static void uncharge(void *ctx, u32 owner, unsigned long nr_pages)
{
	kmm_accounts_uncharge_frames(ctx, owner, nr_pages);
}

static struct fixture *begin(struct kunit *test, const struct kmm_limits *limits)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->t = kmm_test_begin_slab(test, &kmm_layout_plain);
	f->t->buddy.ctx = &f->accounts;
	f->t->buddy.uncharge = uncharge;
	kmm_accounts_init(&f->accounts, limits, &no_limits);
	kmm_msgq_set_init(&f->set, &f->t->slab, NULL);
	f->a = kmm_account_create(&f->accounts, GLOBAL_ROOT_UID, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR(f->a));
	f->base_host_bytes = kmm_account_used(f->a, KMM_RES_HOST_BYTES);
	return f;
}

static void end(struct kunit *test, struct fixture *f)
{
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 0);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES), f->base_host_bytes);
	kmm_account_put(f->a);
	kmm_accounts_fini(&f->accounts);
	kmm_msgq_set_fini(&f->set);
	f->t->buddy.uncharge = NULL;
	kmm_test_end_slab(test);
	rcu_barrier();
}

static struct kmm_msgq *create(struct kunit *test, struct fixture *f, u32 maxmsg, u32 msgsize)
{
	struct kmm_msgq *q = kmm_msgq_create(&f->set, f->a, maxmsg, msgsize, "kunit", 5);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(q), "%ld", PTR_ERR_OR_ZERO(q));
	return q;
}

static void destroy(struct kunit *test, struct kmm_msgq *q)
{
	KUNIT_EXPECT_EQ(test, kmm_msgq_check(q), 0);
	kmm_msgq_put(q);
}

static u8 *msg_byte(struct kmm_msg *m, u32 at)
{
	return m->nr_pages ? page_address(m->pages[at >> PAGE_SHIFT]) + offset_in_page(at) :
			     m->data + at;
}

/* A message whose bytes all tell @number. */
static struct kmm_msg *make(struct kunit *test, struct kmm_msgq *q, u32 size, unsigned int prio,
			    u8 number)
{
	struct kmm_msg *m = kmm_msg_alloc(q, size);
	u32 i;

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(m), "%ld", PTR_ERR_OR_ZERO(m));
	m->prio = prio;
	for (i = 0; i < size; i++)
		*msg_byte(m, i) = number;
	return m;
}

static bool all_are(struct kmm_msg *m, u8 number)
{
	u32 i;

	for (i = 0; i < m->size_bytes; i++)
		if (*msg_byte(m, i) != number)
			return false;
	return true;
}

/* === Cases === */

static void sizes_come_out_whole(struct kunit *test)
{
	static const u32 sizes[] = {
		0, 1, 64, KMM_MSG_INLINE_MAX, KMM_MSG_INLINE_MAX + 1, PAGE_SIZE, PAGE_SIZE + 1,
		100000, KMM_MSGQ_SIZE_MAX,
	};
	struct fixture *f = begin(test, &no_limits);
	struct kmm_msgq *q = create(test, f, 2, KMM_MSGQ_SIZE_MAX);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct kmm_msg *m = make(test, q, sizes[i], 0, i + 1);
		u32 behind;

		KUNIT_EXPECT_EQ(test, m->nr_pages, sizes[i] <= KMM_MSG_INLINE_MAX ? 0 :
				DIV_ROUND_UP(sizes[i], PAGE_SIZE));
		KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES),
				q->reserve + m->nr_pages);
		KUNIT_ASSERT_EQ(test, kmm_msgq_send(q, m, &nowait), 0);
		m = kmm_msgq_receive(q, &nowait);
		KUNIT_ASSERT_FALSE(test, IS_ERR(m));
		KUNIT_EXPECT_EQ(test, m->size_bytes, sizes[i]);
		KUNIT_EXPECT_TRUE(test, all_are(m, i + 1));
		for (behind = sizes[i]; m->nr_pages && offset_in_page(behind); behind++)
			KUNIT_ASSERT_EQ(test, *msg_byte(m, behind), 0);
		kmm_msg_free(q, m);
	}
	destroy(test, q);
	end(test, f);
}

static void small_message_moves_to_a_frame(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_msgq *q = create(test, f, 1, 2 * PAGE_SIZE);
	static const u32 sizes[] = { 1, 8, 100, KMM_MSG_INLINE_MAX };
	struct kmm_msg *m;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		m = make(test, q, sizes[i], 0, 0x5a);
		KUNIT_ASSERT_EQ(test, kmm_msg_move_to_frame(q, m), 0);
		KUNIT_EXPECT_EQ(test, m->nr_pages, 1);
		KUNIT_EXPECT_TRUE(test, all_are(m, 0x5a));
		KUNIT_EXPECT_NULL(test, memchr_inv(msg_byte(m, sizes[i]), 0,
						   PAGE_SIZE - sizes[i]));
		KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), q->reserve + 1);
		kmm_msg_free(q, m);
	}
	m = make(test, q, 0, 0, 0);
	KUNIT_EXPECT_EQ(test, kmm_msg_move_to_frame(q, m), 0);
	KUNIT_EXPECT_EQ(test, m->nr_pages, 0);
	kmm_msg_free(q, m);
	destroy(test, q);
	end(test, f);
}

static void full_and_empty_are_told(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_msgq *q = create(test, f, 2, 64);
	struct kmm_msg *m;
	bool r, w;

	KUNIT_EXPECT_EQ(test, PTR_ERR(kmm_msgq_receive(q, &nowait)), -EAGAIN);
	kmm_msgq_poll(q, &r, &w);
	KUNIT_EXPECT_TRUE(test, !r && w);
	KUNIT_EXPECT_EQ(test, kmm_msgq_get_slot(q, &nowait), 0);
	KUNIT_EXPECT_EQ(test, kmm_msgq_send(q, make(test, q, 1, 0, 1), &nowait), 0);
	kmm_msgq_poll(q, &r, &w);
	KUNIT_EXPECT_TRUE(test, r && !w);
	m = make(test, q, 1, 5, 2);
	KUNIT_EXPECT_EQ(test, kmm_msgq_send(q, m, &nowait), -EAGAIN);
	KUNIT_EXPECT_EQ(test, kmm_msgq_get_slot(q, &nowait), -EAGAIN);
	/* a slot that is given up is a place again; one that is filled is not */
	kmm_msgq_put_slot(q, NULL);
	KUNIT_EXPECT_EQ(test, kmm_msgq_get_slot(q, &nowait), 0);
	kmm_msgq_put_slot(q, m);
	KUNIT_EXPECT_EQ(test, kmm_msgq_get_slot(q, &nowait), -EAGAIN);
	m = kmm_msgq_receive(q, &nowait);
	KUNIT_ASSERT_FALSE(test, IS_ERR(m));
	KUNIT_EXPECT_EQ(test, m->prio, 5);
	/* its place is taken meanwhile: it is given back above the limit */
	KUNIT_EXPECT_EQ(test, kmm_msgq_send(q, make(test, q, 1, 5, 3), &nowait), 0);
	kmm_msgq_give_back(q, m);
	KUNIT_EXPECT_EQ(test, q->nr, 3);
	KUNIT_EXPECT_EQ(test, kmm_msgq_check(q), 0);
	m = kmm_msgq_receive(q, &nowait);
	KUNIT_ASSERT_FALSE(test, IS_ERR(m));
	KUNIT_EXPECT_EQ(test, m->data[0], 2);
	kmm_msg_free(q, m);
	kmm_msgq_poll(q, &r, &w);
	KUNIT_EXPECT_TRUE(test, r && !w);
	/* what is left goes with the queue */
	destroy(test, q);
	end(test, f);
}

static void bad_limits_are_refused(struct kunit *test)
{
	static const u32 bad[][2] = {
		{ 0, 1 }, { 1, 0 }, { KMM_MSGQ_MESSAGES_MAX + 1, 1 }, { 1, KMM_MSGQ_SIZE_MAX + 1 },
		{ U32_MAX, U32_MAX },
	};
	struct fixture *f = begin(test, &no_limits);
	struct kmm_msgq *q;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ(test, PTR_ERR(kmm_msgq_create(&f->set, f->a, bad[i][0], bad[i][1],
							      NULL, 0)), -EINVAL);
	q = create(test, f, KMM_MSGQ_MESSAGES_MAX, KMM_MSGQ_SIZE_MAX);
	KUNIT_EXPECT_EQ(test, q->reserve, (u64)KMM_MSGQ_MESSAGES_MAX * q->cache->size / PAGE_SIZE);
	destroy(test, q);
	end(test, f);
}

static void quota_ends_queue_and_message(struct kunit *test)
{
	struct kmm_limits limits = no_limits;
	struct kmm_msg *m, *m2;
	struct fixture *f;
	struct kmm_msgq *q;

	limits.frames = 20;
	f = begin(test, &limits);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kmm_msgq_create(&f->set, f->a, 1000, 4000, NULL, 0)),
			-EDQUOT);
	q = create(test, f, 4, 16 * PAGE_SIZE);
	m = make(test, q, 16 * PAGE_SIZE, 0, 1);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kmm_msg_alloc(q, 16 * PAGE_SIZE)), -EDQUOT);
	/* small ones are paid for already */
	m2 = make(test, q, 100, 0, 1);
	kmm_msg_free(q, m2);
	kmm_msg_free(q, m);
	m = make(test, q, 16 * PAGE_SIZE, 0, 1);
	kmm_msg_free(q, m);
	destroy(test, q);
	end(test, f);
}

static void every_failure_point_leaves_nothing(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	unsigned long nth;
	bool fired = true;
	int err = 0;

	for (nth = 1; fired && nth < 100; nth++) {
		struct kmm_msg *m[2] = { ERR_PTR(-ENOENT), ERR_PTR(-ENOENT) };
		struct kmm_msgq *q;

		kmm_inject_arm(nth);
		q = kmm_msgq_create(&f->set, f->a, 4, 8 * PAGE_SIZE, "name", 4);
		err = PTR_ERR_OR_ZERO(q);
		if (!err) {
			m[0] = kmm_msg_alloc(q, 100);
			m[1] = kmm_msg_alloc(q, 7 * PAGE_SIZE);
			err = PTR_ERR_OR_ZERO(m[0]) ?: PTR_ERR_OR_ZERO(m[1]);
			if (!err)
				err = kmm_msg_move_to_frame(q, m[0]);
		}
		fired = kmm_inject_disarm();
		KUNIT_EXPECT_TRUE(test, !err || err == -ENOMEM);
		if (!IS_ERR(m[0]))
			kmm_msg_free(q, m[0]);
		if (!IS_ERR(m[1]))
			kmm_msg_free(q, m[1]);
		if (!IS_ERR(q))
			destroy(test, q);
		KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 0);
		KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES),
				f->base_host_bytes);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_FALSE(test, fired);
	KUNIT_EXPECT_GT(test, nth, 4);
	end(test, f);
}

/* === Waiting === */

struct partner {
	struct kmm_msgq *q;
	unsigned int nr;
	unsigned int bad;
	struct completion done;
};

/* Receives @nr messages, which must come in order. */
static int receive_thread(void *arg)
{
	struct partner *p = arg;
	unsigned int i;

	for (i = 0; i < p->nr; i++) {
		struct kmm_msg *m = kmm_msgq_receive(p->q, &forever);

		if (IS_ERR(m)) {
			p->bad++;
			break;
		}
		p->bad += m->size_bytes != sizeof(i) || memcmp(m->data, &i, sizeof(i));
		kmm_msg_free(p->q, m);
	}
	complete(&p->done);
	return 0;
}

/* A queue of one place: both sides wait for each other all the time. */
static void sender_and_receiver_take_turns(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_msgq *q = create(test, f, 1, 64);
	struct partner p = { .q = q, .nr = 2000 };
	struct task_struct *task;
	struct kmm_msg *m;
	unsigned int i;

	init_completion(&p.done);
	task = kthread_run(receive_thread, &p, "kmm_msgq_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (i = 0; i < p.nr; i++) {
		/* every third goes in through a slot */
		if (i % 3 == 0)
			KUNIT_EXPECT_EQ(test, kmm_msgq_get_slot(q, &forever), 0);
		m = kmm_msg_alloc(q, sizeof(i));
		KUNIT_ASSERT_FALSE(test, IS_ERR(m));
		m->prio = 3;
		memcpy(m->data, &i, sizeof(i));
		if (i % 3 == 0)
			kmm_msgq_put_slot(q, m);
		else
			KUNIT_EXPECT_EQ(test, kmm_msgq_send(q, m, &forever), 0);
	}
	wait_for_completion(&p.done);
	KUNIT_EXPECT_EQ(test, p.bad, 0);
	KUNIT_EXPECT_EQ(test, q->nr_receivers + q->nr_senders, 0);
	destroy(test, q);
	end(test, f);
}

static void waits_end_in_time(struct kunit *test)
{
	struct kmm_msgq_patience patience = { };
	struct fixture *f = begin(test, &no_limits);
	struct kmm_msgq *q = create(test, f, 1, 64);
	struct kmm_msg *m;

	patience.deadline = ktime_add_ms(ktime_get(), 5);
	KUNIT_EXPECT_EQ(test, PTR_ERR(kmm_msgq_receive(q, &patience)), -ETIMEDOUT);
	KUNIT_EXPECT_TRUE(test, ktime_after(ktime_get(), patience.deadline));
	KUNIT_EXPECT_EQ(test, kmm_msgq_get_slot(q, &patience), 0);
	m = make(test, q, 8, 0, 1);
	patience.deadline = ktime_add_ms(ktime_get(), 5);
	KUNIT_EXPECT_EQ(test, kmm_msgq_send(q, m, &patience), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, kmm_msgq_get_slot(q, &patience), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), q->reserve);
	kmm_msgq_put_slot(q, m);
	destroy(test, q);
	end(test, f);
}

/* === Random === */

struct model_msg {
	bool used;
	unsigned int prio;
	s64 seq;
	u8 number;
	u32 size;
};

/* The one that must come next, or NULL. */
static struct model_msg *model_next(struct model_msg *model)
{
	struct model_msg *best = NULL;
	unsigned int i;

	for (i = 0; i < MODEL_MAX; i++)
		if (model[i].used && (!best || model[i].prio > best->prio ||
				      (model[i].prio == best->prio && model[i].seq < best->seq)))
			best = &model[i];
	return best;
}

static void order_matches_reference(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_msgq *q = create(test, f, 40, 2 * PAGE_SIZE);
	struct model_msg *model = kunit_kcalloc(test, MODEL_MAX, sizeof(*model), GFP_KERNEL);
	unsigned long op, nr_ops = kmm_test_nr_ops;
	struct rnd_state rnd;
	s64 seq = 0, front = 0;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, model);
	prandom_seed_state(&rnd, kmm_test_seed);
	kunit_info(test, "seed=%lu ops=%lu\n", kmm_test_seed, nr_ops);
	for (op = 0; op < nr_ops; op++) {
		/* phases that fill and phases that drain */
		if (kmm_below(&rnd, 10) < (op >> 8 & 1 ? 6 : 4)) {
			u32 size = kmm_below(&rnd, 16) ? kmm_below(&rnd, 100) :
							 kmm_below(&rnd, 2 * PAGE_SIZE + 1);
			/* few priorities, so that order within one is tried too */
			struct kmm_msg *m = make(test, q, size, kmm_below(&rnd, 4) ?
						 kmm_below(&rnd, 3) : kmm_below(&rnd, 32), op);
			int err = kmm_msgq_send(q, m, &nowait);

			KUNIT_ASSERT_EQ(test, err, q->nr >= 40 && err ? -EAGAIN : 0);
			if (err) {
				kmm_msg_free(q, m);
				continue;
			}
			KUNIT_ASSERT_LE(test, q->nr, 40);
			for (i = 0; model[i].used; i++)
				;
			model[i] = (struct model_msg) {
				.used = true, .prio = m->prio, .seq = ++seq, .number = op,
				.size = size,
			};
		} else {
			struct model_msg *want = model_next(model);
			struct kmm_msg *m = kmm_msgq_receive(q, &nowait);

			if (!want) {
				KUNIT_ASSERT_EQ(test, PTR_ERR_OR_ZERO(m), -EAGAIN);
				continue;
			}
			KUNIT_ASSERT_FALSE(test, IS_ERR(m));
			KUNIT_ASSERT_EQ(test, m->prio, want->prio);
			KUNIT_ASSERT_EQ(test, m->size_bytes, want->size);
			KUNIT_ASSERT_TRUE(test, all_are(m, want->number));
			if (kmm_below(&rnd, 8)) {
				want->used = false;
				kmm_msg_free(q, m);
			} else {
				want->seq = --front;
				kmm_msgq_give_back(q, m);
			}
		}
		if (op % 512 == 0) {
			KUNIT_ASSERT_EQ(test, kmm_msgq_check(q), 0);
			cond_resched();
		}
	}
	destroy(test, q);
	end(test, f);
}

static struct kunit_case msgq_cases[] = {
	KUNIT_CASE(sizes_come_out_whole),
	KUNIT_CASE(small_message_moves_to_a_frame),
	KUNIT_CASE(full_and_empty_are_told),
	KUNIT_CASE(bad_limits_are_refused),
	KUNIT_CASE(quota_ends_queue_and_message),
	KUNIT_CASE(every_failure_point_leaves_nothing),
	KUNIT_CASE(sender_and_receiver_take_turns),
	KUNIT_CASE(waits_end_in_time),
	KUNIT_CASE(order_matches_reference),
	{}
};

struct kunit_suite kmm_msgq_suite = {
	.name = "kmm_msgq",
	.exit = kmm_test_exit,
	.test_cases = msgq_cases,
};
