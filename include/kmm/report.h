/* SPDX-License-Identifier: GPL-2.0-only */
/* Reports of mistakes in the log: how many there may be. See the essay in debug/report.c. */
#ifndef KMM_REPORT_H
#define KMM_REPORT_H

#include <linux/types.h>

/**
 * enum kmm_report - who reports; each has a limit of its own
 * @KMM_REPORT_PAGE: buddy.c
 * @KMM_REPORT_SLAB: slab.c
 * @KMM_REPORT_VMAP: vmap.c
 * @KMM_REPORT_POISON: debug/page_poison.c
 * @KMM_REPORT_TABLE: debug/page_table_check.c
 * @KMM_NR_REPORTS: how many there are
 */
enum kmm_report {
	KMM_REPORT_PAGE,
	KMM_REPORT_SLAB,
	KMM_REPORT_VMAP,
	KMM_REPORT_POISON,
	KMM_REPORT_TABLE,
	KMM_NR_REPORTS,
};

bool kmm_report_allowed(enum kmm_report who);
void kmm_report_forget(void);

#endif
