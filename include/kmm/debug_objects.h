/* SPDX-License-Identifier: GPL-2.0-only */
/* Life cycles of caches, spaces, objects, queues and pipes. See debug/debug_objects.c. */
#ifndef _KMM_DEBUG_OBJECTS_H
#define _KMM_DEBUG_OBJECTS_H

#include <linux/jump_label.h>
#include <linux/types.h>

struct dentry;

/**
 * enum kmm_debug_type - what has a life cycle
 * @KMM_DEBUG_CACHE: struct kmm_cache
 * @KMM_DEBUG_SPACE: struct kmm_space
 * @KMM_DEBUG_OBJECT: struct kmm_object
 * @KMM_DEBUG_MSGQ: struct kmm_msgq
 * @KMM_DEBUG_PIPE: struct kmm_pipe
 * @KMM_DEBUG_TEST: a test's own
 * @KMM_NR_DEBUG_TYPES: how many there are
 */
enum kmm_debug_type {
	KMM_DEBUG_CACHE,
	KMM_DEBUG_SPACE,
	KMM_DEBUG_OBJECT,
	KMM_DEBUG_MSGQ,
	KMM_DEBUG_PIPE,
	KMM_DEBUG_TEST,
	KMM_NR_DEBUG_TYPES,
};

/**
 * struct kmm_debug_cache_ops - where the tracker's entries come from once there are caches
 * @alloc: one entry of KMM_DEBUG_ENTRY_BYTES, or NULL; may sleep
 * @free: one back
 * @ctx: for both
 *
 * Wired by kmm_main.c.
 */
struct kmm_debug_cache_ops {
	void *(*alloc)(void *ctx);
	void (*free)(void *ctx, void *entry);
	void *ctx;
};

/* Bytes of an entry. */
#define KMM_DEBUG_ENTRY_BYTES	64

/**
 * struct kmm_debug_stat - the counters
 * @max_chain: longest chain of a bucket
 * @warnings: reports, those that the rate limit kept out of the log included
 * @fixups: calls that were refused because of a report
 * @pool_free: static entries that are free
 * @pool_min_free: fewest that there were
 * @pool_used: objects that are tracked
 * @pool_max_used: most that there were
 * @allocated: entries taken from the cache
 * @freed: entries given back to it
 * @unknown: calls for objects that were made while tracking was off
 */
struct kmm_debug_stat {
	unsigned int max_chain;
	unsigned int warnings;
	unsigned int fixups;
	unsigned int pool_free;
	unsigned int pool_min_free;
	unsigned int pool_used;
	unsigned int pool_max_used;
	unsigned int allocated;
	unsigned int freed;
	unsigned int unknown;
};

DECLARE_STATIC_KEY_FALSE(kmm_debug_objects_key);

bool __kmm_debug_object_init(const void *addr, enum kmm_debug_type type);
bool __kmm_debug_object_activate(const void *addr, enum kmm_debug_type type);
bool __kmm_debug_object_destroy(const void *addr, enum kmm_debug_type type);
bool __kmm_debug_object_free(const void *addr, enum kmm_debug_type type);
bool __kmm_debug_object_assert_active(const void *addr, enum kmm_debug_type type);
bool __kmm_debug_object_use(const void *addr, enum kmm_debug_type type);
void __kmm_debug_object_unuse(const void *addr);
bool __kmm_debug_check_no_obj_freed(const void *addr, size_t size);

bool kmm_debug_objects_set(bool on);
void kmm_debug_objects_hold(void);
bool kmm_debug_objects_keep(const void *addr);
void kmm_debug_objects_release(void);
void kmm_debug_objects_setup(void);
bool kmm_debug_objects_mem_init(const struct kmm_debug_cache_ops *ops);
void kmm_debug_objects_mem_fini(void);
void kmm_debug_objects_teardown(void);
void kmm_debug_objects_stat(struct kmm_debug_stat *st);
void kmm_debug_objects_debugfs(struct dentry *dir);

static inline bool kmm_debug_objects_on(void)
{
	return static_branch_unlikely(&kmm_debug_objects_key);
}

/**
 * kmm_debug_object_init() - Memory for an object was got: its life begins.
 * @addr: the object
 * @type: its kind
 *
 * Context: task, may sleep. Return: false after a report: it is alive already.
 */
static inline bool kmm_debug_object_init(const void *addr, enum kmm_debug_type type)
{
	return !kmm_debug_objects_on() || __kmm_debug_object_init(addr, type);
}

/**
 * kmm_debug_object_activate() - It is complete and may be used.
 * @addr: the object
 * @type: its kind
 *
 * Context: any. Return: false after a report.
 */
static inline bool kmm_debug_object_activate(const void *addr, enum kmm_debug_type type)
{
	return !kmm_debug_objects_on() || __kmm_debug_object_activate(addr, type);
}

/**
 * kmm_debug_object_destroy() - It is about to be destroyed: nobody may use it any more.
 * @addr: the object; not looked at
 * @type: its kind
 *
 * Context: any. Return: false after a report, it is in use or not alive: leave it alone.
 */
static inline bool kmm_debug_object_destroy(const void *addr, enum kmm_debug_type type)
{
	return !kmm_debug_objects_on() || __kmm_debug_object_destroy(addr, type);
}

/**
 * kmm_debug_object_free() - Its memory is about to be freed.
 * @addr: the object
 * @type: its kind
 *
 * Context: any. Return: false after a report: it is in use.
 */
static inline bool kmm_debug_object_free(const void *addr, enum kmm_debug_type type)
{
	return !kmm_debug_objects_on() || __kmm_debug_object_free(addr, type);
}

/**
 * kmm_debug_object_assert_active() - A call is about to use it.
 * @addr: the object; not looked at
 * @type: its kind
 *
 * Context: any. Return: false after a report, it is not alive: leave it alone.
 */
static inline bool kmm_debug_object_assert_active(const void *addr, enum kmm_debug_type type)
{
	return !kmm_debug_objects_on() || __kmm_debug_object_assert_active(addr, type);
}

/**
 * kmm_debug_object_use() - A call begins to use it; kmm_debug_object_unuse() ends it.
 * @addr: the object; not looked at
 * @type: its kind
 *
 * Context: any. Return: false after a report, it is not alive: leave it alone.
 */
static inline bool kmm_debug_object_use(const void *addr, enum kmm_debug_type type)
{
	return !kmm_debug_objects_on() || __kmm_debug_object_use(addr, type);
}

/**
 * kmm_debug_object_unuse() - The call is over.
 * @addr: the object
 *
 * Context: any.
 */
static inline void kmm_debug_object_unuse(const void *addr)
{
	if (kmm_debug_objects_on())
		__kmm_debug_object_unuse(addr);
}

/**
 * kmm_debug_check_no_obj_freed() - Memory of any kind is about to be freed.
 * @addr: first byte
 * @size: bytes
 *
 * Context: any. Return: false after a report: an active object lies in it.
 */
static inline bool kmm_debug_check_no_obj_freed(const void *addr, size_t size)
{
	return !kmm_debug_objects_on() || __kmm_debug_check_no_obj_freed(addr, size);
}

#endif /* _KMM_DEBUG_OBJECTS_H */
