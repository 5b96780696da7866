// SPDX-License-Identifier: GPL-2.0-only
/*
 * chat: two processes talk through message queues of kmm, found by name, and one hands the
 * other a picture of 1 MiB without a copy.
 *
 * Build:
 *	gcc chat.c -I../../include/uapi -I../lib -L../../build -lkmm -o chat
 *
 * Exit status 0 when everything came out as the text says, else 1.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libkmm.h"

#define TO_BOB	"chat-to-bob"
#define TO_ANN	"chat-to-ann"
#define PICTURE	(1UL << 20)

static void must(int ret, const char *what)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "chat: %s: %s\n", what, strerror(-ret));
	exit(1);
}

static void expect(int true_, const char *what)
{
	if (true_)
		return;
	fprintf(stderr, "chat: not so: %s\n", what);
	exit(1);
}

static void say(int queue, const char *text, unsigned int prio)
{
	must(kmm_msgq_send(queue, text, strlen(text) + 1, prio, 0, 0), "send");
}

static void hear(int queue, const char *who, char *text)
{
	struct pollfd p = { .fd = queue, .events = POLLIN };
	uint32_t prio;

	expect(poll(&p, 1, 10000) == 1, "something comes within 10 s");
	must(kmm_msgq_receive(queue, text, PICTURE, &prio, KMM_MSG_NOWAIT, 0), "receive");
	printf("   %s hears (priority %2u): %s\n", who, prio, text);
	fflush(stdout);
}

/* The other one: knows the names and nothing else. */
static int bob(void)
{
	int dev = kmm_open(), in, out, obj;
	static char text[PICTURE];
	unsigned char *p;
	size_t i;

	must(dev, "/dev/kmm");
	in = kmm_msgq_open(dev, TO_BOB, KMM_MSGQ_READ, 0, 0, 0);
	out = kmm_msgq_open(dev, TO_ANN, KMM_MSGQ_WRITE, 0, 0, 0);
	must(in, TO_BOB);
	must(out, TO_ANN);
	/* urgent words overtake */
	for (i = 0; i < 3; i++)
		hear(in, "bob", text);
	say(out, "All heard. Send the picture.", 0);

	obj = kmm_object_create(dev, PICTURE, 0);
	must(obj, "object");
	must(kmm_msgq_receive_gift(in, obj, 0, PICTURE, NULL, 0, 0), "take the picture");
	p = mmap(NULL, PICTURE, PROT_READ, MAP_SHARED, obj, 0);
	expect(p != MAP_FAILED, "the object can be mapped");
	for (i = 0; i < PICTURE; i++)
		expect(p[i] == (unsigned char)(i / 4096 + 1), "the picture is whole");
	printf("   bob has the picture: %lu bytes, page for page\n", PICTURE);
	fflush(stdout);
	say(out, "Thanks.", 0);
	return 0;
}

int main(void)
{
	const uint32_t create = KMM_MSGQ_CREATE | KMM_MSGQ_EXCL;
	int dev = kmm_open(), in, out, obj, status;
	static char text[PICTURE];
	struct kmm_object_info i;
	unsigned char *p;
	size_t k;
	pid_t pid;

	must(dev, "/dev/kmm");
	/* names that an earlier run left when it was killed */
	kmm_msgq_unlink(dev, TO_BOB);
	kmm_msgq_unlink(dev, TO_ANN);
	out = kmm_msgq_open(dev, TO_BOB, KMM_MSGQ_WRITE | create, 0600, 10, PICTURE);
	in = kmm_msgq_open(dev, TO_ANN, KMM_MSGQ_READ | create, 0600, 10, 256);
	must(out, TO_BOB);
	must(in, TO_ANN);
	printf("1. ann says three things; bob has not come yet\n");
	say(out, "Hello, how are you?", 1);
	say(out, "I have a picture for you.", 1);
	say(out, "Fire!", 31);
	fflush(stdout);

	pid = fork();
	expect(pid >= 0, "fork");
	if (!pid)
		return bob();
	printf("2. bob opens the queues by name\n");
	hear(in, "ann", text);

	printf("3. ann gives a picture away: frames move, no byte is copied\n");
	obj = kmm_object_create(dev, PICTURE, 0);
	must(obj, "object");
	p = mmap(NULL, PICTURE, PROT_READ | PROT_WRITE, MAP_SHARED, obj, 0);
	expect(p != MAP_FAILED, "the object can be mapped");
	for (k = 0; k < PICTURE; k++)
		p[k] = k / 4096 + 1;
	must(kmm_msgq_send_gift(out, obj, 0, PICTURE, 0, 0, 0), "give the picture");
	must(kmm_object_info(obj, &i), "info");
	printf("   ann's object holds %llu frames now\n", i.resident);
	fflush(stdout);
	for (k = 0; k < PICTURE; k += 4096)
		expect(!p[k], "what was given reads as zeros");
	hear(in, "ann", text);
	expect(waitpid(pid, &status, 0) == pid && !status, "bob ended well");
	must(kmm_msgq_unlink(dev, TO_BOB), "unlink");
	must(kmm_msgq_unlink(dev, TO_ANN), "unlink");
	printf("4. the names are gone, and with the last descriptor the queues\n");
	return 0;
}
