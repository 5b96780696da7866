// SPDX-License-Identifier: GPL-2.0-only
/*
 * What kmm top shows, read at one moment, as one JSON object: top prints it as it is (--json),
 * or makes its screen from it, so both say the same.
 *
 * Frames come from /dev/kmm, which anybody gets who may open it; the rest from debugfs, which is
 * for root. The device is closed again each time: a top that runs must not hinder rmmod, and
 * when the module has gone it waits for the next one. Each file is read by itself, so the parts
 * are of moments that lie some microseconds apart; that the frames add up to the region is so in
 * each of them.
 *
 * A rate is what a counter of vmstat has grown since the last snapshot, by the seconds that lie
 * between. Rows that begin with nr_ tell what there is, and have none. A counter that has become
 * smaller belongs to a module that was loaded since: no rate.
 *
 * Nothing complains here: the terminal belongs to the screen.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

/* A rate with a digit behind the point; null when there is none. */
static void add_rate(struct json_object *j, const char *key, struct json_object *now,
		     struct json_object *before, double seconds)
{
	uint64_t a = json_object_get_uint64(before), b = json_object_get_uint64(now);
	struct json_object *rate = NULL;
	char text[32];

	if (now && before && b >= a && seconds > 0) {
		snprintf(text, sizeof(text), "%.1f", (b - a) / seconds);
		rate = json_object_new_double_s((b - a) / seconds, text);
	}
	json_object_object_add(j, key, rate);
}

/* A file of debugfs by its parser; null when it cannot be read. */
static struct json_object *add_file(struct json_object *j, const char *key, const char *name,
				    struct json_object *(*parse)(FILE *f))
{
	FILE *f = open_debugfs_quietly(name);
	struct json_object *value = f ? parse(f) : NULL;

	json_object_object_add(j, key, value);
	return value;
}

/* === The device === */

static bool add_frames(struct json_object *j)
{
	struct json_object *one;
	struct kmm_info i;
	struct kmm_stat s;
	const char *why;
	int dev, ret;

	dev = kmm_open();
	ret = dev < 0 ? dev : kmm_get_info(dev, &i);
	if (ret >= 0)
		ret = kmm_get_stat(dev, KMM_STAT_EXACT, &s);
	if (dev >= 0)
		close(dev);
	if (ret < 0) {
		why = dev < 0 ? kmm_explain_open(dev) : NULL;
		add_text(j, "error", why ? why : strerror(-ret));
		return false;
	}
	i.provider[KMM_NAME_LEN - 1] = 0;
	json_object_object_add(j, "error", NULL);
	one = json_object_new_object();
	add_text(one, "provider", (char *)i.provider);
	json_object_object_add(one, "fallback",
			       json_object_new_boolean(i.flags & KMM_INFO_FALLBACK));
	add_number(one, "bytes", i.region_bytes);
	add_number(one, "page_size", i.page_size);
	add_number(one, "window_bytes", i.window_bytes);
	json_object_object_add(j, "region", one);
	json_object_object_add(j, "frames", stat_json(&s));
	return true;
}

/* === debugfs === */

/* "name value" in each line. */
static struct json_object *counters_json(FILE *f)
{
	struct json_object *j = json_object_new_object();
	unsigned long long value;
	char name[64];

	while (fscanf(f, "%63s %llu", name, &value) == 2)
		add_number(j, name, value);
	fclose(f);
	return j;
}

static struct json_object *line_json(FILE *f)
{
	struct json_object *j = NULL;
	char line[64];

	if (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		j = json_object_new_string(line);
	}
	fclose(f);
	return j;
}

static struct json_object *rates_json(struct json_object *now, struct json_object *before,
				      double seconds)
{
	struct json_object *j = json_object_new_object();

	json_object_object_foreach(now, name, value)
		if (strncmp(name, "nr_", 3))
			add_rate(j, name, value, json_object_object_get(before, name), seconds);
	return j;
}

/* The line of the same CPU. */
static struct json_object *find_cpu(struct json_object *cpus, struct json_object *cpu)
{
	uint64_t nr = json_object_get_uint64(json_object_object_get(cpu, "cpu"));
	struct json_object *one;

	for (size_t i = 0; cpus && i < json_object_array_length(cpus); i++) {
		one = json_object_array_get_idx(cpus, i);
		if (json_object_get_uint64(json_object_object_get(one, "cpu")) == nr)
			return one;
	}
	return NULL;
}

static void add_cpu_rates(struct json_object *cpus, struct json_object *before, double seconds)
{
	for (size_t i = 0; i < json_object_array_length(cpus); i++) {
		struct json_object *cpu = json_object_array_get_idx(cpus, i);
		struct json_object *old = find_cpu(before, cpu);

		add_rate(cpu, "pgalloc_rate", json_object_object_get(cpu, "pgalloc"),
			 json_object_object_get(old, "pgalloc"), seconds);
		add_rate(cpu, "pgfree_rate", json_object_object_get(cpu, "pgfree"),
			 json_object_object_get(old, "pgfree"), seconds);
	}
}

/* === The whole === */

double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

void drop_sampler(struct sampler *s)
{
	json_object_put(s->counters);
	json_object_put(s->cpus);
	s->counters = NULL;
	s->cpus = NULL;
}

struct json_object *take_snapshot(struct sampler *s)
{
	struct json_object *j = json_object_new_object(), *counters, *cpus;
	time_t wall = time(NULL);
	double now = seconds_now(), seconds;
	char text[32];

	seconds = s->counters ? now - s->at : 0;
	s->at = now;
	strftime(text, sizeof(text), "%F %T", localtime(&wall));
	add_text(j, "time", text);
	snprintf(text, sizeof(text), "%.3f", seconds);
	json_object_object_add(j, "seconds", seconds > 0 ?
			       json_object_new_double_s(seconds, text) : NULL);
	if (!add_frames(j)) {
		drop_sampler(s);
		return j;
	}
	/* which files others may read is the mount's affair, too: this one is root's in any case */
	add_text(j, "hidden", !access(DEBUGFS_DIR "/accounts", R_OK) ? NULL :
		 errno == EACCES ? "the rest is in debugfs, which is for root" :
		 "the rest is in debugfs: as root, mount -t debugfs none " DEBUGFS_MOUNT);
	add_file(j, "policy", "reclaim/policy", line_json);
	add_file(j, "migratetypes", "pagetypeinfo", types_json);
	cpus = add_file(j, "cpus", "pcp", table_json);
	if (cpus)
		add_cpu_rates(cpus, s->cpus, seconds);
	counters = add_file(j, "counters", "vmstat", counters_json);
	json_object_object_add(j, "rates",
			       counters ? rates_json(counters, s->counters, seconds) : NULL);
	drop_sampler(s);
	s->counters = json_object_get(counters);
	s->cpus = json_object_get(cpus);
	add_file(j, "caches", "slabinfo", caches_json);
	add_file(j, "accounts", "accounts", table_json);
	add_file(j, "objects", "objects", table_json);
	add_file(j, "areas", "vmallocinfo", areas_json);
	add_file(j, "pipes", "pipes", table_json);
	add_file(j, "msgq", "msgq", table_json);
	add_file(j, "swaps", "swaps", table_json);
	return j;
}
