// SPDX-License-Identifier: GPL-2.0-only
/* A read-only descriptor stays read-only, whatever path one tries. */
#include <sys/inotify.h>
#include <sys/sendfile.h>

#include "kmm_test.h"

static const char *proc_path(int fd)
{
	static char path[2][64];
	static int n;

	n = !n;
	snprintf(path[n], sizeof(path[n]), "/proc/self/fd/%d", fd);
	return path[n];
}

/* An object with "data" at 0, its writable and its read-only descriptor. */
static int make(int dev, int *ro)
{
	int obj = kmm_object_create(dev, 4 * PAGE, 0);

	*ro = -1;
	if (obj >= 0 && pwrite(obj, "data", 4, 0) == 4)
		*ro = kmm_object_reopen(obj, KMM_REOPEN_RDONLY);
	return obj;
}

TEST_F(kmm, reads_and_does_not_write)
{
	int ro, obj = make(self->dev, &ro), ro2;
	char buf[4];

	ASSERT_LE(0, ro);
	EXPECT_EQ(O_RDONLY, fcntl(ro, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(O_RDWR, fcntl(obj, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(4, pread(ro, buf, 4, 0));
	EXPECT_EQ(0, memcmp(buf, "data", 4));
	/* The VFS refuses write() on a descriptor without FMODE_WRITE: EBADF is its answer. */
	EXPECT_EQ(EBADF, ERR(pwrite(ro, "x", 1, 0)));
	EXPECT_EQ(EBADF, ERR(fallocate(ro, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE)));
	EXPECT_EQ(EINVAL, ERR(ftruncate(ro, 0)));
	/* One more step of it is the same. */
	ro2 = kmm_object_reopen(ro, KMM_REOPEN_RDONLY);
	ASSERT_LE(0, ro2);
	EXPECT_EQ(EBADF, ERR(pwrite(ro2, "x", 1, 0)));
	EXPECT_EQ(1, pwrite(obj, "D", 1, 0));
	EXPECT_EQ(4, pread(ro2, buf, 4, 0));
	EXPECT_EQ(0, memcmp(buf, "Data", 4));
	close(ro2);
	close(ro);
	close(obj);
}

TEST_F(kmm, maps_read_only_for_good)
{
	int ro, obj = make(self->dev, &ro);
	char *p;

	ASSERT_LE(0, ro);
	EXPECT_EQ(EACCES, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0));
	EXPECT_EQ(EACCES, mmap_err(PAGE, PROT_WRITE, MAP_SHARED, ro, 0));
	EXPECT_EQ(EINVAL, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0));
	p = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, ro, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, memcmp(p, "data", 4));
	EXPECT_EQ(EACCES, ERR(mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE)));
	EXPECT_EQ(SIGSEGV, touch(p, true));
	/* The writer's changes are seen. */
	EXPECT_EQ(1, pwrite(obj, "D", 1, 0));
	EXPECT_EQ('D', p[0]);
	munmap(p, 4 * PAGE);
	close(ro);
	close(obj);
}

/* ptrace writes through vm_ops->access or by pinning: neither may reach the object. */
TEST_F(kmm, proc_mem_does_not_write)
{
	int ro, obj = make(self->dev, &ro), fd;
	char *p;

	ASSERT_LE(0, ro);
	p = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, ro, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, memcmp(p, "data", 4));
	fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_GE(0, pwrite(fd, "evil", 4, (off_t)(uintptr_t)p));
	EXPECT_EQ(0, memcmp(p, "data", 4));
	munmap(p, 4 * PAGE);
	p = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, ro, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, memcmp(p, "data", 4));
	EXPECT_GE(0, pwrite(fd, "evil", 4, (off_t)(uintptr_t)p));
	EXPECT_EQ(0, memcmp(p, "data", 4));
	munmap(p, 4 * PAGE);
	close(fd);
	close(ro);
	close(obj);
}

TEST_F(kmm, proc_fd_does_not_reopen)
{
	int ro, obj = make(self->dev, &ro);

	ASSERT_LE(0, ro);
	/* no_open(): ENXIO, whoever asks, for the writable descriptor as well. */
	EXPECT_EQ(ENXIO, ERR(open(proc_path(ro), O_RDWR | O_CLOEXEC)));
	EXPECT_EQ(ENXIO, ERR(open(proc_path(ro), O_RDONLY | O_CLOEXEC)));
	EXPECT_EQ(ENXIO, ERR(open(proc_path(ro), O_WRONLY | O_TRUNC | O_CLOEXEC)));
	EXPECT_EQ(ENXIO, ERR(open(proc_path(obj), O_RDWR | O_CLOEXEC)));
	EXPECT_EQ(4 * PAGE, lseek(obj, 0, SEEK_END));
	close(ro);
	close(obj);
}

/*
 * A watch would hold the inode when all descriptors are gone, and with it the frames, and the
 * close of the last session would wait for the watch for ever.
 */
TEST_F(kmm, cannot_be_watched)
{
	int ro, obj = make(self->dev, &ro), in, path;

	ASSERT_LE(0, ro);
	in = inotify_init1(IN_CLOEXEC);
	ASSERT_LE(0, in);
	path = open(proc_path(obj), O_PATH | O_CLOEXEC);
	ASSERT_LE(0, path);
	EXPECT_EQ(ENXIO, ERR(inotify_add_watch(in, proc_path(obj), IN_ALL_EVENTS)));
	EXPECT_EQ(ENXIO, ERR(inotify_add_watch(in, proc_path(ro), IN_ALL_EVENTS)));
	EXPECT_EQ(ENXIO, ERR(inotify_add_watch(in, proc_path(path), IN_ALL_EVENTS)));
	close(path);
	close(ro);
	close(obj);
	/* in is open: the fixture sees whether anything is left behind. */
	close(self->dev);
	self->dev = kmm_open();
	ASSERT_LE(0, self->dev);
	close(in);
}

TEST_F(kmm, proc_fd_does_not_truncate)
{
	int ro, obj = make(self->dev, &ro);
	char buf[4];

	ASSERT_LE(0, ro);
	EXPECT_NE(0, ERR(truncate(proc_path(ro), 0)));
	EXPECT_NE(0, ERR(truncate(proc_path(ro), 8 * PAGE)));
	/* A path tells nothing of the descriptor, so it is refused for the other one too. */
	EXPECT_NE(0, ERR(truncate(proc_path(obj), 0)));
	EXPECT_EQ(4 * PAGE, lseek(obj, 0, SEEK_END));
	EXPECT_EQ(4, pread(ro, buf, 4, 0));
	EXPECT_EQ(0, memcmp(buf, "data", 4));
	close(ro);
	close(obj);
}

TEST_F(kmm, attributes_do_not_open_it)
{
	int ro, obj = make(self->dev, &ro);
	char buf[4];

	ASSERT_LE(0, ro);
	/* Changing the mode may work or not; it must not make anything writable. */
	(void)!fchmod(ro, 0777);
	(void)!fcntl(ro, F_SETFL, O_RDWR);
	EXPECT_EQ(EBADF, ERR(pwrite(ro, "x", 1, 0)));
	EXPECT_EQ(ENXIO, ERR(open(proc_path(ro), O_RDWR | O_CLOEXEC)));
	EXPECT_EQ(EACCES, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0));
	EXPECT_EQ(4, pread(ro, buf, 4, 0));
	EXPECT_EQ(0, memcmp(buf, "data", 4));
	close(ro);
	close(obj);
}

/* splice and sendfile copy; they never hand our frame to a pipe, and never write to us. */
TEST_F(kmm, splice_copies)
{
	int ro, obj = make(self->dev, &ro), p[2];
	loff_t off = 0;
	char buf[4];
	ssize_t n;

	ASSERT_LE(0, ro);
	ASSERT_EQ(0, pipe(p));
	n = splice(ro, &off, p[1], NULL, 4, 0);
	if (n == 4) {
		/* Changing the object afterwards must not change what is in the pipe. */
		EXPECT_EQ(4, pwrite(obj, "DATA", 4, 0));
		EXPECT_EQ(4, read(p[0], buf, 4));
		EXPECT_EQ(0, memcmp(buf, "data", 4));
	} else {
		EXPECT_EQ(EINVAL, errno);
	}
	ASSERT_EQ(4, write(p[1], "evil", 4));
	off = 0;
	EXPECT_EQ(EBADF, ERR(splice(p[0], NULL, ro, &off, 4, 0)));
	off = 0;
	EXPECT_EQ(EBADF, ERR(sendfile(ro, obj, &off, 4)));
	close(p[0]);
	close(p[1]);
	close(ro);
	close(obj);
}

TEST_F(kmm, lives_on_when_the_writer_is_gone)
{
	int ro, obj = make(self->dev, &ro);
	char buf[4];

	ASSERT_LE(0, ro);
	close(obj);
	EXPECT_EQ(4, pread(ro, buf, 4, 0));
	EXPECT_EQ(0, memcmp(buf, "data", 4));
	close(ro);
}

TEST_HARNESS_MAIN
