/* SPDX-License-Identifier: GPL-2.0-only */
/* What the two suites on address spaces share: short ways to map, write, read, and to look. */
#ifndef _SPACE_TEST_H
#define _SPACE_TEST_H

#include "kmm_test.h"

#define BASE		0x10000000ULL
#define HUGE_PAGE	(2UL << 20)
#define R		KMM_PROT_READ
#define RW		(KMM_PROT_READ | KMM_PROT_WRITE)
#define RX		(KMM_PROT_READ | KMM_PROT_EXEC)
#define ANON		(KMM_MAP_PRIVATE | KMM_MAP_FIXED)
#define SHARED		(KMM_MAP_SHARED | KMM_MAP_FIXED)
#define GUARD		(KMM_MAP_GUARD | KMM_MAP_FIXED)
#define NONCANONICAL	0x4000000000000000ULL
#define KERNEL_HALF	0xffff888000000000ULL

/* === Helpers === */

/* Bytes of len, all of them c. */
static inline int __attribute__((unused)) fill(int space, uint64_t addr, int c, size_t len)
{
	char buf[4 * PAGE];

	memset(buf, c, len);
	return kmm_space_write(space, addr, buf, len);
}

/* The byte at addr, or a negative errno. */
static inline int __attribute__((unused)) peek(int space, uint64_t addr)
{
	unsigned char c;
	int ret = kmm_space_read(space, addr, &c, 1);

	return ret ? ret : c;
}

static inline int __attribute__((unused))
map_at(int fd, uint64_t addr, uint64_t len, uint32_t prot, uint32_t flags, int obj, uint64_t offset)
{
	uint64_t at = addr;
	int ret = kmm_space_map(fd, &at, len, prot, flags, obj, offset);

	if (!ret && flags & KMM_MAP_FIXED && at != addr)
		return -EDOM;
	return ret;
}

/* A space with len bytes of private memory at BASE. */
static inline int __attribute__((unused)) space_with_memory(int dev, uint64_t len)
{
	int space = kmm_space_create(dev);

	if (space >= 0 && map_at(space, BASE, len, RW, ANON, -1, 0)) {
		close(space);
		return -1;
	}
	return space;
}

/* What an access runs into, without a call of the test failing for it. */
static inline struct kmm_space_access __attribute__((unused))
try_access(int space, uint32_t op, uint64_t addr, uint32_t len, uint32_t flags)
{
	static char buf[KMM_ACCESS_MAX];
	struct kmm_space_access a = {
		.addr = addr, .len = len, .op = op, .flags = flags,
		.buf = op == KMM_ACCESS_FETCH ? 0 : (uintptr_t)buf,
	};
	int ret;

	memset(buf, 'a', sizeof(buf));
	ret = kmm_space_access(space, &a);
	if (ret)
		a.fault_rule = 1000 - ret;	/* shows in the message, equals no rule */
	return a;
}

static inline uint32_t __attribute__((unused)) rule_of(int space, uint32_t op, uint64_t addr)
{
	return try_access(space, op, addr, 1, 0).fault_rule;
}

/* A file of debugfs spaces/; -1 without permission. */
static inline int __attribute__((unused)) open_view(uint64_t id, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/kmm/spaces/%llu/%s",
		 (unsigned long long)id, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Its text, in a static buffer; NULL when it cannot be read. */
static inline const char *__attribute__((unused)) read_view(uint64_t id, const char *name)
{
	static char text[65536];
	int fd = open_view(id, name);
	ssize_t n, at = 0;

	if (fd < 0)
		return NULL;
	while ((n = read(fd, text + at, sizeof(text) - 1 - at)) > 0)
		at += n;
	text[at] = 0;
	close(fd);
	return n < 0 ? NULL : text;
}

#define EXPECT_CLEAN(space) do {						\
	struct kmm_space_info __i;						\
	const char *__t;							\
										\
	EXPECT_EQ(0, kmm_space_info(space, &__i));				\
	EXPECT_EQ(0, __i.audit_bad);						\
	__t = read_view(__i.id, "audit");					\
	if (__t) {								\
		EXPECT_NE(NULL, strstr(__t, "differ:  0\n")) TH_LOG("%s", __t);	\
	}									\
} while (0)

#define READ		KMM_ACCESS_READ
#define WRITE		KMM_ACCESS_WRITE
#define FETCH		KMM_ACCESS_FETCH

#endif /* _SPACE_TEST_H */
