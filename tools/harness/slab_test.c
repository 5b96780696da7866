// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: slab.c in user space, against a model
 *
 * slab.c and debug/slab_debug.c on buddy.c and region.c, the files of kmm.ko, under ASan and UBSan.
 * Operations are chosen by a stream of numbers: a random generator (slab_test), or the bytes of
 * libFuzzer (slab_fuzz). Interrupts and other CPUs come in at every lock and every per-CPU step
 * (kernel.c).
 *
 * The model has a byte for each 8 bytes of the region: whether an object that is out covers it.
 * From this and the list of objects follows what must hold:
 *
 * - an object that is given out is aligned and overlaps no other; with __GFP_ZERO, or under
 *   init_on_alloc, it is zero
 * - what was written into it is there when it is freed
 * - each cache has as many active objects as the list has, kmm_slab_check() finds nothing
 * - a free that cannot be right is refused, counted, and changes nothing
 * - a request fails only when a failure was injected or the buddy has no frames
 *
 *	slab_test [--seed N] [--ops N] [--verbose]
 */

#include <stdlib.h>
#include <time.h>

#include "model.h"

#include <harness/slab.h>

#include <kmm/hardening.h>
#include <kmm/inject.h>
#include <kmm/slab.h>
#include <kmm/slab_debug.h>

#define NR_CACHES	10
#define NR_OBJECTS	6000

/* In place of debug/hooks.c and hardening.c. */
struct static_key_false kmm_slab_key;
struct static_key_false kmm_slab_hook_key;
static bool hardened;

bool kmm_slab_hardened(void)
{
	return hardened;
}

struct object {
	struct kmm_cache *s;	/* NULL: kmalloc */
	u8 *p;
	size_t size;
	u8 tag;
};

static struct kmm_region region;
static struct kmm_buddy *buddy;
static struct kmm_slab *slab;
static struct kmm_cache *caches[NR_CACHES];
static struct object objects[NR_OBJECTS];
static unsigned int nr_objects;
static u8 *covered;	/* per 8 bytes of harness_memory */
static unsigned long nr_ops, nr_bad_frees, nr_failed;
static u8 next_tag;

/* The stream: bytes of a fuzzer, or the generator. */
static const u8 *input;
static size_t input_left;

static u64 pick(u64 n)
{
	u64 v;

	if (!input)
		return model_random() % n;
	if (!input_left)
		return 0;
	v = *input++;
	input_left--;
	if (n > 256 && input_left) {
		v |= (u64)*input++ << 8;
		input_left--;
	}
	return v % n;
}

static bool one_in(u64 n)
{
	return pick(n) == n - 1;
}

/* === The model === */

static void cover(const struct object *o, bool on)
{
	size_t first = (o->p - (u8 *)harness_memory) / 8, i;

	for (i = first; i < first + DIV_ROUND_UP(o->size, 8); i++) {
		if (covered[i] == on)
			model_fail("%p + %zu: %s", o->p, o->size,
				   on ? "overlaps another object" : "was not out");
		covered[i] = on;
	}
}

static bool is_zero(const u8 *p, size_t n)
{
	return !memchr_inv(p, 0, n);
}

static void got(struct kmm_cache *s, void *p, size_t size, gfp_t gfp)
{
	struct object *o = &objects[nr_objects];
	unsigned int align = s ? s->align : is_power_of_2(size) ? size : 8;

	if (nr_objects == NR_OBJECTS)
		model_fail("too many objects");
	if (!virt_addr_valid(p) || !IS_ALIGNED((unsigned long)p, align))
		model_fail("object %p of size %zu", p, size);
	if (gfp & __GFP_ZERO && !is_zero(p, size))
		model_fail("object %p of size %zu is not zero", p, size);
	if (s && kmm_slab_cache_of(slab, p) != s)
		model_fail("object %p is not of its cache", p);
	*o = (struct object){ .s = s, .p = p, .size = size, .tag = ++next_tag | 1 };
	nr_objects++;
	cover(o, true);
	memset(p, o->tag, size);
}

/* The object is no longer ours: the caller frees it. */
static struct object forget(unsigned int i)
{
	struct object o = objects[i];

	if (memchr_inv(o.p, o.tag, o.size))
		model_fail("object %p of size %zu was written to", o.p, o.size);
	cover(&o, false);
	objects[i] = objects[--nr_objects];
	return o;
}

static void give(struct object o)
{
	if (o.s && pick(2))
		kmm_cache_free(o.s, o.p);
	else
		kmm_slab_kfree(slab, o.p);
}

static void check(void)
{
	void (*saved)(void) = harness_interrupt;
	struct kmm_cache_stat st;
	unsigned int c, i;

	harness_interrupt = NULL;
	for (c = 0; c < NR_CACHES; c++) {
		unsigned long live = 0;

		if (!caches[c])
			continue;
		for (i = 0; i < nr_objects; i++)
			live += objects[i].s == caches[c];
		kmm_slab_stat(caches[c], &st);
		if (st.nr_active != live)
			model_fail("cache %u has %lu active objects, %lu are out", c, st.nr_active,
				   live);
		if (kmm_slab_check(caches[c]))
			model_fail("kmm_slab_check(): %s", harness_last_log);
	}
	for (i = 0; i < KMM_KMALLOC_NR; i++)
		if (kmm_slab_check(slab->kmalloc[i]))
			model_fail("kmm_slab_check(): %s", harness_last_log);
	if (kmm_buddy_check(buddy))
		model_fail("kmm_buddy_check(): %s", harness_last_log);
	if ((unsigned long)atomic_long_read(&slab->nr_bad) != nr_bad_frees)
		model_fail("%lu bad frees counted, %lu made", atomic_long_read(&slab->nr_bad),
			   nr_bad_frees);
	harness_interrupt = saved;
}

/* === Operations === */

static gfp_t some_gfp(bool may_sleep)
{
	return (may_sleep ? GFP_KERNEL : GFP_ATOMIC) | __GFP_NOWARN | (one_in(6) ? __GFP_ZERO : 0);
}

static void op_alloc(bool may_sleep)
{
	struct kmm_cache *s = caches[pick(NR_CACHES)];
	gfp_t gfp = some_gfp(may_sleep);
	void *p;

	if (!s || nr_objects > NR_OBJECTS - 300)
		return;
	p = kmm_cache_alloc(s, gfp);
	if (p)
		got(s, p, s->object_size, gfp);
	else
		nr_failed++;
}

static void op_kmalloc(bool may_sleep)
{
	static const unsigned int top[] = { 8, 64, 200, 1024, 8192, 65536 };
	size_t size = 1 + pick(top[pick(ARRAY_SIZE(top))]);
	gfp_t gfp = some_gfp(may_sleep);
	void *p;

	if (nr_objects > NR_OBJECTS - 300)
		return;
	p = kmm_slab_kmalloc(slab, size, gfp);
	if (!p) {
		nr_failed++;
		return;
	}
	if (kmm_slab_ksize(slab, p) < size)
		model_fail("ksize %zu of %zu bytes", kmm_slab_ksize(slab, p), size);
	got(NULL, p, size, gfp);
}

static void op_free(void)
{
	if (nr_objects)
		give(forget(pick(nr_objects)));
}

static void op_bulk(bool may_sleep)
{
	struct kmm_cache *s = caches[pick(NR_CACHES)];
	gfp_t gfp = some_gfp(may_sleep);
	unsigned int n = 1 + pick(200), i;
	void *p[200];

	if (!s || nr_objects > NR_OBJECTS - 500)
		return;
	if (kmm_cache_alloc_bulk(s, gfp, n, p) != (int)n) {
		nr_failed++;
		return;
	}
	for (i = 0; i < n; i++)
		got(s, p[i], s->object_size, gfp);
}

static void op_free_bulk(void)
{
	unsigned int want = 1 + pick(200), n = 0, i;
	struct kmm_cache *s = caches[pick(NR_CACHES)];
	void *p[200];

	for (i = 0; s && i < nr_objects && n < want;) {
		if (objects[i].s != s)
			i++;
		else
			p[n++] = forget(i).p;
	}
	if (s)
		kmm_cache_free_bulk(s, n, p);
}

/* Each must be refused. */
static void op_bad_free(void)
{
	struct kmm_cache *s = caches[pick(NR_CACHES)], *other = caches[pick(NR_CACHES)];
	void (*saved)(void) = harness_interrupt;
	unsigned long errors = harness_stat.log_err;
	char host[64] = { 0 };
	u8 *p;

	harness_interrupt = NULL;
	p = s ? kmm_cache_alloc(s, GFP_ATOMIC | __GFP_NOWARN) : NULL;
	if (!p)
		goto out;
	memset(p, 0x77, s->object_size);
	switch (pick(4)) {
	case 0:		/* double, its word intact */
		kmm_cache_free(s, p);
		kmm_cache_free(s, p);
		break;
	case 1:		/* double, nothing left of it: a hardened cache knows */
		kmm_cache_free(s, p);
		if (!s->hard || s->flags & KMM_SLAB_DEBUG_FLAGS)
			goto out;
		memset(p, 0x41, s->object_size);
		kmm_cache_free(s, p);
		break;
	case 2:
		kmm_cache_free(s, host);
		kmm_cache_free(s, p);
		break;
	default:
		if (!other || other == s) {
			kmm_cache_free(s, p);
			goto out;
		}
		kmm_cache_free(other, p);
		kmm_cache_free(s, p);
	}
	nr_bad_frees++;
	if (harness_stat.log_err == errors)
		model_fail("a bad free without a report");
out:
	harness_interrupt = saved;
}

static void ctor(void *obj)
{
	memset(obj, 0xc0, 8);
}

static void op_create(void)
{
	static const slab_flags_t flags[] = {
		0, 0, SLAB_HWCACHE_ALIGN, SLAB_TYPESAFE_BY_RCU, SLAB_RED_ZONE, SLAB_POISON,
		SLAB_STORE_USER, SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER,
	};
	static const unsigned int top[] = { 16, 64, 256, 1024, 8185 };
	struct kmm_cache_args args = {
		.name = "harness", .size = 8 + pick(top[pick(ARRAY_SIZE(top))]),
		.align = one_in(4) ? 1U << pick(14) : 0, .flags = flags[pick(ARRAY_SIZE(flags))],
		.ctor = one_in(6) ? ctor : NULL,
	};
	void (*saved)(void) = harness_interrupt;
	unsigned int c = pick(NR_CACHES), i;
	struct kmm_cache *s = caches[c];

	if (!s) {
		hardened = one_in(3);
		if (one_in(3))
			model_inject = 1 + pick(4);
		s = kmm_slab_cache_create(slab, &args);
		if (IS_ERR(s) && (PTR_ERR(s) != -ENOMEM || !args.size))
			model_fail("create of %u bytes: %ld", args.size, PTR_ERR(s));
		model_inject = 0;
		caches[c] = IS_ERR(s) ? NULL : s;
		return;
	}
	/* Nobody uses a cache that is destroyed. */
	harness_interrupt = NULL;
	for (i = 0; i < nr_objects; i++)
		if (objects[i].s == s)
			break;
	if (i < nr_objects && !one_in(4)) {
		while (i < nr_objects)
			if (objects[i].s == s)
				give(forget(i));
			else
				i++;
	}
	if (kmm_slab_cache_destroy(s) != (i < nr_objects ? -EBUSY : 0))
		model_fail("destroy: wrong answer, %s", i < nr_objects ? "objects are out" : "none is");
	if (i >= nr_objects)
		caches[c] = NULL;
	harness_interrupt = saved;
}

static void op_cpus(void)
{
	unsigned int cpu = pick(NR_CPUS);

	if (!cpu_online(cpu))
		harness_cpu_online(cpu);
	else if (num_online_cpus() > 1)
		harness_cpu_offline(cpu);
}

/* What comes in between: an interrupt, or another CPU. */
static void nested_op(void)
{
	u64 r = model_random() % 8;

	if (r < 3)
		op_alloc(false);
	else if (r < 4)
		op_kmalloc(false);
	else if (r < 7)
		op_free();
	else
		op_free_bulk();
}

static void step(void)
{
	u64 r = pick(256);

	nr_ops++;
	if (r < 90)
		op_alloc(true);
	else if (r < 110)
		op_kmalloc(true);
	else if (r < 190)
		op_free();
	else if (r < 200)
		op_bulk(true);
	else if (r < 215)
		op_free_bulk();
	else if (r < 220)
		op_bad_free();
	else if (r < 225)
		op_create();
	else if (r < 230)
		rcu_barrier();
	else if (r < 234)
		op_cpus();
	else if (r < 237)
		kmm_slab_shrink(slab);
	else if (r < 240 && caches[0])
		kmm_cache_shrink(caches[0]);
	else if (r < 244)
		harness_interrupt = pick(2) ? nested_op : NULL;
	else if (r < 248)
		model_inject = pick(20);
	else if (r < 250)
		kmm_buddy_drain_all(buddy);
	else if (r == 250 && one_in(8))
		check();
}

/* === Fixture === */

static void start(void)
{
	unsigned int c;

	model_layout = &model_layouts[pick(2) ? 0 : 4];	/* addresses without a gap, and with */
	memset(&region, 0, sizeof(region));
	buddy = calloc(1, sizeof(*buddy));
	slab = aligned_alloc(64, ALIGN(sizeof(*slab), 64));
	memset(slab, 0, sizeof(*slab));
	if (!covered)
		covered = calloc(HARNESS_NR_PAGES, PAGE_SIZE / 8);
	hardened = false;
	if (kmm_region_init_ops(&region, &model_ops, 1) || kmm_slab_reserve(slab, &region) ||
	    kmm_buddy_init(buddy, &region) || kmm_slab_init(slab, buddy))
		model_fail("init");
	nr_bad_frees = 0;
	for (c = 0; c < 4; c++)
		op_create();
}

static void finish(void)
{
	unsigned int c;

	harness_interrupt = NULL;
	model_inject = 0;
	check();
	while (nr_objects)
		give(forget(nr_objects - 1));
	check();
	for (c = 0; c < NR_CACHES; c++) {
		if (caches[c] && kmm_slab_cache_destroy(caches[c]))
			model_fail("cache %u cannot be destroyed", c);
		caches[c] = NULL;
	}
	kmm_slab_fini(slab);
	if (kmm_buddy_check(buddy))
		model_fail("kmm_buddy_check() at the end");
	kmm_buddy_fini(buddy);
	if (kmm_region_fini(&region))
		model_fail("frames leaked");
	if (harness_stat.live)
		model_fail("%lu host allocations are left", harness_stat.live);
	free(buddy);
	free(slab);
	harness_online = (1UL << NR_CPUS) - 1;
}

static void setup(void)
{
	harness_random = model_random;
	if (kmm_buddy_setup() || kmm_slab_setup())
		model_fail("setup");
}

#ifdef FUZZ

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;

	if (size < 16)
		return 0;
	if (!ready)
		setup();
	ready = true;
	model_seed(data[0]);
	input = data + 1;
	input_left = size - 1;
	start();
	while (input_left)
		step();
	finish();
	return 0;
}

#else

static const char *running = "random_against_model";

static void dying(void)
{
	printf("not ok 1 %s\n0 passed, 1 failed\n", running);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	u64 seed = (u64)time(NULL) * 1000003 % 1000000007;
	unsigned long ops = 500000, n, runs = 0;
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--verbose")) {
			harness_verbose = true;
		} else if (!strcmp(argv[i], "--seed") && i + 1 < argc) {
			seed = strtoull(argv[++i], NULL, 0);
		} else if (!strcmp(argv[i], "--ops") && i + 1 < argc) {
			ops = strtoul(argv[++i], NULL, 0);
		} else {
			fprintf(stderr, "usage: %s [--seed N] [--ops N] [--verbose]\n", argv[0]);
			return 2;
		}
	}
	printf("# seed %llu ops %lu\n", seed, ops);
	fflush(stdout);
	model_seed(seed);
	harness_dying = dying;
	setup();
	for (; nr_ops < ops; runs++) {
		n = nr_ops + 1000 + pick(30000);
		start();
		while (nr_ops < n)
			step();
		finish();
	}
	printf("ok 1 slab: random_against_model # %lu operations in %lu runs\n", nr_ops, runs);
	printf("# %lu came in between, %lu requests failed, %lu reports\n", harness_stat.nested,
	       nr_failed, harness_stat.stacks);
	printf("1 passed, 0 failed\n");
	return 0;
}

#endif
