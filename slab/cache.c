// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: One cache: its layout, its begin and its end
 *
 * Layout. All numbers follow from the size that the client asked for, the alignment and the flags,
 * once, when the cache is created. From one object to the next:
 *
 *	plain		the object; the free word stands in its middle: what a free object contains
 *			is nobody's
 *	constructor,	object, free word behind it: the contents stay the client's while it is free
 *	BY_RCU
 *	debugging	object, red zone, free word, tracks (debug/slab_debug.c)
 *
 * and each slab ends in the free bits, if they do not fit into 64, and in the bits of a hardened
 * cache. A slab is as small as can be with 8 objects and at most an eighth of waste, and of order
 * 3 at most. A cache with debugging has no stacks, so that every operation is a slow one.
 *
 * Life. struct kmm_cache is an object of the allocator's cache of caches:
 *
 *	created		kmm_cache_init() takes the host memory (stacks, depot, name), all charged.
 *			Then the cache is put on the list of the allocator, and is seen
 *	in use		slabs come and go
 *	destroyed	kmm_cache_end(): stacks and depot are emptied. With slabs left, objects are
 *			alive: the first ten are reported, and the cache stays usable. Else it
 *			leaves the list, waits for readers (BY_RCU), and its host memory and it
 *			itself are freed
 *
 * debug_objects follows the cache through this: of two that destroy the same one, one is refused.
 *
 * Each hardened cache holds kmm_slab_key, the key of the slow variants of the fast paths.
 *
 * Locks: kmm_slab.mutex for the list, and so that the check for live objects and the leaving are
 * one step for the shrinker; no function here is called with a lock held.
 *
 * It deliberately does not: merge caches of one size, change a cache's layout later.
 */

#define pr_fmt(fmt) "kmm: slab: " fmt

#include <linux/cpu.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/string.h>

#include <compat/compat.h>
#include <kmm/debug_objects.h>
#include <kmm/hardening.h>
#include <kmm/hooks.h>
#include <kmm/inject.h>
#include <kmm/slab_debug.h>

#include "internal.h"

/* === Layout === */

/* Bytes of objects in a stack and in a depot, see the essay. */
#define KMM_STACK_BYTES		SZ_16K
#define KMM_STACK_MIN		8U
#define KMM_DEPOT_STACKS	4
#define KMM_DEPOT_BYTES		SZ_256K
/* Empty slabs that a cache keeps: a little above what one depot's flush frees. */
#define KMM_EMPTY_BYTES		SZ_64K

static unsigned int kmm_cache_align(const struct kmm_cache_args *args)
{
	unsigned int align = max_t(unsigned int, args->align, sizeof(void *));

	if (args->flags & SLAB_HWCACHE_ALIGN) {
		unsigned int line = cache_line_size();

		while (args->size <= line / 2)
			line /= 2;
		align = max(align, line);
	}
	return align;
}

static unsigned int kmm_slab_capacity(const struct kmm_cache *s, unsigned int order)
{
	unsigned int bytes = PAGE_SIZE << order, n = bytes / s->size;

	if (s->hard)
		bytes -= kmm_slab_used_bytes(s, order);
	if (n > KMM_SLAB_BITS)
		while (n * s->size + BITS_TO_LONGS(n) * sizeof(long) > bytes)
			n--;
	return min(n, bytes / s->size);
}

/* The smallest slab that holds 8 objects and wastes at most an eighth; else the largest. */
static void kmm_cache_size_slab(struct kmm_cache *s)
{
	unsigned int bytes;

	for (s->order = 0; ; s->order++) {
		bytes = PAGE_SIZE << s->order;
		s->nr_per_slab = kmm_slab_capacity(s, s->order);
		if (s->order == KMM_SLAB_MAX_ORDER)
			return;
		if (s->nr_per_slab >= 8 && (bytes - s->nr_per_slab * s->size) * 8 <= bytes)
			return;
	}
}

static void kmm_cache_layout(struct kmm_cache *s, const struct kmm_cache_args *args)
{
	bool debug = args->flags & KMM_SLAB_DEBUG_FLAGS;

	s->object_size = args->size;
	s->align = kmm_cache_align(args);
	if (debug || args->ctor || args->flags & SLAB_TYPESAFE_BY_RCU) {
		s->offset = ALIGN(args->size, sizeof(long));
		if (args->flags & SLAB_RED_ZONE)
			s->offset += sizeof(long);
		s->track = s->offset + sizeof(long);
		s->size = s->track;
		if (args->flags & SLAB_STORE_USER)
			s->size += KMM_NR_TRACKS * sizeof(struct kmm_track);
		s->size = ALIGN(s->size, s->align);
	} else {
		/* In the middle: an overflow from either side has a way to go. */
		s->offset = ALIGN_DOWN(args->size / 2, sizeof(long));
		s->size = ALIGN(args->size, s->align);
	}
	s->may_init = !args->ctor && !(args->flags & (SLAB_TYPESAFE_BY_RCU | SLAB_POISON));
	s->recip = reciprocal_value(s->size);
	s->used_shift = __ffs(s->size);
	kmm_cache_size_slab(s);
	s->mask = (PAGE_SIZE << s->order) - 1;
	s->used = (PAGE_SIZE << s->order) - kmm_slab_used_bytes(s, s->order);
	/* Without a stack every operation takes the slow path, where debugging is. */
	if (!debug)
		s->cap = clamp_t(unsigned int,
				 rounddown_pow_of_two(max(KMM_STACK_BYTES / s->size, 1U)),
				 KMM_STACK_MIN, KMM_SLAB_CPU_MAX);
	s->batch = s->cap / 2;
	s->cap_depot = min_t(unsigned int, KMM_DEPOT_STACKS * s->cap, KMM_DEPOT_BYTES / s->size);
	s->max_empty = max_t(unsigned int, KMM_EMPTY_BYTES / (PAGE_SIZE << s->order), 2);
}

/* === Begin and end === */

static void kmm_cache_fini(struct kmm_cache *s)
{
	if (s->hard)
		static_branch_dec(&kmm_slab_key);
	kvfree(s->depot);
	free_percpu(s->stacks);
	kfree_const(s->name);
}

/**
 * kmm_cache_init() - Make a cache; nobody sees it yet.
 * @s: the caller's memory
 * @sl: slab allocator
 * @args: what it is to be
 *
 * Context: may sleep. Return: 0; -EINVAL when not one object fits into a slab; -ENOMEM. On error
 * nothing stays taken.
 */
int kmm_cache_init(struct kmm_cache *s, struct kmm_slab *sl, const struct kmm_cache_args *args)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;
	unsigned int cpu;

	memset(s, 0, sizeof(*s));
	s->hard = kmm_slab_hardened();
	kmm_cache_layout(s, args);
	if (!s->nr_per_slab)
		return -EINVAL;
	s->slab = sl;
	s->base = sl->base;
	s->nr_map = sl->nr_map;
	s->map = sl->cache_of;
	s->flags = args->flags;
	s->ctor = args->ctor;
	s->useroffset = args->useroffset;
	s->usersize = args->usersize;
	s->key = get_random_long();
	s->random = get_random_u64() | 1;
	raw_spin_lock_init(&s->lock);
	INIT_LIST_HEAD(&s->node);
	s->partial = KMM_LIST_END;
	s->empty = KMM_LIST_END;
	s->rcu_next = KMM_LIST_END;
	s->rcu_wait = KMM_LIST_END;
	if (s->hard)
		static_branch_inc(&kmm_slab_key);
	s->name = kmm_should_fail() ? NULL : kstrdup_const(args->name, gfp);
	s->stacks = kmm_should_fail() ? NULL :
		 __alloc_percpu_gfp(struct_size(s->stacks, obj, s->cap + 1), cache_line_size(),
				    gfp);
	s->depot = kmm_should_fail() ? NULL :
		   kvmalloc_array(max(s->cap_depot, 1U), sizeof(*s->depot), gfp);
	s->cpu = s->stacks;
	if (s->name && s->stacks && s->depot) {
		for_each_possible_cpu(cpu)
			per_cpu_ptr(s->stacks, cpu)->depth = -1;
		return 0;
	}
	kmm_cache_fini(s);
	return -ENOMEM;
}

/**
 * kmm_slab_cache_create() - A new cache.
 * @sl: slab allocator
 * @args: what it is to be
 *
 * Context: may sleep. Return: the cache, or an ERR_PTR: -EINVAL for a size, alignment or user
 * range that cannot be, -ENOMEM.
 */
struct kmm_cache *kmm_slab_cache_create(struct kmm_slab *sl, const struct kmm_cache_args *args)
{
	struct kmm_cache *s;
	int err;

	if (!args->name || !args->size || args->size > KMM_KMALLOC_MAX_CACHE ||
	    (args->align && !is_power_of_2(args->align)) ||
	    args->align > PAGE_SIZE << KMM_SLAB_MAX_ORDER ||
	    args->useroffset > args->size || args->usersize > args->size - args->useroffset)
		return ERR_PTR(-EINVAL);
	/* who asked is told; users must not fill the log */
	s = kmm_cache_alloc(sl->caches, GFP_KERNEL | __GFP_NOWARN);
	if (!s)
		return ERR_PTR(-ENOMEM);
	err = kmm_cache_init(s, sl, args);
	if (err) {
		kmm_cache_free(sl->caches, s);
		return ERR_PTR(err);
	}
	kmm_debug_object_init(s, KMM_DEBUG_CACHE);
	kmm_debug_object_activate(s, KMM_DEBUG_CACHE);
	mutex_lock(&sl->mutex);
	list_add_tail(&s->node, &sl->list);
	mutex_unlock(&sl->mutex);
	if (sl->cache_added)
		sl->cache_added(s);
	return s;
}
KMM_EXPORT_INTERNAL(kmm_slab_cache_create);

/* Live objects of a cache that should be empty, ten of them by address. */
static void kmm_report_alive(struct kmm_cache *s)
{
	struct kmm_slab *sl = s->slab;
	unsigned int nr, shown = 0;
	u32 index;

	pr_err("=============================================================================\n");
	pr_err("BUG %s: Objects remaining in %s on kmm_cache_destroy(); it stays usable\n", s->name,
	       s->name);
	for (index = 0; index < sl->region->nr_index; index++) {
		if (READ_ONCE(sl->cache_of[index]) != s || index & ((1U << s->order) - 1))
			continue;
		for (nr = 0; nr < s->nr_per_slab && shown < 10; nr++) {
			if (test_bit(nr, kmm_slab_bits(s, index)))
				continue;
			pr_err("Object 0x%p @offset=%u\n", kmm_slab_base(s, index) + nr * s->size,
			       nr * s->size);
			kmm_slab_debug_print_tracks(s, kmm_slab_base(s, index) + nr * s->size);
			shown++;
		}
	}
	kmm_hook_cache_live(s, true);
	dump_stack();
}

/**
 * kmm_cache_end() - Destroy a cache.
 * @s: cache that nobody uses any more
 *
 * Its memory goes too, if it is from @s->slab->caches.
 *
 * Context: may sleep. Return: 0, or -EBUSY with a report while objects are alive.
 */
int kmm_cache_end(struct kmm_cache *s)
{
	struct kmm_slab *sl = s->slab;

	/* What was freed, but waits for readers. */
	if (s->flags & SLAB_TYPESAFE_BY_RCU && kmm_hook_cache_live(s, false))
		rcu_barrier();
	cpus_read_lock();
	mutex_lock(&sl->mutex);
	kmm_slab_cache_shrink(s);
	if (s->nr_slabs || kmm_hook_cache_live(s, false)) {
		mutex_unlock(&sl->mutex);
		cpus_read_unlock();
		kmm_report_alive(s);
		return -EBUSY;
	}
	list_del(&s->node);
	mutex_unlock(&sl->mutex);
	cpus_read_unlock();
	if (sl->cache_gone)
		sl->cache_gone(s);
	if (s->flags & SLAB_TYPESAFE_BY_RCU) {
		/* Once for the slabs that wait, once for those that came meanwhile. */
		rcu_barrier();
		rcu_barrier();
	}
	kmm_hook_cache_gone(s, false);
	kmm_cache_fini(s);
	if (s == &sl->boot)
		return 0;
	kmm_debug_object_free(s, KMM_DEBUG_CACHE);
	kmm_cache_free(sl->caches, s);
	return 0;
}

/**
 * kmm_slab_cache_destroy() - The end of a cache.
 * @s: cache that nobody uses any more
 *
 * Context: may sleep. Return: 0; -EBUSY with a report while objects of it are alive: the
 * cache stays and can be used; -EINVAL with a report of the life cycle tracker.
 */
int kmm_slab_cache_destroy(struct kmm_cache *s)
{
	int err;

	if (!kmm_debug_object_destroy(s, KMM_DEBUG_CACHE))
		return -EINVAL;
	err = kmm_cache_end(s);
	if (err) {
		kmm_debug_object_init(s, KMM_DEBUG_CACHE);
		kmm_debug_object_activate(s, KMM_DEBUG_CACHE);
	}
	return err;
}
KMM_EXPORT_INTERNAL(kmm_slab_cache_destroy);
