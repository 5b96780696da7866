// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading: refused while anything lives, nothing left behind, bad parameters said in
 * one clear line, every provider. The module must not be in use when this suite starts; it is
 * not loaded when it ends.
 *
 * KMM_KO: path of kmm.ko. KMM_CYCLES: loads and unloads in a row (10).
 */
#include <dirent.h>

#include "kmm_test.h"

#define SMALL	"region_mb=16"

/* === Loading === */

/* 0 or a negative errno. */
static int load(const char *params)
{
	return insert_module(NULL, params);
}

static int unload(void)
{
	return syscall(SYS_delete_module, "kmm", O_NONBLOCK) ? -errno : 0;
}

/* The last reference of a dying process or socket goes a little later. */
static int unload_soon(void)
{
	uint64_t end = now_ms() + LEAK_WAIT_MS;
	int ret;

	while ((ret = unload()) == -EAGAIN && now_ms() < end)
		sleep_ms(10);
	return ret;
}

static bool loaded(void)
{
	return !access("/sys/module/kmm", F_OK);
}

/* === What the host has === */

/* A line of meminfo in KiB, -1 when there is none. */
static int64_t meminfo(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "r");
	size_t len = strlen(name);
	int64_t v = -1;
	char line[128];

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len) && line[len] == ':')
			v = strtoll(line + len + 1, NULL, 10);
	fclose(f);
	return v;
}

/*
 * Pages taken from all CMA areas, exactly; -1 without CONFIG_CMA_DEBUGFS. CmaFree would also
 * move with the page cache, which borrows from CMA.
 */
static int64_t cma_used(void)
{
	DIR *d = opendir("/sys/kernel/debug/cma");
	struct dirent *e;
	int64_t sum = -1;

	while (d && (e = readdir(d)) != NULL) {
		char path[512];
		long long v;
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/kernel/debug/cma/%s/used", e->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%lld", &v) == 1)
			sum = (sum < 0 ? 0 : sum) + v;
		fclose(f);
	}
	if (d)
		closedir(d);
	return sum;
}

/* === The kernel log === */

struct log {
	int fd;
};

static void log_begin(struct log *l)
{
	l->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	lseek(l->fd, 0, SEEK_END);
}

/* Lines since log_begin() of level <= max that contain text; the last one in out, if not NULL. */
static int log_count(struct log *l, int max, const char *text, char *out, size_t size)
{
	char line[8192];
	int n = 0;
	ssize_t got;

	lseek(l->fd, 0, SEEK_CUR);
	while ((got = read(l->fd, line, sizeof(line) - 1)) > 0 || (got < 0 && errno == EPIPE)) {
		char *message;

		if (got < 0)
			continue;
		line[got] = 0;
		message = strchr(line, ';');
		if (!message || (atoi(line) & 7) > max || !strstr(message, text))
			continue;
		n++;
		if (out)
			snprintf(out, size, "%.*s", (int)strcspn(message + 1, "\n"), message + 1);
	}
	return n;
}

static void log_end(struct log *l)
{
	close(l->fd);
}

/* === The suite === */

FIXTURE(lifecycle) {
	int64_t cma;
};

FIXTURE_SETUP(lifecycle)
{
	int ret = unload_soon();

	ASSERT_TRUE(ret == 0 || ret == -ENOENT) TH_LOG("kmm is in use: %s", strerror(-ret));
	ASSERT_FALSE(loaded());
	self->cma = cma_used();
}

FIXTURE_TEARDOWN(lifecycle)
{
	int ret = unload_soon();

	EXPECT_TRUE(ret == 0 || ret == -ENOENT);
	EXPECT_FALSE(loaded());
	EXPECT_NE(0, access(KMM_DEVICE, F_OK));
	EXPECT_NE(0, access("/sys/kernel/debug/kmm", F_OK));
	EXPECT_EQ(self->cma, cma_used());
}

TEST_F(lifecycle, the_region_is_taken_and_returned)
{
	struct kmm_info info;
	struct log l;
	int dev;

	log_begin(&l);
	ASSERT_EQ(0, load("region_mb=64"));
	dev = kmm_open();
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, kmm_get_info(dev, &info));
	EXPECT_EQ(64 << 20, info.region_bytes);
	if (!strcmp((char *)info.provider, "cma") && self->cma >= 0) {
		EXPECT_EQ(self->cma + 64 * 256, cma_used());
	}
	close(dev);
	ASSERT_EQ(0, unload_soon());
	EXPECT_EQ(1, log_count(&l, 6, "region returned", NULL, 0));
	log_end(&l);
}

TEST_F(lifecycle, refused_while_open)
{
	int dev;

	ASSERT_EQ(0, load(SMALL));
	dev = kmm_open();
	ASSERT_LE(0, dev);
	EXPECT_EQ(-EAGAIN, unload());
	close(dev);
	EXPECT_EQ(0, unload_soon());
}

TEST_F(lifecycle, refused_while_an_object_lives)
{
	int dev, obj;
	char c;

	ASSERT_EQ(0, load(SMALL));
	dev = kmm_open();
	ASSERT_LE(0, dev);
	obj = kmm_object_create(dev, 4 * PAGE, 0);
	ASSERT_LE(0, obj);
	close(dev);
	EXPECT_EQ(-EAGAIN, unload());
	EXPECT_EQ(1, pwrite(obj, "x", 1, 0));
	EXPECT_EQ(1, pread(obj, &c, 1, 0));
	close(obj);
	EXPECT_EQ(0, unload_soon());
}

TEST_F(lifecycle, refused_while_a_space_lives)
{
	uint64_t at = 0x10000000;
	int dev, space, copy;

	ASSERT_EQ(0, load(SMALL));
	dev = kmm_open();
	ASSERT_LE(0, dev);
	space = kmm_space_create(dev);
	ASSERT_LE(0, space);
	close(dev);
	EXPECT_EQ(-EAGAIN, unload());
	EXPECT_EQ(0, kmm_space_map(space, &at, 4 * PAGE, KMM_PROT_READ | KMM_PROT_WRITE,
				   KMM_MAP_PRIVATE | KMM_MAP_FIXED, -1, 0));
	EXPECT_EQ(1, pwrite(space, "x", 1, at));
	copy = kmm_space_clone(space);
	ASSERT_LE(0, copy);
	close(space);
	EXPECT_EQ(-EAGAIN, unload());
	EXPECT_EQ(1, pwrite(copy, "y", 1, at));
	close(copy);
	EXPECT_EQ(0, unload_soon());
}

TEST_F(lifecycle, refused_while_mapped)
{
	int dev;
	char *p;

	ASSERT_EQ(0, load(SMALL));
	dev = kmm_open();
	ASSERT_LE(0, dev);
	p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dev, 0);
	ASSERT_NE(MAP_FAILED, p);
	close(dev);
	EXPECT_EQ(-EAGAIN, unload());
	memset(p, 'x', 8 * PAGE);
	EXPECT_EQ(-EAGAIN, unload());
	munmap(p, 8 * PAGE);
	EXPECT_EQ(0, unload_soon());
}

TEST_F(lifecycle, refused_while_in_flight)
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte = 'x';
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int dev, obj, pair[2];

	ASSERT_EQ(0, load(SMALL));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	dev = kmm_open();
	ASSERT_LE(0, dev);
	obj = kmm_object_create(dev, 4 * PAGE, KMM_OBJECT_EAGER);
	ASSERT_LE(0, obj);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &obj, sizeof(int));
	ASSERT_EQ(1, sendmsg(pair[0], &m, 0));
	close(obj);
	close(dev);
	EXPECT_EQ(-EAGAIN, unload());
	/* Nobody ever receives it. */
	close(pair[0]);
	close(pair[1]);
	EXPECT_EQ(0, unload_soon());
}

TEST_F(lifecycle, refused_while_exported)
{
	int dev, obj, dmabuf;
	char *p;

	ASSERT_EQ(0, load(SMALL));
	dev = kmm_open();
	ASSERT_LE(0, dev);
	obj = kmm_object_create(dev, 8 * PAGE, 0);
	ASSERT_LE(0, obj);
	dmabuf = kmm_object_export(obj, 0);
	close(obj);
	close(dev);
	if (dmabuf == -EOPNOTSUPP) {
		EXPECT_EQ(0, unload_soon());
		SKIP(return, "this kernel has no dma-buf");
	}
	ASSERT_LE(0, dmabuf);
	sleep_ms(20);
	EXPECT_EQ(-EAGAIN, unload());
	p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dmabuf, 0);
	ASSERT_NE(MAP_FAILED, p);
	close(dmabuf);
	sleep_ms(20);
	EXPECT_EQ(-EAGAIN, unload());
	memset(p, 'x', 8 * PAGE);
	munmap(p, 8 * PAGE);
	EXPECT_EQ(0, unload_soon());
}

/* What lives by its name alone does not keep the module, and goes with it. */
TEST_F(lifecycle, names_do_not_hold_the_module)
{
	struct kmm_stat s;
	char name[32];
	int dev, obj;

	for (int round = 0; round < 2; round++) {
		ASSERT_EQ(0, load(SMALL));
		dev = kmm_open();
		ASSERT_LE(0, dev);
		/* nothing of an earlier load is left */
		ASSERT_EQ(0, kmm_get_stat(dev, KMM_STAT_EXACT, &s));
		EXPECT_EQ(0, s.objects);
		EXPECT_EQ(0, s.user_names);
		for (int i = 0; i < 50; i++) {
			snprintf(name, sizeof(name), "left %d", i);
			obj = kmm_shm_open(dev, name, KMM_SHM_CREATE | KMM_SHM_EXCL, 0600,
					   10 * PAGE, i & 1 ? KMM_OBJECT_EAGER : 0);
			ASSERT_LE(0, obj);
			close(obj);
		}
		obj = kmm_shm_open(dev, "left 7", 0, 0, 0, 0);
		ASSERT_LE(0, obj);
		close(dev);
		/* a descriptor does hold it, by name or not */
		EXPECT_EQ(-EAGAIN, unload());
		close(obj);
		EXPECT_EQ(0, unload_soon());
	}
}

/* rmmod in a loop while processes with objects, names, mappings and slots die. */
TEST_F_TIMEOUT(lifecycle, against_dying_processes, 300)
{
	unsigned long rounds = env_number("KMM_CYCLES", 10);
	pid_t pid[4];

	for (unsigned long i = 0; i < rounds; i++) {
		uint64_t end;
		int ret;

		ASSERT_EQ(0, load(SMALL));
		for (int k = 0; k < 4; k++) {
			pid[k] = fork();
			ASSERT_LE(0, pid[k]);
			if (!pid[k]) {
				int dev = kmm_open(), obj;
				char *p;

				/* one object of all; a name is all that they leave */
				obj = kmm_shm_open(dev, "left", KMM_SHM_CREATE, 0600, 64 * PAGE, 0);
				p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
					 obj, 0);
				if (p == MAP_FAILED)
					_exit(1);
				memset(p, 'n', 64 * PAGE);
				close(obj);
				obj = kmm_object_create(dev, 64 * PAGE, 0);
				p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
					 obj, 0);
				if (p == MAP_FAILED)
					_exit(1);
				kmm_pages_alloc(dev, 1, 4, 0);
				memset(p, 'd', 64 * PAGE);
				kmm_object_export(obj, 0);
				if (k & 1)
					kill(getpid(), SIGKILL);
				_exit(0);
			}
		}
		end = now_ms() + 20000;
		do {
			ret = unload();
			ASSERT_TRUE(ret == 0 || ret == -EAGAIN);
		} while (ret && now_ms() < end);
		/* It may succeed before a child has opened the device: then that child fails. */
		for (int k = 0; k < 4; k++)
			wait_child(pid[k]);
		ASSERT_EQ(0, ret);
	}
}

/* A pipe that still holds a page of ours at rmmod: the extent is leaked and said so. */
TEST_F(lifecycle, a_pinned_extent_is_leaked_not_released)
{
	struct iovec v;
	char line[256] = "", buf[PAGE];
	int dev, w[2], err;
	struct log l;
	char *p;

	/* From chunks: CMA is too small to lose 4 MiB of it for the rest of the boot. */
	ASSERT_EQ(0, load("region_mb=4 provider=chunks"));
	ASSERT_EQ(0, pipe(w));
	dev = kmm_open();
	ASSERT_LE(0, dev);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dev, 0);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'p', PAGE);
	v = (struct iovec){ p, PAGE };
	err = ERR(vmsplice(w[1], &v, 1, SPLICE_F_NONBLOCK));
	munmap(p, PAGE);
	close(dev);
	if (err == EFAULT) {
		close(w[0]);
		close(w[1]);
		SKIP(return, "this kernel pins no page of a VM_IO mapping");
	}
	ASSERT_EQ(0, err);
	log_begin(&l);
	EXPECT_EQ(0, unload_soon());
	EXPECT_LE(1, log_count(&l, 3, "leaked", line, sizeof(line)));
	printf("# %s\n", line);
	fflush(stdout);
	log_end(&l);
	/* The page is still what it was. */
	EXPECT_EQ(PAGE, read(w[0], buf, PAGE));
	EXPECT_TRUE(all_bytes(buf, 'p', PAGE));
	close(w[0]);
	close(w[1]);
	EXPECT_EQ(0, load(SMALL));
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		printf("# %s: %s\n", path, strerror(errno));
	close(fd);
}

/* KiB on the per-CPU lists of the host: free, but not in MemFree. */
static int64_t on_cpu_lists(void)
{
	FILE *f = fopen("/proc/zoneinfo", "re");
	int64_t pages = 0;
	char line[256];
	long long v;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " count: %lld", &v) == 1)
			pages += v;
	if (f)
		fclose(f);
	return pages * (PAGE / 1024);
}

/*
 * What the host has free or could have at once: what it caches comes and goes, most of all on a
 * kernel where the region is made free by migration. The copy of kmm.ko that insmod makes, 16 MiB
 * with its symbols, stays on one CPU's list for a while.
 */
static int64_t settled_free(void)
{
	int64_t best = 0;

	for (int i = 0; i < 3; i++) {
		int64_t kib;

		sync();
		write_file("/proc/sys/vm/drop_caches", "3");
		write_file("/proc/sys/vm/compact_memory", "1");
		usleep(100 * 1000);
		kib = meminfo("MemFree") + meminfo("Cached") + on_cpu_lists();
		if (kib > best)
			best = kib;
	}
	return best;
}

/* KiB of freed memory that KASAN may hold back: 1/32 of all, mm/kasan/quarantine.c. */
static int64_t kasan_holds(void)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[256];
	int64_t kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, " kasan_quarantine_put\n"))
			kib = meminfo("MemTotal") / 32;
	if (f)
		fclose(f);
	return kib;
}

TEST_F_TIMEOUT(lifecycle, cycles, 1800)
{
	unsigned long cycles = env_number("KMM_CYCLES", 10);
	uint64_t start, took, insmod_ms = 0, rmmod_ms = 0;
	int64_t available = 0, after;
	struct kmm_stat s;
	int dev, obj;

	for (unsigned long i = 0; i < cycles; i++) {
		start = now_ms();
		ASSERT_EQ(0, load("region_mb=64")) TH_LOG("cycle %lu", i);
		took = now_ms() - start;
		insmod_ms = took > insmod_ms ? took : insmod_ms;
		dev = kmm_open();
		ASSERT_LE(0, dev);
		obj = kmm_object_create(dev, 100 * PAGE, KMM_OBJECT_EAGER);
		ASSERT_LE(0, obj);
		ASSERT_EQ(0, kmm_get_stat(dev, KMM_STAT_EXACT, &s));
		ASSERT_EQ(s.total, stat_sum(&s));
		close(obj);
		close(dev);
		start = now_ms();
		ASSERT_EQ(0, unload_soon()) TH_LOG("cycle %lu", i);
		took = now_ms() - start;
		rmmod_ms = took > rmmod_ms ? took : rmmod_ms;
		ASSERT_EQ(self->cma, cma_used());
		if (!i)
			available = settled_free();
	}
	/* A leak of one region is 64 MiB; of 100 KiB each time, 20 MiB in soak. */
	after = settled_free();
	printf("# %lu cycles, free %lld -> %lld KiB; slowest insmod %llu ms, rmmod %llu ms\n",
	       cycles, (long long)available, (long long)after, (unsigned long long)insmod_ms,
	       (unsigned long long)rmmod_ms);
	fflush(stdout);
	EXPECT_LT(available - after, 16 * 1024 + kasan_holds());
}

TEST_F(lifecycle, loads_once)
{
	ASSERT_EQ(0, load(SMALL));
	EXPECT_EQ(-EEXIST, load(SMALL));
	EXPECT_TRUE(loaded());
}

/* More addresses than any host has: kmm works without a window, and nothing warns. */
TEST_F(lifecycle, window_too_large)
{
	ASSERT_EQ(0, load(SMALL " window_mb=4294967295"));
	EXPECT_EQ(0, unload_soon());
	ASSERT_EQ(0, load(SMALL " window_mb=1048576"));
	EXPECT_EQ(0, unload_soon());
}

TEST_F_TIMEOUT(lifecycle, bad_parameters, 120)
{
	char big[64];
	const struct { const char *params; const char *says; } bad[] = {
		{ "region_mb=0", "region_mb" },
		{ "region_mb=1", "region_mb" },
		{ "region_mb=1000000000", "region_mb" },
		{ "region_mb=4294967295", "region_mb" },
		{ "provider=magic", "provider=magic" },
		{ "provider=", "provider=" },
		{ "provider=cmax", "provider=cmax" },
		{ "max_slots=0", "max_slots" },
		/* Less than the host has, more than CMA has. */
		{ big, "provider=cma" },
	};
	struct log l;

	snprintf(big, sizeof(big), "provider=cma region_mb=%lld",
		 (long long)(meminfo("CmaTotal") > 0 ? meminfo("CmaTotal") : 0) / 1024 + 8);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char line[256] = "";
		int ret, n;

		log_begin(&l);
		ret = load(bad[i].params);
		EXPECT_TRUE(ret == -EINVAL || ret == -ENOMEM || ret == -EOPNOTSUPP)
			TH_LOG("%s: %d", bad[i].params, ret);
		EXPECT_FALSE(loaded());
		EXPECT_NE(0, access(KMM_DEVICE, F_OK));
		n = log_count(&l, 3, "kmm", line, sizeof(line));
		EXPECT_EQ(1, n) TH_LOG("%s: %d lines at error level", bad[i].params, n);
		EXPECT_NE(NULL, strstr(line, bad[i].says)) TH_LOG("%s: '%s'", bad[i].params, line);
		printf("# insmod kmm.ko %s: %s\n", bad[i].params, line);
		fflush(stdout);
		log_end(&l);
		EXPECT_EQ(self->cma, cma_used());
	}
	/* And after all that it works. */
	EXPECT_EQ(0, load(SMALL));
}

/* One provider asked for by name: it serves, it works, it gives back. */
static void provider(struct __test_metadata *_metadata, const char *name)
{
	struct kmm_info info;
	struct kmm_stat s;
	char params[64];
	int dev;
	char *p;

	snprintf(params, sizeof(params), SMALL " provider=%s", name);
	ASSERT_EQ(0, load(params));
	dev = kmm_open();
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, kmm_get_info(dev, &info));
	EXPECT_STREQ(name, (char *)info.provider);
	EXPECT_EQ(0, info.flags & KMM_INFO_FALLBACK);
	EXPECT_EQ(16 << 20, info.region_bytes);
	ASSERT_EQ(0, kmm_get_stat(dev, KMM_STAT_EXACT, &s));
	EXPECT_EQ(s.total, stat_sum(&s));
	/* All that is free, zero at first sight although contig and chunks do not zero. */
	size_t size = (s.free + s.cached) * 3 / 4 * PAGE;

	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, dev, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TRUE(all_bytes(p, 0, size));
	memset(p, 'x', size);
	munmap(p, size);
	close(dev);
	EXPECT_EQ(0, unload_soon());
}

/* How many of fail='s times are left; -1 when the module is not loaded. */
static int fail_times_left(void)
{
	FILE *f = fopen("/sys/module/kmm/parameters/fail", "r");
	int left = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%*u,%*u,%*d,%d", &left) != 1)
		left = -1;
	fclose(f);
	return left;
}

/* Each allocation of loading fails once: nothing is left, and the error is a memory error. */
TEST_F_TIMEOUT(lifecycle, each_failure_of_loading, 300)
{
	const char *provider = load(SMALL " provider=cma") ? "chunks" : "cma";
	int64_t used = 0;
	int nth, ret, step, soft = 0;
	char params[100];

	if (loaded())
		ASSERT_EQ(0, unload());
	used = cma_used();
	/* on slow kernels not each of them, but others in each run */
	step = env_number("KMM_LOAD_STEP", 1);
	for (nth = getpid() % step; nth < 300; nth += step) {
		snprintf(params, sizeof(params), SMALL " provider=%s page_owner=1 fail=1,100,%d,1",
			 provider, nth);
		ret = load(params);
		if (!ret && fail_times_left() == 1)
			break;
		EXPECT_TRUE(!ret || ret == -ENOMEM) TH_LOG("failure %d: %s", nth, strerror(-ret));
		/* what can be done without is */
		soft += !ret;
		EXPECT_EQ(ret ? -ENOENT : 0, unload_soon());
		EXPECT_FALSE(loaded());
		EXPECT_EQ(used, cma_used()) TH_LOG("failure %d left something", nth);
	}
	EXPECT_EQ(0, unload_soon());
	EXPECT_LT(20, nth);
	EXPECT_GT(300, nth);
	TH_LOG("%d failures, one in %d tried, %d of these did not matter", nth, step, soft);
}

/* The allocations of the other providers: the stack of the failure tells when it was one. */
TEST_F_TIMEOUT(lifecycle, each_failure_of_other_providers, 120)
{
	static const char *const providers[] = { "contig", "chunks" };
	/* on slow kernels one of them, another in each run */
	bool slow = env_number("KMM_LOAD_STEP", 1) > 1;
	int64_t used = cma_used();

	for (size_t i = slow ? getpid() % 2 : 0; i < ARRAY_SIZE(providers); i += 1 + slow) {
		char params[100], function[32];
		int nth, ret, was = 0, theirs = 0;

		snprintf(function, sizeof(function), "kmm_%s_acquire", providers[i]);
		for (nth = 0; nth < 60 && (was || !theirs); nth++) {
			struct log l;

			snprintf(params, sizeof(params), SMALL " provider=%s fail=1,100,%d,1",
				 providers[i], nth);
			log_begin(&l);
			ret = load(params);
			was = log_count(&l, 7, function, NULL, 0);
			log_end(&l);
			theirs += !!was;
			EXPECT_TRUE(ret == -ENOMEM || (!ret && !was)) TH_LOG("%s", strerror(-ret));
			EXPECT_EQ(ret ? -ENOENT : 0, unload_soon());
			EXPECT_EQ(used, cma_used());
		}
		EXPECT_LT(0, theirs);
		TH_LOG("%s: %d failures, %d of them its own", providers[i], nth, theirs);
	}
}

TEST_F(lifecycle, provider_cma)
{
	if (meminfo("CmaFree") < 24 * 1024)
		SKIP(return, "no CMA area of 24 MiB on this kernel");
	provider(_metadata, "cma");
}

TEST_F(lifecycle, provider_contig)
{
	provider(_metadata, "contig");
}

TEST_F(lifecycle, provider_chunks)
{
	provider(_metadata, "chunks");
}

/* More than CMA has: another provider serves, and says who and why. */
TEST_F_TIMEOUT(lifecycle, falls_back_and_says_so, 120)
{
	int64_t cma = meminfo("CmaTotal") > 0 ? meminfo("CmaTotal") / 1024 : 0;
	bool why = false, says = false;
	struct kmm_info info;
	char params[64], line[512];
	FILE *f;
	int dev;

	if (meminfo("MemTotal") / 1024 < 4 * (cma + 16))
		SKIP(return, "not enough memory beside CMA");
	snprintf(params, sizeof(params), "region_mb=%lld", (long long)cma + 16);
	ASSERT_EQ(0, load(params));
	dev = kmm_open();
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, kmm_get_info(dev, &info));
	close(dev);
	EXPECT_NE(0, info.flags & KMM_INFO_FALLBACK);
	EXPECT_STRNE("cma", (char *)info.provider);
	f = fopen("/sys/kernel/debug/kmm/region", "r");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		why |= !!strstr(line, "cma=");
		says |= !!strstr(line, (char *)info.provider);
	}
	fclose(f);
	EXPECT_TRUE(why);
	EXPECT_TRUE(says);
}

TEST_HARNESS_MAIN
