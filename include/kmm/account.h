/* SPDX-License-Identifier: GPL-2.0-only */
/* Accounts: who holds how much, and how much they may. See vm/account.c. */
#ifndef _KMM_ACCOUNT_H
#define _KMM_ACCOUNT_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/xarray.h>

#include <uapi/kmm.h>

/**
 * enum kmm_resource - what is counted
 * @KMM_RES_FRAMES: frames of the region, quarantined ones included
 * @KMM_RES_OBJECTS: memory objects
 * @KMM_RES_NAMES: names
 * @KMM_RES_HOST_BYTES: host memory for kmm's own structs
 * @KMM_RES_WINDOW: pages of the kernel window
 * @KMM_NR_RESOURCES: number of resources
 */
enum kmm_resource {
	KMM_RES_FRAMES,
	KMM_RES_OBJECTS,
	KMM_RES_NAMES,
	KMM_RES_HOST_BYTES,
	KMM_RES_WINDOW,
	KMM_NR_RESOURCES
};

#define KMM_NO_LIMIT	(~0ULL)

/*
 * Defaults of an unprivileged user. Frames: half of the region, kmm_main.c derives it.
 * An object costs about 2 KiB of host memory (struct, inode, dentry, file), so 4096
 * of them are 8 MiB; 16 MiB leave as much for the page indexes and slot tables.
 */
#define KMM_DEFAULT_OBJECTS	4096ULL
#define KMM_DEFAULT_NAMES	1024ULL
#define KMM_DEFAULT_HOST_KB	16384ULL

/**
 * struct kmm_accounts - all accounts of one instance
 * @ids: live accounts by number; a frame's owner is such a number
 * @lock: protects @users; taken with interrupts off
 * @users: accounts of users, one per uid
 * @file_limits: of each open file; immutable after init
 * @user_limits: of each user; immutable after init
 * @window_limit: pages of the kernel window that a user may hold; immutable after init
 */
struct kmm_accounts {
	struct xarray ids;
	spinlock_t lock;	/* a leaf; protects users */
	struct list_head users;
	struct kmm_limits file_limits;
	struct kmm_limits user_limits;
	u64 window_limit;
};

/**
 * struct kmm_account - one node of the tree: an open file below its user
 * @set: the instance it belongs to; immutable
 * @parent: the user's account, NULL for the user itself; immutable
 * @ref: sessions, objects and child accounts
 * @id: number in @set->ids, never 0; immutable
 * @unlimited: counted, never refused: opened with CAP_SYS_RESOURCE; immutable
 * @dead: bit 0 is set by whoever frees it
 * @uid: the user; immutable
 * @pid: the process that opened the file, 0 for the user itself; immutable
 * @comm: its name then; immutable
 * @limit: by enum kmm_resource, KMM_NO_LIMIT is none; immutable
 * @used: by enum kmm_resource
 * @user_node: in @set->users; user accounts only; protected by @set->lock
 * @rcu: freed after a grace period, kmm_accounts_uncharge_frames() looks without a lock
 */
struct kmm_account {
	struct kmm_accounts *set;
	struct kmm_account *parent;
	refcount_t ref;
	u32 id;
	bool unlimited;
	unsigned long dead;
	kuid_t uid;
	pid_t pid;
	char comm[TASK_COMM_LEN];
	u64 limit[KMM_NR_RESOURCES];
	atomic64_t used[KMM_NR_RESOURCES];
	struct list_head user_node;
	struct rcu_head rcu;
};

void kmm_accounts_init(struct kmm_accounts *set, const struct kmm_limits *file_limits,
		       const struct kmm_limits *user_limits);
void kmm_accounts_fini(struct kmm_accounts *set);
void kmm_accounts_uncharge_frames(struct kmm_accounts *set, u32 owner, unsigned long nr_pages);

struct kmm_account *kmm_account_create(struct kmm_accounts *set, kuid_t uid, bool unlimited);
void kmm_account_get(struct kmm_account *a);
void kmm_account_put(struct kmm_account *a);

int kmm_account_try_charge(struct kmm_account *a, enum kmm_resource res, u64 n);
void kmm_account_uncharge(struct kmm_account *a, enum kmm_resource res, u64 n);
int kmm_account_move(struct kmm_account *from, struct kmm_account *to, enum kmm_resource res,
		     u64 n);
int kmm_account_may_move(const struct kmm_account *from, const struct kmm_account *to,
			 enum kmm_resource res, u64 n);
u64 kmm_account_used(const struct kmm_account *a, enum kmm_resource res);

void *kmm_account_zalloc(struct kmm_account *a, size_t size_bytes);
void kmm_account_free(struct kmm_account *a, const void *p, size_t size_bytes);

#endif /* _KMM_ACCOUNT_H */
