// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Address spaces as files
 *
 * The user side of vm/space.c: a descriptor for each space, its ioctls, and pread and
 * pwrite at a virtual address. A space has an inode of its own (dev/file.c) and lives as long
 * as a descriptor does, wherever it went; its folder in debugfs lives a little shorter.
 *
 * Who pays. A space, its areas and tables, the private frames, its descriptor and its folder in
 * debugfs are charged to the account of the open file of /dev/kmm on which it was created. A
 * clone is paid by whoever pays for the original, also when another process makes it.
 *
 * Access (KMM_IOC_SPACE_ACCESS, pread, pwrite). Data goes through a bounce buffer in host
 * memory, charged for the time of the call: user memory is copied before and after, never under a
 * lock of kmm and never while a root of ours is in CR3. So a user page that is slow to come
 * (userfaultfd, FUSE) holds up nobody else. The hardware path is reached from
 * kmm_call_space_access() alone, after the check of CAP_SYS_ADMIN; pread and pwrite take the
 * software path.
 *
 * pread and pwrite are those of /proc/PID/mem: the offset is the address, seeking is
 * relative to the start or the position only (a space has no end), what cannot be accessed ends
 * the transfer with a partial count, or -EIO when nothing was transferred. Other than there the
 * areas' rights hold (that file may write where the process may not), a limit that is reached is
 * told as such, and an error in the caller's buffer does not hide what was done before.
 *
 * Walk. The kernel half of the full root is the host's; addresses there are refused before any
 * table is looked at. Physical addresses are told to CAP_SYS_ADMIN only: others read zeros in
 * bits 12 to 51 of each entry.
 *
 * Locks: the space's own, taken below; here only for the walk. None is held over a user copy.
 *
 * Invariants: a descriptor that user space can see has a space; a space has at most one
 * folder, made before the first descriptor is installed and removed, with its readers waited
 * for, before the space is destroyed.
 *
 * What this deliberately does not do: no mmap of a space (its pages are mapped by way of their
 * objects), no weaker descriptors, no splice.
 */
#include <linux/bits.h>
#include <linux/capability.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include <kmm/account.h>
#include <kmm/dev.h>
#include <kmm/inject.h>
#include <kmm/space.h>

/* === Data === */

/**
 * struct space_node - what is behind the descriptors of a space
 * @node: first
 * @space: owned
 * @dir: folder in debugfs; NULL or an error when there is none
 *
 * Immutable while a descriptor exists.
 */
struct space_node {
	struct kmm_node node;
	struct kmm_space *space;
	struct dentry *dir;
};

/* Charged beside what vm/ charges. */
#define SPACE_NODE_BYTES	(sizeof(struct space_node) + KMM_FILE_BYTES + \
				 KMM_DEBUGFS_SPACE_FILES * KMM_DEBUGFS_BYTES)

/* Where an entry may have a physical address: 52 bits are the most that x86-64 has. */
#define SPACE_PHYS_MASK		GENMASK_ULL(51, PAGE_SHIFT)

/* pread and pwrite go by pages: what a signal waits for at most. */
#define SPACE_CHUNK_BYTES	PAGE_SIZE

/**
 * kmm_file_space() - The space of a descriptor.
 * @file: descriptor of a space
 *
 * Context: any. Return: it.
 */
struct kmm_space *kmm_file_space(struct file *file)
{
	return container_of(kmm_file_node(file), struct space_node, node)->space;
}

/* === Read and write by address === */

static int space_access_error(const struct kmm_fault *f)
{
	if (f->rule == KMM_RULE_LIMIT && f->error)
		return f->error;
	return f->rule == KMM_RULE_NONE ? 0 : -EIO;
}

/* One chunk within a page. Returns bytes, or an error when there are none. */
static ssize_t space_rw_chunk(struct kmm_space *s, struct kmm_access *a, struct iov_iter *iter,
			      int *err)
{
	size_t len = a->len, copied;

	if (a->op == KMM_ACCESS_WRITE) {
		a->len = copy_from_iter(a->buf, len, iter);
		if (a->len < len)
			*err = -EFAULT;
		if (!a->len)
			return 0;
	}
	*err = kmm_mmu_access(s, a) ?: space_access_error(&a->fault) ?: *err;
	if (a->op == KMM_ACCESS_WRITE) {
		iov_iter_revert(iter, a->len - a->done);
		return a->done;
	}
	copied = copy_to_iter(a->buf, a->done, iter);
	if (copied < a->done)
		*err = -EFAULT;
	return copied;
}

static ssize_t space_rw(struct kiocb *iocb, struct iov_iter *iter, u32 op)
{
	size_t size = min_t(size_t, iov_iter_count(iter), SPACE_CHUNK_BYTES), n;
	struct kmm_space *s = kmm_file_space(iocb->ki_filp);
	ssize_t done = 0;
	int err = 0;
	void *buf;

	if (!size)
		return 0;
	buf = kmm_account_zalloc(s->account, size);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	while (!err && iov_iter_count(iter)) {
		struct kmm_access a = {
			.addr = iocb->ki_pos,
			.buf = buf,
			.len = min(size, iov_iter_count(iter)),
			.op = op,
		};

		a.len = min_t(size_t, a.len, PAGE_SIZE - offset_in_page(a.addr));
		n = space_rw_chunk(s, &a, iter, &err);
		iocb->ki_pos += n;
		done += n;
		if (fatal_signal_pending(current))
			err = err ?: -EINTR;
		cond_resched();
	}
	kmm_account_free(s->account, buf, size);
	return done ?: err;
}

static ssize_t space_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	return space_rw(iocb, to, KMM_ACCESS_READ);
}

static ssize_t space_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	return space_rw(iocb, from, KMM_ACCESS_WRITE);
}

static long space_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return kmm_call_run(file, cmd, arg, KMM_ON_SPACE);
}

static const struct file_operations space_fops = {
	.owner = THIS_MODULE,
	.release = kmm_file_release,
	.read_iter = space_read_iter,
	.write_iter = space_write_iter,
	.llseek = no_seek_end_llseek,
	.unlocked_ioctl = space_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

/* === Life === */

static void space_release(struct kmm_node *node)
{
	struct space_node *n = container_of(node, struct space_node, node);

	/* Waits for readers; what is still open afterwards reads as -EIO. */
	debugfs_remove(n->dir);
	/* The space has a reference to the account until it goes. */
	kmm_account_uncharge(n->space->account, KMM_RES_HOST_BYTES, SPACE_NODE_BYTES);
	kmm_space_destroy(n->space);
	kfree(n);
}

/* The first descriptor of @s. Takes @s over, also on error; @s may be an error itself. */
static struct file *space_open(struct kmm_space *s)
{
	struct space_node *n;
	struct file *file;
	int err;

	if (IS_ERR(s))
		return ERR_CAST(s);
	err = kmm_account_try_charge(s->account, KMM_RES_HOST_BYTES, SPACE_NODE_BYTES);
	if (err)
		goto destroy;
	n = kmm_should_fail() ? NULL : kzalloc(sizeof(*n), GFP_KERNEL_ACCOUNT);
	if (!n) {
		err = -ENOMEM;
		goto uncharge;
	}
	n->node.release = space_release;
	n->space = s;
	file = kmm_file_create_node(&n->node, &space_fops, S_IFREG | 0600, O_RDWR);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto free_node;
	}
	file->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	n->dir = kmm_debugfs_space_add(s);
	return file;

free_node:
	kfree(n);
uncharge:
	kmm_account_uncharge(s->account, KMM_RES_HOST_BYTES, SPACE_NODE_BYTES);
destroy:
	kmm_space_destroy(s);
	return ERR_PTR(err);
}

/**
 * kmm_call_space_create() - KMM_IOC_SPACE_CREATE.
 * @call: on /dev/kmm
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_space_create(struct kmm_call *call)
{
	struct kmm_session *session = call->file->private_data;
	struct kmm_space_create *c = &call->arg.space_create;
	struct kmm_space *s;
	int err;

	if (c->flags)
		return -EINVAL;
	s = kmm_space_create(kmm_dev_env.spaces, session->account);
	err = kmm_call_offer_file(call, space_open(s));
	if (!err)
		c->fd = call->new_fd;
	return err;
}

/**
 * kmm_call_space_clone() - KMM_IOC_SPACE_CLONE.
 * @call: on a space
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_space_clone(struct kmm_call *call)
{
	struct kmm_space_clone *c = &call->arg.space_clone;
	int err;

	if (c->flags)
		return -EINVAL;
	err = kmm_call_offer_file(call, space_open(kmm_space_clone(kmm_file_space(call->file))));
	if (!err)
		c->fd = call->new_fd;
	return err;
}

/* === Areas === */

/* The answer cannot be told. Not for REPLACE: what was there would not come back. */
static void space_unmap_again(struct kmm_call *call)
{
	const struct kmm_space_map *m = &call->arg.space_map;

	kmm_space_unmap(kmm_file_space(call->file), m->addr, m->len);
}

/**
 * kmm_call_space_map() - KMM_IOC_SPACE_MAP.
 * @call: on a space
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_space_map(struct kmm_call *call)
{
	struct kmm_space_map *m = &call->arg.space_map;
	struct kmm_space_map_args args = {
		.addr = m->addr,
		.len = m->len,
		.offset = m->offset,
		.prot = m->prot,
		.flags = m->flags,
	};
	int err = -EINVAL;

	if (m->reserved)
		return -EINVAL;
	if (m->object_fd != -1) {
		/* negative ones are just not open */
		args.file = fget(m->object_fd);
		if (!args.file)
			return -EBADF;
		if (!kmm_file_is_object(args.file))
			goto put_file;
		args.object = kmm_file_object(args.file);
	}
	err = kmm_space_map(kmm_file_space(call->file), &args);
	m->addr = args.addr;
	if (!err && !(m->flags & KMM_MAP_REPLACE))
		call->undo = space_unmap_again;
put_file:
	if (args.file)
		fput(args.file);
	return err;
}

/**
 * kmm_call_space_unmap() - KMM_IOC_SPACE_UNMAP.
 * @call: on a space
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_space_unmap(struct kmm_call *call)
{
	const struct kmm_space_unmap *u = &call->arg.space_unmap;

	return kmm_space_unmap(kmm_file_space(call->file), u->addr, u->len);
}

/**
 * kmm_call_space_protect() - KMM_IOC_SPACE_PROTECT.
 * @call: on a space
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_space_protect(struct kmm_call *call)
{
	const struct kmm_space_protect *p = &call->arg.space_protect;

	if (p->reserved)
		return -EINVAL;
	return kmm_space_protect(kmm_file_space(call->file), p->addr, p->len, p->prot);
}

/* === Access === */

static int space_check_access(const struct kmm_space_access *c)
{
	const char *why;

	if (c->op > KMM_ACCESS_FETCH || c->reserved ||
	    c->flags & ~(KMM_ACCESS_HARDWARE | KMM_ACCESS_NO_FAULT_IN))
		return -EINVAL;
	if (!c->len || c->len > KMM_ACCESS_MAX)
		return -EINVAL;
	if (c->op == KMM_ACCESS_FETCH && (c->len != 1 || c->buf))
		return -EINVAL;
	if (!(c->flags & KMM_ACCESS_HARDWARE))
		return 0;
	/* The only way to the hardware path. */
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	return kmm_mmu_hardware(&why) ? 0 : -EOPNOTSUPP;
}

static int space_run_access(struct kmm_space *s, struct kmm_space_access *c, void *buf)
{
	struct kmm_access a = {
		.addr = c->addr,
		.buf = buf,
		.len = c->len,
		.op = c->op,
		.flags = c->flags,
	};
	int err;

	if (c->op == KMM_ACCESS_WRITE && copy_from_user(buf, u64_to_user_ptr(c->buf), c->len))
		return -EFAULT;
	err = kmm_mmu_access(s, &a);
	if (err)
		return err;
	if (c->op == KMM_ACCESS_READ && copy_to_user(u64_to_user_ptr(c->buf), buf, a.done))
		return -EFAULT;
	c->path = a.path;
	c->done = a.done;
	c->faults = a.faults;
	c->fault_addr = a.fault.addr;
	c->fault_code = a.fault.code;
	c->fault_rule = a.fault.rule;
	c->fault_errno = a.fault.error;
	return 0;
}

/**
 * kmm_call_space_access() - KMM_IOC_SPACE_ACCESS.
 * @call: on a space
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_space_access(struct kmm_call *call)
{
	struct kmm_space_access *c = &call->arg.space_access;
	struct kmm_space *s = kmm_file_space(call->file);
	void *buf = NULL;
	int err;

	err = space_check_access(c);
	if (err)
		return err;
	if (c->op == KMM_ACCESS_FETCH)
		return space_run_access(s, c, NULL);
	buf = kmm_account_zalloc(s->account, c->len);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	err = space_run_access(s, c, buf);
	kmm_account_free(s->account, buf, c->len);
	return err;
}

/* === Looking === */

/**
 * kmm_call_space_walk() - KMM_IOC_SPACE_WALK.
 * @call: on a space
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_space_walk(struct kmm_call *call)
{
	bool tell = ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN);
	struct kmm_space_walk *w = &call->arg.space_walk;
	struct kmm_space *s = kmm_file_space(call->file);
	struct kmm_pt_path path;
	unsigned int i;

	if (w->flags & ~(KMM_WALK_USER_VIEW | KMM_WALK_CLEAR_YOUNG) ||
	    memchr_inv(w->reserved, 0, sizeof(w->reserved)))
		return -EINVAL;
	/* What kmm keeps is shared by all spaces: to look at, not to change. */
	if (w->addr >= (w->flags & KMM_WALK_CLEAR_YOUNG ? kmm_space_end() : kmm_space_user_end()))
		return -ENXIO;

	/* Tables go only under the lock for writing. */
	down_read(&s->lock);
	kmm_pt_walk(&s->pt, w->addr, w->flags & KMM_WALK_USER_VIEW, &path);
	if (path.leaf_shift && w->flags & KMM_WALK_CLEAR_YOUNG)
		kmm_pt_test_and_clear(&s->pt, w->addr, KMM_PT_AD);
	up_read(&s->lock);

	w->levels = path.levels;
	w->depth = path.depth;
	w->leaf_shift = path.leaf_shift;
	for (i = 0; i < KMM_WALK_LEVELS; i++) {
		w->index[i] = i < path.depth ? path.index[i] : 0;
		w->entry[i] = i < path.depth ? path.entry[i] : 0;
		if (!tell)
			w->entry[i] &= ~SPACE_PHYS_MASK;
	}
	return 0;
}

/**
 * kmm_call_space_info() - KMM_IOC_SPACE_INFO.
 * @call: on a space
 *
 * Context: task, may sleep. Return: 0.
 */
int kmm_call_space_info(struct kmm_call *call)
{
	struct kmm_space_info *info = &call->arg.space_info;
	struct kmm_space *s = kmm_file_space(call->file);
	unsigned long leaves;

	kmm_space_info(s, info);
	info->audit_bad = kmm_isolation_audit(s, &leaves);
	info->audit_leaves = leaves;
	return 0;
}
