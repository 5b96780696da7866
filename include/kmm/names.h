/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of things that processes find each other by. See share/names.c. */
#ifndef _KMM_NAMES_H
#define _KMM_NAMES_H

#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/types.h>
#include <linux/uidgid.h>

#include <uapi/kmm.h>

struct kmm_account;

/**
 * enum kmm_name_kind - separate name spaces
 * @KMM_NAME_SHM: memory objects
 * @KMM_NAME_MSGQ: message queues
 * @KMM_NR_NAME_KINDS: number of kinds
 */
enum kmm_name_kind {
	KMM_NAME_SHM,
	KMM_NAME_MSGQ,
	KMM_NR_NAME_KINDS
};

/**
 * struct kmm_name_ops - what a kind of thing with names can do
 * @get: one more reference. Context: under the table's lock, does not sleep
 * @put: drop one. Context: task, may sleep, no lock of the table held
 * @id: the number by which debugfs shows it. Context: any
 */
struct kmm_name_ops {
	void (*get)(void *ref);
	void (*put)(void *ref);
	u64 (*id)(void *ref);
};

/**
 * struct kmm_names - the table, one for each kmm
 * @lock: protects @root and all names in it. A leaf; a name's @get runs under it
 * @root: names by bytes, for each kind
 * @ops: for each kind; NULL: the kind has no names yet; set before the first use
 */
struct kmm_names {
	struct mutex lock;	/* a leaf; protects root */
	struct rb_root root[KMM_NR_NAME_KINDS];
	const struct kmm_name_ops *ops[KMM_NR_NAME_KINDS];
};

/**
 * struct kmm_name_key - the bytes of a name
 * @len: how many, 1 .. KMM_NAME_MAX
 * @bytes: neither NUL nor '/'; not terminated
 */
struct kmm_name_key {
	unsigned int len;
	char bytes[KMM_NAME_MAX];
};

/**
 * struct kmm_name_attr - who may open a name, as for files
 * @mode: permission bits, within 0777
 * @uid: owner
 * @gid: its group
 */
struct kmm_name_attr {
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
};

/**
 * struct kmm_name - an entry of the table
 * @node: in the table
 * @kind: enum kmm_name_kind
 * @ref: what is named; the name holds a reference
 * @account: who pays for the name; holds a reference
 * @attr: owner and mode
 * @len: bytes of @bytes
 * @bytes: the name
 *
 * All immutable but @node.
 */
struct kmm_name {
	struct rb_node node;
	enum kmm_name_kind kind;
	void *ref;
	struct kmm_account *account;
	struct kmm_name_attr attr;
	unsigned int len;
	char bytes[];
};

void kmm_names_init(struct kmm_names *names);
void kmm_names_fini(struct kmm_names *names);

int kmm_name_key_copy(struct kmm_name_key *key, u64 user_ptr, u32 len);
void kmm_name_attr_init(struct kmm_name_attr *attr, umode_t mode);

int kmm_names_add(struct kmm_names *names, enum kmm_name_kind kind, const struct kmm_name_key *key,
		  const struct kmm_name_attr *attr, struct kmm_account *a, void *ref);
void *kmm_names_get(struct kmm_names *names, enum kmm_name_kind kind,
		    const struct kmm_name_key *key, int access, struct kmm_name_attr *attr);
int kmm_names_unlink(struct kmm_names *names, enum kmm_name_kind kind,
		     const struct kmm_name_key *key);
struct kmm_name *kmm_names_next_locked(struct kmm_names *names, struct kmm_name *n);
void kmm_names_forget(struct kmm_names *names, enum kmm_name_kind kind, const void *ref);

#endif /* _KMM_NAMES_H */
