/* SPDX-License-Identifier: GPL-2.0-only */
/* Page replacement: which page leaves. See policy/policy.c. */
#ifndef _KMM_POLICY_H
#define _KMM_POLICY_H

#include <linux/bits.h>
#include <linux/types.h>

#include <kmm/page.h>

#define KMM_POLICY_NONE	((u32)~0U)

struct kmm_policy;

/**
 * struct kmm_policy_list - pages in an order, linked by frame.next and frame.prev
 * @head: the one added last
 * @tail: the one added first
 * @nr: how many
 */
struct kmm_policy_list {
	u32 head;
	u32 tail;
	u32 nr;
};

/**
 * struct kmm_policy_ops - one algorithm
 * @name: as in debugfs policies and in "kmm policy set"
 * @what: one line
 * @priv_bytes: of its state
 * @init: sets the state up, which is zeroed; may sleep. Return: 0 or -ENOMEM; optional
 * @fini: frees what @init took; optional
 * @add: page @i became resident. @shadow: what @shadow() gave when it was evicted, 0 for none
 * @del: page @i leaves for a reason of its own (unmapped, punched)
 * @touch: page @i was used
 * @victim: takes a page out that should leave; never none while there is one
 * @keep: @i came from @victim and was found @young in the page tables: true when it is
 *	back in the lists, false when it is to be evicted
 * @shadow: 24 bits on @i, which is being evicted, for its return; optional
 * @pop: takes the coldest page out without looking at its use: pages are handed over
 * @check: number of violated invariants; debugging
 *
 * All but @init and @fini are called under the lock of whoever owns the pages, and do
 * neither sleep nor allocate. A page that is in no list of the policy has frame.policy 0.
 */
struct kmm_policy_ops {
	const char *name;
	const char *what;
	size_t priv_bytes;
	int (*init)(struct kmm_policy *p);
	void (*fini)(struct kmm_policy *p);
	void (*add)(struct kmm_policy *p, u32 i, u32 shadow);
	void (*del)(struct kmm_policy *p, u32 i);
	void (*touch)(struct kmm_policy *p, u32 i);
	u32 (*victim)(struct kmm_policy *p);
	bool (*keep)(struct kmm_policy *p, u32 i, bool young);
	u32 (*shadow)(struct kmm_policy *p, u32 i);
	u32 (*pop)(struct kmm_policy *p);
	unsigned long (*check)(struct kmm_policy *p);
};

/**
 * struct kmm_policy - one algorithm at work on one set of pages
 * @ops: the algorithm
 * @frames: frames by index; next, prev and policy of a frame in a list are the policy's
 * @capacity: most pages that will be resident, for sizes of parts and ghosts
 * @nr: pages in its lists
 * @evictions: pages evicted; the clock of shadows
 * @priv: the algorithm's state
 */
struct kmm_policy {
	const struct kmm_policy_ops *ops;
	struct kmm_frame *frames;
	u32 capacity;
	u32 nr;
	u32 evictions;
	void *priv;
};

/* A shadow is never 0: bit 31; bits 24-30 are the algorithm's, 0-23 the clock. */
#define KMM_SHADOW_SET		BIT(31)
#define KMM_SHADOW_INFO_SHIFT	24
#define KMM_SHADOW_INFO_MAX	0x7fU
#define KMM_SHADOW_CLOCK_MASK	0xffffffU

extern const struct kmm_policy_ops * const kmm_policies[];
extern const unsigned int kmm_nr_policies;

extern const struct kmm_policy_ops kmm_policy_fifo;
extern const struct kmm_policy_ops kmm_policy_clock;
extern const struct kmm_policy_ops kmm_policy_lru;
extern const struct kmm_policy_ops kmm_policy_twolist;
extern const struct kmm_policy_ops kmm_policy_lfu;
extern const struct kmm_policy_ops kmm_policy_random;
extern const struct kmm_policy_ops kmm_policy_gen;
extern const struct kmm_policy_ops kmm_policy_s3fifo;
extern const struct kmm_policy_ops kmm_policy_sieve;

const struct kmm_policy_ops *kmm_policy_find(const char *name);
int kmm_policy_init(struct kmm_policy *p, const struct kmm_policy_ops *ops,
		    struct kmm_frame *frames, u32 capacity);
void kmm_policy_fini(struct kmm_policy *p);
void kmm_policy_take_over(struct kmm_policy *to, struct kmm_policy *from);
unsigned long kmm_policy_check(struct kmm_policy *p);

long kmm_policy_opt(const u32 *refs, unsigned long nr_refs, u32 nr_ids, u32 nr_frames);

/* === Calls, with the count of pages and the clock of evictions === */

static inline void kmm_policy_add(struct kmm_policy *p, u32 i, u32 shadow)
{
	p->nr++;
	p->ops->add(p, i, shadow);
}

static inline void kmm_policy_del(struct kmm_policy *p, u32 i)
{
	p->nr--;
	p->ops->del(p, i);
	p->frames[i].policy = 0;
}

static inline void kmm_policy_touch(struct kmm_policy *p, u32 i)
{
	p->ops->touch(p, i);
}

/* A candidate; it is in no list until kmm_policy_keep() or kmm_policy_evict(). */
static inline u32 kmm_policy_victim(struct kmm_policy *p)
{
	u32 i = p->nr ? p->ops->victim(p) : KMM_POLICY_NONE;

	if (i != KMM_POLICY_NONE)
		p->nr--;
	return i;
}

static inline bool kmm_policy_keep(struct kmm_policy *p, u32 i, bool young)
{
	bool kept = p->ops->keep(p, i, young);

	p->nr += kept;
	return kept;
}

/* The candidate goes: what is to be remembered of it, never 0. */
static inline u32 kmm_policy_evict(struct kmm_policy *p, u32 i)
{
	u32 info = p->ops->shadow ? p->ops->shadow(p, i) & KMM_SHADOW_INFO_MAX : 0;

	p->frames[i].policy = 0;
	return KMM_SHADOW_SET | info << KMM_SHADOW_INFO_SHIFT |
	       (p->evictions++ & KMM_SHADOW_CLOCK_MASK);
}

/* === For the algorithms === */

/* Evictions between that of a page and now. */
static inline u32 kmm_shadow_distance(const struct kmm_policy *p, u32 shadow)
{
	return (p->evictions - shadow) & KMM_SHADOW_CLOCK_MASK;
}

static inline u32 kmm_shadow_info(u32 shadow)
{
	return shadow >> KMM_SHADOW_INFO_SHIFT & KMM_SHADOW_INFO_MAX;
}

static inline void kmm_policy_list_init(struct kmm_policy_list *l)
{
	l->head = KMM_POLICY_NONE;
	l->tail = KMM_POLICY_NONE;
	l->nr = 0;
}

static inline void kmm_policy_push(struct kmm_policy *p, struct kmm_policy_list *l, u32 i)
{
	struct kmm_frame *f = &p->frames[i];

	f->prev = KMM_POLICY_NONE;
	f->next = l->head;
	if (l->head != KMM_POLICY_NONE)
		p->frames[l->head].prev = i;
	else
		l->tail = i;
	l->head = i;
	l->nr++;
}

static inline void kmm_policy_unlink(struct kmm_policy *p, struct kmm_policy_list *l, u32 i)
{
	struct kmm_frame *f = &p->frames[i];

	if (f->prev != KMM_POLICY_NONE)
		p->frames[f->prev].next = f->next;
	else
		l->head = f->next;
	if (f->next != KMM_POLICY_NONE)
		p->frames[f->next].prev = f->prev;
	else
		l->tail = f->prev;
	l->nr--;
}

/* Takes the oldest out. */
static inline u32 kmm_policy_pop(struct kmm_policy *p, struct kmm_policy_list *l)
{
	u32 i = l->tail;

	if (i != KMM_POLICY_NONE)
		kmm_policy_unlink(p, l, i);
	return i;
}

static inline void kmm_policy_move(struct kmm_policy *p, struct kmm_policy_list *from,
				   struct kmm_policy_list *to, u32 i)
{
	kmm_policy_unlink(p, from, i);
	kmm_policy_push(p, to, i);
}

unsigned long kmm_policy_list_check(const struct kmm_policy *p, const struct kmm_policy_list *l);

#endif /* _KMM_POLICY_H */
