// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Address spaces
 *
 * An address space is a set of areas and a tree of page tables. An area gives a run of addresses
 * its meaning; the tables hold what was touched so far. Nothing is mapped by mapping: vm/fault.c
 * fills a leaf at the first access (or at once with POPULATE, by the same way).
 *
 * What an area can be::
 *
 *	SHARED		shows an object's frames; writes go to the object
 *	PRIVATE, object	shows the object's frames read-only until written to, then a copy of
 *			its own: MAP_PRIVATE's meaning
 *	PRIVATE		zero-filled frames of its own
 *	GUARD		nothing, ever; it takes the addresses
 *
 * So a leaf shows either an object's frame or a private frame. They are told apart by one
 * software bit of the entry, KMM_PT_PRIVATE (_PAGE_SOFTW1).
 * A private frame belongs to address spaces only and is never mapped into a process. It
 * counts the entries that map it in the client's word of its struct kmm_frame: one when it is
 * made, one more for each clone. Who drops the last share frees it. An object's frame belongs to
 * the object; its leaves may vanish at any time (vm/rmap.c).
 *
 * Areas are in a tree by address. Each knows how many bytes are free below it, and the largest
 * such gap in its subtree, as Linux's VMAs did before the maple tree: lookup and search for
 * room are O(log n). The search takes the lowest gap that fits (with KMM_MAP_HUGE, one that fits
 * aligned to 2 MiB wherever it starts). Neighbours that say the same become one area.
 *
 * All or nothing. A call looks at everything that it may refuse and allocates everything that it
 * needs (the area, the second half of a split, tables for a 2 MiB leaf that is cut) before it
 * changes anything. What can be left behind by a failure is invisible: a 2 MiB leaf that has
 * become 512 small ones.
 *
 * 2 MiB leaves. A private one has a block of order 9, one share, and is cut into single frames
 * before it is cloned or partly unmapped or protected. A shared one shows an aligned part of a
 * CONTIG object.
 *
 * Clone copies areas and private leaves, both sides write-protected; shared leaves and those
 * of an object not yet copied are left for a fault. A space that has been cloned, or is a clone,
 * has frames that another space may make writable as soon as we drop our share, so there an
 * unmap makes the leaves useless and flushes before it drops anything.
 *
 * Protect takes rights from leaves at once, but never gives the right to write: the fault that
 * follows a write knows whether the frame is shared. PROT 0 keeps frames and entries (PROT_NONE).
 *
 * Tables go with the last area that touches them: only those that lie wholly between the areas
 * that are left, so that nobody else can be in them (Linux's free_pgtables()).
 *
 * Invariants (kmm_space_check()): areas do not overlap, gaps are right; every leaf lies in an
 * area that allows it; private leaves have a used frame with a share, and no write bit when
 * it has more; private_frames is their number.
 *
 * Locks: see struct kmm_space. Faults hold it for reading, everything that changes areas for
 * writing. A clone's lock is not taken while it is made, nobody knows it yet.
 *
 * What this deliberately does not do: no growing stacks, no mremap, no mlock; no sharing of a
 * zero frame; area search by hint does not look around the hint.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/rbtree_augmented.h>
#include <linux/sched/signal.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/assert.h>
#include <kmm/buddy.h>
#include <kmm/debug_objects.h>
#include <kmm/object.h>
#include <kmm/reftrace.h>
#include <kmm/space.h>
#include <trace/events/kmm.h>

/* === Data === */

#define SPACE_PROT_ALL	(KMM_PROT_READ | KMM_PROT_WRITE | KMM_PROT_EXEC)
#define SPACE_KINDS	(KMM_MAP_SHARED | KMM_MAP_PRIVATE | KMM_MAP_GUARD)
#define SPACE_MAP_ALL	(SPACE_KINDS | KMM_MAP_FIXED | KMM_MAP_REPLACE | KMM_MAP_POPULATE | \
			 KMM_MAP_HUGE)

/* === Areas in the tree === */

static unsigned long area_own_gap(struct kmm_area *area)
{
	return area->gap;
}

RB_DECLARE_CALLBACKS_MAX(static, area_gaps, struct kmm_area, node, unsigned long, gap_max,
			 area_own_gap)

static struct kmm_area *area_next(struct kmm_area *area)
{
	return rb_entry_safe(rb_next(&area->node), struct kmm_area, node);
}

static struct kmm_area *area_prev(struct kmm_area *area)
{
	return rb_entry_safe(rb_prev(&area->node), struct kmm_area, node);
}

static struct kmm_area *area_first(struct kmm_space *s)
{
	return rb_entry_safe(rb_first(&s->areas), struct kmm_area, node);
}

/**
 * kmm_space_above_locked() - The lowest area that ends above an address.
 * @s: space; its lock is held
 * @addr: address
 *
 * Context: task. Return: area or NULL.
 */
struct kmm_area *kmm_space_above_locked(struct kmm_space *s, unsigned long addr)
{
	struct rb_node *n = s->areas.rb_node;
	struct kmm_area *found = NULL;

	while (n) {
		struct kmm_area *area = rb_entry(n, struct kmm_area, node);

		if (area->end > addr) {
			found = area;
			n = n->rb_left;
		} else {
			n = n->rb_right;
		}
	}
	return found;
}

/* Its start, or the end of the area before it, has changed. */
static void area_update_gap(struct kmm_area *area)
{
	struct kmm_area *prev;

	if (!area)
		return;
	prev = area_prev(area);
	area->gap = area->start - (prev ? prev->end : KMM_SPACE_MIN);
	area_gaps.propagate(&area->node, NULL);
}

static void area_link(struct kmm_space *s, struct kmm_area *area)
{
	struct rb_node **link = &s->areas.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		if (area->start < rb_entry(parent, struct kmm_area, node)->start)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	area->gap = 0;
	area->gap_max = 0;
	rb_link_node(&area->node, parent, link);
	area_update_gap(area);
	rb_insert_augmented(&area->node, &s->areas, &area_gaps);
	area_update_gap(area_next(area));
	s->nr_areas++;
}

static void area_unlink(struct kmm_space *s, struct kmm_area *area)
{
	struct kmm_area *next = area_next(area);

	rb_erase_augmented(&area->node, &s->areas, &area_gaps);
	area_update_gap(next);
	s->nr_areas--;
}

/* Its rmap lock is held; what it loses has no leaf. */
static void area_resize(struct kmm_area *area, unsigned long start, unsigned long end)
{
	if (area->object)
		area->pgoff += (start - area->start) >> PAGE_SHIFT;
	area->start = start;
	area->end = end;
	area_update_gap(area);
	area_update_gap(area_next(area));
}

/* The lowest place for @len bytes. */
static int space_search(struct kmm_space *s, unsigned long len, unsigned long align,
			unsigned long *addr)
{
	unsigned long need = len + align - PAGE_SIZE;
	struct rb_node *n = s->areas.rb_node;
	struct kmm_area *area;

	while (n) {
		struct kmm_area *left;

		area = rb_entry(n, struct kmm_area, node);
		if (area->gap_max < need)
			break;
		left = rb_entry_safe(n->rb_left, struct kmm_area, node);
		if (left && left->gap_max >= need) {
			n = n->rb_left;
			continue;
		}
		if (area->gap >= need) {
			*addr = ALIGN(area->start - area->gap, align);
			return 0;
		}
		n = n->rb_right;
	}
	area = rb_entry_safe(rb_last(&s->areas), struct kmm_area, node);
	*addr = ALIGN(area ? area->end : KMM_SPACE_MIN, align);
	return *addr > kmm_space_end() || len > kmm_space_end() - *addr ? -ENOMEM : 0;
}

/* === Areas and what they hold === */

/* Does it count as a mapping that may write, so that sealing answers -EBUSY? */
static bool area_counts(const struct kmm_area *area)
{
	return area->flags & KMM_MAP_SHARED && area->max_prot & KMM_PROT_WRITE &&
	       area->object->mapping;
}

static struct kmm_area *area_alloc(struct kmm_space *s)
{
	struct kmm_area *area = kmm_account_zalloc(s->account, sizeof(*area));

	if (!IS_ERR(area))
		area->space = s;
	return area;
}

/* Back to area_alloc()'s state: what it holds goes. */
static void area_release(struct kmm_area *area)
{
	if (area->object && area_counts(area))
		mapping_unmap_writable(area->object->mapping);
	if (area->file)
		fput(area->file);
}

static void area_free(struct kmm_area *area)
{
	if (!area)
		return;
	area_release(area);
	kmm_account_free(area->space->account, area, sizeof(*area));
}

/* Makes the fresh @copy say what @area says, in its own space, at [start, end). */
static void area_copy(struct kmm_area *copy, const struct kmm_area *area, unsigned long start,
		      unsigned long end)
{
	copy->start = start;
	copy->end = end;
	copy->prot = area->prot;
	copy->max_prot = area->max_prot;
	copy->flags = area->flags;
	copy->object = area->object;
	copy->pgoff = area->pgoff;
	if (area->object)
		copy->pgoff += (start - area->start) >> PAGE_SHIFT;
	if (area->file)
		copy->file = get_file(area->file);
	/* Cannot fail: @area counts already. */
	if (area->object && area_counts(area))
		kmm_assert(!mapping_map_writable(area->object->mapping));
}

/* Cuts @area at @at: @spare is the upper part. No leaf crosses @at. */
static void area_split(struct kmm_space *s, struct kmm_area *area, unsigned long at,
		       struct kmm_area *spare)
{
	area_copy(spare, area, at, area->end);
	kmm_rmap_lock(area);
	area_resize(area, area->start, at);
	area_link(s, spare);
	kmm_rmap_add(spare);
	kmm_rmap_unlock(area);
}

static bool area_joins(const struct kmm_area *a, const struct kmm_area *b)
{
	return a->end == b->start && a->prot == b->prot && a->max_prot == b->max_prot &&
	       a->flags == b->flags && a->object == b->object && a->file == b->file &&
	       (!a->object || a->pgoff + ((a->end - a->start) >> PAGE_SHIFT) == b->pgoff);
}

/* One area of @area and the next one, where they say the same. */
static bool area_merge_next(struct kmm_space *s, struct kmm_area *area)
{
	struct kmm_area *next = area_next(area);
	unsigned long end;

	if (!next || !area_joins(area, next))
		return false;
	kmm_rmap_lock(area);
	end = next->end;
	area_unlink(s, next);
	kmm_rmap_remove(next);
	area_resize(area, area->start, end);
	kmm_rmap_unlock(area);
	area_free(next);
	return true;
}

/* All neighbours of [start, end] that say the same become one. */
static void space_merge(struct kmm_space *s, unsigned long start, unsigned long end)
{
	struct kmm_area *area = kmm_space_above_locked(s, start), *prev;

	if (!area)
		return;
	prev = area_prev(area);
	if (prev)
		area = prev;
	while (area && area->start <= end)
		if (!area_merge_next(s, area))
			area = area_next(area);
}

/* === Leaves === */

/**
 * kmm_space_pgprot() - What a leaf says for KMM_PROT_*.
 * @prot: KMM_PROT_*; 0: PROT_NONE
 *
 * Accessed and Dirty are clear, the hardware sets them.
 *
 * Context: any. Return: protection.
 */
pgprot_t kmm_space_pgprot(u32 prot)
{
	unsigned long bits = _PAGE_PRESENT | _PAGE_USER;

	if (!prot)
		bits = _PAGE_PROTNONE;
	else if (prot & KMM_PROT_WRITE)
		bits |= _PAGE_RW;
	if (!(prot & KMM_PROT_EXEC))
		bits |= _PAGE_NX;
	return __pgprot(bits & __supported_pte_mask);
}

/**
 * kmm_space_drop() - The kmm_pt_drop_t of all tables of spaces: a leaf goes.
 * @g: the gather; its ctx is the space
 * @addr: address
 * @entry: raw entry
 * @page: its first page
 * @nr_pages: 1 or 512
 *
 * Context: table lock held.
 */
void kmm_space_drop(struct kmm_pt_gather *g, unsigned long addr, unsigned long entry,
		    struct page *page, unsigned int nr_pages)
{
	struct kmm_space *s = g->ctx;
	unsigned int i;

	if (entry & KMM_PT_PRIVATE) {
		struct kmm_frame *f = kmm_region_frame(s->set->buddy->region, page_to_pfn(page));

		atomic_long_sub(nr_pages, &s->private_frames);
		if (kmm_pt_share_put(f))
			kmm_pt_gather_page(g, page);
		return;
	}
	/* As the host does for its mappings. The object clears it before the frame goes. */
	for (i = 0; pte_dirty(__pte(entry)) && i < nr_pages; i++)
		if (!PageDirty(page + i))
			SetPageDirty(page + i);
}

/* A 2 MiB leaf at @addr becomes 512 small ones; its private block single frames. */
static int space_split_huge(struct kmm_space *s, unsigned long addr)
{
	struct kmm_buddy *b = s->set->buddy;
	unsigned long entry;
	struct page *page;
	unsigned int i;
	bool huge;
	int err;

	addr &= PMD_MASK;
	entry = kmm_pt_get(&s->pt, addr, &huge);
	if (!entry || !huge)
		return 0;
	err = kmm_pt_split_huge(&s->pt, addr);
	if (err || !(entry & KMM_PT_PRIVATE))
		return err;
	page = kmm_pt_entry_page(entry, true);
	kmm_buddy_split(b, page, KMM_PCP_HUGE_ORDER);
	for (i = 0; i < PTRS_PER_PTE; i++)
		kmm_region_frame(b->region, page_to_pfn(page + i))->next = 1;
	return 0;
}

/* No 2 MiB leaf crosses @start or @end any more. */
static int space_split_edges(struct kmm_space *s, unsigned long start, unsigned long end)
{
	int err = 0;

	if (!IS_ALIGNED(start, PMD_SIZE))
		err = space_split_huge(s, start);
	if (!err && !IS_ALIGNED(end, PMD_SIZE))
		err = space_split_huge(s, end);
	return err;
}

static int space_found_huge(void *ctx, unsigned long addr, unsigned int shift,
			    unsigned long entry, unsigned long effective)
{
	*(unsigned long *)ctx = addr;
	return shift == PMD_SHIFT;
}

/* No private 2 MiB leaf is left in @area. */
static int space_split_area(struct kmm_space *s, struct kmm_area *area)
{
	unsigned long addr = area->start;
	int err;

	if ((area->flags & (KMM_MAP_HUGE | KMM_MAP_PRIVATE)) != (KMM_MAP_HUGE | KMM_MAP_PRIVATE))
		return 0;
	while (kmm_pt_for_each(&s->pt, false, addr, area->end, space_found_huge, &addr)) {
		err = space_split_huge(s, addr);
		if (err)
			return err;
		addr += PMD_SIZE;
		cond_resched();
	}
	return 0;
}

/* Leaves of @area in [start, end) go. Its rmap lock is held. */
static void area_zap(struct kmm_area *area, unsigned long start, unsigned long end)
{
	struct kmm_space *s = area->space;
	struct kmm_pt_gather g;

	if (area->flags & KMM_MAP_GUARD)
		return;
	/* Nobody may still read a frame through our TLB when its last other owner writes. */
	if (s->cloned && area->flags & KMM_MAP_PRIVATE)
		kmm_pt_protect(&s->pt, start, end, kmm_space_pgprot(0));
	kmm_pt_gather_init(&g, &s->pt, kmm_space_drop, s);
	kmm_pt_zap(&g, start, end);
	kmm_pt_gather_finish(&g);
}

/* Tables that lie wholly in [start, end) or the free addresses around it go. */
static void space_prune(struct kmm_space *s, unsigned long start, unsigned long end)
{
	struct kmm_area *next = kmm_space_above_locked(s, end), *prev;
	struct kmm_pt_gather g;

	if (next)
		prev = area_prev(next);
	else
		prev = rb_entry_safe(rb_last(&s->areas), struct kmm_area, node);
	start = prev ? prev->end : 0;
	end = next ? next->start : kmm_space_end();
	if (start >= end)
		return;
	kmm_pt_gather_init(&g, &s->pt, NULL, NULL);
	kmm_pt_prune(&g, start, end);
	kmm_pt_gather_finish(&g);
}

/* === Ranges === */

/* @len is rounded up to pages. */
static int space_range(u64 addr, u64 len, unsigned long *start, unsigned long *end)
{
	u64 sum;

	if (!len || !PAGE_ALIGNED(addr))
		return -EINVAL;
	if (len > U64_MAX - PAGE_SIZE || check_add_overflow(addr, PAGE_ALIGN(len), &sum))
		return -EOVERFLOW;
	if (addr < KMM_SPACE_MIN || sum > kmm_space_end())
		return -ENXIO;
	*start = addr;
	*end = sum;
	return 0;
}

/* Unmaps; after the first lines nothing can fail. */
static int space_unmap_locked(struct kmm_space *s, unsigned long start, unsigned long end)
{
	struct kmm_area *area, *next, *spare = NULL;
	int err;

	lockdep_assert_held_write(&s->lock);
	area = kmm_space_above_locked(s, start);
	if (!area || area->start >= end)
		return 0;
	if (area->start < start && area->end > end) {
		if (s->nr_areas >= KMM_SPACE_AREAS_MAX)
			return -ENOMEM;
		spare = area_alloc(s);
		if (IS_ERR(spare))
			return PTR_ERR(spare);
	}
	err = space_split_edges(s, start, end);
	if (err) {
		area_free(spare);
		return err;
	}
	if (spare)
		area_split(s, area, end, spare);

	for (; area && area->start < end; area = next) {
		unsigned long first = max(area->start, start), last = min(area->end, end);
		bool whole = first == area->start && last == area->end;

		next = area_next(area);
		kmm_rmap_lock(area);
		area_zap(area, first, last);
		if (whole) {
			area_unlink(s, area);
			kmm_rmap_remove(area);
		} else if (first == area->start) {
			area_resize(area, last, area->end);
		} else {
			area_resize(area, area->start, first);
		}
		kmm_rmap_unlock(area);
		s->mapped_bytes -= last - first;
		if (whole)
			area_free(area);
		cond_resched();
	}
	space_prune(s, start, end);
	trace_space_unmap(s->id, start, end);
	return 0;
}

/* === Map === */

/* What @area may do, by the descriptor and the seals. Undone by area_release(). */
static int area_set_rights(struct kmm_area *area, fmode_t mode)
{
	struct kmm_object *o = area->object;
	bool counted;
	u32 sealed;

	area->max_prot = area->flags & KMM_MAP_GUARD ? 0 : SPACE_PROT_ALL;
	if (!o)
		return 0;
	if (!(mode & FMODE_READ))
		return -EACCES;
	if (area->flags & KMM_MAP_PRIVATE)
		return 0;
	if (!(mode & FMODE_WRITE)) {
		area->max_prot &= ~KMM_PROT_WRITE;
		return area->prot & KMM_PROT_WRITE ? -EACCES : 0;
	}
	/* Counted before the seals are looked at: who seals looks at the count first. */
	counted = o->mapping && !mapping_map_writable(o->mapping);
	sealed = READ_ONCE(o->seals) & (KMM_SEAL_WRITE | KMM_SEAL_FUTURE_WRITE);
	if (!sealed && (counted || !o->mapping))
		return 0;
	if (counted)
		mapping_unmap_writable(o->mapping);
	area->max_prot &= ~KMM_PROT_WRITE;
	return area->prot & KMM_PROT_WRITE ? -EPERM : 0;
}

static int space_check_args(struct kmm_space *s, const struct kmm_space_map_args *args)
{
	u32 kind = args->flags & SPACE_KINDS;
	u64 sum;

	if (args->flags & ~SPACE_MAP_ALL || args->prot & ~SPACE_PROT_ALL ||
	    hweight32(kind) != 1 || !args->len || !PAGE_ALIGNED(args->addr) ||
	    !PAGE_ALIGNED(args->offset))
		return -EINVAL;
	if (args->flags & KMM_MAP_REPLACE && !(args->flags & KMM_MAP_FIXED))
		return -EINVAL;
	if (kind == KMM_MAP_GUARD && (args->prot || args->object))
		return -EINVAL;
	if (!args->object && (kind == KMM_MAP_SHARED || args->offset))
		return -EINVAL;
	if (args->prot & KMM_PROT_WRITE && args->prot & KMM_PROT_EXEC && !s->set->allow_wx)
		return -EACCES;
	if (args->len > U64_MAX - PAGE_SIZE || check_add_overflow(args->offset, args->len, &sum))
		return -EOVERFLOW;
	return args->object && sum > KMM_OBJECT_SIZE_MAX ? -EFBIG : 0;
}

/* KMM_PROT_WRITE and _EXEC imply _READ. */
static u32 space_prot(u32 prot)
{
	return prot ? prot | KMM_PROT_READ : 0;
}

/* Where the new area goes; whatever is there is gone when this returns 0. */
static int space_make_room(struct kmm_space *s, const struct kmm_space_map_args *args,
			   unsigned long *start, unsigned long *end)
{
	unsigned long len = PAGE_ALIGN(args->len), align = PAGE_SIZE;
	struct kmm_area *area;
	int err;

	/* A split and the new one. */
	if (s->nr_areas + 2 > KMM_SPACE_AREAS_MAX)
		return -ENOMEM;
	err = space_range(args->addr, args->len, start, end);
	if (args->flags & KMM_MAP_FIXED) {
		if (err)
			return err;
		area = kmm_space_above_locked(s, *start);
		if (!area || area->start >= *end)
			return 0;
		return args->flags & KMM_MAP_REPLACE ? space_unmap_locked(s, *start, *end) :
						       -EEXIST;
	}
	if (!err) {
		area = kmm_space_above_locked(s, *start);
		if (!area || area->start >= *end)
			return 0;
	}
	if (len > kmm_space_end())
		return -ENOMEM;
	if (args->flags & KMM_MAP_HUGE && len >= PMD_SIZE)
		align = PMD_SIZE;
	err = space_search(s, len, align, start);
	*end = *start + len;
	return err;
}

/* Fills [start, end) as far as it goes. */
static void space_populate(struct kmm_space *s, unsigned long start, unsigned long end, u32 prot)
{
	unsigned long addr = start;

	while (addr < end && prot && !fatal_signal_pending(current)) {
		struct kmm_fault f = {
			.addr = addr,
			.code = KMM_PF_USER | (prot & KMM_PROT_WRITE ? KMM_PF_WRITE : 0),
		};
		bool huge = false;

		if (!kmm_pt_get(&s->pt, addr, &huge)) {
			kmm_fault_handle(s, &f);
			if (f.rule != KMM_RULE_NONE)
				return;
			kmm_pt_get(&s->pt, addr, &huge);
		}
		addr = huge ? (addr & PMD_MASK) + PMD_SIZE : addr + PAGE_SIZE;
		cond_resched();
	}
}

/**
 * kmm_space_map() - A new area.
 * @s: space
 * @args: what and where; @args->addr is where it is afterwards
 *
 * A hint that is not free, or no address of a space, is ignored.
 *
 * Context: task, may sleep.
 * Return: 0; -EINVAL, -EACCES, -EPERM, -EEXIST, -EOVERFLOW, -EFBIG, -ENXIO, -ENOMEM as struct
 * kmm_space_map says; -EDQUOT; -ESTALE not alive. On error the space is as before.
 */
int kmm_space_map(struct kmm_space *s, struct kmm_space_map_args *args)
{
	fmode_t mode = args->file ? args->file->f_mode : FMODE_READ | FMODE_WRITE;
	unsigned long start, end;
	struct kmm_area *area;
	u32 prot;
	int err;

	if (!kmm_debug_object_assert_active(s, KMM_DEBUG_SPACE))
		return -ESTALE;
	err = space_check_args(s, args);
	if (err)
		return err;
	area = area_alloc(s);
	if (IS_ERR(area))
		return PTR_ERR(area);
	area->prot = space_prot(args->prot);
	area->flags = args->flags & (SPACE_KINDS | KMM_MAP_HUGE);
	area->object = args->object;
	area->pgoff = args->offset >> PAGE_SHIFT;
	err = area_set_rights(area, mode);
	if (err) {
		/* Nothing was counted, no file was taken. */
		kmm_account_free(s->account, area, sizeof(*area));
		return err;
	}
	if (args->file)
		area->file = get_file(args->file);

	down_write(&s->lock);
	err = space_make_room(s, args, &start, &end);
	if (err) {
		up_write(&s->lock);
		area_free(area);
		return err;
	}
	area->start = start;
	area->end = end;
	kmm_rmap_lock(area);
	area_link(s, area);
	kmm_rmap_add(area);
	kmm_rmap_unlock(area);
	s->mapped_bytes += end - start;
	prot = area->prot;
	trace_space_map(s->id, start, end, prot, area->flags);
	space_merge(s, start, end);
	up_write(&s->lock);

	args->addr = start;
	if (args->flags & KMM_MAP_POPULATE)
		space_populate(s, start, end, prot);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_space_map);

/**
 * kmm_space_unmap() - Forget what is mapped in a range.
 * @s: space
 * @addr: first address, page aligned
 * @len: bytes, rounded up to pages; holes are no error
 *
 * Context: task, may sleep.
 * Return: 0; -EINVAL; -EOVERFLOW; -ENXIO; -ENOMEM or -EDQUOT for the second half of an area.
 * On error the space is as before.
 */
int kmm_space_unmap(struct kmm_space *s, u64 addr, u64 len)
{
	unsigned long start, end;
	int err;

	err = space_range(addr, len, &start, &end);
	if (err)
		return err;
	down_write(&s->lock);
	err = space_unmap_locked(s, start, end);
	up_write(&s->lock);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_space_unmap);

/* === Protect === */

/* May all of [start, end) have @prot? How many areas must be cut for it? */
static int space_check_protect(struct kmm_space *s, unsigned long start, unsigned long end,
			       u32 prot, unsigned int *nr_splits)
{
	struct kmm_area *area;
	unsigned long at = start;

	*nr_splits = 0;
	for (area = kmm_space_above_locked(s, start); at < end; area = area_next(area)) {
		if (!area || area->start > at || area->flags & KMM_MAP_GUARD)
			return -ENOENT;
		if (prot & ~area->max_prot)
			return -EACCES;
		*nr_splits += (area->start < start) + (area->end > end);
		at = area->end;
	}
	return 0;
}

static void area_protect(struct kmm_area *area, u32 prot)
{
	if (area->prot == prot)
		return;
	kmm_rmap_lock(area);
	area->prot = prot;
	kmm_pt_protect(&area->space->pt, area->start, area->end, kmm_space_pgprot(prot));
	kmm_rmap_unlock(area);
}

static int space_protect_locked(struct kmm_space *s, unsigned long start, unsigned long end,
				u32 prot)
{
	struct kmm_area *area, *spare[2] = { };
	unsigned int i, nr_splits;
	int err;

	lockdep_assert_held_write(&s->lock);
	err = space_check_protect(s, start, end, prot, &nr_splits);
	if (err)
		return err;
	if (s->nr_areas + nr_splits > KMM_SPACE_AREAS_MAX)
		return -ENOMEM;
	for (i = 0; i < nr_splits; i++) {
		spare[i] = area_alloc(s);
		if (IS_ERR(spare[i])) {
			err = PTR_ERR(spare[i]);
			spare[i] = NULL;
			goto free;
		}
	}
	err = space_split_edges(s, start, end);
	if (err)
		goto free;

	i = 0;
	area = kmm_space_above_locked(s, start);
	if (area->start < start) {
		area_split(s, area, start, spare[i++]);
		area = area_next(area);
	}
	for (; area && area->start < end; area = area_next(area)) {
		if (area->end > end)
			area_split(s, area, end, spare[i++]);
		area_protect(area, prot);
		cond_resched();
	}
	space_merge(s, start, end);
	return 0;

free:
	for (i = 0; i < nr_splits; i++)
		area_free(spare[i]);
	return err;
}

/**
 * kmm_space_protect() - Change the rights of a range.
 * @s: space
 * @addr: first address, page aligned
 * @len: bytes, rounded up to pages
 * @prot: KMM_PROT_*; 0 forbids all and keeps the contents
 *
 * Context: task, may sleep.
 * Return: 0; -EINVAL; -EOVERFLOW; -ENXIO; -ENOENT a hole or a guard; -EACCES more than an area
 * may have, or W and X; -ENOMEM; -EDQUOT. On error the space is as before.
 */
int kmm_space_protect(struct kmm_space *s, u64 addr, u64 len, u32 prot)
{
	unsigned long start, end;
	int err;

	if (prot & ~SPACE_PROT_ALL)
		return -EINVAL;
	err = space_range(addr, len, &start, &end);
	if (err)
		return err;
	if (prot & KMM_PROT_WRITE && prot & KMM_PROT_EXEC && !s->set->allow_wx)
		return -EACCES;
	down_write(&s->lock);
	err = space_protect_locked(s, start, end, space_prot(prot));
	up_write(&s->lock);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_space_protect);

/* === Life === */

/* A space that nobody knows yet. */
static struct kmm_space *space_alloc(struct kmm_space_set *set, struct kmm_account *a)
{
	struct kmm_space *s = kmm_account_zalloc(a, sizeof(*s));
	int err;

	if (IS_ERR(s))
		return s;
	err = kmm_pgtable_create(&s->pt, set->tables, a);
	if (err)
		goto free;
	err = set->espfix ? kmm_espfix_map(set->espfix, &s->pt) : 0;
	if (err)
		goto destroy;
	kmm_account_get(a);
	s->set = set;
	s->account = a;
	s->areas = RB_ROOT;
	init_rwsem(&s->lock);
	spin_lock_init(&s->trace_lock);
	INIT_LIST_HEAD(&s->list);
	s->uid = current_uid();
	s->pid = task_tgid_nr(current);
	get_task_comm(s->comm, current);
	kmm_debug_object_init(s, KMM_DEBUG_SPACE);
	return s;

destroy:
	kmm_pgtable_destroy(&s->pt);
free:
	kmm_account_free(a, s, sizeof(*s));
	return ERR_PTR(err);
}

static void space_publish(struct kmm_space *s)
{
	struct kmm_space_set *set = s->set;

	mutex_lock(&set->lock);
	s->id = ++set->last_id;
	list_add_tail(&s->list, &set->list);
	WRITE_ONCE(set->nr, set->nr + 1);
	mutex_unlock(&set->lock);
	kmm_debug_object_activate(s, KMM_DEBUG_SPACE);
}

/**
 * kmm_space_create() - A new, empty space.
 * @set: instance
 * @a: who pays; the space takes a reference of its own
 *
 * Context: task, may sleep.
 * Return: space, or ERR_PTR of -EDQUOT, -ENOMEM.
 */
struct kmm_space *kmm_space_create(struct kmm_space_set *set, struct kmm_account *a)
{
	struct kmm_space *s = space_alloc(set, a);

	if (!IS_ERR(s))
		space_publish(s);
	return s;
}
KMM_EXPORT_INTERNAL(kmm_space_create);

/**
 * kmm_space_destroy() - The end of a space.
 * @s: space that nobody uses any more and that is in no CPU's CR3
 *
 * Context: task, may sleep. Never fails.
 */
void kmm_space_destroy(struct kmm_space *s)
{
	struct kmm_space_set *set;
	struct kmm_account *a;

	if (!kmm_debug_object_destroy(s, KMM_DEBUG_SPACE))
		return;
	set = s->set;
	a = s->account;
	mutex_lock(&set->lock);
	if (!list_empty(&s->list)) {
		list_del(&s->list);
		WRITE_ONCE(set->nr, set->nr - 1);
	}
	mutex_unlock(&set->lock);

	down_write(&s->lock);
	/* No CPU can have a translation of it: frames may go without a round of flushes. */
	s->cloned = false;
	/* Without an edge there is nothing to allocate. */
	kmm_assert(!space_unmap_locked(s, 0, kmm_space_end()));
	up_write(&s->lock);
	kmm_assert(!s->nr_areas && !s->mapped_bytes);
	kmm_assert(!atomic_long_read(&s->private_frames));
	if (set->espfix)
		kmm_espfix_unmap(set->espfix, &s->pt);
	kmm_pgtable_destroy(&s->pt);
	kmm_reftrace_stop(s);
	kmm_debug_object_free(s, KMM_DEBUG_SPACE);
	kmm_account_free(a, s, sizeof(*s));
	kmm_account_put(a);
}
KMM_EXPORT_INTERNAL(kmm_space_destroy);

static int space_clone_area(struct kmm_space *dst, struct kmm_area *area)
{
	struct kmm_space *src = area->space;
	struct kmm_area *copy;
	int err;

	err = space_split_area(src, area);
	if (err)
		return err;
	copy = area_alloc(dst);
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	area_copy(copy, area, area->start, area->end);
	kmm_rmap_lock(copy);
	area_link(dst, copy);
	kmm_rmap_add(copy);
	kmm_rmap_unlock(copy);
	dst->mapped_bytes += copy->end - copy->start;
	if (!(area->flags & KMM_MAP_PRIVATE))
		return 0;
	return min(kmm_pt_clone_range(&dst->pt, &src->pt, area->start, area->end), 0L);
}

/**
 * kmm_space_clone() - A copy of a space, private memory copy-on-write, as fork() does it.
 * @s: space
 *
 * The copy is paid by the same account.
 *
 * Context: task, may sleep.
 * Return: the copy, or ERR_PTR of -EDQUOT, -ENOMEM; then @s is as before.
 */
struct kmm_space *kmm_space_clone(struct kmm_space *s)
{
	struct kmm_space *dst = space_alloc(s->set, s->account);
	struct kmm_area *area;
	long resident;
	int err = 0;

	if (IS_ERR(dst))
		return dst;
	resident = atomic_long_read(&dst->pt.resident);
	down_write(&s->lock);
	s->cloned = true;
	dst->cloned = true;
	for (area = area_first(s); area && !err; area = area_next(area)) {
		err = space_clone_area(dst, area);
		cond_resched();
	}
	kmm_pt_flush(&s->pt, atomic_long_read(&s->private_frames));
	/* Nobody but us has touched it: all leaves it got are private ones. */
	atomic_long_set(&dst->private_frames, atomic_long_read(&dst->pt.resident) - resident);
	up_write(&s->lock);
	if (err) {
		kmm_space_destroy(dst);
		return ERR_PTR(err);
	}
	space_publish(dst);
	return dst;
}
KMM_EXPORT_INTERNAL(kmm_space_clone);

/* === The set, and looking at a space === */

/**
 * kmm_space_set_init() - Begin with no space.
 * @set: caller's memory
 * @b: where private frames come from
 * @tables: where tables come from
 * @espfix: aliases that every space gets, or NULL
 * @allow_wx: areas may be writable and executable
 *
 * Context: task.
 */
void kmm_space_set_init(struct kmm_space_set *set, struct kmm_buddy *b,
			struct kmm_pgtables *tables, struct kmm_espfix *espfix, bool allow_wx)
{
	set->buddy = b;
	set->tables = tables;
	set->espfix = espfix;
	set->allow_wx = allow_wx;
	mutex_init(&set->lock);
	INIT_LIST_HEAD(&set->list);
	set->nr = 0;
	set->last_id = 0;
}
KMM_EXPORT_INTERNAL(kmm_space_set_init);

/**
 * kmm_space_set_fini() - The end; all spaces are destroyed.
 * @set: set
 *
 * Context: task.
 */
void kmm_space_set_fini(struct kmm_space_set *set)
{
	kmm_assert(list_empty(&set->list));
	mutex_destroy(&set->lock);
}
KMM_EXPORT_INTERNAL(kmm_space_set_fini);

/**
 * kmm_space_find_locked() - The area at an address.
 * @s: space
 * @addr: any address
 *
 * Context: @s->lock held.
 * Return: the area that contains @addr, or NULL.
 */
struct kmm_area *kmm_space_find_locked(struct kmm_space *s, unsigned long addr)
{
	struct kmm_area *area;

	lockdep_assert_held(&s->lock);
	area = kmm_space_above_locked(s, addr);
	return area && area->start <= addr ? area : NULL;
}
KMM_EXPORT_INTERNAL(kmm_space_find_locked);

/**
 * kmm_space_info() - What KMM_IOC_SPACE_INFO tells, without the audit.
 * @s: space
 * @info: filled
 *
 * Context: task, may sleep.
 */
void kmm_space_info(struct kmm_space *s, struct kmm_space_info *info)
{
	unsigned int i;

	BUILD_BUG_ON(KMM_WALK_LEVELS != KMM_PT_LEVELS);
	memset(info, 0, sizeof(*info));
	down_read(&s->lock);
	info->id = s->id;
	info->areas = s->nr_areas;
	info->mapped_bytes = s->mapped_bytes;
	info->resident = atomic_long_read(&s->pt.resident);
	info->private_frames = atomic_long_read(&s->private_frames);
	for (i = 0; i < KMM_PT_LEVELS; i++)
		info->tables[i] = atomic_long_read(&s->pt.nr[i]);
	info->faults = atomic64_read(&s->faults);
	info->cow_faults = atomic64_read(&s->cow_faults);
	info->switches = atomic64_read(&s->switches);
	up_read(&s->lock);
}
KMM_EXPORT_INTERNAL(kmm_space_info);

/**
 * struct space_walk - what kmm_space_check() counts
 * @s: space
 * @private: private leaves, in pages
 * @bad: what is wrong
 */
struct space_walk {
	struct kmm_space *s;
	long private;
	unsigned long bad;
};

/* What is wrong with a leaf, or NULL. */
static const char *space_check_leaf(struct kmm_space *s, unsigned long addr, unsigned long entry,
				    unsigned int shift)
{
	struct kmm_area *area = kmm_space_find_locked(s, addr);
	struct page *page = kmm_pt_entry_page(entry, shift == PMD_SHIFT);
	struct kmm_frame *f = kmm_region_frame(s->set->buddy->region, page_to_pfn(page));
	bool write = entry & _PAGE_PRESENT && entry & _PAGE_RW;

	if (!area || area->flags & KMM_MAP_GUARD || area->end - addr < 1UL << shift)
		return "not in an area";
	if (!f)
		return "not of the region";
	if (write && !(area->prot & KMM_PROT_WRITE))
		return "writable";
	if (!(entry & _PAGE_PRESENT) != !area->prot)
		return "present or not";
	if (area->prot && !(entry & _PAGE_NX) != !!(area->prot & KMM_PROT_EXEC))
		return "executable or not";
	if (entry & KMM_PT_PRIVATE) {
		if (!(area->flags & KMM_MAP_PRIVATE))
			return "private in a shared area";
		if (f->tag != KMM_TAG_USED(shift == PMD_SHIFT ? KMM_PCP_HUGE_ORDER : 0))
			return "no used frame";
		if (!kmm_pt_shares(f) || (!s->cloned && kmm_pt_shares(f) != 1))
			return "shares";
		return write && kmm_pt_shares(f) != 1 ? "writable and shared" : NULL;
	}
	if (!area->object)
		return "no object";
	if (write && !(area->flags & KMM_MAP_SHARED))
		return "object writable in a private area";
	if (page->mapping != area->object->mapping ||
	    page_folio(page)->index != area->pgoff + ((addr - area->start) >> PAGE_SHIFT))
		return "another page of the object";
	return NULL;
}

static int space_walk_leaf(void *ctx, unsigned long addr, unsigned int shift,
			   unsigned long entry, unsigned long effective)
{
	struct space_walk *w = ctx;
	const char *what = space_check_leaf(w->s, addr, entry, shift);

	if (what) {
		w->bad++;
		pr_err("kmm: space %llu: leaf %#lx at %#lx: %s\n", w->s->id, entry, addr, what);
	}
	if (entry & KMM_PT_PRIVATE)
		w->private += 1L << (shift - PAGE_SHIFT);
	return 0;
}

static unsigned long space_check_areas(struct kmm_space *s)
{
	unsigned long bad = 0, nr = 0, end = KMM_SPACE_MIN;
	struct kmm_area *area;
	u64 bytes = 0;

	for (area = area_first(s); area; area = area_next(area)) {
		struct kmm_area *l = rb_entry_safe(area->node.rb_left, struct kmm_area, node);
		struct kmm_area *r = rb_entry_safe(area->node.rb_right, struct kmm_area, node);
		unsigned long gap_max = max3(area->gap, l ? l->gap_max : 0, r ? r->gap_max : 0);

		if (area->start < end || area->end <= area->start || area->space != s ||
		    area->gap != area->start - end || area->gap_max != gap_max ||
		    area->prot & ~area->max_prot) {
			bad++;
			pr_err("kmm: space %llu: bad area %#lx-%#lx\n", s->id, area->start,
			       area->end);
		}
		end = area->end;
		bytes += area->end - area->start;
		nr++;
	}
	if (end > kmm_space_end() || nr != s->nr_areas || bytes != s->mapped_bytes) {
		bad++;
		pr_err("kmm: space %llu: %lu areas, counted %lu; %llu bytes, counted %llu\n",
		       s->id, nr, s->nr_areas, bytes, s->mapped_bytes);
	}
	return bad;
}

/**
 * kmm_space_check() - Look for violated invariants.
 * @s: space
 *
 * Context: task, may sleep; takes the space's lock for writing.
 * Return: how many were found; each is printed.
 */
unsigned long kmm_space_check(struct kmm_space *s)
{
	struct space_walk w = { .s = s };

	/* for writing: faults change what is counted */
	down_write(&s->lock);
	w.bad = space_check_areas(s);
	kmm_pt_for_each(&s->pt, false, 0, kmm_space_end(), space_walk_leaf, &w);
	if (w.private != atomic_long_read(&s->private_frames)) {
		w.bad++;
		pr_err("kmm: space %llu: %ld private pages, counted %ld\n", s->id, w.private,
		       atomic_long_read(&s->private_frames));
	}
	up_write(&s->lock);
	return w.bad;
}
KMM_EXPORT_INTERNAL(kmm_space_check);
