/* SPDX-License-Identifier: GPL-2.0-only */
/* /dev/kmm_importer, the driver that the tests have as an importer of dma-bufs. */
#ifndef _KMM_IMPORTER_TEST_H
#define _KMM_IMPORTER_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../../kunit/importer.h"

#define IMPORTER_DEVICE	"/dev/kmm_importer"

static inline bool have_importer(void)
{
	return !access(IMPORTER_DEVICE, R_OK | W_OK);
}

/* A descriptor that holds the attached dma-buf, or -errno. */
static inline int __attribute__((unused))
importer_attach(int dmabuf, uint32_t dir, uint32_t views, struct importer_attach *out)
{
	struct importer_attach a = { .fd = dmabuf, .dir = dir, .views = views };
	int im = open(IMPORTER_DEVICE, O_RDWR | O_CLOEXEC), err;

	if (im < 0)
		return -errno;
	if (ioctl(im, IMPORTER_ATTACH, &a)) {
		err = -errno;
		close(im);
		return err;
	}
	if (out)
		*out = a;
	return im;
}

/* 0 or -errno. */
static inline int __attribute__((unused))
importer_io(int im, uint32_t view, bool write, uint64_t offset, void *data, size_t len)
{
	struct importer_io io = { .offset = offset, .len = len, .data = (uintptr_t)data,
				  .view = view, .write = write };

	return ioctl(im, IMPORTER_IO, &io) ? -errno : 0;
}

/* Begin or end of CPU access. */
static inline int __attribute__((unused)) importer_sync(int im, bool end, uint32_t dir)
{
	struct importer_sync s = { .end = end, .dir = dir };

	return ioctl(im, IMPORTER_SYNC, &s) ? -errno : 0;
}

#endif /* _KMM_IMPORTER_TEST_H */
