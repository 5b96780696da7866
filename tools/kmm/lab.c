// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm lab: the bug gym, and failures on purpose.
 *
 * list shows debugfs kmm/lab. bug plants one of them, takes the report out of the kernel log
 * (/dev/kmsg, from where it stood before) and says how to read it. fail runs a command with
 * kmm's failure injection armed for it: fail-nth is armed here and lives on over exec, as long as
 * its file is open.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"

#define FAIL_NTH	DEBUGFS_DIR "/fail/fail-nth"

/* === The list === */

/*
 * debugfs kmm/lab: a line with a name, then lines "\tkey: value" with what, detector, report,
 * ready, read. Returns an array of objects with "name" and these keys; NULL and has said why.
 */
static struct json_object *lab_read(void)
{
	struct json_object *list, *bug = NULL;
	FILE *f = open_debugfs("lab");
	char *line = NULL, *value;
	size_t size = 0;

	if (!f)
		return NULL;
	list = json_object_new_array();
	while (getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (line[0] != '\t') {
			bug = json_object_new_object();
			json_object_object_add(bug, "name", json_object_new_string(line));
			json_object_array_add(list, bug);
			continue;
		}
		value = strstr(line, ": ");
		if (!bug || !value)
			continue;
		*value = 0;
		json_object_object_add(bug, line + 1, json_object_new_string(value + 2));
	}
	free(line);
	fclose(f);
	return list;
}

static const char *lab_text(struct json_object *bug, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(bug, key, &v) ? json_object_get_string(v) : "";
}

static struct json_object *lab_find(struct json_object *list, const char *name)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *bug = json_object_array_get_idx(list, i);

		if (!strcmp(lab_text(bug, "name"), name))
			return bug;
	}
	return NULL;
}

static int lab_list(struct options *o, int argc, char **argv)
{
	struct json_object *list;

	parse_plain(o, "List the bugs that can be planted, and who catches each.", argc, argv);
	list = lab_read();
	if (!list)
		return EXIT_FAIL;
	if (o->json) {
		print_json(list);
		return EXIT_OK;
	}
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *bug = json_object_array_get_idx(list, i);
		const char *ready = lab_text(bug, "ready");

		printf("%-20s %s\n%20s caught by: %s\n", lab_text(bug, "name"),
		       lab_text(bug, "what"), "", lab_text(bug, "detector"));
		if (strcmp(ready, "yes"))
			printf("%20s ready: %s\n", "", ready);
	}
	json_object_put(list);
	return EXIT_OK;
}

/* === One bug === */

static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		complain(-errno, "cannot read /dev/kmsg");
	else
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* /dev/kmsg writes bytes that are no text as \xNN: a tab is a space again, a newline goes. */
static void log_unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (!strncmp(text, "\\x09", 4) || !strncmp(text, "\\x0a", 4)) {
			if (text[3] == '9')
				*to++ = ' ';
			text += 3;
			continue;
		}
		*to++ = *text;
	}
	*to = 0;
}

/* The messages since log_open(). */
static struct json_object *log_read(int fd)
{
	struct json_object *lines = json_object_new_array();
	char record[8192], *message;
	ssize_t n;

	/* EPIPE: some were overwritten before we came */
	while ((n = read(fd, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		record[n] = 0;
		message = strchr(record, ';');
		if (!message)
			continue;
		message++;
		message[strcspn(message, "\n")] = 0;
		log_unescape(message);
		json_object_array_add(lines, json_object_new_string(message));
	}
	return lines;
}

/* Does one of the lines match? */
static bool log_has(struct json_object *lines, const char *regex)
{
	bool found = false;
	regex_t re;

	if (regcomp(&re, regex, REG_EXTENDED | REG_NOSUB))
		return false;
	for (size_t i = 0; i < json_object_array_length(lines) && !found; i++)
		found = !regexec(&re, json_object_get_string(json_object_array_get_idx(lines, i)),
				 0, NULL, 0);
	regfree(&re);
	return found;
}

static const char *lab_advice(int err, const char *ready)
{
	switch (err) {
	case -EOPNOTSUPP:
		return strncmp(ready, "no, ", 4) ? "load the module with lab=1" : ready + 4;
	case -EPERM:
		return "this is for root (CAP_SYS_ADMIN)";
	default:
		return "kmm doctor tells more";
	}
}

/* A long line, wrapped. */
static void print_wrapped(const char *text)
{
	int column = 0;

	while (*text) {
		int len = strcspn(text, " ");

		if (column && column + 1 + len > 78) {
			fputs("\n", stdout);
			column = 0;
		}
		column += printf("%s%.*s", column ? " " : "  ", len, text);
		text += len;
		text += *text == ' ';
	}
	fputs("\n", stdout);
}

static void lab_print(struct json_object *bug, struct json_object *lines, uint32_t reports,
		      bool found)
{
	printf("%s: %s\n\nthe kernel log:\n", lab_text(bug, "name"), lab_text(bug, "what"));
	for (size_t i = 0; i < json_object_array_length(lines); i++)
		printf("  | %s\n", json_object_get_string(json_object_array_get_idx(lines, i)));
	if (reports && found)
		printf("\ncaught by:\n");
	else
		printf("\nNOT CAUGHT (%" PRIu32 " reports counted, headline %s); it should be by:\n",
		       reports, found ? "in the log" : "not in the log");
	print_wrapped(lab_text(bug, "detector"));
	printf("how to read it:\n");
	print_wrapped(lab_text(bug, "read"));
}

static int lab_bug(struct options *o, int argc, char **argv)
{
	static const struct name_arg arg = {
		.doc = "Plant a bug in objects made for it, and show who catches it.\v"
		       "The exit status is 0 when it was caught.",
		.missing = "which bug? \"kmm lab list\" names them",
		.many = "one bug at a time",
	};
	const char *name = parse_name(&arg, o, argc, argv);
	struct json_object *list, *bug, *lines;
	int dev = -1, log = -1, err, ret = EXIT_FAIL;
	uint32_t reports;
	bool found;

	list = lab_read();
	if (!list)
		return EXIT_FAIL;
	bug = lab_find(list, name);
	if (!bug) {
		complain(0, "no bug '%s': kmm lab list names them", name);
		goto out;
	}
	dev = open_device();
	log = dev < 0 ? -1 : log_open();
	if (log < 0)
		goto out;
	err = kmm_lab_bug(dev, name, &reports);
	if (err) {
		complain(err, "cannot plant %s", name);
		fprintf(stderr, "     %s\n", lab_advice(err, lab_text(bug, "ready")));
		goto out;
	}
	lines = log_read(log);
	found = log_has(lines, lab_text(bug, "report"));
	if (reports && found)
		ret = EXIT_OK;
	if (o->json) {
		json_object_object_add(bug, "reports", json_object_new_int64(reports));
		json_object_object_add(bug, "caught", json_object_new_boolean(ret == EXIT_OK));
		json_object_object_add(bug, "log", lines);
		print_json(json_object_get(bug));
	} else {
		lab_print(bug, lines, reports, found);
		json_object_put(lines);
	}
out:
	json_object_put(list);
	if (log >= 0)
		close(log);
	if (dev >= 0)
		close(dev);
	return ret;
}

/* === Failures === */

struct lab_fail_input {
	unsigned long nth;
	bool walk;
	char **command;
};

static error_t fail_parse(int key, char *arg, struct argp_state *state)
{
	struct lab_fail_input *in = state->input;
	char *end;

	switch (key) {
	case 'n':
		in->nth = strtoul(arg, &end, 0);
		if (*end || !in->nth)
			argp_error(state, "--nth wants a number from 1");
		return 0;
	case 'w':
		in->walk = true;
		return 0;
	case ARGP_KEY_ARG:
		in->command = state->argv + state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a command is wanted, after --");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* In the child: its allocations are counted from here on, also behind exec. */
static void fail_child(char **command, unsigned long nth, int fd, bool json)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%lu", nth);

	/* our own output is the JSON alone */
	if (json)
		dup2(STDERR_FILENO, STDOUT_FILENO);
	if (write(fd, text, len) != len) {
		complain(-errno, "cannot arm " FAIL_NTH);
		_exit(126);
	}
	execvp(command[0], command);
	complain(-errno, "cannot run %s", command[0]);
	_exit(127);
}

/* Runs it with the Nth allocation failing. Returns its exit status, or -1; @left of N. */
static int fail_once(char **command, unsigned long nth, bool json, unsigned long *left)
{
	int fd = open(FAIL_NTH, O_RDWR), status;
	char text[24] = "";
	pid_t pid;

	if (fd < 0) {
		complain(-errno, "cannot open " FAIL_NTH);
		return -1;
	}
	fflush(stdout);
	pid = fork();
	if (!pid)
		fail_child(command, nth, fd, json);
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		complain(-errno, "cannot run %s", command[0]);
		close(fd);
		return -1;
	}
	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		complain(-errno, "cannot read " FAIL_NTH);
	*left = strtoul(text, NULL, 10);
	close(fd);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int lab_fail(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "nth", 'n', "N", 0, "Let its Nth allocation from kmm fail (1)", 0 },
		{ "walk", 'w', NULL, 0, "N = 1, 2, … until none fails any more", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = fail_parse,
		.args_doc = "-- COMMAND...",
		.doc = "Run a command, of one thread, with an allocation of kmm failing in it.\v"
		       "Example: kmm lab fail --walk -- kmm object create --size 1M",
	};
	struct lab_fail_input in = { .nth = 1 };
	struct json_object *list = json_object_new_array();
	unsigned long nth, left = 0;
	int status = 0;

	parse_verb(&argp, o, argc, argv, ARGP_IN_ORDER, &in);
	for (nth = in.nth; status >= 0 && !left; nth++) {
		struct json_object *j = json_object_new_object();

		status = fail_once(in.command, nth, o->json, &left);
		add_number(j, "nth", nth);
		json_object_object_add(j, "failed", json_object_new_boolean(!left));
		json_object_object_add(j, "status", json_object_new_int(status));
		json_object_array_add(list, j);
		if (status >= 0 && !o->json)
			printf("N = %lu: %s, exit status %d\n", nth,
			       left ? "nothing failed" : "an allocation failed", status);
		if (!in.walk)
			break;
	}
	if (o->json)
		print_json(list);
	else
		json_object_put(list);
	return status < 0 ? EXIT_FAIL : EXIT_OK;
}

/* === The verb === */

int cmd_lab(struct options *o, int argc, char **argv)
{
	static const struct verb verbs[] = {
		{ "list", "list the bugs", lab_list },
		{ "bug", "plant one", lab_bug },
		{ "fail", "let allocations fail", lab_fail },
	};
	static const struct verb_set set = {
		.name = "lab",
		.args_doc = "[list]\nbug NAME\nfail [OPTION...] -- COMMAND...",
		.doc = "Bugs on purpose: list them (the default), plant one and see who catches it, "
		       "or let allocations fail.\vkmm lab fail --help tells more.\n",
		.verbs = verbs, .nr = sizeof(verbs) / sizeof(verbs[0]),
		.first_alone = true,
	};

	return run_verbs(&set, o, argc, argv);
}
