// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Message queues
 *
 * A queue of messages with POSIX's meaning (mq_overview(7)): the highest priority first, first
 * in first out within one, limits on number and size that are given at creation, senders that
 * wait for a place and receivers that wait for a message. This file knows queues and messages;
 * dev/msgq.c puts descriptors, user memory and objects around them.
 *
 * Order. KMM_MSGQ_PRIO_MAX priorities, each a circular list of which the last message is kept,
 * and a mask of those that have one: sending and receiving take constant time, whatever is in
 * the queue. Linux's ipc/mqueue.c has 32768 priorities in a tree; POSIX wants 32.
 *
 * A message is one object of a slab class, the same class for all messages of a queue, large
 * enough for its largest: header and bytes, or, where that is more than a page, header and a
 * frame's address for each page. So messages of a page or more are in frames of their own, and
 * frames can be given up by one process and taken by another as they are.
 *
 * Hand-over, as in ipc/mqueue.c: who finds somebody waiting on the other side serves them and
 * not the queue. A message goes straight to the first receiver; a place that becomes free goes
 * straight to the first sender, whose message is put in for it. So nobody who comes later
 * overtakes who waits. The order of those who wait is that of tasks in POSIX: the more urgent
 * (real-time) task first, the longest waiting one within the same priority.
 *
 * States of a message: its sender's (being filled, or waiting in struct waiter), in the queue,
 * its receiver's. A receiver that cannot deliver it gives it back: it is the first of its
 * priority again, also above maxmsg. A sender that cannot have its message ready when it asks
 * for a place takes a slot first: a place that is counted but empty.
 *
 * Charges, all to the creator of the queue: the frames of maxmsg messages of the largest size are
 * reserved at creation, as POSIX's RLIMIT_MSGQUEUE does, so sending charges nothing; frames of
 * a message of a page or more when they are taken; a message whose sender waits for a place while
 * it waits. Nobody holds a message over a wait for user memory.
 *
 * Invariants (kmm_msgq_check()): bit p of mask is set when last[p] is not NULL; nr and bytes
 * are the sums over the lists; receivers wait only if the queue is empty, senders only
 * if it is full (nr + nr_slots >= maxmsg); nr > maxmsg only by messages that were given back.
 *
 * Locks: the queue's spinlock, in task context. The task locks of those who are woken are taken
 * inside, the poll queue's is not. Whoever waits takes the lock before it goes, so its struct
 * waiter lives as long as anybody looks at it.
 *
 * What this deliberately does not do: no signal on arrival (mq_notify): poll does that; no
 * change of limits; no priority inheritance.
 */
#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/assert.h>
#include <kmm/debug_objects.h>
#include <kmm/inject.h>
#include <kmm/kmemleak.h>
#include <kmm/msgq.h>
#include <kmm/object.h>
#include <kmm/slab.h>
#include <trace/events/kmm.h>

/* === Data === */

#define MSG_GFP		(GFP_KERNEL | __GFP_NOWARN)
#define MSGQ_READABLE	(EPOLLIN | EPOLLRDNORM)
#define MSGQ_WRITABLE	(EPOLLOUT | EPOLLWRNORM)

static_assert(BITS_PER_TYPE(((struct kmm_msgq *)NULL)->mask) == KMM_MSGQ_PRIO_MAX);
/* The addresses of the frames of the largest message fit into the largest class. */
static_assert(sizeof(struct kmm_msg) + (KMM_MSGQ_SIZE_MAX >> PAGE_SHIFT) * sizeof(void *) <=
	      KMM_KMALLOC_MAX_CACHE);

/**
 * struct waiter - on the stack of who waits
 * @node: in kmm_msgq.receivers or .senders
 * @task: who
 * @msg: a sender's message, NULL: it wants a slot; a receiver's when @ready
 * @ready: got what it waited for, and is on no list any more
 *
 * Protected by the queue's lock.
 */
struct waiter {
	struct list_head node;
	struct task_struct *task;
	struct kmm_msg *msg;
	bool ready;
};

/* === Messages === */

static unsigned int msg_nr_pages(u32 size_bytes)
{
	return size_bytes > KMM_MSG_INLINE_MAX ? DIV_ROUND_UP(size_bytes, PAGE_SIZE) : 0;
}

/* Frames that one message outside of the reserve is charged for. */
static unsigned long msg_frames(const struct kmm_msgq *q)
{
	return DIV_ROUND_UP(q->cache->size, PAGE_SIZE);
}

static __always_inline struct kmm_msg *msg_alloc(struct kmm_msgq *q)
{
	struct kmm_msg *m = kmm_cache_alloc(q->cache, MSG_GFP);

	if (unlikely(!m))
		return NULL;
	m->nr_pages = 0;
	/* kmm's own, in a class of kmalloc */
	if (kmm_leak_wants(q->set->slab->region->leak))
		kmm_leak_paint(q->set->slab->region->leak, m, KMM_LEAK_BLACK);
	return m;
}

/**
 * kmm_msg_free() - The end of a message and of its frames.
 * @q: the queue that it was made for
 * @m: a message that is in no queue
 *
 * Context: task.
 */
void kmm_msg_free(struct kmm_msgq *q, struct kmm_msg *m)
{
	if (unlikely(m->nr_pages))
		kmm_object_free_taken(q->set->slab->buddy, q->set->lru, m->pages, m->nr_pages);
	kmm_cache_free(q->cache, m);
}
KMM_EXPORT_INTERNAL(kmm_msg_free);

/* Frames for @m, charged to the queue's creator. */
static int msg_take_frames(struct kmm_msgq *q, struct page **pages, unsigned int nr)
{
	struct kmm_buddy *b = q->set->slab->buddy;
	unsigned int got = 0, i;
	int err;

	err = kmm_account_try_charge(q->account, KMM_RES_FRAMES, nr);
	if (err)
		return err;
	/* it fills what is NULL */
	memset(pages, 0, nr * sizeof(*pages));
	if (!kmm_should_fail())
		got = kmm_buddy_alloc_bulk(b, MSG_GFP, nr, pages);
	for (; got < nr; got++) {
		pages[got] = kmm_should_fail() ? NULL : kmm_buddy_alloc(b, MSG_GFP, 0);
		if (!pages[got])
			break;
	}
	for (i = 0; i < got; i++)
		kmm_buddy_set_owner(b, pages[i], q->account->id);
	if (got == nr)
		return 0;
	kmm_account_uncharge(q->account, KMM_RES_FRAMES, nr - got);
	kmm_buddy_free_bulk(b, pages, got);
	return -ENOMEM;
}

/**
 * kmm_msg_alloc() - A message to be filled.
 * @q: queue
 * @size_bytes: what it will hold, 0 .. @q->msgsize
 *
 * Frames of a message of a page or more hold anything but the bytes behind the end of the message,
 * which are zeros. The caller sets @prio.
 *
 * Context: task, may sleep. Return: message, or ERR_PTR of -ENOMEM, -EDQUOT.
 */
struct kmm_msg *kmm_msg_alloc(struct kmm_msgq *q, u32 size_bytes)
{
	unsigned int nr_pages = msg_nr_pages(size_bytes);
	struct kmm_msg *m = msg_alloc(q);
	int err;

	if (unlikely(!m))
		return ERR_PTR(-ENOMEM);
	m->size_bytes = size_bytes;
	if (unlikely(nr_pages)) {
		err = msg_take_frames(q, m->pages, nr_pages);
		if (err) {
			kmm_msg_free(q, m);
			return ERR_PTR(err);
		}
		m->nr_pages = nr_pages;
		if (offset_in_page(size_bytes))
			memset(page_address(m->pages[nr_pages - 1]) + offset_in_page(size_bytes),
			       0, PAGE_SIZE - offset_in_page(size_bytes));
	}
	return m;
}
KMM_EXPORT_INTERNAL(kmm_msg_alloc);

/**
 * kmm_msg_alloc_empty() - A message for frames that the caller has or will have.
 * @q: queue
 *
 * The caller sets @pages, @nr_pages, @size_bytes and @prio; frames are charged already.
 *
 * Context: task, may sleep. Return: message, or ERR_PTR of -ENOMEM.
 */
struct kmm_msg *kmm_msg_alloc_empty(struct kmm_msgq *q)
{
	return msg_alloc(q) ?: ERR_PTR(-ENOMEM);
}
KMM_EXPORT_INTERNAL(kmm_msg_alloc_empty);

/**
 * kmm_msg_move_to_frame() - Put the bytes of a message into a frame of its own.
 * @q: queue
 * @m: a message that is in no queue; one without bytes, or in frames, stays as it is
 *
 * Context: task, may sleep. Return: 0, or -ENOMEM, -EDQUOT.
 */
int kmm_msg_move_to_frame(struct kmm_msgq *q, struct kmm_msg *m)
{
	struct page *page;
	int err;

	if (m->nr_pages || !m->size_bytes)
		return 0;
	err = msg_take_frames(q, &page, 1);
	if (err)
		return err;
	memcpy(page_address(page), m->data, m->size_bytes);
	memset(page_address(page) + m->size_bytes, 0, PAGE_SIZE - m->size_bytes);
	m->pages[0] = page;
	m->nr_pages = 1;
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_msg_move_to_frame);

/* === Order === */

static __always_inline void msgq_push_locked(struct kmm_msgq *q, struct kmm_msg *m, bool front)
{
	struct kmm_msg **last = &q->last[m->prio];

	if (*last) {
		m->next = (*last)->next;
		(*last)->next = m;
		if (!front)
			*last = m;
	} else {
		m->next = m;
		*last = m;
		q->mask |= 1U << m->prio;
	}
	q->nr++;
	q->bytes += m->size_bytes;
}

/* The queue is not empty. */
static struct kmm_msg *msgq_pop_locked(struct kmm_msgq *q)
{
	unsigned int prio = __fls(q->mask);
	struct kmm_msg **last = &q->last[prio], *m = (*last)->next;

	if (m == *last) {
		*last = NULL;
		q->mask &= ~(1U << prio);
	} else {
		(*last)->next = m->next;
	}
	q->nr--;
	q->bytes -= m->size_bytes;
	return m;
}

static bool msgq_full_locked(const struct kmm_msgq *q)
{
	return q->nr + q->nr_slots >= q->maxmsg;
}

/* === Waiting === */

static void msgq_wake_locked(struct waiter *w)
{
	list_del(&w->node);
	w->ready = true;
	wake_up_process(w->task);
}

static void msgq_wake_poll(struct kmm_msgq *q, __poll_t events)
{
	/*
	 * Who polls is on the list before it takes the queue's lock to look, and we changed
	 * something under that lock before: no barrier is needed.
	 */
	if (unlikely(waitqueue_active(&q->poll_wait)))
		wake_up_interruptible_poll(&q->poll_wait, events);
}

/*
 * Waits in @list until somebody has made @w ready. Returns with the lock held: 0, -ERESTARTSYS,
 * -ETIMEDOUT, and @w is on no list.
 */
static int msgq_wait_locked(struct kmm_msgq *q, struct list_head *list, u32 *count,
			    struct waiter *w,
			    const struct kmm_msgq_patience *patience)
{
	ktime_t deadline = patience->deadline;
	bool timed_out = false;
	struct waiter *before;
	int err;

	lockdep_assert_held(&q->lock);
	w->task = current;
	w->ready = false;
	/* a lower number is more urgent */
	list_for_each_entry(before, list, node)
		if (before->task->prio > current->prio)
			break;
	list_add_tail(&w->node, &before->node);
	++*count;
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		spin_unlock(&q->lock);
		if (deadline == KTIME_MAX)
			schedule();
		else
			timed_out = !schedule_hrtimeout(&deadline, HRTIMER_MODE_ABS);
		spin_lock(&q->lock);
		err = 0;
		if (w->ready)
			break;
		err = -ERESTARTSYS;
		if (signal_pending(current))
			break;
		err = -ETIMEDOUT;
		if (timed_out)
			break;
	}
	if (err)
		list_del(&w->node);
	--*count;
	return err;
}

static noinline void msgq_hand_over_locked(struct kmm_msgq *q, struct kmm_msg *m)
{
	struct waiter *w = list_first_entry(&q->receivers, struct waiter, node);

	w->msg = m;
	msgq_wake_locked(w);
}

/* To the first receiver, else into the queue. Returns true: it is in the queue. */
static __always_inline bool msgq_deliver_locked(struct kmm_msgq *q, struct kmm_msg *m, bool front)
{
	if (unlikely(!list_empty(&q->receivers))) {
		msgq_hand_over_locked(q, m);
		return false;
	}
	msgq_push_locked(q, m, front);
	return true;
}

/* Places are free: senders who wait get them. Returns true: a message came into the queue. */
static noinline bool msgq_admit_locked(struct kmm_msgq *q)
{
	bool pushed = false;

	while (!list_empty(&q->senders) && !msgq_full_locked(q)) {
		struct waiter *w = list_first_entry(&q->senders, struct waiter, node);

		if (w->msg)
			pushed |= msgq_deliver_locked(q, w->msg, false);
		else
			q->nr_slots++;
		msgq_wake_locked(w);
	}
	return pushed;
}

/* The queue is full. @m: the message, NULL for a slot. Unlocks. */
static noinline int msgq_send_wait(struct kmm_msgq *q, struct kmm_msg *m,
				   const struct kmm_msgq_patience *patience)
	__releases(&q->lock)
{
	unsigned long frames = m ? msg_frames(q) : 0;
	struct waiter w = { .msg = m };
	int err = -EAGAIN;

	if (!patience->nowait) {
		err = kmm_account_try_charge(q->account, KMM_RES_FRAMES, frames);
		if (!err) {
			err = msgq_wait_locked(q, &q->senders, &q->nr_senders, &w, patience);
			kmm_account_uncharge(q->account, KMM_RES_FRAMES, frames);
		}
	}
	spin_unlock(&q->lock);
	return err;
}

/* === Interface === */

/**
 * kmm_msgq_send() - Put a message in.
 * @q: queue
 * @m: a message of kmm_msg_alloc() with its priority set; on success it is gone, on error it
 *	is still the caller's
 * @patience: how long to wait for a place
 *
 * Context: task, may sleep.
 * Return: 0; -EAGAIN full and not to wait; -ETIMEDOUT; -ERESTARTSYS a signal; -EDQUOT the
 * creator cannot pay for a message that waits; -ESTALE the queue is not alive.
 */
int kmm_msgq_send(struct kmm_msgq *q, struct kmm_msg *m, const struct kmm_msgq_patience *patience)
{
	bool pushed;

	if (!kmm_debug_object_assert_active(q, KMM_DEBUG_MSGQ))
		return -ESTALE;
	trace_msgq_send(q->id, m->prio, m->size_bytes, m->nr_pages);
	spin_lock(&q->lock);
	if (unlikely(msgq_full_locked(q)))
		return msgq_send_wait(q, m, patience);
	pushed = msgq_deliver_locked(q, m, false);
	spin_unlock(&q->lock);
	if (pushed)
		msgq_wake_poll(q, MSGQ_READABLE);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_msgq_send);

/**
 * kmm_msgq_get_slot() - Take a place for a message that is not ready yet.
 * @q: queue
 * @patience: how long to wait for it
 *
 * To be followed by kmm_msgq_put_slot(), without waiting for user memory in between.
 *
 * Context: task, may sleep. Return: 0, or as kmm_msgq_send() but -EDQUOT.
 */
int kmm_msgq_get_slot(struct kmm_msgq *q, const struct kmm_msgq_patience *patience)
{
	spin_lock(&q->lock);
	if (msgq_full_locked(q))
		return msgq_send_wait(q, NULL, patience);
	q->nr_slots++;
	spin_unlock(&q->lock);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_msgq_get_slot);

/**
 * kmm_msgq_put_slot() - Put the message into its place, or give the place up.
 * @q: queue of which the caller has a slot
 * @m: message, taken over; NULL: there is none
 *
 * Context: task.
 */
void kmm_msgq_put_slot(struct kmm_msgq *q, struct kmm_msg *m)
{
	bool pushed = false, writable;

	if (m)
		trace_msgq_send(q->id, m->prio, m->size_bytes, m->nr_pages);
	spin_lock(&q->lock);
	q->nr_slots--;
	if (m)
		pushed = msgq_deliver_locked(q, m, false);
	pushed |= msgq_admit_locked(q);
	writable = !msgq_full_locked(q);
	spin_unlock(&q->lock);
	if (pushed)
		msgq_wake_poll(q, MSGQ_READABLE);
	if (writable)
		msgq_wake_poll(q, MSGQ_WRITABLE);
}
KMM_EXPORT_INTERNAL(kmm_msgq_put_slot);

/* The queue is empty. Unlocks. */
static noinline struct kmm_msg *msgq_receive_wait(struct kmm_msgq *q,
						  const struct kmm_msgq_patience *patience)
	__releases(&q->lock)
{
	struct waiter w = { };
	int err = -EAGAIN;

	if (!patience->nowait)
		err = msgq_wait_locked(q, &q->receivers, &q->nr_receivers, &w, patience);
	spin_unlock(&q->lock);
	return err ? ERR_PTR(err) : w.msg;
}

/**
 * kmm_msgq_receive() - Take the first message of the highest priority out.
 * @q: queue
 * @patience: how long to wait for one
 *
 * Context: task, may sleep.
 * Return: the message, now the caller's, who frees it or gives it back without waiting for user
 * memory in between; or ERR_PTR: -EAGAIN empty and not to wait; -ETIMEDOUT; -ERESTARTSYS.
 */
struct kmm_msg *kmm_msgq_receive(struct kmm_msgq *q, const struct kmm_msgq_patience *patience)
{
	bool pushed = false, writable;
	struct kmm_msg *m;

	spin_lock(&q->lock);
	if (likely(q->mask)) {
		m = msgq_pop_locked(q);
		if (unlikely(!list_empty(&q->senders)))
			pushed = msgq_admit_locked(q);
		writable = !msgq_full_locked(q);
		spin_unlock(&q->lock);
		if (pushed)
			msgq_wake_poll(q, MSGQ_READABLE);
		if (writable)
			msgq_wake_poll(q, MSGQ_WRITABLE);
	} else {
		m = msgq_receive_wait(q, patience);
		if (IS_ERR(m))
			return m;
	}
	trace_msgq_receive(q->id, m->prio, m->size_bytes, m->nr_pages);
	return m;
}
KMM_EXPORT_INTERNAL(kmm_msgq_receive);

/**
 * kmm_msgq_give_back() - A message could not be delivered: it is the first of its priority again.
 * @q: queue
 * @m: a message of kmm_msgq_receive(), taken over
 *
 * Context: task.
 */
void kmm_msgq_give_back(struct kmm_msgq *q, struct kmm_msg *m)
{
	bool pushed;

	spin_lock(&q->lock);
	pushed = msgq_deliver_locked(q, m, true);
	spin_unlock(&q->lock);
	if (pushed)
		msgq_wake_poll(q, MSGQ_READABLE);
}
KMM_EXPORT_INTERNAL(kmm_msgq_give_back);

/**
 * kmm_msgq_poll() - Would a call without patience go through?
 * @q: queue; the caller is on @q->poll_wait already
 * @readable: out: a message is there
 * @writable: out: a place is free
 *
 * Context: task.
 */
void kmm_msgq_poll(struct kmm_msgq *q, bool *readable, bool *writable)
{
	spin_lock(&q->lock);
	*readable = q->nr;
	*writable = !msgq_full_locked(q);
	spin_unlock(&q->lock);
}
KMM_EXPORT_INTERNAL(kmm_msgq_poll);

/**
 * kmm_msgq_info() - What KMM_IOC_MSGQ_INFO tells.
 * @q: queue
 * @info: out
 *
 * Context: task.
 */
void kmm_msgq_info(struct kmm_msgq *q, struct kmm_msgq_info *info)
{
	*info = (struct kmm_msgq_info) {
		.id = q->id,
		.maxmsg = q->maxmsg,
		.msgsize = q->msgsize,
		.reserved_frames = q->reserve,
	};
	spin_lock(&q->lock);
	info->messages = q->nr;
	info->bytes = q->bytes;
	info->receivers = q->nr_receivers;
	info->senders = q->nr_senders;
	spin_unlock(&q->lock);
}
KMM_EXPORT_INTERNAL(kmm_msgq_info);

/* The largest message decides on the class of all. */
static struct kmm_cache *msgq_cache(const struct kmm_msgq_set *set, u32 msgsize)
{
	size_t bytes = max_t(size_t, min_t(size_t, msgsize, KMM_MSG_INLINE_MAX),
			     msg_nr_pages(msgsize) * sizeof(struct page *));

	return set->slab->kmalloc[kmm_kmalloc_index(sizeof(struct kmm_msg) + bytes)];
}

/**
 * kmm_msgq_create() - A new queue.
 * @set: instance
 * @a: who pays; the queue takes a reference of its own
 * @maxmsg: messages, 1 .. KMM_MSGQ_MESSAGES_MAX
 * @msgsize: bytes of the largest, 1 .. KMM_MSGQ_SIZE_MAX
 * @name: for people, copied; need not be terminated
 * @name_len: bytes of it, 0: none
 *
 * Context: task, may sleep.
 * Return: queue with one reference, or ERR_PTR: -EINVAL a limit out of range; -EDQUOT; -ENOMEM.
 */
struct kmm_msgq *kmm_msgq_create(struct kmm_msgq_set *set, struct kmm_account *a, u32 maxmsg,
				 u32 msgsize, const char *name, size_t name_len)
{
	struct kmm_msgq *q;
	int err;

	if (!maxmsg || maxmsg > KMM_MSGQ_MESSAGES_MAX || !msgsize || msgsize > KMM_MSGQ_SIZE_MAX)
		return ERR_PTR(-EINVAL);
	q = kmm_account_zalloc(a, sizeof(*q));
	if (IS_ERR(q))
		return q;
	if (name_len) {
		q->name_bytes = name_len + 1;
		q->name = kmm_account_zalloc(a, q->name_bytes);
		if (IS_ERR(q->name)) {
			err = PTR_ERR(q->name);
			goto free_queue;
		}
		memcpy(q->name, name, name_len);
	}
	q->cache = msgq_cache(set, msgsize);
	q->reserve = DIV_ROUND_UP((u64)maxmsg * q->cache->size, PAGE_SIZE);
	err = kmm_account_try_charge(a, KMM_RES_FRAMES, q->reserve);
	if (err)
		goto free_name;
	kmm_account_get(a);
	q->account = a;
	q->set = set;
	q->maxmsg = maxmsg;
	q->msgsize = msgsize;
	q->uid = a->uid;
	q->pid = task_tgid_nr(current);
	refcount_set(&q->ref, 1);
	spin_lock_init(&q->lock);
	INIT_LIST_HEAD(&q->receivers);
	INIT_LIST_HEAD(&q->senders);
	init_waitqueue_head(&q->poll_wait);
	kmm_debug_object_init(q, KMM_DEBUG_MSGQ);

	mutex_lock(&set->lock);
	q->id = ++set->last_id;
	list_add_tail(&q->node, &set->list);
	mutex_unlock(&set->lock);
	kmm_debug_object_activate(q, KMM_DEBUG_MSGQ);
	return q;

free_name:
	kmm_account_free(a, q->name, q->name_bytes);
free_queue:
	kmm_account_free(a, q, sizeof(*q));
	return ERR_PTR(err);
}
KMM_EXPORT_INTERNAL(kmm_msgq_create);

/**
 * kmm_msgq_get() - One more reference.
 * @q: queue of which the caller has a reference
 *
 * Context: any.
 */
void kmm_msgq_get(struct kmm_msgq *q)
{
	refcount_inc(&q->ref);
}
KMM_EXPORT_INTERNAL(kmm_msgq_get);

/**
 * kmm_msgq_put() - Drop a reference; with the last one go the queue and the messages in it.
 * @q: queue
 *
 * Context: task, may sleep.
 */
void kmm_msgq_put(struct kmm_msgq *q)
{
	struct kmm_account *a;

	if (!kmm_debug_object_assert_active(q, KMM_DEBUG_MSGQ))
		return;
	a = q->account;
	if (!refcount_dec_and_test(&q->ref))
		return;
	kmm_debug_object_destroy(q, KMM_DEBUG_MSGQ);
	mutex_lock(&q->set->lock);
	list_del(&q->node);
	mutex_unlock(&q->set->lock);
	kmm_assert(list_empty(&q->receivers) && list_empty(&q->senders) && !q->nr_slots);
	while (q->mask) {
		kmm_msg_free(q, msgq_pop_locked(q));
		cond_resched();
	}
	kmm_account_uncharge(a, KMM_RES_FRAMES, q->reserve);
	kmm_account_free(a, q->name, q->name_bytes);
	kmm_debug_object_free(q, KMM_DEBUG_MSGQ);
	kmm_account_free(a, q, sizeof(*q));
	kmm_account_put(a);
}
KMM_EXPORT_INTERNAL(kmm_msgq_put);

/**
 * kmm_msgq_check() - Verify the invariants.
 * @q: queue
 *
 * Context: task. Return: number of violations.
 */
unsigned long kmm_msgq_check(struct kmm_msgq *q)
{
	unsigned long bad = 0, nr = 0;
	struct kmm_msg *m;
	unsigned int p;
	u64 bytes = 0;

	spin_lock(&q->lock);
	for (p = 0; p < KMM_MSGQ_PRIO_MAX; p++) {
		bad += !q->last[p] != !(q->mask & 1U << p);
		m = q->last[p];
		if (!m)
			continue;
		do {
			m = m->next;
			bad += m->prio != p || m->size_bytes > q->msgsize;
			bytes += m->size_bytes;
			nr++;
		} while (m != q->last[p] && nr <= q->nr);
	}
	bad += nr != q->nr || bytes != q->bytes;
	bad += !list_empty(&q->receivers) && q->nr;
	bad += !list_empty(&q->senders) && !msgq_full_locked(q);
	spin_unlock(&q->lock);
	return bad;
}
KMM_EXPORT_INTERNAL(kmm_msgq_check);

/**
 * kmm_msgq_set_init() - Begin with no queue.
 * @set: caller's memory
 * @sl: where messages come from
 * @lru: of the objects whose frames become messages; NULL as there
 *
 * Context: task.
 */
void kmm_msgq_set_init(struct kmm_msgq_set *set, struct kmm_slab *sl, struct kmm_lru *lru)
{
	set->slab = sl;
	set->lru = lru;
	mutex_init(&set->lock);
	INIT_LIST_HEAD(&set->list);
	set->last_id = 0;
}
KMM_EXPORT_INTERNAL(kmm_msgq_set_init);

/**
 * kmm_msgq_set_fini() - The end; all queues are gone.
 * @set: set
 *
 * Context: task.
 */
void kmm_msgq_set_fini(struct kmm_msgq_set *set)
{
	kmm_assert(list_empty(&set->list));
	mutex_destroy(&set->lock);
}
KMM_EXPORT_INTERNAL(kmm_msgq_set_fini);
