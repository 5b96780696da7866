/* SPDX-License-Identifier: GPL-2.0-only */
/* Stacks, each kept once. See debug/stack_depot.c. */
#ifndef _KMM_STACK_DEPOT_H
#define _KMM_STACK_DEPOT_H

#include <linux/percpu.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

/* Return addresses of kmm_depot_save_at(), and of the longest stack that can be kept. */
#define KMM_DEPOT_DEPTH		16
#define KMM_DEPOT_DEPTH_MAX	64

/* What a depot grows by; the first ones are there from the start. */
#define KMM_DEPOT_POOL_BYTES	SZ_16K
#define KMM_DEPOT_FIRST_POOLS	4

struct kmm_depot_cpu;

/**
 * struct kmm_depot - unique stacks
 * @bucket: first record of each chain, by hash: a handle, 0 ends a chain; NULL: no depot
 * @cpu: what each CPU unwound last, and counters; immutable
 * @pool: memory of the records, by number; entries below @nr_pools are there for good
 * @max_pools: length of @pool; immutable
 * @grow: adds pools; queued when less than one is left
 * @lock: protects what follows; taken with IRQs off. A leaf
 * @nr_pools: pools that are there
 * @used_bytes: of all pools, from the start; no record crosses a pool's end
 * @nr_stacks: records
 * @nr_dropped: stacks that were new and found no room
 */
struct kmm_depot {
	u32 *bucket;
	struct kmm_depot_cpu __percpu *cpu;
	void **pool;
	u32 max_pools;
	struct work_struct grow;

	raw_spinlock_t lock;	/* a leaf; see above */
	u32 nr_pools;
	u32 used_bytes;
	u32 nr_stacks;
	u64 nr_dropped;
};

/**
 * struct kmm_depot_stat - how full a depot is
 * @nr_saved: stacks that were given to it
 * @nr_remembered: of these, found without unwinding
 * @nr_stacks: different ones among them, which it keeps
 * @nr_dropped: found no room
 * @used_bytes: memory of the records
 * @bytes: host memory in all
 * @max_bytes: what it can grow to
 */
struct kmm_depot_stat {
	u64 nr_saved;
	u64 nr_remembered;
	u32 nr_stacks;
	u64 nr_dropped;
	size_t used_bytes;
	size_t bytes;
	size_t max_bytes;
};

/* The depot of page_owner, kfence, kmemleak and debug_objects; there after kmm_stacks_get(). */
extern struct kmm_depot kmm_stacks;

int kmm_stacks_get(void);
void kmm_stacks_fini(void);

int kmm_depot_init(struct kmm_depot *d, size_t max_bytes);
void kmm_depot_fini(struct kmm_depot *d);
void kmm_depot_grow(struct kmm_depot *d);

u32 kmm_depot_save(struct kmm_depot *d, const unsigned long *entries, unsigned int nr);
u32 kmm_depot_save_at(struct kmm_depot *d, const unsigned long *slot);
u32 kmm_depot_save_here(struct kmm_depot *d);
unsigned int kmm_depot_fetch(const struct kmm_depot *d, u32 handle,
			     const unsigned long **entries);
int kmm_depot_snprint(const struct kmm_depot *d, u32 handle, char *buf, size_t size_bytes,
		      int spaces);
void kmm_depot_print(const struct kmm_depot *d, u32 handle);
void kmm_depot_stat(struct kmm_depot *d, struct kmm_depot_stat *st);

/*
 * Keep the stack of whoever called the function that this stands in, which must not be inline;
 * the first entry is the place behind that call.
 */
#define kmm_depot_save_caller(d)							\
	kmm_depot_save_at(d, (const unsigned long *)__builtin_frame_address(0) + 1)

#endif /* _KMM_STACK_DEPOT_H */
