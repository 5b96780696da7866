// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: lru
 *
 * One list in the exact order of last use; the page that was not used for the longest time
 * leaves. Exact where every use is told (replay); in a running system a use counts from the
 * moment when somebody looks at the Accessed bit, and then the order is that of the looks.
 *
 * A stack algorithm: what n frames hold, n + 1 frames hold as well (the n most recently used
 * pages), so more memory never means more faults. policy_test proves it on random traces.
 *
 * Its strength is a working set that changes slowly. Its weakness: a loop a little longer than
 * the memory misses every time, because each page leaves just before its turn, and a scan that
 * is used once pushes everything else out.
 *
 * States: a page is in the list or it is not. frame.policy is not used.
 *
 * Cost: every use moves a page, six stores. That is why no kernel does it on each access, and
 * why the exact form lives in replay and in books.
 *
 * Invariant: the list has p->nr pages, the one used last at the head.
 *
 * What it deliberately does not do: remember pages that left (see twolist), count uses (see
 * lfu).
 */
#include <kmm/policy.h>

static int lru_init(struct kmm_policy *p)
{
	kmm_policy_list_init(p->priv);
	return 0;
}

static void lru_add(struct kmm_policy *p, u32 i, u32 shadow)
{
	kmm_policy_push(p, p->priv, i);
}

static void lru_del(struct kmm_policy *p, u32 i)
{
	kmm_policy_unlink(p, p->priv, i);
}

static void lru_touch(struct kmm_policy *p, u32 i)
{
	kmm_policy_move(p, p->priv, p->priv, i);
}

static u32 lru_pop(struct kmm_policy *p)
{
	return kmm_policy_pop(p, p->priv);
}

static bool lru_keep(struct kmm_policy *p, u32 i, bool young)
{
	if (young)
		kmm_policy_push(p, p->priv, i);
	return young;
}

static unsigned long lru_check(struct kmm_policy *p)
{
	const struct kmm_policy_list *l = p->priv;

	return kmm_policy_list_check(p, l) + (l->nr != p->nr);
}

const struct kmm_policy_ops kmm_policy_lru = {
	.name = "lru",
	.what = "least recently used, one exact list",
	.priv_bytes = sizeof(struct kmm_policy_list),
	.init = lru_init,
	.add = lru_add,
	.del = lru_del,
	.touch = lru_touch,
	.victim = lru_pop,
	.keep = lru_keep,
	.pop = lru_pop,
	.check = lru_check,
};
