// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Objects as dma-bufs
 *
 * dma-buf is the host's way to hand memory from one device driver to another, and to and from
 * user space, by a descriptor. This unit is the exporter: a memory object becomes a dma-buf
 * that any importer of the host can attach a device to, map for DMA, map into the kernel, or
 * map into a process. It is written against Documentation/driver-api/dma-buf.rst, with udmabuf
 * as the nearest relative. As a static exporter: frames never move, so there is neither
 * pin nor move_notify.
 *
 * What an export holds: a file of the object, and by it the inode, the object and the module;
 * a pin of the object (kmm_object_pin()), which fills it and keeps each frame at its index
 * until the dma-buf is released; the array of the frames; and, where the export may
 * write, a mapping of them into the kernel. The dma-buf itself holds the module once more,
 * because its release runs here. No reference to a single page is taken: who attaches or maps
 * holds the dma-buf.
 *
 * The size is that of the object at the time of the export, in whole pages. An object that
 * grows later has more than its dma-buf shows.
 *
 * The kernel mapping is made at export and not at the first vmap, because the host's
 * dma_buf_vmap() warns when an exporter's vmap fails, and user space can see to it that
 * memory is short. So vmap here cannot fail.
 *
 * Read-only exports. The descriptor is not open for writing, so the host maps it into processes
 * for reading only. Devices may only read (DMA_TO_DEVICE), and there is no vmap: the
 * interface has none that only reads, and a driver that writes to a read-only
 * mapping would take the host down. Importers that ask for DMA_BIDIRECTIONAL (drm does) need
 * an export that may write. Seals: a writable export of an object that is sealed against
 * writes is refused, and so are such seals while a writable export lives.
 *
 * A mapping of the dma-buf into a process is a mapping of the object (its file, its fault path, its
 * i_mmap): what revokes one revokes the other. It holds the object and not the dma-buf, so the
 * pin ends with the dma-buf's last descriptor and last attachment.
 *
 * Charges, all to the object's account: frames; host memory of the export, 16 bytes a page;
 * each attachment; each scatter list. What an importer asks for can thus end in -EDQUOT.
 *
 * Locks: the object's inode lock is held by whoever exports; export->lock protects the list of
 * DMA mappings; it is taken under the host's dma_resv lock.
 *
 * Invariants: an export that lives is counted in nr_pins, one that may write also in
 * nr_write_pins; pages[i] is the frame at index i.
 *
 * What this deliberately does not do: no fences (no work of ours is ever asynchronous), no
 * dynamic mappings, no part of an object, no import of other exporters' buffers.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <compat/compat.h>
#include <kmm/account.h>
#include <kmm/assert.h>
#include <kmm/dmabuf.h>
#include <kmm/inject.h>
#include <kmm/object.h>

#include <trace/events/kmm.h>

/* === Data === */

/**
 * struct dmabuf_export - what is behind a dma-buf
 * @file: the object's; immutable
 * @object: immutable
 * @pages: frames by index; immutable
 * @nr_pages: entries of @pages; immutable
 * @vaddr: of all frames in the kernel; NULL when read-only; immutable
 * @host_bytes: charged for the host's structs; immutable
 * @write: importers may write; immutable
 * @lock: protects @maps; taken under the dma-buf's dma_resv lock
 * @maps: living DMA mappings
 */
struct dmabuf_export {
	struct file *file;
	struct kmm_object *object;
	struct page **pages;
	unsigned long nr_pages;
	void *vaddr;
	u64 host_bytes;
	bool write;
	struct mutex lock;	/* protects maps */
	struct list_head maps;
};

/**
 * struct dmabuf_map - the object mapped for one device
 * @sgt: what the importer gets
 * @dev: immutable
 * @dir: immutable
 * @sg_bytes: host memory of @sgt's entries, charged
 * @node: in @maps of the export
 */
struct dmabuf_map {
	struct sg_table sgt;
	struct device *dev;
	enum dma_data_direction dir;
	u64 sg_bytes;
	struct list_head node;
};

/* What the host keeps for a dma-buf, and for a kernel mapping of so many pages. */
#define DMABUF_BYTES	(sizeof(struct dma_buf) + sizeof(struct dma_resv) +	\
			 sizeof(struct inode) + sizeof(struct dentry) + sizeof(struct file))
#define VMAP_BYTES(nr)	(sizeof(struct vm_struct) + (u64)(nr) * sizeof(pte_t))

/* === DMA === */

/* Entries are allocated by the page; the last one of each is a link to the next. */
static u64 sg_bytes(unsigned long nr_entries)
{
	return (nr_entries + nr_entries / (SG_MAX_SINGLE_ALLOC - 1) + 1) *
	       sizeof(struct scatterlist);
}

/* The length of an entry: what the device can take, and bounce buffers where it needs these. */
static unsigned int dmabuf_max_segment(struct device *dev)
{
	return min_t(size_t, dma_get_max_seg_size(dev), dma_max_mapping_size(dev)) & PAGE_MASK;
}

static int dmabuf_attach(struct dma_buf *buf, struct dma_buf_attachment *at)
{
	struct dmabuf_export *e = buf->priv;

	if (kmm_should_fail())
		return -ENOMEM;
	return kmm_account_try_charge(e->object->account, KMM_RES_HOST_BYTES, sizeof(*at));
}

static void dmabuf_detach(struct dma_buf *buf, struct dma_buf_attachment *at)
{
	struct dmabuf_export *e = buf->priv;

	kmm_account_uncharge(e->object->account, KMM_RES_HOST_BYTES, sizeof(*at));
}

static struct sg_table *dmabuf_map(struct dma_buf_attachment *at, enum dma_data_direction dir)
{
	struct dmabuf_export *e = at->dmabuf->priv;
	struct kmm_account *a = e->object->account;
	u64 used, most = sg_bytes(e->nr_pages);
	struct dmabuf_map *m;
	int err;

	if (!e->write && dir != DMA_TO_DEVICE)
		return ERR_PTR(-EACCES);
	m = kmm_account_zalloc(a, sizeof(*m));
	if (IS_ERR(m))
		return ERR_CAST(m);
	/* As if no two frames were neighbours; what is not needed goes back. */
	err = kmm_account_try_charge(a, KMM_RES_HOST_BYTES, most);
	if (err)
		goto free;
	err = kmm_should_fail() ? -ENOMEM :
		sg_alloc_table_from_pages_segment(&m->sgt, e->pages, e->nr_pages, 0,
						  e->nr_pages << PAGE_SHIFT,
						  dmabuf_max_segment(at->dev),
						  GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (err)
		goto uncharge;
	used = sg_bytes(m->sgt.orig_nents);
	if (used < most)
		kmm_account_uncharge(a, KMM_RES_HOST_BYTES, most - used);
	m->sg_bytes = min(used, most);
	m->dev = at->dev;
	m->dir = dir;

	err = dma_map_sgtable(m->dev, &m->sgt, dir, 0);
	if (err) {
		sg_free_table(&m->sgt);
		most = m->sg_bytes;
		goto uncharge;
	}
	mutex_lock(&e->lock);
	list_add(&m->node, &e->maps);
	mutex_unlock(&e->lock);
	return &m->sgt;

uncharge:
	kmm_account_uncharge(a, KMM_RES_HOST_BYTES, most);
free:
	kmm_account_free(a, m, sizeof(*m));
	return ERR_PTR(err);
}

static void dmabuf_unmap(struct dma_buf_attachment *at, struct sg_table *sgt,
			 enum dma_data_direction dir)
{
	struct dmabuf_map *m = container_of(sgt, struct dmabuf_map, sgt);
	struct dmabuf_export *e = at->dmabuf->priv;
	struct kmm_account *a = e->object->account;

	mutex_lock(&e->lock);
	list_del(&m->node);
	mutex_unlock(&e->lock);
	dma_unmap_sgtable(m->dev, sgt, m->dir, 0);
	sg_free_table(sgt);
	kmm_account_uncharge(a, KMM_RES_HOST_BYTES, m->sg_bytes);
	kmm_account_free(a, m, sizeof(*m));
}

/* === CPU access === */

/* @dir is what the CPU does; each device is synced for what it was mapped for. */
static int dmabuf_begin_cpu_access(struct dma_buf *buf, enum dma_data_direction dir)
{
	struct dmabuf_export *e = buf->priv;
	struct dmabuf_map *m;

	mutex_lock(&e->lock);
	list_for_each_entry(m, &e->maps, node)
		dma_sync_sgtable_for_cpu(m->dev, &m->sgt, m->dir);
	mutex_unlock(&e->lock);
	return 0;
}

static int dmabuf_end_cpu_access(struct dma_buf *buf, enum dma_data_direction dir)
{
	struct dmabuf_export *e = buf->priv;
	struct dmabuf_map *m;

	mutex_lock(&e->lock);
	list_for_each_entry(m, &e->maps, node)
		dma_sync_sgtable_for_device(m->dev, &m->sgt, m->dir);
	mutex_unlock(&e->lock);
	return 0;
}

static int dmabuf_vmap(struct dma_buf *buf, struct iosys_map *map)
{
	struct dmabuf_export *e = buf->priv;

	iosys_map_set_vaddr(map, e->vaddr);
	return 0;
}

/*
 * The area becomes one of the object. Its count of shared writable areas cannot be one of a sealed
 * object: the caller holds this dma-buf, and as long as it may write there is no write seal.
 */
static int dmabuf_mmap(struct dma_buf *buf, struct vm_area_struct *vma)
{
	struct dmabuf_export *e = buf->priv;
	int err;

	if (vma->vm_pgoff >= e->nr_pages || vma_pages(vma) > e->nr_pages - vma->vm_pgoff)
		return -EINVAL;
	/* The descriptor says so already; an area that a driver hands on does not. */
	if (!e->write && (vma->vm_flags & (VM_SHARED | VM_WRITE)) == (VM_SHARED | VM_WRITE))
		return -EACCES;
	err = call_mmap(e->file, vma);
	if (err)
		return err;
	if (!e->write)
		kmm_vm_flags_clear(vma, VM_MAYWRITE);
	vma_set_file(vma, e->file);
	return 0;
}

/* === Life === */

/* Whatever was made of it. */
static void dmabuf_free(struct dmabuf_export *e)
{
	struct kmm_account *a = e->object->account;
	struct file *file = e->file;

	if (e->vaddr)
		vunmap(e->vaddr);
	kmm_account_free(a, e->pages, e->nr_pages * sizeof(*e->pages));
	kmm_account_uncharge(a, KMM_RES_HOST_BYTES, e->host_bytes);
	mutex_destroy(&e->lock);
	kmm_account_free(a, e, sizeof(*e));
	/* The object may be gone after this. */
	fput(file);
}

static void dmabuf_release(struct dma_buf *buf)
{
	struct dmabuf_export *e = buf->priv;

	kmm_assert(list_empty(&e->maps));
	kmm_object_unpin(e->object, e->write);
	dmabuf_free(e);
}

static const struct dma_buf_ops dmabuf_ops = {
	.attach = dmabuf_attach,
	.detach = dmabuf_detach,
	.map_dma_buf = dmabuf_map,
	.unmap_dma_buf = dmabuf_unmap,
	.begin_cpu_access = dmabuf_begin_cpu_access,
	.end_cpu_access = dmabuf_end_cpu_access,
	.mmap = dmabuf_mmap,
	.vmap = dmabuf_vmap,
	.release = dmabuf_release,
};

/* The host refuses vmap itself, and without a warning, where there is none. */
static const struct dma_buf_ops dmabuf_rdonly_ops = {
	.attach = dmabuf_attach,
	.detach = dmabuf_detach,
	.map_dma_buf = dmabuf_map,
	.unmap_dma_buf = dmabuf_unmap,
	.begin_cpu_access = dmabuf_begin_cpu_access,
	.end_cpu_access = dmabuf_end_cpu_access,
	.mmap = dmabuf_mmap,
	.release = dmabuf_release,
};

/* The export without its dma-buf; the object is pinned and has @nr_pages. */
static struct dmabuf_export *dmabuf_create(struct file *file, struct kmm_object *o,
					   unsigned long nr_pages, bool write)
{
	u64 host_bytes = DMABUF_BYTES + (write ? VMAP_BYTES(nr_pages) : 0);
	struct kmm_account *a = o->account;
	struct dmabuf_export *e;
	struct page **pages;
	int err;

	e = kmm_account_zalloc(a, sizeof(*e));
	if (IS_ERR(e))
		return e;
	mutex_init(&e->lock);
	INIT_LIST_HEAD(&e->maps);
	e->file = get_file(file);
	e->object = o;
	e->write = write;

	err = kmm_account_try_charge(a, KMM_RES_HOST_BYTES, host_bytes);
	if (err)
		goto free;
	e->host_bytes = host_bytes;
	pages = kmm_account_zalloc(a, nr_pages * sizeof(*pages));
	if (IS_ERR(pages)) {
		err = PTR_ERR(pages);
		goto free;
	}
	e->pages = pages;
	e->nr_pages = nr_pages;
	if (kmm_object_pinned_pages(o, pages, nr_pages) != nr_pages) {
		err = -EIO;
		goto free;
	}
	if (write) {
		e->vaddr = kmm_should_fail() ? NULL : vmap(pages, nr_pages, VM_MAP, PAGE_KERNEL);
		if (!e->vaddr) {
			err = -ENOMEM;
			goto free;
		}
	}
	return e;

free:
	dmabuf_free(e);
	return ERR_PTR(err);
}

/**
 * kmm_dmabuf_export() - A dma-buf of an object.
 * @file: file of the object, open for writing if @write; the dma-buf takes a reference
 * @o: the object
 * @write: importers may write
 *
 * Context: task, may sleep; serialised with changes of size, punches and seals by the caller.
 * Return: the dma-buf's file, or ERR_PTR: -EOPNOTSUPP the host has no dma-buf; -ENFILE; else as
 * kmm_object_pin().
 */
struct file *kmm_dmabuf_export(struct file *file, struct kmm_object *o, bool write)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct dmabuf_export *e;
	struct dma_buf *buf;
	int err;

	err = kmm_object_pin(o, write);
	if (err)
		return ERR_PTR(err);
	e = dmabuf_create(file, o, o->nr_pages, write);
	if (IS_ERR(e)) {
		kmm_object_unpin(o, write);
		return ERR_CAST(e);
	}
	info.ops = write ? &dmabuf_ops : &dmabuf_rdonly_ops;
	info.size = e->nr_pages << PAGE_SHIFT;
	info.flags = write ? O_RDWR : O_RDONLY;
	info.priv = e;
	buf = kmm_should_fail() ? ERR_PTR(-ENOMEM) : dma_buf_export(&info);
	if (IS_ERR(buf)) {
		kmm_object_unpin(o, write);
		dmabuf_free(e);
		return ERR_CAST(buf);
	}
	trace_object_export(o->id, info.size, write);
	return buf->file;
}
KMM_EXPORT_INTERNAL(kmm_dmabuf_export);

/**
 * kmm_dmabuf_get_object() - The object behind a dma-buf of ours.
 * @fd: descriptor of this process
 * @write: out: whether the dma-buf may write
 *
 * Context: task, may sleep.
 * Return: a file of the object, give it back with fput(); ERR_PTR: -EBADF not open; -EXDEV no
 * dma-buf, or another exporter's; -EOPNOTSUPP the host has no dma-buf.
 */
struct file *kmm_dmabuf_get_object(int fd, bool *write)
{
	struct dma_buf *buf = dma_buf_get(fd);
	struct dmabuf_export *e;
	struct file *file;

	if (IS_ERR(buf))
		return ERR_PTR(PTR_ERR(buf) == -EBADF ? -EBADF : -EXDEV);
	if (buf->ops != &dmabuf_ops && buf->ops != &dmabuf_rdonly_ops) {
		dma_buf_put(buf);
		return ERR_PTR(-EXDEV);
	}
	e = buf->priv;
	file = get_file(e->file);
	*write = e->write;
	trace_object_import(e->object->id, buf->size, e->write);
	dma_buf_put(buf);
	return file;
}
KMM_EXPORT_INTERNAL(kmm_dmabuf_get_object);

KMM_IMPORT_DMA_BUF();
