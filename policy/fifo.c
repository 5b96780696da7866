// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: fifo
 *
 * The page that came first leaves first, used or not. It needs one list and nothing else: a
 * page is pushed at the head when it comes and popped at the tail when one must leave, and no
 * use of it changes anything.
 *
 * It is the baseline: what another policy gains over fifo is what it gains from watching use at
 * all. And it is the one with Belady's anomaly. With more frames a page stays longer, so it
 * leaves at another moment, and that can be the worse one: 1 2 3 4 1 2 5 1 2 3 4 5 has nine
 * faults with three frames and ten with four (policy_test shows both).
 *
 * States: a page is in the list or it is not. frame.policy is not used.
 *
 * Cost: add, del and victim are a few stores each; touch is nothing, so in a running system
 * nobody has to look at Accessed bits. keep() sends every candidate on its way, young or not.
 *
 * Invariant: the list has p->nr pages, in the order in which they came.
 *
 * What it deliberately does not do: look at use, or remember anything of a page that left.
 */
#include <kmm/policy.h>

static int fifo_init(struct kmm_policy *p)
{
	kmm_policy_list_init(p->priv);
	return 0;
}

static void fifo_add(struct kmm_policy *p, u32 i, u32 shadow)
{
	kmm_policy_push(p, p->priv, i);
}

static void fifo_del(struct kmm_policy *p, u32 i)
{
	kmm_policy_unlink(p, p->priv, i);
}

static void fifo_touch(struct kmm_policy *p, u32 i)
{
}

static u32 fifo_pop(struct kmm_policy *p)
{
	return kmm_policy_pop(p, p->priv);
}

static bool fifo_keep(struct kmm_policy *p, u32 i, bool young)
{
	return false;
}

static unsigned long fifo_check(struct kmm_policy *p)
{
	const struct kmm_policy_list *l = p->priv;

	return kmm_policy_list_check(p, l) + (l->nr != p->nr);
}

const struct kmm_policy_ops kmm_policy_fifo = {
	.name = "fifo",
	.what = "first in, first out",
	.priv_bytes = sizeof(struct kmm_policy_list),
	.init = fifo_init,
	.add = fifo_add,
	.del = fifo_del,
	.touch = fifo_touch,
	.victim = fifo_pop,
	.keep = fifo_keep,
	.pop = fifo_pop,
	.check = fifo_check,
};
