/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events kmm:*, with the names and fields of the kernel's kmem:* events, so that a
 * script needs only the other prefix. Those of the fast paths switch the path's static key.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kmm

#if !defined(_TRACE_KMM_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KMM_H

#include <linux/tracepoint.h>
#include <linux/types.h>
#include <trace/events/mmflags.h>

#include <kmm/paths.h>
#include <kmm/space.h>
#include <uapi/kmm.h>

TRACE_EVENT_FN(mm_page_alloc,

	TP_PROTO(struct page *page, unsigned int order, gfp_t gfp_flags, int migratetype),

	TP_ARGS(page, order, gfp_flags, migratetype),

	TP_STRUCT__entry(
		__field(unsigned long, pfn)
		__field(unsigned int, order)
		__field(unsigned long, gfp_flags)
		__field(int, migratetype)
	),

	TP_fast_assign(
		__entry->pfn = page ? page_to_pfn(page) : -1UL;
		__entry->order = order;
		__entry->gfp_flags = (__force unsigned long)gfp_flags;
		__entry->migratetype = migratetype;
	),

	TP_printk("page=%p pfn=0x%lx order=%d migratetype=%d gfp_flags=%s",
		  __entry->pfn != -1UL ? pfn_to_page(__entry->pfn) : NULL,
		  __entry->pfn != -1UL ? __entry->pfn : 0,
		  __entry->order, __entry->migratetype, show_gfp_flags(__entry->gfp_flags)),

	kmm_page_trace_reg, kmm_page_trace_unreg
);

TRACE_EVENT_FN(mm_page_free,

	TP_PROTO(struct page *page, unsigned int order),

	TP_ARGS(page, order),

	TP_STRUCT__entry(
		__field(unsigned long, pfn)
		__field(unsigned int, order)
	),

	TP_fast_assign(
		__entry->pfn = page_to_pfn(page);
		__entry->order = order;
	),

	TP_printk("page=%p pfn=0x%lx order=%d",
		  pfn_to_page(__entry->pfn), __entry->pfn, __entry->order),

	kmm_page_trace_reg, kmm_page_trace_unreg
);

DECLARE_EVENT_CLASS(mm_page,

	TP_PROTO(struct page *page, unsigned int order, int migratetype),

	TP_ARGS(page, order, migratetype),

	TP_STRUCT__entry(
		__field(unsigned long, pfn)
		__field(unsigned int, order)
		__field(int, migratetype)
	),

	TP_fast_assign(
		__entry->pfn = page_to_pfn(page);
		__entry->order = order;
		__entry->migratetype = migratetype;
	),

	TP_printk("page=%p pfn=0x%lx order=%u migratetype=%d",
		  pfn_to_page(__entry->pfn), __entry->pfn, __entry->order, __entry->migratetype)
);

/* A block leaves the free lists for a request or for a per-CPU cache. */
DEFINE_EVENT(mm_page, mm_page_alloc_zone_locked,
	TP_PROTO(struct page *page, unsigned int order, int migratetype),
	TP_ARGS(page, order, migratetype)
);

/* A block leaves a per-CPU cache for the free lists. */
DEFINE_EVENT(mm_page, mm_page_pcpu_drain,
	TP_PROTO(struct page *page, unsigned int order, int migratetype),
	TP_ARGS(page, order, migratetype)
);

TRACE_EVENT(mm_page_alloc_extfrag,

	TP_PROTO(struct page *page, int alloc_order, int fallback_order,
		 int alloc_migratetype, int fallback_migratetype, int change_ownership),

	TP_ARGS(page, alloc_order, fallback_order, alloc_migratetype, fallback_migratetype,
		change_ownership),

	TP_STRUCT__entry(
		__field(unsigned long, pfn)
		__field(int, alloc_order)
		__field(int, fallback_order)
		__field(int, alloc_migratetype)
		__field(int, fallback_migratetype)
		__field(int, change_ownership)
	),

	TP_fast_assign(
		__entry->pfn = page_to_pfn(page);
		__entry->alloc_order = alloc_order;
		__entry->fallback_order = fallback_order;
		__entry->alloc_migratetype = alloc_migratetype;
		__entry->fallback_migratetype = fallback_migratetype;
		__entry->change_ownership = change_ownership;
	),

	TP_printk("page=%p pfn=0x%lx alloc_order=%d fallback_order=%d alloc_migratetype=%d fallback_migratetype=%d change_ownership=%d",
		  pfn_to_page(__entry->pfn), __entry->pfn, __entry->alloc_order,
		  __entry->fallback_order, __entry->alloc_migratetype,
		  __entry->fallback_migratetype, __entry->change_ownership)
);

TRACE_EVENT_FN(kmem_cache_alloc,

	TP_PROTO(unsigned long call_site, const void *ptr, const char *name, size_t bytes_req,
		 size_t bytes_alloc, gfp_t gfp_flags),

	TP_ARGS(call_site, ptr, name, bytes_req, bytes_alloc, gfp_flags),

	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__field(size_t, bytes_req)
		__field(size_t, bytes_alloc)
		__field(unsigned long, gfp_flags)
		__array(char, name, 24)
	),

	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		__entry->bytes_req = bytes_req;
		__entry->bytes_alloc = bytes_alloc;
		__entry->gfp_flags = (__force unsigned long)gfp_flags;
		strscpy(__entry->name, name, sizeof(__entry->name));
	),

	TP_printk("call_site=%pS ptr=%p bytes_req=%zu bytes_alloc=%zu gfp_flags=%s name=%s",
		  (void *)__entry->call_site, __entry->ptr, __entry->bytes_req,
		  __entry->bytes_alloc, show_gfp_flags(__entry->gfp_flags), __entry->name),

	kmm_slab_trace_reg, kmm_slab_trace_unreg
);

TRACE_EVENT_FN(kmem_cache_free,

	TP_PROTO(unsigned long call_site, const void *ptr, const char *name),

	TP_ARGS(call_site, ptr, name),

	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__array(char, name, 24)
	),

	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		strscpy(__entry->name, name, sizeof(__entry->name));
	),

	TP_printk("call_site=%pS ptr=%p name=%s", (void *)__entry->call_site, __entry->ptr,
		  __entry->name),

	kmm_slab_trace_reg, kmm_slab_trace_unreg
);

TRACE_EVENT_FN(kmalloc,

	TP_PROTO(unsigned long call_site, const void *ptr, size_t bytes_req, size_t bytes_alloc,
		 gfp_t gfp_flags),

	TP_ARGS(call_site, ptr, bytes_req, bytes_alloc, gfp_flags),

	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
		__field(size_t, bytes_req)
		__field(size_t, bytes_alloc)
		__field(unsigned long, gfp_flags)
	),

	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
		__entry->bytes_req = bytes_req;
		__entry->bytes_alloc = bytes_alloc;
		__entry->gfp_flags = (__force unsigned long)gfp_flags;
	),

	TP_printk("call_site=%pS ptr=%p bytes_req=%zu bytes_alloc=%zu gfp_flags=%s",
		  (void *)__entry->call_site, __entry->ptr, __entry->bytes_req,
		  __entry->bytes_alloc, show_gfp_flags(__entry->gfp_flags)),

	kmm_slab_trace_reg, kmm_slab_trace_unreg
);

TRACE_EVENT_FN(kfree,

	TP_PROTO(unsigned long call_site, const void *ptr),

	TP_ARGS(call_site, ptr),

	TP_STRUCT__entry(
		__field(unsigned long, call_site)
		__field(const void *, ptr)
	),

	TP_fast_assign(
		__entry->call_site = call_site;
		__entry->ptr = ptr;
	),

	TP_printk("call_site=%pS ptr=%p", (void *)__entry->call_site, __entry->ptr),

	kmm_slab_trace_reg, kmm_slab_trace_unreg
);

DECLARE_EVENT_CLASS(kmm_pipe,

	TP_PROTO(u64 id, ssize_t ret, unsigned int bytes),

	TP_ARGS(id, ret, bytes),

	TP_STRUCT__entry(
		__field(u64, id)
		__field(ssize_t, ret)
		__field(unsigned int, bytes)
	),

	TP_fast_assign(
		__entry->id = id;
		__entry->ret = ret;
		__entry->bytes = bytes;
	),

	TP_printk("id=%llu ret=%zd bytes=%u", __entry->id, __entry->ret, __entry->bytes)
);

/* What write(2) or read(2) returned, and what is in the pipe after it. */
DEFINE_EVENT(kmm_pipe, pipe_write,
	TP_PROTO(u64 id, ssize_t ret, unsigned int bytes),
	TP_ARGS(id, ret, bytes));

DEFINE_EVENT(kmm_pipe, pipe_read,
	TP_PROTO(u64 id, ssize_t ret, unsigned int bytes),
	TP_ARGS(id, ret, bytes));

TRACE_EVENT(alloc_vmap_area,

	TP_PROTO(unsigned long addr, unsigned long size, unsigned long align,
		 unsigned long vstart, unsigned long vend, int failed),

	TP_ARGS(addr, size, align, vstart, vend, failed),

	TP_STRUCT__entry(
		__field(unsigned long, addr)
		__field(unsigned long, size)
		__field(unsigned long, align)
		__field(unsigned long, vstart)
		__field(unsigned long, vend)
		__field(int, failed)
	),

	TP_fast_assign(
		__entry->addr = addr;
		__entry->size = size;
		__entry->align = align;
		__entry->vstart = vstart;
		__entry->vend = vend;
		__entry->failed = failed;
	),

	TP_printk("va_start: %lu size=%lu align=%lu vstart=0x%lx vend=0x%lx failed=%d",
		  __entry->addr, __entry->size, __entry->align, __entry->vstart, __entry->vend,
		  __entry->failed)
);

TRACE_EVENT(purge_vmap_area_lazy,

	TP_PROTO(unsigned long start, unsigned long end, unsigned int npurged),

	TP_ARGS(start, end, npurged),

	TP_STRUCT__entry(
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(unsigned int, npurged)
	),

	TP_fast_assign(
		__entry->start = start;
		__entry->end = end;
		__entry->npurged = npurged;
	),

	TP_printk("start=0x%lx end=0x%lx num_purged=%u", __entry->start, __entry->end,
		  __entry->npurged)
);

TRACE_EVENT(free_vmap_area_noflush,

	TP_PROTO(unsigned long va_start, unsigned long nr_lazy, unsigned long nr_lazy_max),

	TP_ARGS(va_start, nr_lazy, nr_lazy_max),

	TP_STRUCT__entry(
		__field(unsigned long, va_start)
		__field(unsigned long, nr_lazy)
		__field(unsigned long, nr_lazy_max)
	),

	TP_fast_assign(
		__entry->va_start = va_start;
		__entry->nr_lazy = nr_lazy;
		__entry->nr_lazy_max = nr_lazy_max;
	),

	TP_printk("va_start=0x%lx nr_lazy=%lu nr_lazy_max=%lu", __entry->va_start,
		  __entry->nr_lazy, __entry->nr_lazy_max)
);

TRACE_EVENT(space_map,

	TP_PROTO(u64 space, unsigned long start, unsigned long end, u32 prot, u32 flags),

	TP_ARGS(space, start, end, prot, flags),

	TP_STRUCT__entry(
		__field(u64, space)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(u32, prot)
		__field(u32, flags)
	),

	TP_fast_assign(
		__entry->space = space;
		__entry->start = start;
		__entry->end = end;
		__entry->prot = prot;
		__entry->flags = flags;
	),

	TP_printk("space=%llu start=0x%lx end=0x%lx prot=%s flags=%s", __entry->space,
		  __entry->start, __entry->end,
		  __print_flags(__entry->prot, "|", { KMM_PROT_READ, "r" },
				{ KMM_PROT_WRITE, "w" }, { KMM_PROT_EXEC, "x" }),
		  __print_flags(__entry->flags, "|", { KMM_MAP_SHARED, "shared" },
				{ KMM_MAP_PRIVATE, "private" }, { KMM_MAP_GUARD, "guard" },
				{ KMM_MAP_HUGE, "huge" }))
);

TRACE_EVENT(space_unmap,

	TP_PROTO(u64 space, unsigned long start, unsigned long end),

	TP_ARGS(space, start, end),

	TP_STRUCT__entry(
		__field(u64, space)
		__field(unsigned long, start)
		__field(unsigned long, end)
	),

	TP_fast_assign(
		__entry->space = space;
		__entry->start = start;
		__entry->end = end;
	),

	TP_printk("space=%llu start=0x%lx end=0x%lx", __entry->space, __entry->start,
		  __entry->end)
);

TRACE_EVENT(space_fault,

	TP_PROTO(u64 space, unsigned long addr, u32 code, u32 rule, int error),

	TP_ARGS(space, addr, code, rule, error),

	TP_STRUCT__entry(
		__field(u64, space)
		__field(unsigned long, addr)
		__field(u32, code)
		__field(u32, rule)
		__field(int, error)
	),

	TP_fast_assign(
		__entry->space = space;
		__entry->addr = addr;
		__entry->code = code;
		__entry->rule = rule;
		__entry->error = error;
	),

	TP_printk("space=%llu addr=0x%lx code=%s rule=%u error=%d", __entry->space, __entry->addr,
		  __print_flags(__entry->code, "|", { KMM_PF_PRESENT, "present" },
				{ KMM_PF_WRITE, "write" }, { KMM_PF_USER, "user" },
				{ KMM_PF_RSVD, "reserved" }, { KMM_PF_INSTR, "fetch" }),
		  __entry->rule, __entry->error)
);

TRACE_EVENT(space_cow,

	TP_PROTO(u64 space, unsigned long addr, unsigned long old_pfn, unsigned long new_pfn),

	TP_ARGS(space, addr, old_pfn, new_pfn),

	TP_STRUCT__entry(
		__field(u64, space)
		__field(unsigned long, addr)
		__field(unsigned long, old_pfn)
		__field(unsigned long, new_pfn)
	),

	TP_fast_assign(
		__entry->space = space;
		__entry->addr = addr;
		__entry->old_pfn = old_pfn;
		__entry->new_pfn = new_pfn;
	),

	TP_printk("space=%llu addr=0x%lx old_pfn=0x%lx new_pfn=0x%lx", __entry->space,
		  __entry->addr, __entry->old_pfn, __entry->new_pfn)
);

/* A memory object becomes a dma-buf, or a dma-buf an object's descriptor. */
DECLARE_EVENT_CLASS(object_dmabuf,

	TP_PROTO(u64 id, u64 size_bytes, bool write),

	TP_ARGS(id, size_bytes, write),

	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, size_bytes)
		__field(bool, write)
	),

	TP_fast_assign(
		__entry->id = id;
		__entry->size_bytes = size_bytes;
		__entry->write = write;
	),

	TP_printk("id=%llu size=%llu %s", __entry->id, __entry->size_bytes,
		  __entry->write ? "read-write" : "read-only")
);

DEFINE_EVENT(object_dmabuf, object_export,
	TP_PROTO(u64 id, u64 size_bytes, bool write),
	TP_ARGS(id, size_bytes, write)
);

DEFINE_EVENT(object_dmabuf, object_import,
	TP_PROTO(u64 id, u64 size_bytes, bool write),
	TP_ARGS(id, size_bytes, write)
);

/* An access at an address of a space is over. */
TRACE_EVENT(mmu_access,

	TP_PROTO(u64 space, const struct kmm_access *a),

	TP_ARGS(space, a),

	TP_STRUCT__entry(
		__field(u64, space)
		__field(u64, addr)
		__field(size_t, len)
		__field(size_t, done)
		__field(u64, fault_addr)
		__field(u32, op)
		__field(u32, path)
		__field(u32, faults)
		__field(u32, fault_code)
		__field(u32, fault_rule)
	),

	TP_fast_assign(
		__entry->space = space;
		__entry->addr = a->addr;
		__entry->len = a->len;
		__entry->done = a->done;
		__entry->fault_addr = a->fault.addr;
		__entry->op = a->op;
		__entry->path = a->path;
		__entry->faults = a->faults;
		__entry->fault_code = a->fault.code;
		__entry->fault_rule = a->fault.rule;
	),

	TP_printk("space=%llu op=%s path=%s addr=0x%llx len=%zu done=%zu faults=%u fault_addr=0x%llx fault_code=0x%x fault_rule=%u",
		  __entry->space,
		  __print_symbolic(__entry->op, { KMM_ACCESS_READ, "read" },
				   { KMM_ACCESS_WRITE, "write" }, { KMM_ACCESS_FETCH, "fetch" }),
		  __entry->path == KMM_PATH_HARDWARE ? "hardware" : "software",
		  __entry->addr, __entry->len, __entry->done, __entry->faults,
		  __entry->fault_addr, __entry->fault_code, __entry->fault_rule)
);

/* Pages that went from one object to another; nr_pages includes holes. */
TRACE_EVENT(object_gift,

	TP_PROTO(u64 src, unsigned long src_first, u64 dst, unsigned long dst_first,
		 unsigned long nr_pages, unsigned long moved, unsigned long copied),

	TP_ARGS(src, src_first, dst, dst_first, nr_pages, moved, copied),

	TP_STRUCT__entry(
		__field(u64, src)
		__field(unsigned long, src_first)
		__field(u64, dst)
		__field(unsigned long, dst_first)
		__field(unsigned long, nr_pages)
		__field(unsigned long, moved)
		__field(unsigned long, copied)
	),

	TP_fast_assign(
		__entry->src = src;
		__entry->src_first = src_first;
		__entry->dst = dst;
		__entry->dst_first = dst_first;
		__entry->nr_pages = nr_pages;
		__entry->moved = moved;
		__entry->copied = copied;
	),

	TP_printk("src=%llu src_first=%lu dst=%llu dst_first=%lu nr_pages=%lu moved=%lu copied=%lu",
		  __entry->src, __entry->src_first, __entry->dst, __entry->dst_first,
		  __entry->nr_pages, __entry->moved, __entry->copied)
);

DECLARE_EVENT_CLASS(kmm_name,

	TP_PROTO(unsigned int kind, u64 id),

	TP_ARGS(kind, id),

	TP_STRUCT__entry(
		__field(unsigned int, kind)
		__field(u64, id)
	),

	TP_fast_assign(
		__entry->kind = kind;
		__entry->id = id;
	),

	TP_printk("kind=%s id=%llu", __print_symbolic(__entry->kind, { 0, "shm" }, { 1, "msgq" }),
		  __entry->id)
);

/* A scan for leaks is over. bytes: that it read; leaks: new ones. */
TRACE_EVENT(kmemleak_scan,

	TP_PROTO(unsigned long objects, u64 bytes, u64 ns, unsigned long leaks),

	TP_ARGS(objects, bytes, ns, leaks),

	TP_STRUCT__entry(
		__field(unsigned long, objects)
		__field(u64, bytes)
		__field(u64, ns)
		__field(unsigned long, leaks)
	),

	TP_fast_assign(
		__entry->objects = objects;
		__entry->bytes = bytes;
		__entry->ns = ns;
		__entry->leaks = leaks;
	),

	TP_printk("objects=%lu bytes=%llu ns=%llu leaks=%lu", __entry->objects, __entry->bytes,
		  __entry->ns, __entry->leaks)
);

/* A name came or went; id is that of what it names. */
DEFINE_EVENT(kmm_name, name_add,
	TP_PROTO(unsigned int kind, u64 id),
	TP_ARGS(kind, id));

DEFINE_EVENT(kmm_name, name_unlink,
	TP_PROTO(unsigned int kind, u64 id),
	TP_ARGS(kind, id));

DECLARE_EVENT_CLASS(msgq,

	TP_PROTO(u64 id, unsigned int prio, unsigned int size_bytes, unsigned int nr_pages),

	TP_ARGS(id, prio, size_bytes, nr_pages),

	TP_STRUCT__entry(
		__field(u64, id)
		__field(unsigned int, prio)
		__field(unsigned int, size_bytes)
		__field(unsigned int, nr_pages)
	),

	TP_fast_assign(
		__entry->id = id;
		__entry->prio = prio;
		__entry->size_bytes = size_bytes;
		__entry->nr_pages = nr_pages;
	),

	TP_printk("id=%llu prio=%u size_bytes=%u nr_pages=%u",
		  __entry->id, __entry->prio, __entry->size_bytes, __entry->nr_pages)
);

/* A message is ready to go into queue @id; it may have to wait for a place, or not get it. */
DEFINE_EVENT(msgq, msgq_send,
	TP_PROTO(u64 id, unsigned int prio, unsigned int size_bytes, unsigned int nr_pages),
	TP_ARGS(id, prio, size_bytes, nr_pages)
);

/* A message was taken out. nr_pages: frames that it is in; 0: in an object of the slab. */
DEFINE_EVENT(msgq, msgq_receive,
	TP_PROTO(u64 id, unsigned int prio, unsigned int size_bytes, unsigned int nr_pages),
	TP_ARGS(id, prio, size_bytes, nr_pages)
);

/* A page could not be written, or not be read, or was not what was written (-EBADMSG). */
TRACE_EVENT(swap_error,

	TP_PROTO(unsigned int area, unsigned int slot, bool write, int err),

	TP_ARGS(area, slot, write, err),

	TP_STRUCT__entry(
		__field(unsigned int, area)
		__field(unsigned int, slot)
		__field(bool, write)
		__field(int, err)
	),

	TP_fast_assign(
		__entry->area = area;
		__entry->slot = slot;
		__entry->write = write;
		__entry->err = err;
	),

	TP_printk("area=%u slot=%u %s err=%d", __entry->area, __entry->slot,
		  __entry->write ? "write" : "read", __entry->err)
);

/* === Reclaim: the names and fields of the kernel's vmscan events === */

TRACE_EVENT(mm_vmscan_kswapd_wake,

	TP_PROTO(unsigned long nr_free),

	TP_ARGS(nr_free),

	TP_STRUCT__entry(
		__field(int, nid)
		__field(int, zid)
		__field(int, order)
		__field(unsigned long, nr_free)
	),

	TP_fast_assign(
		__entry->nid = 0;
		__entry->zid = 0;
		__entry->order = 0;
		__entry->nr_free = nr_free;
	),

	TP_printk("nid=%d order=%d nr_free=%lu", __entry->nid, __entry->order, __entry->nr_free)
);

TRACE_EVENT(mm_vmscan_kswapd_sleep,

	TP_PROTO(unsigned long nr_free),

	TP_ARGS(nr_free),

	TP_STRUCT__entry(
		__field(int, nid)
		__field(unsigned long, nr_free)
	),

	TP_fast_assign(
		__entry->nid = 0;
		__entry->nr_free = nr_free;
	),

	TP_printk("nid=%d nr_free=%lu", __entry->nid, __entry->nr_free)
);

TRACE_EVENT(mm_vmscan_direct_reclaim_begin,

	TP_PROTO(int order, gfp_t gfp_flags),

	TP_ARGS(order, gfp_flags),

	TP_STRUCT__entry(
		__field(int, order)
		__field(unsigned long, gfp_flags)
	),

	TP_fast_assign(
		__entry->order = order;
		__entry->gfp_flags = (__force unsigned long)gfp_flags;
	),

	TP_printk("order=%d gfp_flags=%s", __entry->order, show_gfp_flags(__entry->gfp_flags))
);

TRACE_EVENT(mm_vmscan_direct_reclaim_end,

	TP_PROTO(unsigned long nr_reclaimed),

	TP_ARGS(nr_reclaimed),

	TP_STRUCT__entry(
		__field(unsigned long, nr_reclaimed)
	),

	TP_fast_assign(
		__entry->nr_reclaimed = nr_reclaimed;
	),

	TP_printk("nr_reclaimed=%lu", __entry->nr_reclaimed)
);

/* What the kernel's reclaim_flags say of such pages: RECLAIM_WB_ANON | RECLAIM_WB_ASYNC. */
#ifndef KMM_RECLAIM_FLAGS
#define KMM_RECLAIM_FLAGS	0x9
#endif

/*
 * A round of eviction. The kernel's fields in the kernel's order: nr_activate0 are candidates that
 * were used and stay, nr_unmap_fail those that are pinned; 0 is what kmm has nothing of.
 * Behind them @direct: 0 the background thread, 1 an allocation, a limit or advice.
 */
TRACE_EVENT(mm_vmscan_lru_shrink_inactive,

	TP_PROTO(unsigned long nr_scanned, unsigned long nr_reclaimed, unsigned long nr_dirty,
		 unsigned int nr_activate, unsigned long nr_pinned, int direct),

	TP_ARGS(nr_scanned, nr_reclaimed, nr_dirty, nr_activate, nr_pinned, direct),

	TP_STRUCT__entry(
		__field(int, nid)
		__field(unsigned long, nr_scanned)
		__field(unsigned long, nr_reclaimed)
		__field(unsigned long, nr_dirty)
		__field(unsigned long, nr_writeback)
		__field(unsigned long, nr_congested)
		__field(unsigned long, nr_immediate)
		__field(unsigned int, nr_activate0)
		__field(unsigned int, nr_activate1)
		__field(unsigned long, nr_ref_keep)
		__field(unsigned long, nr_unmap_fail)
		__field(int, priority)
		__field(int, reclaim_flags)
		__field(int, direct)
	),

	TP_fast_assign(
		__entry->nid = 0;
		__entry->nr_scanned = nr_scanned;
		__entry->nr_reclaimed = nr_reclaimed;
		__entry->nr_dirty = nr_dirty;
		__entry->nr_writeback = 0;
		__entry->nr_congested = 0;
		__entry->nr_immediate = 0;
		__entry->nr_activate0 = nr_activate;
		__entry->nr_activate1 = 0;
		__entry->nr_ref_keep = 0;
		__entry->nr_unmap_fail = nr_pinned;
		__entry->priority = 0;
		__entry->reclaim_flags = KMM_RECLAIM_FLAGS;
		__entry->direct = direct;
	),

	TP_printk("nid=%d nr_scanned=%ld nr_reclaimed=%ld nr_dirty=%ld nr_writeback=%ld nr_congested=%ld nr_immediate=%ld nr_activate_anon=%d nr_activate_file=%d nr_ref_keep=%ld nr_unmap_fail=%ld priority=%d flags=RECLAIM_WB_ANON|RECLAIM_WB_ASYNC direct=%d",
		  __entry->nid, __entry->nr_scanned, __entry->nr_reclaimed, __entry->nr_dirty,
		  __entry->nr_writeback, __entry->nr_congested, __entry->nr_immediate,
		  __entry->nr_activate0, __entry->nr_activate1, __entry->nr_ref_keep,
		  __entry->nr_unmap_fail, __entry->priority, __entry->direct)
);

TRACE_EVENT(mm_vmscan_write_folio,

	TP_PROTO(struct page *page, u64 swp),

	TP_ARGS(page, swp),

	TP_STRUCT__entry(
		__field(unsigned long, pfn)
		__field(int, reclaim_flags)
		__field(u64, swp)
	),

	TP_fast_assign(
		__entry->pfn = page_to_pfn(page);
		__entry->reclaim_flags = KMM_RECLAIM_FLAGS;
		__entry->swp = swp;
	),

	TP_printk("page=%p pfn=0x%lx flags=RECLAIM_WB_ANON|RECLAIM_WB_ASYNC swp=%#llx",
		  pfn_to_page(__entry->pfn), __entry->pfn, __entry->swp)
);

/* A victim. @swp: where it is now; 0: it was never written and is a hole again */
TRACE_EVENT(evict_page,

	TP_PROTO(u64 id, unsigned long index, unsigned long pfn, u64 swp, int direct),

	TP_ARGS(id, index, pfn, swp, direct),

	TP_STRUCT__entry(
		__field(u64, id)
		__field(unsigned long, index)
		__field(unsigned long, pfn)
		__field(u64, swp)
		__field(int, direct)
	),

	TP_fast_assign(
		__entry->id = id;
		__entry->index = index;
		__entry->pfn = pfn;
		__entry->swp = swp;
		__entry->direct = direct;
	),

	TP_printk("object=%llu index=%lu pfn=0x%lx swp=%#llx direct=%d", __entry->id,
		  __entry->index, __entry->pfn, __entry->swp, __entry->direct)
);

TRACE_EVENT(swapin_error,

	TP_PROTO(u64 id, unsigned long index, int error),

	TP_ARGS(id, index, error),

	TP_STRUCT__entry(
		__field(u64, id)
		__field(unsigned long, index)
		__field(int, error)
	),

	TP_fast_assign(
		__entry->id = id;
		__entry->index = index;
		__entry->error = error;
	),

	TP_printk("object=%llu index=%lu error=%d", __entry->id, __entry->index, __entry->error)
);

#endif /* _TRACE_KMM_H */

#include <trace/define_trace.h>
