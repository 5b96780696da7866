// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Isolation
 *
 * Two things that the kernel has for its own tables, on ours.
 *
 * PTI. Each space has two roots: the full view, which has the host's kernel half when it is loaded,
 * and the user view, which has no kernel half at all (vm/pgtable.c). Both share all lower tables.
 * kmm_isolation_audit() walks the user root and judges each leaf that it reaches. Allowed are
 *
 *	- a page of an area, at its address, with no more rights than the area has: for a shared
 *	  area, and for a private page not yet written, the object's page of that index, the latter
 *	  read-only; else a private frame, one that entries of spaces map and count;
 *	- the read-only espfix alias, where it belongs, read-only, NX, for the kernel only.
 *
 * Everything else is counted as bad: any leaf outside areas, in a guard, with a right too many, of
 * a frame that is a table, a slab or another object's, and any entry in the root's kernel half.
 * A leaf without the present bit is not reachable.
 *
 * Espfix. A CPU that returns to a 16-bit stack leaks the upper half of the kernel's stack pointer.
 * The kernel's way out: each CPU has 64 bytes which the kernel fills through a writable alias, and
 * the return is made from a read-only alias of them, at an address that leaks nothing and that is
 * in both views. Nobody returns to a 16-bit stack here; what each CPU keeps in its slot is how
 * often it had a space in CR3 (vm/mmu.c). The aliases are real:
 *
 *	read-only	at kmm_espfix_ro_addr(), in the 2 MiB that kmm keeps at the top of the user
 *			half of every space; in both views; supervisor, NX
 *	writable	at kmm_espfix_rw_addr(), in the first root entry of the kernel half, which
 *			Linux leaves to hypervisors; the full view only; supervisor, NX
 *
 * The writable one needs a root entry of its own, because what is below an entry of the user half
 * is seen from both roots. Its tables are those of one tree for all spaces, which has the alias
 * under its first entry; vm/mmu.c copies that root entry whenever it copies the kernel half.
 *
 * Invariants: no path from a user root leads to a writable entry of an espfix frame; frames of the
 * slots are never freed while a space has the alias.
 *
 * Locks: the audit holds the space's lock for reading. Pages may go meanwhile (truncate, reclaim):
 * a leaf that looks wrong is read again, and counts only if it is still the same.
 *
 * What this deliberately does not do: nothing runs in the user view, it is never in CR3.
 */
#include <linux/align.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <compat/compat.h>
#include <kmm/assert.h>
#include <kmm/buddy.h>
#include <kmm/inject.h>
#include <kmm/object.h>
#include <kmm/pgtable.h>
#include <kmm/space.h>

/* === Data === */

/* Where the aliases begin: in the kept part, with room on both sides. */
#define ESPFIX_OFFSET	(KMM_SPACE_KEPT_BYTES / 2)

/**
 * struct kmm_espfix - slots of all CPUs
 * @tree: has the writable alias under its first root entry
 * @page: frames with the slots, contiguous
 * @order: log2 of their number
 * @root: what vm/mmu.c puts into the full root
 *
 * Immutable.
 */
struct kmm_espfix {
	struct kmm_pgtable tree;
	struct page *page;
	unsigned int order;
	unsigned long root;
};

/* === Espfix === */

static unsigned long espfix_bytes(void)
{
	return PAGE_ALIGN(nr_cpu_ids * sizeof(struct kmm_espfix_slot));
}

/**
 * kmm_espfix_ro_addr() - The read-only alias of a slot, in every space.
 * @cpu: CPU
 *
 * Context: any. Return: address in the user half.
 */
unsigned long kmm_espfix_ro_addr(unsigned int cpu)
{
	return kmm_space_end() + ESPFIX_OFFSET + cpu * sizeof(struct kmm_espfix_slot);
}
KMM_EXPORT_INTERNAL(kmm_espfix_ro_addr);

/**
 * kmm_espfix_rw_addr() - The writable alias of a slot, in the full view of every space.
 * @cpu: CPU
 *
 * Context: any. Return: address in the kernel half; only a CPU that has a space in CR3 can use it.
 */
unsigned long kmm_espfix_rw_addr(unsigned int cpu)
{
	return -(1UL << (pgtable_l5_enabled() ? 56 : 47)) + ESPFIX_OFFSET +
	       cpu * sizeof(struct kmm_espfix_slot);
}
KMM_EXPORT_INTERNAL(kmm_espfix_rw_addr);

/**
 * kmm_espfix_covers() - Is this address kmm's own?
 * @addr: any
 *
 * Context: any. Return: true for the part of the user half that kmm keeps.
 */
bool kmm_espfix_covers(unsigned long addr)
{
	return addr - kmm_space_end() < KMM_SPACE_KEPT_BYTES;
}
KMM_EXPORT_INTERNAL(kmm_espfix_covers);

/**
 * kmm_espfix_slot() - A slot by the kernel's own address.
 * @e: espfix
 * @cpu: CPU
 *
 * Context: any.
 */
struct kmm_espfix_slot *kmm_espfix_slot(const struct kmm_espfix *e, unsigned int cpu)
{
	return (struct kmm_espfix_slot *)page_address(e->page) + cpu;
}
KMM_EXPORT_INTERNAL(kmm_espfix_slot);

/**
 * kmm_espfix_root_entry() - What the full root of each space has at KMM_ESPFIX_ROOT.
 * @e: espfix, or NULL
 *
 * Context: any.
 */
unsigned long kmm_espfix_root_entry(const struct kmm_espfix *e)
{
	return e ? e->root : 0;
}

/**
 * kmm_espfix_frames() - What the slots and the tree of the writable alias cost.
 * @e: espfix
 *
 * Context: any. Return: frames of the region.
 */
unsigned long kmm_espfix_frames(const struct kmm_espfix *e)
{
	unsigned long nr = (1UL << e->order) + 1;	/* the root counts once, and is two */
	unsigned int row;

	for (row = 0; row < KMM_PT_LEVELS; row++)
		nr += atomic_long_read(&e->tree.nr[row]);
	return nr;
}

/* Puts the slots at @addr of @pt. What was put there before a failure stays. */
static int espfix_map_at(struct kmm_espfix *e, struct kmm_pgtable *pt, unsigned long addr,
			 unsigned long bits)
{
	pgprot_t prot = __pgprot((bits | _PAGE_PRESENT | _PAGE_NX) & __supported_pte_mask);
	unsigned long i, nr = espfix_bytes() >> PAGE_SHIFT;
	int err = 0;

	for (i = 0; i < nr && !err; i++, addr += PAGE_SIZE) {
		err = kmm_pt_prepare(pt, addr);
		if (!err)
			err = kmm_pt_replace(pt, addr, 0, kmm_pt_make_entry(e->page + i, prot));
	}
	return err;
}

static void espfix_unmap_at(struct kmm_pgtable *pt, unsigned long addr)
{
	struct kmm_pt_gather g;

	kmm_pt_gather_init(&g, pt, NULL, NULL);
	kmm_pt_zap(&g, addr, addr + espfix_bytes());
	kmm_pt_gather_finish(&g);
}

/**
 * kmm_espfix_map() - Give a space its read-only alias.
 * @e: espfix
 * @pt: the space's tree, nothing is at the top
 *
 * Context: task, may sleep. Return: 0; -ENOMEM, and nothing is mapped.
 */
int kmm_espfix_map(struct kmm_espfix *e, struct kmm_pgtable *pt)
{
	int err = espfix_map_at(e, pt, kmm_espfix_ro_addr(0), 0);

	if (err)
		kmm_espfix_unmap(e, pt);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_espfix_map);

/**
 * kmm_espfix_unmap() - The reverse of kmm_espfix_map().
 * @e: espfix
 * @pt: the space's tree; its tables stay until it is destroyed or pruned
 *
 * Context: task, may sleep.
 */
void kmm_espfix_unmap(struct kmm_espfix *e, struct kmm_pgtable *pt)
{
	espfix_unmap_at(pt, kmm_espfix_ro_addr(0));
}
KMM_EXPORT_INTERNAL(kmm_espfix_unmap);

/**
 * kmm_espfix_create() - Make the slots and their writable alias.
 * @tables: of the instance
 *
 * Context: task, may sleep. Return: espfix, or ERR_PTR(-ENOMEM).
 */
struct kmm_espfix *kmm_espfix_create(struct kmm_pgtables *tables)
{
	struct kmm_espfix *e = kmm_should_fail() ? NULL : kzalloc(sizeof(*e), GFP_KERNEL);
	unsigned int cpu;
	int err = -ENOMEM;

	if (!e)
		return ERR_PTR(-ENOMEM);
	e->order = get_order(espfix_bytes());
	if (!kmm_should_fail())
		e->page = kmm_buddy_alloc(tables->buddy, GFP_KERNEL | __GFP_ZERO, e->order);
	if (!e->page)
		goto free_e;
	err = kmm_pgtable_create(&e->tree, tables, NULL);
	if (err)
		goto free_page;
	err = espfix_map_at(e, &e->tree, ESPFIX_OFFSET, _PAGE_RW);
	if (err)
		goto destroy_tree;
	e->root = pgd_val(e->tree.full[0]);
	for_each_possible_cpu(cpu)
		kmm_espfix_slot(e, cpu)->cpu = cpu;
	return e;

destroy_tree:
	espfix_unmap_at(&e->tree, ESPFIX_OFFSET);
	kmm_pgtable_destroy(&e->tree);
free_page:
	kmm_buddy_free(tables->buddy, e->page, e->order);
free_e:
	kfree(e);
	return ERR_PTR(err);
}
KMM_EXPORT_INTERNAL(kmm_espfix_create);

/**
 * kmm_espfix_destroy() - The reverse of kmm_espfix_create().
 * @e: espfix; no space has the alias any more
 *
 * Context: task, may sleep.
 */
void kmm_espfix_destroy(struct kmm_espfix *e)
{
	struct kmm_buddy *b = e->tree.set->buddy;

	espfix_unmap_at(&e->tree, ESPFIX_OFFSET);
	kmm_pgtable_destroy(&e->tree);
	kmm_buddy_free(b, e->page, e->order);
	kfree(e);
}
KMM_EXPORT_INTERNAL(kmm_espfix_destroy);

/* === Audit === */

/**
 * struct audit - one walk over the user root
 * @s: space
 * @leaves: seen
 * @bad: of these, ones that must not be there
 */
struct audit {
	struct kmm_space *s;
	unsigned long leaves;
	unsigned long bad;
};

static bool audit_espfix_ok(struct kmm_space *s, unsigned long addr, unsigned long entry,
			    unsigned long effective)
{
	unsigned long offset = addr - kmm_espfix_ro_addr(0);
	const struct kmm_espfix *e = s->set->espfix;

	return e && offset < espfix_bytes() && !(effective & (_PAGE_RW | _PAGE_USER)) &&
	       (effective & _PAGE_NX || !(__supported_pte_mask & _PAGE_NX)) &&
	       kmm_pt_entry_page(entry, false) == e->page + (offset >> PAGE_SHIFT);
}

/* A block that only spaces have: given out, with an owner (tables have none), counted. */
static bool audit_private_ok(struct kmm_space *s, struct page *page, unsigned int order)
{
	const struct kmm_frame *f = kmm_region_frame(s->set->buddy->region, page_to_pfn(page));

	return f && f->tag == KMM_TAG_USED(order) && f->owner && kmm_pt_shares(f) &&
	       !page->mapping;
}

/* The object's page of that index. Without a file (KUnit) its pages cannot be told apart. */
static bool audit_object_ok(struct kmm_space *s, const struct kmm_area *area, unsigned long addr,
			    struct page *page)
{
	pgoff_t index = area->pgoff + ((addr - area->start) >> PAGE_SHIFT);
	const struct kmm_object *o = area->object;
	const struct kmm_frame *f = kmm_region_frame(s->set->buddy->region, page_to_pfn(page));

	if (!o || !f || kmm_frame_state(f) != KMM_FRAME_USED)
		return false;
	return !o->mapping ||
	       (page->mapping == o->mapping && page_folio(page)->index == index);
}

static bool audit_leaf_ok(struct kmm_space *s, unsigned long addr, unsigned int shift,
			  unsigned long entry, unsigned long effective)
{
	struct page *page = kmm_pt_entry_page(entry, shift != PAGE_SHIFT);
	unsigned long i, nr = 1UL << (shift - PAGE_SHIFT);
	const struct kmm_area *area;

	if (kmm_espfix_covers(addr))
		return audit_espfix_ok(s, addr, entry, effective);
	area = kmm_space_find_locked(s, addr);
	if (!area || area->end - addr < nr << PAGE_SHIFT || area->flags & KMM_MAP_GUARD)
		return false;
	if (!(effective & _PAGE_USER) ||
	    (effective & _PAGE_RW && !(area->prot & KMM_PROT_WRITE)) ||
	    (!(effective & _PAGE_NX) && __supported_pte_mask & _PAGE_NX &&
	     !(area->prot & KMM_PROT_EXEC)))
		return false;
	if (entry & KMM_PT_PRIVATE)
		return area->flags & KMM_MAP_PRIVATE &&
		       audit_private_ok(s, page, shift - PAGE_SHIFT);
	if (area->flags & KMM_MAP_PRIVATE && effective & _PAGE_RW)
		return false;
	for (i = 0; i < nr; i++, addr += PAGE_SIZE)
		if (!audit_object_ok(s, area, addr, page + i))
			return false;
	return true;
}

static int audit_leaf(void *ctx, unsigned long addr, unsigned int shift, unsigned long entry,
		      unsigned long effective)
{
	struct audit *a = ctx;

	if (!(effective & _PAGE_PRESENT))
		return 0;
	a->leaves++;
	if (!audit_leaf_ok(a->s, addr, shift, entry, effective) &&
	    !((kmm_pt_get(&a->s->pt, addr, NULL) ^ entry) & ~KMM_PT_AD))
		a->bad++;
	cond_resched();
	return 0;
}

/**
 * kmm_isolation_audit() - Prove that a space shows what was mapped into it, and nothing else.
 * @s: space
 * @leaves: set to the leaves, of 4 KiB or 2 MiB, that are reachable from its user root
 *
 * Context: task, may sleep; takes the space's lock for reading.
 * Return: how many of them must not be; entries of the root's kernel half count as one leaf each.
 */
unsigned long kmm_isolation_audit(struct kmm_space *s, unsigned long *leaves)
{
	struct audit a = { .s = s };
	unsigned int i;

	down_read(&s->lock);
	kmm_pt_for_each(&s->pt, true, 0, kmm_space_user_end(), audit_leaf, &a);
	up_read(&s->lock);
	for (i = PTRS_PER_PGD / 2; i < PTRS_PER_PGD; i++) {
		bool set = pgd_val(READ_ONCE(s->pt.user[i]));

		a.leaves += set;
		a.bad += set;
	}
	*leaves = a.leaves;
	return a.bad;
}
KMM_EXPORT_INTERNAL(kmm_isolation_audit);
