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
 * a slot holds as frames.
 *
 * A batch is worked off in chunks: copy the entries of a chunk in (once: what was checked is
 * what is executed), see that the results can be written back, execute under the session's
 * lock, write the results of those entries that were tried. Between chunks signals
 * are looked at. A batch that cannot go on, because its memory cannot be read or a signal is
 * there, ends early and tells how far it came; only if it did not come anywhere it is an
 * error. If the results cannot be written although they could a moment ago, it is -EFAULT
 * and the operations stand: their pages are in their slots.
 *
 * States of a slot: empty (kind 0), or holding pages of one order.
 *
 * Invariants: every frame taken here is in exactly one slot; a slot's leaf stays until the
 * session ends, so that slots need no lifetime of their own.
 *
 * Locks: the session's lock, for the slots of one chunk. User memory is not touched under it.
 *
 * What this deliberately does not do: a slot's pages cannot be mapped or read; that is what
 * objects are for.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/buddy.h>
#include <kmm/dev.h>
#include <kmm/inject.h>

/* === Data === */

#define SLOT_LEAF_SHIFT		9
#define SLOT_LEAF_ENTRIES	BIT(SLOT_LEAF_SHIFT)

enum slot_kind {
	SLOT_EMPTY = 0,
	SLOT_PAGES,
};

/**
 * struct kmm_slot - what a program holds
 * @page: first page of a block
 * @kind: enum slot_kind
 * @order: of the block
 *
 * Protected by the session's lock.
 */
struct kmm_slot {
	struct page *page;
	u32 kind;
	u32 order;
};

static_assert(sizeof(struct kmm_slot) == 16);

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

static int slot_alloc_pages(struct kmm_session *s, struct kmm_slot *slot, u16 flags,
			    unsigned int order)
{
	gfp_t gfp = (flags & KMM_OP_ATOMIC ? GFP_ATOMIC : GFP_KERNEL) | __GFP_NOWARN;
	struct page *page;
	int err;

	if (flags & KMM_OP_ZERO)
		gfp |= __GFP_ZERO;
	err = kmm_account_try_charge(s->account, KMM_RES_FRAMES, 1UL << order);
	if (err)
		return err;
	page = kmm_should_fail() ? NULL : kmm_buddy_alloc(kmm_dev_env.buddy, gfp, order);
	if (!page) {
		kmm_account_uncharge(s->account, KMM_RES_FRAMES, 1UL << order);
		return -ENOMEM;
	}
	kmm_buddy_set_owner(kmm_dev_env.buddy, page, s->account->id);
	slot->page = page;
	slot->order = order;
	slot->kind = SLOT_PAGES;
	return 0;
}

/* The buddy uncharges. */
static void slot_free(struct kmm_slot *slot)
{
	if (slot->kind == SLOT_PAGES)
		kmm_buddy_free(kmm_dev_env.buddy, slot->page, slot->order);
	slot->kind = SLOT_EMPTY;
	slot->page = NULL;
}

/* === Operations === */

static int op_pages_alloc(struct kmm_session *s, const struct kmm_op *op)
{
	struct kmm_slot *slot;

	if (op->flags & ~(KMM_OP_ZERO | KMM_OP_ATOMIC) || op->arg > KMM_ORDER_MAX)
		return -EINVAL;
	slot = slot_find(s, op->slot, true);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	if (slot->kind != SLOT_EMPTY)
		return -EEXIST;
	return slot_alloc_pages(s, slot, op->flags, op->arg);
}

static int op_pages_free(struct kmm_session *s, const struct kmm_op *op)
{
	struct kmm_slot *slot;

	if (op->flags || op->arg)
		return -EINVAL;
	slot = slot_find(s, op->slot, false);
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	if (slot->kind != SLOT_PAGES)
		return -ENOENT;
	slot_free(slot);
	return 0;
}

static int session_run_op(struct kmm_session *s, const struct kmm_op *op)
{
	if (op->reserved)
		return -EINVAL;
	switch (op->kind) {
	case KMM_OP_PAGES_ALLOC:
		return op_pages_alloc(s, op);
	case KMM_OP_PAGES_FREE:
		return op_pages_free(s, op);
	default:
		return -EINVAL;
	}
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

/* Writes nothing but the results. */
static int session_put_results(struct kmm_op __user *uop, const struct kmm_op *op,
			       unsigned int nr)
{
	unsigned int i;

	if (!user_write_access_begin(uop, nr * sizeof(*uop)))
		return -EFAULT;
	for (i = 0; i < nr; i++)
		unsafe_put_user(op[i].result, &uop[i].result, fault);
	user_write_access_end();
	return 0;
fault:
	user_write_access_end();
	return -EFAULT;
}

/* === Interface === */

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
	unsigned int i, k;

	for (i = 0; i < s->nr_leaves; i++) {
		if (!s->slots[i])
			continue;
		for (k = 0; k < SLOT_LEAF_ENTRIES; k++)
			slot_free(&s->slots[i][k]);
		kmm_account_free(a, s->slots[i], SLOT_LEAF_ENTRIES * sizeof(**s->slots));
		cond_resched();
	}
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
