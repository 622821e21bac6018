/* Multipart uploads of a folder store.
 *
 *     folder_upload_create(folder, bucket, key, pairs, count, &id)
 *     folder_part_begin(folder, bucket, key, id, 1, size, &put)     then as any put
 *     folder_complete_begin(folder, bucket, key, id, parts, count, &put)
 *     do folder_put_step(put, 64 MiB, &done) while (!done)     a client may be told to wait
 *     folder_put_commit(&put, &commit, &written)                    and the upload is gone
 *
 * Each is crash-safe: an upload is there until the commit of its completion. */
#pragma once

#include "proxy/blob/folder.h"
#include "proxy/wire/checksum_parts.h"

enum {
    FOLDER_UPLOAD_ID_BYTES = 33, /* with the terminator */
    FOLDER_PARTS = 10000,
};

struct folder_upload_id {
    char text[FOLDER_UPLOAD_ID_BYTES];
};

struct folder_part {
    unsigned number; /* 1 to FOLDER_PARTS */
    uint64_t size;
    int64_t modified_us;
    char etag[FOLDER_ETAG_BYTES];
    char sum[CHECKSUM_TEXT_MOST + 1]; /* of the upload's kind; or "" */
};

struct folder_upload {
    struct slice key; /* in the page; or a common prefix, then nothing else counts */
    bool is_prefix;
    struct folder_upload_id id;
    int64_t begun_us;
};

/* The checksum that an upload of these pairs has for each part and for the whole, by its
 * x-amz-checksum-algorithm and -type; CHECKSUMS: none. */
enum checksum folder_upload_sum(const struct folder_object *upload, bool *is_composite);
MUST_CHECK enum folder_outcome folder_upload_create(struct folder *folder, struct slice bucket,
                                                    struct slice key,
                                                    const struct folder_pair *pairs, size_t count,
                                                    struct folder_upload_id *out);
/* `id` is what a client said: NO_SUCH_UPLOAD for whatever is none of this bucket and key. */
MUST_CHECK enum folder_outcome folder_part_begin(struct folder *folder, struct slice bucket,
                                                 struct slice key, struct slice id, unsigned number,
                                                 uint64_t size, struct folder_put **out);
/* A part out of an object of this folder, which stays open until the commit. */
MUST_CHECK enum folder_outcome folder_part_copy_begin(
    struct folder *folder, struct slice bucket, struct slice key, struct slice id, unsigned number,
    const struct folder_reader *reader, uint64_t from, uint64_t len, struct folder_put **out);
/* Parts with a number greater than `after`, in order; `out` is to be freed. */
MUST_CHECK enum folder_outcome folder_parts(struct folder *folder, struct slice bucket,
                                            struct slice key, struct slice id, unsigned after,
                                            size_t most, struct folder_part **out, size_t *count,
                                            bool *more);
/* The pairs that the upload was created with (and no size or ETag): what its answers may need. */
MUST_CHECK enum folder_outcome folder_upload_head(struct folder *folder, struct slice bucket,
                                                  struct slice key, struct slice id,
                                                  struct folder_object *out);

struct folder_part_choice {
    unsigned number;
    struct slice etag;      /* borrowed; with or without quotes */
    enum checksum sum_kind; /* of `sum`, base64, which the part must have; empty: whatever it has */
    struct slice sum;
};
/* What becomes the object, and what is declared of it; all slices are borrowed. */
struct folder_completion {
    const struct folder_part_choice *parts;
    size_t count;
    uint64_t size;          /* of the whole; or FOLDER_SIZE_UNKNOWN */
    enum checksum sum_kind; /* of `sum`; empty: nothing is declared */
    struct slice sum, sum_type;
};
MUST_CHECK enum folder_outcome folder_complete_begin(struct folder *folder, struct slice bucket,
                                                     struct slice key, struct slice id,
                                                     const struct folder_completion *completion,
                                                     struct folder_put **out);
MUST_CHECK enum folder_outcome folder_upload_abort(struct folder *folder, struct slice bucket,
                                                   struct slice key, struct slice id);

struct folder_uploads_request {
    struct slice prefix, delimiter;   /* borrowed, as in a list of objects */
    struct slice after_key, after_id; /* after_id empty: all uploads of after_key are past */
    size_t most;                      /* cut to 1000 */
};

struct folder_uploads_page {
    struct folder_upload *uploads; /* owned; by key, then by the time of their beginning, then id */
    size_t count;
    bool more;
    struct buf text;
};
MUST_CHECK enum folder_outcome folder_uploads(struct folder *folder, struct slice bucket,
                                              const struct folder_uploads_request *request,
                                              struct folder_uploads_page *out);
void folder_uploads_page_fini(struct folder_uploads_page *page);
