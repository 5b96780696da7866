// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm object: make a memory object, or list those that live.
 *
 * An object lives as long as something holds its descriptor, so "create" does
 * something with it while it is open: it fills and verifies a pattern (--pattern),
 * seals it, exports it as a dma-buf, tells about it, and either runs a command that
 * inherits the object as descriptor 3 (and the dma-buf as 4) or waits. With --name it lives on
 * afterwards: "open" does the same with an object that has a name, "gift" moves pages from one to
 * another, "unlink" takes the name away, "names" lists them. "list" prints debugfs objects.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd.h"

#define NR_COLUMNS_MAX	32

struct name_bit {
	const char *name;
	uint32_t bit;
};

static const struct name_bit flag_names[] = {
	{ "eager", KMM_OBJECT_EAGER }, { "contig", KMM_OBJECT_CONTIG },
	{ "locked", KMM_OBJECT_LOCKED }, { 0 }
};

static const struct name_bit seal_names[] = {
	{ "seal", KMM_SEAL_SEAL }, { "shrink", KMM_SEAL_SHRINK }, { "grow", KMM_SEAL_GROW },
	{ "write", KMM_SEAL_WRITE }, { "future-write", KMM_SEAL_FUTURE_WRITE }, { 0 }
};

struct object_input {
	struct options *o;
	uint64_t size;
	uint32_t flags;
	uint32_t seals;
	bool pattern;
	bool rdonly;
	bool export;
	bool wait;
	bool open;		/* an object that has @name already */
	const char *name;
	char **command;
};

static struct json_object *bits_json(const struct name_bit *t, uint32_t bits)
{
	struct json_object *j = json_object_new_array();

	for (; t->name; t++)
		if (bits & t->bit)
			json_object_array_add(j, json_object_new_string(t->name));
	return j;
}

static const char *bits_text(const struct name_bit *t, uint32_t bits)
{
	static char text[2][128];
	static unsigned int next;
	char *out = text[next++ % 2];
	size_t n = 0;

	*out = 0;
	for (; t->name; t++)
		if (bits & t->bit)
			n += snprintf(out + n, sizeof(text[0]) - n, "%s%s", n ? "," : "", t->name);
	return *out ? out : "none";
}

/* === create === */

/* A word per 8 bytes that tells its own place, so that a page in the wrong place shows. */
static int fill_and_verify(int obj, uint64_t size)
{
	static uint64_t buf[8192];
	uint64_t at, n, i;

	for (at = 0; at < size; at += n) {
		n = size - at < sizeof(buf) ? size - at : sizeof(buf);
		for (i = 0; i < sizeof(buf) / 8; i++)
			buf[i] = (at / 8 + i) * 0x9e3779b97f4a7c15ULL;
		if (pwrite(obj, buf, n, at) != (ssize_t)n)
			return errno ? -errno : -EIO;
	}
	for (at = 0; at < size; at += n) {
		n = size - at < sizeof(buf) ? size - at : sizeof(buf);
		memset(buf, 0, sizeof(buf));
		if (pread(obj, buf, n, at) != (ssize_t)n)
			return errno ? -errno : -EIO;
		for (i = 0; i < n / 8; i++)
			if (buf[i] != (at / 8 + i) * 0x9e3779b97f4a7c15ULL)
				return -EILSEQ;
	}
	return 0;
}

/* Make @fd descriptor @number of the command. dup2 onto itself would leave close-on-exec set. */
static bool pass_on(int fd, int number)
{
	return fd == number ? fcntl(fd, F_SETFD, 0) >= 0 : dup2(fd, number) >= 0;
}

int run_command(int fd, int dmabuf, char **command)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		complain(-errno, "cannot fork");
		return EXIT_FAIL;
	}
	if (!pid) {
		/* out of the way of the numbers that the others get */
		if (dmabuf >= 0)
			dmabuf = fcntl(dmabuf, F_DUPFD_CLOEXEC, CHILD_DMABUF + 1);
		if (!pass_on(fd, CHILD_FD) ||
		    (dmabuf >= 0 && !pass_on(dmabuf, CHILD_DMABUF))) {
			complain(-errno, "cannot pass the descriptor");
			_exit(126);
		}
		execvp(command[0], command);
		complain(-errno, "cannot run %s", command[0]);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void report(const struct object_input *in, int obj, bool verified)
{
	struct kmm_object_info info;
	struct json_object *j;
	int ret = kmm_object_info(obj, &info);

	if (ret < 0) {
		complain(ret, "KMM_IOC_OBJECT_INFO failed");
		return;
	}
	if (in->o->json) {
		j = json_object_new_object();
		add_number(j, "id", info.id);
		add_number(j, "size_bytes", info.size_bytes);
		add_number(j, "resident", info.resident);
		add_number(j, "host_bytes", info.host_bytes);
		json_object_object_add(j, "flags", bits_json(flag_names, info.flags));
		json_object_object_add(j, "seals", bits_json(seal_names, info.seals));
		if (in->pattern)
			json_object_object_add(j, "verified", json_object_new_boolean(verified));
		print_json(j);
	} else {
		printf("object %llu: %s, %llu frames resident, %s of host memory, "
		       "flags %s, seals %s\n", info.id, human_size(info.size_bytes), info.resident,
		       human_size(info.host_bytes), bits_text(flag_names, info.flags),
		       bits_text(seal_names, info.seals));
		if (in->pattern)
			puts("pattern written and read back");
	}
	fflush(stdout);
}

/* Has said what is wrong when it returns a negative errno. */
static int get_object(const struct object_input *in)
{
	int dev = open_device(), obj;

	if (dev < 0)
		return dev;
	if (in->open)
		obj = kmm_shm_open(dev, in->name, in->rdonly ? KMM_SHM_RDONLY : 0, 0, 0, 0);
	else if (in->name)
		obj = kmm_shm_open(dev, in->name, KMM_SHM_CREATE | KMM_SHM_EXCL, 0666, in->size,
				   in->flags);
	else
		obj = kmm_object_create(dev, in->size, in->flags);
	close(dev);
	if (obj >= 0)
		return obj;
	if (in->open || obj == -EEXIST)
		complain(obj, "name '%s'", in->name);
	else
		complain(obj, "no object of %s", human_size(in->size));
	if (obj == -EFBIG && in->flags & KMM_OBJECT_CONTIG)
		fputs("     The largest contiguous one has 4 MiB.\n", stderr);
	else if (obj == -EFBIG)
		fprintf(stderr, "     The largest has %s.\n", human_size(KMM_OBJECT_SIZE_MAX));
	else if (obj == -EDQUOT)
		fputs("     A limit was reached: kmm info shows them.\n", stderr);
	return obj;
}

static int create(struct object_input *in)
{
	int obj = get_object(in), ret, weak, dmabuf = -1;
	char buf[256];

	if (obj < 0)
		return EXIT_FAIL;
	ret = in->pattern ? fill_and_verify(obj, in->size) : 0;
	if (ret < 0) {
		complain(ret, "the pattern did not read back");
		close(obj);
		return EXIT_FAIL;
	}
	ret = in->seals ? kmm_object_seal(obj, in->seals, NULL) : 0;
	if (ret < 0) {
		complain(ret, "sealing failed");
		close(obj);
		return EXIT_FAIL;
	}
	if (in->export) {
		dmabuf = kmm_object_export(obj, in->rdonly ? KMM_EXPORT_RDONLY : 0);
		if (dmabuf < 0) {
			complain(dmabuf, "no dma-buf");
			if (dmabuf == -EPERM)
				fputs("     Sealed against writes: add --rdonly.\n", stderr);
			close(obj);
			return EXIT_FAIL;
		}
	}
	report(in, obj, true);
	if (in->rdonly) {
		weak = kmm_object_reopen(obj, KMM_REOPEN_RDONLY);
		if (weak < 0) {
			complain(weak, "no read-only descriptor");
			close(obj);
			return EXIT_FAIL;
		}
		close(obj);
		obj = weak;
	}
	if (in->command)
		ret = run_command(obj, dmabuf, in->command);
	else if (in->wait)
		while (read(STDIN_FILENO, buf, sizeof(buf)) > 0)
			;
	if (dmabuf >= 0)
		close(dmabuf);
	close(obj);
	return ret;
}

static error_t create_parse(int key, char *arg, struct argp_state *state)
{
	struct object_input *in = state->input;
	const struct name_bit *t;
	char *word, *rest;

	switch (key) {
	case 's':
		if (!parse_size(arg, &in->size))
			argp_error(state, "'%s' is no size: try 4096, 64K, 1M", arg);
		return 0;
	case 'e':
		in->flags |= KMM_OBJECT_EAGER;
		return 0;
	case 'C':
		in->flags |= KMM_OBJECT_CONTIG;
		return 0;
	case 'l':
		in->flags |= KMM_OBJECT_LOCKED;
		return 0;
	case 'p':
		in->pattern = true;
		return 0;
	case 'r':
		in->rdonly = true;
		return 0;
	case 'x':
		in->export = true;
		return 0;
	case 'w':
		in->wait = true;
		return 0;
	case 'n':
		in->name = arg;
		return 0;
	case 'S':
		for (rest = arg; (word = strsep(&rest, ",")) != NULL;) {
			for (t = seal_names; t->name && strcmp(t->name, word); t++)
				;
			if (!t->name)
				argp_error(state, "no seal '%s'", word);
			in->seals |= t->bit;
		}
		return 0;
	case ARGP_KEY_ARG:
		if (in->open && !in->name) {
			in->name = arg;
			return 0;
		}
		/* The command, with or without -- before it. */
		in->command = state->argv + state->next - 1;
		state->next = state->argc;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int object_create(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "size", 's', "BYTES", 0, "Its size, with K, M, G (1M)", 0 },
		{ "eager", 'e', NULL, 0, "All frames now, not on demand", 0 },
		{ "contig", 'C', NULL, 0, "Physically contiguous, at most 4 MiB", 0 },
		{ "locked", 'l', NULL, 0, "Frames never leave: for mutexes and semaphores", 0 },
		{ "pattern", 'p', NULL, 0, "Fill it, and read it back", 0 },
		{ "seals", 'S', "LIST", 0, "Seal it: seal,shrink,grow,write,future-write", 0 },
		{ "rdonly", 'r', NULL, 0, "Pass on descriptors that cannot write", 0 },
		{ "export", 'x', NULL, 0, "Export it, pass the dma-buf as descriptor 4", 0 },
		{ "wait", 'w', NULL, 0, "Keep it until standard input ends", 0 },
		{ "name", 'n', "NAME", 0, "Give it a name, by which it lives on", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = create_parse,
		.args_doc = "[-- COMMAND [ARG...]]",
		.doc = "Make a memory object, tell about it, and run COMMAND with it as "
		       "descriptor 3.\v"
		       "Exit status is COMMAND's. Example: kmm object create --size 1M -- sh -c "
		       "'echo hello >&3'",
	};
	struct object_input in = { .o = o, .size = 1 << 20 };

	parse_verb(&argp, o, argc, argv, ARGP_IN_ORDER, &in);
	return create(&in);
}

/* === open, unlink, gift: by name === */

static int object_open(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "seals", 'S', "LIST", 0, "Seal it: seal,shrink,grow,write,future-write", 0 },
		{ "rdonly", 'r', NULL, 0, "Open it for reading only", 0 },
		{ "export", 'x', NULL, 0, "Export it, pass the dma-buf as descriptor 4", 0 },
		{ "wait", 'w', NULL, 0, "Keep it until standard input ends", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = create_parse,
		.args_doc = "NAME [-- COMMAND [ARG...]]",
		.doc = "Open the memory object that has this name, tell about it, and run COMMAND "
		       "with it as descriptor 3.",
	};
	struct object_input in = { .o = o, .open = true };

	parse_verb(&argp, o, argc, argv, ARGP_IN_ORDER, &in);
	if (!in.name) {
		complain(-EINVAL, "which name?");
		return EXIT_USAGE;
	}
	return create(&in);
}

/* What "unlink" and "gift" are told. */
struct names_input {
	const char *name[2];
	int nr, wanted;
	uint64_t offset, to_offset, length;
};

static error_t names_parse(int key, char *arg, struct argp_state *state)
{
	struct names_input *in = state->input;
	uint64_t *size = key == 'f' ? &in->offset : key == 't' ? &in->to_offset : &in->length;

	switch (key) {
	case 'f':
	case 't':
	case 'l':
		if (!parse_size(arg, size))
			argp_error(state, "'%s' is no size: try 4096, 64K, 1M", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (in->nr == in->wanted)
			argp_error(state, "too many names");
		in->name[in->nr++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (in->nr < in->wanted)
			argp_error(state, in->wanted == 2 ? "two names, or a name and what to do?" :
							    "which name?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int object_unlink(struct options *o, int argc, char **argv)
{
	const struct argp argp = {
		.parser = names_parse, .args_doc = "NAME",
		.doc = "Take the name of a memory object away; it dies when nobody has it open.",
	};
	struct names_input in = { .wanted = 1 };
	int dev, ret;

	parse_verb(&argp, o, argc, argv, 0, &in);
	dev = open_device();
	if (dev < 0)
		return EXIT_FAIL;
	ret = kmm_shm_unlink(dev, in.name[0]);
	close(dev);
	if (ret < 0)
		complain(ret, "name '%s'", in.name[0]);
	return ret < 0 ? EXIT_FAIL : EXIT_OK;
}

static int object_gift(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "offset", 'f', "BYTES", 0, "Where to begin in FROM (0)", 0 },
		{ "to-offset", 't', "BYTES", 0, "Where to begin in TO (0)", 0 },
		{ "length", 'l', "BYTES", 0, "How much (all of FROM from there on)", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = names_parse,
		.args_doc = "FROM TO",
		.doc = "Move pages from one object to another, both by name, without a copy.",
	};
	struct names_input in = { .wanted = 2 };
	struct kmm_object_gift g;
	struct kmm_object_info info;
	int dev, fd[2], ret;

	parse_verb(&argp, o, argc, argv, 0, &in);
	dev = open_device();
	if (dev < 0)
		return EXIT_FAIL;
	for (int i = 0; i < 2; i++) {
		fd[i] = kmm_shm_open(dev, in.name[i], 0, 0, 0, 0);
		if (fd[i] < 0) {
			complain(fd[i], "name '%s'", in.name[i]);
			return EXIT_FAIL;
		}
	}
	close(dev);
	if (!in.length && !kmm_object_info(fd[0], &info) && info.size_bytes > in.offset)
		in.length = (info.size_bytes - in.offset + 4095) & ~4095ULL;
	ret = kmm_object_gift(fd[0], in.offset, fd[1], in.to_offset, in.length, &g);
	close(fd[0]);
	close(fd[1]);
	if (ret < 0) {
		complain(ret, "no gift from '%s' to '%s'", in.name[0], in.name[1]);
		return EXIT_FAIL;
	}
	if (o->json) {
		struct json_object *j = json_object_new_object();

		add_number(j, "moved", g.moved);
		add_number(j, "copied", g.copied);
		add_number(j, "done_bytes", g.done);
		return print_json(j);
	}
	printf("%s given: %llu frames moved, %llu copied\n", human_size(g.done), g.moved, g.copied);
	return ret ? EXIT_FAIL : EXIT_OK;
}

/* === advise, limit === */

/* The object that in.name[0] names; -1 after a complaint. */
static int open_named(const struct names_input *in)
{
	int dev = open_device(), fd;

	if (dev < 0)
		return -1;
	fd = kmm_shm_open(dev, in->name[0], 0, 0, 0, 0);
	close(dev);
	if (fd < 0)
		complain(fd, "name '%s'", in->name[0]);
	return fd < 0 ? -1 : fd;
}

static int object_advise(struct options *o, int argc, char **argv)
{
	static const struct {
		const char *name, *what;
		uint32_t advice;
	} advices[] = {
		{ "pageout", "evicted", KMM_ADVISE_PAGEOUT },
		{ "cold", "cold", KMM_ADVISE_COLD },
		{ "willneed", "in memory", KMM_ADVISE_WILLNEED },
	}, *a;
	const struct argp_option options[] = {
		{ "offset", 'f', "BYTES", 0, "Where to begin (0)", 0 },
		{ "length", 'l', "BYTES", 0, "How much (all from there on)", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = names_parse,
		.args_doc = "NAME pageout|cold|willneed",
		.doc = "Say what is to come of the pages of an object: evict them, forget that they "
		       "were used, bring in what is in swap.",
	};
	struct names_input in = { .wanted = 2 };
	struct kmm_object_info info;
	int64_t pages;
	int fd;

	parse_verb(&argp, o, argc, argv, 0, &in);
	for (a = advices; a < advices + 3 && strcmp(a->name, in.name[1]); a++)
		;
	if (a == advices + 3) {
		fprintf(stderr, "kmm: '%s' is none of pageout, cold, willneed\n", in.name[1]);
		return EXIT_USAGE;
	}
	fd = open_named(&in);
	if (fd < 0)
		return EXIT_FAIL;
	if (!in.length)
		in.length = UINT64_MAX - in.offset;
	pages = kmm_object_advise(fd, in.offset, in.length, a->advice);
	if (pages < 0 || kmm_object_info(fd, &info)) {
		complain(pages, "%s of '%s'", a->name, in.name[0]);
		close(fd);
		return EXIT_FAIL;
	}
	close(fd);
	if (o->json) {
		struct json_object *j = json_object_new_object();

		add_number(j, "pages", pages);
		add_number(j, "resident", info.resident);
		add_number(j, "swapped", info.swapped);
		return print_json(j);
	}
	printf("%lld pages %s; now %llu in memory, %llu in swap\n", (long long)pages, a->what,
	       info.resident, info.swapped);
	return EXIT_OK;
}

static int object_limit(struct options *o, int argc, char **argv)
{
	const struct argp argp = {
		.parser = names_parse, .args_doc = "NAME BYTES",
		.doc = "Let an object hold so much memory at most; what is more goes to swap, its own "
		       "pages first. 0: no limit any more.",
	};
	struct names_input in = { .wanted = 2 };
	uint64_t bytes;
	int fd, ret;

	parse_verb(&argp, o, argc, argv, 0, &in);
	if (!parse_size(in.name[1], &bytes)) {
		fprintf(stderr, "kmm: '%s' is no size: try 64K, 1M, 0\n", in.name[1]);
		return EXIT_USAGE;
	}
	fd = open_named(&in);
	if (fd < 0)
		return EXIT_FAIL;
	ret = kmm_object_limit(fd, (bytes + 4095) / 4096);
	close(fd);
	if (ret < 0)
		complain(ret, "limit of '%s'", in.name[0]);
	return ret < 0 ? EXIT_FAIL : EXIT_OK;
}

/* === list === */

static int object_names(struct options *o, int argc, char **argv)
{
	parse_plain(o, "List the names of objects and queues: debugfs names.", argc, argv);
	return list_debugfs(o, "names");
}

static int object_list(struct options *o, int argc, char **argv)
{
	parse_plain(o, "List the living memory objects: debugfs objects.", argc, argv);
	return list_debugfs(o, "objects");
}

/* === The verb === */

int cmd_object(struct options *o, int argc, char **argv)
{
	static const struct verb verbs[] = {
		{ "create", "make one", object_create },
		{ "open", "open one by its name", object_open },
		{ "gift", "move pages", object_gift },
		{ "advise", "tell what will be needed", object_advise },
		{ "limit", "set how much stays in memory", object_limit },
		{ "unlink", "take its name away", object_unlink },
		{ "names", "list the names", object_names },
		{ "list", "list all", object_list },
	};
	static const struct verb_set set = {
		.name = "object",
		.args_doc = "create [OPTION...] [-- COMMAND...]\nopen NAME [-- COMMAND...]\n"
			     "gift FROM TO\nadvise NAME pageout|cold|willneed\n"
			    "limit NAME BYTES\nunlink NAME\nnames\nlist",
		.doc = "Make memory objects, find them by name, or list those that live.\v"
			"kmm object create --help tells more.\n",
		.verbs = verbs, .nr = sizeof(verbs) / sizeof(verbs[0]),
	};

	return run_verbs(&set, o, argc, argv);
}
