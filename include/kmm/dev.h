/* SPDX-License-Identifier: GPL-2.0-only */
/* The front: /dev/kmm, descriptors of objects, mappings, debugfs. See dev/. */
#ifndef _KMM_DEV_H
#define _KMM_DEV_H

#include <linux/bits.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include <kmm/kmm.h>
#include <uapi/kmm.h>

struct kmm_account;
struct kmm_accounts;
struct kmm_buddy;
struct kmm_buddy_stat;
struct kmm_leak;
struct kmm_mapping_ops;
struct kmm_name_attr;
struct kmm_name_ops;
struct kmm_names;
struct kmm_msgq_set;
struct kmm_object;
struct kmm_object_set;
struct kmm_pgtables;
struct kmm_kfence;
struct kmm_pipe_set;
struct kmm_policy_ops;
struct kmm_region;
struct kmm_slab;
struct kmm_slot;
struct kmm_space;
struct kmm_space_set;
struct kmm_swap;
struct kmm_vmap;
struct dentry;
struct file;
struct seq_file;
struct vm_area_struct;

/**
 * struct kmm_mm_init_step - what debugfs mm_init tells of one step
 * @name: the kernel's name of the step
 * @result: one line without newline
 * @ns: time it took
 * @bytes: memory it took, region or host
 */
struct kmm_mm_init_step {
	const char *name;
	char result[96];
	u64 ns;
	u64 bytes;
};

/**
 * struct kmm_dev_env - what the front works on; kmm_main.c fills it
 * @region: the region
 * @buddy: its allocator
 * @slab: object caches and kmalloc on it
 * @kfence: its guarded pool
 * @tables: page tables
 * @vmap: vmalloc, or NULL
 * @accounts: who pays
 * @objects: memory objects
 * @pipes: pipes
 * @names: of objects and queues
 * @spaces: address spaces
 * @msgqs: message queues
 * @swap: where pages go
 * @leak: leak detector
 * @steps: of mm_init, in order
 * @nr_steps: how many
 * @max_slots: slots of one open file, at most
 * @lab: loaded with lab=1
 *
 * Immutable while the module is loaded.
 */
struct kmm_dev_env {
	struct kmm_region *region;
	struct kmm_buddy *buddy;
	struct kmm_slab *slab;
	struct kmm_kfence *kfence;
	struct kmm_pgtables *tables;
	struct kmm_vmap *vmap;
	struct kmm_accounts *accounts;
	struct kmm_object_set *objects;
	struct kmm_pipe_set *pipes;
	struct kmm_names *names;
	struct kmm_space_set *spaces;
	struct kmm_msgq_set *msgqs;
	struct kmm_swap *swap;
	struct kmm_leak *leak;
	const struct kmm_mm_init_step *steps;
	unsigned int nr_steps;
	unsigned int max_slots;
	bool lab;
};

/* Slots of one open file: a table of 1 MiB of host memory when all are used. */
#define KMM_DEFAULT_MAX_SLOTS	65536
/* The upper level of the table is one allocation: 2^24 slots make it 256 KiB. */
#define KMM_MAX_MAX_SLOTS	BIT(24)

/* dev/chardev.c; kmm_main.c calls these two and nothing else of dev/ */
int kmm_dev_init(const struct kmm_dev_env *env);
void kmm_dev_fini(void);

/* === Below: between the files of dev/ only === */

extern struct kmm_dev_env kmm_dev_env;

/**
 * struct kmm_session_class - what a session holds of one of kmalloc's classes
 * @nr: objects
 * @peak: most objects since it last held none; charged
 */
struct kmm_session_class {
	unsigned long nr;
	unsigned long peak;
};

/**
 * struct kmm_session - one open file of /dev/kmm
 * @account: what it and its objects hold; immutable
 * @lock: protects the slots and @classes; user memory is not touched under it, no object lock is
 *	taken under it
 * @slots: leaves of the slot table, NULL where no slot was used yet
 * @nr_leaves: entries of @slots; immutable
 * @classes: kmalloc, by class
 * @node: in the list of all sessions, whose slots kmemleak looks at
 */
struct kmm_session {
	struct kmm_account *account;
	struct mutex lock;	/* protects the slots and classes */
	struct kmm_slot **slots;
	unsigned int nr_leaves;
	struct kmm_session_class classes[KMM_KMALLOC_NR];
	struct list_head node;
};

/* dev/session.c */
void kmm_session_setup(void);
void kmm_session_teardown(void);
struct kmm_session *kmm_session_create(void);
void kmm_session_destroy(struct kmm_session *s);
int kmm_session_run(struct kmm_session *s, struct kmm_ops *ops);

/**
 * struct kmm_node - first member of whatever has an inode but is no memory object
 * @release: the last file is gone; frees it. Context: task, may sleep
 */
struct kmm_node {
	void (*release)(struct kmm_node *node);
};

/* What the host keeps for a file with an inode of its own, charged to whoever made it. */
#define KMM_FILE_BYTES	(sizeof(struct inode) + sizeof(struct dentry) + sizeof(struct file))

/* What the host keeps for a file or folder of debugfs: an inode and a dentry. */
#define KMM_DEBUGFS_BYTES	800

/* dev/file.c */
struct file *kmm_file_create_node(struct kmm_node *node, const struct file_operations *fops,
				  umode_t mode, int flags);
struct file *kmm_file_reopen_node(struct file *file, const struct file_operations *fops, int flags);
struct kmm_node *kmm_file_node(struct file *file);
int kmm_file_release(struct inode *inode, struct file *file);
bool kmm_file_is_object(struct file *file);
int kmm_file_pin_fs(void);
void kmm_file_unpin_fs(void);
struct file *kmm_file_create(struct kmm_account *a, u64 size_bytes, u32 flags);
struct file *kmm_file_create_named(struct kmm_account *a, u64 size_bytes, u32 flags,
				   const struct kmm_name_attr *attr, int open_flags);
struct file *kmm_file_open_named(struct kmm_object *o, const struct kmm_name_attr *attr,
				 int open_flags);
int kmm_file_truncate(struct file *file);
struct file *kmm_file_reopen(struct file *file, int flags);
struct file *kmm_file_export(struct file *file, bool write);
struct file *kmm_file_import(int dmabuf_fd);
struct kmm_object *kmm_file_object(struct file *file);
int kmm_file_add_seals(struct file *file, u32 seals);

/* dev/mmap.c */
extern const struct kmm_mapping_ops kmm_mapping_ops;
void kmm_mapping_vmstat(struct seq_file *m);
int kmm_mapping_mmap(struct file *file, struct vm_area_struct *vma);
int kmm_mapping_mmap_anonymous(struct kmm_account *a, struct vm_area_struct *vma);

/**
 * enum kmm_call_kind - on which descriptors an ioctl is
 * @KMM_ON_DEVICE: /dev/kmm
 * @KMM_ON_OBJECT: memory object
 * @KMM_ON_SPACE: address space
 * @KMM_ON_MSGQ: message queue
 * @KMM_ON_PIPE: pipe
 * @KMM_ON_REPLAY: replay of page references
 */
enum kmm_call_kind {
	KMM_ON_DEVICE,
	KMM_ON_OBJECT,
	KMM_ON_SPACE,
	KMM_ON_MSGQ,
	KMM_ON_PIPE,
	KMM_ON_REPLAY,
};

/* Descriptors that one call may return: a pipe has two ends. */
#define KMM_CALL_FILES	2

/**
 * struct kmm_call - one ioctl on its way
 * @file: the descriptor it came on
 * @new_file: files to install when all is well
 * @fd: their numbers, reserved
 * @nr_new: entries of @new_file and @fd
 * @new_fd: number of the file that was offered last
 * @undo: what the handler wants done when the call fails after all, or NULL; the new files
 *	are closed after it
 * @undo_arg: for @undo
 * @uarg: where the caller has its struct
 * @usize: bytes of it that this kernel knows
 * @replied: the handler has written @uarg itself, or there is nothing to tell
 * @arg: the caller's struct
 */
struct kmm_call {
	struct file *file;
	struct file *new_file[KMM_CALL_FILES];
	int fd[KMM_CALL_FILES];
	unsigned int nr_new;
	int new_fd;
	void (*undo)(struct kmm_call *call);
	void *undo_arg;
	void __user *uarg;
	size_t usize;
	bool replied;
	union {
		struct kmm_info info;
		struct kmm_features features;
		struct kmm_stat stat;
		struct kmm_ops ops;
		struct kmm_object_create create;
		struct kmm_object_info object_info;
		struct kmm_object_reopen reopen;
		struct kmm_object_seal seal;
		struct kmm_object_gift gift;
		struct kmm_shm_open shm_open;
		struct kmm_shm_unlink shm_unlink;
		struct kmm_object_export export;
		struct kmm_object_import import;
		struct kmm_pipe_create pipe_create;
		struct kmm_pipe_resize pipe_resize;
		struct kmm_pipe_info pipe_info;
		struct kmm_msgq_create msgq_create;
		struct kmm_msgq_open msgq_open;
		struct kmm_msgq_unlink msgq_unlink;
		struct kmm_msgq_send msgq_send;
		struct kmm_msgq_receive msgq_receive;
		struct kmm_msgq_info msgq_info;
		struct kmm_msgq_reopen msgq_reopen;
		struct kmm_space_create space_create;
		struct kmm_space_map space_map;
		struct kmm_space_unmap space_unmap;
		struct kmm_space_protect space_protect;
		struct kmm_space_clone space_clone;
		struct kmm_space_access space_access;
		struct kmm_space_walk space_walk;
		struct kmm_space_info space_info;
		struct kmm_space_limit space_limit;
		struct kmm_object_advise object_advise;
		struct kmm_object_limit object_limit;
		struct kmm_policy_info policy_info;
		struct kmm_policy_set policy_set;
		struct kmm_replay_create replay_create;
		struct kmm_replay_run replay_run;
		struct kmm_object_young object_young;
		struct kmm_space_trace space_trace;
		struct kmm_lab_bug lab_bug;
		struct kmm_swap_on swap_on;
		struct kmm_swap_off swap_off;
		struct kmm_swap_info swap_info;
	} arg;
};

/* dev/chardev.c: the one table of ioctls; its handlers are in the file of their kind */
long kmm_call_run(struct file *file, unsigned int cmd, unsigned long arg,
		  enum kmm_call_kind kind);
/* dev/shm.c */
extern const struct kmm_name_ops kmm_shm_name_ops;
int kmm_ioctl_shm_open(struct kmm_call *call);
int kmm_ioctl_shm_unlink(struct kmm_call *call);
int kmm_ioctl_object_gift(struct kmm_call *call);

int kmm_call_offer_file(struct kmm_call *call, struct file *file);

/* dev/pipe.c */
int kmm_call_pipe_create(struct kmm_call *call);
int kmm_call_pipe_resize(struct kmm_call *call);
int kmm_call_pipe_info(struct kmm_call *call);
void kmm_debugfs_pipes_init(struct dentry *dir);
/* dev/msgq.c */
extern const struct kmm_name_ops kmm_msgq_name_ops;
int kmm_call_msgq_create(struct kmm_call *call);
int kmm_call_msgq_open(struct kmm_call *call);
int kmm_call_msgq_unlink(struct kmm_call *call);
int kmm_call_msgq_send(struct kmm_call *call);
int kmm_call_msgq_receive(struct kmm_call *call);
int kmm_call_msgq_info(struct kmm_call *call);
int kmm_call_msgq_reopen(struct kmm_call *call);
void kmm_debugfs_msgq_init(struct dentry *dir);

/* dev/policy.c: handlers, and what other files of dev/ ask */
const struct kmm_policy_ops *kmm_call_policy(const u8 *name);
int kmm_call_policy_info(struct kmm_call *call);
int kmm_call_policy_set(struct kmm_call *call);
int kmm_call_object_young(struct kmm_call *call);
int kmm_call_space_trace(struct kmm_call *call);

/* dev/replay.c: handlers */
int kmm_call_replay_create(struct kmm_call *call);
int kmm_call_replay_run(struct kmm_call *call);

/* dev/space.c: handlers */
struct kmm_space *kmm_file_space(struct file *file);
int kmm_call_space_create(struct kmm_call *call);
int kmm_call_space_map(struct kmm_call *call);
int kmm_call_space_unmap(struct kmm_call *call);
int kmm_call_space_protect(struct kmm_call *call);
int kmm_call_space_clone(struct kmm_call *call);
int kmm_call_space_access(struct kmm_call *call);
int kmm_call_space_walk(struct kmm_call *call);
int kmm_call_space_info(struct kmm_call *call);

/* dev/advise.c */
int kmm_call_object_advise(struct kmm_call *call);
int kmm_call_object_limit(struct kmm_call *call);
int kmm_call_space_limit(struct kmm_call *call);

/* dev/lab.c */
int kmm_call_lab_bug(struct kmm_call *call);
void kmm_debugfs_lab_init(struct dentry *dir);
/* dev/swap.c */
int kmm_call_swap_on(struct kmm_call *call);
int kmm_call_swap_off(struct kmm_call *call);
int kmm_call_swap_info(struct kmm_call *call);
void kmm_debugfs_swap_init(struct dentry *dir);

/* dev/debugfs.c */
void kmm_seq_word(struct seq_file *m, const char *text);
void kmm_debugfs_init(void);
void kmm_debugfs_fini(void);

/* dev/debugfs_account.c; called by debugfs.c */
void kmm_debugfs_account_init(struct dentry *dir);

/* dev/debugfs_slab.c; called by debugfs.c */
void kmm_debugfs_slab_init(struct dentry *dir);
void kmm_debugfs_slab_fini(void);

/* dev/debugfs_vmap.c; called by debugfs.c */
void kmm_debugfs_vmap_init(struct dentry *dir);
void kmm_debugfs_hardening_init(struct dentry *dir);
void kmm_debugfs_hardening_vmstat(struct seq_file *m, const struct kmm_buddy_stat *st);
void kmm_debugfs_kfence_init(struct dentry *dir);
void kmm_debugfs_vmap_vmstat(struct seq_file *m);

/* dev/debugfs_owner.c */
void kmm_debugfs_owner_init(struct dentry *dir);
/* dev/debugfs_kmemleak.c; called by debugfs.c */
void kmm_debugfs_kmemleak_init(struct dentry *dir);

/* dev/debugfs_reclaim.c; called by debugfs.c */
void kmm_debugfs_reclaim_init(struct dentry *dir);
void kmm_debugfs_reclaim_vmstat(struct seq_file *m);

/* dev/debugfs_space.c; the first called by debugfs.c, the others by space.c */
#define KMM_DEBUGFS_SPACE_FILES	4	/* of each space, its folder included */
void kmm_debugfs_space_init(struct dentry *dir);
struct dentry *kmm_debugfs_space_add(struct kmm_space *s);

#endif /* _KMM_DEV_H */
