/* SPDX-License-Identifier: GPL-2.0-only */
/* Who has each frame, and who had it. See debug/page_owner.c. */
#ifndef _KMM_PAGE_OWNER_H
#define _KMM_PAGE_OWNER_H

#include <linux/gfp.h>
#include <linux/jump_label.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/tsc.h>

#include <kmm/page_ext.h>
#include <kmm/region.h>
#include <kmm/stack_depot.h>

struct page;

DECLARE_STATIC_KEY_FALSE(kmm_page_owner_key);
DECLARE_STATIC_KEY_FALSE(kmm_page_owner_tsc_key);

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

/*
 * local_clock() is 40 instructions, the counter that it reads one: if the counter is good enough
 * for the kernel, records have it raw.
 */
static __always_inline u64 kmm_page_owner_clock(void)
{
	return static_branch_likely(&kmm_page_owner_tsc_key) ? rdtsc() : local_clock();
}

/* Who has it: the task that runs. */
static __always_inline void kmm_page_owner_set_task(struct kmm_page_owner *po, u64 clock)
{
	const struct task_struct *task = current;
	pid_t pid = task->pid, tgid = task->tgid;

	po->pid = pid;
	po->tgid = tgid;
	memcpy(po->comm, task->comm, sizeof(po->comm));
	po->ts_nsec = clock;
}

static __always_inline void kmm_page_owner_set_allocated(struct kmm_page_owner *po, u32 handle,
							 unsigned int order, gfp_t gfp,
							 u64 clock)
{
	po->handle = handle;
	po->order = order;
	po->gfp = gfp;
	kmm_page_owner_set_task(po, clock);
	WRITE_ONCE(po->state, KMM_OWNER_ALLOCATED);
}

static __always_inline void kmm_page_owner_set_freed(struct kmm_page_owner *po, u32 handle,
						     u64 clock)
{
	po->free_handle = handle;
	po->free_ts_nsec = clock;
	WRITE_ONCE(po->state, KMM_OWNER_FREED);
}

/* Is it a stack that the depot remembers, so that the short forms can be used? */
static __always_inline bool kmm_page_owner_recall(const unsigned long *slot, u32 *handle)
{
	return static_branch_likely(&kmm_page_owner_tsc_key) &&
	       likely(kmm_depot_recall(&kmm_stacks, slot, handle));
}

/* kmm_page_owner_alloc() and kmm_page_owner_free() without a call. */
static __always_inline void kmm_page_owner_alloc_short(struct kmm_region *r,
						       const struct kmm_frame *f,
						       unsigned int order, gfp_t gfp, u32 handle)
{
	unsigned long on = READ_ONCE(r->ext.on[KMM_PAGE_EXT_OWNER]);

	if (likely(on))
		kmm_page_owner_set_allocated(kmm_page_ext_add(&r->ext, on, f), handle, order, gfp,
					     rdtsc());
}

static __always_inline void kmm_page_owner_free_short(struct kmm_region *r,
						      const struct kmm_frame *f, u32 handle)
{
	unsigned long on = READ_ONCE(r->ext.on[KMM_PAGE_EXT_OWNER]);

	if (likely(on))
		kmm_page_owner_set_freed(kmm_page_ext_add(&r->ext, on, f), handle, rdtsc());
}

/* The events of hooks.h. */
void kmm_page_owner_alloc(struct kmm_region *r, const struct kmm_frame *f, unsigned int order,
			  gfp_t gfp, const unsigned long *slot);
void kmm_page_owner_free(struct kmm_region *r, const struct kmm_frame *f,
			 const unsigned long *slot);
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
