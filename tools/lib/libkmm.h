/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * libkmm: /dev/kmm from C. A thin layer: one function per ioctl, nothing hidden.
 *
 * Every function returns 0 or a positive result, or a negative errno; errno itself is not
 * part of the interface. There are no globals and no locks, so all of it is thread-safe.
 * What the calls mean, and which errno says what, stands in the ABI header kmm.h.
 *
 *	int dev = kmm_open();
 *	int obj = kmm_object_create(dev, 1 << 20, 0);
 *	char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
 *
 * Link with -lkmm.
 */
#ifndef _LIBKMM_H
#define _LIBKMM_H

#include <stdint.h>

#include "kmm.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * kmm_open() - Open /dev/kmm for reading and writing, close-on-exec.
 *
 * Return: a descriptor, or a negative errno: -ENOENT (or -ENXIO) when the module is not
 * loaded, -EACCES when the caller is neither root nor in group kmm.
 */
int kmm_open(void);

/**
 * kmm_explain_open() - What to do about a failed kmm_open().
 * @err: what kmm_open() returned, negative
 *
 * Return: one line for a person, without a newline; a constant string, or NULL when the
 * error code says all there is.
 */
const char *kmm_explain_open(int err);

/**
 * kmm_get_info() - What the module is and has.
 * @dev: descriptor of /dev/kmm
 * @info: out; the whole struct is written
 */
int kmm_get_info(int dev, struct kmm_info *info);

/**
 * kmm_get_features() - What this build of the module can do.
 * @dev: descriptor of /dev/kmm
 * @features: out: KMM_FEATURE_* bits
 */
int kmm_get_features(int dev, uint64_t *features);

/**
 * kmm_get_stat() - Where the region's frames are.
 * @dev: descriptor of /dev/kmm
 * @flags: KMM_STAT_EXACT for a sum that holds to the frame, or 0
 * @stat: out
 */
int kmm_get_stat(int dev, uint64_t flags, struct kmm_stat *stat);

/**
 * kmm_lab_bug() - Plant a bug on purpose.
 * @dev: descriptor of /dev/kmm
 * @name: of debugfs kmm/lab
 * @reports: out: how many reports its detector has counted
 *
 * Return: 0, or a negative errno.
 */
int kmm_lab_bug(int dev, const char *name, uint32_t *reports);

/**
 * kmm_object_create() - A new memory object.
 * @dev: descriptor of /dev/kmm
 * @size_bytes: its size
 * @flags: KMM_OBJECT_*
 *
 * Return: its descriptor, or a negative errno.
 */
int kmm_object_create(int dev, uint64_t size_bytes, uint32_t flags);

/**
 * kmm_object_info() - Size, resident frames and seals of an object.
 * @obj: descriptor of the object
 * @info: out
 */
int kmm_object_info(int obj, struct kmm_object_info *info);

/**
 * kmm_object_reopen() - A descriptor of the same object that may do less.
 * @obj: descriptor of the object
 * @flags: KMM_REOPEN_RDONLY
 *
 * Return: the new descriptor, or a negative errno.
 */
int kmm_object_reopen(int obj, uint32_t flags);

/**
 * kmm_object_seal() - Add seals to an object.
 * @obj: descriptor of the object
 * @add: KMM_SEAL_* to add; 0 only asks
 * @seals: out: the seals in force, may be NULL
 */
int kmm_object_seal(int obj, uint32_t add, uint32_t *seals);

/**
 * kmm_object_export() - Make a dma-buf of an object.
 * @obj: descriptor of the object
 * @flags: KMM_EXPORT_RDONLY, or 0
 *
 * Return: descriptor of the dma-buf, or a negative errno.
 */
int kmm_object_export(int obj, uint32_t flags);

/**
 * kmm_object_import() - The object behind a dma-buf that kmm_object_export() made.
 * @dev: descriptor of /dev/kmm
 * @dmabuf: descriptor of the dma-buf
 *
 * Return: a new descriptor of the object, or a negative errno.
 */
int kmm_object_import(int dev, int dmabuf);

/**
 * kmm_shm_open() - An object by its name, as shm_open(3).
 * @dev: descriptor of /dev/kmm
 * @name: name, NUL-terminated; for others use KMM_IOC_SHM_OPEN itself
 * @flags: KMM_SHM_*
 * @mode: permission bits of a new name, the umask is taken from them
 * @size_bytes: size of a new object, may be 0
 * @object_flags: KMM_OBJECT_* of a new object
 *
 * Without KMM_SHM_CREATE the last three must be 0.
 *
 * Return: descriptor of the object, or a negative errno.
 */
int kmm_shm_open(int dev, const char *name, uint32_t flags, uint32_t mode, uint64_t size_bytes,
		 uint32_t object_flags);

/**
 * kmm_shm_unlink() - Take the name of an object away.
 * @dev: descriptor of /dev/kmm
 * @name: name, NUL-terminated
 */
int kmm_shm_unlink(int dev, const char *name);

/**
 * kmm_object_gift() - Give pages to another object, without a copy.
 * @src: descriptor of the giver
 * @src_offset: first byte there, page aligned
 * @dst: descriptor of the receiver
 * @dst_offset: first byte there, page aligned
 * @len: bytes, page aligned
 * @gift: out: frames that moved, frames that were copied; may be NULL
 *
 * Return: 0 when all of it was done, a negative errno when nothing was, 1 when @gift->done is
 * less than @len.
 */
int kmm_object_gift(int src, uint64_t src_offset, int dst, uint64_t dst_offset, uint64_t len,
		    struct kmm_object_gift *gift);

/**
 * kmm_object_advise() - Say what is to come of a range.
 * @obj: descriptor of an object
 * @offset: first byte
 * @len: bytes
 * @advice: KMM_ADVISE_*
 *
 * Return: pages, see struct kmm_object_advise; a negative errno.
 */
int64_t kmm_object_advise(int obj, uint64_t offset, uint64_t len, uint32_t advice);

/**
 * kmm_object_limit() - How many frames may an object hold?
 * @obj: descriptor of an object
 * @pages: frames; 0: no limit any more
 */
int kmm_object_limit(int obj, uint64_t pages);

/**
 * kmm_space_limit() - How many pages may be in the tables of a space?
 * @space: descriptor of a space
 * @pages: pages; 0: no limit any more
 */
int kmm_space_limit(int space, uint64_t pages);

/**
 * kmm_ops() - Run a batch of allocator operations.
 * @dev: descriptor of /dev/kmm; it owns what the slots hold
 * @ops: operations; each one's result is written
 * @nr: how many, 1 .. KMM_OPS_MAX
 * @flags: KMM_OPS_*
 * @failed: out: how many failed, may be NULL
 *
 * Return: how many were tried, or a negative errno when none was.
 */
int kmm_ops(int dev, struct kmm_op *ops, uint32_t nr, uint32_t flags, uint32_t *failed);

/**
 * kmm_pages_alloc() - Allocate one block of pages into a slot.
 * @dev: descriptor of /dev/kmm
 * @slot: an empty slot
 * @order: log2 of its pages, 0 .. KMM_ORDER_MAX
 * @flags: KMM_OP_*
 *
 * Return: 0, or the negative errno of the operation.
 */
int kmm_pages_alloc(int dev, uint32_t slot, unsigned int order, uint16_t flags);

/**
 * kmm_pages_free() - Free the pages of a slot.
 * @dev: descriptor of /dev/kmm
 * @slot: slot that holds pages
 *
 * Return: 0, or the negative errno of the operation.
 */
int kmm_pages_free(int dev, uint32_t slot);

/**
 * kmm_cache_create() - Make an object cache in a slot.
 * @dev: descriptor of /dev/kmm
 * @slot: an empty slot
 * @size: bytes of an object, 1 .. KMM_CACHE_SIZE_MAX
 * @align_log2: log2 of the alignment wanted, or 0
 * @flags: KMM_CACHE_*
 *
 * Return: 0, or the negative errno of the operation.
 */
int kmm_cache_create(int dev, uint32_t slot, uint32_t size, unsigned int align_log2,
		     uint16_t flags);

/**
 * kmm_cache_destroy() - Destroy the cache of a slot.
 * @dev: descriptor of /dev/kmm
 * @slot: slot that holds a cache without objects
 *
 * Return: 0, or the negative errno of the operation: -EBUSY while it has objects.
 */
int kmm_cache_destroy(int dev, uint32_t slot);

/**
 * kmm_cache_alloc() - Allocate an object of a cache into a slot.
 * @dev: descriptor of /dev/kmm
 * @slot: an empty slot
 * @cache: slot of the cache
 * @flags: KMM_OP_*
 * @address: out with KMM_OP_ADDR: the kernel's address; may be NULL
 *
 * Return: 0, or the negative errno of the operation.
 */
int kmm_cache_alloc(int dev, uint32_t slot, uint32_t cache, uint16_t flags, uint64_t *address);

/**
 * kmm_cache_free() - Free the object of a slot.
 * @dev: descriptor of /dev/kmm
 * @slot: slot that holds an object of a cache
 *
 * Return: 0, or the negative errno of the operation.
 */
int kmm_cache_free(int dev, uint32_t slot);

/**
 * kmm_kmalloc() - Allocate bytes into a slot.
 * @dev: descriptor of /dev/kmm
 * @slot: an empty slot
 * @size: bytes, 1 .. 2^KMM_ORDER_MAX pages
 * @flags: KMM_OP_*
 * @address: out with KMM_OP_ADDR: the kernel's address; may be NULL
 *
 * Return: 0, or the negative errno of the operation.
 */
int kmm_kmalloc(int dev, uint32_t slot, uint64_t size, uint16_t flags, uint64_t *address);

/**
 * kmm_kfree() - Free the bytes of a slot.
 * @dev: descriptor of /dev/kmm
 * @slot: slot that kmm_kmalloc() filled
 *
 * Return: 0, or the negative errno of the operation.
 */
int kmm_kfree(int dev, uint32_t slot);

/**
 * kmm_vmalloc() - Allocate virtually contiguous kernel memory into a slot.
 * @dev: descriptor of /dev/kmm
 * @slot: an empty slot
 * @size: bytes, not zero
 * @prot: KMM_PROT_READ, and WRITE or EXEC
 * @flags: KMM_OP_ZERO, KMM_OP_ADDR
 * @address: out with KMM_OP_ADDR: the kernel's address; may be NULL
 *
 * Return: 0, or the negative errno of the operation.
 */
int kmm_vmalloc(int dev, uint32_t slot, uint64_t size, unsigned int prot, uint16_t flags,
		uint64_t *address);

/**
 * kmm_vfree() - Free the memory of a slot.
 * @dev: descriptor of /dev/kmm
 * @slot: slot that kmm_vmalloc() filled
 *
 * Return: 0, or the negative errno of the operation.
 */
int kmm_vfree(int dev, uint32_t slot);

/**
 * kmm_pipe_create() - A new pipe.
 * @dev: descriptor of /dev/kmm
 * @size_bytes: capacity, 0 is KMM_PIPE_SIZE_DEFAULT
 * @flags: KMM_PIPE_*
 * @fd: out: the read end, the write end, as pipe(2) gives them
 *
 * Return: 0, or a negative errno.
 */
int kmm_pipe_create(int dev, uint64_t size_bytes, uint32_t flags, int fd[2]);

/**
 * kmm_pipe_resize() - Change the capacity of a pipe.
 * @pipe: either end
 * @size_bytes: wanted; out: what it is now; unchanged on error
 *
 * Return: 0, or a negative errno: -EBUSY when more is in it.
 */
int kmm_pipe_resize(int pipe, uint64_t *size_bytes);

/**
 * kmm_pipe_info() - What a pipe holds, and which ends are open.
 * @pipe: either end
 * @info: out
 */
int kmm_pipe_info(int pipe, struct kmm_pipe_info *info);

/**
 * kmm_msgq_create() - A new message queue without a name.
 * @dev: descriptor of /dev/kmm
 * @maxmsg: messages that it may hold
 * @msgsize: bytes of the largest
 * @flags: KMM_MSGQ_READ, KMM_MSGQ_WRITE, KMM_MSGQ_NONBLOCK
 *
 * Return: its descriptor, or a negative errno.
 */
int kmm_msgq_create(int dev, uint32_t maxmsg, uint32_t msgsize, uint32_t flags);

/**
 * kmm_msgq_open() - A message queue by its name, as mq_open(3).
 * @dev: descriptor of /dev/kmm
 * @name: its name
 * @flags: as kmm_msgq_create(), and KMM_MSGQ_CREATE, KMM_MSGQ_EXCL
 * @mode: permissions of a new name; this and the rest is 0 without KMM_MSGQ_CREATE
 * @maxmsg: as kmm_msgq_create()
 * @msgsize: as kmm_msgq_create()
 *
 * Return: its descriptor, or a negative errno.
 */
int kmm_msgq_open(int dev, const char *name, uint32_t flags, uint32_t mode, uint32_t maxmsg,
		  uint32_t msgsize);

/**
 * kmm_msgq_unlink() - Take the name of a message queue away.
 * @dev: descriptor of /dev/kmm
 * @name: its name
 */
int kmm_msgq_unlink(int dev, const char *name);

/**
 * kmm_msgq_send() - Put a message into a queue.
 * @queue: descriptor of the queue
 * @buf: the message
 * @size_bytes: bytes of it
 * @prio: 0 .. KMM_MSGQ_PRIO_MAX - 1, the highest is received first
 * @flags: KMM_MSG_NOWAIT, KMM_MSG_TIMEOUT or KMM_MSG_DEADLINE
 * @time_ns: with the last two, else 0
 */
int kmm_msgq_send(int queue, const void *buf, uint32_t size_bytes, uint32_t prio, uint32_t flags,
		  uint64_t time_ns);

/**
 * kmm_msgq_receive() - Take a message out of a queue.
 * @queue: descriptor of the queue
 * @buf: where it goes
 * @size_bytes: room there, at least the queue's msgsize
 * @prio: out: its priority, may be NULL
 * @flags: as kmm_msgq_send()
 * @time_ns: as kmm_msgq_send()
 *
 * Return: bytes of the message, or a negative errno.
 */
int kmm_msgq_receive(int queue, void *buf, uint32_t size_bytes, uint32_t *prio, uint32_t flags,
		     uint64_t time_ns);

/**
 * kmm_msgq_send_gift() - Send pages of a memory object, which reads as zeros there afterwards.
 * @queue: descriptor of the queue
 * @obj: descriptor of the object
 * @offset: first byte, page aligned
 * @size_bytes: whole pages
 * @prio: as kmm_msgq_send()
 * @flags: as kmm_msgq_send()
 * @time_ns: as kmm_msgq_send()
 */
int kmm_msgq_send_gift(int queue, int obj, uint64_t offset, uint32_t size_bytes, uint32_t prio,
		       uint32_t flags, uint64_t time_ns);

/**
 * kmm_msgq_receive_gift() - Let a message take the place of pages of a memory object.
 * @queue: descriptor of the queue
 * @obj: descriptor of the object
 * @offset: first byte, page aligned
 * @size_bytes: room there, at least the queue's msgsize
 * @prio: as kmm_msgq_receive()
 * @flags: as kmm_msgq_send()
 * @time_ns: as kmm_msgq_send()
 *
 * Return: bytes of the message, or a negative errno.
 */
int kmm_msgq_receive_gift(int queue, int obj, uint64_t offset, uint32_t size_bytes,
			  uint32_t *prio, uint32_t flags, uint64_t time_ns);

/**
 * kmm_msgq_info() - Limits, messages and waiters of a queue.
 * @queue: descriptor of the queue
 * @info: out
 */
int kmm_msgq_info(int queue, struct kmm_msgq_info *info);

/**
 * kmm_msgq_reopen() - Another descriptor of a queue that may do as much or less.
 * @queue: descriptor of the queue
 * @flags: as kmm_msgq_create()
 *
 * Return: the new descriptor, or a negative errno.
 */
int kmm_msgq_reopen(int queue, uint32_t flags);

/**
 * kmm_swap_on() - One more place for pages to go to. For CAP_SYS_ADMIN.
 * @dev: descriptor of /dev/kmm
 * @fd: regular file or block device, open for reading and writing; what is in it is lost
 * @prio: 0 .. KMM_SWAP_PRIO_MAX, higher ones are filled first
 *
 * Return: the number of the area, or a negative errno.
 */
int kmm_swap_on(int dev, int fd, int prio);

/**
 * kmm_swap_on_ram() - The same in compressed memory of the host.
 * @dev: descriptor of /dev/kmm
 * @compressor: "lz4" or "zstd"
 * @size_bytes: memory that the compressed pages may take
 * @prio: as kmm_swap_on()
 *
 * Return: the number of the area, or a negative errno.
 */
int kmm_swap_on_ram(int dev, const char *compressor, uint64_t size_bytes, int prio);

/**
 * kmm_swap_off() - Bring the pages of an area home, and take it away.
 * @dev: descriptor of /dev/kmm
 * @id: number of the area
 */
int kmm_swap_off(int dev, uint32_t id);

/**
 * kmm_swap_info() - The state of an area.
 * @dev: descriptor of /dev/kmm
 * @id: where to begin; @info->id says which one was found
 * @info: out
 *
 * Return: 0; -ENOENT: none from @id on.
 */
int kmm_swap_info(int dev, uint32_t id, struct kmm_swap_info *info);

/**
 * kmm_space_create() - A new, empty address space.
 * @dev: descriptor of /dev/kmm
 *
 * Its descriptor takes pread(2) and pwrite(2) with a virtual address as the offset.
 *
 * Return: its descriptor, or a negative errno.
 */
int kmm_space_create(int dev);

/**
 * kmm_space_map() - Map something into a space.
 * @space: descriptor of the space
 * @addr: in: where (with KMM_MAP_FIXED), or a hint; out: where it is
 * @len: bytes
 * @prot: KMM_PROT_*
 * @flags: KMM_MAP_*
 * @obj: descriptor of a memory object, or -1 for zero-filled private memory
 * @offset: into the object
 */
int kmm_space_map(int space, uint64_t *addr, uint64_t len, uint32_t prot, uint32_t flags,
		  int obj, uint64_t offset);

/**
 * kmm_space_unmap() - Unmap a range of a space.
 * @space: descriptor of the space
 * @addr: page aligned
 * @len: bytes
 */
int kmm_space_unmap(int space, uint64_t addr, uint64_t len);

/**
 * kmm_space_protect() - Change the rights of a range.
 * @space: descriptor of the space
 * @addr: page aligned
 * @len: bytes
 * @prot: KMM_PROT_*, 0 for none
 */
int kmm_space_protect(int space, uint64_t addr, uint64_t len, uint32_t prot);

/**
 * kmm_space_clone() - A copy of a space, its private memory copy-on-write.
 * @space: descriptor of the space
 *
 * Return: the copy's descriptor, or a negative errno.
 */
int kmm_space_clone(int space);

/**
 * kmm_space_access() - Read, write or probe at a virtual address.
 * @space: descriptor of the space
 * @access: in and out, see struct kmm_space_access
 *
 * Return: 0, also when the access was denied: then @access->fault_rule says by which rule.
 */
int kmm_space_access(int space, struct kmm_space_access *access);

/**
 * kmm_space_read() - Read by the software walk.
 * @space: descriptor of the space
 * @addr: virtual address
 * @buf: where to
 * @len: bytes, at most KMM_ACCESS_MAX
 *
 * Return: 0, or a negative errno; -EIO when less than all was read.
 */
int kmm_space_read(int space, uint64_t addr, void *buf, uint32_t len);

/**
 * kmm_space_write() - Write by the software walk.
 * @space: descriptor of the space
 * @addr: virtual address
 * @buf: what
 * @len: bytes, at most KMM_ACCESS_MAX
 *
 * Return: 0, or a negative errno; -EIO when less than all was written.
 */
int kmm_space_write(int space, uint64_t addr, const void *buf, uint32_t len);

/**
 * kmm_space_walk() - Every level of one translation.
 * @space: descriptor of the space
 * @addr: virtual address
 * @flags: KMM_WALK_*
 * @walk: out
 */
int kmm_space_walk(int space, uint64_t addr, uint32_t flags, struct kmm_space_walk *walk);

/**
 * kmm_space_info() - Counts of a space, and an audit of its user root.
 * @space: descriptor of the space
 * @info: out
 */
int kmm_space_info(int space, struct kmm_space_info *info);

/**
 * kmm_policy_info() - One of the replacement policies.
 * @dev: descriptor of /dev/kmm
 * @index: which one, from 0
 * @info: out
 *
 * Return: 0; -ENOENT there are not so many.
 */
int kmm_policy_info(int dev, uint32_t index, struct kmm_policy_info *info);

/**
 * kmm_policy_set() - Which policy decides from now on.
 * @dev: descriptor of /dev/kmm
 * @name: its name
 *
 * Return: 0, or a negative errno: -ENOENT no such policy, -EPERM.
 */
int kmm_policy_set(int dev, const char *name);

/**
 * kmm_replay_create() - A place to replay references in.
 * @dev: descriptor of /dev/kmm
 * @policy: who decides
 * @nr_frames: frames
 * @nr_pages: all page numbers will be below it
 *
 * Return: its descriptor, or a negative errno.
 */
int kmm_replay_create(int dev, const char *policy, uint32_t nr_frames, uint32_t nr_pages);

/**
 * kmm_replay_run() - Replay references.
 * @replay: descriptor of kmm_replay_create()
 * @refs: page numbers, with KMM_REPLAY_WRITE
 * @nr: how many, 1 .. KMM_REPLAY_MAX
 * @run: out: done, and the sums since the beginning
 *
 * Return: 0, also when only a part was done; or a negative errno, and none was.
 */
int kmm_replay_run(int replay, const uint32_t *refs, uint32_t nr, struct kmm_replay_run *run);

/**
 * kmm_object_young() - Which pages were used since the last call?
 * @obj: descriptor of the object
 * @first: first page
 * @nr: pages, 1 .. KMM_YOUNG_MAX
 * @bitmap: out: (@nr + 63) / 64 words
 *
 * Return: how many, or a negative errno.
 */
int kmm_object_young(int obj, uint64_t first, uint32_t nr, uint64_t *bitmap);

/**
 * kmm_space_trace() - Record the pages that accesses touch, and read them.
 * @space: descriptor of the space
 * @flags: KMM_TRACE_*
 * @buf: out: entries
 * @nr: room in @buf, may be 0
 * @lost: out: entries since the start that found no room; may be NULL
 *
 * Return: entries, or a negative errno.
 */
int kmm_space_trace(int space, uint32_t flags, uint64_t *buf, uint32_t nr, uint64_t *lost);

/**
 * kmm_fault_rule_name() - A name for enum kmm_fault_rule.
 * @rule: the number
 *
 * Return: a constant string, such as "no_write"; "unknown" for a number of a newer kernel.
 */
const char *kmm_fault_rule_name(uint32_t rule);

#ifdef __cplusplus
}
#endif

#endif /* _LIBKMM_H */
