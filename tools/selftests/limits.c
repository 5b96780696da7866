// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an unprivileged user can take: to the limit and no further, with the host untouched, and
 * all of it back afterwards. The child gives up root and its groups; the device node is made
 * accessible for the time of the test.
 */
#include "kmm_test.h"

static int64_t mem_available_kib(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long long v = -1;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %lld kB", &v) == 1)
			break;
	fclose(f);
	return v;
}

FIXTURE(limits) {
	int probe;
	struct kmm_stat before;
	struct kmm_info info;
	mode_t mode;
};

FIXTURE_SETUP(limits)
{
	struct stat st;

	self->probe = kmm_open();
	ASSERT_LE(0, self->probe);
	ASSERT_EQ(0, kmm_get_info(self->probe, &self->info));
	shrink_slabs();
	ASSERT_EQ(0, kmm_get_stat(self->probe, KMM_STAT_EXACT, &self->before));
	ASSERT_EQ(0, stat(KMM_DEVICE, &st));
	self->mode = st.st_mode & 07777;
	ASSERT_EQ(0, chmod(KMM_DEVICE, 0666));
}

FIXTURE_TEARDOWN(limits)
{
	struct kmm_stat now;

	EXPECT_EQ(0, chmod(KMM_DEVICE, self->mode));
	EXPECT_EQ(0, settle(self->probe, &self->before, &now));
	EXPECT_TRUE(same_frames(&self->before, &now)) {
		print_stat("before", &self->before);
		print_stat("after", &now);
	}
	close(self->probe);
}

TEST_F(limits, closed_to_strangers)
{
	pid_t pid;

	ASSERT_EQ(0, chmod(KMM_DEVICE, self->mode));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		become_nobody(64);
		_exit(kmm_open() == -EACCES ? 0 : 1);
	}
	EXPECT_EQ(0, wait_child(pid));
}

/* In the child: objects of size until it is refused. How many; the errno in *err. */
static uint64_t make_objects(int dev, uint64_t size, int *err)
{
	uint64_t n = 0;

	while (n < 2000000) {
		*err = kmm_object_create(dev, size, 0);
		if (*err < 0)
			break;
		n++;
	}
	*err = *err < 0 ? -*err : 0;
	return n;
}

static int empty_objects(uint64_t size, const struct kmm_info *info, int sock)
{
	struct kmm_stat s;
	int dev, err;
	uint64_t n;
	char c;

	become_nobody(1 << 20);
	dev = kmm_open();
	if (dev < 0)
		return 1;
	n = make_objects(dev, size, &err);
	if (err != EDQUOT && err != ENOMEM)
		return 2;
	/* A large index may have been the reason: small ones go on. */
	n += make_objects(dev, 1, &err);
	if (err != EDQUOT && err != ENOMEM)
		return 3;
	if (n > info->user_limits.objects)
		return 4;
	if (kmm_get_stat(dev, KMM_STAT_EXACT, &s) || s.user_objects != n)
		return 5;
	if (s.user_host_bytes > info->user_limits.host_bytes)
		return 6;
	/* Refused as well: an eager one, an anonymous mapping. */
	if (kmm_object_create(dev, PAGE, KMM_OBJECT_EAGER) >= 0)
		return 7;
	if (mmap(NULL, PAGE, PROT_READ, MAP_SHARED, dev, 0) != MAP_FAILED)
		return 8;
	printf("# %llu objects, %llu bytes of host memory, then %s\n", (unsigned long long)n,
	       s.user_host_bytes, strerror(err));
	fflush(stdout);
	return write(sock, "x", 1) != 1 || read(sock, &c, 1) < 0 ? 9 : 0;
}

/* The loop that makes empty objects: ends in EDQUOT or ENOMEM, soon, at little cost. */
TEST_F_TIMEOUT(limits, empty_objects, 120)
{
	const uint64_t size[] = { 1, PAGE, KMM_OBJECT_SIZE_MAX };
	int64_t available, during;
	int pair[2], dev, obj;
	pid_t pid;
	char c;

	ASSERT_NE(UINT64_MAX, self->info.user_limits.objects);
	for (size_t i = 0; i < ARRAY_SIZE(size); i++) {
		available = mem_available_kib();
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			close(pair[0]);
			close(self->probe);
			_exit(empty_objects(size[i], &self->info, pair[1]));
		}
		close(pair[1]);
		if (read(pair[0], &c, 1) == 1) {
			/* The host hardly noticed: what is charged, and as much again. */
			during = mem_available_kib();
			EXPECT_LT(available - during,
				  (int64_t)(2 * self->info.user_limits.host_bytes / 1024 + 8192));
			/* Root still works. */
			dev = kmm_open();
			ASSERT_LE(0, dev);
			obj = kmm_object_create(dev, PAGE, KMM_OBJECT_EAGER);
			EXPECT_LE(0, obj);
			close(obj);
			close(dev);
		}
		close(pair[0]);
		EXPECT_EQ(0, wait_child(pid)) TH_LOG("size %llu", (unsigned long long)size[i]);
	}
}

/* Frames, from objects and from slots together. */
TEST_F_TIMEOUT(limits, frames, 120)
{
	pid_t pid;

	ASSERT_NE(UINT64_MAX, self->info.user_limits.frames);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		uint64_t limit = self->info.user_limits.frames;
		struct kmm_stat s;
		int dev, obj, ret;
		uint32_t slot = 0;
		char *p;

		become_nobody(4096);
		close(self->probe);
		dev = kmm_open();
		if (dev < 0)
			_exit(1);
		/* Half by slots. */
		while ((ret = kmm_pages_alloc(dev, slot, 3, 0)) == 0 && slot * 8 < limit / 2)
			slot++;
		if (ret)
			_exit(2);
		/* The rest by touching an object: the fault that is over the limit is a SIGBUS. */
		obj = kmm_object_create(dev, 2 * limit * PAGE, 0);
		if (obj < 0)
			_exit(3);
		p = mmap(NULL, 2 * limit * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
		if (p == MAP_FAILED)
			_exit(4);
		uint64_t at;
		int sig = 0;

		for (at = 0; at < 2 * limit && !sig; at++)
			sig = touch(p + at * PAGE, true);
		if (sig != SIGBUS)
			_exit(5);
		if (kmm_get_stat(dev, KMM_STAT_EXACT, &s) || s.user_frames > limit)
			_exit(6);
		if (s.user_frames != limit)
			_exit(7);
		/* The other ways in say it with an errno. */
		if (pwrite(obj, "x", 1, (at + 10) * PAGE) != -1 || errno != EDQUOT)
			_exit(8);
		if (kmm_pages_alloc(dev, 10000, 0, 0) != -EDQUOT)
			_exit(9);
		if (kmm_object_create(dev, PAGE, KMM_OBJECT_EAGER) != -EDQUOT)
			_exit(10);
		/* A second file of the same user has no room either. */
		int dev2 = kmm_open();

		if (dev2 < 0 || kmm_pages_alloc(dev2, 0, 0, 0) != -EDQUOT)
			_exit(11);
		/* Give one back: room for one. */
		if (kmm_pages_free(dev, 0) || kmm_pages_alloc(dev2, 0, 3, 0))
			_exit(12);
		if (kmm_pages_alloc(dev2, 1, 0, 0) != -EDQUOT)
			_exit(13);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
}

/* Root fills most of the region and lets go; the next user finds zeros in all that he gets. */
TEST_F(limits, nothing_of_another_user_is_seen)
{
	size_t size = (self->before.free + self->before.cached) * 7 / 8 * PAGE;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, self->probe, 0);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, p);
	memset(p, 0xa5, size);
	munmap(p, size);
	ASSERT_TRUE(wait_used(self->probe, self->before.used));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* A piece less than the limit, by faults, by read(2), eager and contiguous. */
		size_t part = self->info.user_limits.frames / 4 * PAGE;
		const uint32_t flags[] = { 0, KMM_OBJECT_EAGER, KMM_OBJECT_CONTIG };
		char *buf = malloc(PAGE);
		int dev, obj;

		become_nobody(64);
		close(self->probe);
		dev = kmm_open();
		if (dev < 0)
			_exit(1);
		for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
			size_t n = flags[i] & KMM_OBJECT_CONTIG ? PAGE << KMM_ORDER_MAX : part;

			obj = kmm_object_create(dev, n, flags[i]);
			if (obj < 0)
				_exit(2);
			p = mmap(NULL, n, PROT_READ, MAP_SHARED, obj, 0);
			if (p == MAP_FAILED)
				_exit(3);
			if (!all_bytes(p, 0, n))
				_exit(4);
			for (size_t at = 0; at < n; at += PAGE)
				if (pread(obj, buf, PAGE, at) != PAGE || !all_bytes(buf, 0, PAGE))
					_exit(5);
		}
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
}

/* Host bytes by slot tables and page indexes, in many files: the user's limit holds for all. */
TEST_F_TIMEOUT(limits, many_files, 120)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		struct kmm_stat s;
		int n = 0, fd, dev;

		become_nobody(1 << 20);
		close(self->probe);
		dev = kmm_open();
		if (dev < 0)
			_exit(1);
		/* Every file touches all leaves of its slot table. */
		while ((fd = kmm_open()) >= 0 && n < 1000000) {
			for (uint32_t slot = 0; slot < 65536; slot += 512)
				if (kmm_pages_alloc(fd, slot, 0, 0) ||
				    kmm_pages_free(fd, slot))
					break;
			n++;
		}
		if (fd != -EDQUOT && fd != -ENOMEM && fd != -EMFILE && fd != -ENFILE)
			_exit(2);
		if (kmm_get_stat(dev, KMM_STAT_EXACT, &s))
			_exit(3);
		if (s.user_host_bytes > self->info.user_limits.host_bytes)
			_exit(4);
		printf("# %d files, %llu bytes of host memory, then %s\n", n, s.user_host_bytes,
		       strerror(-fd));
		fflush(stdout);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
}

TEST_HARNESS_MAIN
