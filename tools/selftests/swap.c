// SPDX-License-Identifier: GPL-2.0-only
/*
 * Swap areas as things: which descriptors may become one, what others can still do with it, what
 * is left afterwards; the three ioctls with everything wrong. Pages in them: swap_load.c.
 */
#include <stddef.h>

#include "swap_test.h"

#define VMSTAT	"/sys/kernel/debug/kmm/vmstat"
#define MB	(1UL << 20)

FIXTURE(swap) {
	int probe;
	int dev;
	struct kmm_stat before;
};

FIXTURE_SETUP(swap)
{
	self->probe = kmm_open();
	ASSERT_LE(0, self->probe);
	ASSERT_EQ(0, begin_work("64m"));
	shrink_slabs();
	ASSERT_EQ(0, count_areas(self->probe));
	ASSERT_EQ(0, kmm_get_stat(self->probe, KMM_STAT_EXACT, &self->before));
	self->dev = kmm_open();
	ASSERT_LE(0, self->dev);
}

FIXTURE_TEARDOWN(swap)
{
	struct kmm_stat now;

	EXPECT_EQ(0, count_areas(self->probe));
	close(self->dev);
	EXPECT_EQ(0, settle(self->probe, &self->before, &now));
	EXPECT_TRUE(same_frames(&self->before, &now)) {
		print_stat("before", &self->before);
		print_stat("after", &now);
	}
	EXPECT_EQ(0, end_work());
	close(self->probe);
}

/* The type of an area as it is told. */
static const char *type_of(int dev, int id)
{
	static struct kmm_swap_info i;

	return kmm_swap_info(dev, id, &i) || (int)i.id != id ? "?" : i.type;
}

TEST_F(swap, compressed_memory)
{
	struct kmm_swap_info i;
	int lz4, zstd;

	EXPECT_EQ(-EINVAL, kmm_swap_on_ram(self->dev, "gzip", MB, 0));
	EXPECT_EQ(-EINVAL, kmm_swap_on_ram(self->dev, "", MB, 0));
	EXPECT_EQ(-EINVAL, kmm_swap_on_ram(self->dev, "lz4", 0, 0));
	EXPECT_EQ(-EINVAL, kmm_swap_on_ram(self->dev, "lz4", PAGE - 1, 0));
	EXPECT_EQ(-EINVAL, kmm_swap_on_ram(self->dev, "lz4", ~0ULL, 0));
	EXPECT_EQ(-EINVAL, kmm_swap_on_ram(self->dev, "lz4", MB, -1));
	EXPECT_EQ(-EINVAL, kmm_swap_on_ram(self->dev, "lz4", MB, KMM_SWAP_PRIO_MAX + 1));
	lz4 = kmm_swap_on_ram(self->dev, "lz4", MB, 0);
	ASSERT_LE(0, lz4);
	zstd = kmm_swap_on_ram(self->dev, "zstd", 2 * MB, KMM_SWAP_PRIO_MAX);
	ASSERT_LE(0, zstd);
	EXPECT_NE(lz4, zstd);
	ASSERT_EQ(0, kmm_swap_info(self->dev, zstd, &i));
	EXPECT_STREQ("ram", i.type);
	EXPECT_STREQ("zstd", i.what);
	EXPECT_EQ(KMM_SWAP_PRIO_MAX, i.prio);
	EXPECT_EQ(2 * 2 * MB / PAGE, i.slots);
	EXPECT_EQ(0, i.used);
	EXPECT_LT(0, i.host_bytes);
	EXPECT_EQ(0, kmm_swap_off(self->dev, lz4));
	EXPECT_EQ(-ENOENT, kmm_swap_off(self->dev, lz4));
	EXPECT_EQ(0, kmm_swap_off(self->dev, zstd));
	EXPECT_EQ(-ENOENT, kmm_swap_info(self->dev, 0, &i));
}

/* The area lives longer than the descriptors that made it, and pays for itself. */
TEST_F(swap, outlives_its_descriptors)
{
	int dev = kmm_open(), fd = make_file(WORK "/f", MB, false), id;
	struct kmm_stat s, after;

	ASSERT_LE(0, dev);
	ASSERT_LE(0, fd);
	id = kmm_swap_on(dev, fd, 0);
	ASSERT_LE(0, id);
	close(fd);
	ASSERT_EQ(0, kmm_get_stat(self->probe, 0, &s));
	close(dev);
	EXPECT_STREQ("file,shared", type_of(self->dev, id));
	ASSERT_EQ(0, kmm_get_stat(self->probe, 0, &after));
	EXPECT_LT(self->before.user_host_bytes + 100000, after.user_host_bytes);
	EXPECT_EQ(0, kmm_swap_off(self->dev, id));
}

TEST_F(swap, only_files_and_devices)
{
	int fd, obj = kmm_object_create(self->dev, MB, 0), p[2];

	ASSERT_LE(0, obj);
	EXPECT_EQ(-EBADF, kmm_swap_on(self->dev, -1, 0));
	EXPECT_EQ(-EBADF, kmm_swap_on(self->dev, 9999, 0));
	EXPECT_EQ(-EINVAL, kmm_swap_on(self->dev, obj, 0));
	EXPECT_EQ(-EINVAL, kmm_swap_on(self->dev, self->dev, 0));
	ASSERT_EQ(0, pipe(p));
	EXPECT_EQ(-EINVAL, kmm_swap_on(self->dev, p[1], 0));
	close(p[0]);
	close(p[1]);
	fd = open("/dev/zero", O_RDWR);
	EXPECT_EQ(-EINVAL, kmm_swap_on(self->dev, fd, 0));
	close(fd);
	fd = open(WORK, O_RDONLY | O_DIRECTORY);
	EXPECT_EQ(-EINVAL, kmm_swap_on(self->dev, fd, 0));
	close(fd);
	fd = open("/proc/self/comm", O_RDWR);
	EXPECT_EQ(-EINVAL, kmm_swap_on(self->dev, fd, 0));
	close(fd);
	close(obj);
}

TEST_F(swap, the_caller_must_be_able_to_write)
{
	static const int flags[] = { O_RDONLY, O_WRONLY, O_PATH };
	int fd = make_file(WORK "/f", MB, false);

	ASSERT_LE(0, fd);
	close(fd);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		fd = open(WORK "/f", flags[i] | O_CLOEXEC);
		ASSERT_LE(0, fd);
		EXPECT_EQ(flags[i] == O_PATH ? -EBADF : -EACCES, kmm_swap_on(self->dev, fd, 0));
		close(fd);
	}
	fd = open(WORK "/f", O_RDWR | O_APPEND | O_CLOEXEC);
	EXPECT_EQ(-EINVAL, kmm_swap_on(self->dev, fd, 0));
	close(fd);
	/* less than a page */
	fd = make_file(WORK "/f", PAGE - 1, false);
	EXPECT_EQ(-EINVAL, kmm_swap_on(self->dev, fd, 0));
	ASSERT_EQ(0, ftruncate(fd, 0));
	EXPECT_EQ(-EINVAL, kmm_swap_on(self->dev, fd, 0));
	close(fd);
}

TEST_F(swap, ordinary_users_may_not)
{
	int fd = make_file(WORK "/f", MB, false);
	struct kmm_swap_info i;
	pid_t pid;

	ASSERT_LE(0, fd);
	pid = fork();
	if (!pid) {
		become_nobody(100);
		_exit(kmm_swap_on(self->dev, fd, 0) != -EPERM ? 1 :
		      kmm_swap_on_ram(self->dev, "lz4", MB, 0) != -EPERM ? 2 :
		      kmm_swap_off(self->dev, 0) != -EPERM ? 3 :
		      kmm_swap_info(self->dev, 0, &i) != -EPERM ? 4 : 0);
	}
	EXPECT_EQ(0, wait_child(pid));
	close(fd);
}

/* A file on ext4 is nobody else's while it is swap, and as before afterwards. */
TEST_F(swap, file_is_exclusive)
{
	struct kmm_swap_info i;
	char loop[64], byte = 'x';
	int fd, id, other;
	void *p;

	ASSERT_EQ(0, mount_ext4(16 * MB, loop));
	fd = make_file(WORK "/fs/swap", 4 * MB, false);
	ASSERT_LE(0, fd);
	/* mapped shared and writable: not now */
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-ETXTBSY, kmm_swap_on(self->dev, fd, 0));
	munmap(p, PAGE);
	id = kmm_swap_on(self->dev, fd, 5);
	ASSERT_LE(0, id);
	ASSERT_EQ(0, kmm_swap_info(self->dev, id, &i));
	EXPECT_STREQ("file", i.type);
	EXPECT_STREQ(WORK "/fs/swap", i.what);
	EXPECT_EQ(4 * MB / PAGE, i.slots);
	EXPECT_EQ(-EBUSY, kmm_swap_on(self->dev, fd, 0));
	EXPECT_EQ(ETXTBSY, ERR(pwrite(fd, &byte, 1, 0)));
	EXPECT_EQ(ETXTBSY, ERR(ftruncate(fd, 0)));
	EXPECT_EQ(ETXTBSY, ERR(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE)));
	EXPECT_EQ(EPERM, ERR(unlink(WORK "/fs/swap")));
	EXPECT_EQ(EPERM, ERR(rename(WORK "/fs/swap", WORK "/fs/other")));
	EXPECT_EQ(ETXTBSY, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	EXPECT_EQ(0, mmap_err(PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
	EXPECT_EQ(EBUSY, ERR(umount(WORK "/fs")));
	/* through another file of it, too */
	other = open(WORK "/fs/swap", O_RDWR | O_CLOEXEC);
	if (other >= 0)
		EXPECT_EQ(ETXTBSY, ERR(pwrite(other, &byte, 1, 0)));
	close(other);
	EXPECT_EQ(0, kmm_swap_off(self->dev, id));
	EXPECT_EQ(1, pwrite(fd, &byte, 1, 0));
	EXPECT_EQ(0, ftruncate(fd, 0));
	close(fd);
	EXPECT_EQ(0, unlink(WORK "/fs/swap"));
	EXPECT_EQ(0, umount(WORK "/fs"));
}

TEST_F(swap, file_with_holes_is_refused)
{
	char loop[64];
	int fd;

	ASSERT_EQ(0, mount_ext4(16 * MB, loop));
	fd = make_file(WORK "/fs/swap", 4 * MB, true);
	EXPECT_EQ(-EINVAL, kmm_swap_on(self->dev, fd, 0));
	EXPECT_EQ(4, pwrite(fd, "data", 4, 0));
	EXPECT_EQ(-EINVAL, kmm_swap_on(self->dev, fd, 0));
	/* not claimed by the call that failed */
	EXPECT_EQ(0, ftruncate(fd, 0));
	close(fd);
	EXPECT_EQ(0, umount(WORK "/fs"));
}

/* Neither way round: what is the host's swap is not ours, what is ours is not the host's. */
TEST_F(swap, host_swap_is_not_ours)
{
	char loop[64];
	int fd, id, dev;

	ASSERT_EQ(0, mount_ext4(16 * MB, loop));
	fd = make_file(WORK "/fs/swap", 4 * MB, false);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, run("mkswap " WORK "/fs/swap"));
	ASSERT_EQ(0, run("swapon " WORK "/fs/swap"));
	EXPECT_EQ(-EBUSY, kmm_swap_on(self->dev, fd, 0));
	EXPECT_EQ(0, run("swapoff " WORK "/fs/swap"));
	id = kmm_swap_on(self->dev, fd, 0);
	EXPECT_LE(0, id);
	EXPECT_NE(0, run("swapon " WORK "/fs/swap"));
	EXPECT_EQ(0, kmm_swap_off(self->dev, id));
	close(fd);
	EXPECT_EQ(0, umount(WORK "/fs"));

	dev = make_loop("host.img", 4 * MB, loop);
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, run("mkswap %s", loop));
	ASSERT_EQ(0, run("swapon %s", loop));
	EXPECT_EQ(-EBUSY, kmm_swap_on(self->dev, dev, 0));
	EXPECT_EQ(0, run("swapoff %s", loop));
	id = kmm_swap_on(self->dev, dev, 0);
	EXPECT_LE(0, id);
	EXPECT_NE(0, run("swapon %s", loop));
	EXPECT_EQ(0, kmm_swap_off(self->dev, id));
	close(dev);
}

TEST_F(swap, device_is_exclusive)
{
	struct kmm_swap_info i;
	char loop[64], byte = 'x';
	int dev, id, ro;

	dev = make_loop("dev.img", 4 * MB + 1024, loop);
	ASSERT_LE(0, dev);
	ro = open(loop, O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(-EACCES, kmm_swap_on(self->dev, ro, 0));
	close(ro);
	id = kmm_swap_on(self->dev, dev, 0);
	ASSERT_LE(0, id);
	ASSERT_EQ(0, kmm_swap_info(self->dev, id, &i));
	EXPECT_STREQ("partition", i.type);
	EXPECT_STREQ(loop, i.what);
	EXPECT_EQ(4 * MB / PAGE, i.slots);
	EXPECT_EQ(-EBUSY, kmm_swap_on(self->dev, dev, 0));
	EXPECT_EQ(ETXTBSY, ERR(pwrite(dev, &byte, 1, 0)));
	EXPECT_EQ(EBUSY, ERR(open(loop, O_RDWR | O_EXCL)));
	EXPECT_NE(0, run("echo 0 8192 linear %s 0 | dmsetup create --noudevsync kmmtest", loop));
	EXPECT_EQ(0, kmm_swap_off(self->dev, id));
	EXPECT_EQ(1, pwrite(dev, &byte, 1, 0));
	/* mounted: not ours */
	close(dev);
	ASSERT_EQ(0, mount_ext4(16 * MB, loop));
	dev = open(loop, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, dev);
	EXPECT_EQ(-EBUSY, kmm_swap_on(self->dev, dev, 0));
	EXPECT_EQ(0, umount(WORK "/fs"));
	close(dev);
}

/* tmpfs and overlay: named so, and once only. */
TEST_F(swap, shared_files)
{
	static const char *const paths[] = { WORK "/f", "/kmm-swap-overlay" };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int fd = make_file(paths[i], MB, true), id;

		ASSERT_LE(0, fd);
		id = kmm_swap_on(self->dev, fd, 0);
		ASSERT_LE(0, id);
		EXPECT_STREQ("file,shared", type_of(self->dev, id));
		EXPECT_EQ(-EBUSY, kmm_swap_on(self->dev, fd, 0));
		EXPECT_EQ(1, pwrite(fd, "x", 1, 0));
		EXPECT_EQ(0, kmm_swap_off(self->dev, id));
		close(fd);
		EXPECT_EQ(0, unlink(paths[i]));
	}
}

/* Each fault of a mapping counts; as major when it waits for a file, not when it unpacks. */
TEST_F(swap, faults_are_counted)
{
	const int pages = 16;

	for (int i = 0; i < 2; i++) {
		bool ram = i == 1;
		int fd = make_file(WORK "/f", MB, true), id, obj;
		long long faults, major;
		volatile char *p;

		ASSERT_LE(0, fd);
		id = ram ? kmm_swap_on_ram(self->dev, "lz4", MB, 0) : kmm_swap_on(self->dev, fd, 0);
		ASSERT_LE(0, id);
		obj = kmm_object_create(self->dev, pages * PAGE, 0);
		ASSERT_LE(0, obj);
		p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
		ASSERT_NE(MAP_FAILED, p);
		faults = row_of(VMSTAT, "pgfault");
		major = row_of(VMSTAT, "pgmajfault");
		ASSERT_LE(0, faults);
		ASSERT_LE(0, major);
		for (int k = 0; k < pages; k++)
			p[k * PAGE] = 'x';
		EXPECT_EQ(faults + pages, row_of(VMSTAT, "pgfault"));
		EXPECT_EQ(major, row_of(VMSTAT, "pgmajfault"));
		ASSERT_EQ(pages, kmm_object_advise(obj, 0, pages * PAGE, KMM_ADVISE_PAGEOUT));
		faults = row_of(VMSTAT, "pgfault");
		for (int k = 0; k < pages; k++)
			EXPECT_EQ('x', p[k * PAGE]);
		EXPECT_LT(faults, row_of(VMSTAT, "pgfault"));
		if (ram) {
			EXPECT_EQ(major, row_of(VMSTAT, "pgmajfault"));
		} else {
			EXPECT_LT(major, row_of(VMSTAT, "pgmajfault"));
		}
		munmap((void *)p, pages * PAGE);
		close(obj);
		EXPECT_EQ(0, kmm_swap_off(self->dev, id));
		close(fd);
		EXPECT_EQ(0, unlink(WORK "/f"));
	}
}

TEST_F(swap, so_many_areas)
{
	int id[KMM_SWAP_AREAS_MAX], fd = make_file(WORK "/f", MB, true);
	struct kmm_swap_info info;

	for (int i = 0; i < KMM_SWAP_AREAS_MAX; i++) {
		id[i] = kmm_swap_on_ram(self->dev, "lz4", MB, i);
		ASSERT_LE(0, id[i]);
	}
	EXPECT_EQ(KMM_SWAP_AREAS_MAX, count_areas(self->dev));
	EXPECT_EQ(-EMFILE, kmm_swap_on_ram(self->dev, "lz4", MB, 0));
	EXPECT_EQ(-EMFILE, kmm_swap_on(self->dev, fd, 0));
	close(fd);
	/* a place in the middle is used again */
	EXPECT_EQ(0, kmm_swap_off(self->dev, id[3]));
	ASSERT_EQ(0, kmm_swap_info(self->dev, id[3], &info));
	EXPECT_LT(id[3], (int)info.id);
	EXPECT_EQ(id[3], kmm_swap_on_ram(self->dev, "zstd", MB, 0));
	for (int i = 0; i < KMM_SWAP_AREAS_MAX; i++)
		EXPECT_EQ(0, kmm_swap_off(self->dev, id[i]));
	EXPECT_EQ(-ENOENT, kmm_swap_off(self->dev, ~0u));
}

/* === The calls === */

TEST_F(swap, sizes_flags_and_pointers)
{
	char buf[4096], *ro = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kmm_swap_on good = { .fd = -1, .flags = KMM_SWAP_RAM, .size_bytes = MB }, o;
	struct kmm_swap_off off = { 0 };
	struct kmm_swap_info info;
	const unsigned long on = _IOC(3, KMM_IOC_MAGIC, 0x50, 0);
	int fd = make_file(WORK "/f", MB, true);

	EXPECT_EQ(40, _IOC_SIZE(KMM_IOC_SWAP_ON));
	EXPECT_EQ(8, _IOC_SIZE(KMM_IOC_SWAP_OFF));
	EXPECT_EQ(216, _IOC_SIZE(KMM_IOC_SWAP_INFO));
	EXPECT_EQ(0x50, _IOC_NR(KMM_IOC_SWAP_ON));
	EXPECT_EQ(0x51, _IOC_NR(KMM_IOC_SWAP_OFF));
	EXPECT_EQ(0x52, _IOC_NR(KMM_IOC_SWAP_INFO));
	strcpy(good.compressor, "lz4");
	for (size_t size = 0; size < sizeof(good); size++)
		EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, on | size << _IOC_SIZESHIFT, &good)));
	memset(buf, 0, sizeof(buf));
	memcpy(buf, &good, sizeof(good));
	buf[100] = 1;
	EXPECT_EQ(E2BIG, ERR(ioctl(self->dev, on | 4096 << _IOC_SIZESHIFT, buf)));
	buf[100] = 0;
	ASSERT_EQ(0, ERR(ioctl(self->dev, on | 4096 << _IOC_SIZESHIFT, buf)));
	memcpy(&o, buf, sizeof(o));
	EXPECT_EQ(0, kmm_swap_off(self->dev, o.id));
	for (int bit = 1; bit < 32; bit++) {
		o = good;
		o.flags |= 1u << bit;
		EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_SWAP_ON, &o)));
		off.flags = 1u << bit;
		EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_SWAP_OFF, &off)));
		memset(&info, 0, sizeof(info));
		info.flags = 1u << bit;
		EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_SWAP_INFO, &info)));
	}
	o = good;
	o.id = 1;
	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_SWAP_ON, &o)));
	o = good;
	o.fd = fd;
	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_SWAP_ON, &o)));
	/* a name without an end */
	o = good;
	memset(o.compressor, 'x', sizeof(o.compressor));
	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_SWAP_ON, &o)));
	/* what is for the other kind */
	o = (struct kmm_swap_on){ .fd = fd, .size_bytes = MB };
	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_SWAP_ON, &o)));
	o = (struct kmm_swap_on){ .fd = fd, .compressor = "lz4" };
	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_SWAP_ON, &o)));
	o = (struct kmm_swap_on){ .fd = fd };
	o.compressor[15] = 1;
	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_SWAP_ON, &o)));
	EXPECT_EQ(EFAULT, ERR(ioctl(self->dev, KMM_IOC_SWAP_ON, NULL)));
	EXPECT_EQ(EFAULT, ERR(ioctl(self->dev, KMM_IOC_SWAP_OFF, NULL)));
	EXPECT_EQ(EFAULT, ERR(ioctl(self->dev, KMM_IOC_SWAP_INFO, NULL)));
	/* the number cannot be told: no area */
	munmap(ro, PAGE);
	ro = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(ro, &good, sizeof(good));
	mprotect(ro, PAGE, PROT_READ);
	EXPECT_EQ(EFAULT, ERR(ioctl(self->dev, KMM_IOC_SWAP_ON, ro)));
	EXPECT_EQ(0, count_areas(self->dev));
	munmap(ro, PAGE);
	close(fd);
}

/* === At the same time === */

static int racer_dev;
static volatile bool racer_stop;

static void *racer(void *arg)
{
	int fd = (int)(long)arg;

	while (!racer_stop) {
		int id = fd >= 0 ? kmm_swap_on(racer_dev, fd, 0) :
				   kmm_swap_on_ram(racer_dev, "lz4", MB, 0);

		/* whoever comes first takes it off, and it need not be ours */
		for (int i = 0; i < KMM_SWAP_AREAS_MAX; i++)
			kmm_swap_off(racer_dev, (id + i) % KMM_SWAP_AREAS_MAX);
	}
	return NULL;
}

TEST_F(swap, on_and_off_at_the_same_time)
{
	const unsigned long ms = env_number("KMM_RACE_MS", 1000);
	struct kmm_swap_info info;
	pthread_t t[4];
	char loop[64];
	int fd[4] = { -1 };

	ASSERT_EQ(0, mount_ext4(16 * MB, loop));
	fd[1] = make_file(WORK "/f", MB, true);
	fd[2] = make_file(WORK "/fs/swap", MB, false);
	fd[3] = make_loop("race.img", MB, loop);
	ASSERT_LE(0, fd[1]);
	ASSERT_LE(0, fd[2]);
	ASSERT_LE(0, fd[3]);
	racer_dev = self->dev;
	racer_stop = false;
	for (long i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, racer, (void *)(long)fd[i]));
	for (uint64_t end = now_ms() + ms; now_ms() < end; )
		kmm_swap_info(self->dev, 0, &info);
	racer_stop = true;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < KMM_SWAP_AREAS_MAX; i++)
		kmm_swap_off(self->dev, i);
	for (int i = 1; i < 4; i++)
		close(fd[i]);
	EXPECT_EQ(0, umount(WORK "/fs"));
}

TEST_HARNESS_MAIN
