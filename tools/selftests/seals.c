// SPDX-License-Identifier: GPL-2.0-only
/* Seals: memfd's meaning, and no way round them. */
#include "kmm_test.h"

static int punch(int obj, off_t off, off_t len)
{
	return ERR(fallocate(obj, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len));
}

static uint32_t seals_of(int obj)
{
	struct kmm_object_info i;

	return kmm_object_info(obj, &i) ? ~0u : i.seals;
}

FIXTURE_VARIANT(kmm) {
	uint32_t flags;
};

FIXTURE_VARIANT_ADD(kmm, demand) { .flags = 0 };
FIXTURE_VARIANT_ADD(kmm, locked) { .flags = KMM_OBJECT_LOCKED };

#define LOCKED (variant->flags & KMM_OBJECT_LOCKED)

TEST_F(kmm, add_and_read)
{
	int obj = kmm_object_create(self->dev, 4 * PAGE, variant->flags);
	uint32_t s = 77;

	ASSERT_LE(0, obj);
	ASSERT_EQ(0, kmm_object_seal(obj, 0, &s));
	EXPECT_EQ(0, s);
	ASSERT_EQ(0, kmm_object_seal(obj, KMM_SEAL_GROW, &s));
	EXPECT_EQ(KMM_SEAL_GROW, s);
	/* They add up, and adding one twice is fine. */
	ASSERT_EQ(0, kmm_object_seal(obj, KMM_SEAL_SHRINK | KMM_SEAL_GROW, &s));
	EXPECT_EQ(KMM_SEAL_GROW | KMM_SEAL_SHRINK, s);
	EXPECT_EQ(KMM_SEAL_GROW | KMM_SEAL_SHRINK, seals_of(obj));
	ASSERT_EQ(0, kmm_object_seal(obj, KMM_SEAL_SEAL, &s));
	EXPECT_EQ(-EPERM, kmm_object_seal(obj, KMM_SEAL_WRITE, NULL));
	EXPECT_EQ(-EPERM, kmm_object_seal(obj, KMM_SEAL_SEAL, NULL));
	ASSERT_EQ(0, kmm_object_seal(obj, 0, &s));
	EXPECT_EQ(KMM_SEAL_GROW | KMM_SEAL_SHRINK | KMM_SEAL_SEAL, s);
	close(obj);
}

TEST_F(kmm, shrink_and_grow)
{
	int obj = kmm_object_create(self->dev, 4 * PAGE, variant->flags);

	ASSERT_LE(0, obj);
	ASSERT_EQ(0, kmm_object_seal(obj, KMM_SEAL_GROW, NULL));
	EXPECT_EQ(EPERM, ERR(ftruncate(obj, 5 * PAGE)));
	EXPECT_EQ(EPERM, ERR(ftruncate(obj, 4 * PAGE + 1)));
	EXPECT_EQ(LOCKED ? EPERM : 0, ERR(ftruncate(obj, 3 * PAGE)));
	ASSERT_EQ(0, kmm_object_seal(obj, KMM_SEAL_SHRINK, NULL));
	EXPECT_EQ(EPERM, ERR(ftruncate(obj, 2 * PAGE)));
	EXPECT_EQ(EPERM, ERR(ftruncate(obj, 0)));
	/* To the same size changes nothing and is allowed. */
	EXPECT_EQ(0, ERR(ftruncate(obj, LOCKED ? 4 * PAGE : 3 * PAGE)));
	EXPECT_EQ(1, pwrite(obj, "x", 1, 0));
	close(obj);
}

TEST_F(kmm, write)
{
	int obj = kmm_object_create(self->dev, 4 * PAGE, variant->flags);
	char *p, buf[2];

	ASSERT_LE(0, obj);
	ASSERT_EQ(2, pwrite(obj, "hi", 2, 0));
	ASSERT_EQ(0, kmm_object_seal(obj, KMM_SEAL_WRITE, NULL));
	EXPECT_EQ(EPERM, ERR(pwrite(obj, "no", 2, 0)));
	EXPECT_EQ(EPERM, ERR(write(obj, "no", 2)));
	EXPECT_EQ(EPERM, punch(obj, 0, PAGE));
	EXPECT_EQ(EPERM, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0));
	EXPECT_EQ(EPERM, mmap_err(PAGE, PROT_WRITE, MAP_SHARED, obj, 0));
	/* Reading goes on, and cannot be turned into writing. */
	p = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, memcmp(p, "hi", 2));
	EXPECT_EQ(0, touch(p + 3 * PAGE, false));
	EXPECT_EQ(EACCES, ERR(mprotect(p, PAGE, PROT_READ | PROT_WRITE)));
	EXPECT_EQ(EACCES, ERR(mprotect(p, PAGE, PROT_WRITE)));
	EXPECT_EQ(SIGSEGV, touch(p, true));
	EXPECT_EQ(0, memcmp(p, "hi", 2));
	munmap(p, 4 * PAGE);
	EXPECT_EQ(2, pread(obj, buf, 2, 0));
	close(obj);
}

TEST_F(kmm, write_is_busy_while_somebody_could_write)
{
	int obj = kmm_object_create(self->dev, 4 * PAGE, variant->flags);
	char *p;

	ASSERT_LE(0, obj);
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-EBUSY, kmm_object_seal(obj, KMM_SEAL_WRITE, NULL));
	EXPECT_EQ(0, seals_of(obj));
	p[0] = 1;
	EXPECT_EQ(1, pwrite(obj, "x", 1, 1));
	/* A part of it is enough. */
	munmap(p, 3 * PAGE);
	EXPECT_EQ(-EBUSY, kmm_object_seal(obj, KMM_SEAL_WRITE, NULL));
	/* A mapping that is read-only now could be made writable again. */
	ASSERT_EQ(0, mprotect(p + 3 * PAGE, PAGE, PROT_READ));
	EXPECT_EQ(-EBUSY, kmm_object_seal(obj, KMM_SEAL_WRITE, NULL));
	munmap(p + 3 * PAGE, PAGE);
	EXPECT_EQ(0, kmm_object_seal(obj, KMM_SEAL_WRITE, NULL));
	close(obj);
}

/* The child's copy of the mapping counts like its parent's. */
TEST_F(kmm, write_is_busy_for_a_forked_mapping)
{
	int obj = kmm_object_create(self->dev, PAGE, variant->flags), go[2];
	pid_t pid;
	char *p;

	ASSERT_LE(0, obj);
	ASSERT_EQ(0, pipe(go));
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		char c;

		close(go[1]);
		_exit(read(go[0], &c, 1) != 0);
	}
	munmap(p, PAGE);
	EXPECT_EQ(-EBUSY, kmm_object_seal(obj, KMM_SEAL_WRITE, NULL));
	close(go[1]);
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, kmm_object_seal(obj, KMM_SEAL_WRITE, NULL));
	close(go[0]);
	close(obj);
}

TEST_F(kmm, future_write)
{
	int obj = kmm_object_create(self->dev, 4 * PAGE, variant->flags);
	char *p, *q;

	ASSERT_LE(0, obj);
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, kmm_object_seal(obj, KMM_SEAL_FUTURE_WRITE, NULL));
	/* The mapping that exists writes on, in new pages too. */
	p[0] = 1;
	p[3 * PAGE] = 2;
	EXPECT_EQ(EPERM, ERR(pwrite(obj, "x", 1, 0)));
	EXPECT_EQ(EPERM, punch(obj, 0, PAGE));
	EXPECT_EQ(EPERM, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0));
	q = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(1, q[0]);
	EXPECT_EQ(2, q[3 * PAGE]);
	EXPECT_EQ(EACCES, ERR(mprotect(q, PAGE, PROT_READ | PROT_WRITE)));
	munmap(q, 4 * PAGE);
	munmap(p, 4 * PAGE);
	close(obj);
}

TEST_F(kmm, seal_and_reopen)
{
	int obj = kmm_object_create(self->dev, PAGE, variant->flags), ro;
	uint32_t s;

	ASSERT_LE(0, obj);
	ASSERT_EQ(0, kmm_object_seal(obj, KMM_SEAL_GROW, NULL));
	ro = kmm_object_reopen(obj, KMM_REOPEN_RDONLY);
	ASSERT_LE(0, ro);
	/* Seals belong to the object. */
	EXPECT_EQ(KMM_SEAL_GROW, seals_of(ro));
	ASSERT_EQ(0, kmm_object_seal(ro, 0, &s));
	EXPECT_EQ(KMM_SEAL_GROW, s);
	EXPECT_EQ(-EACCES, kmm_object_seal(ro, KMM_SEAL_SHRINK, NULL));
	EXPECT_EQ(KMM_SEAL_GROW, seals_of(obj));
	close(ro);
	close(obj);
}

TEST_HARNESS_MAIN
