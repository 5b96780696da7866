// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Page replacement
 *
 * Which page leaves when memory is short. Every algorithm is one file here, behind one const
 * table of functions; this file is the registry and what they share.
 *
 * A policy works on indexes of frames. It keeps them in lists that are linked through the
 * frames themselves, with one byte per frame for what it has to remember, so taking in,
 * touching and choosing a page costs no memory and a handful of instructions. It knows nothing
 * of objects, page tables or locks.
 *
 * How use is seen. In exact mode (replay of a trace) the caller tells each use by touch(). In a
 * running system the hardware tells it, in Accessed bits, and only when somebody looks: the
 * caller takes a candidate by victim(), looks at its Accessed bits outside of the policy's
 * lock, and asks keep(), which puts a page that was used back to where the algorithm wants it.
 * So the same algorithm serves both, and what it cannot see in sampled mode is what hardware
 * does not record.
 *
 * Shadows. An evicted page leaves a word behind, in the place where its owner finds it when it
 * comes back: a clock counted in evictions and seven bits of the algorithm's. So ghost lists
 * need no memory: "is it in the ghost list of length n" is "is its shadow at most n evictions
 * old".
 *
 * Switch. kmm_policy_take_over() pops page by page, the coldest first, from one policy and adds
 * it to another, which then has them in about the same order. Nothing is evicted and nothing
 * lost.
 *
 * opt.c is no policy: it needs to know the future. It computes from a recorded trace how many
 * faults there must be at least.
 *
 * Locks: the owner's, around every call. Invariants: every page is in exactly one list, p->nr
 * is the sum of their lengths.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <compat/compat.h>
#include <kmm/inject.h>
#include <kmm/policy.h>

const struct kmm_policy_ops * const kmm_policies[] = {
	&kmm_policy_fifo,
	&kmm_policy_clock,
	&kmm_policy_lru,
	&kmm_policy_twolist,
	&kmm_policy_lfu,
	&kmm_policy_random,
	&kmm_policy_gen,
	&kmm_policy_s3fifo,
	&kmm_policy_sieve,
};

const unsigned int kmm_nr_policies = ARRAY_SIZE(kmm_policies);
KMM_EXPORT_INTERNAL(kmm_policies);
KMM_EXPORT_INTERNAL(kmm_nr_policies);

/**
 * kmm_policy_find() - An algorithm by its name.
 * @name: name
 *
 * Context: any. Return: it, or NULL.
 */
const struct kmm_policy_ops *kmm_policy_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < kmm_nr_policies; i++)
		if (!strcmp(kmm_policies[i]->name, name))
			return kmm_policies[i];
	return NULL;
}
KMM_EXPORT_INTERNAL(kmm_policy_find);

/**
 * kmm_policy_init() - An algorithm on a set of pages, none of them in it yet.
 * @p: caller's memory
 * @ops: the algorithm
 * @frames: frames by index
 * @capacity: most pages that will be resident; not zero
 *
 * Context: task, may sleep. Return: 0 or -ENOMEM.
 */
int kmm_policy_init(struct kmm_policy *p, const struct kmm_policy_ops *ops,
		    struct kmm_frame *frames, u32 capacity)
{
	int err = 0;

	*p = (struct kmm_policy) { .ops = ops, .frames = frames, .capacity = capacity };
	p->priv = kmm_should_fail() ? NULL : kzalloc(ops->priv_bytes, GFP_KERNEL_ACCOUNT);
	if (!p->priv)
		return -ENOMEM;
	if (ops->init)
		err = ops->init(p);
	if (err) {
		kfree(p->priv);
		p->priv = NULL;
	}
	return err;
}
KMM_EXPORT_INTERNAL(kmm_policy_init);

/**
 * kmm_policy_fini() - The end; no page is in it any more.
 * @p: policy
 *
 * Context: task, may sleep.
 */
void kmm_policy_fini(struct kmm_policy *p)
{
	if (p->ops->fini)
		p->ops->fini(p);
	kfree(p->priv);
	p->priv = NULL;
}
KMM_EXPORT_INTERNAL(kmm_policy_fini);

/**
 * kmm_policy_take_over() - Hand all pages from one policy to another.
 * @to: the new one, on the same frames
 * @from: the old one; empty afterwards
 *
 * Context: under the lock of both.
 */
void kmm_policy_take_over(struct kmm_policy *to, struct kmm_policy *from)
{
	while (from->nr) {
		u32 i = from->ops->pop(from);

		from->nr--;
		from->frames[i].policy = 0;
		kmm_policy_add(to, i, 0);
	}
	to->evictions = from->evictions;
}
KMM_EXPORT_INTERNAL(kmm_policy_take_over);

/**
 * kmm_policy_list_check() - Is a list linked as it should be?
 * @p: policy
 * @l: list of it
 *
 * Context: under its lock. Return: number of violations, 0 is well.
 */
unsigned long kmm_policy_list_check(const struct kmm_policy *p, const struct kmm_policy_list *l)
{
	u32 i, before = KMM_POLICY_NONE, nr = 0;
	unsigned long bad = 0;

	for (i = l->head; i != KMM_POLICY_NONE && nr <= l->nr; i = p->frames[i].next) {
		bad += p->frames[i].prev != before;
		before = i;
		nr++;
	}
	return bad + (l->tail != before) + (nr != l->nr);
}
KMM_EXPORT_INTERNAL(kmm_policy_list_check);

/**
 * kmm_policy_check() - Look for violated invariants.
 * @p: policy
 *
 * Context: under its lock. Return: number of violations.
 */
unsigned long kmm_policy_check(struct kmm_policy *p)
{
	return p->ops->check(p);
}
KMM_EXPORT_INTERNAL(kmm_policy_check);
