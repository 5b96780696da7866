/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's compressors by name. Through the crypto API, which loads what is a module: a call
 * of LZ4_compress_default() would make insmod of kmm.ko fail where lz4 is one.
 */
#ifndef _KMM_COMPAT_COMP_H
#define _KMM_COMPAT_COMP_H

#include <linux/crypto.h>
#include <linux/err.h>
#include <linux/version.h>

/* Synchronous compressors: struct crypto_comp until 6.14, struct crypto_acomp alone from 6.15. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 15, 0)

#define kmm_comp		crypto_comp
#define kmm_comp_create(name)	crypto_alloc_comp(name, 0, 0)
#define kmm_comp_destroy	crypto_free_comp
#define kmm_comp_pack		crypto_comp_compress
#define kmm_comp_unpack		crypto_comp_decompress

#else

#include <crypto/acompress.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

struct kmm_comp {
	struct crypto_acomp *tfm;
	struct acomp_req *req;
};

static inline void kmm_comp_destroy(struct kmm_comp *c)
{
	acomp_request_free(c->req);
	crypto_free_acomp(c->tfm);
	kfree(c);
}

static inline struct kmm_comp *kmm_comp_create(const char *name)
{
	struct kmm_comp *c = kzalloc(sizeof(*c), GFP_KERNEL_ACCOUNT);
	int err;

	if (!c)
		return ERR_PTR(-ENOMEM);
	c->tfm = crypto_alloc_acomp(name, 0, CRYPTO_ALG_ASYNC);
	if (IS_ERR(c->tfm)) {
		err = PTR_ERR(c->tfm);
		kfree(c);
		return ERR_PTR(err);
	}
	c->req = acomp_request_alloc(c->tfm);
	if (!c->req) {
		crypto_free_acomp(c->tfm);
		kfree(c);
		return ERR_PTR(-ENOMEM);
	}
	return c;
}

static inline void kmm_comp_set(struct kmm_comp *c, struct scatterlist *sg, const u8 *src,
				unsigned int slen, u8 *dst, unsigned int dlen)
{
	sg_init_one(&sg[0], src, slen);
	sg_init_one(&sg[1], dst, dlen);
	acomp_request_set_params(c->req, &sg[0], &sg[1], slen, dlen);
}

static inline int kmm_comp_pack(struct kmm_comp *c, const u8 *src, unsigned int slen, u8 *dst,
				unsigned int *dlen)
{
	struct scatterlist sg[2];
	int err;

	kmm_comp_set(c, sg, src, slen, dst, *dlen);
	err = crypto_acomp_compress(c->req);
	*dlen = c->req->dlen;
	return err;
}

static inline int kmm_comp_unpack(struct kmm_comp *c, const u8 *src, unsigned int slen, u8 *dst,
				  unsigned int *dlen)
{
	struct scatterlist sg[2];
	int err;

	kmm_comp_set(c, sg, src, slen, dst, *dlen);
	err = crypto_acomp_decompress(c->req);
	*dlen = c->req->dlen;
	return err;
}

#endif

#endif /* _KMM_COMPAT_COMP_H */
