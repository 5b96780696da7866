// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Failure injection
 *
 * An error path that never runs does not work. Every allocation of kmm, of host memory as
 * of region frames, first asks kmm_should_fail(). A test arms the machinery with a number
 * N: the Nth question that the *same task* asks is answered with yes, all others with no.
 * The test repeats the call under test with N = 1, 2, 3, … until it succeeds without the
 * answer having been used, and checks after each round that nothing was left behind.
 *
 * The way is that of the kernel's fail-nth (/proc/PID/fail-nth): counted by task, not by
 * chance, so that each point is hit exactly once and a failure can be repeated. It is not
 * built on should_fail() of the kernel because CONFIG_FAULT_INJECTION is off in the
 * kernels that people run.
 *
 * States: disarmed (the static key is off, a question costs a no-op) and armed (one task,
 * one countdown). One test at a time may be armed: kmm_inject_arm() belongs to KUnit, which
 * runs its cases one after another.
 *
 * Invariants: the answer is yes at most once per arming; questions from interrupts and
 * from other tasks are never answered with yes and do not count.
 *
 * What it deliberately does not do: no probability, no stack filter, no interface to user
 * space.
 */
#include <linux/preempt.h>
#include <linux/sched.h>

#include <compat/compat.h>
#include <kmm/inject.h>

DEFINE_STATIC_KEY_FALSE(kmm_inject_key);
KMM_EXPORT_INTERNAL(kmm_inject_key);

/* The armed task, NULL when disarmed; written by that task only. */
static struct task_struct *inject_task;
/* Questions left until the yes; 0 once it was given. Touched by the armed task only. */
static unsigned long inject_left;
/* The yes was given. */
static bool inject_fired;

/**
 * kmm_inject_arm() - Make the @nth allocation of this task fail.
 * @nth: 1 is the next one
 *
 * Context: task, may sleep. Not nested: disarm first.
 */
void kmm_inject_arm(unsigned long nth)
{
	inject_left = nth;
	inject_fired = false;
	WRITE_ONCE(inject_task, current);
	static_branch_enable(&kmm_inject_key);
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
	static_branch_disable(&kmm_inject_key);
	WRITE_ONCE(inject_task, NULL);
	return inject_fired;
}
KMM_EXPORT_INTERNAL(kmm_inject_disarm);

/**
 * kmm_inject_hit() - The slow half of kmm_should_fail().
 *
 * Context: any.
 * Return: true for the chosen allocation.
 */
bool kmm_inject_hit(void)
{
	if (!in_task() || READ_ONCE(inject_task) != current)
		return false;
	if (!inject_left || --inject_left)
		return false;
	inject_fired = true;
	return true;
}
KMM_EXPORT_INTERNAL(kmm_inject_hit);
