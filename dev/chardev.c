// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: /dev/kmm
 *
 * The character device and the table of ioctls. All kinds of descriptors, the device, memory
 * objects and address spaces, go through the one table; each row says for which kind it is, which
 * capability it wants, and how large its struct was in its first version and is now.
 *
 * The way of every call: find the row (-ENOTTY), check the capability (-EPERM), check
 * the size (-EINVAL below the first version), copy the struct in as copy_struct_from_user()
 * does (a shorter struct is filled with zeros, a longer one must end in zeros, -E2BIG), run
 * the handler on the copy, copy out as much as the caller has room for. Nothing is
 * copied out when the handler fails. A handler that makes a descriptor reserves its number and
 * hands both up in struct kmm_call; it is installed only after the struct has reached
 * user space, because a descriptor cannot be taken back. What others can see at once, a name, is
 * taken back by the handler's undo when the call fails later.
 *
 * The direction bits of a number must be those of _IOWR, its size is the caller's.
 *
 * Access is the device node's: mode 0660, owned by root:root as devtmpfs makes it.
 * tools/60-kmm.rules gives it to the group kmm. No call tells an address but
 * KMM_IOC_OPS with KMM_OP_ADDR, which wants CAP_SYS_ADMIN.
 *
 * Locks: none of its own.
 *
 * Life: kmm_dev_init() is the last step of loading, and the device node the last step
 * of it. An open file holds the module, so at unload no session and no object lives.
 */

#define pr_fmt(fmt) "kmm: " fmt

#include <linux/capability.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/buddy.h>
#include <kmm/dev.h>
#include <kmm/inject.h>
#include <kmm/names.h>
#include <kmm/object.h>
#include <kmm/region.h>
#include <kmm/vmap.h>
#include <kmm/usercopy.h>

/* === Data === */

struct kmm_dev_env kmm_dev_env;

/**
 * struct ioctl_row - one line of the table; its index is the number
 * @min_size: of the struct in its first version
 * @size: of the struct now
 * @kind: on which descriptors
 * @cap: capability in the initial user namespace, -1 is none
 * @run: what it does with call->arg; NULL: no such ioctl
 */
struct ioctl_row {
	unsigned int min_size;
	unsigned int size;
	enum kmm_call_kind kind;
	int cap;
	int (*run)(struct kmm_call *call);
};

/* === On the device === */

static int ioctl_info(struct kmm_call *call)
{
	const struct kmm_region *r = kmm_dev_env.region;
	struct kmm_info *info = &call->arg.info;

	*info = (struct kmm_info) {
		.abi_version = KMM_ABI_VERSION,
		.page_size = PAGE_SIZE,
		.region_bytes = (u64)r->nr_frames << PAGE_SHIFT,
		.metadata_bytes = (u64)r->early_frames << PAGE_SHIFT,
		.window_bytes = r->window ? (u64)r->window_pages << PAGE_SHIFT : 0,
		.nr_extents = r->nr_extents,
		.order_max = KMM_ORDER_MAX,
		.flags = (r->fallback ? KMM_INFO_FALLBACK : 0) |
			 (kmm_dev_env.lab ? KMM_INFO_LAB : 0),
		.file_limits = kmm_dev_env.accounts->file_limits,
		.user_limits = kmm_dev_env.accounts->user_limits,
	};
	strscpy(info->provider, r->ops->name, sizeof(info->provider));
	strscpy(info->version, THIS_MODULE->version ?: "", sizeof(info->version));
	return 0;
}

static int ioctl_features(struct kmm_call *call)
{
	call->arg.features.features = KMM_FEATURE_OBJECTS | KMM_FEATURE_OPS_PAGES |
				      KMM_FEATURE_OPS_SLAB | KMM_FEATURE_SPACES |
				      KMM_FEATURE_SHM_NAMES | KMM_FEATURE_GIFT |
				      KMM_FEATURE_MSGQ | KMM_FEATURE_SWAP |
				      KMM_FEATURE_PIPE;
	if (kmm_dev_env.vmap)
		call->arg.features.features |= KMM_FEATURE_OPS_VMALLOC;
	if (IS_ENABLED(CONFIG_TRACEPOINTS))
		call->arg.features.features |= KMM_FEATURE_TRACEPOINTS;
	if (IS_ENABLED(CONFIG_DEBUG_FS))
		call->arg.features.features |= KMM_FEATURE_DEBUGFS;
	if (IS_ENABLED(CONFIG_DMA_SHARED_BUFFER))
		call->arg.features.features |= KMM_FEATURE_DMABUF;
	return 0;
}

static int ioctl_stat(struct kmm_call *call)
{
	struct kmm_session *s = call->file->private_data;
	struct kmm_buddy *b = kmm_dev_env.buddy;
	struct kmm_account *a = s->account;
	u64 flags = call->arg.stat.flags;
	struct kmm_buddy_stat st;
	unsigned long lazy;

	if (flags & ~KMM_STAT_EXACT)
		return -EINVAL;
	kmm_buddy_stat(b, &st, flags & KMM_STAT_EXACT);
	/* They are given out as far as the buddy knows. */
	lazy = min(kmm_vmap_lazy_frames(kmm_dev_env.vmap), st.used);
	call->arg.stat = (struct kmm_stat) {
		.flags = flags,
		.total = st.total,
		.metadata = st.metadata,
		.free = st.free,
		.cached = st.cached,
		.lazy = lazy,
		.quarantined = st.quarantined,
		.used = st.used - lazy,
		.watermark_min = b->watermark[KMM_WMARK_MIN],
		.watermark_low = b->watermark[KMM_WMARK_LOW],
		.watermark_high = b->watermark[KMM_WMARK_HIGH],
		.objects = READ_ONCE(kmm_dev_env.objects->nr),
		.file_frames = kmm_account_used(a, KMM_RES_FRAMES),
		.user_frames = kmm_account_used(a->parent, KMM_RES_FRAMES),
		.user_objects = kmm_account_used(a->parent, KMM_RES_OBJECTS),
		.user_host_bytes = kmm_account_used(a->parent, KMM_RES_HOST_BYTES),
		.user_names = kmm_account_used(a->parent, KMM_RES_NAMES),
		.guard = st.guard,
	};
	return 0;
}

static int ioctl_ops(struct kmm_call *call)
{
	return kmm_session_run(call->file->private_data, &call->arg.ops);
}

/**
 * kmm_call_offer_file() - The descriptor that a call is to return.
 * @call: the call
 * @file: new file, or ERR_PTR; taken over, also on error
 *
 * The number is @call->new_fd; it is installed when the struct has reached user space. At most
 * KMM_CALL_FILES in one call.
 *
 * Context: task, may sleep. Return: 0, or a negative errno.
 */
int kmm_call_offer_file(struct kmm_call *call, struct file *file)
{
	int fd;

	if (IS_ERR(file))
		return PTR_ERR(file);
	fd = kmm_should_fail() ? -ENFILE : get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		fput(file);
		return fd;
	}
	call->new_file[call->nr_new] = file;
	call->fd[call->nr_new++] = fd;
	call->new_fd = fd;
	return 0;
}

static int ioctl_object_create(struct kmm_call *call)
{
	struct kmm_session *s = call->file->private_data;
	struct kmm_object_create *c = &call->arg.create;
	int err;

	err = kmm_call_offer_file(call, kmm_file_create(s->account, c->size_bytes, c->flags));
	if (!err)
		c->fd = call->new_fd;
	return err;
}

static int ioctl_object_import(struct kmm_call *call)
{
	struct kmm_object_import *i = &call->arg.import;
	int err;

	err = kmm_call_offer_file(call, kmm_file_import(i->dmabuf_fd));
	if (!err)
		i->fd = call->new_fd;
	return err;
}

/* === On an object === */

static int ioctl_object_info(struct kmm_call *call)
{
	kmm_object_info(kmm_file_object(call->file), &call->arg.object_info);
	return 0;
}

static int ioctl_object_reopen(struct kmm_call *call)
{
	struct kmm_object_reopen *r = &call->arg.reopen;
	int err;

	if (r->flags != KMM_REOPEN_RDONLY)
		return -EINVAL;
	err = kmm_call_offer_file(call, kmm_file_reopen(call->file, O_RDONLY));
	if (!err)
		r->fd = call->new_fd;
	return err;
}

static int ioctl_object_seal(struct kmm_call *call)
{
	struct kmm_object_seal *s = &call->arg.seal;
	int err;

	if (s->add) {
		err = kmm_file_add_seals(call->file, s->add);
		if (err)
			return err;
	}
	s->seals = READ_ONCE(kmm_file_object(call->file)->seals);
	return 0;
}

static int ioctl_object_export(struct kmm_call *call)
{
	struct kmm_object_export *e = &call->arg.export;
	int err;

	if (e->flags & ~KMM_EXPORT_RDONLY)
		return -EINVAL;
	err = kmm_call_offer_file(call, kmm_file_export(call->file,
							!(e->flags & KMM_EXPORT_RDONLY)));
	if (!err)
		e->fd = call->new_fd;
	return err;
}

/* === The table === */

#define IOCTL_ROW(_ioc, _struct, _last, _kind, _cap, _run) [_IOC_NR(_ioc)] = { \
	.min_size = offsetofend(struct _struct, _last),			\
	.size = sizeof(struct _struct),					\
	.kind = _kind,							\
	.cap = _cap,							\
	.run = _run,							\
}

/* The field named is the last one of the struct's first version. */
static const struct ioctl_row ioctl_table[] = {
	IOCTL_ROW(KMM_IOC_INFO, kmm_info, user_limits, KMM_ON_DEVICE, -1, ioctl_info),
	IOCTL_ROW(KMM_IOC_FEATURES, kmm_features, features, KMM_ON_DEVICE, -1, ioctl_features),
	IOCTL_ROW(KMM_IOC_STAT, kmm_stat, user_host_bytes, KMM_ON_DEVICE, -1, ioctl_stat),
	IOCTL_ROW(KMM_IOC_OPS, kmm_ops, failed, KMM_ON_DEVICE, -1, ioctl_ops),
	IOCTL_ROW(KMM_IOC_OBJECT_CREATE, kmm_object_create, fd, KMM_ON_DEVICE, -1,
		  ioctl_object_create),
	IOCTL_ROW(KMM_IOC_OBJECT_INFO, kmm_object_info, seals, KMM_ON_OBJECT, -1,
		  ioctl_object_info),
	IOCTL_ROW(KMM_IOC_OBJECT_REOPEN, kmm_object_reopen, fd, KMM_ON_OBJECT, -1,
		  ioctl_object_reopen),
	IOCTL_ROW(KMM_IOC_OBJECT_SEAL, kmm_object_seal, seals, KMM_ON_OBJECT, -1,
		  ioctl_object_seal),
	IOCTL_ROW(KMM_IOC_OBJECT_GIFT, kmm_object_gift, done, KMM_ON_OBJECT, -1,
		  kmm_ioctl_object_gift),
	IOCTL_ROW(KMM_IOC_SHM_OPEN, kmm_shm_open, created, KMM_ON_DEVICE, -1, kmm_ioctl_shm_open),
	IOCTL_ROW(KMM_IOC_SHM_UNLINK, kmm_shm_unlink, flags, KMM_ON_DEVICE, -1,
		  kmm_ioctl_shm_unlink),
	IOCTL_ROW(KMM_IOC_OBJECT_EXPORT, kmm_object_export, fd, KMM_ON_OBJECT, -1,
		  ioctl_object_export),
	IOCTL_ROW(KMM_IOC_OBJECT_IMPORT, kmm_object_import, fd, KMM_ON_DEVICE, -1,
		  ioctl_object_import),
	IOCTL_ROW(KMM_IOC_SPACE_CREATE, kmm_space_create, fd, KMM_ON_DEVICE, -1,
		  kmm_call_space_create),
	IOCTL_ROW(KMM_IOC_SPACE_MAP, kmm_space_map, reserved, KMM_ON_SPACE, -1,
		  kmm_call_space_map),
	IOCTL_ROW(KMM_IOC_SPACE_UNMAP, kmm_space_unmap, len, KMM_ON_SPACE, -1,
		  kmm_call_space_unmap),
	IOCTL_ROW(KMM_IOC_SPACE_PROTECT, kmm_space_protect, reserved, KMM_ON_SPACE, -1,
		  kmm_call_space_protect),
	IOCTL_ROW(KMM_IOC_SPACE_CLONE, kmm_space_clone, fd, KMM_ON_SPACE, -1,
		  kmm_call_space_clone),
	IOCTL_ROW(KMM_IOC_SPACE_ACCESS, kmm_space_access, reserved, KMM_ON_SPACE, -1,
		  kmm_call_space_access),
	IOCTL_ROW(KMM_IOC_SPACE_WALK, kmm_space_walk, entry, KMM_ON_SPACE, -1,
		  kmm_call_space_walk),
	IOCTL_ROW(KMM_IOC_SPACE_INFO, kmm_space_info, audit_bad, KMM_ON_SPACE, -1,
		  kmm_call_space_info),
	IOCTL_ROW(KMM_IOC_SPACE_LIMIT, kmm_space_limit, pages, KMM_ON_SPACE, CAP_SYS_ADMIN,
		  kmm_call_space_limit),
	IOCTL_ROW(KMM_IOC_OBJECT_ADVISE, kmm_object_advise, done, KMM_ON_OBJECT, -1,
		  kmm_call_object_advise),
	IOCTL_ROW(KMM_IOC_OBJECT_LIMIT, kmm_object_limit, pages, KMM_ON_OBJECT, CAP_SYS_ADMIN,
		  kmm_call_object_limit),
	IOCTL_ROW(KMM_IOC_PIPE_CREATE, kmm_pipe_create, reserved, KMM_ON_DEVICE, -1,
		  kmm_call_pipe_create),
	IOCTL_ROW(KMM_IOC_PIPE_RESIZE, kmm_pipe_resize, size_bytes, KMM_ON_PIPE, -1,
		  kmm_call_pipe_resize),
	IOCTL_ROW(KMM_IOC_PIPE_INFO, kmm_pipe_info, reserved, KMM_ON_PIPE, -1,
		  kmm_call_pipe_info),
	IOCTL_ROW(KMM_IOC_MSGQ_CREATE, kmm_msgq_create, fd, KMM_ON_DEVICE, -1,
		  kmm_call_msgq_create),
	IOCTL_ROW(KMM_IOC_MSGQ_OPEN, kmm_msgq_open, reserved, KMM_ON_DEVICE, -1,
		  kmm_call_msgq_open),
	IOCTL_ROW(KMM_IOC_MSGQ_SEND, kmm_msgq_send, object, KMM_ON_MSGQ, -1, kmm_call_msgq_send),
	IOCTL_ROW(KMM_IOC_MSGQ_RECEIVE, kmm_msgq_receive, object, KMM_ON_MSGQ, -1,
		  kmm_call_msgq_receive),
	IOCTL_ROW(KMM_IOC_MSGQ_INFO, kmm_msgq_info, reserved_frames, KMM_ON_MSGQ, -1,
		  kmm_call_msgq_info),
	IOCTL_ROW(KMM_IOC_MSGQ_REOPEN, kmm_msgq_reopen, fd, KMM_ON_MSGQ, -1, kmm_call_msgq_reopen),
	IOCTL_ROW(KMM_IOC_MSGQ_UNLINK, kmm_msgq_unlink, flags, KMM_ON_DEVICE, -1,
		  kmm_call_msgq_unlink),
	IOCTL_ROW(KMM_IOC_POLICY_INFO, kmm_policy_info, what, KMM_ON_DEVICE, -1,
		  kmm_call_policy_info),
	IOCTL_ROW(KMM_IOC_POLICY_SET, kmm_policy_set, name, KMM_ON_DEVICE, CAP_SYS_ADMIN,
		  kmm_call_policy_set),
	IOCTL_ROW(KMM_IOC_REPLAY_CREATE, kmm_replay_create, fd, KMM_ON_DEVICE, -1,
		  kmm_call_replay_create),
	IOCTL_ROW(KMM_IOC_REPLAY_RUN, kmm_replay_run, faults, KMM_ON_REPLAY, -1,
		  kmm_call_replay_run),
	IOCTL_ROW(KMM_IOC_OBJECT_YOUNG, kmm_object_young, reserved, KMM_ON_OBJECT, CAP_SYS_ADMIN,
		  kmm_call_object_young),
	IOCTL_ROW(KMM_IOC_SPACE_TRACE, kmm_space_trace, lost, KMM_ON_SPACE, -1,
		  kmm_call_space_trace),
	IOCTL_ROW(KMM_IOC_LAB_BUG, kmm_lab_bug, reports, KMM_ON_DEVICE, CAP_SYS_ADMIN,
		  kmm_call_lab_bug),
	IOCTL_ROW(KMM_IOC_SWAP_ON, kmm_swap_on, compressor, KMM_ON_DEVICE, CAP_SYS_ADMIN,
		  kmm_call_swap_on),
	IOCTL_ROW(KMM_IOC_SWAP_OFF, kmm_swap_off, flags, KMM_ON_DEVICE, CAP_SYS_ADMIN,
		  kmm_call_swap_off),
	IOCTL_ROW(KMM_IOC_SWAP_INFO, kmm_swap_info, what, KMM_ON_DEVICE, CAP_SYS_ADMIN,
		  kmm_call_swap_info),
};

static const struct ioctl_row *ioctl_find(unsigned int cmd, enum kmm_call_kind kind)
{
	const struct ioctl_row *row;

	if (_IOC_TYPE(cmd) != KMM_IOC_MAGIC || _IOC_DIR(cmd) != (_IOC_READ | _IOC_WRITE) ||
	    _IOC_NR(cmd) >= ARRAY_SIZE(ioctl_table))
		return NULL;
	row = &ioctl_table[array_index_nospec(_IOC_NR(cmd), ARRAY_SIZE(ioctl_table))];
	return row->run && row->kind == kind ? row : NULL;
}

/**
 * kmm_call_run() - ioctl(2) on any descriptor of kmm.
 * @file: descriptor
 * @cmd: number
 * @arg: user pointer
 * @kind: what the descriptor is
 *
 * Context: task, may sleep.
 * Return: 0 or a negative errno of the uapi header.
 */
long kmm_call_run(struct file *file, unsigned int cmd, unsigned long arg,
		  enum kmm_call_kind kind)
{
	void __user *uarg = (void __user *)arg;
	const struct ioctl_row *row = ioctl_find(cmd, kind);
	size_t usize = _IOC_SIZE(cmd);
	/* a handler sees its own struct, which is copied, and the fields set below */
	struct kmm_call call kmm_uninitialized;
	unsigned int i;
	int err;

	if (!row)
		return -ENOTTY;
	if (row->cap >= 0 && !capable(row->cap))
		return -EPERM;
	if (usize < row->min_size)
		return -EINVAL;
	if (usize == row->size && usize <= KMM_USERCOPY_FEW)
		err = kmm_copy_few_from_user(&call.arg, uarg, usize) ? 0 : -EFAULT;
	else
		err = copy_struct_from_user(&call.arg, row->size, uarg, usize);
	if (err)
		return err;
	call.file = file;
	call.nr_new = 0;
	call.undo = NULL;
	call.uarg = uarg;
	call.usize = min_t(size_t, usize, row->size);
	call.replied = false;
	err = row->run(&call);
	if (!err && !call.replied && copy_to_user(uarg, &call.arg, call.usize))
		err = -EFAULT;
	if (err && call.undo)
		call.undo(&call);
	for (i = 0; i < call.nr_new; i++) {
		if (err) {
			put_unused_fd(call.fd[i]);
			fput(call.new_file[i]);
		} else {
			fd_install(call.fd[i], call.new_file[i]);
		}
	}
	return err;
}

/* === The device === */

static long chardev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return kmm_call_run(file, cmd, arg, KMM_ON_DEVICE);
}

static int chardev_open(struct inode *inode, struct file *file)
{
	struct kmm_session *s;
	int err;

	err = kmm_file_pin_fs();
	if (err)
		return err;
	s = kmm_session_create();
	if (IS_ERR(s)) {
		kmm_file_unpin_fs();
		return PTR_ERR(s);
	}
	file->private_data = s;
	return 0;
}

static int chardev_release(struct inode *inode, struct file *file)
{
	kmm_session_destroy(file->private_data);
	kmm_file_unpin_fs();
	return 0;
}

static int chardev_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct kmm_session *s = file->private_data;

	return kmm_mapping_mmap_anonymous(s->account, vma);
}

static const struct file_operations chardev_ops = {
	.owner = THIS_MODULE,
	.open = chardev_open,
	.release = chardev_release,
	.unlocked_ioctl = chardev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = chardev_mmap,
	.llseek = noop_llseek,
};

static struct miscdevice chardev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kmm",
	.fops = &chardev_ops,
	.mode = 0660,
};

/**
 * kmm_dev_init() - Open the front: debugfs, then /dev/kmm.
 * @env: what it works on; copied
 *
 * Context: task, may sleep.
 * Return: 0; -EINVAL max_slots out of range (said in the log); or misc_register()'s error.
 */
int kmm_dev_init(const struct kmm_dev_env *env)
{
	int err;

	if (!env->max_slots || env->max_slots > KMM_MAX_MAX_SLOTS) {
		pr_err("max_slots=%u: must be from 1 to %lu\n", env->max_slots,
		       KMM_MAX_MAX_SLOTS);
		return -EINVAL;
	}
	kmm_dev_env = *env;
	env->names->ops[KMM_NAME_SHM] = &kmm_shm_name_ops;
	kmm_session_setup();
	kmm_debugfs_init();
	err = kmm_should_fail() ? -ENOMEM : misc_register(&chardev);
	if (err) {
		kmm_debugfs_fini();
		kmm_session_teardown();
		pr_err("cannot register /dev/kmm (error %d)\n", err);
	}
	return err;
}

/**
 * kmm_dev_fini() - Close the front.
 *
 * Context: task, may sleep; no descriptor is open any more.
 */
void kmm_dev_fini(void)
{
	misc_deregister(&chardev);
	kmm_debugfs_fini();
	kmm_session_teardown();
}
