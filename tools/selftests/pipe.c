// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pipe of kmm means what pipe(7) says. The plainest reference is the host's own pipe: where it
 * can, a test does the same to both and compares. KMM_SEED repeats a run. Load, limits
 * and kills are in pipe_load.c.
 */
#include <sys/epoll.h>
#include <sys/sendfile.h>

#include "kmm_test.h"

#define RD 0
#define WR 1

static int avail(int fd)
{
	int n = -1;

	return ioctl(fd, FIONREAD, &n) ? -errno : n;
}

static int events(int fd)
{
	struct pollfd p = {
		.fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDNORM | POLLWRNORM,
	};

	return poll(&p, 1, 0) < 0 ? -errno : p.revents;
}

static void set_flag(int fd, int flag, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	fcntl(fd, F_SETFL, on ? flags | flag : flags & ~flag);
}

static void nothing(int sig)
{
	(void)sig;
}

static void on_signal(int sig, int flags)
{
	struct sigaction a = { .sa_handler = nothing, .sa_flags = flags };

	sigaction(sig, &a, NULL);
}

static void close_pipe(int fd[2])
{
	close(fd[RD]);
	close(fd[WR]);
}

/* Bytes that tell their place. */
static void pattern(char *buf, size_t n, uint64_t at)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = (char)((at + i) * 31 + (at + i) / 251);
}

/* Is the child asleep, and so in the call that it was to block in? */
static bool wait_asleep(pid_t pid)
{
	uint64_t end = now_ms() + 20000;
	char path[64], line[256], *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	while (now_ms() < end) {
		f = fopen(path, "re");
		if (!f)
			return false;
		p = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
		fclose(f);
		if (p && p[2] == 'S')
			return true;
		sleep_ms(2);
	}
	return false;
}

/* Until it has taken all: who sleeps then waits for what is not written yet. */
static bool wait_empty(int fd)
{
	uint64_t end = now_ms() + 20000;

	while (avail(fd) && now_ms() < end)
		sleep_ms(2);
	return !avail(fd);
}

TEST_F(kmm, looks_like_a_pipe)
{
	struct kmm_pipe_info i;
	struct stat a, b;
	char path[64], c;
	int fd[2];

	ASSERT_EQ(0, kmm_pipe_create(self->dev, 0, 0, fd));
	ASSERT_EQ(0, fstat(fd[RD], &a));
	ASSERT_EQ(0, fstat(fd[WR], &b));
	EXPECT_TRUE(S_ISFIFO(a.st_mode));
	EXPECT_TRUE(S_ISFIFO(b.st_mode));
	EXPECT_EQ(0600, a.st_mode & 07777);
	EXPECT_EQ(a.st_ino, b.st_ino);
	EXPECT_EQ(0, a.st_size);
	EXPECT_EQ(O_RDONLY, fcntl(fd[RD], F_GETFL) & O_ACCMODE);
	EXPECT_EQ(O_WRONLY, fcntl(fd[WR], F_GETFL) & O_ACCMODE);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd[RD], F_GETFD));
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd[WR], F_GETFD));
	EXPECT_EQ(EBADF, ERR(read(fd[WR], &c, 1)));
	EXPECT_EQ(EBADF, ERR(write(fd[RD], &c, 1)));
	EXPECT_EQ(ESPIPE, ERR(lseek(fd[RD], 0, SEEK_CUR)));
	EXPECT_EQ(ESPIPE, ERR(lseek(fd[WR], 0, SEEK_SET)));
	EXPECT_EQ(ESPIPE, ERR(pread(fd[RD], &c, 1, 0)));
	EXPECT_EQ(ESPIPE, ERR(pwrite(fd[WR], &c, 1, 0)));
	EXPECT_EQ(ENODEV, mmap_err(PAGE, PROT_READ, MAP_SHARED, fd[RD], 0));
	EXPECT_EQ(EINVAL, ERR(ftruncate(fd[WR], 0)));
	EXPECT_EQ(EINVAL, ERR(fsync(fd[WR])));
	EXPECT_EQ(ESPIPE, ERR(fallocate(fd[WR], 0, 0, 4096)));
	/* No second way in, and its mode stays. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd[RD]);
	EXPECT_EQ(ENXIO, ERR(open(path, O_RDONLY)));
	EXPECT_EQ(ENXIO, ERR(open(path, O_RDWR)));
	EXPECT_EQ(EPERM, ERR(fchmod(fd[RD], 0666)));
	EXPECT_EQ(0, kmm_pipe_info(fd[WR], &i));
	EXPECT_EQ(KMM_PIPE_SIZE_DEFAULT, i.size_bytes);
	EXPECT_EQ(0, i.bytes);
	EXPECT_EQ(0, i.frames);
	EXPECT_EQ(1, i.readers);
	EXPECT_EQ(1, i.writers);
	EXPECT_LT(0, i.id);
	/* Nothing is asked, nothing happens, on an empty pipe too. */
	EXPECT_EQ(0, read(fd[RD], &c, 0));
	EXPECT_EQ(0, write(fd[WR], &c, 0));
	EXPECT_EQ(0, events(fd[RD]));
	EXPECT_EQ(3, write(fd[WR], "abc", 3));
	EXPECT_EQ(3, avail(fd[RD]));
	EXPECT_EQ(3, avail(fd[WR]));
	EXPECT_EQ(0, kmm_pipe_info(fd[RD], &i));
	EXPECT_EQ(3, i.bytes);
	EXPECT_EQ(1, i.frames);
	close(fd[WR]);
	EXPECT_EQ(0, kmm_pipe_info(fd[RD], &i));
	EXPECT_EQ(0, i.writers);
	close(fd[RD]);
}

/*
 * The same random calls on the host's pipe and on kmm's, without waiting: each must return the
 * same, leave the same number of bytes, say the same in poll, and give the same bytes.
 */
static void same_as_host(struct __test_metadata *_metadata, int dev, int packet,
			 unsigned long rounds)
{
	static char out[100000], in[2][100000];
	uint64_t seed = seed_from_env(), at = 0;
	int fd[2][2];
	ssize_t n[2];

	ASSERT_EQ(0, pipe2(fd[0], O_NONBLOCK | packet));
	ASSERT_EQ(0, kmm_pipe_create(dev, 0, KMM_PIPE_NONBLOCK |
				     (packet ? KMM_PIPE_PACKET : 0), fd[1]));
	for (unsigned long r = 0; r < rounds; r++) {
		size_t size = next_random(&seed) % 3 ? next_random(&seed) % 300 :
			      next_random(&seed) % 5 ? next_random(&seed) % 3 * 4096 :
			      next_random(&seed) % sizeof(out);
		uint64_t what = next_random(&seed) % 8;
		struct iovec v[2] = { { out, size / 3 }, { out + size / 3, size - size / 3 } };

		/* Long phases of more writes, and of more reads. */
		if (what < (r / 64 % 2 ? 2 : 5)) {
			pattern(out, size, at);
			for (int k = 0; k < 2; k++) {
				n[k] = r % 5 ? write(fd[k][WR], out, size) :
					       writev(fd[k][WR], v, 2);
				if (n[k] < 0)
					n[k] = -errno;
			}
			if (n[1] > 0)
				at += n[1];
		} else {
			for (int k = 0; k < 2; k++) {
				n[k] = read(fd[k][RD], in[k], size);
				if (n[k] < 0)
					n[k] = -errno;
			}
			if (n[0] > 0)
				ASSERT_EQ(0, memcmp(in[0], in[1], n[0])) TH_LOG("round %lu", r);
		}
		ASSERT_EQ(n[0], n[1]) TH_LOG("round %lu, %zu bytes", r, size);
		ASSERT_EQ(avail(fd[0][RD]), avail(fd[1][RD])) TH_LOG("round %lu", r);
		ASSERT_EQ(events(fd[0][RD]), events(fd[1][RD])) TH_LOG("round %lu", r);
		ASSERT_EQ(events(fd[0][WR]), events(fd[1][WR])) TH_LOG("round %lu", r);
	}
	EXPECT_LT(rounds * 10, at);
	/* The end of one side, and of the other. */
	for (int k = 0; k < 2; k++)
		close(fd[k][WR]);
	do {
		ASSERT_EQ(events(fd[0][RD]), events(fd[1][RD]));
		for (int k = 0; k < 2; k++)
			n[k] = read(fd[k][RD], in[k], 5000);
		ASSERT_EQ(n[0], n[1]);
		ASSERT_EQ(0, memcmp(in[0], in[1], n[0]));
	} while (n[0] > 0);
	EXPECT_EQ(POLLHUP, events(fd[1][RD]));
	for (int k = 0; k < 2; k++)
		close(fd[k][RD]);
}

TEST_F(kmm, stream_as_the_hosts)
{
	same_as_host(_metadata, self->dev, 0, 3000);
}

TEST_F(kmm, packets_as_the_hosts)
{
	same_as_host(_metadata, self->dev, O_DIRECT, 3000);
}

TEST_F(kmm, packet_mode_by_fcntl)
{
	char buf[8192];
	int fd[2];

	ASSERT_EQ(0, kmm_pipe_create(self->dev, 0, KMM_PIPE_NONBLOCK, fd));
	ASSERT_EQ(2, write(fd[WR], "ab", 2));
	set_flag(fd[WR], O_DIRECT, true);
	EXPECT_NE(0, fcntl(fd[WR], F_GETFL) & O_DIRECT);
	/* A packet is not added to the bytes before it, nor are bytes to a packet. */
	ASSERT_EQ(3, write(fd[WR], "cde", 3));
	set_flag(fd[WR], O_DIRECT, false);
	ASSERT_EQ(2, write(fd[WR], "fg", 2));
	ASSERT_EQ(7, avail(fd[RD]));
	/* Bytes go on into a packet; what of it does not fit is gone. */
	EXPECT_EQ(4, read(fd[RD], buf, 4));
	EXPECT_EQ(0, memcmp(buf, "abcd", 4));
	EXPECT_EQ(2, avail(fd[RD]));
	EXPECT_EQ(2, read(fd[RD], buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, "fg", 2));
	/* Larger than PIPE_BUF: several packets. */
	set_flag(fd[WR], O_DIRECT, true);
	memset(buf, 'x', sizeof(buf));
	ASSERT_EQ(5000, write(fd[WR], buf, 5000));
	EXPECT_EQ(4096, read(fd[RD], buf, sizeof(buf)));
	EXPECT_EQ(904, read(fd[RD], buf, sizeof(buf)));
	EXPECT_EQ(EAGAIN, ERR(read(fd[RD], buf, 1)));
	close_pipe(fd);
}

/* === Waiting === */

TEST_F(kmm, reader_waits_for_bytes)
{
	char buf[100];
	int fd[2];
	pid_t pid;

	ASSERT_EQ(0, kmm_pipe_create(self->dev, 0, 0, fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(fd[WR]);
		/* Two waits, then the end. */
		_exit(read(fd[RD], buf, 100) == 5 && !memcmp(buf, "hello", 5) &&
		      read(fd[RD], buf, 100) == 2 && read(fd[RD], buf, 100) == 0 ? 0 : 1);
	}
	close(fd[RD]);
	ASSERT_TRUE(wait_asleep(pid));
	ASSERT_EQ(5, write(fd[WR], "hello", 5));
	ASSERT_TRUE(wait_empty(fd[WR]));
	ASSERT_TRUE(wait_asleep(pid));
	ASSERT_EQ(2, write(fd[WR], "hi", 2));
	ASSERT_TRUE(wait_empty(fd[WR]));
	ASSERT_TRUE(wait_asleep(pid));
	close(fd[WR]);
	EXPECT_EQ(0, wait_child(pid));
}

TEST_F(kmm, writer_waits_for_room)
{
	static char big[1 << 20], buf[1 << 20];
	size_t at = 0;
	int fd[2];
	ssize_t n;
	pid_t pid;

	pattern(big, sizeof(big), 0);
	ASSERT_EQ(0, kmm_pipe_create(self->dev, 2 * PAGE, 0, fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(fd[RD]);
		_exit(write(fd[WR], big, sizeof(big)) == sizeof(big) ? 0 : 1);
	}
	close(fd[WR]);
	ASSERT_TRUE(wait_asleep(pid));
	EXPECT_EQ((int)(2 * PAGE), avail(fd[RD]));
	/* Less than a page makes no room for a page: the writer sleeps on. */
	ASSERT_EQ(100, read(fd[RD], buf, 100));
	at = 100;
	ASSERT_TRUE(wait_asleep(pid));
	EXPECT_EQ((int)(2 * PAGE) - 100, avail(fd[RD]));
	while ((n = read(fd[RD], buf + at, 10000)) > 0)
		at += n;
	EXPECT_EQ(sizeof(big), at);
	EXPECT_EQ(0, memcmp(big, buf, sizeof(big)));
	EXPECT_EQ(0, wait_child(pid));
	close(fd[RD]);
}

TEST_F(kmm, full_pipe_takes_no_atomic_write_in_part)
{
	char buf[4096] = "";
	int fd[2];

	ASSERT_EQ(0, kmm_pipe_create(self->dev, 2 * PAGE, KMM_PIPE_NONBLOCK, fd));
	ASSERT_EQ(4096, write(fd[WR], buf, 4096));
	ASSERT_EQ(4000, write(fd[WR], buf, 4000));
	EXPECT_EQ(EAGAIN, ERR(write(fd[WR], buf, 97)));
	EXPECT_EQ(0, events(fd[WR]));
	EXPECT_EQ(96, write(fd[WR], buf, 96));
	EXPECT_EQ(EAGAIN, ERR(write(fd[WR], buf, 1)));
	EXPECT_EQ(8192, avail(fd[RD]));
	/* O_NONBLOCK of this moment counts, for each end by itself. */
	set_flag(fd[RD], O_NONBLOCK, false);
	EXPECT_EQ(EAGAIN, ERR(write(fd[WR], buf, 1)));
	EXPECT_EQ(4096, read(fd[RD], buf, 4096));
	EXPECT_EQ(POLLOUT | POLLWRNORM, events(fd[WR]));
	EXPECT_EQ(4096, read(fd[RD], buf, 4096));
	set_flag(fd[RD], O_NONBLOCK, true);
	EXPECT_EQ(EAGAIN, ERR(read(fd[RD], buf, 1)));
	close_pipe(fd);
}

TEST_F(kmm, no_reader)
{
	char buf[3 * 4096] = "";
	int fd[2];
	pid_t pid;

	ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, 0, fd));
	close(fd[RD]);
	EXPECT_EQ(POLLOUT | POLLWRNORM | POLLERR, events(fd[WR]));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		(void)!write(fd[WR], "x", 1);
		_exit(0);
	}
	EXPECT_EQ(256 + SIGPIPE, wait_child(pid));
	signal(SIGPIPE, SIG_IGN);
	EXPECT_EQ(EPIPE, ERR(write(fd[WR], "x", 1)));
	EXPECT_EQ(0, write(fd[WR], "x", 0));
	close(fd[WR]);

	/* The reader goes while a write waits: what went in is told, then SIGPIPE. */
	ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, 0, fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(fd[RD]);
		on_signal(SIGPIPE, 0);
		_exit(write(fd[WR], buf, sizeof(buf)) == 4096 &&
		      ERR(write(fd[WR], buf, 1)) == EPIPE ? 0 : 1);
	}
	ASSERT_TRUE(wait_asleep(pid));
	close_pipe(fd);
	EXPECT_EQ(0, wait_child(pid));
}

TEST_F(kmm, signals)
{
	char c;
	int fd[2];
	pid_t pid;

	ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, 0, fd));
	/* Without SA_RESTART: EINTR. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		on_signal(SIGUSR1, 0);
		_exit(ERR(read(fd[RD], &c, 1)) == EINTR ? 0 : 1);
	}
	ASSERT_TRUE(wait_asleep(pid));
	kill(pid, SIGUSR1);
	EXPECT_EQ(0, wait_child(pid));
	/* With it: the read goes on. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		on_signal(SIGUSR1, SA_RESTART);
		_exit(read(fd[RD], &c, 1) == 1 && c == 'y' ? 0 : 1);
	}
	ASSERT_TRUE(wait_asleep(pid));
	kill(pid, SIGUSR1);
	sleep_ms(20);
	ASSERT_TRUE(wait_asleep(pid));
	ASSERT_EQ(1, write(fd[WR], "y", 1));
	EXPECT_EQ(0, wait_child(pid));
	/* A write that was in part done says how much. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		static char buf[3 * 4096];

		on_signal(SIGUSR1, SA_RESTART);
		_exit(write(fd[WR], buf, sizeof(buf)) == 4096 ? 0 : 1);
	}
	ASSERT_TRUE(wait_asleep(pid));
	kill(pid, SIGUSR1);
	EXPECT_EQ(0, wait_child(pid));
	close_pipe(fd);
}

/* Of several who wait for bytes one is killed: the bytes wake the others. */
TEST_F(kmm, killed_reader_loses_no_wakeup)
{
	int fd[2];
	char c;

	for (int round = 0; round < 20; round++) {
		uint64_t end = now_ms() + 20000;
		pid_t pid[3];

		ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, 0, fd));
		for (int k = 0; k < 3; k++) {
			pid[k] = fork();
			ASSERT_LE(0, pid[k]);
			if (!pid[k]) {
				close(fd[WR]);
				_exit(read(fd[RD], &c, 1) < 0);
			}
		}
		for (int k = 0; k < 3; k++)
			ASSERT_TRUE(wait_asleep(pid[k]));
		/* In one go, so that the one who is woken may be the one who dies. */
		kill(pid[round % 3], SIGKILL);
		ASSERT_EQ(2, write(fd[WR], "ab", 2));
		while (avail(fd[RD]) && now_ms() < end)
			sleep_ms(1);
		EXPECT_EQ(0, avail(fd[RD]));
		close_pipe(fd);
		for (int k = 0; k < 3; k++) {
			int how = wait_child(pid[k]);

			EXPECT_TRUE(how == 0 || (k == round % 3 && how == 256 + SIGKILL));
		}
	}
}

/* === Who has an end === */

TEST_F(kmm, an_end_is_open_while_anybody_has_it)
{
	struct kmm_pipe_info i;
	int fd[2], copy, go[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, kmm_pipe_create(self->dev, 0, KMM_PIPE_NONBLOCK, fd));
	ASSERT_EQ(0, pipe(go));
	copy = dup(fd[WR]);
	close(fd[WR]);
	EXPECT_EQ(EAGAIN, ERR(read(fd[RD], &c, 1)));
	EXPECT_EQ(1, write(copy, "a", 1));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(go[WR]);
		(void)!read(go[RD], &c, 1);
		_exit(write(copy, "b", 1) == 1 ? 0 : 1);
	}
	close(copy);
	EXPECT_EQ(1, read(fd[RD], &c, 1));
	/* The child still has it. */
	EXPECT_EQ(EAGAIN, ERR(read(fd[RD], &c, 1)));
	EXPECT_EQ(0, events(fd[RD]));
	EXPECT_EQ(0, kmm_pipe_info(fd[RD], &i));
	EXPECT_EQ(1, i.writers);
	close_pipe(go);
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(POLLIN | POLLRDNORM | POLLHUP, events(fd[RD]));
	EXPECT_EQ(1, read(fd[RD], &c, 1));
	EXPECT_EQ('b', c);
	EXPECT_EQ(0, read(fd[RD], &c, 1));
	EXPECT_EQ(POLLHUP, events(fd[RD]));
	close(fd[RD]);
}

static int send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte = 'x';
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return sendmsg(sock, &m, 0) == 1 ? 0 : -errno;
}

TEST_F(kmm, an_end_in_flight_is_open)
{
	int fd[2], sock[2];
	char c;

	ASSERT_EQ(0, kmm_pipe_create(self->dev, 0, KMM_PIPE_NONBLOCK, fd));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	ASSERT_EQ(0, send_fd(sock[0], fd[WR]));
	close(fd[WR]);
	EXPECT_EQ(EAGAIN, ERR(read(fd[RD], &c, 1)));
	/* The message dies unread, and with it the last of the write end. */
	close(sock[0]);
	close(sock[1]);
	for (int k = 0; k < 500 && events(fd[RD]) != POLLHUP; k++)
		sleep_ms(10);
	EXPECT_EQ(0, read(fd[RD], &c, 1));
	close(fd[RD]);
}

/* === poll, epoll, SIGIO === */

TEST_F(kmm, epoll_edges)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET }, got;
	int ep = epoll_create1(0), fd[2];
	char buf[100];

	ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, KMM_PIPE_NONBLOCK, fd));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, fd[RD], &ev));
	EXPECT_EQ(0, epoll_wait(ep, &got, 1, 0));
	/* Each write is an edge, though the bytes before it were not read. */
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(1, write(fd[WR], "x", 1));
		EXPECT_EQ(1, epoll_wait(ep, &got, 1, 0));
		EXPECT_EQ(EPOLLIN, got.events);
		EXPECT_EQ(0, epoll_wait(ep, &got, 1, 0));
	}
	close(fd[WR]);
	EXPECT_EQ(1, epoll_wait(ep, &got, 1, 0));
	EXPECT_EQ(EPOLLIN | EPOLLHUP, got.events);
	EXPECT_EQ(3, read(fd[RD], buf, 100));
	close(fd[RD]);

	ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, KMM_PIPE_NONBLOCK, fd));
	ev.events = EPOLLOUT | EPOLLET;
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, fd[WR], &ev));
	EXPECT_EQ(1, epoll_wait(ep, &got, 1, 0));
	EXPECT_EQ(EPOLLOUT, got.events);
	ASSERT_EQ(100, write(fd[WR], buf, 100));
	EXPECT_EQ(0, epoll_wait(ep, &got, 1, 0));
	ASSERT_EQ(100, read(fd[RD], buf, 100));
	EXPECT_EQ(1, epoll_wait(ep, &got, 1, 0));
	close(fd[RD]);
	EXPECT_EQ(1, epoll_wait(ep, &got, 1, 0));
	EXPECT_EQ(EPOLLOUT | EPOLLERR, got.events);
	close(fd[WR]);
	close(ep);
}

TEST_F(kmm, poll_wakes_up)
{
	char page[4096] = "";
	struct pollfd p;
	int fd[2];
	pid_t pid;

	for (int end = RD; end <= WR; end++) {
		ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, 0, fd));
		if (end == WR)
			ASSERT_EQ(4096, write(fd[WR], page, 4096));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			p = (struct pollfd){ fd[end], end == RD ? POLLIN : POLLOUT, 0 };
			close(fd[!end]);
			if (poll(&p, 1, 20000) != 1 || p.revents != p.events)
				_exit(1);
			p.events = 0;
			_exit(poll(&p, 1, 20000) == 1 &&
			      p.revents == (end == RD ? POLLHUP : POLLERR) ? 0 : 2);
		}
		ASSERT_TRUE(wait_asleep(pid));
		ASSERT_EQ(4096, end == RD ? write(fd[WR], page, 4096) : read(fd[RD], page, 4096));
		sleep_ms(20);
		ASSERT_TRUE(wait_asleep(pid));
		/* Ours is the last one. */
		close(fd[!end]);
		EXPECT_EQ(0, wait_child(pid));
		close(fd[end]);
	}
}

static volatile sig_atomic_t nr_sigio;

static void count_sigio(int sig)
{
	(void)sig;
	nr_sigio++;
}

TEST_F(kmm, sigio)
{
	int fd[2];
	char c;

	ASSERT_EQ(0, kmm_pipe_create(self->dev, 0, 0, fd));
	signal(SIGIO, count_sigio);
	nr_sigio = 0;
	ASSERT_EQ(0, fcntl(fd[RD], F_SETOWN, getpid()));
	set_flag(fd[RD], O_ASYNC, true);
	ASSERT_EQ(1, write(fd[WR], "x", 1));
	EXPECT_EQ(1, nr_sigio);
	set_flag(fd[RD], O_ASYNC, false);
	ASSERT_EQ(1, write(fd[WR], "x", 1));
	EXPECT_EQ(1, nr_sigio);
	ASSERT_EQ(0, fcntl(fd[WR], F_SETOWN, getpid()));
	set_flag(fd[WR], O_ASYNC, true);
	ASSERT_EQ(1, read(fd[RD], &c, 1));
	ASSERT_EQ(1, read(fd[RD], &c, 1));
	EXPECT_LT(1, nr_sigio);
	/* Closed with O_ASYNC on. */
	close_pipe(fd);
}

/* === Capacity === */

TEST_F(kmm, resize)
{
	const struct { uint64_t want; int err; uint64_t have; } t[] = {
		{ 0, EINVAL, 0 }, { 1, 0, PAGE }, { PAGE, 0, PAGE }, { PAGE + 1, 0, 2 * PAGE },
		{ 5 * PAGE, 0, 8 * PAGE }, { 1 << 20, 0, 1 << 20 }, { (1 << 20) + 1, 0, 2 << 20 },
		{ KMM_PIPE_SIZE_HARD_MAX, 0, KMM_PIPE_SIZE_HARD_MAX },
		{ KMM_PIPE_SIZE_HARD_MAX + 1, EFBIG, 0 }, { 1ULL << 32, EFBIG, 0 },
		{ UINT64_MAX, EFBIG, 0 }, { PAGE, 0, PAGE },
	};
	static char out[8 * 4096], in[8 * 4096];
	struct kmm_pipe_info i;
	uint64_t size;
	int fd[2];
	pid_t pid;

	for (size_t k = 0; k < ARRAY_SIZE(t); k++) {
		/* Size 0 of a new one is the default. */
		if (t[k].want) {
			EXPECT_EQ(-t[k].err, kmm_pipe_create(self->dev, t[k].want, 0, fd));
			if (!t[k].err)
				close_pipe(fd);
		}
	}
	ASSERT_EQ(0, kmm_pipe_create(self->dev, 0, KMM_PIPE_NONBLOCK, fd));
	for (size_t k = 0; k < ARRAY_SIZE(t); k++) {
		size = t[k].want;
		EXPECT_EQ(-t[k].err, kmm_pipe_resize(fd[k % 2], &size)) TH_LOG("case %zu", k);
		EXPECT_EQ(t[k].err ? t[k].want : t[k].have, size);
		EXPECT_EQ(0, kmm_pipe_info(fd[RD], &i));
		if (!t[k].err)
			EXPECT_EQ(t[k].have, i.size_bytes);
	}
	/* Contents survive, at any place in the ring; less than there is: EBUSY. */
	pattern(out, sizeof(out), 0);
	for (int turn = 0; turn < 20; turn++) {
		size = 8 * PAGE;
		ASSERT_EQ(0, kmm_pipe_resize(fd[RD], &size));
		ASSERT_EQ(3 * 4096 + 10, write(fd[WR], out, 3 * 4096 + 10));
		size = 2 * PAGE;
		EXPECT_EQ(-EBUSY, kmm_pipe_resize(fd[WR], &size));
		size = 4 * PAGE;
		EXPECT_EQ(0, kmm_pipe_resize(fd[WR], &size));
		EXPECT_EQ(EAGAIN, ERR(write(fd[WR], out, 4096)));
		size = 16 * PAGE;
		EXPECT_EQ(0, kmm_pipe_resize(fd[WR], &size));
		EXPECT_EQ(4096, write(fd[WR], out + 3 * 4096 + 10, 4096));
		ASSERT_EQ(4 * 4096 + 10, read(fd[RD], in, sizeof(in)));
		ASSERT_EQ(0, memcmp(in, out, 4 * 4096 + 10));
		/* somewhere else in the ring the next time */
		for (int k = 0; k <= turn % 3; k++) {
			ASSERT_EQ(1, write(fd[WR], "x", 1));
			ASSERT_EQ(1, read(fd[RD], in, 1));
		}
	}
	close_pipe(fd);

	/* More room wakes the writer. */
	ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, 0, fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(write(fd[WR], out, 8 * PAGE) == 8 * PAGE ? 0 : 1);
	ASSERT_TRUE(wait_asleep(pid));
	size = 8 * PAGE;
	EXPECT_EQ(0, kmm_pipe_resize(fd[RD], &size));
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ((int)(8 * PAGE), avail(fd[RD]));
	close_pipe(fd);
}

/* === Buffers that fault === */

TEST_F(kmm, buffers_that_cannot_be_touched)
{
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char buf[4096];
	int fd[2];

	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'p', 2 * PAGE);
	ASSERT_EQ(0, munmap(p + 2 * PAGE, 2 * PAGE));
	ASSERT_EQ(0, kmm_pipe_create(self->dev, 0, KMM_PIPE_NONBLOCK, fd));
	EXPECT_EQ(EFAULT, ERR(write(fd[WR], p + 2 * PAGE, 1)));
	/* An atomic one leaves nothing, a larger one its whole pages. */
	EXPECT_EQ(EFAULT, ERR(write(fd[WR], p + 2 * PAGE - 10, 20)));
	EXPECT_EQ(0, avail(fd[RD]));
	EXPECT_EQ(0, events(fd[RD]));
	EXPECT_EQ(EAGAIN, ERR(read(fd[RD], buf, 1)));
	EXPECT_EQ(4096, write(fd[WR], p + PAGE - 100, 4096 + 200));
	EXPECT_EQ(4096, avail(fd[RD]));
	/* Added to the last slot: all or nothing as well. */
	EXPECT_EQ(4096, read(fd[RD], buf, 4096));
	EXPECT_TRUE(all_bytes(buf, 'p', 4096));
	ASSERT_EQ(3, write(fd[WR], "abc", 3));
	EXPECT_EQ(EFAULT, ERR(write(fd[WR], p + 2 * PAGE - 10, 20)));
	EXPECT_EQ(3, avail(fd[RD]));
	/* What a reader could not take is still there. */
	EXPECT_EQ(EFAULT, ERR(read(fd[RD], p + 2 * PAGE, 3)));
	EXPECT_EQ(EFAULT, ERR(read(fd[RD], p + 2 * PAGE - 1, 3)));
	EXPECT_EQ(3, avail(fd[RD]));
	EXPECT_EQ(3, read(fd[RD], buf, 10));
	EXPECT_EQ(0, memcmp(buf, "abc", 3));
	munmap(p, 2 * PAGE);
	close_pipe(fd);
}

/* From a fresh mapping of kmm into another: each copy faults under the pipe's lock. */
TEST_F(kmm, buffers_of_kmm_itself)
{
	size_t size = 64 * PAGE;
	char *a, *b, *expect = malloc(size);
	int obj, fd[2];

	obj = kmm_object_create(self->dev, 3 * size, 0);
	ASSERT_LE(0, obj);
	ASSERT_EQ(0, kmm_pipe_create(self->dev, size, 0, fd));
	pattern(expect, size, 77);
	ASSERT_EQ((ssize_t)size, pwrite(obj, expect, size, 0));
	a = mmap(NULL, size, PROT_READ, MAP_SHARED, obj, 0);
	b = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, obj, size);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ((ssize_t)size, write(fd[WR], a, size));
	EXPECT_EQ((ssize_t)size, read(fd[RD], b, size));
	EXPECT_EQ(0, memcmp(b, expect, size));
	/* A hole reads as zeros, and behind the end there is nothing. */
	EXPECT_EQ(0, ftruncate(obj, 2 * size));
	munmap(b, size);
	b = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 2 * size);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(EFAULT, ERR(write(fd[WR], b, PAGE)));
	EXPECT_EQ(0, ftruncate(obj, 3 * size));
	EXPECT_EQ((ssize_t)PAGE, write(fd[WR], b, PAGE));
	EXPECT_EQ((ssize_t)PAGE, read(fd[RD], b + PAGE, PAGE));
	EXPECT_TRUE(all_bytes(b + PAGE, 0, PAGE));
	munmap(a, size);
	munmap(b, size);
	close(obj);
	close_pipe(fd);
	free(expect);
}

/* === Splice === */

TEST_F(kmm, splice_both_ways)
{
	static char out[40000], in[40000];
	int host[2], fd[2];
	size_t at = 0, done = 0;
	ssize_t n;

	pattern(out, sizeof(out), 5);
	ASSERT_EQ(0, pipe(host));
	ASSERT_EQ(0, kmm_pipe_create(self->dev, 0, 0, fd));
	/* Host to kmm; sizes that begin and end within pages. */
	ASSERT_EQ(40000, write(host[WR], out, 40000));
	while (at < 40000) {
		n = splice(host[RD], NULL, fd[WR], NULL, 7000, 0);
		ASSERT_LT(0, n);
		at += n;
	}
	EXPECT_EQ(40000, avail(fd[RD]));
	EXPECT_EQ(0, avail(host[RD]));
	/* And back. */
	while (done < 40000) {
		n = splice(fd[RD], NULL, host[WR], NULL, 9001, 0);
		ASSERT_LT(0, n);
		done += n;
		at = done - n;
		while (n) {
			ssize_t got = read(host[RD], in + at, n);

			ASSERT_LT(0, got);
			at += got;
			n -= got;
		}
	}
	EXPECT_EQ(0, memcmp(in, out, 40000));
	/* The bytes stay when the source is gone; nothing of the region is in the host's pipe. */
	ASSERT_EQ(100, write(fd[WR], out, 100));
	ASSERT_EQ(100, splice(fd[RD], NULL, host[WR], NULL, 4096, 0));
	close_pipe(fd);
	ASSERT_EQ(100, read(host[RD], in, 4096));
	EXPECT_EQ(0, memcmp(in, out, 100));

	/* Not to wait, and what there is not. */
	ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, 0, fd));
	EXPECT_EQ(EAGAIN, ERR(splice(fd[RD], NULL, host[WR], NULL, 1, SPLICE_F_NONBLOCK)));
	EXPECT_EQ(EAGAIN, ERR(splice(host[RD], NULL, fd[WR], NULL, 1, SPLICE_F_NONBLOCK)));
	ASSERT_EQ(1, write(host[WR], "x", 1));
	ASSERT_EQ(4096, write(fd[WR], out, 4096));
	EXPECT_EQ(EAGAIN, ERR(splice(host[RD], NULL, fd[WR], NULL, 1, SPLICE_F_NONBLOCK)));
	EXPECT_EQ(1, avail(host[RD]));
	set_flag(fd[WR], O_NONBLOCK, true);
	EXPECT_EQ(EAGAIN, ERR(splice(host[RD], NULL, fd[WR], NULL, 1, 0)));
	EXPECT_EQ(EINVAL, ERR(splice(fd[RD], NULL, fd[WR], NULL, 1, 0)));
	EXPECT_EQ(EINVAL, ERR(tee(fd[RD], host[WR], 1, 0)));
	loff_t off = 0;

	EXPECT_EQ(EINVAL, ERR(splice(fd[RD], &off, host[WR], NULL, 1, 0)));
	EXPECT_EQ(1, avail(host[RD]));
	/* The ends of the other side. */
	close(fd[WR]);
	EXPECT_EQ(4096, splice(fd[RD], NULL, host[WR], NULL, 9000, 0));
	EXPECT_EQ(0, splice(fd[RD], NULL, host[WR], NULL, 9000, 0));
	close(fd[RD]);
	ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, 0, fd));
	close(fd[RD]);
	signal(SIGPIPE, SIG_IGN);
	EXPECT_EQ(EPIPE, ERR(splice(host[RD], NULL, fd[WR], NULL, 1, 0)));
	close(fd[WR]);
	close_pipe(host);
}

/* While a splice waits for kmm's pipe, the host's pipe is free for others. */
TEST_F(kmm, splice_waits_without_the_hosts_lock)
{
	static char page[4096], buf[8192];
	int host[2], fd[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(host));
	ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, 0, fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(splice(fd[RD], NULL, host[WR], NULL, 5, 0) == 5 ? 0 : 1);
	ASSERT_TRUE(wait_asleep(pid));
	ASSERT_EQ(1, write(host[WR], "x", 1));
	ASSERT_EQ(1, read(host[RD], buf, 1));
	/* Full by others meanwhile: it waits for room, then goes on. */
	for (int k = 0; k < 16; k++)
		ASSERT_EQ(4096, write(host[WR], page, 4096));
	ASSERT_EQ(5, write(fd[WR], "hello", 5));
	sleep_ms(20);
	ASSERT_TRUE(wait_asleep(pid));
	EXPECT_EQ(5, avail(fd[RD]));
	for (int k = 0; k < 16; k++)
		ASSERT_EQ(4096, read(host[RD], buf, 4096));
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(5, read(host[RD], buf, 10));
	EXPECT_EQ(0, memcmp(buf, "hello", 5));

	ASSERT_EQ(4096, write(fd[WR], page, 4096));
	ASSERT_EQ(3, write(host[WR], "abc", 3));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(splice(host[RD], NULL, fd[WR], NULL, 3, 0) == 3 ? 0 : 1);
	ASSERT_TRUE(wait_asleep(pid));
	ASSERT_EQ(1, write(host[WR], "d", 1));
	EXPECT_EQ(4, avail(host[RD]));
	ASSERT_EQ(4096, read(fd[RD], buf, 4096));
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(3, read(fd[RD], buf, 10));
	EXPECT_EQ(0, memcmp(buf, "abc", 3));
	/* And one that waits dies at once. */
	for (int way = 0; way < 2; way++) {
		ASSERT_EQ(way ? 4096 : 0, way ? write(fd[WR], page, 4096) : 0);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			if (way)
				splice(host[RD], NULL, fd[WR], NULL, 1, 0);
			else
				splice(fd[RD], NULL, host[WR], NULL, 5, 0);
			_exit(1);
		}
		ASSERT_TRUE(wait_asleep(pid));
		kill(pid, SIGKILL);
		EXPECT_EQ(256 + SIGKILL, wait_child(pid));
	}
	close_pipe(fd);
	close_pipe(host);
}

/* A splice that cannot go on because of the host's pipe takes nobody's wake-up. */
TEST_F(kmm, splice_loses_no_wakeup)
{
	static char page[4096];
	pid_t splicer, reader;
	int host[2], fd[2];
	char c;

	ASSERT_EQ(0, pipe(host));
	ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, 0, fd));
	splicer = fork();
	ASSERT_LE(0, splicer);
	if (!splicer)
		_exit(splice(fd[RD], NULL, host[WR], NULL, 5, 0) < 0);
	ASSERT_TRUE(wait_asleep(splicer));
	for (int k = 0; k < 16; k++)
		ASSERT_EQ(4096, write(host[WR], page, 4096));
	reader = fork();
	ASSERT_LE(0, reader);
	if (!reader) {
		alarm(20);
		_exit(read(fd[RD], &c, 1) != 1);
	}
	ASSERT_TRUE(wait_asleep(reader));
	ASSERT_EQ(1, write(fd[WR], "x", 1));
	EXPECT_EQ(0, wait_child(reader));
	kill(splicer, SIGKILL);
	EXPECT_EQ(256 + SIGKILL, wait_child(splicer));
	close_pipe(fd);
	close_pipe(host);
}

TEST_F(kmm, files_in_and_out)
{
	static char out[50000], in[50000];
	int file = memfd_create("in", 0), copy = memfd_create("out", 0), fd[2], host[2];
	loff_t off = 100;
	off_t from = 0;
	size_t at = 0;
	ssize_t n;

	pattern(out, sizeof(out), 9);
	ASSERT_EQ(50000, write(file, out, 50000));
	ASSERT_EQ(0, kmm_pipe_create(self->dev, 0, 0, fd));
	/* sendfile from a file; a full pipe ends it early. */
	ASSERT_EQ(50000, sendfile(fd[WR], file, &from, 60000));
	EXPECT_EQ(50000, from);
	from = 0;
	n = sendfile(fd[WR], file, &from, 50000);
	ASSERT_LT(0, n);
	EXPECT_EQ(n, from);
	EXPECT_EQ(50000 + n, avail(fd[RD]));
	ASSERT_EQ(50000, read(fd[RD], in, 50000));
	EXPECT_EQ(0, memcmp(in, out, 50000));
	ASSERT_EQ(n, read(fd[RD], in, 50000));
	EXPECT_EQ(0, memcmp(in, out, n));
	/* By a pipe of the host, as splice wants it, into another file. */
	ASSERT_EQ(0, pipe(host));
	ASSERT_EQ(30000, write(fd[WR], out, 30000));
	while (at < 30000) {
		n = splice(fd[RD], NULL, host[WR], NULL, 8000, 0);
		ASSERT_LT(0, n);
		ASSERT_EQ(n, splice(host[RD], NULL, copy, &off, n, 0));
		at += n;
	}
	EXPECT_EQ(30000, pread(copy, in, 50000, 100));
	EXPECT_EQ(0, memcmp(in, out, 30000));
	/* Out of a pipe there is no sendfile, of the host neither. */
	ASSERT_EQ(1, write(fd[WR], "x", 1));
	ASSERT_EQ(1, write(host[WR], "x", 1));
	int err = ERR(sendfile(copy, host[RD], NULL, 1));

	EXPECT_EQ(err, ERR(sendfile(copy, fd[RD], NULL, 1)));
	EXPECT_EQ(EBADF, ERR(vmsplice(fd[WR], &(struct iovec){ out, 10 }, 1, 0)));
	close_pipe(host);
	close_pipe(fd);
	close(file);
	close(copy);
}

/* === Trace events === */

#define TRACING	"/sys/kernel/tracing/"

static bool set_event(const char *name, const char *text)
{
	char path[128];
	int fd;
	bool ok;

	snprintf(path, sizeof(path), TRACING "events/kmm/%s/enable", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, text, 1) == 1;
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool traced(const char *text)
{
	FILE *f = fopen(TRACING "trace", "re");
	char line[512];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		found |= !!strstr(line, text);
	if (f)
		fclose(f);
	return found;
}

TEST_F(kmm, trace_events)
{
	struct kmm_pipe_info i;
	char want[100], buf[3];
	int fd[2];

	if (access(TRACING "events/kmm/pipe_write", F_OK))
		SKIP(return, "no trace events in this kernel");
	ASSERT_TRUE(set_event("pipe_write", "1") && set_event("pipe_read", "1"));
	ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, KMM_PIPE_NONBLOCK, fd));
	ASSERT_EQ(0, kmm_pipe_info(fd[RD], &i));
	EXPECT_EQ(5, write(fd[WR], "hello", 5));
	EXPECT_EQ(3, read(fd[RD], buf, 3));
	snprintf(want, sizeof(want), "pipe_write: id=%llu ret=5 bytes=5", i.id);
	EXPECT_TRUE(traced(want));
	snprintf(want, sizeof(want), "pipe_read: id=%llu ret=3 bytes=2", i.id);
	EXPECT_TRUE(traced(want));
	/* Off again: nothing more of it. */
	EXPECT_TRUE(set_event("pipe_write", "0") && set_event("pipe_read", "0"));
	EXPECT_EQ(4, write(fd[WR], "more", 4));
	snprintf(want, sizeof(want), "pipe_write: id=%llu ret=4", i.id);
	EXPECT_FALSE(traced(want));
	close_pipe(fd);
}

TEST_HARNESS_MAIN
