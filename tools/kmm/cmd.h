/* SPDX-License-Identifier: GPL-2.0-only */
/* The kmm command: what its verbs share. */
#ifndef _KMM_CMD_H
#define _KMM_CMD_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <json-c/json.h>

#include "libkmm.h"

#define DEBUGFS_MOUNT	"/sys/kernel/debug"
#define DEBUGFS_DIR	DEBUGFS_MOUNT "/kmm"

/* Exit codes. */
enum {
	EXIT_OK = 0,		/* did what was asked */
	EXIT_FAIL = 1,		/* did not; for doctor: something must be done */
	EXIT_USAGE = 64,	/* argp's: the command line is wrong */
};

/**
 * struct options - what stands on every command line
 * @json: print one JSON value in place of text
 * @colour: escape sequences are welcome on stdout
 */
struct options {
	bool json;
	bool colour;
};

/**
 * struct verb - one word after "kmm"
 * @name: the word
 * @brief: one line for the list
 * @run: gets the verb as argv[0]; returns the exit code
 */
struct verb {
	const char *name;
	const char *brief;
	int (*run)(struct options *o, int argc, char **argv);
};

int cmd_info(struct options *o, int argc, char **argv);
int cmd_features(struct options *o, int argc, char **argv);
int cmd_stat(struct options *o, int argc, char **argv);
int cmd_doctor(struct options *o, int argc, char **argv);
int cmd_alloc(struct options *o, int argc, char **argv);
int cmd_object(struct options *o, int argc, char **argv);
int cmd_leak(struct options *o, int argc, char **argv);
int cmd_frag(struct options *o, int argc, char **argv);
int cmd_msgq(struct options *o, int argc, char **argv);
int cmd_pipe(struct options *o, int argc, char **argv);
int cmd_policy(struct options *o, int argc, char **argv);
int cmd_swap(struct options *o, int argc, char **argv);
int cmd_slab(struct options *o, int argc, char **argv);
int cmd_vmap(struct options *o, int argc, char **argv);
int cmd_space(struct options *o, int argc, char **argv);
int cmd_trace(struct options *o, int argc, char **argv);
int cmd_walk(struct options *o, int argc, char **argv);
int cmd_lab(struct options *o, int argc, char **argv);
int cmd_owner(struct options *o, int argc, char **argv);
int cmd_top(struct options *o, int argc, char **argv);
int cmd_bench(struct options *o, int argc, char **argv);

/* main() of tools/bench/NAME.c, for kmm bench: see tools/Makefile. */
int fault_bench_main(void);
int pipe_bench_main(void);
int msgq_bench_main(void);
int ops_bench_main(void);
int space_bench_main(void);

/**
 * struct verb_set - a verb that has verbs of its own
 * @name: the word after "kmm"
 * @args_doc, @doc: argp's
 * @verbs: what may follow
 * @nr: how many
 * @first_alone: without a word the first one is meant; else that is an error
 */
struct verb_set {
	const char *name;
	const char *args_doc;
	const char *doc;
	const struct verb *verbs;
	size_t nr;
	bool first_alone;
};

/* Find the second word and run it; returns its exit code. In verbs.c. */
int run_verbs(const struct verb_set *set, struct options *o, int argc, char **argv);

/**
 * struct name_arg - the command line of a verb that takes one name and no options
 * @doc: argp's
 * @missing: what to say when there is none
 * @many: what to say when there are two
 */
struct name_arg {
	const char *doc;
	const char *missing;
	const char *many;
};

/* The name; does not return without one. In verbs.c. */
const char *parse_name(const struct name_arg *arg, struct options *o, int argc, char **argv);

/**
 * parse_verb() - argp_parse() for every verb: also knows what is common to all, as --json
 * @own: the verb's own; without ARGP_KEY_ARG it takes no argument
 * @o, @argc, @argv: as the verb got them
 * @flags: argp's
 * @input: for @own's parser
 */
void parse_verb(const struct argp *own, struct options *o, int argc, char **argv,
		unsigned int flags, void *input);

/* For a verb that has no option of its own. */
void parse_plain(struct options *o, const char *doc, int argc, char **argv);

/* Print "kmm: ..." on stderr. err: 0, or a negative errno whose text is added. */
__attribute__((format(printf, 2, 3))) void complain(int err, const char *fmt, ...);

/* /dev/kmm, or -1 after a complaint that says what to do. */
int open_device(void);

/* A file of debugfs, or NULL after a complaint that says what to do; quietly: without that. */
FILE *open_debugfs(const char *name);
FILE *open_debugfs_quietly(const char *name);

/* The complaint: a file of debugfs could not be opened, err is the negative errno of that. */
void complain_debugfs(int err, const char *name);

/*
 * A table of debugfs: an array with an object for each line. The first line names the columns, and
 * these names are the keys, so a new column needs no change here. Closes f.
 */
struct json_object *table_json(FILE *f);

/* Of any other: an array of what line_json makes of each line; NULL: nothing. Closes f. */
struct json_object *lines_json(FILE *f, struct json_object *(*line_json)(char *line));

/* Print such a file as it is, or as JSON; returns the exit code. */
int list_debugfs(struct options *o, const char *name);

/* The rows of kmm stat. In info.c. */
struct json_object *stat_json(const struct kmm_stat *s);

/* debugfs slabinfo: the object caches in no order; closes f. In slab.c. */
struct json_object *caches_json(FILE *f);

/* debugfs pagetypeinfo: pageblocks and free blocks by mobility type; closes f. In frag.c. */
struct json_object *types_json(FILE *f);

/* debugfs vmallocinfo: an object for each area; closes f. In vmap.c. */
struct json_object *areas_json(FILE *f);

/**
 * struct sampler - two moments, for rates
 * @counters, @cpus: of the last snapshot, NULL: there was none
 * @at: its time by seconds_now()
 */
struct sampler {
	struct json_object *counters;
	struct json_object *cpus;
	double at;
};

/*
 * All that top shows, as one object; rates are per second since the last call. Never NULL: what
 * cannot be read is null there, "error" and "hidden" say why. In snapshot.c.
 */
struct json_object *take_snapshot(struct sampler *s);

/* CLOCK_MONOTONIC. */
double seconds_now(void);
void drop_sampler(struct sampler *s);

/*
 * Run a command that inherits fd as descriptor 3, and dmabuf as 4 unless that is negative; returns
 * its exit status. In object.c.
 */
#define CHILD_FD	3
#define CHILD_DMABUF	4
int run_command(int fd, int dmabuf, char **command);

/*
 * Print a walk, and add it to j if that is not NULL. In walk.c.
 * touch: NULL, "read" or "write": walk, access one byte, walk again.
 * Returns 0 or a negative errno.
 */
int show_walk(const struct options *o, int space, uint64_t addr, uint32_t flags,
	      const char *touch, struct json_object *j);

/* "write protect, user" of a KMM_PF_* code. Static. In walk.c. */
const char *fault_code_text(uint32_t code);

/* Belady's bound on a trace; policy/opt.c. Returns faults, or -ENOMEM. */
long kmm_policy_opt(const uint32_t *refs, unsigned long nr_refs, uint32_t nr_ids,
		    uint32_t nr_frames);

/* What of debugging is on: "page_owner fail=1,10,0,0", or "all off". Static. In info.c. */
const char *switches_text(void);

/* A JSON value as we print it; the value's own. */
const char *json_text(struct json_object *j);

/* Print a JSON value and drop it; returns EXIT_OK. */
int print_json(struct json_object *j);

/* Add a string to an object, null for NULL; a number. */
void add_text(struct json_object *j, const char *key, const char *text);
void add_number(struct json_object *j, const char *key, uint64_t value);

/* "4.0 MiB". Static: up to four in one call of printf. */
const char *human_size(uint64_t bytes);

/* 4096, 4K, 1M, 2G; false when it is none. */
bool parse_size(const char *text, uint64_t *bytes);
bool parse_number(const char *text, uint64_t max, uint64_t *value);

/* Escape sequences, empty without colour. */
enum colour { COLOUR_OFF, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_BLUE, COLOUR_BOLD };
const char *colour(const struct options *o, enum colour c);

/* A bar of width cells, part of whole filled. */
void print_bar(const struct options *o, uint64_t part, uint64_t whole, int width);

#endif /* _KMM_CMD_H */
