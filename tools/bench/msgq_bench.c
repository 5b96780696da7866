// SPDX-License-Identifier: GPL-2.0-only
/*
 * msgq_bench: one message of 64 bytes into a queue and out again, by one task, nobody waiting:
 * kmm's queue against POSIX's of the host.
 *
 * The two sides take turns; a round is shorter than a timer tick and the fastest round of each
 * side counts. What is timed is the two system calls and nothing else. Prints
 * "row msgq_64_roundtrip HOST KMM ns", as kmm_bench does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "kmm.h"

#define SIZE	64
/* Some 0.5 ms a round. */
#define CALLS	200
#define ROUNDS	40

static mqd_t host_queue;
static int kmm_queue;
static char sent[SIZE], got[SIZE];

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "msgq_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void open_queues(void)
{
	struct mq_attr attr = { .mq_maxmsg = 10, .mq_msgsize = SIZE };
	struct kmm_msgq_create create = {
		.maxmsg = 10, .msgsize = SIZE, .flags = KMM_MSGQ_READ | KMM_MSGQ_WRITE,
	};
	int dev = open(KMM_DEVICE, O_RDWR | O_CLOEXEC);

	host_queue = mq_open("/kmm_bench", O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (host_queue == (mqd_t)-1)
		fail("mq_open");
	mq_unlink("/kmm_bench");
	if (dev < 0)
		fail(KMM_DEVICE);
	if (ioctl(dev, KMM_IOC_MSGQ_CREATE, &create))
		fail("KMM_IOC_MSGQ_CREATE");
	kmm_queue = create.fd;
}

static uint64_t round_host(void)
{
	uint64_t start = now_ns();
	int i;

	for (i = 0; i < CALLS; i++)
		if (mq_send(host_queue, sent, SIZE, 3) ||
		    mq_receive(host_queue, got, SIZE, NULL) != SIZE)
			fail("host");
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
			fail("kmm");
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
	return 0;
}
