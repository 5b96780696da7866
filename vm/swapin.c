// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Pages come home from swap
 *
 * Two ways. Where the area is memory (kmm_swap_is_sync()), the page is copied under the
 * object's lock by whoever wants it. Where there is I/O, nobody may wait for it under a lock that
 * the I/O's own path, or another fault, may need: a request is started, everybody who wants the
 * page waits for the same one, and looks again when it is done.
 *
 * A request reads one page that somebody waits for and those around it in the object's window
 * of KMM_SWAPIN_WINDOW that are in the same area and for which there are frames to spare:
 * pages that left together usually want to come back together. It runs on a work queue of its own,
 * which always has a thread to run on.
 *
 * States of a request: started (in o->swapins, counted in o->nr_evicting, so that the object
 * lives); cancelled page by page (the object has given that index up; the slot is the request's
 * then, because it may still be read); done. Waiters have a reference and look at the result
 * of their own page.
 *
 * A page that came home keeps its slot, so that it can leave again without a write as long as
 * it stays clean; not where the area is more than half full, there the slot is needed more.
 *
 * A page that cannot be read, or is not what was written, stays in swap; whoever wants it
 * gets -EIO, or SIGBUS, each time anew. Nobody else notices. After a read that failed for any of
 * its pages the object's next one is without neighbours, until one succeeds: a broken device
 * costs a fault one read.
 *
 * Locks: the object's, around the start, the end and a cancellation.
 *
 * What this deliberately does not do: no read-ahead by slot across objects.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <compat/compat.h>
#include <kmm/buddy.h>
#include <kmm/inject.h>
#include <kmm/object.h>
#include <trace/events/kmm.h>

/* === Data === */

/* Pages of one request at most: an aligned window of an object. */
#define KMM_SWAPIN_WINDOW	8

/**
 * struct kmm_swapin - pages of one object that are being read
 * @node: in @o->swapins
 * @work: on the queue
 * @o: object; does not go before the request is done
 * @ref: the work's, and those who wait
 * @done: complete: @err is set
 * @nr: entries of what follows
 * @cancelled: a bit per page that the object gave up; protected by @o's lock
 * @index: in the object
 * @entry: in swap
 * @page: frames
 * @err: out
 */
struct kmm_swapin {
	struct list_head node;
	struct work_struct work;
	struct kmm_object *o;
	refcount_t ref;
	struct completion done;
	unsigned int nr;
	unsigned long cancelled;
	pgoff_t index[KMM_SWAPIN_WINDOW];
	kmm_swp_t entry[KMM_SWAPIN_WINDOW];
	struct page *page[KMM_SWAPIN_WINDOW];
	int err[KMM_SWAPIN_WINDOW];
};

static struct workqueue_struct *swapin_queue;

/* === Pages === */

/* Page @index, read into @page, becomes resident. */
static void swapin_install_locked(struct kmm_object *o, pgoff_t index, struct page *page)
{
	void **entry = kmm_object_entry_locked(o, index);
	struct kmm_lru *lru = o->lruvec->lru;
	kmm_swp_t swp = kmm_entry_swap(*entry);
	u32 shadow = kmm_swap_shadow(lru->swap, swp);

	if (kmm_swap_is_tight(lru->swap, swp) || kmm_swap_closing(lru->swap, swp)) {
		kmm_swap_free(lru->swap, swp);
		swp = 0;
		SetPageDirty(page);
	}
	WRITE_ONCE(o->swapped, o->swapped - 1);
	kmm_object_set_page_locked(o, entry, index, page, swp, shadow);
	kmm_lru_count(lru, KMM_PSWPIN, 1);
}

static void swapin_failed(struct kmm_object *o, pgoff_t index, int err)
{
	kmm_lru_count(o->lruvec->lru, KMM_SWPIN_ERROR, 1);
	trace_swapin_error(o->id, index, err);
}

/**
 * kmm_swapin_sync_locked() - Bring a page in from an area that is memory.
 * @o: object, locked
 * @index: page; in swap
 * @page: frame for it; freed when it fails
 *
 * Context: task. Return: 0 or -EIO.
 */
int kmm_swapin_sync_locked(struct kmm_object *o, pgoff_t index, struct page *page)
{
	kmm_swp_t swp = kmm_entry_swap(*kmm_object_entry_locked(o, index));
	int err;

	kmm_swap_read(o->lruvec->lru->swap, &swp, &page, 1, &err);
	if (err) {
		swapin_failed(o, index, err);
		kmm_object_free_frame(o, page);
		return -EIO;
	}
	swapin_install_locked(o, index, page);
	return 0;
}

/* === Requests === */

static void swapin_work(struct work_struct *work)
{
	struct kmm_swapin *req = container_of(work, struct kmm_swapin, work);
	struct kmm_object *o = req->o;
	struct kmm_swap *swap = o->lruvec->lru->swap;
	bool failed = false;
	unsigned int i;

	kmm_swap_read(swap, req->entry, req->page, req->nr, req->err);
	mutex_lock(&o->lock);
	list_del(&req->node);
	WRITE_ONCE(o->reading, o->reading - req->nr);
	for (i = 0; i < req->nr; i++) {
		if (req->cancelled & BIT(i)) {
			kmm_swap_free(swap, req->entry[i]);
			/* Whoever waits for it finds a hole. */
			req->err[i] = 0;
		} else if (req->err[i]) {
			swapin_failed(o, req->index[i], req->err[i]);
			failed = true;
		} else {
			swapin_install_locked(o, req->index[i], req->page[i]);
			continue;
		}
		kmm_object_free_frame(o, req->page[i]);
	}
	o->no_ahead = failed;
	kmm_lru_count(o->lruvec->lru, KMM_SWPIN_RA, req->nr - 1);
	mutex_unlock(&o->lock);
	complete_all(&req->done);
	kmm_lru_put_object(o);
	kmm_swapin_put(req);
}

/**
 * kmm_swapin_alloc() - A request, not started.
 *
 * Context: task, may sleep; no object is locked. Return: request for kmm_swapin_put(), or NULL.
 */
struct kmm_swapin *kmm_swapin_alloc(void)
{
	struct kmm_swapin *req;

	req = kmm_should_fail() ? NULL : kzalloc(sizeof(*req), GFP_KERNEL_ACCOUNT);
	if (!req)
		return NULL;
	INIT_WORK(&req->work, swapin_work);
	refcount_set(&req->ref, 1);
	init_completion(&req->done);
	return req;
}

/**
 * kmm_swapin_put() - Drop a reference of a request.
 * @req: request
 *
 * Context: task.
 */
void kmm_swapin_put(struct kmm_swapin *req)
{
	if (refcount_dec_and_test(&req->ref))
		kfree(req);
}

static void swapin_add_locked(struct kmm_swapin *req, pgoff_t index, kmm_swp_t swp,
			      struct page *page)
{
	req->index[req->nr] = index;
	req->entry[req->nr] = swp;
	req->page[req->nr] = page;
	req->nr++;
}

static bool swapin_runs_locked(struct kmm_object *o, pgoff_t index)
{
	struct kmm_swapin *req = kmm_swapin_find_locked(o, index);

	if (req)
		kmm_swapin_put(req);
	return req;
}

/* The frame for a page that nobody waits for; NULL: there are none to spare. */
static struct page *swapin_spare_frame(struct kmm_object *o)
{
	struct kmm_buddy *b = o->set->buddy;
	struct page *page;

	if (o->own_lruvec || o->no_ahead || READ_ONCE(b->nr_free) < b->watermark[KMM_WMARK_HIGH])
		return NULL;
	page = kmm_object_alloc_frame(o, KMM_OBJECT_GFP_FAST);
	return IS_ERR(page) ? NULL : page;
}

/**
 * kmm_swapin_start_locked() - Start to read a page, and those around it.
 * @o: object, locked
 * @index: page; in swap; nobody reads it yet
 * @req: new request; stays the caller's, too
 * @page: frame for it, taken over
 *
 * Context: task.
 */
void kmm_swapin_start_locked(struct kmm_object *o, pgoff_t index, struct kmm_swapin *req,
			     struct page *page)
{
	kmm_swp_t swp = kmm_entry_swap(*kmm_object_entry_locked(o, index));
	pgoff_t first = round_down(index, KMM_SWAPIN_WINDOW), i;
	pgoff_t end = min(first + KMM_SWAPIN_WINDOW, o->nr_pages);

	req->o = o;
	for (i = first; i < end; i++) {
		void *e = *kmm_object_entry_locked(o, i);
		struct page *spare;

		if (i == index) {
			swapin_add_locked(req, i, swp, page);
			continue;
		}
		if (!kmm_entry_is_swap(e) ||
		    kmm_swp_area(kmm_entry_swap(e)) != kmm_swp_area(swp) ||
		    swapin_runs_locked(o, i))
			continue;
		spare = swapin_spare_frame(o);
		if (spare)
			swapin_add_locked(req, i, kmm_entry_swap(e), spare);
	}
	list_add(&req->node, &o->swapins);
	WRITE_ONCE(o->reading, o->reading + req->nr);
	atomic_inc(&o->nr_evicting);
	refcount_inc(&req->ref);
	queue_work(swapin_queue, &req->work);
}

/* Place of page @index in @req; -1: it is not in it, or not any more. */
static int swapin_place(const struct kmm_swapin *req, pgoff_t index)
{
	int i;

	for (i = 0; i < req->nr; i++)
		if (req->index[i] == index)
			return i;
	return -1;
}

/**
 * kmm_swapin_find_locked() - Is somebody reading a page?
 * @o: object, locked
 * @index: page
 *
 * Context: task. Return: the request, with a reference, or NULL.
 */
struct kmm_swapin *kmm_swapin_find_locked(struct kmm_object *o, pgoff_t index)
{
	struct kmm_swapin *req;

	list_for_each_entry(req, &o->swapins, node) {
		int i = swapin_place(req, index);

		if (i >= 0 && !(req->cancelled & BIT(i))) {
			refcount_inc(&req->ref);
			return req;
		}
	}
	return NULL;
}

/**
 * kmm_swapin_cancel_locked() - An object gives a range up: pages of it that are being read go.
 * @o: object, locked
 * @first: first page
 * @end: behind the last
 *
 * Their entries are holes afterwards.
 *
 * Context: task.
 */
void kmm_swapin_cancel_locked(struct kmm_object *o, pgoff_t first, pgoff_t end)
{
	struct kmm_swapin *req;
	unsigned int i;

	list_for_each_entry(req, &o->swapins, node)
		for (i = 0; i < req->nr; i++) {
			if (req->index[i] < first || req->index[i] >= end ||
			    req->cancelled & BIT(i))
				continue;
			req->cancelled |= BIT(i);
			*kmm_object_entry_locked(o, req->index[i]) = NULL;
			WRITE_ONCE(o->swapped, o->swapped - 1);
		}
}

/**
 * kmm_swapin_wait() - Wait until a page was read, or could not be.
 * @req: request
 * @index: page of it
 *
 * Context: task, may sleep; no object is locked.
 * Return: 0: look again; -EIO; -EINTR killed.
 */
int kmm_swapin_wait(struct kmm_swapin *req, pgoff_t index)
{
	int i;

	if (wait_for_completion_killable(&req->done))
		return -EINTR;
	i = swapin_place(req, index);
	return i >= 0 && req->err[i] ? -EIO : 0;
}

/* === Many pages === */

/**
 * kmm_swapin_range() - Bring all pages of a range in that are in swap.
 * @o: object
 * @first: first page
 * @nr: how many; what lies behind the end is left out
 *
 * They may leave again at once, unless the caller sees to it that they do not.
 *
 * Context: task, may sleep. Return: 0, or as kmm_object_lock_pages().
 */
int kmm_swapin_range(struct kmm_object *o, pgoff_t first, unsigned long nr)
{
	pgoff_t index = first, end = nr > ULONG_MAX - first ? ULONG_MAX : first + nr;
	struct page *page;
	bool swapped;
	void **entry;
	int ret;

	while (READ_ONCE(o->swapped)) {
		mutex_lock(&o->lock);
		end = min(end, o->nr_pages);
		for (swapped = false; index < end && !swapped; index += !swapped) {
			entry = kmm_object_entry_locked(o, index);
			if (!entry)
				index |= KMM_LEAF_ENTRIES - 1;
			else
				swapped = kmm_entry_is_swap(*entry);
		}
		mutex_unlock(&o->lock);
		if (!swapped)
			return 0;
		ret = kmm_object_lock_pages(o, index, &page, 1);
		if (ret > 0)
			mutex_unlock(&o->lock);
		else if (ret != -ENXIO)
			return ret;
		index++;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* Slots of area @id that pages of @o keep although they are resident. */
static void swapin_drop_slots(struct kmm_object *o, u32 id)
{
	struct kmm_swap *swap = o->lruvec->lru->swap;
	unsigned long t;
	unsigned int i;

	for (t = 0; t < READ_ONCE(o->nr_top); t++) {
		struct kmm_leaf *leaf;

		mutex_lock(&o->lock);
		leaf = t < o->nr_top ? o->top[t] : NULL;
		for (i = 0; leaf && i < KMM_LEAF_ENTRIES; i++) {
			kmm_swp_t swp;

			if (!kmm_entry_is_page(leaf->entry[i]))
				continue;
			swp = kmm_lru_slot(o->lruvec->lru, leaf->entry[i]);
			if (!swp || kmm_swp_area(swp) != id)
				continue;
			swp = kmm_lru_take_slot_locked(o, leaf->entry[i]);
			if (swp) {
				SetPageDirty((struct page *)leaf->entry[i]);
				kmm_swap_free(swap, swp);
			}
		}
		mutex_unlock(&o->lock);
		cond_resched();
	}
}

/* All pages of @o that are in area @id. */
static int swapin_object(struct kmm_object *o, u32 id)
{
	pgoff_t index;
	int ret;

	for (index = 0; index < READ_ONCE(o->nr_pages) && READ_ONCE(o->swapped); index++) {
		struct page *page;
		bool there;
		void **entry;

		mutex_lock(&o->lock);
		entry = index < o->nr_pages ? kmm_object_entry_locked(o, index) : NULL;
		there = entry && kmm_entry_is_swap(*entry) &&
			kmm_swp_area(kmm_entry_swap(*entry)) == id;
		mutex_unlock(&o->lock);
		if (!entry)
			index |= KMM_LEAF_ENTRIES - 1;
		if (!there)
			continue;
		ret = kmm_object_lock_pages(o, index, &page, 1);
		if (ret > 0)
			mutex_unlock(&o->lock);
		else if (ret != -ENXIO)
			return ret;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	swapin_drop_slots(o, id);
	return 0;
}

/* The object with the lowest number above @id; it does not go until swapin_put_object(). */
static struct kmm_object *swapin_next_object(struct kmm_object_set *set, u64 id)
{
	struct kmm_object *o, *found = NULL;

	mutex_lock(&set->lock);
	list_for_each_entry(o, &set->list, node)
		if (o->id > id && o->lruvec) {
			atomic_inc(&o->nr_visitors);
			found = o;
			break;
		}
	mutex_unlock(&set->lock);
	return found;
}

static void swapin_put_object(struct kmm_object *o)
{
	/* The one that waits may free @o at once: the address is only a key then. */
	if (atomic_dec_and_test(&o->nr_visitors))
		wake_up_var(&o->nr_visitors);
}

/**
 * kmm_swapin_area() - Bring home everything that is in an area which gives out no more slots.
 * @set: all objects
 * @area_id: area
 *
 * Pages that are on their way there at the moment may arrive after it has looked: then
 * kmm_swap_remove() says so, and it is to be called again.
 *
 * Context: task, may sleep. Return: 0; -EIO a page that cannot be read; -ENOMEM, -EDQUOT no frame
 * for a page; -EINTR killed.
 */
int kmm_swapin_area(struct kmm_object_set *set, u32 area_id)
{
	struct kmm_object *o;
	u64 id = 0;
	int err = 0;

	while (!err && (o = swapin_next_object(set, id))) {
		id = o->id;
		err = swapin_object(o, area_id);
		swapin_put_object(o);
	}
	return err;
}
KMM_EXPORT_INTERNAL(kmm_swapin_area);

/* === Life === */

/**
 * kmm_swapin_setup() - The queue.
 *
 * Context: module load. Return: 0 or -ENOMEM.
 */
int kmm_swapin_setup(void)
{
	swapin_queue = kmm_should_fail() ? NULL :
		       alloc_workqueue("kmm_swapin", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return swapin_queue ? 0 : -ENOMEM;
}

/**
 * kmm_swapin_teardown() - The reverse; no request runs any more.
 *
 * Context: module unload.
 */
void kmm_swapin_teardown(void)
{
	destroy_workqueue(swapin_queue);
}
