// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: gen
 *
 * Generations, in the manner of Linux's MGLRU. Pages stand in up to four generations by age. A
 * page comes to the second youngest, one that returns soon to the youngest. The oldest
 * generation is emptied: a page of it that was used goes to the youngest, others leave. When
 * only two generations are left, a new youngest one begins; that is all that aging is, so pages
 * that are used are not moved before they would leave.
 *
 * "Soon" is measured by the shadow: fewer evictions since it left than there are pages now, so
 * with twice the memory it would have stayed.
 *
 * What differs from MGLRU: there, aging walks page tables and moves all pages found young at
 * once; here a use is a mark (or an Accessed bit) that is looked at when the page is a
 * candidate. No tiers by number of uses, no Bloom filter, no feedback loop between anonymous
 * and file pages: all pages of kmm are of one kind.
 *
 * States: frame.policy has the low two bits of the generation's number, and GEN_REFERENCED.
 *
 * Cost: a touch is one store; a victim is a pop, and a push for every used page that it passes
 * over.
 *
 * Invariants: a page is in the list of its number; at most four generations, at least two.
 *
 * What it deliberately does not do: keep pages by a minimum age in milliseconds.
 */
#include <kmm/policy.h>

#define GEN_MAX		4
#define GEN_MIN		2

/* frame.policy: the generation's number, its low bits, and a mark of use */
#define GEN_MASK	(GEN_MAX - 1)
#define GEN_REFERENCED	GEN_MAX

/**
 * struct gen - state
 * @list: by number modulo GEN_MAX
 * @oldest: number of the oldest generation
 * @youngest: number of the youngest
 */
struct gen {
	struct kmm_policy_list list[GEN_MAX];
	u32 oldest;
	u32 youngest;
};

static int gen_init(struct kmm_policy *p)
{
	struct gen *g = p->priv;
	u32 n;

	for (n = 0; n < GEN_MAX; n++)
		kmm_policy_list_init(&g->list[n]);
	g->youngest = GEN_MIN;
	return 0;
}

static void gen_put(struct kmm_policy *p, u32 i, u32 number)
{
	struct gen *g = p->priv;

	p->frames[i].policy = number & GEN_MASK;
	kmm_policy_push(p, &g->list[number & GEN_MASK], i);
}

static void gen_add(struct kmm_policy *p, u32 i, u32 shadow)
{
	struct gen *g = p->priv;
	bool soon = shadow && kmm_shadow_distance(p, shadow) <= p->nr;

	gen_put(p, i, soon ? g->youngest : g->youngest - 1);
}

static void gen_del(struct kmm_policy *p, u32 i)
{
	struct gen *g = p->priv;

	kmm_policy_unlink(p, &g->list[p->frames[i].policy & GEN_MASK], i);
}

static void gen_touch(struct kmm_policy *p, u32 i)
{
	p->frames[i].policy |= GEN_REFERENCED;
}

/* The oldest generation that has a page. */
static struct kmm_policy_list *gen_oldest(struct gen *g)
{
	while (!g->list[g->oldest & GEN_MASK].nr) {
		g->oldest++;
		if (g->youngest - g->oldest < GEN_MIN - 1)
			g->youngest++;
	}
	return &g->list[g->oldest & GEN_MASK];
}

static u32 gen_victim(struct kmm_policy *p)
{
	struct gen *g = p->priv;

	for (;;) {
		u32 i = kmm_policy_pop(p, gen_oldest(g));

		if (!(p->frames[i].policy & GEN_REFERENCED))
			return i;
		gen_put(p, i, g->youngest);
	}
}

static bool gen_keep(struct kmm_policy *p, u32 i, bool young)
{
	struct gen *g = p->priv;

	if (young)
		gen_put(p, i, g->youngest);
	return young;
}

static u32 gen_pop(struct kmm_policy *p)
{
	return kmm_policy_pop(p, gen_oldest(p->priv));
}

static unsigned long gen_check(struct kmm_policy *p)
{
	const struct gen *g = p->priv;
	u32 n, i, nr = 0;
	unsigned long bad = g->youngest - g->oldest >= GEN_MAX;

	for (n = 0; n < GEN_MAX; n++) {
		bad += kmm_policy_list_check(p, &g->list[n]);
		nr += g->list[n].nr;
		for (i = g->list[n].head; i != KMM_POLICY_NONE; i = p->frames[i].next)
			bad += (p->frames[i].policy & GEN_MASK) != n;
	}
	return bad + (nr != p->nr);
}

const struct kmm_policy_ops kmm_policy_gen = {
	.name = "gen",
	.what = "generations, as MGLRU has them",
	.priv_bytes = sizeof(struct gen),
	.init = gen_init,
	.add = gen_add,
	.del = gen_del,
	.touch = gen_touch,
	.victim = gen_victim,
	.keep = gen_keep,
	.pop = gen_pop,
	.check = gen_check,
};
