/* SPDX-License-Identifier: GPL-2.0-only */
/* struct kmm: the parts of one kmm. Only kmm_main.c includes this. */
#ifndef _KMM_CORE_H
#define _KMM_CORE_H

#include <kmm/account.h>
#include <kmm/buddy.h>
#include <kmm/dev.h>
#include <kmm/kfence.h>
#include <kmm/kmemleak.h>
#include <kmm/names.h>
#include <kmm/lru.h>
#include <kmm/msgq.h>
#include <kmm/object.h>
#include <kmm/pgtable.h>
#include <kmm/pipe.h>
#include <kmm/reclaim.h>
#include <kmm/region.h>
#include <kmm/slab.h>
#include <kmm/space.h>
#include <kmm/swap.h>
#include <kmm/vmap.h>

/* The region, the window, and the steps of DESIGN.md section 7. */
#define KMM_MAX_STEPS	24

/**
 * struct kmm - everything that lives between insmod and rmmod
 * @region: memory from the host
 * @buddy: page frames
 * @slab: object caches
 * @kfence: its guarded pool
 * @reclaim: background thread
 * @slab_shrinker: @slab's
 * @tables: page tables
 * @tables_shrinker: @tables'
 * @vmap: vmalloc; NULL without a window
 * @vmap_shrinker: @vmap's
 * @espfix: aliases of every space
 * @accounts: who pays
 * @swap: where pages go
 * @lru: which pages go
 * @objects: memory objects
 * @pipes: pipes
 * @names: of objects and queues
 * @spaces: address spaces
 * @msgqs: message queues
 * @leak: leak detector
 * @steps: of mm_init, as they went
 * @nr_steps: how many
 * @debug_cache: entries of debug/debug_objects.c; NULL: its static ones serve
 */
struct kmm {
	struct kmm_region region;
	struct kmm_buddy buddy;
	struct kmm_slab slab;
	struct kmm_kfence kfence;
	struct kmm_reclaim reclaim;
	struct kmm_shrinker slab_shrinker;
	struct kmm_pgtables tables;
	struct kmm_shrinker tables_shrinker;
	struct kmm_vmap *vmap;
	struct kmm_shrinker vmap_shrinker;
	struct kmm_espfix *espfix;
	struct kmm_accounts accounts;
	struct kmm_swap swap;
	struct kmm_lru lru;
	struct kmm_object_set objects;
	struct kmm_pipe_set pipes;
	struct kmm_names names;
	struct kmm_space_set spaces;
	struct kmm_msgq_set msgqs;
	struct kmm_leak leak;
	struct kmm_mm_init_step steps[KMM_MAX_STEPS];
	unsigned int nr_steps;
	struct kmm_cache *debug_cache;
};

#endif /* _KMM_CORE_H */
