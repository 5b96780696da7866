// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Page poisoning
 *
 * A frame that is freed is filled with PAGE_POISON (0xaa). When it is given out again, the bytes
 * must still be there; what is not was written by somebody who had no right to: through a
 * pointer that outlived its page, or beyond the end of a neighbour. This is the kernel's
 * mm/page_poison.c, and the report is the kernel's to the letter::
 *
 *	pagealloc: memory corruption		(or: pagealloc: single bit error)
 *	<address>: <the bytes from the first to the last that changed>
 *	<stack of who was to get the page>
 *	<dump_page()>: pagealloc: corrupted page details
 *	<page_owner: who had the page last, when that is on>
 *
 * The page is then given out as if nothing had happened. Reports are rate limited, ten in five
 * seconds as in the kernel; the counter (debugfs vmstat, pagealloc_corrupt) is not.
 *
 * On and off at run time. The kernel decides at boot, so all of its free pages are poisoned. Here
 * a frame may be free for a long time before poisoning is switched on; what is in it says
 * nothing. So each frame has a mark, 16 bits in an array of its region: the number of the period
 * (from on to off) in which it was filled, 0 for none. A mark is believed only in its own
 * period; that of an earlier one may have stayed while the frame was used without us.
 *
 * Why the number and not a bit. While poisoning is off the fast paths do not come here, so
 * nobody clears marks. With the order "key on, then a new number; number 0, then key off" no
 * frame can have the mark of this period and contents of a client: whoever takes a frame
 * with such a mark takes it after the key was on, and comes here.
 *
 * Frames are filled whenever the buddy gets them: at mem_init, at a free, when a pinned one comes
 * home. What init_on_alloc and init_on_free ask for is not done meanwhile (debug/hardening.c).
 *
 * Context: any; the frames belong to the caller. Locks: none; the mark belongs to whoever has
 * the frame. It deliberately does not: look at frames that lie free, fill what a per-CPU cache
 * of the slab allocator has (SLAB_POISON does that), or fill a frame that somebody outside holds.
 */

#define pr_fmt(fmt) fmt

#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/poison.h>
#include <linux/printk.h>
#include <linux/string.h>

#include <compat/compat.h>
#include <kmm/hardening.h>
#include <kmm/hooks.h>
#include <kmm/region.h>
#include <kmm/report.h>

DEFINE_STATIC_KEY_FALSE(kmm_page_poison_key);

/* Number of this period; 0: off. Changed under kernel_param_lock(). */
static u16 poison_period;
/* Number of the last one. */
static u16 poison_last;
/* Frames found with other bytes than the pattern. */
static atomic_long_t poison_corrupt;

/**
 * kmm_page_poison_start() - The key is on: marks count from now on.
 *
 * Context: kernel_param_lock(). Return: false: it was switched on too often since load.
 */
bool kmm_page_poison_start(void)
{
	if (poison_last == U16_MAX)
		return false;
	WRITE_ONCE(poison_period, ++poison_last);
	return true;
}

/**
 * kmm_page_poison_stop() - Before the key goes off.
 *
 * Context: kernel_param_lock().
 */
void kmm_page_poison_stop(void)
{
	WRITE_ONCE(poison_period, 0);
}

/* The marks of a block. */
static u16 *poison_mark(struct kmm_region *r, struct page *page)
{
	return &r->poison[kmm_region_index(r, kmm_region_frame(r, page_to_pfn(page)))];
}

/**
 * kmm_page_poison() - Fill frames that are free from now on.
 * @r: their region
 * @page: first frame
 * @order: log2 of frames
 *
 * Context: any; the frames are still the caller's.
 */
void kmm_page_poison(struct kmm_region *r, struct page *page, unsigned int order)
{
	u16 period = READ_ONCE(poison_period), *mark = poison_mark(r, page);
	unsigned int i;

	if (!period)
		return;
	memset(page_address(page), PAGE_POISON, PAGE_SIZE << order);
	for (i = 0; i < 1U << order; i++)
		mark[i] = period;
}

static bool single_bit_flip(u8 a, u8 b)
{
	u8 error = a ^ b;

	return error && !(error & (error - 1));
}

static void report_corruption(struct kmm_region *r, struct page *page, const u8 *start,
			      const u8 *end)
{
	if (!kmm_report_allowed(KMM_REPORT_POISON))
		return;
	if (start == end && single_bit_flip(*start, PAGE_POISON))
		pr_err("pagealloc: single bit error\n");
	else
		pr_err("pagealloc: memory corruption\n");
	print_hex_dump(KERN_ERR, "", DUMP_PREFIX_ADDRESS, 16, 1, start, end - start + 1, 1);
	dump_stack();
	dump_page(page, "pagealloc: corrupted page details");
	kmm_hook_page_describe(r, page);
}

/* Return: true when somebody wrote to the frame; then it was reported. */
static bool check_frame(struct kmm_region *r, struct page *page)
{
	const u8 *mem = page_address(page), *start, *end;

	start = memchr_inv(mem, PAGE_POISON, PAGE_SIZE);
	if (!start)
		return false;
	for (end = mem + PAGE_SIZE - 1; end > start; end--)
		if (*end != PAGE_POISON)
			break;
	atomic_long_inc(&poison_corrupt);
	report_corruption(r, page, start, end);
	return true;
}

/**
 * kmm_page_unpoison() - Frames go out: is the pattern still there?
 * @r: their region
 * @page: first frame
 * @order: log2 of frames
 *
 * Frames that somebody wrote to while they were free are reported and counted.
 *
 * Context: any; the frames are already the caller's.
 */
void kmm_page_unpoison(struct kmm_region *r, struct page *page, unsigned int order)
{
	u16 period = READ_ONCE(poison_period), *mark = poison_mark(r, page);
	unsigned int i;

	for (i = 0; i < 1U << order; i++) {
		if (period && mark[i] == period)
			check_frame(r, page + i);
		mark[i] = 0;
	}
}

/**
 * kmm_page_poison_check() - Frames stay nobody's: is the pattern still there?
 * @r: their region
 * @page: first frame
 * @order: log2 of frames
 *
 * What is reported is filled again, so that it is reported once.
 *
 * Context: any; nobody can take the frames meanwhile.
 */
void kmm_page_poison_check(struct kmm_region *r, struct page *page, unsigned int order)
{
	u16 period = READ_ONCE(poison_period), *mark = poison_mark(r, page);
	unsigned int i;

	for (i = 0; period && i < 1U << order; i++)
		if (mark[i] == period && check_frame(r, page + i))
			memset(page_address(page + i), PAGE_POISON, PAGE_SIZE);
}

/**
 * kmm_page_poison_corrupt() - Frames found with other bytes than the pattern.
 *
 * Context: any. Return: their number since load, in all regions.
 */
unsigned long kmm_page_poison_corrupt(void)
{
	return atomic_long_read(&poison_corrupt);
}
KMM_EXPORT_INTERNAL(kmm_page_poison_corrupt);
