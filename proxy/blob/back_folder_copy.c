/* See back_folder.h: copies, and all that becomes an object out of what lies here already. */
#include <string.h>

#include "proxy/blob/back_folder.h"
#include "proxy/blob/folder_upload.h"
#include "proxy/wire/http1_condition.h"
#include "proxy/wire/http_date.h"
#include "proxy/wire/s3_write.h"

enum { STEP_BYTES = 64 * 1024 * 1024 };

static bool source_range(struct folder_exchange *x, uint64_t size, uint64_t *from, uint64_t *len)
{
    struct slice text = folder_field(x, "x-amz-copy-source-range");
    struct http1_range range;
    uint64_t last;

    *from = 0;
    *len = size;
    if (text.len == 0)
        return true;
    if (http1_range_read(text, &range) != ERR_NONE || range.is_suffix ||
        http1_range_apply(&range, size, from, &last) != ERR_NONE || range.last != last)
        return false;
    *len = last - *from + 1;
    return true;
}

static bool source_fits(struct folder_exchange *x)
{
    const struct folder_object *object = &x->reader.object;
    struct slice match = folder_field(x, "x-amz-copy-source-if-match"),
                 none = folder_field(x, "x-amz-copy-source-if-none-match"),
                 since = folder_field(x, "x-amz-copy-source-if-modified-since"),
                 before = folder_field(x, "x-amz-copy-source-if-unmodified-since");
    int64_t modified_s = object->modified_us / 1000000, at;
    struct slice etag = slice_text(object->etag);

    if (match.len > 0 && !http1_etag_matches(match, etag, HTTP1_COMPARE_STRONG))
        return false;
    if (none.len > 0 && http1_etag_matches(none, etag, HTTP1_COMPARE_WEAK))
        return false;
    if (since.len > 0 && none.len == 0 && http_date_read(since, x->now_s, &at) == ERR_NONE &&
        modified_s <= at)
        return false;
    return !(before.len > 0 && match.len == 0 &&
             http_date_read(before, x->now_s, &at) == ERR_NONE && modified_s > at);
}

struct s3_checksum folder_sum_as_element(enum checksum kind, struct slice value)
{
    struct s3_checksum sum = { 0 };

    if (kind <= CHECKSUM_SHA256 && value.len > 0)
        sum = (struct s3_checksum){ (enum s3_checksum_kind)(kind + S3_CHECKSUM_CRC32), value };
    return sum;
}

/* Of a copy or an upload's end, for its answer; a copy's pairs have it, too. */
static struct s3_checksum end_sums(struct folder_exchange *x, struct folder_commit *commit,
                                   struct slice *type)
{
    struct folder_pair sums[FOLDER_SUMS], *pairs;
    size_t count = folder_put_sums(x->put, sums), used = commit->pair_count;
    struct s3_checksum first = { 0 };

    pairs = arena_new(&x->arena, (used + count + 1) * sizeof(*pairs));
    if (used > 0)
        memcpy(pairs, commit->pairs, used * sizeof(*pairs));
    for (size_t i = 0; i < count; i++) {
        enum checksum kind = checksum_of_field(sums[i].name);

        sums[i].name = folder_keep(x, sums[i].name);
        sums[i].value = folder_keep(x, sums[i].value);
        pairs[used++] = sums[i];
        if (kind == CHECKSUMS)
            *type = sums[i].value;
        else if (first.kind == S3_CHECKSUM_NONE)
            first = folder_sum_as_element(kind, sums[i].value);
    }
    commit->pairs = pairs;
    commit->pair_count = used;
    return first;
}

void folder_drive(struct folder_exchange *x, struct folder_commit *commit, const char *root)
{
    struct folder_written written;
    struct s3_checksum sum = { 0 };
    struct slice type = { 0 };
    enum folder_outcome outcome = FOLDER_OK;
    bool done = false;

    while (outcome == FOLDER_OK && !done)
        outcome = folder_put_step(x->put, STEP_BYTES, &done);
    if (outcome == FOLDER_OK) {
        sum = end_sums(x, commit, &type);
        outcome = folder_put_commit(&x->put, commit, &written);
    }
    if (outcome != FOLDER_OK) {
        folder_put_abort(&x->put);
        folder_answer_error(x, outcome);
        return;
    }
    if (root != NULL) {
        s3_write_copied(&x->body, root, slice_text(written.etag), written.modified_us / 1000, &sum,
                        false);
    } else {
        struct s3_completed completed = { .bucket = x->ask.bucket,
                                          .key = x->ask.key,
                                          .location = x->ask.key,
                                          .etag = slice_text(written.etag),
                                          .checksum_type = type,
                                          .checksum = sum };

        s3_write_completed(&x->body, &completed, false);
    }
    folder_answer_xml(x);
}

static enum folder_outcome begin_copy(struct folder_exchange *x)
{
    uint64_t from, len, number = 0;

    if (!source_range(x, x->reader.object.size, &from, &len))
        return FOLDER_RANGE;
    if (x->ask.op == S3_OP_COPY_OBJECT)
        return folder_copy_begin(x->folder, &x->reader, from, len, x->ask.bucket, x->ask.key,
                                 &x->put);
    (void)slice_to_u64(folder_param(x, "partNumber"), &number);
    return folder_part_copy_begin(x->folder, x->ask.bucket, x->ask.key, folder_param(x, "uploadId"),
                                  (unsigned)number, &x->reader, from, len, &x->put);
}

static bool has_parts_sum(const struct folder_object *object)
{
    return slice_is_text(folder_object_find(object, FOLDER_SUM, "x-amz-checksum-type"),
                         "COMPOSITE");
}

static bool replaces(const struct folder_exchange *x, const char *directive)
{
    return slice_is_word(folder_field(x, directive), "REPLACE");
}

/* Which checksums the copy of an object needs anew: one that is asked for, and those that were of
 * parts, which a copy has not. */
static unsigned sums_of_copy(const struct folder_exchange *x)
{
    const struct folder_object *source = &x->reader.object;
    enum checksum kind = checksum_of_algorithm(folder_field(x, "x-amz-checksum-algorithm"));
    unsigned kinds = kind == CHECKSUMS ? 0 : 1U << kind;

    if (x->ask.op != S3_OP_COPY_OBJECT)
        return 0;
    for (size_t i = 0; i < source->pair_count; i++) {
        kind = source->pairs[i].kind == FOLDER_SUM ? checksum_of_field(source->pairs[i].name)
                                                   : CHECKSUMS;
        if (kind != CHECKSUMS && has_parts_sum(source))
            kinds |= 1U << kind;
    }
    return kinds;
}

static bool is_inherited(const struct folder_exchange *x, const struct folder_pair *pair,
                         bool own_fields, bool own_tags)
{
    if (pair->kind == FOLDER_SUM)
        return sums_of_copy(x) == 0;
    return pair->kind == FOLDER_TAG ? !own_tags : !own_fields;
}

/* Fields and tags are each the source's, or those that the request has. */
static void choose_pairs(struct folder_exchange *x, struct folder_commit *commit)
{
    bool own_fields = replaces(x, "x-amz-metadata-directive");
    bool own_tags = replaces(x, "x-amz-tagging-directive");
    const struct folder_object *source = &x->reader.object;
    struct folder_pair *chosen = arena_new(&x->arena, FOLDER_PAIRS * sizeof(*chosen)), *own;
    size_t own_count = folder_pairs(x, &own), count = 0;

    for (size_t i = 0; i < own_count; i++)
        if (own[i].kind == FOLDER_TAG ? own_tags : own_fields)
            chosen[count++] = own[i];
    for (size_t i = 0; i < source->pair_count && count < FOLDER_PAIRS; i++)
        if (is_inherited(x, &source->pairs[i], own_fields, own_tags))
            chosen[count++] = source->pairs[i];
    commit->pairs = chosen;
    commit->pair_count = count;
}

void folder_do_copy(struct folder_exchange *x)
{
    struct folder_commit commit = { .size = FOLDER_SIZE_UNKNOWN };
    enum folder_outcome outcome =
        folder_get(x->folder, x->ask.source.bucket, x->ask.source.key, &x->reader);

    x->reads = outcome == FOLDER_OK;
    if (outcome == FOLDER_OK && !source_fits(x))
        outcome = FOLDER_PRECONDITION;
    if (outcome == FOLDER_OK)
        outcome = begin_copy(x);
    if (outcome != FOLDER_OK) {
        folder_answer_error(x, outcome);
        return;
    }
    if (x->ask.op == S3_OP_COPY_OBJECT) {
        folder_put_sum(x->put, sums_of_copy(x));
        choose_pairs(x, &commit);
        commit.conditions = folder_conditions_of(x);
    }
    folder_drive(x, &commit,
                 x->ask.op == S3_OP_COPY_OBJECT ? "CopyObjectResult" : "CopyPartResult");
}
