// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: kmemleak for clients
 *
 * The module's detector (debug/kmemleak.c does the work): its parameters, Linux's functions with
 * kmm_ in front, and roots.
 *
 *	kmemleak		on or off, at load and at run time
 *	kmemleak_objects	most objects; at load
 *	kmemleak_scan_secs	the thread's period; at load, later by debugfs kmemleak
 *	kmemleak_min_age_ms	younger objects are not reported
 *
 * A root is memory of the host that holds pointers to memory of kmm. It is registered once,
 * whether the detector is on or not, because it may be switched on later. A module registers all
 * of its variables with one call; where they are depends on the kernel (compat/module.h).
 *
 * Locks: kernel_param_lock() keeps the detector while a parameter is written; the detector's
 * mutex protects the list of roots. What works only on an instance that is there (all but the
 * parameters) needs no lock: clients hold the module.
 */

#define pr_fmt(fmt) "kmm: kmemleak: " fmt

#include <linux/err.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/slab.h>

#include <compat/compat.h>
#include <compat/module.h>
#include <kmm/inject.h>
#include <kmm/kmemleak.h>
#include <kmm/kmm.h>
#include <kmm/region.h>

/* === Data === */

/* Serves the functions below and the parameter; set before any client module can be loaded. */
static struct kmm_leak *leak_client __read_mostly;

static bool leak_at_load;
static unsigned long leak_param_objects;
static unsigned int leak_param_secs = KMM_LEAK_SCAN_SECS;

module_param_named(kmemleak_objects, leak_param_objects, ulong, 0444);
MODULE_PARM_DESC(kmemleak_objects, "Most objects that kmemleak tracks (default 0: 16 per frame)");
module_param_named(kmemleak_scan_secs, leak_param_secs, uint, 0444);
MODULE_PARM_DESC(kmemleak_scan_secs, "Seconds between two scans (default 600; 0: on demand only)");

static int leak_param_set(const char *val, const struct kernel_param *kp)
{
	bool on;
	int err = kstrtobool(val ?: "1", &on);

	if (err)
		return err;
	if (!leak_client)
		leak_at_load = on;
	else if (on)
		err = kmm_leak_on(leak_client);
	else
		kmm_leak_off(leak_client, "by the user");
	return err;
}

static int leak_param_get(char *buf, const struct kernel_param *kp)
{
	bool on = leak_client ? READ_ONCE(leak_client->enabled) : leak_at_load;

	return sysfs_emit(buf, "%c\n", on ? 'Y' : 'N');
}

static const struct kernel_param_ops leak_param_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = leak_param_set,
	.get = leak_param_get,
};

module_param_cb(kmemleak, &leak_param_ops, NULL, 0644);
MODULE_PARM_DESC(kmemleak, "Track what clients allocate, and find leaks (default 0)");

static unsigned int leak_param_min_age = KMM_LEAK_MIN_AGE_MS;
module_param_named(kmemleak_min_age_ms, leak_param_min_age, uint, 0644);
MODULE_PARM_DESC(kmemleak_min_age_ms, "Younger objects are not reported (default 5000)");

static int leak_register(struct kmm_leak *l, const void *start, const void __percpu *percpu,
			 size_t size)
{
	struct kmm_leak_root *r;

	if (!l)
		return -ENODEV;
	r = kmm_should_fail() ? NULL : kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);
	if (!r)
		return -ENOMEM;
	r->start = start;
	r->percpu = percpu;
	r->size = size;
	kmm_leak_add_root(l, r);
	return 0;
}

/* Undo leak_register(). */
static void leak_unregister(struct kmm_leak *l, const void *start, const void __percpu *percpu)
{
	struct kmm_leak_root *r, *next;

	if (!l)
		return;
	mutex_lock(&l->mutex);
	list_for_each_entry_safe(r, next, &l->roots, node) {
		if (r->scan || r->start != start || r->percpu != percpu)
			continue;
		list_del(&r->node);
		kfree(r);
		break;
	}
	mutex_unlock(&l->mutex);
}

static void leak_unregister_module(struct kmm_leak *l, const struct module *mod)
{
	const void *start;
	unsigned int i;
	size_t size;

	for (i = 0; kmm_module_data(mod, i, &start, &size); i++)
		leak_unregister(l, start, NULL);
	if (mod->percpu_size)
		leak_unregister(l, NULL, mod->percpu);
}

static int leak_register_module(struct kmm_leak *l, const struct module *mod)
{
	const void *start;
	unsigned int i;
	size_t size;
	int err = 0;

	for (i = 0; !err && kmm_module_data(mod, i, &start, &size); i++)
		err = leak_register(l, start, NULL, size);
	if (!err && mod->percpu_size)
		err = leak_register(l, NULL, mod->percpu, mod->percpu_size);
	if (err)
		leak_unregister_module(l, mod);
	return err;
}

/**
 * kmm_leak_init_client() - kmm_leak_init() with the module's parameters.
 * @l: detector, zeroed; @l->early and @l->ctx may be set
 * @r: region
 *
 * Context: task, may sleep. Return: 0; what kmm_leak_on() says when kmemleak=1 was given: then it
 * is off, and everything else works.
 */
int kmm_leak_init_client(struct kmm_leak *l, const struct kmm_region *r)
{
	kmm_leak_init(l, r);
	l->max_objects = leak_param_objects;
	l->min_age_ms = &leak_param_min_age;
	l->stat.scan_secs = min_t(unsigned long, leak_param_secs, MAX_SCHEDULE_TIMEOUT / HZ);
	return leak_at_load ? kmm_leak_on(l) : 0;
}

/**
 * kmm_leak_set_client() - Choose the detector that serves the functions below, and the parameter.
 * @l: detector; NULL before it is destroyed
 *
 * Context: task, may sleep.
 */
void kmm_leak_set_client(struct kmm_leak *l)
{
	kernel_param_lock(THIS_MODULE);
	leak_client = l;
	kernel_param_unlock(THIS_MODULE);
}

/**
 * kmm_kmemleak_alloc() - kmemleak_alloc(): track memory.
 * @ptr: first byte
 * @size: bytes
 * @min_count: how many pointers to it must be found; 0: it is gray, a root of sorts; -1: ignored
 * @gfp: what the caller may do
 *
 * kmm's allocators do this for what they give.
 *
 * Context: any but NMI; sleeps only if @gfp allows.
 */
void kmm_kmemleak_alloc(const void *ptr, size_t size, int min_count, gfp_t gfp)
{
	if (kmm_leak_wants(leak_client) && !ZERO_OR_NULL_PTR(ptr) && !IS_ERR(ptr))
		kmm_leak_track(leak_client, ptr, size, min_count, gfp);
}
EXPORT_SYMBOL_GPL(kmm_kmemleak_alloc);

/**
 * kmm_kmemleak_alloc_percpu() - kmemleak_alloc_percpu(): scan a per-CPU area.
 * @ptr: area
 * @size: bytes for each CPU
 * @gfp: what the caller may do
 *
 * As in Linux it is never reported.
 *
 * Context: any but NMI; sleeps only if @gfp allows.
 */
void kmm_kmemleak_alloc_percpu(const void __percpu *ptr, size_t size, gfp_t gfp)
{
	int cpu;

	for_each_possible_cpu(cpu)
		kmm_kmemleak_alloc(per_cpu_ptr(ptr, cpu), size, KMM_LEAK_GRAY, gfp);
}
EXPORT_SYMBOL_GPL(kmm_kmemleak_alloc_percpu);

/**
 * kmm_kmemleak_free() - kmemleak_free(): memory is free.
 * @ptr: first byte of what is tracked
 *
 * Context: any but NMI.
 */
void kmm_kmemleak_free(const void *ptr)
{
	if (kmm_leak_wants(leak_client) && ptr)
		kmm_leak_forget(leak_client, ptr, 0);
}
EXPORT_SYMBOL_GPL(kmm_kmemleak_free);

/**
 * kmm_kmemleak_free_part() - kmemleak_free_part(): part of tracked memory is free.
 * @ptr: first byte
 * @size: bytes
 *
 * Context: any but NMI.
 */
void kmm_kmemleak_free_part(const void *ptr, size_t size)
{
	if (kmm_leak_wants(leak_client) && ptr)
		kmm_leak_forget(leak_client, ptr, size);
}
EXPORT_SYMBOL_GPL(kmm_kmemleak_free_part);

/**
 * kmm_kmemleak_free_percpu() - kmemleak_free_percpu(): undo kmm_kmemleak_alloc_percpu().
 * @ptr: area
 *
 * Context: any but NMI.
 */
void kmm_kmemleak_free_percpu(const void __percpu *ptr)
{
	int cpu;

	for_each_possible_cpu(cpu)
		kmm_kmemleak_free(per_cpu_ptr(ptr, cpu));
}
EXPORT_SYMBOL_GPL(kmm_kmemleak_free_percpu);

/**
 * kmm_kmemleak_update_trace() - kmemleak_update_trace(): this stack is told for an object.
 * @ptr: its first byte
 *
 * Context: any but NMI.
 */
void kmm_kmemleak_update_trace(const void *ptr)
{
	if (kmm_leak_wants(leak_client) && ptr)
		kmm_leak_update_trace(leak_client, ptr);
}
EXPORT_SYMBOL_GPL(kmm_kmemleak_update_trace);

/**
 * kmm_kmemleak_not_leak() - kmemleak_not_leak(): never report an object.
 * @ptr: its first byte
 *
 * Context: any but NMI.
 */
void kmm_kmemleak_not_leak(const void *ptr)
{
	if (kmm_leak_wants(leak_client) && ptr)
		kmm_leak_paint(leak_client, ptr, KMM_LEAK_GRAY);
}
EXPORT_SYMBOL_GPL(kmm_kmemleak_not_leak);

/**
 * kmm_kmemleak_ignore() - kmemleak_ignore(): neither report an object nor scan it.
 * @ptr: its first byte
 *
 * Context: any but NMI.
 */
void kmm_kmemleak_ignore(const void *ptr)
{
	if (kmm_leak_wants(leak_client) && ptr)
		kmm_leak_paint(leak_client, ptr, KMM_LEAK_BLACK);
}
EXPORT_SYMBOL_GPL(kmm_kmemleak_ignore);

/**
 * kmm_kmemleak_scan_area() - kmemleak_scan_area(): pointers are only here in an object.
 * @ptr: first byte of the part
 * @size: its bytes; SIZE_MAX: to the object's end
 * @gfp: what the caller may do
 *
 * Context: any but NMI; sleeps only if @gfp allows.
 */
void kmm_kmemleak_scan_area(const void *ptr, size_t size, gfp_t gfp)
{
	if (kmm_leak_wants(leak_client) && ptr && size)
		kmm_leak_scan_area(leak_client, ptr, size, gfp);
}
EXPORT_SYMBOL_GPL(kmm_kmemleak_scan_area);

/**
 * kmm_kmemleak_no_scan() - kmemleak_no_scan(): there are no pointers in an object.
 * @ptr: its first byte
 *
 * Context: any but NMI.
 */
void kmm_kmemleak_no_scan(const void *ptr)
{
	if (kmm_leak_wants(leak_client) && ptr)
		kmm_leak_no_scan(leak_client, ptr);
}
EXPORT_SYMBOL_GPL(kmm_kmemleak_no_scan);

/**
 * kmm_kmemleak_register_root() - Scan memory of a client, whether kmemleak is on now or later.
 * @start: first byte, of the host's memory
 * @size: bytes
 *
 * Context: task, may sleep. Return: 0 or -ENOMEM.
 */
int kmm_kmemleak_register_root(const void *start, size_t size)
{
	return leak_register(leak_client, start, NULL, size);
}
EXPORT_SYMBOL_GPL(kmm_kmemleak_register_root);

/**
 * kmm_kmemleak_unregister_root() - Undo kmm_kmemleak_register_root(), before the memory goes.
 * @start: the same
 *
 * Context: task, may sleep.
 */
void kmm_kmemleak_unregister_root(const void *start)
{
	leak_unregister(leak_client, start, NULL);
}
EXPORT_SYMBOL_GPL(kmm_kmemleak_unregister_root);

/**
 * kmm_kmemleak_register_module() - Scan a client's data, bss and per-CPU variables.
 * @mod: THIS_MODULE, in its init
 *
 * Context: task, may sleep. Return: 0 or -ENOMEM.
 */
int kmm_kmemleak_register_module(const struct module *mod)
{
	return leak_register_module(leak_client, mod);
}
EXPORT_SYMBOL_GPL(kmm_kmemleak_register_module);

/**
 * kmm_kmemleak_unregister_module() - Undo it, in the client's exit.
 * @mod: THIS_MODULE
 *
 * Context: task, may sleep.
 */
void kmm_kmemleak_unregister_module(const struct module *mod)
{
	leak_unregister_module(leak_client, mod);
}
EXPORT_SYMBOL_GPL(kmm_kmemleak_unregister_module);
