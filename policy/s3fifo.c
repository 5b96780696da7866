// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: s3fifo
 *
 * S3-FIFO (Yang and others, SOSP 2023). Three FIFO queues: a small one of a tenth of the memory
 * for what is new, a main one, and a ghost of what left the small one. A page that was used
 * twice in the small queue goes on to the main one, others leave and become ghosts; a ghost
 * that returns goes to the main queue at once. In the main queue a page that was used goes
 * round again, up to three times. So most of what is used once leaves after a tenth of the
 * memory.
 *
 * The ghost queue has no memory: a shadow that left the small queue is in it while it is at
 * most nine tenths of the memory's evictions old.
 */
#include <linux/minmax.h>

#include <kmm/policy.h>

/* frame.policy: uses, up to FREQ_MAX, and the queue */
#define S3_FREQ_MAX	3
#define S3_FREQ_MASK	3
#define S3_MAIN		4

/* Uses in the small queue that a page needs to get into the main one. */
#define S3_PROMOTE	2

/* A tenth of the memory is the small queue, nine tenths remember ghosts. */
#define S3_SMALL_PARTS	10
#define S3_GHOST_PARTS	9

/* A shadow of what left the small queue. */
#define S3_INFO_SMALL	1

/**
 * struct s3fifo - state
 * @small: what is new
 * @main: what was used again
 */
struct s3fifo {
	struct kmm_policy_list small;
	struct kmm_policy_list main;
};

static int s3fifo_init(struct kmm_policy *p)
{
	struct s3fifo *s = p->priv;

	kmm_policy_list_init(&s->small);
	kmm_policy_list_init(&s->main);
	return 0;
}

static void s3fifo_put(struct kmm_policy *p, u32 i, bool main)
{
	struct s3fifo *s = p->priv;

	p->frames[i].policy = main ? S3_MAIN : 0;
	kmm_policy_push(p, main ? &s->main : &s->small, i);
}

static void s3fifo_add(struct kmm_policy *p, u32 i, u32 shadow)
{
	bool ghost = shadow && kmm_shadow_info(shadow) == S3_INFO_SMALL &&
		     kmm_shadow_distance(p, shadow) <=
		     (u64)p->capacity * S3_GHOST_PARTS / S3_SMALL_PARTS;

	s3fifo_put(p, i, ghost);
}

static void s3fifo_del(struct kmm_policy *p, u32 i)
{
	struct s3fifo *s = p->priv;

	kmm_policy_unlink(p, p->frames[i].policy & S3_MAIN ? &s->main : &s->small, i);
}

static void s3fifo_touch(struct kmm_policy *p, u32 i)
{
	u8 *bits = &p->frames[i].policy;

	if ((*bits & S3_FREQ_MASK) < S3_FREQ_MAX)
		++*bits;
}

/* The oldest of the main queue that was not used; used ones go round. */
static u32 s3fifo_victim_main(struct kmm_policy *p, struct s3fifo *s)
{
	while (p->frames[s->main.tail].policy & S3_FREQ_MASK) {
		p->frames[s->main.tail].policy--;
		kmm_policy_move(p, &s->main, &s->main, s->main.tail);
	}
	return kmm_policy_pop(p, &s->main);
}

static u32 s3fifo_victim(struct kmm_policy *p)
{
	struct s3fifo *s = p->priv;
	u32 target = max(p->capacity / S3_SMALL_PARTS, 1U), i;

	while (s->small.nr && (s->small.nr >= target || !s->main.nr)) {
		i = kmm_policy_pop(p, &s->small);
		if ((p->frames[i].policy & S3_FREQ_MASK) < S3_PROMOTE)
			return i;
		s3fifo_put(p, i, true);
	}
	return s3fifo_victim_main(p, s);
}

static bool s3fifo_keep(struct kmm_policy *p, u32 i, bool young)
{
	u8 bits = p->frames[i].policy;

	if (!young)
		return false;
	/* The second look that finds it used is what promotes it. */
	s3fifo_put(p, i, bits & (S3_MAIN | S3_FREQ_MASK));
	if (!(p->frames[i].policy & S3_MAIN))
		p->frames[i].policy = 1;
	return true;
}

static u32 s3fifo_shadow(struct kmm_policy *p, u32 i)
{
	return p->frames[i].policy & S3_MAIN ? 0 : S3_INFO_SMALL;
}

static u32 s3fifo_pop(struct kmm_policy *p)
{
	struct s3fifo *s = p->priv;

	return kmm_policy_pop(p, s->small.nr ? &s->small : &s->main);
}

static unsigned long s3fifo_check(struct kmm_policy *p)
{
	const struct s3fifo *s = p->priv;
	unsigned long bad = 0;
	u32 i;

	for (i = s->main.head; i != KMM_POLICY_NONE; i = p->frames[i].next)
		bad += !(p->frames[i].policy & S3_MAIN);
	return bad + kmm_policy_list_check(p, &s->small) + kmm_policy_list_check(p, &s->main) +
	       (s->small.nr + s->main.nr != p->nr);
}

const struct kmm_policy_ops kmm_policy_s3fifo = {
	.name = "s3fifo",
	.what = "S3-FIFO: small, main and ghost queue",
	.priv_bytes = sizeof(struct s3fifo),
	.init = s3fifo_init,
	.add = s3fifo_add,
	.del = s3fifo_del,
	.touch = s3fifo_touch,
	.victim = s3fifo_victim,
	.keep = s3fifo_keep,
	.shadow = s3fifo_shadow,
	.pop = s3fifo_pop,
	.check = s3fifo_check,
};
