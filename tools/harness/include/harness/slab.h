/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What slab.c needs of a kernel beyond kernel.h: per-CPU operations that are no atomic steps,
 * work items, RCU. Functions are in slab_kernel.c.
 */
#ifndef _HARNESS_SLAB_H
#define _HARNESS_SLAB_H

#include <harness/kernel.h>

/* === Arithmetic === */

#define SZ_16K			(16UL << 10)
#define SZ_64K			(64UL << 10)
#define SZ_256K			(256UL << 10)
#define rounddown_pow_of_two(n)	(1UL << fls_long((n) >> 1))
#define cache_line_size()	64U
#define reciprocal_scale(v, n)	((u32)(((u64)(u32)(v) * (n)) >> 32))
#define get_random_u64()	harness_random()
#define get_random_long()	((unsigned long)harness_random())
#define PTR_ERR_OR_ZERO(p)	(IS_ERR(p) ? (int)PTR_ERR(p) : 0)
#define PAGE_ALIGNED(p)		IS_ALIGNED((unsigned long)(p), PAGE_SIZE)

struct reciprocal_value {
	u32 m;
	u8 sh1, sh2;
};

static inline struct reciprocal_value reciprocal_value(u32 d)
{
	int l = fls(d - 1);

	return (struct reciprocal_value){
		.m = ((1ULL << 32) * ((1ULL << l) - d)) / d + 1,
		.sh1 = min(l, 1), .sh2 = max(l - 1, 0),
	};
}

static inline u32 reciprocal_divide(u32 a, struct reciprocal_value r)
{
	u32 t = ((u64)a * r.m) >> 32;

	return (t + ((a - t) >> r.sh1)) >> r.sh2;
}

static inline int get_order(unsigned long size)
{
	return size <= PAGE_SIZE ? 0 : fls_long((size - 1) >> PAGE_SHIFT);
}

/* === Bitmaps === */

static inline bool __test_and_set_bit(unsigned long n, unsigned long *p)
{
	bool was = test_bit(n, p);

	__set_bit(n, p);
	return was;
}

static inline bool __test_and_clear_bit(unsigned long n, unsigned long *p)
{
	bool was = test_bit(n, p);

	__clear_bit(n, p);
	return was;
}

#define test_and_set_bit	__test_and_set_bit
#define test_and_clear_bit	__test_and_clear_bit
#define bitmap_zero(p, n)	memset(p, 0, BITS_TO_LONGS(n) * sizeof(long))

static inline void bitmap_set(unsigned long *p, unsigned int first, unsigned int n)
{
	while (n--)
		__set_bit(first + n, p);
}

static inline unsigned int bitmap_weight(const unsigned long *p, unsigned int n)
{
	unsigned int w = 0;

	while (n--)
		w += test_bit(n, p);
	return w;
}

/* === Per-CPU: an interrupt may come between any two of them === */

#define harness_raw_cpu(v)	(*({ harness_point(); raw_cpu_ptr(&(v)); }))
#define raw_cpu_read(v)		harness_raw_cpu(v)
#define raw_cpu_write(v, x)	((void)(harness_raw_cpu(v) = (x)))
#define raw_cpu_dec(v)		((void)harness_raw_cpu(v)--)
#define kmm_raw_cpu_incb_and_test(v) (++harness_raw_cpu(v) == 0)
#define __alloc_percpu_gfp(s, a, g) harness_alloc_percpu(s)
/* One at a time: the name in the Makefile is a dereferenced pointer. */
extern char harness_pcpu_static[NR_CPUS * HARNESS_PCPU_STRIDE];
#define DEFINE_PER_CPU(t, n)	t n = (void *)harness_pcpu_static

/* === Work items run at once, on their CPU; nobody is in the middle of anything there === */

struct work_struct {
	void (*fn)(struct work_struct *work);
};

struct workqueue_struct;
#define WQ_MEM_RECLAIM		8
#define INIT_WORK(w, f)		((void)((w)->fn = (f)))
#define flush_work(w)		((void)(w))
struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags, int max_active);
void destroy_workqueue(struct workqueue_struct *wq);
void queue_work_on(unsigned int cpu, struct workqueue_struct *wq, struct work_struct *work);
#define cpus_read_trylock()	true

static inline bool mutex_trylock(struct mutex *m)
{
	if (m->held)
		return false;
	m->held = true;
	return true;
}

/* === RCU: a grace period ends when the test says so === */

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
void rcu_barrier(void);

/* === Slab flags: Linux 6.1's values === */

#define SLAB_RED_ZONE		0x00000400u
#define SLAB_POISON		0x00000800u
#define SLAB_HWCACHE_ALIGN	0x00002000u
#define SLAB_STORE_USER		0x00010000u
#define SLAB_RECLAIM_ACCOUNT	0x00020000u
#define SLAB_PANIC		0x00040000u
#define SLAB_TYPESAFE_BY_RCU	0x00080000u
#define SLAB_NOLEAKTRACE	0x00800000u
#define ZERO_SIZE_PTR		((void *)16)
#define ZERO_OR_NULL_PTR(p)	((unsigned long)(p) <= 16)
#define SLUB_RED_INACTIVE	0xbb
#define SLUB_RED_ACTIVE		0xcc
#define POISON_INUSE		0x5a
#define POISON_FREE		0x6b
#define POISON_END		0xa5

/* === Memory, log === */

#define kstrdup_const(s, g)	kasprintf(g, "%s", s)
#define kfree_const		kfree
const void *memchr_inv(const void *p, int c, size_t n);
#define jiffies			0UL
#define stack_trace_save(s, n, skip) ((void)(s), (void)(n), 0U)
#define DUMP_PREFIX_OFFSET	2
#define print_hex_dump(...)	((void)0)

static inline void list_replace(struct list_head *old, struct list_head *new)
{
	*new = *old;
	new->next->prev = new;
	new->prev->next = new;
}

#endif /* _HARNESS_SLAB_H */
