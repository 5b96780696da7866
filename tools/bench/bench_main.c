// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: kmm_bench.ko, kmm's allocators against the host's
 *
 * Every workload is one body of code that is compiled three times: with the host's
 * functions, with kmm's, and with functions that do nothing. The calls are direct, so
 * no side pays for an indirect call, and all sides get the same gfp flags. A row is measured
 * in rounds; a round times each side once, one after the other. The cost of a side is its
 * fastest round minus the fastest round of the empty side, per operation. Rows whose work is put
 * off and done by others (bench_vmap.c) take the mean of all rounds of a side instead.
 *
 * Under "qemu -icount shift=0,sleep=off" with one CPU a nanosecond of ktime_get_ns() is
 * one instruction. A round is kept shorter than a timer tick, so that the fastest of many
 * rounds has no tick in it; then two boots give the same digits. Elsewhere the unit
 * is real nanoseconds.
 *
 * Zeroing: if the host zeroes each page by itself (init_on_alloc), both sides are
 * asked for __GFP_ZERO, so that both zero once. What was in force is in the file "config".
 *
 * debugfs kmm_bench/
 *   run      write "rows", "row NAME", "threads SIDE N BURST", "objects SIDE N BURST",
 *            "pass SIDE" or "live N"; the write returns when the measurement is done
 *   results  one line per measurement, blank-separated, cleared by opening "run" with
 *            O_TRUNC (the shell's >; >> keeps them):
 *              row NAME HOST KMM UNIT        cost per operation, three decimals; "-": no such
 *              threads SIDE N BURST OPS NS   operations of N threads in NS nanoseconds
 *              objects SIDE N BURST OPS NS   the same with 64-byte objects
 *              pass SIDE 2 0 OPS NS          objects allocated on one CPU, freed on another
 *   config   one line per setting that has influence
 *
 * The thread workload is for contention: each thread, bound to its CPU, allocates a burst of
 * 1 to BURST single pages and frees them, over and over; an allocation or a free is one
 * operation. Bursts of up to 256 fit into a per-CPU cache, those of up to 2048 do not.
 * "pass" hands objects from a thread that allocates to one on another CPU that frees, through
 * a ring. "live N" holds N objects of 64 bytes on both sides until the next "live".
 *
 * Locks: bench_lock serialises runs and readers of the results. A row holds no lock
 * of the allocators and leaves nothing allocated, also when an allocation fails.
 *
 * Not here: anything that user space can measure (tools/bench/fault_bench.c), and the
 * targets, which are in tools/bench/targets.
 */

#include <linux/cpu.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/utsname.h>

#include <compat/compat.h>
#include <kmm/kmm.h>

#include "bench.h"

/* === Data === */

static const char * const bench_side_names[BENCH_NR_SIDES] = { "none", "host", "kmm" };

/* What threads do; BENCH_TAKE frees what a BENCH_MAKE thread allocates. */
enum bench_work { BENCH_PAGES, BENCH_OBJECTS, BENCH_MAKE, BENCH_TAKE };

static const char * const bench_work_names[] = { "threads", "objects", "pass" };

/* Rounds of a row: enough that one of them meets no tick and no other interrupt. */
#define BENCH_ROUNDS	24
/* Pages of the largest burst. */
#define BENCH_BURST	256
/* The same for threads: four times what a per-CPU cache of kmm holds at most. */
#define BENCH_THREAD_BURST	2048
/* Milliseconds of a thread measurement. */
#define BENCH_THREADS_MS	120

/**
 * struct bench_result - one line of "results"
 * @row: the row; NULL for a thread measurement
 * @cost: thousandths of a nanosecond per operation, by side (rows)
 * @side: who ran (threads)
 * @work: what they did (threads)
 * @nr_threads: how many (threads)
 * @burst: most pages of a burst (threads)
 * @ops: operations of all threads together (threads)
 * @ns: how long (threads)
 */
struct bench_result {
	const struct bench_row *row;
	u64 cost[BENCH_NR_SIDES];
	enum bench_side side;
	enum bench_work work;
	unsigned int nr_threads;
	unsigned int burst;
	u64 ops;
	u64 ns;
};

#define BENCH_MAX_RESULTS	256

static DEFINE_MUTEX(bench_lock);
static struct bench_result bench_results[BENCH_MAX_RESULTS];	/* protected by bench_lock */
static unsigned int bench_nr_results;				/* protected by bench_lock */
static struct page *bench_pages[BENCH_BURST];			/* protected by bench_lock */
static struct dentry *bench_dir;				/* immutable after init */
gfp_t bench_gfp;						/* immutable after init */

/* === The sides === */

typedef struct page *(*bench_alloc_fn)(gfp_t gfp, unsigned int order);
typedef void (*bench_free_fn)(struct page *page, unsigned int order);

static __always_inline struct page *host_alloc(gfp_t gfp, unsigned int order)
{
	return alloc_pages(gfp, order);
}

static __always_inline void host_free(struct page *page, unsigned int order)
{
	__free_pages(page, order);
}

static __always_inline struct page *kmm_alloc(gfp_t gfp, unsigned int order)
{
	return kmm_alloc_pages(gfp, order);
}

static __always_inline void kmm_free(struct page *page, unsigned int order)
{
	__kmm_free_pages(page, order);
}

/* Something that is not NULL and that the compiler knows nothing about. */
static __always_inline struct page *none_alloc(gfp_t gfp, unsigned int order)
{
	struct page *page = (struct page *)bench_pages;

	OPTIMIZER_HIDE_VAR(page);
	return page;
}

static __always_inline void none_free(struct page *page, unsigned int order)
{
	OPTIMIZER_HIDE_VAR(page);
}

/* === Workloads === */

static __always_inline bool page_pair(bench_alloc_fn alloc, bench_free_fn free,
				      unsigned int calls, unsigned int order)
{
	while (calls--) {
		struct page *page = alloc(bench_gfp, order);

		if (unlikely(!page))
			return false;
		free(page, order);
	}
	return true;
}

/* Allocate @nr pages, free them in the same order. */
static __always_inline bool page_burst_once(bench_alloc_fn alloc, bench_free_fn free,
					    struct page **pages, unsigned int nr)
{
	unsigned int i, got;

	for (got = 0; got < nr; got++) {
		pages[got] = alloc(bench_gfp, 0);
		if (unlikely(!pages[got]))
			break;
	}
	for (i = 0; i < got; i++)
		free(pages[i], 0);
	return got == nr;
}

static __always_inline bool page_burst(bench_alloc_fn alloc, bench_free_fn free,
				       unsigned int calls, unsigned int nr)
{
	while (calls--) {
		if (!page_burst_once(alloc, free, bench_pages, nr))
			return false;
	}
	return true;
}

#define BENCH_WORKLOAD(name, body, arg)							\
static noinline bool name##_none(unsigned int n) { return body(none_alloc, none_free, n, arg); } \
static noinline bool name##_host(unsigned int n) { return body(host_alloc, host_free, n, arg); } \
static noinline bool name##_kmm(unsigned int n) { return body(kmm_alloc, kmm_free, n, arg); }

BENCH_WORKLOAD(page_o0_pair, page_pair, 0)
BENCH_WORKLOAD(page_o0_burst256, page_burst, BENCH_BURST)
BENCH_WORKLOAD(page_o3_pair, page_pair, 3)
BENCH_WORKLOAD(page_o9_pair, page_pair, 9)

/* === Objects: the same with caches, which exist once per side === */

/* Sizes that rows use; index into bench_caches. */
enum bench_size { BENCH_64, BENCH_1K, BENCH_4K, BENCH_NR_SIZES };

static const unsigned int bench_sizes[BENCH_NR_SIZES] = { 64, 1024, 4096 };
static const char * const bench_names[BENCH_NR_SIZES] = { "bench-64", "bench-1k", "bench-4k" };
static struct kmem_cache *bench_host_cache[BENCH_NR_SIZES];	/* immutable after init */
static struct kmm_cache *bench_kmm_cache[BENCH_NR_SIZES];	/* immutable after init */

/* Objects of the shuffled row; as many as SLUB and kmm must both keep outside of a CPU's reach. */
#define BENCH_SHUFFLE	1000
/* Any number without a common factor: i * 619 % 1000 goes through all of them. */
#define BENCH_STRIDE	619

static void *bench_objects[BENCH_SHUFFLE];			/* protected by bench_lock */

static __always_inline void *host_get(enum bench_size z)
{
	return kmem_cache_alloc(bench_host_cache[z], bench_gfp);
}

static __always_inline void host_put(enum bench_size z, void *obj)
{
	kmem_cache_free(bench_host_cache[z], obj);
}

static __always_inline void *kmm_get(enum bench_size z)
{
	return kmm_cache_alloc(bench_kmm_cache[z], bench_gfp);
}

static __always_inline void kmm_put(enum bench_size z, void *obj)
{
	kmm_cache_free(bench_kmm_cache[z], obj);
}

static __always_inline void *none_get(enum bench_size z)
{
	void *obj = bench_objects;

	OPTIMIZER_HIDE_VAR(obj);
	return obj;
}

static __always_inline void none_put(enum bench_size z, void *obj)
{
	OPTIMIZER_HIDE_VAR(obj);
}

typedef void *(*bench_object_fn)(enum bench_size z);
typedef void (*bench_put_object_fn)(enum bench_size z, void *obj);

static __always_inline bool object_pair(bench_object_fn get, bench_put_object_fn put,
					unsigned int calls, enum bench_size z)
{
	while (calls--) {
		void *obj = get(z);

		if (unlikely(!obj))
			return false;
		put(z, obj);
	}
	return true;
}

/* Allocate @nr objects, free them @stride apart. */
static __always_inline bool object_burst(bench_object_fn get, bench_put_object_fn put,
					 unsigned int calls, unsigned int nr, unsigned int stride)
{
	unsigned int i, j, got;

	while (calls--) {
		for (got = 0; got < nr; got++) {
			bench_objects[got] = get(BENCH_64);
			if (unlikely(!bench_objects[got]))
				break;
		}
		if (unlikely(got != nr)) {
			while (got--)
				put(BENCH_64, bench_objects[got]);
			return false;
		}
		for (i = 0, j = 0; i < nr; i++) {
			put(BENCH_64, bench_objects[j]);
			j += stride;
			if (j >= nr)
				j -= nr;
		}
	}
	return true;
}

static __always_inline bool object_burst256(bench_object_fn get, bench_put_object_fn put,
					    unsigned int calls, enum bench_size z)
{
	return object_burst(get, put, calls, BENCH_BURST, 1);
}

static __always_inline bool object_shuffle(bench_object_fn get, bench_put_object_fn put,
					   unsigned int calls, enum bench_size z)
{
	return object_burst(get, put, calls, BENCH_SHUFFLE, BENCH_STRIDE);
}

#define BENCH_OBJECTS(name, body, z)							\
static noinline bool name##_none(unsigned int n) { return body(none_get, none_put, n, z); } \
static noinline bool name##_host(unsigned int n) { return body(host_get, host_put, n, z); } \
static noinline bool name##_kmm(unsigned int n) { return body(kmm_get, kmm_put, n, z); }

BENCH_OBJECTS(cache64_pair, object_pair, BENCH_64)
BENCH_OBJECTS(cache1k_pair, object_pair, BENCH_1K)
BENCH_OBJECTS(cache4k_pair, object_pair, BENCH_4K)
BENCH_OBJECTS(cache64_burst256, object_burst256, BENCH_64)
BENCH_OBJECTS(cache64_shuffle1000, object_shuffle, BENCH_64)

static noinline bool kmalloc64_pair_none(unsigned int n)
{
	return cache64_pair_none(n);
}

static noinline bool kmalloc64_pair_host(unsigned int n)
{
	while (n--) {
		void *obj = kmalloc(64, bench_gfp);

		if (unlikely(!obj))
			return false;
		kfree(obj);
	}
	return true;
}

static noinline bool kmalloc64_pair_kmm(unsigned int n)
{
	while (n--) {
		void *obj = kmm_kmalloc(64, bench_gfp);

		if (unlikely(!obj))
			return false;
		kmm_kfree(obj);
	}
	return true;
}

static noinline bool cache64_bulk256_none(unsigned int n)
{
	while (n--)
		OPTIMIZER_HIDE_VAR(n);
	return true;
}

static noinline bool cache64_bulk256_host(unsigned int n)
{
	struct kmem_cache *s = bench_host_cache[BENCH_64];

	while (n--) {
		if (!kmem_cache_alloc_bulk(s, bench_gfp, BENCH_BURST, bench_objects))
			return false;
		kmem_cache_free_bulk(s, BENCH_BURST, bench_objects);
	}
	return true;
}

static noinline bool cache64_bulk256_kmm(unsigned int n)
{
	struct kmm_cache *s = bench_kmm_cache[BENCH_64];

	while (n--) {
		if (!kmm_cache_alloc_bulk(s, bench_gfp, BENCH_BURST, bench_objects))
			return false;
		kmm_cache_free_bulk(s, BENCH_BURST, bench_objects);
	}
	return true;
}

static void bench_destroy_caches(void)
{
	int z;

	for (z = 0; z < BENCH_NR_SIZES; z++) {
		kmem_cache_destroy(bench_host_cache[z]);
		kmm_cache_destroy(bench_kmm_cache[z]);
	}
}

static int bench_create_caches(void)
{
	int z;

	for (z = 0; z < BENCH_NR_SIZES; z++) {
		bench_host_cache[z] = kmem_cache_create(bench_names[z], bench_sizes[z], 0, 0, NULL);
		bench_kmm_cache[z] = kmm_cache_create(bench_names[z], bench_sizes[z], 0, 0, NULL);
		if (!bench_host_cache[z] || !bench_kmm_cache[z]) {
			bench_destroy_caches();
			return -ENOMEM;
		}
	}
	return 0;
}

static const struct bench_row bench_rows[] = {
	BENCH_ROW(page_o0_pair, 1, 1600),
	BENCH_ROW(page_o0_burst256, BENCH_BURST, 6),
	BENCH_ROW(page_o3_pair, 1, 1200),
	BENCH_ROW(page_o9_pair, 1, 50),
	BENCH_ROW(cache64_pair, 1, 6000),
	BENCH_ROW(kmalloc64_pair, 1, 5000),
	BENCH_ROW(cache64_burst256, BENCH_BURST, 18),
	BENCH_ROW(cache64_bulk256, BENCH_BURST, 40),
	BENCH_ROW(cache1k_pair, 1, 6000),
	BENCH_ROW(cache4k_pair, 1, 6000),
	BENCH_ROW(cache64_shuffle1000, BENCH_SHUFFLE, 4),
	/* For the guest: with kfence off and on. Some five intervals of 100 ms under -icount. */
	{
		.name = "kfence_cache64_pair", .ops = 1, .calls = 400000, .mean = true,
		.run = { cache64_pair_none, NULL, cache64_pair_kmm },
	},
	{
		.name = "kfence_kmalloc64_pair", .ops = 1, .calls = 400000, .mean = true,
		.run = { kmalloc64_pair_none, NULL, kmalloc64_pair_kmm },
	},
};

/* === Rows === */

static bool bench_call(const struct bench_row *row, enum bench_side side)
{
	const bench_fn run = row->run[side];

	return run(row->calls);
}

/*
 * Times the sides of @row in turns into @cost, nanoseconds of one round. Round 0 fills the caches
 * and does not count.
 */
static int bench_row_fastest(const struct bench_row *row, u64 *cost)
{
	unsigned int round;
	int side;

	for (round = 0; round <= BENCH_ROUNDS; round++) {
		for (side = 0; side < BENCH_NR_SIDES; side++) {
			u64 start = ktime_get_ns(), ns;

			if (!row->run[side])
				continue;
			if (!bench_call(row, side))
				return -ENOMEM;
			ns = ktime_get_ns() - start;
			if (round == 1 || (round && ns < cost[side]))
				cost[side] = ns;
		}
		cond_resched();
	}
	return 0;
}

/* The same, but all rounds of a side in a row, with what its workers do meanwhile; their mean. */
static int bench_row_mean(const struct bench_row *row, enum bench_side side, u64 *cost)
{
	unsigned int round;
	u64 start = 0;

	for (round = 0; round <= BENCH_ROUNDS; round++) {
		if (round == 1)
			start = ktime_get_ns();
		if (!bench_call(row, side))
			return -ENOMEM;
		cond_resched();
	}
	cost[side] = div_u64(ktime_get_ns() - start, BENCH_ROUNDS);
	return 0;
}

/* Sides that work alone: each is prepared, measured, finished. */
static int bench_row_alone(const struct bench_row *row, u64 *cost)
{
	int side, err = 0;

	for (side = 0; side < BENCH_NR_SIDES && !err; side++) {
		if (!row->run[side])
			continue;
		if (row->prepare && !row->prepare(side))
			err = -ENOMEM;
		else
			err = bench_row_mean(row, side, cost);
		if (row->finish)
			row->finish(side);
	}
	return err;
}

static int bench_row_measure(const struct bench_row *row)
{
	u64 cost[BENCH_NR_SIDES] = { };
	struct bench_result *res;
	int side, err;

	lockdep_assert_held(&bench_lock);
	if (bench_nr_results == BENCH_MAX_RESULTS)
		return -ENOSPC;
	err = row->mean ? bench_row_alone(row, cost) : bench_row_fastest(row, cost);
	if (err) {
		pr_err("kmm_bench: %s: no memory\n", row->name);
		return err;
	}
	res = &bench_results[bench_nr_results++];
	*res = (struct bench_result){ .row = row };
	for (side = BENCH_HOST; side < BENCH_NR_SIDES; side++) {
		u64 ns = cost[side] > cost[BENCH_NONE] ? cost[side] - cost[BENCH_NONE] : 0;

		res->cost[side] = div_u64(ns * 1000, row->ops * row->calls);
	}
	return 0;
}

/* === Threads === */

/* Objects on their way: more than a stack of kmm holds, so that both sides move batches. */
#define BENCH_RING	512

/**
 * struct bench_ring - from one thread to another
 * @head: objects put in; written by the maker
 * @tail: objects taken out; written by the taker
 * @ended: the maker is gone
 * @slot: the objects
 */
struct bench_ring {
	unsigned int head ____cacheline_aligned;
	unsigned int tail ____cacheline_aligned;
	bool ended;
	void *slot[BENCH_RING];
};

static struct bench_ring bench_ring;				/* protected by bench_lock */

/**
 * struct bench_thread - one thread of a measurement
 * @task: the thread, with a reference
 * @side: whose functions
 * @work: what to do
 * @ring: BENCH_MAKE and BENCH_TAKE: between the two
 * @burst: most pages of a burst
 * @go: shared: 0 wait, 1 run, 2 stop
 * @pages: room for a burst
 * @ops: operations done; read after the thread ended
 * @failed: an allocation failed
 */
struct bench_thread {
	struct task_struct *task;
	enum bench_side side;
	enum bench_work work;
	struct bench_ring *ring;
	unsigned int burst;
	const int *go;
	void **pages;
	u64 ops;
	bool failed;
};

static __always_inline bool thread_burst(struct bench_thread *t, bench_object_fn get,
					 bench_put_object_fn put, unsigned int nr)
{
	unsigned int i, got;

	for (got = 0; got < nr; got++) {
		t->pages[got] = get(BENCH_64);
		if (unlikely(!t->pages[got]))
			break;
	}
	for (i = 0; i < got; i++)
		put(BENCH_64, t->pages[i]);
	return got == nr;
}

/* One side fills, the other empties; the one that has to wait gives way. */
static __always_inline void thread_make(struct bench_thread *t, bench_object_fn get)
{
	struct bench_ring *r = t->ring;

	while (READ_ONCE(*t->go) == 1) {
		unsigned int head = r->head;
		void *obj;

		/* Pairs with thread_take(). */
		if (head - smp_load_acquire(&r->tail) == BENCH_RING) {
			cond_resched();
			continue;
		}
		obj = get(BENCH_64);
		if (!obj) {
			t->failed = true;
			break;
		}
		r->slot[head % BENCH_RING] = obj;
		/* Pairs with thread_take(). */
		smp_store_release(&r->head, head + 1);
	}
	/* Pairs with thread_take(). */
	smp_store_release(&r->ended, true);
}

static __always_inline void thread_take(struct bench_thread *t, bench_put_object_fn put)
{
	struct bench_ring *r = t->ring;

	for (;;) {
		/* Pairs with thread_make(). */
		bool ended = smp_load_acquire(&r->ended);
		unsigned int tail = r->tail;

		/* Pairs with thread_make(). */
		if (tail == smp_load_acquire(&r->head)) {
			if (ended)
				break;
			cond_resched();
			continue;
		}
		put(BENCH_64, r->slot[tail % BENCH_RING]);
		/* Pairs with thread_make(). */
		smp_store_release(&r->tail, tail + 1);
		t->ops++;
	}
}

static __always_inline void thread_objects(struct bench_thread *t, bench_object_fn get,
					   bench_put_object_fn put)
{
	u32 random = 1;

	if (t->work == BENCH_MAKE)
		return thread_make(t, get);
	if (t->work == BENCH_TAKE)
		return thread_take(t, put);
	while (READ_ONCE(*t->go) == 1 && !t->failed) {
		unsigned int nr;

		random = random * 1664525 + 1013904223;
		nr = 1 + (random >> 16) % t->burst;
		t->failed = !thread_burst(t, get, put, nr);
		t->ops += 2 * nr;
		cond_resched();
	}
}

static __always_inline void thread_churn(struct bench_thread *t, bench_alloc_fn alloc,
					 bench_free_fn free)
{
	u32 random = 1;

	while (READ_ONCE(*t->go) == 1 && !t->failed) {
		unsigned int nr;

		random = random * 1664525 + 1013904223;
		nr = 1 + (random >> 16) % t->burst;
		t->failed = !page_burst_once(alloc, free, (struct page **)t->pages, nr);
		t->ops += 2 * nr;
		cond_resched();
	}
}

static int bench_thread_fn(void *data)
{
	struct bench_thread *t = data;

	while (!READ_ONCE(*t->go))
		cpu_relax();
	switch (t->side + (t->work == BENCH_PAGES ? 0 : BENCH_NR_SIDES)) {
	case BENCH_NR_SIDES + BENCH_HOST:
		thread_objects(t, host_get, host_put);
		break;
	case BENCH_NR_SIDES + BENCH_KMM:
		thread_objects(t, kmm_get, kmm_put);
		break;
	case BENCH_NR_SIDES + BENCH_NONE:
		thread_objects(t, none_get, none_put);
		break;
	case BENCH_HOST:
		thread_churn(t, host_alloc, host_free);
		break;
	case BENCH_KMM:
		thread_churn(t, kmm_alloc, kmm_free);
		break;
	default:
		thread_churn(t, none_alloc, none_free);
		break;
	}
	while (!kthread_should_stop()) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (!kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
	}
	return 0;
}

/*
 * One thread per CPU from the last CPU on. The caller sleeps meanwhile.
 */
static int bench_threads_measure(enum bench_work work, enum bench_side side, unsigned int nr,
				 unsigned int burst)
{
	struct bench_result *res;
	struct bench_thread *t;
	unsigned int i, cpu, made = 0;
	u64 start = 0, ns = 0;
	int err = 0, go = 0;

	lockdep_assert_held(&bench_lock);
	if (bench_nr_results == BENCH_MAX_RESULTS)
		return -ENOSPC;
	if (!nr || nr > num_online_cpus() || !burst || burst > BENCH_THREAD_BURST)
		return -EINVAL;
	t = kcalloc(nr, sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;
	memset(&bench_ring, 0, sizeof(bench_ring));

	cpus_read_lock();
	for_each_online_cpu(cpu) {
		struct task_struct *task;

		/* The lowest CPUs have the interrupts: leave them out when there are more. */
		if (cpumask_weight(cpu_online_mask) - cpu > nr)
			continue;
		if (made == nr)
			break;
		t[made].side = side;
		t[made].work = work == BENCH_MAKE && made ? BENCH_TAKE : work;
		t[made].ring = &bench_ring;
		t[made].burst = burst;
		t[made].go = &go;
		t[made].pages = kcalloc(burst, sizeof(*t[made].pages), GFP_KERNEL);
		if (!t[made].pages) {
			err = -ENOMEM;
			break;
		}
		task = kthread_create_on_cpu(bench_thread_fn, &t[made], cpu, "kmm_bench/%u");
		if (IS_ERR(task)) {
			kfree(t[made].pages);
			err = PTR_ERR(task);
			break;
		}
		t[made++].task = get_task_struct(task);
	}
	cpus_read_unlock();

	if (!err && made == nr) {
		for (i = 0; i < made; i++)
			wake_up_process(t[i].task);
		msleep(20);
		start = ktime_get_ns();
		WRITE_ONCE(go, 1);
		msleep(BENCH_THREADS_MS);
		ns = ktime_get_ns() - start;
	} else if (!err) {
		err = -EINVAL;
	}
	WRITE_ONCE(go, 2);

	res = &bench_results[bench_nr_results];
	*res = (struct bench_result){
		.side = side, .work = work, .nr_threads = nr, .burst = burst, .ns = ns,
	};
	for (i = 0; i < made; i++) {
		kthread_stop(t[i].task);
		put_task_struct(t[i].task);
		res->ops += t[i].ops;
		if (t[i].failed)
			err = -ENOMEM;
		kfree(t[i].pages);
	}
	kfree(t);
	if (!err)
		bench_nr_results++;
	return err;
}

/* === Memory === */

#define BENCH_MAX_LIVE	100000

static void **bench_live[BENCH_NR_SIDES];			/* protected by bench_lock */
static unsigned int bench_nr_live;				/* protected by bench_lock */

/* Hold @nr objects of 64 bytes on each side, in place of those held now. */
static int bench_hold(unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < bench_nr_live; i++) {
		host_put(BENCH_64, bench_live[BENCH_HOST][i]);
		kmm_put(BENCH_64, bench_live[BENCH_KMM][i]);
	}
	bench_nr_live = 0;
	kvfree(bench_live[BENCH_HOST]);
	kvfree(bench_live[BENCH_KMM]);
	bench_live[BENCH_HOST] = NULL;
	bench_live[BENCH_KMM] = NULL;
	if (!nr)
		return 0;
	if (nr > BENCH_MAX_LIVE)
		return -EINVAL;
	bench_live[BENCH_HOST] = kvcalloc(nr, sizeof(void *), GFP_KERNEL);
	bench_live[BENCH_KMM] = kvcalloc(nr, sizeof(void *), GFP_KERNEL);
	if (!bench_live[BENCH_HOST] || !bench_live[BENCH_KMM])
		return -ENOMEM;
	/* what other measurements left behind is not behind these objects */
	kmem_cache_shrink(bench_host_cache[BENCH_64]);
	kmm_cache_shrink(bench_kmm_cache[BENCH_64]);
	for (i = 0; i < nr; i++) {
		void *host = host_get(BENCH_64), *kmm = kmm_get(BENCH_64);

		if (!host || !kmm) {
			if (host)
				host_put(BENCH_64, host);
			kmm_cache_free(bench_kmm_cache[BENCH_64], kmm);
			return -ENOMEM;
		}
		bench_live[BENCH_HOST][i] = host;
		bench_live[BENCH_KMM][i] = kmm;
		bench_nr_live++;
	}
	return 0;
}

/* === debugfs === */

/* All rows, in the order of the table. */
static const struct bench_row *bench_find(unsigned int i)
{
	if (i < ARRAY_SIZE(bench_rows))
		return &bench_rows[i];
	i -= ARRAY_SIZE(bench_rows);
	if (i < bench_nr_vmap_rows)
		return &bench_vmap_rows[i];
	i -= bench_nr_vmap_rows;
	return i < bench_nr_lru_rows ? &bench_lru_rows[i] : NULL;
}

static int bench_run(char *cmd)
{
	char *word = strsep(&cmd, " "), *arg = strsep(&cmd, " "), *nr = strsep(&cmd, " ");
	const struct bench_row *row;
	unsigned int i, burst;
	bool found = false;
	int work, side, err;

	lockdep_assert_held(&bench_lock);
	work = match_string(bench_work_names, ARRAY_SIZE(bench_work_names), word);
	if (work >= 0 && arg) {
		side = match_string(bench_side_names, BENCH_NR_SIDES, arg);
		if (side < 0)
			return -EINVAL;
		if (work == BENCH_MAKE)
			return nr ? -EINVAL : bench_threads_measure(work, side, 2, 1);
		if (!nr || !cmd || kstrtouint(nr, 10, &i) || kstrtouint(cmd, 10, &burst))
			return -EINVAL;
		return bench_threads_measure(work, side, i, burst);
	}
	if (!strcmp(word, "live") && arg && !nr)
		return kstrtouint(arg, 10, &i) ? -EINVAL : bench_hold(i);
	if (!(!strcmp(word, "rows") && !arg) && !(!strcmp(word, "row") && arg && !nr))
		return -EINVAL;
	for (i = 0; (row = bench_find(i)); i++) {
		if (arg && strcmp(arg, row->name))
			continue;
		found = true;
		err = bench_row_measure(row);
		if (err)
			return err;
	}
	return found ? 0 : -ENOENT;
}

static int bench_run_open(struct inode *inode, struct file *file)
{
	if (file->f_flags & O_TRUNC) {
		mutex_lock(&bench_lock);
		bench_nr_results = 0;
		mutex_unlock(&bench_lock);
	}
	return nonseekable_open(inode, file);
}

static ssize_t bench_run_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char cmd[64];
	int err;

	if (len >= sizeof(cmd))
		return -EINVAL;
	if (copy_from_user(cmd, buf, len))
		return -EFAULT;
	cmd[len] = '\0';
	mutex_lock(&bench_lock);
	err = bench_run(strim(cmd));
	mutex_unlock(&bench_lock);
	return err ? err : len;
}

static const struct file_operations bench_run_fops = {
	.owner = THIS_MODULE,
	.open = bench_run_open,
	.write = bench_run_write,
	.llseek = no_llseek,
};

static void bench_show_cost(struct seq_file *m, u64 cost)
{
	u32 rest;
	u64 whole = div_u64_rem(cost, 1000, &rest);

	seq_printf(m, " %llu.%03u", whole, rest);
}

static int results_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	mutex_lock(&bench_lock);
	for (i = 0; i < bench_nr_results; i++) {
		const struct bench_result *res = &bench_results[i];

		if (res->row) {
			seq_printf(m, "row %s", res->row->name);
			if (res->row->run[BENCH_HOST])
				bench_show_cost(m, res->cost[BENCH_HOST]);
			else
				seq_puts(m, " -");
			bench_show_cost(m, res->cost[BENCH_KMM]);
			seq_puts(m, " ns\n");
		} else {
			seq_printf(m, "%s %s %u %u %llu %llu\n",
				   bench_work_names[res->work], bench_side_names[res->side],
				   res->nr_threads, res->burst,
				   res->ops, res->ns);
		}
	}
	mutex_unlock(&bench_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(results);

#define BENCH_SHOW_OPTION(m, option)						\
	do {									\
		if (IS_ENABLED(CONFIG_##option))				\
			seq_puts(m, " " #option);				\
	} while (0)

static int config_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "kernel %s %s\n", utsname()->release, utsname()->version);
	seq_printf(m, "cpus %u\n", num_online_cpus());
	seq_printf(m, "host_init_on_alloc %d\n", !!want_init_on_alloc(0));
	seq_printf(m, "host_init_on_free %d\n", !!want_init_on_free());
	seq_printf(m, "both_sides_zero %d\n", !!(bench_gfp & __GFP_ZERO));
	seq_printf(m, "gfp %pGg\n", &bench_gfp);
	seq_puts(m, "debug_options");
	BENCH_SHOW_OPTION(m, DEBUG_LIST);
	BENCH_SHOW_OPTION(m, DEBUG_PAGEALLOC);
	BENCH_SHOW_OPTION(m, DEBUG_PREEMPT);
	BENCH_SHOW_OPTION(m, DEBUG_VM);
	BENCH_SHOW_OPTION(m, FAIL_PAGE_ALLOC);
	BENCH_SHOW_OPTION(m, KASAN);
	BENCH_SHOW_OPTION(m, PAGE_OWNER);
	BENCH_SHOW_OPTION(m, PAGE_POISONING);
	BENCH_SHOW_OPTION(m, PAGE_TABLE_CHECK);
	BENCH_SHOW_OPTION(m, PROVE_LOCKING);
	BENCH_SHOW_OPTION(m, SLAB_FREELIST_HARDENED);
	BENCH_SHOW_OPTION(m, SLAB_FREELIST_RANDOM);
	BENCH_SHOW_OPTION(m, UBSAN);
	seq_putc(m, '\n');
	seq_puts(m, "preempt");
	BENCH_SHOW_OPTION(m, PREEMPT);
	BENCH_SHOW_OPTION(m, PREEMPT_DYNAMIC);
	BENCH_SHOW_OPTION(m, PREEMPT_VOLUNTARY);
	seq_putc(m, '\n');
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(config);

static int __init bench_init(void)
{
	int err;

	bench_gfp = GFP_KERNEL | (want_init_on_alloc(0) ? __GFP_ZERO : 0);
	err = bench_create_caches();
	if (err)
		return err;
	err = bench_vmap_init();
	if (err)
		goto destroy_caches;
	bench_dir = debugfs_create_dir("kmm_bench", NULL);
	if (IS_ERR(bench_dir)) {
		pr_err("kmm_bench: no debugfs, no way to run anything\n");
		err = PTR_ERR(bench_dir);
		goto exit_vmap;
	}
	debugfs_create_file("run", 0200, bench_dir, NULL, &bench_run_fops);
	debugfs_create_file("results", 0400, bench_dir, NULL, &results_fops);
	debugfs_create_file("config", 0400, bench_dir, NULL, &config_fops);
	return 0;

exit_vmap:
	bench_vmap_exit();
destroy_caches:
	bench_destroy_caches();
	return err;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	debugfs_remove(bench_dir);
	bench_hold(0);
	bench_vmap_exit();
	bench_destroy_caches();
}
module_exit(bench_exit);

KMM_IMPORT_INTERNAL();
MODULE_DESCRIPTION("kmm against the host's allocators");
MODULE_LICENSE("GPL");
