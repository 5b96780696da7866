// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: twolist
 *
 * Linux's two lists. A page comes to the inactive list; a second use there takes it to the
 * active list; the tail of the inactive list leaves. When the inactive list is shorter than the
 * active one, tails of the active list go back to it. So what is used once, a scan, passes
 * through the inactive list and leaves the active one alone.
 *
 * A page that returns sooner than the active list is long (its shadow's distance) would have
 * stayed had the inactive list had the active one's room: it becomes active at once, as Linux's
 * workingset does.
 */
#include <kmm/policy.h>

/* frame.policy */
#define TWOLIST_ACTIVE		1
#define TWOLIST_REFERENCED	2

struct twolist {
	struct kmm_policy_list active;
	struct kmm_policy_list inactive;
};

static int twolist_init(struct kmm_policy *p)
{
	struct twolist *t = p->priv;

	kmm_policy_list_init(&t->active);
	kmm_policy_list_init(&t->inactive);
	return 0;
}

static void twolist_put(struct kmm_policy *p, u32 i, bool active)
{
	struct twolist *t = p->priv;

	p->frames[i].policy = active ? TWOLIST_ACTIVE : 0;
	kmm_policy_push(p, active ? &t->active : &t->inactive, i);
}

static void twolist_add(struct kmm_policy *p, u32 i, u32 shadow)
{
	struct twolist *t = p->priv;

	twolist_put(p, i, shadow && kmm_shadow_distance(p, shadow) <= t->active.nr);
}

static void twolist_del(struct kmm_policy *p, u32 i)
{
	struct twolist *t = p->priv;

	kmm_policy_unlink(p, p->frames[i].policy & TWOLIST_ACTIVE ? &t->active : &t->inactive, i);
}

static void twolist_touch(struct kmm_policy *p, u32 i)
{
	u8 *bits = &p->frames[i].policy;

	if (*bits == TWOLIST_REFERENCED) {
		twolist_del(p, i);
		twolist_put(p, i, true);
	} else {
		*bits |= TWOLIST_REFERENCED;
	}
}

static u32 twolist_victim(struct kmm_policy *p)
{
	struct twolist *t = p->priv;

	while (t->inactive.nr < t->active.nr || !t->inactive.nr)
		twolist_put(p, kmm_policy_pop(p, &t->active), false);
	return kmm_policy_pop(p, &t->inactive);
}

/* As page_check_references(): the first look makes a page referenced, the second active. */
static bool twolist_keep(struct kmm_policy *p, u32 i, bool young)
{
	bool referenced = p->frames[i].policy & TWOLIST_REFERENCED;

	if (!young)
		return false;
	twolist_put(p, i, referenced);
	if (!referenced)
		p->frames[i].policy = TWOLIST_REFERENCED;
	return true;
}

static u32 twolist_pop(struct kmm_policy *p)
{
	struct twolist *t = p->priv;

	return kmm_policy_pop(p, t->inactive.nr ? &t->inactive : &t->active);
}

static unsigned long twolist_check(struct kmm_policy *p)
{
	const struct twolist *t = p->priv;
	unsigned long bad = 0;
	u32 i;

	for (i = t->active.head; i != KMM_POLICY_NONE; i = p->frames[i].next)
		bad += !(p->frames[i].policy & TWOLIST_ACTIVE);
	return bad + kmm_policy_list_check(p, &t->active) + kmm_policy_list_check(p, &t->inactive) +
	       (t->active.nr + t->inactive.nr != p->nr);
}

const struct kmm_policy_ops kmm_policy_twolist = {
	.name = "twolist",
	.what = "active and inactive list, as Linux has them",
	.priv_bytes = sizeof(struct twolist),
	.init = twolist_init,
	.add = twolist_add,
	.del = twolist_del,
	.touch = twolist_touch,
	.victim = twolist_victim,
	.keep = twolist_keep,
	.pop = twolist_pop,
	.check = twolist_check,
};
