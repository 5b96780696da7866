// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Names
 *
 * What processes find each other by: a table of names for each kind of thing that has them,
 * memory objects and message queues. Every kind is a space of its own, flat, one for the
 * whole machine: there are no directories, and mount, user and ipc namespaces do not divide
 * it.
 *
 * A name is 1 to 255 bytes, any but NUL and '/'. It is a reference: what has a name lives
 * without a descriptor, as POSIX shared memory and queues do, until it is unlinked and the last
 * descriptor is gone. A name holds the thing only, never an inode, a mount or the module, so
 * that names do not keep the module from being unloaded; what still has a name then dies with
 * it (kmm_names_fini()).
 *
 * Access is as for files: owner, group, others, by the caller's fsuid, fsgid and groups, against
 * mode bits that the creator's umask has been taken from. CAP_DAC_OVERRIDE in the initial
 * user namespace passes them all, CAP_DAC_READ_SEARCH when it is only read. The whole
 * space is like a directory with the sticky bit: everybody may create, only the owner of a
 * name or CAP_FOWNER unlinks it. Who creates a name gets what was asked for, whatever the mode
 * says.
 *
 * Owner and mode belong to the name and do not change.
 *
 * Charges: one name and its bytes, to the account of the creator's descriptor of /dev/kmm and
 * so to the user, until it is unlinked.
 *
 * The tree of a kind is sorted by bytes; the number of names is bounded by the users' limits.
 *
 * Invariants: every name in a tree holds one reference of what it names and one of its
 * account; a kind's tree has no two names of the same bytes.
 *
 * Locks: kmm_names.lock, a leaf. Under it nothing sleeps for long: memory is allocated before,
 * references are dropped after it.
 *
 * What this deliberately does not do: no rename, no link of a second name, no chmod, no
 * security module hooks.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/names.h>
#include <trace/events/kmm.h>

/* === Entries === */

static size_t name_bytes(unsigned int len)
{
	return sizeof(struct kmm_name) + len;
}

/* Not in the table any more, or never was. */
static void name_free(struct kmm_name *n)
{
	struct kmm_account *a = n->account;

	kmm_account_free(a, n, name_bytes(n->len));
	kmm_account_uncharge(a, KMM_RES_NAMES, 1);
	kmm_account_put(a);
}

static struct kmm_name *name_alloc(struct kmm_account *a, const struct kmm_name_key *key)
{
	struct kmm_name *n;
	int err;

	err = kmm_account_try_charge(a, KMM_RES_NAMES, 1);
	if (err)
		return ERR_PTR(err);
	n = kmm_account_zalloc(a, name_bytes(key->len));
	if (IS_ERR(n)) {
		kmm_account_uncharge(a, KMM_RES_NAMES, 1);
		return n;
	}
	kmm_account_get(a);
	n->account = a;
	n->len = key->len;
	memcpy(n->bytes, key->bytes, key->len);
	return n;
}

static int name_compare(const struct kmm_name_key *key, const struct kmm_name *n)
{
	int diff = memcmp(key->bytes, n->bytes, min(key->len, n->len));

	return diff ?: (int)key->len - (int)n->len;
}

/* As generic_permission() for a file without ACL. @access is of MAY_READ and MAY_WRITE. */
static bool name_permits(const struct kmm_name *n, int access)
{
	int granted = n->attr.mode;

	if (uid_eq(current_fsuid(), n->attr.uid))
		granted >>= 6;
	else if (in_group_p(n->attr.gid))
		granted >>= 3;
	if (!(access & ~granted))
		return true;
	if (access == MAY_READ && capable(CAP_DAC_READ_SEARCH))
		return true;
	return capable(CAP_DAC_OVERRIDE);
}

/* === Tree === */

/* The name, or NULL and where it would go. */
static struct kmm_name *names_find_locked(struct kmm_names *names, enum kmm_name_kind kind,
					  const struct kmm_name_key *key,
					  struct rb_node **parent, struct rb_node ***link)
{
	struct rb_node **p = &names->root[kind].rb_node;

	lockdep_assert_held(&names->lock);
	*parent = NULL;
	while (*p) {
		struct kmm_name *n = rb_entry(*p, struct kmm_name, node);
		int diff = name_compare(key, n);

		if (!diff)
			return n;
		*parent = *p;
		p = diff < 0 ? &(*p)->rb_left : &(*p)->rb_right;
	}
	*link = p;
	return NULL;
}

/* The name is out of the tree. */
static void names_drop(struct kmm_names *names, enum kmm_name_kind kind, struct kmm_name *n)
{
	trace_name_unlink(kind, names->ops[kind]->id(n->ref));
	names->ops[kind]->put(n->ref);
	name_free(n);
}

/* === Interface === */

/**
 * kmm_names_init() - Begin with no name.
 * @names: caller's memory; the caller sets @names->ops
 *
 * Context: task.
 */
void kmm_names_init(struct kmm_names *names)
{
	unsigned int kind;

	mutex_init(&names->lock);
	for (kind = 0; kind < KMM_NR_NAME_KINDS; kind++) {
		names->root[kind] = RB_ROOT;
		names->ops[kind] = NULL;
	}
}
KMM_EXPORT_INTERNAL(kmm_names_init);

/**
 * kmm_names_fini() - Unlink all names, and with them what only they kept alive.
 * @names: table that nobody else uses any more
 *
 * Context: task, may sleep.
 */
void kmm_names_fini(struct kmm_names *names)
{
	struct rb_node *node;
	unsigned int kind;

	for (kind = 0; kind < KMM_NR_NAME_KINDS; kind++) {
		while ((node = rb_first(&names->root[kind]))) {
			rb_erase(node, &names->root[kind]);
			names_drop(names, kind, rb_entry(node, struct kmm_name, node));
		}
	}
	mutex_destroy(&names->lock);
}
KMM_EXPORT_INTERNAL(kmm_names_fini);

/**
 * kmm_name_key_copy() - Take a name from user space.
 * @key: filled
 * @user_ptr: where it is, as it stands in an ioctl's struct
 * @len: bytes
 *
 * Context: task, may sleep.
 * Return: 0; -EINVAL no bytes, or NUL or '/' among them; -ENAMETOOLONG; -EFAULT.
 */
int kmm_name_key_copy(struct kmm_name_key *key, u64 user_ptr, u32 len)
{
	if (!len)
		return -EINVAL;
	if (len > KMM_NAME_MAX)
		return -ENAMETOOLONG;
	key->len = len;
	if (copy_from_user(key->bytes, u64_to_user_ptr(user_ptr), len))
		return -EFAULT;
	return memchr(key->bytes, 0, len) || memchr(key->bytes, '/', len) ? -EINVAL : 0;
}

/**
 * kmm_name_attr_init() - Owner and mode of what the caller creates.
 * @attr: filled
 * @mode: wanted; the umask is taken from it
 *
 * Context: task.
 */
void kmm_name_attr_init(struct kmm_name_attr *attr, umode_t mode)
{
	attr->mode = mode & 0777 & ~current_umask();
	attr->uid = current_fsuid();
	attr->gid = current_fsgid();
}

/**
 * kmm_names_add() - Give something a name.
 * @names: table
 * @kind: which space
 * @key: name
 * @attr: owner and mode
 * @a: who pays for the name
 * @ref: what it names; the name takes a reference of its own
 *
 * Others may open, and the owner unlink, it at once. A thing has one name at most.
 *
 * Context: task, may sleep.
 * Return: 0; -EEXIST; -EDQUOT; -ENOMEM.
 */
int kmm_names_add(struct kmm_names *names, enum kmm_name_kind kind, const struct kmm_name_key *key,
		  const struct kmm_name_attr *attr, struct kmm_account *a, void *ref)
{
	struct rb_node *parent, **link;
	struct kmm_name *n, *old;

	n = name_alloc(a, key);
	if (IS_ERR(n))
		return PTR_ERR(n);
	n->kind = kind;
	n->attr = *attr;
	n->ref = ref;

	mutex_lock(&names->lock);
	old = names_find_locked(names, kind, key, &parent, &link);
	if (!old) {
		names->ops[kind]->get(ref);
		rb_link_node(&n->node, parent, link);
		rb_insert_color(&n->node, &names->root[kind]);
		trace_name_add(kind, names->ops[kind]->id(ref));
	}
	mutex_unlock(&names->lock);
	if (!old)
		return 0;
	name_free(n);
	return -EEXIST;
}
KMM_EXPORT_INTERNAL(kmm_names_add);

/**
 * kmm_names_get() - What has this name?
 * @names: table
 * @kind: which space
 * @key: name
 * @access: MAY_READ, MAY_WRITE, both, or 0 for no check
 * @attr: filled with owner and mode, when it is not NULL
 *
 * Context: task, may sleep.
 * Return: what is named, with a reference for the caller; ERR_PTR of -ENOENT, -EACCES.
 */
void *kmm_names_get(struct kmm_names *names, enum kmm_name_kind kind,
		    const struct kmm_name_key *key, int access, struct kmm_name_attr *attr)
{
	struct rb_node *parent, **link;
	struct kmm_name *n;
	void *ref;

	mutex_lock(&names->lock);
	n = names_find_locked(names, kind, key, &parent, &link);
	if (!n) {
		ref = ERR_PTR(-ENOENT);
	} else if (!name_permits(n, access)) {
		ref = ERR_PTR(-EACCES);
	} else {
		ref = n->ref;
		names->ops[kind]->get(ref);
		if (attr)
			*attr = n->attr;
	}
	mutex_unlock(&names->lock);
	return ref;
}
KMM_EXPORT_INTERNAL(kmm_names_get);

/**
 * kmm_names_unlink() - Take a name away; what it named lives on in its descriptors.
 * @names: table
 * @kind: which space
 * @key: name
 *
 * Context: task, may sleep.
 * Return: 0; -ENOENT; -EPERM the caller is neither its owner nor has CAP_FOWNER.
 */
int kmm_names_unlink(struct kmm_names *names, enum kmm_name_kind kind,
		     const struct kmm_name_key *key)
{
	struct rb_node *parent, **link;
	struct kmm_name *n;
	int err = 0;

	mutex_lock(&names->lock);
	n = names_find_locked(names, kind, key, &parent, &link);
	if (!n)
		err = -ENOENT;
	else if (!uid_eq(current_fsuid(), n->attr.uid) && !capable(CAP_FOWNER))
		err = -EPERM;
	else
		rb_erase(&n->node, &names->root[kind]);
	mutex_unlock(&names->lock);
	if (!err)
		names_drop(names, kind, n);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_names_unlink);

/**
 * kmm_names_forget() - Undo kmm_names_add() for a caller that could not finish.
 * @names: table
 * @kind: which space
 * @ref: what was given a name; the caller has a reference of its own
 *
 * Nothing happens when somebody has unlinked the name meanwhile.
 *
 * Context: task, may sleep.
 */
void kmm_names_forget(struct kmm_names *names, enum kmm_name_kind kind, const void *ref)
{
	struct rb_node *node;
	struct kmm_name *n;

	mutex_lock(&names->lock);
	for (node = rb_first(&names->root[kind]); node; node = rb_next(node)) {
		n = rb_entry(node, struct kmm_name, node);
		if (n->ref == ref) {
			rb_erase(node, &names->root[kind]);
			break;
		}
	}
	mutex_unlock(&names->lock);
	if (node)
		names_drop(names, kind, n);
}
KMM_EXPORT_INTERNAL(kmm_names_forget);

/**
 * kmm_names_next_locked() - Walk through the names of all kinds.
 * @names: table, locked
 * @n: name that was given last, NULL to begin
 *
 * Context: task. Return: the next one, by kind and bytes; NULL at the end.
 */
struct kmm_name *kmm_names_next_locked(struct kmm_names *names, struct kmm_name *n)
{
	struct rb_node *node = n ? rb_next(&n->node) : NULL;
	unsigned int kind = n ? n->kind + 1 : 0;

	lockdep_assert_held(&names->lock);
	while (!node && kind < KMM_NR_NAME_KINDS)
		node = rb_first(&names->root[kind++]);
	return node ? rb_entry(node, struct kmm_name, node) : NULL;
}
KMM_EXPORT_INTERNAL(kmm_names_next_locked);
