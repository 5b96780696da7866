// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The module
 *
 * Parameters, struct kmm, and the order of life. Loading takes memory from the host
 * (region/), runs the steps of mm_init on it in the kernel's own order (kmm_mm_init(),
 * DESIGN.md section 7), starts the background thread and opens /dev/kmm. Unloading does the
 * exact reverse. Nothing is visible from outside before everything behind it stands.
 *
 * This is also the place where the layers are wired: a lower layer reaches up only through
 * the function pointers that are set here.
 *
 *	buddy.relieve, buddy.wake -> reclaim.c
 *	buddy.uncharge -> vm/account.c
 *	reclaim's shrinkers -> slab.c, vm/pgtable.c, vmap.c
 *
 * Every step of mm_init is timed, counted (region memory that it took) and kept with a line
 * on its result for debugfs mm_init.
 *
 * Locks: none; init and exit run alone.
 *
 * It deliberately does not work: each step is a call of the unit that knows how.
 */

#define pr_fmt(fmt) "kmm: " fmt

#include <linux/err.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <asm/cpufeature.h>

#include <kmm/core.h>

#define CREATE_TRACE_POINTS
#include <trace/events/kmm.h>

/* === Data === */

static unsigned int region_mb = 64;
module_param(region_mb, uint, 0444);
MODULE_PARM_DESC(region_mb, "Memory to take from the host, MiB (default 64)");

static char *provider = "auto";
module_param(provider, charp, 0444);
MODULE_PARM_DESC(provider, "Where it comes from: auto, cma, contig or chunks (default auto: the first that can)");

static unsigned int window_mb;
module_param(window_mb, uint, 0444);
MODULE_PARM_DESC(window_mb, "Kernel address space to reserve, MiB (default 0: twice region_mb)");

static bool lab;
module_param(lab, bool, 0444);
MODULE_PARM_DESC(lab, "Allow experiments that plant bugs on purpose (default 0)");

static bool allow_wx;
module_param(allow_wx, bool, 0444);
MODULE_PARM_DESC(allow_wx, "Areas of address spaces may be writable and executable (default 0)");

static char *mmu = "auto";
module_param(mmu, charp, 0444);
MODULE_PARM_DESC(mmu, "Access to spaces through CR3: auto, on (also where untested) or off (default auto)");

static unsigned int max_slots = KMM_DEFAULT_MAX_SLOTS;
module_param(max_slots, uint, 0444);
MODULE_PARM_DESC(max_slots, "Slots of one open file for KMM_IOC_OPS (default 65536)");

/* 0 stands for the default; -1 for no limit. */
#define KMM_LIMIT_PARAM(name, what)						\
	static long name;							\
	module_param(name, long, 0444);						\
	MODULE_PARM_DESC(name, what)

KMM_LIMIT_PARAM(user_frames, "Frames that one user may hold (default 0: half of the region; -1: no limit)");
KMM_LIMIT_PARAM(user_objects, "Memory objects that one user may hold (default 0: 4096; -1: no limit)");
KMM_LIMIT_PARAM(user_names, "Names that one user may hold (default 0: 1024; -1: no limit)");
KMM_LIMIT_PARAM(user_host_kb, "Host memory that one user may hold, KiB (default 0: 16384; -1: no limit)");
KMM_LIMIT_PARAM(file_frames, "The same for one open file (default 0: as the user)");
KMM_LIMIT_PARAM(file_objects, "The same for one open file (default 0: as the user)");
KMM_LIMIT_PARAM(file_names, "The same for one open file (default 0: as the user)");
KMM_LIMIT_PARAM(file_host_kb, "The same for one open file, KiB (default 0: as the user)");

/* The smallest region that has room for metadata and a few large blocks. */
#define KMM_REGION_MB_MIN	4

static struct kmm kmm;

/* === Steps === */

struct kmm_step_clock {
	struct kmm_mm_init_step *step;
	u64 start_ns;
	unsigned long frames;
};

static struct kmm_step_clock kmm_step_begin(struct kmm *k, const char *name)
{
	struct kmm_mm_init_step *step;

	BUILD_BUG_ON(KMM_MAX_STEPS < 17);
	step = &k->steps[k->nr_steps++];
	step->name = name;
	return (struct kmm_step_clock) {
		.step = step,
		.start_ns = ktime_get_ns(),
		.frames = k->region.early_frames,
	};
}

static __printf(3, 4) void kmm_step_end(struct kmm *k, const struct kmm_step_clock *c,
					const char *fmt, ...)
{
	va_list args;

	c->step->ns = ktime_get_ns() - c->start_ns;
	c->step->bytes = (u64)(k->region.early_frames - c->frames) << PAGE_SHIFT;
	va_start(args, fmt);
	vscnprintf(c->step->result, sizeof(c->step->result), fmt, args);
	va_end(args);
	pr_info("mm_init: %s: %s (%llu us)\n", c->step->name, c->step->result, c->step->ns / 1000);
}

/* === Callbacks: the way up === */

static bool kmm_relieve(void *ctx, gfp_t gfp, unsigned int order)
{
	struct kmm *k = ctx;

	/* Not before the thread runs: the caches of kmem_cache_init come first. */
	return k->reclaim.task && kmm_reclaim_relieve(&k->reclaim, gfp, order);
}

static unsigned long kmm_shrink_slab(void *ctx)
{
	struct kmm *k = ctx;

	return kmm_slab_shrink(&k->slab);
}

static unsigned long kmm_shrink_tables(void *ctx)
{
	struct kmm *k = ctx;

	return kmm_pgtables_shrink(&k->tables);
}

static unsigned long kmm_shrink_vmap(void *ctx)
{
	struct kmm *k = ctx;

	return kmm_vmap_unmap_aliases(k->vmap);
}

static void kmm_wake(void *ctx)
{
	struct kmm *k = ctx;

	if (k->reclaim.task)
		kmm_reclaim_wake(&k->reclaim);
}

static void kmm_uncharge(void *ctx, u32 owner, unsigned long nr_pages)
{
	struct kmm *k = ctx;

	kmm_accounts_uncharge_frames(&k->accounts, owner, nr_pages);
}

/* === mm_init, in the kernel's order === */

/* The kernel addresses that vmalloc_init will own; no window is no error, vmap says so then. */
static void kmm_reserve_window(struct kmm *k)
{
	struct kmm_step_clock c = kmm_step_begin(k, "reserve_window");
	unsigned long nr_pages = window_mb ? (unsigned long)window_mb << (20 - PAGE_SHIFT) :
					     2 * k->region.nr_frames;

	if (kmm_region_init_window(&k->region, nr_pages))
		kmm_step_end(k, &c, "none: the host has no %lu MiB of addresses", nr_pages >> 8);
	else
		kmm_step_end(k, &c, "%lu MiB of kernel addresses", nr_pages >> 8);
}

/* Hand the region less its metadata, the last of which are the slab allocator's maps, over. */
static int kmm_mem_init(struct kmm *k)
{
	struct kmm_step_clock c = kmm_step_begin(k, "mem_init");
	struct kmm_buddy *b = &k->buddy;
	int err;

	err = kmm_slab_reserve(&k->slab, &k->region);
	if (err)
		return err;
	b->relieve = kmm_relieve;
	b->wake = kmm_wake;
	b->uncharge = kmm_uncharge;
	b->ctx = k;
	err = kmm_buddy_init(b, &k->region);
	if (err)
		return err;
	kmm_step_end(k, &c, "%lu frames to the buddy, watermarks %lu/%lu/%lu", b->managed,
		     b->watermark[KMM_WMARK_MIN], b->watermark[KMM_WMARK_LOW],
		     b->watermark[KMM_WMARK_HIGH]);
	return 0;
}

/* Size classes, and the cache of caches that lives in itself. */
static int kmm_kmem_cache_init(struct kmm *k)
{
	struct kmm_step_clock c = kmm_step_begin(k, "kmem_cache_init");
	int err = kmm_slab_init(&k->slab, &k->buddy);

	if (err)
		return err;
	kmm_step_end(k, &c, "%d size classes, caches of %u bytes in a cache", KMM_KMALLOC_NR,
		     k->slab.caches->object_size);
	return 0;
}

static void kmm_mem_init_print_info(struct kmm *k)
{
	struct kmm_step_clock c = kmm_step_begin(k, "mem_init_print_info");
	unsigned long kb = 1UL << (PAGE_SHIFT - 10);

	kmm_step_end(k, &c, "Memory: %luK/%luK available (%luK metadata)", k->buddy.managed * kb,
		     k->region.nr_frames * kb, k->region.early_frames * kb);
}

/* The cache of zeroed tables; a lock for each table is in its frame. */
static void kmm_pgtable_init(struct kmm *k)
{
	struct kmm_step_clock c = kmm_step_begin(k, "pgtable_init");

	kmm_pgtables_init(&k->tables, &k->buddy);
	kmm_step_end(k, &c, "%d levels, a lock per table", pgtable_l5_enabled() ? 5 : 4);
}

/* The rest of the window. Without one there is no vmalloc, and everything else works. */
static int kmm_vmalloc_init(struct kmm *k)
{
	struct kmm_step_clock c = kmm_step_begin(k, "vmalloc_init");
	struct kmm_window *w;

	if (!k->region.window) {
		kmm_step_end(k, &c, "no window, no vmalloc");
		return 0;
	}
	k->vmap = kmm_vmap_create(&k->region, &k->buddy, &k->tables);
	if (IS_ERR(k->vmap))
		return PTR_ERR(k->vmap);
	w = kmm_vmap_window(k->vmap);
	kmm_step_end(k, &c, "%lu MiB by pages, %lu MiB by 2 MiB",
		     (w->nr_pages >> 8) - w->huge_nr * 2, w->huge_nr * 2);
	return 0;
}

/* A slot for each CPU, and its writable alias; each space gets the read-only one. */
static int kmm_init_espfix_bsp(struct kmm *k)
{
	struct kmm_step_clock c = kmm_step_begin(k, "init_espfix_bsp");
	struct kmm_espfix *e = kmm_espfix_create(&k->tables);

	if (IS_ERR(e))
		return PTR_ERR(e);
	k->espfix = e;
	kmm_step_end(k, &c, "%u slots, ro %#lx, rw %#lx", nr_cpu_ids,
		     kmm_espfix_ro_addr(0), kmm_espfix_rw_addr(0));
	c.step->bytes = (u64)kmm_espfix_frames(e) << PAGE_SHIFT;
	return 0;
}

/* The roots are made with each space; here is said what they are good for. */
static void kmm_pti_init(struct kmm *k)
{
	struct kmm_step_clock c = kmm_step_begin(k, "pti_init");
	const char *why;
	bool hardware = kmm_mmu_hardware(&why);

	kmm_step_end(k, &c, "two roots, host's PTI %s; CR3: %s",
		     boot_cpu_has(X86_FEATURE_PTI) ? "on" : "off", hardware ? "allowed" : why);
}

static int kmm_mm_init(struct kmm *k)
{
	int err;

	kmm_reserve_window(k);
	err = kmm_mem_init(k);
	if (err)
		return err;
	kmm_mem_init_print_info(k);
	err = kmm_kmem_cache_init(k);
	if (err)
		goto fini_buddy;
	kmm_pgtable_init(k);
	err = kmm_vmalloc_init(k);
	if (err)
		goto fini_tables;
	err = kmm_init_espfix_bsp(k);
	if (err)
		goto destroy_vmap;
	kmm_pti_init(k);
	return 0;

destroy_vmap:
	kmm_vmap_destroy(k->vmap);
fini_tables:
	kmm_pgtables_fini(&k->tables);
	kmm_slab_fini(&k->slab);
fini_buddy:
	kmm_buddy_fini(&k->buddy);
	return err;
}

static void kmm_mm_fini(struct kmm *k)
{
	kmm_espfix_destroy(k->espfix);
	kmm_vmap_destroy(k->vmap);
	kmm_pgtables_fini(&k->tables);
	kmm_slab_fini(&k->slab);
	kmm_buddy_fini(&k->buddy);
}

/* === Load and unload === */

static int kmm_take_region(struct kmm *k)
{
	struct kmm_step_clock c = kmm_step_begin(k, "region");
	struct kmm_region *r = &k->region;
	int err;

	if (region_mb < KMM_REGION_MB_MIN ||
	    (u64)region_mb << (20 - PAGE_SHIFT) > totalram_pages()) {
		pr_err("region_mb=%u: must be from %u to the host's memory of %lu MiB\n", region_mb,
		       KMM_REGION_MB_MIN, totalram_pages() >> (20 - PAGE_SHIFT));
		return -EINVAL;
	}
	err = kmm_region_init(r, provider, (unsigned long)region_mb << (20 - PAGE_SHIFT));
	if (err == -EINVAL)
		pr_err("provider=%s: unknown; use auto, cma, contig or chunks\n", provider);
	else if (err)
		pr_err("no memory: provider=%s could not give %u MiB (error %d); the lines above say why\n",
		       provider, region_mb, err);
	if (err)
		return err;
	kmm_step_end(k, &c, "%lu MiB from %s in %u extent%s", r->nr_frames >> 8, r->ops->name,
		     r->nr_extents, r->nr_extents == 1 ? "" : "s");
	return 0;
}

/* 0 is @dflt; what is negative, or too large to count, is no limit. */
static u64 kmm_limit(long param, u64 dflt, u64 unit)
{
	u64 limit;

	if (!param)
		return dflt;
	return param < 0 || check_mul_overflow((u64)param, unit, &limit) ? KMM_NO_LIMIT : limit;
}

static void kmm_set_limits(struct kmm *k)
{
	struct kmm_limits user = {
		.frames = kmm_limit(user_frames, k->region.nr_frames / 2, 1),
		.objects = kmm_limit(user_objects, KMM_DEFAULT_OBJECTS, 1),
		.names = kmm_limit(user_names, KMM_DEFAULT_NAMES, 1),
		.host_bytes = kmm_limit(user_host_kb, KMM_DEFAULT_HOST_KB * 1024, 1024),
	};
	struct kmm_limits file = {
		.frames = kmm_limit(file_frames, user.frames, 1),
		.objects = kmm_limit(file_objects, user.objects, 1),
		.names = kmm_limit(file_names, user.names, 1),
		.host_bytes = kmm_limit(file_host_kb, user.host_bytes, 1024),
	};

	kmm_accounts_init(&k->accounts, &file, &user);
}

static int kmm_open_front(struct kmm *k)
{
	const struct kmm_dev_env env = {
		.region = &k->region,
		.buddy = &k->buddy,
		.slab = &k->slab,
		.tables = &k->tables,
		.vmap = k->vmap,
		.accounts = &k->accounts,
		.objects = &k->objects,
		.pipes = &k->pipes,
		.names = &k->names,
		.spaces = &k->spaces,
		.msgqs = &k->msgqs,
		.steps = k->steps,
		.nr_steps = k->nr_steps,
		.max_slots = max_slots,
		.lab = lab,
	};

	return kmm_dev_init(&env);
}

static int __init kmm_init(void)
{
	struct kmm *k = &kmm;
	int err;

	err = kmm_buddy_setup();
	if (err)
		return err;
	err = kmm_slab_setup();
	if (err)
		goto teardown;
	err = kmm_mmu_setup(mmu);
	if (err)
		goto teardown_slab;
	err = kmm_take_region(k);
	if (err)
		goto teardown_mmu;
	kmm_set_limits(k);
	err = kmm_mm_init(k);
	if (err)
		goto fini_region;
	/* Half of the window serves single pages; of this no user has more than half. */
	k->accounts.window_limit = k->region.window_pages / 4;
	err = kmm_reclaim_init(&k->reclaim, &k->buddy);
	if (err)
		goto fini_mm;
	k->slab_shrinker = (struct kmm_shrinker) { .shrink = kmm_shrink_slab, .ctx = k };
	kmm_reclaim_add_shrinker(&k->reclaim, &k->slab_shrinker);
	k->tables_shrinker = (struct kmm_shrinker) { .shrink = kmm_shrink_tables, .ctx = k };
	kmm_reclaim_add_shrinker(&k->reclaim, &k->tables_shrinker);
	if (k->vmap) {
		k->vmap_shrinker = (struct kmm_shrinker) { .shrink = kmm_shrink_vmap, .ctx = k };
		kmm_reclaim_add_shrinker(&k->reclaim, &k->vmap_shrinker);
	}
	kmm_object_set_init(&k->objects, &k->buddy);
	kmm_pipe_set_init(&k->pipes, &k->buddy);
	kmm_names_init(&k->names);
	kmm_space_set_init(&k->spaces, &k->buddy, &k->tables, k->espfix, allow_wx);
	k->names.ops[KMM_NAME_MSGQ] = &kmm_msgq_name_ops;
	kmm_msgq_set_init(&k->msgqs, &k->slab);
	kmm_buddy_set_client(&k->buddy);
	kmm_slab_set_client(&k->slab);
	kmm_vmap_set_client(k->vmap);
	err = kmm_open_front(k);
	if (err)
		goto fini_reclaim;
	pr_info("ready: %lu MiB from %s%s\n", k->region.nr_frames >> 8, k->region.ops->name,
		k->region.fallback ? " (fallback, see debugfs kmm/region)" : "");
	return 0;

fini_reclaim:
	kmm_vmap_set_client(NULL);
	kmm_slab_set_client(NULL);
	kmm_buddy_set_client(NULL);
	kmm_pipe_set_fini(&k->pipes);
	kmm_names_fini(&k->names);
	kmm_space_set_fini(&k->spaces);
	kmm_msgq_set_fini(&k->msgqs);
	kmm_object_set_fini(&k->objects);
	kmm_reclaim_fini(&k->reclaim);
fini_mm:
	kmm_mm_fini(k);
fini_region:
	kmm_accounts_fini(&k->accounts);
	kmm_region_fini_window(&k->region);
	kmm_region_fini(&k->region);
teardown_mmu:
	kmm_mmu_teardown();
teardown_slab:
	kmm_slab_teardown();
teardown:
	kmm_buddy_teardown();
	return err;
}

static void __exit kmm_exit(void)
{
	struct kmm *k = &kmm;
	unsigned long leaked;

	kmm_dev_fini();
	kmm_vmap_set_client(NULL);
	kmm_slab_set_client(NULL);
	kmm_buddy_set_client(NULL);
	kmm_pipe_set_fini(&k->pipes);
	/* what lives by its name alone goes with it */
	kmm_names_fini(&k->names);
	kmm_space_set_fini(&k->spaces);
	kmm_msgq_set_fini(&k->msgqs);
	kmm_object_set_fini(&k->objects);
	kmm_reclaim_fini(&k->reclaim);
	kmm_mm_fini(k);
	kmm_accounts_fini(&k->accounts);
	kmm_region_fini_window(&k->region);
	leaked = kmm_region_fini(&k->region);
	kmm_mmu_teardown();
	kmm_slab_teardown();
	kmm_buddy_teardown();
	if (leaked)
		pr_err("unloaded: %lu frames leaked, others still hold pages of them\n", leaked);
	else
		pr_info("unloaded: region returned\n");
}

module_init(kmm_init);
module_exit(kmm_exit);

MODULE_DESCRIPTION("A memory manager in a module");
MODULE_AUTHOR("The kmm developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
