// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: clock
 *
 * Second chance. The pages stand in a ring; a hand goes round. A page that was used since the
 * hand came by last loses its mark and stays, one that was not leaves. The ring is a list here:
 * the hand is its tail, and going on means to move the tail to the head.
 *
 * A page comes without the mark: its first use is what brought it. So a page that is used once
 * passes, and one that is used again before the hand comes stays for a round.
 *
 * It approximates lru with one bit a page, set by the hardware as the Accessed bit; that is why
 * it, and not lru, is what kernels have been built on.
 *
 * States: frame.policy has the mark of use, CLOCK_REFERENCED, or is 0.
 *
 * In exact mode touch() sets the mark. In a running system nobody calls touch(): the hand's
 * look is keep(), which puts a page that was found young behind the hand.
 *
 * Cost: a touch is one store. A victim costs as many moves as there are marked pages before the
 * first one without; each of them was paid by a use, and after one round no mark is left.
 *
 * Invariant: the list has p->nr pages.
 *
 * What it deliberately does not do: no second hand, no count of more than one use (see s3fifo).
 */
#include <kmm/policy.h>

/* frame.policy */
#define CLOCK_REFERENCED	1

static int clock_init(struct kmm_policy *p)
{
	kmm_policy_list_init(p->priv);
	return 0;
}

static void clock_add(struct kmm_policy *p, u32 i, u32 shadow)
{
	kmm_policy_push(p, p->priv, i);
	p->frames[i].policy = 0;
}

static void clock_del(struct kmm_policy *p, u32 i)
{
	kmm_policy_unlink(p, p->priv, i);
}

static void clock_touch(struct kmm_policy *p, u32 i)
{
	p->frames[i].policy = CLOCK_REFERENCED;
}

static u32 clock_victim(struct kmm_policy *p)
{
	struct kmm_policy_list *l = p->priv;

	/* Once round at most: then no mark is left. */
	while (p->frames[l->tail].policy & CLOCK_REFERENCED) {
		p->frames[l->tail].policy = 0;
		kmm_policy_move(p, l, l, l->tail);
	}
	return kmm_policy_pop(p, l);
}

static bool clock_keep(struct kmm_policy *p, u32 i, bool young)
{
	if (young)
		clock_add(p, i, 0);
	return young;
}

static u32 clock_pop(struct kmm_policy *p)
{
	return kmm_policy_pop(p, p->priv);
}

static unsigned long clock_check(struct kmm_policy *p)
{
	const struct kmm_policy_list *l = p->priv;

	return kmm_policy_list_check(p, l) + (l->nr != p->nr);
}

const struct kmm_policy_ops kmm_policy_clock = {
	.name = "clock",
	.what = "second chance: a hand goes round, used pages stay",
	.priv_bytes = sizeof(struct kmm_policy_list),
	.init = clock_init,
	.add = clock_add,
	.del = clock_del,
	.touch = clock_touch,
	.victim = clock_victim,
	.keep = clock_keep,
	.pop = clock_pop,
	.check = clock_check,
};
