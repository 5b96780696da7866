// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that are killed at a random moment of whatever they do with kmm leave nothing behind.
 * KMM_KILLS: how many (40). KMM_SEED repeats a run.
 */
#include "kmm_test.h"

#define PAGES	256

/* An operation of any kind; many are refused. */
static struct kmm_op random_op(uint64_t *seed)
{
	struct kmm_op op = {
		.kind = next_random(seed) % (KMM_OP_VFREE + 1), .slot = next_random(seed) % 100,
	};

	if (op.kind == KMM_OP_CACHE_CREATE)
		op.arg = KMM_CACHE_ARG(1 + next_random(seed) % 4000, next_random(seed) % 16, 0);
	else if (op.kind == KMM_OP_CACHE_ALLOC)
		op.arg = next_random(seed) % 100;
	else if (op.kind == KMM_OP_KMALLOC)
		op.arg = 1 + next_random(seed) % 20000;
	else if (op.kind == KMM_OP_VMALLOC)
		op.arg = KMM_VMALLOC_ARG(1 + next_random(seed) % 100000, next_random(seed) % 8);
	return op;
}

/* Everything at once, for ever. */
static void __attribute__((noreturn)) live(uint64_t seed)
{
	int dev = kmm_open(), obj[8], sock[2], n;
	struct kmm_op op[64];
	char *p[8];

	if (dev < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock))
		_exit(1);
	for (n = 0; n < 8; n++) {
		obj[n] = kmm_object_create(dev, PAGES * PAGE, n == 7 ? KMM_OBJECT_LOCKED :
					   n & 1 ? KMM_OBJECT_EAGER : 0);
		if (obj[n] < 0)
			_exit(2);
		p[n] = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, obj[n], 0);
		if (p[n] == MAP_FAILED)
			_exit(3);
	}
	for (;;) {
		n = next_random(&seed) % 8;
		switch (next_random(&seed) % 9) {
		case 0:
			memset(p[n], 'k', PAGES * PAGE);
			break;
		case 1:
			fallocate(obj[n], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				  next_random(&seed) % PAGES * PAGE);
			break;
		case 2:
			for (int i = 0; i < 64; i++)
				op[i] = random_op(&seed);
			kmm_ops(dev, op, 64, KMM_OPS_KEEP_GOING, NULL);
			break;
		case 3:
			munmap(p[n], PAGES * PAGE);
			close(obj[n]);
			obj[n] = kmm_object_create(dev, PAGES * PAGE, KMM_OBJECT_EAGER);
			p[n] = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
				    obj[n], 0);
			if (p[n] == MAP_FAILED)
				_exit(4);
			break;
		case 4:
			(void)!pwrite(obj[n], p[(n + 1) % 8], PAGES * PAGE, 0);
			break;
		case 5: {
			int ro = kmm_object_reopen(obj[n], KMM_REOPEN_RDONLY);

			mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
			close(ro);
			break;
		}
		case 6: {
			char control[CMSG_SPACE(sizeof(int))] = "", byte = 'x';
			struct iovec v = { &byte, 1 };
			struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
					    .msg_controllen = sizeof(control) };
			struct cmsghdr *c = CMSG_FIRSTHDR(&m);

			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(c), &obj[n], sizeof(int));
			sendmsg(sock[0], &m, MSG_DONTWAIT);
			break;
		}
		case 7: {
			int w[2];
			struct iovec v = { p[n], 4 * PAGE };

			/* Pinned frames die with the pipe. */
			if (!pipe(w))
				(void)!vmsplice(w[1], &v, 1, SPLICE_F_NONBLOCK);
			close(w[0]);
			close(w[1]);
			break;
		}
		case 8: {
			char *q = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, dev, 0);

			if (q != MAP_FAILED)
				memset(q, 1, 16 * PAGE);
			break;
		}
		}
	}
}

TEST_F_TIMEOUT(kmm, leaves_nothing, 1800)
{
	unsigned long kills = env_number("KMM_KILLS", 40);
	uint64_t seed = seed_from_env();
	pid_t pid[2];

	for (unsigned long i = 0; i < kills; i += 2) {
		for (int k = 0; k < 2; k++) {
			uint64_t child_seed = seed ^ ((i + k + 1) * 0x9e3779b97f4a7c15ULL);

			pid[k] = fork();
			ASSERT_LE(0, pid[k]);
			if (!pid[k])
				live(child_seed);
		}
		sleep_ms(next_random(&seed) % 80 + 5);
		for (int k = 0; k < 2; k++)
			kill(pid[k], SIGKILL);
		for (int k = 0; k < 2; k++) {
			int how = wait_child(pid[k]);

			ASSERT_EQ(256 + SIGKILL, how) TH_LOG("kill %lu: ended by itself", i + k);
		}
		if (i % 10 == 0) {
			ASSERT_TRUE(wait_used(self->dev, self->before.used)) TH_LOG("kill %lu", i);
		}
	}
}

TEST_HARNESS_MAIN
