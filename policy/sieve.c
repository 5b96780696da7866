// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: sieve
 *
 * SIEVE (Zhang and others, NSDI 2024). One list in the order of arrival, one bit a page, one
 * hand that goes from the oldest towards the newest: a page that was used loses its bit and
 * stays where it is, the first that was not leaves, and the hand stays there. When it comes to
 * the newest it begins again at the oldest.
 *
 * Unlike clock, what survives is not mixed with what is new: survivors stay near the tail,
 * behind the hand, and new pages, which stand before it, are sifted in the next pass. So pages
 * that are used once go quickly, without a queue of their own.
 *
 * States: frame.policy has the mark of use, SIEVE_VISITED, or is 0. The hand is a page, or
 * none: the tail. When the page at the hand leaves by itself, the hand goes to the next newer
 * one.
 *
 * In a running system a candidate that is found young goes back to the newest: while it was out
 * of the list its old place was lost. That makes sampled sieve a little more like clock.
 *
 * Cost: a touch is one store; no page is ever moved by a victim's search, only marks are
 * cleared.
 *
 * Invariants: the list has p->nr pages; the hand is in the list or none.
 *
 * What it deliberately does not do: remember pages that left.
 */
#include <kmm/policy.h>

/* frame.policy */
#define SIEVE_VISITED	1

/**
 * struct sieve - state
 * @list: the newest at the head
 * @hand: where to look next; KMM_POLICY_NONE is the tail
 */
struct sieve {
	struct kmm_policy_list list;
	u32 hand;
};

static int sieve_init(struct kmm_policy *p)
{
	struct sieve *s = p->priv;

	kmm_policy_list_init(&s->list);
	s->hand = KMM_POLICY_NONE;
	return 0;
}

static void sieve_add(struct kmm_policy *p, u32 i, u32 shadow)
{
	struct sieve *s = p->priv;

	p->frames[i].policy = 0;
	kmm_policy_push(p, &s->list, i);
}

static void sieve_del(struct kmm_policy *p, u32 i)
{
	struct sieve *s = p->priv;

	if (s->hand == i)
		s->hand = p->frames[i].prev;
	kmm_policy_unlink(p, &s->list, i);
}

static void sieve_touch(struct kmm_policy *p, u32 i)
{
	p->frames[i].policy = SIEVE_VISITED;
}

static u32 sieve_victim(struct kmm_policy *p)
{
	struct sieve *s = p->priv;
	u32 i = s->hand == KMM_POLICY_NONE ? s->list.tail : s->hand;

	while (p->frames[i].policy & SIEVE_VISITED) {
		p->frames[i].policy = 0;
		i = p->frames[i].prev;
		if (i == KMM_POLICY_NONE)
			i = s->list.tail;
	}
	s->hand = i;
	sieve_del(p, i);
	return i;
}

/* Back to the newest: its old place is not known any more. */
static bool sieve_keep(struct kmm_policy *p, u32 i, bool young)
{
	if (young)
		sieve_add(p, i, 0);
	return young;
}

static u32 sieve_pop(struct kmm_policy *p)
{
	struct sieve *s = p->priv;
	u32 i = s->list.tail;

	sieve_del(p, i);
	return i;
}

static unsigned long sieve_check(struct kmm_policy *p)
{
	const struct sieve *s = p->priv;
	bool found = s->hand == KMM_POLICY_NONE;
	u32 i;

	for (i = s->list.head; i != KMM_POLICY_NONE; i = p->frames[i].next)
		found |= i == s->hand;
	return !found + kmm_policy_list_check(p, &s->list) + (s->list.nr != p->nr);
}

const struct kmm_policy_ops kmm_policy_sieve = {
	.name = "sieve",
	.what = "SIEVE: arrival order, a hand that leaves used pages in place",
	.priv_bytes = sizeof(struct sieve),
	.init = sieve_init,
	.add = sieve_add,
	.del = sieve_del,
	.touch = sieve_touch,
	.victim = sieve_victim,
	.keep = sieve_keep,
	.pop = sieve_pop,
	.check = sieve_check,
};
