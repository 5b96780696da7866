/* SPDX-License-Identifier: GPL-2.0-only */
/* The region: frames from the host, their metadata, the early allocator, the window. */
#ifndef _KMM_REGION_H
#define _KMM_REGION_H

#include <linux/mm.h>
#include <linux/types.h>

#include <kmm/page.h>
#include <kmm/page_ext.h>

struct kmm_leak;
struct kmm_region;
struct device;

/**
 * struct kmm_extent - a physically contiguous piece of the region
 * @start_pfn: first frame
 * @nr_pages: frames
 * @priv: the provider's handle; meaning is the provider's
 *
 * Immutable after kmm_region_init().
 */
struct kmm_extent {
	unsigned long start_pfn;
	unsigned long nr_pages;
	unsigned long priv;
};

/**
 * struct kmm_region_ops - a source of memory
 * @name: as in the parameter provider=
 * @acquire: take @nr_pages frames and report each piece by kmm_region_add_extent().
 *	Context: may sleep. Return: 0; -ENOMEM when the source has not enough;
 *	-EOPNOTSUPP when this kernel has no such source. On error nothing stays taken.
 *	A failing source explains itself in one line by kmm_region_explain().
 * @release: give one extent back. Context: may sleep. Never fails.
 * @fini: after the last release, also after a failed acquire; optional.
 */
struct kmm_region_ops {
	const char *name;
	int (*acquire)(struct kmm_region *r, unsigned long nr_pages);
	void (*release)(struct kmm_region *r, struct kmm_extent *e);
	void (*fini)(struct kmm_region *r);
};

/**
 * struct kmm_region - memory held from the host
 * @ops: the provider that served
 * @extents: sorted by pfn
 * @nr_extents: how many
 * @nr_frames: frames of all extents
 * @frames: one struct kmm_frame per frame of each granule that the region touches,
 *	contiguous; the index into it names a frame in lists
 * @nr_index: entries of @frames, a multiple of KMM_GRANULE_FRAMES
 * @pageblock_mt: enum kmm_migratetype of each 2 MiB of index space; buddy's lock
 * @first_granule: pfn >> KMM_MAX_ORDER of the lowest frame
 * @nr_granules: granules from the lowest to the highest frame
 * @granule_frames: per granule its part of @frames, NULL where the region has none
 * @poison: of each frame, see debug/page_poison.c; belongs to whoever has the frame
 * @granule_pfn: first pfn of each granule, by index >> KMM_MAX_ORDER
 * @early_pfn: next frame that the early allocator gives
 * @early_end: behind its last frame
 * @early_frames: frames given by it: metadata
 * @early_offset: bytes used of the frame before @early_pfn
 * @early_closed: the buddy has the rest
 * @ext: what debugging keeps for each frame, by the same index
 * @window_start: first address of the reserved range; NULL when there is none
 * @window: what of it kmm_region_take_window() left, mapped read-only on one zero page until
 *	vmap/life.c takes it; NULL when there is none
 * @window_pages: its size in pages
 * @forget: takes frames out of the window, for debug_pagealloc; any context but NMI; returns
 *	entries. NULL: no window in use. Set and cleared by vmap/life.c while nobody else has one
 * @forget_ctx: its first argument
 * @leak: told of what clients take and give of it; NULL: nobody is. Set before the first client
 * @host_tools: enum kmm_host_tool that are told. Set before the first client
 * @fallback: not the first provider that was tried
 * @why: what was tried before, one line per provider, each ending in newline
 * @provider_priv: the provider's own, for all extents
 *
 * Immutable after kmm_region_init(), except the early allocator until it is closed.
 */
struct kmm_region {
	const struct kmm_region_ops *ops;
	struct kmm_extent *extents;
	unsigned int nr_extents;
	unsigned long nr_frames;

	struct kmm_frame *frames;
	unsigned long nr_index;
	u8 *pageblock_mt;
	unsigned long first_granule;
	unsigned long nr_granules;
	struct kmm_frame **granule_frames;
	unsigned long *granule_pfn;
	u16 *poison;

	unsigned long early_pfn;
	unsigned long early_end;
	unsigned long early_frames;
	unsigned int early_offset;
	bool early_closed;
	struct kmm_page_ext ext;

	void *window_start;
	void *window;
	unsigned long window_pages;
	unsigned long (*forget)(void *ctx, struct page *page, unsigned int order);
	void *forget_ctx;

	struct kmm_leak *leak;
	u8 host_tools;
	bool fallback;
	char why[512];
	void *provider_priv;
};

extern const struct kmm_region_ops kmm_region_cma;
extern const struct kmm_region_ops kmm_region_contig;
extern const struct kmm_region_ops kmm_region_chunks;

int kmm_region_init(struct kmm_region *r, const char *provider, unsigned long nr_pages);
int kmm_region_init_ops(struct kmm_region *r, const struct kmm_region_ops *ops,
			unsigned long nr_pages);
unsigned long kmm_region_fini(struct kmm_region *r);
int kmm_region_init_window(struct kmm_region *r, unsigned long nr_pages);
void *kmm_region_take_window(struct kmm_region *r, unsigned long nr_pages);
void kmm_region_fini_window(struct kmm_region *r);

void *kmm_region_early_alloc(struct kmm_region *r, size_t size_bytes, size_t align_bytes);
void kmm_region_early_close(struct kmm_region *r);

/* For providers. */
int kmm_region_add_extent(struct kmm_region *r, unsigned long start_pfn,
			  unsigned long nr_pages, unsigned long priv);
__printf(2, 3) void kmm_region_explain(struct kmm_region *r, const char *fmt, ...);

/**
 * kmm_region_frame() - The metadata of a pfn.
 * @r: region
 * @pfn: any page frame number
 *
 * Context: any.
 * Return: its frame, also for KMM_FRAME_ABSENT ones of a granule that the region
 * touches; NULL for all other memory.
 */
static inline struct kmm_frame *kmm_region_frame(const struct kmm_region *r, unsigned long pfn)
{
	unsigned long g = (pfn >> KMM_MAX_ORDER) - r->first_granule;
	struct kmm_frame *f;

	if (unlikely(g >= r->nr_granules))
		return NULL;
	f = r->granule_frames[g];
	return likely(f) ? f + (pfn & (KMM_GRANULE_FRAMES - 1)) : NULL;
}

static inline u32 kmm_region_index(const struct kmm_region *r, const struct kmm_frame *f)
{
	return f - r->frames;
}

/* Index and pfn have the same low KMM_MAX_ORDER bits. */
static inline unsigned long kmm_region_pfn(const struct kmm_region *r, u32 index)
{
	return r->granule_pfn[index >> KMM_MAX_ORDER] | (index & (KMM_GRANULE_FRAMES - 1));
}

static inline struct page *kmm_region_page(const struct kmm_region *r, u32 index)
{
	return pfn_to_page(kmm_region_pfn(r, index));
}

#endif /* _KMM_REGION_H */
