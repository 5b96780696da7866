// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page replacement from user space: which policy decides, replaying references, recording those of
 * objects (sampled) and spaces (exact).
 */
#include "kmm_test.h"

#define BASE		0x10000000ULL
#define NR_PAGES	600		/* two leaves of the index */

static uint64_t bitmap[KMM_YOUNG_MAX / 64];

static bool is_set(unsigned int i)
{
	return bitmap[i / 64] >> i % 64 & 1;
}

static int young(int obj, uint64_t first, uint32_t nr)
{
	memset(bitmap, 0xff, sizeof(bitmap));
	return kmm_object_young(obj, first, nr, bitmap);
}

/* === Objects === */

TEST_F(kmm, young_tells_what_was_touched)
{
	static const unsigned int touched[] = { 0, 3, 511, 512, NR_PAGES - 1 };
	int obj = kmm_object_create(self->dev, NR_PAGES * PAGE, KMM_OBJECT_EAGER);
	char *p = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	unsigned int i, k;

	ASSERT_LE(0, obj);
	ASSERT_NE(MAP_FAILED, p);
	/* fault-around maps neighbours, too; whether these are young is the host's business */
	for (i = 0; i < NR_PAGES; i++)
		(void)*(volatile char *)(p + i * PAGE);
	EXPECT_EQ(NR_PAGES, young(obj, 0, NR_PAGES));
	EXPECT_EQ(0, young(obj, 0, NR_PAGES));
	for (k = 0; k < 20; k++) {
		for (i = 0; i < ARRAY_SIZE(touched); i++)
			p[touched[i] * PAGE] = k;
		EXPECT_EQ(ARRAY_SIZE(touched), young(obj, 0, NR_PAGES));
		for (i = 0; i < ARRAY_SIZE(touched); i++)
			EXPECT_TRUE(is_set(touched[i]));
		EXPECT_EQ(0, young(obj, 0, NR_PAGES));
	}
	/* a part; the other part keeps its bits */
	for (i = 0; i < ARRAY_SIZE(touched); i++)
		p[touched[i] * PAGE] = k;
	EXPECT_EQ(2, young(obj, 510, 3));
	EXPECT_FALSE(is_set(0));
	EXPECT_TRUE(is_set(1) && is_set(2));
	EXPECT_EQ(3, young(obj, 0, NR_PAGES));
	munmap(p, NR_PAGES * PAGE);
	close(obj);
}

/* Another process's bits count as well, and those of a space. */
TEST_F(kmm, young_looks_at_every_mapping)
{
	int obj = kmm_object_create(self->dev, 8 * PAGE, 0);
	int space = kmm_space_create(self->dev);
	uint64_t at = BASE;
	pid_t pid;

	ASSERT_LE(0, obj);
	ASSERT_LE(0, space);
	ASSERT_EQ(0, kmm_space_map(space, &at, 8 * PAGE, KMM_PROT_READ | KMM_PROT_WRITE,
				   KMM_MAP_SHARED | KMM_MAP_FIXED, obj, 0));
	EXPECT_EQ(0, kmm_space_write(space, BASE + 5 * PAGE, "x", 1));
	EXPECT_EQ(1, young(obj, 0, 8));
	EXPECT_TRUE(is_set(5));
	EXPECT_EQ(0, young(obj, 0, 8));
	pid = fork();
	if (!pid) {
		char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);

		p[2 * PAGE] = 1;
		_exit(young(obj, 2, 1) != 1);
	}
	EXPECT_EQ(0, wait_child(pid));
	close(space);
	close(obj);
}

TEST_F(kmm, young_hostile)
{
	int obj = kmm_object_create(self->dev, 4 * PAGE, KMM_OBJECT_EAGER);
	struct kmm_object_young y = { .nr = 4, .bitmap = (uintptr_t)bitmap };
	static const uint64_t pointers[] = { 0, 1, 0xffff888000000000, UINT64_MAX };
	pid_t pid;

	ASSERT_LE(0, obj);
	EXPECT_EQ(-EINVAL, young(obj, 0, 0));
	EXPECT_EQ(-E2BIG, young(obj, 0, KMM_YOUNG_MAX + 1));
	EXPECT_EQ(-E2BIG, young(obj, 0, UINT32_MAX));
	/* behind the end there is nothing, and the bitmap says so */
	EXPECT_EQ(0, young(obj, 4, KMM_YOUNG_MAX));
	EXPECT_TRUE(all_bytes(bitmap, 0, sizeof(bitmap)));
	EXPECT_EQ(0, young(obj, UINT64_MAX, KMM_YOUNG_MAX));
	EXPECT_EQ(0, young(obj, UINT64_MAX - KMM_YOUNG_MAX + 1, KMM_YOUNG_MAX));
	EXPECT_EQ(0, young(obj, 3, KMM_YOUNG_MAX));
	/* whole words are written, no more */
	memset(bitmap, 0xff, sizeof(bitmap));
	EXPECT_EQ(0, kmm_object_young(obj, 0, 65, bitmap));
	EXPECT_TRUE(!bitmap[0] && !bitmap[1] && bitmap[2] == UINT64_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(pointers); i++) {
		y.bitmap = pointers[i];
		EXPECT_EQ(EFAULT, ERR(ioctl(obj, KMM_IOC_OBJECT_YOUNG, &y)));
	}
	pid = fork();
	if (!pid) {
		become_nobody(100);
		_exit(young(obj, 0, 4) != -EPERM);
	}
	EXPECT_EQ(0, wait_child(pid));
	close(obj);
}

/* === Spaces === */

static int traced_space(int dev)
{
	int space = kmm_space_create(dev);
	uint64_t at = BASE;

	if (space >= 0 && (kmm_space_map(space, &at, 64 * PAGE, KMM_PROT_READ | KMM_PROT_WRITE,
					 KMM_MAP_PRIVATE | KMM_MAP_FIXED, -1, 0) ||
			   kmm_space_trace(space, KMM_TRACE_START, NULL, 0, NULL))) {
		close(space);
		return -1;
	}
	return space;
}

TEST_F(kmm, trace_has_every_access_in_order)
{
	const uint64_t first = BASE / PAGE;
	const uint64_t want[] = {
		(first + 3) | KMM_TRACE_WRITE, first, first + 3, (first + 7) | KMM_TRACE_WRITE,
		(first + 8) | KMM_TRACE_WRITE, first + 62, first + 63, first + 1,
	};
	int space = traced_space(self->dev);
	uint64_t got[16], lost = 99;
	char buf[2 * PAGE] = "";
	struct kmm_space_access fetch = { .addr = BASE + PAGE, .len = 1, .op = KMM_ACCESS_FETCH };

	ASSERT_LE(0, space);
	EXPECT_EQ(0, kmm_space_write(space, BASE + 3 * PAGE, "x", 1));
	EXPECT_EQ(0, kmm_space_read(space, BASE, buf, PAGE));
	EXPECT_EQ(1, pread(space, buf, 1, BASE + 4 * PAGE - 1));
	EXPECT_EQ(2, pwrite(space, "yz", 2, BASE + 8 * PAGE - 1));
	/* what was reached of an access that goes over the end */
	EXPECT_EQ(-EIO, kmm_space_read(space, BASE + 63 * PAGE - 1, buf, PAGE + 2));
	/* nothing at all is reached: not in the trace */
	EXPECT_EQ(-EIO, kmm_space_read(space, BASE - PAGE, buf, 1));
	EXPECT_EQ(0, kmm_space_access(space, &fetch));
	if (fetch.fault_rule)	/* not executable */
		EXPECT_EQ(0, kmm_space_read(space, BASE + PAGE, buf, 1));
	EXPECT_EQ(3, kmm_space_trace(space, 0, got, 3, &lost));
	EXPECT_EQ(0, lost);
	EXPECT_EQ(ARRAY_SIZE(want) - 3, kmm_space_trace(space, KMM_TRACE_STOP, got + 3, 13, &lost));
	EXPECT_EQ(0, lost);
	EXPECT_EQ(0, memcmp(want, got, sizeof(want)));
	EXPECT_EQ(-ENOENT, kmm_space_trace(space, 0, got, 1, &lost));
	close(space);
}

/* The oldest stay, what finds no room is counted. */
TEST_F(kmm, trace_that_nobody_reads_loses_the_newest)
{
	static uint64_t got[KMM_TRACE_ENTRIES + 1];
	int space = traced_space(self->dev), n;
	unsigned int i, all = 0;
	static char buf[16 * PAGE];
	uint64_t lost;

	ASSERT_LE(0, space);
	for (i = 0; all < KMM_TRACE_ENTRIES + 100; i++, all += 16)
		ASSERT_EQ(0, kmm_space_read(space, BASE + i % 2 * sizeof(buf), buf, sizeof(buf)));
	n = kmm_space_trace(space, 0, got, ARRAY_SIZE(got), &lost);
	EXPECT_EQ(KMM_TRACE_ENTRIES, n);
	EXPECT_EQ(all - KMM_TRACE_ENTRIES, lost);
	for (i = 0; i < KMM_TRACE_ENTRIES; i++)
		ASSERT_EQ(BASE / PAGE + i % 32, got[i]);
	/* there is room again */
	EXPECT_EQ(0, kmm_space_read(space, BASE + 40 * PAGE, buf, 1));
	EXPECT_EQ(1, kmm_space_trace(space, 0, got, ARRAY_SIZE(got), &lost));
	EXPECT_EQ(BASE / PAGE + 40, got[0]);
	EXPECT_EQ(all - KMM_TRACE_ENTRIES, lost);
	/* the ring goes with the space */
	close(space);
}

TEST_F(kmm, trace_hostile)
{
	int space = traced_space(self->dev), clone;
	struct kmm_space_clone c = { 0 };
	uint64_t got[4], lost;
	char byte;

	ASSERT_LE(0, space);
	EXPECT_EQ(-EBUSY, kmm_space_trace(space, KMM_TRACE_START, NULL, 0, &lost));
	EXPECT_EQ(-EINVAL, kmm_space_trace(space, KMM_TRACE_START | KMM_TRACE_STOP, NULL, 0,
					   &lost));
	EXPECT_EQ(-EINVAL, kmm_space_trace(space, 4, NULL, 0, &lost));
	EXPECT_EQ(0, kmm_space_read(space, BASE, &byte, 1));
	/* what cannot be written is lost, and said to be */
	EXPECT_EQ(-EFAULT, kmm_space_trace(space, 0, (uint64_t *)8, 1, &lost));
	EXPECT_EQ(0, kmm_space_trace(space, 0, got, UINT32_MAX, &lost));
	EXPECT_EQ(1, lost);
	/* a clone is another space */
	ASSERT_EQ(0, ioctl(space, KMM_IOC_SPACE_CLONE, &c));
	clone = c.fd;
	EXPECT_EQ(-ENOENT, kmm_space_trace(clone, 0, got, 1, &lost));
	EXPECT_EQ(0, kmm_space_read(clone, BASE, &byte, 1));
	EXPECT_EQ(0, kmm_space_trace(space, 0, got, 4, &lost));
	close(clone);
	EXPECT_EQ(0, kmm_space_trace(space, KMM_TRACE_STOP, NULL, 0, &lost));
	EXPECT_EQ(-ENOENT, kmm_space_trace(space, KMM_TRACE_STOP, NULL, 0, &lost));
	EXPECT_EQ(-EINVAL, kmm_space_trace(space, KMM_TRACE_START, got, 4, &lost));
	EXPECT_EQ(-ENOENT, kmm_space_trace(space, 0, got, 1, &lost));
	close(space);
}

/* Starts, stops, reads and accesses at the same time. */
struct race {
	int space;
	volatile bool stop;
	unsigned long bad;
};

static void *race_switch(void *arg)
{
	struct race *r = arg;
	uint64_t got[64];
	int ret;

	while (!r->stop) {
		ret = kmm_space_trace(r->space, KMM_TRACE_START, NULL, 0, NULL);
		r->bad += ret && ret != -EBUSY;
		ret = kmm_space_trace(r->space, 0, got, 64, NULL);
		for (int i = 0; i < ret; i++)
			r->bad += (got[i] & ~KMM_TRACE_WRITE) - BASE / PAGE >= 64;
		ret = kmm_space_trace(r->space, KMM_TRACE_STOP, NULL, 0, NULL);
		r->bad += ret && ret != -ENOENT;
	}
	return NULL;
}

static void *race_access(void *arg)
{
	struct race *r = arg;
	char buf[200];

	for (unsigned int i = 0; !r->stop; i++)
		r->bad += kmm_space_read(r->space, BASE + i % 63 * PAGE + 4000, buf, 200) != 0;
	return NULL;
}

TEST_F(kmm, trace_races)
{
	struct race r = { .space = traced_space(self->dev) };
	pthread_t t[4];

	ASSERT_LE(0, r.space);
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, i < 2 ? race_switch : race_access, &r));
	sleep_ms(env_number("KMM_RACE_MS", 500));
	r.stop = true;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	EXPECT_EQ(0, r.bad);
	close(r.space);
}

/* === Policies === */

static const char *current_policy(int dev, char *name)
{
	struct kmm_policy_info i;

	name[0] = 0;
	for (uint32_t k = 0; !kmm_policy_info(dev, k, &i); k++)
		if (i.flags & KMM_POLICY_CURRENT)
			strcpy(name, (char *)i.name);
	return name;
}

TEST_F(kmm, policies_are_listed_and_set)
{
	struct kmm_policy_set long_name;
	char before[KMM_NAME_LEN], now[KMM_NAME_LEN];
	unsigned int nr = 0;
	struct kmm_policy_info i;
	pid_t pid;

	current_policy(self->dev, before);
	EXPECT_NE(0, before[0]);
	for (; !kmm_policy_info(self->dev, nr, &i); nr++) {
		EXPECT_NE(0, i.what[0]);
		EXPECT_EQ(0, kmm_policy_set(self->dev, (char *)i.name));
		EXPECT_STREQ((char *)i.name, current_policy(self->dev, now));
	}
	EXPECT_EQ(9, nr);
	EXPECT_EQ(-ENOENT, kmm_policy_info(self->dev, UINT32_MAX, &i));
	EXPECT_EQ(0, kmm_policy_set(self->dev, before));

	EXPECT_EQ(-ENOENT, kmm_policy_set(self->dev, "mru"));
	EXPECT_EQ(-ENOENT, kmm_policy_set(self->dev, ""));
	EXPECT_EQ(-ENOENT, kmm_policy_set(self->dev, "opt"));
	memset(&long_name, 'x', sizeof(long_name));
	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_POLICY_SET, &long_name)));
	pid = fork();
	if (!pid) {
		become_nobody(100);
		_exit(kmm_policy_set(self->dev, "lru") != -EPERM);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_STREQ(before, current_policy(self->dev, now));
}

static int write_policy(const char *text)
{
	int fd = open("/sys/kernel/debug/kmm/reclaim/policy", O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = -errno;
	close(fd);
	return err;
}

TEST_F(kmm, policy_is_set_by_debugfs)
{
	char before[KMM_NAME_LEN], now[KMM_NAME_LEN];

	current_policy(self->dev, before);
	EXPECT_EQ(0, write_policy("sieve\n"));
	EXPECT_STREQ("sieve", current_policy(self->dev, now));
	EXPECT_EQ(-ENOENT, write_policy(" sieve\n"));
	EXPECT_EQ(-ENOENT, write_policy("nobody"));
	EXPECT_EQ(-EINVAL, write_policy("sixteen letters."));
	EXPECT_EQ(-EINVAL, write_policy("more than sixteen letters"));
	EXPECT_STREQ("sieve", current_policy(self->dev, now));
	EXPECT_EQ(0, write_policy(before));
	EXPECT_STREQ(before, current_policy(self->dev, now));
}

/* === Replay === */

/* Faults, or a negative errno. */
static long replay(int dev, const char *policy, uint32_t frames, const uint32_t *refs, uint32_t nr,
		   uint32_t pages)
{
	struct kmm_replay_run run;
	int fd = kmm_replay_create(dev, policy, frames, pages), ret;

	if (fd < 0)
		return fd;
	ret = kmm_replay_run(fd, refs, nr, &run);
	close(fd);
	return ret < 0 ? ret : run.done == nr && run.references == nr ? (long)run.faults : -EIO;
}

/* Belady, Nelson, Shedler 1969; Silberschatz, Galvin, Gagne: Operating System Concepts. */
static const uint32_t belady[] = { 1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5 };
static const uint32_t book[] = { 7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1 };

TEST_F(kmm, replay_gives_the_textbooks_tables)
{
	EXPECT_EQ(9, replay(self->dev, "fifo", 3, belady, 12, 6));
	EXPECT_EQ(10, replay(self->dev, "fifo", 4, belady, 12, 6));
	EXPECT_EQ(10, replay(self->dev, "lru", 3, belady, 12, 6));
	EXPECT_EQ(8, replay(self->dev, "lru", 4, belady, 12, 6));
	EXPECT_EQ(15, replay(self->dev, "fifo", 3, book, 20, 8));
	EXPECT_EQ(12, replay(self->dev, "lru", 3, book, 20, 8));
}

/* With a frame for each page every policy has one fault a page; with one frame none ever hits. */
TEST_F(kmm, replay_at_the_ends)
{
	static uint32_t refs[3000];
	struct kmm_policy_info i;
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(refs); k++)
		refs[k] = k * 7 % 600;
	for (k = 0; !kmm_policy_info(self->dev, k, &i); k++) {
		const char *name = (char *)i.name;

		EXPECT_EQ(600, replay(self->dev, name, 600, refs, 3000, 600)) TH_LOG("%s", name);
		EXPECT_EQ(600, replay(self->dev, name, UINT32_MAX, refs, 3000, 600));
		EXPECT_EQ(3000, replay(self->dev, name, 1, refs, 3000, 600)) TH_LOG("%s", name);
		/* no choice yet: two frames, the third page comes last */
		EXPECT_EQ(3, replay(self->dev, name, 2, (uint32_t[]){ 0, 0, 1, 1, 0, 2 }, 6, 3))
			TH_LOG("%s", name);
	}
}

/* The sums go on from call to call, and an error does not undo what was done before it. */
TEST_F(kmm, replay_goes_on)
{
	uint32_t refs[] = { 0, 1, 2, 3, 99, 0 };
	struct kmm_replay_run run;
	int fd = kmm_replay_create(self->dev, "fifo", 2, 4);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, kmm_replay_run(fd, refs, 1, &run));
	EXPECT_EQ(1, run.faults);
	EXPECT_EQ(0, kmm_replay_run(fd, refs, 6, &run));
	EXPECT_EQ(4, run.done);
	EXPECT_EQ(5, run.references);
	EXPECT_EQ(4, run.faults);
	EXPECT_EQ(-EINVAL, kmm_replay_run(fd, refs + 4, 2, &run));
	EXPECT_EQ(0, kmm_replay_run(fd, refs + 5, 1, &run));
	EXPECT_EQ(6, run.references);
	EXPECT_EQ(5, run.faults);
	close(fd);
}

TEST_F(kmm, replay_hostile)
{
	static uint32_t refs[8192];
	struct kmm_replay_create c = { .policy = "lru", .nr_frames = 1, .nr_pages = 1, .flags = 1 };
	struct kmm_replay_run run;
	char c_page[4];
	int fd;

	EXPECT_EQ(-ENOENT, kmm_replay_create(self->dev, "opt", 3, 4));
	EXPECT_EQ(-ENOENT, kmm_replay_create(self->dev, "all", 3, 4));
	EXPECT_EQ(-EINVAL, kmm_replay_create(self->dev, "lru", 0, 4));
	EXPECT_EQ(-EINVAL, kmm_replay_create(self->dev, "lru", 3, 0));
	EXPECT_EQ(-EFBIG, kmm_replay_create(self->dev, "lru", 3, UINT32_MAX));
	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_REPLAY_CREATE, &c)));
	memset(c.policy, 'l', sizeof(c.policy));
	c.flags = 0;
	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_REPLAY_CREATE, &c)));

	fd = kmm_replay_create(self->dev, "lru", 3, 4);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, kmm_replay_run(fd, refs, 0, &run));
	EXPECT_EQ(-E2BIG, kmm_replay_run(fd, refs, KMM_REPLAY_MAX + 1, &run));
	EXPECT_EQ(-EFAULT, kmm_replay_run(fd, (uint32_t *)8, 1, &run));
	refs[0] = 4;
	EXPECT_EQ(-EINVAL, kmm_replay_run(fd, refs, 1, &run));
	refs[0] = UINT32_MAX;
	EXPECT_EQ(-EINVAL, kmm_replay_run(fd, refs, 1, &run));
	/* what is no object and no space behaves as such */
	EXPECT_EQ(EINVAL, ERR(read(fd, c_page, 4)));
	EXPECT_EQ(EINVAL, ERR(write(fd, c_page, 4)));
	EXPECT_EQ(ENODEV, mmap_err(PAGE, PROT_READ, MAP_SHARED, fd, 0));
	close(fd);

	/* The array ends at a page that is not there: what was before it is done. */
	char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, munmap(p + 2 * PAGE, PAGE));
	fd = kmm_replay_create(self->dev, "lru", 3, 4);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, kmm_replay_run(fd, (uint32_t *)p, 4096, &run));
	EXPECT_EQ(2048, run.done);
	EXPECT_EQ(1, run.faults);
	close(fd);
	munmap(p, 2 * PAGE);
}

/* Written pages go to swap and come back, and that makes no difference to who leaves. */
TEST_F(kmm, replay_of_writes_goes_through_swap)
{
	static uint32_t refs[2000], writes[2000];
	struct kmm_replay_run run;
	struct kmm_swap_info swap;
	struct kmm_policy_info i;
	uint64_t seed = seed_from_env();
	unsigned int k;
	int fd, id;

	for (k = 0; k < ARRAY_SIZE(refs); k++) {
		uint32_t a = next_random(&seed) % 100, b = next_random(&seed) % 100;

		refs[k] = a < b ? a : b;
		writes[k] = refs[k] | (a & 1 ? KMM_REPLAY_WRITE : 0);
	}
	/* without swap a dirty page cannot leave; what was before it is done */
	fd = kmm_replay_create(self->dev, "fifo", 2, 4);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, kmm_replay_run(fd, (uint32_t[]){ KMM_REPLAY_WRITE, 1 | KMM_REPLAY_WRITE, 2 },
				    3, &run));
	EXPECT_EQ(2, run.done);
	EXPECT_EQ(-ENOMEM, kmm_replay_run(fd, (uint32_t[]){ 2 }, 1, &run));
	close(fd);

	id = kmm_swap_on_ram(self->dev, "lz4", 4 << 20, 1);
	ASSERT_LE(0, id);
	for (k = 0; !kmm_policy_info(self->dev, k, &i); k++) {
		long want = replay(self->dev, (char *)i.name, 30, refs, ARRAY_SIZE(refs), 100);

		EXPECT_LT(0, want);
		EXPECT_EQ(want, replay(self->dev, (char *)i.name, 30, writes, ARRAY_SIZE(refs),
				       100))
			TH_LOG("%s", i.name);
	}
	EXPECT_EQ(0, kmm_swap_info(self->dev, id, &swap));
	EXPECT_LT(100 * k, swap.written);
	EXPECT_EQ(0, swap.used);
	EXPECT_EQ(0, kmm_swap_off(self->dev, id));
}

/* Frames of a replay are the caller's: what he may not have he does not get. */
TEST_F(kmm, replay_is_charged)
{
	static uint32_t refs[100];
	struct kmm_replay_run run;
	struct kmm_stat s;
	int fd = kmm_replay_create(self->dev, "lru", 50, 100);

	ASSERT_LE(0, fd);
	for (unsigned int k = 0; k < 100; k++)
		refs[k] = k;
	EXPECT_EQ(0, kmm_replay_run(fd, refs, 100, &run));
	EXPECT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
	EXPECT_EQ(self->before.user_frames + 50, s.user_frames);
	EXPECT_EQ(self->before.user_objects + 1, s.user_objects);
	close(fd);
}

static void *replay_thread(void *arg)
{
	static const uint32_t refs[] = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3 };
	struct race *r = arg;
	struct kmm_replay_run run;

	while (!r->stop)
		r->bad += kmm_replay_run(r->space, refs, ARRAY_SIZE(refs), &run) != 0 ||
			  run.done != ARRAY_SIZE(refs);
	return NULL;
}

static void *set_thread(void *arg)
{
	static const char *const names[] = { "lru", "random", "s3fifo", "gen" };
	struct race *r = arg;
	int dev = kmm_open();

	for (unsigned int k = 0; !r->stop; k++)
		r->bad += kmm_policy_set(dev, names[k % 4]) != 0;
	close(dev);
	return NULL;
}

/* Two callers of one replay, while somebody changes the policy of all others. */
TEST_F(kmm, replay_races)
{
	struct race r = { .space = kmm_replay_create(self->dev, "clock", 4, 10) };
	char before[KMM_NAME_LEN];
	struct kmm_replay_run run;
	uint32_t ref = 0;
	pthread_t t[3];

	ASSERT_LE(0, r.space);
	current_policy(self->dev, before);
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, pthread_create(&t[i], NULL, i < 2 ? replay_thread : set_thread, &r));
	sleep_ms(env_number("KMM_RACE_MS", 500));
	r.stop = true;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	EXPECT_EQ(0, r.bad);
	EXPECT_EQ(0, kmm_replay_run(r.space, &ref, 1, &run));
	EXPECT_EQ(1, run.references % 16);
	close(r.space);
	EXPECT_EQ(0, kmm_policy_set(self->dev, before));
}

/* A long call ends when its caller is killed. */
TEST_F(kmm, replay_is_killable)
{
	static uint32_t refs[KMM_REPLAY_MAX];
	pid_t pid = fork();
	uint64_t start;

	if (!pid) {
		int dev = kmm_open(), fd = kmm_replay_create(dev, "fifo", 10, 1000);
		struct kmm_replay_run run;

		for (unsigned int k = 0; k < KMM_REPLAY_MAX; k++)
			refs[k] = k % 1000;
		while (!kmm_replay_run(fd, refs, KMM_REPLAY_MAX, &run))
			;
		_exit(1);
	}
	sleep_ms(300);
	start = now_ms();
	kill(pid, SIGKILL);
	EXPECT_EQ(256 + SIGKILL, wait_child(pid));
	EXPECT_GT(5000, now_ms() - start);
}

TEST_HARNESS_MAIN
