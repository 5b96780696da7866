/* SPDX-License-Identifier: GPL-2.0-only */
/* The clock of the programs. */
#ifndef _KMM_BENCH_NOW_H
#define _KMM_BENCH_NOW_H

#include <stdint.h>
#include <time.h>

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

#endif
