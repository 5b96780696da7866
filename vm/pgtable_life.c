// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Begin and end of page tables
 *
 * Where trees and their tables come from and where they go. What stands in them, and how it gets
 * in and out, is vm/pgtable.c's.
 *
 * What all trees of an instance share is a struct kmm_pgtables: the buddy that tables come from,
 * the ledger of flushes, the number of tables by level, the tables that wait zeroed. The module
 * has one, each test its own. The life of a tree:
 *
 *	kmm_pgtable_create	the two roots, one block, paid by the account; no leaf
 *	in use			tables are added where an address needs them, and pruned
 *	zapped			by its owner, who lets nobody in any more: no leaf
 *	kmm_pgtable_destroy	prunes and flushes what tables are left, then frees the roots
 *
 * The life of a table below the roots:
 *
 *	kmm_pt_table_alloc	zeroed, counted and charged; the caller's alone
 *	in the tree		hooked into the level above, found by all walks
 *	kmm_pt_table_uncount	unhooked; not counted any more, but still charged and not free, for
 *				CPUs may have it until the flush
 *	kmm_pt_table_free	empty, known to nobody; not charged any more
 *
 * Who installs a table and finds that somebody was faster goes from the first to the last two.
 *
 * Zeroed tables. A table that became empty is zeroed memory already: it is kept, up to
 * PT_ZEROED_MAX, for the next one that is needed, by whichever tree. Nobody pays for it while it
 * waits; reclaim takes all of them back by kmm_pgtables_shrink(). One whose page somebody else
 * still holds is not kept: the buddy takes it, into quarantine if need be.
 *
 * Invariants: pt->nr counts the tables of a tree by level, its root included, and set->nr is the
 * sum over all trees; the first are 0 when a tree is destroyed, the second when the set is. A
 * waiting table is all zeros, and is linked by frame.next.
 *
 * Locks: set->lock is a leaf lock, taken with interrupts off, for the list of zeroed tables only;
 * counts are atomic. Trees that begin or end are known to their owner alone.
 *
 * What this deliberately does not do: no cache of roots, no zeroed tables by CPU or node, no zap:
 * what its leaves map is the owner's.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/assert.h>
#include <kmm/buddy.h>
#include <kmm/inject.h>
#include <kmm/pgtable.h>

#include "pgtable_internal.h"

/* === Data === */

/* Tables that wait zeroed: 1 MiB at most, and the shrinker takes them back. */
#define PT_ZEROED_MAX	256

/* === Zeroed tables === */

static unsigned long *pt_zeroed_get(struct kmm_pgtables *set)
{
	struct kmm_frame *f;
	unsigned long flags;
	u32 index;

	if (!READ_ONCE(set->nr_zeroed))
		return NULL;
	spin_lock_irqsave(&set->lock, flags);
	index = set->zeroed;
	if (index != KMM_LIST_END) {
		f = &kmm_pt_region(set)->frames[index];
		set->zeroed = f->next;
		WRITE_ONCE(set->nr_zeroed, set->nr_zeroed - 1);
	}
	spin_unlock_irqrestore(&set->lock, flags);
	if (index == KMM_LIST_END)
		return NULL;
	return page_address(kmm_region_page(kmm_pt_region(set), index));
}

/* Nobody pays for it any more. */
static void pt_zeroed_put(struct kmm_pgtables *set, unsigned long *table)
{
	struct page *page = virt_to_page(table);
	struct kmm_frame *f = kmm_pt_frame(set, table);
	unsigned long flags;
	bool kept = false;

	/* Whoever read it through the direct map (a dump of memory) may still hold it. */
	spin_lock_irqsave(&set->lock, flags);
	if (set->nr_zeroed < PT_ZEROED_MAX && page_count(page) == 1) {
		f->next = set->zeroed;
		set->zeroed = kmm_region_index(kmm_pt_region(set), f);
		WRITE_ONCE(set->nr_zeroed, set->nr_zeroed + 1);
		kept = true;
	}
	spin_unlock_irqrestore(&set->lock, flags);
	if (!kept)
		kmm_buddy_free(set->buddy, page, 0);
}

/* === Tables === */

/* The row of the counters: the root counts as PGD on 4-level machines, too. */
static inline enum kmm_pt_level pt_row(unsigned int level)
{
	return level == kmm_pt_top() ? KMM_PT_PGD : level;
}

/**
 * kmm_pt_table_alloc() - Take a zeroed table.
 * @pt: tree that it will be of
 * @level: its level
 * @gfp: flags for the buddy, if no zeroed table waits
 *
 * Counted and charged; nobody else knows it yet.
 *
 * Context: as @gfp says. Return: table, or ERR_PTR of -ENOMEM or -EDQUOT.
 */
unsigned long *kmm_pt_table_alloc(struct kmm_pgtable *pt, unsigned int level, gfp_t gfp)
{
	struct kmm_pgtables *set = pt->set;
	unsigned long *table;
	struct kmm_frame *f;
	struct page *page;

	if (kmm_should_fail())
		return ERR_PTR(-ENOMEM);
	if (pt->account && kmm_account_try_charge(pt->account, KMM_RES_FRAMES, 1))
		return ERR_PTR(-EDQUOT);
	table = pt_zeroed_get(set);
	if (!table) {
		page = kmm_buddy_alloc(set->buddy, gfp | __GFP_ZERO, 0);
		if (!page) {
			if (pt->account)
				kmm_account_uncharge(pt->account, KMM_RES_FRAMES, 1);
			return ERR_PTR(-ENOMEM);
		}
		table = page_address(page);
	}
	f = kmm_pt_frame(set, table);
	f->next = 0;
	f->prev = 0;
	atomic_long_inc(&pt->nr[pt_row(level)]);
	atomic_long_inc(&set->nr[pt_row(level)]);
	return table;
}

/**
 * kmm_pt_table_uncount() - A table is no longer part of its tree.
 * @pt: tree
 * @level: the table's level
 *
 * It stays charged until kmm_pt_table_free().
 *
 * Context: any; pt->lock may be held.
 */
void kmm_pt_table_uncount(struct kmm_pgtable *pt, unsigned int level)
{
	atomic_long_dec(&pt->nr[pt_row(level)]);
	atomic_long_dec(&pt->set->nr[pt_row(level)]);
}

/**
 * kmm_pt_table_free() - Give an uncounted table back.
 * @pt: tree that it was of
 * @table: empty, and no CPU has it any more
 *
 * Context: task.
 */
void kmm_pt_table_free(struct kmm_pgtable *pt, unsigned long *table)
{
	if (pt->account)
		kmm_account_uncharge(pt->account, KMM_RES_FRAMES, 1);
	pt_zeroed_put(pt->set, table);
}

/* === What trees share === */

/**
 * kmm_pgtables_init() - What the trees of an instance share.
 * @set: caller's memory
 * @b: where tables will come from
 *
 * Context: task.
 */
void kmm_pgtables_init(struct kmm_pgtables *set, struct kmm_buddy *b)
{
	memset(set, 0, sizeof(*set));
	set->buddy = b;
	spin_lock_init(&set->lock);
	set->zeroed = KMM_LIST_END;
}
KMM_EXPORT_INTERNAL(kmm_pgtables_init);

/**
 * kmm_pgtables_shrink() - Give the zeroed tables back.
 * @set: set
 *
 * Context: any; a shrinker of reclaim. Return: how many.
 */
unsigned long kmm_pgtables_shrink(struct kmm_pgtables *set)
{
	unsigned long *table, nr = 0;

	for (; (table = pt_zeroed_get(set)); nr++)
		kmm_buddy_free(set->buddy, virt_to_page(table), 0);
	return nr;
}
KMM_EXPORT_INTERNAL(kmm_pgtables_shrink);

/**
 * kmm_pgtables_fini() - The end; all trees are destroyed.
 * @set: set
 *
 * Context: task.
 */
void kmm_pgtables_fini(struct kmm_pgtables *set)
{
	unsigned int row;

	for (row = 0; row < KMM_PT_LEVELS; row++)
		kmm_assert(!atomic_long_read(&set->nr[row]));
	kmm_pgtables_shrink(set);
}
KMM_EXPORT_INTERNAL(kmm_pgtables_fini);

/* === Trees === */

/**
 * kmm_pgtable_create() - A tree without a leaf.
 * @pt: caller's memory
 * @set: what it shares
 * @a: pays for the tables; the caller keeps it alive; or NULL
 *
 * Context: task, may sleep. Return: 0; -EDQUOT; -ENOMEM.
 */
int kmm_pgtable_create(struct kmm_pgtable *pt, struct kmm_pgtables *set, struct kmm_account *a)
{
	int err;

	memset(pt, 0, sizeof(*pt));
	pt->set = set;
	pt->account = a;
	spin_lock_init(&pt->lock);
	err = a ? kmm_account_try_charge(a, KMM_RES_FRAMES, 2) : 0;
	if (err)
		return err;
	pt->root = kmm_should_fail() ? NULL :
		   kmm_buddy_alloc(set->buddy, KMM_PT_GFP | __GFP_ZERO, 1);
	if (!pt->root) {
		if (a)
			kmm_account_uncharge(a, KMM_RES_FRAMES, 2);
		return -ENOMEM;
	}
	pt->full = page_address(pt->root);
	pt->user = page_address(pt->root + 1);
	/* Bit 12 of CR3 is PTI's. A block of order 1 is aligned to its size. */
	kmm_assert(!(__pa(pt->full) & PAGE_SIZE));
	atomic_long_inc(&pt->nr[KMM_PT_PGD]);
	atomic_long_inc(&set->nr[KMM_PT_PGD]);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_pgtable_create);

/**
 * kmm_pgtable_destroy() - Free a tree and its tables.
 * @pt: tree; its leaves are zapped, nobody uses it any more
 *
 * Context: task, may sleep.
 */
void kmm_pgtable_destroy(struct kmm_pgtable *pt)
{
	struct kmm_pt_gather g;
	unsigned int row;

	kmm_pt_gather_init(&g, pt, NULL, NULL);
	kmm_pt_prune(&g, 0, 1UL << (kmm_pt_shift(kmm_pt_top()) + 8));
	kmm_pt_gather_finish(&g);
	kmm_pt_table_uncount(pt, kmm_pt_top());
	for (row = 0; row < KMM_PT_LEVELS; row++)
		kmm_assert(!atomic_long_read(&pt->nr[row]));
	kmm_assert(!atomic_long_read(&pt->resident));
	if (pt->account)
		kmm_account_uncharge(pt->account, KMM_RES_FRAMES, 2);
	kmm_buddy_free(pt->set->buddy, pt->root, 1);
	pt->root = NULL;
}
KMM_EXPORT_INTERNAL(kmm_pgtable_destroy);
