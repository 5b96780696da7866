// SPDX-License-Identifier: GPL-2.0-only
/*
 * Traces of page references. "kmm policy replay" reads them, "kmm trace" writes and makes them,
 * tools/harness/policy_sim.c runs the same ones in user space.
 *
 * A trace is text: page numbers, decimal, separated by blanks or newlines; a 'w' behind a number
 * says that the page was written; '#' begins a comment that goes to the end of the line. Two
 * comments have a meaning, because somebody who looks at numbers must know them: "# kind:" is
 * exact (every reference, in its order), sampled (the pages that were used between two looks, in
 * the order of their numbers) or generated.
 *
 * Page numbers may be any 64 bits: they are numbered anew in the order of first use. No algorithm
 * looks at them, so this changes no result.
 *
 * The shipped traces are made, not stored: a generator with a fixed seed (xorshift64) gives the
 * same references everywhere.
 */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reftrace.h"

/* === Building === */

struct reftrace_page {
	uint64_t page;
	uint32_t id;		/* + 1; 0: free */
};

static struct reftrace_page *find_page(struct reftrace_page *hash, size_t nr_hash, uint64_t page)
{
	size_t i = (page * 0x9e3779b97f4a7c15ULL) >> 20;

	for (;; i++) {
		struct reftrace_page *p = &hash[i & (nr_hash - 1)];

		if (!p->id || p->page == page)
			return p;
	}
}

/* At most half full. */
static bool grow_hash(struct reftrace *t)
{
	size_t nr = t->nr_hash ? t->nr_hash * 2 : 1024;
	struct reftrace_page *hash = calloc(nr, sizeof(*hash));

	if (!hash)
		return false;
	for (size_t i = 0; i < t->nr_hash; i++)
		if (t->hash[i].id)
			*find_page(hash, nr, t->hash[i].page) = t->hash[i];
	free(t->hash);
	t->hash = hash;
	t->nr_hash = nr;
	return true;
}

bool reftrace_add(struct reftrace *t, uint64_t page, bool write)
{
	struct reftrace_page *p;

	if (t->nr >= REFTRACE_MAX)
		return false;
	if (t->nr == t->room) {
		size_t room = t->room ? t->room * 2 : 4096;
		uint32_t *refs = reallocarray(t->refs, room, sizeof(*refs));

		if (!refs)
			return false;
		t->refs = refs;
		t->room = room;
	}
	if (t->nr_ids >= t->nr_hash / 2 && !grow_hash(t))
		return false;
	p = find_page(t->hash, t->nr_hash, page);
	if (!p->id) {
		p->page = page;
		p->id = ++t->nr_ids;
	}
	t->refs[t->nr++] = (p->id - 1) | (write ? REFTRACE_WRITE : 0);
	return true;
}

void reftrace_free(struct reftrace *t)
{
	free(t->refs);
	free(t->hash);
	memset(t, 0, sizeof(*t));
}

/* === Files === */

/* What stands behind '#'. */
static void read_comment(struct reftrace *t, const char *text)
{
	char kind[sizeof(t->kind)];

	if (sscanf(text, " kind: %15[a-z]", kind) == 1)
		strcpy(t->kind, kind);
}

bool reftrace_read(struct reftrace *t, FILE *f, char *why, size_t why_size)
{
	unsigned long nr_line = 0;
	char *line = NULL, *c;
	size_t cap = 0;

	memset(t, 0, sizeof(*t));
	while (getline(&line, &cap, f) > 0) {
		nr_line++;
		for (c = line; *c;) {
			uint64_t page = 0;

			if (isspace((unsigned char)*c)) {
				c++;
				continue;
			}
			if (*c == '#') {
				read_comment(t, c + 1);
				break;
			}
			if (!isdigit((unsigned char)*c))
				goto bad;
			for (; isdigit((unsigned char)*c); c++)
				if (__builtin_mul_overflow(page, 10, &page) ||
				    __builtin_add_overflow(page, *c - '0', &page))
					goto bad;
			if (*c && *c != 'w' && *c != '#' && !isspace((unsigned char)*c))
				goto bad;
			if (!reftrace_add(t, page, *c == 'w')) {
				snprintf(why, why_size, "line %lu: too long for memory", nr_line);
				goto fail;
			}
			c += *c == 'w';
		}
	}
	if (ferror(f)) {
		snprintf(why, why_size, "cannot be read");
		goto fail;
	}
	free(line);
	return true;
bad:
	c[strcspn(c, " \t\n")] = 0;
	snprintf(why, why_size, "line %lu: '%.20s' is no page number", nr_line, c);
fail:
	free(line);
	reftrace_free(t);
	return false;
}

void reftrace_write_head(FILE *f, const char *kind, const char *source)
{
	fprintf(f, "# kmm trace\n# kind: %s\n# source: %s\n", kind, source);
}

/* === Recipes === */

static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static uint32_t below(uint64_t *seed, uint32_t n)
{
	return (draw(seed) >> 32) * n >> 32;
}

/* 0 .. 1, 53 bits of it. */
static double fraction(uint64_t *seed)
{
	return (draw(seed) >> 11) * (1.0 / 9007199254740992.0);
}

/* Independent draws: the page of rank k has a weight of 1 / k^exponent. */
static void make_zipf(struct reftrace *t, uint32_t pages, size_t nr, uint64_t *seed,
		      double exponent)
{
	uint32_t *page = malloc(pages * sizeof(*page)), i, j, lo, hi, x;
	double *sum = malloc(pages * sizeof(*sum)), total = 0, r;

	if (!page || !sum)
		goto out;
	for (i = 0; i < pages; i++) {
		total += 1 / pow(i + 1, exponent);
		sum[i] = total;
		page[i] = i;
	}
	for (i = pages - 1; i; i--) {
		j = below(seed, i + 1);
		x = page[i];
		page[i] = page[j];
		page[j] = x;
	}
	while (nr--) {
		r = fraction(seed) * total;
		for (lo = 0, hi = pages - 1; lo < hi;) {
			uint32_t mid = lo + (hi - lo) / 2;

			if (sum[mid] < r)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (!reftrace_add(t, page[lo], false))
			break;
	}
out:
	free(page);
	free(sum);
}

static void make_zipf08(struct reftrace *t, uint32_t pages, size_t nr, uint64_t *seed)
{
	make_zipf(t, pages, nr, seed, 0.8);
}

static void make_zipf10(struct reftrace *t, uint32_t pages, size_t nr, uint64_t *seed)
{
	make_zipf(t, pages, nr, seed, 1.0);
}

static void make_loop(struct reftrace *t, uint32_t pages, size_t nr, uint64_t *seed)
{
	(void)seed;
	for (size_t k = 0; k < nr && reftrace_add(t, k % pages, false); k++)
		;
}

/* The hot set fits into 5 % of the footprint: it is the scan that must not push it out. */
static void make_scan(struct reftrace *t, uint32_t pages, size_t nr, uint64_t *seed)
{
	uint32_t hot = pages / 32 ? pages / 32 : 1, at = 0, page;

	while (nr--) {
		page = below(seed, hot);
		if (pages > hot && !below(seed, 4)) {
			page = hot + at;
			at = (at + 1) % (pages - hot);
		}
		if (!reftrace_add(t, page, false))
			break;
	}
}

/* Eight phases on four working sets in turn, each a quarter, used unevenly. */
static void make_phase(struct reftrace *t, uint32_t pages, size_t nr, uint64_t *seed)
{
	uint32_t set = pages / 4 ? pages / 4 : 1;

	for (size_t k = 0; k < nr; k++) {
		uint32_t base = k * 8 / nr % 4 * set;
		double r = fraction(seed);

		if (!reftrace_add(t, base + (uint32_t)(r * r * r * set), false))
			break;
	}
}

const struct reftrace_recipe reftrace_recipes[REFTRACE_NR_RECIPES] = {
	{ "zipf0.8", "independent draws, rank k has weight 1/k^0.8", 400000, make_zipf08 },
	{ "zipf1.0", "independent draws, rank k has weight 1/k", 400000, make_zipf10 },
	{ "loop", "all pages one after the other, again and again", 200000, make_loop },
	{ "scan", "3 of 4 draw from a hot set of 1/32, the 4th goes through the rest", 400000,
	  make_scan },
	{ "phase", "8 phases on 4 working sets in turn, each a quarter, used unevenly", 400000,
	  make_phase },
};

static const struct reftrace_recipe *find_recipe(const char *name)
{
	for (size_t i = 0; i < REFTRACE_NR_RECIPES; i++)
		if (!strcmp(reftrace_recipes[i].name, name))
			return &reftrace_recipes[i];
	return NULL;
}

bool reftrace_make(struct reftrace *t, const char *name, uint32_t pages, size_t nr, uint64_t seed)
{
	const struct reftrace_recipe *r = find_recipe(name);

	memset(t, 0, sizeof(*t));
	if (!r || !pages)
		return false;
	if (!nr)
		nr = r->nr;
	/* never 0, and small seeds are spread */
	seed = seed * 0x2545f4914f6cdd1dULL + 88172645463325252ULL;
	seed = seed ? seed : 1;
	strcpy(t->kind, "generated");
	r->make(t, pages, nr, &seed);
	if (t->nr == nr)
		return true;
	reftrace_free(t);
	return false;
}
