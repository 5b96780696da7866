// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects as dma-bufs, seen from all sides: the object's own mapping, the dma-buf's mapping, and
 * a driver (kmm_importer.ko) that has it in the kernel and a device that has it by bus
 * addresses. KMM_RACE_MS: milliseconds of each race; KMM_KILLS: processes that are killed.
 */
#include <grp.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <sys/resource.h>

#include "kmm_test.h"
#include "importer.h"

#define NOBODY		65534
#define BOTH_VIEWS	(IMPORTER_SG | IMPORTER_VMAP)

static int punch(int obj, off_t off, off_t len)
{
	return ERR(fallocate(obj, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len));
}

/* The last reference to a dma-buf goes a little after the close(). */
static int punch_soon(int obj)
{
	uint64_t end = now_ms() + LEAK_WAIT_MS;
	int err;

	while ((err = punch(obj, 0, PAGE)) == EBUSY && now_ms() < end)
		sleep_ms(5);
	return err;
}

static int seal_soon(int obj, uint32_t seals)
{
	uint64_t end = now_ms() + LEAK_WAIT_MS;
	int err;

	while ((err = kmm_object_seal(obj, seals, NULL)) == -EBUSY && now_ms() < end)
		sleep_ms(5);
	return err;
}

static int sync_begin(int dmabuf)
{
	struct dma_buf_sync s = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };

	return ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &s);
}

static int sync_end(int dmabuf)
{
	struct dma_buf_sync s = { .flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW };

	return ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &s);
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

#define DMABUF_OR_SKIP() do {							\
	if (!self->have_dmabuf)							\
		SKIP(return, "this kernel has no dma-buf");			\
} while (0)

#define IMPORTER_OR_SKIP() do {							\
	if (!have_importer())							\
		SKIP(return, "kmm_importer.ko is not loaded");			\
} while (0)

/* === Contents === */

/*
 * A random write through one of four views, then the same bytes read through all of them, against
 * a plain array. CPU access stands between begin and end, as for a device that is not coherent
 * (swiotlb=force makes this one so).
 */
static void views_agree(struct __test_metadata *_metadata, int dev, uint64_t size, uint32_t flags,
			unsigned int rounds)
{
	size_t pages = (size + PAGE - 1) / PAGE, all = pages * PAGE;
	struct importer_attach a = { 0 };
	unsigned char *model, *buf, *p, *q;
	uint64_t seed = seed_from_env();
	struct kmm_object_info info;
	int obj, dmabuf, im;

	obj = kmm_object_create(dev, size, flags);
	ASSERT_LE(0, obj);
	model = calloc(2, all);
	ASSERT_NE(NULL, model);
	buf = model + all;
	/* a page that is there before, holes around it */
	ASSERT_EQ(1, pwrite(obj, "q", 1, size / 2));
	model[size / 2] = 'q';
	dmabuf = kmm_object_export(obj, 0);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(all, lseek(dmabuf, 0, SEEK_END));
	ASSERT_EQ(0, kmm_object_info(obj, &info));
	EXPECT_EQ(pages, info.resident);
	im = importer_attach(dmabuf, IMPORTER_BIDIRECTIONAL, BOTH_VIEWS, &a);
	ASSERT_LE(0, im);
	EXPECT_EQ(all, a.size_bytes);
	EXPECT_LE(1, a.nr_entries);
	EXPECT_GE(pages, a.nr_entries);
	p = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	q = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
	ASSERT_NE(MAP_FAILED, q);

	for (unsigned int i = 0; i < rounds; i++) {
		size_t at = (next_random(&seed) | (uint64_t)next_random(&seed) << 24) % all;
		size_t len = 1 + next_random(&seed) % (3 * PAGE);
		unsigned int view = next_random(&seed) % 4;

		if (len > all - at)
			len = all - at;
		for (size_t k = 0; k < len; k++)
			model[at + k] = next_random(&seed);
		if (view == 0) {
			ASSERT_EQ(0, importer_io(im, IMPORTER_SG, true, at, model + at, len));
		} else {
			ASSERT_EQ(0, sync_begin(dmabuf));
			if (view == 1)
				memcpy(p + at, model + at, len);
			else if (view == 2)
				memcpy(q + at, model + at, len);
			else
				ASSERT_EQ(0, importer_io(im, IMPORTER_VMAP, true, at, model + at,
							 len));
			ASSERT_EQ(0, sync_end(dmabuf));
		}
		ASSERT_EQ(0, importer_io(im, IMPORTER_SG, false, at, buf, len));
		ASSERT_EQ(0, memcmp(buf, model + at, len)) TH_LOG("sg, round %u, view %u", i, view);
		ASSERT_EQ(0, importer_sync(im, false, IMPORTER_BIDIRECTIONAL));
		ASSERT_EQ(0, importer_io(im, IMPORTER_VMAP, false, at, buf, len));
		ASSERT_EQ(0, memcmp(buf, model + at, len)) TH_LOG("vmap, round %u, %u", i, view);
		ASSERT_EQ(0, memcmp(p + at, model + at, len)) TH_LOG("object %u, %u", i, view);
		ASSERT_EQ(0, memcmp(q + at, model + at, len)) TH_LOG("dma-buf %u, %u", i, view);
		ASSERT_EQ(0, importer_sync(im, true, IMPORTER_BIDIRECTIONAL));
	}
	/* The whole, and read(2) as the fifth witness. */
	ASSERT_EQ(0, importer_io(im, IMPORTER_SG, false, 0, buf, all));
	EXPECT_EQ(0, memcmp(buf, model, all));
	ASSERT_EQ(0, sync_begin(dmabuf));
	EXPECT_EQ(0, memcmp(p, model, all));
	EXPECT_EQ((ssize_t)size, pread(obj, buf, all, 0));
	EXPECT_EQ(0, memcmp(buf, model, size));
	munmap(p, all);
	munmap(q, all);
	close(im);
	close(dmabuf);
	close(obj);
	free(model);
}

FIXTURE_VARIANT(kmm) {
	uint64_t size;
	uint32_t flags;
};

FIXTURE_VARIANT_ADD(kmm, page) { .size = 100 };
FIXTURE_VARIANT_ADD(kmm, scattered) { .size = 299 * PAGE + 123 };
FIXTURE_VARIANT_ADD(kmm, leaves) { .size = 1100 * PAGE };
FIXTURE_VARIANT_ADD(kmm, contig) { .size = 100 * PAGE, .flags = KMM_OBJECT_CONTIG };
FIXTURE_VARIANT_ADD(kmm, locked) { .size = 40 * PAGE, .flags = KMM_OBJECT_LOCKED };

TEST_F(kmm, four_views_agree)
{
	IMPORTER_OR_SKIP();
	views_agree(_metadata, self->dev, variant->size, variant->flags, 60);
}

/* === Rules === */

/* The same fixture without the sizes. */
FIXTURE(dmabuf) {
	int probe;
	int dev;
	int obj;
	bool have_dmabuf;
	struct kmm_stat before;
};

FIXTURE_SETUP(dmabuf)
{
	uint64_t features;

	self->probe = kmm_open();
	ASSERT_LE(0, self->probe);
	shrink_slabs();
	ASSERT_EQ(0, kmm_get_stat(self->probe, KMM_STAT_EXACT, &self->before));
	self->dev = kmm_open();
	ASSERT_LE(0, self->dev);
	self->obj = kmm_object_create(self->dev, 16 * PAGE, 0);
	ASSERT_LE(0, self->obj);
	ASSERT_EQ(0, kmm_get_features(self->dev, &features));
	self->have_dmabuf = features & KMM_FEATURE_DMABUF;
	if (!self->have_dmabuf) {
		EXPECT_EQ(-EOPNOTSUPP, kmm_object_export(self->obj, 0));
		EXPECT_EQ(-EOPNOTSUPP, kmm_object_import(self->dev, self->obj));
	}
}

FIXTURE_TEARDOWN(dmabuf)
{
	struct kmm_stat now;

	close(self->obj);
	close(self->dev);
	EXPECT_EQ(0, settle(self->probe, &self->before, &now));
	EXPECT_EQ(now.total, stat_sum(&now));
	EXPECT_TRUE(same_frames(&self->before, &now)) {
		print_stat("before", &self->before);
		print_stat("after", &now);
	}
	close(self->probe);
}

TEST_F(dmabuf, size_is_that_of_the_export)
{
	int dmabuf;
	char *p;

	DMABUF_OR_SKIP();
	dmabuf = kmm_object_export(self->obj, 0);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(16 * PAGE, lseek(dmabuf, 0, SEEK_END));
	ASSERT_EQ(0, ftruncate(self->obj, 100 * PAGE));
	EXPECT_EQ(16 * PAGE, lseek(dmabuf, 0, SEEK_END));
	EXPECT_EQ(EINVAL, mmap_err(17 * PAGE, PROT_READ, MAP_SHARED, dmabuf, 0));
	EXPECT_EQ(EINVAL, mmap_err(PAGE, PROT_READ, MAP_SHARED, dmabuf, 16 * PAGE));
	EXPECT_EQ(EINVAL, mmap_err(2 * PAGE, PROT_READ, MAP_SHARED, dmabuf, 15 * PAGE));
	EXPECT_NE(0, mmap_err(PAGE, PROT_READ, MAP_SHARED, dmabuf, INT64_MAX & ~(PAGE - 1)));
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 15 * PAGE);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'l', PAGE);
	/* it cannot be stretched over what came later */
	EXPECT_EQ(MAP_FAILED, mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE));
	munmap(p, PAGE);
	EXPECT_EQ(1, pread(self->obj, &p, 1, 15 * PAGE));
	EXPECT_EQ('l', *(char *)&p);
	EXPECT_EQ(EINVAL, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, dmabuf, 0));
	close(dmabuf);
}

TEST_F(dmabuf, frames_stay_while_it_lives)
{
	int dmabuf, other, im = -1;

	DMABUF_OR_SKIP();
	dmabuf = kmm_object_export(self->obj, 0);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(EBUSY, punch(self->obj, 0, PAGE));
	EXPECT_EQ(EBUSY, ERR(ftruncate(self->obj, PAGE)));
	EXPECT_EQ(EBUSY, ERR(ftruncate(self->obj, 16 * PAGE - 1)));
	EXPECT_EQ(0, ERR(ftruncate(self->obj, 20 * PAGE)));
	EXPECT_EQ(0, ERR(fallocate(self->obj, 0, 0, 20 * PAGE)));
	/* two of them, and either one holds */
	other = kmm_object_export(self->obj, KMM_EXPORT_RDONLY);
	ASSERT_LE(0, other);
	close(dmabuf);
	EXPECT_EQ(EBUSY, punch(self->obj, 0, PAGE));
	if (have_importer()) {
		/* a device is enough */
		im = importer_attach(other, IMPORTER_TO_DEVICE, IMPORTER_SG, NULL);
		ASSERT_LE(0, im);
	}
	close(other);
	if (im >= 0) {
		sleep_ms(20);
		EXPECT_EQ(EBUSY, punch(self->obj, 0, PAGE));
		close(im);
	}
	EXPECT_EQ(0, punch_soon(self->obj));
	EXPECT_EQ(0, ERR(ftruncate(self->obj, PAGE)));
}

TEST_F(dmabuf, outlives_the_objects_descriptors)
{
	int dmabuf, again;
	char c = 0, *p;

	DMABUF_OR_SKIP();
	ASSERT_EQ(1, pwrite(self->obj, "o", 1, 5));
	dmabuf = kmm_object_export(self->obj, 0);
	ASSERT_LE(0, dmabuf);
	close(self->obj);
	close(self->dev);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ('o', p[5]);
	p[6] = 'p';
	self->dev = kmm_open();
	ASSERT_LE(0, self->dev);
	again = kmm_object_import(self->dev, dmabuf);
	ASSERT_LE(0, again);
	close(dmabuf);
	EXPECT_EQ(1, pread(again, &c, 1, 6));
	EXPECT_EQ('p', c);
	close(again);
	/* and a mapping outlives them all */
	EXPECT_EQ('o', p[5]);
	munmap(p, PAGE);
	self->obj = -1;
}

TEST_F(dmabuf, its_mapping_is_the_objects)
{
	int dmabuf;
	char *p;

	DMABUF_OR_SKIP();
	ASSERT_EQ(1, pwrite(self->obj, "m", 1, 3 * PAGE));
	dmabuf = kmm_object_export(self->obj, 0);
	ASSERT_LE(0, dmabuf);
	p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'd', PAGE);
	EXPECT_EQ('m', p[3 * PAGE]);
	EXPECT_EQ(EBUSY, punch(self->obj, 0, PAGE));
	close(dmabuf);
	/* the dma-buf is gone, the mapping is not; what is revoked in the object is revoked here */
	ASSERT_EQ(0, punch_soon(self->obj));
	EXPECT_TRUE(all_bytes(p, 0, PAGE));
	EXPECT_EQ('m', p[3 * PAGE]);
	ASSERT_EQ(0, ftruncate(self->obj, 2 * PAGE));
	EXPECT_EQ(SIGBUS, touch(p + 3 * PAGE, false));
	EXPECT_EQ(0, touch(p + PAGE, true));
	/* it counts as a writable mapping of the object, and no longer when it has gone */
	EXPECT_EQ(-EBUSY, kmm_object_seal(self->obj, KMM_SEAL_WRITE, NULL));
	munmap(p, 16 * PAGE);
	EXPECT_EQ(0, seal_soon(self->obj, KMM_SEAL_WRITE));
	EXPECT_EQ(EPERM, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->obj, 0));
}

TEST_F(dmabuf, write_seal_and_writable_export_exclude_each_other)
{
	int dmabuf, ro;

	DMABUF_OR_SKIP();
	dmabuf = kmm_object_export(self->obj, 0);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(-EBUSY, kmm_object_seal(self->obj, KMM_SEAL_WRITE, NULL));
	EXPECT_EQ(-EBUSY, kmm_object_seal(self->obj, KMM_SEAL_FUTURE_WRITE, NULL));
	EXPECT_EQ(-EBUSY, kmm_object_seal(self->obj, KMM_SEAL_GROW | KMM_SEAL_WRITE, NULL));
	EXPECT_EQ(0, ERR(ftruncate(self->obj, 17 * PAGE)));
	EXPECT_EQ(0, kmm_object_seal(self->obj, KMM_SEAL_GROW | KMM_SEAL_SHRINK, NULL));
	ro = kmm_object_export(self->obj, KMM_EXPORT_RDONLY);
	ASSERT_LE(0, ro);
	close(dmabuf);
	/* the read-only one is no hindrance */
	EXPECT_EQ(0, seal_soon(self->obj, KMM_SEAL_WRITE));
	EXPECT_EQ(-EPERM, kmm_object_export(self->obj, 0));
	dmabuf = kmm_object_export(self->obj, KMM_EXPORT_RDONLY);
	EXPECT_LE(0, dmabuf);
	EXPECT_EQ(EPERM, punch(self->obj, 0, PAGE));
	close(dmabuf);
	close(ro);
}

TEST_F(dmabuf, future_write_seal_forbids_a_writable_export)
{
	int dmabuf;

	DMABUF_OR_SKIP();
	dmabuf = kmm_object_export(self->obj, KMM_EXPORT_RDONLY);
	ASSERT_LE(0, dmabuf);
	ASSERT_EQ(0, kmm_object_seal(self->obj, KMM_SEAL_FUTURE_WRITE, NULL));
	EXPECT_EQ(-EPERM, kmm_object_export(self->obj, 0));
	close(dmabuf);
	EXPECT_EQ(-EPERM, kmm_object_export(self->obj, 0));
}

/* Whoever has a read-only dma-buf can in no way write. */
TEST_F(dmabuf, read_only_stays_read_only)
{
	int dmabuf, ro, weak, mem, im;
	struct importer_attach a;
	char c = 'x', *p;

	DMABUF_OR_SKIP();
	ASSERT_EQ(1, pwrite(self->obj, "r", 1, 0));
	weak = kmm_object_reopen(self->obj, KMM_REOPEN_RDONLY);
	ASSERT_LE(0, weak);
	dmabuf = kmm_object_export(self->obj, KMM_EXPORT_RDONLY);
	ASSERT_LE(0, dmabuf);
	EXPECT_EQ(-EACCES, kmm_object_export(weak, 0));
	ro = kmm_object_export(weak, KMM_EXPORT_RDONLY);
	EXPECT_LE(0, ro);
	close(ro);

	EXPECT_EQ(EACCES, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0));
	EXPECT_EQ(EINVAL, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, dmabuf, 0));
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, dmabuf, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ('r', *p);
	EXPECT_EQ(EACCES, ERR(mprotect(p, PAGE, PROT_READ | PROT_WRITE)));
	EXPECT_EQ(SIGSEGV, touch(p, true));
	EXPECT_NE(0, ERR(madvise(p, PAGE, MADV_REMOVE)));
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (mem >= 0) {
		EXPECT_EQ(-1, pwrite(mem, &c, 1, (uintptr_t)p));
		close(mem);
	}
	EXPECT_EQ('r', *p);
	munmap(p, PAGE);
	/* nor by way of the object */
	ro = kmm_object_import(self->dev, dmabuf);
	ASSERT_LE(0, ro);
	EXPECT_EQ(EBADF, ERR(write(ro, "w", 1)));
	EXPECT_EQ(EINVAL, ERR(ftruncate(ro, PAGE)));
	EXPECT_EQ(EACCES, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0));
	EXPECT_EQ(-EACCES, kmm_object_export(ro, 0));
	EXPECT_EQ(-EACCES, kmm_object_seal(ro, KMM_SEAL_GROW, NULL));
	close(ro);
	if (have_importer()) {
		EXPECT_EQ(-EACCES, importer_attach(dmabuf, IMPORTER_BIDIRECTIONAL, IMPORTER_SG,
						   &a));
		EXPECT_EQ(-EACCES, importer_attach(dmabuf, IMPORTER_FROM_DEVICE, IMPORTER_SG, &a));
		EXPECT_EQ(-EINVAL, importer_attach(dmabuf, IMPORTER_TO_DEVICE, BOTH_VIEWS, &a));
		im = importer_attach(dmabuf, IMPORTER_TO_DEVICE, IMPORTER_SG, &a);
		ASSERT_LE(0, im);
		EXPECT_EQ(0, importer_io(im, IMPORTER_SG, false, 0, &c, 1));
		EXPECT_EQ('r', c);
		close(im);
	}
	close(weak);
	close(dmabuf);
}

TEST_F(dmabuf, import_is_the_same_object)
{
	struct kmm_object_info a, b;
	int dmabuf, again, third;
	char c = 0;

	DMABUF_OR_SKIP();
	dmabuf = kmm_object_export(self->obj, 0);
	ASSERT_LE(0, dmabuf);
	again = kmm_object_import(self->dev, dmabuf);
	ASSERT_LE(0, again);
	EXPECT_EQ(FD_CLOEXEC, fcntl(again, F_GETFD));
	EXPECT_EQ(FD_CLOEXEC, fcntl(dmabuf, F_GETFD));
	ASSERT_EQ(0, kmm_object_info(self->obj, &a));
	ASSERT_EQ(0, kmm_object_info(again, &b));
	EXPECT_EQ(a.id, b.id);
	EXPECT_EQ(1, pwrite(again, "i", 1, 7));
	EXPECT_EQ(1, pread(self->obj, &c, 1, 7));
	EXPECT_EQ('i', c);
	/* and it can be exported in its turn */
	close(dmabuf);
	third = kmm_object_export(again, 0);
	ASSERT_LE(0, third);
	close(again);
	EXPECT_EQ(EBUSY, punch(self->obj, 0, PAGE));
	close(third);
	EXPECT_EQ(0, punch_soon(self->obj));
}

/* === Bad input === */

static int foreign_udmabuf(void)
{
	int dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), fd = -1, mem;
	struct udmabuf_create c = { .size = PAGE };

	if (dev < 0)
		return -1;
	mem = memfd_create("kmm", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (mem >= 0 && !ftruncate(mem, PAGE) && !fcntl(mem, F_ADD_SEALS, F_SEAL_SHRINK)) {
		c.memfd = mem;
		fd = ioctl(dev, UDMABUF_CREATE, &c);
	}
	close(mem);
	close(dev);
	return fd;
}

TEST_F(dmabuf, foreign_descriptors_are_refused)
{
	int fd, dmabuf, w[2];

	DMABUF_OR_SKIP();
	dmabuf = kmm_object_export(self->obj, 0);
	ASSERT_LE(0, dmabuf);
	close(dmabuf);
	EXPECT_EQ(-EBADF, kmm_object_import(self->dev, dmabuf));
	EXPECT_EQ(-EBADF, kmm_object_import(self->dev, -1));
	EXPECT_EQ(-EBADF, kmm_object_import(self->dev, INT32_MAX));
	EXPECT_EQ(-EXDEV, kmm_object_import(self->dev, self->obj));
	EXPECT_EQ(-EXDEV, kmm_object_import(self->dev, self->dev));
	ASSERT_EQ(0, pipe(w));
	EXPECT_EQ(-EXDEV, kmm_object_import(self->dev, w[0]));
	close(w[0]);
	close(w[1]);
	fd = foreign_udmabuf();
	if (fd < 0)
		SKIP(return, "no udmabuf in this kernel");
	EXPECT_EQ(-EXDEV, kmm_object_import(self->dev, fd));
	close(fd);
}

TEST_F(dmabuf, bad_input)
{
	struct kmm_object_export e = { .flags = 0 };
	struct kmm_object_import i = { .dmabuf_fd = -1 };
	struct kmm_object_info info;
	struct rlimit old, none;
	int dmabuf, fds, empty;

	DMABUF_OR_SKIP();
	dmabuf = kmm_object_export(self->obj, 0);
	ASSERT_LE(0, dmabuf);
	fds = count_fds();
	for (int bit = 1; bit < 32; bit++) {
		e.flags = 1U << bit;
		EXPECT_EQ(EINVAL, ERR(ioctl(self->obj, KMM_IOC_OBJECT_EXPORT, &e)));
	}
	EXPECT_EQ(ENOTTY, ERR(ioctl(self->dev, KMM_IOC_OBJECT_EXPORT, &e)));
	EXPECT_EQ(ENOTTY, ERR(ioctl(self->obj, KMM_IOC_OBJECT_IMPORT, &i)));
	EXPECT_NE(0, ERR(ioctl(dmabuf, KMM_IOC_OBJECT_EXPORT, &e)));
	EXPECT_EQ(EFAULT, ERR(ioctl(self->obj, KMM_IOC_OBJECT_EXPORT, NULL)));
	EXPECT_EQ(EFAULT, ERR(ioctl(self->dev, KMM_IOC_OBJECT_IMPORT, 8)));
	EXPECT_EQ(EINVAL, ERR(ioctl(self->obj, _IOC(_IOC_READ | _IOC_WRITE, 'K', 0x15, 4), &e)));
	/* what cannot be told is not made */
	void *ro = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, ro);
	EXPECT_EQ(EFAULT, ERR(ioctl(self->obj, KMM_IOC_OBJECT_EXPORT, ro)));
	munmap(ro, PAGE);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	none = (struct rlimit){ 3, old.rlim_max };
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, kmm_object_export(self->obj, 0));
	EXPECT_EQ(-EMFILE, kmm_object_import(self->dev, dmabuf));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_EQ(fds, count_fds());
	close(dmabuf);
	EXPECT_EQ(0, punch_soon(self->obj));

	empty = kmm_object_create(self->dev, PAGE, 0);
	ASSERT_LE(0, empty);
	ASSERT_EQ(0, ftruncate(empty, 0));
	EXPECT_EQ(-EINVAL, kmm_object_export(empty, 0));
	/* more than the region: refused at once */
	ASSERT_EQ(0, ftruncate(empty, 1L << 36));
	EXPECT_EQ(-ENOMEM, kmm_object_export(empty, 0));
	ASSERT_EQ(0, kmm_object_info(empty, &info));
	EXPECT_EQ(0, info.resident);
	close(empty);
}

TEST_F(dmabuf, an_importers_bad_input)
{
	int dmabuf, im;
	char c;

	DMABUF_OR_SKIP();
	IMPORTER_OR_SKIP();
	dmabuf = kmm_object_export(self->obj, 0);
	ASSERT_LE(0, dmabuf);
	im = importer_attach(dmabuf, IMPORTER_FROM_DEVICE, BOTH_VIEWS, NULL);
	ASSERT_LE(0, im);
	/* the test's own driver, so that what it says can be believed */
	EXPECT_EQ(-ERANGE, importer_io(im, IMPORTER_SG, false, 16 * PAGE, &c, 1));
	EXPECT_EQ(-ERANGE, importer_io(im, IMPORTER_VMAP, true, UINT64_MAX, &c, 2));
	EXPECT_EQ(-EINVAL, importer_io(im, 3, false, 0, &c, 1));
	EXPECT_EQ(0, importer_io(im, IMPORTER_SG, true, 16 * PAGE - 1, &c, 1));
	close(im);
	EXPECT_EQ(-EBADF, importer_attach(-1, 0, 0, NULL));
	EXPECT_EQ(-EINVAL, importer_attach(self->obj, 0, 0, NULL));
	close(dmabuf);
}

/* An ordinary user exports one object again and again: to the limit, not beyond. */
static int flood(void)
{
	struct rlimit r = { 60000, 60000 };
	struct kmm_info info;
	struct kmm_stat s;
	int dev, obj, n, fd;

	if (setrlimit(RLIMIT_NOFILE, &r) || setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		return 100;
	dev = kmm_open();
	if (dev < 0 || kmm_get_info(dev, &info))
		return 1;
	obj = kmm_object_create(dev, 256 * PAGE, 0);
	if (obj < 0)
		return 2;
	for (n = 0; n < 60000; n++) {
		fd = kmm_object_export(obj, n & 1 ? KMM_EXPORT_RDONLY : 0);
		if (fd < 0)
			break;
	}
	if (fd != -EDQUOT)
		return 3;
	/* 16 bytes a page and what an open file costs: nothing is free of charge */
	if ((uint64_t)n > info.user_limits.host_bytes / (256 * 8))
		return 4;
	if (kmm_get_stat(dev, 0, &s) || s.user_host_bytes > info.user_limits.host_bytes)
		return 5;
	printf("# %d dma-bufs of 1 MiB, then EDQUOT\n", n);
	fflush(stdout);
	return 0;
}

TEST_F(dmabuf, flood_stops_at_the_quota)
{
	struct stat st;
	pid_t pid;
	int ret;

	DMABUF_OR_SKIP();
	ASSERT_EQ(0, stat(KMM_DEVICE, &st));
	ASSERT_EQ(0, chmod(KMM_DEVICE, 0666));
	pid = fork();
	if (!pid)
		_exit(flood());
	ret = wait_child(pid);
	EXPECT_EQ(0, chmod(KMM_DEVICE, st.st_mode & 07777));
	EXPECT_EQ(0, ret);
}

/* === Races === */

static struct {
	volatile bool stop;
	volatile int wrong;
	volatile int dmabuf;
	int dev;
	int obj;
} race;

static void *export_thread(void *arg)
{
	(void)arg;
	while (!race.stop) {
		int fd = kmm_object_export(race.obj, 0), ro, again;
		char *p;

		if (fd < 0) {
			if (fd != -EINTR && fd != -ENOMEM && fd != -EINVAL)
				race.wrong++;
			continue;
		}
		/* what lives is whole: its size is that of a moment, none of its frames leaves */
		if (lseek(fd, 0, SEEK_END) % PAGE)
			race.wrong++;
		p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p != MAP_FAILED) {
			*(volatile char *)p = 'e';
			munmap(p, PAGE);
		}
		ro = kmm_object_export(race.obj, KMM_EXPORT_RDONLY);
		if (ro >= 0)
			close(ro);
		again = kmm_object_import(race.dev, fd);
		if (again < 0)
			race.wrong++;
		else
			close(again);
		close(fd);
	}
	return NULL;
}

static void *size_thread(void *arg)
{
	uint64_t seed = 0x5ee + (uintptr_t)arg;

	while (!race.stop) {
		punch(race.obj, next_random(&seed) % 16 * PAGE, PAGE);
		(void)!ftruncate(race.obj, next_random(&seed) % (64 * PAGE));
	}
	return NULL;
}

static void *device_thread(void *arg)
{
	(void)arg;
	while (!race.stop) {
		int fd = kmm_object_export(race.obj, 0), im;
		struct importer_attach a = { 0 };
		char c = 'd';

		if (fd < 0)
			continue;
		im = importer_attach(fd, IMPORTER_BIDIRECTIONAL, BOTH_VIEWS, &a);
		close(fd);
		if (im < 0)
			continue;
		/* the last byte that it has, by both ways */
		if (importer_io(im, IMPORTER_SG, true, a.size_bytes - 1, &c, 1) ||
		    importer_io(im, IMPORTER_VMAP, false, a.size_bytes - 1, &c, 1))
			race.wrong++;
		importer_sync(im, false, IMPORTER_BIDIRECTIONAL);
		close(im);
	}
	return NULL;
}

/* The number of a descriptor that others use is closed and used anew. */
static void *close_thread(void *arg)
{
	(void)arg;
	while (!race.stop) {
		race.dmabuf = kmm_object_export(race.obj, 0);
		sched_yield();
		close(race.dmabuf);
	}
	return NULL;
}

static void *use_thread(void *arg)
{
	(void)arg;
	while (!race.stop) {
		int fd = kmm_object_import(race.dev, race.dmabuf);

		if (fd >= 0)
			close(fd);
		else if (fd != -EBADF && fd != -EXDEV)
			race.wrong++;
	}
	return NULL;
}

static void run_race(void *(*const *thread)(void *), int nr)
{
	pthread_t t[8];

	race.stop = false;
	race.wrong = 0;
	race.dmabuf = -1;
	for (int i = 0; i < nr; i++)
		if (pthread_create(&t[i], NULL, thread[i], (void *)(uintptr_t)i))
			race.wrong++;
	sleep_ms(env_number("KMM_RACE_MS", 1000));
	race.stop = true;
	for (int i = 0; i < nr; i++)
		pthread_join(t[i], NULL);
}

TEST_F_TIMEOUT(dmabuf, export_against_punch_and_truncate, 180)
{
	static void *(*const t[])(void *) = { export_thread, size_thread, device_thread };

	DMABUF_OR_SKIP();
	race.dev = self->dev;
	race.obj = self->obj;
	run_race(t, have_importer() ? 3 : 2);
	EXPECT_EQ(0, race.wrong);
}

TEST_F_TIMEOUT(dmabuf, import_against_close, 180)
{
	static void *(*const t[])(void *) = { close_thread, use_thread, use_thread };

	DMABUF_OR_SKIP();
	race.dev = self->dev;
	race.obj = self->obj;
	run_race(t, 3);
	EXPECT_EQ(0, race.wrong);
}

static pthread_barrier_t start;

static void *seal_once(void *arg)
{
	pthread_barrier_wait(&start);
	*(int *)arg = kmm_object_seal(race.obj, KMM_SEAL_WRITE, NULL);
	return NULL;
}

/* One of the two wins, never both. */
TEST_F_TIMEOUT(dmabuf, export_against_seal, 180)
{
	unsigned long sealed = 0, exported = 0;
	uint64_t end = now_ms() + env_number("KMM_RACE_MS", 1000);
	int dmabuf;

	DMABUF_OR_SKIP();
	ASSERT_EQ(0, pthread_barrier_init(&start, NULL, 2));
	while (now_ms() < end) {
		pthread_t t;
		int seal;

		race.obj = kmm_object_create(self->dev, 4 * PAGE, 0);
		ASSERT_LE(0, race.obj);
		ASSERT_EQ(0, pthread_create(&t, NULL, seal_once, &seal));
		pthread_barrier_wait(&start);
		dmabuf = kmm_object_export(race.obj, 0);
		pthread_join(t, NULL);
		ASSERT_TRUE((seal == 0 && dmabuf == -EPERM) || (seal == -EBUSY && dmabuf >= 0))
			TH_LOG("seal %d, export %d", seal, dmabuf);
		sealed += !seal;
		exported += dmabuf >= 0;
		if (dmabuf >= 0)
			close(dmabuf);
		close(race.obj);
	}
	TH_LOG("sealed %lu times, exported %lu times", sealed, exported);
	pthread_barrier_destroy(&start);
}

/* === Death === */

static void send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte = 'x';
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	sendmsg(sock, &m, MSG_DONTWAIT);
}

/* Exports, maps, attaches and passes on, for ever. */
static void __attribute__((noreturn)) live(uint64_t seed)
{
	int dev = kmm_open(), sock[2], obj, dmabuf, im;

	if (dev < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock))
		_exit(1);
	for (;;) {
		char *p;

		obj = kmm_object_create(dev, (1 + next_random(&seed) % 600) * PAGE, 0);
		if (obj < 0)
			_exit(2);
		dmabuf = kmm_object_export(obj, 0);
		if (dmabuf < 0)
			_exit(3);
		if (next_random(&seed) & 1)
			close(obj);
		p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
		if (p == MAP_FAILED)
			_exit(4);
		memset(p, 'k', PAGE);
		im = importer_attach(dmabuf, IMPORTER_BIDIRECTIONAL, BOTH_VIEWS, NULL);
		send_fd(sock[0], dmabuf);
		if (next_random(&seed) & 1)
			munmap(p, PAGE);
		close(kmm_object_import(dev, dmabuf));
		close(dmabuf);
		if (im >= 0)
			close(im);
		if (next_random(&seed) % 8 == 0) {
			/* all that is in flight and mapped, at once */
			close(sock[0]);
			close(sock[1]);
			if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock))
				_exit(5);
			for (int fd = 3; fd < 200; fd++)
				if (fd != dev && fd != sock[0] && fd != sock[1])
					close(fd);
		}
	}
}

TEST_F_TIMEOUT(dmabuf, killed_holders_leave_nothing, 1800)
{
	unsigned long kills = env_number("KMM_KILLS", 40) / 2;
	uint64_t seed = seed_from_env();
	pid_t pid[2];

	DMABUF_OR_SKIP();
	for (unsigned long i = 0; i < kills; i += 2) {
		for (int k = 0; k < 2; k++) {
			pid[k] = fork();
			ASSERT_LE(0, pid[k]);
			if (!pid[k])
				live(seed ^ ((i + k + 1) * 0x9e3779b97f4a7c15ULL));
		}
		sleep_ms(next_random(&seed) % 60 + 5);
		for (int k = 0; k < 2; k++)
			kill(pid[k], SIGKILL);
		for (int k = 0; k < 2; k++) {
			int how = wait_child(pid[k]);

			ASSERT_EQ(256 + SIGKILL, how) TH_LOG("kill %lu: ended by itself", i + k);
		}
	}
}

TEST_HARNESS_MAIN
