// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The slab allocator
 *
 * Objects of one size (a cache) out of blocks of the buddy (slabs). Three levels, from fast to
 * far (Bonwick and Adams 2001, "Magazines and Vmem"; Linux, mm/slab.c and mm/slub.c)::
 *
 *	stack	one per CPU, an array of pointers to free objects. Both halves of it play the
 *		two magazines: an empty stack takes half its size, a full one gives its older
 *		half, so a CPU at either edge does half a stack of work before it is there again
 *	depot	one per cache: free objects on their way between CPUs, in batches
 *	slabs	what is free in a slab is a bit. A refill takes all of a partial slab before it
 *		looks at the next, so that objects that are used together lie together
 *
 * States of an object, and who owns it: used (the client), stacked (a CPU), in the depot, in
 * its slab (a set free bit; the cache's lock). Only objects in their slab count as free there.
 *
 * Capacities. A stack holds 16 KiB of objects, but at most 256 (2 KiB of pointers, a burst of
 * 256 stays inside) and at least 8; the depot four stacks, at most 256 KiB of objects. So an
 * idle cache keeps at most 16 KiB a CPU and 64 KiB (8 objects, if they are larger) back, and
 * kmm_cache_shrink() and the shrinker empty both.
 *
 * No freelist. A free object holds no pointer and no index: there is nothing in it that an
 * overflow could bend. It holds one word, the free word, random key ^ address, that is
 * destroyed when the object goes out. A free that finds it intact is a double free.
 * Every free looks up the page's cache: a pointer that is not in a slab of this cache is
 * refused, never followed. A hardened cache (slab_hardened) also has a bit per object that a
 * client has, so that the free word need not be intact, and shuffles what it takes from its
 * slabs. For caches with a constructor or SLAB_TYPESAFE_BY_RCU the word stands
 * behind the object, whose contents are the client's also while it is free.
 *
 * Where things are. kmm_slab.cache_of has the cache of each frame of the region, kmm_slab.bits
 * the free bits of slabs with up to 64 objects (larger ones have them behind the last
 * object), by frame index. frame.next and .prev of a slab's first frame link the cache's lists,
 * frame.owner counts its free objects. So a slab has no header, and 64 objects of 64 bytes fill
 * a page.
 *
 * Diversion. kmm_slab_divert() makes the fast paths of all caches find a stack that is busy (a
 * plain store to each cache), so that they take their slow paths once, where debugging can serve a
 * request by other memory (kfence).
 *
 * Contexts. The stack is used with preemption off and its @depth raised, before the count
 * is read. An interrupt that finds it raised already takes and gives objects at the slabs,
 * under @lock with IRQs off. So every function works where Linux's does, NMI excluded. Stacks
 * of other CPUs are emptied by a work item on that CPU, so only where sleeping is allowed.
 *
 * Invariants (kmm_slab_check())
 *   - objects of all slabs == used + stacked + in the depot + free bits
 *   - frame.owner == number of free bits; a slab is on the list that this number names:
 *     none (full), partial, empty
 *   - cache_of is the cache for every frame of its slabs and NULL elsewhere
 *
 * Locks. kmm_slab.mutex (list of caches) -> kmm_cache.lock. The buddy is never called under
 * kmm_cache.lock.
 *
 * Parts: slabs and what is free in them are in slab/lists.c, the way back (emptying stacks, the
 * shrinker, CPUs that leave) in slab/drain.c, one cache's layout and life in slab/cache.c, the
 * allocator's in slab/life.c, figures and the proof of the invariants in slab/check.c.
 *
 * It deliberately does not: merge caches, NUMA nodes, accounting to memcgs.
 */

#define pr_fmt(fmt) "kmm: slab: " fmt

#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/sched/mm.h>
#include <linux/string.h>

#include <compat/compat.h>
#include <kmm/debug_objects.h>
#include <kmm/hardening.h>
#include <kmm/hooks.h>
#include <kmm/inject.h>
#include <kmm/report.h>
#include <kmm/slab_debug.h>
#include <trace/events/kmm.h>

#include "slab/internal.h"

/* === Data === */

/* Serves kmm_kmalloc() and its like; set before any client module can be loaded. */
static struct kmm_slab *kmm_client __read_mostly;

struct kmm_cache *kmm_kmalloc_caches[KMM_KMALLOC_NR] __read_mostly;
EXPORT_SYMBOL_GPL(kmm_kmalloc_caches);

/* === Bits of a hardened slab === */

/*
 * A hardened cache: the bit that is set while a client has @obj. Only starts of objects ever
 * get theirs set, so an address inside of one, which has another bit or is between two, never
 * finds it set; no division is needed.
 */
static __always_inline bool kmm_object_set_used(const struct kmm_cache *s, void *obj)
{
	return test_and_set_bit(((unsigned long)obj & s->mask) >> s->used_shift,
				kmm_slab_start(s, obj) + s->used);
}

static __always_inline bool kmm_object_clear_used(const struct kmm_cache *s, void *obj)
{
	unsigned long offset = (unsigned long)obj & s->mask, nr = offset >> s->used_shift;

	return likely(nr << s->used_shift == offset) &&
	       test_and_clear_bit(nr, kmm_slab_start(s, obj) + s->used);
}

/* === Reports === */

/**
 * kmm_report_free() - Count and log a refused free.
 * @sl: slab allocator
 * @s: cache that it was freed to; NULL: kfree
 * @obj: what was to be freed
 * @what: is wrong with it, an adjective
 * @ip: who freed it
 *
 * Context: any but NMI; no lock is held.
 */
noinline void kmm_report_free(struct kmm_slab *sl, const struct kmm_cache *s, const void *obj,
			      const char *what, unsigned long ip)
{
	const struct kmm_cache *owner = kmm_slab_cache_of(sl, obj);

	atomic_long_inc(&sl->nr_bad);
	if (!kmm_report_allowed(KMM_REPORT_SLAB))
		return;
	pr_err("==================================================================\n");
	pr_err("BUG: KMM: %s free in %pS\n\n", what, (void *)ip);
	pr_err("object %p of cache %s, freed to cache %s; nothing was freed\n\n", obj,
	       !owner ? "(none)" : owner == &sl->large ? "(page block)" : owner->name,
	       s ? s->name : "(kfree)");
	dump_stack();
	pr_err("==================================================================\n");
}

/* === Stacks === */

/* An empty stack takes a batch. The stack is ours. Return: objects on it now. */
static unsigned long kmm_stack_fill(struct kmm_cache *s, struct kmm_cache_cpu *c)
{
	unsigned long flags;
	unsigned int n;

	raw_spin_lock_irqsave(&s->lock, flags);
	n = min(s->nr_depot, s->batch);
	if (n) {
		s->nr_depot -= n;
		memcpy(c->obj + 1, s->depot + s->nr_depot, n * sizeof(*c->obj));
	} else {
		n = kmm_slabs_take(s, c->obj + 1, s->batch);
	}
	raw_spin_unlock_irqrestore(&s->lock, flags);
	c->nr = n;
	return n;
}

/* A full stack gives its older half. The stack is ours. */
static void kmm_stack_spill(struct kmm_cache *s, struct kmm_cache_cpu *c)
{
	unsigned int n = s->batch;
	unsigned long flags;
	bool fits;

	raw_spin_lock_irqsave(&s->lock, flags);
	fits = s->nr_depot + n <= s->cap_depot;
	if (fits) {
		memcpy(s->depot + s->nr_depot, c->obj + 1, n * sizeof(*c->obj));
		s->nr_depot += n;
	}
	raw_spin_unlock_irqrestore(&s->lock, flags);
	if (!fits)
		kmm_slabs_give(s, c->obj + 1, n);
	c->nr -= n;
	memmove(c->obj + 1, c->obj + 1 + n, c->nr * sizeof(*c->obj));
}

/* Preemption is off. Return: false when a task or interrupt below us is in the middle. */
static __always_inline bool kmm_stack_enter(struct kmm_cache_cpu __percpu *c)
{
	/* @depth first, then @nr: a barrier, pairs with interrupts on this CPU */
	return kmm_raw_cpu_incb_and_test(c->depth);
}

static __always_inline void kmm_stack_leave(struct kmm_cache_cpu __percpu *c)
{
	barrier();
	raw_cpu_dec(c->depth);
}

/**
 * kmm_stack_get() - This CPU's stack, with preemption off.
 * @s: cache
 *
 * Context: any but NMI. Return: the stack, until kmm_stack_put(); NULL when a task or an interrupt
 * below us is in the middle of it, and preemption is as it was.
 */
struct kmm_cache_cpu *kmm_stack_get(struct kmm_cache *s)
{
	preempt_disable();
	if (kmm_stack_enter(s->stacks))
		return raw_cpu_ptr(s->stacks);
	kmm_stack_leave(s->stacks);
	preempt_enable();
	return NULL;
}

/**
 * kmm_stack_put() - Undo kmm_stack_get().
 * @s: cache
 *
 * Context: after kmm_stack_get() that returned a stack.
 */
void kmm_stack_put(struct kmm_cache *s)
{
	kmm_stack_leave(s->stacks);
	preempt_enable();
}

/* An operation of a diverted cache was seen: no more are wanted. */
static noinline void kmm_cache_resume(struct kmm_cache *s)
{
	if (!kmm_hook_object_wanted(s->slab))
		WRITE_ONCE(s->cpu, s->stacks);
}

static __always_inline bool kmm_cache_is_diverted(const struct kmm_cache *s)
{
	return unlikely(READ_ONCE(s->cpu) != s->stacks);
}

/**
 * kmm_slab_divert() - The next operation of every cache takes the slow path.
 * @sl: slab allocator
 *
 * For kmm_hook_object_instead(), which is asked there: the fast paths find the stacks busy. The
 * first allocation from a cache ends it for this one.
 *
 * Context: may sleep.
 */
void kmm_slab_divert(struct kmm_slab *sl)
{
	struct kmm_cache *s;

	mutex_lock(&sl->mutex);
	list_for_each_entry(s, &sl->list, node)
		WRITE_ONCE(s->cpu, sl->busy);
	mutex_unlock(&sl->mutex);
}
KMM_EXPORT_INTERNAL(kmm_slab_divert);

/* === Slow paths === */

/* Small objects by words: less than what a call of memset() and its start-up cost. */
static __always_inline void kmm_object_zero(const struct kmm_cache *s, void *obj)
{
	unsigned int n = s->object_size;
	u64 *p = obj, *end;

	if (n > 256 || n % 32) {
		memset(obj, 0, n);
		return;
	}
	for (end = obj + n; p != end; p += 4) {
		p[0] = 0;
		p[1] = 0;
		p[2] = 0;
		p[3] = 0;
		barrier();	/* or the compiler makes it a call of memset() again */
	}
}

/* What a request wants done with its object before it gets it; NULL: it is damaged. */
static __always_inline void *kmm_object_out(struct kmm_cache *s, gfp_t gfp, void *obj,
					    size_t size, unsigned long ip)
{
	if (s->hard && kmm_object_set_used(s, obj)) {
		kmm_report_free(s->slab, s, obj, "(found at an allocation) earlier double", ip);
		return NULL;
	}
	if (unlikely(s->flags & KMM_SLAB_DEBUG_FLAGS) && !kmm_slab_debug_alloc(s, obj, ip))
		return NULL;
	if (static_branch_unlikely(&kmm_slab_hook_key))
		kmm_hook_object_alloc(s, obj, size, gfp, ip);
	*kmm_free_word(s, obj) = 0;
	if (gfp & __GFP_ZERO || (kmm_want_init_on_alloc(gfp) && s->may_init))
		kmm_object_zero(s, obj);
	return obj;
}

static __always_inline void *kmm_object_trace(struct kmm_cache *s, gfp_t gfp, void *obj,
					      size_t size, unsigned long ip)
{
	if (obj)
		obj = kmm_object_out(s, gfp, obj, size, ip);
	if (size)
		trace_kmalloc(ip, obj, size, s->size, gfp);
	else
		trace_kmem_cache_alloc(ip, obj, s->name, s->object_size, s->size, gfp);
	return obj;
}

static void *kmm_cache_alloc_good(struct kmm_cache *s, gfp_t gfp, size_t size, unsigned long ip);
static void kmm_cache_give(struct kmm_cache *s, void *obj);

/* Memory that is no object of a slab; NULL: none is wanted now. */
static void *kmm_object_instead(struct kmm_cache *s, gfp_t gfp, size_t size, unsigned long ip)
{
	void *obj = kmm_hook_object_instead(s, size, gfp);

	if (likely(!obj))
		return NULL;
	if (size)
		trace_kmalloc(ip, obj, size, s->size, gfp);
	else
		trace_kmem_cache_alloc(ip, obj, s->name, s->object_size, s->size, gfp);
	return obj;
}

/* A damaged object is dropped, the next one is tried. */
static noinline void *kmm_cache_alloc_traced(struct kmm_cache *s, gfp_t gfp, void *obj, size_t size)
{
	void *other = kmm_object_instead(s, gfp, size, _RET_IP_);

	if (other) {
		kmm_cache_give(s, obj);
		return other;
	}
	return kmm_object_trace(s, gfp, obj, size, _RET_IP_) ?:
	       kmm_cache_alloc_good(s, gfp, size, _RET_IP_);
}

/*
 * From the fast path, for more than to take: zeroing, hardening, trace. @size is 0 for
 * kmem_cache_alloc, else what kmalloc was asked for.
 */
static noinline void *kmm_cache_alloc_finish(struct kmm_cache *s, gfp_t gfp, void *obj, size_t size)
{
	if (static_branch_unlikely(&kmm_slab_hook_key))
		return kmm_cache_alloc_traced(s, gfp, obj, size);
	/* If it is set already, this finds and reports the same again. */
	if (s->hard && unlikely(kmm_object_set_used(s, obj)))
		return kmm_cache_alloc_traced(s, gfp, obj, size);
	*kmm_free_word(s, obj) = 0;
	if (gfp & __GFP_ZERO || (kmm_want_init_on_alloc(gfp) && s->may_init))
		kmm_object_zero(s, obj);
	return obj;
}

static void *kmm_cache_alloc_one(struct kmm_cache *s, gfp_t gfp)
{
	struct kmm_cache_cpu *c = s->cap ? kmm_stack_get(s) : NULL;
	void *obj = NULL;
	unsigned long flags;

	if (c) {
		if (c->nr || kmm_stack_fill(s, c))
			obj = c->obj[c->nr--];
		kmm_stack_put(s);
	} else {
		raw_spin_lock_irqsave(&s->lock, flags);
		if (s->nr_depot)
			obj = s->depot[--s->nr_depot];
		else
			kmm_slabs_take(s, &obj, 1);
		raw_spin_unlock_irqrestore(&s->lock, flags);
	}
	return obj ?: kmm_cache_grow(s, gfp);
}

/* What is damaged stays out for ever, and the next is tried. */
static void *kmm_cache_alloc_good(struct kmm_cache *s, gfp_t gfp, size_t size, unsigned long ip)
{
	void *obj, *good;

	do {
		obj = kmm_cache_alloc_one(s, gfp);
		good = kmm_object_trace(s, gfp, obj, size, ip);
	} while (obj && !good);
	return good;
}

static noinline void *kmm_cache_alloc_slow(struct kmm_cache *s, gfp_t gfp, size_t size)
{
	void *obj = kmm_object_instead(s, gfp, size, _RET_IP_);

	/* Also what could not be served, so that it is not asked again. */
	if (kmm_cache_is_diverted(s))
		WRITE_ONCE(s->cpu, s->stacks);
	return obj ?: kmm_cache_alloc_good(s, gfp, size, _RET_IP_);
}

/* The object is good: put it away. */
static void kmm_cache_give(struct kmm_cache *s, void *obj)
{
	struct kmm_cache_cpu *c = s->cap ? kmm_stack_get(s) : NULL;

	if (kmm_cache_is_diverted(s))
		kmm_cache_resume(s);
	if (!c)
		return kmm_slabs_give(s, &obj, 1);
	if (c->nr == s->cap)
		kmm_stack_spill(s, c);
	c->obj[++c->nr] = obj;
	kmm_stack_put(s);
}

/* Why @obj cannot be an object of @s; NULL if it can. */
static const char *kmm_free_wrong(const struct kmm_cache *s, const void *obj)
{
	const struct kmm_cache *owner = kmm_slab_cache_of(s->slab, obj);

	if (owner != s)
		return owner ? "wrong-cache" : "foreign";
	return kmm_object_nr(s, obj) < s->nr_per_slab ? NULL : "invalid";
}

/*
 * A free in full: every check, the report of a bad one, debugging, hardening, init_on_free, a
 * full stack. The caller traces it: a kfree() is no kmem_cache_free.
 */
static void kmm_cache_free_checked(struct kmm_cache *s, void *obj, unsigned long ip)
{
	const char *what;

	if (!obj)
		return;
	what = kmm_free_wrong(s, obj);
	/* what is refused stays as it is, its bit of a hardened slab too */
	if (!what && !kmm_debug_check_no_obj_freed(obj, s->object_size))
		return;
	if (!what && s->hard && !kmm_object_clear_used(s, obj))
		what = "double";
	if (!what && *kmm_free_word(s, obj) == kmm_free_mark(s, obj))
		what = "double";
	if (what) {
		if (!kmm_slab_cache_of(s->slab, obj) &&
		    kmm_hook_object_stray(s->slab, s, obj, ip))
			return;
		return kmm_report_free(s->slab, s, obj, what, ip);
	}
	if (static_branch_unlikely(&kmm_slab_hook_key))
		kmm_hook_object_free(s, obj, ip);
	if (s->flags & KMM_SLAB_DEBUG_FLAGS && !kmm_slab_debug_free(s, obj, ip))
		atomic_long_inc(&s->slab->nr_bad);
	if (kmm_want_init_on_free() && s->may_init)
		kmm_object_zero(s, obj);
	if (static_branch_unlikely(&kmm_slab_hook_key))
		kmm_hook_object_idle(s, obj);
	*kmm_free_word(s, obj) = kmm_free_mark(s, obj);
	kmm_cache_give(s, obj);
}

static noinline void kmm_cache_free_slow(struct kmm_cache *s, void *obj)
{
	trace_kmem_cache_free(_RET_IP_, obj, s->name);
	kmm_cache_free_checked(s, obj, _RET_IP_);
}

/* === Fast paths === */

/*
 * This CPU's stack has one. No call but tail calls, so no stack frame; a slow path that is
 * entered by a tail call finds the client in its own return address.
 */
static __always_inline void *kmm_cache_alloc_fast(struct kmm_cache *s, gfp_t gfp, size_t size)
{
	struct kmm_cache_cpu __percpu *c;
	void *obj;

	might_alloc(gfp);
	preempt_disable();
	c = READ_ONCE(s->cpu);
	if (unlikely(!kmm_stack_enter(c)))
		goto slow;
	obj = raw_cpu_read(c->obj[raw_cpu_read(c->nr)]);
	if (unlikely(!obj))
		goto slow;
	raw_cpu_dec(c->nr);
	kmm_stack_leave(c);
	preempt_enable();
	if (unlikely(gfp & __GFP_ZERO || static_branch_unlikely(&kmm_slab_key)))
		return kmm_cache_alloc_finish(s, gfp, obj, size);
	*kmm_free_word(s, obj) = 0;
	return obj;
slow:
	kmm_stack_leave(c);
	preempt_enable();
	return kmm_cache_alloc_slow(s, gfp, size);
}

static __always_inline bool kmm_cache_has_page(const struct kmm_cache *s, const void *obj)
{
	unsigned long i = ((unsigned long)obj - s->base) >> PAGE_SHIFT;

	/* a plain load: nobody else changes the entry of an object that is in use */
	return i < s->nr_map && s->map[i] == s;
}

/* All checks were made, but the stack is full or busy. */
static noinline void kmm_cache_give_marked(struct kmm_cache *s, void *obj)
{
	*kmm_free_word(s, obj) = kmm_free_mark(s, obj);
	kmm_cache_give(s, obj);
}

/*
 * An object in one of this cache's slabs: it is not free, and there is room for it. @checked:
 * that it is not free is known.
 */
static __always_inline void kmm_cache_put_fast(struct kmm_cache *s, void *obj, bool checked)
{
	unsigned long mark = kmm_free_mark(s, obj), *word = kmm_free_word(s, obj);
	struct kmm_cache_cpu __percpu *c;
	unsigned long nr;

	if (unlikely(!checked && *word == mark))
		return kmm_cache_free_slow(s, obj);
	preempt_disable();
	c = READ_ONCE(s->cpu);
	if (unlikely(!kmm_stack_enter(c)))
		goto slow;
	nr = raw_cpu_read(c->nr);
	if (unlikely(nr == s->cap))
		goto slow;
	*word = mark;
	raw_cpu_write(c->obj[nr + 1], obj);
	raw_cpu_inc(c->nr);
	kmm_stack_leave(c);
	preempt_enable();
	return;
slow:
	kmm_stack_leave(c);
	preempt_enable();
	if (checked)
		return kmm_cache_give_marked(s, obj);
	kmm_cache_free_slow(s, obj);
}

/* The key is on: hardening and init_on_free of a good object are still fast. */
static noinline void kmm_cache_free_keyed(struct kmm_cache *s, void *obj)
{
	/* No stack: a cache with debugging. */
	if (unlikely(!s->hard || !s->cap || !kmm_cache_has_page(s, obj) ||
		     static_branch_unlikely(&kmm_slab_hook_key)))
		return kmm_cache_free_slow(s, obj);
	/* If it is clear already, this finds and reports the same again. */
	if (unlikely(!kmm_object_clear_used(s, obj)))
		return kmm_cache_free_slow(s, obj);
	if (kmm_want_init_on_free() && s->may_init)
		kmm_object_zero(s, obj);
	kmm_cache_put_fast(s, obj, true);
}

/* === Objects === */

/**
 * kmm_cache_alloc() - kmem_cache_alloc() on kmm's region.
 * @s: cache
 * @gfp: Linux GFP flags
 *
 * Context: any but NMI; sleeps only if @gfp allows. Return: an object or NULL.
 */
void *kmm_cache_alloc(struct kmm_cache *s, gfp_t gfp)
{
	return kmm_cache_alloc_fast(s, gfp, 0);
}
EXPORT_SYMBOL_GPL(kmm_cache_alloc);

/**
 * kmm_cache_free() - kmem_cache_free() on kmm's region.
 * @s: cache
 * @obj: an object of it; NULL is ignored
 *
 * What is not an object of @s, or is free, is refused with a report.
 *
 * Context: any but NMI; does not sleep.
 */
void kmm_cache_free(struct kmm_cache *s, void *obj)
{
	if (static_branch_unlikely(&kmm_slab_key))
		return kmm_cache_free_keyed(s, obj);
	if (unlikely(!kmm_cache_has_page(s, obj)))
		return kmm_cache_free_slow(s, obj);
	kmm_cache_put_fast(s, obj, false);
}
EXPORT_SYMBOL_GPL(kmm_cache_free);

/* Take up to @nr objects off this CPU's stack, filling it if it is empty. */
static size_t kmm_stack_take(struct kmm_cache *s, size_t nr, void **obj)
{
	struct kmm_cache_cpu *c = kmm_stack_get(s);
	unsigned long offset = s->offset;
	void **top, **end;

	if (!c)
		return 0;
	if (!c->nr)
		kmm_stack_fill(s, c);
	nr = min(nr, c->nr);
	top = c->obj + c->nr;
	for (end = obj + nr; obj != end; obj++) {
		void *o = *top--;

		*(unsigned long *)(o + offset) = 0;
		*obj = o;
	}
	c->nr -= nr;
	kmm_stack_put(s);
	return nr;
}

/**
 * kmm_cache_alloc_bulk() - kmem_cache_alloc_bulk() on kmm's region.
 * @s: cache
 * @gfp: Linux GFP flags
 * @nr: objects wanted
 * @obj: filled
 *
 * Context: as kmm_cache_alloc(). Return: @nr, or 0 and nothing is allocated.
 */
int kmm_cache_alloc_bulk(struct kmm_cache *s, gfp_t gfp, size_t nr, void **obj)
{
	bool whole = true;
	size_t i = 0, j;

	might_alloc(gfp);
	if (kmm_cache_is_diverted(s) && nr) {
		obj[0] = kmm_cache_alloc_slow(s, gfp, 0);
		if (!obj[0])
			return 0;
		i = 1;
	}
	while (i < nr) {
		size_t n = kmm_stack_take(s, nr - i, obj + i);

		if (!n) {
			obj[i] = kmm_object_instead(s, gfp, 0, _RET_IP_) ?:
				 kmm_cache_alloc_good(s, gfp, 0, _RET_IP_);
			if (!obj[i])
				goto undo;
			i++;
			continue;
		}
		for (j = i; unlikely(gfp & __GFP_ZERO || static_branch_unlikely(&kmm_slab_key)) &&
		     j < i + n; j++) {
			void *other = kmm_object_instead(s, gfp, 0, _RET_IP_);

			if (other) {
				kmm_cache_give_marked(s, obj[j]);
				obj[j] = other;
				continue;
			}
			obj[j] = kmm_object_trace(s, gfp, obj[j], 0, _RET_IP_) ?:
				 kmm_cache_alloc_good(s, gfp, 0, _RET_IP_);
			whole &= !!obj[j];
		}
		i += n;
		if (unlikely(!whole))
			goto undo;
	}
	return nr;
undo:
	kmm_cache_free_bulk(s, i, obj);
	return 0;
}
EXPORT_SYMBOL_GPL(kmm_cache_alloc_bulk);

/* Push objects, room for them is there, until one needs the slow path. Return: how many. */
static __always_inline size_t kmm_stack_push(struct kmm_cache *s, void **top, size_t nr, void **obj)
{
	unsigned long offset = s->offset, key = s->key, last = ~(unsigned long)*obj;
	void **p, **end = obj + nr;

	for (p = obj; p != end; p++) {
		unsigned long o = (unsigned long)*p, mark = key ^ o;
		unsigned long *word = (unsigned long *)(o + offset);

		/* Neighbours in the array are often neighbours in a page. */
		if ((o ^ last) & PAGE_MASK) {
			if (unlikely(!kmm_cache_has_page(s, *p)))
				break;
			last = o;
		}
		if (unlikely(*word == mark))
			break;
		*word = mark;
		*++top = (void *)o;
	}
	return p - obj;
}

/* Put objects away until one needs the slow path. Return: how many. */
static size_t kmm_stack_give(struct kmm_cache *s, size_t nr, void **obj)
{
	struct kmm_cache_cpu *c = kmm_stack_get(s);
	size_t i = 0, n, done;

	if (!c)
		return 0;
	do {
		if (c->nr == s->cap)
			kmm_stack_spill(s, c);
		n = min(nr - i, s->cap - c->nr);
		done = kmm_stack_push(s, c->obj + c->nr, n, obj + i);
		c->nr += done;
		i += done;
	} while (done == n && i < nr);
	kmm_stack_put(s);
	return i;
}

/**
 * kmm_cache_free_bulk() - kmem_cache_free_bulk() on kmm's region.
 * @s: cache; NULL: the objects are from kmm_kmalloc() or of any cache
 * @nr: length of @obj
 * @obj: objects
 *
 * Context: as kmm_cache_free().
 */
void kmm_cache_free_bulk(struct kmm_cache *s, size_t nr, void **obj)
{
	bool fast = s && s->cap && !static_branch_unlikely(&kmm_slab_key);
	size_t i = 0, n, done;

	while (i < nr) {
		/* Not for ever with preemption off. */
		n = min_t(size_t, nr - i, KMM_SLAB_CPU_MAX);
		if (likely(fast)) {
			done = kmm_stack_give(s, n, obj + i);
			i += done;
			if (done == n)
				continue;
		}
		if (s) {
			trace_kmem_cache_free(_RET_IP_, obj[i], s->name);
			kmm_cache_free_checked(s, obj[i], _RET_IP_);
		} else {
			kmm_kfree(obj[i]);
		}
		i++;
	}
}
EXPORT_SYMBOL_GPL(kmm_cache_free_bulk);

/**
 * kmm_cache_size() - kmem_cache_size() on kmm's region.
 * @s: cache
 *
 * Context: any. Return: bytes that a client may use of an object.
 */
unsigned int kmm_cache_size(struct kmm_cache *s)
{
	return s->object_size;
}
EXPORT_SYMBOL_GPL(kmm_cache_size);

/* === kmalloc === */

static noinline void *kmm_kmalloc_large(struct kmm_slab *sl, size_t size, gfp_t gfp)
{
	unsigned int order = get_order(size);
	struct page *page = NULL;
	void *p = NULL;
	u32 index;

	if (order <= KMM_MAX_ORDER && !kmm_should_fail())
		page = kmm_buddy_alloc(sl->buddy, gfp & ~(__GFP_MOVABLE | __GFP_HIGHMEM), order);
	if (page) {
		p = page_address(page);
		kmm_addr_to_index(sl, p, &index);
		WRITE_ONCE(sl->cache_of[index], &sl->large);
		if (static_branch_unlikely(&kmm_slab_hook_key))
			kmm_hook_object_alloc(&sl->large, p, size, gfp, _RET_IP_);
	}
	trace_kmalloc(_RET_IP_, p, size, PAGE_SIZE << order, gfp);
	return p;
}

static __always_inline void *kmm_kmalloc_any(struct kmm_slab *sl, size_t size, gfp_t gfp)
{
	if (unlikely(size > KMM_KMALLOC_MAX_CACHE))
		return kmm_kmalloc_large(sl, size, gfp);
	if (unlikely(!size))
		return ZERO_SIZE_PTR;
	return kmm_cache_alloc_fast(sl->kmalloc[kmm_kmalloc_index(size)], gfp, size);
}

/* Not a plain object: large, foreign, traced, or nothing at all. */
static noinline void kmm_kfree_slow(struct kmm_slab *sl, const void *p)
{
	unsigned long ip = _RET_IP_;
	struct kmm_cache *s;
	struct page *page;
	u32 index;

	trace_kfree(ip, p);
	if (ZERO_OR_NULL_PTR(p))
		return;
	s = kmm_slab_cache_of(sl, p);
	if (!s) {
		if (kmm_hook_object_stray(sl, NULL, (void *)p, ip))
			return;
		return kmm_report_free(sl, NULL, p, "foreign", ip);
	}
	if (s != &sl->large)
		return kmm_cache_free_checked(s, (void *)p, ip);
	page = virt_to_page(p);
	kmm_addr_to_index(sl, p, &index);
	/* Of two racing frees one finds nothing. */
	if (!PAGE_ALIGNED(p) || cmpxchg(&sl->cache_of[index], s, NULL) != s)
		return kmm_report_free(sl, NULL, p, "invalid", ip);
	if (static_branch_unlikely(&kmm_slab_hook_key))
		kmm_hook_object_free(s, (void *)p, ip);
	kmm_buddy_free(sl->buddy, page, kmm_frame_order(&sl->region->frames[index]));
}

static __always_inline void kmm_kfree_any(struct kmm_slab *sl, const void *p)
{
	unsigned long i = ((unsigned long)p - sl->base) >> PAGE_SHIFT;
	struct kmm_cache *s;

	if (unlikely(i >= sl->nr_map || static_branch_unlikely(&kmm_slab_key)))
		return kmm_kfree_slow(sl, p);
	s = READ_ONCE(sl->cache_of[i]);
	if (unlikely(!s || s == &sl->large))
		return kmm_kfree_slow(sl, p);
	kmm_cache_put_fast(s, (void *)p, false);
}

/**
 * kmm_slab_kmalloc() - Memory of any size.
 * @sl: slab allocator
 * @size: bytes
 * @gfp: Linux GFP flags
 *
 * Context: as kmm_buddy_alloc(). Return: memory, NULL, or ZERO_SIZE_PTR for size 0.
 */
void *kmm_slab_kmalloc(struct kmm_slab *sl, size_t size, gfp_t gfp)
{
	return kmm_kmalloc_any(sl, size, gfp);
}
KMM_EXPORT_INTERNAL(kmm_slab_kmalloc);

/**
 * kmm_slab_kfree() - Free what kmm_slab_kmalloc() or any cache of @sl gave.
 * @sl: slab allocator
 * @p: memory, NULL or ZERO_SIZE_PTR
 *
 * Context: any but NMI.
 */
void kmm_slab_kfree(struct kmm_slab *sl, const void *p)
{
	kmm_kfree_any(sl, p);
}
KMM_EXPORT_INTERNAL(kmm_slab_kfree);

/**
 * kmm_slab_ksize() - Bytes that are really there.
 * @sl: slab allocator
 * @p: memory, NULL or ZERO_SIZE_PTR
 *
 * Context: any. Return: bytes; 0 for what is not ours.
 */
size_t kmm_slab_ksize(const struct kmm_slab *sl, const void *p)
{
	struct kmm_stray found;
	const struct kmm_cache *s;
	u32 index;

	if (ZERO_OR_NULL_PTR(p))
		return 0;
	if (kmm_hook_object_find(sl, p, &found))
		return found.size;
	s = kmm_slab_cache_of(sl, p);
	if (s && s != &sl->large)
		return s->object_size;
	if (!s || !kmm_addr_to_index(sl, p, &index))
		return 0;
	return PAGE_SIZE << kmm_frame_order(&sl->region->frames[index]);
}
KMM_EXPORT_INTERNAL(kmm_slab_ksize);

/**
 * kmm_slab_krealloc() - Another size for what kmm_slab_kmalloc() gave.
 * @sl: slab allocator
 * @p: memory, NULL or ZERO_SIZE_PTR
 * @new_size: bytes; 0 frees
 * @gfp: Linux GFP flags
 *
 * Context: as kmm_slab_kmalloc(). Return: memory with the old contents; NULL, and @p stays; or
 * ZERO_SIZE_PTR for @new_size 0.
 */
void *kmm_slab_krealloc(struct kmm_slab *sl, const void *p, size_t new_size, gfp_t gfp)
{
	size_t old = kmm_slab_ksize(sl, p);
	void *new;

	if (!new_size) {
		kmm_kfree_any(sl, p);
		return ZERO_SIZE_PTR;
	}
	if (old >= new_size)
		return (void *)p;
	new = kmm_kmalloc_any(sl, new_size, gfp);
	if (new && !ZERO_OR_NULL_PTR(p)) {
		memcpy(new, p, old);
		kmm_kfree_any(sl, p);
	}
	return new;
}
KMM_EXPORT_INTERNAL(kmm_slab_krealloc);

/**
 * kmm_slab_usercopy_ok() - May these bytes be copied to or from user space?
 * @sl: slab allocator
 * @p: first byte
 * @n: how many
 *
 * kmm's own copy paths ask this; it is what hardened usercopy asks of Linux's slabs.
 *
 * Context: any. Return: false for bytes outside of an object's user range.
 */
bool kmm_slab_usercopy_ok(const struct kmm_slab *sl, const void *p, size_t n)
{
	const struct kmm_cache *s = kmm_slab_cache_of(sl, p);
	struct kmm_stray found;
	const void *start;
	size_t offset;

	if (kmm_hook_object_find(sl, p, &found)) {
		s = found.cache;
		start = found.start;
		if (p < start || p > start + found.size || n > start + found.size - p)
			return false;
	} else {
		if (!s || s == &sl->large)
			return true;
		start = kmm_slab_object_start(s, p);
	}
	if (!s || !start)
		return false;
	offset = p - start;
	return offset >= s->useroffset && n <= s->usersize &&
	       offset - s->useroffset <= s->usersize - n;
}
KMM_EXPORT_INTERNAL(kmm_slab_usercopy_ok);

/* === Clients: Linux's functions, on the module's instance === */

/**
 * kmm_slab_set_client() - Choose the instance that serves the functions below.
 * @sl: slab allocator; NULL before it is destroyed
 */
void kmm_slab_set_client(struct kmm_slab *sl)
{
	int i;

	kmm_client = sl;
	for (i = 0; i < KMM_KMALLOC_NR; i++)
		kmm_kmalloc_caches[i] = sl ? sl->kmalloc[i] : NULL;
}

/**
 * kmm_cache_create_usercopy() - kmem_cache_create_usercopy() on kmm's region.
 * @name: shown in slabinfo; copied
 * @size: bytes of an object, at most 8192
 * @align: power of two or 0
 * @flags: Linux's SLAB_*; SLAB_PANIC fails with a message, never panics
 * @useroffset: first byte that kmm's copies to and from user space may touch
 * @usersize: how many
 * @ctor: called for each object of a new slab, or NULL
 *
 * Context: may sleep. Return: the cache or NULL.
 */
struct kmm_cache *kmm_cache_create_usercopy(const char *name, unsigned int size,
					    unsigned int align, slab_flags_t flags,
					    unsigned int useroffset, unsigned int usersize,
					    void (*ctor)(void *obj))
{
	const struct kmm_cache_args args = {
		.name = name, .size = size, .align = align, .flags = flags,
		.useroffset = useroffset, .usersize = usersize, .ctor = ctor,
	};
	struct kmm_cache *s = kmm_slab_cache_create(kmm_client, &args);

	if (!IS_ERR(s))
		return s;
	pr_err("cache %s of %u bytes could not be created (error %ld)\n", name ?: "(null)", size,
	       PTR_ERR(s));
	return NULL;
}
EXPORT_SYMBOL_GPL(kmm_cache_create_usercopy);

/**
 * kmm_cache_create() - kmem_cache_create() on kmm's region.
 * @name: shown in slabinfo; copied
 * @size: bytes of an object, at most 8192
 * @align: power of two or 0
 * @flags: Linux's SLAB_*
 * @ctor: called for each object of a new slab, or NULL
 *
 * Context: may sleep. Return: the cache or NULL.
 */
struct kmm_cache *kmm_cache_create(const char *name, unsigned int size, unsigned int align,
				   slab_flags_t flags, void (*ctor)(void *obj))
{
	return kmm_cache_create_usercopy(name, size, align, flags, 0, 0, ctor);
}
EXPORT_SYMBOL_GPL(kmm_cache_create);

/**
 * kmm_cache_destroy() - kmem_cache_destroy() on kmm's region.
 * @s: cache, or NULL
 *
 * With live objects it is refused with a report, and the cache stays usable.
 *
 * Context: may sleep.
 */
void kmm_cache_destroy(struct kmm_cache *s)
{
	if (s)
		kmm_slab_cache_destroy(s);
}
EXPORT_SYMBOL_GPL(kmm_cache_destroy);

/**
 * kmm_kmalloc_class() - kmm_kmalloc() of a size that is known when compiling.
 * @s: the class
 * @size: bytes
 * @gfp: Linux GFP flags
 *
 * Context: as kmm_cache_alloc(). Return: memory or NULL.
 */
void *kmm_kmalloc_class(struct kmm_cache *s, size_t size, gfp_t gfp)
{
	return kmm_cache_alloc_fast(s, gfp, size);
}
EXPORT_SYMBOL_GPL(kmm_kmalloc_class);

/**
 * __kmm_kmalloc() - kmm_kmalloc() of any size.
 * @size: bytes
 * @gfp: Linux GFP flags
 *
 * Context: as kmm_alloc_pages(). Return: memory, NULL, or ZERO_SIZE_PTR for size 0.
 */
void *__kmm_kmalloc(size_t size, gfp_t gfp)
{
	return kmm_kmalloc_any(kmm_client, size, gfp);
}
EXPORT_SYMBOL_GPL(__kmm_kmalloc);

/**
 * kmm_kfree() - kfree() on kmm's region.
 * @p: what kmm_kmalloc() or a cache gave; NULL and ZERO_SIZE_PTR are ignored
 *
 * Context: any but NMI.
 */
void kmm_kfree(const void *p)
{
	kmm_kfree_any(kmm_client, p);
}
EXPORT_SYMBOL_GPL(kmm_kfree);

/**
 * kmm_ksize() - ksize() on kmm's region.
 * @p: what kmm_kmalloc() gave
 *
 * Context: any. Return: bytes that may be used; 0 for what is not ours.
 */
size_t kmm_ksize(const void *p)
{
	return kmm_slab_ksize(kmm_client, p);
}
EXPORT_SYMBOL_GPL(kmm_ksize);

/**
 * kmm_krealloc() - krealloc() on kmm's region.
 * @p: what kmm_kmalloc() gave; NULL: a new one
 * @new_size: bytes; 0 frees
 * @gfp: Linux GFP flags
 *
 * Context: as kmm_kmalloc(). Return: memory with the old contents; NULL, and @p stays; or
 * ZERO_SIZE_PTR for @new_size 0.
 */
void *kmm_krealloc(const void *p, size_t new_size, gfp_t gfp)
{
	return kmm_slab_krealloc(kmm_client, p, new_size, gfp);
}
EXPORT_SYMBOL_GPL(kmm_krealloc);
