// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces against those who mean no good: bad input is refused with the errno of the table
 * and leaves nothing changed, descriptors travel and die, a flood ends at the limit, races and
 * kills leave nothing behind.
 *
 * KMM_RACE_MS: milliseconds of each race (1000). KMM_KILLS: four times the processes that are
 * killed here (40). KMM_SEED repeats a run.
 */
#include "space_test.h"

/* === Helpers === */

/* What a call that was refused must not have changed. */
static bool same_space(const struct kmm_space_info *a, const struct kmm_space_info *b)
{
	return a->areas == b->areas && a->mapped_bytes == b->mapped_bytes &&
	       a->resident == b->resident && a->private_frames == b->private_frames &&
	       !memcmp(a->tables, b->tables, sizeof(a->tables)) && !b->audit_bad;
}

/* === Bad input: the errno of the table, and nothing changed === */

TEST_F(kmm, bad_maps)
{
	const struct {
		struct kmm_space_map m;
		int err;
	} bad[] = {
#define MAP_OF(_fd, _addr, _len, _prot, _flags, ...) \
	{ .object_fd = (_fd), .addr = (_addr), .len = (_len), .prot = (_prot), \
	  .flags = (_flags), __VA_ARGS__ }
#define MAP(...) MAP_OF(-1, __VA_ARGS__)
		/* kinds and flags */
		{ MAP(BASE, PAGE, RW, KMM_MAP_FIXED), EINVAL },
		{ MAP(BASE, PAGE, RW, KMM_MAP_SHARED | ANON), EINVAL },
		{ MAP(BASE, PAGE, RW, ANON | 1U << 7), EINVAL },
		{ MAP(BASE, PAGE, RW, ANON | 1U << 31), EINVAL },
		{ MAP(BASE, PAGE, 8, ANON), EINVAL },
		{ MAP(BASE, PAGE, ~0U, ANON), EINVAL },
		{ MAP(BASE, PAGE, RW, SHARED), EINVAL },
		{ MAP(BASE, PAGE, RW, KMM_MAP_PRIVATE | KMM_MAP_REPLACE), EINVAL },
		{ MAP(BASE, PAGE, R, GUARD), EINVAL },
		{ MAP(BASE, PAGE, RW, ANON, .reserved = 1), EINVAL },
		{ MAP(BASE, PAGE, RW, ANON, .offset = PAGE), EINVAL },
		{ MAP(BASE, PAGE, RW | KMM_PROT_EXEC, ANON), EACCES },
		{ MAP(BASE, PAGE, KMM_PROT_WRITE | KMM_PROT_EXEC, ANON), EACCES },
		/* sizes and addresses */
		{ MAP(BASE, 0, RW, ANON), EINVAL },
		{ MAP(BASE + 1, PAGE, RW, ANON), EINVAL },
		{ MAP(BASE + PAGE / 2, PAGE, RW, ANON), EINVAL },
		{ MAP(0, PAGE, RW, ANON), ENXIO },
		{ MAP(KMM_SPACE_MIN - PAGE, PAGE, RW, ANON), ENXIO },
		{ MAP(0x7fffffffe000ULL + (1ULL << 56), PAGE, RW, ANON), ENXIO },
		{ MAP(NONCANONICAL, PAGE, RW, ANON), ENXIO },
		{ MAP(KERNEL_HALF, PAGE, RW, ANON), ENXIO },
		{ MAP(0xffffffffffffe000ULL, PAGE, RW, ANON), ENXIO },
		{ MAP(0xfffffffffffff000ULL, PAGE, RW, ANON), EOVERFLOW },
		{ MAP(BASE, 1ULL << 60, RW, ANON), ENXIO },
		{ MAP(BASE, ~0ULL, RW, ANON), EOVERFLOW },
		{ MAP(BASE, ~0ULL - PAGE, RW, ANON), EOVERFLOW },
		{ MAP(BASE, 1ULL << 60, RW, KMM_MAP_PRIVATE), ENOMEM },
		/* descriptors */
		{ MAP_OF(9999, BASE, PAGE, RW, SHARED), EBADF },
		{ MAP_OF(-2, BASE, PAGE, RW, SHARED), EBADF },
		{ MAP_OF(0, BASE, PAGE, RW, SHARED), EINVAL },
		{ MAP_OF(self->dev, BASE, PAGE, RW, SHARED), EINVAL },
		/* what is there already */
		{ MAP(BASE + 4 * PAGE, 8 * PAGE, RW, ANON), EEXIST },
	};
	int space = space_with_memory(self->dev, 8 * PAGE), obj, null;
	struct kmm_space_info before, now;
	struct kmm_space_map m;

	ASSERT_LE(0, space);
	obj = kmm_object_create(self->dev, 2 * PAGE, 0);
	ASSERT_LE(0, obj);
	null = open("/dev/null", O_RDWR);
	ASSERT_EQ(0, kmm_space_unmap(space, BASE, 4 * PAGE));
	ASSERT_EQ(0, fill(space, BASE + 4 * PAGE, 'k', PAGE));
	ASSERT_EQ(0, kmm_space_info(space, &before));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		m = bad[i].m;
		EXPECT_EQ(bad[i].err, ERR(ioctl(space, KMM_IOC_SPACE_MAP, &m)))
			TH_LOG("case %zu: addr %#llx len %#llx flags %#x", i,
			       (long long)bad[i].m.addr, (long long)bad[i].m.len, bad[i].m.flags);
		ASSERT_EQ(0, kmm_space_info(space, &now));
		ASSERT_TRUE(same_space(&before, &now)) TH_LOG("case %zu changed something", i);
	}
	/* With an object: offsets; a space, or another file, is none. */
	EXPECT_EQ(-EINVAL, map_at(space, BASE, PAGE, RW, SHARED, obj, 5));
	EXPECT_EQ(-EOVERFLOW, map_at(space, BASE, 2 * PAGE, RW, SHARED, obj, ~0ULL - PAGE + 1));
	EXPECT_EQ(-EINVAL, map_at(space, BASE, PAGE, RW, SHARED, space, 0));
	EXPECT_EQ(-EINVAL, map_at(space, BASE, PAGE, RW, SHARED, null, 0));
	EXPECT_EQ(-EINVAL, map_at(space, BASE, PAGE, 0, GUARD, obj, 0));
	/* The end of the user half, and the part that kmm keeps. */
	EXPECT_EQ(-ENXIO, map_at(space, (1ULL << 56) - 2 * PAGE, PAGE, RW, ANON, -1, 0));
	ASSERT_EQ(0, kmm_space_info(space, &now));
	EXPECT_TRUE(same_space(&before, &now));
	EXPECT_EQ('k', peek(space, BASE + 4 * PAGE));
	close(null);
	close(obj);
	close(space);
}

TEST_F(kmm, bad_unmaps_and_protects)
{
	const struct {
		uint64_t addr, len;
		uint32_t prot;
		int unmap, protect;
	} bad[] = {
		{ BASE, 0, R, EINVAL, EINVAL },
		{ BASE + 1, PAGE, R, EINVAL, EINVAL },
		{ BASE, ~0ULL, R, EOVERFLOW, EOVERFLOW },
		{ BASE, 1ULL << 60, R, ENXIO, ENXIO },
		{ NONCANONICAL, PAGE, R, ENXIO, ENXIO },
		{ KERNEL_HALF, PAGE, R, ENXIO, ENXIO },
		{ 0xffffffffffffe000ULL, PAGE, R, ENXIO, ENXIO },
		{ 0xfffffffffffff000ULL, PAGE, R, EOVERFLOW, EOVERFLOW },
		{ BASE, PAGE, 8, 0, EINVAL },
		{ BASE, PAGE, RW | KMM_PROT_EXEC, 0, EACCES },
		{ BASE, 9 * PAGE, R, 0, ENOENT },		/* a hole behind */
		{ BASE - PAGE, 2 * PAGE, R, 0, ENOENT },	/* before */
		{ BASE + 2 * PAGE, 4 * PAGE, R, 0, ENOENT },	/* in the middle */
		{ BASE + 6 * PAGE, 2 * PAGE, R, 0, ENOENT },	/* a guard */
		{ BASE + (1ULL << 40), PAGE, R, 0, ENOENT },
	};
	struct kmm_space_protect p = { .addr = BASE, .len = PAGE, .prot = R, .reserved = 1 };
	int space = space_with_memory(self->dev, 7 * PAGE);
	struct kmm_space_info before, now;

	ASSERT_LE(0, space);
	ASSERT_EQ(0, kmm_space_unmap(space, BASE + 4 * PAGE, PAGE));
	ASSERT_EQ(0, map_at(space, BASE + 7 * PAGE, PAGE, 0, GUARD, -1, 0));
	ASSERT_EQ(0, fill(space, BASE, 'k', 4 * PAGE));
	ASSERT_EQ(0, kmm_space_info(space, &before));
	EXPECT_EQ(EINVAL, ERR(ioctl(space, KMM_IOC_SPACE_PROTECT, &p)));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-bad[i].protect,
			  kmm_space_protect(space, bad[i].addr, bad[i].len, bad[i].prot))
			TH_LOG("case %zu", i);
		if (bad[i].unmap) {
			EXPECT_EQ(-bad[i].unmap, kmm_space_unmap(space, bad[i].addr, bad[i].len))
				TH_LOG("case %zu", i);
		}
		ASSERT_EQ(0, kmm_space_info(space, &now));
		ASSERT_TRUE(same_space(&before, &now)) TH_LOG("case %zu changed something", i);
		/* Not even the part before the hole. */
		for (int k = 0; k < 4; k++) {
			ASSERT_EQ(KMM_RULE_NONE, rule_of(space, WRITE, BASE + k * PAGE))
				TH_LOG("case %zu", i);
		}
	}
	close(space);
}

TEST_F(kmm, bad_accesses)
{
	static char buf[KMM_ACCESS_MAX + 1];
	const struct {
		struct kmm_space_access a;
		int err;
	} bad[] = {
#define ACCESS(_op, _len, _buf, ...) \
	{ .addr = BASE, .op = (_op), .len = (_len), .buf = (uintptr_t)(_buf), __VA_ARGS__ }
		{ ACCESS(READ, 0, buf), EINVAL },
		{ ACCESS(READ, KMM_ACCESS_MAX + 1, buf), EINVAL },
		{ ACCESS(READ, ~0U, buf), EINVAL },
		{ ACCESS(3, 1, buf), EINVAL },
		{ ACCESS(~0U, 1, buf), EINVAL },
		{ ACCESS(READ, 1, buf, .flags = 4), EINVAL },
		{ ACCESS(READ, 1, buf, .flags = 1U << 31), EINVAL },
		{ ACCESS(READ, 1, buf, .reserved = 1), EINVAL },
		{ ACCESS(FETCH, 2, NULL), EINVAL },
		{ ACCESS(FETCH, 1, buf), EINVAL },
		{ ACCESS(READ, 8, NULL), EFAULT },
		{ ACCESS(WRITE, 8, NULL), EFAULT },
		{ ACCESS(READ, 8, KERNEL_HALF), EFAULT },
		{ ACCESS(WRITE, 8, KERNEL_HALF), EFAULT },
		{ ACCESS(READ, 8, "read-only"), EFAULT },
	};
	int space = space_with_memory(self->dev, 20 * PAGE);
	struct kmm_space_access a;

	ASSERT_LE(0, space);
	ASSERT_EQ(0, fill(space, BASE, 'k', PAGE));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		a = bad[i].a;
		EXPECT_EQ(bad[i].err, ERR(ioctl(space, KMM_IOC_SPACE_ACCESS, &a)))
			TH_LOG("case %zu", i);
		EXPECT_EQ('k', peek(space, BASE));
	}
	a = try_access(space, READ, BASE, KMM_ACCESS_MAX, 0);
	EXPECT_EQ(KMM_ACCESS_MAX, a.done);
	EXPECT_EQ(KMM_RULE_NONE, a.fault_rule);
	close(space);
}

/* === Descriptors === */

TEST_F(kmm, a_descriptor_of_a_space)
{
	int space = space_with_memory(self->dev, 4 * PAGE), pair[2], got = -1, again;
	struct stat st, other;
	char path[64];
	pid_t pid;

	ASSERT_LE(0, space);
	ASSERT_EQ(0, fill(space, BASE, 'f', PAGE));
	/* Inherited. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(peek(space, BASE) == 'f' && !fill(space, BASE + PAGE, 'c', PAGE) ? 0 : 1);
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ('c', peek(space, BASE + PAGE));
	/* Passed on, and alive only in flight for a while. */
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	ASSERT_EQ(0, fstat(space, &st));
	ASSERT_EQ(0, send_fds(pair[0], &space, 1));
	close(space);
	ASSERT_EQ(0, receive_fds(pair[1], &got, 1));
	EXPECT_EQ('f', peek(got, BASE));
	/* One inode each. */
	ASSERT_EQ(0, fstat(got, &other));
	EXPECT_EQ(st.st_ino, other.st_ino);
	again = kmm_space_clone(got);
	ASSERT_LE(0, again);
	ASSERT_EQ(0, fstat(again, &other));
	EXPECT_NE(st.st_ino, other.st_ino);
	/* It cannot be opened again by its path, and has no size or mode to change. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", got);
	EXPECT_EQ(ENXIO, ERR(open(path, O_RDWR)));
	EXPECT_NE(0, ERR(ftruncate(got, 0)));
	EXPECT_EQ(EPERM, ERR(fchmod(got, 0777)));
	/* Nobody ever receives this one. */
	ASSERT_EQ(0, send_fds(pair[0], &again, 1));
	close(again);
	close(pair[0]);
	close(pair[1]);
	close(got);
}

/* As many as the limit on host memory allows, and all of it back. */
TEST_F(kmm, a_flood_of_spaces_ends_at_the_limit)
{
	struct kmm_stat s;
	struct stat st;
	pid_t pid;

	if (geteuid())
		SKIP(return, "needs root, to become another user");
	ASSERT_EQ(0, stat(KMM_DEVICE, &st));
	ASSERT_EQ(0, chmod(KMM_DEVICE, 0666));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int dev, space = 0, first = -1, n = 0;

		become_nobody(1 << 16);
		dev = kmm_open();
		if (dev < 0)
			_exit(1);
		for (; n < 40000; n++) {
			space = first < 0 || n % 2 ? kmm_space_create(dev) : kmm_space_clone(first);
			if (space < 0)
				break;
			if (first < 0) {
				first = space;
				if (map_at(first, BASE, PAGE, RW, ANON, -1, 0) ||
				    fill(first, BASE, 'x', PAGE))
					_exit(2);
			}
		}
		kmm_get_stat(dev, KMM_STAT_EXACT, &s);
		printf("# %d spaces, then %s\n", n, strerror(-space));
		print_stat("then", &s);
		/* What is there works on. */
		if (space != -EDQUOT)
			_exit(3);
		if (kmm_space_unmap(first, BASE, PAGE))
			_exit(4);
		_exit(n < 100 ? 5 : 0);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, chmod(KMM_DEVICE, st.st_mode & 07777));
}

/* === Races and kills === */

#define RACE_PAGES	64

static struct {
	volatile bool stop;
	volatile int wrong;
	int dev, obj, space;
	volatile int victim;
} race;

/* Any operation at any place; only errnos that can be. */
static void any_operation(uint64_t *seed, int dev, int obj, int space)
{
	uint64_t addr = BASE + next_random(seed) % RACE_PAGES * PAGE;
	uint64_t len = (next_random(seed) % 16 + 1) * PAGE;
	static const uint32_t prots[] = { 0, R, RW, RX };
	uint32_t prot = prots[next_random(seed) % 4];
	struct kmm_space_walk w;
	struct kmm_space_info i;
	char buf[3 * PAGE];
	int fd;

	memset(buf, 'w', sizeof(buf));
	switch (next_random(seed) % 12) {
	case 0:
		map_at(space, addr, len, prot, ANON | (next_random(seed) & 1 ? KMM_MAP_REPLACE : 0),
		       -1, 0);
		break;
	case 1:
		map_at(space, addr, len, prot,
		       (next_random(seed) & 1 ? ANON : SHARED) | KMM_MAP_REPLACE |
		       (next_random(seed) & 1 ? KMM_MAP_POPULATE : 0), obj, addr - BASE);
		break;
	case 2:
		kmm_space_unmap(space, addr, len);
		break;
	case 3:
		kmm_space_protect(space, addr, len, prot);
		break;
	case 4:
		map_at(space, addr, PAGE, 0, GUARD, -1, 0);
		break;
	case 5:
		fd = kmm_space_clone(space);
		if (fd >= 0) {
			(void)!pwrite(fd, buf, sizeof(buf), addr);
			if (kmm_space_info(fd, &i) || i.audit_bad)
				race.wrong++;
			close(fd);
		}
		break;
	case 6:
		(void)!pwrite(space, buf, 1 + next_random(seed) % sizeof(buf),
			      addr + next_random(seed) % PAGE);
		break;
	case 7: {
		ssize_t n = pread(space, buf, sizeof(buf), addr);

		for (ssize_t k = 0; k < n; k++)
			if (buf[k] != 0 && buf[k] != 'w')
				race.wrong++;
		break;
	}
	case 8:
		kmm_space_walk(space, addr, next_random(seed) % 4, &w);
		break;
	case 9:
		fallocate(obj, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, addr - BASE, len);
		break;
	case 10:
		(void)!ftruncate(obj, 1 + next_random(seed) % (RACE_PAGES * PAGE));
		(void)!ftruncate(obj, RACE_PAGES * PAGE);
		break;
	case 11:
		fd = kmm_space_create(dev);
		if (fd >= 0) {
			map_at(fd, BASE, len, RW, ANON | KMM_MAP_POPULATE, -1, 0);
			close(fd);
		}
		break;
	}
}

static void *any_thread(void *arg)
{
	uint64_t seed = 0x5eed + (uintptr_t)arg * 0x9e3779b97f4a7c15ULL;

	while (!race.stop)
		any_operation(&seed, race.dev, race.obj, race.space);
	return NULL;
}

static void *look_thread(void *arg)
{
	static const char *const names[] = { "maps", "page_tables", "audit" };
	struct kmm_space_info i;
	char buf[PAGE];

	(void)arg;
	while (!race.stop) {
		if (kmm_space_info(race.space, &i) || i.audit_bad)
			race.wrong++;
		for (int k = 0; k < 3; k++) {
			/* Of this one, and of one that comes and goes. */
			for (int d = 0; d < 2; d++) {
				int fd = open_view(i.id + d * 3, names[k]);

				while (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
					;
				if (fd >= 0)
					close(fd);
			}
		}
	}
	return NULL;
}

static void *process_thread(void *arg)
{
	(void)arg;
	while (!race.stop) {
		volatile char *p = mmap(NULL, RACE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
					race.obj, 0);
		pid_t pid;

		if (p == MAP_FAILED)
			continue;
		pid = fork();
		if (!pid) {
			for (int k = 0; k < RACE_PAGES; k += 3)
				p[k * PAGE] = 'w';	/* SIGBUS while it is short */
			_exit(0);
		}
		if (pid > 0)
			wait_child(pid);
		munmap((void *)p, RACE_PAGES * PAGE);
	}
	return NULL;
}

static void run_threads(void *(*const *thread)(void *), int nr)
{
	pthread_t t[8];

	race.stop = false;
	race.wrong = 0;
	for (int i = 0; i < nr; i++)
		if (pthread_create(&t[i], NULL, thread[i], (void *)(uintptr_t)(i + 1)))
			race.wrong++;
	sleep_ms(env_number("KMM_RACE_MS", 1000));
	race.stop = true;
	for (int i = 0; i < nr; i++)
		pthread_join(t[i], NULL);
}

TEST_F_TIMEOUT(kmm, everything_at_once, 120)
{
	static void *(*const t[])(void *) = {
		any_thread, any_thread, any_thread, look_thread, process_thread,
	};
	struct kmm_space_info empty, i;

	race.dev = self->dev;
	race.obj = kmm_object_create(self->dev, RACE_PAGES * PAGE, 0);
	ASSERT_LE(0, race.obj);
	race.space = kmm_space_create(self->dev);
	ASSERT_LE(0, race.space);
	ASSERT_EQ(0, kmm_space_info(race.space, &empty));
	run_threads(t, ARRAY_SIZE(t));
	EXPECT_EQ(0, race.wrong);
	EXPECT_CLEAN(race.space);
	ASSERT_EQ(0, kmm_space_unmap(race.space, KMM_SPACE_MIN, 1ULL << 40));
	ASSERT_EQ(0, kmm_space_info(race.space, &i));
	EXPECT_TRUE(same_space(&empty, &i));
	close(race.space);
	close(race.obj);
}

static void *victim_thread(void *arg)
{
	uint64_t seed = 0xc105e + (uintptr_t)arg;

	while (!race.stop) {
		int fd = race.victim;

		if (fd >= 0)
			any_operation(&seed, race.dev, race.obj, fd);
	}
	return NULL;
}

/* The descriptor is closed under the calls that use it, and its number used again. */
TEST_F_TIMEOUT(kmm, calls_and_close, 120)
{
	uint64_t end = now_ms() + env_number("KMM_RACE_MS", 1000);
	pthread_t t[2];

	race.dev = self->dev;
	race.obj = kmm_object_create(self->dev, RACE_PAGES * PAGE, 0);
	ASSERT_LE(0, race.obj);
	race.victim = -1;
	race.stop = false;
	race.wrong = 0;
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, victim_thread, (void *)(uintptr_t)i));
	while (now_ms() < end) {
		int fd = space_with_memory(self->dev, RACE_PAGES * PAGE);

		if (fd < 0)
			continue;
		race.victim = fd;
		sched_yield();
		if (fd & 1)
			sleep_ms(1);
		close(fd);
	}
	race.victim = -1;
	race.stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	close(race.obj);
}

TEST_F_TIMEOUT(kmm, killed_in_the_middle, 900)
{
	unsigned long kills = (env_number("KMM_KILLS", 40) + 3) / 4;
	uint64_t seed = seed_from_env();

	for (unsigned long n = 0; n < kills; n++) {
		uint64_t mine = seed ^ (n + 1) * 0x9e3779b97f4a7c15ULL;
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			int dev = kmm_open(), obj, space;

			obj = kmm_object_create(dev, RACE_PAGES * PAGE, 0);
			space = kmm_space_create(dev);
			/* A second thread, so that exit meets a call. */
			race.dev = dev;
			race.obj = obj;
			race.space = space;
			pthread_create(&(pthread_t){ 0 }, NULL, any_thread, NULL);
			for (;;)
				any_operation(&mine, dev, obj, space);
		}
		sleep_ms(next_random(&seed) % 60 + 5);
		kill(pid, SIGKILL);
		ASSERT_EQ(256 + SIGKILL, wait_child(pid));
	}
	ASSERT_TRUE(wait_used(self->dev, self->before.used));
}

TEST_HARNESS_MAIN
