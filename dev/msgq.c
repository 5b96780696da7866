// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Message queues as files
 *
 * share/msgq.c knows queues and messages; here are the descriptors, names, user memory, objects,
 * and debugfs. A descriptor has an inode (kmm_file_create_node()) that holds the queue, and may
 * receive, send, or both; KMM_IOC_MSGQ_REOPEN makes one that may do less. The queue goes with its
 * last descriptor, which whoever is blocked in it has, and its name.
 *
 * Copies: one from the sender into the message, one out of it to the receiver, both without a
 * lock. User memory that is not present could make a copy wait for ever (userfaultfd, FUSE), and
 * with it a message that belongs to no queue and that nobody pays for. So a copy is made with page
 * faults off; where it fails the message is given back (or freed), the memory is faulted in
 * without holding anything, and all begins anew. A receiver whose memory cannot be written leaves
 * the message in the queue. The struct of the receiver is written in the same step as the
 * bytes, for the same reason.
 *
 * Gifts: frames go from an object into a message, and from a message into an object, under the
 * inode lock that serialises the object's writers. Who has it may be waiting for user memory, so
 * that too is waited for without a message or a place. A place is taken before the frames, because
 * they could not be put back unseen when the queue is full.
 *
 * Waiting: O_NONBLOCK of the descriptor or KMM_MSG_NOWAIT, a time from now or until when. A
 * call that a signal interrupts is started again when its handler says so (SA_RESTART), except
 * with a time from now, which would begin anew: that is -EINTR, as poll(2) does it.
 *
 * Locks: the inode lock of an object that gives or gets frames; inside it, for the time of a
 * call of share/msgq.c, the queue's. User memory is touched under neither.
 *
 * What this deliberately does not do: no read(2) and write(2), whose results have no place
 * for a priority.
 */
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/dev.h>
#include <kmm/inject.h>
#include <kmm/msgq.h>
#include <kmm/names.h>
#include <kmm/object.h>
#include <kmm/usercopy.h>

/* === Data === */

#define MSGQ_FLAGS	(KMM_MSGQ_READ | KMM_MSGQ_WRITE | KMM_MSGQ_NONBLOCK)
#define MSG_FLAGS	(KMM_MSG_NOWAIT | KMM_MSG_TIMEOUT | KMM_MSG_DEADLINE | KMM_MSG_GIFT)

/* What a receive tells: size_bytes and prio. */
#define MSG_REPLY_BYTES		(offsetofend(struct kmm_msgq_receive, prio) - \
				 offsetof(struct kmm_msgq_receive, size_bytes))

/**
 * struct msgq_node - what is behind an inode: one for each time that a queue is made or opened
 * @node: first member
 * @q: the queue; holds a reference
 * @account: who pays for inode and file; holds a reference
 */
struct msgq_node {
	struct kmm_node node;
	struct kmm_msgq *q;
	struct kmm_account *account;
};

static struct kmm_msgq *file_msgq(struct file *file)
{
	return file->private_data;
}

/* === User memory, page faults off === */

static bool msg_copy_in(struct kmm_msg *m, const char __user *from)
{
	u32 left = m->size_bytes;
	unsigned int i;
	bool ok;

	pagefault_disable();
	if (likely(left <= KMM_USERCOPY_FEW)) {
		ok = kmm_copy_few_from_user(m->data, from, left);
	} else if (!access_ok(from, left)) {
		ok = false;
	} else if (!m->nr_pages) {
		ok = !__copy_from_user_inatomic(m->data, from, left);
	} else {
		for (i = 0, ok = true; ok && i < m->nr_pages; i++) {
			u32 n = min_t(u32, left, PAGE_SIZE);

			ok = !__copy_from_user_inatomic(page_address(m->pages[i]), from, n);
			from += n;
			left -= n;
		}
	}
	pagefault_enable();
	return ok;
}

/* The bytes, then what the struct tells of them: a call that fails leaves it as it was. */
static bool msg_copy_out(const struct kmm_msg *m, char __user *to, const struct kmm_call *call)
{
	u32 left = m->size_bytes;
	unsigned int i;
	bool ok;

	pagefault_disable();
	if (likely(left <= KMM_USERCOPY_FEW && !m->nr_pages)) {
		ok = kmm_copy_few_to_user(to, m->data, left);
	} else if (!access_ok(to, left)) {
		ok = false;
	} else if (!m->nr_pages) {
		ok = !__copy_to_user_inatomic(to, m->data, left);
	} else {
		for (i = 0, ok = true; ok && i < m->nr_pages; i++) {
			u32 n = min_t(u32, left, PAGE_SIZE);

			ok = !__copy_to_user_inatomic(to, page_address(m->pages[i] ?: ZERO_PAGE(0)),
						      n);
			to += n;
			left -= n;
		}
	}
	/* what else is in the struct is as the caller has it */
	ok = ok && kmm_copy_few_to_user(call->uarg + offsetof(struct kmm_msgq_receive, size_bytes),
					&call->arg.msgq_receive.size_bytes, MSG_REPLY_BYTES);
	pagefault_enable();
	return ok;
}

/* === Sending and receiving === */

/* The time to wait: flags and time of both structs mean the same. */
static __always_inline int msgq_patience(const struct file *file, u32 flags, u64 time,
					 struct kmm_msgq_patience *patience)
{
	patience->nowait = flags & KMM_MSG_NOWAIT || file->f_flags & O_NONBLOCK;
	patience->deadline = KTIME_MAX;
	if (likely(!(flags & (KMM_MSG_TIMEOUT | KMM_MSG_DEADLINE))))
		return time ? -EINVAL : 0;
	if (flags & KMM_MSG_TIMEOUT && flags & KMM_MSG_DEADLINE)
		return -EINVAL;
	patience->deadline = min_t(u64, time, KTIME_MAX);
	if (flags & KMM_MSG_TIMEOUT)
		patience->deadline = ktime_add_safe(ktime_get(), patience->deadline);
	return 0;
}

/* What a call that waited returns. */
static int msgq_error(int err, u32 flags)
{
	return err == -ERESTARTSYS && flags & KMM_MSG_TIMEOUT ? -EINTR : err;
}

static struct kmm_msg *msg_from_user(struct kmm_msgq *q, const char __user *from, u32 size_bytes)
{
	struct kmm_msg *m;

	for (;;) {
		m = kmm_msg_alloc(q, size_bytes);
		if (IS_ERR(m) || likely(msg_copy_in(m, from)))
			return m;
		kmm_msg_free(q, m);
		if (fatal_signal_pending(current))
			return ERR_PTR(-EINTR);
		if (!access_ok(from, size_bytes) || fault_in_readable(from, size_bytes))
			return ERR_PTR(-EFAULT);
		cond_resched();
	}
}

/* The object that gives or gets frames; the caller drops the file. */
static struct file *msgq_get_object(int fd)
{
	struct file *file = fget(fd);
	int err = 0;

	if (!file)
		return ERR_PTR(-EBADF);
	if (!kmm_file_is_object(file))
		err = -EINVAL;
	else if (!(file->f_mode & FMODE_WRITE))
		err = -EACCES;
	if (!err)
		return file;
	fput(file);
	return ERR_PTR(err);
}

/* Takes the inode lock if nobody has it, else waits until it is free and returns false. */
static bool msgq_lock_object(struct inode *inode, struct kmm_msgq *q, struct kmm_msg *m)
{
	if (inode_trylock(inode))
		return true;
	if (m)
		kmm_msgq_give_back(q, m);
	else
		kmm_msgq_put_slot(q, NULL);
	inode_lock(inode);
	inode_unlock(inode);
	return false;
}

/* Frames of @from become a message. The caller has a slot and the inode lock. */
static struct kmm_msg *msg_from_object(struct kmm_msgq *q, struct file *from,
				       const struct kmm_msgq_send *s)
{
	unsigned int nr = s->size_bytes >> PAGE_SHIFT, nr_copied;
	struct kmm_msg *m = kmm_msg_alloc_empty(q);
	int taken;

	if (IS_ERR(m))
		return m;
	taken = kmm_object_take_pages(kmm_file_object(from), s->buf >> PAGE_SHIFT, nr, q->account,
				      m->pages, &nr_copied);
	if (taken < 0) {
		kmm_msg_free(q, m);
		return ERR_PTR(taken);
	}
	file_update_time(from);
	m->nr_pages = nr;
	m->size_bytes = s->size_bytes;
	m->prio = s->prio;
	return m;
}

static int msgq_send_gift(struct kmm_msgq *q, const struct kmm_msgq_send *s,
			  const struct kmm_msgq_patience *patience)
{
	struct inode *inode;
	struct file *from;
	struct kmm_msg *m;
	int err;

	if (!s->size_bytes || !PAGE_ALIGNED(s->buf | s->size_bytes))
		return -EINVAL;
	from = msgq_get_object(s->object);
	if (IS_ERR(from))
		return PTR_ERR(from);
	inode = file_inode(from);
	do {
		err = kmm_msgq_get_slot(q, patience);
	} while (!err && !msgq_lock_object(inode, q, NULL));
	if (!err) {
		m = msg_from_object(q, from, s);
		inode_unlock(inode);
		err = PTR_ERR_OR_ZERO(m);
		kmm_msgq_put_slot(q, err ? NULL : m);
	}
	fput(from);
	return err;
}

static int msgq_receive_gift(struct kmm_msgq *q, struct kmm_msgq_receive *r,
			     const struct kmm_msgq_patience *patience)
{
	struct inode *inode;
	struct kmm_msg *m;
	struct file *to;
	int err;

	if (!PAGE_ALIGNED(r->buf))
		return -EINVAL;
	to = msgq_get_object(r->object);
	if (IS_ERR(to))
		return PTR_ERR(to);
	inode = file_inode(to);
	do {
		m = kmm_msgq_receive(q, patience);
		err = PTR_ERR_OR_ZERO(m);
	} while (!err && !msgq_lock_object(inode, q, m));
	if (err)
		goto put;

	err = kmm_msg_move_to_frame(q, m);
	if (!err && m->nr_pages) {
		err = kmm_object_put_pages(kmm_file_object(to), r->buf >> PAGE_SHIFT, m->nr_pages,
					   q->account, m->pages);
		if (!err) {
			m->nr_pages = 0;
			file_update_time(to);
		}
	}
	inode_unlock(inode);
	if (err) {
		kmm_msgq_give_back(q, m);
		goto put;
	}
	r->size_bytes = m->size_bytes;
	r->prio = m->prio;
	kmm_msg_free(q, m);
put:
	fput(to);
	return err;
}

/**
 * kmm_call_msgq_send() - KMM_IOC_MSGQ_SEND.
 * @call: arg.msgq_send
 *
 * Context: task, may sleep. Return: 0 or a negative errno of the uapi header, or -ERESTARTSYS.
 */
int kmm_call_msgq_send(struct kmm_call *call)
{
	const struct kmm_msgq_send *s = &call->arg.msgq_send;
	struct kmm_msgq *q = file_msgq(call->file);
	struct kmm_msgq_patience patience;
	struct kmm_msg *m;
	int err;

	if (!(call->file->f_mode & FMODE_WRITE))
		return -EACCES;
	if (s->flags & ~MSG_FLAGS || s->prio >= KMM_MSGQ_PRIO_MAX ||
	    (s->object && !(s->flags & KMM_MSG_GIFT)))
		return -EINVAL;
	err = msgq_patience(call->file, s->flags, s->time, &patience);
	if (err)
		return err;
	if (s->size_bytes > q->msgsize)
		return -EMSGSIZE;
	if (unlikely(s->flags & KMM_MSG_GIFT))
		return msgq_error(msgq_send_gift(q, s, &patience), s->flags);
	m = msg_from_user(q, u64_to_user_ptr(s->buf), s->size_bytes);
	if (IS_ERR(m))
		return PTR_ERR(m);
	m->prio = s->prio;
	err = kmm_msgq_send(q, m, &patience);
	if (unlikely(err)) {
		kmm_msg_free(q, m);
		return msgq_error(err, s->flags);
	}
	call->replied = true;
	return 0;
}

/**
 * kmm_call_msgq_receive() - KMM_IOC_MSGQ_RECEIVE.
 * @call: arg.msgq_receive
 *
 * Context: task, may sleep. Return: 0 or a negative errno of the uapi header, or -ERESTARTSYS.
 */
int kmm_call_msgq_receive(struct kmm_call *call)
{
	struct kmm_msgq_receive *r = &call->arg.msgq_receive;
	char __user *to = u64_to_user_ptr(r->buf);
	struct kmm_msgq *q = file_msgq(call->file);
	struct kmm_msgq_patience patience;
	struct kmm_msg *m;
	int err;

	if (!(call->file->f_mode & FMODE_READ))
		return -EACCES;
	if (r->flags & ~MSG_FLAGS || r->prio || (r->object && !(r->flags & KMM_MSG_GIFT)))
		return -EINVAL;
	err = msgq_patience(call->file, r->flags, r->time, &patience);
	if (err)
		return err;
	if (r->size_bytes < q->msgsize)
		return -EMSGSIZE;
	if (unlikely(r->flags & KMM_MSG_GIFT))
		return msgq_error(msgq_receive_gift(q, r, &patience), r->flags);
	for (;;) {
		m = kmm_msgq_receive(q, &patience);
		if (IS_ERR(m))
			return msgq_error(PTR_ERR(m), r->flags);
		r->size_bytes = m->size_bytes;
		r->prio = m->prio;
		if (likely(msg_copy_out(m, to, call)))
			break;
		kmm_msgq_give_back(q, m);
		if (fatal_signal_pending(current))
			return -EINTR;
		if (!access_ok(to, r->size_bytes) ||
		    fault_in_safe_writeable(to, r->size_bytes) ||
		    fault_in_safe_writeable(call->uarg, call->usize))
			return -EFAULT;
		cond_resched();
	}
	kmm_msg_free(q, m);
	call->replied = true;
	return 0;
}

/**
 * kmm_call_msgq_info() - KMM_IOC_MSGQ_INFO.
 * @call: arg.msgq_info
 *
 * Context: task. Return: 0.
 */
int kmm_call_msgq_info(struct kmm_call *call)
{
	kmm_msgq_info(file_msgq(call->file), &call->arg.msgq_info);
	return 0;
}

/* === Descriptors === */

static __poll_t msgq_poll(struct file *file, struct poll_table_struct *wait)
{
	struct kmm_msgq *q = file_msgq(file);
	bool readable, writable;
	__poll_t events = 0;

	poll_wait(file, &q->poll_wait, wait);
	kmm_msgq_poll(q, &readable, &writable);
	if (readable && file->f_mode & FMODE_READ)
		events |= EPOLLIN | EPOLLRDNORM;
	if (writable && file->f_mode & FMODE_WRITE)
		events |= EPOLLOUT | EPOLLWRNORM;
	return events;
}

static long msgq_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return kmm_call_run(file, cmd, arg, KMM_ON_MSGQ);
}

static const struct file_operations msgq_file_ops = {
	.owner = THIS_MODULE,
	.release = kmm_file_release,
	.poll = msgq_poll,
	.unlocked_ioctl = msgq_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = no_llseek,
};

static void msgq_release(struct kmm_node *node)
{
	struct msgq_node *n = container_of(node, struct msgq_node, node);
	struct kmm_account *a = n->account;

	kmm_msgq_put(n->q);
	kmm_account_free(a, n, sizeof(*n));
	kmm_account_uncharge(a, KMM_RES_HOST_BYTES, KMM_FILE_BYTES);
	kmm_account_put(a);
}

/* Flags of open(2) for KMM_MSGQ_*, or -EINVAL. */
static int msgq_open_flags(u32 flags)
{
	int nonblock = flags & KMM_MSGQ_NONBLOCK ? O_NONBLOCK : 0;

	if (flags & ~MSGQ_FLAGS)
		return -EINVAL;
	switch (flags & (KMM_MSGQ_READ | KMM_MSGQ_WRITE)) {
	case KMM_MSGQ_READ:
		return O_RDONLY | nonblock;
	case KMM_MSGQ_WRITE:
		return O_WRONLY | nonblock;
	case KMM_MSGQ_READ | KMM_MSGQ_WRITE:
		return O_RDWR | nonblock;
	default:
		return -EINVAL;
	}
}

/* @file: a new file of @q, or ERR_PTR */
static struct file *msgq_set_file(struct file *file, struct kmm_msgq *q)
{
	if (!IS_ERR(file))
		file->private_data = q;
	return file;
}

/* A file with an inode of its own, that @a pays for. Takes over a reference of @q. */
static struct file *msgq_open_file(struct kmm_account *a, struct kmm_msgq *q, int open_flags)
{
	struct msgq_node *n;
	struct file *file;
	int err;

	err = kmm_account_try_charge(a, KMM_RES_HOST_BYTES, KMM_FILE_BYTES);
	if (err)
		goto put;
	n = kmm_account_zalloc(a, sizeof(*n));
	if (IS_ERR(n)) {
		err = PTR_ERR(n);
		goto uncharge;
	}
	n->node.release = msgq_release;
	n->q = q;
	n->account = a;
	kmm_account_get(a);
	file = kmm_file_create_node(&n->node, &msgq_file_ops, 0600, open_flags);
	if (IS_ERR(file))
		msgq_release(&n->node);
	return msgq_set_file(file, q);

uncharge:
	kmm_account_uncharge(a, KMM_RES_HOST_BYTES, KMM_FILE_BYTES);
put:
	kmm_msgq_put(q);
	return ERR_PTR(err);
}

/**
 * kmm_call_msgq_create() - KMM_IOC_MSGQ_CREATE.
 * @call: arg.msgq_create
 *
 * Context: task, may sleep. Return: 0 or a negative errno of the uapi header.
 */
int kmm_call_msgq_create(struct kmm_call *call)
{
	struct kmm_msgq_create *c = &call->arg.msgq_create;
	struct kmm_session *s = call->file->private_data;
	int open_flags, err;
	struct kmm_msgq *q;

	open_flags = msgq_open_flags(c->flags);
	if (open_flags < 0)
		return open_flags;
	q = kmm_msgq_create(kmm_dev_env.msgqs, s->account, c->maxmsg, c->msgsize, NULL, 0);
	if (IS_ERR(q))
		return PTR_ERR(q);
	err = kmm_call_offer_file(call, msgq_open_file(s->account, q, open_flags));
	if (!err)
		c->fd = call->new_fd;
	return err;
}

/* === Names === */

static void msgq_name_get(void *ref)
{
	struct kmm_msgq *q = ref;

	/* once for the name itself, later for those who open it */
	WRITE_ONCE(q->linked, true);
	kmm_msgq_get(q);
}

static void msgq_name_put(void *ref)
{
	struct kmm_msgq *q = ref;

	WRITE_ONCE(q->linked, false);
	kmm_msgq_put(q);
}

static u64 msgq_name_id(void *ref)
{
	return ((struct kmm_msgq *)ref)->id;
}

const struct kmm_name_ops kmm_msgq_name_ops = {
	.get = msgq_name_get,
	.put = msgq_name_put,
	.id = msgq_name_id,
};

static void msgq_forget(struct kmm_call *call)
{
	kmm_names_forget(kmm_dev_env.names, KMM_NAME_MSGQ, call->undo_arg);
}

/* The queue that has the name. */
static struct file *msgq_open_existing(struct kmm_account *a, const struct kmm_name_key *key,
				       u32 flags, int open_flags)
{
	int access = (flags & KMM_MSGQ_READ ? MAY_READ : 0) |
		     (flags & KMM_MSGQ_WRITE ? MAY_WRITE : 0);
	struct kmm_msgq *q;

	/* As open(2): EXCL fails whatever the mode says. */
	q = kmm_names_get(kmm_dev_env.names, KMM_NAME_MSGQ, key,
			  flags & KMM_MSGQ_EXCL ? 0 : access, NULL);
	if (IS_ERR(q))
		return ERR_CAST(q);
	if (flags & KMM_MSGQ_EXCL) {
		kmm_msgq_put(q);
		return ERR_PTR(-EEXIST);
	}
	return msgq_open_file(a, q, open_flags);
}

/* A new queue that gets the name. -EEXIST: somebody else was faster. */
static struct file *msgq_open_new(struct kmm_call *call, struct kmm_account *a,
				  const struct kmm_name_key *key, int open_flags)
{
	const struct kmm_msgq_open *m = &call->arg.msgq_open;
	struct kmm_name_attr attr;
	struct kmm_msgq *q;
	struct file *file;
	int err;

	q = kmm_msgq_create(kmm_dev_env.msgqs, a, m->maxmsg, m->msgsize, key->bytes, key->len);
	if (IS_ERR(q))
		return ERR_CAST(q);
	file = msgq_open_file(a, q, open_flags);
	if (IS_ERR(file))
		return file;
	kmm_name_attr_init(&attr, m->mode);
	err = kmm_names_add(kmm_dev_env.names, KMM_NAME_MSGQ, key, &attr, a, q);
	if (err) {
		fput(file);
		return ERR_PTR(err);
	}
	/* The file holds the queue until the call is over, and undo comes before. */
	call->undo = msgq_forget;
	call->undo_arg = q;
	return file;
}

/**
 * kmm_call_msgq_open() - KMM_IOC_MSGQ_OPEN.
 * @call: arg.msgq_open
 *
 * Context: task, may sleep. Return: 0 or a negative errno of the uapi header.
 */
int kmm_call_msgq_open(struct kmm_call *call)
{
	const u32 create = KMM_MSGQ_CREATE, excl = KMM_MSGQ_EXCL;
	struct kmm_msgq_open *m = &call->arg.msgq_open;
	struct kmm_session *s = call->file->private_data;
	struct kmm_name_key key;
	int open_flags, err;
	struct file *file;

	open_flags = msgq_open_flags(m->flags & ~(create | excl));
	if (open_flags < 0)
		return open_flags;
	if (m->mode & ~0777 || m->reserved || (m->flags & excl && !(m->flags & create)) ||
	    (!(m->flags & create) && (m->maxmsg || m->msgsize || m->mode)))
		return -EINVAL;
	err = kmm_name_key_copy(&key, m->name, m->name_len);
	if (err)
		return err;

	m->created = 0;
	for (;;) {
		file = msgq_open_existing(s->account, &key, m->flags, open_flags);
		if (file != ERR_PTR(-ENOENT) || !(m->flags & create))
			break;
		file = msgq_open_new(call, s->account, &key, open_flags);
		m->created = !IS_ERR(file);
		if (file != ERR_PTR(-EEXIST))
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	err = kmm_call_offer_file(call, file);
	if (!err)
		m->fd = call->new_fd;
	return err;
}

/**
 * kmm_call_msgq_unlink() - KMM_IOC_MSGQ_UNLINK.
 * @call: arg.msgq_unlink
 *
 * Context: task, may sleep. Return: 0 or a negative errno of the uapi header.
 */
int kmm_call_msgq_unlink(struct kmm_call *call)
{
	const struct kmm_msgq_unlink *u = &call->arg.msgq_unlink;
	struct kmm_name_key key;
	int err;

	if (u->flags)
		return -EINVAL;
	/* there is nothing to tell that could fail when the name is gone */
	call->replied = true;
	err = kmm_name_key_copy(&key, u->name, u->name_len);
	return err ?: kmm_names_unlink(kmm_dev_env.names, KMM_NAME_MSGQ, &key);
}

/**
 * kmm_call_msgq_reopen() - KMM_IOC_MSGQ_REOPEN.
 * @call: arg.msgq_reopen
 *
 * Context: task, may sleep. Return: 0 or a negative errno of the uapi header.
 */
int kmm_call_msgq_reopen(struct kmm_call *call)
{
	struct kmm_msgq_reopen *r = &call->arg.msgq_reopen;
	int open_flags = msgq_open_flags(r->flags), err;
	struct file *file = call->file;

	if (open_flags < 0)
		return open_flags;
	if ((r->flags & KMM_MSGQ_READ && !(file->f_mode & FMODE_READ)) ||
	    (r->flags & KMM_MSGQ_WRITE && !(file->f_mode & FMODE_WRITE)))
		return -EACCES;
	file = msgq_set_file(kmm_file_reopen_node(file, &msgq_file_ops, open_flags),
			     file_msgq(file));
	err = kmm_call_offer_file(call, file);
	if (!err)
		r->fd = call->new_fd;
	return err;
}

/* === debugfs === */

static void *msgq_start(struct seq_file *m, loff_t *pos)
{
	mutex_lock(&kmm_dev_env.msgqs->lock);
	return seq_list_start_head(&kmm_dev_env.msgqs->list, *pos);
}

static void *msgq_next(struct seq_file *m, void *v, loff_t *pos)
{
	return seq_list_next(v, &kmm_dev_env.msgqs->list, pos);
}

static void msgq_stop(struct seq_file *m, void *v)
{
	mutex_unlock(&kmm_dev_env.msgqs->lock);
}

static int msgq_show(struct seq_file *m, void *v)
{
	struct kmm_msgq_info info;
	struct kmm_msgq *q;

	if (v == &kmm_dev_env.msgqs->list) {
		seq_printf(m, "%8s %8s %8s %10s %8s %9s %7s %11s %8s %8s %6s %s\n", "id", "messages",
			   "maxmsg", "bytes", "msgsize", "receivers", "senders", "reserved_kB",
			   "uid", "pid", "linked", "name");
		return 0;
	}
	/* a queue leaves the list before anything of it goes */
	q = list_entry(v, struct kmm_msgq, node);
	kmm_msgq_info(q, &info);
	seq_printf(m, "%8llu %8u %8u %10llu %8u %9u %7u %11llu %8u %8d %6d ",
		   info.id, info.messages,
		   info.maxmsg, info.bytes, info.msgsize, info.receivers, info.senders,
		   info.reserved_frames << (PAGE_SHIFT - 10),
		   from_kuid_munged(seq_user_ns(m), q->uid), q->pid, READ_ONCE(q->linked));
	kmm_seq_word(m, q->name);
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations msgq_sops = {
	.start = msgq_start,
	.next = msgq_next,
	.stop = msgq_stop,
	.show = msgq_show,
};
DEFINE_SEQ_ATTRIBUTE(msgq);

/**
 * kmm_debugfs_msgq_init() - debugfs msgq: queues, one a line.
 * @dir: kmm's folder, which takes the file with it
 *
 * Context: task, may sleep.
 */
void kmm_debugfs_msgq_init(struct dentry *dir)
{
	debugfs_create_file("msgq", 0444, dir, NULL, &msgq_fops);
}
