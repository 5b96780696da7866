// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Shared memory by name, and gifts, as ioctls
 *
 * KMM_IOC_SHM_OPEN is shm_open(3): it finds or makes the object that a name stands for
 * (share/names.c) and gives a descriptor of it. KMM_IOC_SHM_UNLINK is shm_unlink(3).
 * KMM_IOC_OBJECT_GIFT moves pages between the objects of two descriptors (share/gift.c).
 *
 * Create, in this order: look for the name; when there is none, make the object and its file,
 * then add the name. When somebody else was faster with it, ours is dropped and theirs is
 * looked for again. The name is what others can see, so it comes last but for the copy of the
 * result to user space; should that fail, the name is taken back (shm_forget()). Whoever
 * has opened it in between has an object without a name, as after an unlink.
 *
 * A descriptor that is opened for reading only never becomes writable, whoever opens it, as
 * one of KMM_IOC_OBJECT_REOPEN.
 *
 * Locks: for a gift the inode locks of both objects, in the host's order
 * (lock_two_nondirectories()). The name table's lock is never held together with them.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include <kmm/dev.h>
#include <kmm/gift.h>
#include <kmm/names.h>
#include <kmm/object.h>

/* === What a name of shared memory stands for === */

static void shm_get(void *ref)
{
	kmm_object_get(ref);
}

static void shm_put(void *ref)
{
	kmm_object_put(ref);
}

static u64 shm_id(void *ref)
{
	return ((struct kmm_object *)ref)->id;
}

const struct kmm_name_ops kmm_shm_name_ops = {
	.get = shm_get,
	.put = shm_put,
	.id = shm_id,
};

/* === Open and unlink === */

static void shm_forget(struct kmm_call *call)
{
	kmm_names_forget(kmm_dev_env.names, KMM_NAME_SHM, call->undo_arg);
}

/* The object that has the name. */
static struct file *shm_open_existing(const struct kmm_name_key *key, u32 flags)
{
	bool rdonly = flags & KMM_SHM_RDONLY;
	struct kmm_name_attr attr;
	struct kmm_object *o;
	struct file *file;
	int err;

	/* As open(2): EXCL fails whatever the mode says. */
	o = kmm_names_get(kmm_dev_env.names, KMM_NAME_SHM, key,
			  flags & KMM_SHM_EXCL ? 0 : rdonly ? MAY_READ : MAY_READ | MAY_WRITE,
			  &attr);
	if (IS_ERR(o))
		return ERR_CAST(o);
	file = flags & KMM_SHM_EXCL ? ERR_PTR(-EEXIST) :
		kmm_file_open_named(o, &attr, rdonly ? O_RDONLY : O_RDWR);
	kmm_object_put(o);
	if (!IS_ERR(file) && flags & KMM_SHM_TRUNCATE) {
		err = kmm_file_truncate(file);
		if (err) {
			fput(file);
			return ERR_PTR(err);
		}
	}
	return file;
}

/* A new object that gets the name. -EEXIST: somebody else was faster. */
static struct file *shm_create(struct kmm_call *call, const struct kmm_name_key *key)
{
	const struct kmm_shm_open *s = &call->arg.shm_open;
	struct kmm_session *session = call->file->private_data;
	struct kmm_name_attr attr;
	struct kmm_object *o;
	struct file *file;
	int err;

	kmm_name_attr_init(&attr, s->mode);
	file = kmm_file_create_named(session->account, s->size_bytes, s->object_flags, &attr,
				     s->flags & KMM_SHM_RDONLY ? O_RDONLY : O_RDWR);
	if (IS_ERR(file))
		return file;
	o = kmm_file_object(file);
	err = kmm_names_add(kmm_dev_env.names, KMM_NAME_SHM, key, &attr, session->account, o);
	if (err) {
		fput(file);
		return ERR_PTR(err);
	}
	/* The file holds the object until the call is over, and undo comes before. */
	call->undo = shm_forget;
	call->undo_arg = o;
	return file;
}

/**
 * kmm_ioctl_shm_open() - KMM_IOC_SHM_OPEN.
 * @call: on /dev/kmm
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_ioctl_shm_open(struct kmm_call *call)
{
	struct kmm_shm_open *s = &call->arg.shm_open;
	struct kmm_name_key key;
	struct file *file;
	int err;

	if (s->flags & ~(KMM_SHM_CREATE | KMM_SHM_EXCL | KMM_SHM_TRUNCATE | KMM_SHM_RDONLY))
		return -EINVAL;
	if (s->flags & KMM_SHM_EXCL && !(s->flags & KMM_SHM_CREATE))
		return -EINVAL;
	if (s->flags & KMM_SHM_TRUNCATE && s->flags & KMM_SHM_RDONLY)
		return -EINVAL;
	if (!(s->flags & KMM_SHM_CREATE) && (s->size_bytes || s->object_flags || s->mode))
		return -EINVAL;
	if (s->mode & ~0777)
		return -EINVAL;
	err = kmm_name_key_copy(&key, s->name, s->name_len);
	if (err)
		return err;

	s->created = 0;
	for (;;) {
		file = shm_open_existing(&key, s->flags);
		if (file != ERR_PTR(-ENOENT) || !(s->flags & KMM_SHM_CREATE))
			break;
		file = shm_create(call, &key);
		s->created = !IS_ERR(file);
		if (file != ERR_PTR(-EEXIST))
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	err = kmm_call_offer_file(call, file);
	if (!err)
		s->fd = call->new_fd;
	return err;
}

/**
 * kmm_ioctl_shm_unlink() - KMM_IOC_SHM_UNLINK.
 * @call: on /dev/kmm
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_ioctl_shm_unlink(struct kmm_call *call)
{
	const struct kmm_shm_unlink *s = &call->arg.shm_unlink;
	struct kmm_name_key key;
	int err;

	if (s->flags)
		return -EINVAL;
	err = kmm_name_key_copy(&key, s->name, s->name_len);
	return err ?: kmm_names_unlink(kmm_dev_env.names, KMM_NAME_SHM, &key);
}

/* === Gift === */

static int shm_gift(struct file *src, struct file *dst, struct kmm_object_gift *g)
{
	struct kmm_gift gift;
	int err;

	if (!kmm_file_is_object(dst))
		return -EINVAL;
	if (!(src->f_mode & FMODE_WRITE) || !(dst->f_mode & FMODE_WRITE))
		return -EACCES;

	lock_two_nondirectories(file_inode(src), file_inode(dst));
	err = kmm_gift_pages(kmm_file_object(src), g->src_offset >> PAGE_SHIFT,
			     kmm_file_object(dst), g->dst_offset >> PAGE_SHIFT,
			     g->len >> PAGE_SHIFT, &gift);
	if (!err) {
		file_update_time(src);
		file_update_time(dst);
		g->done = (u64)gift.nr_done << PAGE_SHIFT;
		g->moved = gift.moved;
		g->copied = gift.copied;
	}
	unlock_two_nondirectories(file_inode(src), file_inode(dst));
	return err;
}

/**
 * kmm_ioctl_object_gift() - KMM_IOC_OBJECT_GIFT.
 * @call: on the giver's object
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_ioctl_object_gift(struct kmm_call *call)
{
	struct kmm_object_gift *g = &call->arg.gift;
	struct file *dst;
	int err;

	if (g->flags || !g->len || (g->src_offset | g->dst_offset | g->len) & ~PAGE_MASK)
		return -EINVAL;
	dst = fget(g->dst_fd);
	if (!dst)
		return -EBADF;
	err = shm_gift(call->file, dst, g);
	fput(dst);
	return err;
}
