// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: debugfs of the guarded pool
 *
 *	kfence/stats	counters, one a line, in the layout of the kernel's kfence/stats
 *	kfence/objects	each object of the pool: where, size, cache, the stacks of its allocation
 *			and its free, in the layout of the kernel's kfence/objects
 *
 * The files are there also while sampling is off, because it can be switched on at any time; before
 * the first time there is no pool and objects is empty.
 *
 * Locks: an object's lock, for as long as it is printed into the file's buffer.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include <kmm/dev.h>
#include <kmm/kfence.h>

static int stats_show(struct seq_file *m, void *unused)
{
	struct kmm_kfence *kf = kmm_dev_env.kfence;
	unsigned int i;

	seq_printf(m, "enabled: %i\n", !!READ_ONCE(kf->interval));
	for (i = 0; i < KMM_KFENCE_NR_COUNTERS; i++)
		seq_printf(m, "%s: %ld\n", kmm_kfence_counter_names[i],
			   atomic_long_read(&kf->counters[i]));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static void *objects_start(struct seq_file *m, loff_t *pos)
{
	struct kmm_kfence *kf = kmm_dev_env.kfence;
	/* Pairs with kfence_make_pool() */
	struct kmm_kfence_object *objects = smp_load_acquire(&kf->objects);

	return objects && *pos < kf->nr_objects ? &objects[*pos] : NULL;
}

static void *objects_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return objects_start(m, pos);
}

static void objects_stop(struct seq_file *m, void *v)
{
}

static int objects_show(struct seq_file *m, void *v)
{
	struct kmm_kfence_object *obj = v;
	unsigned long flags;

	raw_spin_lock_irqsave(&obj->lock, flags);
	kmm_kfence_print_object(m, kmm_dev_env.kfence, obj);
	raw_spin_unlock_irqrestore(&obj->lock, flags);
	seq_puts(m, "---------------------------------\n");
	return 0;
}

static const struct seq_operations objects_sops = {
	.start = objects_start,
	.next = objects_next,
	.stop = objects_stop,
	.show = objects_show,
};
DEFINE_SEQ_ATTRIBUTE(objects);

/**
 * kmm_debugfs_kfence_init() - Make the folder; none without addresses for a pool.
 * @dir: folder of kmm
 *
 * Context: task, may sleep. kmm_dev_env is set.
 */
void kmm_debugfs_kfence_init(struct dentry *dir)
{
	struct dentry *d;

	if (!kmm_dev_env.kfence->base)
		return;
	d = debugfs_create_dir("kfence", dir);
	debugfs_create_file("stats", 0444, d, NULL, &stats_fops);
	debugfs_create_file("objects", 0400, d, NULL, &objects_fops);
}
