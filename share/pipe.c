// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Pipes
 *
 * A pipe is a ring of slots, each a frame of the region with the part of it that is still to be
 * read. A write fills frames and puts them in at the head, a read takes bytes out at the tail;
 * so does Linux's fs/pipe.c since 5.5, and what is seen from outside is pipe(7): a stream of
 * bytes, writes of at most KMM_PIPE_BUF bytes never mixed with others, larger ones in pieces,
 * end of file without a writer, -EPIPE and SIGPIPE without a reader.
 *
 * Algorithm. A write first adds what does not fill a whole page to the last slot, if all of
 * that fits there, then takes a frame for each page. So a write of at most a page is in one
 * slot, and that is what makes it atomic: a slot is filled before it is put in, under one hold
 * of the lock. A read copies out of the slots in order. Capacity is counted in slots, not in
 * bytes: a pipe that is not full takes any atomic write.
 *
 * Packets. A slot that was written in packet mode is never added to, and a read takes at most
 * one of them; what does not fit into the reader's buffer is thrown away.
 *
 * States of a frame: from the buddy, charged to the creator, filled, in the ring, emptied; then
 * one of the pipe's few spares, or back to the buddy. It is not cleared in between: a reader
 * sees offset and len bytes of it, and exactly these were written. Nobody else ever has it:
 * contents go in and out by copy, so its reference count stays 1.
 *
 * Who sleeps, and where. Copies from and to user memory are made under the pipe's lock, a
 * mutex; a page fault there may take mmap_lock and whatever the fault needs (object locks, the
 * buddy), so the pipe's lock is outside of them and is never taken in a fault or in mmap. While
 * a user's fault takes its time, others wait for the lock; any signal ends that wait, unlike in
 * Linux, so that a process whose peer has a broken userfaultfd can be killed. Waiting for room
 * or for bytes is done without the lock.
 *
 * Wake-ups. Waiters are exclusive, but for those of splice, who may find the host's pipe full
 * and leave what woke them to others: one write wakes one reader, one read that frees a slot
 * wakes one writer, and whoever was woken and leaves bytes (room) behind wakes the next, also
 * when a signal made it leave without having done anything. A wake-up is asked for only where
 * somebody sleeps; the barrier of wq_has_sleeper() pairs with that of set_current_state() in
 * wait_event() and with smp_mb() in the poll of dev/pipe.c.
 *
 * The ends are flags, written without the lock: closing never waits. Under the lock an empty
 * ring without a write end is the end of the file, because the last write was over, lock
 * dropped, before the end could be closed.
 *
 * Invariants (kmm_pipe_check()): head - tail <= nr_slots; every slot from tail to head has a
 * frame and 1 .. PAGE_SIZE bytes inside it; bytes is the sum of their lengths; no other slot
 * has a frame.
 *
 * Locks: lock; see Documentation/design/locking.rst. set->lock is a leaf.
 *
 * What this deliberately does not do: no lending of frames (splice copies, see dev/pipe.c), no
 * zero-length slots, no renumbering at a resize (poll reads head and tail without the lock).
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/assert.h>
#include <kmm/buddy.h>
#include <kmm/debug_objects.h>
#include <kmm/inject.h>
#include <kmm/pipe.h>
#include <trace/events/kmm.h>

/* === Data === */

/* Contents are not movable: nothing can evict them. */
#define PIPE_GFP	(GFP_KERNEL | __GFP_NOWARN)

static_assert(KMM_PIPE_BUF == PAGE_SIZE);

/* === Frames === */

static struct page *pipe_get_frame(struct kmm_pipe *p)
{
	struct kmm_buddy *b = p->set->buddy;
	struct page *page;
	int err;

	if (likely(p->nr_spare))
		return p->spare[--p->nr_spare];
	err = kmm_account_try_charge(p->account, KMM_RES_FRAMES, 1);
	if (unlikely(err))
		return ERR_PTR(err);
	page = kmm_should_fail() ? NULL : kmm_buddy_alloc(b, PIPE_GFP, 0);
	if (unlikely(!page)) {
		kmm_account_uncharge(p->account, KMM_RES_FRAMES, 1);
		return ERR_PTR(-ENOMEM);
	}
	kmm_buddy_set_owner(b, page, p->account->id);
	return page;
}

static void pipe_put_frame(struct kmm_pipe *p, struct page *page)
{
	if (likely(p->nr_spare < KMM_PIPE_SPARES))
		p->spare[p->nr_spare++] = page;
	else
		kmm_buddy_free(p->set->buddy, page, 0);
}

/* === The ring; the caller holds the lock, or looks once without it === */

static struct kmm_pipe_slot *pipe_slot(const struct kmm_pipe *p, unsigned int n)
{
	return &p->slots[n & (p->nr_slots - 1)];
}

/* The tail first: it never passes a head that is read later. */
static bool pipe_full(const struct kmm_pipe *p)
{
	unsigned int tail = READ_ONCE(p->tail);

	return READ_ONCE(p->head) - tail >= READ_ONCE(p->nr_slots);
}

/* A read, or a write, would not sleep now: it moves something, or tells of the other end. */
static bool pipe_can_read(const struct kmm_pipe *p)
{
	return READ_ONCE(p->bytes) || !READ_ONCE(p->writable);
}

static bool pipe_can_write(const struct kmm_pipe *p)
{
	return !pipe_full(p) || !READ_ONCE(p->readable);
}

static void pipe_fill_slot(struct kmm_pipe *p, struct page *page, unsigned int len, bool packet)
{
	*pipe_slot(p, p->head) = (struct kmm_pipe_slot) {
		.page = page, .len = len, .packet = packet,
	};
	WRITE_ONCE(p->bytes, p->bytes + len);
	WRITE_ONCE(p->head, p->head + 1);
}

/* Takes the first @n bytes, all of them or fewer, off the slot at the tail. */
static void pipe_take_bytes(struct kmm_pipe *p, struct kmm_pipe_slot *slot, unsigned int n)
{
	WRITE_ONCE(p->bytes, p->bytes - n);
	slot->offset += n;
	slot->len -= n;
	if (slot->len)
		return;
	pipe_put_frame(p, slot->page);
	slot->page = NULL;
	WRITE_ONCE(p->tail, p->tail + 1);
}

/* Bytes, 0 if there are none, or -EFAULT. */
static ssize_t pipe_read_locked(struct kmm_pipe *p, struct iov_iter *to)
{
	size_t left = iov_iter_count(to);
	ssize_t done = 0;

	while (p->bytes && left) {
		struct kmm_pipe_slot *slot = pipe_slot(p, p->tail);
		size_t n = min_t(size_t, slot->len, left);
		bool packet = slot->packet;

		if (unlikely(copy_to_iter(page_address(slot->page) + slot->offset, n, to) != n))
			return done ?: -EFAULT;
		pipe_take_bytes(p, slot, packet ? slot->len : n);
		done += n;
		left -= n;
		if (packet)
			break;
	}
	return done;
}

/*
 * Bytes that went in; fewer than @from has: there is no room, or *@err says what came in between.
 * @from is then somewhere behind these bytes.
 */
static size_t pipe_write_locked(struct kmm_pipe *p, struct iov_iter *from, bool packet, int *err)
{
	size_t left = iov_iter_count(from);
	size_t n = offset_in_page(left);
	size_t done = 0;

	if (n && p->bytes && !packet) {
		struct kmm_pipe_slot *slot = pipe_slot(p, p->head - 1);
		unsigned int end = slot->offset + slot->len;

		if (end + n <= PAGE_SIZE && !slot->packet) {
			if (copy_from_iter(page_address(slot->page) + end, n, from) != n) {
				*err = -EFAULT;
				return 0;
			}
			slot->len += n;
			WRITE_ONCE(p->bytes, p->bytes + n);
			done = n;
		}
	}
	for (; done < left && !pipe_full(p); done += n) {
		struct page *page = pipe_get_frame(p);

		if (IS_ERR(page)) {
			*err = PTR_ERR(page);
			break;
		}
		n = min_t(size_t, left - done, PAGE_SIZE);
		if (unlikely(copy_from_iter(page_address(page), n, from) != n)) {
			pipe_put_frame(p, page);
			*err = -EFAULT;
			break;
		}
		pipe_fill_slot(p, page, n, packet);
	}
	return done;
}

/* === Wake-ups === */

static void pipe_wake_reader(struct kmm_pipe *p)
{
	if (wq_has_sleeper(&p->rd_wait))
		wake_up_interruptible_sync_poll(&p->rd_wait, EPOLLIN | EPOLLRDNORM);
	kill_fasync(&p->fasync_readers, SIGIO, POLL_IN);
}

static void pipe_wake_writer(struct kmm_pipe *p)
{
	if (wq_has_sleeper(&p->wr_wait))
		wake_up_interruptible_sync_poll(&p->wr_wait, EPOLLOUT | EPOLLWRNORM);
	kill_fasync(&p->fasync_writers, SIGIO, POLL_OUT);
}

/**
 * kmm_pipe_wait_readable() - Sleep until a read would not.
 * @p: pipe
 *
 * Takes no wake-up away from those who sleep in kmm_pipe_read().
 *
 * Context: task, may sleep. Return: 0, or -ERESTARTSYS.
 */
int kmm_pipe_wait_readable(struct kmm_pipe *p)
{
	return wait_event_interruptible(p->rd_wait, pipe_can_read(p));
}

/**
 * kmm_pipe_wait_writable() - Sleep until a write would not.
 * @p: pipe
 *
 * Takes no wake-up away from those who sleep in kmm_pipe_write().
 *
 * Context: task, may sleep. Return: 0, or -ERESTARTSYS.
 */
int kmm_pipe_wait_writable(struct kmm_pipe *p)
{
	return wait_event_interruptible(p->wr_wait, pipe_can_write(p));
}

/* === Read and write === */

/**
 * kmm_pipe_read() - Take bytes out.
 * @p: pipe
 * @to: where to
 * @flags: KMM_PIPE_NOWAIT
 *
 * Sleeps while the pipe is empty and has a write end.
 *
 * Context: task, may sleep, takes the pipe's lock and touches what @to means.
 * Return: bytes; 0 end of file, or nothing wanted; -EAGAIN; -EFAULT; -ERESTARTSYS.
 */
ssize_t kmm_pipe_read(struct kmm_pipe *p, struct iov_iter *to, unsigned int flags)
{
	bool waited = false;
	ssize_t ret;

	if (unlikely(!iov_iter_count(to)))
		return 0;
	if (!kmm_debug_object_assert_active(p, KMM_DEBUG_PIPE))
		return -ESTALE;
	for (;;) {
		unsigned int tail;
		bool eof, freed;

		ret = mutex_lock_interruptible(&p->lock) ? -ERESTARTSYS : 0;
		if (unlikely(ret))
			break;
		tail = p->tail;
		ret = pipe_read_locked(p, to);
		freed = tail != p->tail;
		eof = !READ_ONCE(p->writable);
		mutex_unlock(&p->lock);
		if (freed)
			pipe_wake_writer(p);
		if (ret || eof)
			break;
		ret = flags & KMM_PIPE_NOWAIT ? -EAGAIN :
		      wait_event_interruptible_exclusive(p->rd_wait, pipe_can_read(p));
		if (ret)
			break;
		waited = true;
	}
	if (waited && READ_ONCE(p->bytes))
		pipe_wake_reader(p);
	trace_pipe_read(p->id, ret, READ_ONCE(p->bytes));
	return ret;
}
KMM_EXPORT_INTERNAL(kmm_pipe_read);

/**
 * kmm_pipe_write() - Put bytes in.
 * @p: pipe
 * @from: where from
 * @flags: KMM_PIPE_NOWAIT, KMM_PIPE_AS_PACKET
 *
 * Sleeps until all is in. What is not longer than KMM_PIPE_BUF goes in whole or not at all.
 * Sends SIGPIPE to the caller when there is no read end.
 *
 * Context: task, may sleep, takes the pipe's lock and touches what @from means.
 * Return: bytes, fewer than wanted if something came in between; -EPIPE; -EAGAIN; -EFAULT;
 * -EDQUOT; -ENOMEM; -ERESTARTSYS.
 */
ssize_t kmm_pipe_write(struct kmm_pipe *p, struct iov_iter *from, unsigned int flags)
{
	size_t left = iov_iter_count(from), done = 0;
	bool waited = false;
	int err = 0;

	while (done < left) {
		size_t n = 0;

		if (unlikely(mutex_lock_interruptible(&p->lock))) {
			err = -ERESTARTSYS;
			break;
		}
		if (likely(READ_ONCE(p->readable)))
			n = pipe_write_locked(p, from, flags & KMM_PIPE_AS_PACKET, &err);
		else
			err = -EPIPE;
		mutex_unlock(&p->lock);
		if (n)
			pipe_wake_reader(p);
		done += n;
		if (err || done == left)
			break;
		err = flags & KMM_PIPE_NOWAIT ? -EAGAIN :
		      wait_event_interruptible_exclusive(p->wr_wait, pipe_can_write(p));
		if (err)
			break;
		waited = true;
	}
	if (unlikely(err == -EPIPE))
		send_sig(SIGPIPE, current, 0);
	if (waited && !pipe_full(p))
		pipe_wake_writer(p);
	if (left)
		trace_pipe_write(p->id, done ?: err, READ_ONCE(p->bytes));
	return done ?: err;
}
KMM_EXPORT_INTERNAL(kmm_pipe_write);

/**
 * kmm_pipe_poll_mask() - What poll says now.
 * @p: pipe
 * @read_end: asked at the read end
 * @write_end: asked at the write end
 *
 * A writer is ready when a write of KMM_PIPE_BUF bytes would go in at once.
 *
 * Context: any; the caller is on the wait queue already, with a full barrier after it.
 * Return: EPOLLIN, EPOLLHUP, EPOLLOUT, EPOLLERR and their like.
 */
__poll_t kmm_pipe_poll_mask(struct kmm_pipe *p, bool read_end, bool write_end)
{
	__poll_t mask = 0;

	if (read_end) {
		/* Before the bytes: what was written before the end was closed is seen. */
		if (!smp_load_acquire(&p->writable))	/* Pairs with kmm_pipe_close_end() */
			mask |= EPOLLHUP;
		if (READ_ONCE(p->bytes))
			mask |= EPOLLIN | EPOLLRDNORM;
	}
	if (write_end) {
		if (!pipe_full(p))
			mask |= EPOLLOUT | EPOLLWRNORM;
		if (!READ_ONCE(p->readable))
			mask |= EPOLLERR;
	}
	return mask;
}
KMM_EXPORT_INTERNAL(kmm_pipe_poll_mask);

/* === Capacity === */

/* Slots for so many bytes, 0 if that cannot be. */
static unsigned int pipe_nr_slots(u64 size_bytes)
{
	if (!size_bytes || size_bytes > KMM_PIPE_SIZE_HARD_MAX)
		return 0;
	return roundup_pow_of_two(DIV_ROUND_UP(size_bytes, PAGE_SIZE));
}

/**
 * kmm_pipe_resize() - Change the capacity.
 * @p: pipe
 * @size_bytes: wanted, 1 .. KMM_PIPE_SIZE_HARD_MAX; rounded up to a power of two of pages
 *
 * Context: task, may sleep, takes the pipe's lock.
 * Return: 0; -EINVAL size 0; -EFBIG; -EBUSY more slots are in use; -EDQUOT; -ENOMEM;
 * -ERESTARTSYS.
 */
int kmm_pipe_resize(struct kmm_pipe *p, u64 size_bytes)
{
	unsigned int nr = pipe_nr_slots(size_bytes), old_nr, n;
	struct kmm_pipe_slot *slots, *old;
	bool grown;

	if (!nr)
		return size_bytes ? -EFBIG : -EINVAL;
	slots = kmm_account_zalloc(p->account, nr * sizeof(*slots));
	if (IS_ERR(slots))
		return PTR_ERR(slots);
	if (mutex_lock_interruptible(&p->lock)) {
		kmm_account_free(p->account, slots, nr * sizeof(*slots));
		return -ERESTARTSYS;
	}
	if (p->head - p->tail > nr) {
		mutex_unlock(&p->lock);
		kmm_account_free(p->account, slots, nr * sizeof(*slots));
		return -EBUSY;
	}
	for (n = p->tail; n != p->head; n++)
		slots[n & (nr - 1)] = *pipe_slot(p, n);
	old = p->slots;
	old_nr = p->nr_slots;
	grown = nr > old_nr;
	p->slots = slots;
	WRITE_ONCE(p->nr_slots, nr);
	mutex_unlock(&p->lock);
	kmm_account_free(p->account, old, old_nr * sizeof(*old));
	if (grown)
		pipe_wake_writer(p);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_pipe_resize);

/* === Life === */

/**
 * kmm_pipe_set_init() - Begin with no pipe.
 * @set: caller's memory
 * @b: where frames come from
 *
 * Context: task.
 */
void kmm_pipe_set_init(struct kmm_pipe_set *set, struct kmm_buddy *b)
{
	set->buddy = b;
	mutex_init(&set->lock);
	INIT_LIST_HEAD(&set->list);
	set->last_id = 0;
}
KMM_EXPORT_INTERNAL(kmm_pipe_set_init);

/**
 * kmm_pipe_set_fini() - The end; no pipe is left.
 * @set: set
 *
 * Context: task.
 */
void kmm_pipe_set_fini(struct kmm_pipe_set *set)
{
	kmm_assert(list_empty(&set->list));
	mutex_destroy(&set->lock);
}
KMM_EXPORT_INTERNAL(kmm_pipe_set_fini);

/**
 * kmm_pipe_init() - A new pipe, with both ends.
 * @p: caller's memory, zeroed
 * @set: instance
 * @a: who pays; the pipe takes a reference of its own
 * @attr: what it is to be
 *
 * Context: task, may sleep.
 * Return: 0; -EINVAL size 0; -EFBIG; -EDQUOT; -ENOMEM; -ESTALE it is a pipe already. On error
 * @p is as before.
 */
int kmm_pipe_init(struct kmm_pipe *p, struct kmm_pipe_set *set, struct kmm_account *a,
		  const struct kmm_pipe_attr *attr)
{
	unsigned int nr = pipe_nr_slots(attr->size_bytes);
	struct kmm_pipe_slot *slots;
	int err;

	if (!nr)
		return attr->size_bytes ? -EFBIG : -EINVAL;
	if (!kmm_debug_object_init(p, KMM_DEBUG_PIPE))
		return -ESTALE;
	err = kmm_account_try_charge(a, KMM_RES_HOST_BYTES, attr->extra_bytes);
	if (err)
		goto forget;
	slots = kmm_account_zalloc(a, nr * sizeof(*slots));
	if (IS_ERR(slots)) {
		err = PTR_ERR(slots);
		goto uncharge;
	}
	kmm_account_get(a);
	mutex_init(&p->lock);
	init_waitqueue_head(&p->rd_wait);
	init_waitqueue_head(&p->wr_wait);
	p->slots = slots;
	p->nr_slots = nr;
	p->readable = true;
	p->writable = true;
	p->set = set;
	p->account = a;
	p->extra_bytes = attr->extra_bytes;
	p->flags = attr->flags;
	p->uid = current_uid();
	p->pid = task_tgid_nr(current);
	get_task_comm(p->comm, current);

	mutex_lock(&set->lock);
	p->id = ++set->last_id;
	list_add_tail(&p->node, &set->list);
	mutex_unlock(&set->lock);
	kmm_debug_object_activate(p, KMM_DEBUG_PIPE);
	return 0;

uncharge:
	kmm_account_uncharge(a, KMM_RES_HOST_BYTES, attr->extra_bytes);
forget:
	kmm_debug_object_free(p, KMM_DEBUG_PIPE);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_pipe_init);

/**
 * kmm_pipe_fini() - The end of a pipe: its frames go home, unread bytes with them.
 * @p: pipe that nobody uses any more; the memory stays the caller's
 *
 * Context: task, may sleep.
 */
void kmm_pipe_fini(struct kmm_pipe *p)
{
	struct kmm_account *a;
	unsigned int n;

	if (!kmm_debug_object_destroy(p, KMM_DEBUG_PIPE))
		return;
	a = p->account;
	mutex_lock(&p->set->lock);
	list_del(&p->node);
	mutex_unlock(&p->set->lock);

	for (n = p->tail; n != p->head; n++)
		kmm_buddy_free(p->set->buddy, pipe_slot(p, n)->page, 0);
	kmm_buddy_free_bulk(p->set->buddy, p->spare, p->nr_spare);
	mutex_destroy(&p->lock);
	kmm_account_free(a, p->slots, p->nr_slots * sizeof(*p->slots));
	kmm_account_uncharge(a, KMM_RES_HOST_BYTES, p->extra_bytes);
	kmm_debug_object_free(p, KMM_DEBUG_PIPE);
	kmm_account_put(a);
}
KMM_EXPORT_INTERNAL(kmm_pipe_fini);

/**
 * kmm_pipe_close_end() - An end is gone for good.
 * @p: pipe
 * @read_end: the read end; else the write end
 *
 * Whoever sleeps at the other end wakes up and sees it.
 *
 * Context: task, may sleep; takes no lock.
 */
void kmm_pipe_close_end(struct kmm_pipe *p, bool read_end)
{
	bool *end = read_end ? &p->readable : &p->writable;

	/* Pairs with smp_load_acquire() in kmm_pipe_poll_mask(). */
	smp_store_release(end, false);
	if (read_end) {
		wake_up_interruptible_all(&p->wr_wait);
		kill_fasync(&p->fasync_writers, SIGIO, POLL_OUT);
	} else {
		wake_up_interruptible_all(&p->rd_wait);
		kill_fasync(&p->fasync_readers, SIGIO, POLL_IN);
	}
}
KMM_EXPORT_INTERNAL(kmm_pipe_close_end);

/**
 * kmm_pipe_info() - What a pipe holds.
 * @p: pipe
 * @info: filled
 *
 * Context: any; looks without the lock, so the figures are of about the same moment.
 */
void kmm_pipe_info(struct kmm_pipe *p, struct kmm_pipe_info *info)
{
	unsigned int tail = READ_ONCE(p->tail), nr_slots = READ_ONCE(p->nr_slots);

	*info = (struct kmm_pipe_info) {
		.id = p->id,
		.bytes = READ_ONCE(p->bytes),
		.size_bytes = (u64)nr_slots << PAGE_SHIFT,
		.frames = READ_ONCE(p->head) - tail + READ_ONCE(p->nr_spare),
		.host_bytes = p->extra_bytes + nr_slots * sizeof(*p->slots),
		.readers = READ_ONCE(p->readable),
		.writers = READ_ONCE(p->writable),
		.flags = p->flags,
	};
}
KMM_EXPORT_INTERNAL(kmm_pipe_info);

/**
 * kmm_pipe_check() - Count violations of the invariants, for tests.
 * @p: pipe
 *
 * Context: task, may sleep, takes the pipe's lock.
 * Return: 0 if all is well.
 */
unsigned long kmm_pipe_check(struct kmm_pipe *p)
{
	unsigned long bad = 0, bytes = 0;
	unsigned int i;

	mutex_lock(&p->lock);
	bad += p->head - p->tail > p->nr_slots;
	bad += !is_power_of_2(p->nr_slots);
	bad += p->nr_spare > KMM_PIPE_SPARES;
	for (i = 0; i < p->nr_slots; i++) {
		unsigned int n = p->tail + i;
		struct kmm_pipe_slot *slot = pipe_slot(p, n);

		if (i >= p->head - p->tail) {
			bad += !!slot->page;
			continue;
		}
		bad += !slot->page || !slot->len || slot->offset + slot->len > PAGE_SIZE;
		bad += slot->page && kmm_buddy_owner(p->set->buddy, slot->page) != p->account->id;
		bytes += slot->len;
	}
	bad += bytes != p->bytes;
	mutex_unlock(&p->lock);
	return bad;
}
KMM_EXPORT_INTERNAL(kmm_pipe_check);
