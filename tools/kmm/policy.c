// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm policy: page replacement. List the policies, say which one decides, and replay a reference
 * string with as many frames as one likes, to compare them.
 *
 * Replay is the live machinery: for each policy the module makes an object with a limit of N
 * frames, references its pages one by one, and counts the faults. Frames of the region are really
 * allocated, evicted, written to swap when they are dirty. Beside the policies stands OPT
 * (Belady), the fewest faults that anybody can have who knows the future; it is computed here.
 *
 * Page numbers in the input may be any; they are numbered anew (reftrace.c). The input is sent in
 * pieces, so a long one can be interrupted, and on a terminal one sees how far it is.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "reftrace.h"

static_assert(REFTRACE_WRITE == KMM_REPLAY_WRITE, "a trace is what the module takes");

/* === list and set === */

static int policy_list(struct options *o, int argc, char **argv)
{
	struct json_object *all = NULL, *one;
	struct kmm_policy_info i;
	uint32_t index = 0;
	int dev, ret;

	parse_plain(o, "List the replacement policies; '*' is the one that decides now.", argc,
		    argv);
	dev = open_device();
	if (dev < 0)
		return EXIT_FAIL;
	if (o->json)
		all = json_object_new_array();
	while (!(ret = kmm_policy_info(dev, index++, &i))) {
		bool current = i.flags & KMM_POLICY_CURRENT;

		if (!all) {
			printf("%c %-10s %s\n", current ? '*' : ' ', i.name, i.what);
			continue;
		}
		one = json_object_new_object();
		json_object_object_add(one, "policy", json_object_new_string((char *)i.name));
		json_object_object_add(one, "current", json_object_new_boolean(current));
		json_object_object_add(one, "what", json_object_new_string((char *)i.what));
		json_object_array_add(all, one);
	}
	close(dev);
	if (ret != -ENOENT) {
		complain(ret, "KMM_IOC_POLICY_INFO failed");
		json_object_put(all);
		return EXIT_FAIL;
	}
	return all ? print_json(all) : EXIT_OK;
}

static int policy_set(struct options *o, int argc, char **argv)
{
	static const struct name_arg arg = {
		.doc = "Say which policy decides from now on. Pages that are resident stay.",
		.missing = "which policy? kmm policy list lists them",
		.many = "too many arguments",
	};
	const char *name = parse_name(&arg, o, argc, argv);
	struct json_object *j;
	int dev, ret;

	dev = open_device();
	if (dev < 0)
		return EXIT_FAIL;
	ret = kmm_policy_set(dev, name);
	close(dev);
	if (ret == -ENOENT)
		complain(0, "no policy '%s'; kmm policy list lists them", name);
	else if (ret == -EPERM)
		complain(0, "setting the policy needs CAP_SYS_ADMIN");
	else if (ret < 0)
		complain(ret, "cannot set the policy");
	if (ret < 0)
		return EXIT_FAIL;
	if (!o->json)
		return EXIT_OK;
	j = json_object_new_object();
	json_object_object_add(j, "policy", json_object_new_string(name));
	return print_json(j);
}

/* === replay === */

#define NR_POLICIES_MAX	32

struct replay_input {
	struct options *o;
	uint64_t frames;
	const char *policy;
	const char *path;
	bool write;
};

struct replay_row {
	char name[KMM_NAME_LEN];
	uint64_t faults;
};

static error_t replay_parse(int key, char *arg, struct argp_state *state)
{
	struct replay_input *in = state->input;

	switch (key) {
	case 'f':
		if (!parse_number(arg, UINT32_MAX, &in->frames) || !in->frames)
			argp_error(state, "'%s' is no number of frames", arg);
		return 0;
	case 'p':
		in->policy = arg;
		return 0;
	case 'w':
		in->write = true;
		return 0;
	case ARGP_KEY_ARG:
		if (in->path)
			argp_error(state, "one trace, please");
		in->path = arg;
		return 0;
	case ARGP_KEY_END:
		if (!in->frames)
			argp_error(state, "with how many frames? --frames N");
		if (!in->path)
			argp_error(state, "which trace? '-' is standard input");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static bool read_trace(const struct replay_input *in, struct reftrace *t)
{
	bool piped = !strcmp(in->path, "-");
	FILE *f = piped ? stdin : fopen(in->path, "re");
	char why[100];
	bool ok;

	if (!f) {
		complain(-errno, "cannot open %s", in->path);
		return false;
	}
	ok = reftrace_read(t, f, why, sizeof(why));
	if (!ok)
		complain(0, "%s: %s", piped ? "standard input" : in->path, why);
	if (!piped)
		fclose(f);
	for (size_t k = 0; ok && in->write && k < t->nr; k++)
		t->refs[k] |= REFTRACE_WRITE;
	return ok;
}

/* Once a second, on a terminal. */
static void show_progress(const char *name, size_t done, size_t nr)
{
	static time_t last;
	time_t now = time(NULL);

	if (!last)
		last = now;
	if (now == last || !isatty(STDERR_FILENO))
		return;
	last = now;
	fprintf(stderr, "\r%s: %zu of %zu references \033[K\r", name, done, nr);
}

static int replay_live(int dev, const struct replay_input *in, const struct reftrace *t,
		       struct replay_row *row)
{
	struct kmm_replay_run run = { 0 };
	int fd, ret = 0;

	if (!t->nr)
		return 0;
	fd = kmm_replay_create(dev, row->name, in->frames, t->nr_ids);
	if (fd < 0)
		return fd;
	for (size_t at = 0; at < t->nr && ret >= 0; at += run.done) {
		size_t left = t->nr - at;

		ret = kmm_replay_run(fd, t->refs + at,
				     left < KMM_REPLAY_MAX ? left : KMM_REPLAY_MAX, &run);
		show_progress(row->name, at, t->nr);
	}
	close(fd);
	row->faults = run.faults;
	return ret;
}

static void explain_replay(int err, const struct replay_input *in, const char *name)
{
	if (err == -ENOENT)
		complain(0, "no policy '%s'; kmm policy list lists them", name);
	else
		complain(err, "cannot replay with %s", name);
	if (err == -ENOMEM)
		fprintf(stderr, "     %s\n", in->write ?
			"Pages that were written need swap: kmm swap on --help" :
			"More frames than the region has free, or written pages and no swap?");
	else if (err == -EDQUOT)
		fputs("     A limit was reached: kmm info shows them.\n", stderr);
}

/* All that there are, or the one. Returns how many rows, or -1. */
static int replay_rows(int dev, const struct replay_input *in, struct replay_row *row)
{
	bool all = !strcmp(in->policy, "all");
	struct kmm_policy_info i;
	int nr = 0;

	if (!strcmp(in->policy, "opt"))
		return 0;
	if (!all) {
		snprintf(row[0].name, sizeof(row[0].name), "%s", in->policy);
		return 1;
	}
	while (nr < NR_POLICIES_MAX && !kmm_policy_info(dev, nr, &i))
		memcpy(row[nr++].name, i.name, sizeof(i.name));
	return nr;
}

static int print_rows(const struct replay_input *in, const struct reftrace *t,
		      const struct replay_row *row, int nr)
{
	struct json_object *j, *all, *one;
	uint64_t opt = row[nr - 1].faults;

	if (!in->o->json) {
		printf("%" PRIu64 " frames, %zu references to %u pages%s%s\n", in->frames, t->nr,
		       t->nr_ids, *t->kind ? ", " : "", t->kind);
		printf("%-10s %10s %8s %9s\n", "policy", "faults", "ratio", "over OPT");
		for (int i = 0; i < nr; i++) {
			printf("%-10s %10" PRIu64 " %8.4f", row[i].name, row[i].faults,
			       t->nr ? (double)row[i].faults / t->nr : 0);
			if (i < nr - 1 && opt)
				printf(" %+8.1f%%", 100.0 * row[i].faults / opt - 100);
			putchar('\n');
		}
		return EXIT_OK;
	}
	j = json_object_new_object();
	all = json_object_new_array();
	json_object_object_add(j, "policies", all);
	for (int i = 0; i < nr; i++) {
		one = json_object_new_object();
		json_object_object_add(one, "policy", json_object_new_string(row[i].name));
		add_number(one, "frames", in->frames);
		add_number(one, "references", t->nr);
		add_number(one, "faults", row[i].faults);
		json_object_array_add(all, one);
	}
	return print_json(j);
}

/* The last row. */
static int replay_opt(const struct replay_input *in, struct reftrace *t, struct replay_row *row)
{
	long faults;

	for (size_t k = 0; k < t->nr; k++)
		t->refs[k] &= ~REFTRACE_WRITE;
	faults = kmm_policy_opt(t->refs, t->nr, t->nr_ids, in->frames);
	if (faults < 0) {
		complain(faults, "cannot compute OPT");
		return EXIT_FAIL;
	}
	strcpy(row->name, "opt");
	row->faults = faults;
	return EXIT_OK;
}

static int policy_replay(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "frames", 'f', "N", 0, "Frames that the pages compete for", 0 },
		{ "policy", 'p', "NAME", 0, "One policy, 'opt', or 'all' (the default)", 0 },
		{ "write", 'w', NULL, 0, "Every reference writes: pages go to swap", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = replay_parse,
		.args_doc = "FILE|-",
		.doc = "Replay page references and count the faults of each policy, beside OPT.\v"
		       "FILE has page numbers between blanks or newlines, a 'w' behind one for a "
		       "write; '#' begins a comment. 'kmm trace' makes such files. Example:\n"
		       "  echo 1 2 3 4 1 2 5 1 2 3 4 5 | kmm policy replay --frames 3 -\n",
	};
	struct replay_row row[NR_POLICIES_MAX + 1] = { 0 };
	struct replay_input in = { .o = o, .policy = "all" };
	struct reftrace t;
	int dev, nr, ret = 0;

	parse_verb(&argp, o, argc, argv, 0, &in);
	if (!read_trace(&in, &t))
		return EXIT_FAIL;
	dev = open_device();
	if (dev < 0) {
		reftrace_free(&t);
		return EXIT_FAIL;
	}
	nr = replay_rows(dev, &in, row);
	for (int i = 0; i < nr && ret >= 0; i++) {
		ret = replay_live(dev, &in, &t, &row[i]);
		if (ret < 0)
			explain_replay(ret, &in, row[i].name);
	}
	close(dev);
	ret = ret < 0 ? EXIT_FAIL : replay_opt(&in, &t, &row[nr]);
	if (ret == EXIT_OK)
		ret = print_rows(&in, &t, row, nr + 1);
	reftrace_free(&t);
	return ret;
}

/* === The verb === */

static const struct verb policy_verbs[] = {
	{ "list", "list the policies", policy_list },
	{ "set", "say which one decides", policy_set },
	{ "replay", "count faults on a trace", policy_replay },
};

int cmd_policy(struct options *o, int argc, char **argv)
{
	static const struct verb_set set = {
		.name = "policy",
		.args_doc = "list\nset NAME\nreplay --frames N [--policy NAME|all] FILE|-",
		.doc = "Page replacement: which page leaves when memory is short.\v"
		       "kmm policy replay --help tells more.\n",
		.verbs = policy_verbs, .nr = sizeof(policy_verbs) / sizeof(policy_verbs[0]),
	};

	return run_verbs(&set, o, argc, argv);
}
