// SPDX-License-Identifier: GPL-2.0-only
/* Open, info, features, stat: what they say, and that it adds up. */
#include <sys/prctl.h>

#include "kmm_test.h"

TEST_F(kmm, open_modes)
{
	struct kmm_info info;
	int fd;

	/* Reading is enough for reading. */
	fd = open(KMM_DEVICE, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, kmm_get_info(fd, &info));
	close(fd);
	fd = open(KMM_DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	close(fd);
}

TEST_F(kmm, device_is_for_the_group_only)
{
	struct stat st;

	ASSERT_EQ(0, stat(KMM_DEVICE, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0660, st.st_mode & 07777);
}

TEST_F(kmm, info_is_consistent)
{
	struct kmm_info i, again;
	struct kmm_stat s;

	ASSERT_EQ(0, kmm_get_info(self->dev, &i));
	EXPECT_EQ(KMM_ABI_VERSION, i.abi_version);
	EXPECT_EQ(sysconf(_SC_PAGESIZE), i.page_size);
	EXPECT_EQ(KMM_ORDER_MAX, i.order_max);
	EXPECT_LT(0, i.nr_extents);
	EXPECT_LT(0, i.region_bytes);
	EXPECT_EQ(0, i.region_bytes % i.page_size);
	EXPECT_EQ(0, i.metadata_bytes % i.page_size);
	EXPECT_LT(i.metadata_bytes, i.region_bytes);
	EXPECT_EQ(0, i.flags & ~(KMM_INFO_FALLBACK | KMM_INFO_LAB));
	EXPECT_NE(0, i.provider[0]);
	EXPECT_EQ(0, i.provider[KMM_NAME_LEN - 1]);
	EXPECT_NE(0, i.version[0]);
	EXPECT_EQ(0, i.version[KMM_NAME_LEN - 1]);
	EXPECT_TRUE(!strcmp((char *)i.provider, "cma") ||
		    !strcmp((char *)i.provider, "contig") ||
		    !strcmp((char *)i.provider, "chunks"));
	EXPECT_LT(0, i.file_limits.frames);
	EXPECT_LT(0, i.user_limits.objects);

	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
	EXPECT_EQ(i.region_bytes / i.page_size, s.total);
	EXPECT_EQ(i.metadata_bytes / i.page_size, s.metadata);

	ASSERT_EQ(0, kmm_get_info(self->dev, &again));
	EXPECT_EQ(0, memcmp(&i, &again, sizeof(i)));
}

/* The kernel fills every byte, also behind the names' ends. */
TEST_F(kmm, info_leaves_no_stale_byte)
{
	struct kmm_info a, b;

	memset(&a, 0x00, sizeof(a));
	memset(&b, 0xff, sizeof(b));
	ASSERT_EQ(0, ioctl(self->dev, KMM_IOC_INFO, &a));
	ASSERT_EQ(0, ioctl(self->dev, KMM_IOC_INFO, &b));
	EXPECT_EQ(0, memcmp(&a, &b, sizeof(a)));
}

TEST_F(kmm, features)
{
	uint64_t f;

	ASSERT_EQ(0, kmm_get_features(self->dev, &f));
	EXPECT_NE(0, f & KMM_FEATURE_OBJECTS);
	EXPECT_NE(0, f & KMM_FEATURE_OPS_PAGES);
	EXPECT_EQ(0, f & ~(KMM_FEATURE_OBJECTS | KMM_FEATURE_OPS_PAGES | KMM_FEATURE_OPS_SLAB |
			   KMM_FEATURE_OPS_VMALLOC | KMM_FEATURE_SPACES | KMM_FEATURE_MSGQ |
			   KMM_FEATURE_SHM_NAMES | KMM_FEATURE_GIFT | KMM_FEATURE_SWAP |
			   KMM_FEATURE_PIPE | KMM_FEATURE_DMABUF | KMM_FEATURE_TRACEPOINTS |
			   KMM_FEATURE_DEBUGFS));
	/* What is claimed is there. */
	if (!access("/sys/kernel/debug/tracing", F_OK)) {
		EXPECT_EQ(!!(f & KMM_FEATURE_DEBUGFS), !access("/sys/kernel/debug/kmm", F_OK));
	}
}

TEST_F(kmm, exact_sum_always_holds)
{
	struct kmm_stat s;
	int obj;

	for (int i = 0; i < 50; i++) {
		obj = kmm_object_create(self->dev, 64 * PAGE, i & 1 ? KMM_OBJECT_EAGER : 0);
		ASSERT_LE(0, obj);
		ASSERT_EQ(0, kmm_pages_alloc(self->dev, i, i % 5, 0));
		ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
		ASSERT_EQ(s.total, stat_sum(&s));
		close(obj);
		ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
		ASSERT_EQ(s.total, stat_sum(&s));
	}
	for (int i = 0; i < 50; i++)
		ASSERT_EQ(0, kmm_pages_free(self->dev, i));
}

static void *churn(void *arg)
{
	volatile bool *stop = arg;
	int dev = kmm_open();

	if (dev < 0)
		return NULL;
	for (unsigned int i = 0; !*stop; i++) {
		if (kmm_pages_alloc(dev, 0, i % 4, 0))
			break;
		if (kmm_pages_free(dev, 0))
			break;
	}
	close(dev);
	return (void *)(long)*stop;
}

/* EXACT means exact also while another CPU allocates and frees. */
TEST_F(kmm, exact_sum_holds_under_load)
{
	volatile bool stop = false;
	struct kmm_stat s;
	pthread_t t[2];
	void *ok;

	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, churn, (void *)&stop));
	for (int i = 0; i < 300; i++) {
		ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
		EXPECT_EQ(s.total, stat_sum(&s));
		ASSERT_EQ(0, kmm_get_stat(self->dev, 0, &s));
	}
	stop = true;
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], &ok);
		EXPECT_NE(NULL, ok);
	}
}

TEST_F(kmm, stat_counts_what_is_held)
{
	struct kmm_stat a, b;
	int obj;

	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &a));
	EXPECT_LT(a.watermark_min, a.watermark_low);
	EXPECT_LT(a.watermark_low, a.watermark_high);
	EXPECT_LT(a.watermark_high, a.total);

	ASSERT_EQ(0, kmm_pages_alloc(self->dev, 0, 4, 0));
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &b));
	EXPECT_EQ(a.used + 16, b.used);
	EXPECT_EQ(a.file_frames + 16, b.file_frames);
	EXPECT_EQ(a.user_frames + 16, b.user_frames);
	ASSERT_EQ(0, kmm_pages_free(self->dev, 0));

	obj = kmm_object_create(self->dev, 10 * PAGE, KMM_OBJECT_EAGER);
	ASSERT_LE(0, obj);
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &b));
	EXPECT_EQ(a.used + 10, b.used);
	EXPECT_EQ(a.objects + 1, b.objects);
	EXPECT_EQ(a.user_objects + 1, b.user_objects);
	EXPECT_EQ(a.user_frames + 10, b.user_frames);
	EXPECT_LT(a.user_host_bytes, b.user_host_bytes);
	close(obj);
}

TEST_F(kmm, descriptors_are_close_on_exec)
{
	int obj = kmm_object_create(self->dev, PAGE, 0), ro;

	ASSERT_LE(0, obj);
	EXPECT_EQ(FD_CLOEXEC, fcntl(obj, F_GETFD));
	ro = kmm_object_reopen(obj, KMM_REOPEN_RDONLY);
	ASSERT_LE(0, ro);
	EXPECT_EQ(FD_CLOEXEC, fcntl(ro, F_GETFD));
	close(ro);
	close(obj);
}

/* === debugfs === */

static int split(char *line, char **cell, int max)
{
	int n = 0;

	for (char *w = strtok(line, " \t\n"); w && n < max; w = strtok(NULL, " \t\n"))
		cell[n++] = w;
	return n;
}

/*
 * Rows of this process in a table of debugfs that end in @name; -1: the table cannot be read, or a
 * row has not as many cells as the heading.
 */
static int rows_of_mine(const char *file, const char *name)
{
	char path[128], line[400], *cell[32];
	int columns, pid = -1, rows = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kmm/%s", file);
	f = fopen(path, "re");
	if (!f)
		return -1;
	columns = fgets(line, sizeof(line), f) ? split(line, cell, ARRAY_SIZE(cell)) : 0;
	for (int i = 0; i < columns; i++)
		if (!strcmp(cell[i], "pid"))
			pid = i;
	while (pid >= 0 && rows >= 0 && fgets(line, sizeof(line), f)) {
		if (split(line, cell, ARRAY_SIZE(cell)) != columns)
			rows = -1;
		else
			rows += atoi(cell[pid]) == getpid() && !strcmp(cell[columns - 1], name);
	}
	fclose(f);
	return rows;
}

/* Names are chosen by users. */
TEST_F(kmm, a_row_has_all_columns_whatever_the_name)
{
	static const char * const file[] = { "accounts", "objects", "pipes", "spaces/list" };
	static const struct {
		const char *name, *cell;
	} names[] = { { "", "-" }, { " ", "\\040" }, { "a\tb\\c", "a\\011b\\134c" } };
	int dev, obj, space, fd[2];

	if (access("/sys/kernel/debug/kmm/accounts", R_OK))
		SKIP(return, "no debugfs");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ASSERT_EQ(0, prctl(PR_SET_NAME, names[i].name));
		dev = kmm_open();
		ASSERT_LE(0, dev);
		obj = kmm_object_create(dev, PAGE, 0);
		ASSERT_LE(0, obj);
		space = kmm_space_create(dev);
		ASSERT_LE(0, space);
		ASSERT_EQ(0, kmm_pipe_create(dev, 0, 0, fd));
		for (size_t k = 0; k < ARRAY_SIZE(file); k++) {
			EXPECT_EQ(1, rows_of_mine(file[k], names[i].cell))
				TH_LOG("%s, name '%s'", file[k], names[i].name);
		}
		close(fd[0]);
		close(fd[1]);
		close(space);
		close(obj);
		close(dev);
	}
}

TEST_HARNESS_MAIN
