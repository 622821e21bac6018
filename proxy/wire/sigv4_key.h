/* Signing keys of AWS Signature Version 4: made of a secret, a date, a region and a service by four
 * HMACs, 1.2 us, so they are kept.  A cache belongs to one thread.
 *
 *     const struct hmac_sha256 *key = sigv4_keys_get(keys, &credential, date, region);
 *     struct hmac_sha256 h = *key;                    the key is prepared: a copy goes on from it
 *
 * What was got is valid till the next call for the cache: a stream takes a copy. */
#pragma once

#include "proxy/base/slice.h"
#include "proxy/wire/hmac_sha256.h"

enum {
    SIGV4_DATE = 8,          /* letters of "20260131" */
    SIGV4_SECRET_MOST = 128, /* secrets are not longer: who reads them sees to it */
    SIGV4_REGION_MOST = 64,  /* longer ones are refused */
    SIGV4_KEYS = 256,        /* places in a cache */
};

struct sigv4_keys;

struct sigv4_keys *sigv4_keys_new(void);
/* Wipes them. */
void sigv4_keys_free(struct sigv4_keys **keys);

/* The key of service "s3": kept, or made and kept.  For what we sign ourselves. */
const struct hmac_sha256 *sigv4_keys_get(struct sigv4_keys *keys, struct slice secret,
                                         struct slice date, struct slice region);
/* The same, without keeping what is made, in `made` then: who is not known to be who he says must
 * not drive out the keys of others.  sigv4_keys_keep() when he is. */
const struct hmac_sha256 *sigv4_keys_find(struct sigv4_keys *keys, struct slice secret,
                                          struct slice date, struct slice region,
                                          struct hmac_sha256 *made);
void sigv4_keys_keep(struct sigv4_keys *keys, struct slice secret, struct slice date,
                     struct slice region, const struct hmac_sha256 *made);

/* Without a cache. */
void sigv4_key_make(struct slice secret, struct slice date, struct slice region,
                    struct slice service, struct hmac_sha256 *out);
