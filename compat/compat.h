/* SPDX-License-Identifier: GPL-2.0-only */
/* The only place where a kernel version may be named. */
#ifndef _KMM_COMPAT_H
#define _KMM_COMPAT_H

#include <linux/export.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/version.h>

#ifdef CONFIG_PREEMPT_RT
#error "kmm takes spinlocks with interrupts off: PREEMPT_RT is not supported"
#endif

/* vm_flags became read-only with setters in 6.3. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void kmm_vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}

static inline void kmm_vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags &= ~flags;
}
#else
#define kmm_vm_flags_set(vma, flags)	vm_flags_set(vma, flags)
#define kmm_vm_flags_clear(vma, flags)	vm_flags_clear(vma, flags)
#endif

/* A fault may have mmap_lock or, from 6.4 on, only its area's lock. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define kmm_release_fault_lock(vmf)	mmap_read_unlock((vmf)->vma->vm_mm)
#else
#define kmm_release_fault_lock(vmf)	release_fault_lock(vmf)
#endif

/* What setattr and friends take first: a user namespace until 6.2, an idmap from 6.3. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define kmm_idmap	user_namespace
#else
#define kmm_idmap	mnt_idmap
#endif

/* generic_fillattr() learned the request mask in 6.6. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define kmm_generic_fillattr(idmap, mask, inode, stat) generic_fillattr(idmap, inode, stat)
#else
#define kmm_generic_fillattr(idmap, mask, inode, stat) generic_fillattr(idmap, mask, inode, stat)
#endif

/* Read into a pipe of the host by copy: generic_file_splice_read() until 6.4. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define kmm_copy_splice_read	generic_file_splice_read
#else
#define kmm_copy_splice_read	copy_splice_read
#endif

/* alloc_contig_range(): migrate type until 6.16, flags from 6.17. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define kmm_host_alloc_contig_range(start, end, gfp) \
	alloc_contig_range(start, end, MIGRATE_MOVABLE, gfp)
#else
#define kmm_host_alloc_contig_range(start, end, gfp) \
	alloc_contig_range(start, end, ACR_FLAGS_NONE, gfp)
#endif

/* This CPU's whole TLB, global entries too. __flush_tlb_all() is exported until 6.16. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define kmm_host_flush_tlb_local()	__flush_tlb_all()
#else
#define kmm_host_flush_tlb_local()						\
do {										\
	unsigned long __flags, __cr4;						\
										\
	if (boot_cpu_has(X86_FEATURE_INVPCID)) {				\
		invpcid_flush_all();						\
		break;								\
	}									\
	local_irq_save(__flags);						\
	__cr4 = native_read_cr4();						\
	asm volatile("mov %0, %%cr4" : : "r" (__cr4 ^ X86_CR4_PGE) : "memory");	\
	asm volatile("mov %0, %%cr4" : : "r" (__cr4) : "memory");		\
	local_irq_restore(__flags);						\
} while (0)
#endif

/* Namespaces of exported symbols: an identifier until 6.12, a string from 6.13. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define KMM_IMPORT_INTERNAL()	MODULE_IMPORT_NS(KMM_INTERNAL)
#define KMM_IMPORT_DMA_BUF()	MODULE_IMPORT_NS(DMA_BUF)
#define KMM_EXPORT_INTERNAL(s)	EXPORT_SYMBOL_NS_GPL(s, KMM_INTERNAL)
#else
#define KMM_IMPORT_INTERNAL()	MODULE_IMPORT_NS("KMM_INTERNAL")
#define KMM_IMPORT_DMA_BUF()	MODULE_IMPORT_NS("DMA_BUF")
#define KMM_EXPORT_INTERNAL(s)	EXPORT_SYMBOL_NS_GPL(s, "KMM_INTERNAL")
#endif

/* From 6.2 importers hold the dma-buf's reservation lock, or call the _unlocked functions. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define kmm_dma_buf_map_attachment	dma_buf_map_attachment
#define kmm_dma_buf_unmap_attachment	dma_buf_unmap_attachment
#define kmm_dma_buf_vmap		dma_buf_vmap
#define kmm_dma_buf_vunmap		dma_buf_vunmap
#else
#define kmm_dma_buf_map_attachment	dma_buf_map_attachment_unlocked
#define kmm_dma_buf_unmap_attachment	dma_buf_unmap_attachment_unlocked
#define kmm_dma_buf_vmap		dma_buf_vmap_unlocked
#define kmm_dma_buf_vunmap		dma_buf_vunmap_unlocked
#endif

/*
 * A block device for one holder alone: a struct block_device until 6.6, a file from 6.9 (what is in
 * between, 6.7 and 6.8, is not served). kmm_host_bdev_t is what closes it again.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define kmm_host_bdev_t			struct block_device *
#define kmm_host_bdev_open(dev, holder)	\
	blkdev_get_by_dev(dev, FMODE_READ | FMODE_WRITE | FMODE_EXCL, holder)
#define kmm_host_bdev(handle)		(handle)
#define kmm_host_bdev_close(handle, holder)	\
	blkdev_put(handle, FMODE_READ | FMODE_WRITE | FMODE_EXCL)
#elif LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
#define kmm_host_bdev_t			struct block_device *
#define kmm_host_bdev_open(dev, holder)	\
	blkdev_get_by_dev(dev, BLK_OPEN_READ | BLK_OPEN_WRITE, holder, NULL)
#define kmm_host_bdev(handle)		(handle)
#define kmm_host_bdev_close(handle, holder)	blkdev_put(handle, holder)
#else
#define kmm_host_bdev_t			struct file *
#define kmm_host_bdev_open(dev, holder)	\
	bdev_file_open_by_dev(dev, BLK_OPEN_READ | BLK_OPEN_WRITE, holder, NULL)
#define kmm_host_bdev(handle)		file_bdev(handle)
#define kmm_host_bdev_close(handle, holder)	fput(handle)
#endif

/* vfs_iter_write() starts and ends the write itself from 6.8. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define kmm_host_file_start_write(file)	file_start_write(file)
#define kmm_host_file_end_write(file)	file_end_write(file)
#else
#define kmm_host_file_start_write(file)	do { } while (0)
#define kmm_host_file_end_write(file)	do { } while (0)
#endif

/*
 * KASAN of the host, exported but declared in mm/kasan/kasan.h only. kasan_unpoison() is not
 * exported: poison 0 is the same. The values are those of that header.
 */
#ifdef CONFIG_KASAN_GENERIC
#define KMM_HOST_FREE_PAGE	0xff
#define KMM_HOST_FREE_OBJECT	0xfb
void kasan_poison(const void *addr, size_t size, u8 value, bool init);
#define kmm_host_poison(addr, size, value)	kasan_poison(addr, size, value, false)
#else
#define KMM_HOST_FREE_PAGE	0
#define KMM_HOST_FREE_OBJECT	0
#define kmm_host_poison(addr, size, value)	do { } while (0)
#endif

/* A local variable that CONFIG_INIT_STACK_ALL_ZERO need not fill; what is read is set by hand. */
#if __has_attribute(__uninitialized__)
#define kmm_uninitialized	__attribute__((__uninitialized__))
#else
#define kmm_uninitialized
#endif

/*
 * Add 1 to a byte of this CPU and tell whether it is 0 now: x86 does both at once, the generic
 * raw_cpu_inc_return() takes four instructions. A compiler barrier.
 */
#ifndef kmm_raw_cpu_incb_and_test	/* tools/harness has its own */
#define kmm_raw_cpu_incb_and_test(var)						\
({										\
	bool __zero;								\
										\
	asm volatile("incb " __percpu_arg([v]) CC_SET(z)			\
		     : [v] "+m" (var), CC_OUT(z) (__zero) : : "memory");	\
	__zero;									\
})
#endif

#endif /* _KMM_COMPAT_H */
