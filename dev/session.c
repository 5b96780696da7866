// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Sessions
 *
 * A session is one open file of /dev/kmm: an account, and a table of slots in which user
 * programs keep what they take from the allocators through KMM_IOC_OPS. A slot has a
 * number that the program chooses; a batch of operations names slots, so a recorded trace can
 * be played back without a system call per operation, and without the kernel handing out
 * addresses. Closing the file frees what the slots still hold.
 *
 * The table has two levels: an array of leaves, made with the session, and leaves of 512
 * slots, made at the first use of one of theirs. All of it is charged as host memory, what
 * a slot holds as frames:
 *
 * - Pages, and kmalloc from the buddy, name the account as the frames' owner: the buddy uncharges.
 * - A cache belongs to its session alone. Before each allocation it is charged for the slabs
 *   that it has and the one that this allocation may add; each free gives back what reclaim and
 *   frees have made superfluous. So a slab with one object left is paid for as a whole.
 * - vmalloc's frames are uncharged at once, although they wait for a flush: what waits is
 *   kmm's, is bounded, and comes back when it is needed. Addresses are charged, too, the guard page
 *   included: a user may have a quarter of the kernel window at most.
 * - kmalloc's classes are shared. A session pays for the most bytes of a class that it has held
 *   since it last held none: objects thinly spread over slabs are not cheaper than dense ones.
 *
 * A batch is worked off in chunks: copy the entries of a chunk in (once: what was checked is
 * what is executed), see that the results can be written back, execute under the session's
 * lock, write the results of those entries that were tried. Between chunks signals
 * are looked at. A batch that cannot go on, because its memory cannot be read or a signal is
 * there, ends early and tells how far it came; only if it did not come anywhere it is an
 * error. If the results cannot be written although they could a moment ago, it is -EFAULT
 * and the operations stand: their pages are in their slots.
 *
 * States of a slot: empty (kind 0), or holding pages of one order, a cache, an object of a
 * cache of this session, kmalloc memory, or vmalloc memory.
 *
 * Invariants: every frame taken here is in exactly one slot; a slot's leaf stays until the
 * session ends, so that slots need no lifetime of their own; a cache stays while a slot holds an
 * object of it. session_cache.nr_live is the number of these slots, so destroying a cache
 * in use is refused here, without the report that kmm_slab_cache_destroy() writes: nothing that a
 * user sends reaches the log.
 *
 * kmemleak: what stands in a slot has an owner. The list of all sessions is a root, see
 * debug/kmemleak_scan.c.
 *
 * Locks: the session's lock, for the slots of one chunk; the mutex of the list of caches and
 * cpus_read_lock() are taken under it. User memory is not touched under it.
 *
 * What this deliberately does not do: what a slot holds cannot be mapped or read; that is what
 * objects are for. No address leaves without CAP_SYS_ADMIN (KMM_OP_ADDR).
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/assert.h>
#include <kmm/buddy.h>
#include <kmm/dev.h>
#include <kmm/inject.h>
#include <kmm/kmemleak.h>
#include <kmm/slab.h>
#include <kmm/vmap.h>

/* === Data === */

#define SLOT_LEAF_SHIFT		9
#define SLOT_LEAF_ENTRIES	BIT(SLOT_LEAF_SHIFT)

enum slot_kind {
	SLOT_EMPTY = 0,
	SLOT_PAGES,
	SLOT_CACHE,
	SLOT_OBJECT,
	SLOT_KMALLOC,
	SLOT_VMALLOC,
};

/**
 * struct session_cache - a cache that a program made
 * @cache: the cache
 * @nr_live: slots that hold an object of it
 * @frames: charged for its slabs
 * @host_bytes: charged for the cache itself
 *
 * Protected by the session's lock.
 */
struct session_cache {
	struct kmm_cache *cache;
	unsigned long nr_live;
	unsigned long frames;
	size_t host_bytes;
};

/**
 * struct kmm_slot - what a program holds
 * @page: first page of a block
 * @cache: a cache
 * @obj: an object of a cache, kmalloc or vmalloc memory
 * @kind: enum slot_kind
 * @nr: order of the block; slot of the object's cache; index of kmalloc's class,
 *	KMM_KMALLOC_NR when it is from the buddy; pages of vmalloc memory
 *
 * Protected by the session's lock.
 */
struct kmm_slot {
	union {
		struct page *page;
		struct session_cache *cache;
		void *obj;
	};
	u32 kind;
	u32 nr;
};

static_assert(sizeof(struct kmm_slot) == 16);
static_assert(KMM_CACHE_SIZE_MAX == KMM_KMALLOC_MAX_CACHE);

#define OP_ALLOC_FLAGS	(KMM_OP_ZERO | KMM_OP_ATOMIC | KMM_OP_ADDR)

/* By bit of KMM_CACHE_*. Constructors and SLAB_TYPESAFE_BY_RCU are for kernel clients. */
static const slab_flags_t session_cache_flags[] = {
	SLAB_HWCACHE_ALIGN, SLAB_RED_ZONE, SLAB_POISON, SLAB_STORE_USER,
};

/* All sessions: kmemleak's root. Taken before a session's lock. */
static LIST_HEAD(sessions);
static DEFINE_MUTEX(sessions_lock);

/* Entries of one chunk: 1.5 KiB, and what a signal or another thread waits for at most. */
#define OPS_CHUNK	64

/* === Slots === */

/* Finds a slot; with @make also its leaf. */
static struct kmm_slot *slot_find(struct kmm_session *s, u32 nr, bool make)
{
	struct kmm_slot *leaf;

	lockdep_assert_held(&s->lock);
	if (nr >= kmm_dev_env.max_slots)
		return ERR_PTR(-ERANGE);
	leaf = s->slots[nr >> SLOT_LEAF_SHIFT];
	if (!leaf) {
		if (!make)
			return ERR_PTR(-ENOENT);
		leaf = kmm_account_zalloc(s->account, SLOT_LEAF_ENTRIES * sizeof(*leaf));
		if (IS_ERR(leaf))
			return leaf;
		s->slots[nr >> SLOT_LEAF_SHIFT] = leaf;
	}
	return leaf + (nr & (SLOT_LEAF_ENTRIES - 1));
}

/* An empty slot for an operation that fills one. */
static struct kmm_slot *slot_find_empty(struct kmm_session *s, const struct kmm_op *op)
{
	struct kmm_slot *slot = slot_find(s, op->slot, true);

	if (!IS_ERR(slot) && slot->kind != SLOT_EMPTY)
		return ERR_PTR(-EEXIST);
	return slot;
}

/* A slot that holds something of one kind. */
static struct kmm_slot *slot_find_kind(struct kmm_session *s, u32 nr, enum slot_kind kind)
{
	struct kmm_slot *slot = slot_find(s, nr, false);

	if (IS_ERR(slot))
		return slot;
	if (slot->kind == SLOT_EMPTY)
		return ERR_PTR(-ENOENT);
	return slot->kind == kind ? slot : ERR_PTR(-EBADSLT);
}

/* The same for an operation that empties it: such have neither flags nor an argument. */
static struct kmm_slot *slot_find_full(struct kmm_session *s, const struct kmm_op *op,
				       enum slot_kind kind)
{
	if (op->flags || op->arg)
		return ERR_PTR(-EINVAL);
	return slot_find_kind(s, op->slot, kind);
}

/* === Allocating, and telling where === */

static gfp_t op_gfp(const struct kmm_op *op)
{
	gfp_t gfp = (op->flags & KMM_OP_ATOMIC ? GFP_ATOMIC : GFP_KERNEL) | __GFP_NOWARN;

	return op->flags & KMM_OP_ZERO ? gfp | __GFP_ZERO : gfp;
}

static int op_check_flags(const struct kmm_op *op)
{
	if (op->flags & ~OP_ALLOC_FLAGS)
		return -EINVAL;
	return op->flags & KMM_OP_ADDR && !capable(CAP_SYS_ADMIN) ? -EPERM : 0;
}

static void op_tell(struct kmm_op *op, const void *p)
{
	if (op->flags & KMM_OP_ADDR)
		op->arg = (unsigned long)p;
}

/* === Pages === */

static int op_pages_alloc(struct kmm_session *s, struct kmm_op *op)
{
	struct kmm_slot *slot;
	struct page *page;
	int err;

	err = op_check_flags(op);
	if (err)
		return err;
	if (op->arg > KMM_ORDER_MAX)
		return -EINVAL;
	slot = slot_find_empty(s, op);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	err = kmm_account_try_charge(s->account, KMM_RES_FRAMES, 1UL << op->arg);
	if (err)
		return err;
	page = kmm_should_fail() ? NULL :
		kmm_buddy_alloc_client(kmm_dev_env.buddy, op_gfp(op), op->arg);
	if (!page) {
		kmm_account_uncharge(s->account, KMM_RES_FRAMES, 1UL << op->arg);
		return -ENOMEM;
	}
	kmm_buddy_set_owner(kmm_dev_env.buddy, page, s->account->id);
	slot->page = page;
	slot->nr = op->arg;
	slot->kind = SLOT_PAGES;
	op_tell(op, page_address(page));
	return 0;
}

/* The buddy uncharges. */
static void slot_free_pages(struct kmm_slot *slot)
{
	kmm_buddy_free(kmm_dev_env.buddy, slot->page, slot->nr);
	slot->kind = SLOT_EMPTY;
}

/* === Caches and their objects === */

/* A folder and three files. */
#define SESSION_CACHE_DEBUGFS_BYTES	(4 * KMM_DEBUGFS_BYTES)

/* Host memory of a cache: stacks, depot, its own struct and name, debugfs, and this file's. */
static size_t session_cache_bytes(const struct kmm_cache *cache)
{
	size_t stack = sizeof(struct kmm_cache_cpu) + (cache->cap + 1) * sizeof(void *);

	return num_possible_cpus() * stack + cache->cap_depot * sizeof(void *) + sizeof(*cache) +
	       strlen(cache->name) + 1 + SESSION_CACHE_DEBUGFS_BYTES +
	       sizeof(struct session_cache);
}

static struct session_cache *session_cache_create(struct kmm_session *s,
						  const struct kmm_cache_args *args)
{
	struct session_cache *c;
	struct kmm_cache *cache;
	int err;

	cache = kmm_slab_cache_create(kmm_dev_env.slab, args);
	if (IS_ERR(cache))
		return ERR_CAST(cache);
	err = kmm_account_try_charge(s->account, KMM_RES_HOST_BYTES, session_cache_bytes(cache));
	if (err)
		goto destroy;
	c = kmm_should_fail() ? NULL : kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	if (!c) {
		err = -ENOMEM;
		goto uncharge;
	}
	c->cache = cache;
	c->host_bytes = session_cache_bytes(cache);
	return c;

uncharge:
	kmm_account_uncharge(s->account, KMM_RES_HOST_BYTES, session_cache_bytes(cache));
destroy:
	kmm_slab_cache_destroy(cache);
	return ERR_PTR(err);
}

static int op_cache_create(struct kmm_session *s, struct kmm_op *op)
{
	struct kmm_cache_args args = { .size = (u32)op->arg };
	unsigned long flags = (u16)(op->arg >> 32);
	unsigned int align_log2 = op->arg >> 48, i;
	struct session_cache *c;
	struct kmm_slot *slot;
	char name[32];

	if (op->flags || !args.size || args.size > KMM_CACHE_SIZE_MAX ||
	    flags >> ARRAY_SIZE(session_cache_flags) || align_log2 > KMM_CACHE_ALIGN_LOG2_MAX)
		return -EINVAL;
	slot = slot_find_empty(s, op);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	args.align = align_log2 ? 1U << align_log2 : 0;
	for_each_set_bit(i, &flags, ARRAY_SIZE(session_cache_flags))
		args.flags |= session_cache_flags[i];
	snprintf(name, sizeof(name), "user-%u-%u", s->account->id, op->slot);
	args.name = name;
	c = session_cache_create(s, &args);
	if (IS_ERR(c))
		return PTR_ERR(c);
	slot->cache = c;
	slot->kind = SLOT_CACHE;
	return 0;
}

/* Slots hold no object of it. */
static int slot_free_cache(struct kmm_session *s, struct kmm_slot *slot)
{
	struct session_cache *c = slot->cache;
	int err;

	err = kmm_slab_cache_destroy(c->cache);
	if (err)
		return err;
	kmm_account_uncharge(s->account, KMM_RES_FRAMES, c->frames);
	kmm_account_uncharge(s->account, KMM_RES_HOST_BYTES, c->host_bytes);
	kfree(c);
	slot->kind = SLOT_EMPTY;
	return 0;
}

static int op_cache_destroy(struct kmm_session *s, struct kmm_op *op)
{
	struct kmm_slot *slot = slot_find_full(s, op, SLOT_CACHE);

	if (IS_ERR(slot))
		return PTR_ERR(slot);
	return slot->cache->nr_live ? -EBUSY : slot_free_cache(s, slot);
}

/*
 * Frames of its slabs, and of one more. Only this session adds slabs, under its lock; reclaim
 * takes some away at any time.
 */
static unsigned long session_cache_frames(const struct session_cache *c)
{
	return (READ_ONCE(c->cache->nr_slabs) + 1) << c->cache->order;
}

static int op_cache_alloc(struct kmm_session *s, struct kmm_op *op)
{
	struct kmm_slot *slot, *from;
	struct session_cache *c;
	unsigned long frames;
	void *obj;
	int err;

	err = op_check_flags(op);
	if (err)
		return err;
	if (op->arg > U32_MAX)
		return -EINVAL;
	from = slot_find_kind(s, op->arg, SLOT_CACHE);
	if (IS_ERR(from))
		return PTR_ERR(from);
	slot = slot_find_empty(s, op);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	c = from->cache;
	frames = session_cache_frames(c);
	if (frames > c->frames) {
		err = kmm_account_try_charge(s->account, KMM_RES_FRAMES, frames - c->frames);
		if (err)
			return err;
		c->frames = frames;
	}
	obj = kmm_cache_alloc(c->cache, op_gfp(op));
	if (!obj)
		return -ENOMEM;
	c->nr_live++;
	slot->obj = obj;
	slot->nr = op->arg;
	slot->kind = SLOT_OBJECT;
	op_tell(op, obj);
	return 0;
}

static void slot_free_object(struct kmm_session *s, struct kmm_slot *slot)
{
	struct session_cache *c = slot_find(s, slot->nr, false)->cache;
	unsigned long frames;

	kmm_cache_free(c->cache, slot->obj);
	slot->kind = SLOT_EMPTY;
	c->nr_live--;
	frames = min(session_cache_frames(c), c->frames);
	kmm_account_uncharge(s->account, KMM_RES_FRAMES, c->frames - frames);
	c->frames = frames;
}

/* === kmalloc === */

static unsigned long session_class_frames(unsigned int class, unsigned long nr)
{
	return DIV_ROUND_UP(nr * kmm_dev_env.slab->kmalloc[class]->size, PAGE_SIZE);
}

static int slot_kmalloc_class(struct kmm_session *s, struct kmm_slot *slot, struct kmm_op *op)
{
	unsigned int i = kmm_kmalloc_index(op->arg);
	struct kmm_session_class *class = &s->classes[i];
	unsigned long frames = 0;
	int err;

	if (class->nr == class->peak)
		frames = session_class_frames(i, class->peak + 1) -
			 session_class_frames(i, class->peak);
	err = kmm_account_try_charge(s->account, KMM_RES_FRAMES, frames);
	if (err)
		return err;
	slot->obj = kmm_slab_kmalloc(kmm_dev_env.slab, op->arg, op_gfp(op));
	if (!slot->obj) {
		kmm_account_uncharge(s->account, KMM_RES_FRAMES, frames);
		return -ENOMEM;
	}
	class->nr++;
	class->peak = max(class->peak, class->nr);
	slot->nr = i;
	return 0;
}

static int slot_kmalloc_large(struct kmm_session *s, struct kmm_slot *slot, struct kmm_op *op)
{
	unsigned long frames = 1UL << get_order(op->arg);
	int err;

	err = kmm_account_try_charge(s->account, KMM_RES_FRAMES, frames);
	if (err)
		return err;
	slot->obj = kmm_slab_kmalloc(kmm_dev_env.slab, op->arg, op_gfp(op));
	if (!slot->obj) {
		kmm_account_uncharge(s->account, KMM_RES_FRAMES, frames);
		return -ENOMEM;
	}
	kmm_buddy_set_owner(kmm_dev_env.buddy, virt_to_page(slot->obj), s->account->id);
	slot->nr = KMM_KMALLOC_NR;
	return 0;
}

static int op_kmalloc(struct kmm_session *s, struct kmm_op *op)
{
	struct kmm_slot *slot;
	int err;

	err = op_check_flags(op);
	if (err)
		return err;
	if (!op->arg)
		return -EINVAL;
	if (op->arg > PAGE_SIZE << KMM_ORDER_MAX)
		return -EFBIG;
	slot = slot_find_empty(s, op);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	err = op->arg > KMM_KMALLOC_MAX_CACHE ? slot_kmalloc_large(s, slot, op) :
						slot_kmalloc_class(s, slot, op);
	if (err)
		return err;
	slot->kind = SLOT_KMALLOC;
	op_tell(op, slot->obj);
	return 0;
}

static void slot_kfree(struct kmm_session *s, struct kmm_slot *slot)
{
	struct kmm_session_class *class = &s->classes[slot->nr];

	kmm_slab_kfree(kmm_dev_env.slab, slot->obj);
	slot->kind = SLOT_EMPTY;
	if (slot->nr == KMM_KMALLOC_NR || --class->nr)
		return;
	kmm_account_uncharge(s->account, KMM_RES_FRAMES,
			     session_class_frames(slot->nr, class->peak));
	class->peak = 0;
}

/* === vmalloc === */

/* By KMM_PROT_*: what a mapping of the kernel can be. READ is in all of them. */
static int vmalloc_prot(u64 prot, pgprot_t *pgprot)
{
	switch (prot) {
	case KMM_PROT_READ:
		*pgprot = PAGE_KERNEL_RO;
		return 0;
	case KMM_PROT_READ | KMM_PROT_WRITE:
		*pgprot = PAGE_KERNEL;
		return 0;
	case KMM_PROT_READ | KMM_PROT_EXEC:
		/* What was in the frames before is of any user's making. */
		*pgprot = PAGE_KERNEL_ROX;
		return capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
	default:
		return -EINVAL;
	}
}

/* The area's pages and its guard page, of the window; its frames; what describes it. */
static int vmalloc_charge(struct kmm_account *a, unsigned long nr_pages)
{
	int err;

	err = kmm_account_try_charge(a, KMM_RES_WINDOW, nr_pages + 1);
	if (err)
		return err;
	err = kmm_account_try_charge(a, KMM_RES_HOST_BYTES, KMM_VMAP_AREA_BYTES);
	if (err)
		goto uncharge_window;
	err = kmm_account_try_charge(a, KMM_RES_FRAMES, nr_pages);
	if (err)
		goto uncharge_host;
	return 0;

uncharge_host:
	kmm_account_uncharge(a, KMM_RES_HOST_BYTES, KMM_VMAP_AREA_BYTES);
uncharge_window:
	kmm_account_uncharge(a, KMM_RES_WINDOW, nr_pages + 1);
	return err;
}

static void vmalloc_uncharge(struct kmm_account *a, unsigned long nr_pages)
{
	kmm_account_uncharge(a, KMM_RES_FRAMES, nr_pages);
	kmm_account_uncharge(a, KMM_RES_HOST_BYTES, KMM_VMAP_AREA_BYTES);
	kmm_account_uncharge(a, KMM_RES_WINDOW, nr_pages + 1);
}

static int op_vmalloc(struct kmm_session *s, struct kmm_op *op)
{
	u64 size_bytes = op->arg & (KMM_VMALLOC_ARG(0, 1) - 1);
	unsigned long nr_pages = DIV_ROUND_UP(size_bytes, PAGE_SIZE);
	struct kmm_slot *slot;
	pgprot_t prot;
	void *p;
	int err;

	err = op_check_flags(op);
	if (err)
		return err;
	/* It takes mutexes, and a purge may have to wait for all CPUs. */
	if (op->flags & KMM_OP_ATOMIC || !size_bytes)
		return -EINVAL;
	err = vmalloc_prot(op->arg >> 56, &prot);
	if (err)
		return err;
	slot = slot_find_empty(s, op);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	if (!kmm_dev_env.vmap || nr_pages > kmm_dev_env.region->nr_frames)
		return -ENOMEM;
	err = vmalloc_charge(s->account, nr_pages);
	if (err)
		return err;
	p = kmm_vmap_alloc(kmm_dev_env.vmap, size_bytes, op_gfp(op), prot, op_vmalloc);
	if (!p) {
		vmalloc_uncharge(s->account, nr_pages);
		return -ENOMEM;
	}
	slot->obj = p;
	slot->nr = nr_pages;
	slot->kind = SLOT_VMALLOC;
	op_tell(op, p);
	return 0;
}

static void slot_vfree(struct kmm_session *s, struct kmm_slot *slot)
{
	kmm_assert(kmm_vmap_free(kmm_dev_env.vmap, slot->obj));
	vmalloc_uncharge(s->account, slot->nr);
	slot->kind = SLOT_EMPTY;
}

/* === Operations === */

/* What is not a cache: caches go last. */
static void slot_free(struct kmm_session *s, struct kmm_slot *slot)
{
	switch (slot->kind) {
	case SLOT_PAGES:
		slot_free_pages(slot);
		break;
	case SLOT_OBJECT:
		slot_free_object(s, slot);
		break;
	case SLOT_KMALLOC:
		slot_kfree(s, slot);
		break;
	case SLOT_VMALLOC:
		slot_vfree(s, slot);
		break;
	}
}

static int op_free(struct kmm_session *s, struct kmm_op *op, enum slot_kind kind)
{
	struct kmm_slot *slot = slot_find_full(s, op, kind);

	if (IS_ERR(slot))
		return PTR_ERR(slot);
	slot_free(s, slot);
	return 0;
}

static int session_run_op(struct kmm_session *s, struct kmm_op *op)
{
	if (op->reserved)
		return -EINVAL;
	switch (op->kind) {
	case KMM_OP_PAGES_ALLOC:
		return op_pages_alloc(s, op);
	case KMM_OP_PAGES_FREE:
		return op_free(s, op, SLOT_PAGES);
	case KMM_OP_CACHE_CREATE:
		return op_cache_create(s, op);
	case KMM_OP_CACHE_DESTROY:
		return op_cache_destroy(s, op);
	case KMM_OP_CACHE_ALLOC:
		return op_cache_alloc(s, op);
	case KMM_OP_CACHE_FREE:
		return op_free(s, op, SLOT_OBJECT);
	case KMM_OP_KMALLOC:
		return op_kmalloc(s, op);
	case KMM_OP_KFREE:
		return op_free(s, op, SLOT_KMALLOC);
	case KMM_OP_VMALLOC:
		return op_vmalloc(s, op);
	case KMM_OP_VFREE:
		return op_free(s, op, SLOT_VMALLOC);
	default:
		return -EINVAL;
	}
}

/* Empties the slots of a leaf: caches, or everything else. */
static void session_free_leaf(struct kmm_session *s, struct kmm_slot *leaf, bool caches)
{
	unsigned int i;

	for (i = 0; leaf && i < SLOT_LEAF_ENTRIES; i++) {
		if (!caches)
			slot_free(s, &leaf[i]);
		else if (leaf[i].kind == SLOT_CACHE)
			/* All objects are back: it cannot be refused. */
			kmm_assert(!slot_free_cache(s, &leaf[i]));
	}
	cond_resched();
}

/* Runs @nr entries. Returns how many were tried. */
static unsigned int session_run_chunk(struct kmm_session *s, struct kmm_op *op, unsigned int nr,
				      bool keep_going, u32 *failed)
{
	unsigned int i;

	mutex_lock(&s->lock);
	for (i = 0; i < nr; i++) {
		op[i].result = session_run_op(s, &op[i]);
		if (!op[i].result)
			continue;
		(*failed)++;
		if (!keep_going) {
			i++;
			break;
		}
	}
	mutex_unlock(&s->lock);
	return i;
}

/* Writes nothing but the results, and addresses where they were asked for. */
static int session_put_results(struct kmm_op __user *uop, const struct kmm_op *op,
			       unsigned int nr)
{
	unsigned int i;

	if (!user_write_access_begin(uop, nr * sizeof(*uop)))
		return -EFAULT;
	for (i = 0; i < nr; i++) {
		unsafe_put_user(op[i].result, &uop[i].result, fault);
		if (!op[i].result && op[i].flags & KMM_OP_ADDR)
			unsafe_put_user(op[i].arg, &uop[i].arg, fault);
	}
	user_write_access_end();
	return 0;
fault:
	user_write_access_end();
	return -EFAULT;
}

/* === Leaks === */

/* A full slot is a pointer; an empty one may have an old one in it, which is none. */
static void session_tell_slot(struct kmm_leak *l, const struct kmm_slot *slot)
{
	switch (slot->kind) {
	case SLOT_PAGES:
		kmm_leak_value(l, (unsigned long)slot->page);
		break;
	case SLOT_OBJECT:
	case SLOT_KMALLOC:
	case SLOT_VMALLOC:
		kmm_leak_value(l, (unsigned long)slot->obj);
		break;
	}
}

static void session_tell(struct kmm_leak *l)
{
	struct kmm_session *s;
	unsigned int i, j;

	mutex_lock(&sessions_lock);
	list_for_each_entry(s, &sessions, node) {
		mutex_lock(&s->lock);
		for (i = 0; i < s->nr_leaves; i++) {
			for (j = 0; s->slots[i] && j < SLOT_LEAF_ENTRIES; j++)
				session_tell_slot(l, &s->slots[i][j]);
			cond_resched();
		}
		mutex_unlock(&s->lock);
	}
	mutex_unlock(&sessions_lock);
}

static struct kmm_leak_root session_root = { .scan = session_tell };

/* === Interface === */

/**
 * kmm_session_setup() - Before the first session.
 *
 * Context: task, may sleep. kmm_dev_env is set.
 */
void kmm_session_setup(void)
{
	kmm_leak_add_root(kmm_dev_env.leak, &session_root);
}

/**
 * kmm_session_teardown() - After the last one.
 *
 * Context: task, may sleep.
 */
void kmm_session_teardown(void)
{
	kmm_leak_remove_root(kmm_dev_env.leak, &session_root);
}

/**
 * kmm_session_create() - A session for the task that opens /dev/kmm.
 *
 * Context: task, may sleep.
 * Return: session, or ERR_PTR of -ENOMEM, -EDQUOT.
 */
struct kmm_session *kmm_session_create(void)
{
	/* As Linux's own resource limits: who has the capability is counted, not limited. */
	bool unlimited = ns_capable_noaudit(&init_user_ns, CAP_SYS_RESOURCE);
	struct kmm_account *a;
	struct kmm_session *s;
	int err;

	a = kmm_account_create(kmm_dev_env.accounts, current_uid(), unlimited);
	if (IS_ERR(a))
		return ERR_CAST(a);
	s = kmm_account_zalloc(a, sizeof(*s));
	if (IS_ERR(s)) {
		err = PTR_ERR(s);
		goto put_account;
	}
	s->account = a;
	mutex_init(&s->lock);
	s->nr_leaves = DIV_ROUND_UP(kmm_dev_env.max_slots, SLOT_LEAF_ENTRIES);
	s->slots = kmm_account_zalloc(a, s->nr_leaves * sizeof(*s->slots));
	if (IS_ERR(s->slots)) {
		err = PTR_ERR(s->slots);
		goto free_session;
	}
	mutex_lock(&sessions_lock);
	list_add_tail(&s->node, &sessions);
	mutex_unlock(&sessions_lock);
	return s;

free_session:
	mutex_destroy(&s->lock);
	kmm_account_free(a, s, sizeof(*s));
put_account:
	kmm_account_put(a);
	return ERR_PTR(err);
}

/**
 * kmm_session_destroy() - Free the session and what its slots hold.
 * @s: session; objects made by it live on
 *
 * Context: task, may sleep.
 */
void kmm_session_destroy(struct kmm_session *s)
{
	struct kmm_account *a = s->account;
	unsigned int i;

	mutex_lock(&sessions_lock);
	list_del(&s->node);
	mutex_unlock(&sessions_lock);
	/* Nobody else has the session; the lock is for those who assert it. */
	mutex_lock(&s->lock);
	for (i = 0; i < s->nr_leaves; i++)
		session_free_leaf(s, s->slots[i], false);
	for (i = 0; i < s->nr_leaves; i++)
		session_free_leaf(s, s->slots[i], true);
	mutex_unlock(&s->lock);
	for (i = 0; i < s->nr_leaves; i++)
		kmm_account_free(a, s->slots[i], SLOT_LEAF_ENTRIES * sizeof(**s->slots));
	kmm_account_free(a, s->slots, s->nr_leaves * sizeof(*s->slots));
	mutex_destroy(&s->lock);
	kmm_account_free(a, s, sizeof(*s));
	kmm_account_put(a);
}

/**
 * kmm_session_run() - KMM_IOC_OPS.
 * @s: session
 * @ops: the batch; @done and @failed are set
 *
 * Context: task, may sleep.
 * Return: 0 when at least one entry was tried; -EINVAL, -E2BIG, -EFAULT, -ENOMEM, -EINTR.
 */
int kmm_session_run(struct kmm_session *s, struct kmm_ops *ops)
{
	struct kmm_op __user *uop = u64_to_user_ptr(ops->ops);
	bool keep_going = ops->flags & KMM_OPS_KEEP_GOING;
	struct kmm_op *chunk;
	int err = 0;

	if (ops->flags & ~KMM_OPS_KEEP_GOING || !ops->nr)
		return -EINVAL;
	if (ops->nr > KMM_OPS_MAX)
		return -E2BIG;
	/* kmm's own only for the time of the call, bounded, and so not charged */
	chunk = kmm_should_fail() ? NULL :
		kmalloc_array(OPS_CHUNK, sizeof(*chunk), GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return -ENOMEM;

	ops->done = 0;
	ops->failed = 0;
	while (ops->done < ops->nr) {
		unsigned int nr = min_t(u32, OPS_CHUNK, ops->nr - ops->done), tried;
		struct kmm_op __user *u = uop + ops->done;

		err = -EINTR;
		if (signal_pending(current))
			break;
		err = -EFAULT;
		if (copy_from_user(chunk, u, nr * sizeof(*chunk)) ||
		    fault_in_safe_writeable((char __user *)u, nr * sizeof(*chunk)))
			break;
		tried = session_run_chunk(s, chunk, nr, keep_going, &ops->failed);
		ops->done += tried;
		err = session_put_results(u, chunk, tried);
		if (err) {
			kfree(chunk);
			return err;
		}
		if (tried < nr || (ops->failed && !keep_going))
			break;
		cond_resched();
	}
	kfree(chunk);
	return ops->done ? 0 : err;
}
