/* SPDX-License-Identifier: GPL-2.0-only */
/* Who has each frame, and who had it. See debug/page_owner.c. */
#ifndef _KMM_PAGE_OWNER_H
#define _KMM_PAGE_OWNER_H

#include <linux/gfp.h>
#include <linux/jump_label.h>
#include <linux/sched.h>
#include <linux/types.h>

#include <kmm/page_ext.h>

struct kmm_frame;
struct kmm_region;
struct page;

DECLARE_STATIC_KEY_FALSE(kmm_page_owner_key);

extern const struct kmm_page_ext_client kmm_page_owner_client;

/* kmm_page_owner.state */
enum kmm_page_owner_state {
	KMM_OWNER_UNKNOWN,	/* nothing happened since page_owner was switched on */
	KMM_OWNER_EARLY,	/* it was in use already when page_owner was switched on */
	KMM_OWNER_ALLOCATED,
	KMM_OWNER_FREED,
};

/**
 * struct kmm_page_owner - what is known of a block; stands in its first frame
 * @state: enum kmm_page_owner_state
 * @order: of the block
 * @gfp: what it was asked for with
 * @handle: stack of the allocation, in kmm_stacks
 * @free_handle: stack of the last free; 0: none
 * @ts_nsec: local_clock() of the allocation; while it stands in page_ext, see kmm_page_owner_get()
 * @free_ts_nsec: and of the last free; 0: none
 * @comm: the task that has it
 * @pid: of it
 * @tgid: of it
 *
 * Written by whoever takes or frees the block, who owns it at that moment; read at any time.
 */
struct kmm_page_owner {
	u32 state;
	u32 order;
	gfp_t gfp;
	u32 handle;
	u32 free_handle;
	u64 ts_nsec;
	u64 free_ts_nsec;
	char comm[TASK_COMM_LEN];
	pid_t pid;
	pid_t tgid;
};

/* The events of hooks.h. */
void kmm_page_owner_alloc(struct kmm_region *r, const struct kmm_frame *f, unsigned int order,
			  gfp_t gfp);
void kmm_page_owner_free(struct kmm_region *r, const struct kmm_frame *f);
void kmm_page_owner_split(struct kmm_region *r, struct page *page, unsigned int order);
void kmm_page_owner_print(struct kmm_region *r, struct page *page);

long kmm_page_owner_start(struct kmm_region *r);
void kmm_page_owner_stop(struct kmm_region *r);
long kmm_page_owner_init(struct kmm_region *r);
void kmm_page_owner_fini(void);
bool kmm_page_owner_wanted(void);
bool kmm_page_owner_get(const struct kmm_region *r, u32 index, struct kmm_page_owner *copy);
int kmm_page_owner_snprint(const struct kmm_region *r, u32 index, const struct kmm_page_owner *po,
			   char *buf, size_t size_bytes);

#endif /* _KMM_PAGE_OWNER_H */
