/* SPDX-License-Identifier: GPL-2.0-only */
/* Sampled guarded pool of objects, after the kernel's KFENCE. See debug/kfence.c. */
#ifndef _KMM_KFENCE_H
#define _KMM_KFENCE_H

#include <linux/atomic.h>
#include <linux/irq_work.h>
#include <linux/jump_label.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include <kmm/pgtable.h>

struct kmm_buddy;
struct kmm_cache;
struct kmm_slab;
struct kmm_stray;
struct pt_regs;
struct seq_file;

/* As CONFIG_KFENCE_NUM_OBJECTS. */
#define KMM_KFENCE_DEFAULT_OBJECTS	255
/* No more than this share of the region's frames. */
#define KMM_KFENCE_REGION_SHARE		8
/* Longest interval, ms: a week. */
#define KMM_KFENCE_MAX_INTERVAL		604800000UL

/* Stack entries that are kept. */
#define KMM_KFENCE_STACK_DEPTH	64

/* Eight canary bytes, as the kernel's: 0xaa ^ (address & 7); and the one at @addr. */
#define KMM_KFENCE_CANARY_WORD	0xadacafaea9a8abaaULL
#define KMM_KFENCE_CANARY(addr)	((u8)(0xaa ^ ((unsigned long)(addr) & 7)))

enum kmm_kfence_state {
	KMM_KFENCE_UNUSED,	/* never given out; nothing is mapped */
	KMM_KFENCE_ALLOCATED,	/* a client has it */
	KMM_KFENCE_RCU_FREEING,	/* freed, readers may still look (SLAB_TYPESAFE_BY_RCU) */
	KMM_KFENCE_FREED,	/* freed; nothing is mapped */
};

enum kmm_kfence_error {
	KMM_KFENCE_OOB,			/* a guard page was touched */
	KMM_KFENCE_UAF,			/* the page of a freed object was touched */
	KMM_KFENCE_CORRUPTION,		/* a canary was found changed */
	KMM_KFENCE_INVALID,		/* an access that belongs to no object */
	KMM_KFENCE_INVALID_FREE,	/* double free, or not the start of an object */
};

/* Rows of debugfs stats; the names are the kernel's, in kmm_kfence_counter_names[]. */
enum kmm_kfence_counter {
	KMM_KFENCE_NR_ALLOCATED,
	KMM_KFENCE_NR_ALLOCS,
	KMM_KFENCE_NR_FREES,
	KMM_KFENCE_NR_ZOMBIES,
	KMM_KFENCE_NR_BUGS,
	KMM_KFENCE_NR_SKIP_INCOMPAT,
	KMM_KFENCE_NR_SKIP_CAPACITY,
	KMM_KFENCE_NR_SKIP_COVERED,
	KMM_KFENCE_NR_COUNTERS
};

extern const char * const kmm_kfence_counter_names[KMM_KFENCE_NR_COUNTERS];

/**
 * struct kmm_kfence_track - who allocated, or freed, an object
 * @pid: task
 * @cpu: where
 * @ts_nsec: when, by the clock of printk
 * @nr: entries of @stack
 * @stack: from the allocator on
 */
struct kmm_kfence_track {
	pid_t pid;
	int cpu;
	u64 ts_nsec;
	unsigned int nr;
	unsigned long stack[KMM_KFENCE_STACK_DEPTH];
};

/**
 * struct kmm_kfence_object - a page of the pool
 * @list: in the pool's list of free ones; protected by its @list_lock
 * @rcu: for a free that waits for readers
 * @page: behind it; immutable
 * @lock: protects what follows; @state and @cache are also read without it
 * @state: enum kmm_kfence_state
 * @addr: of the object that is, or was last, in the page; the page's while unused
 * @size: bytes that the client asked for
 * @cache: of that object; NULL: none yet, or it is destroyed
 * @stack_hash: of the allocation's stack, for the filter of covered ones
 * @alloc_track: who allocated it
 * @free_track: who freed it
 */
struct kmm_kfence_object {
	struct list_head list;
	struct rcu_head rcu;
	struct page *page;
	raw_spinlock_t lock;
	enum kmm_kfence_state state;
	unsigned long addr;
	size_t size;
	struct kmm_cache *cache;
	u32 stack_hash;
	struct kmm_kfence_track alloc_track;
	struct kmm_kfence_track free_track;
};

/**
 * struct kmm_kfence - a pool
 * @region: of @buddy
 * @buddy: frames of a pool that was not there at load
 * @set: page tables' ledger of flushes
 * @base: first address; 0: no addresses
 * @nr_pages: of addresses: two and two for each object
 * @nr_objects: pages of objects
 * @early: frames from the early allocator; NULL: they are the buddy's
 *	All of these are immutable after kmm_kfence_init().
 * @window: entries of the pool's addresses; set while @objects is
 * @objects: NULL until the pool is made; then immutable
 * @covered: counting Bloom filter of the stacks that allocated objects now in the pool
 * @covered_order: log2 of its counters
 * @seed: of the stacks' hash
 * @oops: reports stray accesses of the rest of the kernel
 * @list_lock: protects @free
 * @free: objects, the longest free first
 * @interval: milliseconds between samples; 0: off
 * @control: serialises changes of @interval and the pool's making
 * @gate: 0: the next allocation is sampled
 * @slab: the slab allocator
 * @divert: makes the next operation of each of its caches take the slow path; may sleep. Both are
 *	set before sampling starts, by whoever knows both
 * @timer: opens the gate
 * @kick: starts @timer from any context
 * @stale: a page was unmapped, other CPUs were not told yet
 * @counters: by enum kmm_kfence_counter
 */
struct kmm_kfence {
	struct kmm_region *region;
	struct kmm_buddy *buddy;
	struct kmm_pgtables *set;
	unsigned long base;
	unsigned long nr_pages;
	unsigned int nr_objects;
	void *early;

	struct kmm_window window;
	struct kmm_kfence_object *objects;
	atomic_t *covered;
	unsigned int covered_order;
	u32 seed;
	struct notifier_block oops;

	raw_spinlock_t list_lock;
	struct list_head free;

	unsigned long interval;
	struct mutex control;
	atomic_t gate;
	struct kmm_slab *slab;
	void (*divert)(struct kmm_slab *sl);
	struct delayed_work timer;
	struct irq_work kick;
	atomic_t stale;
	atomic_long_t counters[KMM_KFENCE_NR_COUNTERS];
};

/* Some pool exists. */
DECLARE_STATIC_KEY_FALSE(kmm_kfence_key);

/**
 * kmm_kfence_owns() - Is an address in a pool?
 * @kf: pool, or NULL
 * @p: any address
 *
 * Context: any. Return: true also for guard pages.
 */
static __always_inline bool kmm_kfence_owns(const struct kmm_kfence *kf, const void *p)
{
	return static_branch_unlikely(&kmm_kfence_key) && kf &&
	       (unsigned long)p - kf->base < kf->nr_pages << PAGE_SHIFT;
}

unsigned int kmm_kfence_pool_pages(unsigned int nr_objects);
void kmm_kfence_alloc_pool(struct kmm_kfence *kf, struct kmm_region *r, unsigned int nr_objects,
			   bool early);
int kmm_kfence_init(struct kmm_kfence *kf, struct kmm_buddy *b, struct kmm_pgtables *set,
		    unsigned long interval);
void kmm_kfence_stop(struct kmm_kfence *kf);
void kmm_kfence_fini(struct kmm_kfence *kf);
int kmm_kfence_set_interval(struct kmm_kfence *kf, unsigned long interval);
int kmm_kfence_sample(struct kmm_kfence *kf);
void kmm_kfence_sync(struct kmm_kfence *kf);

/* For include/kmm/hooks.h */
void *kmm_kfence_alloc(struct kmm_cache *s, size_t size, gfp_t gfp);
bool kmm_kfence_wants(const struct kmm_slab *sl);
bool kmm_kfence_free(struct kmm_slab *sl, struct kmm_cache *s, void *p);
bool kmm_kfence_find(const struct kmm_slab *sl, const void *p, struct kmm_stray *found);
unsigned int kmm_kfence_cache_live(struct kmm_cache *s, bool print);
void kmm_kfence_cache_gone(struct kmm_cache *s, bool zombies);

int kmm_kfence_read(struct kmm_kfence *kf, void *to, const void *from, size_t n);
int kmm_kfence_write(struct kmm_kfence *kf, void *to, const void *from, size_t n);
bool kmm_kfence_handle_fault(struct kmm_kfence *kf, unsigned long addr, bool is_write,
			     struct pt_regs *regs);

/* debug/kfence_report.c */
void kmm_kfence_print_object(struct seq_file *m, const struct kmm_kfence *kf,
			     const struct kmm_kfence_object *obj);
void kmm_kfence_report(const struct kmm_kfence *kf, const struct kmm_kfence_object *obj,
		       enum kmm_kfence_error error, unsigned long addr, bool is_write,
		       struct pt_regs *regs);

#endif /* _KMM_KFENCE_H */
