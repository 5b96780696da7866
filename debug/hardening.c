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
 *
 * All three are module parameters and can be changed at run time.
 *
 * What is off must cost nothing. So a fast path has a single static key, and everything that
 * wants a look at each operation, trace events included, counts itself in there: with the key
 * off the path has one patched no-op, with it on it goes to the slow path, which asks each
 * switch's own key.
 *
 * States of a switch: off, on. Invariant: the count of kmm_page_key (kmm_slab_key) is the number
 * of switches and trace events of pages (objects) that are on.
 *
 * Locks: kernel_param_lock() of the parameters, jump_label's own.
 *
 * It deliberately does not: page poisoning (it would turn init_on_* off, as in Linux).
 */

#include <linux/module.h>
#include <linux/moduleparam.h>

#include <compat/compat.h>
#include <kmm/hardening.h>

DEFINE_STATIC_KEY_FALSE(kmm_page_key);
DEFINE_STATIC_KEY_FALSE(kmm_slab_key);
KMM_EXPORT_INTERNAL(kmm_slab_key);
DEFINE_STATIC_KEY_FALSE(kmm_init_on_alloc_key);
DEFINE_STATIC_KEY_FALSE(kmm_init_on_free_key);

static bool slab_hardened;
module_param(slab_hardened, bool, 0644);
MODULE_PARM_DESC(slab_hardened, "New caches: random order, every double free found (default 0)");

/* A switch that both paths look at; kernel_param_lock() is held. Return: what it was. */
static bool kmm_init_switch(struct static_key_false *key, bool on)
{
	bool was = static_key_enabled(&key->key);

	if (on == was)
		return was;
	if (on) {
		static_branch_enable(key);
		static_branch_inc(&kmm_page_key);
		static_branch_inc(&kmm_slab_key);
	} else {
		static_branch_dec(&kmm_slab_key);
		static_branch_dec(&kmm_page_key);
		static_branch_disable(key);
	}
	return was;
}

static int kmm_init_switch_set(const char *val, const struct kernel_param *kp)
{
	bool on;
	int err = kstrtobool(val ?: "1", &on);

	if (!err)
		kmm_init_switch(kp->arg, on);
	return err;
}

static int kmm_init_switch_get(char *buf, const struct kernel_param *kp)
{
	struct static_key_false *key = kp->arg;

	return sysfs_emit(buf, "%c\n", static_key_enabled(&key->key) ? 'Y' : 'N');
}

static const struct kernel_param_ops kmm_init_switch_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = kmm_init_switch_set,
	.get = kmm_init_switch_get,
};

module_param_cb(init_on_alloc, &kmm_init_switch_ops, &kmm_init_on_alloc_key, 0644);
MODULE_PARM_DESC(init_on_alloc, "Zero memory when it is allocated (default 0)");
module_param_cb(init_on_free, &kmm_init_switch_ops, &kmm_init_on_free_key, 0644);
MODULE_PARM_DESC(init_on_free, "Zero memory when it is freed (default 0)");

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
 * kmm_hardening_set() - The three switches, for tests.
 * @set: bits of enum kmm_hardening that are to be on; the others go off
 *
 * Context: may sleep. Return: what was on.
 */
unsigned int kmm_hardening_set(unsigned int set)
{
	unsigned int was = 0;

	kernel_param_lock(THIS_MODULE);
	if (kmm_init_switch(&kmm_init_on_alloc_key, set & KMM_INIT_ON_ALLOC))
		was |= KMM_INIT_ON_ALLOC;
	if (kmm_init_switch(&kmm_init_on_free_key, set & KMM_INIT_ON_FREE))
		was |= KMM_INIT_ON_FREE;
	if (slab_hardened)
		was |= KMM_SLAB_HARDENED;
	WRITE_ONCE(slab_hardened, set & KMM_SLAB_HARDENED);
	kernel_param_unlock(THIS_MODULE);
	return was;
}
KMM_EXPORT_INTERNAL(kmm_hardening_set);

/**
 * kmm_page_trace_reg() - The first probe of a trace event of pages comes.
 *
 * Context: may sleep. Return: 0.
 */
int kmm_page_trace_reg(void)
{
	static_branch_inc(&kmm_page_key);
	return 0;
}

/**
 * kmm_page_trace_unreg() - The last probe of a trace event of pages went.
 *
 * Context: may sleep.
 */
void kmm_page_trace_unreg(void)
{
	static_branch_dec(&kmm_page_key);
}

/**
 * kmm_slab_trace_reg() - The first probe of a trace event of objects comes.
 *
 * Context: may sleep. Return: 0.
 */
int kmm_slab_trace_reg(void)
{
	static_branch_inc(&kmm_slab_key);
	return 0;
}

/**
 * kmm_slab_trace_unreg() - The last probe of a trace event of objects went.
 *
 * Context: may sleep.
 */
void kmm_slab_trace_unreg(void)
{
	static_branch_dec(&kmm_slab_key);
}
