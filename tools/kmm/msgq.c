// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm msgq: message queues by name, from the shell: make one, put messages in, take them out, tell
 * about it, unlink it, list all.
 *
 * A queue with a name lives until it is unlinked, so each of these is one short process. What
 * is received goes to standard output as it is, with a newline behind it; --json tells size
 * and priority too.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

/* What mq_open(3) gives without attributes. */
#define DEFAULT_MAXMSG	10
#define DEFAULT_MSGSIZE	8192

struct msgq_input {
	struct options *o;
	const char *name;
	const char *text;	/* of a message, NULL: standard input */
	bool has_text;		/* the verb takes one */
	uint64_t maxmsg;
	uint64_t msgsize;
	uint64_t mode;
	uint64_t prio;
	uint64_t timeout_ms;
	uint32_t flags;		/* KMM_MSG_* */
};

static error_t msgq_option(int key, char *arg, struct argp_state *state)
{
	struct msgq_input *in = state->input;

	switch (key) {
	case 'm':
		if (!parse_number(arg, KMM_MSGQ_MESSAGES_MAX, &in->maxmsg) || !in->maxmsg)
			argp_error(state, "'%s' is no number of messages: 1 to %d", arg,
				   KMM_MSGQ_MESSAGES_MAX);
		return 0;
	case 's':
		if (!parse_size(arg, &in->msgsize) || !in->msgsize ||
		    in->msgsize > KMM_MSGQ_SIZE_MAX)
			argp_error(state, "'%s' is no size: 1 to 2M", arg);
		return 0;
	case 'M':
		/* octal, with or without the 0 in front */
		in->mode = strtoul(arg, &arg, 8);
		if (*arg || in->mode > 0777)
			argp_error(state, "a mode is octal, up to 777");
		return 0;
	case 'p':
		if (!parse_number(arg, KMM_MSGQ_PRIO_MAX - 1, &in->prio))
			argp_error(state, "'%s' is no priority: 0 to %d", arg,
				   KMM_MSGQ_PRIO_MAX - 1);
		return 0;
	case 'n':
		in->flags |= KMM_MSG_NOWAIT;
		return 0;
	case 't':
		if (!parse_number(arg, UINT32_MAX, &in->timeout_ms))
			argp_error(state, "'%s' is no number of milliseconds", arg);
		in->flags |= KMM_MSG_TIMEOUT;
		return 0;
	case ARGP_KEY_ARG:
		if (!state->arg_num)
			in->name = arg;
		else if (state->arg_num == 1 && in->has_text)
			in->text = arg;
		else
			argp_error(state, "too many arguments");
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "the name of a queue is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

#define WAIT_OPTIONS							\
	{ "nowait", 'n', NULL, 0, "Fail rather than wait", 0 },		\
	{ "timeout", 't', "MS", 0, "Wait so many milliseconds at most", 0 }

/* The queue, or -1 after a complaint. */
static int open_queue(const struct msgq_input *in, uint32_t flags)
{
	int dev = open_device(), q;

	if (dev < 0)
		return -1;
	q = kmm_msgq_open(dev, in->name, flags, flags & KMM_MSGQ_CREATE ? in->mode : 0,
			  flags & KMM_MSGQ_CREATE ? in->maxmsg : 0,
			  flags & KMM_MSGQ_CREATE ? in->msgsize : 0);
	close(dev);
	if (q < 0) {
		complain(q, "cannot open queue '%s'", in->name);
		if (q == -EDQUOT)
			fputs("     A limit was reached: kmm info shows them.\n", stderr);
		return -1;
	}
	return q;
}

/* For info any right to the queue will do. */
static int open_any(const struct msgq_input *in)
{
	int dev = open_device(), q;

	if (dev < 0)
		return -1;
	q = kmm_msgq_open(dev, in->name, KMM_MSGQ_READ, 0, 0, 0);
	if (q == -EACCES)
		q = kmm_msgq_open(dev, in->name, KMM_MSGQ_WRITE, 0, 0, 0);
	close(dev);
	if (q < 0)
		complain(q, "cannot open queue '%s'", in->name);
	return q;
}

static int report(const struct msgq_input *in, int q)
{
	struct kmm_msgq_info i;
	struct json_object *j;
	int ret = kmm_msgq_info(q, &i);

	close(q);
	if (ret < 0) {
		complain(ret, "KMM_IOC_MSGQ_INFO failed");
		return EXIT_FAIL;
	}
	if (!in->o->json) {
		printf("queue %llu '%s': %u of %u messages, %s of up to %s each, "
		       "%u receivers and %u senders wait, %llu frames reserved\n", i.id, in->name,
		       i.messages, i.maxmsg, human_size(i.bytes), human_size(i.msgsize),
		       i.receivers, i.senders, i.reserved_frames);
		return EXIT_OK;
	}
	j = json_object_new_object();
	add_number(j, "id", i.id);
	json_object_object_add(j, "name", json_object_new_string(in->name));
	add_number(j, "messages", i.messages);
	add_number(j, "maxmsg", i.maxmsg);
	add_number(j, "bytes", i.bytes);
	add_number(j, "msgsize", i.msgsize);
	add_number(j, "receivers", i.receivers);
	add_number(j, "senders", i.senders);
	add_number(j, "reserved_frames", i.reserved_frames);
	return print_json(j);
}

static int msgq_create(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "maxmsg", 'm', "N", 0, "Messages that it may hold (10)", 0 },
		{ "msgsize", 's', "BYTES", 0, "Bytes of the largest, with K, M (8K)", 0 },
		{ "mode", 'M', "OCTAL", 0, "Permissions, less the umask (600)", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = msgq_option,
		.args_doc = "NAME",
		.doc = "Make a message queue. It lives until it is unlinked.\v"
		       "Example: kmm msgq create chat --maxmsg 100 --msgsize 256",
	};
	struct msgq_input in = {
		.o = o, .maxmsg = DEFAULT_MAXMSG, .msgsize = DEFAULT_MSGSIZE, .mode = 0600,
	};
	int q;

	parse_verb(&argp, o, argc, argv, 0, &in);
	q = open_queue(&in, KMM_MSGQ_READ | KMM_MSGQ_WRITE | KMM_MSGQ_CREATE | KMM_MSGQ_EXCL);
	return q < 0 ? EXIT_FAIL : report(&in, q);
}

static int msgq_send(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "prio", 'p', "N", 0, "Priority, 0 to 31, the highest is received first (0)", 0 },
		WAIT_OPTIONS,
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = msgq_option,
		.args_doc = "NAME [TEXT]",
		.doc = "Send a message: TEXT, or what is on standard input.",
	};
	struct msgq_input in = { .o = o, .has_text = true };
	static char buf[KMM_MSGQ_SIZE_MAX + 1];
	const char *message = buf;
	size_t n;
	int q, ret;

	parse_verb(&argp, o, argc, argv, 0, &in);
	q = open_queue(&in, KMM_MSGQ_WRITE);
	if (q < 0)
		return EXIT_FAIL;
	if (in.text) {
		message = in.text;
		n = strlen(in.text);
	} else {
		n = fread(buf, 1, sizeof(buf), stdin);
	}
	ret = kmm_msgq_send(q, message, n, in.prio, in.flags, in.timeout_ms * 1000000);
	close(q);
	if (ret < 0)
		complain(ret, "cannot send %zu bytes to '%s'", n, in.name);
	return ret < 0 ? EXIT_FAIL : EXIT_OK;
}

static int msgq_receive(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = { WAIT_OPTIONS, { 0 } };
	const struct argp argp = {
		.options = options, .parser = msgq_option,
		.args_doc = "NAME", .doc = "Receive a message and print it.",
	};
	static char buf[KMM_MSGQ_SIZE_MAX];
	struct msgq_input in = { .o = o };
	struct json_object *j;
	uint32_t prio;
	int q, ret;

	parse_verb(&argp, o, argc, argv, 0, &in);
	q = open_queue(&in, KMM_MSGQ_READ);
	if (q < 0)
		return EXIT_FAIL;
	ret = kmm_msgq_receive(q, buf, sizeof(buf), &prio, in.flags, in.timeout_ms * 1000000);
	close(q);
	if (ret < 0) {
		complain(ret, "no message from '%s'", in.name);
		return EXIT_FAIL;
	}
	if (!o->json) {
		fwrite(buf, 1, ret, stdout);
		putchar('\n');
		return EXIT_OK;
	}
	j = json_object_new_object();
	add_number(j, "prio", prio);
	json_object_object_add(j, "size_bytes", json_object_new_int(ret));
	json_object_object_add(j, "message", json_object_new_string_len(buf, ret));
	return print_json(j);
}

static int msgq_info(struct options *o, int argc, char **argv)
{
	const struct argp argp = {
		.parser = msgq_option, .args_doc = "NAME",
		.doc = "Tell about a message queue.",
	};
	struct msgq_input in = { .o = o };
	int q;

	parse_verb(&argp, o, argc, argv, 0, &in);
	q = open_any(&in);
	return q < 0 ? EXIT_FAIL : report(&in, q);
}

static int msgq_unlink(struct options *o, int argc, char **argv)
{
	const struct argp argp = {
		.parser = msgq_option, .args_doc = "NAME",
		.doc = "Take the name of a queue away; with its last user the queue goes.",
	};
	struct msgq_input in = { .o = o };
	int dev, ret;

	parse_verb(&argp, o, argc, argv, 0, &in);
	dev = open_device();
	if (dev < 0)
		return EXIT_FAIL;
	ret = kmm_msgq_unlink(dev, in.name);
	close(dev);
	if (ret < 0)
		complain(ret, "cannot unlink queue '%s'", in.name);
	return ret < 0 ? EXIT_FAIL : EXIT_OK;
}

static int msgq_list(struct options *o, int argc, char **argv)
{
	parse_plain(o, "List the living message queues: debugfs msgq.", argc, argv);
	return list_debugfs(o, "msgq");
}

/* === The verb === */

int cmd_msgq(struct options *o, int argc, char **argv)
{
	static const struct verb verbs[] = {
		{ "create", "make a queue", msgq_create },
		{ "send", "put a message in", msgq_send },
		{ "receive", "take a message out", msgq_receive },
		{ "info", "tell about a queue", msgq_info },
		{ "unlink", "take its name away", msgq_unlink },
		{ "list", "list all", msgq_list },
	};
	static const struct verb_set set = {
		.name = "msgq",
		.args_doc = "create NAME [OPTION...]\nsend NAME [TEXT]\nreceive NAME\ninfo NAME\n"
			     "unlink NAME\nlist",
		.doc = "Use message queues by name, or list those that live.\v"
			"kmm msgq create --help tells more.\n",
		.verbs = verbs, .nr = sizeof(verbs) / sizeof(verbs[0]),
	};

	return run_verbs(&set, o, argc, argv);
}
