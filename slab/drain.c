// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Emptying of stacks and depots
 *
 * Free objects in stacks and in a depot keep their slabs from the buddy. They go back to their
 * slabs, and the slabs that are empty then to the buddy, when
 *
 *	- a client asks: kmm_cache_shrink();
 *	- memory is short: kmm_slab_shrink() is the shrinker of kmm's reclaim, over all caches;
 *	- a cache is destroyed: it must be empty;
 *	- a CPU goes offline: its stacks have no user any more.
 *
 * A stack belongs to its CPU, which uses it without an atomic operation. So it is emptied on that
 * CPU, by a work item. The work runs as a task there, with preemption off while it has the stack:
 * it can come upon no other task's half-done change, and interrupts that come upon its own go to
 * the slabs. CPUs are asked one after the other and waited for, under one mutex for all caches: so
 * there is one work item per CPU, and emptying needs no memory. The workqueue has a rescuer, for
 * reclaim waits for it.
 *
 * The stack of a CPU that is offline is emptied by whoever takes the CPU down, which is the only
 * one that touches it. A CPU must not go while its stack is looked at, so cpus_read_lock() is held
 * by all others. The shrinker only tries to get it: an allocation that is part of a CPU's coming or
 * going would wait for itself.
 *
 * Objects that are freed meanwhile fill the stacks again: nothing is promised but that what was
 * there at the start is gone.
 *
 * The workqueue and the state of CPU hotplug are the module's, made once by kmm_slab_setup().
 *
 * Locks, in this order: cpus_read_lock(), kmm_slab.mutex, kmm_drain_mutex, @lock.
 *
 * It deliberately does not: empty by age or in part, or stop CPUs by an interrupt.
 */

#include <linux/cpu.h>
#include <linux/workqueue.h>

#include <compat/compat.h>
#include <kmm/assert.h>
#include <kmm/inject.h>

#include "internal.h"

/* === Data === */

/* kmm_slab_setup() sets it, before there is an instance: each joins it. */
static enum cpuhp_state kmm_slab_cpuhp;

/**
 * struct kmm_drain - a work item that empties one CPU's stack
 * @work: runs on that CPU
 * @s: cache
 */
struct kmm_drain {
	struct work_struct work;
	struct kmm_cache *s;
};

static DEFINE_PER_CPU(struct kmm_drain, kmm_drains);
/* One drain at a time; protects kmm_drains. Innermost of the sleeping locks. */
static DEFINE_MUTEX(kmm_drain_mutex);
/* Has a rescuer, because relieve() waits for it. */
static struct workqueue_struct *kmm_drain_wq;

/* === Emptying === */

/* All of a stack goes to the slabs. The stack is ours, or its CPU is dead. */
static void kmm_stack_empty(struct kmm_cache *s, struct kmm_cache_cpu *c)
{
	kmm_slabs_give(s, c->obj + 1, c->nr);
	c->nr = 0;
}

static void kmm_drain_work(struct work_struct *work)
{
	struct kmm_cache *s = container_of(work, struct kmm_drain, work)->s;
	struct kmm_cache_cpu *c = kmm_stack_get(s);

	/* A task in its middle would have preemption off, so nobody is. */
	if (!kmm_assert(c))
		return;
	kmm_stack_empty(s, c);
	kmm_stack_put(s);
}

/* Objects of all stacks and of the depot go to the slabs. cpus_read_lock() is held. */
static void kmm_cache_drain(struct kmm_cache *s)
{
	unsigned long flags;
	unsigned int cpu, n;
	void *obj[32];

	mutex_lock(&kmm_drain_mutex);
	for_each_online_cpu(cpu) {
		struct kmm_drain *d = per_cpu_ptr(&kmm_drains, cpu);

		if (!READ_ONCE(per_cpu_ptr(s->stacks, cpu)->nr))
			continue;
		INIT_WORK(&d->work, kmm_drain_work);
		d->s = s;
		queue_work_on(cpu, kmm_drain_wq, &d->work);
		flush_work(&d->work);
	}
	mutex_unlock(&kmm_drain_mutex);
	do {
		raw_spin_lock_irqsave(&s->lock, flags);
		n = min_t(unsigned int, s->nr_depot, ARRAY_SIZE(obj));
		s->nr_depot -= n;
		memcpy(obj, s->depot + s->nr_depot, n * sizeof(*obj));
		raw_spin_unlock_irqrestore(&s->lock, flags);
		kmm_slabs_give(s, obj, n);
	} while (n);
}

/**
 * kmm_slab_cache_shrink() - Empty a cache's stacks and depot, give its empty slabs back.
 * @s: cache
 *
 * Context: may sleep; cpus_read_lock() is held. Return: slabs given back.
 */
unsigned long kmm_slab_cache_shrink(struct kmm_cache *s)
{
	unsigned long flags, before = READ_ONCE(s->nr_slabs);
	u32 list;

	kmm_cache_drain(s);
	raw_spin_lock_irqsave(&s->lock, flags);
	list = kmm_slabs_trim_locked(s, 0);
	raw_spin_unlock_irqrestore(&s->lock, flags);
	kmm_slabs_free(s, list);
	return before - min(before, READ_ONCE(s->nr_slabs));
}
KMM_EXPORT_INTERNAL(kmm_slab_cache_shrink);

/**
 * kmm_slab_shrink() - The same for all caches: kmm's shrinker.
 * @sl: slab allocator
 *
 * Context: may sleep; nothing may be allocated from @sl under its mutex. Gives up where a CPU
 * is coming or going: the caller may be part of that. Return: slabs given back.
 */
unsigned long kmm_slab_shrink(struct kmm_slab *sl)
{
	unsigned long n = 0;
	struct kmm_cache *s;

	if (!cpus_read_trylock())
		return 0;
	mutex_lock(&sl->mutex);
	list_for_each_entry(s, &sl->list, node)
		n += kmm_slab_cache_shrink(s);
	mutex_unlock(&sl->mutex);
	cpus_read_unlock();
	return n;
}
KMM_EXPORT_INTERNAL(kmm_slab_shrink);

/**
 * kmm_cache_shrink() - kmem_cache_shrink() on kmm's region.
 * @s: cache
 *
 * Context: may sleep. Return: 0 if no slab is left, else 1.
 */
int kmm_cache_shrink(struct kmm_cache *s)
{
	cpus_read_lock();
	kmm_slab_cache_shrink(s);
	cpus_read_unlock();
	return !!READ_ONCE(s->nr_slabs);
}
EXPORT_SYMBOL_GPL(kmm_cache_shrink);

/* === Once per module === */

/* A CPU went offline: its stacks have no user any more. */
static int kmm_slab_cpu_dead(unsigned int cpu, struct hlist_node *node)
{
	struct kmm_slab *sl = hlist_entry(node, struct kmm_slab, cpuhp);
	struct kmm_cache *s;

	mutex_lock(&sl->mutex);
	list_for_each_entry(s, &sl->list, node) {
		struct kmm_cache_cpu *c = per_cpu_ptr(s->stacks, cpu);

		kmm_stack_empty(s, c);
	}
	mutex_unlock(&sl->mutex);
	return 0;
}

/**
 * kmm_slab_setup() - Once per module: before the first kmm_slab_init().
 *
 * Context: may sleep. Return: 0 or a negative errno.
 */
int kmm_slab_setup(void)
{
	int state;

	kmm_drain_wq = kmm_should_fail() ? NULL : alloc_workqueue("kmm_slab", WQ_MEM_RECLAIM, 0);
	if (!kmm_drain_wq)
		return -ENOMEM;
	state = kmm_should_fail() ? -ENOMEM :
		cpuhp_setup_state_multi(CPUHP_BP_PREPARE_DYN, "mm/kmm_slab:dead", NULL,
					kmm_slab_cpu_dead);
	if (state < 0) {
		destroy_workqueue(kmm_drain_wq);
		return state;
	}
	kmm_slab_cpuhp = state;
	return 0;
}

/**
 * kmm_slab_teardown() - Undo kmm_slab_setup(), after the last kmm_slab_fini().
 */
void kmm_slab_teardown(void)
{
	cpuhp_remove_multi_state(kmm_slab_cpuhp);
	destroy_workqueue(kmm_drain_wq);
}

/**
 * kmm_slab_add_cpuhp() - An instance is told of CPUs that go from now on. It cannot fail.
 * @sl: slab allocator; its mutex and list are ready
 *
 * Context: may sleep.
 */
void kmm_slab_add_cpuhp(struct kmm_slab *sl)
{
	cpuhp_state_add_instance_nocalls(kmm_slab_cpuhp, &sl->cpuhp);
}

/**
 * kmm_slab_remove_cpuhp() - Undo kmm_slab_add_cpuhp().
 * @sl: slab allocator
 *
 * Context: may sleep.
 */
void kmm_slab_remove_cpuhp(struct kmm_slab *sl)
{
	cpuhp_state_remove_instance_nocalls(kmm_slab_cpuhp, &sl->cpuhp);
}
