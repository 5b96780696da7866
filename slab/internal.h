/* SPDX-License-Identifier: GPL-2.0-only */
/* What slab.c and the files of slab/ share. The essay is in slab.c. */
#ifndef _KMM_SLAB_INTERNAL_H
#define _KMM_SLAB_INTERNAL_H

#include <linux/bitops.h>
#include <linux/mm.h>

#include <kmm/region.h>
#include <kmm/slab.h>

static __always_inline unsigned long *kmm_free_word(const struct kmm_cache *s, void *obj)
{
	return obj + s->offset;
}

static __always_inline unsigned long kmm_free_mark(const struct kmm_cache *s, const void *obj)
{
	return s->key ^ (unsigned long)obj;
}

static inline void *kmm_slab_base(const struct kmm_cache *s, u32 index)
{
	return page_address(kmm_region_page(s->slab->region, index));
}

static inline unsigned long *kmm_slab_bits(const struct kmm_cache *s, u32 index)
{
	if (s->nr_per_slab <= KMM_SLAB_BITS)
		return (unsigned long *)&s->slab->bits[index];
	return kmm_slab_base(s, index) + (s->hard ? s->used : PAGE_SIZE << s->order) -
	       BITS_TO_LONGS(s->nr_per_slab) * sizeof(long);
}

/* The start of the slab that @obj is in: blocks are aligned by address as by pfn. */
static inline void *kmm_slab_start(const struct kmm_cache *s, const void *obj)
{
	return (void *)((unsigned long)obj & ~s->mask);
}

/* Bytes of a hardened slab's bits. */
static inline unsigned int kmm_slab_used_bytes(const struct kmm_cache *s, unsigned int order)
{
	return BITS_TO_LONGS((PAGE_SIZE << order) >> s->used_shift) * sizeof(long);
}

/* === slab/lists.c === */

bool kmm_addr_to_index(const struct kmm_slab *sl, const void *p, u32 *index);
unsigned int kmm_object_nr(const struct kmm_cache *s, const void *obj);
unsigned int kmm_slabs_take(struct kmm_cache *s, void **obj, unsigned int want);
void kmm_slabs_give(struct kmm_cache *s, void **obj, unsigned int nr);
u32 kmm_slabs_trim_locked(struct kmm_cache *s, unsigned int keep);
unsigned long kmm_slabs_free(struct kmm_cache *s, u32 list);
void *kmm_cache_grow(struct kmm_cache *s, gfp_t gfp);

/* === slab/cache.c === */

int kmm_cache_init(struct kmm_cache *s, struct kmm_slab *sl, const struct kmm_cache_args *args);
int kmm_cache_end(struct kmm_cache *s);

/* === slab/drain.c === */

void kmm_slab_add_cpuhp(struct kmm_slab *sl);
void kmm_slab_remove_cpuhp(struct kmm_slab *sl);

/* === slab.c === */

struct kmm_cache_cpu *kmm_stack_get(struct kmm_cache *s);
void kmm_stack_put(struct kmm_cache *s);
void kmm_report_free(struct kmm_slab *sl, const struct kmm_cache *s, const void *obj,
		     const char *what, unsigned long ip);

#endif /* _KMM_SLAB_INTERNAL_H */
