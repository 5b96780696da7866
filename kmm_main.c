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
 *	debug_objects' cache -> slab.c
 *	kfence.divert -> slab.c
 *	reclaim's shrinkers -> slab/drain.c, vm/pgtable_life.c, vmap/ram.c
 *	leak.early -> slab/check.c
 *
 * Every step of mm_init is a line of kmm_steps[]. It is timed, counted (memory that it took) and
 * kept with a line on its result for debugfs mm_init; the log has the same. When one fails,
 * those before it are undone in reverse, as at unload.
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
#include <kmm/host_tools.h>
#include <kmm/debug_objects.h>
#include <kmm/debug_pagealloc.h>
#include <kmm/hardening.h>
#include <kmm/inject.h>
#include <kmm/page_owner.h>
#include <kmm/page_table_check.h>
#include <kmm/stack_depot.h>

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

static char *policy = "twolist";
module_param(policy, charp, 0444);
MODULE_PARM_DESC(policy, "Page replacement to begin with; debugfs kmm/reclaim/policies lists them (default twolist)");

static unsigned int max_slots = KMM_DEFAULT_MAX_SLOTS;
module_param(max_slots, uint, 0444);
MODULE_PARM_DESC(max_slots, "Slots of one open file for KMM_IOC_OPS (default 65536)");

static unsigned int kfence_num_objects = KMM_KFENCE_DEFAULT_OBJECTS;
module_param(kfence_num_objects, uint, 0444);
MODULE_PARM_DESC(kfence_num_objects, "Objects of the guarded pool (default 255; 0: no pool)");

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

/* === kfence_sample_interval: at load, and at any time === */

/* Milliseconds. With @kfence_runs protected by kernel_param_lock(). */
static unsigned long kfence_interval;
/* The pool can be told: kmm is up. */
static bool kfence_runs;

static int kfence_interval_set(const char *val, const struct kernel_param *kp)
{
	unsigned long interval;
	int err = val ? kstrtoul(val, 0, &interval) : -EINVAL;

	if (!err && interval > KMM_KFENCE_MAX_INTERVAL)
		err = -ERANGE;
	if (!err && kfence_runs)
		err = kmm_kfence_set_interval(&kmm.kfence, interval);
	if (!err)
		kfence_interval = interval;
	return err;
}

static int kfence_interval_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%lu\n", kfence_interval);
}

static const struct kernel_param_ops kfence_interval_ops = {
	.set = kfence_interval_set,
	.get = kfence_interval_get,
};

module_param_cb(kfence_sample_interval, &kfence_interval_ops, NULL, 0644);
MODULE_PARM_DESC(kfence_sample_interval, "Guard one allocation of an object every so many ms (default 0: off)");

/* === Steps === */

/**
 * struct kmm_step - one step of loading
 * @name: the kernel's
 * @init: does it, and says what came of it by kmm_step_says(). Context: may sleep.
 *	Return: 0, or a negative errno when the module cannot be loaded without it.
 * @fini: undoes it; NULL: nothing to undo
 */
struct kmm_step {
	const char *name;
	int (*init)(struct kmm *k, struct kmm_mm_init_step *said);
	void (*fini)(struct kmm *k);
};

/* The one line on a step's result. */
static __printf(2, 3) void kmm_step_says(struct kmm_mm_init_step *said, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vscnprintf(said->result, sizeof(said->result), fmt, args);
	va_end(args);
}

/* Memory of a step is what it took of the region, and what else its init added to said->bytes. */
static int kmm_step_run(struct kmm *k, const struct kmm_step *step)
{
	unsigned long frames = k->region.early_frames;
	struct kmm_mm_init_step *said = &k->steps[k->nr_steps++];
	u64 start_ns = ktime_get_ns();
	int err;

	said->name = step->name;
	err = step->init(k, said);
	if (err)
		return err;
	said->ns = ktime_get_ns() - start_ns;
	said->bytes += (u64)(k->region.early_frames - frames) << PAGE_SHIFT;
	pr_info("mm_init: %s: %s (%llu us, %llu bytes)\n", said->name, said->result,
		said->ns / 1000, said->bytes);
	return 0;
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

static void *kmm_debug_cache_alloc(void *ctx)
{
	return kmm_cache_alloc(ctx, GFP_KERNEL | __GFP_NOWARN);
}

static void kmm_debug_cache_free(void *ctx, void *entry)
{
	kmm_cache_free(ctx, entry);
}

/* === mm_init, in the kernel's order === */

static unsigned int kmm_kfence_objects(const struct kmm *k)
{
	return min_t(unsigned long, kfence_num_objects,
		     k->region.nr_frames / KMM_KFENCE_REGION_SHARE);
}

/* The addresses that vmalloc_init and kfence will own; no window is no error, vmap says so then. */
static int kmm_reserve_window(struct kmm *k, struct kmm_mm_init_step *said)
{
	unsigned long nr_pages = window_mb ? (unsigned long)window_mb << (20 - PAGE_SHIFT) :
					     2 * k->region.nr_frames;

	nr_pages += kmm_kfence_pool_pages(kmm_kfence_objects(k));
	if (kmm_region_init_window(&k->region, nr_pages))
		kmm_step_says(said, "none: the host has no %lu MiB of addresses", nr_pages >> 8);
	else
		kmm_step_says(said, "%lu MiB of kernel addresses", nr_pages >> 8);
	return 0;
}

static void kmm_release_window(struct kmm *k)
{
	kmm_region_fini_window(&k->region);
}

/* The side array of what debugging keeps for each frame. No room for it is no error. */
static int kmm_page_ext_init_flatmem(struct kmm *k, struct kmm_mm_init_step *said)
{
	struct kmm_page_ext *ext = &k->region.ext;
	char *p = said->result, *end = p + sizeof(said->result);
	enum kmm_page_ext_id id;

	if (kmm_page_ext_init(&k->region, kmm_page_ext_clients))
		kmm_step_says(said, "no room in the region: no client has what it needs");
	else if (!ext->needed)
		kmm_step_says(said, "no client needs any");
	else
		p += scnprintf(p, end - p, "%lu bytes a frame:", ext->size);
	for (id = 0; id < KMM_NR_PAGE_EXT; id++)
		if (ext->needed & BIT(id))
			p += scnprintf(p, end - p, " %s at %u", kmm_page_ext_clients[id]->name,
				       ext->offset[id]);
	return 0;
}

/* What the parameters ask for takes effect, with Linux's precedence. */
static int kmm_init_mem_debugging_and_hardening(struct kmm *k, struct kmm_mm_init_step *said)
{
	bool pagealloc, check;
	char on[64];
	int err;

	err = kmm_hardening_init();
	if (err)
		return err;
	kmm_debug_pagealloc_init();
	kmm_page_table_check_init();
	kmm_hardening_list(on, sizeof(on));
	pagealloc = kmm_debug_pagealloc_on(&k->region);
	check = kmm_page_table_check_on(&k->region);
	kmm_step_says(said, "%s%s%s%s", on, pagealloc ? "debug_pagealloc " : "",
		      check ? "page_table_check " : "",
		      *on || pagealloc || check ? "on" : "all off");
	return 0;
}

static void kmm_fini_mem_debugging_and_hardening(struct kmm *k)
{
	kmm_page_table_check_fini();
	kmm_debug_pagealloc_fini();
}

static int kmm_report_meminit(struct kmm *k, struct kmm_mm_init_step *said)
{
	kmm_hardening_report(said->result, sizeof(said->result));
	return 0;
}

/* Stacks of debugging: made here for who is known to want them, or later when a switch is set. */
static int kmm_stack_depot_init(struct kmm *k, struct kmm_mm_init_step *said)
{
	struct kmm_depot_stat st;

	if ((kmm_page_owner_wanted() || kmm_debug_objects_on()) && kmm_stacks_get())
		kmm_step_says(said, "no host memory");
	kmm_depot_stat(&kmm_stacks, &st);
	said->bytes = st.bytes;
	if (st.bytes)
		kmm_step_says(said, "host memory for %zu KiB of stacks, at most %zu KiB",
			      KMM_DEPOT_FIRST_POOLS * (size_t)KMM_DEPOT_POOL_BYTES >> 10,
			      st.max_bytes >> 10);
	else if (!said->result[0])
		kmm_step_says(said, "nobody wants it yet");
	return 0;
}

static void kmm_stack_depot_fini(struct kmm *k)
{
	kmm_stacks_fini();
}

/* The first part of the window, and the pool's frames while there is only the early allocator. */
static int kmm_kfence_alloc_pool_step(struct kmm *k, struct kmm_mm_init_step *said)
{
	struct kmm_kfence *kf = &k->kfence;

	kmm_kfence_alloc_pool(kf, &k->region, kmm_kfence_objects(k), kfence_interval);
	kf->slab = &k->slab;
	kf->divert = kmm_slab_divert;
	k->slab.kfence = kf;
	if (!kf->base)
		kmm_step_says(said, "no pool: %s",
			      kfence_num_objects ? "no addresses" : "kfence_num_objects=0");
	else if (kf->early)
		kmm_step_says(said, "%u objects, every %lu ms", kf->nr_objects, kfence_interval);
	else
		kmm_step_says(said, "addresses for %u objects, frames when needed", kf->nr_objects);
	return 0;
}

/* Hand the region less its metadata, the last of which are the slab allocator's maps, over. */
static int kmm_mem_init(struct kmm *k, struct kmm_mm_init_step *said)
{
	struct kmm_buddy *b = &k->buddy;
	int err;

	err = kmm_slab_reserve(&k->slab, &k->region);
	if (err)
		return err;
	b->relieve = kmm_relieve;
	b->wake = kmm_wake;
	b->uncharge = kmm_uncharge;
	b->ctx = k;
	b->guard_minorder = kmm_debug_guardpage_minorder();
	err = kmm_buddy_init(b, &k->region);
	if (err)
		return err;
	kmm_step_says(said, "%lu frames to the buddy, watermarks %lu/%lu/%lu", b->managed,
		      b->watermark[KMM_WMARK_MIN], b->watermark[KMM_WMARK_LOW],
		      b->watermark[KMM_WMARK_HIGH]);
	return 0;
}

static void kmm_mem_fini(struct kmm *k)
{
	kmm_buddy_fini(&k->buddy);
}

static int kmm_mem_init_print_info(struct kmm *k, struct kmm_mm_init_step *said)
{
	unsigned long kb = 1UL << (PAGE_SHIFT - 10);

	kmm_step_says(said, "Memory: %luK/%luK available (%luK metadata)", k->buddy.managed * kb,
		      k->region.nr_frames * kb, k->region.early_frames * kb);
	return 0;
}

/* Buddy and depot work: the clients of page_ext begin, with what is in use already. */
static int kmm_page_ext_init_flatmem_late(struct kmm *k, struct kmm_mm_init_step *said)
{
	long nr = kmm_page_owner_init(&k->region);

	if (nr == -EBUSY)
		kmm_step_says(said, "page_owner: off, load with page_owner=1 to have it");
	else if (nr < 0)
		kmm_step_says(said, "page_owner: off, no memory");
	else
		kmm_step_says(said, "page_owner: on, found early allocated %ld pages", nr);
	return 0;
}

static void kmm_page_ext_fini_late(struct kmm *k)
{
	kmm_page_owner_fini();
}

/* Size classes, and the cache of caches that lives in itself. */
static int kmm_kmem_cache_init(struct kmm *k, struct kmm_mm_init_step *said)
{
	int err = kmm_slab_init(&k->slab, &k->buddy);

	if (err)
		return err;
	kmm_step_says(said, "%d size classes, caches of %u bytes in a cache", KMM_KMALLOC_NR,
		      k->slab.caches->object_size);
	return 0;
}

static void kmm_kmem_cache_fini(struct kmm *k)
{
	kmm_slab_fini(&k->slab);
	/* Now no object of its pool is out; the buddy may have frames to get back. */
	kmm_kfence_fini(&k->kfence);
}

static void kmm_leak_early_one(void *ctx, const void *p, size_t size_bytes)
{
	kmm_leak_track_early(ctx, p, size_bytes);
}

static void kmm_leak_early(void *ctx, struct kmm_leak *l)
{
	struct kmm *k = ctx;

	kmm_slab_for_each_used(&k->slab, kmm_leak_early_one, l);
}

/* Nothing of a client is there yet. Without memory for it, it is off. */
static int kmm_kmemleak_init(struct kmm *k, struct kmm_mm_init_step *said)
{
	struct kmm_leak_stat st;
	int err;

	k->leak.early = kmm_leak_early;
	k->leak.ctx = k;
	err = kmm_leak_init_client(&k->leak, &k->region);
	k->region.leak = &k->leak;
	kmm_leak_get_stat(&k->leak, &st);
	if (err)
		kmm_step_says(said, "off: error %d", err);
	else if (st.enabled)
		kmm_step_says(said, "on, up to %lu objects, a scan every %u s", st.max_objects,
			      st.scan_secs);
	else
		kmm_step_says(said, "off");
	said->bytes = st.host_bytes;
	return 0;
}

static void kmm_kmemleak_fini(struct kmm *k)
{
	kmm_leak_fini(&k->leak);
	/* What clients never gave back goes with its slabs. */
	if (k->region.host_tools & KMM_HOST_KMEMLEAK)
		kmm_slab_for_each_used(&k->slab, kmm_host_tools_forget, NULL);
}

/* No step of the kernel's: to the host kmm is a driver. Before anything is free or in use. */
static int kmm_host_tools_init(struct kmm *k, struct kmm_mm_init_step *said)
{
	unsigned int wanted = kmm_host_tools_wanted(), have = kmm_host_tools_available();

	kmm_host_tools_start(&k->region, wanted);
	kmm_step_says(said, "KASAN: %s, kmemleak: %s",
		      !(have & KMM_HOST_KASAN) ? "none" : wanted & KMM_HOST_KASAN ? "told" : "off",
		      !(have & KMM_HOST_KMEMLEAK) ? "none" :
		      wanted & KMM_HOST_KMEMLEAK ? "told" : "off");
	return 0;
}

static void kmm_host_tools_fini(struct kmm *k)
{
	kmm_host_tools_stop(&k->region);
}

/* The cache of zeroed tables; a lock for each table is in its frame. */
static int kmm_pgtable_init(struct kmm *k, struct kmm_mm_init_step *said)
{
	kmm_pgtables_init(&k->tables, &k->buddy);
	kmm_step_says(said, "%d levels, a lock per table", pgtable_l5_enabled() ? 5 : 4);
	return 0;
}

static void kmm_pgtable_fini(struct kmm *k)
{
	kmm_pgtables_fini(&k->tables);
}

/* Entries of a cache in place of static ones, for what is tracked already and what comes. */
static int kmm_debug_objects_mem_step(struct kmm *k, struct kmm_mm_init_step *said)
{
	const struct kmm_cache_args args = {
		.name = "debug_objects_cache", .size = KMM_DEBUG_ENTRY_BYTES,
		/* they are found by the tracker's own variables, which kmemleak does not scan */
		.flags = SLAB_NOLEAKTRACE,
	};
	struct kmm_cache *s = kmm_slab_cache_create(&k->slab, &args);
	struct kmm_debug_stat st;
	bool replaced = false;

	if (!IS_ERR(s)) {
		const struct kmm_debug_cache_ops ops = {
			.alloc = kmm_debug_cache_alloc, .free = kmm_debug_cache_free, .ctx = s,
		};

		k->debug_cache = s;
		replaced = kmm_debug_objects_mem_init(&ops);
	}
	kmm_debug_objects_stat(&st);
	kmm_step_says(said, "tracking %s, %u objects, %s entries",
		      kmm_debug_objects_on() ? "on" : "off", st.pool_used,
		      replaced ? "the cache's" : "static");
	return 0;
}

static void kmm_debug_objects_mem_undo(struct kmm *k)
{
	kmm_debug_objects_mem_fini();
	if (k->debug_cache)
		kmm_slab_cache_destroy(k->debug_cache);
	k->debug_cache = NULL;
}

static void kmm_leak_flush(void *ctx)
{
	struct kmm *k = ctx;

	kmm_vmap_purge(k->vmap);
}

/* The rest of the window. Without one there is no vmalloc, and everything else works. */
static int kmm_vmalloc_init(struct kmm *k, struct kmm_mm_init_step *said)
{
	struct kmm_window *w;

	if (!k->region.window) {
		kmm_step_says(said, "no window, no vmalloc");
		return 0;
	}
	k->vmap = kmm_vmap_create(&k->region, &k->buddy, &k->tables);
	if (IS_ERR(k->vmap))
		return PTR_ERR(k->vmap);
	kmm_leak_set_flush(&k->leak, kmm_leak_flush);
	w = kmm_vmap_window(k->vmap);
	kmm_step_says(said, "%lu MiB by pages, %lu MiB by 2 MiB",
		      (w->nr_pages >> 8) - w->huge_nr * 2, w->huge_nr * 2);
	return 0;
}

static void kmm_vmalloc_fini(struct kmm *k)
{
	kmm_leak_set_flush(&k->leak, NULL);
	kmm_vmap_destroy(k->vmap);
}

/* A slot for each CPU, and its writable alias; each space gets the read-only one. */
static int kmm_init_espfix_bsp(struct kmm *k, struct kmm_mm_init_step *said)
{
	struct kmm_espfix *e = kmm_espfix_create(&k->tables);

	if (IS_ERR(e))
		return PTR_ERR(e);
	k->espfix = e;
	kmm_step_says(said, "%u slots, ro %#lx, rw %#lx", nr_cpu_ids, kmm_espfix_ro_addr(0),
		      kmm_espfix_rw_addr(0));
	said->bytes = (u64)kmm_espfix_frames(e) << PAGE_SHIFT;
	return 0;
}

static void kmm_fini_espfix(struct kmm *k)
{
	kmm_espfix_destroy(k->espfix);
}

/* The roots are made with each space; here is said what they are good for. */
static int kmm_pti_init(struct kmm *k, struct kmm_mm_init_step *said)
{
	const char *why;
	bool hardware = kmm_mmu_hardware(&why);

	kmm_step_says(said, "two roots, host's PTI %s; CR3: %s",
		      boot_cpu_has(X86_FEATURE_PTI) ? "on" : "off", hardware ? "allowed" : why);
	return 0;
}

/* The kernel's order; DESIGN.md section 7. */
static const struct kmm_step kmm_steps[] = {
	{ "reserve_window", kmm_reserve_window, kmm_release_window },
	{ "page_ext_init_flatmem", kmm_page_ext_init_flatmem },
	{ "init_mem_debugging_and_hardening", kmm_init_mem_debugging_and_hardening,
	  kmm_fini_mem_debugging_and_hardening },
	{ "kfence_alloc_pool", kmm_kfence_alloc_pool_step },
	{ "report_meminit", kmm_report_meminit },
	{ "stack_depot_init", kmm_stack_depot_init, kmm_stack_depot_fini },
	{ "host_tools", kmm_host_tools_init, kmm_host_tools_fini },
	{ "mem_init", kmm_mem_init, kmm_mem_fini },
	{ "mem_init_print_info", kmm_mem_init_print_info },
	{ "page_ext_init_flatmem_late", kmm_page_ext_init_flatmem_late, kmm_page_ext_fini_late },
	{ "kmem_cache_init", kmm_kmem_cache_init, kmm_kmem_cache_fini },
	{ "kmemleak_init", kmm_kmemleak_init, kmm_kmemleak_fini },
	{ "pgtable_init", kmm_pgtable_init, kmm_pgtable_fini },
	{ "debug_objects_mem_init", kmm_debug_objects_mem_step, kmm_debug_objects_mem_undo },
	{ "vmalloc_init", kmm_vmalloc_init, kmm_vmalloc_fini },
	{ "init_espfix_bsp", kmm_init_espfix_bsp, kmm_fini_espfix },
	{ "pti_init", kmm_pti_init },
};

static void kmm_mm_fini_from(struct kmm *k, unsigned int nr)
{
	while (nr--)
		if (kmm_steps[nr].fini)
			kmm_steps[nr].fini(k);
}

static int kmm_mm_init(struct kmm *k)
{
	unsigned int i;
	int err;

	/* the first of k->steps is "region" */
	BUILD_BUG_ON(ARRAY_SIZE(kmm_steps) >= KMM_MAX_STEPS);
	for (i = 0; i < ARRAY_SIZE(kmm_steps); i++) {
		err = kmm_step_run(k, &kmm_steps[i]);
		if (err) {
			pr_err("mm_init: %s: failed with error %d\n", kmm_steps[i].name, err);
			kmm_mm_fini_from(k, i);
			return err;
		}
	}
	return 0;
}

static void kmm_mm_fini(struct kmm *k)
{
	kmm_mm_fini_from(k, ARRAY_SIZE(kmm_steps));
}

/* === Load and unload === */

static int kmm_take_region(struct kmm *k, struct kmm_mm_init_step *said)
{
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
	kmm_step_says(said, "%lu MiB from %s in %u extent%s", r->nr_frames >> 8, r->ops->name,
		      r->nr_extents, r->nr_extents == 1 ? "" : "s");
	return 0;
}

static const struct kmm_step kmm_region_step = { "region", kmm_take_region };

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

/* The kernel's kfence_init(), after mm_init: sampling starts. What fails only leaves it off. */
static void kmm_start_kfence(struct kmm *k)
{
	int err;

	kernel_param_lock(THIS_MODULE);
	err = kmm_kfence_init(&k->kfence, &k->buddy, &k->tables, kfence_interval);
	if (err) {
		pr_err("kfence: could not start (error %d)\n", err);
		kfence_interval = 0;
	}
	kfence_runs = true;
	kernel_param_unlock(THIS_MODULE);
}

/* From here on the parameter does not reach the pool. */
static void kmm_stop_kfence(struct kmm *k)
{
	kernel_param_lock(THIS_MODULE);
	kfence_runs = false;
	kmm_kfence_stop(&k->kfence);
	kernel_param_unlock(THIS_MODULE);
}

static int kmm_open_front(struct kmm *k)
{
	const struct kmm_dev_env env = {
		.region = &k->region,
		.buddy = &k->buddy,
		.slab = &k->slab,
		.kfence = &k->kfence,
		.tables = &k->tables,
		.vmap = k->vmap,
		.accounts = &k->accounts,
		.objects = &k->objects,
		.pipes = &k->pipes,
		.names = &k->names,
		.spaces = &k->spaces,
		.msgqs = &k->msgqs,
		.leak = &k->leak,
		.swap = &k->swap,
		.steps = k->steps,
		.nr_steps = k->nr_steps,
		.max_slots = max_slots,
		.lab = lab,
	};

	return kmm_dev_init(&env);
}

/* Which pages leave, and where to. There is no swap yet. */
static int kmm_init_eviction(struct kmm *k)
{
	const struct kmm_policy_ops *ops = kmm_policy_find(policy);
	int err;

	if (!ops) {
		pr_err("policy=%s: unknown\n", policy);
		return -EINVAL;
	}
	err = kmm_swapin_setup();
	if (err)
		return err;
	kmm_swap_init(&k->swap);
	err = kmm_lru_init(&k->lru, &k->buddy, &k->swap, ops);
	if (err) {
		kmm_swap_fini(&k->swap);
		kmm_swapin_teardown();
	}
	return err;
}

/* No object has a page any more. */
static void kmm_fini_eviction(struct kmm *k)
{
	kmm_lru_fini(&k->lru);
	kmm_swap_fini(&k->swap);
	kmm_swapin_teardown();
}

static int __init kmm_init(void)
{
	struct kmm *k = &kmm;
	int err;

	kmm_debug_objects_setup();
	err = kmm_buddy_setup();
	if (err)
		goto disarm;
	err = kmm_slab_setup();
	if (err)
		goto teardown;
	err = kmm_mmu_setup(mmu);
	if (err)
		goto teardown_slab;
	err = kmm_step_run(k, &kmm_region_step);
	if (err)
		goto teardown_mmu;
	kmm_set_limits(k);
	err = kmm_mm_init(k);
	if (err)
		goto fini_region;
	kmm_start_kfence(k);
	/* Half of the window serves single pages; of this no user has more than half. */
	k->accounts.window_limit = k->region.window_pages / 4;
	err = kmm_init_eviction(k);
	if (err)
		goto fini_mm;
	err = kmm_reclaim_init(&k->reclaim, &k->buddy, &k->lru);
	if (err)
		goto fini_eviction;
	k->slab_shrinker = (struct kmm_shrinker) { .shrink = kmm_shrink_slab, .ctx = k };
	kmm_reclaim_add_shrinker(&k->reclaim, &k->slab_shrinker);
	k->tables_shrinker = (struct kmm_shrinker) { .shrink = kmm_shrink_tables, .ctx = k };
	kmm_reclaim_add_shrinker(&k->reclaim, &k->tables_shrinker);
	if (k->vmap) {
		k->vmap_shrinker = (struct kmm_shrinker) { .shrink = kmm_shrink_vmap, .ctx = k };
		kmm_reclaim_add_shrinker(&k->reclaim, &k->vmap_shrinker);
	}
	kmm_object_set_init(&k->objects, &k->buddy, &k->lru);
	kmm_pipe_set_init(&k->pipes, &k->buddy);
	kmm_names_init(&k->names);
	kmm_space_set_init(&k->spaces, &k->buddy, &k->tables, k->espfix, allow_wx);
	k->names.ops[KMM_NAME_MSGQ] = &kmm_msgq_name_ops;
	kmm_msgq_set_init(&k->msgqs, &k->slab, &k->lru);
	kmm_buddy_set_client(&k->buddy);
	kmm_slab_set_client(&k->slab);
	kmm_vmap_set_client(k->vmap);
	kmm_leak_set_client(&k->leak);
	err = kmm_open_front(k);
	if (err)
		goto fini_reclaim;
	pr_info("ready: %lu MiB from %s%s\n", k->region.nr_frames >> 8, k->region.ops->name,
		k->region.fallback ? " (fallback, see debugfs kmm/region)" : "");
	return 0;

fini_reclaim:
	kmm_leak_set_client(NULL);
	kmm_vmap_set_client(NULL);
	kmm_slab_set_client(NULL);
	kmm_buddy_set_client(NULL);
	kmm_pipe_set_fini(&k->pipes);
	kmm_names_fini(&k->names);
	kmm_space_set_fini(&k->spaces);
	kmm_msgq_set_fini(&k->msgqs);
	kmm_object_set_fini(&k->objects);
	kmm_reclaim_fini(&k->reclaim);
fini_eviction:
	kmm_fini_eviction(k);
fini_mm:
	kmm_stop_kfence(k);
	kmm_mm_fini(k);
fini_region:
	kmm_accounts_fini(&k->accounts);
	kmm_region_fini(&k->region);
teardown_mmu:
	kmm_mmu_teardown();
teardown_slab:
	kmm_slab_teardown();
teardown:
	kmm_buddy_teardown();
disarm:
	kmm_debug_objects_teardown();
	kmm_inject_teardown();
	return err;
}

static void __exit kmm_exit(void)
{
	struct kmm *k = &kmm;
	unsigned long leaked;

	kmm_dev_fini();
	kmm_leak_set_client(NULL);
	kmm_stop_kfence(k);
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
	kmm_fini_eviction(k);
	kmm_mm_fini(k);
	kmm_accounts_fini(&k->accounts);
	leaked = kmm_region_fini(&k->region);
	kmm_mmu_teardown();
	kmm_slab_teardown();
	kmm_buddy_teardown();
	kmm_debug_objects_teardown();
	kmm_inject_teardown();
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
