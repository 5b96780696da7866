// SPDX-License-Identifier: GPL-2.0-only
/*
 * A verb that has verbs of its own: "kmm policy list". Finds it and runs it with the rest of the
 * command line. And those of which the rest is one name: "kmm policy set lru".
 */
#include <stdio.h>
#include <string.h>

#include "cmd.h"

struct verbs_input {
	const struct verb_set *set;
	const struct verb *verb;
	int at;
};

/* "create, send, list" */
static const char *verbs_text(const struct verb_set *set)
{
	static char text[200];
	size_t len = 0;

	for (size_t i = 0; i < set->nr && len < sizeof(text); i++)
		len += snprintf(text + len, sizeof(text) - len, "%s%s", i ? ", " : "",
				set->verbs[i].name);
	return text;
}

static error_t verbs_parse(int key, char *arg, struct argp_state *state)
{
	struct verbs_input *in = state->input;
	const struct verb_set *set = in->set;

	switch (key) {
	case ARGP_KEY_ARG:
		for (size_t i = 0; i < set->nr; i++)
			if (!strcmp(arg, set->verbs[i].name))
				in->verb = &set->verbs[i];
		if (!in->verb)
			argp_error(state, "'%s' is none of %s", arg, verbs_text(set));
		in->at = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		if (!set->first_alone)
			argp_error(state, "which of %s?", verbs_text(set));
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int run_verbs(const struct verb_set *set, struct options *o, int argc, char **argv)
{
	const struct argp argp = {
		.parser = verbs_parse, .args_doc = set->args_doc,
		.doc = set->doc,
	};
	struct verbs_input in = { .set = set };
	static char name[40];

	parse_verb(&argp, o, argc, argv, ARGP_IN_ORDER, &in);
	if (!in.verb)
		return set->verbs[0].run(o, 1, argv);
	snprintf(name, sizeof(name), "kmm %s %s", set->name, in.verb->name);
	argv[in.at] = name;
	return in.verb->run(o, argc - in.at, argv + in.at);
}

struct name_input {
	const struct name_arg *arg;
	const char *name;
};

static error_t name_parse(int key, char *arg, struct argp_state *state)
{
	struct name_input *in = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (in->name)
			argp_error(state, "%s", in->arg->many);
		in->name = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "%s", in->arg->missing);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const char *parse_name(const struct name_arg *arg, struct options *o, int argc, char **argv)
{
	const struct argp argp = {
		.parser = name_parse, .args_doc = "NAME", .doc = arg->doc,
	};
	struct name_input in = { .arg = arg };

	parse_verb(&argp, o, argc, argv, 0, &in);
	return in.name;
}
