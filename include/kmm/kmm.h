/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kmm for other modules: Linux's functions with kmm_ in front, on kmm's region.
 *
 * The contract is that of the Linux function of the same name: arguments, contexts,
 * return values. Where a module cannot keep it:
 *
 *   Linux                                  kmm
 *   -------------------------------------  --------------------------------------------
 *   the last put_page() frees              it does not: every frame keeps one reference of
 *                                          the region for ever, tails too. get_page() and
 *                                          put_page() in pairs are fine.
 *   freeing a page with more references    the frame goes into quarantine and comes back
 *   frees it at the last put               by itself when the count is 1 again
 *   __GFP_COMP makes a compound page       ignored: blocks are never compound
 *   zone and node bits of gfp              ignored: one region
 *   page->lru, page->private, PG_slab      never touched by kmm: the client's or the host's
 *   __GFP_NOFAIL                           may return NULL, as for every module allocator
 *   __GFP_ACCOUNT                          ignored: kmm has its own limits
 *   vmalloc_to_page() of memory of vfree() the frames come back with the next flush, not at once
 *   vmap() with VM_MAP_PUT_PAGES           refused (NULL)
 *
 * A pointer that kmm does not own is refused: a report with the stack in the log, a
 * counter, and nothing else. It is never followed.
 */
#ifndef _KMM_KMM_H
#define _KMM_KMM_H

#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/pgtable.h>
#include <linux/slab.h>

struct page;
struct kmm_cache;

/* === Pages === */

struct page *kmm_alloc_pages(gfp_t gfp, unsigned int order);
void __kmm_free_pages(struct page *page, unsigned int order);
unsigned long __kmm_get_free_pages(gfp_t gfp, unsigned int order);
void kmm_free_pages(unsigned long addr, unsigned int order);
unsigned long kmm_alloc_pages_bulk_array(gfp_t gfp, unsigned long nr_pages,
					 struct page **page_array);
int kmm_alloc_contig_range(unsigned long start_pfn, unsigned long end_pfn,
			   unsigned int migratetype, gfp_t gfp);
void kmm_free_contig_range(unsigned long pfn, unsigned long nr_pages);
void kmm_split_page(struct page *page, unsigned int order);

#define kmm_alloc_page(gfp)	kmm_alloc_pages(gfp, 0)
#define __kmm_free_page(page)	__kmm_free_pages(page, 0)

/* === Object caches; flags are Linux's SLAB_*, caches are never merged === */

struct kmm_cache *kmm_cache_create(const char *name, unsigned int size, unsigned int align,
				   slab_flags_t flags, void (*ctor)(void *obj));
struct kmm_cache *kmm_cache_create_usercopy(const char *name, unsigned int size,
					    unsigned int align, slab_flags_t flags,
					    unsigned int useroffset, unsigned int usersize,
					    void (*ctor)(void *obj));
void kmm_cache_destroy(struct kmm_cache *s);
void *kmm_cache_alloc(struct kmm_cache *s, gfp_t gfp);
void kmm_cache_free(struct kmm_cache *s, void *obj);
int kmm_cache_alloc_bulk(struct kmm_cache *s, gfp_t gfp, size_t nr, void **obj);
void kmm_cache_free_bulk(struct kmm_cache *s, size_t nr, void **obj);
int kmm_cache_shrink(struct kmm_cache *s);
unsigned int kmm_cache_size(struct kmm_cache *s);

static inline void *kmm_cache_zalloc(struct kmm_cache *s, gfp_t gfp)
{
	return kmm_cache_alloc(s, gfp | __GFP_ZERO);
}

/* === kmalloc === */

/* Classes: 8, 16, 32, 64, 96, 128, 192, 256, 512, 1k, 2k, 4k, 8k. */
#define KMM_KMALLOC_NR		13

/* By class; for kmm_kmalloc() only. */
extern struct kmm_cache *kmm_kmalloc_caches[KMM_KMALLOC_NR];

void *kmm_kmalloc_class(struct kmm_cache *s, size_t size, gfp_t gfp);
void *__kmm_kmalloc(size_t size, gfp_t gfp);
void kmm_kfree(const void *p);
size_t kmm_ksize(const void *p);
void *kmm_krealloc(const void *p, size_t new_size, gfp_t gfp);

/**
 * kmm_kmalloc_index() - The class that serves a size.
 * @size: 1 .. 8192
 *
 * Context: any; a constant for a constant @size. Return: index of the class.
 */
static __always_inline unsigned int kmm_kmalloc_index(size_t size)
{
	unsigned int i;

	if (size <= 8)
		return 0;
	if (size > 64 && size <= 96)
		return 4;
	if (size > 128 && size <= 192)
		return 6;
	i = ilog2(size - 1) - 2;	/* 16: 1, 32: 2, 64: 3, 128: 4, 256: 5, ... */
	return i + (i > 3) + (i > 4);
}

/**
 * kmm_kmalloc() - kmalloc() on kmm's region.
 * @size: bytes
 * @gfp: Linux GFP flags
 *
 * Sizes that are powers of two are naturally aligned. Context: as kmm_alloc_pages().
 * Return: memory, NULL, or ZERO_SIZE_PTR for size 0.
 */
static __always_inline void *kmm_kmalloc(size_t size, gfp_t gfp)
{
	if (__builtin_constant_p(size) && size && size <= 8192)
		return kmm_kmalloc_class(kmm_kmalloc_caches[kmm_kmalloc_index(size)], size, gfp);
	return __kmm_kmalloc(size, gfp);
}

static inline void *kmm_kzalloc(size_t size, gfp_t gfp)
{
	return kmm_kmalloc(size, gfp | __GFP_ZERO);
}

static inline void *kmm_kmalloc_array(size_t n, size_t size, gfp_t gfp)
{
	size_t bytes;

	if (unlikely(check_mul_overflow(n, size, &bytes)))
		return NULL;
	return kmm_kmalloc(bytes, gfp);
}

static inline void *kmm_kcalloc(size_t n, size_t size, gfp_t gfp)
{
	return kmm_kmalloc_array(n, size, gfp | __GFP_ZERO);
}

/* === vmalloc === */

void *kmm_vmalloc(unsigned long size);
void *kmm_vzalloc(unsigned long size);
void *__kmm_vmalloc(unsigned long size, gfp_t gfp);
void kmm_vfree(const void *addr);
void *kmm_vmap(struct page **pages, unsigned int count, unsigned long flags, pgprot_t prot);
void kmm_vunmap(const void *addr);
void *kmm_vm_map_ram(struct page **pages, unsigned int count, int node);
void kmm_vm_unmap_ram(const void *mem, unsigned int count);
void kmm_vm_unmap_aliases(void);
struct page *kmm_vmalloc_to_page(const void *addr);

/*
 * === Leaks: kmemleak's functions, for memory of kmm ===
 *
 * kmm's allocators track what they give by themselves. A client whose pointers stand in the host's
 * memory says where: its module's variables, tables that it got from the host's kmalloc().
 */

struct module;

void kmm_kmemleak_alloc(const void *ptr, size_t size, int min_count, gfp_t gfp);
void kmm_kmemleak_alloc_percpu(const void __percpu *ptr, size_t size, gfp_t gfp);
void kmm_kmemleak_free(const void *ptr);
void kmm_kmemleak_free_part(const void *ptr, size_t size);
void kmm_kmemleak_free_percpu(const void __percpu *ptr);
void kmm_kmemleak_update_trace(const void *ptr);
void kmm_kmemleak_not_leak(const void *ptr);
void kmm_kmemleak_ignore(const void *ptr);
void kmm_kmemleak_scan_area(const void *ptr, size_t size, gfp_t gfp);
void kmm_kmemleak_no_scan(const void *ptr);

static inline void kmm_kmemleak_erase(void **ptr)
{
	*ptr = NULL;
}

int kmm_kmemleak_register_root(const void *start, size_t size);
void kmm_kmemleak_unregister_root(const void *start);
int kmm_kmemleak_register_module(const struct module *mod);
void kmm_kmemleak_unregister_module(const struct module *mod);

#endif /* _KMM_KMM_H */
