// SPDX-License-Identifier: GPL-2.0-only
/*
 * Caches and kmalloc by slot, and what debugfs tells of them: slabinfo, slab/CACHE/, slab_explain.
 * Needs root and debugfs. Sizes and alignments are compared with the addresses that
 * KMM_OP_ADDR tells; charges with the slabs that slab/CACHE/objects shows.
 */
#include <dirent.h>
#include <sys/mount.h>

#include "kmm_test.h"

#define DEBUGFS	"/sys/kernel/debug/kmm/"
#define ALL_CACHE_FLAGS	(KMM_CACHE_HWCACHE_ALIGN | KMM_CACHE_RED_ZONE | KMM_CACHE_POISON | \
			 KMM_CACHE_STORE_USER)
#define DEBUG_FLAGS	(KMM_CACHE_RED_ZONE | KMM_CACHE_POISON | KMM_CACHE_STORE_USER)

/* === What debugfs tells === */

struct info {
	uint64_t active, objects, size, per_slab, pages, slabs;
};

/* A cache's line of slabinfo. */
static bool slabinfo(const char *name, struct info *i)
{
	FILE *f = fopen(DEBUGFS "slabinfo", "re");
	char line[512], found[64];
	bool ok = false;

	while (f && !ok && fgets(line, sizeof(line), f))
		ok = sscanf(line, "%63s %lu %lu %lu %lu %lu : tunables %*u %*u %*u : slabdata %*u %lu",
			    found, &i->active, &i->objects, &i->size, &i->per_slab, &i->pages,
			    &i->slabs) == 7 && !strcmp(found, name);
	if (f)
		fclose(f);
	return ok;
}

/* Name of the youngest cache that a session made: the last user-* of slabinfo. */
static bool last_user_cache(char *name)
{
	FILE *f = fopen(DEBUGFS "slabinfo", "re");
	char line[512];
	bool ok = false;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "user-", 5))
			ok = sscanf(line, "%63s", name) == 1;
	if (f)
		fclose(f);
	return ok;
}

struct slabs {
	uint64_t nr, partial, objects, used, cached, free;
};

/* Sums of slab/CACHE/objects or partials. */
static bool sum_slabs(const char *cache, const char *file, struct slabs *s)
{
	unsigned long objects, used, cached, free;
	char path[160], line[256];
	FILE *f;

	*s = (struct slabs){ 0 };
	snprintf(path, sizeof(path), DEBUGFS "slab/%s/%s", cache, file);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*x %*u %lu %lu %lu %lu", &objects, &used, &cached, &free) != 4)
			continue;
		s->nr++;
		s->partial += free && free < objects;
		s->objects += objects;
		s->used += used;
		s->cached += cached;
		s->free += free;
		if (used + cached + free != objects)
			s->nr = 1000000;
	}
	fclose(f);
	return true;
}

/* The answer for an address. */
static bool explain(uint64_t address, char *text, size_t size)
{
	int fd = open(DEBUGFS "slab_explain", O_RDWR | O_CLOEXEC);
	char number[32];
	int len = snprintf(number, sizeof(number), "%#lx", address);
	ssize_t n = -1;

	if (fd >= 0 && write(fd, number, len) == len)
		n = pread(fd, text, size - 1, 0);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = 0;
	return n > 0;
}

static bool says(uint64_t address, const char *what)
{
	char text[8192];

	if (explain(address, text, sizeof(text)) && strstr(text, what))
		return true;
	printf("# wanted '%s', %#lx is\n# %s\n", what, address, text);
	fflush(stdout);
	return false;
}

static uint64_t file_frames(int dev)
{
	struct kmm_stat s;

	return kmm_get_stat(dev, 0, &s) < 0 ? UINT64_MAX : s.file_frames;
}

/* === Caches === */

TEST_F(kmm, cache_gives_objects)
{
	enum { NR = 1000 };
	uint64_t address[NR];

	ASSERT_EQ(0, kmm_cache_create(self->dev, 0, 100, 0, 0));
	for (int i = 0; i < NR; i++) {
		ASSERT_EQ(0, kmm_cache_alloc(self->dev, 1 + i, 0, KMM_OP_ADDR, &address[i]));
		EXPECT_EQ(0, address[i] % 8);
		for (int k = 0; k < i; k++)
			ASSERT_TRUE(address[i] + 100 <= address[k] ||
				    address[k] + 100 <= address[i]);
	}
	for (int i = 0; i < NR; i++)
		ASSERT_EQ(0, kmm_cache_free(self->dev, 1 + i));
	ASSERT_EQ(0, kmm_cache_destroy(self->dev, 0));
	EXPECT_EQ(0, file_frames(self->dev));
	EXPECT_EQ(-ENOENT, kmm_cache_destroy(self->dev, 0));
}

TEST_F(kmm, every_size_and_alignment)
{
	static const uint32_t size[] = { 1, 7, 8, 9, 24, 64, 65, 511, 2048, 4096, 4097, 8191,
					 8192 };
	uint64_t address;

	for (size_t i = 0; i < ARRAY_SIZE(size); i++) {
		for (unsigned int align = 0; align <= KMM_CACHE_ALIGN_LOG2_MAX; align++) {
			ASSERT_EQ(0, kmm_cache_create(self->dev, 0, size[i], align, 0));
			for (int k = 1; k <= 5; k++) {
				ASSERT_EQ(0, kmm_cache_alloc(self->dev, k, 0, KMM_OP_ADDR,
							     &address));
				EXPECT_EQ(0, address % (1UL << align));
			}
			for (int k = 1; k <= 5; k++)
				ASSERT_EQ(0, kmm_cache_free(self->dev, k));
			ASSERT_EQ(0, kmm_cache_destroy(self->dev, 0));
		}
	}
}

TEST_F(kmm, every_flag)
{
	static const uint32_t size[] = { 1, 8, 100, 4096, 8192 };

	for (unsigned int flags = 0; flags <= ALL_CACHE_FLAGS; flags++) {
		for (size_t i = 0; i < ARRAY_SIZE(size); i++) {
			ASSERT_EQ(0, kmm_cache_create(self->dev, 0, size[i], flags & 1 ? 12 : 0,
						      flags));
			for (int k = 1; k <= 20; k++)
				ASSERT_EQ(0, kmm_cache_alloc(self->dev, k, 0, k & 1 ? KMM_OP_ZERO :
							     KMM_OP_ATOMIC, NULL));
			for (int k = 20; k; k--)
				ASSERT_EQ(0, kmm_cache_free(self->dev, k));
			ASSERT_EQ(0, kmm_cache_destroy(self->dev, 0));
		}
	}
}

/* A refused destroy leaves the cache as it is, and no line in the log. */
TEST_F(kmm, destroy_with_objects_is_busy)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char line[4096];
	ssize_t n;

	ASSERT_LE(0, log);
	ASSERT_EQ(0, kmm_cache_create(self->dev, 0, 64, 0, DEBUG_FLAGS));
	ASSERT_EQ(0, kmm_cache_alloc(self->dev, 1, 0, 0, NULL));
	ASSERT_LE(0, lseek(log, 0, SEEK_END));
	for (int i = 0; i < 100; i++)
		ASSERT_EQ(-EBUSY, kmm_cache_destroy(self->dev, 0));
	while ((n = read(log, line, sizeof(line) - 1)) > 0) {
		line[n] = 0;
		EXPECT_EQ(NULL, strstr(line, "kmm")) TH_LOG("%s", line);
		EXPECT_EQ(NULL, strstr(line, "BUG")) TH_LOG("%s", line);
	}
	ASSERT_EQ(0, kmm_cache_alloc(self->dev, 2, 0, 0, NULL));
	ASSERT_EQ(0, kmm_cache_free(self->dev, 1));
	ASSERT_EQ(-EBUSY, kmm_cache_destroy(self->dev, 0));
	ASSERT_EQ(0, kmm_cache_free(self->dev, 2));
	ASSERT_EQ(0, kmm_cache_destroy(self->dev, 0));
	close(log);
}

/* === kmalloc === */

TEST_F(kmm, kmalloc_every_size)
{
	uint64_t address;

	for (uint64_t size = 1; size <= PAGE << KMM_ORDER_MAX; size += 1 + size / 7) {
		ASSERT_EQ(0, kmm_kmalloc(self->dev, 0, size, KMM_OP_ADDR | KMM_OP_ZERO, &address));
		EXPECT_LE((size + PAGE - 1) / PAGE, file_frames(self->dev));
		EXPECT_EQ(0, address % 8);
		/* Its first and its last byte are in one object or block. */
		EXPECT_TRUE(says(address, size > 8192 ? "none, kmalloc of " : "kmalloc-"));
		EXPECT_TRUE(says(address + size - 1, size > 8192 ? "none, kmalloc of " : "in use"));
		ASSERT_EQ(0, kmm_kfree(self->dev, 0));
		EXPECT_EQ(0, file_frames(self->dev)) TH_LOG("%lu bytes", size);
	}
	for (unsigned int log = 3; log <= 22; log++) {
		ASSERT_EQ(0, kmm_kmalloc(self->dev, 0, 1UL << log, KMM_OP_ADDR, &address));
		EXPECT_EQ(0, address % (1UL << log));
		ASSERT_EQ(0, kmm_kfree(self->dev, 0));
	}
}

/* === Errors === */

TEST_F(kmm, wrong_kinds)
{
	ASSERT_EQ(0, kmm_pages_alloc(self->dev, 0, 0, 0));
	ASSERT_EQ(0, kmm_cache_create(self->dev, 1, 64, 0, 0));
	ASSERT_EQ(0, kmm_cache_alloc(self->dev, 2, 1, 0, NULL));
	ASSERT_EQ(0, kmm_kmalloc(self->dev, 3, 64, 0, NULL));
	for (uint32_t slot = 0; slot < 4; slot++) {
		EXPECT_EQ(-EEXIST, kmm_pages_alloc(self->dev, slot, 0, 0));
		EXPECT_EQ(-EEXIST, kmm_cache_create(self->dev, slot, 64, 0, 0));
		EXPECT_EQ(-EEXIST, kmm_cache_alloc(self->dev, slot, 1, 0, NULL));
		EXPECT_EQ(-EEXIST, kmm_kmalloc(self->dev, slot, 64, 0, NULL));
		if (slot != 0) {
			EXPECT_EQ(-EBADSLT, kmm_pages_free(self->dev, slot));
		}
		if (slot != 1) {
			EXPECT_EQ(-EBADSLT, kmm_cache_destroy(self->dev, slot));
			EXPECT_EQ(-EBADSLT, kmm_cache_alloc(self->dev, 9, slot, 0, NULL));
		}
		if (slot != 2) {
			EXPECT_EQ(-EBADSLT, kmm_cache_free(self->dev, slot));
		}
		if (slot != 3) {
			EXPECT_EQ(-EBADSLT, kmm_kfree(self->dev, slot));
		}
	}
	EXPECT_EQ(-ENOENT, kmm_cache_alloc(self->dev, 9, 8, 0, NULL));
	EXPECT_EQ(-ENOENT, kmm_cache_alloc(self->dev, 9, 9, 0, NULL));
	EXPECT_EQ(-ENOENT, kmm_cache_free(self->dev, 9));
	EXPECT_EQ(-ENOENT, kmm_kfree(self->dev, 9));
	EXPECT_EQ(-ENOENT, kmm_cache_destroy(self->dev, 9));
	EXPECT_EQ(-ERANGE, kmm_kmalloc(self->dev, 1U << 31, 64, 0, NULL));
	EXPECT_EQ(-ERANGE, kmm_cache_alloc(self->dev, 9, 1U << 31, 0, NULL));
}

TEST_F(kmm, bad_arguments)
{
	const struct { uint16_t kind, flags; uint64_t arg; int err; } bad[] = {
		{ KMM_OP_CACHE_CREATE, 0, KMM_CACHE_ARG(0, 0, 0), EINVAL },
		{ KMM_OP_CACHE_CREATE, 0, KMM_CACHE_ARG(KMM_CACHE_SIZE_MAX + 1, 0, 0), EINVAL },
		{ KMM_OP_CACHE_CREATE, 0, KMM_CACHE_ARG(0xffffffff, 0, 0), EINVAL },
		{ KMM_OP_CACHE_CREATE, 0, KMM_CACHE_ARG(64, ALL_CACHE_FLAGS + 1, 0), EINVAL },
		{ KMM_OP_CACHE_CREATE, 0, KMM_CACHE_ARG(64, 0x8000, 0), EINVAL },
		{ KMM_OP_CACHE_CREATE, 0, KMM_CACHE_ARG(64, 0, 13), EINVAL },
		{ KMM_OP_CACHE_CREATE, 0, KMM_CACHE_ARG(64, 0, 255), EINVAL },
		{ KMM_OP_CACHE_CREATE, 0, 64 | 1ULL << 56, EINVAL },
		{ KMM_OP_CACHE_CREATE, KMM_OP_ZERO, 64, EINVAL },
		{ KMM_OP_CACHE_CREATE, KMM_OP_ADDR, 64, EINVAL },
		{ KMM_OP_CACHE_DESTROY, 0, 1, EINVAL },
		{ KMM_OP_CACHE_DESTROY, KMM_OP_ADDR, 0, EINVAL },
		{ KMM_OP_CACHE_ALLOC, 8, 0, EINVAL },
		{ KMM_OP_CACHE_ALLOC, 0, 1ULL << 32, EINVAL },
		{ KMM_OP_CACHE_FREE, 0, 1, EINVAL },
		{ KMM_OP_CACHE_FREE, KMM_OP_ZERO, 0, EINVAL },
		{ KMM_OP_KMALLOC, 0, 0, EINVAL },
		{ KMM_OP_KMALLOC, 8, 64, EINVAL },
		{ KMM_OP_KMALLOC, 0, (PAGE << KMM_ORDER_MAX) + 1, EFBIG },
		{ KMM_OP_KMALLOC, 0, ~0ULL, EFBIG },
		{ KMM_OP_KFREE, 0, 1, EINVAL },
		{ KMM_OP_KFREE, KMM_OP_ATOMIC, 0, EINVAL },
		{ KMM_OP_KFREE + 1, 0, 0, EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct kmm_op op = {
			.kind = bad[i].kind, .flags = bad[i].flags, .arg = bad[i].arg,
		};

		ASSERT_EQ(1, kmm_ops(self->dev, &op, 1, 0, NULL));
		EXPECT_EQ(-bad[i].err, op.result) TH_LOG("row %zu", i);
		EXPECT_EQ(bad[i].arg, op.arg);
	}
	EXPECT_EQ(-ENOENT, kmm_kfree(self->dev, 0));
}

/* arg is written when the operation went well and the flag asks for it, else never. */
TEST_F(kmm, only_asked_addresses_are_told)
{
	struct kmm_op op[4] = {
		{ .kind = KMM_OP_KMALLOC, .slot = 0, .arg = 64 },
		{ .kind = KMM_OP_KMALLOC, .slot = 1, .arg = 64, .flags = KMM_OP_ADDR },
		{ .kind = KMM_OP_KMALLOC, .slot = 1, .arg = 65, .flags = KMM_OP_ADDR },
		{ .kind = KMM_OP_PAGES_ALLOC, .slot = 2, .arg = 3, .flags = KMM_OP_ADDR },
	};

	ASSERT_EQ(4, kmm_ops(self->dev, op, 4, KMM_OPS_KEEP_GOING, NULL));
	EXPECT_EQ(64, op[0].arg);
	EXPECT_EQ(1, op[1].arg >> 63);
	EXPECT_EQ(-EEXIST, op[2].result);
	EXPECT_EQ(65, op[2].arg);
	EXPECT_EQ(0, op[3].arg % (8 * PAGE));
	EXPECT_TRUE(says(op[3].arg + 7 * PAGE, "order 3, used"));
}

/* === Close === */

TEST_F(kmm, close_frees_objects_and_caches)
{
	int dev = kmm_open();
	char name[64];

	ASSERT_LE(0, dev);
	/* Objects in lower slots than their caches, in other leaves of the table, of each kind. */
	for (int c = 0; c < 4; c++) {
		ASSERT_EQ(0, kmm_cache_create(dev, 60000 + c, 64 << c, 0, c & 1 ? DEBUG_FLAGS : 0));
		for (int i = 0; i < 300; i++)
			ASSERT_EQ(0, kmm_cache_alloc(dev, i * 100 + c, 60000 + c, 0, NULL));
	}
	for (int i = 0; i < 300; i++)
		ASSERT_EQ(0, kmm_kmalloc(dev, i * 100 + 50, 1 + i * 50, 0, NULL));
	EXPECT_TRUE(last_user_cache(name));
	close(dev);
	EXPECT_TRUE(wait_used(self->dev, self->before.used));
	EXPECT_FALSE(last_user_cache(name));
}

/* === Charges and limits === */

static bool slab_is_hardened(void)
{
	FILE *f = fopen("/sys/module/kmm/parameters/slab_hardened", "re");
	bool on = f && fgetc(f) == 'Y';

	if (f)
		fclose(f);
	return on;
}

TEST_F(kmm, cache_pays_for_its_slabs)
{
	enum { NR = 640 };
	uint64_t address[NR], frames;
	struct slabs s;
	cpu_set_t one;
	char name[64];
	int kept = 0;

	/* each CPU fills a slab of its own */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	ASSERT_EQ(0, kmm_cache_create(self->dev, 0, 64, 0, 0));
	ASSERT_TRUE(last_user_cache(name));
	EXPECT_EQ(0, file_frames(self->dev));
	for (int i = 0; i < NR; i++)
		ASSERT_EQ(0, kmm_cache_alloc(self->dev, 1 + i, 0, KMM_OP_ADDR, &address[i]));
	frames = file_frames(self->dev);
	EXPECT_LE(NR * 64 / PAGE, frames);
	EXPECT_GE(NR * 64 / PAGE + 2, frames);
	/* One object a page stays: none of these pages becomes cheaper. */
	for (int i = 0; i < NR; i++) {
		bool first = true;

		for (int k = 0; k < i; k++)
			first &= address[k] / PAGE != address[i] / PAGE;
		if (first)
			kept++;
		else
			ASSERT_EQ(0, kmm_cache_free(self->dev, 1 + i));
	}
	/* In random order they may lie on one page more. */
	EXPECT_LE(NR * 64 / PAGE, kept);
	EXPECT_GE(NR * 64 / PAGE + slab_is_hardened(), kept);
	ASSERT_TRUE(sum_slabs(name, "objects", &s));
	EXPECT_EQ(kept, s.used);
	EXPECT_LE(s.nr, file_frames(self->dev));
}

TEST_F(kmm, kmalloc_pays_for_the_peak)
{
	enum { NR = 640 };

	for (int i = 0; i < NR; i++) {
		ASSERT_EQ(0, kmm_kmalloc(self->dev, i, 60, 0, NULL));
		ASSERT_EQ((i * 64 + 64 + PAGE - 1) / PAGE, file_frames(self->dev));
	}
	for (int i = 0; i < NR - 1; i++)
		ASSERT_EQ(0, kmm_kfree(self->dev, i));
	EXPECT_EQ(NR * 64 / PAGE, file_frames(self->dev));
	/* Up to the peak it costs nothing more. */
	for (int i = 0; i < NR - 1; i++)
		ASSERT_EQ(0, kmm_kmalloc(self->dev, i, 33, 0, NULL));
	EXPECT_EQ(NR * 64 / PAGE, file_frames(self->dev));
	for (int i = 0; i < NR; i++)
		ASSERT_EQ(0, kmm_kfree(self->dev, i));
	EXPECT_EQ(0, file_frames(self->dev));
}

/* Takes what one kind of operation gives, in slots 1 and up, until it is refused. */
static int take_all(int dev, uint16_t kind, uint64_t arg, const struct kmm_info *info)
{
	static struct kmm_op op[1024];
	uint32_t failed = 0, slot = 1;
	struct kmm_stat s;
	int n = 0;

	while (!failed) {
		for (int i = 0; i < 1024; i++)
			op[i] = (struct kmm_op){ .kind = kind, .slot = slot + i, .arg = arg };
		n = kmm_ops(dev, op, 1024, 0, &failed);
		if (n <= 0)
			return 2;
		slot += n;
	}
	if (kmm_get_stat(dev, 0, &s) < 0)
		return 3;
	printf("# kind %u: %u, then %s; %llu frames, %llu bytes of the host\n", kind, slot - 2,
	       strerror(-op[n - 1].result), s.user_frames, s.user_host_bytes);
	fflush(stdout);
	if (s.user_frames > info->user_limits.frames ||
	    s.user_host_bytes > info->user_limits.host_bytes)
		return 4;
	return op[n - 1].result == -EDQUOT ? 0 : 5;
}

TEST_F(kmm, limits_hold)
{
	const struct { uint16_t kind; uint64_t arg; } row[] = {
		{ KMM_OP_CACHE_CREATE, KMM_CACHE_ARG(64, 0, 0) },
		{ KMM_OP_CACHE_ALLOC, 0 },
		{ KMM_OP_KMALLOC, 4096 },
		{ KMM_OP_KMALLOC, 1 << 20 },
	};
	struct kmm_info info;
	struct stat st;

	ASSERT_EQ(0, kmm_get_info(self->probe, &info));
	ASSERT_EQ(0, stat(KMM_DEVICE, &st));
	ASSERT_EQ(0, chmod(KMM_DEVICE, 0666));
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			int dev;

			become_nobody(64);
			dev = kmm_open();
			if (dev < 0 || kmm_cache_create(dev, 0, 4000, 0, 0))
				_exit(1);
			_exit(take_all(dev, row[i].kind, row[i].arg, &info));
		}
		EXPECT_EQ(0, wait_child(pid)) TH_LOG("row %zu", i);
	}
	ASSERT_EQ(0, chmod(KMM_DEVICE, st.st_mode & 07777));
}

TEST_F(kmm, addresses_are_for_the_admin)
{
	struct stat st;
	pid_t pid;

	ASSERT_EQ(0, stat(KMM_DEVICE, &st));
	ASSERT_EQ(0, chmod(KMM_DEVICE, 0666));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		uint64_t address = 0;
		int dev;

		become_nobody(64);
		dev = kmm_open();
		if (dev < 0 || kmm_kmalloc(dev, 0, 64, 0, NULL) ||
		    kmm_cache_create(dev, 1, 64, 0, 0))
			_exit(1);
		if (kmm_kmalloc(dev, 2, 64, KMM_OP_ADDR, &address) != -EPERM ||
		    kmm_cache_alloc(dev, 2, 1, KMM_OP_ADDR, &address) != -EPERM || address)
			_exit(2);
		_exit(open(DEBUGFS "slab_explain", O_RDWR) < 0 ? 0 : 3);
	}
	EXPECT_EQ(0, wait_child(pid));
	ASSERT_EQ(0, chmod(KMM_DEVICE, st.st_mode & 07777));
}

/* === debugfs === */

TEST_F(kmm, slabinfo_and_objects_agree)
{
	enum { NR = 1000 };
	struct slabs all, partial;
	struct info i;
	char name[64];

	ASSERT_EQ(0, kmm_cache_create(self->dev, 0, 200, 0, 0));
	ASSERT_TRUE(last_user_cache(name));
	for (int k = 0; k < NR; k++)
		ASSERT_EQ(0, kmm_cache_alloc(self->dev, 1 + k, 0, 0, NULL));
	for (int k = 0; k < NR; k += 3)
		ASSERT_EQ(0, kmm_cache_free(self->dev, 1 + k));
	ASSERT_TRUE(slabinfo(name, &i));
	ASSERT_TRUE(sum_slabs(name, "objects", &all));
	ASSERT_TRUE(sum_slabs(name, "partials", &partial));
	EXPECT_EQ(NR - (NR + 2) / 3, i.active);
	EXPECT_EQ(200, i.size);
	EXPECT_EQ(i.slabs * i.per_slab, i.objects);
	EXPECT_EQ(i.active, all.used);
	EXPECT_EQ(i.objects, all.objects);
	EXPECT_EQ(i.slabs, all.nr);
	EXPECT_EQ(all.partial, partial.nr);
	shrink_slabs();
	/* Now every free object is in its slab, and there is no empty slab. */
	ASSERT_TRUE(sum_slabs(name, "objects", &all));
	ASSERT_TRUE(sum_slabs(name, "partials", &partial));
	EXPECT_EQ(0, all.cached);
	EXPECT_EQ(NR - (NR + 2) / 3, all.used);
	EXPECT_EQ(all.free, partial.free);
	EXPECT_EQ(all.partial, partial.nr);
}

TEST_F(kmm, explain_names_the_object)
{
	char text[8192], state[100], cache[100];
	uint64_t address;

	ASSERT_EQ(0, kmm_kmalloc(self->dev, 0, 50, KMM_OP_ADDR, &address));
	EXPECT_TRUE(says(address, "cache:     kmalloc-64, objects of 64 bytes, 64 apart"));
	EXPECT_TRUE(says(address, "offset 0\n"));
	EXPECT_TRUE(says(address + 5, "offset 5\n"));
	EXPECT_TRUE(says(address + 63, "offset 63\n"));
	EXPECT_TRUE(says(address, "state:     in use"));
	snprintf(state, sizeof(state), "at %#lx,", address);
	EXPECT_TRUE(says(address + 9, state));
	ASSERT_EQ(0, kmm_kfree(self->dev, 0));
	EXPECT_TRUE(says(address, "state:     free"));

	ASSERT_EQ(0, kmm_cache_create(self->dev, 1, 40, 0, DEBUG_FLAGS));
	ASSERT_TRUE(last_user_cache(text));
	snprintf(cache, sizeof(cache), "cache:     %.60s, objects of 40 bytes", text);
	ASSERT_EQ(0, kmm_cache_alloc(self->dev, 0, 1, KMM_OP_ADDR, &address));
	EXPECT_TRUE(says(address, cache));
	EXPECT_TRUE(says(address, "allocated: by "));
	EXPECT_TRUE(says(address, "        kmm_session_run"));
	ASSERT_TRUE(explain(address, text, sizeof(text)));
	EXPECT_EQ(NULL, strstr(text, "freed:"));
	ASSERT_EQ(0, kmm_cache_free(self->dev, 0));
	/* The slab is kept; the object in it tells both. */
	EXPECT_TRUE(says(address, "state:     free"));
	EXPECT_TRUE(says(address, "allocated: by "));
	EXPECT_TRUE(says(address, "freed:     by "));
}

TEST_F(kmm, explain_takes_any_address)
{
	const uint64_t outside[] = { 0, 1, PAGE, 0x7fffffffe000, 0x8000000000000000,
				     0xffffffff81000000, 0xfffffffffffff000, ~0UL,
				     (uintptr_t)&outside, 0xffff888000000000 };
	int fd = open(DEBUGFS "slab_explain", O_RDWR | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
		EXPECT_TRUE(says(outside[i], "frame:     none, not in the region"));
	ASSERT_LE(0, fd);
	EXPECT_EQ(EINVAL, ERR(write(fd, "xyz", 3)));
	EXPECT_EQ(EINVAL, ERR(write(fd, "", 0)));
	EXPECT_EQ(ERANGE, ERR(write(fd, "11112222333344445", 17)));
	close(fd);
}

TEST_F(kmm, owners_are_counted)
{
	unsigned long n, sum = 0;
	char path[160], line[512];
	char name[64];
	bool named = false;
	FILE *f;

	ASSERT_EQ(0, kmm_cache_create(self->dev, 0, 64, 0, KMM_CACHE_STORE_USER));
	ASSERT_TRUE(last_user_cache(name));
	for (int i = 0; i < 123; i++)
		ASSERT_EQ(0, kmm_cache_alloc(self->dev, 1 + i, 0, 0, NULL));
	for (int i = 0; i < 23; i++)
		ASSERT_EQ(0, kmm_cache_free(self->dev, 1 + i));
	snprintf(path, sizeof(path), DEBUGFS "slab/%s/owners", name);
	f = fopen(path, "re");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%7lu", &n) == 1 && strstr(line, "[kmm] age="))
			sum += n;
		named |= strstr(line, "        kmm_session_run") == line;
	}
	fclose(f);
	EXPECT_EQ(100, sum);
	EXPECT_TRUE(named);
	ASSERT_EQ(0, kmm_cache_create(self->dev, 500, 64, 0, 0));
	ASSERT_TRUE(last_user_cache(name));
	snprintf(path, sizeof(path), DEBUGFS "slab/%s/owners", name);
	f = fopen(path, "re");
	ASSERT_NE(NULL, f);
	EXPECT_NE(NULL, fgets(line, sizeof(line), f));
	EXPECT_EQ(0, strncmp(line, "not kept", 8));
	fclose(f);
}

TEST_F(kmm, an_open_file_outlives_its_cache)
{
	static const char *const file[] = { "objects", "partials", "owners" };
	char path[160], name[64], c;
	int fd[3];

	ASSERT_EQ(0, kmm_cache_create(self->dev, 0, 64, 0, 0));
	ASSERT_TRUE(last_user_cache(name));
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), DEBUGFS "slab/%s/%s", name, file[i]);
		fd[i] = open(path, O_RDONLY | O_CLOEXEC);
		ASSERT_LE(0, fd[i]);
		EXPECT_EQ(1, read(fd[i], &c, 1));
	}
	ASSERT_EQ(0, kmm_cache_destroy(self->dev, 0));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(EIO, ERR(pread(fd[i], &c, 1, 0)));
		close(fd[i]);
	}
	EXPECT_EQ(ENOENT, ERR(open(path, O_RDONLY | O_CLOEXEC)));
}

static volatile bool stop_readers;

/* Reads every file of every cache, again and again. */
static void *read_all(void *unused)
{
	static const char *const file[] = { "objects", "partials", "owners" };
	char path[400], buf[4096];
	struct dirent *e;
	DIR *d;

	while (!stop_readers) {
		d = opendir(DEBUGFS "slab");
		while (d && (e = readdir(d)) != NULL) {
			for (int i = 0; i < 3; i++) {
				int fd;

				snprintf(path, sizeof(path), DEBUGFS "slab/%s/%s", e->d_name,
					 file[i]);
				fd = open(path, O_RDONLY | O_CLOEXEC);
				while (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
					;
				if (fd >= 0)
					close(fd);
			}
		}
		if (d)
			closedir(d);
	}
	return unused;
}

TEST_F(kmm, caches_come_and_go_under_readers)
{
	uint64_t end = now_ms() + env_number("KMM_RACE_MS", 1000);
	unsigned long rounds = 0;
	pthread_t t;

	stop_readers = false;
	ASSERT_EQ(0, pthread_create(&t, NULL, read_all, NULL));
	do {
		for (int c = 0; c < 4; c++)
			ASSERT_EQ(0, kmm_cache_create(self->dev, c, 64, 0,
						      c & 1 ? DEBUG_FLAGS : 0));
		for (int i = 0; i < 200; i++)
			ASSERT_EQ(0, kmm_cache_alloc(self->dev, 10 + i, i % 4, 0, NULL));
		for (int i = 0; i < 200; i++)
			ASSERT_EQ(0, kmm_cache_free(self->dev, 10 + i));
		for (int c = 0; c < 4; c++)
			ASSERT_EQ(0, kmm_cache_destroy(self->dev, c));
		rounds++;
	} while (now_ms() < end);
	stop_readers = true;
	ASSERT_EQ(0, pthread_join(t, NULL));
	printf("# %lu rounds\n", rounds);
}

/* slabtop reads /proc/slabinfo only: ours takes its place, in a mount space of our own. */
TEST_F(kmm, slabtop_reads_it)
{
	pid_t pid;

	if (access("/usr/bin/slabtop", X_OK))
		SKIP(return, "no slabtop");
	ASSERT_EQ(0, kmm_cache_create(self->dev, 0, 56, 0, 0));
	for (int i = 0; i < 5000; i++)
		ASSERT_EQ(0, kmm_cache_alloc(self->dev, 1 + i, 0, 0, NULL));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount(DEBUGFS "slabinfo", "/proc/slabinfo", NULL, MS_BIND, NULL))
			_exit(100);
		execl("/bin/sh", "sh", "-c",
		      "slabtop -o -s o >/tmp/slabtop.$$ || exit 1; "
		      "awk '$2 == 5000 && $8 ~ /^user-/ { good = 1 } END { exit !good }' "
		      "/tmp/slabtop.$$ && exit 0; sed 's/^/# /' /tmp/slabtop.$$; exit 2", NULL);
		_exit(101);
	}
	EXPECT_EQ(0, wait_child(pid));
}

/* === All of it at random, against a model === */

enum { CACHES = 6, SLOTS = 600 };

struct model {
	uint16_t kind;		/* of the operation that filled the slot; 0: pages */
	bool full;
	uint32_t cache;
	uint64_t address;
	uint64_t size;
};

static int by_address(const void *a, const void *b)
{
	const struct model *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

/* No two that are held overlap. */
static bool disjoint(const struct model *model)
{
	static struct model held[SLOTS];
	int n = 0;

	for (int i = CACHES; i < SLOTS; i++)
		if (model[i].full)
			held[n++] = model[i];
	qsort(held, n, sizeof(*held), by_address);
	for (int i = 1; i < n; i++)
		if (held[i - 1].address + held[i - 1].size > held[i].address)
			return false;
	return true;
}

TEST_F(kmm, random_against_a_model)
{
	enum { BATCHES = 300, BATCH = 100 };
	static const uint16_t free_of[] = {
		[KMM_OP_PAGES_ALLOC] = KMM_OP_PAGES_FREE, [KMM_OP_CACHE_ALLOC] = KMM_OP_CACHE_FREE,
		[KMM_OP_KMALLOC] = KMM_OP_KFREE,
	};
	static const uint16_t kinds[] = { KMM_OP_PAGES_ALLOC, KMM_OP_CACHE_ALLOC, KMM_OP_KMALLOC };
	static struct model model[SLOTS];
	uint64_t seed = seed_from_env(), live[CACHES] = { 0 };
	uint64_t size[CACHES] = { 0 };
	struct kmm_op op[BATCH];

	memset(model, 0, sizeof(model));
	for (int b = 0; b < BATCHES; b++) {
		/* A cache is made, or destroyed if nobody has an object of it. */
		int c = next_random(&seed) % CACHES;

		if (!size[c]) {
			size[c] = 1 + next_random(&seed) % (next_random(&seed) & 1 ? 200 : 8192);
			ASSERT_EQ(0, kmm_cache_create(self->dev, c, size[c], 0,
						      next_random(&seed) & ALL_CACHE_FLAGS));
		} else if (next_random(&seed) % 4 == 0) {
			ASSERT_EQ(live[c] ? -EBUSY : 0, kmm_cache_destroy(self->dev, c));
			if (!live[c])
				size[c] = 0;
		}
		for (int i = 0; i < BATCH; i++) {
			uint32_t slot = CACHES + next_random(&seed) % (SLOTS - CACHES);
			uint16_t kind = kinds[next_random(&seed) % 3];

			op[i] = (struct kmm_op){ .kind = kind, .slot = slot, .flags = KMM_OP_ADDR };
			if (next_random(&seed) & 1) {
				op[i].kind = free_of[kind];
				op[i].flags = 0;
			} else if (kind == KMM_OP_KMALLOC) {
				op[i].arg = 1 + next_random(&seed) %
					    (next_random(&seed) & 1 ? 300 : 20000);
			} else if (kind == KMM_OP_CACHE_ALLOC) {
				op[i].arg = next_random(&seed) % CACHES;
			} else {
				op[i].arg = next_random(&seed) % 3;
			}
			/* One at a time: the model must know the argument that ADDR overwrites. */
			uint64_t arg = op[i].arg;
			struct model *m = &model[slot];
			int want = 0;

			if (op[i].flags) {
				if (kind == KMM_OP_CACHE_ALLOC && !size[arg])
					want = -ENOENT;
				else if (m->full)
					want = -EEXIST;
			} else if (!m->full) {
				want = -ENOENT;
			} else if (m->kind != kind) {
				want = -EBADSLT;
			}
			ASSERT_EQ(1, kmm_ops(self->dev, &op[i], 1, 0, NULL));
			ASSERT_EQ(want, op[i].result) TH_LOG("kind %u arg %lu", op[i].kind, arg);
			if (want)
				continue;
			if (op[i].flags) {
				*m = (struct model){ .kind = kind, .full = true, .cache = arg,
						     .address = op[i].arg };
				m->size = kind == KMM_OP_KMALLOC ? arg :
					  kind == KMM_OP_CACHE_ALLOC ? size[arg] : PAGE << arg;
			} else {
				m->full = false;
			}
			if (kind == KMM_OP_CACHE_ALLOC)
				live[m->cache] += op[i].flags ? 1 : -1;
		}
		ASSERT_TRUE(disjoint(model));
	}
}

TEST_HARNESS_MAIN
