// SPDX-License-Identifier: GPL-2.0-only
/* Advice about pages, limits of objects and spaces. No swap is needed: unwritten pages can go. */
#include "kmm_test.h"

#define NR	64

static uint64_t resident(int obj)
{
	struct kmm_object_info i;

	return kmm_object_info(obj, &i) ? ~0ULL : i.resident;
}

/* Reads all pages of @obj, which are zeros. */
static void read_all(struct __test_metadata *_metadata, int obj)
{
	char buf[PAGE];

	for (int i = 0; i < NR; i++) {
		ASSERT_EQ(PAGE, pread(obj, buf, PAGE, (off_t)i * PAGE));
		for (size_t k = 0; k < PAGE; k++)
			ASSERT_EQ(0, buf[k]);
	}
}

FIXTURE_VARIANT(kmm) {
	int unused;
};

FIXTURE_VARIANT_ADD(kmm, object) { .unused = 0 };

TEST_F(kmm, pageout_drops_what_was_never_written)
{
	int obj = kmm_object_create(self->dev, NR * PAGE, 0);
	volatile char *p;

	ASSERT_LE(0, obj);
	p = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < NR; i++)
		ASSERT_EQ(0, p[i * PAGE]);
	EXPECT_EQ(NR, resident(obj));
	EXPECT_EQ(NR, kmm_object_advise(obj, 0, NR * PAGE, KMM_ADVISE_PAGEOUT));
	EXPECT_EQ(0, resident(obj));
	for (int i = 0; i < NR; i++)
		ASSERT_EQ(0, p[i * PAGE]);
	/* half a page counts as a whole, what is behind the end as nothing */
	EXPECT_EQ(2, kmm_object_advise(obj, PAGE - 1, 2, KMM_ADVISE_PAGEOUT));
	EXPECT_EQ(1, kmm_object_advise(obj, (NR - 1) * PAGE, UINT64_MAX / 2, KMM_ADVISE_PAGEOUT));
	EXPECT_EQ(0, kmm_object_advise(obj, NR * PAGE, PAGE, KMM_ADVISE_PAGEOUT));
	EXPECT_EQ(0, kmm_object_advise(obj, 0, 0, KMM_ADVISE_PAGEOUT));
	EXPECT_EQ(NR - 3, resident(obj));
	munmap((void *)p, NR * PAGE);
	close(obj);
}

TEST_F(kmm, what_was_written_stays_without_swap)
{
	int obj = kmm_object_create(self->dev, NR * PAGE, 0);
	volatile char *p;

	ASSERT_LE(0, obj);
	p = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < NR; i++)
		p[i * PAGE + i] = i + 1;
	EXPECT_EQ(0, kmm_object_advise(obj, 0, NR * PAGE, KMM_ADVISE_PAGEOUT));
	EXPECT_EQ(NR, resident(obj));
	EXPECT_EQ(NR, kmm_object_advise(obj, 0, NR * PAGE, KMM_ADVISE_COLD));
	EXPECT_EQ(NR, kmm_object_advise(obj, 0, NR * PAGE, KMM_ADVISE_WILLNEED));
	for (int i = 0; i < NR; i++)
		ASSERT_EQ(i + 1, p[i * PAGE + i]);
	munmap((void *)p, NR * PAGE);
	close(obj);
}

TEST_F(kmm, bad_advice)
{
	int obj = kmm_object_create(self->dev, NR * PAGE, 0);
	int locked = kmm_object_create(self->dev, PAGE, KMM_OBJECT_LOCKED);

	ASSERT_LE(0, obj);
	ASSERT_LE(0, locked);
	EXPECT_EQ(-EINVAL, kmm_object_advise(obj, 0, PAGE, 0));
	EXPECT_EQ(-EINVAL, kmm_object_advise(obj, 0, PAGE, 4));
	EXPECT_EQ(-EINVAL, kmm_object_advise(obj, 0, PAGE, ~0U));
	EXPECT_EQ(-EINVAL, kmm_object_advise(obj, 2, UINT64_MAX - 1, KMM_ADVISE_COLD));
	EXPECT_EQ(-EPERM, kmm_object_advise(locked, 0, PAGE, KMM_ADVISE_PAGEOUT));
	EXPECT_EQ(-EPERM, kmm_object_limit(locked, 1));
	EXPECT_EQ(-EINVAL, kmm_object_limit(obj, 1ULL << 40));
	EXPECT_EQ(-EINVAL, kmm_object_limit(obj, UINT64_MAX));
	EXPECT_EQ(0, kmm_object_limit(obj, 0));
	close(locked);
	close(obj);
}

TEST_F(kmm, limit_of_an_object)
{
	int obj = kmm_object_create(self->dev, NR * PAGE, 0);
	struct kmm_object_info i;

	ASSERT_LE(0, obj);
	read_all(_metadata, obj);
	/* reading a hole by read(2) makes no page */
	EXPECT_EQ(0, resident(obj));
	ASSERT_EQ(0, kmm_object_limit(obj, 8));
	ASSERT_EQ(0, kmm_object_info(obj, &i));
	EXPECT_EQ(8, i.limit);
	volatile char *p = mmap(NULL, NR * PAGE, PROT_READ, MAP_SHARED, obj, 0);

	ASSERT_NE(MAP_FAILED, p);
	for (int round = 0; round < 3; round++)
		for (int k = 0; k < NR; k++) {
			ASSERT_EQ(0, p[k * PAGE]);
			ASSERT_GE(8, resident(obj));
		}
	/* written pages cannot go without swap: the ninth is refused, and nothing is lost */
	for (int k = 0; k < 8; k++)
		ASSERT_EQ(1, pwrite(obj, "x", 1, k * PAGE));
	EXPECT_EQ(ENOMEM, ERR(pwrite(obj, "x", 1, 9 * PAGE)));
	ASSERT_EQ(0, kmm_object_limit(obj, 0));
	EXPECT_EQ(1, pwrite(obj, "x", 1, 9 * PAGE));
	for (int k = 0; k < 8; k++)
		EXPECT_EQ('x', p[k * PAGE]);
	munmap((void *)p, NR * PAGE);
	close(obj);
}

TEST_F(kmm, limit_of_a_space)
{
	int obj = kmm_object_create(self->dev, NR * PAGE, 0), space = kmm_space_create(self->dev);
	struct kmm_space_info i;
	uint64_t addr = 0, anon = 0, base;
	char c;

	ASSERT_LE(0, obj);
	ASSERT_LE(0, space);
	ASSERT_EQ(0, kmm_space_info(space, &i));
	base = i.resident;
	ASSERT_EQ(0, kmm_space_map(space, &addr, NR * PAGE, KMM_PROT_READ, KMM_MAP_SHARED, obj, 0));
	ASSERT_EQ(0, kmm_space_limit(space, base + 8));
	for (int round = 0; round < 3; round++)
		for (int k = 0; k < NR; k++) {
			ASSERT_EQ(1, pread(space, &c, 1, addr + k * PAGE));
			ASSERT_EQ(0, c);
			ASSERT_EQ(0, kmm_space_info(space, &i));
			/* a fault brings its neighbours */
			ASSERT_GE(base + 8 + 15, i.resident);
		}
	/* nobody else shows them, so they have left the region, too */
	EXPECT_GE(8 + 15, resident(obj));
	/* private frames stay: there is room for so many only */
	ASSERT_EQ(0, kmm_space_map(space, &anon, NR * PAGE, KMM_PROT_READ | KMM_PROT_WRITE,
				   KMM_MAP_PRIVATE, -1, 0));
	for (int k = 0; k < 8; k++)
		ASSERT_EQ(1, pwrite(space, "y", 1, anon + k * PAGE));
	EXPECT_GE(0, pwrite(space, "y", 1, anon + 8 * PAGE));
	ASSERT_EQ(0, kmm_space_limit(space, 0));
	EXPECT_EQ(1, pwrite(space, "y", 1, anon + 8 * PAGE));
	for (int k = 0; k < 9; k++) {
		ASSERT_EQ(1, pread(space, &c, 1, anon + k * PAGE));
		EXPECT_EQ('y', c);
	}
	close(space);
	close(obj);
}

TEST_HARNESS_MAIN
