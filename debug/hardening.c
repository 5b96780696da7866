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
 * What is off costs nothing: see debug/hooks.c. States of a switch: off, on.
 *
 * Locks: kernel_param_lock() of the parameters, jump_label's own.
 *
 * It deliberately does not: page poisoning (it would turn init_on_* off, as in Linux).
 */

#include <linux/module.h>
#include <linux/moduleparam.h>

#include <compat/compat.h>
#include <kmm/hardening.h>

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
	if (on)
		kmm_hooks_on(key, KMM_PATH_PAGE | KMM_PATH_SLAB_INIT);
	else
		kmm_hooks_off(key, KMM_PATH_PAGE | KMM_PATH_SLAB_INIT);
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
