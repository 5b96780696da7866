// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Handing frames over
 *
 * Frames leave a memory object and come into another one without a copy: kmm_object_take_pages(),
 * then kmm_object_put_pages(), or kmm_object_free_taken() if nobody wants them. share/gift.c makes
 * a user's gift of it, dev/msgq.c a message.
 *
 * Between the two the frames are the caller's alone: no index, no mapping, one reference. Only
 * the lists of the lruvec may still have them, which is why they go to these functions and to
 * nobody else. Dirty and Referenced stay, whoever puts them somewhere wants to know.
 *
 * All or nothing, both ways. Taking: pages in swap come in and are held; under the lock, all
 * mappings of the range are taken away; then whoever still holds a frame is looked for. Most do
 * for a moment (read(2), page tables that are being torn down), so it waits a little, and takes
 * a copy in place of what is still held; the original goes into quarantine at the cost of its
 * object's account. The frames for the copies are taken without the lock, then all is looked at
 * again. From the moment that the charge has moved nothing can fail. Putting: leaves first
 * (kmm_object_reserve()), then the charge, then the entries.
 *
 * Charges: taken frames are paid by whom the caller says (kmm_account_move()), who may be the same.
 *
 * Who may: not LOCKED, CONTIG, pinned objects, nor those sealed against writes. What an object has
 * behind its size in its last page is zeroed before it is given away.
 *
 * Batches are up to KMM_TAKE_MAX pages: the lock's hold time and the caller's array. Readers see
 * the old or the new contents of each page.
 *
 * Locks: struct kmm_object; one object at a time, so two objects may exchange frames in both
 * directions at once. Serialised with writes, punches, changes of size and seals by the caller.
 *
 * What this deliberately does not do: no parts of pages, no pages of swap without reading them.
 */
#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/mm.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/buddy.h>

#include "object_internal.h"

/* === Data === */

/* Taking frames waits so often, a quarter of a millisecond each, for those that are held. */
#define TAKE_TRIES	4

/* === Ranges === */

/* May frames of [first, first + nr) leave @o, or others take their place? */
static int object_may_replace_locked(struct kmm_object *o, pgoff_t first, unsigned long nr)
{
	lockdep_assert_held(&o->lock);
	if (o->flags & KMM_OBJECT_FIXED || o->seals & (KMM_SEAL_WRITE | KMM_SEAL_FUTURE_WRITE))
		return -EPERM;
	if (o->nr_pins)
		return -EBUSY;
	return first >= o->nr_pages || nr > o->nr_pages - first ? -ENXIO : 0;
}

/*
 * The entries of [index, end) that stand side by side, at @entry; NULL where there is no leaf, so
 * all of them are holes. Return: how many, never 0.
 */
static unsigned int object_entries_locked(struct kmm_object *o, pgoff_t index, pgoff_t end,
					  void ***entry)
{
	*entry = kmm_object_entry_locked(o, index);
	return min(end - index, KMM_LEAF_ENTRIES - (index & (KMM_LEAF_ENTRIES - 1)));
}

/* Pages of a range that are no holes. */
static unsigned long object_nr_present_locked(struct kmm_object *o, pgoff_t first,
					      unsigned long nr)
{
	pgoff_t index, end = first + nr;
	unsigned long nr_present = 0;
	unsigned int run, i;
	void **entry;

	for (index = first; index < end; index += run) {
		run = object_entries_locked(o, index, end, &entry);
		for (i = 0; entry && i < run; i++)
			nr_present += !kmm_entry_is_hole(entry[i]);
	}
	return nr_present;
}

/* === Taking === */

/*
 * Marks those of [first, first + nr), which nobody maps, that somebody else still holds:
 * read(2) and page tables that are being torn down do for a moment, pipes and devices for
 * longer. Return: how many.
 */
static unsigned int object_find_held_locked(struct kmm_object *o, pgoff_t first, unsigned int nr,
					    unsigned long *held)
{
	pgoff_t index, end = first + nr;
	unsigned int run, i, tries;
	void **entry;

	for (tries = 0; ; tries++) {
		bitmap_zero(held, nr);
		for (index = first; index < end; index += run) {
			run = object_entries_locked(o, index, end, &entry);
			/* Not page_count(): no frame of ours is the tail of another one. */
			for (i = 0; entry && i < run; i++)
				if (kmm_entry_is_page(entry[i]) && page_ref_count(entry[i]) != 1)
					__set_bit(index - first + i, held);
		}
		if (bitmap_empty(held, nr) || tries == TAKE_TRIES)
			return bitmap_weight(held, nr);
		usleep_range(200, 300);
	}
}

/* Takes the entry of page @index, which somebody else holds, and leaves its contents in @copy. */
static void object_take_copy_locked(struct kmm_object *o, pgoff_t index, struct page *copy)
{
	void **entry = kmm_object_entry_locked(o, index);
	struct page *page = *entry;

	*entry = NULL;
	copy_highpage(copy, page);
	if (kmm_object_forget_locked(o, page))
		kmm_object_free_frame(o, page);
}

/* Takes all pages but those in @copied into @pages; NULL: all. */
static void object_take_locked(struct kmm_object *o, pgoff_t first, unsigned int nr,
			       struct kmm_account *to, const unsigned long *copied,
			       struct page **pages)
{
	pgoff_t index, end = first + nr;
	unsigned int run, i;
	void **entry;

	for (index = first; index < end; index += run, pages += run) {
		run = object_entries_locked(o, index, end, &entry);
		for (i = 0; i < run; i++) {
			struct page *page;

			if (unlikely(copied && test_bit(index - first + i, copied)))
				continue;
			page = entry && kmm_entry_is_page(entry[i]) ? entry[i] : NULL;
			pages[i] = page;
			if (!page)
				continue;
			entry[i] = NULL;
			/* Its Dirty and Referenced stay: who puts it somewhere wants to know. */
			page->mapping = NULL;
			page->index = 0;
			if (to != o->account)
				kmm_buddy_set_owner(o->set->buddy, page, to->id);
		}
	}
}

/* === Interface === */

/**
 * kmm_object_take_pages() - Take frames out of an object.
 * @o: object
 * @first: first page
 * @nr: how many, 1 .. KMM_TAKE_MAX; all below the end of the object
 * @to: who pays for the frames from now on; may be @o's account
 * @pages: filled: a frame for each page that was resident, NULL for each hole
 * @nr_copied: out: so many of the frames are copies, because somebody outside holds the
 *	original; that one goes into quarantine, at the cost of @o's account
 *
 * All mappings of the range are gone before the first frame is looked at. Afterwards the
 * range of @o reads as zeros, and nobody but the caller has the frames: no mapping, no
 * index, one reference. The caller passes them to kmm_object_put_pages() or
 * kmm_object_free_taken(), to nobody else: they may still be in the lists of the lruvec.
 *
 * All or nothing. What @o has behind its size in its last page is zeroed before.
 *
 * Context: task, may sleep; serialised with writes, punches, resizes and seals by the caller.
 * Return: how many frames; -EINVAL @nr; -ENXIO behind the end; -EPERM a seal against writes,
 * or @o's frames are fixed; -EBUSY pinned; -EDQUOT @to has no room; -ENOMEM for a copy; for pages
 * in swap, which come back first, as kmm_object_lock_pages().
 */
int kmm_object_take_pages(struct kmm_object *o, pgoff_t first, unsigned int nr,
			  struct kmm_account *to, struct page **pages, unsigned int *nr_copied)
{
	unsigned int i, nr_held, nr_taken, spares = 0;
	DECLARE_BITMAP(held, KMM_TAKE_MAX);
	int err;

	if (!nr || nr > KMM_TAKE_MAX)
		return -EINVAL;
	err = kmm_object_may_replace(o, first, nr);
	if (err)
		return err;
	err = kmm_object_hold(o, 0, first, nr);
	if (err)
		goto unhold;
	for (;;) {
		mutex_lock(&o->lock);
		err = object_may_replace_locked(o, first, nr);
		if (err)
			goto undo;
		/* None of them is in swap. */
		nr_taken = object_nr_present_locked(o, first, nr);
		if (nr_taken)
			kmm_object_unmap(o, first, nr);
		nr_held = object_find_held_locked(o, first, nr, held);
		if (nr_held <= spares)
			break;
		mutex_unlock(&o->lock);
		/* The first entries of @pages keep the frames for the copies meanwhile. */
		while (spares < nr_held) {
			struct page *page = kmm_object_alloc_frame_for(o, to, KMM_OBJECT_GFP);

			if (IS_ERR(page)) {
				err = PTR_ERR(page);
				goto undo_unlocked;
			}
			pages[spares++] = page;
		}
	}
	err = kmm_account_move(o->account, to, KMM_RES_FRAMES, nr_taken - nr_held);
	if (err)
		goto undo;

	while (spares > nr_held)
		kmm_object_free_frame(o, pages[--spares]);
	kmm_object_zero_locked(o, o->size_bytes,
			       min_t(u64, round_up(o->size_bytes, PAGE_SIZE),
				     (u64)(first + nr) << PAGE_SHIFT));
	/* As many spares are left as copies come: those move to their places from the end. */
	for (i = nr; unlikely(spares) && i-- > 0;) {
		if (!test_bit(i, held))
			continue;
		pages[i] = pages[--spares];
		object_take_copy_locked(o, first + i, pages[i]);
	}
	object_take_locked(o, first, nr, to, nr_held ? held : NULL, pages);
	if (o->lruvec)
		kmm_lru_detach_locked(o, pages, nr);
	WRITE_ONCE(o->resident, o->resident - nr_taken);
	kmm_object_unhold_locked(o);
	mutex_unlock(&o->lock);
	*nr_copied = nr_held;
	return nr_taken;

undo:
	mutex_unlock(&o->lock);
undo_unlocked:
	while (spares)
		kmm_object_free_frame(o, pages[--spares]);
unhold:
	kmm_object_unhold(o);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_object_take_pages);

/**
 * kmm_object_free_taken() - Free frames that kmm_object_take_pages() gave.
 * @b: whose frames
 * @lru: of the objects that they are from; NULL as there
 * @pages: frames; NULL is none
 * @nr: entries of @pages
 *
 * Context: task.
 */
void kmm_object_free_taken(struct kmm_buddy *b, struct kmm_lru *lru, struct page **pages,
			   unsigned long nr)
{
	unsigned long i;

	for (i = 0; i < nr; i++) {
		if (!pages[i])
			continue;
		if (lru)
			kmm_lru_release(lru, pages[i]);
		kmm_object_clear_frame(pages[i]);
		kmm_buddy_free(b, pages[i], 0);
	}
}
KMM_EXPORT_INTERNAL(kmm_object_free_taken);

/**
 * kmm_object_nr_present() - How many pages of a range are no holes?
 * @o: object
 * @first: first page
 * @nr: how many; all below the end of the object
 *
 * Context: task, may sleep. Faults may change it at any time.
 * Return: pages, resident or in swap; 0 when a part is behind the end.
 */
unsigned long kmm_object_nr_present(struct kmm_object *o, pgoff_t first, unsigned long nr)
{
	unsigned long nr_present = 0;

	mutex_lock(&o->lock);
	if (first < o->nr_pages && nr <= o->nr_pages - first)
		nr_present = object_nr_present_locked(o, first, nr);
	mutex_unlock(&o->lock);
	return nr_present;
}

/**
 * kmm_object_may_replace() - May frames leave a range, or others take their place?
 * @o: object
 * @first: first page
 * @nr: how many
 *
 * Context: task, may sleep; it holds as long as the caller keeps resizes, seals and pins away.
 * Return: 0, -EPERM, -EBUSY, -ENXIO as kmm_object_take_pages().
 */
int kmm_object_may_replace(struct kmm_object *o, pgoff_t first, unsigned long nr)
{
	int err;

	mutex_lock(&o->lock);
	err = object_may_replace_locked(o, first, nr);
	mutex_unlock(&o->lock);
	return err;
}

/**
 * kmm_object_reserve() - Make sure that kmm_object_put_pages() will succeed.
 * @o: object
 * @first: first page
 * @nr: how many; all below the end of the object
 *
 * It holds until the caller lets writes, punches, resizes and seals happen; the charge of the
 * frames is another matter.
 *
 * Context: task, may sleep; serialised as kmm_object_put_pages().
 * Return: 0; -ENXIO, -EPERM, -EBUSY, -EDQUOT (host bytes), -ENOMEM as kmm_object_put_pages().
 */
int kmm_object_reserve(struct kmm_object *o, pgoff_t first, unsigned long nr)
{
	pgoff_t index = first;
	int err;

	mutex_lock(&o->lock);
	err = object_may_replace_locked(o, first, nr);
	while (!err && index < first + nr) {
		if (kmm_object_entry_locked(o, index)) {
			index = round_up(index + 1, KMM_LEAF_ENTRIES);
			continue;
		}
		mutex_unlock(&o->lock);
		err = kmm_object_add_leaf(o, index);
		mutex_lock(&o->lock);
	}
	mutex_unlock(&o->lock);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_object_reserve);

/**
 * kmm_object_put_pages() - Put frames into an object.
 * @o: object
 * @first: first page
 * @nr: how many, 1 .. KMM_TAKE_MAX; all below the end of the object
 * @from: who pays for the frames now: the @to of kmm_object_take_pages()
 * @pages: frames, NULL for a page that becomes a hole; taken over when it succeeds
 *
 * What was in the range is unmapped and freed. Readers see the old or the new contents of a
 * page. The charge goes from @from to the account of @o.
 *
 * All or nothing: on error the caller still has the frames.
 *
 * Context: task, may sleep; serialised with writes, punches, resizes and seals by the caller.
 * Return: 0; -EINVAL @nr; -ENXIO behind the end; -EPERM a seal against writes, or @o's frames
 * are fixed; -EBUSY pinned; -EDQUOT; -ENOMEM.
 */
int kmm_object_put_pages(struct kmm_object *o, pgoff_t first, unsigned int nr,
			 struct kmm_account *from, struct page **pages)
{
	unsigned int i, k, run, nr_new = 0, nr_old = 0;
	struct address_space *mapping;
	void **entry;
	int err;

	if (!nr || nr > KMM_TAKE_MAX)
		return -EINVAL;
	for (i = 0; i < nr; i++)
		nr_new += !!pages[i];
	err = kmm_object_reserve(o, first, nr);
	if (err)
		return err;
	err = kmm_account_move(from, o->account, KMM_RES_FRAMES, nr_new);
	if (err)
		return err;

	mutex_lock(&o->lock);
	kmm_swapin_cancel_locked(o, first, first + nr);
	mapping = o->mapping;
	for (i = 0; i < nr; i++) {
		struct page *page = pages[i];

		if (!page)
			continue;
		page->mapping = mapping;
		page->index = first + i;
		/* It comes with contents. */
		if (!test_bit(PG_dirty, &page->flags))
			set_bit(PG_dirty, &page->flags);
		if (from != o->account)
			kmm_buddy_set_owner(o->set->buddy, page, o->account->id);
	}
	if (o->lruvec)
		kmm_lru_attach_locked(o, pages, nr);
	for (i = 0; i < nr; i += run) {
		run = object_entries_locked(o, first + i, first + nr, &entry);
		for (k = i; k < i + run; k++, entry++) {
			void *old = *entry;

			*entry = pages[k];
			pages[k] = NULL;
			if (likely(!old))
				continue;
			pages[k] = kmm_object_erase_entry_locked(o, old);
			nr_old += !!pages[k];
		}
	}
	WRITE_ONCE(o->resident, o->resident + nr_new);
	if (nr_old)
		kmm_object_unmap(o, first, nr);
	mutex_unlock(&o->lock);

	for (i = 0; nr_old && i < nr; i++)
		kmm_object_free_entry(o, pages[i]);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_object_put_pages);
