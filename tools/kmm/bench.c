// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm bench: what kmm costs beside the host's own, in the kernel that runs now.
 *
 * Nothing is measured by this file. The rows are those of "make bench", and so are the programs:
 *   - what a user program sees: tools/bench/{fault,pipe,msgq,ops,space}_bench.c, which are
 *     linked into the command with another name for main(), and each run in a process of its
 *     own;
 *   - the allocators inside the kernel: kmm_bench.ko, when it is loaded. The name of a row is
 *     written to its "run", and "results" is read. For root.
 * Both print lines "row NAME HOST KMM ns". The unit is the nanosecond of this machine's clock,
 * and the rest of the machine goes on meanwhile. With --rounds N all is done N times; each side
 * keeps its best.
 *
 * Not here: what needs the machine to be set up for it, or sets up something itself (swap
 * against zram, the policies one by one, threads). That is "make bench" alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"

#define BENCH_DIR	DEBUGFS_MOUNT "/kmm_bench"
#define NAME_LEN	64

/* === What there is === */

/**
 * struct bench_row - one row
 * @program: which of programs[] prints it; PROGRAM_MODULE: kmm_bench.ko does
 * @name: of it
 * @what: one line
 * @host, @kmm: nanoseconds of an operation; negative: not measured, or no such side
 * @err: why it was not measured: negative errno; -ECANCELED: the program has said it
 */
struct bench_row {
	unsigned int program;
	const char *name;
	const char *what;
	double host;
	double kmm;
	int err;
};

enum {
	PROGRAM_FAULT, PROGRAM_PIPE, PROGRAM_MSGQ, PROGRAM_OPS, PROGRAM_SPACE, PROGRAM_MODULE,
	NR_PROGRAMS,
};

static const struct {
	int (*run)(void);
	const char *rows;	/* what its rows are called */
	bool root;		/* wants a real-time priority, and more frames than a user gets */
} programs[NR_PROGRAMS] = {
	[PROGRAM_FAULT] = { fault_bench_main, "fault_*", false },
	[PROGRAM_PIPE] = { pipe_bench_main, "pipe_*, shm_*", false },
	[PROGRAM_MSGQ] = { msgq_bench_main, "msgq_*, msg_*", false },
	[PROGRAM_OPS] = { ops_bench_main, "ops_*", false },
	[PROGRAM_SPACE] = { space_bench_main, "space_*", true },
	/* what it needs: module_missing() */
	[PROGRAM_MODULE] = { NULL, "allocators inside the kernel", false },
};

/* In the order of measuring; tools/selftests/cmd_usage.sh compares with the sources. */
static const struct bench_row known[] = {
#define ROW(p, n, w) { .program = PROGRAM_##p, .name = n, .what = w, .host = -1, .kmm = -1 }
	ROW(FAULT, "fault_first_touch", "first write to a page of a mapping, against memfd"),
	ROW(PIPE, "pipe_4k", "4 KiB into a pipe and out again; per byte"),
	ROW(PIPE, "pipe_64k", "64 KiB into a pipe and out again; per byte"),
	ROW(PIPE, "shm_setup_1000", "a new object, mapped and written, against memfd; per page"),
	ROW(MSGQ, "msgq_64_roundtrip", "64 bytes into a queue and out again, against mq_send()"),
	ROW(MSGQ, "msg_1m_gift", "1 MiB handed over as pages, against a pipe of 1 MiB"),
	ROW(OPS, "ops_page_o0_single", "allocate and free a page by KMM_IOC_OPS, a call a pair"),
	ROW(OPS, "ops_page_o0_pair", "the same, 256 pairs in a call"),
	ROW(OPS, "ops_page_o3_pair", "blocks of 8 pages, 256 pairs in a call"),
	ROW(OPS, "ops_cache64_pair", "objects of 64 bytes, 256 pairs in a call"),
	ROW(OPS, "ops_kmalloc64_pair", "kmalloc of 64 bytes, 256 pairs in a call"),
	ROW(OPS, "ops_vmalloc_4k_pair", "vmalloc of a page, 256 pairs in a call"),
	ROW(SPACE, "space_clone_10k", "a copy of 10,000 private pages, against fork(); per page"),
	ROW(SPACE, "space_drop_10k", "the end of such a copy, against munmap(); per page"),
	ROW(MODULE, "page_o0_pair", "allocate and free a page"),
	ROW(MODULE, "page_o0_burst256", "256 pages, then free them; per page"),
	ROW(MODULE, "page_o3_pair", "allocate and free a block of 8 pages"),
	ROW(MODULE, "page_o9_pair", "allocate and free a block of 512 pages"),
	ROW(MODULE, "cache64_pair", "allocate and free an object of 64 bytes"),
	ROW(MODULE, "kmalloc64_pair", "kmalloc(64) and kfree()"),
	ROW(MODULE, "cache64_burst256", "256 objects, then free them; per object"),
	ROW(MODULE, "cache64_bulk256", "256 objects by one bulk call each way; per object"),
	ROW(MODULE, "cache1k_pair", "allocate and free an object of 1 KiB"),
	ROW(MODULE, "cache4k_pair", "allocate and free an object of 4 KiB"),
	ROW(MODULE, "cache64_shuffle1000", "1000 objects, freed out of order; per object"),
	ROW(MODULE, "kfence_cache64_pair", "cache64_pair, the mean: for kfence off and on"),
	ROW(MODULE, "kfence_kmalloc64_pair", "kmalloc64_pair, the mean: for kfence off and on"),
	ROW(MODULE, "vmalloc_4k_pair", "vmalloc() and vfree() of a page"),
	ROW(MODULE, "vmalloc_64k_pair", "vmalloc() and vfree() of 64 KiB"),
	ROW(MODULE, "vmalloc_4m_pair", "vmalloc() and vfree() of 4 MiB"),
	ROW(MODULE, "vmalloc_4m_huge_pair", "the same, against the host's vmalloc_huge()"),
	ROW(MODULE, "vm_map_ram_4_pair", "map and unmap 4 pages"),
	ROW(MODULE, "vmalloc_10k_live", "vmalloc_4k_pair beside 10,000 areas that live"),
	ROW(MODULE, "pt_map_1g_huge", "page tables for 1 GiB in leaves of 2 MiB, per leaf"),
	ROW(MODULE, "lru_pair_lru", "a page out of lru's list and in again"),
	ROW(MODULE, "lru_pair_clock", "a page out of clock's list and in again"),
	ROW(MODULE, "lru_pair_twolist", "a page out of twolist's lists and in again"),
#undef ROW
};

#define NR_KNOWN	(sizeof(known) / sizeof(known[0]))

/**
 * struct bench_input - what was asked for
 * @o: of every command line
 * @row: what is measured
 * @nr: entries of it
 * @named: the user has named them
 * @rounds: how often
 * @list: only list what there is
 * @missing: why the rows of a program cannot be measured here; NULL: they can
 */
struct bench_input {
	struct options *o;
	struct bench_row row[NR_KNOWN];
	size_t nr;
	bool named;
	uint64_t rounds;
	bool list;
	const char *missing[NR_PROGRAMS];
};

static const struct bench_row *find_known(const char *name)
{
	for (size_t i = 0; i < NR_KNOWN; i++)
		if (!strcmp(known[i].name, name))
			return &known[i];
	return NULL;
}

static struct bench_row *find_row(struct bench_input *in, const char *name)
{
	for (size_t i = 0; i < in->nr; i++)
		if (!strcmp(in->row[i].name, name))
			return &in->row[i];
	return NULL;
}

static error_t bench_parse(int key, char *arg, struct argp_state *state)
{
	struct bench_input *in = state->input;

	switch (key) {
	case 'l':
		in->list = true;
		return 0;
	case 'r':
		if (!parse_number(arg, 1000, &in->rounds) || !in->rounds)
			argp_error(state, "'%s' is no number of rounds: 1 to 1000", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (!find_known(arg))
			argp_error(state, "'%s' is no row; kmm bench --list lists them", arg);
		if (!find_row(in, arg))
			in->row[in->nr++] = *find_known(arg);
		in->named = true;
		return 0;
	case ARGP_KEY_END:
		if (in->list && in->nr)
			argp_error(state, "--list lists all rows");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* What a row wants beside /dev/kmm, NULL: nothing. */
static const char *row_needs(const struct bench_row *r)
{
	if (r->program == PROGRAM_MODULE)
		return "kmm_bench";
	return programs[r->program].root ? "root" : NULL;
}

static int print_list(const struct options *o)
{
	struct json_object *j, *one;
	const char *needs;

	j = json_object_new_array();
	for (size_t i = 0; i < NR_KNOWN; i++) {
		needs = row_needs(&known[i]);
		if (!o->json) {
			printf("%-22s %s%s%s%s\n", known[i].name, known[i].what, needs ? " (" : "",
			       needs ? needs : "", needs ? ")" : "");
			continue;
		}
		one = json_object_new_object();
		add_text(one, "name", known[i].name);
		add_text(one, "what", known[i].what);
		add_text(one, "needs", needs);
		json_object_array_add(j, one);
	}
	if (o->json)
		return print_json(j);
	json_object_put(j);
	return EXIT_OK;
}

/* === What is in force === */

static FILE *open_bench(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), BENCH_DIR "/%s", name);
	return fopen(path, "re");
}

/* The first line of a file that begins with prefix, from behind it; false when there is none. */
static bool find_line(const char *path, const char *prefix, char *text, size_t size)
{
	FILE *f = fopen(path, "re");
	bool found = false;
	char *line = NULL;
	size_t cap = 0;

	while (f && !found && getline(&line, &cap, f) > 0) {
		found = !strncmp(line, prefix, strlen(prefix));
		if (found)
			snprintf(text, size, "%s", line + strlen(prefix));
	}
	free(line);
	if (f)
		fclose(f);
	if (found)
		text[strcspn(text, "\n")] = 0;
	return found;
}

/* A file for each weakness of CPUs; those that are worked against say "Mitigation: ...". */
static void add_mitigations(struct json_object *j)
{
	unsigned int on = 0;
	char text[4096];
	glob_t g;

	if (!glob("/sys/devices/system/cpu/vulnerabilities/*", 0, NULL, &g)) {
		for (size_t i = 0; i < g.gl_pathc; i++)
			on += find_line(g.gl_pathv[i], "Mitigation: ", text, sizeof(text));
		globfree(&g);
	}
	if (find_line("/proc/cmdline", "", text, sizeof(text)) && strstr(text, "mitigations=off"))
		snprintf(text, sizeof(text), "off (mitigations=off)");
	else if (on)
		snprintf(text, sizeof(text), "on, against %u", on);
	else
		snprintf(text, sizeof(text), "none");
	add_text(j, "mitigations", text);
}

/* Whether an instruction takes the time that it takes on hardware. */
static void add_machine(struct json_object *j)
{
	char flags[8192] = " ", model[256] = "unknown";
	bool virtual, emulated;

	find_line("/proc/cpuinfo", "flags", flags + 1, sizeof(flags) - 2);
	strcat(flags, " ");
	find_line("/proc/cpuinfo", "model name\t: ", model, sizeof(model));
	virtual = strstr(flags, " hypervisor ");
	emulated = strstr(model, "TCG");
	add_text(j, "cpu", model);
	add_text(j, "machine", emulated ? "emulated: times are the emulator's, not a CPU's" :
		 virtual ? "virtual (hypervisor flag); its times may be those of an emulator" :
		 "hardware");
}

/* The module's "config", one key a line, and what it does not know. */
static struct json_object *read_config(void)
{
	struct json_object *j = json_object_new_object();
	char *line = NULL, *value, text[256];
	FILE *f = open_bench("config");
	size_t cap = 0;

	while (f && getline(&line, &cap, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		value = line + strcspn(line, " ");
		if (*value)
			*value++ = 0;
		add_text(j, line, value);
	}
	free(line);
	if (f)
		fclose(f);
	add_text(j, "kmm_debugging", switches_text());
	if (find_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", "", text,
		      sizeof(text)))
		add_text(j, "clocksource", text);
	add_mitigations(j);
	add_machine(j);
	if (find_line("/proc/loadavg", "", text, sizeof(text))) {
		text[strcspn(text, " ")] = 0;
		add_text(j, "load", text);
	}
	return j;
}

/* === Measuring === */

/* "row NAME HOST KMM ns", where HOST may be "-": the best of each side is kept. */
static void take_line(struct bench_input *in, const char *line, bool *seen)
{
	char name[NAME_LEN], cost[32];
	double host, kmm;
	struct bench_row *r;

	if (sscanf(line, "row %63s %31s %lf", name, cost, &kmm) != 3)
		return;
	r = find_row(in, name);
	if (!r)
		return;
	host = strcmp(cost, "-") ? strtod(cost, NULL) : -1;
	if (r->kmm < 0 || host < r->host)
		r->host = host;
	if (r->kmm < 0 || kmm < r->kmm)
		r->kmm = kmm;
	seen[r - in->row] = true;
}

/* All lines of f, which is closed. */
static void take_lines(struct bench_input *in, FILE *f, bool *seen)
{
	char *line = NULL;
	size_t cap = 0;

	while (getline(&line, &cap, f) > 0)
		take_line(in, line, seen);
	free(line);
	fclose(f);
}

/* A program of tools/bench in a process of its own; 0, or a negative errno. */
static int run_program(struct bench_input *in, int (*run)(void), bool *seen)
{
	int fd[2], status;
	pid_t pid;
	FILE *f;

	if (pipe2(fd, O_CLOEXEC))
		return -errno;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (dup2(fd[1], STDOUT_FILENO) < 0)
			_exit(EXIT_FAIL);
		exit(run());
	}
	close(fd[1]);
	f = pid < 0 ? NULL : fdopen(fd[0], "r");
	if (!f) {
		close(fd[0]);
		return pid < 0 ? -EAGAIN : -ENOMEM;
	}
	take_lines(in, f, seen);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	/* it has said why on stderr */
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ECANCELED;
}

/* A row of kmm_bench.ko; 0, or a negative errno. */
static int run_module_row(struct bench_input *in, const struct bench_row *r, bool *seen)
{
	/* O_TRUNC: the results before are not ours */
	int fd = open(BENCH_DIR "/run", O_WRONLY | O_TRUNC | O_CLOEXEC), len, ret = 0;
	char text[NAME_LEN];
	FILE *f;

	if (fd < 0)
		return -errno;
	len = snprintf(text, sizeof(text), "row %s", r->name);
	if (write(fd, text, len) != len)
		ret = -errno;
	close(fd);
	if (ret)
		return ret;
	f = open_bench("results");
	if (!f)
		return -errno;
	take_lines(in, f, seen);
	return 0;
}

static void show_progress(const struct bench_input *in, uint64_t round, const struct bench_row *r)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[Kround %" PRIu64 " of %" PRIu64 ", row %zu of %zu: %s",
			round + 1, in->rounds, r - in->row + 1, in->nr, r->name);
}

static void end_progress(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

/* All rows once. A program runs once for all of its rows. */
static void measure_round(struct bench_input *in, uint64_t round)
{
	bool seen[NR_KNOWN] = { false };

	for (size_t i = 0; i < in->nr; i++) {
		struct bench_row *r = &in->row[i];
		unsigned int p = r->program;
		int err;

		if (seen[i] || r->err)
			continue;
		show_progress(in, round, r);
		err = p == PROGRAM_MODULE ? run_module_row(in, r, seen) :
		      run_program(in, programs[p].run, seen);
		end_progress();
		if (!err)
			err = -ENODATA;
		for (size_t k = i; k < in->nr; k++)
			if (!seen[k] && in->row[k].program == p && (k == i || programs[p].run))
				in->row[k].err = err;
	}
}

static void explain(const struct bench_row *r)
{
	if (r->err == -ECANCELED)
		complain(0, "%s was not measured", r->name);
	else
		complain(r->err, "%s was not measured", r->name);
	if (r->err == -ENOENT)
		fputs("     This kmm_bench.ko has no such row.\n", stderr);
	else if (r->err == -ENOMEM && r->program == PROGRAM_MODULE)
		fputs("     It is made for a region of 256 MiB: insmod kmm.ko region_mb=256.\n",
		      stderr);
}

/* === Printing === */

/* With as many digits as were measured. */
static void add_cost(struct json_object *j, const char *key, double cost, int digits)
{
	char text[32];

	snprintf(text, sizeof(text), "%.*f", digits, cost);
	json_object_object_add(j, key, cost < 0 ? NULL : json_object_new_double_s(cost, text));
}

static void add_skipped(struct json_object *list, const char *name, const char *why)
{
	struct json_object *one = json_object_new_object();

	add_text(one, "name", name);
	add_text(one, "why", why);
	json_object_array_add(list, one);
}

static void print_rows_json(struct bench_input *in, struct json_object *config)
{
	struct json_object *j = json_object_new_object(), *rows = json_object_new_array();
	struct json_object *skipped = json_object_new_array(), *one;
	int digits;

	for (size_t i = 0; i < in->nr; i++) {
		const struct bench_row *r = &in->row[i];

		if (r->err) {
			add_skipped(skipped, r->name, strerror(-r->err));
			continue;
		}
		/* as many as the program prints */
		digits = r->kmm < 1 ? 5 : 3;
		one = json_object_new_object();
		add_text(one, "name", r->name);
		add_cost(one, "host", r->host, digits);
		add_cost(one, "kmm", r->kmm, digits);
		add_cost(one, "ratio", r->host > 0 ? r->kmm / r->host : -1, 4);
		add_text(one, "unit", "ns/op");
		json_object_array_add(rows, one);
	}
	json_object_object_add(j, "rows", rows);
	json_object_object_add(j, "config", config);
	for (size_t i = 0; !in->named && i < NR_KNOWN; i++)
		if (!find_row(in, known[i].name))
			add_skipped(skipped, known[i].name, in->missing[known[i].program]);
	json_object_object_add(j, "skipped", skipped);
	print_json(j);
}

static void print_config(struct json_object *config)
{
	json_object_object_foreach(config, key, value) {
		const char *text = json_object_get_string(value);

		printf("%s: %s\n", key, *text ? text : "none");
	}
	printf("Each figure is of this machine, with what else it does now. Compare within a run.\n\n");
}

static void print_cost(double cost)
{
	if (cost < 0)
		printf(" %12s", "-");
	else
		printf(" %12.*f", cost < 1 ? 5 : cost < 10 ? 3 : 1, cost);
}

static void print_row(const struct options *o, const struct bench_row *r)
{
	enum colour c = r->host > 0 ? r->kmm <= r->host ? COLOUR_GREEN : COLOUR_YELLOW : COLOUR_OFF;

	printf("%-22s", r->name);
	print_cost(r->host);
	print_cost(r->kmm);
	if (r->host > 0)
		printf(" %s%8.3f%s\n", colour(o, c), r->kmm / r->host, colour(o, COLOUR_OFF));
	else
		printf(" %8s\n", "-");
	fflush(stdout);
}

/* === The verb === */

/* Why rows of kmm_bench.ko cannot be measured; NULL when they can. */
static const char *module_missing(void)
{
	if (access(BENCH_DIR "/run", W_OK) == 0)
		return NULL;
	if (errno == EACCES || errno == EPERM)
		return "they are for root";
	if (access("/sys/module/kmm_bench", F_OK))
		return "kmm_bench is not loaded: as root, insmod kmm_bench.ko";
	return "no " BENCH_DIR ": as root, mount -t debugfs none " DEBUGFS_MOUNT;
}

/* Fill in->missing; without names on the command line choose all that can be measured. */
static bool choose_rows(struct bench_input *in)
{
	for (unsigned int p = 0; p < NR_PROGRAMS; p++)
		in->missing[p] = programs[p].root && geteuid() ? "they are for root" : NULL;
	in->missing[PROGRAM_MODULE] = module_missing();
	for (size_t i = 0; !in->named && i < NR_KNOWN; i++)
		if (!in->missing[known[i].program])
			in->row[in->nr++] = known[i];
	for (size_t i = 0; i < in->nr; i++)
		if (in->missing[in->row[i].program]) {
			complain(0, "%s cannot be measured here", in->row[i].name);
			fprintf(stderr, "     Rows of its kind: %s\n",
				in->missing[in->row[i].program]);
			return false;
		}
	return true;
}

static void print_rows(struct bench_input *in, struct json_object *config)
{
	print_config(config);
	json_object_put(config);
	printf("%s%-22s %12s %12s %8s%s  ns/op, best of %" PRIu64 "\n", colour(in->o, COLOUR_BOLD),
	       "workload", "host", "kmm", "ratio", colour(in->o, COLOUR_OFF), in->rounds);
	for (size_t i = 0; i < in->nr; i++)
		if (!in->row[i].err)
			print_row(in->o, &in->row[i]);
	for (unsigned int p = 0; !in->named && p < NR_PROGRAMS; p++)
		if (in->missing[p])
			printf("%s not measured: %s\n", programs[p].rows, in->missing[p]);
}

static int bench(struct bench_input *in)
{
	struct json_object *config;
	int ret = EXIT_OK, dev;

	dev = open_device();
	if (dev < 0)
		return EXIT_FAIL;
	close(dev);
	if (!choose_rows(in))
		return EXIT_FAIL;
	config = read_config();
	for (uint64_t round = 0; round < in->rounds; round++)
		measure_round(in, round);
	for (size_t i = 0; i < in->nr; i++) {
		if (!in->row[i].err)
			continue;
		explain(&in->row[i]);
		/* a region that is too small for a row that nobody asked for is no failure */
		if (in->named || in->row[i].err != -ENOMEM)
			ret = EXIT_FAIL;
	}
	if (in->o->json)
		print_rows_json(in, config);
	else
		print_rows(in, config);
	return ret;
}

int cmd_bench(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "list", 'l', NULL, 0, "List the rows", 0 },
		{ "rounds", 'r', "N", 0, "Measure N times, keep the best of each side (1)", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = bench_parse,
		.args_doc = "[ROW...]",
		.doc = "Measure kmm beside the host's own in this kernel, nanoseconds an operation; "
		       "ratio is kmm divided by host.\v"
		       "Without ROW: all that can be measured here. Anybody who may use " KMM_DEVICE
		       " gets the rows of faults, pipes, queues and batches; root those of address "
		       "spaces, too, and those of the allocators inside the kernel when kmm_bench.ko is "
		       "loaded. 'make bench' has the same rows and more; it counts instructions in a VM "
		       "of its own, figures that can be compared between machines.\n",
	};
	struct bench_input in = { .o = o, .rounds = 1 };

	parse_verb(&argp, o, argc, argv, 0, &in);
	return in.list ? print_list(o) : bench(&in);
}
