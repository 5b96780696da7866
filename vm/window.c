// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The kernel window's entries
 *
 * region/ has reserved a range of kernel addresses by mapping a zero page over it. Here this range
 * becomes ours: its 4 KiB entries are cleared once, and from then on kmm writes them. The tables
 * stay the host's, so every process sees every change at once. vmap.c decides what stands where;
 * whoever owns the addresses may write their entries, without a lock.
 *
 * Two parts. The lower half is for single pages. In the upper half, by whole 2 MiB, the PTE
 * tables are taken off at load and kept aside, so a slot is in one of three states:
 *
 *	nothing		the CPU caches nothing of it
 *	leaf		2 MiB of one block
 *	table		the host's PTE table is back (attached), with single pages
 *
 * A slot goes from nothing to the others without a flush, and back only through one. So large areas
 * are allocated without a flush, like small ones, and are flushed with them when they are purged.
 *
 * Flush. Nothing that flushes a range of kernel addresses is exported; the flush is of all CPUs and
 * of everything, global entries included, and therefore rare: it is for whole batches.
 *
 * Invariant at the end: no entry is ours any more; the host's tables are put back as they were
 * found, zero page and all, before region/ returns the range.
 *
 * It deliberately does not: know areas, count pages, or touch entries outside the window, although
 * its first and last table may serve others as well.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <asm/tlbflush.h>

#include <compat/compat.h>
#include <kmm/assert.h>
#include <kmm/buddy.h>
#include <kmm/debug_pagealloc.h>
#include <kmm/inject.h>
#include <kmm/pgtable.h>

static inline unsigned long window_table(const struct kmm_window *w, unsigned long addr)
{
	return (addr >> PMD_SHIFT) - (w->base >> PMD_SHIFT);
}

static inline bool window_is_huge(unsigned long entry)
{
	return entry & _PAGE_PSE;
}

static inline pte_t *window_pte(const struct kmm_window *w, unsigned long addr)
{
	return w->tables[window_table(w, addr)] + pte_index(addr);
}

/* debug_pagealloc: frames come into the window, or go. */
static __always_inline void window_count(const struct kmm_window *w, unsigned long pfn,
					 unsigned long nr_pages, int one)
{
	if (static_branch_unlikely(&kmm_debug_pagealloc_key))
		kmm_debug_pagealloc_count(w->set->buddy->region, pfn, nr_pages, one);
}

/* The host's entry for 2 MiB of the window, in the tables that every process shares. */
static pmd_t *window_host_pmd(unsigned long addr)
{
	pgd_t *pgd = pgd_offset_pgd(__va(read_cr3_pa()), addr);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;

	if (pgd_none(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return NULL;
	pud = pud_offset(p4d, addr);
	if (pud_none(*pud) || pud_large(*pud))
		return NULL;
	pmd = pmd_offset(pud, addr);
	return pmd_none(*pmd) || pmd_large(*pmd) ? NULL : pmd;
}

#if IS_ENABLED(CONFIG_KUNIT)
/* For the test that shows what happens without a flush. */
bool kmm_tlb_flush_off;
KMM_EXPORT_INTERNAL(kmm_tlb_flush_off);
#endif

static void window_flush_local(void *unused)
{
#if IS_ENABLED(CONFIG_KUNIT)
	if (READ_ONCE(kmm_tlb_flush_off))
		return;
#endif
	kmm_host_flush_tlb_local();
}

/**
 * kmm_tlb_flush_window() - Make all CPUs forget the window's old entries.
 * @set: for the ledger
 * @nr_pages: how many pages the entries covered
 *
 * All of each TLB goes, global entries included: the host's flush of a range is not exported, and
 * INVLPG alone is wrong with PCIDs.
 *
 * Context: task with interrupts on.
 */
void kmm_tlb_flush_window(struct kmm_pgtables *set, unsigned long nr_pages)
{
	atomic64_inc(&set->tlb.kernel_flushes);
	atomic64_add(nr_pages, &set->tlb.kernel_pages);
	atomic64_add(num_online_cpus() - 1, &set->tlb.ipis);
	on_each_cpu(window_flush_local, NULL, 1);
}
KMM_EXPORT_INTERNAL(kmm_tlb_flush_window);

/**
 * kmm_window_init_range() - Take reserved addresses over.
 * @w: caller's memory
 * @base: first address, of a part of a region's window
 * @nr_pages: pages
 * @huge: the upper half, by whole 2 MiB, loses its PTE tables: it is for leaves of 2 MiB
 * @set: for the ledger
 *
 * Context: task, may sleep. Return: 0; -ENOMEM; -ENXIO the host's tables are not as expected.
 */
int kmm_window_init_range(struct kmm_window *w, unsigned long base, unsigned long nr_pages,
			  bool huge, struct kmm_pgtables *set)
{
	unsigned long addr, end, i, first;

	memset(w, 0, sizeof(*w));
	w->set = set;
	w->base = base;
	w->nr_pages = nr_pages;
	end = w->base + w->nr_pages * PAGE_SIZE;
	w->nr_tables = window_table(w, end - 1) + 1;
	w->tables = kmm_should_fail() ? NULL :
		    kvcalloc(w->nr_tables, sizeof(*w->tables), GFP_KERNEL_ACCOUNT);
	w->pmds = kmm_should_fail() ? NULL :
		  kvcalloc(w->nr_tables, sizeof(*w->pmds), GFP_KERNEL_ACCOUNT);
	w->saved = kmm_should_fail() ? NULL :
		   kvcalloc(w->nr_tables, sizeof(*w->saved), GFP_KERNEL_ACCOUNT);
	if (!w->tables || !w->pmds || !w->saved) {
		kmm_window_fini(w);
		return -ENOMEM;
	}
	for (i = 0; i < w->nr_tables; i++) {
		pmd_t *pmd = window_host_pmd((w->base & PMD_MASK) + i * PMD_SIZE);

		if (!pmd) {
			w->base = 0;
			kmm_window_fini(w);
			return -ENXIO;
		}
		w->pmds[i] = pmd;
		w->saved[i] = *pmd;
		w->tables[i] = (pte_t *)pmd_page_vaddr(*pmd);
	}
	w->found = *window_pte(w, w->base);
	for (addr = w->base; addr < end; addr += PAGE_SIZE)
		pte_clear(NULL, addr, window_pte(w, addr));

	first = ALIGN(w->base, PMD_SIZE);
	w->huge_nr = huge && end > first ? (end - first) / PMD_SIZE / 2 : 0;
	w->huge_first = (end & PMD_MASK) - w->huge_nr * PMD_SIZE;
	for (i = 0; i < w->huge_nr; i++)
		pmd_clear(w->pmds[window_table(w, w->huge_first) + i]);
	kmm_tlb_flush_window(set, w->nr_pages);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_window_init_range);

/**
 * kmm_window_init() - Take what is left of the reserved window over.
 * @w: caller's memory
 * @r: region with a window
 * @set: for the ledger
 *
 * Context: task, may sleep. Return: as kmm_window_init_range().
 */
int kmm_window_init(struct kmm_window *w, struct kmm_region *r, struct kmm_pgtables *set)
{
	return kmm_window_init_range(w, (unsigned long)r->window, r->window_pages, true, set);
}
KMM_EXPORT_INTERNAL(kmm_window_init);

/**
 * kmm_window_fini() - Leave the host's tables as they were found.
 * @w: window without a leaf of ours; also one whose init failed
 *
 * Context: task, may sleep.
 */
void kmm_window_fini(struct kmm_window *w)
{
	unsigned long addr = w->base, i;

	if (w->saved && pte_val(w->found)) {
		for (i = 0; i < w->huge_nr; i++)
			kmm_window_attach(w, w->huge_first + i * PMD_SIZE);
		for (; addr < w->base + w->nr_pages * PAGE_SIZE; addr += PAGE_SIZE) {
			kmm_assert(pte_none(*window_pte(w, addr)));
			set_pte(window_pte(w, addr), w->found);
		}
		kmm_tlb_flush_window(w->set, w->nr_pages);
	}
	kvfree(w->saved);
	kvfree(w->pmds);
	kvfree(w->tables);
	memset(w, 0, sizeof(*w));
}
KMM_EXPORT_INTERNAL(kmm_window_fini);

/* The loops of map: inlined twice, so that what debug_pagealloc counts costs nothing when off. */
static __always_inline void window_map(struct kmm_window *w, unsigned long addr,
				       struct page **pages, unsigned long nr_pages, pgprot_t prot)
{
	while (nr_pages) {
		pte_t *pte = window_pte(w, addr);
		unsigned long nr = min_t(unsigned long, nr_pages, PTRS_PER_PTE - pte_index(addr));

		addr += nr * PAGE_SIZE;
		nr_pages -= nr;
		while (nr--)
			set_pte(pte++, pfn_pte(page_to_pfn(*pages++), prot));
	}
}

static __always_inline void window_map_block(struct kmm_window *w, unsigned long addr,
					     unsigned long pfn, unsigned long nr_pages,
					     pgprot_t prot)
{
	while (nr_pages) {
		pte_t *pte = window_pte(w, addr);
		unsigned long nr = min_t(unsigned long, nr_pages, PTRS_PER_PTE - pte_index(addr));

		addr += nr * PAGE_SIZE;
		nr_pages -= nr;
		while (nr--)
			set_pte(pte++, pfn_pte(pfn++, prot));
	}
}

static noinline void window_map_counted(struct kmm_window *w, unsigned long addr,
					struct page **pages, unsigned long nr_pages, pgprot_t prot)
{
	unsigned long i;

	for (i = 0; i < nr_pages; i++)
		window_count(w, page_to_pfn(pages[i]), 1, 1);
	window_map(w, addr, pages, nr_pages, prot);
}

static noinline void window_map_block_counted(struct kmm_window *w, unsigned long addr,
					      unsigned long pfn, unsigned long nr_pages,
					      pgprot_t prot)
{
	window_count(w, pfn, nr_pages, 1);
	window_map_block(w, addr, pfn, nr_pages, prot);
}

/* Who takes an entry out counts it, see kmm_window_forget(). */
static noinline void window_unmap_counted(struct kmm_window *w, unsigned long addr,
					  unsigned long nr_pages)
{
	for (; nr_pages--; addr += PAGE_SIZE) {
		pte_t old = __pte(xchg((unsigned long *)window_pte(w, addr), 0));

		if (pte_present(old))
			window_count(w, pte_pfn(old), 1, -1);
	}
}

/**
 * kmm_window_map() - Map single pages where nothing is.
 * @w: window
 * @addr: page aligned, in the 4 KiB part or in a slot with its table attached
 * @pages: pages
 * @nr_pages: how many
 * @prot: rights, as PAGE_KERNEL and its like
 *
 * No flush is needed: an absent entry is not cached. Context: any.
 */
void kmm_window_map(struct kmm_window *w, unsigned long addr, struct page **pages,
		    unsigned long nr_pages, pgprot_t prot)
{
	if (static_branch_unlikely(&kmm_debug_pagealloc_key))
		return window_map_counted(w, addr, pages, nr_pages, prot);
	window_map(w, addr, pages, nr_pages, prot);
}
KMM_EXPORT_INTERNAL(kmm_window_map);

/**
 * kmm_window_map_block() - Map pages that follow each other.
 * @w: window
 * @addr: as for kmm_window_map()
 * @page: the first
 * @nr_pages: how many
 * @prot: rights
 *
 * Context: any.
 */
void kmm_window_map_block(struct kmm_window *w, unsigned long addr, struct page *page,
			  unsigned long nr_pages, pgprot_t prot)
{
	if (static_branch_unlikely(&kmm_debug_pagealloc_key))
		return window_map_block_counted(w, addr, page_to_pfn(page), nr_pages, prot);
	window_map_block(w, addr, page_to_pfn(page), nr_pages, prot);
}
KMM_EXPORT_INTERNAL(kmm_window_map_block);

/**
 * kmm_window_unmap() - Take single pages out.
 * @w: window
 * @addr: as for kmm_window_map()
 * @nr_pages: how many; absent ones are no error
 *
 * Not flushed. Context: any.
 */
void kmm_window_unmap(struct kmm_window *w, unsigned long addr, unsigned long nr_pages)
{
	if (static_branch_unlikely(&kmm_debug_pagealloc_key))
		return window_unmap_counted(w, addr, nr_pages);
	while (nr_pages) {
		pte_t *pte = window_pte(w, addr);
		unsigned long nr = min_t(unsigned long, nr_pages, PTRS_PER_PTE - pte_index(addr));

		addr += nr * PAGE_SIZE;
		nr_pages -= nr;
		while (nr--)
			set_pte(pte++, __pte(0));
	}
}
KMM_EXPORT_INTERNAL(kmm_window_unmap);

static bool window_is_huge_part(const struct kmm_window *w, unsigned long addr)
{
	return addr - w->huge_first < w->huge_nr * PMD_SIZE;
}

/**
 * kmm_window_entry() - The leaf at an address of the window.
 * @w: window
 * @addr: address in it
 * @huge: set to true for a 2 MiB leaf; may be NULL
 *
 * Context: any. Return: raw word, 0 for none.
 */
unsigned long kmm_window_entry(struct kmm_window *w, unsigned long addr, bool *huge)
{
	bool is_huge = false;
	unsigned long entry = 0;

	if (window_is_huge_part(w, addr)) {
		entry = pmd_val(READ_ONCE(*w->pmds[window_table(w, addr)]));
		is_huge = window_is_huge(entry);
	}
	if (!is_huge && (entry || !window_is_huge_part(w, addr)))
		entry = pte_val(READ_ONCE(*window_pte(w, addr)));
	if (huge)
		*huge = is_huge;
	return entry;
}
KMM_EXPORT_INTERNAL(kmm_window_entry);

/**
 * kmm_window_page() - The page behind an address of the window.
 * @w: window
 * @addr: any kernel address
 *
 * Context: any. Return: page, of a 2 MiB leaf the one at @addr; NULL for none.
 */
struct page *kmm_window_page(struct kmm_window *w, unsigned long addr)
{
	unsigned long entry;
	bool huge;

	if (addr - w->base >= w->nr_pages * PAGE_SIZE)
		return NULL;
	entry = kmm_window_entry(w, addr, &huge);
	if (!entry || entry == KMM_WINDOW_TAKEN)
		return NULL;
	return kmm_pt_entry_page(entry, huge) + (huge ? pte_index(addr) : 0);
}
KMM_EXPORT_INTERNAL(kmm_window_page);

/**
 * kmm_window_test_and_clear() - Read and clear Accessed or Dirty of a 4 KiB leaf.
 * @w: window
 * @addr: address in the 4 KiB part
 * @bits: of KMM_PT_AD
 *
 * Not flushed. Context: any. Return: those of @bits that were set.
 */
unsigned long kmm_window_test_and_clear(struct kmm_window *w, unsigned long addr,
					unsigned long bits)
{
	unsigned long *slot = (unsigned long *)window_pte(w, addr);
	unsigned long cur = READ_ONCE(*slot);

	bits &= KMM_PT_AD;
	while (cur & bits && !try_cmpxchg(slot, &cur, cur & ~bits))
		;
	return cur & bits;
}
KMM_EXPORT_INTERNAL(kmm_window_test_and_clear);

/**
 * kmm_window_protect() - Change the rights of single pages.
 * @w: window
 * @addr: as for kmm_window_map()
 * @nr_pages: how many
 * @prot: rights
 *
 * Not flushed: kmm_tlb_flush_window() when rights were taken. Context: any.
 */
void kmm_window_protect(struct kmm_window *w, unsigned long addr, unsigned long nr_pages,
			pgprot_t prot)
{
	for (; nr_pages--; addr += PAGE_SIZE) {
		pte_t *pte = window_pte(w, addr);

		if (!pte_none(*pte) && pte_val(*pte) != KMM_WINDOW_TAKEN)
			set_pte(pte, __pte(kmm_pt_modify(pte_val(*pte), prot, false)));
	}
}
KMM_EXPORT_INTERNAL(kmm_window_protect);

/**
 * kmm_window_map_huge() - Put a 2 MiB leaf into a slot that has nothing.
 * @w: window
 * @addr: 2 MiB aligned, in the 2 MiB part, its table detached
 * @page: first of 512, 2 MiB aligned
 * @prot: rights
 *
 * Context: any.
 */
void kmm_window_map_huge(struct kmm_window *w, unsigned long addr, struct page *page,
			 pgprot_t prot)
{
	set_pmd(w->pmds[window_table(w, addr)],
		pmd_mkhuge(pfn_pmd(page_to_pfn(page), prot)));
	window_count(w, page_to_pfn(page), PTRS_PER_PTE, 1);
}
KMM_EXPORT_INTERNAL(kmm_window_map_huge);

/**
 * kmm_window_attach() - Give a slot of the 2 MiB part its PTE table back.
 * @w: window
 * @addr: 2 MiB aligned; the slot has nothing; the table is empty
 *
 * Context: any.
 */
void kmm_window_attach(struct kmm_window *w, unsigned long addr)
{
	unsigned long i = window_table(w, addr);

	set_pmd(w->pmds[i], w->saved[i]);
}
KMM_EXPORT_INTERNAL(kmm_window_attach);

static noinline void window_clear_slots_counted(struct kmm_window *w, unsigned long addr,
						unsigned long nr)
{
	for (; nr--; addr += PMD_SIZE) {
		pmd_t pmd = READ_ONCE(*w->pmds[window_table(w, addr)]);

		if (window_is_huge(pmd_val(pmd)))
			window_count(w, pmd_pfn(pmd), PTRS_PER_PTE, -1);
	}
}

/**
 * kmm_window_clear_slots() - Take everything out of slots; they have nothing then.
 * @w: window
 * @addr: 2 MiB aligned, in the 2 MiB part
 * @nr: how many slots
 *
 * Not flushed: before a slot is used again for anything, it must be. Context: any.
 */
void kmm_window_clear_slots(struct kmm_window *w, unsigned long addr, unsigned long nr)
{
	if (static_branch_unlikely(&kmm_debug_pagealloc_key))
		window_clear_slots_counted(w, addr, nr);
	for (; nr--; addr += PMD_SIZE) {
		pmd_t *pmd = w->pmds[window_table(w, addr)];

		if (pmd_none(*pmd))
			continue;
		if (!window_is_huge(pmd_val(*pmd)))
			kmm_window_unmap(w, addr, PTRS_PER_PTE);
		pmd_clear(pmd);
	}
}
KMM_EXPORT_INTERNAL(kmm_window_clear_slots);

/* The 4 KiB entries of one table that show a frame of [pfn, end). Return: how many went. */
static unsigned long window_forget_table(struct kmm_window *w, pte_t *pte, unsigned long nr,
					 unsigned long pfn, unsigned long end)
{
	unsigned long gone = 0;

	for (; nr--; pte++) {
		unsigned long *slot = (unsigned long *)pte, cur = READ_ONCE(*slot);
		unsigned long shown;

		do {
			shown = pte_pfn(__pte(cur));
			if (!(cur & _PAGE_PRESENT) || shown < pfn || shown >= end)
				break;
		} while (!try_cmpxchg(slot, &cur, KMM_WINDOW_TAKEN));
		if (!(cur & _PAGE_PRESENT) || shown < pfn || shown >= end)
			continue;
		window_count(w, shown, 1, -1);
		gone++;
	}
	return gone;
}

/**
 * kmm_window_forget() - Take every entry out that shows a block.
 * @w: window
 * @page: first frame
 * @order: log2 of frames
 *
 * KMM_WINDOW_TAKEN is left in 4 KiB entries, until their owner unmaps them. Looks at the whole
 * window. Not flushed.
 *
 * Context: any; the owners of the addresses may unmap them meanwhile, but for one of 2 MiB.
 * Return: entries that went.
 */
unsigned long kmm_window_forget(struct kmm_window *w, struct page *page, unsigned int order)
{
	unsigned long pfn = page_to_pfn(page), end = pfn + (1UL << order), gone = 0;
	unsigned long addr = w->base, behind = w->base + w->nr_pages * PAGE_SIZE, next;

	for (; addr < behind; addr = next) {
		next = min((addr & PMD_MASK) + PMD_SIZE, behind);
		if (window_is_huge_part(w, addr)) {
			pmd_t *pmd = w->pmds[window_table(w, addr)], cur = READ_ONCE(*pmd);

			if (pmd_none(cur))
				continue;
			if (window_is_huge(pmd_val(cur))) {
				if (pmd_pfn(cur) < pfn || pmd_pfn(cur) >= end)
					continue;
				window_count(w, pmd_pfn(cur), PTRS_PER_PTE, -1);
				pmd_clear(pmd);
				gone++;
				continue;
			}
		}
		gone += window_forget_table(w, window_pte(w, addr), (next - addr) >> PAGE_SHIFT,
					    pfn, end);
	}
	return gone;
}
KMM_EXPORT_INTERNAL(kmm_window_forget);
