// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Debugging of life cycles
 *
 * Caches, spaces, memory objects, queues and pipes are made, used, destroyed and freed, in that
 * order. The tracker keeps an entry for each, beside it and not in it, so it knows of an object
 * whose memory is gone. It is the kernel's lib/debugobjects.c with its states and its report, for
 * kmm's own kinds, on kernels that are built without it, too::
 *
 *	ODEBUG: destroy destroyed (active state 0) object type: kmm_space hint: FUNCTION
 *
 * says what was tried (init, activate, use, destroy, free), in which state the object was, how
 * many calls were using it (active state), what it is, and which function last moved it on. The
 * stack of that follows, if there is a stack depot, and then the stack of the offender.
 *
 * States and who owns the object in each::
 *
 *	initialized	memory was got, the creator fills it	init
 *	active		users may call				activate, use, unuse
 *	destroyed	the destroyer takes it apart		destroy
 *	destroyed, gone	nobody; the memory may be anything	free
 *	not available	never seen, or forgotten
 *
 * Of those that are gone the last DEBUG_GONE_MAX are remembered: destroyed twice, or used
 * afterwards, is reported as such. A new object at the address of one that is gone is no error. A
 * call that was reported is refused: its function returns false and the caller leaves the
 * object alone, which leaks it where the kernel would let a fixup function try.
 *
 * Reported are: init active (double init), activate active, destroy active with an active state
 * that is not 0 (destroyed while in use), destroy destroyed (twice), free active (memory freed
 * without destroy, also by kmm_cache_free() of a struct kmm_cache), free destroyed (twice), use
 * destroyed (use after destroy), and each of them on an object that is not available.
 *
 * Parameter debug_objects, at load or at run time. Given at load everything is known. Turned on
 * later, objects that were there before are not: calls for them are counted (unknown), not
 * reported. Turned off, everything is forgotten.
 *
 * Entries come from a static pool until debug_objects_mem_init, the step of mm_init behind
 * kmem_cache_init, replaces them by entries of a cache of kmm's own. When neither has one left,
 * tracking turns itself off and says so, as the kernel's does.
 *
 * A hash by the address' page, so that a range can be searched for objects. While off, each hook
 * is a patched no-op.
 *
 * Invariants: an address has one entry at most; nr_used counts those that are not gone.
 *
 * Locks: debug_mutex for on, off and the cache; debug_lock, innermost, for the rest. Nothing is
 * allocated or freed under debug_lock. What it deliberately does not do: look into an object, or
 * charge an entry to whoever made its object (64 bytes of the region for each).
 */

#define pr_fmt(fmt) fmt

#include <linux/debugfs.h>
#include <linux/hash.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>

#include <compat/compat.h>
#include <kmm/debug_objects.h>
#include <kmm/paths.h>
#include <kmm/stack_depot.h>

/* === Data === */

enum debug_state {
	DEBUG_INIT,
	DEBUG_ACTIVE,
	DEBUG_DESTROYED,
	DEBUG_NOTAVAILABLE,
};

static const char * const debug_states[] = {
	[DEBUG_INIT] = "initialized",
	[DEBUG_ACTIVE] = "active",
	[DEBUG_DESTROYED] = "destroyed",
	[DEBUG_NOTAVAILABLE] = "not available",
};

static const char * const debug_types[KMM_NR_DEBUG_TYPES] = {
	[KMM_DEBUG_CACHE] = "kmm_cache",
	[KMM_DEBUG_SPACE] = "kmm_space",
	[KMM_DEBUG_OBJECT] = "kmm_object",
	[KMM_DEBUG_MSGQ] = "kmm_msgq",
	[KMM_DEBUG_PIPE] = "kmm_pipe",
	[KMM_DEBUG_TEST] = "kmm_test",
};

/**
 * struct debug_entry - an entry
 * @node: in its bucket, or in the pool
 * @gone: in debug_gone, oldest first, when @freed
 * @addr: of the object
 * @ip: who last moved it on
 * @stack: of that, in kmm_stacks; 0: not kept
 * @astate: calls that use it
 * @type: enum kmm_debug_type
 * @state: enum debug_state
 * @freed: its memory was freed
 *
 * Protected by debug_lock.
 */
struct debug_entry {
	struct hlist_node node;
	struct list_head gone;
	const void *addr;
	unsigned long ip;
	u32 stack;
	unsigned int astate;
	u8 type;
	u8 state;
	bool freed;
};

static_assert(sizeof(struct debug_entry) <= KMM_DEBUG_ENTRY_BYTES);

#define DEBUG_HASH_BITS		10
/* Enough for the caches that kmm makes before there is a cache for entries, and many more. */
#define DEBUG_POOL_SIZE		256
/* Below it the pool is filled from the cache. */
#define DEBUG_POOL_MIN		16
/* Objects that are remembered after their end. */
#define DEBUG_GONE_MAX		32

DEFINE_STATIC_KEY_FALSE(kmm_debug_objects_key);
KMM_EXPORT_INTERNAL(kmm_debug_objects_key);

static DEFINE_MUTEX(debug_mutex);
static DEFINE_RAW_SPINLOCK(debug_lock);
static struct hlist_head debug_hash[1 << DEBUG_HASH_BITS];
static struct debug_entry debug_static[DEBUG_POOL_SIZE];
static HLIST_HEAD(debug_pool);
static LIST_HEAD(debug_gone);
static unsigned int debug_nr_gone;
/* Protected by debug_mutex for writing; NULL functions before debug_objects_mem_init. */
static struct kmm_debug_cache_ops debug_cache;
/* Asked for, and needed by the lab: on while either is true. Protected by debug_mutex. */
static bool debug_wanted;
static bool debug_held;
/* Of an object that is not forgotten when it is gone; protected by debug_lock. */
static const void *debug_kept;
/* On since before the first object, and none was missed. */
static bool debug_complete;
static bool debug_pool_ready;
static struct kmm_debug_stat debug_stat = { .pool_min_free = DEBUG_POOL_SIZE };

/* === Entries === */

static bool debug_is_static(const struct debug_entry *o)
{
	return o >= debug_static && o < debug_static + DEBUG_POOL_SIZE;
}

static struct hlist_head *debug_bucket(unsigned long addr)
{
	return &debug_hash[hash_long(addr >> PAGE_SHIFT, DEBUG_HASH_BITS)];
}

static struct debug_entry *debug_find_locked(const void *addr)
{
	struct debug_entry *o;
	unsigned int n = 0;

	lockdep_assert_held(&debug_lock);
	hlist_for_each_entry(o, debug_bucket((unsigned long)addr), node) {
		debug_stat.max_chain = max(debug_stat.max_chain, ++n);
		if (o->addr == addr)
			return o;
	}
	return NULL;
}

/* Static ones go out first: the cache's are at the end and go back soon. */
static void debug_pool_put_locked(struct debug_entry *o)
{
	struct debug_entry *first = hlist_entry_safe(debug_pool.first, struct debug_entry, node);

	if (first && debug_is_static(first) && !debug_is_static(o))
		hlist_add_behind(&o->node, &first->node);
	else
		hlist_add_head(&o->node, &debug_pool);
	debug_stat.pool_free++;
}

static struct debug_entry *debug_pool_get_locked(void)
{
	struct debug_entry *o = hlist_entry_safe(debug_pool.first, struct debug_entry, node);

	if (!o)
		return NULL;
	hlist_del(&o->node);
	debug_stat.pool_free--;
	debug_stat.pool_min_free = min(debug_stat.pool_min_free, debug_stat.pool_free);
	return o;
}

/* One from the cache; without any lock. */
static struct debug_entry *debug_cache_get(void)
{
	struct debug_entry *o = debug_cache.alloc ? debug_cache.alloc(debug_cache.ctx) : NULL;

	if (o)
		debug_stat.allocated++;
	return o;
}

static void debug_cache_put(struct debug_entry *o)
{
	debug_stat.freed++;
	debug_cache.free(debug_cache.ctx, o);
}

/* What the pool has of the cache's entries above @keep goes back. */
static void debug_pool_trim(unsigned int keep)
{
	struct hlist_node *next;
	struct debug_entry *o;
	unsigned long flags;
	HLIST_HEAD(list);

	raw_spin_lock_irqsave(&debug_lock, flags);
	hlist_for_each_entry_safe(o, next, &debug_pool, node) {
		if (debug_stat.pool_free <= keep)
			break;
		if (debug_is_static(o))
			continue;
		hlist_del(&o->node);
		debug_stat.pool_free--;
		hlist_add_head(&o->node, &list);
	}
	raw_spin_unlock_irqrestore(&debug_lock, flags);
	hlist_for_each_entry_safe(o, next, &list, node)
		debug_cache_put(o);
}

static void debug_pool_fill(void)
{
	struct debug_entry *o;
	unsigned long flags;

	while (READ_ONCE(debug_stat.pool_free) < DEBUG_POOL_MIN) {
		o = debug_cache_get();
		if (!o)
			return;
		raw_spin_lock_irqsave(&debug_lock, flags);
		debug_pool_put_locked(o);
		raw_spin_unlock_irqrestore(&debug_lock, flags);
	}
}

/* Forgets an object that is gone. */
static void debug_forget_locked(struct debug_entry *o)
{
	hlist_del(&o->node);
	list_del(&o->gone);
	debug_nr_gone--;
	debug_pool_put_locked(o);
}

static void debug_used_locked(int change)
{
	debug_stat.pool_used += change;
	debug_stat.pool_max_used = max(debug_stat.pool_max_used, debug_stat.pool_used);
}

/* Forgets everything. */
static void debug_clear(void)
{
	struct hlist_node *next;
	struct debug_entry *o;
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&debug_lock, flags);
	for (i = 0; i < ARRAY_SIZE(debug_hash); i++) {
		hlist_for_each_entry_safe(o, next, &debug_hash[i], node) {
			hlist_del(&o->node);
			debug_pool_put_locked(o);
		}
	}
	INIT_LIST_HEAD(&debug_gone);
	debug_nr_gone = 0;
	debug_stat.pool_used = 0;
	raw_spin_unlock_irqrestore(&debug_lock, flags);
}

/* === Reports === */

/* In the kernel's words; @o is a copy. Return: false. */
static noinline bool debug_report(const struct debug_entry *o, const char *what)
{
	static DEFINE_RATELIMIT_STATE(rs, 5 * HZ, 30);

	debug_stat.warnings++;
	debug_stat.fixups++;
	if (!__ratelimit(&rs))
		return false;
	pr_err("ODEBUG: %s %s (active state %u) object type: %s hint: %pS\n", what,
	       debug_states[o->state], o->astate, debug_types[o->type], (void *)o->ip);
	if (o->stack) {
		pr_err("made %s by:\n", debug_states[o->state]);
		kmm_depot_print(&kmm_stacks, o->stack);
	}
	dump_stack();
	return false;
}

/* An object without an entry: an error only if everything is known. Return: go on? */
static bool debug_missing(const void *addr, enum kmm_debug_type type, const char *what)
{
	const struct debug_entry o = { .addr = addr, .type = type, .state = DEBUG_NOTAVAILABLE };

	if (READ_ONCE(debug_complete))
		return debug_report(&o, what);
	debug_stat.unknown++;
	return true;
}

/**
 * enum debug_step - what a hook wants of its object
 * @STEP_ACTIVATE: be active
 * @STEP_ASSERT: be alive
 * @STEP_USE: have one more user
 * @STEP_DESTROY: be destroyed
 * @STEP_FREE: be gone
 */
enum debug_step { STEP_ACTIVATE, STEP_ASSERT, STEP_USE, STEP_DESTROY, STEP_FREE };

static const char * const debug_steps[] = {
	[STEP_ACTIVATE] = "activate",
	[STEP_ASSERT] = "use",
	[STEP_USE] = "use",
	[STEP_DESTROY] = "destroy",
	[STEP_FREE] = "free",
};

/* Is it allowed now? */
static bool debug_may(const struct debug_entry *o, enum debug_step step)
{
	switch (step) {
	case STEP_ACTIVATE:
		return o->state == DEBUG_INIT;
	case STEP_ASSERT:
	case STEP_USE:
		/* its creator may fill it by the ways of users */
		return o->state == DEBUG_ACTIVE || o->state == DEBUG_INIT;
	case STEP_DESTROY:
		/* a creator that failed destroys, too */
		return o->state != DEBUG_DESTROYED && !o->astate;
	case STEP_FREE:
		return o->state != DEBUG_ACTIVE && !o->freed;
	}
	return false;
}

/* What is remembered takes no entry from the cache if that can be. */
static struct debug_entry *debug_make_static_locked(struct debug_entry *o)
{
	struct debug_entry *n = hlist_entry_safe(debug_pool.first, struct debug_entry, node);

	if (debug_is_static(o) || !n || !debug_is_static(n))
		return o;
	n = debug_pool_get_locked();
	*n = *o;
	hlist_del(&o->node);
	hlist_add_head(&n->node, debug_bucket((unsigned long)n->addr));
	debug_pool_put_locked(o);
	return n;
}

static void debug_bury_locked(struct debug_entry *o)
{
	o = debug_make_static_locked(o);
	o->state = DEBUG_DESTROYED;
	o->freed = true;
	list_add_tail(&o->gone, &debug_gone);
	debug_used_locked(-1);
	if (++debug_nr_gone <= DEBUG_GONE_MAX)
		return;
	o = list_first_entry(&debug_gone, struct debug_entry, gone);
	debug_forget_locked(o->addr == debug_kept ? list_next_entry(o, gone) : o);
}

static void debug_move_locked(struct debug_entry *o, enum debug_step step, unsigned long ip,
			      u32 stack)
{
	switch (step) {
	case STEP_ACTIVATE:
		o->state = DEBUG_ACTIVE;
		break;
	case STEP_ASSERT:
		return;
	case STEP_USE:
		o->astate++;
		return;
	case STEP_DESTROY:
		o->state = DEBUG_DESTROYED;
		break;
	case STEP_FREE:
		/* who destroyed it says more than who freed it then */
		debug_bury_locked(o);
		return;
	}
	o->ip = ip;
	o->stack = stack;
}

static bool debug_step(const void *addr, enum kmm_debug_type type, enum debug_step step,
		       unsigned long ip, u32 stack)
{
	struct debug_entry *o, copy;
	unsigned long flags;
	bool good;

	raw_spin_lock_irqsave(&debug_lock, flags);
	o = debug_find_locked(addr);
	if (!o) {
		raw_spin_unlock_irqrestore(&debug_lock, flags);
		return debug_missing(addr, type, debug_steps[step]);
	}
	good = debug_may(o, step);
	if (good)
		debug_move_locked(o, step, ip, stack);
	else
		copy = *o;
	raw_spin_unlock_irqrestore(&debug_lock, flags);
	if (good && step == STEP_FREE)
		debug_pool_trim(DEBUG_POOL_MIN);
	return good || debug_report(&copy, debug_steps[step]);
}

/* === Hooks === */

/**
 * __kmm_debug_object_init() - kmm_debug_object_init() while tracking is on.
 * @addr: the object
 * @type: its kind
 *
 * Context: task, may sleep. Return: false after a report.
 */
bool __kmm_debug_object_init(const void *addr, enum kmm_debug_type type)
{
	struct debug_entry *o, copy;
	unsigned long flags;

	debug_pool_fill();
	raw_spin_lock_irqsave(&debug_lock, flags);
	o = debug_find_locked(addr);
	if (o && o->freed) {
		debug_forget_locked(o);
		o = NULL;
	}
	if (o && o->state == DEBUG_ACTIVE) {
		copy = *o;
		raw_spin_unlock_irqrestore(&debug_lock, flags);
		return debug_report(&copy, "init");
	}
	if (!o) {
		o = debug_pool_get_locked();
		if (o) {
			hlist_add_head(&o->node, debug_bucket((unsigned long)addr));
			debug_used_locked(1);
		}
	}
	if (o) {
		o->addr = addr;
		o->ip = _RET_IP_;
		o->stack = 0;
		o->astate = 0;
		o->type = type;
		o->state = DEBUG_INIT;
		o->freed = false;
	}
	raw_spin_unlock_irqrestore(&debug_lock, flags);
	if (!o) {
		pr_warn("ODEBUG: Out of memory. ODEBUG disabled\n");
		/* the lab may need it for a moment yet: then this one is not known */
		WRITE_ONCE(debug_complete, false);
		kmm_debug_objects_set(false);
	}
	return true;
}
KMM_EXPORT_INTERNAL(__kmm_debug_object_init);

/**
 * __kmm_debug_object_activate() - kmm_debug_object_activate() while tracking is on.
 * @addr: the object
 * @type: its kind
 *
 * Context: any. Return: false after a report.
 */
bool __kmm_debug_object_activate(const void *addr, enum kmm_debug_type type)
{
	return debug_step(addr, type, STEP_ACTIVATE, _RET_IP_, kmm_depot_save_caller(&kmm_stacks));
}
KMM_EXPORT_INTERNAL(__kmm_debug_object_activate);

/**
 * __kmm_debug_object_assert_active() - kmm_debug_object_assert_active() while tracking is on.
 * @addr: the object
 * @type: its kind
 *
 * Context: any. Return: false after a report.
 */
bool __kmm_debug_object_assert_active(const void *addr, enum kmm_debug_type type)
{
	return debug_step(addr, type, STEP_ASSERT, _RET_IP_, 0);
}
KMM_EXPORT_INTERNAL(__kmm_debug_object_assert_active);

/**
 * __kmm_debug_object_use() - kmm_debug_object_use() while tracking is on.
 * @addr: the object
 * @type: its kind
 *
 * Context: any. Return: false after a report.
 */
bool __kmm_debug_object_use(const void *addr, enum kmm_debug_type type)
{
	return debug_step(addr, type, STEP_USE, _RET_IP_, 0);
}
KMM_EXPORT_INTERNAL(__kmm_debug_object_use);

/**
 * __kmm_debug_object_unuse() - kmm_debug_object_unuse() while tracking is on.
 * @addr: the object
 *
 * Context: any. That it is not in use is no error: tracking may have begun in between.
 */
void __kmm_debug_object_unuse(const void *addr)
{
	struct debug_entry *o;
	unsigned long flags;

	raw_spin_lock_irqsave(&debug_lock, flags);
	o = debug_find_locked(addr);
	if (o && o->astate)
		o->astate--;
	raw_spin_unlock_irqrestore(&debug_lock, flags);
}
KMM_EXPORT_INTERNAL(__kmm_debug_object_unuse);

/**
 * __kmm_debug_object_destroy() - kmm_debug_object_destroy() while tracking is on.
 * @addr: the object
 * @type: its kind
 *
 * Context: any. Return: false after a report.
 */
bool __kmm_debug_object_destroy(const void *addr, enum kmm_debug_type type)
{
	return debug_step(addr, type, STEP_DESTROY, _RET_IP_, kmm_depot_save_caller(&kmm_stacks));
}
KMM_EXPORT_INTERNAL(__kmm_debug_object_destroy);

/**
 * __kmm_debug_object_free() - kmm_debug_object_free() while tracking is on.
 * @addr: the object
 * @type: its kind
 *
 * Context: any but under a lock of the slab allocator. Return: false after a report.
 */
bool __kmm_debug_object_free(const void *addr, enum kmm_debug_type type)
{
	return debug_step(addr, type, STEP_FREE, _RET_IP_, 0);
}
KMM_EXPORT_INTERNAL(__kmm_debug_object_free);

/* The first active object in a part of one page. */
static bool debug_find_active_locked(unsigned long start, unsigned long end,
				     struct debug_entry *copy)
{
	struct debug_entry *o;

	hlist_for_each_entry(o, debug_bucket(start), node) {
		unsigned long addr = (unsigned long)o->addr;

		if (addr < start || addr >= end || o->state != DEBUG_ACTIVE)
			continue;
		*copy = *o;
		return true;
	}
	return false;
}

/**
 * __kmm_debug_check_no_obj_freed() - kmm_debug_check_no_obj_freed() while tracking is on.
 * @addr: first byte
 * @size: bytes
 *
 * Context: any. Return: false after a report.
 */
bool __kmm_debug_check_no_obj_freed(const void *addr, size_t size)
{
	unsigned long start = (unsigned long)addr, end = start + size, next, flags;
	struct debug_entry copy;
	bool bad = false;

	raw_spin_lock_irqsave(&debug_lock, flags);
	for (; start < end && !bad; start = next) {
		next = min(end, (start | ~PAGE_MASK) + 1);
		bad = debug_find_active_locked(start, next, &copy);
	}
	raw_spin_unlock_irqrestore(&debug_lock, flags);
	return !bad || debug_report(&copy, "free");
}
KMM_EXPORT_INTERNAL(__kmm_debug_check_no_obj_freed);

/* === On, off, and the cache === */

static void debug_pool_start(void)
{
	unsigned int i;

	if (debug_pool_ready)
		return;
	for (i = 0; i < DEBUG_POOL_SIZE; i++)
		debug_pool_put_locked(&debug_static[i]);
	debug_pool_ready = true;
}

static void debug_switch(void)
{
	bool on = debug_wanted || debug_held;

	lockdep_assert_held(&debug_mutex);
	if (on == static_key_enabled(&kmm_debug_objects_key.key))
		return;
	if (on) {
		debug_pool_start();
		/* at load the step stack_depot_init does it; without one there are no stacks */
		if (debug_cache.alloc)
			kmm_stacks_get();
		/* the path: every free of an object of a cache is looked at */
		kmm_hooks_on(&kmm_debug_objects_key, KMM_PATH_SLAB);
	} else {
		WRITE_ONCE(debug_complete, false);
		kmm_hooks_off(&kmm_debug_objects_key, KMM_PATH_SLAB);
		debug_clear();
		debug_pool_trim(0);
	}
}

/**
 * kmm_debug_objects_set() - Turn tracking on or off.
 * @on: which
 *
 * Context: task, may sleep. Return: what was asked for before.
 */
bool kmm_debug_objects_set(bool on)
{
	bool was;

	mutex_lock(&debug_mutex);
	was = debug_wanted;
	debug_wanted = on;
	debug_switch();
	mutex_unlock(&debug_mutex);
	return was;
}
KMM_EXPORT_INTERNAL(kmm_debug_objects_set);

/**
 * kmm_debug_objects_hold() - For the lab: tracking is on, and nothing turns it off meanwhile.
 *
 * What is planted then is refused for sure, if kmm_debug_objects_keep() says so.
 *
 * Context: task, may sleep; one at a time.
 */
void kmm_debug_objects_hold(void)
{
	mutex_lock(&debug_mutex);
	debug_held = true;
	debug_switch();
	mutex_unlock(&debug_mutex);
}
KMM_EXPORT_INTERNAL(kmm_debug_objects_hold);

/**
 * kmm_debug_objects_keep() - While it is held: know this object also when it is gone.
 * @addr: a new object; its memory is not given to others before kmm_debug_objects_release()
 *
 * Context: any. Return: false if there was no entry for it: it is not tracked.
 */
bool kmm_debug_objects_keep(const void *addr)
{
	const struct debug_entry *o;
	unsigned long flags;
	bool known;

	raw_spin_lock_irqsave(&debug_lock, flags);
	o = debug_find_locked(addr);
	known = o && !o->freed;
	debug_kept = addr;
	raw_spin_unlock_irqrestore(&debug_lock, flags);
	return known;
}
KMM_EXPORT_INTERNAL(kmm_debug_objects_keep);

/**
 * kmm_debug_objects_release() - Undo kmm_debug_objects_hold() and keep().
 *
 * Context: task, may sleep.
 */
void kmm_debug_objects_release(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&debug_lock, flags);
	debug_kept = NULL;
	raw_spin_unlock_irqrestore(&debug_lock, flags);
	mutex_lock(&debug_mutex);
	debug_held = false;
	debug_switch();
	mutex_unlock(&debug_mutex);
}
KMM_EXPORT_INTERNAL(kmm_debug_objects_release);

static int debug_param_set(const char *val, const struct kernel_param *kp)
{
	bool on;
	int err = kstrtobool(val ?: "1", &on);

	if (!err)
		kmm_debug_objects_set(on);
	return err;
}

static int debug_param_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%c\n",
			  static_key_enabled(&kmm_debug_objects_key.key) ? 'Y' : 'N');
}

static const struct kernel_param_ops debug_param_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = debug_param_set,
	.get = debug_param_get,
};

module_param_cb(debug_objects, &debug_param_ops, NULL, 0644);
MODULE_PARM_DESC(debug_objects, "Track life cycles of caches, spaces, objects, queues, pipes (default 0)");

/* Moves what is tracked from @from's kind of entries to new ones; what finds none is forgotten. */
static void debug_replace_locked(bool from_static, struct hlist_head *fresh)
{
	struct hlist_node *next;
	struct debug_entry *o, *n;
	unsigned int i;

	while (debug_nr_gone)
		debug_forget_locked(list_first_entry(&debug_gone, struct debug_entry, gone));
	for (i = 0; i < ARRAY_SIZE(debug_hash); i++) {
		hlist_for_each_entry_safe(o, next, &debug_hash[i], node) {
			if (debug_is_static(o) != from_static)
				continue;
			n = hlist_entry_safe(fresh->first, struct debug_entry, node);
			hlist_del(&o->node);
			debug_pool_put_locked(o);
			if (!n) {
				debug_complete = false;
				debug_used_locked(-1);
				continue;
			}
			hlist_del(&n->node);
			*n = *o;
			hlist_add_head(&n->node, &debug_hash[i]);
		}
	}
}

/**
 * kmm_debug_objects_mem_init() - debug_objects_mem_init: entries of a cache replace static ones.
 * @ops: where they come from; copied
 *
 * Before the first object was made: kmm_main.c calls it when the slab allocator runs.
 *
 * Context: module load. Return: false when the cache had not enough: static ones stay, and later
 * ones come from the cache.
 */
bool kmm_debug_objects_mem_init(const struct kmm_debug_cache_ops *ops)
{
	HLIST_HEAD(fresh);
	struct hlist_node *next;
	struct debug_entry *o;
	unsigned long flags;
	unsigned int i, nr;
	bool good = true;

	mutex_lock(&debug_mutex);
	debug_cache = *ops;
	nr = debug_stat.pool_used;
	for (i = 0; i < nr && good; i++) {
		o = debug_cache_get();
		good = o;
		if (o)
			hlist_add_head(&o->node, &fresh);
	}
	if (good) {
		raw_spin_lock_irqsave(&debug_lock, flags);
		debug_replace_locked(true, &fresh);
		raw_spin_unlock_irqrestore(&debug_lock, flags);
	}
	hlist_for_each_entry_safe(o, next, &fresh, node)
		debug_cache_put(o);
	mutex_unlock(&debug_mutex);
	return good;
}

/**
 * kmm_debug_objects_mem_fini() - The cache is about to go: static entries again.
 *
 * Only kmm's own caches are left then, and these fit.
 *
 * Context: module unload.
 */
void kmm_debug_objects_mem_fini(void)
{
	struct hlist_node *next;
	struct debug_entry *o;
	unsigned long flags;
	HLIST_HEAD(fresh);

	mutex_lock(&debug_mutex);
	raw_spin_lock_irqsave(&debug_lock, flags);
	hlist_for_each_entry_safe(o, next, &debug_pool, node) {
		if (!debug_is_static(o))
			continue;
		hlist_del(&o->node);
		debug_stat.pool_free--;
		hlist_add_head(&o->node, &fresh);
	}
	debug_replace_locked(false, &fresh);
	raw_spin_unlock_irqrestore(&debug_lock, flags);
	hlist_for_each_entry_safe(o, next, &fresh, node)
		debug_pool_put_locked(o);
	debug_pool_trim(0);
	debug_cache = (struct kmm_debug_cache_ops) { };
	mutex_unlock(&debug_mutex);
}

/**
 * kmm_debug_objects_setup() - Before the first object of the module: is everything known?
 *
 * Context: module load.
 */
void kmm_debug_objects_setup(void)
{
	debug_complete = kmm_debug_objects_on();
}

/**
 * kmm_debug_objects_teardown() - The module goes: off.
 *
 * Context: module unload.
 */
void kmm_debug_objects_teardown(void)
{
	kmm_debug_objects_set(false);
}

/**
 * kmm_debug_objects_stat() - The counters.
 * @st: filled
 *
 * Context: any. What happens meanwhile may be in one and not in another.
 */
void kmm_debug_objects_stat(struct kmm_debug_stat *st)
{
	*st = debug_stat;
}
KMM_EXPORT_INTERNAL(kmm_debug_objects_stat);

/* The kernel's rows, as far as they mean something here. */
static int debug_objects_show(struct seq_file *m, void *unused)
{
	struct kmm_debug_stat st;

	kmm_debug_objects_stat(&st);
	seq_printf(m, "enabled       :%d\n", kmm_debug_objects_on());
	seq_printf(m, "max_chain     :%u\n", st.max_chain);
	seq_printf(m, "warnings      :%u\n", st.warnings);
	seq_printf(m, "fixups        :%u\n", st.fixups);
	seq_printf(m, "pool_free     :%u\n", st.pool_free);
	seq_printf(m, "pool_min_free :%u\n", st.pool_min_free);
	seq_printf(m, "pool_used     :%u\n", st.pool_used);
	seq_printf(m, "pool_max_used :%u\n", st.pool_max_used);
	seq_printf(m, "objs_allocated:%u\n", st.allocated);
	seq_printf(m, "objs_freed    :%u\n", st.freed);
	seq_printf(m, "unknown       :%u\n", st.unknown);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(debug_objects);

/**
 * kmm_debug_objects_debugfs() - Make kmm/debug_objects.
 * @dir: kmm's folder
 *
 * Context: task, may sleep.
 */
void kmm_debug_objects_debugfs(struct dentry *dir)
{
	debugfs_create_file("debug_objects", 0444, dir, NULL, &debug_objects_fops);
}
