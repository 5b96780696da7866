// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Addresses of the window: trees and pools
 *
 * Which addresses are free. The window's parts have a tree each, of free areas by address, which is
 * augmented with the largest area below each node: so the lowest area that is large enough is
 * found on one way down (first fit, as Linux' vmalloc does since 5.2). An area that is
 * given back is merged with its neighbours at once; there are never two free areas side by side in
 * a tree. No area lies in both parts.
 *
 * A tree has one lock for all CPUs, and merging costs. So areas of up to KMM_VMAP_POOL_PAGES pages
 * do not go back to a tree but, whole, on a stack of this CPU by their size: the next request of
 * that size takes it from there (vmap_pool_take() in vmap.c). A stack is filled by purges, and by
 * requests that failed before an entry was written: what lies on it is in no TLB. POOL_BATCH bounds
 * the time with interrupts off; pool_max, a share of the lower part, bounds the addresses. What
 * does not fit goes to its tree.
 *
 * A request that no pool can serve takes the slow way: the tree; then the tree after a purge, which
 * also takes back blocks of vm_map_ram() that nothing is mapped in; then the tree after all pools
 * were emptied into it, so that what they kept apart merges. Only then there is no room. The
 * descriptor is allocated before: with a lock held nothing is.
 *
 * An area that is in a tree is not in the table by page; one in a pool is, as free. A descriptor
 * that was merged away is freed after a grace period: a free by mistake, which looks at the table
 * without a lock, may still read it.
 *
 * Locks: v->lock for trees, the per-CPU lock for pools, never both.
 *
 * It deliberately does not: search for the best fit, align (slots are aligned because their part
 * is made of nothing else), or give a CPU its own part of the tree.
 */

#include <linux/gfp.h>
#include <linux/rbtree_augmented.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include <kmm/buddy.h>
#include <kmm/inject.h>

#include "internal.h"

/* === Data === */

/* Areas that go into a pool under one hold of its lock. */
#define POOL_BATCH		32

/* === Free trees === */

static inline unsigned long vmap_area_size(struct kmm_vmap_area *a)
{
	return a->nr_pages;
}

RB_DECLARE_CALLBACKS_MAX(static, vmap_augment, struct kmm_vmap_area, node, unsigned long,
			 max_pages, vmap_area_size)

static inline unsigned long vmap_max_below(struct rb_node *n)
{
	return n ? rb_entry(n, struct kmm_vmap_area, node)->max_pages : 0;
}

/* The lowest free area that is large enough. */
static struct kmm_vmap_area *vmap_tree_find(struct rb_root *root, unsigned long nr_pages)
{
	struct rb_node *n = root->rb_node;

	if (vmap_max_below(n) < nr_pages)
		return NULL;
	for (;;) {
		if (vmap_max_below(n->rb_left) >= nr_pages) {
			n = n->rb_left;
			continue;
		}
		if (kmm_vmap_node(n)->nr_pages >= nr_pages)
			return kmm_vmap_node(n);
		n = n->rb_right;
	}
}

/*
 * A new size for an area that stays where it is in the order. RB_DECLARE_CALLBACKS_MAX looks at
 * max_pages of the node itself only through this.
 */
static void vmap_tree_resized(struct kmm_vmap_area *a)
{
	vmap_augment_propagate(&a->node, NULL);
}

/* Gives addresses back, merged with what is free beside them. Frees @a when it was merged. */
static void vmap_tree_add_locked(struct kmm_vmap *v, struct kmm_vmap_area *a)
{
	enum kmm_vmap_part part = kmm_vmap_part(v, a->start);
	struct rb_root *root = &v->free[part];
	struct rb_node **link = &root->rb_node, *parent = NULL;
	struct kmm_vmap_area *before = NULL, *behind = NULL;

	lockdep_assert_held(&v->lock);
	v->nr_free[part] += a->nr_pages;
	while (*link) {
		parent = *link;
		if (a->start < kmm_vmap_node(parent)->start) {
			behind = kmm_vmap_node(parent);
			link = &parent->rb_left;
		} else {
			before = kmm_vmap_node(parent);
			link = &parent->rb_right;
		}
	}
	if (before && kmm_vmap_end(before) != a->start)
		before = NULL;
	if (behind && behind->start != kmm_vmap_end(a))
		behind = NULL;
	if (before) {
		before->nr_pages += a->nr_pages;
		kfree_rcu(a, rcu);
		if (behind) {
			before->nr_pages += behind->nr_pages;
			rb_erase_augmented(&behind->node, root, &vmap_augment);
			kfree_rcu(behind, rcu);
		}
		vmap_tree_resized(before);
	} else if (behind) {
		behind->start = a->start;
		behind->nr_pages += a->nr_pages;
		kfree_rcu(a, rcu);
		vmap_tree_resized(behind);
	} else {
		a->max_pages = a->nr_pages;
		rb_link_node(&a->node, parent, link);
		vmap_augment_propagate(parent, NULL);
		rb_insert_augmented(&a->node, root, &vmap_augment);
	}
}

/*
 * Takes @nr_pages of addresses. @spare becomes the area, unless a free one fits exactly;
 * it is then left to the caller.
 */
static struct kmm_vmap_area *vmap_tree_take_locked(struct kmm_vmap *v, enum kmm_vmap_part part,
						   unsigned long nr_pages,
						   struct kmm_vmap_area **spare)
{
	struct kmm_vmap_area *a = vmap_tree_find(&v->free[part], nr_pages), *taken;

	lockdep_assert_held(&v->lock);
	if (!a)
		return NULL;
	v->nr_free[part] -= nr_pages;
	if (a->nr_pages == nr_pages) {
		rb_erase_augmented(&a->node, &v->free[part], &vmap_augment);
		return a;
	}
	taken = *spare;
	*spare = NULL;
	taken->start = a->start;
	taken->nr_pages = nr_pages;
	a->start += nr_pages * PAGE_SIZE;
	a->nr_pages -= nr_pages;
	vmap_tree_resized(a);
	return taken;
}

static void vmap_tree_add(struct kmm_vmap *v, struct kmm_vmap_area *a)
{
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	v->area_of[kmm_vmap_page_index(v, a->start)] = NULL;
	vmap_tree_add_locked(v, a);
	spin_unlock_irqrestore(&v->lock, flags);
}

static struct kmm_vmap_area *vmap_tree_take(struct kmm_vmap *v, enum kmm_vmap_part part,
					    unsigned long nr_pages, struct kmm_vmap_area **spare)
{
	struct kmm_vmap_area *a;
	unsigned long flags;

	spin_lock_irqsave(&v->lock, flags);
	a = vmap_tree_take_locked(v, part, nr_pages, spare);
	if (a) {
		a->kind = KMM_VMAP_FREE_SPACE;
		v->area_of[kmm_vmap_page_index(v, a->start)] = a;
	}
	spin_unlock_irqrestore(&v->lock, flags);
	return a;
}

/* === Pools === */

static inline bool vmap_pool_fits(const struct kmm_vmap *v, const struct kmm_vmap_cpu *c,
				  const struct kmm_vmap_area *a)
{
	return a->nr_pages <= KMM_VMAP_POOL_PAGES + 1 &&
	       kmm_vmap_part(v, a->start) == KMM_VMAP_PART_SMALL &&
	       c->pool_pages + a->nr_pages <= v->pool_max;
}

/**
 * kmm_vmap_areas_put() - Give addresses back, to this CPU's pools or to the trees.
 * @v: vmalloc
 * @list: areas, linked by next, that are nobody's and in no TLB; NULL: none
 *
 * Context: any but NMI.
 */
void kmm_vmap_areas_put(struct kmm_vmap *v, struct kmm_vmap_area *list)
{
	struct kmm_vmap_area *a;
	unsigned long flags;
	struct kmm_vmap_cpu *c;
	unsigned int i;

	while (list) {
		c = kmm_vmap_cpu_lock(v, &flags);
		/* As many as one may hold the lock for. */
		for (i = 0; i < POOL_BATCH && list && vmap_pool_fits(v, c, list); i++) {
			a = list;
			list = a->next;
			WRITE_ONCE(a->kind, KMM_VMAP_FREE_SPACE);
			a->next = c->pool[a->nr_pages - 1];
			c->pool[a->nr_pages - 1] = a;
			c->pool_pages += a->nr_pages;
		}
		kmm_vmap_cpu_unlock(c, flags);
		if (!list || i == POOL_BATCH)
			continue;
		a = list;
		list = a->next;
		WRITE_ONCE(a->kind, KMM_VMAP_FREE_SPACE);
		vmap_tree_add(v, a);
	}
}

/**
 * kmm_vmap_area_put() - kmm_vmap_areas_put() of one area.
 * @v: vmalloc
 * @a: area that is nobody's and in no TLB
 *
 * Context: any but NMI.
 */
void kmm_vmap_area_put(struct kmm_vmap *v, struct kmm_vmap_area *a)
{
	a->next = NULL;
	kmm_vmap_areas_put(v, a);
}

/**
 * kmm_vmap_pools_drain() - All CPUs' pools into the trees, where the addresses merge.
 * @v: vmalloc
 *
 * Context: task; takes each CPU's lock, and @lock after it.
 */
void kmm_vmap_pools_drain(struct kmm_vmap *v)
{
	struct kmm_vmap_area *a, *next, *list;
	unsigned int cpu, i;

	for_each_possible_cpu(cpu) {
		struct kmm_vmap_cpu *c = per_cpu_ptr(v->cpu, cpu);

		for (i = 0; i <= KMM_VMAP_POOL_PAGES; i++) {
			spin_lock_irq(&c->lock);
			list = c->pool[i];
			c->pool[i] = NULL;
			for (a = list; a; a = a->next)
				c->pool_pages -= a->nr_pages;
			spin_unlock_irq(&c->lock);
			for (a = list; a; a = next) {
				next = a->next;
				vmap_tree_add(v, a);
			}
		}
	}
}

/* === The slow way to an area === */

static struct kmm_vmap_area *vmap_area_alloc(void)
{
	struct kmm_vmap_area *a;

	a = kmm_should_fail() ? NULL : kzalloc(sizeof(*a), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (a)
		a->frames = KMM_LIST_END;
	return a;
}

/**
 * kmm_vmap_area_take_slow() - Addresses that no pool had.
 * @v: vmalloc
 * @part: part of the window
 * @nr_pages: size, the guard's page included
 *
 * What is lazy or scattered is brought together before giving up.
 *
 * Context: task, may sleep. Return: area that is not used yet, or NULL: no host memory, or no
 * room, which is counted.
 */
struct kmm_vmap_area *kmm_vmap_area_take_slow(struct kmm_vmap *v, enum kmm_vmap_part part,
					      unsigned long nr_pages)
{
	struct kmm_vmap_area *spare = vmap_area_alloc(), *a;

	if (!spare)
		return NULL;
	a = vmap_tree_take(v, part, nr_pages, &spare);
	if (!a) {
		kmm_vmap_unmap_aliases(v);
		a = vmap_tree_take(v, part, nr_pages, &spare);
	}
	if (!a) {
		kmm_vmap_pools_drain(v);
		a = vmap_tree_take(v, part, nr_pages, &spare);
	}
	kfree(spare);
	kmm_vmap_count(v, a ? KMM_VMAP_ALLOC : KMM_VMAP_NO_SPACE, 1);
	return a;
}

/* === Life === */

/**
 * kmm_vmap_add_part() - Addresses that are free from now on.
 * @v: vmalloc that nobody uses yet
 * @start: first address
 * @nr_pages: how many pages; 0: nothing is done
 *
 * Context: task, may sleep. Return: 0, or -ENOMEM.
 */
int kmm_vmap_add_part(struct kmm_vmap *v, unsigned long start, unsigned long nr_pages)
{
	struct kmm_vmap_area *a;

	if (!nr_pages)
		return 0;
	a = vmap_area_alloc();
	if (!a)
		return -ENOMEM;
	a->start = start;
	a->nr_pages = nr_pages;
	vmap_tree_add(v, a);
	return 0;
}

/**
 * kmm_vmap_free_parts() - Forget all free addresses.
 * @v: vmalloc that nobody uses any more, its pools drained
 *
 * Context: task.
 */
void kmm_vmap_free_parts(struct kmm_vmap *v)
{
	struct kmm_vmap_area *a;
	struct rb_node *n;
	enum kmm_vmap_part p;

	for (p = 0; p < KMM_VMAP_NR_PARTS; p++) {
		while ((n = rb_first(&v->free[p]))) {
			a = kmm_vmap_node(n);
			rb_erase_augmented(n, &v->free[p], &vmap_augment);
			kfree(a);
		}
	}
}
