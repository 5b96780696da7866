// SPDX-License-Identifier: GPL-2.0-only
/* Objects travel over unix sockets like any descriptor, and die with the last one. */
#include "kmm_test.h"

/* The receiver starts before the object exists: nothing is inherited. */
TEST_F(kmm, passed_to_another_process)
{
	int pair[2], obj, ro, fd[2];
	pid_t pid;
	char *p;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(pair[0]);
		if (receive_fds(pair[1], fd, 2))
			_exit(1);
		p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd[0], 0);
		if (p == MAP_FAILED || memcmp(p, "from parent", 11))
			_exit(2);
		memcpy(p + PAGE, "from child", 10);
		if (mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd[1], 0) != EACCES)
			_exit(3);
		p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd[1], 0);
		if (p == MAP_FAILED || memcmp(p + PAGE, "from child", 10))
			_exit(4);
		_exit(0);
	}
	close(pair[1]);
	obj = kmm_object_create(self->dev, 2 * PAGE, 0);
	ASSERT_LE(0, obj);
	ro = kmm_object_reopen(obj, KMM_REOPEN_RDONLY);
	ASSERT_LE(0, ro);
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	memcpy(p, "from parent", 11);
	fd[0] = obj;
	fd[1] = ro;
	ASSERT_EQ(0, send_fds(pair[0], fd, 2));
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, memcmp(p + PAGE, "from child", 10));
	munmap(p, 2 * PAGE);
	close(pair[0]);
	close(ro);
	close(obj);
}

TEST_F(kmm, in_flight_keeps_it_alive)
{
	int pair[2], obj, got = -1;
	struct kmm_stat s;
	char buf[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	obj = kmm_object_create(self->dev, 8 * PAGE, KMM_OBJECT_EAGER);
	ASSERT_LE(0, obj);
	ASSERT_EQ(2, pwrite(obj, "ok", 2, 0));
	ASSERT_EQ(0, send_fds(pair[0], &obj, 1));
	close(obj);
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
	EXPECT_EQ(self->before.used + 8, s.used);
	ASSERT_EQ(0, receive_fds(pair[1], &got, 1));
	EXPECT_EQ(2, pread(got, buf, 2, 0));
	EXPECT_EQ(0, memcmp(buf, "ok", 2));
	close(got);
	close(pair[0]);
	close(pair[1]);
}

/* A message that nobody ever receives: the socket's end frees it. */
TEST_F(kmm, in_flight_dies_with_the_socket)
{
	int pair[2], obj;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	for (int i = 0; i < 20; i++) {
		obj = kmm_object_create(self->dev, 4 * PAGE, KMM_OBJECT_EAGER);
		ASSERT_LE(0, obj);
		ASSERT_EQ(0, send_fds(pair[0], &obj, 1));
		close(obj);
	}
	close(pair[0]);
	close(pair[1]);
}

/* Two sockets, each in flight over the other with an object: the garbage collector's case. */
TEST_F(kmm, in_flight_in_a_cycle)
{
	int a[2], obj, fd[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, a));
	obj = kmm_object_create(self->dev, 4 * PAGE, KMM_OBJECT_EAGER);
	ASSERT_LE(0, obj);
	fd[0] = a[1];
	fd[1] = obj;
	ASSERT_EQ(0, send_fds(a[0], fd, 2));
	fd[0] = a[0];
	ASSERT_EQ(0, send_fds(a[1], fd, 2));
	close(obj);
	close(a[0]);
	close(a[1]);
	/* unix_gc runs when a socket with something in flight is closed: make one more. */
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, a));
	ASSERT_EQ(0, send_fds(a[0], a, 1));
	close(a[0]);
	close(a[1]);
}

TEST_HARNESS_MAIN
