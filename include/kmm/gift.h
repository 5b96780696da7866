/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages that go from one object to another without a copy. See share/gift.c. */
#ifndef _KMM_GIFT_H
#define _KMM_GIFT_H

#include <linux/types.h>

struct kmm_object;

/**
 * struct kmm_gift - how far a gift came
 * @nr_done: pages, holes included
 * @moved: frames that went over
 * @copied: frames that somebody held, so that their contents went over
 */
struct kmm_gift {
	unsigned long nr_done;
	unsigned long moved;
	unsigned long copied;
};

int kmm_gift_pages(struct kmm_object *src, pgoff_t src_first, struct kmm_object *dst,
		   pgoff_t dst_first, unsigned long nr, struct kmm_gift *gift);

#endif /* _KMM_GIFT_H */
