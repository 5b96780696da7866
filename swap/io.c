// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Swap to a file that does not tell where it lies
 *
 * tmpfs, 9p, overlay, nfs: there the bytes go through the file's own read and write. Others may
 * write to the file as well; it is called "file,shared" for that, and the checksums of swap.c find
 * what they did. What is truncated cannot be read.
 *
 * A write takes the inode's lock, and whoever holds that may be waiting for one of our pages:
 * somebody who writes to the swap file from memory that is swapped out to it. So
 *
 *	-	reading and writing have a thread each: a write that waits for that lock does not
 *		stop the read that its holder needs;
 *	-	who wants to write does not wait for ever, but IO_WRITE_SECONDS or until it is
 *		killed: then the page stays in the region, and its holder goes on; and until the
 *		thread has come back nobody else begins to wait for it;
 *	-	who reads can be killed.
 *
 * What one has stopped waiting for is still under way. So a request has pages of its own, host
 * memory, between the file and the caller's pages: nobody writes to a frame that belongs to
 * somebody else by then. A slot whose write was given up may be given out again: the writes of
 * one area are done in the order in which they came, and the last one wins.
 *
 * States of a request: idle; with its caller; queued, with two references, the caller's and the
 * thread's. Whoever drops the last one makes it idle again.
 *
 * Locks: a spinlock for the queue and the idle list of one direction, a leaf. The threads hold
 * none of kmm's locks when they enter the file system, under memalloc_noio_save().
 *
 * What this deliberately does not do: no more than one write and one read at a time.
 */
#include <linux/bvec.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/inject.h>
#include <kmm/swap.h>

/* As long as a disk needs to spin up, shorter than people wait for a hanging machine. */
#define IO_WRITE_SECONDS	5

/* Of each direction: one is with the thread while others are filled. */
#define IO_REQUESTS		3

/**
 * struct io_request - pages on their way
 * @node: in the queue, or in the idle list
 * @pages: of its own
 * @slot: first slot
 * @nr: pages
 * @err: result
 * @ref: caller and thread
 * @done: @err is there
 */
struct io_request {
	struct list_head node;
	struct page *pages[KMM_SWAP_BATCH];
	u32 slot;
	u32 nr;
	int err;
	refcount_t ref;
	struct completion done;
};

/**
 * struct io_way - one direction
 * @lock: protects the lists
 * @idle: requests
 * @queue: requests, the oldest first
 * @wait: the thread for a request, callers for an idle one
 * @task: the thread
 * @write: or read
 * @stalled: somebody has given up waiting, and nothing was done since; changes under @lock
 * @area: whose
 * @request: all
 */
struct io_way {
	spinlock_t lock;	/* nothing of kmm comes after it */
	struct list_head idle;
	struct list_head queue;
	wait_queue_head_t wait;
	struct task_struct *task;
	bool write;
	bool stalled;
	struct io_area *area;
	struct io_request request[IO_REQUESTS];
};

/**
 * struct io_area - a file
 * @file: reference
 * @account: pays
 * @way: reading and writing
 */
struct io_area {
	struct file *file;
	struct kmm_account *account;
	struct io_way way[2];
};

#define IO_PAGES	(2 * IO_REQUESTS * KMM_SWAP_BATCH)

/* === The thread === */

static ssize_t io_vfs(struct file *file, struct iov_iter *iter, loff_t *pos, bool write)
{
	ssize_t n;

	if (!write) {
		/* not a failure point: swap/swap.c has asked for the batch */
		return vfs_iter_read(file, iter, pos, 0);
	}
	kmm_host_file_start_write(file);
	/* not a failure point: as above */
	n = vfs_iter_write(file, iter, pos, 0);
	kmm_host_file_end_write(file);
	return n;
}

static int io_do(struct io_way *w, struct io_request *r)
{
	loff_t pos = (loff_t)r->slot << PAGE_SHIFT;
	struct bio_vec vecs[KMM_SWAP_BATCH];
	struct iov_iter iter;
	unsigned int i;
	ssize_t n;

	for (i = 0; i < r->nr; i++)
		vecs[i] = (struct bio_vec){ .bv_page = r->pages[i], .bv_len = PAGE_SIZE };
	iov_iter_bvec(&iter, w->write ? WRITE : READ, vecs, r->nr, r->nr * PAGE_SIZE);
	while (iov_iter_count(&iter)) {
		n = io_vfs(w->area->file, &iter, &pos, w->write);
		if (n == -EINTR)
			continue;
		/* 0: somebody has truncated it */
		if (n <= 0)
			return n ?: -EIO;
	}
	return 0;
}

static struct io_request *io_next(struct io_way *w)
{
	struct io_request *r;

	spin_lock(&w->lock);
	r = list_first_entry_or_null(&w->queue, struct io_request, node);
	if (r)
		list_del(&r->node);
	spin_unlock(&w->lock);
	return r;
}

static void io_put(struct io_way *w, struct io_request *r)
{
	if (!refcount_dec_and_test(&r->ref))
		return;
	spin_lock(&w->lock);
	list_add(&r->node, &w->idle);
	spin_unlock(&w->lock);
	wake_up_all(&w->wait);
}

static int io_thread(void *arg)
{
	struct io_way *w = arg;
	struct io_request *r = NULL;
	unsigned int noio = memalloc_noio_save();

	for (;;) {
		/* What is queued is done before the end: its caller may have gone. */
		wait_event_idle(w->wait, (r = io_next(w)) || kthread_should_stop());
		if (!r)
			break;
		r->err = io_do(w, r);
		spin_lock(&w->lock);
		WRITE_ONCE(w->stalled, false);
		complete(&r->done);
		spin_unlock(&w->lock);
		io_put(w, r);
	}
	memalloc_noio_restore(noio);
	return 0;
}

/* === The caller === */

static struct io_request *io_try_get(struct io_way *w)
{
	struct io_request *r;

	spin_lock(&w->lock);
	r = list_first_entry_or_null(&w->idle, struct io_request, node);
	if (r)
		list_del(&r->node);
	spin_unlock(&w->lock);
	return r;
}

static void io_copy(struct io_request *r, struct page **pages, bool to_request)
{
	unsigned int i;

	for (i = 0; i < r->nr; i++)
		if (to_request)
			copy_highpage(r->pages[i], pages[i]);
		else
			copy_highpage(pages[i], r->pages[i]);
}

/* What a wait has ended with: jiffies that were left, 0, or a signal. */
static int io_wait_result(long left)
{
	return left > 0 ? 0 : left ? -EINTR : -ETIMEDOUT;
}

static int io_rw(struct io_way *w, u32 slot, struct page **pages, unsigned int nr)
{
	long timeout = w->write ? IO_WRITE_SECONDS * HZ : MAX_SCHEDULE_TIMEOUT;
	struct io_request *r = NULL;
	int err;

	if (READ_ONCE(w->stalled))
		return -ETIMEDOUT;
	err = io_wait_result(wait_event_killable_timeout(w->wait, (r = io_try_get(w)), timeout));
	if (!r)
		return err;
	r->slot = slot;
	r->nr = nr;
	if (w->write)
		io_copy(r, pages, true);
	reinit_completion(&r->done);
	refcount_set(&r->ref, 2);
	spin_lock(&w->lock);
	list_add_tail(&r->node, &w->queue);
	spin_unlock(&w->lock);
	wake_up_all(&w->wait);

	err = io_wait_result(wait_for_completion_killable_timeout(&r->done, timeout));
	if (err == -ETIMEDOUT) {
		/* It may have ended just now: then nobody would come to say that it moves. */
		spin_lock(&w->lock);
		WRITE_ONCE(w->stalled, !completion_done(&r->done));
		spin_unlock(&w->lock);
	}
	if (!err)
		err = r->err;
	if (!err && !w->write)
		io_copy(r, pages, false);
	io_put(w, r);
	return err;
}

static int io_write(struct kmm_swap_area *a, u32 slot, struct page **pages, unsigned int nr)
{
	struct io_area *io = a->priv;

	return io_rw(&io->way[WRITE], slot, pages, nr);
}

static int io_read(struct kmm_swap_area *a, u32 slot, struct page **pages, unsigned int nr)
{
	struct io_area *io = a->priv;

	return io_rw(&io->way[READ], slot, pages, nr);
}

/* === Life === */

static void io_area_free(struct io_area *io)
{
	struct kmm_account *account = io->account;
	unsigned int d, i, k;

	for (d = 0; d < 2; d++)
		if (!IS_ERR_OR_NULL(io->way[d].task))
			kthread_stop(io->way[d].task);
	for (d = 0; d < 2; d++)
		for (i = 0; i < IO_REQUESTS; i++)
			for (k = 0; k < KMM_SWAP_BATCH; k++)
				if (io->way[d].request[i].pages[k])
					__free_page(io->way[d].request[i].pages[k]);
	kmm_account_uncharge(account, KMM_RES_HOST_BYTES, IO_PAGES * PAGE_SIZE);
	fput(io->file);
	kmm_account_free(account, io, sizeof(*io));
}

static void io_close(struct kmm_swap_area *a)
{
	io_area_free(a->priv);
}

static u64 io_tell(struct kmm_swap_area *a, char *buf, size_t size_bytes)
{
	struct io_area *io = a->priv;

	kmm_swap_tell_path(io->file, buf, size_bytes);
	return sizeof(*io) + IO_PAGES * PAGE_SIZE;
}

static const void *io_target(struct kmm_swap_area *a)
{
	struct io_area *io = a->priv;

	return io->file->f_mapping->host;
}

static const struct kmm_swap_ops io_ops = {
	.name = "file,shared",
	.write = io_write,
	.read = io_read,
	.close = io_close,
	.tell = io_tell,
	.target = io_target,
};

static int io_make_way(struct io_area *io, bool write)
{
	struct io_way *w = &io->way[write];
	unsigned int i, k;

	for (i = 0; i < IO_REQUESTS; i++) {
		struct io_request *r = &w->request[i];

		init_completion(&r->done);
		list_add(&r->node, &w->idle);
		for (k = 0; k < KMM_SWAP_BATCH; k++) {
			r->pages[k] = kmm_should_fail() ? NULL : alloc_page(GFP_KERNEL_ACCOUNT);
			if (!r->pages[k])
				return -ENOMEM;
		}
	}
	w->task = kmm_should_fail() ? ERR_PTR(-ENOMEM) :
		  kthread_run(io_thread, w, "kmm_swap_%s", write ? "write" : "read");
	return PTR_ERR_OR_ZERO(w->task);
}

/**
 * kmm_swap_io_add() - An area on a file through its own read and write.
 * @s: swap
 * @account: pays for pages between file and frames
 * @file: regular file, open for reading and writing, of a page at least
 * @prio: as kmm_swap_add()
 *
 * Context: task, may sleep.
 * Return: id; -EINVAL it has no read or write for the kernel; -EBUSY it is in use as swap; else as
 * kmm_swap_add().
 */
int kmm_swap_io_add(struct kmm_swap *s, struct kmm_account *account, struct file *file, int prio)
{
	u64 nr_slots = i_size_read(file->f_mapping->host) >> PAGE_SHIFT;
	struct io_area *io;
	unsigned int d;
	int err;

	if (!file->f_op->read_iter || !file->f_op->write_iter)
		return -EINVAL;
	/* an overlay's real file may be in use, too */
	if (IS_SWAPFILE(file->f_mapping->host) || IS_SWAPFILE(d_real_inode(file->f_path.dentry)))
		return -EBUSY;
	io = kmm_account_zalloc(account, sizeof(*io));
	if (IS_ERR(io))
		return PTR_ERR(io);
	err = kmm_account_try_charge(account, KMM_RES_HOST_BYTES, IO_PAGES * PAGE_SIZE);
	if (err) {
		kmm_account_free(account, io, sizeof(*io));
		return err;
	}
	io->account = account;
	io->file = get_file(file);
	for (d = 0; d < 2; d++) {
		struct io_way *w = &io->way[d];

		spin_lock_init(&w->lock);
		INIT_LIST_HEAD(&w->idle);
		INIT_LIST_HEAD(&w->queue);
		init_waitqueue_head(&w->wait);
		w->write = d == WRITE;
		w->area = io;
	}
	err = io_make_way(io, false) ?: io_make_way(io, true);
	if (err) {
		io_area_free(io);
		return err;
	}
	return kmm_swap_add(s, account, &io_ops, io, min_t(u64, nr_slots, KMM_SWAP_SLOTS_MAX),
			    prio);
}
