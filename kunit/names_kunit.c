// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: suite kmm_names
 *
 * The table of names, on a table and accounts of its own. What is named is a counter of
 * references. Cases that are about rights run with the credentials of an ordinary user.
 */

#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include <kmm/account.h>
#include <kmm/inject.h>
#include <kmm/names.h>

#include "helpers.h"

/* What is named. */
struct thing {
	int refs;
	u64 id;
};

static void thing_get(void *ref)
{
	((struct thing *)ref)->refs++;
}

static void thing_put(void *ref)
{
	((struct thing *)ref)->refs--;
}

static u64 thing_id(void *ref)
{
	return ((struct thing *)ref)->id;
}

static const struct kmm_name_ops thing_ops = {
	.get = thing_get,
	.put = thing_put,
	.id = thing_id,
};

struct fixture {
	struct kmm_accounts accounts;
	struct kmm_account *a;
	u64 base_host_bytes;
	struct kmm_names names;
};

static const struct kmm_limits no_limits = {
	.frames = KMM_NO_LIMIT, .objects = KMM_NO_LIMIT, .names = KMM_NO_LIMIT,
	.host_bytes = KMM_NO_LIMIT,
};

static struct fixture *begin(struct kunit *test, const struct kmm_limits *limits)
{
	struct fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	kmm_accounts_init(&f->accounts, limits, &no_limits);
	f->a = kmm_account_create(&f->accounts, GLOBAL_ROOT_UID, false);
	KUNIT_ASSERT_FALSE(test, IS_ERR(f->a));
	f->base_host_bytes = kmm_account_used(f->a, KMM_RES_HOST_BYTES);
	kmm_names_init(&f->names);
	f->names.ops[KMM_NAME_SHM] = &thing_ops;
	f->names.ops[KMM_NAME_MSGQ] = &thing_ops;
	return f;
}

/* Nothing is charged and no reference of the account is held. */
static void end(struct kunit *test, struct fixture *f)
{
	kmm_names_fini(&f->names);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_NAMES), 0);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_HOST_BYTES), f->base_host_bytes);
	KUNIT_EXPECT_EQ(test, refcount_read(&f->a->ref), 1);
	kmm_account_put(f->a);
	kmm_accounts_fini(&f->accounts);
	rcu_barrier();
}

static struct kmm_name_key key_of(const char *text, unsigned int len)
{
	struct kmm_name_key key = { .len = len };

	memcpy(key.bytes, text, len);
	return key;
}

static int add(struct fixture *f, enum kmm_name_kind kind, const char *text, struct thing *thing)
{
	const struct kmm_name_attr attr = {
		.mode = 0640, .uid = KUIDT_INIT(1000), .gid = KGIDT_INIT(2000),
	};
	const struct kmm_name_key key = key_of(text, strlen(text));

	return kmm_names_add(&f->names, kind, &key, &attr, f->a, thing);
}

/* The reference is dropped at once. */
static void *find(struct fixture *f, enum kmm_name_kind kind, const char *text, int access)
{
	const struct kmm_name_key key = key_of(text, strlen(text));
	void *ref = kmm_names_get(&f->names, kind, &key, access, NULL);

	if (!IS_ERR(ref))
		thing_put(ref);
	return ref;
}

static int unlink(struct fixture *f, enum kmm_name_kind kind, const char *text)
{
	const struct kmm_name_key key = key_of(text, strlen(text));

	return kmm_names_unlink(&f->names, kind, &key);
}

/* === Cases === */

static void name_holds_a_reference_until_unlinked(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct thing t = { }, u = { };

	KUNIT_EXPECT_EQ(test, PTR_ERR(find(f, KMM_NAME_SHM, "a", 0)), -ENOENT);
	KUNIT_EXPECT_EQ(test, unlink(f, KMM_NAME_SHM, "a"), -ENOENT);
	KUNIT_EXPECT_EQ(test, add(f, KMM_NAME_SHM, "a", &t), 0);
	KUNIT_EXPECT_EQ(test, t.refs, 1);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_NAMES), 1);
	KUNIT_EXPECT_PTR_EQ(test, find(f, KMM_NAME_SHM, "a", 0), (void *)&t);
	/* taken */
	KUNIT_EXPECT_EQ(test, add(f, KMM_NAME_SHM, "a", &u), -EEXIST);
	KUNIT_EXPECT_EQ(test, u.refs, 0);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_NAMES), 1);
	KUNIT_EXPECT_EQ(test, unlink(f, KMM_NAME_SHM, "a"), 0);
	KUNIT_EXPECT_EQ(test, t.refs, 0);
	KUNIT_EXPECT_EQ(test, unlink(f, KMM_NAME_SHM, "a"), -ENOENT);
	/* forgotten by what it names, and only then */
	KUNIT_EXPECT_EQ(test, add(f, KMM_NAME_SHM, "b", &t), 0);
	KUNIT_EXPECT_EQ(test, add(f, KMM_NAME_SHM, "a", &u), 0);
	kmm_names_forget(&f->names, KMM_NAME_MSGQ, &t);
	KUNIT_EXPECT_EQ(test, t.refs, 1);
	kmm_names_forget(&f->names, KMM_NAME_SHM, &t);
	KUNIT_EXPECT_EQ(test, t.refs, 0);
	KUNIT_EXPECT_EQ(test, u.refs, 1);
	kmm_names_forget(&f->names, KMM_NAME_SHM, &t);
	KUNIT_EXPECT_EQ(test, t.refs, 0);
	/* u's is dropped by the end of the table */
	end(test, f);
	KUNIT_EXPECT_EQ(test, u.refs, 0);
}

static void kinds_are_separate(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct thing t = { }, u = { };

	KUNIT_EXPECT_EQ(test, add(f, KMM_NAME_SHM, "same", &t), 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR(find(f, KMM_NAME_MSGQ, "same", 0)), -ENOENT);
	KUNIT_EXPECT_EQ(test, add(f, KMM_NAME_MSGQ, "same", &u), 0);
	KUNIT_EXPECT_PTR_EQ(test, find(f, KMM_NAME_SHM, "same", 0), (void *)&t);
	KUNIT_EXPECT_PTR_EQ(test, find(f, KMM_NAME_MSGQ, "same", 0), (void *)&u);
	KUNIT_EXPECT_EQ(test, unlink(f, KMM_NAME_SHM, "same"), 0);
	KUNIT_EXPECT_PTR_EQ(test, find(f, KMM_NAME_MSGQ, "same", 0), (void *)&u);
	end(test, f);
}

static void every_byte_and_length_counts(struct kunit *test)
{
	struct fixture *f = begin(test, &no_limits);
	struct thing *t = kunit_kcalloc(test, 512, sizeof(*t), GFP_KERNEL);
	struct kmm_name_key *key = kunit_kzalloc(test, sizeof(*key), GFP_KERNEL);
	const struct kmm_name_attr attr = { .mode = 0600 };
	unsigned int i;

	KUNIT_ASSERT_TRUE(test, t && key);
	/* x, xx, xxx, …; then one byte each */
	memset(key->bytes, 'x', sizeof(key->bytes));
	for (i = 1; i <= KMM_NAME_MAX; i++) {
		key->len = i;
		KUNIT_EXPECT_EQ(test, kmm_names_add(&f->names, KMM_NAME_SHM, key, &attr, f->a,
						    &t[i]), 0);
	}
	key->len = 1;
	for (i = 1; i < 256; i++) {
		key->bytes[0] = i;
		KUNIT_EXPECT_EQ(test, kmm_names_add(&f->names, KMM_NAME_SHM, key, &attr, f->a,
						    &t[256 + i]), i == 'x' ? -EEXIST : 0);
	}
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_NAMES), 255 + 254);
	for (i = 1; i < 256; i++) {
		key->bytes[0] = i;
		KUNIT_EXPECT_PTR_EQ(test, kmm_names_get(&f->names, KMM_NAME_SHM, key, 0, NULL),
				    (void *)&t[i == 'x' ? 1 : 256 + i]);
	}
	key->bytes[0] = 'x';
	for (i = 1; i <= KMM_NAME_MAX; i++) {
		key->len = i;
		KUNIT_EXPECT_PTR_EQ(test, kmm_names_get(&f->names, KMM_NAME_SHM, key, 0, NULL),
				    (void *)&t[i]);
		KUNIT_EXPECT_EQ(test, kmm_names_unlink(&f->names, KMM_NAME_SHM, key), 0);
		KUNIT_EXPECT_EQ(test, PTR_ERR(kmm_names_get(&f->names, KMM_NAME_SHM, key, 0,
							    NULL)), -ENOENT);
	}
	end(test, f);
}

/* An ordinary user from here on; give the result to revert_creds(). */
static const struct cred *become(struct kunit *test, uid_t uid, gid_t gid)
{
	struct cred *new = prepare_creds();
	const struct cred *old;

	KUNIT_ASSERT_NOT_NULL(test, new);
	new->fsuid = KUIDT_INIT(uid);
	new->fsgid = KGIDT_INIT(gid);
	cap_clear(new->cap_effective);
	old = override_creds(new);
	put_cred(new);
	return old;
}

static void access_is_that_of_a_file(struct kunit *test)
{
	/* who; what 0640 of 1000:2000 grants */
	static const struct {
		uid_t uid;
		gid_t gid;
		bool read;
		bool write;
		int unlink;
	} row[] = {
		{ 1001, 2001, false, false, -EPERM },
		{ 1001, 2000, true, false, -EPERM },
		{ 1000, 2001, true, true, 0 },
	};
	struct fixture *f = begin(test, &no_limits);
	struct thing t = { };
	unsigned int i;

	KUNIT_EXPECT_EQ(test, add(f, KMM_NAME_SHM, "n", &t), 0);
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		const struct cred *old = become(test, row[i].uid, row[i].gid);
		void *got[4];
		int err;

		got[0] = find(f, KMM_NAME_SHM, "n", MAY_READ);
		got[1] = find(f, KMM_NAME_SHM, "n", MAY_WRITE);
		got[2] = find(f, KMM_NAME_SHM, "n", MAY_READ | MAY_WRITE);
		got[3] = find(f, KMM_NAME_SHM, "n", 0);
		err = unlink(f, KMM_NAME_SHM, "n");
		revert_creds(old);
		KUNIT_EXPECT_PTR_EQ(test, got[0], row[i].read ? &t : ERR_PTR(-EACCES));
		KUNIT_EXPECT_PTR_EQ(test, got[1], row[i].write ? &t : ERR_PTR(-EACCES));
		KUNIT_EXPECT_PTR_EQ(test, got[2],
				    row[i].read && row[i].write ? &t : ERR_PTR(-EACCES));
		KUNIT_EXPECT_PTR_EQ(test, got[3], (void *)&t);
		KUNIT_EXPECT_EQ(test, err, row[i].unlink);
	}
	KUNIT_EXPECT_EQ(test, t.refs, 0);

	/* who has the capabilities is not asked */
	KUNIT_EXPECT_EQ(test, add(f, KMM_NAME_SHM, "n", &t), 0);
	KUNIT_EXPECT_PTR_EQ(test, find(f, KMM_NAME_SHM, "n", MAY_READ | MAY_WRITE), (void *)&t);
	KUNIT_EXPECT_EQ(test, unlink(f, KMM_NAME_SHM, "n"), 0);
	end(test, f);
}

static void limit_of_names_holds(struct kunit *test)
{
	struct kmm_limits limits = no_limits;
	struct thing t[3] = { };
	struct fixture *f;

	limits.names = 2;
	f = begin(test, &limits);
	KUNIT_EXPECT_EQ(test, add(f, KMM_NAME_SHM, "a", &t[0]), 0);
	KUNIT_EXPECT_EQ(test, add(f, KMM_NAME_MSGQ, "b", &t[1]), 0);
	KUNIT_EXPECT_EQ(test, add(f, KMM_NAME_SHM, "c", &t[2]), -EDQUOT);
	KUNIT_EXPECT_EQ(test, t[2].refs, 0);
	KUNIT_EXPECT_EQ(test, unlink(f, KMM_NAME_MSGQ, "b"), 0);
	KUNIT_EXPECT_EQ(test, add(f, KMM_NAME_SHM, "c", &t[2]), 0);
	end(test, f);

	limits.names = KMM_NO_LIMIT;
	limits.host_bytes = sizeof(struct kmm_account) + sizeof(struct kmm_name) + 3;
	f = begin(test, &limits);
	KUNIT_EXPECT_EQ(test, add(f, KMM_NAME_SHM, "four", &t[0]), -EDQUOT);
	KUNIT_EXPECT_EQ(test, kmm_account_used(f->a, KMM_RES_NAMES), 0);
	KUNIT_EXPECT_EQ(test, add(f, KMM_NAME_SHM, "abc", &t[0]), 0);
	end(test, f);

	f = begin(test, &no_limits);
	kmm_inject_arm(1);
	KUNIT_EXPECT_EQ(test, add(f, KMM_NAME_SHM, "a", &t[0]), -ENOMEM);
	KUNIT_EXPECT_TRUE(test, kmm_inject_disarm());
	KUNIT_EXPECT_EQ(test, PTR_ERR(find(f, KMM_NAME_SHM, "a", 0)), -ENOENT);
	end(test, f);
}

#define RANDOM_NAMES	61	/* a prime */

static void random_against_array(struct kunit *test)
{
	unsigned long ops = kmm_test_nr_ops / 4 + 100, i;
	struct fixture *f = begin(test, &no_limits);
	struct thing *model[RANDOM_NAMES] = { };
	struct thing *t = kunit_kcalloc(test, RANDOM_NAMES * 2, sizeof(*t), GFP_KERNEL);
	struct rnd_state rnd;
	char text[8];

	KUNIT_ASSERT_NOT_NULL(test, t);
	kunit_info(test, "seed=%lu ops=%lu\n", kmm_test_seed, ops);
	prandom_seed_state(&rnd, kmm_test_seed);
	for (i = 0; i < ops; i++) {
		u32 n = kmm_below(&rnd, RANDOM_NAMES);
		struct thing *own = &t[2 * n + kmm_below(&rnd, 2)];
		void *got;
		int err;

		snprintf(text, sizeof(text), "%*u", 1 + n % 5, n);
		switch (kmm_below(&rnd, 4)) {
		case 0:
			err = add(f, KMM_NAME_SHM, text, own);
			if (err != (model[n] ? -EEXIST : 0))
				KUNIT_FAIL(test, "add of %s: %d", text, err);
			model[n] = model[n] ?: own;
			break;
		case 1:
			err = unlink(f, KMM_NAME_SHM, text);
			if (err != (model[n] ? 0 : -ENOENT))
				KUNIT_FAIL(test, "unlink of %s: %d", text, err);
			model[n] = NULL;
			break;
		default:
			got = find(f, KMM_NAME_SHM, text, MAY_READ);
			if (got != (model[n] ?: ERR_PTR(-ENOENT)))
				KUNIT_FAIL(test, "lookup of %s", text);
		}
	}
	for (i = 0; i < RANDOM_NAMES * 2; i++)
		KUNIT_EXPECT_EQ(test, t[i].refs, model[i / 2] == &t[i]);
	end(test, f);
}

static struct kunit_case names_cases[] = {
	KUNIT_CASE(name_holds_a_reference_until_unlinked),
	KUNIT_CASE(kinds_are_separate),
	KUNIT_CASE(every_byte_and_length_counts),
	KUNIT_CASE(access_is_that_of_a_file),
	KUNIT_CASE(limit_of_names_holds),
	KUNIT_CASE(random_against_array),
	{}
};

struct kunit_suite kmm_names_suite = {
	.name = "kmm_names",
	.test_cases = names_cases,
};
