// SPDX-License-Identifier: GPL-2.0-only
/*
 * swap_bench: a page goes to compressed memory and comes back, kmm against the host's zram.
 *
 * swap_ram_roundtrip, per page. Host: private anonymous memory, MADV_PAGEOUT, with zram as the only
 * swap; kmm: an object mapped shared, KMM_ADVISE_PAGEOUT, with a swap area in memory as the only
 * one. Both compress with lz4, which the guest has set up (tools/bench/guest). What is timed is the
 * advice, and then a write to each page: that is a fault per page, which reads it back.
 *
 * Each page is dirty when it has to leave, so that it is written on both sides: a copy that
 * swap kept would not do. The contents are the same on both sides, and new in each round: text
 * of random words, which lz4 packs to about six tenths.
 *
 * That the pages have really left is asked of the kernel before they are touched (bit 62 of
 * /proc/self/pagemap; kmm_object_info.swapped); that they come back as they were is compared. A
 * walk over the pages when they are present is the empty loop, and is subtracted. The sides take
 * turns, the fastest round of each counts. swap_ram_out and swap_ram_in are the two halves, and are
 * reported only. Prints "row NAME HOST KMM ns", as kmm_bench does.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kmm.h"
#include "now.h"

/* 1 MiB: some milliseconds a round. */
#define PAGES	256
#define BYTES	((size_t)PAGES * 4096)
#define ROUNDS	8

/* Words of the text. */
#define WORDS	512

static char text[BYTES];
static int object = -1, pagemap = -1;

static uint32_t draw(void)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return state >> 33;
}

/* Words of 2 to 9 letters; few of them often, most seldom. */
static void make_text(void)
{
	static char word[WORDS][10];
	size_t n = 0, k;

	if (!word[0][0])
		for (k = 0; k < WORDS; k++)
			for (n = 2 + draw() % 8; n; n--)
				word[k][n - 1] = 'a' + draw() % 26;
	for (n = 0; n < BYTES - 1;) {
		const char *w = word[draw() % (1 + draw() % (1 + draw() % WORDS))];

		for (; *w && n < BYTES - 1; w++)
			text[n++] = *w;
		text[n++] = ' ';
	}
}

static char *map_host(void)
{
	char *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || madvise(p, BYTES, MADV_NOHUGEPAGE))
		err(1, "anonymous memory");
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap < 0)
		err(1, "pagemap");
	return p;
}

static char *map_kmm(void)
{
	struct kmm_object_create create = { .size_bytes = BYTES };
	int dev = open(KMM_DEVICE, O_RDWR | O_CLOEXEC);
	char *p;

	if (dev < 0 || ioctl(dev, KMM_IOC_OBJECT_CREATE, &create))
		err(1, "KMM_IOC_OBJECT_CREATE");
	object = create.fd;
	p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, object, 0);
	if (p == MAP_FAILED)
		err(1, "mmap");
	return p;
}

static void out_host(char *p)
{
	if (madvise(p, BYTES, MADV_PAGEOUT))
		err(1, "MADV_PAGEOUT");
}

static void out_kmm(char *p)
{
	struct kmm_object_advise advise = { .len = BYTES, .advice = KMM_ADVISE_PAGEOUT };

	(void)p;
	if (ioctl(object, KMM_IOC_OBJECT_ADVISE, &advise))
		err(1, "KMM_ADVISE_PAGEOUT");
}

static unsigned int swapped_host(const char *p)
{
	uint64_t entry[PAGES];
	unsigned int i, nr = 0;

	if (pread(pagemap, entry, sizeof(entry), (uintptr_t)p / 4096 * 8) != sizeof(entry))
		err(1, "pagemap");
	for (i = 0; i < PAGES; i++)
		nr += entry[i] >> 62 & 1;
	return nr;
}

static unsigned int swapped_kmm(const char *p)
{
	struct kmm_object_info info = { };

	(void)p;
	if (ioctl(object, KMM_IOC_OBJECT_INFO, &info))
		err(1, "KMM_IOC_OBJECT_INFO");
	return info.swapped;
}

static uint64_t touch(volatile char *p)
{
	uint64_t start = now_ns();
	size_t i;

	for (i = 0; i < PAGES; i++)
		p[i * 4096] = text[i * 4096];
	return now_ns() - start;
}

/* Bytes that a page becomes; slots that the host will free later are counted with the others. */
static double packed_host(void)
{
	FILE *f = fopen("/sys/block/zram0/mm_stat", "r");
	double pages, packed;

	if (!f || fscanf(f, "%lf %lf", &pages, &packed) != 2)
		err(1, "mm_stat of zram0");
	fclose(f);
	return packed / pages * 4096;
}

/* The same, rounded up to the sizes of the host's slabs. */
static double packed_kmm(void)
{
	struct kmm_swap_info info = { };
	int dev = open(KMM_DEVICE, O_RDWR | O_CLOEXEC);
	static uint64_t empty;

	if (dev < 0 || ioctl(dev, KMM_IOC_SWAP_INFO, &info))
		err(1, "KMM_IOC_SWAP_INFO");
	close(dev);
	if (!empty)
		empty = info.host_bytes;
	return (double)(info.host_bytes - empty) / PAGES;
}

struct side {
	const char *name;
	char *(*map)(void);
	void (*out)(char *p);
	unsigned int (*swapped)(const char *p);
	double (*packed)(void);
	double bytes;
	char *p;
	uint64_t best_out, best_in;
};

static struct side sides[] = {
	{ "host", map_host, out_host, swapped_host, packed_host, 0, NULL, UINT64_MAX, UINT64_MAX },
	{ "kmm", map_kmm, out_kmm, swapped_kmm, packed_kmm, 0, NULL, UINT64_MAX, UINT64_MAX },
};

static void one_round(struct side *s, int warm)
{
	uint64_t out, in, start;
	unsigned int nr;

	memcpy(s->p, text, BYTES);
	start = now_ns();
	s->out(s->p);
	out = now_ns() - start;
	nr = s->swapped(s->p);
	if (nr != PAGES) {
		fprintf(stderr, "swap_bench: %s: %u of %u pages in swap\n", s->name, nr, PAGES);
		exit(1);
	}
	s->bytes = s->packed();
	in = touch(s->p);
	in -= touch(s->p);
	if (memcmp(s->p, text, BYTES)) {
		fprintf(stderr, "swap_bench: %s: other bytes came back\n", s->name);
		exit(1);
	}
	if (warm)
		return;
	if (out < s->best_out)
		s->best_out = out;
	if (in < s->best_in)
		s->best_in = in;
}

int main(void)
{
	struct side *host = &sides[0], *kmm = &sides[1];
	int i;

	host->p = host->map();
	kmm->p = kmm->map();
	kmm->packed();	/* while it is empty */
	/* The first round warms both sides and does not count. */
	for (i = 0; i <= ROUNDS; i++) {
		make_text();
		one_round(host, !i);
		one_round(kmm, !i);
	}
	printf("config swap_bytes_per_page host %.0f kmm %.0f\n", host->bytes, kmm->bytes);
	printf("row swap_ram_out %.3f %.3f ns\n", (double)host->best_out / PAGES,
	       (double)kmm->best_out / PAGES);
	printf("row swap_ram_in %.3f %.3f ns\n", (double)host->best_in / PAGES,
	       (double)kmm->best_in / PAGES);
	printf("row swap_ram_roundtrip %.3f %.3f ns\n",
	       (double)(host->best_out + host->best_in) / PAGES,
	       (double)(kmm->best_out + kmm->best_in) / PAGES);
	return 0;
}
