// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Failure injection
 *
 * An error path that never runs does not work. Every allocation of kmm, of host memory as
 * of region frames, and every I/O first asks kmm_should_fail(). There are two ways to make the
 * answer yes, with the names and the meaning of the kernel's fault injection
 * (Documentation/fault-injection in its source), on kernels that are built without it, too:
 *
 *	fail-nth	the Nth question that the *same task* asks is answered with yes, all others
 *			of it with no. Repeat a call with N = 1, 2, 3, … until it succeeds without
 *			the answer having been used, and each of its failure points was hit once
 *	attributes	probability in percent, every interval-th question only, at most times
 *			answers, none among the first space questions; of all tasks, or with
 *			task-filter of the processes in make-it-fail only
 *
 * In debugfs kmm/fail there is a file for each attribute, and::
 *
 *	fail-nth	write N: the task that writes is armed, as by /proc/thread-self/fail-nth;
 *			read gives what is left of N, 0 once it was used. Counts until the file
 *			is closed, so keep it open. A task is armed by one file at most
 *	make-it-fail	write PID: that process, 0 for the writer's; -PID takes it out again. Read
 *			lists them. /proc/PID/make-it-fail is not there in most kernels. A child is
 *			not in it by itself; exec changes nothing
 *
 * The attributes are also the module parameter fail=INTERVAL,PROBABILITY,SPACE,TIMES, as failslab=
 * of the kernel. Given to insmod they reach the failure points of loading:
 * fail=1,100,N,1 lets the first N questions pass and fails the next one.
 *
 * The kernel's own attribute is not used where there is one: kmm's static key must know when
 * anything is armed, and /proc/PID/fail-nth does not tell. So all kernels behave alike.
 *
 * States: disarmed (the static key is off, a question costs a no-op) and armed. Invariant: the
 * key's count is the number of armed fail-nth, plus one while probability is not 0.
 *
 * A task's fail-nth comes before the attributes, as in the kernel; interrupts have none. What KUnit
 * arms (kmm_inject_arm()) is not logged; other failures are, by verbose.
 *
 * Locks: inject_mutex for whatever moves the key; inject_lock, innermost, for the lists. It
 * deliberately does not: filter by stack, change its answer by the size of a request (a question
 * counts 1 against space), or inherit over fork.
 */

#define pr_fmt(fmt) fmt

#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <compat/compat.h>
#include <kmm/inject.h>

/* === Data === */

DEFINE_STATIC_KEY_FALSE(kmm_inject_key);
KMM_EXPORT_INTERNAL(kmm_inject_key);

/**
 * struct inject_nth - fail-nth of one task
 * @node: in inject_tasks while it is armed
 * @task: that it counts for; a reference. NULL: never armed
 * @left: questions until the yes; 0 once it was given
 * @fired: the yes was given
 * @quiet: and is not logged
 *
 * Protected by inject_lock; @node is added and removed under inject_mutex, too.
 */
struct inject_nth {
	struct list_head node;
	struct task_struct *task;
	unsigned long left;
	bool fired;
	bool quiet;
};

/* Processes of make-it-fail, at most. */
#define INJECT_PIDS	16

/* struct fault_attr's fields, and its first values. */
static struct inject_attr {
	unsigned long probability;	/* percent */
	unsigned long interval;
	atomic_t times;			/* -1: no limit */
	atomic_t space;
	unsigned long verbose;		/* 1: a line, 2: and a stack */
	bool task_filter;
	atomic_long_t count;
	struct ratelimit_state ratelimit;
} inject_attr = {
	.interval = 1,
	.times = ATOMIC_INIT(1),
	.verbose = 2,
	.ratelimit = RATELIMIT_STATE_INIT_DISABLED,
};

/* Protects the static key, and who may count in it. */
static DEFINE_MUTEX(inject_mutex);
static DEFINE_RAW_SPINLOCK(inject_lock);
/* Armed tasks; few, a test has one. */
static LIST_HEAD(inject_tasks);
static struct pid *inject_pids[INJECT_PIDS];
static struct inject_nth inject_kunit = { .node = LIST_HEAD_INIT(inject_kunit.node) };

/* === fail-nth === */

static struct inject_nth *inject_find_locked(const struct task_struct *task)
{
	struct inject_nth *n;

	list_for_each_entry(n, &inject_tasks, node)
		if (n->task == task)
			return n;
	return NULL;
}

/* inject_mutex is held. */
static void inject_nth_drop(struct inject_nth *n)
{
	struct task_struct *task = n->task;

	lockdep_assert_held(&inject_mutex);
	if (list_empty(&n->node))
		return;
	raw_spin_lock_irq(&inject_lock);
	list_del_init(&n->node);
	n->task = NULL;
	n->left = 0;
	raw_spin_unlock_irq(&inject_lock);
	static_branch_dec(&kmm_inject_key);
	put_task_struct(task);
}

static void inject_nth_disarm(struct inject_nth *n)
{
	mutex_lock(&inject_mutex);
	inject_nth_drop(n);
	mutex_unlock(&inject_mutex);
}

/* Arms the caller. Return: false if another file, or KUnit, has armed it. */
static bool inject_nth_arm(struct inject_nth *n, unsigned long nth)
{
	bool free;

	/* in one go: threads that share the file may write at the same time */
	mutex_lock(&inject_mutex);
	inject_nth_drop(n);
	raw_spin_lock_irq(&inject_lock);
	free = !inject_find_locked(current);
	if (free) {
		n->task = get_task_struct(current);
		n->left = nth;
		n->fired = false;
		list_add(&n->node, &inject_tasks);
	}
	raw_spin_unlock_irq(&inject_lock);
	if (free)
		static_branch_inc(&kmm_inject_key);
	mutex_unlock(&inject_mutex);
	return free;
}

/**
 * kmm_inject_arm() - Make the @nth allocation of this task fail.
 * @nth: 1 is the next one
 *
 * Context: task, may sleep. For KUnit, whose cases run one after another; not nested: disarm first.
 */
void kmm_inject_arm(unsigned long nth)
{
	inject_kunit.quiet = true;
	inject_nth_arm(&inject_kunit, nth);
}
KMM_EXPORT_INTERNAL(kmm_inject_arm);

/**
 * kmm_inject_disarm() - Stop failing.
 *
 * Context: task, may sleep; the task that armed.
 * Return: true if the failure took place; false means that the call under test has fewer
 * allocations than @nth, so the test is through.
 */
bool kmm_inject_disarm(void)
{
	inject_nth_disarm(&inject_kunit);
	return inject_kunit.fired;
}
KMM_EXPORT_INTERNAL(kmm_inject_disarm);

/* === The answer === */

/* In the kernel's words: its tools know the line. */
static void inject_dump(struct inject_attr *a)
{
	if (!READ_ONCE(a->verbose) || !__ratelimit(&a->ratelimit))
		return;
	pr_notice("FAULT_INJECTION: forcing a failure.\n"
		  "name kmm/fail, interval %lu, probability %lu, space %d, times %d\n",
		  a->interval, a->probability, atomic_read(&a->space), atomic_read(&a->times));
	if (READ_ONCE(a->verbose) > 1)
		dump_stack();
}

static bool inject_is_chosen(void)
{
	struct pid *tgid = task_tgid(current);
	unsigned int i;

	for (i = 0; i < INJECT_PIDS; i++)
		if (tgid && READ_ONCE(inject_pids[i]) == tgid)
			return true;
	return false;
}

/* Each condition in the order of the kernel's should_fail(). */
static bool inject_attr_hit(struct inject_attr *a)
{
	unsigned long probability = READ_ONCE(a->probability), interval = READ_ONCE(a->interval);

	if (!probability)
		return false;
	if (READ_ONCE(a->task_filter) && (!in_task() || !inject_is_chosen()))
		return false;
	if (!atomic_read(&a->times))
		return false;
	if (atomic_dec_if_positive(&a->space) >= 0)
		return false;
	if (interval > 1 && atomic_long_inc_return(&a->count) % interval)
		return false;
	return probability > reciprocal_scale(get_random_u32(), 100);
}

/* Takes one of the times that are left; -1 is no limit. */
static bool inject_take_time(struct inject_attr *a)
{
	int left = atomic_read(&a->times);

	do {
		if (left <= 0)
			return left < 0;
	} while (!atomic_try_cmpxchg(&a->times, &left, left - 1));
	return true;
}

/**
 * kmm_inject_hit() - The slow half of kmm_should_fail().
 *
 * Context: any but NMI.
 * Return: true for an allocation that is to fail.
 */
bool kmm_inject_hit(void)
{
	struct inject_nth *n = NULL;
	bool counts = false, fires = false, quiet = false;
	unsigned long flags;

	if (in_task()) {
		raw_spin_lock_irqsave(&inject_lock, flags);
		n = inject_find_locked(current);
		counts = n && n->left;
		if (counts && !--n->left) {
			n->fired = true;
			fires = true;
		}
		quiet = n && n->quiet;
		raw_spin_unlock_irqrestore(&inject_lock, flags);
	}
	if (!counts)
		fires = inject_attr_hit(&inject_attr) && inject_take_time(&inject_attr);
	if (fires && !quiet)
		inject_dump(&inject_attr);
	return fires;
}
KMM_EXPORT_INTERNAL(kmm_inject_hit);

/* === The attributes from outside === */

static int inject_set_probability(void *data, u64 value)
{
	struct inject_attr *a = &inject_attr;

	if (value > 100)
		return -EINVAL;
	mutex_lock(&inject_mutex);
	if (value && !a->probability)
		static_branch_inc(&kmm_inject_key);
	else if (!value && a->probability)
		static_branch_dec(&kmm_inject_key);
	WRITE_ONCE(a->probability, value);
	mutex_unlock(&inject_mutex);
	return 0;
}

static int inject_get_probability(void *data, u64 *value)
{
	*value = READ_ONCE(inject_attr.probability);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(inject_probability_fops, inject_get_probability, inject_set_probability,
			 "%llu\n");

/**
 * kmm_inject_set_attr() - The attributes at once.
 * @val: INTERVAL,PROBABILITY,SPACE,TIMES as the parameter fail
 *
 * Context: may sleep. Return: 0; -EINVAL and nothing has changed.
 */
int kmm_inject_set_attr(const char *val)
{
	unsigned long interval, probability;
	int space, times;

	if (!val || sscanf(val, "%lu,%lu,%d,%d", &interval, &probability, &space, &times) < 4 ||
	    !interval || probability > 100 || space < 0 || times < -1)
		return -EINVAL;
	inject_set_probability(NULL, 0);
	WRITE_ONCE(inject_attr.interval, interval);
	atomic_set(&inject_attr.space, space);
	atomic_set(&inject_attr.times, times);
	atomic_long_set(&inject_attr.count, 0);
	return inject_set_probability(NULL, probability);
}
KMM_EXPORT_INTERNAL(kmm_inject_set_attr);

/**
 * kmm_inject_set_verbose() - What is logged of a failure.
 * @verbose: 0 nothing, 1 a line, 2 and a stack
 *
 * Context: any; for tests. Return: what it was.
 */
unsigned long kmm_inject_set_verbose(unsigned long verbose)
{
	return xchg(&inject_attr.verbose, verbose);
}
KMM_EXPORT_INTERNAL(kmm_inject_set_verbose);

static int inject_param_set(const char *val, const struct kernel_param *kp)
{
	return kmm_inject_set_attr(val);
}

static int inject_param_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%lu,%lu,%d,%d\n", inject_attr.interval, inject_attr.probability,
			  atomic_read(&inject_attr.space), atomic_read(&inject_attr.times));
}

static const struct kernel_param_ops inject_param_ops = {
	.set = inject_param_set,
	.get = inject_param_get,
};

module_param_cb(fail, &inject_param_ops, NULL, 0600);
MODULE_PARM_DESC(fail, "Make allocations fail: INTERVAL,PROBABILITY,SPACE,TIMES (default off)");

/* A new inject_nth for each open file. */
static int inject_nth_open(struct inode *inode, struct file *file)
{
	struct inject_nth *n;

	/* not a failure point: it is what arms them */
	n = kzalloc(sizeof(*n), GFP_KERNEL_ACCOUNT);
	if (!n)
		return -ENOMEM;
	INIT_LIST_HEAD(&n->node);
	file->private_data = n;
	return 0;
}

static int inject_nth_release(struct inode *inode, struct file *file)
{
	inject_nth_disarm(file->private_data);
	kfree(file->private_data);
	return 0;
}

static ssize_t inject_nth_write(struct file *file, const char __user *buf, size_t count,
				loff_t *ppos)
{
	unsigned long nth;
	int err = kstrtoul_from_user(buf, count, 0, &nth);

	if (err)
		return err;
	if (!nth)
		inject_nth_disarm(file->private_data);
	else if (!inject_nth_arm(file->private_data, nth))
		return -EBUSY;
	return count;
}

static ssize_t inject_nth_read(struct file *file, char __user *buf, size_t count, loff_t *ppos)
{
	struct inject_nth *n = file->private_data;
	char text[24];
	int len = scnprintf(text, sizeof(text), "%lu\n", READ_ONCE(n->left));

	/* as /proc/PID/fail-nth: who asks again begins at 0 */
	return simple_read_from_buffer(buf, count, ppos, text, len);
}

static const struct file_operations inject_nth_fops = {
	.owner = THIS_MODULE,
	.open = inject_nth_open,
	.release = inject_nth_release,
	.read = inject_nth_read,
	.write = inject_nth_write,
	.llseek = default_llseek,
};

static int inject_pids_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	mutex_lock(&inject_mutex);
	for (i = 0; i < INJECT_PIDS; i++)
		if (inject_pids[i] && pid_nr(inject_pids[i]))
			seq_printf(m, "%d\n", pid_nr(inject_pids[i]));
	mutex_unlock(&inject_mutex);
	return 0;
}

static int inject_pids_open(struct inode *inode, struct file *file)
{
	return single_open(file, inject_pids_show, NULL);
}

/* Takes over the reference. */
static int inject_pids_add(struct pid *pid)
{
	unsigned int i;

	for (i = 0; i < INJECT_PIDS; i++) {
		if (inject_pids[i] && inject_pids[i] != pid &&
		    pid_task(inject_pids[i], PIDTYPE_TGID))
			continue;
		/* the place is free, or was that of a process that is gone */
		put_pid(xchg(&inject_pids[i], pid));
		return 0;
	}
	put_pid(pid);
	return -ENOSPC;
}

static void inject_pids_remove(const struct pid *pid)
{
	unsigned int i;

	for (i = 0; i < INJECT_PIDS; i++)
		if (inject_pids[i] == pid)
			put_pid(xchg(&inject_pids[i], NULL));
}

static ssize_t inject_pids_write(struct file *file, const char __user *buf, size_t count,
				 loff_t *ppos)
{
	struct pid *pid;
	int nr, err = kstrtoint_from_user(buf, count, 0, &nr);

	if (err)
		return err;
	if (nr == INT_MIN)
		return -EINVAL;
	pid = nr ? find_get_pid(abs(nr)) : get_pid(task_tgid(current));
	if (!pid)
		return -ESRCH;
	mutex_lock(&inject_mutex);
	inject_pids_remove(pid);
	if (nr < 0) {
		put_pid(pid);
	} else {
		rcu_read_lock();
		err = inject_pids_add(pid);
		rcu_read_unlock();
	}
	mutex_unlock(&inject_mutex);
	return err ?: count;
}

static const struct file_operations inject_pids_fops = {
	.owner = THIS_MODULE,
	.open = inject_pids_open,
	.release = single_release,
	.read = seq_read,
	.write = inject_pids_write,
	.llseek = seq_lseek,
};

/**
 * kmm_inject_debugfs() - Make kmm/fail.
 * @dir: kmm's folder
 *
 * Context: task, may sleep.
 */
void kmm_inject_debugfs(struct dentry *dir)
{
	struct dentry *d = debugfs_create_dir("fail", dir);
	struct inject_attr *a = &inject_attr;

	debugfs_create_file_unsafe("probability", 0600, d, NULL, &inject_probability_fops);
	debugfs_create_ulong("interval", 0600, d, &a->interval);
	debugfs_create_atomic_t("times", 0600, d, &a->times);
	debugfs_create_atomic_t("space", 0600, d, &a->space);
	debugfs_create_ulong("verbose", 0600, d, &a->verbose);
	debugfs_create_u32("verbose_ratelimit_interval_ms", 0600, d, &a->ratelimit.interval);
	debugfs_create_u32("verbose_ratelimit_burst", 0600, d, &a->ratelimit.burst);
	debugfs_create_bool("task-filter", 0600, d, &a->task_filter);
	debugfs_create_file("make-it-fail", 0600, d, NULL, &inject_pids_fops);
	debugfs_create_file("fail-nth", 0600, d, NULL, &inject_nth_fops);
}

/**
 * kmm_inject_teardown() - The module goes: forget the processes of make-it-fail.
 *
 * Context: task, may sleep; debugfs is gone.
 */
void kmm_inject_teardown(void)
{
	unsigned int i;

	inject_set_probability(NULL, 0);
	for (i = 0; i < INJECT_PIDS; i++)
		put_pid(xchg(&inject_pids[i], NULL));
}
