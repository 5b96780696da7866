/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _HARNESS_PGTABLE_H
#define _HARNESS_PGTABLE_H

#include <harness/kernel.h>

#endif
