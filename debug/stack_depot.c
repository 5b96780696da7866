// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Stack depot
 *
 * Who allocated this? A stack answers, but a stack per frame or object is 128 bytes each, and
 * nearly all are the same. So each different one is kept once, as in the kernel's stack depot,
 * and whoever wants to remember one keeps its handle, 4 bytes.
 *
 * Records. A record is a stack's length, its hash, its return addresses, and the handle of the
 * next record of its hash chain. A handle is 1 + the record's place in units of 8 bytes,
 * counted over all pools; 0 is no stack. Records are never changed and never freed, so a look
 * takes no lock; a new one is put at the head of its chain under @lock.
 *
 * Memory. Stacks come from contexts that cannot allocate. So there are pools beforehand, and
 * when less than one is left a work item adds some, up to a limit (parameter stack_depot_kb). A
 * stack that finds no room is dropped and counted; its handle is 0. Nothing waits for memory.
 *
 * Unwinding is what costs: with the kernel's ORC unwinder about 400 instructions a frame. But
 * the same few paths come again and again. So each CPU remembers what it unwound lately: the
 * return addresses, and where on the stack, counted from the frame of kmm_depot_save_here(),
 * each was found. A stack is the same again if at each of these places there is that return
 * address again. That is no guess: where the next frame is follows from the address in this
 * one, which was just compared, as long as every frame is found by adding a constant to the
 * stack pointer. A stack is therefore not remembered if the unwinder
 *
 *	- found a frame by a register (a frame pointer) or said that it is not sure
 *	- left the stack on which it began, or met an interrupted kernel
 *	- corrected an address that a tracer had replaced on the stack
 *
 * and these are unwound each time. A stack that ends where user space was entered is the same
 * only if it was user space again: the saved code segment tells. Places are compared from the
 * innermost on, and the first difference ends it, so nothing beyond the stack is ever read.
 *
 * Invariants: no two records have equal stacks; nr_saved counts every call, the dropped ones too.
 *
 * Context: any but NMI. Locks: @lock is a leaf; what a CPU remembers is touched with IRQs off.
 *
 * It deliberately does not: count who still has a handle. What is in stays until unload.
 */

#define pr_fmt(fmt) fmt

#include <linux/jhash.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
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
 * struct depot_record - a stack
 * @next: handle of the next one in its chain
 * @hash: of the addresses
 * @nr: addresses
 * @ip: innermost first
 *
 * Immutable once it can be found.
 */
struct depot_record {
	u32 next;
	u32 hash;
	u32 nr;
	unsigned long ip[] __aligned(8);
};

/* What a CPU remembers: sets of MEMO_WAYS, by where on the stack the call was. */
#define MEMO_SET_BITS		5
#define MEMO_SETS	BIT(MEMO_SET_BITS)
#define MEMO_WAYS		4

/**
 * struct depot_memo - a stack that was unwound
 * @handle: its record; 0: none
 * @nr: return addresses
 * @cs: where, from @base on, the code segment of the interrupted user space is; 0: the stack
 *	does not end in user space
 * @at: where each address is
 * @ip: and what it is
 */
struct depot_memo {
	u32 handle;
	u16 nr;
	u16 cs;
	u16 at[KMM_DEPOT_DEPTH];
	unsigned long ip[KMM_DEPOT_DEPTH];
};

/**
 * struct kmm_depot_cpu - what belongs to one CPU; IRQs are off
 * @memo: what it remembers
 * @victim: the way that is replaced next
 * @nr_saved: calls
 * @nr_remembered: calls that a memo answered
 */
struct kmm_depot_cpu {
	struct depot_memo memo[MEMO_SETS][MEMO_WAYS];
	unsigned int victim;
	u64 nr_saved;
	u64 nr_remembered;
};

struct kmm_depot kmm_stacks;
KMM_EXPORT_INTERNAL(kmm_stacks);

/* Serialises kmm_stacks_get(). */
static DEFINE_MUTEX(depot_mutex);

/* === Records === */

/* The record of a handle; NULL for 0 and for what is none. */
static const struct depot_record *depot_record(const struct kmm_depot *d, u32 handle)
{
	u64 at = ((u64)handle - 1) * DEPOT_UNIT;

	if (!handle || !d->bucket || at >= READ_ONCE(d->used_bytes))
		return NULL;
	return d->pool[at / KMM_DEPOT_POOL_BYTES] + at % KMM_DEPOT_POOL_BYTES;
}

static u32 depot_find(const struct kmm_depot *d, const unsigned long *ip, unsigned int nr, u32 hash)
{
	/* Pairs with smp_store_release() in depot_add_locked(). */
	u32 handle = smp_load_acquire(&d->bucket[hash >> (32 - DEPOT_HASH_BITS)]);

	while (handle) {
		const struct depot_record *rec = depot_record(d, handle);

		if (rec->hash == hash && rec->nr == nr && !memcmp(rec->ip, ip, nr * sizeof(*ip)))
			return handle;
		handle = rec->next;
	}
	return 0;
}

static u32 depot_add_locked(struct kmm_depot *d, const unsigned long *ip, unsigned int nr, u32 hash)
{
	size_t size = sizeof(struct depot_record) + nr * sizeof(*ip);
	u32 *bucket = &d->bucket[hash >> (32 - DEPOT_HASH_BITS)];
	u32 at = d->used_bytes, handle;
	struct depot_record *rec;

	lockdep_assert_held(&d->lock);
	if (at % KMM_DEPOT_POOL_BYTES + size > KMM_DEPOT_POOL_BYTES)
		at = ALIGN(at, KMM_DEPOT_POOL_BYTES);
	if (at / KMM_DEPOT_POOL_BYTES >= d->nr_pools) {
		d->nr_dropped++;
		return 0;
	}
	rec = d->pool[at / KMM_DEPOT_POOL_BYTES] + at % KMM_DEPOT_POOL_BYTES;
	rec->next = *bucket;
	rec->hash = hash;
	rec->nr = nr;
	memcpy(rec->ip, ip, nr * sizeof(*ip));
	WRITE_ONCE(d->used_bytes, at + size);
	d->nr_stacks++;
	handle = 1 + at / DEPOT_UNIT;
	/* Whoever finds the handle finds the record. Pairs with depot_find(). */
	smp_store_release(bucket, handle);
	return handle;
}

/* Is less than a pool left, and may there be more? */
static bool depot_wants_pool(const struct kmm_depot *d)
{
	u32 nr = READ_ONCE(d->nr_pools);

	return nr < d->max_pools &&
	       (u64)READ_ONCE(d->used_bytes) + KMM_DEPOT_POOL_BYTES >
	       (u64)nr * KMM_DEPOT_POOL_BYTES;
}

static u32 depot_save(struct kmm_depot *d, const unsigned long *ip, unsigned int nr)
{
	unsigned long flags;
	u32 hash, handle;

	if (!nr || !d->bucket)
		return 0;
	hash = jhash2((const u32 *)ip, nr * sizeof(*ip) / sizeof(u32), 0);
	handle = depot_find(d, ip, nr, hash);
	if (handle)
		return handle;
	raw_spin_lock_irqsave(&d->lock, flags);
	handle = depot_find(d, ip, nr, hash) ?: depot_add_locked(d, ip, nr, hash);
	raw_spin_unlock_irqrestore(&d->lock, flags);
	if (depot_wants_pool(d))
		schedule_work(&d->grow);
	return handle;
}

/**
 * kmm_depot_save() - Keep a stack.
 * @d: depot
 * @entries: return addresses, innermost first
 * @nr: how many; what is beyond KMM_DEPOT_DEPTH_MAX is cut off
 *
 * Context: any but NMI. Return: its handle; 0 when it is new and there is no room.
 */
u32 kmm_depot_save(struct kmm_depot *d, const unsigned long *entries, unsigned int nr)
{
	if (d->cpu)
		this_cpu_inc(d->cpu->nr_saved);
	return depot_save(d, entries, min_t(unsigned int, nr, KMM_DEPOT_DEPTH_MAX));
}
KMM_EXPORT_INTERNAL(kmm_depot_save);

/* === What a CPU remembers === */

#ifdef CONFIG_UNWINDER_ORC
static __always_inline unsigned long depot_stack_word(const unsigned long *base, unsigned int at)
{
	return READ_ONCE_NOCHECK(base[at]);
}

/* Another word of the same stack, above? */
static bool depot_same_stack(const unsigned long *base, const void *p)
{
	return ((unsigned long)base ^ (unsigned long)p) < THREAD_SIZE && p > (const void *)base;
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

/*
 * The stack above @base, the frame of a function with a frame pointer.
 * Return: false when it must not be remembered; @memo is whole but for the handle in any case.
 */
static bool depot_unwind(const unsigned long *base, struct depot_memo *memo)
{
	struct unwind_state state;
	bool good = true;
	unsigned int nr;

	memo->cs = 0;
	__unwind_start(&state, current, NULL, (unsigned long *)base);
	for (nr = 0; nr < KMM_DEPOT_DEPTH && !unwind_done(&state); nr++) {
		unsigned long ip = unwind_get_return_address(&state);
		unsigned long sp = state.sp, bp = state.bp;
		const unsigned long *slot = (unsigned long *)sp - 1;

		if (!ip)
			break;
		memo->ip[nr] = ip;
		if (good && !state.regs && depot_same_stack(base, slot) &&
		    READ_ONCE_NOCHECK(*slot) == ip)
			memo->at[nr] = slot - base;
		else
			good = false;
		if (!unwind_next_frame(&state))
			continue;
		good &= !depot_by_register(&state, sp, bp);
		if (state.regs && user_mode(state.regs) && depot_same_stack(base, &state.regs->cs))
			memo->cs = &state.regs->cs - base;
		else
			good &= !state.regs;
	}
	memo->nr = nr;
	return good && nr && !unwind_error(&state);
}

/* Is what @memo has on the stack of @base, word for word? See the essay. */
static __always_inline bool depot_memo_fits(const struct depot_memo *memo,
					    const unsigned long *base)
{
	unsigned int i;

	if (!memo->handle)
		return false;
	for (i = 0; i < memo->nr; i++)
		if (depot_stack_word(base, memo->at[i]) != memo->ip[i])
			return false;
	return !memo->cs || (depot_stack_word(base, memo->cs) & SEGMENT_RPL_MASK) == USER_RPL;
}

/* The set of memos for a call from this place at this depth of the stack. */
static __always_inline struct depot_memo *depot_memo_set(struct kmm_depot_cpu *c,
							 const unsigned long *base)
{
	unsigned long key = ((unsigned long)base & (THREAD_SIZE - 1)) ^ base[1];

	return c->memo[hash_long(key, MEMO_SET_BITS)];
}

/**
 * kmm_depot_save_here() - Keep the stack of the caller.
 * @d: depot
 * @skip: entries to leave out; 0: the first one is the place behind this call. The same in
 *	each call from one place
 *
 * Context: any but NMI. Return: its handle; 0 when it is new and there is no room.
 */
noinline u32 kmm_depot_save_here(struct kmm_depot *d, unsigned int skip)
{
	const unsigned long *base = __builtin_frame_address(0);
	struct depot_memo memo, *set;
	struct kmm_depot_cpu *c;
	unsigned long flags;
	unsigned int way;
	bool good;

	if (unlikely(!d->bucket))
		return 0;
	local_irq_save(flags);
	c = this_cpu_ptr(d->cpu);
	c->nr_saved++;
	set = depot_memo_set(c, base);
	for (way = 0; way < MEMO_WAYS; way++) {
		if (depot_memo_fits(&set[way], base)) {
			u32 handle = set[way].handle;

			c->nr_remembered++;
			local_irq_restore(flags);
			return handle;
		}
	}
	local_irq_restore(flags);

	good = depot_unwind(base, &memo);
	skip = min_t(unsigned int, skip, memo.nr);
	memo.handle = depot_save(d, memo.ip + skip, memo.nr - skip);
	if (good && memo.handle) {
		local_irq_save(flags);
		c = this_cpu_ptr(d->cpu);
		depot_memo_set(c, base)[c->victim++ % MEMO_WAYS] = memo;
		local_irq_restore(flags);
	}
	return memo.handle;
}
#else
noinline u32 kmm_depot_save_here(struct kmm_depot *d, unsigned int skip)
{
	unsigned long ip[KMM_DEPOT_DEPTH];

	if (!d->bucket)
		return 0;
	this_cpu_inc(d->cpu->nr_saved);
	return depot_save(d, ip, stack_trace_save(ip, ARRAY_SIZE(ip), skip + 1));
}
#endif
KMM_EXPORT_INTERNAL(kmm_depot_save_here);

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
	const struct depot_record *rec = depot_record(d, handle);
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
	st->bytes += (sizeof(*d->bucket) << DEPOT_HASH_BITS) + d->max_pools * sizeof(*d->pool) +
		     num_possible_cpus() * sizeof(*d->cpu);
	st->max_bytes = (size_t)d->max_pools * KMM_DEPOT_POOL_BYTES;
	for_each_possible_cpu(cpu) {
		st->nr_saved += READ_ONCE(per_cpu_ptr(d->cpu, cpu)->nr_saved);
		st->nr_remembered += READ_ONCE(per_cpu_ptr(d->cpu, cpu)->nr_remembered);
	}
}
KMM_EXPORT_INTERNAL(kmm_depot_stat);

/* === Life === */

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
	if (!kmm_stacks.bucket)
		err = kmm_depot_init(&kmm_stacks, (size_t)stack_depot_kb << 10);
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
	kmm_depot_fini(&kmm_stacks);
}
