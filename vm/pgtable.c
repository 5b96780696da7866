// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Page tables
 *
 * The trees of address spaces, made of kmm frames from the root down. Nobody else writes an entry
 * of theirs; those of the kernel window, where the tables are the host's and only the leaves
 * are ours, are written by vm/window.c. Where trees and tables come from and where they go is
 * vm/pgtable_life.c's.
 *
 * Trees. A tree has the levels that the machine has, 4 or 5. All tables look alike, 512 words, so
 * levels are numbered from the leaf up and one walk serves them all; only the write of an
 * entry asks for the level, because the host has a helper for each, and because the top level
 * must not be written with set_pgd() or set_p4d(): these would write the page behind as well,
 * as PTI wants it for the host's own tables.
 *
 * Two roots. The root is a block of two pages, 8 KiB aligned, as PTI's: its NMI entry clears bit
 * 12 of CR3, and must then still find a full root. The lower page is the full view; its
 * entries of the user half carry NX. The upper page is the user view: the same tables, without
 * the NX, and nothing of the kernel's half. kmm never loads the user view.
 *
 * Locks. Tables come under pt->lock. The entries of a table are protected by a lock of this table:
 * bit 0 of the client's words of its frame, known to lockdep as one class. The other word counts
 * the table's entries. A table goes only through kmm_pt_prune(), whose caller makes sure that
 * nobody else is in the range: it holds the space's lock for writing and has taken the range
 * out of all lists by which reclaim could come. So walks need no lock to follow a table.
 *
 * An entry that is taken out goes through four hands: zap clears it under its table's lock,
 * the drop function decides on its page, flush makes sure that no CPU has it any more, and only
 * then page and table are freed. A gather (struct kmm_pt_gather) carries them from zap to
 * free, linked through their frames, so it needs no memory and has no limit.
 *
 * Flush of a tree. A tree is in CR3 only with interrupts off, for a few accesses, and each load of
 * CR3 drops what the CPU knew of user addresses (vm/mmu.c). So a CPU can have stale entries
 * only while it is inside: flushing means to interrupt the CPUs in pt->active and to wait, they
 * answer when they are out. Counted in the ledger that the window's flushes are in, too.
 *
 * States of a leaf: 0, none; present; not present but not 0: a page without rights (PROT_NONE),
 * whose frame number is inverted as the host does it (L1TF). KMM_PT_PRIVATE marks pages that
 * belong to spaces only; how many entries map one is counted in its frame.
 *
 * Huge leaves are added and split under pt->lock and the lock of the PMD table.
 *
 * Invariants: a table's count is the number of its entries that are not 0; pt->resident counts
 * 4 KiB pages, and is 0 at the end of a tree.
 *
 * What this deliberately does not do: no 1 GiB leaves, no PCIDs, no lazy flushes of trees, no
 * knowledge of areas or objects.
 */
#include <linux/bit_spinlock.h>
#include <linux/err.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/smp.h>

#include <compat/compat.h>
#include <kmm/buddy.h>
#include <kmm/page_table_check.h>
#include <kmm/pgtable.h>

#include "pgtable_internal.h"

/* === Data === */

#define PT_ENTRIES	PTRS_PER_PTE

/* Pages of one call to the buddy when a gather ends. */
#define PT_FREE_BATCH	32

/* What a table may be taken with while an object is locked: no reclaim. */
#define PT_GFP_FAST	((KMM_PT_GFP & ~__GFP_DIRECT_RECLAIM) | __GFP_NORETRY)

static_assert(PTRS_PER_PTE == 512 && PTRS_PER_PMD == 512 && PTRS_PER_PUD == 512);

/* === Levels === */

static inline unsigned int pt_index(unsigned long addr, unsigned int level)
{
	return (addr >> kmm_pt_shift(level)) & (PT_ENTRIES - 1);
}

static inline unsigned long *pt_table_of(unsigned long entry)
{
	return __va(entry & PTE_PFN_MASK);
}

static inline bool pt_is_huge(unsigned long entry)
{
	return entry & _PAGE_PSE;
}

/* Writes an entry of a table below the root. */
static void pt_write(unsigned long *slot, unsigned int level, unsigned long entry)
{
	switch (level) {
	case KMM_PT_PTE:
		set_pte((pte_t *)slot, __pte(entry));
		break;
	case KMM_PT_PMD:
		set_pmd((pmd_t *)slot, __pmd(entry));
		break;
	case KMM_PT_PUD:
		set_pud((pud_t *)slot, __pud(entry));
		break;
	default:
		/* A p4d of a 5-level tree; set_p4d() may think that it is a root. */
		WRITE_ONCE(*slot, entry);
	}
}

/* === Locks of tables === */

#ifdef CONFIG_DEBUG_LOCK_ALLOC
static struct lock_class_key pt_lock_key;
static struct lockdep_map pt_lock_map = STATIC_LOCKDEP_MAP_INIT("kmm_pt_table", &pt_lock_key);

#define pt_lock_acquired()	lock_map_acquire(&pt_lock_map)
#define pt_lock_released()	lock_map_release(&pt_lock_map)
#else
#define pt_lock_acquired()	do { } while (0)
#define pt_lock_released()	do { } while (0)
#endif

/* frame.next and frame.prev of a table: bit 0 is its lock, prev the count of its entries. */
static inline void pt_lock_table(struct kmm_frame *f)
{
	static_assert(offsetof(struct kmm_frame, next) == 0 &&
		      offsetof(struct kmm_frame, prev) == 4);

	pt_lock_acquired();
	bit_spin_lock(0, (unsigned long *)f);
}

static inline void pt_unlock_table(struct kmm_frame *f)
{
	bit_spin_unlock(0, (unsigned long *)f);
	pt_lock_released();
}

/* === Walking down === */

/* The entry of the root in one of the views. */
static inline unsigned long pt_root_entry(const struct kmm_pgtable *pt, unsigned long addr,
					  bool user_view)
{
	const unsigned long *root = (const unsigned long *)(user_view ? pt->user : pt->full);

	return READ_ONCE(root[pt_index(addr, kmm_pt_top())]);
}

/* The table of @level that covers @addr; NULL when there is none, or a huge leaf above it. */
static unsigned long *pt_find(const struct kmm_pgtable *pt, unsigned long addr, unsigned int level)
{
	unsigned long entry = pt_root_entry(pt, addr, true);
	unsigned int l = kmm_pt_top();

	for (;;) {
		if (!(entry & _PAGE_PRESENT) || pt_is_huge(entry))
			return NULL;
		if (--l == level)
			return pt_table_of(entry);
		entry = READ_ONCE(pt_table_of(entry)[pt_index(addr, l)]);
	}
}

/* Installs @table at @slot of the level above @level, unless somebody was faster. */
static bool pt_install(struct kmm_pgtable *pt, unsigned long *parent, unsigned long addr,
		       unsigned int level, unsigned long *table)
{
	unsigned int i = pt_index(addr, level + 1);
	unsigned long entry = __pa(table) | _PAGE_TABLE;
	struct kmm_frame *f;
	bool done = false;

	spin_lock(&pt->lock);
	if (level + 1 == kmm_pt_top()) {
		if (!((unsigned long *)pt->user)[i]) {
			/* Not with set_pgd(), see above. */
			WRITE_ONCE(((unsigned long *)pt->user)[i], entry);
			WRITE_ONCE(((unsigned long *)pt->full)[i],
				   entry | (_PAGE_NX & __supported_pte_mask));
			done = true;
		}
	} else if (!parent[i]) {
		f = kmm_pt_frame(pt->set, parent);
		pt_lock_table(f);
		f->prev++;
		pt_write(&parent[i], level + 1, entry);
		pt_unlock_table(f);
		done = true;
	}
	spin_unlock(&pt->lock);
	return done;
}

/* The table of @level that covers @addr, made where it is missing. */
static unsigned long *pt_make(struct kmm_pgtable *pt, unsigned long addr, unsigned int level,
			      gfp_t gfp)
{
	unsigned long *parent = NULL, *table;
	unsigned long entry;
	unsigned int l;

	for (l = kmm_pt_top(); l > level; l--) {
		entry = parent ? READ_ONCE(parent[pt_index(addr, l)]) :
				 pt_root_entry(pt, addr, true);
		if (!entry) {
			table = kmm_pt_table_alloc(pt, l - 1, gfp);
			if (IS_ERR(table))
				return table;
			if (pt_install(pt, parent, addr, l - 1, table)) {
				parent = table;
				continue;
			}
			kmm_pt_table_uncount(pt, l - 1);
			kmm_pt_table_free(pt, table);
			l++;	/* somebody was faster: look again */
			continue;
		}
		if (pt_is_huge(entry) || !(entry & _PAGE_PRESENT))
			return ERR_PTR(-EEXIST);
		parent = pt_table_of(entry);
	}
	return parent;
}

/* === Leaves === */

/**
 * kmm_pt_make_entry() - The raw word for a page.
 * @page: page
 * @prot: rights; Accessed and Dirty are left out, the hardware sets them
 *
 * Context: any. Return: entry; with KMM_PT_HUGE in @prot that of a 2 MiB leaf.
 */
unsigned long kmm_pt_make_entry(struct page *page, pgprot_t prot)
{
	unsigned long pfn = page_to_pfn(page);

	prot = __pgprot(pgprot_val(prot) & ~KMM_PT_AD);
	/* Without rights the frame number is inverted, and a huge one has fewer bits. */
	if (pgprot_val(prot) & KMM_PT_HUGE)
		return pmd_val(pfn_pmd(pfn, prot));
	return pte_val(pfn_pte(pfn, prot));
}
KMM_EXPORT_INTERNAL(kmm_pt_make_entry);

/**
 * kmm_pt_entry_page() - The page of a leaf.
 * @entry: raw word, not 0, with or without rights
 * @huge: it is a 2 MiB leaf
 *
 * Context: any. Return: page; of a 2 MiB leaf the first of 512.
 */
struct page *kmm_pt_entry_page(unsigned long entry, bool huge)
{
	return pfn_to_page(huge ? pmd_pfn(__pmd(entry)) : pte_pfn(__pte(entry)));
}
KMM_EXPORT_INTERNAL(kmm_pt_entry_page);

/**
 * kmm_pt_get() - The leaf at an address.
 * @pt: tree
 * @addr: address of the user half
 * @huge: set to true for a 2 MiB leaf; may be NULL
 *
 * Context: any, with something that keeps the tables of @addr. Return: raw word, 0 for none.
 */
unsigned long kmm_pt_get(struct kmm_pgtable *pt, unsigned long addr, bool *huge)
{
	unsigned long *pmds = pt_find(pt, addr, KMM_PT_PMD);
	unsigned long entry = 0;
	bool is_huge = false;

	if (pmds) {
		entry = READ_ONCE(pmds[pt_index(addr, KMM_PT_PMD)]);
		is_huge = pt_is_huge(entry);
		if (entry && !is_huge)
			entry = READ_ONCE(pt_table_of(entry)[pt_index(addr, KMM_PT_PTE)]);
	}
	if (huge)
		*huge = is_huge;
	return entry;
}
KMM_EXPORT_INTERNAL(kmm_pt_get);

/**
 * kmm_pt_prepare() - Make sure that the tables for an address are there.
 * @pt: tree
 * @addr: address of the user half
 *
 * To be called before an object is locked: kmm_pt_replace() may not wait for memory.
 *
 * Context: task, may sleep and reclaim; the tables stay as long as the area does.
 * Return: 0, also where a 2 MiB leaf is; -ENOMEM; -EDQUOT.
 */
int kmm_pt_prepare(struct kmm_pgtable *pt, unsigned long addr)
{
	unsigned long *table = pt_make(pt, addr, KMM_PT_PTE, KMM_PT_GFP);

	return IS_ERR(table) && PTR_ERR(table) != -EEXIST ? PTR_ERR(table) : 0;
}
KMM_EXPORT_INTERNAL(kmm_pt_prepare);

/**
 * kmm_pt_replace() - Exchange a 4 KiB leaf for another, if it is still what the caller saw.
 * @pt: tree
 * @addr: address of the user half
 * @old: what kmm_pt_get() gave; Accessed and Dirty do not matter
 * @new: the new word; 0 for none. Where the page stays the same, Accessed and Dirty stay
 *
 * Does not flush: where @old was present, call kmm_pt_flush() or finish a gather before the
 * old page can be given away.
 *
 * Context: task; does not sleep for memory. An object may be locked.
 * Return: 0; -EAGAIN there is something else now, also a 2 MiB leaf; -ENOMEM or -EDQUOT no
 * table, see kmm_pt_prepare().
 */
int kmm_pt_replace(struct kmm_pgtable *pt, unsigned long addr, unsigned long old,
		   unsigned long new)
{
	unsigned long *table, *slot, cur;
	struct kmm_frame *f;
	int err = -EAGAIN;

	table = pt_make(pt, addr, KMM_PT_PTE, PT_GFP_FAST);
	if (IS_ERR(table))
		return PTR_ERR(table) == -EEXIST ? -EAGAIN : PTR_ERR(table);
	slot = &table[pt_index(addr, KMM_PT_PTE)];
	f = kmm_pt_frame(pt->set, table);

	pt_lock_table(f);
	cur = READ_ONCE(*slot);
	do {
		if ((cur ^ old) & ~KMM_PT_AD)
			goto out;
		if (new && cur && pte_pfn(__pte(cur)) == pte_pfn(__pte(new)))
			new |= cur & KMM_PT_AD;
		/* The hardware may set A or D meanwhile. */
	} while (!try_cmpxchg(slot, &cur, new));
	kmm_page_table_check(kmm_pt_region(pt->set), addr, cur, new, false);
	if (!old != !new) {
		int one = new ? 1 : -1;

		f->prev += one;
		atomic_long_add(one, &pt->resident);
	}
	err = 0;
out:
	pt_unlock_table(f);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_pt_replace);

/**
 * kmm_pt_touch() - Set Accessed or Dirty as the hardware does, if the leaf is still there.
 * @pt: tree
 * @addr: address of the user half
 * @entry: what kmm_pt_get() gave; Accessed and Dirty do not matter
 * @bits: of KMM_PT_AD; also _PAGE_RW, when a fault gives the right to write
 *
 * Context: any task. Return: true when the leaf was @entry and has @bits now.
 */
bool kmm_pt_touch(struct kmm_pgtable *pt, unsigned long addr, unsigned long entry,
		  unsigned long bits)
{
	unsigned long *table = pt_find(pt, addr, KMM_PT_PMD), *slot, cur;
	bool done = false, huge = true;
	struct kmm_frame *f;

	bits &= KMM_PT_AD | _PAGE_RW;

	if (!table)
		return false;
	slot = &table[pt_index(addr, KMM_PT_PMD)];
	cur = READ_ONCE(*slot);
	if (!pt_is_huge(cur)) {
		if (!cur)
			return false;
		table = pt_table_of(cur);
		slot = &table[pt_index(addr, KMM_PT_PTE)];
		huge = false;
	}
	f = kmm_pt_frame(pt->set, table);
	pt_lock_table(f);
	cur = READ_ONCE(*slot);
	do {
		done = !((cur ^ entry) & ~KMM_PT_AD);
	} while (done && !try_cmpxchg(slot, &cur, cur | bits));
	if (done)
		kmm_page_table_check(kmm_pt_region(pt->set), addr, cur, cur | bits, huge);
	pt_unlock_table(f);
	return done;
}
KMM_EXPORT_INTERNAL(kmm_pt_touch);

/**
 * kmm_pt_test_and_clear() - Read and clear Accessed or Dirty of a leaf.
 * @pt: tree
 * @addr: address of the user half
 * @bits: of KMM_PT_AD
 *
 * Without a flush; a tree is not in CR3 for longer than a few accesses.
 *
 * Context: any task. Return: those of @bits that were set.
 */
unsigned long kmm_pt_test_and_clear(struct kmm_pgtable *pt, unsigned long addr,
				    unsigned long bits)
{
	unsigned long *table = pt_find(pt, addr, KMM_PT_PMD), *slot, cur;
	struct kmm_frame *f;

	bits &= KMM_PT_AD;
	if (!table)
		return 0;
	slot = &table[pt_index(addr, KMM_PT_PMD)];
	cur = READ_ONCE(*slot);
	if (!pt_is_huge(cur)) {
		if (!cur)
			return 0;
		table = pt_table_of(cur);
		slot = &table[pt_index(addr, KMM_PT_PTE)];
	}
	f = kmm_pt_frame(pt->set, table);
	pt_lock_table(f);
	cur = READ_ONCE(*slot);
	/* None has nothing to clear; nor has a table that took a huge leaf's place. */
	while (cur & bits && !try_cmpxchg(slot, &cur, cur & ~bits))
		;
	pt_unlock_table(f);
	return cur & bits;
}
KMM_EXPORT_INTERNAL(kmm_pt_test_and_clear);

/**
 * kmm_pt_map_huge() - Put a 2 MiB leaf where nothing is.
 * @pt: tree
 * @addr: 2 MiB aligned address of the user half
 * @page: first of 512, 2 MiB aligned
 * @prot: rights
 *
 * Context: task, may sleep.
 * Return: 0; -EEXIST a leaf, or a table, is there; -ENOMEM; -EDQUOT.
 */
int kmm_pt_map_huge(struct kmm_pgtable *pt, unsigned long addr, struct page *page,
		    pgprot_t prot)
{
	unsigned long *table, entry;
	struct kmm_frame *f;

	entry = kmm_pt_make_entry(page, __pgprot(pgprot_val(prot) | KMM_PT_HUGE));
	table = pt_make(pt, addr, KMM_PT_PMD, KMM_PT_GFP);
	if (IS_ERR(table))
		return PTR_ERR(table);
	f = kmm_pt_frame(pt->set, table);
	spin_lock(&pt->lock);
	pt_lock_table(f);
	if (table[pt_index(addr, KMM_PT_PMD)]) {
		pt_unlock_table(f);
		spin_unlock(&pt->lock);
		return -EEXIST;
	}
	pt_write(&table[pt_index(addr, KMM_PT_PMD)], KMM_PT_PMD, entry);
	kmm_page_table_check(kmm_pt_region(pt->set), addr, 0, entry, true);
	f->prev++;
	atomic_long_add(PT_ENTRIES, &pt->resident);
	pt_unlock_table(f);
	spin_unlock(&pt->lock);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_pt_map_huge);

/* What the 4 KiB leaf number @i of a 2 MiB leaf is. */
static unsigned long pt_huge_part(unsigned long huge, unsigned int i)
{
	pgprot_t prot = __pgprot(huge & ~(PTE_PFN_MASK | KMM_PT_HUGE | KMM_PT_AD));

	return pte_val(pfn_pte(pmd_pfn(__pmd(huge)) + i, prot)) | (huge & KMM_PT_AD);
}

/**
 * kmm_pt_split_huge() - Make 512 leaves of 4 KiB out of a 2 MiB leaf.
 * @pt: tree
 * @addr: any address in it
 *
 * The leaves have its rights, Accessed and Dirty. Flushed when it returns.
 *
 * Context: task, may sleep. Return: 0, also when no such leaf is there; -ENOMEM; -EDQUOT.
 */
int kmm_pt_split_huge(struct kmm_pgtable *pt, unsigned long addr)
{
	unsigned long *pmds = pt_find(pt, addr, KMM_PT_PMD), *table, *slot, huge;
	struct kmm_frame *f;
	unsigned int i;

	if (!pmds || !pt_is_huge(READ_ONCE(pmds[pt_index(addr, KMM_PT_PMD)])))
		return 0;
	table = kmm_pt_table_alloc(pt, KMM_PT_PTE, KMM_PT_GFP);
	if (IS_ERR(table))
		return PTR_ERR(table);
	slot = &pmds[pt_index(addr, KMM_PT_PMD)];
	f = kmm_pt_frame(pt->set, pmds);

	/* A fault that finds nothing while it is out waits for pt->lock to add a table. */
	spin_lock(&pt->lock);
	pt_lock_table(f);
	huge = READ_ONCE(*slot);
	if (!pt_is_huge(huge)) {
		pt_unlock_table(f);
		spin_unlock(&pt->lock);
		kmm_pt_table_uncount(pt, KMM_PT_PTE);
		kmm_pt_table_free(pt, table);
		return 0;
	}
	/* Never both in the TLB: out, flush, in. */
	huge = xchg(slot, 0);
	pt_unlock_table(f);
	kmm_pt_flush(pt, PT_ENTRIES);
	for (i = 0; i < PT_ENTRIES; i++)
		table[i] = pt_huge_part(huge, i);
	kmm_pt_frame(pt->set, table)->prev = PT_ENTRIES;
	pt_lock_table(f);
	pt_write(slot, KMM_PT_PMD, __pa(table) | _PAGE_TABLE);
	pt_unlock_table(f);
	spin_unlock(&pt->lock);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_pt_split_huge);

/* === Ranges === */

/**
 * struct pt_range - a walk over the tables of the two lowest levels
 * @addr: next address
 * @end: behind the last
 * @table: PTE or PMD table of the part that the walk is at
 * @first: first index in @table
 * @nr: how many entries of it
 * @huge: @table is a PMD table and the one entry a 2 MiB leaf
 */
struct pt_range {
	unsigned long addr;
	unsigned long end;
	unsigned long *table;
	unsigned int first;
	unsigned int nr;
	bool huge;
};

/* The address of the leaf number @i of the table that the walk is at. */
static inline unsigned long pt_range_addr(const struct pt_range *r, unsigned int i)
{
	return ((r->addr - 1) & PMD_MASK) + (r->huge ? 0 : i * PAGE_SIZE);
}

/* Behind the part of @level that @addr is in; never past @end. */
static unsigned long pt_next(unsigned long addr, unsigned long end, unsigned int level)
{
	unsigned long next = (addr | ((1UL << kmm_pt_shift(level)) - 1)) + 1;

	return next && next < end ? next : end;
}

/* The next table with something in it; false at the end. @r->addr is then behind it. */
static bool pt_range_next(struct kmm_pgtable *pt, struct pt_range *r)
{
	while (r->addr < r->end) {
		unsigned long addr = r->addr;
		unsigned long entry = pt_root_entry(pt, addr, true);
		unsigned long *table = NULL;
		unsigned int l = kmm_pt_top();

		while (l > KMM_PT_PTE && entry && !(l < kmm_pt_top() && pt_is_huge(entry))) {
			table = pt_table_of(entry);
			l--;
			if (l == KMM_PT_PTE)
				break;
			entry = READ_ONCE(table[pt_index(addr, l)]);
		}
		/* The walk ended in a PTE table, or above, at an entry of none or huge. */
		if (l == KMM_PT_PTE) {
			r->addr = pt_next(addr, r->end, KMM_PT_PMD);
			r->table = table;
			r->first = pt_index(addr, KMM_PT_PTE);
			r->nr = ((r->addr - addr) + PAGE_SIZE - 1) >> PAGE_SHIFT;
			r->huge = false;
			return true;
		}
		r->addr = pt_next(addr, r->end, l);
		if (entry) {
			r->table = table;
			r->first = pt_index(addr, KMM_PT_PMD);
			r->nr = 1;
			r->huge = true;
			return true;
		}
	}
	return false;
}

/**
 * kmm_pt_protect() - Change the rights of all leaves in a range.
 * @pt: tree
 * @start: page aligned
 * @end: page aligned; 2 MiB leaves are in the range as a whole
 * @prot: new rights. A leaf that is not writable does not become so: whether it may is for
 *	the fault to decide
 *
 * Flushed when it returns. Context: task.
 */
void kmm_pt_protect(struct kmm_pgtable *pt, unsigned long start, unsigned long end,
		    pgprot_t prot)
{
	struct pt_range r = { .addr = start, .end = end };
	pgprot_t ro = __pgprot(pgprot_val(prot) & ~_PAGE_RW);
	unsigned long nr = 0;

	while (pt_range_next(pt, &r)) {
		struct kmm_frame *f = kmm_pt_frame(pt->set, r.table);
		unsigned int i;

		pt_lock_table(f);
		for (i = r.first; i < r.first + r.nr; i++) {
			unsigned long cur = READ_ONCE(r.table[i]), new;

			if (!cur || (r.huge && !pt_is_huge(cur)))
				continue;
			do {
				new = kmm_pt_modify(cur, cur & _PAGE_RW ? prot : ro, r.huge);
			} while (!try_cmpxchg(&r.table[i], &cur, new));
			kmm_page_table_check(kmm_pt_region(pt->set), pt_range_addr(&r, i), cur, new,
					     r.huge);
			nr += r.huge ? PT_ENTRIES : 1;
		}
		pt_unlock_table(f);
		cond_resched();
	}
	if (nr)
		kmm_pt_flush(pt, nr);
}
KMM_EXPORT_INTERNAL(kmm_pt_protect);

/*
 * The private leaves of one PTE table into a new one, without the right to write in both. @check is
 * a constant: an entry pays nothing for a check that is off.
 */
static __always_inline unsigned int pt_clone_leaves(struct kmm_region *region, unsigned long *to,
						    const struct pt_range *r, bool check)
{
	unsigned int i, nr = 0;

	for (i = r->first; i < r->first + r->nr; i++) {
		unsigned long entry = READ_ONCE(r->table[i]);

		if (!(entry & KMM_PT_PRIVATE) || to[i])
			continue;
		if (entry & _PAGE_RW) {
			clear_bit(_PAGE_BIT_RW, &r->table[i]);
			if (check)
				__kmm_page_table_check(region, pt_range_addr(r, i), entry,
						       entry & ~_PAGE_RW, false);
			entry &= ~_PAGE_RW;
		}
		kmm_pt_share_get(kmm_region_frame(region, pte_pfn(__pte(entry))));
		to[i] = entry & ~KMM_PT_AD;
		if (check)
			__kmm_page_table_check(region, pt_range_addr(r, i), 0, to[i], false);
		nr++;
	}
	return nr;
}

static noinline unsigned int pt_clone_checked(struct kmm_region *region, unsigned long *to,
					      const struct pt_range *r)
{
	return pt_clone_leaves(region, to, r, true);
}

static unsigned int pt_clone_table(struct kmm_region *region, unsigned long *to,
				   const struct pt_range *r)
{
	if (static_branch_unlikely(&kmm_page_table_check_key))
		return pt_clone_checked(region, to, r);
	return pt_clone_leaves(region, to, r, false);
}

/**
 * kmm_pt_clone_range() - Share the private pages of a range with another tree.
 * @dst: tree that nobody else knows yet
 * @src: tree; its private leaves lose the right to write
 * @start: page aligned
 * @end: page aligned
 *
 * Other leaves are left to faults. Private 2 MiB leaves are split. The caller flushes @src, once
 * for all ranges.
 *
 * Context: task, may sleep; no fault can be in @src (the space's lock is held for writing).
 * Return: pages shared; -ENOMEM or -EDQUOT, with a part of them shared.
 */
long kmm_pt_clone_range(struct kmm_pgtable *dst, struct kmm_pgtable *src, unsigned long start,
			unsigned long end)
{
	struct pt_range r = { .addr = start, .end = end };
	long total = 0;

	while (pt_range_next(src, &r)) {
		struct kmm_frame *f = kmm_pt_frame(src->set, r.table);
		unsigned long *to;
		unsigned int nr;
		int err;

		if (r.huge) {
			unsigned long huge_addr = (r.addr - 1) & PMD_MASK;

			if (!(r.table[r.first] & KMM_PT_PRIVATE))
				continue;
			err = kmm_pt_split_huge(src, huge_addr);
			if (err)
				return err;
			r.addr = max(huge_addr, start);
			continue;
		}
		if (!f->prev)
			continue;
		to = pt_make(dst, (r.addr - 1) & PMD_MASK, KMM_PT_PTE, KMM_PT_GFP);
		if (IS_ERR(to))
			return PTR_ERR(to);
		pt_lock_table(f);
		nr = pt_clone_table(kmm_pt_region(src->set), to, &r);
		pt_unlock_table(f);
		kmm_pt_frame(dst->set, to)->prev += nr;
		atomic_long_add(nr, &dst->resident);
		total += nr;
		cond_resched();
	}
	return total;
}
KMM_EXPORT_INTERNAL(kmm_pt_clone_range);

/* === Taking out === */

/**
 * kmm_pt_gather_init() - Begin to take entries out.
 * @g: caller's, on the stack
 * @pt: tree
 * @drop: told of each leaf; or NULL
 * @ctx: kept in @g for @drop
 *
 * Context: any.
 */
void kmm_pt_gather_init(struct kmm_pt_gather *g, struct kmm_pgtable *pt, kmm_pt_drop_t drop,
			void *ctx)
{
	*g = (struct kmm_pt_gather) {
		.pt = pt,
		.drop = drop,
		.ctx = ctx,
		.pages = KMM_LIST_END,
		.tables = KMM_LIST_END,
	};
}
KMM_EXPORT_INTERNAL(kmm_pt_gather_init);

static void pt_gather_link(struct kmm_pt_gather *g, u32 *list, struct kmm_frame *f)
{
	f->prev = *list;
	*list = kmm_region_index(kmm_pt_region(g->pt->set), f);
}

/**
 * kmm_pt_gather_page() - Have a page freed after the flush.
 * @g: gather
 * @page: first of a block of the region that nobody else uses; its client's words are free
 *
 * Context: any.
 */
void kmm_pt_gather_page(struct kmm_pt_gather *g, struct page *page)
{
	pt_gather_link(g, &g->pages,
		       kmm_region_frame(kmm_pt_region(g->pt->set), page_to_pfn(page)));
}
KMM_EXPORT_INTERNAL(kmm_pt_gather_page);

/* The leaves of one table; @check as in pt_clone_leaves(). Return: how many went. */
static __always_inline unsigned int pt_zap_leaves(struct kmm_pt_gather *g,
						  const struct pt_range *r, bool check)
{
	unsigned int nr_pages = r->huge ? PT_ENTRIES : 1, i, nr = 0;
	unsigned long addr = (r->addr - 1) & PMD_MASK;

	for (i = r->first; i < r->first + r->nr; i++) {
		unsigned long entry = READ_ONCE(r->table[i]);

		if (!entry || entry & g->keep || (r->huge && !pt_is_huge(entry)))
			continue;
		entry = xchg(&r->table[i], 0);
		nr++;
		/* Counted before the drop function may let a share go. */
		if (check)
			__kmm_page_table_check(kmm_pt_region(g->pt->set), pt_range_addr(r, i),
					       entry, 0, r->huge);
		if (g->drop)
			g->drop(g, r->huge ? addr : addr + i * PAGE_SIZE, entry,
				kmm_pt_entry_page(entry, r->huge), nr_pages);
	}
	return nr;
}

static noinline unsigned int pt_zap_checked(struct kmm_pt_gather *g, const struct pt_range *r)
{
	return pt_zap_leaves(g, r, true);
}

/**
 * kmm_pt_zap() - Take the leaves of a range out.
 * @g: gather
 * @start: page aligned
 * @end: page aligned; 2 MiB leaves are in the range as a whole
 *
 * The tables stay. Nothing is flushed or freed before kmm_pt_gather_finish().
 *
 * Context: task; the caller keeps the tables of the range, by the space's lock, or by the rmap
 * lock of an object whose area it is.
 */
void kmm_pt_zap(struct kmm_pt_gather *g, unsigned long start, unsigned long end)
{
	struct pt_range r = { .addr = start, .end = end };
	struct kmm_pgtable *pt = g->pt;

	while (pt_range_next(pt, &r)) {
		struct kmm_frame *f = kmm_pt_frame(pt->set, r.table);
		unsigned int nr_pages = r.huge ? PT_ENTRIES : 1;
		unsigned int nr;

		pt_lock_table(f);
		if (static_branch_unlikely(&kmm_page_table_check_key))
			nr = pt_zap_checked(g, &r);
		else
			nr = pt_zap_leaves(g, &r, false);
		f->prev -= nr;
		pt_unlock_table(f);
		g->nr_flush += nr * nr_pages;
		atomic_long_sub(nr * nr_pages, &pt->resident);
	}
}
KMM_EXPORT_INTERNAL(kmm_pt_zap);

/* Unhooks the table below @slot of @parent; NULL is the root. */
static void pt_unhook(struct kmm_pt_gather *g, unsigned long *parent, unsigned int i,
		      unsigned int level)
{
	struct kmm_pgtable *pt = g->pt;
	struct kmm_frame *f;

	if (!parent) {
		WRITE_ONCE(((unsigned long *)pt->full)[i], 0);
		WRITE_ONCE(((unsigned long *)pt->user)[i], 0);
		return;
	}
	f = kmm_pt_frame(pt->set, parent);
	pt_lock_table(f);
	pt_write(&parent[i], level, 0);
	f->prev--;
	pt_unlock_table(f);
}

/*
 * Below the entry @entry of a table of @level: frees empty tables that lie in [start, end) as a
 * whole. @base: first address of what the entry covers. True when the table itself is empty and in
 * the range.
 */
static bool pt_prune_below(struct kmm_pt_gather *g, unsigned long entry, unsigned int level,
			   unsigned long base, unsigned long start, unsigned long end)
{
	unsigned long *table = pt_table_of(entry);
	struct kmm_frame *f = kmm_pt_frame(g->pt->set, table);
	unsigned long size = 1UL << kmm_pt_shift(level), addr;
	unsigned int first, last, i;

	level--;	/* of @table */
	if (level > KMM_PT_PTE) {
		first = pt_index(max(start, base), level);
		last = pt_index(min(end, base + size) - 1, level);
		for (i = first; i <= last; i++) {
			unsigned long e = READ_ONCE(table[i]);

			addr = base + ((unsigned long)i << kmm_pt_shift(level));
			if (!e || pt_is_huge(e) ||
			    !pt_prune_below(g, e, level, addr, start, end))
				continue;
			pt_unhook(g, table, i, level);
			pt_gather_link(g, &g->tables, kmm_pt_frame(g->pt->set, pt_table_of(e)));
			kmm_pt_table_uncount(g->pt, level - 1);
		}
	}
	return !f->prev && base >= start && base + size <= end;
}

/**
 * kmm_pt_prune() - Take empty tables out.
 * @g: gather
 * @start: first address of the gap: tables that begin before it stay
 * @end: behind the last; tables that end behind it stay
 *
 * Context: task. Nobody else walks, maps or zaps in the range: the space's lock is held for
 * writing, and no area in it is on an object's list.
 */
void kmm_pt_prune(struct kmm_pt_gather *g, unsigned long start, unsigned long end)
{
	unsigned int top = kmm_pt_top();
	unsigned long size = 1UL << kmm_pt_shift(top);
	struct kmm_pgtable *pt = g->pt;
	unsigned int i;

	if (start >= end)
		return;
	spin_lock(&pt->lock);
	for (i = pt_index(start, top); i <= pt_index(end - 1, top); i++) {
		unsigned long entry = ((unsigned long *)pt->user)[i];

		if (!entry || !pt_prune_below(g, entry, top, i * size, start, end))
			continue;
		pt_unhook(g, NULL, i, top);
		pt_gather_link(g, &g->tables, kmm_pt_frame(pt->set, pt_table_of(entry)));
		kmm_pt_table_uncount(pt, top - 1);
	}
	spin_unlock(&pt->lock);
}
KMM_EXPORT_INTERNAL(kmm_pt_prune);

static void pt_gather_free_pages(struct kmm_pt_gather *g)
{
	struct kmm_region *r = kmm_pt_region(g->pt->set);
	struct kmm_buddy *b = g->pt->set->buddy;
	struct page *pages[PT_FREE_BATCH];
	unsigned int nr = 0;

	while (g->pages != KMM_LIST_END) {
		struct kmm_frame *f = &r->frames[g->pages];
		struct page *page = kmm_region_page(r, g->pages);

		g->pages = f->prev;
		if (kmm_frame_order(f))
			kmm_buddy_free(b, page, kmm_frame_order(f));
		else
			pages[nr++] = page;
		if (nr == PT_FREE_BATCH || g->pages == KMM_LIST_END) {
			kmm_buddy_free_bulk(b, pages, nr);
			nr = 0;
			cond_resched();
		}
	}
}

/**
 * kmm_pt_gather_finish() - Flush, then free what was taken out.
 * @g: gather; empty afterwards and ready for more
 *
 * Context: task, may sleep; an object may be locked.
 */
void kmm_pt_gather_finish(struct kmm_pt_gather *g)
{
	struct kmm_region *r = kmm_pt_region(g->pt->set);
	u32 index;

	if (g->nr_flush || g->tables != KMM_LIST_END)
		kmm_pt_flush(g->pt, g->nr_flush);
	g->nr_flush = 0;
	pt_gather_free_pages(g);
	while (g->tables != KMM_LIST_END) {
		index = g->tables;
		g->tables = r->frames[index].prev;
		kmm_pt_table_free(g->pt, page_address(kmm_region_page(r, index)));
	}
}
KMM_EXPORT_INTERNAL(kmm_pt_gather_finish);

static void pt_flush_nothing(void *unused)
{
}

/**
 * kmm_pt_flush() - Wait until no CPU has an entry that was taken out before.
 * @pt: tree
 * @nr_pages: how many pages these covered, for the ledger
 *
 * Whoever loads the tree puts itself into pt->active, issues a full barrier, and only then
 * loads CR3, which empties its TLB of user addresses; it leaves with interrupts off all the
 * time. So a CPU that is not seen there will read the tables anew, and one that is there answers
 * the interrupt when it is out.
 *
 * Context: interrupts on; spinlocks that no interrupt takes may be held.
 */
void kmm_pt_flush(struct kmm_pgtable *pt, unsigned long nr_pages)
{
	struct kmm_tlb_stat *tlb = &pt->set->tlb;
	unsigned int nr;

	/* Pairs with the barrier between pt->active and CR3 in vm/mmu.c. */
	smp_mb();
	atomic64_inc(&tlb->space_flushes);
	atomic64_add(nr_pages, &tlb->space_pages);
	if (cpumask_empty(&pt->active))
		return;
	preempt_disable();
	nr = cpumask_weight(&pt->active);
	if (cpumask_test_cpu(smp_processor_id(), &pt->active))
		nr--;
	atomic64_add(nr, &tlb->ipis);
	smp_call_function_many(&pt->active, pt_flush_nothing, NULL, true);
	preempt_enable();
}
KMM_EXPORT_INTERNAL(kmm_pt_flush);

/* === Looking === */

/**
 * kmm_pt_walk() - Every level of one translation.
 * @pt: tree
 * @addr: any address; only the bits that tables look at count
 * @user_view: from the user root
 * @path: filled
 *
 * Context: any, with something that keeps the tables of @addr.
 */
void kmm_pt_walk(struct kmm_pgtable *pt, unsigned long addr, bool user_view,
		 struct kmm_pt_path *path)
{
	unsigned long entry = pt_root_entry(pt, addr, user_view);
	unsigned int l = kmm_pt_top();

	*path = (struct kmm_pt_path) { .levels = l + 1 };
	for (;;) {
		path->index[path->depth] = pt_index(addr, l);
		path->entry[path->depth++] = entry;
		if (!(entry & _PAGE_PRESENT))
			return;
		if (l == KMM_PT_PTE || (l < kmm_pt_top() && pt_is_huge(entry))) {
			path->leaf_shift = kmm_pt_shift(l);
			return;
		}
		entry = READ_ONCE(pt_table_of(entry)[pt_index(addr, --l)]);
	}
}
KMM_EXPORT_INTERNAL(kmm_pt_walk);

/**
 * struct pt_visit - what a walk over all leaves carries
 * @leaf: called for each
 * @ctx: its argument
 * @start: first address
 * @end: behind the last
 */
struct pt_visit {
	int (*leaf)(void *ctx, unsigned long addr, unsigned int shift, unsigned long entry,
		    unsigned long effective);
	void *ctx;
	unsigned long start;
	unsigned long end;
};

#define PT_RIGHTS	(_PAGE_PRESENT | _PAGE_RW | _PAGE_USER)

/* What all levels allow: a right must be in each, NX in one. */
static unsigned long pt_effective(unsigned long above, unsigned long entry)
{
	return (above & entry & PT_RIGHTS) | ((above | entry) & _PAGE_NX);
}

static int pt_visit_table(const struct pt_visit *v, const unsigned long *table,
			  unsigned int level, unsigned long base, unsigned long above)
{
	unsigned long size = 1UL << kmm_pt_shift(level);
	unsigned int i;
	int err = 0;

	for (i = 0; i < PT_ENTRIES && !err; i++) {
		unsigned long addr = base + i * size, entry = READ_ONCE(table[i]), eff;

		if (!entry || addr + size <= v->start)
			continue;
		if (addr >= v->end)
			break;
		eff = pt_effective(above, entry);
		if (level == KMM_PT_PTE || (level < kmm_pt_top() && pt_is_huge(entry)))
			err = v->leaf(v->ctx, addr, kmm_pt_shift(level), entry, eff);
		else
			err = pt_visit_table(v, pt_table_of(entry), level - 1, addr, eff);
	}
	return err;
}

/**
 * kmm_pt_for_each() - Every leaf of the user half.
 * @pt: tree
 * @user_view: from the user root
 * @start: first address
 * @end: behind the last
 * @leaf: called with address, shift (12 or 21), raw entry, and the rights that all levels
 *	together give: of P, RW, US what each has, NX when one has it. Not 0: the walk ends
 * @ctx: its argument
 *
 * Context: as @leaf, with something that keeps the tables. Return: 0, or what @leaf returned.
 */
int kmm_pt_for_each(struct kmm_pgtable *pt, bool user_view, unsigned long start,
		    unsigned long end,
		    int (*leaf)(void *ctx, unsigned long addr, unsigned int shift,
				unsigned long entry, unsigned long effective), void *ctx)
{
	struct pt_visit v = { .leaf = leaf, .ctx = ctx, .start = start, .end = end };
	const unsigned long *root = (const unsigned long *)(user_view ? pt->user : pt->full);
	unsigned long size = 1UL << kmm_pt_shift(kmm_pt_top());
	unsigned int i;
	int err = 0;

	/* The user half only: what the full root has above is the host's. */
	for (i = 0; i < PT_ENTRIES / 2 && !err; i++) {
		unsigned long entry = READ_ONCE(root[i]);

		if (entry && i * size < end && (i + 1) * size > start)
			err = pt_visit_table(&v, pt_table_of(entry), kmm_pt_top() - 1, i * size,
					     pt_effective(PT_RIGHTS, entry));
	}
	return err;
}
KMM_EXPORT_INTERNAL(kmm_pt_for_each);
