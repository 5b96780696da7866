// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault_bench: first write to each page of a mapping, /dev/kmm against memfd.
 *
 * The two sides take turns; each round makes a fresh mapping and a fresh object,
 * so that each page is allocated, cleared and mapped inside the time that is measured. A second
 * walk over the same pages, now present, is the empty loop and is subtracted. The fastest
 * round of each side counts. Prints "row fault_first_touch HOST KMM ns", as kmm_bench does.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "now.h"

/* 4 MiB: some milliseconds a round. */
#define PAGES	1024
#define ROUNDS	12

static int open_memfd(void)
{
	int fd = memfd_create("fault_bench", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)PAGES * 4096))
		err(1, "memfd");
	return fd;
}

static int open_kmm(void)
{
	int fd = open("/dev/kmm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		err(1, "/dev/kmm");
	return fd;
}

static uint64_t touch(volatile char *p)
{
	uint64_t start = now_ns();
	size_t i;

	for (i = 0; i < PAGES; i++)
		p[i * 4096] = 1;
	return now_ns() - start;
}

/* Nanoseconds of one round, without the loop itself. */
static uint64_t measure(int (*open_side)(void))
{
	int fd = open_side();
	char *p = mmap(NULL, (size_t)PAGES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint64_t first, second;
	size_t i;

	if (p == MAP_FAILED)
		err(1, "mmap");
	first = touch(p);
	second = touch(p);
	for (i = 0; i < PAGES; i++) {
		if (p[i * 4096] != 1 || p[i * 4096 + 1] != 0) {
			fprintf(stderr, "fault_bench: page %zu has other contents\n", i);
			exit(1);
		}
	}
	munmap(p, (size_t)PAGES * 4096);
	close(fd);
	return first > second ? first - second : 0;
}

int main(void)
{
	uint64_t host = UINT64_MAX, kmm = UINT64_MAX, ns;
	int i;

	/* The first round warms both sides and does not count. */
	for (i = 0; i <= ROUNDS; i++) {
		ns = measure(open_memfd);
		if (i && ns < host)
			host = ns;
		ns = measure(open_kmm);
		if (i && ns < kmm)
			kmm = ns;
	}
	printf("row fault_first_touch %.3f %.3f ns\n", (double)host / PAGES, (double)kmm / PAGES);
	return 0;
}
