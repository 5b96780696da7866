/* SPDX-License-Identifier: GPL-2.0-only */
/* kmm_bench.ko: what its files share. See bench_main.c. */
#ifndef _KMM_BENCH_H
#define _KMM_BENCH_H

#include <linux/gfp.h>
#include <linux/types.h>

enum bench_side { BENCH_NONE, BENCH_HOST, BENCH_KMM, BENCH_NR_SIDES };

typedef bool (*bench_fn)(unsigned int calls);

/**
 * struct bench_row - a workload
 * @name: as in DESIGN.md section 6
 * @ops: operations of one call
 * @calls: calls in one round
 * @mean: the cost is the mean of all rounds, with what they leave to others between them, not
 *	that of the fastest round: for work that is put off; needed for @prepare and @finish
 * @prepare: before the first round of a side, not timed; NULL: nothing. False: no memory
 * @finish: after the last round of a side, not timed, also when @prepare failed
 * @run: the workload by side; false when an allocation failed; NULL: this side has none
 */
struct bench_row {
	const char *name;
	unsigned int ops;
	unsigned int calls;
	bool mean;
	bool (*prepare)(enum bench_side side);
	void (*finish)(enum bench_side side);
	bench_fn run[BENCH_NR_SIDES];
};

#define BENCH_ROW(_name, _ops, _calls, ...) {					\
	.name = #_name, .ops = (_ops), .calls = (_calls),			\
	.run = { _name##_none, _name##_host, _name##_kmm }, __VA_ARGS__		\
}

/* What both sides are asked for; immutable after init. */
extern gfp_t bench_gfp;

/* bench_vmap.c; the caller holds bench_lock */
extern const struct bench_row bench_vmap_rows[];
extern const unsigned int bench_nr_vmap_rows;
int bench_vmap_init(void);
void bench_vmap_exit(void);

/* bench_lru.c; the caller holds bench_lock */
extern const struct bench_row bench_lru_rows[];
extern const unsigned int bench_nr_lru_rows;

#endif /* _KMM_BENCH_H */
