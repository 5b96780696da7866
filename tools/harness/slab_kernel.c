// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: what slab.c needs of a kernel, beyond kernel.c
 *
 * A work item runs when it is queued, as a task on the CPU that it is queued on. slab.c queues
 * only from where it may sleep, so nobody is in the middle of an operation there. RCU callbacks are
 * kept until rcu_barrier(), which runs those that were there when it was called.
 */

#include <stdlib.h>

#include <harness/slab.h>

#include <kmm/debug_objects.h>

char harness_pcpu_static[NR_CPUS * HARNESS_PCPU_STRIDE];

struct workqueue_struct *alloc_workqueue(const char *name, unsigned int flags, int max_active)
{
	return malloc(1);
}

void destroy_workqueue(struct workqueue_struct *wq)
{
	free(wq);
}

void queue_work_on(unsigned int cpu, struct workqueue_struct *wq, struct work_struct *work)
{
	unsigned int was = harness_cpu;

	might_sleep();
	if (!cpu_online(cpu))
		harness_die("work for CPU %u, which is offline", cpu);
	harness_cpu = cpu;
	work->fn(work);
	might_sleep();
	harness_cpu = was;
}

static struct rcu_head *rcu_list;

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	struct rcu_head *h;

	for (h = rcu_list; h; h = h->next)
		if (h == head)
			harness_die("call_rcu() of what waits already");
	head->func = func;
	head->next = rcu_list;
	rcu_list = head;
}

void rcu_barrier(void)
{
	struct rcu_head *list = rcu_list, *next;

	rcu_list = NULL;
	for (; list; list = next) {
		next = list->next;
		list->func(list);
	}
}

const void *memchr_inv(const void *p, int c, size_t n)
{
	const unsigned char *b = p;

	for (; n; n--, b++)
		if (*b != (unsigned char)c)
			return b;
	return NULL;
}

/* === The tracker of life cycles is off === */

struct static_key_false kmm_debug_objects_key;

static bool never(void)
{
	harness_die("the tracker was asked although it is off");
}

bool __kmm_debug_object_init(const void *addr, enum kmm_debug_type type)
{
	return never();
}

bool __kmm_debug_object_activate(const void *addr, enum kmm_debug_type type)
{
	return never();
}

bool __kmm_debug_object_destroy(const void *addr, enum kmm_debug_type type)
{
	return never();
}

bool __kmm_debug_object_free(const void *addr, enum kmm_debug_type type)
{
	return never();
}

bool __kmm_debug_object_use(const void *addr, enum kmm_debug_type type)
{
	return never();
}

void __kmm_debug_object_unuse(const void *addr)
{
	never();
}

bool __kmm_debug_check_no_obj_freed(const void *addr, size_t size)
{
	return never();
}
