// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: debugfs reclaim
 *
 * Page replacement in /sys/kernel/debug/kmm/reclaim/.
 *
 *	policies	the policies that there are, the one that decides marked
 *	policy		its name; write another one to change it
 *	stat		a line for each set of pages that compete: the global one, and one for
 *			each object that has a limit of its own
 *
 * The counters of eviction and swap are rows of vmstat, with Linux's names.
 *
 * All files are for root alone; a write of policy wants CAP_SYS_ADMIN as the ioctl does.
 *
 * Locks: vecs_lock for reading while the lines of stat are gathered.
 *
 * What this deliberately does not do: count again what vmstat has. Faults and references are those
 * of exact mode, where every use is told; elsewhere nobody sees every use, and 0 stands there.
 */
#include <linux/capability.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <kmm/dev.h>
#include <kmm/lru.h>
#include <kmm/object.h>
#include <kmm/policy.h>

static struct kmm_lru *reclaim_lru(void)
{
	return kmm_dev_env.objects->lru;
}

static int policies_show(struct seq_file *m, void *unused)
{
	const struct kmm_policy_ops *now = READ_ONCE(reclaim_lru()->global.policy.ops);
	unsigned int i;

	for (i = 0; i < kmm_nr_policies; i++)
		seq_printf(m, "%c %-10s %s\n", kmm_policies[i] == now ? '*' : ' ',
			   kmm_policies[i]->name, kmm_policies[i]->what);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(policies);

static int policy_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "%s\n", READ_ONCE(reclaim_lru()->global.policy.ops)->name);
	return 0;
}

static ssize_t policy_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	const struct kmm_policy_ops *ops;
	u8 name[KMM_NAME_LEN] = { };
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (len > sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, buf, len))
		return -EFAULT;
	if (len && name[len - 1] == '\n')
		name[len - 1] = 0;
	ops = kmm_call_policy(name);
	err = IS_ERR(ops) ? PTR_ERR(ops) : kmm_lruvec_set_policy(&reclaim_lru()->global, ops);
	return err ?: len;
}

static int policy_open(struct inode *inode, struct file *file)
{
	return single_open(file, policy_show, inode->i_private);
}

static const struct file_operations policy_fops = {
	.owner = THIS_MODULE,
	.open = policy_open,
	.read = seq_read,
	.write = policy_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static int stat_show(struct seq_file *m, void *unused)
{
	struct kmm_lru *lru = reclaim_lru();
	struct kmm_lruvec *v;

	seq_printf(m, "%-10s %10s %10s %5s %10s %12s %12s\n", "policy", "pages", "limit", "exact",
		   "evicted", "references", "faults");
	down_read(&lru->vecs_lock);
	list_for_each_entry(v, &lru->vecs, node) {
		spin_lock(&v->lock);
		seq_printf(m, "%-10s %10u %10u %5u %10u %12llu %12llu\n", v->policy.ops->name,
			   v->policy.nr, v->limit_pages, v->exact, v->policy.evictions,
			   v->references, v->faults);
		spin_unlock(&v->lock);
	}
	up_read(&lru->vecs_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stat);

/**
 * kmm_debugfs_reclaim_vmstat() - The rows of vmstat on eviction and swap.
 * @m: vmstat
 *
 * Context: task.
 */
void kmm_debugfs_reclaim_vmstat(struct seq_file *m)
{
	unsigned int i;

	for (i = 0; i < KMM_NR_LRU_EVENTS; i++)
		seq_printf(m, "%s %llu\n", kmm_lru_event_names[i],
			   (u64)atomic64_read(&reclaim_lru()->event[i]));
}

/**
 * kmm_debugfs_reclaim_init() - Make the files.
 * @dir: kmm's folder
 *
 * Context: task, may sleep.
 */
void kmm_debugfs_reclaim_init(struct dentry *dir)
{
	struct dentry *reclaim = debugfs_create_dir("reclaim", dir);

	debugfs_create_file("policies", 0400, reclaim, NULL, &policies_fops);
	debugfs_create_file("policy", 0600, reclaim, NULL, &policy_fops);
	debugfs_create_file("stat", 0400, reclaim, NULL, &stat_fops);
}
