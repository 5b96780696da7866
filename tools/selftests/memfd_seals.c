// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cases of the kernel's tools/testing/selftests/memfd/memfd_test.c on kmm objects. Each is
 * named as there, and runs a second time beside a thread with the same file table.
 *
 * Left out, or put in other words, because objects are not memfds:
 *   CREATE		arguments of memfd_create; those of ours are in object, shm and abi
 *   BASIC		its second half: every object can be sealed, there is no MFD_ALLOW_SEALING
 *   MAP_PRIVATE	with PROT_WRITE (in "read" and fork_private_write): refused, see mmap
 *   open(/proc/self/fd/N)	refused for objects; SHARE-OPEN and the reopen of SEAL-FUTURE-WRITE
 *			open by name, O_TRUNC is KMM_SHM_TRUNCATE
 *   grow_write		a write never makes an object larger: it ends at the end, sealed or not
 *   hugetlbfs		no huge objects
 * errno is checked where upstream only asks for a failure.
 */
#include "kmm_test.h"

#define SIZE	8192	/* mfd_def_size */
#define NAME	"memfd_seals"

/* === assert_* of upstream: what must work === */

static uint32_t seals_of(int fd)
{
	struct kmm_object_info i;

	return kmm_object_info(fd, &i) ? ~0U : i.seals;
}

static off_t size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_size;
}

static void *map(int fd, int prot, int flags)
{
	return mmap(NULL, SIZE, prot, flags, fd, 0);
}

/* 0, or the line that went wrong. */
#define CHECK(x) do {	\
	if (!(x))	\
		return __LINE__;	\
} while (0)

static int assert_read(int fd)
{
	char buf[16];

	CHECK(pread(fd, buf, sizeof(buf), 0) == sizeof(buf));
	CHECK(!mmap_err(SIZE, PROT_READ, MAP_PRIVATE, fd, 0));
	return 0;
}

static int assert_read_shared(int fd)
{
	CHECK(!mmap_err(SIZE, PROT_READ, MAP_SHARED, fd, 0));
	return 0;
}

static int assert_write(int fd)
{
	char *p;

	CHECK(pwrite(fd, "\0\0\0\0", 4, 0) == 4);
	p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	CHECK(p != MAP_FAILED);
	*p = 0;
	munmap(p, SIZE);
	p = map(fd, PROT_WRITE, MAP_SHARED);
	CHECK(p != MAP_FAILED);
	*p = 0;
	munmap(p, SIZE);
	p = map(fd, PROT_READ, MAP_SHARED);
	CHECK(p != MAP_FAILED);
	CHECK(!mprotect(p, SIZE, PROT_READ | PROT_WRITE));
	*p = 0;
	munmap(p, SIZE);
	CHECK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE));
	return 0;
}

static int fail_write(int fd)
{
	char *p;

	CHECK(ERR(write(fd, "data", 4)) == EPERM);
	CHECK(ERR(pwrite(fd, "data", 4, 0)) == EPERM);
	CHECK(mmap_err(SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == EPERM);
	CHECK(mmap_err(SIZE, PROT_WRITE, MAP_SHARED, fd, 0) == EPERM);
	p = map(fd, PROT_READ, MAP_SHARED);
	CHECK(p != MAP_FAILED);
	CHECK(ERR(mprotect(p, SIZE, PROT_READ | PROT_WRITE)) == EACCES);
	munmap(p, SIZE);
	CHECK(ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE)) == EPERM);
	return 0;
}

static int assert_shrink(int dev, int fd)
{
	int again;

	CHECK(!ftruncate(fd, SIZE / 2));
	CHECK(size_of(fd) == SIZE / 2);
	again = kmm_shm_open(dev, NAME, KMM_SHM_TRUNCATE, 0, 0, 0);
	CHECK(again >= 0);
	close(again);
	CHECK(size_of(fd) == 0);
	return 0;
}

static int fail_shrink(int dev, int fd)
{
	CHECK(ERR(ftruncate(fd, SIZE / 2)) == EPERM);
	CHECK(kmm_shm_open(dev, NAME, KMM_SHM_TRUNCATE, 0, 0, 0) == -EPERM);
	CHECK(size_of(fd) > 0);
	return 0;
}

static int assert_grow(int fd)
{
	CHECK(!ftruncate(fd, SIZE * 2));
	CHECK(size_of(fd) == SIZE * 2);
	CHECK(!fallocate(fd, 0, 0, SIZE * 4));
	CHECK(size_of(fd) == SIZE * 4);
	return 0;
}

static int fail_grow(int fd)
{
	off_t size = size_of(fd);

	CHECK(ERR(ftruncate(fd, SIZE * 2)) == EPERM);
	CHECK(ERR(fallocate(fd, 0, 0, SIZE * 4)) == EPERM);
	CHECK(size_of(fd) == size);
	return 0;
}

static int fail_grow_write(int fd)
{
	static char buf[SIZE * 8];
	off_t size = size_of(fd);

	CHECK(pwrite(fd, buf, sizeof(buf), 0) != (ssize_t)sizeof(buf));
	CHECK(size_of(fd) == size);
	return 0;
}

/* === Fixture: each case alone, and beside a thread that shares the file table === */

static void *idle_thread(void *arg)
{
	char c;

	/* until the other end is closed */
	(void)!read(*(int *)arg, &c, 1);
	return NULL;
}

/* The fixture is kmm's with an object that has a name, so that it can be opened again. */
FIXTURE_VARIANT(kmm) {
	bool thread;
};

FIXTURE_VARIANT_ADD(kmm, alone) { .thread = false };
FIXTURE_VARIANT_ADD(kmm, shared_file_table) { .thread = true };

struct other {
	pthread_t thread;
	int pair[2];
};

#define BEGIN()								\
	struct other other;						\
	int fd;								\
									\
	if (variant->thread) {						\
		ASSERT_EQ(0, pipe(other.pair));				\
		ASSERT_EQ(0, pthread_create(&other.thread, NULL, idle_thread, &other.pair[0])); \
	}								\
	fd = kmm_shm_open(self->dev, NAME, KMM_SHM_CREATE | KMM_SHM_EXCL, 0600, SIZE, 0); \
	ASSERT_LE(0, fd);						\
	EXPECT_EQ(0, seals_of(fd))

#define END() do {							\
	close(fd);							\
	EXPECT_EQ(0, kmm_shm_unlink(self->dev, NAME));			\
	if (variant->thread) {						\
		close(other.pair[1]);					\
		pthread_join(other.thread, NULL);			\
		close(other.pair[0]);					\
	}								\
} while (0)

#define ADD(fd, seals)		EXPECT_EQ(0, kmm_object_seal(fd, seals, NULL))
#define FAIL(err, fd, seals)	EXPECT_EQ(-(err), kmm_object_seal(fd, seals, NULL))

TEST_F(kmm, basic)
{
	BEGIN();
	ADD(fd, KMM_SEAL_SHRINK | KMM_SEAL_WRITE);
	EXPECT_EQ(KMM_SEAL_SHRINK | KMM_SEAL_WRITE, seals_of(fd));
	ADD(fd, KMM_SEAL_SHRINK | KMM_SEAL_WRITE);
	EXPECT_EQ(KMM_SEAL_SHRINK | KMM_SEAL_WRITE, seals_of(fd));
	ADD(fd, KMM_SEAL_GROW | KMM_SEAL_SEAL);
	EXPECT_EQ(KMM_SEAL_SHRINK | KMM_SEAL_GROW | KMM_SEAL_WRITE | KMM_SEAL_SEAL, seals_of(fd));
	FAIL(EPERM, fd, KMM_SEAL_GROW);
	END();
}

TEST_F(kmm, seal_write)
{
	BEGIN();
	ADD(fd, KMM_SEAL_WRITE);
	EXPECT_EQ(KMM_SEAL_WRITE, seals_of(fd));
	EXPECT_EQ(0, assert_read(fd));
	EXPECT_EQ(0, fail_write(fd));
	EXPECT_EQ(0, assert_shrink(self->dev, fd));
	EXPECT_EQ(0, assert_grow(fd));
	EXPECT_EQ(0, fail_grow_write(fd));
	END();
}

TEST_F(kmm, seal_future_write)
{
	int fd2;
	char *p;

	BEGIN();
	p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	ADD(fd, KMM_SEAL_FUTURE_WRITE);
	EXPECT_EQ(KMM_SEAL_FUTURE_WRITE, seals_of(fd));
	EXPECT_EQ(0, assert_read(fd));
	EXPECT_EQ(0, assert_read_shared(fd));
	EXPECT_EQ(0, fail_write(fd));
	fd2 = kmm_shm_open(self->dev, NAME, 0, 0, 0, 0);
	ASSERT_LE(0, fd2);
	EXPECT_EQ(0, assert_read(fd2));
	EXPECT_EQ(0, assert_read_shared(fd2));
	EXPECT_EQ(0, fail_write(fd2));
	munmap(p, SIZE);
	close(fd2);
	END();
}

TEST_F(kmm, seal_write_map_read_shared)
{
	char *p;

	BEGIN();
	ADD(fd, KMM_SEAL_WRITE);
	EXPECT_EQ(KMM_SEAL_WRITE, seals_of(fd));
	p = map(fd, PROT_READ, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, assert_read(fd));
	EXPECT_EQ(0, assert_read_shared(fd));
	EXPECT_EQ(0, fail_write(fd));
	munmap(p, SIZE);
	END();
}

TEST_F(kmm, seal_shrink)
{
	BEGIN();
	ADD(fd, KMM_SEAL_SHRINK);
	EXPECT_EQ(KMM_SEAL_SHRINK, seals_of(fd));
	EXPECT_EQ(0, assert_read(fd));
	EXPECT_EQ(0, assert_write(fd));
	EXPECT_EQ(0, fail_shrink(self->dev, fd));
	EXPECT_EQ(0, assert_grow(fd));
	EXPECT_EQ(0, fail_grow_write(fd));
	END();
}

TEST_F(kmm, seal_grow)
{
	BEGIN();
	ADD(fd, KMM_SEAL_GROW);
	EXPECT_EQ(KMM_SEAL_GROW, seals_of(fd));
	EXPECT_EQ(0, assert_read(fd));
	EXPECT_EQ(0, assert_write(fd));
	EXPECT_EQ(0, assert_shrink(self->dev, fd));
	EXPECT_EQ(0, fail_grow(fd));
	EXPECT_EQ(0, fail_grow_write(fd));
	END();
}

TEST_F(kmm, seal_resize)
{
	BEGIN();
	ADD(fd, KMM_SEAL_SHRINK | KMM_SEAL_GROW);
	EXPECT_EQ(KMM_SEAL_SHRINK | KMM_SEAL_GROW, seals_of(fd));
	EXPECT_EQ(0, assert_read(fd));
	EXPECT_EQ(0, assert_write(fd));
	EXPECT_EQ(0, fail_shrink(self->dev, fd));
	EXPECT_EQ(0, fail_grow(fd));
	EXPECT_EQ(0, fail_grow_write(fd));
	END();
}

TEST_F(kmm, share_dup)
{
	int fd2;

	BEGIN();
	fd2 = dup(fd);
	ASSERT_LE(0, fd2);
	EXPECT_EQ(0, seals_of(fd2));
	ADD(fd, KMM_SEAL_WRITE);
	EXPECT_EQ(KMM_SEAL_WRITE, seals_of(fd));
	EXPECT_EQ(KMM_SEAL_WRITE, seals_of(fd2));
	ADD(fd2, KMM_SEAL_SHRINK);
	EXPECT_EQ(KMM_SEAL_WRITE | KMM_SEAL_SHRINK, seals_of(fd));
	EXPECT_EQ(KMM_SEAL_WRITE | KMM_SEAL_SHRINK, seals_of(fd2));
	ADD(fd, KMM_SEAL_SEAL);
	EXPECT_EQ(KMM_SEAL_WRITE | KMM_SEAL_SHRINK | KMM_SEAL_SEAL, seals_of(fd));
	EXPECT_EQ(KMM_SEAL_WRITE | KMM_SEAL_SHRINK | KMM_SEAL_SEAL, seals_of(fd2));
	FAIL(EPERM, fd, KMM_SEAL_GROW);
	FAIL(EPERM, fd2, KMM_SEAL_GROW);
	FAIL(EPERM, fd, KMM_SEAL_SEAL);
	FAIL(EPERM, fd2, KMM_SEAL_SEAL);
	close(fd2);
	FAIL(EPERM, fd, KMM_SEAL_GROW);
	END();
}

TEST_F(kmm, share_mmap)
{
	char *p;

	BEGIN();
	p = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, p);
	FAIL(EBUSY, fd, KMM_SEAL_WRITE);
	EXPECT_EQ(0, seals_of(fd));
	ADD(fd, KMM_SEAL_SHRINK);
	EXPECT_EQ(KMM_SEAL_SHRINK, seals_of(fd));
	munmap(p, SIZE);
	p = map(fd, PROT_READ, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	ADD(fd, KMM_SEAL_WRITE);
	EXPECT_EQ(KMM_SEAL_WRITE | KMM_SEAL_SHRINK, seals_of(fd));
	munmap(p, SIZE);
	END();
}

TEST_F(kmm, share_open)
{
	int fd2;

	BEGIN();
	fd2 = kmm_shm_open(self->dev, NAME, 0, 0, 0, 0);
	ASSERT_LE(0, fd2);
	ADD(fd, KMM_SEAL_WRITE);
	EXPECT_EQ(KMM_SEAL_WRITE, seals_of(fd));
	EXPECT_EQ(KMM_SEAL_WRITE, seals_of(fd2));
	ADD(fd2, KMM_SEAL_SHRINK);
	EXPECT_EQ(KMM_SEAL_WRITE | KMM_SEAL_SHRINK, seals_of(fd));
	EXPECT_EQ(KMM_SEAL_WRITE | KMM_SEAL_SHRINK, seals_of(fd2));
	close(fd);
	fd = kmm_shm_open(self->dev, NAME, KMM_SHM_RDONLY, 0, 0, 0);
	ASSERT_LE(0, fd);
	FAIL(EACCES, fd, KMM_SEAL_SEAL);
	EXPECT_EQ(KMM_SEAL_WRITE | KMM_SEAL_SHRINK, seals_of(fd));
	EXPECT_EQ(KMM_SEAL_WRITE | KMM_SEAL_SHRINK, seals_of(fd2));
	close(fd2);
	fd2 = kmm_shm_open(self->dev, NAME, 0, 0, 0, 0);
	ASSERT_LE(0, fd2);
	ADD(fd2, KMM_SEAL_SEAL);
	EXPECT_EQ(KMM_SEAL_WRITE | KMM_SEAL_SHRINK | KMM_SEAL_SEAL, seals_of(fd));
	EXPECT_EQ(KMM_SEAL_WRITE | KMM_SEAL_SHRINK | KMM_SEAL_SEAL, seals_of(fd2));
	close(fd2);
	END();
}

TEST_F(kmm, share_fork)
{
	pid_t pid;

	BEGIN();
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		pause();
		_exit(0);
	}
	ADD(fd, KMM_SEAL_SEAL);
	EXPECT_EQ(KMM_SEAL_SEAL, seals_of(fd));
	FAIL(EPERM, fd, KMM_SEAL_WRITE);
	EXPECT_EQ(KMM_SEAL_SEAL, seals_of(fd));
	kill(pid, SIGTERM);
	wait_child(pid);
	FAIL(EPERM, fd, KMM_SEAL_WRITE);
	EXPECT_EQ(KMM_SEAL_SEAL, seals_of(fd));
	END();
}

TEST_HARNESS_MAIN
