// SPDX-License-Identifier: GPL-2.0-only
/*
 * A verb that has verbs of its own: "kmm policy list". Finds it and runs it with the rest of the
 * command line.
 */
#include <string.h>

#include "cmd.h"

struct verbs_input {
	struct options *o;
	const struct verb_set *set;
	const struct verb *verb;
	int at;
};

static error_t verbs_parse(int key, char *arg, struct argp_state *state)
{
	struct verbs_input *in = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = in->o;
		return 0;
	case ARGP_KEY_ARG:
		for (size_t i = 0; i < in->set->nr; i++)
			if (!strcmp(arg, in->set->verbs[i].name))
				in->verb = &in->set->verbs[i];
		if (!in->verb)
			argp_error(state, "no '%s' here; kmm %s --help lists what there is", arg,
				   in->set->name);
		in->at = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "what? kmm %s --help lists what there is", in->set->name);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int run_verbs(const struct verb_set *set, struct options *o, int argc, char **argv)
{
	const struct argp_child children[] = { { &common_argp, 0, NULL, 0 }, { 0 } };
	const struct argp argp = {
		.parser = verbs_parse, .children = children, .args_doc = set->args_doc,
		.doc = set->doc,
	};
	struct verbs_input in = { .o = o, .set = set };
	static char name[40];

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &in);
	snprintf(name, sizeof(name), "kmm %s %s", set->name, in.verb->name);
	argv[in.at] = name;
	return in.verb->run(o, argc - in.at, argv + in.at);
}
