/* SPDX-License-Identifier: GPL-2.0-only */
/* Switches of initialisation and hardening. See debug/hardening.c. */
#ifndef _KMM_HARDENING_H
#define _KMM_HARDENING_H

#include <linux/gfp.h>
#include <linux/jump_label.h>
#include <linux/types.h>

#include <kmm/paths.h>

struct kmm_region;
struct page;

DECLARE_STATIC_KEY_FALSE(kmm_init_on_alloc_key);
DECLARE_STATIC_KEY_FALSE(kmm_init_on_free_key);
DECLARE_STATIC_KEY_FALSE(kmm_page_poison_key);

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
	KMM_PAGE_POISON		= 8,
};

int kmm_hardening_init(void);
void kmm_hardening_list(char *buf, size_t size);
void kmm_hardening_report(char *buf, size_t size);
unsigned int kmm_hardening_effective(void);
unsigned int kmm_hardening_set(unsigned int set);

/* debug/page_poison.c */
bool kmm_page_poison_start(void);
void kmm_page_poison_stop(void);
void kmm_page_poison(struct kmm_region *r, struct page *page, unsigned int order);
void kmm_page_unpoison(struct kmm_region *r, struct page *page, unsigned int order);
void kmm_page_poison_check(struct kmm_region *r, struct page *page, unsigned int order);
unsigned long kmm_page_poison_corrupt(void);

#endif /* _KMM_HARDENING_H */
