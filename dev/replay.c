// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Replay of page references
 *
 * A replay is an object that nobody maps and no process knows, with a limit of its own and a policy
 * of its own in exact mode, and a descriptor to send references to. So what is counted is what
 * the machinery does, not a simulation of it: a page that is not there gets a frame of the
 * region, a page too many is chosen by the policy and leaves, to swap when it was written, and
 * comes back with the shadow it left.
 *
 * References come in batches of any length; the sums go on from call to call. One call
 * takes at most KMM_REPLAY_MAX, ends early when a signal comes, and needs one page of host memory.
 *
 * What it holds is charged to the session that made it: frames, index, the policy's state, as for
 * any object. Its frames are left alone by global reclaim; the limit of the user is what bounds
 * them.
 *
 * States: made; used; freed with the last copy of the descriptor.
 *
 * Locks: lock of the replay, around the references of one piece; inside it those of the object.
 * User memory is read without it, so two callers are served piece by piece.
 *
 * What this deliberately does not do: OPT, which needs the whole trace (policy/opt.c).
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <kmm/account.h>
#include <kmm/dev.h>
#include <kmm/inject.h>
#include <kmm/object.h>
#include <kmm/policy.h>

/**
 * struct replay_node - what is behind the descriptor of a replay
 * @node: first
 * @o: the object; owned
 * @lock: one reference after the other; protects what follows
 * @references: so far
 * @faults: of these
 */
struct replay_node {
	struct kmm_node node;
	struct kmm_object *o;
	struct mutex lock;	/* order: this, object */
	u64 references;
	u64 faults;
};

/* References between two looks at signals. */
#define REPLAY_STEP	64

/* === Running === */

/* Return: references made, which may be none; or a negative errno, and none was. */
static int replay_piece(struct replay_node *n, const u32 *refs, unsigned int nr)
{
	unsigned int i;
	int ret = 0;

	if (mutex_lock_killable(&n->lock))
		return -EINTR;
	for (i = 0; i < nr; i++) {
		u32 index = refs[i] & ~KMM_REPLAY_WRITE;

		if (!(i % REPLAY_STEP)) {
			cond_resched();
			ret = signal_pending(current) ? -EINTR : 0;
			if (ret)
				break;
		}
		ret = index < n->o->nr_pages ?
		      kmm_object_reference(n->o, index, refs[i] & KMM_REPLAY_WRITE) : -EINVAL;
		if (ret < 0)
			break;
		n->references++;
		n->faults += ret;
	}
	mutex_unlock(&n->lock);
	return i ?: ret;
}

/**
 * kmm_call_replay_run() - KMM_IOC_REPLAY_RUN.
 * @call: on a replay
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_replay_run(struct kmm_call *call)
{
	struct replay_node *n = container_of(kmm_file_node(call->file), struct replay_node, node);
	struct kmm_replay_run *r = &call->arg.replay_run;
	const u32 __user *from = u64_to_user_ptr(r->refs);
	u32 max = PAGE_SIZE / sizeof(u32), nr;
	u32 *piece;
	int ret = 0;

	if (!r->nr)
		return -EINVAL;
	if (r->nr > KMM_REPLAY_MAX)
		return -E2BIG;
	piece = kmm_account_zalloc(n->o->account, PAGE_SIZE);
	if (IS_ERR(piece))
		return PTR_ERR(piece);
	for (r->done = 0; r->done < r->nr; r->done += ret) {
		nr = min(r->nr - r->done, max);
		ret = -EFAULT;
		if (copy_from_user(piece, from + r->done, nr * sizeof(u32)))
			break;
		ret = replay_piece(n, piece, nr);
		if (ret < (int)nr)
			break;
	}
	if (ret > 0)
		r->done += r->done < r->nr ? ret : 0;
	kmm_account_free(n->o->account, piece, PAGE_SIZE);
	r->references = READ_ONCE(n->references);
	r->faults = READ_ONCE(n->faults);
	return r->done ? 0 : ret;
}

static long replay_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return kmm_call_run(file, cmd, arg, KMM_ON_REPLAY);
}

static const struct file_operations replay_fops = {
	.owner = THIS_MODULE,
	.release = kmm_file_release,
	.llseek = noop_llseek,
	.unlocked_ioctl = replay_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

/* === Life === */

static void replay_release(struct kmm_node *node)
{
	struct replay_node *n = container_of(node, struct replay_node, node);

	kmm_object_put(n->o);
	mutex_destroy(&n->lock);
	kfree(n);
}

static struct kmm_object *replay_object(struct kmm_account *a, const struct kmm_replay_create *c,
					const struct kmm_policy_ops *ops)
{
	const struct kmm_object_attr attr = {
		.size_bytes = (u64)c->nr_pages << PAGE_SHIFT,
		.extra_bytes = sizeof(struct replay_node) + KMM_FILE_BYTES,
	};
	struct kmm_object *o;
	int err;

	o = kmm_object_create(kmm_dev_env.objects, a, &attr);
	if (IS_ERR(o))
		return o;
	/* With frames for all pages nothing is ever evicted: more are of no use. */
	err = kmm_object_set_limit(o, min(c->nr_frames, c->nr_pages), ops, true);
	if (!err)
		return o;
	kmm_object_put(o);
	return ERR_PTR(err);
}

static struct file *replay_open(struct kmm_account *a, const struct kmm_replay_create *c,
				const struct kmm_policy_ops *ops)
{
	struct replay_node *n;
	struct file *file;

	n = kmm_should_fail() ? NULL : kzalloc(sizeof(*n), GFP_KERNEL_ACCOUNT);
	if (!n)
		return ERR_PTR(-ENOMEM);
	n->node.release = replay_release;
	mutex_init(&n->lock);
	n->o = replay_object(a, c, ops);
	if (IS_ERR(n->o)) {
		file = ERR_CAST(n->o);
		goto free;
	}
	file = kmm_file_create_node(&n->node, &replay_fops, S_IFREG | 0600, O_RDWR);
	if (!IS_ERR(file))
		return file;
	kmm_object_put(n->o);
free:
	mutex_destroy(&n->lock);
	kfree(n);
	return file;
}

/**
 * kmm_call_replay_create() - KMM_IOC_REPLAY_CREATE.
 * @call: on /dev/kmm
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_replay_create(struct kmm_call *call)
{
	struct kmm_session *session = call->file->private_data;
	struct kmm_replay_create *c = &call->arg.replay_create;
	const struct kmm_policy_ops *ops;
	int err;

	ops = kmm_call_policy(c->policy);
	if (IS_ERR(ops))
		return PTR_ERR(ops);
	if (!c->nr_frames || !c->nr_pages || c->flags)
		return -EINVAL;
	if (c->nr_pages > KMM_OBJECT_SIZE_MAX >> PAGE_SHIFT)
		return -EFBIG;
	err = kmm_call_offer_file(call, replay_open(session->account, c, ops));
	if (!err)
		c->fd = call->new_fd;
	return err;
}
