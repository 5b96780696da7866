// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Begin and end of a slab allocator
 *
 * An instance is the caller's memory, as a buddy is: one serves the module, each test has its own.
 * Its life:
 *
 *	kmm_slab_reserve	two words per frame, from the region's early allocator: the cache of
 *				each frame, and the free bits of slabs
 *	kmm_slab_init		the cache of caches, kmalloc's caches
 *	in use			any context
 *	kmm_slab_fini		all caches, also those that clients forgot
 *
 * Bootstrap. A cache is an object of the cache of caches, and this one, too. It begins in kmm_slab
 * itself (@boot), allocates one object, which is its first, and moves there: its slabs and lists
 * go with it, as these name frames and not addresses; cache_of names the new place. At the end it
 * moves back and frees the object that it was. Nobody else uses the allocator at either moment.
 *
 * The end. Memory of the region outlives nobody: when the allocator ends, its region goes back to
 * the host. So a cache that cannot be destroyed because of live objects is reported by
 * kmm_slab_cache_destroy() first, and then loses its slabs: the objects are invalid from then on,
 * as is everything that is left in the region.
 *
 * CPU hotplug. Before there is any object an instance joins the module's hotplug state
 * (kmm_slab_setup() in slab/drain.c), and leaves it after the last one: no stack of a CPU that
 * goes is forgotten.
 *
 * kmm_slab_init() fails as a whole: what was made is taken back by kmm_slab_fini(), which copes
 * with an instance that is half made.
 *
 * Locks: kmm_slab.mutex for the list of caches, where others (the shrinker, a CPU that goes) may
 * look already or still.
 *
 * It deliberately does not: wait for clients, keep their memory.
 */

#include <linux/mm.h>

#include <compat/compat.h>
#include <kmm/hooks.h>
#include <kmm/inject.h>

#include "internal.h"

static const struct {
	const char *name;
	unsigned int size;
} kmm_kmalloc_classes[KMM_KMALLOC_NR] = {
	{ "kmalloc-8", 8 }, { "kmalloc-16", 16 }, { "kmalloc-32", 32 }, { "kmalloc-64", 64 },
	{ "kmalloc-96", 96 }, { "kmalloc-128", 128 }, { "kmalloc-192", 192 },
	{ "kmalloc-256", 256 }, { "kmalloc-512", 512 }, { "kmalloc-1k", 1024 },
	{ "kmalloc-2k", 2048 }, { "kmalloc-4k", 4096 }, { "kmalloc-8k", 8192 },
};

/**
 * kmm_slab_reserve() - Take the metadata from the early allocator.
 * @sl: slab allocator, zeroed
 * @r: region, its early allocator open
 *
 * Context: init only. Return: 0 or -ENOMEM.
 */
int kmm_slab_reserve(struct kmm_slab *sl, struct kmm_region *r)
{
	sl->cache_of = kmm_region_early_alloc(r, r->nr_index * sizeof(*sl->cache_of), 8);
	sl->bits = kmm_region_early_alloc(r, r->nr_index * sizeof(*sl->bits), 8);
	return sl->cache_of && sl->bits ? 0 : -ENOMEM;
}
KMM_EXPORT_INTERNAL(kmm_slab_reserve);

/* The cache of caches moves from its first home into an object of its own, or back. */
static void kmm_slab_move_caches(struct kmm_slab *sl, struct kmm_cache *to)
{
	struct kmm_cache *from = sl->caches;
	unsigned long i;

	mutex_lock(&sl->mutex);
	memcpy(to, from, sizeof(*to));
	raw_spin_lock_init(&to->lock);
	list_replace(&from->node, &to->node);
	for (i = 0; i < sl->region->nr_index; i++)
		if (sl->cache_of[i] == from)
			WRITE_ONCE(sl->cache_of[i], to);
	kmm_hook_cache_gone(from, false);
	sl->caches = to;
	mutex_unlock(&sl->mutex);
}

static int kmm_slab_boot(struct kmm_slab *sl)
{
	const struct kmm_cache_args args = {
		.name = "kmm_cache", .size = sizeof(struct kmm_cache), .align = cache_line_size(),
		.flags = SLAB_NOLEAKTRACE,
	};
	struct kmm_cache *self;
	int err;

	err = kmm_cache_init(&sl->boot, sl, &args);
	if (err)
		return err;
	sl->caches = &sl->boot;
	mutex_lock(&sl->mutex);
	list_add(&sl->boot.node, &sl->list);
	mutex_unlock(&sl->mutex);
	self = kmm_cache_alloc(&sl->boot, GFP_KERNEL);
	if (!self)
		return -ENOMEM;
	kmm_slab_move_caches(sl, self);
	return 0;
}

/**
 * kmm_slab_init() - kmem_cache_init(): the first caches, and kmalloc's.
 * @sl: slab allocator, after kmm_slab_reserve()
 * @b: where slabs come from
 *
 * Context: may sleep. Return: 0 or -ENOMEM.
 */
int kmm_slab_init(struct kmm_slab *sl, struct kmm_buddy *b)
{
	struct kmm_region *r = b->region;
	int i, err;

	sl->region = r;
	sl->buddy = b;
	sl->large.name = "kmalloc-large";
	sl->large.slab = sl;
	mutex_init(&sl->mutex);
	INIT_LIST_HEAD(&sl->list);
	atomic_long_set(&sl->nr_bad, 0);
	/* Indexes are linear in addresses if no granule is missing in between. */
	if (r->nr_granules << KMM_MAX_ORDER == r->nr_index) {
		sl->base = (unsigned long)page_address(kmm_region_page(r, 0));
		sl->nr_map = r->nr_index;
	}
	/* All zero, so always entered by somebody else. */
	sl->busy = kmm_should_fail() ? NULL :
		   __alloc_percpu_gfp(sizeof(*sl->busy), cache_line_size(),
				      GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	/* Before the first object: no stack of a CPU that goes is forgotten. */
	kmm_slab_add_cpuhp(sl);
	err = sl->busy ? kmm_slab_boot(sl) : -ENOMEM;
	for (i = 0; i < KMM_KMALLOC_NR && !err; i++) {
		const struct kmm_cache_args args = {
			.name = kmm_kmalloc_classes[i].name,
			.size = kmm_kmalloc_classes[i].size,
			.align = 1U << __ffs(kmm_kmalloc_classes[i].size),
			.usersize = kmm_kmalloc_classes[i].size,
		};

		sl->kmalloc[i] = kmm_slab_cache_create(sl, &args);
		err = PTR_ERR_OR_ZERO(sl->kmalloc[i]);
		if (err)
			sl->kmalloc[i] = NULL;
	}
	if (err)
		kmm_slab_fini(sl);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_slab_init);

/* Objects that clients never gave back go with their slabs: the region outlives nobody. */
static void kmm_cache_abandon(struct kmm_cache *s)
{
	struct kmm_slab *sl = s->slab;
	u32 index, i;

	kmm_hook_cache_gone(s, true);
	for (index = 0; index < sl->region->nr_index; index += 1U << s->order) {
		if (sl->cache_of[index] != s)
			continue;
		for (i = 0; i < 1U << s->order; i++)
			sl->cache_of[index + i] = NULL;
		sl->region->frames[index].owner = 0;
		kmm_buddy_free(sl->buddy, kmm_region_page(sl->region, index), s->order);
	}
	s->nr_slabs = 0;
	s->nr_free = 0;
	s->nr_partial = 0;
	s->partial = KMM_LIST_END;
}

/**
 * kmm_slab_fini() - The end of all caches.
 * @sl: slab allocator; nobody uses it any more
 *
 * Context: may sleep. Caches with live objects are reported and their slabs taken back.
 */
void kmm_slab_fini(struct kmm_slab *sl)
{
	struct kmm_cache *s, *next, *self = sl->caches;

	list_for_each_entry_safe(s, next, &sl->list, node) {
		if (s == self || !kmm_slab_cache_destroy(s))
			continue;
		kmm_cache_abandon(s);
		kmm_slab_cache_destroy(s);
	}
	if (self && self != &sl->boot) {
		kmm_slab_move_caches(sl, &sl->boot);
		kmm_cache_free(&sl->boot, self);
	}
	if (self && kmm_cache_end(&sl->boot)) {
		kmm_cache_abandon(&sl->boot);
		kmm_cache_end(&sl->boot);
	}
	sl->caches = NULL;
	kmm_slab_remove_cpuhp(sl);
	free_percpu(sl->busy);
	sl->busy = NULL;
}
KMM_EXPORT_INTERNAL(kmm_slab_fini);
