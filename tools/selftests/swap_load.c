// SPDX-License-Identifier: GPL-2.0-only
/*
 * More pages than the region has frames: written through mmap, then every byte is looked at, over
 * every backend and with every policy, with two writers, with fork, while policies change and
 * areas come and go; kill -9; devices that fail at exact sectors, forget writes, or go; files that
 * somebody else writes to. Pages are right, or SIGBUS, never wrong.
 *
 * The module is loaded anew, with a small region.
 */
#include "swap_test.h"

#define MB		(1UL << 20)
#define REGION_MB	4UL
/* Four times the region. */
#define PAGES		(4 * REGION_MB * MB / PAGE)
#define AREA_BYTES	(9 * REGION_MB * MB)

/* The module with a region of so many MiB, if it is not that one already. */
static int load_module(unsigned long mb)
{
	const char *ko = getenv("KMM_KO");
	struct kmm_info info = { 0 };
	int dev = kmm_open();

	if (dev >= 0) {
		kmm_get_info(dev, &info);
		close(dev);
		if (info.region_bytes == mb * MB)
			return 0;
		if (run("rmmod kmm"))
			return -EBUSY;
	}
	return run("insmod %s region_mb=%lu", ko ? ko : "kmm.ko", mb) ? -EIO : 0;
}

/* === Contents === */

static uint64_t word_of(uint64_t page, uint64_t version, unsigned int i)
{
	uint64_t x = (page << 20 | version << 9 | i) * 0x9e3779b97f4a7c15ULL;

	/* half of it can be compressed */
	return i & 1 ? x ^ x >> 29 : page;
}

static void fill_page(void *p, uint64_t page, uint64_t version)
{
	uint64_t *w = p;

	for (unsigned int i = 0; i < PAGE / 8; i++)
		w[i] = word_of(page, version, i);
}

static bool page_is(const void *p, uint64_t page, uint64_t version)
{
	const uint64_t *w = p;

	for (unsigned int i = 0; i < PAGE / 8; i++)
		if (w[i] != word_of(page, version, i))
			return false;
	return true;
}

/* False: SIGBUS, there is no room for it. */
static bool try_fill_page(void *p, uint64_t page, uint64_t version)
{
	struct sigaction sa = { .sa_handler = touch_handler }, old;
	bool ok;

	sigaction(SIGBUS, &sa, &old);
	ok = !sigsetjmp(touch_env, 1);
	if (ok)
		fill_page(p, page, version);
	sigaction(SIGBUS, &old, NULL);
	return ok;
}

/* Pages that are not what was written. */
static unsigned long count_wrong(const char *p, unsigned long first, unsigned long nr,
				 uint64_t version)
{
	unsigned long wrong = 0;

	for (unsigned long i = first; i < first + nr; i++)
		wrong += !page_is(p + i * PAGE, i, version);
	return wrong;
}

static void fill_pages(char *p, unsigned long first, unsigned long nr, uint64_t version)
{
	for (unsigned long i = first; i < first + nr; i++)
		fill_page(p + i * PAGE, i, version);
}

enum verdict { RIGHT, WRONG, LOST };

/* One page that may be out of reach: that raises SIGBUS. */
static enum verdict check_page(const void *p, uint64_t page, uint64_t version)
{
	struct sigaction sa = { .sa_handler = touch_handler }, old;
	enum verdict v;

	sigaction(SIGBUS, &sa, &old);
	if (sigsetjmp(touch_env, 1))
		v = LOST;
	else
		v = page_is(p, page, version) ? RIGHT : WRONG;
	sigaction(SIGBUS, &old, NULL);
	return v;
}

/* As count_wrong(); those that are out of reach are counted apart. */
static unsigned long count_wrong_or_lost(const char *p, unsigned long nr, uint64_t version,
					 unsigned long *lost)
{
	unsigned long count[3] = { 0 };

	for (unsigned long i = 0; i < nr; i++)
		count[check_page(p + i * PAGE, i, version)]++;
	*lost = count[LOST];
	return count[WRONG];
}

static char *map_pages(int dev, unsigned long nr)
{
	return mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dev, 0);
}

/* === Areas === */

enum backend { LZ4, ZSTD, DEVICE, EXT4, TMPFS, OVERLAY, NR_BACKENDS };

static const char *const backend_names[] = {
	"ram lz4", "ram zstd", "loop device", "ext4 file", "tmpfs file", "overlay file",
};

#define OVERLAY_FILE	"/kmm-swap-overlay"

/* One more area; its number. fd: of the file or device, for whom wants to damage it. */
static int add_area(int dev, enum backend b, int prio, int *fd)
{
	char loop[64];
	int f = -1, id;

	switch (b) {
	case LZ4:
		return kmm_swap_on_ram(dev, "lz4", AREA_BYTES, prio);
	case ZSTD:
		return kmm_swap_on_ram(dev, "zstd", AREA_BYTES, prio);
	case DEVICE:
		f = make_loop("dev.img", AREA_BYTES, loop);
		break;
	case EXT4:
		if (mount_ext4(AREA_BYTES + 8 * MB, loop))
			return -EIO;
		f = make_file(WORK "/fs/swap", AREA_BYTES, false);
		break;
	case TMPFS:
		f = make_file(WORK "/swap", AREA_BYTES, true);
		break;
	case OVERLAY:
		f = make_file(OVERLAY_FILE, AREA_BYTES, true);
		break;
	default:
		break;
	}
	if (f < 0)
		return f;
	id = kmm_swap_on(dev, f, prio);
	if (fd)
		*fd = f;
	else
		close(f);
	return id;
}

static void drop_area(enum backend b)
{
	if (b == EXT4)
		umount(WORK "/fs");
	unlink(OVERLAY_FILE);
	unlink(WORK "/swap");
	unlink(WORK "/dev.img");
}

static uint64_t area_used(int dev, int id)
{
	struct kmm_swap_info i;

	return kmm_swap_info(dev, id, &i) ? ~0ULL : i.used;
}

/* Objects go a little after their last descriptor. */
static bool wait_unused(int dev, int id)
{
	for (int i = 0; i < 2000; i++) {
		if (!area_used(dev, id))
			return true;
		sleep_ms(5);
	}
	return false;
}

static int set_policy(int dev, unsigned int number)
{
	struct kmm_policy_info i;
	unsigned int nr = 0;

	while (!kmm_policy_info(dev, nr, &i))
		nr++;
	if (!nr || kmm_policy_info(dev, number % nr, &i))
		return -ENOENT;
	return kmm_policy_set(dev, (const char *)i.name);
}

static unsigned int count_policies(int dev)
{
	struct kmm_policy_info i;
	unsigned int nr = 0;

	while (!kmm_policy_info(dev, nr, &i))
		nr++;
	return nr;
}

/* === The fixture === */

FIXTURE(load) {
	int probe;
	int dev;
	unsigned long scale;		/* soak does more */
	struct kmm_stat before;
};

FIXTURE_SETUP(load)
{
	ASSERT_EQ(0, begin_work("300m"));
	ASSERT_EQ(0, load_module(REGION_MB));
	self->scale = env_number("KMM_SWAP_SCALE", 1);
	setlinebuf(stdout);
	self->probe = kmm_open();
	ASSERT_LE(0, self->probe);
	/* of a test that was killed */
	for (int i = 0; i < KMM_SWAP_AREAS_MAX; i++)
		kmm_swap_off(self->probe, i);
	shrink_slabs();
	ASSERT_EQ(0, kmm_get_stat(self->probe, KMM_STAT_EXACT, &self->before));
	self->dev = kmm_open();
	ASSERT_LE(0, self->dev);
}

FIXTURE_TEARDOWN(load)
{
	struct kmm_stat now;

	EXPECT_EQ(0, count_areas(self->probe));
	close(self->dev);
	EXPECT_EQ(0, settle(self->probe, &self->before, &now));
	EXPECT_TRUE(same_frames(&self->before, &now)) {
		print_stat("before", &self->before);
		print_stat("after", &now);
	}
	close(self->probe);
	EXPECT_EQ(0, end_work());
}

/* Four times the region out and in; the area is empty afterwards. */
static void roundtrip(struct __test_metadata *_metadata, int dev, int id, bool again,
		      const char *what)
{
	uint64_t start = now_ms();
	char *p = map_pages(dev, PAGES);
	struct kmm_swap_info i;

	ASSERT_NE(MAP_FAILED, p);
	fill_pages(p, 0, PAGES, 1);
	EXPECT_LT(PAGES / 2, area_used(dev, id));
	EXPECT_EQ(0, count_wrong(p, 0, PAGES, 1)) TH_LOG("%s", what);
	/* other contents: slots are used again */
	if (again) {
		fill_pages(p, PAGES / 2, PAGES / 2, 2);
		EXPECT_EQ(0, count_wrong(p, 0, PAGES / 2, 1)) TH_LOG("%s", what);
		EXPECT_EQ(0, count_wrong(p, PAGES / 2, PAGES / 2, 2)) TH_LOG("%s", what);
	}
	EXPECT_EQ(0, kmm_swap_info(dev, id, &i));
	EXPECT_EQ(0, i.errors + i.corrupt);
	EXPECT_LT(PAGES / 2, i.written);
	EXPECT_LT(PAGES / 2, i.read);
	munmap(p, PAGES * PAGE);
	EXPECT_TRUE(wait_unused(dev, id)) TH_LOG("%s", what);
	printf("# %s: %llu pages out, %llu in, %llu ms\n", what, (unsigned long long)i.written,
	       (unsigned long long)i.read, (unsigned long long)(now_ms() - start));
}

TEST_F_TIMEOUT(load, each_backend, 600)
{
	for (unsigned int b = 0; b < NR_BACKENDS; b++) {
		int id = add_area(self->dev, b, 0, NULL);

		ASSERT_LE(0, id) TH_LOG("%s: %d", backend_names[b], id);
		roundtrip(_metadata, self->dev, id, self->scale > 1, backend_names[b]);
		EXPECT_EQ(0, kmm_swap_off(self->dev, id)) TH_LOG("%s", backend_names[b]);
		drop_area(b);
	}
}

TEST_F_TIMEOUT(load, each_policy, 600)
{
	unsigned int nr = count_policies(self->dev);
	struct kmm_policy_info info;
	char what[64];

	ASSERT_LT(7, nr);
	for (unsigned int b = 0; b < (self->scale > 1 ? NR_BACKENDS : 1); b++) {
		int id = add_area(self->dev, b, 0, NULL);

		ASSERT_LE(0, id);
		for (unsigned int k = 0; k < nr; k++) {
			ASSERT_EQ(0, kmm_policy_info(self->dev, k, &info));
			ASSERT_EQ(0, kmm_policy_set(self->dev, (const char *)info.name));
			snprintf(what, sizeof(what), "%s, %s", backend_names[b],
				 (const char *)info.name);
			roundtrip(_metadata, self->dev, id, self->scale > 1, what);
		}
		EXPECT_EQ(0, kmm_swap_off(self->dev, id));
		drop_area(b);
	}
}

/* read and write of the object instead of a mapping. */
TEST_F(load, by_read_and_write)
{
	int id = add_area(self->dev, LZ4, 0, NULL), obj;
	static char buf[8 * PAGE];
	unsigned long wrong = 0;

	ASSERT_LE(0, id);
	obj = kmm_object_create(self->dev, PAGES * PAGE, 0);
	ASSERT_LE(0, obj);
	for (unsigned long i = 0; i < PAGES; i += 8) {
		for (int k = 0; k < 8; k++)
			fill_page(buf + k * PAGE, i + k, 3);
		ASSERT_EQ(sizeof(buf), pwrite(obj, buf, sizeof(buf), i * PAGE));
	}
	for (unsigned long i = 0; i < PAGES; i += 8) {
		ASSERT_EQ(sizeof(buf), pread(obj, buf, sizeof(buf), i * PAGE));
		for (int k = 0; k < 8; k++)
			wrong += !page_is(buf + k * PAGE, i + k, 3);
	}
	EXPECT_EQ(0, wrong);
	/* what is cut off gives its slots back */
	ASSERT_EQ(0, ftruncate(obj, 0));
	EXPECT_EQ(0, area_used(self->dev, id));
	close(obj);
	EXPECT_EQ(0, kmm_swap_off(self->dev, id));
}

/* === Several at once === */

static int load_dev;
static char *load_map;
static volatile bool load_stop;
static volatile unsigned long load_wrong;

struct writer {
	unsigned long first, nr;
	unsigned int rounds;
};

/* Its own pages, again and again, in another order each time. */
static void *writer(void *arg)
{
	struct writer *w = arg;
	unsigned long wrong = 0;

	fill_pages(load_map, w->first, w->nr, 0);
	for (unsigned int r = 1; r <= w->rounds; r++)
		for (unsigned long k = 0; k < w->nr; k++) {
			unsigned long i = w->first + (r & 1 ? k : (k * 7919) % w->nr);

			wrong += !page_is(load_map + i * PAGE, i, r - 1);
			fill_page(load_map + i * PAGE, i, r);
		}
	wrong += count_wrong(load_map, w->first, w->nr, w->rounds);
	__sync_fetch_and_add(&load_wrong, wrong);
	return NULL;
}

/* Another policy every few milliseconds. */
static void *policy_switcher(void *arg)
{
	unsigned long *switches = arg;

	while (!load_stop) {
		if (set_policy(load_dev, *switches))
			__sync_fetch_and_add(&load_wrong, 1);
		(*switches)++;
		sleep_ms(3);
	}
	return NULL;
}

/* A second area comes and goes; that its pages find no room at home is no mistake. */
static void *area_switcher(void *arg)
{
	unsigned long *offs = arg;

	while (!load_stop) {
		int id = kmm_swap_on_ram(load_dev, "lz4", AREA_BYTES, 7), ret;

		if (id < 0) {
			__sync_fetch_and_add(&load_wrong, 1);
			break;
		}
		sleep_ms(20);
		do {
			ret = kmm_swap_off(load_dev, id);
			*offs += !ret;
			if (ret && ret != -ENOMEM)
				__sync_fetch_and_add(&load_wrong, 1);
			if (ret)
				sleep_ms(5);
		} while (ret == -ENOMEM && !load_stop);
	}
	return NULL;
}

TEST_F_TIMEOUT(load, two_writers_while_policies_and_areas_change, 600)
{
	struct writer w[2] = {
		{ 0, PAGES / 4, 2 * self->scale }, { PAGES / 4, PAGES / 4, 2 * self->scale },
	};
	unsigned long switches = 0, offs = 0;
	pthread_t t[4];
	int id;

	id = add_area(self->dev, TMPFS, 0, NULL);
	ASSERT_LE(0, id);
	load_dev = self->dev;
	load_map = map_pages(self->dev, PAGES);
	ASSERT_NE(MAP_FAILED, load_map);
	load_stop = false;
	load_wrong = 0;
	ASSERT_EQ(0, pthread_create(&t[0], NULL, writer, &w[0]));
	ASSERT_EQ(0, pthread_create(&t[1], NULL, writer, &w[1]));
	ASSERT_EQ(0, pthread_create(&t[2], NULL, policy_switcher, &switches));
	ASSERT_EQ(0, pthread_create(&t[3], NULL, area_switcher, &offs));
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	load_stop = true;
	pthread_join(t[2], NULL);
	pthread_join(t[3], NULL);
	EXPECT_EQ(0, load_wrong);
	munmap(load_map, PAGES * PAGE);
	for (int i = 0; i < KMM_SWAP_AREAS_MAX; i++)
		if (area_used(self->dev, i) != ~0ULL) {
			EXPECT_TRUE(wait_unused(self->dev, i));
			EXPECT_EQ(0, kmm_swap_off(self->dev, i));
		}
	drop_area(TMPFS);
	printf("# %lu changes of the policy, %lu areas came and went\n", switches, offs);
	EXPECT_LT(5, switches);
}

/* A child sees what the parent wrote, and the reverse: the mapping is shared. */
TEST_F_TIMEOUT(load, fork_shares_what_is_in_swap, 600)
{
	int id = add_area(self->dev, ZSTD, 0, NULL);
	char *p = map_pages(self->dev, PAGES);
	pid_t pid;

	ASSERT_LE(0, id);
	ASSERT_NE(MAP_FAILED, p);
	fill_pages(p, 0, PAGES, 1);
	pid = fork();
	if (!pid) {
		unsigned long wrong = count_wrong(p, 0, PAGES, 1);

		fill_pages(p, 0, PAGES / 2, 2);
		_exit(wrong ? 1 : 0);
	}
	/* what the child does not write to, meanwhile */
	EXPECT_EQ(0, count_wrong(p, PAGES / 2, PAGES / 2, 1));
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, count_wrong(p, 0, PAGES / 2, 2));
	munmap(p, PAGES * PAGE);
	EXPECT_TRUE(wait_unused(self->dev, id));
	EXPECT_EQ(0, kmm_swap_off(self->dev, id));
}

/* kill -9 at any point: no frame and no slot stays behind. */
TEST_F_TIMEOUT(load, kill9, 1800)
{
	unsigned long kills = env_number("KMM_SWAP_KILLS", 12);
	static const enum backend kinds[] = { LZ4, TMPFS, DEVICE };
	uint64_t seed = seed_from_env();
	struct kmm_stat base, now;

	for (size_t b = 0; b < ARRAY_SIZE(kinds); b++) {
		int id = add_area(self->dev, kinds[b], 0, NULL);

		ASSERT_LE(0, id);
		shrink_slabs();
		ASSERT_EQ(0, kmm_get_stat(self->probe, KMM_STAT_EXACT, &base));
		for (unsigned long k = 0; k < kills / ARRAY_SIZE(kinds) + 1; k++) {
			pid_t pid = fork();

			if (!pid) {
				char *p = map_pages(self->dev, PAGES);

				/* its own group: the second process is killed, too */
				setpgid(0, 0);
				if (p == MAP_FAILED)
					_exit(1);
				fork();
				for (;;) {
					fill_pages(p, 0, PAGES, 1);
					count_wrong(p, 0, PAGES, 1);
				}
			}
			setpgid(pid, pid);
			sleep_ms(next_random(&seed) % 300);
			kill(-pid, SIGKILL);
			EXPECT_EQ(256 + SIGKILL, wait_child(pid));
			EXPECT_TRUE(wait_unused(self->dev, id));
			EXPECT_EQ(0, settle(self->probe, &base, &now));
			EXPECT_TRUE(same_frames(&base, &now)) {
				print_stat("before", &base);
				print_stat("after", &now);
			}
		}
		EXPECT_EQ(0, kmm_swap_off(self->dev, id));
		drop_area(kinds[b]);
	}
}

/* === Room === */

/* Nowhere to go: SIGBUS to a fault, ENOMEM to a call, in the end and at once. */
TEST_F(load, without_swap)
{
	char *p = map_pages(self->dev, PAGES);
	unsigned long i, room;
	int obj;

	ASSERT_NE(MAP_FAILED, p);
	/* what was never written comes and goes: all of it can be read */
	for (i = 0; i < PAGES && !touch(p + i * PAGE, false); i++)
		;
	EXPECT_EQ(PAGES, i);
	for (i = 0; i < PAGES && try_fill_page(p + i * PAGE, i, 1); i++)
		;
	room = i;
	EXPECT_LT(PAGES / 16, room);
	EXPECT_GT(PAGES / 4, room);
	obj = kmm_object_create(self->dev, PAGES * PAGE, KMM_OBJECT_EAGER);
	EXPECT_EQ(-ENOMEM, obj);
	/* what is there is right, and stays */
	EXPECT_EQ(0, count_wrong(p, 0, room, 1));
	munmap(p, PAGES * PAGE);
}

/* swapoff when there is no room at home fails and changes nothing; with room it succeeds. */
TEST_F(load, off_brings_everything_home_or_nothing_is_lost)
{
	static const enum backend kinds[] = { LZ4, EXT4, TMPFS };

	for (size_t b = 0; b < ARRAY_SIZE(kinds); b++) {
		int id = add_area(self->dev, kinds[b], 0, NULL), err;
		char *p = map_pages(self->dev, PAGES);
		unsigned long few = PAGES / 8;

		ASSERT_LE(0, id);
		ASSERT_NE(MAP_FAILED, p);
		fill_pages(p, 0, PAGES, 1);
		err = kmm_swap_off(self->dev, id);
		EXPECT_EQ(-ENOMEM, err) TH_LOG("%s", backend_names[kinds[b]]);
		EXPECT_EQ(0, count_wrong(p, 0, PAGES, 1));
		/* half of a region is left, and most of it is out */
		ASSERT_EQ(0, madvise(p + few * PAGE, (PAGES - few) * PAGE, MADV_REMOVE));
		EXPECT_LT(0, area_used(self->dev, id));
		err = kmm_swap_off(self->dev, id);
		EXPECT_EQ(0, err) TH_LOG("%s", backend_names[kinds[b]]);
		EXPECT_EQ(0, count_wrong(p, 0, few, 1));
		munmap(p, PAGES * PAGE);
		drop_area(kinds[b]);
	}
}

/* A file system without room: what cannot be written stays in the region. */
TEST_F_TIMEOUT(load, full_file_system, 600)
{
	struct kmm_swap_info info;
	unsigned long i, room;
	char *p;
	int fd, id;

	ASSERT_EQ(0, mount("kmm-small", WORK "/fs", "tmpfs", 0, "size=2m"));
	fd = make_file(WORK "/fs/swap", AREA_BYTES, true);
	ASSERT_LE(0, fd);
	id = kmm_swap_on(self->dev, fd, 0);
	ASSERT_LE(0, id);
	close(fd);
	p = map_pages(self->dev, PAGES);
	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < PAGES && try_fill_page(p + i * PAGE, i, 1); i++)
		;
	room = i;
	/* 2 MiB more than there are frames, not 16 */
	EXPECT_LT(PAGES / 4, room);
	EXPECT_GT(PAGES / 2, room);
	/* No frame may be left for a page that is out; it takes time to find that out. */
	for (i = 0; i < room; i += room / 32)
		EXPECT_NE(WRONG, check_page(p + i * PAGE, i, 1));
	/* Where there is room again all are there. */
	ASSERT_EQ(0, madvise(p + room / 2 * PAGE, (PAGES - room / 2) * PAGE, MADV_REMOVE));
	EXPECT_EQ(0, count_wrong(p, 0, room / 2, 1));
	EXPECT_EQ(0, kmm_swap_info(self->dev, id, &info));
	EXPECT_LT(0, info.errors);
	EXPECT_EQ(0, info.corrupt);
	printf("# %lu pages before SIGBUS, %llu writes failed\n", room,
	       (unsigned long long)info.errors);
	munmap(p, PAGES * PAGE);
	EXPECT_TRUE(wait_unused(self->dev, id));
	EXPECT_EQ(0, kmm_swap_off(self->dev, id));
	EXPECT_EQ(0, umount(WORK "/fs"));
}

/* === Devices that fail === */

#define DM	"/dev/mapper/kmmtest"

static int dm(const char *verb, const char *table)
{
	return run("export DM_DISABLE_UDEV=1; printf '%s' | dmsetup %s kmmtest", table, verb);
}

static int dm_load(const char *table)
{
	return run("export DM_DISABLE_UDEV=1; printf '%s' | dmsetup load kmmtest && "
		   "dmsetup suspend --noflush kmmtest && dmsetup resume kmmtest", table);
}

static int dm_remove(void)
{
	return run("export DM_DISABLE_UDEV=1; dmsetup remove --retry kmmtest");
}

#define SECTORS	(AREA_BYTES / 512)

/* Sectors 8 n .. 8 n + 7 are slot n: some in the middle of runs, one at the end. */
static void bad_table(char *text, const char *loop)
{
	sprintf(text, "0 800 linear %s 0\\n800 8 error\\n808 792 linear %s 808\\n"
		"1600 3 error\\n1603 %lu linear %s 1603\\n", loop, loop, SECTORS - 1603, loop);
}

static int open_dm(const char *table)
{
	int ret = dm("create", table);

	return ret ? -EIO : open(DM, O_RDWR | O_CLOEXEC);
}

TEST_F(load, writes_fail_at_exact_sectors)
{
	struct kmm_swap_info info;
	char loop[64], table[512];
	int lo, fd, id;
	char *p;

	lo = make_loop("dm.img", AREA_BYTES, loop);
	ASSERT_LE(0, lo);
	bad_table(table, loop);
	fd = open_dm(table);
	ASSERT_LE(0, fd);
	close(lo);
	id = kmm_swap_on(self->dev, fd, 0);
	ASSERT_LE(0, id);
	close(fd);
	p = map_pages(self->dev, PAGES);
	ASSERT_NE(MAP_FAILED, p);
	/* two slots are bad, all others are good: nothing is lost */
	fill_pages(p, 0, PAGES, 1);
	EXPECT_EQ(0, count_wrong(p, 0, PAGES, 1));
	EXPECT_EQ(0, kmm_swap_info(self->dev, id, &info));
	EXPECT_LE(2, info.errors);
	EXPECT_EQ(0, info.corrupt);
	munmap(p, PAGES * PAGE);
	EXPECT_TRUE(wait_unused(self->dev, id));
	EXPECT_EQ(0, kmm_swap_off(self->dev, id));
	EXPECT_EQ(0, dm_remove());
}

/* The device breaks when the pages are there: those at the bad sectors are lost, and no other. */
TEST_F_TIMEOUT(load, reads_fail_at_exact_sectors, 600)
{
	struct kmm_swap_info info;
	unsigned long lost, again, few = PAGES / 8;
	char loop[64], table[512], good[128];
	int lo, fd, id;
	char *p;

	lo = make_loop("dm.img", AREA_BYTES, loop);
	ASSERT_LE(0, lo);
	sprintf(good, "0 %lu linear %s 0\\n", SECTORS, loop);
	fd = open_dm(good);
	ASSERT_LE(0, fd);
	id = kmm_swap_on(self->dev, fd, 0);
	ASSERT_LE(0, id);
	close(fd);
	p = map_pages(self->dev, PAGES);
	ASSERT_NE(MAP_FAILED, p);
	fill_pages(p, 0, PAGES, 1);
	bad_table(table, loop);
	ASSERT_EQ(0, dm_load(table));
	EXPECT_EQ(0, count_wrong_or_lost(p, PAGES, 1, &lost));
	/* a slot in use is one page; they may be free at the moment, or their page resident */
	EXPECT_GE(2, lost);
	EXPECT_EQ(0, kmm_swap_info(self->dev, id, &info));
	EXPECT_EQ(0, info.corrupt);
	/* each time anew, and the others are unharmed */
	EXPECT_EQ(0, count_wrong_or_lost(p, PAGES, 1, &again));
	EXPECT_LE(lost, again);
	EXPECT_GE(2, again);
	/* a page that cannot be read, or no room for those before it: whichever comes first */
	if (again) {
		int err = kmm_swap_off(self->dev, id);

		EXPECT_TRUE(err == -EIO || err == -ENOMEM) TH_LOG("%d", err);
	}
	/* the device works again: so do the pages */
	ASSERT_EQ(0, dm_load(good));
	EXPECT_EQ(0, count_wrong(p, 0, PAGES, 1));
	/* all of it gone */
	sprintf(table, "0 %lu error\\n", SECTORS);
	ASSERT_EQ(0, dm_load(table));
	EXPECT_EQ(0, count_wrong_or_lost(p, PAGES, 1, &lost));
	EXPECT_LT(PAGES / 2, lost);
	printf("# %lu of %lu pages were on the device that went\n", lost, PAGES);
	EXPECT_EQ(-EIO, kmm_swap_off(self->dev, id));
	/* it comes back, and nothing is lost; with room at home only the device is in the way */
	ASSERT_EQ(0, dm_load(good));
	EXPECT_EQ(0, count_wrong(p, 0, PAGES, 1));
	ASSERT_EQ(0, madvise(p + few * PAGE, (PAGES - few) * PAGE, MADV_REMOVE));
	ASSERT_EQ(0, dm_load(table));
	EXPECT_EQ(-EIO, kmm_swap_off(self->dev, id));
	ASSERT_EQ(0, dm_load(good));
	EXPECT_EQ(0, kmm_swap_off(self->dev, id));
	EXPECT_EQ(0, count_wrong(p, 0, few, 1));
	munmap(p, PAGES * PAGE);
	EXPECT_EQ(0, dm_remove());
	/* until here: a table without it would let the loop device go */
	close(lo);
}

/* dm-flakey says that it wrote, and did not: what is read is older, or zeros. */
TEST_F_TIMEOUT(load, device_that_lies, 600)
{
	struct kmm_swap_info info;
	char loop[64], table[512];
	unsigned long lost;
	int lo, fd, id;
	char *p;

	lo = make_loop("dm.img", AREA_BYTES, loop);
	ASSERT_LE(0, lo);
	/* always down: in the middle, at sectors of eight slots, and later everywhere */
	sprintf(table, "0 800 linear %s 0\\n800 64 flakey %s 800 0 1 1 drop_writes\\n"
		"864 %lu linear %s 864\\n", loop, loop, SECTORS - 864, loop);
	fd = open_dm(table);
	ASSERT_LE(0, fd);
	close(lo);
	id = kmm_swap_on(self->dev, fd, 0);
	ASSERT_LE(0, id);
	close(fd);
	p = map_pages(self->dev, PAGES);
	ASSERT_NE(MAP_FAILED, p);
	fill_pages(p, 0, PAGES, 1);
	EXPECT_EQ(0, count_wrong_or_lost(p, PAGES, 1, &lost));
	EXPECT_LT(0, lost);
	EXPECT_GE(8, lost);
	printf("# %lu pages were at the eight slots that forget\n", lost);
	ASSERT_EQ(0, madvise(p, PAGES * PAGE, MADV_REMOVE));
	sprintf(table, "0 %lu flakey %s 0 0 1 1 drop_writes\\n", SECTORS, loop);
	ASSERT_EQ(0, dm_load(table));
	fill_pages(p, 0, PAGES, 2);
	EXPECT_EQ(0, count_wrong_or_lost(p, PAGES, 2, &lost));
	EXPECT_LT(PAGES / 4, lost);
	EXPECT_EQ(0, kmm_swap_info(self->dev, id, &info));
	EXPECT_LE(lost, info.corrupt);
	printf("# %lu of %lu pages found to be other ones\n", lost, PAGES);
	munmap(p, PAGES * PAGE);
	EXPECT_TRUE(wait_unused(self->dev, id));
	EXPECT_EQ(0, kmm_swap_off(self->dev, id));
	EXPECT_EQ(0, dm_remove());
}

/* A bit in every slot of the file: each page that has to be read is found out, none is wrong. */
TEST_F_TIMEOUT(load, flipped_bits_are_all_found, 600)
{
	uint64_t seed = seed_from_env();
	struct kmm_swap_info info;
	unsigned long lost, flips = 0;
	int fd, id;
	char *p, byte;

	id = add_area(self->dev, TMPFS, 0, &fd);
	ASSERT_LE(0, id);
	p = map_pages(self->dev, PAGES);
	ASSERT_NE(MAP_FAILED, p);
	fill_pages(p, 0, PAGES, 1);
	for (uint64_t slot = 0; slot < AREA_BYTES / PAGE; slot++) {
		off_t at = slot * PAGE + next_random(&seed) % PAGE;

		if (pread(fd, &byte, 1, at) != 1)
			continue;
		byte ^= 1 << next_random(&seed) % 8;
		flips += pwrite(fd, &byte, 1, at) == 1;
	}
	EXPECT_EQ(AREA_BYTES / PAGE, flips);
	EXPECT_EQ(0, count_wrong_or_lost(p, PAGES, 1, &lost));
	EXPECT_LT(PAGES / 2, lost);
	EXPECT_EQ(0, kmm_swap_info(self->dev, id, &info));
	EXPECT_LE(lost, info.corrupt);
	EXPECT_EQ(0, info.errors);
	printf("# %lu pages with a flipped bit, all found\n", lost);
	/* cut off by somebody: an error, no wrong byte */
	ASSERT_EQ(0, ftruncate(fd, 0));
	EXPECT_EQ(0, count_wrong_or_lost(p, PAGES, 1, &lost));
	EXPECT_EQ(-EIO, kmm_swap_off(self->dev, id));
	munmap(p, PAGES * PAGE);
	EXPECT_TRUE(wait_unused(self->dev, id));
	EXPECT_EQ(0, kmm_swap_off(self->dev, id));
	close(fd);
	drop_area(TMPFS);
}

/*
 * Somebody writes to the swap file from memory that is swapped out to it, and so holds the lock
 * that a write of ours needs while he waits for a read of ours. It ends.
 */
TEST_F(load, writing_to_the_swap_file_from_a_swapped_page)
{
	static const enum backend kinds[] = { TMPFS, OVERLAY };

	for (size_t b = 0; b < ARRAY_SIZE(kinds); b++) {
		uint64_t start;
		int fd, id = add_area(self->dev, kinds[b], 0, &fd);
		char *p = map_pages(self->dev, PAGES);
		unsigned long done = 0, lost;

		ASSERT_LE(0, id);
		ASSERT_NE(MAP_FAILED, p);
		fill_pages(p, 0, PAGES, 1);
		/* behind what the area uses of it, so that nothing is destroyed */
		start = now_ms();
		/* each may take as long as a write is waited for */
		for (unsigned long i = 0; i < 3 * 64; i += 64) {
			ssize_t n = pwrite(fd, p + i * PAGE, 64 * PAGE, AREA_BYTES + i * PAGE);

			done += n == 64 * PAGE;
			EXPECT_TRUE(n > 0 || errno == EFAULT) break;
		}
		EXPECT_GT(60000, now_ms() - start);
		printf("# %s: %lu of 3 writes whole, %llu ms\n", backend_names[kinds[b]], done,
		       (unsigned long long)(now_ms() - start));
		EXPECT_EQ(0, count_wrong_or_lost(p, PAGES, 1, &lost));
		EXPECT_EQ(0, lost);
		munmap(p, PAGES * PAGE);
		EXPECT_TRUE(wait_unused(self->dev, id));
		EXPECT_EQ(0, kmm_swap_off(self->dev, id));
		close(fd);
		drop_area(kinds[b]);
	}
}

/* rmmod takes areas along. */
TEST_F(load, unload_with_areas)
{
	char loop[64];
	char *p;
	int id, fd;

	ASSERT_LE(0, add_area(self->dev, LZ4, 3, NULL));
	ASSERT_LE(0, add_area(self->dev, TMPFS, 2, NULL));
	id = add_area(self->dev, EXT4, 1, NULL);
	ASSERT_LE(0, id);
	fd = make_loop("dev.img", AREA_BYTES, loop);
	ASSERT_LE(0, fd);
	ASSERT_LE(0, kmm_swap_on(self->dev, fd, 4));
	p = map_pages(self->dev, PAGES);
	ASSERT_NE(MAP_FAILED, p);
	fill_pages(p, 0, PAGES, 1);
	EXPECT_NE(0, run("rmmod kmm"));
	munmap(p, PAGES * PAGE);
	close(self->dev);
	close(self->probe);
	ASSERT_EQ(0, run("rmmod kmm"));
	/* nothing holds on to what they were */
	EXPECT_EQ(0, umount(WORK "/fs"));
	EXPECT_EQ(1, pwrite(fd, "x", 1, 0));
	close(fd);
	ASSERT_EQ(0, load_module(REGION_MB));
	self->probe = kmm_open();
	ASSERT_LE(0, self->probe);
	self->dev = kmm_open();
	ASSERT_LE(0, self->dev);
}

TEST_HARNESS_MAIN
