/* SPDX-License-Identifier: GPL-2.0-only */
/* No free frame in the kernel window. See debug/debug_pagealloc.c. */
#ifndef _KMM_DEBUG_PAGEALLOC_H
#define _KMM_DEBUG_PAGEALLOC_H

#include <linux/jump_label.h>
#include <linux/types.h>

struct kmm_page_ext_client;
struct kmm_region;
struct page;

DECLARE_STATIC_KEY_FALSE(kmm_debug_pagealloc_key);

extern const struct kmm_page_ext_client kmm_debug_pagealloc_client;

void kmm_debug_pagealloc_init(void);
void kmm_debug_pagealloc_fini(void);
unsigned int kmm_debug_guardpage_minorder(void);
bool kmm_debug_pagealloc_on(const struct kmm_region *r);
void kmm_debug_pagealloc_count(const struct kmm_region *r, unsigned long pfn,
			       unsigned long nr_pages, int one);
void kmm_debug_pagealloc_free(const struct kmm_region *r, struct page *page, unsigned int order);
unsigned long kmm_debug_pagealloc_taken(void);

#endif /* _KMM_DEBUG_PAGEALLOC_H */
