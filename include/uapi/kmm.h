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
 *               and KMALLOC
 *   -EOVERFLOW  offset + length wraps
 *   -ENOTTY     no such ioctl on this kind of descriptor
 *   -EBADF      the descriptor in a struct is not open
 *   -EPERM      the capability that the table below names is missing, or a seal
 *               forbids the operation
 *   -EACCES     the descriptor was not opened for this (read-only object)
 *   -EDQUOT     a limit of this file or this user is reached (frames, objects,
 *               names, host bytes)
 *   -ENOMEM     the region has no frame left, or the host no memory for kmm's own
 *               structs
 *   -ENOSPC     a write at or behind the end of a memory object
 *   -EBUSY      sealing against writes while a shared writable mapping exists, or
 *               while a frame of the object is pinned; destroying a cache that has
 *               objects
 *   -EEXIST     the slot is in use
 *   -ENOENT     the slot is empty
 *   -EBADSLT    the slot holds something of another kind
 *   -ERANGE     the slot number is above the session's limit
 *   -EINTR      a signal ended a batch before its first operation, or a fatal one the
 *               filling of an object
 *   -EOPNOTSUPP a mode of fallocate that memory objects do not have
 *   -ENXIO      no data, or no hole, behind an offset; opening or watching an object by
 *               its path under /proc
 *   -EMFILE     this process has no descriptor left
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
 *	free + cached + lazy + quarantined + used + metadata == total.
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
 */
struct kmm_object_info {
	__u64 id;
	__u64 size_bytes;
	__u64 resident;
	__u64 host_bytes;
	__u32 flags;
	__u32 seals;
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
 * -EBUSY KMM_SEAL_WRITE while a shared writable mapping or a pinned frame exists.
 */
struct kmm_object_seal {
	__u32 add;
	__u32 seals;
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
 *
 * Frames that are charged: the pages of a block; for a cache the slabs that it has and one more;
 * for kmalloc up to 8 KiB, by size class, the most bytes that the slots have held since they
 * last held none, rounded up to pages; above, the pages. Host memory: a cache's per-CPU stacks and
 * depot, some 2 KiB for each CPU and 12 KiB.
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
};

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

/* 0x1x objects and names, 0x2x spaces, 0x3x queues, 0x4x pipes, 0x5x swap, 0x6x policies */

/*
 * mmap of a /dev/kmm descriptor, offset 0, MAP_SHARED: a new anonymous object of the
 * mapping's length, as /dev/zero gives.
 */

#endif /* _UAPI_KMM_H */
