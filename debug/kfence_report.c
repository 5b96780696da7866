// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Reports of the guarded pool
 *
 * What kfence.c has found is printed here, in the format of the kernel's mm/kfence/report.c, line
 * by line, so that whatever reads the reports of KFENCE (syzkaller, the scripts of a CI, a person)
 * reads these::
 *
 *	BUG: KFENCE: out-of-bounds read in FUNCTION+0x2a/0x60 [MODULE]
 *
 *	Out-of-bounds read at 0x0000000012345678 (1B left of kfence-#5):
 *	 the stack of the access, or of the free
 *
 *	kfence-#5: 0x00000000a-0x00000000b, size=32, cache=kmalloc-32
 *
 *	allocated by task 71 on cpu 0 at 3.141592s:
 *	 its stack
 *
 *	freed by task 71 on cpu 0 at 3.141600s:
 *	 its stack
 *
 *	CPU: 0 PID: 71 Comm: test 6.1.0
 *	kmm: the object is from kmm's guarded pool of 255, not from the host's
 *
 * The last line is ours: it tells which of the two pools of a machine it is. The trace event
 * error_report:error_report_end is raised as the kernel does it.
 *
 * Stacks begin with the allocator's client: what is above it are functions of slab.c and of this
 * unit, known by their names, and left out.
 *
 * Addresses are hashed, and bytes of a broken canary shown as "!", unless the host was booted with
 * no_hash_pointers.
 *
 * Context: any; the object's lock is held, so its tracks stay. As in the kernel, lockdep is
 * told to look away: a report may come from where printk() is not welcome, and better there
 * than not at all. It deliberately does not taint the host: the memory is kmm's.
 */

#define pr_fmt(fmt) fmt

#include <linux/kernel.h>
#include <linux/lockdep.h>
#include <linux/math64.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include <linux/utsname.h>
#include <trace/events/error_report.h>

#include <compat/compat.h>
#include <kmm/kfence.h>
#include <kmm/slab.h>

/* Set by the boot parameter no_hash_pointers; lib/vsprintf.c exports it and no header has it. */
extern bool no_hash_pointers;

/* To a file of debugfs, or to the log. */
static __printf(2, 3) void report_printf(struct seq_file *m, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (m)
		seq_vprintf(m, fmt, args);
	else
		vprintk(fmt, args);
	va_end(args);
}

/* Entries at the top of a stack that are the allocator's own. */
static unsigned int report_skip(const unsigned long *stack, unsigned int nr)
{
	static const char * const own[] = {
		"kmm_kfence_", "__kmm_kfence_", "kfence_", "kmm_cache_", "kmm_kfree", "__kmm_kmalloc",
		"kmm_kmalloc", "kmm_krealloc", "kmm_slab_", "kmm_object_",
	};
	unsigned int skip, i;
	char name[64];

	for (skip = 0; skip < nr; skip++) {
		scnprintf(name, sizeof(name), "%ps", (void *)stack[skip]);
		for (i = 0; i < ARRAY_SIZE(own); i++)
			if (str_has_prefix(name, own[i]))
				break;
		if (i == ARRAY_SIZE(own))
			return skip;
	}
	return 0;
}

static void report_track(struct seq_file *m, const char *what, const struct kmm_kfence_track *t)
{
	unsigned long usec = t->ts_nsec / NSEC_PER_USEC;
	unsigned int i;

	report_printf(m, "%s by task %d on cpu %d at %lu.%06lus:\n", what, t->pid, t->cpu,
		      usec / USEC_PER_SEC, usec % USEC_PER_SEC);
	for (i = report_skip(t->stack, t->nr); i < t->nr; i++)
		report_printf(m, " %pS\n", (void *)t->stack[i]);
}

/**
 * kmm_kfence_print_object() - What is known of an object.
 * @m: a file of debugfs; NULL: the log
 * @kf: pool
 * @obj: object of it; its lock is held
 *
 * Context: any.
 */
void kmm_kfence_print_object(struct seq_file *m, const struct kmm_kfence *kf,
			     const struct kmm_kfence_object *obj)
{
	const struct kmm_cache *s = obj->cache;

	if (obj->state == KMM_KFENCE_UNUSED) {
		report_printf(m, "kfence-#%td unused\n", obj - kf->objects);
		return;
	}
	report_printf(m, "kfence-#%td: 0x%p-0x%p, size=%zu, cache=%s\n\n", obj - kf->objects,
		      (void *)obj->addr, (void *)(obj->addr + obj->size - 1), obj->size,
		      s ? s->name : "<destroyed>");
	report_track(m, "allocated", &obj->alloc_track);
	if (obj->state == KMM_KFENCE_ALLOCATED)
		return;
	report_printf(m, "\n");
	report_track(m, obj->state == KMM_KFENCE_FREED ? "freed" : "rcu freeing", &obj->free_track);
}
KMM_EXPORT_INTERNAL(kmm_kfence_print_object);

/* Bytes of a canary that are shown. */
#define CANARY_SHOWN	16

/* From the first wrong one on; neither the object's nor the next page's. */
static void report_canary(unsigned long addr, const struct kmm_kfence_object *obj, ptrdiff_t nr)
{
	unsigned long end = min(addr + CANARY_SHOWN,
				addr < obj->addr ? obj->addr : PAGE_ALIGN(addr)), p;
	char text[CANARY_SHOWN * sizeof(" 0x00")] = "", *t = text;

	for (p = addr; p < end; p++) {
		u8 byte = *(u8 *)p;

		if (byte != KMM_KFENCE_CANARY(p) && no_hash_pointers)
			t += scnprintf(t, text + sizeof(text) - t, " 0x%02x", byte);
		else
			t += scnprintf(t, text + sizeof(text) - t,
				       byte == KMM_KFENCE_CANARY(p) ? " ." : " !");
	}
	pr_err("Corrupted memory at 0x%p [%s ] (in kfence-#%td):\n", (void *)addr, text,
	       nr);
}

static void report_headline(const struct kmm_kfence *kf, const struct kmm_kfence_object *obj,
			    enum kmm_kfence_error error, unsigned long addr, bool is_write,
			    void *ip)
{
	const char *access = is_write ? "write" : "read";
	ptrdiff_t nr = obj ? obj - kf->objects : -1;

	switch (error) {
	case KMM_KFENCE_OOB:
		pr_err("BUG: KFENCE: out-of-bounds %s in %pS\n\n", access, ip);
		pr_err("Out-of-bounds %s at 0x%p (%luB %s of kfence-#%td):\n", access,
		       (void *)addr, addr < obj->addr ? obj->addr - addr : addr - obj->addr,
		       addr < obj->addr ? "left" : "right", nr);
		break;
	case KMM_KFENCE_UAF:
		pr_err("BUG: KFENCE: use-after-free %s in %pS\n\n", access, ip);
		pr_err("Use-after-free %s at 0x%p (in kfence-#%td):\n", access, (void *)addr, nr);
		break;
	case KMM_KFENCE_CORRUPTION:
		pr_err("BUG: KFENCE: memory corruption in %pS\n\n", ip);
		report_canary(addr, obj, nr);
		break;
	case KMM_KFENCE_INVALID:
		pr_err("BUG: KFENCE: invalid %s in %pS\n\n", access, ip);
		pr_err("Invalid %s at 0x%p:\n", access, (void *)addr);
		break;
	case KMM_KFENCE_INVALID_FREE:
		pr_err("BUG: KFENCE: invalid free in %pS\n\n", ip);
		pr_err("Invalid free of 0x%p (in kfence-#%td):\n", (void *)addr, nr);
		break;
	}
}

/* The stack down from where a fault interrupted it; what handles the fault is above. */
static unsigned int report_skip_to(const unsigned long *stack, unsigned int nr, unsigned long ip)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (stack[i] == ip)
			return i;
	return nr;
}

/**
 * kmm_kfence_report() - Print what was found.
 * @kf: pool
 * @obj: the object, its lock is held; NULL: none is known
 * @error: what was found
 * @addr: of the access, of the free, of the first wrong byte
 * @is_write: of an access
 * @regs: of a fault that was not recovered; NULL: the caller is to blame
 *
 * Context: any.
 */
void kmm_kfence_report(const struct kmm_kfence *kf, const struct kmm_kfence_object *obj,
		       enum kmm_kfence_error error, unsigned long addr, bool is_write,
		       struct pt_regs *regs)
{
	unsigned long stack[KMM_KFENCE_STACK_DEPTH] = { 0 };
	unsigned int nr = stack_trace_save(stack, ARRAY_SIZE(stack), 1);
	unsigned int skip = regs ? report_skip_to(stack, nr, regs->ip) : report_skip(stack, nr);

	lockdep_off();
	pr_err("==================================================================\n");
	report_headline(kf, obj, error, addr, is_write, (void *)(regs ? regs->ip : stack[skip]));
	/* The unwinder may not know the way through a fault; then there is at least this. */
	if (regs && skip == nr)
		pr_err(" %pS\n", (void *)regs->ip);
	else
		stack_trace_print(stack + skip, nr - skip, 0);
	if (obj) {
		pr_err("\n");
		kmm_kfence_print_object(NULL, kf, obj);
	}
	pr_err("\n");
	pr_err("CPU: %d PID: %d Comm: %.20s %s\n", raw_smp_processor_id(), task_pid_nr(current),
	       current->comm, init_utsname()->release);
	pr_err("kmm: the object is from kmm's guarded pool of %u, not from the host's\n",
	       kf->nr_objects);
	trace_error_report_end(ERROR_DETECTOR_KFENCE, addr);
	pr_err("==================================================================\n");
	lockdep_on();
}
