// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Pipes as files
 *
 * The two ends of a pipe (share/pipe.c) as descriptors: one inode, of type S_IFIFO, and one file
 * for each end. dup, fork and SCM_RIGHTS share the file, so an end is closed when the last
 * descriptor of it is, and an end cannot be opened again by its path. The pipe is freed when
 * both are gone.
 *
 * F_SETFL works as on any file: O_NONBLOCK is looked at in every read and write, and O_DIRECT
 * (which the host allows on any S_IFIFO) makes packets of what is written from then on. The
 * files are streams (stream_open()): no position, -ESPIPE for lseek, pread and pwrite.
 *
 * Splice copies; a frame of the region is never lent to the host, whose pipes may hold a page
 * long after rmmod. What is spliced out is copied into pages of the host, with the host's own
 * buffer operations; what is spliced in comes through write_iter.
 *
 * Waiting in splice. The host calls splice_read, and our write_iter below
 * iter_file_splice_write(), with the lock of its own pipe held. Nobody could use that pipe
 * while we slept there. So a read or write whose buffer is the kernel's never sleeps for
 * room or bytes, and the two splice functions wait themselves, without the host's lock,
 * and then try again. splice_read looks again after that for room and for a reader at the
 * other side. Both ends of this bridge may so be filled and emptied by others at the same time;
 * bytes are taken out of ours only when there is room for them in the other.
 *
 * Locks: the host's pipe->mutex, then the pipe's lock (in splice only). No lock in poll and in
 * release.
 *
 * What this deliberately does not do: tee(2) and F_SETPIPE_SZ, which the host has for its own
 * pipes only; KMM_IOC_PIPE_RESIZE is there for the second. No sendfile out of a pipe, which the
 * host does not do for its own either.
 */
#include <linux/capability.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pipe_fs_i.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/string_helpers.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include <asm/ioctls.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/dev.h>
#include <kmm/inject.h>
#include <kmm/pipe.h>

/* === Data === */

/**
 * struct pipe_node - a pipe with its inode
 * @node: of dev/file.c
 * @pipe: the pipe
 */
struct pipe_node {
	struct kmm_node node;
	struct kmm_pipe pipe;
};

/* Two files with a dentry each on one inode. */
#define PIPE_EXTRA_BYTES	(sizeof(struct pipe_node) + KMM_FILE_BYTES +		\
				 sizeof(struct dentry) + sizeof(struct file))

static_assert(KMM_PIPE_SIZE_DEFAULT <= KMM_PIPE_SIZE_MAX);

/* === Read, write, poll === */

static unsigned int pipe_rw_flags(struct kiocb *iocb, struct iov_iter *iter)
{
	unsigned int flags = 0;

	if (iocb->ki_filp->f_flags & O_NONBLOCK || iocb->ki_flags & IOCB_NOWAIT ||
	    !user_backed_iter(iter))
		flags |= KMM_PIPE_NOWAIT;
	if (iocb->ki_filp->f_flags & O_DIRECT)
		flags |= KMM_PIPE_AS_PACKET;
	return flags;
}

static ssize_t pipe_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct file *file = iocb->ki_filp;
	ssize_t ret = kmm_pipe_read(file->private_data, to, pipe_rw_flags(iocb, to));

	if (ret > 0)
		file_accessed(file);
	return ret;
}

static ssize_t pipe_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct file *file = iocb->ki_filp;
	ssize_t ret = kmm_pipe_write(file->private_data, from, pipe_rw_flags(iocb, from));

	if (ret > 0)
		file_update_time(file);
	return ret;
}

static __poll_t pipe_poll(struct file *file, struct poll_table_struct *wait)
{
	struct kmm_pipe *p = file->private_data;

	if (file->f_mode & FMODE_READ)
		poll_wait(file, &p->rd_wait, wait);
	if (file->f_mode & FMODE_WRITE)
		poll_wait(file, &p->wr_wait, wait);
	/* On the queue, then look. Pairs with wq_has_sleeper() in pipe_wake_reader(), _writer(). */
	smp_mb();
	return kmm_pipe_poll_mask(p, file->f_mode & FMODE_READ, file->f_mode & FMODE_WRITE);
}

static int pipe_fasync(int fd, struct file *file, int on)
{
	struct kmm_pipe *p = file->private_data;

	return fasync_helper(fd, file, on, file->f_mode & FMODE_READ ? &p->fasync_readers :
								       &p->fasync_writers);
}

/* === Splice === */

static void splice_release_page(struct splice_pipe_desc *spd, unsigned int i)
{
	put_page(spd->pages[i]);
}

/* What is there, without sleeping for it, into at most @room pages of the host. */
static ssize_t splice_copy(struct kmm_pipe *p, struct pipe_inode_info *to, unsigned int room,
			   size_t len)
{
	struct partial_page partial[PIPE_DEF_BUFFERS];
	struct page *pages[PIPE_DEF_BUFFERS];
	struct splice_pipe_desc spd = {
		.pages = pages,
		.partial = partial,
		.nr_pages_max = PIPE_DEF_BUFFERS,
		.ops = &nosteal_pipe_buf_ops,
		.spd_release = splice_release_page,
	};
	ssize_t ret = 0;

	room = min_t(unsigned int, room, PIPE_DEF_BUFFERS);
	while (len && spd.nr_pages < room) {
		struct page *page = kmm_should_fail() ? NULL :
				    alloc_page(GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		struct kvec vec;
		struct iov_iter iter;

		if (!page) {
			ret = -ENOMEM;
			break;
		}
		vec.iov_base = page_address(page);
		vec.iov_len = min_t(size_t, len, PAGE_SIZE);
		iov_iter_kvec(&iter, ITER_DEST, &vec, 1, vec.iov_len);
		ret = kmm_pipe_read(p, &iter, KMM_PIPE_NOWAIT);
		if (ret <= 0) {
			put_page(page);
			break;
		}
		pages[spd.nr_pages] = page;
		partial[spd.nr_pages++] = (struct partial_page) { .len = ret };
		len -= ret;
	}
	return spd.nr_pages ? splice_to_pipe(to, &spd) : ret;
}

static bool splice_can_write(const struct pipe_inode_info *to)
{
	return !pipe_full(READ_ONCE(to->head), READ_ONCE(to->tail), READ_ONCE(to->max_usage)) ||
	       !READ_ONCE(to->readers);
}

/* The caller holds the lock of @to. */
static ssize_t pipe_splice_read(struct file *in, loff_t *ppos, struct pipe_inode_info *to,
				size_t len, unsigned int flags)
{
	bool nowait = in->f_flags & O_NONBLOCK || flags & SPLICE_F_NONBLOCK;
	struct kmm_pipe *p = in->private_data;
	unsigned int used;
	ssize_t ret;

	for (;;) {
		if (!to->readers) {
			send_sig(SIGPIPE, current, 0);
			return -EPIPE;
		}
		used = pipe_occupancy(to->head, to->tail);
		ret = used >= to->max_usage ? -EAGAIN :
		      splice_copy(p, to, to->max_usage - used, len);
		if (ret != -EAGAIN || nowait)
			break;
		pipe_unlock(to);
		ret = kmm_pipe_wait_readable(p);
		if (!ret)
			ret = wait_event_interruptible(to->wr_wait, splice_can_write(to));
		pipe_lock(to);
		if (ret)
			break;
	}
	if (ret > 0)
		file_accessed(in);
	return ret;
}

static ssize_t pipe_splice_write(struct pipe_inode_info *from, struct file *out, loff_t *ppos,
				 size_t len, unsigned int flags)
{
	struct kmm_pipe *p = out->private_data;
	ssize_t ret;

	for (;;) {
		ret = iter_file_splice_write(from, out, ppos, len, flags);
		/* With SPLICE_F_NONBLOCK it may also be @from that has nothing. */
		if (ret != -EAGAIN || out->f_flags & O_NONBLOCK || flags & SPLICE_F_NONBLOCK)
			return ret;
		ret = kmm_pipe_wait_writable(p);
		if (ret)
			return ret;
	}
}

/* === Life === */

static long pipe_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct kmm_pipe *p = file->private_data;

	if (cmd == FIONREAD)
		return put_user((int)READ_ONCE(p->bytes), (int __user *)arg);
	return kmm_call_run(file, cmd, arg, KMM_ON_PIPE);
}

static int pipe_release(struct inode *inode, struct file *file)
{
	kmm_pipe_close_end(file->private_data, file->f_mode & FMODE_READ);
	return kmm_file_release(inode, file);
}

static const struct file_operations pipe_fops = {
	.owner = THIS_MODULE,
	.release = pipe_release,
	.read_iter = pipe_read_iter,
	.write_iter = pipe_write_iter,
	.poll = pipe_poll,
	.fasync = pipe_fasync,
	.splice_read = pipe_splice_read,
	.splice_write = pipe_splice_write,
	.unlocked_ioctl = pipe_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static void pipe_free(struct kmm_node *node)
{
	struct pipe_node *n = container_of(node, struct pipe_node, node);

	kmm_pipe_fini(&n->pipe);
	kfree(n);
}

static int pipe_may_have(u64 size_bytes)
{
	if (size_bytes > KMM_PIPE_SIZE_HARD_MAX)
		return -EFBIG;
	return size_bytes > KMM_PIPE_SIZE_MAX && !capable(CAP_SYS_RESOURCE) ? -EPERM : 0;
}

/* A file that is one end of @p. */
static struct file *pipe_end(struct file *file, struct kmm_pipe *p)
{
	if (!IS_ERR(file)) {
		file->private_data = p;
		stream_open(file_inode(file), file);
	}
	return file;
}

/**
 * kmm_call_pipe_create() - KMM_IOC_PIPE_CREATE.
 * @call: on /dev/kmm
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_pipe_create(struct kmm_call *call)
{
	struct kmm_pipe_create *c = &call->arg.pipe_create;
	struct kmm_session *s = call->file->private_data;
	int flags = c->flags & KMM_PIPE_NONBLOCK ? O_NONBLOCK : 0;
	struct kmm_pipe_attr attr;
	struct pipe_node *n;
	struct file *file;
	int err;

	if (c->flags & ~(KMM_PIPE_NONBLOCK | KMM_PIPE_PACKET) || c->reserved)
		return -EINVAL;
	if (!c->size_bytes)
		c->size_bytes = KMM_PIPE_SIZE_DEFAULT;
	err = pipe_may_have(c->size_bytes);
	if (err)
		return err;
	n = kmm_should_fail() ? NULL : kzalloc(sizeof(*n), GFP_KERNEL_ACCOUNT);
	if (!n)
		return -ENOMEM;
	n->node.release = pipe_free;
	attr = (struct kmm_pipe_attr) {
		.size_bytes = c->size_bytes,
		.flags = c->flags,
		.extra_bytes = PIPE_EXTRA_BYTES,
	};
	err = kmm_pipe_init(&n->pipe, kmm_dev_env.pipes, s->account, &attr);
	if (err) {
		kfree(n);
		return err;
	}
	c->size_bytes = (u64)n->pipe.nr_slots << PAGE_SHIFT;

	file = kmm_file_create_node(&n->node, &pipe_fops, S_IFIFO | 0600, O_RDONLY | flags);
	if (IS_ERR(file)) {
		pipe_free(&n->node);
		return PTR_ERR(file);
	}
	/* From here the file owns it, and whoever runs the call the file. */
	err = kmm_call_offer_file(call, pipe_end(file, &n->pipe));
	if (err)
		return err;
	c->fd_read = call->new_fd;

	if (c->flags & KMM_PIPE_PACKET)
		flags |= O_DIRECT;
	file = kmm_file_reopen_node(file, &pipe_fops, O_WRONLY | flags);
	err = kmm_call_offer_file(call, pipe_end(file, &n->pipe));
	if (!err)
		c->fd_write = call->new_fd;
	return err;
}

/**
 * kmm_call_pipe_resize() - KMM_IOC_PIPE_RESIZE.
 * @call: on either end
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_pipe_resize(struct kmm_call *call)
{
	struct kmm_pipe_resize *r = &call->arg.pipe_resize;
	struct kmm_pipe *p = call->file->private_data;
	int err = pipe_may_have(r->size_bytes);

	if (!err)
		err = kmm_pipe_resize(p, r->size_bytes);
	if (!err)
		r->size_bytes = (u64)READ_ONCE(p->nr_slots) << PAGE_SHIFT;
	return err;
}

/**
 * kmm_call_pipe_info() - KMM_IOC_PIPE_INFO.
 * @call: on either end
 *
 * Context: task. Return: 0.
 */
int kmm_call_pipe_info(struct kmm_call *call)
{
	kmm_pipe_info(call->file->private_data, &call->arg.pipe_info);
	return 0;
}

/* === debugfs pipes === */

static void *pipes_start(struct seq_file *m, loff_t *pos)
{
	mutex_lock(&kmm_dev_env.pipes->lock);
	return seq_list_start_head(&kmm_dev_env.pipes->list, *pos);
}

static void *pipes_next(struct seq_file *m, void *v, loff_t *pos)
{
	return seq_list_next(v, &kmm_dev_env.pipes->list, pos);
}

static void pipes_stop(struct seq_file *m, void *v)
{
	mutex_unlock(&kmm_dev_env.pipes->lock);
}

static int pipes_show(struct seq_file *m, void *v)
{
	struct kmm_pipe_info info;
	struct kmm_pipe *p;

	if (v == &kmm_dev_env.pipes->list) {
		seq_printf(m, "%8s %10s %10s %7s %10s %7s %7s %5s %8s %8s %s\n", "id",
			   "bytes", "capacity", "frames", "host_bytes", "readers", "writers",
			   "flags", "uid", "pid", "comm");
		return 0;
	}
	/* A pipe leaves the list before anything of it goes. */
	p = list_entry(v, struct kmm_pipe, node);
	kmm_pipe_info(p, &info);
	seq_printf(m, "%8llu %10llu %10llu %7llu %10llu %7u %7u %#5x %8u %8d ", info.id,
		   info.bytes, info.size_bytes, info.frames, info.host_bytes, info.readers,
		   info.writers, info.flags, from_kuid_munged(seq_user_ns(m), p->uid), p->pid);
	kmm_seq_word(m, p->comm);
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations pipes_sops = {
	.start = pipes_start,
	.next = pipes_next,
	.stop = pipes_stop,
	.show = pipes_show,
};
DEFINE_SEQ_ATTRIBUTE(pipes);

/**
 * kmm_debugfs_pipes_init() - Make debugfs pipes.
 * @dir: debugfs folder of kmm; who removes it removes the file
 *
 * Context: task, may sleep.
 */
void kmm_debugfs_pipes_init(struct dentry *dir)
{
	debugfs_create_file("pipes", 0444, dir, NULL, &pipes_fops);
}
