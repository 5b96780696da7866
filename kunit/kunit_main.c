// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: kmm_kunit.ko
 *
 * The KUnit suites listed in kmm_suites below. They run when the module is loaded (kmm.ko must
 * be there) and print KTAP to the kernel log; insmod returns 0 whether they pass or not, so
 * read the log:
 *
 *	insmod kmm.ko && insmod kmm_kunit.ko && dmesg
 *
 * Nearly all cases work on private instances over a fake region, beside the module's own.
 *
 * Parameters
 *	seed	of the random cases; 0: from the clock. It is printed, and given again it
 *		repeats the run
 *	ops	operations of a random case; 1 million in make soak
 *	switches	of CR3, on each CPU
 *	nmis	that tools/vm/run --nmi sends
 *	suite	run this one only
 *	kasan	plant a use after free that the host's KASAN reports; it switches lockdep off
 *	stray	no suites: a real access to the guarded pool that is a bug, out-of-bounds or
 *		use-after-free; it kills insmod, and the machine should be started again
 *
 * The suites are not registered with kunit_test_suites(): on 6.1 these run before the
 * module's parameters are parsed.
 */

#include <linux/ktime.h>
#include <linux/module.h>

#include <kunit/test.h>

#include <compat/compat.h>

#include "helpers.h"

unsigned long kmm_test_seed;
module_param_named(seed, kmm_test_seed, ulong, 0444);
MODULE_PARM_DESC(seed, "of the random cases; 0: from the clock");

unsigned long kmm_test_nr_ops = 50000;
module_param_named(ops, kmm_test_nr_ops, ulong, 0444);
MODULE_PARM_DESC(ops, "operations of a random case");

unsigned long kmm_test_nr_switches = 3000;
module_param_named(switches, kmm_test_nr_switches, ulong, 0444);
MODULE_PARM_DESC(switches, "times that each CPU loads a space into CR3");

unsigned long kmm_test_nr_nmis;
module_param_named(nmis, kmm_test_nr_nmis, ulong, 0444);
MODULE_PARM_DESC(nmis, "NMIs that must come while a space is in CR3; 0: nobody sends any");

bool kmm_test_kasan;
module_param_named(kasan, kmm_test_kasan, bool, 0444);
MODULE_PARM_DESC(kasan, "plant a bug that the host's KASAN reports; lockdep is off then");

static char *kmm_test_suite;
module_param_named(suite, kmm_test_suite, charp, 0444);
MODULE_PARM_DESC(suite, "run this suite only");

static char *kmm_test_stray;
module_param_named(stray, kmm_test_stray, charp, 0444);
MODULE_PARM_DESC(stray, "oops in kmm's guarded pool: out-of-bounds or use-after-free");

static struct kunit_suite * const kmm_suites[] = {
	&kmm_inject_suite,
	&kmm_debug_objects_suite,
	&kmm_region_suite,
	&kmm_page_ext_suite,
	&kmm_stack_depot_suite,
	&kmm_page_owner_suite,
	&kmm_buddy_suite,
	&kmm_buddy_load_suite,
	&kmm_slab_suite,
	&kmm_slab_load_suite,
	&kmm_hardening_suite,
	&kmm_kfence_suite,
	&kmm_object_suite,
#if IS_ENABLED(CONFIG_DMA_SHARED_BUFFER)
	&kmm_dmabuf_suite,
#endif
	&kmm_names_suite,
	&kmm_space_suite,
	&kmm_msgq_suite,
	&kmm_pipe_suite,
	&kmm_swap_suite,
	&kmm_evict_suite,
	&kmm_reclaim_suite,
	&kmm_swapin_suite,
	&kmm_replay_suite,
	&kmm_pgtable_suite,
	&kmm_page_table_check_suite,
	&kmm_window_suite,
	&kmm_mmu_suite,
	&kmm_vmap_suite,
	&kmm_vmap_load_suite,
	&kmm_kmemleak_suite,
	&kmm_host_tools_suite,
};

static struct kunit_suite *kmm_wanted[ARRAY_SIZE(kmm_suites)];
static int kmm_nr_wanted;

static int __init kmm_kunit_init(void)
{
	unsigned int i, nr = 0;

	if (kmm_test_stray)
		return kmm_kfence_stray(kmm_test_stray);
	if (!kmm_test_seed)
		kmm_test_seed = (u32)ktime_get_ns() | 1;
	pr_info("kmm_kunit: seed=%lu ops=%lu\n", kmm_test_seed, kmm_test_nr_ops);
	for (i = 0; i < ARRAY_SIZE(kmm_suites); i++)
		if (!kmm_test_suite || !strcmp(kmm_test_suite, kmm_suites[i]->name))
			kmm_wanted[nr++] = kmm_suites[i];
	kmm_nr_wanted = nr;
	return __kunit_test_suites_init(kmm_wanted, nr);
}
module_init(kmm_kunit_init);

static void __exit kmm_kunit_exit(void)
{
	__kunit_test_suites_exit(kmm_wanted, kmm_nr_wanted);
}
module_exit(kmm_kunit_exit);

KMM_IMPORT_INTERNAL();
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit tests of kmm");
