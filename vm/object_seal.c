// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Seals and pins
 *
 * Two promises about a memory object, and each stands in the way of the other.
 *
 * A seal is a promise to everybody and for ever, as F_ADD_SEALS is: the object does not shrink,
 * does not grow, is not written to, or gets no further seal. Each operation looks at the seals
 * that concern it.
 *
 * A pin (kmm_object_pin()) is a promise to one user, until he gives it back: the object is filled
 * and every frame stays at its index, because whoever pins it hands the frames to somebody who
 * finds them by address (a device, through a dma-buf). Punch, shrink, eviction and the handing
 * over of frames are refused meanwhile. What a pinned object grows by is not pinned for anybody.
 *
 * Sealing against writes succeeds only when nobody can write any more: no shared mapping that
 * may write, which the host counts for us in the address_space; no pin that writes; and no
 * reference on a frame besides ours and those of page tables, since read(2) into the mapping, a
 * pipe or a device may hold one. Most such references last for a moment, so it waits a little
 * for them. Whoever writes the page to swap only reads, so he does not count.
 *
 * Order. The seals are stored before the host's count is given free again, and mmap looks at them
 * after it has been counted: either the seal sees the mapping or the mapping the seal.
 *
 * A pin for writing dirties all pages once, when it is taken: who has it writes when he likes, and
 * nothing is evicted before it goes.
 *
 * Invariants: seals are only added; nr_write_pins <= nr_pins; with a seal against writes
 * nr_write_pins is 0.
 *
 * Locks: struct kmm_object; seals, writes, punches and changes of size are serialised by the
 * caller. Seals and pin counts are also read without the lock.
 *
 * What this deliberately does not do: no seal against exec, no pin of a part of an object.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>

#include <compat/compat.h>
#include <kmm/assert.h>
#include <kmm/buddy.h>

#include "object_internal.h"

/* === Data === */

/* Sealing against writes waits 5 ms, 10 ms, …, 0.3 s in all, for frames that are held. */
#define SEAL_TRIES	6

/* === Seals === */

/* Does somebody besides the region and the page tables hold a frame of it? */
static bool object_pinned(struct kmm_object *o)
{
	bool pinned = false;
	unsigned long t;
	unsigned int i;

	for (t = 0; t < o->nr_top && !pinned; t++) {
		struct kmm_leaf *leaf;

		mutex_lock(&o->lock);
		leaf = o->top[t];
		for (i = 0; leaf && i < KMM_LEAF_ENTRIES && !pinned; i++) {
			struct page *page = leaf->entry[i];

			/* Who writes it to swap only reads. */
			if (kmm_entry_is_page(page))
				pinned = page_count(page) != 1 + page_mapcount(page) +
					 (o->lruvec && kmm_lru_is_writeback(o->lruvec, page));
		}
		mutex_unlock(&o->lock);
	}
	return pinned;
}

/**
 * kmm_object_add_seals() - Forbid some changes from now on.
 * @o: object
 * @seals: KMM_SEAL_* to add
 *
 * Context: task, may sleep; serialised with writes, punches and resizes by the caller.
 * Return: 0; -EINVAL an unknown seal; -EPERM sealed against sealing; -EBUSY sealing against
 * writes while a shared mapping or a pin may write, or somebody outside holds a frame.
 */
int kmm_object_add_seals(struct kmm_object *o, u32 seals)
{
	bool deny = seals & KMM_SEAL_WRITE && !(o->seals & KMM_SEAL_WRITE);
	int err, tries;

	if (seals & ~(KMM_SEAL_SEAL | KMM_SEAL_SHRINK | KMM_SEAL_GROW | KMM_SEAL_WRITE |
		      KMM_SEAL_FUTURE_WRITE))
		return -EINVAL;
	if (o->seals & KMM_SEAL_SEAL)
		return -EPERM;
	/* Whoever may write now could do so, and map it for writing, later. */
	if (seals & (KMM_SEAL_WRITE | KMM_SEAL_FUTURE_WRITE) && READ_ONCE(o->nr_write_pins))
		return -EBUSY;
	if (deny) {
		if (o->mapping) {
			err = mapping_deny_writable(o->mapping);
			if (err)
				return err;
		}
		/*
		 * read(2) and a page table that is just being torn down hold a frame for
		 * a moment; who holds it for longer may be a device that writes.
		 */
		for (tries = 0; object_pinned(o); tries++) {
			if (tries == SEAL_TRIES ||
			    schedule_timeout_killable((1 + HZ / 200) << tries)) {
				if (o->mapping)
					mapping_allow_writable(o->mapping);
				return -EBUSY;
			}
		}
	}
	mutex_lock(&o->lock);
	WRITE_ONCE(o->seals, o->seals | seals);
	mutex_unlock(&o->lock);
	/*
	 * From here on mmap looks at the seals; refused by the host, a mapping that only reads
	 * could not be had by a descriptor that may write. The seals come before the count, and
	 * whoever is counted looks at the seals afterwards. Pairs with kmm_mapping_mmap().
	 */
	smp_mb();
	if (deny && o->mapping)
		mapping_allow_writable(o->mapping);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_object_add_seals);

/* === Pins === */

static struct page *object_page_locked(struct kmm_object *o, pgoff_t index)
{
	void **entry = kmm_object_entry_locked(o, index);

	return entry && kmm_entry_is_page(*entry) ? *entry : NULL;
}

/* Whoever pins it writes when he likes. */
static void object_dirty_all(struct kmm_object *o)
{
	pgoff_t index;

	for (index = 0; index < o->nr_pages; index++) {
		struct page *page;

		mutex_lock(&o->lock);
		page = object_page_locked(o, index);
		if (page)
			kmm_object_dirty_locked(o, page);
		mutex_unlock(&o->lock);
	}
}

/**
 * kmm_object_pin() - Fill an object and keep every frame of it at its index.
 * @o: object
 * @write: whoever pins it may write to the frames
 *
 * Until kmm_object_unpin() no frame of the object leaves: punch, shrink, and whatever else
 * would take one, are refused. It may grow; what is new is not pinned for anybody. Where
 * filling fails, the holes that were filled stay filled.
 *
 * Context: task, may sleep; serialised with changes of size, punches and seals by the caller.
 * Return: 0; -EINVAL an empty object; -EPERM @write and sealed against writes; -EDQUOT;
 * -ENOMEM; -EINTR killed.
 */
int kmm_object_pin(struct kmm_object *o, bool write)
{
	int err;

	if (!o->nr_pages)
		return -EINVAL;
	if (write && o->seals & (KMM_SEAL_WRITE | KMM_SEAL_FUTURE_WRITE))
		return -EPERM;
	/* Not even by using up the region on the way. */
	if (o->nr_pages > o->set->buddy->managed)
		return -ENOMEM;

	mutex_lock(&o->lock);
	WRITE_ONCE(o->nr_pins, o->nr_pins + 1);
	WRITE_ONCE(o->nr_write_pins, o->nr_write_pins + write);
	mutex_unlock(&o->lock);
	err = kmm_object_fill(o, 0, o->nr_pages);
	if (err)
		kmm_object_unpin(o, write);
	else
		object_dirty_all(o);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_object_pin);

/**
 * kmm_object_unpin() - Take a pin back.
 * @o: object
 * @write: as it was pinned
 *
 * Context: task, may sleep.
 */
void kmm_object_unpin(struct kmm_object *o, bool write)
{
	mutex_lock(&o->lock);
	if (kmm_assert(o->nr_pins && (!write || o->nr_write_pins))) {
		WRITE_ONCE(o->nr_pins, o->nr_pins - 1);
		WRITE_ONCE(o->nr_write_pins, o->nr_write_pins - write);
	}
	mutex_unlock(&o->lock);
}
KMM_EXPORT_INTERNAL(kmm_object_unpin);

/**
 * kmm_object_pinned_pages() - The frames of a pinned object, by index.
 * @o: object that the caller has pinned
 * @pages: filled; no references are taken, the pin keeps them
 * @nr_pages: room in @pages, at most the pages that the object had when it was pinned
 *
 * Context: task, may sleep.
 * Return: entries filled, @nr_pages unless an entry is no frame.
 */
unsigned long kmm_object_pinned_pages(struct kmm_object *o, struct page **pages,
				      unsigned long nr_pages)
{
	unsigned long index = 0;

	while (index < nr_pages) {
		unsigned long end = min(nr_pages, round_down(index, KMM_LEAF_ENTRIES) +
						  KMM_LEAF_ENTRIES);
		void **entry;

		mutex_lock(&o->lock);
		entry = kmm_object_entry_locked(o, index);
		while (entry && index < end && kmm_entry_is_page(*entry))
			pages[index++] = *entry++;
		mutex_unlock(&o->lock);
		if (index < end)
			break;
		cond_resched();
	}
	return index;
}
KMM_EXPORT_INTERNAL(kmm_object_pinned_pages);
