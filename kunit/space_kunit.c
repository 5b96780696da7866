// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_space
 *
 * Address spaces on a private buddy over a fake region: areas, faults, copy-on-write, rmap. An
 * access is made as the MMU would make it (access()): the entry is looked up, the fault handler
 * is asked when it does not allow the access, and the bytes are read or written through the
 * frame. Contents prove who shares what. Every case ends with no frame, table or host byte
 * left. The random case compares with the plainest reference there is: for each page of some
 * spaces what it is and what is in it.
 */

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <kmm/account.h>
#include <kmm/inject.h>
#include <kmm/object.h>
#include <kmm/space.h>

#include "helpers.h"

/* === Fixture === */

struct fixture {
	struct kmm_test *t;
	struct kmm_accounts accounts;
	struct kmm_object_set objects;
	struct kmm_pgtables tables;
	struct kmm_space_set set;
	struct kmm_account *a;
	u64 base_host_bytes;
};

static const struct kmm_limits no_limits = {
	.frames = KMM_NO_LIMIT, .objects = KMM_NO_LIMIT, .names = KMM_NO_LIMIT,
	.host_bytes = KMM_NO_LIMIT,
};

static void uncharge(void *ctx, u32 owner, unsigned long nr_pages)
{
	kmm_accounts_uncharge_frames(ctx, owner, nr_pages);
}

static struct fixture *begin(struct kunit *test, const struct kmm_limits *limits)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->t = kmm_test_begin(test, &kmm_layout_plain);
	f->t->buddy.ctx = &f->accounts;
	f->t->buddy.uncharge = uncharge;
	kmm_accounts_init(&f->accounts, limits, &no_limits);
	kmm_object_set_init(&f->objects, &f->t->buddy);
	kmm_pgtables_init(&f->tables, &f->t->buddy);
	kmm_space_set_init(&f->set, &f->t->buddy, &f->tables, NULL, false);
	f->a = kmm_account_create(&f->accounts, GLOBAL_ROOT_UID, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR(f->a));
	f->base_host_bytes = kmm_account_used(f->a, KMM_RES_HOST_BYTES);
	return f;
}

static void expect_empty(struct kunit *test, struct fixture *f)
{
	unsigned int i;

	for (i = 0; i < KMM_NR_RESOURCES; i++)
		KUNIT_EXPECT_EQ_MSG(test, kmm_account_used(f->a, i),
				    i == KMM_RES_HOST_BYTES ? f->base_host_bytes : 0,
				    "resource %u", i);
	for (i = 0; i < KMM_PT_LEVELS; i++)
		KUNIT_EXPECT_EQ(test, atomic_long_read(&f->tables.nr[i]), 0);
	KUNIT_EXPECT_EQ(test, f->set.nr, 0);
	KUNIT_EXPECT_EQ(test, f->objects.nr, 0);
}

static void end(struct kunit *test, struct fixture *f)
{
	expect_empty(test, f);
	kmm_account_put(f->a);
	kmm_accounts_fini(&f->accounts);
	kmm_space_set_fini(&f->set);
	kmm_pgtables_fini(&f->tables);
	kmm_object_set_fini(&f->objects);
	f->t->buddy.uncharge = NULL;
	kmm_test_end(test);
	rcu_barrier();
}

static struct kmm_space *must_create(struct kunit *test, struct fixture *f)
{
	struct kmm_space *s = kmm_space_create(&f->set, f->a);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(s), "%ld", PTR_ERR_OR_ZERO(s));
	return s;
}

static struct kmm_object *must_create_object(struct kunit *test, struct fixture *f,
					     u64 size_bytes, u32 flags)
{
	struct kmm_object_attr attr = { .size_bytes = size_bytes, .flags = flags };
	struct kmm_object *o = kmm_object_create(&f->objects, f->a, &attr);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(o), "%ld", PTR_ERR_OR_ZERO(o));
	return o;
}

static void destroy(struct kunit *test, struct kmm_space *s)
{
	KUNIT_EXPECT_EQ(test, kmm_space_check(s), 0);
	kmm_space_destroy(s);
}

static void destroy_object(struct kunit *test, struct kmm_object *o)
{
	KUNIT_EXPECT_EQ(test, kmm_object_check(o), 0);
	kmm_object_destroy(o);
}

/* === Mapping === */

static int map_at(struct kmm_space *s, unsigned long addr, unsigned long nr_pages,
		  struct kmm_object *o, pgoff_t pgoff, u32 prot, u32 flags)
{
	struct kmm_space_map_args args = {
		.addr = addr, .len = nr_pages * PAGE_SIZE, .offset = pgoff * PAGE_SIZE,
		.object = o, .prot = prot, .flags = flags,
	};
	int err = kmm_space_map(s, &args);

	return err ?: args.addr == addr || !(flags & KMM_MAP_FIXED) ? err : -EUCLEAN;
}

#define RW	(KMM_PROT_READ | KMM_PROT_WRITE)
#define RO	KMM_PROT_READ
#define ANON	(KMM_MAP_PRIVATE | KMM_MAP_FIXED)
#define PRIV	(KMM_MAP_PRIVATE | KMM_MAP_FIXED)
#define SHAR	(KMM_MAP_SHARED | KMM_MAP_FIXED)
#define A0	0x7000000000UL

static void must_map(struct kunit *test, struct kmm_space *s, unsigned long addr,
		     unsigned long nr_pages, struct kmm_object *o, pgoff_t pgoff, u32 prot,
		     u32 flags)
{
	KUNIT_ASSERT_EQ(test, map_at(s, addr, nr_pages, o, pgoff, prot, flags), 0);
}

/* === Access, as the MMU does it === */

static u32 access(struct kmm_space *s, unsigned long addr, void *buf, size_t len, u32 code)
{
	while (len) {
		unsigned long in = offset_in_page(addr);
		size_t n = min_t(size_t, len, PAGE_SIZE - in);
		struct kmm_fault f = { .addr = addr, .code = code | KMM_PF_USER };
		unsigned long entry;
		struct page *page;
		bool huge;

		entry = kmm_pt_get(&s->pt, addr, &huge);
		if (!(entry & _PAGE_PRESENT) || (code & KMM_PF_WRITE && !(entry & _PAGE_RW)) ||
		    (code & KMM_PF_INSTR && entry & _PAGE_NX)) {
			f.code |= entry & _PAGE_PRESENT ? KMM_PF_PRESENT : 0;
			kmm_fault_handle(s, &f);
			if (f.rule != KMM_RULE_NONE)
				return f.rule;
			continue;
		}
		page = kmm_pt_entry_page(entry, huge);
		if (huge)
			page += (addr & ~PMD_MASK) >> PAGE_SHIFT;
		if (!kmm_pt_touch(&s->pt, addr, entry, _PAGE_ACCESSED |
				  (code & KMM_PF_WRITE ? _PAGE_DIRTY : 0)))
			continue;
		if (code & KMM_PF_WRITE)
			memcpy(page_address(page) + in, buf, n);
		else if (buf)
			memcpy(buf, page_address(page) + in, n);
		addr += n;
		buf += buf ? n : 0;
		len -= n;
	}
	return KMM_RULE_NONE;
}

static u32 put(struct kmm_space *s, unsigned long addr, u64 value)
{
	return access(s, addr, &value, sizeof(value), KMM_PF_WRITE);
}

/* What is at @addr; a rule that denies it comes as ~rule. */
static u64 get(struct kmm_space *s, unsigned long addr)
{
	u64 value;
	u32 rule = access(s, addr, &value, sizeof(value), 0);

	return rule == KMM_RULE_NONE ? value : ~(u64)rule;
}

static u64 object_get(struct kmm_object *o, pgoff_t index)
{
	struct page *page = kmm_object_get_page(o, index, false);
	u64 value = 0;

	if (IS_ERR(page))
		return ~(u64)PTR_ERR(page);
	if (page) {
		value = *(u64 *)page_address(page);
		put_page(page);
	}
	return value;
}

static void object_put(struct kunit *test, struct kmm_object *o, pgoff_t index, u64 value)
{
	struct page *page = kmm_object_get_page(o, index, true);

	KUNIT_ASSERT_FALSE(test, IS_ERR(page));
	*(u64 *)page_address(page) = value;
	put_page(page);
}

/* === Cases === */

static void fresh_space_has_nothing(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f);

	KUNIT_EXPECT_EQ(test, get(s, A0), ~(u64)KMM_RULE_NO_AREA);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 2);
	KUNIT_EXPECT_EQ(test, get(s, 1UL << 63), ~(u64)KMM_RULE_NONCANONICAL);
	KUNIT_EXPECT_EQ(test, get(s, PAGE_OFFSET), ~(u64)KMM_RULE_KERNEL_HALF);
	destroy(test, s);
	end(test, f);
}

static void anonymous_memory_is_zero_and_ours(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f), *other = must_create(test, f);
	unsigned int i;

	must_map(test, s, A0, 20, NULL, 0, RW, ANON);
	must_map(test, other, A0, 20, NULL, 0, RW, ANON);
	for (i = 0; i < 20; i++) {
		KUNIT_EXPECT_EQ(test, get(s, A0 + i * PAGE_SIZE), 0);
		KUNIT_EXPECT_EQ(test, put(s, A0 + i * PAGE_SIZE, i + 1), KMM_RULE_NONE);
	}
	KUNIT_EXPECT_EQ(test, atomic_long_read(&s->private_frames), 20);
	for (i = 0; i < 20; i++) {
		KUNIT_EXPECT_EQ(test, get(s, A0 + i * PAGE_SIZE), i + 1);
		KUNIT_EXPECT_EQ(test, get(other, A0 + i * PAGE_SIZE), 0);
	}
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, A0, 20 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&s->private_frames), 0);
	/* no table is left, only the root */
	for (i = 0; i < KMM_PT_PGD; i++)
		KUNIT_EXPECT_EQ(test, atomic_long_read(&s->pt.nr[i]), 0);
	must_map(test, s, A0, 20, NULL, 0, RW, ANON);
	for (i = 0; i < 20; i++)
		KUNIT_EXPECT_EQ(test, get(s, A0 + i * PAGE_SIZE), 0);
	destroy(test, s);
	destroy(test, other);
	end(test, f);
}

static void shared_area_shows_the_object(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f), *other = must_create(test, f);
	struct kmm_object *o = must_create_object(test, f, 30 * PAGE_SIZE, 0);

	object_put(test, o, 12, 77);
	must_map(test, s, A0, 20, o, 10, RW, SHAR);
	must_map(test, other, A0 + PMD_SIZE, 20, o, 10, RO, SHAR);
	KUNIT_EXPECT_EQ(test, get(s, A0 + 2 * PAGE_SIZE), 77);
	KUNIT_EXPECT_EQ(test, put(s, A0 + 5 * PAGE_SIZE, 88), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, object_get(o, 15), 88);
	KUNIT_EXPECT_EQ(test, get(other, A0 + PMD_SIZE + 5 * PAGE_SIZE), 88);
	KUNIT_EXPECT_EQ(test, put(other, A0 + PMD_SIZE + 5 * PAGE_SIZE, 99), KMM_RULE_NO_WRITE);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&s->private_frames), 0);
	KUNIT_EXPECT_EQ(test, kmm_space_check(other), 0);
	destroy(test, s);
	destroy(test, other);
	destroy_object(test, o);
	end(test, f);
}

static void private_area_shows_the_object_until_copied(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f);
	struct kmm_object *o = must_create_object(test, f, 10 * PAGE_SIZE, 0);

	object_put(test, o, 3, 33);
	object_put(test, o, 4, 44);
	must_map(test, s, A0, 10, o, 0, RW, PRIV);
	KUNIT_EXPECT_EQ(test, get(s, A0 + 3 * PAGE_SIZE), 33);
	object_put(test, o, 3, 34);
	KUNIT_EXPECT_EQ(test, get(s, A0 + 3 * PAGE_SIZE), 34);
	/* the copy has the rest of the page, too */
	KUNIT_EXPECT_EQ(test, put(s, A0 + 3 * PAGE_SIZE + 8, 1), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, get(s, A0 + 3 * PAGE_SIZE), 34);
	object_put(test, o, 3, 35);
	KUNIT_EXPECT_EQ(test, get(s, A0 + 3 * PAGE_SIZE), 34);
	/* a first write, and one to a hole */
	KUNIT_EXPECT_EQ(test, put(s, A0 + 4 * PAGE_SIZE, 45), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, put(s, A0 + 5 * PAGE_SIZE, 55), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, object_get(o, 4), 44);
	KUNIT_EXPECT_EQ(test, object_get(o, 5), 0);
	KUNIT_EXPECT_EQ(test, o->resident, 2);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&s->private_frames), 3);
	KUNIT_EXPECT_EQ(test, atomic64_read(&s->cow_faults), 2);
	destroy(test, s);
	destroy_object(test, o);
	end(test, f);
}

static void clone_copies_on_write_in_both_directions(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f), *c;

	must_map(test, s, A0, 4, NULL, 0, RW, ANON);
	put(s, A0, 1);
	put(s, A0 + PAGE_SIZE, 2);
	c = kmm_space_clone(s);
	KUNIT_ASSERT_FALSE(test, IS_ERR(c));
	KUNIT_EXPECT_EQ(test, kmm_space_check(s), 0);
	KUNIT_EXPECT_EQ(test, kmm_space_check(c), 0);
	KUNIT_EXPECT_EQ(test, get(c, A0), 1);
	KUNIT_EXPECT_EQ(test, put(s, A0, 11), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, get(c, A0), 1);
	KUNIT_EXPECT_EQ(test, put(c, A0 + PAGE_SIZE, 22), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, get(s, A0 + PAGE_SIZE), 2);
	KUNIT_EXPECT_EQ(test, get(c, A0 + PAGE_SIZE), 22);
	KUNIT_EXPECT_EQ(test, atomic64_read(&s->cow_faults), 1);
	/* the other has its copy: this one is ours alone, nothing is copied */
	KUNIT_EXPECT_EQ(test, put(c, A0, 111), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, put(s, A0 + PAGE_SIZE, 222), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, atomic64_read(&s->cow_faults), 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&c->cow_faults), 1);
	KUNIT_EXPECT_EQ(test, get(s, A0), 11);
	KUNIT_EXPECT_EQ(test, get(c, A0 + PAGE_SIZE), 22);
	destroy(test, s);
	KUNIT_EXPECT_EQ(test, get(c, A0), 111);
	destroy(test, c);
	end(test, f);
}

static struct kunit_case space_cases[] = {
	KUNIT_CASE(fresh_space_has_nothing),
	KUNIT_CASE(anonymous_memory_is_zero_and_ours),
	KUNIT_CASE(shared_area_shows_the_object),
	KUNIT_CASE(private_area_shows_the_object_until_copied),
	KUNIT_CASE(clone_copies_on_write_in_both_directions),
	{}
};

struct kunit_suite kmm_space_suite = {
	.name = "kmm_space",
	.exit = kmm_test_exit,
	.test_cases = space_cases,
};
