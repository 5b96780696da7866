// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Swap
 *
 * Pages that leave the region and come back. A page goes to a slot of an area; the areas are of
 * several kinds (ram.c, bdev.c, file.c), each a file behind a const table of functions. Here is
 * what they share: slots, priorities, entries, checksums, batches.
 *
 * Entry. What an owner keeps of a page that is outside: area, slot and generation in one word,
 * never 0. The generation is that of the slot and goes up each time it is given out. So an
 * entry that is used after its slot was freed and given to somebody else is found out, whoever
 * made that mistake, before it reads a foreign page.
 *
 * Checksum. Each page is summed when it is written (XXH64, keyed with area, slot and
 * generation) and when it is read. A page that was damaged, one that another slot's write went
 * over, one that the device forgot to write: all are found, the page is lost and said to be,
 * and wrong data is never given to anybody.
 *
 * States of a slot: free; in use by one entry. No page is shared, so nothing is counted.
 *
 * Which area. The highest priority that has a free slot; equals take turns, a batch each. One
 * whose last write failed is the last choice for a moment, and so is a ram area near its limit: a
 * device that is gone does not keep pages from the others. Within an area the next free slot
 * behind the last one: pages that leave together stand together, are written in one call, and can
 * be read in one.
 *
 * Failures. When a call for many pages fails, each of them is tried alone: a bad sector takes
 * its own page and no other. When SWAP_ALONE_MAX in a row cannot be written the rest is not tried:
 * these pages stay where they are, and the next time they go elsewhere.
 *
 * Removing. kmm_swap_close() ends giving out; the owner of the entries brings all pages home
 * and frees their slots; kmm_swap_remove() lets the area go when none is in use. An area whose
 * pages could not be brought home is opened again.
 *
 * Memory. Sixteen bytes and a bit per slot, host memory, charged to whoever added the area;
 * writing and reading allocate nothing here.
 *
 * Locks: s->lock for the table of areas; an area's lock, interrupts on, for its map. Reading
 * needs neither: whoever has an entry keeps its area. Who has none looks at areas under RCU.
 *
 * What this deliberately does not do: no clusters of slots per CPU, no discard, no shared
 * slots.
 */
#define pr_fmt(fmt) "kmm: swap: " fmt

#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/ratelimit.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/xxhash.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/assert.h>
#include <kmm/inject.h>
#include <kmm/swap.h>
#include <trace/events/kmm.h>

/* kmm_swap_slot.gen: the slot is given out */
#define GEN_IN_USE	BIT(31)

/* More than the sectors next to a bad one that a disk cannot write either. */
#define SWAP_ALONE_MAX	4

/* A ram area at its limit fails at once; a device that is gone may take seconds to say so. */
#define SWAP_AVOID_MS	200

static_assert(KMM_SWAP_AREAS == 1 << (KMM_SWP_GEN_SHIFT - KMM_SWP_AREA_SHIFT));
static_assert(KMM_SWAP_SLOTS_MAX == 1 << KMM_SWP_AREA_SHIFT);

/* === Areas === */

/**
 * kmm_swap_init() - Begin without an area.
 * @s: caller's memory
 *
 * Context: task.
 */
void kmm_swap_init(struct kmm_swap *s)
{
	memset(s, 0, sizeof(*s));
	mutex_init(&s->lock);
}
KMM_EXPORT_INTERNAL(kmm_swap_init);

static size_t swap_bitmap_bytes(u32 nr_slots)
{
	return BITS_TO_LONGS(nr_slots) * sizeof(long);
}

static size_t swap_slots_bytes(u32 nr_slots)
{
	return nr_slots * sizeof(struct kmm_swap_slot);
}

static void swap_area_free(struct kmm_swap_area *a)
{
	struct kmm_account *account = a->account;

	a->ops->close(a);
	kmm_account_free(account, a->bitmap, swap_bitmap_bytes(a->nr_slots));
	kmm_account_free(account, a->slots, swap_slots_bytes(a->nr_slots));
	kmm_account_free(account, a, sizeof(*a));
	kmm_account_put(account);
}

/**
 * kmm_swap_fini() - The end; no slot is in use.
 * @s: swap
 *
 * Context: task, may sleep.
 */
void kmm_swap_fini(struct kmm_swap *s)
{
	u32 id;

	for (id = 0; id < KMM_SWAP_AREAS; id++) {
		if (!s->area[id])
			continue;
		kmm_assert(!s->area[id]->nr_used);
		swap_area_free(s->area[id]);
		s->area[id] = NULL;
	}
	mutex_destroy(&s->lock);
}
KMM_EXPORT_INTERNAL(kmm_swap_fini);

static bool swap_same_target(struct kmm_swap_area *a, struct kmm_swap_area *b)
{
	return a->ops == b->ops && a->ops->target && a->ops->target(a) == b->ops->target(b);
}

/* A place in the table, and the area is seen; or -EMFILE, -EBUSY. */
static int swap_publish(struct kmm_swap *s, struct kmm_swap_area *a)
{
	int err = -EMFILE;
	u32 id;

	mutex_lock(&s->lock);
	for (id = 0; id < KMM_SWAP_AREAS; id++) {
		if (s->area[id] && swap_same_target(s->area[id], a)) {
			err = -EBUSY;
			break;
		}
		if (!s->area[id] && err == -EMFILE)
			err = id;
	}
	if (err >= 0) {
		a->id = err;
		kmm_account_get(a->account);
		/* Pairs with READ_ONCE() in swap_area(): all of it or nothing. */
		smp_store_release(&s->area[err], a);
	}
	mutex_unlock(&s->lock);
	return err;
}

/**
 * kmm_swap_add() - One more area.
 * @s: swap
 * @account: pays for the description of its slots
 * @ops: its kind
 * @priv: the kind's own; closed by @ops->close() when the area goes, also when this call fails
 * @nr_slots: pages
 * @prio: higher ones are filled first
 *
 * Context: task, may sleep.
 * Return: its id; -EINVAL no slot, or too many; -EMFILE all ids are taken; -EBUSY an area has this
 * target; -EDQUOT; -ENOMEM.
 */
int kmm_swap_add(struct kmm_swap *s, struct kmm_account *account,
		 const struct kmm_swap_ops *ops, void *priv, u64 nr_slots, int prio)
{
	struct kmm_swap_area tmp = { .ops = ops, .priv = priv, .account = account }, *a;
	int err = -EINVAL;

	if (!nr_slots || nr_slots > KMM_SWAP_SLOTS_MAX)
		goto close;
	a = kmm_account_zalloc(account, sizeof(*a));
	err = PTR_ERR_OR_ZERO(a);
	if (err)
		goto close;
	a->slots = kmm_account_zalloc(account, swap_slots_bytes(nr_slots));
	err = PTR_ERR_OR_ZERO(a->slots);
	if (err)
		goto free_area;
	a->bitmap = kmm_account_zalloc(account, swap_bitmap_bytes(nr_slots));
	err = PTR_ERR_OR_ZERO(a->bitmap);
	if (err)
		goto free_slots;
	a->ops = ops;
	a->priv = priv;
	a->account = account;
	a->nr_slots = nr_slots;
	a->prio = prio;
	a->avoid_until = jiffies;
	spin_lock_init(&a->lock);
	err = swap_publish(s, a);
	if (err >= 0)
		return err;
	kmm_account_free(account, a->bitmap, swap_bitmap_bytes(nr_slots));
free_slots:
	kmm_account_free(account, a->slots, swap_slots_bytes(nr_slots));
free_area:
	kmm_account_free(account, a, sizeof(*a));
close:
	ops->close(&tmp);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_swap_add);

/* An area by its id; the caller holds s->lock, RCU, or an entry of it. */
static struct kmm_swap_area *swap_area(struct kmm_swap *s, u32 id)
{
	return id < KMM_SWAP_AREAS ? READ_ONCE(s->area[id]) : NULL;
}

static int swap_set_closing(struct kmm_swap *s, u32 id, bool closing)
{
	struct kmm_swap_area *a;
	int err = -ENOENT;

	mutex_lock(&s->lock);
	a = swap_area(s, id);
	if (a) {
		spin_lock(&a->lock);
		err = a->closing && closing ? -EBUSY : 0;
		WRITE_ONCE(a->closing, closing);
		spin_unlock(&a->lock);
	}
	mutex_unlock(&s->lock);
	return err;
}

/**
 * kmm_swap_close() - Give out no more slots of an area.
 * @s: swap
 * @id: area
 *
 * Context: task. Return: 0; -ENOENT; -EBUSY somebody else is at it.
 */
int kmm_swap_close(struct kmm_swap *s, u32 id)
{
	return swap_set_closing(s, id, true);
}
KMM_EXPORT_INTERNAL(kmm_swap_close);

/**
 * kmm_swap_reopen() - Undo kmm_swap_close().
 * @s: swap
 * @id: area that the caller has closed
 *
 * Context: task.
 */
void kmm_swap_reopen(struct kmm_swap *s, u32 id)
{
	swap_set_closing(s, id, false);
}
KMM_EXPORT_INTERNAL(kmm_swap_reopen);

/**
 * kmm_swap_remove() - Let a closed area go.
 * @s: swap
 * @id: area that the caller has closed
 *
 * Context: task, may sleep. Return: 0; -ENOENT; -EBUSY it is not closed, or slots are in use.
 */
int kmm_swap_remove(struct kmm_swap *s, u32 id)
{
	struct kmm_swap_area *a;
	int err = -ENOENT;

	mutex_lock(&s->lock);
	a = swap_area(s, id);
	if (a) {
		spin_lock(&a->lock);
		err = !a->closing || a->nr_used ? -EBUSY : 0;
		spin_unlock(&a->lock);
	}
	if (!err)
		WRITE_ONCE(s->area[id], NULL);
	mutex_unlock(&s->lock);
	if (err)
		return err;
	/* Those who look for a free slot may have seen it, and kmm_swap_free() may be in it. */
	synchronize_rcu();
	swap_area_free(a);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_swap_remove);

/**
 * kmm_swap_closing() - Is the area of an entry to be emptied?
 * @s: swap
 * @entry: entry that the caller holds
 *
 * Context: any.
 */
bool kmm_swap_closing(struct kmm_swap *s, kmm_swp_t entry)
{
	return READ_ONCE(swap_area(s, kmm_swp_area(entry))->closing);
}
KMM_EXPORT_INTERNAL(kmm_swap_closing);

/**
 * kmm_swap_is_sync() - Is reading this entry a copy from memory?
 * @s: swap
 * @entry: entry that the caller holds
 *
 * Context: any. Return: true if kmm_swap_read() may be called under an object's lock.
 */
bool kmm_swap_is_sync(struct kmm_swap *s, kmm_swp_t entry)
{
	return swap_area(s, kmm_swp_area(entry))->ops->sync;
}
KMM_EXPORT_INTERNAL(kmm_swap_is_sync);

/**
 * kmm_swap_is_tight() - Should a page that came back give its slot up although it is clean?
 * @s: swap
 * @entry: entry that the caller holds
 *
 * A slot that is kept saves the next write of the page; slots that are missing cost more.
 *
 * Context: any. Return: true if more than half of the area's slots are in use.
 */
bool kmm_swap_is_tight(struct kmm_swap *s, kmm_swp_t entry)
{
	struct kmm_swap_area *a = swap_area(s, kmm_swp_area(entry));

	return READ_ONCE(a->nr_used) > a->nr_slots / 2;
}
KMM_EXPORT_INTERNAL(kmm_swap_is_tight);

/**
 * kmm_swap_free_slots() - Pages that could still be written.
 * @s: swap
 *
 * Context: any. Return: their number, of a moment.
 */
u64 kmm_swap_free_slots(struct kmm_swap *s)
{
	struct kmm_swap_area *a;
	u64 nr = 0;
	u32 id;

	rcu_read_lock();
	for (id = 0; id < KMM_SWAP_AREAS; id++) {
		a = swap_area(s, id);
		if (a && !READ_ONCE(a->closing))
			nr += a->nr_slots - READ_ONCE(a->nr_used);
	}
	rcu_read_unlock();
	return nr;
}
KMM_EXPORT_INTERNAL(kmm_swap_free_slots);

/**
 * kmm_swap_tell() - The state of an area.
 * @s: swap
 * @id: where to begin
 * @st: out
 *
 * Context: task, may sleep. Return: 0, of the first area from @id on; -ENOENT there is none.
 */
int kmm_swap_tell(struct kmm_swap *s, u32 id, struct kmm_swap_state *st)
{
	struct kmm_swap_area *a = NULL;

	memset(st, 0, sizeof(*st));
	mutex_lock(&s->lock);
	while (id < KMM_SWAP_AREAS && !a)
		a = swap_area(s, id++);
	if (a) {
		st->id = a->id;
		st->type = a->ops->name;
		if (a->ops->tell)
			st->host_bytes = a->ops->tell(a, st->what, sizeof(st->what));
		st->host_bytes += sizeof(*a) + swap_slots_bytes(a->nr_slots) +
				  swap_bitmap_bytes(a->nr_slots);
		st->nr_slots = a->nr_slots;
		st->nr_used = READ_ONCE(a->nr_used);
		st->prio = a->prio;
		st->closing = READ_ONCE(a->closing);
		st->nr_write = atomic64_read(&a->nr_write);
		st->nr_read = atomic64_read(&a->nr_read);
		st->nr_error = atomic64_read(&a->nr_error);
		st->nr_corrupt = atomic64_read(&a->nr_corrupt);
	}
	mutex_unlock(&s->lock);
	return a ? 0 : -ENOENT;
}
KMM_EXPORT_INTERNAL(kmm_swap_tell);

/* === Slots === */

static kmm_swp_t swap_area_alloc(struct kmm_swap_area *a)
{
	kmm_swp_t entry = 0;
	u32 slot, gen;

	/* A full area is passed by without its lock. */
	if (READ_ONCE(a->nr_used) == a->nr_slots)
		return 0;
	spin_lock(&a->lock);
	if (a->closing || a->nr_used == a->nr_slots)
		goto out;
	slot = find_next_zero_bit(a->bitmap, a->nr_slots, a->cursor);
	if (slot >= a->nr_slots)
		slot = find_first_zero_bit(a->bitmap, a->nr_slots);
	__set_bit(slot, a->bitmap);
	a->cursor = slot + 1 == a->nr_slots ? 0 : slot + 1;
	WRITE_ONCE(a->nr_used, a->nr_used + 1);
	/* Never 0, so no entry is. */
	gen = ((a->slots[slot].gen + 1) & KMM_SWP_GEN_MASK) ?: 1;
	a->slots[slot].shadow = 0;
	WRITE_ONCE(a->slots[slot].gen, gen | GEN_IN_USE);
	entry = slot | (u64)a->id << KMM_SWP_AREA_SHIFT | (u64)gen << KMM_SWP_GEN_SHIFT;
out:
	spin_unlock(&a->lock);
	return entry;
}

/* Would a write fail? */
static bool swap_is_avoided(struct kmm_swap_area *a)
{
	return time_before(jiffies, READ_ONCE(a->avoid_until)) || (a->ops->full && a->ops->full(a));
}

/* One that can probably write before one that cannot, then by priority. */
static bool swap_is_better(struct kmm_swap_area *a, struct kmm_swap_area *than)
{
	bool avoid = swap_is_avoided(a), avoid_than = swap_is_avoided(than);

	return avoid == avoid_than ? a->prio > than->prio : avoid_than;
}

/**
 * kmm_swap_alloc() - A slot.
 * @s: swap
 *
 * Of the area with the highest priority that has one. An area whose last write failed less than
 * SWAP_AVOID_MS ago, or that has no room, comes after all others.
 *
 * Context: any that may take a spinlock with interrupts on. Return: entry; 0: all areas are full.
 */
kmm_swp_t kmm_swap_alloc(struct kmm_swap *s)
{
	/* So many in a row from the same one of several equals. */
	u32 turn = (u32)atomic_inc_return(&s->turn) / KMM_SWAP_BATCH, tried = 0, k;
	struct kmm_swap_area *a, *best;
	kmm_swp_t entry = 0;

	if (kmm_should_fail())
		return 0;
	rcu_read_lock();
	while (!entry) {
		best = NULL;
		for (k = 0; k < KMM_SWAP_AREAS; k++) {
			a = swap_area(s, (turn + k) % KMM_SWAP_AREAS);
			if (a && !(tried & BIT(a->id)) && (!best || swap_is_better(a, best)))
				best = a;
		}
		if (!best)
			break;
		tried |= BIT(best->id);
		entry = swap_area_alloc(best);
	}
	rcu_read_unlock();
	return entry;
}
KMM_EXPORT_INTERNAL(kmm_swap_alloc);

/* The area of an entry; NULL, counted and said, when the entry is not its slot's last one. */
static struct kmm_swap_area *swap_check(struct kmm_swap *s, kmm_swp_t entry)
{
	struct kmm_swap_area *a = swap_area(s, kmm_swp_area(entry));
	u32 slot = kmm_swp_slot(entry);

	if (likely(a && slot < a->nr_slots &&
		   READ_ONCE(a->slots[slot].gen) == (kmm_swp_gen(entry) | GEN_IN_USE)))
		return a;
	atomic64_inc(&s->nr_stale);
	pr_err_ratelimited("stale entry %#llx: area %u, slot %u, generation %u\n", entry,
			   kmm_swp_area(entry), slot, kmm_swp_gen(entry));
	return NULL;
}

/**
 * kmm_swap_free() - Nobody needs the page of an entry any more.
 * @s: swap
 * @entry: entry; not to be used again
 *
 * Context: any that may take a spinlock with interrupts on.
 */
void kmm_swap_free(struct kmm_swap *s, kmm_swp_t entry)
{
	struct kmm_swap_area *a;
	u32 slot = kmm_swp_slot(entry);

	/* The area may go as soon as its last slot is free. */
	rcu_read_lock();
	a = swap_check(s, entry);
	if (a) {
		if (a->ops->forget)
			a->ops->forget(a, slot);
		spin_lock(&a->lock);
		WRITE_ONCE(a->slots[slot].gen, a->slots[slot].gen & ~GEN_IN_USE);
		__clear_bit(slot, a->bitmap);
		WRITE_ONCE(a->nr_used, a->nr_used - 1);
		spin_unlock(&a->lock);
	}
	rcu_read_unlock();
}
KMM_EXPORT_INTERNAL(kmm_swap_free);

/**
 * kmm_swap_shadow() - What was remembered of the page.
 * @s: swap
 * @entry: entry that the caller holds
 *
 * Context: any. Return: kmm_swap_set_shadow()'s, 0: nothing.
 */
u32 kmm_swap_shadow(struct kmm_swap *s, kmm_swp_t entry)
{
	struct kmm_swap_area *a = swap_check(s, entry);

	return a ? READ_ONCE(a->slots[kmm_swp_slot(entry)].shadow) : 0;
}
KMM_EXPORT_INTERNAL(kmm_swap_shadow);

/**
 * kmm_swap_set_shadow() - Remember something until the page comes back.
 * @s: swap
 * @entry: entry that the caller holds
 * @shadow: of the page replacement
 *
 * Context: any.
 */
void kmm_swap_set_shadow(struct kmm_swap *s, kmm_swp_t entry, u32 shadow)
{
	struct kmm_swap_area *a = swap_check(s, entry);

	if (a)
		WRITE_ONCE(a->slots[kmm_swp_slot(entry)].shadow, shadow);
}
KMM_EXPORT_INTERNAL(kmm_swap_set_shadow);

/* === Pages === */

/* Keyed with all that names the page. */
static u64 swap_sum(kmm_swp_t entry, struct page *page)
{
	void *mem = kmap_local_page(page);
	u64 sum = xxh64(mem, PAGE_SIZE, entry);

	kunmap_local(mem);
	return sum;
}

/* How many of the entries, from the first on, one call can serve; their area. 0: a stale one. */
static unsigned int swap_run(struct kmm_swap *s, const kmm_swp_t *entries, unsigned int nr,
			     struct kmm_swap_area **area)
{
	struct kmm_swap_area *a = swap_check(s, entries[0]);
	unsigned int n;

	if (!a)
		return 0;
	*area = a;
	/* A copy from memory gains nothing. */
	if (a->ops->sync)
		return 1;
	for (n = 1; n < nr; n++)
		if (kmm_swp_area(entries[n]) != a->id ||
		    kmm_swp_slot(entries[n]) != kmm_swp_slot(entries[0]) + n ||
		    !swap_check(s, entries[n]))
			break;
	return n;
}

static void swap_count_error(struct kmm_swap_area *a, kmm_swp_t entry, bool write, int err)
{
	/* Nothing is wrong with the page. */
	if (err == -EINTR)
		return;
	if (write)
		WRITE_ONCE(a->avoid_until, jiffies + msecs_to_jiffies(SWAP_AVOID_MS));
	atomic64_inc(err == -EBADMSG ? &a->nr_corrupt : &a->nr_error);
	trace_swap_error(a->id, kmm_swp_slot(entry), write, err);
}

static int swap_write_run(struct kmm_swap_area *a, const kmm_swp_t *entries, struct page **pages,
			  unsigned int nr)
{
	if (kmm_should_fail())
		return -EIO;
	return a->ops->write(a, kmm_swp_slot(entries[0]), pages, nr);
}

/**
 * kmm_swap_write() - Store pages.
 * @s: swap
 * @entries: entries of kmm_swap_alloc(); what stands together there goes out together
 * @pages: as many pages; nobody writes to them meanwhile
 * @nr: how many, at most KMM_SWAP_BATCH
 * @errs: out: of each, 0 or the error of the device: the entry is still the caller's, and holds
 *	nothing
 *
 * Context: task, may sleep, under memalloc_noio_save().
 */
void kmm_swap_write(struct kmm_swap *s, const kmm_swp_t *entries, struct page **pages,
		    unsigned int nr, int *errs)
{
	unsigned int i, k, n, failed;
	struct kmm_swap_area *a;
	int err;

	for (i = 0; i < nr; i += n) {
		n = swap_run(s, entries + i, nr - i, &a);
		if (!n) {
			errs[i] = -EBADMSG;
			n = 1;
			continue;
		}
		for (k = i; k < i + n; k++)
			a->slots[kmm_swp_slot(entries[k])].sum = swap_sum(entries[k], pages[k]);
		err = swap_write_run(a, entries + i, pages + i, n);
		for (k = i, failed = 0; k < i + n; k++) {
			/* Which of them was it? */
			errs[k] = err && n > 1 && failed < SWAP_ALONE_MAX ?
				  swap_write_run(a, entries + k, pages + k, 1) : err;
			failed = errs[k] ? failed + 1 : 0;
			if (errs[k])
				swap_count_error(a, entries[k], true, errs[k]);
			else
				atomic64_inc(&a->nr_write);
		}
	}
}
KMM_EXPORT_INTERNAL(kmm_swap_write);

static int swap_read_run(struct kmm_swap_area *a, const kmm_swp_t *entries, struct page **pages,
			 unsigned int nr)
{
	if (kmm_should_fail())
		return -EIO;
	return a->ops->read(a, kmm_swp_slot(entries[0]), pages, nr);
}

/**
 * kmm_swap_read() - Bring pages back; the slots keep them.
 * @s: swap
 * @entries: entries that were written; what stands together there comes in together
 * @pages: as many pages to fill
 * @nr: how many, at most KMM_SWAP_BATCH
 * @errs: out: of each, 0; -EBADMSG it is not what was written; -EINTR a fatal signal came, the
 *	page is as good as before; -EIO and other errors of the device. On error the
 *	contents of the page are not to be shown to anybody
 *
 * Context: task, may sleep.
 */
void kmm_swap_read(struct kmm_swap *s, const kmm_swp_t *entries, struct page **pages,
		   unsigned int nr, int *errs)
{
	struct kmm_swap_area *a;
	unsigned int i, k, n;
	int err;

	for (i = 0; i < nr; i += n) {
		n = swap_run(s, entries + i, nr - i, &a);
		if (!n) {
			errs[i] = -EBADMSG;
			n = 1;
			continue;
		}
		err = swap_read_run(a, entries + i, pages + i, n);
		for (k = i; k < i + n; k++) {
			errs[k] = err && n > 1 ? swap_read_run(a, entries + k, pages + k, 1) : err;
			if (!errs[k] && swap_sum(entries[k], pages[k]) !=
					a->slots[kmm_swp_slot(entries[k])].sum)
				errs[k] = -EBADMSG;
			if (errs[k])
				swap_count_error(a, entries[k], false, errs[k]);
			else
				atomic64_inc(&a->nr_read);
		}
	}
}
KMM_EXPORT_INTERNAL(kmm_swap_read);
