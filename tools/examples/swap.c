// SPDX-License-Identifier: GPL-2.0-only
/*
 * swap: three times as much memory as the region has.
 *
 * Maps an object of three times the region, writes each of its pages with words of its own, and
 * verifies every byte, while pages leave for the swap areas and come back. Prints a row for
 * each sixth: the object's frames, and the pages in each area. The areas are the caller's to
 * make (kmm swap on). Needs CAP_SYS_ADMIN, to read their figures, and CAP_SYS_RESOURCE, to go
 * over the limit on frames. Build:
 *
 *	gcc swap.c -I../../include/uapi -I../lib -L../../build -lkmm -o swap
 *
 * Exit status 0 when every byte came back, else 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libkmm.h"

#define TIMES	3
#define ROWS	6
#define PAGE	4096UL
#define WORDS	(PAGE / sizeof(uint64_t))

static int dev, obj;

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fflush(stdout);
	fprintf(stderr, "swap: %s: %s\n", what, errno ? strerror(errno) : "failed");
	exit(1);
}

/* What belongs in page @nr: half of it does not compress. */
static void make_page(uint64_t *words, uint64_t nr)
{
	uint64_t x = nr * 0x9e3779b97f4a7c15 + 1;

	for (unsigned int i = 0; i < WORDS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		words[i] = i % 2 ? nr : x;
	}
}

static void show(const char *what, unsigned long pages)
{
	struct kmm_swap_info area = { 0 };
	struct kmm_object_info i;

	must(!kmm_object_info(obj, &i), "object info");
	printf("%-8s %6lu MiB   in the region %7.1f MiB", what, pages >> 8,
	       (double)i.resident / 256);
	for (uint32_t id = 0; !kmm_swap_info(dev, id, &area); id = area.id + 1)
		printf("   %s %6.1f of %llu MiB", area.type, (double)area.used / 256,
		       area.slots / 256);
	putchar('\n');
	fflush(stdout);
}

int main(void)
{
	uint64_t expect[WORDS], *p;
	struct kmm_swap_info area;
	unsigned long nr, row;
	struct kmm_info info;

	dev = kmm_open();
	must(dev >= 0, kmm_explain_open(dev));
	must(!kmm_get_info(dev, &info), "info");
	must(!kmm_swap_info(dev, 0, &area), "no swap area (kmm swap on --ram 64M)");
	nr = info.region_bytes / PAGE * TIMES;
	row = nr / ROWS;
	printf("the region has %llu MiB, the object %lu MiB\n", info.region_bytes >> 20, nr >> 8);
	obj = kmm_object_create(dev, nr * PAGE, 0);
	must(obj >= 0, "create");
	p = mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	must(p != MAP_FAILED, "mmap");

	for (unsigned long i = 0; i < nr; i++) {
		make_page(p + i * WORDS, i);
		if (!((i + 1) % row))
			show("written", i + 1);
	}
	errno = 0;
	for (unsigned long i = 0; i < nr; i++) {
		make_page(expect, i);
		must(!memcmp(p + i * WORDS, expect, PAGE), "a page is not what was written");
		if (!((i + 1) % row))
			show("verified", i + 1);
	}
	must(!fallocate(obj, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, nr * PAGE), "punch");
	show("punched", nr);
	puts("swap: every byte came back");
	return 0;
}
