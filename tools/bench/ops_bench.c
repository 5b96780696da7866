// SPDX-License-Identifier: GPL-2.0-only
/*
 * ops_bench: what allocator operations cost a user program, through KMM_IOC_OPS.
 *
 * A batch is pairs: allocate into a slot, free the slot. ops_page_o0_pair and its like are
 * batches of 256 pairs; ops_page_o0_single is a batch of one pair, so what it costs more is the
 * system call. Everything is per pair, checks of the slot and the account are in it. The host
 * has no such call, so there is no figure for it. The fastest round counts. Prints "row NAME -
 * KMM ns", as kmm_bench does.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "kmm.h"
#include "now.h"

#define PAIRS	256
#define ROUNDS	12

/* The slot of the cache, and the one that is filled and emptied. */
#define SLOT_CACHE	0
#define SLOT		1

static int dev;

/* Nanoseconds of one call. */
static uint64_t run(const char *name, struct kmm_op *op, uint32_t nr)
{
	struct kmm_ops ops = { .ops = (uintptr_t)op, .nr = nr };
	uint64_t start = now_ns(), ns;

	if (ioctl(dev, KMM_IOC_OPS, &ops))
		err(1, "%s", name);
	ns = now_ns() - start;
	if (ops.failed || ops.done != nr) {
		errno = ops.failed ? -op[ops.done - 1].result : EINTR;
		err(1, "%s", name);
	}
	return ns;
}

static void measure_row(const char *name, struct kmm_op alloc, uint16_t free_kind,
			unsigned int pairs)
{
	struct kmm_op op[2 * PAIRS];
	uint64_t best = UINT64_MAX, ns;

	alloc.slot = SLOT;
	/* The first round warms and does not count. */
	for (int round = 0; round <= ROUNDS; round++) {
		ns = 0;
		for (unsigned int done = 0; done < PAIRS; done += pairs) {
			for (unsigned int i = 0; i < pairs; i++) {
				op[2 * i] = alloc;
				op[2 * i + 1] = (struct kmm_op){
					.kind = free_kind, .slot = SLOT,
				};
			}
			ns += run(name, op, 2 * pairs);
		}
		if (round && ns < best)
			best = ns;
	}
	printf("row %s - %.3f ns\n", name, (double)best / PAIRS);
}

int main(void)
{
	const struct kmm_op page = { .kind = KMM_OP_PAGES_ALLOC };
	const struct kmm_op page3 = { .kind = KMM_OP_PAGES_ALLOC, .arg = 3 };
	const struct kmm_op object = { .kind = KMM_OP_CACHE_ALLOC, .arg = SLOT_CACHE };
	const struct kmm_op bytes = { .kind = KMM_OP_KMALLOC, .arg = 64 };
	const struct kmm_op area = {
		.kind = KMM_OP_VMALLOC,
		.arg = KMM_VMALLOC_ARG(4096, KMM_PROT_READ | KMM_PROT_WRITE),
	};
	struct kmm_op cache = {
		.kind = KMM_OP_CACHE_CREATE, .slot = SLOT_CACHE, .arg = KMM_CACHE_ARG(64, 0, 0),
	};

	dev = open(KMM_DEVICE, O_RDWR | O_CLOEXEC);
	if (dev < 0)
		err(1, KMM_DEVICE);
	run("cache", &cache, 1);
	measure_row("ops_page_o0_single", page, KMM_OP_PAGES_FREE, 1);
	measure_row("ops_page_o0_pair", page, KMM_OP_PAGES_FREE, PAIRS);
	measure_row("ops_page_o3_pair", page3, KMM_OP_PAGES_FREE, PAIRS);
	measure_row("ops_cache64_pair", object, KMM_OP_CACHE_FREE, PAIRS);
	measure_row("ops_kmalloc64_pair", bytes, KMM_OP_KFREE, PAIRS);
	measure_row("ops_vmalloc_4k_pair", area, KMM_OP_VFREE, PAIRS);
	return 0;
}
