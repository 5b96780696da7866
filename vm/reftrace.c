// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Page references
 *
 * Which pages are used, for "kmm trace record". Two sources, and neither pretends to be the other.
 *
 * Exact: a space. Everything that accesses memory of a space goes through kmm_mmu_access(), which
 * calls kmm_reftrace_record() for what was reached. While a trace is on, the page numbers go into a
 * ring of KMM_TRACE_ENTRIES entries that the one who records empties. A full ring loses the
 * newest accesses and counts them: an access never waits for a reader. While no trace is
 * on, an access pays for one load and a branch.
 *
 * Sampled: an object. The hardware sets Accessed bits in page tables of processes and, in spaces,
 * the MMU of vm/mmu.c does; kmm_reftrace_young() reads and clears those of a range of pages. How
 * often and in which order pages were used between two looks is not known to anybody.
 *
 * A CPU that has the translation in its TLB does not set the bit again. Reclaim can live with that,
 * a trace that shows each page once cannot: after bits of processes were cleared, all TLBs are
 * flushed, once a call.
 *
 * Whoever clears an Accessed bit takes it away from page replacement. So a page that was found
 * young here is told to its policy as used.
 *
 * States of a space: no trace; a trace on, its ring charged to the space's account. The ring goes
 * when the trace is stopped, or with the space.
 *
 * Locks: trace_lock of the space for the ring and the pointer to it, a leaf; the object's lock
 * while its entries are looked at, for one leaf of the index at a time.
 *
 * What this deliberately does not do: no addresses below a page, no time stamps; the tracepoint
 * kmm:mmu_access has those.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include <asm/tlbflush.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/object.h>
#include <kmm/reftrace.h>
#include <kmm/space.h>

/* === Spaces: exact === */

#define REFTRACE_BYTES	(sizeof(struct kmm_reftrace) + KMM_TRACE_ENTRIES * sizeof(u64))

/**
 * kmm_reftrace_start() - Record the accesses of a space from now on.
 * @s: space
 *
 * Context: task, may sleep. Return: 0; -EBUSY somebody does; -EDQUOT, -ENOMEM.
 */
int kmm_reftrace_start(struct kmm_space *s)
{
	struct kmm_reftrace *t;
	bool busy;

	if (READ_ONCE(s->trace))
		return -EBUSY;
	t = kmm_account_zalloc(s->account, REFTRACE_BYTES);
	if (IS_ERR(t))
		return PTR_ERR(t);
	spin_lock(&s->trace_lock);
	busy = s->trace;
	if (!busy)
		WRITE_ONCE(s->trace, t);
	spin_unlock(&s->trace_lock);
	if (busy)
		kmm_account_free(s->account, t, REFTRACE_BYTES);
	return busy ? -EBUSY : 0;
}
KMM_EXPORT_INTERNAL(kmm_reftrace_start);

/**
 * kmm_reftrace_stop() - Record no more; what nobody has read is dropped.
 * @s: space
 *
 * Context: task, may sleep. Return: 0; -ENOENT nobody records.
 */
int kmm_reftrace_stop(struct kmm_space *s)
{
	struct kmm_reftrace *t;

	spin_lock(&s->trace_lock);
	t = s->trace;
	WRITE_ONCE(s->trace, NULL);
	spin_unlock(&s->trace_lock);
	kmm_account_free(s->account, t, REFTRACE_BYTES);
	return t ? 0 : -ENOENT;
}
KMM_EXPORT_INTERNAL(kmm_reftrace_stop);

/**
 * kmm_reftrace_read() - Take the oldest entries out.
 * @s: space
 * @entries: filled
 * @nr: room in @entries
 * @lost: out: accesses that found no room since the start
 *
 * Context: task. Return: how many; -ENOENT nobody records.
 */
int kmm_reftrace_read(struct kmm_space *s, u64 *entries, unsigned int nr, u64 *lost)
{
	struct kmm_reftrace *t;
	unsigned int i = 0;

	spin_lock(&s->trace_lock);
	t = s->trace;
	if (t) {
		for (; i < nr && t->tail != t->head; i++)
			entries[i] = t->entry[t->tail++ % KMM_TRACE_ENTRIES];
		*lost = t->lost;
	}
	spin_unlock(&s->trace_lock);
	return t ? i : -ENOENT;
}
KMM_EXPORT_INTERNAL(kmm_reftrace_read);

/**
 * kmm_reftrace_lose() - Entries that were read did not reach the reader.
 * @s: space
 * @nr: how many
 *
 * Context: task.
 */
void kmm_reftrace_lose(struct kmm_space *s, unsigned int nr)
{
	spin_lock(&s->trace_lock);
	if (s->trace)
		s->trace->lost += nr;
	spin_unlock(&s->trace_lock);
}

/**
 * kmm_reftrace_record() - Somebody has accessed a space.
 * @s: space; called when its trace is not NULL, which may have changed since
 * @addr: first address
 * @len: bytes, not 0, at most KMM_ACCESS_MAX
 * @write: or else read
 *
 * Context: task.
 */
void kmm_reftrace_record(struct kmm_space *s, u64 addr, size_t len, bool write)
{
	u64 page = addr >> PAGE_SHIFT, last = (addr + len - 1) >> PAGE_SHIFT;
	struct kmm_reftrace *t;

	spin_lock(&s->trace_lock);
	t = s->trace;
	for (; t && page <= last; page++) {
		if (t->head - t->tail == KMM_TRACE_ENTRIES)
			t->lost++;
		else
			t->entry[t->head++ % KMM_TRACE_ENTRIES] = page |
								  (write ? KMM_TRACE_WRITE : 0);
	}
	spin_unlock(&s->trace_lock);
}

/* === Objects: sampled === */

/* Looks at [first, end), which is in one leaf of the index. */
static unsigned int young_leaf_locked(struct kmm_object *o, pgoff_t first, pgoff_t end,
				      unsigned int bit, unsigned long *bitmap)
{
	struct kmm_leaf *leaf = o->top[first >> KMM_LEAF_SHIFT];
	unsigned int nr_young = 0;

	for (; leaf && first < end; first++, bit++) {
		void *entry = leaf->entry[first & (KMM_LEAF_ENTRIES - 1)];
		bool young = false;

		if (!kmm_entry_is_page(entry))
			continue;
		if (o->mops)
			young = o->mops->test_and_clear_young(o, first);
		young |= kmm_rmap_test_and_clear_young(o, first);
		if (!young)
			continue;
		if (o->lruvec && !o->lruvec->exact)
			kmm_lru_touch_locked(o, entry);
		__set_bit(bit, bitmap);
		nr_young++;
	}
	return nr_young;
}

static void young_flush_local(void *unused)
{
	kmm_host_flush_tlb_local();
}

/**
 * kmm_reftrace_young() - Which pages were used since the last call?
 * @o: object
 * @first: first page
 * @nr: how many; those behind the end of the object were not used
 * @bitmap: @nr bits, all clear; those of used pages are set
 *
 * Context: task, may sleep. Return: bits set; -EINTR killed.
 */
int kmm_reftrace_young(struct kmm_object *o, pgoff_t first, unsigned int nr,
		       unsigned long *bitmap)
{
	unsigned int nr_young = 0;
	pgoff_t index = first;

	while (index < first + nr) {
		pgoff_t end = min(first + nr, round_down(index, KMM_LEAF_ENTRIES) +
					      KMM_LEAF_ENTRIES);

		if (fatal_signal_pending(current))
			return -EINTR;
		mutex_lock(&o->lock);
		end = min(end, o->nr_pages);
		if (index < end)
			nr_young += young_leaf_locked(o, index, end, index - first, bitmap);
		mutex_unlock(&o->lock);
		if (index >= end)
			break;
		index = end;
		cond_resched();
	}
	if (nr_young && o->mops)
		on_each_cpu(young_flush_local, NULL, 1);
	return nr_young;
}
KMM_EXPORT_INTERNAL(kmm_reftrace_young);
