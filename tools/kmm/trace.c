// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm trace: page references, for "kmm policy replay". Record those of a running object or space,
 * or make some.
 *
 * A space is recorded exactly: the module notes each page that an access touches, in order. An
 * object is sampled: every few milliseconds the Accessed bits of all its pages are read and
 * cleared. What happens between two looks is not seen: how often a page was used, and in which
 * order. The first lines of the file say which of the two it is.
 *
 * What is recorded is a descriptor: one that was inherited (3, as "kmm object create" and "kmm
 * space run" pass it on), or one of another process, fetched with pidfd_getfd(2).
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"
#include "reftrace.h"

struct record_input {
	struct options *o;
	uint64_t fd;
	uint64_t pid;
	uint64_t interval_ms;
	uint64_t seconds;
	const char *path;
	char **command;
};

struct record {
	FILE *out;
	int fd;
	bool exact;
	uint64_t nr_pages;	/* sampled */
	uint64_t references;
	uint64_t looks;
	uint64_t lost;
};

static volatile sig_atomic_t stopped;

static void on_signal(int signo)
{
	(void)signo;
	stopped = 1;
}

static error_t record_parse(int key, char *arg, struct argp_state *state)
{
	struct record_input *in = state->input;

	switch (key) {
	case 'f':
		if (!parse_number(arg, 1 << 20, &in->fd))
			argp_error(state, "'%s' is no descriptor", arg);
		return 0;
	case 'p':
		if (!parse_number(arg, INT32_MAX, &in->pid) || !in->pid)
			argp_error(state, "'%s' is no process", arg);
		return 0;
	case 'i':
		if (!parse_number(arg, 60000, &in->interval_ms) || !in->interval_ms)
			argp_error(state, "'%s' is no number of milliseconds: 1 to 60000", arg);
		return 0;
	case 's':
		if (!parse_number(arg, UINT32_MAX, &in->seconds))
			argp_error(state, "'%s' is no number of seconds", arg);
		return 0;
	case 'o':
		in->path = arg;
		return 0;
	case ARGP_KEY_ARG:
		in->command = state->argv + state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (in->o->json && !strcmp(in->path, "-"))
			argp_error(state, "--json tells about the trace: it needs --output FILE");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* === The descriptor === */

static int fetch_fd(const struct record_input *in)
{
	int pidfd, fd;

	if (!in->pid)
		return in->fd;
	pidfd = syscall(SYS_pidfd_open, (pid_t)in->pid, 0);
	if (pidfd < 0) {
		complain(-errno, "cannot find process %" PRIu64, in->pid);
		return -1;
	}
	fd = syscall(SYS_pidfd_getfd, pidfd, (int)in->fd, 0);
	if (fd < 0)
		complain(-errno, "cannot fetch descriptor %" PRIu64 " of process %" PRIu64, in->fd,
			 in->pid);
	close(pidfd);
	return fd;
}

static bool describe(const struct record_input *in, struct record *r)
{
	struct kmm_space_info space;
	struct kmm_object_info obj;
	char source[120];
	int ret;

	if (!kmm_space_info(r->fd, &space)) {
		r->exact = true;
		snprintf(source, sizeof(source), "space %llu, page numbers of its addresses",
			 space.id);
	} else {
		ret = kmm_object_info(r->fd, &obj);
		if (ret < 0) {
			complain(ret == -EBADF ? ret : 0, "descriptor %" PRIu64
				 " is neither a memory object nor an address space", in->fd);
			return false;
		}
		r->nr_pages = (obj.size_bytes + sysconf(_SC_PAGESIZE) - 1) /
			      sysconf(_SC_PAGESIZE);
		snprintf(source, sizeof(source), "object %llu, Accessed bits every %" PRIu64
			 " ms; within one look by number", obj.id, in->interval_ms);
	}
	reftrace_write_head(r->out, r->exact ? "exact" : "sampled", source);
	return true;
}

/* === Looking === */

/* What is there now. Returns 0 or a negative errno. */
static int drain(struct record *r)
{
	static uint64_t buf[8192];
	int n;

	do {
		n = kmm_space_trace(r->fd, 0, buf, sizeof(buf) / sizeof(buf[0]), &r->lost);
		for (int i = 0; i < n; i++)
			fprintf(r->out, "%" PRIu64 "%s\n", (uint64_t)(buf[i] & ~KMM_TRACE_WRITE),
				buf[i] & KMM_TRACE_WRITE ? "w" : "");
		r->references += n > 0 ? n : 0;
	} while (n > 0);
	return n;
}

static int look(struct record *r, bool keep)
{
	static uint64_t bitmap[KMM_YOUNG_MAX / 64];

	r->looks += keep;
	for (uint64_t first = 0; first < r->nr_pages; first += KMM_YOUNG_MAX) {
		uint64_t left = r->nr_pages - first;
		uint32_t nr = left < KMM_YOUNG_MAX ? left : KMM_YOUNG_MAX;
		int n = kmm_object_young(r->fd, first, nr, bitmap);

		if (n < 0)
			return n;
		for (uint32_t i = 0; keep && n && i < nr; i++) {
			if (!(bitmap[i / 64] >> i % 64 & 1))
				continue;
			fprintf(r->out, "%" PRIu64 "\n", first + i);
			r->references++;
			n--;
		}
	}
	return 0;
}

static int begin(struct record *r)
{
	/* Objects: what was used before is not ours. */
	return r->exact ? kmm_space_trace(r->fd, KMM_TRACE_START, NULL, 0, NULL) : look(r, false);
}

static int end(struct record *r)
{
	int ret = r->exact ? drain(r) : look(r, true), err;

	if (!r->exact)
		return ret;
	err = kmm_space_trace(r->fd, KMM_TRACE_STOP, NULL, 0, &r->lost);
	return ret < 0 ? ret : err;
}

static void wait_ms(uint64_t ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

/* Until the time is over, the command has ended, or somebody interrupts. */
static int record(const struct record_input *in, struct record *r, int *status)
{
	uint64_t until = now_ms() + in->seconds * 1000;
	int ret = begin(r), err;
	pid_t pid = 0;

	if (ret < 0)
		return ret;
	if (in->command) {
		fflush(r->out);
		pid = fork();
		if (pid < 0)
			ret = -errno;
		if (!pid) {
			signal(SIGINT, SIG_DFL);
			signal(SIGTERM, SIG_DFL);
			_exit(run_command(r->fd, -1, in->command));
		}
	}
	while (ret >= 0 && !(stopped && !pid)) {
		if (pid && waitpid(pid, status, WNOHANG) == pid) {
			pid = 0;
			break;
		}
		if (!pid && in->seconds && now_ms() >= until)
			break;
		wait_ms(in->interval_ms);
		ret = r->exact ? drain(r) : look(r, true);
	}
	if (pid > 0)
		waitpid(pid, status, 0);
	err = end(r);
	return ret < 0 ? ret : err;
}

static int report(const struct record_input *in, const struct record *r)
{
	const char *kind = r->exact ? "exact" : "sampled";
	struct json_object *j;

	if (r->lost)
		complain(0, "%" PRIu64 " accesses found no room: the trace has holes, "
			 "try a shorter --interval", r->lost);
	if (!in->o->json) {
		fprintf(stderr, "%" PRIu64 " references, %s", r->references, kind);
		if (!r->exact)
			fprintf(stderr, ", %" PRIu64 " looks %" PRIu64 " ms apart", r->looks,
				in->interval_ms);
		fputc('\n', stderr);
	} else {
		j = json_object_new_object();
		json_object_object_add(j, "file", json_object_new_string(in->path));
		json_object_object_add(j, "kind", json_object_new_string(kind));
		add_number(j, "references", r->references);
		add_number(j, "lost", r->lost);
		if (!r->exact)
			add_number(j, "looks", r->looks);
		print_json(j);
	}
	return r->lost ? EXIT_FAIL : EXIT_OK;
}

static FILE *open_output(const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "we") : stdout;

	if (!f)
		complain(-errno, "cannot write %s", path);
	return f;
}

static bool close_output(FILE *f, const char *path)
{
	bool ok = !fflush(f) && !ferror(f);

	if (f != stdout)
		ok = !fclose(f) && ok;
	if (!ok)
		complain(-errno, "cannot write %s", path);
	return ok;
}

static int trace_record(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "fd", 'f', "N", 0, "The descriptor (3)", 0 },
		{ "pid", 'p', "PID", 0, "Of this process, not our own", 0 },
		{ "interval", 'i', "MS", 0, "Milliseconds from look to look (10)", 0 },
		{ "seconds", 's', "N", 0, "How long; 0: until it is interrupted (10)", 0 },
		{ "output", 'o', "FILE", 0, "Where to (standard output)", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = record_parse,
		.args_doc = "[COMMAND [ARG...]]",
		.doc = "Record the page references of an address space (exactly) or a memory "
		       "object (sampled; needs CAP_SYS_ADMIN).\v"
		       "With COMMAND, which gets the descriptor as 3, until it ends. Example:\n"
		       "  kmm object create --size 4M -- kmm trace record -o t -- ./program\n",
	};
	struct record_input in = {
		.o = o, .fd = CHILD_FD, .interval_ms = 10, .seconds = 10, .path = "-",
	};
	struct record r = { 0 };
	int ret, status = 0;

	parse_verb(&argp, o, argc, argv, ARGP_IN_ORDER, &in);
	r.fd = fetch_fd(&in);
	if (r.fd < 0)
		return EXIT_FAIL;
	r.out = open_output(in.path);
	if (!r.out)
		return EXIT_FAIL;
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (!describe(&in, &r)) {
		close_output(r.out, in.path);
		return EXIT_FAIL;
	}
	ret = record(&in, &r, &status);
	fprintf(r.out, "# lost: %" PRIu64 "\n", r.lost);
	if (!close_output(r.out, in.path))
		return EXIT_FAIL;
	if (ret == -EPERM)
		complain(0, "sampling an object needs CAP_SYS_ADMIN");
	else if (ret == -EBUSY)
		complain(0, "somebody else records this space");
	else if (ret < 0)
		complain(ret, "cannot record");
	if (ret < 0)
		return EXIT_FAIL;
	ret = report(&in, &r);
	return ret ? ret : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* === Making === */

struct make_input {
	const char *name;
	const char *path;
	uint64_t pages;
	uint64_t references;
	uint64_t seed;
};

static error_t make_parse(int key, char *arg, struct argp_state *state)
{
	struct make_input *in = state->input;

	switch (key) {
	case 'p':
		if (!parse_number(arg, REFTRACE_MAX, &in->pages) || !in->pages)
			argp_error(state, "'%s' is no number of pages", arg);
		return 0;
	case 'n':
		if (!parse_number(arg, REFTRACE_MAX, &in->references) || !in->references)
			argp_error(state, "'%s' is no number of references", arg);
		return 0;
	case 's':
		if (!parse_number(arg, UINT64_MAX, &in->seed))
			argp_error(state, "'%s' is no seed", arg);
		return 0;
	case 'o':
		in->path = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (in->name)
			argp_error(state, "too many arguments");
		in->name = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which trace? kmm trace list lists them");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int trace_make(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "pages", 'p', "N", 0, "Pages, the footprint (4096)", 0 },
		{ "references", 'n', "N", 0, "References (that of the table)", 0 },
		{ "seed", 's', "N", 0, "Another seed, another trace (1)", 0 },
		{ "output", 'o', "FILE", 0, "Where to (standard output)", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = make_parse,
		.args_doc = "NAME",
		.doc = "Make a trace. The same NAME and seed give the same trace everywhere.",
	};
	struct make_input in = {
		.path = "-", .pages = REFTRACE_PAGES, .seed = REFTRACE_SEED,
	};
	char source[120];
	struct reftrace t;
	FILE *out;

	parse_verb(&argp, o, argc, argv, 0, &in);
	if (!reftrace_make(&t, in.name, in.pages, in.references, in.seed)) {
		complain(0, "no trace '%s', or no memory for it; kmm trace list lists them",
			 in.name);
		return EXIT_FAIL;
	}
	out = open_output(in.path);
	if (!out) {
		reftrace_free(&t);
		return EXIT_FAIL;
	}
	snprintf(source, sizeof(source), "kmm trace make %s --pages %" PRIu64 " --references %zu "
		 "--seed %" PRIu64, in.name, in.pages, t.nr, in.seed);
	reftrace_write_head(out, t.kind, source);
	for (size_t k = 0; k < t.nr; k++)
		fprintf(out, "%" PRIu32 "%s\n", t.refs[k] & ~REFTRACE_WRITE,
			t.refs[k] & REFTRACE_WRITE ? "w" : "");
	reftrace_free(&t);
	return close_output(out, in.path) ? EXIT_OK : EXIT_FAIL;
}

static int trace_list(struct options *o, int argc, char **argv)
{
	struct json_object *all = NULL, *one;

	parse_plain(o, "List the traces that can be made.", argc, argv);
	if (o->json)
		all = json_object_new_array();
	for (size_t i = 0; i < REFTRACE_NR_RECIPES; i++) {
		const struct reftrace_recipe *r = &reftrace_recipes[i];

		if (!all) {
			printf("%-8s %7zu  %s\n", r->name, r->nr, r->what);
			continue;
		}
		one = json_object_new_object();
		json_object_object_add(one, "trace", json_object_new_string(r->name));
		add_number(one, "references", r->nr);
		json_object_object_add(one, "what", json_object_new_string(r->what));
		json_object_array_add(all, one);
	}
	return all ? print_json(all) : EXIT_OK;
}

/* === The verb === */

static const struct verb trace_verbs[] = {
	{ "record", "record a running object or space", trace_record },
	{ "make", "make a trace", trace_make },
	{ "list", "list what can be made", trace_list },
};

int cmd_trace(struct options *o, int argc, char **argv)
{
	static const struct verb_set set = {
		.name = "trace",
		.args_doc = "record [OPTION...] [COMMAND]\nmake NAME [OPTION...]\nlist",
		.doc = "Page references, for kmm policy replay.\v"
		       "kmm trace record --help tells more.\n",
		.verbs = trace_verbs, .nr = sizeof(trace_verbs) / sizeof(trace_verbs[0]),
	};

	return run_verbs(&set, o, argc, argv);
}
