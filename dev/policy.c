// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Page replacement from user space
 *
 * The ioctls behind "kmm policy" and "kmm trace": which policies there are and which one decides,
 * replaying references, and recording them.
 *
 * Everything that is large goes in pieces of one page of host memory, charged to the descriptor's
 * account, so a call neither needs memory in proportion to its argument nor holds a lock while it
 * touches the caller's.
 *
 * Locks: none while user memory is touched.
 *
 * What this deliberately does not do: compute OPT. It wants the whole trace in memory; that is for
 * whoever has the trace.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <kmm/account.h>
#include <kmm/dev.h>
#include <kmm/lru.h>
#include <kmm/object.h>
#include <kmm/policy.h>
#include <kmm/reftrace.h>
#include <kmm/space.h>

/* === Policies === */

/**
 * kmm_call_policy() - A policy by the name that a caller gave.
 * @name: KMM_NAME_LEN bytes
 *
 * Context: any. Return: it; ERR_PTR of -EINVAL no NUL in it, -ENOENT no such policy.
 */
const struct kmm_policy_ops *kmm_call_policy(const u8 *name)
{
	const struct kmm_policy_ops *ops;

	if (!memchr(name, 0, KMM_NAME_LEN))
		return ERR_PTR(-EINVAL);
	ops = kmm_policy_find((const char *)name);
	return ops ?: ERR_PTR(-ENOENT);
}

/**
 * kmm_call_policy_info() - KMM_IOC_POLICY_INFO.
 * @call: on /dev/kmm
 *
 * Context: task. Return: 0 or -ENOENT.
 */
int kmm_call_policy_info(struct kmm_call *call)
{
	struct kmm_policy_info *info = &call->arg.policy_info;
	const struct kmm_policy_ops *ops;
	u32 index = info->index;

	if (index >= kmm_nr_policies)
		return -ENOENT;
	ops = kmm_policies[array_index_nospec(index, kmm_nr_policies)];
	*info = (struct kmm_policy_info) { .index = index };
	if (ops == READ_ONCE(kmm_dev_env.objects->lru->global.policy.ops))
		info->flags = KMM_POLICY_CURRENT;
	strscpy(info->name, ops->name, sizeof(info->name));
	strscpy(info->what, ops->what, sizeof(info->what));
	return 0;
}

/**
 * kmm_call_policy_set() - KMM_IOC_POLICY_SET.
 * @call: on /dev/kmm; the table has asked for CAP_SYS_ADMIN
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_policy_set(struct kmm_call *call)
{
	const struct kmm_policy_ops *ops = kmm_call_policy(call->arg.policy_set.name);

	return IS_ERR(ops) ? PTR_ERR(ops) :
			     kmm_lruvec_set_policy(&kmm_dev_env.objects->lru->global, ops);
}

/* === Recording === */

/**
 * kmm_call_object_young() - KMM_IOC_OBJECT_YOUNG.
 * @call: on an object; the table has asked for CAP_SYS_ADMIN
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_object_young(struct kmm_call *call)
{
	struct kmm_object *o = kmm_file_object(call->file);
	struct kmm_object_young *y = &call->arg.object_young;
	unsigned long *bitmap;
	size_t size_bytes;
	int ret;

	if (!y->nr || y->flags || y->reserved)
		return -EINVAL;
	if (y->nr > KMM_YOUNG_MAX)
		return -E2BIG;
	size_bytes = BITS_TO_LONGS(y->nr) * sizeof(*bitmap);
	bitmap = kmm_account_zalloc(o->account, size_bytes);
	if (IS_ERR(bitmap))
		return PTR_ERR(bitmap);
	/* Behind the end there is nothing, however far. */
	ret = y->first < READ_ONCE(o->nr_pages) ?
	      kmm_reftrace_young(o, y->first, y->nr, bitmap) : 0;
	if (ret >= 0) {
		y->nr_young = ret;
		ret = copy_to_user(u64_to_user_ptr(y->bitmap), bitmap, size_bytes) ? -EFAULT : 0;
	}
	kmm_account_free(o->account, bitmap, size_bytes);
	return ret;
}

/* In pieces of a page. Return: 0 or a negative errno; t->done is set. */
static int trace_read(struct kmm_space *s, struct kmm_space_trace *t)
{
	u64 __user *to = u64_to_user_ptr(t->buf);
	unsigned int max = PAGE_SIZE / sizeof(u64);
	u64 *piece;
	int ret = 0;

	piece = kmm_account_zalloc(s->account, PAGE_SIZE);
	if (IS_ERR(piece))
		return PTR_ERR(piece);
	while (t->done < t->nr) {
		ret = kmm_reftrace_read(s, piece, min(t->nr - t->done, max), &t->lost);
		if (ret <= 0)
			break;
		if (copy_to_user(to + t->done, piece, ret * sizeof(u64))) {
			kmm_reftrace_lose(s, ret + t->done);
			ret = -EFAULT;
			break;
		}
		t->done += ret;
		if (signal_pending(current))
			break;
		cond_resched();
	}
	kmm_account_free(s->account, piece, PAGE_SIZE);
	return min(ret, 0);
}

static void trace_stop_again(struct kmm_call *call)
{
	kmm_reftrace_stop(kmm_file_space(call->file));
}

/**
 * kmm_call_space_trace() - KMM_IOC_SPACE_TRACE.
 * @call: on a space
 *
 * Context: task, may sleep. Return: 0, or a negative errno of the uapi header.
 */
int kmm_call_space_trace(struct kmm_call *call)
{
	struct kmm_space_trace *t = &call->arg.space_trace;
	struct kmm_space *s = kmm_file_space(call->file);
	int err;

	if (t->flags & ~(KMM_TRACE_START | KMM_TRACE_STOP) || t->reserved ||
	    t->flags == (KMM_TRACE_START | KMM_TRACE_STOP))
		return -EINVAL;
	t->done = 0;
	t->lost = 0;
	if (t->flags & KMM_TRACE_START) {
		err = t->nr ? -EINVAL : kmm_reftrace_start(s);
		if (!err)
			call->undo = trace_stop_again;
		/* There is nothing to read, and somebody may have stopped it already. */
		return err;
	}
	err = t->nr ? trace_read(s, t) : min(kmm_reftrace_read(s, NULL, 0, &t->lost), 0);
	if (!err && t->flags & KMM_TRACE_STOP)
		err = kmm_reftrace_stop(s);
	return err;
}
