// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmm doctor: what is wrong with this kernel for kmm.
 *
 * A list of checks, each of which adds lines: ok, warn (kmm works, but less well, or
 * the check could not look) or fail (kmm cannot work until this is done). A line that
 * is not ok carries the command or setting that cures it. Nothing needs the module;
 * what only a loaded module can tell is looked at when it is there.
 *
 * Sources: uname, /proc/{cmdline,meminfo,config.gz,mounts,modules,sys}, /boot/config-*,
 * securityfs, EFI variables, /lib/modules, /dev/kmm, debugfs. Everything is read with
 * a prefix of --root, so that a test can show the doctor another machine's files.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zlib.h>

#include "cmd.h"

#define NR_LINES_MAX	32

enum verdict { VERDICT_OK, VERDICT_WARN, VERDICT_FAIL };

static const char * const verdict_name[] = { "ok", "warn", "fail" };

struct line {
	enum verdict verdict;
	const char *check;
	char text[512];
	char fix[512];
};

/**
 * struct doctor - one examination
 * @o: options
 * @root: prefix of every path, "" for this machine
 * @need_mib: region size to plan for
 * @uts: the running kernel
 * @config: its configuration as text; NULL when not found
 * @config_from: where it was found
 * @cmdline: its command line, with a blank at each end
 * @loaded: the module is loaded
 * @line: findings
 * @nr_lines: how many
 */
struct doctor {
	struct options *o;
	const char *root;
	uint64_t need_mib;
	struct utsname uts;
	char *config;
	char config_from[512];
	char *cmdline;
	bool loaded;
	struct line line[NR_LINES_MAX];
	size_t nr_lines;
};

__attribute__((format(printf, 4, 5)))
static struct line *finding(struct doctor *d, enum verdict v, const char *check,
			    const char *fmt, ...)
{
	static struct line spare;
	struct line *l = d->nr_lines < NR_LINES_MAX ? &d->line[d->nr_lines++] : &spare;
	va_list ap;

	l->verdict = v;
	l->check = check;
	l->fix[0] = 0;
	va_start(ap, fmt);
	vsnprintf(l->text, sizeof(l->text), fmt, ap);
	va_end(ap);
	return l;
}

__attribute__((format(printf, 2, 3)))
static void fix(struct line *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->fix, sizeof(l->fix), fmt, ap);
	va_end(ap);
}

/* === Reading === */

__attribute__((format(printf, 2, 3)))
static char *path_of(struct doctor *d, const char *fmt, ...)
{
	static char path[4][1024];
	static unsigned int next;
	char *p = path[next++ % 4];
	va_list ap;
	int n;

	n = snprintf(p, sizeof(path[0]), "%s", d->root);
	va_start(ap, fmt);
	vsnprintf(p + n, sizeof(path[0]) - n, fmt, ap);
	va_end(ap);
	return p;
}

/* The whole of a file, plain or gzip; NULL when it cannot be read. The caller frees. */
static char *slurp(const char *path)
{
	size_t size = 0, cap = 1 << 16;
	char *text = malloc(cap);
	gzFile f = text ? gzopen(path, "r") : NULL;
	int n;

	if (!f) {
		free(text);
		return NULL;
	}
	while ((n = gzread(f, text + size, cap - size - 1)) > 0) {
		size += n;
		if (cap - size < 2) {
			char *more = realloc(text, cap *= 2);

			if (!more) {
				n = -1;
				break;
			}
			text = more;
		}
	}
	gzclose(f);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[size] = 0;
	return text;
}

static bool file_exists(const char *path)
{
	struct stat st;

	return !stat(path, &st);
}

/* "y", "m", "n", or "?" when there is no configuration to look at. */
static const char *config_value(struct doctor *d, const char *name)
{
	char key[128];
	const char *p;

	if (!d->config)
		return "?";
	snprintf(key, sizeof(key), "\nCONFIG_%s=", name);
	p = strstr(d->config, key);
	if (!p)
		return "n";
	p += strlen(key);
	return *p == 'y' ? "y" : *p == 'm' ? "m" : "n";
}

static bool config_is(struct doctor *d, const char *name, char value)
{
	return *config_value(d, name) == value;
}

/* A line of meminfo in KiB, or -1. */
static int64_t meminfo(struct doctor *d, const char *name)
{
	char *text = slurp(path_of(d, "/proc/meminfo"));
	char key[64];
	int64_t kib = -1;
	char *p;

	if (!text)
		return -1;
	snprintf(key, sizeof(key), "%s:", name);
	for (p = text; p; p = strchr(p, '\n')) {
		if (*p == '\n')
			p++;
		if (!strncmp(p, key, strlen(key))) {
			kib = strtoll(p + strlen(key), NULL, 10);
			break;
		}
	}
	free(text);
	return kib;
}

static void find_config(struct doctor *d)
{
	const char *release = d->uts.release;
	char *path[] = {
		strdup(path_of(d, "/proc/config.gz")),
		strdup(path_of(d, "/boot/config-%s", release)),
		strdup(path_of(d, "/lib/modules/%s/config", release)),
		strdup(path_of(d, "/lib/modules/%s/build/.config", release)),
		strdup(path_of(d, "/usr/src/linux-headers-%s/.config", release)),
	};
	char *text;

	for (size_t i = 0; i < sizeof(path) / sizeof(path[0]); i++) {
		if (!d->config && path[i]) {
			text = slurp(path[i]);
			/* A newline in front, so that every option starts after one. */
			if (text && asprintf(&d->config, "\n%s", text) < 0)
				d->config = NULL;
			free(text);
			if (d->config)
				snprintf(d->config_from, sizeof(d->config_from), "%s", path[i]);
		}
		free(path[i]);
	}
}

/* === Checks === */

static void check_kernel(struct doctor *d)
{
	unsigned int major = 0, minor = 0;
	struct line *l;

	if (sscanf(d->uts.release, "%u.%u", &major, &minor) != 2)
		major = 0;
	if (strcmp(d->uts.machine, "x86_64")) {
		l = finding(d, VERDICT_FAIL, "kernel", "%s on %s: kmm is for x86-64",
			    d->uts.release, d->uts.machine);
		fix(l, "use an x86-64 machine or VM");
	} else if (major < 6 || (major == 6 && minor < 1)) {
		l = finding(d, VERDICT_FAIL, "kernel", "Linux %s is older than 6.1",
			    d->uts.release);
		fix(l, "boot a kernel of 6.1 or newer");
	} else {
		finding(d, VERDICT_OK, "kernel", "Linux %s", d->uts.release);
	}
	if (d->config) {
		finding(d, VERDICT_OK, "config", "read from %s", d->config_from);
	} else {
		l = finding(d, VERDICT_WARN, "config", "the configuration of %s was not found",
			    d->uts.release);
		fix(l, "look for /boot/config-%s, or build with CONFIG_IKCONFIG_PROC",
		    d->uts.release);
	}
}

static void check_modules(struct doctor *d)
{
	char *text;
	struct line *l;

	if (config_is(d, "MODULES", 'n')) {
		l = finding(d, VERDICT_FAIL, "modules", "this kernel loads no modules");
		fix(l, "boot a kernel with CONFIG_MODULES=y");
		return;
	}
	text = slurp(path_of(d, "/proc/sys/kernel/modules_disabled"));
	if (text && *text == '1') {
		l = finding(d, d->loaded ? VERDICT_WARN : VERDICT_FAIL, "modules",
			    "loading modules is switched off (kernel.modules_disabled=1)");
		fix(l, "reboot: it cannot be switched on again");
	} else {
		finding(d, VERDICT_OK, "modules", "modules can be loaded");
	}
	free(text);
}

static void check_headers(struct doctor *d)
{
	struct line *l;

	if (file_exists(path_of(d, "/lib/modules/%s/build/Makefile", d->uts.release))) {
		finding(d, VERDICT_OK, "headers", "/lib/modules/%s/build is there",
			d->uts.release);
		return;
	}
	if (file_exists(path_of(d, "/usr/src/linux-headers-%s/Makefile", d->uts.release))) {
		l = finding(d, VERDICT_WARN, "headers",
			    "the headers are installed, but /lib/modules/%s/build is missing",
			    d->uts.release);
		fix(l, "make KDIR=/usr/src/linux-headers-%s", d->uts.release);
		return;
	}
	l = finding(d, VERDICT_WARN, "headers",
		    "no headers for the running kernel: kmm.ko cannot be built here");
	fix(l, "apt-get install linux-headers-%s, or make KDIR=FOLDER", d->uts.release);
}

/* KiB of CMA that the command line asks for, or -1. */
static int64_t cmdline_cma(struct doctor *d)
{
	const char *p = d->cmdline ? strstr(d->cmdline, " cma=") : NULL;
	uint64_t bytes;
	char size[32];

	if (!p || sscanf(p, " cma=%31[^ @\n]", size) != 1 || !parse_size(size, &bytes))
		return -1;
	return bytes >> 10;
}

static void check_cma(struct doctor *d)
{
	int64_t total = meminfo(d, "CmaTotal"), free = meminfo(d, "CmaFree");
	int64_t need = (int64_t)d->need_mib << 10, asked = cmdline_cma(d);
	uint64_t want = 1;
	struct line *l;

	/* As the module says it: room for other users of the area, in a round size. */
	while (want < d->need_mib + d->need_mib / 4)
		want *= 2;

	if (total < 0 || config_is(d, "CMA", 'n') || config_is(d, "DMA_CMA", 'n')) {
		l = finding(d, VERDICT_WARN, "cma",
			    "this kernel has no CMA%s: kmm will fall back to provider contig",
			    config_is(d, "CMA", 'y') ? " for devices (CONFIG_DMA_CMA)" : "");
		fix(l, "for CMA boot a kernel with CONFIG_CMA=y and CONFIG_DMA_CMA=y, with cma=%"
		    PRIu64 "M on its command line (on this kernel cma= does nothing)", want);
		return;
	}
	if (total == 0 || (total < need && asked < 0)) {
		l = finding(d, VERDICT_WARN, "cma",
			    "the CMA area has %" PRId64 " MiB, a region of %" PRIu64
			    " MiB does not fit: kmm will fall back", total >> 10, d->need_mib);
		fix(l, "add cma=%" PRIu64 "M to the kernel command line (GRUB_CMDLINE_LINUX in "
		    "/etc/default/grub, then update-grub) and reboot", want);
	} else if (total < need) {
		l = finding(d, VERDICT_WARN, "cma",
			    "cma=%" PRId64 "M is too small for a region of %" PRIu64
			    " MiB: kmm will fall back", asked >> 10, d->need_mib);
		fix(l, "change it to cma=%" PRIu64 "M and reboot, or load with region_mb=%" PRId64,
		    want, total >> 11);
	} else if (!d->loaded && free < need) {
		l = finding(d, VERDICT_WARN, "cma",
			    "%" PRId64 " of %" PRId64 " MiB of CMA are free, a region of %" PRIu64
			    " MiB does not fit", free >> 10, total >> 10, d->need_mib);
		fix(l, "free CMA memory, or add cma=%" PRIu64 "M to the kernel command line",
		    want + (uint64_t)((total - free) >> 10));
	} else {
		finding(d, VERDICT_OK, "cma", "%" PRId64 " MiB of CMA, %" PRId64 " MiB free",
			total >> 10, free >> 10);
	}
}

static void check_lockdown(struct doctor *d)
{
	char *text = slurp(path_of(d, "/sys/kernel/security/lockdown"));
	struct line *l;

	if (text && !strstr(text, "[none]")) {
		l = finding(d, d->loaded ? VERDICT_WARN : VERDICT_FAIL, "lockdown",
			    "the kernel is locked down (%s): unsigned modules%s are refused",
			    strstr(text, "[integrity]") ? "integrity" : "confidentiality",
			    " and debugfs");
		fix(l, "sign kmm.ko with an enrolled key (mokutil), or switch Secure Boot or "
		    "lockdown= off");
	} else if (text) {
		finding(d, VERDICT_OK, "lockdown", "none");
	} else if (d->cmdline && strstr(d->cmdline, " lockdown=")) {
		l = finding(d, VERDICT_WARN, "lockdown", "lockdown= is on the command line, and "
			    "securityfs is not mounted to see its effect");
		fix(l, "mount -t securityfs none /sys/kernel/security");
	} else {
		finding(d, VERDICT_OK, "lockdown", "%s",
			config_is(d, "SECURITY_LOCKDOWN_LSM", 'n') ?
			"not built into this kernel" : "not active");
	}
	free(text);
}

static void check_signature(struct doctor *d)
{
	char *enforce = slurp(path_of(d, "/sys/module/module/parameters/sig_enforce"));
	bool forced = (enforce && (*enforce == 'Y' || *enforce == '1')) ||
		      config_is(d, "MODULE_SIG_FORCE", 'y') ||
		      (d->cmdline && strstr(d->cmdline, " module.sig_enforce "));
	struct line *l;

	free(enforce);
	if (forced) {
		l = finding(d, d->loaded ? VERDICT_WARN : VERDICT_FAIL, "signature",
			    "this kernel loads only signed modules");
		fix(l, "sign kmm.ko (scripts/sign-file of the kernel headers) with a key that the "
		    "kernel trusts, or boot without module.sig_enforce");
	} else if (config_is(d, "MODULE_SIG", 'n')) {
		finding(d, VERDICT_OK, "signature", "this kernel does not check signatures");
	} else {
		finding(d, VERDICT_OK, "signature", "unsigned modules load (and taint the kernel)");
	}
}

static void check_guest(struct doctor *d)
{
	struct line *l;

	if (file_exists(path_of(d, "/dev/sev-guest")) ||
	    file_exists(path_of(d, "/dev/tdx_guest"))) {
		l = finding(d, VERDICT_FAIL, "guest", "a confidential VM (SEV or TDX): "
			    "DMA memory is decrypted there and kmm refuses it");
		fix(l, "use an ordinary VM");
	}
}

static void check_debugfs(struct doctor *d)
{
	char *mounts = slurp(path_of(d, "/proc/mounts"));
	struct line *l;

	if (config_is(d, "DEBUG_FS", 'n')) {
		l = finding(d, VERDICT_WARN, "debugfs", "this kernel has no debugfs: kmm works, "
			    "frag and object list do not");
		fix(l, "boot a kernel with CONFIG_DEBUG_FS=y");
	} else if (!mounts || !strstr(mounts, " debugfs ")) {
		l = finding(d, VERDICT_WARN, "debugfs", "debugfs is not mounted");
		fix(l, "mount -t debugfs none " DEBUGFS_MOUNT);
	} else if (d->loaded && !file_exists(path_of(d, DEBUGFS_DIR)) && !geteuid()) {
		l = finding(d, VERDICT_WARN, "debugfs", "mounted, but there is no " DEBUGFS_DIR);
		fix(l, "dmesg | grep kmm tells why the module has none");
	} else {
		finding(d, VERDICT_OK, "debugfs", "mounted%s",
			geteuid() ? " (only root can read it)" : "");
	}
	free(mounts);
}

static void check_device(struct doctor *d)
{
	char *path = path_of(d, KMM_DEVICE);
	struct group *g;
	struct stat st;
	struct line *l;

	if (!d->loaded) {
		l = finding(d, VERDICT_WARN, "module", "kmm is not loaded");
		fix(l, "insmod kmm.ko (as root)");
		return;
	}
	finding(d, VERDICT_OK, "module", "kmm is loaded");
	if (stat(path, &st) || !S_ISCHR(st.st_mode)) {
		l = finding(d, VERDICT_FAIL, "device", "the module is loaded, but there is no %s",
			    KMM_DEVICE);
		fix(l, "mount devtmpfs on /dev, or mknod " KMM_DEVICE
		    " c 10 $(sed -n 's/ kmm$//p' /proc/misc)");
		return;
	}
	if (st.st_mode & 0006) {
		l = finding(d, VERDICT_WARN, "device", KMM_DEVICE
			    " has mode %04o: everybody may use it", st.st_mode & 07777);
		fix(l, "chmod 0660 " KMM_DEVICE);
	}
	if (access(path, R_OK | W_OK)) {
		l = finding(d, VERDICT_FAIL, "device", "no permission for " KMM_DEVICE
			    " (mode %04o, uid %u, gid %u)", st.st_mode & 07777, st.st_uid,
			    st.st_gid);
		g = getgrgid(st.st_gid);
		if (st.st_gid && g)
			fix(l, "usermod -aG %s USER, then log in again", g->gr_name);
		else
			fix(l, "groupadd -f kmm; chgrp kmm " KMM_DEVICE
			    "; usermod -aG kmm USER, then log in again");
		return;
	}
	g = getgrnam("kmm");
	if (!st.st_gid || !g || g->gr_gid != st.st_gid) {
		l = finding(d, VERDICT_WARN, "device", "you may use " KMM_DEVICE
			    ", group kmm may not (mode %04o, gid %u)", st.st_mode & 07777,
			    st.st_gid);
		fix(l, "groupadd -f --system kmm; chgrp kmm " KMM_DEVICE "; chmod 0660 " KMM_DEVICE
		    " (make install brings the udev rule that does it at each load)");
		return;
	}
	finding(d, VERDICT_OK, "device", KMM_DEVICE ", mode %04o, group kmm", st.st_mode & 07777);
}

/* What the detectors of the module found so far. */
static void check_found(struct doctor *d)
{
	static const struct {
		const char *row;
		const char *text;
		const char *fix;
	} rows[] = {
		{ "pagealloc_corrupt ", "pages were written to after they were freed",
		  "dmesg | grep -A 40 '^.*pagealloc: ' shows what, and who got them next" },
		{ "page_table_check_violation ", "mappings of spaces broke a rule",
		  "dmesg | grep -A 30 'KMM: page table check' shows which" },
	};
	char *vmstat = slurp(path_of(d, DEBUGFS_DIR "/vmstat"));
	struct line *l;

	for (size_t i = 0; vmstat && i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *row = strstr(vmstat, rows[i].row);
		unsigned long nr = row ? strtoul(row + strlen(rows[i].row), NULL, 10) : 0;

		if (!nr)
			continue;
		l = finding(d, VERDICT_WARN, "memory", "%lu %s", nr, rows[i].text);
		fix(l, "%s", rows[i].fix);
	}
	free(vmstat);
}

static void check_region(struct doctor *d)
{
	struct kmm_info info;
	struct line *l;
	int fd;

	if (!d->loaded || *d->root)
		return;
	fd = kmm_open();
	if (fd < 0)
		return;		/* check_device has said why */
	if (kmm_get_info(fd, &info) < 0) {
		l = finding(d, VERDICT_FAIL, "abi", "the module does not know KMM_IOC_INFO");
		fix(l, "load the kmm.ko that was built with this command");
		close(fd);
		return;
	}
	close(fd);
	info.provider[KMM_NAME_LEN - 1] = 0;
	if (info.abi_version != KMM_ABI_VERSION) {
		l = finding(d, VERDICT_WARN, "abi", "the module has ABI %u, this command %u",
			    info.abi_version, KMM_ABI_VERSION);
		fix(l, "build both from one source");
	}
	if (info.flags & KMM_INFO_FALLBACK) {
		l = finding(d, VERDICT_WARN, "region", "%s from provider %s, a fallback",
			    human_size(info.region_bytes), info.provider);
		fix(l, "%s/region says what was tried; see the line cma above", DEBUGFS_DIR);
	} else {
		finding(d, VERDICT_OK, "region", "%s from provider %s",
			human_size(info.region_bytes), info.provider);
	}
}

/* === The verb === */

static error_t doctor_parse(int key, char *arg, struct argp_state *state)
{
	struct doctor *d = state->input;

	switch (key) {
	case 'r':
		if (!parse_number(arg, 1 << 20, &d->need_mib) || !d->need_mib)
			argp_error(state, "'%s' is no number of MiB", arg);
		return 0;
	case 'R':
		d->root = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_doctor(struct options *o, int argc, char **argv)
{
	static const enum colour shade[] = { COLOUR_GREEN, COLOUR_YELLOW, COLOUR_RED };
	const struct argp_option options[] = {
		{ "region", 'r', "MIB", 0, "Size of the region to plan for (64)", 0 },
		{ "root", 'R', "DIR", 0, "Examine the files of the machine below DIR", 0 },
		{ 0 }
	};
	const struct argp argp = {
		.options = options, .parser = doctor_parse,
		.doc = "Tell what is wrong with this kernel for kmm, and what to do about it. The "
		       "module need not be loaded.\v"
		       "Each line is ok, warn (kmm works, but less well) or fail (something must be "
		       "done). Exit status 0 when no line is fail, else 1.",
	};
	struct json_object *j, *list, *one;
	unsigned int count[3] = { 0 };
	struct doctor *d = calloc(1, sizeof(*d));
	struct line *l;
	char *text;

	if (!d) {
		complain(-ENOMEM, "doctor");
		return EXIT_FAIL;
	}
	d->o = o;
	d->root = "";
	d->need_mib = 64;
	parse_verb(&argp, o, argc, argv, 0, d);
	uname(&d->uts);
	text = slurp(path_of(d, "/proc/sys/kernel/osrelease"));
	if (text)
		sscanf(text, "%64s", d->uts.release);
	free(text);
	text = slurp(path_of(d, "/proc/cmdline"));
	if (text) {
		text[strcspn(text, "\n")] = 0;
		if (asprintf(&d->cmdline, " %s ", text) < 0)
			d->cmdline = NULL;
	}
	free(text);
	d->loaded = file_exists(path_of(d, "/sys/module/kmm"));
	find_config(d);

	check_kernel(d);
	check_modules(d);
	check_headers(d);
	check_cma(d);
	check_lockdown(d);
	check_signature(d);
	check_guest(d);
	check_debugfs(d);
	check_device(d);
	check_region(d);
	check_found(d);

	j = json_object_new_object();
	list = json_object_new_array();
	for (l = d->line; l < d->line + d->nr_lines; l++) {
		count[l->verdict]++;
		one = json_object_new_object();
		json_object_object_add(one, "verdict",
				       json_object_new_string(verdict_name[l->verdict]));
		json_object_object_add(one, "check", json_object_new_string(l->check));
		json_object_object_add(one, "text", json_object_new_string(l->text));
		json_object_object_add(one, "fix", *l->fix ? json_object_new_string(l->fix) : NULL);
		json_object_array_add(list, one);
		if (o->json)
			continue;
		printf("%s%-4s%s %-10s %s\n", colour(o, shade[l->verdict]),
		       verdict_name[l->verdict], colour(o, COLOUR_OFF), l->check, l->text);
		if (*l->fix)
			printf("%15s do: %s\n", "", l->fix);
	}
	if (o->json) {
		json_object_object_add(j, "ok", json_object_new_boolean(!count[VERDICT_FAIL]));
		json_object_object_add(j, "checks", list);
		print_json(j);
	} else {
		json_object_put(list);
		json_object_put(j);
		printf("%u ok, %u warn, %u fail\n", count[VERDICT_OK], count[VERDICT_WARN],
		       count[VERDICT_FAIL]);
	}
	free(d->config);
	free(d->cmdline);
	argc = count[VERDICT_FAIL] ? EXIT_FAIL : EXIT_OK;
	free(d);
	return argc;
}
