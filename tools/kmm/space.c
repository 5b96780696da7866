// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm space: address spaces.
 *
 * A space lives as long as its descriptor, so one process must do all that is to be done with
 * it: "run" works off a script of commands, from the command line or from standard input, on
 * spaces and objects that it names. "list" prints debugfs spaces/list.
 *
 * Each command prints a line or fills a JSON object, one of an array that is printed at the
 * end. A command that the kernel refuses ends the script; at a terminal the next one is asked
 * for. An access that is denied is a result like any other.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

#define NR_NAMED_MAX	64
#define NR_WORDS_MAX	64
#define READ_MAX	65536

struct named {
	char *name;
	int fd;
};

/**
 * struct run - a script on its way
 * @o: options
 * @out: JSON object of the command that runs, or NULL: print text
 * @dev: descriptor of /dev/kmm, -1 until a command needs it
 * @spaces: by name; @current is one of them
 * @objects: by name
 * @at: where the last map put something: @
 * @count: spaces that had no name
 * @quiet: why is already said
 */
struct run {
	const struct options *o;
	struct json_object *out;
	int dev;
	struct named spaces[NR_NAMED_MAX];
	struct named objects[NR_NAMED_MAX];
	struct named *current;
	uint64_t at;
	unsigned int count;
	bool quiet;
};

/* === Names === */

static struct named *find_named(struct named *t, const char *name)
{
	for (struct named *n = t; n < t + NR_NAMED_MAX; n++)
		if (n->name && !strcmp(n->name, name))
			return n;
	return NULL;
}

/* Takes fd over, also on error. */
static struct named *add_named(struct named *t, const char *name, int fd)
{
	for (struct named *n = t; n < t + NR_NAMED_MAX; n++)
		if (!n->name) {
			n->name = strdup(name);
			n->fd = fd;
			return n;
		}
	complain(0, "at most %d names", NR_NAMED_MAX);
	close(fd);
	return NULL;
}

static void drop_named(struct named *n)
{
	close(n->fd);
	free(n->name);
	n->name = NULL;
}

/* === Words to values; a complaint and false when there is none === */

static bool usage(struct run *r, const char *fmt, const char *word)
{
	complain(0, fmt, word);
	r->quiet = true;
	return false;
}

static bool get_size(struct run *r, const char *word, uint64_t *bytes)
{
	return parse_size(word, bytes) || usage(r, "'%s' is no size: try 4096, 64K, 1M", word);
}

/* 0x10000, @ (where the last map put something), @+4K */
static bool get_addr(struct run *r, const char *word, uint64_t *addr)
{
	uint64_t more = 0;

	if (*word != '@')
		return parse_number(word, UINT64_MAX, addr) ||
		       usage(r, "'%s' is no address: try 0x10000000, @, @+4K", word);
	if (word[1] && (word[1] != '+' || !parse_size(word + 2, &more)))
		return usage(r, "'%s' is no address: try @ or @+4K", word);
	*addr = r->at + more;
	return true;
}

static bool get_prot(const char *word, uint32_t *prot)
{
	*prot = 0;
	if (!strcmp(word, "none"))
		return true;
	for (; *word; word++) {
		if (*word == 'r')
			*prot |= KMM_PROT_READ;
		else if (*word == 'w')
			*prot |= KMM_PROT_WRITE;
		else if (*word == 'x')
			*prot |= KMM_PROT_EXEC;
		else if (*word != '-')
			return false;
	}
	return true;
}

static const char *prot_text(uint32_t prot)
{
	static char text[4];

	snprintf(text, sizeof(text), "%c%c%c", prot & KMM_PROT_READ ? 'r' : '-',
		 prot & KMM_PROT_WRITE ? 'w' : '-', prot & KMM_PROT_EXEC ? 'x' : '-');
	return text;
}

/* === Output === */

/* A file of debugfs of the current space, as it is or as lines. */
static int out_debugfs(struct run *r, const char *name)
{
	struct json_object *lines;
	struct kmm_space_info i;
	char path[64], *line = NULL;
	size_t cap = 0;
	int ret = kmm_space_info(r->current->fd, &i);
	FILE *f;

	if (ret < 0)
		return ret;
	snprintf(path, sizeof(path), "spaces/%llu/%s", i.id, name);
	f = open_debugfs(path);
	if (!f) {
		r->quiet = true;
		return -EIO;
	}
	lines = r->out ? json_object_new_array() : NULL;
	while (getline(&line, &cap, f) > 0) {
		if (!lines) {
			fputs(line, stdout);
			continue;
		}
		line[strcspn(line, "\n")] = 0;
		json_object_array_add(lines, json_object_new_string(line));
	}
	if (lines)
		json_object_object_add(r->out, "lines", lines);
	free(line);
	fclose(f);
	return 0;
}

/* === Spaces === */

/* Names a new space and makes it known. Returns 0 or a negative errno. */
static int space_made(struct run *r, int fd, const char *name, const char *of, bool use)
{
	struct kmm_space_info i;
	struct named *n;
	char text[16];
	int ret;

	if (fd < 0)
		return fd;
	if (!name) {
		do
			snprintf(text, sizeof(text), "s%u", r->count++);
		while (find_named(r->spaces, text));
		name = text;
	}
	ret = kmm_space_info(fd, &i);
	n = add_named(r->spaces, name, fd);
	if (ret < 0 || !n) {
		r->quiet = !n;
		return ret < 0 ? ret : -EMFILE;
	}
	if (use)
		r->current = n;
	if (r->out) {
		add_text(r->out, "space", name);
		add_number(r->out, "id", i.id);
	} else if (of) {
		printf("%s: space %llu, a copy of %s\n", name, i.id, of);
	} else {
		printf("%s: space %llu, empty\n", name, i.id);
	}
	return 0;
}

static bool name_is_free(struct run *r, struct named *t, const char *name)
{
	return !name || !find_named(t, name) || usage(r, "there is a '%s' already", name);
}

static int run_create(struct run *r, int argc, char **argv)
{
	const char *name = argc ? argv[0] : NULL;

	if (!name_is_free(r, r->spaces, name))
		return -EEXIST;
	return space_made(r, kmm_space_create(r->dev), name, NULL, true);
}

static int run_clone(struct run *r, int argc, char **argv)
{
	const char *name = argc ? argv[0] : NULL;

	if (!name_is_free(r, r->spaces, name))
		return -EEXIST;
	return space_made(r, kmm_space_clone(r->current->fd), name, r->current->name, false);
}

static int run_use(struct run *r, int argc, char **argv)
{
	struct named *n = find_named(r->spaces, argv[0]);

	(void)argc;
	if (!n) {
		usage(r, "no space '%s'", argv[0]);
		return -ENOENT;
	}
	r->current = n;
	return 0;
}

static int run_destroy(struct run *r, int argc, char **argv)
{
	struct named *n = argc ? find_named(r->spaces, argv[0]) : r->current;

	if (!n) {
		usage(r, "no space '%s'", argv[0]);
		return -ENOENT;
	}
	drop_named(n);
	if (r->current == n)
		r->current = NULL;
	for (n = r->spaces; !r->current && n < r->spaces + NR_NAMED_MAX; n++)
		if (n->name)
			r->current = n;
	return 0;
}

static int run_limit(struct run *r, int argc, char **argv)
{
	uint64_t size;

	(void)argc;
	if (!get_size(r, argv[0], &size))
		return -EINVAL;
	return kmm_space_limit(r->current->fd, (size + 4095) / 4096);
}

static int run_info(struct run *r, int argc, char **argv)
{
	static const char * const level[] = { "pte", "pmd", "pud", "p4d", "pgd" };
	struct kmm_space_info i;
	int ret = kmm_space_info(r->current->fd, &i);

	(void)argc;
	(void)argv;
	if (ret < 0)
		return ret;
	if (r->out) {
		struct json_object *t = json_object_new_object();

		add_number(r->out, "id", i.id);
		add_number(r->out, "areas", i.areas);
		add_number(r->out, "mapped_bytes", i.mapped_bytes);
		add_number(r->out, "resident", i.resident);
		add_number(r->out, "private_frames", i.private_frames);
		for (int k = 0; k < KMM_WALK_LEVELS; k++)
			add_number(t, level[k], i.tables[k]);
		json_object_object_add(r->out, "tables", t);
		add_number(r->out, "faults", i.faults);
		add_number(r->out, "cow_faults", i.cow_faults);
		add_number(r->out, "switches", i.switches);
		add_number(r->out, "audit_leaves", i.audit_leaves);
		add_number(r->out, "audit_bad", i.audit_bad);
		return 0;
	}
	printf("%s: space %llu, %llu areas of %s, %llu pages resident, %llu of them private\n",
	       r->current->name, i.id, i.areas, human_size(i.mapped_bytes), i.resident,
	       i.private_frames);
	printf("  tables:");
	for (int k = KMM_WALK_LEVELS - 1; k >= 0; k--)
		printf(" %llu %s%s", i.tables[k], level[k], k ? "," : "");
	printf("\n  faults: %llu resolved, %llu pages copied; in CR3 %llu times\n", i.faults,
	       i.cow_faults, i.switches);
	printf("  audit: %llu leaves reachable from the user root, %llu that must not be\n",
	       i.audit_leaves, i.audit_bad);
	return 0;
}

static int run_maps(struct run *r, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return out_debugfs(r, "maps");
}

static int run_tables(struct run *r, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return out_debugfs(r, "page_tables");
}

/* === Objects === */

static int run_object(struct run *r, int argc, char **argv)
{
	struct kmm_object_info i = { 0 };
	struct named *n;
	uint64_t size;
	int fd;

	(void)argc;
	if (!strcmp(argv[0], "anon") || !strcmp(argv[0], "guard")) {
		usage(r, "'%s' is no name for an object: it means something to map", argv[0]);
		return -EINVAL;
	}
	if (!name_is_free(r, r->objects, argv[0]) || !get_size(r, argv[1], &size))
		return -EINVAL;
	fd = kmm_object_create(r->dev, size, 0);
	if (fd < 0)
		return fd;
	kmm_object_info(fd, &i);
	n = add_named(r->objects, argv[0], fd);
	if (!n) {
		r->quiet = true;
		return -EMFILE;
	}
	if (r->out) {
		add_text(r->out, "object", n->name);
		add_number(r->out, "id", i.id);
	} else {
		printf("%s: object %llu of %s\n", n->name, i.id, human_size(size));
	}
	return 0;
}

static int run_punch(struct run *r, int argc, char **argv)
{
	struct named *n = find_named(r->objects, argv[0]);
	uint64_t offset, len;

	(void)argc;
	if (!n) {
		usage(r, "no object '%s'", argv[0]);
		return -ENOENT;
	}
	if (!get_size(r, argv[1], &offset) || !get_size(r, argv[2], &len))
		return -EINVAL;
	return fallocate(n->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len) ?
	       -errno : 0;
}

static int run_resize(struct run *r, int argc, char **argv)
{
	struct named *n = find_named(r->objects, argv[0]);
	uint64_t size;

	(void)argc;
	if (!n) {
		usage(r, "no object '%s'", argv[0]);
		return -ENOENT;
	}
	if (!get_size(r, argv[1], &size))
		return -EINVAL;
	return ftruncate(n->fd, size) ? -errno : 0;
}

/* === Areas === */

/* The words behind what and how much. */
static bool map_words(struct run *r, int argc, char **argv, struct kmm_space_map *m)
{
	static const struct {
		const char *word;
		uint32_t flag;
	} words[] = {
		{ "private", KMM_MAP_PRIVATE }, { "shared", KMM_MAP_SHARED },
		{ "replace", KMM_MAP_REPLACE | KMM_MAP_FIXED }, { "populate", KMM_MAP_POPULATE },
		{ "huge", KMM_MAP_HUGE },
	};
	uint64_t value;

	for (int i = 0; i < argc; i++) {
		bool known = false;

		for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++)
			if (!strcmp(argv[i], words[k].word)) {
				m->flags |= words[k].flag;
				known = true;
			}
		if (known)
			continue;
		if (i + 1 < argc && (!strcmp(argv[i], "at") || !strcmp(argv[i], "near"))) {
			if (!get_addr(r, argv[i + 1], &value))
				return false;
			m->addr = value;
			if (!strcmp(argv[i++], "at"))
				m->flags |= KMM_MAP_FIXED;
		} else if (i + 1 < argc && !strcmp(argv[i], "offset")) {
			if (!get_size(r, argv[++i], &value))
				return false;
			m->offset = value;
		} else if (!get_prot(argv[i], &m->prot)) {
			return usage(r, "map: what is '%s'? help tells the words", argv[i]);
		}
	}
	return true;
}

static int run_map(struct run *r, int argc, char **argv)
{
	struct kmm_space_map m = { .object_fd = -1, .prot = KMM_PROT_READ | KMM_PROT_WRITE };
	struct named *n = find_named(r->objects, argv[0]);
	uint64_t len, addr;
	int ret;

	if (!strcmp(argv[0], "guard")) {
		m.flags = KMM_MAP_GUARD;
		m.prot = 0;
	} else if (strcmp(argv[0], "anon")) {
		if (!n) {
			usage(r, "map: '%s' is neither anon nor guard nor an object", argv[0]);
			return -ENOENT;
		}
		m.object_fd = n->fd;
	}
	if (!get_size(r, argv[1], &len) || !map_words(r, argc - 2, argv + 2, &m))
		return -EINVAL;
	if (!(m.flags & (KMM_MAP_SHARED | KMM_MAP_PRIVATE | KMM_MAP_GUARD)))
		m.flags |= n ? KMM_MAP_SHARED : KMM_MAP_PRIVATE;
	addr = m.addr;
	ret = kmm_space_map(r->current->fd, &addr, len, m.prot, m.flags, m.object_fd, m.offset);
	if (ret < 0)
		return ret;
	r->at = addr;
	if (r->out)
		add_number(r->out, "addr", addr);
	else
		printf("%s at %#" PRIx64 ", %s, %s\n", argv[0], addr, human_size(len),
		       prot_text(m.prot));
	return 0;
}

static int run_unmap(struct run *r, int argc, char **argv)
{
	uint64_t addr, len;

	(void)argc;
	if (!get_addr(r, argv[0], &addr) || !get_size(r, argv[1], &len))
		return -EINVAL;
	return kmm_space_unmap(r->current->fd, addr, len);
}

static int run_protect(struct run *r, int argc, char **argv)
{
	uint64_t addr, len;
	uint32_t prot;

	(void)argc;
	if (!get_addr(r, argv[0], &addr) || !get_size(r, argv[1], &len))
		return -EINVAL;
	if (!get_prot(argv[2], &prot)) {
		usage(r, "'%s' are no rights: try r, rw, rx, none", argv[2]);
		return -EINVAL;
	}
	return kmm_space_protect(r->current->fd, addr, len, prot);
}

/* === Access === */

static void out_data(struct run *r, uint64_t addr, const unsigned char *data, size_t len)
{
	char *hex, *h;

	if (r->out) {
		hex = malloc(2 * len + 1);
		h = hex;
		*h = 0;
		for (size_t i = 0; i < len; i++)
			h += sprintf(h, "%02x", data[i]);
		add_text(r->out, "hex", hex);
		free(hex);
		return;
	}
	for (size_t at = 0; at < len; at += 16) {
		printf("  %012" PRIx64 " ", addr + at);
		for (size_t i = at; i < at + 16; i++)
			if (i < len)
				printf(" %02x", data[i]);
			else
				printf("   ");
		printf("  ");
		for (size_t i = at; i < at + 16 && i < len; i++)
			putchar(isprint(data[i]) ? data[i] : '.');
		putchar('\n');
	}
}

static int run_access(struct run *r, uint32_t op, uint64_t addr, void *data, size_t len,
		      int argc, char **argv)
{
	static const char * const verb[] = { "read", "write", "fetch" };
	struct kmm_space_access a = { .addr = addr, .buf = (uintptr_t)data, .len = len, .op = op };
	int ret;

	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "hw")) {
			a.flags |= KMM_ACCESS_HARDWARE;
		} else if (!strcmp(argv[i], "nofault")) {
			a.flags |= KMM_ACCESS_NO_FAULT_IN;
		} else {
			usage(r, "what is '%s'? hw or nofault", argv[i]);
			return -EINVAL;
		}
	}
	ret = kmm_space_access(r->current->fd, &a);
	if (ret < 0)
		return ret;
	if (r->out) {
		add_text(r->out, "path", a.path == KMM_PATH_HARDWARE ? "hardware" : "software");
		add_number(r->out, "done", a.done);
		add_number(r->out, "faults", a.faults);
		add_text(r->out, "rule", kmm_fault_rule_name(a.fault_rule));
		if (a.fault_rule) {
			add_number(r->out, "fault_addr", a.fault_addr);
			add_number(r->out, "fault_code", a.fault_code);
			json_object_object_add(r->out, "fault_errno",
					       json_object_new_int(a.fault_errno));
		}
	} else {
		printf("%s %#" PRIx64 ": ", verb[op], addr);
		if (op != KMM_ACCESS_FETCH)
			printf("%u of %zu bytes", a.done, len);
		else
			printf("%s", a.fault_rule ? "no" : "yes");
		if (a.faults)
			printf(", %u fault%s resolved", a.faults, a.faults == 1 ? "" : "s");
		if (a.path == KMM_PATH_HARDWARE)
			printf(", by the MMU");
		if (a.fault_rule)
			printf("; denied at %#llx: %s (%s)", a.fault_addr,
			       kmm_fault_rule_name(a.fault_rule), fault_code_text(a.fault_code));
		if (a.fault_errno)
			printf(": %s", strerror(-a.fault_errno));
		putchar('\n');
	}
	if (op == KMM_ACCESS_READ)
		out_data(r, addr, data, a.done);
	return 0;
}

static int run_read(struct run *r, int argc, char **argv)
{
	uint64_t addr, len;
	void *data;
	int ret;

	if (!get_addr(r, argv[0], &addr) || !get_size(r, argv[1], &len))
		return -EINVAL;
	if (!len || len > READ_MAX) {
		usage(r, "read: '%s': from 1 to 64K bytes", argv[1]);
		return -EINVAL;
	}
	data = calloc(1, len);
	ret = run_access(r, KMM_ACCESS_READ, addr, data, len, argc - 2, argv + 2);
	free(data);
	return ret;
}

static int run_write(struct run *r, int argc, char **argv)
{
	uint64_t addr;

	if (!get_addr(r, argv[0], &addr))
		return -EINVAL;
	if (!*argv[1]) {
		usage(r, "write: nothing to write%s", "");
		return -EINVAL;
	}
	return run_access(r, KMM_ACCESS_WRITE, addr, argv[1], strlen(argv[1]), argc - 2, argv + 2);
}

static int run_fetch(struct run *r, int argc, char **argv)
{
	uint64_t addr;

	if (!get_addr(r, argv[0], &addr))
		return -EINVAL;
	return run_access(r, KMM_ACCESS_FETCH, addr, NULL, 1, argc - 1, argv + 1);
}

/* By pwrite, so of any length. */
static int run_fill(struct run *r, int argc, char **argv)
{
	uint64_t addr, len, byte, done;
	char block[65536];
	ssize_t n = 0;
	int err = 0;

	(void)argc;
	if (!get_addr(r, argv[0], &addr) || !get_size(r, argv[1], &len))
		return -EINVAL;
	if (!parse_number(argv[2], 255, &byte)) {
		usage(r, "fill: '%s' is no byte: try 0x5a", argv[2]);
		return -EINVAL;
	}
	memset(block, byte, sizeof(block));
	for (done = 0; done < len; done += n) {
		n = pwrite(r->current->fd, block,
			   len - done < sizeof(block) ? len - done : sizeof(block), addr + done);
		if (n <= 0) {
			err = n ? -errno : -EIO;
			break;
		}
	}
	if (done)
		err = 0;
	if (r->out && !err)
		add_number(r->out, "done", done);
	else if (!err)
		printf("fill %#" PRIx64 ": %" PRIu64 " of %" PRIu64 " bytes\n", addr, done, len);
	return err;
}

static int run_walk(struct run *r, int argc, char **argv)
{
	const char *touch = NULL;
	uint32_t flags = 0;
	uint64_t addr;
	int ret;

	if (!get_addr(r, argv[0], &addr))
		return -EINVAL;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "user")) {
			flags |= KMM_WALK_USER_VIEW;
		} else if (!strcmp(argv[i], "clear")) {
			flags |= KMM_WALK_CLEAR_YOUNG;
		} else if (!strcmp(argv[i], "touch") && i + 1 < argc &&
			   (!strcmp(argv[i + 1], "read") || !strcmp(argv[i + 1], "write"))) {
			touch = argv[++i];
		} else {
			usage(r, "what is '%s'? user, clear, touch read, touch write", argv[i]);
			return -EINVAL;
		}
	}
	ret = show_walk(r->o, r->current->fd, addr, flags, touch, r->out);
	r->quiet = ret == -EACCES;
	return ret;
}

/* === The rest === */

static int run_exec(struct run *r, int argc, char **argv)
{
	char *command[NR_WORDS_MAX + 1];
	int ret;

	memcpy(command, argv, argc * sizeof(*argv));
	command[argc] = NULL;
	ret = run_command(r->current->fd, -1, command);
	if (r->out)
		add_number(r->out, "status", ret);
	if (ret)
		complain(0, "exec: %s ended with status %d", argv[0], ret);
	r->quiet = ret;
	return ret ? -ECHILD : 0;
}

static int run_wait(struct run *r, int argc, char **argv)
{
	int c;

	(void)r;
	(void)argc;
	(void)argv;
	fflush(stdout);
	while ((c = getchar()) != EOF && c != '\n')
		;
	return 0;
}

static int run_help(struct run *r, int argc, char **argv);

static const struct command {
	const char *name;
	const char *args;
	const char *brief;
	int min;
	int max;
	bool on_space;
	int (*run)(struct run *r, int argc, char **argv);
} commands[] = {
	{ "create", "[NAME]", "a new space; it is the one that follows", 0, 1, false, run_create },
	{ "clone", "[NAME]", "a copy of the space, its private memory copy-on-write", 0, 1, true,
	  run_clone },
	{ "use", "NAME", "what follows is about this space", 1, 1, false, run_use },
	{ "destroy", "[NAME]", "close a space", 0, 1, true, run_destroy },
	{ "object", "NAME SIZE", "a memory object to map", 2, 2, false, run_object },
	{ "punch", "NAME OFFSET LEN", "take pages out of an object", 3, 3, false, run_punch },
	{ "resize", "NAME SIZE", "make an object shorter or longer", 2, 2, false, run_resize },
	{ "map", "WHAT SIZE [r|rw|rx|none] [at|near ADDR] [offset N] [private|shared] [replace] "
	  "[populate] [huge]", "WHAT: anon, guard or an object", 2, NR_WORDS_MAX, true, run_map },
	{ "unmap", "ADDR SIZE", "a whole area, or any part", 2, 2, true, run_unmap },
	{ "protect", "ADDR SIZE r|rw|rx|none", "change the rights", 3, 3, true, run_protect },
	{ "read", "ADDR LEN [hw] [nofault]", "show bytes; hw: through the MMU, for root", 2, 4,
	  true, run_read },
	{ "write", "ADDR TEXT [hw] [nofault]", "nofault: report faults, resolve none", 2, 4, true,
	  run_write },
	{ "fetch", "ADDR [hw] [nofault]", "could the CPU execute there?", 1, 3, true, run_fetch },
	{ "fill", "ADDR LEN BYTE", "by pwrite, any length", 3, 3, true, run_fill },
	{ "walk", "ADDR [user] [clear] [touch read|write]", "every level of a translation", 1, 5,
	  true, run_walk },
	{ "limit", "SIZE", "so much memory in its tables; 0: no limit; for root", 1, 1, true,
	  run_limit },
	{ "info", "", "counts, and an audit of the user root", 0, 0, true, run_info },
	{ "maps", "", "the areas, as /proc/PID/maps; for root", 0, 0, true, run_maps },
	{ "tables", "", "the entries, as ptdump; for root", 0, 0, true, run_tables },
	{ "exec", "COMMAND [ARG...]", "run a program with the space as descriptor 3", 1,
	  NR_WORDS_MAX, true, run_exec },
	{ "wait", "", "until a line comes on standard input", 0, 0, false, run_wait },
	{ "help", "", "this list", 0, 0, false, run_help },
};

#define NR_COMMANDS	(sizeof(commands) / sizeof(commands[0]))

static int run_help(struct run *r, int argc, char **argv)
{
	(void)r;
	(void)argc;
	(void)argv;
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		printf("%s%s%s\n", commands[i].name, *commands[i].args ? " " : "",
		       commands[i].args);
		printf("            %s\n", commands[i].brief);
	}
	puts("ADDR is a number, @ (where the last map put something) or @+SIZE. Commands are\n"
	     "separated by ; or newlines, # begins a comment, quotes keep blanks in a word.");
	return 0;
}

/* === The script === */

/* The next command's words; NULL in *text at the end. Returns their number, -1: a quote is open. */
static int next_command(char **text, char **word)
{
	char *p = *text, *out, quote;
	int n = 0;

	while (*p && *p != ';' && *p != '\n') {
		if (*p == ' ' || *p == '\t') {
			p++;
			continue;
		}
		if (*p == '#') {
			p += strcspn(p, "\n");
			break;
		}
		if (n == NR_WORDS_MAX)
			return -1;
		out = p;
		word[n++] = p;
		quote = 0;
		while (*p && (quote || !strchr(" \t;\n", *p))) {
			if (quote ? *p == quote : *p == '\'' || *p == '"')
				quote = quote ? 0 : *p;
			else
				*out++ = *p;
			p++;
		}
		if (quote)
			return -1;
		/* Behind a word is a separator or the end: kept for the next look. */
		if (out < p || !*p) {
			*out = 0;
			continue;
		}
		if (*p == ' ' || *p == '\t') {
			*p++ = 0;
			continue;
		}
		*p++ = 0;
		*text = p;
		return n;
	}
	if (*p)
		*p++ = 0;
	else
		p = NULL;
	*text = p;
	return n;
}

static const char *hint(const struct command *c, int err)
{
	switch (err) {
	case -EEXIST:
		return "something is mapped there: say replace, or unmap it first";
	case -ENOENT:
		return !strcmp(c->name, "protect") ?
		       "there is a hole or a guard in the range" : NULL;
	case -EACCES:
		return "more than the object's descriptor or the parameter allow_wx gives";
	case -EPERM:
		return !strcmp(c->name, "map") || !strcmp(c->name, "punch") ||
		       !strcmp(c->name, "resize") ?
		       "a seal forbids it" : "hw and limit want CAP_SYS_ADMIN";
	case -EOPNOTSUPP:
		return "the MMU is not used on this machine: see parameter mmu=";
	case -ENXIO:
		return "not an address of the user half";
	case -EDQUOT:
		return "a limit was reached: kmm info shows them";
	case -EINVAL:
		return "addresses are page aligned, sizes not 0; help tells the words";
	default:
		return NULL;
	}
}

static int run_words(struct run *r, int argc, char **argv)
{
	const struct command *c;
	int ret = 0;

	for (c = commands; c < commands + NR_COMMANDS; c++)
		if (!strcmp(c->name, argv[0]))
			break;
	r->quiet = true;
	if (c == commands + NR_COMMANDS) {
		complain(0, "no command '%s': try help", argv[0]);
		return -EINVAL;
	}
	if (argc - 1 < c->min || argc - 1 > c->max) {
		complain(0, "use: %s %s", c->name, c->args);
		return -EINVAL;
	}
	if (c->run != run_help && r->dev < 0) {
		r->dev = open_device();
		if (r->dev < 0)
			return -ENODEV;
	}
	r->quiet = false;
	if (c->on_space && !r->current) {
		ret = space_made(r, kmm_space_create(r->dev), NULL, NULL, true);
		if (r->out) {
			json_object_object_del(r->out, "space");
			json_object_object_del(r->out, "id");
		}
	}
	if (r->out)
		add_text(r->out, "command", c->name);
	if (!ret)
		ret = c->run(r, argc - 1, argv + 1);
	if (ret < 0 && !r->quiet) {
		const char *why = hint(c, ret);

		complain(ret, "%s", c->name);
		if (why)
			fprintf(stderr, "     %s\n", why);
	}
	if (r->out && !json_object_object_get_ex(r->out, "space", NULL) && r->current)
		add_text(r->out, "space", r->current->name);
	return ret;
}

/* One text of commands. Returns false at the first that fails. */
static bool run_text(struct run *r, char *text, struct json_object *all)
{
	char *word[NR_WORDS_MAX];
	int n, ret;

	while (text) {
		n = next_command(&text, word);
		if (n < 0) {
			complain(0, "a quote is not closed, or a command has more than %d words",
				 NR_WORDS_MAX);
			return false;
		}
		if (!n)
			continue;
		if (all) {
			r->out = json_object_new_object();
			json_object_array_add(all, r->out);
		}
		ret = run_words(r, n, word);
		if (r->out && ret < 0)
			add_text(r->out, "error", strerror(-ret));
		if (ret < 0)
			return false;
	}
	return true;
}

static bool run_input(struct run *r, struct json_object *all)
{
	bool tty = isatty(STDIN_FILENO), good = true;
	char *line = NULL;
	size_t cap = 0;

	while (good || tty) {
		if (tty) {
			printf("kmm> ");
			fflush(stdout);
		}
		if (getline(&line, &cap, stdin) < 0)
			break;
		good = run_text(r, line, all);
	}
	free(line);
	if (tty)
		putchar('\n');
	return good || tty;
}

struct run_arguments {
	int first;
};

static error_t run_parse(int key, char *arg, struct argp_state *state)
{
	struct run_arguments *in = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_ARG:
		in->first = state->next - 1;
		state->next = state->argc;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int space_run(struct options *o, int argc, char **argv)
{
	const struct argp argp = {
		.parser = run_parse, .args_doc = "[SCRIPT...]",
		.doc = "Work off a script on address spaces; without one, standard input.\v"
		       "'kmm space run help' lists the commands. Example: kmm space run 'map anon "
		       "64K at 0x10000000; write @ hello; walk @; clone copy; use copy; read @ 5'",
	};
	struct run_arguments in = { 0 };
	struct json_object *all;
	struct run r = { .o = o, .dev = -1 };
	bool good = true;

	parse_verb(&argp, o, argc, argv, ARGP_IN_ORDER, &in);
	all = o->json ? json_object_new_array() : NULL;
	if (!in.first)
		good = run_input(&r, all);
	for (int i = in.first; in.first && good && i < argc; i++)
		good = run_text(&r, argv[i], all);
	for (int i = 0; i < NR_NAMED_MAX; i++) {
		if (r.spaces[i].name)
			drop_named(&r.spaces[i]);
		if (r.objects[i].name)
			drop_named(&r.objects[i]);
	}
	if (r.dev >= 0)
		close(r.dev);
	if (all)
		print_json(all);
	return good ? EXIT_OK : EXIT_FAIL;
}

static int space_list(struct options *o, int argc, char **argv)
{
	parse_plain(o, "List the living address spaces: debugfs spaces/list.", argc, argv);
	return list_debugfs(o, "spaces/list");
}

/* === The verb === */

int cmd_space(struct options *o, int argc, char **argv)
{
	static const struct verb verbs[] = {
		{ "run", "run a script", space_run },
		{ "list", "list all", space_list },
	};
	static const struct verb_set set = {
		.name = "space",
		.args_doc = "run [SCRIPT...]\nlist",
		.doc = "Address spaces: run a script on them, or list those that live.\v"
			"kmm space run --help tells more.\n",
		.verbs = verbs, .nr = sizeof(verbs) / sizeof(verbs[0]),
	};

	return run_verbs(&set, o, argc, argv);
}
