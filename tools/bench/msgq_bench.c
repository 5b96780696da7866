// SPDX-License-Identifier: GPL-2.0-only
/*
 * msgq_bench: messages of kmm against what the host has. In each round one task does both ends,
 * nobody waits, and what is timed is the system calls and nothing else. The two sides take
 * turns; the fastest round of each counts. Prints "row NAME HOST KMM ns", as kmm_bench does.
 *
 *   msgq_64_roundtrip  64 bytes into a queue and out again, against mq_send() and mq_receive();
 *                      a round is shorter than a timer tick
 *   msg_1m_gift        1 MiB from one object through a queue into another, frames moving, against
 *                      a write() and a read() of a pipe of 1 MiB. The giver has written all
 *                      pages through a mapping before, so that its mappings must be revoked;
 *                      the receiver's range is empty
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <mqueue.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kmm.h"
#include "now.h"

#define SIZE	64
/* Some 0.5 ms a round. */
#define CALLS	200
#define ROUNDS	40

#define GIFT	(1U << 20)
#define GIFT_ROUNDS	12

static mqd_t host_queue;
static int kmm_queue;
static char sent[SIZE], got[SIZE];

static void open_queues(void)
{
	struct mq_attr attr = { .mq_maxmsg = 10, .mq_msgsize = SIZE };
	struct kmm_msgq_create create = {
		.maxmsg = 10, .msgsize = SIZE, .flags = KMM_MSGQ_READ | KMM_MSGQ_WRITE,
	};
	int dev = open(KMM_DEVICE, O_RDWR | O_CLOEXEC);

	host_queue = mq_open("/kmm_bench", O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (host_queue == (mqd_t)-1)
		err(1, "mq_open");
	mq_unlink("/kmm_bench");
	if (dev < 0)
		err(1, KMM_DEVICE);
	if (ioctl(dev, KMM_IOC_MSGQ_CREATE, &create))
		err(1, "KMM_IOC_MSGQ_CREATE");
	kmm_queue = create.fd;
}

static uint64_t round_host(void)
{
	uint64_t start = now_ns();
	int i;

	for (i = 0; i < CALLS; i++)
		if (mq_send(host_queue, sent, SIZE, 3) ||
		    mq_receive(host_queue, got, SIZE, NULL) != SIZE)
			err(1, "host");
	return now_ns() - start;
}

static uint64_t round_kmm(void)
{
	uint64_t start = now_ns();
	int i;

	for (i = 0; i < CALLS; i++) {
		struct kmm_msgq_send s = { .buf = (uintptr_t)sent, .size_bytes = SIZE, .prio = 3 };
		struct kmm_msgq_receive r = { .buf = (uintptr_t)got, .size_bytes = SIZE };

		if (ioctl(kmm_queue, KMM_IOC_MSGQ_SEND, &s) ||
		    ioctl(kmm_queue, KMM_IOC_MSGQ_RECEIVE, &r) || r.size_bytes != SIZE)
			err(1, "kmm");
	}
	return now_ns() - start;
}

/* The message comes out as it went in. */
static void verify(const char *side)
{
	if (memcmp(sent, got, SIZE)) {
		fprintf(stderr, "msgq_bench: %s: other bytes came out\n", side);
		exit(1);
	}
	memset(got, 0, SIZE);
}

/* === 1 MiB === */

static int gift_queue, gift_object[2], gift_pipe[2];
static char *gift_map[2], *pipe_from, *pipe_to;

static void open_gift(void)
{
	struct kmm_msgq_create create = {
		.maxmsg = 1, .msgsize = GIFT, .flags = KMM_MSGQ_READ | KMM_MSGQ_WRITE,
	};
	int dev = open(KMM_DEVICE, O_RDWR | O_CLOEXEC), i;

	if (dev < 0 || ioctl(dev, KMM_IOC_MSGQ_CREATE, &create))
		err(1, "queue of 1 MiB");
	gift_queue = create.fd;
	for (i = 0; i < 2; i++) {
		struct kmm_object_create o = { .size_bytes = GIFT };

		if (ioctl(dev, KMM_IOC_OBJECT_CREATE, &o))
			err(1, "KMM_IOC_OBJECT_CREATE");
		gift_object[i] = o.fd;
		gift_map[i] = mmap(NULL, GIFT, PROT_READ | PROT_WRITE, MAP_SHARED, o.fd, 0);
		if (gift_map[i] == MAP_FAILED)
			err(1, "mmap");
	}
	pipe_from = malloc(GIFT);
	pipe_to = malloc(GIFT);
	if (pipe(gift_pipe) || fcntl(gift_pipe[0], F_SETPIPE_SZ, GIFT) < 0 || !pipe_from ||
	    !pipe_to)
		err(1, "pipe of 1 MiB");
	memset(pipe_from, 'p', GIFT);
}

static uint64_t gift_host(void)
{
	uint64_t start = now_ns(), ns;

	if (write(gift_pipe[1], pipe_from, GIFT) != GIFT ||
	    read(gift_pipe[0], pipe_to, GIFT) != GIFT)
		err(1, "pipe");
	ns = now_ns() - start;
	if (memcmp(pipe_from, pipe_to, GIFT)) {
		fprintf(stderr, "msgq_bench: pipe: other bytes came out\n");
		exit(1);
	}
	return ns;
}

static uint64_t gift_kmm(void)
{
	struct kmm_msgq_send s = {
		.size_bytes = GIFT, .flags = KMM_MSG_GIFT, .object = gift_object[0],
	};
	struct kmm_msgq_receive r = {
		.size_bytes = GIFT, .flags = KMM_MSG_GIFT, .object = gift_object[1],
	};
	static char round;
	uint64_t start, ns;
	size_t i;

	/* the receiver has let go of what came before */
	if (fallocate(gift_object[1], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, GIFT))
		err(1, "punch");
	memset(gift_map[0], ++round, GIFT);
	start = now_ns();
	if (ioctl(gift_queue, KMM_IOC_MSGQ_SEND, &s) ||
	    ioctl(gift_queue, KMM_IOC_MSGQ_RECEIVE, &r))
		err(1, "gift");
	ns = now_ns() - start;
	for (i = 0; i < GIFT; i++)
		if (gift_map[0][i] || gift_map[1][i] != round) {
			fprintf(stderr, "msgq_bench: gift: byte %zu is wrong\n", i);
			exit(1);
		}
	return ns;
}

static void bench_gift(void)
{
	uint64_t host = UINT64_MAX, kmm = UINT64_MAX, ns;
	int i;

	open_gift();
	for (i = 0; i <= GIFT_ROUNDS; i++) {
		ns = gift_host();
		if (i && ns < host)
			host = ns;
		ns = gift_kmm();
		if (i && ns < kmm)
			kmm = ns;
	}
	printf("row msg_1m_gift %.3f %.3f ns\n", (double)host, (double)kmm);
}

int main(void)
{
	uint64_t host = UINT64_MAX, kmm = UINT64_MAX, ns;
	int i;

	open_queues();
	memset(sent, 'm', SIZE);
	/* The first round warms both sides and does not count. */
	for (i = 0; i <= ROUNDS; i++) {
		ns = round_host();
		verify("host");
		if (i && ns < host)
			host = ns;
		ns = round_kmm();
		verify("kmm");
		if (i && ns < kmm)
			kmm = ns;
	}
	printf("row msgq_64_roundtrip %.3f %.3f ns\n", (double)host / CALLS, (double)kmm / CALLS);
	bench_gift();
	return 0;
}
