// SPDX-License-Identifier: GPL-2.0-only
/*
 * page_owner: what debugfs tells of who has which frame, switching, and what hostile users can
 * make of it. run.sh loads the module with page_owner=1 for this suite.
 */
#include <regex.h>
#include <sys/prctl.h>

#include "kmm_test.h"

#define DUMP		"/sys/kernel/debug/kmm/page_owner"
#define DEPOT		"/sys/kernel/debug/kmm/stack_depot"
#define PARAMETER	"/sys/module/kmm/parameters/page_owner"

static int set(const char *text)
{
	int fd = open(PARAMETER, O_WRONLY | O_CLOEXEC);
	int err = fd < 0 || write(fd, text, strlen(text)) < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return err;
}

/* The whole file, in reads of this many bytes; NULL and errno when it cannot be read. */
static char *read_dump(size_t piece)
{
	size_t cap = 1 << 20, len = 0;
	char *text = malloc(cap);
	int fd = open(DUMP, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;

	while (text && fd >= 0) {
		if (len + piece + 1 > cap)
			text = realloc(text, cap *= 2);
		got = text ? read(fd, text + len, piece) : -1;
		if (got <= 0)
			break;
		len += got;
	}
	if (got < 0) {
		int err = errno;

		free(text);
		text = NULL;
		errno = err;
	} else {
		text[len] = 0;
	}
	if (fd >= 0)
		close(fd);
	return text;
}

/**
 * struct sum - of a dump
 * @blocks: in it
 * @pages: in them
 * @mine: pages that this process took
 * @early: pages of owner_register_early_stack
 * @bad: lines that are not as the kernel's
 */
struct sum {
	long blocks;
	long pages;
	long mine;
	long early;
	long bad;
};

/* Each line must be one of four, in this order: two of the head, the stack, nothing. */
static struct sum sum_up(char *text, pid_t pid)
{
	static const char *const pattern[] = {
		"^Page allocated via order ([0-9]+), mask 0x[0-9a-f]+\\([A-Za-z_|0-9x]*\\), pid ([0-9]+), tgid [0-9]+ \\(.*\\), ts [0-9]+ ns, free_ts [0-9]+ ns$",
		"^PFN [0-9]+ type (Unmovable|Movable|Reclaimable) Block [0-9]+ type (Unmovable|Movable|Reclaimable) Flags 0x[0-9a-f]+\\([^ ]*\\)$",
		"^ [^ ]+( \\[[a-z_0-9]+\\])?$",
		"^$",
	};
	regex_t re[4];
	struct sum s = { };
	int next = 0, lines = 0;
	long pages = 0;

	for (int i = 0; i < 4; i++)
		if (regcomp(&re[i], pattern[i], REG_EXTENDED))
			s.bad++;
	for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
		regmatch_t m[3];

		*end = 0;
		if (next == 2 && !*line && lines)
			next = 3;
		if (regexec(&re[next], line, 3, m, 0)) {
			if (s.bad++ < 3)
				printf("# not as line %d: '%s'\n", next, line);
			continue;
		}
		if (next == 0) {
			pages = 1L << atoi(line + m[1].rm_so);
			s.blocks++;
			s.pages += pages;
			if (atoi(line + m[2].rm_so) == pid)
				s.mine += pages;
			lines = 0;
		}
		if (next == 2) {
			s.early += !strncmp(line, " owner_register_early_stack+", 28) ? pages : 0;
			lines++;
		} else {
			next = (next + 1) % 4;
		}
	}
	s.bad += next != 0;
	for (int i = 0; i < 4; i++)
		regfree(&re[i]);
	return s;
}

static struct sum dump(size_t piece)
{
	char *text = read_dump(piece);
	struct sum s = { .bad = 1 };

	if (text)
		s = sum_up(text, getpid());
	free(text);
	return s;
}

FIXTURE(owner) {
	int dev;
};

FIXTURE_SETUP(owner)
{
	self->dev = kmm_open();
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, set("1"));
}

FIXTURE_TEARDOWN(owner)
{
	close(self->dev);
	EXPECT_EQ(0, set("1"));
}

/* A line of stack_depot; -1: there is none. */
static long depot_has(const char *name)
{
	FILE *f = fopen(DEPOT, "re");
	char line[80], *end;
	long n = -1;

	while (f && n < 0 && fgets(line, sizeof(line), f)) {
		end = strchr(line, ':');
		if (end && !strncmp(line, name, end - line) && !name[end - line])
			n = strtol(end + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	return n;
}

/* An object of 64 frames, and away with it. */
static int take_object(int dev)
{
	int obj = kmm_object_create(dev, 256 << 10, KMM_OBJECT_EAGER);

	return obj < 0 ? obj : close(obj);
}

/* Frames that are used or metadata, by the module's own count. */
static long used(int dev)
{
	struct kmm_stat s = { };

	return kmm_get_stat(dev, KMM_STAT_EXACT, &s) ? -1 : (long)(s.used + s.metadata);
}

TEST_F(owner, every_used_frame_is_in_the_dump)
{
	int obj = kmm_object_create(self->dev, 3 << 20, KMM_OBJECT_EAGER);
	struct sum s;
	long n;

	ASSERT_LE(0, obj);
	s = dump(1 << 16);
	n = used(self->dev);
	EXPECT_EQ(0, s.bad);
	EXPECT_EQ(n, s.pages);
	EXPECT_LE(768, s.mine);
	close(obj);
	for (int i = 0; i < 100 && (s = dump(1 << 16)).mine >= 768; i++)
		sleep_ms(20);
	EXPECT_EQ(0, s.bad);
	EXPECT_GT(768, s.mine);
}

TEST_F(owner, small_reads_give_the_same)
{
	char *large = read_dump(1 << 20), *small = read_dump(37);

	ASSERT_NE(NULL, large);
	ASSERT_NE(NULL, small);
	EXPECT_STREQ(large, small);
	free(large);
	free(small);
}

TEST_F(owner, off_and_on_begins_anew)
{
	int obj = kmm_object_create(self->dev, 1 << 20, KMM_OBJECT_EAGER), later;
	char text[4] = "";
	struct sum s;
	int fd;

	ASSERT_LE(0, obj);
	ASSERT_EQ(0, set("N"));
	EXPECT_EQ(NULL, read_dump(4096));
	EXPECT_EQ(EINVAL, errno);
	fd = open(PARAMETER, O_RDONLY | O_CLOEXEC);
	EXPECT_LT(0, read(fd, text, sizeof(text) - 1));
	EXPECT_STREQ("N\n", text);
	close(fd);
	EXPECT_EQ(0, set("0"));
	later = kmm_object_create(self->dev, 1 << 20, KMM_OBJECT_EAGER);
	ASSERT_LE(0, later);
	ASSERT_EQ(0, set("Y"));
	s = dump(1 << 16);
	EXPECT_EQ(0, s.bad);
	EXPECT_EQ(used(self->dev), s.pages);
	EXPECT_EQ(s.pages, s.early);
	EXPECT_EQ(EINVAL, set("perhaps"));
	close(obj);
	close(later);
}

/* What a command is called is printed as it is; only it can be wrong then. */
TEST_F(owner, hostile_names_only_spoil_their_own_lines)
{
	static const char *const name[] = {
		"), ts 1 ns", "(((", "a b c d e f g h", "%s%n%p", "\xff\xfe\x01", "x), pid 1, tgid",
	};
	char was[16];

	prctl(PR_GET_NAME, was);
	for (size_t i = 0; i < ARRAY_SIZE(name); i++) {
		struct sum s;
		int obj;

		prctl(PR_SET_NAME, name[i]);
		obj = kmm_object_create(self->dev, 64 << 10, KMM_OBJECT_EAGER);
		prctl(PR_SET_NAME, was);
		ASSERT_LE(0, obj);
		setenv("LC_ALL", "C", 1);
		s = dump(4096);
		EXPECT_EQ(0, s.bad) TH_LOG("name %zu", i);
		EXPECT_LE(16, s.mine) TH_LOG("name %zu", i);
		EXPECT_EQ(used(self->dev), s.pages);
		close(obj);
	}
}

TEST_F(owner, only_root_may_look_and_switch)
{
	pid_t child = fork();

	if (!child) {
		become_nobody(64);
		_exit((open(DUMP, O_RDONLY) >= 0) | (open(PARAMETER, O_WRONLY) >= 0) << 1);
	}
	EXPECT_EQ(0, wait_child(child));
}

static volatile bool race_ends;

static void *take_and_give(void *arg)
{
	uint64_t seed = (uintptr_t)&arg | 1;
	int dev = *(int *)arg;
	long n = 0;

	while (!race_ends) {
		struct kmm_op op = { .kind = KMM_OP_PAGES_ALLOC, .slot = next_random(&seed) % 64,
				     .arg = next_random(&seed) % 4 };
		struct kmm_ops ops = { .ops = (uintptr_t)&op, .nr = 1 };

		if (next_random(&seed) % 2)
			op.kind = KMM_OP_PAGES_FREE;
		if (!ioctl(dev, KMM_IOC_OPS, &ops) && !op.result)
			n++;
	}
	return (void *)n;
}

static volatile long flips;

static void *flip(void *arg)
{
	(void)arg;
	while (!race_ends) {
		if (!set(flips & 1 ? "1" : "0"))
			flips++;
		sleep_ms(1);
	}
	return NULL;
}

TEST_F_TIMEOUT(owner, dumps_while_others_work_and_switch, 300)
{
	uint64_t end = now_ms() + env_number("KMM_RACE_MS", 1000);
	pthread_t worker[2], switcher;
	long dumps = 0, refused = 0;
	void *n;
	struct sum s = { };

	share_a_cpu_under_tcg();
	race_ends = false;
	flips = 0;
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&worker[i], NULL, take_and_give, &self->dev));
	ASSERT_EQ(0, pthread_create(&switcher, NULL, flip, NULL));
	/* a switch may take long on a busy machine: there shall be some */
	while (now_ms() < end || (flips < 2 && now_ms() < end + 60000)) {
		char *text = read_dump(1 << 14);

		if (text) {
			s = sum_up(text, getpid());
			EXPECT_EQ(0, s.bad);
			dumps++;
			free(text);
		} else {
			/* it was off when the file, or the next piece of it, was read */
			EXPECT_EQ(EINVAL, errno);
			refused++;
		}
	}
	race_ends = true;
	for (int i = 0; i < 2; i++) {
		pthread_join(worker[i], &n);
		EXPECT_LT(0, (long)n);
	}
	pthread_join(switcher, NULL);
	printf("# %ld dumps, %ld refused, %ld switches\n", dumps, refused, flips);
	EXPECT_LT(0, dumps + refused);
	EXPECT_LT(1, flips);
	ASSERT_EQ(0, set("0"));
	ASSERT_EQ(0, set("1"));
	s = dump(1 << 16);
	EXPECT_EQ(0, s.bad);
	EXPECT_EQ(used(self->dev), s.pages);
}

TEST_F(owner, stacks_are_kept_once)
{
	long saved, unique;

	for (int i = 0; i < 50; i++)
		ASSERT_EQ(0, take_object(self->dev));
	saved = depot_has("saved");
	unique = depot_has("unique");
	printf("# %ld stacks saved, %ld unique\n", saved, unique);
	EXPECT_LE(50 * 64, saved);
	EXPECT_LT(0, unique);
	EXPECT_LT(unique, saved / 4);
	EXPECT_EQ(0, depot_has("dropped"));
}

static long unwound(void)
{
	return depot_has("saved") - depot_has("remembered");
}

/* Stacks are recognised by what code does with the stack pointer; the code of a module may go. */
TEST_F(owner, when_a_module_goes_stacks_are_unwound_again)
{
	long before = 0, after = 1;

	/* others may come with a new stack */
	for (int i = 0; i < 20 && before != after; i++) {
		before = unwound();
		ASSERT_EQ(0, take_object(self->dev));
		after = unwound();
	}
	ASSERT_EQ(before, after);
	syscall(SYS_delete_module, "kmm_importer", O_NONBLOCK);
	ASSERT_EQ(0, insert_module("kmm_importer.ko", ""));
	ASSERT_EQ(0, take_object(self->dev));
	before = unwound();
	ASSERT_EQ(0, syscall(SYS_delete_module, "kmm_importer", O_NONBLOCK));
	ASSERT_EQ(0, take_object(self->dev));
	EXPECT_LT(before, unwound());
}

TEST_HARNESS_MAIN
