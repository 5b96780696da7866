// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Swap to a regular file
 *
 * As the host's swapon does it: the file system tells once where the file lies on its device,
 * and from then on pages go there by bio (bdev.c), past the file system and the page cache.
 * Neither writing nor reading takes a lock of the file system or allocates.
 *
 * The file is claimed for as long (S_SWAPFILE): write, truncate, punch, unlink, shared writable
 * mappings and the host's swapon are refused for others. That is also what keeps the extents
 * true.
 *
 * Two ways to the extents:
 *
 *	swap_activate	of the file system, into a private struct swap_info_struct, with the
 *			inode's lock held (ext4, xfs, btrfs)
 *	bmap		block by block, without that lock: the function takes it itself (the others)
 *
 * Slots are pages that are contiguous and aligned on the device; blocks in between are left out.
 * A hole is -EINVAL. A file system with neither way (tmpfs, 9p, overlay), or one that wants to do
 * the I/O itself (nfs), is served by io.c.
 *
 * Order of taking it: check, lock, claim, extents, add. The reference of the file is held until
 * the area goes, so the file system stays mounted.
 *
 * Locks: the inode's lock while claiming.
 */
#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rbtree.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/inject.h>
#include <kmm/swap.h>

/**
 * struct file_extent - slots in a row that are so on the device
 * @slot: the first
 * @nr: how many
 * @page: where the first is, in pages of the device
 */
struct file_extent {
	u32 slot;
	u32 nr;
	u64 page;
};

/**
 * struct file_area - a file
 * @file: reference
 * @bdev: where it lies; the file system has it open
 * @account: pays
 * @extents: by slot, without gap
 * @nr_extents: how many
 * @max_extents: how many there is room for
 * @nr_slots: in all of them
 * @activated: swap_deactivate is to be called
 */
struct file_area {
	struct file *file;
	struct block_device *bdev;
	struct kmm_account *account;
	struct file_extent *extents;
	u32 nr_extents;
	u32 max_extents;
	u32 nr_slots;
	bool activated;
};

/* === Pages === */

/* The extent of a slot. */
static const struct file_extent *file_find(const struct file_area *f, u32 slot)
{
	u32 low = 0, high = f->nr_extents, mid;

	while (high - low > 1) {
		mid = low + (high - low) / 2;
		if (f->extents[mid].slot <= slot)
			low = mid;
		else
			high = mid;
	}
	return &f->extents[low];
}

static int file_rw(struct file_area *f, u32 slot, struct page **pages, unsigned int nr, bool write)
{
	const struct file_extent *e = file_find(f, slot);
	unsigned int n;
	int err = 0;

	for (; nr && !err; e++) {
		n = min(nr, e->slot + e->nr - slot);
		err = kmm_swap_bio(f->bdev, e->page + slot - e->slot, pages, n, write);
		slot += n;
		pages += n;
		nr -= n;
	}
	return err;
}

static int file_write(struct kmm_swap_area *a, u32 slot, struct page **pages, unsigned int nr)
{
	return file_rw(a->priv, slot, pages, nr, true);
}

static int file_read(struct kmm_swap_area *a, u32 slot, struct page **pages, unsigned int nr)
{
	return file_rw(a->priv, slot, pages, nr, false);
}

/* === Extents === */

/* One more run of pages on the device. */
static int file_add_extent(struct file_area *f, u64 page, u32 nr)
{
	struct file_extent *last = f->extents + f->nr_extents, *more;
	u32 max;

	if (f->nr_extents && last[-1].page + last[-1].nr == page) {
		last[-1].nr += nr;
		f->nr_slots += nr;
		return 0;
	}
	if (f->nr_extents == f->max_extents) {
		max = f->max_extents * 2 ?: 16;
		more = kmm_account_zalloc(f->account, max * sizeof(*more));
		if (IS_ERR(more))
			return PTR_ERR(more);
		if (f->extents)
			memcpy(more, f->extents, f->nr_extents * sizeof(*more));
		kmm_account_free(f->account, f->extents, f->max_extents * sizeof(*more));
		f->extents = more;
		f->max_extents = max;
	}
	f->extents[f->nr_extents++] = (struct file_extent){
		.slot = f->nr_slots, .nr = nr, .page = page,
	};
	f->nr_slots += nr;
	return 0;
}

/* Takes the tree that the file system has made; all of it is freed. */
static int file_take_tree(struct file_area *f, struct swap_info_struct *sis)
{
	struct swap_extent *se;
	struct rb_node *node;
	int err = 0;

	while ((node = rb_first(&sis->swap_extent_root))) {
		se = rb_entry(node, struct swap_extent, rb_node);
		rb_erase(node, &sis->swap_extent_root);
		if (!err)
			err = file_add_extent(f, se->start_block, se->nr_pages);
		kfree(se);
		cond_resched();
	}
	return err;
}

/* 0; -EOPNOTSUPP: the file system has the function, and wants to do the I/O itself. */
static int file_activate_locked(struct file_area *f, struct inode *inode, u32 max)
{
	struct swap_info_struct *sis;
	sector_t span;
	int err, ret;

	sis = kmm_should_fail() ? NULL : kzalloc(sizeof(*sis), GFP_KERNEL);
	if (!sis)
		return -ENOMEM;
	sis->bdev = inode->i_sb->s_bdev;
	sis->swap_file = f->file;
	sis->max = max;
	sis->swap_extent_root = RB_ROOT;
	ret = inode->i_mapping->a_ops->swap_activate(sis, f->file, &span);
	/* Also what a failed call has left. */
	err = file_take_tree(f, sis);
	if (ret < 0) {
		err = ret;
	} else {
		f->activated = true;
		f->bdev = sis->bdev;
		if (!f->bdev || sis->flags & SWP_FS_OPS)
			err = -EOPNOTSUPP;
	}
	kfree(sis);
	return err;
}

/* The block of the device that a block of the file is in; -EINVAL: a hole. */
static int file_bmap(struct inode *inode, u64 block, u64 *at)
{
	sector_t b = block;
	int err = bmap(inode, &b);

	*at = b;
	return err ?: b ? 0 : -EINVAL;
}

/* The inode is claimed, and not locked. */
static int file_walk_blocks(struct file_area *f, struct inode *inode, u32 max)
{
	const unsigned int per_page = PAGE_SIZE >> inode->i_blkbits;
	const u64 nr = i_size_read(inode) >> inode->i_blkbits;
	u64 block = 0, first, at;
	unsigned int k;
	int err;

	f->bdev = inode->i_sb->s_bdev;
	if (!f->bdev)
		return -EOPNOTSUPP;
	err = vfs_fsync(f->file, 0);
	while (!err && block + per_page <= nr && f->nr_slots < max) {
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
		err = file_bmap(inode, block, &first);
		for (k = 1; !err && k < per_page; k++) {
			err = file_bmap(inode, block + k, &at);
			if (at != first + k)
				break;
		}
		if (err)
			break;
		if (k < per_page || first & (per_page - 1)) {
			block++;
			continue;
		}
		err = file_add_extent(f, first >> (PAGE_SHIFT - inode->i_blkbits), 1);
		block += per_page;
	}
	return err;
}

/* === Life === */

static struct inode *file_area_inode(const struct file_area *f)
{
	return f->file->f_mapping->host;
}

/* @claimed: the inode is ours */
static void file_area_free(struct file_area *f, bool claimed)
{
	struct inode *inode = file_area_inode(f);

	if (f->activated && inode->i_mapping->a_ops->swap_deactivate)
		inode->i_mapping->a_ops->swap_deactivate(f->file);
	if (claimed)
		kmm_swap_unclaim(inode);
	kmm_account_free(f->account, f->extents, f->max_extents * sizeof(*f->extents));
	fput(f->file);
	kmm_account_free(f->account, f, sizeof(*f));
}

static void file_close(struct kmm_swap_area *a)
{
	file_area_free(a->priv, true);
}

/**
 * kmm_swap_tell_path() - The path of a file; of a long one its end.
 * @file: file
 * @buf: out
 * @size_bytes: of @buf
 *
 * Context: task, may sleep.
 */
void kmm_swap_tell_path(struct file *file, char *buf, size_t size_bytes)
{
	char *text = kmm_should_fail() ? NULL : kmalloc(PATH_MAX, GFP_KERNEL);
	const char *path = text ? file_path(file, text, PATH_MAX) : ERR_PTR(-ENOMEM);
	size_t len;

	if (IS_ERR(path))
		path = "?";
	len = strlen(path);
	strscpy(buf, len < size_bytes ? path : path + len - size_bytes + 1, size_bytes);
	kfree(text);
}

static u64 file_tell(struct kmm_swap_area *a, char *buf, size_t size_bytes)
{
	struct file_area *f = a->priv;

	kmm_swap_tell_path(f->file, buf, size_bytes);
	return sizeof(*f) + f->max_extents * sizeof(*f->extents);
}

static const struct kmm_swap_ops file_ops = {
	.name = "file",
	.write = file_write,
	.read = file_read,
	.close = file_close,
	.tell = file_tell,
};

/* An area by extents; -EOPNOTSUPP: there are none to be had. */
static int file_add_extents(struct kmm_swap *s, struct kmm_account *account, struct file *file,
			    u32 max, int prio)
{
	struct inode *inode = file->f_mapping->host;
	bool has_activate = inode->i_mapping->a_ops->swap_activate;
	struct file_area *f;
	int err;

	f = kmm_account_zalloc(account, sizeof(*f));
	if (IS_ERR(f))
		return PTR_ERR(f);
	f->account = account;
	f->file = get_file(file);
	inode_lock(inode);
	err = kmm_swap_claim(inode);
	if (err) {
		inode_unlock(inode);
		file_area_free(f, false);
		return err;
	}
	if (has_activate)
		err = file_activate_locked(f, inode, max);
	inode_unlock(inode);
	if (!has_activate)
		err = file_walk_blocks(f, inode, max);
	if (err) {
		file_area_free(f, true);
		return err;
	}
	return kmm_swap_add(s, account, &file_ops, f, f->nr_slots, prio);
}

/**
 * kmm_swap_file_add() - An area on what a descriptor stands for.
 * @s: swap
 * @account: pays for the description
 * @file: regular file or block device
 * @prio: as kmm_swap_add()
 *
 * Context: task, may sleep; no inode is locked.
 * Return: id; -EACCES not open for reading and writing; -EINVAL neither file nor block device, open
 * for appending, without a page, encrypted, or with holes; -EBUSY in use as swap, or DAX; -ETXTBSY
 * mapped shared and writable; -EINTR; errors of the file system; else as kmm_swap_add().
 */
int kmm_swap_file_add(struct kmm_swap *s, struct kmm_account *account, struct file *file, int prio)
{
	struct inode *inode = file->f_mapping->host;
	const struct address_space_operations *a_ops = inode->i_mapping->a_ops;
	u64 nr_slots = i_size_read(inode) >> PAGE_SHIFT;
	int err = -EOPNOTSUPP;

	if (!S_ISREG(inode->i_mode) && !S_ISBLK(inode->i_mode))
		return -EINVAL;
	if (!(file->f_mode & FMODE_READ) || !(file->f_mode & FMODE_WRITE))
		return -EACCES;
	if (file->f_flags & O_APPEND)
		return -EINVAL;
	if (S_ISBLK(inode->i_mode))
		return kmm_swap_bdev_add(s, account, file, prio);
	if (!nr_slots || IS_ENCRYPTED(inode))
		return -EINVAL;
	nr_slots = min_t(u64, nr_slots, KMM_SWAP_SLOTS_MAX);
	if (a_ops->swap_activate || a_ops->bmap)
		err = file_add_extents(s, account, file, nr_slots, prio);
	if (err == -EOPNOTSUPP)
		err = kmm_swap_io_add(s, account, file, prio);
	return err;
}
