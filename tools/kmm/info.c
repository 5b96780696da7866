// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm info, features, stat: the three reading ioctls, printed.
 *
 * The names of features and of stat's rows are those of kmm.h in lower case. A
 * feature bit that this program does not know is printed by its number: the module
 * may be newer.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

/* === info === */

static struct json_object *limits_json(const struct kmm_limits *l)
{
	const uint64_t value[] = { l->frames, l->objects, l->names, l->host_bytes };
	static const char * const name[] = { "frames", "objects", "names", "host_bytes" };
	struct json_object *j = json_object_new_object();

	/* No limit is null: 2^64-1 is not a number in every reader of JSON. */
	for (int i = 0; i < 4; i++)
		json_object_object_add(j, name[i], value[i] == UINT64_MAX ? NULL :
				       json_object_new_uint64(value[i]));
	return j;
}

static void print_limits(const char *who, const struct kmm_limits *l, uint32_t page_size)
{
	const uint64_t value[] = { l->frames, l->objects, l->names };
	static const char * const name[] = { "frames", "objects", "names" };

	printf("limits of one %-7s ", who);
	for (int i = 0; i < 3; i++) {
		if (value[i] == UINT64_MAX)
			printf("%s unlimited, ", name[i]);
		else if (!i)
			printf("frames %" PRIu64 " (%s), ", value[i],
			       human_size(value[i] * page_size));
		else
			printf("%s %" PRIu64 ", ", name[i], value[i]);
	}
	printf("host memory %s\n", l->host_bytes == UINT64_MAX ? "unlimited" :
	       human_size(l->host_bytes));
}

/* Switches of debugging and hardening: module parameters. 0 and N are off. */
static const char * const switches[] = {
	"init_on_alloc", "init_on_free", "page_poison", "slab_hardened", "debug_pagealloc",
	"debug_guardpage_minorder", "page_table_check", "page_owner", "kfence_sample_interval",
	"kmemleak", "debug_objects", "fail",
};

#define NR_SWITCHES	(sizeof(switches) / sizeof(switches[0]))

/* The value in effect; NULL: off, or the module does not have it. */
static const char *switch_value(unsigned int i, char *buf, size_t size)
{
	char path[128];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/kmm/parameters/%s", switches[i]);
	f = fopen(path, "re");
	if (!f)
		return NULL;
	n = fread(buf, 1, size - 1, f);
	fclose(f);
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
	/* INTERVAL,PROBABILITY,SPACE,TIMES; root alone may read it */
	if (strchr(buf, ','))
		return strstr(buf, ",0,") == strchr(buf, ',') ? NULL : buf;
	return !strcmp(buf, "N") || !strcmp(buf, "0") ? NULL : buf;
}

/* In JSON: 1 for what is just on, else the number; of fail the probability. */
static int switch_number(const char *value)
{
	const char *probability;

	if (!value)
		return 0;
	probability = strchr(value, ',');
	return *value == 'Y' ? 1 : atoi(probability ? probability + 1 : value);
}

static struct json_object *switches_json(void)
{
	struct json_object *j = json_object_new_object();
	char buf[64];

	for (unsigned int i = 0; i < NR_SWITCHES; i++) {
		const char *value = switch_value(i, buf, sizeof(buf));

		json_object_object_add(j, switches[i],
				       json_object_new_int(switch_number(value)));
	}
	return j;
}

const char *switches_text(void)
{
	static char text[512];
	const char *value;
	size_t len = 0;
	char buf[64];

	text[0] = 0;
	for (unsigned int i = 0; i < NR_SWITCHES && len < sizeof(text); i++) {
		value = switch_value(i, buf, sizeof(buf));
		if (value)
			len += snprintf(text + len, sizeof(text) - len, "%s%s%s%s", len ? " " : "",
					switches[i], strcmp(value, "Y") ? "=" : "",
					strcmp(value, "Y") ? value : "");
	}
	return len ? text : "all off";
}

int cmd_info(struct options *o, int argc, char **argv)
{
	struct kmm_info i;
	struct json_object *j;
	int fd, ret;

	parse_plain(o, "Print what the loaded module is and has; of it only the switches of "
		    "debugging and hardening can change while it is loaded.", argc, argv);
	fd = open_device();
	if (fd < 0)
		return EXIT_FAIL;
	ret = kmm_get_info(fd, &i);
	close(fd);
	if (ret < 0) {
		complain(ret, "KMM_IOC_INFO failed");
		return EXIT_FAIL;
	}
	i.provider[KMM_NAME_LEN - 1] = 0;
	i.version[KMM_NAME_LEN - 1] = 0;
	if (o->json) {
		j = json_object_new_object();
		json_object_object_add(j, "version", json_object_new_string((char *)i.version));
		add_number(j, "abi_version", i.abi_version);
		json_object_object_add(j, "provider", json_object_new_string((char *)i.provider));
		json_object_object_add(j, "fallback",
				       json_object_new_boolean(i.flags & KMM_INFO_FALLBACK));
		json_object_object_add(j, "lab", json_object_new_boolean(i.flags & KMM_INFO_LAB));
		add_number(j, "page_size", i.page_size);
		add_number(j, "order_max", i.order_max);
		add_number(j, "region_bytes", i.region_bytes);
		add_number(j, "metadata_bytes", i.metadata_bytes);
		add_number(j, "window_bytes", i.window_bytes);
		add_number(j, "nr_extents", i.nr_extents);
		json_object_object_add(j, "file_limits", limits_json(&i.file_limits));
		json_object_object_add(j, "user_limits", limits_json(&i.user_limits));
		json_object_object_add(j, "debugging", switches_json());
		return print_json(j);
	}
	printf("kmm                   %s, ABI %u\n", i.version, i.abi_version);
	printf("region                %s from provider %s%s%s%s, %u extent%s\n",
	       human_size(i.region_bytes), i.provider,
	       i.flags & KMM_INFO_FALLBACK ? colour(o, COLOUR_YELLOW) : "",
	       i.flags & KMM_INFO_FALLBACK ? " (a fallback: kmm doctor says why)" : "",
	       i.flags & KMM_INFO_FALLBACK ? colour(o, COLOUR_OFF) : "",
	       i.nr_extents, i.nr_extents == 1 ? "" : "s");
	printf("  of it metadata      %s\n", human_size(i.metadata_bytes));
	printf("kernel window         %s\n", human_size(i.window_bytes));
	printf("frame, largest block  %s, %s (order %u)\n", human_size(i.page_size),
	       human_size((uint64_t)i.page_size << i.order_max), i.order_max);
	print_limits("file", &i.file_limits, i.page_size);
	print_limits("user", &i.user_limits, i.page_size);
	printf("debugging, hardening  %s\n", switches_text());
	if (i.flags & KMM_INFO_LAB)
		puts("loaded with           lab=1");
	return EXIT_OK;
}

/* === features === */

static const struct {
	uint64_t bit;
	const char *name;
	const char *text;
} features[] = {
	{ KMM_FEATURE_OBJECTS, "objects", "memory objects, mmap, seals" },
	{ KMM_FEATURE_OPS_PAGES, "ops_pages", "pages by slot, in batches" },
	{ KMM_FEATURE_OPS_SLAB, "ops_slab", "caches and kmalloc by slot, in batches" },
	{ KMM_FEATURE_OPS_VMALLOC, "ops_vmalloc", "vmalloc by slot, in batches" },
	{ KMM_FEATURE_SHM_NAMES, "shm_names", "shared memory by name" },
	{ KMM_FEATURE_GIFT, "gift", "pages given from object to object" },
	{ KMM_FEATURE_MSGQ, "msgq", "message queues" },
	{ KMM_FEATURE_PIPE, "pipe", "pipes" },
	{ KMM_FEATURE_SWAP, "swap", "swap areas" },
	{ KMM_FEATURE_SPACES, "spaces", "address spaces on page tables of their own" },
	{ KMM_FEATURE_TRACEPOINTS, "tracepoints", "kmm:* trace events" },
	{ KMM_FEATURE_DEBUGFS, "debugfs", DEBUGFS_DIR },
	{ KMM_FEATURE_DMABUF, "dmabuf", "objects as dma-bufs and back" },
};

#define NR_FEATURES	(sizeof(features) / sizeof(features[0]))

int cmd_features(struct options *o, int argc, char **argv)
{
	struct json_object *j = NULL;
	uint64_t have, unknown;
	int fd, ret;

	parse_plain(o, "Print what this build of the module can do.", argc, argv);
	fd = open_device();
	if (fd < 0)
		return EXIT_FAIL;
	ret = kmm_get_features(fd, &have);
	close(fd);
	if (ret < 0) {
		complain(ret, "KMM_IOC_FEATURES failed");
		return EXIT_FAIL;
	}
	unknown = have;
	if (o->json)
		j = json_object_new_object();
	for (size_t i = 0; i < NR_FEATURES; i++) {
		bool yes = have & features[i].bit;

		unknown &= ~features[i].bit;
		if (o->json)
			json_object_object_add(j, features[i].name, json_object_new_boolean(yes));
		else
			printf("%s%-3s%s %-12s %s\n",
			       colour(o, yes ? COLOUR_GREEN : COLOUR_YELLOW), yes ? "yes" : "no",
			       colour(o, COLOUR_OFF), features[i].name, features[i].text);
	}
	if (o->json) {
		add_number(j, "unknown_bits", unknown);
		return print_json(j);
	}
	if (unknown)
		printf("yes bits 0x%" PRIx64 " that this command does not know\n", unknown);
	return EXIT_OK;
}

/* === stat === */

static const struct {
	const char *name;
	size_t at;
	const char *text;
} stat_rows[] = {
#define ROW(field, text) { #field, offsetof(struct kmm_stat, field), text }
	ROW(free, "on the free lists"),
	ROW(cached, "free, in per-CPU caches"),
	ROW(lazy, "unmapped, not flushed yet"),
	ROW(quarantined, "freed, held from outside"),
	ROW(used, "given out"),
	ROW(guard, "behind these, for debug_guardpage_minorder"),
	ROW(metadata, "describe the region"),
	ROW(total, ""),
	/* The rest is no part of the sum. */
	ROW(watermark_min, ""),
	ROW(watermark_low, ""),
	ROW(watermark_high, ""),
	ROW(objects, "living memory objects"),
	ROW(user_frames, "frames charged to you"),
	ROW(user_objects, "objects charged to you"),
	ROW(user_host_bytes, "host memory charged to you"),
#undef ROW
};

#define NR_STAT_ROWS	(sizeof(stat_rows) / sizeof(stat_rows[0]))
#define NR_SUM_ROWS	7	/* the first ones; the total is their sum */

static uint64_t stat_value(const struct kmm_stat *s, size_t row)
{
	uint64_t value;

	memcpy(&value, (const char *)s + stat_rows[row].at, sizeof(value));
	return value;
}

struct json_object *stat_json(const struct kmm_stat *s)
{
	struct json_object *j = json_object_new_object();

	for (size_t i = 0; i < NR_STAT_ROWS; i++)
		add_number(j, stat_rows[i].name, stat_value(s, i));
	return j;
}

struct stat_input {
	bool approximate;
};

static error_t stat_parse(int key, char *arg, struct argp_state *state)
{
	struct stat_input *in = state->input;

	(void)arg;
	switch (key) {
	case 'a':
		in->approximate = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_stat(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "approximate", 'a', NULL, 0,
		  "Do not stop the per-CPU caches: cheaper, and the sum may be off", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = stat_parse,
		.doc = "Print where the region's frames are.\v"
		       "free + cached + lazy + quarantined + used + guard + metadata = total, exactly, "
		       "unless --approximate is given.",
	};
	struct stat_input in = { 0 };
	struct kmm_stat s;
	struct kmm_info info;
	struct json_object *j;
	uint64_t sum = 0;
	int fd, ret;

	parse_verb(&argp, o, argc, argv, 0, &in);
	fd = open_device();
	if (fd < 0)
		return EXIT_FAIL;
	ret = kmm_get_info(fd, &info);
	if (ret >= 0)
		ret = kmm_get_stat(fd, in.approximate ? 0 : KMM_STAT_EXACT, &s);
	close(fd);
	if (ret < 0) {
		complain(ret, "KMM_IOC_STAT failed");
		return EXIT_FAIL;
	}
	for (size_t i = 0; i < NR_SUM_ROWS; i++)
		sum += stat_value(&s, i);
	if (o->json) {
		j = stat_json(&s);
		json_object_object_add(j, "exact", json_object_new_boolean(!in.approximate));
		add_number(j, "sum", sum);
		return print_json(j);
	}
	for (size_t i = 0; i < NR_STAT_ROWS; i++) {
		printf("%-16s %10" PRIu64, stat_rows[i].name, stat_value(&s, i));
		if (i <= NR_SUM_ROWS)
			printf(" %10s ", human_size(stat_value(&s, i) * info.page_size));
		else
			printf(" %10s ", "");
		if (i < NR_SUM_ROWS)
			print_bar(o, stat_value(&s, i), s.total, 24);
		printf("%s%s\n", *stat_rows[i].text ? " " : "", stat_rows[i].text);
	}
	if (sum != s.total)
		printf("the sum is %" PRIu64 ", %s\n", sum,
		       in.approximate ? "as may be without stopping the caches" :
		       "and that is a bug in kmm");
	return !in.approximate && sum != s.total ? EXIT_FAIL : EXIT_OK;
}
