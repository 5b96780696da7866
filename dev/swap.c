// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Swap areas as ioctls, and debugfs swaps
 *
 * KMM_IOC_SWAP_ON makes an area of a descriptor, or of compressed memory; KMM_IOC_SWAP_OFF brings
 * its pages home and lets it go; KMM_IOC_SWAP_INFO tells about one area after the other. All
 * three want CAP_SYS_ADMIN.
 *
 * A descriptor, never a path: whoever opened it has shown that they may. It need not stay open.
 *
 * Off: no slot is given out any more (kmm_swap_close()); all pages of all objects that are there
 * are read; what was on its way out meanwhile is waited for, in rounds; then the area goes. When
 * that fails, because there is no room, a page cannot be read, or a signal came, the area is
 * opened again and what came home stays at home: nobody has lost anything.
 *
 * debugfs swaps has the columns of /proc/swaps, then kmm's own.
 *
 * Locks: none held across the steps; two swapoffs of one area: the second one is refused.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/string_helpers.h>

#include <kmm/dev.h>
#include <kmm/object.h>
#include <kmm/swap.h>

static_assert(KMM_SWAP_AREAS_MAX == KMM_SWAP_AREAS);
static_assert(sizeof_field(struct kmm_swap_state, what) == KMM_SWAP_WHAT_LEN);

/* Rounds of swapoff, a millisecond or more each, for pages that are on their way out. */
#define SWAP_OFF_ROUNDS	10000

/* === Off === */

static int swap_off(u32 id)
{
	struct kmm_swap *s = kmm_dev_env.swap;
	unsigned int round;
	int err;

	err = kmm_swap_close(s, id);
	if (err)
		return err;
	for (round = 0; round < SWAP_OFF_ROUNDS; round++) {
		err = kmm_swap_remove(s, id);
		if (err != -EBUSY)
			break;
		err = kmm_swapin_area(kmm_dev_env.objects, id);
		if (err)
			break;
		/* What is being written is in no object's index yet. */
		if (round)
			usleep_range(1000, 2000);
		err = signal_pending(current) ? -EINTR : -EBUSY;
		if (err == -EINTR)
			break;
	}
	if (err)
		kmm_swap_reopen(s, id);
	return err;
}

/**
 * kmm_call_swap_off() - KMM_IOC_SWAP_OFF.
 * @call: on /dev/kmm
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_swap_off(struct kmm_call *call)
{
	const struct kmm_swap_off *o = &call->arg.swap_off;

	if (o->flags)
		return -EINVAL;
	/* Nothing to say: what is done is not called a failure because it could not be said. */
	call->replied = true;
	return swap_off(o->id);
}

/* === On === */

/* The caller does not know of the area: it goes, if what is in it by now can. */
static void swap_on_undo(struct kmm_call *call)
{
	swap_off(call->arg.swap_on.id);
}

static int swap_on_ram(struct kmm_account *a, const struct kmm_swap_on *o)
{
	if (o->fd != -1 || strnlen(o->compressor, sizeof(o->compressor)) == sizeof(o->compressor))
		return -EINVAL;
	return kmm_swap_ram_add(kmm_dev_env.swap, a, o->compressor, o->size_bytes, o->prio);
}

static int swap_on_fd(struct kmm_account *a, const struct kmm_swap_on *o)
{
	struct file *file;
	int id;

	if (o->size_bytes || memchr_inv(o->compressor, 0, sizeof(o->compressor)))
		return -EINVAL;
	file = fget(o->fd);
	if (!file)
		return -EBADF;
	/* One of ours would have to be swapped to itself. */
	id = kmm_file_is_object(file) ? -EINVAL :
	     kmm_swap_file_add(kmm_dev_env.swap, a, file, o->prio);
	fput(file);
	return id;
}

/**
 * kmm_call_swap_on() - KMM_IOC_SWAP_ON.
 * @call: on /dev/kmm
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_swap_on(struct kmm_call *call)
{
	struct kmm_session *session = call->file->private_data;
	struct kmm_swap_on *o = &call->arg.swap_on;
	int id;

	if (o->flags & ~KMM_SWAP_RAM || o->id)
		return -EINVAL;
	if (o->prio < 0 || o->prio > KMM_SWAP_PRIO_MAX)
		return -EINVAL;
	id = o->flags & KMM_SWAP_RAM ? swap_on_ram(session->account, o) :
				       swap_on_fd(session->account, o);
	if (id < 0)
		return id;
	o->id = id;
	call->undo = swap_on_undo;
	return 0;
}

/* === Info === */

/**
 * kmm_call_swap_info() - KMM_IOC_SWAP_INFO.
 * @call: on /dev/kmm
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_swap_info(struct kmm_call *call)
{
	struct kmm_swap_info *i = &call->arg.swap_info;
	struct kmm_swap_state st;
	int err;

	if (i->flags)
		return -EINVAL;
	err = kmm_swap_tell(kmm_dev_env.swap, i->id, &st);
	if (err)
		return err;
	*i = (struct kmm_swap_info){
		.id = st.id,
		.flags = st.closing ? KMM_SWAP_CLOSING : 0,
		.prio = st.prio,
		.slots = st.nr_slots,
		.used = st.nr_used,
		.host_bytes = st.host_bytes,
		.written = st.nr_write,
		.read = st.nr_read,
		.errors = st.nr_error,
		.corrupt = st.nr_corrupt,
	};
	strscpy(i->type, st.type, sizeof(i->type));
	memcpy(i->what, st.what, sizeof(i->what));
	return 0;
}

static int swaps_show(struct seq_file *m, void *unused)
{
	struct kmm_swap_state st;
	char name[2 * sizeof(st.what)];
	u32 id, len;

	seq_printf(m, "%-39s %-15s %11s %11s %8s %4s %11s %10s %10s %8s %8s\n", "Filename", "Type",
		   "Size", "Used", "Priority", "id", "host_kB", "written", "read", "errors",
		   "corrupt");
	for (id = 0; !kmm_swap_tell(kmm_dev_env.swap, id, &st); id = st.id + 1) {
		/* As in /proc/swaps. */
		len = string_escape_str(st.what, name, sizeof(name), ESCAPE_OCTAL, " \t\n\\");
		name[min_t(size_t, len, sizeof(name) - 1)] = 0;
		seq_printf(m, "%-39s %-15s %11u %11u %8d %4u %11llu %10llu %10llu %8llu %8llu\n",
			   name, st.type, st.nr_slots << (PAGE_SHIFT - 10),
			   st.nr_used << (PAGE_SHIFT - 10), st.prio, st.id, st.host_bytes >> 10,
			   st.nr_write, st.nr_read, st.nr_error, st.nr_corrupt);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(swaps);

/**
 * kmm_debugfs_swap_init() - Make the file.
 * @dir: folder of kmm
 *
 * Context: task, may sleep. kmm_dev_env is set.
 */
void kmm_debugfs_swap_init(struct dentry *dir)
{
	debugfs_create_file("swaps", 0400, dir, NULL, &swaps_fops);
}
