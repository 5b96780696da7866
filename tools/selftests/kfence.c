// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guarded pool from outside: the parameter kfence_sample_interval and debugfs kmm/kfence.
 *
 * Objects are kmalloc'ed by slot until one of them is sampled; sizes are this test's own, so that
 * they are found again in debugfs. Needs the module loaded with sampling on, so that the pool's
 * frames were taken at load, and the leak check sees nothing of it.
 */
#include "kmm_test.h"

#define PARAM	"/sys/module/kmm/parameters/kfence_sample_interval"
#define STATS	"/sys/kernel/debug/kmm/kfence/stats"
#define OBJECTS	"/sys/kernel/debug/kmm/kfence/objects"

/* Slow kernels and a busy machine: what takes 5 ms may take seconds. */
#define WAIT_MS	60000

/* The whole of a file; NULL: it cannot be read. */
static char *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t len = 0;
	ssize_t n;

	if (!f)
		return NULL;
	n = getdelim(&text, &len, 0, f);
	fclose(f);
	if (n >= 0)
		return text;
	free(text);
	return NULL;
}

/* 0 or the errno of a write to the parameter. */
static int set_interval(const char *value)
{
	int fd = open(PARAM, O_WRONLY | O_CLOEXEC), err;

	if (fd < 0)
		return errno;
	err = ERR(write(fd, value, strlen(value)));
	close(fd);
	return err;
}

static long get_interval(void)
{
	char *text = slurp(PARAM);
	long value = text ? strtol(text, NULL, 10) : -1;

	free(text);
	return value;
}

/* The entry of debugfs objects that has all of @what; to be freed. NULL: none. */
static char *find_object(const char *size, const char *state)
{
	char *text = slurp(OBJECTS), *save = text, *entry, *found = NULL;

	while (text && !found && (entry = text)) {
		char *end = strstr(entry, "---------------------------------\n");

		if (!end)
			break;
		*end = 0;
		text = strchr(end + 1, '\n') + 1;
		if (strstr(entry, size) && strstr(entry, state))
			found = strdup(entry);
	}
	free(save);
	return found;
}

/* Objects of @size into slot 0 until one is in the pool and stays; false after WAIT_MS. */
static bool allocate_sampled(int dev, uint64_t size)
{
	uint64_t end = now_ms() + WAIT_MS;

	while (now_ms() < end) {
		long before = row_of(STATS, "total allocations"), live;

		if (kmm_kmalloc(dev, 0, size, 0, NULL))
			return false;
		live = row_of(STATS, "currently allocated");
		if (live > 0 && row_of(STATS, "total allocations") != before)
			return true;
		if (kmm_kfree(dev, 0))
			return false;
	}
	return false;
}

TEST_F(kmm, stats_have_the_kernels_layout)
{
	static const char * const names[] = {
		"enabled", "currently allocated", "total allocations", "total frees",
		"zombie allocations", "total bugs", "skipped allocations (incompatible)",
		"skipped allocations (capacity)", "skipped allocations (covered)",
	};
	char *text = slurp(STATS), *p = text;

	ASSERT_NE(NULL, text);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		EXPECT_EQ(0, strncmp(p, names[i], strlen(names[i])));
		ASSERT_EQ(':', p[strlen(names[i])]);
		p = strchr(p, '\n');
		ASSERT_NE(NULL, p);
		p++;
	}
	EXPECT_EQ(0, *p);
	free(text);
}

TEST_F(kmm, interval_is_checked)
{
	static const struct {
		const char *value;
		int err;
	} writes[] = {
		{ "100", 0 }, { "0x10", 0 }, { "604800000", 0 }, { "604800001", ERANGE },
		{ "18446744073709551615", ERANGE }, { "18446744073709551616", ERANGE },
		{ "-1", EINVAL }, { "often", EINVAL }, { "1 2", EINVAL }, { "", 0 },
	};
	long was = get_interval();

	ASSERT_LT(0, was);
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		EXPECT_EQ(writes[i].err, set_interval(writes[i].value)) {
			TH_LOG("writing '%s'", writes[i].value);
		}
	}
	/* what was refused changed nothing */
	EXPECT_EQ(604800000, get_interval());
	EXPECT_EQ(1, row_of(STATS, "enabled"));
	EXPECT_EQ(0, set_interval("0"));
	EXPECT_EQ(0, get_interval());
	EXPECT_EQ(0, row_of(STATS, "enabled"));
	EXPECT_EQ(0, set_interval("1000"));
	EXPECT_EQ(1, row_of(STATS, "enabled"));
}

TEST_F(kmm, objects_show_where_they_came_from)
{
	char pid[64], *entry, *first;

	ASSERT_EQ(0, set_interval("1"));
	ASSERT_TRUE(allocate_sampled(self->dev, 77));
	ASSERT_EQ(0, set_interval("1000"));
	entry = find_object("size=77, cache=kmalloc-96", "allocated by task");
	ASSERT_NE(NULL, entry);
	snprintf(pid, sizeof(pid), "allocated by task %d on cpu ", getpid());
	EXPECT_NE(NULL, strstr(entry, pid));
	EXPECT_EQ(NULL, strstr(entry, "freed by task"));
	/* it begins with the allocator's client, not with the allocator */
	first = strstr(entry, "s:\n ");
	ASSERT_NE(NULL, first);
	first += strlen("s:\n ");
	EXPECT_NE(0, strncmp(first, "kmm_slab_", strlen("kmm_slab_")));
	EXPECT_NE(0, strncmp(first, "kmm_kfence_", strlen("kmm_kfence_")));
	EXPECT_NE(0, strncmp(first, "kmm_cache_", strlen("kmm_cache_")));
	free(entry);

	ASSERT_EQ(0, kmm_kfree(self->dev, 0));
	snprintf(pid, sizeof(pid), "freed by task %d on cpu ", getpid());
	entry = find_object("size=77, cache=kmalloc-96", pid);
	ASSERT_NE(NULL, entry);
	EXPECT_NE(NULL, strstr(entry, "allocated by task"));
	free(entry);
}

TEST_F(kmm, off_means_off)
{
	long before;

	ASSERT_EQ(0, set_interval("1"));
	ASSERT_TRUE(allocate_sampled(self->dev, 78));
	ASSERT_EQ(0, set_interval("0"));
	before = row_of(STATS, "total allocations");
	for (int i = 1; i < 300; i++) {
		ASSERT_EQ(0, kmm_kmalloc(self->dev, i, 78, 0, NULL));
		if (i % 100 == 0)
			sleep_ms(20);
	}
	EXPECT_EQ(before, row_of(STATS, "total allocations"));
	/* what is out stays out, and can be freed */
	EXPECT_EQ(1, row_of(STATS, "currently allocated"));
	for (int i = 0; i < 300; i++)
		ASSERT_EQ(0, kmm_kfree(self->dev, i));
	EXPECT_EQ(0, row_of(STATS, "currently allocated"));
	ASSERT_EQ(0, set_interval("1000"));
}

/* Caches come and go, while their objects are sampled as often as can be. */
TEST_F(kmm, caches_end_with_sampled_objects)
{
	uint64_t end = now_ms() + 500;
	long before = row_of(STATS, "total allocations");

	ASSERT_EQ(0, set_interval("1"));
	for (int i = 0; now_ms() < end || row_of(STATS, "total allocations") < before + 3; i++) {
		ASSERT_GT(end + WAIT_MS, now_ms());
		ASSERT_EQ(0, kmm_cache_create(self->dev, 0, 40 + i % 1000, 0, 0));
		for (int k = 1; k < 20; k++)
			ASSERT_EQ(0, kmm_cache_alloc(self->dev, k, 0, 0, NULL));
		for (int k = 1; k < 20; k++)
			ASSERT_EQ(0, kmm_cache_free(self->dev, k));
		ASSERT_EQ(0, kmm_cache_destroy(self->dev, 0));
	}
	ASSERT_EQ(0, set_interval("1000"));
	EXPECT_EQ(0, row_of(STATS, "currently allocated"));
	EXPECT_EQ(0, row_of(STATS, "zombie allocations"));
	EXPECT_EQ(0, row_of(STATS, "total bugs"));
}

/* The parameter is changed while others allocate. */
static void *switcher(void *arg)
{
	while (!__atomic_load_n((bool *)arg, __ATOMIC_RELAXED)) {
		set_interval("1");
		sleep_ms(3);
		set_interval("0");
	}
	return NULL;
}

TEST_F(kmm, switched_under_load)
{
	uint64_t end = now_ms() + env_number("KMM_RACE_MS", 1000);
	bool stop = false;
	pthread_t t;

	share_a_cpu_under_tcg();
	ASSERT_EQ(0, pthread_create(&t, NULL, switcher, &stop));
	for (int i = 0; now_ms() < end; i++) {
		ASSERT_EQ(0, kmm_kmalloc(self->dev, i % 64, 1 + i % 4096, 0, NULL));
		if (i % 64 == 63)
			for (int k = 0; k < 64; k++)
				ASSERT_EQ(0, kmm_kfree(self->dev, k));
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(t, NULL));
	close(self->dev);
	self->dev = kmm_open();
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, set_interval("1000"));
	EXPECT_EQ(0, row_of(STATS, "currently allocated"));
	EXPECT_EQ(0, row_of(STATS, "total bugs"));
}

TEST_HARNESS_MAIN
