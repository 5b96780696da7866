// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared memory by name: shm_open's meaning, rights as for files, names that outlive their
 * creators, races of open and unlink, and the same object with its first and its next inode.
 * KMM_RACE_MS: milliseconds of a race (1000); KMM_KILLS, KMM_SEED as in kill9.
 */
#include <grp.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <linux/futex.h>

#include "kmm_test.h"

#define CREATE	KMM_SHM_CREATE
#define EXCL	(KMM_SHM_CREATE | KMM_SHM_EXCL)
#define SIZE	(8 * PAGE)

/* Bytes as they are; -errno, or the descriptor. */
static int open_bytes(int dev, const void *name, uint32_t len, uint32_t flags)
{
	struct kmm_shm_open s = {
		.name = (uintptr_t)name, .name_len = len, .flags = flags,
		.size_bytes = flags & CREATE ? PAGE : 0, .mode = flags & CREATE ? 0600 : 0,
	};

	return ioctl(dev, KMM_IOC_SHM_OPEN, &s) ? -errno : s.fd;
}

static int unlink_bytes(int dev, const void *name, uint32_t len)
{
	struct kmm_shm_unlink u = { .name = (uintptr_t)name, .name_len = len };

	return ioctl(dev, KMM_IOC_SHM_UNLINK, &u) ? -errno : 0;
}

static uint64_t id_of(int obj)
{
	struct kmm_object_info i;

	return kmm_object_info(obj, &i) ? 0 : i.id;
}

/* The object that had its last close must have lost its inode: that takes a moment. */
static void wait_a_moment(void)
{
	sleep_ms(20);
}

TEST_F(kmm, open_create_unlink)
{
	int a, b;
	char c;

	EXPECT_EQ(-ENOENT, kmm_shm_open(self->dev, "x", 0, 0, 0, 0));
	EXPECT_EQ(-ENOENT, kmm_shm_unlink(self->dev, "x"));
	a = kmm_shm_open(self->dev, "x", CREATE, 0600, SIZE, 0);
	ASSERT_LE(0, a);
	ASSERT_EQ(1, pwrite(a, "1", 1, SIZE - 1));
	EXPECT_EQ(-EEXIST, kmm_shm_open(self->dev, "x", EXCL, 0600, SIZE, 0));
	/* the same object, its own size */
	b = kmm_shm_open(self->dev, "x", CREATE, 0600, 2 * SIZE, 0);
	ASSERT_LE(0, b);
	EXPECT_EQ(id_of(a), id_of(b));
	EXPECT_EQ(SIZE, lseek(b, 0, SEEK_END));
	EXPECT_EQ(1, pread(b, &c, 1, SIZE - 1));
	EXPECT_EQ('1', c);
	ASSERT_EQ(0, kmm_shm_unlink(self->dev, "x"));
	EXPECT_EQ(-ENOENT, kmm_shm_open(self->dev, "x", 0, 0, 0, 0));
	/* they live on, and a new one is another */
	EXPECT_EQ(1, pwrite(a, "2", 1, 0));
	EXPECT_EQ(1, pread(b, &c, 1, 0));
	EXPECT_EQ('2', c);
	close(b);
	b = kmm_shm_open(self->dev, "x", EXCL, 0600, 0, 0);
	ASSERT_LE(0, b);
	EXPECT_NE(id_of(a), id_of(b));
	/* of size 0, as shm_open makes it */
	EXPECT_EQ(0, lseek(b, 0, SEEK_END));
	EXPECT_EQ(0, ftruncate(b, SIZE));
	EXPECT_EQ(1, pwrite(b, "3", 1, 0));
	close(a);
	close(b);
	EXPECT_EQ(0, kmm_shm_unlink(self->dev, "x"));
}

/* Contents, seals and frames stay when nobody has it open; also a futex finds it again. */
TEST_F(kmm, a_name_keeps_the_object)
{
	int obj = kmm_shm_open(self->dev, "keep", EXCL, 0640, 2000 * PAGE, 0), ro;
	struct kmm_object_info i;
	struct kmm_stat s;
	uint64_t used, id;
	struct stat st;
	char buf[8];
	char *p;

	ASSERT_LE(0, obj);
	id = id_of(obj);
	p = mmap(NULL, 2000 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	strcpy(p + 1000 * PAGE, "still");
	p[0] = 'h';
	ASSERT_EQ(0, kmm_object_seal(obj, KMM_SEAL_GROW, NULL));
	close(obj);
	/* by the mapping alone; then by nothing but the name */
	for (int round = 0; round < 3; round++) {
		obj = kmm_shm_open(self->dev, "keep", 0, 0, 0, 0);
		ASSERT_LE(0, obj);
		EXPECT_EQ(id, id_of(obj));
		ASSERT_EQ(0, kmm_object_info(obj, &i));
		EXPECT_EQ(2, i.resident);
		EXPECT_EQ(KMM_SEAL_GROW, i.seals);
		EXPECT_EQ(5, pread(obj, buf, 5, 1000 * PAGE));
		EXPECT_EQ(0, memcmp(buf, "still", 5));
		EXPECT_EQ(EPERM, ERR(ftruncate(obj, 2001 * PAGE)));
		EXPECT_EQ(0, fstat(obj, &st));
		EXPECT_EQ(S_IFREG | 0640, st.st_mode);
		EXPECT_EQ(2000 * PAGE, st.st_size);
		if (!round)
			munmap(p, 2000 * PAGE);
		close(obj);
		wait_a_moment();
	}
	/* pages are found through the new inode: mapped, woken, revoked */
	obj = kmm_shm_open(self->dev, "keep", 0, 0, 0, 0);
	ASSERT_LE(0, obj);
	p = mmap(NULL, 2000 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, strcmp(p + 1000 * PAGE, "still"));
	EXPECT_EQ(0, syscall(SYS_futex, p + 1000 * PAGE, FUTEX_WAKE, 1, NULL, NULL, 0));
	EXPECT_EQ(0, fallocate(obj, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1000 * PAGE, PAGE));
	EXPECT_EQ(0, p[1000 * PAGE]);
	ro = kmm_object_reopen(obj, KMM_REOPEN_RDONLY);
	EXPECT_LE(0, ro);
	munmap(p, 2000 * PAGE);
	close(ro);
	close(obj);
	wait_a_moment();
	/* the last reference is the name */
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
	used = s.used;
	EXPECT_EQ(0, kmm_shm_unlink(self->dev, "keep"));
	EXPECT_TRUE(wait_used(self->dev, used - 2));
}

/* A seal against writes is as strict after the object has got a new inode. */
TEST_F(kmm, seals_stay)
{
	int obj = kmm_shm_open(self->dev, "sealed", EXCL, 0600, SIZE, KMM_OBJECT_EAGER);

	ASSERT_LE(0, obj);
	ASSERT_EQ(0, kmm_object_seal(obj, KMM_SEAL_WRITE, NULL));
	for (int round = 0; round < 2; round++) {
		EXPECT_EQ(EPERM, ERR(pwrite(obj, "x", 1, 0)));
		EXPECT_EQ(EPERM, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0));
		EXPECT_EQ(0, mmap_err(PAGE, PROT_READ, MAP_PRIVATE, obj, 0));
		close(obj);
		wait_a_moment();
		obj = kmm_shm_open(self->dev, "sealed", 0, 0, 0, 0);
		ASSERT_LE(0, obj);
	}
	EXPECT_EQ(0, ERR(ftruncate(obj, PAGE)));
	EXPECT_EQ(0, kmm_object_seal(obj, KMM_SEAL_SHRINK, NULL));
	EXPECT_EQ(-EPERM, kmm_shm_open(self->dev, "sealed", KMM_SHM_TRUNCATE, 0, 0, 0));
	close(obj);
	EXPECT_EQ(0, kmm_shm_unlink(self->dev, "sealed"));
}

TEST_F(kmm, truncate)
{
	int obj = kmm_shm_open(self->dev, "t", EXCL, 0600, SIZE, KMM_OBJECT_EAGER), again;
	struct kmm_object_info i;
	char *p;

	ASSERT_LE(0, obj);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, touch(p, false));
	again = kmm_shm_open(self->dev, "t", CREATE | KMM_SHM_TRUNCATE, 0600, SIZE, 0);
	ASSERT_LE(0, again);
	ASSERT_EQ(0, kmm_object_info(obj, &i));
	EXPECT_EQ(0, i.size_bytes);
	EXPECT_EQ(0, i.resident);
	EXPECT_EQ(SIGBUS, touch(p, false));
	munmap(p, PAGE);
	close(again);
	close(obj);
	EXPECT_EQ(0, kmm_shm_unlink(self->dev, "t"));
	obj = kmm_shm_open(self->dev, "t", EXCL, 0600, SIZE, KMM_OBJECT_LOCKED);
	ASSERT_LE(0, obj);
	EXPECT_EQ(-EPERM, kmm_shm_open(self->dev, "t", KMM_SHM_TRUNCATE, 0, 0, 0));
	close(obj);
	EXPECT_EQ(0, kmm_shm_unlink(self->dev, "t"));
}

/* A descriptor opened for reading, also of a new object, never becomes writable. */
TEST_F(kmm, read_only_stays_read_only)
{
	int ro = kmm_shm_open(self->dev, "r", EXCL | KMM_SHM_RDONLY, 0600, SIZE, 0), rw;
	char path[40];
	char *p;

	ASSERT_LE(0, ro);
	for (int round = 0; round < 2; round++) {
		EXPECT_EQ(EBADF, ERR(pwrite(ro, "x", 1, 0)));
		EXPECT_EQ(EACCES, mmap_err(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0));
		p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(EACCES, ERR(mprotect(p, PAGE, PROT_READ | PROT_WRITE)));
		munmap(p, PAGE);
		EXPECT_EQ(EINVAL, ERR(ftruncate(ro, 0)));
		EXPECT_EQ(-EACCES, kmm_object_seal(ro, KMM_SEAL_GROW, NULL));
		snprintf(path, sizeof(path), "/proc/self/fd/%d", ro);
		EXPECT_EQ(ENXIO, ERR(open(path, O_RDWR)));
		EXPECT_NE(0, truncate(path, 0));
		close(ro);
		ro = kmm_shm_open(self->dev, "r", KMM_SHM_RDONLY, 0, 0, 0);
		ASSERT_LE(0, ro);
	}
	rw = kmm_shm_open(self->dev, "r", 0, 0, 0, 0);
	ASSERT_LE(0, rw);
	EXPECT_EQ(1, pwrite(rw, "x", 1, 0));
	close(rw);
	close(ro);
	EXPECT_EQ(0, kmm_shm_unlink(self->dev, "r"));
}

TEST_F(kmm, any_bytes)
{
	unsigned char all[KMM_NAME_MAX + 1];
	int fd[3], n = 0;

	/* every byte but NUL and slash, 253 + 2 of them */
	for (int c = 1; c < 256; c++)
		if (c != '/')
			all[n++] = c;
	all[n++] = ' ';
	ASSERT_EQ(KMM_NAME_MAX, n);
	fd[0] = open_bytes(self->dev, all, n, EXCL);
	ASSERT_LE(0, fd[0]);
	fd[1] = open_bytes(self->dev, all, n - 1, EXCL);
	ASSERT_LE(0, fd[1]);
	fd[2] = open_bytes(self->dev, all, n, 0);
	ASSERT_LE(0, fd[2]);
	EXPECT_EQ(id_of(fd[0]), id_of(fd[2]));
	EXPECT_NE(id_of(fd[0]), id_of(fd[1]));
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	EXPECT_EQ(0, unlink_bytes(self->dev, all, n));
	EXPECT_EQ(0, unlink_bytes(self->dev, all, n - 1));
	EXPECT_EQ(-ENOENT, unlink_bytes(self->dev, all, n));
	/* "." and ".." are names like others */
	fd[0] = open_bytes(self->dev, "..", 2, EXCL);
	ASSERT_LE(0, fd[0]);
	close(fd[0]);
	EXPECT_EQ(0, unlink_bytes(self->dev, "..", 2));
}

TEST_F(kmm, bad_input)
{
	struct kmm_shm_open s, good = {
		.name = (uintptr_t)"n", .name_len = 1, .flags = CREATE, .size_bytes = PAGE,
		.mode = 0600,
	};
	struct kmm_shm_unlink u;
	char name[300], *hole;

	memset(name, 'n', sizeof(name));
	hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, hole);
#define BAD(want, ...) do {							\
	s = good;								\
	__VA_ARGS__;								\
	EXPECT_EQ(-1, ioctl(self->dev, KMM_IOC_SHM_OPEN, &s));			\
	EXPECT_EQ(want, errno);							\
} while (0)
	BAD(EINVAL, s.flags |= 1U << 4);
	BAD(EINVAL, s.flags |= 1U << 31);
	BAD(EINVAL, s.flags = KMM_SHM_EXCL; s.size_bytes = s.mode = 0);
	BAD(EINVAL, s.flags = KMM_SHM_TRUNCATE | KMM_SHM_RDONLY; s.size_bytes = s.mode = 0);
	BAD(EINVAL, s.flags = 0);
	BAD(EINVAL, s.flags = 0; s.mode = 0; s.size_bytes = 0; s.object_flags = 1);
	BAD(EINVAL, s.mode = 01777);
	BAD(EINVAL, s.mode = 04700);
	BAD(EINVAL, s.mode = ~0U);
	BAD(EINVAL, s.name_len = 0);
	BAD(EINVAL, s.name = 0; s.name_len = 0);
	BAD(ENAMETOOLONG, s.name = (uintptr_t)name; s.name_len = 256);
	BAD(ENAMETOOLONG, s.name_len = ~0U);
	BAD(EINVAL, s.name = (uintptr_t)"a/b"; s.name_len = 3);
	BAD(EINVAL, s.name = (uintptr_t)"/a"; s.name_len = 2);
	BAD(EINVAL, s.name = (uintptr_t)"a"; s.name_len = 2);
	BAD(EFAULT, s.name = 0);
	BAD(EFAULT, s.name = (uintptr_t)hole);
	BAD(EFAULT, s.name = ~0ULL);
	BAD(EFAULT, s.name = 1ULL << 63);
	BAD(EINVAL, s.object_flags = ~ALL_FLAGS);
	BAD(EINVAL, s.size_bytes = 0; s.object_flags = KMM_OBJECT_LOCKED);
	BAD(EINVAL, s.size_bytes = 0; s.object_flags = KMM_OBJECT_CONTIG);
	BAD(EFBIG, s.size_bytes = KMM_OBJECT_SIZE_MAX + 1);
	BAD(EFBIG, s.size_bytes = ~0ULL);
#undef BAD
	/* none of them has left a name */
	EXPECT_EQ(-ENOENT, kmm_shm_open(self->dev, "n", 0, 0, 0, 0));
	u = (struct kmm_shm_unlink){ .name = (uintptr_t)"n", .name_len = 1, .flags = 1 };
	EXPECT_EQ(EINVAL, ERR(ioctl(self->dev, KMM_IOC_SHM_UNLINK, &u)));
	u = (struct kmm_shm_unlink){ .name = (uintptr_t)hole, .name_len = 1 };
	EXPECT_EQ(EFAULT, ERR(ioctl(self->dev, KMM_IOC_SHM_UNLINK, &u)));
	munmap(hole, PAGE);
}

/* A result that cannot be copied out takes the name back; so does a full descriptor table. */
TEST_F(kmm, failed_call_leaves_no_name)
{
	struct kmm_shm_open *s;
	struct rlimit was, none;
	int fd;

	s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, s);
	*s = (struct kmm_shm_open){
		.name = (uintptr_t)"gone", .name_len = 4, .flags = CREATE, .size_bytes = SIZE,
		.object_flags = KMM_OBJECT_EAGER, .mode = 0600,
	};
	ASSERT_EQ(0, mprotect(s, PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, ERR(ioctl(self->dev, KMM_IOC_SHM_OPEN, s)));
	EXPECT_EQ(-ENOENT, kmm_shm_open(self->dev, "gone", 0, 0, 0, 0));

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &was));
	fd = dup(self->dev);
	ASSERT_LE(0, fd);
	close(fd);
	none = (struct rlimit){ fd, was.rlim_max };
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, kmm_shm_open(self->dev, "gone", CREATE, 0600, SIZE, 0));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &was));
	EXPECT_EQ(-ENOENT, kmm_shm_open(self->dev, "gone", 0, 0, 0, 0));
	munmap(s, PAGE);
}

/* === Rights === */

/* Run fn as this user; its result, or 256 + signal. The device node is open to all meanwhile. */
static int as_user(uid_t uid, gid_t gid, int (*fn)(void))
{
	pid_t pid = fork();

	if (!pid) {
		if (setgroups(0, NULL) || setgid(gid) || setuid(uid))
			_exit(100);
		_exit(fn());
	}
	return wait_child(pid);
}

/* Bit 0: read, 1: read and write, 2: unlink. */
static int try_all(void)
{
	int dev = kmm_open(), fd, granted = 0;

	if (dev < 0)
		return 101;
	fd = kmm_shm_open(dev, "owned", KMM_SHM_RDONLY, 0, 0, 0);
	if (fd >= 0)
		granted |= 1;
	else if (fd != -EACCES)
		return 102;
	fd = kmm_shm_open(dev, "owned", 0, 0, 0, 0);
	if (fd >= 0)
		granted |= 2;
	else if (fd != -EACCES)
		return 103;
	/* who may not even read it learns that it exists, as in a directory */
	if (kmm_shm_open(dev, "owned", EXCL, 0600, PAGE, 0) != -EEXIST)
		return 104;
	fd = kmm_shm_unlink(dev, "owned");
	if (!fd)
		granted |= 4;
	else if (fd != -EPERM)
		return 105;
	return granted;
}

static mode_t create_mode;

static int create_owned(void)
{
	int dev = kmm_open(), fd;

	umask(027);
	fd = kmm_shm_open(dev, "owned", EXCL, create_mode, PAGE, 0);
	/* the creator can write, whatever the mode says */
	return fd < 0 ? 110 : pwrite(fd, "x", 1, 0) == 1 ? 0 : 111;
}

TEST_F(kmm, rights_are_those_of_a_file)
{
	static const struct {
		mode_t mode;	/* umask 027 comes on top */
		uid_t uid;
		gid_t gid;
		int granted;
	} row[] = {
		{ 0666, 1001, 2001, 0 },	/* others: taken by the umask */
		{ 0666, 1001, 2000, 1 },	/* the group may read */
		{ 0666, 1000, 2001, 1 | 2 | 4 },
		{ 0066, 1000, 2000, 4 },	/* the owner's bits alone count */
		{ 0000, 0, 0, 1 | 2 | 4 },	/* root */
		{ 0400, 1000, 2000, 1 | 4 },
	};
	struct stat st;
	int fd;

	ASSERT_EQ(0, stat(KMM_DEVICE, &st));
	ASSERT_EQ(0, chmod(KMM_DEVICE, 0666));
	for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
		create_mode = row[i].mode;
		EXPECT_EQ(0, as_user(1000, 2000, create_owned));
		EXPECT_EQ(row[i].granted, as_user(row[i].uid, row[i].gid, try_all))
			TH_LOG("row %zu", i);
		fd = kmm_shm_open(self->dev, "owned", 0, 0, 0, 0);
		if (row[i].granted & 4) {
			EXPECT_EQ(-ENOENT, fd);
			continue;
		}
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, fstat(fd, &st));
		EXPECT_EQ(1000, st.st_uid);
		EXPECT_EQ(2000, st.st_gid);
		EXPECT_EQ(row[i].mode & 0640, st.st_mode & 07777);
		EXPECT_EQ(EPERM, ERR(fchmod(fd, 0666)));
		EXPECT_EQ(EPERM, ERR(fchown(fd, 0, 0)));
		close(fd);
		EXPECT_EQ(0, kmm_shm_unlink(self->dev, "owned"));
	}
	ASSERT_EQ(0, stat(KMM_DEVICE, &st));
	EXPECT_EQ(0, chmod(KMM_DEVICE, 0660));
}

/* Names until it is refused; what is left goes with an unlink each. */
static int flood(void)
{
	struct kmm_info info;
	struct kmm_stat s;
	int dev = kmm_open(), fd;
	uint64_t n = 0;
	char name[32];

	if (dev < 0 || kmm_get_info(dev, &info))
		return 120;
	for (;; n++) {
		snprintf(name, sizeof(name), "flood %llu", (unsigned long long)n);
		fd = kmm_shm_open(dev, name, EXCL, 0600, PAGE, 0);
		if (fd < 0)
			break;
		close(fd);
	}
	if (fd != -EDQUOT)
		return 121;
	if (n != info.user_limits.names)
		return 122;
	/* another file of the same user has no more room */
	int other = kmm_open();

	if (kmm_shm_open(other, "one more", EXCL, 0600, PAGE, 0) != -EDQUOT)
		return 123;
	if (kmm_get_stat(dev, 0, &s) || s.user_names != n)
		return 124;
	if (kmm_shm_unlink(other, "flood 0") ||
	    kmm_shm_open(other, "one more", EXCL, 0600, PAGE, 0) < 0)
		return 125;
	/* the objects count as well: they live by their names */
	if (kmm_get_stat(dev, 0, &s) || s.user_objects != n)
		return 126;
	if (kmm_shm_unlink(dev, "one more"))
		return 127;
	for (uint64_t i = 1; i < n; i++) {
		snprintf(name, sizeof(name), "flood %llu", (unsigned long long)i);
		if (kmm_shm_unlink(dev, name))
			return 128;
	}
	return 0;
}

TEST_F_TIMEOUT(kmm, a_flood_stops_at_the_quota, 120)
{
	ASSERT_EQ(0, chmod(KMM_DEVICE, 0666));
	EXPECT_EQ(0, as_user(65534, 65534, flood));
	EXPECT_EQ(0, chmod(KMM_DEVICE, 0660));
}

/* === Races === */

#define NAMES	3

struct race {
	volatile bool stop;
	volatile int wrong;
	int dev;
};

static struct race race;

static const char *race_name(uint64_t *seed)
{
	static const char *const name[NAMES] = { "race a", "race b", "race c" };

	return name[next_random(seed) % NAMES];
}

/* Open or create, check that what is in it is of one writer, close: often the last descriptor. */
static void *open_thread(void *arg)
{
	struct sigaction sa = { .sa_handler = touch_handler };
	uint64_t seed = 0xbeef + (uintptr_t)arg * 77;

	sigaction(SIGBUS, &sa, NULL);
	while (!race.stop) {
		int fd = kmm_shm_open(race.dev, race_name(&seed),
				      CREATE | (next_random(&seed) % 8 ? 0 : KMM_SHM_TRUNCATE),
				      0600, 4 * PAGE, next_random(&seed) & KMM_OBJECT_EAGER);
		volatile unsigned char *p;

		if (fd < 0) {
			race.wrong++;
			continue;
		}
		(void)!ftruncate(fd, 4 * PAGE);
		p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
		if (p == MAP_FAILED) {
			race.wrong++;
			continue;
		}
		/*
		 * Every writer writes the index of the page: a foreign frame would show. SIGBUS is
		 * right when somebody has just opened it with TRUNCATE.
		 */
		if (!sigsetjmp(touch_env, 1)) {
			for (int i = 0; i < 4; i++) {
				unsigned char c = p[i * PAGE + 1];

				if (c != 0 && c != i + 1)
					race.wrong++;
				p[i * PAGE + 1] = i + 1;
			}
		}
		munmap((void *)p, 4 * PAGE);
	}
	return NULL;
}

static void *unlink_thread(void *arg)
{
	uint64_t seed = 0xfeed + (uintptr_t)arg * 99;
	int ret;

	while (!race.stop) {
		ret = kmm_shm_unlink(race.dev, race_name(&seed));
		if (ret && ret != -ENOENT)
			race.wrong++;
		usleep(next_random(&seed) % 2000);
	}
	return NULL;
}

/* Sessions come and go as well, so that the file system is mounted and unmounted. */
static void *session_thread(void *arg)
{
	uint64_t seed = 0xdead + (uintptr_t)arg * 55;

	while (!race.stop) {
		int dev = kmm_open(), fd;

		if (dev < 0) {
			race.wrong++;
			continue;
		}
		fd = kmm_shm_open(dev, race_name(&seed), CREATE, 0600, 4 * PAGE, 0);
		close(dev);
		if (fd >= 0)
			close(fd);
		else
			race.wrong++;
	}
	return NULL;
}

static void race_forget(int dev)
{
	kmm_shm_unlink(dev, "race a");
	kmm_shm_unlink(dev, "race b");
	kmm_shm_unlink(dev, "race c");
}

/* The handler of SIGBUS jumps to one place: one thread of a process faults, and no other. */
TEST_F_TIMEOUT(kmm, open_and_unlink_race, 120)
{
	pthread_t t[2];
	pid_t pid[2];

	race.dev = self->dev;
	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			uint64_t end = now_ms() + env_number("KMM_RACE_MS", 1000);
			pthread_t mine;

			pthread_create(&mine, NULL, open_thread, (void *)(uintptr_t)i);
			while (now_ms() < end)
				sleep_ms(10);
			race.stop = true;
			pthread_join(mine, NULL);
			_exit(race.wrong ? 1 : 0);
		}
	}
	race.stop = false;
	race.wrong = 0;
	ASSERT_EQ(0, pthread_create(&t[0], NULL, unlink_thread, NULL));
	ASSERT_EQ(0, pthread_create(&t[1], NULL, session_thread, NULL));
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, wait_child(pid[i]));
	race.stop = true;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	EXPECT_EQ(0, race.wrong);
	race_forget(self->dev);
}

/* EXCL lets exactly one of many in. */
TEST_F(kmm, one_of_many_creates)
{
	int go[2], won = 0;
	pid_t pid[4];

	ASSERT_EQ(0, pipe(go));
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 4; i++) {
			pid[i] = fork();
			ASSERT_LE(0, pid[i]);
			if (!pid[i]) {
				int dev = kmm_open(), fd;
				char c;

				if (read(go[0], &c, 1) != 1)
					_exit(2);
				fd = kmm_shm_open(dev, "one", EXCL, 0600, PAGE, 0);
				_exit(fd >= 0 ? 1 : fd == -EEXIST ? 0 : 3);
			}
		}
		ASSERT_EQ(4, write(go[1], "gggg", 4));
		won = 0;
		for (int i = 0; i < 4; i++) {
			int how = wait_child(pid[i]);

			EXPECT_LE(how, 1);
			won += how == 1;
		}
		EXPECT_EQ(1, won);
		EXPECT_EQ(0, kmm_shm_unlink(self->dev, "one"));
	}
	close(go[0]);
	close(go[1]);
}

/* Killed at any moment: what is left is the names, and these can be unlinked. */
TEST_F_TIMEOUT(kmm, killed, 1200)
{
	/* half of them here, half in gift */
	unsigned long kills = env_number("KMM_KILLS", 40) / 2;
	uint64_t seed = seed_from_env();
	pid_t pid[2];

	for (unsigned long i = 0; i < kills; i += 2) {
		for (int k = 0; k < 2; k++) {
			pid[k] = fork();
			ASSERT_LE(0, pid[k]);
			if (!pid[k]) {
				pthread_t t[2];

				race.stop = false;
				race.dev = kmm_open();
				pthread_create(&t[0], NULL, unlink_thread, NULL);
				pthread_create(&t[1], NULL, session_thread, NULL);
				open_thread((void *)(uintptr_t)(i + k));
				_exit(1);
			}
		}
		sleep_ms(next_random(&seed) % 40 + 5);
		for (int k = 0; k < 2; k++)
			kill(pid[k], SIGKILL);
		for (int k = 0; k < 2; k++)
			ASSERT_EQ(256 + SIGKILL, wait_child(pid[k]));
	}
	race_forget(self->dev);
}

/* === Copies through pipes of the host === */

TEST_F(kmm, splice_copies)
{
	int a = kmm_object_create(self->dev, 20 * PAGE + 5, 0);
	int b = kmm_object_create(self->dev, 20 * PAGE + 5, 0), ro, w[2];
	char buf[64], *p;
	struct kmm_stat s;
	off_t off;

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	ASSERT_EQ(0, pipe(w));
	ASSERT_EQ(5, pwrite(a, "hello", 5, 3 * PAGE - 2));
	ASSERT_EQ(3, pwrite(a, "end", 3, 20 * PAGE + 2));
	/* all of it, holes as zeros */
	off = 0;
	for (off_t at = 0; at < (off_t)(20 * PAGE + 5);) {
		ssize_t n = sendfile(b, a, &off, 100 * PAGE);

		ASSERT_LT(0, n);
		at += n;
		EXPECT_EQ(at, off);
	}
	EXPECT_EQ(5, pread(b, buf, 5, 3 * PAGE - 2));
	EXPECT_EQ(0, memcmp(buf, "hello", 5));
	EXPECT_EQ(3, pread(b, buf, 3, 20 * PAGE + 2));
	EXPECT_EQ(0, memcmp(buf, "end", 3));

	/* what is in the pipe is a copy: it neither changes nor holds a frame */
	off = 3 * PAGE - 2;
	ASSERT_EQ(5, splice(a, &off, w[1], NULL, 5, 0));
	ASSERT_EQ(5, pwrite(a, "later", 5, 3 * PAGE - 2));
	ASSERT_EQ(0, fallocate(a, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 20 * PAGE));
	ASSERT_EQ(0, kmm_get_stat(self->dev, KMM_STAT_EXACT, &s));
	EXPECT_EQ(self->before.quarantined, s.quarantined);
	/* so a seal against writes is not in its way */
	EXPECT_EQ(0, kmm_object_seal(a, KMM_SEAL_WRITE, NULL));
	off = PAGE;
	ASSERT_EQ(5, splice(w[0], NULL, b, &off, 5, 0));
	EXPECT_EQ(5, pread(b, buf, 5, PAGE));
	EXPECT_EQ(0, memcmp(buf, "hello", 5));

	/* seals and read-only descriptors hold for splice and sendfile */
	ASSERT_EQ(5, write(w[1], "12345", 5));
	off = 0;
	EXPECT_EQ(EPERM, ERR(splice(w[0], NULL, a, &off, 5, 0)));
	off = 0;
	EXPECT_EQ(EPERM, ERR(sendfile(a, b, &off, 5)));
	ro = kmm_object_reopen(b, KMM_REOPEN_RDONLY);
	ASSERT_LE(0, ro);
	off = 0;
	EXPECT_EQ(EBADF, ERR(splice(w[0], NULL, ro, &off, 5, 0)));
	EXPECT_EQ(5, read(w[0], buf, sizeof(buf)));
	/* behind the end */
	ASSERT_EQ(5, write(w[1], "12345", 5));
	off = 20 * PAGE + 5;
	EXPECT_EQ(ENOSPC, ERR(splice(w[0], NULL, b, &off, 5, 0)));
	off = 20 * PAGE + 5;
	EXPECT_EQ(0, splice(b, &off, w[1], NULL, 5, 0));
	/* tee and a mapping: nothing of the object is in there either */
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
	EXPECT_NE(MAP_FAILED, p);
	munmap(p, PAGE);
	close(w[0]);
	close(w[1]);
	close(ro);
	close(a);
	close(b);
}

TEST_HARNESS_MAIN
