/* SPDX-License-Identifier: GPL-2.0-only */
/* Failure injection: make the Nth allocation of one task fail. See debug/inject.c. */
#ifndef _KMM_INJECT_H
#define _KMM_INJECT_H

#include <linux/jump_label.h>
#include <linux/types.h>

DECLARE_STATIC_KEY_FALSE(kmm_inject_key);

void kmm_inject_arm(unsigned long nth);
bool kmm_inject_disarm(void);
bool kmm_inject_hit(void);

/**
 * kmm_should_fail() - Is this the allocation that a test wants to see fail?
 *
 * Called by every allocation of kmm, host memory or frames, before it is made. Costs a
 * patched no-op while no test is armed.
 *
 * Context: any.
 * Return: true if the caller must behave as if its allocation had failed.
 */
static inline bool kmm_should_fail(void)
{
	return static_branch_unlikely(&kmm_inject_key) && kmm_inject_hit();
}

#endif /* _KMM_INJECT_H */
