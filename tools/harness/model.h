/* SPDX-License-Identifier: GPL-2.0-only */
/* The naive reference: one byte per frame and a list of blocks. See model.c. */
#ifndef _HARNESS_MODEL_H
#define _HARNESS_MODEL_H

#include <setjmp.h>

#include <harness/kernel.h>

#include <kmm/buddy.h>

#define MODEL_OWNERS 4

/* Who has a frame, as far as somebody outside the allocator can know. */
enum model_state {
	MODEL_OUTSIDE,		/* not the region's */
	MODEL_METADATA,
	MODEL_HOME,		/* the allocator's: on a list or in a cache */
	MODEL_USED,		/* ours */
	MODEL_QUARANTINED,	/* given back while held from outside */
};

struct model_block {
	unsigned long pfn;
	u64 stamp;
	unsigned int order;
	u32 owner;
};

struct model {
	struct kmm_region *region;
	struct kmm_buddy *buddy;
	u8 state[HARNESS_NR_PAGES];
	u8 pins[HARNESS_NR_PAGES];	/* references that we took on top */
	struct model_block *blocks;
	unsigned long nr_blocks;
	unsigned long nr_used;		/* frames */
	unsigned long nr_pinned;	/* frames with pins */
	u64 nr_alloc[KMM_NR_ORDERS];	/* blocks, ever */
	u64 nr_freed[KMM_NR_ORDERS];
	u32 frame_owner[HARNESS_NR_PAGES]; /* of USED and QUARANTINED frames, 0: none */
	long charged[MODEL_OWNERS];	/* frames of an owner that went home, ever */
	long uncharged[MODEL_OWNERS];	/* those of them that uncharge() told */
	u64 next_stamp;
};

/* A layout of extents; the fake provider takes them from harness_mem_map. */
struct model_layout {
	const char *name;
	unsigned int nr;
	struct {
		unsigned long first;	/* from HARNESS_PFN */
		unsigned long nr_pages;
	} extent[8];
};

extern const struct model_layout model_layouts[];
extern const unsigned int model_nr_layouts;
extern const struct model_layout *model_layout;	/* what acquire() gives next */
extern const struct kmm_region_ops model_ops;
extern unsigned long model_released;		/* frames, by release() */
extern unsigned long model_inject;		/* kmm_should_fail() says yes at the Nth call */

/* A failed check ends the run, or jumps here when a self-test expects it. */
extern jmp_buf *model_expect;
extern char model_message[512];
__printf(1, 2) void model_fail(const char *fmt, ...);

u64 model_random(void);
void model_seed(u64 seed);

void model_init(struct model *m, struct kmm_region *r, struct kmm_buddy *b);
void model_fini(struct model *m);

struct model_block *model_allocated(struct model *m, struct page *page, unsigned int order,
				    gfp_t gfp);
struct model_block model_take(struct model *m, unsigned long i);
void model_set_owner(struct model *m, struct model_block *blk, u32 owner);
void model_uncharge(void *ctx, u32 owner, unsigned long nr_pages);
void model_pin(struct model *m, unsigned long pfn);
void model_unpin(struct model *m, unsigned long pfn);
void model_check_stat(struct model *m);
void model_check_merged(struct model *m);
void model_check_contents(const struct model_block *blk);
unsigned long model_count(struct model *m, enum model_state s);

#endif /* _HARNESS_MODEL_H */
