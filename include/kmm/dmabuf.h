/* SPDX-License-Identifier: GPL-2.0-only */
/* Objects as dma-bufs. See share/dmabuf.c. */
#ifndef _KMM_DMABUF_H
#define _KMM_DMABUF_H

#include <linux/err.h>
#include <linux/types.h>

struct file;
struct kmm_object;

#if IS_ENABLED(CONFIG_DMA_SHARED_BUFFER)
struct file *kmm_dmabuf_export(struct file *file, struct kmm_object *o, bool write);
struct file *kmm_dmabuf_get_object(int fd, bool *write);
#else
static inline struct file *kmm_dmabuf_export(struct file *file, struct kmm_object *o,
					     bool write)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline struct file *kmm_dmabuf_get_object(int fd, bool *write)
{
	return ERR_PTR(-EOPNOTSUPP);
}
#endif

#endif /* _KMM_DMABUF_H */
