// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm leak: memory of kmm's clients to which no pointer is left, from debugfs kmemleak.
 *
 *	kmm leak		the leaks that were reported, and what the detector is doing
 *	kmm leak scan		scan, then the same
 *	kmm leak on|off|clear	switch, and forget what was reported
 *	kmm leak dump ADDRESS	what is known of one object; the kernel writes it to its log
 *
 * A leak is reported by the second scan that finds no pointer, when it is kmemleak_min_age_ms
 * old.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

#define LEAKS	DEBUGFS_DIR "/kmemleak"

struct leak_input {
	const char *action;
	const char *address;
	uint64_t scans;
};

static bool state_is(const char *state)
{
	FILE *f = open_debugfs("kmemleak_stat");
	char name[64], value[64];
	bool is = false;

	if (!f)
		return false;
	while (!is && fscanf(f, "%63s %63[^\n]", name, value) == 2)
		is = !strcmp(name, "state") && !strcmp(value, state);
	fclose(f);
	return is;
}

/* One command to the kernel; complains. */
static bool leak_command(const char *text)
{
	int fd = open(LEAKS, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0) {
		complain_debugfs(-errno, "kmemleak");
		return false;
	}
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	if (err == -EPERM && state_is("off"))
		complain(0, "the detector is off: kmm leak on");
	else if (err == -EINVAL && !strncmp(text, "dump=", 5))
		complain(0, "%s: in no object that is tracked", text + 5);
	else if (err)
		complain(err, "%s: %s", LEAKS, text);
	return !err;
}

/* === Reading === */

/* "name value" lines; numbers as such. */
static struct json_object *state_json(void)
{
	struct json_object *j = json_object_new_object();
	FILE *f = open_debugfs("kmemleak_stat");
	char name[64], value[128], *end;
	unsigned long long v;

	while (f && fscanf(f, "%63s %127[^\n]", name, value) == 2) {
		v = strtoull(value, &end, 10);
		json_object_object_add(j, name, *end || end == value ?
				       json_object_new_string(value) : json_object_new_uint64(v));
	}
	if (f)
		fclose(f);
	return j;
}

static void add_to_array(struct json_object *leak, const char *key, const char *text)
{
	struct json_object *list;

	if (!json_object_object_get_ex(leak, key, &list)) {
		list = json_object_new_array();
		json_object_object_add(leak, key, list);
	}
	json_object_array_add(list, json_object_new_string(text));
}

static struct json_object *first_line_json(const char *address, uint64_t size)
{
	struct json_object *leak = json_object_new_object();

	json_object_object_add(leak, "address", json_object_new_string(address));
	add_number(leak, "size", size);
	return leak;
}

/* The report as an array. */
static struct json_object *leaks_json(FILE *f)
{
	struct json_object *list = json_object_new_array(), *leak = NULL;
	char *line = NULL, address[32], comm[64], *sym;
	uint64_t size, jiffies;
	size_t cap = 0;
	double age;
	int pid;

	while (getline(&line, &cap, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (sscanf(line, "unreferenced object %31s (size %" SCNu64 "):", address,
			   &size) == 2) {
			leak = first_line_json(address, size);
			json_object_array_add(list, leak);
		} else if (!leak) {
			continue;
		} else if (sscanf(line, "  comm \"%63[^\"]\", pid %d, jiffies %" SCNu64
				  " (age %lfs)", comm, &pid, &jiffies, &age) == 4) {
			json_object_object_add(leak, "comm", json_object_new_string(comm));
			json_object_object_add(leak, "pid", json_object_new_int(pid));
			add_number(leak, "jiffies", jiffies);
			json_object_object_add(leak, "age_s", json_object_new_double(age));
		} else if (!strncmp(line, "    [<", 6)) {
			sym = strstr(line, ">] ");
			add_to_array(leak, "backtrace", sym ? sym + 3 : line + 4);
		} else if (!strncmp(line, "    ", 4)) {
			add_to_array(leak, "hex", line + 4);
		}
	}
	free(line);
	return list;
}

static int leak_list(struct options *o)
{
	struct json_object *j = state_json(), *list, *v;
	FILE *f = open_debugfs("kmemleak");
	char *line = NULL;
	size_t cap = 0;
	int nr = 0;

	if (!f) {
		json_object_put(j);
		return EXIT_FAIL;
	}
	if (o->json) {
		list = leaks_json(f);
		json_object_object_add(j, "reported", list);
		fclose(f);
		return print_json(j);
	}
	while (getline(&line, &cap, f) > 0) {
		nr += !strncmp(line, "unreferenced object", 19);
		fputs(line, stdout);
	}
	free(line);
	fclose(f);
	printf("%s%d leak%s%s; detector %s", colour(o, nr ? COLOUR_RED : COLOUR_GREEN), nr,
	       nr == 1 ? "" : "s", colour(o, COLOUR_OFF),
	       json_object_object_get_ex(j, "state", &v) ? json_object_get_string(v) : "?");
	if (json_object_object_get_ex(j, "why_off", &v))
		printf(" (%s)", json_object_get_string(v));
	if (json_object_object_get_ex(j, "objects", &v))
		printf(", %s objects tracked", json_object_get_string(v));
	if (json_object_object_get_ex(j, "scans", &v))
		printf(", %s scans", json_object_get_string(v));
	if (json_object_object_get_ex(j, "last_scan_bytes", &v))
		printf(", the last read %s", human_size(json_object_get_uint64(v)));
	if (json_object_object_get_ex(j, "last_scan_us", &v))
		printf(" in %.3f s", json_object_get_uint64(v) / 1e6);
	putchar('\n');
	json_object_put(j);
	return EXIT_OK;
}

/* === The verb === */

static error_t leak_parse(int key, char *arg, struct argp_state *state)
{
	static const char * const actions[] = {
		"list", "scan", "clear", "dump", "on", "off",
	};
	struct leak_input *in = state->input;

	switch (key) {
	case 'n':
		if (!parse_number(arg, 1000, &in->scans) || !in->scans)
			argp_error(state, "--count: '%s' is not a number from 1 to 1000", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num == 1 && !strcmp(in->action, "dump")) {
			in->address = arg;
			return 0;
		}
		if (state->arg_num)
			argp_error(state, "too many arguments");
		for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
			if (!strcmp(arg, actions[i]))
				in->action = actions[i];
		if (!in->action)
			argp_error(state, "'%s' is none of list, scan, clear, dump, on, off", arg);
		return 0;
	case ARGP_KEY_END:
		if (in->action && !strcmp(in->action, "dump") && !in->address)
			argp_error(state, "dump: an address is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_leak(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "count", 'n', "N", 0, "scan: so many times (1)", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = leak_parse,
		.args_doc = "[list]\nscan [--count=N]\nclear\ndump ADDRESS\non\noff",
		.doc = "Leaks of kmm's memory: list those that were reported (the default), scan "
		       "for more, forget them, tell about one object, switch the detector.\v"
		       "A leak is reported by the second scan that finds no pointer to it, when it "
		       "is old enough (parameter kmemleak_min_age_ms).\n"
		       "Example: kmm leak on; kmm leak scan --count=2",
	};
	struct leak_input in = { .scans = 1 };
	char text[64];

	parse_verb(&argp, o, argc, argv, 0, &in);
	if (!in.action || !strcmp(in.action, "list"))
		return leak_list(o);
	if (!strcmp(in.action, "scan")) {
		while (in.scans--)
			if (!leak_command("scan"))
				return EXIT_FAIL;
		return leak_list(o);
	}
	if (!strcmp(in.action, "dump"))
		snprintf(text, sizeof(text), "dump=%s", in.address);
	else
		snprintf(text, sizeof(text), "%s", in.action);
	if (!leak_command(text))
		return EXIT_FAIL;
	if (o->json)
		return leak_list(o);
	if (!strcmp(in.action, "dump"))
		puts("written to the kernel log");
	return EXIT_OK;
}
