/* SPDX-License-Identifier: GPL-2.0-only */
/* The keys of the fast paths, and who turns them on. See debug/hooks.c; the hooks: hooks.h. */
#ifndef _KMM_PATHS_H
#define _KMM_PATHS_H

#include <linux/bits.h>
#include <linux/jump_label.h>

/*
 * On while a fast path of pages, of objects, or of vmalloc has anything more to do than to give
 * and take. One key per path, counted; a fast path tests no other.
 */
DECLARE_STATIC_KEY_FALSE(kmm_page_key);
DECLARE_STATIC_KEY_FALSE(kmm_slab_key);
DECLARE_STATIC_KEY_FALSE(kmm_vmap_key);

/* For what is more than zeroing and hardened caches, which slab.c does almost as fast. */
DECLARE_STATIC_KEY_FALSE(kmm_slab_hook_key);
/* For what is more than page_owner, which buddy.c does almost as fast. */
DECLARE_STATIC_KEY_FALSE(kmm_page_hook_key);

/**
 * enum kmm_path - what a feature wants to see
 * @KMM_PATH_PAGE: every block that the buddy gives or takes
 * @KMM_PATH_SLAB: every object
 * @KMM_PATH_VMAP: every area of vmalloc
 * @KMM_PATH_SLAB_INIT: zeroing of objects; no hook is called for this
 * @KMM_PATH_PAGE_OWNER: every block, by the short hooks of page_owner if nobody else wants more
 */
enum kmm_path {
	KMM_PATH_PAGE		= BIT(0),
	KMM_PATH_SLAB		= BIT(1),
	KMM_PATH_VMAP		= BIT(2),
	KMM_PATH_SLAB_INIT	= BIT(3),
	KMM_PATH_PAGE_OWNER	= BIT(4),
};

void kmm_hooks_on(struct static_key_false *feature, unsigned int paths);
void kmm_hooks_off(struct static_key_false *feature, unsigned int paths);

/* For trace events: the first probe comes, the last goes. */
int kmm_page_trace_reg(void);
void kmm_page_trace_unreg(void);
int kmm_slab_trace_reg(void);
void kmm_slab_trace_unreg(void);

#endif /* _KMM_PATHS_H */
