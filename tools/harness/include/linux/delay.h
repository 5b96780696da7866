/* SPDX-License-Identifier: GPL-2.0-only */
#include <harness/kernel.h>

static inline void msleep(unsigned int ms)
{
	(void)ms;
}
