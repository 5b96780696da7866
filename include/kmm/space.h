/* SPDX-License-Identifier: GPL-2.0-only */
/* Address spaces: areas, faults, access, isolation. See vm/{space,fault,rmap,mmu,isolation}.c. */
#ifndef _KMM_SPACE_H
#define _KMM_SPACE_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>

#include <kmm/pgtable.h>
#include <uapi/kmm.h>

struct file;
struct kmm_account;
struct kmm_buddy;
struct kmm_espfix;
struct kmm_object;
struct kmm_reftrace;

/**
 * struct kmm_space_set - all spaces of one instance
 * @buddy: private frames; immutable
 * @tables: page tables; immutable
 * @espfix: aliases that every space has; NULL in tests that want none; immutable
 * @allow_wx: areas may be writable and executable; immutable
 * @lock: protects what follows; a leaf lock
 * @list: spaces in the order of their numbers
 * @nr: how many
 * @last_id: number given last
 */
struct kmm_space_set {
	struct kmm_buddy *buddy;
	struct kmm_pgtables *tables;
	struct kmm_espfix *espfix;
	bool allow_wx;
	struct mutex lock;	/* a leaf; protects what follows */
	struct list_head list;
	unsigned long nr;
	u64 last_id;
};

/**
 * struct kmm_area - a run of addresses with one meaning
 * @node: in the space's tree, by start
 * @gap: bytes that are free below @start, down to the area before or KMM_SPACE_MIN
 * @gap_max: the largest @gap in the tree below @node
 * @space: immutable
 * @start: first address
 * @end: behind the last
 * @prot: KMM_PROT_*
 * @max_prot: what protect may raise @prot to
 * @flags: one of KMM_MAP_SHARED, _PRIVATE, _GUARD; with it KMM_MAP_HUGE
 * @object: what it shows; NULL for zero-filled private memory and guards
 * @file: holds the object; NULL in tests and where there is no object
 * @pgoff: page of the object at @start; 0 without object
 * @rmap: in @object's list of areas; see vm/rmap.c
 *
 * Changed under the space's lock for writing; @start, @end and @pgoff also under the object's
 * rmap lock, because whoever revokes pages looks at them from there.
 */
struct kmm_area {
	struct rb_node node;
	unsigned long gap;
	unsigned long gap_max;
	struct kmm_space *space;
	unsigned long start;
	unsigned long end;
	u32 prot;
	u32 max_prot;
	u32 flags;
	struct kmm_object *object;
	struct file *file;
	pgoff_t pgoff;
	struct list_head rmap;
};

/**
 * struct kmm_space - an address space
 * @set: immutable
 * @account: who pays; holds a reference; immutable
 * @lock: areas; for reading in faults. Order: mmap_lock, this, object, rmap, table lock
 * @areas: tree of areas
 * @nr_areas: how many
 * @mapped_bytes: their length
 * @pt: tables
 * @cloned: it was cloned, or is a clone: private frames may have more than one share; protected
 *	by @lock
 * @private_frames: entries that map private frames
 * @faults: demand faults
 * @cow_faults: copies made
 * @switches: times in CR3
 * @limit_pages: most pages in its tables; 0: no limit
 * @trim_hand: where the limit's hand looks next
 * @trace_lock: protects @trace and what it points to; a leaf
 * @trace: accesses are recorded in it; NULL: they are not. See vm/reftrace.c
 * @id: unique since load; immutable
 * @uid: creator; immutable
 * @pid: creator's thread group; immutable
 * @comm: creator's name; immutable
 * @list: in @set->list; protected by @set->lock
 */
struct kmm_space {
	struct kmm_space_set *set;
	struct kmm_account *account;
	struct rw_semaphore lock;	/* areas; order: see above */
	struct rb_root areas;
	unsigned long nr_areas;
	u64 mapped_bytes;
	struct kmm_pgtable pt;
	bool cloned;
	atomic_long_t private_frames;
	atomic64_t faults;
	atomic64_t cow_faults;
	atomic64_t switches;
	u64 limit_pages;
	unsigned long trim_hand;
	spinlock_t trace_lock;	/* a leaf; protects trace */
	struct kmm_reftrace *trace;
	u64 id;
	kuid_t uid;
	pid_t pid;
	char comm[TASK_COMM_LEN];
	struct list_head list;
};

/* Areas of one space, at most; each is charged as host memory, too. */
#define KMM_SPACE_AREAS_MAX	65536

/* kmm keeps the top 2 MiB of the user half of every space. */
#define KMM_SPACE_KEPT_BYTES	PMD_SIZE

/* Behind the last address that an area may have. */
static inline unsigned long kmm_space_end(void)
{
	return ((pgtable_l5_enabled() ? 1UL << 56 : 1UL << 47) & PMD_MASK) - KMM_SPACE_KEPT_BYTES;
}

/* Behind the last address of the user half, what kmm keeps included. */
static inline unsigned long kmm_space_user_end(void)
{
	return kmm_space_end() + KMM_SPACE_KEPT_BYTES;
}

/* vm/space.c */
void kmm_space_set_init(struct kmm_space_set *set, struct kmm_buddy *b,
			struct kmm_pgtables *tables, struct kmm_espfix *espfix, bool allow_wx);
void kmm_space_set_fini(struct kmm_space_set *set);
struct kmm_space *kmm_space_create(struct kmm_space_set *set, struct kmm_account *a);
void kmm_space_destroy(struct kmm_space *s);

/**
 * struct kmm_space_map_args - what kmm_space_map() is to make; as struct kmm_space_map
 * @addr: where, or a hint
 * @len: bytes
 * @offset: into the object
 * @object: object or NULL
 * @file: its descriptor or NULL; a reference is taken; its mode and the seals limit the rights
 * @prot: KMM_PROT_*
 * @flags: KMM_MAP_*
 */
struct kmm_space_map_args {
	u64 addr;
	u64 len;
	u64 offset;
	struct kmm_object *object;
	struct file *file;
	u32 prot;
	u32 flags;
};

int kmm_space_map(struct kmm_space *s, struct kmm_space_map_args *args);
int kmm_space_unmap(struct kmm_space *s, u64 addr, u64 len);
int kmm_space_protect(struct kmm_space *s, u64 addr, u64 len, u32 prot);
struct kmm_space *kmm_space_clone(struct kmm_space *s);
void kmm_space_info(struct kmm_space *s, struct kmm_space_info *info);
unsigned long kmm_space_check(struct kmm_space *s);
struct kmm_area *kmm_space_find_locked(struct kmm_space *s, unsigned long addr);
struct kmm_area *kmm_space_above_locked(struct kmm_space *s, unsigned long addr);

/* Between the files of vm/ */
pgprot_t kmm_space_pgprot(u32 prot);
void kmm_space_drop(struct kmm_pt_gather *g, unsigned long addr, unsigned long entry,
		    struct page *page, unsigned int nr_pages);

/* vm/rmap.c: who maps an object; called by vm/space.c and vm/object*.c */
void kmm_rmap_lock(struct kmm_area *area);
void kmm_rmap_unlock(struct kmm_area *area);
void kmm_rmap_add(struct kmm_area *area);
void kmm_rmap_remove(struct kmm_area *area);
void kmm_rmap_unmap(struct kmm_object *o, pgoff_t first, unsigned long nr);
bool kmm_rmap_test_and_clear_young(struct kmm_object *o, pgoff_t index);

/**
 * struct kmm_fault - one access that the tables did not allow
 * @addr: address
 * @code: KMM_PF_*
 * @rule: out: enum kmm_fault_rule: KMM_RULE_NONE: resolved, try again
 * @error: out: negative errno for KMM_RULE_OBJECT and KMM_RULE_LIMIT
 */
struct kmm_fault {
	unsigned long addr;
	u32 code;
	u32 rule;
	int error;
};

/* vm/evict.c: a space at its limit */
bool kmm_space_over_limit(struct kmm_space *s);
bool kmm_space_trim_locked(struct kmm_space *s);

/* vm/fault.c: demand and copy-on-write faults */
void kmm_fault_handle(struct kmm_space *s, struct kmm_fault *f);
void kmm_fault_explain(struct kmm_space *s, struct kmm_fault *f);

/**
 * struct kmm_access - an access at a virtual address
 * @addr: address
 * @buf: kernel memory
 * @len: bytes, at most KMM_ACCESS_MAX
 * @op: KMM_ACCESS_*
 * @flags: KMM_ACCESS_*
 * @path: out: KMM_PATH_*
 * @done: out: bytes
 * @faults: out: resolved on the way
 * @fault: out: what ended it; rule KMM_RULE_NONE when nothing did
 */
struct kmm_access {
	u64 addr;
	void *buf;
	size_t len;
	u32 op;
	u32 flags;
	u32 path;
	size_t done;
	u32 faults;
	struct kmm_fault fault;
};

/* vm/mmu.c */
int kmm_mmu_setup(const char *mode);
void kmm_mmu_teardown(void);
bool kmm_mmu_hardware(const char **why);
int kmm_mmu_access(struct kmm_space *s, struct kmm_access *a);
long kmm_mmu_probe(struct kmm_space *s, unsigned long addr, void *buf, size_t len, bool write);

/**
 * struct kmm_espfix_slot - what a CPU keeps where all spaces can read it
 * @cpu: number of the CPU; immutable
 * @switches: times that it had a space in CR3; written through the writable alias
 * @reserved: zero
 */
struct kmm_espfix_slot {
	u64 cpu;
	u64 switches;
	u64 reserved[6];
};

static_assert(sizeof(struct kmm_espfix_slot) == 64);

/* Root entry of the writable alias: the first of the kernel half, free but for hypervisors. */
#define KMM_ESPFIX_ROOT		(PTRS_PER_PGD / 2)

/* vm/isolation.c */
struct kmm_espfix *kmm_espfix_create(struct kmm_pgtables *tables);
void kmm_espfix_destroy(struct kmm_espfix *e);
int kmm_espfix_map(struct kmm_espfix *e, struct kmm_pgtable *pt);
void kmm_espfix_unmap(struct kmm_espfix *e, struct kmm_pgtable *pt);
bool kmm_espfix_covers(unsigned long addr);
unsigned long kmm_espfix_ro_addr(unsigned int cpu);
unsigned long kmm_espfix_rw_addr(unsigned int cpu);
unsigned long kmm_espfix_root_entry(const struct kmm_espfix *e);
unsigned long kmm_espfix_frames(const struct kmm_espfix *e);
struct kmm_espfix_slot *kmm_espfix_slot(const struct kmm_espfix *e, unsigned int cpu);
unsigned long kmm_isolation_audit(struct kmm_space *s, unsigned long *leaves);

#endif /* _KMM_SPACE_H */
