/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Places to swap to, for the suites of swap: loop devices over a file of tmpfs, ext4 on such a
 * one, files. All in a folder of the test's own, on a tmpfs of its own.
 */
#ifndef _SWAP_TEST_H
#define _SWAP_TEST_H

#include <linux/loop.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "kmm_test.h"

#define WORK	"/tmp/kmm-swap-test"

/* A command of the shell, quietly; its status. */
static inline int __attribute__((unused, format(printf, 1, 2))) run(const char *fmt, ...)
{
	char text[1024], line[1100];
	va_list args;
	int status;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	snprintf(line, sizeof(line), "{ %s ; } >" WORK "/out 2>&1", text);
	status = system(line);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* What is left of a test that died goes first. */
static inline int __attribute__((unused)) begin_work(const char *size)
{
	char options[64];

	umount2(WORK "/fs", MNT_DETACH);
	umount2(WORK, MNT_DETACH);
	mkdir(WORK, 0700);
	snprintf(options, sizeof(options), "size=%s", size);
	if (mount("kmm-swap-test", WORK, "tmpfs", 0, options))
		return -errno;
	return mkdir(WORK "/fs", 0700) ? -errno : 0;
}

static inline int __attribute__((unused)) end_work(void)
{
	return umount(WORK) ? -errno : 0;
}

/* A file of so many bytes; holes: it is not written to. */
static inline int __attribute__((unused)) make_file(const char *path, uint64_t bytes, bool holes)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, bytes) || (!holes && posix_fallocate(fd, 0, bytes))) {
		close(fd);
		return -EIO;
	}
	return fd;
}

/* A loop device over a file of so many bytes on the tmpfs; its path. It goes with its last user. */
static inline int __attribute__((unused)) make_loop(const char *name, uint64_t bytes, char *path)
{
	struct loop_info64 info = { .lo_flags = LO_FLAGS_AUTOCLEAR };
	int ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC), n, loop, fd;
	char backing[256];

	if (ctl < 0)
		return -errno;
	n = ioctl(ctl, LOOP_CTL_GET_FREE);
	close(ctl);
	if (n < 0)
		return -errno;
	sprintf(path, "/dev/loop%d", n);
	snprintf(backing, sizeof(backing), WORK "/%s", name);
	fd = make_file(backing, bytes, true);
	if (fd < 0)
		return fd;
	loop = open(path, O_RDWR | O_CLOEXEC);
	if (loop < 0 || ioctl(loop, LOOP_SET_FD, fd) || ioctl(loop, LOOP_SET_STATUS64, &info)) {
		close(fd);
		return -EIO;
	}
	close(fd);
	return loop;
}

/*
 * ext4 with 4 KiB blocks at WORK/fs, on a loop device that goes with the mount. mkfs takes seconds
 * under emulation, so a size is made once and copied.
 */
static inline int __attribute__((unused)) mount_ext4(uint64_t bytes, char *loop)
{
	unsigned int mb = bytes >> 20;
	int ret, fd;

	ret = run("f=/tmp/kmm-swap-ext4-%u.img; [ -e $f ] || "
		  "{ truncate -s %uM $f.new && mkfs.ext4 -q -b 4096 -m 0 -O ^has_journal $f.new && "
		  "mv $f.new $f; }; cp --sparse=always $f " WORK "/ext4.img", mb, mb);
	if (ret)
		return ret;
	fd = make_loop("ext4.img", bytes, loop);
	if (fd < 0)
		return fd;
	if (mount(loop, WORK "/fs", "ext4", 0, NULL))
		ret = -errno;
	close(fd);
	return ret;
}

/* How many areas there are. */
static inline int __attribute__((unused)) count_areas(int dev)
{
	struct kmm_swap_info i;
	uint32_t id = 0;
	int n = 0;

	for (; !kmm_swap_info(dev, id, &i); id = i.id + 1)
		n++;
	return n;
}

#endif /* _SWAP_TEST_H */
