// SPDX-License-Identifier: GPL-2.0-only
/* Mappings: of /dev/kmm itself, of objects; fork, mremap, mprotect, the end of an object. */
#include "kmm_test.h"

/* mmap of /dev/kmm is a new anonymous shared object, as /dev/zero gives. */
TEST_F(kmm, anonymous_is_zero_and_new_each_time)
{
	char *a, *b;

	a = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->dev, 0);
	b = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->dev, 0);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_TRUE(all_bytes(a, 0, 16 * PAGE));
	memset(a, 'a', 16 * PAGE);
	EXPECT_TRUE(all_bytes(b, 0, 16 * PAGE));
	munmap(a, 16 * PAGE);
	munmap(b, 16 * PAGE);
}

TEST_F(kmm, anonymous_is_shared_with_a_child)
{
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->dev, 0);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, p);
	p[0] = 1;			/* one page resident, one not */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (p[0] != 1)
			_exit(1);
		p[0] = 2;
		p[2 * PAGE] = 3;
		_exit(0);
	}
	ASSERT_EQ(0, wait_child(pid));
	EXPECT_EQ(2, p[0]);
	EXPECT_EQ(3, p[2 * PAGE]);
	munmap(p, 4 * PAGE);
}

TEST_F(kmm, anonymous_survives_close_of_the_device)
{
	int dev = kmm_open();
	char *p;

	ASSERT_LE(0, dev);
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dev, 0);
	ASSERT_NE(MAP_FAILED, p);
	close(dev);
	memset(p, 'x', 4 * PAGE);
	EXPECT_TRUE(all_bytes(p, 'x', 4 * PAGE));
	munmap(p, 4 * PAGE);
}

TEST_F(kmm, anonymous_bad_requests)
{
	EXPECT_EQ(EINVAL, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, self->dev, 0));
	EXPECT_EQ(EINVAL, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->dev, PAGE));
	EXPECT_NE(0, mmap_err(KMM_OBJECT_SIZE_MAX + PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			      self->dev, 0));
}

TEST_F(kmm, two_mappings_show_one_object)
{
	int obj = kmm_object_create(self->dev, 8 * PAGE, 0);
	char *a, *b;

	ASSERT_LE(0, obj);
	a = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	b = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, obj, 4 * PAGE);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, b[0]);		/* resident before it is written */
	for (int i = 0; i < 8; i++)
		memset(a + i * PAGE, 'a' + i, PAGE);
	EXPECT_TRUE(all_bytes(b, 'e', PAGE));
	EXPECT_TRUE(all_bytes(b + 3 * PAGE, 'h', PAGE));
	/* One goes, the other stays. */
	munmap(a, 8 * PAGE);
	EXPECT_TRUE(all_bytes(b + PAGE, 'f', PAGE));
	close(obj);
	EXPECT_TRUE(all_bytes(b + 2 * PAGE, 'g', PAGE));
	munmap(b, 4 * PAGE);
}

TEST_F(kmm, private_mappings)
{
	int obj = kmm_object_create(self->dev, 2 * PAGE, 0);
	char *p;

	ASSERT_LE(0, obj);
	ASSERT_EQ(2, pwrite(obj, "hi", 2, 0));
	EXPECT_EQ(EINVAL, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, obj, 0));
	EXPECT_EQ(EINVAL, mmap_err(PAGE, PROT_WRITE, MAP_PRIVATE, obj, 0));
	p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, memcmp(p, "hi", 2));
	EXPECT_EQ(0, p[PAGE]);
	/* It stays read-only. */
	EXPECT_EQ(EACCES, ERR(mprotect(p, PAGE, PROT_READ | PROT_WRITE)));
	EXPECT_EQ(SIGSEGV, touch(p, true));
	/* And it sees what the object becomes. */
	ASSERT_EQ(2, pwrite(obj, "yo", 2, 0));
	EXPECT_EQ(0, memcmp(p, "yo", 2));
	munmap(p, 2 * PAGE);
	close(obj);
}

TEST_F(kmm, mprotect_of_a_shared_mapping)
{
	int obj = kmm_object_create(self->dev, 2 * PAGE, 0);
	char *p;

	ASSERT_LE(0, obj);
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	p[0] = 1;
	ASSERT_EQ(0, mprotect(p, 2 * PAGE, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch(p, true));
	EXPECT_EQ(SIGSEGV, touch(p + PAGE, true));
	EXPECT_EQ(0, touch(p + PAGE, false));
	ASSERT_EQ(0, mprotect(p, 2 * PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, touch(p, true));
	EXPECT_EQ(0, touch(p + PAGE, true));
	ASSERT_EQ(0, mprotect(p, 2 * PAGE, PROT_NONE));
	EXPECT_EQ(SIGSEGV, touch(p, false));
	munmap(p, 2 * PAGE);
	close(obj);
}

TEST_F(kmm, mremap_moves_and_does_not_grow)
{
	int obj = kmm_object_create(self->dev, 8 * PAGE, 0);
	char *p, *q, *to;

	ASSERT_LE(0, obj);
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < 3; i++)	/* the fourth page is not resident */
		memset(p + i * PAGE, 'a' + i, PAGE);
	to = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, to);
	q = mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	ASSERT_EQ(to, q);
	EXPECT_EQ(SIGSEGV, touch(p, false));
	for (int i = 0; i < 3; i++)
		EXPECT_TRUE(all_bytes(q + i * PAGE, 'a' + i, PAGE));
	EXPECT_TRUE(all_bytes(q + 3 * PAGE, 0, PAGE));
	q[3 * PAGE] = 'z';
	EXPECT_EQ(EFAULT, ERR(mremap(q, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE)));
	EXPECT_EQ('z', q[3 * PAGE]);
	/* Shrinking is an munmap. */
	EXPECT_EQ(q, mremap(q, 4 * PAGE, 2 * PAGE, 0));
	EXPECT_EQ(SIGSEGV, touch(q + 2 * PAGE, false));
	EXPECT_TRUE(all_bytes(q, 'a', PAGE));
	munmap(q, 2 * PAGE);
	close(obj);
}

TEST_F(kmm, partial_munmap)
{
	int obj = kmm_object_create(self->dev, 8 * PAGE, 0);
	char *p;

	ASSERT_LE(0, obj);
	p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'x', 8 * PAGE);
	munmap(p + 3 * PAGE, 2 * PAGE);
	EXPECT_TRUE(all_bytes(p, 'x', 3 * PAGE));
	EXPECT_EQ(SIGSEGV, touch(p + 3 * PAGE, false));
	EXPECT_TRUE(all_bytes(p + 5 * PAGE, 'x', 3 * PAGE));
	munmap(p, 3 * PAGE);
	munmap(p + 5 * PAGE, 3 * PAGE);
	close(obj);
}

TEST_F(kmm, sigbus_behind_the_end)
{
	int obj = kmm_object_create(self->dev, 2 * PAGE + 5, 0);
	char *p;

	ASSERT_LE(0, obj);
	/* The last page is whole; a page behind it cannot be mapped, or faults. */
	p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, touch(p + 2 * PAGE + PAGE - 1, true));
	munmap(p, 3 * PAGE);
	p = mmap(NULL, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	if (p == MAP_FAILED) {
		EXPECT_EQ(EINVAL, errno);
	} else {
		EXPECT_EQ(0, touch(p + 2 * PAGE, true));
		EXPECT_EQ(SIGBUS, touch(p + 3 * PAGE, false));
		EXPECT_EQ(SIGBUS, touch(p + 4 * PAGE, true));
		munmap(p, 5 * PAGE);
	}
	close(obj);
}

TEST_F(kmm, sigbus_after_truncate)
{
	int obj = kmm_object_create(self->dev, 8 * PAGE, 0);
	char *p, *ro;

	ASSERT_LE(0, obj);
	p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ro = mmap(NULL, 8 * PAGE, PROT_READ, MAP_PRIVATE, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, ro);
	memset(p, 'x', 8 * PAGE);
	EXPECT_TRUE(all_bytes(ro, 'x', 8 * PAGE));
	ASSERT_EQ(0, ftruncate(obj, 3 * PAGE));
	for (int i = 0; i < 8; i++) {
		EXPECT_EQ(i < 3 ? 0 : SIGBUS, touch(p + i * PAGE, true));
		EXPECT_EQ(i < 3 ? 0 : SIGBUS, touch(ro + i * PAGE, false));
	}
	munmap(p, 8 * PAGE);
	munmap(ro, 8 * PAGE);
	close(obj);
}

/* An empty region is a SIGBUS, never an endless fault or the OOM killer. */
TEST_F(kmm, sigbus_when_nothing_is_left)
{
	struct kmm_stat s;
	size_t size;
	char *p;
	int obj;

	size = (self->before.total + 1024) * PAGE;
	obj = kmm_object_create(self->dev, size, 0);
	ASSERT_LE(0, obj);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	size_t at;
	int sig = 0;

	for (at = 0; at < size && !sig; at += PAGE)
		sig = touch(p + at, true);
	EXPECT_EQ(SIGBUS, sig);
	EXPECT_LT(self->before.total / 4, at / PAGE);
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
	EXPECT_EQ(s.total, stat_sum(&s));
	EXPECT_EQ(self->before.used + at / PAGE - 1, s.used);
	/* A hole makes room again. */
	ASSERT_EQ(0, fallocate(obj, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 64 * PAGE));
	EXPECT_EQ(0, touch(p + at, true));
	munmap(p, size);
	close(obj);
}

TEST_F(kmm, offsets_and_lengths)
{
	const int rw = PROT_READ | PROT_WRITE;
	int obj = kmm_object_create(self->dev, 4 * PAGE, 0);
	char *p;

	ASSERT_LE(0, obj);
	EXPECT_EQ(0, mmap_err(PAGE, rw, MAP_SHARED, obj, 3 * PAGE));
	EXPECT_EQ(EINVAL, mmap_err(PAGE, rw, MAP_SHARED, obj, 1));
	EXPECT_EQ(EINVAL, mmap_err(0, rw, MAP_SHARED, obj, 0));
	/* Wholly behind the end, or wrapping: refused, or a mapping that only faults. */
	const struct { off_t off; size_t len; } far[] = {
		{ 4 * PAGE, PAGE }, { 1000 * PAGE, PAGE }, { 0x7ffffffffffff000, PAGE },
		{ 0x7fffffffffffe000, 2 * PAGE }, { 0x7ffffffffffff000, 2 * PAGE },
		{ 0x7ffffff000000000, 1UL << 36 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(far); i++) {
		p = mmap(NULL, far[i].len, rw, MAP_SHARED, obj, far[i].off);
		if (p != MAP_FAILED) {
			EXPECT_EQ(SIGBUS, touch(p, true));
			EXPECT_EQ(SIGBUS, touch(p + far[i].len - 1, false));
			munmap(p, far[i].len);
		} else {
			EXPECT_TRUE(errno == EINVAL || errno == EOVERFLOW || errno == EFBIG);
		}
	}
	/* Page offsets that only the syscall itself can express. */
	p = (char *)syscall(SYS_mmap, NULL, PAGE, rw, MAP_SHARED, obj, ~0UL & ~(PAGE - 1));
	if (p != MAP_FAILED) {
		EXPECT_EQ(SIGBUS, touch(p, true));
		munmap(p, PAGE);
	}
	EXPECT_EQ(0, mmap_err(4 * PAGE, rw, MAP_SHARED, obj, 0));
	close(obj);
}

TEST_F(kmm, execute_is_no_way_round)
{
	int obj = kmm_object_create(self->dev, PAGE, 0), ro;
	char *p;

	ASSERT_LE(0, obj);
	ro = kmm_object_reopen(obj, KMM_REOPEN_RDONLY);
	ASSERT_LE(0, ro);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(EACCES, ERR(mprotect(p, PAGE, PROT_READ | PROT_WRITE)));
	EXPECT_EQ(EACCES, ERR(mprotect(p, PAGE, PROT_WRITE | PROT_EXEC)));
	munmap(p, PAGE);
	close(ro);
	close(obj);
}

/* Two processes fault one object from both ends; every page has one owner of each byte. */
TEST_F(kmm, parent_and_child_fault_one_object)
{
	const int pages = 512;
	char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->dev, 0);
	pid_t pid;
	int i;

	ASSERT_NE(MAP_FAILED, p);
	pid = fork();
	ASSERT_LE(0, pid);
	for (i = 0; i < pages; i++)
		p[(pid ? i : pages - 1 - i) * PAGE + !pid] = 'x';
	if (!pid)
		_exit(0);
	ASSERT_EQ(0, wait_child(pid));
	for (i = 0; i < pages; i++) {
		ASSERT_EQ('x', p[i * PAGE]);
		ASSERT_EQ('x', p[i * PAGE + 1]);
	}
	munmap(p, pages * PAGE);
}

/* A child that dies with the mapping leaves it to the parent; madvise does no harm. */
TEST_F(kmm, madvise_and_mlock)
{
	int obj = kmm_object_create(self->dev, 8 * PAGE, 0);
	char *p;

	ASSERT_LE(0, obj);
	p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'x', 8 * PAGE);
	/* Unmaps here, the object keeps the contents (or refuses: VM_IO). */
	if (madvise(p, 8 * PAGE, MADV_DONTNEED)) {
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_TRUE(all_bytes(p, 'x', 8 * PAGE));
	/* The kernel turns MADV_REMOVE into the punch; it may refuse it, but not half do it. */
	int first = madvise(p, 2 * PAGE, MADV_REMOVE) ? 'x' : 0;

	EXPECT_TRUE(all_bytes(p, first, 2 * PAGE));
	if (!mlock(p, 8 * PAGE))
		munlock(p, 8 * PAGE);
	EXPECT_TRUE(all_bytes(p + 2 * PAGE, 'x', 6 * PAGE));
	munmap(p, 8 * PAGE);
	close(obj);
}

/* Not in core dumps, and other processes read it through ptrace (vm_ops->access). */
TEST_F(kmm, another_process_reads_it)
{
	int obj = kmm_object_create(self->dev, PAGE, KMM_OBJECT_EAGER);
	struct iovec local, remote;
	char buf[6] = "";
	char path[64];
	char *p;
	int fd;

	ASSERT_LE(0, obj);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	memcpy(p, "secret", 6);
	snprintf(path, sizeof(path), "/proc/%d/mem", getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(6, pread(fd, buf, 6, (off_t)(uintptr_t)p));
	EXPECT_EQ(0, memcmp(buf, "secret", 6));
	close(fd);
	/* process_vm_readv pins pages; VM_IO says no, and that is the safe answer. */
	local = (struct iovec){ buf, 6 };
	remote = (struct iovec){ p, 6 };
	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) < 0) {
		EXPECT_EQ(EFAULT, errno);
	}
	munmap(p, PAGE);
	close(obj);
}

TEST_HARNESS_MAIN
