/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the variables of a module are. */
#ifndef _KMM_COMPAT_MODULE_H
#define _KMM_COMPAT_MODULE_H

#include <linux/module.h>
#include <linux/version.h>

/*
 * Where a module's variables are, piece by piece; false when there are no more. In one piece until
 * 6.3, what is read-only after init included.
 */
static inline bool kmm_module_data(const struct module *mod, unsigned int i, const void **start,
				   size_t *size)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	*start = mod->core_layout.base + mod->core_layout.ro_size;
	*size = mod->core_layout.size - mod->core_layout.ro_size;
	return !i;
#else
	static const enum mod_mem_type types[] = { MOD_DATA, MOD_RO_AFTER_INIT };

	if (i >= ARRAY_SIZE(types))
		return false;
	*start = mod->mem[types[i]].base;
	*size = mod->mem[types[i]].size;
	return true;
#endif
}

#endif /* _KMM_COMPAT_MODULE_H */
