/* SPDX-License-Identifier: GPL-2.0-only */
/* The bug gym: a line for each bug. See lab.c. */
#ifndef _KMM_DEV_LAB_H
#define _KMM_DEV_LAB_H

#include <linux/types.h>

struct kmm_account;

/**
 * struct lab_bug - a bug that can be planted
 * @name: for KMM_IOC_LAB_BUG
 * @what: what it does wrong, one line
 * @detector: who catches it, one line
 * @report: extended regular expression; the first line of the report matches
 * @read: how to read the report
 * @missing: why its detector is not there, or NULL when it is; NULL: it always is. Context: task
 * @plant: plants it in memory of its own and takes that apart again.
 *	Context: task, may sleep, one at a time. Return: how many reports the detector has
 *	counted, 0 when the bug went unseen; or a negative errno when it could not be planted
 * @once: the detector is silent afterwards, until the machine is started again
 */
struct lab_bug {
	const char *name;
	const char *what;
	const char *detector;
	const char *report;
	const char *read;
	const char *(*missing)(void);
	int (*plant)(struct kmm_account *a);
	bool once;
};

/* lab_bugs.c; the last one has no name */
extern const struct lab_bug lab_bugs[];

#endif /* _KMM_DEV_LAB_H */
