// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: kmemleak
 *
 * Finds memory that a client took and to which no pointer is left, as Linux's kmemleak does for
 * the host's memory (mm/kmemleak.c): a tracing garbage collector that reports instead of
 * freeing.
 *
 * Tracked is what clients take: pages of kmm_alloc_pages() and its like, objects of caches and of
 * kmalloc, areas of vmalloc, through the kernel's client functions and the slots of KMM_IOC_OPS.
 * What kmm takes for itself is not: slabs, page tables, frames of areas, and of memory objects,
 * pipes and messages. Caches of kmm's own have SLAB_NOLEAKTRACE.
 *
 * Colours. An object has a min_count, how many pointers to it must be found, and a count, how
 * many the last scan found::
 *
 *	white	count < min_count: reported, if it is old enough
 *	gray	count >= min_count: not reported, scanned for pointers to others. With min_count 0
 *		(KMM_LEAK_GRAY) it always is
 *	black	min_count -1: neither reported nor scanned
 *
 * A pointer is a word with an address in the object, not only its first, or the address of a
 * struct page of one of its frames.
 *
 * How memory is scanned for them: kmemleak_scan.c. What clients call: kmemleak_api.c.
 *
 * Contents of memory objects, pipes and messages are data of users: they are not tracked, so never
 * reported, and not scanned: a program could hide leaks by writing numbers otherwise. A client
 * whose only pointers are in the host's kmalloc() memory must register it
 * (kmm_kmemleak_register_root()).
 *
 * Switching on at run time. What is in use already cannot be known to have an owner: it becomes
 * gray ("early"). So no report is false because of it, but leaks among it are not found. With
 * kmemleak=1 at load there is none. Frames of areas are among it, also of those that were freed
 * and wait for a flush: each scan flushes first. Objects that are in kfence's pool at that moment
 * are not seen, and what an account pays for, as the slots of KMM_IOC_OPS, is left out: the slots
 * are a root, and what is in their memory comes from users. Off frees nothing: what was reported
 * can still be read, until clear. Linux's kmemleak stays off once it is off; this one begins anew.
 *
 * Memory. Objects are host memory from a pool that is filled before it is needed: in the caller's
 * context when it may sleep, else by a work item. An empty pool turns the detector off, and it
 * says so; a detector that has missed an allocation would give false reports. Objects go back to
 * the pool and never to the host while the detector may be used, so a stale pointer to one points
 * to an object. Nothing here takes memory of the region: no recursion.
 *
 * Invariants (kmm_leak_check()): objects in the tree do not overlap; tree and list have the same
 * objects; nr_objects + nr_pool == nr_all; the gray list is empty between scans.
 *
 * Locks: mutex (scans, readers, switches) -> a session's lock (its root), kmm_slab.mutex (early),
 * kmm_vmap.purge_lock (flush) -> lock, a raw spinlock and a leaf. Any context but NMI.
 *
 * It deliberately does not: scan all of the host's memory (the host's own kmemleak can, see
 * debug/host_tools.c), excess references, objects by physical address.
 */

#define pr_fmt(fmt) "kmm: kmemleak: " fmt

#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <compat/compat.h>
#include <kmm/inject.h>
#include <kmm/paths.h>
#include <kmm/region.h>
#include <kmm/slab.h>
#include <kmm/stack_depot.h>

#include "kmemleak_internal.h"

/* === Data === */

DEFINE_STATIC_KEY_FALSE(kmm_leak_key);

/* Objects that the host gives at a time. */
#define LEAK_CHUNK_OBJECTS	2048

struct kmm_leak_chunk {
	struct kmm_leak_chunk *next;
	struct kmm_leak_object object[LEAK_CHUNK_OBJECTS];
};

/*
 * The pool is filled up when it falls below this: what interrupts may take before the work
 * item or a task that may sleep comes along.
 */
#define LEAK_POOL_LOW		LEAK_CHUNK_OBJECTS

/* Objects for each frame of the region, at most: all of it in objects of 256 bytes. */
#define LEAK_PER_FRAME		16

#define LEAK_PATHS		(KMM_PATH_PAGE | KMM_PATH_SLAB | KMM_PATH_VMAP)

/* === Small helpers === */

static gfp_t leak_gfp(gfp_t gfp)
{
	return (gfp & (GFP_KERNEL | GFP_ATOMIC)) | __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_NOWARN |
	       __GFP_ACCOUNT;
}

static void leak_free_areas(struct kmm_leak_area *a)
{
	struct kmm_leak_area *next;

	for (; a; a = next) {
		next = a->next;
		kfree(a);
	}
}

/* === The pool === */

static unsigned long leak_max_objects(const struct kmm_leak *l)
{
	return l->max_objects ?: l->region->nr_frames * LEAK_PER_FRAME;
}

/* One chunk more. May sleep if @gfp allows. Return: 0, -ENOMEM, -ENOSPC at the limit. */
static int leak_pool_grow(struct kmm_leak *l, gfp_t gfp)
{
	struct kmm_leak_chunk *c;
	unsigned long flags;
	unsigned int i;

	if (READ_ONCE(l->nr_all) + LEAK_CHUNK_OBJECTS > leak_max_objects(l))
		return -ENOSPC;
	c = kmm_should_fail() ? NULL : kvzalloc(sizeof(*c), leak_gfp(gfp));
	if (!c)
		return -ENOMEM;
	raw_spin_lock_irqsave(&l->lock, flags);
	c->next = l->chunks;
	l->chunks = c;
	for (i = 0; i < LEAK_CHUNK_OBJECTS; i++)
		list_add_tail(&c->object[i].node, &l->pool);
	l->nr_pool += LEAK_CHUNK_OBJECTS;
	l->nr_all += LEAK_CHUNK_OBJECTS;
	raw_spin_unlock_irqrestore(&l->lock, flags);
	return 0;
}

static void leak_refill_work(struct work_struct *work)
{
	struct kmm_leak *l = container_of(work, struct kmm_leak, refill_work);

	while (READ_ONCE(l->enabled) && READ_ONCE(l->nr_pool) < LEAK_POOL_LOW &&
	       !leak_pool_grow(l, GFP_KERNEL))
		;
}

/* Before an object is taken. No lock is held. */
static void leak_pool_prepare(struct kmm_leak *l, gfp_t gfp)
{
	if (likely(READ_ONCE(l->nr_pool) >= LEAK_POOL_LOW))
		return;
	if (gfpflags_allow_blocking(gfp))
		leak_pool_grow(l, gfp);
	else if (READ_ONCE(l->nr_all) + LEAK_CHUNK_OBJECTS <= leak_max_objects(l))
		schedule_work(&l->refill_work);
}

static struct kmm_leak_object *leak_pool_get_locked(struct kmm_leak *l)
{
	struct kmm_leak_object *o = list_first_entry_or_null(&l->pool, typeof(*o), node);

	lockdep_assert_held(&l->lock);
	if (!o)
		return NULL;
	list_del(&o->node);
	l->nr_pool--;
	memset(&o->info, 0, sizeof(o->info));
	INIT_LIST_HEAD(&o->gray);
	return o;
}

static void leak_pool_put_locked(struct kmm_leak *l, struct kmm_leak_object *o)
{
	lockdep_assert_held(&l->lock);
	o->info.serial = 0;
	list_add(&o->node, &l->pool);
	l->nr_pool++;
}

/* All objects go back to the host. It is off; @mutex is held. */
static void leak_free_objects(struct kmm_leak *l)
{
	struct kmm_leak_chunk *c, *next;
	struct kmm_leak_object *o;
	unsigned long flags;
	LIST_HEAD(objects);

	/* Whoever still comes finds nothing. */
	raw_spin_lock_irqsave(&l->lock, flags);
	list_splice_init(&l->objects, &objects);
	INIT_LIST_HEAD(&l->pool);
	l->tree = RB_ROOT;
	l->other = (struct kmm_leak_range) { ULONG_MAX, ULONG_MAX };
	l->nr_objects = 0;
	l->nr_pool = 0;
	l->nr_all = 0;
	c = l->chunks;
	l->chunks = NULL;
	raw_spin_unlock_irqrestore(&l->lock, flags);
	list_for_each_entry(o, &objects, node)
		leak_free_areas(o->areas);
	for (; c; c = next) {
		next = c->next;
		kvfree(c);
	}
}

/*
 * It cannot go on: an allocation was missed. Any context; the rest is done by the work item.
 * @l->lock is held.
 */
static void leak_fail_locked(struct kmm_leak *l, const char *why)
{
	lockdep_assert_held(&l->lock);
	if (!l->enabled)
		return;
	WRITE_ONCE(l->enabled, false);
	l->why_off = why;
	schedule_work(&l->off_work);
}

/* === The tree === */

/* The first object that ends behind @addr. */
static struct kmm_leak_object *leak_find_behind_locked(struct kmm_leak *l, unsigned long addr)
{
	struct rb_node *n = l->tree.rb_node;
	struct kmm_leak_object *o, *found = NULL;

	lockdep_assert_held(&l->lock);
	while (n) {
		o = rb_entry(n, struct kmm_leak_object, rb);
		if (addr < o->info.start + o->info.size) {
			found = o;
			n = n->rb_left;
		} else {
			n = n->rb_right;
		}
	}
	return found;
}

/**
 * kmm_leak_find_locked() - The object that an address is in.
 * @l: detector
 * @addr: address
 *
 * Context: the caller holds l->lock. Return: object, or NULL.
 */
struct kmm_leak_object *kmm_leak_find_locked(struct kmm_leak *l, unsigned long addr)
{
	struct kmm_leak_object *o = leak_find_behind_locked(l, addr);

	return o && o->info.start <= addr ? o : NULL;
}

/* The object that starts at @p. */
static struct kmm_leak_object *leak_find_start_locked(struct kmm_leak *l, const void *p)
{
	struct kmm_leak_object *o = kmm_leak_find_locked(l, (unsigned long)p);

	return o && o->info.start == (unsigned long)p ? o : NULL;
}

static void leak_insert_locked(struct kmm_leak *l, struct kmm_leak_object *new)
{
	struct rb_node **link = &l->tree.rb_node, *parent = NULL;
	struct kmm_leak_object *o;

	lockdep_assert_held(&l->lock);
	while (*link) {
		parent = *link;
		o = rb_entry(parent, struct kmm_leak_object, rb);
		link = new->info.start < o->info.start ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&new->rb, parent, link);
	rb_insert_color(&new->rb, &l->tree);
	list_add_tail(&new->node, &l->objects);
	l->nr_objects++;
	new->info.serial = ++l->serial;
	if (kmm_leak_in(&l->direct, new->info.start) || kmm_leak_in(&l->window, new->info.start))
		return;
	if (l->other.first == ULONG_MAX)
		l->other = (struct kmm_leak_range) { new->info.start, new->info.start };
	l->other.first = min(l->other.first, new->info.start);
	l->other.end = max(l->other.end, new->info.start + new->info.size);
}

/* Return: its scan areas, for leak_free_areas(). */
static struct kmm_leak_area *leak_remove_locked(struct kmm_leak *l, struct kmm_leak_object *o)
{
	struct kmm_leak_area *areas = o->areas;

	lockdep_assert_held(&l->lock);
	rb_erase(&o->rb, &l->tree);
	list_del(&o->node);
	list_del(&o->gray);
	o->areas = NULL;
	l->nr_objects--;
	leak_pool_put_locked(l, o);
	return areas;
}

/* === Tracking === */

/*
 * Was there a free that nobody told of? What is given out now is the truth. Early objects may be
 * stale: see kmm_leak_track_early().
 */
static struct kmm_leak_area *leak_drop_overlaps_locked(struct kmm_leak *l, unsigned long start,
						       unsigned long size)
{
	struct kmm_leak_area *areas = NULL, *last;
	struct kmm_leak_object *o;

	while ((o = leak_find_behind_locked(l, start)) && o->info.start < start + size) {
		if (!(o->info.flags & LEAK_EARLY))
			pr_warn_ratelimited("0x%lx (size %lu) overlaps 0x%lx (size %lu), which is dropped\n",
					    start, size, o->info.start, o->info.size);
		last = leak_remove_locked(l, o);
		while (last) {
			struct kmm_leak_area *next = last->next;

			last->next = areas;
			areas = last;
			last = next;
		}
	}
	return areas;
}

static void leak_note_task(struct kmm_leak_info *info)
{
	info->jiffies = jiffies;
	if (in_task()) {
		info->pid = current->pid;
		memcpy(info->comm, current->comm, sizeof(info->comm));
		info->comm[sizeof(info->comm) - 1] = 0;
	} else {
		strscpy(info->comm, in_hardirq() ? "hardirq" : "softirq", sizeof(info->comm));
	}
}

/**
 * kmm_leak_track() - A client takes memory.
 * @l: detector
 * @p: first byte
 * @size: bytes
 * @min_count: KMM_LEAK_*
 * @gfp: what the client allowed
 *
 * Context: any but NMI; sleeps only if @gfp allows.
 */
void kmm_leak_track(struct kmm_leak *l, const void *p, size_t size, int min_count, gfp_t gfp)
{
	struct kmm_leak_info info = {
		.start = (unsigned long)p, .size = size, .min_count = min_count,
	};
	struct kmm_leak_area *areas = NULL;
	struct kmm_leak_object *o;
	unsigned long flags;

	if (!size || !READ_ONCE(l->enabled) || in_nmi())
		return;
	leak_note_task(&info);
	info.stack = kmm_depot_save_caller(&kmm_stacks);
	leak_pool_prepare(l, gfp);
	raw_spin_lock_irqsave(&l->lock, flags);
	if (l->enabled) {
		areas = leak_drop_overlaps_locked(l, info.start, size);
		o = leak_pool_get_locked(l);
		if (o) {
			o->info = info;
			leak_insert_locked(l, o);
		} else {
			leak_fail_locked(l, "no memory for its objects");
		}
	}
	raw_spin_unlock_irqrestore(&l->lock, flags);
	leak_free_areas(areas);
}
KMM_EXPORT_INTERNAL(kmm_leak_track);

/**
 * kmm_leak_track_early() - Memory that was in use before tracking began.
 * @l: detector
 * @p: first byte
 * @size: bytes
 *
 * It is gray, and it may be stale: between whoever looked and this call it can have been freed. So
 * it gives way to what is known, and to what comes later.
 *
 * Context: l->early(), may sleep.
 */
void kmm_leak_track_early(struct kmm_leak *l, const void *p, size_t size)
{
	struct kmm_leak_object *o;
	unsigned long flags;

	leak_pool_prepare(l, GFP_KERNEL);
	raw_spin_lock_irqsave(&l->lock, flags);
	o = leak_find_behind_locked(l, (unsigned long)p);
	if (l->enabled && (!o || o->info.start >= (unsigned long)p + size)) {
		o = leak_pool_get_locked(l);
		if (o) {
			o->info.start = (unsigned long)p;
			o->info.size = size;
			o->info.flags = LEAK_EARLY;
			o->info.jiffies = jiffies;
			strscpy(o->info.comm, "early", sizeof(o->info.comm));
			leak_insert_locked(l, o);
		} else {
			leak_fail_locked(l, "no memory for its objects");
		}
	}
	raw_spin_unlock_irqrestore(&l->lock, flags);
}
KMM_EXPORT_INTERNAL(kmm_leak_track_early);

/* [start, end) of @o is free: what stays of it are up to two objects. */
static struct kmm_leak_area *leak_cut_locked(struct kmm_leak *l, struct kmm_leak_object *o,
					     unsigned long start, unsigned long end)
{
	struct kmm_leak_info info = o->info;
	unsigned long old_end = info.start + info.size;
	struct kmm_leak_area *areas = leak_remove_locked(l, o);

	if (info.start < start) {
		/* The one that was just put back. */
		o = leak_pool_get_locked(l);
		o->info = info;
		o->info.size = start - info.start;
		leak_insert_locked(l, o);
	}
	if (end < old_end) {
		o = leak_pool_get_locked(l);
		if (o) {
			o->info = info;
			o->info.start = end;
			o->info.size = old_end - end;
			leak_insert_locked(l, o);
		} else {
			leak_fail_locked(l, "no memory for its objects");
		}
	}
	return areas;
}

/**
 * kmm_leak_forget() - Memory comes back.
 * @l: detector
 * @p: first byte
 * @size: bytes; part of an object is possible, 0: the object that starts at @p. Of what is not
 *	tracked nothing is done
 *
 * Context: any but NMI; before anybody else can get the memory.
 */
void kmm_leak_forget(struct kmm_leak *l, const void *p, size_t size)
{
	unsigned long start = (unsigned long)p, end = start + size, flags;
	struct kmm_leak_area *areas = NULL;
	struct kmm_leak_object *o;

	if (!READ_ONCE(l->enabled) || in_nmi())
		return;
	raw_spin_lock_irqsave(&l->lock, flags);
	o = kmm_leak_find_locked(l, start);
	if (o && !size && o->info.start == start)
		end = start + o->info.size;
	if (o && end > start)
		areas = leak_cut_locked(l, o, start, end);
	raw_spin_unlock_irqrestore(&l->lock, flags);
	leak_free_areas(areas);
}
KMM_EXPORT_INTERNAL(kmm_leak_forget);

/**
 * kmm_leak_paint() - Say how many pointers to an object there must be.
 * @l: detector
 * @p: its first byte
 * @min_count: KMM_LEAK_*
 *
 * Context: any but NMI. Return: 0; -ENOENT when there is none.
 */
int kmm_leak_paint(struct kmm_leak *l, const void *p, int min_count)
{
	struct kmm_leak_object *o;
	unsigned long flags;

	raw_spin_lock_irqsave(&l->lock, flags);
	o = leak_find_start_locked(l, p);
	if (o)
		o->info.min_count = min_count;
	raw_spin_unlock_irqrestore(&l->lock, flags);
	return o ? 0 : -ENOENT;
}
KMM_EXPORT_INTERNAL(kmm_leak_paint);

/**
 * kmm_leak_no_scan() - What is in an object are no pointers.
 * @l: detector
 * @p: its first byte
 *
 * Context: any but NMI. Return: 0; -ENOENT when there is none.
 */
int kmm_leak_no_scan(struct kmm_leak *l, const void *p)
{
	struct kmm_leak_object *o;
	unsigned long flags;

	raw_spin_lock_irqsave(&l->lock, flags);
	o = leak_find_start_locked(l, p);
	if (o)
		o->info.flags |= LEAK_NO_SCAN;
	raw_spin_unlock_irqrestore(&l->lock, flags);
	return o ? 0 : -ENOENT;
}
KMM_EXPORT_INTERNAL(kmm_leak_no_scan);

/**
 * kmm_leak_scan_area() - Pointers are only in these parts of an object.
 * @l: detector
 * @p: first byte of a part
 * @size: its bytes; SIZE_MAX: to the object's end
 * @gfp: for the host memory of a few words; without it the whole object is scanned
 *
 * Context: any but NMI; sleeps only if @gfp allows. Return: 0; -ENOENT when no object has all of
 * the part.
 */
int kmm_leak_scan_area(struct kmm_leak *l, const void *p, size_t size, gfp_t gfp)
{
	struct kmm_leak_area *a = kmm_should_fail() ? NULL : kmalloc(sizeof(*a), leak_gfp(gfp));
	unsigned long start = (unsigned long)p, flags, end;
	struct kmm_leak_object *o;
	int err = -ENOENT;

	raw_spin_lock_irqsave(&l->lock, flags);
	o = kmm_leak_find_locked(l, start);
	end = o ? o->info.start + o->info.size : 0;
	if (size == SIZE_MAX && o)
		size = end - start;
	if (o && size <= end - start) {
		err = 0;
		if (a) {
			a->next = o->areas;
			a->start = start;
			a->size = size;
			o->areas = a;
			a = NULL;
		} else {
			o->info.flags |= LEAK_FULL_SCAN;
		}
	}
	raw_spin_unlock_irqrestore(&l->lock, flags);
	kfree(a);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_leak_scan_area);

/**
 * kmm_leak_update_trace() - The stack that is told for an object is to be this one.
 * @l: detector
 * @p: its first byte
 *
 * Context: any but NMI. Return: 0; -ENOENT when there is none.
 */
int kmm_leak_update_trace(struct kmm_leak *l, const void *p)
{
	struct kmm_leak_object *o;
	unsigned long flags;
	u32 stack;

	stack = kmm_depot_save_caller(&kmm_stacks);
	raw_spin_lock_irqsave(&l->lock, flags);
	o = leak_find_start_locked(l, p);
	if (o)
		o->info.stack = stack;
	raw_spin_unlock_irqrestore(&l->lock, flags);
	return o ? 0 : -ENOENT;
}
KMM_EXPORT_INTERNAL(kmm_leak_update_trace);

/* === Hooks: @r's detector, if it is on === */

/**
 * kmm_leak_page_client() - A client takes a block.
 * @r: region
 * @page: first page
 * @order: log2 of pages
 * @gfp: what the client allowed
 *
 * Context: @gfp's.
 */
void kmm_leak_page_client(const struct kmm_region *r, struct page *page, unsigned int order,
			  gfp_t gfp)
{
	if (kmm_leak_wants(r->leak))
		kmm_leak_track(r->leak, page_address(page), PAGE_SIZE << order, KMM_LEAK_WHITE,
			       gfp);
}

/**
 * kmm_leak_page_free() - A block comes back.
 * @r: region
 * @page: first page
 * @order: log2 of pages
 *
 * Context: any.
 */
void kmm_leak_page_free(const struct kmm_region *r, struct page *page, unsigned int order)
{
	if (kmm_leak_wants(r->leak))
		kmm_leak_forget(r->leak, page_address(page), PAGE_SIZE << order);
}

/**
 * kmm_leak_page_split() - A used block becomes single pages.
 * @r: region
 * @page: first page
 * @order: log2 of pages
 *
 * If it is tracked, each of them is from now on.
 *
 * Context: any.
 */
void kmm_leak_page_split(const struct kmm_region *r, struct page *page, unsigned int order)
{
	struct kmm_leak *l = r->leak;
	unsigned long start = (unsigned long)page_address(page), flags;
	struct kmm_leak_area *areas = NULL;
	struct kmm_leak_object *o;
	struct kmm_leak_info info;
	unsigned int i;

	if (!kmm_leak_wants(l))
		return;
	raw_spin_lock_irqsave(&l->lock, flags);
	o = leak_find_start_locked(l, (void *)start);
	if (o && o->info.size == PAGE_SIZE << order) {
		info = o->info;
		info.size = PAGE_SIZE;
		areas = leak_remove_locked(l, o);
		for (i = 0; i < 1U << order && l->enabled; i++, info.start += PAGE_SIZE) {
			o = leak_pool_get_locked(l);
			if (!o) {
				leak_fail_locked(l, "no memory for its objects");
				break;
			}
			o->info = info;
			leak_insert_locked(l, o);
		}
	}
	raw_spin_unlock_irqrestore(&l->lock, flags);
	leak_free_areas(areas);
}

/**
 * kmm_leak_object_alloc() - An object, or large kmalloc memory, goes out.
 * @s: its cache; of large memory object_size is 0
 * @obj: object
 * @size: bytes that kmalloc was asked for, or 0
 * @gfp: what the client allowed
 *
 * Context: @gfp's.
 */
void kmm_leak_object_alloc(const struct kmm_cache *s, const void *obj, size_t size, gfp_t gfp)
{
	struct kmm_leak *l = s->slab->region->leak;

	if (kmm_leak_wants(l) && !(s->flags & SLAB_NOLEAKTRACE))
		kmm_leak_track(l, obj, s->object_size ?: size, KMM_LEAK_WHITE, gfp);
}

/**
 * kmm_leak_object_free() - It comes back.
 * @s: its cache
 * @obj: object
 *
 * Context: any.
 */
void kmm_leak_object_free(const struct kmm_cache *s, const void *obj)
{
	struct kmm_leak *l = s->slab->region->leak;

	if (kmm_leak_wants(l))
		kmm_leak_forget(l, obj, 0);
}

/**
 * kmm_leak_object_stray() - What is no object of a slab comes back: kfence's, or anything.
 * @sl: slab allocator
 * @obj: any address
 *
 * Context: any.
 */
void kmm_leak_object_stray(const struct kmm_slab *sl, const void *obj)
{
	if (kmm_leak_wants(sl->region->leak))
		kmm_leak_forget(sl->region->leak, obj, 0);
}

/**
 * kmm_leak_vmap_alloc() - An area of vmalloc goes out.
 * @r: region
 * @addr: its start
 * @size_bytes: bytes, without the guard page
 * @gfp: what the client allowed
 *
 * Context: @gfp's.
 */
void kmm_leak_vmap_alloc(const struct kmm_region *r, const void *addr, size_t size_bytes, gfp_t gfp)
{
	if (kmm_leak_wants(r->leak))
		kmm_leak_track(r->leak, addr, size_bytes, KMM_LEAK_WHITE, gfp);
}

/**
 * kmm_leak_vmap_free() - It comes back.
 * @r: region
 * @addr: its start
 *
 * Context: any but NMI.
 */
void kmm_leak_vmap_free(const struct kmm_region *r, const void *addr)
{
	if (kmm_leak_wants(r->leak))
		kmm_leak_forget(r->leak, addr, 0);
}

/* === Telling === */

/**
 * kmm_leak_next_locked() - The next of the leaks that were reported and not cleared.
 * @l: detector
 * @serial: the first that is wanted
 * @info: a copy of what is known
 *
 * Context: task, may sleep; the caller holds l->mutex. Return: false when there is none.
 */
bool kmm_leak_next_locked(struct kmm_leak *l, u64 serial, struct kmm_leak_info *info)
{
	struct kmm_leak_object *o;
	unsigned long flags;
	bool found = false;

	lockdep_assert_held(&l->mutex);
	raw_spin_lock_irqsave(&l->lock, flags);
	while ((o = kmm_leak_walk_next(l, &flags))) {
		if (o->info.serial < serial || !(o->info.flags & LEAK_REPORTED) ||
		    !kmm_leak_is_unreferenced(l, o))
			continue;
		*info = o->info;
		kmm_leak_walk_end(l);
		found = true;
		break;
	}
	raw_spin_unlock_irqrestore(&l->lock, flags);
	return found;
}
KMM_EXPORT_INTERNAL(kmm_leak_next_locked);

/**
 * kmm_leak_clear() - What was reported is no leak; when it is off: forget everything.
 * @l: detector
 *
 * Context: task, may sleep.
 */
void kmm_leak_clear(struct kmm_leak *l)
{
	struct kmm_leak_object *o;
	unsigned long flags;

	mutex_lock(&l->mutex);
	if (!l->keyed) {
		leak_free_objects(l);
	} else {
		raw_spin_lock_irqsave(&l->lock, flags);
		while ((o = kmm_leak_walk_next(l, &flags)))
			if (o->info.flags & LEAK_REPORTED && kmm_leak_is_unreferenced(l, o))
				o->info.min_count = KMM_LEAK_GRAY;
		raw_spin_unlock_irqrestore(&l->lock, flags);
	}
	mutex_unlock(&l->mutex);
}
KMM_EXPORT_INTERNAL(kmm_leak_clear);

/**
 * kmm_leak_dump() - Log what is known of an object.
 * @l: detector
 * @addr: an address in it
 *
 * Context: task, may sleep. Return: 0; -EINVAL when there is none.
 */
int kmm_leak_dump(struct kmm_leak *l, unsigned long addr)
{
	struct kmm_leak_info info = { };
	struct kmm_leak_object *o;
	unsigned long flags;

	raw_spin_lock_irqsave(&l->lock, flags);
	o = kmm_leak_find_locked(l, addr);
	if (o)
		info = o->info;
	raw_spin_unlock_irqrestore(&l->lock, flags);
	if (!o) {
		pr_info("Unknown object at 0x%08lx\n", addr);
		return -EINVAL;
	}
	pr_notice("Object 0x%08lx (size %lu):\n", info.start, info.size);
	pr_notice("  comm \"%s\", pid %d, jiffies %lu\n", info.comm, info.pid, info.jiffies);
	pr_notice("  min_count = %d\n", info.min_count);
	pr_notice("  count = %d\n", info.count);
	pr_notice("  flags = 0x%x\n", info.flags);
	pr_notice("  checksum = %u\n", info.checksum);
	pr_notice("  backtrace:\n");
	kmm_depot_print(&kmm_stacks, info.stack);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_leak_dump);

/**
 * kmm_leak_get_stat() - What the detector costs and finds.
 * @l: detector
 * @st: filled
 *
 * Context: task, may sleep.
 */
void kmm_leak_get_stat(struct kmm_leak *l, struct kmm_leak_stat *st)
{
	struct kmm_leak_object *o;
	unsigned long flags;

	mutex_lock(&l->mutex);
	*st = l->stat;
	st->min_age_ms = READ_ONCE(*l->min_age_ms);
	raw_spin_lock_irqsave(&l->lock, flags);
	st->nr_gray = 0;
	while ((o = kmm_leak_walk_next(l, &flags)))
		st->nr_gray += o->info.min_count <= KMM_LEAK_GRAY;
	st->nr_objects = l->nr_objects;
	st->nr_pool = l->nr_pool;
	st->max_objects = leak_max_objects(l);
	st->host_bytes = l->nr_all / LEAK_CHUNK_OBJECTS * sizeof(struct kmm_leak_chunk);
	st->enabled = l->enabled;
	st->why_off = l->why_off;
	raw_spin_unlock_irqrestore(&l->lock, flags);
	mutex_unlock(&l->mutex);
}
KMM_EXPORT_INTERNAL(kmm_leak_get_stat);

/**
 * kmm_leak_check() - Prove the invariants.
 * @l: detector
 *
 * Context: task; for tests. Return: violations.
 */
unsigned long kmm_leak_check(struct kmm_leak *l)
{
	unsigned long flags, end = 0, in_tree = 0, in_list = 0, in_pool = 0, bad = 0;
	struct kmm_leak_object *o;
	struct rb_node *n;

	mutex_lock(&l->mutex);
	raw_spin_lock_irqsave(&l->lock, flags);
	for (n = rb_first(&l->tree); n; n = rb_next(n)) {
		o = rb_entry(n, struct kmm_leak_object, rb);
		bad += o->info.start < end || !o->info.serial || !o->info.size;
		end = o->info.start + o->info.size;
		in_tree++;
	}
	list_for_each_entry(o, &l->objects, node)
		in_list++;
	list_for_each_entry(o, &l->pool, node)
		in_pool++;
	bad += in_tree != l->nr_objects || in_list != l->nr_objects || in_pool != l->nr_pool;
	bad += l->nr_objects + l->nr_pool != l->nr_all;
	bad += !list_empty(&l->gray);
	raw_spin_unlock_irqrestore(&l->lock, flags);
	mutex_unlock(&l->mutex);
	if (bad)
		pr_err("check: %lu violations; %lu in the tree, %lu in the list (says %lu), pool %lu (says %lu)\n",
		       bad, in_tree, in_list, l->nr_objects, in_pool, l->nr_pool);
	return bad;
}
KMM_EXPORT_INTERNAL(kmm_leak_check);

/* === Life === */

/* Nobody tracks any more; what is known stays. */
static void leak_off_locked(struct kmm_leak *l)
{
	lockdep_assert_held(&l->mutex);
	if (!l->keyed)
		return;
	kmm_leak_thread_stop_locked(l);
	kmm_hooks_off(&kmm_leak_key, LEAK_PATHS);
	l->keyed = false;
	pr_info("Kernel memory leak detector disabled: %s\n", l->why_off);
}

static void leak_off_work(struct work_struct *work)
{
	struct kmm_leak *l = container_of(work, struct kmm_leak, off_work);

	mutex_lock(&l->mutex);
	if (!READ_ONCE(l->enabled))
		leak_off_locked(l);
	mutex_unlock(&l->mutex);
}

/**
 * kmm_leak_off() - Stop tracking.
 * @l: detector
 * @why: for people; a constant
 *
 * What was reported can still be read, until kmm_leak_clear() or kmm_leak_on().
 *
 * Context: task, may sleep.
 */
void kmm_leak_off(struct kmm_leak *l, const char *why)
{
	unsigned long flags;

	mutex_lock(&l->mutex);
	raw_spin_lock_irqsave(&l->lock, flags);
	if (l->enabled)
		l->why_off = why;
	WRITE_ONCE(l->enabled, false);
	raw_spin_unlock_irqrestore(&l->lock, flags);
	leak_off_locked(l);
	mutex_unlock(&l->mutex);
}
KMM_EXPORT_INTERNAL(kmm_leak_off);

static int leak_on_locked(struct kmm_leak *l)
{
	int err;

	lockdep_assert_held(&l->mutex);
	if (l->keyed && READ_ONCE(l->enabled))
		return 0;
	leak_off_locked(l);
	leak_free_objects(l);
	if (!l->buf) {
		l->buf = kmm_should_fail() ? NULL : kmalloc(LEAK_BUF_BYTES, GFP_KERNEL_ACCOUNT);
		if (!l->buf)
			return -ENOMEM;
	}
	do {
		err = leak_pool_grow(l, GFP_KERNEL);
		if (err)
			goto free;
	} while (l->nr_pool < 2 * LEAK_POOL_LOW);
	err = kmm_stacks_get();
	if (err)
		goto free;
	l->stat.nr_scans = 0;
	l->stat.nr_leaks = 0;
	l->stat.last_bytes = 0;
	l->stat.last_ns = 0;
	/* What is seen to be taken must be seen to be freed: first all hooks, then this. */
	kmm_hooks_on(&kmm_leak_key, LEAK_PATHS);
	l->keyed = true;
	WRITE_ONCE(l->enabled, true);
	/* From here on all is tracked; what came before is found now. */
	if (l->early)
		l->early(l->ctx, l);
	err = READ_ONCE(l->enabled) ? kmm_leak_thread_start_locked(l) : -ENOMEM;
	if (!err)
		return 0;
	WRITE_ONCE(l->enabled, false);
	l->why_off = "it could not be started";
	leak_off_locked(l);
free:
	leak_free_objects(l);
	return err;
}

/**
 * kmm_leak_on() - Start tracking.
 * @l: detector
 *
 * What is in use now becomes gray. What was known from before is forgotten.
 *
 * Context: task, may sleep. Return: 0; -ENOMEM, -ENOSPC: there is no memory for the objects.
 */
int kmm_leak_on(struct kmm_leak *l)
{
	int err;

	mutex_lock(&l->mutex);
	err = leak_on_locked(l);
	mutex_unlock(&l->mutex);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_leak_on);

/**
 * kmm_leak_init() - kmemleak_init(): a detector that is off.
 * @l: detector, zeroed; @l->early, @l->ctx and @l->max_objects may be set
 * @r: region
 *
 * Context: task. It cannot fail.
 */
void kmm_leak_init(struct kmm_leak *l, const struct kmm_region *r)
{
	const struct kmm_extent *first = &r->extents[0], *last = &r->extents[r->nr_extents - 1];
	unsigned long end_pfn = last->start_pfn + last->nr_pages;

	l->region = r;
	l->direct.first = (unsigned long)pfn_to_kaddr(first->start_pfn);
	l->direct.end = (unsigned long)pfn_to_kaddr(end_pfn - 1) + PAGE_SIZE;
	l->pages.first = (unsigned long)pfn_to_page(first->start_pfn);
	l->pages.end = (unsigned long)(pfn_to_page(end_pfn - 1) + 1);
	l->window.first = (unsigned long)r->window;
	l->window.end = l->window.first + (r->window ? r->window_pages << PAGE_SHIFT : 0);
	raw_spin_lock_init(&l->lock);
	mutex_init(&l->mutex);
	INIT_LIST_HEAD(&l->objects);
	INIT_LIST_HEAD(&l->gray);
	INIT_LIST_HEAD(&l->pool);
	INIT_LIST_HEAD(&l->roots);
	INIT_LIST_HEAD(&l->cursor);
	INIT_WORK(&l->off_work, leak_off_work);
	INIT_WORK(&l->refill_work, leak_refill_work);
	l->other = (struct kmm_leak_range) { ULONG_MAX, ULONG_MAX };
	l->stat.min_age_ms = KMM_LEAK_MIN_AGE_MS;
	l->min_age_ms = &l->stat.min_age_ms;
	l->stat.scan_secs = KMM_LEAK_SCAN_SECS;
	l->stat.stack_scan = true;
}
KMM_EXPORT_INTERNAL(kmm_leak_init);

/**
 * kmm_leak_fini() - The end of a detector.
 * @l: detector; nobody allocates any more
 *
 * Context: task, may sleep.
 */
void kmm_leak_fini(struct kmm_leak *l)
{
	kmm_leak_off(l, "unloaded");
	cancel_work_sync(&l->off_work);
	cancel_work_sync(&l->refill_work);
	mutex_lock(&l->mutex);
	leak_free_objects(l);
	mutex_unlock(&l->mutex);
	kfree(l->buf);
	l->buf = NULL;
	mutex_destroy(&l->mutex);
}
KMM_EXPORT_INTERNAL(kmm_leak_fini);
