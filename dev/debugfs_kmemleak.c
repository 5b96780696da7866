// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: debugfs of kmemleak
 *
 *	kmemleak	leaks that were reported, in the format of the kernel's file; commands
 *	kmemleak_stat	what the detector costs: objects, pool, scans
 *
 * Commands, as in the kernel's file: off, scan, scan=on, scan=off, scan=SECONDS, stack=on,
 * stack=off, clear, dump=ADDRESS. As there -EPERM answers all but clear and off while it is off.
 * Beside them: on, which begins anew.
 *
 * The files are root's: they show addresses and contents.
 *
 * Locks: the detector's mutex from the first to the last line of one read(), so no scan changes
 * what is being told; bytes of an object are read by copy_from_kernel_nofault(), it may be free by
 * then.
 */
#include <linux/debugfs.h>
#include <linux/jiffies.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <kmm/dev.h>
#include <kmm/kmemleak.h>
#include <kmm/stack_depot.h>

/* Bytes of an object that are shown, and in a line; the kernel's. */
#define LEAK_HEX_BYTES	32
#define LEAK_HEX_ROW	16

static void *leaks_find(struct seq_file *m, loff_t pos)
{
	return kmm_leak_next_locked(kmm_dev_env.leak, pos, m->private) ? m->private : NULL;
}

/* *pos is a serial number, the lowest that is wanted. */
static void *leaks_start(struct seq_file *m, loff_t *pos)
{
	int err = mutex_lock_interruptible(&kmm_dev_env.leak->mutex);

	return err ? ERR_PTR(err) : leaks_find(m, *pos);
}

static void *leaks_next(struct seq_file *m, void *v, loff_t *pos)
{
	const struct kmm_leak_info *info = v;

	*pos = info->serial + 1;
	return leaks_find(m, *pos);
}

static void leaks_stop(struct seq_file *m, void *v)
{
	if (!IS_ERR(v))
		mutex_unlock(&kmm_dev_env.leak->mutex);
}

static int leaks_show(struct seq_file *m, void *v)
{
	const struct kmm_leak_info *info = v;
	unsigned int age_ms = jiffies_to_msecs(jiffies - info->jiffies);
	size_t len = min_t(size_t, info->size, LEAK_HEX_BYTES);
	u8 bytes[LEAK_HEX_BYTES];
	const unsigned long *entries;
	unsigned int nr, i;

	seq_printf(m, "unreferenced object 0x%08lx (size %lu):\n", info->start, info->size);
	seq_printf(m, "  comm \"%s\", pid %d, jiffies %lu (age %u.%03us)\n", info->comm, info->pid,
		   info->jiffies, age_ms / 1000, age_ms % 1000);
	if (!copy_from_kernel_nofault(bytes, (void *)info->start, len)) {
		seq_printf(m, "  hex dump (first %zu bytes):\n", len);
		seq_hex_dump(m, "    ", DUMP_PREFIX_NONE, LEAK_HEX_ROW, 1, bytes, len, true);
	}
	seq_puts(m, "  backtrace:\n");
	nr = kmm_depot_fetch(&kmm_stacks, info->stack, &entries);
	for (i = 0; i < nr; i++)
		seq_printf(m, "    [<%p>] %pS\n", (void *)entries[i], (void *)entries[i]);
	return 0;
}

static const struct seq_operations leaks_sops = {
	.start = leaks_start,
	.next = leaks_next,
	.stop = leaks_stop,
	.show = leaks_show,
};

static int leaks_open(struct inode *inode, struct file *file)
{
	return seq_open_private(file, &leaks_sops, sizeof(struct kmm_leak_info));
}

/* scan=VALUE: on, off or seconds. */
static int leaks_command_period(struct kmm_leak *l, const char *value)
{
	unsigned int secs;
	int err;

	if (!strcmp(value, "on"))
		return kmm_leak_set_period(l, KMM_LEAK_SCAN_SECS);
	if (!strcmp(value, "off"))
		return kmm_leak_set_period(l, 0);
	err = kstrtouint(value, 0, &secs);
	return err ?: kmm_leak_set_period(l, secs);
}

static int leaks_command(struct kmm_leak *l, const char *text)
{
	unsigned long addr;

	if (!strcmp(text, "on"))
		return kmm_leak_on(l);
	if (!strcmp(text, "off")) {
		kmm_leak_off(l, "by the user");
		return 0;
	}
	if (!strcmp(text, "clear")) {
		kmm_leak_clear(l);
		return 0;
	}
	if (!READ_ONCE(l->enabled))
		return -EPERM;
	if (!strcmp(text, "scan"))
		return kmm_leak_scan(l);
	if (!strcmp(text, "stack=on") || !strcmp(text, "stack=off")) {
		kmm_leak_set_stack_scan(l, !strcmp(text, "stack=on"));
		return 0;
	}
	if (!strncmp(text, "scan=", 5))
		return leaks_command_period(l, text + 5);
	if (!strncmp(text, "dump=", 5))
		return kstrtoul(text + 5, 0, &addr) ? -EINVAL : kmm_leak_dump(l, addr);
	return -EINVAL;
}

static ssize_t leaks_write(struct file *file, const char __user *ubuf, size_t size, loff_t *pos)
{
	char text[64];
	ssize_t n = strncpy_from_user(text, ubuf, min(size, sizeof(text) - 1));
	int err;

	if (n < 0)
		return n;
	text[n] = 0;
	err = leaks_command(kmm_dev_env.leak, strim(text));
	return err ?: size;
}

static const struct file_operations leaks_fops = {
	.owner = THIS_MODULE,
	.open = leaks_open,
	.read = seq_read,
	.write = leaks_write,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

static int kmemleak_stat_show(struct seq_file *m, void *unused)
{
	struct kmm_leak_stat st;

	kmm_leak_get_stat(kmm_dev_env.leak, &st);
	seq_printf(m, "state %s\n", st.enabled ? "on" : "off");
	if (!st.enabled && st.why_off)
		seq_printf(m, "why_off %s\n", st.why_off);
	seq_printf(m, "objects %lu\n", st.nr_objects);
	seq_printf(m, "objects_gray %lu\n", st.nr_gray);
	seq_printf(m, "objects_pool %lu\n", st.nr_pool);
	seq_printf(m, "objects_max %lu\n", st.max_objects);
	seq_printf(m, "host_bytes %zu\n", st.host_bytes);
	seq_printf(m, "min_age_ms %u\n", st.min_age_ms);
	seq_printf(m, "scan_secs %u\n", st.scan_secs);
	seq_printf(m, "stack_scan %s\n", st.stack_scan ? "on" : "off");
	seq_printf(m, "scans %lu\n", st.nr_scans);
	seq_printf(m, "leaks %lu\n", st.nr_leaks);
	seq_printf(m, "last_scan_bytes %llu\n", st.last_bytes);
	seq_printf(m, "last_scan_us %llu\n", div_u64(st.last_ns, NSEC_PER_USEC));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(kmemleak_stat);

/**
 * kmm_debugfs_kmemleak_init() - Make the files.
 * @dir: folder of kmm
 *
 * Context: task, may sleep. kmm_dev_env is set.
 */
void kmm_debugfs_kmemleak_init(struct dentry *dir)
{
	debugfs_create_file("kmemleak", 0600, dir, NULL, &leaks_fops);
	debugfs_create_file("kmemleak_stat", 0400, dir, NULL, &kmemleak_stat_fops);
}
