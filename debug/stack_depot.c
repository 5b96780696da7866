// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Stack depot
 *
 * Who allocated this? A stack answers, but a stack per frame or object is 128 bytes each, and
 * nearly all are the same. So each different one is kept once, as in the kernel's stack depot,
 * and whoever wants to remember one keeps its handle, 4 bytes.
 *
 * Records. A record is a stack's length, its return addresses, and the handle of the next record
 * of its hash chain. A handle is 1 + the record's place in units of 8 bytes, counted over all
 * pools; 0 is no stack. Records are never changed and never freed, so a look takes no lock; a
 * new one is put at the head of its chain under @lock.
 *
 * Memory. Stacks come from contexts that cannot allocate. So there are pools beforehand, and
 * when less than one is left a work item adds some, up to a limit (parameter stack_depot_kb). A
 * stack that finds no room is dropped and counted; its handle is 0. Nothing waits for memory.
 *
 * Unwinding is what costs: with the kernel's ORC unwinder about 400 instructions a frame. But
 * the same few paths come again and again. So a record also has the places where its return
 * addresses were found, counted from the innermost one's, and the depot remembers which records
 * it saw lately. A stack is the same again if at each of these places there is that return
 * address again. That is no guess: where the next frame is follows from the address in this
 * one, which was just compared, as long as every frame is found by adding a constant to the
 * stack pointer. A record has therefore no places if the unwinder
 *
 *	- found a frame by a register (a frame pointer) or said that it is not sure
 *	- left the stack on which it began, or met an interrupted kernel
 *	- corrected an address that a tracer had replaced on the stack
 *
 * and these stacks are unwound each time. A stack that ends where user space was entered is the
 * same only if it was user space again: the word with the saved code segment tells, and is
 * compared like an address. Places are compared from the innermost on, and the first difference
 * ends it, so nothing beyond the stack is ever read.
 *
 * What is remembered are pointers to records, which stay; so it needs no lock either. All CPUs
 * share it: it is read far more often than written. Comparing takes 4 instructions an address, and
 * kmm_depot_recall() does it inline for who calls often (page_owner).
 *
 * How much a function adds to the stack pointer is true as long as its code is there. When a module
 * goes, others may come to its addresses; so then all that is remembered is forgotten.
 *
 * Invariants: of equal stacks there is one record for each code segment (and each code that was at
 * these addresses), and perhaps one more without places, of a walk that could not tell them.
 * nr_saved counts every call, the dropped ones too.
 *
 * Context: any but NMI. Locks: @lock is a leaf.
 *
 * It deliberately does not: count who still has a handle. What is in stays until unload.
 */

#define pr_fmt(fmt) fmt

#include <linux/jhash.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include <asm/unwind.h>

#include <compat/compat.h>
#include <kmm/inject.h>
#include <kmm/stack_depot.h>

/* === Data === */

static unsigned int stack_depot_kb = 1024;
module_param(stack_depot_kb, uint, 0444);
MODULE_PARM_DESC(stack_depot_kb, "Host memory for stacks of debugging, at most, KiB (default 1024)");

/* What the parameter may ask for: the limit of a handle is far above. */
#define DEPOT_MAX_BYTES		SZ_256M

#define DEPOT_HASH_BITS		11
#define DEPOT_UNIT		sizeof(u64)

/**
 * struct depot_stack - what a record is looked for, or made of
 * @nr: of the record
 * @nr_places: of the record
 * @ip: addresses, for @nr, and what else is compared, for @nr_places
 * @at: places, for @nr_places
 */
struct depot_stack {
	u16 nr;
	u16 nr_places;
	const unsigned long *ip;
	const u16 *at;
};

/* What is remembered where nothing is: no return address is 0. */
static const struct kmm_depot_record depot_nothing = { .ip = { 0 } };

struct kmm_depot kmm_stacks;
KMM_EXPORT_INTERNAL(kmm_stacks);

/* Serialises kmm_stacks_get(). */
static DEFINE_MUTEX(depot_mutex);

/* === Records === */

/* The record of a handle; NULL for 0 and for what is none. */
static const struct kmm_depot_record *depot_record(const struct kmm_depot *d, u32 handle)
{
	u64 at = ((u64)handle - 1) * DEPOT_UNIT;

	if (!handle || !d->bucket || at >= READ_ONCE(d->used_bytes))
		return NULL;
	return d->pool[at / KMM_DEPOT_POOL_BYTES] + at % KMM_DEPOT_POOL_BYTES;
}

static u32 depot_hash(const struct depot_stack *s)
{
	return jhash2((const u32 *)s->ip, s->nr * sizeof(*s->ip) / sizeof(u32), 0);
}

/* Return: the record of this stack, with places if @s has some; NULL: there is none yet. */
static const struct kmm_depot_record *depot_find(const struct kmm_depot *d,
						 const struct depot_stack *s, const u32 *bucket)
{
	size_t size = max(s->nr, s->nr_places) * sizeof(*s->ip);
	/* Pairs with smp_store_release() in depot_add_locked(). */
	const struct kmm_depot_record *rec = depot_record(d, smp_load_acquire(bucket));

	while (rec && (rec->nr != s->nr || rec->nr_places < s->nr_places ||
		       memcmp(rec->ip, s->ip, size) ||
		       memcmp(rec->at, s->at, s->nr_places * sizeof(*s->at))))
		rec = depot_record(d, rec->next);
	return rec;
}

static const struct kmm_depot_record *depot_add_locked(struct kmm_depot *d,
						       const struct depot_stack *s, u32 *bucket)
{
	unsigned int words = max(s->nr, s->nr_places);
	struct kmm_depot_record *rec;
	size_t size = struct_size(rec, ip, words);
	u32 at = d->used_bytes;

	lockdep_assert_held(&d->lock);
	if (at % KMM_DEPOT_POOL_BYTES + size > KMM_DEPOT_POOL_BYTES)
		at = ALIGN(at, KMM_DEPOT_POOL_BYTES);
	if (at / KMM_DEPOT_POOL_BYTES >= d->nr_pools) {
		d->nr_dropped++;
		return NULL;
	}
	rec = d->pool[at / KMM_DEPOT_POOL_BYTES] + at % KMM_DEPOT_POOL_BYTES;
	rec->next = *bucket;
	rec->handle = 1 + at / DEPOT_UNIT;
	rec->nr = s->nr;
	rec->nr_places = s->nr_places;
	memcpy(rec->ip, s->ip, words * sizeof(*s->ip));
	memcpy(rec->at, s->at, s->nr_places * sizeof(*s->at));
	rec->more[0] = s->nr_places > 8;
	rec->more[1] = s->nr_places > 12;
	WRITE_ONCE(d->used_bytes, at + size);
	d->nr_stacks++;
	/* Whoever finds the handle finds the record. Pairs with depot_find(). */
	smp_store_release(bucket, rec->handle);
	return rec;
}

/* Is less than a pool left, and may there be more? */
static bool depot_wants_pool(const struct kmm_depot *d)
{
	u32 nr = READ_ONCE(d->nr_pools);

	return nr < d->max_pools &&
	       (u64)READ_ONCE(d->used_bytes) + KMM_DEPOT_POOL_BYTES >
	       (u64)nr * KMM_DEPOT_POOL_BYTES;
}

/* Return: the stack's record; NULL: it is empty, or new and there is no room. */
static const struct kmm_depot_record *depot_save(struct kmm_depot *d,
						 const struct depot_stack *s)
{
	const struct kmm_depot_record *rec;
	unsigned long flags;
	u32 *bucket;

	if (!s->nr)
		return NULL;
	bucket = &d->bucket[depot_hash(s) >> (32 - DEPOT_HASH_BITS)];
	rec = depot_find(d, s, bucket);
	if (rec)
		return rec;
	raw_spin_lock_irqsave(&d->lock, flags);
	rec = depot_find(d, s, bucket) ?: depot_add_locked(d, s, bucket);
	raw_spin_unlock_irqrestore(&d->lock, flags);
	if (depot_wants_pool(d))
		schedule_work(&d->grow);
	return rec;
}

/* === Walking === */

#ifdef CONFIG_UNWINDER_ORC
/* This word, or another of the same stack above it? */
static bool depot_same_stack(const unsigned long *slot, const void *p)
{
	return ((unsigned long)slot ^ (unsigned long)p) < THREAD_SIZE && p >= (const void *)slot;
}

/*
 * Was the frame from @sp to the state's found by register bp, which had this value in it? With
 * a frame pointer it starts 16 bytes above; of a function that aligned its stack, where the word
 * below says.
 */
static bool depot_by_register(const struct unwind_state *state, unsigned long sp, unsigned long bp)
{
	if (bp < sp || bp >= state->sp)
		return false;
	return state->sp == bp + 16 || READ_ONCE_NOCHECK(*(unsigned long *)(bp - 8)) == state->sp;
}

/* The stack from the return address in @slot on. */
static void depot_unwind(const unsigned long *slot, struct depot_stack *s, unsigned long *ips,
			 u16 *at)
{
	const unsigned long *cs = NULL;
	struct unwind_state state;
	bool good = true;
	unsigned int nr;

	*s = (struct depot_stack) { .ip = ips, .at = at };
	__unwind_start(&state, current, NULL, (unsigned long *)slot);
	for (nr = 0; nr < KMM_DEPOT_DEPTH && !unwind_done(&state); nr++) {
		unsigned long ip = unwind_get_return_address(&state);
		unsigned long sp = state.sp, bp = state.bp;
		const unsigned long *p = (unsigned long *)sp - 1;

		if (!ip)
			break;
		ips[nr] = ip;
		if (good && !state.regs && depot_same_stack(slot, p) && READ_ONCE_NOCHECK(*p) == ip)
			at[nr] = p - slot;
		else
			good = false;
		if (!unwind_next_frame(&state))
			continue;
		good &= !depot_by_register(&state, sp, bp);
		if (state.regs && user_mode(state.regs) && depot_same_stack(slot, &state.regs->cs))
			cs = &state.regs->cs;
		else
			good &= !state.regs;
	}
	s->nr = nr;
	if (!good || !nr || at[0] || unwind_error(&state))
		return;
	if (cs && nr < KMM_DEPOT_DEPTH) {
		ips[nr] = *cs;
		at[nr++] = cs - slot;
	}
	for (; nr < 8 || nr % 4; nr++) {
		ips[nr] = ips[0];
		at[nr] = 0;
	}
	s->nr_places = nr;
}
#else
/* Without ORC there are no places; the frames before the one in @slot are left out. */
static void depot_unwind(const unsigned long *slot, struct depot_stack *s, unsigned long *ips,
			 u16 *at)
{
	unsigned int nr = stack_trace_save(ips, KMM_DEPOT_DEPTH, 0), i = 0;

	while (i < nr && ips[i] != *slot)
		i++;
	*s = (struct depot_stack) { .nr = nr - i, .ip = ips + i, .at = at };
}
#endif

/* @rec becomes the first of @memo, in place of the one in @way. One that gets lost is no harm. */
static void depot_remember(const struct kmm_depot_record **memo, unsigned int way,
			   const struct kmm_depot_record *rec)
{
	const unsigned int step = KMM_DEPOT_SETS;

	for (way *= step; way; way -= step)
		WRITE_ONCE(memo[way], READ_ONCE(memo[way - step]));
	/* Whoever finds the pointer finds the record. Pairs with kmm_depot_recall(). */
	smp_store_release(memo, rec);
}

static noinline u32 depot_save_unwound(struct kmm_depot *d, const unsigned long *slot)
{
	const struct kmm_depot_record *rec;
	unsigned long ip[KMM_DEPOT_DEPTH];
	u16 at[KMM_DEPOT_DEPTH];
	struct depot_stack s;

	depot_unwind(slot, &s, ip, at);
	this_cpu_inc(d->cpu->nr_unwound);
	rec = depot_save(d, &s);
	if (!rec)
		return 0;
	if (rec->nr_places)
		depot_remember(kmm_depot_memos(d, slot), KMM_DEPOT_WAYS - 1, rec);
	return rec->handle;
}

/**
 * kmm_depot_save_at() - Keep the stack from one of its return addresses on.
 * @d: depot
 * @slot: where on the current stack this address is. kmm_depot_save_caller() knows
 *
 * Context: any but NMI. Return: its handle; 0 when it is new and there is no room, or @d is zero.
 */
noinline __no_sanitize_address u32 kmm_depot_save_at(struct kmm_depot *d, const unsigned long *slot)
{
	const struct kmm_depot_record **memo, *rec;
	unsigned int way;

	if (unlikely(!d->bucket))
		return 0;
	memo = kmm_depot_memos(d, slot);
	for (way = 0; way < KMM_DEPOT_WAYS; way++) {
		rec = READ_ONCE(memo[way * KMM_DEPOT_SETS]);
		if (!kmm_depot_fits(rec, slot))
			continue;
		if (way)
			depot_remember(memo, way, rec);
		this_cpu_inc(d->cpu->nr_remembered);
		return rec->handle;
	}
	return depot_save_unwound(d, slot);
}
KMM_EXPORT_INTERNAL(kmm_depot_save_at);

/**
 * kmm_depot_save_here() - Keep the stack of this place.
 * @d: depot
 *
 * The first entry is the place behind the call.
 *
 * Context: any but NMI. Return: as kmm_depot_save_at().
 */
noinline u32 kmm_depot_save_here(struct kmm_depot *d)
{
	return kmm_depot_save_caller(d);
}
KMM_EXPORT_INTERNAL(kmm_depot_save_here);

/**
 * kmm_depot_save() - Keep a stack.
 * @d: depot
 * @entries: return addresses, innermost first
 * @nr: how many; what is beyond KMM_DEPOT_DEPTH_MAX is cut off
 *
 * Context: any but NMI. Return: as kmm_depot_save_at().
 */
u32 kmm_depot_save(struct kmm_depot *d, const unsigned long *entries, unsigned int nr)
{
	const struct depot_stack s = {
		.nr = min_t(unsigned int, nr, KMM_DEPOT_DEPTH_MAX), .ip = entries,
	};
	const struct kmm_depot_record *rec;

	if (!d->bucket)
		return 0;
	this_cpu_inc(d->cpu->nr_unwound);
	rec = depot_save(d, &s);
	return rec ? rec->handle : 0;
}
KMM_EXPORT_INTERNAL(kmm_depot_save);

/* === Looking === */

/**
 * kmm_depot_fetch() - The stack of a handle.
 * @d: depot
 * @handle: what kmm_depot_save() returned, or 0
 * @entries: set to the return addresses, which stay as long as the depot
 *
 * Context: any. Return: how many there are; 0 when @handle is no stack.
 */
unsigned int kmm_depot_fetch(const struct kmm_depot *d, u32 handle, const unsigned long **entries)
{
	const struct kmm_depot_record *rec = depot_record(d, handle);
	size_t room;

	*entries = NULL;
	if (!rec)
		return 0;
	/* A handle that was written over may lead anywhere in a pool, but not out of it. */
	room = KMM_DEPOT_POOL_BYTES - ((u64)handle - 1) * DEPOT_UNIT % KMM_DEPOT_POOL_BYTES;
	if (room < sizeof(*rec) || rec->nr > KMM_DEPOT_DEPTH_MAX ||
	    rec->nr * sizeof(*rec->ip) > room - sizeof(*rec))
		return 0;
	*entries = rec->ip;
	return rec->nr;
}
KMM_EXPORT_INTERNAL(kmm_depot_fetch);

/**
 * kmm_depot_snprint() - A stack as text, as stack_depot_snprint().
 * @d: depot
 * @handle: of the stack
 * @buf: buffer
 * @size_bytes: of it
 * @spaces: before each line
 *
 * Context: any. Return: bytes that the text has, perhaps more than fit.
 */
int kmm_depot_snprint(const struct kmm_depot *d, u32 handle, char *buf, size_t size_bytes,
		      int spaces)
{
	const unsigned long *ip;
	unsigned int nr = kmm_depot_fetch(d, handle, &ip);

	return nr ? stack_trace_snprint(buf, size_bytes, ip, nr, spaces) : 0;
}
KMM_EXPORT_INTERNAL(kmm_depot_snprint);

/**
 * kmm_depot_print() - A stack into the log, at error level.
 * @d: depot
 * @handle: of the stack; nothing is printed for 0
 *
 * Context: any.
 */
void kmm_depot_print(const struct kmm_depot *d, u32 handle)
{
	const unsigned long *ip;
	unsigned int i, nr = kmm_depot_fetch(d, handle, &ip);

	for (i = 0; i < nr; i++)
		pr_err(" %pS\n", (void *)ip[i]);
}
KMM_EXPORT_INTERNAL(kmm_depot_print);

/**
 * kmm_depot_stat() - How full a depot is.
 * @d: depot; all zero when it was never made
 * @st: filled
 *
 * Context: any.
 */
void kmm_depot_stat(struct kmm_depot *d, struct kmm_depot_stat *st)
{
	unsigned long flags;
	unsigned int cpu;

	memset(st, 0, sizeof(*st));
	if (!d->bucket)
		return;
	raw_spin_lock_irqsave(&d->lock, flags);
	st->nr_stacks = d->nr_stacks;
	st->nr_dropped = d->nr_dropped;
	st->used_bytes = d->used_bytes;
	st->bytes = (size_t)d->nr_pools * KMM_DEPOT_POOL_BYTES;
	raw_spin_unlock_irqrestore(&d->lock, flags);
	st->bytes += sizeof(*d) + (sizeof(*d->bucket) << DEPOT_HASH_BITS) +
		     d->max_pools * sizeof(*d->pool) +
		     num_possible_cpus() * sizeof(*d->cpu);
	st->max_bytes = (size_t)d->max_pools * KMM_DEPOT_POOL_BYTES;
	for_each_possible_cpu(cpu) {
		st->nr_saved += READ_ONCE(per_cpu_ptr(d->cpu, cpu)->nr_unwound);
		st->nr_remembered += READ_ONCE(per_cpu_ptr(d->cpu, cpu)->nr_remembered);
	}
	st->nr_saved += st->nr_remembered;
}
KMM_EXPORT_INTERNAL(kmm_depot_stat);

/* === Life === */

/**
 * kmm_depot_forget() - Recognise no stack that was seen before; the records stay.
 * @d: depot
 *
 * Context: any.
 */
void kmm_depot_forget(struct kmm_depot *d)
{
	unsigned int i, way;

	for (way = 0; way < KMM_DEPOT_WAYS; way++)
		for (i = 0; i < KMM_DEPOT_SETS; i++)
			WRITE_ONCE(d->memo[way][i], &depot_nothing);
}
KMM_EXPORT_INTERNAL(kmm_depot_forget);

/* Code that goes is on no stack any more, and still has its addresses. */
static int depot_module_event(struct notifier_block *nb, unsigned long event, void *module)
{
	if (event == MODULE_STATE_GOING)
		kmm_depot_forget(&kmm_stacks);
	return NOTIFY_OK;
}

static struct notifier_block depot_module_nb = { .notifier_call = depot_module_event };

static bool depot_add_pool(struct kmm_depot *d)
{
	unsigned long flags;
	void *pool = NULL;

	if (!kmm_should_fail())
		pool = kvmalloc(KMM_DEPOT_POOL_BYTES, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!pool)
		return false;
	raw_spin_lock_irqsave(&d->lock, flags);
	if (d->nr_pools < d->max_pools) {
		d->pool[d->nr_pools++] = pool;
		pool = NULL;
	}
	raw_spin_unlock_irqrestore(&d->lock, flags);
	kvfree(pool);
	return true;
}

/**
 * kmm_depot_grow() - Add pools now, if less than one is left.
 * @d: depot
 *
 * Context: may sleep.
 */
void kmm_depot_grow(struct kmm_depot *d)
{
	if (depot_wants_pool(d) && depot_add_pool(d))
		depot_add_pool(d);
}
KMM_EXPORT_INTERNAL(kmm_depot_grow);

static void depot_grow_work(struct work_struct *work)
{
	kmm_depot_grow(container_of(work, struct kmm_depot, grow));
}

/* No more calls come; the work item is not queued. */
static void depot_free(struct kmm_depot *d)
{
	u32 i;

	for (i = 0; i < d->nr_pools; i++)
		kvfree(d->pool[i]);
	kvfree(d->pool);
	free_percpu(d->cpu);
	kvfree(d->bucket);
	memset(d, 0, sizeof(*d));
}

/**
 * kmm_depot_init() - Make a depot.
 * @d: depot, zeroed
 * @max_bytes: of pools; at least the first ones are made
 *
 * Context: may sleep. Return: 0 or -ENOMEM; then @d is zero again.
 */
int kmm_depot_init(struct kmm_depot *d, size_t max_bytes)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN;
	u32 *bucket = NULL;
	unsigned int i;

	raw_spin_lock_init(&d->lock);
	INIT_WORK(&d->grow, depot_grow_work);
	d->max_pools = max_t(size_t, min_t(size_t, max_bytes, DEPOT_MAX_BYTES) /
				     KMM_DEPOT_POOL_BYTES, KMM_DEPOT_FIRST_POOLS);
	if (!kmm_should_fail())
		d->pool = kvmalloc_array(d->max_pools, sizeof(*d->pool), gfp);
	if (!kmm_should_fail())
		d->cpu = alloc_percpu_gfp(struct kmm_depot_cpu, gfp);
	if (!kmm_should_fail())
		bucket = kvmalloc_array(1 << DEPOT_HASH_BITS, sizeof(*bucket), gfp);
	if (!d->pool || !d->cpu || !bucket)
		goto fail;
	for (i = 0; i < KMM_DEPOT_FIRST_POOLS; i++)
		if (!depot_add_pool(d))
			goto fail;
	kmm_depot_forget(d);
	d->bucket = bucket;
	return 0;
fail:
	kvfree(bucket);
	depot_free(d);
	return -ENOMEM;
}
KMM_EXPORT_INTERNAL(kmm_depot_init);

/**
 * kmm_depot_fini() - The end of a depot; nobody uses it or a stack of it any more.
 * @d: depot; may be zero
 *
 * Context: may sleep.
 */
void kmm_depot_fini(struct kmm_depot *d)
{
	if (!d->bucket)
		return;
	cancel_work_sync(&d->grow);
	depot_free(d);
}
KMM_EXPORT_INTERNAL(kmm_depot_fini);

/**
 * kmm_stacks_get() - A feature is going to use kmm_stacks: see that it is there.
 *
 * It stays until kmm_stacks_fini(), whoever asked for it.
 *
 * Context: may sleep. Return: 0 or -ENOMEM.
 */
int kmm_stacks_get(void)
{
	int err = 0;

	mutex_lock(&depot_mutex);
	if (!kmm_stacks.bucket) {
		err = kmm_depot_init(&kmm_stacks, (size_t)stack_depot_kb << 10);
		if (!err)
			register_module_notifier(&depot_module_nb);
	}
	mutex_unlock(&depot_mutex);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_stacks_get);

/**
 * kmm_stacks_fini() - The module goes: kmm_stacks, too.
 *
 * Context: may sleep; all features are off.
 */
void kmm_stacks_fini(void)
{
	if (kmm_stacks.bucket)
		unregister_module_notifier(&depot_module_nb);
	kmm_depot_fini(&kmm_stacks);
}
