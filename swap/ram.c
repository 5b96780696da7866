// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Swap to compressed memory
 *
 * Pages are compressed with LZ4 or zstd and kept in memory of the host: the only place where
 * kmm stores a client's bytes outside of its region, named so, accounted page by page, and with
 * a limit. What zram is to the host's swap, without a block device in between.
 *
 * A slot is in one of these states:
 *
 *	empty	no page
 *	same	every 8 bytes of the page are equal: the word is kept in place of a pointer
 *	packed	compressed, in host memory of its size
 *	plain	does not become smaller than three quarters: as it is, and read without work
 *
 * Host memory comes in the sizes of kmalloc, and between 1 and 3 KiB, where these are far
 * apart, from caches of the area's own in steps of 256 bytes. What is charged is the size of
 * the object. Beyond the limit, or when the host has none without waiting, the write fails: the
 * page stays where it is.
 *
 * Compression works in a stream of its own for each CPU, under a mutex: whoever is moved to
 * another CPU in the middle waits for nobody but takes that stream along. The result is made in
 * the stream's buffer, because its size is not known before, and copied once. The buffer has
 * room for whatever may come out: LZ4 is faster where it need not look at the end of its output.
 *
 * The compressors are the host's, by its crypto API (compat/comp.h): they are loaded when the
 * first area is made, so that insmod of kmm needs none of them.
 *
 * Reading waits for no I/O, so it may be done under an object's lock (kmm_swap_ops.sync).
 *
 * Locks: a mutex per stream, below an object's lock. A slot belongs to whoever has its entry.
 *
 * What this deliberately does not do: no pool that is compacted (zsmalloc), no writeback to a
 * device.
 */
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/lz4.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include <compat/comp.h>
#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/inject.h>
#include <kmm/swap.h>

/* === Data === */

/* The writer may be short of memory itself. */
#define RAM_GFP		(GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT)

/* Above this a compressed page saves too little to be unpacked again. */
#define RAM_PACKED_MAX	(3 * PAGE_SIZE / 4)

/* What a page can become at worst is a little more than a page, with each compressor. */
#define RAM_BUF_SIZE	(2 * PAGE_SIZE)

/**
 * struct ram_slot - one page
 * @p: packed or plain bytes
 * @word: in its place, with @len 0: what the page is filled with
 * @len: bytes at @p; PAGE_SIZE is plain
 * @reserved: zero
 */
struct ram_slot {
	union {
		void *p;
		unsigned long word;
	};
	u32 len;
	u32 reserved;
};

/**
 * struct ram_kind - a compressor
 * @name: as the host's crypto API calls it
 * @work_bytes: what the host takes for one stream: charged, so that nobody gets it for nothing
 */
struct ram_kind {
	const char *name;
	size_t work_bytes;
};

static const struct ram_kind ram_kinds[] = {
	{ "lz4", LZ4_MEM_COMPRESS },
	/* cctx and dctx of its level 3 without a known size, as they are on 6.1 */
	{ "zstd", 1360 * SZ_1K },
};

/**
 * struct ram_stream - what one compression needs
 * @lock: one at a time
 * @comp: the host's compressor
 * @buf: result, RAM_BUF_SIZE
 */
struct ram_stream {
	struct mutex lock;	/* one compression at a time */
	struct kmm_comp *comp;
	void *buf;
};

/* Sizes of the caches: 1280, 1536, … 3072, but not 2048, which kmalloc has. */
#define RAM_STEP	256
#define RAM_CACHE_MIN	1024
#define RAM_NR_CACHES	((RAM_PACKED_MAX - RAM_CACHE_MIN) / RAM_STEP)

/**
 * struct ram - an area in memory
 * @kind: compressor
 * @account: pays; the area's
 * @slots: by number
 * @nr_slots: how many
 * @stream: one per possible CPU
 * @cache: objects between kmalloc's sizes; NULL: kmalloc has the size
 * @bytes: host memory of the pages
 * @limit: of @bytes
 * @own_bytes: charged for streams
 */
struct ram {
	const struct ram_kind *kind;
	struct kmm_account *account;
	struct ram_slot *slots;
	u64 nr_slots;
	struct ram_stream __percpu *stream;
	struct kmem_cache *cache[RAM_NR_CACHES];
	atomic64_t bytes;
	u64 limit;
	u64 own_bytes;
};

/* === Host memory of a page === */

static struct kmem_cache *ram_cache(struct ram *r, u32 len)
{
	if (len <= RAM_CACHE_MIN || len > RAM_PACKED_MAX)
		return NULL;
	return r->cache[(len - RAM_CACHE_MIN - 1) / RAM_STEP];
}

/* What @len bytes cost. */
static u32 ram_cost(struct ram *r, u32 len)
{
	return ram_cache(r, len) ? round_up(len, RAM_STEP) : kmalloc_size_roundup(len);
}

static void *ram_alloc(struct ram *r, u32 len)
{
	struct kmem_cache *cache = ram_cache(r, len);
	u32 cost = ram_cost(r, len);
	void *p;

	if (atomic64_add_return(cost, &r->bytes) > r->limit)
		goto fail;
	if (kmm_account_try_charge(r->account, KMM_RES_HOST_BYTES, cost))
		goto fail;
	if (kmm_should_fail())
		p = NULL;
	else
		p = cache ? kmem_cache_alloc(cache, RAM_GFP) : kmalloc(len, RAM_GFP);
	if (p)
		return p;
	kmm_account_uncharge(r->account, KMM_RES_HOST_BYTES, cost);
fail:
	atomic64_sub(cost, &r->bytes);
	return NULL;
}

/* What two CPUs may be about to write may not find room. */
static bool ram_full(struct kmm_swap_area *a)
{
	struct ram *r = a->priv;

	return atomic64_read(&r->bytes) + 2 * KMM_SWAP_BATCH * PAGE_SIZE > r->limit;
}

static void ram_forget(struct kmm_swap_area *a, u32 nr)
{
	struct ram *r = a->priv;
	struct ram_slot *slot = &r->slots[nr];
	struct kmem_cache *cache = ram_cache(r, slot->len);
	u32 cost;

	if (slot->len) {
		cost = ram_cost(r, slot->len);
		if (cache)
			kmem_cache_free(cache, slot->p);
		else
			kfree(slot->p);
		kmm_account_uncharge(r->account, KMM_RES_HOST_BYTES, cost);
		atomic64_sub(cost, &r->bytes);
	}
	slot->p = NULL;
	slot->len = 0;
}

/* === Pages === */

static bool ram_is_same(const unsigned long *p)
{
	const unsigned int last = PAGE_SIZE / sizeof(*p) - 1;
	unsigned int i;

	/* Most pages that are not differ here. */
	if (p[0] != p[last])
		return false;
	for (i = 1; i < last; i++)
		if (p[i] != p[0])
			return false;
	return true;
}

static int ram_store(struct ram *r, struct ram_slot *slot, const void *from, u32 len)
{
	void *p = ram_alloc(r, len);

	if (!p)
		return -ENOSPC;
	memcpy(p, from, len);
	slot->p = p;
	slot->len = len;
	return 0;
}

static int ram_pack(struct ram *r, struct ram_slot *slot, const void *mem)
{
	unsigned int len = RAM_BUF_SIZE;
	struct ram_stream *t;
	int err;

	t = raw_cpu_ptr(r->stream);
	mutex_lock(&t->lock);
	/* An error is as good as a page that does not become smaller. */
	if (kmm_comp_pack(t->comp, mem, PAGE_SIZE, t->buf, &len) || !len || len > RAM_PACKED_MAX)
		err = ram_store(r, slot, mem, PAGE_SIZE);
	else
		err = ram_store(r, slot, t->buf, len);
	mutex_unlock(&t->lock);
	return err;
}

static int ram_unpack(struct ram *r, const struct ram_slot *slot, void *mem)
{
	unsigned int len = PAGE_SIZE;
	struct ram_stream *t;
	int err;

	t = raw_cpu_ptr(r->stream);
	mutex_lock(&t->lock);
	err = kmm_comp_unpack(t->comp, slot->p, slot->len, mem, &len);
	mutex_unlock(&t->lock);
	return err || len != PAGE_SIZE ? -EBADMSG : 0;
}

static int ram_write_page(struct kmm_swap_area *a, u32 nr, struct page *page)
{
	struct ram *r = a->priv;
	struct ram_slot *slot = &r->slots[nr];
	unsigned long *mem;
	int err = 0;

	ram_forget(a, nr);
	mem = kmap_local_page(page);
	if (ram_is_same(mem))
		slot->word = mem[0];
	else
		err = ram_pack(r, slot, mem);
	kunmap_local(mem);
	return err;
}

static int ram_write(struct kmm_swap_area *a, u32 nr, struct page **pages, unsigned int nr_pages)
{
	unsigned int i;
	int err;

	for (i = 0; i < nr_pages; i++) {
		err = ram_write_page(a, nr + i, pages[i]);
		if (err)
			goto forget;
	}
	return 0;

forget:
	while (i--)
		ram_forget(a, nr + i);
	return err;
}

static int ram_read_page(struct kmm_swap_area *a, u32 nr, struct page *page)
{
	struct ram *r = a->priv;
	const struct ram_slot *slot = &r->slots[nr];
	void *mem = kmap_local_page(page);
	int err = 0;

	if (!slot->len)
		memset64(mem, slot->word, PAGE_SIZE / sizeof(u64));
	else if (slot->len == PAGE_SIZE)
		copy_page(mem, slot->p);
	else
		err = ram_unpack(r, slot, mem);
	kunmap_local(mem);
	return err;
}

static int ram_read(struct kmm_swap_area *a, u32 nr, struct page **pages, unsigned int nr_pages)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < nr_pages && !err; i++)
		err = ram_read_page(a, nr + i, pages[i]);
	return err;
}

/* === Life === */

static void ram_free(struct ram *r)
{
	struct kmm_account *account = r->account;
	unsigned int i;
	int cpu;

	if (r->stream)
		for_each_possible_cpu(cpu) {
			struct ram_stream *t = per_cpu_ptr(r->stream, cpu);

			if (!IS_ERR_OR_NULL(t->comp))
				kmm_comp_destroy(t->comp);
			kfree(t->buf);
		}
	free_percpu(r->stream);
	for (i = 0; i < RAM_NR_CACHES; i++)
		kmem_cache_destroy(r->cache[i]);
	kmm_account_free(account, r->slots, r->nr_slots * sizeof(*r->slots));
	kmm_account_uncharge(account, KMM_RES_HOST_BYTES, r->own_bytes);
	kmm_account_free(account, r, sizeof(*r));
}

static void ram_close(struct kmm_swap_area *a)
{
	ram_free(a->priv);
}

static u64 ram_tell(struct kmm_swap_area *a, char *buf, size_t size_bytes)
{
	struct ram *r = a->priv;

	strscpy(buf, r->kind->name, size_bytes);
	return sizeof(*r) + r->nr_slots * sizeof(*r->slots) + r->own_bytes +
		atomic64_read(&r->bytes);
}

static const struct kmm_swap_ops ram_ops = {
	.name = "ram",
	.sync = true,
	.write = ram_write,
	.read = ram_read,
	.forget = ram_forget,
	.full = ram_full,
	.close = ram_close,
	.tell = ram_tell,
};

static const struct ram_kind *ram_find_kind(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ram_kinds); i++)
		if (!strcmp(ram_kinds[i].name, name))
			return &ram_kinds[i];
	return NULL;
}

static int ram_make_streams(struct ram *r)
{
	u64 bytes = num_possible_cpus() *
		    (r->kind->work_bytes + RAM_BUF_SIZE + sizeof(struct ram_stream));
	int cpu, err;

	err = kmm_account_try_charge(r->account, KMM_RES_HOST_BYTES, bytes);
	if (err)
		return err;
	r->own_bytes = bytes;
	r->stream = kmm_should_fail() ? NULL :
		    alloc_percpu_gfp(struct ram_stream, GFP_KERNEL_ACCOUNT);
	if (!r->stream)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		mutex_init(&per_cpu_ptr(r->stream, cpu)->lock);
	for_each_possible_cpu(cpu) {
		struct ram_stream *t = per_cpu_ptr(r->stream, cpu);

		t->buf = kmm_should_fail() ? NULL : kmalloc(RAM_BUF_SIZE, GFP_KERNEL_ACCOUNT);
		if (!t->buf)
			return -ENOMEM;
		t->comp = kmm_should_fail() ? ERR_PTR(-ENOMEM) : kmm_comp_create(r->kind->name);
		/* -ENOENT: this host has no such compressor, and no module of it */
		if (IS_ERR(t->comp))
			return PTR_ERR(t->comp) == -ENOENT ? -EOPNOTSUPP : -ENOMEM;
	}
	return 0;
}

static int ram_make_caches(struct ram *r)
{
	static atomic_t number;
	unsigned int i, size, nr = atomic_inc_return(&number);
	char name[32];

	for (i = 0; i < RAM_NR_CACHES; i++) {
		size = RAM_CACHE_MIN + (i + 1) * RAM_STEP;
		if (kmalloc_size_roundup(size) == size)
			continue;
		/* The host wants names to be different. */
		snprintf(name, sizeof(name), "kmm_swap_%u-%u", nr, size);
		r->cache[i] = kmm_should_fail() ? NULL :
			      kmem_cache_create(name, size, 0, SLAB_ACCOUNT, NULL);
		if (!r->cache[i])
			return -ENOMEM;
	}
	return 0;
}

/**
 * kmm_swap_ram_add() - An area in compressed host memory.
 * @s: swap
 * @account: pays for the pages, too
 * @compressor: "lz4" or "zstd"
 * @size_bytes: host memory that the pages may take; there are as many slots as if they all took
 *	half a page
 * @prio: as kmm_swap_add()
 *
 * Context: task, may sleep.
 * Return: id; -EINVAL unknown compressor, less than a page, or too much; -EOPNOTSUPP the host
 * has no such compressor; else as kmm_swap_add().
 */
int kmm_swap_ram_add(struct kmm_swap *s, struct kmm_account *account, const char *compressor,
		     u64 size_bytes, int prio)
{
	const struct ram_kind *kind = ram_find_kind(compressor);
	u64 nr_slots = (size_bytes >> PAGE_SHIFT) * 2;
	struct ram *r;
	int err;

	if (!kind || !nr_slots || nr_slots > KMM_SWAP_SLOTS_MAX)
		return -EINVAL;
	r = kmm_account_zalloc(account, sizeof(*r));
	if (IS_ERR(r))
		return PTR_ERR(r);
	r->kind = kind;
	r->account = account;
	r->limit = size_bytes;
	r->nr_slots = nr_slots;
	r->slots = kmm_account_zalloc(account, nr_slots * sizeof(*r->slots));
	err = PTR_ERR_OR_ZERO(r->slots);
	if (err)
		r->slots = NULL;
	else
		err = ram_make_streams(r) ?: ram_make_caches(r);
	if (err) {
		ram_free(r);
		return err;
	}
	return kmm_swap_add(s, account, &ram_ops, r, nr_slots, prio);
}
KMM_EXPORT_INTERNAL(kmm_swap_ram_add);
