// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: fifo
 *
 * The page that came first leaves first, used or not. The simplest there is, and the one with
 * Belady's anomaly: more memory can mean more faults.
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
