// SPDX-License-Identifier: GPL-2.0-only
/*
 * libkmm: see libkmm.h for what each function does and kmm.h for what the kernel does.
 *
 * Each function fills the ioctl's struct, calls it, and turns -1/errno into -errno.
 * Structs start as zeros, so a field that a newer header adds reads as "not used".
 * Nothing is retried: -EINTR is the caller's to see.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "libkmm.h"

static int call(int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

int kmm_open(void)
{
	int fd = open(KMM_DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

const char *kmm_explain_open(int err)
{
	switch (err) {
	case -ENOENT:
	case -ENXIO:
	case -ENODEV:
		return "no " KMM_DEVICE ": is the module loaded? As root: insmod kmm.ko";
	case -EACCES:
	case -EPERM:
		return "no permission for " KMM_DEVICE
		       ": be root, or join group kmm (usermod -aG kmm USER, then log in again)";
	default:
		return NULL;
	}
}

int kmm_get_info(int dev, struct kmm_info *info)
{
	*info = (struct kmm_info){ 0 };
	return call(dev, KMM_IOC_INFO, info);
}

int kmm_get_features(int dev, uint64_t *features)
{
	struct kmm_features f = { 0 };
	int ret = call(dev, KMM_IOC_FEATURES, &f);

	*features = f.features;
	return ret;
}

int kmm_get_stat(int dev, uint64_t flags, struct kmm_stat *stat)
{
	*stat = (struct kmm_stat){ .flags = flags };
	return call(dev, KMM_IOC_STAT, stat);
}

int kmm_lab_bug(int dev, const char *name, uint32_t *reports)
{
	struct kmm_lab_bug b = { 0 };
	int ret;

	if (strlen(name) >= sizeof(b.name))
		return -ENOENT;
	memcpy(b.name, name, strlen(name));
	ret = call(dev, KMM_IOC_LAB_BUG, &b);
	*reports = b.reports;
	return ret;
}

int kmm_object_create(int dev, uint64_t size_bytes, uint32_t flags)
{
	struct kmm_object_create c = { .size_bytes = size_bytes, .flags = flags };
	int ret = call(dev, KMM_IOC_OBJECT_CREATE, &c);

	return ret < 0 ? ret : c.fd;
}

int kmm_object_info(int obj, struct kmm_object_info *info)
{
	*info = (struct kmm_object_info){ 0 };
	return call(obj, KMM_IOC_OBJECT_INFO, info);
}

int kmm_object_reopen(int obj, uint32_t flags)
{
	struct kmm_object_reopen r = { .flags = flags };
	int ret = call(obj, KMM_IOC_OBJECT_REOPEN, &r);

	return ret < 0 ? ret : r.fd;
}

int kmm_object_seal(int obj, uint32_t add, uint32_t *seals)
{
	struct kmm_object_seal s = { .add = add };
	int ret = call(obj, KMM_IOC_OBJECT_SEAL, &s);

	if (ret >= 0 && seals)
		*seals = s.seals;
	return ret;
}

int kmm_object_export(int obj, uint32_t flags)
{
	struct kmm_object_export e = { .flags = flags };
	int ret = call(obj, KMM_IOC_OBJECT_EXPORT, &e);

	return ret < 0 ? ret : e.fd;
}

int kmm_object_import(int dev, int dmabuf)
{
	struct kmm_object_import i = { .dmabuf_fd = dmabuf };
	int ret = call(dev, KMM_IOC_OBJECT_IMPORT, &i);

	return ret < 0 ? ret : i.fd;
}

int kmm_shm_open(int dev, const char *name, uint32_t flags, uint32_t mode, uint64_t size_bytes,
		 uint32_t object_flags)
{
	struct kmm_shm_open s = {
		.name = (uintptr_t)name, .name_len = strlen(name), .flags = flags, .mode = mode,
		.size_bytes = size_bytes, .object_flags = object_flags,
	};
	int ret = call(dev, KMM_IOC_SHM_OPEN, &s);

	return ret < 0 ? ret : s.fd;
}

int kmm_shm_unlink(int dev, const char *name)
{
	struct kmm_shm_unlink u = { .name = (uintptr_t)name, .name_len = strlen(name) };

	return call(dev, KMM_IOC_SHM_UNLINK, &u);
}

int kmm_object_gift(int src, uint64_t src_offset, int dst, uint64_t dst_offset, uint64_t len,
		    struct kmm_object_gift *gift)
{
	struct kmm_object_gift g = {
		.dst_fd = dst, .src_offset = src_offset, .dst_offset = dst_offset, .len = len,
	};
	int ret = call(src, KMM_IOC_OBJECT_GIFT, &g);

	if (ret < 0)
		return ret;
	if (gift)
		*gift = g;
	return g.done < len;
}

int64_t kmm_object_advise(int obj, uint64_t offset, uint64_t len, uint32_t advice)
{
	struct kmm_object_advise a = { .offset = offset, .len = len, .advice = advice };
	int ret = call(obj, KMM_IOC_OBJECT_ADVISE, &a);

	return ret < 0 ? ret : (int64_t)a.done;
}

int kmm_object_limit(int obj, uint64_t pages)
{
	struct kmm_object_limit l = { .pages = pages };

	return call(obj, KMM_IOC_OBJECT_LIMIT, &l);
}

int kmm_space_limit(int space, uint64_t pages)
{
	struct kmm_space_limit l = { .pages = pages };

	return call(space, KMM_IOC_SPACE_LIMIT, &l);
}

int kmm_ops(int dev, struct kmm_op *ops, uint32_t nr, uint32_t flags, uint32_t *failed)
{
	struct kmm_ops b = { .ops = (uintptr_t)ops, .nr = nr, .flags = flags };
	int ret = call(dev, KMM_IOC_OPS, &b);

	if (ret < 0)
		return ret;
	if (failed)
		*failed = b.failed;
	return (int)b.done;
}

/* A batch of one. */
static int run_op(int dev, struct kmm_op op, uint64_t *address)
{
	int ret = kmm_ops(dev, &op, 1, 0, NULL);

	if (ret < 0)
		return ret;
	if (!op.result && address && op.flags & KMM_OP_ADDR)
		*address = op.arg;
	return op.result;
}

int kmm_pages_alloc(int dev, uint32_t slot, unsigned int order, uint16_t flags)
{
	return run_op(dev, (struct kmm_op){ .kind = KMM_OP_PAGES_ALLOC, .flags = flags,
					    .slot = slot, .arg = order }, NULL);
}

int kmm_pages_free(int dev, uint32_t slot)
{
	return run_op(dev, (struct kmm_op){ .kind = KMM_OP_PAGES_FREE, .slot = slot }, NULL);
}

int kmm_cache_create(int dev, uint32_t slot, uint32_t size, unsigned int align_log2,
		     uint16_t flags)
{
	return run_op(dev, (struct kmm_op){ .kind = KMM_OP_CACHE_CREATE, .slot = slot,
					    .arg = KMM_CACHE_ARG(size, flags, align_log2) }, NULL);
}

int kmm_cache_destroy(int dev, uint32_t slot)
{
	return run_op(dev, (struct kmm_op){ .kind = KMM_OP_CACHE_DESTROY, .slot = slot }, NULL);
}

int kmm_cache_alloc(int dev, uint32_t slot, uint32_t cache, uint16_t flags, uint64_t *address)
{
	return run_op(dev, (struct kmm_op){ .kind = KMM_OP_CACHE_ALLOC, .flags = flags,
					    .slot = slot, .arg = cache }, address);
}

int kmm_cache_free(int dev, uint32_t slot)
{
	return run_op(dev, (struct kmm_op){ .kind = KMM_OP_CACHE_FREE, .slot = slot }, NULL);
}

int kmm_kmalloc(int dev, uint32_t slot, uint64_t size, uint16_t flags, uint64_t *address)
{
	return run_op(dev, (struct kmm_op){ .kind = KMM_OP_KMALLOC, .flags = flags,
					    .slot = slot, .arg = size }, address);
}

int kmm_kfree(int dev, uint32_t slot)
{
	return run_op(dev, (struct kmm_op){ .kind = KMM_OP_KFREE, .slot = slot }, NULL);
}

int kmm_vmalloc(int dev, uint32_t slot, uint64_t size, unsigned int prot, uint16_t flags,
		uint64_t *address)
{
	if (size >> 56 || prot > 255)
		return -EINVAL;
	return run_op(dev, (struct kmm_op){ .kind = KMM_OP_VMALLOC, .flags = flags, .slot = slot,
					    .arg = KMM_VMALLOC_ARG(size, prot) }, address);
}

int kmm_vfree(int dev, uint32_t slot)
{
	return run_op(dev, (struct kmm_op){ .kind = KMM_OP_VFREE, .slot = slot }, NULL);
}

int kmm_pipe_create(int dev, uint64_t size_bytes, uint32_t flags, int fd[2])
{
	struct kmm_pipe_create c = { .size_bytes = size_bytes, .flags = flags };
	int ret = call(dev, KMM_IOC_PIPE_CREATE, &c);

	if (ret < 0)
		return ret;
	fd[0] = c.fd_read;
	fd[1] = c.fd_write;
	return 0;
}

int kmm_pipe_resize(int pipe, uint64_t *size_bytes)
{
	struct kmm_pipe_resize r = { .size_bytes = *size_bytes };
	int ret = call(pipe, KMM_IOC_PIPE_RESIZE, &r);

	if (ret >= 0)
		*size_bytes = r.size_bytes;
	return ret;
}

int kmm_pipe_info(int pipe, struct kmm_pipe_info *info)
{
	*info = (struct kmm_pipe_info){ 0 };
	return call(pipe, KMM_IOC_PIPE_INFO, info);
}

int kmm_msgq_create(int dev, uint32_t maxmsg, uint32_t msgsize, uint32_t flags)
{
	struct kmm_msgq_create c = { .maxmsg = maxmsg, .msgsize = msgsize, .flags = flags };
	int ret = call(dev, KMM_IOC_MSGQ_CREATE, &c);

	return ret < 0 ? ret : c.fd;
}

int kmm_msgq_open(int dev, const char *name, uint32_t flags, uint32_t mode, uint32_t maxmsg,
		  uint32_t msgsize)
{
	struct kmm_msgq_open o = {
		.name = (uintptr_t)name, .name_len = strlen(name), .flags = flags, .mode = mode,
		.maxmsg = maxmsg, .msgsize = msgsize,
	};
	int ret = call(dev, KMM_IOC_MSGQ_OPEN, &o);

	return ret < 0 ? ret : o.fd;
}

int kmm_msgq_unlink(int dev, const char *name)
{
	struct kmm_msgq_unlink u = { .name = (uintptr_t)name, .name_len = strlen(name) };

	return call(dev, KMM_IOC_MSGQ_UNLINK, &u);
}

int kmm_msgq_send(int queue, const void *buf, uint32_t size_bytes, uint32_t prio, uint32_t flags,
		  uint64_t time_ns)
{
	struct kmm_msgq_send s = {
		.buf = (uintptr_t)buf, .size_bytes = size_bytes, .prio = prio, .flags = flags,
		.time = time_ns,
	};

	return call(queue, KMM_IOC_MSGQ_SEND, &s);
}

int kmm_msgq_receive(int queue, void *buf, uint32_t size_bytes, uint32_t *prio, uint32_t flags,
		     uint64_t time_ns)
{
	struct kmm_msgq_receive r = {
		.buf = (uintptr_t)buf, .size_bytes = size_bytes, .flags = flags, .time = time_ns,
	};
	int ret = call(queue, KMM_IOC_MSGQ_RECEIVE, &r);

	if (ret < 0)
		return ret;
	if (prio)
		*prio = r.prio;
	return (int)r.size_bytes;
}

int kmm_msgq_send_gift(int queue, int obj, uint64_t offset, uint32_t size_bytes, uint32_t prio,
		       uint32_t flags, uint64_t time_ns)
{
	struct kmm_msgq_send s = {
		.buf = offset, .size_bytes = size_bytes, .prio = prio,
		.flags = flags | KMM_MSG_GIFT, .time = time_ns, .object = obj,
	};

	return call(queue, KMM_IOC_MSGQ_SEND, &s);
}

int kmm_msgq_receive_gift(int queue, int obj, uint64_t offset, uint32_t size_bytes,
			  uint32_t *prio, uint32_t flags, uint64_t time_ns)
{
	struct kmm_msgq_receive r = {
		.buf = offset, .size_bytes = size_bytes, .flags = flags | KMM_MSG_GIFT,
		.time = time_ns, .object = obj,
	};
	int ret = call(queue, KMM_IOC_MSGQ_RECEIVE, &r);

	if (ret < 0)
		return ret;
	if (prio)
		*prio = r.prio;
	return (int)r.size_bytes;
}

int kmm_msgq_info(int queue, struct kmm_msgq_info *info)
{
	*info = (struct kmm_msgq_info){ 0 };
	return call(queue, KMM_IOC_MSGQ_INFO, info);
}

int kmm_msgq_reopen(int queue, uint32_t flags)
{
	struct kmm_msgq_reopen r = { .flags = flags };
	int ret = call(queue, KMM_IOC_MSGQ_REOPEN, &r);

	return ret < 0 ? ret : r.fd;
}

/* === Address spaces === */

int kmm_space_create(int dev)
{
	struct kmm_space_create c = { 0 };
	int ret = call(dev, KMM_IOC_SPACE_CREATE, &c);

	return ret < 0 ? ret : c.fd;
}

int kmm_space_map(int space, uint64_t *addr, uint64_t len, uint32_t prot, uint32_t flags,
		  int obj, uint64_t offset)
{
	struct kmm_space_map m = { .addr = *addr, .len = len, .offset = offset, .object_fd = obj,
				   .prot = prot, .flags = flags };
	int ret = call(space, KMM_IOC_SPACE_MAP, &m);

	if (ret >= 0)
		*addr = m.addr;
	return ret;
}

int kmm_space_unmap(int space, uint64_t addr, uint64_t len)
{
	struct kmm_space_unmap u = { .addr = addr, .len = len };

	return call(space, KMM_IOC_SPACE_UNMAP, &u);
}

int kmm_space_protect(int space, uint64_t addr, uint64_t len, uint32_t prot)
{
	struct kmm_space_protect p = { .addr = addr, .len = len, .prot = prot };

	return call(space, KMM_IOC_SPACE_PROTECT, &p);
}

int kmm_space_clone(int space)
{
	struct kmm_space_clone c = { 0 };
	int ret = call(space, KMM_IOC_SPACE_CLONE, &c);

	return ret < 0 ? ret : c.fd;
}

int kmm_space_access(int space, struct kmm_space_access *access)
{
	return call(space, KMM_IOC_SPACE_ACCESS, access);
}

/* All of it or -EIO. */
static int access_all(int space, uint32_t op, uint64_t addr, const void *buf, uint32_t len)
{
	struct kmm_space_access a = { .addr = addr, .buf = (uintptr_t)buf, .len = len, .op = op };
	int ret = kmm_space_access(space, &a);

	return ret < 0 || a.done == len ? ret : -EIO;
}

int kmm_space_read(int space, uint64_t addr, void *buf, uint32_t len)
{
	return access_all(space, KMM_ACCESS_READ, addr, buf, len);
}

int kmm_space_write(int space, uint64_t addr, const void *buf, uint32_t len)
{
	return access_all(space, KMM_ACCESS_WRITE, addr, buf, len);
}

int kmm_space_walk(int space, uint64_t addr, uint32_t flags, struct kmm_space_walk *walk)
{
	*walk = (struct kmm_space_walk){ .addr = addr, .flags = flags };
	return call(space, KMM_IOC_SPACE_WALK, walk);
}

int kmm_space_info(int space, struct kmm_space_info *info)
{
	*info = (struct kmm_space_info){ 0 };
	return call(space, KMM_IOC_SPACE_INFO, info);
}

const char *kmm_fault_rule_name(uint32_t rule)
{
	static const char * const names[] = {
		[KMM_RULE_NONE] = "none",
		[KMM_RULE_NONCANONICAL] = "noncanonical",
		[KMM_RULE_KERNEL_HALF] = "kernel_half",
		[KMM_RULE_NO_AREA] = "no_area",
		[KMM_RULE_GUARD] = "guard",
		[KMM_RULE_NO_ACCESS] = "no_access",
		[KMM_RULE_NO_WRITE] = "no_write",
		[KMM_RULE_NO_EXEC] = "no_exec",
		[KMM_RULE_OBJECT] = "object",
		[KMM_RULE_LIMIT] = "limit",
		[KMM_RULE_NOT_PRESENT] = "not_present",
		[KMM_RULE_COW] = "cow",
		[KMM_RULE_KEPT] = "kept",
	};

	return rule < sizeof(names) / sizeof(names[0]) ? names[rule] : "unknown";
}

/* === Page replacement === */

int kmm_policy_info(int dev, uint32_t index, struct kmm_policy_info *info)
{
	*info = (struct kmm_policy_info){ .index = index };
	return call(dev, KMM_IOC_POLICY_INFO, info);
}

/* False when it is too long to be one. */
static bool set_name(__u8 *to, const char *name)
{
	size_t len = strlen(name);

	if (len >= KMM_NAME_LEN)
		return false;
	memcpy(to, name, len);
	return true;
}

int kmm_policy_set(int dev, const char *name)
{
	struct kmm_policy_set s = { 0 };

	return set_name(s.name, name) ? call(dev, KMM_IOC_POLICY_SET, &s) : -ENOENT;
}

int kmm_replay_create(int dev, const char *policy, uint32_t nr_frames, uint32_t nr_pages)
{
	struct kmm_replay_create c = { .nr_frames = nr_frames, .nr_pages = nr_pages };
	int ret = set_name(c.policy, policy) ? call(dev, KMM_IOC_REPLAY_CREATE, &c) : -ENOENT;

	return ret < 0 ? ret : c.fd;
}

int kmm_replay_run(int replay, const uint32_t *refs, uint32_t nr, struct kmm_replay_run *run)
{
	*run = (struct kmm_replay_run){ .refs = (uintptr_t)refs, .nr = nr };
	return call(replay, KMM_IOC_REPLAY_RUN, run);
}

int kmm_object_young(int obj, uint64_t first, uint32_t nr, uint64_t *bitmap)
{
	struct kmm_object_young y = { .first = first, .nr = nr, .bitmap = (uintptr_t)bitmap };
	int ret = call(obj, KMM_IOC_OBJECT_YOUNG, &y);

	return ret < 0 ? ret : (int)y.nr_young;
}

int kmm_space_trace(int space, uint32_t flags, uint64_t *buf, uint32_t nr, uint64_t *lost)
{
	struct kmm_space_trace t = { .flags = flags, .buf = (uintptr_t)buf, .nr = nr };
	int ret = call(space, KMM_IOC_SPACE_TRACE, &t);

	if (ret >= 0 && lost)
		*lost = t.lost;
	return ret < 0 ? ret : (int)t.done;
}

int kmm_swap_on(int dev, int fd, int prio)
{
	struct kmm_swap_on o = { .fd = fd, .prio = prio };
	int ret = call(dev, KMM_IOC_SWAP_ON, &o);

	return ret < 0 ? ret : (int)o.id;
}

int kmm_swap_on_ram(int dev, const char *compressor, uint64_t size_bytes, int prio)
{
	struct kmm_swap_on o = {
		.fd = -1, .flags = KMM_SWAP_RAM, .size_bytes = size_bytes, .prio = prio,
	};
	size_t len = strlen(compressor);
	int ret;

	if (len >= sizeof(o.compressor))
		return -EINVAL;
	memcpy(o.compressor, compressor, len);
	ret = call(dev, KMM_IOC_SWAP_ON, &o);
	return ret < 0 ? ret : (int)o.id;
}

int kmm_swap_off(int dev, uint32_t id)
{
	struct kmm_swap_off o = { .id = id };

	return call(dev, KMM_IOC_SWAP_OFF, &o);
}

int kmm_swap_info(int dev, uint32_t id, struct kmm_swap_info *info)
{
	*info = (struct kmm_swap_info){ .id = id };
	return call(dev, KMM_IOC_SWAP_INFO, info);
}
