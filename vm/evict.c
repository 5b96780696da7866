// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Eviction
 *
 * How pages leave the region. Who calls says how many frames are wanted, the policy of a
 * lruvec says which pages are candidates; here each candidate is judged, unmapped, and written
 * where that is needed. One round, of at most KMM_EVICT_BATCH candidates:
 *
 *  1. Candidates are taken from the policy (kmm_lru_isolate()), sorted by object and index.
 *  2. Object by object, under its lock: those that are pinned, held from outside or gone are
 *     skipped. The Accessed bits of all mappings, of processes and spaces, are read and cleared,
 *     and the policy decides. Those that go are unmapped, neighbours in one step. Now nobody
 *     can write to them, and Dirty is complete in PG_dirty.
 *  3. Clean ones leave at once: either swap has the same contents since they came from there, or
 *     they were never written and are a hole again. Dirty ones get a slot each.
 *  4. The object unlocked, the dirty ones are written, neighbouring slots in one step.
 *  5. The object locked again: those that nobody wanted meanwhile leave.
 *
 * The entry of the object changes from page to swap in step 5 only. Until then a fault finds the
 * page, takes it back (kmm_lru_rescue_locked()) and maps it without a wait; the copy that was
 * written is thrown away.
 *
 * What happens where it fails: no slot, or a write error: the page stays, dirty as it is, as if
 * it were new, so that it is not tried again at once. So a full or broken swap costs time, never
 * data; and not more than KMM_EVICT_FAILED_MAX writes to devices for one request: after these
 * only what is clean goes (KMM_EVICT_CLEAN).
 *
 * Page-out by advice takes pages by index in place of the policy, and does not ask it (step 2).
 * A space at its limit goes by its own tables.
 *
 * Locks: the object's lock in steps 2, 3 and 5, the lruvec's inside of it. Whoever calls may
 * hold what comes before an object's lock, and no object's lock. Nothing of kmm is locked while
 * a device writes.
 *
 * What this deliberately does not do: no eviction of private frames of spaces, page tables,
 * slabs; those have shrinkers or stay. No huge pages.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/assert.h>
#include <kmm/buddy.h>
#include <kmm/inject.h>
#include <kmm/object.h>
#include <kmm/space.h>
#include <trace/events/kmm.h>

/* === Data === */

/* Whoever is at a limit sleeps so often, up to a millisecond each, before he gives up. */
#define ROOM_TRIES	20

/**
 * struct evict_round - one object's candidates in one round
 * @o: object
 * @from: lruvec whose policy, and Accessed bits, are to be asked; NULL: all candidates go
 * @who: on whose behalf
 * @res: sums of the call
 * @nr: entries of @c that are still candidates
 * @c: candidates, by index
 * @entry: where they are written to
 * @nr_free: entries of @free
 * @free: frames that have left the object
 */
struct evict_round {
	struct kmm_object *o;
	const struct kmm_lruvec *from;
	enum kmm_evict_who who;
	struct kmm_evict_result *res;
	unsigned int nr;
	struct kmm_candidate *c;
	kmm_swp_t entry[KMM_EVICT_BATCH];
	unsigned int nr_free;
	struct page *free[KMM_EVICT_BATCH];
};

/* === One object === */

/* Does somebody besides the region and the page tables of processes hold it? */
static bool evict_is_held(struct page *page, int refs)
{
	return page_count(page) != refs + page_mapcount(page);
}

static bool evict_is_young(struct kmm_object *o, const struct kmm_candidate *c)
{
	bool young = TestClearPageReferenced(c->page);

	if (o->mops && page_mapped(c->page))
		young |= o->mops->test_and_clear_young(o, c->index);
	/* A leaf of a space comes only under the object's lock. */
	if (!list_empty(&o->areas))
		young |= kmm_rmap_test_and_clear_young(o, c->index);
	return young;
}

/* It is still where it was when it was isolated. */
static bool evict_is_there_locked(struct kmm_object *o, const struct kmm_candidate *c)
{
	void **entry = kmm_object_entry_locked(o, c->index);

	return kmm_lru_still_locked(c) && entry && *entry == c->page;
}

/* Step 2, until the policy has decided. */
static void evict_judge_locked(struct evict_round *r)
{
	struct kmm_lru *lru = r->o->lruvec->lru;
	unsigned int i, nr = 0, young = 0, pinned = 0;

	for (i = 0; i < r->nr; i++) {
		struct kmm_candidate *c = &r->c[i];

		if (!evict_is_there_locked(r->o, c)) {
			r->res->busy++;
			continue;
		}
		if (r->o->nr_pins || kmm_object_is_held_locked(r->o, c->index) ||
		    evict_is_held(c->page, 1)) {
			pinned++;
			kmm_lru_putback_locked(r->o, c->page, kmm_lru_slot(lru, c->page));
			continue;
		}
		if (r->from && kmm_lru_judge_locked(r->from, c, !r->o->lruvec->exact &&
						    evict_is_young(r->o, c))) {
			young++;
			continue;
		}
		r->c[nr++] = *c;
	}
	kmm_lru_count(lru, KMM_PGACTIVATE, young);
	kmm_lru_count(lru, KMM_PGSKIP_PINNED, pinned);
	r->res->young += young;
	r->res->pinned += pinned;
	r->nr = nr;
}

/* The rest of step 2: neighbours in one step. */
static void evict_unmap_locked(struct evict_round *r)
{
	unsigned int i, run;

	for (i = 0; i < r->nr; i += run) {
		bool mapped = !list_empty(&r->o->areas);

		for (run = 0; i + run < r->nr && r->c[i + run].index == r->c[i].index + run; run++)
			mapped |= page_mapped(r->c[i + run].page);
		if (mapped)
			kmm_object_unmap(r->o, r->c[i].index, run);
	}
}

/* The page of @c, mapped by nobody, leaves; swap has it in @swp, or it is a hole. */
static void evict_leave_locked(struct evict_round *r, const struct kmm_candidate *c, kmm_swp_t swp)
{
	struct kmm_object *o = r->o;
	void **entry = kmm_object_entry_locked(o, c->index);
	u32 shadow = kmm_lru_evicted_locked(o, c->page);

	if (swp) {
		kmm_swap_set_shadow(o->lruvec->lru->swap, swp, shadow);
		*entry = kmm_entry_of_swap(swp);
		WRITE_ONCE(o->swapped, o->swapped + 1);
	} else {
		*entry = kmm_entry_of_shadow(shadow);
	}
	WRITE_ONCE(o->resident, o->resident - 1);
	trace_evict_page(o->id, c->index, page_to_pfn(c->page), swp, r->who);
	r->free[r->nr_free++] = c->page;
}

/* Step 3. Leaves those candidates that are to be written. */
static void evict_clean_locked(struct evict_round *r)
{
	struct kmm_lru *lru = r->o->lruvec->lru;
	unsigned int i, nr = 0, clean = 0, noswap = 0, pinned = 0;

	for (i = 0; i < r->nr; i++) {
		struct kmm_candidate *c = &r->c[i];
		kmm_swp_t swp = kmm_lru_slot(lru, c->page);

		if (evict_is_held(c->page, 1)) {
			pinned++;
			kmm_lru_putback_locked(r->o, c->page, swp);
			continue;
		}
		/* No more of them into an area that is to be emptied. */
		if (swp && kmm_swap_closing(lru->swap, swp))
			SetPageDirty(c->page);
		if (!PageDirty(c->page)) {
			clean++;
			evict_leave_locked(r, c, swp);
			continue;
		}
		if (swp)
			kmm_swap_free(lru->swap, swp);
		swp = r->who == KMM_EVICT_CLEAN ? 0 : kmm_swap_alloc(lru->swap);
		if (!swp) {
			noswap++;
			kmm_lru_putback_locked(r->o, c->page, 0);
			continue;
		}
		get_page(c->page);
		kmm_lru_writeback_locked(r->o, c->page, swp);
		r->entry[nr] = swp;
		r->c[nr++] = *c;
	}
	kmm_lru_count(lru, KMM_PGDROP_CLEAN, clean);
	kmm_lru_count(lru, KMM_PGSKIP_NOSWAP, noswap);
	kmm_lru_count(lru, KMM_PGSKIP_PINNED, pinned);
	r->res->pinned += pinned;
	r->res->dirty += nr + noswap;
	r->nr = nr;
}

/* Step 4. */
static noinline_for_stack void evict_write(struct evict_round *r, int *errs)
{
	struct page *pages[KMM_EVICT_BATCH];
	unsigned int i, noio;

	for (i = 0; i < r->nr; i++) {
		pages[i] = r->c[i].page;
		trace_mm_vmscan_write_folio(pages[i], r->entry[i]);
	}
	noio = memalloc_noio_save();
	kmm_swap_write(r->o->lruvec->lru->swap, r->entry, pages, r->nr, errs);
	memalloc_noio_restore(noio);
}

/* Step 5. */
static void evict_finish_locked(struct evict_round *r, const int *errs)
{
	struct kmm_object *o = r->o;
	struct kmm_lru *lru = o->lruvec->lru;
	unsigned int i, out = 0, failed = 0;

	for (i = 0; i < r->nr; i++) {
		struct kmm_candidate *c = &r->c[i];
		kmm_swp_t swp = r->entry[i];
		enum kmm_written w = kmm_lru_written_locked(o, c->page, swp);

		failed += !!errs[i];
		out += !errs[i];
		/* Memory that does not take this page may take another one. */
		r->res->failed += errs[i] && !kmm_swap_is_sync(lru->swap, swp);
		put_page(c->page);
		if (w == KMM_WRITTEN_MINE && !errs[i] && !o->nr_pins &&
		    !kmm_object_is_held_locked(o, c->index) &&
		    !kmm_swap_closing(lru->swap, swp) && page_count(c->page) == 1) {
			evict_leave_locked(r, c, swp);
			continue;
		}
		if (w == KMM_WRITTEN_MINE)
			kmm_lru_putback_locked(o, c->page, 0);
		else if (w == KMM_WRITTEN_ORPHAN)
			r->free[r->nr_free++] = c->page;
		kmm_swap_free(lru->swap, swp);
	}
	kmm_lru_count(lru, KMM_PSWPOUT, out);
	kmm_lru_count(lru, KMM_SWPOUT_ERROR, failed);
}

static void evict_free(struct evict_round *r)
{
	kmm_lru_count(r->o->lruvec->lru, r->who == KMM_EVICT_KSWAPD ? KMM_PGSTEAL_KSWAPD :
								      KMM_PGSTEAL_DIRECT,
		      r->nr_free);
	r->res->stolen += r->nr_free;
	while (r->nr_free)
		kmm_object_free_frame(r->o, r->free[--r->nr_free]);
}

/* Candidates of one object, by index. */
static noinline_for_stack void evict_object(struct kmm_object *o, struct kmm_candidate *c,
					    unsigned int nr, const struct kmm_lruvec *from,
					    enum kmm_evict_who who, struct kmm_evict_result *res)
{
	struct evict_round r = { .o = o, .from = from, .who = who, .res = res, .nr = nr, .c = c };
	struct kmm_lru *lru = o->lruvec->lru;
	int errs[KMM_EVICT_BATCH];

	mutex_lock(&o->lock);
	evict_judge_locked(&r);
	evict_unmap_locked(&r);
	evict_clean_locked(&r);
	mutex_unlock(&o->lock);
	evict_free(&r);
	if (r.nr) {
		unsigned int writing = r.nr;

		atomic_long_add(writing, &lru->nr_writing);
		evict_write(&r, errs);
		mutex_lock(&o->lock);
		evict_finish_locked(&r, errs);
		mutex_unlock(&o->lock);
		evict_free(&r);
		/* Orders what was freed before it. Pairs with reclaim_wait(). */
		atomic_long_sub_return(writing, &lru->nr_writing);
	}
	kmm_lru_put_candidates(o, nr);
}

/* === Many objects === */

static bool evict_before(const struct kmm_candidate *a, const struct kmm_candidate *b)
{
	return a->object == b->object ? a->index < b->index : a->object < b->object;
}

/* By insertion: they come nearly sorted, in the order in which they were used first. */
static void evict_sort(struct kmm_candidate *c, unsigned int nr)
{
	unsigned int i, k;

	for (i = 1; i < nr; i++) {
		struct kmm_candidate one = c[i];

		for (k = i; k && evict_before(&one, &c[k - 1]); k--)
			c[k] = c[k - 1];
		c[k] = one;
	}
}

static void evict_count(struct kmm_lru *lru, enum kmm_evict_who who,
			const struct kmm_evict_result *res)
{
	kmm_lru_count(lru, who == KMM_EVICT_KSWAPD ? KMM_PGSCAN_KSWAPD : KMM_PGSCAN_DIRECT,
		      res->scanned);
	kmm_lru_count(lru, KMM_PGSKIP_BUSY, res->busy);
}

/**
 * kmm_evict() - One round of eviction from a lruvec.
 * @v: lruvec; does not go meanwhile
 * @nr: candidates, at most KMM_EVICT_BATCH
 * @who: on whose behalf
 * @res: what it came to
 *
 * Context: task, may sleep, also for I/O; no object is locked.
 */
void kmm_evict(struct kmm_lruvec *v, unsigned int nr, enum kmm_evict_who who,
	       struct kmm_evict_result *res)
{
	struct kmm_candidate c[KMM_EVICT_BATCH];
	unsigned int i, run;

	*res = (struct kmm_evict_result) { };
	nr = kmm_lru_isolate(v, c, min_t(unsigned int, nr, KMM_EVICT_BATCH));
	res->scanned = nr;
	evict_sort(c, nr);
	for (i = 0; i < nr; i += run) {
		struct kmm_object *o = c[i].object;

		for (run = 1; i + run < nr && c[i + run].object == o; run++)
			;
		evict_object(o, &c[i], run, v, who, res);
	}
	evict_count(v->lru, who, res);
	trace_mm_vmscan_lru_shrink_inactive(res->scanned, res->stolen, res->dirty, res->young,
					    res->pinned, who);
}
KMM_EXPORT_INTERNAL(kmm_evict);

/* The one with most pages; for kmm_lruvec_put(). */
static struct kmm_lruvec *evict_get_largest(struct kmm_lru *lru)
{
	struct kmm_lruvec *v, *best = &lru->global;

	down_read(&lru->vecs_lock);
	list_for_each_entry(v, &lru->vecs, node)
		if (!v->exact && READ_ONCE(v->policy.nr) > READ_ONCE(best->policy.nr))
			best = v;
	atomic_inc(&best->users);
	up_read(&lru->vecs_lock);
	return best;
}

/* The next one behind @v that has pages, for kmm_lruvec_put(); @v itself is put. */
static struct kmm_lruvec *evict_get_next(struct kmm_lru *lru, struct kmm_lruvec *v)
{
	struct kmm_lruvec *next = v, *found = NULL;

	down_read(&lru->vecs_lock);
	/* Behind one that goes meanwhile, nobody is known any more. */
	if (!list_empty(&v->node))
		list_for_each_entry_continue(next, &lru->vecs, node)
			if (!next->exact && READ_ONCE(next->policy.nr)) {
				found = next;
				atomic_inc(&found->users);
				break;
			}
	up_read(&lru->vecs_lock);
	kmm_lruvec_put(v);
	return found;
}

/**
 * kmm_evict_any() - One round of eviction, wherever most pages are.
 * @lru: lru
 * @nr: candidates, at most KMM_EVICT_BATCH
 * @who: on whose behalf
 * @res: what it came to
 *
 * Where nothing of it can leave, all others get their round: its pages may be pinned for long.
 *
 * Context: task, may sleep, also for I/O; no object is locked.
 */
void kmm_evict_any(struct kmm_lru *lru, unsigned int nr, enum kmm_evict_who who,
		   struct kmm_evict_result *res)
{
	struct kmm_lruvec *largest = evict_get_largest(lru), *v;
	struct kmm_evict_result more;

	kmm_evict(largest, nr, who, res);
	/* From here on a key: who wants it to go does not wait for the others' device. */
	kmm_lruvec_put(largest);
	/* It is always there, and always the first one. */
	v = &lru->global;
	atomic_inc(&v->users);
	for (; v && !res->stolen; v = evict_get_next(lru, v)) {
		if (v == largest)
			continue;
		kmm_evict(v, nr, who == KMM_EVICT_DIRECT ? kmm_evict_direct(res->failed) : who,
			  &more);
		res->scanned += more.scanned;
		res->stolen += more.stolen;
		res->busy += more.busy;
		res->young += more.young;
		res->pinned += more.pinned;
		res->dirty += more.dirty;
		res->failed += more.failed;
	}
	if (v)
		kmm_lruvec_put(v);
}
KMM_EXPORT_INTERNAL(kmm_evict_any);

/**
 * kmm_evict_nr_pages() - Pages that eviction could look at.
 * @lru: lru
 *
 * Context: task, may sleep. Return: their number, of a moment.
 */
unsigned long kmm_evict_nr_pages(struct kmm_lru *lru)
{
	struct kmm_lruvec *v;
	unsigned long nr = 0;

	down_read(&lru->vecs_lock);
	list_for_each_entry(v, &lru->vecs, node)
		if (!v->exact)
			nr += READ_ONCE(v->policy.nr);
	up_read(&lru->vecs_lock);
	return nr;
}
KMM_EXPORT_INTERNAL(kmm_evict_nr_pages);

/* === By index === */

/* Candidates from [*index, end); *@index moves behind the last one. The object is not locked. */
static unsigned int evict_pick(struct kmm_object *o, pgoff_t *index, pgoff_t end,
			       struct kmm_candidate *c, unsigned int max)
{
	unsigned int nr = 0;

	mutex_lock(&o->lock);
	end = min(end, o->nr_pages);
	while (*index < end && nr < max) {
		void **entry = kmm_object_entry_locked(o, *index);

		if (!entry)
			*index |= KMM_LEAF_ENTRIES - 1;
		else if (kmm_entry_is_page(*entry) &&
			 kmm_lru_isolate_page_locked(o, *entry, &c[nr]))
			nr++;
		++*index;
	}
	mutex_unlock(&o->lock);
	return nr;
}

/* Pages [first, first + nr) leave, those that can. @res: what it came to, and before. */
static int evict_range(struct kmm_object *o, pgoff_t first, unsigned long nr,
		       struct kmm_evict_result *res)
{
	pgoff_t end = nr > ULONG_MAX - first ? ULONG_MAX : first + nr;
	struct kmm_candidate c[KMM_EVICT_BATCH];
	unsigned int got;

	for (;;) {
		got = evict_pick(o, &first, end, c, KMM_EVICT_BATCH);
		if (!got)
			return 0;
		res->scanned += got;
		evict_object(o, c, got, NULL, kmm_evict_direct(res->failed), res);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/**
 * kmm_object_pageout() - Evict the pages of a range, whatever the policy thinks of them.
 * @o: object
 * @first: first page
 * @nr: how many; what lies behind the end is left out
 *
 * Pages that are pinned, or that find no place in swap, stay.
 *
 * Context: task, may sleep, also for I/O.
 * Return: frames that came free, -EPERM the object's frames are fixed; -EINTR killed.
 */
long kmm_object_pageout(struct kmm_object *o, pgoff_t first, unsigned long nr)
{
	struct kmm_evict_result res = { };
	int err;

	if (!o->lruvec)
		return -EPERM;
	err = evict_range(o, first, nr, &res);
	evict_count(o->lruvec->lru, KMM_EVICT_DIRECT, &res);
	return err ?: res.stolen;
}
KMM_EXPORT_INTERNAL(kmm_object_pageout);

/* Has another thread pages of @o in hand? Then it sleeps for a moment. */
static bool evict_others_work(struct kmm_object *o)
{
	if (!atomic_read(&o->nr_evicting))
		return false;
	usleep_range(100, 200);
	return true;
}

/**
 * kmm_object_cold() - Forget that pages of a range were used.
 * @o: object
 * @first: first page
 * @nr: how many; what lies behind the end is left out
 *
 * Their Accessed bits are cleared, and the policy has them as new ones.
 *
 * Context: task, may sleep. Return: pages.
 */
unsigned long kmm_object_cold(struct kmm_object *o, pgoff_t first, unsigned long nr)
{
	pgoff_t end = nr > ULONG_MAX - first ? ULONG_MAX : first + nr;
	unsigned long done = 0;
	struct kmm_candidate c;

	while (o->lruvec && evict_pick(o, &first, end, &c, 1)) {
		mutex_lock(&o->lock);
		if (evict_is_there_locked(o, &c)) {
			evict_is_young(o, &c);
			kmm_lru_putback_locked(o, c.page, kmm_lru_slot(o->lruvec->lru, c.page));
			done++;
		}
		mutex_unlock(&o->lock);
		kmm_lru_put_candidates(o, 1);
		cond_resched();
	}
	return done;
}
KMM_EXPORT_INTERNAL(kmm_object_cold);

/**
 * kmm_object_evict_own() - An object's pages go in favour of another page of it.
 * @o: object
 * @nr: candidates, at most KMM_EVICT_BATCH
 *
 * For users who are at their limit: a hand goes round the object, used pages stay once.
 *
 * Context: task, may sleep, also for I/O; no object is locked.
 * Return: true if frames came free, here or in the hands of others: it is worth another try.
 */
bool kmm_object_evict_own(struct kmm_object *o, unsigned int nr)
{
	struct kmm_candidate c[KMM_EVICT_BATCH];
	struct kmm_evict_result res = { };
	unsigned int got, round = 0;
	bool waited = false;
	pgoff_t hand;

	if (!o->lruvec)
		return false;
	while (!res.stolen && !waited && !fatal_signal_pending(current)) {
		hand = READ_ONCE(o->hand);
		got = evict_pick(o, &hand, ULONG_MAX, c, min_t(unsigned int, nr, KMM_EVICT_BATCH));
		WRITE_ONCE(o->hand, got ? hand : 0);
		res.scanned += got;
		if (got) {
			evict_object(o, c, got, o->lruvec, kmm_evict_direct(res.failed), &res);
			continue;
		}
		waited = evict_others_work(o);
		/* Used pages are not used any more the second time, held ones perhaps later. */
		if (!READ_ONCE(o->resident) || ++round > ROOM_TRIES)
			break;
		if (round > 2)
			usleep_range(500, 1000);
		cond_resched();
	}
	evict_count(o->lruvec->lru, KMM_EVICT_DIRECT, &res);
	return res.stolen || waited;
}
KMM_EXPORT_INTERNAL(kmm_object_evict_own);

/* === Limits of spaces === */

/* Leaves of one look at the tables. */
#define TRIM_BATCH	32

struct trim {
	unsigned int nr;
	unsigned long addr[TRIM_BATCH];
};

static int trim_leaf(void *ctx, unsigned long addr, unsigned int shift, unsigned long entry,
		     unsigned long effective)
{
	struct trim *t = ctx;

	if (shift == PAGE_SHIFT && !(entry & KMM_PT_PRIVATE) && !kmm_espfix_covers(addr))
		t->addr[t->nr++] = addr;
	return t->nr == TRIM_BATCH;
}

/**
 * kmm_space_over_limit() - Has a space as many pages as it may have?
 * @s: space
 *
 * Context: any. Return: true if so.
 */
bool kmm_space_over_limit(struct kmm_space *s)
{
	u64 limit = READ_ONCE(s->limit_pages);

	return unlikely(limit) && atomic_long_read(&s->pt.resident) >= limit;
}

/* The leaf at @addr goes, and its page, when nobody else shows it. */
static void trim_one(struct kmm_space *s, unsigned long addr, unsigned int *failed)
{
	struct kmm_evict_result res = { .failed = *failed };
	struct kmm_area *area = kmm_space_find_locked(s, addr);
	struct kmm_pt_gather g;
	struct kmm_object *o;
	bool alone;

	/* It has gone meanwhile, or was used. */
	if (!area || !area->object || kmm_pt_test_and_clear(&s->pt, addr, _PAGE_ACCESSED))
		return;
	o = area->object;
	kmm_rmap_lock(area);
	kmm_pt_gather_init(&g, &s->pt, kmm_space_drop, s);
	g.keep = KMM_PT_PRIVATE;
	kmm_pt_zap(&g, addr, addr + PAGE_SIZE);
	kmm_pt_gather_finish(&g);
	alone = list_is_singular(&o->areas);
	kmm_rmap_unlock(area);
	if (!alone || !o->lruvec || (o->mapping && mapping_mapped(o->mapping)))
		return;
	evict_range(o, area->pgoff + ((addr - area->start) >> PAGE_SHIFT), 1, &res);
	evict_count(o->lruvec->lru, KMM_EVICT_DIRECT, &res);
	*failed = res.failed;
}

/**
 * kmm_space_trim_locked() - A space that is at its limit lets pages of objects go.
 * @s: space, locked for reading
 *
 * A hand goes round its tables; pages that were used since it came by last stay. Twice round is
 * enough for all.
 *
 * Context: task, may sleep, also for I/O; no object is locked.
 * Return: true: there is room; false: there is nothing but private frames and what cannot go.
 */
bool kmm_space_trim_locked(struct kmm_space *s)
{
	unsigned int rounds = 2 * (2 + atomic_long_read(&s->pt.resident) / TRIM_BATCH), i;
	unsigned int failed = 0;
	struct trim t;

	while (kmm_space_over_limit(s)) {
		unsigned long hand = READ_ONCE(s->trim_hand);

		if (!rounds-- || fatal_signal_pending(current))
			return false;
		t.nr = 0;
		kmm_pt_for_each(&s->pt, false, hand, kmm_space_end(), trim_leaf, &t);
		WRITE_ONCE(s->trim_hand,
			   t.nr == TRIM_BATCH ? t.addr[TRIM_BATCH - 1] + PAGE_SIZE : 0);
		for (i = 0; i < t.nr && kmm_space_over_limit(s); i++)
			trim_one(s, t.addr[i], &failed);
		cond_resched();
	}
	return true;
}

/* === Limits of objects === */

/* Frames that @o has, also those that pages are being read into. */
static unsigned long evict_nr_frames(const struct kmm_object *o)
{
	return READ_ONCE(o->resident) + READ_ONCE(o->reading);
}

/**
 * kmm_object_is_full_locked() - Must a page of an object go before another one comes?
 * @o: object, locked
 * @index: the page that comes. One that an operation of kmm holds may come: it could be that all
 *	others are held, too
 *
 * Context: task. Return: true: call kmm_object_make_room().
 */
bool kmm_object_is_full_locked(const struct kmm_object *o, pgoff_t index)
{
	return o->own_lruvec && o->lruvec->limit_pages &&
	       evict_nr_frames(o) >= o->lruvec->limit_pages && !kmm_object_is_held_locked(o, index);
}

/* Candidates of one round. In exact mode the victim is the one that the reference costs. */
static unsigned int evict_room(const struct kmm_lruvec *v, unsigned long nr_frames, u32 limit)
{
	unsigned long more = v->exact ? 1 : clamp(limit / 8, 1U, KMM_EVICT_BATCH / 2U);

	return min_t(unsigned long, nr_frames - limit + more, KMM_EVICT_BATCH);
}

/**
 * kmm_object_make_room() - An object that is at its limit wants one more page.
 * @o: object with a lruvec of its own
 *
 * Context: task, may sleep, also for I/O; no object is locked.
 * Return: 0: look again; -ENOMEM none of its pages can go; -EINTR killed.
 */
int kmm_object_make_room(struct kmm_object *o)
{
	struct kmm_lruvec *v = o->lruvec;
	unsigned long scanned = 0, nr_frames, most;
	unsigned int tries = 0, failed = 0;
	struct kmm_evict_result res;
	u32 limit;

	most = 4 * (unsigned long)READ_ONCE(v->policy.nr) + KMM_EVICT_BATCH;
	for (;;) {
		limit = READ_ONCE(v->limit_pages);
		nr_frames = evict_nr_frames(o);
		if (!limit || nr_frames < limit)
			return 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		kmm_evict(v, evict_room(v, nr_frames, limit), kmm_evict_direct(failed), &res);
		failed += res.failed;
		if (res.stolen)
			continue;
		/* All are in the hands of others, or held for an operation that ends. */
		if ((res.busy || !res.scanned) && evict_others_work(o))
			continue;
		scanned += res.scanned ?: 1;
		if (scanned <= most)
			continue;
		/* A read(2) or write(2) of others holds its page for a moment. */
		if (tries++ == ROOM_TRIES && !READ_ONCE(o->hold[0].end) &&
		    !READ_ONCE(o->hold[1].end))
			return -ENOMEM;
		tries = min_t(unsigned int, tries, ROOM_TRIES);
		usleep_range(500, 1000);
	}
}

static int object_own_lruvec(struct kmm_object *o, u32 capacity, const struct kmm_policy_ops *ops)
{
	struct kmm_lru *lru = o->set->lru;
	struct kmm_lruvec *v;
	unsigned long t;
	unsigned int i;
	int err;

	v = kmm_account_zalloc(o->account, sizeof(*v));
	if (IS_ERR(v))
		return PTR_ERR(v);
	err = kmm_lruvec_init(v, lru, ops ?: lru->global.policy.ops, capacity);
	if (err) {
		kmm_account_free(o->account, v, sizeof(*v));
		return err;
	}
	mutex_lock(&o->lock);
	if (o->own_lruvec) {
		mutex_unlock(&o->lock);
		kmm_lruvec_fini(v);
		kmm_account_free(o->account, v, sizeof(*v));
		return 0;
	}
	for (t = 0; t < o->nr_top; t++)
		for (i = 0; o->top[t] && i < KMM_LEAF_ENTRIES; i++)
			if (kmm_entry_is_page(o->top[t]->entry[i]))
				kmm_lru_move_locked(o, o->top[t]->entry[i], v);
	o->lruvec = v;
	o->own_lruvec = true;
	o->host_bytes += sizeof(*v);
	mutex_unlock(&o->lock);
	return 0;
}

/**
 * kmm_object_set_limit() - An object may have so many pages resident, and evicts its own.
 * @o: object
 * @limit_pages: frames; 0: no limit any more
 * @ops: policy among its pages; NULL: as it is, or as the global one
 * @exact: uses are told by kmm_object_reference(); Accessed bits are not asked, and nobody but the
 *	limit evicts pages of it
 *
 * What is above the limit leaves at the next fault.
 *
 * Context: task, may sleep; serialised by the caller.
 * Return: 0; -EPERM the object's frames are fixed; -ENOMEM; -EDQUOT.
 */
int kmm_object_set_limit(struct kmm_object *o, u32 limit_pages, const struct kmm_policy_ops *ops,
			 bool exact)
{
	int err = 0;

	if (!o->lruvec)
		return -EPERM;
	if (!o->own_lruvec) {
		if (!limit_pages)
			return 0;
		err = object_own_lruvec(o, limit_pages, ops);
	} else if (ops || limit_pages) {
		err = kmm_lruvec_resize(o->lruvec, ops, limit_pages);
	}
	if (err)
		return err;
	spin_lock(&o->lruvec->lock);
	o->lruvec->limit_pages = limit_pages;
	o->lruvec->exact = exact;
	spin_unlock(&o->lruvec->lock);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_object_set_limit);

/**
 * kmm_object_reference() - Use a page of an object in exact mode.
 * @o: object with a limit in exact mode
 * @index: page
 * @write: leave a mark in it, so that it has to be written when it leaves
 *
 * Context: task, may sleep, also for I/O.
 * Return: 0: it was there; 1: it was not; negative as kmm_object_lock_pages().
 */
int kmm_object_reference(struct kmm_object *o, pgoff_t index, bool write)
{
	bool there = false;
	struct page *page;
	void **entry;
	int ret;

	mutex_lock(&o->lock);
	entry = index < o->nr_pages ? kmm_object_entry_locked(o, index) : NULL;
	if (entry && kmm_entry_is_page(*entry)) {
		there = true;
		kmm_lru_touch_locked(o, *entry);
	}
	o->lruvec->references++;
	o->lruvec->faults += !there;
	mutex_unlock(&o->lock);
	ret = there && !write ? 1 : kmm_object_lock_pages(o, index, &page, 1);
	if (ret < 0)
		return ret;
	if (!there || write) {
		if (write) {
			*(u64 *)page_address(page) = index;
			SetPageDirty(page);
		}
		mutex_unlock(&o->lock);
	}
	return !there;
}
KMM_EXPORT_INTERNAL(kmm_object_reference);
