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

#include <linux/anon_inodes.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
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
	kmm_object_set_init(&f->objects, &f->t->buddy, NULL);
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
	kmm_buddy_recheck_quarantine(&f->t->buddy);
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

/* One page; true when the tables allowed it. */
static bool access_page(struct kmm_space *s, unsigned long addr, void *buf, size_t n, u32 *code)
{
	u32 bits = _PAGE_ACCESSED | (*code & KMM_PF_WRITE ? _PAGE_DIRTY : 0);
	unsigned long entry;
	bool huge, ok;
	struct page *page;
	void *p;

	down_read(&s->lock);
	entry = kmm_pt_get(&s->pt, addr, &huge);
	*code |= entry & _PAGE_PRESENT ? KMM_PF_PRESENT : 0;
	ok = entry & _PAGE_PRESENT && !(*code & KMM_PF_WRITE && !(entry & _PAGE_RW)) &&
	     !(*code & KMM_PF_INSTR && entry & _PAGE_NX);
	if (ok) {
		page = kmm_pt_entry_page(entry, huge);
		if (huge)
			page += (addr & ~PMD_MASK) >> PAGE_SHIFT;
		/* Whoever takes the frame away now finds it held, and lets it rest. */
		get_page(page);
		ok = kmm_pt_touch(&s->pt, addr, entry, bits);
		p = page_address(page) + offset_in_page(addr);
		if (ok && *code & KMM_PF_WRITE)
			memcpy(p, buf, n);
		else if (ok && buf)
			memcpy(buf, p, n);
		put_page(page);
	}
	up_read(&s->lock);
	return ok;
}

static u32 access(struct kmm_space *s, unsigned long addr, void *buf, size_t len, u32 code)
{
	while (len) {
		size_t n = min_t(size_t, len, PAGE_SIZE - offset_in_page(addr));
		struct kmm_fault f = { .addr = addr, .code = code | KMM_PF_USER };

		if (!access_page(s, addr, buf, n, &f.code)) {
			kmm_fault_handle(s, &f);
			if (f.rule != KMM_RULE_NONE)
				return f.rule;
			continue;
		}
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

static void shared_frame_is_dropped_by_the_last(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s[4];
	unsigned long used;
	unsigned int i;

	s[0] = must_create(test, f);
	must_map(test, s[0], A0, 1, NULL, 0, RW, PRIV);
	put(s[0], A0, 5);
	for (i = 1; i < 4; i++) {
		s[i] = kmm_space_clone(s[i - 1]);
		KUNIT_ASSERT_FALSE(test, IS_ERR(s[i]));
	}
	used = kmm_account_used(f->a, KMM_RES_FRAMES);
	/* three write: three copies, the last one keeps the first frame */
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, put(s[i], A0, 100 + i), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), used + 3);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, get(s[i], A0), 100 + i);
	/* unmap in a clone drops a share, too */
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s[2], A0, PAGE_SIZE), 0);
	for (i = 0; i < 4; i++)
		destroy(test, s[i]);
	end(test, f);
}

static void bad_ranges_have_their_errno(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f);
	u64 top = kmm_space_end();
	const struct {
		u64 addr, len;
		int err;
	} bad[] = {
		{ A0, 0, -EINVAL },
		{ A0 + 1, PAGE_SIZE, -EINVAL },
		{ A0 + PAGE_SIZE - 1, PAGE_SIZE, -EINVAL },
		{ 0, PAGE_SIZE, -ENXIO },
		{ KMM_SPACE_MIN - PAGE_SIZE, PAGE_SIZE, -ENXIO },
		{ top, PAGE_SIZE, -ENXIO },
		{ top - PAGE_SIZE, PAGE_SIZE + 1, -ENXIO },
		{ 1ULL << 63, PAGE_SIZE, -ENXIO },
		{ PAGE_OFFSET, PAGE_SIZE, -ENXIO },
		{ A0, U64_MAX, -EOVERFLOW },
		{ A0, U64_MAX - PAGE_SIZE + 1, -EOVERFLOW },
		{ A0, U64_MAX - A0 + 1, -EOVERFLOW },
		{ -PAGE_SIZE, PAGE_SIZE, -EOVERFLOW },
		{ A0, 1ULL << 62, -ENXIO },
	};
	unsigned int i;

	must_map(test, s, A0, 1, NULL, 0, RW, PRIV);
	put(s, A0, 9);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct kmm_space_map_args args = {
			.addr = bad[i].addr, .len = bad[i].len, .prot = RW,
			.flags = PRIV | KMM_MAP_REPLACE,
		};

		KUNIT_EXPECT_EQ_MSG(test, kmm_space_map(s, &args), bad[i].err, "map %u", i);
		KUNIT_EXPECT_EQ_MSG(test, kmm_space_unmap(s, bad[i].addr, bad[i].len), bad[i].err,
				    "unmap %u", i);
		KUNIT_EXPECT_EQ_MSG(test, kmm_space_protect(s, bad[i].addr, bad[i].len, RO),
				    bad[i].err, "protect %u", i);
	}
	/* the very first and the very last page */
	must_map(test, s, KMM_SPACE_MIN, 1, NULL, 0, RW, PRIV);
	must_map(test, s, top - PAGE_SIZE, 1, NULL, 0, RW, PRIV);
	KUNIT_EXPECT_EQ(test, put(s, KMM_SPACE_MIN, 1), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, put(s, top - 8, 2), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, s->nr_areas, 3);
	KUNIT_EXPECT_EQ(test, get(s, A0), 9);
	destroy(test, s);
	end(test, f);
}

static void bad_arguments_have_their_errno(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f);
	struct kmm_object *o = must_create_object(test, f, 10 * PAGE_SIZE, 0);
	const struct {
		u32 prot, flags;
		bool object;
		u64 offset;
		int err;
	} bad[] = {
		{ RW, 0, true, 0, -EINVAL },
		{ RW, KMM_MAP_FIXED, true, 0, -EINVAL },
		{ RW, KMM_MAP_SHARED | KMM_MAP_PRIVATE, true, 0, -EINVAL },
		{ 0, KMM_MAP_GUARD | KMM_MAP_PRIVATE, false, 0, -EINVAL },
		{ RW, KMM_MAP_GUARD, false, 0, -EINVAL },
		{ 0, KMM_MAP_GUARD, true, 0, -EINVAL },
		{ RW, KMM_MAP_SHARED, false, 0, -EINVAL },
		{ RW, KMM_MAP_PRIVATE, false, PAGE_SIZE, -EINVAL },
		{ RW, KMM_MAP_PRIVATE | KMM_MAP_REPLACE, false, 0, -EINVAL },
		{ RW, KMM_MAP_PRIVATE | 1U << 7, false, 0, -EINVAL },
		{ 8, KMM_MAP_PRIVATE, false, 0, -EINVAL },
		{ RW, KMM_MAP_SHARED, true, 1, -EINVAL },
		{ RW, KMM_MAP_SHARED, true, -PAGE_SIZE, -EOVERFLOW },
		{ RW, KMM_MAP_SHARED, true, KMM_OBJECT_SIZE_MAX, -EFBIG },
		{ RW | KMM_PROT_EXEC, KMM_MAP_PRIVATE, false, 0, -EACCES },
		{ KMM_PROT_WRITE | KMM_PROT_EXEC, KMM_MAP_SHARED, true, 0, -EACCES },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct kmm_space_map_args args = {
			.addr = A0, .len = PAGE_SIZE, .prot = bad[i].prot, .flags = bad[i].flags,
			.object = bad[i].object ? o : NULL, .offset = bad[i].offset,
		};

		KUNIT_EXPECT_EQ_MSG(test, kmm_space_map(s, &args), bad[i].err, "%u", i);
	}
	KUNIT_EXPECT_EQ(test, s->nr_areas, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&o->areas));
	must_map(test, s, A0, 1, NULL, 0, RW, PRIV);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0, PAGE_SIZE, 8), -EINVAL);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0, PAGE_SIZE, RW | KMM_PROT_EXEC), -EACCES);
	/* where the policy allows it */
	f->set.allow_wx = true;
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0, PAGE_SIZE, RW | KMM_PROT_EXEC), 0);
	destroy(test, s);
	destroy_object(test, o);
	end(test, f);
}

static void search_takes_the_lowest_gap(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f);
	struct kmm_space_map_args args = { .len = 3 * PAGE_SIZE, .flags = KMM_MAP_GUARD };
	const unsigned long at = KMM_SPACE_MIN;

	KUNIT_EXPECT_EQ(test, kmm_space_map(s, &args), 0);
	KUNIT_EXPECT_EQ(test, args.addr, at);
	/* gaps of 2, 4 and 8 pages */
	must_map(test, s, at + 5 * PAGE_SIZE, 1, NULL, 0, RW, PRIV);
	must_map(test, s, at + 10 * PAGE_SIZE, 1, NULL, 0, RO, PRIV);
	must_map(test, s, at + 19 * PAGE_SIZE, 1, NULL, 0, RW, PRIV);
	args = (struct kmm_space_map_args) { .len = 4 * PAGE_SIZE, .flags = KMM_MAP_GUARD };
	KUNIT_EXPECT_EQ(test, kmm_space_map(s, &args), 0);
	KUNIT_EXPECT_EQ(test, args.addr, at + 6 * PAGE_SIZE);
	args.addr = 0;
	KUNIT_EXPECT_EQ(test, kmm_space_map(s, &args), 0);
	KUNIT_EXPECT_EQ(test, args.addr, at + 11 * PAGE_SIZE);
	/* a hint that is free, one that is not, one that is no address */
	args = (struct kmm_space_map_args) { .addr = A0, .len = PAGE_SIZE, .flags = KMM_MAP_GUARD };
	KUNIT_EXPECT_EQ(test, kmm_space_map(s, &args), 0);
	KUNIT_EXPECT_EQ(test, args.addr, A0);
	KUNIT_EXPECT_EQ(test, kmm_space_map(s, &args), 0);
	KUNIT_EXPECT_EQ(test, args.addr, at + 3 * PAGE_SIZE);
	args.addr = 1ULL << 63;
	KUNIT_EXPECT_EQ(test, kmm_space_map(s, &args), 0);
	KUNIT_EXPECT_EQ(test, args.addr, at + 4 * PAGE_SIZE);
	/* aligned for 2 MiB leaves */
	args = (struct kmm_space_map_args) {
		.len = PMD_SIZE, .flags = KMM_MAP_PRIVATE | KMM_MAP_HUGE, .prot = RW,
	};
	KUNIT_EXPECT_EQ(test, kmm_space_map(s, &args), 0);
	KUNIT_EXPECT_EQ(test, args.addr, PMD_SIZE);
	/* more than there is; all there is */
	args = (struct kmm_space_map_args) { .len = 1ULL << 60, .flags = KMM_MAP_GUARD };
	KUNIT_EXPECT_EQ(test, kmm_space_map(s, &args), -ENOMEM);
	args.len = kmm_space_end() - A0 - PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, kmm_space_map(s, &args), 0);
	KUNIT_EXPECT_EQ(test, args.addr, A0 + PAGE_SIZE);
	args = (struct kmm_space_map_args) { .len = A0, .flags = KMM_MAP_GUARD };
	KUNIT_EXPECT_EQ(test, kmm_space_map(s, &args), -ENOMEM);
	destroy(test, s);
	end(test, f);
}

static void neighbours_that_say_the_same_are_one(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f);
	struct kmm_object *o = must_create_object(test, f, 100 * PAGE_SIZE, 0);

	must_map(test, s, A0, 10, NULL, 0, RW, PRIV);
	must_map(test, s, A0 + 20 * PAGE_SIZE, 10, NULL, 0, RW, PRIV);
	KUNIT_EXPECT_EQ(test, s->nr_areas, 2);
	must_map(test, s, A0 + 10 * PAGE_SIZE, 10, NULL, 0, RW, PRIV);
	KUNIT_EXPECT_EQ(test, s->nr_areas, 1);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0 + 5 * PAGE_SIZE, 3 * PAGE_SIZE, RO), 0);
	KUNIT_EXPECT_EQ(test, s->nr_areas, 3);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0 + 8 * PAGE_SIZE, 2 * PAGE_SIZE, RO), 0);
	KUNIT_EXPECT_EQ(test, s->nr_areas, 3);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0, 30 * PAGE_SIZE, RW), 0);
	KUNIT_EXPECT_EQ(test, s->nr_areas, 1);
	/* of an object: only where the pages follow each other, too */
	must_map(test, s, A0 + 30 * PAGE_SIZE, 5, o, 10, RW, SHAR);
	must_map(test, s, A0 + 35 * PAGE_SIZE, 5, o, 16, RW, SHAR);
	must_map(test, s, A0 + 40 * PAGE_SIZE, 5, o, 21, RW, SHAR);
	must_map(test, s, A0 + 45 * PAGE_SIZE, 5, o, 26, RW, PRIV);
	KUNIT_EXPECT_EQ(test, s->nr_areas, 4);
	KUNIT_EXPECT_EQ(test, put(s, A0 + 41 * PAGE_SIZE, 22), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, object_get(o, 22), 22);
	KUNIT_EXPECT_EQ(test, kmm_space_check(s), 0);
	KUNIT_EXPECT_EQ(test, s->mapped_bytes, 50 * PAGE_SIZE);
	destroy(test, s);
	KUNIT_EXPECT_TRUE(test, list_empty(&o->areas));
	destroy_object(test, o);
	end(test, f);
}

static void unmap_takes_exactly_the_range(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f);
	struct kmm_object *o = must_create_object(test, f, 100 * PAGE_SIZE, 0);
	unsigned int i;

	must_map(test, s, A0, 10, NULL, 0, RW, PRIV);
	must_map(test, s, A0 + 12 * PAGE_SIZE, 10, o, 0, RW, SHAR);
	for (i = 0; i < 22; i++)
		if (i < 10 || i >= 12)
			put(s, A0 + i * PAGE_SIZE, 1000 + i);
	/* the middle of one, with a length that is no multiple of a page */
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, A0 + 3 * PAGE_SIZE, PAGE_SIZE + 1), 0);
	KUNIT_EXPECT_EQ(test, s->nr_areas, 3);
	/* the end of one, a hole, the head of another */
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, A0 + 8 * PAGE_SIZE, 7 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, s->nr_areas, 3);
	/* the middle of an object's */
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, A0 + 17 * PAGE_SIZE, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, kmm_space_check(s), 0);
	for (i = 0; i < 22; i++) {
		bool gone = i == 3 || i == 4 || (i >= 8 && i < 15) || i == 17;

		KUNIT_EXPECT_EQ_MSG(test, get(s, A0 + i * PAGE_SIZE),
				    gone ? ~(u64)KMM_RULE_NO_AREA : 1000 + i, "page %u", i);
	}
	KUNIT_EXPECT_EQ(test, s->mapped_bytes, 12 * PAGE_SIZE);
	/* what is mapped again is new, or the object as it was left */
	must_map(test, s, A0 + 3 * PAGE_SIZE, 1, NULL, 0, RW, PRIV);
	KUNIT_EXPECT_EQ(test, get(s, A0 + 3 * PAGE_SIZE), 0);
	must_map(test, s, A0 + 17 * PAGE_SIZE, 1, o, 5, RW, SHAR);
	KUNIT_EXPECT_EQ(test, get(s, A0 + 17 * PAGE_SIZE), 1017);
	/* nothing there: no error */
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, A0 + PMD_SIZE, PMD_SIZE), 0);
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, KMM_SPACE_MIN,
					      kmm_space_end() - KMM_SPACE_MIN), 0);
	KUNIT_EXPECT_EQ(test, s->nr_areas, 0);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 2 + o->resident);
	destroy(test, s);
	destroy_object(test, o);
	end(test, f);
}

static void fixed_refuses_and_replace_takes(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f);

	must_map(test, s, A0, 10, NULL, 0, RW, PRIV);
	put(s, A0, 1);
	put(s, A0 + 5 * PAGE_SIZE, 6);
	KUNIT_EXPECT_EQ(test, map_at(s, A0 + 9 * PAGE_SIZE, 5, NULL, 0, RW, PRIV), -EEXIST);
	KUNIT_EXPECT_EQ(test, map_at(s, A0 - PAGE_SIZE, 2, NULL, 0, RW, PRIV), -EEXIST);
	KUNIT_EXPECT_EQ(test, map_at(s, A0 + 4 * PAGE_SIZE, 3, NULL, 0, RO,
				     PRIV | KMM_MAP_REPLACE), 0);
	KUNIT_EXPECT_EQ(test, s->nr_areas, 3);
	KUNIT_EXPECT_EQ(test, get(s, A0), 1);
	KUNIT_EXPECT_EQ(test, get(s, A0 + 5 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, put(s, A0 + 5 * PAGE_SIZE, 1), KMM_RULE_NO_WRITE);
	KUNIT_EXPECT_EQ(test, map_at(s, A0 - PAGE_SIZE, 20, NULL, 0, 0,
				     KMM_MAP_GUARD | KMM_MAP_FIXED | KMM_MAP_REPLACE), 0);
	KUNIT_EXPECT_EQ(test, s->nr_areas, 1);
	KUNIT_EXPECT_EQ(test, get(s, A0), ~(u64)KMM_RULE_GUARD);
	KUNIT_EXPECT_EQ(test, put(s, A0, 1), KMM_RULE_GUARD);
	destroy(test, s);
	end(test, f);
}

static void protect_changes_all_or_nothing(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f);
	struct kmm_object *o = must_create_object(test, f, 100 * PAGE_SIZE, 0);
	unsigned int i;

	must_map(test, s, A0, 10, NULL, 0, RW, PRIV);
	must_map(test, s, A0 + 10 * PAGE_SIZE, 10, o, 0, RW, PRIV);
	must_map(test, s, A0 + 20 * PAGE_SIZE, 10, o, 50, RW, SHAR);
	for (i = 0; i < 30; i++)
		put(s, A0 + i * PAGE_SIZE, i + 1);
	/* a hole behind, before, a guard in the middle */
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0, 31 * PAGE_SIZE, RO), -ENOENT);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0 - PAGE_SIZE, 5 * PAGE_SIZE, RO), -ENOENT);
	must_map(test, s, A0 + 30 * PAGE_SIZE, 1, NULL, 0, 0, KMM_MAP_GUARD | KMM_MAP_FIXED);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0, 31 * PAGE_SIZE, RO), -ENOENT);
	KUNIT_EXPECT_EQ(test, s->nr_areas, 4);
	for (i = 0; i < 30; i++)
		KUNIT_EXPECT_EQ(test, put(s, A0 + i * PAGE_SIZE, i + 2), KMM_RULE_NONE);
	/* from the middle of the first to the middle of the third */
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0 + 5 * PAGE_SIZE, 20 * PAGE_SIZE, RO), 0);
	KUNIT_EXPECT_EQ(test, s->nr_areas, 6);
	KUNIT_EXPECT_EQ(test, kmm_space_check(s), 0);
	for (i = 0; i < 30; i++) {
		KUNIT_EXPECT_EQ(test, put(s, A0 + i * PAGE_SIZE, i + 3),
				i >= 5 && i < 25 ? KMM_RULE_NO_WRITE : KMM_RULE_NONE);
		KUNIT_EXPECT_EQ(test, get(s, A0 + i * PAGE_SIZE), i >= 5 && i < 25 ? i + 2 : i + 3);
	}
	/* no right at all and back: everything is as it was */
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0, 30 * PAGE_SIZE, 0), 0);
	KUNIT_EXPECT_EQ(test, kmm_space_check(s), 0);
	for (i = 0; i < 30; i++) {
		KUNIT_EXPECT_EQ(test, get(s, A0 + i * PAGE_SIZE), ~(u64)KMM_RULE_NO_ACCESS);
		KUNIT_EXPECT_EQ(test, put(s, A0 + i * PAGE_SIZE, 0), KMM_RULE_NO_ACCESS);
	}
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0, 30 * PAGE_SIZE, KMM_PROT_WRITE), 0);
	KUNIT_EXPECT_EQ(test, s->nr_areas, 4);
	for (i = 0; i < 30; i++) {
		KUNIT_EXPECT_EQ(test, get(s, A0 + i * PAGE_SIZE), i >= 5 && i < 25 ? i + 2 : i + 3);
		KUNIT_EXPECT_EQ(test, put(s, A0 + i * PAGE_SIZE, i), KMM_RULE_NONE);
	}
	/* the right to execute is the leaf's */
	KUNIT_EXPECT_EQ(test, access(s, A0, NULL, 1, KMM_PF_INSTR), KMM_RULE_NO_EXEC);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0, PAGE_SIZE, KMM_PROT_EXEC), 0);
	KUNIT_EXPECT_EQ(test, access(s, A0, NULL, 1, KMM_PF_INSTR), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, put(s, A0, 1), KMM_RULE_NO_WRITE);
	destroy(test, s);
	destroy_object(test, o);
	end(test, f);
}

/* === Descriptors and seals === */

static const struct file_operations no_fops = { };

static struct file *must_open(struct kunit *test, int flags)
{
	struct file *file = anon_inode_getfile("[kmm_kunit]", &no_fops, NULL, flags);

	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	return file;
}

static int map_file(struct kmm_space *s, unsigned long addr, struct kmm_object *o,
		    struct file *file, u32 prot, u32 flags)
{
	struct kmm_space_map_args args = {
		.addr = addr, .len = PAGE_SIZE, .object = o, .file = file, .prot = prot,
		.flags = flags,
	};

	return kmm_space_map(s, &args);
}

static void descriptor_limits_the_rights(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f), *c;
	struct kmm_object *o = must_create_object(test, f, 10 * PAGE_SIZE, 0);
	struct file *rw = must_open(test, O_RDWR), *ro = must_open(test, O_RDONLY);
	struct file *wo = must_open(test, O_WRONLY);

	KUNIT_EXPECT_EQ(test, map_file(s, A0, o, ro, RW, SHAR), -EACCES);
	KUNIT_EXPECT_EQ(test, map_file(s, A0, o, wo, RW, SHAR), -EACCES);
	KUNIT_EXPECT_EQ(test, map_file(s, A0, o, wo, RO, PRIV), -EACCES);
	KUNIT_EXPECT_EQ(test, file_count(ro), 1);
	KUNIT_EXPECT_EQ(test, map_file(s, A0, o, ro, RO, SHAR), 0);
	KUNIT_EXPECT_EQ(test, map_file(s, A0 + PAGE_SIZE, o, ro, RW, PRIV), 0);
	KUNIT_EXPECT_EQ(test, file_count(ro), 3);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0, PAGE_SIZE, RW), -EACCES);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0, PAGE_SIZE, RO | KMM_PROT_EXEC), 0);
	/* all or nothing over two areas */
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0, 2 * PAGE_SIZE, RW), -EACCES);
	KUNIT_EXPECT_EQ(test, put(s, A0 + PAGE_SIZE, 1), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, put(s, A0, 1), KMM_RULE_NO_WRITE);
	KUNIT_EXPECT_EQ(test, map_file(s, A0 + 2 * PAGE_SIZE, o, rw, RW, SHAR), 0);
	c = kmm_space_clone(s);
	KUNIT_ASSERT_FALSE(test, IS_ERR(c));
	KUNIT_EXPECT_EQ(test, file_count(ro), 5);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(c, A0, PAGE_SIZE, RW), -EACCES);
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, A0, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, file_count(ro), 4);
	destroy(test, s);
	destroy(test, c);
	KUNIT_EXPECT_EQ(test, file_count(ro), 1);
	KUNIT_EXPECT_EQ(test, file_count(rw), 1);
	fput(ro);
	fput(rw);
	fput(wo);
	flush_delayed_fput();
	destroy_object(test, o);
	end(test, f);
}

static void seal_and_writable_area_exclude_each_other(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f), *c;
	struct address_space *mapping = kunit_kzalloc(test, sizeof(*mapping), GFP_KERNEL);
	struct kmm_object_attr attr = { .size_bytes = 10 * PAGE_SIZE, .mapping = mapping };
	struct file *rw = must_open(test, O_RDWR);
	struct kmm_object *o;

	KUNIT_ASSERT_NOT_NULL(test, mapping);
	o = kmm_object_create(&f->objects, f->a, &attr);
	KUNIT_ASSERT_FALSE(test, IS_ERR(o));

	KUNIT_EXPECT_EQ(test, map_file(s, A0, o, rw, RW, SHAR), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_WRITE), -EBUSY);
	/* one that could become writable counts as well, and so does its clone */
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0, PAGE_SIZE, RO), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_WRITE), -EBUSY);
	c = kmm_space_clone(s);
	KUNIT_ASSERT_FALSE(test, IS_ERR(c));
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, A0, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_WRITE), -EBUSY);
	destroy(test, c);
	/* no longer a new one; what is there stays */
	KUNIT_EXPECT_EQ(test, map_file(s, A0, o, rw, RW, SHAR), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_FUTURE_WRITE), 0);
	KUNIT_EXPECT_EQ(test, map_file(s, A0 + PAGE_SIZE, o, rw, RW, SHAR), -EPERM);
	KUNIT_EXPECT_EQ(test, map_file(s, A0 + PAGE_SIZE, o, rw, RO, SHAR), 0);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0 + PAGE_SIZE, PAGE_SIZE, RW), -EACCES);
	KUNIT_EXPECT_EQ(test, put(s, A0, 3), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_WRITE), -EBUSY);
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, A0, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, kmm_object_add_seals(o, KMM_SEAL_WRITE), 0);
	KUNIT_EXPECT_EQ(test, map_file(s, A0, o, rw, RW, SHAR), -EPERM);
	KUNIT_EXPECT_EQ(test, map_file(s, A0, o, rw, RO, SHAR), 0);
	KUNIT_EXPECT_EQ(test, get(s, A0), 3);
	/* a private area may write: it has copies */
	KUNIT_EXPECT_EQ(test, map_file(s, A0 + 2 * PAGE_SIZE, o, rw, RW, PRIV), 0);
	KUNIT_EXPECT_EQ(test, put(s, A0 + 2 * PAGE_SIZE, 4), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, get(s, A0), 3);
	destroy(test, s);
	/* whoever was counted is not any more */
	KUNIT_EXPECT_EQ(test, atomic_read(&mapping->i_mmap_writable), 0);
	KUNIT_EXPECT_EQ(test, file_count(rw), 1);
	fput(rw);
	flush_delayed_fput();
	destroy_object(test, o);
	end(test, f);
}

/* === Revocation === */

static void punch_and_shrink_are_seen_at_once(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f), *p = must_create(test, f);
	struct kmm_object *o = must_create_object(test, f, 40 * PAGE_SIZE, 0);
	unsigned int i;

	must_map(test, s, A0, 40, o, 0, RW, SHAR);
	must_map(test, p, A0, 30, o, 10, RW, PRIV);
	for (i = 0; i < 40; i++)
		put(s, A0 + i * PAGE_SIZE, i + 1);
	for (i = 10; i < 40; i++)
		KUNIT_EXPECT_EQ(test, get(p, A0 + (i - 10) * PAGE_SIZE), i + 1);
	/* copies of 20 .. 24 */
	for (i = 20; i < 25; i++)
		put(p, A0 + (i - 10) * PAGE_SIZE, 2 * i);

	KUNIT_EXPECT_EQ(test, kmm_object_punch(o, 15 * PAGE_SIZE, 8 * PAGE_SIZE), 0);
	for (i = 15; i < 23; i++) {
		KUNIT_EXPECT_EQ(test, kmm_pt_get(&s->pt, A0 + i * PAGE_SIZE, NULL), 0);
		KUNIT_EXPECT_EQ(test, !kmm_pt_get(&p->pt, A0 + (i - 10) * PAGE_SIZE, NULL), i < 20);
	}
	KUNIT_EXPECT_EQ(test, kmm_space_check(s), 0);
	KUNIT_EXPECT_EQ(test, kmm_space_check(p), 0);
	for (i = 0; i < 40; i++)
		KUNIT_EXPECT_EQ(test, get(s, A0 + i * PAGE_SIZE), i >= 15 && i < 23 ? 0 : i + 1);
	for (i = 10; i < 40; i++)
		KUNIT_EXPECT_EQ(test, get(p, A0 + (i - 10) * PAGE_SIZE),
				i >= 20 && i < 25 ? 2 * i : i >= 15 && i < 23 ? 0 : i + 1);

	/* what was behind the end is gone, and comes back as zeros */
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 12 * PAGE_SIZE), 0);
	for (i = 12; i < 40; i++) {
		KUNIT_EXPECT_EQ(test, get(s, A0 + i * PAGE_SIZE), ~(u64)KMM_RULE_OBJECT);
		KUNIT_EXPECT_EQ(test, get(p, A0 + (i - 10) * PAGE_SIZE),
				i >= 20 && i < 25 ? 2 * i : ~(u64)KMM_RULE_OBJECT);
	}
	KUNIT_EXPECT_EQ(test, put(p, A0 + 20 * PAGE_SIZE, 1), KMM_RULE_OBJECT);
	KUNIT_EXPECT_EQ(test, kmm_object_resize(o, 40 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, get(s, A0 + 30 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, get(s, A0 + 11 * PAGE_SIZE), 12);
	destroy(test, s);
	destroy(test, p);
	destroy_object(test, o);
	end(test, f);
}

static void dirty_and_young_reach_the_object(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f), *p = must_create(test, f);
	struct kmm_object *o = must_create_object(test, f, 4 * PAGE_SIZE, KMM_OBJECT_EAGER);
	struct page *page[4];
	unsigned int i;

	must_map(test, s, A0, 4, o, 0, RW, SHAR);
	must_map(test, p, A0, 4, o, 0, RW, PRIV);
	for (i = 0; i < 4; i++) {
		page[i] = kmm_object_get_page(o, i, false);
		KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page[i]));
		/* what was populated counts as written */
		ClearPageDirty(page[i]);
		put_page(page[i]);
	}
	get(s, A0);
	put(s, A0 + PAGE_SIZE, 1);
	get(p, A0 + 2 * PAGE_SIZE);
	put(p, A0 + 3 * PAGE_SIZE, 1);
	for (i = 0; i < 4; i++) {
		/* the fourth was touched in its copy only */
		KUNIT_EXPECT_EQ(test, kmm_rmap_test_and_clear_young(o, i), i < 3);
		KUNIT_EXPECT_FALSE(test, kmm_rmap_test_and_clear_young(o, i));
		KUNIT_EXPECT_FALSE(test, PageDirty(page[i]));
	}
	get(s, A0 + 2 * PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, kmm_rmap_test_and_clear_young(o, 2));
	kmm_rmap_unmap(o, 0, ULONG_MAX);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, PageDirty(page[i]), i == 1);
		KUNIT_EXPECT_EQ(test, kmm_pt_get(&s->pt, A0 + i * PAGE_SIZE, NULL), 0);
	}
	/* by unmap, too */
	put(s, A0 + 2 * PAGE_SIZE, 1);
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, A0, 4 * PAGE_SIZE), 0);
	KUNIT_EXPECT_TRUE(test, PageDirty(page[2]));
	KUNIT_EXPECT_FALSE(test, PageDirty(page[3]));
	destroy(test, s);
	destroy(test, p);
	/* the end of the fixture sees that no frame goes back dirty */
	destroy_object(test, o);
	end(test, f);
}

/* === 2 MiB leaves === */

static bool is_huge(struct kmm_space *s, unsigned long addr)
{
	bool huge = false;

	return kmm_pt_get(&s->pt, addr, &huge) && huge;
}

static void huge_area_is_cut_where_it_must(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f), *c;
	const u32 flags = PRIV | KMM_MAP_HUGE;
	unsigned int i;

	/* one that fits, one that does not */
	must_map(test, s, PMD_SIZE, 512, NULL, 0, RW, flags);
	must_map(test, s, 3 * PMD_SIZE + PAGE_SIZE, 512, NULL, 0, RW, flags);
	KUNIT_EXPECT_EQ(test, put(s, PMD_SIZE + 100 * PAGE_SIZE, 100), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, put(s, 3 * PMD_SIZE + PAGE_SIZE, 100), KMM_RULE_NONE);
	KUNIT_EXPECT_TRUE(test, is_huge(s, PMD_SIZE));
	KUNIT_EXPECT_FALSE(test, is_huge(s, 3 * PMD_SIZE + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&s->private_frames), 513);
	for (i = 0; i < 512; i++) {
		KUNIT_EXPECT_EQ(test, get(s, PMD_SIZE + i * PAGE_SIZE), i == 100 ? 100 : 0);
		put(s, PMD_SIZE + i * PAGE_SIZE, i + 1);
	}
	/* rights of all of it keep it; no write and back, too */
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, PMD_SIZE, PMD_SIZE, RO), 0);
	KUNIT_EXPECT_EQ(test, put(s, PMD_SIZE, 1), KMM_RULE_NO_WRITE);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, PMD_SIZE, PMD_SIZE, RW), 0);
	KUNIT_EXPECT_EQ(test, put(s, PMD_SIZE, 1), KMM_RULE_NONE);
	KUNIT_EXPECT_TRUE(test, is_huge(s, PMD_SIZE));
	KUNIT_EXPECT_EQ(test, kmm_space_check(s), 0);
	/* a part of it: it is cut, nothing else is lost */
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, PMD_SIZE + 10 * PAGE_SIZE, PAGE_SIZE), 0);
	KUNIT_EXPECT_FALSE(test, is_huge(s, PMD_SIZE));
	KUNIT_EXPECT_EQ(test, kmm_space_check(s), 0);
	for (i = 0; i < 512; i++)
		KUNIT_EXPECT_EQ(test, get(s, PMD_SIZE + i * PAGE_SIZE),
				i == 10 ? ~(u64)KMM_RULE_NO_AREA : i + 1);
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, PMD_SIZE, PMD_SIZE), 0);

	/* protected in part, then without any right and cut, then cloned */
	must_map(test, s, PMD_SIZE, 1024, NULL, 0, RW, flags | KMM_MAP_POPULATE);
	KUNIT_EXPECT_TRUE(test, is_huge(s, PMD_SIZE));
	KUNIT_EXPECT_TRUE(test, is_huge(s, 2 * PMD_SIZE));
	put(s, PMD_SIZE + 7 * PAGE_SIZE, 7);
	put(s, 2 * PMD_SIZE + 9 * PAGE_SIZE, 9);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, PMD_SIZE + PAGE_SIZE, PAGE_SIZE, RO), 0);
	KUNIT_EXPECT_FALSE(test, is_huge(s, PMD_SIZE));
	KUNIT_EXPECT_TRUE(test, is_huge(s, 2 * PMD_SIZE));
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, 2 * PMD_SIZE, PMD_SIZE, 0), 0);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, 2 * PMD_SIZE, PMD_SIZE / 2, RW), 0);
	KUNIT_EXPECT_EQ(test, kmm_space_check(s), 0);
	KUNIT_EXPECT_EQ(test, get(s, PMD_SIZE + 7 * PAGE_SIZE), 7);
	KUNIT_EXPECT_EQ(test, get(s, 2 * PMD_SIZE + 9 * PAGE_SIZE), 9);
	must_map(test, s, 5 * PMD_SIZE, 512, NULL, 0, RW, flags | KMM_MAP_POPULATE);
	put(s, 5 * PMD_SIZE + PAGE_SIZE, 51);
	c = kmm_space_clone(s);
	KUNIT_ASSERT_FALSE(test, IS_ERR(c));
	KUNIT_EXPECT_FALSE(test, is_huge(s, 5 * PMD_SIZE));
	KUNIT_EXPECT_EQ(test, put(c, 5 * PMD_SIZE + PAGE_SIZE, 52), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, get(s, 5 * PMD_SIZE + PAGE_SIZE), 51);
	KUNIT_EXPECT_EQ(test, get(c, 2 * PMD_SIZE + 9 * PAGE_SIZE), 9);
	destroy(test, s);
	KUNIT_EXPECT_EQ(test, get(c, 5 * PMD_SIZE + PAGE_SIZE), 52);
	destroy(test, c);
	end(test, f);
}

static void huge_area_of_an_object_shows_its_frames(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f), *c;
	struct kmm_object *o = must_create_object(test, f, PMD_SIZE, KMM_OBJECT_CONTIG);
	struct page *page = kmm_object_get_page(o, 0, false);
	unsigned int i;

	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(page));
	put_page(page);
	must_map(test, s, PMD_SIZE, 512, o, 0, RW, SHAR | KMM_MAP_HUGE);
	must_map(test, s, 3 * PMD_SIZE, 511, o, 1, RW, SHAR | KMM_MAP_HUGE);
	must_map(test, s, 5 * PMD_SIZE, 512, o, 0, RW, PRIV | KMM_MAP_HUGE);
	for (i = 0; i < 512; i++)
		KUNIT_EXPECT_EQ(test, put(s, PMD_SIZE + i * PAGE_SIZE, i + 1), KMM_RULE_NONE);
	KUNIT_EXPECT_TRUE(test, is_huge(s, PMD_SIZE));
	KUNIT_EXPECT_EQ(test, get(s, 3 * PMD_SIZE + 99 * PAGE_SIZE), 101);
	KUNIT_EXPECT_EQ(test, get(s, 5 * PMD_SIZE + 99 * PAGE_SIZE), 100);
	KUNIT_EXPECT_EQ(test, put(s, 5 * PMD_SIZE, 1000), KMM_RULE_NONE);
	KUNIT_EXPECT_EQ(test, object_get(o, 0), 1);
	KUNIT_EXPECT_EQ(test, object_get(o, 511), 512);
	KUNIT_EXPECT_FALSE(test, is_huge(s, 3 * PMD_SIZE));
	KUNIT_EXPECT_FALSE(test, is_huge(s, 5 * PMD_SIZE));
	KUNIT_EXPECT_EQ(test, kmm_space_check(s), 0);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, PMD_SIZE, PMD_SIZE, RO), 0);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, PMD_SIZE, PMD_SIZE, RW), 0);
	KUNIT_EXPECT_EQ(test, put(s, PMD_SIZE, 2), KMM_RULE_NONE);
	KUNIT_EXPECT_TRUE(test, is_huge(s, PMD_SIZE));
	c = kmm_space_clone(s);
	KUNIT_ASSERT_FALSE(test, IS_ERR(c));
	KUNIT_EXPECT_TRUE(test, is_huge(s, PMD_SIZE));
	KUNIT_EXPECT_EQ(test, get(c, PMD_SIZE), 2);
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, PMD_SIZE + PAGE_SIZE, PAGE_SIZE), 0);
	KUNIT_EXPECT_TRUE(test, PageDirty(page + 1));
	KUNIT_EXPECT_EQ(test, get(s, PMD_SIZE + 2 * PAGE_SIZE), 3);
	KUNIT_EXPECT_EQ(test, get(c, PMD_SIZE + PAGE_SIZE), 2);
	KUNIT_EXPECT_EQ(test, kmm_space_check(s), 0);
	destroy(test, s);
	destroy(test, c);
	for (i = 0; i < 512; i++)
		KUNIT_EXPECT_TRUE(test, PageDirty(page + i));
	destroy_object(test, o);
	end(test, f);
}

static void populate_fills_what_it_can(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f);
	struct kmm_object *o = must_create_object(test, f, 40 * PAGE_SIZE, 0);

	must_map(test, s, A0, 20, NULL, 0, RW, PRIV | KMM_MAP_POPULATE);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&s->pt.resident), 20);
	must_map(test, s, A0 + PMD_SIZE, 60, o, 0, RO, SHAR | KMM_MAP_POPULATE);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&s->pt.resident), 60);
	KUNIT_EXPECT_EQ(test, o->resident, 40);
	must_map(test, s, A0 + 2 * PMD_SIZE, 40, o, 0, RW, PRIV | KMM_MAP_POPULATE);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&s->private_frames), 60);
	must_map(test, s, A0 + 3 * PMD_SIZE, 40, NULL, 0, 0, PRIV | KMM_MAP_POPULATE);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&s->private_frames), 60);
	/* more than the region has */
	must_map(test, s, 1UL << 32, 5000, NULL, 0, RW, PRIV | KMM_MAP_POPULATE);
	KUNIT_EXPECT_GT(test, atomic_long_read(&s->private_frames), 3000);
	destroy(test, s);
	destroy_object(test, o);
	end(test, f);
}

static void read_fault_brings_the_resident_neighbours(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f);
	struct kmm_object *o = must_create_object(test, f, 64 * PAGE_SIZE, 0);

	KUNIT_EXPECT_EQ(test, kmm_object_populate(o, 0, 10), 0);
	must_map(test, s, A0, 64, o, 0, RO, SHAR);
	get(s, A0 + 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&s->pt.resident), 8);
	KUNIT_EXPECT_EQ(test, atomic64_read(&s->faults), 1);
	get(s, A0 + 9 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, atomic64_read(&s->faults), 1);
	/* to the end of the area only */
	must_map(test, s, A0 + PMD_SIZE, 3, o, 0, RO, SHAR);
	get(s, A0 + PMD_SIZE);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&s->pt.resident), 11);
	destroy(test, s);
	destroy_object(test, o);
	end(test, f);
}

static void fault_is_explained_and_not_resolved(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f), *c;
	struct kmm_object *o = must_create_object(test, f, PAGE_SIZE, 0);
	static const struct {
		unsigned long addr;
		u32 code, rule;
	} cases[] = {
		{ A0, 0, KMM_RULE_NOT_PRESENT },
		{ A0 + PAGE_SIZE, 0, KMM_RULE_NONE },
		{ A0 + PAGE_SIZE, KMM_PF_WRITE, KMM_RULE_COW },
		{ A0 + PAGE_SIZE + 5, KMM_PF_WRITE | KMM_PF_PRESENT, KMM_RULE_COW },
		{ A0 + PAGE_SIZE, KMM_PF_INSTR, KMM_RULE_NO_EXEC },
		{ A0 + 2 * PAGE_SIZE, KMM_PF_WRITE, KMM_RULE_NO_WRITE },
		{ A0 + 3 * PAGE_SIZE, KMM_PF_WRITE, KMM_RULE_GUARD },
		{ A0 + 4 * PAGE_SIZE, KMM_PF_INSTR, KMM_RULE_NO_ACCESS },
		{ A0 + 5 * PAGE_SIZE, KMM_PF_WRITE, KMM_RULE_COW },
		{ A0 + 6 * PAGE_SIZE, 0, KMM_RULE_NO_AREA },
		{ 0, 0, KMM_RULE_NO_AREA },
		{ 1UL << 62, 0, KMM_RULE_NONCANONICAL },
		{ ~0UL, 0, KMM_RULE_KERNEL_HALF },
	};
	unsigned int i;

	must_map(test, s, A0, 2, NULL, 0, RW, PRIV);
	must_map(test, s, A0 + 2 * PAGE_SIZE, 1, NULL, 0, RO, PRIV);
	must_map(test, s, A0 + 3 * PAGE_SIZE, 1, NULL, 0, 0, KMM_MAP_GUARD | KMM_MAP_FIXED);
	must_map(test, s, A0 + 4 * PAGE_SIZE, 1, NULL, 0, 0, PRIV);
	must_map(test, s, A0 + 5 * PAGE_SIZE, 1, o, 0, RW, PRIV);
	put(s, A0 + PAGE_SIZE, 1);
	get(s, A0 + 5 * PAGE_SIZE);
	c = kmm_space_clone(s);
	KUNIT_ASSERT_FALSE(test, IS_ERR(c));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kmm_fault fault = { .addr = cases[i].addr, .code = cases[i].code };

		kmm_fault_explain(s, &fault);
		KUNIT_EXPECT_EQ_MSG(test, fault.rule, cases[i].rule, "%u", i);
	}
	KUNIT_EXPECT_EQ(test, atomic64_read(&s->faults), 2);
	destroy(test, s);
	destroy(test, c);
	destroy_object(test, o);
	end(test, f);
}

/* === Limits === */

static void limit_refuses_and_changes_nothing(struct kunit *test)
{
	struct kmm_limits limits = no_limits;
	struct kmm_fault fault = { .addr = A0 + 90 * PAGE_SIZE, .code = KMM_PF_WRITE };
	struct kmm_space *s, *c;
	struct fixture *f;
	unsigned int i;
	u64 used;

	limits.frames = 100;
	f = begin(test, &limits);
	s = must_create(test, f);
	must_map(test, s, A0, 200, NULL, 0, RW, PRIV);
	/* root 2, tables 3 or 4 */
	for (i = 0; put(s, A0 + i * PAGE_SIZE, i) == KMM_RULE_NONE; i++)
		;
	KUNIT_EXPECT_EQ(test, i, 100 - 2 - (pgtable_l5_enabled() ? 4 : 3));
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 100);
	fault.addr = A0 + i * PAGE_SIZE;
	kmm_fault_handle(s, &fault);
	KUNIT_EXPECT_EQ(test, fault.rule, KMM_RULE_LIMIT);
	KUNIT_EXPECT_EQ(test, fault.error, -EDQUOT);
	KUNIT_EXPECT_TRUE(test, IS_ERR(kmm_space_create(&f->set, f->a)));
	KUNIT_EXPECT_TRUE(test, IS_ERR(kmm_space_clone(s)));
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 100);
	KUNIT_EXPECT_EQ(test, kmm_space_check(s), 0);
	while (i--) {
		KUNIT_EXPECT_EQ(test, get(s, A0 + i * PAGE_SIZE), i);
		KUNIT_EXPECT_EQ(test, put(s, A0 + i * PAGE_SIZE, i), KMM_RULE_NONE);
	}
	/* room for a clone, not for a copy */
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, A0 + 50 * PAGE_SIZE,
					      (pgtable_l5_enabled() ? 6 : 5) * PAGE_SIZE), 0);
	c = kmm_space_clone(s);
	KUNIT_ASSERT_FALSE(test, IS_ERR(c));
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_FRAMES), 100);
	KUNIT_EXPECT_EQ(test, put(c, A0, 7), KMM_RULE_LIMIT);
	KUNIT_EXPECT_EQ(test, get(c, A0), 0);
	KUNIT_EXPECT_EQ(test, kmm_space_check(c), 0);
	destroy(test, s);
	KUNIT_EXPECT_EQ(test, put(c, A0, 7), KMM_RULE_NONE);
	destroy(test, c);
	end(test, f);

	/* host memory: a space, and three areas */
	limits = no_limits;
	limits.host_bytes = 4096;
	f = begin(test, &limits);
	s = must_create(test, f);
	for (i = 0; ; i++) {
		int err = map_at(s, A0 + 2 * i * PAGE_SIZE, 1, NULL, 0, RW, PRIV);

		if (err) {
			KUNIT_EXPECT_EQ(test, err, -EDQUOT);
			break;
		}
	}
	KUNIT_EXPECT_GT(test, i, 2);
	KUNIT_EXPECT_EQ(test, s->nr_areas, i);
	used = kmm_account_used(f->a, KMM_RES_HOST_BYTES);
	KUNIT_EXPECT_TRUE(test, IS_ERR(kmm_space_clone(s)));
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES), used);
	/* a merge needs an area for a moment, a head is cut without one */
	KUNIT_EXPECT_EQ(test, map_at(s, A0 + PAGE_SIZE, 1, NULL, 0, RW, PRIV), -EDQUOT);
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, A0, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, map_at(s, A0 + 4 * i * PAGE_SIZE, 5, NULL, 0, RW, PRIV), 0);
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, A0 + (4 * i + 2) * PAGE_SIZE, PAGE_SIZE), -EDQUOT);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0 + (4 * i + 2) * PAGE_SIZE, PAGE_SIZE, RO),
			-EDQUOT);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0 + 4 * i * PAGE_SIZE, PAGE_SIZE, RO), -EDQUOT);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES), used);
	KUNIT_EXPECT_EQ(test, s->nr_areas, i);
	destroy(test, s);
	end(test, f);
}

static void areas_have_a_limit(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f);
	unsigned long i, last = 0;
	int err = 0;

	for (i = 0; !err; i++) {
		last = A0 + 2 * i * PAGE_SIZE;
		err = map_at(s, last, 1, NULL, 0, RW, PRIV);
		if (!(i % 1024))
			cond_resched();
	}
	KUNIT_EXPECT_EQ(test, err, -ENOMEM);
	/* a map may need one for a split */
	KUNIT_EXPECT_EQ(test, s->nr_areas, KMM_SPACE_AREAS_MAX - 1);
	KUNIT_EXPECT_EQ(test, kmm_space_check(s), 0);
	/* three instead of one */
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, A0, 8 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, map_at(s, A0, 8, NULL, 0, RO, PRIV), 0);
	KUNIT_EXPECT_EQ(test, s->nr_areas, KMM_SPACE_AREAS_MAX - 4);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, map_at(s, last + 2 * i * PAGE_SIZE, 1, NULL, 0, RW, PRIV),
				i < 3 ? 0 : -ENOMEM);
	KUNIT_EXPECT_EQ(test, kmm_space_protect(s, A0 + PAGE_SIZE, PAGE_SIZE, RW), -ENOMEM);
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, A0 + PAGE_SIZE, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, s->nr_areas, KMM_SPACE_AREAS_MAX);
	KUNIT_EXPECT_EQ(test, kmm_space_unmap(s, A0 + 5 * PAGE_SIZE, PAGE_SIZE), -ENOMEM);
	KUNIT_EXPECT_EQ(test, kmm_space_check(s), 0);
	destroy(test, s);
	end(test, f);
}

static void info_tells_what_is_there(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s = must_create(test, f);
	struct kmm_space_info info;

	must_map(test, s, A0, 10, NULL, 0, RW, PRIV);
	must_map(test, s, 1UL << 40, 10, NULL, 0, RW, PRIV);
	put(s, A0, 1);
	get(s, 1UL << 40);
	kmm_space_info(s, &info);
	KUNIT_EXPECT_EQ(test, info.id, s->id);
	KUNIT_EXPECT_EQ(test, info.areas, 2);
	KUNIT_EXPECT_EQ(test, info.mapped_bytes, 20 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, info.resident, 2);
	KUNIT_EXPECT_EQ(test, info.private_frames, 2);
	KUNIT_EXPECT_EQ(test, info.faults, 2);
	KUNIT_EXPECT_EQ(test, info.cow_faults, 0);
	KUNIT_EXPECT_EQ(test, info.tables[KMM_PT_PTE], 2);
	KUNIT_EXPECT_EQ(test, info.tables[KMM_PT_PGD], 1);
	destroy(test, s);
	end(test, f);
}

/* === The model: what each page of a window is and holds === */

#define M_PAGES		(3 * 512UL)	/* of a window, from A0 */
#define M_SPACES	3
#define M_OBJECTS	2
#define M_OBJECT_PAGES	700UL

enum m_kind { M_NONE, M_GUARD, M_ANON, M_PRIVATE, M_SHARED };

/**
 * struct m_page - one page of a space
 * @kind: what it is
 * @prot: KMM_PROT_*
 * @object: which one, for PRIVATE and SHARED
 * @own: a private page that has been written to
 * @index: page of the object
 * @value: of a private page: what was written last
 */
struct m_page {
	u8 kind;
	u8 prot;
	u8 object;
	bool own;
	u32 index;
	u64 value;
};

/**
 * struct model - spaces and objects, and what they must be
 * @f: fixture
 * @space: spaces
 * @page: what is in their windows
 * @object: objects
 * @nr_pages: their sizes
 * @value: their contents
 * @rnd: numbers
 * @fired: injected failures that were hit
 * @short_of: times that memory was short
 * @next: value that was never written before
 */
struct model {
	struct fixture *f;
	struct kmm_space *space[M_SPACES];
	struct m_page page[M_SPACES][M_PAGES];
	struct kmm_object *object[M_OBJECTS];
	unsigned long nr_pages[M_OBJECTS];
	u64 value[M_OBJECTS][M_OBJECT_PAGES];
	struct rnd_state rnd;
	unsigned long fired;
	unsigned long short_of;
	u64 next;
};

static struct model *m_begin(struct kunit *test)
{
	struct model *m = vzalloc(sizeof(*m));
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->f = begin(test, &no_limits);
	for (i = 0; i < M_SPACES; i++)
		m->space[i] = must_create(test, m->f);
	for (i = 0; i < M_OBJECTS; i++) {
		m->nr_pages[i] = M_OBJECT_PAGES / (i + 1);
		m->object[i] = must_create_object(test, m->f, m->nr_pages[i] * PAGE_SIZE, 0);
	}
	prandom_seed_state(&m->rnd, kmm_test_seed);
	return m;
}

static void m_end(struct kunit *test, struct model *m)
{
	struct fixture *f = m->f;
	unsigned int i;

	for (i = 0; i < M_SPACES; i++)
		destroy(test, m->space[i]);
	for (i = 0; i < M_OBJECTS; i++)
		destroy_object(test, m->object[i]);
	vfree(m);
	end(test, f);
}

/* What an access must come to, and where its contents are. */
static u32 m_access(struct model *m, unsigned int i, unsigned long page, bool write, u64 **value)
{
	struct m_page *p = &m->page[i][page];

	*value = &p->value;
	switch (p->kind) {
	case M_NONE:
		return KMM_RULE_NO_AREA;
	case M_GUARD:
		return KMM_RULE_GUARD;
	}
	if (!p->prot)
		return KMM_RULE_NO_ACCESS;
	if (write && !(p->prot & KMM_PROT_WRITE))
		return KMM_RULE_NO_WRITE;
	if (p->kind == M_ANON || p->own)
		return KMM_RULE_NONE;
	if (p->index >= m->nr_pages[p->object])
		return KMM_RULE_OBJECT;
	if (p->kind == M_SHARED || !write)
		*value = &m->value[p->object][p->index];
	return KMM_RULE_NONE;
}

static unsigned long m_addr(unsigned long page)
{
	return A0 + page * PAGE_SIZE;
}

static void m_read(struct kunit *test, struct model *m, unsigned int i, unsigned long page)
{
	u64 at[2] = { }, *value;
	u32 rule, expected = m_access(m, i, page, false, &value);
	unsigned int k;

	/* both ends of the page: a copy is a copy of all of it */
	for (k = 0; k < 2; k++) {
		rule = access(m->space[i], m_addr(page) + k * (PAGE_SIZE - 8), &at[k], 8, 0);
		if (rule == KMM_RULE_LIMIT) {
			m->short_of++;
			return;
		}
		if (rule != expected) {
			KUNIT_FAIL(test, "space %u page %lu: rule %u, not %u", i, page, rule,
				   expected);
			return;
		}
	}
	if (!expected && (at[0] != *value || at[1] != *value))
		KUNIT_FAIL(test, "space %u page %lu: %llx %llx, not %llx", i, page, at[0], at[1],
			   *value);
}

static void m_write(struct kunit *test, struct model *m, unsigned int i, unsigned long page)
{
	u64 value = ++m->next, *where;
	u32 expected = m_access(m, i, page, true, &where), rule;

	rule = access(m->space[i], m_addr(page), &value, 8, KMM_PF_WRITE);
	if (rule == KMM_RULE_LIMIT) {
		m->short_of++;
		return;
	}
	if (rule != expected) {
		KUNIT_FAIL(test, "write to space %u page %lu: rule %u, not %u", i, page, rule,
			   expected);
		return;
	}
	if (rule)
		return;
	*where = value;
	m->page[i][page].own |= m->page[i][page].kind != M_SHARED;
	/* the frame is there and ours */
	rule = access(m->space[i], m_addr(page) + PAGE_SIZE - 8, &value, 8, KMM_PF_WRITE);
	if (rule)
		KUNIT_FAIL(test, "second write to page %lu: rule %u", page, rule);
}

/* Every @step'th page of all spaces, the invariants, and the objects. */
static void m_verify(struct kunit *test, struct model *m, unsigned int step)
{
	unsigned long page;
	unsigned int i;

	for (i = 0; i < M_SPACES; i++) {
		for (page = 0; page < M_PAGES; page += step)
			m_read(test, m, i, page);
		KUNIT_EXPECT_EQ(test, kmm_space_check(m->space[i]), 0);
		cond_resched();
	}
	for (i = 0; i < M_OBJECTS; i++)
		for (page = 0; page < m->nr_pages[i]; page++)
			if (object_get(m->object[i], page) != m->value[i][page])
				KUNIT_FAIL(test, "object %u page %lu", i, page);
}

/**
 * struct m_op - one change
 * @what: what to do
 * @space: in which space
 * @first: first page of the window, or of the object
 * @nr: pages
 * @prot: KMM_PROT_*
 * @flags: KMM_MAP_* beside FIXED
 * @object: which one
 * @index: page of the object
 * @from: the space that is cloned
 */
struct m_op {
	enum { M_MAP, M_UNMAP, M_PROTECT, M_CLONE, M_PUNCH, M_RESIZE, M_NR_OPS } what;
	unsigned int space;
	unsigned long first;
	unsigned long nr;
	u32 prot;
	u32 flags;
	int object;
	pgoff_t index;
	unsigned int from;
};

/* Does it. The caller has destroyed what a clone takes the place of. */
static int m_do(struct model *m, const struct m_op *op)
{
	struct kmm_object *o = op->object < 0 ? NULL : m->object[op->object];
	struct kmm_space *s = m->space[op->space];

	switch (op->what) {
	case M_MAP:
		return map_at(s, m_addr(op->first), op->nr, o, op->index, op->prot,
			      op->flags | KMM_MAP_FIXED);
	case M_UNMAP:
		return kmm_space_unmap(s, m_addr(op->first), op->nr * PAGE_SIZE);
	case M_PROTECT:
		return kmm_space_protect(s, m_addr(op->first), op->nr * PAGE_SIZE, op->prot);
	case M_CLONE:
		s = kmm_space_clone(m->space[op->from]);
		if (IS_ERR(s))
			return PTR_ERR(s);
		m->space[op->space] = s;
		return 0;
	case M_PUNCH:
		return kmm_object_punch(o, op->first * PAGE_SIZE, op->nr * PAGE_SIZE);
	default:
		return kmm_object_resize(o, op->nr * PAGE_SIZE);
	}
}

/* What it must return when nothing is short. */
static int m_expect(struct model *m, const struct m_op *op)
{
	struct m_page *p = &m->page[op->space][op->first];
	unsigned long i;

	for (i = 0; i < op->nr; i++) {
		if (op->what == M_PROTECT && p[i].kind <= M_GUARD)
			return -ENOENT;
		if (op->what == M_MAP && !(op->flags & KMM_MAP_REPLACE) && p[i].kind != M_NONE)
			return -EEXIST;
	}
	return 0;
}

/* The same in the model. */
static void m_apply(struct model *m, const struct m_op *op)
{
	struct m_page *p = &m->page[op->space][op->first];
	unsigned long i;

	switch (op->what) {
	case M_MAP:
		for (i = 0; i < op->nr; i++) {
			p[i] = (struct m_page) {
				.kind = op->flags & KMM_MAP_GUARD ? M_GUARD :
					op->flags & KMM_MAP_SHARED ? M_SHARED :
					op->object < 0 ? M_ANON : M_PRIVATE,
				.prot = op->prot,
				.object = max(op->object, 0),
				.index = op->index + i,
			};
			/* POPULATE makes copies, as far as it comes: only values that are so */
		}
		break;
	case M_UNMAP:
		memset(p, 0, op->nr * sizeof(*p));
		break;
	case M_PROTECT:
		for (i = 0; i < op->nr; i++)
			p[i].prot = op->prot;
		break;
	case M_CLONE:
		memcpy(m->page[op->space], m->page[op->from], sizeof(m->page[0]));
		break;
	case M_PUNCH:
		for (i = op->first; i < min(op->first + op->nr, m->nr_pages[op->object]); i++)
			m->value[op->object][i] = 0;
		break;
	default:
		for (i = op->nr; i < M_OBJECT_PAGES; i++)
			m->value[op->object][i] = 0;
		m->nr_pages[op->object] = op->nr;
	}
}

/* A new one, also when the others have all memory. */
static void m_create(struct kunit *test, struct model *m, unsigned int i)
{
	unsigned int k;

	m->space[i] = kmm_space_create(&m->f->set, m->f->a);
	if (!IS_ERR(m->space[i]))
		return;
	m->short_of++;
	for (k = 0; k < M_SPACES; k++) {
		if (k == i)
			continue;
		KUNIT_EXPECT_EQ(test, kmm_space_unmap(m->space[k], A0, M_PAGES * PAGE_SIZE), 0);
		memset(m->page[k], 0, sizeof(m->page[k]));
	}
	m->space[i] = must_create(test, m->f);
}

/* One change with the @nth allocation failing; 0: none. Return: the failure was used. */
static bool m_step(struct kunit *test, struct model *m, const struct m_op *op, unsigned long nth)
{
	int expected = m_expect(m, op), err;
	bool fired = false;

	if (op->what == M_CLONE) {
		destroy(test, m->space[op->space]);
		memset(m->page[op->space], 0, sizeof(m->page[0]));
		m->space[op->space] = NULL;
	}
	if (nth)
		kmm_inject_arm(nth);
	err = m_do(m, op);
	if (nth)
		fired = kmm_inject_disarm();
	m->fired += fired;
	if (err == -ENOMEM && (fired || !expected))
		m->short_of += !fired;
	else if (err != expected)
		KUNIT_FAIL(test, "operation %u: %d, not %d", op->what, err, expected);
	if (!err)
		m_apply(m, op);
	if (!m->space[op->space])
		m_create(test, m, op->space);
	return fired;
}

static struct m_op m_random(struct model *m)
{
	static const u32 prots[] = { 0, RO, RW, RW, RW, RO | KMM_PROT_EXEC };
	struct rnd_state *rnd = &m->rnd;
	u32 r = kmm_below(rnd, 100);
	struct m_op op = {
		.what = r < 35 ? M_MAP : r < 55 ? M_UNMAP : r < 80 ? M_PROTECT :
			r < 88 ? M_CLONE : r < 96 ? M_PUNCH : M_RESIZE,
		.space = kmm_below(rnd, M_SPACES),
		.from = kmm_below(rnd, M_SPACES),
		.first = kmm_below(rnd, M_PAGES),
		.prot = prots[kmm_below(rnd, ARRAY_SIZE(prots))],
		.object = -1,
	};

	op.nr = 1 + kmm_below(rnd, kmm_below(rnd, 4) ? 40 : 600);
	if (op.what == M_PUNCH || op.what == M_RESIZE) {
		op.object = kmm_below(rnd, M_OBJECTS);
		op.first = kmm_below(rnd, M_OBJECT_PAGES);
		if (op.what == M_RESIZE)
			op.nr = 1 + kmm_below(rnd, M_OBJECT_PAGES);
		return op;
	}
	if (!kmm_below(rnd, 6)) {
		/* 2 MiB as a whole */
		op.first = round_down(op.first, 512);
		op.nr = 512;
	}
	op.nr = min(op.nr, M_PAGES - op.first);
	if (op.what == M_CLONE && op.from == op.space)
		op.from = (op.from + 1) % M_SPACES;
	if (op.what != M_MAP)
		return op;
	if (kmm_below(rnd, 4))
		op.flags |= KMM_MAP_REPLACE;
	if (!kmm_below(rnd, 3))
		op.flags |= KMM_MAP_HUGE;
	r = kmm_below(rnd, 10);
	if (r == 0) {
		op.flags |= KMM_MAP_GUARD;
		op.prot = 0;
	} else if (r < 5) {
		op.flags |= KMM_MAP_PRIVATE;
		op.flags |= kmm_below(rnd, 4) ? 0 : KMM_MAP_POPULATE;
	} else {
		op.flags |= r < 8 ? KMM_MAP_PRIVATE : KMM_MAP_SHARED;
		op.object = kmm_below(rnd, M_OBJECTS);
		op.index = kmm_below(rnd, M_OBJECT_PAGES);
	}
	return op;
}

static void random_against_model(struct kunit *test)
{
	unsigned long ops = kmm_test_nr_ops / 20 + 200, i, k;
	struct model *m = m_begin(test);

	kunit_info(test, "seed=%lu ops=%lu\n", kmm_test_seed, ops);
	for (i = 0; i < ops; i++) {
		struct m_op op = m_random(m);
		unsigned long nth = kmm_below(&m->rnd, 6) ? 0 : 1 + kmm_below(&m->rnd, 12);

		m_step(test, m, &op, nth);
		for (k = 0; k < 8; k++) {
			unsigned int s = kmm_below(&m->rnd, M_SPACES);
			unsigned long page = kmm_below(&m->rnd, M_PAGES);

			/* where something was done, mostly */
			if (kmm_below(&m->rnd, 4) && op.what < M_CLONE)
				page = op.first + kmm_below(&m->rnd, op.nr);
			if (kmm_below(&m->rnd, 2))
				m_write(test, m, s, page);
			else
				m_read(test, m, s, page);
		}
		/* through the object itself */
		k = kmm_below(&m->rnd, M_OBJECT_PAGES);
		if (k < m->nr_pages[0] && !(i % 4)) {
			struct page *page = kmm_object_get_page(m->object[0], k, true);

			if (!IS_ERR(page)) {
				m->value[0][k] = ++m->next;
				*(u64 *)page_address(page) = m->next;
				*(u64 *)(page_address(page) + PAGE_SIZE - 8) = m->next;
				put_page(page);
			}
		}
		if (i % 128 == 127)
			m_verify(test, m, 1);
		cond_resched();
	}
	m_verify(test, m, 1);
	kunit_info(test, "%lu injected failures, memory short %lu times\n", m->fired, m->short_of);
	m_end(test, m);
}

/* Every allocation of each operation fails once; nothing has changed then. */
static void every_failure_point_leaves_nothing_half_done(struct kunit *test)
{
	static const struct m_op prepare[] = {
		{ M_MAP, 0, 0, 1024, RW, KMM_MAP_PRIVATE | KMM_MAP_HUGE | KMM_MAP_POPULATE, -1 },
		{ M_MAP, 0, 1024, 100, RW, KMM_MAP_PRIVATE, 0, 10 },
		{ M_MAP, 0, 1124, 100, RW, KMM_MAP_SHARED, 0, 50 },
		{ M_MAP, 0, 1224, 10, 0, KMM_MAP_GUARD, -1 },
	};
	static const struct m_op ops[] = {
		{ M_MAP, 0, 1300, 100, RW, KMM_MAP_PRIVATE, -1 },
		{ M_MAP, 0, 1410, 20, RW, KMM_MAP_SHARED, 1, 5 },
		{ M_MAP, 0, 1450, 5, 0, KMM_MAP_GUARD, -1 },
		/* the middle of a 2 MiB leaf at both ends */
		{ M_MAP, 0, 100, 800, RO, KMM_MAP_PRIVATE | KMM_MAP_REPLACE, 0, 3 },
		{ M_PROTECT, 0, 50, 20, RO },
		{ M_UNMAP, 0, 30, 5 },
		{ M_PROTECT, 0, 1010, 60, 0 },
		{ M_PROTECT, 0, 1030, 150, RO },
		{ M_CLONE, 1, .from = 0, .object = -1 },
		{ M_UNMAP, 1, 0, M_PAGES },
		{ M_CLONE, 2, .from = 0, .object = -1 },
		{ M_UNMAP, 0, 1040, 300 },
	};
	struct model *m = m_begin(test);
	unsigned long points = 0, n;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(prepare); i++)
		m_step(test, m, &prepare[i], 0);
	KUNIT_EXPECT_TRUE(test, is_huge(m->space[0], A0));
	KUNIT_EXPECT_TRUE(test, is_huge(m->space[0], A0 + PMD_SIZE));
	for (i = 0; i < 1300; i++)
		m_write(test, m, 0, i);
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		for (n = 1; n < 500; n++) {
			struct m_op op = ops[i];
			bool fired;

			if (op.what == M_UNMAP || op.what == M_PROTECT)
				op.object = -1;
			fired = m_step(test, m, &op, n);
			if (!fired)
				break;
			/* a sample: all of it at the end */
			m_verify(test, m, 13);
		}
		KUNIT_EXPECT_LT(test, n, 500);
		points += n - 1;
	}
	m_verify(test, m, 1);

	/* faults: read, write, copy of a private and of an object's frame */
	for (k = 0; k < 2; k++) {
		for (i = 0; i < M_PAGES; i += 37) {
			for (n = 1; n < 50; n++) {
				u64 *where, value;
				u32 rule, expected = m_access(m, 2, i, k, &where);
				bool fired;

				value = expected ? 0 : *where;
				kmm_inject_arm(n);
				rule = access(m->space[2], m_addr(i), &value, 8,
					      k ? KMM_PF_WRITE : 0);
				fired = kmm_inject_disarm();
				if (!fired) {
					KUNIT_EXPECT_EQ(test, rule, expected);
					if (k && !rule)
						m->page[2][i].own |= m->page[2][i].kind != M_SHARED;
					break;
				}
				/* or it found another way */
				if (rule)
					KUNIT_EXPECT_EQ(test, rule, KMM_RULE_LIMIT);
				else if (k)
					m->page[2][i].own |= m->page[2][i].kind != M_SHARED;
				points++;
			}
		}
	}
	m_verify(test, m, 1);
	/* and where there is no table yet */
	must_map(test, m->space[2], 1UL << 40, 1, NULL, 0, RW, PRIV);
	for (n = 1; n < 50; n++, points++) {
		u64 value = n;
		u32 rule;

		kmm_inject_arm(n);
		rule = access(m->space[2], 1UL << 40, &value, 8, KMM_PF_WRITE);
		if (!kmm_inject_disarm()) {
			KUNIT_EXPECT_EQ(test, rule, KMM_RULE_NONE);
			break;
		}
		KUNIT_EXPECT_EQ(test, rule, KMM_RULE_LIMIT);
		KUNIT_EXPECT_EQ(test, kmm_space_check(m->space[2]), 0);
	}
	kunit_info(test, "%lu failure points\n", points);
	KUNIT_EXPECT_GT(test, points, 30);
	m_end(test, m);
}

static void failed_create_leaves_nothing(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct kmm_space *s;
	unsigned int n;

	for (n = 1; n < 50; n++) {
		kmm_inject_arm(n);
		s = kmm_space_create(&f->set, f->a);
		if (!kmm_inject_disarm())
			break;
		KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(s), -ENOMEM);
		expect_empty(test, f);
	}
	KUNIT_EXPECT_GT(test, n, 2);
	KUNIT_ASSERT_FALSE(test, IS_ERR(s));
	destroy(test, s);
	end(test, f);
}

/* === At the same time === */

#define R_PAGES	256UL

/**
 * struct race - threads that touch while others take away
 * @s: space
 * @o: object
 * @stop: end
 * @bad: words that no page of theirs can have
 * @nr: accesses that went through
 * @running: threads that are not through
 * @done: the last one is
 */
struct race {
	struct kmm_space *s;
	struct kmm_object *o;
	bool stop;
	atomic_long_t bad;
	atomic_long_t nr;
	atomic_t running;
	struct completion done;
};

/* Each page of each area has one word that may be in it. */
static u64 race_word(unsigned long addr)
{
	return 0x5a5a000000000000ULL | addr;
}

static int race_toucher(void *arg)
{
	struct race *r = arg;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, kmm_test_seed + (unsigned long)current);
	while (!READ_ONCE(r->stop)) {
		/* anonymous, shared, private, in turn */
		unsigned long page = kmm_below(&rnd, 3 * R_PAGES), addr = m_addr(page);
		unsigned long of_object = page % R_PAGES;
		u64 word = race_word(page < R_PAGES ? addr : of_object), value;
		u32 rule;

		if (kmm_below(&rnd, 2))
			rule = access(r->s, addr, &word, 8, KMM_PF_WRITE);
		else
			rule = access(r->s, addr, &value, 8, 0);
		if (rule)
			continue;
		atomic_long_inc(&r->nr);
		if (access(r->s, addr, &value, 8, 0) == KMM_RULE_NONE && value && value != word)
			atomic_long_inc(&r->bad);
		cond_resched();
	}
	if (atomic_dec_and_test(&r->running))
		complete(&r->done);
	return 0;
}

static void faults_race_with_whatever_takes_pages_away(struct kunit *test)
{
	unsigned long rounds = kmm_test_nr_ops / 50 + 100, i;
	struct fixture *f = begin(test, &no_limits);
	struct race *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	struct kmm_space *c;
	struct task_struct *task;
	struct rnd_state rnd;
	unsigned int cpu, k;

	KUNIT_ASSERT_NOT_NULL(test, r);
	prandom_seed_state(&rnd, kmm_test_seed);
	r->s = must_create(test, f);
	r->o = must_create_object(test, f, R_PAGES * PAGE_SIZE, 0);
	must_map(test, r->s, A0, R_PAGES, NULL, 0, RW, PRIV);
	must_map(test, r->s, m_addr(R_PAGES), R_PAGES, r->o, 0, RW, SHAR);
	must_map(test, r->s, m_addr(2 * R_PAGES), R_PAGES, r->o, 0, RW, PRIV);
	init_completion(&r->done);
	atomic_set(&r->running, 1);
	for_each_online_cpu(cpu) {
		task = kthread_create(race_toucher, r, "kmm_race/%u", cpu);
		if (IS_ERR(task))
			continue;
		kthread_bind(task, cpu);
		atomic_inc(&r->running);
		wake_up_process(task);
	}
	for (i = 0; i < rounds; i++) {
		unsigned long first = kmm_below(&rnd, R_PAGES), nr = 1 + kmm_below(&rnd, 40);
		unsigned long at = kmm_below(&rnd, 3) * R_PAGES;
		long before = atomic_long_read(&r->nr);
		u64 value;

		nr = min(nr, R_PAGES - first);
		switch (kmm_below(&rnd, 8)) {
		case 0:
			kmm_space_unmap(r->s, m_addr(at + first), nr * PAGE_SIZE);
			break;
		case 1:
			kmm_space_protect(r->s, m_addr(at + first), nr * PAGE_SIZE,
					  kmm_below(&rnd, 3) ? RW : 0);
			break;
		case 2:
			kmm_object_punch(r->o, first * PAGE_SIZE, nr * PAGE_SIZE);
			break;
		case 3:
			kmm_object_resize(r->o, (first + 1) * PAGE_SIZE);
			break;
		case 4:
			c = kmm_space_clone(r->s);
			if (IS_ERR(c))
				break;
			/* what the clone shows does not change while the others write */
			for (k = 0; k < 4; k++) {
				u64 again;

				at = m_addr(kmm_below(&rnd, R_PAGES));
				value = get(c, at);
				cond_resched();
				again = get(c, at);
				if (value != again)
					atomic_long_inc(&r->bad);
				put(c, at, 0x4242424242424242ULL);
			}
			KUNIT_EXPECT_EQ(test, kmm_space_check(c), 0);
			kmm_space_destroy(c);
			break;
		default:
			map_at(r->s, m_addr(at + first), nr, at ? r->o : NULL, at ? first : 0, RW,
			       (at == R_PAGES ? KMM_MAP_SHARED : KMM_MAP_PRIVATE) |
			       KMM_MAP_FIXED | KMM_MAP_REPLACE);
		}
		/* let them come in, if anything is there */
		for (k = 0; k < 10 && atomic_long_read(&r->nr) - before < 2; k++)
			usleep_range(50, 100);
	}
	WRITE_ONCE(r->stop, true);
	if (!atomic_dec_and_test(&r->running))
		wait_for_completion(&r->done);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&r->bad), 0);
	KUNIT_EXPECT_GT(test, atomic_long_read(&r->nr), 0);
	kunit_info(test, "%lu changes, %ld accesses beside them\n", rounds,
		   atomic_long_read(&r->nr));
	kmm_buddy_recheck_quarantine(&f->t->buddy);
	destroy(test, r->s);
	destroy_object(test, r->o);
	end(test, f);
}

static struct kunit_case space_cases[] = {
	KUNIT_CASE(fresh_space_has_nothing),
	KUNIT_CASE(anonymous_memory_is_zero_and_ours),
	KUNIT_CASE(shared_area_shows_the_object),
	KUNIT_CASE(private_area_shows_the_object_until_copied),
	KUNIT_CASE(clone_copies_on_write_in_both_directions),
	KUNIT_CASE(shared_frame_is_dropped_by_the_last),
	KUNIT_CASE(bad_ranges_have_their_errno),
	KUNIT_CASE(bad_arguments_have_their_errno),
	KUNIT_CASE(search_takes_the_lowest_gap),
	KUNIT_CASE(neighbours_that_say_the_same_are_one),
	KUNIT_CASE(unmap_takes_exactly_the_range),
	KUNIT_CASE(fixed_refuses_and_replace_takes),
	KUNIT_CASE(protect_changes_all_or_nothing),
	KUNIT_CASE(descriptor_limits_the_rights),
	KUNIT_CASE(seal_and_writable_area_exclude_each_other),
	KUNIT_CASE(punch_and_shrink_are_seen_at_once),
	KUNIT_CASE(dirty_and_young_reach_the_object),
	KUNIT_CASE(huge_area_is_cut_where_it_must),
	KUNIT_CASE(huge_area_of_an_object_shows_its_frames),
	KUNIT_CASE(populate_fills_what_it_can),
	KUNIT_CASE(read_fault_brings_the_resident_neighbours),
	KUNIT_CASE(fault_is_explained_and_not_resolved),
	KUNIT_CASE(limit_refuses_and_changes_nothing),
	KUNIT_CASE(areas_have_a_limit),
	KUNIT_CASE(info_tells_what_is_there),
	KUNIT_CASE(random_against_model),
	KUNIT_CASE(every_failure_point_leaves_nothing_half_done),
	KUNIT_CASE(failed_create_leaves_nothing),
	KUNIT_CASE(faults_race_with_whatever_takes_pages_away),
	{}
};

struct kunit_suite kmm_space_suite = {
	.name = "kmm_space",
	.exit = kmm_test_exit,
	.test_cases = space_cases,
};
