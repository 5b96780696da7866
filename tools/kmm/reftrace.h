/* SPDX-License-Identifier: GPL-2.0-only */
/* Traces of page references: reading, writing, making. See reftrace.c. */
#ifndef _KMM_REFTRACE_H
#define _KMM_REFTRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* In a reference: the page was written; the rest is its number. KMM_REPLAY_WRITE of kmm.h. */
#define REFTRACE_WRITE	(1U << 31)

/* So many references and pages fit: numbers stay below the bit above. */
#define REFTRACE_MAX	((1U << 31) - 2)

/**
 * struct reftrace - page references, in their order
 * @refs: number of the page, and REFTRACE_WRITE. Numbers are given in the order of first use,
 *	so all are below @nr_ids
 * @nr: how many
 * @nr_ids: different pages
 * @kind: "exact", "sampled", "generated"; empty where the file does not say
 * @room, @hash, @nr_hash: reftrace_add()'s
 */
struct reftrace {
	uint32_t *refs;
	size_t nr;
	uint32_t nr_ids;
	char kind[16];
	size_t room;
	struct reftrace_page *hash;
	size_t nr_hash;
};

/**
 * struct reftrace_recipe - a trace that can be made at any time
 * @name: of it
 * @what: one line
 * @nr: references, by default
 */
struct reftrace_recipe {
	const char *name;
	const char *what;
	size_t nr;
	void (*make)(struct reftrace *t, uint32_t pages, size_t nr, uint64_t *seed);
};

#define REFTRACE_NR_RECIPES	5
#define REFTRACE_PAGES		4096
#define REFTRACE_SEED		1

extern const struct reftrace_recipe reftrace_recipes[REFTRACE_NR_RECIPES];

/* page: any number. Returns false when there is no memory or the trace is full. */
bool reftrace_add(struct reftrace *t, uint64_t page, bool write);
void reftrace_free(struct reftrace *t);

/* Reads to the end. False, and what is wrong in why, when it is no trace. */
bool reftrace_read(struct reftrace *t, FILE *f, char *why, size_t why_size);

/* The lines that every trace begins with. */
void reftrace_write_head(FILE *f, const char *kind, const char *source);

/* A recipe's trace; false when there is none of this name, or no memory. nr 0: its default. */
bool reftrace_make(struct reftrace *t, const char *name, uint32_t pages, size_t nr, uint64_t seed);

#endif /* _KMM_REFTRACE_H */
