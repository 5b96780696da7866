/* SPDX-License-Identifier: GPL-2.0-only */
/* Message queues. See share/msgq.c. */
#ifndef _KMM_MSGQ_H
#define _KMM_MSGQ_H

#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/wait.h>

#include <uapi/kmm.h>

struct kmm_account;
struct kmm_cache;
struct kmm_lru;
struct kmm_slab;
struct page;

/**
 * struct kmm_msg - a message: one object of the queue's size class
 * @next: the next one of its priority; of the last one, the first
 * @size_bytes: what the sender sent
 * @nr_pages: frames that hold it; 0: it is in @data
 * @prio: 0 .. KMM_MSGQ_PRIO_MAX - 1
 * @data: the bytes
 * @pages: or the frames, NULL: zeros; bytes of the last one behind the end are zeros
 */
struct kmm_msg {
	struct kmm_msg *next;
	u32 size_bytes;
	u16 nr_pages;
	u16 prio;
	union {
		DECLARE_FLEX_ARRAY(u8, data);
		DECLARE_FLEX_ARRAY(struct page *, pages);
	};
};

/* Larger ones are in frames. With the header an object of one page. */
#define KMM_MSG_INLINE_MAX	(PAGE_SIZE - sizeof(struct kmm_msg))

/**
 * struct kmm_msgq_set - all queues of one instance
 * @slab: where messages come from; immutable
 * @lru: of the objects whose frames become messages; immutable
 * @lock: protects the rest; a leaf, but for the locks of the queues while debugfs prints a line
 * @list: queues, in the order of their numbers
 * @last_id: number given last
 */
struct kmm_msgq_set {
	struct kmm_slab *slab;
	struct kmm_lru *lru;
	struct mutex lock;	/* protects list, last_id */
	struct list_head list;
	u64 last_id;
};

/**
 * struct kmm_msgq - a message queue
 * @lock: protects what follows; a leaf, but for the host's wait queues and task locks
 * @mask: bit p is set: there are messages of priority p
 * @nr: messages in the queue
 * @nr_slots: places that kmm_msgq_get_slot() gave away
 * @maxmsg: of @nr and @nr_slots together; only a message that was given back comes above
 *	it; immutable
 * @msgsize: bytes of the largest message; immutable
 * @cache: size class of every message; immutable
 * @last: the last message of each priority, NULL if there is none
 * @receivers: waiting for a message, first come and highest real-time priority first. Not
 *	empty only if @nr is 0
 * @senders: waiting for a place, the same way. Not empty only if the queue is full
 * @poll_wait: those who poll
 * @bytes: of the messages in the queue
 * @nr_receivers: entries of @receivers
 * @nr_senders: entries of @senders
 * @set: immutable
 * @account: who pays; holds a reference; immutable
 * @reserve: frames that are charged for @maxmsg messages; immutable
 * @ref: descriptors, and its name
 * @id: unique since load; immutable
 * @name: what it was created as, NUL-terminated, NULL if without; immutable
 * @name_bytes: charged for @name; immutable
 * @linked: it has its name still; also read without a lock
 * @uid: creator; immutable
 * @pid: creator's thread group; immutable
 * @node: in @set->list; protected by @set->lock
 */
struct kmm_msgq {
	spinlock_t lock;	/* protects the messages and the waiters */
	u32 mask;
	u32 nr;
	u32 nr_slots;
	u32 maxmsg;
	u32 msgsize;
	struct kmm_cache *cache;
	struct list_head receivers;
	struct list_head senders;
	wait_queue_head_t poll_wait;
	struct kmm_msg *last[KMM_MSGQ_PRIO_MAX];
	u64 bytes;
	u32 nr_receivers;
	u32 nr_senders;
	struct kmm_msgq_set *set;
	struct kmm_account *account;
	unsigned long reserve;
	refcount_t ref;
	u64 id;
	char *name;
	size_t name_bytes;
	bool linked;
	kuid_t uid;
	pid_t pid;
	struct list_head node;
};

/**
 * struct kmm_msgq_patience - whether and how long to wait
 * @nowait: not at all
 * @deadline: CLOCK_MONOTONIC; KTIME_MAX: for ever
 */
struct kmm_msgq_patience {
	bool nowait;
	ktime_t deadline;
};

void kmm_msgq_set_init(struct kmm_msgq_set *set, struct kmm_slab *sl, struct kmm_lru *lru);
void kmm_msgq_set_fini(struct kmm_msgq_set *set);

struct kmm_msgq *kmm_msgq_create(struct kmm_msgq_set *set, struct kmm_account *a, u32 maxmsg,
				 u32 msgsize, const char *name, size_t name_len);
void kmm_msgq_get(struct kmm_msgq *q);
void kmm_msgq_put(struct kmm_msgq *q);

struct kmm_msg *kmm_msg_alloc(struct kmm_msgq *q, u32 size_bytes);
struct kmm_msg *kmm_msg_alloc_empty(struct kmm_msgq *q);
int kmm_msg_move_to_frame(struct kmm_msgq *q, struct kmm_msg *m);
void kmm_msg_free(struct kmm_msgq *q, struct kmm_msg *m);

int kmm_msgq_send(struct kmm_msgq *q, struct kmm_msg *m, const struct kmm_msgq_patience *patience);
int kmm_msgq_get_slot(struct kmm_msgq *q, const struct kmm_msgq_patience *patience);
void kmm_msgq_put_slot(struct kmm_msgq *q, struct kmm_msg *m);
struct kmm_msg *kmm_msgq_receive(struct kmm_msgq *q, const struct kmm_msgq_patience *patience);
void kmm_msgq_give_back(struct kmm_msgq *q, struct kmm_msg *m);

void kmm_msgq_poll(struct kmm_msgq *q, bool *readable, bool *writable);
void kmm_msgq_info(struct kmm_msgq *q, struct kmm_msgq_info *info);
unsigned long kmm_msgq_check(struct kmm_msgq *q);

#endif /* _KMM_MSGQ_H */
