/* SPDX-License-Identifier: GPL-2.0-only */
/* Page tables: our own trees, and entries of the kernel window. See vm/pgtable*.c, vm/window.c. */
#ifndef _KMM_PGTABLE_H
#define _KMM_PGTABLE_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/cpumask.h>
#include <linux/list.h>
#include <linux/pgtable.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include <kmm/page.h>
#include <kmm/region.h>

struct kmm_account;
struct kmm_buddy;

/**
 * enum kmm_pt_level - levels of a tree, the lowest first
 * @KMM_PT_PTE: entries of 4 KiB
 * @KMM_PT_PMD: entries of 2 MiB
 * @KMM_PT_PUD: entries of 1 GiB
 * @KMM_PT_P4D: entries of 512 GiB; a level of its own only on 5-level machines
 * @KMM_PT_PGD: the root
 * @KMM_PT_LEVELS: number of levels
 */
enum kmm_pt_level {
	KMM_PT_PTE,
	KMM_PT_PMD,
	KMM_PT_PUD,
	KMM_PT_P4D,
	KMM_PT_PGD,
	KMM_PT_LEVELS
};

/**
 * struct kmm_tlb_stat - the ledger of flushes
 * @kernel_flushes: of all CPUs, for the kernel window
 * @kernel_pages: pages that these covered
 * @space_flushes: of spaces
 * @space_pages: pages that these covered
 * @ipis: CPUs other than the flushing one that were interrupted, both kinds
 */
struct kmm_tlb_stat {
	atomic64_t kernel_flushes;
	atomic64_t kernel_pages;
	atomic64_t space_flushes;
	atomic64_t space_pages;
	atomic64_t ipis;
};

/**
 * struct kmm_pgtables - what all trees of one instance share
 * @buddy: where tables come from; immutable
 * @tlb: ledger
 * @nr: living tables by level, all trees
 * @lock: protects @zeroed and @nr_zeroed; a leaf lock, any context
 * @zeroed: index of the first zeroed table page that waits for use, linked by frame.next
 * @nr_zeroed: how many
 */
struct kmm_pgtables {
	struct kmm_buddy *buddy;
	struct kmm_tlb_stat tlb;
	atomic_long_t nr[KMM_PT_LEVELS];
	spinlock_t lock;	/* protects the cache of zeroed tables */
	u32 zeroed;
	unsigned long nr_zeroed;
};

/**
 * struct kmm_pgtable - one tree: a full root and, in the page above it, a user root
 * @set: what it shares with others; immutable
 * @account: pays for tables; NULL in tests; immutable
 * @root: order-1 block, 8 KiB aligned; immutable
 * @full: root with the user half (NX) and, when loaded, the kernel half; immutable
 * @user: root with the user half only; immutable
 * @lock: taken to install and remove tables
 * @active: CPUs that have it in CR3 at the moment; see kmm_pt_enter() in vm/mmu.c
 * @nr: tables by level
 * @resident: 4 KiB pages mapped; a 2 MiB leaf counts 512
 */
struct kmm_pgtable {
	struct kmm_pgtables *set;
	struct kmm_account *account;
	struct page *root;
	pgd_t *full;
	pgd_t *user;
	spinlock_t lock;	/* tables come and go */
	struct cpumask active;
	atomic_long_t nr[KMM_PT_LEVELS];
	atomic_long_t resident;
};

struct kmm_pt_gather;

/**
 * typedef kmm_pt_drop_t - told of each leaf that leaves a tree
 * @g: the gather that zaps
 * @addr: address of the leaf
 * @entry: raw entry, with the Accessed and Dirty bits as the hardware left them
 * @page: its page; of a 2 MiB leaf the first of 512
 * @nr_pages: 1 or 512
 *
 * Context: table lock held, interrupts on, no sleep. What it wants freed after the flush goes to
 * kmm_pt_gather_page(); it may not free itself.
 */
typedef void (*kmm_pt_drop_t)(struct kmm_pt_gather *g, unsigned long addr, unsigned long entry,
			      struct page *page, unsigned int nr_pages);

/**
 * struct kmm_pt_gather - entries that were taken out and not flushed yet; on the stack
 * @pt: tree
 * @drop: see kmm_pt_drop_t; NULL: leaves are just removed
 * @ctx: for @drop
 * @keep: leaves with one of these bits stay; 0 after kmm_pt_gather_init()
 * @nr_flush: entries that the next flush covers
 * @pages: first frame to free after the flush, linked by frame.prev; KMM_LIST_END
 * @tables: first empty table to free after the flush, linked by frame.prev
 */
struct kmm_pt_gather {
	struct kmm_pgtable *pt;
	kmm_pt_drop_t drop;
	void *ctx;
	unsigned long keep;
	unsigned long nr_flush;
	u32 pages;
	u32 tables;
};

void kmm_pgtables_init(struct kmm_pgtables *set, struct kmm_buddy *b);
void kmm_pgtables_fini(struct kmm_pgtables *set);
unsigned long kmm_pgtables_shrink(struct kmm_pgtables *set);

int kmm_pgtable_create(struct kmm_pgtable *pt, struct kmm_pgtables *set, struct kmm_account *a);
void kmm_pgtable_destroy(struct kmm_pgtable *pt);

/* Leaves. An entry is the raw word, 0 is none; KMM_PT_HUGE tells a 2 MiB leaf. */
#define KMM_PT_HUGE		_PAGE_PSE
/* The page belongs to spaces only; its frame counts the entries that map it. */
#define KMM_PT_PRIVATE		_PAGE_SOFTW1
#define KMM_PT_AD		(_PAGE_ACCESSED | _PAGE_DIRTY)

unsigned long kmm_pt_get(struct kmm_pgtable *pt, unsigned long addr, bool *huge);
int kmm_pt_prepare(struct kmm_pgtable *pt, unsigned long addr);
int kmm_pt_replace(struct kmm_pgtable *pt, unsigned long addr, unsigned long old,
		   unsigned long new);
int kmm_pt_map_huge(struct kmm_pgtable *pt, unsigned long addr, struct page *page,
		    pgprot_t prot);
int kmm_pt_split_huge(struct kmm_pgtable *pt, unsigned long addr);
bool kmm_pt_touch(struct kmm_pgtable *pt, unsigned long addr, unsigned long entry,
		  unsigned long bits);
unsigned long kmm_pt_test_and_clear(struct kmm_pgtable *pt, unsigned long addr,
				    unsigned long bits);
void kmm_pt_protect(struct kmm_pgtable *pt, unsigned long start, unsigned long end,
		    pgprot_t prot);
long kmm_pt_clone_range(struct kmm_pgtable *dst, struct kmm_pgtable *src, unsigned long start,
			unsigned long end);
unsigned long kmm_pt_make_entry(struct page *page, pgprot_t prot);
struct page *kmm_pt_entry_page(unsigned long entry, bool huge);

/* Taking out: zap (under whatever keeps the area's tables), prune (alone), flush. */
void kmm_pt_gather_init(struct kmm_pt_gather *g, struct kmm_pgtable *pt, kmm_pt_drop_t drop,
			void *ctx);
void kmm_pt_zap(struct kmm_pt_gather *g, unsigned long start, unsigned long end);
void kmm_pt_gather_page(struct kmm_pt_gather *g, struct page *page);
void kmm_pt_prune(struct kmm_pt_gather *g, unsigned long start, unsigned long end);
void kmm_pt_gather_finish(struct kmm_pt_gather *g);
void kmm_pt_flush(struct kmm_pgtable *pt, unsigned long nr_pages);

/**
 * struct kmm_pt_path - one translation, level by level
 * @levels: of this machine, 4 or 5
 * @depth: entries read
 * @index: into the table of each level, from the root
 * @entry: raw entries
 * @leaf_shift: 12 or 21 when the last one is a leaf, else 0
 */
struct kmm_pt_path {
	unsigned int levels;
	unsigned int depth;
	u16 index[KMM_PT_LEVELS];
	unsigned long entry[KMM_PT_LEVELS];
	unsigned int leaf_shift;
};

void kmm_pt_walk(struct kmm_pgtable *pt, unsigned long addr, bool user_view,
		 struct kmm_pt_path *path);
int kmm_pt_for_each(struct kmm_pgtable *pt, bool user_view, unsigned long start,
		    unsigned long end,
		    int (*leaf)(void *ctx, unsigned long addr, unsigned int shift,
				unsigned long entry, unsigned long effective), void *ctx);

/**
 * kmm_pt_modify() - A leaf with other rights.
 * @entry: raw word, not 0
 * @prot: rights
 * @huge: it is a 2 MiB leaf
 *
 * The page, Accessed, Dirty and KMM_PT_PRIVATE stay. The host's pte_modify() wants a symbol that
 * Debian's kernel does not export.
 *
 * Context: any. Return: raw word.
 */
static inline unsigned long kmm_pt_modify(unsigned long entry, pgprot_t prot, bool huge)
{
	unsigned long kept = entry & (KMM_PT_AD | KMM_PT_PRIVATE);

	/* Without rights the frame number is inverted, and a huge one has fewer bits. */
	if (huge)
		return pmd_val(pfn_pmd(pmd_pfn(__pmd(entry)), prot)) | KMM_PT_HUGE | kept;
	return pte_val(pfn_pte(pte_pfn(__pte(entry)), prot)) | kept;
}

/* Private frames of spaces count the entries that map them, in the client's word of the frame. */
static inline void kmm_pt_share_get(struct kmm_frame *f)
{
	__atomic_fetch_add(&f->next, 1, __ATOMIC_RELAXED);
}

/* Return: true when that was the last one. */
static inline bool kmm_pt_share_put(struct kmm_frame *f)
{
	return __atomic_sub_fetch(&f->next, 1, __ATOMIC_ACQ_REL) == 0;
}

static inline u32 kmm_pt_shares(const struct kmm_frame *f)
{
	return READ_ONCE(f->next);
}

/* === The kernel window === */

/**
 * struct kmm_window - the window's entries; the host's tables, our leaves
 * @base: first address
 * @nr_pages: 4 KiB pages
 * @tables: host's PTE table of each aligned 2 MiB that the window touches
 * @pmds: its entry in the host's tables
 * @saved: what the host had there
 * @nr_tables: entries of the three
 * @found: what the host had in every 4 KiB entry
 * @huge_first: first address of the 2 MiB part: its slots have no PTE table, so that a leaf can
 *	be put there without a flush
 * @huge_nr: slots in it, up to the end of the window's last whole 2 MiB
 * @set: for the ledger
 *
 * Immutable after init. Entries are protected by whoever owns the addresses.
 */
struct kmm_window {
	unsigned long base;
	unsigned long nr_pages;
	pte_t **tables;
	pmd_t **pmds;
	pmd_t *saved;
	unsigned long nr_tables;
	pte_t found;
	unsigned long huge_first;
	unsigned long huge_nr;
	struct kmm_pgtables *set;
};

/* Not present, not 0: debug_pagealloc took the page out, its owner has not unmapped it yet. */
#define KMM_WINDOW_TAKEN	_PAGE_SOFTW1

int kmm_window_init(struct kmm_window *w, struct kmm_region *r, struct kmm_pgtables *set);
int kmm_window_init_range(struct kmm_window *w, unsigned long base, unsigned long nr_pages,
			  bool huge, struct kmm_pgtables *set);
void kmm_window_fini(struct kmm_window *w);
void kmm_window_map(struct kmm_window *w, unsigned long addr, struct page **pages,
		    unsigned long nr_pages, pgprot_t prot);
void kmm_window_map_block(struct kmm_window *w, unsigned long addr, struct page *page,
			  unsigned long nr_pages, pgprot_t prot);
void kmm_window_unmap(struct kmm_window *w, unsigned long addr, unsigned long nr_pages);
struct page *kmm_window_page(struct kmm_window *w, unsigned long addr);
unsigned long kmm_window_entry(struct kmm_window *w, unsigned long addr, bool *huge);
unsigned long kmm_window_test_and_clear(struct kmm_window *w, unsigned long addr,
					unsigned long bits);
void kmm_window_protect(struct kmm_window *w, unsigned long addr, unsigned long nr_pages,
			pgprot_t prot);
void kmm_window_map_huge(struct kmm_window *w, unsigned long addr, struct page *page,
			 pgprot_t prot);
void kmm_window_clear_slots(struct kmm_window *w, unsigned long addr, unsigned long nr);
void kmm_window_attach(struct kmm_window *w, unsigned long addr);
unsigned long kmm_window_forget(struct kmm_window *w, struct page *page, unsigned int order);
extern bool kmm_tlb_flush_off;	/* only with CONFIG_KUNIT */
void kmm_tlb_flush_window(struct kmm_pgtables *set, unsigned long nr_pages);

#endif /* _KMM_PGTABLE_H */
