/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * /dev/kmm: the user ABI. This header is its documentation.
 *
 * Rules
 *   - Every ioctl is _IOWR('K', nr, struct). The struct may grow at its end: a
 *     caller built against an older header passes a smaller _IOC_SIZE and the
 *     rest reads as zero; a caller built against a newer one is served as long as the
 *     part that this kernel does not know is all zero (-E2BIG otherwise).
 *   - Structs have no holes. Fields named reserved must be zero.
 *   - Bits that are not defined here are refused (-EINVAL), never ignored.
 *   - A call that fails changes nothing, unless its text says otherwise.
 *   - A descriptor that a call returns is always close-on-exec.
 *
 * One errno, one meaning
 *   -EFAULT     a pointer that user space passed cannot be read or written
 *   -EINVAL     an unknown flag, a reserved field that is not zero, a struct shorter
 *               than its first version, size 0, an address or offset that is not page
 *               aligned where it must be, an order or kind that does not exist, a
 *               private writable mapping
 *   -E2BIG      the struct is larger than known and its unknown tail is not zero,
 *               or a batch has more entries than KMM_OPS_MAX
 *   -EFBIG      a size above KMM_OBJECT_SIZE_MAX, or above 2^ORDER_MAX pages for CONTIG
 *               and KMALLOC; a pipe above KMM_PIPE_SIZE_HARD_MAX
 *   -EOVERFLOW  offset + length wraps
 *   -ENOTTY     no such ioctl on this kind of descriptor
 *   -EBADF      the descriptor in a struct is not open
 *   -EPERM      the capability that the table below names is missing, or a seal
 *               forbids the operation; a name of somebody else is to be unlinked
 *   -EACCES     the descriptor was not opened for this (read-only object, a swap file not
 *               open for both); owner and mode of a name do not allow it
 *   -EXDEV      the descriptor in a struct is no dma-buf, or one of another exporter
 *   -EDQUOT     a limit of this file or this user is reached (frames, objects,
 *               names, host bytes)
 *   -ENOMEM     the region has no frame left, or the host no memory for kmm's own
 *               structs
 *   -EAGAIN     a call would have to wait, and must not (O_NONBLOCK, KMM_MSG_NOWAIT)
 *   -ETIMEDOUT  the time to wait is over
 *   -EMSGSIZE   a message larger than the queue takes, a buffer smaller than that
 *   -EPIPE      a write to a pipe without read end; SIGPIPE comes with it
 *   -ENOSPC     a write at or behind the end of a memory object
 *   -ETXTBSY    what is to become swap is mapped shared and writable
 *   -EBUSY      sealing against writes while a shared writable mapping or a writable
 *               dma-buf exists, or while a frame of the object is pinned; punching or
 *               shrinking an object of which there is a dma-buf; destroying a cache that
 *               has objects; a capacity below what is in the pipe; recording a space that
 *               somebody records; what is to become swap is in use, a swap area on its way
 *               out
 *   -EEXIST     the slot is in use; the name exists
 *   -ENOENT     the slot is empty; the name does not exist; no such policy; the space is
 *               not recorded; no swap area has this number
 *   -EBADSLT    the slot holds something of another kind
 *   -ENAMETOOLONG  a name longer than KMM_NAME_MAX
 *   -ERANGE     the slot number is above the session's limit
 *   -EINTR      a signal ended a batch before its first operation, a wait, or a swapoff; or
 *               a fatal one the filling of an object
 *   -EOPNOTSUPP a mode of fallocate that memory objects do not have; dma-buf, where the
 *               host has none; a compressor that it has not
 *   -ENXIO      a range of pages reaches behind the end of an object; no data, or no
 *               hole, behind an offset; opening or watching an object by its path under
 *               /proc
 *   -EIO        pread or pwrite of a space where nothing can be accessed; a page cannot be
 *               brought back from swap
 *   -EMFILE     this process has no descriptor left; all swap areas are in use
 *   -ENFILE     the host has no file left
 *
 * Who may
 *   Whoever could open /dev/kmm (mode 0660, group kmm) may do everything here,
 *   except what is marked CAP_SYS_ADMIN.
 */
#ifndef _UAPI_KMM_H
#define _UAPI_KMM_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define KMM_DEVICE	"/dev/kmm"
#define KMM_ABI_VERSION	1

/* Highest block order: 2^10 pages, 4 MiB. */
#define KMM_ORDER_MAX	10

/* === Info, features, statistics: on a /dev/kmm descriptor === */

#define KMM_NAME_LEN	16

/* kmm_info.flags */
#define KMM_INFO_FALLBACK	(1ULL << 0)	/* not from the provider wanted first */
#define KMM_INFO_LAB		(1ULL << 1)	/* loaded with lab=1 */

/**
 * struct kmm_limits - what one file, or one user, may hold; 2^64-1 means no limit
 * @frames: frames of the region
 * @objects: memory objects
 * @names: names in kmm's name space
 * @host_bytes: host memory for kmm's own structs
 */
struct kmm_limits {
	__u64 frames;
	__u64 objects;
	__u64 names;
	__u64 host_bytes;
};

/**
 * struct kmm_info - what this module is and has; never changes while loaded
 * @abi_version: KMM_ABI_VERSION of the module
 * @page_size: bytes of a frame
 * @region_bytes: bytes held from the host, metadata included
 * @metadata_bytes: bytes of these that describe the rest
 * @window_bytes: kernel address space reserved for mappings
 * @nr_extents: physically contiguous pieces of the region
 * @order_max: highest block order
 * @flags: KMM_INFO_*
 * @provider: name of the provider that served, NUL-terminated
 * @version: version of the module, NUL-terminated
 * @file_limits: limits of one open file
 * @user_limits: limits of one user
 */
struct kmm_info {
	__u32 abi_version;
	__u32 page_size;
	__u64 region_bytes;
	__u64 metadata_bytes;
	__u64 window_bytes;
	__u32 nr_extents;
	__u32 order_max;
	__u64 flags;
	__u8 provider[KMM_NAME_LEN];
	__u8 version[KMM_NAME_LEN];
	struct kmm_limits file_limits;
	struct kmm_limits user_limits;
};

/* kmm_features.features: what this build can do */
#define KMM_FEATURE_OBJECTS	(1ULL << 0)	/* memory objects, mmap, seals */
#define KMM_FEATURE_OPS_PAGES	(1ULL << 1)	/* KMM_IOC_OPS: pages */
#define KMM_FEATURE_TRACEPOINTS	(1ULL << 2)	/* kmm:* trace events */
#define KMM_FEATURE_DEBUGFS	(1ULL << 3)	/* /sys/kernel/debug/kmm */
#define KMM_FEATURE_OPS_SLAB	(1ULL << 4)	/* KMM_IOC_OPS: caches, kmalloc */
#define KMM_FEATURE_OPS_VMALLOC	(1ULL << 5)	/* KMM_IOC_OPS: vmalloc */
#define KMM_FEATURE_SPACES	(1ULL << 6)	/* address spaces */
#define KMM_FEATURE_SHM_NAMES	(1ULL << 7)	/* objects with names */
#define KMM_FEATURE_MSGQ	(1ULL << 8)	/* message queues */
#define KMM_FEATURE_PIPE	(1ULL << 9)	/* pipes */
#define KMM_FEATURE_DMABUF	(1ULL << 10)	/* KMM_IOC_OBJECT_EXPORT, _IMPORT */

#define KMM_FEATURE_GIFT	(1ULL << 11)	/* KMM_IOC_OBJECT_GIFT */
#define KMM_FEATURE_SWAP	(1ULL << 12)	/* swap areas */

/**
 * struct kmm_features - bits that this build offers
 * @features: KMM_FEATURE_*
 */
struct kmm_features {
	__u64 features;
};

/* kmm_stat.flags, in */
#define KMM_STAT_EXACT	(1ULL << 0)	/* stop all per-CPU caches for the reading */

/**
 * struct kmm_stat - where the region's frames are, in frames
 * @flags: in: KMM_STAT_*. With KMM_STAT_EXACT the sum holds to the frame:
 *	free + cached + lazy + quarantined + used + guard + metadata == total.
 *	Without it each figure is right by itself and the sum is approximate.
 * @total: frames of the region
 * @metadata: frames that describe the region, never given out
 * @free: frames on the free lists
 * @cached: free frames in per-CPU caches
 * @lazy: frames whose kernel mapping is not flushed yet
 * @quarantined: freed frames that somebody outside kmm still holds
 * @used: frames given out
 * @watermark_min: below it only urgent requests are served
 * @watermark_low: below it background reclaim starts
 * @watermark_high: above it background reclaim stops
 * @objects: living memory objects
 * @file_frames: frames charged to this open file
 * @user_frames: frames charged to this user
 * @user_objects: objects charged to this user
 * @user_host_bytes: host memory charged to this user
 * @user_names: names charged to this user
 * @guard: frames behind used ones that nobody gets (debug_guardpage_minorder)
 */
struct kmm_stat {
	__u64 flags;
	__u64 total;
	__u64 metadata;
	__u64 free;
	__u64 cached;
	__u64 lazy;
	__u64 quarantined;
	__u64 used;
	__u64 watermark_min;
	__u64 watermark_low;
	__u64 watermark_high;
	__u64 objects;
	__u64 file_frames;
	__u64 user_frames;
	__u64 user_objects;
	__u64 user_host_bytes;
	__u64 user_names;
	__u64 guard;
};

/* === Memory objects === */

/* Largest object: 1 TiB of address range; what it may hold is a matter of limits. */
#define KMM_OBJECT_SIZE_MAX	(1ULL << 40)

/* kmm_object_create.flags */
#define KMM_OBJECT_EAGER	(1U << 0)	/* all frames now, not on demand */
/* physically contiguous; implies EAGER; at most 2^KMM_ORDER_MAX pages */
#define KMM_OBJECT_CONTIG	(1U << 1)
/* implies EAGER; mapped whole by mmap, frames never leave */
#define KMM_OBJECT_LOCKED	(1U << 2)

/**
 * struct kmm_object_create - KMM_IOC_OBJECT_CREATE, on /dev/kmm: a new memory object
 * @size_bytes: size; not zero, not above KMM_OBJECT_SIZE_MAX; need not be page aligned
 * @flags: KMM_OBJECT_*
 * @fd: out: descriptor, open for reading and writing
 *
 * The descriptor behaves as a memfd: mmap (shared, or private read-only), read,
 * write, lseek, fstat, ftruncate, fallocate (0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE). Every
 * page reads as zeros until written. Frames of a LOCKED object serve futexes, process-shared
 * mutexes and semaphores. LOCKED and CONTIG objects refuse punch and shrink with -EPERM,
 * CONTIG ones growth too.
 * Errors: -EINVAL, -EFBIG, -EDQUOT, -ENOMEM, -EMFILE, -ENFILE.
 */
struct kmm_object_create {
	__u64 size_bytes;
	__u32 flags;
	__s32 fd;
};

/**
 * struct kmm_object_info - KMM_IOC_OBJECT_INFO, on an object
 * @id: number, unique since load; the key in debugfs objects
 * @size_bytes: current size
 * @resident: frames that it holds
 * @host_bytes: host memory that describes it
 * @flags: KMM_OBJECT_* of its creation
 * @seals: KMM_SEAL_*
 * @swapped: pages that it has in swap
 * @limit: frames that it may hold, 0: no limit; see struct kmm_object_limit
 */
struct kmm_object_info {
	__u64 id;
	__u64 size_bytes;
	__u64 resident;
	__u64 host_bytes;
	__u32 flags;
	__u32 seals;
	__u64 swapped;
	__u64 limit;
};

/* kmm_object_advise.advice */
#define KMM_ADVISE_PAGEOUT	1	/* evict, whatever the policy thinks */
#define KMM_ADVISE_COLD		2	/* forget that they were used */
#define KMM_ADVISE_WILLNEED	3	/* bring in what is in swap */

/**
 * struct kmm_object_advise - KMM_IOC_OBJECT_ADVISE, on an object: what is to come of a range
 * @offset: first byte; the page that it is in counts as whole, so does the last one
 * @len: bytes; what lies behind the end is left out
 * @advice: KMM_ADVISE_*
 * @flags: 0
 * @done: out: pages: evicted; forgotten; in memory afterwards
 *
 * Contents never change. Pages that are pinned, or find no place in swap, stay.
 * Errors: -EINVAL; -EPERM frames of LOCKED and CONTIG objects stay; WILLNEED also -EIO, -EDQUOT,
 * -ENOMEM; -EINTR killed.
 */
struct kmm_object_advise {
	__u64 offset;
	__u64 len;
	__u32 advice;
	__u32 flags;
	__u64 done;
};

/**
 * struct kmm_object_limit - KMM_IOC_OBJECT_LIMIT, on an object: how many frames it may hold
 * @pages: frames; 0: no limit any more
 *
 * Above it, its own pages leave in favour of new ones, by the policy of the region at that time.
 * CAP_SYS_ADMIN.
 * Errors: -EPERM also for LOCKED and CONTIG objects; -EINVAL more than the region has; -EDQUOT;
 * -ENOMEM.
 */
struct kmm_object_limit {
	__u64 pages;
};

/* kmm_object_reopen.flags */
#define KMM_REOPEN_RDONLY	(1U << 0)	/* a descriptor that can never write; must be set */

/**
 * struct kmm_object_reopen - KMM_IOC_OBJECT_REOPEN, on an object: a weaker descriptor
 * @flags: KMM_REOPEN_RDONLY
 * @fd: out: the new descriptor of the same object
 *
 * Neither mprotect nor /proc/PID/fd nor truncate make it writable.
 */
struct kmm_object_reopen {
	__u32 flags;
	__s32 fd;
};

/* kmm_object_seal.add and .seals; the meaning is memfd's */
#define KMM_SEAL_SEAL		(1U << 0)	/* no further seals */
#define KMM_SEAL_SHRINK		(1U << 1)	/* may not become smaller */
#define KMM_SEAL_GROW		(1U << 2)	/* may not become larger */
#define KMM_SEAL_WRITE		(1U << 3)	/* no write, no punch, no writable map */
#define KMM_SEAL_FUTURE_WRITE	(1U << 4)	/* as WRITE, but existing maps stay */

/**
 * struct kmm_object_seal - KMM_IOC_OBJECT_SEAL, on an object open for writing
 * @add: seals to add; 0 only reads
 * @seals: out: the seals in force
 *
 * Errors: -EPERM sealed against sealing; -EACCES a read-only descriptor with @add;
 * -EBUSY KMM_SEAL_WRITE while a shared writable mapping or a pinned frame exists, or this
 * or KMM_SEAL_FUTURE_WRITE while a writable dma-buf exists.
 */
struct kmm_object_seal {
	__u32 add;
	__u32 seals;
};

/* kmm_object_export.flags */
#define KMM_EXPORT_RDONLY	(1U << 0)	/* importers may only read */

/**
 * struct kmm_object_export - KMM_IOC_OBJECT_EXPORT, on an object: a dma-buf of it
 * @flags: KMM_EXPORT_*
 * @fd: out: descriptor of the dma-buf
 *
 * Holes are filled; where that fails, those that were filled stay filled. As long as the dma-buf
 * lives, no frame leaves the object: punch and shrink are -EBUSY; the object may grow, the dma-buf
 * does not. A mapping of the dma-buf is one of the object, and stays when the dma-buf goes.
 * Of a read-only dma-buf there is no vmap, and devices map it with DMA_TO_DEVICE only.
 * Without KMM_EXPORT_RDONLY the object's descriptor must be open for writing. Host memory
 * (16 bytes a page, scatter lists) is charged to whoever made the object.
 * Errors: -EINVAL also an empty object; -EACCES; -EPERM sealed against writes; -EDQUOT;
 * -ENOMEM; -EINTR; -EMFILE; -ENFILE; -EOPNOTSUPP.
 */
struct kmm_object_export {
	__u32 flags;
	__s32 fd;
};

/**
 * struct kmm_object_import - KMM_IOC_OBJECT_IMPORT, on /dev/kmm: the object behind a dma-buf
 * @dmabuf_fd: dma-buf that KMM_IOC_OBJECT_EXPORT made
 * @fd: out: a new descriptor of the same object, read-only if the dma-buf is
 *
 * Nothing new is made that would be charged; the creator keeps paying.
 * Errors: -EBADF; -EXDEV; -ENOMEM; -EMFILE; -ENFILE; -EOPNOTSUPP.
 */
struct kmm_object_import {
	__s32 dmabuf_fd;
	__s32 fd;
};

/**
 * struct kmm_object_gift - KMM_IOC_OBJECT_GIFT, on an object: give pages to another one
 * @dst_fd: descriptor of the receiving object
 * @flags: 0
 * @src_offset: first byte here, page aligned
 * @dst_offset: first byte there, page aligned
 * @len: bytes, page aligned, not zero; a last page that the size reaches into only in part
 *	counts as whole
 * @moved: out: frames that went over
 * @copied: out: frames whose contents were copied, because somebody outside held them
 * @done: out: bytes of the range that were handed over
 *
 * Frames and holes of the range replace those of the receiver, without a copy of contents.
 * All mappings of the range, here and there, are revoked first; afterwards it reads as zeros here.
 * The receiver's account pays for what arrives. Both descriptors must be writable.
 * Up to 2 MiB all or nothing. A longer gift that runs out of something on the way, or is
 * killed, succeeds with @done below @len.
 * Errors: -EINVAL, also overlapping ranges of one object; -EBADF; -EACCES; -ENXIO a range
 * reaches behind an end; -EPERM a seal against writes, a LOCKED or CONTIG object; -EBUSY a
 * pinned object; -EDQUOT; -ENOMEM; -EINTR. -EFAULT when the answer cannot be written: the gift has
 * been made then.
 */
struct kmm_object_gift {
	__s32 dst_fd;
	__u32 flags;
	__u64 src_offset;
	__u64 dst_offset;
	__u64 len;
	__u64 moved;
	__u64 copied;
	__u64 done;
};

/* === Names === */

/*
 * A name is 1 to KMM_NAME_MAX bytes, any but NUL and '/', not terminated. Objects and queues have
 * a space of names each, flat, one for the machine. A name is a reference: what it names lives
 * until it is unlinked and the last descriptor is closed; or until the module is unloaded, which
 * names do not prevent. Access is as for files: fsuid, fsgid and groups of the caller against
 * owner and mode; unlink is for the owner or CAP_FOWNER, as in a sticky directory. Names are
 * charged to their creator.
 */
#define KMM_NAME_MAX		255

/* kmm_shm_open.flags */
#define KMM_SHM_CREATE		(1U << 0)	/* make the object when the name does not exist */
#define KMM_SHM_EXCL		(1U << 1)	/* with CREATE: -EEXIST when it exists */
#define KMM_SHM_TRUNCATE	(1U << 2)	/* an existing object gets size 0 */
#define KMM_SHM_RDONLY		(1U << 3)	/* a descriptor that can never write */

/**
 * struct kmm_shm_open - KMM_IOC_SHM_OPEN, on /dev/kmm: an object by its name, as shm_open(3)
 * @name: user pointer to the bytes
 * @name_len: how many
 * @flags: KMM_SHM_*
 * @size_bytes: of a new object; may be 0 unless LOCKED or CONTIG. 0 without CREATE
 * @object_flags: KMM_OBJECT_* of a new object. 0 without CREATE
 * @mode: permission bits of a new name, the umask is taken from them. 0 without CREATE
 * @fd: out: descriptor
 * @created: out: 1 when the object is new, else 0
 *
 * Whoever creates the name gets what was asked for, whatever the mode says. Owner and mode do not
 * change. Errors: -EINVAL; -ENAMETOOLONG; -ENOENT; -EEXIST; -EACCES; -EPERM TRUNCATE
 * against a seal, or of a LOCKED or CONTIG object; -EBUSY TRUNCATE of a pinned one; of a new object
 * also -EFBIG, -EDQUOT, -ENOMEM; -EMFILE; -ENFILE.
 */
struct kmm_shm_open {
	__u64 name;
	__u32 name_len;
	__u32 flags;
	__u64 size_bytes;
	__u32 object_flags;
	__u32 mode;
	__s32 fd;
	__u32 created;
};

/**
 * struct kmm_shm_unlink - KMM_IOC_SHM_UNLINK, on /dev/kmm: take a name away
 * @name: user pointer to the bytes
 * @name_len: how many
 * @flags: 0
 *
 * Errors: -EINVAL; -ENAMETOOLONG; -ENOENT; -EPERM neither owner nor CAP_FOWNER. -EFAULT when the
 * struct cannot be written back: the name is gone then.
 */
struct kmm_shm_unlink {
	__u64 name;
	__u32 name_len;
	__u32 flags;
};

/* === Allocator operations by slot, in batches: on a /dev/kmm descriptor === */

/* Most entries of one batch. */
#define KMM_OPS_MAX	65536

/**
 * enum kmm_op_kind - what an operation does
 * @KMM_OP_PAGES_ALLOC: a block of pages into an empty slot; arg: order
 * @KMM_OP_PAGES_FREE: free it; arg: 0
 * @KMM_OP_CACHE_CREATE: an object cache into an empty slot; arg: KMM_CACHE_ARG(). It is
 *	named user-ACCOUNT-SLOT. -EINVAL for a size that is not 1 .. KMM_CACHE_SIZE_MAX
 * @KMM_OP_CACHE_DESTROY: destroy it; arg: 0. -EBUSY while slots hold objects of it
 * @KMM_OP_CACHE_ALLOC: an object into an empty slot; arg: the cache's slot
 * @KMM_OP_CACHE_FREE: free it; arg: 0
 * @KMM_OP_KMALLOC: memory into an empty slot; arg: bytes, 1 .. 2^KMM_ORDER_MAX pages
 * @KMM_OP_KFREE: free it; arg: 0
 * @KMM_OP_VMALLOC: virtually contiguous kernel memory into an empty slot; arg: KMM_VMALLOC_ARG().
 *	-ENOMEM also when the kernel window has no room; -EINVAL with KMM_OP_ATOMIC; -EPERM
 *	KMM_PROT_EXEC without CAP_SYS_ADMIN; -EDQUOT also when the user has a quarter of the window
 * @KMM_OP_VFREE: free it; arg: 0
 *
 * Frames that are charged: the pages of a block; for a cache the slabs that it has and one more;
 * for kmalloc up to 8 KiB, by size class, the most bytes that the slots have held since they
 * last held none, rounded up to pages; above, the pages; for vmalloc the pages. Host memory: a
 * cache's per-CPU stacks and depot, some 2 KiB for each CPU and 12 KiB.
 */
enum kmm_op_kind {
	KMM_OP_PAGES_ALLOC = 0,
	KMM_OP_PAGES_FREE = 1,
	KMM_OP_CACHE_CREATE = 2,
	KMM_OP_CACHE_DESTROY = 3,
	KMM_OP_CACHE_ALLOC = 4,
	KMM_OP_CACHE_FREE = 5,
	KMM_OP_KMALLOC = 6,
	KMM_OP_KFREE = 7,
	KMM_OP_VMALLOC = 8,
	KMM_OP_VFREE = 9,
};

/* arg of KMM_OP_VMALLOC: bits 0-55 bytes; 56-63 KMM_PROT_*, READ at least, not W and X */
#define KMM_VMALLOC_ARG(size, prot)	((__u64)(size) | (__u64)(prot) << 56)

/* kmm_op.flags; of the three operations that allocate, and of no other */
#define KMM_OP_ZERO	(1U << 0)	/* __GFP_ZERO */
#define KMM_OP_ATOMIC	(1U << 1)	/* GFP_ATOMIC in place of GFP_KERNEL */
/* out: arg is the kernel's address of what was allocated; CAP_SYS_ADMIN, else -EPERM */
#define KMM_OP_ADDR	(1U << 2)

/* Largest object of a cache. */
#define KMM_CACHE_SIZE_MAX	8192

/* Flags of KMM_OP_CACHE_CREATE; Linux's SLAB_ flags of these names */
#define KMM_CACHE_HWCACHE_ALIGN	(1U << 0)
#define KMM_CACHE_RED_ZONE	(1U << 1)
#define KMM_CACHE_POISON	(1U << 2)
#define KMM_CACHE_STORE_USER	(1U << 3)

/* Largest alignment: one page. */
#define KMM_CACHE_ALIGN_LOG2_MAX	12

/*
 * arg of KMM_OP_CACHE_CREATE: bits 0-31 bytes of an object, 32-47 KMM_CACHE_* flags, 48-55
 * log2 of the alignment (0: none wanted), 56-63 zero.
 */
#define KMM_CACHE_ARG(size, flags, align_log2)	\
	((__u64)(size) | (__u64)(flags) << 32 | (__u64)(align_log2) << 48)

/**
 * struct kmm_op - one operation
 * @kind: enum kmm_op_kind
 * @flags: KMM_OP_*
 * @slot: slot of this open file, 0 .. limit - 1 (module parameter max_slots)
 * @result: out: 0 or a negative errno of this entry
 * @reserved: must be zero
 * @arg: by kind; out only with KMM_OP_ADDR
 */
struct kmm_op {
	__u16 kind;
	__u16 flags;
	__u32 slot;
	__s32 result;
	__u32 reserved;
	__u64 arg;
};

/* kmm_ops.flags */
#define KMM_OPS_KEEP_GOING	(1U << 0)	/* an entry that fails does not end the batch */

/**
 * struct kmm_ops - KMM_IOC_OPS: run a batch
 * @ops: user pointer to an array of struct kmm_op
 * @nr: entries, 1 .. KMM_OPS_MAX
 * @flags: KMM_OPS_*
 * @done: out: entries that were tried; entries behind are untouched
 * @failed: out: how many of these failed
 *
 * Returns 0 when at least one entry was tried; look at @failed and at each
 * result. What a slot holds is freed when the file is closed.
 */
struct kmm_ops {
	__u64 ops;
	__u32 nr;
	__u32 flags;
	__u32 done;
	__u32 failed;
};

/* === Address spaces === */

/*
 * A space is a set of areas on page tables of its own (4 or 5 levels, as the CPU has). Addresses
 * are in the user half: KMM_SPACE_MIN <= address, and below 2^47 - 4096 (2^56 - 4096 with 5
 * levels) less the top 2 MiB, which kmm keeps. Its descriptor: pread(2) and pwrite(2) take
 * the virtual address as the offset.
 */
#define KMM_SPACE_MIN		0x10000ULL

/* kmm_space_map.prot, kmm_space_protect.prot; KMM_PROT_WRITE and _EXEC imply _READ */
#define KMM_PROT_READ		(1U << 0)
#define KMM_PROT_WRITE		(1U << 1)
#define KMM_PROT_EXEC		(1U << 2)

/* kmm_space_map.flags: exactly one of SHARED, PRIVATE and GUARD */
#define KMM_MAP_SHARED		(1U << 0)	/* writes go to the object */
#define KMM_MAP_PRIVATE		(1U << 1)	/* writes go to copies (copy-on-write) */
#define KMM_MAP_FIXED		(1U << 2)	/* exactly at addr, or -EEXIST */
#define KMM_MAP_REPLACE		(1U << 3)	/* with FIXED: what is there goes first */
#define KMM_MAP_GUARD		(1U << 4)	/* no access; prot 0, object_fd -1 */
#define KMM_MAP_POPULATE	(1U << 5)	/* fill now, as far as it goes */
#define KMM_MAP_HUGE		(1U << 6)	/* 2 MiB leaves where address and frames allow */

/**
 * struct kmm_space_create - KMM_IOC_SPACE_CREATE, on /dev/kmm
 * @flags: 0
 * @fd: out: descriptor
 */
struct kmm_space_create {
	__u32 flags;
	__s32 fd;
};

/**
 * struct kmm_space_map - KMM_IOC_SPACE_MAP, on a space
 * @addr: in: with FIXED where, else a hint or 0; out: where it is
 * @len: bytes, rounded up to pages
 * @offset: into the object, page aligned
 * @object_fd: memory object, or -1 for zero-filled private memory
 * @prot: KMM_PROT_*
 * @flags: KMM_MAP_*
 * @reserved: must be zero
 *
 * Errors: -EINVAL; -ENOMEM no room in the space, or no memory; -EEXIST; -EACCES the descriptor
 * is not open for it, or W and X together where the policy (parameter allow_wx) forbids it; -EPERM
 * a seal; -EOVERFLOW; -EFBIG offset + len above KMM_OBJECT_SIZE_MAX; -EBADF; -ENXIO not an address
 * of the user half (-EINVAL not page aligned); -EDQUOT. A hint that is taken, or no address of the
 * user half, is ignored: the lowest place that fits is taken.
 *
 * With REPLACE what was there is gone also when only the answer cannot be written (-EFAULT).
 */
struct kmm_space_map {
	__u64 addr;
	__u64 len;
	__u64 offset;
	__s32 object_fd;
	__u32 prot;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct kmm_space_unmap - KMM_IOC_SPACE_UNMAP, on a space; holes in the range are no error
 * @addr: page aligned
 * @len: bytes, not zero, rounded up to pages
 */
struct kmm_space_unmap {
	__u64 addr;
	__u64 len;
};

/**
 * struct kmm_space_protect - KMM_IOC_SPACE_PROTECT, on a space
 * @addr: page aligned
 * @len: bytes, not zero, rounded up to pages
 * @prot: KMM_PROT_*; 0 forbids all
 * @reserved: must be zero
 *
 * -ENOENT a hole or a guard in the range, nothing is changed; -EACCES as for map.
 */
struct kmm_space_protect {
	__u64 addr;
	__u64 len;
	__u32 prot;
	__u32 reserved;
};

/**
 * struct kmm_space_clone - KMM_IOC_SPACE_CLONE, on a space: a copy, private memory copy-on-write
 * @flags: 0
 * @fd: out: descriptor of the copy
 */
struct kmm_space_clone {
	__u32 flags;
	__s32 fd;
};

/* kmm_space_access.op */
#define KMM_ACCESS_READ		0
#define KMM_ACCESS_WRITE	1
#define KMM_ACCESS_FETCH	2	/* could the CPU execute there? no data */

/* kmm_space_access.flags, in */
#define KMM_ACCESS_HARDWARE	(1U << 0)	/* through CR3; CAP_SYS_ADMIN */
#define KMM_ACCESS_NO_FAULT_IN	(1U << 1)	/* report demand and COW faults only */

/* kmm_space_access.path, out */
#define KMM_PATH_SOFTWARE	0
#define KMM_PATH_HARDWARE	1

/* kmm_space_access.fault_code: bits of the CPU's page-fault error code */
#define KMM_PF_PRESENT		(1U << 0)	/* 0: no entry, 1: rights */
#define KMM_PF_WRITE		(1U << 1)
#define KMM_PF_USER		(1U << 2)
#define KMM_PF_RSVD		(1U << 3)
#define KMM_PF_INSTR		(1U << 4)

/**
 * enum kmm_fault_rule - which rule denied an access
 * @KMM_RULE_NONE: nothing was denied
 * @KMM_RULE_NONCANONICAL: not an address at all
 * @KMM_RULE_KERNEL_HALF: not in the user half
 * @KMM_RULE_NO_AREA: nothing is mapped there
 * @KMM_RULE_GUARD: a guard area
 * @KMM_RULE_NO_ACCESS: an area without any right
 * @KMM_RULE_NO_WRITE: the area is read-only
 * @KMM_RULE_NO_EXEC: NX
 * @KMM_RULE_OBJECT: behind the end of the object, or its page cannot be had (fault_errno)
 * @KMM_RULE_LIMIT: a limit is reached, or memory is short (fault_errno)
 * @KMM_RULE_NOT_PRESENT: with NO_FAULT_IN: a demand fault
 * @KMM_RULE_COW: with NO_FAULT_IN: a copy-on-write fault
 * @KMM_RULE_KEPT: kmm's own read-only alias (espfix) at the top of the space
 */
enum kmm_fault_rule {
	KMM_RULE_NONE = 0,
	KMM_RULE_NONCANONICAL = 1,
	KMM_RULE_KERNEL_HALF = 2,
	KMM_RULE_NO_AREA = 3,
	KMM_RULE_GUARD = 4,
	KMM_RULE_NO_ACCESS = 5,
	KMM_RULE_NO_WRITE = 6,
	KMM_RULE_NO_EXEC = 7,
	KMM_RULE_OBJECT = 8,
	KMM_RULE_LIMIT = 9,
	KMM_RULE_NOT_PRESENT = 10,
	KMM_RULE_COW = 11,
	KMM_RULE_KEPT = 12,
};

/* Most bytes of one access. */
#define KMM_ACCESS_MAX		65536

/**
 * struct kmm_space_access - KMM_IOC_SPACE_ACCESS, on a space: what the MMU does at an address
 * @addr: virtual address, any
 * @buf: user pointer; FETCH: 0
 * @len: bytes, 1 .. KMM_ACCESS_MAX; FETCH: 1
 * @op: KMM_ACCESS_READ, _WRITE or _FETCH
 * @flags: KMM_ACCESS_*
 * @path: out: KMM_PATH_*: who translated
 * @done: out: bytes done before the fault
 * @faults: out: demand and COW faults that were resolved on the way
 * @fault_addr: out: address of the fault that ended it
 * @fault_code: out: KMM_PF_*
 * @fault_rule: out: enum kmm_fault_rule; KMM_RULE_NONE: all of it was done
 * @fault_errno: out: 0 or a negative errno for OBJECT and LIMIT
 * @reserved: must be zero
 *
 * A denied access is no error of the call: it returns 0 and the fault. -EPERM HARDWARE without the
 * capability; -EOPNOTSUPP HARDWARE where this machine or the parameter mmu= refuses it.
 */
struct kmm_space_access {
	__u64 addr;
	__u64 buf;
	__u32 len;
	__u32 op;
	__u32 flags;
	__u32 path;
	__u32 done;
	__u32 faults;
	__u64 fault_addr;
	__u32 fault_code;
	__u32 fault_rule;
	__s32 fault_errno;
	__u32 reserved;
};

/* kmm_space_walk.flags, in */
#define KMM_WALK_USER_VIEW	(1U << 0)	/* from the user root, not the full one */
#define KMM_WALK_CLEAR_YOUNG	(1U << 1)	/* clear Accessed, Dirty of the leaf */

#define KMM_WALK_LEVELS		5

/**
 * struct kmm_space_walk - KMM_IOC_SPACE_WALK, on a space: every level of one translation
 * @addr: virtual address
 * @flags: KMM_WALK_*
 * @levels: out: levels of this machine, 4 or 5
 * @depth: out: entries read, from the root; the last one is the leaf or not present
 * @leaf_shift: out: 12 or 21 when there is a leaf, else 0
 * @index: out: index into the table of each level
 * @reserved: must be zero
 * @entry: out: raw entries; physical addresses are zeroed without CAP_SYS_ADMIN
 */
struct kmm_space_walk {
	__u64 addr;
	__u32 flags;
	__u32 levels;
	__u32 depth;
	__u32 leaf_shift;
	__u16 index[KMM_WALK_LEVELS];
	__u16 reserved[3];
	__u64 entry[KMM_WALK_LEVELS];
};

/**
 * struct kmm_space_limit - KMM_IOC_SPACE_LIMIT, on a space: how many pages may be in its tables
 * @pages: pages, private ones included; 0: no limit any more
 *
 * Above it, pages of objects that it has not used lately leave its tables, and the region when
 * nobody else shows them; private frames stay, and a fault that finds nothing but these fails with
 * KMM_RULE_LIMIT. CAP_SYS_ADMIN.
 * Errors: -EPERM.
 */
struct kmm_space_limit {
	__u64 pages;
};

/**
 * struct kmm_space_info - KMM_IOC_SPACE_INFO, on a space
 * @id: number, unique since load; the folder in debugfs spaces
 * @areas: areas
 * @mapped_bytes: their length
 * @resident: pages in its tables, 2 MiB leaves count 512
 * @private_frames: of these private ones
 * @tables: tables by level, the lowest first (PTE, PMD, PUD, P4D, PGD)
 * @faults: demand faults
 * @cow_faults: pages copied
 * @switches: times that its root was in CR3
 * @audit_leaves: leaves reachable from the user root at the audit that this call made
 * @audit_bad: of these, ones that must not be
 */
struct kmm_space_info {
	__u64 id;
	__u64 areas;
	__u64 mapped_bytes;
	__u64 resident;
	__u64 private_frames;
	__u64 tables[KMM_WALK_LEVELS];
	__u64 faults;
	__u64 cow_faults;
	__u64 switches;
	__u64 audit_leaves;
	__u64 audit_bad;
};

/* === Pipes === */

/* A write of at most so many bytes is never mixed with others; PIPE_BUF of pipe(7). */
#define KMM_PIPE_BUF		4096
/* Capacity when none is asked for; pages are taken when bytes are in them. */
#define KMM_PIPE_SIZE_DEFAULT	(1UL << 16)
/* More than this wants CAP_SYS_RESOURCE. */
#define KMM_PIPE_SIZE_MAX	(1UL << 20)
#define KMM_PIPE_SIZE_HARD_MAX	(1UL << 24)

/* kmm_pipe_create.flags */
#define KMM_PIPE_NONBLOCK	(1U << 0)	/* O_NONBLOCK at both ends */
#define KMM_PIPE_PACKET		(1U << 1)	/* O_DIRECT at the write end: each write a packet */

/**
 * struct kmm_pipe_create - KMM_IOC_PIPE_CREATE, on /dev/kmm: a new pipe
 * @size_bytes: capacity; 0 is KMM_PIPE_SIZE_DEFAULT; rounded up to a power of two of pages;
 *	out: what it is
 * @flags: KMM_PIPE_*
 * @fd_read: out: the read end
 * @fd_write: out: the write end
 * @reserved: must be zero
 *
 * Both ends behave as those of pipe2(2), see pipe(7): read, write, poll, FIONREAD, O_NONBLOCK,
 * O_ASYNC and O_DIRECT by fcntl, splice to and from pipes of the host, sendfile from files. Not:
 * F_SETPIPE_SZ (KMM_IOC_PIPE_RESIZE does that), tee, opening an end again under /proc (-ENXIO).
 * A write that gets no page ends in -EDQUOT or -ENOMEM, or short.
 * Errors: -EINVAL, -EFBIG, -EPERM, -EDQUOT, -ENOMEM, -EMFILE, -ENFILE.
 */
struct kmm_pipe_create {
	__u64 size_bytes;
	__u32 flags;
	__s32 fd_read;
	__s32 fd_write;
	__u32 reserved;
};

/**
 * struct kmm_pipe_resize - KMM_IOC_PIPE_RESIZE, on either end: another capacity
 * @size_bytes: wanted; out: what it is now
 *
 * Errors: -EINVAL size 0; -EFBIG; -EPERM; -EBUSY more is in the pipe; -EDQUOT; -ENOMEM;
 * -EINTR.
 */
struct kmm_pipe_resize {
	__u64 size_bytes;
};

/**
 * struct kmm_pipe_info - KMM_IOC_PIPE_INFO, on either end
 * @id: number, unique since load; the key in debugfs pipes
 * @bytes: in it, unread
 * @size_bytes: capacity
 * @frames: frames that it holds, spare ones included
 * @host_bytes: host memory that describes it
 * @readers: 1 while the read end is open somewhere, else 0
 * @writers: the same of the write end
 * @flags: KMM_PIPE_* of its creation; fcntl may have changed O_NONBLOCK and O_DIRECT since
 * @reserved: zero
 */
struct kmm_pipe_info {
	__u64 id;
	__u64 bytes;
	__u64 size_bytes;
	__u64 frames;
	__u64 host_bytes;
	__u32 readers;
	__u32 writers;
	__u32 flags;
	__u32 reserved;
};

/* === Message queues === */

/* Priorities are 0 .. KMM_MSGQ_PRIO_MAX - 1, the highest first: as many as POSIX demands. */
#define KMM_MSGQ_PRIO_MAX	32
#define KMM_MSGQ_MESSAGES_MAX	65536
/* Bytes of the largest message. */
#define KMM_MSGQ_SIZE_MAX	(2U << 20)

/* kmm_msgq_create.flags, kmm_msgq_reopen.flags: what the descriptor may do; one at least */
#define KMM_MSGQ_READ		(1U << 0)	/* receive */
#define KMM_MSGQ_WRITE		(1U << 1)	/* send */
#define KMM_MSGQ_NONBLOCK	(1U << 2)	/* O_NONBLOCK; fcntl(F_SETFL) changes it */

/* kmm_msgq_open.flags, besides the above */
#define KMM_MSGQ_CREATE		(1U << 3)	/* make the queue when the name does not exist */
#define KMM_MSGQ_EXCL		(1U << 4)	/* with CREATE: -EEXIST when it exists */

/**
 * struct kmm_msgq_create - KMM_IOC_MSGQ_CREATE, on /dev/kmm: a new queue without a name
 * @maxmsg: messages that it may hold, 1 .. KMM_MSGQ_MESSAGES_MAX
 * @msgsize: bytes of the largest message, 1 .. KMM_MSGQ_SIZE_MAX
 * @flags: KMM_MSGQ_*
 * @fd: out: descriptor; poll says POLLIN when a message is there, POLLOUT when there is a place
 *
 * The meaning is that of POSIX message queues (mq_overview(7)). The frames that @maxmsg
 * messages of @msgsize bytes need (of a message above 4080 bytes: its description) are charged
 * now, to the creator, for as long as the queue lives; frames of messages above 4080 bytes
 * when they are sent.
 * Errors: -EINVAL, -EDQUOT, -ENOMEM, -EMFILE, -ENFILE.
 */
struct kmm_msgq_create {
	__u32 maxmsg;
	__u32 msgsize;
	__u32 flags;
	__s32 fd;
};

/**
 * struct kmm_msgq_open - KMM_IOC_MSGQ_OPEN, on /dev/kmm: a queue by its name, as mq_open(3)
 * @name: user pointer to the bytes: 1 .. KMM_NAME_MAX, any but NUL and '/'
 * @name_len: how many
 * @flags: KMM_MSGQ_*
 * @maxmsg: of a new queue. 0 without CREATE
 * @msgsize: of a new queue. 0 without CREATE
 * @mode: permission bits of a new name, the umask is taken from them. 0 without CREATE
 * @fd: out: descriptor
 * @created: out: 1 when the queue is new, else 0
 * @reserved: must be zero
 *
 * Names and access to them are as for KMM_IOC_SHM_OPEN; receiving wants the right to read,
 * sending that to write. The queue and what is in it live until the name is unlinked and the
 * last descriptor is closed.
 * Errors: -EINVAL; -ENAMETOOLONG; -ENOENT; -EEXIST; -EACCES; of a new queue as
 * KMM_IOC_MSGQ_CREATE.
 */
struct kmm_msgq_open {
	__u64 name;
	__u32 name_len;
	__u32 flags;
	__u32 maxmsg;
	__u32 msgsize;
	__u32 mode;
	__s32 fd;
	__u32 created;
	__u32 reserved;
};

/**
 * struct kmm_msgq_unlink - KMM_IOC_MSGQ_UNLINK, on /dev/kmm: take a name away
 * @name: user pointer to the bytes
 * @name_len: how many
 * @flags: 0
 *
 * Errors: -EINVAL; -ENAMETOOLONG; -ENOENT; -EPERM neither owner nor CAP_FOWNER.
 */
struct kmm_msgq_unlink {
	__u64 name;
	__u32 name_len;
	__u32 flags;
};

/* kmm_msgq_send.flags, kmm_msgq_receive.flags */
#define KMM_MSG_NOWAIT		(1U << 0)	/* as if the descriptor had O_NONBLOCK */
#define KMM_MSG_TIMEOUT		(1U << 1)	/* time: wait so many nanoseconds at most */
#define KMM_MSG_DEADLINE	(1U << 2)	/* time: until then, CLOCK_MONOTONIC, ns */
#define KMM_MSG_GIFT		(1U << 3)	/* frames of an object move, no bytes are copied */

/**
 * struct kmm_msgq_send - KMM_IOC_MSGQ_SEND, on a queue: put a message in
 * @buf: user pointer to its bytes; with KMM_MSG_GIFT the offset in @object, page aligned
 * @time: with KMM_MSG_TIMEOUT or KMM_MSG_DEADLINE, else 0
 * @size_bytes: of the message, 0 too; with KMM_MSG_GIFT whole pages, one at least
 * @prio: 0 .. KMM_MSGQ_PRIO_MAX - 1
 * @flags: KMM_MSG_*
 * @object: with KMM_MSG_GIFT a descriptor of a memory object, open for writing; else 0
 *
 * With KMM_MSG_GIFT the pages of @object become the message: all mappings of them go, and
 * who reads them afterwards sees zeros. What somebody else holds (a pipe, a device) is copied.
 *
 * Waits while the queue is full. A signal ends a wait with -EINTR; a handler with SA_RESTART
 * starts it again, but not with KMM_MSG_TIMEOUT.
 * Errors: -EACCES not open for sending; -EMSGSIZE above the queue's msgsize; -EAGAIN full and
 * not to wait; -ETIMEDOUT; -EINTR; -EDQUOT the queue's creator cannot pay for frames, or for a
 * message that waits; -ENOMEM, -EFAULT, -EINVAL. With KMM_MSG_GIFT also -EBADF; -ENXIO pages
 * behind the end of the object; -EPERM its seals or flags forbid it.
 */
struct kmm_msgq_send {
	__u64 buf;
	__u64 time;
	__u32 size_bytes;
	__u32 prio;
	__u32 flags;
	__s32 object;
};

/**
 * struct kmm_msgq_receive - KMM_IOC_MSGQ_RECEIVE, on a queue: take the first message out
 * @buf: user pointer to where it goes; with KMM_MSG_GIFT the offset in @object, page aligned
 * @time: with KMM_MSG_TIMEOUT or KMM_MSG_DEADLINE, else 0
 * @size_bytes: in: bytes that @buf has room for, at least the queue's msgsize; out: bytes of
 *	the message
 * @prio: out: its priority; in: 0
 * @flags: KMM_MSG_*
 * @object: with KMM_MSG_GIFT a descriptor of a memory object, open for writing; else 0
 *
 * With KMM_MSG_GIFT the message takes the place of the pages of @object: frames as they are,
 * a small message in a new frame. The rest of its last page is zeros.
 *
 * Waits while the queue is empty, as KMM_IOC_MSGQ_SEND does. When a call fails the message is
 * in the queue, again as the first of its priority.
 * Errors: -EACCES not open for receiving; -EMSGSIZE @size_bytes below the queue's msgsize;
 * -EAGAIN empty and not to wait; else as KMM_IOC_MSGQ_SEND.
 */
struct kmm_msgq_receive {
	__u64 buf;
	__u64 time;
	__u32 size_bytes;
	__u32 prio;
	__u32 flags;
	__s32 object;
};

/**
 * struct kmm_msgq_info - KMM_IOC_MSGQ_INFO, on a queue
 * @id: number, unique since load; the key in debugfs msgq
 * @maxmsg: messages that it may hold
 * @msgsize: bytes of the largest
 * @messages: messages in it
 * @receivers: tasks that wait for a message
 * @senders: tasks that wait for a place
 * @reserved: must be zero
 * @bytes: of the messages in it
 * @reserved_frames: frames charged for its messages of up to 4080 bytes
 */
struct kmm_msgq_info {
	__u64 id;
	__u32 maxmsg;
	__u32 msgsize;
	__u32 messages;
	__u32 receivers;
	__u32 senders;
	__u32 reserved;
	__u64 bytes;
	__u64 reserved_frames;
};

/**
 * struct kmm_msgq_reopen - KMM_IOC_MSGQ_REOPEN, on a queue: another descriptor of it
 * @flags: KMM_MSGQ_*
 * @fd: out: the new descriptor
 *
 * Errors: -EACCES more than this descriptor may do; -EINVAL, -ENOMEM, -EMFILE, -ENFILE.
 */
struct kmm_msgq_reopen {
	__u32 flags;
	__s32 fd;
};

/* === The laboratory: bugs on purpose === */

#define KMM_LAB_NAME_MAX	32

/**
 * struct kmm_lab_bug - KMM_IOC_LAB_BUG, on /dev/kmm: plant a bug and see whether it is caught
 * @name: of debugfs kmm/lab, terminated by NUL
 * @flags: 0
 * @reports: out: how many reports the bug's detector counted; 0: it went unseen
 *
 * Wants the module loaded with lab=1, and CAP_SYS_ADMIN (-EPERM). The bug is planted in objects
 * made for it. The report itself is in the kernel log.
 * Errors: -EINVAL; -ENOENT no such bug; -EOPNOTSUPP not loaded with lab=1, or this kernel has no
 * detector for it; -ENOMEM; -EDQUOT; -EINTR.
 */
struct kmm_lab_bug {
	char name[KMM_LAB_NAME_MAX];
	__u32 flags;
	__u32 reports;
};

/* === Swap === */

#define KMM_SWAP_PRIO_MAX	32767
/* Areas at the same time. */
#define KMM_SWAP_AREAS_MAX	8

/* kmm_swap_on.flags */
#define KMM_SWAP_RAM		(1U << 0)	/* compressed host memory, no descriptor */

/**
 * struct kmm_swap_on - KMM_IOC_SWAP_ON, on /dev/kmm: one more place for pages to go to
 * @size_bytes: with KMM_SWAP_RAM: host memory that its pages may take; else 0
 * @fd: regular file or block device, open for reading and writing; with KMM_SWAP_RAM -1
 * @prio: 0 .. KMM_SWAP_PRIO_MAX; higher ones are filled first, equals in turns
 * @flags: KMM_SWAP_*
 * @id: out: names the area until it is taken away; in: 0
 * @compressor: with KMM_SWAP_RAM: "lz4" or "zstd"; else all zeros
 *
 * CAP_SYS_ADMIN. What is in the file or on the device is lost. While it is on, others cannot write
 * to it, truncate, unlink or map it shared and writable, as with a swap file of the host; files of
 * tmpfs, 9p, overlay and nfs are "file,shared": others can, and what they change is found when the
 * page is read (-EIO, SIGBUS). The descriptor may be closed. What the area needs of host memory
 * is charged to this descriptor of /dev/kmm.
 * Errors: -EBADF; -EACCES not open for both; -EINVAL neither file nor block device, a memory object
 * of kmm, open for appending, without a page, encrypted or with holes, a zoned device, an unknown
 * compressor, a priority or size out of range; -EBUSY used as swap by kmm or the host, mounted,
 * claimed, or DAX; -ETXTBSY mapped shared and writable; -EOPNOTSUPP the host has no such
 * compressor; -EMFILE KMM_SWAP_AREAS_MAX are in use; -EINTR; -EDQUOT; -ENOMEM; and what the file
 * system or device says (-EIO, -ENXIO, -ENOSPC, -EROFS). -EFAULT: an area that has been filled
 * meanwhile, and cannot be emptied, stays.
 */
struct kmm_swap_on {
	__u64 size_bytes;
	__s32 fd;
	__s32 prio;
	__u32 flags;
	__u32 id;
	char compressor[KMM_NAME_LEN];
};

/**
 * struct kmm_swap_off - KMM_IOC_SWAP_OFF, on /dev/kmm: bring its pages home, take it away
 * @id: area
 * @flags: 0
 *
 * CAP_SYS_ADMIN. When it fails the area is as it was, though some pages may have come home.
 * Errors: -EINVAL; -ENOENT no such area; -EBUSY somebody else is at it, or a page does not come to
 * rest; -ENOMEM the region has no room; -EIO a page cannot be read, or is not what was
 * written; -EINTR.
 */
struct kmm_swap_off {
	__u32 id;
	__u32 flags;
};

/* kmm_swap_info.flags, out */
#define KMM_SWAP_CLOSING	(1U << 0)	/* KMM_IOC_SWAP_OFF is at work */

#define KMM_SWAP_WHAT_LEN	128

/**
 * struct kmm_swap_info - KMM_IOC_SWAP_INFO, on /dev/kmm: one area after the other
 * @id: in: where to begin; out: the first area from there on
 * @flags: in: 0; out: KMM_SWAP_CLOSING
 * @prio: out: priority
 * @reserved: zero
 * @slots: out: pages that it has room for
 * @used: out: of these in use
 * @host_bytes: out: host memory that it takes, compressed pages included
 * @written: out: pages
 * @read: out: pages
 * @errors: out: pages that could not be written or read
 * @corrupt: out: pages that were not what was written
 * @type: out: "partition", "file", "file,shared" or "ram"
 * @what: out: device, path (of a long one the end) or compressor
 *
 * CAP_SYS_ADMIN. Errors: -EINVAL; -ENOENT none from @id on.
 */
struct kmm_swap_info {
	__u32 id;
	__u32 flags;
	__s32 prio;
	__u32 reserved;
	__u64 slots;
	__u64 used;
	__u64 host_bytes;
	__u64 written;
	__u64 read;
	__u64 errors;
	__u64 corrupt;
	char type[KMM_NAME_LEN];
	char what[KMM_SWAP_WHAT_LEN];
};

/* === Page replacement === */

/* kmm_policy_info.flags */
#define KMM_POLICY_CURRENT	(1U << 0)	/* it decides for objects without their own */

/**
 * struct kmm_policy_info - KMM_IOC_POLICY_INFO, on /dev/kmm: one of the replacement policies
 * @index: which one, from 0
 * @flags: out: KMM_POLICY_*
 * @name: out: its name, NUL-terminated
 * @what: out: one line on it, NUL-terminated
 *
 * -ENOENT there are not so many.
 */
struct kmm_policy_info {
	__u32 index;
	__u32 flags;
	__u8 name[KMM_NAME_LEN];
	__u8 what[64];
};

/**
 * struct kmm_policy_set - KMM_IOC_POLICY_SET, on /dev/kmm: who decides from now on
 * @name: of a policy, NUL-terminated
 *
 * Resident pages are handed over, the coldest first; none is evicted. CAP_SYS_ADMIN.
 * -EINVAL no NUL in @name, -ENOENT no such policy, -ENOMEM; then the old one goes on.
 */
struct kmm_policy_set {
	__u8 name[KMM_NAME_LEN];
};

/**
 * struct kmm_replay_create - KMM_IOC_REPLAY_CREATE, on /dev/kmm: a place to replay references in
 * @policy: name of a policy, NUL-terminated
 * @nr_frames: most pages that are resident at a time, from 1
 * @nr_pages: all page numbers are below it, from 1
 * @flags: 0
 * @fd: out: a descriptor for KMM_IOC_REPLAY_RUN; all is freed with its last copy
 *
 * An object of @nr_pages pages that nobody maps, with frames of the region and a limit of
 * @nr_frames of its own; it counts against the caller's limits as any object. Every reference is
 * told to the policy (exact mode), as if each access trapped.
 *
 * -EINVAL no NUL in @policy, a number that is 0, a flag; -ENOENT no such policy; -EFBIG @nr_pages
 * above KMM_OBJECT_SIZE_MAX or 2^31; -EDQUOT, -ENOMEM, -EMFILE, -ENFILE.
 */
struct kmm_replay_create {
	__u8 policy[KMM_NAME_LEN];
	__u32 nr_frames;
	__u32 nr_pages;
	__u32 flags;
	__s32 fd;
};

/* In a reference: the page is written to, so it is dirty and goes to swap when it leaves. */
#define KMM_REPLAY_WRITE	(1U << 31)

/* References of one call. */
#define KMM_REPLAY_MAX		65536

/**
 * struct kmm_replay_run - KMM_IOC_REPLAY_RUN, on a descriptor of KMM_IOC_REPLAY_CREATE
 * @refs: pointer to @nr __u32: page numbers, with KMM_REPLAY_WRITE
 * @nr: how many, from 1 to KMM_REPLAY_MAX
 * @done: out: references made; fewer than @nr when a signal or an error came between
 * @references: out: references since the beginning
 * @faults: out: of these, those whose page was not resident
 *
 * -EINVAL @nr is 0, or a number is not below nr_pages; -E2BIG @nr; -EFAULT; -ENOMEM no frame could
 * be had, as when dirty pages cannot leave because there is no swap; -EDQUOT; -EINTR a signal
 * before the first reference. An error that comes after the first reference is for the next call.
 */
struct kmm_replay_run {
	__u64 refs;
	__u32 nr;
	__u32 done;
	__u64 references;
	__u64 faults;
};

/* Pages of one call of KMM_IOC_OBJECT_YOUNG. */
#define KMM_YOUNG_MAX		32768

/**
 * struct kmm_object_young - KMM_IOC_OBJECT_YOUNG, on an object: which pages were used?
 * @first: first page
 * @bitmap: pointer to (@nr + 63) / 64 __u64: out: bit i: page @first + i was accessed, by any
 *	process or space that maps it, since the last call
 * @nr: pages, from 1 to KMM_YOUNG_MAX; those behind the end were not used
 * @flags: 0
 * @nr_young: out: bits that are set
 * @reserved: 0
 *
 * Looks at the Accessed bits and clears them; for the policy that the page is under it is a use.
 * read(2) and write(2) leave no Accessed bit. CAP_SYS_ADMIN, because it tells what others do.
 *
 * -EINVAL @nr is 0, a flag, @reserved; -E2BIG @nr; -EFAULT, the bits are cleared all the same;
 * -EDQUOT, -ENOMEM; -EINTR killed.
 */
struct kmm_object_young {
	__u64 first;
	__u64 bitmap;
	__u32 nr;
	__u32 flags;
	__u32 nr_young;
	__u32 reserved;
};

/* kmm_space_trace.flags */
#define KMM_TRACE_START		(1U << 0)	/* record from now on */
#define KMM_TRACE_STOP		(1U << 1)	/* record no more; what was not read is dropped */

/* In an entry: the access wrote. */
#define KMM_TRACE_WRITE		(1ULL << 63)

/* Entries that are kept until they are read: 512 KiB of host memory while recording. */
#define KMM_TRACE_ENTRIES	65536

/**
 * struct kmm_space_trace - KMM_IOC_SPACE_TRACE, on a space: the pages that accesses touch
 * @buf: pointer to @nr __u64: out: page numbers (address / page_size) in the order in which the
 *	accesses ended, with KMM_TRACE_WRITE
 * @nr: room in @buf; 0: nothing is to be read; with START it must be
 * @flags: KMM_TRACE_*: STOP comes after the reading
 * @done: out: entries written
 * @reserved: 0
 * @lost: out: accesses to pages since START that found no room
 *
 * Every access goes into it: KMM_IOC_SPACE_ACCESS on both paths, pread and pwrite; of one that was
 * denied half-way the pages that were reached. Fetches count as reads.
 *
 * -EINVAL a flag, both flags, START with @nr, @reserved; -EBUSY START while it records; -ENOENT it
 * does not record; -EFAULT what was to be read is lost, and counted; -EDQUOT, -ENOMEM.
 */
struct kmm_space_trace {
	__u64 buf;
	__u32 nr;
	__u32 flags;
	__u32 done;
	__u32 reserved;
	__u64 lost;
};

/* === Numbers === */

#define KMM_IOC_MAGIC		'K'
#define KMM_IOC_INFO		_IOWR(KMM_IOC_MAGIC, 0x00, struct kmm_info)
#define KMM_IOC_FEATURES	_IOWR(KMM_IOC_MAGIC, 0x01, struct kmm_features)
#define KMM_IOC_STAT		_IOWR(KMM_IOC_MAGIC, 0x02, struct kmm_stat)
#define KMM_IOC_OPS		_IOWR(KMM_IOC_MAGIC, 0x08, struct kmm_ops)
#define KMM_IOC_OBJECT_CREATE	_IOWR(KMM_IOC_MAGIC, 0x10, struct kmm_object_create)
#define KMM_IOC_OBJECT_INFO	_IOWR(KMM_IOC_MAGIC, 0x11, struct kmm_object_info)
#define KMM_IOC_OBJECT_REOPEN	_IOWR(KMM_IOC_MAGIC, 0x12, struct kmm_object_reopen)
#define KMM_IOC_OBJECT_SEAL	_IOWR(KMM_IOC_MAGIC, 0x13, struct kmm_object_seal)
#define KMM_IOC_OBJECT_GIFT	_IOWR(KMM_IOC_MAGIC, 0x14, struct kmm_object_gift)
#define KMM_IOC_SHM_OPEN	_IOWR(KMM_IOC_MAGIC, 0x18, struct kmm_shm_open)
#define KMM_IOC_SHM_UNLINK	_IOWR(KMM_IOC_MAGIC, 0x19, struct kmm_shm_unlink)
#define KMM_IOC_OBJECT_EXPORT	_IOWR(KMM_IOC_MAGIC, 0x15, struct kmm_object_export)
#define KMM_IOC_OBJECT_IMPORT	_IOWR(KMM_IOC_MAGIC, 0x16, struct kmm_object_import)

#define KMM_IOC_OBJECT_ADVISE	_IOWR(KMM_IOC_MAGIC, 0x1a, struct kmm_object_advise)
#define KMM_IOC_OBJECT_LIMIT	_IOWR(KMM_IOC_MAGIC, 0x1b, struct kmm_object_limit)

#define KMM_IOC_SPACE_CREATE	_IOWR(KMM_IOC_MAGIC, 0x20, struct kmm_space_create)
#define KMM_IOC_SPACE_MAP	_IOWR(KMM_IOC_MAGIC, 0x21, struct kmm_space_map)
#define KMM_IOC_SPACE_UNMAP	_IOWR(KMM_IOC_MAGIC, 0x22, struct kmm_space_unmap)
#define KMM_IOC_SPACE_PROTECT	_IOWR(KMM_IOC_MAGIC, 0x23, struct kmm_space_protect)
#define KMM_IOC_SPACE_CLONE	_IOWR(KMM_IOC_MAGIC, 0x24, struct kmm_space_clone)
#define KMM_IOC_SPACE_ACCESS	_IOWR(KMM_IOC_MAGIC, 0x25, struct kmm_space_access)
#define KMM_IOC_SPACE_WALK	_IOWR(KMM_IOC_MAGIC, 0x26, struct kmm_space_walk)
#define KMM_IOC_SPACE_INFO	_IOWR(KMM_IOC_MAGIC, 0x27, struct kmm_space_info)
#define KMM_IOC_SPACE_LIMIT	_IOWR(KMM_IOC_MAGIC, 0x28, struct kmm_space_limit)
#define KMM_IOC_PIPE_CREATE	_IOWR(KMM_IOC_MAGIC, 0x40, struct kmm_pipe_create)
#define KMM_IOC_PIPE_RESIZE	_IOWR(KMM_IOC_MAGIC, 0x41, struct kmm_pipe_resize)
#define KMM_IOC_PIPE_INFO	_IOWR(KMM_IOC_MAGIC, 0x42, struct kmm_pipe_info)
#define KMM_IOC_MSGQ_CREATE	_IOWR(KMM_IOC_MAGIC, 0x30, struct kmm_msgq_create)
#define KMM_IOC_MSGQ_OPEN	_IOWR(KMM_IOC_MAGIC, 0x31, struct kmm_msgq_open)
#define KMM_IOC_MSGQ_SEND	_IOWR(KMM_IOC_MAGIC, 0x32, struct kmm_msgq_send)
#define KMM_IOC_MSGQ_RECEIVE	_IOWR(KMM_IOC_MAGIC, 0x33, struct kmm_msgq_receive)
#define KMM_IOC_MSGQ_INFO	_IOWR(KMM_IOC_MAGIC, 0x34, struct kmm_msgq_info)
#define KMM_IOC_MSGQ_REOPEN	_IOWR(KMM_IOC_MAGIC, 0x35, struct kmm_msgq_reopen)
#define KMM_IOC_MSGQ_UNLINK	_IOWR(KMM_IOC_MAGIC, 0x36, struct kmm_msgq_unlink)
#define KMM_IOC_SWAP_ON		_IOWR(KMM_IOC_MAGIC, 0x50, struct kmm_swap_on)
#define KMM_IOC_SWAP_OFF	_IOWR(KMM_IOC_MAGIC, 0x51, struct kmm_swap_off)
#define KMM_IOC_SWAP_INFO	_IOWR(KMM_IOC_MAGIC, 0x52, struct kmm_swap_info)

#define KMM_IOC_LAB_BUG		_IOWR(KMM_IOC_MAGIC, 0x70, struct kmm_lab_bug)

/*
 * 0x1x objects and names, 0x2x spaces, 0x3x queues, 0x4x pipes, 0x5x swap, 0x6x policies, 0x7x the
 * laboratory
 */

/*
 * mmap of a /dev/kmm descriptor, offset 0, MAP_SHARED: a new anonymous object of the
 * mapping's length, as /dev/zero gives.
 */
#define KMM_IOC_POLICY_INFO	_IOWR(KMM_IOC_MAGIC, 0x60, struct kmm_policy_info)
#define KMM_IOC_POLICY_SET	_IOWR(KMM_IOC_MAGIC, 0x61, struct kmm_policy_set)
#define KMM_IOC_REPLAY_CREATE	_IOWR(KMM_IOC_MAGIC, 0x62, struct kmm_replay_create)
#define KMM_IOC_REPLAY_RUN	_IOWR(KMM_IOC_MAGIC, 0x63, struct kmm_replay_run)
#define KMM_IOC_OBJECT_YOUNG	_IOWR(KMM_IOC_MAGIC, 0x64, struct kmm_object_young)
#define KMM_IOC_SPACE_TRACE	_IOWR(KMM_IOC_MAGIC, 0x65, struct kmm_space_trace)

#endif /* _UAPI_KMM_H */
