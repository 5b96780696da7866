// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_swapin
 *
 * Pages of objects come back: vm/swapin.c, and what vm/object.c does with pages that are in swap.
 * The store holds a read while the test does something to its page.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include <kmm/gift.h>
#include <kmm/inject.h>

#include "paging.h"

static struct kunit_case swapin_cases[] = {
	{}
};

struct kunit_suite kmm_swapin_suite = {
	.name = "kmm_swapin",
	.exit = kmm_test_exit,
	.test_cases = swapin_cases,
};
