// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Accounts
 *
 * What users hold is counted, and limited, in a tree of two levels, the way control
 * groups do it: every open file of /dev/kmm has an account, its parent is the account of
 * the user who opened it. Counted are frames of the region, memory objects, names, and bytes
 * of host memory that kmm spends on its own structs. A charge walks up and takes effect on
 * all levels or on none; where it would pass a limit it ends in -EDQUOT.
 *
 * The algorithm of one level is that of Linux's page_counter: add first, compare, take
 * back. Two charges near the limit may so both fail where one of them would have fitted;
 * never do both succeed where one does not fit.
 *
 * Whom limits bind: everybody but those who had CAP_SYS_RESOURCE in the initial user
 * namespace when they opened the file, as it is with Linux's own resource limits. What these
 * hold is counted all the same. The descriptor counts, not the process that uses it later.
 *
 * Frames. A frame that is given to a user carries the account's number (frame.owner). The
 * buddy allocator calls back when the frame is really free again: at once when it is freed,
 * later when somebody outside kmm still held it and it had to wait in quarantine. So who
 * pins frames of closed objects cannot get around the limit. Frames are therefore charged
 * here and never uncharged by whoever frees them; the only exception is a charge for which
 * no frame could be had.
 *
 * States of an account: live (somebody has a reference), waiting (no reference, but frames
 * in quarantine), freed. Who finds both counts zero frees it: dropping the last reference
 * and uncharging the last frame may race, bit 0 of dead decides. An account of a user is
 * never waiting, because its children hold references.
 *
 * Invariants: used[r] of a user is the sum over its files; used[r] > limit[r] only for
 * the duration of a charge that is about to fail, or where unlimited files share the user;
 * an account with frames is found in set->ids.
 *
 * Locks: set->lock (list of users) and the lock in set->ids. Both are leaf locks, taken with
 * interrupts off, because frames come home in any context. Counts are atomics.
 *
 * What this deliberately does not do: no reclaim at the limit (reclaim.c will hook in above),
 * no change of limits after init, no moving of charges when a descriptor goes to another user:
 * who made an object pays for it until the last descriptor is closed. Only frames that are
 * given to another object change accounts.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/assert.h>
#include <kmm/inject.h>

static void account_set_limits(struct kmm_account *a, const struct kmm_limits *l)
{
	a->limit[KMM_RES_FRAMES] = l->frames;
	a->limit[KMM_RES_OBJECTS] = l->objects;
	a->limit[KMM_RES_NAMES] = l->names;
	a->limit[KMM_RES_HOST_BYTES] = l->host_bytes;
	a->limit[KMM_RES_WINDOW] = a->set->window_limit;
}

/* Frees when there is neither a reference nor a frame. Any context, under RCU or a reference. */
static void account_try_free(struct kmm_account *a)
{
	struct kmm_accounts *set = a->set;
	struct kmm_account *parent = a->parent;
	unsigned long flags;

	if (refcount_read(&a->ref) || atomic64_read(&a->used[KMM_RES_FRAMES]))
		return;
	if (test_and_set_bit(0, &a->dead))
		return;

	xa_lock_irqsave(&set->ids, flags);
	__xa_erase(&set->ids, a->id);
	xa_unlock_irqrestore(&set->ids, flags);
	if (!parent) {
		spin_lock_irqsave(&set->lock, flags);
		list_del(&a->user_node);
		spin_unlock_irqrestore(&set->lock, flags);
	}
	if (parent) {
		/* What is still charged here is our own struct, if anything. */
		kmm_account_uncharge(parent, KMM_RES_HOST_BYTES,
				     atomic64_read(&a->used[KMM_RES_HOST_BYTES]));
		kmm_account_put(parent);
	}
	kfree_rcu(a, rcu);
}

/* Of a user: @parent is NULL; or of a file, by the current task. All is set when others see it. */
static struct kmm_account *account_new(struct kmm_accounts *set, struct kmm_account *parent,
				       kuid_t uid, const struct kmm_limits *limits, bool unlimited)
{
	struct kmm_account *a;
	int err;

	a = kmm_should_fail() ? NULL : kzalloc(sizeof(*a), GFP_KERNEL_ACCOUNT);
	if (!a)
		return ERR_PTR(-ENOMEM);
	a->set = set;
	a->parent = parent;
	a->uid = uid;
	refcount_set(&a->ref, 1);
	INIT_LIST_HEAD(&a->user_node);
	account_set_limits(a, limits);
	a->unlimited = unlimited;
	if (parent) {
		a->pid = task_tgid_nr(current);
		get_task_comm(a->comm, current);
	}

	err = kmm_should_fail() ? -ENOMEM :
		xa_alloc_irq(&set->ids, &a->id, a, xa_limit_32b, GFP_KERNEL_ACCOUNT);
	if (err) {
		kfree(a);
		return ERR_PTR(-ENOMEM);
	}
	return a;
}

static struct kmm_account *account_find_user(struct kmm_accounts *set, kuid_t uid)
{
	struct kmm_account *a;

	lockdep_assert_held(&set->lock);
	list_for_each_entry(a, &set->users, user_node)
		if (uid_eq(a->uid, uid) && refcount_inc_not_zero(&a->ref))
			return a;
	return NULL;
}

static struct kmm_account *account_get_user(struct kmm_accounts *set, kuid_t uid)
{
	struct kmm_account *a, *old;

	spin_lock_irq(&set->lock);
	a = account_find_user(set, uid);
	spin_unlock_irq(&set->lock);
	if (a)
		return a;

	a = account_new(set, NULL, uid, &set->user_limits, false);
	if (IS_ERR(a))
		return a;

	spin_lock_irq(&set->lock);
	old = account_find_user(set, uid);
	if (!old)
		list_add(&a->user_node, &set->users);
	spin_unlock_irq(&set->lock);
	if (!old)
		return a;
	kmm_account_put(a);
	return old;
}

/**
 * kmm_accounts_init() - Begin with no account.
 * @set: caller's memory
 * @file_limits: of each open file
 * @user_limits: of each user; KMM_NO_LIMIT where there is none
 *
 * Context: task.
 */
void kmm_accounts_init(struct kmm_accounts *set, const struct kmm_limits *file_limits,
		       const struct kmm_limits *user_limits)
{
	xa_init_flags(&set->ids, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_IRQ);
	spin_lock_init(&set->lock);
	INIT_LIST_HEAD(&set->users);
	set->file_limits = *file_limits;
	set->user_limits = *user_limits;
	set->window_limit = KMM_NO_LIMIT;
}
KMM_EXPORT_INTERNAL(kmm_accounts_init);

/**
 * kmm_accounts_fini() - Free what is left: accounts whose frames never came home.
 * @set: no session or object lives any more, and no frame comes home after this
 *
 * Context: task, may sleep.
 */
void kmm_accounts_fini(struct kmm_accounts *set)
{
	struct kmm_account *a;
	unsigned long id;

	xa_for_each(&set->ids, id, a) {
		/* A user is held by its files; a file's account only waits for frames. */
		kmm_assert(!a->parent || !refcount_read(&a->ref));
		xa_erase_irq(&set->ids, id);
		kfree_rcu(a, rcu);
	}
	xa_destroy(&set->ids);
}
KMM_EXPORT_INTERNAL(kmm_accounts_fini);

/**
 * kmm_account_create() - A new account below the one of @uid.
 * @set: instance
 * @uid: the user
 * @unlimited: count, but never refuse
 *
 * Its own struct is its first charge, and its last one to go.
 *
 * Context: task, may sleep.
 * Return: the account with one reference, or ERR_PTR of -ENOMEM, -EDQUOT.
 */
struct kmm_account *kmm_account_create(struct kmm_accounts *set, kuid_t uid, bool unlimited)
{
	struct kmm_account *user, *a;
	int err;

	user = account_get_user(set, uid);
	if (IS_ERR(user))
		return user;
	a = account_new(set, user, uid, &set->file_limits, unlimited);
	if (IS_ERR(a)) {
		kmm_account_put(user);
		return a;
	}
	err = kmm_account_try_charge(a, KMM_RES_HOST_BYTES, sizeof(*a));
	if (err) {
		kmm_account_put(a);
		return ERR_PTR(err);
	}
	return a;
}
KMM_EXPORT_INTERNAL(kmm_account_create);

/**
 * kmm_account_get() - One more reference.
 * @a: account of which the caller has a reference
 *
 * Context: any.
 */
void kmm_account_get(struct kmm_account *a)
{
	refcount_inc(&a->ref);
}
KMM_EXPORT_INTERNAL(kmm_account_get);

/**
 * kmm_account_put() - Drop a reference; the last one frees, once no frame is left.
 * @a: account
 *
 * Context: any.
 */
void kmm_account_put(struct kmm_account *a)
{
	rcu_read_lock();
	if (refcount_dec_and_test(&a->ref)) {
		/* Pairs with atomic64_sub_return() in kmm_accounts_uncharge_frames(). */
		smp_mb();
		account_try_free(a);
	}
	rcu_read_unlock();
}
KMM_EXPORT_INTERNAL(kmm_account_put);

/* Charges the levels from @a up to, and without, @end; NULL is above the last one. */
static int account_charge_below(struct kmm_account *a, struct kmm_account *end,
				enum kmm_resource res, u64 n)
{
	struct kmm_account *p, *undo;

	for (p = a; p != end; p = p->parent) {
		u64 used = atomic64_add_return(n, &p->used[res]);

		if (unlikely(used > p->limit[res]) && !a->unlimited)
			goto over;
	}
	return 0;

over:
	for (undo = a; ; undo = undo->parent) {
		atomic64_sub(n, &undo->used[res]);
		if (undo == p)
			return -EDQUOT;
	}
}

/**
 * kmm_account_try_charge() - Take @n of a resource, on all levels or on none.
 * @a: account
 * @res: which resource
 * @n: how much, below 2^62
 *
 * Context: any.
 * Return: 0, or -EDQUOT.
 */
int kmm_account_try_charge(struct kmm_account *a, enum kmm_resource res, u64 n)
{
	return account_charge_below(a, NULL, res, n);
}
KMM_EXPORT_INTERNAL(kmm_account_try_charge);

/**
 * kmm_account_uncharge() - Give back what was charged.
 * @a: account of which the caller has a reference
 * @res: which resource; of frames only those that were charged and not had
 * @n: how much
 *
 * Context: any.
 */
void kmm_account_uncharge(struct kmm_account *a, enum kmm_resource res, u64 n)
{
	for (; a; a = a->parent)
		atomic64_sub(n, &a->used[res]);
}
KMM_EXPORT_INTERNAL(kmm_account_uncharge);

/* The lowest level that both belong to, NULL: none. */
static struct kmm_account *account_common(const struct kmm_account *a, const struct kmm_account *b)
{
	const struct kmm_account *p;

	for (; a; a = a->parent)
		for (p = b; p; p = p->parent)
			if (p == a)
				return (struct kmm_account *)p;
	return NULL;
}

/**
 * kmm_account_move() - Somebody else pays from now on.
 * @from: who paid; the caller has a reference
 * @to: who will pay; the same, and it may be the same account
 * @res: which resource; the owner of frames is for the caller to change
 * @n: how much
 *
 * The levels that both have in common are not touched, so two files of a user who is at the
 * limit can hand each other what they have.
 *
 * Context: any.
 * Return: 0, or -EDQUOT and nothing has changed.
 */
int kmm_account_move(struct kmm_account *from, struct kmm_account *to, enum kmm_resource res,
		     u64 n)
{
	struct kmm_account *p, *common = account_common(from, to);
	int err;

	err = account_charge_below(to, common, res, n);
	if (err)
		return err;
	for (p = from; p != common; p = p->parent)
		atomic64_sub(n, &p->used[res]);
	return 0;
}
KMM_EXPORT_INTERNAL(kmm_account_move);

/**
 * kmm_account_may_move() - Would kmm_account_move() find room now?
 * @from: as there
 * @to: as there
 * @res: as there
 * @n: as there
 *
 * Context: any. Return: 0, or -EDQUOT.
 */
int kmm_account_may_move(const struct kmm_account *from, const struct kmm_account *to,
			 enum kmm_resource res, u64 n)
{
	const struct kmm_account *p, *common = account_common(from, to);

	for (p = to; p != common && !to->unlimited; p = p->parent)
		if (atomic64_read(&p->used[res]) + n > p->limit[res])
			return -EDQUOT;
	return 0;
}

/**
 * kmm_accounts_uncharge_frames() - Frames with this owner came home.
 * @set: instance
 * @owner: account number, from the frame
 * @nr_pages: how many
 *
 * Wired to the buddy's uncharge(). The account may have lost its last reference long ago.
 *
 * Context: any.
 */
void kmm_accounts_uncharge_frames(struct kmm_accounts *set, u32 owner, unsigned long nr_pages)
{
	struct kmm_account *a;

	rcu_read_lock();
	a = xa_load(&set->ids, owner);
	if (kmm_assert(a)) {
		/* The parent first: once ours are zero it may be gone. */
		if (a->parent)
			atomic64_sub(nr_pages, &a->parent->used[KMM_RES_FRAMES]);
		/* Fully ordered. Pairs with smp_mb() in kmm_account_put(). */
		if (!atomic64_sub_return(nr_pages, &a->used[KMM_RES_FRAMES]) &&
		    unlikely(!refcount_read(&a->ref)))
			account_try_free(a);
	}
	rcu_read_unlock();
}
KMM_EXPORT_INTERNAL(kmm_accounts_uncharge_frames);

/**
 * kmm_account_used() - What is charged.
 * @a: account
 * @res: which resource
 *
 * Context: any.
 * Return: the amount, own and of all children.
 */
u64 kmm_account_used(const struct kmm_account *a, enum kmm_resource res)
{
	return atomic64_read(&a->used[res]);
}
KMM_EXPORT_INTERNAL(kmm_account_used);

/**
 * kmm_account_zalloc() - Zeroed host memory for one of kmm's own structs.
 * @a: who pays
 * @size_bytes: not zero
 *
 * Context: task, may sleep; not under an object's lock.
 * Return: memory, or ERR_PTR of -EDQUOT, -ENOMEM.
 */
void *kmm_account_zalloc(struct kmm_account *a, size_t size_bytes)
{
	void *p;
	int err;

	err = kmm_account_try_charge(a, KMM_RES_HOST_BYTES, size_bytes);
	if (err)
		return ERR_PTR(err);
	p = kmm_should_fail() ? NULL : kvzalloc(size_bytes, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!p) {
		kmm_account_uncharge(a, KMM_RES_HOST_BYTES, size_bytes);
		return ERR_PTR(-ENOMEM);
	}
	return p;
}
KMM_EXPORT_INTERNAL(kmm_account_zalloc);

/**
 * kmm_account_free() - Give back memory of kmm_account_zalloc().
 * @a: who paid; the caller has a reference
 * @p: the memory, or NULL
 * @size_bytes: its size
 *
 * Context: task, may sleep.
 */
void kmm_account_free(struct kmm_account *a, const void *p, size_t size_bytes)
{
	if (!p)
		return;
	kvfree(p);
	kmm_account_uncharge(a, KMM_RES_HOST_BYTES, size_bytes);
}
KMM_EXPORT_INTERNAL(kmm_account_free);
