// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: debugfs of the slab allocator
 *
 * Files of /sys/kernel/debug/kmm::
 *
 *	slabinfo		all caches, in the format of /proc/slabinfo (version 2.1)
 *	slab/CACHE/objects	the slabs of a cache, one a line, with the states of their objects
 *	slab/CACHE/partials	those of them that have free and used objects
 *	slab/CACHE/owners	who allocated the objects in use, by stack, most first; for caches
 *				with SLAB_STORE_USER
 *	slab_explain		write an address, read back what is there
 *	slab_shrink		write anything: stacks and depots are emptied, empty slabs go back,
 *				page tables that wait zeroed, and what vfree() left to a purge
 *
 * slabinfo's tunables are those of a stack: its size, half of it (what moves at once), and how
 * many stacks the depot holds; sharedavail is what the depot holds now, as in Linux's slab.c.
 * active_objs counts objects that clients have; other CPUs' stacks are read without stopping
 * them, so it is exact only when nobody works on the cache.
 *
 * The state of an object is looked up, not kept: free in its slab (the bit is set), cached (the
 * bit is not set, but its free word is intact: a stack or the depot has it), used (neither). A
 * client that writes the free word's value by chance could be shown as cached; the value is a
 * random number of 64 bits.
 *
 * Lifetimes. kmm_slab tells when a cache is added and before it goes (@cache_added,
 * @cache_gone), and a cache's folder lives in between. debugfs_remove() waits for readers, and a
 * file that is still open afterwards reads as -EIO. So a reader of a cache's file needs no
 * reference. slab_explain finds caches by addresses; it holds the list's mutex, under which
 * a cache that has a slab stays.
 *
 * Files that tell addresses are for root alone; slab_explain asks for CAP_SYS_ADMIN as well.
 *
 * Locks: the mutex of the list of caches (slabinfo, slab_explain), each cache's lock for one slab
 * at a time. cache_gone is called without any lock, so that readers who hold one come to their end.
 *
 * What this deliberately does not do: show what is in an object.
 */
#include <linux/capability.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>

#include <kmm/buddy.h>
#include <kmm/dev.h>
#include <kmm/inject.h>
#include <kmm/kfence.h>
#include <kmm/pgtable.h>
#include <kmm/region.h>
#include <kmm/slab.h>
#include <kmm/slab_debug.h>
#include <kmm/vmap.h>

/* === Data === */

/* Folder slab; immutable while callbacks can come. */
static struct dentry *slab_dir;

/* Makes folders of caches of the same name differ. */
static atomic_t slab_dir_serial = ATOMIC_INIT(0);

/**
 * struct slab_view - the objects of one slab at one moment
 * @nr: all
 * @used: a client has them
 * @cached: in a CPU's stack or in the depot
 * @free: in the slab
 */
struct slab_view {
	unsigned int nr;
	unsigned int used;
	unsigned int cached;
	unsigned int free;
};

/* Different stacks that owners tells apart: 40 KiB while it is read. */
#define SLAB_OWNERS_MAX	256

/**
 * struct slab_owner - objects that were allocated by way of one stack
 * @track: of one of them
 * @nr: how many
 * @first: when the oldest was allocated, jiffies
 * @last: when the youngest was
 * @pid_min: lowest pid
 * @pid_max: highest
 */
struct slab_owner {
	struct kmm_track track;
	unsigned long nr;
	unsigned long first;
	unsigned long last;
	int pid_min;
	int pid_max;
};

/**
 * struct slab_owners - what one reading of owners finds
 * @nr: entries of @owner
 * @nr_other: objects whose stack found no room
 * @owner: by stack
 */
struct slab_owners {
	unsigned int nr;
	unsigned long nr_other;
	struct slab_owner owner[SLAB_OWNERS_MAX];
};

static const char * const frame_state_names[KMM_NR_FRAME_STATES] = {
	[KMM_FRAME_ABSENT] = "not part of the region",
	[KMM_FRAME_METADATA] = "metadata",
	[KMM_FRAME_TAIL] = "tail",
	[KMM_FRAME_FREE] = "free",
	[KMM_FRAME_CACHED] = "free, in a per-CPU cache",
	[KMM_FRAME_QUARANTINED] = "quarantined",
	[KMM_FRAME_GUARD] = "guard",
	[KMM_FRAME_USED] = "used",
};

/* === slabinfo === */

static void *slabinfo_start(struct seq_file *m, loff_t *pos)
{
	mutex_lock(&kmm_dev_env.slab->mutex);
	return seq_list_start_head(&kmm_dev_env.slab->list, *pos);
}

static void *slabinfo_next(struct seq_file *m, void *v, loff_t *pos)
{
	return seq_list_next(v, &kmm_dev_env.slab->list, pos);
}

static void slabinfo_stop(struct seq_file *m, void *v)
{
	mutex_unlock(&kmm_dev_env.slab->mutex);
}

/* The widths are those of mm/slab_common.c. */
static int slabinfo_show(struct seq_file *m, void *v)
{
	struct kmm_cache_stat st;
	struct kmm_cache *s;

	if (v == &kmm_dev_env.slab->list) {
		seq_puts(m, "slabinfo - version: 2.1\n");
		seq_puts(m, "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>");
		seq_puts(m, " : tunables <limit> <batchcount> <sharedfactor>");
		seq_puts(m, " : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
		return 0;
	}
	s = list_entry(v, struct kmm_cache, node);
	kmm_slab_stat(s, &st);
	seq_printf(m, "%-17s %6lu %6lu %6u %4u %4d", s->name, st.nr_active, st.nr_objects, s->size,
		   s->nr_per_slab, 1 << s->order);
	seq_printf(m, " : tunables %4lu %4u %4lu", s->cap, s->batch,
		   s->cap ? s->cap_depot / s->cap : 0);
	seq_printf(m, " : slabdata %6lu %6lu %6lu\n", st.nr_active_slabs, st.nr_slabs, st.nr_depot);
	return 0;
}

static const struct seq_operations slabinfo_sops = {
	.start = slabinfo_start,
	.next = slabinfo_next,
	.stop = slabinfo_stop,
	.show = slabinfo_show,
};
DEFINE_SEQ_ATTRIBUTE(slabinfo);

/* === The slabs of one cache === */

static void *slab_address(const struct kmm_cache *s, u32 index)
{
	return page_address(kmm_region_page(s->slab->region, index));
}

/* Return: false if there is no slab of @s (any more). */
static bool slab_look(struct kmm_cache *s, u32 index, struct slab_view *view)
{
	void *base = slab_address(s, index);
	unsigned int i, idle = 0;
	unsigned long flags;
	bool there;

	*view = (struct slab_view){ .nr = s->nr_per_slab };
	raw_spin_lock_irqsave(&s->lock, flags);
	there = s->slab->cache_of[index] == s;
	for (i = 0; there && i < view->nr; i++)
		idle += kmm_slab_object_is_free(s, base + i * s->size);
	if (there)
		view->free = s->slab->region->frames[index].owner;
	raw_spin_unlock_irqrestore(&s->lock, flags);
	view->cached = idle - min(idle, view->free);
	view->used = view->nr - idle;
	return there;
}

/* Position 0 is the heading, then index + 1 of a slab's first frame. */
static void *slab_find(struct kmm_cache *s, loff_t *pos)
{
	const struct kmm_region *r = s->slab->region;
	unsigned long index;

	if (!*pos)
		return SEQ_START_TOKEN;
	for (index = ALIGN(*pos - 1, 1UL << s->order); index < r->nr_index;
	     index += 1UL << s->order) {
		if (READ_ONCE(s->slab->cache_of[index]) != s)
			continue;
		*pos = index + 1;
		return &r->frames[index];
	}
	*pos = r->nr_index + 1;
	return NULL;
}

static void *slabs_start(struct seq_file *m, loff_t *pos)
{
	return slab_find(m->private, pos);
}

static void *slabs_next(struct seq_file *m, void *v, loff_t *pos)
{
	(*pos)++;
	return slab_find(m->private, pos);
}

static void slabs_stop(struct seq_file *m, void *v)
{
}

static int slabs_show(struct seq_file *m, void *v, bool only_partial)
{
	struct kmm_cache *s = m->private;
	const struct kmm_region *r = s->slab->region;
	struct slab_view view;
	u32 index;

	if (v == SEQ_START_TOKEN) {
		seq_printf(m, "%-12s %5s %7s %7s %7s %7s\n", "pfn", "order", "objects", "used",
			   "cached", "free");
		return 0;
	}
	index = kmm_region_index(r, v);
	if (!slab_look(s, index, &view) ||
	    (only_partial && (!view.free || view.free == view.nr)))
		return SEQ_SKIP;
	seq_printf(m, "%#-12lx %5u %7u %7u %7u %7u\n", kmm_region_pfn(r, index), s->order, view.nr,
		   view.used, view.cached, view.free);
	return 0;
}

static int slab_objects_show(struct seq_file *m, void *v)
{
	return slabs_show(m, v, false);
}

static int slab_partials_show(struct seq_file *m, void *v)
{
	return slabs_show(m, v, true);
}

static const struct seq_operations slab_objects_sops = {
	.start = slabs_start,
	.next = slabs_next,
	.stop = slabs_stop,
	.show = slab_objects_show,
};
DEFINE_SEQ_ATTRIBUTE(slab_objects);

static const struct seq_operations slab_partials_sops = {
	.start = slabs_start,
	.next = slabs_next,
	.stop = slabs_stop,
	.show = slab_partials_show,
};
DEFINE_SEQ_ATTRIBUTE(slab_partials);

/* === Owners === */

static bool same_stack(const struct kmm_track *a, const struct kmm_track *b)
{
	return a->addr == b->addr && a->nr == b->nr &&
	       !memcmp(a->stack, b->stack, a->nr * sizeof(*a->stack));
}

static void owners_add(struct slab_owners *o, const struct kmm_track *t)
{
	struct slab_owner *w;

	for (w = o->owner; w < o->owner + o->nr; w++)
		if (same_stack(&w->track, t))
			break;
	if (w == o->owner + SLAB_OWNERS_MAX) {
		o->nr_other++;
		return;
	}
	if (w == o->owner + o->nr) {
		*w = (struct slab_owner){
			.track = *t, .first = t->when, .last = t->when,
			.pid_min = t->pid, .pid_max = t->pid,
		};
		o->nr++;
	}
	w->nr++;
	if (time_before(t->when, w->first))
		w->first = t->when;
	if (time_after(t->when, w->last))
		w->last = t->when;
	w->pid_min = min(w->pid_min, t->pid);
	w->pid_max = max(w->pid_max, t->pid);
}

/* A copy: the object may change hands while we look. */
static bool copy_track(const struct kmm_cache *s, const void *obj, enum kmm_track_kind kind,
		       struct kmm_track *copy)
{
	const struct kmm_track *t = kmm_slab_debug_track(s, obj, kind);

	if (!t)
		return false;
	*copy = *t;
	copy->nr = min_t(u16, copy->nr, KMM_TRACK_DEPTH);
	return true;
}

static void owners_add_slab(struct slab_owners *o, struct kmm_cache *s, u32 index)
{
	void *obj = slab_address(s, index);
	struct kmm_track track;
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&s->lock, flags);
	if (s->slab->cache_of[index] == s)
		for (i = 0; i < s->nr_per_slab; i++, obj += s->size)
			if (!kmm_slab_object_is_free(s, obj) &&
			    copy_track(s, obj, KMM_TRACK_ALLOC, &track))
				owners_add(o, &track);
	raw_spin_unlock_irqrestore(&s->lock, flags);
}

static int owners_compare(const void *a, const void *b)
{
	const struct slab_owner *x = a, *y = b;

	return x->nr == y->nr ? 0 : x->nr < y->nr ? 1 : -1;
}

static void show_stack_of(struct seq_file *m, const struct kmm_track *t)
{
	unsigned int i;

	for (i = 0; i < t->nr; i++)
		seq_printf(m, "        %pS\n", (void *)t->stack[i]);
}

/* As the kernel's alloc_traces. */
static void show_owner(struct seq_file *m, const struct slab_owner *w)
{
	seq_printf(m, "%7lu %pS age=%lu/%lu", w->nr, (void *)w->track.addr, jiffies - w->last,
		   jiffies - w->first);
	if (w->pid_min == w->pid_max)
		seq_printf(m, " pid=%d\n", w->pid_min);
	else
		seq_printf(m, " pid=%d-%d\n", w->pid_min, w->pid_max);
	show_stack_of(m, &w->track);
	seq_putc(m, '\n');
}

static int slab_owners_show(struct seq_file *m, void *unused)
{
	struct kmm_cache *s = m->private;
	unsigned long nr_index = s->slab->region->nr_index, index;
	struct slab_owners *o;
	unsigned int i;

	if (!(s->flags & SLAB_STORE_USER)) {
		seq_puts(m, "not kept: the cache has no SLAB_STORE_USER\n");
		return 0;
	}
	o = kmm_should_fail() ? NULL : kvzalloc(sizeof(*o), GFP_KERNEL_ACCOUNT);
	if (!o)
		return -ENOMEM;
	for (index = 0; index < nr_index; index += 1UL << s->order) {
		if (READ_ONCE(s->slab->cache_of[index]) != s)
			continue;
		owners_add_slab(o, s, index);
		cond_resched();
	}
	sort(o->owner, o->nr, sizeof(*o->owner), owners_compare, NULL);
	for (i = 0; i < o->nr; i++)
		show_owner(m, &o->owner[i]);
	if (o->nr_other)
		seq_printf(m, "%7lu by other stacks\n", o->nr_other);
	kvfree(o);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(slab_owners);

/* === slab_explain === */

/* First frame of the block that a frame is in. */
static u32 block_head(const struct kmm_region *r, u32 index)
{
	unsigned int order;

	for (order = 0; order < KMM_MAX_ORDER; order++) {
		u32 head = index & ~((1U << order) - 1);

		if (READ_ONCE(r->frames[head].tag) >> 8 != KMM_FRAME_TAIL)
			return head;
	}
	return index & ~((1U << KMM_MAX_ORDER) - 1);
}

static void explain_track(struct seq_file *m, const char *what, const struct kmm_track *t)
{
	seq_printf(m, "%s by %pS age=%lu cpu=%u pid=%d\n", what, (void *)t->addr,
		   jiffies - t->when, t->cpu, t->pid);
	show_stack_of(m, t);
}

/* The list's mutex is held, so @s stays; its slab only under its lock. */
static void explain_object(struct seq_file *m, struct kmm_cache *s, const void *p, u32 head)
{
	bool has_alloc = false, has_free = false;
	struct kmm_track alloc, free;
	const char *state = NULL;
	unsigned long flags;
	const void *obj;

	seq_printf(m, "cache:     %s, objects of %u bytes, %u apart\n", s->name, s->object_size,
		   s->size);
	obj = kmm_slab_object_start(s, p);
	if (!obj) {
		seq_printf(m, "object:    none, the rest at the end of a slab of %u objects\n",
			   s->nr_per_slab);
		return;
	}
	raw_spin_lock_irqsave(&s->lock, flags);
	if (s->slab->cache_of[head] == s) {
		state = kmm_slab_object_is_free(s, obj) ? "free" : "in use";
		has_alloc = copy_track(s, obj, KMM_TRACK_ALLOC, &alloc);
		has_free = copy_track(s, obj, KMM_TRACK_FREE, &free);
	}
	raw_spin_unlock_irqrestore(&s->lock, flags);
	seq_printf(m, "object:    %lu of %u, at %#lx, offset %tu\n",
		   (unsigned long)(obj - slab_address(s, head)) / s->size, s->nr_per_slab,
		   (unsigned long)obj, p - obj);
	seq_printf(m, "state:     %s\n", state ?: "the slab is just going");
	if (has_alloc)
		explain_track(m, "allocated:", &alloc);
	if (has_free)
		explain_track(m, "freed:    ", &free);
}

/* In kfence's pool, which has the stacks: debugfs kfence/objects. */
static bool explain_guarded(struct seq_file *m, struct kmm_slab *sl, const void *p)
{
	struct kmm_stray found;

	/* so that the cache stays */
	mutex_lock(&sl->mutex);
	if (!kmm_kfence_find(sl, p, &found)) {
		mutex_unlock(&sl->mutex);
		return false;
	}
	seq_puts(m, "frame:     guarded by kfence\n");
	if (found.cache) {
		seq_printf(m, "cache:     %s, objects of %u bytes, %u apart\n", found.cache->name,
			   found.cache->object_size, found.cache->size);
		seq_printf(m, "object:    %zu bytes at %#lx, offset %td\n", found.size,
			   (unsigned long)found.start, p - found.start);
		seq_printf(m, "state:     %s\n", found.live ? "in use" : "free");
	}
	mutex_unlock(&sl->mutex);
	return true;
}

static int slab_explain_show(struct seq_file *m, void *unused)
{
	const void *p = (const void *)READ_ONCE(*(unsigned long *)m->private);
	struct kmm_slab *sl = kmm_dev_env.slab;
	const struct kmm_region *r = sl->region;
	const struct kmm_frame *f = NULL;
	struct kmm_frame block;
	struct kmm_cache *s;
	u32 index, head;

	seq_printf(m, "address:   %#lx\n", (unsigned long)p);
	if (explain_guarded(m, sl, p))
		return 0;
	if (virt_addr_valid(p))
		f = kmm_region_frame(r, page_to_pfn(virt_to_page(p)));
	if (!f || kmm_frame_state(f) == KMM_FRAME_ABSENT) {
		seq_puts(m, "frame:     none, not in the region\n");
		return 0;
	}
	index = kmm_region_index(r, f);
	head = block_head(r, index);
	block.tag = READ_ONCE(r->frames[head].tag);
	seq_printf(m, "frame:     pfn %#lx, index %u\n", kmm_region_pfn(r, index), index);
	seq_printf(m, "block:     order %u, %s, from pfn %#lx\n", kmm_frame_order(&block),
		   frame_state_names[min_t(u32, kmm_frame_state(&block), KMM_FRAME_USED)],
		   kmm_region_pfn(r, head));
	if (kmm_frame_state(&block) != KMM_FRAME_USED)
		return 0;

	mutex_lock(&sl->mutex);
	s = READ_ONCE(sl->cache_of[head]);
	if (s && s != &sl->large)
		explain_object(m, s, p, head);
	mutex_unlock(&sl->mutex);
	if (s == &sl->large)
		seq_printf(m, "cache:     none, kmalloc of %lu bytes from the buddy\n",
			   PAGE_SIZE << kmm_frame_order(&block));
	if (!s || s == &sl->large)
		seq_printf(m, "account:   %u\n", READ_ONCE(r->frames[head].owner));
	return 0;
}

static int slab_explain_open(struct inode *inode, struct file *file)
{
	unsigned long *address;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	address = kmm_should_fail() ? NULL : kzalloc(sizeof(*address), GFP_KERNEL_ACCOUNT);
	if (!address)
		return -ENOMEM;
	err = single_open(file, slab_explain_show, address);
	if (err)
		kfree(address);
	return err;
}

static ssize_t slab_explain_write(struct file *file, const char __user *buf, size_t count,
				  loff_t *ppos)
{
	struct seq_file *m = file->private_data;
	unsigned long address;
	int err;

	err = kstrtoul_from_user(buf, count, 16, &address);
	if (err)
		return err;
	WRITE_ONCE(*(unsigned long *)m->private, address);
	return count;
}

static int slab_explain_release(struct inode *inode, struct file *file)
{
	struct seq_file *m = file->private_data;

	kfree(m->private);
	return single_release(inode, file);
}

static const struct file_operations slab_explain_fops = {
	.owner = THIS_MODULE,
	.open = slab_explain_open,
	.read = seq_read,
	.write = slab_explain_write,
	.llseek = seq_lseek,
	.release = slab_explain_release,
};

static ssize_t slab_shrink_write(struct file *file, const char __user *buf, size_t count,
				 loff_t *ppos)
{
	kmm_slab_shrink(kmm_dev_env.slab);
	kmm_pgtables_shrink(kmm_dev_env.tables);
	/* waits for one that runs: what that has in its hands looks used */
	if (kmm_dev_env.vmap)
		kmm_vmap_purge(kmm_dev_env.vmap);
	return count;
}

static const struct file_operations slab_shrink_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = slab_shrink_write,
	.llseek = noop_llseek,
};

/* === Folders of caches === */

static void slab_debugfs_add(struct kmm_cache *s)
{
	struct dentry *d = debugfs_lookup(s->name, slab_dir);
	char name[64];

	if (d) {
		dput(d);
		snprintf(name, sizeof(name), "%s:%d", s->name,
			 atomic_inc_return(&slab_dir_serial));
	}
	d = debugfs_create_dir(d ? name : s->name, slab_dir);
	s->debugfs_dir = d;
	debugfs_create_file("objects", 0400, d, s, &slab_objects_fops);
	debugfs_create_file("partials", 0400, d, s, &slab_partials_fops);
	debugfs_create_file("owners", 0400, d, s, &slab_owners_fops);
}

static void slab_debugfs_remove(struct kmm_cache *s)
{
	debugfs_remove(s->debugfs_dir);
	s->debugfs_dir = NULL;
}

/**
 * kmm_debugfs_slab_init() - slabinfo and its kin, and folders for the caches there are.
 * @dir: kmm's folder
 *
 * Context: task, may sleep; nobody makes or destroys caches meanwhile.
 */
void kmm_debugfs_slab_init(struct dentry *dir)
{
	struct kmm_slab *sl = kmm_dev_env.slab;
	struct kmm_cache *s;

	slab_dir = debugfs_create_dir("slab", dir);
	debugfs_create_file("slabinfo", 0400, dir, NULL, &slabinfo_fops);
	debugfs_create_file("slab_explain", 0600, dir, NULL, &slab_explain_fops);
	debugfs_create_file("slab_shrink", 0200, dir, NULL, &slab_shrink_fops);
	list_for_each_entry(s, &sl->list, node)
		slab_debugfs_add(s);
	sl->cache_added = slab_debugfs_add;
	sl->cache_gone = slab_debugfs_remove;
}

/**
 * kmm_debugfs_slab_fini() - Hear no more of caches; the caller removes the files.
 *
 * Context: task, may sleep; nobody makes or destroys caches meanwhile.
 */
void kmm_debugfs_slab_fini(void)
{
	struct kmm_slab *sl = kmm_dev_env.slab;
	struct kmm_cache *s;

	sl->cache_added = NULL;
	sl->cache_gone = NULL;
	list_for_each_entry(s, &sl->list, node)
		slab_debugfs_remove(s);
}
