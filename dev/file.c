// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Objects as files
 *
 * Each memory object has an inode of its own on a pseudo file system that nobody can mount,
 * as drm and cxl do it, and any number of descriptors. An inode of its own, because a futex
 * and a page table are found again by the inode's address_space, and anonymous inodes share
 * one.
 *
 * Lifetime. The inode has a reference of the object: s_op->evict_inode drops it, when the last
 * file, mapping or descriptor in flight is gone. That is the end of the object, unless it has a
 * name (share/names.c): then it lives on without inode, mount or module reference, and the
 * next open gives it a new inode (file_get_inode()). A file holds the module (fops owner) and
 * one pin of the file system (simple_pin_fs); the pin is dropped in ->release, while the file still
 * holds the mount by its path, so that the module reference, which __fput() drops last, is
 * there until the very end. An open session holds a pin as well: the mount is then made when
 * /dev/kmm is opened and never under mmap_lock.
 *
 * The order in which a descriptor comes to be: pin, inode, object, module reference,
 * file, (the caller:) copy_to_user, fd_install. Each step is undone when a later one
 * fails, and nobody sees the object before nothing can fail any more.
 *
 * Access. A descriptor is as strong as it was made: a reopen through /proc/PID/fd is
 * refused, as are inotify and fanotify on such a path. truncate(2) on such a path goes past
 * the descriptor, so setattr takes a size only from ftruncate, that is with a file that may
 * write. Owner and mode do not change.
 *
 * Contents are copied, never lent: read(2) does not push frames into pipes
 * (copy_page_to_iter on 6.1 would); splice and sendfile go through read_iter and write_iter, into
 * and from pages of the host, so they keep every seal and nothing of ours stays in a pipe.
 *
 * Locks: the inode lock serialises write, punch, size and seals; under it user memory may be
 * touched, under the object's lock (taken inside) never.
 *
 * Invariants: i_size is the object's size whenever the inode lock is free; faults and read
 * look only at the object's. While an object is bound to a mapping, the inode is there: whoever
 * frees it unbinds first, under the object's lock.
 *
 * What this deliberately does not do: no xattrs, no leases, no direct I/O. Times belong to the
 * inode: those of a named object start anew when it is opened after its last file was closed.
 */
#include <linux/cred.h>
#include <linux/dcache.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>
#include <linux/uio.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/dev.h>
#include <kmm/dmabuf.h>
#include <kmm/inject.h>
#include <kmm/names.h>
#include <kmm/object.h>

/* === Data === */

#define FILE_MAGIC	0x6b6d6d31	/* "kmm1" */

static struct vfsmount *file_mnt;
static int file_mnt_count;

/* === Read and write === */

/**
 * kmm_file_object() - The object behind a descriptor.
 * @file: file whose operations are those of this unit
 *
 * Context: any.
 * Return: object.
 */
struct kmm_object *kmm_file_object(struct file *file)
{
	return file_inode(file)->i_private;
}

static ssize_t file_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct kmm_object *o = kmm_file_object(iocb->ki_filp);
	ssize_t done = 0, err = 0;

	while (iov_iter_count(to)) {
		u64 size_bytes = READ_ONCE(o->size_bytes);
		unsigned int offset = offset_in_page(iocb->ki_pos);
		struct page *page;
		size_t n, copied;

		if (iocb->ki_pos >= size_bytes)
			break;
		n = min_t(u64, min_t(size_t, PAGE_SIZE - offset, iov_iter_count(to)),
			  size_bytes - iocb->ki_pos);
		page = kmm_object_get_page(o, iocb->ki_pos >> PAGE_SHIFT, false);
		if (IS_ERR(page)) {
			/* it became shorter just now */
			err = PTR_ERR(page) == -ENXIO ? 0 : PTR_ERR(page);
			break;
		}
		if (page) {
			copied = copy_to_iter(page_address(page) + offset, n, to);
			put_page(page);
		} else {
			copied = iov_iter_zero(n, to);
		}
		iocb->ki_pos += copied;
		done += copied;
		if (copied < n) {
			err = -EFAULT;
			break;
		}
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
		cond_resched();
	}
	file_accessed(iocb->ki_filp);
	return done ?: err;
}

static ssize_t file_write_locked(struct kmm_object *o, struct kiocb *iocb, struct iov_iter *from)
{
	/* stable: the inode lock is held */
	u64 size_bytes = o->size_bytes;
	ssize_t done = 0, err = 0;

	if (o->seals & (KMM_SEAL_WRITE | KMM_SEAL_FUTURE_WRITE))
		return -EPERM;
	while (iov_iter_count(from)) {
		unsigned int offset = offset_in_page(iocb->ki_pos);
		struct page *page;
		size_t n, copied;

		if (iocb->ki_pos >= size_bytes) {
			err = -ENOSPC;
			break;
		}
		n = min_t(u64, min_t(size_t, PAGE_SIZE - offset, iov_iter_count(from)),
			  size_bytes - iocb->ki_pos);
		page = kmm_object_get_page(o, iocb->ki_pos >> PAGE_SHIFT, true);
		if (IS_ERR(page)) {
			err = PTR_ERR(page);
			break;
		}
		copied = copy_from_iter(page_address(page) + offset, n, from);
		put_page(page);
		iocb->ki_pos += copied;
		done += copied;
		if (copied < n) {
			err = -EFAULT;
			break;
		}
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
		cond_resched();
	}
	return done ?: err;
}

static ssize_t file_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct file *file = iocb->ki_filp;
	struct inode *inode = file_inode(file);
	ssize_t ret;

	inode_lock(inode);
	/* append, RLIMIT_FSIZE */
	ret = generic_write_checks(iocb, from);
	if (ret > 0) {
		file_update_time(file);
		ret = file_write_locked(kmm_file_object(file), iocb, from);
	}
	inode_unlock(inode);
	return ret;
}

static loff_t file_llseek(struct file *file, loff_t offset, int whence)
{
	struct kmm_object *o = kmm_file_object(file);
	u64 size_bytes = READ_ONCE(o->size_bytes);

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_file_llseek_size(file, offset, whence, MAX_LFS_FILESIZE,
						size_bytes);
	if (offset < 0 || offset >= size_bytes)
		return -ENXIO;
	offset = kmm_object_seek(o, offset, whence == SEEK_DATA);
	if (whence == SEEK_DATA && offset >= size_bytes)
		return -ENXIO;
	return vfs_setpos(file, offset, MAX_LFS_FILESIZE);
}

/* === Size, holes, seals === */

/* The inode lock is held. */
static int file_set_size(struct inode *inode, u64 size_bytes)
{
	int err = kmm_object_resize(inode->i_private, size_bytes);

	if (!err)
		i_size_write(inode, size_bytes);
	return err;
}

static long file_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);
	struct kmm_object *o = kmm_file_object(file);
	u64 end = (u64)offset + len;
	long err;

	if (mode & ~(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;

	inode_lock(inode);
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		err = kmm_object_punch(o, offset, len);
	} else {
		err = 0;
		if (!(mode & FALLOC_FL_KEEP_SIZE) && end > o->size_bytes) {
			err = inode_newsize_ok(inode, end);
			if (!err)
				err = file_set_size(inode, end);
		}
		if (!err)
			err = kmm_object_populate(o, offset >> PAGE_SHIFT,
						  ((end + PAGE_SIZE - 1) >> PAGE_SHIFT) -
						  (offset >> PAGE_SHIFT));
	}
	if (!err) {
		inode->i_mtime = current_time(inode);
		inode->i_ctime = inode->i_mtime;
	}
	inode_unlock(inode);
	return err;
}

/*
 * Whoever asks comes by a path, /proc/PID/fd, to open it again or to watch it. A watch (inotify)
 * must not be: it holds the inode without a file, and the file system, whose inodes are on no
 * list, would wait for ever for it in the last close. ENXIO, as no_open says.
 */
static int file_refuse_path(struct kmm_idmap *idmap, struct inode *inode, int mask)
{
	return -ENXIO;
}

static int file_setattr(struct kmm_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int err;

	if (attr->ia_valid & (ATTR_MODE | ATTR_UID | ATTR_GID))
		return -EPERM;
	/* truncate("/proc/PID/fd/N") comes without a file and could go past a weak descriptor */
	if (attr->ia_valid & ATTR_SIZE &&
	    !(attr->ia_valid & ATTR_FILE && attr->ia_file->f_mode & FMODE_WRITE))
		return -EPERM;
	err = setattr_prepare(idmap, dentry, attr);
	if (err)
		return err;
	if (attr->ia_valid & ATTR_SIZE) {
		err = file_set_size(inode, attr->ia_size);
		if (err)
			return err;
	}
	setattr_copy(idmap, inode, attr);
	return 0;
}

static int file_getattr(struct kmm_idmap *idmap, const struct path *path, struct kstat *stat,
			u32 request_mask, unsigned int query_flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct kmm_object *o = inode->i_private;

	kmm_generic_fillattr(idmap, request_mask, inode, stat);
	/* in units of 512 bytes */
	stat->blocks = (u64)READ_ONCE(o->resident) << (PAGE_SHIFT - 9);
	return 0;
}

/**
 * kmm_file_add_seals() - Seal the object of a descriptor.
 * @file: descriptor
 * @seals: KMM_SEAL_* to add, not zero
 *
 * Context: task, may sleep.
 * Return: 0; -EACCES a descriptor that may not write; else as kmm_object_add_seals().
 */
int kmm_file_add_seals(struct file *file, u32 seals)
{
	struct inode *inode = file_inode(file);
	int err;

	if (!(file->f_mode & FMODE_WRITE))
		return -EACCES;
	inode_lock(inode);
	err = kmm_object_add_seals(inode->i_private, seals);
	inode_unlock(inode);
	return err;
}

/**
 * kmm_file_truncate() - Size 0, as O_TRUNC does.
 * @file: descriptor that may write
 *
 * Context: task, may sleep. Return: 0; -EPERM, -EBUSY as kmm_object_resize().
 */
int kmm_file_truncate(struct file *file)
{
	struct inode *inode = file_inode(file);
	int err;

	inode_lock(inode);
	err = file_set_size(inode, 0);
	if (!err)
		file_update_time(file);
	inode_unlock(inode);
	return err;
}

static long file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return kmm_call_run(file, cmd, arg, KMM_ON_OBJECT);
}

/* === Life === */

/**
 * kmm_file_release() - ->release of every file of this unit, or the end of such a one.
 * @inode: its inode
 * @file: file
 *
 * Context: task, may sleep. Return: 0.
 */
int kmm_file_release(struct inode *inode, struct file *file)
{
	kmm_file_unpin_fs();
	return 0;
}

static int file_refuse_setattr(struct kmm_idmap *idmap, struct dentry *dentry,
			       struct iattr *attr)
{
	return -EPERM;
}

static const struct inode_operations file_inode_ops = {
	.permission = file_refuse_path,
	.setattr = file_setattr,
	.getattr = file_getattr,
};

/* Who finds the object by its name may have given it another inode already. */
static void file_drop_object(struct inode *inode, struct kmm_object *o)
{
	if (refcount_read(&o->ref) > 1) {
		kmm_object_lock(o);
		if (o->mapping == inode->i_mapping)
			kmm_object_bind_locked(o, NULL);
		kmm_object_unlock(o);
	}
	kmm_object_put(o);
}

static void file_evict_inode(struct inode *inode)
{
	void *what = inode->i_private;

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (!what)
		return;
	if (inode->i_op == &file_inode_ops)
		file_drop_object(inode, what);
	else
		((struct kmm_node *)what)->release(what);
}

/* Of what is not an object: no size, no mode, no path. */
static const struct inode_operations file_node_ops = {
	.permission = file_refuse_path,
	.setattr = file_refuse_setattr,
};

static const struct file_operations file_ops = {
	.owner = THIS_MODULE,
	.release = kmm_file_release,
	.read_iter = file_read_iter,
	.write_iter = file_write_iter,
	.splice_read = kmm_copy_splice_read,
	.splice_write = iter_file_splice_write,
	.llseek = file_llseek,
	.fallocate = file_fallocate,
	.fsync = noop_fsync,
	.mmap = kmm_mapping_mmap,
	.unlocked_ioctl = file_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static const struct super_operations file_super_ops = {
	.statfs = simple_statfs,
	.evict_inode = file_evict_inode,
};

static int file_init_fs_context(struct fs_context *fc)
{
	struct pseudo_fs_context *ctx = init_pseudo(fc, FILE_MAGIC);

	if (!ctx)
		return -ENOMEM;
	ctx->ops = &file_super_ops;
	return 0;
}

static struct file_system_type file_fs_type = {
	.name = "kmm",
	.owner = THIS_MODULE,
	.init_fs_context = file_init_fs_context,
	.kill_sb = kill_anon_super,
};

/**
 * kmm_file_pin_fs() - Make sure that the pseudo file system is there.
 *
 * Context: task, may sleep; not under mmap_lock unless a pin exists.
 * Return: 0, or a negative errno.
 */
int kmm_file_pin_fs(void)
{
	if (kmm_should_fail())
		return -ENOMEM;
	return simple_pin_fs(&file_fs_type, &file_mnt, &file_mnt_count);
}

/**
 * kmm_file_unpin_fs() - Drop a pin; the last one takes the file system down.
 *
 * Context: task, may sleep.
 */
void kmm_file_unpin_fs(void)
{
	simple_release_fs(&file_mnt, &file_mnt_count);
}

/* A file on @inode. Takes over the inode reference, also on error. The caller has a pin. */
static struct file *file_open(struct inode *inode, const struct file_operations *fops, int flags)
{
	struct file *file;
	int err;

	err = kmm_file_pin_fs();
	if (err) {
		iput(inode);
		return ERR_PTR(err);
	}
	/* Dropped by __fput() through f_op->owner. */
	__module_get(THIS_MODULE);
	file = kmm_should_fail() ? ERR_PTR(-ENOMEM) :
		alloc_file_pseudo(inode, file_mnt, "kmm", flags | O_LARGEFILE, fops);
	if (IS_ERR(file)) {
		module_put(THIS_MODULE);
		iput(inode);
		kmm_file_unpin_fs();
		return file;
	}
	return file;
}

static struct file *file_open_object(struct inode *inode, int flags)
{
	struct file *file = file_open(inode, &file_ops, flags);

	if (!IS_ERR(file))
		file->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	return file;
}

/* An inode of our own, nothing behind it yet. The caller has a pin. */
static struct inode *file_new_inode(const struct inode_operations *ops, umode_t mode)
{
	struct inode *inode;

	inode = kmm_should_fail() ? ERR_PTR(-ENOMEM) : alloc_anon_inode(file_mnt->mnt_sb);
	if (IS_ERR(inode))
		return inode;
	inode->i_mode = mode;
	inode->i_op = ops;
	return inode;
}

static struct inode *file_new_object_inode(const struct kmm_name_attr *attr)
{
	struct inode *inode = file_new_inode(&file_inode_ops, S_IFREG | attr->mode);

	if (!IS_ERR(inode)) {
		inode->i_uid = attr->uid;
		inode->i_gid = attr->gid;
	}
	return inode;
}

/**
 * kmm_file_create_named() - A new object with its first file.
 * @a: who pays
 * @size_bytes: its size; also 0, unless the frames are to be fixed
 * @flags: KMM_OBJECT_*
 * @attr: owner and mode, for fstat
 * @open_flags: O_RDWR or O_RDONLY
 *
 * Context: task, may sleep; under mmap_lock only with a pin of the file system.
 * Return: file, or ERR_PTR as kmm_object_create() and -ENFILE.
 */
struct file *kmm_file_create_named(struct kmm_account *a, u64 size_bytes, u32 flags,
				   const struct kmm_name_attr *attr, int open_flags)
{
	struct kmm_object_attr oattr = {
		.size_bytes = size_bytes ?: 1,
		.flags = flags,
		.mops = &kmm_mapping_ops,
		.extra_bytes = KMM_FILE_BYTES,
	};
	struct kmm_object *o;
	struct inode *inode;
	struct file *file;
	int err;

	if (!size_bytes && flags & (KMM_OBJECT_LOCKED | KMM_OBJECT_CONTIG))
		return ERR_PTR(-EINVAL);
	err = kmm_file_pin_fs();
	if (err)
		return ERR_PTR(err);
	inode = file_new_object_inode(attr);
	if (IS_ERR(inode)) {
		file = ERR_CAST(inode);
		goto unpin;
	}
	oattr.mapping = inode->i_mapping;
	o = kmm_object_create(kmm_dev_env.objects, a, &oattr);
	if (IS_ERR(o)) {
		iput(inode);
		file = ERR_CAST(o);
		goto unpin;
	}
	if (!size_bytes)
		kmm_object_resize(o, 0);
	inode->i_private = o;
	i_size_write(inode, size_bytes);
	file = file_open_object(inode, open_flags);
unpin:
	kmm_file_unpin_fs();
	return file;
}

/**
 * kmm_file_create() - A new object without a name, with its first file.
 * @a: who pays
 * @size_bytes: its size
 * @flags: KMM_OBJECT_*
 *
 * Context: task, may sleep; under mmap_lock only with a pin of the file system.
 * Return: file, open for reading and writing, or ERR_PTR as kmm_object_create() and -ENFILE.
 */
struct file *kmm_file_create(struct kmm_account *a, u64 size_bytes, u32 flags)
{
	const struct kmm_name_attr attr = {
		.mode = 0600, .uid = current_fsuid(), .gid = current_fsgid(),
	};

	if (!size_bytes)
		return ERR_PTR(-EINVAL);
	return kmm_file_create_named(a, size_bytes, flags, &attr, O_RDWR);
}

/*
 * The inode that @o is bound to, with a reference; NULL when there is none, or none that lives on:
 * it is being freed, or is of an earlier mount, whose last file has been released but has not
 * dropped its dentry yet. Then nobody uses or maps it, and the object can be bound to another.
 */
static struct inode *file_grab_inode_locked(struct kmm_object *o)
{
	struct inode *inode = o->mapping ? o->mapping->host : NULL;

	return inode && inode->i_sb == file_mnt->mnt_sb ? igrab(inode) : NULL;
}

/* The inode of an object that has a name; a new one when it has none. The caller has a pin. */
static struct inode *file_get_inode(struct kmm_object *o, const struct kmm_name_attr *attr)
{
	struct inode *inode, *fresh;

	kmm_object_lock(o);
	inode = file_grab_inode_locked(o);
	kmm_object_unlock(o);
	if (inode)
		return inode;

	fresh = file_new_object_inode(attr);
	if (IS_ERR(fresh))
		return fresh;
	kmm_object_lock(o);
	inode = file_grab_inode_locked(o);
	if (!inode) {
		inode = fresh;
		kmm_object_get(o);
		inode->i_private = o;
		i_size_write(inode, o->size_bytes);
		kmm_object_bind_locked(o, inode->i_mapping);
	}
	kmm_object_unlock(o);
	if (inode != fresh)
		iput(fresh);
	return inode;
}

/**
 * kmm_file_open_named() - One more file of an object that was found by its name.
 * @o: object, of which the caller has a reference
 * @attr: the name's owner and mode, for fstat
 * @open_flags: O_RDWR or O_RDONLY
 *
 * Context: task, may sleep. Return: file, or ERR_PTR of -ENOMEM, -ENFILE.
 */
struct file *kmm_file_open_named(struct kmm_object *o, const struct kmm_name_attr *attr,
				 int open_flags)
{
	struct inode *inode;
	struct file *file;
	int err;

	err = kmm_file_pin_fs();
	if (err)
		return ERR_PTR(err);
	inode = file_get_inode(o, attr);
	file = IS_ERR(inode) ? ERR_CAST(inode) : file_open_object(inode, open_flags);
	kmm_file_unpin_fs();
	return file;
}

/**
 * kmm_file_reopen() - A second file of the same object.
 * @file: any file of the object
 * @flags: O_RDONLY: it can never write; or O_RDWR
 *
 * Context: task, may sleep.
 * Return: file, or ERR_PTR.
 */
struct file *kmm_file_reopen(struct file *file, int flags)
{
	struct inode *inode = file_inode(file);

	ihold(inode);
	return file_open_object(inode, flags);
}

/**
 * kmm_file_export() - A dma-buf of the object of a descriptor.
 * @file: descriptor
 * @write: importers may write
 *
 * Context: task, may sleep.
 * Return: the dma-buf's file, or ERR_PTR: -EACCES @write and a descriptor that may not; else as
 * kmm_dmabuf_export().
 */
struct file *kmm_file_export(struct file *file, bool write)
{
	struct inode *inode = file_inode(file);
	struct file *dmabuf;

	if (write && !(file->f_mode & FMODE_WRITE))
		return ERR_PTR(-EACCES);
	inode_lock(inode);
	dmabuf = kmm_dmabuf_export(file, inode->i_private, write);
	inode_unlock(inode);
	return dmabuf;
}

/**
 * kmm_file_import() - A file of the object behind a dma-buf, as strong as this is.
 * @dmabuf_fd: descriptor of this process
 *
 * Context: task, may sleep.
 * Return: file, or ERR_PTR as kmm_dmabuf_get_object() and kmm_file_reopen().
 */
struct file *kmm_file_import(int dmabuf_fd)
{
	struct file *file, *again;
	bool write;

	file = kmm_dmabuf_get_object(dmabuf_fd, &write);
	if (IS_ERR(file))
		return file;
	again = kmm_file_reopen(file, write ? O_RDWR : O_RDONLY);
	fput(file);
	return again;
}

/**
 * kmm_file_create_node() - The first file of something that is not an object.
 * @node: what is behind it; its release() is called when the last file is gone. The file owns
 *	it from now on; on error the caller still does.
 * @fops: operations; .owner is THIS_MODULE, .release ends in kmm_file_release()
 * @mode: type and permissions that fstat shows
 * @flags: O_RDONLY, O_WRONLY or O_RDWR, O_NONBLOCK
 *
 * The caller charges KMM_FILE_BYTES of host memory. f_mode has no FMODE_LSEEK, FMODE_PREAD,
 * FMODE_PWRITE: the caller adds what fits.
 *
 * Context: task, may sleep. Return: file, or ERR_PTR of -ENOMEM, -ENFILE.
 */
struct file *kmm_file_create_node(struct kmm_node *node, const struct file_operations *fops,
				  umode_t mode, int flags)
{
	struct inode *inode;
	struct file *file;
	int err;

	err = kmm_file_pin_fs();
	if (err)
		return ERR_PTR(err);
	inode = file_new_inode(&file_node_ops, mode);
	if (IS_ERR(inode)) {
		file = ERR_CAST(inode);
		goto unpin;
	}
	ihold(inode);
	file = file_open(inode, fops, flags);
	if (!IS_ERR(file))
		inode->i_private = node;
	iput(inode);
unpin:
	kmm_file_unpin_fs();
	return file;
}

/**
 * kmm_file_reopen_node() - One more file of the same thing.
 * @file: any file that kmm_file_create_node() or this function made
 * @fops: operations, as there
 * @flags: as there
 *
 * Context: task, may sleep. Return: file, or ERR_PTR.
 */
struct file *kmm_file_reopen_node(struct file *file, const struct file_operations *fops, int flags)
{
	struct inode *inode = file_inode(file);

	ihold(inode);
	return file_open(inode, fops, flags);
}

/**
 * kmm_file_node() - What is behind a file of kmm_file_create_node().
 * @file: file
 *
 * Context: any. Return: node.
 */
struct kmm_node *kmm_file_node(struct file *file)
{
	return file_inode(file)->i_private;
}

/**
 * kmm_file_is_object() - Is this a memory object's descriptor?
 * @file: any file of the host
 *
 * Context: any. Return: true: kmm_file_object() may be asked.
 */
bool kmm_file_is_object(struct file *file)
{
	return file->f_op == &file_ops;
}
