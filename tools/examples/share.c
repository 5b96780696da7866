// SPDX-License-Identifier: GPL-2.0-only
/*
 * share: two processes find an object by its name and work in it; then its pages are given away.
 *
 * The parent makes an object with a name. The child, which could be any other program, opens it
 * by the name and writes into it. Then the parent gives the pages to an object of its own,
 * without a copy: the child's mapping shows zeros from that moment on. Build:
 *
 *	gcc share.c -I../../include/uapi -I../lib -L../../build -lkmm -o share
 *
 * Exit status 0 when everything came out as the text says, else 1.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libkmm.h"

#define NAME	"kmm share example"
#define SIZE	(1UL << 20)

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "share: %s: %s\n", what, errno ? strerror(errno) : "failed");
	exit(1);
}

static char *map(int obj)
{
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);

	must(p != MAP_FAILED, "mmap");
	return p;
}

/* Another program: it knows nothing but the name. */
static int child(int to_parent, int from_parent)
{
	int dev = kmm_open(), obj = kmm_shm_open(dev, NAME, 0, 0, 0, 0);
	char *p, c;

	must(dev >= 0 && obj >= 0, "open by name");
	p = map(obj);
	printf("child:  found it, reads \"%s\"\n", p);
	for (unsigned long at = 4096; at < SIZE; at += 4096)
		strcpy(p + at, "from the child");
	puts("child:  has written 255 pages");
	fflush(stdout);
	must(write(to_parent, "w", 1) == 1 && read(from_parent, &c, 1) == 1, "wait");
	printf("child:  looks again, reads \"%s\" and \"%s\": its mapping was revoked first\n", p,
	       p + 4096);
	return p[0] || p[4096];
}

int main(void)
{
	int dev = kmm_open(), obj, own, up[2], down[2], status;
	struct kmm_object_gift g;
	char *p, c;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (dev < 0) {
		const char *why = kmm_explain_open(dev);

		fprintf(stderr, "share: %s\n", why ? why : strerror(-dev));
		return 1;
	}
	kmm_shm_unlink(dev, NAME);
	obj = kmm_shm_open(dev, NAME, KMM_SHM_CREATE | KMM_SHM_EXCL, 0600, SIZE, 0);
	must(obj >= 0, "create");
	strcpy(map(obj), "from the parent");
	printf("parent: made \"%s\", 1 MiB\n", NAME);
	must(!pipe(up) && !pipe(down), "pipe");
	pid = fork();
	must(pid >= 0, "fork");
	if (!pid)
		_exit(child(up[1], down[0]));
	close(up[1]);
	must(read(up[0], &c, 1) == 1, "the child");

	own = kmm_object_create(dev, SIZE, 0);
	must(own >= 0, "create");
	p = map(own);
	must(!kmm_object_gift(obj, 0, own, 0, SIZE, &g), "gift");
	printf("parent: took it as a gift: %llu frames moved, %llu copied\n", g.moved, g.copied);
	printf("parent: reads \"%s\" and \"%s\"\n", p, p + 4096);
	errno = 0;
	must(g.moved + g.copied == 256 && !strcmp(p + SIZE - 4096, "from the child"), "contents");
	must(write(down[1], "g", 1) == 1, "wake");
	must(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status),
	     "the child");
	must(!kmm_shm_unlink(dev, NAME), "unlink");
	puts("parent: unlinked the name; all as it should be");
	return 0;
}
