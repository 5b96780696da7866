// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_dmabuf
 *
 * Objects as dma-bufs without /dev/kmm: an object over a fake region, an anonymous file in place of
 * its own, and a platform device that attaches. What user space cannot force: each failure
 * point of kmm itself, and the exact charge of each step.
 */

#include <linux/anon_inodes.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
#include <linux/platform_device.h>
#include <linux/rcupdate.h>
#include <linux/scatterlist.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/dmabuf.h>
#include <kmm/inject.h>
#include <kmm/object.h>

#include "helpers.h"

#define NR_PAGES	300
#define NTH_MAX		100

struct fixture {
	struct kmm_test *t;
	struct kmm_accounts accounts;
	struct kmm_object_set set;
	struct kmm_account *a;
	struct kmm_object *o;
	struct file *file;
	struct platform_device *pdev;
	u64 host_bytes;
};

static const struct kmm_limits no_limits = {
	.frames = KMM_NO_LIMIT, .objects = KMM_NO_LIMIT, .names = KMM_NO_LIMIT,
	.host_bytes = KMM_NO_LIMIT,
};

static const struct file_operations no_fops = { };

static void uncharge(void *ctx, u32 owner, unsigned long nr_pages)
{
	kmm_accounts_uncharge_frames(ctx, owner, nr_pages);
}

static u64 charged(struct fixture *f)
{
	return kmm_account_used(f->a, KMM_RES_HOST_BYTES);
}

static struct fixture *begin(struct kunit *test, const struct kmm_limits *limits)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	struct kmm_object_attr attr = { .size_bytes = NR_PAGES * PAGE_SIZE };

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->t = kmm_test_begin(test, &kmm_layout_plain);
	f->t->buddy.ctx = &f->accounts;
	f->t->buddy.uncharge = uncharge;
	kmm_accounts_init(&f->accounts, limits, &no_limits);
	kmm_object_set_init(&f->set, &f->t->buddy, NULL);
	f->a = kmm_account_create(&f->accounts, GLOBAL_ROOT_UID, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR(f->a));
	f->o = kmm_object_create(&f->set, f->a, &attr);
	KUNIT_ASSERT_FALSE(test, IS_ERR(f->o));
	/* the leaf, so that a charge is the export's alone */
	KUNIT_ASSERT_EQ(test, kmm_object_populate(f->o, 0, 100), 0);
	f->file = anon_inode_getfile("kmm_dmabuf_kunit", &no_fops, NULL, O_RDWR);
	KUNIT_ASSERT_FALSE(test, IS_ERR(f->file));
	f->pdev = platform_device_register_simple("kmm_dmabuf_kunit", -1, NULL, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(f->pdev));
	KUNIT_ASSERT_EQ(test, dma_coerce_mask_and_coherent(&f->pdev->dev, DMA_BIT_MASK(64)), 0);
	f->host_bytes = charged(f);
	return f;
}

/* A thread of the kernel leaves the last step of a file to a work item. */
static void drop(struct file *file)
{
	fput(file);
	flush_delayed_fput();
}

static void end(struct kunit *test, struct fixture *f)
{
	unsigned int r;

	KUNIT_EXPECT_EQ(test, f->o->nr_pins, 0);
	KUNIT_EXPECT_EQ(test, f->o->nr_write_pins, 0);
	KUNIT_EXPECT_EQ(test, charged(f), f->host_bytes);
	KUNIT_EXPECT_EQ(test, file_count(f->file), 1);
	drop(f->file);
	platform_device_unregister(f->pdev);
	KUNIT_EXPECT_EQ(test, kmm_object_check(f->o), 0);
	kmm_object_destroy(f->o);
	for (r = 0; r < KMM_RES_HOST_BYTES; r++)
		KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, r), 0);
	kmm_account_put(f->a);
	kmm_accounts_fini(&f->accounts);
	kmm_object_set_fini(&f->set);
	f->t->buddy.uncharge = NULL;
	kmm_test_end(test);
	rcu_barrier();
}

static struct dma_buf *must_export(struct kunit *test, struct fixture *f, bool write)
{
	struct file *file = kmm_dmabuf_export(f->file, f->o, write);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(file), "%ld", PTR_ERR_OR_ZERO(file));
	return file->private_data;
}

/* Every frame of the object, in order, by the bus addresses of @sgt; no IOMMU is between. */
static void expect_frames(struct kunit *test, struct fixture *f, struct sg_table *sgt)
{
	struct sg_dma_page_iter it;
	pgoff_t index = 0;

	for_each_sgtable_dma_page(sgt, &it, 0) {
		struct page *page = kmm_object_get_page(f->o, index, false);

		KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page));
		KUNIT_EXPECT_EQ(test, sg_page_iter_dma_address(&it), page_to_phys(page));
		put_page(page);
		index++;
	}
	KUNIT_EXPECT_EQ(test, index, NR_PAGES);
}

static void export_shows_the_objects_frames(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct dma_buf_attachment *at;
	struct iosys_map map;
	struct dma_buf *buf;
	struct sg_table *sgt;
	struct page *page;

	buf = must_export(test, f, true);
	KUNIT_EXPECT_EQ(test, buf->size, NR_PAGES * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, f->o->resident, NR_PAGES);
	KUNIT_EXPECT_EQ(test, f->o->nr_pins, 1);
	KUNIT_EXPECT_EQ(test, file_count(f->file), 2);
	KUNIT_EXPECT_LE(test, f->host_bytes + 16 * NR_PAGES, charged(f));

	at = dma_buf_attach(buf, &f->pdev->dev);
	KUNIT_ASSERT_FALSE(test, IS_ERR(at));
	sgt = kmm_dma_buf_map_attachment(at, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_FALSE(test, IS_ERR(sgt));
	expect_frames(test, f, sgt);
	KUNIT_EXPECT_EQ(test, dma_buf_begin_cpu_access(buf, DMA_FROM_DEVICE), 0);
	KUNIT_ASSERT_EQ(test, kmm_dma_buf_vmap(buf, &map), 0);
	((char *)map.vaddr)[299 * PAGE_SIZE + 7] = 'v';
	page = kmm_object_get_page(f->o, 299, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page));
	KUNIT_EXPECT_EQ(test, ((char *)page_address(page))[7], 'v');
	put_page(page);
	kmm_dma_buf_vunmap(buf, &map);
	KUNIT_EXPECT_EQ(test, dma_buf_end_cpu_access(buf, DMA_FROM_DEVICE), 0);
	kmm_dma_buf_unmap_attachment(at, sgt, DMA_BIDIRECTIONAL);
	dma_buf_detach(buf, at);
	drop(buf->file);
	end(test, f);
}

/* Each mapping pays for itself, and two of one attachment are two. */
static void mappings_are_charged_one_by_one(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct dma_buf *buf = must_export(test, f, false);
	struct dma_buf_attachment *at;
	struct sg_table *sgt[2];
	u64 before, one;

	before = charged(f);
	at = dma_buf_attach(buf, &f->pdev->dev);
	KUNIT_ASSERT_FALSE(test, IS_ERR(at));
	KUNIT_EXPECT_EQ(test, charged(f), before + sizeof(*at));
	sgt[0] = kmm_dma_buf_map_attachment(at, DMA_TO_DEVICE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(sgt[0]));
	one = charged(f) - before - sizeof(*at);
	KUNIT_EXPECT_LE(test, sgt[0]->orig_nents * sizeof(struct scatterlist), one);
	sgt[1] = kmm_dma_buf_map_attachment(at, DMA_TO_DEVICE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(sgt[1]));
	KUNIT_EXPECT_PTR_NE(test, sgt[0], sgt[1]);
	KUNIT_EXPECT_EQ(test, charged(f), before + sizeof(*at) + 2 * one);
	kmm_dma_buf_unmap_attachment(at, sgt[0], DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, charged(f), before + sizeof(*at) + one);
	kmm_dma_buf_unmap_attachment(at, sgt[1], DMA_TO_DEVICE);
	dma_buf_detach(buf, at);
	KUNIT_EXPECT_EQ(test, charged(f), before);
	drop(buf->file);
	end(test, f);
}

static void read_only_export_is_for_reading(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct dma_buf *buf = must_export(test, f, false);
	struct dma_buf_attachment *at;
	struct iosys_map map;
	struct sg_table *sgt;

	KUNIT_EXPECT_EQ(test, f->o->nr_write_pins, 0);
	KUNIT_EXPECT_FALSE(test, buf->file->f_mode & FMODE_WRITE);
	KUNIT_EXPECT_EQ(test, kmm_dma_buf_vmap(buf, &map), -EINVAL);
	at = dma_buf_attach(buf, &f->pdev->dev);
	KUNIT_ASSERT_FALSE(test, IS_ERR(at));
	sgt = kmm_dma_buf_map_attachment(at, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(sgt), -EACCES);
	sgt = kmm_dma_buf_map_attachment(at, DMA_FROM_DEVICE);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(sgt), -EACCES);
	sgt = kmm_dma_buf_map_attachment(at, DMA_TO_DEVICE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(sgt));
	expect_frames(test, f, sgt);
	kmm_dma_buf_unmap_attachment(at, sgt, DMA_TO_DEVICE);
	dma_buf_detach(buf, at);
	drop(buf->file);
	end(test, f);
}

static void limit_refuses_and_changes_nothing(struct kunit *test)
{
	struct kmm_limits few = no_limits;
	struct fixture *f = begin(test, &no_limits);
	struct dma_buf_attachment *at;
	struct dma_buf *buf;
	struct file *file;
	struct sg_table *sgt;
	u64 now;

	/* frames, then each kind of host memory */
	f->a->limit[KMM_RES_FRAMES] = NR_PAGES - 1;
	file = kmm_dmabuf_export(f->file, f->o, true);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(file), -EDQUOT);
	KUNIT_EXPECT_EQ(test, f->o->nr_pins, 0);
	f->a->limit[KMM_RES_FRAMES] = few.frames;
	f->a->limit[KMM_RES_HOST_BYTES] = charged(f) + 16 * NR_PAGES;
	file = kmm_dmabuf_export(f->file, f->o, true);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(file), -EDQUOT);
	KUNIT_EXPECT_EQ(test, charged(f), f->host_bytes);
	f->a->limit[KMM_RES_HOST_BYTES] = few.host_bytes;
	buf = must_export(test, f, true);
	now = charged(f);
	f->a->limit[KMM_RES_HOST_BYTES] = now;
	at = dma_buf_attach(buf, &f->pdev->dev);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(at), -EDQUOT);
	f->a->limit[KMM_RES_HOST_BYTES] = now + sizeof(*at);
	at = dma_buf_attach(buf, &f->pdev->dev);
	KUNIT_ASSERT_FALSE(test, IS_ERR(at));
	sgt = kmm_dma_buf_map_attachment(at, DMA_BIDIRECTIONAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(sgt), -EDQUOT);
	KUNIT_EXPECT_EQ(test, charged(f), now + sizeof(*at));
	f->a->limit[KMM_RES_HOST_BYTES] = few.host_bytes;
	dma_buf_detach(buf, at);
	drop(buf->file);
	end(test, f);
}

/* Export, attach, map: as far as it gets. */
static int whole_way(struct fixture *f)
{
	struct file *file = kmm_dmabuf_export(f->file, f->o, true);
	struct dma_buf_attachment *at;
	struct sg_table *sgt;
	struct dma_buf *buf;
	int err = 0;

	if (IS_ERR(file))
		return PTR_ERR(file);
	buf = file->private_data;
	at = dma_buf_attach(buf, &f->pdev->dev);
	if (IS_ERR(at)) {
		err = PTR_ERR(at);
	} else {
		sgt = kmm_dma_buf_map_attachment(at, DMA_BIDIRECTIONAL);
		if (IS_ERR(sgt))
			err = PTR_ERR(sgt);
		else
			kmm_dma_buf_unmap_attachment(at, sgt, DMA_BIDIRECTIONAL);
		dma_buf_detach(buf, at);
	}
	drop(file);
	return err;
}

static void every_failure_point_leaves_nothing(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	unsigned long nth;
	bool fired = true;
	int err = 0;

	/* the frames that a way fills stay */
	KUNIT_ASSERT_EQ(test, kmm_object_populate(f->o, 0, NR_PAGES), 0);
	for (nth = 1; fired && nth < NTH_MAX; nth++) {
		kmm_inject_arm(nth);
		err = whole_way(f);
		fired = kmm_inject_disarm();
		KUNIT_EXPECT_EQ_MSG(test, err, fired ? -ENOMEM : 0, "failure %lu", nth);
		KUNIT_EXPECT_EQ_MSG(test, f->o->nr_pins, 0, "failure %lu", nth);
		KUNIT_EXPECT_EQ_MSG(test, charged(f), f->host_bytes, "failure %lu", nth);
		KUNIT_EXPECT_EQ_MSG(test, file_count(f->file), 1, "failure %lu", nth);
	}
	KUNIT_EXPECT_FALSE(test, fired);
	/* the export's struct, its array, its vmap, the dma-buf; attachment; mapping, its list */
	KUNIT_EXPECT_EQ(test, nth - 2, 7);
	end(test, f);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(export_shows_the_objects_frames),
	KUNIT_CASE(mappings_are_charged_one_by_one),
	KUNIT_CASE(read_only_export_is_for_reading),
	KUNIT_CASE(limit_refuses_and_changes_nothing),
	KUNIT_CASE(every_failure_point_leaves_nothing),
	{ }
};

struct kunit_suite kmm_dmabuf_suite = {
	.name = "kmm_dmabuf",
	.exit = kmm_test_exit,
	.test_cases = cases,
};

KMM_IMPORT_DMA_BUF();
