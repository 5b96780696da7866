/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints evaluate their arguments and do nothing. */
#ifndef _HARNESS_TRACE_KMM_H
#define _HARNESS_TRACE_KMM_H

static inline void harness_trace(int unused, ...) { (void)unused; }
#define trace_mm_page_alloc(...)		harness_trace(0, __VA_ARGS__)
#define trace_mm_page_free(...)			harness_trace(0, __VA_ARGS__)
#define trace_mm_page_free_batched(...)		harness_trace(0, __VA_ARGS__)
#define trace_mm_page_alloc_zone_locked(...)	harness_trace(0, __VA_ARGS__)
#define trace_mm_page_pcpu_drain(...)		harness_trace(0, __VA_ARGS__)
#define trace_mm_page_alloc_extfrag(...)	harness_trace(0, __VA_ARGS__)
#define tracepoint_enabled(name)		0
#define trace_kmalloc(...)			harness_trace(0, __VA_ARGS__)
#define trace_kfree(...)			harness_trace(0, __VA_ARGS__)
#define trace_kmem_cache_alloc(...)		harness_trace(0, __VA_ARGS__)
#define trace_kmem_cache_free(...)		harness_trace(0, __VA_ARGS__)

#endif /* _HARNESS_TRACE_KMM_H */
