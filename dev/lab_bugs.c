// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The bugs of the gym
 *
 * Each function plants one bug, looks at its detector's counter before and after, and takes its
 * objects apart again. What it damages it owns alone:
 *
 * - Objects of caches that are made for the bug and destroyed after it. An object that a detector
 *   took out of use is put back by hand, as no client could (lab_mend()).
 * - Frames that are held with a reference while they are freed twice: the first free puts them into
 *   quarantine, so nobody can get them before the second.
 * - Pages of a region of 4 MiB that is taken from the host for the bug, where damage would reach
 *   whoever gets a page next.
 * - Addresses of vmalloc areas of its own. Where an access would be an oops it goes through
 *   the host's fault-tolerant accessors, and the gym itself writes the report.
 *
 * Two kinds of bugs need the host: lockdep and sleeping in atomic context are looked at by the
 * debug kernel only. And a stale TLB entry has no detector anywhere: another CPU reads, and
 * the gym says what it got.
 *
 * Context of all: task, may sleep, under lab_mutex. No locks of their own.
 */

#define pr_fmt(fmt) fmt

#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/debug_locks.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include <kmm/account.h>
#include <kmm/buddy.h>
#include <kmm/debug_objects.h>
#include <kmm/debug_pagealloc.h>
#include <kmm/dev.h>
#include <kmm/hardening.h>
#include <kmm/inject.h>
#include <kmm/kfence.h>
#include <kmm/kmemleak.h>
#include <kmm/msgq.h>
#include <kmm/page_table_check.h>
#include <kmm/pgtable.h>
#include <kmm/pipe.h>
#include <kmm/region.h>
#include <kmm/slab.h>
#include <kmm/space.h>
#include <kmm/vmap.h>

#include "lab.h"

/* What page-double-free tells of states. */
static_assert(KMM_FRAME_QUARANTINED == 5 && KMM_FRAME_CACHED == 4 && KMM_FRAME_FREE == 3);

#define LAB_SIZE	100
#define LAB_GFP		(GFP_KERNEL | __GFP_NOWARN)

/* The compiler must neither see through the mistake nor leave it out. */
#define lab_wild(p)	({ typeof(p) __p = (p); OPTIMIZER_HIDE_VAR(__p); __p; })

/* === Objects === */

static struct kmm_cache *lab_cache(const char *name, slab_flags_t flags)
{
	const struct kmm_cache_args args = { .name = name, .size = LAB_SIZE, .flags = flags };

	return kmm_slab_cache_create(kmm_dev_env.slab, &args);
}

static unsigned long lab_bad_objects(void)
{
	return atomic_long_read(&kmm_dev_env.slab->nr_bad);
}

/* A cache for the bug, and an object of it for @plant to be unfair to. */
static int lab_with_object(slab_flags_t flags, int (*plant)(struct kmm_cache *s, void *obj))
{
	struct kmm_cache *s = lab_cache("lab", flags);
	bool guarded;
	void *obj;
	int nr;

	if (IS_ERR(s))
		return PTR_ERR(s);
	do {
		obj = kmm_cache_alloc(s, LAB_GFP);
		/* the guarded pool has bugs of its own */
		guarded = obj && kmm_kfence_owns(kmm_dev_env.kfence, obj);
		if (guarded)
			kmm_cache_free(s, obj);
	} while (guarded);
	nr = obj ? plant(s, obj) : -ENOMEM;
	kmm_slab_cache_destroy(s);
	return nr;
}

static int lab_overflow(struct kmm_cache *s, void *obj)
{
	unsigned long before = lab_bad_objects();

	((u8 *)lab_wild(obj))[LAB_SIZE] = 'x';
	kmm_cache_free(s, obj);
	return lab_bad_objects() - before;
}

static int plant_out_of_bounds(struct kmm_account *a)
{
	return lab_with_object(SLAB_RED_ZONE | SLAB_STORE_USER, lab_overflow);
}

/* It was found to be damaged while it was free, and would never be used again. */
static void lab_mend(struct kmm_cache *s, void *obj)
{
	*(unsigned long *)(obj + s->offset) = 0;
	kmm_cache_free(s, obj);
}

static int lab_write_after_free(struct kmm_cache *s, void *obj)
{
	void *next;
	int nr;

	kmm_cache_free(s, obj);
	((u8 *)lab_wild(obj))[8] = 'x';
	/* the same object would come, if nobody looked at it */
	next = kmm_cache_alloc(s, LAB_GFP);
	nr = next != obj;
	if (nr)
		lab_mend(s, obj);
	if (!next)
		return -ENOMEM;
	kmm_cache_free(s, next);
	return nr;
}

static int plant_use_after_free(struct kmm_account *a)
{
	return lab_with_object(SLAB_POISON | SLAB_STORE_USER, lab_write_after_free);
}

static int lab_free_twice(struct kmm_cache *s, void *obj)
{
	unsigned long before = lab_bad_objects();

	kmm_cache_free(s, obj);
	kmm_cache_free(s, lab_wild(obj));
	return lab_bad_objects() - before;
}

static int plant_double_free(struct kmm_account *a)
{
	return lab_with_object(0, lab_free_twice);
}

static int lab_free_inside(struct kmm_cache *s, void *obj)
{
	unsigned long before = lab_bad_objects();

	kmm_cache_free(s, lab_wild(obj) + 8);
	kmm_cache_free(s, obj);
	/* it lies in this CPU's stack, as if it were an object */
	kmm_cache_shrink(s);
	return lab_bad_objects() - before;
}

static int plant_invalid_free(struct kmm_account *a)
{
	return lab_with_object(0, lab_free_inside);
}

static int lab_free_elsewhere(struct kmm_cache *s, void *obj)
{
	struct kmm_cache *other = lab_cache("lab-other", 0);
	unsigned long before = lab_bad_objects();
	int nr = -ENOMEM;

	if (!IS_ERR(other)) {
		kmm_cache_free(other, lab_wild(obj));
		nr = lab_bad_objects() - before;
		kmm_slab_cache_destroy(other);
	}
	kmm_cache_free(s, obj);
	return nr;
}

static int plant_wrong_cache(struct kmm_account *a)
{
	return lab_with_object(0, lab_free_elsewhere);
}

static int plant_foreign_free(struct kmm_account *a)
{
	void *p = kmm_should_fail() ? NULL : kmalloc(LAB_SIZE, GFP_KERNEL_ACCOUNT);
	unsigned long before = lab_bad_objects();

	if (!p)
		return -ENOMEM;
	kmm_slab_kfree(kmm_dev_env.slab, lab_wild(p));
	kfree(p);
	return lab_bad_objects() - before;
}

static int lab_destroy_early(struct kmm_cache *s, void *obj)
{
	int err = kmm_slab_cache_destroy(s);

	kmm_cache_free(s, obj);
	return err == -EBUSY;
}

static int plant_objects_remaining(struct kmm_account *a)
{
	return lab_with_object(SLAB_STORE_USER, lab_destroy_early);
}

/* Two scans, as soon as an object that is new now is old enough. Return: leaks found. */
static int lab_scan(struct kmm_leak *l)
{
	struct kmm_leak_stat before, now;
	int i, err = 0;

	kmm_leak_get_stat(l, &before);
	if (msleep_interruptible(before.min_age_ms + 10))
		return -EINTR;
	/* our own stack has stale copies of the pointer */
	kmm_leak_set_stack_scan(l, false);
	for (i = 0; i < 2 && !err; i++)
		err = kmm_leak_scan(l);
	kmm_leak_set_stack_scan(l, before.stack_scan);
	kmm_leak_get_stat(l, &now);
	return err ?: now.nr_leaks - before.nr_leaks;
}

static int lab_forget(struct kmm_cache *s, void *obj)
{
	/* no word of it is a pointer to the object */
	unsigned long hidden = ~(unsigned long)obj;
	int nr = lab_scan(kmm_dev_env.leak);

	/* as long as it is there */
	kmm_leak_dump(kmm_dev_env.leak, ~hidden);
	kmm_cache_free(s, (void *)~hidden);
	return nr;
}

static int plant_leak(struct kmm_account *a)
{
	struct kmm_leak *l = kmm_dev_env.leak;
	bool was_on = READ_ONCE(l->enabled);
	int nr = was_on ? 0 : kmm_leak_on(l);

	if (nr)
		return nr;
	/* a cache with debugging has no stacks of objects, where it would be found */
	nr = lab_with_object(SLAB_STORE_USER, lab_forget);
	if (!was_on)
		kmm_leak_off(l, "by the lab");
	return nr;
}

/* === Objects of the guarded pool === */

static const char *missing_kfence(void)
{
	return READ_ONCE(kmm_dev_env.kfence->objects) ? NULL :
	       "no guarded pool: set the parameter kfence_sample_interval to 100";
}

/* An object of @s in the pool: the gate is opened for it, but others may be faster. */
static void *lab_guarded(struct kmm_cache *s)
{
	struct kmm_kfence *kf = kmm_dev_env.kfence;
	unsigned int tries;
	void *obj;

	for (tries = 0; tries < 100; tries++) {
		if (kmm_kfence_sample(kf))
			return NULL;
		obj = kmm_cache_alloc(s, LAB_GFP);
		if (!obj || kmm_kfence_owns(kf, obj))
			return obj;
		kmm_cache_free(s, obj);
	}
	return NULL;
}

static int lab_with_guarded(void (*plant)(struct kmm_cache *s, u8 *obj))
{
	atomic_long_t *bugs = &kmm_dev_env.kfence->counters[KMM_KFENCE_NR_BUGS];
	struct kmm_cache *s = lab_cache("lab", 0);
	long before;
	void *obj;
	int nr = -ENOMEM;

	if (IS_ERR(s))
		return PTR_ERR(s);
	obj = lab_guarded(s);
	if (obj) {
		before = atomic_long_read(bugs);
		plant(s, obj);
		nr = atomic_long_read(bugs) - before;
	}
	kmm_slab_cache_destroy(s);
	return nr;
}

/* The edge of the page that the object lies at. */
static void lab_touch_guard(struct kmm_cache *s, u8 *obj)
{
	u8 *edge = PAGE_ALIGNED(obj) ? obj - 1 : (u8 *)PAGE_ALIGN((unsigned long)obj), byte;

	kmm_kfence_read(kmm_dev_env.kfence, &byte, edge, 1);
	kmm_cache_free(s, obj);
}

static int plant_kfence_out_of_bounds(struct kmm_account *a)
{
	return lab_with_guarded(lab_touch_guard);
}

static void lab_touch_freed(struct kmm_cache *s, u8 *obj)
{
	u8 byte;

	kmm_cache_free(s, obj);
	/* this task may be on another CPU now, which has not heard of it yet */
	kmm_kfence_sync(kmm_dev_env.kfence);
	kmm_kfence_read(kmm_dev_env.kfence, &byte, obj, 1);
}

static int plant_kfence_use_after_free(struct kmm_account *a)
{
	return lab_with_guarded(lab_touch_freed);
}

static void lab_free_guarded_twice(struct kmm_cache *s, u8 *obj)
{
	kmm_cache_free(s, obj);
	kmm_cache_free(s, lab_wild(obj));
}

static int plant_kfence_double_free(struct kmm_account *a)
{
	return lab_with_guarded(lab_free_guarded_twice);
}

/* The other edge, where nothing faults. */
static void lab_write_canary(struct kmm_cache *s, u8 *obj)
{
	u8 *inside = PAGE_ALIGNED(obj) ? obj + LAB_SIZE : obj - 1;

	*lab_wild(inside) = 'x';
	kmm_cache_free(s, obj);
}

static int plant_kfence_corruption(struct kmm_account *a)
{
	return lab_with_guarded(lab_write_canary);
}

/* === Pages === */

static u64 lab_bad_pages(void)
{
	struct kmm_buddy_stat st;

	kmm_buddy_stat(kmm_dev_env.buddy, &st, true);
	return st.event[KMM_BAD_FREE];
}

static int plant_page_double_free(struct kmm_account *a)
{
	struct page *page = kmm_buddy_alloc(kmm_dev_env.buddy, LAB_GFP, 0);
	u64 before = lab_bad_pages();
	int nr;

	if (!page)
		return -ENOMEM;
	/* it waits in quarantine: nobody gets it between the two */
	get_page(page);
	kmm_buddy_free(kmm_dev_env.buddy, page, 0);
	kmm_buddy_free(kmm_dev_env.buddy, lab_wild(page), 0);
	nr = lab_bad_pages() - before;
	put_page(page);
	kmm_buddy_recheck_quarantine(kmm_dev_env.buddy);
	return nr;
}

static int plant_page_wrong_order(struct kmm_account *a)
{
	struct page *page = kmm_buddy_alloc(kmm_dev_env.buddy, LAB_GFP, 2);
	u64 before = lab_bad_pages();
	int nr;

	if (!page)
		return -ENOMEM;
	kmm_buddy_free(kmm_dev_env.buddy, page, 1);
	nr = lab_bad_pages() - before;
	kmm_buddy_free(kmm_dev_env.buddy, page, 2);
	return nr;
}

/**
 * struct lab_world - an allocator of pages that nobody else uses
 * @region: 4 MiB of the host
 * @buddy: on @region
 */
struct lab_world {
	struct kmm_region region;
	struct kmm_buddy buddy;
};

static struct lab_world *lab_world_create(struct kmm_account *a)
{
	struct lab_world *w = kmm_account_zalloc(a, sizeof(*w));
	int err;

	if (IS_ERR(w))
		return w;
	err = kmm_region_init(&w->region, "chunks", 1UL << KMM_MAX_ORDER);
	if (err)
		goto free;
	err = kmm_buddy_init(&w->buddy, &w->region);
	if (!err)
		return w;
	kmm_region_fini(&w->region);
free:
	kmm_account_free(a, w, sizeof(*w));
	return ERR_PTR(err);
}

static void lab_world_destroy(struct kmm_account *a, struct lab_world *w)
{
	kmm_buddy_fini(&w->buddy);
	kmm_region_fini(&w->region);
	kmm_account_free(a, w, sizeof(*w));
}

static int lab_write_to_free_page(struct lab_world *w)
{
	struct page *page = kmm_buddy_alloc(&w->buddy, LAB_GFP, 0), *next;
	unsigned long before = kmm_page_poison_corrupt();

	if (!page)
		return -ENOMEM;
	kmm_buddy_free(&w->buddy, page, 0);
	((u8 *)lab_wild(page_address(page)))[100] = 'x';
	/* the last one that was freed comes first */
	next = kmm_buddy_alloc(&w->buddy, LAB_GFP, 0);
	if (next)
		kmm_buddy_free(&w->buddy, next, 0);
	return kmm_page_poison_corrupt() - before;
}

static int plant_page_use_after_free(struct kmm_account *a)
{
	unsigned int was = kmm_hardening_set(KMM_PAGE_POISON);
	struct lab_world *w;
	int nr;

	kmm_hardening_set(was | KMM_PAGE_POISON);
	w = lab_world_create(a);
	nr = PTR_ERR_OR_ZERO(w);
	if (!nr) {
		nr = lab_write_to_free_page(w);
		lab_world_destroy(a, w);
	}
	kmm_hardening_set(was);
	return nr;
}

/* === Page tables === */

static const char *missing_table_check(void)
{
	return kmm_page_table_check_on(kmm_dev_env.region) ? NULL : "load with page_table_check=1";
}

static unsigned long lab_violations(void)
{
	struct kmm_page_table_check_stat st = { };

	kmm_page_table_check_stat(kmm_dev_env.region, &st);
	return st.violations;
}

#define LAB_ADDR	0x10000000UL

/* @page writable in two trees. Return: reports. */
static int lab_map_twice(struct kmm_pgtable *pt, struct page *page)
{
	unsigned long entry = kmm_pt_make_entry(page, PAGE_SHARED) | KMM_PT_PRIVATE;
	unsigned long before = lab_violations();
	struct kmm_pt_gather g;
	int i, err = 0, nr;

	for (i = 0; i < 2 && !err; i++)
		err = kmm_pt_replace(&pt[i], LAB_ADDR, 0, entry);
	nr = err ?: lab_violations() - before;
	for (i = 0; i < 2; i++) {
		kmm_pt_gather_init(&g, &pt[i], NULL, NULL);
		kmm_pt_zap(&g, LAB_ADDR, LAB_ADDR + PAGE_SIZE);
		kmm_pt_prune(&g, 0, 1UL << 47);
		kmm_pt_gather_finish(&g);
	}
	return nr;
}

static int plant_two_owners(struct kmm_account *a)
{
	struct page *page = kmm_buddy_alloc(kmm_dev_env.buddy, LAB_GFP, 0);
	struct kmm_pgtable *pt;
	int n, nr = -ENOMEM;

	if (!page)
		return -ENOMEM;
	WRITE_ONCE(kmm_region_frame(kmm_dev_env.region, page_to_pfn(page))->next, 0);
	pt = kmm_account_zalloc(a, 2 * sizeof(*pt));
	if (IS_ERR(pt)) {
		nr = PTR_ERR(pt);
		goto free_page;
	}
	for (n = 0; n < 2; n++) {
		nr = kmm_pgtable_create(&pt[n], kmm_dev_env.tables, a);
		if (nr)
			goto destroy;
	}
	nr = lab_map_twice(pt, page);
destroy:
	while (n--)
		kmm_pgtable_destroy(&pt[n]);
	kmm_account_free(a, pt, 2 * sizeof(*pt));
free_page:
	kmm_buddy_free(kmm_dev_env.buddy, page, 0);
	return nr;
}

/* === Kernel addresses === */

static const char *missing_window(void)
{
	return kmm_dev_env.vmap ? NULL : "no window of kernel addresses";
}

/* 0 or -EFAULT: the host's own way to touch what may not be there. */
static int lab_write(void *addr, u8 value)
{
	__put_kernel_nofault(addr, &value, u8, fault);
	return 0;
fault:
	return -EFAULT;
}

/* Writes where nothing should be mapped. Return: 1, and a report, if it was not. */
static int lab_fault(u8 *p, const char *what)
{
	if (!lab_write(p, 'x'))
		return 0;
	pr_err("BUG: KMM: lab: page fault for address %#lx, %s\n", (unsigned long)p, what);
	dump_stack();
	return 1;
}

static int plant_vmalloc_overflow(struct kmm_account *a)
{
	u8 *p = kmm_vmap_alloc(kmm_dev_env.vmap, PAGE_SIZE, LAB_GFP, PAGE_KERNEL,
			       __builtin_return_address(0));
	int nr;

	if (!p)
		return -ENOMEM;
	nr = lab_fault(p + PAGE_SIZE, "behind an area of one page");
	kmm_vmap_free(kmm_dev_env.vmap, p);
	return nr;
}

static const char *missing_pagealloc(void)
{
	return kmm_debug_pagealloc_on(kmm_dev_env.region) ? missing_window() :
	       "load with debug_pagealloc=1";
}

static int plant_alias_use_after_free(struct kmm_account *a)
{
	struct page *page = kmm_buddy_alloc(kmm_dev_env.buddy, LAB_GFP, 0);
	void *p;
	int nr;

	if (!page)
		return -ENOMEM;
	p = kmm_vmap_map(kmm_dev_env.vmap, &page, 1, PAGE_KERNEL, __builtin_return_address(0));
	/* held: whatever happens, nobody else gets the page before the alias is gone */
	get_page(page);
	kmm_buddy_free(kmm_dev_env.buddy, page, 0);
	nr = p ? lab_fault(p, "an alias of a page that was freed") : -ENOMEM;
	if (p)
		kmm_vmap_unmap(kmm_dev_env.vmap, p);
	put_page(page);
	kmm_buddy_recheck_quarantine(kmm_dev_env.buddy);
	return nr;
}

/* Return: 1 if the wrong way to give @p back was refused. */
static int lab_unbalanced(bool (*wrong)(struct kmm_vmap *v, const void *addr), size_t offset)
{
	void *p = kmm_vmap_alloc(kmm_dev_env.vmap, 2 * PAGE_SIZE, LAB_GFP, PAGE_KERNEL,
				 __builtin_return_address(0));
	bool done;

	if (!p)
		return -ENOMEM;
	done = wrong(kmm_dev_env.vmap, lab_wild(p) + offset);
	if (!done)
		kmm_vmap_free(kmm_dev_env.vmap, p);
	return !done;
}

static int plant_unbalanced_map(struct kmm_account *a)
{
	return lab_unbalanced(kmm_vmap_unmap, 0);
}

static int plant_bad_vfree(struct kmm_account *a)
{
	return lab_unbalanced(kmm_vmap_free, PAGE_SIZE);
}

/* === Stale TLB entries === */

/**
 * struct lab_reader - a CPU that looks at an address twice, in one interrupt
 * @addr: where
 * @phase: 1: looked once; 2: the entry was changed; 3: looked again
 * @first: what was there
 * @last: what it saw then
 */
struct lab_reader {
	unsigned long *addr;
	unsigned int phase;
	unsigned long first;
	unsigned long last;
};

/* Looks that the other CPU waits for at most: some 10 ms. */
#define LAB_SPINS	1000000

static unsigned long lab_read(const unsigned long *addr)
{
	unsigned long value;

	__get_kernel_nofault(&value, addr, unsigned long, fault);
	return value;
fault:
	return 0;
}

static bool lab_wait_phase(struct lab_reader *r, unsigned int phase, unsigned int spins)
{
	unsigned int seen;

	do {
		/* pairs with the other side's release */
		seen = smp_load_acquire(&r->phase);
		if (seen == phase)
			return true;
		cpu_relax();
	} while (spins--);
	return false;
}

static void lab_reader(void *arg)
{
	struct lab_reader *r = arg;

	r->first = lab_read(r->addr);
	/* pairs with lab_wait_phase() */
	smp_store_release(&r->phase, 1);
	if (lab_wait_phase(r, 2, LAB_SPINS))
		r->last = lab_read(r->addr);
	/* pairs with lab_wait_phase() */
	smp_store_release(&r->phase, 3);
}

static const char *missing_second_cpu(void)
{
	return num_online_cpus() > 1 ? missing_window() : "one CPU";
}

/* The page at @addr is exchanged, without a flush. Return: what @cpu sees there, 0: nothing. */
static unsigned long lab_exchange(unsigned long addr, struct page *new, unsigned int cpu)
{
	struct kmm_window *w = kmm_vmap_window(kmm_dev_env.vmap);
	struct lab_reader r = { .addr = (unsigned long *)addr };

	if (smp_call_function_single(cpu, lab_reader, &r, 0))
		return 0;
	while (!lab_wait_phase(&r, 1, LAB_SPINS))
		cpu_relax();
	kmm_window_unmap(w, addr, 1);
	kmm_window_map(w, addr, &new, 1, PAGE_KERNEL);
	/* pairs with lab_wait_phase() */
	smp_store_release(&r.phase, 2);
	while (!lab_wait_phase(&r, 3, LAB_SPINS))
		cpu_relax();
	return r.last;
}

/* Return: did the other CPU still see the old page? */
static bool lab_stale(unsigned long addr, struct page **page)
{
	struct kmm_window *w = kmm_vmap_window(kmm_dev_env.vmap);
	unsigned int cpu, here = get_cpu();
	unsigned long seen;

	cpu = cpumask_any_but(cpu_online_mask, here);
	seen = cpu < nr_cpu_ids ? lab_exchange(addr, page[1], cpu) : 0;
	put_cpu();
	if (seen == 1)
		pr_err("BUG: KMM: lab: stale TLB entry: CPU %u reads the old page at %#lx\n", cpu,
		       addr);
	/* as it was, and this time with the flush */
	kmm_window_unmap(w, addr, 1);
	kmm_window_map(w, addr, &page[0], 1, PAGE_KERNEL);
	kmm_tlb_flush_window(kmm_dev_env.tables, 1);
	return seen == 1;
}

static int plant_stale_tlb(struct kmm_account *a)
{
	struct kmm_buddy *b = kmm_dev_env.buddy;
	struct page *page[2] = { kmm_buddy_alloc(b, LAB_GFP, 0), kmm_buddy_alloc(b, LAB_GFP, 0) };
	unsigned int i;
	void *addr;
	int nr = -ENOMEM;

	if (!page[0] || !page[1])
		goto free;
	*(unsigned long *)page_address(page[0]) = 1;
	*(unsigned long *)page_address(page[1]) = 2;
	addr = kmm_vmap_map(kmm_dev_env.vmap, page, 1, PAGE_KERNEL, __builtin_return_address(0));
	if (!addr)
		goto free;
	/* another entry may push it out of the TLB now and then */
	for (i = 0, nr = 0; i < 50 && !nr; i++)
		nr = lab_stale((unsigned long)addr, page);
	kmm_vmap_unmap(kmm_dev_env.vmap, addr);
	kmm_vmap_purge(kmm_dev_env.vmap);
free:
	for (i = 0; i < 2; i++)
		if (page[i])
			kmm_buddy_free(b, page[i], 0);
	return nr;
}

/* === Life cycles === */

static unsigned int lab_lives(void)
{
	struct kmm_debug_stat st;

	kmm_debug_objects_stat(&st);
	return st.warnings;
}

/* With tracking on, and nobody can turn it off: what is planted would be done if it were not. */
static int lab_track(struct kmm_account *a, int (*plant)(struct kmm_account *a))
{
	unsigned int before = lab_lives();
	int err, nr;

	kmm_debug_objects_hold();
	err = plant(a);
	nr = lab_lives() - before;
	kmm_debug_objects_release();
	return err ?: nr;
}

/* @plant gets a pipe that is alive, and destroys it. */
static int lab_with_pipe(struct kmm_account *a, void (*plant)(struct kmm_pipe *p,
							      struct kmm_account *a,
							      const struct kmm_pipe_attr *attr))
{
	const struct kmm_pipe_attr attr = { .size_bytes = PAGE_SIZE };
	struct kmm_pipe *p = kmm_account_zalloc(a, sizeof(*p));
	int err;

	if (IS_ERR(p))
		return PTR_ERR(p);
	err = kmm_pipe_init(p, kmm_dev_env.pipes, a, &attr);
	if (!err && !kmm_debug_objects_keep(p)) {
		kmm_pipe_fini(p);
		err = -ENOMEM;
	}
	if (!err)
		plant(p, a, &attr);
	kmm_account_free(a, p, sizeof(*p));
	return err;
}

static void lab_pipe_init_twice(struct kmm_pipe *p, struct kmm_account *a,
				const struct kmm_pipe_attr *attr)
{
	kmm_pipe_init(p, kmm_dev_env.pipes, a, attr);
	kmm_pipe_fini(p);
}

static int lab_double_init(struct kmm_account *a)
{
	return lab_with_pipe(a, lab_pipe_init_twice);
}

static int plant_double_init(struct kmm_account *a)
{
	return lab_track(a, lab_double_init);
}

static void lab_pipe_use_late(struct kmm_pipe *p, struct kmm_account *a,
			      const struct kmm_pipe_attr *attr)
{
	struct kvec vec = { };
	struct iov_iter to;
	u8 byte;

	vec.iov_base = &byte;
	vec.iov_len = sizeof(byte);
	iov_iter_kvec(&to, ITER_DEST, &vec, 1, sizeof(byte));
	kmm_pipe_fini(p);
	kmm_pipe_read(p, &to, KMM_PIPE_NOWAIT);
}

static int lab_use_late(struct kmm_account *a)
{
	return lab_with_pipe(a, lab_pipe_use_late);
}

static int plant_use_after_destroy(struct kmm_account *a)
{
	return lab_track(a, lab_use_late);
}

/* Of a pipe, whose memory is the lab's: of a space it might be another user's space by now. */
static void lab_pipe_destroy_twice(struct kmm_pipe *p, struct kmm_account *a,
				   const struct kmm_pipe_attr *attr)
{
	kmm_pipe_fini(p);
	kmm_pipe_fini(lab_wild(p));
}

static int lab_destroy_twice(struct kmm_account *a)
{
	return lab_with_pipe(a, lab_pipe_destroy_twice);
}

static int plant_double_destroy(struct kmm_account *a)
{
	return lab_track(a, lab_destroy_twice);
}

static int lab_free_active(struct kmm_account *a)
{
	struct kmm_cache *s = lab_cache("lab", 0);
	bool known;
	int err;

	if (IS_ERR(s))
		return PTR_ERR(s);
	known = kmm_debug_objects_keep(s);
	/* destroying it would have been right */
	if (known)
		kmm_cache_free(kmm_dev_env.slab->caches, lab_wild(s));
	err = kmm_slab_cache_destroy(s);
	return known ? err : -ENOMEM;
}

static int plant_free_active(struct kmm_account *a)
{
	return lab_track(a, lab_free_active);
}

/* === What only the host sees === */

static const char *missing_lockdep(void)
{
#ifdef CONFIG_PROVE_LOCKING
	return debug_locks ? NULL : "lockdep is off since its first report";
#else
	return "needs a kernel with CONFIG_PROVE_LOCKING";
#endif
}

static DEFINE_MUTEX(lab_a);
static DEFINE_MUTEX(lab_b);

static int plant_lock_order(struct kmm_account *a)
{
	mutex_lock(&lab_a);
	mutex_lock(&lab_b);
	mutex_unlock(&lab_b);
	mutex_unlock(&lab_a);

	mutex_lock(&lab_b);
	mutex_lock(&lab_a);
	mutex_unlock(&lab_a);
	mutex_unlock(&lab_b);
#ifdef CONFIG_PROVE_LOCKING
	return !debug_locks;
#else
	return 0;
#endif
}

static const char *missing_atomic_sleep(void)
{
	return IS_ENABLED(CONFIG_DEBUG_ATOMIC_SLEEP) ? NULL :
	       "needs a kernel with CONFIG_DEBUG_ATOMIC_SLEEP";
}

static int lab_alloc_in_atomic(struct kmm_cache *s, void *obj)
{
	static DEFINE_SPINLOCK(lock);

	/* this one lies ready: nothing really sleeps */
	kmm_cache_free(s, obj);
	spin_lock(&lock);
	obj = kmm_cache_alloc(s, GFP_KERNEL);
	spin_unlock(&lock);
	kmm_cache_free(s, obj);
	return IS_ENABLED(CONFIG_DEBUG_ATOMIC_SLEEP);
}

static int plant_sleep_in_atomic(struct kmm_account *a)
{
	return lab_with_object(0, lab_alloc_in_atomic);
}

static const char *missing_kasan(void)
{
	return IS_ENABLED(CONFIG_KASAN_GENERIC) ? NULL : "needs a kernel with CONFIG_KASAN_GENERIC";
}

static int plant_host_use_after_free(struct kmm_account *a)
{
	u8 *p = kmm_should_fail() ? NULL : kmalloc(LAB_SIZE, GFP_KERNEL_ACCOUNT);

	if (!p)
		return -ENOMEM;
	kfree(p);
	(void)READ_ONCE(*(u8 *)lab_wild(p));
	return IS_ENABLED(CONFIG_KASAN_GENERIC);
}

/* === The table === */

const struct lab_bug lab_bugs[] = {
	{
		.name = "out-of-bounds",
		.what = "writes one byte behind an object of 100 bytes",
		.detector = "red zone of the cache (SLAB_RED_ZONE), looked at when the object is freed",
		.report = "^BUG lab \\(kmm\\): Right Redzone overwritten",
		.read = "first byte 0x78 instead of 0xcc @offset=100: the first byte behind the object was written, and 0x78 is the 'x' that did it. \"Allocated in\" names whose object it is; the writer is long gone, so look for who fills such objects. The Redzone line shows how far it went.",
		.plant = plant_out_of_bounds,
	},
	{
		.name = "use-after-free",
		.what = "writes into an object that was freed",
		.detector = "poison of the cache (SLAB_POISON), looked at when the object is to go out again",
		.report = "^BUG lab \\(kmm\\): Poison overwritten",
		.read = "a free object is all 0x6b up to its last byte, 0xa5. The offset says which field was written; \"Freed in\" names who freed it, and somebody who still has the pointer wrote. The object is never given out again.",
		.plant = plant_use_after_free,
	},
	{
		.name = "double-free",
		.what = "frees an object twice",
		.detector = "the word that a free object carries; hardened caches have a bit for each object, too",
		.report = "BUG: KMM: double free in ",
		.read = "the first line names the second free, the stack leads there. The first one is not in the report: a cache with SLAB_STORE_USER keeps it (debugfs kmm/slab_explain).",
		.plant = plant_double_free,
	},
	{
		.name = "invalid-free",
		.what = "frees an address 8 bytes inside of an object",
		.detector = "every slab that takes objects back: does one begin there? Hardened caches ask at the free itself",
		.report = "BUG: KMM: invalid free in ",
		.read = "the cache is the right one, the address is not where one of its objects begins: a pointer that was moved while working, or a member in place of its container. The stack is that of whoever emptied the CPU's stack of objects, not the culprit's; load with slab_hardened=1 to get that.",
		.plant = plant_invalid_free,
	},
	{
		.name = "wrong-cache",
		.what = "frees an object of one cache to another one",
		.detector = "every free: whose is the page?",
		.report = "BUG: KMM: wrong-cache free in ",
		.read = "\"object of cache lab, freed to cache lab-other\": nothing was freed, so the object leaks until it is freed rightly.",
		.plant = plant_wrong_cache,
	},
	{
		.name = "foreign-free",
		.what = "gives memory of the host's kmalloc() to kmm_kfree()",
		.detector = "every free: is the page of the region?",
		.report = "BUG: KMM: foreign free in ",
		.read = "\"cache (none)\": the address is nobody's here. Two allocators were mixed up.",
		.plant = plant_foreign_free,
	},
	{
		.name = "objects-remaining",
		.what = "destroys a cache before its last object is freed: a leak",
		.detector = "kmm_cache_destroy()",
		.report = "BUG lab: Objects remaining in lab on kmm_cache_destroy\\(\\)",
		.read = "one line for each object that is alive, ten at most, each with who allocated it (SLAB_STORE_USER). The cache stays usable: free them, destroy again.",
		.plant = plant_objects_remaining,
	},
	{
		.name = "leak",
		.what = "loses the last pointer to an object",
		.detector = "kmemleak, on for this bug only, by the second scan; the gym waits kmemleak_min_age_ms and scans",
		.report = "kmemleak: 1 new suspected memory leaks",
		.read = "the first line counts. What follows is what dump= in debugfs kmm/kmemleak tells of an object: count = 0 pointers were found where min_count = 1 is wanted, and the stack is who allocated it. debugfs kmm/kmemleak lists such objects as long as they are not freed. A pointer anywhere in kmm's memory or a registered root would have saved it.",
		.plant = plant_leak,
	},
	{
		.name = "kfence-out-of-bounds",
		.what = "reads one byte outside of a sampled object, where its page ends",
		.detector = "kfence: the page beside the object's is not there",
		.report = "^BUG: KFENCE: out-of-bounds read in ",
		.read = "the first line names the function that reads, its stack follows; \"1B left of kfence-#N\" is where; below is whose object it is: its size, its cache, and the stack that allocated it. A real access like this is an oops of the host: its report comes first, this one behind it.",
		.missing = missing_kfence,
		.plant = plant_kfence_out_of_bounds,
	},
	{
		.name = "kfence-use-after-free",
		.what = "reads a sampled object that was freed",
		.detector = "kfence: the page of a freed object is taken out",
		.report = "^BUG: KFENCE: use-after-free read in ",
		.read = "three stacks: who reads, who allocated, who freed. Between the last two somebody kept a pointer, or a reference count was wrong.",
		.missing = missing_kfence,
		.plant = plant_kfence_use_after_free,
	},
	{
		.name = "kfence-double-free",
		.what = "frees a sampled object twice",
		.detector = "kfence: the object's state, looked at by each free",
		.report = "^BUG: KFENCE: invalid free in ",
		.read = "the first stack is the second free, \"freed by task\" the first one: which of them had no right to?",
		.missing = missing_kfence,
		.plant = plant_kfence_double_free,
	},
	{
		.name = "kfence-corruption",
		.what = "writes one byte beside a sampled object, inside of its page",
		.detector = "kfence: the canary around the object, looked at when it is freed",
		.report = "^BUG: KFENCE: memory corruption in ",
		.read = "[ ! . . ]: the first byte beside the object was written, the 15 after it were not (no_hash_pointers on the host's command line shows values). The writer is gone; the stacks say whose object it was between the two.",
		.missing = missing_kfence,
		.plant = plant_kfence_corruption,
	},
	{
		.name = "page-double-free",
		.what = "frees a page twice",
		.detector = "the tag of each frame",
		.report = "BUG: KMM: double free in ",
		.read = "state 5 is quarantined (4 cached, 3 free): it was given back already. The second free is in the stack; the first is known to page_owner.",
		.plant = plant_page_double_free,
	},
	{
		.name = "page-wrong-order",
		.what = "frees a block of four pages as one of two",
		.detector = "the tag of each frame",
		.report = "BUG: KMM: wrong-order free in ",
		.read = "the first order is what the caller said, the second what the block is. Nothing was freed.",
		.plant = plant_page_wrong_order,
	},
	{
		.name = "page-use-after-free",
		.what = "writes into a page that was freed",
		.detector = "page_poison, on for this bug only, on a region made for it: free pages are all 0xaa",
		.report = "^pagealloc: memory corruption",
		.read = "the bytes from the first to the last that is not 0xaa: what they look like often tells whose they are. The stack is who was to get the page next, not the culprit; page_owner names who had it before.",
		.plant = plant_page_use_after_free,
	},
	{
		.name = "two-owners",
		.what = "maps a private page, writable, into two address spaces",
		.detector = "page_table_check",
		.report = "^BUG: KMM: page table check: a private frame that is shared and writable",
		.read = "anon 2 (writable 2): both write to it, and nothing crashes; one just reads what it never wrote. The entry and the task are those of the second mapping.",
		.missing = missing_table_check,
		.plant = plant_two_owners,
	},
	{
		.name = "alias-use-after-free",
		.what = "writes through a mapping of vmap() to a page that was freed meanwhile",
		.detector = "debug_pagealloc: no entry of the window shows a free page",
		.report = "^BUG: KMM: lab: page fault for address 0x[0-9a-f]+, an alias of a page that was freed",
		.read = "as for vmalloc-overflow, the gym survives the fault and reports. Without debug_pagealloc the write would have gone to the page's next owner. vunmap() before the free.",
		.missing = missing_pagealloc,
		.plant = plant_alias_use_after_free,
	},
	{
		.name = "vmalloc-overflow",
		.what = "writes one byte behind an area of vmalloc",
		.detector = "the guard page: nothing is mapped there",
		.report = "^BUG: KMM: lab: page fault for address 0x[0-9a-f]+, behind an area of one page",
		.read = "the gym wrote with an accessor that survives a fault, and reports itself. A real one is an oops: \"unable to handle page fault for address\", and vmallocinfo says whose area ends there.",
		.missing = missing_window,
		.plant = plant_vmalloc_overflow,
	},
	{
		.name = "bad-vfree",
		.what = "gives vfree() an address inside of an area",
		.detector = "every vfree: does an area begin there?",
		.report = "BUG: KMM: bad vfree of ",
		.read = "the address is in the first line, the caller in the stack; vmallocinfo shows which area it is in.",
		.missing = missing_window,
		.plant = plant_bad_vfree,
	},
	{
		.name = "unbalanced-map",
		.what = "unmaps with vunmap() what was never mapped with vmap()",
		.detector = "every vunmap: is there such a mapping?",
		.report = "BUG: KMM: bad vunmap of ",
		.read = "the same line comes for a second vunmap() of one mapping: one unmap for each map.",
		.missing = missing_window,
		.plant = plant_unbalanced_map,
	},
	{
		.name = "stale-tlb",
		.what = "exchanges the page behind an address without a flush, while another CPU uses it",
		.detector = "none: no kernel has one. The gym lets another CPU read and says what it got",
		.report = "^BUG: KMM: lab: stale TLB entry: CPU [0-9]+ reads the old page",
		.read = "the entry in memory is new, the other CPU's copy is not: it reads, or writes, a page that may belong to somebody else by now. Real ones show as damage far away.",
		.missing = missing_second_cpu,
		.plant = plant_stale_tlb,
	},
	{
		.name = "double-init",
		.what = "initialises a pipe that is alive",
		.detector = "debug_objects, on for this bug only",
		.report = "^ODEBUG: init active \\(active state 0\\) object type: kmm_pipe",
		.read = "\"init active\": what was tried, and the state that forbids it. \"made active by\" is the first one's stack, the other stack is who came second.",
		.plant = plant_double_init,
	},
	{
		.name = "double-destroy",
		.what = "destroys a pipe twice",
		.detector = "debug_objects, on for this bug only",
		.report = "^ODEBUG: destroy destroyed \\(active state 0\\) object type: kmm_pipe",
		.read = "\"made destroyed by\" is the stack of the first destroy, the other one of the second. It was refused: without the tracker it would work on freed memory.",
		.plant = plant_double_destroy,
	},
	{
		.name = "free-active",
		.what = "frees the memory of a cache that was not destroyed",
		.detector = "debug_objects, on for this bug only",
		.report = "^ODEBUG: free active \\(active state 0\\) object type: kmm_cache",
		.read = "memory with a live object in it was about to go. The stack is whoever freed it; destroy first.",
		.plant = plant_free_active,
	},
	{
		.name = "use-after-destroy",
		.what = "reads from a pipe that was destroyed",
		.detector = "debug_objects, on for this bug only",
		.report = "^ODEBUG: use destroyed \\(active state 0\\) object type: kmm_pipe",
		.read = "\"made destroyed by\" is the stack of who destroyed it, the other one of who still uses it: a reference is missing.",
		.plant = plant_use_after_destroy,
	},
	{
		.name = "sleep-in-atomic",
		.what = "allocates with GFP_KERNEL under a spinlock",
		.detector = "the host's might_sleep(), on a debug kernel",
		.report = "^BUG: sleeping function called from invalid context",
		.read = "in_atomic(): 1 and preempt_count say where it was; the stack says what would have slept. GFP_ATOMIC, or allocate before the lock.",
		.missing = missing_atomic_sleep,
		.plant = plant_sleep_in_atomic,
	},
	{
		.name = "lock-order",
		.what = "takes two mutexes in one order, then in the other",
		.detector = "the host's lockdep, on a debug kernel",
		.report = "WARNING: possible circular locking dependency detected",
		.read = "the chain is listed in reverse: #1 lab_b taken under lab_a before, and now lab_a under lab_b. Two tasks that do so at once wait for each other for ever. Nothing has hung yet: that is the point.",
		.missing = missing_lockdep,
		.plant = plant_lock_order,
		.once = true,
	},
	{
		.name = "host-use-after-free",
		.what = "reads from memory of the host's kmalloc() after kfree()",
		.detector = "the host's KASAN, on a debug kernel",
		.report = "BUG: KASAN: (slab-)?use-after-free in ",
		.read = "three stacks: the access, who allocated, who freed. The shadow bytes around the arrow: fb is freed, fc red zone. lockdep is off after the first report of KASAN.",
		.missing = missing_kasan,
		.plant = plant_host_use_after_free,
		.once = true,
	},
	{ }
};
