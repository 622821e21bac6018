/* What a request's fields ask besides: conditions, checksums, locks, owners.  A success would say
 * that it was heeded, so what is not is refused.  What only a folder lacks is in back_folder.c. */
#include <string.h>

#include "proxy/blob/blob_flow.h"
#include "proxy/wire/base64.h"
#include "proxy/wire/digest.h"
#include "proxy/wire/http1_condition.h"

/* Names that the table of names knows. */
static bool has_one(const struct http1_head *head, const enum http1_name *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (http1_has(head, names[i]))
            return true;
    return false;
}

#define HAS_ONE(head, names) has_one((head), (names), sizeof(names) / sizeof((names)[0]))

/* Of Amazon's that it does not know. */
static bool has_other(const struct http1_head *head, const char *const *names, size_t count)
{
    const struct http1_field *field = http1_field_find(head, HTTP1_NAME_X_AMZ_OTHER);

    for (; field != NULL; field = http1_field_next(head, field))
        for (size_t i = 0; i < count; i++)
            if (slice_is_word(field->name, names[i]))
                return true;
    return false;
}

#define HAS_OTHER(head, names) has_other((head), (names), sizeof(names) / sizeof((names)[0]))

/* ---- conditions of writes ---- */

bool blob_has_condition(const struct blob_request *r)
{
    return http1_has(&r->http.head, HTTP1_NAME_IF_MATCH) ||
           http1_has(&r->http.head, HTTP1_NAME_IF_NONE_MATCH);
}

/* Copies on a condition are made by puts where the store's own do not heed it. */
static enum blob_conditions needed(enum s3_op op)
{
    switch ((int)op) {
    case S3_OP_PUT_OBJECT:
    case S3_OP_COPY_OBJECT:
        return BLOB_CONDITIONS_PUT;
    case S3_OP_COMPLETE_UPLOAD:
        return BLOB_CONDITIONS_WRITES;
    case S3_OP_DELETE_OBJECT:
        return BLOB_CONDITIONS_ALL;
    default:
        return BLOB_CONDITIONS_NONE;
    }
}

/* That there is not this version: S3 has no such write, and stores pass over it. */
static bool excludes_a_tag(const struct blob_request *r)
{
    struct slice tags = http1_value(&r->http.head, HTTP1_NAME_IF_NONE_MATCH);

    return tags.len > 0 && !slice_is_text(tags, "*");
}

/* A write on a condition that its store would not heed must not be done at all.  By times nobody
 * lets writes depend. */
static bool lacks_conditions(const struct blob_request *r)
{
    static const enum http1_name TIMES[] = { HTTP1_NAME_IF_MODIFIED_SINCE,
                                             HTTP1_NAME_IF_UNMODIFIED_SINCE };
    static const char *const MORE[] = { "x-amz-if-match-size",
                                        "x-amz-if-match-last-modified-time" };
    enum blob_conditions needs = needed(r->op.op), heeds;
    const struct blob_store *store;
    bool has_more;

    if (needs == BLOB_CONDITIONS_NONE)
        return false;
    has_more = HAS_OTHER(&r->http.head, MORE);
    store = &blob_shard_of(r->side, r->op.key)->settings->store;
    heeds = store->folder != NULL && !has_more ? BLOB_CONDITIONS_ALL : store->conditions;
    return HAS_ONE(&r->http.head, TIMES) || (store->folder == NULL && excludes_a_tag(r)) ||
           ((has_more || blob_has_condition(r)) && heeds < needs);
}

/* ---- encryption ---- */

static bool asks_encryption(const struct http1_head *head)
{
    static const char *const STARTS[] = { "x-amz-server-side-encryption",
                                          "x-amz-copy-source-server-side-encryption", NULL };

    const struct http1_field *field = http1_field_find(head, HTTP1_NAME_X_AMZ_OTHER);

    if (http1_has(head, HTTP1_NAME_X_AMZ_SERVER_SIDE_ENCRYPTION))
        return true;
    for (; field != NULL; field = http1_field_next(head, field))
        for (size_t k = 0; STARTS[k] != NULL; k++)
            if (field->name.len > strlen(STARTS[k]) &&
                slice_is_word(slice_of(field->name.at, strlen(STARTS[k])), STARTS[k]))
                return true;
    return false;
}

bool blob_heeds_encryption(const struct blob_request *r)
{
    const struct blob_store *store = &blob_shard_of(r->side, r->op.key)->settings->store;

    return store->folder != NULL || store->encryption; /* a folder says itself what it lacks */
}

/* A store that does not know it keeps in the open what its client believes to be a secret. */
static bool lacks_encryption(const struct blob_request *r)
{
    return r->op.key.len > 0 && asks_encryption(&r->http.head) && !blob_heeds_encryption(r);
}

/* ---- what no store is asked ---- */

/* Checksums of kinds that we cannot compute, and so not verify: those that we can the table of
 * names knows. */
static bool is_unknown_sum(struct slice name)
{
    struct slice start = slice_text("x-amz-checksum-");

    return name.len >= start.len && slice_is_word(slice_of(name.at, start.len), "x-amz-checksum-");
}

/* Locks are not offered, bytes are not put into the middle of objects, and who owns a bucket is
 * another in each store: what a client expects of it nobody could verify. */
static bool asks_what_is_not_offered(const struct http1_head *head)
{
    static const enum http1_name NAMES[] = {
        HTTP1_NAME_X_AMZ_OBJECT_LOCK_MODE,       HTTP1_NAME_X_AMZ_OBJECT_LOCK_RETAIN_UNTIL_DATE,
        HTTP1_NAME_X_AMZ_OBJECT_LOCK_LEGAL_HOLD, HTTP1_NAME_X_AMZ_WRITE_OFFSET_BYTES,
        HTTP1_NAME_X_AMZ_EXPECTED_BUCKET_OWNER,
    };
    static const char *const OTHERS[] = { "x-amz-bucket-object-lock-enabled",
                                          "x-amz-source-expected-bucket-owner" };
    const struct http1_field *field = http1_field_find(head, HTTP1_NAME_X_AMZ_OTHER);

    if (HAS_ONE(head, NAMES) || HAS_OTHER(head, OTHERS))
        return true;
    for (; field != NULL; field = http1_field_next(head, field))
        if (is_unknown_sum(field->name))
            return true;
    return false;
}

/* ---- digests ---- */

/* Some stores, to whom it is left to compare it, call one that is none by strange names. */
static bool is_no_digest(const struct http1_head *head)
{
    const struct http1_field *field = http1_field_find(head, HTTP1_NAME_CONTENT_MD5);
    uint8_t digest[DIGEST_MD5_BYTES + 2];
    size_t len = 0;

    return field != NULL &&
           (base64_decode(field->value, digest, sizeof(digest), &len) != ERR_NONE ||
            len != DIGEST_MD5_BYTES);
}

/* ---- copies ---- */

static bool is_directive(const struct http1_head *head, enum http1_name name)
{
    const struct http1_field *field = http1_field_find(head, name);

    return field == NULL || slice_is_text(field->value, "COPY") ||
           slice_is_text(field->value, "REPLACE");
}

static bool copies_to_itself(const struct blob_request *r)
{
    static const enum http1_name CHANGES[] = { HTTP1_NAME_X_AMZ_STORAGE_CLASS,
                                               HTTP1_NAME_X_AMZ_SERVER_SIDE_ENCRYPTION,
                                               HTTP1_NAME_X_AMZ_WEBSITE_REDIRECT_LOCATION };
    static const char *const OTHERS[] = { "x-amz-server-side-encryption-customer-algorithm" };
    const struct s3_source *source = &r->op.source;

    return slice_is(source->bucket, r->op.bucket) && slice_is(source->key, r->op.key) &&
           source->version.len == 0 && !HAS_ONE(&r->http.head, CHANGES) &&
           !HAS_OTHER(&r->http.head, OTHERS) &&
           !slice_is_text(http1_value(&r->http.head, HTTP1_NAME_X_AMZ_METADATA_DIRECTIVE),
                          "REPLACE");
}

static void heed_copy(const struct blob_request *r, struct s3_fault *fault)
{
    if (!is_directive(&r->http.head, HTTP1_NAME_X_AMZ_METADATA_DIRECTIVE))
        s3_fault_say(fault, S3_INVALID_ARGUMENT, "Unknown metadata directive.");
    else if (!is_directive(&r->http.head, HTTP1_NAME_X_AMZ_TAGGING_DIRECTIVE))
        s3_fault_say(fault, S3_INVALID_ARGUMENT, "Unknown tagging directive.");
    else if (copies_to_itself(r))
        s3_fault_say(fault, S3_INVALID_REQUEST,
                     "This copy request is illegal because it is trying to copy an object to "
                     "itself without changing the object's metadata, storage class, website "
                     "redirect location or encryption attributes.");
}

/* Of a part's source: what is no range must not become all of it. */
static void heed_source_range(const struct blob_request *r, struct s3_fault *fault)
{
    const struct http1_field *field =
        http1_field_find(&r->http.head, HTTP1_NAME_X_AMZ_COPY_SOURCE_RANGE);
    struct http1_range range;

    if (field == NULL)
        return;
    if (r->op.op != S3_OP_COPY_PART)
        s3_fault_set(fault, S3_NOT_IMPLEMENTED);
    else if (http1_range_read(field->value, &range) != ERR_NONE || range.is_suffix ||
             range.last == UINT64_MAX)
        s3_fault_say(fault, S3_INVALID_ARGUMENT,
                     "The x-amz-copy-source-range value must be of the form bytes=first-last where "
                     "first and last are the zero-based offsets of the first and last bytes to "
                     "copy");
}

/* ---- what an answer shall say ---- */

static bool is_no_value(struct slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] < ' ' || value.at[i] == 0x7f)
            return true;
    return false;
}

/* Nobody's link makes a page of an object that is another's; and what is no field's value some
 * stores put into their answers as it is, and then seem to be out of their minds. */
static void heed_answer_fields(const struct blob_request *r, struct s3_fault *fault)
{
    for (size_t i = 0; i < r->op.param_count; i++) {
        const struct blob_param *param = &r->op.params[i];

        if (!slice_starts(param->name, slice_text("response-")))
            continue;
        if (r->key == NULL && !r->side->settings->unsigned_access)
            s3_fault_say(fault, S3_INVALID_REQUEST,
                         "Request specific response headers cannot be used for anonymous GET "
                         "requests.");
        else if (is_no_value(param->value))
            s3_fault_say(fault, S3_INVALID_ARGUMENT, "Header value cannot be represented.");
    }
}

/* ---- the whole ---- */

enum s3_error blob_heed(struct blob_request *r, struct s3_fault *fault)
{
    if (lacks_conditions(r) || lacks_encryption(r) || asks_what_is_not_offered(&r->http.head))
        s3_fault_set(fault, S3_NOT_IMPLEMENTED);
    else if (is_no_digest(&r->http.head))
        s3_fault_set(fault, S3_INVALID_DIGEST);
    else if (r->op.op == S3_OP_COPY_OBJECT)
        heed_copy(r, fault);
    if (fault->error == S3_NONE && r->op.source.bucket.at != NULL)
        heed_source_range(r, fault);
    if (fault->error == S3_NONE && s3_op_traits(r->op.op)->right == S3_RIGHT_READ)
        heed_answer_fields(r, fault);
    return fault->error;
}
