// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmalloc by slot, and debugfs vmallocinfo. Needs root and debugfs; addresses are those that
 * KMM_OP_ADDR tells.
 */
#include <grp.h>

#include "kmm_test.h"

#define INFO	"/sys/kernel/debug/kmm/vmallocinfo"
#define NOBODY	65534
#define R	KMM_PROT_READ
#define W	KMM_PROT_WRITE
#define X	KMM_PROT_EXEC

/* One line of vmallocinfo. */
struct line {
	uint64_t start, end, size, pages;
	char kind[32], rights[8];
};

static bool parse(const char *text, struct line *l)
{
	const char *pages = strstr(text, " pages=");

	return sscanf(text, "0x%lx-0x%lx %lu", &l->start, &l->end, &l->size) == 3 && pages &&
	       sscanf(pages, " pages=%lu %31s %7s", &l->pages, l->kind, l->rights) == 3;
}

/* The area that starts at an address; with 0 the number of vmalloc areas. */
static unsigned long look(uint64_t start, struct line *l)
{
	FILE *f = fopen(INFO, "re");
	unsigned long nr = 0;
	char text[512];

	while (f && fgets(text, sizeof(text), f)) {
		if (!parse(text, l))
			continue;
		if (start ? l->start == start && strcmp(l->kind, "unpurged") :
			    !strcmp(l->kind, "vmalloc")) {
			nr++;
			if (start)
				break;
		}
	}
	if (f)
		fclose(f);
	return nr;
}

static uint64_t file_frames(int dev)
{
	struct kmm_stat s;

	return kmm_get_stat(dev, 0, &s) < 0 ? UINT64_MAX : s.file_frames;
}

static struct kmm_op vmalloc_op(uint32_t slot, uint64_t size, unsigned int prot)
{
	return (struct kmm_op){ .kind = KMM_OP_VMALLOC, .slot = slot,
				.arg = KMM_VMALLOC_ARG(size, prot), .result = 12345 };
}

/* The result of one operation. */
static int one(int dev, struct kmm_op op)
{
	int done = kmm_ops(dev, &op, 1, 0, NULL);

	return done < 0 ? done : op.result;
}

TEST_F(kmm, every_size)
{
	const uint64_t size[] = {
		1, 4095, 4096, 4097, 65536, 1 << 20, 2 << 20, (2 << 20) + 1, 5 << 20,
	};
	unsigned long areas;
	uint64_t address;
	struct line l;

	if (access(INFO, R_OK))
		SKIP(return, "no debugfs");
	areas = look(0, &l);
	for (uint32_t i = 0; i < ARRAY_SIZE(size); i++) {
		uint64_t pages = (size[i] + PAGE - 1) / PAGE;

		ASSERT_EQ(0, kmm_vmalloc(self->dev, i, size[i], R | W, KMM_OP_ADDR, &address));
		EXPECT_EQ(0, address % PAGE);
		ASSERT_EQ(1, look(address, &l)) TH_LOG("%#lx", address);
		EXPECT_EQ(pages, l.pages);
		EXPECT_LE(address + (pages + 1) * PAGE, l.end);
		EXPECT_EQ(l.end - l.start, l.size);
		EXPECT_STREQ("vmalloc", l.kind);
		EXPECT_STREQ("rw-", l.rights);
		EXPECT_EQ(pages, file_frames(self->dev));
		ASSERT_EQ(0, kmm_vfree(self->dev, i));
		/* at once, though the frames wait for a flush */
		EXPECT_EQ(0, file_frames(self->dev));
		EXPECT_EQ(0, look(address, &l));
	}
	EXPECT_EQ(areas, look(0, &l));
}

TEST_F(kmm, rights)
{
	const unsigned int good[] = { R, R | W, R | X };
	const char *const text[] = { "r--", "rw-", "r-x" };
	uint64_t address;
	struct line l;

	for (unsigned int prot = 0; prot < 256; prot++) {
		bool ok = prot == R || prot == (R | W) || prot == (R | X);

		EXPECT_EQ(ok ? 0 : -EINVAL, one(self->dev, vmalloc_op(0, 1, prot)))
			TH_LOG("prot %#x", prot);
		if (ok) {
			ASSERT_EQ(0, kmm_vfree(self->dev, 0));
		}
	}
	if (access(INFO, R_OK))
		SKIP(return, "no debugfs");
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ASSERT_EQ(0, kmm_vmalloc(self->dev, 0, 9000, good[i], KMM_OP_ADDR | KMM_OP_ZERO,
					 &address));
		ASSERT_EQ(1, look(address, &l));
		EXPECT_STREQ(text[i], l.rights);
		ASSERT_EQ(0, kmm_vfree(self->dev, 0));
	}
}

TEST_F(kmm, sizes_that_cannot_be)
{
	struct kmm_info info;
	uint64_t region;

	ASSERT_EQ(0, kmm_get_info(self->dev, &info));
	region = info.region_bytes;
	const uint64_t size[] = {
		region, region + 1, region * 2, 1ULL << 40, 1ULL << 47, 1ULL << 52, 1ULL << 55,
		(1ULL << 56) - 1, (1ULL << 56) - PAGE, (1ULL << 56) - 2 * PAGE,
	};

	EXPECT_EQ(-EINVAL, one(self->dev, vmalloc_op(0, 0, R | W)));
	for (size_t i = 0; i < ARRAY_SIZE(size); i++) {
		EXPECT_EQ(-ENOMEM, one(self->dev, vmalloc_op(0, size[i], R | W)))
			TH_LOG("%#llx", (unsigned long long)size[i]);
	}
	EXPECT_EQ(0, file_frames(self->dev));
	EXPECT_EQ(-ENOENT, kmm_vfree(self->dev, 0));
}

TEST_F(kmm, bad_entries)
{
	struct kmm_op op = vmalloc_op(0, 1, R | W);

	op.flags = KMM_OP_ATOMIC;
	EXPECT_EQ(-EINVAL, one(self->dev, op));
	op.flags = 8;
	EXPECT_EQ(-EINVAL, one(self->dev, op));
	op.flags = 0;
	op.reserved = 1;
	EXPECT_EQ(-EINVAL, one(self->dev, op));
	op = vmalloc_op(0xffffffff, 1, R | W);
	EXPECT_EQ(-ERANGE, one(self->dev, op));
	/* a slot holds one thing, and each is freed by its own kind */
	ASSERT_EQ(0, kmm_vmalloc(self->dev, 0, 1, R | W, 0, NULL));
	EXPECT_EQ(-EEXIST, kmm_vmalloc(self->dev, 0, 1, R | W, 0, NULL));
	EXPECT_EQ(-EBADSLT, kmm_kfree(self->dev, 0));
	EXPECT_EQ(-EBADSLT, kmm_pages_free(self->dev, 0));
	ASSERT_EQ(0, kmm_kmalloc(self->dev, 1, 100, 0, NULL));
	EXPECT_EQ(-EBADSLT, kmm_vfree(self->dev, 1));
	op = (struct kmm_op){ .kind = KMM_OP_VFREE, .slot = 0, .arg = 1 };
	EXPECT_EQ(-EINVAL, one(self->dev, op));
	op = (struct kmm_op){ .kind = KMM_OP_VFREE, .slot = 0, .flags = KMM_OP_ZERO };
	EXPECT_EQ(-EINVAL, one(self->dev, op));
	ASSERT_EQ(0, kmm_vfree(self->dev, 0));
	EXPECT_EQ(-ENOENT, kmm_vfree(self->dev, 0));
	ASSERT_EQ(0, kmm_kfree(self->dev, 1));
}

TEST_F(kmm, close_frees_everything)
{
	int dev = kmm_open();
	uint64_t sum = 0;
	struct kmm_stat s;

	ASSERT_LE(0, dev);
	for (uint32_t i = 0; i < 500; i++) {
		ASSERT_EQ(0, kmm_vmalloc(dev, i, (1 + i % 20) * PAGE, i & 1 ? R : R | W,
					 i & 2 ? KMM_OP_ZERO : 0, NULL));
		sum += 1 + i % 20;
	}
	ASSERT_EQ(0, kmm_get_stat(dev, KMM_STAT_EXACT, &s));
	EXPECT_EQ(sum, s.file_frames);
	EXPECT_EQ(self->before.used + sum, s.used);
	close(dev);
	EXPECT_TRUE(wait_used(self->dev, self->before.used));
}

/* All that there is, then all comes back: areas of 2 MiB, then pages. */
TEST_F(kmm, exhaustion)
{
	int dev = kmm_open(), err = 0;
	uint32_t slot = 0;
	struct kmm_stat s;

	ASSERT_LE(0, dev);
	for (uint64_t size = 2 << 20; size >= PAGE; size >>= 9) {
		while (slot < 60000 && !(err = kmm_vmalloc(dev, slot, size, R | W, 0, NULL)))
			slot++;
		EXPECT_EQ(-ENOMEM, err);
	}
	ASSERT_EQ(0, kmm_get_stat(dev, KMM_STAT_EXACT, &s));
	EXPECT_EQ(s.total, stat_sum(&s));
	EXPECT_LE(s.free + s.cached, s.watermark_min + 64);
	close(dev);
	EXPECT_TRUE(wait_used(self->dev, self->before.used));
}

TEST_F(kmm, random_against_a_model)
{
	enum { SLOTS = 200, BATCHES = 100, BATCH = 50 };
	uint64_t seed = seed_from_env(), frames = 0, held[SLOTS] = { 0 };
	struct kmm_op op[BATCH];
	struct kmm_stat s;
	int dev = kmm_open();

	ASSERT_LE(0, dev);
	for (int b = 0; b < BATCHES; b++) {
		for (int i = 0; i < BATCH; i++) {
			uint32_t slot = next_random(&seed) % SLOTS;
			uint32_t max = next_random(&seed) % 50 ? 60000 : 5 << 20;
			uint64_t size = 1 + next_random(&seed) % max;

			op[i] = next_random(&seed) & 1 ? vmalloc_op(slot, size, R | W) :
				(struct kmm_op){ .kind = KMM_OP_VFREE, .slot = slot };
		}
		ASSERT_EQ(BATCH, kmm_ops(dev, op, BATCH, KMM_OPS_KEEP_GOING, NULL));
		for (int i = 0; i < BATCH; i++) {
			uint64_t *h = &held[op[i].slot];
			uint64_t pages = ((op[i].arg & ((1ULL << 56) - 1)) + PAGE - 1) / PAGE;

			if (op[i].kind == KMM_OP_VMALLOC) {
				if (op[i].result == -ENOMEM && !*h)
					continue;
				ASSERT_EQ(*h ? -EEXIST : 0, op[i].result);
				if (*h)
					continue;
				*h = pages;
				frames += pages;
			} else {
				ASSERT_EQ(*h ? 0 : -ENOENT, op[i].result);
				frames -= *h;
				*h = 0;
			}
		}
		ASSERT_EQ(0, kmm_get_stat(dev, KMM_STAT_EXACT, &s));
		ASSERT_EQ(s.total, stat_sum(&s));
		ASSERT_EQ(frames, s.file_frames);
		ASSERT_EQ(self->before.used + frames, s.used);
	}
	close(dev);
}

/* What an ordinary user may: no addresses, nothing executable, and not the whole window. */
static int as_nobody(int ready, int go)
{
	uint32_t slot = 0;
	struct kmm_stat s;
	int dev, err;
	char c;

	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		return 1;
	dev = kmm_open();
	if (dev < 0)
		return 2;
	if (kmm_vmalloc(dev, 0, 1, R | W, KMM_OP_ADDR, NULL) != -EPERM)
		return 3;
	if (kmm_vmalloc(dev, 0, 1, R | X, KMM_OP_ZERO, NULL) != -EPERM)
		return 4;
	/* a page and its guard each, until a limit says no, not the window */
	while (!(err = kmm_vmalloc(dev, slot, 1, R | W, 0, NULL)))
		slot++;
	if (err != -EDQUOT)
		return 5;
	if (kmm_get_stat(dev, 0, &s) || s.user_frames < slot)
		return 6;
	if (write(ready, "x", 1) != 1 || read(go, &c, 1) < 0)
		return 7;
	/* freed, it can be had again at once, though nothing was flushed */
	for (uint32_t i = 0; i < slot; i++)
		if (kmm_vfree(dev, i))
			return 8;
	for (uint32_t i = 0; i < slot; i++)
		if (kmm_vmalloc(dev, i, 1, R | W, 0, NULL))
			return 9;
	return 0;
}

TEST_F(kmm, a_user_has_not_the_whole_window)
{
	int ready[2], go[2], dev;
	struct stat st;
	pid_t pid;
	char c;

	ASSERT_EQ(0, stat(KMM_DEVICE, &st));
	ASSERT_EQ(0, chmod(KMM_DEVICE, 0666));
	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->dev);
		close(self->probe);
		close(ready[0]);
		close(go[1]);
		_exit(as_nobody(ready[1], go[0]));
	}
	close(ready[1]);
	close(go[0]);
	if (read(ready[0], &c, 1) == 1) {
		/* there are addresses left for others */
		dev = kmm_open();
		ASSERT_LE(0, dev);
		for (uint32_t i = 0; i < 200; i++)
			EXPECT_EQ(0, kmm_vmalloc(dev, i, 4 * PAGE, R | W, 0, NULL));
		close(dev);
	}
	close(go[1]);
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, chmod(KMM_DEVICE, st.st_mode & 07777));
}

TEST_HARNESS_MAIN
