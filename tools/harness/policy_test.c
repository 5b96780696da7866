// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: policy/ in user space, against naive models
 *
 * The same files that go into kmm.ko. Every algorithm has a model here that does what its text
 * says in the plainest way: arrays of pages that are searched from end to end, sequence numbers in
 * place of lists, a log of all evictions in place of the clock in shadows. Random traces, with
 * pages that leave by themselves, are run through both, and each victim must be the same.
 *
 * Then what theory says: opt equals a search of all futures by hand, no policy is below opt, lru
 * has the inclusion property, fifo has Belady's anomaly, the textbooks' tables come out.
 *
 *	policy_test [--seed N] [--ops N]
 */

#include <stdlib.h>
#include <string.h>

#include <kmm/inject.h>
#include <kmm/policy.h>

#include "model.h"

static unsigned int passed, failed;
static u64 seed = 1;

static u32 below(u32 n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 16) % n;
}

static void result(bool ok, const char *name, const char *what)
{
	if (ok)
		passed++;
	else
		failed++;
	printf("%s %u %s%s%s\n", ok ? "ok" : "not ok", passed + failed, name,
	       what[0] ? " " : "", what);
}

/* === Live: a policy, its frames, and who is in which === */

#define MAX_IDS	256

struct live {
	struct kmm_policy p;
	struct kmm_frame frames[MAX_IDS];
	u32 frame_of[MAX_IDS];	/* KMM_POLICY_NONE: not resident */
	u32 id_of[MAX_IDS];
	u32 shadow[MAX_IDS];
	u32 nr;
};

static void live_start(struct live *v, const struct kmm_policy_ops *ops, u32 capacity)
{
	u32 i;

	memset(v, 0, sizeof(*v));
	for (i = 0; i < MAX_IDS; i++) {
		v->frame_of[i] = KMM_POLICY_NONE;
		v->id_of[i] = KMM_POLICY_NONE;
	}
	if (kmm_policy_init(&v->p, ops, v->frames, capacity))
		abort();
}

static void live_add(struct live *v, u32 id)
{
	u32 f;

	for (f = 0; v->id_of[f] != KMM_POLICY_NONE; f++)
		;
	v->id_of[f] = id;
	v->frame_of[id] = f;
	v->nr++;
	kmm_policy_add(&v->p, f, v->shadow[id]);
	v->shadow[id] = 0;
}

static void live_gone(struct live *v, u32 id)
{
	v->id_of[v->frame_of[id]] = KMM_POLICY_NONE;
	v->frame_of[id] = KMM_POLICY_NONE;
	v->nr--;
}

static void live_del(struct live *v, u32 id)
{
	kmm_policy_del(&v->p, v->frame_of[id]);
	live_gone(v, id);
	v->shadow[id] = 0;
}

/* Evicts; returns the page. */
static u32 live_evict(struct live *v)
{
	u32 f = kmm_policy_victim(&v->p), id = v->id_of[f];

	if (kmm_policy_keep(&v->p, f, false))
		abort();	/* not used, and yet kept */
	v->shadow[id] = kmm_policy_evict(&v->p, f);
	live_gone(v, id);
	return id;
}

/* A reference. Returns whether it was a fault. */
static bool live_use(struct live *v, u32 id)
{
	if (v->frame_of[id] != KMM_POLICY_NONE) {
		kmm_policy_touch(&v->p, v->frame_of[id]);
		return false;
	}
	if (v->nr == v->p.capacity)
		live_evict(v);
	live_add(v, id);
	return true;
}

static long live_faults(const struct kmm_policy_ops *ops, const u32 *refs, u32 n, u32 frames)
{
	static struct live v;
	long faults = 0;
	u32 k;

	live_start(&v, ops, frames);
	for (k = 0; k < n; k++)
		faults += live_use(&v, refs[k]);
	while (v.nr)
		live_evict(&v);
	kmm_policy_fini(&v.p);
	return faults;
}

/* === Models === */

/**
 * struct naive - everything that any of the models remembers
 * @resident: is it?
 * @queue: small or inactive 0, main or active 1; generation
 * @mark: referenced, visited, or a count
 * @stamp: when it came to its place in the queue; the larger, the nearer to the head
 * @left: number of its last eviction, counted from 1; 0 is none, or forgotten
 * @info: what the algorithm remembered of it then
 * @nr_evicted: evictions so far
 * @now: last stamp
 * @hand: sieve: stamp of the place where the hand is; 0: at the tail
 * @oldest, @youngest: generations
 * @uses: lfu
 */
struct naive {
	u32 capacity;
	bool resident[MAX_IDS];
	u32 queue[MAX_IDS];
	u32 mark[MAX_IDS];
	u64 stamp[MAX_IDS];
	u32 left[MAX_IDS];
	u32 info[MAX_IDS];
	u32 nr_evicted;
	u64 now;
	u64 hand;
	u32 oldest;
	u32 youngest;
	u64 uses;
};

struct naive_ops {
	const char *name;
	void (*add)(struct naive *m, u32 id);
	void (*touch)(struct naive *m, u32 id);
	u32 (*victim)(struct naive *m);		/* still resident when it returns */
};

static u32 naive_nr(const struct naive *m, int queue)
{
	u32 id, nr = 0;

	for (id = 0; id < MAX_IDS; id++)
		nr += m->resident[id] && (queue < 0 || m->queue[id] == (u32)queue);
	return nr;
}

/* The oldest of a queue, of all with -1. */
static u32 naive_tail(const struct naive *m, int queue)
{
	u32 id, best = KMM_POLICY_NONE;

	for (id = 0; id < MAX_IDS; id++)
		if (m->resident[id] && (queue < 0 || m->queue[id] == (u32)queue) &&
		    (best == KMM_POLICY_NONE || m->stamp[id] < m->stamp[best]))
			best = id;
	return best;
}

static void naive_put(struct naive *m, u32 id, u32 queue, u32 mark)
{
	m->queue[id] = queue;
	m->mark[id] = mark;
	m->stamp[id] = ++m->now;
}

/* Evictions between its own and now; huge when there was none. */
static u32 naive_distance(const struct naive *m, u32 id)
{
	return m->left[id] ? m->nr_evicted - (m->left[id] - 1) : ~0U;
}

static void plain_add(struct naive *m, u32 id)
{
	naive_put(m, id, 0, 0);
}

static void no_touch(struct naive *m, u32 id)
{
	(void)m;
	(void)id;
}

static u32 plain_victim(struct naive *m)
{
	return naive_tail(m, -1);
}

static void mark_touch(struct naive *m, u32 id)
{
	m->mark[id] = 1;
}

static u32 clock_victim(struct naive *m)
{
	u32 id;

	while (m->mark[id = naive_tail(m, -1)])
		naive_put(m, id, 0, 0);
	return id;
}

static void lru_touch(struct naive *m, u32 id)
{
	naive_put(m, id, 0, 0);
}

static void twolist_add(struct naive *m, u32 id)
{
	naive_put(m, id, naive_distance(m, id) <= naive_nr(m, 1) - m->queue[id], 0);
}

static void twolist_touch(struct naive *m, u32 id)
{
	if (!m->queue[id] && m->mark[id])
		naive_put(m, id, 1, 0);
	else
		m->mark[id] = 1;
}

static u32 twolist_victim(struct naive *m)
{
	while (naive_nr(m, 0) < naive_nr(m, 1) || !naive_nr(m, 0))
		naive_put(m, naive_tail(m, 1), 0, 0);
	return naive_tail(m, 0);
}

static void lfu_age(struct naive *m)
{
	bool done[MAX_IDS] = { };
	u32 id, best;

	if (++m->uses < (u64)m->capacity * 32)
		return;
	m->uses = 0;
	/* From the lowest count up, the oldest first. */
	do {
		best = KMM_POLICY_NONE;
		for (id = 0; id < MAX_IDS; id++)
			if (m->resident[id] && !done[id] && m->mark[id] > 1 &&
			    (best == KMM_POLICY_NONE || m->mark[id] < m->mark[best] ||
			     (m->mark[id] == m->mark[best] && m->stamp[id] < m->stamp[best])))
				best = id;
		if (best != KMM_POLICY_NONE) {
			done[best] = true;
			naive_put(m, best, 0, m->mark[best] / 2);
		}
	} while (best != KMM_POLICY_NONE);
}

static u32 least(u32 a, u32 b)
{
	return a < b ? a : b;
}

static void lfu_add(struct naive *m, u32 id)
{
	u32 count = 1, halvings;

	if (m->left[id]) {
		count += m->info[id];
		halvings = naive_distance(m, id) / m->capacity;
		for (; halvings && count > 1; halvings--)
			count = 1 + (count - 1) / 2;
	}
	naive_put(m, id, 0, least(count, 127));
	lfu_age(m);
}

static void lfu_touch(struct naive *m, u32 id)
{
	naive_put(m, id, 0, least(m->mark[id] + 1, 127));
	lfu_age(m);
}

static u32 lfu_victim(struct naive *m)
{
	u32 id, best = KMM_POLICY_NONE;

	for (id = 0; id < MAX_IDS; id++)
		if (m->resident[id] &&
		    (best == KMM_POLICY_NONE || m->mark[id] < m->mark[best] ||
		     (m->mark[id] == m->mark[best] && m->stamp[id] > m->stamp[best])))
			best = id;
	m->info[best] = m->mark[best];
	return best;
}

static void gen_add(struct naive *m, u32 id)
{
	bool soon = naive_distance(m, id) <= naive_nr(m, -1);

	naive_put(m, id, soon ? m->youngest : m->youngest - 1, 0);
}

static u32 gen_victim(struct naive *m)
{
	u32 id;

	for (;;) {
		while (!naive_nr(m, m->oldest)) {
			m->oldest++;
			if (m->youngest == m->oldest)
				m->youngest++;
		}
		id = naive_tail(m, m->oldest);
		if (!m->mark[id])
			return id;
		naive_put(m, id, m->youngest, 0);
	}
}

static void s3fifo_add(struct naive *m, u32 id)
{
	bool ghost = m->left[id] && !m->info[id] && naive_distance(m, id) <= m->capacity * 9 / 10;

	naive_put(m, id, ghost, 0);
}

static void s3fifo_touch(struct naive *m, u32 id)
{
	m->mark[id] = least(m->mark[id] + 1, 3);
}

static u32 s3fifo_victim(struct naive *m)
{
	u32 id, target = m->capacity / 10 ? m->capacity / 10 : 1;

	while (naive_nr(m, 0) && (naive_nr(m, 0) >= target || !naive_nr(m, 1))) {
		id = naive_tail(m, 0);
		if (m->mark[id] < 2) {
			m->info[id] = 0;
			return id;
		}
		naive_put(m, id, 1, 0);
	}
	while (m->mark[id = naive_tail(m, 1)])
		naive_put(m, id, 1, m->mark[id] - 1);
	m->info[id] = 1;
	return id;
}

/* The page at @stamp or, where that left, the next newer one; past the newest the oldest. */
static u32 sieve_at(const struct naive *m, u64 stamp)
{
	u32 id, best = KMM_POLICY_NONE;

	for (id = 0; id < MAX_IDS; id++)
		if (m->resident[id] && m->stamp[id] >= stamp &&
		    (best == KMM_POLICY_NONE || m->stamp[id] < m->stamp[best]))
			best = id;
	return best == KMM_POLICY_NONE ? naive_tail(m, -1) : best;
}

static u32 sieve_victim(struct naive *m)
{
	u32 id = sieve_at(m, m->hand);

	while (m->mark[id]) {
		m->mark[id] = 0;
		id = sieve_at(m, m->stamp[id] + 1);
	}
	/* Past the newest the hand falls back to the tail at once, whatever comes next. */
	m->hand = sieve_at(m, m->stamp[id] + 1) == naive_tail(m, -1) &&
		  m->stamp[sieve_at(m, m->stamp[id] + 1)] <= m->stamp[id] ? 0 : m->stamp[id] + 1;
	return id;
}

static const struct naive_ops models[] = {
	{ "fifo", plain_add, no_touch, plain_victim },
	{ "clock", plain_add, mark_touch, clock_victim },
	{ "lru", plain_add, lru_touch, plain_victim },
	{ "twolist", twolist_add, twolist_touch, twolist_victim },
	{ "lfu", lfu_add, lfu_touch, lfu_victim },
	{ "gen", gen_add, mark_touch, gen_victim },
	{ "s3fifo", s3fifo_add, s3fifo_touch, s3fifo_victim },
	{ "sieve", plain_add, mark_touch, sieve_victim },
};

static void naive_evict(struct naive *m, u32 id)
{
	m->resident[id] = false;
	m->left[id] = ++m->nr_evicted;
}

static void naive_del(struct naive *m, u32 id)
{
	/* The hand goes on to the next newer page, or falls back to the tail. */
	if (m->hand && sieve_at(m, m->hand) == id) {
		u32 next = sieve_at(m, m->stamp[id] + 1);

		m->hand = m->stamp[next] > m->stamp[id] ? m->stamp[next] : 0;
	}
	m->resident[id] = false;
	m->left[id] = 0;
}

/* === Random traces through both === */

static bool compare(const struct kmm_policy_ops *ops, const struct naive_ops *mops, u32 capacity,
		    u32 ids, unsigned long nr_ops, char *why)
{
	static struct live v;
	static struct naive m;
	unsigned long k;
	u32 id, a, b;

	live_start(&v, ops, capacity);
	memset(&m, 0, sizeof(m));
	m.capacity = capacity;
	m.youngest = 2;
	for (k = 0; k < nr_ops; k++) {
		/* Two draws: some pages are used more often than others. */
		id = least(below(ids), below(ids));
		if (m.resident[id] && !below(30)) {
			live_del(&v, id);
			naive_del(&m, id);
		} else if (m.resident[id]) {
			kmm_policy_touch(&v.p, v.frame_of[id]);
			mops->touch(&m, id);
		} else {
			if (v.nr == capacity) {
				a = live_evict(&v);
				b = mops->victim(&m);
				if (a != b) {
					sprintf(why, "# victim %lu: %u, model %u", k, a, b);
					return false;
				}
				naive_evict(&m, b);
			}
			live_add(&v, id);
			m.resident[id] = true;
			mops->add(&m, id);
			m.left[id] = 0;
		}
		if ((k & 255) == 0 && kmm_policy_check(&v.p)) {
			sprintf(why, "# invariant violated at %lu", k);
			return false;
		}
	}
	while (v.nr)
		live_evict(&v);
	kmm_policy_fini(&v.p);
	return true;
}

static void test_models(unsigned long nr_ops)
{
	static const u32 capacities[] = { 1, 2, 3, 7, 10, 32, 100 };
	char name[64], why[64];
	unsigned int i, c;
	bool ok;

	for (i = 0; i < ARRAY_SIZE(models); i++) {
		const struct kmm_policy_ops *ops = kmm_policy_find(models[i].name);

		ok = true;
		why[0] = 0;
		for (c = 0; ok && c < ARRAY_SIZE(capacities); c++)
			ok = compare(ops, &models[i], capacities[c], capacities[c] * 2 + below(50),
				     nr_ops / ARRAY_SIZE(models) / ARRAY_SIZE(capacities), why);
		sprintf(name, "model_%s", models[i].name);
		result(ok, name, why);
	}
}

/* === The contract, for every policy === */

/* Random works on pages as any other: only its victims are nobody's to foresee. */
static bool contract(const struct kmm_policy_ops *ops, unsigned long nr_ops)
{
	static struct live v;
	unsigned long k;
	u32 id, f, nr;

	live_start(&v, ops, 64);
	for (k = 0; k < nr_ops; k++) {
		id = below(150);
		if (v.frame_of[id] == KMM_POLICY_NONE) {
			if (v.nr == 64)
				live_evict(&v);
			live_add(&v, id);
		} else if (!below(10)) {
			live_del(&v, id);
		} else if (!below(5)) {
			/* A candidate that page tables say was used: most take it back. */
			nr = v.p.nr;
			f = kmm_policy_victim(&v.p);
			if (v.p.nr != nr - 1)
				return false;
			if (!kmm_policy_keep(&v.p, f, true)) {
				v.shadow[v.id_of[f]] = kmm_policy_evict(&v.p, f);
				live_gone(&v, v.id_of[f]);
			}
		} else {
			kmm_policy_touch(&v.p, v.frame_of[id]);
		}
		if (v.p.nr != v.nr || kmm_policy_check(&v.p))
			return false;
	}
	while (v.nr)
		live_evict(&v);
	kmm_policy_fini(&v.p);
	return kmm_policy_victim(&v.p) == KMM_POLICY_NONE;
}

static bool take_over(const struct kmm_policy_ops *from, const struct kmm_policy_ops *to)
{
	static struct live v;
	struct kmm_policy next;
	u32 k, seen = 0;

	live_start(&v, from, 64);
	for (k = 0; k < 64; k++)
		live_add(&v, k);
	for (k = 0; k < 100; k++)
		kmm_policy_touch(&v.p, v.frame_of[below(64)]);
	if (kmm_policy_init(&next, to, v.frames, 64))
		return false;
	kmm_policy_take_over(&next, &v.p);
	if (v.p.nr || next.nr != 64 || kmm_policy_check(&v.p) || kmm_policy_check(&next))
		return false;
	kmm_policy_fini(&v.p);
	v.p = next;
	for (k = 0; k < 64; k++)
		seen += live_evict(&v) + 1;
	kmm_policy_fini(&v.p);
	return seen == 64 * 65 / 2;
}

static void test_contract(unsigned long nr_ops)
{
	unsigned int i, j;
	char name[64];
	bool ok;

	for (i = 0; i < kmm_nr_policies; i++) {
		sprintf(name, "contract_%s", kmm_policies[i]->name);
		result(contract(kmm_policies[i], nr_ops / kmm_nr_policies), name, "");
		ok = kmm_policy_find(kmm_policies[i]->name) == kmm_policies[i];
		for (j = 0; j < kmm_nr_policies; j++)
			ok = ok && take_over(kmm_policies[i], kmm_policies[j]);
		sprintf(name, "take_over_%s", kmm_policies[i]->name);
		result(ok, name, "");
	}
	result(!kmm_policy_find("mru"), "find_unknown", "");
}

/* Of 64 pages each should be the victim about as often. */
static void test_random_is_fair(void)
{
	static struct live v;
	u32 hits[64] = { }, k, worst = 0;

	live_start(&v, &kmm_policy_random, 64);
	for (k = 0; k < 64; k++)
		live_add(&v, k);
	for (k = 0; k < 64000; k++) {
		u32 id = live_evict(&v);

		hits[id]++;
		live_add(&v, id);
	}
	for (k = 0; k < 64; k++)
		worst = hits[k] > 1000 ? (hits[k] - 1000 > worst ? hits[k] - 1000 : worst) :
					 (1000 - hits[k] > worst ? 1000 - hits[k] : worst);
	while (v.nr)
		live_evict(&v);
	kmm_policy_fini(&v.p);
	/* five times the standard deviation */
	result(worst < 158, "random_is_fair", "");
}

static void test_failures(void)
{
	struct kmm_frame frames[4];
	struct kmm_policy p;
	unsigned int i, nr = 0;
	u32 refs[4] = { };

	for (i = 0; i < kmm_nr_policies; i++)
		for (model_inject = 1; ; model_inject++) {
			unsigned long n = model_inject;
			int err = kmm_policy_init(&p, kmm_policies[i], frames, 4);

			if (!err) {
				kmm_policy_fini(&p);
				break;
			}
			nr += err == -ENOMEM;
			model_inject = n;
		}
	model_inject = 1;
	nr += kmm_policy_opt(refs, 4, 1, 1) == -ENOMEM;
	model_inject = 0;
	result(nr == kmm_nr_policies + 2, "failure_points", "");
}

/* === Theory === */

/* The fewest faults from reference @k on, all victims tried. */
static u32 search(const u32 *refs, u32 n, u32 k, u32 resident, u32 frames)
{
	u32 id, best = ~0U, next;

	while (k < n && resident & 1U << refs[k])
		k++;
	if (k == n)
		return 0;
	if ((u32)__builtin_popcount(resident) < frames)
		return 1 + search(refs, n, k + 1, resident | 1U << refs[k], frames);
	for (id = 0; id < 8; id++) {
		if (!(resident & 1U << id))
			continue;
		next = (resident & ~(1U << id)) | 1U << refs[k];
		best = least(best, search(refs, n, k + 1, next, frames));
	}
	return 1 + best;
}

static void test_opt(void)
{
	u32 refs[16], t, k, ids, frames, bad = 0;

	for (t = 0; t < 300; t++) {
		ids = 2 + below(5);
		frames = 1 + below(4);
		for (k = 0; k < 14; k++)
			refs[k] = below(ids);
		bad += kmm_policy_opt(refs, 14, ids, frames) != search(refs, 14, 0, 0, frames);
	}
	result(!bad && !kmm_policy_opt(refs, 0, 1, 1), "opt_is_the_minimum", "");
}

static void test_bound(void)
{
	static u32 refs[4000];
	u32 t, k, frames;
	unsigned int i;
	bool ok = true;

	for (t = 0; ok && t < 20; t++) {
		u32 ids = 10 + below(200);

		for (k = 0; k < ARRAY_SIZE(refs); k++)
			refs[k] = below(3) ? least(below(ids), below(ids)) : k % ids;
		for (frames = 1; ok && frames < ids; frames = frames * 2 + 1) {
			long opt = kmm_policy_opt(refs, ARRAY_SIZE(refs), ids, frames);

			for (i = 0; ok && i < kmm_nr_policies; i++)
				ok = live_faults(kmm_policies[i], refs, ARRAY_SIZE(refs),
						 frames) >= opt;
		}
	}
	result(ok, "nobody_beats_opt", "");
}

/* What n frames hold at the end, n + 1 hold as well; so faults never grow. */
static void test_inclusion(void)
{
	static struct live small, large;
	static u32 refs[2000];
	u32 t, k, n, id;
	bool ok = true;

	for (t = 0; ok && t < 10; t++) {
		for (k = 0; k < ARRAY_SIZE(refs); k++)
			refs[k] = least(below(60), below(60));
		for (n = 1; ok && n < 50; n += 7) {
			live_start(&small, &kmm_policy_lru, n);
			live_start(&large, &kmm_policy_lru, n + 1);
			for (k = 0; ok && k < ARRAY_SIZE(refs); k++) {
				live_use(&small, refs[k]);
				live_use(&large, refs[k]);
				for (id = 0; id < 60; id++)
					ok = ok && (small.frame_of[id] == KMM_POLICY_NONE ||
						    large.frame_of[id] != KMM_POLICY_NONE);
			}
			kmm_policy_fini(&small.p);
			kmm_policy_fini(&large.p);
		}
	}
	result(ok, "lru_inclusion", "");
}

static void test_textbook(void)
{
	/* Silberschatz, Galvin, Gagne: Operating System Concepts, 3 frames */
	static const u32 book[] = { 7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1 };
	/* Belady, Nelson, Shedler 1969 */
	static const u32 belady[] = { 1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5 };

	result(live_faults(&kmm_policy_fifo, book, 20, 3) == 15, "textbook_fifo_15", "");
	result(live_faults(&kmm_policy_lru, book, 20, 3) == 12, "textbook_lru_12", "");
	result(kmm_policy_opt(book, 20, 8, 3) == 9, "textbook_opt_9", "");
	result(live_faults(&kmm_policy_fifo, belady, 12, 3) == 9 &&
	       live_faults(&kmm_policy_fifo, belady, 12, 4) == 10, "belady_anomaly_9_10", "");
	result(live_faults(&kmm_policy_lru, belady, 12, 3) == 10 &&
	       live_faults(&kmm_policy_lru, belady, 12, 4) == 8, "belady_lru_10_8", "");
}

/* A loop longer than memory: lru never hits, lfu keeps what fits. */
static void test_loop(void)
{
	static u32 refs[20000];
	long lfu, opt;
	u32 k;

	for (k = 0; k < ARRAY_SIZE(refs); k++)
		refs[k] = k % 200;
	lfu = live_faults(&kmm_policy_lfu, refs, ARRAY_SIZE(refs), 100);
	opt = kmm_policy_opt(refs, ARRAY_SIZE(refs), 200, 100);
	printf("# loop of 200 in 100 frames: lru %ld, lfu %ld, opt %ld faults\n",
	       live_faults(&kmm_policy_lru, refs, ARRAY_SIZE(refs), 100), lfu, opt);
	result(live_faults(&kmm_policy_lru, refs, ARRAY_SIZE(refs), 100) == ARRAY_SIZE(refs) &&
	       lfu * 100 <= opt * 105, "loop", "");
}

int main(int argc, char **argv)
{
	unsigned long nr_ops = 200000;
	int i;

	for (i = 1; i < argc; i++) {
		if (i + 1 < argc && !strcmp(argv[i], "--seed")) {
			seed = strtoull(argv[++i], NULL, 0);
		} else if (i + 1 < argc && !strcmp(argv[i], "--ops")) {
			nr_ops = strtoul(argv[++i], NULL, 0);
		} else {
			fprintf(stderr, "usage: %s [--seed N] [--ops N]\n", argv[0]);
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("# seed %llu ops %lu\n", (unsigned long long)seed, nr_ops);
	seed = seed * 2685821657736338717ULL + 1;
	test_contract(nr_ops);
	test_models(nr_ops);
	test_random_is_fair();
	test_failures();
	test_opt();
	test_bound();
	test_inclusion();
	test_textbook();
	test_loop();
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
