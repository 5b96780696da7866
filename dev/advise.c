// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Advice and limits
 *
 * What users tell about the future of pages, and how many pages an object or a space may have.
 * Advice is everybody's who has a descriptor: it changes when pages move, never what is in them.
 * Limits are the administrator's.
 *
 * The work is done by vm/evict.c and vm/swapin.c; here are the ioctls, in pieces of
 * ADVISE_PIECE pages, so that a long range can be interrupted.
 *
 * Locks: none here.
 *
 * What this deliberately does not do: no fadvise(2) and no madvise(2): the first has no hook for a
 * file system without a backing device, the host keeps the second from VM_IO areas.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>

#include <kmm/buddy.h>
#include <kmm/dev.h>
#include <kmm/object.h>
#include <kmm/space.h>

/* Pages of one step: 2 MiB. */
#define ADVISE_PIECE	KMM_LEAF_ENTRIES

static long advise_piece(struct kmm_object *o, u32 advice, pgoff_t first, unsigned long nr)
{
	int err;

	switch (advice) {
	case KMM_ADVISE_PAGEOUT:
		return kmm_object_pageout(o, first, nr);
	case KMM_ADVISE_COLD:
		return kmm_object_cold(o, first, nr);
	default:
		err = kmm_swapin_range(o, first, nr);
		return err ?: kmm_object_nr_present(o, first, nr);
	}
}

/**
 * kmm_call_object_advise() - KMM_IOC_OBJECT_ADVISE.
 * @call: the call
 *
 * Context: task, may sleep. Return: 0 or an error of the uapi header.
 */
int kmm_call_object_advise(struct kmm_call *call)
{
	struct kmm_object *o = kmm_file_object(call->file);
	struct kmm_object_advise *a = &call->arg.object_advise;
	pgoff_t index, end;
	u64 last;

	if (a->flags || a->advice < KMM_ADVISE_PAGEOUT || a->advice > KMM_ADVISE_WILLNEED ||
	    check_add_overflow(a->offset, a->len, &last))
		return -EINVAL;
	if (!o->lruvec)
		return -EPERM;
	last = min_t(u64, last, READ_ONCE(o->size_bytes));
	index = a->offset >> PAGE_SHIFT;
	end = a->len ? (last + PAGE_SIZE - 1) >> PAGE_SHIFT : 0;
	a->done = 0;
	while (index < end) {
		unsigned long nr = min_t(unsigned long, end - index, ADVISE_PIECE);
		long ret = fatal_signal_pending(current) ? -EINTR :
			   advise_piece(o, a->advice, index, nr);

		if (ret < 0)
			return ret;
		a->done += ret;
		index += nr;
		cond_resched();
	}
	return 0;
}

/**
 * kmm_call_object_limit() - KMM_IOC_OBJECT_LIMIT.
 * @call: the call
 *
 * Context: task, may sleep. Return: 0 or an error of the uapi header.
 */
int kmm_call_object_limit(struct kmm_call *call)
{
	struct inode *inode = file_inode(call->file);
	u64 pages = call->arg.object_limit.pages;
	int err;

	if (pages > kmm_dev_env.buddy->managed)
		return -EINVAL;
	/* against another one */
	inode_lock(inode);
	err = kmm_object_set_limit(kmm_file_object(call->file), pages, NULL, false);
	inode_unlock(inode);
	return err;
}

/**
 * kmm_call_space_limit() - KMM_IOC_SPACE_LIMIT.
 * @call: the call
 *
 * Context: task. Return: 0.
 */
int kmm_call_space_limit(struct kmm_call *call)
{
	struct kmm_space *s = kmm_file_space(call->file);

	WRITE_ONCE(s->limit_pages, call->arg.space_limit.pages);
	return 0;
}
