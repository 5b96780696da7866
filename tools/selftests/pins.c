// SPDX-License-Identifier: GPL-2.0-only
/*
 * A frame that somebody outside kmm holds: vmsplice puts a reference to a present page of a
 * mapping into a pipe (GUP-fast does not look at VM_IO on 6.1). A frame so held that the
 * object gives up goes to quarantine, keeps its contents, and comes home when the pipe is read.
 */
#include "kmm_test.h"

static int punch(int obj, off_t off, off_t len)
{
	return ERR(fallocate(obj, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len));
}

/* Frames in quarantine above the beginning, once they are want, or after a while. */
static long quarantined(int dev, const struct kmm_stat *before, long want)
{
	uint64_t end = now_ms() + LEAK_WAIT_MS;
	struct kmm_stat s;
	long n;

	do {
		if (kmm_get_stat(dev, KMM_STAT_EXACT, &s) < 0)
			return -1;
		n = (long)(s.quarantined - before->quarantined);
		if (s.total != stat_sum(&s))
			return -2;
		if (n == want)
			break;
		sleep_ms(10);
	} while (now_ms() < end);
	return n;
}

/* Pin nr pages at p into pipe w. 0, or why not. */
static int pin(int w, void *p, size_t nr)
{
	struct iovec v = { p, nr * PAGE };
	ssize_t n = vmsplice(w, &v, 1, SPLICE_F_NONBLOCK);

	if (n < 0)
		return errno;
	return n == (ssize_t)(nr * PAGE) ? 0 : EMSGSIZE;
}

#define PIN_OR_SKIP(w, p, nr) do {						\
	int __e = pin(w, p, nr);						\
										\
	if (__e == EFAULT)							\
		SKIP(goto out, "this kernel pins no page of a VM_IO mapping");	\
	ASSERT_EQ(0, __e);							\
} while (0)

TEST_F(kmm, punched_frame_goes_to_quarantine)
{
	struct kmm_object_info i;
	char buf[PAGE], *p;
	int obj, w[2];

	obj = kmm_object_create(self->dev, 4 * PAGE, 0);
	ASSERT_LE(0, obj);
	ASSERT_EQ(0, pipe(w));
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 'p', 4 * PAGE);
	PIN_OR_SKIP(w[1], p, 2);
	EXPECT_EQ(0, quarantined(self->dev, &self->before, 0));
	ASSERT_EQ(0, punch(obj, 0, PAGE));
	/* The object has let go, the pipe has not. */
	ASSERT_EQ(0, kmm_object_info(obj, &i));
	EXPECT_EQ(3, i.resident);
	EXPECT_EQ(1, quarantined(self->dev, &self->before, 1));
	EXPECT_TRUE(all_bytes(p, 0, PAGE));
	memset(p, 'n', PAGE);
	/* What the pipe holds is the old frame, unchanged and in nobody else's hands. */
	ASSERT_EQ(PAGE, read(w[0], buf, PAGE));
	EXPECT_TRUE(all_bytes(buf, 'p', PAGE));
	EXPECT_EQ(0, quarantined(self->dev, &self->before, 0));
	/* The second page was never given up: the pipe and the object share it. */
	p[PAGE] = 'q';
	ASSERT_EQ(PAGE, read(w[0], buf, PAGE));
	EXPECT_EQ('q', buf[0]);
out:
	munmap(p, 4 * PAGE);
	close(obj);
	close(w[0]);
	close(w[1]);
}

TEST_F(kmm, frames_of_a_dead_object_are_kept)
{
	char buf[PAGE], *p;
	struct kmm_stat s;
	int obj, w[2];

	obj = kmm_object_create(self->dev, 4 * PAGE, 0);
	ASSERT_LE(0, obj);
	ASSERT_EQ(0, pipe(w));
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (int i = 0; i < 4; i++)
		memset(p + i * PAGE, 'a' + i, PAGE);
	PIN_OR_SKIP(w[1], p, 3);
	munmap(p, 4 * PAGE);
	close(obj);
	EXPECT_EQ(3, quarantined(self->dev, &self->before, 3));
	/* They stay on the bill of who made them: pinning is no way round the limit. */
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
	EXPECT_EQ(self->before.user_frames + 3, s.user_frames);
	/* Everything else of the region may be used and overwritten meanwhile. */
	for (int i = 0; i < 8; i++) {
		obj = kmm_object_create(self->dev, 256 * PAGE, KMM_OBJECT_EAGER);
		ASSERT_LE(0, obj);
		p = mmap(NULL, 256 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
		ASSERT_NE(MAP_FAILED, p);
		memset(p, 'z', 256 * PAGE);
		munmap(p, 256 * PAGE);
		close(obj);
	}
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(PAGE, read(w[0], buf, PAGE));
		EXPECT_TRUE(all_bytes(buf, 'a' + i, PAGE));
		EXPECT_EQ(2 - i, quarantined(self->dev, &self->before, 2 - i));
	}
	close(w[0]);
	close(w[1]);
	return;
out:
	munmap(p, 4 * PAGE);
	close(obj);
	close(w[0]);
	close(w[1]);
}

TEST_F(kmm, truncated_frames_are_kept)
{
	char buf[PAGE], *p;
	int obj, w[2];

	obj = kmm_object_create(self->dev, 4 * PAGE, 0);
	ASSERT_LE(0, obj);
	ASSERT_EQ(0, pipe(w));
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 't', 4 * PAGE);
	PIN_OR_SKIP(w[1], p + 2 * PAGE, 2);
	ASSERT_EQ(0, ftruncate(obj, PAGE));
	EXPECT_EQ(2, quarantined(self->dev, &self->before, 2));
	ASSERT_EQ(PAGE, read(w[0], buf, PAGE));
	EXPECT_TRUE(all_bytes(buf, 't', PAGE));
	/* A pipe that is closed unread lets go as well. */
	close(w[0]);
	close(w[1]);
	EXPECT_EQ(0, quarantined(self->dev, &self->before, 0));
	munmap(p, 4 * PAGE);
	close(obj);
	return;
out:
	munmap(p, 4 * PAGE);
	close(obj);
	close(w[0]);
	close(w[1]);
}

/* Who holds a frame could still change or see change what a write seal promises is fixed. */
TEST_F(kmm, a_pinned_frame_is_busy_for_the_write_seal)
{
	char buf[PAGE], *p;
	int obj, w[2];

	obj = kmm_object_create(self->dev, 2 * PAGE, 0);
	ASSERT_LE(0, obj);
	ASSERT_EQ(0, pipe(w));
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 's', 2 * PAGE);
	PIN_OR_SKIP(w[1], p, 1);
	munmap(p, 2 * PAGE);
	EXPECT_EQ(-EBUSY, kmm_object_seal(obj, KMM_SEAL_WRITE, NULL));
	ASSERT_EQ(PAGE, read(w[0], buf, PAGE));
	/* References of a dying mapping linger for a moment. */
	uint64_t end = now_ms() + LEAK_WAIT_MS;
	int ret;

	do {
		ret = kmm_object_seal(obj, KMM_SEAL_WRITE, NULL);
	} while (ret == -EBUSY && now_ms() < end);
	EXPECT_EQ(0, ret);
	close(obj);
	close(w[0]);
	close(w[1]);
	return;
out:
	munmap(p, 2 * PAGE);
	close(obj);
	close(w[0]);
	close(w[1]);
}

/* Frames of many files come home at once: each file's account gets its own back. */
TEST_F(kmm, frames_of_many_files_come_home)
{
	enum { FILES = 40 };
	int dev[FILES], obj, w[2];
	char buf[PAGE], *p;
	struct kmm_stat s;

	ASSERT_EQ(0, pipe(w));
	ASSERT_LE((int)(FILES * PAGE), fcntl(w[1], F_SETPIPE_SZ, 64 * PAGE));
	for (int i = 0; i < FILES; i++) {
		dev[i] = kmm_open();
		ASSERT_LE(0, dev[i]);
		obj = kmm_object_create(dev[i], PAGE, 0);
		ASSERT_LE(0, obj);
		p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
		ASSERT_NE(MAP_FAILED, p);
		memset(p, 'a' + i % 26, PAGE);
		PIN_OR_SKIP(w[1], p, 1);
		munmap(p, PAGE);
		close(obj);
	}
	EXPECT_EQ(FILES, quarantined(self->dev, &self->before, FILES));
	for (int i = 0; i < FILES; i++) {
		ASSERT_EQ(0, kmm_get_stat(dev[i], 0, &s));
		EXPECT_EQ(1, s.file_frames);
	}
	for (int i = 0; i < FILES; i++) {
		ASSERT_EQ(PAGE, read(w[0], buf, PAGE));
		EXPECT_TRUE(all_bytes(buf, 'a' + i % 26, PAGE));
	}
	EXPECT_EQ(0, quarantined(self->dev, &self->before, 0));
	for (int i = 0; i < FILES; i++) {
		/* Uncharged a moment after it left the quarantine. */
		uint64_t end = now_ms() + LEAK_WAIT_MS;

		do {
			ASSERT_EQ(0, kmm_get_stat(dev[i], 0, &s));
		} while (s.file_frames && now_ms() < end);
		EXPECT_EQ(0, s.file_frames);
		close(dev[i]);
	}
	close(w[0]);
	close(w[1]);
	return;
out:
	munmap(p, PAGE);
	close(obj);
	close(w[0]);
	close(w[1]);
}

TEST_HARNESS_MAIN
