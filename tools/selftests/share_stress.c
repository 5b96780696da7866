// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything that processes share memory with, at once: objects with and without names, gifts,
 * pipes, message queues, dma-bufs, descriptors in flight. Workers do random things with what they
 * have in common and are killed at random moments, also while they wait. Afterwards frames,
 * objects, names, queues, pipes and host memory are as before.
 *
 * Contents: all memory of the region is filled with 0xee first; what is written are capital
 * letters, one for each worker. So a byte that is neither zero nor a letter is somebody's old
 * memory, and what is all of one piece (a message, a private object, a gift) is all one letter.
 *
 * KMM_KILLS: twice the number of kills. KMM_SEED repeats a run, as far as a race can be repeated.
 */
#include <sys/prctl.h>

#include "kmm_test.h"
#include "importer.h"

#define WORKERS		6
#define NAMES		5
#define PAGES		24
#define MSG_PAGES	8
#define OLD		0xee
#define WAIT_NS		3000000ULL

static struct {
	int pool[2];
	int pipe[2];
	bool importer;
	volatile unsigned long *count;	/* what came to its end, by the kind of work */
} common;

static struct {
	int dev;
	int id;
	char letter;
	uint64_t seed;
	unsigned char *buf;	/* PAGES pages, to read into */
	unsigned char *fill;	/* as many of our letter */
} me;

/* === Small things === */

#define DIE(...) do {								\
	printf("# worker %d: ", me.id);						\
	printf(__VA_ARGS__);							\
	printf(" (%s:%d)\n", __FILE__, __LINE__);				\
	fflush(stdout);								\
	_exit(1);								\
} while (0)

static uint32_t below(uint32_t n)
{
	return next_random(&me.seed) % n;
}

/* What no right call may say. Takes 0, a result, or -errno; gives it back. */
static long ok_at(long ret, int line)
{
	switch (ret) {
	case -EFAULT:
	case -EIO:
	case -EBADF:
	case -ENOTTY:
		DIE("%s in line %d", strerror(-ret), line);
	}
	return ret;
}

#define OK(call)	ok_at(call, __LINE__)
#define SYS(call)	({ long __r = (call); ok_at(__r < 0 ? -errno : __r, __LINE__); })

static void expect_letters(const unsigned char *p, size_t n, const char *where)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] && (p[i] < 'A' || p[i] > 'Z'))
			DIE("%s: byte %#x at %zu of %zu", where, p[i], i, n);
}

static void expect_all(const unsigned char *p, int c, size_t n, const char *where)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != c)
			DIE("%s: byte %#x, not %#x, at %zu of %zu", where, p[i], c, i, n);
}

/* An object of our own with our letter in every byte; -errno when there is no memory. */
static int own_object(size_t pages, uint32_t flags)
{
	int obj = OK(kmm_object_create(me.dev, pages * PAGE, flags));

	if (obj >= 0 && SYS(pwrite(obj, me.fill, pages * PAGE, 0)) != (long)(pages * PAGE)) {
		close(obj);
		return -ENOMEM;
	}
	return obj;
}

/* Bytes that are there: a read of them cannot come to nothing. */
static void read_all(int obj, size_t n, off_t offset)
{
	long got = SYS(pread(obj, me.buf, n, offset));

	if (got != (long)n)
		DIE("read %ld of %zu bytes", got, n);
}

static int punch(int obj, size_t first, size_t pages)
{
	return OK(-(long)ERR(fallocate(obj, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				       first * PAGE, pages * PAGE)));
}

/* === What a worker does === */

static void do_private(void)
{
	static const uint32_t flags[] = { 0, KMM_OBJECT_EAGER, KMM_OBJECT_LOCKED };
	uint32_t flag = flags[below(3)];
	size_t pages = 1 + below(PAGES), first = below(pages);
	int obj = own_object(pages, flag);
	unsigned char *p;

	if (obj < 0)
		return;
	p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	if (p != MAP_FAILED) {
		expect_all(p, me.letter, pages * PAGE, "own object");
		if (flag != KMM_OBJECT_LOCKED && !punch(obj, first, pages - first)) {
			read_all(obj, (pages - first) * PAGE, first * PAGE);
			expect_all(me.buf, 0, (pages - first) * PAGE, "punched part");
			expect_all(p, me.letter, first * PAGE, "part in front of it");
		}
		munmap(p, pages * PAGE);
	}
	close(obj);
}

static void do_pipe(void)
{
	struct pollfd w = { .fd = common.pipe[1], .events = POLLOUT };
	struct pollfd r = { .fd = common.pipe[0], .events = POLLIN };
	size_t n = 1 + below(3 * PAGE);
	int own[2];
	long got;

	/* Somebody may be faster after the poll: then we wait, and are perhaps killed so. */
	if (poll(&w, 1, 5) > 0)
		SYS(write(w.fd, me.fill, n));
	if (poll(&r, 1, 5) > 0) {
		got = SYS(read(r.fd, me.buf, 4 * PAGE));
		if (got > 0)
			expect_letters(me.buf, got, "common pipe");
	}
	if (OK(kmm_pipe_create(me.dev, below(20) * PAGE, below(2) * KMM_PIPE_NONBLOCK, own)))
		return;
	n = 1 + below(PAGE);
	got = SYS(write(own[1], me.fill, n));
	if (got > 0) {
		if (SYS(read(own[0], me.buf, 4 * PAGE)) != got)
			DIE("own pipe: %ld bytes went in", got);
		expect_all(me.buf, me.letter, got, "own pipe");
	}
	if (below(2)) {
		close(own[1]);
		if (SYS(read(own[0], me.buf, 1)))
			DIE("own pipe: no end of file");
		close(own[0]);
	} else {
		close(own[0]);
		if (SYS(write(own[1], me.fill, 1)) != -EPIPE)
			DIE("own pipe: no EPIPE");
		close(own[1]);
	}
}

static void do_dmabuf(void)
{
	size_t pages = 1 + below(PAGES);
	int obj = own_object(pages, 0), dmabuf, again, im;

	if (obj < 0)
		return;
	dmabuf = OK(kmm_object_export(obj, below(2) ? KMM_EXPORT_RDONLY : 0));
	if (dmabuf >= 0) {
		if (punch(obj, 0, 1) != -EBUSY || ERR(ftruncate(obj, 1)) != EBUSY)
			DIE("an exported object lost a page");
		again = OK(kmm_object_import(me.dev, dmabuf));
		if (again >= 0)
			close(again);
		if (common.importer) {
			im = OK(importer_attach(dmabuf, IMPORTER_TO_DEVICE, IMPORTER_SG, NULL));
			if (below(2)) {
				close(dmabuf);
				dmabuf = -1;
			}
			if (im >= 0) {
				OK(importer_io(im, IMPORTER_SG, false, 0, me.buf, pages * PAGE));
				expect_all(me.buf, me.letter, pages * PAGE, "dma-buf");
				close(im);
			}
		}
		close(dmabuf);
	}
	close(obj);
}

static void name_of(char *name, unsigned int n)
{
	snprintf(name, 32, "share-stress-%u", n);
}

/* Any common object: a name, or what came out of the pool. */
static void poke(int obj)
{
	size_t first = below(PAGES), n = 1 + below(PAGES - first);
	int own, err;
	char *p;

	switch (below(8)) {
	case 0:
		SYS(pwrite(obj, me.fill, n * PAGE, first * PAGE));
		break;
	case 1:
		punch(obj, first, n);
		break;
	case 2:
		SYS(ftruncate(obj, below(PAGES * PAGE)));
		break;
	case 3:
		SYS(ftruncate(obj, PAGES * PAGE));
		break;
	case 4:
		p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
		if (p == MAP_FAILED)
			break;
		for (size_t i = first; i < first + n; i++) {
			volatile char *q = p + i * PAGE + below(PAGE);
			struct sigaction sa = { .sa_handler = touch_handler };

			/* SIGBUS where somebody has shrunk it, or the region is empty */
			sigaction(SIGBUS, &sa, NULL);
			if (!sigsetjmp(touch_env, 1)) {
				unsigned char c = *q;

				expect_letters(&c, 1, "mapping of a common object");
				*q = me.letter;
			}
		}
		munmap(p, PAGES * PAGE);
		break;
	case 5:
		/* give pages to it, or take some */
		own = own_object(PAGES, 0);
		if (own < 0)
			break;
		if (below(2)) {
			err = OK(kmm_object_gift(own, first * PAGE, obj, below(PAGES) * PAGE,
						 n * PAGE, NULL));
			if (!err) {
				read_all(own, n * PAGE, first * PAGE);
				expect_all(me.buf, 0, n * PAGE, "what was given");
			}
		} else {
			OK(kmm_object_gift(obj, below(PAGES) * PAGE, own, first * PAGE, n * PAGE,
					   NULL));
			read_all(own, PAGES * PAGE, 0);
			expect_letters(me.buf, PAGES * PAGE, "what was taken");
		}
		close(own);
		break;
	case 6:
		own = kmm_object_export(obj, 0);
		if (own >= 0)
			close(own);
		break;
	case 7:
		memset(me.buf, 0, n * PAGE);
		SYS(pread(obj, me.buf, n * PAGE, first * PAGE));
		expect_letters(me.buf, n * PAGE, "common object");
		break;
	}
}

static void do_name(void)
{
	char name[32];
	int obj;

	name_of(name, below(NAMES));
	if (below(6) == 0) {
		OK(kmm_shm_unlink(me.dev, name));
		return;
	}
	obj = OK(kmm_shm_open(me.dev, name, KMM_SHM_CREATE, 0600, PAGES * PAGE, 0));
	if (obj < 0)
		return;
	for (int i = below(5); i >= 0; i--)
		poke(obj);
	close(obj);
}

/* From one own object to another: all of it, and nothing else. */
static void do_gift(void)
{
	size_t first = below(PAGES), n = 1 + below(PAGES - first), to = below(PAGES - n + 1);
	struct kmm_object_gift g = { 0 };
	int src = own_object(PAGES, 0), dst;
	unsigned char *p, *q;

	dst = OK(kmm_object_create(me.dev, PAGES * PAGE, 0));
	if (src >= 0 && dst >= 0) {
		p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, src, 0);
		q = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, dst, 0);
		if (p != MAP_FAILED && q != MAP_FAILED) {
			expect_all(p, me.letter, PAGES * PAGE, "giver before");
			if (!OK(kmm_object_gift(src, first * PAGE, dst, to * PAGE, n * PAGE, &g))) {
				read_all(dst, PAGES * PAGE, 0);
				expect_all(me.buf, 0, to * PAGE, "receiver in front");
				expect_all(me.buf + to * PAGE, me.letter, n * PAGE, "gift");
				expect_all(me.buf + (to + n) * PAGE, 0, (PAGES - to - n) * PAGE,
					   "receiver behind");
				read_all(src, PAGES * PAGE, 0);
				expect_all(me.buf, me.letter, first * PAGE, "giver in front");
				expect_all(me.buf + first * PAGE, 0, n * PAGE, "giver");
				expect_all(q + to * PAGE, me.letter, n * PAGE, "receiver's map");
			}
			munmap(p, PAGES * PAGE);
			munmap(q, PAGES * PAGE);
		}
	}
	close(src);
	close(dst);
}

/* All bytes of a message are the letter of its sender. */
static void expect_message(long n, const char *where)
{
	if (n > 0) {
		expect_letters(me.buf, 1, where);
		expect_all(me.buf, me.buf[0] ? me.buf[0] : 'A', n, where);
	}
}

static void do_queue(void)
{
	uint32_t how = below(2) ? KMM_MSG_TIMEOUT : KMM_MSG_NOWAIT;
	uint64_t time = how == KMM_MSG_TIMEOUT ? WAIT_NS : 0;
	const size_t most = MSG_PAGES * PAGE;
	int queue, obj;
	char name[32];
	long n;

	if (below(10) == 0) {
		/* as if it were for ever: killed while waiting */
		how = 0;
		time = 0;
	}
	name_of(name, below(2));
	if (below(20) == 0) {
		OK(kmm_msgq_unlink(me.dev, name));
		return;
	}
	queue = OK(kmm_msgq_open(me.dev, name, KMM_MSGQ_READ | KMM_MSGQ_WRITE | KMM_MSGQ_CREATE,
				 0600, 8, most));
	if (queue < 0)
		return;
	switch (below(4)) {
	case 0:
		OK(kmm_msgq_send(queue, me.fill, 1 + below(below(2) ? 200 : most), below(4), how,
				 time));
		break;
	case 1:
		n = OK(kmm_msgq_receive(queue, me.buf, most, NULL, how, time));
		expect_message(n, "message");
		break;
	case 2:
		obj = own_object(MSG_PAGES, 0);
		if (obj >= 0) {
			size_t pages = 1 + below(MSG_PAGES);

			n = OK(kmm_msgq_send_gift(queue, obj, 0, pages * PAGE, below(4), how,
						  time));
			if (!n) {
				read_all(obj, most, 0);
				expect_all(me.buf, 0, pages * PAGE, "what was sent");
				expect_all(me.buf + pages * PAGE, me.letter, most - pages * PAGE,
					   "what was kept");
			}
			close(obj);
		}
		break;
	case 3:
		obj = own_object(MSG_PAGES, 0);
		if (obj >= 0) {
			n = OK(kmm_msgq_receive_gift(queue, obj, 0, most, NULL, how, time));
			if (n > 0) {
				read_all(obj, n, 0);
				expect_message(n, "message as a gift");
			}
			close(obj);
		}
		break;
	}
	close(queue);
}

/* One descriptor into the pool, one out of it; those in flight die with the last socket. */
static void do_pass(void)
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte;
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int fd = -1, own[2] = { -1, -1 };

	byte = "opd"[below(3)];
	if (byte == 'p') {
		OK(kmm_pipe_create(me.dev, 0, KMM_PIPE_NONBLOCK, own));
	} else {
		own[0] = OK(kmm_object_create(me.dev, PAGES * PAGE, 0));
		if (own[0] >= 0 && byte == 'd')
			own[1] = OK(kmm_object_export(own[0], 0));
	}
	fd = byte == 'o' ? own[0] : own[1];
	if (fd >= 0) {
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
		sendmsg(common.pool[0], &m, MSG_DONTWAIT);
	}
	close(own[0]);
	close(own[1]);

	m.msg_controllen = sizeof(control);
	if (recvmsg(common.pool[1], &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1 ||
	    !CMSG_FIRSTHDR(&m))
		return;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
	if (byte == 'o') {
		poke(fd);
	} else if (byte == 'd') {
		int obj = OK(kmm_object_import(me.dev, fd));

		if (obj >= 0) {
			poke(obj);
			close(obj);
		}
	} else {
		SYS(write(fd, me.fill, 1 + below(PAGE)));
	}
	close(fd);
}

static const struct {
	const char *name;
	void (*work)(void);
} kinds[] = {
	{ "private objects", do_private }, { "pipes", do_pipe }, { "dma-bufs", do_dmabuf },
	{ "names", do_name }, { "gifts", do_gift }, { "descriptors passed", do_pass },
	{ "queues", do_queue },
};

static void __attribute__((noreturn)) work(int id, uint64_t seed)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	me.id = id;
	me.letter = 'A' + id;
	me.seed = seed;
	me.dev = kmm_open();
	me.buf = malloc(PAGES * PAGE);
	me.fill = malloc(PAGES * PAGE);
	if (me.dev < 0 || !me.buf || !me.fill)
		DIE("cannot start");
	memset(me.fill, me.letter, PAGES * PAGE);
	for (;;) {
		unsigned int n = below(ARRAY_SIZE(kinds));

		kinds[n].work();
		__atomic_fetch_add(&common.count[n], 1, __ATOMIC_RELAXED);
	}
}

/* === The test === */

/* Lines of a list in debugfs, the heading too; -1 where it cannot be read. */
static int lines_of(const char *file)
{
	char path[100];
	int c, n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kmm/%s", file);
	f = fopen(path, "r");
	if (!f)
		return -1;
	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

/* What anybody gets from now on has been somebody's. */
static void make_old(struct __test_metadata *_metadata, int dev)
{
	struct kmm_stat s;
	size_t size, at;
	char *buf;
	int obj;

	ASSERT_EQ(0, kmm_get_stat(dev, KMM_STAT_EXACT, &s));
	size = (s.free + s.cached - s.watermark_high) * PAGE;
	obj = kmm_object_create(dev, size, 0);
	ASSERT_LE(0, obj);
	buf = malloc(1 << 20);
	ASSERT_NE(NULL, buf);
	memset(buf, OLD, 1 << 20);
	for (at = 0; at < size; at += 1 << 20)
		if (pwrite(obj, buf, 1 << 20, at) <= 0)
			break;
	/* nearly all of it at the least */
	EXPECT_LT(size / 10 * 9, at);
	free(buf);
	close(obj);
}

TEST_F_TIMEOUT(kmm, killed_among_others, 1800)
{
	static const char *const lists[] = { "objects", "pipes", "msgq" };
	unsigned long kills = env_number("KMM_KILLS", 40) / 2;
	int before[ARRAY_SIZE(lists)], status;
	uint64_t seed = seed_from_env();
	pid_t pid[WORKERS];
	char name[32];

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		before[i] = lines_of(lists[i]);
	make_old(_metadata, self->dev);
	common.count = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, common.count);
	common.importer = have_importer();
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, common.pool));
	ASSERT_EQ(0, kmm_pipe_create(self->dev, 0, 0, common.pipe));
	for (int i = 0; i < WORKERS; i++)
		pid[i] = 0;
	for (unsigned long k = 0; k < kills + WORKERS; k++) {
		int i = k < WORKERS ? (int)k : (int)(next_random(&seed) % WORKERS);

		if (pid[i]) {
			sleep_ms(next_random(&seed) % 100);
			kill(pid[i], SIGKILL);
			status = wait_child(pid[i]);
			/* one that found something wrong has said so and ended by itself */
			EXPECT_EQ(256 + SIGKILL, status) TH_LOG("worker %d, kill %lu", i, k);
			if (status != 256 + SIGKILL)
				k = kills + WORKERS;
		}
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i])
			work(i, seed ^ ((k + 1) * 0x9e3779b97f4a7c15ULL));
	}
	for (int i = 0; i < WORKERS; i++)
		kill(pid[i], SIGKILL);
	for (int i = 0; i < WORKERS; i++) {
		status = wait_child(pid[i]);
		EXPECT_EQ(256 + SIGKILL, status) TH_LOG("worker %d at the end", i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		printf("# %s: %lu\n", kinds[i].name, common.count[i]);
		EXPECT_LT(0, common.count[i]);
	}
	fflush(stdout);
	close(common.pool[0]);
	close(common.pool[1]);
	close(common.pipe[0]);
	close(common.pipe[1]);
	for (unsigned int i = 0; i < NAMES; i++) {
		name_of(name, i);
		kmm_shm_unlink(self->dev, name);
		kmm_msgq_unlink(self->dev, name);
	}
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		uint64_t end = now_ms() + LEAK_WAIT_MS;

		while (lines_of(lists[i]) != before[i] && now_ms() < end)
			sleep_ms(10);
		EXPECT_EQ(before[i], lines_of(lists[i])) TH_LOG("%s", lists[i]);
	}
}

TEST_HARNESS_MAIN
