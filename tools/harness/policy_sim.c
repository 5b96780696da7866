// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: policy/ in user space, on long traces
 *
 * The same files that go into kmm.ko, without sanitizers (policy_test.c has those), on the traces
 * of tools/kmm/reftrace.c, in exact mode: every reference is told to the policy.
 *
 *	policy_sim table		miss ratios of all policies on the shipped traces
 *	policy_sim check		the same, against the targets of the project, as TAP
 *	policy_sim replay FRAMES FILE	faults, as "kmm --json policy replay" prints them
 *
 * Two bounds stand beside the policies. opt: the fewest faults that anybody can have who knows the
 * future. Perfect LFU: knows the past completely; it counts the uses of every page from the
 * beginning on, also while it is not resident, never forgets, and evicts the page with the fewest,
 * among equals the one that was not used for the longest time. On independent draws that is the
 * best that can be had without knowing the future, once the counts are good.
 */
#include <stdlib.h>

#include <kmm/inject.h>
#include <kmm/policy.h>

#include "../kmm/reftrace.h"

struct static_key_false kmm_inject_key;

bool kmm_inject_hit(void)
{
	return false;
}

static void *must(void *p)
{
	if (!p) {
		fprintf(stderr, "policy_sim: no memory\n");
		exit(1);
	}
	return p;
}

/* === Running === */

static long run_policy(const struct kmm_policy_ops *ops, const struct reftrace *t, u32 frames)
{
	struct kmm_frame *frame = must(calloc(frames, sizeof(*frame)));
	u32 *at = must(malloc(t->nr_ids * sizeof(*at)));	/* frame by page */
	u32 *who = must(calloc(frames, sizeof(*who)));		/* page by frame */
	u32 *shadow = must(calloc(t->nr_ids, sizeof(*shadow)));
	struct kmm_policy p;
	u32 used = 0, f;
	long faults = 0;

	memset(at, 0xff, t->nr_ids * sizeof(*at));
	if (kmm_policy_init(&p, ops, frame, frames))
		must(NULL);
	for (size_t k = 0; k < t->nr; k++) {
		u32 id = t->refs[k] & ~REFTRACE_WRITE;

		if (at[id] != KMM_POLICY_NONE) {
			kmm_policy_touch(&p, at[id]);
			continue;
		}
		faults++;
		if (used < frames) {
			f = used++;
		} else {
			do {
				f = kmm_policy_victim(&p);
			} while (kmm_policy_keep(&p, f, false));
			shadow[who[f]] = kmm_policy_evict(&p, f);
			at[who[f]] = KMM_POLICY_NONE;
		}
		who[f] = id;
		at[id] = f;
		kmm_policy_add(&p, f, shadow[id]);
		shadow[id] = 0;
	}
	if (kmm_policy_check(&p)) {
		fprintf(stderr, "policy_sim: %s violates an invariant\n", ops->name);
		exit(1);
	}
	while (p.nr)
		p.nr -= ops->pop(&p) != KMM_POLICY_NONE;
	kmm_policy_fini(&p);
	free(frame);
	free(at);
	free(who);
	free(shadow);
	return faults;
}

static long run_opt(const struct reftrace *t, u32 frames)
{
	u32 *refs = must(malloc(t->nr * sizeof(*refs) + 1));
	long faults;

	for (size_t k = 0; k < t->nr; k++)
		refs[k] = t->refs[k] & ~REFTRACE_WRITE;
	faults = kmm_policy_opt(refs, t->nr, t->nr_ids, frames);
	free(refs);
	if (faults < 0)
		must(NULL);
	return faults;
}

/* A use: a page had so many at reference @when. The heap has the least of them on top. */
struct use {
	u32 count;
	u32 when;
};

static bool less(struct use a, struct use b)
{
	return a.count < b.count || (a.count == b.count && a.when < b.when);
}

static void heap_push(struct use *heap, u32 *nr, struct use u)
{
	u32 k = (*nr)++;

	for (; k && less(u, heap[(k - 1) / 2]); k = (k - 1) / 2)
		heap[k] = heap[(k - 1) / 2];
	heap[k] = u;
}

static struct use heap_pop(struct use *heap, u32 *nr)
{
	struct use top = heap[0], u = heap[--*nr];
	u32 k = 0, child;

	for (; (child = 2 * k + 1) < *nr; k = child) {
		child += child + 1 < *nr && less(heap[child + 1], heap[child]);
		if (!less(heap[child], u))
			break;
		heap[k] = heap[child];
	}
	heap[k] = u;
	return top;
}

static long run_perfect_lfu(const struct reftrace *t, u32 frames)
{
	struct use *heap = must(malloc(t->nr * sizeof(*heap) + 1)), u;
	u32 *count = must(calloc(t->nr_ids, sizeof(*count)));
	u32 *last = must(malloc(t->nr_ids * sizeof(*last)));
	u32 nr_heap = 0, used = 0;
	long faults = 0;

	/* The last use while resident; what is in the heap and is not that, is old. */
	memset(last, 0xff, t->nr_ids * sizeof(*last));
	for (size_t k = 0; k < t->nr; k++) {
		u32 id = t->refs[k] & ~REFTRACE_WRITE;

		if (last[id] == ~0U) {
			faults++;
			if (used == frames) {
				do {
					u = heap_pop(heap, &nr_heap);
				} while (last[t->refs[u.when] & ~REFTRACE_WRITE] != u.when);
				last[t->refs[u.when] & ~REFTRACE_WRITE] = ~0U;
			} else {
				used++;
			}
		}
		last[id] = k;
		heap_push(heap, &nr_heap, (struct use){ ++count[id], k });
	}
	free(heap);
	free(count);
	free(last);
	return faults;
}

/* === The shipped traces === */

#define MAX_POLICIES	16
#define NR_SIZES	4

static const u32 percents[NR_SIZES] = { 5, 10, 25, 50 };

struct result {
	size_t nr;
	u32 pages;
	u32 frames[NR_SIZES];
	long faults[NR_SIZES][MAX_POLICIES];
	long opt[NR_SIZES];
	long perfect[NR_SIZES];
};

static struct result results[REFTRACE_NR_RECIPES];

static void run_all(void)
{
	struct reftrace t;

	for (u32 i = 0; i < REFTRACE_NR_RECIPES; i++) {
		struct result *r = &results[i];

		if (!reftrace_make(&t, reftrace_recipes[i].name, REFTRACE_PAGES, 0, REFTRACE_SEED))
			must(NULL);
		r->nr = t.nr;
		r->pages = t.nr_ids;
		for (u32 s = 0; s < NR_SIZES; s++) {
			u32 frames = REFTRACE_PAGES * percents[s] / 100;

			r->frames[s] = frames;
			for (u32 k = 0; k < kmm_nr_policies; k++)
				r->faults[s][k] = run_policy(kmm_policies[k], &t, frames);
			r->opt[s] = run_opt(&t, frames);
			r->perfect[s] = run_perfect_lfu(&t, frames);
		}
		reftrace_free(&t);
	}
}

static void print_rule(void)
{
	printf("===========");
	for (u32 k = 0; k < kmm_nr_policies + 2; k++)
		printf("  =======");
	putchar('\n');
}

/* Columns as wide as print_rule() makes them. */
static void print_table(void)
{
	u32 i, s, k;

	for (i = 0; i < REFTRACE_NR_RECIPES; i++) {
		const struct result *r = &results[i];

		printf("%s%s: %s; %zu references to %u pages\n\n", i ? "\n" : "",
		       reftrace_recipes[i].name, reftrace_recipes[i].what, r->nr, r->pages);
		print_rule();
		printf("%-11s", "frames");
		for (k = 0; k < kmm_nr_policies; k++)
			printf("  %-7s", kmm_policies[k]->name);
		printf("  perfect  OPT\n");
		print_rule();
		for (s = 0; s < NR_SIZES; s++) {
			printf("%u (%u %%)%*s", r->frames[s], percents[s],
			       11 - snprintf(NULL, 0, "%u (%u %%)", r->frames[s], percents[s]), "");
			for (k = 0; k < kmm_nr_policies; k++)
				printf("  %-7.4f", (double)r->faults[s][k] / r->nr);
			printf("  %-7.4f  %.4f\n", (double)r->perfect[s] / r->nr,
			       (double)r->opt[s] / r->nr);
		}
		print_rule();
	}
}

static unsigned int passed, failed;

static void result(bool ok, const char *trace, u32 percent, const char *what)
{
	if (ok)
		passed++;
	else
		failed++;
	printf("%s %u %s_%u_percent %s\n", ok ? "ok" : "not ok", passed + failed, trace, percent,
	       what);
}

static void check_one(const struct result *r, const char *name, u32 s)
{
	const long *faults = r->faults[s];
	long lru = 0, bound = r->opt[s];
	u32 k, best = 0, allowed = 0;
	char what[128];
	bool ok = true;

	for (k = 0; k < kmm_nr_policies; k++) {
		ok = ok && faults[k] >= r->opt[s];
		if (faults[k] < faults[best])
			best = k;
		if (kmm_policies[k] == &kmm_policy_lru)
			lru = faults[k];
	}
	snprintf(what, sizeof(what), "# nobody beats opt, %ld", r->opt[s]);
	result(ok && r->perfect[s] >= r->opt[s], name, percents[s], what);

	if (!strncmp(name, "zipf", 4)) {
		bound = r->perfect[s];
		allowed = 5;
	} else if (!strcmp(name, "loop")) {
		allowed = 5;
	} else if (!strcmp(name, "scan")) {
		allowed = 15;
	} else {
		bound = lru;
	}
	snprintf(what, sizeof(what), "# best %s %ld, %+.2f %% of %ld, target %u %%",
		 kmm_policies[best]->name, faults[best],
		 100.0 * (faults[best] - bound) / bound, bound, allowed);
	result(faults[best] * 100 <= bound * (100 + allowed), name, percents[s], what);
}

/* === Replay === */

static void print_row(const char *name, u32 frames, size_t nr, long faults)
{
	printf("{\"policy\": \"%s\", \"frames\": %u, \"references\": %zu, \"faults\": %ld}",
	       name, frames, nr, faults);
}

static int replay(const char *frames_text, const char *path)
{
	u32 frames = strtoul(frames_text, NULL, 10), k;
	FILE *f = !strcmp(path, "-") ? stdin : fopen(path, "re");
	struct reftrace t;
	char why[100];

	if (!f || !frames) {
		fprintf(stderr, "policy_sim: %s\n",
			f ? "how many frames?" : "cannot open the trace");
		return 1;
	}
	if (!reftrace_read(&t, f, why, sizeof(why))) {
		fprintf(stderr, "policy_sim: %s: %s\n", path, why);
		return 1;
	}
	printf("{\"policies\": [");
	for (k = 0; k < kmm_nr_policies; k++) {
		print_row(kmm_policies[k]->name, frames, t.nr,
			  run_policy(kmm_policies[k], &t, frames));
		printf(", ");
	}
	print_row("opt", frames, t.nr, run_opt(&t, frames));
	printf("]}\n");
	reftrace_free(&t);
	fclose(f);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "replay"))
		return replay(argv[2], argv[3]);
	if (argc != 2 || (strcmp(argv[1], "table") && strcmp(argv[1], "check"))) {
		fprintf(stderr, "usage: %s table | check | replay FRAMES FILE\n", argv[0]);
		return 2;
	}
	if (kmm_nr_policies > MAX_POLICIES)
		must(NULL);
	run_all();
	if (!strcmp(argv[1], "table")) {
		print_table();
		return 0;
	}
	for (u32 i = 0; i < REFTRACE_NR_RECIPES; i++)
		for (u32 s = 0; s < NR_SIZES; s++)
			check_one(&results[i], reftrace_recipes[i].name, s);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
