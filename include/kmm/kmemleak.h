/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding leaks of clients by scanning memory for pointers. See debug/kmemleak.c. */
#ifndef _KMM_KMEMLEAK_H
#define _KMM_KMEMLEAK_H

#include <linux/gfp.h>
#include <linux/jump_label.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct kmm_cache;
struct kmm_leak;
struct kmm_leak_chunk;
struct kmm_region;
struct kmm_slab;
struct page;
struct task_struct;

/* Linux's defaults. */
#define KMM_LEAK_MIN_AGE_MS	5000
#define KMM_LEAK_FIRST_SECS	60
#define KMM_LEAK_SCAN_SECS	600

/* Frames of a backtrace, as in Linux. */
#define KMM_LEAK_TRACE_MAX	16

/* min_count of an object: how many pointers to it must be found. */
#define KMM_LEAK_WHITE		1	/* reported when there is none */
#define KMM_LEAK_GRAY		0	/* never reported, but scanned */
#define KMM_LEAK_BLACK		(-1)	/* neither */

/**
 * struct kmm_leak_root - memory that is not kmm's and may hold pointers to it
 * @node: in kmm_leak.roots
 * @start: first byte; NULL: @scan tells the values
 * @size: bytes
 * @percpu: the same of a per-CPU area: @start is an offset that each CPU has
 * @scan: calls kmm_leak_value() for each pointer that it holds. Context: task, may sleep
 */
struct kmm_leak_root {
	struct list_head node;
	const void *start;
	size_t size;
	const void __percpu *percpu;
	void (*scan)(struct kmm_leak *l);
};

/**
 * struct kmm_leak_info - a copy of what is known of one object
 * @serial: in the order of allocation, from 1
 * @start: first address
 * @size: bytes
 * @jiffies: when it was allocated
 * @pid: of the task that did; 0: an interrupt
 * @min_count: KMM_LEAK_*, or how many pointers there must be
 * @count: pointers to it that the last scan found
 * @checksum: of its contents, when it was last found without a pointer
 * @flags: LEAK_*
 * @stack: handle of the stack that allocated it; 0: none
 * @comm: name of the task
 */
struct kmm_leak_info {
	u64 serial;
	unsigned long start;
	unsigned long size;
	unsigned long jiffies;
	pid_t pid;
	int min_count;
	int count;
	u32 checksum;
	u32 flags;
	u32 stack;
	char comm[TASK_COMM_LEN];
};

/**
 * struct kmm_leak_stat - what the detector costs and finds
 * @nr_objects: tracked now
 * @nr_gray: of these, never reported: early ones, cleared ones, registered ones
 * @nr_pool: unused
 * @max_objects: @nr_objects + @nr_pool is never more
 * @host_bytes: host memory of all objects
 * @nr_scans: since it was switched on
 * @nr_leaks: reported since then
 * @last_bytes: that the last scan read
 * @last_ns: that it took
 * @min_age_ms: younger ones are not reported
 * @scan_secs: between two scans of the thread; 0: there is none
 * @stack_scan: task stacks are scanned
 * @enabled: tracking
 * @why_off: why not; NULL when it was never switched on
 */
struct kmm_leak_stat {
	unsigned long nr_objects;
	unsigned long nr_gray;
	unsigned long nr_pool;
	unsigned long max_objects;
	size_t host_bytes;
	unsigned long nr_scans;
	unsigned long nr_leaks;
	u64 last_bytes;
	u64 last_ns;
	unsigned int min_age_ms;
	unsigned int scan_secs;
	bool stack_scan;
	bool enabled;
	const char *why_off;
};

/**
 * struct kmm_leak_range - addresses that a pointer may have
 * @first: lowest
 * @end: behind the highest
 */
struct kmm_leak_range {
	unsigned long first;
	unsigned long end;
};

struct kmm_leak_object;

/**
 * struct kmm_leak - a leak detector
 * @region: its frames are what is found by address or by struct page; immutable
 * @early: calls kmm_leak_track_early() for what is in use already when tracking starts; NULL:
 *	nothing is. Context: task, may sleep
 * @ctx: for @early and @flush
 * @window: kernel addresses of vmalloc; immutable
 * @pages: of struct page; immutable
 * @direct: of the region in the host's direct map; immutable
 * @wanted: tracking is to be on; protected by @mutex
 * @lock: protects all down to @mutex, and the fields of objects; a leaf
 * @enabled: tracking; read without the lock
 * @why_off: see struct kmm_leak_stat
 * @tree: objects by address
 * @objects: in the order of allocation
 * @gray: to be scanned
 * @pool: unused objects
 * @other: addresses of objects that are neither in the region nor in the window
 * @nr_objects: in @tree
 * @nr_pool: in @pool
 * @nr_all: both, and what is on its way
 * @serial: of the object that came last
 * @mutex: one scan, one reader, one switch at a time; protects what follows
 * @flush: see kmm_leak_set_flush()
 * @roots: struct kmm_leak_root
 * @chunks: host memory of the objects; also under @lock
 * @cursor: where a walk over @objects is; empty: there is none
 * @nr_walked: objects that it has seen
 * @buf: what is scanned is copied here first
 * @thread: scans from time to time, or NULL
 * @scan_jiffies: start of the last scan
 * @scan_bytes: read by the current scan
 * @stat: the rest of what is told
 * @off_work: finishes what kmm_leak_fail() began
 * @refill_work: fills @pool
 * @max_objects: at most; 0: 16 for each frame of the region
 * @min_age_ms: younger ones are not reported; points to @stat's, or to a parameter
 * @keyed: the static keys are counted
 */
struct kmm_leak {
	const struct kmm_region *region;
	void (*early)(void *ctx, struct kmm_leak *l);
	void *ctx;
	struct kmm_leak_range window;
	struct kmm_leak_range pages;
	struct kmm_leak_range direct;

	raw_spinlock_t lock;	/* a leaf; protects the tree, lists, and objects */
	bool enabled;
	const char *why_off;
	struct rb_root tree;
	struct list_head objects;
	struct list_head gray;
	struct list_head pool;
	struct kmm_leak_range other;
	unsigned long nr_objects;
	unsigned long nr_pool;
	unsigned long nr_all;
	u64 serial;

	struct mutex mutex;	/* one scan, reader or switch at a time */
	void (*flush)(void *ctx);
	struct list_head roots;
	struct kmm_leak_chunk *chunks;
	struct list_head cursor;
	unsigned int nr_walked;
	unsigned long *buf;
	struct task_struct *thread;
	unsigned long scan_jiffies;
	u64 scan_bytes;
	struct kmm_leak_stat stat;
	struct work_struct off_work;
	struct work_struct refill_work;
	unsigned long max_objects;
	const unsigned int *min_age_ms;
	bool keyed;
};

void kmm_leak_init(struct kmm_leak *l, const struct kmm_region *r);
void kmm_leak_fini(struct kmm_leak *l);
int kmm_leak_on(struct kmm_leak *l);
void kmm_leak_off(struct kmm_leak *l, const char *why);

void kmm_leak_track(struct kmm_leak *l, const void *p, size_t size, int min_count, gfp_t gfp);
void kmm_leak_track_early(struct kmm_leak *l, const void *p, size_t size);
void kmm_leak_forget(struct kmm_leak *l, const void *p, size_t size);
int kmm_leak_paint(struct kmm_leak *l, const void *p, int min_count);
int kmm_leak_no_scan(struct kmm_leak *l, const void *p);
int kmm_leak_scan_area(struct kmm_leak *l, const void *p, size_t size, gfp_t gfp);
int kmm_leak_update_trace(struct kmm_leak *l, const void *p);

void kmm_leak_add_root(struct kmm_leak *l, struct kmm_leak_root *root);
void kmm_leak_remove_root(struct kmm_leak *l, struct kmm_leak_root *root);
void kmm_leak_value(struct kmm_leak *l, unsigned long value);

int kmm_leak_scan(struct kmm_leak *l);
void kmm_leak_clear(struct kmm_leak *l);
int kmm_leak_dump(struct kmm_leak *l, unsigned long addr);
int kmm_leak_set_period(struct kmm_leak *l, unsigned int secs);
void kmm_leak_set_stack_scan(struct kmm_leak *l, bool on);
void kmm_leak_set_flush(struct kmm_leak *l, void (*flush)(void *ctx));
bool kmm_leak_next_locked(struct kmm_leak *l, u64 serial, struct kmm_leak_info *info);
void kmm_leak_get_stat(struct kmm_leak *l, struct kmm_leak_stat *st);
unsigned long kmm_leak_check(struct kmm_leak *l);

/* Hooks, see include/kmm/hooks.h. */
void kmm_leak_page_client(const struct kmm_region *r, struct page *page, unsigned int order,
			  gfp_t gfp);
void kmm_leak_page_free(const struct kmm_region *r, struct page *page, unsigned int order);
void kmm_leak_page_split(const struct kmm_region *r, struct page *page, unsigned int order);
void kmm_leak_object_alloc(const struct kmm_cache *s, const void *obj, size_t size, gfp_t gfp);
void kmm_leak_object_free(const struct kmm_cache *s, const void *obj);
void kmm_leak_object_stray(const struct kmm_slab *sl, const void *obj);
void kmm_leak_vmap_alloc(const struct kmm_region *r, const void *addr, size_t size_bytes,
			 gfp_t gfp);
void kmm_leak_vmap_free(const struct kmm_region *r, const void *addr);

/* On while any detector tracks. */
DECLARE_STATIC_KEY_FALSE(kmm_leak_key);

/* Does anybody want to know what happens to memory of @l's allocators? Any context. */
static inline bool kmm_leak_wants(const struct kmm_leak *l)
{
	return static_branch_unlikely(&kmm_leak_key) && l && READ_ONCE(l->enabled);
}

/* The detector of kmm_kmemleak_alloc() and its like; NULL: none. */
int kmm_leak_init_client(struct kmm_leak *l, const struct kmm_region *r);
void kmm_leak_set_client(struct kmm_leak *l);

#endif /* _KMM_KMEMLEAK_H */
