/* SPDX-License-Identifier: GPL-2.0-only */
/* The slab allocator: objects of one size out of the buddy's frames. See slab.c. */
#ifndef _KMM_SLAB_H
#define _KMM_SLAB_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/reciprocal_div.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include <kmm/buddy.h>
#include <kmm/kmm.h>

struct dentry;
struct kmm_kfence;
struct kmm_slab;

/* Most pointers of a CPU's stack: 2 KiB. */
#define KMM_SLAB_CPU_MAX	256
/* A slab with at most this many objects has its free bits in kmm_slab.bits, else at its end. */
#define KMM_SLAB_BITS		64
#define KMM_SLAB_MAX_ORDER	3

/**
 * struct kmm_cache_cpu - one CPU's free objects: a stack
 * @nr: objects on it
 * @depth: tasks and interrupts of this CPU that are in the middle of a change, less one.
 *	Raised before @nr is read; whoever finds it above 0 goes to the slabs instead
 * @obj: obj[0] is NULL and stays so: what an empty stack gives; obj[nr] is the next to go out
 *
 * Touched by its own CPU with preemption off; by others only when that CPU is dead.
 */
struct kmm_cache_cpu {
	unsigned long nr;
	s8 depth;
	void *obj[];
};

/**
 * struct kmm_cache - objects of one size
 * @cpu: what the fast paths use: @stacks, or kmm_slab.busy while they are diverted
 * @base: first address of @map
 * @nr_map: pages that @map describes; 0 when indexes are not linear in addresses, then
 *	every free takes the slow path
 * @map: the cache that each page belongs to
 * @key: random; a free object has @key ^ address at @offset
 * @offset: of the free word in an object
 * @cap: most objects of a stack
 * @object_size: bytes that the client asked for
 * @flags: SLAB_*
 * @size: bytes from one object to the next
 * @order: of a slab's frames
 * @nr_per_slab: objects of a slab
 * @batch: objects that move between stack and depot at once: half of @cap
 * @recip: of @size
 * @align: of an object
 * @useroffset: first byte that may be copied to and from user space
 * @usersize: how many
 * @track: of the tracks in an object (SLAB_STORE_USER)
 * @hard: random order, and a bit at the slab's end for each place where an object can start,
 *	set while a client has it
 * @may_init: init_on_* may write: no constructor, RCU reader or poison to keep
 * @stacks: one for each CPU
 * @used: of the bits of @hard in a slab
 * @used_shift: one such bit stands for 2^@used_shift bytes
 * @mask: bytes of a slab less one
 * @ctor: called once for each object of a new slab; NULL: none
 * @name: for people; owned by the cache
 * @slab: the instance
 * @debugfs_dir: of whoever set the instance's @cache_added
 * @node: in the instance's list; protected by its mutex
 *	All of these but @cpu are immutable after creation.
 * @lock: protects what follows, and the free bits and frame words of its slabs
 * @partial: first slab with free and used objects; linked by frame.next and .prev
 * @empty: first slab with no used object
 * @nr_partial: slabs on @partial
 * @nr_empty: slabs on @empty
 * @max_empty: above it, empty slabs go back to the buddy
 * @nr_slabs: all slabs, full ones included
 * @nr_free: free objects in slabs
 * @depot: free objects between the stacks and the slabs
 * @nr_depot: how many
 * @cap_depot: most
 * @random: state of the generator that shuffles (@hard)
 * @rcu: frees @rcu_list after a grace period (SLAB_TYPESAFE_BY_RCU)
 * @rcu_next: slabs that wait for the next grace period, linked by frame.next
 * @rcu_wait: slabs that wait for the current one
 * @rcu_busy: a grace period is on its way
 */
struct kmm_cache {
	struct kmm_cache_cpu __percpu *cpu;
	unsigned long base;
	unsigned long nr_map;
	struct kmm_cache **map;
	unsigned long key;
	unsigned long offset;
	unsigned long cap;
	unsigned int object_size;
	slab_flags_t flags;
	unsigned int size;
	unsigned int order;
	unsigned int nr_per_slab;
	unsigned int batch;
	struct reciprocal_value recip;
	unsigned int align;
	unsigned int useroffset;
	unsigned int usersize;
	unsigned int track;
	bool hard;
	bool may_init;
	u8 used_shift;
	unsigned int used;
	unsigned long mask;
	void (*ctor)(void *obj);
	const char *name;
	struct kmm_cache_cpu __percpu *stacks;
	struct kmm_slab *slab;
	struct dentry *debugfs_dir;
	struct list_head node;

	raw_spinlock_t lock ____cacheline_aligned;
	u32 partial;
	u32 empty;
	unsigned int nr_partial;
	unsigned int nr_empty;
	unsigned int max_empty;
	unsigned long nr_slabs;
	unsigned long nr_free;
	void **depot;
	unsigned int nr_depot;
	unsigned int cap_depot;
	u64 random;

	struct rcu_head rcu;
	u32 rcu_next;
	u32 rcu_wait;
	bool rcu_busy;
};

/* kmalloc's classes: 8, 16, 32, 64, 96, 128, 192, 256, 512, 1k, 2k, 4k, 8k. */
#define KMM_KMALLOC_MAX_CACHE	8192

/**
 * struct kmm_slab - a slab allocator on a buddy
 * @region: of @buddy; immutable
 * @buddy: where slabs come from; immutable
 * @busy: stacks without an object that are always busy, for kmm_slab_divert()
 * @kfence: pool that samples allocations; NULL: none. Set before the first of them
 * @cache_of: the cache of each frame, by index; NULL: no slab. Written under that cache's lock
 * @bits: free objects of a slab, by index of its first frame, if there are at most
 *	KMM_SLAB_BITS. Protected by that cache's lock
 * @base: address of the first frame of index 0; immutable
 * @nr_map: frames that @base and @cache_of map linearly; 0 when there are gaps; immutable
 * @large: stands in @cache_of for kmalloc blocks that come from the buddy
 * @boot: the cache of struct kmm_cache while it cannot live in itself
 * @caches: the cache of struct kmm_cache; it lives in itself
 * @kmalloc: by kmm_kmalloc_index()
 * @mutex: protects @list; taken before any cache's lock
 * @list: all caches
 * @cpuhp: in the list of instances whose dead CPUs are drained
 * @nr_bad: frees that were refused
 * @cache_added: told of a new cache, in its creator's context, without a lock; or NULL
 * @cache_gone: told of a cache without objects that is off the list, before it is freed; or NULL.
 *	Both are set while nobody creates or destroys caches
 */
struct kmm_slab {
	struct kmm_region *region;
	struct kmm_buddy *buddy;
	struct kmm_cache_cpu __percpu *busy;
	struct kmm_kfence *kfence;
	struct kmm_cache **cache_of;
	u64 *bits;
	unsigned long base;
	unsigned long nr_map;
	struct kmm_cache large;
	struct kmm_cache boot;
	struct kmm_cache *caches;
	struct kmm_cache *kmalloc[KMM_KMALLOC_NR];
	struct mutex mutex;
	struct list_head list;
	struct hlist_node cpuhp;
	atomic_long_t nr_bad;
	void (*cache_added)(struct kmm_cache *s);
	void (*cache_gone)(struct kmm_cache *s);
};

/**
 * struct kmm_cache_stat - slabinfo's columns
 * @nr_active: objects that clients hold; exact when nobody works on the cache
 * @nr_objects: objects of all slabs
 * @nr_slabs: slabs
 * @nr_active_slabs: slabs with an object that is not in the slab
 * @nr_stacked: free objects in CPUs' stacks
 * @nr_depot: free objects in the depot
 */
struct kmm_cache_stat {
	unsigned long nr_active;
	unsigned long nr_objects;
	unsigned long nr_slabs;
	unsigned long nr_active_slabs;
	unsigned long nr_stacked;
	unsigned long nr_depot;
};

/**
 * struct kmm_cache_args - what kmm_slab_cache_create() is to make
 * @name: copied
 * @size: bytes of an object, 1 .. KMM_KMALLOC_MAX_CACHE
 * @align: power of two or 0
 * @flags: SLAB_*
 * @useroffset: first byte that user copies may touch
 * @usersize: how many
 * @ctor: or NULL
 */
struct kmm_cache_args {
	const char *name;
	unsigned int size;
	unsigned int align;
	slab_flags_t flags;
	unsigned int useroffset;
	unsigned int usersize;
	void (*ctor)(void *obj);
};

/**
 * struct kmm_stray - an object that is in no slab, see kmm_hook_object_instead()
 * @cache: of it; NULL: there is none, or its cache is destroyed
 * @start: first byte
 * @size: bytes that the client asked for
 * @live: a client has it
 */
struct kmm_stray {
	const struct kmm_cache *cache;
	const void *start;
	size_t size;
	bool live;
};

int kmm_slab_reserve(struct kmm_slab *sl, struct kmm_region *r);
int kmm_slab_init(struct kmm_slab *sl, struct kmm_buddy *b);
void kmm_slab_fini(struct kmm_slab *sl);

struct kmm_cache *kmm_slab_cache_create(struct kmm_slab *sl, const struct kmm_cache_args *args);
int kmm_slab_cache_destroy(struct kmm_cache *s);
struct kmm_cache *kmm_slab_cache_of(const struct kmm_slab *sl, const void *p);
void *kmm_slab_object_start(const struct kmm_cache *s, const void *p);
bool kmm_slab_object_is_free(const struct kmm_cache *s, const void *obj);
unsigned long kmm_slab_cache_shrink(struct kmm_cache *s);
unsigned long kmm_slab_shrink(struct kmm_slab *sl);
void kmm_slab_divert(struct kmm_slab *sl);
bool kmm_slab_usercopy_ok(const struct kmm_slab *sl, const void *p, size_t n);
void kmm_slab_stat(struct kmm_cache *s, struct kmm_cache_stat *st);
unsigned long kmm_slab_check(struct kmm_cache *s);
void kmm_slab_for_each_used(struct kmm_slab *sl,
			    void (*fn)(void *ctx, const void *p, size_t size_bytes), void *ctx);
void *kmm_slab_kmalloc(struct kmm_slab *sl, size_t size, gfp_t gfp);
void kmm_slab_kfree(struct kmm_slab *sl, const void *p);
size_t kmm_slab_ksize(const struct kmm_slab *sl, const void *p);
void *kmm_slab_krealloc(struct kmm_slab *sl, const void *p, size_t new_size, gfp_t gfp);

/* The instance that serves kmm_kmalloc() and its like; NULL: none. */
void kmm_slab_set_client(struct kmm_slab *sl);

int kmm_slab_setup(void);
void kmm_slab_teardown(void);

#endif /* _KMM_SLAB_H */
