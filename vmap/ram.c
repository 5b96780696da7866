// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: vm_map_ram and its blocks
 *
 * For mappings of a few pages that live for a moment. They need no area, no descriptor and no lock
 * of all CPUs: each CPU has a block, an area of RAM_BLOCK_PAGES pages, and gives out runs from it
 * one after the other, by adding to @used. What is mapped of a block is @live.
 *
 *	current	block of a CPU: @used grows, @live goes up and down
 *	closed	full, or replaced by a new one: @used is RAM_BLOCK_PAGES, @live only goes down
 *	retired	@live is 0, nobody will look at it again: lazy, then free, like every area
 *
 * A run's addresses are not used again before its whole block has been retired and purged: a TLB
 * may know them until then. A retired block costs one area of the lazy list, whatever was mapped
 * in it; so unmapping runs never flushes by itself, and unmapping sets @ram_dirty, for a purge
 * that finds no lazy area must flush nevertheless. A block that is full while a run in it lives on
 * is kept by that run: KMM_VMAP_RAM_RUN_PAGES bounds what one run can take of it, and longer ones
 * get an area of their own.
 *
 * A run is taken back on any CPU: @cpu says whose lock protects its block. All pages of a block are
 * in the table, so it is found from any address in it. Runs are not told apart: who unmaps
 * another length than he mapped damages himself; what is not in a block, or has no entry at its
 * start, is refused and reported.
 *
 * With debug_pagealloc runs have a guard page, and each unmapping purges (the slow variants).
 *
 * Locks: the per-CPU lock of the block's CPU; none while entries are written.
 *
 * It deliberately does not: reuse a block in part, or take @node into account.
 */

#define pr_fmt(fmt) "kmm: vmap: " fmt

#include <linux/mm.h>
#include <linux/percpu.h>

#include <compat/compat.h>
#include <kmm/buddy.h>
#include <kmm/inject.h>

#include "internal.h"

/* === Data === */

/* Pages of a block. */
#define RAM_BLOCK_PAGES		512

/* === Blocks === */

/* A block whose addresses are used up and free again, or that is taken out of use. */
static void vmap_ram_retire(struct kmm_vmap *v, struct kmm_vmap_area *a)
{
	unsigned long first = kmm_vmap_page_index(v, a->start);

	/* Only the start is found from now on, as with every area. */
	memset(&v->area_of[first + 1], 0, (RAM_BLOCK_PAGES - 1) * sizeof(*v->area_of));
	WRITE_ONCE(a->kind, KMM_VMAP_LAZY);
	if (kmm_vmap_lazy_add(v, a))
		kmm_vmap_purge_soon(v);
}

/* No more runs from the current block of @c; true when it can be retired at once. */
static bool vmap_ram_close_locked(struct kmm_vmap_cpu *c)
{
	struct kmm_vmap_area *a = c->block;

	lockdep_assert_held(&c->lock);
	c->block = NULL;
	a->used = RAM_BLOCK_PAGES;
	return !a->live;
}

static bool vmap_ram_open(struct kmm_vmap *v)
{
	unsigned long first, i, flags;
	struct kmm_vmap_area *a, *old;
	struct kmm_vmap_cpu *c;
	bool idle = false;

	a = kmm_vmap_area_take_slow(v, KMM_VMAP_PART_SMALL, RAM_BLOCK_PAGES);
	if (!a)
		return false;
	first = kmm_vmap_page_index(v, a->start);
	for (i = 0; i < RAM_BLOCK_PAGES; i++)
		WRITE_ONCE(v->area_of[first + i], a);
	a->frames = KMM_LIST_END;
	a->nr_huge = 0;
	a->used = 0;
	a->live = 0;
	kmm_vmap_area_publish(v, a, RAM_BLOCK_PAGES, KMM_VMAP_RAM, PAGE_KERNEL, NULL);

	c = kmm_vmap_cpu_lock(v, &flags);
	old = c->block;
	if (old)
		idle = vmap_ram_close_locked(c);
	a->cpu = c;
	c->block = a;
	kmm_vmap_cpu_unlock(c, flags);
	if (idle)
		vmap_ram_retire(v, old);
	return true;
}

/* === Runs === */

/* @guard: pages behind the run that stay unmapped, known when compiling. */
static __always_inline void *vmap_map_ram(struct kmm_vmap *v, struct page **pages,
					  unsigned int nr_pages, unsigned int guard)
{
	unsigned long addr, flags;
	struct kmm_vmap_area *a;
	struct kmm_vmap_cpu *c;

	for (;;) {
		c = kmm_vmap_cpu_lock(v, &flags);
		a = c->block;
		if (likely(a && a->used + nr_pages + guard <= RAM_BLOCK_PAGES))
			break;
		kmm_vmap_cpu_unlock(c, flags);
		if (!vmap_ram_open(v))
			return NULL;
	}
	addr = a->start + a->used * PAGE_SIZE;
	a->used += nr_pages + guard;
	a->live += nr_pages;
	c->event[KMM_VMAP_ALLOC]++;
	kmm_vmap_cpu_unlock(c, flags);
	kmm_window_map(&v->window, addr, pages, nr_pages, PAGE_KERNEL);
	return (void *)addr;
}

/* More pages than a run of this instance has: with debug_pagealloc, as they may be, all. */
static noinline void *vmap_map_ram_slow(struct kmm_vmap *v, struct page **pages,
					unsigned int nr_pages, void *caller)
{
	if (nr_pages > KMM_VMAP_RAM_RUN_PAGES)
		return kmm_vmap_map(v, pages, nr_pages, PAGE_KERNEL, caller);
	return vmap_map_ram(v, pages, nr_pages, 1);
}

/**
 * kmm_vmap_map_ram() - Show a few pages for a short time.
 * @v: vmalloc
 * @pages: pages; they stay the caller's
 * @nr_pages: how many; above KMM_VMAP_RAM_RUN_PAGES an area of its own
 *
 * Context: task, may sleep. Return: address, or NULL.
 */
void *kmm_vmap_map_ram(struct kmm_vmap *v, struct page **pages, unsigned int nr_pages)
{
	if (unlikely(!nr_pages || kmm_should_fail()))
		return NULL;
	if (nr_pages > v->ram_run_max)
		return vmap_map_ram_slow(v, pages, nr_pages, __builtin_return_address(0));
	return vmap_map_ram(v, pages, nr_pages, 0);
}
KMM_EXPORT_INTERNAL(kmm_vmap_map_ram);

/* The block that has all of a run; NULL: none. */
static __always_inline struct kmm_vmap_area *
vmap_ram_find(struct kmm_vmap *v, unsigned long addr, unsigned int nr_pages)
{
	struct kmm_vmap_area *a;

	if (addr - v->window.base >= v->window.nr_pages * PAGE_SIZE || addr & ~PAGE_MASK)
		return NULL;
	a = READ_ONCE(v->area_of[kmm_vmap_page_index(v, addr)]);
	if (!a || READ_ONCE(a->kind) != KMM_VMAP_RAM || !kmm_window_entry(&v->window, addr, NULL))
		return NULL;
	if (nr_pages > KMM_VMAP_RAM_RUN_PAGES || addr + nr_pages * PAGE_SIZE > kmm_vmap_end(a))
		return NULL;
	return a;
}

static __always_inline void vmap_unmap_ram(struct kmm_vmap *v, const void *addr,
					   unsigned int nr_pages)
{
	struct kmm_vmap_area *a;
	struct kmm_vmap_cpu *c;
	unsigned long flags;
	bool idle;

	a = vmap_ram_find(v, (unsigned long)addr, nr_pages);
	if (unlikely(!a)) {
		kmm_vmap_report_bad(v, addr, "vm_unmap_ram");
		return;
	}
	kmm_window_unmap(&v->window, (unsigned long)addr, nr_pages);
	WRITE_ONCE(v->ram_dirty, 1);
	c = a->cpu;
	spin_lock_irqsave(&c->lock, flags);
	a->live -= nr_pages;
	c->event[KMM_VMAP_FREE]++;
	idle = !a->live && a->used == RAM_BLOCK_PAGES;
	if (idle && c->block == a)
		c->block = NULL;
	spin_unlock_irqrestore(&c->lock, flags);
	if (unlikely(idle))
		vmap_ram_retire(v, a);
}

static noinline void vmap_unmap_ram_slow(struct kmm_vmap *v, const void *addr,
					 unsigned int nr_pages)
{
	if (nr_pages > KMM_VMAP_RAM_RUN_PAGES) {
		kmm_vmap_unmap(v, addr);
		return;
	}
	vmap_unmap_ram(v, addr, nr_pages);
	kmm_vmap_purge_soon(v);
}

/**
 * kmm_vmap_unmap_ram() - Undo kmm_vmap_map_ram().
 * @v: vmalloc
 * @addr: what it returned
 * @nr_pages: what it was given
 *
 * Flushed as kmm_vmap_unmap().
 *
 * Context: task, may sleep.
 */
void kmm_vmap_unmap_ram(struct kmm_vmap *v, const void *addr, unsigned int nr_pages)
{
	if (unlikely(nr_pages > v->ram_run_max))
		return vmap_unmap_ram_slow(v, addr, nr_pages);
	vmap_unmap_ram(v, addr, nr_pages);
}
KMM_EXPORT_INTERNAL(kmm_vmap_unmap_ram);

/* === Taking blocks back === */

/**
 * kmm_vmap_unmap_aliases() - Make sure that no TLB has anything that was unmapped.
 * @v: vmalloc
 *
 * Blocks of vm_map_ram() in which nothing is mapped are given back as well.
 *
 * Context: task, may sleep. Return: frames given back.
 */
unsigned long kmm_vmap_unmap_aliases(struct kmm_vmap *v)
{
	struct kmm_vmap_area *a;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct kmm_vmap_cpu *c = per_cpu_ptr(v->cpu, cpu);

		spin_lock_irq(&c->lock);
		a = c->block;
		if (a && !(a->used && !a->live && vmap_ram_close_locked(c)))
			a = NULL;
		spin_unlock_irq(&c->lock);
		if (a)
			vmap_ram_retire(v, a);
	}
	return kmm_vmap_purge(v);
}
KMM_EXPORT_INTERNAL(kmm_vmap_unmap_aliases);

/**
 * kmm_vmap_ram_leftover() - Report and take back blocks in which runs were never taken back.
 * @v: vmalloc that nobody uses any more
 *
 * Context: task, may sleep.
 */
void kmm_vmap_ram_leftover(struct kmm_vmap *v)
{
	unsigned long i;

	for (i = 0; i < v->window.nr_pages; i++) {
		struct kmm_vmap_area *a = v->area_of[i];

		if (!a || a->kind != KMM_VMAP_RAM || kmm_vmap_page_index(v, a->start) != i)
			continue;
		pr_err("%u pages of vm_map_ram() at %#lx were never unmapped\n", a->live,
		       a->start);
		kmm_window_unmap(&v->window, a->start, RAM_BLOCK_PAGES);
		a->cpu->block = a->cpu->block == a ? NULL : a->cpu->block;
		vmap_ram_retire(v, a);
	}
}
