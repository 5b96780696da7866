// SPDX-License-Identifier: GPL-2.0-only
/*
 * Belady's bound for the command: the kernel's own policy/opt.c, built with the headers of
 * tools/harness. The whole trace must be in memory for it, which is why it runs here and not in
 * the kernel. What it asks of a kernel is below.
 */
#include <stdlib.h>

#include "../../policy/opt.c"

struct static_key_false kmm_inject_key;

bool kmm_inject_hit(void)
{
	return false;
}

void *harness_kmalloc(size_t size, gfp_t gfp)
{
	(void)gfp;
	return malloc(size);
}

void kfree(const void *p)
{
	free((void *)p);
}

void might_sleep(void)
{
}
