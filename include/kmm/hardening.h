/* SPDX-License-Identifier: GPL-2.0-only */
/* Switches of initialisation and hardening. See debug/hardening.c. */
#ifndef _KMM_HARDENING_H
#define _KMM_HARDENING_H

#include <linux/gfp.h>
#include <linux/jump_label.h>
#include <linux/types.h>

#include <kmm/paths.h>

DECLARE_STATIC_KEY_FALSE(kmm_init_on_alloc_key);
DECLARE_STATIC_KEY_FALSE(kmm_init_on_free_key);

static inline bool kmm_want_init_on_alloc(gfp_t gfp)
{
	return gfp & __GFP_ZERO || static_branch_unlikely(&kmm_init_on_alloc_key);
}

static inline bool kmm_want_init_on_free(void)
{
	return static_branch_unlikely(&kmm_init_on_free_key);
}

bool kmm_slab_hardened(void);

/* The switches, see kmm_hardening_set(). */
enum kmm_hardening {
	KMM_INIT_ON_ALLOC	= 1,
	KMM_INIT_ON_FREE	= 2,
	KMM_SLAB_HARDENED	= 4,
};

unsigned int kmm_hardening_set(unsigned int set);

#endif /* _KMM_HARDENING_H */
