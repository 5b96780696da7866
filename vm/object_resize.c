// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Punch and resize
 *
 * How the contents of a memory object go: a punch takes a range of pages out, a shrink all pages
 * from the new end on, the object's end everything. Growing is here, too.
 *
 * Order of one round. Entries are erased under the object's lock, into arrays on the stack, so
 * erasing allocates nothing and cannot fail; a leaf that lies in the range as a whole is taken out
 * as a whole. Then all mappings of these pages are taken away, without the lock. Then mapping,
 * index and the flags that the host set through page tables are cleared, and the frame goes back
 * to the buddy, which puts it into quarantine if somebody outside still has a reference; an entry
 * of swap is freed. The lock is never held for longer than one such round.
 *
 * Faults insert into page tables under the lock and look at the size and the entry under it, so
 * no mapping of an erased page can appear: whoever faults before the erasing is unmapped, whoever
 * faults after it sees a hole, or is behind the end. A shrink sets the size first.
 *
 * A page that somebody takes from us meanwhile is left to him: the one that is being written to
 * swap is freed by who writes it (kmm_lru_del_locked()), a read from swap that is under way is
 * told that its page is not wanted (kmm_swapin_cancel_locked()).
 *
 * Zeros. A page that the range cuts in two is zeroed in that part. If it is in swap, it comes in
 * first and is held until the end (kmm_object_hold()); where that fails, nothing has been done.
 * A mapping can write behind the end of the object in its last page; growing zeroes that before
 * the new size can be seen, so it never comes up.
 *
 * Growing an EAGER object fills the new part before the size is changed: what fails is dropped
 * again, and nobody has seen it.
 *
 * Who may: LOCKED and CONTIG objects and those with a seal or a pin refuse what would take a frame
 * of theirs (vm/object_seal.c).
 *
 * Locks: struct kmm_object. Punches, changes of size, writes and seals of one object are
 * serialised by the caller.
 *
 * What this deliberately does not do: a smaller index after a shrink (the array stays, the leaves
 * go), ranges that move (no insert, no collapse).
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/space.h>
#include <kmm/swap.h>

#include "object_internal.h"

/* === Data === */

/**
 * struct object_erased - what one round of erasing took out
 * @nr_entries: entries of @entry
 * @nr_leaves: entries of @leaf
 * @entry: single entries: pages and entries of swap
 * @leaf: whole leaves, these still in them
 *
 * On the stack: erasing allocates nothing and cannot fail.
 */
struct object_erased {
	unsigned int nr_entries;
	unsigned int nr_leaves;
	void *entry[32];
	struct kmm_leaf *leaf[32];
};

/* === Erasing === */

/**
 * kmm_object_erase_entry_locked() - An entry leaves the index.
 * @o: object, locked
 * @entry: what it was; the caller overwrites it
 *
 * Context: task.
 * Return: for kmm_object_free_entry() after the unmapping; NULL for nothing: it was a hole, or
 * whoever writes the page frees it.
 */
void *kmm_object_erase_entry_locked(struct kmm_object *o, void *entry)
{
	if (kmm_entry_is_page(entry)) {
		WRITE_ONCE(o->resident, o->resident - 1);
		return kmm_object_forget_locked(o, entry) ? entry : NULL;
	}
	if (kmm_entry_is_swap(entry)) {
		WRITE_ONCE(o->swapped, o->swapped - 1);
		return entry;
	}
	return NULL;
}

/*
 * Takes entries in [first, end) out until the arrays are full.
 * Returns where it stopped; @end when it is through.
 */
static pgoff_t object_erase_locked(struct kmm_object *o, pgoff_t first, pgoff_t end,
				   struct object_erased *e)
{
	pgoff_t index = first;
	unsigned int i;

	lockdep_assert_held(&o->lock);
	e->nr_entries = 0;
	e->nr_leaves = 0;
	end = min(end, o->nr_top << KMM_LEAF_SHIFT);
	kmm_swapin_cancel_locked(o, first, end);

	while (index < end) {
		unsigned long t = index >> KMM_LEAF_SHIFT;
		pgoff_t leaf_end = min(end, (t + 1) << KMM_LEAF_SHIFT);
		struct kmm_leaf *leaf = o->top[t];

		if (!leaf) {
			index = leaf_end;
			continue;
		}
		if (!(index & (KMM_LEAF_ENTRIES - 1)) && leaf_end == (t + 1) << KMM_LEAF_SHIFT) {
			if (e->nr_leaves == ARRAY_SIZE(e->leaf))
				break;
			for (i = 0; i < KMM_LEAF_ENTRIES; i++)
				leaf->entry[i] = kmm_object_erase_entry_locked(o, leaf->entry[i]);
			e->leaf[e->nr_leaves++] = leaf;
			o->top[t] = NULL;
			o->host_bytes -= sizeof(*leaf);
			index = leaf_end;
			continue;
		}
		for (; index < leaf_end; index++) {
			void **entry = &leaf->entry[index & (KMM_LEAF_ENTRIES - 1)];

			if (!*entry)
				continue;
			if (e->nr_entries == ARRAY_SIZE(e->entry))
				return index;
			e->entry[e->nr_entries] = kmm_object_erase_entry_locked(o, *entry);
			e->nr_entries += !!e->entry[e->nr_entries];
			*entry = NULL;
		}
	}
	return index;
}

/**
 * kmm_object_free_entry() - Free what an entry was.
 * @o: object
 * @entry: kmm_object_erase_entry_locked() gave it, and nobody maps it any more; NULL is nothing
 *
 * Context: task.
 */
void kmm_object_free_entry(struct kmm_object *o, void *entry)
{
	if (kmm_entry_is_page(entry))
		kmm_object_free_frame(o, entry);
	else if (entry)
		kmm_swap_free(o->set->lru->swap, kmm_entry_swap(entry));
}

static void object_free_erased(struct kmm_object *o, struct object_erased *e)
{
	unsigned int i, k;

	for (i = 0; i < e->nr_entries; i++)
		kmm_object_free_entry(o, e->entry[i]);
	for (i = 0; i < e->nr_leaves; i++) {
		for (k = 0; k < KMM_LEAF_ENTRIES; k++)
			kmm_object_free_entry(o, e->leaf[i]->entry[k]);
		kmm_object_free_leaf(o, e->leaf[i]);
		cond_resched();
	}
}

/**
 * kmm_object_unmap() - Take pages away from every process and every space.
 * @o: object; the pages' entries in its index are gone, or it is locked
 * @first: first page
 * @nr: how many; may go past the end of the object
 *
 * Afterwards no page table and no TLB has them, and writes through them are in PG_dirty.
 *
 * Context: task, may sleep; the object's lock may be held.
 */
void kmm_object_unmap(struct kmm_object *o, pgoff_t first, unsigned long nr)
{
	if (o->mops)
		o->mops->unmap(o, first, nr);
	kmm_rmap_unmap(o, first, nr);
}

/**
 * kmm_object_drop() - Erase, unmap, free.
 * @o: object
 * @first: first page
 * @end: behind the last one; may be behind the end of the object
 * @unmap: false where nobody can have a mapping
 *
 * Context: task, may sleep; serialised by the caller as kmm_object_resize().
 */
void kmm_object_drop(struct kmm_object *o, pgoff_t first, pgoff_t end, bool unmap)
{
	struct object_erased e;
	pgoff_t next;

	for (;;) {
		mutex_lock(&o->lock);
		end = min(end, o->nr_top << KMM_LEAF_SHIFT);
		next = first < end ? object_erase_locked(o, first, end, &e) : end;
		mutex_unlock(&o->lock);
		if (first >= end)
			return;
		if (unmap && (e.nr_entries || e.nr_leaves))
			kmm_object_unmap(o, first, next - first);
		object_free_erased(o, &e);
		first = next;
		cond_resched();
	}
}

/**
 * kmm_object_zero_locked() - Zeros for a part of one page, if it is resident.
 * @o: object, locked
 * @start: first byte
 * @end: behind the last one, in the same page; nothing is done where it is not above @start
 *
 * Context: task.
 */
void kmm_object_zero_locked(struct kmm_object *o, u64 start, u64 end)
{
	pgoff_t index = start >> PAGE_SHIFT;
	void **entry;

	lockdep_assert_held(&o->lock);
	if (start >= end || index >= o->nr_pages)
		return;
	entry = kmm_object_entry_locked(o, index);
	if (entry && kmm_entry_is_page(*entry)) {
		kmm_object_dirty_locked(o, *entry);
		memset(page_address(*entry) + offset_in_page(start), 0, end - start);
	}
}

/* === Punch === */

/* Holds the page that byte @offset cuts in two, if there is one. */
static int object_hold_part(struct kmm_object *o, unsigned int i, u64 offset)
{
	return offset_in_page(offset) ? kmm_object_hold(o, i, offset >> PAGE_SHIFT, 1) : 0;
}

/**
 * kmm_object_punch() - Make a range read as zeros and give its frames back.
 * @o: object
 * @offset: first byte
 * @len: bytes; what lies behind the end is left out
 *
 * Pages that are in the range only in part are zeroed there.
 *
 * Context: task, may sleep; serialised with writes and seals by the caller.
 * Return: 0; -EOVERFLOW; -EPERM a seal, or the object's frames are fixed; -EBUSY pinned; for a
 * page in swap that is cut in two also -EIO, -ENOMEM, -EDQUOT, -EINTR, and nothing is done.
 */
int kmm_object_punch(struct kmm_object *o, u64 offset, u64 len)
{
	u64 end, first, last;
	int err;

	if (check_add_overflow(offset, len, &end))
		return -EOVERFLOW;
	if (o->flags & KMM_OBJECT_FIXED ||
	    READ_ONCE(o->seals) & (KMM_SEAL_WRITE | KMM_SEAL_FUTURE_WRITE))
		return -EPERM;
	end = min(end, READ_ONCE(o->size_bytes));
	if (offset >= end)
		return 0;
	if (READ_ONCE(o->nr_pins))
		return -EBUSY;

	/* The last page counts as whole when the range reaches the end of the object. */
	first = kmm_object_nr_pages(offset);
	last = end == READ_ONCE(o->size_bytes) ? kmm_object_nr_pages(end) : end >> PAGE_SHIFT;

	err = object_hold_part(o, 0, offset);
	if (!err && last < kmm_object_nr_pages(end))
		err = object_hold_part(o, 1, end);
	if (!err) {
		mutex_lock(&o->lock);
		if (first > last) {
			kmm_object_zero_locked(o, offset, end);
		} else {
			kmm_object_zero_locked(o, offset, first << PAGE_SHIFT);
			kmm_object_zero_locked(o, last << PAGE_SHIFT, end);
		}
		mutex_unlock(&o->lock);
		if (first < last)
			kmm_object_drop(o, first, last, true);
	}
	kmm_object_unhold(o);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_object_punch);

/* === Size === */

static int object_grow(struct kmm_object *o, u64 size_bytes)
{
	unsigned long nr_pages = kmm_object_nr_pages(size_bytes);
	unsigned long nr_top = kmm_object_nr_top(nr_pages);
	unsigned long old_nr_top = o->nr_top;
	struct kmm_leaf **top;
	int err;

	if (nr_top > old_nr_top) {
		top = kmm_account_zalloc(o->account, nr_top * sizeof(*top));
		if (IS_ERR(top))
			return PTR_ERR(top);
		mutex_lock(&o->lock);
		memcpy(top, o->top, old_nr_top * sizeof(*top));
		swap(o->top, top);
		o->nr_top = nr_top;
		o->host_bytes += (nr_top - old_nr_top) * sizeof(*top);
		mutex_unlock(&o->lock);
		kmm_account_free(o->account, top, old_nr_top * sizeof(*top));
	}
	if (o->flags & KMM_OBJECT_EAGER) {
		err = kmm_object_fill(o, o->nr_pages, nr_pages);
		if (err) {
			/* Behind the end: nobody has seen these. The larger array stays. */
			kmm_object_drop(o, o->nr_pages, ULONG_MAX, false);
			return err;
		}
	}
	mutex_lock(&o->lock);
	/*
	 * What was written through a mapping behind the old end must not come up. A seal against
	 * writes is about what is below it.
	 */
	kmm_object_zero_locked(o, o->size_bytes,
			       min_t(u64, size_bytes, round_up(o->size_bytes, PAGE_SIZE)));
	WRITE_ONCE(o->nr_pages, nr_pages);
	WRITE_ONCE(o->size_bytes, size_bytes);
	mutex_unlock(&o->lock);
	return 0;
}

static void object_shrink(struct kmm_object *o, u64 size_bytes)
{
	mutex_lock(&o->lock);
	WRITE_ONCE(o->size_bytes, size_bytes);
	WRITE_ONCE(o->nr_pages, kmm_object_nr_pages(size_bytes));
	kmm_object_zero_locked(o, size_bytes, round_up(size_bytes, PAGE_SIZE));
	mutex_unlock(&o->lock);
	kmm_object_drop(o, kmm_object_nr_pages(size_bytes), ULONG_MAX, true);
}

/**
 * kmm_object_resize() - Change the size.
 * @o: object
 * @size_bytes: new size, also 0
 *
 * Growing an EAGER object fills the new part.
 *
 * Context: task, may sleep; serialised by the caller with itself, writes and seals.
 * Return: 0; -EFBIG; -EPERM a seal, a CONTIG object, a LOCKED one that would shrink; -EBUSY a
 * pinned one that would shrink; growing also -EDQUOT, -ENOMEM, -EINTR killed; all of these and
 * -EIO where the page that the new or the old end cuts in two is in swap. On error the size is as
 * before.
 */
int kmm_object_resize(struct kmm_object *o, u64 size_bytes)
{
	u32 seals = READ_ONCE(o->seals);
	u64 old = READ_ONCE(o->size_bytes);
	int err;

	if (size_bytes > KMM_OBJECT_SIZE_MAX)
		return -EFBIG;
	if (size_bytes == old)
		return 0;
	if (o->flags & KMM_OBJECT_CONTIG)
		return -EPERM;
	if (size_bytes > old && seals & KMM_SEAL_GROW)
		return -EPERM;
	if (size_bytes < old && (seals & KMM_SEAL_SHRINK || o->flags & KMM_OBJECT_LOCKED))
		return -EPERM;
	if (size_bytes < old && READ_ONCE(o->nr_pins))
		return -EBUSY;

	err = object_hold_part(o, 0, min(old, size_bytes));
	if (!err && size_bytes > old)
		err = object_grow(o, size_bytes);
	else if (!err)
		object_shrink(o, size_bytes);
	kmm_object_unhold(o);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_object_resize);
