// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm: the command. This file finds the verb and keeps what all verbs share.
 *
 * The command line is parsed twice: here up to the verb (ARGP_IN_ORDER stops at it),
 * then by the verb, both times with common_argp beside, so --json may stand on
 * either side of the verb. Each verb gathers its facts first and then prints them
 * either as text or as one JSON value; errors go to stderr as text in both cases.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

const char *argp_program_version = "kmm ABI 1";

static const struct verb verbs[] = {
	{ "info", "what the module is and has: provider, sizes, limits", cmd_info },
	{ "features", "what this build of the module can do", cmd_features },
	{ "doctor", "what is wrong with this kernel for kmm, and what to do", cmd_doctor },
	{ "stat", "where the region's frames are", cmd_stat },
	{ "alloc", "allocate blocks of pages, hold them, free them", cmd_alloc },
	{ "object", "make memory objects, run a command with one, list them", cmd_object },
	{ "msgq", "make message queues, send, receive, list them", cmd_msgq },
	{ "pipe", "run a pipeline over kmm's pipes, tell about one, list them", cmd_pipe },
	{ "frag", "free blocks by order, fragmentation, a map of the region", cmd_frag },
	{ "swap", "swap areas: on, off, list", cmd_swap },
	{ "slab", "object caches: list, explain an address, allocate", cmd_slab },
	{ "vmap", "the kernel window: list its areas, allocate", cmd_vmap },
	{ "space", "address spaces: a script in one process, list those that live", cmd_space },
	{ "policy", "page replacement: list, set, replay references beside OPT", cmd_policy },
	{ "trace", "page references: record those of an object or space, make some", cmd_trace },
	{ "leak", "memory of clients to which no pointer is left", cmd_leak },
	{ "walk", "every level of a translation in an address space", cmd_walk },
	{ "owner", "who has the frames, by stack, command or process", cmd_owner },
	{ "top", "the region, its rates and who has what, refreshed", cmd_top },
	{ "bench", "what kmm costs beside the host's own, in this kernel", cmd_bench },
	{ "lab", "bugs on purpose: plant one, see who catches it; failing calls", cmd_lab },
};

#define NR_VERBS	(sizeof(verbs) / sizeof(verbs[0]))

static error_t common_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	(void)arg;
	switch (key) {
	case 'j':
		o->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option common_options[] = {
	{ "json", 'j', NULL, 0, "Print JSON", -2 },
	{ 0 }
};

static const struct argp common_argp = { .options = common_options, .parser = common_parse };

struct verb_input {
	struct options *o;
	void *own;
};

static error_t verb_parse(int key, char *arg, struct argp_state *state)
{
	struct verb_input *in = state->input;

	(void)arg;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	state->child_inputs[0] = in->own;
	state->child_inputs[1] = in->o;
	return 0;
}

void parse_verb(const struct argp *own, struct options *o, int argc, char **argv,
		unsigned int flags, void *input)
{
	const struct argp_child children[] = { { .argp = own }, { .argp = &common_argp }, { 0 } };
	const struct argp argp = { .parser = verb_parse, .children = children };
	struct verb_input in = { .o = o, .own = input };

	argp_parse(&argp, argc, argv, flags, NULL, &in);
}

void parse_plain(struct options *o, const char *doc, int argc, char **argv)
{
	parse_verb(&(struct argp){ .doc = doc }, o, argc, argv, 0, NULL);
}

/* === Errors and files === */

void complain(int err, const char *fmt, ...)
{
	va_list ap;

	fputs("kmm: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	if (err)
		fprintf(stderr, ": %s", strerror(-err));
	fputc('\n', stderr);
}

int open_device(void)
{
	int fd = kmm_open();
	const char *why;

	if (fd >= 0)
		return fd;
	why = kmm_explain_open(fd);
	if (why)
		complain(0, "%s", why);
	else
		complain(fd, "cannot open " KMM_DEVICE);
	if (fd != -EACCES)
		fputs("     kmm doctor tells more.\n", stderr);
	return -1;
}

FILE *open_debugfs_quietly(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), DEBUGFS_DIR "/%s", name);
	return fopen(path, "re");
}

void complain_debugfs(int err, const char *name)
{
	if (err == -EACCES || err == -EPERM)
		complain(0, "no permission for " DEBUGFS_DIR "/%s: debugfs is for root", name);
	else if (access(DEBUGFS_DIR, F_OK) == 0)
		complain(err, "cannot open " DEBUGFS_DIR "/%s", name);
	else if (access("/sys/module/kmm", F_OK))
		complain(0, "the module is not loaded: as root, insmod kmm.ko");
	else
		complain(0, "no " DEBUGFS_DIR
			 ": as root, mount -t debugfs none " DEBUGFS_MOUNT);
}

FILE *open_debugfs(const char *name)
{
	FILE *f = open_debugfs_quietly(name);

	if (!f)
		complain_debugfs(-errno, name);
	return f;
}

#define NR_COLUMNS_MAX	32

static size_t split_columns(char *line, char **word)
{
	size_t n = 0;

	for (char *w = strtok(line, " \t\n"); w && n < NR_COLUMNS_MAX; w = strtok(NULL, " \t\n"))
		word[n++] = w;
	return n;
}

struct json_object *table_json(FILE *f)
{
	char *head[NR_COLUMNS_MAX], *cell[NR_COLUMNS_MAX];
	char *names = NULL, *line = NULL, *end;
	size_t cap = 0, nr_head, nr, i;
	struct json_object *j, *one;
	unsigned long long v;

	j = json_object_new_array();
	if (getline(&line, &cap, f) > 0)
		names = strdup(line);
	if (names) {
		nr_head = split_columns(names, head);
		while (getline(&line, &cap, f) > 0) {
			nr = split_columns(line, cell);
			one = json_object_new_object();
			for (i = 0; i < nr && i < nr_head; i++) {
				v = strtoull(cell[i], &end, 10);
				json_object_object_add(one, head[i], *end || end == cell[i] ?
						       json_object_new_string(cell[i]) :
						       json_object_new_uint64(v));
			}
			json_object_array_add(j, one);
		}
	}
	free(names);
	free(line);
	fclose(f);
	return j;
}

struct json_object *lines_json(FILE *f, struct json_object *(*line_json)(char *line))
{
	struct json_object *j = json_object_new_array(), *one;
	char *line = NULL;
	size_t cap = 0;

	while (getline(&line, &cap, f) > 0) {
		one = line_json(line);
		if (one)
			json_object_array_add(j, one);
	}
	free(line);
	fclose(f);
	return j;
}

int list_debugfs(struct options *o, const char *name)
{
	FILE *f = open_debugfs(name);
	char *line = NULL;
	size_t cap = 0;

	if (!f)
		return EXIT_FAIL;
	if (o->json)
		return print_json(table_json(f));
	while (getline(&line, &cap, f) > 0)
		fputs(line, stdout);
	free(line);
	fclose(f);
	return EXIT_OK;
}

/* === Output === */

const char *json_text(struct json_object *j)
{
	return json_object_to_json_string_ext(j, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
					      JSON_C_TO_STRING_NOSLASHESCAPE);
}

int print_json(struct json_object *j)
{
	puts(json_text(j));
	json_object_put(j);
	return EXIT_OK;
}

void add_text(struct json_object *j, const char *key, const char *text)
{
	json_object_object_add(j, key, text ? json_object_new_string(text) : NULL);
}

void add_number(struct json_object *j, const char *key, uint64_t value)
{
	json_object_object_add(j, key, json_object_new_uint64(value));
}

const char *human_size(uint64_t bytes)
{
	static const char * const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	static char text[4][32];
	static unsigned int next;
	char *t = text[next++ % 4];
	double v = bytes;
	unsigned int u = 0;

	while (v >= 1024 && u < 6) {
		v /= 1024;
		u++;
	}
	if (!u || v == (uint64_t)v)
		snprintf(t, sizeof(text[0]), "%" PRIu64 " %s", (uint64_t)v, unit[u]);
	else
		snprintf(t, sizeof(text[0]), "%.1f %s", v, unit[u]);
	return t;
}

bool parse_number(const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	return *text >= '0' && *text <= '9' && !*end && !errno && *value <= max;
}

bool parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	unsigned int shift = 0;
	const char *u;
	char *end;

	errno = 0;
	*bytes = strtoull(text, &end, 0);
	if (*text < '0' || *text > '9' || errno)
		return false;
	if (*end) {
		u = strchr(units, *end & ~0x20);
		if (!u)
			return false;
		shift = 10 * (u - units + 1);
		end++;
		if (*end && strcmp(end, "iB") && strcmp(end, "B"))
			return false;
	}
	if (*bytes > UINT64_MAX >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

const char *colour(const struct options *o, enum colour c)
{
	static const char * const seq[] = {
		[COLOUR_OFF] = "\033[0m", [COLOUR_RED] = "\033[31m", [COLOUR_GREEN] = "\033[32m",
		[COLOUR_YELLOW] = "\033[33m", [COLOUR_BLUE] = "\033[34m", [COLOUR_BOLD] = "\033[1m",
	};

	return o->colour ? seq[c] : "";
}

void print_bar(const struct options *o, uint64_t part, uint64_t whole, int width)
{
	int full = whole ? (int)((double)part / whole * width + 0.5) : 0;

	fputs(colour(o, COLOUR_BLUE), stdout);
	for (int i = 0; i < width; i++)
		putchar(i < full ? '#' : '.');
	fputs(colour(o, COLOUR_OFF), stdout);
}

/* === The verb === */

struct main_input {
	const struct verb *verb;
	int at;
};

static error_t main_parse(int key, char *arg, struct argp_state *state)
{
	struct main_input *in = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		for (size_t i = 0; i < NR_VERBS; i++)
			if (!strcmp(arg, verbs[i].name))
				in->verb = &verbs[i];
		if (!in->verb)
			argp_error(state, "no verb '%s'; kmm --help lists them", arg);
		/* The rest is the verb's. */
		in->at = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a verb is missing; kmm --help lists them");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static char *main_filter(int key, const char *text, void *input)
{
	char *out = NULL;
	size_t size;
	FILE *f;

	(void)input;
	if (key != ARGP_KEY_HELP_PRE_DOC)
		return (char *)text;
	f = open_memstream(&out, &size);
	if (!f)
		return (char *)text;
	fputs("Look into kmm, a memory manager in a module, through /dev/kmm and debugfs.\n\n"
	      "Verbs:\n", f);
	for (size_t i = 0; i < NR_VERBS; i++)
		fprintf(f, "  %-9s %s\n", verbs[i].name, verbs[i].brief);
	fputs("\nkmm VERB --help tells more. Options:", f);
	fclose(f);
	return out;
}

int main(int argc, char **argv)
{
	const struct argp argp = {
		.parser = main_parse, .args_doc = "VERB [OPTION...]", .help_filter = main_filter,
		.doc = " \vExit status: 0 done; 1 failed (doctor: something must be done); "
		       "64 wrong usage.\n",
	};
	struct options o = {
		.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
	};
	struct main_input in = { 0 };
	static char name[32];
	int ret;

	parse_verb(&argp, &o, argc, argv, ARGP_IN_ORDER, &in);
	snprintf(name, sizeof(name), "kmm %s", in.verb->name);
	argv[in.at] = name;
	ret = in.verb->run(&o, argc - in.at, argv + in.at);
	if (fflush(stdout) || ferror(stdout)) {
		complain(-errno, "cannot write the output");
		return EXIT_FAIL;
	}
	return ret;
}
