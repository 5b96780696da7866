// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bug gym: every bug of debugfs kmm/lab is planted, must be counted by its detector, must be
 * in the kernel log with the headline that the list promises, once, and must leave the region as
 * it was. What this kernel has no detector for is refused. Then the call with wrong arguments.
 *
 * Needs the module loaded with lab=1. Comes last: some bugs silence lockdep until the next boot.
 */
#include <regex.h>

#include "kmm_test.h"

#define LIST	"/sys/kernel/debug/kmm/lab"
#define BUGS_MAX	64

struct bug {
	char name[40];
	char report[160];
	bool ready;
	bool once;
};

static struct bug bugs[BUGS_MAX];

/* How many there are; 0 is an error. */
static int read_bugs(void)
{
	FILE *f = fopen(LIST, "r");
	char line[1024];
	int n = 0;

	if (!f)
		return 0;
	while (n < BUGS_MAX && fgets(line, sizeof(line), f)) {
		struct bug *b = &bugs[n - 1];

		line[strcspn(line, "\n")] = 0;
		if (line[0] != '\t')
			snprintf(bugs[n++].name, sizeof(b->name), "%.39s", line);
		else if (!n)
			break;
		else if (!strncmp(line, "\treport: ", 9))
			snprintf(b->report, sizeof(b->report), "%.159s", line + 9);
		else if (!strncmp(line, "\tready: ", 8)) {
			b->ready = !strncmp(line + 8, "yes", 3);
			b->once = strstr(line, ", once");
		}
	}
	fclose(f);
	return n;
}

static void say(const char *text)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("# cannot write to /dev/kmsg\n");
	close(fd);
}

/* Lines of the log since it was opened that match; -1: cannot say. */
static int count_lines(int log, const char *regex)
{
	char record[8192], *text;
	regex_t re;
	ssize_t n;
	int nr = 0;

	if (regcomp(&re, regex, REG_EXTENDED | REG_NOSUB))
		return -1;
	while ((n = read(log, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		record[n] = 0;
		text = strchr(record, ';');
		if (!text || strstr(text, "kmm-expect"))
			continue;
		text[strcspn(text, "\n")] = 0;
		nr += !regexec(&re, text + 1, 0, NULL, 0);
	}
	regfree(&re);
	return nr;
}

/* 0 if the bug was caught, with its one report; else what went wrong was said. */
static int plant(int dev, const struct bug *b)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC), err, lines;
	uint32_t reports = 0;
	char text[256];

	lseek(log, 0, SEEK_END);
	snprintf(text, sizeof(text), "kmm-expect: %s x1\n", b->report);
	say(text);
	err = kmm_lab_bug(dev, b->name, &reports);
	lines = count_lines(log, b->report);
	say("kmm-expect-end\n");
	close(log);
	if (!err && reports == 1 && lines == 1)
		return 0;
	printf("# %s: %s, %u counted, %d in the log\n", b->name, strerror(-err), reports, lines);
	fflush(stdout);
	return -1;
}

TEST_F(kmm, each_bug_is_caught)
{
	struct kmm_stat before, now;
	int n = read_bugs(), caught = 0;
	uint32_t reports;

	ASSERT_LE(15, n);
	for (int i = 0; i < n; i++) {
		if (bugs[i].once)
			continue;
		if (!bugs[i].ready) {
			EXPECT_EQ(-EOPNOTSUPP, kmm_lab_bug(self->dev, bugs[i].name, &reports));
			TH_LOG("%s: no detector in this kernel", bugs[i].name);
			continue;
		}
		shrink_slabs();
		ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &before));
		EXPECT_EQ(0, plant(self->dev, &bugs[i]));
		EXPECT_EQ(0, settle(self->dev, &before, &now));
		EXPECT_TRUE(same_frames(&before, &now)) {
			TH_LOG("%s left something", bugs[i].name);
			print_stat("before", &before);
			print_stat("after", &now);
		}
		caught++;
	}
	EXPECT_LE(15, caught);
	TH_LOG("%d of %d caught", caught, n);
}

TEST_F(kmm, a_bug_can_be_planted_again)
{
	uint32_t reports;

	ASSERT_LT(0, read_bugs());
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0, plant(self->dev, &bugs[0]));
	EXPECT_EQ(-ENOENT, kmm_lab_bug(self->dev, "", &reports));
	EXPECT_EQ(-ENOENT, kmm_lab_bug(self->dev, "no-such-bug", &reports));
}

TEST_F(kmm, wrong_arguments)
{
	struct kmm_lab_bug b;

	memset(&b, 'a', sizeof(b));
	b.flags = 0;
	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_LAB_BUG, &b)));
	memset(&b, 0, sizeof(b));
	strcpy(b.name, "out-of-bounds");
	for (int i = 0; i < 32; i++) {
		b.flags = 1U << i;
		EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_LAB_BUG, &b)));
	}
	EXPECT_EQ(EFAULT, ERR(ioctl(self->dev, KMM_IOC_LAB_BUG, NULL)));
	EXPECT_EQ(EFAULT, ERR(ioctl(self->dev, KMM_IOC_LAB_BUG, 0xffff888000000000UL)));
	/* a struct that is too short, one that goes on, and one that goes on with something */
	b.flags = 0;
	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, _IOC(_IOC_READ | _IOC_WRITE, KMM_IOC_MAGIC, 0x70,
						    sizeof(b) - 4), &b)));
	for (int i = 0; i < 2; i++) {
		struct {
			struct kmm_lab_bug b;
			uint32_t more;
		} longer = { .b.name = "no-such-bug", .more = i };

		EXPECT_EQ(i ? E2BIG : ENOENT,
			  ERR(ioctl(self->dev, _IOC(_IOC_READ | _IOC_WRITE, KMM_IOC_MAGIC, 0x70,
						    sizeof(longer)), &longer)));
	}
}

/* What needs memory of the host to be planted says so when there is none. */
TEST_F(kmm, without_memory_nothing_is_planted)
{
	static const char *const names[] = { "foreign-free", "host-use-after-free" };
	int n = read_bugs(), fd = open("/sys/kernel/debug/kmm/fail/fail-nth", O_RDWR | O_CLOEXEC);
	uint32_t reports;

	ASSERT_LE(0, fd);
	for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
		for (int i = 0; i < n; i++) {
			if (strcmp(bugs[i].name, names[k]) || !bugs[i].ready)
				continue;
			ASSERT_EQ(1, write(fd, "1", 1));
			EXPECT_EQ(-ENOMEM, kmm_lab_bug(self->dev, names[k], &reports));
		}
	}
	close(fd);
}

TEST_F(kmm, not_for_users)
{
	pid_t child = fork();

	if (!child) {
		uint32_t reports;

		/* the open file is root's, the caller is not */
		become_nobody(64);
		_exit(kmm_lab_bug(self->dev, "out-of-bounds", &reports) == -EPERM ? 0 : 1);
	}
	EXPECT_EQ(0, wait_child(child));
}

static void *plant_often(void *arg)
{
	uint32_t reports, sum = 0;

	/* such reports go to the log at most ten times in five seconds, and two have been there */
	for (int i = 0; i < 3; i++)
		sum += kmm_lab_bug(*(int *)arg, "page-wrong-order", &reports) ? 0 : reports;
	return (void *)(uintptr_t)sum;
}

/* One at a time: each counts its own report. */
TEST_F(kmm, two_at_once)
{
	pthread_t t[2];
	void *sum;

	say("kmm-expect: BUG: KMM: wrong-order free in x6\n");
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, plant_often, &self->dev));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, pthread_join(t[i], &sum));
		EXPECT_EQ(3, (uintptr_t)sum);
	}
	say("kmm-expect-end\n");
}

/* Last of all: lockdep is off behind the first. In the order of the list. */
TEST_F(kmm, what_silences_its_detector)
{
	int n = read_bugs(), caught = 0;

	for (int i = 0; i < n; i++) {
		if (!bugs[i].once || !bugs[i].ready)
			continue;
		EXPECT_EQ(0, plant(self->dev, &bugs[i]));
		caught++;
	}
	if (!caught)
		SKIP(return, "no lockdep and no KASAN in this kernel");
	TH_LOG("%d caught", caught);
}

TEST_HARNESS_MAIN
