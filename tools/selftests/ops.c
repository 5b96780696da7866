// SPDX-License-Identifier: GPL-2.0-only
/* KMM_IOC_OPS: batches of allocations by slot. */
#include "kmm_test.h"

#define NR	1000

static struct kmm_op alloc_op(uint32_t slot, uint64_t order)
{
	return (struct kmm_op){ .kind = KMM_OP_PAGES_ALLOC, .slot = slot, .arg = order,
				.result = 12345 };
}

static struct kmm_op free_op(uint32_t slot)
{
	return (struct kmm_op){ .kind = KMM_OP_PAGES_FREE, .slot = slot, .result = 12345 };
}

static unsigned long max_slots(void)
{
	FILE *f = fopen("/sys/module/kmm/parameters/max_slots", "r");
	unsigned long n = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%lu", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

TEST_F(kmm, batch_allocates_and_frees)
{
	struct kmm_op op[NR];
	struct kmm_stat s;
	uint64_t frames = 0;
	uint32_t failed = 99;

	for (int i = 0; i < NR; i++) {
		op[i] = alloc_op(i, i % 4);
		frames += 1 << i % 4;
	}
	ASSERT_EQ(NR, kmm_ops(self->dev, op, NR, 0, &failed));
	EXPECT_EQ(0, failed);
	for (int i = 0; i < NR; i++)
		EXPECT_EQ(0, op[i].result);
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
	EXPECT_EQ(self->before.used + frames, s.used);
	EXPECT_EQ(frames, s.file_frames);
	for (int i = 0; i < NR; i++)
		op[i] = free_op(NR - 1 - i);
	ASSERT_EQ(NR, kmm_ops(self->dev, op, NR, 0, &failed));
	EXPECT_EQ(0, failed);
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
	EXPECT_EQ(0, s.file_frames);
}

TEST_F(kmm, every_order)
{
	struct kmm_stat s;

	for (unsigned int o = 0; o <= KMM_ORDER_MAX; o++) {
		ASSERT_EQ(0, kmm_pages_alloc(self->dev, o, o, o & 1 ? KMM_OP_ZERO : 0));
		ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
		EXPECT_EQ(self->before.used + (2UL << o) - 1, s.used);
	}
	for (unsigned int o = 0; o <= KMM_ORDER_MAX; o++)
		ASSERT_EQ(0, kmm_pages_free(self->dev, o));
	EXPECT_EQ(-EINVAL, kmm_pages_alloc(self->dev, 0, KMM_ORDER_MAX + 1, 0));
	EXPECT_EQ(-EINVAL, kmm_pages_alloc(self->dev, 0, ~0u, 0));
}

TEST_F(kmm, atomic_and_zero)
{
	ASSERT_EQ(0, kmm_pages_alloc(self->dev, 0, 2, KMM_OP_ATOMIC));
	ASSERT_EQ(0, kmm_pages_alloc(self->dev, 1, 2, KMM_OP_ATOMIC | KMM_OP_ZERO));
	ASSERT_EQ(0, kmm_pages_free(self->dev, 0));
	ASSERT_EQ(0, kmm_pages_free(self->dev, 1));
}

TEST_F(kmm, slots_are_full_or_empty)
{
	EXPECT_EQ(-ENOENT, kmm_pages_free(self->dev, 5));
	ASSERT_EQ(0, kmm_pages_alloc(self->dev, 5, 1, 0));
	EXPECT_EQ(-EEXIST, kmm_pages_alloc(self->dev, 5, 1, 0));
	ASSERT_EQ(0, kmm_pages_free(self->dev, 5));
	EXPECT_EQ(-ENOENT, kmm_pages_free(self->dev, 5));
}

TEST_F(kmm, slots_belong_to_the_open_file)
{
	int other = kmm_open();

	ASSERT_LE(0, other);
	ASSERT_EQ(0, kmm_pages_alloc(self->dev, 7, 0, 0));
	EXPECT_EQ(-ENOENT, kmm_pages_free(other, 7));
	ASSERT_EQ(0, kmm_pages_alloc(other, 7, 0, 0));
	ASSERT_EQ(0, kmm_pages_free(self->dev, 7));
	close(other);
}

TEST_F(kmm, slot_number_has_a_limit)
{
	unsigned long n = max_slots();

	ASSERT_LT(0, n);
	ASSERT_EQ(0, kmm_pages_alloc(self->dev, n - 1, 0, 0));
	ASSERT_EQ(0, kmm_pages_free(self->dev, n - 1));
	EXPECT_EQ(-ERANGE, kmm_pages_alloc(self->dev, n, 0, 0));
	EXPECT_EQ(-ERANGE, kmm_pages_free(self->dev, n));
	EXPECT_EQ(-ERANGE, kmm_pages_alloc(self->dev, 0xffffffff, 0, 0));
}

TEST_F(kmm, a_failure_ends_the_batch)
{
	struct kmm_op op[5] = {
		alloc_op(0, 0), alloc_op(1, 0), free_op(9), alloc_op(2, 0), alloc_op(3, 0),
	};
	uint32_t failed = 99;

	ASSERT_EQ(3, kmm_ops(self->dev, op, 5, 0, &failed));
	EXPECT_EQ(1, failed);
	EXPECT_EQ(0, op[0].result);
	EXPECT_EQ(0, op[1].result);
	EXPECT_EQ(-ENOENT, op[2].result);
	/* Behind it nothing was touched. */
	EXPECT_EQ(12345, op[3].result);
	EXPECT_EQ(12345, op[4].result);
	EXPECT_EQ(-ENOENT, kmm_pages_free(self->dev, 2));
	ASSERT_EQ(0, kmm_pages_free(self->dev, 0));
	ASSERT_EQ(0, kmm_pages_free(self->dev, 1));
}

TEST_F(kmm, keep_going)
{
	struct kmm_op op[6] = {
		alloc_op(0, 0), alloc_op(0, 0), free_op(9),
		alloc_op(1, 77), alloc_op(2, 0), free_op(0),
	};
	uint32_t failed = 99;

	ASSERT_EQ(6, kmm_ops(self->dev, op, 6, KMM_OPS_KEEP_GOING, &failed));
	EXPECT_EQ(3, failed);
	EXPECT_EQ(0, op[0].result);
	EXPECT_EQ(-EEXIST, op[1].result);
	EXPECT_EQ(-ENOENT, op[2].result);
	EXPECT_EQ(-EINVAL, op[3].result);
	EXPECT_EQ(0, op[4].result);
	EXPECT_EQ(0, op[5].result);
	ASSERT_EQ(0, kmm_pages_free(self->dev, 2));
}

TEST_F(kmm, bad_entries)
{
	struct kmm_op op[6] = {
		alloc_op(0, 0), alloc_op(0, 0), alloc_op(0, 0), free_op(0), alloc_op(0, 1ULL << 32),
		alloc_op(0, 0),
	};
	uint32_t failed;

	op[0].kind = 99;
	op[1].flags = 8;
	op[2].reserved = 1;
	op[3].arg = 1;			/* PAGES_FREE has none */
	op[5].kind = 0xffff;
	ASSERT_EQ(6, kmm_ops(self->dev, op, 6, KMM_OPS_KEEP_GOING, &failed));
	EXPECT_EQ(6, failed);
	for (int i = 0; i < 6; i++) {
		EXPECT_EQ(-EINVAL, op[i].result) TH_LOG("entry %d", i);
	}
}

TEST_F(kmm, bad_batches)
{
	struct kmm_op op = alloc_op(0, 0);
	struct kmm_ops b = { .ops = (uintptr_t)&op, .nr = 1 };

	b.nr = 0;
	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_OPS, &b)));
	b.nr = KMM_OPS_MAX + 1;
	EXPECT_EQ(E2BIG, ERR(ioctl(self->dev, KMM_IOC_OPS, &b)));
	b.nr = 0xffffffff;
	EXPECT_EQ(E2BIG, ERR(ioctl(self->dev, KMM_IOC_OPS, &b)));
	b.nr = 1;
	b.flags = 2;
	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_OPS, &b)));
	b.flags = 0;
	EXPECT_EQ(12345, op.result);
	EXPECT_EQ(-ENOENT, kmm_pages_free(self->dev, 0));
}

TEST_F(kmm, bad_arrays)
{
	const uint64_t bad[] = { 0, 8, 0xffff888000000000, 0xffffffffffffffff, 0x7ffffffff000,
				 0xffffffff81000000, 0xfffffffffffffff0 };
	struct kmm_ops b = { .nr = 1 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		b.ops = bad[i];
		b.nr = 1;
		EXPECT_EQ(EFAULT, ERR(ioctl(self->dev, KMM_IOC_OPS, &b))) TH_LOG("%zu", i);
		b.nr = KMM_OPS_MAX;
		EXPECT_EQ(EFAULT, ERR(ioctl(self->dev, KMM_IOC_OPS, &b))) TH_LOG("%zu", i);
	}
}

/*
 * The array ends at a page that is not there, or results cannot be written: what was done is
 * said, and close frees it all.
 */
TEST_F(kmm, arrays_that_end_or_are_read_only)
{
	int dev = kmm_open();
	struct kmm_ops b = { 0 };
	struct kmm_op *op;
	char *p;

	ASSERT_LE(0, dev);
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	munmap(p + PAGE, PAGE);
	op = (struct kmm_op *)(p + PAGE) - 4;
	for (int i = 0; i < 4; i++)
		op[i] = alloc_op(i, 0);
	b.ops = (uintptr_t)op;
	b.nr = 8;
	if (ioctl(dev, KMM_IOC_OPS, &b)) {
		EXPECT_EQ(EFAULT, errno);
	} else {
		EXPECT_EQ(4, b.done - b.failed);
	}
	op[0] = alloc_op(100, 0);
	ASSERT_EQ(0, mprotect(p, PAGE, PROT_READ));
	b = (struct kmm_ops){ .ops = (uintptr_t)op, .nr = 1 };
	EXPECT_EQ(EFAULT, ERR(ioctl(dev, KMM_IOC_OPS, &b)));
	close(dev);
	EXPECT_TRUE(wait_used(self->dev, self->before.used));
	munmap(p, PAGE);
}

/* An address that is not aligned for struct kmm_op is as good as any. */
TEST_F(kmm, unaligned_array)
{
	char buf[3 * sizeof(struct kmm_op) + 1];
	struct kmm_op op[2] = { alloc_op(0, 0), free_op(0) };
	struct kmm_ops b = { .ops = (uintptr_t)(buf + 1), .nr = 2 };

	memcpy(buf + 1, op, sizeof(op));
	ASSERT_EQ(0, ioctl(self->dev, KMM_IOC_OPS, &b));
	EXPECT_EQ(2, b.done);
	EXPECT_EQ(0, b.failed);
}

/* The results go to an object of kmm's own, not resident yet. */
TEST_F(kmm, array_in_a_kmm_mapping)
{
	struct kmm_op *op = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->dev, 0);
	uint32_t failed;

	ASSERT_NE(MAP_FAILED, op);
	/* All zero: an order-0 allocation into slot 0; the second finds it used. */
	ASSERT_EQ(8, kmm_ops(self->dev, op, 8, KMM_OPS_KEEP_GOING, &failed));
	EXPECT_EQ(7, failed);
	EXPECT_EQ(0, op[0].result);
	EXPECT_EQ(-EEXIST, op[7].result);
	ASSERT_EQ(0, kmm_pages_free(self->dev, 0));
	munmap(op, 16 * PAGE);
}

TEST_F(kmm, close_frees_everything)
{
	struct kmm_op *op = calloc(KMM_OPS_MAX, sizeof(*op));
	int dev = kmm_open(), n = 4000, done;
	struct kmm_stat s;

	ASSERT_LE(0, dev);
	ASSERT_NE(NULL, op);
	for (int i = 0; i < n; i++)
		op[i] = alloc_op(i, i % 3);
	done = kmm_ops(dev, op, n, 0, NULL);
	ASSERT_EQ(n, done);
	ASSERT_EQ(0, kmm_get_stat(dev, KMM_STAT_EXACT, &s));
	EXPECT_LT(self->before.used + n, s.used);
	close(dev);
	free(op);
	EXPECT_TRUE(wait_used(self->dev, self->before.used));
}

/* The whole region, by every order downwards, until nothing is left; then it all comes back. */
TEST_F(kmm, exhaustion)
{
	struct kmm_op op[64];
	int dev = kmm_open(), done, order = KMM_ORDER_MAX;
	uint32_t slot = 0, failed;
	uint64_t frames = 0;
	struct kmm_stat s;

	ASSERT_LE(0, dev);
	while (order >= 0) {
		for (int i = 0; i < 64; i++)
			op[i] = alloc_op(slot + i, order);
		done = kmm_ops(dev, op, 64, 0, &failed);
		ASSERT_LT(0, done);
		slot += done - failed;
		frames += (uint64_t)(done - failed) << order;
		if (failed) {
			ASSERT_EQ(-ENOMEM, op[done - 1].result);
			order--;
		}
	}
	ASSERT_EQ(0, kmm_get_stat(dev, KMM_STAT_EXACT, &s));
	EXPECT_EQ(s.total, stat_sum(&s));
	EXPECT_EQ(self->before.used + frames, s.used);
	/* Order 0 goes on while a frame is free outside the reserve, wherever it is cached. */
	EXPECT_LE(s.free + s.cached, s.watermark_min + 64);
	close(dev);
}

TEST_F(kmm, random_against_a_model)
{
	enum { SLOTS = 400, BATCHES = 200, BATCH = 100 };
	struct { bool full; unsigned int order; } model[SLOTS] = { 0 };
	uint64_t seed = seed_from_env(), frames = 0;
	struct kmm_op op[BATCH];
	struct kmm_stat s;
	int dev = kmm_open();

	ASSERT_LE(0, dev);
	for (int b = 0; b < BATCHES; b++) {
		for (int i = 0; i < BATCH; i++) {
			uint32_t slot = next_random(&seed) % SLOTS;

			op[i] = next_random(&seed) & 1 ? alloc_op(slot, next_random(&seed) % 6) :
				free_op(slot);
		}
		ASSERT_EQ(BATCH, kmm_ops(dev, op, BATCH, KMM_OPS_KEEP_GOING, NULL));
		for (int i = 0; i < BATCH; i++) {
			uint32_t slot = op[i].slot;

			if (op[i].kind == KMM_OP_PAGES_ALLOC) {
				if (op[i].result == -ENOMEM && !model[slot].full)
					continue;
				ASSERT_EQ(model[slot].full ? -EEXIST : 0, op[i].result);
				if (model[slot].full)
					continue;
				model[slot].full = true;
				model[slot].order = op[i].arg;
				frames += 1UL << op[i].arg;
			} else {
				ASSERT_EQ(model[slot].full ? 0 : -ENOENT, op[i].result);
				if (!model[slot].full)
					continue;
				model[slot].full = false;
				frames -= 1UL << model[slot].order;
			}
		}
		ASSERT_EQ(0, kmm_get_stat(dev, KMM_STAT_EXACT, &s));
		ASSERT_EQ(s.total, stat_sum(&s));
		ASSERT_EQ(frames, s.file_frames);
		ASSERT_EQ(self->before.used + frames, s.used);
	}
	close(dev);
}

/* A signal ends a batch between two entries; what was done is said. */
TEST_F(kmm, killed_in_a_batch)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		struct kmm_op *op = calloc(KMM_OPS_MAX, sizeof(*op));
		int dev = kmm_open();

		for (;;) {
			for (int i = 0; i < KMM_OPS_MAX; i++)
				op[i] = i & 1 ? free_op(i / 2 % 500) : alloc_op(i / 2 % 500, 3);
			if (kmm_ops(dev, op, KMM_OPS_MAX, KMM_OPS_KEEP_GOING, NULL) < 0)
				_exit(1);
		}
	}
	sleep_ms(100);
	kill(pid, SIGKILL);
	EXPECT_EQ(256 + SIGKILL, wait_child(pid));
}

TEST_HARNESS_MAIN
