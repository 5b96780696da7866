// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The bug gym
 *
 * A report is easier to read for whoever has seen one whose cause is known. So each classic
 * bug of memory management can be planted here on purpose, one at a time, in objects that are made
 * for it and thrown away after it, and its detector be watched:
 *
 *	debugfs kmm/lab		every bug: what it does, who catches it, how to read that
 *	KMM_IOC_LAB_BUG		plant one; tells how many reports its detector has counted
 *	kmm lab			both, with the report out of the kernel log
 *
 * The bugs are in lab_bugs.c, a line of the table each. To plant one takes lab=1 at load
 * and CAP_SYS_ADMIN. A bug whose detector this kernel lacks (lockdep, say) is not planted: the
 * list says what is missing, the call is -EOPNOTSUPP. A detector that can be turned on at run
 * time is on for the time of the bug only.
 *
 * What is damaged belongs to the bug alone, and is repaired before it is given back: afterwards the
 * region has what it had before, and nothing has to be restarted; except where the list says
 * "once": lockdep turns itself off after its first report.
 *
 * Locks: lab_mutex, so that reports do not mix and a counter's change is the planted bug's. It is
 * outermost. What this deliberately does not do: undirected damage. A write through a wild pointer
 * teaches nothing but patience.
 */

#define pr_fmt(fmt) "kmm: " fmt

#include <linux/debugfs.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include <kmm/dev.h>

#include "lab.h"

/* One bug at a time. */
static DEFINE_MUTEX(lab_mutex);

/**
 * kmm_call_lab_bug() - KMM_IOC_LAB_BUG.
 * @call: the call
 *
 * Context: task, may sleep. Return: 0 or a negative errno of the uapi header.
 */
int kmm_call_lab_bug(struct kmm_call *call)
{
	struct kmm_session *s = call->file->private_data;
	struct kmm_lab_bug *arg = &call->arg.lab_bug;
	const struct lab_bug *bug = lab_bugs;
	int nr;

	if (!kmm_dev_env.lab)
		return -EOPNOTSUPP;
	if (arg->flags || strnlen(arg->name, sizeof(arg->name)) == sizeof(arg->name))
		return -EINVAL;
	while (bug->name && strcmp(bug->name, arg->name))
		bug++;
	if (!bug->name)
		return -ENOENT;
	if (mutex_lock_killable(&lab_mutex))
		return -EINTR;
	if (bug->missing && bug->missing()) {
		nr = -EOPNOTSUPP;
	} else {
		pr_info("lab: planting %s\n", bug->name);
		nr = bug->plant(s->account);
	}
	mutex_unlock(&lab_mutex);
	if (nr < 0)
		return nr;
	arg->reports = nr;
	return 0;
}

static void lab_field(struct seq_file *m, const char *key, const char *value)
{
	seq_printf(m, "\t%s: %s\n", key, value);
}

static int lab_show(struct seq_file *m, void *unused)
{
	const struct lab_bug *bug;

	for (bug = lab_bugs; bug->name; bug++) {
		const char *missing = bug->missing ? bug->missing() : NULL;

		seq_printf(m, "%s\n", bug->name);
		lab_field(m, "what", bug->what);
		lab_field(m, "detector", bug->detector);
		lab_field(m, "report", bug->report);
		seq_printf(m, "\tready: %s%s%s\n", missing ? "no, " : "yes", missing ?: "",
			   bug->once ? ", once" : "");
		lab_field(m, "read", bug->read);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(lab);

/**
 * kmm_debugfs_lab_init() - Make kmm/lab.
 * @dir: kmm's folder
 *
 * Context: task, may sleep.
 */
void kmm_debugfs_lab_init(struct dentry *dir)
{
	debugfs_create_file("lab", 0444, dir, NULL, &lab_fops);
}
