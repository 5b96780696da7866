// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Tools of the host
 *
 * A debug kernel has KASAN and kmemleak. For them the region is memory that a driver has taken
 * and uses. Two parameters, for loading only, tell them more:
 *
 *	host_kasan	what is free in kmm, objects and frames, is poisoned, so a load or store to
 *			it that the compiler instrumented is reported by KASAN as a use after free
 *	host_kmemleak	objects that clients take are told to kmemleak as kmalloc's memory is. It
 *			scans all of the host, so clients need not register anything. Pages and
 *			areas of vmalloc are told as gray, they may hold pointers: who has pages
 *			holds a struct page, which kmemleak does not know as one, and where an
 *			area begins vmap.c knows, too, in the host's memory
 *
 * On hosts without these tools they do nothing, and the step host_tools of mm_init says so.
 *
 * An object in its slab is all poison but its free word, 8 bytes that slab.c looks at whenever
 * the object changes hands: KASAN's granule. So an access to just these is not seen, nor one to
 * an object of 8 bytes. Caches with SLAB_TYPESAFE_BY_RCU, whose free objects may be read, and
 * with red zones, poison or owners, which slab_debug.c reads, are left alone. A frame is poisoned
 * when nobody has a reason to look at it: after kmm_hook_page_idle(), so one in quarantine is not.
 *
 * Invariants: what is given out has no poison of ours in it; after kmm_host_tools_stop() no frame
 * of the region has: the host gets memory back that it can use. An object that a client never gave
 * back is not known to the host's kmemleak any more by then.
 *
 * Locks: none. Context: as the hooks. Not at run time: what was freed before would not be
 * poisoned, and what is poisoned must be known to be so.
 */

#define pr_fmt(fmt) "kmm: host_tools: " fmt

#include <linux/kmemleak.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#include <compat/compat.h>
#include <kmm/host_tools.h>
#include <kmm/paths.h>
#include <kmm/region.h>
#include <kmm/slab.h>
#include <kmm/slab_debug.h>

DEFINE_STATIC_KEY_FALSE(kmm_host_kasan_key);
DEFINE_STATIC_KEY_FALSE(kmm_host_kmemleak_key);

static bool host_kasan;
module_param(host_kasan, bool, 0444);
MODULE_PARM_DESC(host_kasan, "Poison what is free for the host's KASAN (default 0)");

static bool host_kmemleak;
module_param(host_kmemleak, bool, 0444);
MODULE_PARM_DESC(host_kmemleak, "Tell the host's kmemleak what clients take (default 0)");

/**
 * kmm_host_tools_available() - What this host was built with.
 *
 * Context: any. Return: bits of enum kmm_host_tool.
 */
unsigned int kmm_host_tools_available(void)
{
	return (IS_ENABLED(CONFIG_KASAN_GENERIC) ? KMM_HOST_KASAN : 0) |
	       (IS_ENABLED(CONFIG_DEBUG_KMEMLEAK) ? KMM_HOST_KMEMLEAK : 0);
}
KMM_EXPORT_INTERNAL(kmm_host_tools_available);

/**
 * kmm_host_tools_wanted() - What the parameters say.
 *
 * Context: any. Return: bits of enum kmm_host_tool.
 */
unsigned int kmm_host_tools_wanted(void)
{
	return (host_kasan ? KMM_HOST_KASAN : 0) | (host_kmemleak ? KMM_HOST_KMEMLEAK : 0);
}

/**
 * kmm_host_tools_start() - From now on the host's tools see what happens to a region.
 * @r: region; nobody has memory of it
 * @tools: bits of enum kmm_host_tool; others than kmm_host_tools_available() are ignored
 *
 * Context: task, may sleep.
 */
void kmm_host_tools_start(struct kmm_region *r, unsigned int tools)
{
	r->host_tools = tools & kmm_host_tools_available();
	if (r->host_tools & KMM_HOST_KASAN)
		kmm_hooks_on(&kmm_host_kasan_key, KMM_PATH_PAGE | KMM_PATH_SLAB);
	if (r->host_tools & KMM_HOST_KMEMLEAK)
		kmm_hooks_on(&kmm_host_kmemleak_key,
			     KMM_PATH_PAGE | KMM_PATH_SLAB | KMM_PATH_VMAP);
}
KMM_EXPORT_INTERNAL(kmm_host_tools_start);

/**
 * kmm_host_tools_stop() - Undo it: nothing is poisoned, nothing is told.
 * @r: region; nobody takes or gives memory of it any more, but kmm itself
 *
 * Context: task, may sleep.
 */
void kmm_host_tools_stop(struct kmm_region *r)
{
	unsigned int tools = r->host_tools, i;

	r->host_tools = 0;
	if (tools & KMM_HOST_KMEMLEAK)
		kmm_hooks_off(&kmm_host_kmemleak_key,
			      KMM_PATH_PAGE | KMM_PATH_SLAB | KMM_PATH_VMAP);
	if (!(tools & KMM_HOST_KASAN))
		return;
	kmm_hooks_off(&kmm_host_kasan_key, KMM_PATH_PAGE | KMM_PATH_SLAB);
	for (i = 0; i < r->nr_extents; i++)
		kmm_host_poison(pfn_to_kaddr(r->extents[i].start_pfn),
				r->extents[i].nr_pages << PAGE_SHIFT, 0);
}
KMM_EXPORT_INTERNAL(kmm_host_tools_stop);

/**
 * kmm_host_tools_forget() - The host's kmemleak is not to know this memory any more.
 * @ctx: not used
 * @p: first byte
 * @size_bytes: bytes; not used
 *
 * For kmm_slab_for_each_used(), before kmm_host_tools_stop(): what clients never gave back.
 *
 * Context: any.
 */
void kmm_host_tools_forget(void *ctx, const void *p, size_t size_bytes)
{
	kmemleak_free(p);
}

/* === KASAN === */

/* The free word stays: it is between these two. */
static void kmm_host_poison_object(const struct kmm_cache *s, void *obj, u8 value)
{
	unsigned long end = ALIGN(s->object_size, sizeof(long)), word = min(s->offset, end);

	if (s->flags & (KMM_SLAB_DEBUG_FLAGS | SLAB_TYPESAFE_BY_RCU))
		return;
	if (word)
		kmm_host_poison(obj, word, value);
	if (word + sizeof(long) < end)
		kmm_host_poison(obj + word + sizeof(long), end - word - sizeof(long), value);
}

/**
 * kmm_host_kasan_page_alloc() - A block goes out.
 * @r: region
 * @page: first page
 * @order: log2 of pages
 *
 * Context: any.
 */
void kmm_host_kasan_page_alloc(const struct kmm_region *r, struct page *page, unsigned int order)
{
	if (r->host_tools & KMM_HOST_KASAN)
		kmm_host_poison(page_address(page), PAGE_SIZE << order, 0);
}

/**
 * kmm_host_kasan_page_idle() - Nobody looks at these frames any more.
 * @r: region
 * @page: first page
 * @order: log2 of pages
 *
 * Context: any.
 */
void kmm_host_kasan_page_idle(const struct kmm_region *r, struct page *page, unsigned int order)
{
	if (r->host_tools & KMM_HOST_KASAN)
		kmm_host_poison(page_address(page), PAGE_SIZE << order, KMM_HOST_FREE_PAGE);
}

/**
 * kmm_host_kasan_object_alloc() - An object goes out.
 * @s: its cache; for large kmalloc, whose pages are what counts, &slab->large
 * @obj: object
 *
 * Context: any.
 */
void kmm_host_kasan_object_alloc(const struct kmm_cache *s, void *obj)
{
	if (s->slab->region->host_tools & KMM_HOST_KASAN)
		kmm_host_poison_object(s, obj, 0);
}

/**
 * kmm_host_kasan_object_idle() - A freed object, about to be put away.
 * @s: its cache
 * @obj: object
 *
 * Context: any.
 */
void kmm_host_kasan_object_idle(const struct kmm_cache *s, void *obj)
{
	if (s->slab->region->host_tools & KMM_HOST_KASAN)
		kmm_host_poison_object(s, obj, KMM_HOST_FREE_OBJECT);
}

/* === kmemleak === */

/**
 * kmm_host_leak_page_client() - A client takes a block.
 * @r: region
 * @page: first page
 * @order: log2 of pages
 * @gfp: what the client allowed
 *
 * Context: @gfp's.
 */
void kmm_host_leak_page_client(const struct kmm_region *r, struct page *page, unsigned int order,
			       gfp_t gfp)
{
	if (r->host_tools & KMM_HOST_KMEMLEAK)
		kmemleak_alloc(page_address(page), PAGE_SIZE << order, 0, gfp);
}

/**
 * kmm_host_leak_page_free() - A block, or a page of one that was split, comes back.
 * @r: region
 * @page: first page
 * @order: log2 of pages
 *
 * Context: any.
 */
void kmm_host_leak_page_free(const struct kmm_region *r, struct page *page, unsigned int order)
{
	if (r->host_tools & KMM_HOST_KMEMLEAK)
		kmemleak_free_part(page_address(page), PAGE_SIZE << order);
}

/**
 * kmm_host_leak_object_alloc() - An object, or large kmalloc memory, goes out.
 * @s: its cache; of large memory object_size is 0
 * @obj: object
 * @size: bytes that kmalloc was asked for, or 0
 * @gfp: what the client allowed
 *
 * Context: @gfp's.
 */
void kmm_host_leak_object_alloc(const struct kmm_cache *s, const void *obj, size_t size, gfp_t gfp)
{
	/* kmm's own hold pointers to the host's memory: gray. */
	if (s->slab->region->host_tools & KMM_HOST_KMEMLEAK)
		kmemleak_alloc(obj, s->object_size ?: size, s->flags & SLAB_NOLEAKTRACE ? 0 : 1,
			       gfp);
}

/**
 * kmm_host_leak_object_free() - It comes back.
 * @s: its cache
 * @obj: object
 *
 * Context: any.
 */
void kmm_host_leak_object_free(const struct kmm_cache *s, const void *obj)
{
	if (s->slab->region->host_tools & KMM_HOST_KMEMLEAK)
		kmemleak_free(obj);
}

/**
 * kmm_host_leak_object_stray() - What is no object of a slab comes back: kfence's, or anything.
 * @sl: slab allocator
 * @obj: any address
 *
 * Context: any.
 */
void kmm_host_leak_object_stray(const struct kmm_slab *sl, const void *obj)
{
	if (sl->region->host_tools & KMM_HOST_KMEMLEAK)
		kmemleak_free(obj);
}

/**
 * kmm_host_leak_vmap_alloc() - An area of vmalloc goes out.
 * @r: region
 * @addr: its start
 * @size_bytes: bytes, without the guard page
 * @gfp: what the client allowed
 *
 * Context: @gfp's.
 */
void kmm_host_leak_vmap_alloc(const struct kmm_region *r, const void *addr, size_t size_bytes,
			      gfp_t gfp)
{
	if (r->host_tools & KMM_HOST_KMEMLEAK)
		kmemleak_alloc(addr, size_bytes, 0, gfp);
}

/**
 * kmm_host_leak_vmap_free() - It comes back, its entries are still there.
 * @r: region
 * @addr: its start
 *
 * Context: any but NMI.
 */
void kmm_host_leak_vmap_free(const struct kmm_region *r, const void *addr)
{
	if (r->host_tools & KMM_HOST_KMEMLEAK)
		kmemleak_free(addr);
}
