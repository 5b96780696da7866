// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: debugfs: what the detectors of hardening found
 *
 *	page_table_check	who maps the frames of spaces, as counted, and how often a rule was
 *				broken; what it means is in debug/page_table_check.c. Only there
 *				when the module was loaded with page_table_check=1
 *	vmstat			rows: guard frames, frames that were written to while free, entries
 *				that a free took out of the window, broken rules
 *
 * What is on is in /sys/module/kmm/parameters/, and as it was at load in mm_init.
 *
 * Sums of page_table_check are read frame by frame, without a lock: of a moment each.
 *
 * Locks: none.
 *
 * It deliberately does not: reset anything.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include <kmm/buddy.h>
#include <kmm/debug_pagealloc.h>
#include <kmm/dev.h>
#include <kmm/hardening.h>
#include <kmm/page_table_check.h>

static int page_table_check_show(struct seq_file *m, void *unused)
{
	struct kmm_page_table_check_stat st;

	if (!kmm_page_table_check_stat(kmm_dev_env.region, &st))
		return -ENODATA;
	seq_printf(m, "anon_frames %lu\n", st.anon_frames);
	seq_printf(m, "anon_mappings %lu\n", st.anon_maps);
	seq_printf(m, "anon_writable %lu\n", st.anon_writable);
	seq_printf(m, "file_frames %lu\n", st.file_frames);
	seq_printf(m, "file_mappings %lu\n", st.file_maps);
	seq_printf(m, "violations %lu\n", st.violations);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(page_table_check);

/**
 * kmm_debugfs_hardening_vmstat() - The rows of vmstat on what the detectors found.
 * @m: vmstat
 * @st: of the buddy
 *
 * Context: task.
 */
void kmm_debugfs_hardening_vmstat(struct seq_file *m, const struct kmm_buddy_stat *st)
{
	seq_printf(m, "nr_guard_pages %lu\n", st->guard);
	seq_printf(m, "pagealloc_corrupt %lu\n", kmm_page_poison_corrupt());
	seq_printf(m, "pagealloc_unmapped %lu\n", kmm_debug_pagealloc_taken());
	seq_printf(m, "page_table_check_violation %lu\n", kmm_page_table_check_violations());
}

/**
 * kmm_debugfs_hardening_init() - Make the file; none when nothing is counted.
 * @dir: folder of kmm
 *
 * Context: task, may sleep. kmm_dev_env is set.
 */
void kmm_debugfs_hardening_init(struct dentry *dir)
{
	if (kmm_page_table_check_on(kmm_dev_env.region))
		debugfs_create_file("page_table_check", 0444, dir, NULL, &page_table_check_fops);
}
