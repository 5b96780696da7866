// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm swap: give pages of the region a place to go to, take it away, list the places.
 *
 * An area is a block device, a file (made here with --create, as large as asked), or compressed
 * memory of the host (--ram). It stays when this command is over, until it is taken away or the
 * module is.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"

static struct json_object *area_json(const struct kmm_swap_info *i)
{
	struct json_object *j = json_object_new_object();

	json_object_object_add(j, "id", json_object_new_int64(i->id));
	json_object_object_add(j, "what", json_object_new_string(i->what));
	json_object_object_add(j, "type", json_object_new_string(i->type));
	json_object_object_add(j, "priority", json_object_new_int(i->prio));
	add_number(j, "slots", i->slots);
	add_number(j, "used", i->used);
	add_number(j, "host_bytes", i->host_bytes);
	add_number(j, "written", i->written);
	add_number(j, "read", i->read);
	add_number(j, "errors", i->errors);
	add_number(j, "corrupt", i->corrupt);
	json_object_object_add(j, "closing",
			       json_object_new_boolean(i->flags & KMM_SWAP_CLOSING));
	return j;
}

/* === on === */

struct on_input {
	const char *path;
	const char *compressor;
	uint64_t ram;		/* 0: a path */
	uint64_t create;	/* 0: the file is there */
	uint64_t prio;
};

static error_t on_parse(int key, char *arg, struct argp_state *state)
{
	struct on_input *in = state->input;

	switch (key) {
	case 'p':
		if (!parse_number(arg, KMM_SWAP_PRIO_MAX, &in->prio))
			argp_error(state, "'%s' is no priority: 0 to %d", arg, KMM_SWAP_PRIO_MAX);
		return 0;
	case 'r':
		if (!parse_size(arg, &in->ram) || !in->ram)
			argp_error(state, "'%s' is no size: try 64M", arg);
		return 0;
	case 'c':
		in->compressor = arg;
		return 0;
	case 'C':
		if (!parse_size(arg, &in->create) || !in->create)
			argp_error(state, "'%s' is no size: try 64M", arg);
		return 0;
	case ARGP_KEY_ARG:
		if (in->path)
			argp_error(state, "one file or device at a time");
		in->path = arg;
		return 0;
	case ARGP_KEY_END:
		if (!in->path == !in->ram)
			argp_error(state, "a file, a device, or --ram?");
		if (in->ram && in->create)
			argp_error(state, "--create is for files");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The file, or -1 after a complaint. */
static int open_target(const struct on_input *in)
{
	int fd = open(in->path, O_RDWR | O_CLOEXEC | (in->create ? O_CREAT | O_EXCL : 0), 0600);
	struct stat st;
	int err;

	if (fd < 0) {
		complain(-errno, "cannot open %s", in->path);
		return -1;
	}
	if (in->create) {
		/* With all its blocks: holes would be refused. */
		err = posix_fallocate(fd, 0, in->create);
		if (err) {
			complain(-err, "cannot make %s of %s", in->path, human_size(in->create));
			unlink(in->path);
			close(fd);
			return -1;
		}
	} else if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_mode & 077) {
		fprintf(stderr, "kmm: others may open %s (mode %04o, 0600 is better)\n", in->path,
			st.st_mode & 07777);
	}
	return fd;
}

static void explain_on(const struct on_input *in, int err)
{
	switch (err) {
	case -EPERM:
		fputs("     This is for root.\n", stderr);
		break;
	case -EBUSY:
		fputs("     It is in use: mounted, swap already, or part of another device.\n",
		      stderr);
		break;
	case -ETXTBSY:
		fputs("     A process has it mapped shared and writable.\n", stderr);
		break;
	case -EMFILE:
		fprintf(stderr, "     There are %d areas: kmm swap list.\n", KMM_SWAP_AREAS_MAX);
		break;
	case -EOPNOTSUPP:
		fprintf(stderr, "     This kernel has no %s (crypto API).\n", in->compressor);
		break;
	case -EINVAL:
		if (in->ram)
			fputs("     A page at least; lz4 or zstd.\n", stderr);
		else
			fputs("     It must be a file without holes, or a block device, of a page "
			      "at least;\n     the kernel log may say more.\n", stderr);
		break;
	}
}

static int swap_on(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "priority", 'p', "N", 0, "Higher ones are filled first (0)", 0 },
		{ "create", 'C', "BYTES", 0, "Make the file, with K, M, G", 0 },
		{ "ram", 'r', "BYTES", 0, "Compressed memory of the host in place of a file", 0 },
		{ "compressor", 'c', "NAME", 0, "With --ram: lz4 (default) or zstd", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = on_parse,
		.args_doc = "FILE|DEVICE\n--ram BYTES",
		.doc = "Give pages a place to go to. What is in the file, or on the device, is "
		       "lost.\vExamples:\n  kmm swap on --create 256M /var/tmp/kmm.swap\n"
		       "  kmm swap on --priority 5 /dev/vdb\n  kmm swap on --ram 64M",
	};
	struct on_input in = { .compressor = "lz4" };
	struct kmm_swap_info i;
	int dev, fd, id, ret;

	parse_verb(&argp, o, argc, argv, 0, &in);
	dev = open_device();
	if (dev < 0)
		return EXIT_FAIL;
	if (in.ram) {
		id = kmm_swap_on_ram(dev, in.compressor, in.ram, (int)in.prio);
	} else {
		fd = open_target(&in);
		if (fd < 0) {
			close(dev);
			return EXIT_FAIL;
		}
		id = kmm_swap_on(dev, fd, (int)in.prio);
		close(fd);
		if (id < 0 && in.create)
			unlink(in.path);
	}
	if (id < 0) {
		complain(id, "no swap on %s", in.ram ? in.compressor : in.path);
		explain_on(&in, id);
		close(dev);
		return EXIT_FAIL;
	}
	ret = kmm_swap_info(dev, id, &i);
	close(dev);
	if (ret < 0) {
		complain(ret, "KMM_IOC_SWAP_INFO failed");
		return EXIT_FAIL;
	}
	if (o->json)
		return print_json(area_json(&i));
	printf("area %u: %s, %s, %s, priority %d\n", i.id, i.what, i.type,
	       human_size(i.slots * 4096), i.prio);
	return EXIT_OK;
}

/* === off === */

struct off_input {
	char **words;
	bool all;
};

static error_t off_parse(int key, char *arg, struct argp_state *state)
{
	struct off_input *in = state->input;

	switch (key) {
	case 'a':
		in->all = true;
		return 0;
	case ARGP_KEY_ARGS:
		in->words = state->argv + state->next;
		return 0;
	case ARGP_KEY_END:
		if (!in->words == !in->all)
			argp_error(state, "which? kmm swap list shows them; or --all");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	(void)arg;
}

/* The area that has this number, or is this path. */
static int find_area(int dev, const char *word)
{
	char path[4096] = "";
	struct kmm_swap_info i;
	uint64_t id = 0;

	if (parse_number(word, UINT32_MAX, &id))
		return (int)id;
	if (!realpath(word, path))
		snprintf(path, sizeof(path), "%s", word);
	for (; !kmm_swap_info(dev, id, &i); id = i.id + 1)
		if (!strcmp(i.what, path) || !strcmp(i.what, word))
			return (int)i.id;
	return -1;
}

static int off_one(int dev, int id, const char *word)
{
	int ret = id < 0 ? -ENOENT : kmm_swap_off(dev, id);

	if (ret >= 0)
		return EXIT_OK;
	complain(ret, "%s stays", word);
	if (ret == -ENOENT)
		fputs("     There is no such area: kmm swap list.\n", stderr);
	else if (ret == -ENOMEM)
		fputs("     There is no room for what is in it: in the region, or below the limit "
		      "of an object.\n", stderr);
	else if (ret == -EIO)
		fputs("     A page in it cannot be read; it belongs to somebody still.\n", stderr);
	return EXIT_FAIL;
}

static int swap_off(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "all", 'a', NULL, 0, "All areas", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = off_parse,
		.args_doc = "ID|FILE|DEVICE...",
		.doc = "Bring the pages of areas home, and take the areas away.",
	};
	struct off_input in = { 0 };
	int dev, code = EXIT_OK;
	struct kmm_swap_info i;
	char number[16];

	parse_verb(&argp, o, argc, argv, 0, &in);
	dev = open_device();
	if (dev < 0)
		return EXIT_FAIL;
	for (char **w = in.words; w && *w; w++)
		if (off_one(dev, find_area(dev, *w), *w))
			code = EXIT_FAIL;
	for (uint32_t id = 0; in.all && !kmm_swap_info(dev, id, &i); id = i.id + 1) {
		snprintf(number, sizeof(number), "area %u", i.id);
		if (off_one(dev, i.id, number))
			code = EXIT_FAIL;
	}
	close(dev);
	return code;
}

/* === list === */

static int swap_list(struct options *o, int argc, char **argv)
{
	struct json_object *list = NULL;
	struct kmm_swap_info i;
	int dev, ret;

	parse_plain(o, "List the swap areas.", argc, argv);
	dev = open_device();
	if (dev < 0)
		return EXIT_FAIL;
	if (o->json)
		list = json_object_new_array();
	else
		printf("%3s %-28s %-12s %5s %10s %10s %10s %9s %9s %6s %7s\n", "id", "what", "type",
		       "prio", "size", "used", "host", "written", "read", "errors", "corrupt");
	for (uint32_t id = 0; !(ret = kmm_swap_info(dev, id, &i)); id = i.id + 1) {
		if (o->json)
			json_object_array_add(list, area_json(&i));
		else
			printf("%3u %-28s %-12s %5d %10s %10s %10s %9llu %9llu %6llu %7llu%s\n",
			       i.id, i.what, i.type, i.prio, human_size(i.slots * 4096),
			       human_size(i.used * 4096), human_size(i.host_bytes), i.written,
			       i.read, i.errors, i.corrupt,
			       i.flags & KMM_SWAP_CLOSING ? " (going)" : "");
	}
	close(dev);
	if (ret != -ENOENT) {
		complain(ret, "KMM_IOC_SWAP_INFO failed");
		json_object_put(list);
		return EXIT_FAIL;
	}
	return o->json ? print_json(list) : EXIT_OK;
}

/* === The verb === */

int cmd_swap(struct options *o, int argc, char **argv)
{
	static const struct verb verbs[] = {
		{ "on", "use a place", swap_on },
		{ "off", "bring its pages home and leave it", swap_off },
		{ "list", "list the places", swap_list },
	};
	static const struct verb_set set = {
		.name = "swap",
		.args_doc = "on [OPTION...] FILE|DEVICE\non [OPTION...] --ram BYTES\n"
			    "off ID|FILE|DEVICE...\nlist",
		.doc = "Places where pages of the region go when it is full. For root.\v"
		       "kmm swap on --help tells more.\n",
		.verbs = verbs, .nr = sizeof(verbs) / sizeof(verbs[0]),
	};

	return run_verbs(&set, o, argc, argv);
}
