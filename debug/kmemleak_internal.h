/* SPDX-License-Identifier: GPL-2.0-only */
/* What debug/kmemleak.c and debug/kmemleak_scan.c share. The essay is in kmemleak.c. */
#ifndef _KMM_KMEMLEAK_INTERNAL_H
#define _KMM_KMEMLEAK_INTERNAL_H

#include <linux/bits.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/rbtree.h>

#include <kmm/kmemleak.h>

/* kmm_leak_info.flags */
enum {
	LEAK_REPORTED	= BIT(0),	/* found by a scan, not cleared since */
	LEAK_NO_SCAN	= BIT(1),
	LEAK_FULL_SCAN	= BIT(2),	/* there was no memory for a scan area */
	LEAK_EARLY	= BIT(3),	/* in use before tracking began */
};

/**
 * struct kmm_leak_area - the part of an object that is scanned
 * @next: of the same object
 * @start: first address
 * @size: bytes
 */
struct kmm_leak_area {
	struct kmm_leak_area *next;
	unsigned long start;
	unsigned long size;
};

/**
 * struct kmm_leak_object - what is known of a piece of memory
 * @rb: in the tree
 * @node: in kmm_leak.objects or .pool
 * @gray: in kmm_leak.gray; empty: in no list
 * @areas: only these are scanned; NULL: all of it
 * @info: what can be told of it; serial 0: unused
 */
struct kmm_leak_object {
	struct rb_node rb;
	struct list_head node;
	struct list_head gray;
	struct kmm_leak_area *areas;
	struct kmm_leak_info info;
};

/* Bytes that are copied and looked at together. */
#define LEAK_BUF_BYTES		PAGE_SIZE

static inline bool kmm_leak_in(const struct kmm_leak_range *r, unsigned long value)
{
	return value - r->first < r->end - r->first;
}

/* kmemleak.c */
struct kmm_leak_object *kmm_leak_find_locked(struct kmm_leak *l, unsigned long addr);

/* kmemleak_scan.c */
struct kmm_leak_object *kmm_leak_walk_next(struct kmm_leak *l, unsigned long *flags);
bool kmm_leak_is_unreferenced(const struct kmm_leak *l, const struct kmm_leak_object *o);
int kmm_leak_thread_start_locked(struct kmm_leak *l);
void kmm_leak_thread_stop_locked(struct kmm_leak *l);

/* A walk ends before the last object. @l->lock is held. */
static inline void kmm_leak_walk_end(struct kmm_leak *l)
{
	list_del_init(&l->cursor);
}

#endif /* _KMM_KMEMLEAK_INTERNAL_H */
