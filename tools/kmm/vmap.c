// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm vmap: areas of the kernel window by address; allocate some.
 *
 * list reads debugfs vmallocinfo, alloc uses KMM_IOC_OPS: area i goes to slot i.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

/* === list === */

struct area_row {
	uint64_t start;
	uint64_t end;
	uint64_t pages;
	uint64_t huge;
	char kind[24];
	char rights[8];
	char caller[128];
};

/* False at a line that is no area. */
static bool parse_row(const char *line, struct area_row *r)
{
	const char *pages = strstr(line, " pages="), *huge = strstr(line, " huge=");
	int at = 0;

	*r = (struct area_row){ 0 };
	if (!pages ||
	    sscanf(line, "0x%" SCNx64 "-0x%" SCNx64 " %*u%n", &r->start, &r->end, &at) != 2)
		return false;
	if (pages > line + at)
		snprintf(r->caller, sizeof(r->caller), "%.*s", (int)(pages - line - at - 1),
			 line + at + 1);
	if (sscanf(pages, " pages=%" SCNu64 " unpurged vm_area %7s", &r->pages, r->rights) == 2)
		strcpy(r->kind, "lazy");
	else if (sscanf(pages, " pages=%" SCNu64 " %23s %7s", &r->pages, r->kind, r->rights) != 3)
		return false;
	return !huge || sscanf(huge, " huge=%" SCNu64, &r->huge) == 1;
}

static struct json_object *row_json(const struct area_row *r)
{
	struct json_object *j = json_object_new_object();
	char text[32];

	snprintf(text, sizeof(text), "%#" PRIx64, r->start);
	json_object_object_add(j, "start", json_object_new_string(text));
	snprintf(text, sizeof(text), "%#" PRIx64, r->end);
	json_object_object_add(j, "end", json_object_new_string(text));
	add_number(j, "pages", r->pages);
	add_number(j, "huge_pages", r->huge);
	json_object_object_add(j, "kind", json_object_new_string(r->kind));
	json_object_object_add(j, "rights", json_object_new_string(r->rights));
	json_object_object_add(j, "caller", json_object_new_string(r->caller));
	return j;
}

static struct json_object *line_json(char *line)
{
	struct area_row r;

	return parse_row(line, &r) ? row_json(&r) : NULL;
}

struct json_object *areas_json(FILE *f)
{
	return lines_json(f, line_json);
}

static int vmap_list(struct options *o, int argc, char **argv)
{
	uint64_t nr = 0, pages = 0, addresses = 0, lazy = 0, huge = 0;
	struct area_row r;
	char *line = NULL;
	size_t cap = 0;
	FILE *f;

	parse_plain(o, "List the areas of the kernel window by address: debugfs vmallocinfo. For "
		    "root.\vADDRESSES counts the guard page behind each; an area of kind lazy was "
		    "freed and waits for a flush of all CPUs.", argc, argv);
	f = open_debugfs("vmallocinfo");
	if (!f)
		return EXIT_FAIL;
	if (o->json)
		return print_json(areas_json(f));
	printf("%s%-18s %10s %10s %6s %-10s %-3s%s CALLER\n", colour(o, COLOUR_BOLD),
	       "START", "ADDRESSES", "PAGES", "HUGE", "KIND", "", colour(o, COLOUR_OFF));
	while (getline(&line, &cap, f) > 0) {
		if (!parse_row(line, &r))
			continue;
		nr++;
		pages += r.pages;
		huge += r.huge;
		addresses += r.end - r.start;
		lazy += !strcmp(r.kind, "lazy");
		printf("%#-18" PRIx64 " %10s %10" PRIu64 " %6" PRIu64 " %-10s %-3s %s\n",
		       r.start, human_size(r.end - r.start), r.pages, r.huge, r.kind, r.rights,
		       r.caller);
	}
	free(line);
	fclose(f);
	printf("%" PRIu64 " areas, %" PRIu64 " of them lazy; %s of addresses, %" PRIu64
	       " pages, %" PRIu64 " in 2 MiB leaves\n", nr, lazy, human_size(addresses), pages,
	       huge);
	return EXIT_OK;
}

/* === alloc === */

struct vmap_alloc_input {
	uint64_t size;
	uint64_t count;
	unsigned int prot;
	uint16_t flags;
	bool wait;
};

static error_t alloc_parse(int key, char *arg, struct argp_state *state)
{
	struct vmap_alloc_input *in = state->input;

	switch (key) {
	case 's':
		if (!parse_size(arg, &in->size) || !in->size || in->size >> 56)
			argp_error(state, "'%s' is no size: try 4K, 2M", arg);
		return 0;
	case 'n':
		if (!parse_number(arg, UINT32_MAX, &in->count) || !in->count)
			argp_error(state, "'%s' is no count of areas", arg);
		return 0;
	case 'p':
		if (!strcmp(arg, "r"))
			in->prot = KMM_PROT_READ;
		else if (!strcmp(arg, "rw"))
			in->prot = KMM_PROT_READ | KMM_PROT_WRITE;
		else if (!strcmp(arg, "rx"))
			in->prot = KMM_PROT_READ | KMM_PROT_EXEC;
		else
			argp_error(state, "'%s' is none of r, rw, rx", arg);
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
		return "Addresses, and areas that can be executed, are for CAP_SYS_ADMIN.";
	case -ENOMEM:
		return "No frames, or no addresses: kmm stat and kmm vmap show what there is.";
	case -ERANGE:
		return "A file has fewer slots: load kmm with a larger max_slots.";
	case -EDQUOT:
		return "A limit was reached: frames (kmm info), or a quarter of the window.";
	default:
		return "kmm.h says what the error means.";
	}
}

static int vmap_alloc(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "size", 's', "BYTES", 0, "Bytes of an area, with K, M (4K)", 0 },
		{ "count", 'n', "N", 0, "So many areas (1)", 0 },
		{ "prot", 'p', "RIGHTS", 0, "r, rw or rx (rw)", 0 },
		{ "zero", 'z', NULL, 0, "Ask for zeroed memory", 0 },
		{ "addr", 'a', NULL, 0, "Print the addresses (CAP_SYS_ADMIN)", 0 },
		{ "wait", 'w', NULL, 0, "Keep them until standard input ends", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = alloc_parse,
		.doc = "Allocate areas as vmalloc() does, report, and free them.\v"
		       "Example: kmm vmap alloc --size 5M --addr --wait",
	};
	struct vmap_alloc_input in = {
		.size = 4096, .count = 1, .prot = KMM_PROT_READ | KMM_PROT_WRITE,
	};
	struct json_object *list = json_object_new_array(), *j;
	uint64_t got, address;
	int fd, err = 0;
	char buf[256];

	parse_verb(&argp, o, argc, argv, 0, &in);
	fd = open_device();
	if (fd < 0)
		return EXIT_FAIL;
	for (got = 0; got < in.count; got++) {
		err = kmm_vmalloc(fd, got, in.size, in.prot, in.flags, &address);
		if (err)
			break;
		if (!(in.flags & KMM_OP_ADDR))
			continue;
		snprintf(buf, sizeof(buf), "%#" PRIx64, address);
		json_object_array_add(list, json_object_new_string(buf));
	}
	if (o->json) {
		j = json_object_new_object();
		add_number(j, "size", in.size);
		add_number(j, "asked", in.count);
		add_number(j, "allocated", got);
		json_object_object_add(j, "errno", json_object_new_int(-err));
		json_object_object_add(j, "addresses", list);
		print_json(j);
	} else {
		printf("allocated %" PRIu64 " area%s of %s\n", got, got == 1 ? "" : "s",
		       human_size(in.size));
		for (size_t i = 0; i < json_object_array_length(list); i++)
			puts(json_object_get_string(json_object_array_get_idx(list, i)));
		json_object_put(list);
	}
	fflush(stdout);
	if (err) {
		complain(err, "%" PRIu64 " of %" PRIu64 " areas could not be had", in.count - got,
			 in.count);
		fprintf(stderr, "     %s\n", alloc_advice(err));
	}
	while (in.wait && read(STDIN_FILENO, buf, sizeof(buf)) > 0)
		;
	close(fd);	/* frees the areas */
	return err ? EXIT_FAIL : EXIT_OK;
}

/* === The verb === */

int cmd_vmap(struct options *o, int argc, char **argv)
{
	static const struct verb verbs[] = {
		{ "list", "list the areas", vmap_list },
		{ "alloc", "allocate some", vmap_alloc },
	};
	static const struct verb_set set = {
		.name = "vmap",
		.args_doc = "[list]\nalloc [OPTION...]",
		.doc = "The kernel window: list its areas (the default), or allocate some.\v"
			"kmm vmap alloc --help tells more.\n",
		.verbs = verbs, .nr = sizeof(verbs) / sizeof(verbs[0]),
		.first_alone = true,
	};

	return run_verbs(&set, o, argc, argv);
}
