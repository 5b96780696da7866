// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces as a user sees them: areas, contents, copies, isolation, faults as data, pread and
 * pwrite, walks, debugfs. What is refused, floods, races and kills: space_hostile.c.
 */
#include <sys/uio.h>

#include "space_test.h"

/* Bits of an entry. */
#define ENTRY_P		0x1ULL
#define ENTRY_RW	0x2ULL
#define ENTRY_A		0x20ULL
#define ENTRY_D		0x40ULL
#define ENTRY_NX	(1ULL << 63)
#define ENTRY_PHYS	0x000ffffffffff000ULL

/* === Helpers === */

static bool can_use_hardware(int space)
{
	struct kmm_space_access a = { .addr = BASE, .len = 1, .op = KMM_ACCESS_FETCH,
				      .flags = KMM_ACCESS_HARDWARE };

	return kmm_space_access(space, &a) == 0;
}

static uint64_t leaf_entry(int space, uint64_t addr)
{
	struct kmm_space_walk w;

	if (kmm_space_walk(space, addr, 0, &w) || !w.leaf_shift)
		return 0;
	return w.entry[w.depth - 1];
}

/*
 * Pages in the tables of a space, without those that kmm itself has in each one at its top; found
 * in an empty space.
 */
static int64_t resident(int dev, int space)
{
	struct kmm_space_info i, empty;
	int fresh = kmm_space_create(dev);

	if (fresh < 0 || kmm_space_info(fresh, &empty) || kmm_space_info(space, &i))
		return -1;
	close(fresh);
	return (int64_t)i.resident - (int64_t)empty.resident;
}

static int punch(int obj, off_t off, off_t len)
{
	return ERR(fallocate(obj, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len));
}

/* === Areas === */

TEST_F(kmm, an_empty_space)
{
	struct kmm_space_info i, k;
	int space = kmm_space_create(self->dev), other;

	ASSERT_LE(0, space);
	EXPECT_EQ(FD_CLOEXEC, fcntl(space, F_GETFD));
	ASSERT_EQ(0, kmm_space_info(space, &i));
	EXPECT_EQ(0, i.areas);
	EXPECT_EQ(0, i.mapped_bytes);
	EXPECT_EQ(0, i.private_frames);
	EXPECT_EQ(0, i.faults);
	EXPECT_EQ(0, i.audit_bad);
	/* What kmm has in every space, as the audit sees it. */
	EXPECT_EQ(i.resident, i.audit_leaves);
	EXPECT_EQ(1, i.tables[4]);
	EXPECT_EQ(KMM_RULE_NO_AREA, rule_of(space, KMM_ACCESS_READ, BASE));
	EXPECT_EQ(KMM_RULE_NO_AREA, rule_of(space, KMM_ACCESS_READ, 0));
	other = kmm_space_create(self->dev);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, kmm_space_info(other, &k));
	EXPECT_LT(i.id, k.id);
	close(other);
	close(space);
}

TEST_F(kmm, memory_is_zero_and_keeps_what_is_written)
{
	int space = kmm_space_create(self->dev);
	struct kmm_space_info empty, i;
	char buf[3 * PAGE];

	ASSERT_LE(0, space);
	ASSERT_EQ(0, kmm_space_info(space, &empty));
	ASSERT_EQ(0, map_at(space, BASE, 16 * PAGE, RW, ANON, -1, 0));
	ASSERT_EQ(0, kmm_space_read(space, BASE + 100, buf, sizeof(buf)));
	EXPECT_TRUE(all_bytes(buf, 0, sizeof(buf)));
	ASSERT_EQ(0, kmm_space_write(space, BASE + PAGE - 3, "hello", 5));
	ASSERT_EQ(0, kmm_space_read(space, BASE + PAGE - 4, buf, 7));
	EXPECT_EQ(0, memcmp(buf, "\0hello\0", 7));
	ASSERT_EQ(0, kmm_space_info(space, &i));
	EXPECT_EQ(1, i.areas);
	EXPECT_EQ(16 * PAGE, i.mapped_bytes);
	EXPECT_EQ(4, i.resident - empty.resident);
	EXPECT_EQ(4, i.private_frames);
	EXPECT_LT(0, i.faults);
	/* A length is rounded up to pages. */
	EXPECT_EQ(0, kmm_space_unmap(space, BASE, 15 * PAGE + 1));
	EXPECT_EQ(KMM_RULE_NO_AREA, rule_of(space, KMM_ACCESS_READ, BASE + PAGE));
	ASSERT_EQ(0, kmm_space_info(space, &i));
	EXPECT_EQ(0, i.areas);
	EXPECT_EQ(0, i.private_frames);
	EXPECT_EQ(empty.resident, i.resident);
	/* The tables go with the last area that needed them. */
	EXPECT_EQ(0, memcmp(empty.tables, i.tables, sizeof(i.tables)));
	EXPECT_CLEAN(space);
	close(space);
}

TEST_F(kmm, fixed_refuses_and_replace_replaces)
{
	int space = space_with_memory(self->dev, 8 * PAGE);

	ASSERT_LE(0, space);
	ASSERT_EQ(0, fill(space, BASE + 3 * PAGE, 'o', PAGE));
	EXPECT_EQ(-EEXIST, map_at(space, BASE + 3 * PAGE, PAGE, RW, ANON, -1, 0));
	EXPECT_EQ(-EEXIST, map_at(space, BASE - PAGE, 2 * PAGE, RW, ANON, -1, 0));
	EXPECT_EQ(-EEXIST, map_at(space, BASE - PAGE, 20 * PAGE, RW, ANON, -1, 0));
	EXPECT_EQ(-EEXIST, map_at(space, BASE + 7 * PAGE, PAGE, 0, GUARD, -1, 0));
	EXPECT_EQ('o', peek(space, BASE + 3 * PAGE));
	EXPECT_EQ(0, map_at(space, BASE + 3 * PAGE, PAGE, RW, ANON | KMM_MAP_REPLACE, -1, 0));
	EXPECT_EQ(0, peek(space, BASE + 3 * PAGE));
	/* Beside something is not on it. */
	EXPECT_EQ(0, map_at(space, BASE + 8 * PAGE, PAGE, R, ANON, -1, 0));
	EXPECT_EQ(0, map_at(space, BASE - PAGE, PAGE, R, ANON, -1, 0));
	EXPECT_CLEAN(space);
	close(space);
}

TEST_F(kmm, a_place_is_found)
{
	uint64_t at[64], hint;
	int space = kmm_space_create(self->dev);

	ASSERT_LE(0, space);
	for (int i = 0; i < 64; i++) {
		at[i] = 0;
		ASSERT_EQ(0, kmm_space_map(space, &at[i], (i % 4 + 1) * PAGE, RW, KMM_MAP_PRIVATE,
					   -1, 0));
		EXPECT_LE(KMM_SPACE_MIN, at[i]);
		EXPECT_EQ(0, at[i] % PAGE);
		ASSERT_EQ(0, fill(space, at[i], i + 1, (i % 4 + 1) * PAGE));
	}
	/* No two lie on each other. */
	for (int i = 0; i < 64; i++) {
		EXPECT_EQ(i + 1, peek(space, at[i]));
		EXPECT_EQ(i + 1, peek(space, at[i] + (i % 4 + 1) * PAGE - 1));
	}
	hint = 0x700000000000;
	ASSERT_EQ(0, kmm_space_map(space, &hint, PAGE, RW, KMM_MAP_PRIVATE, -1, 0));
	EXPECT_EQ(0x700000000000, hint);
	/* Where something is, a hint is only one. */
	ASSERT_EQ(0, kmm_space_map(space, &hint, PAGE, RW, KMM_MAP_PRIVATE, -1, 0));
	EXPECT_NE(0x700000000000, hint);
	EXPECT_CLEAN(space);
	close(space);
}

TEST_F(kmm, the_middle_of_an_area_is_unmapped)
{
	int space = space_with_memory(self->dev, 9 * PAGE);
	struct kmm_space_info i;

	ASSERT_LE(0, space);
	for (int p = 0; p < 9; p++)
		ASSERT_EQ(0, fill(space, BASE + p * PAGE, 'a' + p, PAGE));
	ASSERT_EQ(0, kmm_space_unmap(space, BASE + 3 * PAGE, 2 * PAGE));
	ASSERT_EQ(0, kmm_space_info(space, &i));
	EXPECT_EQ(2, i.areas);
	EXPECT_EQ(7 * PAGE, i.mapped_bytes);
	EXPECT_EQ(7, resident(self->dev, space));
	for (int p = 0; p < 9; p++)
		EXPECT_EQ(p == 3 || p == 4 ? -EIO : 'a' + p, peek(space, BASE + p * PAGE));
	/* Holes are no error; both ends are cut. */
	EXPECT_EQ(0, kmm_space_unmap(space, BASE + 2 * PAGE, 5 * PAGE));
	EXPECT_EQ(0, kmm_space_unmap(space, BASE + 2 * PAGE, 5 * PAGE));
	EXPECT_EQ(0, kmm_space_unmap(space, BASE + (1ULL << 40), 1ULL << 40));
	for (int p = 0; p < 9; p++)
		EXPECT_EQ(p >= 2 && p < 7 ? -EIO : 'a' + p, peek(space, BASE + p * PAGE));
	EXPECT_CLEAN(space);
	close(space);
}

TEST_F(kmm, rights)
{
	int space = space_with_memory(self->dev, 6 * PAGE);

	ASSERT_LE(0, space);
	ASSERT_EQ(0, fill(space, BASE, 'r', 3 * PAGE));
	EXPECT_EQ(KMM_RULE_NO_EXEC, rule_of(space, KMM_ACCESS_FETCH, BASE));
	ASSERT_EQ(0, kmm_space_protect(space, BASE + PAGE, PAGE, R));
	EXPECT_EQ(KMM_RULE_NO_WRITE, rule_of(space, KMM_ACCESS_WRITE, BASE + PAGE));
	EXPECT_EQ(KMM_RULE_NONE, rule_of(space, KMM_ACCESS_WRITE, BASE + 2 * PAGE));
	EXPECT_EQ('r', peek(space, BASE + PAGE));
	ASSERT_EQ(0, kmm_space_protect(space, BASE + PAGE, PAGE, 0));
	EXPECT_EQ(KMM_RULE_NO_ACCESS, rule_of(space, KMM_ACCESS_READ, BASE + PAGE));
	EXPECT_EQ(KMM_RULE_NO_ACCESS, rule_of(space, KMM_ACCESS_WRITE, BASE + PAGE));
	EXPECT_EQ(KMM_RULE_NO_ACCESS, rule_of(space, KMM_ACCESS_FETCH, BASE + PAGE));
	ASSERT_EQ(0, kmm_space_protect(space, BASE + PAGE, PAGE, RX));
	EXPECT_EQ(KMM_RULE_NONE, rule_of(space, KMM_ACCESS_FETCH, BASE + PAGE));
	EXPECT_EQ(KMM_RULE_NO_WRITE, rule_of(space, KMM_ACCESS_WRITE, BASE + PAGE));
	/* All the way back, with the contents that were there, also where nothing was yet. */
	ASSERT_EQ(0, kmm_space_protect(space, BASE, 6 * PAGE, RW));
	EXPECT_EQ('r', peek(space, BASE + PAGE));
	EXPECT_EQ(KMM_RULE_NONE, rule_of(space, KMM_ACCESS_WRITE, BASE + PAGE));
	EXPECT_EQ(KMM_RULE_NONE, rule_of(space, KMM_ACCESS_WRITE, BASE + 5 * PAGE));
	/* WRITE and EXEC imply READ. */
	ASSERT_EQ(0, kmm_space_protect(space, BASE, PAGE, KMM_PROT_EXEC));
	EXPECT_EQ(KMM_RULE_NONE, rule_of(space, KMM_ACCESS_READ, BASE));
	ASSERT_EQ(0, kmm_space_protect(space, BASE, PAGE, KMM_PROT_WRITE));
	EXPECT_EQ('r', peek(space, BASE + 1));
	EXPECT_CLEAN(space);
	close(space);
}

TEST_F(kmm, guards)
{
	int space = space_with_memory(self->dev, PAGE);

	ASSERT_LE(0, space);
	ASSERT_EQ(0, map_at(space, BASE + PAGE, 2 * PAGE, 0, GUARD, -1, 0));
	for (uint32_t op = KMM_ACCESS_READ; op <= KMM_ACCESS_FETCH; op++)
		EXPECT_EQ(KMM_RULE_GUARD, rule_of(space, op, BASE + PAGE));
	/* Running off the end ends at the guard, to the byte. */
	struct kmm_space_access a = try_access(space, KMM_ACCESS_WRITE, BASE + PAGE - 10, 100, 0);

	EXPECT_EQ(10, a.done);
	EXPECT_EQ(KMM_RULE_GUARD, a.fault_rule);
	EXPECT_EQ(BASE + PAGE, a.fault_addr);
	/* It can be unmapped, and keeps out what comes without REPLACE. */
	EXPECT_EQ(-EEXIST, map_at(space, BASE + PAGE, PAGE, RW, ANON, -1, 0));
	EXPECT_EQ(0, kmm_space_unmap(space, BASE + PAGE, PAGE));
	EXPECT_EQ(KMM_RULE_NO_AREA, rule_of(space, KMM_ACCESS_READ, BASE + PAGE));
	EXPECT_EQ(KMM_RULE_GUARD, rule_of(space, KMM_ACCESS_READ, BASE + 2 * PAGE));
	EXPECT_CLEAN(space);
	close(space);
}

TEST_F(kmm, large_leaves)
{
	int space = kmm_space_create(self->dev), copy;
	struct kmm_space_walk w;
	uint64_t at = BASE;
	bool huge;

	ASSERT_LE(0, space);
	ASSERT_EQ(0, kmm_space_map(space, &at, 2 * HUGE_PAGE, RW,
				   ANON | KMM_MAP_HUGE | KMM_MAP_POPULATE, -1, 0));
	ASSERT_EQ(0, kmm_space_walk(space, BASE, 0, &w));
	huge = w.leaf_shift == 21;
	TH_LOG("leaves of %s", huge ? "2 MiB" : "4 KiB");
	EXPECT_LT(0, w.leaf_shift);
	for (int p = 0; p < 1024; p += 93)
		ASSERT_EQ(0, fill(space, BASE + p * PAGE, 1 + p % 200, PAGE));
	/* Part of a leaf: the rest keeps rights and contents. */
	ASSERT_EQ(0, kmm_space_protect(space, BASE + 93 * PAGE, PAGE, R));
	EXPECT_EQ(KMM_RULE_NO_WRITE, rule_of(space, KMM_ACCESS_WRITE, BASE + 93 * PAGE));
	EXPECT_EQ(KMM_RULE_NONE, rule_of(space, KMM_ACCESS_WRITE, BASE + 94 * PAGE));
	ASSERT_EQ(0, kmm_space_unmap(space, BASE + 600 * PAGE, PAGE));
	for (int p = 0; p < 1024; p += 93)
		EXPECT_EQ(1 + p % 200, peek(space, BASE + p * PAGE + 7));
	/* And copies are copies. */
	copy = kmm_space_clone(space);
	ASSERT_LE(0, copy);
	ASSERT_EQ(0, fill(copy, BASE + 186 * PAGE, 'c', PAGE));
	ASSERT_EQ(0, fill(space, BASE + 279 * PAGE, 'p', PAGE));
	EXPECT_EQ(1 + 186 % 200, peek(space, BASE + 186 * PAGE));
	EXPECT_EQ('c', peek(copy, BASE + 186 * PAGE));
	EXPECT_EQ(1 + 279 % 200, peek(copy, BASE + 279 * PAGE));
	EXPECT_CLEAN(space);
	EXPECT_CLEAN(copy);
	close(copy);
	close(space);
}

/* === Copies === */

TEST_F(kmm, a_clone_is_a_copy)
{
	int space[4], n = 4;
	struct kmm_space_info i;
	struct kmm_stat before, now;

	space[0] = space_with_memory(self->dev, 32 * PAGE);
	ASSERT_LE(0, space[0]);
	for (int p = 0; p < 8; p++)
		ASSERT_EQ(0, fill(space[0], BASE + p * PAGE, 'a' + p, PAGE));
	for (int p = 8; p < 32; p++)
		ASSERT_EQ(0, fill(space[0], BASE + p * PAGE, 'z', PAGE));
	/* Three generations. */
	for (int k = 1; k < n; k++) {
		ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &before));
		space[k] = kmm_space_clone(space[k - 1]);
		ASSERT_LE(0, space[k]);
		/* Tables, but no copies of pages: 32 of these would show. */
		ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &now));
		EXPECT_GT(before.used + 32, now.used);
		for (int p = 0; p < 8; p++)
			EXPECT_EQ(p && p < k ? '0' + p : 'a' + p,
				  peek(space[k], BASE + p * PAGE));
		ASSERT_EQ(0, fill(space[k], BASE + k * PAGE, '0' + k, PAGE));
	}
	for (int k = 0; k < n; k++)
		for (int p = 0; p < 8; p++)
			EXPECT_EQ(p && p <= k ? '0' + p : 'a' + p, peek(space[k], BASE + p * PAGE));
	ASSERT_EQ(0, fill(space[0], BASE + 5 * PAGE, 'X', PAGE));
	for (int k = 0; k < n; k++)
		EXPECT_EQ(k ? 'f' : 'X', peek(space[k], BASE + 5 * PAGE));
	ASSERT_EQ(0, kmm_space_info(space[1], &i));
	EXPECT_LT(0, i.cow_faults);
	/* The areas are copies, too. */
	ASSERT_EQ(0, kmm_space_unmap(space[1], BASE, 4 * PAGE));
	ASSERT_EQ(0, kmm_space_protect(space[2], BASE, 32 * PAGE, R));
	EXPECT_EQ('a', peek(space[0], BASE));
	EXPECT_EQ(KMM_RULE_NONE, rule_of(space[0], KMM_ACCESS_WRITE, BASE));
	for (int k = 0; k < n; k++)
		EXPECT_CLEAN(space[k]);
	/* Any order. */
	close(space[1]);
	close(space[0]);
	EXPECT_EQ('a', peek(space[2], BASE));
	EXPECT_EQ('h', peek(space[3], BASE + 7 * PAGE));
	close(space[3]);
	EXPECT_EQ('f', peek(space[2], BASE + 5 * PAGE));
	close(space[2]);
}

/* The last one that has a page need not copy it. */
TEST_F(kmm, the_last_sharer_copies_nothing)
{
	int space = space_with_memory(self->dev, 4 * PAGE), copy;
	struct kmm_stat before, now;

	ASSERT_LE(0, space);
	ASSERT_EQ(0, fill(space, BASE, 's', 4 * PAGE));
	copy = kmm_space_clone(space);
	ASSERT_LE(0, copy);
	close(copy);
	shrink_slabs();
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &before));
	ASSERT_EQ(0, fill(space, BASE, 't', 4 * PAGE));
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &now));
	EXPECT_EQ(before.used, now.used);
	close(space);
}

TEST_F(kmm, shared_memory_stays_shared_in_a_clone)
{
	int obj = kmm_object_create(self->dev, 4 * PAGE, 0), space = kmm_space_create(self->dev);
	int copy;

	ASSERT_LE(0, obj);
	ASSERT_LE(0, space);
	ASSERT_EQ(0, map_at(space, BASE, 4 * PAGE, RW, SHARED, obj, 0));
	ASSERT_EQ(0, fill(space, BASE, '1', PAGE));
	copy = kmm_space_clone(space);
	ASSERT_LE(0, copy);
	ASSERT_EQ(0, fill(copy, BASE, '2', PAGE));
	EXPECT_EQ('2', peek(space, BASE));
	ASSERT_EQ(0, fill(space, BASE + 3 * PAGE, '3', PAGE));
	EXPECT_EQ('3', peek(copy, BASE + 3 * PAGE));
	EXPECT_CLEAN(copy);
	close(copy);
	close(space);
	close(obj);
}

/* MAP_PRIVATE's meaning: what is not copied yet shows later writes. */
TEST_F(kmm, private_shows_later_writes_until_copied)
{
	int obj = kmm_object_create(self->dev, 4 * PAGE, 0), space = kmm_space_create(self->dev);
	int copy;
	char c;

	ASSERT_LE(0, obj);
	ASSERT_LE(0, space);
	ASSERT_EQ(1, pwrite(obj, "0", 1, 0));
	ASSERT_EQ(1, pwrite(obj, "0", 1, PAGE));
	ASSERT_EQ(0, map_at(space, BASE, 4 * PAGE, RW, ANON, obj, 0));
	EXPECT_EQ('0', peek(space, BASE));
	EXPECT_EQ('0', peek(space, BASE + PAGE));
	ASSERT_EQ(1, pwrite(obj, "1", 1, 0));
	EXPECT_EQ('1', peek(space, BASE));
	/* A hole that was read, and is filled later. */
	EXPECT_EQ(0, peek(space, BASE + 2 * PAGE));
	ASSERT_EQ(1, pwrite(obj, "h", 1, 2 * PAGE));
	EXPECT_EQ('h', peek(space, BASE + 2 * PAGE));
	/* Copied: the object does not see it, and it does not see the object. */
	ASSERT_EQ(0, kmm_space_write(space, BASE + 1, "mine", 4));
	ASSERT_EQ(1, pwrite(obj, "2", 1, 0));
	EXPECT_EQ('1', peek(space, BASE));
	ASSERT_EQ(1, pread(obj, &c, 1, 1));
	EXPECT_EQ(0, c);
	ASSERT_EQ(1, pwrite(obj, "2", 1, PAGE));
	EXPECT_EQ('2', peek(space, BASE + PAGE));
	/* So it is in a clone. */
	copy = kmm_space_clone(space);
	ASSERT_LE(0, copy);
	ASSERT_EQ(1, pwrite(obj, "3", 1, PAGE));
	EXPECT_EQ('3', peek(copy, BASE + PAGE));
	EXPECT_EQ('1', peek(copy, BASE));
	ASSERT_EQ(0, fill(copy, BASE, 'c', PAGE));
	EXPECT_EQ('1', peek(space, BASE));
	EXPECT_CLEAN(space);
	EXPECT_CLEAN(copy);
	close(copy);
	close(space);
	close(obj);
}

/* === Isolation === */

TEST_F(kmm, a_space_sees_what_was_mapped_into_it)
{
	int a = space_with_memory(self->dev, 4 * PAGE), b = space_with_memory(self->dev, 2 * PAGE);
	char buf[PAGE];

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	ASSERT_EQ(0, fill(a, BASE, 'A', 4 * PAGE));
	ASSERT_EQ(0, kmm_space_read(b, BASE, buf, PAGE));
	EXPECT_TRUE(all_bytes(buf, 0, PAGE));
	ASSERT_EQ(0, fill(b, BASE, 'B', 2 * PAGE));
	EXPECT_EQ('A', peek(a, BASE));
	EXPECT_EQ(KMM_RULE_NO_AREA, rule_of(b, KMM_ACCESS_READ, BASE + 2 * PAGE));
	/* Memory that one gives back is zero in the other. */
	ASSERT_EQ(0, kmm_space_unmap(a, BASE, 4 * PAGE));
	ASSERT_EQ(0, map_at(b, BASE + 2 * PAGE, 4 * PAGE, RW, ANON, -1, 0));
	for (int p = 2; p < 6; p++) {
		ASSERT_EQ(0, kmm_space_read(b, BASE + p * PAGE, buf, PAGE));
		EXPECT_TRUE(all_bytes(buf, 0, PAGE));
	}
	/* Nothing of this process, nothing of the kernel. */
	EXPECT_EQ(KMM_RULE_NO_AREA, rule_of(b, KMM_ACCESS_READ, (uintptr_t)buf));
	EXPECT_EQ(KMM_RULE_KERNEL_HALF, rule_of(b, KMM_ACCESS_READ, KERNEL_HALF));
	EXPECT_EQ(KMM_RULE_KERNEL_HALF, rule_of(b, KMM_ACCESS_WRITE, 0xffffffff81000000ULL));
	EXPECT_EQ(KMM_RULE_KERNEL_HALF, rule_of(b, KMM_ACCESS_FETCH, ~0ULL));
	EXPECT_EQ(KMM_RULE_NONCANONICAL, rule_of(b, KMM_ACCESS_READ, NONCANONICAL));
	EXPECT_CLEAN(a);
	EXPECT_CLEAN(b);
	close(a);
	close(b);
}

TEST_F(kmm, the_same_bytes_in_a_space_and_in_a_process)
{
	int obj = kmm_object_create(self->dev, 4 * PAGE, 0), space = kmm_space_create(self->dev);
	char *p;

	ASSERT_LE(0, obj);
	ASSERT_LE(0, space);
	p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, map_at(space, BASE, 3 * PAGE, RW, SHARED, obj, PAGE));
	p[PAGE] = 'p';
	EXPECT_EQ('p', peek(space, BASE));
	ASSERT_EQ(0, kmm_space_write(space, BASE + PAGE - 1, "ss", 2));
	EXPECT_EQ('s', p[2 * PAGE - 1]);
	EXPECT_EQ('s', p[2 * PAGE]);
	/* One page, not two that are kept alike. */
	for (int i = 0; i < 100; i++) {
		((volatile char *)p)[3 * PAGE] = i;
		EXPECT_EQ(i, peek(space, BASE + 2 * PAGE));
	}
	/* The object outlives its descriptor here. */
	close(obj);
	EXPECT_EQ('p', peek(space, BASE));
	munmap(p, 4 * PAGE);
	EXPECT_EQ('s', peek(space, BASE + PAGE));
	EXPECT_CLEAN(space);
	close(space);
}

TEST_F(kmm, what_is_revoked_is_gone_at_once)
{
	int obj = kmm_object_create(self->dev, 4 * PAGE, 0), space = kmm_space_create(self->dev);
	struct kmm_space_access a;
	struct kmm_space_info i;
	volatile char *p;

	ASSERT_LE(0, obj);
	ASSERT_LE(0, space);
	p = mmap(NULL, 4 * PAGE, RW, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, map_at(space, BASE, 4 * PAGE, RW, SHARED, obj, 0));
	ASSERT_EQ(0, fill(space, BASE, 'x', 4 * PAGE));
	EXPECT_EQ('x', p[PAGE]);
	ASSERT_EQ(0, kmm_space_info(space, &i));
	EXPECT_EQ(4, resident(self->dev, space));
	EXPECT_EQ(0, i.private_frames);
	/* Punch. */
	ASSERT_EQ(0, punch(obj, PAGE, PAGE));
	EXPECT_EQ(0, leaf_entry(space, BASE + PAGE));
	EXPECT_EQ(0, peek(space, BASE + PAGE));
	EXPECT_EQ(0, p[PAGE]);
	EXPECT_EQ('x', peek(space, BASE + 2 * PAGE));
	/* What comes after it is shared again. */
	p[PAGE] = 'y';
	EXPECT_EQ('y', peek(space, BASE + PAGE));
	/* Truncate: behind the end is nothing, for either. */
	ASSERT_EQ(0, ftruncate(obj, 2 * PAGE));
	a = try_access(space, KMM_ACCESS_READ, BASE + PAGE, 2 * PAGE, 0);
	EXPECT_EQ(PAGE, a.done);
	EXPECT_EQ(KMM_RULE_OBJECT, a.fault_rule);
	EXPECT_EQ(BASE + 2 * PAGE, a.fault_addr);
	EXPECT_EQ(SIGBUS, touch((char *)p + 2 * PAGE, false));
	/* And zeros when it grows again. */
	ASSERT_EQ(0, ftruncate(obj, 4 * PAGE));
	EXPECT_EQ(0, peek(space, BASE + 3 * PAGE));
	EXPECT_EQ('y', peek(space, BASE + PAGE));
	EXPECT_CLEAN(space);
	munmap((void *)p, 4 * PAGE);
	close(space);
	close(obj);
}

TEST_F(kmm, seals_bind_spaces)
{
	int obj = kmm_object_create(self->dev, 4 * PAGE, 0), space = kmm_space_create(self->dev);
	int ro;

	ASSERT_LE(0, obj);
	ASSERT_LE(0, space);
	ASSERT_EQ(0, map_at(space, BASE, 4 * PAGE, RW, SHARED, obj, 0));
	ASSERT_EQ(0, fill(space, BASE, 'w', PAGE));
	EXPECT_EQ(-EBUSY, kmm_object_seal(obj, KMM_SEAL_WRITE, NULL));
	ASSERT_EQ(0, kmm_space_unmap(space, BASE, 4 * PAGE));
	ASSERT_EQ(0, kmm_object_seal(obj, KMM_SEAL_WRITE, NULL));
	EXPECT_EQ(-EPERM, map_at(space, BASE, 4 * PAGE, RW, SHARED, obj, 0));
	ASSERT_EQ(0, map_at(space, BASE, 4 * PAGE, R, SHARED, obj, 0));
	EXPECT_GT(0, kmm_space_protect(space, BASE, 4 * PAGE, RW));
	EXPECT_EQ(KMM_RULE_NO_WRITE, rule_of(space, KMM_ACCESS_WRITE, BASE));
	EXPECT_EQ('w', peek(space, BASE));
	/* Copies are nobody's business. */
	ASSERT_EQ(0, map_at(space, BASE + 4 * PAGE, PAGE, RW, ANON, obj, 0));
	ASSERT_EQ(0, fill(space, BASE + 4 * PAGE, 'c', PAGE));
	EXPECT_EQ('w', peek(space, BASE));
	close(obj);
	close(space);

	/* A descriptor that cannot write, and future writes. */
	obj = kmm_object_create(self->dev, 4 * PAGE, 0);
	space = kmm_space_create(self->dev);
	ASSERT_LE(0, obj);
	ro = kmm_object_reopen(obj, KMM_REOPEN_RDONLY);
	ASSERT_LE(0, ro);
	EXPECT_EQ(-EACCES, map_at(space, BASE, PAGE, RW, SHARED, ro, 0));
	ASSERT_EQ(0, map_at(space, BASE, PAGE, R, SHARED, ro, 0));
	EXPECT_EQ(-EACCES, kmm_space_protect(space, BASE, PAGE, RW));
	ASSERT_EQ(0, map_at(space, BASE + PAGE, PAGE, RW, ANON, ro, 0));
	ASSERT_EQ(0, map_at(space, BASE + 2 * PAGE, PAGE, RW, SHARED, obj, 0));
	ASSERT_EQ(0, kmm_object_seal(obj, KMM_SEAL_FUTURE_WRITE, NULL));
	EXPECT_EQ(-EPERM, map_at(space, BASE + 3 * PAGE, PAGE, RW, SHARED, obj, 0));
	ASSERT_EQ(0, fill(space, BASE + 2 * PAGE, 'f', PAGE));
	EXPECT_EQ('f', peek(space, BASE));
	EXPECT_CLEAN(space);
	close(ro);
	close(obj);
	close(space);
}

/* === Faults as data === */

#define NR_PLACES	16

/*
 * Pages from BASE: 0-3 memory, 4-5 read-only, 6-7 a guard, 8-9 without rights, 10-11 to execute,
 * 12-15 an object of two pages, 16 nothing.
 */
static int space_of_many_kinds(int dev, int obj)
{
	int space = kmm_space_create(dev);

	if (space < 0 || map_at(space, BASE, 4 * PAGE, RW, ANON, -1, 0) ||
	    map_at(space, BASE + 4 * PAGE, 2 * PAGE, R, ANON, -1, 0) ||
	    map_at(space, BASE + 6 * PAGE, 2 * PAGE, 0, GUARD, -1, 0) ||
	    map_at(space, BASE + 8 * PAGE, 2 * PAGE, RW, ANON, -1, 0) ||
	    map_at(space, BASE + 10 * PAGE, 2 * PAGE, RX, ANON, -1, 0) ||
	    map_at(space, BASE + 12 * PAGE, 4 * PAGE, RW, SHARED, obj, 0) ||
	    fill(space, BASE, 'm', 4 * PAGE) || fill(space, BASE + 8 * PAGE, 'n', 2 * PAGE) ||
	    kmm_space_protect(space, BASE + 8 * PAGE, 2 * PAGE, 0) ||
	    peek(space, BASE + 4 * PAGE) || peek(space, BASE + 10 * PAGE) ||
	    peek(space, BASE + 12 * PAGE)) {
		close(space);
		return -1;
	}
	return space;
}

TEST_F(kmm, a_denied_access_says_by_which_rule)
{
	static const struct {
		uint64_t addr;
		uint32_t len, op, rule, code, done;
	} want[] = {
#define AT(page) (BASE + (page) * PAGE)
#define P KMM_PF_PRESENT
#define W KMM_PF_WRITE
#define I KMM_PF_INSTR
		{ AT(0), 8, READ, KMM_RULE_NONE, 0, 8 },
		{ AT(0) + 4090, 100, WRITE, KMM_RULE_NONE, 0, 100 },
		{ AT(0), 1, FETCH, KMM_RULE_NO_EXEC, P | I, 0 },
		{ AT(3) + 4092, 8, WRITE, KMM_RULE_NO_WRITE, P | W, 4 },
		{ AT(4), 16, READ, KMM_RULE_NONE, 0, 16 },
		{ AT(4) + 5, 1, WRITE, KMM_RULE_NO_WRITE, P | W, 0 },
		{ AT(6), 1, READ, KMM_RULE_GUARD, 0, 0 },
		{ AT(7) + 4095, 1, WRITE, KMM_RULE_GUARD, W, 0 },
		{ AT(6), 1, FETCH, KMM_RULE_GUARD, I, 0 },
		{ AT(8), 1, READ, KMM_RULE_NO_ACCESS, 0, 0 },
		{ AT(8), 1, WRITE, KMM_RULE_NO_ACCESS, W, 0 },
		{ AT(10), 1, FETCH, KMM_RULE_NONE, 0, 0 },
		{ AT(10), 1, WRITE, KMM_RULE_NO_WRITE, P | W, 0 },
		{ AT(12), 8, WRITE, KMM_RULE_NONE, 0, 8 },
		{ AT(13) + 4000, 200, READ, KMM_RULE_OBJECT, 0, 96 },
		{ AT(15), 8, WRITE, KMM_RULE_OBJECT, W, 0 },
		{ AT(16), 1, READ, KMM_RULE_NO_AREA, 0, 0 },
		{ AT(16), 1, WRITE, KMM_RULE_NO_AREA, W, 0 },
		{ AT(-1) + 4095, 2, READ, KMM_RULE_NO_AREA, 0, 0 },
		{ 0, 1, READ, KMM_RULE_NO_AREA, 0, 0 },
#undef P
#undef W
#undef I
	};
	static const struct {
		uint64_t addr;
		uint32_t rule;
	} nowhere[] = {
		{ KERNEL_HALF, KMM_RULE_KERNEL_HALF },
		{ 0xffffffff81000000ULL, KMM_RULE_KERNEL_HALF },
		{ 0xfffffffffffffff8ULL, KMM_RULE_KERNEL_HALF },
		{ NONCANONICAL, KMM_RULE_NONCANONICAL },
		{ 0x7fffffffffffffffULL, KMM_RULE_NONCANONICAL },
		{ 0x8000000000000000ULL, KMM_RULE_NONCANONICAL },
	};
	int obj = kmm_object_create(self->dev, 2 * PAGE, 0);

	ASSERT_LE(0, obj);
	for (uint32_t path = 0; path <= KMM_ACCESS_HARDWARE; path++) {
		int space;

		ASSERT_EQ(0, punch(obj, 0, 2 * PAGE));
		space = space_of_many_kinds(self->dev, obj);
		ASSERT_LE(0, space);
		if (path && !can_use_hardware(space)) {
			TH_LOG("software only: the hardware path is refused here");
			close(space);
			break;
		}
		for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
			struct kmm_space_access a = try_access(space, want[i].op, want[i].addr,
							       want[i].len, path);
			const uint32_t bits = KMM_PF_PRESENT | KMM_PF_WRITE | KMM_PF_INSTR;

			EXPECT_EQ(want[i].rule, a.fault_rule)
				TH_LOG("case %zu path %u", i, path);
			EXPECT_EQ(want[i].done, want[i].op == FETCH ? 0 : a.done)
				TH_LOG("case %zu path %u", i, path);
			EXPECT_EQ(path, a.path);
			if (!want[i].rule)
				continue;
			EXPECT_EQ(want[i].code, a.fault_code & bits)
				TH_LOG("case %zu path %u", i, path);
			EXPECT_EQ(want[i].addr + want[i].done, a.fault_addr) {
				/* Where it starts before the area, or in it. */
				TH_LOG("case %zu path %u", i, path);
			}
		}
		for (size_t i = 0; i < ARRAY_SIZE(nowhere); i++) {
			struct kmm_space_access a = try_access(space, READ, nowhere[i].addr, 16,
							       path);

			EXPECT_EQ(nowhere[i].rule, a.fault_rule)
				TH_LOG("%#llx path %u", (long long)nowhere[i].addr, path);
			EXPECT_EQ(0, a.done);
			EXPECT_EQ(nowhere[i].addr, a.fault_addr);
		}
		EXPECT_CLEAN(space);
		close(space);
	}
	close(obj);
}

/* The same random accesses by the MMU and by the software walk: the same result, each time. */
TEST_F(kmm, hardware_and_software_agree)
{
	int obj[2], space[2];
	uint64_t seed = seed_from_env();

	for (int k = 0; k < 2; k++) {
		obj[k] = kmm_object_create(self->dev, 2 * PAGE, 0);
		ASSERT_LE(0, obj[k]);
		space[k] = space_of_many_kinds(self->dev, obj[k]);
		ASSERT_LE(0, space[k]);
	}
	if (!can_use_hardware(space[1])) {
		for (int k = 0; k < 2; k++) {
			close(obj[k]);
			close(space[k]);
		}
		SKIP(return, "the hardware path is refused here");
	}
	for (int n = 0; n < 400; n++) {
		uint64_t addr = BASE - PAGE + next_random(&seed) % (18 * PAGE);
		uint32_t op = next_random(&seed) % 3;
		uint32_t len = op == FETCH ? 1 : 1 + next_random(&seed) % 5000;
		uint32_t flags = next_random(&seed) % 4 ? 0 : KMM_ACCESS_NO_FAULT_IN;
		struct kmm_space_access a = try_access(space[0], op, addr, len, flags);
		struct kmm_space_access b = try_access(space[1], op, addr, len,
						       flags | KMM_ACCESS_HARDWARE);

		ASSERT_EQ(KMM_PATH_SOFTWARE, a.path);
		ASSERT_EQ(KMM_PATH_HARDWARE, b.path);
		ASSERT_TRUE(a.done == b.done && a.faults == b.faults &&
			    a.fault_rule == b.fault_rule && a.fault_code == b.fault_code &&
			    a.fault_addr == b.fault_addr && a.fault_errno == b.fault_errno)
			TH_LOG("%d: op %u at %#llx, %u bytes, flags %u: done %u %u, faults %u %u, rule %s %s, code %#x %#x",
			       n, op, (long long)addr, len, flags, a.done, b.done, a.faults,
			       b.faults, kmm_fault_rule_name(a.fault_rule),
			       kmm_fault_rule_name(b.fault_rule), a.fault_code, b.fault_code);
		/* Rights change on the way. */
		if (n % 40 == 39)
			for (int k = 0; k < 2; k++) {
				ASSERT_EQ(0, kmm_space_protect(space[k], BASE, 4 * PAGE,
							       n % 80 == 39 ? R : RW));
				ASSERT_EQ(0, punch(obj[k], 0, PAGE));
			}
	}
	/* And the same tables. */
	for (int p = 0; p < 16; p++) {
		EXPECT_EQ(leaf_entry(space[0], BASE + p * PAGE) & ~ENTRY_PHYS,
			  leaf_entry(space[1], BASE + p * PAGE) & ~ENTRY_PHYS)
			TH_LOG("page %d", p);
	}
	for (int k = 0; k < 2; k++) {
		char buf[4 * PAGE];

		ASSERT_EQ(0, kmm_space_read(space[k], BASE, buf, sizeof(buf)));
		EXPECT_CLEAN(space[k]);
		close(obj[k]);
		close(space[k]);
	}
}

TEST_F(kmm, without_faulting_in_nothing_changes)
{
	int space = space_with_memory(self->dev, 4 * PAGE), copy;
	struct kmm_space_access a;
	struct kmm_space_info i;

	ASSERT_LE(0, space);
	a = try_access(space, READ, BASE, 1, KMM_ACCESS_NO_FAULT_IN);
	EXPECT_EQ(KMM_RULE_NOT_PRESENT, a.fault_rule);
	EXPECT_EQ(0, a.fault_code & KMM_PF_PRESENT);
	EXPECT_EQ(0, a.faults);
	EXPECT_EQ(0, resident(self->dev, space));
	ASSERT_EQ(0, fill(space, BASE, 'x', PAGE));
	a = try_access(space, READ, BASE, 2 * PAGE, KMM_ACCESS_NO_FAULT_IN);
	EXPECT_EQ(PAGE, a.done);
	EXPECT_EQ(KMM_RULE_NOT_PRESENT, a.fault_rule);
	copy = kmm_space_clone(space);
	ASSERT_LE(0, copy);
	a = try_access(copy, WRITE, BASE, 1, KMM_ACCESS_NO_FAULT_IN);
	EXPECT_EQ(KMM_RULE_COW, a.fault_rule);
	EXPECT_EQ(KMM_PF_PRESENT | KMM_PF_WRITE,
		  a.fault_code & (KMM_PF_PRESENT | KMM_PF_WRITE));
	a = try_access(copy, READ, BASE, 1, KMM_ACCESS_NO_FAULT_IN);
	EXPECT_EQ(KMM_RULE_NONE, a.fault_rule);
	ASSERT_EQ(0, kmm_space_info(copy, &i));
	EXPECT_EQ(0, i.cow_faults);
	/* What is denied anyway is denied by its own rule. */
	EXPECT_EQ(KMM_RULE_NO_EXEC,
		  try_access(copy, FETCH, BASE, 1, KMM_ACCESS_NO_FAULT_IN).fault_rule);
	EXPECT_EQ(KMM_RULE_NO_AREA,
		  try_access(copy, READ, BASE - 1, 1, KMM_ACCESS_NO_FAULT_IN).fault_rule);
	close(copy);
	close(space);
}

/* === pread and pwrite === */

TEST_F(kmm, read_and_write_by_address)
{
	int space = space_with_memory(self->dev, 40 * PAGE);
	char *buf = malloc(64 * PAGE), *end;
	struct iovec v[2];

	ASSERT_LE(0, space);
	for (size_t i = 0; i < 40 * PAGE; i++)
		buf[i] = i * 7 >> 3;
	EXPECT_EQ(40 * PAGE, pwrite(space, buf, 40 * PAGE, BASE));
	memset(buf, 0, 40 * PAGE);
	EXPECT_EQ(40 * PAGE, pread(space, buf, 40 * PAGE, BASE));
	for (size_t i = 0; i < 40 * PAGE; i++)
		ASSERT_EQ((char)(i * 7 >> 3), buf[i]);
	/* What cannot be had ends it: a part, then EIO. */
	EXPECT_EQ(PAGE + 5, pread(space, buf, 64 * PAGE, BASE + 39 * PAGE - 5));
	EXPECT_EQ(-1, pread(space, buf, 1, BASE + 40 * PAGE));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(EIO, ERR(pwrite(space, buf, 1, BASE - 1)));
	EXPECT_EQ(EIO, ERR(pread(space, buf, 1, 0)));
	EXPECT_EQ(EIO, ERR(pread(space, buf, 1, NONCANONICAL)));
	EXPECT_EQ(EINVAL, ERR(pread(space, buf, 1, KERNEL_HALF)));
	EXPECT_EQ(EINVAL, ERR(pwrite(space, buf, 1, -1)));
	EXPECT_EQ(0, pread(space, buf, 0, 0));
	ASSERT_EQ(0, kmm_space_protect(space, BASE + 3 * PAGE, PAGE, R));
	EXPECT_EQ(3 * PAGE, pwrite(space, buf, 5 * PAGE, BASE));
	EXPECT_EQ(EIO, ERR(pwrite(space, buf, 1, BASE + 3 * PAGE)));
	EXPECT_EQ(1, pread(space, buf, 1, BASE + 3 * PAGE));
	/* A buffer that ends: what fits, then EFAULT. */
	end = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, end);
	munmap(end + PAGE, PAGE);
	EXPECT_EQ(EFAULT, ERR(pread(space, end + PAGE, 10, BASE)));
	EXPECT_EQ(EFAULT, ERR(pwrite(space, end + PAGE, 10, BASE)));
	EXPECT_EQ(100, pread(space, end + PAGE - 100, 3000, BASE));
	EXPECT_EQ(100, pwrite(space, end + PAGE - 100, 3000, BASE));
	munmap(end, PAGE);
	/* Vectors; the position; a space has no end. */
	v[0] = (struct iovec){ "12345", 5 };
	v[1] = (struct iovec){ "6789", 4 };
	EXPECT_EQ(9, pwritev(space, v, 2, BASE + PAGE - 3));
	EXPECT_EQ(BASE + PAGE - 2, lseek(space, BASE + PAGE - 2, SEEK_SET));
	EXPECT_EQ(4, read(space, buf, 4));
	EXPECT_EQ(0, memcmp(buf, "2345", 4));
	EXPECT_EQ(BASE + PAGE + 2, lseek(space, 0, SEEK_CUR));
	EXPECT_EQ(1, write(space, "x", 1));
	EXPECT_EQ('x', peek(space, BASE + PAGE + 2));
	EXPECT_EQ(EINVAL, ERR(lseek(space, 0, SEEK_END)));
	EXPECT_EQ(EINVAL, ERR(lseek(space, BASE, SEEK_DATA)));
	EXPECT_NE(0, mmap_err(PAGE, PROT_READ, MAP_SHARED, space, 0));
	EXPECT_CLEAN(space);
	free(buf);
	close(space);
}

/* === Walk === */

TEST_F(kmm, a_walk_shows_every_level)
{
	int space = space_with_memory(self->dev, 4 * PAGE);
	uint64_t at = BASE + PAGE, addr = 0;
	struct kmm_space_walk w;
	unsigned int top;

	ASSERT_LE(0, space);
	/* Nothing yet. */
	ASSERT_EQ(0, kmm_space_walk(space, at, 0, &w));
	EXPECT_TRUE(w.levels == 4 || w.levels == 5);
	EXPECT_EQ(0, w.leaf_shift);
	EXPECT_LE(1, w.depth);
	EXPECT_EQ(0, w.entry[w.depth - 1] & ENTRY_P);
	ASSERT_EQ(0, fill(space, at, 'w', 10));
	ASSERT_EQ(0, kmm_space_walk(space, at, 0, &w));
	ASSERT_EQ(12, w.leaf_shift);
	ASSERT_EQ(w.levels, w.depth);
	top = w.depth - 1;
	for (unsigned int i = 0; i < w.depth; i++) {
		addr = addr << 9 | w.index[i];
		EXPECT_EQ(ENTRY_P, w.entry[i] & ENTRY_P);
	}
	EXPECT_EQ(at >> 12, addr);
	EXPECT_NE(0, w.entry[top] & ENTRY_RW);
	EXPECT_NE(0, w.entry[top] & ENTRY_NX);
	EXPECT_EQ(ENTRY_A | ENTRY_D, w.entry[top] & (ENTRY_A | ENTRY_D));
	/* The walk itself touches nothing; CLEAR_YOUNG shows what was. */
	ASSERT_EQ(0, kmm_space_walk(space, at, KMM_WALK_CLEAR_YOUNG, &w));
	EXPECT_EQ(ENTRY_A | ENTRY_D, w.entry[top] & (ENTRY_A | ENTRY_D));
	EXPECT_EQ(0, leaf_entry(space, at) & (ENTRY_A | ENTRY_D));
	EXPECT_EQ('w', peek(space, at));
	EXPECT_EQ(ENTRY_A, leaf_entry(space, at) & (ENTRY_A | ENTRY_D));
	ASSERT_EQ(0, fill(space, at, 'v', 1));
	EXPECT_EQ(ENTRY_A | ENTRY_D, leaf_entry(space, at) & (ENTRY_A | ENTRY_D));
	if (can_use_hardware(space)) {
		ASSERT_EQ(0, kmm_space_walk(space, at, KMM_WALK_CLEAR_YOUNG, &w));
		EXPECT_EQ(KMM_RULE_NONE,
			  try_access(space, READ, at, 1, KMM_ACCESS_HARDWARE).fault_rule);
		EXPECT_EQ(ENTRY_A, leaf_entry(space, at) & (ENTRY_A | ENTRY_D));
		EXPECT_EQ(KMM_RULE_NONE,
			  try_access(space, WRITE, at, 1, KMM_ACCESS_HARDWARE).fault_rule);
		EXPECT_EQ(ENTRY_A | ENTRY_D, leaf_entry(space, at) & (ENTRY_A | ENTRY_D));
	}
	/* NX on the whole user half in the full view, not in the user's; the leaf is the same. */
	ASSERT_EQ(0, kmm_space_walk(space, at, 0, &w));
	EXPECT_EQ(ENTRY_NX, w.entry[0] & ENTRY_NX);
	addr = w.entry[top];
	ASSERT_EQ(0, kmm_space_walk(space, at, KMM_WALK_USER_VIEW, &w));
	EXPECT_EQ(0, w.entry[0] & ENTRY_NX);
	EXPECT_EQ(addr, w.entry[top]);
	/* Where there is nothing to walk. */
	EXPECT_EQ(-ENXIO, kmm_space_walk(space, KERNEL_HALF, 0, &w));
	EXPECT_EQ(-ENXIO, kmm_space_walk(space, 0xffffffff81000000ULL, KMM_WALK_USER_VIEW, &w));
	EXPECT_EQ(-ENXIO, kmm_space_walk(space, NONCANONICAL, 0, &w));
	EXPECT_EQ(-ENXIO, kmm_space_walk(space, ~0ULL, KMM_WALK_CLEAR_YOUNG, &w));
	EXPECT_EQ(-EINVAL, kmm_space_walk(space, at, 4, &w));
	close(space);
}

/* Every address that a walk tells the superuser, and none that it tells others. */
TEST_F(kmm, an_ordinary_user)
{
	int space = space_with_memory(self->dev, 4 * PAGE);
	struct kmm_space_access a = { .addr = BASE, .len = 1, .op = FETCH,
				      .flags = KMM_ACCESS_HARDWARE };
	struct kmm_space_walk w, mine;
	pid_t pid;

	ASSERT_LE(0, space);
	ASSERT_EQ(0, fill(space, BASE, 'u', PAGE));
	ASSERT_EQ(0, kmm_space_walk(space, BASE, 0, &w));
	if (geteuid() == 0)
		for (unsigned int i = 0; i < w.depth; i++)
			EXPECT_NE(0, w.entry[i] & ENTRY_PHYS);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (geteuid() == 0)
			become_nobody(64);
		if (kmm_space_access(space, &a) != -EPERM)
			_exit(1);
		a.flags = KMM_ACCESS_HARDWARE | KMM_ACCESS_NO_FAULT_IN;
		if (kmm_space_access(space, &a) != -EPERM)
			_exit(2);
		for (uint32_t flags = 0; flags <= KMM_WALK_USER_VIEW; flags++) {
			if (kmm_space_walk(space, BASE, flags, &mine) || mine.depth != w.depth)
				_exit(3);
			for (unsigned int i = 0; i < KMM_WALK_LEVELS; i++)
				if (mine.entry[i] & ENTRY_PHYS)
					_exit(4);
		}
		if (kmm_space_walk(space, BASE, 0, &mine) ||
		    mine.entry[mine.depth - 1] != (w.entry[w.depth - 1] & ~ENTRY_PHYS))
			_exit(5);
		/* All the rest he may. */
		if (peek(space, BASE) != 'u' || fill(space, BASE + PAGE, 'n', PAGE) ||
		    kmm_space_protect(space, BASE, PAGE, R) ||
		    try_access(space, FETCH, BASE, 1, 0).fault_rule != KMM_RULE_NO_EXEC)
			_exit(6);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ('n', peek(space, BASE + PAGE));
	close(space);
}

/* === debugfs === */

TEST_F(kmm, views_come_and_go_with_the_space)
{
	int obj = kmm_object_create(self->dev, 4 * PAGE, 0), space = kmm_space_create(self->dev);
	struct kmm_object_info o;
	struct kmm_space_info i;
	char line[200], buf[100];
	const char *t;
	struct stat st;
	int fd[3];

	ASSERT_LE(0, obj);
	ASSERT_LE(0, space);
	ASSERT_EQ(0, kmm_object_info(obj, &o));
	ASSERT_EQ(0, kmm_space_info(space, &i));
	if (!read_view(i.id, "maps")) {
		close(space);
		close(obj);
		SKIP(return, "no debugfs");
	}
	ASSERT_EQ(0, map_at(space, BASE, 2 * PAGE, RW, ANON, -1, 0));
	ASSERT_EQ(0, map_at(space, BASE + 2 * PAGE, PAGE, 0, GUARD, -1, 0));
	ASSERT_EQ(0, map_at(space, BASE + 3 * PAGE, 2 * PAGE, R, SHARED, obj, 2 * PAGE));
	ASSERT_EQ(0, map_at(space, BASE + 5 * PAGE, PAGE, RX, ANON, obj, 0));
	ASSERT_EQ(0, fill(space, BASE, 'd', 2 * PAGE));
	ASSERT_EQ(0, fstat(obj, &st));
	t = read_view(i.id, "maps");
	ASSERT_NE(NULL, t);
	EXPECT_NE(NULL, strstr(t, "10000000-10002000 rw-p 00000000 00:00 0 ")) TH_LOG("%s", t);
	EXPECT_NE(NULL, strstr(t, "10002000-10003000 ---p 00000000 00:00 0 ")) TH_LOG("%s", t);
	EXPECT_NE(NULL, strstr(t, " [guard]\n"));
	/* Device and inode are the object's, as in /proc/PID/maps. */
	snprintf(line, sizeof(line), "10003000-10005000 r--s 00002000 %02x:%02x %lu ",
		 (unsigned int)(st.st_dev >> 8 & 0xfff), (unsigned int)(st.st_dev & 0xff),
		 (unsigned long)st.st_ino);
	EXPECT_NE(NULL, strstr(t, line)) TH_LOG("%s%s", t, line);
	snprintf(line, sizeof(line), " object:%llu\n", o.id);
	EXPECT_NE(NULL, strstr(t, line)) TH_LOG("%s", t);
	EXPECT_NE(NULL, strstr(t, "10005000-10006000 r-xp 00000000 ")) TH_LOG("%s", t);

	t = read_view(i.id, "page_tables");
	ASSERT_NE(NULL, t);
	EXPECT_EQ(t, strstr(t, "---[ User Space ]---\n0x0000000000000000-")) TH_LOG("%s", t);
	snprintf(line, sizeof(line), "0x%016llx-0x%016llx   %9dK USR RW %20sNX pte\n", BASE,
		 BASE + 2 * PAGE, 8, "");
	EXPECT_NE(NULL, strstr(t, line)) TH_LOG("%s%s", t, line);
	EXPECT_NE(NULL, strstr(t, "pgd\n"));
	t = read_view(i.id, "audit");
	ASSERT_NE(NULL, t);
	EXPECT_NE(NULL, strstr(t, "that must not be:         0\n")) TH_LOG("%s", t);

	/* Who has a file open when the space goes reads nothing of it. */
	fd[0] = open_view(i.id, "maps");
	fd[1] = open_view(i.id, "page_tables");
	fd[2] = open_view(i.id, "audit");
	close(space);
	for (int k = 0; k < 3; k++) {
		uint64_t end = now_ms() + LEAK_WAIT_MS;

		ASSERT_LE(0, fd[k]);
		while (pread(fd[k], buf, sizeof(buf), 0) >= 0 && now_ms() < end)
			sleep_ms(5);
		EXPECT_EQ(EIO, ERR(pread(fd[k], buf, sizeof(buf), 0)));
		close(fd[k]);
	}
	EXPECT_EQ(-1, open_view(i.id, "maps"));
	close(obj);
}

TEST_HARNESS_MAIN
