// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: debugfs of address spaces
 *
 * Files of /sys/kernel/debug/kmm/spaces/::
 *
 *	list			all spaces, one a line
 *	ID/maps			the areas, in the format of /proc/PID/maps
 *	ID/page_tables		the entries, in the format of ptdump (page_tables/ of x86)
 *	ID/audit		what the user root reaches, and what of it must not be reached
 *
 * maps: device and inode are those of the object's descriptor, the same as in the maps of a
 * process that has mapped it; the name is the object's number in debugfs objects. Behind the last
 * area comes what kmm itself has in every space.
 *
 * page_tables: runs of entries that are alike, from the full root. A hole has a line, too: its
 * level tells how far down tables exist. Bits are those of the entries themselves, not what
 * levels above leave of them; the full root's own entries are NX for the whole user half
 * (vm/isolation.c).
 *
 * A folder is made for each space that has a descriptor (dev/space.c), and charged there. Its
 * name is the space's number, which is never used again. debugfs_remove() waits for readers, and
 * a file that is open afterwards reads as -EIO, so a reader needs no reference to the space.
 *
 * All files are for root alone: they tell who maps what where.
 *
 * A reading is a sequence of looks, a buffer each, and the space's lock is free in between: what
 * was unmapped meanwhile may be missing or there. The position is the address, so nothing
 * comes twice.
 *
 * Locks: the space's for reading, while one buffer is filled; the set's for list.
 *
 * What this deliberately does not do: no contents, and no way to change anything.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/string_helpers.h>

#include <kmm/dev.h>
#include <kmm/object.h>
#include <kmm/space.h>

/* === Data === */

static struct dentry *space_dir;

/* Bits that page_tables prints; runs differ in one of these. */
#define TABLES_BITS	(_PAGE_PRESENT | _PAGE_USER | _PAGE_RW | _PAGE_PWT | _PAGE_PCD | \
			 _PAGE_PSE | _PAGE_PAT_LARGE | _PAGE_GLOBAL | _PAGE_NX)

/**
 * struct tables_view - a reading of page_tables
 * @space: the space
 * @start: of the run that is printed next
 * @end: behind it
 * @bits: of its entries; 0 for a hole
 * @shift: log2 of what one entry covers
 */
struct tables_view {
	struct kmm_space *space;
	unsigned long start;
	unsigned long end;
	unsigned long bits;
	unsigned int shift;
};

/* === maps === */

/* Positions: an address as its page number. */
static void *maps_at(struct kmm_space *s, loff_t pos)
{
	unsigned long addr = pos << PAGE_SHIFT;

	/* The last line is for what kmm keeps. */
	if (addr > kmm_space_end())
		return NULL;
	return kmm_space_above_locked(s, addr) ?: s->set->espfix ? SEQ_START_TOKEN : NULL;
}

static void *maps_start(struct seq_file *m, loff_t *pos)
{
	struct kmm_space *s = m->private;

	down_read(&s->lock);
	return maps_at(s, *pos);
}

static void *maps_next(struct seq_file *m, void *v, loff_t *pos)
{
	const struct kmm_area *area = v;

	*pos = (v == SEQ_START_TOKEN ? kmm_space_end() + PAGE_SIZE : area->end) >> PAGE_SHIFT;
	return maps_at(m->private, *pos);
}

static void maps_stop(struct seq_file *m, void *v)
{
	struct kmm_space *s = m->private;

	up_read(&s->lock);
}

static void maps_line(struct seq_file *m, unsigned long start, unsigned long end, u32 prot,
		      bool shared, u64 offset, dev_t dev, unsigned long ino)
{
	seq_setwidth(m, 25 + sizeof(void *) * 6 - 1);
	seq_printf(m, "%08lx-%08lx %c%c%c%c %08llx %02x:%02x %lu ", start, end,
		   prot & KMM_PROT_READ ? 'r' : '-', prot & KMM_PROT_WRITE ? 'w' : '-',
		   prot & KMM_PROT_EXEC ? 'x' : '-', shared ? 's' : 'p', offset, MAJOR(dev),
		   MINOR(dev), ino);
}

static int maps_show(struct seq_file *m, void *v)
{
	const struct kmm_area *area = v;
	struct inode *inode;

	if (v == SEQ_START_TOKEN) {
		maps_line(m, kmm_space_end(), kmm_space_user_end(),
			  KMM_PROT_READ, true, 0, 0, 0);
		seq_pad(m, ' ');
		seq_puts(m, "[espfix]\n");
		return 0;
	}
	inode = area->file ? file_inode(area->file) : NULL;
	maps_line(m, area->start, area->end, area->prot, area->flags & KMM_MAP_SHARED,
		  (u64)area->pgoff << PAGE_SHIFT, inode ? inode->i_sb->s_dev : 0,
		  inode ? inode->i_ino : 0);
	if (area->object) {
		seq_pad(m, ' ');
		seq_printf(m, "object:%llu", area->object->id);
	} else if (area->flags & KMM_MAP_GUARD) {
		seq_pad(m, ' ');
		seq_puts(m, "[guard]");
	}
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations maps_sops = {
	.start = maps_start,
	.next = maps_next,
	.stop = maps_stop,
	.show = maps_show,
};
DEFINE_SEQ_ATTRIBUTE(maps);

/* === page_tables === */

/* The entry that @addr ends at: what it covers, and how. */
static void tables_look(struct kmm_space *s, unsigned long addr, unsigned int *shift,
			unsigned long *bits)
{
	struct kmm_pt_path path;

	kmm_pt_walk(&s->pt, addr, false, &path);
	*shift = PAGE_SHIFT + (PMD_SHIFT - PAGE_SHIFT) * (path.levels - path.depth);
	*bits = path.leaf_shift ? path.entry[path.depth - 1] & TABLES_BITS : 0;
	/* Bit 12 is an address's where a leaf covers a page. */
	if (*shift == PAGE_SHIFT)
		*bits &= ~_PAGE_PAT_LARGE;
}

/* The run from @addr on; NULL behind the user half. */
static struct tables_view *tables_find(struct tables_view *view, unsigned long addr)
{
	unsigned long end = kmm_space_user_end(), bits;
	unsigned int shift;

	if (addr >= end)
		return NULL;
	view->start = addr;
	view->end = addr;
	tables_look(view->space, addr, &view->shift, &view->bits);
	do {
		view->end = ALIGN_DOWN(view->end, 1UL << view->shift) + (1UL << view->shift);
		if (view->end >= end)
			break;
		cond_resched();
		tables_look(view->space, view->end, &shift, &bits);
	} while (shift == view->shift && bits == view->bits);
	return view;
}

/* Position 0 is the heading, then page number + 1. */
static void *tables_at(struct tables_view *view, loff_t pos)
{
	return pos ? tables_find(view, (pos - 1) << PAGE_SHIFT) : SEQ_START_TOKEN;
}

static void *tables_start(struct seq_file *m, loff_t *pos)
{
	struct tables_view *view = m->private;

	down_read(&view->space->lock);
	return tables_at(view, *pos);
}

static void *tables_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct tables_view *view = m->private;

	*pos = v == SEQ_START_TOKEN ? 1 : (view->end >> PAGE_SHIFT) + 1;
	return tables_at(view, *pos);
}

static void tables_stop(struct seq_file *m, void *v)
{
	struct tables_view *view = m->private;

	up_read(&view->space->lock);
}

/* The columns of printk_prot() in arch/x86/mm/dump_pagetables.c. */
static void tables_show_bits(struct seq_file *m, unsigned long bits, unsigned int shift)
{
	unsigned long pat = shift == PAGE_SHIFT ? _PAGE_PSE : _PAGE_PAT_LARGE;

	if (!bits) {
		seq_printf(m, "%30s", "");
		return;
	}
	seq_puts(m, bits & _PAGE_USER ? "USR " : "    ");
	seq_puts(m, bits & _PAGE_RW ? "RW " : "ro ");
	seq_puts(m, bits & _PAGE_PWT ? "PWT " : "    ");
	seq_puts(m, bits & _PAGE_PCD ? "PCD " : "    ");
	seq_puts(m, shift > PAGE_SHIFT && bits & _PAGE_PSE ? "PSE " : "    ");
	seq_puts(m, bits & pat ? "PAT " : "    ");
	seq_puts(m, bits & _PAGE_GLOBAL ? "GLB " : "    ");
	seq_puts(m, bits & _PAGE_NX ? "NX " : "x  ");
}

static const char *tables_level_name(unsigned int shift)
{
	if (shift == PGDIR_SHIFT)
		return "pgd";
	return shift == PAGE_SHIFT ? "pte" : shift == PMD_SHIFT ? "pmd" :
	       shift == PUD_SHIFT ? "pud" : "p4d";
}

static int tables_show(struct seq_file *m, void *v)
{
	static const char units[] = "KMGTPE";
	const struct tables_view *view = v;
	const char *unit = units;
	unsigned long size_kb;

	if (v == SEQ_START_TOKEN) {
		seq_puts(m, "---[ User Space ]---\n");
		return 0;
	}
	size_kb = (view->end - view->start) >> 10;
	while (!(size_kb & 1023) && unit[1]) {
		size_kb >>= 10;
		unit++;
	}
	seq_printf(m, "0x%016lx-0x%016lx   %9lu%c ", view->start, view->end, size_kb, *unit);
	tables_show_bits(m, view->bits, view->shift);
	seq_printf(m, "%s\n", tables_level_name(view->shift));
	return 0;
}

static const struct seq_operations tables_sops = {
	.start = tables_start,
	.next = tables_next,
	.stop = tables_stop,
	.show = tables_show,
};

static int tables_open(struct inode *inode, struct file *file)
{
	struct tables_view *view = __seq_open_private(file, &tables_sops, sizeof(*view));

	if (!view)
		return -ENOMEM;
	view->space = inode->i_private;
	return 0;
}

static const struct file_operations tables_fops = {
	.owner = THIS_MODULE,
	.open = tables_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

/* === audit === */

static int audit_show(struct seq_file *m, void *unused)
{
	struct kmm_space *s = m->private;
	unsigned long leaves = 0, bad;

	bad = kmm_isolation_audit(s, &leaves);
	seq_printf(m, "leaves of the user root:  %lu\n", leaves);
	seq_printf(m, "that must not be:         %lu\n", bad);
	seq_printf(m, "areas and tables differ:  %lu\n", kmm_space_check(s));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(audit);

/* === list === */

static unsigned long space_tables(struct kmm_space *s)
{
	unsigned long nr = 0;
	unsigned int i;

	for (i = 0; i < KMM_PT_LEVELS; i++)
		nr += atomic_long_read(&s->pt.nr[i]);
	return nr;
}

static void *list_start(struct seq_file *m, loff_t *pos)
{
	mutex_lock(&kmm_dev_env.spaces->lock);
	return seq_list_start_head(&kmm_dev_env.spaces->list, *pos);
}

static void *list_next(struct seq_file *m, void *v, loff_t *pos)
{
	return seq_list_next(v, &kmm_dev_env.spaces->list, pos);
}

static void list_stop(struct seq_file *m, void *v)
{
	mutex_unlock(&kmm_dev_env.spaces->lock);
}

static int list_show(struct seq_file *m, void *v)
{
	const unsigned int kb = PAGE_SHIFT - 10;
	struct kmm_space *s;

	if (v == &kmm_dev_env.spaces->list) {
		seq_printf(m, "%8s %6s %12s %12s %10s %6s %8s %8s %8s %8s %s\n", "id", "areas",
			   "mapped_kB", "resident_kB", "private_kB", "tables", "faults", "cow",
			   "uid", "pid", "comm");
		return 0;
	}
	/* A space leaves the list before anything of it goes. */
	s = list_entry(v, struct kmm_space, list);
	seq_printf(m, "%8llu %6lu %12llu %12lu %10lu %6lu %8lld %8lld %8u %8d ", s->id,
		   READ_ONCE(s->nr_areas), READ_ONCE(s->mapped_bytes) >> 10,
		   atomic_long_read(&s->pt.resident) << kb,
		   atomic_long_read(&s->private_frames) << kb, space_tables(s),
		   (s64)atomic64_read(&s->faults), (s64)atomic64_read(&s->cow_faults),
		   from_kuid_munged(seq_user_ns(m), s->uid), s->pid);
	kmm_seq_word(m, s->comm);
	seq_putc(m, '\n');
	return 0;
}

static const struct seq_operations list_sops = {
	.start = list_start,
	.next = list_next,
	.stop = list_stop,
	.show = list_show,
};
DEFINE_SEQ_ATTRIBUTE(list);

/* === Interface === */

/**
 * kmm_debugfs_space_init() - Make spaces/.
 * @dir: kmm's folder
 *
 * Context: task, may sleep.
 */
void kmm_debugfs_space_init(struct dentry *dir)
{
	space_dir = debugfs_create_dir("spaces", dir);
	debugfs_create_file("list", 0400, space_dir, NULL, &list_fops);
}

/**
 * kmm_debugfs_space_add() - The folder of a space.
 * @s: space
 *
 * Context: task, may sleep; not under the space's lock.
 * Return: folder for debugfs_remove(), before @s is destroyed; an error when it cannot be had,
 * which debugfs_remove() takes, too.
 */
struct dentry *kmm_debugfs_space_add(struct kmm_space *s)
{
	struct dentry *d;
	char name[24];

	snprintf(name, sizeof(name), "%llu", s->id);
	d = debugfs_create_dir(name, space_dir);
	debugfs_create_file("maps", 0400, d, s, &maps_fops);
	debugfs_create_file("page_tables", 0400, d, s, &tables_fops);
	debugfs_create_file("audit", 0400, d, s, &audit_fops);
	return d;
}
