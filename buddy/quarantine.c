// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Frames that are held from outside
 *
 * A client frees a page while a pipe, a DMA or a reader of a dma-buf still has a reference. In
 * Linux the page then stays allocated until the last put_page(). kmm's frames are pages of its
 * region, whose own reference never ends, so nobody calls kmm when the count falls back to 1.
 * Therefore such a frame waits:
 *
 *	USED -> QUARANTINED	kmm_free_pinned(): a free finds a count above 1. Frame by frame:
 *				those of the block that nobody holds are free at once
 *	QUARANTINED -> FREE	kmm_buddy_recheck_quarantine() finds the count at 1
 *
 * The quarantine is one list of single frames, linked by frame.next, the newest first. It is
 * looked through by a request that found nothing else, by reclaim (a free that puts frames here
 * calls @wake), and at the end of an instance. What is in a frame stays as it is until it comes
 * home: whoever holds it may read it. Then the flags that the holder may have left in struct page
 * are cleared, and the frame is wiped if that is wanted.
 *
 * The owner of the block (kmm_buddy_set_owner()) pays until the frame is home: else a client could
 * hold more than its limit by giving pages to a pipe. @uncharge is called without a lock, so a
 * recheck goes in rounds of KMM_HOME_OWNERS owners, whose sums stand on the stack.
 *
 * Invariants
 *   - a QUARANTINED frame is of order 0 and on the list; nr_quarantined is the list's length
 *   - frame.owner of such a frame is charged for exactly this frame
 *
 * Locks: @lock; kmm_free_pinned() takes this CPU's cache lock before it, for the counters and so
 * that of two racing frees one is refused.
 *
 * It deliberately does not: notice the moment of the last put, bound how many frames may be held
 * (the owner's limit does), wait for anybody.
 */

#include <linux/mm.h>

#include <compat/compat.h>

#include "internal.h"

static void kmm_quarantine_add(struct kmm_buddy *b, u32 index, u32 owner)
{
	struct kmm_frame *f = &b->region->frames[index];

	f->tag = KMM_FRAME_TAG(KMM_FRAME_QUARANTINED, 0);
	f->owner = owner;
	f->next = b->quarantine;
	b->quarantine = index;
	b->nr_quarantined++;
}

/* A pinned frame came home: what its holder may have left in the host's struct page goes. */
static void kmm_scrub_page(struct page *page)
{
	ClearPageDirty(page);
	ClearPageReferenced(page);
	ClearPageWorkingset(page);
}

/* Owners whose frames come home in one round of a recheck; 128 bytes of stack. */
#define KMM_HOME_OWNERS		16

/**
 * kmm_buddy_recheck_quarantine() - Take back what nobody holds any more.
 * @b: buddy
 *
 * Context: any but NMI. Return: frames that came home.
 */
unsigned long kmm_buddy_recheck_quarantine(struct kmm_buddy *b)
{
	struct {
		u32 owner;
		u32 nr;
	} come[KMM_HOME_OWNERS];
	struct kmm_region *r = b->region;
	unsigned long flags, home = 0;
	unsigned int nr_owners, i;
	u32 *link, index;
	bool more;

	/* Some owners a round: uncharge() is called without the lock. */
	do {
		nr_owners = 0;
		more = false;
		spin_lock_irqsave(&b->lock, flags);
		for (link = &b->quarantine; (index = *link) != KMM_LIST_END;) {
			struct kmm_frame *f = &r->frames[index];
			struct page *page = kmm_region_page(r, index);

			if (page_ref_count(page) != 1) {
				link = &f->next;
				continue;
			}
			for (i = 0; i < nr_owners && come[i].owner != f->owner; i++)
				;
			if (i == ARRAY_SIZE(come)) {
				more = true;
				break;
			}
			if (i == nr_owners) {
				come[i].owner = f->owner;
				come[i].nr = 0;
				nr_owners++;
			}
			come[i].nr++;
			*link = f->next;
			f->owner = 0;
			b->nr_quarantined--;
			kmm_scrub_page(page);
			kmm_page_is_idle(b, page, 0);
			kmm_free_block(b, index, 0);
			home++;
		}
		spin_unlock_irqrestore(&b->lock, flags);
		for (i = 0; i < nr_owners; i++)
			kmm_uncharge(b, come[i].owner, come[i].nr);
	} while (more);
	if (home)
		kmm_count(b, KMM_QUARANTINE_OUT, home);
	return home;
}
KMM_EXPORT_INTERNAL(kmm_buddy_recheck_quarantine);

/**
 * kmm_free_pinned() - Free a block of which somebody outside holds frames.
 * @b: buddy instance
 * @page: first frame of a used block
 * @order: its order
 * @ip: who frees, for a report
 *
 * The frames that are held wait in quarantine and are paid for until they come home; the rest is
 * free. A block that a racing free took first is refused with a report.
 *
 * Context: any but NMI; no lock is held. @b->uncharge and @b->wake are called.
 */
void kmm_free_pinned(struct kmm_buddy *b, struct page *page, unsigned int order, unsigned long ip)
{
	struct kmm_region *r = b->region;
	struct kmm_frame *f = kmm_region_frame(r, page_to_pfn(page));
	u32 index = kmm_region_index(r, f), i;
	u16 used = KMM_TAG_USED(order);
	unsigned int pinned = 0;
	struct kmm_pcp *pcp;
	unsigned long flags;
	u32 owner;

	pcp = kmm_pcp_lock(b, &flags);
	if (!try_cmpxchg(&f->tag, &used, KMM_FRAME_TAG(KMM_FRAME_TAIL, 0))) {
		kmm_pcp_unlock(pcp, flags);
		return kmm_report_bad_free(b, page, order, f, ip);
	}
	owner = f->owner;
	f->owner = 0;
	pcp->nr_freed[order]++;
	pcp->event[KMM_LOCK_SLOW]++;
	spin_lock(&b->lock);
	for (i = 0; i < 1U << order; i++) {
		if (page_ref_count(page + i) == 1) {
			kmm_page_is_idle(b, page + i, 0);
			kmm_free_block(b, index + i, 0);
		} else {
			kmm_quarantine_add(b, index + i, owner);
			pinned++;
		}
	}
	spin_unlock(&b->lock);
	pcp->event[KMM_QUARANTINE_IN] += pinned;
	kmm_pcp_unlock(pcp, flags);
	kmm_uncharge(b, owner, (1UL << order) - pinned);
	if (pinned && b->wake)
		b->wake(b->ctx);
}
