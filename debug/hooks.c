// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Where debugging hooks in
 *
 * What is off must cost nothing. So the fast paths of pages (buddy.c), objects (slab.c) and
 * areas (vmap.c) have one static key each, and everything that wants a look at each operation,
 * trace events included, counts itself in there: with the key off the path has one patched
 * no-op, with it on it leaves for its slow variant.
 *
 * The slow variants call the functions of include/kmm/hooks.h, one per event. A feature (page
 * owners, poisoning, kfence, leaks) has a line in each event that it wants, behind a static key
 * of its own; nowhere else does a feature touch the allocators.
 *
 *	page	alloc -> (client) -> [split] -> free -> idle
 *						     \-> pinned -> idle
 *	object	(instead) | alloc -> free;  stray: freed, but in no slab
 *	vmap	alloc -> free
 *
 * Objects and pages have two levels, for what people leave on. With zeroing and hardened caches:
 * kmm_slab_key takes an operation to the variant that does just these two, kmm_slab_hook_key
 * from there to the full one, which traces and calls the hooks. With page_owner: kmm_page_key
 * takes it to the short forms of its hooks, without a call, and kmm_page_hook_key to the full ones.
 *
 * Invariants: the count of kmm_page_key is the number of features, switches and trace events of
 * pages that are on, and so for the others; a feature's key is on only while those of its
 * paths are. The order in kmm_hooks_on() is: the feature first, so that nothing reaches a hook
 * whose feature is half on; off is the reverse. An operation that began before may still call
 * the feature afterwards: it waits for no one.
 *
 * Locks: jump_label's own; keys are switched from sleepable context only.
 *
 * It deliberately does not: lists of callbacks at run time. What hooks in can be read in one
 * header, and costs a no-op each while it is off.
 */

#include <linux/jump_label.h>

#include <compat/compat.h>
#include <kmm/paths.h>

DEFINE_STATIC_KEY_FALSE(kmm_page_key);
KMM_EXPORT_INTERNAL(kmm_page_key);
DEFINE_STATIC_KEY_FALSE(kmm_page_hook_key);
DEFINE_STATIC_KEY_FALSE(kmm_slab_key);
KMM_EXPORT_INTERNAL(kmm_slab_key);
DEFINE_STATIC_KEY_FALSE(kmm_slab_hook_key);
DEFINE_STATIC_KEY_FALSE(kmm_vmap_key);
KMM_EXPORT_INTERNAL(kmm_vmap_key);

/**
 * kmm_hooks_on() - A feature, or one more user of it, wants to see every operation.
 * @feature: its own key, counted up; NULL: it has none
 * @paths: bits of enum kmm_path
 *
 * Context: may sleep.
 */
void kmm_hooks_on(struct static_key_false *feature, unsigned int paths)
{
	if (feature)
		static_branch_inc(feature);
	if (paths & KMM_PATH_PAGE)
		static_branch_inc(&kmm_page_hook_key);
	if (paths & (KMM_PATH_PAGE | KMM_PATH_PAGE_OWNER))
		static_branch_inc(&kmm_page_key);
	if (paths & KMM_PATH_SLAB)
		static_branch_inc(&kmm_slab_hook_key);
	if (paths & (KMM_PATH_SLAB | KMM_PATH_SLAB_INIT))
		static_branch_inc(&kmm_slab_key);
	if (paths & KMM_PATH_VMAP)
		static_branch_inc(&kmm_vmap_key);
}
KMM_EXPORT_INTERNAL(kmm_hooks_on);

/**
 * kmm_hooks_off() - Undo kmm_hooks_on() with the same arguments.
 * @feature: its own key, counted down; NULL: it has none
 * @paths: bits of enum kmm_path
 *
 * Context: may sleep. Operations that run now may still call the feature.
 */
void kmm_hooks_off(struct static_key_false *feature, unsigned int paths)
{
	if (paths & KMM_PATH_VMAP)
		static_branch_dec(&kmm_vmap_key);
	if (paths & (KMM_PATH_SLAB | KMM_PATH_SLAB_INIT))
		static_branch_dec(&kmm_slab_key);
	if (paths & KMM_PATH_SLAB)
		static_branch_dec(&kmm_slab_hook_key);
	if (paths & (KMM_PATH_PAGE | KMM_PATH_PAGE_OWNER))
		static_branch_dec(&kmm_page_key);
	if (paths & KMM_PATH_PAGE)
		static_branch_dec(&kmm_page_hook_key);
	if (feature)
		static_branch_dec(feature);
}
KMM_EXPORT_INTERNAL(kmm_hooks_off);

/**
 * kmm_page_trace_reg() - The first probe of a trace event of pages comes.
 *
 * Context: may sleep. Return: 0.
 */
int kmm_page_trace_reg(void)
{
	kmm_hooks_on(NULL, KMM_PATH_PAGE);
	return 0;
}

/**
 * kmm_page_trace_unreg() - The last probe of a trace event of pages went.
 *
 * Context: may sleep.
 */
void kmm_page_trace_unreg(void)
{
	kmm_hooks_off(NULL, KMM_PATH_PAGE);
}

/**
 * kmm_slab_trace_reg() - The first probe of a trace event of objects comes.
 *
 * Context: may sleep. Return: 0.
 */
int kmm_slab_trace_reg(void)
{
	kmm_hooks_on(NULL, KMM_PATH_SLAB);
	return 0;
}

/**
 * kmm_slab_trace_unreg() - The last probe of a trace event of objects went.
 *
 * Context: may sleep.
 */
void kmm_slab_trace_unreg(void)
{
	kmm_hooks_off(NULL, KMM_PATH_SLAB);
}
