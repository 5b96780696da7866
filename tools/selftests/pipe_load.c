// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pipes of kmm under load: several writers and readers, ends that close and capacities that change
 * under them, processes that are killed, users who take all that they get.
 * KMM_KILLS: how many (40). KMM_RACE_MS: how long a race (1000). KMM_SEED repeats a run.
 */
#include <sys/resource.h>

#include "kmm_test.h"

#define RD 0
#define WR 1

/* === Atomic writes === */

/* A record: who, which, how long, and a body that follows from these. */
struct record {
	uint32_t writer;
	uint32_t seq;
	uint32_t len;
};

static void make_record(char *buf, uint32_t writer, uint32_t seq, uint32_t len)
{
	struct record r = { writer, seq, len };

	memcpy(buf, &r, sizeof(r));
	for (uint32_t i = sizeof(r); i < len; i++)
		buf[i] = (char)(writer * 7 + seq + i);
}

static bool read_all(int fd, void *buf, size_t n)
{
	for (size_t at = 0; at < n;) {
		ssize_t got = read(fd, (char *)buf + at, n - at);

		if (got <= 0)
			return false;
		at += got;
	}
	return true;
}

#define WRITERS 4

TEST_F(kmm, records_of_several_writers_stay_whole)
{
	unsigned int per_writer = 200, next[WRITERS] = { 0 };
	char buf[4096], want[4096];
	struct record r;
	pid_t pid[WRITERS];
	uint64_t seed = seed_from_env();
	int fd[2];

	/* One page: each write waits for room. */
	ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, 0, fd));
	for (int w = 0; w < WRITERS; w++) {
		pid[w] = fork();
		ASSERT_LE(0, pid[w]);
		if (pid[w])
			continue;
		close(fd[RD]);
		seed += w;
		for (unsigned int i = 0; i < per_writer; i++) {
			uint32_t len = sizeof(r) + next_random(&seed) % (4097 - sizeof(r));

			if (next_random(&seed) % 4 == 0)
				len = sizeof(r) + len % 50;
			make_record(buf, w, i, len);
			if (write(fd[WR], buf, len) != (ssize_t)len)
				_exit(1);
		}
		_exit(0);
	}
	close(fd[WR]);
	for (unsigned int i = 0; i < WRITERS * per_writer; i++) {
		ASSERT_TRUE(read_all(fd[RD], &r, sizeof(r)));
		ASSERT_LT(r.writer, WRITERS);
		/* In the order of its writer. */
		ASSERT_EQ(next[r.writer]++, r.seq);
		ASSERT_LE(r.len, 4096);
		memcpy(buf, &r, sizeof(r));
		ASSERT_TRUE(read_all(fd[RD], buf + sizeof(r), r.len - sizeof(r)));
		make_record(want, r.writer, r.seq, r.len);
		ASSERT_EQ(0, memcmp(buf, want, r.len));
	}
	EXPECT_EQ(0, read(fd[RD], buf, 1));
	for (int w = 0; w < WRITERS; w++)
		EXPECT_EQ(0, wait_child(pid[w]));
	close(fd[RD]);
}

/* Packets: several readers as well, and each gets whole ones. */
TEST_F(kmm, packets_to_several_readers)
{
	unsigned int per_writer = 200;
	char buf[4096], want[4096];
	pid_t reader[2], writer[2];
	int fd[2], sum[2];
	uint32_t got[2] = { 0, 0 }, one[2];

	ASSERT_EQ(0, kmm_pipe_create(self->dev, 2 * PAGE, KMM_PIPE_PACKET, fd));
	ASSERT_EQ(0, pipe(sum));
	for (int k = 0; k < 2; k++) {
		writer[k] = fork();
		ASSERT_LE(0, writer[k]);
		if (writer[k])
			continue;
		for (unsigned int i = 0; i < per_writer; i++) {
			uint32_t len = sizeof(struct record) + (i * 131 + k) % 4000;

			make_record(buf, k, i, len);
			if (write(fd[WR], buf, len) != (ssize_t)len)
				_exit(1);
		}
		_exit(0);
	}
	for (int k = 0; k < 2; k++) {
		reader[k] = fork();
		ASSERT_LE(0, reader[k]);
		if (reader[k])
			continue;
		close(fd[WR]);
		for (;;) {
			ssize_t n = read(fd[RD], buf, sizeof(buf));
			struct record r;

			if (n <= 0)
				break;
			memcpy(&r, buf, sizeof(r));
			if (r.writer > 1 || r.len != n)
				_exit(2);
			make_record(want, r.writer, r.seq, r.len);
			if (memcmp(buf, want, n))
				_exit(3);
			got[r.writer]++;
		}
		_exit(write(sum[WR], got, sizeof(got)) == sizeof(got) ? 0 : 4);
	}
	close(fd[WR]);
	close(fd[RD]);
	for (int k = 0; k < 2; k++) {
		EXPECT_EQ(0, wait_child(writer[k]));
		EXPECT_EQ(0, wait_child(reader[k]));
		ASSERT_EQ((ssize_t)sizeof(one), read(sum[RD], one, sizeof(one)));
		got[0] += one[0];
		got[1] += one[1];
	}
	EXPECT_EQ(per_writer, got[0]);
	EXPECT_EQ(per_writer, got[1]);
	close(sum[RD]);
	close(sum[WR]);
}

/* === A stream while others resize, poll and ask === */

struct race {
	int fd[2];
	volatile bool stop;
	uint64_t written;
	uint64_t resizes;
	int bad;
};

static void *race_write(void *arg)
{
	struct race *r = arg;
	uint64_t seed = 77;
	static char buf[30000];

	while (!r->stop) {
		size_t n = next_random(&seed) % sizeof(buf) + 1;
		ssize_t got;

		for (size_t i = 0; i < n; i++)
			buf[i] = (char)((r->written + i) % 253);
		got = write(r->fd[WR], buf, n);
		if (got < 0)
			r->bad = errno;
		else
			r->written += got;
	}
	close(r->fd[WR]);
	return NULL;
}

static void *race_disturb(void *arg)
{
	struct race *r = arg;
	uint64_t seed = 99;

	while (!r->stop) {
		uint64_t size = PAGE << next_random(&seed) % 6;
		struct pollfd p = { r->fd[RD], POLLIN, 0 };
		struct kmm_pipe_info i;
		int n, ret = kmm_pipe_resize(r->fd[RD], &size);

		if (ret && ret != -EBUSY)
			r->bad = -ret;
		r->resizes += !ret;
		poll(&p, 1, 0);
		if (p.revents & ~(POLLIN | POLLHUP))
			r->bad = 1000 + p.revents;
		if (kmm_pipe_info(r->fd[RD], &i) || ioctl(r->fd[RD], FIONREAD, &n) ||
		    i.bytes > 64 * PAGE)
			r->bad = 2000;
	}
	return NULL;
}

TEST_F(kmm, stream_survives_resize_and_poll)
{
	uint64_t end = now_ms() + env_number("KMM_RACE_MS", 1000), at = 0, seed = seed_from_env();
	struct race r = { .stop = false };
	pthread_t t[3];
	static char buf[40000];
	bool wrong = false;
	ssize_t n;

	ASSERT_EQ(0, kmm_pipe_create(self->dev, 0, 0, r.fd));
	ASSERT_EQ(0, pthread_create(&t[0], NULL, race_write, &r));
	ASSERT_EQ(0, pthread_create(&t[1], NULL, race_disturb, &r));
	ASSERT_EQ(0, pthread_create(&t[2], NULL, race_disturb, &r));
	while ((n = read(r.fd[RD], buf, next_random(&seed) % sizeof(buf) + 1)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			wrong |= buf[i] != (char)((at + i) % 253);
		at += n;
		if (now_ms() >= end)
			r.stop = true;
	}
	for (int k = 0; k < 3; k++)
		pthread_join(t[k], NULL);
	EXPECT_EQ(0, n);
	EXPECT_FALSE(wrong);
	EXPECT_EQ(0, r.bad);
	EXPECT_EQ(r.written, at);
	EXPECT_LT(0, r.resizes);
	close(r.fd[RD]);
}

/* An end closes in one thread while another is in the call at that moment. */
static void *race_close(void *arg)
{
	struct race *r = arg;

	close(r->fd[r->written]);
	return NULL;
}

TEST_F(kmm, ends_close_under_the_others)
{
	uint64_t end = now_ms() + env_number("KMM_RACE_MS", 1000);
	char buf[3 * 4096] = "";
	unsigned long rounds = 0;
	pthread_t t;

	signal(SIGPIPE, SIG_IGN);
	while (now_ms() < end) {
		struct race r = { .written = rounds % 2 };
		ssize_t n;

		ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, 0, r.fd));
		ASSERT_EQ(0, pthread_create(&t, NULL, race_close, &r));
		if (rounds++ % 2) {
			/* it closes the write end */
			n = read(r.fd[RD], buf, 1);
			ASSERT_EQ(0, n);
			close(r.fd[RD]);
		} else {
			n = write(r.fd[WR], buf, sizeof(buf));
			ASSERT_TRUE(n == 4096 || (n < 0 && errno == EPIPE));
			close(r.fd[WR]);
		}
		pthread_join(t, NULL);
	}
	TH_LOG("%lu rounds", rounds);
}

/* === Kills === */

static void __attribute__((noreturn)) live(int dev, const int shared[2], uint64_t seed)
{
	static char buf[200000];
	int own[2], host[2];

	signal(SIGPIPE, SIG_IGN);
	if (kmm_pipe_create(dev, 8 * PAGE, KMM_PIPE_NONBLOCK, own) || pipe2(host, O_NONBLOCK))
		_exit(1);
	for (;;) {
		size_t n = next_random(&seed) % (next_random(&seed) % 2 ? 300 : sizeof(buf));
		uint64_t size = PAGE << next_random(&seed) % 8;

		switch (next_random(&seed) % 10) {
		case 0:
		case 1:
			(void)!write(shared[WR], buf, n);
			break;
		case 2:
		case 3:
			(void)!read(shared[RD], buf, n);
			break;
		case 4:
			(void)!write(own[WR], buf, n);
			break;
		case 5:
			(void)!read(own[RD], buf, n);
			break;
		case 6:
			kmm_pipe_resize(next_random(&seed) % 2 ? shared[RD] : own[WR], &size);
			break;
		case 7:
			splice(shared[RD], NULL, host[WR], NULL, n, 0);
			splice(host[RD], NULL, own[WR], NULL, n, SPLICE_F_NONBLOCK);
			break;
		case 8:
			(void)!write(host[WR], buf, n);
			splice(host[RD], NULL, shared[WR], NULL, n, 0);
			break;
		case 9:
			close(own[RD]);
			close(own[WR]);
			if (kmm_pipe_create(dev, size, KMM_PIPE_NONBLOCK, own))
				_exit(2);
			break;
		}
	}
}

TEST_F_TIMEOUT(kmm, killed_at_any_moment, 1800)
{
	unsigned long kills = env_number("KMM_KILLS", 40);
	uint64_t seed = seed_from_env();
	pid_t pid[4];
	int fd[2];

	for (unsigned long i = 0; i < kills; i += 4) {
		ASSERT_EQ(0, kmm_pipe_create(self->dev, 4 * PAGE, 0, fd));
		for (int k = 0; k < 4; k++) {
			uint64_t child_seed = seed ^ ((i + k + 1) * 0x9e3779b97f4a7c15ULL);

			pid[k] = fork();
			ASSERT_LE(0, pid[k]);
			if (!pid[k])
				live(self->dev, fd, child_seed);
		}
		close(fd[RD]);
		close(fd[WR]);
		for (int k = 0; k < 4; k++) {
			sleep_ms(next_random(&seed) % 40 + 2);
			kill(pid[k], SIGKILL);
		}
		for (int k = 0; k < 4; k++) {
			ASSERT_EQ(256 + SIGKILL, wait_child(pid[k])) TH_LOG("kill %lu", i + k);
		}
		ASSERT_TRUE(wait_used(self->dev, self->before.used)) TH_LOG("kill %lu", i);
	}
}

/* === Limits === */

/* As nobody: 0 if all is as it should be. */
static int flood(const struct kmm_info *info)
{
	static char buf[1 << 20];
	struct kmm_stat s;
	int fd[2], first[2], dev, ret;
	uint64_t n = 0, size = KMM_PIPE_SIZE_MAX;
	ssize_t got = 0;

	become_nobody(1 << 16);
	dev = kmm_open();
	if (dev < 0)
		return 1;
	if (kmm_pipe_create(dev, KMM_PIPE_SIZE_MAX + 1, 0, first) != -EPERM)
		return 2;
	if (kmm_pipe_create(dev, KMM_PIPE_SIZE_MAX, KMM_PIPE_NONBLOCK, first))
		return 3;
	size = 2 * KMM_PIPE_SIZE_MAX;
	if (kmm_pipe_resize(first[RD], &size) != -EPERM)
		return 4;
	/* Frames: full pipes until no write gets a page. */
	while (n < 10000) {
		if (kmm_pipe_create(dev, KMM_PIPE_SIZE_MAX, KMM_PIPE_NONBLOCK, fd))
			return 5;
		got = write(fd[WR], buf, sizeof(buf));
		if (got != sizeof(buf))
			break;
		n++;
	}
	if (got >= 0)
		got = write(fd[WR], buf, 4096);
	if (got >= 0 || errno != EDQUOT)
		return 6;
	if (kmm_get_stat(dev, 0, &s) || s.user_frames > info->user_limits.frames ||
	    s.user_frames + 2 < info->user_limits.frames)
		return 7;
	/* What is in a pipe can be read, and makes room again. */
	if (write(first[WR], buf, 1) != -1 || errno != EDQUOT)
		return 8;
	(void)!read(fd[RD], buf, sizeof(buf));
	for (int k = 3; k < (1 << 15); k++)
		if (k != dev && k != first[RD] && k != first[WR])
			close(k);
	if (write(first[WR], buf, sizeof(buf)) != sizeof(buf))
		return 9;
	/* Host memory: empty pipes until there is no more. */
	for (n = 0; n < 30000; n++) {
		ret = kmm_pipe_create(dev, KMM_PIPE_SIZE_MAX, 0, fd);
		if (ret)
			break;
	}
	if (ret != -EDQUOT)
		return 10;
	if (kmm_get_stat(dev, 0, &s) || s.user_host_bytes > info->user_limits.host_bytes)
		return 11;
	if (n < 100)
		return 12;
	return 0;
}

TEST_F(kmm, a_flood_stops_at_the_quota)
{
	struct kmm_info info;
	struct stat st;
	pid_t pid;

	ASSERT_EQ(0, kmm_get_info(self->probe, &info));
	ASSERT_EQ(0, stat(KMM_DEVICE, &st));
	ASSERT_EQ(0, chmod(KMM_DEVICE, 0666));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(flood(&info));
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, chmod(KMM_DEVICE, st.st_mode & 07777));
}

TEST_HARNESS_MAIN
