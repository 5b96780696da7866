// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Provider chunks
 *
 * The last resort: blocks of 4 MiB from the host's page allocator, wherever they are. It
 * works on every kernel whose memory is not yet fragmented, but the region is not
 * contiguous: blocks above 4 MiB do not exist for kmm anyway, and ranges for
 * kmm_alloc_contig_range() end at the end of an extent.
 *
 * Each block is split into single pages, so that every one has its reference. Neighbouring
 * blocks become one extent. Contents are undefined.
 */

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include <kmm/inject.h>
#include <kmm/region.h>

static int kmm_chunk_cmp(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;

	return x < y ? -1 : x > y;
}

static void kmm_chunks_free(unsigned long pfn, unsigned long nr_pages)
{
	unsigned long i;

	for (i = 0; i < nr_pages; i++)
		__free_page(pfn_to_page(pfn + i));
}

static void kmm_chunks_release(struct kmm_region *r, struct kmm_extent *e)
{
	kmm_chunks_free(e->start_pfn, e->nr_pages);
}

static int kmm_chunks_acquire(struct kmm_region *r, unsigned long nr_pages)
{
	unsigned long nr = DIV_ROUND_UP(nr_pages, KMM_GRANULE_FRAMES);
	unsigned long got, i, run;
	unsigned long *chunk;
	int err = -ENOMEM;

	chunk = kmm_should_fail() ? NULL : kvcalloc(nr, sizeof(*chunk), GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return -ENOMEM;
	for (got = 0; got < nr; got++) {
		struct page *page = NULL;

		if (!kmm_should_fail())
			page = alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY,
					   KMM_MAX_ORDER);
		if (!page) {
			kmm_region_explain(r, "chunks: got %lu of %lu blocks of 4 MiB", got, nr);
			goto undo;
		}
		split_page(page, KMM_MAX_ORDER);
		chunk[got] = page_to_pfn(page);
	}
	sort(chunk, nr, sizeof(*chunk), kmm_chunk_cmp, NULL);
	for (i = 0; i < nr; i += run) {
		for (run = 1; i + run < nr; run++)
			if (chunk[i + run] != chunk[i] + run * KMM_GRANULE_FRAMES)
				break;
		err = kmm_region_add_extent(r, chunk[i], run * KMM_GRANULE_FRAMES, 0);
		if (err)
			goto undo;
	}
	kvfree(chunk);
	return 0;
undo:
	for (i = 0; i < got; i++)
		kmm_chunks_free(chunk[i], KMM_GRANULE_FRAMES);
	r->nr_extents = 0;
	kvfree(chunk);
	return err;
}

const struct kmm_region_ops kmm_region_chunks = {
	.name = "chunks",
	.acquire = kmm_chunks_acquire,
	.release = kmm_chunks_release,
};
