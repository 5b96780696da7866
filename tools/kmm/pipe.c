// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm pipe: run commands with pipes of kmm between them, tell about a pipe, list all.
 *
 * "run" is the shell's a | b | c: the words between the bars are one command each, its standard
 * output is the write end of a pipe, the next one's standard input the read end. "info" tells
 * about the pipe that is one of its own descriptors, so it can stand in such a line.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"

/* === run === */

struct run_input {
	uint64_t size;
	uint32_t flags;
	char **words;		/* all commands, with the bars between them */
};

/* dup2 onto itself would leave close-on-exec set. */
static bool pass(int fd, int as)
{
	return fd < 0 || (fd == as ? fcntl(fd, F_SETFD, 0) : dup2(fd, as)) >= 0;
}

/* Starts one command; in and out are taken over, -1 leaves its descriptor as it is. */
static pid_t start(char **command, int in, int out)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		complain(-errno, "cannot fork");
	if (!pid) {
		if (!pass(in, STDIN_FILENO) || !pass(out, STDOUT_FILENO)) {
			complain(-errno, "cannot pass a pipe");
			_exit(126);
		}
		execvp(command[0], command);
		complain(-errno, "cannot run %s", command[0]);
		_exit(127);
	}
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return pid;
}

/* The status of the last command, as in a shell. */
static int wait_all(pid_t last)
{
	int status, code = EXIT_FAIL;
	pid_t pid;

	for (;;) {
		pid = wait(&status);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			return code;
		if (pid == last)
			code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

static int run(struct run_input *in)
{
	char **command = in->words, **end;
	int dev, ret, from = -1, fd[2];
	bool last, ok = false;
	pid_t pid = -1;

	dev = open_device();
	if (dev < 0)
		return EXIT_FAIL;
	do {
		for (end = command; *end && strcmp(*end, "|"); end++)
			;
		last = !*end;
		fd[0] = -1;
		fd[1] = -1;
		ret = last ? 0 : kmm_pipe_create(dev, in->size, in->flags, fd);
		if (ret < 0) {
			complain(ret, "no pipe of %s", human_size(in->size));
			if (ret == -EPERM)
				fprintf(stderr, "     More than %s is for root.\n",
					human_size(KMM_PIPE_SIZE_MAX));
			else if (ret == -EDQUOT)
				fputs("     A limit was reached: kmm info shows them.\n", stderr);
			break;
		}
		*end = NULL;
		pid = start(command, from, fd[1]);
		from = fd[0];
		ok = pid >= 0 && last;
		command = end + 1;
	} while (pid >= 0 && !last);
	close(dev);
	/* What was started ends when it finds that nobody reads. */
	if (from >= 0)
		close(from);
	ret = wait_all(pid);
	return ok ? ret : EXIT_FAIL;
}

static error_t run_parse(int key, char *arg, struct argp_state *state)
{
	struct run_input *in = state->input;

	switch (key) {
	case 's':
		if (!parse_size(arg, &in->size) || !in->size)
			argp_error(state, "'%s' is no size: try 4096, 64K, 1M", arg);
		return 0;
	case 'p':
		in->flags |= KMM_PIPE_PACKET;
		return 0;
	case ARGP_KEY_ARG:
		in->words = state->argv + state->next - 1;
		for (char **w = in->words; *w; w++)
			if (!strcmp(*w, "|") && (w == in->words || !strcmp(w[-1], "|") || !w[1]))
				argp_error(state, "a command is missing beside '|'");
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no command to run");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int pipe_run(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "size", 's', "BYTES", 0, "Capacity of each pipe, with K, M (64K)", 0 },
		{ "packet", 'p', NULL, 0, "Each write is a packet", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = run_parse,
		.args_doc = "-- COMMAND [ARG...] '|' COMMAND [ARG...]...",
		.doc = "Run commands with pipes of kmm between them. Quote the bars.\v"
		       "Exit status is the last command's. Example: kmm pipe run -- "
		       "seq 1000 '|' tail -n 1",
	};
	struct run_input in = { .size = KMM_PIPE_SIZE_DEFAULT };

	parse_verb(&argp, o, argc, argv, ARGP_IN_ORDER, &in);
	return run(&in);
}

/* === info === */

struct info_input {
	uint64_t fd;
};

static error_t info_parse(int key, char *arg, struct argp_state *state)
{
	struct info_input *in = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (state->arg_num || !parse_number(arg, INT32_MAX, &in->fd))
			argp_error(state, "'%s' is no descriptor", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int pipe_info(struct options *o, int argc, char **argv)
{
	const struct argp argp = {
		.parser = info_parse, .args_doc = "[FD]",
		.doc = "Tell about the pipe that is descriptor FD, standard input if none is named.",
	};
	struct info_input in = { .fd = STDIN_FILENO };
	struct kmm_pipe_info i;
	struct json_object *j;
	int ret;

	parse_verb(&argp, o, argc, argv, 0, &in);
	ret = kmm_pipe_info((int)in.fd, &i);
	if (ret < 0) {
		complain(ret, "descriptor %d is no pipe of kmm", (int)in.fd);
		return EXIT_FAIL;
	}
	if (!o->json) {
		printf("pipe %llu: %s of %s, %llu frames, %s of host memory, read end %s, "
		       "write end %s, flags%s%s%s\n", i.id, human_size(i.bytes),
		       human_size(i.size_bytes), i.frames, human_size(i.host_bytes),
		       i.readers ? "open" : "closed", i.writers ? "open" : "closed",
		       i.flags & KMM_PIPE_NONBLOCK ? " nonblock" : "",
		       i.flags & KMM_PIPE_PACKET ? " packet" : "", i.flags ? "" : " none");
		return EXIT_OK;
	}
	j = json_object_new_object();
	add_number(j, "id", i.id);
	add_number(j, "bytes", i.bytes);
	add_number(j, "size_bytes", i.size_bytes);
	add_number(j, "frames", i.frames);
	add_number(j, "host_bytes", i.host_bytes);
	add_number(j, "readers", i.readers);
	add_number(j, "writers", i.writers);
	add_number(j, "flags", i.flags);
	return print_json(j);
}

/* === list === */

static int pipe_list(struct options *o, int argc, char **argv)
{
	parse_plain(o, "List the living pipes: debugfs pipes.", argc, argv);
	return list_debugfs(o, "pipes");
}

/* === The verb === */

int cmd_pipe(struct options *o, int argc, char **argv)
{
	static const struct verb verbs[] = {
		{ "run", "run a pipeline", pipe_run },
		{ "info", "tell about one", pipe_info },
		{ "list", "list all", pipe_list },
	};
	static const struct verb_set set = {
		.name = "pipe",
		.args_doc = "run [OPTION...] -- COMMAND... '|' COMMAND...\ninfo [FD]\nlist",
		.doc = "Run a pipeline over pipes of kmm, tell about one, or list those that live.\v"
			"kmm pipe run --help tells more.\n",
		.verbs = verbs, .nr = sizeof(verbs) / sizeof(verbs[0]),
	};

	return run_verbs(&set, o, argc, argv);
}
