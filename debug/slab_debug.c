// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Debugging of objects
 *
 * For caches that ask for it by Linux's flags, what is around an object and what is in a free
 * one is known, and looked at whenever the object changes hands:
 *
 *	SLAB_RED_ZONE	bytes behind the object, SLUB_RED_ACTIVE while a client has it,
 *			SLUB_RED_INACTIVE while it is free: an overflow changes them
 *	SLAB_POISON	POISON_FREE all over a free object, POISON_END at its end: a write after the
 *			free changes them. Not with a constructor or SLAB_TYPESAFE_BY_RCU, whose
 *			contents are the client's
 *	SLAB_STORE_USER	who allocated it last and who freed it: caller, task, CPU, time, stack
 *
 * Layout: object, red zone (from the last byte of the object to the next word, and one
 * word), free word, two tracks. slab/cache.c has computed the offsets.
 *
 * Such caches have no stacks and no depot: every operation comes through here and is checked. A
 * damaged object found when it is about to go out is reported and never used again; one found
 * when it comes back is reported and, as SLUB does, mended and taken.
 *
 * Reports have the form of SLUB's: what, where and when it was allocated and freed, the bytes.
 *
 * Context: any; the object belongs to the caller. Locks: none. It deliberately does not check
 * objects that lie free: kmm_slab_check() counts, it does not read them.
 */

#define pr_fmt(fmt) fmt

#include <linux/jiffies.h>
#include <linux/poison.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/stacktrace.h>
#include <linux/string.h>

#include <kmm/slab.h>
#include <kmm/slab_debug.h>

static bool kmm_poisoned(const struct kmm_cache *s)
{
	return s->flags & SLAB_POISON && !s->ctor && !(s->flags & SLAB_TYPESAFE_BY_RCU);
}

static struct kmm_track *kmm_track(const struct kmm_cache *s, const void *obj,
				   enum kmm_track_kind kind)
{
	return (struct kmm_track *)(obj + s->track) + kind;
}

static void kmm_track_set(const struct kmm_cache *s, void *obj, enum kmm_track_kind kind,
			  unsigned long ip)
{
	struct kmm_track *t = kmm_track(s, obj, kind);

	if (!(s->flags & SLAB_STORE_USER))
		return;
	t->addr = ip;
	t->when = jiffies;
	t->pid = current->pid;
	t->cpu = raw_smp_processor_id();
	t->nr = stack_trace_save(t->stack, KMM_TRACK_DEPTH, 3);
}

static void kmm_track_print(const char *what, const struct kmm_track *t)
{
	unsigned int i;

	if (!t->addr)
		return;
	pr_err("%s in %pS age=%lu cpu=%u pid=%d\n", what, (void *)t->addr, jiffies - t->when,
	       t->cpu, t->pid);
	/* What wrote over the red zone may have written over this, too. */
	for (i = 0; i < min_t(unsigned int, t->nr, KMM_TRACK_DEPTH); i++)
		pr_err("\t%pS\n", (void *)t->stack[i]);
}

/**
 * kmm_slab_debug_track() - Who had an object last.
 * @s: cache
 * @obj: object of it
 * @kind: allocated or freed
 *
 * Context: any; the object may change meanwhile. Return: NULL when the cache does not keep it,
 * or it never happened.
 */
const struct kmm_track *kmm_slab_debug_track(const struct kmm_cache *s, const void *obj,
					     enum kmm_track_kind kind)
{
	const struct kmm_track *t = kmm_track(s, obj, kind);

	return s->flags & SLAB_STORE_USER && t->addr ? t : NULL;
}

/**
 * kmm_slab_debug_print_tracks() - Log who allocated and freed an object.
 * @s: cache
 * @obj: object of it
 *
 * Context: any.
 */
void kmm_slab_debug_print_tracks(const struct kmm_cache *s, const void *obj)
{
	if (!(s->flags & SLAB_STORE_USER))
		return;
	kmm_track_print("Allocated", kmm_track(s, obj, KMM_TRACK_ALLOC));
	kmm_track_print("Freed", kmm_track(s, obj, KMM_TRACK_FREE));
}

static void kmm_debug_report(const struct kmm_cache *s, const void *obj, const char *what,
			     const void *first, const void *last, u8 wanted)
{
	pr_err("=============================================================================\n");
	pr_err("BUG %s (kmm): %s\n", s->name, what);
	pr_err("-----------------------------------------------------------------------------\n\n");
	pr_err("0x%p-0x%p @offset=%td. First byte 0x%x instead of 0x%x\n", first, last, first - obj,
	       *(const u8 *)first, wanted);
	kmm_slab_debug_print_tracks(s, obj);
	pr_err("Object 0x%p size=%u\n\n", obj, s->object_size);
	print_hex_dump(KERN_ERR, "Object   ", DUMP_PREFIX_OFFSET, 16, 1, obj,
		       min(s->object_size, 128U), true);
	if (s->flags & SLAB_RED_ZONE)
		print_hex_dump(KERN_ERR, "Redzone  ", DUMP_PREFIX_OFFSET, 16, 1,
			       obj + s->object_size, s->offset - s->object_size, true);
	dump_stack();
}

/* Are @n bytes at @p all @value? Reports if not. */
static bool kmm_check_bytes(const struct kmm_cache *s, const void *obj, const void *p, size_t n,
			    u8 value, const char *what)
{
	const u8 *first = memchr_inv(p, value, n), *last = p + n - 1;

	if (!first)
		return true;
	while (*last == value)
		last--;
	kmm_debug_report(s, obj, what, first, last, value);
	return false;
}

static bool kmm_check_red(const struct kmm_cache *s, const void *obj, u8 value)
{
	return !(s->flags & SLAB_RED_ZONE) ||
	       kmm_check_bytes(s, obj, obj + s->object_size, s->offset - s->object_size, value,
			       "Right Redzone overwritten");
}

static bool kmm_check_poison(const struct kmm_cache *s, const void *obj)
{
	return !kmm_poisoned(s) ||
	       (kmm_check_bytes(s, obj, obj, s->object_size - 1, POISON_FREE,
				"Poison overwritten") &&
		kmm_check_bytes(s, obj, obj + s->object_size - 1, 1, POISON_END,
				"End Poison overwritten"));
}

static void kmm_mark_free(const struct kmm_cache *s, void *obj)
{
	if (s->flags & SLAB_RED_ZONE)
		memset(obj + s->object_size, SLUB_RED_INACTIVE, s->offset - s->object_size);
	if (!kmm_poisoned(s))
		return;
	memset(obj, POISON_FREE, s->object_size - 1);
	*(u8 *)(obj + s->object_size - 1) = POISON_END;
}

/**
 * kmm_slab_debug_init() - An object of a new slab, its constructor has run.
 * @s: cache with KMM_SLAB_DEBUG_FLAGS
 * @obj: object
 *
 * Context: any.
 */
void kmm_slab_debug_init(const struct kmm_cache *s, void *obj)
{
	if (s->flags & SLAB_STORE_USER)
		memset(obj + s->track, 0, KMM_NR_TRACKS * sizeof(struct kmm_track));
	kmm_mark_free(s, obj);
}

/**
 * kmm_slab_debug_alloc() - An object is about to go out.
 * @s: cache with KMM_SLAB_DEBUG_FLAGS
 * @obj: object
 * @ip: the client
 *
 * Context: any. Return: false with a report if it was damaged while it was free.
 */
bool kmm_slab_debug_alloc(const struct kmm_cache *s, void *obj, unsigned long ip)
{
	if (!kmm_check_red(s, obj, SLUB_RED_INACTIVE) || !kmm_check_poison(s, obj))
		return false;
	if (s->flags & SLAB_RED_ZONE)
		memset(obj + s->object_size, SLUB_RED_ACTIVE, s->offset - s->object_size);
	if (kmm_poisoned(s))
		memset(obj, POISON_INUSE, s->object_size);
	kmm_track_set(s, obj, KMM_TRACK_ALLOC, ip);
	return true;
}

/**
 * kmm_slab_debug_free() - An object comes back.
 * @s: cache with KMM_SLAB_DEBUG_FLAGS
 * @obj: object
 * @ip: the client
 *
 * Context: any. Return: false with a report if the client wrote over its end; it is mended.
 */
bool kmm_slab_debug_free(const struct kmm_cache *s, void *obj, unsigned long ip)
{
	bool good = kmm_check_red(s, obj, SLUB_RED_ACTIVE);

	kmm_track_set(s, obj, KMM_TRACK_FREE, ip);
	kmm_mark_free(s, obj);
	return good;
}
