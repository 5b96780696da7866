// SPDX-License-Identifier: GPL-2.0-only
/*
 * demo: kmm memory from a user program, step by step.
 *
 * Makes a memory object, maps it, shares it with a child, hands out a read-only descriptor,
 * seals it, punches a hole, and looks after each step at what the region says. Build:
 *
 *	gcc demo.c -I../../include/uapi -I../lib -L../../build -lkmm -pthread -o demo
 *
 * Exit status 0 when everything came out as the text says, else 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libkmm.h"

#define MIB	(1UL << 20)
#define PAGE	4096UL

static int step_nr;

__attribute__((format(printf, 1, 2)))
static void step(const char *fmt, ...)
{
	va_list ap;

	printf("\n%d. ", ++step_nr);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

/* Ends the demo when something is not as it should be. */
static void must(int ok, const char *what)
{
	if (ok)
		return;
	fflush(stdout);
	fprintf(stderr, "demo: %s: %s\n", what, errno ? strerror(errno) : "failed");
	exit(1);
}

static void show_object(int obj)
{
	struct kmm_object_info i;

	must(!kmm_object_info(obj, &i), "object info");
	printf("   object %llu: size %llu KiB, %llu frames resident\n", i.id, i.size_bytes / 1024,
	       i.resident);
}

static void show_region(int dev)
{
	struct kmm_stat s;

	must(!kmm_get_stat(dev, KMM_STAT_EXACT, &s), "stat");
	printf("   region: %llu used + %llu free + %llu cached + %llu quarantined", s.used, s.free,
	       s.cached, s.quarantined);
	printf(" + %llu metadata = %llu frames\n", s.metadata, s.total);
	must(s.used + s.free + s.cached + s.lazy + s.quarantined + s.metadata == s.total,
	     "the sum of the region");
}

static void wait_for(pid_t pid)
{
	int status;

	must(waitpid(pid, &status, 0) == pid, "waitpid");
	errno = 0;
	must(WIFEXITED(status) && !WEXITSTATUS(status), "the child");
}

int main(void)
{
	struct kmm_stat before, after;
	struct kmm_info info;
	int dev, obj, ro, sem_obj;
	sem_t *sem;
	pid_t pid;
	char *p;

	setvbuf(stdout, NULL, _IOLBF, 0);
	dev = kmm_open();
	if (dev < 0) {
		const char *why = kmm_explain_open(dev);

		fprintf(stderr, "demo: %s\n", why ? why : strerror(-dev));
		return 1;
	}
	must(!kmm_get_info(dev, &info), "info");
	must(!kmm_get_stat(dev, KMM_STAT_EXACT, &before), "stat");
	printf("kmm %s manages %llu MiB that provider %s took from the kernel.\n", info.version,
	       info.region_bytes / MIB, info.provider);
	show_region(dev);

	step("Create a memory object of 1 MiB. It is a file descriptor, and has no memory yet.");
	obj = kmm_object_create(dev, MIB, 0);
	must(obj >= 0, "create");
	show_object(obj);

	step("Map it and write to three of its pages. Each first touch brings in one frame.");
	p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	must(p != MAP_FAILED, "mmap");
	strcpy(p, "written by the parent");
	p[10 * PAGE] = 'x';
	p[200 * PAGE] = 'y';
	show_object(obj);
	show_region(dev);

	step("Fork. The child sees the same memory and writes an answer.");
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid) {
		printf("   child reads:  \"%s\"\n", p);
		strcpy(p + PAGE, "written by the child");
		_exit(0);
	}
	wait_for(pid);
	printf("   parent reads: \"%s\"\n", p + PAGE);
	must(!strcmp(p + PAGE, "written by the child"), "sharing");

	step("Give somebody a descriptor that can only read, and try to cheat with it.");
	ro = kmm_object_reopen(obj, KMM_REOPEN_RDONLY);
	must(ro >= 0, "reopen");
	must(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0) == MAP_FAILED,
	     "a writable mapping was granted");
	printf("   writable mmap: %s\n", strerror(errno));
	must(pwrite(ro, "x", 1, 0) < 0, "a write was granted");
	printf("   write:         %s\n", strerror(errno));
	close(ro);

	step("Punch a hole: the frame goes back to the region, the page reads as zeros.");
	must(!fallocate(obj, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 200 * PAGE, PAGE),
	     "punch");
	must(p[200 * PAGE] == 0, "zeros in the hole");
	must(!fallocate(obj, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 200 * PAGE, PAGE),
	     "punch");
	show_object(obj);

	step("Unmap it and seal it against writing, for good.");
	munmap(p, MIB);
	must(!kmm_object_seal(obj, KMM_SEAL_WRITE | KMM_SEAL_SEAL, NULL), "seal");
	must(pwrite(obj, "x", 1, 0) < 0, "a write to a sealed object was granted");
	printf("   write:         %s\n", strerror(errno));

	step("A LOCKED object never loses its frames: a semaphore in it works between processes.");
	sem_obj = kmm_object_create(dev, sizeof(*sem), KMM_OBJECT_LOCKED);
	must(sem_obj >= 0, "create locked");
	sem = mmap(NULL, sizeof(*sem), PROT_READ | PROT_WRITE, MAP_SHARED, sem_obj, 0);
	must(sem != MAP_FAILED, "mmap locked");
	must(!sem_init(sem, 1, 0), "sem_init");
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid) {
		usleep(100000);
		puts("   child: posts the semaphore");
		_exit(sem_post(sem) ? 1 : 0);
	}
	must(!sem_wait(sem), "sem_wait");
	puts("   parent: was woken");
	wait_for(pid);
	munmap(sem, sizeof(*sem));
	close(sem_obj);

	step("Mapping /dev/kmm itself gives anonymous shared memory, as /dev/zero does.");
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dev, 0);
	must(p != MAP_FAILED, "mmap of the device");
	must(p[0] == 0, "zeros");
	memset(p, 'z', 4 * PAGE);
	show_region(dev);
	munmap(p, 4 * PAGE);

	step("Close everything: every frame is home again.");
	close(obj);
	/* An inode's end comes a moment after its last close. */
	for (int i = 0; i < 200; i++) {
		must(!kmm_get_stat(dev, KMM_STAT_EXACT, &after), "stat");
		if (after.used == before.used)
			break;
		usleep(10000);
	}
	show_region(dev);
	errno = 0;
	must(after.used == before.used, "a frame was lost");
	close(dev);
	puts("\ndemo: all as it should be.");
	return 0;
}
