// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm alloc: allocate blocks of pages by KMM_IOC_OPS, hold them, free them.
 *
 * Block i goes to slot i of this open file. The batch keeps going after a failure, so
 * the report says how many blocks there were; whatever is held is freed by operations
 * of its own, and would be by close() too if the command were killed.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

struct alloc_input {
	uint64_t order;
	uint64_t count;
	uint64_t hold;
	bool wait;
	uint16_t flags;
};

static error_t alloc_parse(int key, char *arg, struct argp_state *state)
{
	struct alloc_input *in = state->input;

	switch (key) {
	case 'o':
		if (!parse_number(arg, KMM_ORDER_MAX, &in->order))
			argp_error(state, "'%s' is no order: 0 .. %d", arg, KMM_ORDER_MAX);
		return 0;
	case 'c':
		if (!parse_number(arg, UINT32_MAX, &in->count) || !in->count)
			argp_error(state, "'%s' is no count of blocks", arg);
		return 0;
	case 'H':
		if (!parse_number(arg, 1 << 30, &in->hold))
			argp_error(state, "'%s' is no number of seconds", arg);
		return 0;
	case 'w':
		in->wait = true;
		return 0;
	case 'z':
		in->flags |= KMM_OP_ZERO;
		return 0;
	case 'a':
		in->flags |= KMM_OP_ATOMIC;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* All of ops in batches of what the kernel takes; counts failures and keeps the first. */
static int run(int fd, struct kmm_op *op, uint64_t nr, uint64_t *failed, int *first)
{
	*failed = 0;
	*first = 0;
	for (uint64_t at = 0; at < nr;) {
		uint32_t n = nr - at < KMM_OPS_MAX ? nr - at : KMM_OPS_MAX, bad = 0;
		int done = kmm_ops(fd, op + at, n, KMM_OPS_KEEP_GOING, &bad);

		if (done < 0)
			return done;
		for (int i = 0; i < done && bad && !*first; i++)
			*first = op[at + i].result;
		*failed += bad;
		at += done;
	}
	return 0;
}

static const char *advice(int err)
{
	switch (err) {
	case -ERANGE:
		return "A file has fewer slots: load kmm with a larger max_slots.";
	case -EDQUOT:
		return "A limit was reached: kmm info shows them.";
	case -ENOMEM:
		return "The region has no such block free: kmm frag shows what it has.";
	default:
		return "kmm.h says what the error means.";
	}
}

static void hold(const struct alloc_input *in)
{
	struct timespec now, end;
	char buf[256];

	if (in->wait) {
		while (read(STDIN_FILENO, buf, sizeof(buf)) > 0)
			;
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += in->hold;
	do {
		struct timespec nap = { .tv_sec = in->hold ? 1 : 0 };

		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > end.tv_sec ||
		    (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec))
			break;
		if (now.tv_sec == end.tv_sec)
			nap = (struct timespec){ .tv_nsec = end.tv_nsec - now.tv_nsec };
		nanosleep(&nap, NULL);
	} while (1);
}

int cmd_alloc(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "order", 'o', "N", 0, "Blocks of 2^N pages, 0 .. 10 (0)", 0 },
		{ "count", 'c', "N", 0, "So many blocks (1)", 0 },
		{ "hold", 'H', "SECONDS", 0, "Keep them so long before they are freed (0)", 0 },
		{ "wait", 'w', NULL, 0, "Keep them until standard input ends", 0 },
		{ "zero", 'z', NULL, 0, "Ask for zeroed pages", 0 },
		{ "atomic", 'a', NULL, 0, "Ask as GFP_ATOMIC: no waiting, more of the reserve", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = alloc_parse,
		.doc = "Allocate blocks of pages, report, and free them.\v"
		       "Exit status 1 when a block could not be had; those that could are held all "
		       "the same.\n\nExample: kmm alloc --order 3 --count 100 --hold 10",
	};
	struct alloc_input in = { .count = 1 };
	struct kmm_stat before, during, after;
	uint64_t failed = 0, free_failed = 0, got;
	int fd, ret, first = 0, free_first = 0;
	struct kmm_info info;
	struct json_object *j;
	struct kmm_op *op;
	uint64_t n = 0;

	parse_verb(&argp, o, argc, argv, 0, &in);
	fd = open_device();
	if (fd < 0)
		return EXIT_FAIL;
	op = calloc(in.count, sizeof(*op));
	if (!op) {
		complain(-ENOMEM, "%" PRIu64 " operations", in.count);
		close(fd);
		return EXIT_FAIL;
	}
	for (uint64_t i = 0; i < in.count; i++)
		op[i] = (struct kmm_op){
			.kind = KMM_OP_PAGES_ALLOC, .flags = in.flags, .slot = i, .arg = in.order,
		};
	ret = kmm_get_info(fd, &info);
	if (ret >= 0)
		ret = kmm_get_stat(fd, KMM_STAT_EXACT, &before);
	if (ret >= 0)
		ret = run(fd, op, in.count, &failed, &first);
	if (ret >= 0)
		ret = kmm_get_stat(fd, KMM_STAT_EXACT, &during);
	if (ret < 0) {
		complain(ret, "allocating failed");
		goto out;
	}
	got = in.count - failed;
	if (!o->json) {
		printf("allocated %" PRIu64 " block%s of order %" PRIu64 ", %s; ", got,
		       got == 1 ? "" : "s", in.order,
		       human_size(got * info.page_size << in.order));
		printf("used frames %llu -> %llu\n", before.used, during.used);
		fflush(stdout);
	}
	if (failed) {
		complain(first, "%" PRIu64 " of %" PRIu64 " blocks could not be had", failed,
			 in.count);
		fprintf(stderr, "     %s\n", advice(first));
	}
	hold(&in);
	for (uint64_t i = 0; i < in.count; i++)
		if (!op[i].result)
			op[n++] = (struct kmm_op){ .kind = KMM_OP_PAGES_FREE, .slot = op[i].slot };
	ret = run(fd, op, n, &free_failed, &free_first);
	if (ret >= 0)
		ret = kmm_get_stat(fd, KMM_STAT_EXACT, &after);
	if (ret < 0 || free_failed) {
		complain(ret < 0 ? ret : free_first, "freeing failed");
		ret = -EIO;
		goto out;
	}
	if (o->json) {
		j = json_object_new_object();
		add_number(j, "order", in.order);
		add_number(j, "asked", in.count);
		add_number(j, "allocated", got);
		json_object_object_add(j, "errno", json_object_new_int(-first));
		add_number(j, "used_before", before.used);
		add_number(j, "used_during", during.used);
		add_number(j, "used_after", after.used);
		print_json(j);
	} else {
		printf("freed %" PRIu64 "; used frames %" PRIu64 "\n", n, (uint64_t)after.used);
	}
out:
	free(op);
	close(fd);
	return ret < 0 || failed ? EXIT_FAIL : EXIT_OK;
}
