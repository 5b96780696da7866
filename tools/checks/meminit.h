/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Put before the kernel's lib/test_meminit.c (gcc -include): its calls go to kmm. What it
 * includes comes first, so that nothing of Linux's own headers is renamed. See meminit.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <kmm/kmm.h>

#undef alloc_pages
#undef kmalloc_array
#define alloc_pages		kmm_alloc_pages
#define __free_pages		__kmm_free_pages
#define kmalloc			kmm_kmalloc
#define kmalloc_array		kmm_kmalloc_array
#define kfree			kmm_kfree
#define kmem_cache		kmm_cache
#define kmem_cache_create	kmm_cache_create
#define kmem_cache_destroy	kmm_cache_destroy
#define kmem_cache_alloc	kmm_cache_alloc
#define kmem_cache_free		kmm_cache_free
#define kmem_cache_alloc_bulk	kmm_cache_alloc_bulk
#define kmem_cache_free_bulk	kmm_cache_free_bulk
#define vmalloc			kmm_vmalloc
#define vfree			kmm_vfree

/* It has no exit, and could not be unloaded. */
static void __exit kmm_meminit_exit(void)
{
}
module_exit(kmm_meminit_exit);

/* its own comes now */
#undef pr_fmt
