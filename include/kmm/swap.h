/* SPDX-License-Identifier: GPL-2.0-only */
/* Swap: pages outside of the region. See swap/swap.c. */
#ifndef _KMM_SWAP_H
#define _KMM_SWAP_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

struct block_device;
struct file;
struct inode;
struct kmm_account;
struct kmm_swap_area;
struct page;

/* Areas at the same time. */
#define KMM_SWAP_AREAS	8

/* Slots of one area, at most: 1 TiB. */
#define KMM_SWAP_SLOTS_MAX	BIT(28)

/**
 * typedef kmm_swp_t - names a page in swap; 0 is none
 *
 * Bit 0-27 slot, 28-30 area, 31-54 generation of the slot. Fits beside two tag bits in an
 * object's index.
 */
typedef u64 kmm_swp_t;

#define KMM_SWP_AREA_SHIFT	28
#define KMM_SWP_GEN_SHIFT	31
#define KMM_SWP_GEN_MASK	0xffffffU

/**
 * struct kmm_swap_ops - where the bytes go
 * @name: as in debugfs swaps
 * @sync: reading is a copy from memory: it may be done under the lock of an object; does not
 *	wait for I/O and not for user memory
 * @write: store @nr pages in consecutive slots. Context: task, may sleep, no reclaim of the host
 *	into kmm. Return: 0 or a negative errno; then none of the slots holds anything
 * @read: the reverse, of slots that are consecutive. Return: 0 or a negative errno
 * @forget: nobody needs what is in the slot; any context that may take a spinlock; optional
 * @full: there may be free slots, but no room for a few batches; any context; optional
 * @close: the last user is gone; may sleep
 * @tell: what it is, for people, a path or a compressor; and host memory that it holds now for the
 *	pages; may sleep; optional
 * @target: what no two areas of this kind may have in common; optional
 */
struct kmm_swap_ops {
	const char *name;
	bool sync;
	int (*write)(struct kmm_swap_area *a, u32 slot, struct page **pages, unsigned int nr);
	int (*read)(struct kmm_swap_area *a, u32 slot, struct page **pages, unsigned int nr);
	void (*forget)(struct kmm_swap_area *a, u32 slot);
	bool (*full)(struct kmm_swap_area *a);
	void (*close)(struct kmm_swap_area *a);
	u64 (*tell)(struct kmm_swap_area *a, char *buf, size_t size_bytes);
	const void *(*target)(struct kmm_swap_area *a);
};

/**
 * struct kmm_swap_slot - what is known of a slot
 * @sum: checksum of its page, keyed with slot and generation; written before the entry is known
 * @gen: generation: how often the slot was given out; bit 31 while it is
 * @shadow: what the page replacement wants to know when the page comes back
 */
struct kmm_swap_slot {
	u64 sum;
	u32 gen;
	u32 shadow;
};

/**
 * struct kmm_swap_area - one device, file, or piece of memory
 * @ops: immutable
 * @priv: @ops' own; immutable
 * @account: pays for the host memory; holds a reference; immutable
 * @nr_slots: slots; immutable
 * @prio: higher ones are filled first; immutable
 * @avoid_until: jiffies: a write failed not long ago, others come first while they have room
 * @id: place in the set; immutable
 * @slots: by number; @gen protected by @lock
 * @lock: protects what follows
 * @bitmap: slots in use
 * @cursor: where to look next: neighbours in time become neighbours on the device
 * @nr_used: slots in use
 * @closing: gives out no more
 * @nr_write: pages written
 * @nr_read: pages read
 * @nr_error: failures of both kinds
 * @nr_corrupt: pages whose checksum was wrong
 */
struct kmm_swap_area {
	const struct kmm_swap_ops *ops;
	void *priv;
	struct kmm_account *account;
	u32 nr_slots;
	int prio;
	unsigned long avoid_until;
	u32 id;
	struct kmm_swap_slot *slots;
	spinlock_t lock;	/* protects the slots' map */
	unsigned long *bitmap;
	u32 cursor;
	u32 nr_used;
	bool closing;
	atomic64_t nr_write;
	atomic64_t nr_read;
	atomic64_t nr_error;
	atomic64_t nr_corrupt;
};

/**
 * struct kmm_swap - all areas of one instance
 * @lock: serialises adding and removing
 * @area: areas by id. Whoever has an entry has its area: it goes only when no slot is in use
 * @turn: for areas of the same priority
 * @nr_stale: uses of an entry that is not the slot's last one: mistakes of kmm
 */
struct kmm_swap {
	struct mutex lock;	/* areas come and go */
	struct kmm_swap_area *area[KMM_SWAP_AREAS];
	atomic_t turn;
	atomic64_t nr_stale;
};

/**
 * struct kmm_swap_state - what is told of an area
 * @id: place in the set
 * @type: kmm_swap_ops.name
 * @what: path, or compressor; cut at its front when too long
 * @nr_slots: slots
 * @nr_used: of these, in use
 * @prio: priority
 * @closing: swapoff is at work
 * @host_bytes: host memory that it holds now
 * @nr_write: as in struct kmm_swap_area
 * @nr_read: as there
 * @nr_error: as there
 * @nr_corrupt: as there
 */
struct kmm_swap_state {
	u32 id;
	const char *type;
	char what[128];
	u32 nr_slots;
	u32 nr_used;
	int prio;
	bool closing;
	u64 host_bytes;
	u64 nr_write;
	u64 nr_read;
	u64 nr_error;
	u64 nr_corrupt;
};

void kmm_swap_init(struct kmm_swap *s);
void kmm_swap_fini(struct kmm_swap *s);

int kmm_swap_add(struct kmm_swap *s, struct kmm_account *account,
		 const struct kmm_swap_ops *ops, void *priv, u64 nr_slots, int prio);
int kmm_swap_close(struct kmm_swap *s, u32 id);
void kmm_swap_reopen(struct kmm_swap *s, u32 id);
int kmm_swap_remove(struct kmm_swap *s, u32 id);
bool kmm_swap_closing(struct kmm_swap *s, kmm_swp_t entry);

/* Pages of one call of kmm_swap_write() and kmm_swap_read(). */
#define KMM_SWAP_BATCH	32

kmm_swp_t kmm_swap_alloc(struct kmm_swap *s);
void kmm_swap_free(struct kmm_swap *s, kmm_swp_t entry);
void kmm_swap_write(struct kmm_swap *s, const kmm_swp_t *entries, struct page **pages,
		    unsigned int nr, int *errs);
void kmm_swap_read(struct kmm_swap *s, const kmm_swp_t *entries, struct page **pages,
		   unsigned int nr, int *errs);
bool kmm_swap_is_sync(struct kmm_swap *s, kmm_swp_t entry);
bool kmm_swap_is_tight(struct kmm_swap *s, kmm_swp_t entry);
u32 kmm_swap_shadow(struct kmm_swap *s, kmm_swp_t entry);
void kmm_swap_set_shadow(struct kmm_swap *s, kmm_swp_t entry, u32 shadow);
u64 kmm_swap_free_slots(struct kmm_swap *s);
int kmm_swap_tell(struct kmm_swap *s, u32 id, struct kmm_swap_state *st);

static inline u32 kmm_swp_slot(kmm_swp_t entry)
{
	return entry & (KMM_SWAP_SLOTS_MAX - 1);
}

static inline u32 kmm_swp_area(kmm_swp_t entry)
{
	return entry >> KMM_SWP_AREA_SHIFT & (KMM_SWAP_AREAS - 1);
}

static inline u32 kmm_swp_gen(kmm_swp_t entry)
{
	return entry >> KMM_SWP_GEN_SHIFT & KMM_SWP_GEN_MASK;
}

/* swap/file.c */
int kmm_swap_file_add(struct kmm_swap *s, struct kmm_account *account, struct file *file, int prio);

/* === Below: between the files of swap/ only === */

/* swap/bdev.c */
int kmm_swap_bdev_add(struct kmm_swap *s, struct kmm_account *account, struct file *file, int prio);
int kmm_swap_bio(struct block_device *bdev, u64 first, struct page **pages, unsigned int nr,
		 bool write);
int kmm_swap_claim(struct inode *inode);
void kmm_swap_unclaim(struct inode *inode);

/* swap/file.c */
void kmm_swap_tell_path(struct file *file, char *buf, size_t size_bytes);

/* swap/io.c */
int kmm_swap_io_add(struct kmm_swap *s, struct kmm_account *account, struct file *file, int prio);

/* === For all === */

/* swap/ram.c */
int kmm_swap_ram_add(struct kmm_swap *s, struct kmm_account *account, const char *compressor,
		     u64 size_bytes, int prio);

#endif /* _KMM_SWAP_H */
