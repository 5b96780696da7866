/* SPDX-License-Identifier: GPL-2.0-only */
/* What the suites share: an instance on a private fake region, log, contexts. See helpers.c. */
#ifndef _KMM_KUNIT_HELPERS_H
#define _KMM_KUNIT_HELPERS_H

#include <kunit/test.h>
#include <linux/prandom.h>

#include <kmm/buddy.h>
#include <kmm/kfence.h>
#include <kmm/pgtable.h>
#include <kmm/region.h>
#include <kmm/slab.h>
#include <kmm/vmap.h>

/* Module parameters, see kunit_main.c. */
extern unsigned long kmm_test_seed;
extern unsigned long kmm_test_nr_ops;
extern unsigned long kmm_test_nr_switches;
extern unsigned long kmm_test_nr_nmis;
extern bool kmm_test_kasan;

/* Never sleeps, never warns, gets the last frame. */
#define KMM_GRAB	(__GFP_MEMALLOC | __GFP_NOWARN)
#define KMM_QUIET	(GFP_KERNEL | __GFP_NOWARN)

#define KMM_TEST_BLOCKS	8

/**
 * struct kmm_test_piece - a run of frames that the fake provider reports
 * @block: number of the host block of 4 MiB that it lies in
 * @first: first frame of it in that block
 * @nr: frames
 */
struct kmm_test_piece {
	unsigned int block;
	unsigned int first;
	unsigned int nr;
};

/**
 * struct kmm_test_layout - what the fake provider takes and reports
 * @name: for messages
 * @nr_blocks: host blocks of 4 MiB, each naturally aligned: one granule each
 * @nr_pieces: entries of @piece; the order in which they are reported
 * @piece: the extents; they do not span blocks
 */
struct kmm_test_layout {
	const char *name;
	unsigned int nr_blocks;
	unsigned int nr_pieces;
	struct kmm_test_piece piece[10];
};

/* 4 granules, whole. */
extern const struct kmm_test_layout kmm_layout_plain;
/* One granule: addresses without a gap, and soon used up. */
extern const struct kmm_test_layout kmm_layout_one;
/* 1 MiB aligned head, odd tail, gaps, several extents in one granule. */
extern const struct kmm_test_layout kmm_layout_odd;

/**
 * struct kmm_test - one instance on a fake region
 * @region: what is tested
 * @buddy: what is tested
 * @slab: what is tested, on @buddy
 * @kfence: what is tested, beside @slab
 * @tables: what is tested, on @buddy
 * @window: what is tested, on @region
 * @vmap: what is tested, on a window of its own; NULL: none
 * @layout: immutable
 * @host: first page of each host block, lowest first
 * @released: frames that release() got
 * @releases: calls of release()
 * @fail_release: release() saw something wrong
 * @has_region: @region is to be given back
 * @has_buddy: @buddy is to be given back
 * @has_slab: @slab is to be given back
 * @has_window: @window is to be given back
 * @initial: free blocks by order after init
 */
struct kmm_test {
	struct kmm_region region;
	struct kmm_buddy buddy;
	struct kmm_slab slab;
	struct kmm_kfence kfence;
	struct kmm_pgtables tables;
	struct kmm_window window;
	struct kmm_vmap *vmap;
	const struct kmm_test_layout *layout;
	struct page *host[KMM_TEST_BLOCKS];
	unsigned long released;
	unsigned int releases;
	bool fail_release;
	bool has_region;
	bool has_buddy;
	bool has_slab;
	bool has_window;
	unsigned long initial[KMM_NR_ORDERS];
};

extern const struct kmm_region_ops kmm_fake_provider;

extern struct kunit_suite kmm_inject_suite;
extern struct kunit_suite kmm_debug_objects_suite;
extern struct kunit_suite kmm_region_suite;
extern struct kunit_suite kmm_page_ext_suite;
extern struct kunit_suite kmm_stack_depot_suite;
extern struct kunit_suite kmm_page_owner_suite;
extern struct kunit_suite kmm_buddy_suite;
extern struct kunit_suite kmm_buddy_load_suite;
extern struct kunit_suite kmm_slab_suite;
extern struct kunit_suite kmm_slab_load_suite;
extern struct kunit_suite kmm_hardening_suite;
extern struct kunit_suite kmm_page_table_check_suite;
extern struct kunit_suite kmm_kfence_suite;
extern struct kunit_suite kmm_object_suite;
extern struct kunit_suite kmm_dmabuf_suite;
extern struct kunit_suite kmm_names_suite;
extern struct kunit_suite kmm_space_suite;
extern struct kunit_suite kmm_msgq_suite;
extern struct kunit_suite kmm_pipe_suite;
extern struct kunit_suite kmm_swap_suite;
extern struct kunit_suite kmm_evict_suite;
extern struct kunit_suite kmm_reclaim_suite;
extern struct kunit_suite kmm_swapin_suite;
extern struct kunit_suite kmm_replay_suite;
extern struct kunit_suite kmm_pgtable_suite;
extern struct kunit_suite kmm_window_suite;
extern struct kunit_suite kmm_mmu_suite;
extern struct kunit_suite kmm_vmap_suite;
extern struct kunit_suite kmm_vmap_load_suite;
extern struct kunit_suite kmm_kmemleak_suite;
extern struct kunit_suite kmm_host_tools_suite;

struct kmm_test *kmm_test_create(struct kunit *test, const struct kmm_test_layout *layout);
int kmm_test_start_region(struct kmm_test *t);
int kmm_test_start(struct kmm_test *t);
void kmm_test_free_host(struct kmm_test *t);
struct kmm_test *kmm_test_begin(struct kunit *test, const struct kmm_test_layout *layout);
void kmm_test_end(struct kunit *test);
int kmm_test_start_slab(struct kmm_test *t);
struct kmm_test *kmm_test_begin_slab(struct kunit *test, const struct kmm_test_layout *layout);
void kmm_test_end_slab(struct kunit *test);
struct kmm_cache *kmm_test_cache(struct kunit *test, unsigned int size, unsigned int align,
				 slab_flags_t flags, void (*ctor)(void *obj));
unsigned long kmm_test_active(struct kmm_cache *s);
unsigned long kmm_test_slabs(struct kmm_cache *s);
struct kmm_test *kmm_test_begin_tables(struct kunit *test, const struct kmm_test_layout *layout);
void kmm_test_end_tables(struct kunit *test);
struct kmm_test *kmm_test_begin_reserved(struct kunit *test, const struct kmm_test_layout *layout,
					 unsigned long nr_pages);
struct kmm_test *kmm_test_begin_window(struct kunit *test, const struct kmm_test_layout *layout,
				       unsigned long nr_pages);
struct kmm_test *kmm_test_begin_vmap(struct kunit *test, const struct kmm_test_layout *layout);
void kmm_test_end_vmap(struct kunit *test);
void kmm_test_end_reserved(struct kunit *test);
void kmm_test_end_window(struct kunit *test);
int kmm_test_read(const void *addr, unsigned long *value);
int kmm_test_write(void *addr, unsigned long value);
void kmm_test_exit(struct kunit *test);
unsigned long kmm_test_frames(const struct kmm_test *t);

void kmm_test_free_blocks(struct kmm_test *t, unsigned long *nr);
struct kmm_buddy_stat kmm_test_stat(struct kmm_test *t);
u64 kmm_test_event(struct kmm_test *t, enum kmm_buddy_event event);
unsigned long kmm_test_used(struct kmm_test *t);
unsigned long kmm_test_cached(struct kmm_test *t);
unsigned long kmm_test_free(struct kmm_test *t);
unsigned long kmm_test_quarantined(struct kmm_test *t);
unsigned long kmm_test_metadata(struct kmm_test *t);

struct page *kmm_test_alloc(struct kunit *test, gfp_t gfp, unsigned int order);
bool kmm_test_is_zero(struct page *page, unsigned int order);
void kmm_test_fill(struct page *page, u32 what);
bool kmm_test_is_filled(struct page *page, u32 what);

/* kfence_kunit.c: an access that nothing recovers. Return: only if there was none. */
int kmm_kfence_stray(const char *kind);

/* The kernel log, read back. */
u64 kmm_log_mark(void);
unsigned int kmm_log_count(u64 mark, const char *text);
void kmm_expect(const char *regex, unsigned int nr);
void kmm_expect_end(void);

/* Run @fn(@arg) in another context, and wait for it. */
enum kmm_context { KMM_TASK, KMM_IRQS_OFF, KMM_SOFTIRQ, KMM_HARDIRQ, KMM_NR_CONTEXTS };
extern const char * const kmm_context_names[KMM_NR_CONTEXTS];
void kmm_run_in(enum kmm_context context, void (*fn)(void *arg), void *arg);

/* Call @end(@arg) at the end of @len calls; two bits of @path a call: of which shape it is. */
void kmm_walk(u64 path, unsigned int len, void (*end)(void *arg), void *arg);

void kmm_stay_on_cpu(unsigned int cpu);
void kmm_go_anywhere(void);

static inline u32 kmm_below(struct rnd_state *rnd, u32 n)
{
	return prandom_u32_state(rnd) % n;
}

#endif /* _KMM_KUNIT_HELPERS_H */
