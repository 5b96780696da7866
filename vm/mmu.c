// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: The MMU
 *
 * kmm_mmu_access() reads, writes or probes bytes at a virtual address of a space, as a CPU that
 * runs in it would, and gives a denied access back as data: the address, the bits of the
 * page-fault error code and the rule that denied it. Two ways lead there.
 *
 * Software. The tables are walked and each entry is judged as the MMU would (P, RW and NX of all
 * levels, reserved bits), the leaf gets its Accessed and Dirty bits, and the bytes are copied
 * through the direct map. This is the default, and the only way on machines that the
 * other one has not been tried on.
 *
 * Hardware. The root of the space goes into CR3, the CPU does the access, and the exception table
 * catches what it does not allow: the way of the host's own uaccess, under five rules:
 *
 *	1. The root is 8 KiB aligned. PTI's NMI entry clears bit 12 of CR3: from an odd root it
 *	   would go on with the page below, which is no root. vm/pgtable.c sees to it.
 *	2. set_pgd() and set_p4d() never touch a root, they write the page behind as well. Here the
 *	   kernel half of the root is written, word by word with WRITE_ONCE().
 *	3. The task has no mm (an NMI that looks at user memory then stays away), preemption, page
 *	   faults and interrupts are off, the kernel half is copied anew each time, because the host
 *	   may have changed it, and after MMU_BLOCKS accesses of MMU_BLOCK bytes the old root
 *	   returns.
 *	4. Accesses stand between stac() and clac(), and have an exception-table entry: with SMAP
 *	   and AC clear the fault would kill the kernel before it looked at the table.
 *	5. Leaves are made from a pfn and plain bits; vm/pgtable.c again.
 *
 * Where rule 3 is not met (a process calls), a worker of our own workqueue does the accesses,
 * on any CPU, at most KMM_ACCESS_MAX bytes: so the wait for it is bounded and needs no kill. The
 * fault handler runs in the caller, who may be killed between two tries.
 *
 * What the hardware is not asked. Addresses that are not of the user half (a #GP, or the host's own
 * memory), and tables with a reserved bit: the host's handler takes that #PF as a broken kernel,
 * and never returns. Nobody makes such tables; a look before each access makes sure.
 *
 * Error code. The exception table does not pass on the CPU's. CR2 is read right after the fault,
 * the bits W and I come from the access, P and RSVD from a look at the tables before interrupts are
 * on again. Where that look finds nothing wrong, another CPU has changed the entry in between: the
 * access is tried again. Both ways act as the kernel, so the bit U is never set.
 *
 * FETCH is a question: could the CPU execute there? Nothing is ever executed. The answer is that of
 * the CPU to a read of one byte, and of the NX and US bits of the walk from the user root (the
 * entries of the full root have NX, as under PTI).
 *
 * What keeps the frame. A frame must not be freed between the look and the copy. Both ways set
 * their CPU's bit in pt->active, with interrupts off, before they look at the tables, and clear it
 * when they are done with the frame. Whoever takes an entry out waits in kmm_pt_flush() until the
 * CPUs that it sees there have answered an interrupt, and only then frees page or table. The
 * same wait makes a TLB flush superfluous: each load of CR3 drops what the CPU knew of user
 * addresses, so nothing old survives from one switch to the next. No lock of the space is
 * held, and no user memory is touched.
 *
 * Invariants: with interrupts on, no CPU has a root of ours in CR3 and none is in pt->active;
 * pt->full has no kernel entry that the host has not, except that of the espfix alias
 * (vm/isolation.c), and never the host's LDT, which belongs to one process.
 *
 * Locks: that of one table, in kmm_pt_touch(), with interrupts off.
 *
 * What this deliberately does not do: no PCIDs (a space is never worth keeping in the TLB), no user
 * mode: nothing runs in a space.
 */

#define pr_fmt(fmt) "kmm: " fmt

#include <linux/bits.h>
#include <linux/capability.h>
#include <linux/cc_platform.h>
#include <linux/cpumask.h>
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>
#include <asm/asm.h>
#include <asm/cpufeature.h>
#include <asm/processor-flags.h>
#include <asm/smap.h>
#include <asm/special_insns.h>
#include <asm/tlbflush.h>

#include <compat/compat.h>
#include <kmm/assert.h>
#include <kmm/debug_objects.h>
#include <kmm/inject.h>
#include <kmm/pgtable.h>
#include <kmm/reftrace.h>
#include <kmm/space.h>
#include <trace/events/kmm.h>

/* === Data === */

/* One switch: 8 copies of a cache line. Interrupts are off for no longer than that takes. */
#define MMU_BLOCK	64
#define MMU_BLOCKS	8

/* Tries for one address before the caller hears that the page does not stay. */
#define MMU_TRIES	16

/* Roots: the first entry of the kernel half. */
#define MMU_KERNEL_HALF	(PTRS_PER_PGD / 2)

/* Why the hardware is refused; NULL when it is not. Immutable after kmm_mmu_setup(). */
static const char *mmu_refused = "not set up";
static struct workqueue_struct *mmu_wq;

enum mmu_verdict { MMU_DONE, MMU_FAULT, MMU_AGAIN };

/**
 * struct mmu_request - consecutive bytes of the user half, one try
 * @work: for the worker
 * @s: space
 * @addr: first address
 * @buf: kernel memory
 * @len: bytes
 * @op: KMM_ACCESS_*
 * @hardware: which way
 * @done: out: bytes
 * @verdict: out: how it ended
 * @fault_addr: out: with MMU_FAULT where
 * @code: out: with MMU_FAULT KMM_PF_*
 */
struct mmu_request {
	struct work_struct work;
	struct kmm_space *s;
	unsigned long addr;
	void *buf;
	size_t len;
	u32 op;
	bool hardware;
	size_t done;
	enum mmu_verdict verdict;
	unsigned long fault_addr;
	u32 code;
};

/* === The CPU's rules === */

static unsigned int mmu_address_bits(void)
{
	return pgtable_l5_enabled() ? 57 : 48;
}

/* Bits that must be 0 in a present entry of @level: addresses that the CPU has not, PS at roots. */
static unsigned long mmu_reserved(unsigned int level, const struct kmm_pt_path *path)
{
	unsigned long bits = GENMASK_ULL(51, boot_cpu_data.x86_phys_bits) & ~sme_me_mask;

	if (!(__supported_pte_mask & _PAGE_NX))
		bits |= _PAGE_NX;
	if (level == KMM_PT_PMD && path->leaf_shift == PMD_SHIFT)
		bits |= ~PMD_MASK & PAGE_MASK & ~_PAGE_PAT_LARGE;
	/* 1 GiB leaves exist, but not in our trees. */
	if (level > KMM_PT_PMD)
		bits |= _PAGE_PSE;
	return bits;
}

/* The bits of the error code that the access itself gives. */
static u32 mmu_op_code(u32 op)
{
	if (op == KMM_ACCESS_WRITE)
		return KMM_PF_WRITE;
	return op == KMM_ACCESS_FETCH ? KMM_PF_INSTR : 0;
}

/* What the CPU would say to an access: MMU_DONE, or MMU_FAULT and @code. */
static enum mmu_verdict mmu_judge(const struct kmm_pt_path *path, u32 op, u32 *code)
{
	unsigned long all = ~0UL, any = 0;
	unsigned int i;

	*code = mmu_op_code(op);
	for (i = 0; i < path->depth; i++) {
		unsigned long entry = path->entry[i];

		if (!(entry & _PAGE_PRESENT))
			return MMU_FAULT;
		if (entry & mmu_reserved(path->levels - 1 - i, path)) {
			*code |= KMM_PF_PRESENT | KMM_PF_RSVD;
			return MMU_FAULT;
		}
		all &= entry;
		any |= entry;
	}
	if ((op == KMM_ACCESS_WRITE && !(all & _PAGE_RW)) ||
	    (op == KMM_ACCESS_FETCH && (any & _PAGE_NX || !(all & _PAGE_USER)))) {
		*code |= KMM_PF_PRESENT;
		return MMU_FAULT;
	}
	return MMU_DONE;
}

/* A look at the tables, by a CPU in pt->active. */
static enum mmu_verdict mmu_look(struct mmu_request *r, unsigned long addr,
				 struct kmm_pt_path *path)
{
	kmm_pt_walk(&r->s->pt, addr, r->op == KMM_ACCESS_FETCH, path);
	r->fault_addr = addr;
	return mmu_judge(path, r->op, &r->code);
}

/* === Being inside === */

static unsigned long mmu_begin(struct kmm_pgtable *pt)
{
	unsigned long flags;

	local_irq_save(flags);
	cpumask_set_cpu(smp_processor_id(), &pt->active);
	/* Pairs with the barrier in kmm_pt_flush(): it sees this CPU, or we see what it did. */
	smp_mb__after_atomic();
	return flags;
}

static void mmu_end(struct kmm_pgtable *pt, unsigned long flags)
{
	/* The frame is not touched after this. Pairs with kmm_pt_flush(). */
	smp_mb__before_atomic();
	cpumask_clear_cpu(smp_processor_id(), &pt->active);
	local_irq_restore(flags);
}

/* === Software === */

static void mmu_soft_copy(struct mmu_request *r, const struct kmm_pt_path *path,
			  unsigned long addr, size_t n)
{
	unsigned long leaf = path->entry[path->depth - 1];
	bool huge = path->leaf_shift != PAGE_SHIFT;
	void *mem = page_address(kmm_pt_entry_page(leaf, huge)) +
		    (addr & ((1UL << path->leaf_shift) - 1));

	if (r->op == KMM_ACCESS_READ)
		memcpy(r->buf + r->done, mem, n);
	else if (r->op == KMM_ACCESS_WRITE)
		memcpy(mem, r->buf + r->done, n);
}

/* At most to the end of the page. */
static void mmu_soft(struct mmu_request *r)
{
	struct kmm_pgtable *pt = &r->s->pt;
	unsigned long addr = r->addr + r->done, flags;
	size_t n = min(r->len - r->done, PAGE_SIZE - offset_in_page(addr));
	struct kmm_pt_path path;

	flags = mmu_begin(pt);
	r->verdict = mmu_look(r, addr, &path);
	if (r->verdict == MMU_DONE) {
		unsigned long bits = r->op == KMM_ACCESS_WRITE ? KMM_PT_AD : _PAGE_ACCESSED;

		/* Before the copy, as the CPU: who takes the entry out sees that it is dirty. */
		if (kmm_pt_touch(pt, addr, path.entry[path.depth - 1], bits)) {
			mmu_soft_copy(r, &path, addr, n);
			r->done += n;
		} else {
			r->verdict = MMU_AGAIN;
		}
	}
	mmu_end(pt, flags);
}

/* === Hardware === */

/* Returns the bytes that were not copied. One side is in the user half. */
static __always_inline size_t mmu_copy(void *to, const void *from, size_t n)
{
	int err = 0;

	stac();
	asm volatile("1: rep movsb\n"
		     "2:\n"
		     _ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_EFAULT_REG, %k[err])
		     : [err] "+r" (err), "+c" (n), "+D" (to), "+S" (from) : : "memory");
	clac();
	return n;
}

/* Rule 3, but for the task: whoever calls has no mm. */
static __always_inline unsigned long mmu_hard_begin(struct kmm_pgtable *pt)
{
	preempt_disable();
	pagefault_disable();
	return mmu_begin(pt);
}

static __always_inline void mmu_hard_end(struct kmm_pgtable *pt, unsigned long flags)
{
	mmu_end(pt, flags);
	pagefault_enable();
	preempt_enable();
}

/*
 * Put the space's root into CR3. Returns what was there. Word by word, and only what differs:
 * another CPU may be inside.
 */
static __always_inline unsigned long mmu_load(struct kmm_space *s)
{
	unsigned long cr3 = __native_read_cr3();
	const unsigned long *host = __va(cr3 & CR3_ADDR_MASK);
	unsigned long *root = (unsigned long *)s->pt.full;
	unsigned int i, ldt = pgd_index(LDT_BASE_ADDR);

	for (i = MMU_KERNEL_HALF; i < PTRS_PER_PGD; i++) {
		unsigned long entry = READ_ONCE(host[i]);

		if (i == KMM_ESPFIX_ROOT)
			entry = kmm_espfix_root_entry(s->set->espfix);
		else if (i == ldt)
			entry = 0;
		if (READ_ONCE(root[i]) != entry)
			WRITE_ONCE(root[i], entry);
	}
	/* Without NOFLUSH. Where there are PCIDs, the host's begin at 1. */
	native_write_cr3(__sme_pa(root));
	return cr3;
}

/* Count the switch in this CPU's espfix slot, through the alias that only we can write. */
static __always_inline size_t mmu_count(struct kmm_espfix *e)
{
	struct kmm_espfix_slot *slot = kmm_espfix_slot(e, smp_processor_id());
	u64 nr = slot->switches + 1;

	return mmu_copy((void *)(kmm_espfix_rw_addr(smp_processor_id()) +
				 offsetof(struct kmm_espfix_slot, switches)), &nr, sizeof(nr));
}

/* One switch, at most to the end of the page. */
static void mmu_hard(struct mmu_request *r)
{
	struct kmm_pgtable *pt = &r->s->pt;
	unsigned long addr = r->addr + r->done, flags, cr3, cr2 = 0;
	size_t n = min3(r->len - r->done, PAGE_SIZE - offset_in_page(addr),
			(size_t)MMU_BLOCK * MMU_BLOCKS);
	size_t left = 0, uncounted = 0, block;
	void *buf = r->buf + r->done;
	struct kmm_pt_path path;
	u8 byte;

	flags = mmu_hard_begin(pt);
	r->verdict = mmu_look(r, addr, &path);
	if (r->verdict == MMU_FAULT && (r->code & KMM_PF_RSVD || r->op == KMM_ACCESS_FETCH))
		goto out;

	cr3 = mmu_load(r->s);
	if (r->s->set->espfix)
		uncounted = mmu_count(r->s->set->espfix);
	for (; n && !left; n -= block - left, addr += block - left, buf += block - left) {
		block = min_t(size_t, n, MMU_BLOCK);
		if (r->op == KMM_ACCESS_READ)
			left = mmu_copy(buf, (void *)addr, block);
		else if (r->op == KMM_ACCESS_WRITE)
			left = mmu_copy((void *)addr, buf, block);
		else
			left = mmu_copy(&byte, (void *)addr, block);
	}
	if (left)
		cr2 = native_read_cr2();
	native_write_cr3(cr3);

	r->done = addr - r->addr;
	r->verdict = MMU_DONE;
	if (left) {
		r->verdict = mmu_look(r, addr, &path) == MMU_FAULT ? MMU_FAULT : MMU_AGAIN;
		r->fault_addr = cr2;
	}
	atomic64_inc(&r->s->switches);
out:
	mmu_hard_end(pt, flags);
	kmm_assert(!uncounted);
}

/* === Requests === */

static void mmu_run(struct mmu_request *r)
{
	do {
		if (r->hardware)
			mmu_hard(r);
		else
			mmu_soft(r);
		cond_resched();
	} while (r->verdict == MMU_DONE && r->done < r->len);
}

static void mmu_work(struct work_struct *work)
{
	mmu_run(container_of(work, struct mmu_request, work));
}

static void mmu_submit(struct mmu_request *r)
{
	if (!r->hardware || (current->flags & PF_KTHREAD && !current->mm)) {
		mmu_run(r);
		return;
	}
	INIT_WORK_ONSTACK(&r->work, mmu_work);
	queue_work(mmu_wq, &r->work);
	flush_work(&r->work);
	destroy_work_on_stack(&r->work);
}

/* Not an address of the user half: nobody is asked. */
static bool mmu_outside(struct kmm_access *a, u64 addr)
{
	unsigned int bits = mmu_address_bits();

	if (addr < 1ULL << (bits - 1))
		return false;
	a->fault = (struct kmm_fault) {
		.addr = addr,
		.code = mmu_op_code(a->op),
		.rule = addr < -(1ULL << (bits - 1)) ? KMM_RULE_NONCANONICAL : KMM_RULE_KERNEL_HALF,
	};
	return true;
}

/*
 * The request ended in a fault. True when it was resolved, or was gone when we looked. @tries
 * counts those at one address.
 */
static bool mmu_resolve(struct kmm_space *s, struct kmm_access *a, struct mmu_request *r,
			unsigned int tries)
{
	a->fault = (struct kmm_fault) { .addr = r->fault_addr, .code = r->code };
	if (tries >= MMU_TRIES) {
		a->fault.rule = KMM_RULE_LIMIT;
		a->fault.error = -EBUSY;
		return false;
	}
	if (r->verdict == MMU_AGAIN)
		return true;
	if (a->flags & KMM_ACCESS_NO_FAULT_IN) {
		kmm_fault_explain(s, &a->fault);
		return a->fault.rule == KMM_RULE_NONE;
	}
	kmm_fault_handle(s, &a->fault);
	if (a->fault.rule != KMM_RULE_NONE)
		return false;
	a->faults++;
	return true;
}

/**
 * kmm_mmu_access() - Do to an address what a CPU in the space would.
 * @s: space; the caller keeps it alive
 * @a: what to do; the results are filled in whenever 0 is returned
 *
 * Demand and copy-on-write faults are resolved on the way, unless KMM_ACCESS_NO_FAULT_IN. The
 * user's right to KMM_ACCESS_HARDWARE is the caller's business: dev/ has asked for CAP_SYS_ADMIN.
 *
 * Context: task, may sleep; no lock of the space is held.
 * Return: 0, also when the access was denied: then @a->fault has a rule; -EOPNOTSUPP the hardware
 * is refused here, see kmm_mmu_hardware(); -EINVAL; -EINTR killed, @a->done bytes are done; -ESTALE
 * the space is not alive.
 */
int kmm_mmu_access(struct kmm_space *s, struct kmm_access *a)
{
	struct mmu_request r = { .s = s, .op = a->op };
	unsigned int tries = 0;
	int err = 0;

	a->done = 0;
	a->faults = 0;
	a->fault = (struct kmm_fault) { };
	r.hardware = a->flags & KMM_ACCESS_HARDWARE;
	a->path = r.hardware ? KMM_PATH_HARDWARE : KMM_PATH_SOFTWARE;
	if (a->op > KMM_ACCESS_FETCH || !a->len || a->len > KMM_ACCESS_MAX ||
	    (a->op == KMM_ACCESS_FETCH && a->len != 1))
		return -EINVAL;
	if (r.hardware && mmu_refused)
		return -EOPNOTSUPP;
	if (r.hardware && !kmm_assert(!current->mm || capable(CAP_SYS_ADMIN)))
		return -EPERM;
	if (!kmm_debug_object_use(s, KMM_DEBUG_SPACE))
		return -ESTALE;

	while (a->done < a->len) {
		u64 addr = a->addr + a->done;

		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}
		if (mmu_outside(a, addr))
			break;
		r.addr = addr;
		r.buf = a->buf + a->done;
		r.len = min_t(u64, a->len - a->done, (1ULL << (mmu_address_bits() - 1)) - addr);
		r.done = 0;
		mmu_submit(&r);
		a->done += r.done;
		tries = r.done ? 0 : tries + 1;
		if (r.verdict != MMU_DONE && !mmu_resolve(s, a, &r, tries))
			break;
	}
	if (a->done == a->len)
		a->fault = (struct kmm_fault) { };
	if (unlikely(READ_ONCE(s->trace)) && a->done)
		kmm_reftrace_record(s, a->addr, a->done, a->op == KMM_ACCESS_WRITE);
	trace_mmu_access(s->id, a);
	kmm_debug_object_unuse(s);
	return err;
}
KMM_EXPORT_INTERNAL(kmm_mmu_access);

/**
 * kmm_mmu_probe() - One raw access through the hardware, for tests of the aliases.
 * @s: space
 * @addr: any canonical address that the full root has
 * @buf: kernel memory
 * @len: bytes, within one page and one switch
 * @write: into the space
 *
 * Context: a kernel thread without an mm.
 * Return: bytes that were not copied; -EOPNOTSUPP.
 */
long kmm_mmu_probe(struct kmm_space *s, unsigned long addr, void *buf, size_t len, bool write)
{
	unsigned long flags, cr3;
	size_t left;

	if (mmu_refused || current->mm)
		return -EOPNOTSUPP;
	flags = mmu_hard_begin(&s->pt);
	cr3 = mmu_load(s);
	left = write ? mmu_copy((void *)addr, buf, len) : mmu_copy(buf, (void *)addr, len);
	native_write_cr3(cr3);
	mmu_hard_end(&s->pt, flags);
	return left;
}
KMM_EXPORT_INTERNAL(kmm_mmu_probe);

/* === Set-up === */

/* A reason fits into a line of debugfs mm_init. */
static const char *mmu_refuse(const char *mode)
{
	const unsigned long *host = __va(__native_read_cr3() & CR3_ADDR_MASK);

	if (boot_cpu_has(X86_FEATURE_XENPV))
		return "Xen PV: the hypervisor owns CR3";
	/* Also where only the host encrypts: our leaves do not have that bit. */
	if (cc_platform_has(CC_ATTR_MEM_ENCRYPT))
		return "encrypted memory (SME, SEV, TDX)";
	/* The hypervisors' hole: the espfix alias stands there. */
	if (host[KMM_ESPFIX_ROOT])
		return "first kernel root entry in use";
	if (!strcmp(mode, "off"))
		return "parameter mmu=off";
	if (!strcmp(mode, "on"))
		return NULL;
	if (boot_cpu_has(X86_FEATURE_PCID))
		return "PCID is untested, see mmu=on";
#ifdef X86_FEATURE_FRED
	if (boot_cpu_has(X86_FEATURE_FRED))
		return "FRED is untested, see mmu=on";
#endif
	return NULL;
}

/**
 * kmm_mmu_setup() - Decide whether the hardware may be used.
 * @mode: parameter mmu: auto, on or off
 *
 * Context: module load. Return: 0, also when it may not; -EINVAL unknown mode; -ENOMEM.
 */
int kmm_mmu_setup(const char *mode)
{
	if (strcmp(mode, "auto") && strcmp(mode, "on") && strcmp(mode, "off")) {
		pr_err("mmu=%s: unknown; use auto, on or off\n", mode);
		return -EINVAL;
	}
	mmu_wq = kmm_should_fail() ? NULL : alloc_workqueue("kmm_mmu", WQ_UNBOUND, 0);
	if (!mmu_wq)
		return -ENOMEM;
	mmu_refused = mmu_refuse(mode);
	pr_info("mmu: access through CR3 %s%s\n", mmu_refused ? "refused: " : "allowed",
		mmu_refused ?: "");
	return 0;
}

/**
 * kmm_mmu_teardown() - The reverse of kmm_mmu_setup().
 *
 * Context: module unload; no space is left.
 */
void kmm_mmu_teardown(void)
{
	destroy_workqueue(mmu_wq);
	mmu_wq = NULL;
}

/**
 * kmm_mmu_hardware() - May accesses go through the hardware?
 * @why: set to the reason if not, else to NULL; may be NULL
 *
 * Context: any.
 */
bool kmm_mmu_hardware(const char **why)
{
	if (why)
		*why = mmu_refused;
	return !mmu_refused;
}
KMM_EXPORT_INTERNAL(kmm_mmu_hardware);
