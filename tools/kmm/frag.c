// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm frag: free blocks by order, how fragmented that is, and where in the region.
 *
 * From debugfs buddyinfo, pagetypeinfo and frag_map. The index per order is Linux's
 * unusable free space index (Documentation/admin-guide/sysctl/vm.rst and
 * mm/vmstat.c, "extfrag/unusable_index"): the share of free pages that lie in blocks too
 * small for an allocation of that order. 0: all of them can serve it; 1: none can.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

#define NR_ORDERS	(KMM_ORDER_MAX + 1)
#define NR_TYPES_MAX	8
#define TYPE_LEN	24
#define BAR_CELLS	32

struct type_row {
	char name[TYPE_LEN];
	uint64_t pageblocks;
	uint64_t nr[NR_ORDERS];
};

struct frag {
	struct options *o;
	bool map;
	uint64_t nr[NR_ORDERS];
	struct type_row type[NR_TYPES_MAX];
	size_t nr_types;
};

static bool parse_orders(const char *p, uint64_t *nr)
{
	char *end;

	for (int i = 0; i < NR_ORDERS; i++) {
		nr[i] = strtoull(p, &end, 10);
		if (end == p)
			return false;
		p = end;
	}
	return true;
}

/* What stands behind word, blanks and another word; NULL: no such word is there. */
static const char *behind(const char *line, const char *word)
{
	const char *p = strstr(line, word);

	if (!p)
		return NULL;
	p += strlen(word);
	p += strspn(p, " \t");
	return p + strcspn(p, " \t");
}

/* "Node 0, zone NAME n n n ..." ; zones are summed. */
static bool read_buddyinfo(struct frag *fr)
{
	FILE *f = open_debugfs("buddyinfo");
	uint64_t nr[NR_ORDERS];
	char *line = NULL;
	const char *p;
	bool any = false;
	size_t cap = 0;

	if (!f)
		return false;
	while (getline(&line, &cap, f) > 0) {
		p = behind(line, "zone");
		if (!p || !parse_orders(p, nr))
			continue;
		any = true;
		for (int i = 0; i < NR_ORDERS; i++)
			fr->nr[i] += nr[i];
	}
	free(line);
	fclose(f);
	if (!any)
		complain(0, DEBUGFS_DIR "/buddyinfo has no line of %d orders", NR_ORDERS);
	return any;
}

/* "Node 0, zone NAME n n n", a number for each type in the order of the lines before. */
static void parse_pageblocks(struct frag *fr, const char *line)
{
	const char *p = behind(line, "zone");
	char *end;

	for (size_t t = 0; p && t < fr->nr_types; t++, p = end)
		fr->type[t].pageblocks = strtoull(p, &end, 10);
}

/* "Node 0, zone NAME, type TYPE n n n ...", and pageblocks behind that; closes f. */
static void read_pagetypeinfo(FILE *f, struct frag *fr)
{
	struct type_row *t;
	char *line = NULL;
	const char *p;
	size_t cap = 0;

	while (getline(&line, &cap, f) > 0 && fr->nr_types < NR_TYPES_MAX) {
		p = strstr(line, ", type");
		if (strncmp(line, "Node", 4))
			continue;
		if (!p) {
			parse_pageblocks(fr, line);
			continue;
		}
		t = &fr->type[fr->nr_types];
		if (sscanf(p, ", type %23s", t->name) != 1)
			continue;
		if (parse_orders(behind(p, ", type"), t->nr))
			fr->nr_types++;
	}
	free(line);
	fclose(f);
}

static uint64_t free_pages(const uint64_t *nr)
{
	uint64_t sum = 0;

	for (int i = 0; i < NR_ORDERS; i++)
		sum += nr[i] << i;
	return sum;
}

/* Free pages in blocks of less than order, as a share of all. */
static double unusable(const uint64_t *nr, int order)
{
	uint64_t all = free_pages(nr), small = 0;

	for (int i = 0; i < order; i++)
		small += nr[i] << i;
	/* As Linux: with no free page at all nothing is usable. */
	return all ? (double)small / all : 1.0;
}

static struct json_object *orders_json(const uint64_t *nr)
{
	struct json_object *j = json_object_new_array();

	for (int i = 0; i < NR_ORDERS; i++)
		json_object_array_add(j, json_object_new_uint64(nr[i]));
	return j;
}

struct json_object *types_json(FILE *f)
{
	struct json_object *j = json_object_new_array(), *one;
	struct frag fr = { 0 };

	read_pagetypeinfo(f, &fr);
	for (size_t t = 0; t < fr.nr_types; t++) {
		one = json_object_new_object();
		json_object_object_add(one, "type", json_object_new_string(fr.type[t].name));
		add_number(one, "pageblocks", fr.type[t].pageblocks);
		add_number(one, "free_pages", free_pages(fr.type[t].nr));
		json_object_object_add(one, "free_blocks", orders_json(fr.type[t].nr));
		json_object_array_add(j, one);
	}
	return j;
}

static int frag_json(struct frag *fr)
{
	struct json_object *j = json_object_new_object(), *sub;
	char *line = NULL;
	size_t cap = 0;
	FILE *f;

	add_number(j, "free_pages", free_pages(fr->nr));
	json_object_object_add(j, "free_blocks", orders_json(fr->nr));
	sub = json_object_new_array();
	for (int i = 0; i < NR_ORDERS; i++) {
		char digits[16];

		snprintf(digits, sizeof(digits), "%.3f", unusable(fr->nr, i));
		json_object_array_add(sub, json_object_new_double_s(unusable(fr->nr, i), digits));
	}
	json_object_object_add(j, "unusable_index", sub);
	sub = json_object_new_object();
	for (size_t t = 0; t < fr->nr_types; t++)
		json_object_object_add(sub, fr->type[t].name, orders_json(fr->type[t].nr));
	json_object_object_add(j, "types", sub);
	f = fr->map ? open_debugfs("frag_map") : NULL;
	if (f) {
		sub = json_object_new_array();
		while (getline(&line, &cap, f) > 0) {
			line[strcspn(line, "\n")] = 0;
			json_object_array_add(sub, json_object_new_string(line));
		}
		json_object_object_add(j, "map", sub);
		free(line);
		fclose(f);
	}
	return print_json(j);
}

static void frag_text(struct frag *fr)
{
	uint64_t all = free_pages(fr->nr), page = sysconf(_SC_PAGESIZE);
	char *line = NULL;
	size_t cap = 0;
	FILE *f;

	printf("%s%5s %9s %10s %10s %9s%s  share of free memory\n", colour(fr->o, COLOUR_BOLD),
	       "order", "block", "free", "pages", "unusable", colour(fr->o, COLOUR_OFF));
	for (int i = 0; i < NR_ORDERS; i++) {
		printf("%5d %9s %10" PRIu64 " %10" PRIu64 " %9.3f  ", i, human_size(page << i),
		       fr->nr[i], fr->nr[i] << i, unusable(fr->nr, i));
		print_bar(fr->o, fr->nr[i] << i, all, BAR_CELLS);
		putchar('\n');
	}
	printf("free lists hold %" PRIu64 " pages, %s (per-CPU caches not counted)\n", all,
	       human_size(all * page));
	if (fr->nr_types) {
		printf("\n%s%-12s", colour(fr->o, COLOUR_BOLD), "free blocks");
		for (int i = 0; i < NR_ORDERS; i++)
			printf(" %6d", i);
		printf("%s\n", colour(fr->o, COLOUR_OFF));
		for (size_t t = 0; t < fr->nr_types; t++) {
			printf("%-12s", fr->type[t].name);
			for (int i = 0; i < NR_ORDERS; i++)
				printf(" %6" PRIu64, fr->type[t].nr[i]);
			putchar('\n');
		}
	}
	f = fr->map ? open_debugfs("frag_map") : NULL;
	if (f) {
		putchar('\n');
		while (getline(&line, &cap, f) > 0)
			fputs(line, stdout);
		free(line);
		fclose(f);
	}
}

static error_t frag_parse(int key, char *arg, struct argp_state *state)
{
	struct frag *fr = state->input;

	(void)arg;
	switch (key) {
	case 'm':
		fr->map = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_frag(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "map", 'm', NULL, 0, "Also print the map of the region (debugfs frag_map)", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = frag_parse,
		.doc = "Print the free blocks by order and how fragmented they are.\v"
		       "unusable is Linux's index: the share of free pages in blocks too small for an "
		       "allocation of that order; 0 is best, 1 means none can be served.",
	};
	struct frag fr = { .o = o };
	FILE *f;

	parse_verb(&argp, o, argc, argv, 0, &fr);
	if (!read_buddyinfo(&fr))
		return EXIT_FAIL;
	f = open_debugfs("pagetypeinfo");
	if (f)
		read_pagetypeinfo(f, &fr);
	if (o->json)
		return frag_json(&fr);
	frag_text(&fr);
	return EXIT_OK;
}
