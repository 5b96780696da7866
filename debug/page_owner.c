// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Page owner
 *
 * For every block that the buddy gave out: which task took it, when, with what flags and from
 * where; and for what is free now: who gave it back. As the kernel's page_owner, with its
 * format, so that its tools/vm/page_owner_sort reads the dump.
 *
 * The record stands in page_ext, in the entry of the block's first frame; stacks are handles
 * into kmm_stacks. A split copies it to each frame. So an operation writes one record, whatever
 * the order, while the kernel writes one per page.
 *
 * People leave it on, so its hooks have a short form, inline in the fast paths of buddy.c: for
 * stacks that the depot remembers first, while no other feature wants pages and the TSC is good. A
 * stack begins with whoever called the buddy, on both ways: its functions hand down where their own
 * return address is (kmm_depot_slot()).
 *
 * It starts in two phases. page_ext must be carved before the buddy has the frames, so whether
 * page_owner can be had is decided at load (parameter page_owner=1). It begins to work once
 * buddy and depot do (page_ext_init_flatmem_late): whatever is in use by then, metadata and
 * what was allocated meanwhile, is marked as early, with a stack that says so. From then on the
 * parameter switches it off and on; without its space, switching on is -EBUSY. Switched on
 * again it knows nothing of what happened meanwhile, forgets all records, and marks what is in
 * use as early, as at the start.
 *
 * States of a record (enum kmm_page_owner_state)::
 *
 *	UNKNOWN -> ALLOCATED <-> FREED
 *	   \-> EARLY -> FREED
 *
 * UNKNOWN to EARLY is a compare-and-exchange: the marking runs while others allocate and free,
 * and must not overwrite what they wrote.
 *
 * Invariants: while it is on, each block that is taken after the key was set has a record in
 * state ALLOCATED, with a stack (one that says "failure" when the depot was full).
 *
 * Readers take no lock: a record may change while it is copied, and then the line of the dump
 * is a mixture. A dump is of no single moment in any case.
 *
 * Locks: owner_mutex for switching. The hooks take none: the block belongs to the caller.
 *
 * It deliberately does not: record migration (nothing is migrated), or memory cgroups.
 */

/* the kernel's dump_page() has no prefix */
#define pr_fmt(fmt) fmt

#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/string.h>
#include <linux/time64.h>
#include <asm/tsc.h>

#include <compat/compat.h>
#include <kmm/page_owner.h>
#include <kmm/paths.h>
#include <kmm/region.h>
#include <kmm/stack_depot.h>

/* === Data === */

DEFINE_STATIC_KEY_FALSE(kmm_page_owner_key);
KMM_EXPORT_INTERNAL(kmm_page_owner_key);

/* Protects what follows, and switching. */
static DEFINE_MUTEX(owner_mutex);
/* The parameter at load. */
static bool owner_wanted;
/* page_ext was carved: what was not wanted by then comes too late. */
static bool owner_asked;
/* The module's region, while it has records; NULL: none. */
static struct kmm_region *owner_region;

/*
 * Records have the TSC, which was this when local_clock() was that; immutable after load; 0: the
 * TSC is not good enough. The key is on, for good, since kmm_stacks is there: so it also says that.
 */
DEFINE_STATIC_KEY_FALSE(kmm_page_owner_tsc_key);
KMM_EXPORT_INTERNAL(kmm_page_owner_tsc_key);
static u64 owner_start_tsc, owner_start_nsec;

/* Stacks of frames that were in use before, and of what did not fit into the depot. */
static u32 owner_early_handle;
static u32 owner_failure_handle;

static const char * const owner_type_names[] = {
	[KMM_UNMOVABLE] = "Unmovable",
	[KMM_MOVABLE] = "Movable",
	[KMM_RECLAIMABLE] = "Reclaimable",
	[KMM_NR_MIGRATETYPES] = "?",
};

static const char *owner_type_name(unsigned int mt)
{
	return owner_type_names[min_t(unsigned int, mt, KMM_NR_MIGRATETYPES)];
}

/* The type that an allocation asked for, as buddy.c takes it from the flags. */
static unsigned int owner_gfp_type(gfp_t gfp)
{
	if (gfp & __GFP_MOVABLE)
		return KMM_MOVABLE;
	return gfp & __GFP_RECLAIMABLE ? KMM_RECLAIMABLE : KMM_UNMOVABLE;
}

/* === Records === */

/* As local_clock() would have said, when kmm_page_owner_clock() said this. */
static u64 owner_clock_nsec(u64 clock)
{
	if (!static_branch_likely(&kmm_page_owner_tsc_key) || !clock)
		return clock;
	return owner_start_nsec + mul_u64_u32_div(clock - owner_start_tsc, USEC_PER_SEC, tsc_khz);
}

static struct kmm_page_owner *owner_record(const struct kmm_region *r, u32 index)
{
	return kmm_page_ext_get(&r->ext, KMM_PAGE_EXT_OWNER, index);
}

static u32 owner_stack(const unsigned long *slot)
{
	return kmm_depot_save_at(&kmm_stacks, slot) ?: owner_failure_handle;
}

/**
 * kmm_page_owner_alloc() - A block is given out.
 * @r: region
 * @f: its first frame
 * @order: of the block
 * @gfp: what it was asked for with
 * @slot: where on the stack is the first return address
 *
 * Context: any but NMI; the block is the caller's.
 */
void kmm_page_owner_alloc(struct kmm_region *r, const struct kmm_frame *f, unsigned int order,
			  gfp_t gfp, const unsigned long *slot)
{
	struct kmm_page_owner *po = kmm_page_ext_of(&r->ext, KMM_PAGE_EXT_OWNER, f);

	if (po)
		kmm_page_owner_set_allocated(po, owner_stack(slot), order, gfp,
					     kmm_page_owner_clock());
}

/**
 * kmm_page_owner_free() - A block comes back.
 * @r: region
 * @f: its first frame
 * @slot: where on the stack is the first return address
 *
 * Context: any but NMI; the block is the caller's.
 */
void kmm_page_owner_free(struct kmm_region *r, const struct kmm_frame *f,
			 const unsigned long *slot)
{
	struct kmm_page_owner *po = kmm_page_ext_of(&r->ext, KMM_PAGE_EXT_OWNER, f);

	if (po)
		kmm_page_owner_set_freed(po, owner_stack(slot), kmm_page_owner_clock());
}

/**
 * kmm_page_owner_split() - A used block becomes single frames.
 * @r: region
 * @page: first page
 * @order: that the block had
 *
 * Context: any; the block is the caller's.
 */
void kmm_page_owner_split(struct kmm_region *r, struct page *page, unsigned int order)
{
	const struct kmm_frame *f = kmm_region_frame(r, page_to_pfn(page));
	struct kmm_page_owner *po = kmm_page_ext_of(&r->ext, KMM_PAGE_EXT_OWNER, f);
	u32 i, index = kmm_region_index(r, f);

	if (!po)
		return;
	po->order = 0;
	for (i = 1; i < 1U << order; i++)
		*owner_record(r, index + i) = *po;
}

/* === Looking === */

static void owner_copy(const struct kmm_page_owner *po, struct kmm_page_owner *copy)
{
	*copy = *po;
	copy->comm[TASK_COMM_LEN - 1] = '\0';
	copy->ts_nsec = owner_clock_nsec(copy->ts_nsec);
	copy->free_ts_nsec = owner_clock_nsec(copy->free_ts_nsec);
}

/**
 * kmm_page_owner_get() - The record of a block that is in use.
 * @r: region
 * @index: of a frame
 * @copy: filled
 *
 * Context: any. Return: false when @index is not the first frame of a block in use, or nothing is
 * known of it.
 */
bool kmm_page_owner_get(const struct kmm_region *r, u32 index, struct kmm_page_owner *copy)
{
	const struct kmm_frame f = { .tag = READ_ONCE(r->frames[index].tag) };
	const struct kmm_page_owner *po = owner_record(r, index);

	if (!po)
		return false;
	if (kmm_frame_state(&f) != KMM_FRAME_USED && kmm_frame_state(&f) != KMM_FRAME_METADATA)
		return false;
	owner_copy(po, copy);
	return copy->handle &&
	       (copy->state == KMM_OWNER_ALLOCATED || copy->state == KMM_OWNER_EARLY);
}
KMM_EXPORT_INTERNAL(kmm_page_owner_get);

/**
 * kmm_page_owner_snprint() - A record in the format of the kernel's page_owner.
 * @r: region
 * @index: of the block's first frame
 * @po: its record
 * @buf: buffer
 * @size_bytes: of it
 *
 * Context: any. Return: bytes without the terminating one; cut off when it does not fit.
 */
int kmm_page_owner_snprint(const struct kmm_region *r, u32 index, const struct kmm_page_owner *po,
			   char *buf, size_t size_bytes)
{
	unsigned long pfn = kmm_region_pfn(r, index);
	int n;

	n = scnprintf(buf, size_bytes,
		      "Page allocated via order %u, mask %#x(%pGg), pid %d, tgid %d (%s), ts %llu ns, free_ts %llu ns\n",
		      po->order, (__force u32)po->gfp, &po->gfp, po->pid, po->tgid, po->comm,
		      po->ts_nsec, po->free_ts_nsec);
	n += scnprintf(buf + n, size_bytes - n, "PFN %lu type %s Block %lu type %s Flags %pGp\n",
		       pfn, owner_type_name(owner_gfp_type(po->gfp)), pfn >> KMM_PAGEBLOCK_ORDER,
		       owner_type_name(READ_ONCE(r->pageblock_mt[index >> KMM_PAGEBLOCK_ORDER])),
		       &pfn_to_page(pfn)->flags);
	n += kmm_depot_snprint(&kmm_stacks, po->handle, buf + n, size_bytes - n, 0);
	n = min_t(size_t, n, size_bytes - 1);
	return n + scnprintf(buf + n, size_bytes - n, "\n");
}
KMM_EXPORT_INTERNAL(kmm_page_owner_snprint);

/* The first frame of the used block that @index is in, or @index itself. */
static u32 owner_block_start(const struct kmm_region *r, u32 index)
{
	unsigned int order;

	if (kmm_frame_state(&r->frames[index]) != KMM_FRAME_TAIL)
		return index;
	for (order = 1; order <= KMM_MAX_ORDER; order++) {
		u32 start = index & ~((1U << order) - 1);
		const struct kmm_frame *f = &r->frames[start];

		if (kmm_frame_state(f) == KMM_FRAME_USED &&
		    start + (1U << kmm_frame_order(f)) > index)
			return start;
	}
	return index;
}

/**
 * kmm_page_owner_print() - Log what is known of a frame, as the kernel's dump_page() does.
 * @r: region
 * @page: any page of it
 *
 * Nothing is printed where page_owner has no space, or nothing happened to the frame yet.
 *
 * Context: any.
 */
void kmm_page_owner_print(struct kmm_region *r, struct page *page)
{
	const struct kmm_frame *f = kmm_region_frame(r, page_to_pfn(page));
	u32 index = owner_block_start(r, kmm_region_index(r, f));
	const struct kmm_page_owner *record = owner_record(r, index);
	struct kmm_page_owner po;

	if (!record || READ_ONCE(record->state) == KMM_OWNER_UNKNOWN)
		return;
	owner_copy(record, &po);
	pr_err("page_owner tracks the page as %s\n",
	       po.state == KMM_OWNER_FREED ? "freed" : "allocated");
	pr_err("page last allocated via order %u, migratetype %s, gfp_mask %#x(%pGg), pid %d, tgid %d (%s), ts %llu, free_ts %llu\n",
	       po.order, owner_type_name(owner_gfp_type(po.gfp)), (__force u32)po.gfp, &po.gfp,
	       po.pid, po.tgid, po.comm, po.ts_nsec, po.free_ts_nsec);
	kmm_depot_print(&kmm_stacks, po.handle);
	if (po.free_handle) {
		pr_err("page last free stack trace:\n");
		kmm_depot_print(&kmm_stacks, po.free_handle);
	} else {
		pr_err("page_owner free stack trace missing\n");
	}
}

/* === Switching === */

/* Functions of their own, so that the stack says what happened. */
static noinline u32 owner_register_early_stack(void)
{
	u32 handle = kmm_depot_save_here(&kmm_stacks);

	barrier();	/* no tail call */
	return handle;
}

static noinline u32 owner_register_failure_stack(void)
{
	u32 handle = kmm_depot_save_here(&kmm_stacks);

	barrier();
	return handle;
}

/*
 * With interrupts off: a task that is preempted in between would write over the record of whoever
 * takes the frame after its free. Return: the record was still unknown.
 */
static bool owner_mark_one(struct kmm_page_owner *po, unsigned int order)
{
	u32 unknown = KMM_OWNER_UNKNOWN;
	unsigned long flags;
	bool marked;

	local_irq_save(flags);
	marked = try_cmpxchg(&po->state, &unknown, KMM_OWNER_EARLY);
	if (marked) {
		po->order = order;
		po->handle = owner_early_handle;
		kmm_page_owner_set_task(po, kmm_page_owner_clock());
	}
	local_irq_restore(flags);
	return marked;
}

/* Mark what is in use and has no record. Return: frames. */
static unsigned long owner_mark_early(struct kmm_region *r)
{
	unsigned long frames = 0;
	u32 index, nr;

	for (index = 0; index < r->nr_index; index += nr) {
		const struct kmm_frame f = { .tag = READ_ONCE(r->frames[index].tag) };

		nr = 1;
		if (!(index % KMM_PAGEBLOCK_FRAMES))
			cond_resched();
		if (kmm_frame_state(&f) != KMM_FRAME_USED &&
		    kmm_frame_state(&f) != KMM_FRAME_METADATA)
			continue;
		nr = 1U << min_t(unsigned int, kmm_frame_order(&f), KMM_MAX_ORDER);
		if (owner_mark_one(owner_record(r, index), kmm_frame_order(&f)))
			frames += nr;
	}
	return frames;
}

/**
 * kmm_page_owner_start() - Begin to keep records in a region.
 * @r: region; not on there yet
 *
 * Context: may sleep; others may allocate and free meanwhile.
 * Return: frames that were in use already; -EBUSY when there is no space for records, because it
 * was not asked for in time; -ENOMEM.
 */
long kmm_page_owner_start(struct kmm_region *r)
{
	u32 index;
	int err;

	if (!(r->ext.needed & BIT(KMM_PAGE_EXT_OWNER)))
		return -EBUSY;
	err = kmm_stacks_get();
	if (err)
		return err;
	if (owner_start_tsc)
		static_branch_enable(&kmm_page_owner_tsc_key);
	owner_early_handle = owner_register_early_stack();
	owner_failure_handle = owner_register_failure_stack();
	for (index = 0; index < r->nr_index; index++)
		memset(owner_record(r, index), 0, sizeof(struct kmm_page_owner));
	kmm_page_ext_switch(r, KMM_PAGE_EXT_OWNER, true);
	kmm_hooks_on(&kmm_page_owner_key, KMM_PATH_PAGE_OWNER);
	return owner_mark_early(r);
}
KMM_EXPORT_INTERNAL(kmm_page_owner_start);

/**
 * kmm_page_owner_stop() - Keep no more records.
 * @r: region; kmm_page_owner_start() succeeded
 *
 * What is known stays to be read, but gets old.
 *
 * Context: may sleep.
 */
void kmm_page_owner_stop(struct kmm_region *r)
{
	kmm_page_ext_switch(r, KMM_PAGE_EXT_OWNER, false);
	kmm_hooks_off(&kmm_page_owner_key, KMM_PATH_PAGE_OWNER);
}
KMM_EXPORT_INTERNAL(kmm_page_owner_stop);

static bool owner_is_on(void)
{
	return owner_region && kmm_page_ext_is_on(&owner_region->ext, KMM_PAGE_EXT_OWNER);
}

/* The region is there; owner_mutex is held. */
static int owner_switch(bool on)
{
	long ret = 0;

	if (on == owner_is_on())
		return 0;
	if (!owner_region)
		return -EBUSY;
	if (on)
		ret = kmm_page_owner_start(owner_region);
	else
		kmm_page_owner_stop(owner_region);
	return ret < 0 ? ret : 0;
}

static int owner_param_set(const char *val, const struct kernel_param *kp)
{
	bool on;
	int err = kstrtobool(val ?: "1", &on);

	if (err)
		return err;
	mutex_lock(&owner_mutex);
	if (owner_asked)
		err = owner_switch(on);
	else
		owner_wanted = on;
	mutex_unlock(&owner_mutex);
	return err;
}

static int owner_param_get(char *buf, const struct kernel_param *kp)
{
	bool on;

	mutex_lock(&owner_mutex);
	on = owner_is_on();
	mutex_unlock(&owner_mutex);
	return sysfs_emit(buf, "%c\n", on ? 'Y' : 'N');
}

static const struct kernel_param_ops owner_param_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = owner_param_set,
	.get = owner_param_get,
};

module_param_cb(page_owner, &owner_param_ops, NULL, 0644);
MODULE_PARM_DESC(page_owner, "Remember who has each frame; at load it reserves space, later it can be switched (default 0)");

/**
 * kmm_page_owner_wanted() - Was page_owner asked for at load?
 *
 * Context: may sleep. Return: so.
 */
bool kmm_page_owner_wanted(void)
{
	bool wanted;

	mutex_lock(&owner_mutex);
	wanted = owner_wanted;
	mutex_unlock(&owner_mutex);
	return wanted;
}

static bool owner_need(void)
{
	bool wanted;

	mutex_lock(&owner_mutex);
	owner_asked = true;
	wanted = owner_wanted;
	mutex_unlock(&owner_mutex);
	return wanted;
}

static size_t owner_size(void)
{
	return sizeof(struct kmm_page_owner);
}

const struct kmm_page_ext_client kmm_page_owner_client = {
	.name = "page_owner",
	.need = owner_need,
	.size = owner_size,
};

/**
 * kmm_page_owner_init() - Buddy and depot work: start, if it was asked for at load.
 * @r: the module's region
 *
 * Context: may sleep. Return: as kmm_page_owner_start(); -EBUSY: it was not, or there was no room.
 */
long kmm_page_owner_init(struct kmm_region *r)
{
	long ret = -EBUSY;

	mutex_lock(&owner_mutex);
	if (tsc_khz && !check_tsc_unstable()) {
		owner_start_tsc = rdtsc();
		owner_start_nsec = local_clock();
	}
	if (r->ext.needed & BIT(KMM_PAGE_EXT_OWNER)) {
		ret = kmm_page_owner_start(r);
		owner_region = r;
	}
	mutex_unlock(&owner_mutex);
	return ret;
}

/**
 * kmm_page_owner_fini() - The region goes.
 *
 * Context: may sleep.
 */
void kmm_page_owner_fini(void)
{
	mutex_lock(&owner_mutex);
	owner_switch(false);
	owner_region = NULL;
	mutex_unlock(&owner_mutex);
}
