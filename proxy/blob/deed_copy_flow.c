/* Copies.  Within a shard its store does it; from one shard to another the object streams through:
 * it is got here and put there, and never lies in memory as a whole. */
#include <string.h>
#include <time.h>

#include "proxy/blob/blob_flow.h"
#include "proxy/wire/http1_condition.h"
#include "proxy/wire/http1_write.h"
#include "proxy/wire/s3_reply_xml.h"
#include "proxy/wire/s3_request_xml.h"
#include "proxy/wire/s3_write.h"
#include "shard/list_token.h"

#define PUT_MOST (5ull << 30) /* what servers take at one go; larger ones are copied in parts */

struct copy_deed {
    struct blob_request *request;
    struct blob_shard *from, *to;
    struct upload_token token;         /* of parts */
    struct blob_fan *fan;              /* within one shard; of its tags, otherwise */
    struct blob_call get, put;         /* from one to another */
    struct slice etag, source_version; /* in the arena */
    struct blob_gathered refusal;
    uint64_t length;
    struct buf early;               /* of the source, before the destination wants it */
    struct http1_field *put_fields; /* in the arena, with room for the tags */
    bool get_failed, put_wants, source_has_tags;
};

/* ---- what is asked ---- */

static bool find_upload(struct copy_deed *deed)
{
    struct blob_request *r = deed->request;

    if (r->op.op == S3_OP_COPY_OBJECT)
        return true;
    return upload_token_read(r->op.upload_id, blob_token_seed(r), r->side->shard_count, &r->arena,
                             &deed->token) == ERR_NONE &&
           deed->token.epoch == blob_map_epoch(r->side) &&
           r->side->shards[deed->token.shard] == deed->to;
}

/* ---- within one shard ---- */

static void copied(struct blob_fan *fan)
{
    struct s3_reply_xml reply;
    enum s3_root root;

    if (blob_fan_refuses(fan))
        return;
    root = blob_fan_verify(&fan->parts[0], &reply);
    s3_reply_xml_fini(&reply);
    if (root == S3_ROOT_COPIED || root == S3_ROOT_ERROR)
        blob_fan_answer(fan, &fan->parts[0]);
    else
        blob_refuse_with(fan->request, S3_INTERNAL_ERROR);
}

static void copy_within(struct copy_deed *deed)
{
    struct blob_request *r = deed->request;
    struct blob_ask *ask;

    deed->fan = blob_fan_new(r, 1, copied);
    deed->fan->parts[0].shard = deed->to;
    ask = &deed->fan->parts[0].call.ask;
    *ask = (struct blob_ask){
        .op = r->op.op, .bucket = r->op.bucket, .key = r->op.key, .source = r->op.source
    };
    blob_upload_params(r, deed->token.id, ask);
    blob_ask_fields(r, ask);
    blob_fan_start(deed->fan);
}

/* ---- from one to another: the source ---- */

static const struct {
    enum http1_name theirs;
    const char *ours;
} CONDITIONS[] = {
    { HTTP1_NAME_X_AMZ_COPY_SOURCE_IF_MATCH, "if-match" },
    { HTTP1_NAME_X_AMZ_COPY_SOURCE_IF_NONE_MATCH, "if-none-match" },
    { HTTP1_NAME_X_AMZ_COPY_SOURCE_IF_MODIFIED_SINCE, "if-modified-since" },
    { HTTP1_NAME_X_AMZ_COPY_SOURCE_IF_UNMODIFIED_SINCE, "if-unmodified-since" },
    { HTTP1_NAME_X_AMZ_COPY_SOURCE_RANGE, "range" },
};
enum { CONDITION_COUNT = sizeof(CONDITIONS) / sizeof(CONDITIONS[0]) };

static void fill_get(struct copy_deed *deed)
{
    struct blob_request *r = deed->request;
    struct http1_field *fields = arena_new(&r->arena, CONDITION_COUNT * sizeof(struct http1_field));
    struct blob_param *version = arena_new(&r->arena, sizeof(*version));
    struct blob_ask *ask = &deed->get.ask;

    *ask = (struct blob_ask){ .op = S3_OP_GET_OBJECT,
                              .bucket = r->op.source.bucket,
                              .key = r->op.source.key,
                              .request_id = slice_text(r->id),
                              .fields = fields };
    for (size_t i = 0; i < CONDITION_COUNT; i++) {
        struct slice value = http1_value(&r->http.head, CONDITIONS[i].theirs);

        if (value.len > 0)
            fields[ask->field_count++] = blob_field_of(slice_text(CONDITIONS[i].ours), value);
    }
    if (r->op.source.version.len > 0) {
        *version = (struct blob_param){ slice_text("versionId"), r->op.source.version, true };
        ask->params = version;
        ask->param_count = 1;
    }
}

/* What of the source's own fields the copy has, too. */
static bool is_copied(struct slice name)
{
    static const char *const NAMES[] = { "content-type",  "content-encoding",
                                         "cache-control", "content-language",
                                         "expires",       "content-disposition" };

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        if (slice_is_word(name, NAMES[i]))
            return true;
    return slice_starts(name, slice_text("x-amz-meta-"));
}

static bool replaces(const struct blob_request *r)
{
    return slice_is_word(http1_value(&r->http.head, HTTP1_NAME_X_AMZ_METADATA_DIRECTIVE),
                         "REPLACE");
}

static bool replaces_tags(const struct blob_request *r)
{
    return slice_is_word(http1_value(&r->http.head, HTTP1_NAME_X_AMZ_TAGGING_DIRECTIVE), "REPLACE");
}

/* Fields of the request that say how to copy mean nothing to a put. */
static bool is_of_copies(const struct blob_request *r, struct slice name)
{
    return slice_starts(name, slice_text("x-amz-copy-source")) ||
           slice_is_text(name, "x-amz-metadata-directive") ||
           slice_is_text(name, "x-amz-tagging-directive") ||
           (slice_is_text(name, "x-amz-tagging") && !replaces_tags(r));
}

static void fill_put_fields(struct copy_deed *deed)
{
    struct blob_request *r = deed->request;
    const struct blob_answer *source = &deed->get.answer;
    bool is_part = r->op.op == S3_OP_COPY_PART, takes_source = !is_part && !replaces(r);
    struct blob_ask said = { 0 };
    struct http1_field *fields;
    size_t count = 0;

    blob_ask_fields(r, &said);
    fields = arena_new(&r->arena,
                       (said.field_count + source->field_count + 2) * sizeof(struct http1_field));
    for (size_t i = 0; i < said.field_count; i++)
        if (!is_of_copies(r, said.fields[i].name) &&
            !(takes_source && is_copied(said.fields[i].name)))
            fields[count++] = said.fields[i];
    for (size_t i = 0; i < source->field_count && takes_source; i++)
        if (is_copied(source->fields[i].name))
            fields[count++] = blob_field_of(arena_copy(&r->arena, source->fields[i].name),
                                            arena_copy(&r->arena, source->fields[i].value));
    deed->put_fields = fields;
    deed->put.ask.fields = fields;
    deed->put.ask.field_count = count;
}

static const struct blob_events PUT_EVENTS;

static void start_put(struct copy_deed *deed)
{
    blob_call_start(&deed->put, deed->to, &PUT_EVENTS);
}

/* ---- from one to another: its tags ---- */

static bool tells_of_tags(const struct blob_answer *source)
{
    for (size_t i = 0; i < source->field_count; i++)
        if (slice_is_word(source->fields[i].name, "x-amz-tagging-count"))
            return !slice_is_text(source->fields[i].value, "0");
    return false;
}

/* They are told in a document of their own; that of the source says only how many there are. */
static bool has_tags(const struct copy_deed *deed)
{
    return deed->request->op.op == S3_OP_COPY_OBJECT && !replaces_tags(deed->request) &&
           tells_of_tags(&deed->get.answer);
}

static enum err read_tags(struct blob_request *r, struct slice document, struct slice *tags)
{
    struct s3_request_xml xml;
    struct buf text = { 0 };
    enum err err;

    s3_request_xml_open(&xml, S3_REQUEST_TAGGING, &r->arena);
    err = s3_request_xml_feed(&xml, document);
    if (err == ERR_NONE)
        err = s3_request_xml_end(&xml);
    if (err == ERR_NONE)
        s3_write_tags_query(&text, xml.tags, xml.tag_count);
    s3_request_xml_fini(&xml);
    *tags = arena_copy(&r->arena, buf_all(&text));
    buf_fini(&text);
    return err;
}

static void tags_came(struct blob_fan *fan)
{
    struct blob_request *r = fan->request;
    struct copy_deed *deed = r->state;
    struct slice tags;
    enum err err;

    if (fan->parts[0].err != ERR_NONE || fan->parts[0].status >= 300) {
        blob_call_abort(&deed->get);
        (void)blob_fan_refuses(fan);
        return;
    }
    err = read_tags(r, buf_all(&fan->parts[0].answer.body), &tags);
    if (err != ERR_NONE) {
        blob_refuse_with(r, S3_INTERNAL_ERROR);
        return;
    }
    blob_fan_free(fan);
    deed->fan = NULL;
    if (tags.len > 0)
        deed->put_fields[deed->put.ask.field_count++] =
            blob_field_of(slice_text("x-amz-tagging"), tags);
    start_put(deed);
}

static void ask_tags(struct copy_deed *deed)
{
    struct blob_request *r = deed->request;
    const struct blob_ask *get = &deed->get.ask;
    struct blob_param *params = arena_new(&r->arena, 2 * sizeof(*params));
    struct blob_ask *ask;

    params[0] = (struct blob_param){ .name = slice_text("tagging") };
    if (get->param_count > 0)
        params[1] = get->params[0]; /* the version */
    deed->fan = blob_fan_new(r, 1, tags_came);
    deed->fan->parts[0].shard = deed->from;
    ask = &deed->fan->parts[0].call.ask;
    *ask = (struct blob_ask){ .op = S3_OP_GET_TAGGING,
                              .bucket = get->bucket,
                              .key = get->key,
                              .params = params,
                              .param_count = 1 + get->param_count };
    blob_fan_start(deed->fan);
}

/* ---- from one to another: the source's head ---- */

static void begin_put(struct copy_deed *deed)
{
    struct blob_request *r = deed->request;
    struct blob_ask *ask = &deed->put.ask;

    *ask = (struct blob_ask){
        .op = r->op.op == S3_OP_COPY_PART ? S3_OP_PUT_PART : S3_OP_PUT_OBJECT,
        .bucket = r->op.bucket,
        .key = r->op.key,
        .request_id = slice_text(r->id),
        .has_body = true,
        .length = deed->length,
    };
    if (deed->length == 0)
        ask->body = slice_text("");
    blob_upload_params(r, deed->token.id, ask);
    fill_put_fields(deed);
    deed->put.owner = deed;
    blob_call_hold(&deed->get, true); /* until the other takes something */
    if (has_tags(deed))
        ask_tags(deed);
    else
        start_put(deed);
}

/* A range that the source has not all of is answered as far as it has, and stores may pass over
 * ranges: neither is the part that was asked for. */
static bool is_what_was_asked(const struct copy_deed *deed)
{
    struct slice text = http1_value(&deed->request->http.head, HTTP1_NAME_X_AMZ_COPY_SOURCE_RANGE);
    struct http1_range range;

    if (text.len == 0)
        return true;
    return http1_range_read(text, &range) == ERR_NONE &&
           deed->length - 1 == range.last - range.first &&
           (deed->get.answer.status == 206 || range.first == 0);
}

static void on_get_head(struct blob_call *c)
{
    struct copy_deed *deed = c->owner;

    if (c->answer.status != 200 && c->answer.status != 206) {
        deed->get_failed = true;
        return;
    }
    if (!c->answer.has_length) {
        blob_refuse_with(deed->request, S3_INTERNAL_ERROR);
        return;
    }
    deed->length = c->answer.length;
    if (!is_what_was_asked(deed)) {
        blob_refuse_with(deed->request, S3_INVALID_RANGE);
        return;
    }
    for (size_t i = 0; i < c->answer.field_count; i++)
        if (slice_is_word(c->answer.fields[i].name, "x-amz-version-id"))
            deed->source_version = arena_copy(&deed->request->arena, c->answer.fields[i].value);
    if (deed->length > PUT_MOST && deed->to->settings->store.folder == NULL) {
        struct s3_fault fault = { 0 };

        s3_fault_say(&fault, S3_INVALID_REQUEST,
                     "The specified copy source is larger than the maximum allowable size for a "
                     "copy source: %llu",
                     PUT_MOST);
        blob_refuse(deed->request, &fault);
        return;
    }
    begin_put(deed);
}

static void on_get_body(struct blob_call *c, struct slice bytes)
{
    struct copy_deed *deed = c->owner;

    if (deed->get_failed) {
        blob_gather(&deed->refusal, bytes);
        return;
    }
    if (!deed->put_wants) {
        buf_slice(&deed->early, bytes);
        return;
    }
    blob_call_send(&deed->put, bytes);
    if (!blob_call_has_room(&deed->put))
        blob_call_hold(c, true);
}

/* As the store said it; of conditions: in a copy's words. */
static void tell_refusal(struct copy_deed *deed)
{
    struct blob_request *r = deed->request;
    uint16_t status = deed->get.answer.status;
    struct slice body = arena_copy(&r->arena, buf_all(&deed->refusal.body));

    buf_fini(&deed->refusal.body);
    if (status == 304 || status == 412)
        blob_refuse_with(r, S3_PRECONDITION_FAILED);
    else
        blob_answer_refusal(r, deed->from, status, body);
}

static void on_get_ended(struct blob_call *c, enum err err, const char *why)
{
    struct copy_deed *deed = c->owner;
    struct s3_fault fault = { 0 };

    if (err != ERR_NONE) {
        blob_fault_of_call(c, deed->from, err, why, &fault);
        blob_refuse(deed->request, &fault); /* what was put lacks its end, and is not kept */
        return;
    }
    if (deed->get_failed)
        tell_refusal(deed);
}

static const struct blob_events GET_EVENTS = {
    .head = on_get_head,
    .body = on_get_body,
    .ended = on_get_ended,
};

/* ---- the destination ---- */

static void on_put_room(struct blob_call *c)
{
    struct copy_deed *deed = c->owner;

    deed->put_wants = true;
    blob_call_send(c, buf_all(&deed->early));
    buf_fini(&deed->early);
    if (blob_call_has_room(c))
        blob_call_hold(&deed->get, false);
}

/* Which version of the source it is, beside that of the copy. */
static void keep_versions(struct copy_deed *deed)
{
    struct blob_request *r = deed->request;

    blob_answer_keep(r, &deed->put.answer);
    if (deed->source_version.len > 0)
        r->kept[r->kept_count++] =
            blob_field_of(slice_text("x-amz-copy-source-version-id"), deed->source_version);
}

static void on_put_head(struct blob_call *c)
{
    struct copy_deed *deed = c->owner;

    keep_versions(deed);
    for (size_t i = 0; i < c->answer.field_count; i++)
        if (slice_is_word(c->answer.fields[i].name, "etag"))
            deed->etag = arena_copy(&deed->request->arena, c->answer.fields[i].value);
}

static void on_put_body(struct blob_call *c, struct slice bytes)
{
    struct copy_deed *deed = c->owner;

    blob_gather(&deed->refusal, bytes);
}

static void tell_copied(struct copy_deed *deed)
{
    struct blob_request *r = deed->request;
    struct slice etag = deed->etag;
    struct buf out = { 0 };

    if (etag.len >= 2 && etag.at[0] == '"')
        etag = slice_of(etag.at + 1, etag.len - 2);
    s3_write_copied(&out, r->op.op == S3_OP_COPY_PART ? "CopyPartResult" : "CopyObjectResult", etag,
                    (int64_t)time(NULL) * 1000, &(struct s3_checksum){ 0 }, false);
    buf_fini(&deed->refusal.body);
    blob_answer_xml(r, 200, buf_all(&out));
    buf_fini(&out);
}

static void on_put_ended(struct blob_call *c, enum err err, const char *why)
{
    struct copy_deed *deed = c->owner;
    struct blob_request *r = deed->request;
    struct s3_fault fault = { 0 };

    blob_call_abort(&deed->get);
    buf_fini(&deed->early);
    if (err != ERR_NONE) {
        blob_fault_of_call(c, deed->to, err, why, &fault);
        blob_refuse(r, &fault);
    } else if (c->answer.status >= 300) {
        struct slice body = arena_copy(&r->arena, buf_all(&deed->refusal.body));
        uint16_t status = c->answer.status;

        buf_fini(&deed->refusal.body);
        blob_answer_refusal(r, deed->to, status, body);
    } else {
        tell_copied(deed);
    }
}

static const struct blob_events PUT_EVENTS = {
    .room = on_put_room,
    .head = on_put_head,
    .body = on_put_body,
    .ended = on_put_ended,
};

/* ---- within one shard, with tags ---- */

static void stream(struct copy_deed *deed)
{
    deed->get.owner = deed;
    fill_get(deed);
    blob_call_start(&deed->get, deed->from, &GET_EVENTS);
}

static void on_look_head(struct blob_call *c)
{
    struct copy_deed *deed = c->owner;

    deed->source_has_tags = c->answer.status == 200 && tells_of_tags(&c->answer);
}

static void on_look_ended(struct blob_call *c, enum err err, const char *why)
{
    struct copy_deed *deed = c->owner;
    struct s3_fault fault = { 0 };

    if (err != ERR_NONE) {
        blob_fault_of_call(c, deed->from, err, why, &fault);
        blob_refuse(deed->request, &fault);
    } else if (deed->source_has_tags) {
        stream(deed);
    } else {
        copy_within(deed); /* if there is no source, it says so */
    }
}

static const struct blob_events LOOK_EVENTS = { .head = on_look_head, .ended = on_look_ended };

/* Has the source tags that the copy is to have, and other fields of its own?  Ceph's gateway then
 * forgets the tags. */
static void look(struct copy_deed *deed)
{
    deed->get.owner = deed;
    fill_get(deed);
    deed->get.ask.op = S3_OP_HEAD_OBJECT;
    deed->get.ask.field_count = 0;
    blob_call_start(&deed->get, deed->from, &LOOK_EVENTS);
}

/* ---- the deed ---- */

/* Ceph's gateway decodes the sources of parts once more than it should, and of some it dies.  Its
 * copies do not heed conditions that its puts do, nor do others', nor give them tags. */
static bool is_streamed(const struct copy_deed *deed)
{
    const struct blob_request *r = deed->request;

    if (deed->from != deed->to)
        return true;
    if (deed->to->back != &blob_back_s3)
        return false;
    if (r->op.op == S3_OP_COPY_OBJECT)
        return replaces_tags(r) || (blob_has_condition(r) &&
                                    deed->to->settings->store.conditions < BLOB_CONDITIONS_WRITES);
    return r->op.op == S3_OP_COPY_PART &&
           memchr(r->op.source.key.at, '%', r->op.source.key.len) != NULL;
}

static void begin(struct blob_request *r)
{
    struct copy_deed *deed = arena_new(&r->arena, sizeof(*deed));

    r->state = deed;
    deed->request = r;
    deed->from = blob_shard_of(r->side, r->op.source.key);
    deed->to = blob_shard_of(r->side, r->op.key);
    if (!find_upload(deed)) {
        blob_refuse_with(r, S3_NO_SUCH_UPLOAD);
        return;
    }
    blob_answer_expect_late(r);
    if (is_streamed(deed))
        stream(deed);
    else if (r->op.op == S3_OP_COPY_OBJECT && replaces(r) && deed->to->back == &blob_back_s3)
        look(deed);
    else
        copy_within(deed);
}

static void abandon(struct blob_request *r)
{
    struct copy_deed *deed = r->state;

    if (deed->fan != NULL)
        blob_fan_free(deed->fan);
    blob_call_abort(&deed->get);
    blob_call_abort(&deed->put);
    buf_fini(&deed->refusal.body);
    buf_fini(&deed->early);
}

const struct blob_deed blob_deed_copy = { .begin = begin, .abandon = abandon };
