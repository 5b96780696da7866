// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: opt
 *
 * Belady's bound: the fewest faults that any policy can have on a trace whose end is known. The
 * page that leaves is the one whose next use is furthest away. Not an algorithm to run but the
 * line that all others are measured against.
 *
 * Two passes. From the end to the start: when each reference's page is used next. From the
 * start: a heap of resident pages by next use; each use of a page puts a new entry into it, and
 * an entry that is not its page's last one any more is passed over when it comes to the top.
 * O(n log n) time, 8 bytes a reference and 4 a page.
 */
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <compat/compat.h>
#include <kmm/inject.h>
#include <kmm/policy.h>

#define OPT_NEVER	((u32)~0U)

/**
 * struct opt - the computation
 * @refs: trace
 * @next: by reference: when its page is used again
 * @heap: references, the one with the furthest next use on top
 * @nr_heap: how many
 * @last: by page: its last reference so far while it is resident, else OPT_NEVER
 */
struct opt {
	const u32 *refs;
	u32 *next;
	u32 *heap;
	u32 nr_heap;
	u32 *last;
};

static void opt_push(struct opt *o, u32 ref)
{
	u32 k = o->nr_heap++;

	while (k && o->next[o->heap[(k - 1) / 2]] < o->next[ref]) {
		o->heap[k] = o->heap[(k - 1) / 2];
		k = (k - 1) / 2;
	}
	o->heap[k] = ref;
}

static u32 opt_pop(struct opt *o)
{
	u32 top = o->heap[0], ref = o->heap[--o->nr_heap], k = 0, child;

	for (; (child = 2 * k + 1) < o->nr_heap; k = child) {
		if (child + 1 < o->nr_heap &&
		    o->next[o->heap[child + 1]] > o->next[o->heap[child]])
			child++;
		if (o->next[o->heap[child]] <= o->next[ref])
			break;
		o->heap[k] = o->heap[child];
	}
	o->heap[k] = ref;
	return top;
}

/* The resident page that is used last leaves. */
static void opt_evict(struct opt *o)
{
	u32 ref;

	do {
		ref = opt_pop(o);
	} while (o->last[o->refs[ref]] != ref);
	o->last[o->refs[ref]] = OPT_NEVER;
}

static u32 *opt_alloc(unsigned long nr)
{
	return kmm_should_fail() ? NULL : kvmalloc_array(nr, sizeof(u32), GFP_KERNEL_ACCOUNT);
}

static long opt_run(struct opt *o, u32 nr_refs, u32 nr_ids, u32 nr_frames)
{
	u32 n, resident = 0;
	long faults = 0;

	memset(o->last, 0xff, nr_ids * sizeof(*o->last));
	for (n = nr_refs; n--;) {
		o->next[n] = o->last[o->refs[n]];
		o->last[o->refs[n]] = n;
	}
	memset(o->last, 0xff, nr_ids * sizeof(*o->last));
	for (n = 0; n < nr_refs; n++) {
		u32 id = o->refs[n];

		if (o->last[id] == OPT_NEVER) {
			faults++;
			if (resident == nr_frames)
				opt_evict(o);
			else
				resident++;
		}
		o->last[id] = n;
		opt_push(o, n);
		if (!(n & 0xfff))
			cond_resched();
	}
	return faults;
}

/**
 * kmm_policy_opt() - The fewest faults possible on a trace.
 * @refs: page numbers
 * @nr_refs: how many, below 2^32 - 1
 * @nr_ids: all numbers are below it
 * @nr_frames: frames; not zero
 *
 * Context: task, may sleep. Return: faults, those of the empty memory included; -ENOMEM.
 */
long kmm_policy_opt(const u32 *refs, unsigned long nr_refs, u32 nr_ids, u32 nr_frames)
{
	struct opt o = { .refs = refs };
	long faults = -ENOMEM;

	if (!nr_refs)
		return 0;
	o.next = opt_alloc(nr_refs);
	o.heap = opt_alloc(nr_refs);
	o.last = opt_alloc(nr_ids);
	if (o.next && o.heap && o.last)
		faults = opt_run(&o, nr_refs, nr_ids, nr_frames);
	kvfree(o.last);
	kvfree(o.heap);
	kvfree(o.next);
	return faults;
}
KMM_EXPORT_INTERNAL(kmm_policy_opt);
