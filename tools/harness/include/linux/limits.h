/* SPDX-License-Identifier: GPL-2.0-only */
/* libc includes the real one by this name too. */
#include_next <linux/limits.h>
#include <harness/kernel.h>
