/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory objects: pages by index. See vm/object.c, object_{resize,seal,take}.c. */
#ifndef _KMM_OBJECT_H
#define _KMM_OBJECT_H

#include <linux/bits.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <linux/uidgid.h>

#include <kmm/lru.h>
#include <uapi/kmm.h>

struct address_space;
struct kmm_account;
struct kmm_buddy;
struct kmm_object;
struct kmm_swapin;
struct page;

/* A leaf of the page index is one host page and describes 2 MiB. */
#define KMM_LEAF_SHIFT		9
#define KMM_LEAF_ENTRIES	BIT(KMM_LEAF_SHIFT)

/* Most pages that kmm_object_lock_pages() gives at once: the fault-around window. */
#define KMM_FAULT_AROUND	16

/* Most pages that change their object in one step: the lock's hold time. */
#define KMM_TAKE_MAX		512

/**
 * struct kmm_leaf - entries of the page index
 * @entry: NULL: a hole; bit 0 clear: a struct page; bits 0-1 01: a page in swap, its entry
 *	above them; 11: a hole that a page was evicted from, its shadow above them.
 *	Protected by the object's lock.
 */
struct kmm_leaf {
	void *entry[KMM_LEAF_ENTRIES];
};

static inline bool kmm_entry_is_page(const void *entry)
{
	return entry && !((unsigned long)entry & 1);
}

static inline bool kmm_entry_is_swap(const void *entry)
{
	return ((unsigned long)entry & 3) == 1;
}

/* It reads as zeros. */
static inline bool kmm_entry_is_hole(const void *entry)
{
	return !entry || ((unsigned long)entry & 3) == 3;
}

static inline void *kmm_entry_of_swap(kmm_swp_t swp)
{
	return (void *)(swp << 2 | 1);
}

static inline kmm_swp_t kmm_entry_swap(const void *entry)
{
	return (unsigned long)entry >> 2;
}

static inline void *kmm_entry_of_shadow(u32 shadow)
{
	return (void *)((unsigned long)shadow << 2 | 3);
}

/* Of a hole; 0: nothing was evicted there. */
static inline u32 kmm_entry_shadow(const void *entry)
{
	return (unsigned long)entry >> 2;
}

/**
 * struct kmm_hold - pages of an object that are not evicted for the time of one operation of kmm
 * @first: first page
 * @end: behind the last one
 */
struct kmm_hold {
	pgoff_t first;
	pgoff_t end;
};

/* A punch cuts two pages in two. */
#define KMM_HOLDS	2

/**
 * struct kmm_mapping_ops - how the object layer reaches those who map an object
 * @unmap: take @nr pages from @first away from every mapping; afterwards no page table
 *	has them. @nr may go past the end of the object. Context: may sleep; the object's
 *	lock may be held.
 * @test_and_clear_young: was page @index touched through any mapping since the last call?
 *	Context: may sleep; the object's lock may be held.
 *
 * Implemented by dev/mmap.c.
 */
struct kmm_mapping_ops {
	void (*unmap)(struct kmm_object *o, pgoff_t first, unsigned long nr);
	bool (*test_and_clear_young)(struct kmm_object *o, pgoff_t index);
};

/**
 * struct kmm_object_set - all objects of one instance
 * @buddy: where their frames come from; immutable
 * @lru: who evicts their pages; NULL: nobody; immutable
 * @lock: protects the rest; a leaf lock, held while debugfs prints a line of the list
 * @list: objects, in the order of their numbers
 * @nr: how many
 * @last_id: number given last
 */
struct kmm_object_set {
	struct kmm_buddy *buddy;
	struct kmm_lru *lru;
	struct mutex lock;	/* a leaf; protects what follows */
	struct list_head list;
	unsigned long nr;
	u64 last_id;
};

/**
 * struct kmm_object - pages by index
 * @lock: protects everything below that is not immutable. Order: inode lock, mmap_lock,
 *	this, @rmap_lock or i_mmap lock, page-table lock. No user memory is touched and no host
 *	memory that may need reclaim is allocated under it.
 * @set: immutable
 * @account: who pays; holds a reference; immutable
 * @ref: its inode, and its name when it has one
 * @mapping: the inode's, for frames and @mops; NULL for an object without file. It changes only
 *	when an object with a name loses its last file or gets its first one again
 * @mops: NULL for an object that never has a file; immutable
 * @top: leaves by index >> KMM_LEAF_SHIFT, NULL where a leaf has no entry yet
 * @nr_top: entries of @top
 * @nr_pages: pages that @size_bytes reaches into
 * @size_bytes: size; also read without the lock
 * @resident: frames held; also read without the lock
 * @swapped: pages in swap; also read without the lock
 * @lruvec: its pages compete there; NULL: they are never evicted
 * @own_lruvec: is @lruvec its own? Then it is freed with the object
 * @hold: of the operation that is under way; these are serialised by the caller
 * @swapins: requests that read pages; see vm/swapin.c
 * @reading: frames that they have
 * @no_ahead: the last read failed for some page: none is read that nobody waits for
 * @nr_evicting: candidates for eviction, and reads, that still need the object; it is not freed
 *	before this is 0
 * @nr_visitors: as @nr_evicting, for those who go through all objects
 * @hand: where its own eviction looks next
 * @host_bytes: host memory charged for it
 * @flags: KMM_OBJECT_*; immutable
 * @seals: KMM_SEAL_*; only ever grows; also read without the lock
 * @nr_pins: who relies on every frame staying at its index; also read without the lock
 * @nr_write_pins: those of @nr_pins that may write; also read without the lock
 * @rmap_lock: protects @areas and their extents, and is held from the moment that an entry of
 *	a space loses one of our frames until the flush is done; see vm/rmap.c
 * @areas: areas of spaces that show it
 * @id: unique since load; immutable
 * @extra_bytes: host bytes charged for the caller's own structs; immutable
 * @uid: creator; immutable
 * @pid: creator's thread group; immutable
 * @comm: creator's name; immutable
 * @node: in @set->list; protected by @set->lock
 */
struct kmm_object {
	struct mutex lock;	/* protects pages, size, seals; order: see above */
	struct kmm_object_set *set;
	struct kmm_account *account;
	refcount_t ref;
	struct address_space *mapping;
	const struct kmm_mapping_ops *mops;
	struct kmm_leaf **top;
	unsigned long nr_top;
	unsigned long nr_pages;
	u64 size_bytes;
	unsigned long resident;
	unsigned long swapped;
	struct kmm_lruvec *lruvec;
	bool own_lruvec;
	struct kmm_hold hold[KMM_HOLDS];
	struct list_head swapins;
	unsigned long reading;
	bool no_ahead;
	atomic_t nr_evicting;
	atomic_t nr_visitors;
	pgoff_t hand;
	u64 host_bytes;
	u32 flags;
	u32 seals;
	unsigned int nr_pins;
	unsigned int nr_write_pins;
	struct mutex rmap_lock;	/* protects areas; order: see above */
	struct list_head areas;
	u64 id;
	u64 extra_bytes;
	kuid_t uid;
	pid_t pid;
	char comm[TASK_COMM_LEN];
	struct list_head node;
};

/**
 * struct kmm_object_attr - what kmm_object_create() is to make
 * @size_bytes: 1 .. KMM_OBJECT_SIZE_MAX
 * @flags: KMM_OBJECT_*
 * @mapping: the inode's, or NULL
 * @mops: how to unmap, or NULL
 * @extra_bytes: host memory of the caller's structs, charged with the object
 */
struct kmm_object_attr {
	u64 size_bytes;
	u32 flags;
	struct address_space *mapping;
	const struct kmm_mapping_ops *mops;
	u64 extra_bytes;
};

void kmm_object_set_init(struct kmm_object_set *set, struct kmm_buddy *b, struct kmm_lru *lru);
void kmm_object_set_fini(struct kmm_object_set *set);

struct kmm_object *kmm_object_create(struct kmm_object_set *set, struct kmm_account *a,
				     const struct kmm_object_attr *attr);
void kmm_object_destroy(struct kmm_object *o);
void kmm_object_put(struct kmm_object *o);
void kmm_object_bind_locked(struct kmm_object *o, struct address_space *mapping);

struct page *kmm_object_get_page(struct kmm_object *o, pgoff_t index, bool alloc);
int kmm_object_lock_pages(struct kmm_object *o, pgoff_t index, struct page **pages,
			  unsigned int max);
int kmm_object_lock_pages_nowait(struct kmm_object *o, pgoff_t index, struct page **pages,
				 unsigned int max, struct kmm_swapin **wait);
int kmm_object_populate(struct kmm_object *o, pgoff_t first, unsigned long nr);
int kmm_object_punch(struct kmm_object *o, u64 offset, u64 len);
int kmm_object_resize(struct kmm_object *o, u64 size_bytes);
int kmm_object_add_seals(struct kmm_object *o, u32 seals);
int kmm_object_pin(struct kmm_object *o, bool write);
void kmm_object_unpin(struct kmm_object *o, bool write);
unsigned long kmm_object_pinned_pages(struct kmm_object *o, struct page **pages,
				      unsigned long nr_pages);
int kmm_object_take_pages(struct kmm_object *o, pgoff_t first, unsigned int nr,
			  struct kmm_account *to, struct page **pages, unsigned int *nr_copied);
void kmm_object_free_taken(struct kmm_buddy *b, struct kmm_lru *lru, struct page **pages,
			   unsigned long nr);
unsigned long kmm_object_nr_present(struct kmm_object *o, pgoff_t first, unsigned long nr);
int kmm_object_may_replace(struct kmm_object *o, pgoff_t first, unsigned long nr);
int kmm_object_reserve(struct kmm_object *o, pgoff_t first, unsigned long nr);
int kmm_object_put_pages(struct kmm_object *o, pgoff_t first, unsigned int nr,
			 struct kmm_account *from, struct page **pages);
u64 kmm_object_seek(struct kmm_object *o, u64 offset, bool data);
void kmm_object_info(struct kmm_object *o, struct kmm_object_info *info);
unsigned long kmm_object_check(struct kmm_object *o);

/* === Between vm/object*.c, vm/evict.c and vm/swapin.c === */

void **kmm_object_entry_locked(struct kmm_object *o, pgoff_t index);
bool kmm_object_is_held_locked(const struct kmm_object *o, pgoff_t index);
void kmm_object_set_page_locked(struct kmm_object *o, void **entry, pgoff_t index,
				struct page *page, kmm_swp_t swp, u32 shadow);
void kmm_object_unmap(struct kmm_object *o, pgoff_t first, unsigned long nr);
struct page *kmm_object_alloc_frame(struct kmm_object *o, gfp_t gfp);
void kmm_object_free_frame(struct kmm_object *o, struct page *page);

/* Frames of objects that can be refilled are movable; those of fixed ones are not. */
#define KMM_OBJECT_GFP		(GFP_HIGHUSER_MOVABLE | __GFP_NOWARN)
/* The same under an object's lock: no reclaim. */
#define KMM_OBJECT_GFP_FAST	((KMM_OBJECT_GFP & ~__GFP_DIRECT_RECLAIM) | __GFP_NORETRY)

/* vm/evict.c */
bool kmm_object_evict_own(struct kmm_object *o, unsigned int nr);
unsigned long kmm_object_cold(struct kmm_object *o, pgoff_t first, unsigned long nr);
long kmm_object_pageout(struct kmm_object *o, pgoff_t first, unsigned long nr);
int kmm_object_set_limit(struct kmm_object *o, u32 limit_pages, const struct kmm_policy_ops *ops,
			 bool exact);
bool kmm_object_is_full_locked(const struct kmm_object *o, pgoff_t index);
int kmm_object_make_room(struct kmm_object *o);
int kmm_object_reference(struct kmm_object *o, pgoff_t index, bool write);

/* vm/swapin.c */
int kmm_swapin_setup(void);
void kmm_swapin_teardown(void);
int kmm_swapin_sync_locked(struct kmm_object *o, pgoff_t index, struct page *page);
struct kmm_swapin *kmm_swapin_alloc(void);
void kmm_swapin_start_locked(struct kmm_object *o, pgoff_t index, struct kmm_swapin *req,
			     struct page *page);
struct kmm_swapin *kmm_swapin_find_locked(struct kmm_object *o, pgoff_t index);
int kmm_swapin_wait(struct kmm_swapin *req, pgoff_t index);
void kmm_swapin_put(struct kmm_swapin *req);
void kmm_swapin_cancel_locked(struct kmm_object *o, pgoff_t first, pgoff_t end);
int kmm_swapin_range(struct kmm_object *o, pgoff_t first, unsigned long nr);
int kmm_swapin_area(struct kmm_object_set *set, u32 area_id);

static inline void kmm_object_get(struct kmm_object *o)
{
	refcount_inc(&o->ref);
}

static inline void kmm_object_lock(struct kmm_object *o)
{
	mutex_lock(&o->lock);
}

static inline void kmm_object_unlock(struct kmm_object *o)
{
	mutex_unlock(&o->lock);
}

#endif /* _KMM_OBJECT_H */
