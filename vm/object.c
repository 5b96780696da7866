// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Memory objects
 *
 * A memory object is a run of pages by index, made of frames of the region: the same idea
 * as Zircon's VMO or the page cache of one memfd, without the file. dev/file.c puts an
 * inode and descriptors around it, dev/mmap.c maps it; KUnit makes objects without
 * either.
 *
 * The index has two levels of our own: an array of leaf pointers sized by the object's
 * size, and leaves of one host page each, 512 entries, 2 MiB of object. In place of an
 * xarray: the host memory of an object can be charged to the byte, a lookup is two
 * loads, nothing has to be allocated to erase, and a whole leaf can be taken out in one
 * step. Price: 8 bytes per 2 MiB of address range even when it is empty (4 MiB for the
 * largest object, charged like the rest).
 *
 * States of an entry: NULL, a hole, reads as zeros; a page, resident. (A tagged value will
 * be a page in swap; nothing makes these yet and every reader treats them as an error.)
 *
 * States of a frame: it comes zeroed from the buddy (private to the caller), gets the
 * account's number and mapping and index (futexes find the object by these), and is
 * published by storing it in the entry under the lock. To leave, its entry is
 * erased under the lock, then all mappings of the index are taken away without it,
 * then mapping, index and the flags that the host set through page tables are cleared
 * and it goes back to the buddy, which puts it into quarantine if somebody outside
 * still has a reference. Faults insert into page tables under the lock and look at the
 * size and the entry under it, so that no mapping of an erased page can appear.
 *
 * Two faults on one hole: whoever has the lock first fills it. Frames are taken under
 * the lock without reclaim; where that fails, the lock is dropped, the frame taken with
 * reclaim, and the entry looked at again. Leaves are always allocated without the lock.
 *
 * LOCKED and CONTIG objects keep the frames that they are made with: no punch, no shrink.
 * A LOCKED one may grow; the new part is filled before anybody can see it. A pinned object
 * (kmm_object_pin()) is filled and keeps its frames in the same way, until the last pin goes:
 * whoever pins it hands them to somebody who finds them by address, not by index.
 *
 * Invariants (kmm_object_check()): resident = page entries; host_bytes = struct + caller's
 * structs + index; no entry at or above nr_pages once a shrink has ended; each page has our
 * mapping, its index and our account's number.
 *
 * Life: an object dies with its last reference. Its inode has one; its name, if it has one
 * (share/names.c), another. An object that has a name and no file any more is bound to no
 * address_space: the next open binds it to the new inode's (kmm_object_bind_locked()).
 *
 * Charges: the frame when it is taken, uncharged by the buddy's callback when it is really
 * free; everything else here. The object holds a reference on the account of whoever
 * created it and may outlive their session.
 *
 * Locks: see struct kmm_object. Writes, punches, changes of size and seals of one object
 * are serialised by the caller (the inode lock), the object's lock is never held for
 * longer than one batch.
 *
 * What this deliberately does not do: no page cache, no writeback, no huge entries; no
 * eviction yet. fork, exec and mprotect need nothing from here.
 */
#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/assert.h>
#include <kmm/buddy.h>
#include <kmm/debug_objects.h>
#include <kmm/inject.h>
#include <kmm/object.h>
#include <kmm/space.h>

/* === Data === */

#define OBJECT_GFP	(KMM_OBJECT_GFP | __GFP_ZERO)
#define OBJECT_FIXED	(KMM_OBJECT_LOCKED | KMM_OBJECT_CONTIG)

/* Sealing against writes waits 5 ms, 10 ms, …, 0.3 s in all, for frames that are held. */
#define SEAL_TRIES	6

/* Taking frames waits so often, a quarter of a millisecond each, for those that are held. */
#define TAKE_TRIES	4

/* Pages of one round of populate: an array on the stack, and the lock's hold time. */
#define POPULATE_BATCH	32

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

/* === Frames === */

static gfp_t object_gfp(const struct kmm_object *o, gfp_t gfp)
{
	return o->flags & OBJECT_FIXED ? gfp & ~__GFP_MOVABLE : gfp;
}

/* A frame like those of @o that @a pays for. */
static struct page *frame_alloc_for(struct kmm_object *o, struct kmm_account *a, gfp_t gfp)
{
	struct page *page;
	int err;

	err = kmm_account_try_charge(a, KMM_RES_FRAMES, 1);
	if (unlikely(err))
		return ERR_PTR(err);
	page = kmm_should_fail() ? NULL : kmm_buddy_alloc(o->set->buddy, object_gfp(o, gfp), 0);
	if (unlikely(!page)) {
		kmm_account_uncharge(a, KMM_RES_FRAMES, 1);
		return ERR_PTR(-ENOMEM);
	}
	kmm_buddy_set_owner(o->set->buddy, page, a->id);
	return page;
}

/**
 * kmm_object_alloc_frame() - A frame for an object, charged to whoever pays for it.
 * @o: object
 * @gfp: KMM_OBJECT_GFP, or KMM_OBJECT_GFP_FAST where the object is locked
 *
 * Context: as @gfp. Return: frame, or ERR_PTR of -EDQUOT, -ENOMEM.
 */
struct page *kmm_object_alloc_frame(struct kmm_object *o, gfp_t gfp)
{
	return frame_alloc_for(o, o->account, gfp);
}

/* No page table has @page. */
static void frame_set_mapping(struct page *page, struct address_space *mapping)
{
	struct folio *folio = page_folio(page);
	/* Whoever pins it may be in set_page_dirty_lock(), which looks into our mapping. */
	bool pinned = unlikely(folio_ref_count(folio) != 1);

	if (pinned)
		folio_lock(folio);
	folio->mapping = mapping;
	if (pinned)
		folio_unlock(folio);
}

/* No entry and no page table has @page any more: take our marks and the host's off it. */
static void frame_clear(struct page *page)
{
	struct folio *folio = page_folio(page);

	frame_set_mapping(page, NULL);
	folio->index = 0;
	/* The host sets these through page tables when it unmaps. */
	if (folio_test_dirty(folio))
		folio_clear_dirty(folio);
	if (folio_test_referenced(folio))
		folio_clear_referenced(folio);
	if (folio_test_workingset(folio))
		folio_clear_workingset(folio);
}

/**
 * kmm_object_free_frame() - A frame goes back to the buddy, which uncharges its owner.
 * @o: object that it was of
 * @page: frame that no entry and no page table has any more
 *
 * Context: task.
 */
void kmm_object_free_frame(struct kmm_object *o, struct page *page)
{
	frame_clear(page);
	kmm_buddy_free(o->set->buddy, page, 0);
}

/* === Index === */

static unsigned long object_nr_pages(u64 size_bytes)
{
	return (size_bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

static unsigned long object_nr_top(unsigned long nr_pages)
{
	return (nr_pages + KMM_LEAF_ENTRIES - 1) >> KMM_LEAF_SHIFT;
}

/**
 * kmm_object_entry_locked() - What is at an index?
 * @o: object, locked
 * @index: page, below the end of the index
 *
 * Context: task. Return: its entry; NULL where the index has no leaf.
 */
void **kmm_object_entry_locked(struct kmm_object *o, pgoff_t index)
{
	struct kmm_leaf *leaf = o->top[index >> KMM_LEAF_SHIFT];

	return leaf ? &leaf->entry[index & (KMM_LEAF_ENTRIES - 1)] : NULL;
}
KMM_EXPORT_INTERNAL(kmm_object_entry_locked);

/**
 * kmm_object_set_page_locked() - A page becomes resident.
 * @o: object, locked
 * @entry: of @index; a hole, or @swp
 * @index: page
 * @page: its frame, nobody else's
 * @swp: entry of swap that has the same contents and stays; 0: none has
 * @shadow: of its eviction; 0: it was never evicted
 *
 * Context: task.
 */
void kmm_object_set_page_locked(struct kmm_object *o, void **entry, pgoff_t index,
				struct page *page, kmm_swp_t swp, u32 shadow)
{
	struct folio *folio = page_folio(page);

	folio->mapping = o->mapping;
	folio->index = index;
	*entry = page;
	WRITE_ONCE(o->resident, o->resident + 1);
	if (o->lruvec)
		kmm_lru_add_locked(o, page, swp, shadow);
}

/* Somebody is about to look into a page, to map it, or to write to it. */
static void object_want_locked(struct kmm_object *o, struct page *page)
{
	if (o->lruvec)
		kmm_lru_rescue_locked(o, page);
}

/* Its contents are not what swap has, nor zeros. */
static void object_dirty_locked(struct kmm_object *o, struct page *page)
{
	object_want_locked(o, page);
	if (!PageDirty(page))
		SetPageDirty(page);
}

/* A page leaves the index. Return: the frame is the caller's, see kmm_lru_del_locked(). */
static bool object_forget_locked(struct kmm_object *o, struct page *page)
{
	return !o->lruvec || kmm_lru_del_locked(o, page);
}

static struct kmm_leaf *leaf_alloc(struct kmm_object *o)
{
	static_assert(sizeof(struct kmm_leaf) == PAGE_SIZE);

	return kmm_account_zalloc(o->account, sizeof(struct kmm_leaf));
}

static void leaf_free(struct kmm_object *o, struct kmm_leaf *leaf)
{
	kmm_account_free(o->account, leaf, sizeof(*leaf));
}

/* Makes sure that there is a leaf for @index, which is below nr_top << KMM_LEAF_SHIFT. */
static int object_add_leaf(struct kmm_object *o, pgoff_t index)
{
	struct kmm_leaf *leaf = leaf_alloc(o);
	unsigned long i = index >> KMM_LEAF_SHIFT;

	if (IS_ERR(leaf))
		return PTR_ERR(leaf);
	mutex_lock(&o->lock);
	if (i < o->nr_top && !o->top[i]) {
		o->top[i] = leaf;
		o->host_bytes += sizeof(*leaf);
		leaf = NULL;
	}
	mutex_unlock(&o->lock);
	if (leaf)
		leaf_free(o, leaf);
	return 0;
}

/* === Erasing === */

/*
 * An entry leaves the index. Return: what is to be freed after the unmapping, NULL for
 * nothing: it was a hole, or whoever writes the page frees it.
 */
static void *object_erase_entry_locked(struct kmm_object *o, void *entry)
{
	if (kmm_entry_is_page(entry)) {
		WRITE_ONCE(o->resident, o->resident - 1);
		return object_forget_locked(o, entry) ? entry : NULL;
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
				leaf->entry[i] = object_erase_entry_locked(o, leaf->entry[i]);
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
			e->entry[e->nr_entries] = object_erase_entry_locked(o, *entry);
			e->nr_entries += !!e->entry[e->nr_entries];
			*entry = NULL;
		}
	}
	return index;
}

static void object_free_entry(struct kmm_object *o, void *entry)
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
		object_free_entry(o, e->entry[i]);
	for (i = 0; i < e->nr_leaves; i++) {
		for (k = 0; k < KMM_LEAF_ENTRIES; k++)
			object_free_entry(o, e->leaf[i]->entry[k]);
		leaf_free(o, e->leaf[i]);
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

/* Erase, unmap, free. @unmap is false where nobody can have a mapping. */
static void object_drop(struct kmm_object *o, pgoff_t first, pgoff_t end, bool unmap)
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

/* Zeros for bytes [start, end) of one page, if it is resident. */
static void object_zero_locked(struct kmm_object *o, u64 start, u64 end)
{
	pgoff_t index = start >> PAGE_SHIFT;
	void **entry;

	lockdep_assert_held(&o->lock);
	if (start >= end || index >= o->nr_pages)
		return;
	entry = kmm_object_entry_locked(o, index);
	if (entry && kmm_entry_is_page(*entry)) {
		object_dirty_locked(o, *entry);
		memset(page_address(*entry) + offset_in_page(start), 0, end - start);
	}
}

/**
 * kmm_object_is_held_locked() - Must a page stay, because an operation of kmm needs it?
 * @o: object, locked
 * @index: page
 *
 * Only what is needed: the frames for these pages may have to come from others of the object.
 *
 * Context: task.
 */
bool kmm_object_is_held_locked(const struct kmm_object *o, pgoff_t index)
{
	unsigned int i;

	for (i = 0; i < KMM_HOLDS; i++)
		if (index >= o->hold[i].first && index < o->hold[i].end)
			return true;
	return false;
}

/*
 * Brings pages [first, first + nr) in; until object_unhold() they are not evicted, also not those
 * that are being written.
 */
static int object_hold(struct kmm_object *o, unsigned int i, pgoff_t first, unsigned long nr)
{
	mutex_lock(&o->lock);
	kmm_assert(!o->hold[i].end);
	o->hold[i] = (struct kmm_hold) { first, first + nr };
	mutex_unlock(&o->lock);
	return kmm_swapin_range(o, first, nr);
}

static void object_unhold_locked(struct kmm_object *o)
{
	memset(o->hold, 0, sizeof(o->hold));
}

static void object_unhold(struct kmm_object *o)
{
	mutex_lock(&o->lock);
	object_unhold_locked(o);
	mutex_unlock(&o->lock);
}

/* The same for the page that byte @offset cuts in two, if there is one. */
static int object_hold_part(struct kmm_object *o, unsigned int i, u64 offset)
{
	return offset_in_page(offset) ? object_hold(o, i, offset >> PAGE_SHIFT, 1) : 0;
}

/* === Filling === */

/* One by one: pages that are in swap, and all pages of an object with a limit. */
static int object_populate_each(struct kmm_object *o, pgoff_t first, unsigned int nr)
{
	struct page *page;
	unsigned int i;
	int ret;

	for (i = 0; i < nr; i++) {
		ret = kmm_object_lock_pages(o, first + i, &page, 1);
		if (ret < 0)
			return ret;
		object_dirty_locked(o, page);
		mutex_unlock(&o->lock);
	}
	return 0;
}

/*
 * Fills holes in [first, first + nr), which lies in one leaf and in one batch. Memory that was
 * asked for is kept, or written to swap, so it counts as written.
 */
static int object_populate_batch(struct kmm_object *o, pgoff_t first, unsigned int nr)
{
	unsigned int i, nr_holes = 0, nr_swapped = 0, got = 0, used = 0;
	struct page *pages[POPULATE_BATCH] = { };
	struct kmm_buddy *b = o->set->buddy;
	void **entry;
	int err = 0;

	mutex_lock(&o->lock);
	entry = kmm_object_entry_locked(o, first);
	if (!entry) {
		mutex_unlock(&o->lock);
		err = object_add_leaf(o, first);
		return err ?: -EAGAIN;
	}
	for (i = 0; i < nr; i++) {
		nr_holes += kmm_entry_is_hole(entry[i]);
		nr_swapped += kmm_entry_is_swap(entry[i]);
	}
	mutex_unlock(&o->lock);
	/* What is behind the end, because the object grows, has no swap yet, nor a limit. */
	if (unlikely(nr_swapped || (o->own_lruvec && nr_holes && first < o->nr_pages)))
		return object_populate_each(o, first, nr);
	if (!nr_holes)
		return 0;

	err = kmm_account_try_charge(o->account, KMM_RES_FRAMES, nr_holes);
	if (err)
		return err;
	if (!kmm_should_fail())
		got = kmm_buddy_alloc_bulk(b, object_gfp(o, OBJECT_GFP), nr_holes, pages);
	if (got < nr_holes)
		kmm_account_uncharge(o->account, KMM_RES_FRAMES, nr_holes - got);
	for (i = 0; i < got; i++)
		kmm_buddy_set_owner(b, pages[i], o->account->id);
	while (got < nr_holes) {
		struct page *page = kmm_object_alloc_frame(o, OBJECT_GFP);

		if (IS_ERR(page)) {
			err = PTR_ERR(page);
			break;
		}
		pages[got++] = page;
	}

	mutex_lock(&o->lock);
	/* The leaf may have been punched out meanwhile. */
	entry = kmm_object_entry_locked(o, first);
	for (i = 0; entry && i < nr && used < got; i++) {
		if (!kmm_entry_is_hole(entry[i]))
			continue;
		SetPageDirty(pages[used]);
		kmm_object_set_page_locked(o, &entry[i], first + i, pages[used++], 0,
					   kmm_entry_shadow(entry[i]));
	}
	mutex_unlock(&o->lock);

	while (used < got)
		kmm_object_free_frame(o, pages[used++]);
	return err;
}

static int object_populate(struct kmm_object *o, pgoff_t first, pgoff_t end)
{
	while (first < end) {
		pgoff_t next = min(end, round_down(first + POPULATE_BATCH, POPULATE_BATCH));
		int err;

		if (fatal_signal_pending(current))
			return -EINTR;
		err = object_populate_batch(o, first, next - first);
		if (err == -EAGAIN)
			continue;
		if (err)
			return err;
		first = next;
		cond_resched();
	}
	return 0;
}

/* One block of the rounded-up order, the surplus given back. The object is not visible yet. */
static int object_populate_contig(struct kmm_object *o)
{
	unsigned int order = get_order(o->nr_pages << PAGE_SHIFT);
	struct kmm_buddy *b = o->set->buddy;
	struct page *page;
	unsigned long i;
	int err;

	for (i = 0; i < o->nr_top; i++) {
		err = object_add_leaf(o, i << KMM_LEAF_SHIFT);
		if (err)
			return err;
	}
	err = kmm_account_try_charge(o->account, KMM_RES_FRAMES, o->nr_pages);
	if (err)
		return err;
	page = kmm_should_fail() ? NULL : kmm_buddy_alloc(b, object_gfp(o, OBJECT_GFP), order);
	if (!page) {
		kmm_account_uncharge(o->account, KMM_RES_FRAMES, o->nr_pages);
		return -ENOMEM;
	}
	kmm_buddy_split(b, page, order);
	mutex_lock(&o->lock);
	for (i = 0; i < o->nr_pages; i++) {
		kmm_buddy_set_owner(b, page + i, o->account->id);
		kmm_object_set_page_locked(o, kmm_object_entry_locked(o, i), i, page + i, 0, 0);
	}
	mutex_unlock(&o->lock);
	for (; i < 1UL << order; i++)
		kmm_buddy_free(b, page + i, 0);
	return 0;
}

/* === Interface === */

/**
 * kmm_object_set_init() - Begin with no object.
 * @set: caller's memory
 * @b: where the frames will come from
 * @lru: who will evict pages; NULL: nobody
 *
 * Context: task.
 */
void kmm_object_set_init(struct kmm_object_set *set, struct kmm_buddy *b, struct kmm_lru *lru)
{
	set->buddy = b;
	set->lru = lru;
	mutex_init(&set->lock);
	INIT_LIST_HEAD(&set->list);
	set->nr = 0;
	set->last_id = 0;
}
KMM_EXPORT_INTERNAL(kmm_object_set_init);

/**
 * kmm_object_set_fini() - The end; all objects are destroyed.
 * @set: set
 *
 * Context: task.
 */
void kmm_object_set_fini(struct kmm_object_set *set)
{
	kmm_assert(list_empty(&set->list));
	mutex_destroy(&set->lock);
}
KMM_EXPORT_INTERNAL(kmm_object_set_fini);

/**
 * kmm_object_create() - A new object.
 * @set: instance
 * @a: who pays; the object takes a reference of its own
 * @attr: what it is to be; @attr->flags may hold unknown bits, these are refused
 *
 * Context: task, may sleep.
 * Return: object, or ERR_PTR: -EINVAL size 0 or unknown flag; -EFBIG; -EDQUOT; -ENOMEM;
 * -EINTR killed while populating.
 */
struct kmm_object *kmm_object_create(struct kmm_object_set *set, struct kmm_account *a,
				     const struct kmm_object_attr *attr)
{
	u32 flags = attr->flags;
	struct kmm_object *o;
	int err;

	if (!attr->size_bytes ||
	    flags & ~(KMM_OBJECT_EAGER | KMM_OBJECT_CONTIG | KMM_OBJECT_LOCKED))
		return ERR_PTR(-EINVAL);
	if (attr->size_bytes > KMM_OBJECT_SIZE_MAX)
		return ERR_PTR(-EFBIG);
	if (flags & KMM_OBJECT_CONTIG && attr->size_bytes > PAGE_SIZE << KMM_MAX_ORDER)
		return ERR_PTR(-EFBIG);
	if (flags & OBJECT_FIXED)
		flags |= KMM_OBJECT_EAGER;

	err = kmm_account_try_charge(a, KMM_RES_OBJECTS, 1);
	if (err)
		return ERR_PTR(err);
	err = kmm_account_try_charge(a, KMM_RES_HOST_BYTES, attr->extra_bytes);
	if (err)
		goto uncharge_object;
	o = kmm_account_zalloc(a, sizeof(*o));
	if (IS_ERR(o)) {
		err = PTR_ERR(o);
		goto uncharge_extra;
	}

	kmm_debug_object_init(o, KMM_DEBUG_OBJECT);
	mutex_init(&o->lock);
	mutex_init(&o->rmap_lock);
	INIT_LIST_HEAD(&o->areas);
	INIT_LIST_HEAD(&o->swapins);
	INIT_LIST_HEAD(&o->node);
	refcount_set(&o->ref, 1);
	kmm_account_get(a);
	o->set = set;
	o->account = a;
	o->mapping = attr->mapping;
	o->mops = attr->mops;
	o->flags = flags;
	if (set->lru && !(flags & OBJECT_FIXED))
		o->lruvec = &set->lru->global;
	o->size_bytes = attr->size_bytes;
	o->nr_pages = object_nr_pages(attr->size_bytes);
	o->extra_bytes = attr->extra_bytes;
	o->host_bytes = sizeof(*o) + attr->extra_bytes;
	o->uid = current_uid();
	o->pid = task_tgid_nr(current);
	get_task_comm(o->comm, current);

	o->top = kmm_account_zalloc(a, object_nr_top(o->nr_pages) * sizeof(*o->top));
	if (IS_ERR(o->top)) {
		err = PTR_ERR(o->top);
		o->top = NULL;
		goto destroy;
	}
	o->nr_top = object_nr_top(o->nr_pages);
	o->host_bytes += o->nr_top * sizeof(*o->top);

	if (flags & KMM_OBJECT_CONTIG)
		err = object_populate_contig(o);
	else if (flags & KMM_OBJECT_EAGER)
		err = object_populate(o, 0, o->nr_pages);
	if (err)
		goto destroy;

	mutex_lock(&set->lock);
	o->id = ++set->last_id;
	list_add_tail(&o->node, &set->list);
	WRITE_ONCE(set->nr, set->nr + 1);
	mutex_unlock(&set->lock);
	kmm_debug_object_activate(o, KMM_DEBUG_OBJECT);
	return o;

destroy:
	kmm_object_destroy(o);
	return ERR_PTR(err);
uncharge_extra:
	kmm_account_uncharge(a, KMM_RES_HOST_BYTES, attr->extra_bytes);
uncharge_object:
	kmm_account_uncharge(a, KMM_RES_OBJECTS, 1);
	return ERR_PTR(err);
}
KMM_EXPORT_INTERNAL(kmm_object_create);

/**
 * kmm_object_destroy() - Free an object and everything in it.
 * @o: object that nobody maps or uses any more
 *
 * Context: task, may sleep. Never fails.
 */
void kmm_object_destroy(struct kmm_object *o)
{
	struct kmm_object_set *set;
	struct kmm_account *a;

	if (!kmm_debug_object_destroy(o, KMM_DEBUG_OBJECT))
		return;
	set = o->set;
	a = o->account;
	mutex_lock(&set->lock);
	if (!list_empty(&o->node)) {
		list_del(&o->node);
		WRITE_ONCE(set->nr, set->nr - 1);
	}
	mutex_unlock(&set->lock);

	kmm_assert(!o->nr_pins);
	kmm_assert(list_empty(&o->areas));
	/* Swapoff may be at it, and must not bring in, or make, a page behind our back. */
	mutex_lock(&o->lock);
	WRITE_ONCE(o->nr_pages, 0);
	mutex_unlock(&o->lock);
	object_drop(o, 0, ULONG_MAX, false);
	/* Whoever has taken pages of it as candidates, or reads some, must see that they went. */
	wait_var_event(&o->nr_evicting, !atomic_read(&o->nr_evicting));
	wait_var_event(&o->nr_visitors, !atomic_read(&o->nr_visitors));
	kmm_assert(!o->resident && !o->swapped);
	if (o->own_lruvec) {
		kmm_lruvec_fini(o->lruvec);
		kmm_account_free(a, o->lruvec, sizeof(*o->lruvec));
	}
	kmm_account_free(a, o->top, o->nr_top * sizeof(*o->top));
	kmm_account_uncharge(a, KMM_RES_HOST_BYTES, o->extra_bytes);
	kmm_account_uncharge(a, KMM_RES_OBJECTS, 1);
	mutex_destroy(&o->rmap_lock);
	mutex_destroy(&o->lock);
	kmm_debug_object_free(o, KMM_DEBUG_OBJECT);
	kmm_account_free(a, o, sizeof(*o));
	kmm_account_put(a);
}
KMM_EXPORT_INTERNAL(kmm_object_destroy);

/**
 * kmm_object_put() - Drop a reference; the last one destroys.
 * @o: object
 *
 * Context: task, may sleep.
 */
void kmm_object_put(struct kmm_object *o)
{
	if (refcount_dec_and_test(&o->ref))
		kmm_object_destroy(o);
}
KMM_EXPORT_INTERNAL(kmm_object_put);

/**
 * kmm_object_bind_locked() - Its frames belong to another address_space from now on.
 * @o: object without any mapping, locked
 * @mapping: of its new inode; NULL when it has none any more
 *
 * Context: task, may sleep.
 */
void kmm_object_bind_locked(struct kmm_object *o, struct address_space *mapping)
{
	unsigned long t;
	unsigned int i;

	lockdep_assert_held(&o->lock);
	for (t = 0; t < o->nr_top; t++) {
		struct kmm_leaf *leaf = o->top[t];

		for (i = 0; leaf && i < KMM_LEAF_ENTRIES; i++)
			if (kmm_entry_is_page(leaf->entry[i]))
				frame_set_mapping(leaf->entry[i], mapping);
		cond_resched();
	}
	o->mapping = mapping;
}
KMM_EXPORT_INTERNAL(kmm_object_bind_locked);

/*
 * Starts reading page @index from swap, or finds who does it already; @page is for it.
 * Return: 1: @page is in the index; 0: *@req tells when it is, the object is unlocked; negative:
 * -EIO, the object is still locked. @page is taken over in all cases.
 */
static int object_swapin_locked(struct kmm_object *o, pgoff_t index, struct page *page,
				struct kmm_swapin **req)
{
	struct kmm_swapin *running;
	int err;

	if (kmm_swap_is_sync(o->set->lru->swap,
			     kmm_entry_swap(*kmm_object_entry_locked(o, index)))) {
		err = kmm_swapin_sync_locked(o, index, page);
		return err ?: 1;
	}
	running = kmm_swapin_find_locked(o, index);
	if (running) {
		mutex_unlock(&o->lock);
		kmm_object_free_frame(o, page);
		if (*req)
			kmm_swapin_put(*req);
		*req = running;
	} else {
		kmm_swapin_start_locked(o, index, *req, page);
		mutex_unlock(&o->lock);
	}
	return 0;
}

/*
 * kmm_object_lock_pages(); with @wait it does not wait for I/O but answers -EINPROGRESS, and what
 * to wait for.
 */
static int object_lock_pages(struct kmm_object *o, pgoff_t index, struct page **pages,
			     unsigned int max, struct kmm_swapin **wait)
{
	struct kmm_swapin *req = NULL;
	struct page *page, *spare = NULL;
	bool last = false;
	void **entry;
	int ret;

	for (;;) {
		mutex_lock(&o->lock);
		ret = -ENXIO;
		if (unlikely(index >= o->nr_pages))
			goto out;
		entry = kmm_object_entry_locked(o, index);
		if (unlikely(!entry)) {
			mutex_unlock(&o->lock);
			ret = object_add_leaf(o, index);
			if (ret)
				goto out_unlocked;
			continue;
		}
		page = *entry;
		if (likely(kmm_entry_is_page(page))) {
			object_want_locked(o, page);
			break;
		}
		if (unlikely(kmm_object_is_full_locked(o, index))) {
			mutex_unlock(&o->lock);
			ret = kmm_object_make_room(o);
			if (ret)
				goto out_unlocked;
			continue;
		}
		if (unlikely(!req && kmm_entry_is_swap(*entry) &&
			     !kmm_swap_is_sync(o->set->lru->swap, kmm_entry_swap(*entry)))) {
			mutex_unlock(&o->lock);
			req = kmm_swapin_alloc();
			ret = -ENOMEM;
			if (!req)
				goto out_unlocked;
			continue;
		}
		page = spare;
		spare = NULL;
		if (likely(!page))
			page = kmm_object_alloc_frame(o, kmm_entry_is_hole(*entry) ?
						      KMM_OBJECT_GFP_FAST | __GFP_ZERO :
						      KMM_OBJECT_GFP_FAST);
		if (IS_ERR(page)) {
			mutex_unlock(&o->lock);
			ret = PTR_ERR(page);
			/* Over the limit of the user: pages of this object may go in its favour. */
			if (ret == -ENOMEM) {
				page = kmm_object_alloc_frame(o, OBJECT_GFP);
				ret = PTR_ERR_OR_ZERO(page);
				if (!ret) {
					spare = page;
					continue;
				}
			}
			if (ret == -EDQUOT && !last) {
				/* Others may have freed what we have not. */
				last = !kmm_object_evict_own(o, KMM_EVICT_BATCH);
				continue;
			}
			goto out_unlocked;
		}
		if (likely(kmm_entry_is_hole(*entry))) {
			kmm_object_set_page_locked(o, entry, index, page, 0,
						   kmm_entry_shadow(*entry));
			break;
		}
		ret = object_swapin_locked(o, index, page, &req);
		if (ret < 0)
			goto out;
		if (ret)
			break;
		if (wait) {
			*wait = req;
			return -EINPROGRESS;
		}
		ret = kmm_swapin_wait(req, index);
		kmm_swapin_put(req);
		req = NULL;
		if (ret)
			goto out_unlocked;
	}
	pages[0] = *entry;
	max = min_t(unsigned long, max, KMM_LEAF_ENTRIES - (index & (KMM_LEAF_ENTRIES - 1)));
	max = min_t(unsigned long, max, o->nr_pages - index);
	for (ret = 1; ret < max && kmm_entry_is_page(entry[ret]); ret++) {
		/* One that is being written may go. */
		if (o->lruvec && kmm_lru_is_writeback(o->lruvec, entry[ret]))
			break;
		pages[ret] = entry[ret];
	}
	goto out_spare;
out:
	mutex_unlock(&o->lock);
out_unlocked:
out_spare:
	if (unlikely(spare))
		kmm_object_free_frame(o, spare);
	if (unlikely(req))
		kmm_swapin_put(req);
	return ret;
}

/**
 * kmm_object_lock_pages() - Find or make page @index and keep the object locked.
 * @o: object
 * @index: page number
 * @pages: filled with @index and the resident pages that follow it directly
 * @max: room in @pages, at least 1
 *
 * The fault path. As long as the lock is held, these pages stay at their index, and what
 * is put into page tables will be found by a later unmap.
 *
 * Context: task, may sleep, also for I/O.
 * Return: number of pages, with @o locked: call kmm_object_unlock(). Negative, unlocked:
 * -ENXIO behind the end; -EDQUOT; -ENOMEM; -EIO it is in swap and cannot be read; -EINTR killed.
 */
int kmm_object_lock_pages(struct kmm_object *o, pgoff_t index, struct page **pages,
			  unsigned int max)
{
	return object_lock_pages(o, index, pages, max, NULL);
}
KMM_EXPORT_INTERNAL(kmm_object_lock_pages);

/**
 * kmm_object_lock_pages_nowait() - As kmm_object_lock_pages(), but waits for no I/O.
 * @o: object
 * @index: page number
 * @pages: as there
 * @max: as there
 * @wait: out, with -EINPROGRESS: for kmm_swapin_wait(), then kmm_swapin_put()
 *
 * Context: task, may sleep. Return: as there, and -EINPROGRESS.
 */
int kmm_object_lock_pages_nowait(struct kmm_object *o, pgoff_t index, struct page **pages,
				 unsigned int max, struct kmm_swapin **wait)
{
	return object_lock_pages(o, index, pages, max, wait);
}

/**
 * kmm_object_get_page() - One page, with a reference for the time of a copy.
 * @o: object
 * @index: page number
 * @alloc: fill a hole; the caller writes to the page
 *
 * Context: task, may sleep, also for I/O.
 * Return: page, give it back with put_page(); NULL for a hole; ERR_PTR of -ENXIO behind the
 * end, -EDQUOT, -ENOMEM, -EIO, -EINTR.
 */
struct page *kmm_object_get_page(struct kmm_object *o, pgoff_t index, bool alloc)
{
	struct page *page = NULL;
	void **entry;
	int ret;

	if (!alloc) {
		mutex_lock(&o->lock);
		entry = index < o->nr_pages ? kmm_object_entry_locked(o, index) : NULL;
		if (index >= o->nr_pages)
			page = ERR_PTR(-ENXIO);
		else if (entry && kmm_entry_is_page(*entry))
			page = *entry;
		if (!IS_ERR_OR_NULL(page)) {
			/* Who has a reference reads only: the page may be written meanwhile. */
			SetPageReferenced(page);
			get_page(page);
		}
		if (page || !entry || !kmm_entry_is_swap(*entry)) {
			mutex_unlock(&o->lock);
			return page;
		}
		mutex_unlock(&o->lock);
	}
	ret = kmm_object_lock_pages(o, index, &page, 1);
	if (ret < 0)
		return ERR_PTR(ret);
	SetPageReferenced(page);
	if (alloc)
		object_dirty_locked(o, page);
	get_page(page);
	mutex_unlock(&o->lock);
	return page;
}
KMM_EXPORT_INTERNAL(kmm_object_get_page);

/**
 * kmm_object_populate() - Fill the holes of a range.
 * @o: object
 * @first: first page
 * @nr: how many; what lies behind the end is left out
 *
 * Where it fails, the holes that it has filled stay filled: they read as the same zeros.
 *
 * Context: task, may sleep; serialised with changes of size by the caller.
 * Return: 0; -EDQUOT; -ENOMEM; -EINTR killed.
 */
int kmm_object_populate(struct kmm_object *o, pgoff_t first, unsigned long nr)
{
	unsigned long nr_pages = READ_ONCE(o->nr_pages);

	if (first >= nr_pages)
		return 0;
	return object_populate(o, first, first + min(nr, nr_pages - first));
}
KMM_EXPORT_INTERNAL(kmm_object_populate);

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
	if (o->flags & OBJECT_FIXED ||
	    READ_ONCE(o->seals) & (KMM_SEAL_WRITE | KMM_SEAL_FUTURE_WRITE))
		return -EPERM;
	end = min(end, READ_ONCE(o->size_bytes));
	if (offset >= end)
		return 0;
	if (READ_ONCE(o->nr_pins))
		return -EBUSY;

	/* The last page counts as whole when the range reaches the end of the object. */
	first = object_nr_pages(offset);
	last = end == READ_ONCE(o->size_bytes) ? object_nr_pages(end) : end >> PAGE_SHIFT;

	err = object_hold_part(o, 0, offset);
	if (!err && last < object_nr_pages(end))
		err = object_hold_part(o, 1, end);
	if (!err) {
		mutex_lock(&o->lock);
		if (first > last) {
			object_zero_locked(o, offset, end);
		} else {
			object_zero_locked(o, offset, first << PAGE_SHIFT);
			object_zero_locked(o, last << PAGE_SHIFT, end);
		}
		mutex_unlock(&o->lock);
		if (first < last)
			object_drop(o, first, last, true);
	}
	object_unhold(o);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_object_punch);

static int object_grow(struct kmm_object *o, u64 size_bytes)
{
	unsigned long nr_pages = object_nr_pages(size_bytes);
	unsigned long nr_top = object_nr_top(nr_pages);
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
		err = object_populate(o, o->nr_pages, nr_pages);
		if (err) {
			/* Behind the end: nobody has seen these. The larger array stays. */
			object_drop(o, o->nr_pages, ULONG_MAX, false);
			return err;
		}
	}
	mutex_lock(&o->lock);
	/*
	 * What was written through a mapping behind the old end must not come up. A seal against
	 * writes is about what is below it.
	 */
	object_zero_locked(o, o->size_bytes,
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
	WRITE_ONCE(o->nr_pages, object_nr_pages(size_bytes));
	object_zero_locked(o, size_bytes, round_up(size_bytes, PAGE_SIZE));
	mutex_unlock(&o->lock);
	object_drop(o, object_nr_pages(size_bytes), ULONG_MAX, true);
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
	object_unhold(o);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_object_resize);

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

/* === Handing frames over === */

/* May frames of [first, first + nr) leave @o, or others take their place? */
static int object_may_replace_locked(struct kmm_object *o, pgoff_t first, unsigned long nr)
{
	lockdep_assert_held(&o->lock);
	if (o->flags & OBJECT_FIXED || o->seals & (KMM_SEAL_WRITE | KMM_SEAL_FUTURE_WRITE))
		return -EPERM;
	if (o->nr_pins)
		return -EBUSY;
	return first >= o->nr_pages || nr > o->nr_pages - first ? -ENXIO : 0;
}

static struct page *object_page_locked(struct kmm_object *o, pgoff_t index)
{
	void **entry = kmm_object_entry_locked(o, index);

	return entry && kmm_entry_is_page(*entry) ? *entry : NULL;
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
	if (object_forget_locked(o, page))
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
	err = object_hold(o, 0, first, nr);
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
			struct page *page = frame_alloc_for(o, to, OBJECT_GFP & ~__GFP_ZERO);

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
	object_zero_locked(o, o->size_bytes,
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
	object_unhold_locked(o);
	mutex_unlock(&o->lock);
	*nr_copied = nr_held;
	return nr_taken;

undo:
	mutex_unlock(&o->lock);
undo_unlocked:
	while (spares)
		kmm_object_free_frame(o, pages[--spares]);
unhold:
	object_unhold(o);
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
		frame_clear(pages[i]);
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
		err = object_add_leaf(o, index);
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
			pages[k] = object_erase_entry_locked(o, old);
			nr_old += !!pages[k];
		}
	}
	WRITE_ONCE(o->resident, o->resident + nr_new);
	if (nr_old)
		kmm_object_unmap(o, first, nr);
	mutex_unlock(&o->lock);

	for (i = 0; nr_old && i < nr; i++)
		object_free_entry(o, pages[i]);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_object_put_pages);

/* Whoever pins it writes when he likes. */
static void object_dirty_all(struct kmm_object *o)
{
	pgoff_t index;

	for (index = 0; index < o->nr_pages; index++) {
		struct page *page;

		mutex_lock(&o->lock);
		page = object_page_locked(o, index);
		if (page)
			object_dirty_locked(o, page);
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
	err = object_populate(o, 0, o->nr_pages);
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

/**
 * kmm_object_seek() - The next data or hole.
 * @o: object
 * @offset: where to start, below the size
 * @data: look for data; else for a hole, and the end of the object is one
 *
 * Context: task, may sleep.
 * Return: offset of it, the size of the object when there is none.
 */
u64 kmm_object_seek(struct kmm_object *o, u64 offset, bool data)
{
	pgoff_t index = offset >> PAGE_SHIFT;
	u64 found;

	mutex_lock(&o->lock);
	while (index < o->nr_pages) {
		void **entry = kmm_object_entry_locked(o, index);

		if (!entry) {
			if (!data)
				break;
			index = round_down(index, KMM_LEAF_ENTRIES) + KMM_LEAF_ENTRIES;
			continue;
		}
		if (kmm_entry_is_hole(*entry) != data)
			break;
		index++;
	}
	found = clamp_t(u64, (u64)index << PAGE_SHIFT, offset, max(offset, o->size_bytes));
	mutex_unlock(&o->lock);
	return found;
}
KMM_EXPORT_INTERNAL(kmm_object_seek);

/**
 * kmm_object_info() - What KMM_IOC_OBJECT_INFO tells.
 * @o: object
 * @info: filled
 *
 * Context: task, may sleep.
 */
void kmm_object_info(struct kmm_object *o, struct kmm_object_info *info)
{
	mutex_lock(&o->lock);
	info->id = o->id;
	info->size_bytes = o->size_bytes;
	info->resident = o->resident;
	info->host_bytes = o->host_bytes;
	info->flags = o->flags;
	info->seals = o->seals;
	info->swapped = o->swapped;
	info->limit = o->own_lruvec ? o->lruvec->limit_pages : 0;
	mutex_unlock(&o->lock);
}
KMM_EXPORT_INTERNAL(kmm_object_info);

/**
 * kmm_object_check() - Look for violated invariants.
 * @o: object that nobody else uses at the moment
 *
 * Context: task, may sleep.
 * Return: how many were found; each is printed.
 */
unsigned long kmm_object_check(struct kmm_object *o)
{
	unsigned long t, bad = 0, resident = 0, swapped = 0;
	u64 host_bytes;
	unsigned int i;

	mutex_lock(&o->lock);
	host_bytes = sizeof(*o) + o->extra_bytes + o->nr_top * sizeof(*o->top);
	if (o->own_lruvec)
		host_bytes += sizeof(*o->lruvec);
	for (t = 0; t < o->nr_top; t++) {
		struct kmm_leaf *leaf = o->top[t];

		if (!leaf)
			continue;
		host_bytes += sizeof(*leaf);
		for (i = 0; i < KMM_LEAF_ENTRIES; i++) {
			pgoff_t index = (t << KMM_LEAF_SHIFT) + i;
			struct page *page = leaf->entry[i];

			if (kmm_entry_is_hole(page))
				continue;
			if (kmm_entry_is_swap(page)) {
				swapped++;
				bad += index >= o->nr_pages || !o->lruvec;
				continue;
			}
			resident++;
			if (kmm_entry_is_page(page) && index < o->nr_pages &&
			    page->mapping == o->mapping && page_folio(page)->index == index &&
			    kmm_buddy_owner(o->set->buddy, page) == o->account->id &&
			    (!o->lruvec || kmm_lru_page(o->lruvec->lru, page)->object == o))
				continue;
			bad++;
			pr_err("kmm: object %llu: bad entry %lu\n", o->id, index);
		}
	}
	if (resident != o->resident || swapped != o->swapped) {
		bad++;
		pr_err("kmm: object %llu: %lu pages, resident %lu, %lu in swap, swapped %lu\n",
		       o->id, resident, o->resident, swapped, o->swapped);
	}
	if (host_bytes != o->host_bytes) {
		bad++;
		pr_err("kmm: object %llu: %llu host bytes, charged %llu\n", o->id, host_bytes,
		       o->host_bytes);
	}
	mutex_unlock(&o->lock);
	return bad;
}
KMM_EXPORT_INTERNAL(kmm_object_check);
