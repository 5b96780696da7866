// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmemleak, through debugfs kmemleak: planted leaks of a kernel client (kmm_leaky.ko) are found by
 * the second scan, what the slots of KMM_IOC_OPS hold is not reported, the commands are the
 * kernel's.
 */
#include "kmm_test.h"

#define FILE_LEAKS	"/sys/kernel/debug/kmm/kmemleak"
#define FILE_STAT	"/sys/kernel/debug/kmm/kmemleak_stat"
#define FILE_PLANT	"/sys/module/kmm_leaky/parameters/plant"
#define PARAM(name)	"/sys/module/kmm/parameters/" name

static char text[256 * 1024];

/* 0 or a negative errno. */
static int put(const char *file, const char *what)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, what, strlen(what)) == (ssize_t)strlen(what) ? 0 : -errno;
	close(fd);
	return ret;
}

/* All of a file, in small pieces so that it is read in many calls. */
static const char *get(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;

	while (fd >= 0 && len < sizeof(text) - 1 &&
	       (n = read(fd, text + len, sizeof(text) - 1 - len < 700 ? 1 : 700)) > 0)
		len += n;
	text[len] = 0;
	if (fd >= 0)
		close(fd);
	return n < 0 || fd < 0 ? NULL : text;
}

static int command(const char *what)
{
	return put(FILE_LEAKS, what);
}

/* Leaks in the report; of @size bytes only, 0: all. -1: it could not be read. */
static int nr_leaks(unsigned long size)
{
	const char *p = get(FILE_LEAKS);
	unsigned long long addr;
	unsigned long bytes;
	int nr = 0;

	if (!p)
		return -1;
	while ((p = strstr(p, "unreferenced object "))) {
		if (sscanf(p, "unreferenced object 0x%llx (size %lu):", &addr, &bytes) == 2 &&
		    (!size || size == bytes))
			nr++;
		p++;
	}
	return nr;
}

/* As nr_leaks(0); if it is not @want, what the detector knows is printed, too. */
static int leaks_or_why(int want)
{
	int nr = nr_leaks(0);

	if (nr != want)
		fprintf(stderr, "# %d leaks instead of %d:\n%s", nr, want, get(FILE_STAT));
	return nr;
}

FIXTURE(leak) {
	int dev;
};

FIXTURE_SETUP(leak)
{
	/* a suite that died */
	if (!access(FILE_PLANT, F_OK))
		syscall(SYS_delete_module, "kmm_leaky", O_NONBLOCK);
	ASSERT_EQ(0, insert_module("kmm_leaky.ko", ""));
	ASSERT_EQ(0, put(PARAM("kmemleak_min_age_ms"), "0"));
	ASSERT_EQ(0, command("off"));
	ASSERT_EQ(0, command("clear"));
	ASSERT_EQ(0, command("on"));
	self->dev = kmm_open();
	ASSERT_LE(0, self->dev);
}

FIXTURE_TEARDOWN(leak)
{
	close(self->dev);
	EXPECT_EQ(0, command("off"));
	EXPECT_EQ(0, command("clear"));
	EXPECT_EQ(0, put(PARAM("kmemleak_min_age_ms"), "5000"));
	EXPECT_EQ(0, syscall(SYS_delete_module, "kmm_leaky", O_NONBLOCK));
}

TEST_F(leak, each_planted_leak_is_found_by_the_second_scan)
{
	static const struct {
		const char *kind;
		unsigned long size;
	} plant[] = {
		{ "object", 200 }, { "kmalloc", 128 }, { "large", 20000 }, { "page", 4096 },
		{ "block", 16384 }, { "vmalloc", 12288 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(plant) / sizeof(plant[0]); i++)
		ASSERT_EQ(0, put(FILE_PLANT, plant[i].kind));
	ASSERT_EQ(0, put(FILE_PLANT, "inside"));
	ASSERT_EQ(0, command("scan"));
	EXPECT_EQ(0, nr_leaks(0));
	ASSERT_EQ(0, command("scan"));
	EXPECT_EQ(6, nr_leaks(0));
	for (i = 0; i < sizeof(plant) / sizeof(plant[0]); i++) {
		EXPECT_EQ(1, nr_leaks(plant[i].size)) {
			TH_LOG("%lu bytes", plant[i].size);
		}
	}
	EXPECT_EQ(6, row_of(FILE_STAT, "leaks"));
	ASSERT_EQ(0, put(FILE_PLANT, "free"));
	EXPECT_EQ(0, nr_leaks(0));
}

TEST_F(leak, a_report_has_the_kernels_form)
{
	char comm[64] = "";
	const char *p;
	int pid = -1;

	ASSERT_EQ(0, put(FILE_PLANT, "kmalloc"));
	ASSERT_EQ(0, command("scan"));
	ASSERT_EQ(0, command("scan"));
	p = get(FILE_LEAKS);
	ASSERT_NE(NULL, p);
	EXPECT_EQ(0, strncmp(p, "unreferenced object 0x", 22));
	p = strchr(p, '\n');
	ASSERT_NE(NULL, p);
	EXPECT_EQ(2, sscanf(p, "\n  comm \"%63[^\"]\", pid %d, jiffies ", comm, &pid));
	EXPECT_STREQ("kmemleak", comm);
	EXPECT_EQ(getpid(), pid);
	EXPECT_NE(NULL, strstr(p, "s)\n  hex dump (first 32 bytes):\n    00 00 00 00 "));
	p = strstr(p, "\n  backtrace:\n    [<");
	ASSERT_NE(NULL, p);
	EXPECT_NE(NULL, strstr(p, "leaky_"));
	ASSERT_EQ(0, put(FILE_PLANT, "free"));
}

TEST_F(leak, a_long_report_is_read_whole)
{
	for (int i = 0; i < 150; i++)
		ASSERT_EQ(0, put(FILE_PLANT, i % 2 ? "object" : "kmalloc"));
	ASSERT_EQ(0, command("scan"));
	ASSERT_EQ(0, command("scan"));
	EXPECT_EQ(150, nr_leaks(0));
	EXPECT_EQ(75, nr_leaks(200));
	ASSERT_EQ(0, put(FILE_PLANT, "free"));
	EXPECT_EQ(0, nr_leaks(0));
}

TEST_F(leak, what_slots_hold_is_not_lost)
{
	uint64_t addr = 0, other = 0;
	char dump[64];
	int twice = dup(self->dev);

	ASSERT_EQ(0, kmm_pages_alloc(self->dev, 0, 0, 0));
	ASSERT_EQ(0, kmm_pages_alloc(self->dev, 1, 4, 0));
	ASSERT_EQ(0, kmm_cache_create(self->dev, 2, 100, 0, 0));
	ASSERT_EQ(0, kmm_cache_alloc(self->dev, 3, 2, 0, NULL));
	ASSERT_EQ(0, kmm_kmalloc(self->dev, 4, 50, KMM_OP_ADDR, &addr));
	ASSERT_EQ(0, kmm_kmalloc(self->dev, 5, 100000, KMM_OP_ATOMIC, NULL));
	ASSERT_EQ(0, kmm_vmalloc(self->dev, 700, 100000, KMM_PROT_READ | KMM_PROT_WRITE,
				 KMM_OP_ADDR, &other));
	EXPECT_LE(6, row_of(FILE_STAT, "objects"));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, command("scan"));
	EXPECT_EQ(0, nr_leaks(0));
	snprintf(dump, sizeof(dump), "dump=0x%llx", (unsigned long long)addr + 40);
	EXPECT_EQ(0, command(dump));
	snprintf(dump, sizeof(dump), "dump=0x%llx", (unsigned long long)other);
	EXPECT_EQ(0, command(dump));
	ASSERT_EQ(0, kmm_vfree(self->dev, 700));
	EXPECT_EQ(-EINVAL, command(dump));
	close(twice);
}

TEST_F(leak, nothing_is_reported_while_kmm_is_used)
{
	int fd[8], q, freed = 0;
	char c = 'x';

	for (int i = 0; i < 8; i++) {
		fd[i] = kmm_object_create(self->dev, 64 * PAGE, i & 1 ? KMM_OBJECT_EAGER : 0);
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(1, pwrite(fd[i], &c, 1, 5 * PAGE));
	}
	q = open("/dev/kmm", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, q);
	for (int i = 0; i < 1000; i++)
		ASSERT_EQ(0, kmm_kmalloc(q, i, 1 + i * 7, KMM_OP_ZERO, NULL));
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, command("scan"));
		/* what slots hold changes all the time */
		for (int j = i; j < 1000; j += 4) {
			ASSERT_EQ(0, kmm_kfree(q, j));
			freed++;
		}
	}
	EXPECT_EQ(1000, freed);
	EXPECT_EQ(0, nr_leaks(0));
	close(q);
	for (int i = 0; i < 8; i++)
		close(fd[i]);
	EXPECT_EQ(0, row_of(FILE_STAT, "leaks"));
}

TEST_F(leak, clear_and_off_and_on)
{
	ASSERT_EQ(0, put(FILE_PLANT, "page"));
	ASSERT_EQ(0, command("scan"));
	ASSERT_EQ(0, command("scan"));
	EXPECT_EQ(1, leaks_or_why(1));
	ASSERT_EQ(0, command("clear"));
	EXPECT_EQ(0, leaks_or_why(0));
	ASSERT_EQ(0, put(FILE_PLANT, "large"));
	ASSERT_EQ(0, command("scan\n"));
	ASSERT_EQ(0, command("scan\n"));
	EXPECT_EQ(1, leaks_or_why(1));

	/* off: what was found can still be read */
	ASSERT_EQ(0, command("off"));
	EXPECT_EQ(1, leaks_or_why(1));
	EXPECT_EQ(-EPERM, command("scan"));
	EXPECT_EQ(-EPERM, command("stack=off"));
	EXPECT_EQ(-EPERM, command("dump=0"));
	ASSERT_EQ(0, command("clear"));
	EXPECT_EQ(0, leaks_or_why(0));
	EXPECT_EQ(0, row_of(FILE_STAT, "host_bytes"));

	/* on begins anew; what was lost before is not known to be lost */
	ASSERT_EQ(0, command("on"));
	EXPECT_LT(0, row_of(FILE_STAT, "objects_gray"));
	ASSERT_EQ(0, put(FILE_PLANT, "vmalloc"));
	ASSERT_EQ(0, command("scan"));
	ASSERT_EQ(0, command("scan"));
	EXPECT_EQ(1, leaks_or_why(1));
	EXPECT_EQ(1, nr_leaks(12288));
}

/* Addresses in frames of an area that waits for a flush: nobody has them. */
TEST_F(leak, freed_areas_hide_nothing)
{
	for (int early = 0; early < 2; early++) {
		ASSERT_EQ(0, command("off"));
		ASSERT_EQ(0, put(FILE_PLANT, "stale"));
		if (early)
			ASSERT_EQ(0, put(FILE_PLANT, "free"));
		ASSERT_EQ(0, command("on"));
		if (!early)
			ASSERT_EQ(0, put(FILE_PLANT, "free"));
		for (int i = 0; i < 8; i++)
			ASSERT_EQ(0, put(FILE_PLANT, "kmalloc"));
		ASSERT_EQ(0, command("scan"));
		ASSERT_EQ(0, command("scan"));
		EXPECT_EQ(8, leaks_or_why(8)) TH_LOG("early %d", early);
		ASSERT_EQ(0, put(FILE_PLANT, "free"));
	}
}

TEST_F(leak, commands)
{
	static const char * const bad[] = {
		"scanner", "scan=", "scan=-1", "scan=99999999999", "stack=", "dump=", "dump=0x0",
		"dump=zz", "offoff", "on off", "clear=1",
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_NE(0, command(bad[i])) {
			TH_LOG("'%s' was taken", bad[i]);
		}
	}
	EXPECT_EQ(0, command("stack=off"));
	EXPECT_EQ(0, command("stack=on"));
	EXPECT_EQ(0, command("scan=off"));
	EXPECT_EQ(0, row_of(FILE_STAT, "scan_secs"));
	EXPECT_EQ(0, command("scan=on"));
	EXPECT_EQ(600, row_of(FILE_STAT, "scan_secs"));
}

TEST_F(leak, the_thread_finds_it_too)
{
	uint64_t until = now_ms() + 60000;

	ASSERT_EQ(0, put(FILE_PLANT, "kmalloc"));
	ASSERT_EQ(0, command("scan=1"));
	while (!nr_leaks(0) && now_ms() < until)
		sleep_ms(100);
	EXPECT_EQ(1, leaks_or_why(1));
	EXPECT_EQ(0, command("scan=600"));
}

TEST_F(leak, young_memory_is_not_reported)
{
	ASSERT_EQ(0, put(PARAM("kmemleak_min_age_ms"), "1000000"));
	ASSERT_EQ(0, put(FILE_PLANT, "kmalloc"));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, command("scan"));
	EXPECT_EQ(0, nr_leaks(0));
	ASSERT_EQ(0, put(PARAM("kmemleak_min_age_ms"), "0"));
	ASSERT_EQ(0, command("scan"));
	EXPECT_EQ(1, nr_leaks(0));
}

TEST_F(leak, the_parameter_is_the_switch)
{
	ASSERT_EQ(0, put(PARAM("kmemleak"), "0"));
	EXPECT_STREQ("N\n", get(PARAM("kmemleak")));
	EXPECT_EQ(-EPERM, command("scan"));
	ASSERT_EQ(0, put(PARAM("kmemleak"), "1"));
	EXPECT_STREQ("Y\n", get(PARAM("kmemleak")));
	EXPECT_EQ(0, command("scan"));
	EXPECT_EQ(-EINVAL, put(PARAM("kmemleak"), "maybe"));
}

TEST_F(leak, the_files_are_roots_alone)
{
	pid_t pid = fork();

	if (!pid) {
		become_nobody(64);
		_exit(ERR(open(FILE_LEAKS, O_RDONLY)) == EACCES &&
		      ERR(open(FILE_LEAKS, O_WRONLY)) == EACCES ? 0 : 1);
	}
	EXPECT_EQ(0, wait_child(pid));
}

/* On and off, scans, and allocations at the same time. */
static volatile bool stop;

static void *busy_ops(void *arg)
{
	int dev = *(int *)arg;
	uint32_t slot = 0;

	while (!stop) {
		if (!kmm_kmalloc(dev, slot, 64 + slot % 5000, 0, NULL))
			kmm_kfree(dev, slot);
		kmm_pages_alloc(dev, slot, slot % 3, 0);
		kmm_pages_free(dev, slot);
		if (!kmm_vmalloc(dev, slot, 8192, KMM_PROT_READ | KMM_PROT_WRITE, 0, NULL))
			kmm_vfree(dev, slot);
		slot = (slot + 1) % 2000;
	}
	return NULL;
}

static void *busy_switch(void *arg)
{
	static const char * const what[] = { "off", "on", "scan", "clear", "on", "scan", "scan" };

	(void)arg;
	for (unsigned int i = 0; !stop; i++)
		command(what[i % (sizeof(what) / sizeof(what[0]))]);
	return NULL;
}

TEST_F(leak, switching_while_others_allocate)
{
	pthread_t t[4];
	int dev[2];

	share_a_cpu_under_tcg();
	for (int i = 0; i < 2; i++) {
		dev[i] = kmm_open();
		ASSERT_LE(0, dev[i]);
		ASSERT_EQ(0, pthread_create(&t[i], NULL, busy_ops, &dev[i]));
	}
	ASSERT_EQ(0, pthread_create(&t[2], NULL, busy_switch, NULL));
	ASSERT_EQ(0, pthread_create(&t[3], NULL, busy_switch, NULL));
	sleep_ms(env_number("KMM_RACE_MS", 1000));
	stop = true;
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_join(t[i], NULL));
	ASSERT_EQ(0, command("on"));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, command("scan"));
	EXPECT_EQ(0, nr_leaks(0));
	close(dev[0]);
	close(dev[1]);
}

TEST_HARNESS_MAIN
