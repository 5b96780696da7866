// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm owner: who has the frames of the region, by stack, command or process; switch it on and off.
 *
 * From debugfs page_owner, whose format is the kernel's: a block is a line "Page allocated via
 * order ..., pid ..., tgid ... (COMMAND), ts ...", a line "PFN ...", the stack, an empty line.
 * The kernel's tools/vm/page_owner_sort reads the same file.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

#define PARAMETER	"/sys/module/kmm/parameters/page_owner"

enum by { BY_STACK, BY_COMM, BY_PID, NR_BY };

static const char *const by_names[NR_BY] = { "stack", "comm", "pid" };

/* What blocks have in common. */
struct group {
	char *key;
	uint64_t blocks;
	uint64_t pages;
};

struct owner {
	struct options *o;
	enum by by;
	uint64_t top;
	const char *turn;	/* "on", "off", or NULL: list */
	struct group *group;
	size_t nr;
	uint64_t blocks;
	uint64_t pages;
	uint64_t strange;	/* heads that are none: a command's name may have a newline */
};

/* One block of the file. */
struct block {
	unsigned int order;
	unsigned int pid;
	char comm[64];
	char stack[8192];
	size_t len;
	bool any;
};

static bool add_block(struct owner *w, const struct block *b)
{
	char pid[128];
	const char *key = w->by == BY_STACK ? b->stack : w->by == BY_COMM ? b->comm : pid;
	struct group *g;
	size_t i;

	snprintf(pid, sizeof(pid), "%u %s", b->pid, b->comm);
	for (i = 0; i < w->nr && strcmp(w->group[i].key, key); i++)
		;
	if (i == w->nr) {
		g = realloc(w->group, (w->nr + 1) * sizeof(*g));
		if (!g)
			return false;
		w->group = g;
		g[i] = (struct group) { .key = strdup(key) };
		if (!g[i].key)
			return false;
		w->nr++;
	}
	w->group[i].blocks++;
	w->group[i].pages += UINT64_C(1) << b->order;
	w->blocks++;
	w->pages += UINT64_C(1) << b->order;
	return true;
}

/* "..., pid 7, tgid 7 (a command), ts ..."; a command may have any character in it. */
static bool parse_head(const char *line, struct block *b)
{
	const char *p = strstr(line, ", pid "), *end = strstr(line, "), ts ");
	const char *open = p ? strstr(p, " (") : NULL;

	memset(b, 0, offsetof(struct block, stack));
	b->stack[0] = '\0';
	b->len = 0;
	b->any = p && open && end > open &&
		 sscanf(line, "Page allocated via order %u,", &b->order) == 1 &&
		 sscanf(p, ", pid %u,", &b->pid) == 1 && b->order <= KMM_ORDER_MAX;
	if (b->any)
		snprintf(b->comm, sizeof(b->comm), "%.*s", (int)(end - open - 2), open + 2);
	return b->any;
}

static int read_blocks(struct owner *w)
{
	FILE *f = open_debugfs("page_owner");
	static struct block b;
	char *line = NULL;
	bool good = true;
	size_t cap = 0;
	ssize_t len;

	if (!f)
		return EXIT_FAIL;
	errno = 0;
	while (good && (len = getline(&line, &cap, f)) > 0) {
		if (!strncmp(line, "Page allocated", 14)) {
			w->strange += !parse_head(line, &b);
		} else if (line[0] == ' ' && b.any && b.len + len < sizeof(b.stack)) {
			memcpy(b.stack + b.len, line, len + 1);
			b.len += len;
		} else if (line[0] == '\n' && b.any) {
			good = add_block(w, &b);
			b.any = false;
		}
	}
	if (ferror(f) && errno == EINVAL)
		complain(0, "page_owner is off: load the module with page_owner=1%s",
			 ", or kmm owner on if it was");
	else if (ferror(f))
		complain(-errno, "cannot read " DEBUGFS_DIR "/page_owner");
	else if (!good)
		complain(-ENOMEM, "cannot sum up");
	else if (w->strange)
		complain(0, "%" PRIu64 " blocks were left out: not understood", w->strange);
	good &= !ferror(f);
	free(line);
	fclose(f);
	return good ? EXIT_OK : EXIT_FAIL;
}

static int by_pages(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	return x->pages < y->pages ? 1 : x->pages > y->pages ? -1 : strcmp(x->key, y->key);
}

/* The lines of a stack, without the space before each. */
static struct json_object *stack_json(char *stack)
{
	struct json_object *j = json_object_new_array();

	for (char *line = strtok(stack, "\n"); line; line = strtok(NULL, "\n"))
		json_object_array_add(j, json_object_new_string(line + 1));
	return j;
}

/* A key by pid is "7 command". */
static const char *comm_of(const struct owner *w, const struct group *g)
{
	return w->by == BY_PID ? strchr(g->key, ' ') + 1 : g->key;
}

static int owner_json(struct owner *w, size_t nr)
{
	struct json_object *j = json_object_new_object(), *list = json_object_new_array(), *one;

	add_number(j, "blocks", w->blocks);
	add_number(j, "pages", w->pages);
	json_object_object_add(j, "by", json_object_new_string(by_names[w->by]));
	for (size_t i = 0; i < nr; i++) {
		struct group *g = &w->group[i];

		one = json_object_new_object();
		add_number(one, "pages", g->pages);
		add_number(one, "blocks", g->blocks);
		if (w->by == BY_PID)
			add_number(one, "pid", atoi(g->key));
		if (w->by == BY_STACK)
			json_object_object_add(one, "stack", stack_json(g->key));
		else
			json_object_object_add(one, "comm", json_object_new_string(comm_of(w, g)));
		json_object_array_add(list, one);
	}
	json_object_object_add(j, "owners", list);
	return print_json(j);
}

static void owner_text(struct owner *w, size_t nr)
{
	uint64_t page = sysconf(_SC_PAGESIZE);

	printf("%s%8s %8s %10s  %s%s\n", colour(w->o, COLOUR_BOLD), "pages", "blocks", "size",
	       by_names[w->by], colour(w->o, COLOUR_OFF));
	for (size_t i = 0; i < nr; i++) {
		struct group *g = &w->group[i];
		bool first = true;

		printf("%8" PRIu64 " %8" PRIu64 " %10s  ", g->pages, g->blocks,
		       human_size(g->pages * page));
		for (char *line = strtok(g->key, "\n"); line; line = strtok(NULL, "\n")) {
			printf("%*s%s\n", first ? 0 : 30, "", line + (w->by == BY_STACK));
			first = false;
		}
		if (first)
			putchar('\n');
	}
	if (nr < w->nr)
		printf("and %zu more\n", w->nr - nr);
	printf("%" PRIu64 " pages in %" PRIu64 " blocks, %s\n", w->pages, w->blocks,
	       human_size(w->pages * page));
}

static int turn(const struct owner *w)
{
	int fd = open(PARAMETER, O_WRONLY | O_CLOEXEC);
	bool on = !strcmp(w->turn, "on");
	int err = 0;

	if (fd < 0 || write(fd, on ? "1" : "0", 1) != 1)
		err = errno;
	if (fd >= 0)
		close(fd);
	if (err == EBUSY)
		complain(0, "no space: page_owner must be asked for when the module is loaded");
	else if (err)
		complain(-err, "cannot write " PARAMETER);
	else if (w->o->json)
		printf("{\"page_owner\": %s}\n", on ? "true" : "false");
	else
		printf("page_owner is %s\n", w->turn);
	return err ? EXIT_FAIL : EXIT_OK;
}

static error_t owner_parse(int key, char *arg, struct argp_state *state)
{
	struct owner *w = state->input;

	switch (key) {
	case 'b':
		for (w->by = 0; w->by < NR_BY && strcmp(arg, by_names[w->by]); w->by++)
			;
		if (w->by == NR_BY)
			argp_error(state, "--by is stack, comm or pid");
		return 0;
	case 'n':
		if (!parse_number(arg, UINT32_MAX, &w->top) || !w->top)
			argp_error(state, "--top is a number from 1 on");
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num || (strcmp(arg, "on") && strcmp(arg, "off")))
			argp_error(state, "what may follow is on or off");
		w->turn = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_owner(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "by", 'b', "WHAT", 0, "Sum up by stack (default), comm or pid", 0 },
		{ "top", 'n', "N", 0, "Print the N largest (default 10)", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = owner_parse,
		.args_doc = "[on|off]",
		.doc = "Print who has the frames of the region, or switch page_owner.\v"
		       "The module must be loaded with page_owner=1. Frames that were in use when it was "
		       "switched on are those of owner_register_early_stack.",
	};
	struct owner w = { .o = o, .top = 10 };
	int status;
	size_t nr;

	parse_verb(&argp, o, argc, argv, 0, &w);
	if (w.turn)
		return turn(&w);
	status = read_blocks(&w);
	if (status == EXIT_OK) {
		if (w.nr)
			qsort(w.group, w.nr, sizeof(*w.group), by_pages);
		nr = w.top < w.nr ? w.top : w.nr;
		if (o->json)
			status = owner_json(&w, nr);
		else
			owner_text(&w, nr);
	}
	while (w.nr)
		free(w.group[--w.nr].key);
	free(w.group);
	return status;
}
