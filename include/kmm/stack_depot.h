/* SPDX-License-Identifier: GPL-2.0-only */
/* Stacks, each kept once. See debug/stack_depot.c. */
#ifndef _KMM_STACK_DEPOT_H
#define _KMM_STACK_DEPOT_H

#include <linux/build_bug.h>
#include <linux/compiler.h>
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

/* What is remembered: ways of sets, by where on the stack the call was, and whose. */
#define KMM_DEPOT_SETS		256
#define KMM_DEPOT_WAYS		4

/**
 * struct kmm_depot_record - a stack
 * @next: handle of the next one in its chain
 * @handle: its own
 * @nr: addresses
 * @nr_places: words that are compared to recognise it: 8, 12 or 16; 0: it cannot be. First the
 *	addresses; then, if the stack ends where user space was entered, the one with its code
 *	segment; the rest is the first address again
 * @at: where each of these is on the stack, in words from the first, which is at 0
 * @more: is @nr_places more than 8, and more than 12? So a test takes no register
 * @ip: addresses, innermost first; and what else is compared
 *
 * Immutable once it can be found.
 */
struct kmm_depot_record {
	u32 next;
	u32 handle;
	u16 nr;
	u16 nr_places;
	u16 at[KMM_DEPOT_DEPTH];
	bool more[2];
	unsigned long ip[];
};

static_assert(KMM_DEPOT_DEPTH == 16);
static_assert(!(KMM_DEPOT_SETS & (KMM_DEPOT_SETS - 1)));

/**
 * struct kmm_depot_cpu - counters of one CPU
 * @nr_unwound: calls that no memo answered, kmm_depot_save() among them
 * @nr_remembered: calls that one did
 */
struct kmm_depot_cpu {
	u64 nr_unwound;
	u64 nr_remembered;
};

/**
 * struct kmm_depot - unique stacks
 * @memo: records that were seen lately, the last one of each set in the first way; whoever has one
 *	writes it, at any moment. Never NULL
 * @bucket: first record of each chain, by hash: a handle, 0 ends a chain; NULL: no depot
 * @cpu: counters; immutable
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
	const struct kmm_depot_record *memo[KMM_DEPOT_WAYS][KMM_DEPOT_SETS];
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
void kmm_depot_forget(struct kmm_depot *d);

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
 * Where the return address of the function is that this stands in, after inlining. Unlike
 * __builtin_frame_address() this needs no frame pointer; sparse has not heard of it.
 */
#ifdef __CHECKER__
#define kmm_depot_slot()	((const unsigned long *)__builtin_frame_address(0) + 1)
#else
#define kmm_depot_slot()	((const unsigned long *)__builtin_dwarf_cfa() - 1)
#endif

/*
 * Keep the stack of whoever called the function that this stands in, which must not be inline;
 * the first entry is the place behind that call.
 */
#define kmm_depot_save_caller(d)	kmm_depot_save_at(d, kmm_depot_slot())

/*
 * What is remembered of calls whose return address is in @slot: the first way of their set. The
 * bits are those of the set's place: so it takes no shift, and calls one behind the other, which
 * are at least 8 bytes apart, do not displace each other.
 */
static __always_inline const struct kmm_depot_record **kmm_depot_memos(struct kmm_depot *d,
								       const unsigned long *slot)
{
	unsigned long key = *slot ^ (unsigned long)slot;

	return (void *)d->memo[0] + (key & (sizeof(d->memo[0]) - sizeof(d->memo[0][0])));
}

/* Do these places have what @rec says? One after the other: see the essay. */
static __always_inline bool kmm_depot_places_fit(const struct kmm_depot_record *rec,
						 const unsigned long *slot, unsigned int from,
						 unsigned int to)
{
	unsigned int i;

#pragma GCC unroll 8
	for (i = from; i < to; i++)
		if (slot[rec->at[i]] != rec->ip[i])
			return false;
	return true;
}

/* Is it the stack from @slot on? No loop: it would take registers from the fast paths. */
static __always_inline bool kmm_depot_fits(const struct kmm_depot_record *rec,
					   const unsigned long *slot)
{
	if (*slot != rec->ip[0] || !kmm_depot_places_fit(rec, slot, 1, 8))
		return false;
	if (likely(!rec->more[0]))
		return true;
	if (!kmm_depot_places_fit(rec, slot, 8, 12))
		return false;
	return !rec->more[1] || kmm_depot_places_fit(rec, slot, 12, 16);
}

/*
 * kmm_depot_save_at() without a call: sets @handle, if this stack is what is remembered first. @d
 * exists. Context: any but NMI.
 */
static __always_inline bool kmm_depot_recall(struct kmm_depot *d, const unsigned long *slot,
					     u32 *handle)
{
	const struct kmm_depot_record *rec = READ_ONCE(*kmm_depot_memos(d, slot));

	if (unlikely(!kmm_depot_fits(rec, slot)))
		return false;
	this_cpu_inc(d->cpu->nr_remembered);
	*handle = rec->handle;
	return true;
}

#endif /* _KMM_STACK_DEPOT_H */
