// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Faults of address spaces
 *
 * What happens when the tables of a space do not allow an access. vm/mmu.c sees that, in
 * hardware or in software, and asks here with the address and the bits of the CPU's error code. The
 * answer is a rule that denies the access, or none: the leaf is there now, try again.
 *
 * First the area is asked (fault_check()): nothing there, a guard, no right. If it allows the
 * access, the leaf is made so that it does::
 *
 *	area		leaf		access		becomes
 *	no object	none		any		a zeroed private frame; with KMM_MAP_HUGE
 *							a block of 2 MiB where it fits
 *	PRIVATE, object	none		read, fetch	the object's page, read-only
 *	PRIVATE, object	none, object's	write		a private copy
 *	SHARED		any		any		the object's page, with all rights of the
 *							area; of a CONTIG object 2 MiB where it fits
 *	any		private, RO	write		one share: writable again;
 *							more: a private copy
 *
 * A read fault on an object brings the resident pages that follow, as dev/mmap.c does it. A hole
 * of an object is filled by a fault that shows it; a private write to a hole copies nothing.
 *
 * Order. Memory is taken first: tables (kmm_pt_prepare()) and frames, with reclaim, under the
 * space's lock for reading only. Then the object is locked, looked at, and the leaf installed
 * under its lock: that makes a revocation complete (vm/rmap.c). The leaf is exchanged by
 * compare-and-exchange with what was seen before, so of two faults on one page one finds the
 * other's work and looks again.
 *
 * The 2 MiB leaf of a CONTIG object needs no such care: its frames never leave.
 *
 * Copy-on-write. The old frame is read while we, or our leaf, hold it: a private one by its
 * share, an object's by a reference. Then the leaf is exchanged, flushed, and only then the share
 * is dropped: the last other owner may make the frame writable from that moment. An object's
 * frame is exchanged under its rmap lock, until the flush is done. A frame with one share is
 * nobody else's: shares are added only by a clone, which holds the space's lock for writing.
 *
 * Errors. -EDQUOT and -ENOMEM are KMM_RULE_LIMIT, what the object says (-ENXIO behind its end,
 * -EIO) is KMM_RULE_OBJECT.
 *
 * Invariants: no private frame is visible before it is zeroed or has its contents; no leaf of
 * an object's frame is writable in a private area.
 *
 * Locks: the space's lock for reading, then the object's, then its rmap lock, then a table lock.
 *
 * What this deliberately does not do: no read-ahead of private memory, no shared zero frame, no
 * 2 MiB copies.
 */
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/mm.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/buddy.h>
#include <kmm/inject.h>
#include <kmm/object.h>
#include <kmm/space.h>
#include <trace/events/kmm.h>

/* === Data === */

/* Private frames: nobody evicts them yet, so they are not movable. */
#define FAULT_GFP	(GFP_HIGHUSER | __GFP_NOWARN)

/* === Private frames === */

static struct page *private_alloc(struct kmm_space *s, gfp_t gfp, unsigned int order)
{
	struct kmm_buddy *b = s->set->buddy;
	struct page *page;
	int err;

	err = kmm_account_try_charge(s->account, KMM_RES_FRAMES, 1UL << order);
	if (err)
		return ERR_PTR(err);
	page = kmm_should_fail() ? NULL : kmm_buddy_alloc(b, FAULT_GFP | gfp, order);
	if (!page) {
		kmm_account_uncharge(s->account, KMM_RES_FRAMES, 1UL << order);
		return ERR_PTR(-ENOMEM);
	}
	kmm_buddy_set_owner(b, page, s->account->id);
	kmm_region_frame(b->region, page_to_pfn(page))->next = 1;
	return page;
}

/* It was never seen, or its last share is gone and flushed. */
static void private_free(struct kmm_space *s, struct page *page, unsigned int order)
{
	kmm_buddy_free(s->set->buddy, page, order);
}

/* The leaf of a private frame in @area. */
static unsigned long private_entry(const struct kmm_area *area, struct page *page)
{
	return kmm_pt_make_entry(page, kmm_space_pgprot(area->prot)) | KMM_PT_PRIVATE;
}

/* === Looking === */

/* Does @entry allow the access? */
static bool fault_allowed(unsigned long entry, u32 code)
{
	if (!(entry & _PAGE_PRESENT))
		return false;
	if (code & KMM_PF_WRITE && !(entry & _PAGE_RW))
		return false;
	return !(code & KMM_PF_INSTR && entry & _PAGE_NX);
}

/* Of canonical addresses bit 47 (56 with 5 levels) and all above are the same. */
static u32 fault_check_addr(unsigned long addr)
{
	unsigned int bits = pgtable_l5_enabled() ? 57 : 48;
	long high = (long)addr >> (bits - 1);

	if (!high)
		return KMM_RULE_NONE;
	return high == -1 ? KMM_RULE_KERNEL_HALF : KMM_RULE_NONCANONICAL;
}

/* Which rule of the area denies it? */
static u32 fault_check(struct kmm_space *s, const struct kmm_fault *f, struct kmm_area **area)
{
	u32 rule = fault_check_addr(f->addr);

	if (rule != KMM_RULE_NONE)
		return rule;
	if (kmm_espfix_covers(f->addr))
		return KMM_RULE_KEPT;
	*area = kmm_space_find_locked(s, f->addr);
	if (!*area)
		return KMM_RULE_NO_AREA;
	if ((*area)->flags & KMM_MAP_GUARD)
		return KMM_RULE_GUARD;
	if (!(*area)->prot)
		return KMM_RULE_NO_ACCESS;
	if (f->code & KMM_PF_WRITE && !((*area)->prot & KMM_PROT_WRITE))
		return KMM_RULE_NO_WRITE;
	if (f->code & KMM_PF_INSTR && !((*area)->prot & KMM_PROT_EXEC))
		return KMM_RULE_NO_EXEC;
	return KMM_RULE_NONE;
}

/* === Making the leaf; -EAGAIN: look again === */

/*
 * Can the 2 MiB around @addr be one leaf: does the area have them all, and has nobody made a
 * table of small ones there?
 */
static bool fault_huge_fits(struct kmm_space *s, const struct kmm_area *area, unsigned long addr)
{
	unsigned long base = addr & PMD_MASK;
	struct kmm_pt_path path;

	if (!(area->flags & KMM_MAP_HUGE) || base < area->start || area->end - base < PMD_SIZE)
		return false;
	kmm_pt_walk(&s->pt, addr, true, &path);
	return path.depth < path.levels;
}

static bool fault_map_huge(struct kmm_space *s, const struct kmm_area *area, unsigned long addr,
			   struct page *page, unsigned long bits)
{
	unsigned long prot = pgprot_val(kmm_space_pgprot(area->prot)) | bits;

	return !kmm_pt_map_huge(&s->pt, addr & PMD_MASK, page, __pgprot(prot));
}

/* A block of zeros. False: it is not to be had, take a small one. */
static bool fault_zero_huge(struct kmm_space *s, struct kmm_area *area, unsigned long addr)
{
	struct page *page;

	page = private_alloc(s, __GFP_ZERO | __GFP_NORETRY, KMM_PCP_HUGE_ORDER);
	if (IS_ERR(page))
		return false;
	if (!fault_map_huge(s, area, addr, page, KMM_PT_PRIVATE)) {
		private_free(s, page, KMM_PCP_HUGE_ORDER);
		return false;
	}
	atomic_long_add(PTRS_PER_PTE, &s->private_frames);
	return true;
}

/* An aligned 2 MiB of a CONTIG object. Its frames never leave: it need not be locked. */
static bool fault_object_huge(struct kmm_space *s, struct kmm_area *area, unsigned long addr)
{
	unsigned long base = addr & PMD_MASK;
	struct kmm_object *o = area->object;
	pgoff_t index = area->pgoff + ((base - area->start) >> PAGE_SHIFT);
	struct page *page;
	bool done = false;

	if (!(o->flags & KMM_OBJECT_CONTIG) || !(area->flags & KMM_MAP_SHARED) ||
	    index >= o->nr_pages || o->nr_pages - index < PTRS_PER_PTE)
		return false;
	page = kmm_object_get_page(o, index, false);
	if (IS_ERR_OR_NULL(page))
		return false;
	if (IS_ALIGNED(page_to_pfn(page), PTRS_PER_PTE))
		done = fault_map_huge(s, area, addr, page, 0);
	put_page(page);
	return done;
}

/* A private frame in place of @old, which is none, or @copied: a frame that it is a copy of. */
static int fault_private(struct kmm_space *s, struct kmm_area *area, unsigned long addr,
			 unsigned long old, struct page *copied)
{
	struct page *page = private_alloc(s, copied ? 0 : __GFP_ZERO, 0);
	int err;

	if (IS_ERR(page))
		return PTR_ERR(page);
	if (copied)
		copy_highpage(page, copied);
	/* Where the old one is an object's: until the flush is done, see vm/rmap.c. */
	kmm_rmap_lock(area);
	err = kmm_pt_replace(&s->pt, addr, old, private_entry(area, page));
	if (!err && old)
		kmm_pt_flush(&s->pt, 1);
	kmm_rmap_unlock(area);
	if (err) {
		private_free(s, page, 0);
		return err;
	}
	if (!(old & KMM_PT_PRIVATE))
		atomic_long_inc(&s->private_frames);
	if (copied) {
		atomic64_inc(&s->cow_faults);
		trace_space_cow(s->id, addr, page_to_pfn(copied), page_to_pfn(page));
	}
	return 0;
}

/* A write to a private frame that is write-protected. */
static int fault_private_again(struct kmm_space *s, struct kmm_area *area, unsigned long addr,
			       unsigned long old, bool huge)
{
	struct page *page = kmm_pt_entry_page(old, huge);
	struct kmm_frame *f = kmm_region_frame(s->set->buddy->region, page_to_pfn(page));
	int err;

	/* Nobody else can come to it: 2 MiB leaves are never shared. */
	if (kmm_pt_shares(f) == 1)
		return kmm_pt_touch(&s->pt, addr, old, _PAGE_RW) ? 0 : -EAGAIN;
	err = fault_private(s, area, addr, old, page);
	/* Flushed. The other owners may have gone meanwhile. */
	if (!err && kmm_pt_share_put(f))
		private_free(s, page, 0);
	return err;
}

/* A write to a private area where its object is to be seen. */
static int fault_copy(struct kmm_space *s, struct kmm_area *area, unsigned long addr,
		      unsigned long old)
{
	pgoff_t index = area->pgoff + ((addr - area->start) >> PAGE_SHIFT);
	struct page *page = kmm_object_get_page(area->object, index, false);
	int err;

	if (IS_ERR(page))
		return PTR_ERR(page);
	err = fault_private(s, area, addr, old, page);
	if (page)
		put_page(page);
	return err;
}

/* The object's page, and those behind it that are resident. */
static int fault_object(struct kmm_space *s, struct kmm_area *area, unsigned long addr,
			unsigned long old)
{
	pgoff_t index = area->pgoff + ((addr - area->start) >> PAGE_SHIFT);
	struct page *pages[KMM_FAULT_AROUND];
	unsigned int max, i;
	pgprot_t prot;
	int nr, err;

	prot = kmm_space_pgprot(area->flags & KMM_MAP_SHARED ? area->prot :
							       area->prot & ~KMM_PROT_WRITE);
	max = KMM_FAULT_AROUND - (index & (KMM_FAULT_AROUND - 1));
	max = min_t(unsigned long, max, (area->end - addr) >> PAGE_SHIFT);
	nr = kmm_object_lock_pages(area->object, index, pages, max);
	if (nr < 0)
		return nr;
	err = kmm_pt_replace(&s->pt, addr, old, kmm_pt_make_entry(pages[0], prot));
	/* Of the neighbours, what is free and has its table is enough. */
	for (i = 1; !err && i < nr; i++) {
		addr += PAGE_SIZE;
		if (kmm_pt_replace(&s->pt, addr, 0, kmm_pt_make_entry(pages[i], prot)))
			break;
	}
	kmm_object_unlock(area->object);
	return err;
}

static int fault_resolve(struct kmm_space *s, struct kmm_area *area, unsigned long addr, u32 code)
{
	bool write = code & KMM_PF_WRITE;
	unsigned long old;
	bool huge;
	int err;

	old = kmm_pt_get(&s->pt, addr, &huge);
	if (fault_allowed(old, code))
		return 0;
	if (old && write && old & KMM_PT_PRIVATE)
		return fault_private_again(s, area, addr, old, huge);
	/* A shared 2 MiB leaf that was protected and is not any more. */
	if (huge)
		return kmm_pt_touch(&s->pt, addr, old, _PAGE_RW) ? 0 : -EAGAIN;
	if (!old && fault_huge_fits(s, area, addr) &&
	    (area->object ? fault_object_huge(s, area, addr) : fault_zero_huge(s, area, addr)))
		return 0;
	err = kmm_pt_prepare(&s->pt, addr);
	if (err)
		return err;
	if (!area->object)
		return fault_private(s, area, addr, old, NULL);
	if (write && area->flags & KMM_MAP_PRIVATE)
		return fault_copy(s, area, addr, old);
	return fault_object(s, area, addr, old);
}

/* === Interface === */

/**
 * kmm_fault_handle() - Resolve a fault, or say which rule denies the access.
 * @s: space
 * @f: address and code; rule and error are set
 *
 * Context: task, may sleep; takes the space's lock for reading.
 */
void kmm_fault_handle(struct kmm_space *s, struct kmm_fault *f)
{
	struct kmm_area *area;
	int err = 0;

	down_read(&s->lock);
	f->rule = fault_check(s, f, &area);
	if (f->rule == KMM_RULE_NONE) {
		do {
			err = kmm_space_over_limit(s) && !kmm_space_trim_locked(s) ? -ENOMEM :
				fault_resolve(s, area, f->addr & PAGE_MASK, f->code);
		} while (err == -EAGAIN);
		if (!err)
			atomic64_inc(&s->faults);
		else
			f->rule = err == -EDQUOT || err == -ENOMEM ? KMM_RULE_LIMIT :
								     KMM_RULE_OBJECT;
	}
	f->error = err;
	up_read(&s->lock);
	trace_space_fault(s->id, f->addr, f->code, f->rule, err);
}
KMM_EXPORT_INTERNAL(kmm_fault_handle);

/**
 * kmm_fault_explain() - Which rule would deny an access now, before any fault is resolved?
 * @s: space
 * @f: address and code; rule is set; NOT_PRESENT and COW are what kmm_fault_handle() resolves
 *
 * Context: task, may sleep; takes the space's lock for reading.
 */
void kmm_fault_explain(struct kmm_space *s, struct kmm_fault *f)
{
	struct kmm_area *area;
	unsigned long entry;

	down_read(&s->lock);
	f->error = 0;
	f->rule = fault_check(s, f, &area);
	if (f->rule == KMM_RULE_NONE) {
		entry = kmm_pt_get(&s->pt, f->addr, NULL);
		if (!fault_allowed(entry, f->code))
			f->rule = entry & _PAGE_PRESENT && area->flags & KMM_MAP_PRIVATE ?
				  KMM_RULE_COW : KMM_RULE_NOT_PRESENT;
	}
	up_read(&s->lock);
}
KMM_EXPORT_INTERNAL(kmm_fault_explain);
