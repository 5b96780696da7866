// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: debugfs of page_owner and the stack depot
 *
 *	page_owner	for each block in use who took it, in the kernel's format: its
 *			tools/vm/page_owner_sort reads it. For root alone, as the kernel's. -EINVAL
 *			while page_owner is off, as there
 *	stack_depot	how many stacks were saved, how many different ones there are, and what
 *			they take
 *
 * Blocks come by the index of their first frame, which is the position in the file, so that a
 * reader who comes back goes on where it was, whatever happened meanwhile.
 *
 * Locks: none; see debug/page_owner.c on what a reader can see.
 *
 * It deliberately does not sort or count: kmm owner and page_owner_sort do.
 */
#include <linux/debugfs.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include <kmm/dev.h>
#include <kmm/page_owner.h>
#include <kmm/region.h>
#include <kmm/stack_depot.h>

/* === page_owner === */

/* The first block from index *@pos on of which something is known. */
static void *owner_find(loff_t *pos)
{
	const struct kmm_region *r = kmm_dev_env.region;
	struct kmm_page_owner po;

	for (; *pos < r->nr_index; ++*pos) {
		if (kmm_page_owner_get(r, *pos, &po))
			return pos;
		if (!(*pos % KMM_GRANULE_FRAMES))
			cond_resched();
	}
	return NULL;
}

static void *page_owner_start(struct seq_file *m, loff_t *pos)
{
	if (!kmm_page_ext_is_on(&kmm_dev_env.region->ext, KMM_PAGE_EXT_OWNER))
		return ERR_PTR(-EINVAL);
	return owner_find(pos);
}

static void *page_owner_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return owner_find(pos);
}

static void page_owner_stop(struct seq_file *m, void *v)
{
}

static int page_owner_show(struct seq_file *m, void *v)
{
	const struct kmm_region *r = kmm_dev_env.region;
	struct kmm_page_owner po;
	u32 index = *(loff_t *)v;
	size_t size;
	char *buf;
	int n;

	/* It may be free by now: it was in use when it was found. */
	if (!kmm_page_owner_get(r, index, &po))
		return SEQ_SKIP;
	size = seq_get_buf(m, &buf);
	n = size ? kmm_page_owner_snprint(r, index, &po, buf, size) : 0;
	/* Full to the last byte: perhaps cut off; -1 asks for a larger buffer. */
	seq_commit(m, n + 1 < size ? n : -1);
	return 0;
}

static const struct seq_operations page_owner_sops = {
	.start = page_owner_start,
	.next = page_owner_next,
	.stop = page_owner_stop,
	.show = page_owner_show,
};
DEFINE_SEQ_ATTRIBUTE(page_owner);

/* === stack_depot === */

static int stack_depot_show(struct seq_file *m, void *unused)
{
	struct kmm_depot_stat st;
	u64 ratio;

	kmm_depot_stat(&kmm_stacks, &st);
	ratio = st.nr_stacks ? div_u64(st.nr_saved * 100, st.nr_stacks) : 0;
	seq_printf(m, "saved:      %llu\n", st.nr_saved);
	seq_printf(m, "remembered: %llu\n", st.nr_remembered);
	seq_printf(m, "unique:     %u\n", st.nr_stacks);
	seq_printf(m, "dropped:    %llu\n", st.nr_dropped);
	seq_printf(m, "dedup:      %llu.%02llu\n", ratio / 100, ratio % 100);
	seq_printf(m, "records:    %zu bytes\n", st.used_bytes);
	seq_printf(m, "memory:     %zu bytes, pools at most %zu\n", st.bytes, st.max_bytes);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stack_depot);

/**
 * kmm_debugfs_owner_init() - Make page_owner and stack_depot.
 * @dir: debugfs kmm/
 *
 * Context: task, may sleep. kmm_dev_env is set.
 */
void kmm_debugfs_owner_init(struct dentry *dir)
{
	debugfs_create_file("page_owner", 0400, dir, NULL, &page_owner_fops);
	debugfs_create_file("stack_depot", 0444, dir, NULL, &stack_depot_fops);
}
