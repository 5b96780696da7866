// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Who maps an object
 *
 * When an object loses a page (punch, shrink, gift), every entry that shows it must go before
 * the frame does. For processes the host keeps that book (i_mmap). For address spaces every
 * object has a list of the areas that show it; an area knows which addresses it has, so a page's
 * entries are found from its index alone, nothing is kept per page. (Linux keeps file mappings
 * in the same way, with an interval tree for the list; areas of one object are few, and a list
 * can be changed without allocating.)
 *
 * What goes and what stays. Leaves of the object's own frames go, in shared and in private areas:
 * the next access faults and finds the new state, in a private area too ("not yet copied shows
 * later changes"). Private frames stay, they are copies; their leaves carry KMM_PT_PRIVATE.
 *
 * Why nothing is missed. A leaf with an object's frame is installed only under the object's
 * lock, after the index was looked at; the index loses its entry under the same lock; then comes
 * kmm_rmap_unmap(). So a leaf was either installed before the erasure, and is found, or its
 * fault sees the erased index. An area gets onto the list before it can have a leaf, and leaves
 * it after its last one is gone.
 *
 * Why nothing is freed too early. The frame is freed when kmm_rmap_unmap() has returned, and a
 * leaf that was taken out by somebody else just before is not found: that one's flush may still
 * be due. Therefore the rule: whoever takes an object's frame out of an entry, or makes such
 * an entry weaker, holds the object's rmap lock from before the change until the flush is
 * done. These are unmap, replace, protect and destroy in vm/space.c, the copying fault in
 * vm/fault.c, and this file.
 *
 * Invariants: an area is on its object's list exactly as long as it is in its space's tree; an
 * object with areas has a file reference of each of them, so it is never destroyed.
 *
 * Locks: the space's lock or the object's lock, then the object's rmap lock, then a table lock.
 * Two rmap locks are never held at once.
 *
 * What this deliberately does not do: no walk of process page tables, dev/mmap.c does that; no
 * reverse map of private frames, which nothing evicts.
 */
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>

#include <compat/compat.h>
#include <kmm/object.h>
#include <kmm/space.h>

/**
 * kmm_rmap_lock() - Hold what an area shows: no revocation of the object runs meanwhile.
 * @area: area; nothing happens when it has no object
 *
 * Context: task, may sleep.
 */
void kmm_rmap_lock(struct kmm_area *area)
{
	if (area->object)
		mutex_lock(&area->object->rmap_lock);
}

/**
 * kmm_rmap_unlock() - The reverse of kmm_rmap_lock().
 * @area: area
 *
 * Context: task.
 */
void kmm_rmap_unlock(struct kmm_area *area)
{
	if (area->object)
		mutex_unlock(&area->object->rmap_lock);
}

/**
 * kmm_rmap_add() - An area shows its object from now on.
 * @area: area; nothing happens when it has no object
 *
 * Context: task; kmm_rmap_lock() held.
 */
void kmm_rmap_add(struct kmm_area *area)
{
	if (!area->object)
		return;
	lockdep_assert_held(&area->object->rmap_lock);
	list_add(&area->rmap, &area->object->areas);
}

/**
 * kmm_rmap_remove() - An area has no leaf of its object any more and will not get one.
 * @area: area; nothing happens when it has no object
 *
 * Context: task; kmm_rmap_lock() held.
 */
void kmm_rmap_remove(struct kmm_area *area)
{
	if (!area->object)
		return;
	lockdep_assert_held(&area->object->rmap_lock);
	list_del(&area->rmap);
}

/* Pages of @area that show [first, first + nr): [*start, *end), if any. */
static bool rmap_range(const struct kmm_area *area, pgoff_t first, unsigned long nr,
		       unsigned long *start, unsigned long *end)
{
	unsigned long nr_area = (area->end - area->start) >> PAGE_SHIFT;
	/* The object's indices are below 2^28, @nr may be anything. */
	pgoff_t last = nr > ULONG_MAX - first ? ULONG_MAX : first + nr;

	if (first >= area->pgoff + nr_area || last <= area->pgoff)
		return false;
	first = max(first, area->pgoff) - area->pgoff;
	last = min(last - area->pgoff, nr_area);
	*start = area->start + (first << PAGE_SHIFT);
	*end = area->start + (last << PAGE_SHIFT);
	return true;
}

/**
 * kmm_rmap_unmap() - Take pages of an object away from every space.
 * @o: object; the pages' entries in its index are gone, or it is locked
 * @first: first page
 * @nr: how many; may go past the end of the object
 *
 * Afterwards no table and no TLB of a space has them. Writes that went through a shared leaf
 * are in PG_dirty.
 *
 * Context: task, may sleep; the object's lock may be held.
 */
void kmm_rmap_unmap(struct kmm_object *o, pgoff_t first, unsigned long nr)
{
	struct kmm_pt_gather g;
	struct kmm_area *area;
	unsigned long start, end;

	mutex_lock(&o->rmap_lock);
	list_for_each_entry(area, &o->areas, rmap) {
		if (!rmap_range(area, first, nr, &start, &end))
			continue;
		kmm_pt_gather_init(&g, &area->space->pt, kmm_space_drop, area->space);
		g.keep = KMM_PT_PRIVATE;
		kmm_pt_zap(&g, start, end);
		kmm_pt_gather_finish(&g);
	}
	mutex_unlock(&o->rmap_lock);
}
KMM_EXPORT_INTERNAL(kmm_rmap_unmap);

/**
 * kmm_rmap_test_and_clear_young() - Was a page touched through any space since the last call?
 * @o: object
 * @index: page
 *
 * Clears without a flush, as x86 does: a translation in a TLB may hide the next touches.
 *
 * Context: task, may sleep; the object's lock may be held.
 * Return: true if so.
 */
bool kmm_rmap_test_and_clear_young(struct kmm_object *o, pgoff_t index)
{
	unsigned long start, end;
	struct kmm_area *area;
	bool young = false;

	mutex_lock(&o->rmap_lock);
	list_for_each_entry(area, &o->areas, rmap) {
		if (!rmap_range(area, index, 1, &start, &end))
			continue;
		/* A copy's touches are not the object's. */
		if (kmm_pt_get(&area->space->pt, start, NULL) & KMM_PT_PRIVATE)
			continue;
		young |= !!kmm_pt_test_and_clear(&area->space->pt, start, _PAGE_ACCESSED);
	}
	mutex_unlock(&o->rmap_lock);
	return young;
}
KMM_EXPORT_INTERNAL(kmm_rmap_test_and_clear_young);
