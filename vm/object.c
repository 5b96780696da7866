// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Memory objects
 *
 * A memory object is a run of pages by index, made of frames of the region: the same idea
 * as Zircon's VMO or the page cache of one memfd, without the file. dev/file.c puts an
 * inode and descriptors around it, dev/mmap.c maps it; KUnit makes objects without
 * either. Here are its life, its index, and how pages come in: faults and filling.
 *
 * The index has two levels of our own: an array of leaf pointers sized by the object's
 * size, and leaves of one host page each, 512 entries, 2 MiB of object. In place of an
 * xarray: the host memory of an object can be charged to the byte, a lookup is two
 * loads, nothing has to be allocated to erase, and a whole leaf can be taken out in one
 * step. Price: 8 bytes per 2 MiB of address range even when it is empty (4 MiB for the
 * largest object, charged like the rest).
 *
 * States of an entry: a hole, reads as zeros, NULL or the shadow of an eviction; a page,
 * resident; a page in swap (struct kmm_leaf).
 *
 * States of a frame: it comes zeroed from the buddy (private to the caller), gets the
 * account's number and mapping and index (futexes find the object by these), and is
 * published by storing it in the entry under the lock. How it leaves: vm/object_resize.c for
 * good, vm/object_take.c to another object, vm/evict.c into swap.
 *
 * Two faults on one hole: whoever has the lock first fills it. Frames are taken under
 * the lock without reclaim; where that fails, the lock is dropped, the frame taken with
 * reclaim, and the entry looked at again. Leaves are always allocated without the lock.
 *
 * LOCKED and CONTIG objects keep the frames that they are made with: no punch, no shrink.
 * A LOCKED one may grow; the new part is filled before anybody can see it.
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
 * What this deliberately does not do: no page cache, no writeback, no huge entries. fork, exec
 * and mprotect need nothing from here.
 */
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/assert.h>
#include <kmm/buddy.h>
#include <kmm/debug_objects.h>
#include <kmm/inject.h>

#include "object_internal.h"

/* === Data === */

#define OBJECT_GFP	(KMM_OBJECT_GFP | __GFP_ZERO)

/* Pages of one round of populate: an array on the stack, and the lock's hold time. */
#define POPULATE_BATCH	32

/* === Frames === */

static gfp_t object_gfp(const struct kmm_object *o, gfp_t gfp)
{
	return o->flags & KMM_OBJECT_FIXED ? gfp & ~__GFP_MOVABLE : gfp;
}

/**
 * kmm_object_alloc_frame_for() - A frame like those of an object that somebody pays for.
 * @o: object
 * @a: who pays
 * @gfp: as kmm_object_alloc_frame()
 *
 * Context: as @gfp. Return: frame, or ERR_PTR of -EDQUOT, -ENOMEM.
 */
struct page *kmm_object_alloc_frame_for(struct kmm_object *o, struct kmm_account *a, gfp_t gfp)
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
	return kmm_object_alloc_frame_for(o, o->account, gfp);
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

/**
 * kmm_object_clear_frame() - Take our marks and the host's off a frame.
 * @page: frame that no entry and no page table has any more
 *
 * Context: task.
 */
void kmm_object_clear_frame(struct page *page)
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
	kmm_object_clear_frame(page);
	kmm_buddy_free(o->set->buddy, page, 0);
}

/* === Index === */

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

static struct kmm_leaf *leaf_alloc(struct kmm_object *o)
{
	static_assert(sizeof(struct kmm_leaf) == PAGE_SIZE);

	return kmm_account_zalloc(o->account, sizeof(struct kmm_leaf));
}

/**
 * kmm_object_add_leaf() - Make sure that a page has a leaf.
 * @o: object
 * @index: page, below nr_top << KMM_LEAF_SHIFT
 *
 * Context: task, may sleep. Return: 0; -EDQUOT; -ENOMEM.
 */
int kmm_object_add_leaf(struct kmm_object *o, pgoff_t index)
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
		kmm_object_free_leaf(o, leaf);
	return 0;
}

/* === Holds === */

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

/**
 * kmm_object_hold() - Bring pages in and keep them.
 * @o: object
 * @i: which of its holds, below KMM_HOLDS
 * @first: first page
 * @nr: how many
 *
 * Until kmm_object_unhold() they are not evicted, also not those that are being written.
 *
 * Context: task, may sleep, also for I/O; serialised by the caller as struct kmm_object says.
 * Return: 0; -EIO, -ENOMEM, -EDQUOT, -EINTR as kmm_swapin_range(), and the pages are held.
 */
int kmm_object_hold(struct kmm_object *o, unsigned int i, pgoff_t first, unsigned long nr)
{
	mutex_lock(&o->lock);
	kmm_assert(!o->hold[i].end);
	o->hold[i] = (struct kmm_hold) { first, first + nr };
	mutex_unlock(&o->lock);
	return kmm_swapin_range(o, first, nr);
}

/**
 * kmm_object_unhold_locked() - Take all holds back.
 * @o: object, locked
 *
 * Context: task.
 */
void kmm_object_unhold_locked(struct kmm_object *o)
{
	lockdep_assert_held(&o->lock);
	memset(o->hold, 0, sizeof(o->hold));
}

/**
 * kmm_object_unhold() - Take all holds back.
 * @o: object
 *
 * Context: task, may sleep.
 */
void kmm_object_unhold(struct kmm_object *o)
{
	mutex_lock(&o->lock);
	kmm_object_unhold_locked(o);
	mutex_unlock(&o->lock);
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
		kmm_object_dirty_locked(o, page);
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
		err = kmm_object_add_leaf(o, first);
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

/**
 * kmm_object_fill() - Fill holes, also behind the end of an object that grows.
 * @o: object
 * @first: first page
 * @end: behind the last one; not above what the index has leaves for
 *
 * Where it fails, the holes that it has filled stay filled.
 *
 * Context: task, may sleep; serialised with changes of size by the caller.
 * Return: 0; -EDQUOT; -ENOMEM; -EINTR killed.
 */
int kmm_object_fill(struct kmm_object *o, pgoff_t first, pgoff_t end)
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
		err = kmm_object_add_leaf(o, i << KMM_LEAF_SHIFT);
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
	if (flags & KMM_OBJECT_FIXED)
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
	if (set->lru && !(flags & KMM_OBJECT_FIXED))
		o->lruvec = &set->lru->global;
	o->size_bytes = attr->size_bytes;
	o->nr_pages = kmm_object_nr_pages(attr->size_bytes);
	o->extra_bytes = attr->extra_bytes;
	o->host_bytes = sizeof(*o) + attr->extra_bytes;
	o->uid = current_uid();
	o->pid = task_tgid_nr(current);
	get_task_comm(o->comm, current);

	o->top = kmm_account_zalloc(a, kmm_object_nr_top(o->nr_pages) * sizeof(*o->top));
	if (IS_ERR(o->top)) {
		err = PTR_ERR(o->top);
		o->top = NULL;
		goto destroy;
	}
	o->nr_top = kmm_object_nr_top(o->nr_pages);
	o->host_bytes += o->nr_top * sizeof(*o->top);

	if (flags & KMM_OBJECT_CONTIG)
		err = object_populate_contig(o);
	else if (flags & KMM_OBJECT_EAGER)
		err = kmm_object_fill(o, 0, o->nr_pages);
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
	kmm_object_drop(o, 0, ULONG_MAX, false);
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
			ret = kmm_object_add_leaf(o, index);
			if (ret)
				goto out_unlocked;
			continue;
		}
		page = *entry;
		if (likely(kmm_entry_is_page(page))) {
			kmm_object_want_locked(o, page);
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
		kmm_object_dirty_locked(o, page);
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
	return kmm_object_fill(o, first, first + min(nr, nr_pages - first));
}
KMM_EXPORT_INTERNAL(kmm_object_populate);

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
