/* SPDX-License-Identifier: GPL-2.0-only */
/* Copies of few bytes from and to user space, word by word and inline. */
#ifndef _KMM_USERCOPY_H
#define _KMM_USERCOPY_H

#include <linux/fault-inject-usercopy.h>
#include <linux/types.h>
#include <linux/uaccess.h>

/* Above it the host's copy is as fast: it costs some 30 instructions before the first byte. */
#define KMM_USERCOPY_FEW	128

#define KMM_GET_WORD(to, from, i, fault) \
	unsafe_get_user(*(u64 *)((to) + (i)), (const u64 __user *)((from) + (i)), fault)
#define KMM_PUT_WORD(to, from, i, fault) \
	unsafe_put_user(*(const u64 *)((from) + (i)), (u64 __user *)((to) + (i)), fault)

/**
 * kmm_copy_few_from_user() - Copy a few bytes from user space.
 * @to: where to
 * @from: where from
 * @n: bytes, best at most KMM_USERCOPY_FEW
 *
 * Context: task; sleeps unless page faults are off. Return: false if not all could be read.
 */
static __always_inline bool kmm_copy_few_from_user(void *to, const void __user *from, size_t n)
{
	size_t i = 0;

	if (unlikely(should_fail_usercopy() || !user_read_access_begin(from, n)))
		return false;
	for (; n - i >= 32; i += 32) {
		KMM_GET_WORD(to, from, i, fault);
		KMM_GET_WORD(to, from, i + 8, fault);
		KMM_GET_WORD(to, from, i + 16, fault);
		KMM_GET_WORD(to, from, i + 24, fault);
	}
	for (; n - i >= 8; i += 8)
		KMM_GET_WORD(to, from, i, fault);
	for (; i < n; i++)
		unsafe_get_user(*(u8 *)(to + i), (const u8 __user *)(from + i), fault);
	user_read_access_end();
	return true;
fault:
	user_read_access_end();
	return false;
}

/**
 * kmm_copy_few_to_user() - Copy a few bytes to user space.
 * @to: where to
 * @from: where from
 * @n: bytes, best at most KMM_USERCOPY_FEW
 *
 * Context: task; sleeps unless page faults are off. Return: false if not all could be written.
 */
static __always_inline bool kmm_copy_few_to_user(void __user *to, const void *from, size_t n)
{
	size_t i = 0;

	if (unlikely(should_fail_usercopy() || !user_write_access_begin(to, n)))
		return false;
	for (; n - i >= 32; i += 32) {
		KMM_PUT_WORD(to, from, i, fault);
		KMM_PUT_WORD(to, from, i + 8, fault);
		KMM_PUT_WORD(to, from, i + 16, fault);
		KMM_PUT_WORD(to, from, i + 24, fault);
	}
	for (; n - i >= 8; i += 8)
		KMM_PUT_WORD(to, from, i, fault);
	for (; i < n; i++)
		unsafe_put_user(*(const u8 *)(from + i), (u8 __user *)(to + i), fault);
	user_write_access_end();
	return true;
fault:
	user_write_access_end();
	return false;
}

#endif /* _KMM_USERCOPY_H */
