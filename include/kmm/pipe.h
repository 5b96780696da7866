/* SPDX-License-Identifier: GPL-2.0-only */
/* Pipes: a stream of bytes through a ring of frames. See share/pipe.c. */
#ifndef _KMM_PIPE_H
#define _KMM_PIPE_H

#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/wait.h>

#include <uapi/kmm.h>

struct iov_iter;
struct kmm_account;
struct kmm_buddy;

/* Empty frames that a pipe keeps, so that a stream of small messages allocates nothing. */
#define KMM_PIPE_SPARES		2

/**
 * struct kmm_pipe_slot - one frame of the ring, or what of it is still to be read
 * @page: frame
 * @offset: of the first byte in it
 * @len: bytes, not zero in a slot that is in use
 * @packet: what one write in packet mode wrote: read whole or cut off, never added to
 */
struct kmm_pipe_slot {
	struct page *page;
	u16 offset;
	u16 len;
	bool packet;
};

/**
 * struct kmm_pipe_set - all pipes of one instance
 * @buddy: where their frames come from; immutable
 * @lock: protects the rest; a leaf, held while debugfs prints a line of the list
 * @list: pipes, in the order of their numbers
 * @last_id: number given last
 */
struct kmm_pipe_set {
	struct kmm_buddy *buddy;
	struct mutex lock;	/* a leaf; protects what follows */
	struct list_head list;
	u64 last_id;
};

/**
 * struct kmm_pipe - a ring of frames, and those who wait for it
 * @lock: protects the ring. Outside of mmap_lock: user memory is touched under it
 * @head: slots ever filled, modulo 2^32; also read without the lock
 * @tail: slots ever emptied; also read without the lock
 * @nr_slots: capacity, a power of two; also read without the lock
 * @bytes: in the ring; also read without the lock
 * @slots: slot n is at n % @nr_slots
 * @nr_spare: entries of @spare
 * @spare: empty frames; their old contents are never read
 * @readable: there is a read end; written without the lock
 * @writable: there is a write end; written without the lock
 * @rd_wait: readers, and who polls the read end
 * @wr_wait: writers, and who polls the write end
 * @fasync_readers: who wants SIGIO at the read end
 * @fasync_writers: who wants SIGIO at the write end
 * @set: immutable
 * @account: who pays; holds a reference; immutable
 * @extra_bytes: host bytes charged for the caller's own structs; immutable
 * @flags: KMM_PIPE_* of its creation; immutable
 * @id: unique since load; immutable
 * @uid: creator; immutable
 * @pid: creator's thread group; immutable
 * @comm: creator's name; immutable
 * @node: in @set->list; protected by @set->lock
 */
struct kmm_pipe {
	struct mutex lock;	/* protects the ring */
	unsigned int head;
	unsigned int tail;
	unsigned int nr_slots;
	unsigned int bytes;
	struct kmm_pipe_slot *slots;
	unsigned int nr_spare;
	struct page *spare[KMM_PIPE_SPARES];
	bool readable;
	bool writable;
	wait_queue_head_t rd_wait;
	wait_queue_head_t wr_wait;
	struct fasync_struct *fasync_readers;
	struct fasync_struct *fasync_writers;
	struct kmm_pipe_set *set;
	struct kmm_account *account;
	u64 extra_bytes;
	u32 flags;
	u64 id;
	kuid_t uid;
	pid_t pid;
	char comm[TASK_COMM_LEN];
	struct list_head node;
};

/**
 * struct kmm_pipe_attr - what kmm_pipe_init() is to make
 * @size_bytes: capacity, 1 .. KMM_PIPE_SIZE_HARD_MAX; rounded up to a power of two of pages
 * @flags: KMM_PIPE_*, for show: a read or a write is told how to behave
 * @extra_bytes: host memory of the caller's structs, the pipe's too, charged with it
 */
struct kmm_pipe_attr {
	u64 size_bytes;
	u32 flags;
	u64 extra_bytes;
};

/* How a read or a write behaves. */
#define KMM_PIPE_NOWAIT		BIT(0)	/* -EAGAIN in place of sleeping */
#define KMM_PIPE_AS_PACKET	BIT(1)	/* each KMM_PIPE_BUF bytes of a write are a packet */

void kmm_pipe_set_init(struct kmm_pipe_set *set, struct kmm_buddy *b);
void kmm_pipe_set_fini(struct kmm_pipe_set *set);

int kmm_pipe_init(struct kmm_pipe *p, struct kmm_pipe_set *set, struct kmm_account *a,
		  const struct kmm_pipe_attr *attr);
void kmm_pipe_fini(struct kmm_pipe *p);

ssize_t kmm_pipe_read(struct kmm_pipe *p, struct iov_iter *to, unsigned int flags);
ssize_t kmm_pipe_write(struct kmm_pipe *p, struct iov_iter *from, unsigned int flags);
int kmm_pipe_wait_readable(struct kmm_pipe *p);
int kmm_pipe_wait_writable(struct kmm_pipe *p);
__poll_t kmm_pipe_poll_mask(struct kmm_pipe *p, bool read_end, bool write_end);
int kmm_pipe_resize(struct kmm_pipe *p, u64 size_bytes);
void kmm_pipe_close_end(struct kmm_pipe *p, bool read_end);
void kmm_pipe_info(struct kmm_pipe *p, struct kmm_pipe_info *info);
unsigned long kmm_pipe_check(struct kmm_pipe *p);

#endif /* _KMM_PIPE_H */
