// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Objects in page tables of processes
 *
 * The host's side of a mapping: what happens at mmap(2), at a page fault, and how the object
 * layer takes pages away again.
 *
 * Frames are inserted one by one with vm_insert_page() into VM_MIXEDMAP areas: they are
 * counted like file pages, and a write through a mapping arrives in PG_dirty when it is
 * zapped, which a PFN mapping would lose. VM_IO keeps long-term pins away: kmm's frames may
 * be CMA pages, which such a pin would try to migrate for ever. VM_DONTEXPAND and VM_DONTDUMP
 * go with it. 2 MiB entries are not used: GUP-fast can pin such an entry on 6.1.
 *
 * A fault asks the object for the page, with the pages that follow it directly, at most to
 * the end of its aligned window of 16: where a neighbour is resident it is mapped in the
 * same step. All of them are inserted under the object's lock, which is what makes "erase
 * under the lock, then unmap" a complete revocation. The host's page-table pages that this
 * may need are allocated with memalloc_noio: the host's reclaim must not wait, under an
 * object's lock, for somebody who waits for that object.
 *
 * A page in swap is waited for without mmap_lock where the host allows it, see mapping_wait().
 *
 * An empty region is SIGBUS, never VM_FAULT_OOM: the host would kill a process, which frees
 * nothing of the region, and try again for ever.
 *
 * Protection. Private writable mappings are refused, they would need copies of frames.
 * A private mapping that only reads loses VM_MAYWRITE and can never become writable; the
 * core has already taken VM_MAYWRITE and VM_SHARED from shared mappings of read-only
 * descriptors, the test below is the core's test for copy-on-write. Write seals
 * refuse writable mappings and take VM_MAYWRITE from the others.
 *
 * A LOCKED object is mapped whole by mmap(2): its pages never leave, so a futex in it is
 * always found. Its page tables are filled before the area is in i_mmap; no unmap can be
 * missed, because punch and shrink are refused for such objects.
 *
 * Faults are counted by CPU: pgfault and pgmajfault of vmstat. A fault that has to wait comes again
 * and is counted again, as Linux does it; major is one that waits for a page from swap. What is in
 * compressed memory is there at once.
 *
 * Locks: mmap_lock, object, i_mmap, page-table lock.
 *
 * What this deliberately does not do: no ->mremap, ->open or ->close: the area's file
 * reference is all that there is to count, and fork copies entries like those of any
 * VM_MIXEDMAP area.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/percpu.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include <compat/compat.h>
#include <kmm/dev.h>
#include <kmm/object.h>

/* === Data === */

/* By CPU: faults of the mappings; of these, the ones that had to wait for swap. */
struct mapping_events {
	u64 pgfault;
	u64 pgmajfault;
};

static DEFINE_PER_CPU(struct mapping_events, mapping_events);

/* === Faults === */

/*
 * The page is being read. Nobody may wait for that under mmap_lock the first time: it is let go,
 * and the fault comes again. The second time it is waited for, and the instruction faults again.
 */
static vm_fault_t mapping_wait(struct vm_fault *vmf, struct kmm_swapin *wait)
{
	vm_fault_t ret = VM_FAULT_RETRY;
	struct file *file;
	int err;

	if (fault_flag_allow_retry_first(vmf->flags)) {
		if (!(vmf->flags & FAULT_FLAG_RETRY_NOWAIT)) {
			/* The object stays, whatever becomes of the area. */
			file = get_file(vmf->vma->vm_file);
			kmm_release_fault_lock(vmf);
			kmm_swapin_wait(wait, vmf->pgoff);
			fput(file);
		}
	} else {
		err = kmm_swapin_wait(wait, vmf->pgoff);
		/* A killed process has no use for a signal. */
		ret = err && err != -EINTR ? VM_FAULT_SIGBUS : VM_FAULT_NOPAGE;
	}
	kmm_swapin_put(wait);
	return ret;
}

static vm_fault_t mapping_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct kmm_object *o = vma->vm_private_data;
	unsigned long addr = vmf->address & PAGE_MASK;
	struct page *pages[KMM_FAULT_AROUND];
	struct kmm_swapin *wait;
	unsigned int noio, max;
	unsigned long left;
	int nr, ret;

	this_cpu_inc(mapping_events.pgfault);
	max = KMM_FAULT_AROUND - (vmf->pgoff & (KMM_FAULT_AROUND - 1));
	max = min_t(unsigned long, max, (vma->vm_end - addr) >> PAGE_SHIFT);
	nr = kmm_object_lock_pages_nowait(o, vmf->pgoff, pages, max, &wait);
	if (unlikely(nr == -EINPROGRESS)) {
		this_cpu_inc(mapping_events.pgmajfault);
		return mapping_wait(vmf, wait);
	}
	if (unlikely(nr == -EINTR))
		return VM_FAULT_NOPAGE;
	if (unlikely(nr < 0))
		return VM_FAULT_SIGBUS;

	noio = memalloc_noio_save();
	left = nr;
	if (nr == 1)
		ret = vm_insert_page(vma, addr, pages[0]);
	else
		ret = vm_insert_pages(vma, addr, pages, &left);
	memalloc_noio_restore(noio);
	kmm_object_unlock(o);

	/* -EBUSY: somebody else has mapped it. Of the neighbours, what could be had is enough. */
	if (likely(!ret || ret == -EBUSY || left < nr))
		return VM_FAULT_NOPAGE;
	/* The host has no memory for a page table, this is its own business. */
	return ret == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

/**
 * kmm_mapping_vmstat() - The rows of vmstat on faults, as Linux names them.
 * @m: vmstat
 *
 * Context: any.
 */
void kmm_mapping_vmstat(struct seq_file *m)
{
	u64 fault = 0, major = 0;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		fault += READ_ONCE(per_cpu(mapping_events, cpu).pgfault);
		major += READ_ONCE(per_cpu(mapping_events, cpu).pgmajfault);
	}
	seq_printf(m, "pgfault %llu\n", fault);
	seq_printf(m, "pgmajfault %llu\n", major);
}

/* gdb and /proc/PID/mem; these cannot use get_user_pages() on VM_IO. */
static int mapping_access(struct vm_area_struct *vma, unsigned long addr, void *buf, int len,
			  int write)
{
	struct kmm_object *o = vma->vm_private_data;
	unsigned int offset = offset_in_page(addr);
	struct page *page;
	pgoff_t index;

	if (len <= 0 || addr < vma->vm_start || addr >= vma->vm_end)
		return -EFAULT;
	if (write && (vma->vm_flags & (VM_MAYWRITE | VM_MAYSHARE)) != (VM_MAYWRITE | VM_MAYSHARE))
		return -EACCES;
	len = min_t(unsigned long, len, PAGE_SIZE - offset);
	index = ((addr - vma->vm_start) >> PAGE_SHIFT) + vma->vm_pgoff;
	page = kmm_object_get_page(o, index, write);
	if (IS_ERR(page))
		return -EFAULT;
	if (!page) {
		memset(buf, 0, len);
		return len;
	}
	if (write)
		memcpy(page_address(page) + offset, buf, len);
	else
		memcpy(buf, page_address(page) + offset, len);
	put_page(page);
	return len;
}

static const struct vm_operations_struct mapping_vm_ops = {
	.fault = mapping_fault,
	.access = mapping_access,
};

/* === mmap === */

/* All pages of a LOCKED object that the area shows. It is not in i_mmap yet. */
static int mapping_prefault(struct kmm_object *o, struct vm_area_struct *vma)
{
	unsigned long addr = vma->vm_start;
	struct page *pages[KMM_FAULT_AROUND];

	while (addr < vma->vm_end) {
		pgoff_t index = vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
		unsigned int max = min_t(unsigned long, KMM_FAULT_AROUND,
					 (vma->vm_end - addr) >> PAGE_SHIFT);
		unsigned int noio;
		unsigned long nr;
		int ret, err;

		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		ret = kmm_object_lock_pages(o, index, pages, max);
		if (ret == -ENXIO)
			return 0;
		if (ret < 0)
			return ret;
		nr = ret;
		noio = memalloc_noio_save();
		err = vm_insert_pages(vma, addr, pages, &nr);
		memalloc_noio_restore(noio);
		kmm_object_unlock(o);
		if (err)
			return err;
		addr += (unsigned long)ret << PAGE_SHIFT;
	}
	return 0;
}

/**
 * kmm_mapping_mmap() - mmap(2) of an object's descriptor.
 * @file: descriptor
 * @vma: area
 *
 * Context: task, mmap_lock held for writing.
 * Return: 0; -EINVAL private and writable; -EPERM a write seal; -EFBIG behind everything that
 * an object can have; -ENOMEM; -EINTR killed.
 */
int kmm_mapping_mmap(struct file *file, struct vm_area_struct *vma)
{
	const pgoff_t max = KMM_OBJECT_SIZE_MAX >> PAGE_SHIFT;
	struct kmm_object *o = kmm_file_object(file);
	u32 seals = READ_ONCE(o->seals);

	if (vma->vm_pgoff >= max || vma_pages(vma) > max - vma->vm_pgoff)
		return -EFBIG;
	if (!(vma->vm_flags & (VM_MAYSHARE | VM_WRITE)))
		kmm_vm_flags_clear(vma, VM_MAYWRITE);
	if ((vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE)
		return -EINVAL;
	if (seals & (KMM_SEAL_WRITE | KMM_SEAL_FUTURE_WRITE)) {
		if (vma->vm_flags & VM_WRITE)
			return -EPERM;
		kmm_vm_flags_clear(vma, VM_MAYWRITE);
	}

	/*
	 * SEQ_READ has one meaning here: the host does not pass Accessed on to PG_referenced when
	 * it unmaps, where the bit would toggle with each mapping. Eviction reads it before.
	 */
	kmm_vm_flags_set(vma, VM_MIXEDMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP | VM_SEQ_READ);
	/* Accessed says that somebody used the page, not that a neighbour's fault mapped it. */
	vma->vm_page_prot = __pgprot(pgprot_val(vma->vm_page_prot) & ~_PAGE_ACCESSED);
	vma->vm_ops = &mapping_vm_ops;
	vma->vm_private_data = o;
	file_accessed(file);
	return o->flags & KMM_OBJECT_LOCKED ? mapping_prefault(o, vma) : 0;
}

/**
 * kmm_mapping_mmap_anonymous() - mmap(2) of /dev/kmm: a new object of the area's size.
 * @a: who pays
 * @vma: area
 *
 * Context: task, mmap_lock held for writing; the caller holds a pin of the file system.
 * Return: 0; -EINVAL not shared, or an offset; -EACCES the descriptor may not write; else as
 * kmm_file_create().
 */
int kmm_mapping_mmap_anonymous(struct kmm_account *a, struct vm_area_struct *vma)
{
	struct file *file;
	int err;

	if (!(vma->vm_flags & VM_MAYSHARE) || vma->vm_pgoff)
		return -EINVAL;
	if (!(vma->vm_flags & VM_SHARED))
		return -EACCES;
	file = kmm_file_create(a, vma->vm_end - vma->vm_start, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	err = kmm_mapping_mmap(file, vma);
	if (!err)
		vma_set_file(vma, file);
	fput(file);
	return err;
}

/* === For the object layer === */

static void mapping_unmap(struct kmm_object *o, pgoff_t first, unsigned long nr)
{
	const pgoff_t max = MAX_LFS_FILESIZE >> PAGE_SHIFT;

	/* One with a name may have no file at the moment, so nobody maps it. */
	if (!o->mapping)
		return;
	/* length 0 means to the end */
	unmap_mapping_range(o->mapping, (loff_t)first << PAGE_SHIFT,
			    nr > max - first ? 0 : (loff_t)nr << PAGE_SHIFT, 1);
}

/* The accessed bit of one entry. The area is in i_mmap, so its page tables stay. */
static bool mapping_pte_young(struct vm_area_struct *vma, unsigned long addr)
{
	struct mm_struct *mm = vma->vm_mm;
	bool young = false;
	pmd_t *pmd, pmdval;
	spinlock_t *ptl;	/* of the page table with addr */
	pgd_t *pgd;
	p4d_t *p4d;
	pud_t *pud;
	pte_t *pte;

	pgd = pgd_offset(mm, addr);
	if (!pgd_present(*pgd))
		return false;
	p4d = p4d_offset(pgd, addr);
	if (!p4d_present(*p4d))
		return false;
	pud = pud_offset(p4d, addr);
	if (!pud_present(*pud))
		return false;
	pmd = pmd_offset(pud, addr);

	rcu_read_lock();
	pmdval = READ_ONCE(*pmd);
	if (!pmd_present(pmdval) || pmd_trans_huge(pmdval))
		goto out;
	pte = pte_offset_kernel(&pmdval, addr);
	ptl = pte_lockptr(mm, &pmdval);
	spin_lock(ptl);
	/* Still the same table? Clearing the bit without a flush is what x86 does anyway. */
	if (pmd_val(pmdval) == pmd_val(READ_ONCE(*pmd)) && pte_present(*pte))
		young = test_and_clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)&pte->pte);
	spin_unlock(ptl);
out:
	rcu_read_unlock();
	return young;
}

static bool mapping_test_and_clear_young(struct kmm_object *o, pgoff_t index)
{
	struct address_space *mapping = o->mapping;
	bool young = false;
	struct rb_node *n;

	i_mmap_lock_read(mapping);
	/* The interval tree's own walk is not exported; areas of one object are few. */
	for (n = rb_first_cached(&mapping->i_mmap); n; n = rb_next(n)) {
		struct vm_area_struct *vma = rb_entry(n, struct vm_area_struct, shared.rb);

		if (index < vma->vm_pgoff || index - vma->vm_pgoff >= vma_pages(vma))
			continue;
		young |= mapping_pte_young(vma, vma->vm_start +
					   ((index - vma->vm_pgoff) << PAGE_SHIFT));
	}
	i_mmap_unlock_read(mapping);
	return young;
}

const struct kmm_mapping_ops kmm_mapping_ops = {
	.unmap = mapping_unmap,
	.test_and_clear_young = mapping_test_and_clear_young,
};
