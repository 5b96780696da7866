// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that do to one object, at once, what must not be done at once. Nothing can be said about
 * who wins; a test passes when contents are never foreign, nobody hangs, the log is clean and
 * the frames are back. KMM_RACE_MS: milliseconds of each race (1000).
 */
#include "kmm_test.h"

#define PAGES	64

struct race {
	volatile bool stop;
	volatile int wrong;
	int dev;
	int obj;
	char *map;
};

static struct race race;

/* Reads that may fault: 0, or 1 when the byte is neither 0 nor a writer's. */
static __thread sigjmp_buf race_env;

static void race_handler(int sig)
{
	siglongjmp(race_env, sig);
}

static void *fault_thread(void *arg)
{
	uint64_t seed = 0x1234567 + (uintptr_t)arg;

	while (!race.stop) {
		volatile char *p = race.map + next_random(&seed) % PAGES * PAGE;

		/* SIGBUS is right while the object is short; SIGSEGV while it is not mapped. */
		if (sigsetjmp(race_env, 1))
			continue;
		if (next_random(&seed) & 1) {
			*p = 'w';
		} else {
			char c = *p;	/* once: it changes */

			if (c != 0 && c != 'w' && c != 'p')
				race.wrong++;
		}
	}
	return NULL;
}

static void *punch_thread(void *arg)
{
	uint64_t seed = 0x777 + (uintptr_t)arg;

	while (!race.stop) {
		off_t at = next_random(&seed) % PAGES;

		fallocate(race.obj, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at * PAGE,
			  (next_random(&seed) % 8 + 1) * PAGE);
	}
	return NULL;
}

static void *truncate_thread(void *arg)
{
	uint64_t seed = 0x999 + (uintptr_t)arg;

	while (!race.stop) {
		(void)!ftruncate(race.obj, next_random(&seed) % (PAGES * PAGE) + 1);
		(void)!ftruncate(race.obj, PAGES * PAGE);
	}
	return NULL;
}

static void *io_thread(void *arg)
{
	uint64_t seed = 0xabc + (uintptr_t)arg;
	char buf[3 * PAGE];

	while (!race.stop) {
		off_t at = next_random(&seed) % (PAGES * PAGE);
		ssize_t n;

		memset(buf, 'p', sizeof(buf));
		if (next_random(&seed) & 1) {
			(void)!pwrite(race.obj, buf, sizeof(buf), at);
		} else {
			n = pread(race.obj, buf, sizeof(buf), at);
			for (ssize_t i = 0; i < n; i++)
				if (buf[i] != 0 && buf[i] != 'w' && buf[i] != 'p')
					race.wrong++;
		}
	}
	return NULL;
}

static void *map_thread(void *arg)
{
	(void)arg;
	while (!race.stop) {
		char *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, race.obj, 0);

		if (p == MAP_FAILED)
			continue;
		for (int i = 0; i < PAGES; i += 5) {
			if (sigsetjmp(race_env, 1))
				continue;
			((volatile char *)p)[i * PAGE] = 'w';
		}
		munmap(p, PAGES * PAGE);
	}
	return NULL;
}

static void *fork_thread(void *arg)
{
	(void)arg;
	while (!race.stop) {
		pid_t pid = fork();

		if (!pid) {
			for (int i = 0; i < PAGES; i += 3) {
				if (sigsetjmp(race_env, 1))
					continue;
				((volatile char *)race.map)[i * PAGE] = 'w';
			}
			_exit(0);
		}
		if (pid > 0)
			wait_child(pid);
	}
	return NULL;
}

static void *seal_thread(void *arg)
{
	uint32_t seals;

	(void)arg;
	while (!race.stop) {
		/* A writable mapping lives, so this can never succeed. */
		if (kmm_object_seal(race.obj, KMM_SEAL_WRITE, &seals) != -EBUSY)
			race.wrong++;
	}
	return NULL;
}

static void *reopen_thread(void *arg)
{
	(void)arg;
	while (!race.stop) {
		int ro = kmm_object_reopen(race.obj, KMM_REOPEN_RDONLY);

		if (ro >= 0)
			close(ro);
	}
	return NULL;
}

static void *stat_thread(void *arg)
{
	struct kmm_object_info i;
	struct kmm_stat s;

	(void)arg;
	while (!race.stop) {
		if (kmm_get_stat(race.dev, KMM_STAT_EXACT, &s) || s.total != stat_sum(&s))
			race.wrong++;
		if (kmm_object_info(race.obj, &i) || i.resident > PAGES)
			race.wrong++;
	}
	return NULL;
}

/* Pins pages into a pipe and lets them go, so that quarantine is on the way of all others. */
static void *pin_thread(void *arg)
{
	uint64_t seed = 0xdef + (uintptr_t)arg;
	char buf[PAGE];
	int w[2];

	if (pipe(w))
		return NULL;
	while (!race.stop) {
		struct iovec v = { race.map + next_random(&seed) % PAGES * PAGE, PAGE };

		if (vmsplice(w[1], &v, 1, SPLICE_F_NONBLOCK) > 0) {
			if (read(w[0], buf, sizeof(buf)) < 0)
				race.wrong++;
		}
	}
	close(w[0]);
	close(w[1]);
	return NULL;
}

static void run_race(void *(*const *thread)(void *), int nr)
{
	struct sigaction sa = { .sa_handler = race_handler, .sa_flags = SA_NODEFER };
	pthread_t t[8];

	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	race.stop = false;
	race.wrong = 0;
	for (int i = 0; i < nr; i++)
		if (pthread_create(&t[i], NULL, thread[i], (void *)(uintptr_t)i))
			race.wrong++;
	sleep_ms(env_number("KMM_RACE_MS", 1000));
	race.stop = true;
	for (int i = 0; i < nr; i++)
		pthread_join(t[i], NULL);
	signal(SIGBUS, SIG_DFL);
	signal(SIGSEGV, SIG_DFL);
}

#define RACE(...) do {								\
	static void *(*const __t[])(void *) = { __VA_ARGS__ };			\
										\
	race.dev = self->dev;							\
	race.obj = kmm_object_create(self->dev, PAGES * PAGE, 0);		\
	ASSERT_LE(0, race.obj);							\
	race.map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,	\
			race.obj, 0);						\
	ASSERT_NE(MAP_FAILED, race.map);					\
	run_race(__t, ARRAY_SIZE(__t));						\
	EXPECT_EQ(0, race.wrong);						\
	munmap(race.map, PAGES * PAGE);						\
	close(race.obj);							\
} while (0)

TEST_F_TIMEOUT(kmm, fault_and_punch, 120)
{
	RACE(fault_thread, punch_thread, fault_thread, punch_thread);
}

TEST_F_TIMEOUT(kmm, fault_and_truncate, 120)
{
	RACE(fault_thread, truncate_thread, io_thread, truncate_thread);
}

TEST_F_TIMEOUT(kmm, fault_and_munmap, 120)
{
	RACE(fault_thread, map_thread, punch_thread, map_thread);
}

TEST_F_TIMEOUT(kmm, fault_and_fork, 120)
{
	RACE(fault_thread, fork_thread, punch_thread);
}

TEST_F_TIMEOUT(kmm, seal_and_reopen, 120)
{
	RACE(seal_thread, reopen_thread, fault_thread, map_thread);
}

TEST_F_TIMEOUT(kmm, everything, 120)
{
	RACE(fault_thread, punch_thread, truncate_thread, io_thread, map_thread, stat_thread,
	     reopen_thread, pin_thread);
}

/*
 * A seal against writes while others write to the object and map it: it is refused, or from then
 * on the contents stand still. The victim changes with every seal.
 */
static void *seal_write_thread(void *arg)
{
	unsigned char buf[3 * PAGE];
	unsigned int n = 0;

	(void)arg;
	while (!race.stop) {
		memset(buf, ++n, sizeof(buf));
		if (pwrite(race.obj, buf, sizeof(buf), n % (PAGES - 3) * PAGE) < 0 &&
		    errno != EPERM && errno != EBADF)
			race.wrong++;
	}
	return NULL;
}

static void *seal_map_thread(void *arg)
{
	uint64_t seed = 0x3ea1;
	unsigned int n = 0;

	(void)arg;
	while (!race.stop) {
		/* gaps in which a seal has a chance */
		usleep(next_random(&seed) % 1000);
		volatile char *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
					race.obj, 0);

		if (p == MAP_FAILED) {
			if (errno != EPERM && errno != EBADF)
				race.wrong++;
			continue;
		}
		for (int i = 0; i < PAGES; i++)
			p[i * PAGE] = ++n;
		munmap((void *)p, PAGES * PAGE);
	}
	return NULL;
}

/* Also a mapping that only reads must be there at once, as with a memfd. */
static bool stands_still(int obj)
{
	static unsigned char before[PAGES * PAGE];
	unsigned char *p = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, obj, 0);
	bool same = true;

	if (p == MAP_FAILED || pread(obj, before, sizeof(before), 0) != sizeof(before))
		return false;
	for (int i = 0; i < 5 && same; i++) {
		sched_yield();
		same = !memcmp(before, p, sizeof(before));
	}
	munmap(p, PAGES * PAGE);
	return same;
}

TEST_F_TIMEOUT(kmm, seal_and_write_and_map, 120)
{
	uint64_t end = now_ms() + env_number("KMM_RACE_MS", 1000);
	unsigned long sealed = 0, busy = 0;
	pthread_t t[2];
	int obj, ret;

	race.stop = false;
	race.wrong = 0;
	race.obj = kmm_object_create(self->dev, PAGES * PAGE, 0);
	ASSERT_LE(0, race.obj);
	ASSERT_EQ(0, pthread_create(&t[0], NULL, seal_write_thread, NULL));
	ASSERT_EQ(0, pthread_create(&t[1], NULL, seal_map_thread, NULL));
	while (now_ms() < end || !sealed) {
		obj = race.obj;
		ret = kmm_object_seal(obj, KMM_SEAL_WRITE, NULL);
		if (ret == -EBUSY) {
			busy++;
			continue;
		}
		ASSERT_EQ(0, ret);
		sealed++;
		EXPECT_TRUE(stands_still(obj));
		race.obj = kmm_object_create(self->dev, PAGES * PAGE, 0);
		ASSERT_LE(0, race.obj);
		close(obj);
	}
	race.stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	close(race.obj);
	EXPECT_EQ(0, race.wrong);
	TH_LOG("%lu sealed, %lu times busy", sealed, busy);
}

/* The descriptor is closed under the calls that use it. */
static int victim = -1;

static void *use_thread(void *arg)
{
	struct kmm_object_info i;
	struct kmm_stat s;
	char c;

	(void)arg;
	while (!race.stop) {
		int fd = victim;

		if (fd < 0)
			continue;
		kmm_get_stat(fd, KMM_STAT_EXACT, &s);
		kmm_pages_alloc(fd, 1, 2, 0);
		kmm_pages_free(fd, 1);
		kmm_object_info(fd, &i);
		(void)!pread(fd, &c, 1, 0);
		(void)!ftruncate(fd, PAGE * 2);
		int ro = kmm_object_reopen(fd, KMM_REOPEN_RDONLY);

		if (ro >= 0)
			close(ro);
	}
	return NULL;
}

TEST_F_TIMEOUT(kmm, ioctl_and_close, 120)
{
	uint64_t end = now_ms() + env_number("KMM_RACE_MS", 1000);
	pthread_t t[2];

	race.stop = false;
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, use_thread, NULL));
	while (now_ms() < end) {
		victim = kmm_open();
		sched_yield();
		close(victim);
		victim = kmm_object_create(self->dev, 4 * PAGE, KMM_OBJECT_EAGER);
		sched_yield();
		close(victim);
	}
	victim = -1;
	race.stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

/* One session's slots from several threads: every slot is full or empty, never both. */
static void *slots_thread(void *arg)
{
	uint64_t seed = 0x51 + (uintptr_t)arg;
	int ret;

	while (!race.stop) {
		uint32_t slot = next_random(&seed) % 32;

		ret = kmm_pages_alloc(race.dev, slot, next_random(&seed) % 4, 0);
		if (ret && ret != -EEXIST && ret != -ENOMEM)
			race.wrong++;
		ret = kmm_pages_free(race.dev, next_random(&seed) % 32);
		if (ret && ret != -ENOENT)
			race.wrong++;
	}
	return NULL;
}

TEST_F_TIMEOUT(kmm, slots_of_one_file, 120)
{
	static void *(*const t[])(void *) = { slots_thread, slots_thread, slots_thread };

	race.dev = self->dev;
	run_race(t, ARRAY_SIZE(t));
	EXPECT_EQ(0, race.wrong);
	for (uint32_t slot = 0; slot < 32; slot++)
		kmm_pages_free(self->dev, slot);
}

TEST_HARNESS_MAIN
