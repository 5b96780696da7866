// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: debugfs
 *
 * What kmm knows about itself, as text in /sys/kernel/debug/kmm/. Where the kernel has a file
 * of the same purpose the columns are the kernel's (/proc/buddyinfo, /proc/pagetypeinfo,
 * /proc/meminfo, /proc/vmstat), so that habits and scripts carry over; the zone is called
 * kmm.
 *
 *	region		where the memory is from, its pieces, and what was tried before
 *	mm_init		the steps of loading: time, memory, result
 *	buddyinfo	free blocks by order, per-CPU caches not included
 *	pagetypeinfo	the same by mobility type, and pageblocks by type
 *	pcp		a line for each CPU: frames in its cache, frames that went out and came back
 *	accounts	who has how much; see debugfs_account.c
 *	meminfo		where the frames are, in kB; the sum is exact
 *	vmstat		counters since load
 *	objects		memory objects, one a line
 *	names		names of objects and queues, owner and mode; bytes that are no text as \ooo
 *	pipes		pipes, one a line; in pipe.c
 *	swaps		swap areas, the columns of /proc/swaps first; see swap.c
 *	frag_map	a character for each 2 MiB: how much of it is free
 *	msgq		message queues, one a line; see msgq.c
 *	vmallocinfo	see debugfs_vmap.c
 *	page_table_check	see debugfs_hardening.c
 *	slabinfo, slab/, slab_explain, slab_shrink	see debugfs_slab.c
 *	page_owner, stack_depot	see debugfs_owner.c
 *	spaces/		see debugfs_space.c
 *	fail/		see debug/inject.c
 *	debug_objects	see debug/debug_objects.c
 *	lab		see lab.c
 *	reclaim/	see debugfs_reclaim.c
 *	kmemleak, kmemleak_stat	see debugfs_kmemleak.c
 *
 * meminfo, buddyinfo and vmstat stop all per-CPU caches for the reading (kmm_buddy_stat()
 * with exact), so that free + cached + quarantined + used + guard + metadata is the region to the
 * frame. frag_map reads the frames' tags without any lock and is approximate; it says so.
 *
 * Failing to make these files is no error: people run kernels without debugfs.
 *
 * Files that tell physical addresses (region, frag_map) are for root alone.
 *
 * Locks: objects and names hold the lock of their list while they fill one buffer, never across
 * a copy to user space. debugfs_remove() waits for readers, so no reader sees a module that is
 * going.
 */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/string_helpers.h>

#include <kmm/account.h>
#include <kmm/buddy.h>
#include <kmm/debug_objects.h>
#include <kmm/dev.h>
#include <kmm/inject.h>
#include <kmm/names.h>
#include <kmm/object.h>
#include <kmm/region.h>
#include <kmm/space.h>
#include <kmm/vmap.h>

/* === Data === */

static struct dentry *debugfs_dir;

static const char * const debugfs_type_names[KMM_NR_MIGRATETYPES] = {
	[KMM_UNMOVABLE] = "Unmovable",
	[KMM_MOVABLE] = "Movable",
	[KMM_RECLAIMABLE] = "Reclaimable",
};

/* Characters of one line of frag_map: 128 MiB. */
#define FRAG_MAP_COLUMNS	64

/* === Cells === */

/**
 * kmm_seq_word() - A name as the cell of a table.
 * @m: where to
 * @text: name that a user has chosen: may be empty, or NULL
 *
 * It is one word, whatever it was: blanks and what escapes them as \ooo, and "-" for nothing, so
 * that a row has as many columns as the heading.
 *
 * Context: any.
 */
void kmm_seq_word(struct seq_file *m, const char *text)
{
	seq_escape(m, text && *text ? text : "-", " \t\n\\");
}

/* === Region and steps === */

static int region_show(struct seq_file *m, void *unused)
{
	const struct kmm_region *r = kmm_dev_env.region;
	unsigned int i;

	seq_printf(m, "provider: %s%s\n", r->ops->name, r->fallback ? " (fallback)" : "");
	seq_printf(m, "size:     %lu kB\n", r->nr_frames << (PAGE_SHIFT - 10));
	seq_printf(m, "metadata: %lu kB\n", r->early_frames << (PAGE_SHIFT - 10));
	seq_printf(m, "window:   %lu kB\n",
		   r->window ? r->window_pages << (PAGE_SHIFT - 10) : 0);
	seq_printf(m, "extents:  %u\n", r->nr_extents);
	for (i = 0; i < r->nr_extents; i++)
		seq_printf(m, "  [%u] pfn %#lx-%#lx  %lu kB\n", i, r->extents[i].start_pfn,
			   r->extents[i].start_pfn + r->extents[i].nr_pages - 1,
			   r->extents[i].nr_pages << (PAGE_SHIFT - 10));
	if (r->why[0])
		seq_printf(m, "tried before:\n%s", r->why);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(region);

static int mm_init_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	seq_printf(m, "%-28s %10s %10s  %s\n", "step", "us", "bytes", "result");
	for (i = 0; i < kmm_dev_env.nr_steps; i++) {
		const struct kmm_mm_init_step *s = &kmm_dev_env.steps[i];

		seq_printf(m, "%-28s %6llu.%03llu %10llu  %s\n", s->name, s->ns / 1000,
			   s->ns % 1000, s->bytes, s->result);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mm_init);

/* === Free blocks === */

static int buddyinfo_show(struct seq_file *m, void *unused)
{
	unsigned int order, type;
	struct kmm_buddy_stat st;

	kmm_buddy_stat(kmm_dev_env.buddy, &st, true);
	seq_printf(m, "Node %d, zone %8s ", 0, "kmm");
	for (order = 0; order < KMM_NR_ORDERS; order++) {
		unsigned long nr = 0;

		for (type = 0; type < KMM_NR_MIGRATETYPES; type++)
			nr += st.nr_free_blocks[order][type];
		seq_printf(m, "%6lu ", nr);
	}
	seq_putc(m, '\n');
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(buddyinfo);

static void debugfs_count_pageblocks(unsigned long *count)
{
	const struct kmm_region *r = kmm_dev_env.region;
	unsigned long index;

	for (index = 0; index < r->nr_index; index += KMM_PAGEBLOCK_FRAMES) {
		u8 type = READ_ONCE(r->pageblock_mt[index >> KMM_PAGEBLOCK_ORDER]);

		/* The kernel, too, counts a block when its first page belongs to the zone. */
		if (kmm_frame_state(&r->frames[index]) == KMM_FRAME_ABSENT)
			continue;
		if (type < KMM_NR_MIGRATETYPES)
			count[type]++;
	}
}

static int pagetypeinfo_show(struct seq_file *m, void *unused)
{
	unsigned long count[KMM_NR_MIGRATETYPES] = { };
	unsigned int order, type;
	struct kmm_buddy_stat st;

	kmm_buddy_stat(kmm_dev_env.buddy, &st, true);
	seq_printf(m, "Page block order: %d\n", KMM_PAGEBLOCK_ORDER);
	seq_printf(m, "Pages per block:  %lu\n\n", KMM_PAGEBLOCK_FRAMES);
	seq_printf(m, "%-43s ", "Free pages count per migrate type at order");
	for (order = 0; order < KMM_NR_ORDERS; order++)
		seq_printf(m, "%6d ", order);
	seq_putc(m, '\n');
	for (type = 0; type < KMM_NR_MIGRATETYPES; type++) {
		seq_printf(m, "Node %4d, zone %8s, type %12s ", 0, "kmm",
			   debugfs_type_names[type]);
		for (order = 0; order < KMM_NR_ORDERS; order++)
			seq_printf(m, "%6u ", st.nr_free_blocks[order][type]);
		seq_putc(m, '\n');
	}

	debugfs_count_pageblocks(count);
	seq_printf(m, "\n%-23s", "Number of blocks type ");
	for (type = 0; type < KMM_NR_MIGRATETYPES; type++)
		seq_printf(m, "%12s ", debugfs_type_names[type]);
	seq_printf(m, "\nNode %d, zone %8s ", 0, "kmm");
	for (type = 0; type < KMM_NR_MIGRATETYPES; type++)
		seq_printf(m, "%12lu ", count[type]);
	seq_putc(m, '\n');
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(pagetypeinfo);

/* === Per-CPU caches === */

static int pcp_show(struct seq_file *m, void *unused)
{
	struct kmm_buddy_cpu_stat st;
	unsigned int cpu;

	seq_printf(m, "%5s %8s %8s %12s %12s %10s %10s %10s\n", "cpu", "cached", "high", "pgalloc",
		   "pgfree", "refill", "drain", "lock");
	for_each_possible_cpu(cpu) {
		kmm_buddy_cpu_stat(kmm_dev_env.buddy, cpu, &st);
		seq_printf(m, "%5u %8lu %8lu %12llu %12llu %10llu %10llu %10llu\n", cpu, st.cached,
			   st.high, st.pgalloc, st.pgfree, st.event[KMM_PCP_REFILL],
			   st.event[KMM_PCP_DRAIN], st.event[KMM_LOCK_SLOW]);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(pcp);

/* === Sums and counters === */

static void meminfo_row(struct seq_file *m, const char *name, unsigned long nr_pages)
{
	seq_printf(m, "%-15s %8lu kB\n", name, nr_pages << (PAGE_SHIFT - 10));
}

static int meminfo_show(struct seq_file *m, void *unused)
{
	struct kmm_buddy_stat st;
	unsigned long lazy;

	kmm_buddy_stat(kmm_dev_env.buddy, &st, true);
	/* They are given out as far as the buddy knows. */
	lazy = min(kmm_vmap_lazy_frames(kmm_dev_env.vmap), st.used);
	meminfo_row(m, "KmmTotal:", st.total);
	meminfo_row(m, "KmmFree:", st.free);
	meminfo_row(m, "KmmCached:", st.cached);
	meminfo_row(m, "KmmLazy:", lazy);
	meminfo_row(m, "KmmQuarantined:", st.quarantined);
	meminfo_row(m, "KmmUsed:", st.used - lazy);
	meminfo_row(m, "KmmGuard:", st.guard);
	meminfo_row(m, "KmmMetadata:", st.metadata);
	meminfo_row(m, "KmmSum:",
		    st.free + st.cached + st.quarantined + st.used + st.guard + st.metadata);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(meminfo);

static int vmstat_show(struct seq_file *m, void *unused)
{
	struct kmm_buddy_stat st;
	unsigned long lazy;
	unsigned int i;

	kmm_buddy_stat(kmm_dev_env.buddy, &st, true);
	lazy = min(kmm_vmap_lazy_frames(kmm_dev_env.vmap), st.used);
	seq_printf(m, "nr_free_pages %lu\n", st.free);
	seq_printf(m, "nr_cached_pages %lu\n", st.cached);
	seq_printf(m, "nr_quarantined_pages %lu\n", st.quarantined);
	seq_printf(m, "nr_lazy_pages %lu\n", lazy);
	seq_printf(m, "nr_used_pages %lu\n", st.used - lazy);
	seq_printf(m, "nr_metadata_pages %lu\n", st.metadata);
	seq_printf(m, "nr_objects %lu\n", READ_ONCE(kmm_dev_env.objects->nr));
	seq_printf(m, "nr_spaces %lu\n", READ_ONCE(kmm_dev_env.spaces->nr));
	seq_printf(m, "pgalloc %llu\n", st.pgalloc);
	seq_printf(m, "pgfree %llu\n", st.pgfree);
	kmm_mapping_vmstat(m);
	for (i = 0; i < KMM_NR_BUDDY_EVENTS; i++)
		seq_printf(m, "%s %llu\n", kmm_buddy_event_names[i], st.event[i]);
	kmm_debugfs_hardening_vmstat(m, &st);
	kmm_debugfs_vmap_vmstat(m);
	kmm_debugfs_reclaim_vmstat(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vmstat);

/* === Objects === */

static void *objects_start(struct seq_file *m, loff_t *pos)
{
	mutex_lock(&kmm_dev_env.objects->lock);
	return seq_list_start_head(&kmm_dev_env.objects->list, *pos);
}

static void *objects_next(struct seq_file *m, void *v, loff_t *pos)
{
	return seq_list_next(v, &kmm_dev_env.objects->list, pos);
}

static void objects_stop(struct seq_file *m, void *v)
{
	mutex_unlock(&kmm_dev_env.objects->lock);
}

static int objects_show(struct seq_file *m, void *v)
{
	struct kmm_object *o;

	if (v == &kmm_dev_env.objects->list) {
		seq_printf(m, "%8s %14s %12s %10s %10s %5s %5s %5s %8s %8s %s\n", "id", "size",
			   "resident_kB", "swapped_kB", "host_bytes", "flags", "seals", "pins",
			   "uid", "pid", "comm");
		return 0;
	}
	/* An object leaves the list before anything of it goes. */
	o = list_entry(v, struct kmm_object, node);
	seq_printf(m, "%8llu %14llu %12lu %10lu %10llu %#5x %#5x %5u %8u %8d ", o->id,
		   READ_ONCE(o->size_bytes), READ_ONCE(o->resident) << (PAGE_SHIFT - 10),
		   READ_ONCE(o->swapped) << (PAGE_SHIFT - 10),
		   READ_ONCE(o->host_bytes), o->flags, READ_ONCE(o->seals), READ_ONCE(o->nr_pins),
		   from_kuid_munged(seq_user_ns(m), o->uid), o->pid);
	kmm_seq_word(m, o->comm);
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations objects_sops = {
	.start = objects_start,
	.next = objects_next,
	.stop = objects_stop,
	.show = objects_show,
};
DEFINE_SEQ_ATTRIBUTE(objects);

/* === Names === */

static const char * const names_kinds[KMM_NR_NAME_KINDS] = {
	[KMM_NAME_SHM] = "shm",
	[KMM_NAME_MSGQ] = "msgq",
};

static void *names_start(struct seq_file *m, loff_t *pos)
{
	struct kmm_name *n = NULL;
	loff_t i = 0;

	mutex_lock(&kmm_dev_env.names->lock);
	if (!*pos)
		return SEQ_START_TOKEN;
	do {
		n = kmm_names_next_locked(kmm_dev_env.names, n);
	} while (n && ++i < *pos);
	return n;
}

static void *names_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return kmm_names_next_locked(kmm_dev_env.names, v == SEQ_START_TOKEN ? NULL : v);
}

static void names_stop(struct seq_file *m, void *v)
{
	mutex_unlock(&kmm_dev_env.names->lock);
}

static int names_show(struct seq_file *m, void *v)
{
	struct kmm_name *n = v;

	if (v == SEQ_START_TOKEN) {
		seq_printf(m, "%-5s %8s %5s %8s %8s %s\n", "kind", "id", "mode", "uid", "gid",
			   "name");
		return 0;
	}
	seq_printf(m, "%-5s %8llu %5o %8u %8u ", names_kinds[n->kind],
		   kmm_dev_env.names->ops[n->kind]->id(n->ref), n->attr.mode,
		   from_kuid_munged(seq_user_ns(m), n->attr.uid),
		   from_kgid_munged(seq_user_ns(m), n->attr.gid));
	/* any byte may be in it: all but letters and the like as \ooo */
	seq_escape_mem(m, n->bytes, n->len, ESCAPE_OCTAL | ESCAPE_APPEND | ESCAPE_NAP, " \\");
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations names_sops = {
	.start = names_start,
	.next = names_next,
	.stop = names_stop,
	.show = names_show,
};
DEFINE_SEQ_ATTRIBUTE(names);

/* === Fragmentation === */

/* One pageblock; frames are counted by the state of their block's first frame. */
static char frag_map_char(const struct kmm_region *r, unsigned long index)
{
	unsigned long end = index + KMM_PAGEBLOCK_FRAMES;
	unsigned long nr_free = 0, nr_present = 0, nr_metadata = 0;
	unsigned long first = index;

	/* The second pageblock of a free 4 MiB block has nothing but tails. */
	if (index & KMM_PAGEBLOCK_FRAMES &&
	    READ_ONCE(r->frames[index].tag) >> 8 == KMM_FRAME_TAIL)
		first = index - KMM_PAGEBLOCK_FRAMES;

	while (index < end) {
		u16 tag = READ_ONCE(r->frames[first].tag);
		struct kmm_frame f = { .tag = tag };
		unsigned long nr = 1UL << min_t(unsigned int, kmm_frame_order(&f), KMM_MAX_ORDER);

		nr = min(nr, end - index);
		switch (kmm_frame_state(&f)) {
		case KMM_FRAME_ABSENT:
			break;
		case KMM_FRAME_FREE:
			nr_free += nr;
			nr_present += nr;
			break;
		case KMM_FRAME_METADATA:
			nr_metadata += nr;
			nr_present += nr;
			break;
		default:
			nr_present += nr;
		}
		index += nr;
		first = index;
	}
	if (!nr_present)
		return ' ';
	if (nr_metadata == nr_present)
		return 'm';
	if (nr_free == nr_present)
		return '.';
	if (!nr_free)
		return '#';
	return '0' + nr_free * 10 / nr_present;
}

static int frag_map_show(struct seq_file *m, void *unused)
{
	const struct kmm_region *r = kmm_dev_env.region;
	unsigned long index, column = 0;

	seq_puts(m, "2 MiB a character, by frames on free lists, approximate: '.' all free,\n"
		    "'9'..'0' so many tenths free, '#' none, 'm' metadata, ' ' outside\n");
	for (index = 0; index < r->nr_index; index += KMM_PAGEBLOCK_FRAMES) {
		if (column % FRAG_MAP_COLUMNS == 0)
			seq_printf(m, "%s%#012lx ", column ? "\n" : "",
				   kmm_region_pfn(r, index) << PAGE_SHIFT);
		seq_putc(m, frag_map_char(r, index));
		column++;
	}
	seq_putc(m, '\n');
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(frag_map);

/* === Interface === */

/**
 * kmm_debugfs_init() - Make /sys/kernel/debug/kmm/.
 *
 * Context: task, may sleep. kmm_dev_env is set.
 */
void kmm_debugfs_init(void)
{
	struct dentry *d = debugfs_create_dir("kmm", NULL);

	debugfs_dir = d;
	debugfs_create_file("region", 0400, d, NULL, &region_fops);
	debugfs_create_file("mm_init", 0444, d, NULL, &mm_init_fops);
	debugfs_create_file("buddyinfo", 0444, d, NULL, &buddyinfo_fops);
	debugfs_create_file("pagetypeinfo", 0400, d, NULL, &pagetypeinfo_fops);
	debugfs_create_file("pcp", 0444, d, NULL, &pcp_fops);
	debugfs_create_file("meminfo", 0444, d, NULL, &meminfo_fops);
	debugfs_create_file("vmstat", 0444, d, NULL, &vmstat_fops);
	debugfs_create_file("objects", 0444, d, NULL, &objects_fops);
	debugfs_create_file("names", 0444, d, NULL, &names_fops);
	debugfs_create_file("frag_map", 0400, d, NULL, &frag_map_fops);
	kmm_debugfs_account_init(d);
	kmm_debugfs_pipes_init(d);
	kmm_debugfs_slab_init(d);
	kmm_debugfs_msgq_init(d);
	kmm_debugfs_owner_init(d);
	kmm_debugfs_swap_init(d);
	kmm_debugfs_vmap_init(d);
	kmm_debugfs_hardening_init(d);
	kmm_debugfs_kfence_init(d);
	kmm_debugfs_space_init(d);
	kmm_debugfs_reclaim_init(d);
	kmm_inject_debugfs(d);
	kmm_debug_objects_debugfs(d);
	kmm_debugfs_lab_init(d);
	kmm_debugfs_kmemleak_init(d);
}

/**
 * kmm_debugfs_fini() - Take it down; waits for readers.
 *
 * Context: task, may sleep.
 */
void kmm_debugfs_fini(void)
{
	kmm_debugfs_slab_fini();
	debugfs_remove(debugfs_dir);
	debugfs_dir = NULL;
}
