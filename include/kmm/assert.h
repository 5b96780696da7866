/* SPDX-License-Identifier: GPL-2.0-only */
/* kmm_assert(): what must hold. Warns, and fails the KUnit case that runs; never BUG. */
#ifndef _KMM_ASSERT_H
#define _KMM_ASSERT_H

#include <linux/bug.h>
#if IS_BUILTIN(CONFIG_KUNIT)
#include <kunit/test-bug.h>
#else
#define kunit_fail_current_test(fmt, ...) do { } while (0)
#endif

#define kmm_assert(cond) ({						\
	bool __ok = !!(cond);						\
									\
	if (WARN_ONCE(!__ok, "kmm: assertion failed: %s\n", #cond))	\
		kunit_fail_current_test("kmm_assert(%s)", #cond);	\
	__ok;								\
})

#endif /* _KMM_ASSERT_H */
