// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Swap to a block device, and I/O by bio
 *
 * A whole device or partition, opened for kmm alone: what is mounted, part of another device, or
 * the host's swap cannot be had. Slot n is the nth page of it; pages in a row go in one bio,
 * from and to the frames themselves, past the page cache.
 *
 * Whoever has the device open beside us could still write to it through the page cache. So its
 * inode gets the flag of a swap file, as the host's swapon does it: such writes fail with
 * ETXTBSY. The checksums of swap.c find what comes in by other ways.
 *
 * kmm_swap_bio(), kmm_swap_claim() and kmm_swap_unclaim() serve file.c as well.
 *
 * Locks: the inode's lock while the flag changes.
 *
 * What this deliberately does not do: no discard, no zoned devices, no block larger than a page,
 * no asynchronous bios: who writes or reads waits for it.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/swap.h>

/**
 * struct bdev_area - a device
 * @handle: the host's, open for us alone
 * @bdev: the same
 * @inode: of @bdev, claimed
 * @account: pays for this struct
 */
struct bdev_area {
	kmm_host_bdev_t handle;
	struct block_device *bdev;
	struct inode *inode;
	struct kmm_account *account;
};

/* === For file.c, too === */

/**
 * kmm_swap_bio() - Write or read pages that stand together.
 * @bdev: device
 * @first: where the first page goes, in pages
 * @pages: pages
 * @nr: how many, at most KMM_SWAP_BATCH
 * @write: or read
 *
 * Context: task, may sleep; allocates nothing. Return: 0, or the error of the device.
 */
int kmm_swap_bio(struct block_device *bdev, u64 first, struct page **pages, unsigned int nr,
		 bool write)
{
	struct bio_vec vecs[KMM_SWAP_BATCH];
	struct bio bio;
	unsigned int i;
	int err;

	bio_init(&bio, bdev, vecs, nr, (write ? REQ_OP_WRITE : REQ_OP_READ) | REQ_SYNC | REQ_SWAP);
	bio.bi_iter.bi_sector = first << (PAGE_SHIFT - SECTOR_SHIFT);
	for (i = 0; i < nr; i++)
		__bio_add_page(&bio, pages[i], PAGE_SIZE, 0);
	/* not a failure point: swap/swap.c has asked for the batch */
	err = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return err;
}

/**
 * kmm_swap_claim() - Mark an inode as a swap file: nobody else may write to it.
 * @inode: of a regular file or device; the caller holds its lock
 *
 * Context: task, may sleep.
 * Return: 0; -EBUSY it is one, or DAX; -ETXTBSY somebody has it mapped shared and writable.
 */
int kmm_swap_claim(struct inode *inode)
{
	lockdep_assert_held(&inode->i_rwsem);
	if (IS_SWAPFILE(inode) || IS_DAX(inode))
		return -EBUSY;
	if (mapping_writably_mapped(inode->i_mapping))
		return -ETXTBSY;
	inode_dio_wait(inode);
	inode->i_flags |= S_SWAPFILE;
	return 0;
}

/**
 * kmm_swap_unclaim() - Undo kmm_swap_claim().
 * @inode: inode; its lock is free
 *
 * What the page cache has of it is older than what was written past it.
 *
 * Context: task, may sleep.
 */
void kmm_swap_unclaim(struct inode *inode)
{
	invalidate_inode_pages2(inode->i_mapping);
	inode_lock(inode);
	inode->i_flags &= ~S_SWAPFILE;
	inode_unlock(inode);
}

/* === The area === */

static int bdev_write(struct kmm_swap_area *a, u32 slot, struct page **pages, unsigned int nr)
{
	struct bdev_area *b = a->priv;

	return kmm_swap_bio(b->bdev, slot, pages, nr, true);
}

static int bdev_read(struct kmm_swap_area *a, u32 slot, struct page **pages, unsigned int nr)
{
	struct bdev_area *b = a->priv;

	return kmm_swap_bio(b->bdev, slot, pages, nr, false);
}

static void bdev_close(struct kmm_swap_area *a)
{
	struct bdev_area *b = a->priv;

	kmm_swap_unclaim(b->inode);
	kmm_host_bdev_close(b->handle, b);
	kmm_account_free(b->account, b, sizeof(*b));
}

static u64 bdev_tell(struct kmm_swap_area *a, char *buf, size_t size_bytes)
{
	struct bdev_area *b = a->priv;

	snprintf(buf, size_bytes, "/dev/%pg", b->bdev);
	return sizeof(*b);
}

static const struct kmm_swap_ops bdev_ops = {
	.name = "partition",
	.write = bdev_write,
	.read = bdev_read,
	.close = bdev_close,
	.tell = bdev_tell,
};

/**
 * kmm_swap_bdev_add() - An area on a block device.
 * @s: swap
 * @account: pays for the description
 * @file: of the device, open for reading and writing
 * @prio: as kmm_swap_add()
 *
 * Context: task, may sleep.
 * Return: id; -EBUSY it is in use; -ETXTBSY it is mapped shared and writable; -EINVAL zoned, its
 * blocks are larger than a page, or it has no page; errors of opening it; else as kmm_swap_add().
 */
int kmm_swap_bdev_add(struct kmm_swap *s, struct kmm_account *account, struct file *file, int prio)
{
	struct inode *inode = file->f_mapping->host;
	struct bdev_area *b;
	u64 nr_slots;
	int err;

	b = kmm_account_zalloc(account, sizeof(*b));
	if (IS_ERR(b))
		return PTR_ERR(b);
	b->account = account;
	b->inode = inode;
	b->handle = kmm_host_bdev_open(inode->i_rdev, b);
	err = PTR_ERR_OR_ZERO(b->handle);
	if (err)
		goto free;
	b->bdev = kmm_host_bdev(b->handle);
	err = -EINVAL;
	if (bdev_is_zoned(b->bdev) || bdev_logical_block_size(b->bdev) > PAGE_SIZE)
		goto close;
	inode_lock(inode);
	err = kmm_swap_claim(inode);
	inode_unlock(inode);
	if (err)
		goto close;
	/* What others wrote through it must not come later than we do. */
	sync_blockdev(b->bdev);
	nr_slots = bdev_nr_bytes(b->bdev) >> PAGE_SHIFT;
	return kmm_swap_add(s, account, &bdev_ops, b, min_t(u64, nr_slots, KMM_SWAP_SLOTS_MAX),
			    prio);

close:
	kmm_host_bdev_close(b->handle, b);
free:
	kmm_account_free(account, b, sizeof(*b));
	return err;
}
