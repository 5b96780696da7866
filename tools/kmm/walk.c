// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm walk: one translation, level by level, in an address space that was inherited as a
 * descriptor. "kmm space" shares the printing for its own command "walk".
 *
 * A line is the level's name, the index into its table, the raw entry and its bits. Bit 7 is PS
 * above the lowest level and PAT in it. Without CAP_SYS_ADMIN the kernel tells no physical address,
 * and none is shown.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"

#define ENTRY_PRESENT	0x1ULL
#define ENTRY_ACCESSED	0x20ULL
#define ENTRY_DIRTY	0x40ULL
#define ENTRY_PS	0x80ULL
#define ENTRY_PHYS	0x000ffffffffff000ULL

#define NR_ADDRESSES_MAX	64

/* column: blanks stand for it where it is not set */
static const struct {
	int bit;
	bool column;
	const char *name;
} entry_bits[] = {
	{ 0, true, "P" }, { 1, true, "RW" }, { 2, true, "US" }, { 3, false, "PWT" },
	{ 4, false, "PCD" }, { 5, true, "A" }, { 6, true, "D" }, { 7, false, "PS" },
	{ 8, false, "G" }, { 63, true, "NX" }, { 9, false, "SW1" }, { 10, false, "SW2" },
	{ 11, false, "SW3" }, { 58, false, "SW4" },
};

#define NR_ENTRY_BITS	(sizeof(entry_bits) / sizeof(entry_bits[0]))

static const char *bit_name(unsigned int i, unsigned int shift)
{
	return entry_bits[i].bit == 7 && shift == 12 ? "PAT" : entry_bits[i].name;
}

static const char *level_name(unsigned int levels, unsigned int depth)
{
	static const char * const names[] = { "pgd", "p4d", "pud", "pmd", "pte" };

	/* With four levels the second one is not there. */
	return names[depth && levels == 4 ? depth + 1 : depth];
}

const char *fault_code_text(uint32_t code)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} t[] = {
		{ KMM_PF_WRITE, "write" }, { KMM_PF_INSTR, "fetch" }, { KMM_PF_USER, "user" },
		{ KMM_PF_RSVD, "reserved bit" },
	};
	static char text[64];
	size_t n;

	n = snprintf(text, sizeof(text), "%s", code & KMM_PF_PRESENT ? "rights" : "no entry");
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		if (code & t[i].bit)
			n += snprintf(text + n, sizeof(text) - n, ", %s", t[i].name);
	return text;
}

/* === Printing === */

static void print_entry(const struct options *o, const struct kmm_space_walk *w, unsigned int i)
{
	unsigned int shift = 12 + 9 * (w->levels - 1 - i);
	uint64_t entry = w->entry[i];
	bool leaf = w->leaf_shift && i == w->depth - 1;

	printf("  %s[%3u] 0x%016llx", level_name(w->levels, i), w->index[i],
	       (unsigned long long)entry);
	if (!(entry & ENTRY_PRESENT)) {
		puts(entry ? "  not present: a page without rights" : "  not present");
		return;
	}
	printf(" %s", colour(o, COLOUR_GREEN));
	for (unsigned int k = 0; k < NR_ENTRY_BITS; k++) {
		const char *name = bit_name(k, shift);

		if (entry >> entry_bits[k].bit & 1)
			printf(" %s", name);
		else if (entry_bits[k].column)
			printf(" %*s", (int)strlen(name), "");
	}
	printf("%s", colour(o, COLOUR_OFF));
	if (entry & ENTRY_PHYS)
		printf(" -> %s %#llx", leaf ? "page" : "table", (unsigned long long)
		       (entry & ENTRY_PHYS & (leaf ? ~((1ULL << w->leaf_shift) - 1) : ~0ULL)));
	else
		printf(" -> %s", leaf ? "page" : "table");
	if (leaf)
		printf(" (%s)", human_size(1ULL << w->leaf_shift));
	putchar('\n');
}

static void print_walk(const struct options *o, const struct kmm_space_walk *w, const char *when)
{
	printf("%#llx%s: %u levels, %s view\n", w->addr, when, w->levels,
	       w->flags & KMM_WALK_USER_VIEW ? "user" : "full");
	for (unsigned int i = 0; i < w->depth; i++)
		print_entry(o, w, i);
}

static struct json_object *walk_json(const struct kmm_space_walk *w)
{
	struct json_object *j = json_object_new_object(), *levels = json_object_new_array();
	char text[32];

	add_number(j, "addr", w->addr);
	json_object_object_add(j, "view", json_object_new_string(w->flags & KMM_WALK_USER_VIEW ?
								 "user" : "full"));
	add_number(j, "leaf_bytes", w->leaf_shift ? 1ULL << w->leaf_shift : 0);
	for (unsigned int i = 0; i < w->depth; i++) {
		struct json_object *one = json_object_new_object();
		struct json_object *bits = json_object_new_array();
		unsigned int shift = 12 + 9 * (w->levels - 1 - i);

		snprintf(text, sizeof(text), "%#llx", w->entry[i]);
		json_object_object_add(one, "level",
				       json_object_new_string(level_name(w->levels, i)));
		json_object_object_add(one, "index", json_object_new_int(w->index[i]));
		json_object_object_add(one, "entry", json_object_new_string(text));
		for (unsigned int k = 0; k < NR_ENTRY_BITS; k++) {
			const char *name = bit_name(k, shift);

			if (w->entry[i] >> entry_bits[k].bit & 1)
				json_object_array_add(bits, json_object_new_string(name));
		}
		json_object_object_add(one, "bits", bits);
		json_object_array_add(levels, one);
	}
	json_object_object_add(j, "levels", levels);
	return j;
}

/* One byte, written back as it was read. */
static int touch_byte(int space, uint64_t addr, bool write)
{
	struct kmm_space_access a = { .addr = addr, .len = 1, .op = KMM_ACCESS_READ };
	char byte = 0;
	int ret;

	a.buf = (uintptr_t)&byte;
	ret = kmm_space_access(space, &a);
	if (!ret && !a.fault_rule && write) {
		a = (struct kmm_space_access){ .addr = addr, .buf = (uintptr_t)&byte, .len = 1,
					       .op = KMM_ACCESS_WRITE };
		ret = kmm_space_access(space, &a);
	}
	if (ret < 0 || !a.fault_rule)
		return ret;
	complain(0, "the %s at %#" PRIx64 " was denied: %s (%s)", write ? "write" : "read", addr,
		 kmm_fault_rule_name(a.fault_rule), fault_code_text(a.fault_code));
	return -EACCES;
}

static uint64_t leaf_of(const struct kmm_space_walk *w)
{
	return w->leaf_shift ? w->entry[w->depth - 1] : 0;
}

int show_walk(const struct options *o, int space, uint64_t addr, uint32_t flags,
	      const char *touch, struct json_object *j)
{
	struct kmm_space_walk before, after;
	int ret = kmm_space_walk(space, addr, flags, &before);

	if (ret < 0)
		return ret;
	if (!touch) {
		if (j)
			json_object_object_add(j, "walk", walk_json(&before));
		else
			print_walk(o, &before, "");
		return 0;
	}
	ret = touch_byte(space, addr, !strcmp(touch, "write"));
	if (ret == 0)
		ret = kmm_space_walk(space, addr, flags & ~KMM_WALK_CLEAR_YOUNG, &after);
	if (ret < 0)
		return ret;
	if (j) {
		json_object_object_add(j, "walk", walk_json(&before));
		json_object_object_add(j, "after", walk_json(&after));
		return 0;
	}
	print_walk(o, &before, " before");
	printf("one byte %s\n", !strcmp(touch, "write") ? "written" : "read");
	print_walk(o, &after, " after");
	printf("Accessed %d -> %d, Dirty %d -> %d\n", !!(leaf_of(&before) & ENTRY_ACCESSED),
	       !!(leaf_of(&after) & ENTRY_ACCESSED), !!(leaf_of(&before) & ENTRY_DIRTY),
	       !!(leaf_of(&after) & ENTRY_DIRTY));
	return 0;
}

/* === The verb === */

struct walk_input {
	uint64_t fd;
	uint32_t flags;
	const char *touch;
	uint64_t addr[NR_ADDRESSES_MAX];
	unsigned int nr;
};

static error_t walk_parse(int key, char *arg, struct argp_state *state)
{
	struct walk_input *in = state->input;

	switch (key) {
	case 'f':
		if (!parse_number(arg, 1 << 20, &in->fd))
			argp_error(state, "'%s' is no descriptor", arg);
		return 0;
	case 'u':
		in->flags |= KMM_WALK_USER_VIEW;
		return 0;
	case 'c':
		in->flags |= KMM_WALK_CLEAR_YOUNG;
		return 0;
	case 't':
		if (strcmp(arg, "read") && strcmp(arg, "write"))
			argp_error(state, "--touch=read or --touch=write");
		in->touch = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (in->nr == NR_ADDRESSES_MAX)
			argp_error(state, "too many addresses");
		if (!parse_number(arg, UINT64_MAX, &in->addr[in->nr++]))
			argp_error(state, "'%s' is no address: try 0x10000000", arg);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which address?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_walk(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "fd", 'f', "N", 0, "The space's descriptor (3)", 0 },
		{ "user-view", 'u', NULL, 0, "From the user root, not the full one", 0 },
		{ "clear", 'c', NULL, 0, "Clear Accessed and Dirty afterwards", 0 },
		{ "touch", 't', "HOW", 0, "Walk, read or write one byte, walk again", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = walk_parse,
		.args_doc = "ADDRESS...",
		.doc = "Show every level of a translation: index, raw entry, decoded bits.\v"
		       "The space is a descriptor that was inherited. Example: kmm space run "
		       "'map anon 64K at 0x10000000; exec kmm walk --touch=write 0x10000000'",
	};
	struct walk_input in = { .fd = CHILD_FD };
	struct json_object *all = NULL, *one = NULL;
	int ret = 0;

	parse_verb(&argp, o, argc, argv, 0, &in);
	if (o->json)
		all = json_object_new_array();
	for (unsigned int i = 0; i < in.nr && ret >= 0; i++) {
		if (all) {
			one = json_object_new_object();
			json_object_array_add(all, one);
		}
		ret = show_walk(o, in.fd, in.addr[i], in.flags, in.touch, one);
		if (ret == -EBADF)
			complain(0, "descriptor %" PRIu64 " is not open: try --help", in.fd);
		else if (ret == -ENOTTY)
			complain(0, "descriptor %" PRIu64 " is no address space", in.fd);
		else if (ret < 0 && ret != -EACCES)
			complain(ret, "cannot walk %#" PRIx64, in.addr[i]);
	}
	if (ret < 0) {
		json_object_put(all);
		return EXIT_FAIL;
	}
	return all ? print_json(all) : EXIT_OK;
}
