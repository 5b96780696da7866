// SPDX-License-Identifier: GPL-2.0-only
/*
 * Message queues: POSIX's order and limits, waiting, poll, rights, names, gifts, quota, and what
 * is wrong on purpose. Every test ends with the leak check of the fixture.
 */
#include <grp.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "kmm_test.h"

#define NOBODY		65534
#define RW		(KMM_MSGQ_READ | KMM_MSGQ_WRITE)
#define MS		1000000ULL
#define NAME		"kmm-selftest"

static int queue(int dev, uint32_t maxmsg, uint32_t msgsize)
{
	return kmm_msgq_create(dev, maxmsg, msgsize, RW);
}

static int send_text(int q, const char *text, uint32_t prio, uint32_t flags)
{
	return kmm_msgq_send(q, text, strlen(text), prio, flags, 0);
}

/* Is the next message this one? Never waits. */
static bool next_is(int q, const char *text, uint32_t prio)
{
	char buf[256];
	uint32_t got = 99;
	int n = kmm_msgq_receive(q, buf, sizeof(buf), &got, KMM_MSG_NOWAIT, 0);

	return n == (int)strlen(text) && got == prio && !memcmp(buf, text, n);
}

static short events(int q)
{
	struct pollfd p = { .fd = q, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static bool wait_waiters(int q, uint32_t receivers, uint32_t senders)
{
	uint64_t end = now_ms() + LEAK_WAIT_MS;
	struct kmm_msgq_info i;

	do {
		if (kmm_msgq_info(q, &i))
			return false;
		if (i.receivers == receivers && i.senders == senders)
			return true;
		sleep_ms(1);
	} while (now_ms() < end);
	return false;
}

/* === Order and limits === */

TEST_F(kmm, highest_first_then_fifo)
{
	int q = queue(self->dev, 10, 64);
	struct kmm_msgq_info i;

	ASSERT_LE(0, q);
	EXPECT_EQ(0, send_text(q, "low 1", 0, 0));
	EXPECT_EQ(0, send_text(q, "high 1", 31, 0));
	EXPECT_EQ(0, send_text(q, "mid", 7, 0));
	EXPECT_EQ(0, send_text(q, "low 2", 0, 0));
	EXPECT_EQ(0, send_text(q, "", 7, 0));
	EXPECT_EQ(0, send_text(q, "high 2", 31, 0));
	EXPECT_EQ(0, kmm_msgq_info(q, &i));
	EXPECT_EQ(6, i.messages);
	EXPECT_EQ(25, i.bytes);
	EXPECT_EQ(10, i.maxmsg);
	EXPECT_EQ(64, i.msgsize);
	EXPECT_EQ(1, i.reserved_frames);
	EXPECT_TRUE(next_is(q, "high 1", 31));
	EXPECT_TRUE(next_is(q, "high 2", 31));
	EXPECT_TRUE(next_is(q, "mid", 7));
	EXPECT_TRUE(next_is(q, "", 7));
	EXPECT_TRUE(next_is(q, "low 1", 0));
	EXPECT_TRUE(next_is(q, "low 2", 0));
	EXPECT_EQ(-EAGAIN, kmm_msgq_receive(q, &i, 64, NULL, KMM_MSG_NOWAIT, 0));
	close(q);
}

/* All sizes around the classes, the page and the largest come out as they went in. */
TEST_F(kmm, every_size)
{
	const uint32_t sizes[] = { 0, 1, 7, 8, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 1000,
				   4079, 4080, 4081, 4096, 4097, 8192, 100001,
				   KMM_MSGQ_SIZE_MAX - 1, KMM_MSGQ_SIZE_MAX };
	unsigned char *in = malloc(KMM_MSGQ_SIZE_MAX), *out = malloc(KMM_MSGQ_SIZE_MAX + 1);
	int q = queue(self->dev, 2, KMM_MSGQ_SIZE_MAX);
	uint64_t seed = seed_from_env();

	ASSERT_LE(0, q);
	for (size_t i = 0; i < KMM_MSGQ_SIZE_MAX; i++)
		in[i] = next_random(&seed);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(out, 0xee, KMM_MSGQ_SIZE_MAX + 1);
		ASSERT_EQ(0, kmm_msgq_send(q, in, sizes[i], i, 0, 0));
		ASSERT_EQ(sizes[i], kmm_msgq_receive(q, out, KMM_MSGQ_SIZE_MAX, NULL, 0, 0));
		EXPECT_EQ(0, memcmp(in, out, sizes[i]));
		EXPECT_EQ(0xee, out[sizes[i]]);
	}
	close(q);
	free(in);
	free(out);
}

TEST_F(kmm, limits_hold)
{
	int q = queue(self->dev, 2, 64);
	char buf[65] = "";

	ASSERT_LE(0, q);
	EXPECT_EQ(-EMSGSIZE, kmm_msgq_send(q, buf, 65, 0, 0, 0));
	EXPECT_EQ(-EMSGSIZE, kmm_msgq_receive(q, buf, 63, NULL, KMM_MSG_NOWAIT, 0));
	EXPECT_EQ(-EINVAL, kmm_msgq_send(q, buf, 1, KMM_MSGQ_PRIO_MAX, 0, 0));
	EXPECT_EQ(0, send_text(q, "1", 0, 0));
	EXPECT_EQ(0, send_text(q, "2", 0, 0));
	EXPECT_EQ(-EAGAIN, send_text(q, "3", 31, KMM_MSG_NOWAIT));
	EXPECT_EQ(0, fcntl(q, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, send_text(q, "3", 31, 0));
	EXPECT_TRUE(next_is(q, "1", 0));
	EXPECT_EQ(0, send_text(q, "3", 31, 0));
	EXPECT_TRUE(next_is(q, "3", 31));
	EXPECT_TRUE(next_is(q, "2", 0));
	EXPECT_EQ(-EAGAIN, kmm_msgq_receive(q, buf, 64, NULL, 0, 0));
	close(q);
	EXPECT_EQ(-EINVAL, queue(self->dev, 0, 1));
	EXPECT_EQ(-EINVAL, queue(self->dev, 1, 0));
	EXPECT_EQ(-EINVAL, queue(self->dev, KMM_MSGQ_MESSAGES_MAX + 1, 1));
	EXPECT_EQ(-EINVAL, queue(self->dev, UINT32_MAX, UINT32_MAX));
	EXPECT_EQ(-EINVAL, queue(self->dev, 1, KMM_MSGQ_SIZE_MAX + 1));
	EXPECT_EQ(-EINVAL, kmm_msgq_create(self->dev, 1, 1, 0));
	EXPECT_EQ(-EINVAL, kmm_msgq_create(self->dev, 1, 1, KMM_MSGQ_NONBLOCK));
	EXPECT_EQ(-EINVAL, kmm_msgq_create(self->dev, 1, 1, RW | KMM_MSGQ_CREATE));
}

/* === Waiting === */

static volatile sig_atomic_t nr_signals;

static void on_signal(int sig)
{
	(void)sig;
	nr_signals++;
}

static void catch_signal(int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags };

	sigaction(SIGUSR1, &sa, NULL);
}

TEST_F(kmm, timeouts)
{
	int q = queue(self->dev, 1, 64);
	uint64_t start = now_ms();
	struct timespec t;
	char buf[64];

	ASSERT_LE(0, q);
	EXPECT_EQ(-ETIMEDOUT, kmm_msgq_receive(q, buf, 64, NULL, KMM_MSG_TIMEOUT, 30 * MS));
	EXPECT_LE(start + 30, now_ms() + 1);
	EXPECT_EQ(-ETIMEDOUT, kmm_msgq_receive(q, buf, 64, NULL, KMM_MSG_TIMEOUT, 0));
	EXPECT_EQ(-ETIMEDOUT, kmm_msgq_receive(q, buf, 64, NULL, KMM_MSG_DEADLINE, 0));
	/* what can be had at once is, whatever the time */
	EXPECT_EQ(0, kmm_msgq_send(q, "x", 1, 0, KMM_MSG_DEADLINE, 1));
	clock_gettime(CLOCK_MONOTONIC, &t);
	start = now_ms();
	EXPECT_EQ(-ETIMEDOUT, kmm_msgq_send(q, "y", 1, 0, KMM_MSG_DEADLINE,
					    t.tv_sec * 1000 * MS + t.tv_nsec + 30 * MS));
	EXPECT_LE(start + 30, now_ms() + 1);
	EXPECT_EQ(1, kmm_msgq_receive(q, buf, 64, NULL, KMM_MSG_TIMEOUT, UINT64_MAX));
	EXPECT_EQ(-EINVAL, kmm_msgq_receive(q, buf, 64, NULL, 0, 1));
	EXPECT_EQ(-EINVAL, kmm_msgq_receive(q, buf, 64, NULL,
					    KMM_MSG_TIMEOUT | KMM_MSG_DEADLINE, 1));
	EXPECT_EQ(-EINVAL, kmm_msgq_receive(q, buf, 64, NULL, 1 << 30, 0));
	close(q);
}

/* A child waits with a time or without, is interrupted, and tells what its call returned. */
static int interrupted(int q, int sa_flags, uint32_t flags, uint64_t time, bool then_send)
{
	pid_t pid = fork();
	int ret;

	if (!pid) {
		char buf[64];

		catch_signal(sa_flags);
		ret = kmm_msgq_receive(q, buf, sizeof(buf), NULL, flags, time);
		_exit(ret < 0 ? -ret : 200 + ret);
	}
	if (pid < 0 || !wait_waiters(q, 1, 0))
		return -1;
	kill(pid, SIGUSR1);
	if (then_send) {
		/* it waits again, after the handler */
		sleep_ms(20);
		wait_waiters(q, 1, 0);
		if (send_text(q, "abc", 0, 0))
			return -2;
	}
	return wait_child(pid);
}

TEST_F(kmm, signals)
{
	int q = queue(self->dev, 1, 64);

	ASSERT_LE(0, q);
	EXPECT_EQ(EINTR, interrupted(q, 0, 0, 0, false));
	EXPECT_EQ(203, interrupted(q, SA_RESTART, 0, 0, true));
	EXPECT_EQ(203, interrupted(q, SA_RESTART, KMM_MSG_DEADLINE, UINT64_MAX, true));
	EXPECT_EQ(EINTR, interrupted(q, SA_RESTART, KMM_MSG_TIMEOUT, UINT64_MAX, false));
	EXPECT_TRUE(wait_waiters(q, 0, 0));
	close(q);
}

/* Who is killed while blocked leaves the queue as it was. */
TEST_F(kmm, killed_waiters)
{
	int q = queue(self->dev, 1, 100000);
	static char big[100000];
	pid_t pid[4];

	ASSERT_LE(0, q);
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(kmm_msgq_receive(q, big, sizeof(big), NULL, 0, 0) < 0);
	}
	ASSERT_TRUE(wait_waiters(q, 2, 0));
	kill(pid[0], SIGKILL);
	EXPECT_EQ(256 + SIGKILL, wait_child(pid[0]));
	ASSERT_TRUE(wait_waiters(q, 1, 0));
	EXPECT_EQ(0, send_text(q, "for the other", 0, 0));
	EXPECT_EQ(0, wait_child(pid[1]));
	EXPECT_EQ(0, send_text(q, "first", 0, 0));
	for (int i = 0; i < 4; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(kmm_msgq_send(q, big, sizeof(big), 0, 0, 0) < 0);
	}
	ASSERT_TRUE(wait_waiters(q, 0, 4));
	kill(pid[1], SIGKILL);
	kill(pid[3], SIGKILL);
	EXPECT_EQ(256 + SIGKILL, wait_child(pid[1]));
	EXPECT_EQ(256 + SIGKILL, wait_child(pid[3]));
	EXPECT_EQ(5, kmm_msgq_receive(q, big, sizeof(big), NULL, 0, 0));
	EXPECT_EQ(sizeof(big), kmm_msgq_receive(q, big, sizeof(big), NULL, 0, 0));
	EXPECT_EQ(sizeof(big), kmm_msgq_receive(q, big, sizeof(big), NULL, 0, 0));
	EXPECT_EQ(0, wait_child(pid[0]));
	EXPECT_EQ(0, wait_child(pid[2]));
	EXPECT_EQ(-EAGAIN, kmm_msgq_receive(q, big, sizeof(big), NULL, KMM_MSG_NOWAIT, 0));
	close(q);
}

/* Who waited first is served first, and who comes later does not overtake. */
TEST_F(kmm, hand_over_is_fair)
{
	int q = queue(self->dev, 1, 64), done[2];
	pid_t pid[6];
	char c;

	ASSERT_LE(0, q);
	ASSERT_EQ(0, pipe(done));
	for (int i = 0; i < 6; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			char buf[64];
			int n = kmm_msgq_receive(q, buf, 64, NULL, 0, 0);

			c = 'a' + i;
			/* the message tells who should have got it */
			_exit(n != 1 || buf[0] != c || write(done[1], &c, 1) != 1);
		}
		ASSERT_TRUE(wait_waiters(q, i + 1, 0));
	}
	for (int i = 0; i < 6; i++) {
		c = 'a' + i;
		EXPECT_EQ(0, kmm_msgq_send(q, &c, 1, 0, KMM_MSG_NOWAIT, 0));
	}
	for (int i = 0; i < 6; i++)
		EXPECT_EQ(0, wait_child(pid[i]));
	/* senders: their messages come in the order in which they began to wait */
	EXPECT_EQ(0, send_text(q, "0", 0, 0));
	for (int i = 0; i < 6; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			c = 'a' + i;
			_exit(kmm_msgq_send(q, &c, 1, 5, 0, 0) < 0);
		}
		ASSERT_TRUE(wait_waiters(q, 0, i + 1));
	}
	EXPECT_TRUE(next_is(q, "0", 0));
	EXPECT_EQ(-EAGAIN, send_text(q, "z", 31, KMM_MSG_NOWAIT));
	for (int i = 0; i < 6; i++) {
		char text[2] = { 'a' + i };

		EXPECT_TRUE(next_is(q, text, 5));
	}
	for (int i = 0; i < 6; i++)
		EXPECT_EQ(0, wait_child(pid[i]));
	close(done[0]);
	close(done[1]);
	close(q);
}

static void *close_later(void *arg)
{
	int *fd = arg;

	wait_waiters(fd[1], 1, 0);
	close(fd[0]);
	send_text(fd[1], "late", 0, 0);
	return NULL;
}

/* A descriptor that is closed while a thread is blocked in it lives until the thread is out. */
TEST_F(kmm, close_while_blocked)
{
	int q = queue(self->dev, 1, 64), fd[2] = { q, kmm_msgq_reopen(q, RW) };
	pthread_t t;
	char buf[64];

	ASSERT_LE(0, q);
	ASSERT_LE(0, fd[1]);
	ASSERT_EQ(0, pthread_create(&t, NULL, close_later, fd));
	EXPECT_EQ(4, kmm_msgq_receive(q, buf, 64, NULL, 0, 0));
	pthread_join(t, NULL);
	EXPECT_EQ(-EBADF, kmm_msgq_receive(q, buf, 64, NULL, 0, 0));
	close(fd[1]);
}

/* === poll === */

TEST_F(kmm, poll_is_exact)
{
	int q = queue(self->dev, 2, 64), r, w, ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	pid_t pid;

	ASSERT_LE(0, q);
	r = kmm_msgq_reopen(q, KMM_MSGQ_READ);
	w = kmm_msgq_reopen(q, KMM_MSGQ_WRITE);
	EXPECT_EQ(POLLOUT, events(q));
	EXPECT_EQ(0, events(r));
	EXPECT_EQ(POLLOUT, events(w));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, r, &e));
	EXPECT_EQ(0, epoll_wait(ep, &e, 1, 0));
	EXPECT_EQ(0, send_text(w, "1", 0, 0));
	EXPECT_EQ(1, epoll_wait(ep, &e, 1, 0));
	EXPECT_EQ(EPOLLIN, e.events);
	/* edge triggered: nothing new, then something new */
	EXPECT_EQ(0, epoll_wait(ep, &e, 1, 0));
	EXPECT_EQ(POLLIN | POLLOUT, events(q));
	EXPECT_EQ(0, send_text(w, "2", 0, 0));
	EXPECT_EQ(1, epoll_wait(ep, &e, 1, 0));
	EXPECT_EQ(POLLIN, events(q));
	EXPECT_EQ(POLLIN, events(r));
	EXPECT_EQ(0, events(w));
	/* a poller who sleeps is woken, by a place and by a message */
	for (int i = 0; i < 2; i++) {
		pid = fork();
		if (!pid) {
			struct pollfd p = { .fd = i ? r : w, .events = POLLIN | POLLOUT };

			_exit(poll(&p, 1, 20000) != 1 || p.revents != (i ? POLLIN : POLLOUT));
		}
		sleep_ms(20);
		if (i) {
			EXPECT_TRUE(next_is(q, "2", 0));
			EXPECT_EQ(0, send_text(q, "3", 0, 0));
		} else {
			EXPECT_TRUE(next_is(q, "1", 0));
		}
		EXPECT_EQ(0, wait_child(pid));
	}
	close(ep);
	close(r);
	close(w);
	close(q);
}

/* === Rights and names === */

TEST_F(kmm, a_descriptor_can_do_what_it_was_made_for)
{
	int q = queue(self->dev, 2, 64), r, w;
	char buf[64], path[64];

	ASSERT_LE(0, q);
	r = kmm_msgq_reopen(q, KMM_MSGQ_READ | KMM_MSGQ_NONBLOCK);
	w = kmm_msgq_reopen(q, KMM_MSGQ_WRITE | KMM_MSGQ_NONBLOCK);
	ASSERT_LE(0, r);
	ASSERT_LE(0, w);
	EXPECT_EQ(-EAGAIN, kmm_msgq_receive(r, buf, 64, NULL, 0, 0));
	EXPECT_EQ(-EACCES, send_text(r, "x", 0, 0));
	EXPECT_EQ(-EACCES, kmm_msgq_receive(w, buf, 64, NULL, 0, 0));
	EXPECT_EQ(0, send_text(w, "x", 0, 0));
	EXPECT_EQ(-EACCES, kmm_msgq_reopen(r, RW));
	EXPECT_EQ(-EACCES, kmm_msgq_reopen(r, KMM_MSGQ_WRITE));
	EXPECT_EQ(-EACCES, kmm_msgq_reopen(w, KMM_MSGQ_READ));
	EXPECT_EQ(-EINVAL, kmm_msgq_reopen(q, 0));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", r);
	EXPECT_EQ(ENXIO, ERR(open(path, O_RDWR)));
	EXPECT_EQ(EINVAL, ERR(read(r, buf, 64)));
	EXPECT_EQ(EPERM, ERR(fchmod(q, 0777)));
	EXPECT_EQ(ENOTTY, ERR(ioctl(self->dev, KMM_IOC_MSGQ_INFO, buf)));
	EXPECT_EQ(ENOTTY, ERR(ioctl(q, KMM_IOC_INFO, buf)));
	close(q);
	/* the queue and the message are there as long as anybody has it */
	EXPECT_EQ(1, kmm_msgq_receive(r, buf, 64, NULL, 0, 0));
	close(r);
	close(w);
}

static int as_nobody(int dev, const char *name, uint32_t flags)
{
	pid_t pid = fork();
	int q;

	if (pid)
		return wait_child(pid);
	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		_exit(250);
	if (!flags)
		_exit(-kmm_msgq_unlink(dev, name));
	q = kmm_msgq_open(dev, name, flags, 0, 0, 0);
	_exit(q < 0 ? -q : 0);
}

TEST_F(kmm, names)
{
	uint32_t create = RW | KMM_MSGQ_CREATE, excl = create | KMM_MSGQ_EXCL;
	char buf[64], lname[KMM_NAME_MAX + 2];
	int q, q2, r, fds[2];

	EXPECT_EQ(-ENOENT, kmm_msgq_open(self->dev, NAME, RW, 0, 0, 0));
	EXPECT_EQ(-ENOENT, kmm_msgq_unlink(self->dev, NAME));
	q = kmm_msgq_open(self->dev, NAME, excl, 0644, 4, 64);
	ASSERT_LE(0, q);
	EXPECT_EQ(-EEXIST, kmm_msgq_open(self->dev, NAME, excl, 0644, 4, 64));
	q2 = kmm_msgq_open(self->dev, NAME, create, 0644, 9, 9);
	ASSERT_LE(0, q2);
	EXPECT_EQ(0, send_text(q, "by name", 3, 0));
	EXPECT_TRUE(next_is(q2, "by name", 3));
	EXPECT_EQ(0, send_text(q2, "stays", 3, 0));
	/* it lives by its name alone */
	close(q);
	close(q2);
	EXPECT_EQ(0, as_nobody(self->dev, NAME, KMM_MSGQ_READ));
	EXPECT_EQ(EACCES, as_nobody(self->dev, NAME, KMM_MSGQ_WRITE));
	EXPECT_EQ(EACCES, as_nobody(self->dev, NAME, RW));
	EXPECT_EQ(EPERM, as_nobody(self->dev, NAME, 0));
	EXPECT_EQ(-EINVAL, kmm_msgq_open(self->dev, NAME, RW, 0600, 0, 0));
	EXPECT_EQ(-EINVAL, kmm_msgq_open(self->dev, NAME, RW | KMM_MSGQ_EXCL, 0, 0, 0));
	EXPECT_EQ(-EINVAL, kmm_msgq_open(self->dev, NAME, create, 01000, 1, 1));
	EXPECT_EQ(-EINVAL, kmm_msgq_open(self->dev, "a/b", create, 0600, 1, 1));
	EXPECT_EQ(-EINVAL, kmm_msgq_open(self->dev, "", create, 0600, 1, 1));
	memset(lname, 'n', sizeof(lname));
	lname[KMM_NAME_MAX + 1] = 0;
	EXPECT_EQ(-ENAMETOOLONG, kmm_msgq_open(self->dev, lname, create, 0600, 1, 1));
	r = kmm_msgq_open(self->dev, NAME, KMM_MSGQ_READ, 0, 0, 0);
	ASSERT_LE(0, r);
	EXPECT_EQ(0, kmm_msgq_unlink(self->dev, NAME));
	EXPECT_EQ(-ENOENT, kmm_msgq_open(self->dev, NAME, RW, 0, 0, 0));
	/* a new queue of that name is another one */
	q = kmm_msgq_open(self->dev, NAME, excl, 0600, 4, 64);
	ASSERT_LE(0, q);
	EXPECT_EQ(-EAGAIN, kmm_msgq_receive(q, buf, 64, NULL, KMM_MSG_NOWAIT, 0));
	EXPECT_TRUE(next_is(r, "stays", 3));
	close(r);
	close(q);
	EXPECT_EQ(0, kmm_msgq_unlink(self->dev, NAME));
	/* a struct that cannot be written back leaves no name */
	ASSERT_EQ(0, pipe(fds));
	{
		struct kmm_msgq_open *o = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		*o = (struct kmm_msgq_open) {
			.name = (uintptr_t)NAME, .name_len = strlen(NAME), .flags = excl,
			.mode = 0600, .maxmsg = 1, .msgsize = 1,
		};
		mprotect(o, PAGE, PROT_READ);
		EXPECT_EQ(EFAULT, ERR(ioctl(self->dev, KMM_IOC_MSGQ_OPEN, o)));
		munmap(o, PAGE);
	}
	EXPECT_EQ(-ENOENT, kmm_msgq_unlink(self->dev, NAME));
	close(fds[0]);
	close(fds[1]);
}

/* === Bad memory === */

TEST_F(kmm, bad_pointers_lose_no_message)
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t bad[] = { 0, (uintptr_t)p + PAGE, (uintptr_t)p + PAGE - 40,
				 0xffff888000000000ULL, UINT64_MAX - 20, 0x8000000000000000ULL };
	int q = queue(self->dev, 4, 2 * PAGE);
	struct kmm_msgq_info i;
	char buf[2 * PAGE];

	ASSERT_LE(0, q);
	ASSERT_EQ(0, munmap(p + PAGE, PAGE));
	for (size_t k = 0; k < ARRAY_SIZE(bad); k++) {
		const uint32_t sizes[] = { 64, 200, 2 * PAGE };

		for (size_t n = 0; n < ARRAY_SIZE(sizes); n++) {
			EXPECT_EQ(-EFAULT, kmm_msgq_send(q, (void *)bad[k], sizes[n], 0, 0, 0));
			memset(buf, 'm', sizes[n]);
			ASSERT_EQ(0, kmm_msgq_send(q, buf, sizes[n], 1, 0, 0));
			ASSERT_EQ(0, kmm_msgq_send(q, "second", 6, 1, 0, 0));
			struct kmm_msgq_receive r = { .buf = bad[k], .size_bytes = 2 * PAGE };

			EXPECT_EQ(EFAULT, ERR(ioctl(q, KMM_IOC_MSGQ_RECEIVE, &r)));
			/* the struct can be used again, as a restart of the call does */
			EXPECT_EQ(2 * PAGE, r.size_bytes);
			EXPECT_EQ(0, r.prio);
			/* it is there still, and first */
			EXPECT_EQ(sizes[n], kmm_msgq_receive(q, buf, 2 * PAGE, NULL, 0, 0));
			EXPECT_TRUE(all_bytes(buf, 'm', sizes[n]));
			EXPECT_EQ(6, kmm_msgq_receive(q, buf, 2 * PAGE, NULL, 0, 0));
		}
	}
	/* no byte: a pointer that is none of user space must not hang either */
	EXPECT_EQ(-EFAULT, kmm_msgq_send(q, (void *)bad[3], 0, 0, 0, 0));
	/* the struct itself cannot be written */
	{
		struct kmm_msgq_receive *r = (void *)p;

		*r = (struct kmm_msgq_receive) {
			.buf = (uintptr_t)buf, .size_bytes = 2 * PAGE,
		};
		mprotect(p, PAGE, PROT_READ);
		EXPECT_EQ(0, send_text(q, "kept", 0, 0));
		EXPECT_EQ(EFAULT, ERR(ioctl(q, KMM_IOC_MSGQ_RECEIVE, r)));
		EXPECT_EQ(0, kmm_msgq_info(q, &i));
		EXPECT_EQ(1, i.messages);
	}
	munmap(p, PAGE);
	/* memory that is not present yet is faulted in, on both sides */
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT_EQ(4, kmm_msgq_receive(q, p, 2 * PAGE, NULL, 0, 0));
	EXPECT_EQ(0, kmm_msgq_send(q, p + 2 * PAGE, 2 * PAGE, 0, 0, 0));
	EXPECT_EQ(2 * PAGE, kmm_msgq_receive(q, buf, 2 * PAGE, NULL, 0, 0));
	EXPECT_TRUE(all_bytes(buf, 0, 2 * PAGE));
	munmap(p, 4 * PAGE);
	close(q);
}

/* The structs of the calls that abi.c does not walk: size, tail, flags. */
TEST_F(kmm, structs)
{
	int q = kmm_msgq_create(self->dev, 4, 64, RW | KMM_MSGQ_NONBLOCK);
	const struct {
		int fd;
		unsigned int nr, size, flags_at;
		uint32_t known;
		int err;	/* of a struct of zeros but for size_bytes = 64 */
	} t[] = {
		{ self->dev, 0x31, sizeof(struct kmm_msgq_open),
		  offsetof(struct kmm_msgq_open, flags), 0x1f, EINVAL },
		{ q, 0x32, sizeof(struct kmm_msgq_send),
		  offsetof(struct kmm_msgq_send, flags), 0xf, EFAULT },
		{ q, 0x33, sizeof(struct kmm_msgq_receive),
		  offsetof(struct kmm_msgq_receive, flags), 0xf, EAGAIN },
		{ self->dev, 0x36, sizeof(struct kmm_msgq_unlink),
		  offsetof(struct kmm_msgq_unlink, flags), 0, EINVAL },
	};
	uint32_t buf[64], size = offsetof(struct kmm_msgq_send, size_bytes) / 4;

	ASSERT_LE(0, q);
	EXPECT_EQ(KMM_IOC_MSGQ_OPEN, _IOWR('K', 0x31, struct kmm_msgq_open));
	EXPECT_EQ(KMM_IOC_MSGQ_UNLINK, _IOWR('K', 0x36, struct kmm_msgq_unlink));
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
#define TRY(n) ERR(ioctl(t[i].fd, _IOC(_IOC_READ | _IOC_WRITE, 'K', t[i].nr, n), buf))
		memset(buf, 0, sizeof(buf));
		if (t[i].fd == q)
			buf[size] = 64;
		EXPECT_EQ(t[i].err, TRY(t[i].size)) TH_LOG("%#x", t[i].nr);
		EXPECT_EQ(t[i].err, TRY(t[i].size + 8)) TH_LOG("%#x", t[i].nr);
		EXPECT_EQ(EINVAL, TRY(t[i].size - 1)) TH_LOG("%#x", t[i].nr);
		EXPECT_EQ(EINVAL, TRY(0)) TH_LOG("%#x", t[i].nr);
		buf[t[i].size / 4] = 1;
		EXPECT_EQ(E2BIG, TRY(t[i].size + 4)) TH_LOG("%#x", t[i].nr);
		for (int bit = 0; bit < 32; bit++) {
			if (t[i].known >> bit & 1)
				continue;
			buf[t[i].flags_at / 4] = 1U << bit;
			EXPECT_EQ(EINVAL, TRY(t[i].size)) TH_LOG("%#x bit %d", t[i].nr, bit);
		}
#undef TRY
	}
	close(q);
}

/* === Gifts === */

#define GIFT	(16 * PAGE)

static char *map_object(int obj, size_t n)
{
	return mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
}

TEST_F(kmm, gift_moves_frames)
{
	int q = queue(self->dev, 2, GIFT), a = kmm_object_create(self->dev, 2 * GIFT, 0);
	int b = kmm_object_create(self->dev, 2 * GIFT, 0);
	char *pa = map_object(a, 2 * GIFT), *pb = map_object(b, 2 * GIFT), buf[GIFT];
	struct kmm_stat before, now;
	uint32_t prio;

	ASSERT_LE(0, q);
	ASSERT_NE(MAP_FAILED, pa);
	ASSERT_NE(MAP_FAILED, pb);
	memset(pa, 'a', 2 * GIFT);
	memset(pa + PAGE, 'h', PAGE);
	/* the second page of the gift is a hole */
	ASSERT_EQ(0, fallocate(a, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE));
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &before));
	ASSERT_EQ(0, kmm_msgq_send_gift(q, a, 0, GIFT, 9, 0, 0));
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &now));
	/* no frame more (but for the slab of the message), none less */
	EXPECT_LE(now.used, before.used + 8);
	/* the giver sees zeros, and what he writes now is his */
	EXPECT_TRUE(all_bytes(pa, 0, GIFT));
	EXPECT_TRUE(all_bytes(pa + GIFT, 'a', GIFT));
	memset(pa, 'z', GIFT);
	memset(pb, 'b', 2 * GIFT);
	ASSERT_EQ(GIFT, kmm_msgq_receive_gift(q, b, GIFT, GIFT, &prio, 0, 0));
	EXPECT_EQ(9, prio);
	EXPECT_TRUE(all_bytes(pb, 'b', GIFT));
	EXPECT_TRUE(all_bytes(pb + GIFT, 'a', PAGE));
	EXPECT_TRUE(all_bytes(pb + GIFT + PAGE, 0, PAGE));
	EXPECT_TRUE(all_bytes(pb + GIFT + 2 * PAGE, 'a', GIFT - 2 * PAGE));
	memset(pb + GIFT, 'y', GIFT);
	EXPECT_TRUE(all_bytes(pa, 'z', GIFT));
	/* given and received by copy; sent by copy and taken as frames */
	ASSERT_EQ(0, kmm_msgq_send_gift(q, b, GIFT, 2 * PAGE, 0, 0, 0));
	ASSERT_EQ(2 * PAGE, kmm_msgq_receive(q, buf, GIFT, NULL, 0, 0));
	EXPECT_TRUE(all_bytes(buf, 'y', 2 * PAGE));
	ASSERT_EQ(0, kmm_msgq_send(q, buf, PAGE + 1, 0, 0, 0));
	ASSERT_EQ(PAGE + 1, kmm_msgq_receive_gift(q, a, 0, GIFT, NULL, 0, 0));
	EXPECT_TRUE(all_bytes(pa, 'y', PAGE + 1));
	EXPECT_TRUE(all_bytes(pa + PAGE + 1, 0, PAGE - 1));
	EXPECT_TRUE(all_bytes(pa + 2 * PAGE, 'z', GIFT - 2 * PAGE));
	/* a small one comes in a frame of its own; one without bytes changes nothing */
	ASSERT_EQ(0, send_text(q, "small", 0, 0));
	ASSERT_EQ(5, kmm_msgq_receive_gift(q, a, PAGE, GIFT, NULL, 0, 0));
	EXPECT_EQ(0, memcmp(pa + PAGE, "small", 6));
	EXPECT_TRUE(all_bytes(pa + PAGE + 5, 0, PAGE - 5));
	ASSERT_EQ(0, send_text(q, "", 0, 0));
	ASSERT_EQ(0, kmm_msgq_receive_gift(q, a, 3 * PAGE, GIFT, NULL, 0, 0));
	EXPECT_TRUE(all_bytes(pa + 3 * PAGE, 'z', PAGE));
	/* a queue that goes takes the frames in it along */
	ASSERT_EQ(0, kmm_msgq_send_gift(q, b, 0, GIFT, 0, 0, 0));
	close(q);
	munmap(pa, 2 * GIFT);
	munmap(pb, 2 * GIFT);
	close(a);
	close(b);
}

TEST_F(kmm, gift_refused_changes_nothing)
{
	int q = queue(self->dev, 1, GIFT), a = kmm_object_create(self->dev, GIFT, 0);
	int locked = kmm_object_create(self->dev, GIFT, KMM_OBJECT_LOCKED), ro, sealed;
	char *pa = map_object(a, GIFT);

	ASSERT_LE(0, q);
	ASSERT_NE(MAP_FAILED, pa);
	memset(pa, 'a', GIFT);
	ro = kmm_object_reopen(a, KMM_REOPEN_RDONLY);
	sealed = kmm_object_create(self->dev, GIFT, KMM_OBJECT_EAGER);
	ASSERT_EQ(0, kmm_object_seal(sealed, KMM_SEAL_WRITE, NULL));
	EXPECT_EQ(-EINVAL, kmm_msgq_send_gift(q, a, 1, PAGE, 0, 0, 0));
	EXPECT_EQ(-EINVAL, kmm_msgq_send_gift(q, a, 0, PAGE - 1, 0, 0, 0));
	EXPECT_EQ(-EINVAL, kmm_msgq_send_gift(q, a, 0, 0, 0, 0, 0));
	EXPECT_EQ(-EMSGSIZE, kmm_msgq_send_gift(q, a, 0, GIFT + PAGE, 0, 0, 0));
	EXPECT_EQ(-ENXIO, kmm_msgq_send_gift(q, a, PAGE, GIFT, 0, 0, 0));
	EXPECT_EQ(-ENXIO, kmm_msgq_send_gift(q, a, -PAGE, PAGE, 0, 0, 0));
	EXPECT_EQ(-EBADF, kmm_msgq_send_gift(q, 9999, 0, PAGE, 0, 0, 0));
	EXPECT_EQ(-EBADF, kmm_msgq_send_gift(q, -1, 0, PAGE, 0, 0, 0));
	EXPECT_EQ(-EINVAL, kmm_msgq_send_gift(q, q, 0, PAGE, 0, 0, 0));
	EXPECT_EQ(-EACCES, kmm_msgq_send_gift(q, ro, 0, PAGE, 0, 0, 0));
	EXPECT_EQ(-EPERM, kmm_msgq_send_gift(q, locked, 0, PAGE, 0, 0, 0));
	EXPECT_EQ(-EPERM, kmm_msgq_send_gift(q, sealed, 0, PAGE, 0, 0, 0));
	EXPECT_EQ(POLLOUT, events(q));
	EXPECT_EQ(0, send_text(q, "full", 4, 0));
	EXPECT_EQ(-EAGAIN, kmm_msgq_send_gift(q, a, 0, GIFT, 0, KMM_MSG_NOWAIT, 0));
	EXPECT_EQ(-ETIMEDOUT, kmm_msgq_send_gift(q, a, 0, GIFT, 0, KMM_MSG_TIMEOUT, MS));
	EXPECT_TRUE(all_bytes(pa, 'a', GIFT));
	EXPECT_EQ(-EPERM, kmm_msgq_receive_gift(q, sealed, 0, GIFT, NULL, 0, 0));
	EXPECT_EQ(-EPERM, kmm_msgq_receive_gift(q, locked, 0, GIFT, NULL, 0, 0));
	EXPECT_EQ(-ENXIO, kmm_msgq_receive_gift(q, a, GIFT, GIFT, NULL, 0, 0));
	EXPECT_EQ(-EINVAL, kmm_msgq_receive_gift(q, a, 5, GIFT, NULL, 0, 0));
	EXPECT_EQ(-EACCES, kmm_msgq_receive_gift(q, ro, 0, GIFT, NULL, 0, 0));
	/* first as before; it is in a frame now */
	EXPECT_EQ(4, kmm_msgq_receive(q, pa, GIFT, NULL, KMM_MSG_NOWAIT, 0));
	EXPECT_EQ(0, memcmp(pa, "fullaaa", 7));
	munmap(pa, GIFT);
	close(ro);
	close(sealed);
	close(locked);
	close(a);
	close(q);
}

/* A frame that a pipe holds stays with the pipe; the message has a copy. */
TEST_F(kmm, gift_of_a_pinned_frame_is_a_copy)
{
	int q = queue(self->dev, 1, GIFT), a = kmm_object_create(self->dev, GIFT, 0), w[2];
	char *pa = map_object(a, GIFT), buf[GIFT];
	struct iovec v = { pa + PAGE, PAGE };

	ASSERT_LE(0, q);
	memset(pa, 'p', GIFT);
	ASSERT_EQ(0, pipe(w));
	ASSERT_EQ(PAGE, vmsplice(w[1], &v, 1, 0));
	ASSERT_EQ(0, kmm_msgq_send_gift(q, a, 0, GIFT, 0, 0, 0));
	EXPECT_TRUE(all_bytes(pa, 0, GIFT));
	memset(pa, 'q', GIFT);
	ASSERT_EQ(PAGE, read(w[0], buf, PAGE));
	EXPECT_TRUE(all_bytes(buf, 'p', PAGE));
	ASSERT_EQ(GIFT, kmm_msgq_receive(q, buf, GIFT, NULL, 0, 0));
	EXPECT_TRUE(all_bytes(buf, 'p', GIFT));
	close(w[0]);
	close(w[1]);
	munmap(pa, GIFT);
	close(a);
	close(q);
}

/* Two threads give away the same pages for ever, two put them back: no frame is lost or twice. */
struct givers {
	int q, obj;
	volatile bool stop;
};

static void *give(void *arg)
{
	struct givers *g = arg;

	while (!g->stop)
		kmm_msgq_send_gift(g->q, g->obj, 0, GIFT, 0, KMM_MSG_TIMEOUT, MS);
	return NULL;
}

static void *take(void *arg)
{
	struct givers *g = arg;

	while (!g->stop)
		kmm_msgq_receive_gift(g->q, g->obj, 0, GIFT, NULL, KMM_MSG_TIMEOUT, MS);
	return NULL;
}

TEST_F(kmm, gifts_race)
{
	struct givers g = { .q = queue(self->dev, 2, GIFT),
			    .obj = kmm_object_create(self->dev, GIFT, 0) };
	char *p = map_object(g.obj, GIFT);
	uint64_t end = now_ms() + env_number("KMM_RACE_MS", 1000) / 2;
	pthread_t t[4];

	ASSERT_LE(0, g.q);
	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, i & 1 ? give : take, &g));
	while (now_ms() < end)
		memset(p, 'r', GIFT);
	g.stop = true;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	munmap(p, GIFT);
	close(g.obj);
	close(g.q);
}

/* === Quota === */

static int flood(int how)
{
	struct kmm_info info;
	struct kmm_stat s;
	int dev, q = 0, n = 0, obj, ret = 0;
	static char big[KMM_MSGQ_SIZE_MAX];
	struct rlimit r = { 1 << 16, 1 << 16 };

	if (setrlimit(RLIMIT_NOFILE, &r) || setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		return 250;
	dev = kmm_open();
	if (dev < 0 || kmm_get_info(dev, &info))
		return 1;
	switch (how) {
	case 0:		/* queues */
		while ((q = queue(dev, 1, 1)) >= 0)
			n++;
		ret = q;
		break;
	case 1:		/* places */
		while ((q = queue(dev, 1000, 4000)) >= 0)
			n++;
		ret = q;
		break;
	case 2:		/* frames in messages */
		q = queue(dev, 10000, KMM_MSGQ_SIZE_MAX);
		if (q < 0)
			q = queue(dev, 1000, KMM_MSGQ_SIZE_MAX);
		while ((ret = kmm_msgq_send(q, big, sizeof(big), 0, KMM_MSG_NOWAIT, 0)) == 0)
			n++;
		break;
	case 3:		/* frames that are given */
		q = queue(dev, 1000, KMM_MSGQ_SIZE_MAX);
		obj = kmm_object_create(dev, KMM_MSGQ_SIZE_MAX, 0);
		while (fallocate(obj, 0, 0, KMM_MSGQ_SIZE_MAX) == 0 &&
		       (ret = kmm_msgq_send_gift(q, obj, 0, sizeof(big), 0, KMM_MSG_NOWAIT,
						 0)) == 0)
			n++;
		ret = ret ?: -errno;
		break;
	}
	if (kmm_get_stat(dev, KMM_STAT_EXACT, &s))
		return 2;
	printf("# flood %d: %d, then %s\n", how, n, strerror(-ret));
	fflush(stdout);
	if (s.user_frames > info.user_limits.frames ||
	    s.user_host_bytes > info.user_limits.host_bytes)
		return 3;
	return ret == -EDQUOT && n ? 0 : 4;
}

TEST_F_TIMEOUT(kmm, a_flood_stops_at_the_quota, 300)
{
	mode_t mode = 0;
	struct stat st;

	ASSERT_EQ(0, stat(KMM_DEVICE, &st));
	mode = st.st_mode & 0777;
	ASSERT_EQ(0, chmod(KMM_DEVICE, 0666));
	for (int how = 0; how < 4; how++) {
		pid_t pid = fork();

		if (!pid)
			_exit(flood(how));
		EXPECT_EQ(0, wait_child(pid)) TH_LOG("flood %d", how);
	}
	chmod(KMM_DEVICE, mode);
}

/* === Two processes, and death === */

struct record {
	uint64_t seq, sum;
	char fill[200];
};

/* Sends and receives everything in every way until it is killed. */
static void __attribute__((noreturn)) live(int dev, int q, uint64_t seed)
{
	int obj = kmm_object_create(dev, GIFT, 0);
	static char buf[GIFT];

	if (obj < 0)
		_exit(1);
	for (;;) {
		uint32_t n = next_random(&seed) % 3 ? next_random(&seed) % 300 :
						       next_random(&seed) % GIFT;
		uint32_t prio = next_random(&seed) % KMM_MSGQ_PRIO_MAX;
		uint32_t flags = next_random(&seed) % 2 ? KMM_MSG_TIMEOUT : 0;
		uint64_t time = flags ? next_random(&seed) % (2 * MS) : 0;

		switch (next_random(&seed) % 6) {
		case 0:
		case 1:
			kmm_msgq_send(q, buf, n, prio, flags, time);
			break;
		case 2:
		case 3:
			kmm_msgq_receive(q, buf, GIFT, NULL, flags, time);
			break;
		case 4:
			if (fallocate(obj, 0, 0, GIFT))
				_exit(2);
			kmm_msgq_send_gift(q, obj, 0, GIFT, prio, flags, time);
			break;
		case 5:
			kmm_msgq_receive_gift(q, obj, 0, GIFT, NULL, flags, time);
			break;
		}
	}
}

TEST_F_TIMEOUT(kmm, random_kills, 1800)
{
	unsigned long kills = env_number("KMM_KILLS", 40);
	int q = queue(self->dev, 8, GIFT);
	uint64_t seed = seed_from_env();
	pid_t pid[2];

	ASSERT_LE(0, q);
	for (unsigned long i = 0; i < kills; i += 2) {
		for (int k = 0; k < 2; k++) {
			uint64_t child = seed ^ ((i + k + 1) * 0x9e3779b97f4a7c15ULL);

			pid[k] = fork();
			ASSERT_LE(0, pid[k]);
			if (!pid[k])
				live(self->dev, q, child);
		}
		sleep_ms(next_random(&seed) % 60 + 3);
		for (int k = 0; k < 2; k++)
			kill(pid[k], SIGKILL);
		for (int k = 0; k < 2; k++)
			ASSERT_EQ(256 + SIGKILL, wait_child(pid[k]));
		ASSERT_TRUE(wait_waiters(q, 0, 0));
	}
	/* it works as on the first day */
	static char buf[GIFT];

	while (kmm_msgq_receive(q, buf, GIFT, NULL, KMM_MSG_NOWAIT, 0) >= 0)
		;
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(0, kmm_msgq_send(q, "x", 1, i, KMM_MSG_NOWAIT, 0));
	EXPECT_EQ(-EAGAIN, kmm_msgq_send(q, "x", 1, 0, KMM_MSG_NOWAIT, 0));
	close(q);
}

/* Several senders and receivers: each message arrives once, whole, and each sender's in order. */
#define STREAMS	3

TEST_F_TIMEOUT(kmm, streams, 300)
{
	unsigned long nr = env_number("KMM_RACE_MS", 1000) * 2;
	int q = queue(self->dev, 4, sizeof(struct record));
	uint64_t *last = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			      0);
	pid_t sender[STREAMS], receiver;

	ASSERT_LE(0, q);
	for (int i = 0; i < STREAMS; i++) {
		sender[i] = fork();
		if (sender[i])
			continue;
		for (uint64_t n = 1; n <= nr; n++) {
			struct record r = { .seq = (uint64_t)i << 32 | n };

			memset(r.fill, n, sizeof(r.fill));
			r.sum = r.seq * 3;
			if (kmm_msgq_send(q, &r, sizeof(r) - n % 100, 0, 0, 0))
				_exit(1);
		}
		_exit(0);
	}
	receiver = fork();
	if (!receiver) {
		for (uint64_t n = 0; n < nr * STREAMS; n++) {
			struct record r;
			int got = kmm_msgq_receive(q, &r, sizeof(r), NULL, 0, 0);
			uint64_t seq = r.seq & UINT32_MAX, i = r.seq >> 32;

			if (got < 0 || i >= STREAMS || r.sum != r.seq * 3)
				_exit(1);
			if (seq != last[i] + 1 || got != (int)(sizeof(r) - seq % 100))
				_exit(2);
			if (!all_bytes(r.fill, seq, sizeof(r.fill) - seq % 100))
				_exit(3);
			last[i] = seq;
		}
		_exit(0);
	}
	for (int i = 0; i < STREAMS; i++)
		EXPECT_EQ(0, wait_child(sender[i]));
	EXPECT_EQ(0, wait_child(receiver));
	munmap(last, PAGE);
	close(q);
}

/* === What root sees === */

TEST_F(kmm, debugfs_row)
{
	FILE *f = fopen("/sys/kernel/debug/kmm/msgq", "re");
	int q = kmm_msgq_open(self->dev, "with blank", RW | KMM_MSGQ_CREATE, 0600, 7, 64);
	struct kmm_msgq_info i;
	char line[300], want[300];
	bool found = false;

	if (!f) {
		kmm_msgq_unlink(self->dev, "with blank");
		close(q);
		SKIP(return, "no debugfs");
	}
	ASSERT_LE(0, q);
	EXPECT_EQ(0, send_text(q, "1234567", 1, 0));
	ASSERT_EQ(0, kmm_msgq_info(q, &i));
	snprintf(want, sizeof(want),
		 "%8llu %8u %8u %10llu %8u %9u %7u %11llu %8u %8d %6d %s\n", i.id, 1, 7, 7ULL,
		 64, 0, 0, i.reserved_frames * 4, getuid(), getpid(), 1,
		 "with\\040blank");
	while (fgets(line, sizeof(line), f))
		found |= !strcmp(line, want);
	EXPECT_TRUE(found) TH_LOG("no row %s", want);
	fclose(f);
	EXPECT_EQ(0, kmm_msgq_unlink(self->dev, "with blank"));
	close(q);
}

TEST_HARNESS_MAIN
