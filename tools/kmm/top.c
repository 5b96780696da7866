// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm top: the region, what happens in it per second, and who has what, refreshed.
 *
 * Each refresh takes a snapshot (snapshot.c), a JSON object, and draws it: frames, free blocks
 * by mobility type, rates, CPUs, window and swap above; below one table of seven, sorted.
 * Drawing knows nothing of the terminal: put() makes lines with a byte below 8 where the style
 * changes, and they go to ncurses or, with --batch, to stdout as they are. So both show the
 * same, and only the screen cuts cells and lines off (the others at LINE_MAX_LEN) and leaves rows
 * out.
 *
 * Signals that end the program are blocked but while it waits (ppoll), and only set a flag: the
 * terminal is restored, then the signal is raised again, so that whoever waits for us sees it. A
 * resize is ncurses' SIGWINCH handler, which makes getch() return KEY_RESIZE; it is blocked in
 * the same way, so none is missed.
 *
 * Text that others have chosen (names of programs, of queues) may hold anything; only printable
 * ASCII reaches the terminal.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <curses.h>

#include "cmd.h"

/* Seconds between two refreshes. */
#define INTERVAL_MIN	0.1
#define INTERVAL_MAX	3600.0

/* The first rates come soon. */
#define INTERVAL_FIRST	0.5

/* CPUs above the table; --json has all. */
#define NR_CPUS_SHOWN	8

#define LINE_MAX_LEN	512
#define CELL_MAX_SHOWN	40	/* on a screen */
#define BAR_WIDTH	60

/* Style bytes in a line; they index styles[]. */
#define OFF	"\001"
#define BOLD	"\002"
#define REVERSE	"\003"
#define RED	"\004"
#define GREEN	"\005"
#define YELLOW	"\006"
#define BLUE	"\007"

enum cell_kind { CELL_TEXT, CELL_NUMBER, CELL_BYTES, CELL_KIB, CELL_PAGES, CELL_PERCENT };

/**
 * struct column - one column of a table
 * @key: in the rows' JSON
 * @title: above it
 * @width: cells; negative: text on the left
 * @kind: how it is written, and whether it sorts as a number (largest first) or as text
 */
struct column {
	const char *key;
	const char *title;
	int width;
	enum cell_kind kind;
};

#define NR_COLUMNS	12

/**
 * struct table - one table
 * @name: for --table, and in the last line of the screen
 * @key: in the snapshot
 * @what: for the help
 * @sort: the column by which it is sorted at first
 * @column: ends with a key of NULL
 */
struct table {
	const char *name;
	const char *key;
	const char *what;
	unsigned int sort;
	struct column column[NR_COLUMNS];
};

static const struct table tables[] = {
	{ "slab", "caches", "object caches", 6, {
		{ "num_objs", "OBJS", 9, CELL_NUMBER },
		{ "active_objs", "ACTIVE", 9, CELL_NUMBER },
		{ "use_percent", "USE", 5, CELL_PERCENT },
		{ "objsize", "OBJ SIZE", 9, CELL_NUMBER },
		{ "num_slabs", "SLABS", 8, CELL_NUMBER },
		{ "objperslab", "OBJ/SLAB", 9, CELL_NUMBER },
		{ "bytes", "CACHE SIZE", 11, CELL_BYTES },
		{ "name", "NAME", -20, CELL_TEXT },
	} },
	{ "accounts", "accounts", "users, and open files of /dev/kmm: who has how much", 4, {
		{ "id", "ID", 5, CELL_NUMBER },
		{ "kind", "KIND", -4, CELL_TEXT },
		{ "uid", "UID", 5, CELL_NUMBER },
		{ "pid", "PID", 6, CELL_NUMBER },
		{ "frames", "MEMORY", 10, CELL_PAGES },
		{ "frames_max", "MAX", 8, CELL_PAGES },
		{ "objects", "OBJ", 5, CELL_NUMBER },
		{ "host_bytes", "HOST", 10, CELL_BYTES },
		{ "window", "WINDOW", 9, CELL_PAGES },
		{ "comm", "COMMAND", -16, CELL_TEXT },
	} },
	{ "objects", "objects", "memory objects", 2, {
		{ "id", "ID", 6, CELL_NUMBER },
		{ "size", "SIZE", 10, CELL_BYTES },
		{ "resident_kB", "RESIDENT", 10, CELL_KIB },
		{ "swapped_kB", "SWAPPED", 10, CELL_KIB },
		{ "host_bytes", "HOST", 10, CELL_BYTES },
		{ "pins", "PINS", 5, CELL_NUMBER },
		{ "uid", "UID", 6, CELL_NUMBER },
		{ "pid", "PID", 7, CELL_NUMBER },
		{ "comm", "COMMAND", -16, CELL_TEXT },
	} },
	{ "areas", "areas", "areas of the kernel window (vmalloc, vmap)", 1, {
		{ "start", "START", -18, CELL_TEXT },
		{ "pages", "MEMORY", 10, CELL_PAGES },
		{ "huge_pages", "IN 2 MiB", 10, CELL_PAGES },
		{ "kind", "KIND", -10, CELL_TEXT },
		{ "rights", "", -3, CELL_TEXT },
		{ "caller", "CALLER", -32, CELL_TEXT },
	} },
	{ "pipes", "pipes", "pipes", 1, {
		{ "id", "ID", 6, CELL_NUMBER },
		{ "bytes", "BYTES", 10, CELL_BYTES },
		{ "capacity", "CAPACITY", 10, CELL_BYTES },
		{ "frames", "FRAMES", 7, CELL_NUMBER },
		{ "readers", "READERS", 8, CELL_NUMBER },
		{ "writers", "WRITERS", 8, CELL_NUMBER },
		{ "uid", "UID", 6, CELL_NUMBER },
		{ "pid", "PID", 7, CELL_NUMBER },
		{ "comm", "COMMAND", -16, CELL_TEXT },
	} },
	{ "queues", "msgq", "message queues", 1, {
		{ "id", "ID", 6, CELL_NUMBER },
		{ "messages", "MESSAGES", 9, CELL_NUMBER },
		{ "maxmsg", "MAX", 7, CELL_NUMBER },
		{ "bytes", "BYTES", 10, CELL_BYTES },
		{ "receivers", "RECEIVERS", 10, CELL_NUMBER },
		{ "senders", "SENDERS", 8, CELL_NUMBER },
		{ "uid", "UID", 6, CELL_NUMBER },
		{ "pid", "PID", 7, CELL_NUMBER },
		{ "name", "NAME", -16, CELL_TEXT },
	} },
	{ "swap", "swaps", "swap areas", 2, {
		{ "id", "ID", 3, CELL_NUMBER },
		{ "Size", "SIZE", 10, CELL_KIB },
		{ "Used", "USED", 10, CELL_KIB },
		{ "host_kB", "HOST", 10, CELL_KIB },
		{ "Priority", "PRIO", 5, CELL_NUMBER },
		{ "written", "WRITTEN", 9, CELL_NUMBER },
		{ "read", "READ", 9, CELL_NUMBER },
		{ "errors", "ERRORS", 7, CELL_NUMBER },
		{ "Filename", "NAME", -24, CELL_TEXT },
	} },
};

#define NR_TABLES	(sizeof(tables) / sizeof(tables[0]))

/**
 * struct top - the program
 * @o: of every command line
 * @curses: on a screen; else lines go to stdout
 * @batch: --batch
 * @interval: seconds between refreshes
 * @count: refreshes, then end; 0: no end
 * @table: which one is shown
 * @sort: column, by table
 * @reverse: other way round, by table
 * @first: row of the table that stands on top
 * @help: the help is shown in the place of all else
 * @sampler: for rates
 * @now: the last snapshot
 * @row: where the next line goes
 */
struct top {
	struct options *o;
	bool curses;
	bool batch;
	double interval;
	uint64_t count;
	unsigned int table;
	unsigned int sort[NR_TABLES];
	bool reverse[NR_TABLES];
	size_t first;
	bool help;
	struct sampler sampler;
	struct json_object *now;
	int row;
};

/* === Lines === */

static const struct {
	enum colour colour;
	int pair;
	unsigned int attr;
} styles[] = {
	[1] = { COLOUR_OFF, 0, A_NORMAL },
	[2] = { COLOUR_BOLD, 0, A_BOLD },
	[3] = { COLOUR_BOLD, 0, A_REVERSE },
	[4] = { COLOUR_RED, 1, A_BOLD },
	[5] = { COLOUR_GREEN, 2, A_NORMAL },
	[6] = { COLOUR_YELLOW, 3, A_NORMAL },
	[7] = { COLOUR_BLUE, 4, A_NORMAL },
};

static void put_curses(struct top *t, const char *text)
{
	int column = 0;

	attrset(A_NORMAL);
	for (; *text && column < COLS; text++) {
		if (*text < (int)(sizeof(styles) / sizeof(styles[0])))
			attrset(styles[(int)*text].attr | COLOR_PAIR(styles[(int)*text].pair));
		else
			mvaddch(t->row, column++, (unsigned char)*text);
	}
	attrset(A_NORMAL);
}

static void put_stdout(const struct top *t, const char *text)
{
	for (; *text; text++) {
		if (*text < (int)(sizeof(styles) / sizeof(styles[0])))
			fputs(colour(t->o, styles[(int)*text].colour), stdout);
		else
			putchar(*text);
	}
	putchar('\n');
}

/* One line. On a screen that is full it is dropped. */
__attribute__((format(printf, 2, 3))) static void put(struct top *t, const char *fmt, ...)
{
	char text[LINE_MAX_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if (*p < ' ' ? *p >= (int)(sizeof(styles) / sizeof(styles[0])) || *p < 0 : *p > '~')
			*p = '?';
	if (!t->curses)
		put_stdout(t, text);
	else if (t->row < LINES)
		put_curses(t, text);
	t->row++;
}

/* === Values === */

static uint64_t number(struct json_object *j, const char *key)
{
	return json_object_get_uint64(json_object_object_get(j, key));
}

/* "12.5", "140", "123k"; "-" where there is no rate. Static: up to sixteen in one call of put(). */
static const char *rate_text(struct json_object *rate)
{
	static char text[16][16];
	static unsigned int next;
	char *s = text[next++ % 16];
	double v = json_object_get_double(rate);

	if (!rate)
		strcpy(s, "-");
	else if (v < 100)
		snprintf(s, sizeof(text[0]), "%.*f", v > 0 ? 1 : 0, v);
	else if (v < 100000)
		snprintf(s, sizeof(text[0]), "%.0f", v);
	else if (v < 1e8)
		snprintf(s, sizeof(text[0]), "%.0fk", v / 1e3);
	else
		snprintf(s, sizeof(text[0]), "%.0fM", v / 1e6);
	return s;
}

/* What others have chosen: printable, no style. */
static void plain(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

/* === Above the table === */

/* A cell for each share of the region, largest errors of rounding in the last. */
static void put_bar(struct top *t, struct json_object *frames)
{
	static const struct {
		const char *key;
		const char *style;
		char c;
	} part[] = {
		{ "metadata", BLUE, 'm' }, { "used", GREEN, '#' }, { "guard", BLUE, 'g' },
		{ "quarantined", RED, 'q' }, { "lazy", YELLOW, 'l' }, { "cached", YELLOW, 'c' },
		{ "free", OFF, '.' },
	};
	uint64_t sum = 0, total = number(frames, "total");
	char bar[BAR_WIDTH + 2 * sizeof(part) / sizeof(part[0]) + 1];
	int len = 0, cells = 0, to;

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++) {
		sum += number(frames, part[i].key);
		to = total ? (int)((double)sum / total * BAR_WIDTH + 0.5) : 0;
		bar[len++] = *part[i].style;
		for (; cells < to && cells < BAR_WIDTH; cells++)
			bar[len++] = part[i].c;
	}
	bar[len] = 0;
	put(t, "frames  [%s" OFF "]", bar);
}

static void put_frames(struct top *t)
{
	struct json_object *f = json_object_object_get(t->now, "frames");
	struct json_object *r = json_object_object_get(t->now, "region");
	uint64_t page = number(r, "page_size");
	bool low = number(f, "free") + number(f, "cached") < number(f, "watermark_low");

	put_bar(t, f);
	put(t, "        used " BOLD "%" PRIu64 OFF " (%s)  %sfree %" PRIu64 " (%s)" OFF
	    "  cached %" PRIu64 "  lazy %" PRIu64,
	    number(f, "used"), human_size(number(f, "used") * page), low ? RED : OFF,
	    number(f, "free"), human_size(number(f, "free") * page), number(f, "cached"),
	    number(f, "lazy"));
	put(t, "        quarantined %" PRIu64 "  guard %" PRIu64 "  metadata %" PRIu64
	    "  of %" PRIu64 "  watermarks %" PRIu64 " %" PRIu64 " %" PRIu64,
	    number(f, "quarantined"), number(f, "guard"), number(f, "metadata"), number(f, "total"),
	    number(f, "watermark_min"), number(f, "watermark_low"), number(f, "watermark_high"));
}

static void put_types(struct top *t)
{
	struct json_object *types = json_object_object_get(t->now, "migratetypes");
	char line[LINE_MAX_LEN];
	int len;

	if (!types)
		return;
	len = snprintf(line, sizeof(line), "free blocks 2 MiB   pages");
	for (int i = 0; i <= KMM_ORDER_MAX; i++)
		len += snprintf(line + len, sizeof(line) - len, " %4d", i);
	put(t, BOLD "%s" OFF, line);
	for (size_t i = 0; i < json_object_array_length(types); i++) {
		struct json_object *one = json_object_array_get_idx(types, i);
		struct json_object *nr = json_object_object_get(one, "free_blocks");

		len = snprintf(line, sizeof(line), "%-11.11s %5" PRIu64 " %7" PRIu64,
			       json_object_get_string(json_object_object_get(one, "type")),
			       number(one, "pageblocks"), number(one, "free_pages"));
		for (size_t k = 0; k < json_object_array_length(nr) && len < 200; k++)
			len += snprintf(line + len, sizeof(line) - len, " %4" PRIu64,
					json_object_get_uint64(json_object_array_get_idx(nr, k)));
		plain(line);
		put(t, "%s", line);
	}
}

/* The sum of two rates, of which both are there or none. */
static struct json_object *sum_rates(struct json_object *rates, const char *a, const char *b)
{
	struct json_object *x = json_object_object_get(rates, a);
	struct json_object *y = json_object_object_get(rates, b);

	return x && y ? json_object_new_double(json_object_get_double(x) +
					       json_object_get_double(y)) : NULL;
}

static void put_rates(struct top *t)
{
	struct json_object *r = json_object_object_get(t->now, "rates"), *scan, *steal;

	if (!r)
		return;
	scan = sum_rates(r, "pgscan_kswapd", "pgscan_direct");
	steal = sum_rates(r, "pgsteal_kswapd", "pgsteal_direct");
	put(t, BOLD "%-9s %6s %6s %6s %6s %6s %6s %6s %6s %6s %6s" OFF, "per s", "alloc",
	    "free", "fail", "fault", "major", "scan", "steal", "swpout", "swpin", "refault");
	put(t, "%-9s %6s %6s %6s %6s %6s %6s %6s %6s %6s %6s", "",
	    rate_text(json_object_object_get(r, "pgalloc")),
	    rate_text(json_object_object_get(r, "pgfree")),
	    rate_text(json_object_object_get(r, "pgalloc_fail")),
	    rate_text(json_object_object_get(r, "pgfault")),
	    rate_text(json_object_object_get(r, "pgmajfault")), rate_text(scan),
	    rate_text(steal), rate_text(json_object_object_get(r, "pswpout")),
	    rate_text(json_object_object_get(r, "pswpin")),
	    rate_text(json_object_object_get(r, "workingset_refault")));
	json_object_put(scan);
	json_object_put(steal);
}

static void put_cpus(struct top *t)
{
	struct json_object *cpus = json_object_object_get(t->now, "cpus");
	size_t nr = cpus ? json_object_array_length(cpus) : 0;
	static const char head[] = "per CPU      cached  alloc/s   free/s";
	char line[LINE_MAX_LEN];
	int len = 0;

	if (!nr)
		return;
	put(t, BOLD "%s%s%s" OFF, head, nr > 1 ? "     " : "", nr > 1 ? head : "");
	for (size_t i = 0; i < nr && i < NR_CPUS_SHOWN; i++) {
		struct json_object *one = json_object_array_get_idx(cpus, i);

		len += snprintf(line + len, sizeof(line) - len,
				"%scpu%-4" PRIu64 "  %10" PRIu64 " %8s %8s", i % 2 ? "     " : "",
				number(one, "cpu"), number(one, "cached"),
				rate_text(json_object_object_get(one, "pgalloc_rate")),
				rate_text(json_object_object_get(one, "pgfree_rate")));
		if (i % 2 || i + 1 == nr || i + 1 == NR_CPUS_SHOWN) {
			put(t, "%s", line);
			len = 0;
		}
	}
	if (nr > NR_CPUS_SHOWN)
		put(t, "and %zu CPUs more: kmm top --json", nr - NR_CPUS_SHOWN);
}

static void put_window(struct top *t)
{
	struct json_object *areas = json_object_object_get(t->now, "areas");
	struct json_object *r = json_object_object_get(t->now, "region");
	uint64_t nr = 0, pages = 0, lazy = 0, page = number(r, "page_size");
	const char *kind;

	if (!areas)
		return;
	for (size_t i = 0; i < json_object_array_length(areas); i++) {
		struct json_object *one = json_object_array_get_idx(areas, i);

		kind = json_object_get_string(json_object_object_get(one, "kind"));
		if (!strcmp(kind, "lazy")) {
			lazy += number(one, "pages");
			continue;
		}
		nr++;
		pages += number(one, "pages");
	}
	put(t, "window  %s of %s, areas %" PRIu64 ", lazy %s; flushes/s: window %s, spaces %s",
	    human_size(pages * page), human_size(number(r, "window_bytes")), nr,
	    human_size(lazy * page),
	    rate_text(json_object_object_get(json_object_object_get(t->now, "rates"),
					     "tlb_kernel_flush")),
	    rate_text(json_object_object_get(json_object_object_get(t->now, "rates"),
					     "tlb_space_flush")));
}

static void put_swap(struct top *t)
{
	struct json_object *swaps = json_object_object_get(t->now, "swaps");
	struct json_object *c = json_object_object_get(t->now, "counters");
	uint64_t size = 0, used = 0, host = 0;
	size_t nr = swaps ? json_object_array_length(swaps) : 0;

	for (size_t i = 0; i < nr; i++) {
		struct json_object *one = json_object_array_get_idx(swaps, i);

		size += number(one, "Size") << 10;
		used += number(one, "Used") << 10;
		host += number(one, "host_kB") << 10;
	}
	if (swaps)
		put(t, "swap    %s of %s, areas %zu, host memory %s; oom %" PRIu64,
		    human_size(used), human_size(size), nr, human_size(host), number(c, "oom"));
}

static void put_head(struct top *t)
{
	struct json_object *r = json_object_object_get(t->now, "region");
	struct json_object *c = json_object_object_get(t->now, "counters");
	struct json_object *policy = json_object_object_get(t->now, "policy");
	const char *when = json_object_get_string(json_object_object_get(t->now, "time")) +
			   strlen("yyyy-mm-dd ");
	char more[128] = "";

	if (c)
		snprintf(more, sizeof(more), "%s%s  objects %" PRIu64 "  spaces %" PRIu64,
			 policy ? "  " : "", policy ? json_object_get_string(policy) : "",
			 number(c, "nr_objects"), number(c, "nr_spaces"));
	plain(more);
	if (r)
		put(t, BOLD "kmm top" OFF " %s  every %.1f s  %s %s%s", when, t->interval,
		    human_size(number(r, "bytes")),
		    json_object_get_string(json_object_object_get(r, "provider")), more);
	else
		put(t, BOLD "kmm top" OFF " %s  every %.1f s", when, t->interval);
}

/* === The table === */

static const struct table *sort_table;
static unsigned int sort_column;
static bool sort_reverse;

/* Numbers by their size, largest first; texts by the alphabet; what is no number ("-") behind. */
static int compare_rows(const void *a, const void *b)
{
	const struct column *c = &sort_table->column[sort_column];
	struct json_object *x = json_object_object_get(*(struct json_object **)a, c->key);
	struct json_object *y = json_object_object_get(*(struct json_object **)b, c->key);
	uint64_t p, q;
	int ret;

	if (c->kind == CELL_TEXT) {
		ret = strcmp(x ? json_object_get_string(x) : "",
			     y ? json_object_get_string(y) : "");
	} else {
		p = json_object_is_type(x, json_type_int) ? json_object_get_uint64(x) + 1 : 0;
		q = json_object_is_type(y, json_type_int) ? json_object_get_uint64(y) + 1 : 0;
		ret = p == q ? 0 : p < q ? 1 : -1;
	}
	return sort_reverse ? -ret : ret;
}

static void sort_rows(struct top *t)
{
	for (unsigned int i = 0; i < NR_TABLES; i++) {
		struct json_object *rows = json_object_object_get(t->now, tables[i].key);

		if (!rows)
			continue;
		sort_table = &tables[i];
		sort_column = t->sort[i];
		sort_reverse = t->reverse[i];
		json_object_array_sort(rows, compare_rows);
	}
}

static void cell_text(char *text, size_t size, const struct column *c, struct json_object *v,
		      uint64_t page)
{
	uint64_t n = json_object_get_uint64(v);

	if (c->kind == CELL_TEXT || !json_object_is_type(v, json_type_int)) {
		snprintf(text, size, "%s", v ? json_object_get_string(v) : "");
		plain(text);
		return;
	}
	switch (c->kind) {
	case CELL_BYTES:
		snprintf(text, size, "%s", human_size(n));
		break;
	case CELL_KIB:
		snprintf(text, size, "%s", human_size(n << 10));
		break;
	case CELL_PAGES:
		snprintf(text, size, "%s", human_size(n * page));
		break;
	case CELL_PERCENT:
		snprintf(text, size, "%" PRIu64 "%%", n);
		break;
	default:
		snprintf(text, size, "%" PRIu64, n);
	}
}

/* A row, or with NULL the titles, that of the column that sorts marked. */
static void put_cells(struct top *t, struct json_object *one)
{
	uint64_t page = number(json_object_object_get(t->now, "region"), "page_size");
	const struct table *table = &tables[t->table];
	/* a name has up to 255 characters, and is in the last column */
	char line[LINE_MAX_LEN], text[256];
	int len = 0;

	for (const struct column *c = table->column; c->key && len < 400; c++) {
		bool marked = !one && c == &table->column[t->sort[t->table]];

		if (one)
			cell_text(text, sizeof(text), c, json_object_object_get(one, c->key), page);
		else
			snprintf(text, sizeof(text), "%s%s", c->title,
				 !marked ? "" : t->reverse[t->table] ? "^" : "*");
		len += snprintf(line + len, sizeof(line) - len, "%s%*.*s", len ? " " : "",
				c->width < 0 && !c[1].key ? 0 : c->width,
				t->curses ? CELL_MAX_SHOWN : (int)sizeof(text), text);
	}
	if (one)
		put(t, "%s", line);
	else
		put(t, REVERSE "%-*s" OFF, t->curses ? COLS : 0, line);
}

static void put_table(struct top *t)
{
	struct json_object *rows = json_object_object_get(t->now, tables[t->table].key);
	size_t nr = rows ? json_object_array_length(rows) : 0, room = nr, i;
	size_t left = t->curses && LINES > t->row + 2 ? LINES - t->row - 2 : 0;

	if (!rows)
		return;
	if (t->curses)
		room = left;
	if (t->first + room > nr)
		t->first = nr > room ? nr - room : 0;
	put_cells(t, NULL);
	for (i = t->first; i < nr && i < t->first + room; i++)
		put_cells(t, json_object_array_get_idx(rows, i));
	if (!nr)
		put(t, "none");
}

/* === The screen === */

static void put_help(struct top *t)
{
	put(t, BOLD "kmm top: keys" OFF);
	put(t, " ");
	put(t, "q         quit");
	put(t, "h ?       this help; any key leaves it");
	put(t, "Tab       next table; or its number:");
	for (size_t i = 0; i < NR_TABLES; i++)
		put(t, "  %zu       %-9s %s", i + 1, tables[i].name, tables[i].what);
	put(t, "< >       sort by the column on the left, on the right (left and right arrow, too)");
	put(t, "r         the other way round");
	put(t, "up down   a row; page up and down a screen, home to the first");
	put(t, "+ -       slower, faster");
	put(t, "space     refresh now");
	put(t, " ");
	put(t, "frames: m metadata, # used, g guard, q quarantined, l lazy, c cached per CPU, . free");
	put(t, "fault: of mappings of objects; major: it waited for swap; cached: frames of that CPU");
}

static void put_keys(struct top *t)
{
	char line[LINE_MAX_LEN];
	int len = 0;

	for (size_t i = 0; i < NR_TABLES; i++)
		len += snprintf(line + len, sizeof(line) - len, "%s%zu %s" OFF " ",
				i == t->table ? BOLD : "", i + 1, tables[i].name);
	/* over what stands there when the screen is too small for all */
	t->row = LINES - 1;
	move(t->row, 0);
	clrtoeol();
	put(t, "%s  q quit  h help", line);
}

static void draw(struct top *t)
{
	const char *error = json_object_get_string(json_object_object_get(t->now, "error"));
	const char *hidden = json_object_get_string(json_object_object_get(t->now, "hidden"));

	t->row = 0;
	if (t->help) {
		put_help(t);
		return;
	}
	put_head(t);
	if (error) {
		put(t, RED "%s" OFF, error);
		return;
	}
	put_frames(t);
	put_types(t);
	put_rates(t);
	put_cpus(t);
	put_window(t);
	put_swap(t);
	put_table(t);
	if (hidden)
		put(t, YELLOW "%s" OFF, hidden);
}

/* === Waiting === */

static volatile sig_atomic_t caught;

static void catch(int sig)
{
	caught = sig;
}

static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/* Block what ends us (nohup ignores one), and SIGWINCH; *old is what is in force while we wait. */
static void catch_signals(sigset_t *old)
{
	struct sigaction act = { .sa_handler = catch }, was;
	sigset_t block;

	sigemptyset(&block);
	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		sigaction(ending[i], NULL, &was);
		if (was.sa_handler == SIG_IGN)
			continue;
		sigaction(ending[i], &act, NULL);
		sigaddset(&block, ending[i]);
	}
	sigaddset(&block, SIGWINCH);
	sigprocmask(SIG_BLOCK, &block, old);
}

/* Die of the signal that has ended the loop, if one has. */
static void raise_caught(const sigset_t *old)
{
	int sig = caught;

	if (!sig)
		return;
	signal(sig, SIG_DFL);
	sigprocmask(SIG_SETMASK, old, NULL);
	raise(sig);
}

/* Until input comes (fd, -1: none), a signal, or the time. Negative: the terminal has gone. */
static int wait_until(double when, int fd, const sigset_t *old)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	double left = fmax(when - seconds_now(), 0);
	struct timespec ts = { .tv_sec = left, .tv_nsec = fmod(left, 1) * 1e9 };
	int ret = ppoll(&p, 1, &ts, old);

	return ret > 0 && p.revents & (POLLHUP | POLLERR | POLLNVAL) ? -EIO : 0;
}

static void refresh_now(struct top *t)
{
	json_object_put(t->now);
	t->now = take_snapshot(&t->sampler);
	sort_rows(t);
}

/* === Batch === */

static int run_batch(struct top *t)
{
	const char *error;
	bool ok = true;
	sigset_t old;

	catch_signals(&old);
	refresh_now(t);
	if (t->o->json)
		putchar('[');
	for (uint64_t i = 0; ok && (!t->count || i < t->count); i++) {
		double next = t->sampler.at + t->interval;

		/* once at least: nowhere else do signals come through */
		do
			wait_until(next, -1, &old);
		while (!caught && seconds_now() < next);
		if (caught)
			break;
		refresh_now(t);
		error = json_object_get_string(json_object_object_get(t->now, "error"));
		if (error) {
			complain(0, "%s", error);
			ok = false;
			break;
		}
		if (t->o->json) {
			printf("%s\n%s", i ? "," : "", json_text(t->now));
		} else {
			if (i)
				putchar('\n');
			draw(t);
		}
		ok = !fflush(stdout);
	}
	if (t->o->json)
		puts("\n]");
	fflush(stdout);
	raise_caught(&old);
	return ok ? EXIT_OK : EXIT_FAIL;
}

/* === Keys === */

static void change_interval(struct top *t, double factor, double *next)
{
	t->interval = fmin(fmax(t->interval * factor, INTERVAL_MIN), INTERVAL_MAX);
	*next = t->sampler.at + t->interval;
}

static void change_sort(struct top *t, int by)
{
	int column = (int)t->sort[t->table] + by;

	if (column >= 0 && column < NR_COLUMNS && tables[t->table].column[column].key)
		t->sort[t->table] = column;
	sort_rows(t);
}

/* False: quit. *next is when to refresh. */
static bool handle_key(struct top *t, int key, double *next)
{
	const int page = LINES > 20 ? LINES - 20 : 1;

	if (t->help && key != KEY_RESIZE && key != 'q') {
		t->help = false;
		return true;
	}
	switch (key) {
	case 'q':
		return false;
	case 'h':
	case '?':
		t->help = true;
		break;
	case ' ':
		*next = 0;
		break;
	case '\t':
		t->table = (t->table + 1) % NR_TABLES;
		t->first = 0;
		break;
	case '<':
	case KEY_LEFT:
		change_sort(t, -1);
		break;
	case '>':
	case KEY_RIGHT:
		change_sort(t, 1);
		break;
	case 'r':
		t->reverse[t->table] = !t->reverse[t->table];
		sort_rows(t);
		break;
	case KEY_UP:
		t->first -= t->first > 0;
		break;
	case KEY_DOWN:
		t->first++;
		break;
	case KEY_PPAGE:
		t->first = t->first > (size_t)page ? t->first - page : 0;
		break;
	case KEY_NPAGE:
		t->first += page;
		break;
	case KEY_HOME:
		t->first = 0;
		break;
	case '+':
		change_interval(t, 2, next);
		break;
	case '-':
		change_interval(t, 0.5, next);
		break;
	default:
		if (key >= '1' && key < '1' + (int)NR_TABLES) {
			t->table = key - '1';
			t->first = 0;
		}
	}
	return true;
}

static void begin_screen(void)
{
	cbreak();
	noecho();
	nonl();
	curs_set(0);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(50);
	if (!has_colors())
		return;
	start_color();
	use_default_colors();
	init_pair(1, COLOR_RED, -1);
	init_pair(2, COLOR_GREEN, -1);
	init_pair(3, COLOR_YELLOW, -1);
	init_pair(4, COLOR_BLUE, -1);
}

static int run_screen(struct top *t)
{
	uint64_t shown = 0;
	bool go_on = true;
	sigset_t old;
	double next;
	SCREEN *s;
	int key;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		complain(0, "no terminal: kmm top --batch prints text, --json JSON");
		return EXIT_FAIL;
	}
	/* before ncurses, which leaves alone what is handled */
	catch_signals(&old);
	s = newterm(NULL, stdout, stdin);
	if (!s) {
		complain(0, "the terminal type '%s' is unknown here: set TERM, or use --batch",
			 getenv("TERM") ? getenv("TERM") : "");
		return EXIT_FAIL;
	}
	begin_screen();
	t->curses = true;
	refresh_now(t);
	next = t->sampler.at + fmin(t->interval, INTERVAL_FIRST);
	while (go_on && !caught) {
		erase();
		draw(t);
		put_keys(t);
		refresh();
		go_on = wait_until(next, STDIN_FILENO, &old) >= 0;
		while (go_on && (key = getch()) != ERR)
			go_on = handle_key(t, key, &next);
		if (go_on && !caught && seconds_now() >= next) {
			/* the first screen, which has no rates, does not count */
			if (t->count && shown++ == t->count)
				break;
			refresh_now(t);
			next = t->sampler.at + t->interval;
		}
	}
	endwin();
	delscreen(s);
	raise_caught(&old);
	return EXIT_OK;
}

/* === The verb === */

static error_t top_parse(int key, char *arg, struct argp_state *state)
{
	struct top *t = state->input;
	char *end;

	switch (key) {
	case 'b':
		t->batch = true;
		return 0;
	case 'i':
		t->interval = strtod(arg, &end);
		if (end == arg || *end ||
		    !(t->interval >= INTERVAL_MIN && t->interval <= INTERVAL_MAX))
			argp_error(state, "'%s' is no interval: %.1f to %.0f seconds", arg,
				   INTERVAL_MIN, INTERVAL_MAX);
		return 0;
	case 'n':
		if (!parse_number(arg, UINT32_MAX, &t->count) || !t->count)
			argp_error(state, "'%s' is no number of refreshes", arg);
		return 0;
	case 't':
		for (t->table = 0; t->table < NR_TABLES; t->table++)
			if (!strcmp(arg, tables[t->table].name))
				return 0;
		argp_error(state, "'%s' is no table; kmm top --help lists them", arg);
		return 0;
	case 's':
		/* the table may come behind it: see ARGP_KEY_END */
		state->hook = arg;
		return 0;
	case 'r':
		for (size_t i = 0; i < NR_TABLES; i++)
			t->reverse[i] = true;
		return 0;
	case ARGP_KEY_END:
		if (!state->hook)
			return 0;
		for (unsigned int c = 0; c < NR_COLUMNS && tables[t->table].column[c].key; c++)
			if (!strcmp(state->hook, tables[t->table].column[c].key)) {
				t->sort[t->table] = c;
				return 0;
			}
		argp_error(state, "table %s has no column '%s': as in --json",
			   tables[t->table].name, (char *)state->hook);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_top(struct options *o, int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "batch", 'b', NULL, 0, "Print text, no screen", 0 },
		{ "interval", 'i', "SECONDS", 0, "Between two refreshes (2)", 0 },
		{ "count", 'n', "N", 0, "End after N refreshes", 0 },
		{ "table", 't', "TABLE", 0,
		  "slab, accounts, objects, areas, pipes, queues or swap (slab)", 0 },
		{ "sort", 's', "COLUMN", 0, "Sort by the column of this name in --json", 0 },
		{ "reverse", 'r', NULL, 0, "The other way round", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = top_parse,
		.doc = "Show the region, what happens in it per second, and who has what, refreshed.\v"
		       "Rates are means since the last refresh. Keys: q quits, h shows the others. --json "
		       "prints an array with --count snapshots (1). All but the frames is in debugfs, "
		       "which is for root.\n",
	};
	struct top t = { .o = o, .interval = 2 };
	int dev, ret;

	for (size_t i = 0; i < NR_TABLES; i++)
		t.sort[i] = tables[i].sort;
	parse_verb(&argp, o, argc, argv, 0, &t);
	if (o->json && !t.count)
		t.count = 1;
	dev = open_device();
	if (dev < 0)
		return EXIT_FAIL;
	close(dev);
	ret = t.batch || o->json ? run_batch(&t) : run_screen(&t);
	drop_sampler(&t.sampler);
	json_object_put(t.now);
	return ret;
}
