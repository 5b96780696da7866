/* SPDX-License-Identifier: GPL-2.0-only */
/* The host's KASAN and kmemleak see memory of kmm. See debug/host_tools.c. */
#ifndef _KMM_HOST_TOOLS_H
#define _KMM_HOST_TOOLS_H

#include <linux/bits.h>
#include <linux/gfp.h>
#include <linux/jump_label.h>
#include <linux/types.h>

struct kmm_cache;
struct kmm_region;
struct kmm_slab;
struct page;

/**
 * enum kmm_host_tool - tools of the host
 * @KMM_HOST_KASAN: what is free in kmm is poisoned for KASAN
 * @KMM_HOST_KMEMLEAK: what clients of kmm take is told to kmemleak
 */
enum kmm_host_tool {
	KMM_HOST_KASAN		= BIT(0),
	KMM_HOST_KMEMLEAK	= BIT(1),
};

DECLARE_STATIC_KEY_FALSE(kmm_host_kasan_key);
DECLARE_STATIC_KEY_FALSE(kmm_host_kmemleak_key);

unsigned int kmm_host_tools_available(void);
unsigned int kmm_host_tools_wanted(void);
void kmm_host_tools_start(struct kmm_region *r, unsigned int tools);
void kmm_host_tools_stop(struct kmm_region *r);
void kmm_host_tools_forget(void *ctx, const void *p, size_t size_bytes);

/* Hooks, see include/kmm/hooks.h. */
void kmm_host_kasan_page_alloc(const struct kmm_region *r, struct page *page, unsigned int order);
void kmm_host_kasan_page_idle(const struct kmm_region *r, struct page *page, unsigned int order);
void kmm_host_kasan_object_alloc(const struct kmm_cache *s, void *obj);
void kmm_host_kasan_object_idle(const struct kmm_cache *s, void *obj);
void kmm_host_leak_page_client(const struct kmm_region *r, struct page *page, unsigned int order,
			       gfp_t gfp);
void kmm_host_leak_page_free(const struct kmm_region *r, struct page *page, unsigned int order);
void kmm_host_leak_object_alloc(const struct kmm_cache *s, const void *obj, size_t size,
				gfp_t gfp);
void kmm_host_leak_object_free(const struct kmm_cache *s, const void *obj);
void kmm_host_leak_object_stray(const struct kmm_slab *sl, const void *obj);
void kmm_host_leak_vmap_alloc(const struct kmm_region *r, const void *addr, size_t size_bytes,
			      gfp_t gfp);
void kmm_host_leak_vmap_free(const struct kmm_region *r, const void *addr);

#endif /* _KMM_HOST_TOOLS_H */
