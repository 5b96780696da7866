// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: How many reports there may be
 *
 * A mistake that kmm finds (a free of what is not allocated, a write after free, a frame mapped
 * in two ways) is refused or undone, counted, and told in the kernel log with a stack. The count
 * is always exact; the log is not: what a program of some user can do once it can do a million
 * times, and a log that scrolls away helps nobody, least of all on a serial console, where each
 * report takes milliseconds with interrupts off.
 *
 * So each of those who report (enum kmm_report) asks kmm_report_allowed() first, and may speak
 * ten times in five seconds. The limits are apart from each other: a flood of bad frees of pages
 * does not hide the one report of page poisoning that explains it. The host says how many were
 * left out ("callbacks suppressed").
 *
 * Tests that plant ten mistakes want to see ten reports, and not to wait five seconds for the
 * next ten: kmm_report_forget() begins anew.
 *
 * Detectors that ask for their own limits keep those: debug objects (thirty, as many cases report
 * in a row), KFENCE and kmemleak (which cannot flood: one report for an object).
 */
#include <linux/ratelimit.h>

#include <compat/compat.h>
#include <kmm/report.h>

#define LIMIT(name) RATELIMIT_STATE_INIT(name, 5 * HZ, 10)

static struct ratelimit_state report_limits[KMM_NR_REPORTS] = {
	[KMM_REPORT_PAGE] = LIMIT(page),
	[KMM_REPORT_SLAB] = LIMIT(slab),
	[KMM_REPORT_VMAP] = LIMIT(vmap),
	[KMM_REPORT_POISON] = LIMIT(poison),
	[KMM_REPORT_TABLE] = LIMIT(table),
};

/* for the host's line about those left out */
static const char * const report_names[KMM_NR_REPORTS] = {
	[KMM_REPORT_PAGE] = "kmm: bad frees of pages",
	[KMM_REPORT_SLAB] = "kmm: bad frees of objects",
	[KMM_REPORT_VMAP] = "kmm: bad frees of areas",
	[KMM_REPORT_POISON] = "kmm: page poison",
	[KMM_REPORT_TABLE] = "kmm: page table check",
};

/**
 * kmm_report_allowed() - May this mistake be told in the log?
 * @who: who asks, to tell it at once if so
 *
 * Context: any. Return: false when there were too many in a short time.
 */
bool kmm_report_allowed(enum kmm_report who)
{
	return ___ratelimit(&report_limits[who], report_names[who]);
}

/**
 * kmm_report_forget() - All limits begin anew. For tests.
 *
 * Context: any.
 */
void kmm_report_forget(void)
{
	unsigned int i;

	for (i = 0; i < KMM_NR_REPORTS; i++) {
		struct ratelimit_state *rs = &report_limits[i];
		unsigned long flags;

		raw_spin_lock_irqsave(&rs->lock, flags);
		rs->begin = 0;
		rs->printed = 0;
		rs->missed = 0;
		raw_spin_unlock_irqrestore(&rs->lock, flags);
	}
}
KMM_EXPORT_INTERNAL(kmm_report_forget);
