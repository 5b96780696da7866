/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of memory objects, vm/object*.c, share among themselves only. */
#ifndef _KMM_OBJECT_INTERNAL_H
#define _KMM_OBJECT_INTERNAL_H

#include <linux/mm.h>
#include <linux/page-flags.h>

#include <kmm/account.h>
#include <kmm/lru.h>
#include <kmm/object.h>

/* These keep the frames that they are made with. */
#define KMM_OBJECT_FIXED	(KMM_OBJECT_LOCKED | KMM_OBJECT_CONTIG)

/* vm/object.c */
struct page *kmm_object_alloc_frame_for(struct kmm_object *o, struct kmm_account *a, gfp_t gfp);
void kmm_object_clear_frame(struct page *page);
int kmm_object_add_leaf(struct kmm_object *o, pgoff_t index);
int kmm_object_hold(struct kmm_object *o, unsigned int i, pgoff_t first, unsigned long nr);
void kmm_object_unhold_locked(struct kmm_object *o);
void kmm_object_unhold(struct kmm_object *o);
int kmm_object_fill(struct kmm_object *o, pgoff_t first, pgoff_t end);

/* vm/object_resize.c */
void *kmm_object_erase_entry_locked(struct kmm_object *o, void *entry);
void kmm_object_free_entry(struct kmm_object *o, void *entry);
void kmm_object_drop(struct kmm_object *o, pgoff_t first, pgoff_t end, bool unmap);
void kmm_object_zero_locked(struct kmm_object *o, u64 start, u64 end);

/* Pages that so many bytes reach into. */
static inline unsigned long kmm_object_nr_pages(u64 size_bytes)
{
	return (size_bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* Leaves of so many pages. */
static inline unsigned long kmm_object_nr_top(unsigned long nr_pages)
{
	return (nr_pages + KMM_LEAF_ENTRIES - 1) >> KMM_LEAF_SHIFT;
}

/* Somebody is about to look into a page, to map it, or to write to it. */
static inline void kmm_object_want_locked(struct kmm_object *o, struct page *page)
{
	if (o->lruvec)
		kmm_lru_rescue_locked(o, page);
}

/* Its contents are not what swap has, nor zeros. */
static inline void kmm_object_dirty_locked(struct kmm_object *o, struct page *page)
{
	kmm_object_want_locked(o, page);
	if (!PageDirty(page))
		SetPageDirty(page);
}

/* A page leaves the index. Return: the frame is the caller's, see kmm_lru_del_locked(). */
static inline bool kmm_object_forget_locked(struct kmm_object *o, struct page *page)
{
	return !o->lruvec || kmm_lru_del_locked(o, page);
}

static inline void kmm_object_free_leaf(struct kmm_object *o, struct kmm_leaf *leaf)
{
	kmm_account_free(o->account, leaf, sizeof(*leaf));
}

#endif /* _KMM_OBJECT_INTERNAL_H */
