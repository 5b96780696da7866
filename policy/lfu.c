// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: lfu
 *
 * The page that was used least often leaves. Every page has a count of its uses; among equals
 * the one that came to this count last leaves: in a loop longer than memory this keeps a fixed
 * part of it instead of losing all, and a scan pushes out its own pages.
 *
 * Counts would keep for ever what was busy once. So they age: after AGE_USES uses for each page
 * that there is room for, all are halved. That is one walk over all pages under the lock, once
 * in so many uses; and a page that comes back takes up its old count, halved for each memory-
 * full of evictions since.
 *
 * States: one list per count, up to LFU_MAX; frame.policy is the count.
 */
#include <linux/minmax.h>

#include <kmm/policy.h>

#define LFU_MAX		127
#define LFU_COUNTS	(LFU_MAX + 1)

/* Uses per frame of capacity from one aging to the next. */
#define LFU_AGE_USES	32

/**
 * struct lfu - state
 * @list: pages by count
 * @lowest: no list below it has a page
 * @uses: since the last aging
 */
struct lfu {
	struct kmm_policy_list list[LFU_COUNTS];
	u32 lowest;
	u64 uses;
};

static int lfu_init(struct kmm_policy *p)
{
	struct lfu *l = p->priv;
	u32 n;

	for (n = 0; n < LFU_COUNTS; n++)
		kmm_policy_list_init(&l->list[n]);
	return 0;
}

static void lfu_put(struct kmm_policy *p, u32 i, u32 count)
{
	struct lfu *l = p->priv;

	p->frames[i].policy = count;
	kmm_policy_push(p, &l->list[count], i);
	l->lowest = min(l->lowest, count);
}

static void lfu_age(struct kmm_policy *p)
{
	struct lfu *l = p->priv;
	u32 n, i;

	l->uses = 0;
	/* The oldest first, so the order within a count stays. */
	for (n = 2; n < LFU_COUNTS; n++)
		while ((i = kmm_policy_pop(p, &l->list[n])) != KMM_POLICY_NONE)
			lfu_put(p, i, n / 2);
}

static void lfu_use(struct kmm_policy *p)
{
	struct lfu *l = p->priv;

	if (++l->uses >= (u64)p->capacity * LFU_AGE_USES)
		lfu_age(p);
}

static void lfu_add(struct kmm_policy *p, u32 i, u32 shadow)
{
	u32 count = 1;

	if (shadow) {
		u32 age = kmm_shadow_distance(p, shadow) / p->capacity;

		count += age < 7 ? kmm_shadow_info(shadow) >> age : 0;
	}
	lfu_put(p, i, min_t(u32, count, LFU_MAX));
	lfu_use(p);
}

static void lfu_del(struct kmm_policy *p, u32 i)
{
	struct lfu *l = p->priv;

	kmm_policy_unlink(p, &l->list[p->frames[i].policy], i);
}

static void lfu_touch(struct kmm_policy *p, u32 i)
{
	u32 count = p->frames[i].policy;

	lfu_del(p, i);
	lfu_put(p, i, min_t(u32, count + 1, LFU_MAX));
	lfu_use(p);
}

static struct kmm_policy_list *lfu_lowest(struct lfu *l)
{
	while (!l->list[l->lowest].nr)
		l->lowest++;
	return &l->list[l->lowest];
}

static u32 lfu_victim(struct kmm_policy *p)
{
	struct kmm_policy_list *list = lfu_lowest(p->priv);
	u32 i = list->head;

	kmm_policy_unlink(p, list, i);
	return i;
}

static bool lfu_keep(struct kmm_policy *p, u32 i, bool young)
{
	if (young) {
		lfu_put(p, i, min_t(u32, p->frames[i].policy + 1, LFU_MAX));
		lfu_use(p);
	}
	return young;
}

static u32 lfu_shadow(struct kmm_policy *p, u32 i)
{
	return p->frames[i].policy;
}

static u32 lfu_pop(struct kmm_policy *p)
{
	return lfu_victim(p);
}

static unsigned long lfu_check(struct kmm_policy *p)
{
	const struct lfu *l = p->priv;
	unsigned long bad = 0;
	u32 n, i, nr = 0;

	for (n = 0; n < LFU_COUNTS; n++) {
		bad += kmm_policy_list_check(p, &l->list[n]) + (n < l->lowest && l->list[n].nr);
		nr += l->list[n].nr;
		for (i = l->list[n].head; i != KMM_POLICY_NONE; i = p->frames[i].next)
			bad += p->frames[i].policy != n;
	}
	return bad + (nr != p->nr);
}

const struct kmm_policy_ops kmm_policy_lfu = {
	.name = "lfu",
	.what = "least frequently used, counts that age",
	.priv_bytes = sizeof(struct lfu),
	.init = lfu_init,
	.add = lfu_add,
	.del = lfu_del,
	.touch = lfu_touch,
	.victim = lfu_victim,
	.keep = lfu_keep,
	.shadow = lfu_shadow,
	.pop = lfu_pop,
	.check = lfu_check,
};
