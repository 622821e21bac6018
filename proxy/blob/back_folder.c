/* See back_folder.h: objects, and what all answers have in common. */
#include "proxy/blob/back_folder.h"

#include <string.h>

#include "proxy/blob/folder_upload.h"
#include "proxy/wire/base64.h"
#include "proxy/wire/http1_condition.h"
#include "proxy/wire/http_date.h"
#include "proxy/wire/s3_request_xml.h"
#include "proxy/wire/s3_write.h"
#include "proxy/wire/uri.h"

#define DEFAULT_TYPE "binary/octet-stream" /* of what came without one */

/* ---- what was asked ---- */

struct slice folder_keep(struct folder_exchange *x, struct slice s)
{
    return s.at == NULL ? s : arena_copy(&x->arena, s);
}

void folder_exchange_copy(struct folder_exchange *x, const struct blob_ask *ask)
{
    struct blob_param *params = arena_new(&x->arena, (ask->param_count + 1) * sizeof(*params));
    struct http1_field *fields = arena_new(&x->arena, (ask->field_count + 1) * sizeof(*fields));

    for (size_t i = 0; i < ask->param_count; i++)
        params[i] =
            (struct blob_param){ folder_keep(x, ask->params[i].name),
                                 folder_keep(x, ask->params[i].value), ask->params[i].has_value };
    for (size_t i = 0; i < ask->field_count; i++)
        fields[i] = blob_field_of(folder_keep(x, ask->fields[i].name),
                                  folder_keep(x, ask->fields[i].value));
    x->ask = *ask;
    x->ask.bucket = folder_keep(x, ask->bucket);
    x->ask.key = folder_keep(x, ask->key);
    x->ask.source =
        (struct s3_source){ folder_keep(x, ask->source.bucket), folder_keep(x, ask->source.key),
                            folder_keep(x, ask->source.version) };
    x->ask.params = params;
    x->ask.fields = fields;
    x->ask.body = folder_keep(x, ask->body);
    x->ask.request_id = folder_keep(x, ask->request_id);
}

struct slice folder_param(const struct folder_exchange *x, const char *name)
{
    for (size_t i = 0; i < x->ask.param_count; i++)
        if (slice_is_text(x->ask.params[i].name, name))
            return x->ask.params[i].value;
    return (struct slice){ 0 };
}

struct slice folder_field(const struct folder_exchange *x, const char *name)
{
    for (size_t i = 0; i < x->ask.field_count; i++)
        if (slice_is_text(x->ask.fields[i].name, name))
            return x->ask.fields[i].value;
    return (struct slice){ 0 };
}

struct folder_conditions folder_conditions_of(const struct folder_exchange *x)
{
    return (struct folder_conditions){ folder_field(x, "if-match"),
                                       folder_field(x, "if-none-match") };
}

/* ---- answers ---- */

void folder_answer_field(struct folder_exchange *x, const char *name, struct slice value)
{
    if (x->field_count < FOLDER_FIELDS_MOST)
        x->fields[x->field_count++] = blob_field_of(slice_text(name), value);
}

void folder_answer_xml(struct folder_exchange *x)
{
    x->status = 200;
    x->length = x->body.len;
    folder_answer_field(x, "content-type", slice_text("application/xml"));
}

void folder_answer_nothing(struct folder_exchange *x, uint16_t status)
{
    x->status = status;
    x->length = 0;
}

static struct slice resource(struct folder_exchange *x)
{
    struct buf text = { 0 };
    struct slice kept;

    buf_text(&text, "/");
    buf_slice(&text, x->ask.bucket);
    if (x->ask.key.len > 0)
        buf_text(&text, "/");
    buf_slice(&text, x->ask.key);
    kept = arena_copy(&x->arena, buf_all(&text));
    buf_fini(&text);
    return kept;
}

void folder_answer_code(struct folder_exchange *x, uint16_t status, const char *code,
                        const char *message)
{
    struct s3_error_document document = { .code = code,
                                          .message = slice_text(message),
                                          .resource = resource(x),
                                          .key = x->ask.key,
                                          .bucket = x->ask.bucket,
                                          .request_id = x->ask.request_id };

    x->field_count = 0;
    buf_clear(&x->body);
    s3_write_error(&x->body, &document, false);
    folder_answer_xml(x);
    x->status = status;
    x->left = 0;
}

void folder_answer_error(struct folder_exchange *x, enum folder_outcome outcome)
{
    const struct folder_outcome_words *words = folder_outcome_words(outcome);

    folder_answer_code(x, (uint16_t)words->status, words->code, words->text);
}

static void refuse_unknown(struct folder_exchange *x)
{
    folder_answer_code(x, 501, "NotImplemented", "A folder does not have that.");
}

/* ---- getting ---- */

void folder_answer_date(struct folder_exchange *x, const char *name, int64_t seconds)
{
    uint8_t *text = arena_bytes(&x->arena, HTTP_DATE_BYTES);

    http_date_write(seconds, text);
    folder_answer_field(x, name, slice_of(text, HTTP_DATE_BYTES));
}

static struct slice quoted(struct folder_exchange *x, const char *etag)
{
    struct buf text = { 0 };
    struct slice kept;

    buf_format(&text, "\"%s\"", etag);
    kept = arena_copy(&x->arena, buf_all(&text));
    buf_fini(&text);
    return kept;
}

static struct slice number_text(struct folder_exchange *x, uint64_t number)
{
    struct buf text = { 0 };
    struct slice kept;

    buf_format(&text, "%llu", (unsigned long long)number);
    kept = arena_copy(&x->arena, buf_all(&text));
    buf_fini(&text);
    return kept;
}

static bool has_sum(const struct folder_object *object)
{
    for (size_t i = 0; i < object->pair_count; i++)
        if (object->pairs[i].kind == FOLDER_SUM)
            return folder_object_find(object, FOLDER_SUM, "x-amz-checksum-type").at == NULL;
    return false;
}

/* Fields that may be asked for in words of the client's own, and by which parameters. */
static const char *const ASKED_FIELDS[][2] = {
    { "content-type", "response-content-type" },
    { "content-disposition", "response-content-disposition" },
    { "content-encoding", "response-content-encoding" },
    { "content-language", "response-content-language" },
    { "cache-control", "response-cache-control" },
    { "expires", "response-expires" },
};
enum { ASKED_FIELD_COUNT = sizeof(ASKED_FIELDS) / sizeof(ASKED_FIELDS[0]) };

static bool is_asked_otherwise(const struct folder_exchange *x, struct slice name)
{
    for (size_t i = 0; i < ASKED_FIELD_COUNT; i++)
        if (slice_is_text(name, ASKED_FIELDS[i][0]))
            return folder_param(x, ASKED_FIELDS[i][1]).len > 0;
    return false;
}

static void put_asked_fields(struct folder_exchange *x)
{
    for (size_t i = 0; i < ASKED_FIELD_COUNT; i++) {
        struct slice value = folder_param(x, ASKED_FIELDS[i][1]);

        if (value.len > 0)
            folder_answer_field(x, ASKED_FIELDS[i][0], folder_keep(x, value));
    }
}

static void put_object_fields(struct folder_exchange *x, const struct folder_object *object)
{
    bool sums = slice_is_word(folder_field(x, "x-amz-checksum-mode"), "enabled") &&
                folder_field(x, "range").len == 0 &&
                (object->parts == 0 || folder_param(x, "partNumber").len == 0);
    uint64_t tags = 0;

    folder_answer_field(x, "etag", quoted(x, object->etag));
    folder_answer_date(x, "last-modified", object->modified_us / 1000000);
    folder_answer_field(x, "accept-ranges", slice_text("bytes"));
    put_asked_fields(x);
    if (folder_object_find(object, FOLDER_HEADER, "content-type").at == NULL &&
        !is_asked_otherwise(x, slice_text("content-type")))
        folder_answer_field(x, "content-type", slice_text(DEFAULT_TYPE));
    if (sums && object->parts == 0 && has_sum(object))
        folder_answer_field(x, "x-amz-checksum-type", slice_text("FULL_OBJECT"));
    for (size_t i = 0; i < object->pair_count; i++) {
        const struct folder_pair *pair = &object->pairs[i];

        tags += pair->kind == FOLDER_TAG;
        if (((pair->kind == FOLDER_HEADER && !is_asked_otherwise(x, pair->name)) ||
             (pair->kind == FOLDER_SUM && sums)) &&
            x->field_count < FOLDER_FIELDS_MOST)
            x->fields[x->field_count++] =
                blob_field_of(folder_keep(x, pair->name), folder_keep(x, pair->value));
    }
    if (tags > 0)
        folder_answer_field(x, "x-amz-tagging-count", number_text(x, tags));
}

/* 304 and 412 of reads. */
static uint16_t status_of_conditions(const struct folder_exchange *x,
                                     const struct folder_object *object)
{
    struct slice match = folder_field(x, "if-match"), none = folder_field(x, "if-none-match"),
                 since = folder_field(x, "if-modified-since"),
                 before = folder_field(x, "if-unmodified-since");
    int64_t modified_s = object->modified_us / 1000000, at;
    struct slice etag = slice_text(object->etag);

    if (match.len > 0) {
        if (!http1_etag_matches(match, etag, HTTP1_COMPARE_STRONG))
            return 412;
    } else if (before.len > 0 && http_date_read(before, x->now_s, &at) == ERR_NONE &&
               modified_s > at) {
        return 412;
    }
    if (none.len > 0)
        return http1_etag_matches(none, etag, HTTP1_COMPARE_WEAK) ? 304 : 0;
    if (since.len > 0 && http_date_read(since, x->now_s, &at) == ERR_NONE && modified_s <= at)
        return 304;
    return 0;
}

/* False: there is nothing of that range, and that was said. */
static bool take_range(struct folder_exchange *x, uint64_t size)
{
    struct http1_range range;
    struct buf text = { 0 };
    uint64_t first, last;

    x->at = 0;
    x->left = size;
    x->status = 200;
    if (folder_field(x, "range").len == 0 ||
        http1_range_read(folder_field(x, "range"), &range) != ERR_NONE)
        return true;
    if (http1_range_apply(&range, size, &first, &last) != ERR_NONE) {
        folder_answer_error(x, FOLDER_RANGE);
        return false;
    }
    x->at = first;
    x->left = last - first + 1;
    x->status = 206;
    buf_format(&text, "bytes %llu-%llu/%llu", (unsigned long long)first, (unsigned long long)last,
               (unsigned long long)size);
    folder_answer_field(x, "content-range", folder_keep(x, buf_all(&text)));
    buf_fini(&text);
    return true;
}

static void answer_object(struct folder_exchange *x, const struct folder_object *object)
{
    uint16_t status = status_of_conditions(x, object);

    if (status == 412) {
        folder_answer_error(x, FOLDER_PRECONDITION);
        return;
    }
    put_object_fields(x, object);
    if (status == 304) {
        folder_answer_nothing(x, 304);
        return;
    }
    if (folder_param(x, "partNumber").len > 0 ? !folder_take_part(x, object)
                                              : !take_range(x, object->size))
        return;
    x->length = x->left;
}

/* With the places of its parts only where one of them is asked for. */
static enum folder_outcome open_object(struct folder_exchange *x, struct folder_reader *reader)
{
    return folder_param(x, "partNumber").len > 0
               ? folder_get_with_parts(x->folder, x->ask.bucket, x->ask.key, reader)
               : folder_get(x->folder, x->ask.bucket, x->ask.key, reader);
}

static void do_get(struct folder_exchange *x)
{
    enum folder_outcome outcome = open_object(x, &x->reader);

    if (outcome != FOLDER_OK) {
        folder_answer_error(x, outcome);
        return;
    }
    x->reads = true;
    answer_object(x, &x->reader.object);
    if (x->left > 0 && !folder_exchange_read(x))
        folder_answer_error(x, FOLDER_INTERNAL);
}

static void do_head(struct folder_exchange *x)
{
    struct folder_reader reader;
    enum folder_outcome outcome = open_object(x, &reader);

    if (outcome != FOLDER_OK) {
        folder_answer_error(x, outcome);
        return;
    }
    answer_object(x, &reader.object);
    x->left = 0;
    folder_reader_close(&reader);
}

/* Pages of the file as they lie in the system's memory; false: it must be read. */
static bool read_into_pipe(struct folder_exchange *x)
{
    size_t most = x->left < x->pass_most ? (size_t)x->left : x->pass_most;

    if (most < FOLDER_PASS_BYTES)
        return false;
    if (folder_read_pipe(x->folder, &x->reader, x->at, most, x->pipe, &x->piped) != FOLDER_OK)
        return false;
    x->at += x->piped;
    x->left -= x->piped;
    return x->piped > 0;
}

bool folder_exchange_read(struct folder_exchange *x)
{
    size_t most = x->left < FOLDER_PIECE_BYTES ? (size_t)x->left : FOLDER_PIECE_BYTES, got = 0;

    buf_clear(&x->body);
    if (read_into_pipe(x))
        return true;
    if (folder_read(x->folder, &x->reader, x->at, buf_reserve(&x->body, most), most, &got) !=
            FOLDER_OK ||
        got == 0)
        return false;
    buf_grow(&x->body, got);
    x->at += got;
    x->left -= got;
    return true;
}

/* ---- putting ---- */

static bool is_kept(struct slice name)
{
    static const char *const NAMES[] = {
        "content-type",
        "content-encoding",
        "content-language",
        "content-disposition",
        "cache-control",
        "expires",
        "x-amz-website-redirect-location",
    };

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        if (slice_is_text(name, NAMES[i]))
            return true;
    return slice_starts(name, slice_text("x-amz-meta-"));
}

static bool is_sum(struct slice name)
{
    return checksum_of_field(name) <= CHECKSUM_SHA256;
}

static struct slice decoded(struct folder_exchange *x, struct slice in)
{
    uint8_t *at = arena_bytes(&x->arena, in.len + 1);
    size_t len = 0;

    return uri_decode(in, at, &len) == ERR_NONE ? slice_of(at, len) : in;
}

/* "a=1&b=2" of x-amz-tagging. */
static size_t take_tags(struct folder_exchange *x, struct folder_pair *pairs, size_t count)
{
    struct slice rest = folder_field(x, "x-amz-tagging");
    struct uri_item item;

    while (count < FOLDER_PAIRS && rest.len > 0 && uri_query_next(&rest, &item))
        pairs[count++] =
            (struct folder_pair){ FOLDER_TAG, decoded(x, item.name), decoded(x, item.value) };
    return count;
}

/* What is answered where nothing is kept. */
static bool is_default(const struct http1_field *f)
{
    return slice_is_text(f->name, "content-type") && slice_is_text(f->value, DEFAULT_TYPE);
}

size_t folder_pairs(struct folder_exchange *x, struct folder_pair **out)
{
    struct folder_pair *pairs = arena_new(&x->arena, FOLDER_PAIRS * sizeof(*pairs));
    size_t count = 0;

    for (size_t i = 0; i < x->ask.field_count && count < FOLDER_PAIRS; i++) {
        const struct http1_field *f = &x->ask.fields[i];

        if ((is_kept(f->name) && !is_default(f)) || is_sum(f->name))
            pairs[count++] = (struct folder_pair){ is_sum(f->name) ? FOLDER_SUM : FOLDER_HEADER,
                                                   f->name, f->value };
    }
    *out = pairs;
    return take_tags(x, pairs, count);
}

static bool is_said(const struct folder_exchange *x, struct slice name)
{
    for (size_t i = 0; i < x->ask.field_count; i++)
        if (slice_is(x->ask.fields[i].name, name))
            return true;
    return false;
}

/* Those that clients tell behind the body: what they will be is computed here. */
static unsigned sums_that_come(const struct folder_exchange *x)
{
    unsigned kinds = x->ask.sums & ((1U << CHECKSUM_MD5) - 1);

    for (size_t i = 0; i < x->ask.field_count; i++) {
        enum checksum kind = checksum_of_field(x->ask.fields[i].name);

        if (kind != CHECKSUMS)
            kinds &= ~(1U << kind);
    }
    return kinds;
}

/* What is kept with it: of the fields, and checksums that were computed. */
static void fill_pairs(struct folder_exchange *x, struct folder_commit *commit)
{
    struct folder_pair sums[FOLDER_SUMS], *pairs;
    size_t computed = folder_put_sums(x->put, sums), count = folder_pairs(x, &pairs);

    for (size_t i = 0; i < computed && count < FOLDER_PAIRS; i++)
        if (!is_said(x, sums[i].name))
            pairs[count++] = (struct folder_pair){ FOLDER_SUM, folder_keep(x, sums[i].name),
                                                   folder_keep(x, sums[i].value) };
    commit->pairs = pairs;
    commit->pair_count = count;
}

static void begin_put(struct folder_exchange *x)
{
    enum folder_outcome outcome;

    if (x->ask.op == S3_OP_PUT_PART) {
        uint64_t number = 0;

        (void)slice_to_u64(folder_param(x, "partNumber"), &number);
        outcome =
            folder_part_begin(x->folder, x->ask.bucket, x->ask.key, folder_param(x, "uploadId"),
                              (unsigned)number, x->ask.length, &x->put);
    } else {
        outcome = folder_put_begin(x->folder, x->ask.bucket, x->ask.key, x->ask.length, &x->put);
    }
    if (outcome != FOLDER_OK) {
        folder_answer_error(x, outcome);
        return;
    }
    folder_put_sum(x->put, sums_that_come(x));
    if (x->ask.body.at == NULL)
        return; /* it streams */
    folder_exchange_write(x, x->ask.body);
    if (x->status == 0)
        folder_exchange_commit(x);
}

void folder_exchange_write(struct folder_exchange *x, struct slice bytes)
{
    enum folder_outcome outcome = folder_put_write(x->put, bytes);

    if (outcome == FOLDER_OK)
        return;
    folder_put_abort(&x->put);
    folder_answer_error(x, outcome);
}

static void put_commits_sums(struct folder_exchange *x, const struct folder_commit *commit)
{
    size_t before = x->field_count;

    for (size_t i = 0; i < commit->pair_count && x->field_count + 1 < FOLDER_FIELDS_MOST; i++)
        if (commit->pairs[i].kind == FOLDER_SUM)
            x->fields[x->field_count++] =
                blob_field_of(commit->pairs[i].name, commit->pairs[i].value);
    if (x->field_count > before && x->ask.op == S3_OP_PUT_OBJECT)
        folder_answer_field(x, "x-amz-checksum-type", slice_text("FULL_OBJECT"));
}

void folder_exchange_commit(struct folder_exchange *x)
{
    struct slice declared = folder_field(x, "content-md5");
    struct folder_commit commit = { .size = x->ask.length };
    struct folder_written written;
    enum folder_outcome outcome;
    uint8_t md5[18];
    size_t len = 0;

    if (x->ask.op != S3_OP_PUT_PART)
        commit.conditions = folder_conditions_of(x);
    fill_pairs(x, &commit);
    if (declared.len > 0 && base64_decode(declared, md5, sizeof(md5), &len) == ERR_NONE &&
        len == 16)
        commit.md5 = md5;
    outcome = folder_put_commit(&x->put, &commit, &written);
    if (outcome != FOLDER_OK) {
        folder_answer_error(x, outcome);
        return;
    }
    folder_answer_field(x, "etag", quoted(x, written.etag));
    put_commits_sums(x, &commit);
    folder_answer_nothing(x, 200);
}

/* ---- small things ---- */

static void answer_outcome(struct folder_exchange *x, enum folder_outcome outcome, uint16_t status)
{
    if (outcome == FOLDER_OK)
        folder_answer_nothing(x, status);
    else
        folder_answer_error(x, outcome);
}

static void do_delete(struct folder_exchange *x)
{
    struct folder_conditions conditions = folder_conditions_of(x);

    answer_outcome(x, folder_delete(x->folder, x->ask.bucket, x->ask.key, &conditions, NULL), 204);
}

static void do_get_tags(struct folder_exchange *x)
{
    struct folder_object object;
    enum folder_outcome outcome = folder_head(x->folder, x->ask.bucket, x->ask.key, &object);
    struct s3_tag tags[S3_TAGS];
    size_t count = 0;

    if (outcome != FOLDER_OK) {
        folder_answer_error(x, outcome);
        return;
    }
    for (size_t i = 0; i < object.pair_count && count < S3_TAGS; i++)
        if (object.pairs[i].kind == FOLDER_TAG)
            tags[count++] = (struct s3_tag){ object.pairs[i].name, object.pairs[i].value };
    s3_write_tags(&x->body, tags, count);
    folder_object_fini(&object);
    folder_answer_xml(x);
}

static void do_put_tags(struct folder_exchange *x)
{
    struct folder_pair pairs[S3_TAGS];
    struct s3_request_xml body;
    enum err err;

    s3_request_xml_open(&body, S3_REQUEST_TAGGING, &x->arena);
    err = s3_request_xml_feed(&body, x->ask.body);
    if (err == ERR_NONE)
        err = s3_request_xml_end(&body);
    if (err == ERR_NONE) {
        for (size_t i = 0; i < body.tag_count && i < S3_TAGS; i++)
            pairs[i] = (struct folder_pair){ FOLDER_TAG, body.tags[i].key, body.tags[i].value };
        answer_outcome(x,
                       folder_replace_pairs(x->folder, x->ask.bucket, x->ask.key, FOLDER_TAG, pairs,
                                            body.tag_count),
                       200);
    } else {
        folder_answer_code(x, 400, body.refusal.code, body.refusal.message);
    }
    s3_request_xml_fini(&body);
}

static void do_stamp(struct folder_exchange *x)
{
    enum folder_outcome outcome;

    if (x->ask.op == S3_OP_PUT_OBJECT) {
        answer_outcome(x, folder_stamp_write(x->folder, x->ask.body, false), 200);
        return;
    }
    if (x->ask.op != S3_OP_GET_OBJECT) { /* it goes with the folder, not with a bucket */
        folder_answer_nothing(x, 204);
        return;
    }
    outcome = folder_stamp_read(x->folder, &x->body);
    if (outcome != FOLDER_OK)
        folder_answer_error(x, outcome);
    else
        folder_answer_xml(x);
}

static void do_versioning(struct folder_exchange *x)
{
    enum folder_outcome outcome = folder_bucket_head(x->folder, x->ask.bucket);

    if (outcome != FOLDER_OK) {
        folder_answer_error(x, outcome);
        return;
    }
    s3_write_versioning(&x->body, (struct slice){ 0 }); /* there never was one */
    folder_answer_xml(x);
}

/* ---- which ---- */

static void do_bucket(struct folder_exchange *x)
{
    switch ((int)x->ask.op) {
    case S3_OP_CREATE_BUCKET:
        answer_outcome(x, folder_bucket_create(x->folder, x->ask.bucket), 200);
        return;
    case S3_OP_HEAD_BUCKET:
        answer_outcome(x, folder_bucket_head(x->folder, x->ask.bucket), 200);
        return;
    case S3_OP_DELETE_BUCKET:
        answer_outcome(x, folder_bucket_delete(x->folder, x->ask.bucket), 204);
        return;
    case S3_OP_GET_VERSIONING:
        do_versioning(x);
        return;
    case S3_OP_LIST_BUCKETS:
        folder_do_buckets(x);
        return;
    case S3_OP_LIST_UPLOADS:
        folder_do_uploads(x);
        return;
    case S3_OP_DELETE_OBJECTS:
        folder_do_delete_many(x);
        return;
    case S3_OP_LIST_OBJECTS:
    case S3_OP_LIST_OBJECTS_V2:
    case S3_OP_LIST_VERSIONS:
        folder_do_list(x);
        return;
    default:
        refuse_unknown(x);
    }
}

static void do_object(struct folder_exchange *x)
{
    switch ((int)x->ask.op) {
    case S3_OP_GET_OBJECT:
        do_get(x);
        return;
    case S3_OP_HEAD_OBJECT:
        do_head(x);
        return;
    case S3_OP_GET_ATTRIBUTES:
        folder_do_attributes(x);
        return;
    case S3_OP_PUT_OBJECT:
    case S3_OP_PUT_PART:
        begin_put(x);
        return;
    case S3_OP_DELETE_OBJECT:
        do_delete(x);
        return;
    case S3_OP_COPY_OBJECT:
    case S3_OP_COPY_PART:
        folder_do_copy(x);
        return;
    case S3_OP_GET_TAGGING:
        do_get_tags(x);
        return;
    case S3_OP_PUT_TAGGING:
        do_put_tags(x);
        return;
    case S3_OP_DELETE_TAGGING:
        answer_outcome(
            x, folder_replace_pairs(x->folder, x->ask.bucket, x->ask.key, FOLDER_TAG, NULL, 0),
            204);
        return;
    case S3_OP_CREATE_UPLOAD:
        folder_do_create_upload(x);
        return;
    case S3_OP_LIST_PARTS:
        folder_do_parts(x);
        return;
    case S3_OP_COMPLETE_UPLOAD:
        folder_do_complete(x);
        return;
    case S3_OP_ABORT_UPLOAD:
        folder_do_abort(x);
        return;
    default:
        refuse_unknown(x);
    }
}

void folder_exchange_begin(struct folder_exchange *x)
{
    if (x->is_stamp)
        do_stamp(x);
    else if (folder_refuses_fields(x))
        return;
    else if (s3_op_traits(x->ask.op)->where == S3_WHERE_OBJECT)
        do_object(x);
    else
        do_bucket(x);
}

void folder_exchange_end(struct folder_exchange *x)
{
    folder_put_abort(&x->put);
    if (x->reads)
        folder_reader_close(&x->reader);
    x->reads = false;
    buf_fini(&x->body);
    arena_fini(&x->arena);
}
