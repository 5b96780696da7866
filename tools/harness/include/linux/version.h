/* SPDX-License-Identifier: GPL-2.0-only */
/* compat/compat.h takes its newest branch, which needs the least of a kernel. */
#include <harness/kernel.h>
#define KERNEL_VERSION(a, b, c)	((a) << 16 | (b) << 8 | (c))
#define LINUX_VERSION_CODE	KERNEL_VERSION(99, 0, 0)
