/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* /dev/kmm_importer, for tools/selftests/dmabuf.c. See importer.c. */
#ifndef _KMM_IMPORTER_H
#define _KMM_IMPORTER_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* How the buffer is looked at. */
#define IMPORTER_SG	1U	/* as the device, by the addresses of the scatter list */
#define IMPORTER_VMAP	2U	/* as a driver, by dma_buf_vmap() */

/* Directions, the values of enum dma_data_direction. */
#define IMPORTER_BIDIRECTIONAL	0U
#define IMPORTER_TO_DEVICE	1U
#define IMPORTER_FROM_DEVICE	2U

/**
 * struct importer_attach - IMPORTER_ATTACH: take a dma-buf; one per open file
 * @fd: the dma-buf
 * @dir: direction of the DMA mapping
 * @views: IMPORTER_* that will be used
 * @nr_entries: out: entries of the scatter list
 * @size_bytes: out: size of the dma-buf
 */
struct importer_attach {
	__s32 fd;
	__u32 dir;
	__u32 views;
	__u32 nr_entries;
	__u64 size_bytes;
};

/**
 * struct importer_io - IMPORTER_IO: copy between the buffer and user memory
 * @offset: into the buffer
 * @len: bytes
 * @data: user pointer
 * @view: one of IMPORTER_*
 * @write: into the buffer
 */
struct importer_io {
	__u64 offset;
	__u64 len;
	__u64 data;
	__u32 view;
	__u32 write;
};

/**
 * struct importer_sync - IMPORTER_SYNC: dma_buf_begin_cpu_access() or _end_
 * @end: which
 * @dir: direction
 */
struct importer_sync {
	__u32 end;
	__u32 dir;
};

#define IMPORTER_ATTACH	_IOWR('I', 0, struct importer_attach)
#define IMPORTER_IO	_IOW('I', 1, struct importer_io)
#define IMPORTER_SYNC	_IOW('I', 2, struct importer_sync)
#define IMPORTER_DETACH	_IO('I', 3)

#endif /* _KMM_IMPORTER_H */
