// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: debugfs of the kernel window
 *
 *	vmallocinfo	areas by address, in the format of /proc/vmallocinfo
 *
 * A line is
 *
 *	START-END SIZE CALLER pages=N KIND RIGHTS [huge=N]
 *
 * where END is behind the guard page and SIZE counts it, as in the kernel's file; KIND is vmalloc,
 * vmap, vm_map_ram (a block, from which runs of pages are given out), or "unpurged vm_area" for
 * what was freed and waits for a flush. RIGHTS and huge=, pages in 2 MiB leaves, stand behind what
 * the kernel prints, so that its readers still find their columns. Addresses are real ones: the
 * file is root's.
 *
 * The rows of vmstat on vmalloc are made here, too: events of vmap.c, and the ledger of flushes.
 *
 * Locks: none is held while a line is printed; kmm_vmap_for_each() hands out copies. So areas that
 * come and go meanwhile may be missing or be seen, each line is true for a moment.
 */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include <kmm/dev.h>
#include <kmm/vmap.h>
#include <uapi/kmm.h>

static int vmallocinfo_line(void *ctx, const struct kmm_vmap_info *info)
{
	static const char * const kinds[] = {
		[KMM_VMAP_VMALLOC] = "vmalloc",
		[KMM_VMAP_VMAP] = "vmap",
		[KMM_VMAP_RAM] = "vm_map_ram",
		[KMM_VMAP_LAZY] = "unpurged vm_area",
	};
	struct seq_file *m = ctx;

	if (info->kind >= ARRAY_SIZE(kinds) || !kinds[info->kind])
		return 0;
	seq_printf(m, "0x%016lx-0x%016lx %7lu", info->start, info->end, info->end - info->start);
	if (info->caller)
		seq_printf(m, " %pS", info->caller);
	seq_printf(m, " pages=%lu %s r%c%c", info->nr_pages, kinds[info->kind],
		   info->prot & KMM_PROT_WRITE ? 'w' : '-', info->prot & KMM_PROT_EXEC ? 'x' : '-');
	if (info->nr_huge)
		seq_printf(m, " huge=%lu", info->nr_huge);
	seq_putc(m, '\n');
	return 0;
}

static int vmallocinfo_show(struct seq_file *m, void *unused)
{
	return kmm_vmap_for_each(kmm_dev_env.vmap, vmallocinfo_line, m);
}
DEFINE_SHOW_ATTRIBUTE(vmallocinfo);

/**
 * kmm_debugfs_vmap_vmstat() - The rows of vmstat on flushes and on vmalloc.
 * @m: vmstat
 *
 * Context: task.
 */
void kmm_debugfs_vmap_vmstat(struct seq_file *m)
{
	const struct kmm_tlb_stat *tlb = &kmm_dev_env.tables->tlb;
	u64 event[KMM_NR_VMAP_EVENTS];
	unsigned int i;

	seq_printf(m, "tlb_kernel_flush %lld\n", atomic64_read(&tlb->kernel_flushes));
	seq_printf(m, "tlb_kernel_flush_pages %lld\n", atomic64_read(&tlb->kernel_pages));
	seq_printf(m, "tlb_space_flush %lld\n", atomic64_read(&tlb->space_flushes));
	seq_printf(m, "tlb_space_flush_pages %lld\n", atomic64_read(&tlb->space_pages));
	seq_printf(m, "tlb_ipi %lld\n", atomic64_read(&tlb->ipis));
	for (i = 0; i < KMM_PT_LEVELS; i++)
		seq_printf(m, "nr_tables_level%u %ld\n", i + 1,
			   atomic_long_read(&kmm_dev_env.tables->nr[i]));
	seq_printf(m, "nr_tables_zeroed %lu\n", READ_ONCE(kmm_dev_env.tables->nr_zeroed));
	if (!kmm_dev_env.vmap)
		return;
	kmm_vmap_events(kmm_dev_env.vmap, event);
	for (i = 0; i < KMM_NR_VMAP_EVENTS; i++)
		seq_printf(m, "%s %llu\n", kmm_vmap_event_names[i], event[i]);
}

/**
 * kmm_debugfs_vmap_init() - Make the file; none without a window.
 * @dir: folder of kmm
 *
 * Context: task, may sleep. kmm_dev_env is set.
 */
void kmm_debugfs_vmap_init(struct dentry *dir)
{
	if (kmm_dev_env.vmap)
		debugfs_create_file("vmallocinfo", 0400, dir, NULL, &vmallocinfo_fops);
}
