/* SPDX-License-Identifier: GPL-2.0-only */
/* The front: /dev/kmm, descriptors of objects, mappings, debugfs. See dev/. */
#ifndef _KMM_DEV_H
#define _KMM_DEV_H

#include <linux/types.h>

#include <uapi/kmm.h>

struct kmm_account;
struct kmm_accounts;
struct kmm_buddy;
struct kmm_object;
struct kmm_object_set;
struct kmm_region;
struct file;
struct seq_file;
struct vm_area_struct;

/**
 * struct kmm_mm_init_step - what debugfs mm_init tells of one step
 * @name: the kernel's name of the step
 * @result: one line without newline
 * @ns: time it took
 * @bytes: memory it took, region or host
 */
struct kmm_mm_init_step {
	const char *name;
	char result[64];
	u64 ns;
	u64 bytes;
};

/**
 * struct kmm_dev_env - what the front works on; kmm_main.c fills it
 * @region: the region
 * @buddy: its allocator
 * @accounts: who pays
 * @objects: memory objects
 * @steps: of mm_init, in order
 * @nr_steps: how many
 * @max_slots: slots of one open file, at most
 * @lab: loaded with lab=1
 *
 * Immutable while the module is loaded.
 */
struct kmm_dev_env {
	struct kmm_region *region;
	struct kmm_buddy *buddy;
	struct kmm_accounts *accounts;
	struct kmm_object_set *objects;
	const struct kmm_mm_init_step *steps;
	unsigned int nr_steps;
	unsigned int max_slots;
	bool lab;
};

/* Slots of one open file: a table of 1 MiB of host memory when all are used. */
#define KMM_DEFAULT_MAX_SLOTS	65536
/* A slot number is 32 bits; the table is an array of two levels with 512 entries below. */
#define KMM_MAX_MAX_SLOTS	(1U << 24)

/* dev/chardev.c; kmm_main.c calls these two and nothing else of dev/ */
int kmm_dev_init(const struct kmm_dev_env *env);
void kmm_dev_fini(void);

#endif /* _KMM_DEV_H */
