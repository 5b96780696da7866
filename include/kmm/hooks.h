/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where debugging hooks into pages, objects and areas: a function per event, a line per feature
 * in it, each behind the feature's own static key. See debug/hooks.c.
 *
 *	if (static_branch_unlikely(&kmm_FEATURE_key))
 *		kmm_FEATURE_page_alloc(r, page, order, gfp);
 *
 * The order of the lines is the order in which they are called. They are only reached when the
 * path's key is on: kmm_hooks_on(&kmm_FEATURE_key, KMM_PATH_...) turns both on. Only buddy.c,
 * slab.c and vmap.c call the functions here.
 *
 * A key says that some instance wants it; the feature asks the instance (page_ext of the region,
 * a flag of its own) whether it is this one.
 */
#ifndef _KMM_HOOKS_H
#define _KMM_HOOKS_H

#include <linux/gfp.h>
#include <linux/types.h>

#include <kmm/debug_pagealloc.h>
#include <kmm/hardening.h>
#include <kmm/page_owner.h>
#include <kmm/host_tools.h>
#include <kmm/page_table_check.h>
#include <kmm/kfence.h>
#include <kmm/kmemleak.h>
#include <kmm/paths.h>

struct kmm_cache;
struct kmm_frame;
struct kmm_region;
struct kmm_slab;
struct kmm_stray;
struct kmm_vmap;
struct page;

/* === Pages === */

/*
 * While only page_owner wants pages, and the stack from @slot on is one that it remembers,
 * kmm_hook_page_alloc() and kmm_hook_page_free() have short forms without a call. True: so it is,
 * use them with @stack.
 */
static __always_inline bool kmm_hook_page_short(const unsigned long *slot, u32 *stack)
{
	return !static_branch_unlikely(&kmm_page_hook_key) && kmm_page_owner_recall(slot, stack);
}

static __always_inline void kmm_hook_page_alloc_short(struct kmm_region *r,
						      const struct kmm_frame *f,
						      unsigned int order, gfp_t gfp, u32 stack)
{
	kmm_page_owner_alloc_short(r, f, order, gfp, stack);
}

static __always_inline void kmm_hook_page_free_short(struct kmm_region *r,
						     const struct kmm_frame *f, u32 stack)
{
	kmm_page_owner_free_short(r, f, stack);
}

/*
 * Taken, not yet given, before it is zeroed. @f: of @page, the first. @slot: where the stack begins
 * that is to be remembered. Context: @gfp's.
 */
static __always_inline void kmm_hook_page_alloc(struct kmm_region *r, struct page *page,
						const struct kmm_frame *f, unsigned int order,
						gfp_t gfp, const unsigned long *slot)
{
	if (static_branch_unlikely(&kmm_host_kasan_key))
		kmm_host_kasan_page_alloc(r, page, order);
	if (static_branch_unlikely(&kmm_page_poison_key))
		kmm_page_unpoison(r, page, order);
	if (static_branch_unlikely(&kmm_page_table_check_key))
		kmm_page_table_check_zero(r, page, order, "taken while it is mapped");
	if (static_branch_unlikely(&kmm_page_owner_key))
		kmm_page_owner_alloc(r, f, order, gfp, slot);
}

/*
 * Directly after kmm_hook_page_alloc() and zeroing, if it goes to a client of kmm_alloc_pages()
 * and its like, not to kmm itself.
 */
static __always_inline void kmm_hook_page_client(struct kmm_region *r, struct page *page,
						 unsigned int order, gfp_t gfp)
{
	if (static_branch_unlikely(&kmm_leak_key))
		kmm_leak_page_client(r, page, order, gfp);
	if (static_branch_unlikely(&kmm_host_kmemleak_key))
		kmm_host_leak_page_client(r, page, order, gfp);
}

/* A good block comes back; nothing of it is free yet, some frames may be pinned. Any context. */
static __always_inline void kmm_hook_page_free(struct kmm_region *r, struct page *page,
					       const struct kmm_frame *f, unsigned int order,
					       const unsigned long *slot)
{
	if (static_branch_unlikely(&kmm_page_table_check_key))
		kmm_page_table_check_zero(r, page, order, "freed while it is mapped");
	if (static_branch_unlikely(&kmm_debug_pagealloc_key))
		kmm_debug_pagealloc_free(r, page, order);
	if (static_branch_unlikely(&kmm_page_owner_key))
		kmm_page_owner_free(r, f, slot);
	if (static_branch_unlikely(&kmm_leak_key))
		kmm_leak_page_free(r, page, order);
	if (static_branch_unlikely(&kmm_host_kmemleak_key))
		kmm_host_leak_page_free(r, page, order);
}

/*
 * From now on nobody has a reason to look at these frames: at mem_init all; after
 * kmm_hook_page_free() those that are not pinned, later those that come home from quarantine.
 * Any context, perhaps under a lock of the buddy with IRQs off.
 */
static __always_inline void kmm_hook_page_idle(struct kmm_region *r, struct page *page,
					       unsigned int order)
{
	if (static_branch_unlikely(&kmm_page_poison_key))
		kmm_page_poison(r, page, order);
	if (static_branch_unlikely(&kmm_host_kasan_key))
		kmm_host_kasan_page_idle(r, page, order);
}

/* Guards of a block that is about to be freed; they stay as they are. Any context. */
static __always_inline void kmm_hook_page_guard(struct kmm_region *r, struct page *page,
						unsigned int order)
{
	if (static_branch_unlikely(&kmm_page_poison_key))
		kmm_page_poison_check(r, page, order);
}

/* A used block becomes single frames. Any context. */
static __always_inline void kmm_hook_page_split(struct kmm_region *r, struct page *page,
						unsigned int order)
{
	if (static_branch_unlikely(&kmm_page_owner_key))
		kmm_page_owner_split(r, page, order);
	if (static_branch_unlikely(&kmm_leak_key))
		kmm_leak_page_split(r, page, order);
}

/* In a report: say what is known of a frame of @r, also when all keys are off. Any context. */
static __always_inline void kmm_hook_page_describe(struct kmm_region *r, struct page *page)
{
	kmm_page_owner_print(r, page);
}

/* === Objects === */

/*
 * Serve this request with other memory than an object of @s; @size is 0 for kmem_cache_alloc,
 * else what kmalloc was asked for. NULL: no. What is returned here is not the slab's: its free
 * arrives in kmm_hook_object_stray(). Also called when all keys are off, in the slow paths; who
 * wants to be asked has kmm_slab_divert() send the caches there.
 */
static __always_inline void *kmm_hook_object_instead(struct kmm_cache *s, size_t size, gfp_t gfp)
{
	void *obj = NULL;

	if (static_branch_unlikely(&kmm_kfence_key))
		obj = kmm_kfence_alloc(s, size, gfp);
	if (obj && static_branch_unlikely(&kmm_leak_key))
		kmm_leak_object_alloc(s, obj, size, gfp);
	if (obj && static_branch_unlikely(&kmm_host_kmemleak_key))
		kmm_host_leak_object_alloc(s, obj, size, gfp);
	return obj;
}

/* Before it is zeroed and given; @size as above. Large kmalloc, too: then @s is &slab->large. */
static __always_inline void kmm_hook_object_alloc(struct kmm_cache *s, void *obj, size_t size,
						  gfp_t gfp, unsigned long ip)
{
	if (static_branch_unlikely(&kmm_host_kasan_key))
		kmm_host_kasan_object_alloc(s, obj);
	if (static_branch_unlikely(&kmm_leak_key))
		kmm_leak_object_alloc(s, obj, size, gfp);
	if (static_branch_unlikely(&kmm_host_kmemleak_key))
		kmm_host_leak_object_alloc(s, obj, size, gfp);
}

/* A good object comes back, before anything is written to it. */
static __always_inline void kmm_hook_object_free(struct kmm_cache *s, void *obj, unsigned long ip)
{
	if (static_branch_unlikely(&kmm_leak_key))
		kmm_leak_object_free(s, obj);
	if (static_branch_unlikely(&kmm_host_kmemleak_key))
		kmm_host_leak_object_free(s, obj);
}

/* From now on nobody has a reason to look at it, but at its free word. Not for large kmalloc. */
static __always_inline void kmm_hook_object_idle(struct kmm_cache *s, void *obj)
{
	if (static_branch_unlikely(&kmm_host_kasan_key))
		kmm_host_kasan_object_idle(s, obj);
}

/* Is kmm_hook_object_instead() to be asked? Also called when all keys are off. Any context. */
static __always_inline bool kmm_hook_object_wanted(const struct kmm_slab *sl)
{
	if (static_branch_unlikely(&kmm_kfence_key))
		return kmm_kfence_wants(sl);
	return false;
}

/*
 * Freed, but in no slab of @sl; @s is the cache that was named, NULL for kfree. Also called when
 * all keys are off. True: it was taken care of; false: it is refused.
 */
static __always_inline bool kmm_hook_object_stray(struct kmm_slab *sl, struct kmm_cache *s,
						  void *obj, unsigned long ip)
{
	if (static_branch_unlikely(&kmm_leak_key))
		kmm_leak_object_stray(sl, obj);
	if (static_branch_unlikely(&kmm_host_kmemleak_key))
		kmm_host_leak_object_stray(sl, obj);
	if (static_branch_unlikely(&kmm_kfence_key))
		return kmm_kfence_free(sl, s, obj);
	return false;
}

/*
 * Of which object, of other memory than a slab's, is @p? Also called when all keys are off. True:
 * @found is filled. Any context.
 */
static __always_inline bool kmm_hook_object_find(const struct kmm_slab *sl, const void *p,
						 struct kmm_stray *found)
{
	if (static_branch_unlikely(&kmm_kfence_key))
		return kmm_kfence_find(sl, p, found);
	return false;
}

/* === Caches; also called when all keys are off === */

/* How many objects of @s, of other memory, do clients have? @print: log each. Any context. */
static __always_inline unsigned int kmm_hook_cache_live(struct kmm_cache *s, bool print)
{
	if (static_branch_unlikely(&kmm_kfence_key))
		return kmm_kfence_cache_live(s, print);
	return 0;
}

/* @s ends; @zombies: although clients still have objects of it. May sleep. */
static __always_inline void kmm_hook_cache_gone(struct kmm_cache *s, bool zombies)
{
	if (static_branch_unlikely(&kmm_kfence_key))
		kmm_kfence_cache_gone(s, zombies);
}

/* === Areas === */

/* vmalloc gives an area; its frames are filled and mapped. May sleep. */
static __always_inline void kmm_hook_vmap_alloc(struct kmm_region *r, void *addr,
						unsigned long size_bytes, gfp_t gfp, void *caller)
{
	if (static_branch_unlikely(&kmm_leak_key))
		kmm_leak_vmap_alloc(r, addr, size_bytes, gfp);
	if (static_branch_unlikely(&kmm_host_kmemleak_key))
		kmm_host_leak_vmap_alloc(r, addr, size_bytes, gfp);
}

/* It comes back; its entries are still there. Any context but NMI. */
static __always_inline void kmm_hook_vmap_free(struct kmm_region *r, void *addr,
					       unsigned long size_bytes)
{
	if (static_branch_unlikely(&kmm_leak_key))
		kmm_leak_vmap_free(r, addr);
	if (static_branch_unlikely(&kmm_host_kmemleak_key))
		kmm_host_leak_vmap_free(r, addr);
}

#endif /* _KMM_HOOKS_H */
