// SPDX-License-Identifier: GPL-2.0-only
/* Process-shared mutexes and semaphores in a LOCKED object. */
#include <semaphore.h>

#include "kmm_test.h"

#define ROUNDS		2000
#define NR_CHILDREN	3

struct shared {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	sem_t ping, pong;
	volatile long counter;
	volatile int turn;
};

static struct shared *map_locked(int dev, int *obj)
{
	*obj = kmm_object_create(dev, sizeof(struct shared), KMM_OBJECT_LOCKED);
	if (*obj < 0)
		return MAP_FAILED;
	return mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, *obj, 0);
}

static int init_shared(struct shared *s, bool robust)
{
	pthread_mutexattr_t m;
	pthread_condattr_t c;

	pthread_mutexattr_init(&m);
	pthread_mutexattr_setpshared(&m, PTHREAD_PROCESS_SHARED);
	if (robust)
		pthread_mutexattr_setrobust(&m, PTHREAD_MUTEX_ROBUST);
	pthread_condattr_init(&c);
	pthread_condattr_setpshared(&c, PTHREAD_PROCESS_SHARED);
	return pthread_mutex_init(&s->mutex, &m) || pthread_cond_init(&s->cond, &c) ||
	       sem_init(&s->ping, 1, 0) || sem_init(&s->pong, 1, 0);
}

TEST_F(kmm, mutex_between_processes)
{
	pid_t pid[NR_CHILDREN];
	struct shared *s;
	int obj;

	s = map_locked(self->dev, &obj);
	ASSERT_NE(MAP_FAILED, s);
	ASSERT_EQ(0, init_shared(s, false));
	for (int i = 0; i < NR_CHILDREN; i++) {
		pid[i] = fork();
		ASSERT_LE(0, pid[i]);
		if (!pid[i]) {
			for (int n = 0; n < ROUNDS; n++) {
				if (pthread_mutex_lock(&s->mutex))
					_exit(1);
				long v = s->counter;

				if (n % 64 == 0)
					sched_yield();	/* with the mutex held: others must wait */
				s->counter = v + 1;
				if (pthread_mutex_unlock(&s->mutex))
					_exit(2);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < NR_CHILDREN; i++)
		EXPECT_EQ(0, wait_child(pid[i]));
	EXPECT_EQ(NR_CHILDREN * ROUNDS, s->counter);
	munmap(s, sizeof(*s));
	close(obj);
}

TEST_F(kmm, semaphores_between_processes)
{
	struct shared *s;
	pid_t pid;
	int obj;

	s = map_locked(self->dev, &obj);
	ASSERT_NE(MAP_FAILED, s);
	ASSERT_EQ(0, init_shared(s, false));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		for (int n = 0; n < ROUNDS; n++) {
			if (sem_wait(&s->ping) || s->counter != 2 * n + 1)
				_exit(1);
			s->counter++;
			if (sem_post(&s->pong))
				_exit(2);
		}
		_exit(0);
	}
	for (int n = 0; n < ROUNDS; n++) {
		s->counter++;
		ASSERT_EQ(0, sem_post(&s->ping));
		ASSERT_EQ(0, sem_wait(&s->pong));
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(2 * ROUNDS, s->counter);
	munmap(s, sizeof(*s));
	close(obj);
}

/* Mapped at two addresses: the futex is the object's, not the address's. */
TEST_F(kmm, condition_over_separate_mappings)
{
	struct shared *s;
	pid_t pid;
	int obj;

	s = map_locked(self->dev, &obj);
	ASSERT_NE(MAP_FAILED, s);
	ASSERT_EQ(0, init_shared(s, false));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		munmap(s, sizeof(*s));
		mmap(NULL, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
		if (s == MAP_FAILED)
			_exit(1);
		pthread_mutex_lock(&s->mutex);
		while (s->turn != 1)
			pthread_cond_wait(&s->cond, &s->mutex);
		s->turn = 2;
		pthread_cond_broadcast(&s->cond);
		pthread_mutex_unlock(&s->mutex);
		_exit(0);
	}
	sleep_ms(50);
	pthread_mutex_lock(&s->mutex);
	s->turn = 1;
	pthread_cond_broadcast(&s->cond);
	while (s->turn != 2)
		pthread_cond_wait(&s->cond, &s->mutex);
	pthread_mutex_unlock(&s->mutex);
	EXPECT_EQ(0, wait_child(pid));
	munmap(s, sizeof(*s));
	close(obj);
}

/* The kernel writes the owner-died mark through the dead process's mapping. */
TEST_F(kmm, robust_mutex_of_a_killed_process)
{
	struct shared *s;
	pid_t pid;
	int obj;

	s = map_locked(self->dev, &obj);
	ASSERT_NE(MAP_FAILED, s);
	ASSERT_EQ(0, init_shared(s, true));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		pthread_mutex_lock(&s->mutex);
		s->turn = 1;
		for (;;)
			pause();
	}
	while (s->turn != 1)
		sleep_ms(1);
	kill(pid, SIGKILL);
	EXPECT_EQ(256 + SIGKILL, wait_child(pid));
	EXPECT_EQ(EOWNERDEAD, pthread_mutex_lock(&s->mutex));
	EXPECT_EQ(0, pthread_mutex_consistent(&s->mutex));
	EXPECT_EQ(0, pthread_mutex_unlock(&s->mutex));
	munmap(s, sizeof(*s));
	close(obj);
}

/* mmap of a LOCKED object maps all of it: no page of it can fault later. */
TEST_F(kmm, locked_is_mapped_at_once)
{
	const size_t pages = 64;
	int obj = kmm_object_create(self->dev, pages * PAGE, KMM_OBJECT_LOCKED), fd;
	uint64_t entry;
	char *p;

	ASSERT_LE(0, obj);
	p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	ASSERT_NE(MAP_FAILED, p);
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	for (size_t i = 0; i < pages; i++) {
		ASSERT_EQ(8, pread(fd, &entry, 8, ((uintptr_t)p / PAGE + i) * 8));
		EXPECT_NE(0, entry >> 63) TH_LOG("page %zu", i);
	}
	close(fd);
	munmap(p, pages * PAGE);
	close(obj);
}

TEST_HARNESS_MAIN
