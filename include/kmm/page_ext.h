/* SPDX-License-Identifier: GPL-2.0-only */
/* What debugging keeps for each frame. See debug/page_ext.c. */
#ifndef _KMM_PAGE_EXT_H
#define _KMM_PAGE_EXT_H

#include <linux/bits.h>
#include <linux/types.h>

struct kmm_frame;
struct kmm_region;

/* Who may have a part of each entry; kmm_page_ext_clients[] has a line for each. */
enum kmm_page_ext_id {
	KMM_PAGE_EXT_OWNER,
	KMM_PAGE_EXT_PAGEALLOC,
	KMM_PAGE_EXT_TABLE_CHECK,
	KMM_NR_PAGE_EXT
};

/**
 * struct kmm_page_ext_client - a part of each frame's entry
 * @name: for debugfs mm_init
 * @need: asked once, when the region is there; context: may sleep
 * @size: bytes for each frame, a multiple of 8; asked when it is needed
 */
struct kmm_page_ext_client {
	const char *name;
	bool (*need)(void);
	size_t (*size)(void);
};

extern const struct kmm_page_ext_client * const kmm_page_ext_clients[KMM_NR_PAGE_EXT];

/**
 * struct kmm_page_ext - the side array of a region
 * @base: an entry for each index of the frame array, zeroed; NULL: nobody needs one
 * @size: bytes of an entry
 * @ratio: bytes of entries for a byte of the frame array
 * @needed: a bit for each enum kmm_page_ext_id that has a part
 * @offset: where each part stands in an entry
 * @on: for clients that are on in this region what kmm_page_ext_of() adds; 0: off. Theirs
 *
 * But for @on immutable after kmm_page_ext_init().
 */
struct kmm_page_ext {
	void *base;
	unsigned long size;
	unsigned long ratio;
	u32 needed;
	u32 offset[KMM_NR_PAGE_EXT];
	unsigned long on[KMM_NR_PAGE_EXT];
};

int kmm_page_ext_init(struct kmm_region *r, const struct kmm_page_ext_client * const *clients);
size_t kmm_page_ext_bytes(const struct kmm_region *r);
void kmm_page_ext_switch(struct kmm_region *r, enum kmm_page_ext_id id, bool on);

/* Is a client on in this region? Context: any. */
static inline bool kmm_page_ext_is_on(const struct kmm_page_ext *ext, enum kmm_page_ext_id id)
{
	return READ_ONCE(ext->on[id]);
}

static __always_inline void *kmm_page_ext_add(const struct kmm_page_ext *ext, unsigned long on,
					      const struct kmm_frame *f)
{
	return (void *)(on + (unsigned long)f * ext->ratio);
}

/*
 * The part of a client in the entry of @f; NULL when it is off in this region. For fast paths: a
 * frame's address times the ratio is right but for what @on says. Context: any.
 */
static __always_inline void *kmm_page_ext_of(const struct kmm_page_ext *ext,
					     enum kmm_page_ext_id id, const struct kmm_frame *f)
{
	unsigned long on = READ_ONCE(ext->on[id]);

	return on ? kmm_page_ext_add(ext, on, f) : NULL;
}

/**
 * kmm_page_ext_get() - A client's part of a frame's entry.
 * @ext: side array
 * @id: the client
 * @index: of the frame in the region's array
 *
 * Context: any. Return: the part; NULL when the client has none in this region.
 */
static inline void *kmm_page_ext_get(const struct kmm_page_ext *ext, enum kmm_page_ext_id id,
				     u32 index)
{
	if (!(ext->needed & BIT(id)))
		return NULL;
	return ext->base + index * ext->size + ext->offset[id];
}

#endif /* _KMM_PAGE_EXT_H */
