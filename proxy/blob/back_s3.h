/* What is said to a store that speaks S3. */
#pragma once

#include <stdint.h>

#include "config/snapshot.h"
#include "proxy/base/buf.h"
#include "proxy/blob/blob.h"
#include "proxy/wire/sigv4_sign.h"

/* Who asks; id is empty: nothing is signed. */
struct s3_speaker {
    struct sigv4_signer signer;
    uint64_t now_s;
    bool expects_continue;
    bool bares_tags; /* of conditions of writes: the store compares them without quotes */
};

/* Puts the head of the request that asks this of the store behind `endpoint`: its names for bucket
 * and key, the query, fields, the signature.  ERR_LIMIT, ERR_SYNTAX: what does not fit into a
 * head. */
enum err s3_put_ask(const struct endpoint_settings *endpoint, const struct blob_ask *ask,
                    const struct s3_speaker *speaker, struct buf *out) MUST_CHECK;

/* The same at less cost, for what is asked most: `plain` is made once a second, by a speaker who
 * signs; false: this ask is not of that kind. */
enum err s3_make_plain(const struct endpoint_settings *endpoint, const struct s3_speaker *speaker,
                       struct sigv4_plain *plain) MUST_CHECK;
bool s3_put_plain(const struct endpoint_settings *endpoint, const struct blob_ask *ask,
                  struct sigv4_plain *plain, struct sigv4_scratch *scratch, struct buf *out)
    MUST_CHECK;

/* Is this what Ceph's gateway calls a request?  It compares the tag of a write's condition as it
 * comes, with its quotes, to one that has none. */
bool s3_is_of_ceph(struct slice request_id);

/* The store's key for a client's: with the prefix of the endpoint, and the bucket where one of its
 * own holds all. */
void s3_put_key(const struct blob_store *store, struct slice bucket, struct slice key,
                struct buf *out);
