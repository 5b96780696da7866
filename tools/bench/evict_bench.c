// SPDX-License-Identifier: GPL-2.0-only
/*
 * evict_bench: what it costs to get rid of a page, policy by policy.
 *
 * A process reads pages of an object that nobody has written, one after the other, each once,
 * through a mapping. Each read is a fault that brings a page. When the object has a limit
 * (KMM_IOC_OBJECT_LIMIT), a page leaves for each one that comes; what the faults cost more than
 * without a limit, divided by the pages that have left, is the cost of one eviction. All of it
 * but a write is in it: the policy's choice; the Accessed bit in the process's page table, which
 * is set on every page, so that policies that ask look at each page twice; unmapping; the flush;
 * the shadow that stays; the frame back to the buddy.
 *
 * The pages are clean, so there is nothing to write. evict_page_NAME is the row of a policy; how
 * many pages it looked at for each one that left is printed as "config looks_NAME". The fastest
 * round counts on both sides. Prints "row NAME - KMM ns", as kmm_bench does.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kmm.h"
#include "now.h"

/* Pages that an object may hold; as many are there before what is timed begins. */
#define LIMIT	512
/* Pages of a round. */
#define PAGES	1024
#define ROUNDS	4

static int dev;

struct seen {
	uint64_t scanned, stolen;
};

static struct seen look(void)
{
	FILE *f = fopen("/sys/kernel/debug/kmm/vmstat", "r");
	struct seen s = { 0, 0 };
	unsigned long long value;
	char name[64];
	int found = 0;

	if (!f)
		err(1, "vmstat");
	while (fscanf(f, "%63s %llu", name, &value) == 2) {
		if (!strcmp(name, "pgscan_direct")) {
			s.scanned = value;
			found++;
		} else if (!strcmp(name, "pgsteal_direct")) {
			s.stolen = value;
			found++;
		}
	}
	fclose(f);
	if (found != 2) {
		errno = ENOENT;
		err(1, "pgscan_direct, pgsteal_direct");
	}
	return s;
}

/* Nanoseconds of PAGES faults of a new object that may hold @limit pages, 0: all. */
static uint64_t measure(uint64_t limit, struct seen *s)
{
	const size_t bytes = (size_t)(LIMIT + PAGES) * 4096;
	struct kmm_object_create create = { .size_bytes = bytes };
	struct kmm_object_limit l = { .pages = limit };
	struct seen before, after;
	uint64_t start, ns;
	volatile char *p;
	size_t i;

	if (ioctl(dev, KMM_IOC_OBJECT_CREATE, &create))
		err(1, "KMM_IOC_OBJECT_CREATE");
	if (limit && ioctl(create.fd, KMM_IOC_OBJECT_LIMIT, &l))
		err(1, "KMM_IOC_OBJECT_LIMIT");
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, create.fd, 0);
	if (p == MAP_FAILED)
		err(1, "mmap");
	for (i = 0; i < LIMIT; i++)
		(void)p[i * 4096];
	before = look();
	start = now_ns();
	for (; i < LIMIT + PAGES; i++)
		(void)p[i * 4096];
	ns = now_ns() - start;
	after = look();
	s->scanned = after.scanned - before.scanned;
	s->stolen = after.stolen - before.stolen;
	munmap((void *)p, bytes);
	close(create.fd);
	return ns;
}

static void bench_policy(const char *name)
{
	struct kmm_policy_set set = { };
	uint64_t ns, free_ns = UINT64_MAX, best = UINT64_MAX;
	struct seen s, best_seen = { 0, 0 };
	int i;

	strcpy((char *)set.name, name);
	if (ioctl(dev, KMM_IOC_POLICY_SET, &set))
		err(1, "KMM_IOC_POLICY_SET");
	/* The first round warms both sides and does not count. */
	for (i = 0; i <= ROUNDS; i++) {
		ns = measure(0, &s);
		if (s.stolen) {
			fprintf(stderr, "evict_bench: pages leave without a limit\n");
			exit(1);
		}
		if (i && ns < free_ns)
			free_ns = ns;
		ns = measure(LIMIT, &s);
		/* Each that came above the limit made one leave, and a batch of them some more. */
		if (s.stolen < PAGES || s.stolen > PAGES + LIMIT) {
			fprintf(stderr, "evict_bench: %" PRIu64 " pages left\n", s.stolen);
			exit(1);
		}
		if (i && ns < best) {
			best = ns;
			best_seen = s;
		}
	}
	printf("config looks_%s %.2f\n", name, (double)best_seen.scanned / best_seen.stolen);
	printf("row evict_page_%s - %.3f ns\n", name, (double)(best - free_ns) / best_seen.stolen);
}

int main(void)
{
	struct kmm_policy_info info = { };
	struct kmm_policy_set old = { };

	dev = open(KMM_DEVICE, O_RDWR | O_CLOEXEC);
	if (dev < 0)
		err(1, KMM_DEVICE);
	for (; !ioctl(dev, KMM_IOC_POLICY_INFO, &info); info.index++)
		if (info.flags & KMM_POLICY_CURRENT)
			memcpy(old.name, info.name, sizeof(old.name));
	for (info.index = 0; !ioctl(dev, KMM_IOC_POLICY_INFO, &info); info.index++)
		bench_policy((const char *)info.name);
	if (errno != ENOENT || ioctl(dev, KMM_IOC_POLICY_SET, &old))
		err(1, "policies");
	return 0;
}
