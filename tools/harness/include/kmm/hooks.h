/* SPDX-License-Identifier: GPL-2.0-only */
/* In place of include/kmm/hooks.h: no debugging feature is linked in. */
#ifndef _HARNESS_KMM_HOOKS_H
#define _HARNESS_KMM_HOOKS_H

#include <kmm/paths.h>

static inline void harness_hook(int unused, ...) { (void)unused; }
static inline unsigned int harness_none(int unused, ...) { (void)unused; return 0; }
#define kmm_hook_page_alloc(...)	harness_hook(0, __VA_ARGS__)
#define kmm_hook_page_short(...)	harness_none(0, __VA_ARGS__)
#define kmm_hook_page_alloc_short(...)	harness_hook(0, __VA_ARGS__)
#define kmm_hook_page_free_short(...)	harness_hook(0, __VA_ARGS__)
#define kmm_hook_page_client(...)	harness_hook(0, __VA_ARGS__)
#define kmm_hook_page_free(...)		harness_hook(0, __VA_ARGS__)
#define kmm_hook_page_guard(...)	harness_hook(0, __VA_ARGS__)
#define kmm_hook_page_idle(...)		harness_hook(0, __VA_ARGS__)
#define kmm_hook_page_split(...)	harness_hook(0, __VA_ARGS__)
#define kmm_hook_page_describe(...)	harness_hook(0, __VA_ARGS__)
#define kmm_hook_object_instead(...)	NULL
#define kmm_hook_object_alloc(...)	harness_hook(0, __VA_ARGS__)
#define kmm_hook_object_idle(...)	harness_hook(0, __VA_ARGS__)
#define kmm_hook_object_free(...)	harness_hook(0, __VA_ARGS__)
#define kmm_hook_object_stray(...)	false
#define kmm_hook_object_wanted(...)	harness_none(0, __VA_ARGS__)
#define kmm_hook_object_find(...)	harness_none(0, __VA_ARGS__)
#define kmm_hook_cache_live(...)	harness_none(0, __VA_ARGS__)
#define kmm_hook_cache_gone(...)	harness_hook(0, __VA_ARGS__)

#endif /* _HARNESS_KMM_HOOKS_H */
