// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_mmu
 *
 * vm/mmu.c and vm/isolation.c. Each case has a space of its own on a private buddy over a fake
 * region, with espfix aliases. Cases do everything by software and, where the module allows it,
 * again by hardware; those that need CR3 are skipped where it is refused, and say why. KUnit's
 * own thread has no mm, so the accesses are made right here, not by a worker.
 *
 * Random tables: leaves of all kinds, some that only a test would write, are probed by both ways,
 * and everything that can differ is compared: bytes, A and D, address, code and rule. The case
 * with several CPUs counts the switches by the espfix slots. freed_frame_is_never_seen shows
 * what keeps a frame during an access: accesses are seen in pt->active, for which kmm_pt_flush()
 * waits (suite kmm_pgtable), and no byte of a later life of the frame is read.
 *
 * nmi_finds_our_root wants somebody to send NMIs: tools/vm/run --nmi does, between two lines in
 * the kernel log, and nmis=N says how many must have come while a space was in CR3.
 */
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <asm/nmi.h>
#include <asm/special_insns.h>

#include <kmm/account.h>
#include <kmm/inject.h>
#include <kmm/pgtable.h>
#include <kmm/space.h>

#include "helpers.h"

/* Where the cases put things; the second one is in another table of each level. */
#define BASE		0x123456600000UL
#define FAR		0x7e0040201000UL

#define RIGHTS(bits)	__pgprot(((bits) | _PAGE_PRESENT) & __supported_pte_mask)
#define P_RW		(_PAGE_RW | _PAGE_USER | _PAGE_NX)
#define P_RO		(_PAGE_USER | _PAGE_NX)
#define P_X		(_PAGE_USER)

/**
 * struct fixture - an instance with one space
 * @t: region and buddy
 * @accounts: who pays
 * @account: of @s
 * @host_bytes: what @account itself costs
 * @tables: of the instance
 * @set: spaces of the instance
 * @espfix: its aliases
 * @s: the space
 */
struct fixture {
	struct kmm_test *t;
	struct kmm_accounts accounts;
	struct kmm_account *account;
	u64 host_bytes;
	struct kmm_pgtables tables;
	struct kmm_space_set set;
	struct kmm_espfix *espfix;
	struct kmm_space *s;
};

static const struct kmm_limits no_limits = {
	.frames = KMM_NO_LIMIT,
	.objects = KMM_NO_LIMIT,
	.names = KMM_NO_LIMIT,
	.host_bytes = KMM_NO_LIMIT,
};

static void uncharge(void *ctx, u32 owner, unsigned long nr_pages)
{
	kmm_accounts_uncharge_frames(ctx, owner, nr_pages);
}

static struct fixture *begin(struct kunit *test)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->t = kmm_test_begin(test, &kmm_layout_plain);
	kmm_accounts_init(&f->accounts, &no_limits, &no_limits);
	f->t->buddy.uncharge = uncharge;
	f->t->buddy.ctx = &f->accounts;
	f->account = kmm_account_create(&f->accounts, GLOBAL_ROOT_UID, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(f->account));
	f->host_bytes = kmm_account_used(f->account, KMM_RES_HOST_BYTES);
	kmm_pgtables_init(&f->tables, &f->t->buddy);
	f->espfix = kmm_espfix_create(&f->tables);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(f->espfix));
	kmm_space_set_init(&f->set, &f->t->buddy, &f->tables, f->espfix, true);
	f->s = kmm_space_create(&f->set, f->account);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(f->s));
	return f;
}

/* Everything is home: no table, no frame, no charge is left. */
static void end(struct kunit *test, struct fixture *f)
{
	unsigned int row;

	kmm_space_destroy(f->s);
	kmm_space_set_fini(&f->set);
	kmm_espfix_destroy(f->espfix);
	for (row = 0; row < KMM_PT_LEVELS; row++)
		KUNIT_EXPECT_EQ(test, atomic_long_read(&f->tables.nr[row]), 0);
	kmm_pgtables_fini(&f->tables);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->account, KMM_RES_FRAMES), 0);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->account, KMM_RES_HOST_BYTES), f->host_bytes);
	kmm_account_put(f->account);
	kmm_accounts_fini(&f->accounts);
	kmm_test_end(test);
}

static void need_hardware(struct kunit *test)
{
	const char *why;

	if (!kmm_mmu_hardware(&why))
		kunit_skip(test, "%s", why);
}

/* === Accesses === */

static const u32 paths[] = { 0, KMM_ACCESS_HARDWARE };
static const char * const path_names[] = { "software", "hardware" };

/* The ways that this machine allows. */
static unsigned int nr_paths(void)
{
	return kmm_mmu_hardware(NULL) ? 2 : 1;
}

static struct kmm_access access(struct kmm_space *s, u64 addr, void *buf, size_t len, u32 op,
				u32 flags)
{
	struct kmm_access a = { .addr = addr, .buf = buf, .len = len, .op = op, .flags = flags };

	a.fault.error = kmm_mmu_access(s, &a) ?: a.fault.error;
	return a;
}

static void expect_done(struct kunit *test, const struct kmm_access *a, size_t n)
{
	KUNIT_EXPECT_EQ_MSG(test, a->fault.rule, KMM_RULE_NONE, "%#llx: at %#lx code %#x, %s",
			    a->addr, a->fault.addr, a->fault.code, path_names[a->path]);
	KUNIT_EXPECT_EQ(test, a->fault.error, 0);
	KUNIT_EXPECT_EQ_MSG(test, a->done, n, "%#llx: %s", a->addr, path_names[a->path]);
}

static void expect_fault(struct kunit *test, const struct kmm_access *a, u64 addr, u32 code,
			 u32 rule)
{
	KUNIT_EXPECT_EQ_MSG(test, a->fault.rule, rule, "%#llx: %s", a->addr, path_names[a->path]);
	KUNIT_EXPECT_EQ_MSG(test, a->fault.addr, addr, "%#llx: %s", a->addr, path_names[a->path]);
	KUNIT_EXPECT_EQ_MSG(test, a->fault.code, code, "%#llx: %s", a->addr, path_names[a->path]);
}

static void map_area(struct kunit *test, struct fixture *f, u64 addr, u64 pages, u32 prot,
		     u32 flags)
{
	struct kmm_space_map_args args = {
		.addr = addr, .len = pages << PAGE_SHIFT, .prot = prot,
		.flags = flags | KMM_MAP_FIXED,
	};

	KUNIT_ASSERT_EQ(test, kmm_space_map(f->s, &args), 0);
}

/* A leaf by hand, without an area. */
static struct page *put_page_at(struct kunit *test, struct fixture *f, u64 addr, unsigned long bits)
{
	struct page *page = kmm_test_alloc(test, GFP_KERNEL | __GFP_ZERO, 0);

	KUNIT_ASSERT_EQ(test, kmm_pt_prepare(&f->s->pt, addr), 0);
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(&f->s->pt, addr, 0,
					     kmm_pt_make_entry(page, RIGHTS(bits))), 0);
	return page;
}

static void take_page_from(struct fixture *f, u64 addr, struct page *page)
{
	struct kmm_pt_gather g;

	kmm_pt_gather_init(&g, &f->s->pt, NULL, NULL);
	kmm_pt_zap(&g, addr, addr + PAGE_SIZE);
	kmm_pt_prune(&g, 0, kmm_space_end());
	kmm_pt_gather_finish(&g);
	if (page)
		kmm_buddy_free(&f->t->buddy, page, 0);
}

/* The entry of level number @depth from the root, for tests that write to tables by themselves. */
static unsigned long *slot_of(struct fixture *f, u64 addr, unsigned int depth)
{
	unsigned long *table = (unsigned long *)f->s->pt.full;
	struct kmm_pt_path path;

	kmm_pt_walk(&f->s->pt, addr, false, &path);
	if (depth)
		table = __va(path.entry[depth - 1] & PTE_PFN_MASK);
	return &table[path.index[depth]];
}

static void roots_are_aligned_and_nx(struct kunit *test)
{
	struct fixture *f = begin(test);
	unsigned long nx = _PAGE_NX & __supported_pte_mask;
	struct page *page = put_page_at(test, f, BASE, P_X);
	unsigned int i;

	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(__pa(f->s->pt.full), 2 * PAGE_SIZE));
	KUNIT_EXPECT_PTR_EQ(test, (void *)f->s->pt.user, (void *)f->s->pt.full + PAGE_SIZE);
	for (i = 0; i < PTRS_PER_PGD / 2; i++) {
		unsigned long user = pgd_val(f->s->pt.user[i]);

		KUNIT_EXPECT_EQ(test, pgd_val(f->s->pt.full[i]), user ? user | nx : 0);
		KUNIT_EXPECT_EQ(test, user & nx, 0);
	}
	for (; i < PTRS_PER_PGD; i++)
		KUNIT_EXPECT_EQ(test, pgd_val(f->s->pt.user[i]), 0);
	take_page_from(f, BASE, page);
	end(test, f);
}

/* === One access === */

static void bytes_go_both_ways(struct kunit *test)
{
	struct fixture *f = begin(test);
	u8 *ref = kunit_kmalloc(test, 3 * PAGE_SIZE, GFP_KERNEL);
	u8 *buf = kunit_kmalloc(test, 3 * PAGE_SIZE, GFP_KERNEL);
	struct page *page[3];
	unsigned int w, r, i;
	struct kmm_access a;

	KUNIT_ASSERT_NOT_NULL(test, ref);
	KUNIT_ASSERT_NOT_NULL(test, buf);
	for (i = 0; i < 3; i++)
		page[i] = put_page_at(test, f, BASE + i * PAGE_SIZE, P_RW);
	for (w = 0; w < nr_paths(); w++) {
		for (i = 0; i < 3 * PAGE_SIZE; i++)
			ref[i] = i * 7 + (i >> 8) + w;
		/* from the middle of the first to the middle of the last */
		a = access(f->s, BASE + 123, ref, 2 * PAGE_SIZE + 321, KMM_ACCESS_WRITE, paths[w]);
		expect_done(test, &a, 2 * PAGE_SIZE + 321);
		KUNIT_EXPECT_EQ(test, memcmp(page_address(page[0]) + 123, ref, PAGE_SIZE - 123), 0);
		for (r = 0; r < nr_paths(); r++) {
			memset(buf, 0, 3 * PAGE_SIZE);
			a = access(f->s, BASE + 123, buf, 2 * PAGE_SIZE + 321, KMM_ACCESS_READ,
				   paths[r]);
			expect_done(test, &a, 2 * PAGE_SIZE + 321);
			KUNIT_EXPECT_EQ(test, memcmp(buf, ref, 2 * PAGE_SIZE + 321), 0);
		}
	}
	for (i = 0; i < 3; i++)
		take_page_from(f, BASE + i * PAGE_SIZE, page[i]);
	end(test, f);
}

static void accessed_and_dirty_are_the_cpus(struct kunit *test)
{
	struct fixture *f = begin(test);
	struct page *rw = put_page_at(test, f, BASE, P_RW);
	struct page *ro = put_page_at(test, f, BASE + PAGE_SIZE, P_RO);
	struct kmm_pgtable *pt = &f->s->pt;
	u64 x = 0;
	unsigned int p;

	for (p = 0; p < nr_paths(); p++) {
		KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, BASE, NULL) & KMM_PT_AD, 0);
		access(f->s, BASE, &x, 8, KMM_ACCESS_READ, paths[p]);
		KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, BASE, NULL) & KMM_PT_AD, _PAGE_ACCESSED);
		access(f->s, BASE, &x, 8, KMM_ACCESS_WRITE, paths[p]);
		KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, BASE, NULL) & KMM_PT_AD, KMM_PT_AD);
		/* cleared without a flush, set again by the next access */
		KUNIT_EXPECT_EQ(test, kmm_pt_test_and_clear(pt, BASE, KMM_PT_AD), KMM_PT_AD);
		access(f->s, BASE, &x, 8, KMM_ACCESS_WRITE, paths[p]);
		KUNIT_EXPECT_EQ(test, kmm_pt_test_and_clear(pt, BASE, KMM_PT_AD), KMM_PT_AD);

		/* denied accesses leave nothing */
		access(f->s, BASE + PAGE_SIZE, &x, 8, KMM_ACCESS_WRITE,
		       paths[p] | KMM_ACCESS_NO_FAULT_IN);
		access(f->s, BASE, &x, 1, KMM_ACCESS_FETCH, paths[p] | KMM_ACCESS_NO_FAULT_IN);
		KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, BASE, NULL) & KMM_PT_AD, 0);
		KUNIT_EXPECT_EQ(test, kmm_pt_get(pt, BASE + PAGE_SIZE, NULL) & KMM_PT_AD, 0);
	}
	take_page_from(f, BASE, rw);
	take_page_from(f, BASE + PAGE_SIZE, ro);
	end(test, f);
}

/* Not an address of the user half: no table is asked, no bit of the host's is told. */
static void addresses_outside_are_refused(struct kunit *test)
{
	struct fixture *f = begin(test);
	u64 half = 1ULL << (pgtable_l5_enabled() ? 56 : 47), last = half - 4;
	const struct {
		u64 addr;
		u32 rule;
	} cases[] = {
		{ half, KMM_RULE_NONCANONICAL },
		{ 1ULL << 63, KMM_RULE_NONCANONICAL },
		{ -half - 1, KMM_RULE_NONCANONICAL },
		{ -half, KMM_RULE_KERNEL_HALF },
		{ (unsigned long)f->s, KMM_RULE_KERNEL_HALF },
		{ kmm_espfix_rw_addr(0), KMM_RULE_KERNEL_HALF },
		{ ~0ULL, KMM_RULE_KERNEL_HALF },
	};
	struct kmm_access a;
	unsigned int i, p;
	u64 x = 0;

	for (p = 0; p < nr_paths(); p++) {
		for (i = 0; i < ARRAY_SIZE(cases); i++) {
			a = access(f->s, cases[i].addr, &x, 1, KMM_ACCESS_READ, paths[p]);
			expect_fault(test, &a, cases[i].addr, 0, cases[i].rule);
			a = access(f->s, cases[i].addr, &x, 1, KMM_ACCESS_WRITE, paths[p]);
			expect_fault(test, &a, cases[i].addr, KMM_PF_WRITE, cases[i].rule);
			KUNIT_EXPECT_EQ(test, a.done, 0);
		}
		/* the last bytes of the user half: kmm's own, and absent */
		a = access(f->s, last, &x, 8, KMM_ACCESS_READ, paths[p]);
		expect_fault(test, &a, last, 0, KMM_RULE_KEPT);
	}
	end(test, f);
}

static void bad_requests_are_refused(struct kunit *test)
{
	struct fixture *f = begin(test);
	struct kmm_access a = { .addr = BASE, .buf = &a, .len = 0 };

	KUNIT_EXPECT_EQ(test, kmm_mmu_access(f->s, &a), -EINVAL);
	a.len = KMM_ACCESS_MAX + 1;
	KUNIT_EXPECT_EQ(test, kmm_mmu_access(f->s, &a), -EINVAL);
	a.len = 2;
	a.op = KMM_ACCESS_FETCH;
	KUNIT_EXPECT_EQ(test, kmm_mmu_access(f->s, &a), -EINVAL);
	a.len = 1;
	a.op = KMM_ACCESS_FETCH + 1;
	KUNIT_EXPECT_EQ(test, kmm_mmu_access(f->s, &a), -EINVAL);
	a.op = KMM_ACCESS_READ;
	a.flags = KMM_ACCESS_HARDWARE;
	KUNIT_EXPECT_EQ(test, kmm_mmu_access(f->s, &a), kmm_mmu_hardware(NULL) ? 0 : -EOPNOTSUPP);
	end(test, f);
}

/* RW and US must be in every level, NX in none. */
static void rights_of_every_level_count(struct kunit *test)
{
	struct fixture *f = begin(test);
	struct page *page = put_page_at(test, f, BASE, _PAGE_USER | _PAGE_RW);
	unsigned int depth, p, levels = pgtable_l5_enabled() ? 5 : 4;
	unsigned long nx = _PAGE_NX & __supported_pte_mask;
	u32 flags, write = KMM_PF_PRESENT | KMM_PF_WRITE, fetch = KMM_PF_PRESENT | KMM_PF_INSTR;
	struct kmm_access a;
	u64 x = 0;

	for (p = 0; p < nr_paths(); p++) {
		flags = paths[p] | KMM_ACCESS_NO_FAULT_IN;
		a = access(f->s, BASE, &x, 8, KMM_ACCESS_WRITE, flags);
		expect_done(test, &a, 8);
		a = access(f->s, BASE, &x, 1, KMM_ACCESS_FETCH, flags);
		expect_done(test, &a, 1);
		/* below the roots, which are two */
		for (depth = 1; depth < levels; depth++) {
			unsigned long *slot = slot_of(f, BASE, depth);
			unsigned long was = *slot;

			WRITE_ONCE(*slot, was & ~_PAGE_RW);
			a = access(f->s, BASE, &x, 8, KMM_ACCESS_WRITE, flags);
			KUNIT_EXPECT_EQ_MSG(test, a.fault.code, write, "level %u", depth);
			a = access(f->s, BASE, &x, 8, KMM_ACCESS_READ, flags);
			expect_done(test, &a, 8);
			WRITE_ONCE(*slot, was & ~_PAGE_USER);
			a = access(f->s, BASE, &x, 1, KMM_ACCESS_FETCH, flags);
			KUNIT_EXPECT_EQ_MSG(test, a.fault.code, fetch, "level %u", depth);
			WRITE_ONCE(*slot, was | nx);
			a = access(f->s, BASE, &x, 1, KMM_ACCESS_FETCH, flags);
			KUNIT_EXPECT_EQ_MSG(test, a.fault.code, nx ? fetch : 0, "level %u", depth);
			WRITE_ONCE(*slot, was & ~_PAGE_PRESENT);
			a = access(f->s, BASE, &x, 8, KMM_ACCESS_READ, flags);
			KUNIT_EXPECT_EQ_MSG(test, a.fault.code, 0, "level %u", depth);
			KUNIT_EXPECT_EQ_MSG(test, a.done, 0, "level %u", depth);
			WRITE_ONCE(*slot, was);
		}
	}
	take_page_from(f, BASE, page);
	end(test, f);
}

/* === Faults of areas === */

static void denied_access_names_its_rule(struct kunit *test)
{
	struct fixture *f = begin(test);
	struct kmm_access a;
	unsigned int p;
	u64 x = 0;

	map_area(test, f, BASE, 1, KMM_PROT_READ, KMM_MAP_PRIVATE);
	map_area(test, f, BASE + PAGE_SIZE, 1, 0, KMM_MAP_PRIVATE);
	map_area(test, f, BASE + 2 * PAGE_SIZE, 1, 0, KMM_MAP_GUARD);
	map_area(test, f, FAR, 1, KMM_PROT_READ | KMM_PROT_EXEC, KMM_MAP_PRIVATE);
	for (p = 0; p < nr_paths(); p++) {
		a = access(f->s, BASE + 8, &x, 8, KMM_ACCESS_READ, paths[p]);
		expect_done(test, &a, 8);
		a = access(f->s, BASE + 8, &x, 8, KMM_ACCESS_WRITE, paths[p]);
		expect_fault(test, &a, BASE + 8, KMM_PF_PRESENT | KMM_PF_WRITE, KMM_RULE_NO_WRITE);
		a = access(f->s, BASE + 8, NULL, 1, KMM_ACCESS_FETCH, paths[p]);
		expect_fault(test, &a, BASE + 8, KMM_PF_PRESENT | KMM_PF_INSTR, KMM_RULE_NO_EXEC);
		a = access(f->s, FAR, NULL, 1, KMM_ACCESS_FETCH, paths[p]);
		expect_done(test, &a, 1);
		a = access(f->s, FAR + PAGE_SIZE, &x, 8, KMM_ACCESS_READ, paths[p]);
		expect_fault(test, &a, FAR + PAGE_SIZE, 0, KMM_RULE_NO_AREA);
		a = access(f->s, BASE + 2 * PAGE_SIZE, &x, 8, KMM_ACCESS_WRITE, paths[p]);
		expect_fault(test, &a, BASE + 2 * PAGE_SIZE, KMM_PF_WRITE, KMM_RULE_GUARD);
		/* what is before the fault is done */
		a = access(f->s, BASE + PAGE_SIZE - 3, &x, 8, KMM_ACCESS_READ, paths[p]);
		expect_fault(test, &a, BASE + PAGE_SIZE, 0, KMM_RULE_NO_ACCESS);
		KUNIT_EXPECT_EQ(test, a.done, 3);
	}
	end(test, f);
}

static void demand_faults_are_resolved(struct kunit *test)
{
	struct fixture *f = begin(test);
	struct kmm_access a;
	u64 x, addr = BASE;
	unsigned int p;

	map_area(test, f, BASE, 16, KMM_PROT_READ | KMM_PROT_WRITE, KMM_MAP_PRIVATE);
	for (p = 0; p < nr_paths(); p++) {
		x = 0x1234 + p;
		a = access(f->s, addr, &x, 8, KMM_ACCESS_WRITE, paths[p] | KMM_ACCESS_NO_FAULT_IN);
		expect_fault(test, &a, addr, KMM_PF_WRITE, KMM_RULE_NOT_PRESENT);
		/* from one page into the next: two faults */
		a = access(f->s, addr + PAGE_SIZE - 4, &x, 8, KMM_ACCESS_WRITE, paths[p]);
		expect_done(test, &a, 8);
		KUNIT_EXPECT_GE(test, a.faults, 2);
		x = 0;
		a = access(f->s, addr + PAGE_SIZE - 4, &x, 8, KMM_ACCESS_READ,
			   paths[!p % nr_paths()]);
		expect_done(test, &a, 8);
		KUNIT_EXPECT_EQ(test, a.faults, 0);
		KUNIT_EXPECT_EQ(test, x, 0x1234 + p);
		addr += 8 * PAGE_SIZE;
	}
	end(test, f);
}

static void cow_faults_are_resolved(struct kunit *test)
{
	struct fixture *f = begin(test);
	struct kmm_space *copy;
	struct kmm_access a;
	unsigned int p;
	u64 x = 1;

	map_area(test, f, BASE, 2, KMM_PROT_READ | KMM_PROT_WRITE, KMM_MAP_PRIVATE);
	access(f->s, BASE, &x, 8, KMM_ACCESS_WRITE, 0);
	access(f->s, BASE + PAGE_SIZE, &x, 8, KMM_ACCESS_WRITE, 0);
	copy = kmm_space_clone(f->s);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(copy));
	for (p = 0; p < nr_paths(); p++) {
		u64 addr = BASE + p * PAGE_SIZE;

		x = 7 + p;
		a = access(copy, addr, &x, 8, KMM_ACCESS_WRITE, paths[p] | KMM_ACCESS_NO_FAULT_IN);
		expect_fault(test, &a, addr, KMM_PF_PRESENT | KMM_PF_WRITE, KMM_RULE_COW);
		a = access(copy, addr, &x, 8, KMM_ACCESS_WRITE, paths[p]);
		expect_done(test, &a, 8);
		KUNIT_EXPECT_EQ(test, a.faults, 1);
		x = 0;
		access(f->s, addr, &x, 8, KMM_ACCESS_READ, paths[p]);
		KUNIT_EXPECT_EQ(test, x, 1);
		access(copy, addr, &x, 8, KMM_ACCESS_READ, paths[p]);
		KUNIT_EXPECT_EQ(test, x, 7 + p);
	}
	kmm_space_destroy(copy);
	end(test, f);
}

/* === Random tables === */

#define RANDOM_PAGES	32
#define RANDOM_HUGE	(BASE + 8 * PMD_SIZE)

/**
 * struct outcome - everything that an access may change or tell
 * @a: result
 * @data: read, or what memory has after a write
 * @ad: A and D of the two pages that it may touch
 */
struct outcome {
	struct kmm_access a;
	u8 data[128];
	unsigned long ad[2];
};

/* Do it, note everything, and put A and D back. */
static void observe(struct fixture *f, u64 addr, size_t len, u32 op, u32 flags, u8 fill,
		    struct outcome *o)
{
	struct kmm_pgtable *pt = &f->s->pt;
	unsigned int i;

	memset(o, 0, sizeof(*o));
	memset(o->data, fill, sizeof(o->data));
	o->a = access(f->s, addr, o->data, len, op, flags | KMM_ACCESS_NO_FAULT_IN);
	for (i = 0; i < 2; i++) {
		u64 at = (addr & PAGE_MASK) + i * PAGE_SIZE;

		o->ad[i] = kmm_pt_test_and_clear(pt, at, KMM_PT_AD);
	}
	/* what memory has now, by the software: all that can be read */
	if (op == KMM_ACCESS_WRITE) {
		access(f->s, addr, o->data, len, KMM_ACCESS_READ, KMM_ACCESS_NO_FAULT_IN);
		for (i = 0; i < 2; i++)
			kmm_pt_test_and_clear(pt, (addr & PAGE_MASK) + i * PAGE_SIZE, KMM_PT_AD);
	}
}

static const unsigned long random_rights[] = {
	P_RW, P_RO, P_X, P_X | _PAGE_RW, _PAGE_RW | _PAGE_NX, _PAGE_NX,
};

/* Change one thing: a leaf, or bits that only a test writes. */
static void random_change(struct kunit *test, struct fixture *f, struct rnd_state *rnd,
			  struct page **pages)
{
	unsigned int i = kmm_below(rnd, RANDOM_PAGES), k = kmm_below(rnd, 10);
	u64 addr = BASE + i * PAGE_SIZE;
	struct kmm_pgtable *pt = &f->s->pt;
	unsigned long old = kmm_pt_get(pt, addr, NULL), new = 0;
	unsigned long bits = random_rights[kmm_below(rnd, ARRAY_SIZE(random_rights))];

	if (k < 6)
		new = kmm_pt_make_entry(pages[i], RIGHTS(bits));
	else if (k == 6)	/* not present, and not nothing */
		new = pte_val(pfn_pte(page_to_pfn(pages[i]), __pgprot(_PAGE_PROTNONE)));
	else if (k == 7)	/* an address that the CPU has not */
		new = kmm_pt_make_entry(pages[i], RIGHTS(bits)) |
		      1UL << boot_cpu_data.x86_phys_bits;
	KUNIT_EXPECT_EQ(test, kmm_pt_replace(pt, addr, old, new), 0);
	if (k == 8) {		/* rights of the levels above */
		unsigned int depth = 1 + kmm_below(rnd, pgtable_l5_enabled() ? 3 : 2);
		unsigned long bit = kmm_below(rnd, 2) ? _PAGE_RW : _PAGE_NX & __supported_pte_mask;

		*slot_of(f, addr, depth) ^= bit;
	}
}

static void random_restore(struct fixture *f)
{
	unsigned int depth;

	for (depth = 1; depth <= (pgtable_l5_enabled() ? 3 : 2); depth++) {
		unsigned long *slot = slot_of(f, BASE, depth);

		*slot = (*slot | _PAGE_RW) & ~_PAGE_NX;
	}
}

static void both_ways_agree_on_random_tables(struct kunit *test)
{
	unsigned long i, nr = max(kmm_test_nr_ops / 4, 1000UL), faults = 0;
	struct outcome *soft, *hard;
	struct page *pages[RANDOM_PAGES], *huge;
	struct rnd_state rnd;
	struct fixture *f;

	need_hardware(test);
	f = begin(test);
	soft = kunit_kmalloc(test, sizeof(*soft), GFP_KERNEL);
	hard = kunit_kmalloc(test, sizeof(*hard), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, soft);
	KUNIT_ASSERT_NOT_NULL(test, hard);
	kunit_info(test, "seed=%lu ops=%lu\n", kmm_test_seed, nr);
	prandom_seed_state(&rnd, kmm_test_seed);
	for (i = 0; i < RANDOM_PAGES; i++) {
		pages[i] = put_page_at(test, f, BASE + i * PAGE_SIZE, P_RW);
		prandom_bytes_state(&rnd, page_address(pages[i]), PAGE_SIZE);
	}
	huge = kmm_test_alloc(test, GFP_KERNEL, 9);
	KUNIT_ASSERT_EQ(test, kmm_pt_map_huge(&f->s->pt, RANDOM_HUGE, huge, RIGHTS(P_RW)), 0);

	for (i = 0; i < nr; i++) {
		u64 addr = BASE + kmm_below(&rnd, (RANDOM_PAGES + 1) * PAGE_SIZE);
		u32 op = kmm_below(&rnd, 3);
		size_t len = op == KMM_ACCESS_FETCH ? 1 : 1 + kmm_below(&rnd, 128);
		u8 fill = prandom_u32_state(&rnd);

		if (!kmm_below(&rnd, 4))
			random_change(test, f, &rnd, pages);
		if (!kmm_below(&rnd, 8))
			addr = RANDOM_HUGE + kmm_below(&rnd, PMD_SIZE);
		if (!kmm_below(&rnd, 64))
			addr = FAR + kmm_below(&rnd, PAGE_SIZE);
		observe(f, addr, len, op, 0, fill, soft);
		/* a write of something else, so that the second one is seen */
		observe(f, addr, len, op, KMM_ACCESS_HARDWARE,
			op == KMM_ACCESS_WRITE ? ~fill : fill, hard);
		if (op == KMM_ACCESS_WRITE) {
			unsigned int k;

			for (k = 0; k < soft->a.done; k++)
				hard->data[k] = ~hard->data[k];
		}
		faults += soft->a.fault.rule != KMM_RULE_NONE;
		if (soft->a.done != hard->a.done || soft->a.fault.rule != hard->a.fault.rule ||
		    soft->a.fault.code != hard->a.fault.code ||
		    soft->a.fault.addr != hard->a.fault.addr || soft->ad[0] != hard->ad[0] ||
		    soft->ad[1] != hard->ad[1] || memcmp(soft->data, hard->data, soft->a.done))
			KUNIT_FAIL(test, "op %lu: %u of %zu at %#llx: done %zu/%zu rule %u/%u code %#x/%#x fault %#lx/%#lx ad %#lx %#lx/%#lx %#lx",
				   i, op, len, addr, soft->a.done, hard->a.done,
				   soft->a.fault.rule, hard->a.fault.rule,
				   soft->a.fault.code, hard->a.fault.code,
				   soft->a.fault.addr, hard->a.fault.addr,
				   soft->ad[0], soft->ad[1], hard->ad[0], hard->ad[1]);
		if (i % 64 == 0)
			random_restore(f);
	}
	/* the run had both kinds */
	KUNIT_EXPECT_GT(test, faults, nr / 10);
	KUNIT_EXPECT_LT(test, faults, nr - nr / 10);
	random_restore(f);
	for (i = 0; i < RANDOM_PAGES; i++)
		take_page_from(f, BASE + i * PAGE_SIZE, pages[i]);
	take_page_from(f, RANDOM_HUGE, NULL);
	kmm_buddy_free(&f->t->buddy, huge, 9);
	end(test, f);
}

#define TWIN_PAGES	24

/**
 * struct twins - two spaces to which the same is done, and their clones
 * @s: one is used by software, the other by hardware
 * @copy: clones that make the next writes copy; NULL while there are none
 */
struct twins {
	struct kmm_space *s[2];
	struct kmm_space *copy[2];
};

/* Map, unmap, protect, clone or drop the clones, the same on both sides. */
static void twins_change(struct kunit *test, struct twins *t, struct rnd_state *rnd)
{
	static const u32 prots[] = {
		0, KMM_PROT_READ, KMM_PROT_READ | KMM_PROT_WRITE, KMM_PROT_READ | KMM_PROT_WRITE,
		KMM_PROT_READ | KMM_PROT_EXEC,
	};
	unsigned int first = kmm_below(rnd, TWIN_PAGES), k = kmm_below(rnd, 16), i;
	unsigned int nr = 1 + kmm_below(rnd, TWIN_PAGES - first);
	u32 prot = prots[kmm_below(rnd, ARRAY_SIZE(prots))];
	bool guard = !kmm_below(rnd, 5);
	int err[2] = { };

	for (i = 0; i < 2; i++) {
		struct kmm_space_map_args args = {
			.addr = BASE + first * PAGE_SIZE,
			.len = nr * PAGE_SIZE,
			.prot = guard ? 0 : prot,
			.flags = KMM_MAP_FIXED | KMM_MAP_REPLACE |
				 (guard ? KMM_MAP_GUARD : KMM_MAP_PRIVATE),
		};

		if (k < 6) {
			err[i] = kmm_space_map(t->s[i], &args);
		} else if (k < 8) {
			err[i] = kmm_space_unmap(t->s[i], args.addr, PAGE_SIZE);
		} else if (k < 13) {
			err[i] = kmm_space_protect(t->s[i], args.addr, args.len, prot);
		} else if (t->copy[i]) {
			kmm_space_destroy(t->copy[i]);
			t->copy[i] = NULL;
		} else {
			t->copy[i] = kmm_space_clone(t->s[i]);
			err[i] = PTR_ERR_OR_ZERO(t->copy[i]);
			KUNIT_ASSERT_EQ(test, err[i], 0);
		}
	}
	KUNIT_EXPECT_EQ(test, err[0], err[1]);
}

static void both_ways_agree_on_random_spaces(struct kunit *test)
{
	unsigned long i, nr = max(kmm_test_nr_ops / 8, 4000UL), seen[KMM_RULE_KEPT + 1] = { };
	unsigned long faults = 0;
	struct rnd_state rnd;
	struct twins t = { };
	struct fixture *f;
	unsigned int k;
	u8 *buf[2];

	need_hardware(test);
	f = begin(test);
	t.s[0] = f->s;
	t.s[1] = kmm_space_create(&f->set, f->account);
	KUNIT_ASSERT_FALSE(test, IS_ERR(t.s[1]));
	for (k = 0; k < 2; k++) {
		buf[k] = kunit_kzalloc(test, 2 * PAGE_SIZE, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, buf[k]);
	}
	kunit_info(test, "seed=%lu ops=%lu\n", kmm_test_seed, nr);
	prandom_seed_state(&rnd, kmm_test_seed);
	for (i = 0; i < nr; i++) {
		u64 addr = BASE + kmm_below(&rnd, (TWIN_PAGES + 1) * PAGE_SIZE);
		u32 op = kmm_below(&rnd, 3), fill = prandom_u32_state(&rnd);
		size_t len = op == KMM_ACCESS_FETCH ? 1 : 1 + kmm_below(&rnd, 2 * PAGE_SIZE);
		u32 flags = kmm_below(&rnd, 2) ? KMM_ACCESS_NO_FAULT_IN : 0;
		struct kmm_access a[2];

		if (!kmm_below(&rnd, 6))
			twins_change(test, &t, &rnd);
		for (k = 0; k < 2; k++) {
			memset(buf[k], fill, len);
			a[k] = access(t.s[k], addr, buf[k], len, op, flags | paths[k]);
		}
		if (a[0].done != a[1].done || a[0].faults != a[1].faults ||
		    a[0].fault.rule != a[1].fault.rule || a[0].fault.addr != a[1].fault.addr ||
		    a[0].fault.code != a[1].fault.code || a[0].fault.error != a[1].fault.error ||
		    memcmp(buf[0], buf[1], len))
			KUNIT_FAIL(test, "op %lu: %u of %zu at %#llx: done %zu/%zu faults %u/%u rule %u/%u code %#x/%#x fault %#lx/%#lx",
				   i, op, len, addr, a[0].done, a[1].done, a[0].faults, a[1].faults,
				   a[0].fault.rule, a[1].fault.rule, a[0].fault.code,
				   a[1].fault.code, a[0].fault.addr, a[1].fault.addr);
		seen[a[0].fault.rule]++;
		faults += a[0].faults;
		cond_resched();
	}
	/* Every kind came. */
	KUNIT_EXPECT_GT(test, faults, 0);
	for (k = KMM_RULE_NO_AREA; k <= KMM_RULE_NO_EXEC; k++)
		KUNIT_EXPECT_GT_MSG(test, seen[k], 0, "rule %u", k);
	KUNIT_EXPECT_GT(test, seen[KMM_RULE_NONE], nr / 10);
	KUNIT_EXPECT_GT(test, seen[KMM_RULE_NOT_PRESENT], 0);
	KUNIT_EXPECT_GT(test, seen[KMM_RULE_COW], 0);
	for (k = 0; k < 2; k++) {
		unsigned long leaves;

		KUNIT_EXPECT_EQ(test, kmm_space_check(t.s[k]), 0);
		KUNIT_EXPECT_EQ(test, kmm_isolation_audit(t.s[k], &leaves), 0);
		if (t.copy[k])
			kmm_space_destroy(t.copy[k]);
	}
	kmm_space_destroy(t.s[1]);
	end(test, f);
}

/* A reserved bit would kill the host in its fault handler: the CPU must never be shown one. */
static void reserved_bits_never_reach_the_cpu(struct kunit *test)
{
	struct fixture *f = begin(test);
	struct page *page = put_page_at(test, f, BASE, P_RW);
	unsigned int p, depth, levels = pgtable_l5_enabled() ? 5 : 4;
	u64 switches = atomic64_read(&f->s->switches), x = 0;
	struct kmm_access a;

	for (p = 0; p < nr_paths(); p++) {
		/* PS in each level above the PMD: a leaf where none can be */
		for (depth = 0; depth < levels - 2; depth++) {
			unsigned long *slot = slot_of(f, BASE, depth);
			unsigned long was = *slot;

			WRITE_ONCE(*slot, was | _PAGE_PSE);
			a = access(f->s, BASE, &x, 8, KMM_ACCESS_READ,
				   paths[p] | KMM_ACCESS_NO_FAULT_IN);
			WRITE_ONCE(*slot, was);
			KUNIT_EXPECT_EQ(test, a.fault.code, KMM_PF_PRESENT | KMM_PF_RSVD);
			KUNIT_EXPECT_EQ(test, a.fault.addr, BASE);
			KUNIT_EXPECT_EQ(test, a.done, 0);
		}
	}
	KUNIT_EXPECT_EQ(test, atomic64_read(&f->s->switches), switches);
	take_page_from(f, BASE, page);
	end(test, f);
}

/* === Several CPUs === */

/**
 * struct switcher - a thread that lives on one CPU
 * @f: fixture
 * @cpu: its CPU
 * @task: the thread
 * @done: it has switched often enough
 * @wrong: accesses that did not do what they must
 */
struct switcher {
	struct fixture *f;
	unsigned int cpu;
	struct task_struct *task;
	struct completion done;
	unsigned long wrong;
};

static int switch_often(void *arg)
{
	struct switcher *w = arg;
	u64 addr = BASE + 8 * w->cpu, absent = BASE + 16 * PAGE_SIZE;
	unsigned long i;

	for (i = 0; i < kmm_test_nr_switches; i += 3) {
		u64 x = i, y = 0;
		struct kmm_access a;

		a = access(w->f->s, addr, &x, 8, KMM_ACCESS_WRITE, KMM_ACCESS_HARDWARE);
		w->wrong += a.done != 8;
		a = access(w->f->s, addr, &y, 8, KMM_ACCESS_READ, KMM_ACCESS_HARDWARE);
		w->wrong += a.done != 8 || y != i;
		a = access(w->f->s, absent, &y, 8, KMM_ACCESS_READ,
			   KMM_ACCESS_HARDWARE | KMM_ACCESS_NO_FAULT_IN);
		w->wrong += a.done || a.fault.addr != absent || a.fault.code;
		cond_resched();
	}
	complete(&w->done);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

/* @fn(@arg) in a thread on @cpu, until kthread_stop(). */
static struct task_struct *start_on(struct kunit *test, unsigned int cpu, int (*fn)(void *arg),
				    void *arg)
{
	struct task_struct *task = kthread_create(fn, arg, "kmm_mmu/%u", cpu);

	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	kthread_bind(task, cpu);
	wake_up_process(task);
	return task;
}

static void cpus_switch_at_the_same_time(struct kunit *test)
{
	struct switcher *w;
	struct fixture *f;
	struct page *page;
	unsigned int cpu;

	need_hardware(test);
	f = begin(test);
	page = put_page_at(test, f, BASE, P_RW);
	w = kunit_kcalloc(test, nr_cpu_ids, sizeof(*w), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, w);
	cpus_read_lock();
	for_each_online_cpu(cpu) {
		w[cpu] = (struct switcher) { .f = f, .cpu = cpu };
		init_completion(&w[cpu].done);
		w[cpu].task = start_on(test, cpu, switch_often, &w[cpu]);
	}
	for_each_online_cpu(cpu) {
		struct kmm_espfix_slot *slot = kmm_espfix_slot(f->espfix, cpu), seen = { };

		wait_for_completion(&w[cpu].done);
		kthread_stop(w[cpu].task);
		put_task_struct(w[cpu].task);
		KUNIT_EXPECT_EQ(test, w[cpu].wrong, 0);
		/* every switch counted itself, through the writable alias */
		KUNIT_EXPECT_EQ(test, slot->switches, roundup(kmm_test_nr_switches, 3));
		KUNIT_EXPECT_EQ(test, kmm_mmu_probe(f->s, kmm_espfix_ro_addr(cpu), &seen,
						    sizeof(seen), false), 0);
		KUNIT_EXPECT_EQ(test, memcmp(&seen, slot, sizeof(seen)), 0);
	}
	KUNIT_EXPECT_EQ(test, atomic64_read(&f->s->switches),
			num_online_cpus() * roundup(kmm_test_nr_switches, 3));
	kunit_info(test, "%u CPUs, %lu switches each\n", num_online_cpus(),
		   (unsigned long)roundup(kmm_test_nr_switches, 3));
	cpus_read_unlock();
	KUNIT_EXPECT_TRUE(test, cpumask_empty(&f->s->pt.active));
	take_page_from(f, BASE, page);
	end(test, f);
}

#define GOOD	0x60
#define POISON	0x6b

/**
 * struct reader - a thread that reads one page all the time
 * @f: fixture
 * @flags: which way
 * @buf: a page
 * @reads: that gave data
 * @faults: that gave none
 * @wrong: that gave what was never there
 */
struct reader {
	struct fixture *f;
	u32 flags;
	u8 *buf;
	unsigned long reads;
	unsigned long faults;
	unsigned long wrong;
};

static int read_always(void *arg)
{
	struct reader *r = arg;

	while (!kthread_should_stop()) {
		struct kmm_access a = access(r->f->s, BASE, r->buf, PAGE_SIZE, KMM_ACCESS_READ,
					     r->flags | KMM_ACCESS_NO_FAULT_IN);

		r->reads += !!a.done;
		r->faults += a.done != PAGE_SIZE;
		r->wrong += !!memchr_inv(r->buf, GOOD, a.done);
		cond_resched();
	}
	return 0;
}

/* What is taken out and flushed is never seen again, whatever becomes of it. */
static void freed_frame_is_never_seen(struct kunit *test)
{
	struct fixture *f = begin(test);
	struct page *page = put_page_at(test, f, BASE, P_RW);
	u8 *mem = page_address(page), *buf = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	unsigned int p, cpu = cpumask_last(cpu_online_mask);
	unsigned long entry = kmm_pt_get(&f->s->pt, BASE, NULL);

	if (num_online_cpus() < 2)
		kunit_info(test, "one CPU: the reader runs between our steps only\n");
	KUNIT_ASSERT_NOT_NULL(test, buf);
	memset(mem, GOOD, PAGE_SIZE);
	for (p = 0; p < nr_paths(); p++) {
		struct reader r = { .f = f, .flags = paths[p], .buf = buf };
		struct task_struct *task = start_on(test, cpu, read_always, &r);
		unsigned long stop = jiffies + msecs_to_jiffies(300), rounds = 0, inside = 0, us;

		while (time_before(jiffies, stop) || !r.reads || !r.faults) {
			struct kmm_pt_gather g;

			kmm_pt_gather_init(&g, &f->s->pt, NULL, NULL);
			kmm_pt_zap(&g, BASE, BASE + PAGE_SIZE);
			kmm_pt_gather_finish(&g);
			memset(mem, POISON, PAGE_SIZE);
			udelay(rounds % 8);
			memset(mem, GOOD, PAGE_SIZE);
			kmm_pt_replace(&f->s->pt, BASE, 0, entry);
			/* whom the flush will wait for */
			for (us = rounds % 64; us; us--) {
				inside += cpumask_test_cpu(cpu, &f->s->pt.active);
				udelay(1);
			}
			rounds++;
			cond_resched();
			if (time_after(jiffies, stop + 10 * HZ))
				break;
		}
		kthread_stop(task);
		put_task_struct(task);
		kunit_info(test, "%s: %lu rounds, %lu reads, %lu faults, seen inside %lu times\n",
			   path_names[p], rounds, r.reads, r.faults, inside);
		KUNIT_EXPECT_TRUE(test, inside || num_online_cpus() == 1);
		KUNIT_EXPECT_EQ(test, r.wrong, 0);
		KUNIT_EXPECT_GT(test, r.reads, 0);
		KUNIT_EXPECT_GT(test, r.faults, 0);
	}
	take_page_from(f, BASE, page);
	end(test, f);
}

/* === NMIs, injected from outside === */

/* Root that the NMIs must find, and how many came, by whether it was loaded. */
static unsigned long nmi_root;
static unsigned long nmi_inside, nmi_outside;

static int nmi_seen(unsigned int cmd, struct pt_regs *regs)
{
	if ((__native_read_cr3() & CR3_ADDR_MASK) == nmi_root)
		nmi_inside++;
	else
		nmi_outside++;
	return NMI_HANDLED;
}

/* Only with nmis=N: tools/vm/run --nmi sends them, from the line "on" to the line "off". */
static void nmi_finds_our_root(struct kunit *test)
{
	unsigned long stop, calls = 0, wrong = 0;
	struct fixture *f;
	struct page *page;
	u8 *buf;

	need_hardware(test);
	if (!kmm_test_nr_nmis)
		kunit_skip(test, "nobody sends NMIs; nmis=0");
	f = begin(test);
	page = put_page_at(test, f, BASE, P_RW);
	memset(page_address(page), 0x5a, PAGE_SIZE);
	buf = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, buf);
	nmi_root = __pa(f->s->pt.full);
	nmi_inside = 0;
	nmi_outside = 0;
	/* the PC's NMI comes on the first CPU */
	kmm_stay_on_cpu(0);
	KUNIT_ASSERT_EQ(test, register_nmi_handler(NMI_UNKNOWN, nmi_seen, 0, "kmm_mmu"), 0);
	pr_info("kmm-nmi: on\n");
	stop = jiffies + 60 * HZ;
	while (READ_ONCE(nmi_inside) < kmm_test_nr_nmis && time_before(jiffies, stop)) {
		struct kmm_access a;

		memset(buf, 0, PAGE_SIZE);
		a = access(f->s, BASE, buf, PAGE_SIZE, KMM_ACCESS_READ, KMM_ACCESS_HARDWARE);
		wrong += a.done != PAGE_SIZE || memchr_inv(buf, 0x5a, PAGE_SIZE);
		calls++;
		cond_resched();
	}
	/* the last ones are on their way */
	pr_info("kmm-nmi: off\n");
	msleep(1000);
	unregister_nmi_handler(NMI_UNKNOWN, "kmm_mmu");
	kmm_go_anywhere();
	kunit_info(test, "%lu NMIs while our root was in CR3, %lu else; %lu accesses\n",
		   nmi_inside, nmi_outside, calls);
	KUNIT_EXPECT_GE(test, nmi_inside, kmm_test_nr_nmis);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	take_page_from(f, BASE, page);
	end(test, f);
}

/* === Espfix === */

static void espfix_aliases_read_alike(struct kunit *test)
{
	struct kmm_espfix_slot ro, rw, new = { .cpu = 77, .switches = 88, .reserved = { 1, 2, 3 } };
	struct fixture *f;
	unsigned int cpu;

	need_hardware(test);
	f = begin(test);
	for_each_possible_cpu(cpu) {
		struct kmm_espfix_slot *slot = kmm_espfix_slot(f->espfix, cpu), was = *slot;
		unsigned long ro_addr = kmm_espfix_ro_addr(cpu), rw_addr = kmm_espfix_rw_addr(cpu);

		KUNIT_EXPECT_EQ(test, was.cpu, cpu);
		KUNIT_EXPECT_EQ(test, kmm_mmu_probe(f->s, ro_addr, &ro, sizeof(ro), false), 0);
		KUNIT_EXPECT_EQ(test, kmm_mmu_probe(f->s, rw_addr, &rw, sizeof(rw), false), 0);
		KUNIT_EXPECT_EQ(test, memcmp(&ro, &was, sizeof(ro)), 0);
		KUNIT_EXPECT_EQ(test, memcmp(&rw, &was, sizeof(rw)), 0);

		/* a write through the read-only alias faults and changes nothing */
		KUNIT_EXPECT_EQ(test, kmm_mmu_probe(f->s, ro_addr, &new, sizeof(new), true),
				sizeof(new));
		KUNIT_EXPECT_EQ(test, memcmp(slot, &was, sizeof(was)), 0);
		/* through the other one it arrives, and both see it */
		KUNIT_EXPECT_EQ(test, kmm_mmu_probe(f->s, rw_addr, &new, sizeof(new), true), 0);
		KUNIT_EXPECT_EQ(test, kmm_mmu_probe(f->s, ro_addr, &ro, sizeof(ro), false), 0);
		KUNIT_EXPECT_EQ(test, kmm_mmu_probe(f->s, rw_addr, &rw, sizeof(rw), false), 0);
		KUNIT_EXPECT_EQ(test, memcmp(&ro, &new, sizeof(ro)), 0);
		KUNIT_EXPECT_EQ(test, memcmp(&rw, &new, sizeof(rw)), 0);
		*slot = was;
	}
	end(test, f);
}

static void espfix_alias_is_read_only_for_all(struct kunit *test)
{
	struct fixture *f = begin(test);
	u64 addr = kmm_espfix_ro_addr(0), x = 5;
	struct kmm_pt_path path;
	unsigned int p, view;
	struct kmm_access a;

	KUNIT_EXPECT_TRUE(test, kmm_espfix_covers(addr));
	KUNIT_EXPECT_GE(test, addr, kmm_space_end());
	for (p = 0; p < nr_paths(); p++) {
		a = access(f->s, addr, &x, 8, KMM_ACCESS_READ, paths[p]);
		expect_done(test, &a, 8);
		KUNIT_EXPECT_EQ(test, x, 0);
		x = 5;
		a = access(f->s, addr, &x, 8, KMM_ACCESS_WRITE, paths[p]);
		expect_fault(test, &a, addr, KMM_PF_PRESENT | KMM_PF_WRITE, KMM_RULE_KEPT);
		a = access(f->s, addr, NULL, 1, KMM_ACCESS_FETCH, paths[p]);
		expect_fault(test, &a, addr, KMM_PF_PRESENT | KMM_PF_INSTR, KMM_RULE_KEPT);
	}
	KUNIT_EXPECT_EQ(test, kmm_espfix_slot(f->espfix, 0)->cpu, 0);
	for (view = 0; view < 2; view++) {
		kmm_pt_walk(&f->s->pt, addr, view, &path);
		KUNIT_EXPECT_EQ(test, path.leaf_shift, PAGE_SHIFT);
		KUNIT_EXPECT_EQ(test, path.entry[path.depth - 1] & (_PAGE_RW | _PAGE_USER), 0);
	}
	end(test, f);
}

static void espfix_failure_leaves_nothing(struct kunit *test)
{
	struct fixture *f = begin(test);
	unsigned long nth, used;
	bool failed;

	/* tables of earlier tries wait zeroed: give them back, so that frames can be compared */
	kmm_pgtables_shrink(&f->tables);
	used = kmm_test_used(f->t);
	for (nth = 1, failed = true; failed; nth++) {
		struct kmm_espfix *e;

		kmm_inject_arm(nth);
		e = kmm_espfix_create(&f->tables);
		failed = kmm_inject_disarm();
		KUNIT_EXPECT_EQ(test, failed, IS_ERR(e));
		if (!IS_ERR(e))
			kmm_espfix_destroy(e);
		kmm_pgtables_shrink(&f->tables);
		KUNIT_EXPECT_EQ(test, kmm_test_used(f->t), used);
	}
	/* the struct, the frame, the root, and a table of each level below it */
	KUNIT_EXPECT_EQ(test, nth - 2, 3 + (pgtable_l5_enabled() ? 4 : 3));
	end(test, f);
}

/* === Audit === */

static void expect_audit(struct kunit *test, struct fixture *f, unsigned long want_leaves,
			 unsigned long want_bad, const char *what)
{
	unsigned long leaves;

	KUNIT_EXPECT_EQ_MSG(test, kmm_isolation_audit(f->s, &leaves), want_bad, "%s", what);
	KUNIT_EXPECT_EQ_MSG(test, leaves, want_leaves, "%s", what);
}

static void audit_finds_what_must_not_be(struct kunit *test)
{
	struct fixture *f = begin(test);
	struct kmm_pgtable *pt = &f->s->pt;
	struct page *page, *table;
	struct kmm_pt_path path;
	unsigned long entry, own, alias;
	u64 x = 1;

	expect_audit(test, f, 1, 0, "only the alias");
	map_area(test, f, BASE, 4, KMM_PROT_READ | KMM_PROT_WRITE, KMM_MAP_PRIVATE);
	map_area(test, f, FAR, 1, KMM_PROT_READ, KMM_MAP_PRIVATE);
	map_area(test, f, BASE + 4 * PAGE_SIZE, 1, 0, KMM_MAP_GUARD);
	access(f->s, BASE, &x, 8, KMM_ACCESS_WRITE, 0);
	access(f->s, FAR, &x, 8, KMM_ACCESS_READ, 0);
	expect_audit(test, f, 3, 0, "two pages");
	own = kmm_pt_get(pt, BASE, NULL);

	page = put_page_at(test, f, BASE + 16 * PAGE_SIZE, P_RO);
	expect_audit(test, f, 4, 1, "outside of areas");
	take_page_from(f, BASE + 16 * PAGE_SIZE, page);
	page = put_page_at(test, f, BASE + 4 * PAGE_SIZE, P_RO);
	expect_audit(test, f, 4, 1, "in a guard");
	take_page_from(f, BASE + 4 * PAGE_SIZE, page);

	entry = kmm_pt_get(pt, FAR, NULL);
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, FAR, entry, entry | _PAGE_RW), 0);
	expect_audit(test, f, 3, 1, "writable in a read-only area");
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, FAR, entry | _PAGE_RW, entry & ~_PAGE_NX), 0);
	expect_audit(test, f, 3, __supported_pte_mask & _PAGE_NX ? 1 : 0, "executable");
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, FAR, entry & ~_PAGE_NX, entry), 0);
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, BASE, own, own & ~_PAGE_USER), 0);
	expect_audit(test, f, 3, 1, "the kernel's only");
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, BASE, own & ~_PAGE_USER, own), 0);

	/* frames that are not the area's: a table, the espfix frame, the host's memory */
	kmm_pt_walk(pt, BASE, true, &path);
	table = kmm_pt_entry_page(path.entry[path.depth - 2], false);
	entry = kmm_pt_make_entry(table, RIGHTS(P_RW)) | KMM_PT_PRIVATE;
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, BASE + PAGE_SIZE, 0, entry), 0);
	expect_audit(test, f, 4, 1, "a table");
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, BASE + PAGE_SIZE, entry, 0), 0);
	entry = kmm_pt_make_entry(virt_to_page(kmm_espfix_slot(f->espfix, 0)), RIGHTS(P_RW)) |
		KMM_PT_PRIVATE;
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, BASE + PAGE_SIZE, 0, entry), 0);
	expect_audit(test, f, 4, 1, "the espfix frame, writable");
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, BASE + PAGE_SIZE, entry, 0), 0);
	entry = kmm_pt_make_entry(virt_to_page(f), RIGHTS(P_RW)) | KMM_PT_PRIVATE;
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, BASE + PAGE_SIZE, 0, entry), 0);
	expect_audit(test, f, 4, 1, "the host's memory");
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, BASE + PAGE_SIZE, entry, 0), 0);

	/* the alias, writable; and at a place that is not its own */
	alias = kmm_espfix_ro_addr(0);
	entry = kmm_pt_get(pt, alias, NULL);
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, alias, entry, entry | _PAGE_RW), 0);
	expect_audit(test, f, 3, 1, "the alias is writable");
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, alias, entry | _PAGE_RW, entry), 0);
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, kmm_space_end(), 0, entry & ~KMM_PT_AD), 0);
	expect_audit(test, f, 4, 1, "the alias elsewhere");
	KUNIT_ASSERT_EQ(test, kmm_pt_replace(pt, kmm_space_end(), entry & ~KMM_PT_AD, 0), 0);

	/* the writable alias, the way that the full root has it */
	WRITE_ONCE(((unsigned long *)pt->user)[KMM_ESPFIX_ROOT],
		   pgd_val(pt->full[KMM_ESPFIX_ROOT]) | 1);
	expect_audit(test, f, 4, 1, "an entry in the kernel half");
	WRITE_ONCE(((unsigned long *)pt->user)[KMM_ESPFIX_ROOT], 0);
	expect_audit(test, f, 3, 0, "all is well again");
	end(test, f);
}

static struct kunit_case mmu_cases[] = {
	KUNIT_CASE(roots_are_aligned_and_nx),
	KUNIT_CASE(bytes_go_both_ways),
	KUNIT_CASE(accessed_and_dirty_are_the_cpus),
	KUNIT_CASE(addresses_outside_are_refused),
	KUNIT_CASE(bad_requests_are_refused),
	KUNIT_CASE(rights_of_every_level_count),
	KUNIT_CASE(denied_access_names_its_rule),
	KUNIT_CASE(demand_faults_are_resolved),
	KUNIT_CASE(cow_faults_are_resolved),
	KUNIT_CASE(both_ways_agree_on_random_tables),
	KUNIT_CASE(both_ways_agree_on_random_spaces),
	KUNIT_CASE(reserved_bits_never_reach_the_cpu),
	KUNIT_CASE(cpus_switch_at_the_same_time),
	KUNIT_CASE(freed_frame_is_never_seen),
	KUNIT_CASE(nmi_finds_our_root),
	KUNIT_CASE(espfix_aliases_read_alike),
	KUNIT_CASE(espfix_alias_is_read_only_for_all),
	KUNIT_CASE(espfix_failure_leaves_nothing),
	KUNIT_CASE(audit_finds_what_must_not_be),
	{}
};

struct kunit_suite kmm_mmu_suite = {
	.name = "kmm_mmu",
	.exit = kmm_test_exit,
	.test_cases = mmu_cases,
};
