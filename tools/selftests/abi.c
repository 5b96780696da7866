// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every ioctl with sizes, flags, holes and pointers that are wrong: the errno of the table in
 * kmm.h and nothing changed. One table describes the ioctls; each test walks all of it.
 */
#include <stddef.h>
#include <sys/resource.h>

#include "kmm_test.h"

#define KERNEL_ADDRESS	0xffff888000000000UL
#define PATTERN		0x5a
#define SPACE_BASE	0x10000000ULL

enum kind { DEV, OBJ, SPACE, MSGQ, PIPE, REPLAY, NR_KINDS };

struct target {
	const char *name;
	unsigned int nr;		/* of the ioctl */
	size_t size;			/* of its struct */
	enum kind on;
	size_t first_out;		/* bytes that the caller fills, then outputs */
	unsigned int makes_fds;		/* from first_out on */
	int flags_at;			/* offset of a u32 of flags, -1: none */
	uint64_t known;			/* the flags that exist */
};

/* Names that are there whenever a call is made. */
#define NAME_OPEN	"abi open"
#define NAME_UNLINK	"abi unlink"

static const struct target targets[] = {
	{ "INFO", 0x00, sizeof(struct kmm_info), DEV, 0, 0, -1, 0 },
	{ "FEATURES", 0x01, sizeof(struct kmm_features), DEV, 0, 0, -1, 0 },
	{ "STAT", 0x02, sizeof(struct kmm_stat), DEV, 8, 0,
	  offsetof(struct kmm_stat, flags), KMM_STAT_EXACT },
	{ "OPS", 0x08, sizeof(struct kmm_ops), DEV, 16, 0,
	  offsetof(struct kmm_ops, flags), KMM_OPS_KEEP_GOING },
	{ "OBJECT_CREATE", 0x10, sizeof(struct kmm_object_create), DEV, 12, 1,
	  offsetof(struct kmm_object_create, flags), ALL_FLAGS },
	{ "OBJECT_INFO", 0x11, sizeof(struct kmm_object_info), OBJ, 0, 0, -1, 0 },
	{ "OBJECT_REOPEN", 0x12, sizeof(struct kmm_object_reopen), OBJ, 4, 1,
	  offsetof(struct kmm_object_reopen, flags), KMM_REOPEN_RDONLY },
	{ "OBJECT_SEAL", 0x13, sizeof(struct kmm_object_seal), OBJ, 4, 0,
	  offsetof(struct kmm_object_seal, add), 0x1f },
	{ "OBJECT_GIFT", 0x14, sizeof(struct kmm_object_gift), OBJ,
	  offsetof(struct kmm_object_gift, moved), 0,
	  offsetof(struct kmm_object_gift, flags), 0 },
	{ "SHM_OPEN", 0x18, sizeof(struct kmm_shm_open), DEV,
	  offsetof(struct kmm_shm_open, fd), 1, offsetof(struct kmm_shm_open, flags),
	  KMM_SHM_CREATE | KMM_SHM_EXCL | KMM_SHM_TRUNCATE | KMM_SHM_RDONLY },
	{ "SHM_UNLINK", 0x19, sizeof(struct kmm_shm_unlink), DEV, sizeof(struct kmm_shm_unlink),
	  0, offsetof(struct kmm_shm_unlink, flags), 0 },
	{ "SPACE_CREATE", 0x20, sizeof(struct kmm_space_create), DEV, 4, 1,
	  offsetof(struct kmm_space_create, flags), 0 },
	{ "SPACE_MAP", 0x21, sizeof(struct kmm_space_map), SPACE, 40, 0,
	  offsetof(struct kmm_space_map, flags), 0x7f },
	{ "SPACE_UNMAP", 0x22, sizeof(struct kmm_space_unmap), SPACE, 16, 0, -1, 0 },
	{ "SPACE_PROTECT", 0x23, sizeof(struct kmm_space_protect), SPACE, 24, 0,
	  offsetof(struct kmm_space_protect, prot), 7 },
	{ "SPACE_CLONE", 0x24, sizeof(struct kmm_space_clone), SPACE, 4, 1,
	  offsetof(struct kmm_space_clone, flags), 0 },
	{ "SPACE_ACCESS", 0x25, sizeof(struct kmm_space_access), SPACE, 28, 0,
	  offsetof(struct kmm_space_access, flags), 3 },
	{ "SPACE_WALK", 0x26, sizeof(struct kmm_space_walk), SPACE, 12, 0,
	  offsetof(struct kmm_space_walk, flags), 3 },
	{ "SPACE_INFO", 0x27, sizeof(struct kmm_space_info), SPACE, 0, 0, -1, 0 },
	{ "MSGQ_CREATE", 0x30, sizeof(struct kmm_msgq_create), DEV, 12, 1,
	  offsetof(struct kmm_msgq_create, flags), 0x7 },
	{ "MSGQ_INFO", 0x34, sizeof(struct kmm_msgq_info), MSGQ, 0, 0, -1, 0 },
	{ "MSGQ_REOPEN", 0x35, sizeof(struct kmm_msgq_reopen), MSGQ, 4, 1,
	  offsetof(struct kmm_msgq_reopen, flags), 0x7 },
	{ "PIPE_CREATE", 0x40, sizeof(struct kmm_pipe_create), DEV, 12, 2,
	  offsetof(struct kmm_pipe_create, flags), KMM_PIPE_NONBLOCK | KMM_PIPE_PACKET },
	{ "PIPE_RESIZE", 0x41, sizeof(struct kmm_pipe_resize), PIPE, 8, 0, -1, 0 },
	{ "PIPE_INFO", 0x42, sizeof(struct kmm_pipe_info), PIPE, 0, 0, -1, 0 },
	{ "POLICY_INFO", 0x60, sizeof(struct kmm_policy_info), DEV, 4, 0, -1, 0 },
	{ "POLICY_SET", 0x61, sizeof(struct kmm_policy_set), DEV, KMM_NAME_LEN, 0, -1, 0 },
	{ "REPLAY_CREATE", 0x62, sizeof(struct kmm_replay_create), DEV,
	  offsetof(struct kmm_replay_create, fd), 1,
	  offsetof(struct kmm_replay_create, flags), 0 },
	{ "REPLAY_RUN", 0x63, sizeof(struct kmm_replay_run), REPLAY,
	  offsetof(struct kmm_replay_run, done), 0, -1, 0 },
	{ "OBJECT_YOUNG", 0x64, sizeof(struct kmm_object_young), OBJ,
	  offsetof(struct kmm_object_young, nr_young), 0,
	  offsetof(struct kmm_object_young, flags), 0 },
	{ "SPACE_TRACE", 0x65, sizeof(struct kmm_space_trace), SPACE,
	  offsetof(struct kmm_space_trace, done), 0,
	  offsetof(struct kmm_space_trace, flags), KMM_TRACE_START | KMM_TRACE_STOP },
	{ "OBJECT_ADVISE", 0x1a, sizeof(struct kmm_object_advise), OBJ,
	  offsetof(struct kmm_object_advise, done), 0,
	  offsetof(struct kmm_object_advise, flags), 0 },
	{ "OBJECT_LIMIT", 0x1b, sizeof(struct kmm_object_limit), OBJ,
	  sizeof(struct kmm_object_limit), 0, -1, 0 },
	{ "SPACE_LIMIT", 0x28, sizeof(struct kmm_space_limit), SPACE,
	  sizeof(struct kmm_space_limit), 0, -1, 0 },
};

/* What other suites walk: they need more than a struct, or return nothing. */
static const struct {
	unsigned int nr;
	enum kind on;
} elsewhere[] = {
	{ 0x15, OBJ }, { 0x16, DEV },					/* dmabuf.c */
	{ 0x50, DEV }, { 0x51, DEV }, { 0x52, DEV },			/* swap.c */
	{ 0x31, DEV }, { 0x32, MSGQ }, { 0x33, MSGQ }, { 0x36, DEV },	/* msgq.c */
	{ 0x70, DEV },							/* lab.c */
};

static struct kmm_op one_op[1];
static char access_buf[KMM_ACCESS_MAX];
static const uint32_t no_refs[KMM_REPLAY_MAX];	/* page 0, all of them */
static int good_dev, good_obj;

static void make_name(const char *name)
{
	int fd = kmm_shm_open(good_dev, name, KMM_SHM_CREATE, 0600, PAGE, 0);

	if (fd >= 0)
		close(fd);
}

static unsigned long request(const struct target *t, size_t size)
{
	return _IOC(_IOC_READ | _IOC_WRITE, KMM_IOC_MAGIC, t->nr, size);
}

/* The same of a space. */
static void good_space(const struct target *t, void *buf, size_t size)
{
	union {
		struct kmm_space_map map;
		struct kmm_space_unmap unmap;
		struct kmm_space_protect protect;
		struct kmm_space_access access;
		struct kmm_space_walk walk;
	} u;

	memset(&u, 0, sizeof(u));
	switch (t->nr) {
	case 0x21:	/* what is there already */
		u.map = (struct kmm_space_map){
			.addr = SPACE_BASE, .len = PAGE, .object_fd = -1,
			.prot = KMM_PROT_READ | KMM_PROT_WRITE,
			.flags = KMM_MAP_PRIVATE | KMM_MAP_FIXED | KMM_MAP_REPLACE |
				 KMM_MAP_POPULATE,
		};
		break;
	case 0x22:	/* what is not there */
		u.unmap = (struct kmm_space_unmap){ .addr = SPACE_BASE * 2, .len = PAGE };
		break;
	case 0x23:
		u.protect = (struct kmm_space_protect){
			.addr = SPACE_BASE, .len = PAGE, .prot = KMM_PROT_READ | KMM_PROT_WRITE,
		};
		break;
	case 0x25:
		u.access = (struct kmm_space_access){
			.addr = SPACE_BASE, .len = 8, .buf = (uintptr_t)access_buf,
		};
		break;
	case 0x26:
		u.walk.addr = SPACE_BASE;
		break;
	}
	memset(buf, 0, size);
	memcpy(buf, &u, sizeof(u) < size ? sizeof(u) : size);
}

/* A request that succeeds, in a buffer of any size; zeros behind the struct. */
static void good(const struct target *t, void *buf, size_t size)
{
	struct kmm_object_create c = { .size_bytes = PAGE };
	struct kmm_object_reopen r = { .flags = KMM_REOPEN_RDONLY };
	struct kmm_msgq_create m = { .maxmsg = 1, .msgsize = 1, .flags = KMM_MSGQ_READ };
	struct kmm_msgq_reopen mr = { .flags = KMM_MSGQ_READ };
	struct kmm_pipe_resize p = { .size_bytes = PAGE };
	struct kmm_policy_set ps = { .name = "twolist" };
	struct kmm_replay_create rc = { .policy = "fifo", .nr_frames = 1, .nr_pages = 1 };
	struct kmm_replay_run rr = { .refs = (uintptr_t)no_refs, .nr = 1 };
	struct kmm_object_advise a = { .len = PAGE, .advice = KMM_ADVISE_COLD };
	struct kmm_object_young y = { .nr = 4, .bitmap = (uintptr_t)access_buf };
	struct kmm_ops o = { .ops = (uintptr_t)one_op, .nr = 1, .flags = KMM_OPS_KEEP_GOING };
	/* Of holes, within the object. */
	struct kmm_object_gift g = { .dst_fd = good_obj, .dst_offset = 2 * PAGE, .len = PAGE };
	struct kmm_shm_open s = {
		.name = (uintptr_t)NAME_OPEN, .name_len = strlen(NAME_OPEN),
	};
	struct kmm_shm_unlink u = {
		.name = (uintptr_t)NAME_UNLINK, .name_len = strlen(NAME_UNLINK),
	};

	if (t->on == SPACE) {
		good_space(t, buf, size);
		return;
	}
	memset(buf, 0, size);
	if (t->nr == 0x19)
		make_name(NAME_UNLINK);
	/* A free of an empty slot: tried, failed, and nothing to clean up. */
	one_op[0] = (struct kmm_op){ .kind = KMM_OP_PAGES_FREE, .slot = 3 };
	if (t->nr == 0x10)
		memcpy(buf, &c, sizeof(c) < size ? sizeof(c) : size);
	else if (t->nr == 0x1a)
		memcpy(buf, &a, sizeof(a) < size ? sizeof(a) : size);
	else if (t->nr == 0x12)
		memcpy(buf, &r, sizeof(r) < size ? sizeof(r) : size);
	else if (t->nr == 0x30)
		memcpy(buf, &m, sizeof(m) < size ? sizeof(m) : size);
	else if (t->nr == 0x35)
		memcpy(buf, &mr, sizeof(mr) < size ? sizeof(mr) : size);
	else if (t->nr == 0x14)
		memcpy(buf, &g, sizeof(g) < size ? sizeof(g) : size);
	else if (t->nr == 0x18)
		memcpy(buf, &s, sizeof(s) < size ? sizeof(s) : size);
	else if (t->nr == 0x19)
		memcpy(buf, &u, sizeof(u) < size ? sizeof(u) : size);
	else if (t->nr == 0x41)
		memcpy(buf, &p, sizeof(p) < size ? sizeof(p) : size);
	else if (t->nr == 0x61)
		memcpy(buf, &ps, sizeof(ps) < size ? sizeof(ps) : size);
	else if (t->nr == 0x62)
		memcpy(buf, &rc, sizeof(rc) < size ? sizeof(rc) : size);
	else if (t->nr == 0x63)
		memcpy(buf, &rr, sizeof(rr) < size ? sizeof(rr) : size);
	else if (t->nr == 0x64)
		memcpy(buf, &y, sizeof(y) < size ? sizeof(y) : size);
	else if (t->nr == 0x08)
		memcpy(buf, &o, sizeof(o) < size ? sizeof(o) : size);
}

/* The descriptors in the output, closed. */
static void close_made(const struct target *t, const void *buf)
{
	int fd;

	for (unsigned int i = 0; i < t->makes_fds; i++) {
		memcpy(&fd, (const char *)buf + t->first_out + i * sizeof(fd), sizeof(fd));
		close(fd);
	}
}

/* The lowest descriptor that is not in use: a call that fails must not use it up. */
static int next_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

#define FOR_EACH_TARGET(t) \
	for (const struct target *t = targets; t < targets + ARRAY_SIZE(targets); t++)

FIXTURE(abi) {
	int probe;
	int dev;
	int obj;
	int space;
	int msgq;
	int pipe[2];
	int replay;
	int fd[NR_KINDS];
	struct kmm_stat before;
};

/* An area of a page that is there. */
static int space_of_abi(int dev)
{
	int space = kmm_space_create(dev), ret;
	uint64_t at = SPACE_BASE;

	if (space < 0)
		return space;
	ret = kmm_space_map(space, &at, PAGE, KMM_PROT_READ | KMM_PROT_WRITE,
			    KMM_MAP_PRIVATE | KMM_MAP_FIXED | KMM_MAP_POPULATE, -1, 0);
	/* for SPACE_TRACE */
	if (!ret)
		ret = kmm_space_trace(space, KMM_TRACE_START, NULL, 0, NULL);
	if (ret)
		close(space);
	return ret ? ret : space;
}

FIXTURE_SETUP(abi)
{
	struct kmm_replay_run run;

	self->probe = kmm_open();
	ASSERT_LE(0, self->probe);
	self->dev = kmm_open();
	ASSERT_LE(0, self->dev);
	self->obj = kmm_object_create(self->dev, 4 * PAGE, 0);
	ASSERT_LE(0, self->obj);
	self->space = space_of_abi(self->dev);
	ASSERT_LE(0, self->space);
	self->msgq = kmm_msgq_create(self->dev, 1, 1, KMM_MSGQ_READ);
	ASSERT_LE(0, self->msgq);
	ASSERT_EQ(0, kmm_pipe_create(self->dev, PAGE, 0, self->pipe));
	self->fd[DEV] = self->dev;
	self->fd[OBJ] = self->obj;
	self->fd[SPACE] = self->space;
	self->fd[MSGQ] = self->msgq;
	self->fd[PIPE] = self->pipe[0];
	self->replay = kmm_replay_create(self->dev, "fifo", 1, 1);
	ASSERT_LE(0, self->replay);
	self->fd[REPLAY] = self->replay;
	/* what is there now is there before */
	ASSERT_EQ(0, kmm_replay_run(self->replay, no_refs, 1, &run));
	good_dev = self->dev;
	good_obj = self->obj;
	make_name(NAME_OPEN);
	make_name(NAME_UNLINK);
	shrink_slabs();
	/* All that a call here could add is visible against this, host memory included. */
	ASSERT_EQ(0, kmm_get_stat(self->probe, KMM_STAT_EXACT, &self->before));
}

FIXTURE_TEARDOWN(abi)
{
	struct kmm_space_info v;
	struct kmm_object_info i;
	struct kmm_stat now;

	/* State unchanged. */
	make_name(NAME_UNLINK);
	EXPECT_EQ(0, settle(self->probe, &self->before, &now));
	EXPECT_TRUE(same_frames(&self->before, &now)) {
		print_stat("before", &self->before);
		print_stat("after", &now);
	}
	EXPECT_EQ(0, kmm_object_info(self->obj, &i));
	EXPECT_EQ(4 * PAGE, i.size_bytes);
	EXPECT_EQ(0, i.resident);
	EXPECT_EQ(0, i.seals);
	EXPECT_EQ(0, kmm_space_info(self->space, &v));
	EXPECT_EQ(1, v.areas);
	EXPECT_EQ(PAGE, v.mapped_bytes);
	EXPECT_EQ(1, v.private_frames);
	EXPECT_EQ(0, v.audit_bad);
	close(self->space);
	close(self->msgq);
	EXPECT_EQ(0, kmm_shm_unlink(self->dev, NAME_OPEN));
	EXPECT_EQ(0, kmm_shm_unlink(self->dev, NAME_UNLINK));
	close(self->pipe[0]);
	close(self->pipe[1]);
	close(self->replay);
	close(self->obj);
	close(self->dev);
	close(self->probe);
}

#define FD_OF(t) (self->fd[(t)->on])

TEST_F(abi, the_good_request_is_good)
{
	char buf[512];

	FOR_EACH_TARGET(t) {
		good(t, buf, sizeof(buf));
		EXPECT_EQ(0, ERR(ioctl(FD_OF(t), request(t, t->size), buf))) TH_LOG("%s", t->name);
		close_made(t, buf);
	}
}

/* The numbers of the header are the table's. */
TEST_F(abi, numbers)
{
	const unsigned long want[] = {
		KMM_IOC_INFO, KMM_IOC_FEATURES, KMM_IOC_STAT, KMM_IOC_OPS, KMM_IOC_OBJECT_CREATE,
		KMM_IOC_OBJECT_INFO, KMM_IOC_OBJECT_REOPEN, KMM_IOC_OBJECT_SEAL,
		KMM_IOC_OBJECT_GIFT, KMM_IOC_SHM_OPEN, KMM_IOC_SHM_UNLINK,
		KMM_IOC_SPACE_CREATE, KMM_IOC_SPACE_MAP, KMM_IOC_SPACE_UNMAP,
		KMM_IOC_SPACE_PROTECT, KMM_IOC_SPACE_CLONE, KMM_IOC_SPACE_ACCESS,
		KMM_IOC_SPACE_WALK, KMM_IOC_SPACE_INFO,
		KMM_IOC_MSGQ_CREATE, KMM_IOC_MSGQ_INFO, KMM_IOC_MSGQ_REOPEN,
		KMM_IOC_PIPE_CREATE, KMM_IOC_PIPE_RESIZE, KMM_IOC_PIPE_INFO,
		KMM_IOC_POLICY_INFO, KMM_IOC_POLICY_SET, KMM_IOC_REPLAY_CREATE, KMM_IOC_REPLAY_RUN,
		KMM_IOC_OBJECT_YOUNG, KMM_IOC_SPACE_TRACE, KMM_IOC_OBJECT_ADVISE,
		KMM_IOC_OBJECT_LIMIT, KMM_IOC_SPACE_LIMIT,
	};

	ASSERT_EQ(ARRAY_SIZE(want), ARRAY_SIZE(targets));
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
		EXPECT_EQ(want[i], request(&targets[i], targets[i].size));
}

/* A newer caller: a larger struct whose tail is zero works; the tail stays zero. */
TEST_F(abi, larger_with_zero_tail)
{
	char buf[4096];

	FOR_EACH_TARGET(t) {
		const size_t sizes[] = { t->size + 1, t->size + 8, t->size + 64, 4096 };

		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			good(t, buf, sizeof(buf));
			EXPECT_EQ(0, ERR(ioctl(FD_OF(t), request(t, sizes[i]), buf)))
				TH_LOG("%s %zu", t->name, sizes[i]);
			EXPECT_TRUE(all_bytes(buf + t->size, 0, sizeof(buf) - t->size));
			close_made(t, buf);
		}
	}
}

TEST_F(abi, larger_with_something_in_the_tail)
{
	char buf[4096];
	int fd = next_fd();

	FOR_EACH_TARGET(t) {
		const size_t at[] = { t->size, t->size + 7, 1000, 4095 };

		for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
			good(t, buf, sizeof(buf));
			buf[at[i]] = 1;
			EXPECT_EQ(E2BIG, ERR(ioctl(FD_OF(t), request(t, 4096), buf)))
				TH_LOG("%s byte %zu", t->name, at[i]);
		}
	}
	EXPECT_EQ(fd, next_fd());
}

/*
 * An older caller: the first version is the smallest there ever was, so shorter is EINVAL,
 * and nothing behind the caller's end is written.
 */
TEST_F(abi, smaller)
{
	char buf[512];

	FOR_EACH_TARGET(t) {
		/* what has grown since is filled as far as the caller has room */
		size_t first = t->nr == 0x02 ? offsetof(struct kmm_stat, user_names) :
			       t->nr == 0x11 ? offsetof(struct kmm_object_info, swapped) : t->size;

		for (size_t size = 0; size < t->size; size++) {
			int want = size < first ? EINVAL : 0;

			memset(buf, PATTERN, sizeof(buf));
			good(t, buf, size);
			EXPECT_EQ(want, ERR(ioctl(FD_OF(t), request(t, size), buf)))
				TH_LOG("%s %zu", t->name, size);
			EXPECT_TRUE(all_bytes(buf + size, PATTERN, sizeof(buf) - size))
				TH_LOG("%s %zu wrote behind its end", t->name, size);
		}
	}
}

TEST_F(abi, unknown_flags)
{
	char buf[512];
	int fd = next_fd();
	uint32_t v;

	FOR_EACH_TARGET(t) {
		if (t->flags_at < 0)
			continue;
		for (int bit = 0; bit < 32; bit++) {
			if (t->known >> bit & 1)
				continue;
			good(t, buf, sizeof(buf));
			memcpy(&v, buf + t->flags_at, 4);
			v |= 1u << bit;
			memcpy(buf + t->flags_at, &v, 4);
			EXPECT_EQ(EINVAL, ERR(ioctl(FD_OF(t), request(t, t->size), buf)))
				TH_LOG("%s bit %d", t->name, bit);
		}
	}
	/* The high half of stat's 64 bits. */
	struct kmm_stat s = { .flags = 1ULL << 63 };

	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_STAT, &s)));
	s.flags = 1ULL << 32;
	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_STAT, &s)));
	/* REOPEN wants its flag. */
	struct kmm_object_reopen r = { 0 };

	EXPECT_EQ(EINVAL, ERR(ioctl(self->obj, KMM_IOC_OBJECT_REOPEN, &r)));
	EXPECT_EQ(fd, next_fd());
}

TEST_F(abi, bad_pointers)
{
	const unsigned long bad[] = { 0, 1, 4096 - 4, KERNEL_ADDRESS, 0xffffffff81000000UL, ~0UL,
				      0x7ffffffff000UL, 0x800000000000UL, 0xdead000000000000UL };
	int fd = next_fd();

	FOR_EACH_TARGET(t) {
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			EXPECT_EQ(EFAULT, ERR(ioctl(FD_OF(t), request(t, t->size), bad[i])))
				TH_LOG("%s %#lx", t->name, bad[i]);
		}
	}
	EXPECT_EQ(fd, next_fd());
}

/* The struct crosses into a page that is not there. */
TEST_F(abi, pointer_at_the_end)
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char buf[512];
	int fd = next_fd();

	ASSERT_NE(MAP_FAILED, p);
	munmap(p + PAGE, PAGE);
	FOR_EACH_TARGET(t) {
		good(t, buf, sizeof(buf));
		memcpy(p + PAGE - t->size + 1, buf, t->size - 1);
		EXPECT_EQ(EFAULT, ERR(ioctl(FD_OF(t), request(t, t->size), p + PAGE - t->size + 1)))
			TH_LOG("%s", t->name);
		/* One byte less to the right is fine. */
		memcpy(p + PAGE - t->size, buf, t->size);
		EXPECT_EQ(0, ERR(ioctl(FD_OF(t), request(t, t->size), p + PAGE - t->size)))
			TH_LOG("%s", t->name);
		close_made(t, p + PAGE - t->size);
	}
	munmap(p, PAGE);
	EXPECT_EQ(fd, next_fd());
}

/* The answer cannot be written: EFAULT, no descriptor left over, no object. */
TEST_F(abi, read_only_output)
{
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = next_fd();

	ASSERT_NE(MAP_FAILED, p);
	FOR_EACH_TARGET(t) {
		ASSERT_EQ(0, mprotect(p, PAGE, PROT_READ | PROT_WRITE));
		good(t, p, PAGE);
		ASSERT_EQ(0, mprotect(p, PAGE, PROT_READ));
		EXPECT_EQ(EFAULT, ERR(ioctl(FD_OF(t), request(t, t->size), p)))
			TH_LOG("%s", t->name);
	}
	munmap(p, PAGE);
	EXPECT_EQ(fd, next_fd());
}

/* No free descriptor: EMFILE, and the object that was half made is gone. */
TEST_F(abi, no_descriptor_left)
{
	struct rlimit few = { 64, 64 };
	char buf[512];
	int fds[64], n = 0;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	while (n < 64 && (fds[n] = dup(0)) >= 0)
		n++;
	ASSERT_LT(n, 64);
	FOR_EACH_TARGET(t) {
		if (!t->makes_fds)
			continue;
		good(t, buf, sizeof(buf));
		EXPECT_EQ(EMFILE, ERR(ioctl(FD_OF(t), request(t, t->size), buf)))
			TH_LOG("%s", t->name);
	}
	while (n > 0)
		close(fds[--n]);
}

TEST_F(abi, wrong_descriptor_or_number)
{
	char buf[512] = "";

	FOR_EACH_TARGET(t)
		for (enum kind k = 0; k < NR_KINDS; k++) {
			if (k == t->on)
				continue;
			good(t, buf, sizeof(buf));
			EXPECT_EQ(ENOTTY, ERR(ioctl(self->fd[k], request(t, t->size), buf)))
				TH_LOG("%s on kind %d", t->name, k);
		}
	memset(buf, 0, sizeof(buf));
	for (unsigned int nr = 0; nr < 256; nr++) {
		bool on[NR_KINDS] = { 0 };

		FOR_EACH_TARGET(t)
			if (t->nr == nr)
				on[t->on] = true;
		for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++)
			if (elsewhere[i].nr == nr)
				on[elsewhere[i].on] = true;
		for (enum kind k = 0; k < NR_KINDS; k++) {
			if (on[k])
				continue;
			EXPECT_EQ(ENOTTY, ERR(ioctl(self->fd[k], _IOWR('K', nr, char[8]), buf)))
				TH_LOG("number %#x on kind %d", nr, k);
		}
	}
	EXPECT_EQ(ENOTTY, ERR(ioctl(self->dev, _IOWR('L', 0, struct kmm_info), buf)));
	EXPECT_EQ(ENOTTY, ERR(ioctl(self->obj, _IOWR('L', 0x11, struct kmm_info), buf)));
	EXPECT_EQ(ENOTTY, ERR(ioctl(self->dev, 0, buf)));
	EXPECT_EQ(ENOTTY, ERR(ioctl(self->dev, ~0U, buf)));
	/* The direction is part of the number. */
	EXPECT_EQ(ENOTTY, ERR(ioctl(self->dev, _IO('K', 0), buf)));
	EXPECT_EQ(ENOTTY, ERR(ioctl(self->dev, _IOR('K', 0, struct kmm_info), buf)));
	EXPECT_EQ(ENOTTY, ERR(ioctl(self->dev, _IOW('K', 0, struct kmm_info), buf)));
}

TEST_F(abi, object_create_sizes)
{
	const struct { uint64_t size; uint32_t flags; int err; } bad[] = {
		{ 0, 0, EINVAL },
		{ 0, KMM_OBJECT_LOCKED, EINVAL },
		{ KMM_OBJECT_SIZE_MAX + 1, 0, EFBIG },
		{ 1ULL << 62, 0, EFBIG },
		{ 1ULL << 63, 0, EFBIG },
		{ UINT64_MAX, 0, EFBIG },
		{ UINT64_MAX - 4095, KMM_OBJECT_EAGER, EFBIG },
		{ UINT64_MAX, KMM_OBJECT_CONTIG, EFBIG },
		{ (PAGE << KMM_ORDER_MAX) + 1, KMM_OBJECT_CONTIG, EFBIG },
		{ self->before.total * PAGE * 2, KMM_OBJECT_EAGER, ENOMEM },
		{ KMM_OBJECT_SIZE_MAX, KMM_OBJECT_EAGER, ENOMEM },
		{ KMM_OBJECT_SIZE_MAX, KMM_OBJECT_LOCKED, ENOMEM },
	};
	int fd = next_fd(), obj;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-bad[i].err, kmm_object_create(self->dev, bad[i].size, bad[i].flags))
			TH_LOG("case %zu", i);
	}
	EXPECT_EQ(fd, next_fd());
	/* The largest, on demand, costs next to nothing. */
	obj = kmm_object_create(self->dev, KMM_OBJECT_SIZE_MAX, 0);
	ASSERT_LE(0, obj);
	EXPECT_EQ(1, pwrite(obj, "x", 1, KMM_OBJECT_SIZE_MAX - 1));
	close(obj);
}

/* Random requests: no crash, no leak, only errnos of the table. */
TEST_F_TIMEOUT(abi, random_requests, 1200)
{
	static const int table[] = {
		EFAULT, EINVAL, E2BIG, EFBIG, EOVERFLOW, ENOTTY, EBADF, EPERM, EACCES, EDQUOT,
		ENOMEM, ENOSPC, EBUSY, EEXIST, ENOENT, ERANGE, EINTR, EMFILE, ENFILE, ENXIO,
		ENAMETOOLONG, EOPNOTSUPP,
	};
	unsigned long rounds = env_number("KMM_FUZZ_ROUNDS", 20000);
	uint64_t page = PAGE;
	int dev = kmm_open(), obj = kmm_object_create(self->dev, 16 * PAGE, 0);
	uint64_t seed = seed_from_env();
	int space = space_of_abi(self->dev);
	int fd[NR_KINDS] = { dev, obj, space, self->msgq, self->pipe[0], self->replay };
	bool known;
	int err;
	static const uint64_t spice[] = {
		0, 1, 2, 3, 7, 8, 31, 4095, 4096, 4097, 65535, 65536, 65537, 0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000, KMM_OBJECT_SIZE_MAX, KMM_OBJECT_SIZE_MAX + 1, 1ULL << 63,
		UINT64_MAX, KERNEL_ADDRESS,
		SPACE_BASE, SPACE_BASE + PAGE, 0x21, 0x26, 0x7ffffffff000, 1ULL << 56,
	};

	ASSERT_LE(0, dev);
	ASSERT_LE(0, obj);
	ASSERT_LE(0, space);
	for (unsigned long n = 0; n < rounds; n++) {
		const struct target *t = &targets[next_random(&seed) % ARRAY_SIZE(targets)];
		size_t size = next_random(&seed) % 4 ? t->size : next_random(&seed) % 600;
		uint64_t buf[512 / 8 + 16] = { 0 };

		good(t, buf, sizeof(buf));
		for (int k = next_random(&seed) % 4; k > 0; k--) {
			uint64_t v = next_random(&seed) % 3 ?
				spice[next_random(&seed) % ARRAY_SIZE(spice)] :
				(uint64_t)next_random(&seed) << 32 | next_random(&seed);
			size_t at = next_random(&seed) % (t->size / 4) * 4;

			memcpy((char *)buf + at, &v, next_random(&seed) % 2 ? 4 : 8);
		}
		/* An array of operations may be anywhere but in our own memory. */
		if (t->nr == 0x08 && buf[0] != (uintptr_t)one_op)
			buf[0] = KERNEL_ADDRESS;
		else if (t->nr == 0x08)
			buf[1] = (buf[1] & ~0xffffffffULL) | 1;	/* nr */
		/* An eager one that fits would only take time. */
		if (t->nr == 0x10 && buf[0] > (1 << 20) && (buf[1] & ALL_FLAGS))
			buf[1] &= ~(uint64_t)ALL_FLAGS;
		struct kmm_shm_open *s = (void *)buf;

		if (t->nr == 0x18 && s->size_bytes > (1 << 20))
			s->object_flags = 0;
		if (t->nr == 0x21 && buf[1] > (1 << 20))
			buf[4] &= ~(uint64_t)KMM_MAP_POPULATE;
		/* Data, too, may come from and go to anywhere but our own memory. */
		if (t->nr == 0x25 && buf[1] != (uintptr_t)access_buf && buf[1])
			buf[1] = KERNEL_ADDRESS;
		if (t->nr == 0x64 && buf[1] != (uintptr_t)access_buf)
			buf[1] = KERNEL_ADDRESS;
		if (t->nr == 0x65 && buf[0])
			buf[0] = KERNEL_ADDRESS;
		if (ioctl(fd[t->on], request(t, size), buf) == 0) {
			close_made(t, buf);
			/* A name of other bytes than ours. */
			if (t->nr == 0x18 && s->created) {
				struct kmm_shm_unlink u = {
					.name = s->name, .name_len = s->name_len,
				};

				EXPECT_EQ(0, ioctl(dev, KMM_IOC_SHM_UNLINK, &u));
			}
			continue;
		}
		err = errno;
		known = false;
		for (size_t i = 0; i < ARRAY_SIZE(table); i++)
			known |= table[i] == err;
		ASSERT_TRUE(known) TH_LOG("%s: errno %d is not in the table", t->name, err);
	}
	close(space);
	close(obj);
	close(dev);
	/* Another capacity is another amount of host memory. */
	EXPECT_EQ(0, kmm_pipe_resize(self->pipe[0], &page));
}

TEST_HARNESS_MAIN
