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
 *
 * A pointer that kmm does not own is refused: a report with the stack in the log, a
 * counter, and nothing else. It is never followed.
 */
#ifndef _KMM_KMM_H
#define _KMM_KMM_H

#include <linux/gfp.h>

struct page;

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

#endif /* _KMM_KMM_H */
