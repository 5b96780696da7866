// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Pages that compete for frames
 *
 * A lruvec is a set of pages with one policy (policy/), which says who goes first, and one
 * lock. All objects of an instance share one, the global lruvec; an object with a limit has one
 * of its own, and so has each replay of a trace. The name is Linux's, whatever the policy is.
 *
 * A policy knows frames by index. What it takes to evict one, whose page it is and whether swap
 * already has its contents, is in an array beside the frames (struct kmm_lru_page): 16 bytes of
 * host memory per frame, the price for finding an object from a frame. The page's index in the
 * object is in folio->index.
 *
 * States of a page::
 *
 *	none -> LISTED			the object got it: kmm_lru_add_locked()
 *	LISTED -> ISOLATED		somebody took it from the policy: kmm_lru_isolate()
 *	ISOLATED -> LISTED		it stays: kmm_lru_putback_locked()
 *	ISOLATED -> WRITEBACK		vm/evict.c writes it
 *	WRITEBACK -> LISTED		a fault wants it (kmm_lru_rescue_locked()), or it failed
 *	WRITEBACK -> none		written, or the object gave it up
 *	any -> none			the object gave it up: kmm_lru_del_locked()
 *
 * Everything but isolation happens under the lock of the page's object; the lruvec's lock comes
 * below it. Isolation has no object's lock: it counts itself in the object
 * (kmm_object.nr_evicting), and whoever frees an object waits until that is 0. After it has the
 * object's lock, it looks whether the page is still ISOLATED and still in the object.
 *
 * A page in WRITEBACK is mapped by nobody, and the writer has a reference of its frame. Whoever
 * wants to map it, or to look into it, takes it back first: then the writer finds that the word is
 * not its own any more, and frees nothing but its slot. An object that gives up such a page
 * leaves the frame to the writer.
 *
 * Global eviction goes over all lruvecs, the one with most pages first; those in exact mode are
 * left out, they are experiments with a number of frames of their own.
 *
 * A switch of the policy hands the listed pages over. A page that is isolated meanwhile goes back
 * as a new page: the epoch tells.
 *
 * Invariants: LISTED pages are the policy's, p->nr of them; a frame that is in no object's index
 * has an all-zero entry, but for one in WRITEBACK, which is the writer's.
 *
 * What this deliberately does not do: no per-CPU batches in front of the lock: an addition costs
 * about as much as the batch would.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <compat/compat.h>
#include <kmm/assert.h>
#include <kmm/buddy.h>
#include <kmm/inject.h>
#include <kmm/lru.h>
#include <kmm/object.h>

const char * const kmm_lru_event_names[KMM_NR_LRU_EVENTS] = {
	[KMM_PGSCAN_KSWAPD] = "pgscan_kswapd",
	[KMM_PGSCAN_DIRECT] = "pgscan_direct",
	[KMM_PGSTEAL_KSWAPD] = "pgsteal_kswapd",
	[KMM_PGSTEAL_DIRECT] = "pgsteal_direct",
	[KMM_PGACTIVATE] = "pgactivate",
	[KMM_PGSKIP_PINNED] = "pgskip_pinned",
	[KMM_PGSKIP_BUSY] = "pgskip_busy",
	[KMM_PGSKIP_NOSWAP] = "pgskip_noswap",
	[KMM_PGDROP_CLEAN] = "pgdrop_clean",
	[KMM_PGRESCUED] = "pgrescued",
	[KMM_PSWPIN] = "pswpin",
	[KMM_PSWPOUT] = "pswpout",
	[KMM_SWPIN_RA] = "swap_ra",
	[KMM_SWPIN_ERROR] = "pswpin_error",
	[KMM_SWPOUT_ERROR] = "pswpout_error",
	[KMM_WORKINGSET_REFAULT] = "workingset_refault",
	[KMM_OOM] = "oom",
};
KMM_EXPORT_INTERNAL(kmm_lru_event_names);

/* === Life === */

/**
 * kmm_lruvec_init() - An empty set of pages.
 * @v: caller's memory
 * @lru: the instance
 * @ops: policy
 * @capacity: most pages that it will have resident, for the sizes of the policy's parts
 *
 * Context: task, may sleep. Return: 0 or -ENOMEM.
 */
int kmm_lruvec_init(struct kmm_lruvec *v, struct kmm_lru *lru, const struct kmm_policy_ops *ops,
		    u32 capacity)
{
	int err;

	memset(v, 0, sizeof(*v));
	v->lru = lru;
	spin_lock_init(&v->lock);
	err = kmm_policy_init(&v->policy, ops, lru->buddy->region->frames, capacity);
	if (err)
		return err;
	down_write(&lru->vecs_lock);
	list_add_tail(&v->node, &lru->vecs);
	up_write(&lru->vecs_lock);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_lruvec_init);

/**
 * kmm_lruvec_fini() - The end; no page is in it.
 * @v: lruvec
 *
 * Context: task, may sleep.
 */
void kmm_lruvec_fini(struct kmm_lruvec *v)
{
	down_write(&v->lru->vecs_lock);
	list_del_init(&v->node);
	up_write(&v->lru->vecs_lock);
	wait_var_event(&v->users, !atomic_read(&v->users));
	kmm_assert(!v->policy.nr);
	kmm_policy_fini(&v->policy);
}
KMM_EXPORT_INTERNAL(kmm_lruvec_fini);

/**
 * kmm_lruvec_put() - A user of a lruvec goes.
 * @v: lruvec; may be gone when this returns
 *
 * Context: task.
 */
void kmm_lruvec_put(struct kmm_lruvec *v)
{
	/* The one that waits may free @v at once: the address is only a key then. */
	if (atomic_dec_and_test(&v->users))
		wake_up_var(&v->users);
}

/**
 * kmm_lruvec_resize() - Another policy, or sizes, from now on; resident pages are handed over.
 * @v: lruvec
 * @ops: policy; NULL: as it is
 * @capacity: as in kmm_lruvec_init(); 0: as it is
 *
 * Context: task, may sleep; holds the lruvec's lock while all its pages are handed over.
 * Return: 0 or -ENOMEM.
 */
int kmm_lruvec_resize(struct kmm_lruvec *v, const struct kmm_policy_ops *ops, u32 capacity)
{
	struct kmm_policy new;
	int err;

	mutex_lock(&v->lru->policy_lock);
	err = kmm_policy_init(&new, ops ?: v->policy.ops, v->policy.frames,
			      capacity ?: v->policy.capacity);
	if (!err) {
		spin_lock(&v->lock);
		kmm_policy_take_over(&new, &v->policy);
		swap(new, v->policy);
		v->epoch++;
		spin_unlock(&v->lock);
	}
	mutex_unlock(&v->lru->policy_lock);
	if (!err)
		kmm_policy_fini(&new);
	return err;
}

/**
 * kmm_lruvec_set_policy() - Another policy from now on; resident pages are handed over.
 * @v: lruvec
 * @ops: policy
 *
 * Context, return: as kmm_lruvec_resize().
 */
int kmm_lruvec_set_policy(struct kmm_lruvec *v, const struct kmm_policy_ops *ops)
{
	return kmm_lruvec_resize(v, ops, 0);
}
KMM_EXPORT_INTERNAL(kmm_lruvec_set_policy);

/**
 * kmm_lru_init() - Begin with no page.
 * @lru: caller's memory
 * @b: whose frames
 * @swap: where pages go
 * @ops: policy of the global lruvec
 *
 * Context: task, may sleep. Return: 0 or -ENOMEM.
 */
int kmm_lru_init(struct kmm_lru *lru, struct kmm_buddy *b, struct kmm_swap *swap,
		 const struct kmm_policy_ops *ops)
{
	int err;

	memset(lru, 0, sizeof(*lru));
	lru->buddy = b;
	lru->swap = swap;
	mutex_init(&lru->policy_lock);
	init_rwsem(&lru->vecs_lock);
	INIT_LIST_HEAD(&lru->vecs);
	lru->page = kmm_should_fail() ? NULL :
		kvcalloc(b->region->nr_index, sizeof(*lru->page), GFP_KERNEL_ACCOUNT);
	if (!lru->page)
		return -ENOMEM;
	err = kmm_lruvec_init(&lru->global, lru, ops, b->managed);
	if (err)
		kvfree(lru->page);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_lru_init);

/**
 * kmm_lru_fini() - The end; no object has a page any more.
 * @lru: lru
 *
 * Context: task, may sleep.
 */
void kmm_lru_fini(struct kmm_lru *lru)
{
	kmm_lruvec_fini(&lru->global);
	mutex_destroy(&lru->policy_lock);
	kvfree(lru->page);
}
KMM_EXPORT_INTERNAL(kmm_lru_fini);

/* === Pages, under their object's lock === */

/* The index of the first frame of a granule that is the region's for sure. */
static __always_inline u32 lru_granule_index(const struct kmm_region *r, unsigned long granule)
{
	return kmm_region_index(r, r->granule_frames[granule - r->first_granule]);
}

/* Of a frame that is the region's for sure. */
static u32 lru_index(const struct kmm_lru *lru, struct page *page)
{
	unsigned long pfn = page_to_pfn(page);

	return lru_granule_index(lru->buddy->region, pfn >> KMM_MAX_ORDER) +
	       (pfn & (KMM_GRANULE_FRAMES - 1));
}

/**
 * struct lru_walk - frames one after the other, which mostly are of the same granule
 * @r: whose frames
 * @granule: of the last one; ULONG_MAX before the first one
 * @index: of its first frame
 */
struct lru_walk {
	const struct kmm_region *r;
	unsigned long granule;
	u32 index;
};

/* lru_index() of the next one. */
static __always_inline u32 lru_walk_index(struct lru_walk *w, struct page *page)
{
	unsigned long pfn = page_to_pfn(page), granule = pfn >> KMM_MAX_ORDER;

	if (unlikely(granule != w->granule)) {
		w->granule = granule;
		w->index = lru_granule_index(w->r, granule);
	}
	return w->index + (pfn & (KMM_GRANULE_FRAMES - 1));
}

/**
 * kmm_lru_page() - What eviction knows of a frame.
 * @lru: lru
 * @page: frame of its region
 *
 * Context: any; see struct kmm_lru_page for its locks. Return: entry.
 */
struct kmm_lru_page *kmm_lru_page(struct kmm_lru *lru, struct page *page)
{
	return &lru->page[lru_index(lru, page)];
}

/**
 * kmm_lru_add_locked() - An object got a page.
 * @o: object, locked
 * @page: its new page, whose folio->index is set
 * @entry: swap has the same contents; 0: it has not
 * @shadow: what kmm_policy_evict() said of the page when it was evicted; 0: it never was
 *
 * Context: task.
 */
void kmm_lru_add_locked(struct kmm_object *o, struct page *page, kmm_swp_t entry, u32 shadow)
{
	struct kmm_lruvec *v = o->lruvec;
	u32 i = lru_index(v->lru, page);
	struct kmm_lru_page *lp = &v->lru->page[i];

	spin_lock(&v->lock);
	WRITE_ONCE(lp->object, o);
	WRITE_ONCE(lp->word, entry | KMM_LRU_LISTED);
	kmm_policy_add(&v->policy, i, shadow);
	spin_unlock(&v->lock);
	if (shadow)
		kmm_lru_count(v->lru, KMM_WORKINGSET_REFAULT, 1);
}
KMM_EXPORT_INTERNAL(kmm_lru_add_locked);

/**
 * kmm_lru_del_locked() - An object gives a page up.
 * @o: object, locked
 * @page: its page, in none of its entries any more
 *
 * A slot of swap with the page's contents is freed.
 *
 * Context: task. Return: true: the frame is the caller's; false: somebody writes it to swap and
 * will free it; nobody maps it.
 */
bool kmm_lru_del_locked(struct kmm_object *o, struct page *page)
{
	struct kmm_lruvec *v = o->lruvec;
	u32 i = lru_index(v->lru, page);
	struct kmm_lru_page *lp = &v->lru->page[i];
	kmm_swp_t entry = 0;
	bool mine;

	spin_lock(&v->lock);
	mine = !(lp->word & KMM_LRU_WRITEBACK);
	WRITE_ONCE(lp->object, NULL);
	if (mine) {
		entry = lp->word & ~KMM_LRU_STATE;
		if (lp->word & KMM_LRU_LISTED)
			kmm_policy_del(&v->policy, i);
		v->policy.frames[i].policy = 0;
		WRITE_ONCE(lp->word, 0);
	}
	spin_unlock(&v->lock);
	if (entry)
		kmm_swap_free(v->lru->swap, entry);
	return mine;
}
KMM_EXPORT_INTERNAL(kmm_lru_del_locked);

/**
 * kmm_lru_detach_locked() - Pages leave an object and will soon be in another one, or free.
 * @o: object, locked
 * @pages: its pages, which nobody else holds; in none of its entries any more; NULL is none
 * @nr: entries of @pages
 *
 * Those of the global lruvec keep their place in its lists, so that a page that changes hands
 * costs no more than a word. Slots of swap are freed.
 *
 * Context: task. Afterwards: kmm_lru_attach_locked() or kmm_lru_release().
 */
void kmm_lru_detach_locked(struct kmm_object *o, struct page **pages, unsigned int nr)
{
	struct kmm_lruvec *v = o->lruvec;
	struct lru_walk w = { .r = v->lru->buddy->region, .granule = ULONG_MAX };
	struct kmm_lru_page *lps = v->lru->page;
	bool global = v == &v->lru->global;
	unsigned int k;

	spin_lock(&v->lock);
	for (k = 0; k < nr; k++) {
		struct kmm_lru_page *lp;
		kmm_swp_t entry;
		u32 i;

		if (!pages[k])
			continue;
		i = lru_walk_index(&w, pages[k]);
		lp = &lps[i];
		/* A copy, which was never in: all zero. */
		entry = lp->word & ~KMM_LRU_STATE;
		if (unlikely(entry))
			kmm_swap_free(v->lru->swap, entry);
		WRITE_ONCE(lp->object, NULL);
		if (likely(global && lp->word & KMM_LRU_LISTED)) {
			WRITE_ONCE(lp->word, KMM_LRU_LISTED);
			continue;
		}
		if (lp->word & KMM_LRU_LISTED)
			kmm_policy_del(&v->policy, i);
		v->policy.frames[i].policy = 0;
		WRITE_ONCE(lp->word, 0);
	}
	spin_unlock(&v->lock);
}

/* A page that is nobody's, in the global lists perhaps, is in none afterwards. */
static void lru_release_locked(struct kmm_lru *lru, u32 i)
{
	if (lru->page[i].word & KMM_LRU_LISTED)
		kmm_policy_del(&lru->global.policy, i);
	lru->global.policy.frames[i].policy = 0;
	WRITE_ONCE(lru->page[i].word, 0);
}

/**
 * kmm_lru_release() - A page of kmm_lru_detach_locked() will be in no object.
 * @lru: lru
 * @page: page
 *
 * Context: task.
 */
void kmm_lru_release(struct kmm_lru *lru, struct page *page)
{
	spin_lock(&lru->global.lock);
	lru_release_locked(lru, lru_index(lru, page));
	spin_unlock(&lru->global.lock);
}

/**
 * kmm_lru_attach_locked() - An object gets pages of kmm_lru_detach_locked().
 * @o: object, locked
 * @pages: pages, whose folio->index is set; NULL is none
 * @nr: entries of @pages
 *
 * Context: task.
 */
void kmm_lru_attach_locked(struct kmm_object *o, struct page **pages, unsigned int nr)
{
	struct kmm_lruvec *v = o->lruvec;
	struct lru_walk w = { .r = v->lru->buddy->region, .granule = ULONG_MAX };
	struct kmm_lru_page *lps = v->lru->page;
	bool global = v == &v->lru->global;
	unsigned int k;

	for (k = 0; !global && k < nr; k++)
		if (pages[k])
			kmm_lru_release(v->lru, pages[k]);
	spin_lock(&v->lock);
	for (k = 0; k < nr; k++) {
		struct kmm_lru_page *lp;
		u32 i;

		if (!pages[k])
			continue;
		i = lru_walk_index(&w, pages[k]);
		lp = &lps[i];
		WRITE_ONCE(lp->object, o);
		if (likely(lp->word & KMM_LRU_LISTED))
			continue;
		v->policy.frames[i].policy = 0;
		kmm_policy_add(&v->policy, i, 0);
		WRITE_ONCE(lp->word, KMM_LRU_LISTED);
	}
	spin_unlock(&v->lock);
}

/**
 * kmm_lru_rescue_locked() - A page is wanted: whoever writes it is to leave it where it is.
 * @o: object, locked
 * @page: its page, resident
 *
 * Context: task.
 */
void kmm_lru_rescue_locked(struct kmm_object *o, struct page *page)
{
	struct kmm_lru_page *lp = kmm_lru_page(o->lruvec->lru, page);

	/* It is set only under the object's lock. */
	if (likely(!(READ_ONCE(lp->word) & KMM_LRU_WRITEBACK)))
		return;
	kmm_lru_putback_locked(o, page, 0);
	kmm_lru_count(o->lruvec->lru, KMM_PGRESCUED, 1);
}

/**
 * kmm_lru_touch_locked() - A page was used: exact mode, or somebody has cleared Accessed bits.
 * @o: object, locked
 * @page: its page
 *
 * Context: task.
 */
void kmm_lru_touch_locked(struct kmm_object *o, struct page *page)
{
	struct kmm_lruvec *v = o->lruvec;
	u32 i = lru_index(v->lru, page);

	spin_lock(&v->lock);
	if (v->lru->page[i].word & KMM_LRU_LISTED)
		kmm_policy_touch(&v->policy, i);
	spin_unlock(&v->lock);
}

/**
 * kmm_lru_take_slot_locked() - Forget the slot of a page; swap does not have it any more.
 * @o: object, locked
 * @page: its page
 *
 * Context: task. Return: the entry, now the caller's; 0: there was none.
 */
kmm_swp_t kmm_lru_take_slot_locked(struct kmm_object *o, struct page *page)
{
	struct kmm_lruvec *v = o->lruvec;
	struct kmm_lru_page *lp = kmm_lru_page(v->lru, page);
	kmm_swp_t entry;

	spin_lock(&v->lock);
	entry = lp->word & KMM_LRU_WRITEBACK ? 0 : lp->word & ~KMM_LRU_STATE;
	if (entry)
		lp->word &= KMM_LRU_STATE;
	spin_unlock(&v->lock);
	return entry;
}

/* === Eviction's side === */

/* Page @i, LISTED until now, is in no list any more. */
static void lru_isolated(struct kmm_lruvec *v, u32 i, struct kmm_candidate *c)
{
	struct kmm_lru_page *lp = &v->lru->page[i];

	WRITE_ONCE(lp->word, lp->word ^ (KMM_LRU_LISTED | KMM_LRU_ISOLATED));
	atomic_inc(&lp->object->nr_evicting);
	c->object = lp->object;
	c->page = kmm_region_page(v->lru->buddy->region, i);
	c->index = page_folio(c->page)->index;
	c->epoch = v->epoch;
	c->frame = i;
}

/**
 * kmm_lru_isolate() - Take candidates from the policy.
 * @v: lruvec
 * @c: filled; each counts in its object until kmm_lru_put_candidates()
 * @nr: entries of @c
 *
 * Context: task. Return: how many.
 */
unsigned int kmm_lru_isolate(struct kmm_lruvec *v, struct kmm_candidate *c, unsigned int nr)
{
	unsigned int got;

	spin_lock(&v->lock);
	for (got = 0; got < nr;) {
		u32 i = kmm_policy_victim(&v->policy);

		if (i == KMM_POLICY_NONE)
			break;
		/* One that changes hands at the moment is new when it has arrived. */
		if (likely(v->lru->page[i].object))
			lru_isolated(v, i, &c[got++]);
		else
			WRITE_ONCE(v->lru->page[i].word, 0);
	}
	spin_unlock(&v->lock);
	atomic_long_add(got, &v->lru->nr_isolated);
	return got;
}

/**
 * kmm_lru_put_object() - Whoever counts in an object's nr_evicting does not need it any more.
 * @o: object; may be gone when this returns
 *
 * Context: task.
 */
void kmm_lru_put_object(struct kmm_object *o)
{
	/* The one that waits may free @o at once: the address is only a key then. */
	if (atomic_dec_and_test(&o->nr_evicting))
		wake_up_var(&o->nr_evicting);
}

/**
 * kmm_lru_put_candidates() - Candidates are decided about.
 * @o: their object; may be gone when this returns
 * @nr: how many
 *
 * Context: task.
 */
void kmm_lru_put_candidates(struct kmm_object *o, unsigned int nr)
{
	atomic_long_sub(nr, &o->lruvec->lru->nr_isolated);
	/* See kmm_lru_put_object(). */
	if (atomic_sub_and_test(nr, &o->nr_evicting))
		wake_up_var(&o->nr_evicting);
}

/**
 * kmm_lru_still_locked() - Is a candidate what it was when it was isolated?
 * @c: candidate, its object locked; whether it is still in the object's index is another matter
 *
 * Context: task. Return: true if so: it stays ISOLATED as long as the object is locked.
 */
bool kmm_lru_still_locked(const struct kmm_candidate *c)
{
	const struct kmm_lru_page *lp = &c->object->lruvec->lru->page[c->frame];

	return READ_ONCE(lp->object) == c->object && READ_ONCE(lp->word) & KMM_LRU_ISOLATED &&
	       page_folio(c->page)->index == c->index;
}

/**
 * kmm_lru_judge_locked() - Ask the policy about a candidate.
 * @from: where it was isolated; for comparing only
 * @c: candidate, its object locked
 * @young: it was used
 *
 * Context: task. Return: true: it stays and is back in the lists; false: it goes.
 */
bool kmm_lru_judge_locked(const struct kmm_lruvec *from, const struct kmm_candidate *c, bool young)
{
	struct kmm_lruvec *v = c->object->lruvec;
	u32 i = c->frame;
	bool stays = true;

	spin_lock(&v->lock);
	if (v == from && v->epoch == c->epoch) {
		stays = kmm_policy_keep(&v->policy, i, young);
	} else {
		v->policy.frames[i].policy = 0;
		kmm_policy_add(&v->policy, i, 0);
	}
	if (stays)
		WRITE_ONCE(v->lru->page[i].word,
			   v->lru->page[i].word ^ (KMM_LRU_LISTED | KMM_LRU_ISOLATED));
	spin_unlock(&v->lock);
	return stays;
}

/**
 * kmm_lru_putback_locked() - A candidate that does not go is as a new page again.
 * @o: object, locked
 * @page: its page, ISOLATED or in WRITEBACK
 * @entry: swap has the same contents; 0: it has not
 *
 * Context: task.
 */
void kmm_lru_putback_locked(struct kmm_object *o, struct page *page, kmm_swp_t entry)
{
	struct kmm_lruvec *v = o->lruvec;
	u32 i = lru_index(v->lru, page);

	spin_lock(&v->lock);
	v->policy.frames[i].policy = 0;
	kmm_policy_add(&v->policy, i, 0);
	WRITE_ONCE(v->lru->page[i].word, entry | KMM_LRU_LISTED);
	spin_unlock(&v->lock);
}

/**
 * kmm_lru_writeback_locked() - A candidate is being written from now on.
 * @o: object, locked
 * @page: its page, ISOLATED, mapped by nobody; the caller has a reference
 * @entry: where to
 *
 * Context: task.
 */
void kmm_lru_writeback_locked(struct kmm_object *o, struct page *page, kmm_swp_t entry)
{
	struct kmm_lruvec *v = o->lruvec;

	spin_lock(&v->lock);
	WRITE_ONCE(kmm_lru_page(v->lru, page)->word, entry | KMM_LRU_WRITEBACK);
	spin_unlock(&v->lock);
}

/**
 * kmm_lru_written_locked() - Whose is a page that was written?
 * @o: object, locked, that it was of
 * @page: page
 * @entry: as it was given to kmm_lru_writeback_locked()
 *
 * Context: task. Return: KMM_WRITTEN_*.
 */
enum kmm_written kmm_lru_written_locked(struct kmm_object *o, struct page *page, kmm_swp_t entry)
{
	struct kmm_lruvec *v = o->lruvec;
	struct kmm_lru_page *lp = kmm_lru_page(v->lru, page);
	enum kmm_written w = KMM_WRITTEN_RESCUED;

	spin_lock(&v->lock);
	/* The entry's generation makes the word unique. */
	if (lp->word == (entry | KMM_LRU_WRITEBACK)) {
		w = lp->object ? KMM_WRITTEN_MINE : KMM_WRITTEN_ORPHAN;
		if (!lp->object) {
			v->policy.frames[lru_index(v->lru, page)].policy = 0;
			WRITE_ONCE(lp->word, 0);
		}
	}
	spin_unlock(&v->lock);
	return w;
}

/**
 * kmm_lru_evicted_locked() - A candidate has left its object.
 * @o: object, locked
 * @page: page, mapped by nobody, in no entry any more
 *
 * Context: task. Return: shadow for the page's return, never 0.
 */
u32 kmm_lru_evicted_locked(struct kmm_object *o, struct page *page)
{
	struct kmm_lruvec *v = o->lruvec;
	u32 i = lru_index(v->lru, page), shadow;

	spin_lock(&v->lock);
	shadow = kmm_policy_evict(&v->policy, i);
	WRITE_ONCE(v->lru->page[i].object, NULL);
	WRITE_ONCE(v->lru->page[i].word, 0);
	spin_unlock(&v->lock);
	return shadow;
}

/**
 * kmm_lru_move_locked() - A page of an object that changes its lruvec.
 * @o: object, locked; @o->lruvec is still the old one
 * @page: its page
 * @to: the new one
 *
 * Context: task.
 */
void kmm_lru_move_locked(struct kmm_object *o, struct page *page, struct kmm_lruvec *to)
{
	struct kmm_lruvec *from = o->lruvec;
	struct kmm_lru_page *lp = kmm_lru_page(from->lru, page);
	u32 i = lru_index(from->lru, page);

	spin_lock(&from->lock);
	if (lp->word & KMM_LRU_WRITEBACK) {
		spin_unlock(&from->lock);
		return;
	}
	if (lp->word & KMM_LRU_LISTED)
		kmm_policy_del(&from->policy, i);
	from->policy.frames[i].policy = 0;
	/* A candidate, too: nobody has it then. */
	WRITE_ONCE(lp->word, (lp->word & ~KMM_LRU_STATE));
	spin_unlock(&from->lock);

	spin_lock(&to->lock);
	kmm_policy_add(&to->policy, i, 0);
	WRITE_ONCE(lp->word, lp->word | KMM_LRU_LISTED);
	spin_unlock(&to->lock);
}

/**
 * kmm_lru_isolate_page_locked() - Take one page from the policy that nobody asked.
 * @o: object, locked
 * @page: its page
 * @c: filled, as by kmm_lru_isolate()
 *
 * Context: task. Return: true; false: somebody else has it in hand.
 */
bool kmm_lru_isolate_page_locked(struct kmm_object *o, struct page *page, struct kmm_candidate *c)
{
	struct kmm_lruvec *v = o->lruvec;
	u32 i = lru_index(v->lru, page);
	struct kmm_lru_page *lp = &v->lru->page[i];
	bool listed;

	spin_lock(&v->lock);
	listed = lp->word & KMM_LRU_LISTED;
	if (listed) {
		kmm_policy_del(&v->policy, i);
		lru_isolated(v, i, c);
	}
	spin_unlock(&v->lock);
	if (listed)
		atomic_long_inc(&v->lru->nr_isolated);
	return listed;
}
