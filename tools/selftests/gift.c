// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gifts: pages go from object to object, the giver sees zeros from then on, nobody keeps a way
 * to them. KMM_RACE_MS: milliseconds of a race (1000); KMM_KILLS, KMM_SEED as in kill9.
 */
#include <grp.h>

#include "kmm_test.h"

#define PAGES	64

static struct kmm_object_gift last;

/* 0, 1 (short) or -errno; what it told is in last. */
static int gift(int src, uint64_t src_page, int dst, uint64_t dst_page, uint64_t pages)
{
	return kmm_object_gift(src, src_page * PAGE, dst, dst_page * PAGE, pages * PAGE, &last);
}

static uint64_t resident(int obj)
{
	struct kmm_object_info i;

	return kmm_object_info(obj, &i) ? ~0ULL : i.resident;
}

static int make(int dev, uint64_t pages, uint32_t flags)
{
	return kmm_object_create(dev, pages * PAGE, flags);
}

static char *map(int obj, uint64_t pages)
{
	return mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
}

TEST_F(kmm, giver_sees_zeros_receiver_sees_it_all)
{
	int a = make(self->dev, PAGES, 0), b = make(self->dev, 2 * PAGES, 0);
	struct kmm_stat before, after;
	char *p, *q, buf[PAGE];

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	p = map(a, PAGES);
	q = map(b, 2 * PAGES);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	for (int i = 0; i < PAGES; i++)
		if (i % 5)
			memset(p + i * PAGE, i + 1, PAGE);
	/* both sides are mapped and touched; the receiver has something there */
	memset(q + 10 * PAGE, 'q', 3 * PAGE);
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &before));

	ASSERT_EQ(0, gift(a, 0, b, 11, PAGES));
	EXPECT_EQ(51, last.moved);
	EXPECT_EQ(0, last.copied);
	EXPECT_EQ(PAGES * PAGE, last.done);
	EXPECT_EQ(0, resident(a));
	EXPECT_EQ(51 + 1, resident(b));
	/* not one frame more than before: two were dropped */
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &after));
	EXPECT_EQ(before.used - 2, after.used);

	EXPECT_TRUE(all_bytes(q + 10 * PAGE, 'q', PAGE));
	for (int i = 0; i < PAGES; i++) {
		EXPECT_TRUE(all_bytes(q + (11 + i) * PAGE, i % 5 ? i + 1 : 0, PAGE));
		/* by read(2), then through the old mapping, then by a write of its own */
		EXPECT_EQ((ssize_t)PAGE, pread(a, buf, PAGE, i * PAGE));
		EXPECT_TRUE(all_bytes(buf, 0, PAGE));
		EXPECT_TRUE(all_bytes(p + i * PAGE, 0, PAGE));
		p[i * PAGE] = 'g';
	}
	/* that went into frames of its own */
	for (int i = 0; i < PAGES; i++)
		EXPECT_TRUE(all_bytes(q + (11 + i) * PAGE, i % 5 ? i + 1 : 0, PAGE));
	munmap(p, PAGES * PAGE);
	munmap(q, 2 * PAGES * PAGE);
	close(a);
	close(b);
}

/* A mapping of the giver is gone before the receiver has the frame: also another process's. */
TEST_F(kmm, mappings_are_revoked_first)
{
	int a = make(self->dev, 1, 0), b = make(self->dev, 1, 0), go[2];
	char *p, *q, c;
	pid_t pid;

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, go));
	p = map(a, 1);
	q = map(b, 1);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	p[0] = 'a';
	p[1] = 'A';
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (p[0] != 'a' || write(go[1], "r", 1) != 1 || read(go[1], &c, 1) != 1)
			_exit(1);
		/* its entry is gone: zeros, and what it writes stays here */
		if (p[0] || p[1])
			_exit(2);
		p[0] = 'x';
		_exit(0);
	}
	ASSERT_EQ(1, read(go[0], &c, 1));
	ASSERT_EQ(0, gift(a, 0, b, 0, 1));
	ASSERT_EQ(1, last.moved);
	EXPECT_EQ('a', q[0]);
	ASSERT_EQ(1, write(go[0], "g", 1));
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ('a', q[0]);
	EXPECT_EQ('x', p[0]);
	munmap(p, PAGE);
	munmap(q, PAGE);
	close(go[0]);
	close(go[1]);
	close(a);
	close(b);
}

/* Back and forth, over leaves of the index, over batches; a short last page; within one object. */
TEST_F(kmm, any_place_and_length)
{
	const int n = 1200;
	int a = make(self->dev, n, 0), b = kmm_object_create(self->dev, n * PAGE - 100, 0);
	char buf[200];

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	for (int i = 0; i < n; i += 7)
		ASSERT_EQ(4, pwrite(a, &i, 4, i * PAGE + 8));
	for (int round = 0; round < 2; round++) {
		ASSERT_EQ(0, gift(a, 0, b, 0, n));
		EXPECT_EQ((n + 6) / 7, last.moved);
		EXPECT_EQ(0, resident(a));
		ASSERT_EQ(0, gift(b, 100, a, 100, n - 100));
		ASSERT_EQ(0, gift(b, 0, a, 0, 100));
		EXPECT_EQ(0, resident(b));
	}
	for (int i = 0; i < n; i++) {
		int v = 0;

		ASSERT_EQ(4, pread(a, &v, 4, i * PAGE + 8));
		EXPECT_EQ(i % 7 ? 0 : i, v);
	}
	/* within one object, apart */
	ASSERT_EQ(0, gift(a, 0, a, 700, 50));
	EXPECT_EQ(4, pread(a, buf, 4, 707 * PAGE + 8));
	EXPECT_EQ(7, *(int *)buf);
	EXPECT_EQ(-EINVAL, gift(a, 700, a, 749, 50));
	EXPECT_EQ(-EINVAL, gift(a, 749, a, 700, 50));
	EXPECT_EQ(-EINVAL, gift(a, 700, a, 700, 1));
	EXPECT_EQ(0, gift(a, 700, a, 750, 50));

	/* what is behind the end of the giver is not given */
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, b, (n - 1) * PAGE);

	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'b', PAGE);
	ASSERT_EQ(0, gift(b, n - 1, a, 0, 1));
	EXPECT_EQ(200, pread(a, buf, 200, PAGE - 200));
	EXPECT_TRUE(all_bytes(buf, 'b', 100));
	EXPECT_TRUE(all_bytes(buf + 100, 0, 100));
	munmap(p, PAGE);
	close(a);
	close(b);
}

/* A range of nothing but holes, as large as objects can be. */
TEST_F(kmm, holes_cost_nothing)
{
	int a = make(self->dev, 1 << 20, 0), b = make(self->dev, 1 << 20, 0);
	struct kmm_object_info i, j;

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	ASSERT_EQ(1, pwrite(a, "e", 1, (1ULL << 32) - 1));
	ASSERT_EQ(1, pwrite(b, "o", 1, 0));
	ASSERT_EQ(0, kmm_object_info(b, &i));
	ASSERT_EQ(0, gift(a, 0, b, 0, 1 << 20));
	EXPECT_EQ(1, last.moved);
	ASSERT_EQ(0, kmm_object_info(b, &j));
	EXPECT_EQ(1, j.resident);
	/* one leaf came, one went */
	EXPECT_EQ(i.host_bytes, j.host_bytes);
	close(a);
	close(b);
}

TEST_F(kmm, held_frame_is_copied)
{
	int a = make(self->dev, 4, 0), b = make(self->dev, 4, 0), w[2];
	char buf[PAGE], *p, *q;
	struct kmm_stat s;
	struct iovec v;

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	ASSERT_EQ(0, pipe(w));
	p = map(a, 4);
	q = map(b, 4);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	for (int i = 0; i < 4; i++)
		memset(p + i * PAGE, 'a' + i, PAGE);
	v = (struct iovec){ p + PAGE, PAGE };
	if (vmsplice(w[1], &v, 1, 0) != (ssize_t)PAGE)
		SKIP(goto out, "this kernel does not let vmsplice pin such a page");
	ASSERT_EQ(0, gift(a, 0, b, 0, 4));
	EXPECT_EQ(3, last.moved);
	EXPECT_EQ(1, last.copied);
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
	EXPECT_EQ(self->before.quarantined + 1, s.quarantined);
	/* the pipe reads the old contents, whatever the receiver writes */
	memset(q + PAGE, 'n', PAGE);
	EXPECT_TRUE(all_bytes(p, 0, 4 * PAGE));
	ASSERT_EQ((ssize_t)PAGE, read(w[0], buf, PAGE));
	EXPECT_TRUE(all_bytes(buf, 'b', PAGE));
	EXPECT_TRUE(all_bytes(q + 2 * PAGE, 'c', PAGE));
out:
	munmap(p, 4 * PAGE);
	munmap(q, 4 * PAGE);
	close(w[0]);
	close(w[1]);
	close(a);
	close(b);
}

TEST_F(kmm, refused_and_nothing_changed)
{
	static const uint32_t seals[] = { KMM_SEAL_WRITE, KMM_SEAL_FUTURE_WRITE };
	static const uint32_t fixed[] = { KMM_OBJECT_LOCKED, KMM_OBJECT_CONTIG };
	int a = make(self->dev, 8, KMM_OBJECT_EAGER), b = make(self->dev, 8, KMM_OBJECT_EAGER);
	struct kmm_object_gift g, good = { .len = PAGE };
	int other, ro, null, w[2];

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	good.dst_fd = b;
	ASSERT_EQ(2, pwrite(a, "aa", 2, 0));
	ASSERT_EQ(2, pwrite(b, "bb", 2, 0));
#define BAD(want, ...) do {							\
	g = good;								\
	__VA_ARGS__;								\
	EXPECT_EQ(want, ERR(ioctl(a, KMM_IOC_OBJECT_GIFT, &g)));		\
} while (0)
	BAD(EINVAL, g.flags = 1);
	BAD(EINVAL, g.flags = 1U << 31);
	BAD(EINVAL, g.len = 0);
	BAD(EINVAL, g.len = PAGE - 1);
	BAD(EINVAL, g.len = PAGE + 1);
	BAD(EINVAL, g.src_offset = 1);
	BAD(EINVAL, g.dst_offset = 8);
	BAD(ENXIO, g.len = 9 * PAGE);
	BAD(ENXIO, g.src_offset = 8 * PAGE);
	BAD(ENXIO, g.dst_offset = 8 * PAGE);
	BAD(ENXIO, g.dst_offset = 7 * PAGE; g.len = 2 * PAGE);
	BAD(ENXIO, g.src_offset = -PAGE; g.len = PAGE);
	BAD(ENXIO, g.src_offset = PAGE; g.len = -PAGE);
	BAD(ENXIO, g.dst_offset = PAGE; g.len = -PAGE);
	BAD(ENXIO, g.len = -PAGE);
	BAD(EBADF, g.dst_fd = -1);
	BAD(EBADF, g.dst_fd = 1 << 20);
	BAD(EINVAL, g.dst_fd = self->dev);
	null = open("/dev/null", O_RDWR);
	BAD(EINVAL, g.dst_fd = null);
	close(null);
	ASSERT_EQ(0, pipe(w));
	BAD(EINVAL, g.dst_fd = w[1]);
	close(w[0]);
	close(w[1]);
#undef BAD
	EXPECT_EQ(ENOTTY, ERR(ioctl(self->dev, KMM_IOC_OBJECT_GIFT, &good)));

	/* who may not write may neither give nor be given to */
	ro = kmm_object_reopen(a, KMM_REOPEN_RDONLY);
	ASSERT_LE(0, ro);
	EXPECT_EQ(-EACCES, gift(ro, 0, b, 0, 1));
	EXPECT_EQ(-EACCES, gift(b, 0, ro, 0, 1));
	close(ro);

	for (int i = 0; i < 4; i++) {
		other = make(self->dev, 8, i < 2 ? fixed[i] : KMM_OBJECT_EAGER);
		ASSERT_LE(0, other);
		if (i >= 2)
			ASSERT_EQ(0, kmm_object_seal(other, seals[i - 2], NULL));
		EXPECT_EQ(-EPERM, gift(other, 0, b, 0, 1));
		EXPECT_EQ(-EPERM, gift(a, 0, other, 0, 1));
		EXPECT_EQ(8, resident(other));
		close(other);
	}
	EXPECT_EQ(8, resident(a));
	EXPECT_EQ(8, resident(b));
	ASSERT_EQ(0, kmm_object_seal(a, KMM_SEAL_SHRINK | KMM_SEAL_GROW, NULL));
	EXPECT_EQ(0, gift(a, 0, b, 0, 8));
	close(a);
	close(b);
}

/* A result that cannot be copied out: the gift has been made, and nothing is lost. */
TEST_F(kmm, unreadable_answer)
{
	int a = make(self->dev, 2, 0), b = make(self->dev, 2, 0);
	struct kmm_object_gift *g;
	char c;

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	g = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, g);
	ASSERT_EQ(1, pwrite(a, "x", 1, 0));
	*g = (struct kmm_object_gift){ .dst_fd = b, .len = PAGE };
	ASSERT_EQ(0, mprotect(g, PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, ERR(ioctl(a, KMM_IOC_OBJECT_GIFT, g)));
	EXPECT_EQ(1, resident(a) + resident(b));
	EXPECT_EQ(1, pread(resident(a) ? a : b, &c, 1, 0));
	EXPECT_EQ('x', c);
	munmap(g, PAGE);
	close(a);
	close(b);
}

/* === Who pays === */

static uint64_t user_frames(int dev)
{
	struct kmm_stat s;

	return kmm_get_stat(dev, 0, &s) ? ~0ULL : s.user_frames;
}

/* The child is nobody, with a channel; root's object comes as descriptor obj. */
static int poor_receiver(int root_obj)
{
	struct kmm_info info;
	int dev, own, full;
	uint64_t limit;

	if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
		return 1;
	dev = kmm_open();
	if (dev < 0 || kmm_get_info(dev, &info))
		return 2;
	limit = info.user_limits.frames;
	own = make(dev, PAGES, 0);
	/* room for ten */
	full = make(dev, limit - 10, KMM_OBJECT_EAGER);
	if (own < 0 || full < 0)
		return 3;
	if (gift(root_obj, 0, own, 0, 11) != -EDQUOT || resident(root_obj) != PAGES ||
	    resident(own))
		return 4;
	if (gift(root_obj, 0, own, 0, 10) || resident(own) != 10 ||
	    resident(root_obj) != PAGES - 10)
		return 5;
	if (user_frames(dev) != limit)
		return 6;
	/* at the limit still: between own objects, of another file too */
	int dev2 = kmm_open(), own2 = make(dev2, PAGES, 0);

	if (own2 < 0 || gift(own, 0, own2, 5, 10) || resident(own2) != 10)
		return 7;
	if (user_frames(dev) != limit)
		return 8;
	/* and what is given away is not paid any more */
	if (gift(own2, 5, root_obj, 0, 10) || user_frames(dev) != limit - 10)
		return 9;
	return 0;
}

TEST_F(kmm, the_receiver_pays)
{
	int obj = make(self->dev, PAGES, KMM_OBJECT_EAGER);
	uint64_t frames = user_frames(self->dev);
	pid_t pid;

	ASSERT_LE(0, obj);
	ASSERT_EQ(0, chmod(KMM_DEVICE, 0666));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(poor_receiver(obj));
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, chmod(KMM_DEVICE, 0660));
	EXPECT_EQ(frames, user_frames(self->dev));
	EXPECT_EQ(PAGES, resident(obj));
	close(obj);
}

/* === Races === */

/*
 * Every page of the three objects is either zeros or full of one byte: that of the object whose
 * writers put it there. Gifts only move whole pages.
 */
#define OBJECTS	3

struct race {
	volatile bool stop;
	volatile int wrong;
	int dev;
	int obj[OBJECTS];
	char *map[OBJECTS];
};

static struct race race;
static __thread sigjmp_buf race_env;

static void race_handler(int sig)
{
	siglongjmp(race_env, sig);
}

static void *give_thread(void *arg)
{
	uint64_t seed = 0x6177 + (uintptr_t)arg;

	while (!race.stop) {
		uint32_t s = next_random(&seed) % OBJECTS, d = next_random(&seed) % OBJECTS;
		struct kmm_object_gift g;
		int ret = kmm_object_gift(race.obj[s], next_random(&seed) % PAGES * PAGE,
					  race.obj[d], next_random(&seed) % PAGES * PAGE,
					  (next_random(&seed) % PAGES + 1) * PAGE, &g);

		if (ret && ret != -ENXIO && ret != -EINVAL)
			race.wrong++;
	}
	return NULL;
}

/* Through mappings: one byte a page, and a look at it. */
static void *touch_thread(void *arg)
{
	uint64_t seed = 0x7075 + (uintptr_t)arg;

	while (!race.stop) {
		volatile char *p = race.map[next_random(&seed) % OBJECTS] +
				   next_random(&seed) % PAGES * PAGE;
		char c;

		if (sigsetjmp(race_env, 1))
			continue;
		c = p[100];
		if (c != 0 && c != 'm')
			race.wrong++;
		p[100] = 'm';
	}
	return NULL;
}

/* Whole pages by write(2): a page that is not all one byte came together from two. */
static void *write_thread(void *arg)
{
	uint64_t seed = 0x7772 + (uintptr_t)arg;
	char buf[50];

	while (!race.stop) {
		uint32_t n = next_random(&seed) % OBJECTS;
		off_t at = next_random(&seed) % PAGES * PAGE + 1000;

		if (next_random(&seed) & 1) {
			memset(buf, 'w' + n, sizeof(buf));
			(void)!pwrite(race.obj[n], buf, sizeof(buf), at);
		} else if (pread(race.obj[n], buf, sizeof(buf), at) == sizeof(buf)) {
			if (buf[0] && (buf[0] < 'w' || buf[0] >= 'w' + OBJECTS))
				race.wrong++;
		}
	}
	return NULL;
}

static void *punch_thread(void *arg)
{
	uint64_t seed = 0x7068 + (uintptr_t)arg;

	while (!race.stop) {
		uint32_t n = next_random(&seed) % OBJECTS;

		fallocate(race.obj[n], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  next_random(&seed) % PAGES * PAGE, next_random(&seed) % 8 * PAGE);
		if (next_random(&seed) % 4 == 0) {
			(void)!ftruncate(race.obj[n], next_random(&seed) % (PAGES * PAGE));
			(void)!ftruncate(race.obj[n], PAGES * PAGE);
		}
	}
	return NULL;
}

/* Descriptors of a giver, closed while a gift runs. */
static void *close_thread(void *arg)
{
	(void)arg;
	while (!race.stop) {
		int obj = make(race.dev, PAGES, KMM_OBJECT_EAGER);
		struct kmm_object_gift g;

		if (obj < 0)
			continue;
		if (kmm_object_gift(obj, 0, race.obj[0], 0, PAGES * PAGE, &g) < 0 && errno != ENXIO)
			sched_yield();
		close(obj);
	}
	return NULL;
}

static void *pin_thread(void *arg)
{
	uint64_t seed = 0x7069 + (uintptr_t)arg;
	char buf[PAGE];
	int w[2];

	if (pipe(w))
		return NULL;
	while (!race.stop) {
		struct iovec v = { race.map[next_random(&seed) % OBJECTS] +
				   next_random(&seed) % PAGES * PAGE, PAGE };

		if (vmsplice(w[1], &v, 1, SPLICE_F_NONBLOCK) > 0 && read(w[0], buf, PAGE) < 0)
			race.wrong++;
	}
	close(w[0]);
	close(w[1]);
	return NULL;
}

static bool race_begin(int dev)
{
	race.stop = false;
	race.wrong = 0;
	race.dev = dev;
	for (int i = 0; i < OBJECTS; i++) {
		race.obj[i] = make(dev, PAGES, 0);
		race.map[i] = race.obj[i] < 0 ? MAP_FAILED : map(race.obj[i], PAGES);
		if (race.map[i] == MAP_FAILED)
			return false;
	}
	return true;
}

static void race_end(void)
{
	for (int i = 0; i < OBJECTS; i++) {
		munmap(race.map[i], PAGES * PAGE);
		close(race.obj[i]);
	}
}

#define RACE(...) do {								\
	static void *(*const __t[])(void *) = { __VA_ARGS__ };			\
	struct sigaction sa = {							\
		.sa_handler = race_handler, .sa_flags = SA_NODEFER,		\
	};									\
	pthread_t t[8];								\
										\
	ASSERT_TRUE(race_begin(self->dev));					\
	sigaction(SIGBUS, &sa, NULL);						\
	for (size_t i = 0; i < ARRAY_SIZE(__t); i++)				\
		ASSERT_EQ(0, pthread_create(&t[i], NULL, __t[i], (void *)i));	\
	sleep_ms(env_number("KMM_RACE_MS", 1000));				\
	race.stop = true;							\
	for (size_t i = 0; i < ARRAY_SIZE(__t); i++)				\
		pthread_join(t[i], NULL);					\
	signal(SIGBUS, SIG_DFL);						\
	EXPECT_EQ(0, race.wrong);						\
	race_end();								\
} while (0)

TEST_F_TIMEOUT(kmm, gifts_and_faults, 120)
{
	RACE(give_thread, give_thread, touch_thread, touch_thread);
}

TEST_F_TIMEOUT(kmm, everything, 120)
{
	RACE(give_thread, touch_thread, write_thread, punch_thread, close_thread, pin_thread,
	     give_thread);
}

/*
 * The two ends of one frame: while the giver writes as fast as it can through its mapping, the
 * receiver's bytes, once given, must never change.
 */
static void *hammer_thread(void *arg)
{
	volatile char *p = arg;

	while (!race.stop)
		p[0]++;
	return NULL;
}

TEST_F_TIMEOUT(kmm, what_is_given_stands_still, 120)
{
	uint64_t end = now_ms() + env_number("KMM_RACE_MS", 1000);
	int a = make(self->dev, 1, 0), b = make(self->dev, 1, 0);
	unsigned long changed = 0, moved = 0;
	volatile char *q;
	pthread_t t;
	char *p;

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	p = map(a, 1);
	q = map(b, 1);
	ASSERT_NE(MAP_FAILED, p);
	race.stop = false;
	ASSERT_EQ(0, pthread_create(&t, NULL, hammer_thread, p));
	while (now_ms() < end) {
		char before;

		if (gift(a, 0, b, 0, 1))
			break;
		moved += last.moved;
		before = q[0];
		for (int i = 0; i < 2000; i++)
			changed += q[0] != before;
	}
	race.stop = true;
	pthread_join(t, NULL);
	EXPECT_EQ(0, changed);
	EXPECT_LT(0, moved);
	munmap(p, PAGE);
	munmap((void *)q, PAGE);
	close(a);
	close(b);
}

TEST_F_TIMEOUT(kmm, killed, 1200)
{
	/* half of them here, half in shm */
	unsigned long kills = env_number("KMM_KILLS", 40) / 2;
	uint64_t seed = seed_from_env();
	pid_t pid[2];

	for (unsigned long i = 0; i < kills; i += 2) {
		for (int k = 0; k < 2; k++) {
			pid[k] = fork();
			ASSERT_LE(0, pid[k]);
			if (!pid[k]) {
				struct sigaction sa = { .sa_handler = race_handler,
							.sa_flags = SA_NODEFER };
				pthread_t t[2];

				sigaction(SIGBUS, &sa, NULL);
				if (!race_begin(kmm_open()))
					_exit(1);
				pthread_create(&t[0], NULL, touch_thread, NULL);
				pthread_create(&t[1], NULL, punch_thread, NULL);
				give_thread((void *)(uintptr_t)(i + k));
				_exit(2);
			}
		}
		sleep_ms(next_random(&seed) % 40 + 5);
		for (int k = 0; k < 2; k++)
			kill(pid[k], SIGKILL);
		for (int k = 0; k < 2; k++)
			ASSERT_EQ(256 + SIGKILL, wait_child(pid[k]));
	}
}

TEST_HARNESS_MAIN
