// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm slab: the caches as slabtop shows them; what is at a kernel address; allocate objects.
 *
 * list reads debugfs slabinfo, explain talks with debugfs slab_explain, alloc uses KMM_IOC_OPS:
 * slot 0 holds the cache if there is one, the objects come behind it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

#define NAME_LEN	64

/* === list === */

struct cache_row {
	char name[NAME_LEN];
	uint64_t active;
	uint64_t objects;
	uint64_t size;
	uint64_t per_slab;
	uint64_t pages;
	uint64_t active_slabs;
	uint64_t slabs;
};

struct caches {
	struct cache_row *row;
	size_t nr;
};

static uint64_t cache_bytes(const struct cache_row *r)
{
	return r->slabs * r->pages * sysconf(_SC_PAGESIZE);
}

static unsigned int percent(uint64_t part, uint64_t whole)
{
	return whole ? part * 100 / whole : 0;
}

/* False at a line that is no cache. */
static bool parse_row(const char *line, struct cache_row *r)
{
	return sscanf(line, "%63s %lu %lu %lu %lu %lu : tunables %*u %*u %*u : slabdata %lu %lu",
		      r->name, &r->active, &r->objects, &r->size, &r->per_slab, &r->pages,
		      &r->active_slabs, &r->slabs) == 8;
}

/* Closes f. */
static void read_caches(FILE *f, struct caches *c)
{
	struct cache_row r, *more;
	char *line = NULL;
	size_t cap = 0;

	c->row = NULL;
	c->nr = 0;
	while (getline(&line, &cap, f) > 0) {
		if (!parse_row(line, &r))
			continue;
		more = realloc(c->row, (c->nr + 1) * sizeof(r));
		if (!more) {
			complain(-ENOMEM, "%zu caches", c->nr);
			exit(EXIT_FAIL);
		}
		c->row = more;
		c->row[c->nr++] = r;
	}
	free(line);
	fclose(f);
}

static int by_bytes(const void *a, const void *b)
{
	const struct cache_row *x = a, *y = b;
	uint64_t p = x->slabs * x->pages, q = y->slabs * y->pages;

	if (p != q)
		return p < q ? 1 : -1;
	if (x->objects != y->objects)
		return x->objects < y->objects ? 1 : -1;
	return strcmp(x->name, y->name);
}

static struct json_object *row_json(const struct cache_row *r)
{
	struct json_object *j = json_object_new_object();

	json_object_object_add(j, "name", json_object_new_string(r->name));
	add_number(j, "active_objs", r->active);
	add_number(j, "num_objs", r->objects);
	add_number(j, "use_percent", percent(r->active, r->objects));
	add_number(j, "objsize", r->size);
	add_number(j, "objperslab", r->per_slab);
	add_number(j, "pagesperslab", r->pages);
	add_number(j, "active_slabs", r->active_slabs);
	add_number(j, "num_slabs", r->slabs);
	add_number(j, "bytes", cache_bytes(r));
	return j;
}

static struct json_object *line_json(char *line)
{
	struct cache_row r;

	return parse_row(line, &r) ? row_json(&r) : NULL;
}

struct json_object *caches_json(FILE *f)
{
	return lines_json(f, line_json);
}

static void list_text(const struct options *o, const struct caches *c)
{
	uint64_t active = 0, objects = 0, slabs = 0, bytes = 0, used = 0;

	printf("%s%10s %10s %4s %8s %8s %8s %10s%s NAME\n", colour(o, COLOUR_BOLD), "OBJS",
	       "ACTIVE", "USE", "OBJ SIZE", "SLABS", "OBJ/SLAB", "CACHE SIZE",
	       colour(o, COLOUR_OFF));
	for (size_t i = 0; i < c->nr; i++) {
		const struct cache_row *r = &c->row[i];

		printf("%10" PRIu64 " %10" PRIu64 " %3u%% %8" PRIu64 " %8" PRIu64 " %8" PRIu64
		       " %10s %s\n", r->objects, r->active, percent(r->active, r->objects),
		       r->size, r->slabs, r->per_slab, human_size(cache_bytes(r)), r->name);
		active += r->active;
		objects += r->objects;
		slabs += r->slabs;
		bytes += cache_bytes(r);
		used += r->active * r->size;
	}
	printf("%zu caches, %" PRIu64 " slabs, %s; %" PRIu64 " of %" PRIu64
	       " objects are active: %s (%u%%)\n", c->nr, slabs, human_size(bytes), active,
	       objects, human_size(used), percent(used, bytes));
}

static int slab_list(struct options *o, int argc, char **argv)
{
	struct json_object *j;
	struct caches c;
	FILE *f;

	parse_plain(o, "List the object caches, largest first: debugfs slabinfo.\v"
		    "ACTIVE objects are those that somebody has; the others lie in slabs, in the "
		    "CPUs' stacks, or in the depot.", argc, argv);
	f = open_debugfs("slabinfo");
	if (!f)
		return EXIT_FAIL;
	read_caches(f, &c);
	if (!c.nr) {
		complain(0, DEBUGFS_DIR "/slabinfo has no cache");
		return EXIT_FAIL;
	}
	qsort(c.row, c.nr, sizeof(*c.row), by_bytes);
	if (!o->json) {
		list_text(o, &c);
	} else {
		j = json_object_new_array();
		for (size_t i = 0; i < c.nr; i++)
			json_object_array_add(j, row_json(&c.row[i]));
		print_json(j);
	}
	free(c.row);
	return EXIT_OK;
}

/* === explain === */

struct explain_input {
	uint64_t address;
	bool given;
};

/* What debugfs slab_explain says of an address, NUL-terminated; NULL after a complaint. */
static char *explain(uint64_t address)
{
	size_t size = 65536, have = 0;
	char *text = malloc(size);
	char number[32];
	int fd, len;
	ssize_t n;

	fd = open(DEBUGFS_DIR "/slab_explain", O_RDWR | O_CLOEXEC);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		complain(0, "explaining an address needs CAP_SYS_ADMIN: be root");
	else if (fd < 0)
		complain_debugfs(-errno, "slab_explain");
	if (fd < 0 || !text)
		goto fail;
	len = snprintf(number, sizeof(number), "%" PRIx64, address);
	if (write(fd, number, len) != len) {
		complain(-errno, "cannot ask about %#" PRIx64, address);
		goto fail;
	}
	while (have < size - 1) {
		n = pread(fd, text + have, size - 1 - have, have);
		if (n < 0) {
			complain(-errno, "cannot read the answer");
			goto fail;
		}
		if (!n)
			break;
		have += n;
	}
	close(fd);
	text[have] = 0;
	return text;
fail:
	if (fd >= 0)
		close(fd);
	free(text);
	return NULL;
}

/* Lines "key: value"; indented lines are the stack of the key before them. */
static int explain_json(char *text)
{
	struct json_object *j = json_object_new_object(), *stack = NULL;
	char key[32] = "", name[48];

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		size_t key_len = strcspn(line, ":");

		if (*line == ' ') {
			if (!stack) {
				stack = json_object_new_array();
				snprintf(name, sizeof(name), "%s_stack", key);
				json_object_object_add(j, name, stack);
			}
			line += strspn(line, " ");
			json_object_array_add(stack, json_object_new_string(line));
			continue;
		}
		stack = NULL;
		snprintf(key, sizeof(key), "%.*s", (int)key_len, line);
		line += key_len + (line[key_len] == ':');
		line += strspn(line, " ");
		json_object_object_add(j, key, json_object_new_string(line));
	}
	return print_json(j);
}

static error_t explain_parse(int key, char *arg, struct argp_state *state)
{
	struct explain_input *in = state->input;
	char *end;

	switch (key) {
	case ARGP_KEY_ARG:
		if (in->given)
			argp_error(state, "one address");
		errno = 0;
		in->address = strtoull(arg, &end, 16);
		if (*end || end == arg || errno || *arg == '-')
			argp_error(state, "'%s' is no address: hexadecimal, as the kernel prints it",
				   arg);
		in->given = true;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which address?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int slab_explain(struct options *o, int argc, char **argv)
{
	const struct argp argp = {
		.parser = explain_parse, .args_doc = "ADDRESS",
		.doc = "Tell what is at a kernel address: frame, block, cache, object, its state, and "
		       "who allocated and freed it if the cache keeps that. Needs CAP_SYS_ADMIN.\v"
		       "kmm slab alloc --addr prints addresses to try it on.",
	};
	struct explain_input in = { 0 };
	char *text;

	parse_verb(&argp, o, argc, argv, 0, &in);
	text = explain(in.address);
	if (!text)
		return EXIT_FAIL;
	if (o->json)
		explain_json(text);
	else
		fputs(text, stdout);
	free(text);
	return EXIT_OK;
}

/* === alloc === */

struct slab_alloc_input {
	uint64_t size;
	uint64_t count;
	bool cache;
	bool wait;
	uint16_t cache_flags;
	uint16_t flags;
};

static error_t alloc_parse(int key, char *arg, struct argp_state *state)
{
	struct slab_alloc_input *in = state->input;

	switch (key) {
	case 's':
		if (!parse_size(arg, &in->size) || !in->size)
			argp_error(state, "'%s' is no size: try 64, 8K", arg);
		return 0;
	case 'n':
		if (!parse_number(arg, UINT32_MAX - 1, &in->count) || !in->count)
			argp_error(state, "'%s' is no count of objects", arg);
		return 0;
	case 'C':
		in->cache = true;
		return 0;
	case 'd':
		in->cache = true;
		in->cache_flags = KMM_CACHE_RED_ZONE | KMM_CACHE_POISON | KMM_CACHE_STORE_USER;
		return 0;
	case 'z':
		in->flags |= KMM_OP_ZERO;
		return 0;
	case 'a':
		in->flags |= KMM_OP_ADDR;
		return 0;
	case 'w':
		in->wait = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const char *alloc_advice(int err)
{
	switch (err) {
	case -EPERM:
		return "Addresses are for CAP_SYS_ADMIN.";
	case -EINVAL:
	case -EFBIG:
		return "A cache's objects have up to 8 KiB, kmalloc up to 4 MiB.";
	case -ERANGE:
		return "A file has fewer slots: load kmm with a larger max_slots.";
	case -EDQUOT:
		return "A limit was reached: kmm info shows them.";
	default:
		return "kmm.h says what the error means.";
	}
}

/* Slots 1 .. count. Returns how many there are; *err is the first failure. */
static uint64_t alloc_objects(int fd, const struct slab_alloc_input *in, struct kmm_op *op,
			      int *err)
{
	uint64_t done = 0;

	for (uint64_t i = 0; i < in->count; i++)
		op[i] = (struct kmm_op){
			.kind = in->cache ? KMM_OP_CACHE_ALLOC : KMM_OP_KMALLOC,
			.flags = in->flags, .slot = i + 1, .arg = in->cache ? 0 : in->size,
		};
	while (done < in->count) {
		uint64_t left = in->count - done;
		uint32_t failed;
		int n = kmm_ops(fd, op + done, left < KMM_OPS_MAX ? left : KMM_OPS_MAX, 0, &failed);

		if (n < 0) {
			*err = n;
			return done;
		}
		done += n;
		if (failed) {
			*err = op[--done].result;
			return done;
		}
	}
	return done;
}

static int slab_alloc(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "size", 's', "BYTES", 0, "Bytes of an object, with K, M (64)", 0 },
		{ "count", 'n', "N", 0, "So many objects (1)", 0 },
		{ "cache", 'C', NULL, 0, "From a cache of their own, not from kmalloc", 0 },
		{ "debug", 'd', NULL, 0, "As --cache, with red zones, poison and owners", 0 },
		{ "zero", 'z', NULL, 0, "Ask for zeroed memory", 0 },
		{ "addr", 'a', NULL, 0, "Print the addresses (CAP_SYS_ADMIN)", 0 },
		{ "wait", 'w', NULL, 0, "Keep them until standard input ends", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = alloc_parse,
		.doc = "Allocate objects, report, and free them.\v"
		       "Example: kmm slab alloc --size 100 --addr --wait",
	};
	struct slab_alloc_input in = { .size = 64, .count = 1 };
	struct json_object *j, *list;
	struct kmm_op *op;
	uint64_t got = 0;
	int fd, err = 0;
	char buf[256];

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
	if (in.cache)
		err = in.size > UINT32_MAX ? -EINVAL :
		      kmm_cache_create(fd, 0, in.size, 0, in.cache_flags);
	if (!err)
		got = alloc_objects(fd, &in, op, &err);
	if (o->json) {
		j = json_object_new_object();
		add_number(j, "size", in.size);
		add_number(j, "asked", in.count);
		add_number(j, "allocated", got);
		json_object_object_add(j, "errno", json_object_new_int(-err));
		list = json_object_new_array();
		for (uint64_t i = 0; i < got && in.flags & KMM_OP_ADDR; i++) {
			snprintf(buf, sizeof(buf), "%#llx", op[i].arg);
			json_object_array_add(list, json_object_new_string(buf));
		}
		json_object_object_add(j, "addresses", list);
		print_json(j);
	} else {
		printf("allocated %" PRIu64 " object%s of %" PRIu64 " bytes from %s\n", got,
		       got == 1 ? "" : "s", in.size, in.cache ? "a cache" : "kmalloc");
		for (uint64_t i = 0; i < got && in.flags & KMM_OP_ADDR; i++)
			printf("%#llx\n", op[i].arg);
	}
	fflush(stdout);
	if (err) {
		complain(err, "%" PRIu64 " of %" PRIu64 " objects could not be had",
			 in.count - got, in.count);
		fprintf(stderr, "     %s\n", alloc_advice(err));
	}
	while (in.wait && read(STDIN_FILENO, buf, sizeof(buf)) > 0)
		;
	free(op);
	close(fd);	/* frees the objects, then the cache */
	return err ? EXIT_FAIL : EXIT_OK;
}

/* === The verb === */

int cmd_slab(struct options *o, int argc, char **argv)
{
	static const struct verb verbs[] = {
		{ "list", "list the caches", slab_list },
		{ "explain", "explain an address", slab_explain },
		{ "alloc", "allocate objects", slab_alloc },
	};
	static const struct verb_set set = {
		.name = "slab",
		.args_doc = "[list]\nexplain ADDRESS\nalloc [OPTION...]",
		.doc = "Object caches: list them (the default), explain a kernel address, or "
			"allocate objects.\v"
			"kmm slab alloc --help tells more.\n",
		.verbs = verbs, .nr = sizeof(verbs) / sizeof(verbs[0]),
		.first_alone = true,
	};

	return run_verbs(&set, o, argc, argv);
}
