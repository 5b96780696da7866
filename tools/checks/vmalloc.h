/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Put before the kernel's lib/test_vmalloc.c (gcc -include): its calls go to kmm. What it
 * includes comes first, so that nothing of Linux's own headers is renamed. See vmalloc.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <kmm/kmm.h>

#define vmalloc		kmm_vmalloc
#define vfree		kmm_vfree

/* Linux exports it only to kernels built with this test. Tests that call it are masked. */
#define __vmalloc_node(size, align, gfp, node, caller)	((void)(align), (void *)NULL)
