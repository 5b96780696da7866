// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Hardening
 *
 * Switches that trade time for safety, with Linux's names and meaning:
 *
 *	init_on_alloc	memory is zero when a client gets it, whatever it asked for
 *	init_on_free	memory is zeroed when a client gives it back
 *	slab_hardened	objects go out in random order, and each slab has a bit per object that
 *			says whether a client has it: every double free is found, also one
 *			whose free word was overwritten. For caches made after it was set
 *	page_poison	free frames are filled with 0xaa and looked at when they go out again: see
 *			debug/page_poison.c
 *
 * All four are module parameters and can be changed at run time.
 *
 * Precedence is Linux's: page_poison turns init_on_alloc and init_on_free off, and the log says
 * so. A parameter shows what is in effect. What was asked for is remembered: when page_poison
 * goes off, the others come back. At load nothing is decided before all parameters are known:
 * that is the step init_mem_debugging_and_hardening (kmm_hardening_init()).
 *
 * What is off costs nothing: see debug/hooks.c. States of a switch: off; asked for; in effect.
 *
 * Locks: kernel_param_lock() of the parameters, jump_label's own.
 *
 * It deliberately does not: keep a state for each instance. A switch is for all of them; tests
 * that make their own put it back.
 */

#define pr_fmt(fmt) "kmm: " fmt

#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#include <compat/compat.h>
#include <kmm/hardening.h>
#include <kmm/paths.h>

DEFINE_STATIC_KEY_FALSE(kmm_init_on_alloc_key);
DEFINE_STATIC_KEY_FALSE(kmm_init_on_free_key);

/* Bits of enum kmm_hardening that were asked for, and those in effect; kernel_param_lock(). */
static unsigned int hardening_asked;
static unsigned int hardening_on;
/* The step at load has come: from now on a parameter changes something at once. */
static bool hardening_live;

static bool slab_hardened;
module_param(slab_hardened, bool, 0644);
MODULE_PARM_DESC(slab_hardened, "New caches: random order, every double free found (default 0)");

/* What Linux would make of it. */
static unsigned int hardening_precedence(unsigned int asked)
{
	if (asked & KMM_PAGE_POISON)
		asked &= ~(KMM_INIT_ON_ALLOC | KMM_INIT_ON_FREE);
	return asked;
}

/* One key of a switch, and those of the paths that look at it. */
static void hardening_key(struct static_key_false *key, unsigned int paths, bool on)
{
	if (on)
		kmm_hooks_on(key, paths);
	else
		kmm_hooks_off(key, paths);
}

/* Make the keys what hardening_asked says. Return: 0; -EBUSY: page_poison was on too often. */
static int hardening_apply(void)
{
	const unsigned int init_paths = KMM_PATH_PAGE | KMM_PATH_SLAB_INIT;
	unsigned int want = hardening_precedence(hardening_asked), change = want ^ hardening_on;

	if (change & KMM_PAGE_POISON) {
		bool on = want & KMM_PAGE_POISON;

		/* Key on, then a period; none, then key off: see debug/page_poison.c. */
		if (!on)
			kmm_page_poison_stop();
		hardening_key(&kmm_page_poison_key, KMM_PATH_PAGE, on);
		if (on && !kmm_page_poison_start()) {
			kmm_hooks_off(&kmm_page_poison_key, KMM_PATH_PAGE);
			hardening_asked &= ~KMM_PAGE_POISON;
			return -EBUSY;
		}
	}
	if (want != hardening_asked)
		pr_info("mem auto-init: PAGE_POISONING is on, will take precedence over init_on_alloc and init_on_free\n");
	if (change & KMM_INIT_ON_ALLOC)
		hardening_key(&kmm_init_on_alloc_key, init_paths, want & KMM_INIT_ON_ALLOC);
	if (change & KMM_INIT_ON_FREE)
		hardening_key(&kmm_init_on_free_key, init_paths, want & KMM_INIT_ON_FREE);
	hardening_on = want;
	return 0;
}

/* The bit of a parameter is its arg. */
static int hardening_param_set(const char *val, const struct kernel_param *kp)
{
	unsigned int bit = (unsigned long)kp->arg;
	bool on;
	int err = kstrtobool(val ?: "1", &on);

	if (err)
		return err;
	if (on)
		hardening_asked |= bit;
	else
		hardening_asked &= ~bit;
	return hardening_live ? hardening_apply() : 0;
}

static int hardening_param_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%c\n", hardening_on & (unsigned long)kp->arg ? 'Y' : 'N');
}

static const struct kernel_param_ops hardening_param_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = hardening_param_set,
	.get = hardening_param_get,
};

module_param_cb(init_on_alloc, &hardening_param_ops, (void *)KMM_INIT_ON_ALLOC, 0644);
MODULE_PARM_DESC(init_on_alloc, "Zero memory when it is allocated (default 0)");
module_param_cb(init_on_free, &hardening_param_ops, (void *)KMM_INIT_ON_FREE, 0644);
MODULE_PARM_DESC(init_on_free, "Zero memory when it is freed (default 0)");
module_param_cb(page_poison, &hardening_param_ops, (void *)KMM_PAGE_POISON, 0644);
MODULE_PARM_DESC(page_poison, "Fill free frames with 0xaa, check when they go out; init_on_* go off (default 0)");

/**
 * kmm_hardening_init() - The step init_mem_debugging_and_hardening: what the parameters ask for
 * takes effect, with Linux's precedence.
 *
 * Context: once, at load, before the buddy has frames; may sleep. Return: 0 or -EBUSY.
 */
int kmm_hardening_init(void)
{
	int err;

	kernel_param_lock(THIS_MODULE);
	hardening_live = true;
	err = hardening_apply();
	kernel_param_unlock(THIS_MODULE);
	return err;
}

/* What the compiler of this kernel, and so of this module, does with variables on the stack. */
static const char *hardening_stack(void)
{
	if (IS_ENABLED(CONFIG_INIT_STACK_ALL_PATTERN))
		return "all(pattern)";
	if (IS_ENABLED(CONFIG_INIT_STACK_ALL_ZERO))
		return "all(zero)";
	if (IS_ENABLED(CONFIG_GCC_PLUGIN_STRUCTLEAK_BYREF_ALL))
		return "byref_all(zero)";
	if (IS_ENABLED(CONFIG_GCC_PLUGIN_STRUCTLEAK_BYREF))
		return "byref(zero)";
	if (IS_ENABLED(CONFIG_GCC_PLUGIN_STRUCTLEAK_USER))
		return "__user(zero)";
	return "off";
}

/**
 * kmm_hardening_report() - The line of the step report_meminit, as the kernel has it.
 * @buf: text, without newline
 * @size: of @buf
 *
 * Context: any.
 */
void kmm_hardening_report(char *buf, size_t size)
{
	scnprintf(buf, size, "mem auto-init: stack:%s, heap alloc:%s, heap free:%s",
		  hardening_stack(), kmm_want_init_on_alloc(0) ? "on" : "off",
		  kmm_want_init_on_free() ? "on" : "off");
}
KMM_EXPORT_INTERNAL(kmm_hardening_report);

/**
 * kmm_hardening_list() - The names of the switches in effect.
 * @buf: text, each with a space behind it; empty when there is none
 * @size: of @buf
 *
 * Context: any.
 */
void kmm_hardening_list(char *buf, size_t size)
{
	static const char * const names[] = {
		"init_on_alloc", "init_on_free", "slab_hardened", "page_poison",
	};
	unsigned int on = kmm_hardening_effective(), i;
	char *p = buf;

	*p = 0;
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (on & BIT(i))
			p += scnprintf(p, buf + size - p, "%s ", names[i]);
}

/**
 * kmm_hardening_effective() - What is in effect.
 *
 * Context: any; of a moment. Return: bits of enum kmm_hardening.
 */
unsigned int kmm_hardening_effective(void)
{
	return READ_ONCE(hardening_on) | (kmm_slab_hardened() ? KMM_SLAB_HARDENED : 0);
}
KMM_EXPORT_INTERNAL(kmm_hardening_effective);

/**
 * kmm_slab_hardened() - Are new caches to be hardened?
 *
 * Context: any. Return: the parameter.
 */
bool kmm_slab_hardened(void)
{
	return READ_ONCE(slab_hardened);
}

/**
 * kmm_hardening_set() - The switches, for tests.
 * @set: bits of enum kmm_hardening that are asked for; the others go off
 *
 * Context: may sleep. Return: what was asked for before; page_poison may not come on for the
 * 65536th time.
 */
unsigned int kmm_hardening_set(unsigned int set)
{
	unsigned int was;

	kernel_param_lock(THIS_MODULE);
	was = hardening_asked | (slab_hardened ? KMM_SLAB_HARDENED : 0);
	hardening_asked = set & ~KMM_SLAB_HARDENED;
	hardening_apply();
	WRITE_ONCE(slab_hardened, set & KMM_SLAB_HARDENED);
	kernel_param_unlock(THIS_MODULE);
	return was;
}
KMM_EXPORT_INTERNAL(kmm_hardening_set);
