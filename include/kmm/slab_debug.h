/* SPDX-License-Identifier: GPL-2.0-only */
/* Red zones, poison and owners of objects. See debug/slab_debug.c. */
#ifndef _KMM_SLAB_DEBUG_H
#define _KMM_SLAB_DEBUG_H

#include <linux/slab.h>
#include <linux/types.h>

struct kmm_cache;

#define KMM_SLAB_DEBUG_FLAGS	(SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER)

#define KMM_TRACK_DEPTH		12

/**
 * struct kmm_track - who last allocated, or freed, an object
 * @addr: the caller
 * @when: jiffies
 * @pid: of the task
 * @cpu: where
 * @nr: entries of @stack
 * @stack: from the caller on
 */
struct kmm_track {
	unsigned long addr;
	unsigned long when;
	int pid;
	u16 cpu;
	u16 nr;
	unsigned long stack[KMM_TRACK_DEPTH];
};

enum kmm_track_kind { KMM_TRACK_ALLOC, KMM_TRACK_FREE, KMM_NR_TRACKS };

void kmm_slab_debug_init(const struct kmm_cache *s, void *obj);
bool kmm_slab_debug_alloc(const struct kmm_cache *s, void *obj, unsigned long ip);
bool kmm_slab_debug_free(const struct kmm_cache *s, void *obj, unsigned long ip);
const struct kmm_track *kmm_slab_debug_track(const struct kmm_cache *s, const void *obj,
					     enum kmm_track_kind kind);
void kmm_slab_debug_print_tracks(const struct kmm_cache *s, const void *obj);

#endif /* _KMM_SLAB_DEBUG_H */
