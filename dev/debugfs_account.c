// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: debugfs accounts
 *
 * Who has how much of what is counted, in /sys/kernel/debug/kmm/accounts: a line for each user
 * and one for each open file of /dev/kmm (vm/account.c says what an account is).
 *
 *	id		number of the account; caches that a program makes are named user-ID-SLOT
 *	kind		user, or file
 *	parent		of a file: the account of its user; of a user: 0
 *	uid		the user
 *	pid, comm	who opened the file, and its name then; of a user: 0 and -
 *	frames		frames of the region, those in quarantine included
 *	frames_max	how many it may have; -: no limit binds it
 *	objects		memory objects
 *	names		names
 *	host_bytes	host memory for kmm's own structs
 *	window		pages of the kernel window
 *
 * A file that is closed keeps its line as long as something that was made through it lives: an
 * object somewhere in a mapping, a frame in quarantine. So the sum over the files of a user is
 * what the user's line has, but for what changes while the lines are read: each figure is right
 * by itself.
 *
 * The file is root's: it tells who runs what.
 *
 * Locks: RCU while one buffer is filled; an account is freed after a grace period.
 *
 * What this deliberately does not do: pids in the reader's pid namespace. They are what objects,
 * pipes and queues show, so that lines can be put beside each other.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>

#include <kmm/account.h>
#include <kmm/dev.h>

/* The position is the number of the account; 0, which no account has, is the line of names. */
static void *accounts_find(unsigned long id, loff_t *pos)
{
	struct kmm_account *a = xa_find(&kmm_dev_env.accounts->ids, &id, U32_MAX, XA_PRESENT);

	*pos = a ? id : (loff_t)U32_MAX + 1;
	return a;
}

static void *accounts_start(struct seq_file *m, loff_t *pos)
	__acquires(RCU)
{
	rcu_read_lock();
	if (!*pos)
		return SEQ_START_TOKEN;
	return *pos > U32_MAX ? NULL : accounts_find(*pos, pos);
}

static void *accounts_next(struct seq_file *m, void *v, loff_t *pos)
{
	return accounts_find(*pos + 1, pos);
}

static void accounts_stop(struct seq_file *m, void *v)
	__releases(RCU)
{
	rcu_read_unlock();
}

static int accounts_show(struct seq_file *m, void *v)
{
	const struct kmm_account *a = v;
	char max[24] = "-";

	if (v == SEQ_START_TOKEN) {
		seq_printf(m, "%8s %-4s %8s %8s %8s %10s %10s %8s %8s %12s %10s %s\n", "id", "kind",
			   "parent", "uid", "pid", "frames", "frames_max", "objects", "names",
			   "host_bytes", "window", "comm");
		return 0;
	}
	if (!a->unlimited && a->limit[KMM_RES_FRAMES] != KMM_NO_LIMIT)
		snprintf(max, sizeof(max), "%llu", a->limit[KMM_RES_FRAMES]);
	seq_printf(m, "%8u %-4s %8u %8u %8d %10llu %10s %8llu %8llu %12llu %10llu ", a->id,
		   a->parent ? "file" : "user", a->parent ? a->parent->id : 0,
		   from_kuid_munged(seq_user_ns(m), a->uid), a->pid,
		   kmm_account_used(a, KMM_RES_FRAMES), max, kmm_account_used(a, KMM_RES_OBJECTS),
		   kmm_account_used(a, KMM_RES_NAMES), kmm_account_used(a, KMM_RES_HOST_BYTES),
		   kmm_account_used(a, KMM_RES_WINDOW));
	kmm_seq_word(m, a->comm);
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations accounts_sops = {
	.start = accounts_start,
	.next = accounts_next,
	.stop = accounts_stop,
	.show = accounts_show,
};
DEFINE_SEQ_ATTRIBUTE(accounts);

/**
 * kmm_debugfs_account_init() - Make the file.
 * @dir: folder of kmm
 *
 * Context: task, may sleep. kmm_dev_env is set.
 */
void kmm_debugfs_account_init(struct dentry *dir)
{
	debugfs_create_file("accounts", 0400, dir, NULL, &accounts_fops);
}
