// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: random
 *
 * Any page leaves, each with the same chance. What a policy must beat to be worth its
 * bookkeeping; on loops longer than memory most do not.
 *
 * The pages stand in an array, the place of each in its frame's word next, so taking one out is
 * to fill its place with the last one. The array has room for p->capacity pages and is taken
 * when the policy is made. Where there are more pages than that, because a limit was lowered or
 * pages were put in without asking it, those beyond it wait in a list, and leave first.
 *
 * The generator is xorshift with a fixed seed: a replay gives the same result each time. The
 * page is chosen by the upper half of a product, without division; for 2^16 pages the chances
 * differ by less than 2^-16. policy_test counts how often each page leaves.
 *
 * States: a page has a place in the array, or is in the list (frame.policy is RAND_SURPLUS), or
 * neither.
 *
 * Cost: add, del and victim are a few instructions each; touch is nothing.
 *
 * Invariant: page[place] of a frame is the frame, for all places below r->nr; these and the list
 * are p->nr.
 *
 * What it deliberately does not do: look at use. keep() sends every candidate on its way.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <kmm/inject.h>
#include <kmm/policy.h>

#define RAND_SURPLUS	1

/**
 * struct rand - state
 * @page: capacity entries
 * @nr: entries used
 * @surplus: pages that have found no room there
 * @seed: of the generator, never 0
 */
struct rand {
	u32 *page;
	u32 nr;
	struct kmm_policy_list surplus;
	u32 seed;
};

static int rand_init(struct kmm_policy *p)
{
	struct rand *r = p->priv;

	kmm_policy_list_init(&r->surplus);
	r->seed = 2463534242U;
	if (!kmm_should_fail())
		r->page = kvmalloc_array(p->capacity, sizeof(*r->page), GFP_KERNEL_ACCOUNT);
	return r->page ? 0 : -ENOMEM;
}

static void rand_fini(struct kmm_policy *p)
{
	struct rand *r = p->priv;

	kvfree(r->page);
}

static void rand_add(struct kmm_policy *p, u32 i, u32 shadow)
{
	struct rand *r = p->priv;

	if (unlikely(r->nr == p->capacity)) {
		p->frames[i].policy = RAND_SURPLUS;
		kmm_policy_push(p, &r->surplus, i);
		return;
	}
	p->frames[i].policy = 0;
	p->frames[i].next = r->nr;
	r->page[r->nr++] = i;
}

static void rand_del(struct kmm_policy *p, u32 i)
{
	struct rand *r = p->priv;
	u32 place = p->frames[i].next, last;

	if (unlikely(p->frames[i].policy == RAND_SURPLUS)) {
		kmm_policy_unlink(p, &r->surplus, i);
		return;
	}
	last = r->page[--r->nr];
	r->page[place] = last;
	p->frames[last].next = place;
}

static void rand_touch(struct kmm_policy *p, u32 i)
{
}

static u32 rand_victim(struct kmm_policy *p)
{
	struct rand *r = p->priv;
	u32 i;

	if (unlikely(r->surplus.nr))
		return kmm_policy_pop(p, &r->surplus);
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 17;
	r->seed ^= r->seed << 5;
	i = r->page[(u64)r->seed * r->nr >> 32];
	rand_del(p, i);
	return i;
}

static bool rand_keep(struct kmm_policy *p, u32 i, bool young)
{
	return false;
}

static u32 rand_pop(struct kmm_policy *p)
{
	struct rand *r = p->priv;

	return r->surplus.nr ? kmm_policy_pop(p, &r->surplus) : r->page[--r->nr];
}

static unsigned long rand_check(struct kmm_policy *p)
{
	const struct rand *r = p->priv;
	unsigned long bad = kmm_policy_list_check(p, &r->surplus) + (r->nr > p->capacity) +
			    (r->nr + r->surplus.nr != p->nr);
	u32 k;

	for (k = 0; k < r->nr; k++)
		bad += p->frames[r->page[k]].next != k;
	return bad;
}

const struct kmm_policy_ops kmm_policy_random = {
	.name = "random",
	.what = "any page, each with the same chance",
	.priv_bytes = sizeof(struct rand),
	.init = rand_init,
	.fini = rand_fini,
	.add = rand_add,
	.del = rand_del,
	.touch = rand_touch,
	.victim = rand_victim,
	.keep = rand_keep,
	.pop = rand_pop,
	.check = rand_check,
};
