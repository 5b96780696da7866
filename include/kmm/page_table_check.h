/* SPDX-License-Identifier: GPL-2.0-only */
/* Who maps a frame of spaces, and whether he may. See debug/page_table_check.c. */
#ifndef _KMM_PAGE_TABLE_CHECK_H
#define _KMM_PAGE_TABLE_CHECK_H

#include <linux/jump_label.h>
#include <linux/types.h>

struct kmm_page_ext_client;
struct kmm_region;
struct page;

DECLARE_STATIC_KEY_FALSE(kmm_page_table_check_key);

extern const struct kmm_page_ext_client kmm_page_table_check_client;

/**
 * struct kmm_page_table_check_stat - what the tables of spaces map, as counted
 * @anon_frames: frames with a private mapping
 * @anon_maps: private mappings
 * @anon_writable: of these, writable ones
 * @file_frames: frames with a mapping of an object
 * @file_maps: mappings of objects
 * @violations: reports since load, rate limited ones included; of all regions
 */
struct kmm_page_table_check_stat {
	unsigned long anon_frames;
	unsigned long anon_maps;
	unsigned long anon_writable;
	unsigned long file_frames;
	unsigned long file_maps;
	unsigned long violations;
};

void kmm_page_table_check_init(void);
void kmm_page_table_check_fini(void);
bool kmm_page_table_check_on(const struct kmm_region *r);
void __kmm_page_table_check(struct kmm_region *r, unsigned long addr, unsigned long old,
			    unsigned long new, bool huge);
void kmm_page_table_check_zero(struct kmm_region *r, struct page *page, unsigned int order,
			       const char *when);
unsigned long kmm_page_table_check_violations(void);
bool kmm_page_table_check_stat(const struct kmm_region *r, struct kmm_page_table_check_stat *st);

/**
 * kmm_page_table_check() - An entry of a space was changed.
 * @r: region of the tree
 * @addr: address of the leaf
 * @old: raw word that was there, 0 for none
 * @new: raw word that is there now
 * @huge: they are of 2 MiB
 *
 * Context: any; the entry cannot change meanwhile.
 */
static __always_inline void kmm_page_table_check(struct kmm_region *r, unsigned long addr,
						 unsigned long old, unsigned long new, bool huge)
{
	if (static_branch_unlikely(&kmm_page_table_check_key))
		__kmm_page_table_check(r, addr, old, new, huge);
}

#endif /* _KMM_PAGE_TABLE_CHECK_H */
