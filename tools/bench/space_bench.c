// SPDX-License-Identifier: GPL-2.0-only
/*
 * space_bench: a copy of 10,000 private anonymous pages, a kmm space against fork().
 *
 * space_clone_10k is the call itself, divided by the pages: KMM_IOC_SPACE_CLONE of a space that has
 * 10,000 pages of zero-filled private memory, all written to, against fork() as its parent sees it,
 * of a process that has as many (and the few that the program itself has: both sides pay for
 * what a copy costs at least, nothing is subtracted). Pages are of 4 KiB on both sides.
 *
 * space_drop_10k is the end of such a copy, from which nothing was written to: close() of the
 * clone's descriptor against the child's munmap() of the 10,000 pages.
 *
 * The parent is SCHED_FIFO and the child is not, so that the child does not run before fork() has
 * returned. The sides take turns, the fastest round of each counts. Prints "row NAME HOST KMM ns",
 * as kmm_bench does.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmm.h"
#include "now.h"

#define PAGES	10000UL
#define BYTES	(PAGES * 4096)
#define ROUNDS	8

struct cost {
	uint64_t copy;
	uint64_t drop;
};

static void keep_fastest(struct cost *best, const struct cost *c)
{
	if (c->copy < best->copy)
		best->copy = c->copy;
	if (c->drop < best->drop)
		best->drop = c->drop;
}

/* === The host === */

static void measure_host(char *pages, uint64_t *shared, struct cost *c)
{
	uint64_t start;
	int status;
	pid_t pid;

	start = now_ns();
	pid = fork();
	if (!pid) {
		start = now_ns();
		munmap(pages, BYTES);
		*shared = now_ns() - start;
		_exit(0);
	}
	c->copy = now_ns() - start;
	if (pid < 0)
		err(1, "fork");
	if (waitpid(pid, &status, 0) != pid || status) {
		fprintf(stderr, "space_bench: the child failed\n");
		exit(1);
	}
	c->drop = *shared;
}

/* === kmm === */

static int open_space(void)
{
	struct kmm_space_create create = { 0 };
	struct kmm_space_map map = {
		.len = BYTES, .object_fd = -1, .prot = KMM_PROT_READ | KMM_PROT_WRITE,
		.flags = KMM_MAP_PRIVATE,
	};
	int dev = open("/dev/kmm", O_RDWR | O_CLOEXEC);
	struct kmm_space_info info = { 0 };
	unsigned long i;

	if (dev < 0)
		err(1, "/dev/kmm");
	if (ioctl(dev, KMM_IOC_SPACE_CREATE, &create))
		err(1, "KMM_IOC_SPACE_CREATE");
	if (ioctl(create.fd, KMM_IOC_SPACE_MAP, &map))
		err(1, "KMM_IOC_SPACE_MAP");
	for (i = 0; i < PAGES; i++)
		if (pwrite(create.fd, "x", 1, map.addr + i * 4096) != 1)
			err(1, "pwrite of a space");
	if (ioctl(create.fd, KMM_IOC_SPACE_INFO, &info))
		err(1, "KMM_IOC_SPACE_INFO");
	if (info.private_frames < PAGES) {
		fprintf(stderr, "space_bench: %llu private frames\n", info.private_frames);
		exit(1);
	}
	return create.fd;
}

static void measure_kmm(int space, struct cost *c)
{
	struct kmm_space_clone clone = { 0 };
	uint64_t start;

	start = now_ns();
	if (ioctl(space, KMM_IOC_SPACE_CLONE, &clone))
		err(1, "KMM_IOC_SPACE_CLONE");
	c->copy = now_ns() - start;
	start = now_ns();
	close(clone.fd);
	c->drop = now_ns() - start;
}

static void print_row(const char *name, uint64_t host, uint64_t kmm)
{
	printf("row %s %.3f %.3f ns\n", name, (double)host / PAGES, (double)kmm / PAGES);
}

int main(void)
{
	struct cost host = { UINT64_MAX, UINT64_MAX }, kmm = host, c;
	struct sched_param fifo = { .sched_priority = 1 };
	uint64_t *shared;
	char *pages;
	int space, i;

	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &fifo))
		err(1, "SCHED_FIFO");
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pages = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || pages == MAP_FAILED)
		err(1, "mmap");
	/* a kernel without huge pages says EINVAL */
	if (madvise(pages, BYTES, MADV_NOHUGEPAGE) && errno != EINVAL)
		err(1, "madvise");
	for (unsigned long at = 0; at < BYTES; at += 4096)
		pages[at] = 'x';
	space = open_space();

	/* The first round warms both sides and does not count. */
	for (i = 0; i <= ROUNDS; i++) {
		measure_host(pages, shared, &c);
		if (i)
			keep_fastest(&host, &c);
		measure_kmm(space, &c);
		if (i)
			keep_fastest(&kmm, &c);
	}
	print_row("space_clone_10k", host.copy, kmm.copy);
	print_row("space_drop_10k", host.drop, kmm.drop);
	return 0;
}
