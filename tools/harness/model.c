// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: the naive reference
 *
 * It knows nothing of how buddy.c works. It has one byte per frame (who has it), the list
 * of blocks that it holds, and the references that it took on top. From these follows
 * everything that can be asked of the allocator:
 *
 * - a block that is given out is aligned, lies in the region, and none of its frames was
 *   held by anybody: not used, not metadata, not pinned; each has one reference
 * - with __GFP_ZERO every byte is zero. Blocks are written all over now and then, so that
 *   frames that come back are dirty
 * - a block that is held keeps its contents: a stamp at both ends of each frame
 * - used, metadata, total and the event counters are the reference's own sums; free +
 *   cached + quarantined is the rest
 * - with the caches drained, the free blocks are exactly the maximal aligned runs of the
 *   bitmap: so every possible merge was made, and none too many
 *
 * A check that fails ends the run, unless a self-test expects it (model_expect).
 */

#include <stdlib.h>

#include "model.h"

#include <kmm/inject.h>

jmp_buf *model_expect;
char model_message[512];

void model_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(model_message, sizeof(model_message), fmt, ap);
	va_end(ap);
	if (model_expect)
		longjmp(*model_expect, 1);
	harness_die("model: %s", model_message);
}

/* === Random numbers: splitmix64 === */

static u64 random_state;

void model_seed(u64 seed)
{
	random_state = seed;
}

u64 model_random(void)
{
	u64 z = (random_state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* === Switches, in place of debug/hooks.c and hardening.c: off === */

struct static_key_false kmm_page_key;
struct static_key_false kmm_init_on_alloc_key;
struct static_key_false kmm_init_on_free_key;

/* === Failure injection, in place of debug/inject.c === */

struct static_key_false kmm_inject_key = { 1 };
unsigned long model_inject;

bool kmm_inject_hit(void)
{
	return model_inject && --model_inject == 0;
}

/* === The fake provider === */

/* HARNESS_PFN is 512 frames before a granule. Frames 0..511 and the last 64 are the host's. */
const struct model_layout model_layouts[] = {
	{ "aligned, 16 MiB", 1, { { 512, 4096 } } },
	{ "1 MiB aligned head, odd tail", 1, { { 768, 3333 } } },
	{ "one granule and a bit", 1, { { 1535, 1026 } } },
	{ "three pieces in one granule", 4,
	  { { 513, 100 }, { 700, 7 }, { 710, 821 }, { 1536, 1024 } } },
	{ "pieces far apart, reported backwards", 3,
	  { { 20000, 1500 }, { 9000, 2100 }, { 512, 1024 } } },
	{ "neighbours that touch", 2, { { 2560, 1024 }, { 3584, 2048 } } },
	{ "8 MiB", 1, { { 1536, 2048 } } },
	{ "64 MiB", 1, { { 1024, 16384 } } },
};

const unsigned int model_nr_layouts = ARRAY_SIZE(model_layouts);

const struct model_layout *model_layout = &model_layouts[0];
unsigned long model_released;

static int model_acquire(struct kmm_region *r, unsigned long nr_pages)
{
	unsigned int i;
	unsigned long j;

	(void)nr_pages;
	for (i = 0; i < model_layout->nr; i++) {
		unsigned long first = model_layout->extent[i].first;
		int err;

		for (j = 0; j < model_layout->extent[i].nr_pages; j++) {
			set_page_count(&harness_mem_map[first + j], 1);
			/* contents are undefined: not zero */
			memset(harness_memory + ((first + j) << PAGE_SHIFT), 0xdb, 64);
		}
		err = kmm_region_add_extent(r, HARNESS_PFN + first,
					    model_layout->extent[i].nr_pages, i);
		if (err) {
			r->nr_extents = 0;
			memset(harness_mem_map, 0, sizeof(harness_mem_map));
			return err;
		}
	}
	return 0;
}

static void model_release(struct kmm_region *r, struct kmm_extent *e)
{
	unsigned long i, first = e->start_pfn - HARNESS_PFN;

	(void)r;
	if (first != model_layout->extent[e->priv].first ||
	    e->nr_pages != model_layout->extent[e->priv].nr_pages)
		model_fail("extent %lu is released as pfn %#lx, %lu frames", e->priv,
			   e->start_pfn, e->nr_pages);
	for (i = 0; i < e->nr_pages; i++) {
		struct page *page = &harness_mem_map[first + i];

		if (page_count(page) != 1)
			model_fail("frame %#lx is released with %d references",
				   e->start_pfn + i, page_count(page));
		if (page->mapping || page->index || page->private || page->lru.next ||
		    page->flags)
			model_fail("struct page of frame %#lx was written to", e->start_pfn + i);
		set_page_count(page, 0);
	}
	model_released += e->nr_pages;
}

const struct kmm_region_ops model_ops = {
	.name = "model",
	.acquire = model_acquire,
	.release = model_release,
};

/* region.c's table names these; here each is refused, but for the last. */
static int model_no_acquire(struct kmm_region *r, unsigned long nr_pages)
{
	(void)nr_pages;
	kmm_region_explain(r, "not in the harness");
	return -EOPNOTSUPP;
}

const struct kmm_region_ops kmm_region_cma = { .name = "cma", .acquire = model_no_acquire };
const struct kmm_region_ops kmm_region_contig = { .name = "contig", .acquire = model_no_acquire };
const struct kmm_region_ops kmm_region_chunks = {
	.name = "chunks",
	.acquire = model_acquire,
	.release = model_release,
};

/* === The model === */

static unsigned long slot(unsigned long pfn)
{
	return pfn - HARNESS_PFN;
}

/* After kmm_buddy_init(): the early allocator has ended. */
void model_init(struct model *m, struct kmm_region *r, struct kmm_buddy *b)
{
	unsigned long i, j, metadata = 0;

	memset(m, 0, sizeof(*m));
	m->region = r;
	m->buddy = b;
	m->next_stamp = model_random() | 1;
	m->blocks = calloc(HARNESS_NR_PAGES, sizeof(*m->blocks));
	for (i = 0; i < model_layout->nr; i++)
		for (j = 0; j < model_layout->extent[i].nr_pages; j++)
			m->state[model_layout->extent[i].first + j] = MODEL_HOME;
	for (i = r->early_pfn - r->early_frames; i < r->early_pfn; i++) {
		if (m->state[slot(i)] != MODEL_HOME)
			model_fail("metadata at pfn %#lx, outside the region", i);
		m->state[slot(i)] = MODEL_METADATA;
		metadata++;
	}
	if (metadata * PAGE_SIZE < r->nr_index * sizeof(struct kmm_frame))
		model_fail("%lu metadata frames are too few", metadata);
}

void model_fini(struct model *m)
{
	free(m->blocks);
	m->blocks = NULL;
}

unsigned long model_count(struct model *m, enum model_state s)
{
	unsigned long i, n = 0;

	for (i = 0; i < HARNESS_NR_PAGES; i++)
		n += m->state[i] == s;
	return n;
}

static u64 *frame_words(unsigned long pfn)
{
	return page_address(pfn_to_page(pfn));
}

static void stamp(const struct model_block *blk)
{
	unsigned long i;

	/* all of a small block now and then, so that zeroing has something to do */
	if (blk->order <= 3 && blk->stamp % 4 == 0)
		memset(frame_words(blk->pfn), (int)(blk->stamp >> 8 & 0xff) | 1,
		       PAGE_SIZE << blk->order);
	for (i = 0; i < 1UL << blk->order; i++) {
		frame_words(blk->pfn + i)[0] = blk->stamp + i;
		frame_words(blk->pfn + i)[511] = ~(blk->stamp + i);
	}
}

void model_check_contents(const struct model_block *blk)
{
	unsigned long i;

	for (i = 0; i < 1UL << blk->order; i++)
		if (frame_words(blk->pfn + i)[0] != blk->stamp + i ||
		    frame_words(blk->pfn + i)[511] != ~(blk->stamp + i))
			model_fail("frame %#lx of block %#lx order %u was written to",
				   blk->pfn + i, blk->pfn, blk->order);
}

static bool all_zero(const void *p, size_t size)
{
	const u64 *w = p;

	return !w[0] && !memcmp(w, w + 1, size - sizeof(*w));
}

struct model_block *model_allocated(struct model *m, struct page *page, unsigned int order,
				    gfp_t gfp)
{
	unsigned long pfn = page_to_pfn(page), i;
	struct model_block *blk;

	if (!pfn_valid(pfn) || (const char *)page != (char *)&harness_mem_map[slot(pfn)])
		model_fail("alloc gave a page that does not exist");
	if (pfn & ((1UL << order) - 1))
		model_fail("block %#lx order %u is not aligned", pfn, order);
	for (i = 0; i < 1UL << order; i++) {
		if (!pfn_valid(pfn + i) || m->state[slot(pfn + i)] != MODEL_HOME)
			model_fail("frame %#lx of block %#lx order %u is in state %d", pfn + i, pfn,
				   order, pfn_valid(pfn + i) ? m->state[slot(pfn + i)] : -1);
		if (page_count(page + i) != 1)
			model_fail("frame %#lx is given out with %d references", pfn + i,
				   page_count(page + i));
		m->state[slot(pfn + i)] = MODEL_USED;
	}
	if ((gfp & __GFP_ZERO) && !all_zero(frame_words(pfn), PAGE_SIZE << order))
		model_fail("block %#lx order %u is not zero", pfn, order);
	if (m->nr_blocks == HARNESS_NR_PAGES)
		model_fail("more blocks than frames");
	blk = &m->blocks[m->nr_blocks++];
	m->next_stamp += 0x9e3779b97f4a7c15ULL;
	*blk = (struct model_block) { .pfn = pfn, .order = order, .stamp = m->next_stamp };
	stamp(blk);
	m->nr_used += 1UL << order;
	m->nr_alloc[order]++;
	return blk;
}

/* Its owner is to be told, now or when the allocator finds out. */
static void frame_home(struct model *m, unsigned long s)
{
	if (m->frame_owner[s])
		m->charged[m->frame_owner[s]]++;
	m->frame_owner[s] = 0;
}

/* The block with number @i is about to be freed: it may be given out again from now on. */
struct model_block model_take(struct model *m, unsigned long i)
{
	struct model_block blk = m->blocks[i];
	unsigned long j;

	model_check_contents(&blk);
	m->blocks[i] = m->blocks[--m->nr_blocks];
	for (j = 0; j < 1UL << blk.order; j++) {
		unsigned long s = slot(blk.pfn + j);

		if (m->state[s] != MODEL_USED)
			model_fail("the model's own: frame %#lx", blk.pfn + j);
		m->state[s] = m->pins[s] ? MODEL_QUARANTINED : MODEL_HOME;
		if (m->state[s] == MODEL_HOME)
			frame_home(m, s);
	}
	m->nr_used -= 1UL << blk.order;
	m->nr_freed[blk.order]++;
	return blk;
}

void model_pin(struct model *m, unsigned long pfn)
{
	if (!m->pins[slot(pfn)]++)
		m->nr_pinned++;
	get_page(pfn_to_page(pfn));
}

void model_unpin(struct model *m, unsigned long pfn)
{
	put_page(pfn_to_page(pfn));
	if (--m->pins[slot(pfn)])
		return;
	m->nr_pinned--;
	/* from now on the allocator may find out at any time */
	if (m->state[slot(pfn)] == MODEL_QUARANTINED) {
		m->state[slot(pfn)] = MODEL_HOME;
		frame_home(m, slot(pfn));
	}
}

void model_set_owner(struct model *m, struct model_block *blk, u32 owner)
{
	unsigned long i;

	kmm_buddy_set_owner(m->buddy, pfn_to_page(blk->pfn), owner);
	if (kmm_buddy_owner(m->buddy, pfn_to_page(blk->pfn)) != owner)
		model_fail("owner of %#lx is not %u", blk->pfn, owner);
	for (i = 0; i < 1UL << blk->order; i++)
		m->frame_owner[slot(blk->pfn + i)] = owner;
}

/* The allocator's callback. It comes for frames that went home, never for others. */
void model_uncharge(void *ctx, u32 owner, unsigned long nr_pages)
{
	struct model *m = ctx;

	if (!owner || owner >= MODEL_OWNERS)
		model_fail("owner %u is uncharged", owner);
	m->uncharged[owner] += nr_pages;
	if (m->uncharged[owner] > m->charged[owner])
		model_fail("owner %u: %ld frames uncharged, %ld went home", owner,
			   m->uncharged[owner], m->charged[owner]);
}

void model_check_stat(struct model *m)
{
	unsigned long home = model_count(m, MODEL_HOME);
	unsigned long quarantined = model_count(m, MODEL_QUARANTINED);
	unsigned long metadata = model_count(m, MODEL_METADATA);
	struct kmm_buddy_stat st;
	unsigned long blocks = 0;
	int o, t;

	kmm_buddy_stat(m->buddy, &st, true);
	if (!st.exact)
		model_fail("exact statistics were asked for");
	if (st.used != m->nr_used)
		model_fail("used: %lu, the model has %lu", st.used, m->nr_used);
	if (st.metadata != metadata)
		model_fail("metadata: %lu, the model has %lu", st.metadata, metadata);
	if (st.total != home + quarantined + metadata + m->nr_used)
		model_fail("total: %lu", st.total);
	if (st.free + st.cached + st.quarantined != home + quarantined)
		model_fail("free %lu + cached %lu + quarantined %lu, the model has %lu + %lu",
			   st.free, st.cached, st.quarantined, home, quarantined);
	if (st.quarantined < quarantined)
		model_fail("quarantined: %lu, the model has %lu", st.quarantined, quarantined);
	for (o = 0; o < KMM_NR_ORDERS; o++)
		for (t = 0; t < KMM_NR_MIGRATETYPES; t++)
			blocks += (unsigned long)st.nr_free_blocks[o][t] << o;
	if (blocks != st.free)
		model_fail("free blocks sum to %lu of %lu", blocks, st.free);
	for (o = 0; o < KMM_NR_ORDERS; o++)
		if (st.nr_alloc[o] != m->nr_alloc[o] || st.nr_freed[o] != m->nr_freed[o])
			model_fail("order %d: allocated %llu freed %llu, the model: %llu, %llu", o,
				   st.nr_alloc[o], st.nr_freed[o], m->nr_alloc[o],
				   m->nr_freed[o]);
}

/* Maximal aligned runs of HOME frames in [pfn, pfn + 2^order), counted by order. */
static void count_maximal(struct model *m, unsigned long pfn, unsigned int order,
			  unsigned long *nr)
{
	unsigned long i;

	for (i = 0; i < 1UL << order; i++)
		if (!pfn_valid(pfn + i) || m->state[slot(pfn + i)] != MODEL_HOME)
			break;
	if (i == 1UL << order) {
		nr[order]++;
	} else if (order) {
		count_maximal(m, pfn, order - 1, nr);
		count_maximal(m, pfn + (1UL << (order - 1)), order - 1, nr);
	}
}

/* Drains, and compares every free block with the bitmap. */
void model_check_merged(struct model *m)
{
	unsigned long nr[KMM_NR_ORDERS] = { 0 }, pfn;
	struct kmm_buddy_stat st;
	int o, t;

	kmm_buddy_drain_all(m->buddy);
	kmm_buddy_recheck_quarantine(m->buddy);
	kmm_buddy_stat(m->buddy, &st, true);
	if (st.cached)
		model_fail("%lu frames are cached after drain_all", st.cached);
	if (st.quarantined != model_count(m, MODEL_QUARANTINED))
		model_fail("quarantined: %lu, the model has %lu", st.quarantined,
			   model_count(m, MODEL_QUARANTINED));
	for (o = 1; o < MODEL_OWNERS; o++)
		if (m->uncharged[o] != m->charged[o])
			model_fail("owner %d: %ld of %ld frames uncharged", o, m->uncharged[o],
				   m->charged[o]);
	for (pfn = ALIGN_DOWN(HARNESS_PFN, KMM_GRANULE_FRAMES);
	     pfn < HARNESS_PFN + HARNESS_NR_PAGES; pfn += KMM_GRANULE_FRAMES)
		count_maximal(m, pfn, KMM_MAX_ORDER, nr);
	for (o = 0; o < KMM_NR_ORDERS; o++) {
		unsigned long n = 0;

		for (t = 0; t < KMM_NR_MIGRATETYPES; t++)
			n += st.nr_free_blocks[o][t];
		if (n != nr[o])
			model_fail("order %d: %lu free blocks, the bitmap has %lu", o, n, nr[o]);
	}
}
