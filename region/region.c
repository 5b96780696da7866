// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The region
 *
 * The region is all memory that kmm manages. A provider (cma.c, contig.c, chunks.c)
 * takes it from the host as one or more extents: physically contiguous runs of page
 * frames, each with one reference. From then on, until kmm is unloaded, nobody but kmm
 * gives these frames out.
 *
 * Metadata. One struct kmm_frame (16 bytes) describes a frame. They stand in one array,
 * in the region itself, by index. An index is not a pfn: extents may lie far apart. Both
 * are translated in steps of a granule (2^KMM_MAX_ORDER frames, naturally aligned): a table
 * gives the part of the array for each granule of the span, and a table gives the first pfn
 * for each granule of the array. So the low KMM_MAX_ORDER bits of index and pfn are the
 * same, the buddy of a block is found by flipping a bit of the index, and no merge leaves a
 * granule. Frames of a granule that the region does not have are KMM_FRAME_ABSENT; a head
 * that is not aligned needs no trimming, its blocks are just smaller.
 *
 * Early allocator. As memblock does for the kernel, it gives memory before the buddy runs:
 * to the frame array, the pageblock types, the window's zero page, and to page_ext and
 * kfence. It takes frames from the low end of the first extent that is large enough. What
 * it gave is metadata and stays so: there is no early free.
 *
 * Window. A range of kernel addresses is reserved at start by mapping one zero page over
 * all of it, read-only. Its page tables exist from then on; kfence and vmap.c put their
 * own entries there. kfence takes its part from the low end before vmap.c has the rest.
 *
 * Invariants
 *   - extents are sorted, disjoint, and immutable after kmm_region_init_ops()
 *   - sum of extents == frames that are not ABSENT == metadata + what the buddy got
 *   - every frame keeps the reference that it came with, tails too
 *
 * An extent of which any frame has a reference more at unload (somebody outside still holds
 * it) is leaked and logged: the host would reuse memory that is still in use.
 *
 * Locks: none; init and fini run alone, in between nothing changes.
 *
 * It deliberately does not: give memory back before unload, grow, or migrate.
 */

#define pr_fmt(fmt) "kmm: region: " fmt

#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/vmalloc.h>

#include <compat/compat.h>
#include <kmm/assert.h>
#include <kmm/inject.h>
#include <kmm/region.h>

/* In the order in which provider=auto tries them. */
static const struct kmm_region_ops * const kmm_providers[] = {
	&kmm_region_cma,
	&kmm_region_contig,
	&kmm_region_chunks,
};

/* === For providers === */

/**
 * kmm_region_explain() - Keep a line on why a source could not serve, or how it did.
 * @r: region
 * @fmt: one line, without newline
 *
 * The lines are shown by debugfs region and go to the log. Context: may sleep.
 */
void kmm_region_explain(struct kmm_region *r, const char *fmt, ...)
{
	size_t len = strlen(r->why);
	va_list args;

	va_start(args, fmt);
	vscnprintf(r->why + len, sizeof(r->why) - len - 1, fmt, args);
	va_end(args);
	pr_info("%s\n", r->why + len);
	strlcat(r->why, "\n", sizeof(r->why));
}
KMM_EXPORT_INTERNAL(kmm_region_explain);

/**
 * kmm_region_add_extent() - Report a piece that acquire() took.
 * @r: region
 * @start_pfn: first frame
 * @nr_pages: frames, each with one reference
 * @priv: the provider's handle
 *
 * Context: acquire() only; may sleep. Return: 0 or -ENOMEM.
 */
int kmm_region_add_extent(struct kmm_region *r, unsigned long start_pfn,
			  unsigned long nr_pages, unsigned long priv)
{
	struct kmm_extent *e;

	if (kmm_should_fail())
		return -ENOMEM;
	e = krealloc_array(r->extents, r->nr_extents + 1, sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return -ENOMEM;
	r->extents = e;
	e[r->nr_extents++] = (struct kmm_extent) {
		.start_pfn = start_pfn, .nr_pages = nr_pages, .priv = priv,
	};
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_region_add_extent);

/* === Early allocator === */

/**
 * kmm_region_early_alloc() - Memory before the buddy runs.
 * @r: region
 * @size_bytes: how much; not zero
 * @align_bytes: power of two, at most PAGE_SIZE
 *
 * Context: init only. Return: zeroed memory that lives as long as the region; NULL when
 * the extent is used up or the allocator is closed.
 */
void *kmm_region_early_alloc(struct kmm_region *r, size_t size_bytes, size_t align_bytes)
{
	unsigned long first = r->early_pfn - !!r->early_offset;
	size_t start = ALIGN(r->early_offset, align_bytes);
	unsigned long last;
	void *p;

	if (kmm_should_fail() || r->early_closed || !size_bytes)
		return NULL;
	if (size_bytes > (r->early_end - first) * PAGE_SIZE - start)
		return NULL;
	p = page_address(pfn_to_page(first)) + start;
	last = first + ((start + size_bytes - 1) >> PAGE_SHIFT);
	r->early_frames += last + 1 - r->early_pfn;
	r->early_pfn = last + 1;
	r->early_offset = (start + size_bytes) & ~PAGE_MASK;
	memset(p, 0, size_bytes);
	return p;
}
KMM_EXPORT_INTERNAL(kmm_region_early_alloc);

/**
 * kmm_region_early_close() - Mark what was given as metadata; no more is given.
 * @r: region
 *
 * Called by the buddy before it takes the rest. Context: init only.
 */
void kmm_region_early_close(struct kmm_region *r)
{
	unsigned long pfn;

	for (pfn = r->early_pfn - r->early_frames; pfn < r->early_pfn; pfn++)
		kmm_region_frame(r, pfn)->tag = KMM_FRAME_TAG(KMM_FRAME_METADATA, 0);
	r->early_closed = true;
}
KMM_EXPORT_INTERNAL(kmm_region_early_close);

/* === Metadata === */

static int kmm_extent_cmp(const void *a, const void *b)
{
	const struct kmm_extent *x = a, *y = b;

	return x->start_pfn < y->start_pfn ? -1 : x->start_pfn > y->start_pfn;
}

static unsigned long kmm_granule(unsigned long pfn)
{
	return pfn >> KMM_MAX_ORDER;
}

/* Count the granules that extents touch; each only once. */
static unsigned long kmm_region_count_granules(struct kmm_region *r)
{
	unsigned long n = 0, behind = 0;
	unsigned int i;

	for (i = 0; i < r->nr_extents; i++) {
		const struct kmm_extent *e = &r->extents[i];
		unsigned long g = max(kmm_granule(e->start_pfn), behind);

		behind = kmm_granule(e->start_pfn + e->nr_pages - 1) + 1;
		n += behind - g;
	}
	return n;
}

static int kmm_region_init_metadata(struct kmm_region *r)
{
	unsigned long nr, last, n = 0, bytes;
	unsigned int i;

	sort(r->extents, r->nr_extents, sizeof(*r->extents), kmm_extent_cmp, NULL);
	for (i = 0; i < r->nr_extents; i++)
		r->nr_frames += r->extents[i].nr_pages;

	last = r->extents[r->nr_extents - 1].start_pfn + r->extents[r->nr_extents - 1].nr_pages - 1;
	r->first_granule = kmm_granule(r->extents[0].start_pfn);
	r->nr_granules = kmm_granule(last) - r->first_granule + 1;
	nr = kmm_region_count_granules(r);
	r->nr_index = nr << KMM_MAX_ORDER;
	if (r->nr_index > U32_MAX) {
		kmm_region_explain(r, "%s: %lu frames are too many for 32-bit indexes",
				   r->ops->name, r->nr_frames);
		return -EFBIG;
	}

	r->granule_frames = kmm_should_fail() ? NULL :
			    kvcalloc(r->nr_granules, sizeof(*r->granule_frames),
				     GFP_KERNEL_ACCOUNT);
	r->granule_pfn = kmm_should_fail() ? NULL :
			 kvcalloc(nr, sizeof(*r->granule_pfn), GFP_KERNEL_ACCOUNT);
	r->poison = kmm_should_fail() ? NULL :
		    kvcalloc(r->nr_index, sizeof(*r->poison), GFP_KERNEL_ACCOUNT);
	if (!r->granule_frames || !r->granule_pfn || !r->poison)
		return -ENOMEM;

	bytes = r->nr_index * sizeof(*r->frames);
	for (i = 0; i < r->nr_extents; i++)
		if (r->extents[i].nr_pages > 2 * (bytes >> PAGE_SHIFT))
			break;
	if (i == r->nr_extents) {
		kmm_region_explain(r, "%s: no extent is large enough for %lu KiB of metadata",
				   r->ops->name, bytes >> 10);
		return -ENOSPC;
	}
	r->early_pfn = r->extents[i].start_pfn;
	r->early_end = r->early_pfn + r->extents[i].nr_pages;
	r->frames = kmm_region_early_alloc(r, bytes, PAGE_SIZE);
	r->pageblock_mt = kmm_region_early_alloc(r, r->nr_index >> KMM_PAGEBLOCK_ORDER, 8);
	if (!r->frames || !r->pageblock_mt)
		return -ENOMEM;

	for (i = 0; i < r->nr_extents; i++) {
		const struct kmm_extent *e = &r->extents[i];
		unsigned long g = kmm_granule(e->start_pfn);

		for (; g <= kmm_granule(e->start_pfn + e->nr_pages - 1); g++) {
			struct kmm_frame **slot = &r->granule_frames[g - r->first_granule];

			if (*slot)	/* shared with the extent before */
				continue;
			*slot = r->frames + (n << KMM_MAX_ORDER);
			r->granule_pfn[n++] = g << KMM_MAX_ORDER;
		}
	}
	kmm_assert(n == nr);
	return 0;
}

/* === Interface === */

/**
 * kmm_region_init_ops() - Take memory from one provider and describe it.
 * @r: region, zeroed
 * @ops: provider
 * @nr_pages: frames wanted; not zero
 *
 * Context: may sleep. Return: 0; -ENOMEM, -EOPNOTSUPP, -EFBIG, -ENOSPC with the reason in
 * @r->why, and nothing taken.
 */
int kmm_region_init_ops(struct kmm_region *r, const struct kmm_region_ops *ops,
			unsigned long nr_pages)
{
	int err;

	r->ops = ops;
	err = ops->acquire(r, nr_pages);
	if (err)
		r->nr_extents = 0;	/* nothing stays taken, but our list of it */
	else
		err = kmm_region_init_metadata(r);
	if (err)
		kmm_region_fini(r);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_region_init_ops);

/**
 * kmm_region_init() - Take memory from a provider by name.
 * @r: region, zeroed
 * @provider: a name, or "auto": the first that can serve
 * @nr_pages: frames wanted; not zero
 *
 * Context: may sleep. Return: 0; -EINVAL for an unknown name; else the last provider's errno.
 */
int kmm_region_init(struct kmm_region *r, const char *provider, unsigned long nr_pages)
{
	bool any = !strcmp(provider, "auto");
	int i, err = -EINVAL;

	for (i = 0; i < ARRAY_SIZE(kmm_providers); i++) {
		if (!any && strcmp(provider, kmm_providers[i]->name))
			continue;
		r->fallback = any && i;
		err = kmm_region_init_ops(r, kmm_providers[i], nr_pages);
		if (!err || !any)
			return err;
	}
	return err;
}
KMM_EXPORT_INTERNAL(kmm_region_init);

/* A reference that a lockless walk of page tables took for a moment is gone after this. */
#define KMM_PIN_RETRIES		10
#define KMM_PIN_RETRY_MS	20

static unsigned long kmm_extent_count_pinned(const struct kmm_extent *e)
{
	unsigned long i, n = 0;

	for (i = 0; i < e->nr_pages; i++)
		n += page_count(pfn_to_page(e->start_pfn + i)) != 1;
	return n;
}

/* Frames of an extent that somebody outside holds, too, and does not let go. */
static unsigned long kmm_extent_pinned(const struct kmm_extent *e)
{
	unsigned long n = kmm_extent_count_pinned(e);
	int i;

	for (i = 0; n && i < KMM_PIN_RETRIES; i++) {
		msleep(KMM_PIN_RETRY_MS);
		n = kmm_extent_count_pinned(e);
	}
	return n;
}

/**
 * kmm_region_fini() - Give everything back.
 * @r: region; the buddy and the window are gone
 *
 * Context: may sleep. Return: frames that could not be given back because an extent of
 * theirs has frames that are held from outside; they are logged and leaked.
 */
unsigned long kmm_region_fini(struct kmm_region *r)
{
	unsigned long leaked = 0;
	unsigned int i;

	for (i = 0; i < r->nr_extents; i++) {
		struct kmm_extent *e = &r->extents[i];
		unsigned long pinned = kmm_extent_pinned(e);

		if (pinned) {
			pr_err("leaked: %lu frames at pfn %#lx, %lu of them still held by others\n",
			       e->nr_pages, e->start_pfn, pinned);
			leaked += e->nr_pages;
		} else {
			r->ops->release(r, e);
		}
		cond_resched();
	}
	if (r->ops->fini)
		r->ops->fini(r);
	kvfree(r->poison);
	kvfree(r->granule_pfn);
	kvfree(r->granule_frames);
	kfree(r->extents);
	r->poison = NULL;
	r->granule_pfn = NULL;
	r->granule_frames = NULL;
	r->extents = NULL;
	r->frames = NULL;
	r->pageblock_mt = NULL;
	r->nr_extents = 0;
	r->nr_granules = 0;
	r->nr_frames = 0;
	r->nr_index = 0;
	r->early_pfn = 0;
	r->early_end = 0;
	r->early_frames = 0;
	r->early_offset = 0;
	r->early_closed = false;
	r->ext = (struct kmm_page_ext) { };
	r->provider_priv = NULL;
	return leaked;
}
KMM_EXPORT_INTERNAL(kmm_region_fini);

/**
 * kmm_region_init_window() - Reserve kernel addresses.
 * @r: region, its early allocator open
 * @nr_pages: size of the window
 *
 * Context: may sleep. Return: 0; -ENOMEM when the host has no such range (no more pages
 * than the host has memory) and @r->window is NULL.
 */
int kmm_region_init_window(struct kmm_region *r, unsigned long nr_pages)
{
	void *zero = kmm_region_early_alloc(r, PAGE_SIZE, PAGE_SIZE);
	struct page **pages;
	unsigned long i;

	if (!zero)
		return -ENOMEM;
	/* vmap()'s own limit; its argument has 32 bits. */
	if (nr_pages > min_t(unsigned long, totalram_pages(), UINT_MAX))
		return -ENOMEM;
	pages = kmm_should_fail() ? NULL :
		kvmalloc_array(nr_pages, sizeof(*pages), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!pages)
		return -ENOMEM;
	for (i = 0; i < nr_pages; i++)
		pages[i] = virt_to_page(zero);
	r->window_start = kmm_should_fail() ? NULL :
			  vmap(pages, nr_pages, VM_MAP, PAGE_KERNEL_RO);
	kvfree(pages);
	if (!r->window_start)
		return -ENOMEM;
	r->window = r->window_start;
	r->window_pages = nr_pages;
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_region_init_window);

/**
 * kmm_region_take_window() - Addresses before vmap.c has the rest.
 * @r: region, perhaps with a window
 * @nr_pages: how many pages of addresses
 *
 * They go back with the window. Context: init only. Return: the first, read-only on the zero page
 * until their owner puts own entries there; NULL when the window has no more.
 */
void *kmm_region_take_window(struct kmm_region *r, unsigned long nr_pages)
{
	void *p = r->window;

	if (!p || nr_pages >= r->window_pages)
		return NULL;
	r->window += nr_pages * PAGE_SIZE;
	r->window_pages -= nr_pages;
	return p;
}
KMM_EXPORT_INTERNAL(kmm_region_take_window);

/**
 * kmm_region_fini_window() - Give the kernel addresses back.
 * @r: region
 *
 * Context: may sleep.
 */
void kmm_region_fini_window(struct kmm_region *r)
{
	vunmap(r->window_start);
	r->window_start = NULL;
	r->window = NULL;
	r->window_pages = 0;
}
KMM_EXPORT_INTERNAL(kmm_region_fini_window);
