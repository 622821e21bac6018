/* What clients keep for us between two requests, and bring back: opaque, URL-safe, with a version
 * and a check, so that what is foreign, garbled or of another bucket is refused.  They are no
 * secrets: what they say could be asked without them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum {
    LIST_TOKEN_NAME_BYTES = 4096,
    UPLOAD_TOKEN_ID_BYTES = 2048,
};

/* Where a list (V2) goes on. */
struct list_token {
    uint64_t epoch;    /* of the pool's map */
    bool is_prefix;    /* the last item was a common prefix */
    struct slice name; /* the last item: raw bytes */
};

/* Which upload of which store a client's UploadId is. */
struct upload_token {
    uint64_t epoch;
    uint32_t shard;
    struct slice id; /* the store's own */
};

/* `seed` must be the same for writing and reading: a number for the pool and the bucket. */
void list_token_write(const struct list_token *token, uint64_t seed, struct buf *out);
/* ERR_SYNTAX: none of ours; ERR_UNSUPPORTED: of a later version.  Both are InvalidArgument to the
 * client.  The name is put in the arena. */
enum err list_token_read(struct slice text, uint64_t seed, struct arena *arena,
                         struct list_token *out) MUST_CHECK;

/* The id must have 1 to UPLOAD_TOKEN_ID_BYTES bytes. */
void upload_token_write(const struct upload_token *token, uint64_t seed, struct buf *out);
/* As above (to the client: NoSuchUpload); also ERR_RANGE if the shard is not below `shards`. */
enum err upload_token_read(struct slice text, uint64_t seed, uint32_t shards, struct arena *arena,
                           struct upload_token *out) MUST_CHECK;
