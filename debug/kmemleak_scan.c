// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Scans of kmemleak
 *
 * A scan (kmm_leak_scan()). All counts become 0. The roots are read: registered memory, per-CPU
 * areas, what the sessions have in their slots, task stacks unless stack=off (of a task that
 * sleeps the part in use; Linux's reads what is left of older calls, too). Each pointer
 * that is found raises a count; an object that turns gray is put on a list. Then this list is
 * worked off, which makes others gray. What is white now, and whose checksum is not that of the
 * scan before, is in use by somebody who moves pointers about: it is gray for this once. So a
 * leak is reported by the second scan, not by the first. What is white still, and min_age old,
 * is reported, once.
 *
 * kmm's own variables are no roots: they hold no memory of clients, but the addresses at which the
 * region and the window begin, which would hide what lies there.
 *
 * Memory of others. All memory is read by copy_from_kernel_nofault() into a buffer. So nothing
 * needs to be held while an object is scanned: if it is freed meanwhile, a vmalloc area even
 * unmapped, the scan reads something that does not matter, and sees the new serial number before
 * the next piece. Memory that the host's KASAN regards as free can be read, too.
 *
 * Walks. There may be very many objects, and the lock is a raw one. A cursor in the list marks
 * where a walk is, so the lock can be dropped every LEAK_WALK_BATCH objects, and objects may come
 * and go meanwhile. @mutex makes it one walk at a time.
 *
 * The thread (kmm_kmemleak) scans every scan_secs seconds. It only tries to take the mutex: whoever
 * stops it holds that.
 *
 * Locks: see kmemleak.c. Nothing is held while memory is read.
 *
 * It deliberately does not: read registers of tasks that run on other CPUs, as Linux's does not;
 * scan anything that is not a root and not an object.
 */

#define pr_fmt(fmt) "kmm: kmemleak: " fmt

#include <linux/crc32.h>
#include <linux/idr.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/uaccess.h>

#include <compat/compat.h>
#include <kmm/inject.h>
#include <trace/events/kmm.h>

#include "kmemleak_internal.h"

/* Objects under one hold of the lock. */
#define LEAK_WALK_BATCH		256

/* === Walking over the objects: @mutex is held, so there is one walk at a time === */

/**
 * kmm_leak_walk_next() - The next object, from the first on.
 * @l: detector
 * @flags: of raw_spin_lock_irqsave()
 *
 * The lock is dropped now and then. Whoever leaves before the end says so by kmm_leak_walk_end().
 *
 * Context: task; the caller holds l->mutex and l->lock. Return: NULL behind the last one: the next
 * call begins anew.
 */
struct kmm_leak_object *kmm_leak_walk_next(struct kmm_leak *l, unsigned long *flags)
{
	struct list_head *next;

	lockdep_assert_held(&l->lock);
	if (list_empty(&l->cursor)) {
		list_add(&l->cursor, &l->objects);
		l->nr_walked = 0;
	}
	if (++l->nr_walked % LEAK_WALK_BATCH == 0) {
		raw_spin_unlock_irqrestore(&l->lock, *flags);
		cond_resched();
		raw_spin_lock_irqsave(&l->lock, *flags);
	}
	next = l->cursor.next;
	list_del_init(&l->cursor);
	if (next == &l->objects)
		return NULL;
	list_add(&l->cursor, next);
	return list_entry(next, struct kmm_leak_object, node);
}

/* === Scanning: @mutex is held === */

static bool leak_should_stop(const struct kmm_leak *l)
{
	if (!READ_ONCE(l->enabled))
		return true;
	return current->mm ? fatal_signal_pending(current) : kthread_should_stop();
}

static bool leak_is_white(const struct kmm_leak_object *o)
{
	return o->info.min_count > 0 && o->info.count < o->info.min_count;
}

/* A word that was found somewhere; @self: serial of the object that it is in, 0: a root. */
static void leak_note_locked(struct kmm_leak *l, unsigned long value, u64 self)
{
	struct kmm_leak_object *o;

	lockdep_assert_held(&l->lock);
	if (kmm_leak_in(&l->pages, value))
		value = (unsigned long)page_address((struct page *)l->pages.first +
						    (value - l->pages.first) / sizeof(struct page));
	o = kmm_leak_find_locked(l, value);
	if (!o || o->info.serial == self || !leak_is_white(o))
		return;
	o->info.count++;
	if (!leak_is_white(o) && list_empty(&o->gray))
		list_add_tail(&o->gray, &l->gray);
}

static bool leak_may_be_pointer(const struct kmm_leak *l, unsigned long value)
{
	return kmm_leak_in(&l->direct, value) || kmm_leak_in(&l->window, value) ||
	       kmm_leak_in(&l->pages, value) || kmm_leak_in(&l->other, value);
}

/* Copy a piece that does not cross a page. Return: bytes; 0: it is not mapped. */
static size_t leak_copy(struct kmm_leak *l, unsigned long start, unsigned long end)
{
	size_t n = min3(end - start, PAGE_SIZE - offset_in_page(start), LEAK_BUF_BYTES);

	if (copy_from_kernel_nofault(l->buf, (void *)start, n))
		return 0;
	l->scan_bytes += n;
	return n;
}

static bool leak_is_still(struct kmm_leak *l, const struct kmm_leak_object *o, u64 serial)
{
	/* a page of it was scanned more than it should have been, at worst */
	return !o || READ_ONCE(o->info.serial) == serial;
}

/* The first @n words of the buffer. */
static void leak_scan_buf(struct kmm_leak *l, size_t n, u64 serial)
{
	unsigned long flags;
	size_t i = 0;

	/* Most pages have no pointer in them. */
	while (i < n && !leak_may_be_pointer(l, l->buf[i]))
		i++;
	if (i == n)
		return;
	raw_spin_lock_irqsave(&l->lock, flags);
	for (; i < n; i++)
		if (leak_may_be_pointer(l, l->buf[i]))
			leak_note_locked(l, l->buf[i], serial);
	raw_spin_unlock_irqrestore(&l->lock, flags);
}

/* Look at [start, end); @o: it is part of this object, which had @serial then. */
static void leak_scan_block(struct kmm_leak *l, unsigned long start, unsigned long end,
			    const struct kmm_leak_object *o, u64 serial)
{
	unsigned long next;

	start = ALIGN(start, sizeof(long));
	end = ALIGN_DOWN(end, sizeof(long));
	for (; start < end && !leak_should_stop(l) && leak_is_still(l, o, serial); start = next) {
		next = min(ALIGN_DOWN(start, PAGE_SIZE) + PAGE_SIZE, end);
		leak_scan_buf(l, leak_copy(l, start, end) / sizeof(long), serial);
		cond_resched();
	}
}

/* The nth scan area of an object. */
static bool leak_nth_area(struct kmm_leak *l, const struct kmm_leak_object *o, u64 serial,
			  unsigned int nth, struct kmm_leak_area *area)
{
	const struct kmm_leak_area *a = NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&l->lock, flags);
	if (o->info.serial == serial)
		for (a = o->areas; a && nth; nth--)
			a = a->next;
	if (a)
		*area = *a;
	raw_spin_unlock_irqrestore(&l->lock, flags);
	return a;
}

static void leak_scan_object(struct kmm_leak *l, const struct kmm_leak_object *o,
			     const struct kmm_leak_info *info, bool by_area)
{
	struct kmm_leak_area a;
	unsigned int i;

	if (info->flags & LEAK_NO_SCAN)
		return;
	if (!by_area || info->flags & LEAK_FULL_SCAN) {
		leak_scan_block(l, info->start, info->start + info->size, o, info->serial);
		return;
	}
	for (i = 0; leak_nth_area(l, o, info->serial, i, &a); i++)
		leak_scan_block(l, a.start, a.start + a.size, o, info->serial);
}

/* Until the list is empty; scanning adds to it. */
static void leak_scan_gray(struct kmm_leak *l)
{
	struct kmm_leak_object *o;
	struct kmm_leak_info info;
	unsigned long flags;
	bool by_area;

	for (;;) {
		raw_spin_lock_irqsave(&l->lock, flags);
		o = list_first_entry_or_null(&l->gray, typeof(*o), gray);
		if (o) {
			list_del_init(&o->gray);
			info = o->info;
			by_area = o->areas;
		}
		raw_spin_unlock_irqrestore(&l->lock, flags);
		if (!o)
			return;
		/* when it must stop, the list is still emptied */
		leak_scan_object(l, o, &info, by_area);
	}
}

/*
 * Where the part of its stack begins that is in use: what lies below is left of calls that have
 * returned, and hides leaks. Of a task that is on a CPU only the CPU knows: all of it.
 */
static unsigned long leak_stack_pointer(const struct task_struct *p, unsigned long stack)
{
	/* pairs with finish_task(): a task that has left its CPU has left its stack pointer, too */
	unsigned long sp = smp_load_acquire(&p->on_cpu) ? 0 : READ_ONCE(p->thread.sp);

	return sp - stack < THREAD_SIZE ? sp : stack;
}

/*
 * A task may end meanwhile, its stack may be somebody else's then: what is read is only looked
 * at, and a stack that is not mapped any more is skipped. One that ran meanwhile may have put a
 * pointer deeper than was looked at: once more, and all of it.
 */
static void leak_scan_stacks(struct kmm_leak *l)
{
	unsigned long stack, sp;
	struct task_struct *p;
	struct pid *pid;
	int nr = 1;

	while (!leak_should_stop(l)) {
		rcu_read_lock();
		pid = idr_get_next(&init_pid_ns.idr, &nr);
		p = pid ? pid_task(pid, PIDTYPE_PID) : NULL;
		if (p)
			get_task_struct(p);
		rcu_read_unlock();
		if (!pid)
			return;
		nr++;
		if (!p)
			continue;
		stack = (unsigned long)READ_ONCE(p->stack);
		/* This one has just looked at everything. */
		if (stack && p != current) {
			sp = leak_stack_pointer(p, stack);
			leak_scan_block(l, sp, stack + THREAD_SIZE, NULL, 0);
			if (leak_stack_pointer(p, stack) != sp)
				leak_scan_block(l, stack, stack + THREAD_SIZE, NULL, 0);
		}
		put_task_struct(p);
	}
}

static void leak_scan_roots(struct kmm_leak *l)
{
	struct kmm_leak_root *r;
	unsigned long start;
	int cpu;

	list_for_each_entry(r, &l->roots, node) {
		if (r->scan) {
			r->scan(l);
		} else if (r->percpu) {
			for_each_possible_cpu(cpu) {
				start = (unsigned long)per_cpu_ptr(r->percpu, cpu);
				leak_scan_block(l, start, start + r->size, NULL, 0);
			}
		} else {
			start = (unsigned long)r->start;
			leak_scan_block(l, start, start + r->size, NULL, 0);
		}
	}
	if (l->stat.stack_scan)
		leak_scan_stacks(l);
}

static u32 leak_checksum(struct kmm_leak *l, unsigned long start, unsigned long end)
{
	u32 crc = ~0;	/* of zeroes it is not what a new object has */
	size_t n;

	for (; start < end; start += n ?: PAGE_SIZE - offset_in_page(start)) {
		n = leak_copy(l, start, end);
		crc = crc32(crc, l->buf, n);
		cond_resched();
	}
	return crc;
}

/* Everything is white, except what always is gray. */
static void leak_scan_begin(struct kmm_leak *l)
{
	struct kmm_leak_object *o;
	unsigned long flags;

	raw_spin_lock_irqsave(&l->lock, flags);
	while ((o = kmm_leak_walk_next(l, &flags))) {
		o->info.count = 0;
		if (o->info.min_count == KMM_LEAK_GRAY && list_empty(&o->gray))
			list_add_tail(&o->gray, &l->gray);
	}
	raw_spin_unlock_irqrestore(&l->lock, flags);
}

/* What is white, but is not what it was at the last scan, is gray for now. */
static void leak_scan_changed(struct kmm_leak *l)
{
	struct kmm_leak_object *o;
	unsigned long flags;

	raw_spin_lock_irqsave(&l->lock, flags);
	while ((o = kmm_leak_walk_next(l, &flags))) {
		unsigned long start = o->info.start, end = start + o->info.size;
		u64 serial = o->info.serial;
		u32 sum;

		if (!leak_is_white(o))
			continue;
		raw_spin_unlock_irqrestore(&l->lock, flags);
		sum = leak_checksum(l, start, end);
		raw_spin_lock_irqsave(&l->lock, flags);
		if (o->info.serial != serial || !leak_is_white(o) || o->info.checksum == sum)
			continue;
		o->info.checksum = sum;
		o->info.count = o->info.min_count;
		list_add_tail(&o->gray, &l->gray);
	}
	raw_spin_unlock_irqrestore(&l->lock, flags);
}

/**
 * kmm_leak_is_unreferenced() - Leaked, as far as can be known.
 * @l: detector
 * @o: object of it
 *
 * White, and older than min_age at the last scan.
 *
 * Context: the caller holds l->lock.
 */
bool kmm_leak_is_unreferenced(const struct kmm_leak *l, const struct kmm_leak_object *o)
{
	return leak_is_white(o) &&
	       time_before_eq(o->info.jiffies + msecs_to_jiffies(READ_ONCE(*l->min_age_ms)),
			      l->scan_jiffies);
}

static unsigned long leak_scan_report(struct kmm_leak *l)
{
	struct kmm_leak_object *o;
	unsigned long flags, new = 0;

	raw_spin_lock_irqsave(&l->lock, flags);
	while ((o = kmm_leak_walk_next(l, &flags))) {
		if (o->info.flags & LEAK_REPORTED || !kmm_leak_is_unreferenced(l, o))
			continue;
		o->info.flags |= LEAK_REPORTED;
		new++;
	}
	raw_spin_unlock_irqrestore(&l->lock, flags);
	return new;
}

static int leak_scan_locked(struct kmm_leak *l)
{
	u64 start_ns = ktime_get_ns();
	unsigned long new;

	lockdep_assert_held(&l->mutex);
	if (!READ_ONCE(l->enabled))
		return -EBUSY;
	l->scan_jiffies = jiffies;
	l->scan_bytes = 0;
	/* Early objects among it are forgotten: old pointers in them would hide leaks. */
	if (l->flush)
		l->flush(l->ctx);
	leak_scan_begin(l);
	leak_scan_roots(l);
	leak_scan_gray(l);
	leak_scan_changed(l);
	leak_scan_gray(l);
	if (leak_should_stop(l))
		return -EINTR;
	new = leak_scan_report(l);
	l->stat.nr_scans++;
	l->stat.nr_leaks += new;
	l->stat.last_bytes = l->scan_bytes;
	l->stat.last_ns = ktime_get_ns() - start_ns;
	trace_kmemleak_scan(l->nr_objects, l->scan_bytes, l->stat.last_ns, new);
	if (new)
		pr_info("%lu new suspected memory leaks (see /sys/kernel/debug/kmm/kmemleak)\n",
			new);
	return 0;
}

/**
 * kmm_leak_scan() - Look for leaks now.
 * @l: detector
 *
 * Context: task, may sleep. Return: 0; -EBUSY when it is off; -EINTR when it was told to stop: then
 * nothing is reported.
 */
int kmm_leak_scan(struct kmm_leak *l)
{
	int err;

	mutex_lock(&l->mutex);
	err = leak_scan_locked(l);
	mutex_unlock(&l->mutex);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_leak_scan);

/**
 * kmm_leak_value() - A pointer that a root holds.
 * @l: detector
 * @value: the pointer, or any other word
 *
 * Context: struct kmm_leak_root.scan.
 */
void kmm_leak_value(struct kmm_leak *l, unsigned long value)
{
	unsigned long flags;

	if (!leak_may_be_pointer(l, value))
		return;
	raw_spin_lock_irqsave(&l->lock, flags);
	leak_note_locked(l, value, 0);
	raw_spin_unlock_irqrestore(&l->lock, flags);
}
KMM_EXPORT_INTERNAL(kmm_leak_value);

/* === Roots === */

/**
 * kmm_leak_add_root() - Scan this memory, too.
 * @l: detector
 * @root: all of it is set but @node; stays the caller's
 *
 * Context: task, may sleep.
 */
void kmm_leak_add_root(struct kmm_leak *l, struct kmm_leak_root *root)
{
	mutex_lock(&l->mutex);
	list_add_tail(&root->node, &l->roots);
	mutex_unlock(&l->mutex);
}
KMM_EXPORT_INTERNAL(kmm_leak_add_root);

/**
 * kmm_leak_remove_root() - Do not scan it any more.
 * @l: detector
 * @root: root of it
 *
 * Context: task, may sleep: waits for a scan that runs.
 */
void kmm_leak_remove_root(struct kmm_leak *l, struct kmm_leak_root *root)
{
	mutex_lock(&l->mutex);
	list_del(&root->node);
	mutex_unlock(&l->mutex);
}
KMM_EXPORT_INTERNAL(kmm_leak_remove_root);

/* === The thread === */

/* Return: false when it is to end. */
static bool leak_thread_wait(unsigned long secs)
{
	long timeout = secs * HZ;

	while (timeout) {
		/* before the look: a kthread_stop() that comes after it wakes us */
		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		timeout = schedule_timeout(timeout);
	}
	__set_current_state(TASK_RUNNING);
	return !kthread_should_stop();
}

static int leak_thread(void *arg)
{
	struct kmm_leak *l = arg;

	set_user_nice(current, 10);
	/* What is being loaded shall be through. */
	if (!leak_thread_wait(min(READ_ONCE(l->stat.scan_secs), KMM_LEAK_FIRST_SECS)))
		return 0;
	do {
		/* Whoever stops this thread has the mutex. */
		if (mutex_trylock(&l->mutex)) {
			leak_scan_locked(l);
			mutex_unlock(&l->mutex);
		}
	} while (leak_thread_wait(READ_ONCE(l->stat.scan_secs)));
	return 0;
}

/**
 * kmm_leak_thread_start_locked() - Start the thread, if there is to be one and it does not run.
 * @l: detector
 *
 * Context: task, may sleep; the caller holds l->mutex. Return: 0 or a negative errno.
 */
int kmm_leak_thread_start_locked(struct kmm_leak *l)
{
	struct task_struct *t;

	lockdep_assert_held(&l->mutex);
	if (l->thread || !l->stat.scan_secs || !READ_ONCE(l->enabled))
		return 0;
	t = kmm_should_fail() ? ERR_PTR(-ENOMEM) : kthread_run(leak_thread, l, "kmm_kmemleak");
	if (IS_ERR(t))
		return PTR_ERR(t);
	l->thread = t;
	return 0;
}

/**
 * kmm_leak_thread_stop_locked() - Stop the thread, and wait for its end.
 * @l: detector
 *
 * Context: task, may sleep; the caller holds l->mutex, which the thread only tries to take.
 */
void kmm_leak_thread_stop_locked(struct kmm_leak *l)
{
	lockdep_assert_held(&l->mutex);
	if (l->thread)
		kthread_stop(l->thread);
	l->thread = NULL;
}

/**
 * kmm_leak_set_period() - How often the thread scans.
 * @l: detector
 * @secs: seconds between two scans; 0: there is no thread
 *
 * Context: task, may sleep. Return: 0; a negative errno when the thread cannot be made.
 */
int kmm_leak_set_period(struct kmm_leak *l, unsigned int secs)
{
	int err;

	mutex_lock(&l->mutex);
	kmm_leak_thread_stop_locked(l);
	l->stat.scan_secs = min_t(unsigned long, secs, MAX_SCHEDULE_TIMEOUT / HZ);
	err = kmm_leak_thread_start_locked(l);
	mutex_unlock(&l->mutex);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_leak_set_period);

/**
 * kmm_leak_set_stack_scan() - Are stacks of tasks roots?
 * @l: detector
 * @on: yes or no
 *
 * Context: task, may sleep.
 */
void kmm_leak_set_stack_scan(struct kmm_leak *l, bool on)
{
	mutex_lock(&l->mutex);
	l->stat.stack_scan = on;
	mutex_unlock(&l->mutex);
}
KMM_EXPORT_INTERNAL(kmm_leak_set_stack_scan);

/**
 * kmm_leak_set_flush() - What is free, but waits for something, is to be freed before each scan.
 * @l: detector
 * @flush: does so; gets @l->ctx; task, may sleep, under @l->mutex. NULL: nothing waits
 *
 * Context: task, may sleep. When it returns, what was set before is not called any more.
 */
void kmm_leak_set_flush(struct kmm_leak *l, void (*flush)(void *ctx))
{
	mutex_lock(&l->mutex);
	l->flush = flush;
	mutex_unlock(&l->mutex);
}
