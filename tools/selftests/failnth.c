// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each failure, one by one: fail-nth makes the Nth allocation of a system call fail, N = 1, 2, …
 * until the call gets through untouched. What fails must say ENOMEM (or ENFILE, or EFAULT for a
 * user copy) and leave nothing behind. Twice: the host's allocations and user copies, by
 * /proc/thread-self/fail-nth, which needs a kernel with fault injection, the debug one; and
 * kmm's own, by debugfs kmm/fail, on every kernel. At last the failures of loading.
 */
#include "importer.h"
#include <sys/sendfile.h>

#include "swap_test.h"

#define NTH_MAX		400
#define SIZE		(3UL << 20)

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

#define HOST_NTH	"/proc/thread-self/fail-nth"
#define KMM_FAIL	"/sys/kernel/debug/kmm/fail/"
#define KMM_NTH		KMM_FAIL "fail-nth"

/* Sleeping allocations too, and no stack for each failure in the log. */
static bool prepare_host(void)
{
	const char *dir = "/sys/kernel/debug/";
	static const char *const set[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	char path[100];

	for (size_t i = 0; i < ARRAY_SIZE(set); i++) {
		snprintf(path, sizeof(path), "%s%s", dir, set[i][0]);
		if (!write_file(path, set[i][1]))
			return false;
	}
	return access(HOST_NTH, W_OK) == 0;
}

/* Returns the open file, with which disarm() is asked. */
static int arm(const char *path, int nth)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", nth);

	if (fd >= 0 && write(fd, text, len) != len) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Did a failure take place? */
static bool disarm(int fd)
{
	char text[16] = "";
	bool fired = pread(fd, text, sizeof(text) - 1, 0) > 0 && atoi(text) == 0;

	if (pwrite(fd, "0", 1, 0) != 1)
		fired = false;
	close(fd);
	return fired;
}

/* === What is made to fail; each gives 0 or -errno, and gives back what it got === */

static int fail_open(int dev, int obj)
{
	int fd = open(KMM_DEVICE, O_RDWR | O_CLOEXEC);

	(void)dev;
	(void)obj;
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int create(int dev, unsigned int flags)
{
	int fd = kmm_object_create(dev, SIZE, flags);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static int fail_create(int dev, int obj)
{
	(void)obj;
	return create(dev, 0);
}

static int fail_create_eager(int dev, int obj)
{
	(void)obj;
	return create(dev, KMM_OBJECT_EAGER);
}

static int fail_create_contig(int dev, int obj)
{
	(void)obj;
	return create(dev, KMM_OBJECT_CONTIG);
}

static int fail_reopen(int dev, int obj)
{
	struct kmm_object_reopen r = { .flags = KMM_REOPEN_RDONLY };

	(void)dev;
	if (ioctl(obj, KMM_IOC_OBJECT_REOPEN, &r))
		return -errno;
	close(r.fd);
	return 0;
}

static int map(int fd)
{
	void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int err;

	if (p == MAP_FAILED)
		return -errno;
	if (!munmap(p, 1 << 20))
		return 0;
	err = -errno;
	munmap(p, 1 << 20);
	return err;
}

static int fail_mmap_device(int dev, int obj)
{
	(void)obj;
	return map(dev);
}

static int fail_mmap_locked(int dev, int obj)
{
	(void)dev;
	return map(obj);
}

/* On a descriptor of its own, whose end frees what is left. */
static int run_ops(struct kmm_op *op, uint32_t nr)
{
	struct kmm_ops ops = { .ops = (uintptr_t)op, .nr = nr, .flags = KMM_OPS_KEEP_GOING };
	int fd = open(KMM_DEVICE, O_RDWR | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = ioctl(fd, KMM_IOC_OPS, &ops) ? -errno : ops.failed ? -ENOMEM : 0;
	close(fd);
	return err;
}

static int fail_ops(int dev, int obj)
{
	struct kmm_op op[] = {
		{ .kind = KMM_OP_PAGES_ALLOC, .slot = 7 },
		{ .kind = KMM_OP_PAGES_ALLOC, .slot = 60000, .arg = 3 },
		{ .kind = KMM_OP_PAGES_FREE, .slot = 7 },
		{ .kind = KMM_OP_PAGES_FREE, .slot = 60000 },
	};

	(void)dev;
	(void)obj;
	return run_ops(op, ARRAY_SIZE(op));
}

/* Caches of both kinds, with their folders in debugfs, objects, kmalloc of each way. */
static int fail_slab(int dev, int obj)
{
	struct kmm_op op[] = {
		{ .kind = KMM_OP_CACHE_CREATE, .slot = 0, .arg = KMM_CACHE_ARG(100, 0, 0) },
		{ .kind = KMM_OP_CACHE_CREATE, .slot = 1,
		  .arg = KMM_CACHE_ARG(100, KMM_CACHE_RED_ZONE | KMM_CACHE_STORE_USER, 0) },
		{ .kind = KMM_OP_CACHE_ALLOC, .slot = 2, .arg = 0 },
		{ .kind = KMM_OP_CACHE_ALLOC, .slot = 3, .arg = 1 },
		{ .kind = KMM_OP_KMALLOC, .slot = 4, .arg = 100 },
		{ .kind = KMM_OP_KMALLOC, .slot = 5, .arg = 100000 },
		{ .kind = KMM_OP_CACHE_FREE, .slot = 2 },
		{ .kind = KMM_OP_CACHE_DESTROY, .slot = 0 },
		{ .kind = KMM_OP_KFREE, .slot = 4 },
	};

	(void)dev;
	(void)obj;
	return run_ops(op, ARRAY_SIZE(op));
}

/* Addresses that no pool has, frames of every order, 2 MiB leaves. */
static int fail_vmalloc(int dev, int obj)
{
	const unsigned int rw = KMM_PROT_READ | KMM_PROT_WRITE;
	struct kmm_op op[] = {
		{ .kind = KMM_OP_VMALLOC, .slot = 0, .arg = KMM_VMALLOC_ARG(1, rw) },
		{ .kind = KMM_OP_VMALLOC, .slot = 1, .arg = KMM_VMALLOC_ARG(70 * PAGE, rw) },
		{ .kind = KMM_OP_VMALLOC, .slot = 2, .arg = KMM_VMALLOC_ARG(SIZE, rw) },
		{ .kind = KMM_OP_VFREE, .slot = 1 },
	};

	(void)dev;
	(void)obj;
	return run_ops(op, ARRAY_SIZE(op));
}

static int fail_contents(int dev, int obj)
{
	int fd = kmm_object_create(dev, SIZE, 0), err = 0;

	(void)obj;
	if (fd < 0)
		return fd;
	if (pwrite(fd, "x", 1, 2 << 20) != 1 ||
	    fallocate(fd, 0, 0, 4 << 20) ||
	    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4 << 20) ||
	    ftruncate(fd, 900 << 20))
		err = -errno;
	close(fd);
	return err;
}

/* A name that is new, opened again, opened when nobody else has it open any more, and gone. */
static int fail_shm(int dev, int obj)
{
	int fd = kmm_shm_open(dev, "failnth", KMM_SHM_CREATE, 0600, SIZE, KMM_OBJECT_EAGER);
	int again, err = fd < 0 ? fd : 0;

	(void)obj;
	for (int i = 0; i < 2 && !err; i++) {
		again = kmm_shm_open(dev, "failnth", 0, 0, 0, 0);
		if (again < 0)
			err = again;
		if (again >= 0)
			close(again);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	if (fd >= 0)
		close(fd);
	/* when the call that made it failed there is no name; a failed unlink leaves one */
	again = kmm_shm_unlink(dev, "failnth");
	if (again == -EFAULT)
		kmm_shm_unlink(dev, "failnth");
	return err ?: again;
}

/* More than a batch. Copies of held frames take nothing of the host; KUnit makes these fail. */
static int fail_gift(int dev, int obj)
{
	int a = kmm_object_create(dev, SIZE, KMM_OBJECT_EAGER), b = kmm_object_create(dev, SIZE, 0);
	int err = a < 0 ? a : b < 0 ? b : 0;
	struct kmm_object_gift g;

	(void)obj;
	if (!err)
		err = kmm_object_gift(a, 0, b, 0, SIZE, &g);
	/* the second batch failed: the first one was given */
	if (err == 1)
		err = -ENOMEM;
	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	return err;
}

/* Copies by sendfile, both ways of splice. */
static int fail_splice(int dev, int obj)
{
	int own = kmm_object_create(dev, SIZE, 0), err = 0;
	off_t at = 0;

	if (own < 0)
		return own;
	/* the host says EAGAIN when it has no page for its pipe */
	if (sendfile(own, obj, &at, 4 * 4096) < 0)
		err = errno == EAGAIN ? -ENOMEM : -errno;
	close(own);
	return err;
}

/* Export of an object with holes, a mapping, an import. */
static int fail_export(int dev, int obj)
{
	int own = kmm_object_create(dev, SIZE, 0), dmabuf, again, err;

	(void)obj;
	if (own < 0)
		return own;
	dmabuf = kmm_object_export(own, 0);
	close(own);
	if (dmabuf < 0)
		return dmabuf;
	err = map(dmabuf);
	again = kmm_object_import(dev, dmabuf);
	close(dmabuf);
	if (again < 0)
		return again;
	close(again);
	return err;
}

/* A driver that attaches, maps for DMA and into the kernel. */
static int fail_attach(int dev, int obj)
{
	int dmabuf, im;

	(void)dev;
	if (!have_importer())
		return 0;
	dmabuf = kmm_object_export(obj, 0);
	if (dmabuf < 0)
		return dmabuf;
	im = importer_attach(dmabuf, IMPORTER_BIDIRECTIONAL, IMPORTER_SG | IMPORTER_VMAP, NULL);
	close(dmabuf);
	if (im < 0)
		return im;
	close(im);
	return 0;
}

static int fail_pipe_create(int dev, int obj)
{
	int fd[2], err = kmm_pipe_create(dev, 1 << 20, 0, fd);

	(void)obj;
	if (err)
		return err;
	close(fd[0]);
	close(fd[1]);
	return 0;
}

/* Bytes in and out, both ways of splice, and another capacity. */
static int fail_pipe_io(int dev, int obj)
{
	static char buf[20000];
	uint64_t size = 1 << 20;
	int fd[2], host[2], err = kmm_pipe_create(dev, 0, KMM_PIPE_NONBLOCK, fd);
	ssize_t n;

	(void)obj;
	if (err)
		return err;
	if (pipe2(host, O_NONBLOCK)) {
		err = -errno;
		goto close_pipe;
	}
	err = kmm_pipe_resize(fd[0], &size);
	/* A failure behind the first page is a short write or read. */
	n = write(fd[1], buf, sizeof(buf));
	if (n != sizeof(buf))
		err = n < 0 ? -errno : -ENOMEM;
	/* Nothing may be left for the next one then: the first error counts. */
	n = n < 0 ? 0 : read(fd[0], buf, 10000);
	if (n < 0 && !err)
		err = -errno;
	n = n <= 0 ? 0 : splice(fd[0], NULL, host[1], NULL, 10000, 0);
	if (n < 0 && !err)
		err = -errno;
	n = n <= 0 ? 0 : splice(host[0], NULL, fd[1], NULL, 10000, 0);
	if (n < 0 && !err)
		err = -errno;
	close(host[0]);
	close(host[1]);
close_pipe:
	close(fd[0]);
	close(fd[1]);
	return err;
}

static int access_space(int space, uint32_t op, uint64_t addr, uint32_t len)
{
	static char buf[8192];
	struct kmm_space_access a = { .addr = addr, .buf = (uintptr_t)buf, .len = len, .op = op };
	int ret = kmm_space_access(space, &a);

	return ret ? ret : a.fault_rule ? a.fault_errno : 0;
}

static int fail_space_create(int dev, int obj)
{
	int space = kmm_space_create(dev);

	(void)obj;
	if (space < 0)
		return space;
	close(space);
	return 0;
}

/* All that makes areas, tables, frames and copies of them. */
static int fail_space(int dev, int obj)
{
	const uint32_t rw = KMM_PROT_READ | KMM_PROT_WRITE;
	uint64_t anon = 0x10000000, shared = 0x20000000, huge = 0x40000000;
	int space = kmm_space_create(dev), copy = -1, ret;
	char c;

	if (space < 0)
		return space;
	ret = kmm_space_map(space, &anon, 64 << 10, rw, KMM_MAP_PRIVATE | KMM_MAP_FIXED, -1, 0);
	if (!ret)
		ret = kmm_space_map(space, &shared, 64 << 10, rw, KMM_MAP_SHARED | KMM_MAP_FIXED,
				    obj, 0);
	if (!ret)
		ret = kmm_space_map(space, &huge, 2 << 20, rw, KMM_MAP_PRIVATE | KMM_MAP_FIXED |
				    KMM_MAP_HUGE | KMM_MAP_POPULATE, -1, 0);
	if (!ret)
		ret = access_space(space, KMM_ACCESS_WRITE, anon + 4000, 8192);
	if (!ret)
		ret = access_space(space, KMM_ACCESS_READ, shared + 4000, 8192);
	if (!ret && pread(space, &c, 1, anon) != 1)
		ret = -errno;
	if (!ret) {
		copy = kmm_space_clone(space);
		ret = copy;
	}
	if (ret >= 0)
		ret = access_space(copy, KMM_ACCESS_WRITE, anon + 4000, 200);
	if (!ret)
		ret = kmm_space_protect(space, anon + 4096, 4096, KMM_PROT_READ);
	if (!ret)
		ret = kmm_space_protect(space, huge + 4096, 4096, KMM_PROT_READ);
	if (!ret)
		ret = kmm_space_unmap(space, shared + 4096, 4096);
	if (!ret)
		ret = kmm_space_map(space, &anon, 8192, rw, KMM_MAP_PRIVATE | KMM_MAP_FIXED |
				    KMM_MAP_REPLACE | KMM_MAP_POPULATE, -1, 0);
	if (copy >= 0)
		close(copy);
	close(space);
	return ret;
}

/* A queue with a name, messages of both kinds in and out, by copy and as frames. */
static int fail_trace(int dev, int obj)
{
	int space = kmm_space_create(dev), ret;
	uint64_t at = 0x10000000, got[4];

	if (space < 0)
		return space;
	ret = kmm_space_map(space, &at, PAGE, KMM_PROT_READ, KMM_MAP_PRIVATE | KMM_MAP_FIXED, -1,
			    0);
	if (!ret)
		ret = kmm_space_trace(space, KMM_TRACE_START, NULL, 0, NULL);
	if (!ret)
		ret = access_space(space, KMM_ACCESS_READ, at, 1);
	if (!ret)
		ret = kmm_space_trace(space, 0, got, 4, NULL);
	if (ret > 0)
		ret = kmm_object_young(obj, 0, 8, got);
	close(space);
	return ret < 0 ? ret : 0;
}

static int fail_replay(int dev, int obj)
{
	const uint32_t refs[] = { 1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5 };
	struct kmm_replay_run run = { 0 };
	int fd = kmm_replay_create(dev, "random", 3, 1024), ret = 0;

	(void)obj;
	if (fd < 0)
		return fd;
	/* a failure that comes between two references ends the call, and the next one tells */
	for (unsigned int at = 0; !ret && at < ARRAY_SIZE(refs); at += run.done)
		ret = kmm_replay_run(fd, refs + at, ARRAY_SIZE(refs) - at, &run);
	if (!ret && (run.references != ARRAY_SIZE(refs) || run.faults < 7))
		ret = -EIO;
	close(fd);
	return ret < 0 ? ret : kmm_policy_set(dev, "random") ?: kmm_policy_set(dev, "twolist");
}

/* === Swap === */

#define SWAP_BYTES	(64 * PAGE)

enum place { RAM, SHARED, PARTITION, EXTENTS };

/* A descriptor of a place to swap to, made once: what this takes is not what is tested. */
static int swap_target(enum place where)
{
	static int fd[EXTENTS + 1] = { -1, -1, -1, -1 };
	char path[64];

	if (where == RAM || fd[where] >= 0)
		return fd[where];
	if (access(WORK "/ready", F_OK) && (begin_work("64m") ||
					    make_file(WORK "/ready", 0, true) < 0))
		return -1;
	switch (where) {
	case SHARED:
		fd[where] = make_file(WORK "/shared", SWAP_BYTES, false);
		break;
	case PARTITION:
		fd[where] = make_loop("dev.img", SWAP_BYTES, path);
		break;
	default:
		if (!access(WORK "/fs/swap", F_OK) || !mount_ext4(8 << 20, path))
			fd[where] = make_file(WORK "/fs/swap", SWAP_BYTES, false);
	}
	return fd[where];
}

static int swap_on(int dev, enum place where, const char *compressor)
{
	int fd = swap_target(where);

	if (where == RAM)
		return kmm_swap_on_ram(dev, compressor, SWAP_BYTES, 0);
	return fd < 0 ? -ENODEV : kmm_swap_on(dev, fd, 0);
}

/* The area whose number nobody got to know, because copying it out failed, is gone again. */
static int swap_off_if_on(int dev, int id)
{
	struct kmm_swap_info i;
	int err;

	if (id < 0)
		return kmm_swap_info(dev, 0, &i) ? id : -EBUSY;
	err = kmm_swap_off(dev, id);
	/* what made it fail is over */
	return err && kmm_swap_off(dev, id) ? -EBUSY : err;
}

static int fail_swap_lz4(int dev, int obj)
{
	(void)obj;
	return swap_off_if_on(dev, swap_on(dev, RAM, "lz4"));
}

static int fail_swap_zstd(int dev, int obj)
{
	(void)obj;
	return swap_off_if_on(dev, swap_on(dev, RAM, "zstd"));
}

/* On, where is it, and off. */
static int swap_on_tell_off(int dev, enum place where)
{
	int id = swap_on(dev, where, NULL), err = 0;
	struct kmm_swap_info i;

	if (id >= 0)
		err = kmm_swap_info(dev, id, &i);
	/* the host had no memory to tell */
	if (id >= 0 && !err && !strcmp(i.what, "?"))
		err = -ENOMEM;
	id = swap_off_if_on(dev, id);
	return id < 0 ? id : err;
}

static int fail_swap_shared(int dev, int obj)
{
	(void)obj;
	return swap_on_tell_off(dev, SHARED);
}

static int fail_swap_partition(int dev, int obj)
{
	(void)obj;
	return swap_on_tell_off(dev, PARTITION);
}

static int fail_swap_extents(int dev, int obj)
{
	(void)obj;
	return swap_on_tell_off(dev, EXTENTS);
}

#define OUT_PAGES	8

/* Every page has its number in it, or could not be had: the worst error. */
static int check_numbers(int fd, int nr)
{
	int err = 0, n;
	char page[PAGE];

	for (int i = 0; i < nr; i++) {
		ssize_t got = pread(fd, page, PAGE, i * PAGE);

		memcpy(&n, page + 100, sizeof(n));
		if (got != PAGE)
			err = err ?: got < 0 ? -errno : -ENOMEM;
		else if (n != i + 1)
			return -EILSEQ;
	}
	return err;
}

static int write_numbers(int fd, int nr)
{
	char page[PAGE] = "";

	for (int i = 0; i < nr; i++) {
		int n = i + 1;
		ssize_t put;

		memcpy(page + 100, &n, sizeof(n));
		put = pwrite(fd, page, PAGE, i * PAGE);
		if (put != PAGE)
			return put < 0 ? -errno : -ENOMEM;
	}
	return 0;
}

/* Out by advice, in again, then with so few frames that each page has to make room for the next. */
static int out_and_in(int fd)
{
	int64_t out = kmm_object_advise(fd, 0, OUT_PAGES * PAGE, KMM_ADVISE_PAGEOUT);
	int err = out < 0 ? (int)out : check_numbers(fd, OUT_PAGES);

	return err ?: kmm_object_limit(fd, 3) ?: check_numbers(fd, OUT_PAGES);
}

/* What fails on the way costs calls, never contents: the next one finds them. */
static int pages_out_and_in(int dev, enum place where)
{
	static int id = -1;
	int fd, err;

	/* before anything is made to fail */
	if (id < 0)
		id = swap_on(dev, where, "lz4");
	if (id < 0)
		return id;
	fd = kmm_object_create(dev, OUT_PAGES * PAGE, 0);
	err = fd < 0 ? fd : write_numbers(fd, OUT_PAGES);
	if (!err) {
		err = out_and_in(fd);
		if (err && check_numbers(fd, OUT_PAGES))
			err = -EILSEQ;
	}
	if (fd >= 0)
		close(fd);
	return err;
}

static int fail_pages_ram(int dev, int obj)
{
	(void)obj;
	return pages_out_and_in(dev, RAM);
}

static int fail_pages_shared(int dev, int obj)
{
	(void)obj;
	return pages_out_and_in(dev, SHARED);
}

static int fail_pages_partition(int dev, int obj)
{
	(void)obj;
	return pages_out_and_in(dev, PARTITION);
}

static int fail_msgq(int dev, int obj)
{
	static const char name[] = "kmm-failnth";
	uint32_t flags = KMM_MSGQ_READ | KMM_MSGQ_WRITE | KMM_MSGQ_NONBLOCK;
	int fd = kmm_object_create(dev, 32768, 0), q = -1, q2 = -1, err = fd, ret;
	static char buf[32768];

	(void)obj;
	if (err >= 0) {
		q = kmm_msgq_open(dev, name, flags | KMM_MSGQ_CREATE | KMM_MSGQ_EXCL, 0600, 4,
				  sizeof(buf));
		err = q;
	}
	if (err >= 0) {
		q2 = kmm_msgq_open(dev, name, KMM_MSGQ_READ | KMM_MSGQ_NONBLOCK, 0, 0, 0);
		err = q2;
	}
	if (err >= 0)
		err = kmm_msgq_send(q, buf, 200, 1, 0, 0);
	if (err >= 0)
		err = kmm_msgq_send(q, buf, sizeof(buf), 0, 0, 0);
	if (err >= 0)
		err = kmm_msgq_receive_gift(q2, fd, 4096, sizeof(buf), NULL, 0, 0);
	if (err >= 0)
		err = kmm_msgq_send_gift(q, fd, 0, 8192, 0, 0, 0);
	if (err >= 0)
		err = kmm_msgq_receive(q2, buf, sizeof(buf), NULL, 0, 0);
	close(q);
	close(q2);
	close(fd);
	ret = kmm_msgq_unlink(dev, name);
	if (ret == -EFAULT) {
		/* it was this one that failed */
		err = ret;
		ret = kmm_msgq_unlink(dev, name);
	}
	/* an open that failed has left no name */
	if (ret != (q < 0 ? -ENOENT : 0))
		return -EBUSY;
	return err < 0 ? err : 0;
}

#define DEBUGFS		"/sys/kernel/debug/kmm/"

/* Files of debugfs that need memory to be read. */
static int fail_debugfs(int dev, int obj)
{
	char name[64] = "", path[160], text[256];
	int own = kmm_open(), err, fd;
	FILE *f;

	(void)dev;
	(void)obj;
	if (own < 0)
		return own;
	/* the cache goes with the file, also when its making could not be told */
	err = kmm_cache_create(own, 0, 100, 0, KMM_CACHE_STORE_USER);
	if (!err) {
		fd = open(DEBUGFS "slab_explain", O_RDWR | O_CLOEXEC);
		err = fd < 0 ? -errno : 0;
		close(fd);
	}
	f = err ? NULL : fopen(DEBUGFS "slabinfo", "re");
	while (f && fgets(text, sizeof(text), f))
		if (!strncmp(text, "user-", 5))
			sscanf(text, "%63s", name);
	if (f)
		fclose(f);
	/* the host had no memory to show it */
	if (!err && !*name)
		err = -ENOMEM;
	if (!err) {
		snprintf(path, sizeof(path), DEBUGFS "slab/%s/owners", name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		err = fd < 0 || read(fd, text, sizeof(text)) < 0 ? -errno : 0;
		close(fd);
		/* a cache without memory for its files has none */
		if (err == -ENOENT)
			err = -ENOMEM;
	}
	close(own);
	return err;
}

/* kmemleak goes on, its thread goes and comes; what was on stays on. */
static int fail_leak(int dev, int obj)
{
	static const char *const words[] = { "on", "scan=off", "scan=600" };
	char was = 'N';
	int err = 0, fd = open("/sys/module/kmm/parameters/kmemleak", O_RDONLY | O_CLOEXEC);

	(void)dev;
	(void)obj;
	if (read(fd, &was, 1) != 1)
		err = -EIO;
	close(fd);
	for (size_t i = 0; i < ARRAY_SIZE(words) && !err; i++)
		if (!write_file(DEBUGFS "kmemleak", words[i]))
			err = -errno;
	if (was == 'Y')
		return err;
	/* these need no memory */
	if (!write_file(DEBUGFS "kmemleak", "off") || !write_file(DEBUGFS "kmemleak", "clear"))
		return -EBUSY;
	return err;
}

FIXTURE_VARIANT(kmm) {
	int (*call)(int dev, int obj);
	bool asks_nothing;	/* kmm itself allocates nothing for it */
	bool swaps;		/* to area 0, which stays until the end; what is there may be EIO */
	bool own_only;		/* the host's part is a large vmalloc() */
};

FIXTURE_VARIANT_ADD(kmm, open) { .call = fail_open };
FIXTURE_VARIANT_ADD(kmm, create) { .call = fail_create };
FIXTURE_VARIANT_ADD(kmm, create_eager) { .call = fail_create_eager };
FIXTURE_VARIANT_ADD(kmm, create_contig) { .call = fail_create_contig };
FIXTURE_VARIANT_ADD(kmm, reopen) { .call = fail_reopen };
FIXTURE_VARIANT_ADD(kmm, mmap_device) { .call = fail_mmap_device };
FIXTURE_VARIANT_ADD(kmm, mmap_locked) { .call = fail_mmap_locked, .asks_nothing = true };
FIXTURE_VARIANT_ADD(kmm, ops) { .call = fail_ops };
FIXTURE_VARIANT_ADD(kmm, slab) { .call = fail_slab };
FIXTURE_VARIANT_ADD(kmm, vmalloc) { .call = fail_vmalloc };
FIXTURE_VARIANT_ADD(kmm, contents) { .call = fail_contents };
FIXTURE_VARIANT_ADD(kmm, shm) { .call = fail_shm };
FIXTURE_VARIANT_ADD(kmm, gift) { .call = fail_gift };
FIXTURE_VARIANT_ADD(kmm, splice) { .call = fail_splice };
FIXTURE_VARIANT_ADD(kmm, export) { .call = fail_export };
FIXTURE_VARIANT_ADD(kmm, attach) { .call = fail_attach };
FIXTURE_VARIANT_ADD(kmm, msgq) { .call = fail_msgq };
FIXTURE_VARIANT_ADD(kmm, pipe_create) { .call = fail_pipe_create };
FIXTURE_VARIANT_ADD(kmm, pipe_io) { .call = fail_pipe_io };
FIXTURE_VARIANT_ADD(kmm, space_create) { .call = fail_space_create };
FIXTURE_VARIANT_ADD(kmm, space) { .call = fail_space };
FIXTURE_VARIANT_ADD(kmm, trace) { .call = fail_trace };
FIXTURE_VARIANT_ADD(kmm, replay) { .call = fail_replay };
FIXTURE_VARIANT_ADD(kmm, swap_lz4) { .call = fail_swap_lz4 };
FIXTURE_VARIANT_ADD(kmm, swap_zstd) { .call = fail_swap_zstd };
FIXTURE_VARIANT_ADD(kmm, swap_shared) { .call = fail_swap_shared };
FIXTURE_VARIANT_ADD(kmm, swap_partition) { .call = fail_swap_partition };
FIXTURE_VARIANT_ADD(kmm, swap_extents) { .call = fail_swap_extents };
FIXTURE_VARIANT_ADD(kmm, pages_ram) { .call = fail_pages_ram, .swaps = true };
FIXTURE_VARIANT_ADD(kmm, pages_shared) { .call = fail_pages_shared, .swaps = true };
FIXTURE_VARIANT_ADD(kmm, pages_partition) { .call = fail_pages_partition, .swaps = true };
FIXTURE_VARIANT_ADD(kmm, debugfs) { .call = fail_debugfs };
FIXTURE_VARIANT_ADD(kmm, leak) { .call = fail_leak, .own_only = true };

/* What one round found. */
struct round {
	int err;
	bool fired;
	bool leaked;
};

/* The call with its Nth allocation failing; false if it could not be arranged. */
static bool fail_nth(const char *path, int nth, int dev, int obj, int (*call)(int dev, int obj),
		     const struct kmm_stat *before, struct round *r)
{
	struct kmm_stat now;
	int fd;

	fd = arm(path, nth);
	if (fd < 0)
		return false;
	r->err = call(dev, obj);
	r->fired = disarm(fd);
	if (settle(dev, before, &now))
		return false;
	r->leaked = !same_frames(before, &now);
	if (r->leaked) {
		print_stat("before", before);
		print_stat("after", &now);
	}
	return true;
}

/* Rounds until nothing fails any more. Returns the number of failures, or -1 and has said why. */
static int walk(const char *path, int dev, int (*call)(int dev, int obj), bool may_eio)
{
	int obj = kmm_object_create(dev, 1 << 20, KMM_OBJECT_LOCKED), bad = obj < 0, nth, err;
	struct round r = { .fired = true };
	struct kmm_stat before;

	/* What is made once (the pseudo file system) must not look like a leak. */
	err = bad ? 0 : call(dev, obj);
	if (err) {
		printf("# it fails by itself: %s\n", strerror(-err));
		bad++;
	}
	/* Each round ends as it began: one reading is before all of them. */
	shrink_slabs();
	bad += !bad && kmm_get_stat(dev, KMM_STAT_EXACT, &before);
	for (nth = 1; !bad && r.fired && nth < NTH_MAX; nth++) {
		if (!fail_nth(path, nth, dev, obj, call, &before, &r)) {
			printf("# failure %d could not be arranged\n", nth);
			bad++;
		} else if ((r.err && r.err != -ENOMEM && r.err != -ENFILE && r.err != -EFAULT &&
			    !(may_eio && r.err == -EIO)) || r.leaked) {
			printf("# failure %d: %s%s\n", nth, strerror(-r.err),
			       r.leaked ? ", and left something" : "");
			bad++;
		}
	}
	if (!bad && (r.fired || r.err)) {
		printf("# round %d: %s\n", nth - 1, r.fired ? "no end" : strerror(-r.err));
		bad++;
	}
	close(obj);
	fflush(stdout);
	return bad ? -1 : nth - 2;
}

TEST_F(kmm, leaves_nothing_behind)
{
	int nr;

	if (!prepare_host())
		SKIP(return, "no fault injection in this kernel");
	if (variant->own_only)
		SKIP(return, "only kmm's own failures");
	nr = walk(HOST_NTH, self->dev, variant->call, variant->swaps);
	EXPECT_LT(0, nr);
	if (variant->swaps)
		EXPECT_EQ(0, kmm_swap_off(self->dev, 0));
	TH_LOG("%d failures", nr);
}

TEST_F(kmm, own_leaves_nothing_behind)
{
	int nr;

	ASSERT_TRUE(write_file(KMM_FAIL "verbose", "0"));
	nr = walk(KMM_NTH, self->dev, variant->call, variant->swaps);
	EXPECT_TRUE(write_file(KMM_FAIL "verbose", "2"));
	if (variant->asks_nothing) {
		EXPECT_EQ(0, nr);
	} else {
		EXPECT_LT(0, nr);
	}
	if (variant->swaps)
		EXPECT_EQ(0, kmm_swap_off(self->dev, 0));
	TH_LOG("%d failures", nr);
}

/* === The controls themselves === */

static int ask_for_pages(int dev)
{
	struct kmm_op op = { .kind = KMM_OP_PAGES_ALLOC, .slot = 1 };
	struct kmm_op back = { .kind = KMM_OP_PAGES_FREE, .slot = 1 };
	struct kmm_ops ops = { .ops = (uintptr_t)&op, .nr = 1 };
	int err = ioctl(dev, KMM_IOC_OPS, &ops) ? -errno : op.result;

	ops.ops = (uintptr_t)&back;
	if (!err && (ioctl(dev, KMM_IOC_OPS, &ops) || back.result))
		err = -EIO;
	return err;
}

FIXTURE(attr) {
	int dev;
};

FIXTURE_SETUP(attr)
{
	self->dev = kmm_open();
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, ask_for_pages(self->dev));
	ASSERT_TRUE(write_file(KMM_FAIL "verbose", "0"));
}

FIXTURE_TEARDOWN(attr)
{
	static const char *const set[][2] = {
		{ "probability", "0" }, { "interval", "1" }, { "space", "0" }, { "times", "1" },
		{ "task-filter", "N" }, { "verbose", "2" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(set); i++) {
		char path[80];

		snprintf(path, sizeof(path), KMM_FAIL "%s", set[i][0]);
		EXPECT_TRUE(write_file(path, set[i][1]));
	}
	EXPECT_EQ(0, ask_for_pages(self->dev));
	close(self->dev);
}

TEST_F(attr, times_and_probability)
{
	int failed = 0;

	ASSERT_TRUE(write_file(KMM_FAIL "times", "3"));
	ASSERT_TRUE(write_file(KMM_FAIL "probability", "100"));
	for (int i = 0; i < 20; i++)
		failed += ask_for_pages(self->dev) == -ENOMEM;
	EXPECT_EQ(3, failed);
	ASSERT_TRUE(write_file(KMM_FAIL "times", "-1"));
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(-ENOMEM, ask_for_pages(self->dev));
	EXPECT_FALSE(write_file(KMM_FAIL "probability", "101"));
}

/* What is tried in another way when it failed: the other way fails, too. */
TEST_F(attr, two_in_a_row)
{
	int obj = kmm_object_create(self->dev, 1 << 20, KMM_OBJECT_LOCKED), nth, err, fd;
	char text[16] = "0";

	ASSERT_LE(0, obj);
	ASSERT_EQ(0, fail_msgq(self->dev, obj));
	ASSERT_TRUE(write_file(KMM_FAIL "task-filter", "Y"));
	ASSERT_TRUE(write_file(KMM_FAIL "make-it-fail", "0"));
	for (nth = 0; nth < NTH_MAX && atoi(text) != 2; nth++) {
		snprintf(text, sizeof(text), "%d", nth);
		ASSERT_TRUE(write_file(KMM_FAIL "space", text));
		ASSERT_TRUE(write_file(KMM_FAIL "times", "2"));
		ASSERT_TRUE(write_file(KMM_FAIL "probability", "100"));
		err = fail_msgq(self->dev, obj);
		ASSERT_TRUE(write_file(KMM_FAIL "probability", "0"));
		EXPECT_TRUE(!err || err == -ENOMEM || err == -ENFILE)
			TH_LOG("failure %d: %s", nth, strerror(-err));
		memset(text, 0, sizeof(text));
		fd = open(KMM_FAIL "times", O_RDONLY | O_CLOEXEC);
		ASSERT_LT(0, read(fd, text, sizeof(text) - 1));
		close(fd);
	}
	EXPECT_LT(3, nth);
	EXPECT_GT(NTH_MAX, nth);
	snprintf(text, sizeof(text), "-%d", getpid());
	EXPECT_TRUE(write_file(KMM_FAIL "make-it-fail", text));
	close(obj);
	TH_LOG("%d failures", nth - 1);
}

TEST_F(attr, filter_chooses_processes)
{
	char text[16];
	pid_t child;

	ASSERT_TRUE(write_file(KMM_FAIL "task-filter", "Y"));
	ASSERT_TRUE(write_file(KMM_FAIL "times", "-1"));
	ASSERT_TRUE(write_file(KMM_FAIL "probability", "100"));
	EXPECT_EQ(0, ask_for_pages(self->dev));
	ASSERT_TRUE(write_file(KMM_FAIL "make-it-fail", "0"));
	EXPECT_EQ(-ENOMEM, ask_for_pages(self->dev));
	/* not inherited */
	child = fork();
	if (!child)
		_exit(ask_for_pages(self->dev) ? 1 : 0);
	EXPECT_EQ(0, wait_child(child));
	snprintf(text, sizeof(text), "-%d", getpid());
	ASSERT_TRUE(write_file(KMM_FAIL "make-it-fail", text));
	EXPECT_EQ(0, ask_for_pages(self->dev));
}

TEST_F(attr, nth_is_of_the_writer_and_ends_with_its_file)
{
	int fd = open(KMM_NTH, O_RDWR | O_CLOEXEC), other;
	char text[16] = "";
	pid_t child;

	ASSERT_LE(0, fd);
	ASSERT_EQ(3, write(fd, "100", 3));
	other = open(KMM_NTH, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, other);
	EXPECT_EQ(-1, write(other, "1", 1));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(-1, write(other, "x", 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, ask_for_pages(self->dev));
	EXPECT_LT(0, pread(fd, text, sizeof(text) - 1, 0));
	EXPECT_EQ(0, pread(fd, text + 8, 1, strlen(text))) TH_LOG("it has no end");
	EXPECT_GT(100, atoi(text));
	EXPECT_LT(0, atoi(text));
	child = fork();
	if (!child) {
		/* the file is shared, the count is the parent's */
		for (int i = 0; i < 200; i++)
			if (ask_for_pages(self->dev))
				_exit(1);
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(child));
	ASSERT_EQ(1, write(fd, "1", 1));
	close(fd);
	EXPECT_EQ(0, ask_for_pages(self->dev));
	ASSERT_EQ(1, write(other, "1", 1));
	EXPECT_EQ(-ENOMEM, ask_for_pages(self->dev));
	close(other);
}

/* Nobody but root gets at it. */
TEST_F(attr, not_for_users)
{
	pid_t child = fork();

	if (!child) {
		become_nobody(64);
		_exit(open(KMM_NTH, O_RDWR) >= 0 || open(KMM_FAIL "probability", O_RDWR) >= 0);
	}
	EXPECT_EQ(0, wait_child(child));
}

/* The last one: what swap_target() has made. */
TEST_F(attr, places_are_gone)
{
	if (access(WORK "/ready", F_OK))
		return;
	EXPECT_EQ(0, umount(WORK "/fs"));
	EXPECT_EQ(0, end_work());
}

TEST_HARNESS_MAIN
