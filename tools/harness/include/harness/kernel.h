/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel that buddy.c and region.c see when they are built as a user program.
 *
 * All of include/linux/ here is one-line files that include this one. It is thin on
 * purpose: what the two files use and no more. It is strict where a real kernel is
 * silent: a lock that is taken twice, released unheld or taken in interrupt order,
 * sleeping in atomic context, a per-CPU access that could migrate, a warning and an
 * unbalanced interrupt flag end the run with a message (harness_die()).
 *
 * There is one thread. Other CPUs and interrupts are simulated at the points where
 * they could come in: see harness_point() in kernel.c.
 */
#ifndef _HARNESS_KERNEL_H
#define _HARNESS_KERNEL_H

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

/* === Types and compiler === */

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef long long s64;
typedef unsigned int gfp_t;
typedef unsigned int slab_flags_t;
typedef unsigned long long phys_addr_t;
typedef unsigned long long dma_addr_t;

#define __percpu
#define __force
#define __bitwise
#define __iomem
#define __user
#define __init
#define __exit
#define __must_check
#define __read_mostly
#define __ro_after_init
#define __maybe_unused		__attribute__((unused))
#define __always_unused		__attribute__((unused))

#define noinline		__attribute__((noinline))
#define noipa			__attribute__((noipa))
#define __noreturn		__attribute__((noreturn))
#define __cold
#undef __always_inline
#define __always_inline		inline __attribute__((always_inline))
#define __pure			__attribute__((pure))
#define __packed		__attribute__((packed))
#define __aligned(x)		__attribute__((aligned(x)))
#define __printf(a, b)		__attribute__((format(printf, a, b)))
#define fallthrough		__attribute__((fallthrough))
#define __acquires(x)
#define __releases(x)
#define __must_hold(x)
#define __acquire(x)		((void)0)
#define __release(x)		((void)0)
#define ____cacheline_aligned	__aligned(64)
#define ____cacheline_aligned_in_smp __aligned(64)
#define SMP_CACHE_BYTES		64
#define L1_CACHE_BYTES		64

#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define barrier()		__asm__ __volatile__("" ::: "memory")
#define READ_ONCE(x)		(*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v)	(*(volatile typeof(x) *)&(x) = (v))
#define data_race(x)		(x)
#define smp_load_acquire(p)	READ_ONCE(*(p))
#define smp_store_release(p, v)	WRITE_ONCE(*(p), v)
#define smp_mb()		barrier()
#define smp_rmb()		barrier()
#define smp_wmb()		barrier()
#define cpu_relax()		barrier()
#define static_assert(e, ...)	_Static_assert(e, #e)
#define BUILD_BUG_ON(e)		_Static_assert(!(e), #e)
#define container_of(p, t, m)	((t *)((char *)(p) - offsetof(t, m)))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define IS_ENABLED(x)		0
#define IS_BUILTIN(x)		0
#define IS_REACHABLE(x)		0
#define __stringify_1(x)	#x
#define __stringify(x)		__stringify_1(x)
#define struct_size(p, m, n)	(sizeof(*(p)) + sizeof((p)->m[0]) * (n))
#define array_size(a, b)	((size_t)(a) * (b))
#define check_add_overflow(a, b, d) __builtin_add_overflow(a, b, d)
#define check_mul_overflow(a, b, d) __builtin_mul_overflow(a, b, d)

#define min(a, b)		({ typeof(a) _a = (a); typeof(b) _b = (b); _a < _b ? _a : _b; })
#define max(a, b)		({ typeof(a) _a = (a); typeof(b) _b = (b); _a > _b ? _a : _b; })
#define min_t(t, a, b)		min((t)(a), (t)(b))
#define max_t(t, a, b)		max((t)(a), (t)(b))
#define min3(a, b, c)		min((typeof(a))min(a, b), c)
#define clamp(v, lo, hi)	min(max(v, lo), hi)
#define clamp_t(t, v, lo, hi)	clamp((t)(v), (t)(lo), (t)(hi))
#define swap(a, b)		do { typeof(a) _t = (a); (a) = (b); (b) = _t; } while (0)
#define ALIGN(x, a)		(((x) + ((typeof(x))(a) - 1)) & ~((typeof(x))(a) - 1))
#define ALIGN_DOWN(x, a)	((x) & ~((typeof(x))(a) - 1))
#define PTR_ALIGN(p, a)		((typeof(p))ALIGN((unsigned long)(p), (a)))
#define IS_ALIGNED(x, a)	(((x) & ((typeof(x))(a) - 1)) == 0)
#define round_up(x, a)		ALIGN(x, a)
#define round_down(x, a)	ALIGN_DOWN(x, a)
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define roundup_pow_of_two(n)	(1UL << fls_long((n) - 1))
#define is_power_of_2(n)	((n) && !((n) & ((n) - 1)))
#define BITS_PER_LONG		64
#define BIT(n)			(1UL << (n))
#define U32_MAX			UINT32_MAX
#define SZ_1M			(1UL << 20)
#define SZ_2M			(1UL << 21)
#define SZ_16M			(1UL << 24)

static inline unsigned int ilog2(unsigned long x) { return 63 - __builtin_clzl(x); }
static inline unsigned long __ffs(unsigned long x) { return __builtin_ctzl(x); }
static inline unsigned long __fls(unsigned long x) { return ilog2(x); }
static inline int fls(unsigned int x) { return x ? 32 - __builtin_clz(x) : 0; }
static inline int fls64(u64 x) { return x ? 64 - __builtin_clzll(x) : 0; }
static inline int fls_long(unsigned long x) { return fls64(x); }
#define hweight_long(x)		__builtin_popcountl(x)
static inline unsigned long int_sqrt(unsigned long x)
{
	unsigned long r = 0;

	while ((r + 1) * (r + 1) <= x)
		r++;
	return r;
}

#define MAX_ERRNO		4095
#define IS_ERR_VALUE(x)		((unsigned long)(x) >= (unsigned long)-MAX_ERRNO)
#define IS_ERR(p)		IS_ERR_VALUE(p)
#define IS_ERR_OR_NULL(p)	(!(p) || IS_ERR(p))
#define PTR_ERR(p)		((long)(p))
#define ERR_PTR(e)		((void *)(long)(e))

/* === Module and exports === */

#define EXPORT_SYMBOL_GPL(s)	extern typeof(s) s
#define EXPORT_SYMBOL_NS_GPL(s, ns) extern typeof(s) s
#define MODULE_IMPORT_NS(ns)
#define THIS_MODULE		NULL
#define KBUILD_MODNAME		"kmm"
#define __ALIGN_KERNEL(x, a)	ALIGN(x, a)

/* === What the harness offers its programs === */

__noreturn __printf(1, 2) void harness_die(const char *fmt, ...);
void harness_point(void);
extern void (*harness_dying)(void);	/* last words of the program */

struct harness_stat {
	unsigned long log_err;		/* lines at pr_err and worse */
	unsigned long log_warn;
	unsigned long log_info;
	unsigned long stacks;		/* dump_stack() */
	unsigned long allocs;		/* host allocations, ever */
	unsigned long live;		/* host allocations not freed */
	unsigned long live_vmap;
	unsigned long points;
	unsigned long nested;		/* simulated interrupts and other CPUs */
};

extern struct harness_stat harness_stat;
extern char harness_last_log[512];	/* last line at pr_warn and worse */
extern bool harness_verbose;
extern unsigned int harness_cpu;	/* the CPU that runs now */
extern bool harness_irqs_off;
extern unsigned int harness_preempt;	/* preempt_disable() depth, locks included */
extern unsigned int harness_in_irq;
extern unsigned int harness_locks;	/* spinlocks held by the running CPU */
extern unsigned long harness_fail_alloc; /* fail the host allocation that brings this to 0 */
extern unsigned int harness_trylock_fail; /* one in so many spin_trylock() fails; 0 never */
extern unsigned long harness_online;	/* bit per CPU */
/* Called from harness_point() when something may come in between; NULL: nothing does. */
extern void (*harness_interrupt)(void);
extern u64 (*harness_random)(void);

/* === Log === */

#define KERN_ERR		"3"
#define KERN_WARNING		"4"
#define KERN_NOTICE		"5"
#define KERN_INFO		"6"
#define KERN_CONT		"7"
#ifndef pr_fmt
#define pr_fmt(fmt)		fmt
#endif
struct va_format {
	const char *fmt;
	va_list *va;
};

__printf(2, 3) void harness_log(int level, const char *fmt, ...);
__printf(1, 2) void printk(const char *fmt, ...);
#define pr_err(fmt, ...)	harness_log(3, pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn(fmt, ...)	harness_log(4, pr_fmt(fmt), ##__VA_ARGS__)
#define pr_notice(fmt, ...)	harness_log(5, pr_fmt(fmt), ##__VA_ARGS__)
#define pr_info(fmt, ...)	harness_log(6, pr_fmt(fmt), ##__VA_ARGS__)
#define pr_cont(fmt, ...)	harness_log(7, fmt, ##__VA_ARGS__)
#define pr_debug(fmt, ...)	harness_log(7, pr_fmt(fmt), ##__VA_ARGS__)
#define pr_err_ratelimited	pr_err
#define pr_warn_ratelimited	pr_warn
#define pr_err_once		pr_err
#define pr_warn_once		pr_warn
#define printk_ratelimit()	true
void dump_stack(void);
int scnprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
size_t strlcat(char *dst, const char *src, size_t size);
int vscnprintf(char *buf, size_t size, const char *fmt, va_list ap);

#define WARN(c, fmt, ...) ({ \
	bool __c = !!(c); \
	if (__c) \
		harness_die("WARN at %s:%d: " fmt, __FILE__, __LINE__, ##__VA_ARGS__); \
	__c; })
#define WARN_ON(c)		WARN(c, "%s", #c)
#define WARN_ONCE		WARN
#define WARN_ON_ONCE		WARN_ON

struct ratelimit_state { int unused; };
#define DEFINE_RATELIMIT_STATE(n, i, b) struct ratelimit_state n = { (i) * 0 + (b) * 0 }
#define __ratelimit(rs)		((void)(rs), true)
#define HZ			250

/* === Context: interrupts, preemption, the CPU === */

#define NR_CPUS			4
#define nr_cpu_ids		4U
#define num_possible_cpus()	4U

void harness_irq_save(unsigned long *flags);
void harness_irq_restore(unsigned long flags);
#define local_irq_save(f)	harness_irq_save(&(f))
#define local_irq_restore(f)	harness_irq_restore(f)
void local_irq_disable(void);
void local_irq_enable(void);
#define irqs_disabled()		(harness_irqs_off)
void preempt_disable(void);
void preempt_enable(void);
#define migrate_disable()	preempt_disable()
#define migrate_enable()	preempt_enable()
#define preemptible()		(!harness_preempt && !harness_irqs_off)
#define in_interrupt()		(harness_in_irq)
#define in_hardirq()		(harness_in_irq)
#define in_task()		(!harness_in_irq)
#define in_nmi()		false
#define in_atomic()		(harness_preempt != 0)
void might_sleep(void);
#define might_sleep_if(c)	do { if (c) might_sleep(); } while (0)
#define might_alloc(gfp)	might_sleep_if(gfpflags_allow_blocking(gfp))
#define cond_resched()		might_sleep()
unsigned int harness_this_cpu(void);	/* dies where the task could migrate */
#define smp_processor_id()	harness_this_cpu()
#define raw_smp_processor_id()	(harness_cpu)
#define get_cpu()		({ preempt_disable(); harness_cpu; })
#define put_cpu()		preempt_enable()

#define cpu_online(c)		((harness_online >> (c)) & 1)
#define for_each_possible_cpu(c) for ((c) = 0; (c) < NR_CPUS; (c)++)
#define for_each_online_cpu(c)	for_each_possible_cpu(c) if (!cpu_online(c)) {} else
#define num_online_cpus()	((unsigned int)__builtin_popcountl(harness_online))
#define cpus_read_lock()	((void)0)
#define cpus_read_unlock()	((void)0)
static inline unsigned int cpumask_next_wrap_harness(unsigned int c) { return (c + 1) % NR_CPUS; }

#define _RET_IP_		((unsigned long)__builtin_return_address(0))
#define PF_MEMALLOC		0x800
struct task_struct {
	unsigned int flags;
	char comm[16];
	int pid;
};
extern struct task_struct harness_task;
#define current			(&harness_task)

/* === Locks: flags that check themselves === */

typedef struct spinlock {
	unsigned int holder;		/* CPU + 1; 0: free */
	bool irq_unsafe;		/* was taken with interrupts on */
	bool in_irq;			/* was taken in an interrupt */
	bool ready;
} spinlock_t;
typedef spinlock_t raw_spinlock_t;

#define __SPIN_LOCK_UNLOCKED(n)	{ .ready = true }
#define DEFINE_SPINLOCK(n)	spinlock_t n = __SPIN_LOCK_UNLOCKED(n)
void spin_lock_init(spinlock_t *l);
void spin_lock(spinlock_t *l);
void spin_unlock(spinlock_t *l);
bool spin_trylock(spinlock_t *l);
void spin_lock_irq(spinlock_t *l);
void spin_unlock_irq(spinlock_t *l);
void harness_spin_lock_irqsave(spinlock_t *l, unsigned long *flags);
bool harness_spin_trylock_irqsave(spinlock_t *l, unsigned long *flags);
void spin_unlock_irqrestore(spinlock_t *l, unsigned long flags);
#define spin_lock_irqsave(l, f)	harness_spin_lock_irqsave(l, &(f))
#define spin_trylock_irqsave(l, f) harness_spin_trylock_irqsave(l, &(f))
#define spin_lock_nested(l, n)	spin_lock(l)
#define spin_lock_nest_lock(l, n) ((void)(n), spin_lock(l))
#define spin_is_locked(l)	((l)->holder != 0)
#define raw_spin_lock_init	spin_lock_init
#define raw_spin_lock		spin_lock
#define raw_spin_unlock		spin_unlock
#define raw_spin_trylock	spin_trylock
#define raw_spin_lock_irqsave	spin_lock_irqsave
#define raw_spin_unlock_irqrestore spin_unlock_irqrestore
#define lockdep_assert_held(l)	do { if (!(l)->holder) harness_die("%s: lock not held", __func__); } while (0)
#define lockdep_assert_irqs_disabled() WARN_ON(!harness_irqs_off)
#define lockdep_set_class(l, k)	((void)(k))
struct lock_class_key { int unused; };

struct mutex { bool held; };
#define DEFINE_MUTEX(n)		struct mutex n = { false }
#define __MUTEX_INITIALIZER(n)	{ false }
void mutex_init(struct mutex *m);
void mutex_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);

/* === Atomics: one thread === */

typedef struct { int counter; } atomic_t;
typedef struct { long counter; } atomic_long_t;
typedef struct { s64 counter; } atomic64_t;
#define ATOMIC_INIT(i)		{ (i) }
#define ATOMIC_LONG_INIT(i)	{ (i) }
#define atomic_read(a)		READ_ONCE((a)->counter)
#define atomic_set(a, v)	WRITE_ONCE((a)->counter, v)
#define atomic_inc(a)		((void)(a)->counter++)
#define atomic_dec(a)		((void)(a)->counter--)
#define atomic_add(v, a)	((void)((a)->counter += (v)))
#define atomic_sub(v, a)	((void)((a)->counter -= (v)))
#define atomic_inc_return(a)	(++(a)->counter)
#define atomic_dec_return(a)	(--(a)->counter)
#define atomic_dec_and_test(a)	(--(a)->counter == 0)
#define atomic_xchg(a, v)	({ typeof((a)->counter) _o = (a)->counter; (a)->counter = (v); _o; })
#define atomic_long_read	atomic_read
#define atomic_long_set		atomic_set
#define atomic_long_inc		atomic_inc
#define atomic_long_dec		atomic_dec
#define atomic_long_add		atomic_add
#define atomic_long_sub		atomic_sub
#define atomic_long_xchg	atomic_xchg
#define atomic64_read		atomic_read
#define atomic64_inc		atomic_inc
#define atomic64_add		atomic_add
#define cmpxchg(p, o, n) ({ \
	typeof(*(p)) _c = *(p); \
	if (_c == (o)) \
		*(p) = (n); \
	_c; })
#define try_cmpxchg(p, op, n) ({ \
	bool _s = *(p) == *(op); \
	if (_s) \
		*(p) = (n); \
	else \
		*(op) = *(p); \
	_s; })
#define xchg(p, v)		({ typeof(*(p)) _o = *(p); *(p) = (v); _o; })

/* === Bitmaps === */

#define BITS_TO_LONGS(n)	DIV_ROUND_UP(n, BITS_PER_LONG)
#define DECLARE_BITMAP(n, bits)	unsigned long n[BITS_TO_LONGS(bits)]
static inline void __set_bit(unsigned long n, unsigned long *p) { p[n / 64] |= BIT(n % 64); }
static inline void __clear_bit(unsigned long n, unsigned long *p) { p[n / 64] &= ~BIT(n % 64); }
static inline bool test_bit(unsigned long n, const unsigned long *p)
{
	return (p[n / 64] >> (n % 64)) & 1;
}

/* === Per-CPU data: one block per CPU at a fixed distance, gaps poisoned === */

#define HARNESS_PCPU_STRIDE	(64UL << 10)
void *harness_alloc_percpu(size_t size);
void free_percpu(void *p);
#define alloc_percpu(t)		((t *)harness_alloc_percpu(sizeof(t)))
#define alloc_percpu_gfp(t, g)	((void)(g), alloc_percpu(t))
#define __alloc_percpu(s, a)	harness_alloc_percpu(s)
#define per_cpu_ptr(p, c)	((typeof(p))((unsigned long)(p) + (c) * HARNESS_PCPU_STRIDE))
#define raw_cpu_ptr(p)		per_cpu_ptr(p, harness_cpu)
#define this_cpu_ptr(p)		per_cpu_ptr(p, harness_this_cpu())
#define get_cpu_ptr(p)		({ preempt_disable(); this_cpu_ptr(p); })
#define put_cpu_ptr(p)		((void)(p), preempt_enable())
#define this_cpu_add(v, n)	((void)(*raw_cpu_ptr(&(v)) += (n)))
#define this_cpu_sub(v, n)	((void)(*raw_cpu_ptr(&(v)) -= (n)))
#define this_cpu_inc(v)		this_cpu_add(v, 1)
#define this_cpu_dec(v)		this_cpu_sub(v, 1)
#define this_cpu_read(v)	(*raw_cpu_ptr(&(v)))
#define raw_cpu_add		this_cpu_add
#define raw_cpu_inc		this_cpu_inc
#define __this_cpu_add(v, n)	((void)(*this_cpu_ptr(&(v)) += (n)))
#define __this_cpu_inc(v)	__this_cpu_add(v, 1)
#define __this_cpu_read(v)	(*this_cpu_ptr(&(v)))

/* === Static keys === */

struct static_key_false { int on; };
struct static_key_true { int on; };
#define DEFINE_STATIC_KEY_FALSE(n) struct static_key_false n
#define DECLARE_STATIC_KEY_FALSE(n) extern struct static_key_false n
#define DEFINE_STATIC_KEY_TRUE(n) struct static_key_true n = { 1 }
#define static_branch_unlikely(k) unlikely((k)->on)
#define static_branch_likely(k)	likely((k)->on)
#define static_branch_enable(k)	((void)((k)->on = 1))
#define static_branch_disable(k) ((void)((k)->on = 0))
#define static_branch_inc(k)	((void)(k)->on++)
#define static_branch_dec(k)	((void)(k)->on--)

/* === Lists === */

struct list_head { struct list_head *next, *prev; };
struct hlist_node { struct hlist_node *next, **pprev; };
struct hlist_head { struct hlist_node *first; };
#define LIST_HEAD_INIT(n)	{ &(n), &(n) }
#define LIST_HEAD(n)		struct list_head n = LIST_HEAD_INIT(n)
static inline void INIT_LIST_HEAD(struct list_head *h) { h->next = h->prev = h; }
static inline void harness_list_insert(struct list_head *n, struct list_head *p, struct list_head *x)
{
	x->prev = n;
	n->next = x;
	n->prev = p;
	p->next = n;
}
static inline void list_add(struct list_head *n, struct list_head *h) { harness_list_insert(n, h, h->next); }
static inline void list_add_tail(struct list_head *n, struct list_head *h) { harness_list_insert(n, h->prev, h); }
static inline void list_del(struct list_head *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->next = n->prev = NULL;
}
static inline bool list_empty(const struct list_head *h) { return h->next == h; }
#define list_entry(p, t, m)	container_of(p, t, m)
#define list_first_entry(h, t, m) list_entry((h)->next, t, m)
/* The head is never taken for an entry: UBSan would see that it is not aligned as one. */
#define list_for_each_entry(p, h, m) \
	for (struct list_head *_i = (h)->next; \
	     _i != (h) && (p = list_entry(_i, typeof(*p), m), true); _i = _i->next)
#define list_for_each_entry_safe(p, n, h, m) \
	for (struct list_head *_i = (h)->next, *_n = _i->next; \
	     _i != (h) && (p = n = list_entry(_i, typeof(*p), m), true); _i = _n, _n = _i->next)
#define hlist_entry(p, t, m)	container_of(p, t, m)
#define hlist_entry_safe(p, t, m) ({ typeof(p) _p = (p); _p ? hlist_entry(_p, t, m) : NULL; })

/* === CPU hotplug: the teardown is kept and can be called === */

enum cpuhp_state { CPUHP_MM_WRITEBACK_DEAD = 1, CPUHP_BP_PREPARE_DYN, CPUHP_AP_ONLINE_DYN };
int cpuhp_setup_state_multi(int state, const char *name,
			    int (*up)(unsigned int cpu, struct hlist_node *n),
			    int (*down)(unsigned int cpu, struct hlist_node *n));
void cpuhp_remove_multi_state(int state);
int cpuhp_setup_state_nocalls(int state, const char *name, int (*up)(unsigned int cpu),
			      int (*down)(unsigned int cpu));
void cpuhp_remove_state_nocalls(int state);
int cpuhp_state_add_instance_nocalls(int state, struct hlist_node *n);
int cpuhp_state_remove_instance_nocalls(int state, struct hlist_node *n);
#define cpuhp_state_add_instance	cpuhp_state_add_instance_nocalls
#define cpuhp_state_remove_instance	cpuhp_state_remove_instance_nocalls
void harness_cpu_offline(unsigned int cpu);
void harness_cpu_online(unsigned int cpu);

/* === Pages === */

#define PAGE_SHIFT		12
#define PAGE_SIZE		(1UL << PAGE_SHIFT)
#define PAGE_MASK		(~(PAGE_SIZE - 1))
#define PAGE_ALIGN(x)		ALIGN(x, PAGE_SIZE)
#define MAX_ORDER		11

struct page {
	unsigned long flags;
	struct list_head lru;
	void *mapping;
	unsigned long index;
	unsigned long private;
	atomic_t _mapcount;
	atomic_t _refcount;
};

/* One array for pfns [HARNESS_PFN, HARNESS_PFN + HARNESS_NR_PAGES), and the memory. */
#define HARNESS_PFN		0x3fe00UL	/* 2 MiB aligned, not 4 */
#define HARNESS_NR_PAGES	24576UL		/* 96 MiB */
extern struct page harness_mem_map[HARNESS_NR_PAGES];
extern char *harness_memory;

struct page *pfn_to_page(unsigned long pfn);
unsigned long page_to_pfn(const struct page *page);
void *page_address(const struct page *page);
struct page *virt_to_page(const void *addr);
bool virt_addr_valid(const void *addr);
#define pfn_valid(pfn)		((pfn) - HARNESS_PFN < HARNESS_NR_PAGES)
#define page_to_phys(p)		((phys_addr_t)page_to_pfn(p) << PAGE_SHIFT)
#define page_to_virt(p)		page_address(p)
#define pfn_to_kaddr(pfn)	page_address(pfn_to_page(pfn))
#define PFN_PHYS(pfn)		((phys_addr_t)(pfn) << PAGE_SHIFT)
#define PFN_UP(x)		(((x) + PAGE_SIZE - 1) >> PAGE_SHIFT)
#define PFN_DOWN(x)		((x) >> PAGE_SHIFT)
#define offset_in_page(p)	((unsigned long)(p) & ~PAGE_MASK)
#define nth_page(p, n)		((p) + (n))
#define page_ref_count(p)	atomic_read(&(p)->_refcount)
#define page_count(p)		page_ref_count(p)
#define set_page_count(p, n)	atomic_set(&(p)->_refcount, n)
#define page_ref_add(p, n)	atomic_add(n, &(p)->_refcount)
#define page_ref_inc(p)		atomic_inc(&(p)->_refcount)
#define page_ref_dec(p)		atomic_dec(&(p)->_refcount)
#define get_page(p)		atomic_inc(&(p)->_refcount)
void put_page(struct page *page);
static inline void clear_page(void *p) { memset(p, 0, PAGE_SIZE); }
#define clear_highpage(p)	clear_page(page_address(p))
#define copy_page(d, s)		memcpy(d, s, PAGE_SIZE)
#define kmap_local_page(p)	page_address(p)
#define kunmap_local(p)		((void)(p))
#define PG_HARNESS(name, bit) \
	static inline bool Page##name(struct page *p) { return p->flags & BIT(bit); } \
	static inline void SetPage##name(struct page *p) { p->flags |= BIT(bit); } \
	static inline void ClearPage##name(struct page *p) { p->flags &= ~BIT(bit); } \
	static inline void __SetPage##name(struct page *p) { p->flags |= BIT(bit); } \
	static inline void __ClearPage##name(struct page *p) { p->flags &= ~BIT(bit); }
PG_HARNESS(Dirty, 4)
PG_HARNESS(Referenced, 2)
PG_HARNESS(Workingset, 8)
PG_HARNESS(Reserved, 14)
#define PG_referenced		2
#define PG_dirty		4
#define PG_workingset		8
#define NUMA_NO_NODE		(-1)
#define page_to_nid(p)		((void)(p), 0)
#define cpu_to_node(c)		((void)(c), 0)

/* === gfp: Linux 6.1's values === */

#define ___GFP_DMA		0x01u
#define __GFP_DMA		0x01u
#define __GFP_HIGHMEM		0x02u
#define __GFP_DMA32		0x04u
#define __GFP_MOVABLE		0x08u
#define __GFP_RECLAIMABLE	0x10u
#define __GFP_HIGH		0x20u
#define __GFP_IO		0x40u
#define __GFP_FS		0x80u
#define __GFP_ZERO		0x100u
#define __GFP_ATOMIC		0x200u
#define __GFP_DIRECT_RECLAIM	0x400u
#define __GFP_KSWAPD_RECLAIM	0x800u
#define __GFP_WRITE		0x1000u
#define __GFP_NOWARN		0x2000u
#define __GFP_RETRY_MAYFAIL	0x4000u
#define __GFP_NOFAIL		0x8000u
#define __GFP_NORETRY		0x10000u
#define __GFP_MEMALLOC		0x20000u
#define __GFP_COMP		0x40000u
#define __GFP_NOMEMALLOC	0x80000u
#define __GFP_HARDWALL		0x100000u
#define __GFP_THISNODE		0x200000u
#define __GFP_ACCOUNT		0x400000u
#define __GFP_RECLAIM		(__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM)
#define GFP_ATOMIC		(__GFP_HIGH | __GFP_ATOMIC | __GFP_KSWAPD_RECLAIM)
#define GFP_KERNEL		(__GFP_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_KERNEL_ACCOUNT	(GFP_KERNEL | __GFP_ACCOUNT)
#define GFP_NOWAIT		(__GFP_KSWAPD_RECLAIM)
#define GFP_NOIO		(__GFP_RECLAIM)
#define GFP_USER		(__GFP_RECLAIM | __GFP_IO | __GFP_FS | __GFP_HARDWALL)
#define GFP_HIGHUSER_MOVABLE	(GFP_USER | __GFP_HIGHMEM | __GFP_MOVABLE)
#define GFP_MOVABLE_MASK	(__GFP_RECLAIMABLE | __GFP_MOVABLE)
#define gfpflags_allow_blocking(g) (!!((g) & __GFP_DIRECT_RECLAIM))

/* === Host memory: counted, and can fail === */

void *harness_kmalloc(size_t size, gfp_t gfp);
void kfree(const void *p);
#define kmalloc(s, g)		harness_kmalloc(s, g)
#define kzalloc(s, g)		harness_kmalloc(s, (g) | __GFP_ZERO)
#define kcalloc(n, s, g)	kzalloc(array_size(n, s), g)
#define kmalloc_array(n, s, g)	kmalloc(array_size(n, s), g)
#define kvmalloc		kmalloc
#define kvzalloc		kzalloc
#define kvcalloc		kcalloc
#define kvmalloc_array		kmalloc_array
#define kvzalloc_node(s, g, n)	((void)(n), kzalloc(s, g))
#define vmalloc(s)		kmalloc(s, GFP_KERNEL)
#define vzalloc(s)		kzalloc(s, GFP_KERNEL)
#define kvfree			kfree
#define vfree			kfree
void *harness_krealloc(const void *p, size_t size, gfp_t gfp);
#define krealloc(p, s, g)	harness_krealloc(p, s, g)
#define krealloc_array(p, n, s, g) harness_krealloc(p, array_size(n, s), g)
char *kasprintf(gfp_t gfp, const char *fmt, ...) __printf(2, 3);
struct page *alloc_page(gfp_t gfp);
void __free_page(struct page *p);
#define get_zeroed_page(g)	((unsigned long)page_address(alloc_page((g) | __GFP_ZERO)))

typedef struct { unsigned long pgprot; } pgprot_t;
#define PAGE_KERNEL		((pgprot_t){ 3 })
#define PAGE_KERNEL_RO		((pgprot_t){ 1 })
#define VM_MAP			4UL
void *vmap(struct page **pages, unsigned int count, unsigned long flags, pgprot_t prot);
void vunmap(const void *addr);
unsigned long totalram_pages(void);
#define ZERO_PAGE(x)		((void)(x), &harness_mem_map[0])

void sort(void *base, size_t num, size_t size, int (*cmp)(const void *a, const void *b),
	  void (*swap_func)(void *a, void *b, int size));

#endif /* _HARNESS_KERNEL_H */
