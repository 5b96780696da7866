/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of our own trees, vm/pgtable*.c, share among themselves only. */
#ifndef _KMM_PGTABLE_INTERNAL_H
#define _KMM_PGTABLE_INTERNAL_H

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/pgtable.h>

#include <kmm/buddy.h>
#include <kmm/pgtable.h>
#include <kmm/region.h>

/* What tables are taken with. */
#define KMM_PT_GFP	(GFP_KERNEL | __GFP_NOWARN)

/* vm/pgtable_life.c */
unsigned long *kmm_pt_table_alloc(struct kmm_pgtable *pt, unsigned int level, gfp_t gfp);
void kmm_pt_table_uncount(struct kmm_pgtable *pt, unsigned int level);
void kmm_pt_table_free(struct kmm_pgtable *pt, unsigned long *table);

/* Levels are numbered from the leaf up; this is the root's. */
static inline unsigned int kmm_pt_top(void)
{
	return pgtable_l5_enabled() ? 4 : 3;
}

static inline unsigned int kmm_pt_shift(unsigned int level)
{
	return PAGE_SHIFT + 9 * level;
}

static inline struct kmm_region *kmm_pt_region(const struct kmm_pgtables *set)
{
	return set->buddy->region;
}

static inline struct kmm_frame *kmm_pt_frame(const struct kmm_pgtables *set, const void *table)
{
	return kmm_region_frame(kmm_pt_region(set), __pa(table) >> PAGE_SHIFT);
}

#endif /* _KMM_PGTABLE_INTERNAL_H */
