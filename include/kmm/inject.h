/* SPDX-License-Identifier: GPL-2.0-only */
/* Failure injection: every allocation of kmm asks here first. See debug/inject.c. */
#ifndef _KMM_INJECT_H
#define _KMM_INJECT_H

#include <linux/jump_label.h>
#include <linux/types.h>

struct dentry;

DECLARE_STATIC_KEY_FALSE(kmm_inject_key);

void kmm_inject_arm(unsigned long nth);
bool kmm_inject_disarm(void);
bool kmm_inject_hit(void);
int kmm_inject_set_attr(const char *val);
unsigned long kmm_inject_set_verbose(unsigned long verbose);

void kmm_inject_debugfs(struct dentry *dir);
void kmm_inject_teardown(void);

/**
 * kmm_should_fail() - Is this the allocation, or I/O, that somebody wants to see fail?
 *
 * Called by every allocation of kmm, host memory or frames, before it is made. Costs a
 * patched no-op while nothing is armed.
 *
 * Context: any.
 * Return: true if the caller must behave as if its allocation had failed.
 */
static inline bool kmm_should_fail(void)
{
	return static_branch_unlikely(&kmm_inject_key) && kmm_inject_hit();
}

#endif /* _KMM_INJECT_H */
