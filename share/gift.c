// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Gift
 *
 * A range of pages goes from one object to another, with its contents, without a copy: the
 * frames change their object. The giver's range reads as zeros afterwards, the receiver's range
 * has what the giver had, holes too; what the receiver had there is gone. This is what
 * vmsplice with SPLICE_F_GIFT and Mach's out-of-line messages promise, for objects.
 *
 * Order. For each batch of up to 2 MiB: under the giver's lock all mappings of the range are
 * taken away and page tables flushed, in processes and in address spaces; only then is a
 * frame looked at, and its entry erased before the lock is dropped. So from the moment that a
 * frame can be seen through the receiver, nobody can reach it through the giver: who touches the
 * range gets a fresh frame of zeros. Under the receiver's lock the frames are entered in
 * the place of what was there, which is unmapped before the lock is dropped.
 *
 * Frames that somebody outside holds (a pipe after vmsplice, a device) are not moved, since
 * the holder could go on reading or writing. Their contents are copied into a fresh frame, the
 * old one waits in quarantine, at the giver's cost.
 *
 * Who pays: the receiver's account for what arrives, from then on. It must have room for the
 * whole range before the first frame moves.
 *
 * All or nothing up to one batch. A longer gift that runs out of memory, or whose process is
 * killed, ends after whole batches and says how far it came, as write(2) does.
 *
 * Refused: fixed frames (LOCKED, CONTIG), pins (dma-buf), seals against writes, of either
 * side: the giver's contents change, too. Seals of the size do not matter. Ranges of one
 * object that overlap.
 *
 * Locks: the caller holds the inode locks of both, which keep writes, punches, resizes and seals
 * away; faults and reads go on. The locks of the two objects are never held together.
 *
 * What this deliberately does not do: no part of a page, no gift from or to a private mapping
 * of a process, whose frames are the host's.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/assert.h>
#include <kmm/buddy.h>
#include <kmm/gift.h>
#include <kmm/object.h>
#include <trace/events/kmm.h>

/* One batch; the receiver may take it, its account has been asked. */
static int gift_batch(struct kmm_object *src, pgoff_t src_first, struct kmm_object *dst,
		      pgoff_t dst_first, unsigned int nr, struct page **pages,
		      struct kmm_gift *gift)
{
	unsigned int nr_copied = 0;
	int taken, err;

	/* Only holes: no leaves of the receiver's index for these. */
	if (!kmm_object_nr_present(src, src_first, nr))
		return kmm_object_punch(dst, (u64)dst_first << PAGE_SHIFT, (u64)nr << PAGE_SHIFT);
	err = kmm_object_reserve(dst, dst_first, nr);
	if (err)
		return err;
	taken = kmm_object_take_pages(src, src_first, nr, dst->account, pages, &nr_copied);
	if (taken < 0)
		return taken;
	err = kmm_object_put_pages(dst, dst_first, nr, dst->account, pages);
	/* Reserved, checked and paid: it cannot fail. */
	if (!kmm_assert(!err)) {
		kmm_object_free_taken(src->set->buddy, src->set->lru, pages, nr);
		return err;
	}
	gift->moved += taken - nr_copied;
	gift->copied += nr_copied;
	return 0;
}

/**
 * kmm_gift_pages() - Move a range of pages from one object to another.
 * @src: giver
 * @src_first: its first page
 * @dst: receiver, may be @src; of the same instance
 * @dst_first: its first page
 * @nr: pages, not zero; all below the end of both
 * @gift: out: how far it came
 *
 * Context: task, may sleep; serialised with writes, punches, resizes and seals of both by the
 * caller.
 * Return: 0 when something was done, @gift tells how much. Else -EINVAL one range in two ways;
 * -ENXIO behind an end; -EPERM, -EBUSY as kmm_object_take_pages(); -EDQUOT the receiver has no
 * room; -ENOMEM; -EINTR killed.
 */
int kmm_gift_pages(struct kmm_object *src, pgoff_t src_first, struct kmm_object *dst,
		   pgoff_t dst_first, unsigned long nr, struct kmm_gift *gift)
{
	size_t bytes = min_t(unsigned long, nr, KMM_TAKE_MAX) * sizeof(struct page *);
	struct page **pages;
	int err;

	*gift = (struct kmm_gift) { };
	err = kmm_object_may_replace(src, src_first, nr);
	if (!err)
		err = kmm_object_may_replace(dst, dst_first, nr);
	if (!err && src == dst && src_first < dst_first + nr && dst_first < src_first + nr)
		err = -EINVAL;
	if (!err)
		err = kmm_account_may_move(src->account, dst->account, KMM_RES_FRAMES,
					   kmm_object_nr_present(src, src_first, nr));
	if (err)
		return err;
	pages = kmm_account_zalloc(dst->account, bytes);
	if (IS_ERR(pages))
		return PTR_ERR(pages);

	while (gift->nr_done < nr) {
		unsigned int n = min_t(unsigned long, nr - gift->nr_done, KMM_TAKE_MAX);

		err = fatal_signal_pending(current) ? -EINTR :
			gift_batch(src, src_first + gift->nr_done, dst, dst_first + gift->nr_done,
				   n, pages, gift);
		if (err)
			break;
		gift->nr_done += n;
		cond_resched();
	}
	kmm_account_free(dst->account, pages, bytes);
	trace_object_gift(src->id, src_first, dst->id, dst_first, gift->nr_done, gift->moved,
			  gift->copied);
	return gift->nr_done ? 0 : err;
}
KMM_EXPORT_INTERNAL(kmm_gift_pages);
