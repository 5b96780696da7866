// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: What debugging keeps for each frame
 *
 * struct kmm_frame has 16 bytes and all are in use. What only some debugging feature wants to
 * know of a frame stands in a second array, which exists only if one wants it: as in the
 * kernel's page_ext, each client is asked once, when the region is there, whether it needs a
 * part (need()) and how large it is (size()). The parts are laid one behind the other into an
 * entry, and one array of entries, by the same index as the frames, is carved by the region's
 * early allocator. An entry is a multiple of a frame's size, so a part is found from the frame's
 * address by a multiplication and an addition (kmm_page_ext_of()). Nobody needs any: no array, not
 * a byte.
 *
 * States: before kmm_page_ext_init() and without any client, @needed is 0 and every
 * kmm_page_ext_get() is NULL; after it nothing changes until the region goes, and the array
 * with it, as metadata, but which clients are on (kmm_page_ext_switch()).
 *
 * That is why a client can be switched on at run time only when it asked for its part at load:
 * the frames that the array would have to come from are the buddy's by then.
 *
 * A client is a line in enum kmm_page_ext_id and one in kmm_page_ext_clients[]. A test gives a
 * table of its own to kmm_page_ext_init(), so that a private region has what the case needs.
 *
 * Invariants: parts do not overlap, and each is aligned to 8 bytes; entries are zero at first.
 *
 * Locks: none; each client has its own rule for its part.
 *
 * It deliberately does not: late arrays, sparse sections, flags shared between clients.
 */
#include <linux/align.h>
#include <linux/errno.h>
#include <linux/overflow.h>

#include <compat/compat.h>
#include <kmm/debug_pagealloc.h>
#include <kmm/page_ext.h>
#include <kmm/page_owner.h>
#include <kmm/page_table_check.h>
#include <kmm/region.h>

const struct kmm_page_ext_client * const kmm_page_ext_clients[KMM_NR_PAGE_EXT] = {
	[KMM_PAGE_EXT_OWNER] = &kmm_page_owner_client,
	[KMM_PAGE_EXT_PAGEALLOC] = &kmm_debug_pagealloc_client,
	[KMM_PAGE_EXT_TABLE_CHECK] = &kmm_page_table_check_client,
};

/**
 * kmm_page_ext_init() - Ask all clients, and carve the array.
 * @r: region, its early allocator open
 * @clients: table of KMM_NR_PAGE_EXT clients; NULL entries need nothing
 *
 * Context: may sleep. Return: 0, or -ENOMEM; then no client has a part.
 */
int kmm_page_ext_init(struct kmm_region *r, const struct kmm_page_ext_client * const *clients)
{
	struct kmm_page_ext ext = { };
	enum kmm_page_ext_id id;

	r->ext = ext;
	for (id = 0; id < KMM_NR_PAGE_EXT; id++) {
		if (!clients[id] || !clients[id]->need())
			continue;
		ext.needed |= BIT(id);
		ext.offset[id] = ext.size;
		ext.size += ALIGN(clients[id]->size(), sizeof(u64));
	}
	if (!ext.needed)
		return 0;
	ext.size = ALIGN(ext.size, sizeof(struct kmm_frame));
	ext.ratio = ext.size / sizeof(struct kmm_frame);
	ext.base = kmm_region_early_alloc(r, array_size(r->nr_index, ext.size), sizeof(u64));
	if (!ext.base)
		return -ENOMEM;
	r->ext = ext;
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_page_ext_init);

/**
 * kmm_page_ext_switch() - A client is on or off in a region from now on.
 * @r: region
 * @id: of the client, which has a part
 * @on: so
 *
 * Context: any; the client serialises.
 */
void kmm_page_ext_switch(struct kmm_region *r, enum kmm_page_ext_id id, bool on)
{
	struct kmm_page_ext *ext = &r->ext;
	/* Not 0: the two arrays lie in one map of all memory, far from address 0. */
	unsigned long add = (unsigned long)ext->base + ext->offset[id] -
			    (unsigned long)r->frames * ext->ratio;

	WRITE_ONCE(ext->on[id], on ? add : 0);
}
KMM_EXPORT_INTERNAL(kmm_page_ext_switch);

/**
 * kmm_page_ext_bytes() - What the array takes.
 * @r: region
 *
 * Context: any. Return: bytes of the region.
 */
size_t kmm_page_ext_bytes(const struct kmm_region *r)
{
	return r->nr_index * r->ext.size;
}
KMM_EXPORT_INTERNAL(kmm_page_ext_bytes);
