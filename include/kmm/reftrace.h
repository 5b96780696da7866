/* SPDX-License-Identifier: GPL-2.0-only */
/* Who uses which page: references of objects and spaces. See vm/reftrace.c. */
#ifndef _KMM_REFTRACE_H
#define _KMM_REFTRACE_H

#include <linux/types.h>

struct kmm_object;
struct kmm_space;

/**
 * struct kmm_reftrace - accesses of a space that nobody has read yet
 * @head: entries ever written
 * @tail: entries ever read
 * @lost: accesses that found no room
 * @entry: page number and KMM_TRACE_WRITE, by number modulo KMM_TRACE_ENTRIES
 *
 * Protected by the space's trace_lock.
 */
struct kmm_reftrace {
	u64 head;
	u64 tail;
	u64 lost;
	u64 entry[];
};

int kmm_reftrace_start(struct kmm_space *s);
int kmm_reftrace_stop(struct kmm_space *s);
int kmm_reftrace_read(struct kmm_space *s, u64 *entries, unsigned int nr, u64 *lost);
void kmm_reftrace_lose(struct kmm_space *s, unsigned int nr);
void kmm_reftrace_record(struct kmm_space *s, u64 addr, size_t len, bool write);

int kmm_reftrace_young(struct kmm_object *o, pgoff_t first, unsigned int nr,
		       unsigned long *bitmap);

#endif /* _KMM_REFTRACE_H */
