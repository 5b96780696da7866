// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_pipe
 *
 * The ring of a pipe without files: on a private buddy over a fake region, with accounts of its
 * own; buffers are the kernel's. Every case ends with nothing charged and all frames home. The
 * random case compares each call with a naive model, an array of pages with a length each that
 * is moved up when the first is empty.
 */

#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/rcupdate.h>
#include <linux/uio.h>
#include <linux/vmalloc.h>

#include <kmm/account.h>
#include <kmm/inject.h>
#include <kmm/pipe.h>

#include "helpers.h"

/* More than what struct kmm_pipe needs, so that it shows in the account. */
#define EXTRA	777

struct fixture {
	struct kmm_test *t;
	struct kmm_accounts accounts;
	struct kmm_account *a;
	u64 base_host_bytes;
	struct kmm_pipe_set set;
	struct kmm_pipe pipe;
	u8 out[8 * PAGE_SIZE];
	u8 in[8 * PAGE_SIZE];
};

static const struct kmm_limits no_limits = {
	.frames = KMM_NO_LIMIT, .objects = KMM_NO_LIMIT, .names = KMM_NO_LIMIT,
	.host_bytes = KMM_NO_LIMIT,
};

static void uncharge(void *ctx, u32 owner, unsigned long nr_pages)
{
	kmm_accounts_uncharge_frames(ctx, owner, nr_pages);
}

static int init_pipe(struct fixture *f, u64 size_bytes)
{
	const struct kmm_pipe_attr attr = { .size_bytes = size_bytes, .extra_bytes = EXTRA };

	memset(&f->pipe, 0, sizeof(f->pipe));
	return kmm_pipe_init(&f->pipe, &f->set, f->a, &attr);
}

static struct fixture *begin_limited(struct kunit *test, const struct kmm_limits *limits)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	struct page *page;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->t = kmm_test_begin(test, &kmm_layout_plain);
	f->t->buddy.ctx = &f->accounts;
	f->t->buddy.uncharge = uncharge;
	kmm_accounts_init(&f->accounts, limits, &no_limits);
	kmm_pipe_set_init(&f->set, &f->t->buddy);
	f->a = kmm_account_create(&f->accounts, GLOBAL_ROOT_UID, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR(f->a));
	f->base_host_bytes = kmm_account_used(f->a, KMM_RES_HOST_BYTES);
	for (i = 0; i < sizeof(f->out); i++)
		f->out[i] = i * 31 + i / 251;
	/* what a frame held before must not come out */
	for (i = 0; i < 64; i++) {
		page = kmm_buddy_alloc(&f->t->buddy, GFP_KERNEL, 0);
		KUNIT_ASSERT_NOT_NULL(test, page);
		memset(page_address(page), 0xe7, PAGE_SIZE);
		kmm_buddy_free(&f->t->buddy, page, 0);
	}
	return f;
}

static struct fixture *begin(struct kunit *test, u64 size_bytes)
{
	struct fixture *f = begin_limited(test, &no_limits);

	KUNIT_ASSERT_EQ(test, init_pipe(f, size_bytes), 0);
	return f;
}

static void expect_nothing(struct kunit *test, struct fixture *f)
{
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 0);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES), f->base_host_bytes);
	KUNIT_EXPECT_EQ(test, kmm_test_used(f->t), 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&f->set.list));
}

static void end_empty(struct kunit *test, struct fixture *f)
{
	expect_nothing(test, f);
	kmm_account_put(f->a);
	kmm_accounts_fini(&f->accounts);
	kmm_pipe_set_fini(&f->set);
	f->t->buddy.uncharge = NULL;
	kmm_test_end(test);
	rcu_barrier();
}

static void end(struct kunit *test, struct fixture *f)
{
	KUNIT_EXPECT_EQ(test, kmm_pipe_check(&f->pipe), 0);
	kmm_pipe_fini(&f->pipe);
	end_empty(test, f);
}

static ssize_t pipe_write(struct kmm_pipe *p, const void *buf, size_t n, unsigned int flags)
{
	struct kvec vec = { .iov_base = (void *)buf, .iov_len = n };
	struct iov_iter iter;

	iov_iter_kvec(&iter, ITER_SOURCE, &vec, 1, n);
	return kmm_pipe_write(p, &iter, flags);
}

static ssize_t pipe_read(struct kmm_pipe *p, void *buf, size_t n, unsigned int flags)
{
	struct kvec vec = { .iov_base = buf, .iov_len = n };
	struct iov_iter iter;

	iov_iter_kvec(&iter, ITER_DEST, &vec, 1, n);
	return kmm_pipe_read(p, &iter, flags);
}

static ssize_t put(struct fixture *f, size_t n)
{
	return pipe_write(&f->pipe, f->out, n, KMM_PIPE_NOWAIT);
}

static ssize_t get(struct fixture *f, size_t n)
{
	memset(f->in, 0xcc, sizeof(f->in));
	return pipe_read(&f->pipe, f->in, n, KMM_PIPE_NOWAIT);
}

/* A plain number; EPOLL* are those of POLL*. */
static int poll_mask(struct kmm_pipe *p, bool read_end, bool write_end)
{
	return (__force int)kmm_pipe_poll_mask(p, read_end, write_end);
}

/* === Cases === */

static void bytes_come_out_as_they_went_in(struct kunit *test)
{
	struct fixture *f = begin(test, 4 * PAGE_SIZE);
	struct kmm_pipe_info info;

	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES) - f->base_host_bytes,
			EXTRA + 4 * sizeof(struct kmm_pipe_slot));
	KUNIT_EXPECT_EQ(test, get(f, 10), -EAGAIN);
	KUNIT_EXPECT_EQ(test, put(f, 3 * PAGE_SIZE + 5), 3 * PAGE_SIZE + 5);
	kmm_pipe_info(&f->pipe, &info);
	KUNIT_EXPECT_EQ(test, info.bytes, 3 * PAGE_SIZE + 5);
	KUNIT_EXPECT_EQ(test, info.frames, 4);
	KUNIT_EXPECT_EQ(test, info.size_bytes, 4 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 4);
	KUNIT_EXPECT_EQ(test, kmm_test_used(f->t), 4);
	KUNIT_EXPECT_EQ(test, kmm_pipe_check(&f->pipe), 0);
	KUNIT_EXPECT_EQ(test, get(f, 100), 100);
	KUNIT_EXPECT_EQ(test, memcmp(f->in, f->out, 100), 0);
	KUNIT_EXPECT_EQ(test, get(f, sizeof(f->in)), 3 * PAGE_SIZE + 5 - 100);
	KUNIT_EXPECT_EQ(test, memcmp(f->in, f->out + 100, 3 * PAGE_SIZE + 5 - 100), 0);
	/* not a byte more than was written */
	KUNIT_EXPECT_NULL(test, memchr_inv(f->in + 3 * PAGE_SIZE + 5 - 100, 0xcc,
					   sizeof(f->in) - (3 * PAGE_SIZE + 5 - 100)));
	/* what is still in it goes home with it */
	KUNIT_EXPECT_EQ(test, put(f, 2 * PAGE_SIZE), 2 * PAGE_SIZE);
	end(test, f);
}

static void small_writes_share_a_frame(struct kunit *test)
{
	struct fixture *f = begin(test, 4 * PAGE_SIZE);
	unsigned int i;

	for (i = 0; i < 40; i++)
		KUNIT_EXPECT_EQ(test, pipe_write(&f->pipe, f->out + i * 100, 100, KMM_PIPE_NOWAIT),
				100);
	KUNIT_EXPECT_EQ(test, f->pipe.head - f->pipe.tail, 1);
	/* 96 bytes are left in it: not enough, and none of them are used */
	KUNIT_EXPECT_EQ(test, pipe_write(&f->pipe, f->out + 4000, 97, KMM_PIPE_NOWAIT), 97);
	KUNIT_EXPECT_EQ(test, f->pipe.head - f->pipe.tail, 2);
	KUNIT_EXPECT_EQ(test, get(f, 5000), 4097);
	KUNIT_EXPECT_EQ(test, memcmp(f->in, f->out, 4097), 0);
	end(test, f);
}

static void atomic_write_goes_in_whole_or_not_at_all(struct kunit *test)
{
	struct fixture *f = begin(test, 2 * PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, put(f, 4096), 4096);
	KUNIT_EXPECT_EQ(test, put(f, 4000), 4000);
	KUNIT_EXPECT_EQ(test, put(f, 97), -EAGAIN);
	KUNIT_EXPECT_EQ(test, f->pipe.bytes, 8096);
	KUNIT_EXPECT_EQ(test, poll_mask(&f->pipe, false, true), 0);
	KUNIT_EXPECT_EQ(test, put(f, 96), 96);
	/* a byte less is no room for a page */
	KUNIT_EXPECT_EQ(test, get(f, 1), 1);
	KUNIT_EXPECT_EQ(test, put(f, 1), -EAGAIN);
	KUNIT_EXPECT_EQ(test, poll_mask(&f->pipe, false, true), 0);
	KUNIT_EXPECT_EQ(test, get(f, 4095), 4095);
	KUNIT_EXPECT_EQ(test, poll_mask(&f->pipe, false, true),
			POLLOUT | POLLWRNORM);
	/* a larger one goes in by pages */
	KUNIT_EXPECT_EQ(test, put(f, 2 * PAGE_SIZE), PAGE_SIZE);
	end(test, f);
}

static void packet_is_read_whole_or_cut_off(struct kunit *test)
{
	const unsigned int packet = KMM_PIPE_NOWAIT | KMM_PIPE_AS_PACKET;
	struct fixture *f = begin(test, 8 * PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, put(f, 10), 10);
	KUNIT_EXPECT_EQ(test, pipe_write(&f->pipe, f->out + 10, 20, packet), 20);
	KUNIT_EXPECT_EQ(test, put(f, 30), 30);
	KUNIT_EXPECT_EQ(test, f->pipe.head - f->pipe.tail, 3);
	KUNIT_EXPECT_EQ(test, f->pipe.bytes, 60);
	/* bytes of a stream go on into a packet, and there a read ends */
	KUNIT_EXPECT_EQ(test, get(f, 15), 15);
	KUNIT_EXPECT_EQ(test, memcmp(f->in, f->out, 15), 0);
	KUNIT_EXPECT_EQ(test, f->pipe.bytes, 30);
	KUNIT_EXPECT_EQ(test, get(f, 100), 30);
	KUNIT_EXPECT_EQ(test, memcmp(f->in, f->out, 30), 0);
	KUNIT_EXPECT_EQ(test, pipe_write(&f->pipe, f->out, PAGE_SIZE + 1, packet), PAGE_SIZE + 1);
	KUNIT_EXPECT_EQ(test, get(f, sizeof(f->in)), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, get(f, sizeof(f->in)), 1);
	KUNIT_EXPECT_EQ(test, f->in[0], f->out[PAGE_SIZE]);
	end(test, f);
}

static void frames_are_used_again(struct kunit *test)
{
	struct fixture *f = begin(test, 16 * PAGE_SIZE);
	struct kmm_buddy_stat before, after;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, put(f, PAGE_SIZE), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, get(f, PAGE_SIZE), PAGE_SIZE);
	before = kmm_test_stat(f->t);
	for (i = 0; i < 100; i++) {
		KUNIT_EXPECT_EQ(test, put(f, PAGE_SIZE), PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, get(f, PAGE_SIZE), PAGE_SIZE);
	}
	after = kmm_test_stat(f->t);
	KUNIT_EXPECT_EQ(test, before.nr_alloc[0], after.nr_alloc[0]);
	/* after a flood only the spares stay, and are charged */
	KUNIT_EXPECT_EQ(test, put(f, 8 * PAGE_SIZE), 8 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 8);
	KUNIT_EXPECT_EQ(test, get(f, 8 * PAGE_SIZE), 8 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), KMM_PIPE_SPARES);
	KUNIT_EXPECT_EQ(test, kmm_test_used(f->t), KMM_PIPE_SPARES);
	end(test, f);
}

static void ends_tell_the_other(struct kunit *test)
{
	struct fixture *f = begin(test, PAGE_SIZE);
	struct kmm_pipe *p = &f->pipe;

	KUNIT_EXPECT_EQ(test, poll_mask(p, true, true), POLLOUT | POLLWRNORM);
	KUNIT_EXPECT_EQ(test, put(f, 5), 5);
	KUNIT_EXPECT_EQ(test, poll_mask(p, true, false), POLLIN | POLLRDNORM);
	kmm_pipe_close_end(p, false);
	KUNIT_EXPECT_EQ(test, poll_mask(p, true, false),
			POLLIN | POLLRDNORM | POLLHUP);
	KUNIT_EXPECT_EQ(test, get(f, 100), 5);
	KUNIT_EXPECT_EQ(test, get(f, 100), 0);
	KUNIT_EXPECT_EQ(test, pipe_read(p, f->in, 1, 0), 0);
	KUNIT_EXPECT_EQ(test, poll_mask(p, true, false), POLLHUP);
	kmm_pipe_fini(p);

	KUNIT_ASSERT_EQ(test, init_pipe(f, PAGE_SIZE), 0);
	kmm_pipe_close_end(p, true);
	KUNIT_EXPECT_EQ(test, poll_mask(p, false, true),
			POLLOUT | POLLWRNORM | POLLERR);
	KUNIT_EXPECT_EQ(test, pipe_write(p, f->out, 1, 0), -EPIPE);
	KUNIT_EXPECT_EQ(test, pipe_write(p, f->out, 0, 0), 0);
	end(test, f);
}

static void resize_keeps_contents(struct kunit *test)
{
	struct fixture *f = begin(test, 4 * PAGE_SIZE);
	unsigned int turn;

	KUNIT_EXPECT_EQ(test, kmm_pipe_resize(&f->pipe, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_pipe_resize(&f->pipe, KMM_PIPE_SIZE_HARD_MAX + 1), -EFBIG);
	KUNIT_EXPECT_EQ(test, kmm_pipe_resize(&f->pipe, U64_MAX), -EFBIG);
	KUNIT_EXPECT_EQ(test, f->pipe.nr_slots, 4);
	/* head and tail wrap, too */
	f->pipe.head = -7U;
	f->pipe.tail = -7U;
	for (turn = 0; turn < 20; turn++) {
		KUNIT_EXPECT_EQ(test, put(f, 3 * PAGE_SIZE + 1), 3 * PAGE_SIZE + 1);
		KUNIT_EXPECT_EQ(test, kmm_pipe_resize(&f->pipe, 2 * PAGE_SIZE), -EBUSY);
		KUNIT_EXPECT_EQ(test, kmm_pipe_resize(&f->pipe, 5 * PAGE_SIZE), 0);
		KUNIT_EXPECT_EQ(test, f->pipe.nr_slots, 8);
		KUNIT_EXPECT_EQ(test, kmm_pipe_check(&f->pipe), 0);
		KUNIT_EXPECT_EQ(test, get(f, PAGE_SIZE), PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, memcmp(f->in, f->out, PAGE_SIZE), 0);
		KUNIT_EXPECT_EQ(test, kmm_pipe_resize(&f->pipe, 3 * PAGE_SIZE), 0);
		KUNIT_EXPECT_EQ(test, kmm_pipe_check(&f->pipe), 0);
		KUNIT_EXPECT_EQ(test, get(f, sizeof(f->in)), 2 * PAGE_SIZE + 1);
		KUNIT_EXPECT_EQ(test, memcmp(f->in, f->out + PAGE_SIZE, 2 * PAGE_SIZE + 1), 0);
	}
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES) - f->base_host_bytes,
			EXTRA + 4 * sizeof(struct kmm_pipe_slot));
	end(test, f);
}

static void bad_attributes_are_refused(struct kunit *test)
{
	struct kmm_limits limits = no_limits;
	struct fixture *f;

	limits.host_bytes = 4096;
	f = begin_limited(test, &limits);
	KUNIT_EXPECT_EQ(test, init_pipe(f, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, init_pipe(f, KMM_PIPE_SIZE_HARD_MAX + 1), -EFBIG);
	/* its slots alone are more */
	KUNIT_EXPECT_EQ(test, init_pipe(f, 4096 / sizeof(struct kmm_pipe_slot) * PAGE_SIZE),
			-EDQUOT);
	end_empty(test, f);
}

static void limit_ends_a_write_early(struct kunit *test)
{
	struct kmm_limits limits = no_limits;
	struct fixture *f;

	limits.frames = 3;
	f = begin_limited(test, &limits);
	KUNIT_ASSERT_EQ(test, init_pipe(f, 8 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, put(f, 5 * PAGE_SIZE), 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, put(f, 5 * PAGE_SIZE), -EDQUOT);
	KUNIT_EXPECT_EQ(test, put(f, 1), -EDQUOT);
	KUNIT_EXPECT_EQ(test, f->pipe.bytes, 3 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, get(f, PAGE_SIZE), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, put(f, 1), 1);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 3);
	end(test, f);
}

static void every_failure_point_leaves_nothing(struct kunit *test)
{
	struct fixture *f = begin_limited(test, &no_limits);
	unsigned long n, fired = 0;
	bool again = true;

	for (n = 1; again && n < 50; n++) {
		ssize_t put_ret = 0;
		int err, resize = 0;

		kmm_inject_arm(n);
		err = init_pipe(f, 8 * PAGE_SIZE);
		if (!err) {
			put_ret = put(f, 5 * PAGE_SIZE);
			resize = kmm_pipe_resize(&f->pipe, 16 * PAGE_SIZE);
		}
		again = kmm_inject_disarm();
		fired += again;
		if (err) {
			KUNIT_EXPECT_EQ(test, err, -ENOMEM);
			KUNIT_EXPECT_TRUE(test, again);
			expect_nothing(test, f);
			continue;
		}
		/* one of the two was hit: pages that went in before it stay */
		KUNIT_EXPECT_EQ(test, (resize == -ENOMEM) + (put_ret != 5 * PAGE_SIZE), again);
		KUNIT_EXPECT_TRUE(test, put_ret == -ENOMEM || put_ret > 0);
		KUNIT_EXPECT_EQ(test, f->pipe.bytes, max_t(ssize_t, put_ret, 0));
		KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES),
				f->pipe.head - f->pipe.tail + f->pipe.nr_spare);
		KUNIT_EXPECT_EQ(test, kmm_pipe_check(&f->pipe), 0);
		kmm_pipe_fini(&f->pipe);
		expect_nothing(test, f);
	}
	/* slots, five frames, slots */
	KUNIT_EXPECT_EQ(test, fired, 7);
	end_empty(test, f);
}

struct partner {
	struct fixture *f;
	size_t total;
	ssize_t done;
	struct completion end;
};

/* Writes all of it, in pieces of all sizes, sleeping as it must; then closes. */
static int partner_writes(void *arg)
{
	struct partner *w = arg;
	size_t at = 0, n;

	while (at < w->total) {
		n = min(w->total - at, (at * 7 + 1) % sizeof(w->f->out) + 1);
		if (pipe_write(&w->f->pipe, w->f->out, n, 0) != n)
			break;
		at += n;
	}
	w->done = at;
	kmm_pipe_close_end(&w->f->pipe, false);
	complete(&w->end);
	return 0;
}

static void writer_and_reader_wait_in_turns(struct kunit *test)
{
	struct fixture *f = begin(test, 2 * PAGE_SIZE);
	struct partner w = { .f = f, .total = 3 << 20 };
	size_t at = 0, start = 0, len = 0;
	struct task_struct *task;
	bool same = true;
	ssize_t n;

	init_completion(&w.end);
	task = kthread_run(partner_writes, &w, "kmm_pipe_test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	while ((n = pipe_read(&f->pipe, f->in, at % 9000 + 1, 0)) > 0) {
		size_t i;

		for (i = 0; i < n; i++, at++) {
			/* the piece that this byte is of, as the writer cuts them */
			if (at == start + len) {
				start = at;
				len = min(w.total - at, (at * 7 + 1) % sizeof(f->out) + 1);
			}
			same &= f->in[i] == f->out[at - start];
		}
	}
	wait_for_completion(&w.end);
	KUNIT_EXPECT_EQ(test, n, 0);
	KUNIT_EXPECT_TRUE(test, same);
	KUNIT_EXPECT_EQ(test, w.done, w.total);
	KUNIT_EXPECT_EQ(test, at, w.total);
	end(test, f);
}

/* === The model === */

struct model_slot {
	unsigned int start, end;
	bool packet;
	u8 byte[PAGE_SIZE];
};

struct model {
	unsigned int nr, max;
	struct model_slot *slot[64];
};

static ssize_t model_write(struct model *m, const u8 *from, size_t n, bool packet)
{
	struct model_slot *s = m->nr ? m->slot[m->nr - 1] : NULL;
	size_t rest = n % PAGE_SIZE, at = 0;

	if (!n)
		return 0;
	if (rest && s && !packet && !s->packet && s->end + rest <= PAGE_SIZE) {
		memcpy(s->byte + s->end, from, rest);
		s->end += rest;
		at = rest;
	}
	while (at < n && m->nr < m->max) {
		s = m->slot[m->nr++];
		s->start = 0;
		s->end = min(n - at, PAGE_SIZE);
		s->packet = packet;
		memcpy(s->byte, from + at, s->end);
		at += s->end;
	}
	return at ?: -EAGAIN;
}

static ssize_t model_read(struct model *m, u8 *to, size_t n)
{
	size_t at = 0;

	if (!n)
		return 0;
	while (m->nr && at < n) {
		struct model_slot *s = m->slot[0];
		size_t k = min_t(size_t, n - at, s->end - s->start);
		bool packet = s->packet;

		memcpy(to + at, s->byte + s->start, k);
		at += k;
		s->start += k;
		if (packet || s->start == s->end) {
			m->nr--;
			memmove(m->slot, m->slot + 1, m->nr * sizeof(s));
			m->slot[m->nr] = s;
		}
		if (packet)
			break;
	}
	return at ?: -EAGAIN;
}

static void random_against_model(struct kunit *test)
{
	struct fixture *f = begin(test, 4 * PAGE_SIZE);
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	u8 *expect = kunit_kmalloc(test, sizeof(f->in), GFP_KERNEL);
	unsigned long i, nr_ops = kmm_test_nr_ops / 4;
	struct rnd_state rnd;
	unsigned int k;

	KUNIT_ASSERT_NOT_NULL(test, m);
	KUNIT_ASSERT_NOT_NULL(test, expect);
	for (k = 0; k < ARRAY_SIZE(m->slot); k++) {
		m->slot[k] = kunit_kmalloc(test, sizeof(*m->slot[k]), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, m->slot[k]);
	}
	m->max = 4;
	prandom_seed_state(&rnd, kmm_test_seed);
	for (i = 0; i < nr_ops; i++) {
		u32 r = kmm_below(&rnd, 100);
		size_t n = kmm_below(&rnd, 3) ? kmm_below(&rnd, 200) :
			   kmm_below(&rnd, 2) ? kmm_below(&rnd, 3) * PAGE_SIZE :
			   kmm_below(&rnd, sizeof(f->out) / 2 + 1);
		size_t from = kmm_below(&rnd, sizeof(f->out) / 2);
		ssize_t got, want;

		/* phases in which it fills up, and in which it runs empty */
		if (r < (i / 128 % 2 ? 35 : 60)) {
			bool packet = kmm_below(&rnd, 8) == 0;

			want = model_write(m, f->out + from, n, packet);
			got = pipe_write(&f->pipe, f->out + from, n, KMM_PIPE_NOWAIT |
					 (packet ? KMM_PIPE_AS_PACKET : 0));
		} else if (r < 97) {
			want = model_read(m, expect, n);
			got = get(f, n);
			if (want > 0 && got == want && memcmp(f->in, expect, want))
				KUNIT_FAIL(test, "op %lu: other bytes", i);
		} else {
			k = 1U << kmm_below(&rnd, 7);
			want = k < m->nr ? -EBUSY : 0;
			if (!want)
				m->max = k;
			got = kmm_pipe_resize(&f->pipe, k * PAGE_SIZE - kmm_below(&rnd, 2));
		}
		if (got != want) {
			KUNIT_FAIL(test, "op %lu: %zd, the model says %zd", i, got, want);
			break;
		}
		if (i % 256 == 0)
			KUNIT_EXPECT_EQ(test, kmm_pipe_check(&f->pipe), 0);
		cond_resched();
	}
	end(test, f);
}

static struct kunit_case pipe_cases[] = {
	KUNIT_CASE(bytes_come_out_as_they_went_in),
	KUNIT_CASE(small_writes_share_a_frame),
	KUNIT_CASE(atomic_write_goes_in_whole_or_not_at_all),
	KUNIT_CASE(packet_is_read_whole_or_cut_off),
	KUNIT_CASE(frames_are_used_again),
	KUNIT_CASE(ends_tell_the_other),
	KUNIT_CASE(resize_keeps_contents),
	KUNIT_CASE(bad_attributes_are_refused),
	KUNIT_CASE(limit_ends_a_write_early),
	KUNIT_CASE(every_failure_point_leaves_nothing),
	KUNIT_CASE(writer_and_reader_wait_in_turns),
	KUNIT_CASE(random_against_model),
	{}
};

struct kunit_suite kmm_pipe_suite = {
	.name = "kmm_pipe",
	.exit = kmm_test_exit,
	.test_cases = pipe_cases,
};
