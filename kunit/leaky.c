// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: kmm_leaky.ko
 *
 * A client of kmm that loses memory, for the selftest of kmemleak and for trying it out, what
 * samples/kmemleak is in the kernel. What is written to its parameter plant is done:
 *
 *	object kmalloc large page block vmalloc
 *		take memory of this kind; the only pointer to it is kept inverted, so no scan
 *		finds it
 *	inside	take kmalloc memory and keep a pointer to its middle
 *	free	give back all that was taken
 *
 * Its variables are registered as a root. On unload all is given back, too.
 */

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <kmm/kmm.h>

#define LEAKY_OBJECT_BYTES	200
#define LEAKY_BLOCK_ORDER	2

/* Protects what follows. */
static DEFINE_MUTEX(leaky_lock);

/* A pointer that a scan does not see as one. */
struct leaky_memory {
	unsigned long inverted;
	void (*give)(void *p);
};

static struct leaky_memory leaky_taken[256];
static unsigned int leaky_nr;
static struct kmm_cache *leaky_cache;

/* The pointer into the middle of what is not lost. */
static void *leaky_kept;

static void leaky_give_object(void *p)
{
	kmm_cache_free(leaky_cache, p);
}

static void leaky_give_kmalloc(void *p)
{
	kmm_kfree(p);
}

static void leaky_give_page(void *p)
{
	kmm_free_pages((unsigned long)p, 0);
}

static void leaky_give_block(void *p)
{
	kmm_free_pages((unsigned long)p, LEAKY_BLOCK_ORDER);
}

static void leaky_give_vmalloc(void *p)
{
	kmm_vfree(p);
}

static void *leaky_take_object(void)
{
	return kmm_cache_zalloc(leaky_cache, GFP_KERNEL);
}

static void *leaky_take_kmalloc(void)
{
	return kmm_kzalloc(100, GFP_KERNEL);
}

static void *leaky_take_inside(void)
{
	void *p = kmm_kzalloc(1000, GFP_KERNEL);

	/* nobody reads it: without this there is no such variable */
	WRITE_ONCE(leaky_kept, p ? p + 500 : NULL);
	return p;
}

static void *leaky_take_large(void)
{
	return kmm_kzalloc(20000, GFP_KERNEL);
}

static void *leaky_take_page(void)
{
	return (void *)__kmm_get_free_pages(GFP_KERNEL | __GFP_ZERO, 0);
}

static void *leaky_take_block(void)
{
	struct page *page = kmm_alloc_pages(GFP_KERNEL | __GFP_ZERO, LEAKY_BLOCK_ORDER);

	return page ? page_address(page) : NULL;
}

static void *leaky_take_vmalloc(void)
{
	return kmm_vzalloc(3 * PAGE_SIZE);
}

/*
 * An area with the addresses of objects that are free again: the next ones of leaky_take_kmalloc()
 * are at some of them.
 */
static void *leaky_take_stale(void)
{
	unsigned int i, nr = PAGE_SIZE / sizeof(void *);
	void **stale = kmm_vmalloc(PAGE_SIZE);

	for (i = 0; stale && i < nr; i++)
		stale[i] = leaky_take_kmalloc();
	for (i = 0; stale && i < nr; i++)
		kmm_kfree(stale[i]);
	return stale;
}

static const struct leaky_kind {
	const char *name;
	void *(*take)(void);
	void (*give)(void *p);
} leaky_kinds[] = {
	{ "object", leaky_take_object, leaky_give_object },
	{ "kmalloc", leaky_take_kmalloc, leaky_give_kmalloc },
	{ "large", leaky_take_large, leaky_give_kmalloc },
	{ "page", leaky_take_page, leaky_give_page },
	{ "block", leaky_take_block, leaky_give_block },
	{ "vmalloc", leaky_take_vmalloc, leaky_give_vmalloc },
	{ "inside", leaky_take_inside, leaky_give_kmalloc },
	{ "stale", leaky_take_stale, leaky_give_vmalloc },
};

static void leaky_free_all(void)
{
	while (leaky_nr--)
		leaky_taken[leaky_nr].give((void *)~leaky_taken[leaky_nr].inverted);
	leaky_nr = 0;
	WRITE_ONCE(leaky_kept, NULL);
}

static int leaky_plant(const struct leaky_kind *kind)
{
	void *p;

	if (leaky_nr == ARRAY_SIZE(leaky_taken))
		return -ENOSPC;
	p = kind->take();
	if (!p)
		return -ENOMEM;
	leaky_taken[leaky_nr].inverted = ~(unsigned long)p;
	leaky_taken[leaky_nr].give = kind->give;
	leaky_nr++;
	return 0;
}

static int leaky_set(const char *val, const struct kernel_param *kp)
{
	int err = -EINVAL;
	unsigned int i;

	/* While the module is loaded there is no cache yet. */
	if (!leaky_cache)
		return -ENODEV;
	mutex_lock(&leaky_lock);
	for (i = 0; i < ARRAY_SIZE(leaky_kinds); i++)
		if (sysfs_streq(val, leaky_kinds[i].name))
			err = leaky_plant(&leaky_kinds[i]);
	if (sysfs_streq(val, "free")) {
		leaky_free_all();
		err = 0;
	}
	mutex_unlock(&leaky_lock);
	return err;
}

static int leaky_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(leaky_nr));
}

static const struct kernel_param_ops leaky_ops = { .set = leaky_set, .get = leaky_get };

module_param_cb(plant, &leaky_ops, NULL, 0600);
MODULE_PARM_DESC(plant, "object, kmalloc, large, page, block, vmalloc, inside, stale: take it; free: give all back");

static int __init leaky_init(void)
{
	int err = kmm_kmemleak_register_module(THIS_MODULE);

	if (err)
		return err;
	leaky_cache = kmm_cache_create("leaky", LEAKY_OBJECT_BYTES, 0, 0, NULL);
	if (leaky_cache)
		return 0;
	kmm_kmemleak_unregister_module(THIS_MODULE);
	return -ENOMEM;
}
module_init(leaky_init);

static void __exit leaky_exit(void)
{
	mutex_lock(&leaky_lock);
	leaky_free_all();
	mutex_unlock(&leaky_lock);
	kmm_cache_destroy(leaky_cache);
	kmm_kmemleak_unregister_module(THIS_MODULE);
}
module_exit(leaky_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Loses memory of kmm, to test kmemleak");
