// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: kmm_importer.ko
 *
 * A driver with a device that takes dma-bufs, for tests: /dev/kmm_importer, root only. It
 * does what a display or a camera driver does with a buffer, and lets user space see each step:
 * attach, map for DMA, vmap, begin and end of CPU access, detach. What the "device" sees is
 * read and written by the bus addresses of the scatter list; without an IOMMU these are physical.
 *
 * It knows nothing of kmm, so it shows that any importer of the host can use kmm's dma-bufs.
 *
 * Locks: one mutex per open file.
 *
 * Not part of kmm: never shipped, and not a feature.
 */

#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/iosys-map.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <compat/compat.h>

#include "importer.h"

static struct platform_device *importer_pdev;

/**
 * struct importer - one open file
 * @lock: protects the rest
 * @buf: NULL when nothing is attached
 * @at: attachment, when @buf is there
 * @sgt: NULL without IMPORTER_SG
 * @map: of the kernel; NULL without IMPORTER_VMAP
 * @dir: of @sgt
 */
struct importer {
	struct mutex lock;	/* protects the rest */
	struct dma_buf *buf;
	struct dma_buf_attachment *at;
	struct sg_table *sgt;
	struct iosys_map map;
	enum dma_data_direction dir;
};

static void importer_detach(struct importer *im)
{
	if (!im->buf)
		return;
	if (iosys_map_is_set(&im->map))
		kmm_dma_buf_vunmap(im->buf, &im->map);
	if (im->sgt)
		kmm_dma_buf_unmap_attachment(im->at, im->sgt, im->dir);
	if (im->at)
		dma_buf_detach(im->buf, im->at);
	dma_buf_put(im->buf);
	iosys_map_clear(&im->map);
	im->sgt = NULL;
	im->at = NULL;
	im->buf = NULL;
}

static int importer_attach(struct importer *im, struct importer_attach *a)
{
	struct device *dev = &importer_pdev->dev;
	int err;

	if (im->buf)
		return -EBUSY;
	if (a->dir > IMPORTER_FROM_DEVICE || a->views & ~(IMPORTER_SG | IMPORTER_VMAP))
		return -EINVAL;
	if (device_iommu_mapped(dev))
		return -EOPNOTSUPP;
	im->buf = dma_buf_get(a->fd);
	if (IS_ERR(im->buf)) {
		err = PTR_ERR(im->buf);
		im->buf = NULL;
		return err;
	}
	im->at = dma_buf_attach(im->buf, dev);
	if (IS_ERR(im->at)) {
		err = PTR_ERR(im->at);
		im->at = NULL;
		goto detach;
	}
	if (a->views & IMPORTER_SG) {
		im->dir = a->dir;
		im->sgt = kmm_dma_buf_map_attachment(im->at, im->dir);
		if (IS_ERR(im->sgt)) {
			err = PTR_ERR(im->sgt);
			im->sgt = NULL;
			goto detach;
		}
		a->nr_entries = im->sgt->nents;
	}
	if (a->views & IMPORTER_VMAP) {
		err = kmm_dma_buf_vmap(im->buf, &im->map);
		if (err) {
			iosys_map_clear(&im->map);
			goto detach;
		}
	}
	a->size_bytes = im->buf->size;
	return 0;

detach:
	importer_detach(im);
	return err;
}

/* @at of the buffer as the device finds it; @left: bytes from there in one piece. */
static void *importer_sg_address(struct importer *im, u64 at, u64 *left)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sgtable_dma_sg(im->sgt, sg, i) {
		if (at < sg_dma_len(sg)) {
			*left = sg_dma_len(sg) - at;
			return phys_to_virt(sg_dma_address(sg) + at);
		}
		at -= sg_dma_len(sg);
	}
	return NULL;
}

static int importer_io(struct importer *im, const struct importer_io *io)
{
	u64 offset = io->offset, len = io->len;
	u8 __user *data = u64_to_user_ptr(io->data);

	if (!im->buf || (io->view == IMPORTER_SG && !im->sgt) ||
	    (io->view == IMPORTER_VMAP && !iosys_map_is_set(&im->map)) ||
	    (io->view != IMPORTER_SG && io->view != IMPORTER_VMAP))
		return -EINVAL;
	if (offset > im->buf->size || len > im->buf->size - offset)
		return -ERANGE;
	while (len) {
		u64 n = len;
		void *p;

		if (io->view == IMPORTER_VMAP)
			p = im->map.vaddr + offset;
		else
			p = importer_sg_address(im, offset, &n);
		if (!p)
			return -EIO;
		n = min(min(n, len), (u64)(PAGE_SIZE - offset_in_page(offset)));
		if (io->write ? copy_from_user(p, data, n) : copy_to_user(data, p, n))
			return -EFAULT;
		data += n;
		offset += n;
		len -= n;
	}
	return 0;
}

static int importer_sync(struct importer *im, const struct importer_sync *s)
{
	if (!im->buf || s->dir > IMPORTER_FROM_DEVICE)
		return -EINVAL;
	return s->end ? dma_buf_end_cpu_access(im->buf, s->dir) :
			dma_buf_begin_cpu_access(im->buf, s->dir);
}

static long importer_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *uarg = (void __user *)arg;
	struct importer *im = file->private_data;
	union {
		struct importer_attach attach;
		struct importer_io io;
		struct importer_sync sync;
	} u;
	int err;

	if (_IOC_SIZE(cmd) > sizeof(u))
		return -ENOTTY;
	if (copy_from_user(&u, uarg, _IOC_SIZE(cmd)))
		return -EFAULT;
	mutex_lock(&im->lock);
	switch (cmd) {
	case IMPORTER_ATTACH:
		err = importer_attach(im, &u.attach);
		if (!err && copy_to_user(uarg, &u.attach, sizeof(u.attach))) {
			importer_detach(im);
			err = -EFAULT;
		}
		break;
	case IMPORTER_IO:
		err = importer_io(im, &u.io);
		break;
	case IMPORTER_SYNC:
		err = importer_sync(im, &u.sync);
		break;
	case IMPORTER_DETACH:
		importer_detach(im);
		err = 0;
		break;
	default:
		err = -ENOTTY;
	}
	mutex_unlock(&im->lock);
	return err;
}

static int importer_open(struct inode *inode, struct file *file)
{
	struct importer *im = kzalloc(sizeof(*im), GFP_KERNEL);

	if (!im)
		return -ENOMEM;
	mutex_init(&im->lock);
	file->private_data = im;
	return 0;
}

static int importer_release(struct inode *inode, struct file *file)
{
	struct importer *im = file->private_data;

	importer_detach(im);
	mutex_destroy(&im->lock);
	kfree(im);
	return 0;
}

static const struct file_operations importer_fops = {
	.owner = THIS_MODULE,
	.open = importer_open,
	.release = importer_release,
	.unlocked_ioctl = importer_ioctl,
};

static struct miscdevice importer_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kmm_importer",
	.fops = &importer_fops,
	.mode = 0600,
};

static int __init importer_init(void)
{
	int err;

	importer_pdev = platform_device_register_simple("kmm_importer", -1, NULL, 0);
	if (IS_ERR(importer_pdev))
		return PTR_ERR(importer_pdev);
	err = dma_coerce_mask_and_coherent(&importer_pdev->dev, DMA_BIT_MASK(64));
	if (!err)
		err = misc_register(&importer_misc);
	if (err)
		platform_device_unregister(importer_pdev);
	return err;
}
module_init(importer_init);

static void __exit importer_exit(void)
{
	misc_deregister(&importer_misc);
	platform_device_unregister(importer_pdev);
}
module_exit(importer_exit);

KMM_IMPORT_DMA_BUF();
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("An importer of dma-bufs, for the tests of kmm");
