// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Provider cma
 *
 * The kernel's contiguous memory allocator, reached the way a driver reaches it: a platform
 * device without hardware asks the DMA API for pages. cma_alloc() itself is not exported
 * until 7.x.
 *
 * The DMA API falls back to the page allocator when CMA cannot serve a small request, and
 * does not say so. So the free CMA pages are looked at before, and a request that cannot have
 * come from CMA is not made: then the region is never called "cma" when it is not. In guests
 * with encrypted memory (SEV, TDX) the DMA API would hand out decrypted pages: refused.
 *
 * Extents: one, aligned to what CONFIG_CMA_ALIGNMENT gives (1 MiB by default), zeroed,
 * reference count 1 on every page, not compound.
 *
 * Owner: struct kmm_cma in @provider_priv, from acquire to fini.
 */

#include <linux/cc_platform.h>
#include <linux/dma-mapping.h>
#include <linux/log2.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/vmstat.h>

#include <kmm/inject.h>
#include <kmm/region.h>

struct kmm_cma {
	struct platform_device *pdev;
	dma_addr_t dma;
};

static unsigned long kmm_cma_free_pages(void)
{
#ifdef CONFIG_CMA
	return global_zone_page_state(NR_FREE_CMA_PAGES);
#else
	return 0;
#endif
}

/* A round size that leaves some room for the kernel's other users of CMA. */
static unsigned long kmm_cma_suggest_mb(unsigned long nr_pages)
{
	unsigned long mb = DIV_ROUND_UP(nr_pages, SZ_1M >> PAGE_SHIFT);

	return roundup_pow_of_two(mb + mb / 4);
}

static void kmm_cma_fini(struct kmm_region *r)
{
	struct kmm_cma *c = r->provider_priv;

	if (!c)
		return;
	platform_device_unregister(c->pdev);
	kfree(c);
	r->provider_priv = NULL;
}

static int kmm_cma_acquire(struct kmm_region *r, unsigned long nr_pages)
{
	unsigned long avail = kmm_cma_free_pages();
	struct kmm_cma *c;
	struct page *page;
	int err;

	if (cc_platform_has(CC_ATTR_MEM_ENCRYPT)) {
		kmm_region_explain(r, "cma: refused, the DMA API decrypts memory in this guest");
		return -EOPNOTSUPP;
	}
	if (!IS_ENABLED(CONFIG_DMA_CMA)) {
		kmm_region_explain(r, "cma: wanted %lu MiB, this kernel has none (built without CONFIG_DMA_CMA); with one that has, add cma=%luM to its command line",
				   nr_pages >> 8, kmm_cma_suggest_mb(nr_pages));
		return -EOPNOTSUPP;
	}
	if (avail < nr_pages) {
		kmm_region_explain(r, "cma: wanted %lu MiB, %lu MiB of CMA free; add cma=%luM to the kernel command line",
				   nr_pages >> 8, avail >> 8,
				   kmm_cma_suggest_mb(nr_pages));
		return -ENOMEM;
	}

	c = kmm_should_fail() ? NULL : kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	if (!c)
		return -ENOMEM;
	c->pdev = kmm_should_fail() ? ERR_PTR(-ENOMEM) :
		  platform_device_register_simple("kmm-region", PLATFORM_DEVID_AUTO, NULL, 0);
	if (IS_ERR(c->pdev)) {
		err = PTR_ERR(c->pdev);
		goto free_priv;
	}
	err = dma_coerce_mask_and_coherent(&c->pdev->dev, DMA_BIT_MASK(64));
	if (err)
		goto unregister;
	page = kmm_should_fail() ? NULL :
	       dma_alloc_pages(&c->pdev->dev, nr_pages << PAGE_SHIFT, &c->dma, DMA_BIDIRECTIONAL,
			       GFP_KERNEL | __GFP_NOWARN);
	if (!page) {
		kmm_region_explain(r, "cma: wanted %lu MiB, %lu MiB of CMA free but not in one piece; add cma=%luM to the kernel command line",
				   nr_pages >> 8, avail >> 8, kmm_cma_suggest_mb(nr_pages));
		err = -ENOMEM;
		goto unregister;
	}
	r->provider_priv = c;
	err = kmm_region_add_extent(r, page_to_pfn(page), nr_pages, 0);
	if (!err)
		return 0;
	r->provider_priv = NULL;
	dma_free_pages(&c->pdev->dev, nr_pages << PAGE_SHIFT, page, c->dma, DMA_BIDIRECTIONAL);
unregister:
	platform_device_unregister(c->pdev);
free_priv:
	kfree(c);
	return err;
}

static void kmm_cma_release(struct kmm_region *r, struct kmm_extent *e)
{
	struct kmm_cma *c = r->provider_priv;

	dma_free_pages(&c->pdev->dev, e->nr_pages << PAGE_SHIFT, pfn_to_page(e->start_pfn), c->dma,
		       DMA_BIDIRECTIONAL);
}

const struct kmm_region_ops kmm_region_cma = {
	.name = "cma",
	.acquire = kmm_cma_acquire,
	.release = kmm_cma_release,
	.fini = kmm_cma_fini,
};
