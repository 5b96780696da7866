// SPDX-License-Identifier: GPL-2.0-only
/* Memory objects as files: read, write, seek, stat, truncate, punch; always zero at first. */
#include "kmm_test.h"

static uint64_t resident(int obj)
{
	struct kmm_object_info i;

	return kmm_object_info(obj, &i) ? UINT64_MAX : i.resident;
}

static int punch(int obj, off_t off, off_t len)
{
	return ERR(fallocate(obj, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len));
}

FIXTURE_VARIANT(kmm) {
	uint32_t flags;
};

FIXTURE_VARIANT_ADD(kmm, demand) { .flags = 0 };
FIXTURE_VARIANT_ADD(kmm, eager) { .flags = KMM_OBJECT_EAGER };
FIXTURE_VARIANT_ADD(kmm, contig) { .flags = KMM_OBJECT_CONTIG };
FIXTURE_VARIANT_ADD(kmm, locked) { .flags = KMM_OBJECT_LOCKED };

#define FIXED (variant->flags & (KMM_OBJECT_CONTIG | KMM_OBJECT_LOCKED))

TEST_F(kmm, create_says_what_it_made)
{
	const uint64_t sizes[] = { 1, PAGE - 1, PAGE, PAGE + 1, 17 * PAGE, 1 << 20 };
	struct kmm_object_info a, b;
	struct stat st;
	uint64_t pages;
	int obj;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		pages = (sizes[i] + PAGE - 1) / PAGE;
		obj = kmm_object_create(self->dev, sizes[i], variant->flags);
		ASSERT_LE(0, obj);
		ASSERT_EQ(0, kmm_object_info(obj, &a));
		EXPECT_EQ(sizes[i], a.size_bytes);
		/* EAGER may be shown where it is implied. */
		EXPECT_EQ(variant->flags, a.flags & (variant->flags | ~KMM_OBJECT_EAGER));
		EXPECT_EQ(0, a.seals);
		EXPECT_EQ(variant->flags ? pages : 0, a.resident);
		ASSERT_EQ(0, fstat(obj, &st));
		EXPECT_EQ(sizes[i], st.st_size);
		EXPECT_TRUE(S_ISREG(st.st_mode));
		close(obj);
		obj = kmm_object_create(self->dev, sizes[i], variant->flags);
		ASSERT_LE(0, obj);
		ASSERT_EQ(0, kmm_object_info(obj, &b));
		EXPECT_LT(a.id, b.id);
		close(obj);
	}
}

TEST_F(kmm, contents_are_zero_then_what_was_written)
{
	const size_t size = 19 * PAGE + 123;
	char *buf = malloc(size), *map;
	int obj = kmm_object_create(self->dev, size, variant->flags);

	ASSERT_LE(0, obj);
	memset(buf, 0xff, size);
	ASSERT_EQ(size, pread(obj, buf, size, 0));
	EXPECT_TRUE(all_bytes(buf, 0, size));
	for (size_t i = 0; i < size; i++)
		buf[i] = i * 7 + (i >> 12);
	/* Not aligned to anything, over a page border. */
	ASSERT_EQ(2 * PAGE + 17, pwrite(obj, buf + 1000, 2 * PAGE + 17, 1000));
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_TRUE(all_bytes(map, 0, 1000));
	EXPECT_EQ(0, memcmp(map + 1000, buf + 1000, 2 * PAGE + 17));
	EXPECT_TRUE(all_bytes(map + 1000 + 2 * PAGE + 17, 0, size - (1000 + 2 * PAGE + 17)));
	memcpy(map, buf, size);
	memset(buf, 0, size);
	ASSERT_EQ(size, pread(obj, buf, size, 0));
	EXPECT_EQ(0, memcmp(map, buf, size));
	/* Behind the end of the object the last page is zero too. */
	EXPECT_TRUE(all_bytes(map + size, 0, 20 * PAGE - size));
	munmap(map, size);
	close(obj);
	free(buf);
}

TEST_F(kmm, read_and_write_move_the_offset)
{
	int obj = kmm_object_create(self->dev, 2 * PAGE, variant->flags);
	char buf[64];

	ASSERT_LE(0, obj);
	EXPECT_EQ(5, write(obj, "hello", 5));
	EXPECT_EQ(5, lseek(obj, 0, SEEK_CUR));
	EXPECT_EQ(0, lseek(obj, 0, SEEK_SET));
	EXPECT_EQ(5, read(obj, buf, 5));
	EXPECT_EQ(0, memcmp(buf, "hello", 5));
	EXPECT_EQ(2 * PAGE - 3, lseek(obj, -3, SEEK_END));
	EXPECT_EQ(3, read(obj, buf, sizeof(buf)));
	EXPECT_EQ(0, read(obj, buf, sizeof(buf)));
	EXPECT_EQ(EINVAL, ERR(lseek(obj, -1, SEEK_SET)));
	/* The end does not move by writing. */
	EXPECT_EQ(2 * PAGE - 2, lseek(obj, -2, SEEK_END));
	EXPECT_EQ(2, write(obj, "xyz", 3));
	EXPECT_EQ(ENOSPC, ERR(write(obj, "z", 1)));
	EXPECT_EQ(ENOSPC, ERR(pwrite(obj, "z", 1, 2 * PAGE)));
	EXPECT_EQ(ENOSPC, ERR(pwrite(obj, "z", 1, 100 * PAGE)));
	EXPECT_EQ(0, pread(obj, buf, 1, 2 * PAGE));
	EXPECT_EQ(0, pread(obj, buf, 1, 1L << 50));
	close(obj);
}

TEST_F(kmm, vectors_and_bad_pointers)
{
	int obj = kmm_object_create(self->dev, 4 * PAGE, variant->flags);
	void *volatile nowhere = NULL;
	char a[100], b[5000], *hole;
	struct iovec v[2] = { { a, sizeof(a) }, { b, sizeof(b) } };

	ASSERT_LE(0, obj);
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	EXPECT_EQ(5100, pwritev(obj, v, 2, 4000));
	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	EXPECT_EQ(5100, preadv(obj, v, 2, 4000));
	EXPECT_TRUE(all_bytes(a, 'a', sizeof(a)));
	EXPECT_TRUE(all_bytes(b, 'b', sizeof(b)));
	EXPECT_EQ(EFAULT, ERR(pwrite(obj, nowhere, 10, 0)));
	EXPECT_EQ(EFAULT, ERR(pread(obj, nowhere, 10, 0)));
	EXPECT_EQ(EFAULT, ERR(pread(obj, (void *)0xffff888000000000UL, 10, 0)));
	/* Part of the buffer is there: as much as could be copied. */
	hole = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, hole);
	memset(hole, 'h', PAGE);
	munmap(hole + PAGE, PAGE);
	EXPECT_EQ(10, pwrite(obj, hole + PAGE - 10, 20, 0));
	EXPECT_EQ(10, pread(obj, hole + PAGE - 10, 20, 0));
	munmap(hole, PAGE);
	close(obj);
}

/* An object copied onto itself, through its own mapping: the buffer is not resident. */
TEST_F(kmm, its_own_mapping_as_buffer)
{
	int obj = kmm_object_create(self->dev, 64 * PAGE, variant->flags);
	char *map;

	ASSERT_LE(0, obj);
	map = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, map);
	EXPECT_EQ(4 * PAGE, pwrite(obj, map + 8 * PAGE, 4 * PAGE, 0));
	EXPECT_EQ(4 * PAGE, pread(obj, map + 16 * PAGE, 4 * PAGE, 32 * PAGE));
	/* Source and target on one page. */
	EXPECT_EQ(100, pwrite(obj, map + 40 * PAGE, 100, 40 * PAGE + 200));
	EXPECT_EQ(100, pread(obj, map + 41 * PAGE, 100, 41 * PAGE + 200));
	EXPECT_TRUE(all_bytes(map, 0, 64 * PAGE));
	munmap(map, 64 * PAGE);
	close(obj);
}

TEST_F(kmm, fstat_counts_blocks)
{
	int obj = kmm_object_create(self->dev, 16 * PAGE, variant->flags);
	struct stat st;

	ASSERT_LE(0, obj);
	ASSERT_EQ(1, pwrite(obj, "x", 1, 3 * PAGE));
	ASSERT_EQ(0, fstat(obj, &st));
	EXPECT_EQ(16 * PAGE, st.st_size);
	EXPECT_EQ(resident(obj) * (PAGE / 512), st.st_blocks);
	close(obj);
}

TEST_F(kmm, seek_data_and_hole)
{
	int obj = kmm_object_create(self->dev, 16 * PAGE, variant->flags);

	ASSERT_LE(0, obj);
	if (variant->flags) {
		/* All resident: one piece of data. */
		EXPECT_EQ(0, lseek(obj, 0, SEEK_DATA));
		EXPECT_EQ(16 * PAGE, lseek(obj, 0, SEEK_HOLE));
	} else {
		EXPECT_EQ(ENXIO, ERR(lseek(obj, 0, SEEK_DATA)));
		EXPECT_EQ(0, lseek(obj, 0, SEEK_HOLE));
		ASSERT_EQ(1, pwrite(obj, "x", 1, 5 * PAGE + 7));
		EXPECT_EQ(5 * PAGE, lseek(obj, 0, SEEK_DATA));
		EXPECT_EQ(5 * PAGE + 9, lseek(obj, 5 * PAGE + 9, SEEK_DATA));
		EXPECT_EQ(6 * PAGE, lseek(obj, 5 * PAGE, SEEK_HOLE));
		EXPECT_EQ(6 * PAGE + 1, lseek(obj, 6 * PAGE + 1, SEEK_HOLE));
		EXPECT_EQ(ENXIO, ERR(lseek(obj, 6 * PAGE, SEEK_DATA)));
	}
	EXPECT_EQ(ENXIO, ERR(lseek(obj, 16 * PAGE, SEEK_HOLE)));
	EXPECT_EQ(ENXIO, ERR(lseek(obj, 16 * PAGE, SEEK_DATA)));
	close(obj);
}

TEST_F(kmm, punch_frees_and_zeroes)
{
	char buf[4 * PAGE], *map;
	struct kmm_stat a, b;
	int obj;

	obj = kmm_object_create(self->dev, 8 * PAGE, variant->flags);
	ASSERT_LE(0, obj);
	map = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, map);
	memset(map, 'x', 8 * PAGE);
	if (FIXED) {
		EXPECT_EQ(EPERM, punch(obj, 0, PAGE));
		EXPECT_EQ(EPERM, ERR(ftruncate(obj, PAGE)));
		EXPECT_TRUE(all_bytes(map, 'x', 8 * PAGE));
		EXPECT_EQ(8, resident(obj));
		goto out;
	}
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &a));
	EXPECT_EQ(8, resident(obj));
	EXPECT_EQ(0, punch(obj, 2 * PAGE, 3 * PAGE));
	EXPECT_EQ(5, resident(obj));
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &b));
	EXPECT_EQ(a.used - 3, b.used);
	EXPECT_EQ(a.user_frames - 3, b.user_frames);
	ASSERT_EQ(3 * PAGE, pread(obj, buf, 3 * PAGE, 2 * PAGE));
	EXPECT_TRUE(all_bytes(buf, 0, 3 * PAGE));
	EXPECT_TRUE(all_bytes(map, 'x', 2 * PAGE));
	EXPECT_TRUE(all_bytes(map + 2 * PAGE, 0, 3 * PAGE));
	EXPECT_TRUE(all_bytes(map + 5 * PAGE, 'x', 3 * PAGE));
	/* Parts of pages are zeroed and stay. */
	EXPECT_EQ(0, punch(obj, 6 * PAGE + 10, 20));
	EXPECT_TRUE(all_bytes(map + 6 * PAGE, 'x', 10));
	EXPECT_TRUE(all_bytes(map + 6 * PAGE + 10, 0, 20));
	EXPECT_TRUE(all_bytes(map + 6 * PAGE + 30, 'x', PAGE - 30));
	/* Behind the end: nothing to do, no error; the size stays. */
	EXPECT_EQ(0, punch(obj, 100 * PAGE, PAGE));
	EXPECT_EQ(0, punch(obj, 7 * PAGE, 100 * PAGE));
	EXPECT_EQ(8 * PAGE, lseek(obj, 0, SEEK_END));
	EXPECT_EQ(EINVAL, punch(obj, 0, 0));
	EXPECT_EQ(EINVAL, punch(obj, -1, PAGE));
	EXPECT_EQ(EOPNOTSUPP, ERR(fallocate(obj, FALLOC_FL_PUNCH_HOLE, 0, PAGE)));
	EXPECT_EQ(EOPNOTSUPP, ERR(fallocate(obj, FALLOC_FL_ZERO_RANGE, 0, PAGE)));
	EXPECT_EQ(EOPNOTSUPP, ERR(fallocate(obj, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE)));
out:
	munmap(map, 8 * PAGE);
	close(obj);
}

TEST_F(kmm, allocate_ahead)
{
	int obj = kmm_object_create(self->dev, 8 * PAGE, variant->flags);
	char c;

	ASSERT_LE(0, obj);
	ASSERT_EQ(1, pwrite(obj, "x", 1, 3 * PAGE));
	/* Holes of the range get frames, what is there stays. */
	EXPECT_EQ(0, ERR(fallocate(obj, 0, 2 * PAGE + 5, 3 * PAGE)));
	EXPECT_EQ(variant->flags ? 8 : 4, resident(obj));
	EXPECT_EQ(1, pread(obj, &c, 1, 3 * PAGE));
	EXPECT_EQ('x', c);
	EXPECT_EQ(8 * PAGE, lseek(obj, 0, SEEK_END));
	EXPECT_EQ(EFBIG, ERR(fallocate(obj, 0, KMM_OBJECT_SIZE_MAX, PAGE)));
	EXPECT_EQ(8 * PAGE, lseek(obj, 0, SEEK_END));
	close(obj);
}

TEST_F(kmm, truncate_shrinks_and_grows)
{
	struct kmm_object_info i;
	char buf[PAGE], *map;
	int obj;

	obj = kmm_object_create(self->dev, 8 * PAGE, variant->flags);
	ASSERT_LE(0, obj);
	map = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, map);
	memset(map, 'x', 8 * PAGE);
	if (FIXED) {
		/* Its frames are what they are; only a LOCKED one may get more. */
		EXPECT_EQ(EPERM, ERR(ftruncate(obj, 8 * PAGE - 1)));
		EXPECT_EQ(variant->flags & KMM_OBJECT_CONTIG ? EPERM : 0,
			  ERR(ftruncate(obj, 9 * PAGE)));
		EXPECT_EQ(variant->flags & KMM_OBJECT_CONTIG ? 8 : 9, resident(obj));
		EXPECT_TRUE(all_bytes(map, 'x', 8 * PAGE));
		munmap(map, 8 * PAGE);
		close(obj);
		return;
	}
	ASSERT_EQ(0, ftruncate(obj, 2 * PAGE + 100));
	ASSERT_EQ(0, kmm_object_info(obj, &i));
	EXPECT_EQ(2 * PAGE + 100, i.size_bytes);
	EXPECT_EQ(3, i.resident);
	EXPECT_TRUE(all_bytes(map, 'x', 2 * PAGE + 100));
	/* The rest of the last page is zeroed at once. */
	EXPECT_TRUE(all_bytes(map + 2 * PAGE + 100, 0, PAGE - 100));
	EXPECT_EQ(SIGBUS, touch(map + 3 * PAGE, false));
	EXPECT_EQ(SIGBUS, touch(map + 7 * PAGE, true));
	/* What comes back by growing is zero. */
	ASSERT_EQ(0, ftruncate(obj, 8 * PAGE));
	EXPECT_TRUE(all_bytes(map + 2 * PAGE + 100, 0, 6 * PAGE - 100));
	ASSERT_EQ(PAGE, pread(obj, buf, PAGE, 7 * PAGE));
	EXPECT_TRUE(all_bytes(buf, 0, PAGE));
	EXPECT_EQ(EINVAL, ERR(ftruncate(obj, -1)));
	EXPECT_EQ(EFBIG, ERR(ftruncate(obj, KMM_OBJECT_SIZE_MAX + PAGE)));
	munmap(map, 8 * PAGE);
	close(obj);
}

/* What one process wrote is never seen by the next owner of the frames. */
TEST_F(kmm, frames_never_carry_contents_over)
{
	const size_t size = 256 * PAGE;
	struct kmm_stat s;
	uint64_t nr, i;
	char *map;
	int *obj;

	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
	/* Three quarters of what is free, so that the second round must reuse frames. */
	nr = (s.free + s.cached) * 3 / 4 / 256;
	ASSERT_LT(0, nr);
	obj = calloc(nr, sizeof(*obj));
	for (int round = 0; round < 2; round++) {
		for (i = 0; i < nr; i++) {
			obj[i] = kmm_object_create(self->dev, size, variant->flags);
			if (obj[i] < 0)
				break;
			map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, obj[i], 0);
			ASSERT_NE(MAP_FAILED, map);
			EXPECT_TRUE(all_bytes(map, 0, size));
			memset(map, 0xa5, size);
			munmap(map, size);
		}
		/* A limit may stop it; half of the region twice is more than all of it once. */
		EXPECT_LE(nr * 2 / 3, i) TH_LOG("%s", strerror(-obj[i]));
		while (i > 0)
			close(obj[--i]);
	}
	free(obj);
}

/* The last close frees, not the first: dup, fork, mapping each hold it. */
TEST_F(kmm, lives_until_the_last_reference)
{
	int obj = kmm_object_create(self->dev, 4 * PAGE, variant->flags), other;
	struct kmm_stat s;
	char *map;

	ASSERT_LE(0, obj);
	ASSERT_EQ(2, pwrite(obj, "hi", 2, 0));
	other = dup(obj);
	close(obj);
	map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	ASSERT_NE(MAP_FAILED, map);
	close(other);
	EXPECT_EQ(0, memcmp(map, "hi", 2));
	map[3 * PAGE] = 1;
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
	EXPECT_EQ(self->before.objects + 1, s.objects);
	munmap(map, 4 * PAGE);
}

/* The object outlives the /dev/kmm descriptor that made it. */
TEST_F(kmm, outlives_its_device_descriptor)
{
	int dev = kmm_open(), obj;
	char c = 0;

	ASSERT_LE(0, dev);
	obj = kmm_object_create(dev, 4 * PAGE, variant->flags);
	ASSERT_LE(0, obj);
	close(dev);
	EXPECT_EQ(1, pwrite(obj, "k", 1, 2 * PAGE));
	EXPECT_EQ(1, pread(obj, &c, 1, 2 * PAGE));
	EXPECT_EQ('k', c);
	close(obj);
}

TEST_HARNESS_MAIN
