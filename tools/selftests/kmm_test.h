/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites share: the fixture with the leak check, small helpers.
 *
 * Every test of the fixture "kmm" begins with an exact reading of the region and ends
 * with another: the same frames must be used, quarantined and free, the same objects
 * must live, and the caller must be charged the same host memory. Freeing ends a little
 * after the close() that caused it (task work, RCU), so the second reading is repeated for
 * LEAK_WAIT_MS before the difference counts.
 */
#ifndef _KMM_TEST_H
#define _KMM_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/falloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"

/* The harness gives a test 30 s; a debug kernel under emulation on a busy machine needs more. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 180

#include "libkmm.h"

#define PAGE		4096UL
#define LEAK_WAIT_MS	5000
#define ALL_FLAGS	(KMM_OBJECT_EAGER | KMM_OBJECT_CONTIG | KMM_OBJECT_LOCKED)

static inline void __attribute__((unused)) sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

static inline uint64_t __attribute__((unused)) now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

/* Load a module: @name beside kmm.ko, or, NULL, that one. 0 or a negative errno. */
static inline int __attribute__((unused)) insert_module(const char *name, const char *params)
{
	const char *ko = getenv("KMM_KO") ?: "kmm.ko", *base = strrchr(ko, '/');
	char path[PATH_MAX];
	int fd, ret;

	snprintf(path, sizeof(path), "%.*s%s", base ? (int)(base - ko) + 1 : 0, ko,
		 name ?: base ? base + 1 : ko);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, params, 0) ? -errno : 0;
	close(fd);
	return ret;
}

/*
 * Called before the threads of a test start that switch a static key while others run into it.
 * QEMU's TCG before 8.1 (its commit deba78709ae8) may keep the translation of a breakpoint that the
 * kernel has already replaced, if another CPU writes while it is made: that CPU then takes int3
 * for ever. Of the version the guest sees nothing. So under TCG, whichever, the threads share a
 * CPU, and it is said; elsewhere they do not.
 */
static inline void __attribute__((unused)) share_a_cpu_under_tcg(void)
{
	char line[256];
	FILE *f = fopen("/proc/cpuinfo", "re");
	cpu_set_t one;
	bool tcg = false;

	while (f && !tcg && fgets(line, sizeof(line), f))
		tcg = strstr(line, "QEMU TCG");
	if (f)
		fclose(f);
	if (!tcg)
		return;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (!sched_setaffinity(0, sizeof(one), &one))
		fprintf(stderr, "# QEMU's TCG: the threads of this test share a CPU\n");
}

/* 0, or the errno of the last call, as "x < 0 ? errno : 0" for syscalls. */
#define ERR(call) ((long)(call) == -1 ? errno : 0)

/* errno of an mmap, 0 and unmapped again when it succeeds. */
static inline int __attribute__((unused))
mmap_err(size_t len, int prot, int flags, int fd, off_t off)
{
	void *p = mmap(NULL, len, prot, flags, fd, off);

	if (p == MAP_FAILED)
		return errno;
	munmap(p, len);
	return 0;
}

static inline bool __attribute__((unused)) all_bytes(const void *p, int c, size_t n)
{
	const unsigned char *b = p;

	for (size_t i = 0; i < n; i++)
		if (b[i] != (unsigned char)c)
			return false;
	return true;
}

static inline uint64_t __attribute__((unused)) stat_sum(const struct kmm_stat *s)
{
	return s->free + s->cached + s->lazy + s->quarantined + s->used + s->guard + s->metadata;
}

/* An argument of this run: environment variable, else the default. */
static inline unsigned long __attribute__((unused))
env_number(const char *name, unsigned long other)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : other;
}

/* The number in a row "NAME VALUE" or "NAME: VALUE" of a file; -1: there is no such row. */
static inline long long __attribute__((unused)) row_of(const char *path, const char *name)
{
	FILE *f = fopen(path, "re");
	size_t len = strlen(name);
	long long value = -1;
	char line[256], *end;

	while (f && value < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len) && (line[len] == ':' || line[len] == ' ')) {
			value = strtoll(line + len + 1, &end, 10);
			if (*end != '\n')
				value = -1;
		}
	if (f)
		fclose(f);
	return value;
}

/* Random numbers that the seed repeats; the seed is printed and taken from KMM_SEED. */
static inline uint64_t __attribute__((unused)) seed_from_env(void)
{
	uint64_t seed = env_number("KMM_SEED", 0);
	struct timespec t;

	if (!seed) {
		clock_gettime(CLOCK_REALTIME, &t);
		seed = (t.tv_nsec ^ ((uint64_t)getpid() << 32)) | 1;
	}
	printf("# KMM_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	return seed;
}

static inline uint32_t __attribute__((unused)) next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 24;
}

/* === The signal that a touch raises === */

static sigjmp_buf touch_env;

static void touch_handler(int sig)
{
	siglongjmp(touch_env, sig);
}

/* 0, SIGBUS or SIGSEGV: what reading (or writing) a byte at p does. */
static inline int __attribute__((unused)) touch(volatile char *p, bool write)
{
	struct sigaction sa = { .sa_handler = touch_handler }, bus, segv;
	int sig;

	sigaction(SIGBUS, &sa, &bus);
	sigaction(SIGSEGV, &sa, &segv);
	sig = sigsetjmp(touch_env, 1);
	if (!sig) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, &segv, NULL);
	return sig;
}

/* === Exit status of a child === */

static inline int __attribute__((unused)) wait_child(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* === An ordinary user === */

#define NOBODY	65534

/* In the child: an ordinary user from here on, with many descriptors allowed. */
static inline void __attribute__((unused)) become_nobody(unsigned long nofile)
{
	struct rlimit r = { nofile, nofile };

	if (setrlimit(RLIMIT_NOFILE, &r) || setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		_exit(100);
}

/* === Descriptors over a unix socket, up to 8 === */

static inline int __attribute__((unused)) send_fds(int sock, const int *fd, int nr)
{
	char control[CMSG_SPACE(8 * sizeof(int))] = "", byte = 'x';
	struct iovec v = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = CMSG_SPACE(nr * sizeof(int)),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(nr * sizeof(int));
	memcpy(CMSG_DATA(c), fd, nr * sizeof(int));
	return sendmsg(sock, &m, 0) == 1 ? 0 : -errno;
}

static inline int __attribute__((unused)) receive_fds(int sock, int *fd, int nr)
{
	char control[CMSG_SPACE(8 * sizeof(int))], byte;
	struct iovec v = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &v, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;

	if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC) != 1)
		return -errno;
	c = CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_len != CMSG_LEN(nr * sizeof(int)))
		return -EPROTO;
	memcpy(fd, CMSG_DATA(c), nr * sizeof(int));
	return 0;
}

/* === The leak check === */

static inline bool __attribute__((unused))
same_frames(const struct kmm_stat *a, const struct kmm_stat *b)
{
	return a->used == b->used && a->quarantined == b->quarantined &&
	       a->free + a->cached + a->lazy == b->free + b->cached + b->lazy &&
	       a->objects == b->objects && a->user_frames == b->user_frames &&
	       a->user_objects == b->user_objects && a->user_host_bytes == b->user_host_bytes &&
	       a->user_names == b->user_names;
}

static inline void __attribute__((unused))
print_stat(const char *when, const struct kmm_stat *s)
{
	printf("# %s: total %llu metadata %llu free %llu cached %llu lazy %llu", when, s->total,
	       s->metadata, s->free, s->cached, s->lazy);
	printf(" quarantined %llu used %llu objects %llu; user frames %llu objects %llu",
	       s->quarantined, s->used, s->objects, s->user_frames, s->user_objects);
	printf(" host bytes %llu names %llu\n", s->user_host_bytes, s->user_names);
	fflush(stdout);
}

/*
 * What caches of objects keep back goes to the buddy, so that frames can be counted. For
 * root with debugfs; who is neither compares what he sees.
 */
static inline void __attribute__((unused)) shrink_slabs(void)
{
	int fd = open("/sys/kernel/debug/kmm/slab_shrink", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		printf("# slab_shrink: %s\n", strerror(errno));
	close(fd);
}

/* The exact state, once it equals before, or as it is after LEAK_WAIT_MS. */
static inline int __attribute__((unused))
settle(int dev, const struct kmm_stat *before, struct kmm_stat *now)
{
	uint64_t end = now_ms() + LEAK_WAIT_MS;
	int ret;

	do {
		shrink_slabs();
		ret = kmm_get_stat(dev, KMM_STAT_EXACT, now);
		if (ret < 0 || same_frames(before, now))
			return ret;
		sleep_ms(5);
	} while (now_ms() < end);
	return ret;
}

/* Waits until so many frames are used; false after LEAK_WAIT_MS. */
static inline bool __attribute__((unused)) wait_used(int dev, uint64_t used)
{
	uint64_t end = now_ms() + LEAK_WAIT_MS;
	struct kmm_stat s;

	do {
		shrink_slabs();
		if (kmm_get_stat(dev, KMM_STAT_EXACT, &s) < 0)
			return false;
		if (s.used == used)
			return true;
		sleep_ms(5);
	} while (now_ms() < end);
	return false;
}

/*
 * probe only reads, before the first and after the last descriptor of the test; dev is the
 * test's own and closed before the second reading, because its slot table costs host memory.
 */
FIXTURE(kmm) {
	int probe;
	int dev;
	struct kmm_stat before;
};

FIXTURE_SETUP(kmm)
{
	self->probe = kmm_open();
	if (self->probe < 0) {
		const char *why = kmm_explain_open(self->probe);

		TH_LOG("%s", why ? why : strerror(-self->probe));
	}
	ASSERT_LE(0, self->probe);
	shrink_slabs();
	ASSERT_EQ(0, kmm_get_stat(self->probe, KMM_STAT_EXACT, &self->before));
	self->dev = kmm_open();
	ASSERT_LE(0, self->dev);
}

FIXTURE_TEARDOWN(kmm)
{
	struct kmm_stat now;

	close(self->dev);
	EXPECT_EQ(0, settle(self->probe, &self->before, &now));
	EXPECT_EQ(now.total, stat_sum(&now));
	EXPECT_EQ(self->before.total, now.total);
	EXPECT_EQ(self->before.metadata, now.metadata);
	EXPECT_TRUE(same_frames(&self->before, &now)) {
		print_stat("before", &self->before);
		print_stat("after", &now);
	}
	close(self->probe);
}

#endif /* _KMM_TEST_H */
