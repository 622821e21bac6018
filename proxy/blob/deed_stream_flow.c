/* The plain deeds: one ask of the shard that has the key; the client's body goes there and the
 * store's answer comes back, each as it comes. */
#include <string.h>

#include "proxy/blob/blob_flow.h"
#include "proxy/wire/http1_condition.h"
#include "proxy/wire/http1_write.h"

struct stream {
    struct blob_request *request;
    struct blob_call call;
};

/* ---- what is asked ---- */

/* Fields that mean something to a store: these, and those of Amazon's but for some. */
static inline bool is_said(enum http1_name name)
{
    static const bool SAID[HTTP1_NAME_COUNT] = {
        [HTTP1_NAME_CACHE_CONTROL] = true,
        [HTTP1_NAME_CONTENT_DISPOSITION] = true,
        [HTTP1_NAME_CONTENT_LANGUAGE] = true,
        [HTTP1_NAME_CONTENT_MD5] = true,
        [HTTP1_NAME_CONTENT_TYPE] = true,
        [HTTP1_NAME_EXPIRES] = true,
        [HTTP1_NAME_IF_MATCH] = true,
        [HTTP1_NAME_IF_MODIFIED_SINCE] = true,
        [HTTP1_NAME_IF_NONE_MATCH] = true,
        [HTTP1_NAME_IF_UNMODIFIED_SINCE] = true,
        [HTTP1_NAME_RANGE] = true,
    };
    static const bool KEPT[HTTP1_NAME_COUNT] = {
        [HTTP1_NAME_X_AMZ_CONTENT_SHA256] = true, /* signing's, and the framing's */
        [HTTP1_NAME_X_AMZ_COPY_SOURCE] = true,    /* said anew */
        [HTTP1_NAME_X_AMZ_DATE] = true,
        [HTTP1_NAME_X_AMZ_DECODED_CONTENT_LENGTH] = true,
        [HTTP1_NAME_X_AMZ_EXPECTED_BUCKET_OWNER] = true, /* stores have owners of their own */
        [HTTP1_NAME_X_AMZ_SDK_CHECKSUM_ALGORITHM] = true,
        [HTTP1_NAME_X_AMZ_SECURITY_TOKEN] = true,
        [HTTP1_NAME_X_AMZ_TRAILER] = true,
    };

    return SAID[name] || (http1_name_is_amz(name) && !KEPT[name]);
}

/* "aws-chunked" was ours to undo; other codings are the object's. */
static struct slice codings(struct blob_request *r)
{
    const struct http1_field *f = http1_field_find(&r->http.head, HTTP1_NAME_CONTENT_ENCODING);
    struct buf kept = { 0 };
    struct slice all, one;

    if (f == NULL)
        return (struct slice){ 0 };
    for (; f != NULL; f = http1_field_next(&r->http.head, f)) {
        struct slice rest = f->value;

        while (http1_element_next(&rest, &one)) {
            if (slice_is_word(one, "aws-chunked"))
                continue;
            if (kept.len > 0)
                buf_text(&kept, ",");
            buf_slice(&kept, one);
        }
    }
    all = arena_copy(&r->arena, buf_all(&kept));
    buf_fini(&kept);
    return all;
}

static struct slice small_letters(struct arena *arena, struct slice name)
{
    uint8_t *at = arena_bytes(arena, name.len + 1);

    for (size_t i = 0; i < name.len; i++)
        at[i] = name.at[i] >= 'A' && name.at[i] <= 'Z' ? (uint8_t)(name.at[i] | 0x20) : name.at[i];
    return slice_of(at, name.len);
}

/* A list of tags may come as several fields: stores are told it as one. */
static struct slice joined(struct blob_request *r, const struct http1_field *f)
{
    struct buf all = { 0 };
    struct slice kept;

    if (f->next == 0)
        return f->value;
    for (; f != NULL; f = http1_field_next(&r->http.head, f)) {
        buf_text(&all, all.len > 0 ? ", " : "");
        buf_slice(&all, f->value);
    }
    kept = arena_copy(&r->arena, buf_all(&all));
    buf_fini(&all);
    return kept;
}

/* S3 gives the whole object to who asks for several ranges, or for none that it can read; stores
 * differ. */
static bool is_no_range(const struct http1_field *f)
{
    struct http1_range range;

    return f->known == HTTP1_NAME_RANGE && http1_range_read(f->value, &range) != ERR_NONE;
}

static bool is_tags(const struct http1_field *f)
{
    return f->known == HTTP1_NAME_IF_MATCH || f->known == HTTP1_NAME_IF_NONE_MATCH;
}

/* Whatever is there will do, so nothing need be said: Ceph's gateway takes the asterisk for a tag,
 * and refuses. */
static bool is_any_tag(const struct blob_request *r, const struct http1_field *f)
{
    return f->known == HTTP1_NAME_IF_MATCH && slice_is_text(f->value, "*") &&
           s3_op_traits(r->op.op)->right == S3_RIGHT_READ;
}

/* As most reads: they have nothing to say. */
static bool says_nothing(const struct http1_head *head)
{
    for (size_t i = 0; i < head->field_count; i++)
        if (is_said(head->fields[i].known))
            return false;
    return !http1_has(head, HTTP1_NAME_CONTENT_ENCODING);
}

void blob_ask_fields(struct blob_request *r, struct blob_ask *ask)
{
    const struct http1_head *head = &r->http.head;
    struct http1_field *fields;
    struct slice kept;
    size_t count = 0;

    if (says_nothing(head)) {
        ask->fields = NULL;
        ask->field_count = 0;
        return;
    }
    fields = arena_bytes(&r->arena, (head->field_count + 1U) * sizeof(struct http1_field));
    kept = codings(r);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http1_field *f = &head->fields[i];

        if (!is_said(f->known) || is_no_range(f) || is_any_tag(r, f) ||
            (is_tags(f) && http1_field_find(head, f->known) != f))
            continue;
        fields[count++] =
            blob_field_of(http1_name_stands_for_many(f->known) ? small_letters(&r->arena, f->name)
                                                               : http1_name_text(f->known),
                          is_tags(f) ? joined(r, f) : f->value);
    }
    if (kept.len > 0)
        fields[count++] = blob_field_of(slice_text("content-encoding"), kept);
    ask->fields = fields;
    ask->field_count = count;
}

static void fill_ask(struct blob_request *r, struct blob_ask *ask)
{
    *ask = (struct blob_ask){
        .op = r->op.op,
        .bucket = r->op.bucket,
        .key = r->op.key,
        .path = r->op.path,
        .source = r->op.source,
        .params = r->op.params,
        .param_count = r->op.param_count,
        .request_id = slice_text(r->id),
    };
    blob_ask_fields(r, ask);
    if (s3_op_traits(r->op.op)->body == S3_BODY_NONE)
        return;
    ask->has_body = true;
    ask->length = r->length;
    /* A hash that is verified here need not be there as well; one that is not must be. */
    ask->payload_hash = r->payload_hash;
    ask->sums = r->sums.wanted;
    if (s3_op_traits(r->op.op)->body == S3_BODY_WHOLE) {
        ask->body = buf_all(&r->whole);
        ask->length = r->whole.len;
        if (ask->body.at == NULL)
            ask->body = slice_text("");
    } else if (r->length == 0) {
        ask->body = slice_text("");
    }
}

/* ---- the store's side ---- */

static void on_room(struct blob_call *c)
{
    struct stream *stream = c->owner;

    blob_body_wanted(stream->request);
}

/* Of a range, too: "bytes 0-9/123". */
static uint64_t object_bytes(const struct blob_request *r, const struct blob_answer *answer)
{
    uint64_t whole = 0;

    if (r->op.op == S3_OP_PUT_OBJECT || r->op.op == S3_OP_PUT_PART)
        return r->length;
    if ((r->op.op != S3_OP_GET_OBJECT && r->op.op != S3_OP_HEAD_OBJECT) || answer->status >= 300)
        return 0;
    for (size_t i = 0; answer->status == 206 && i < answer->field_count; i++) {
        struct slice value = answer->fields[i].value;
        const uint8_t *slash = value.len == 0 ? NULL : memchr(value.at, '/', value.len);

        if (slice_is_word(answer->fields[i].name, "content-range") && slash != NULL &&
            slice_to_u64(slice_from(value, (size_t)(slash - value.at) + 1), &whole))
            return whole;
    }
    return answer->has_length ? answer->length : 0;
}

static struct slice field_of(const struct blob_answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->field_count; i++)
        if (slice_is_word(answer->fields[i].name, name))
            return answer->fields[i].value;
    return (struct slice){ 0 };
}

/* What is put whole is its first part; of others a part is told as a range. */
static bool is_a_part(struct slice part, const struct blob_answer *answer)
{
    struct slice etag = field_of(answer, "etag");

    return answer->status == 206 ||
           (slice_is_text(part, "1") && etag.len > 0 && memchr(etag.at, '-', etag.len) == NULL);
}

/* Stores that do not know what is asked of an object pass over it, and give the object itself. */
static bool is_the_object(const struct blob_request *r, const struct blob_answer *answer)
{
    struct slice part = s3_param_value(&r->op, "partNumber");
    enum s3_op op = r->op.op;

    if (answer->status != 200 && answer->status != 206)
        return false;
    if (op == S3_OP_GET_ATTRIBUTES || op == S3_OP_GET_TAGGING || op == S3_OP_GET_ACL)
        return field_of(answer, "etag").len > 0 && field_of(answer, "accept-ranges").len > 0;
    return (op == S3_OP_GET_OBJECT || op == S3_OP_HEAD_OBJECT) && part.len > 0 &&
           !is_a_part(part, answer);
}

static void on_head(struct blob_call *c)
{
    struct stream *stream = c->owner;
    struct blob_request *r = stream->request;

    if (is_the_object(r, &c->answer)) {
        blob_refuse_with(r, S3_NOT_IMPLEMENTED);
        return;
    }
    if (blob_refusal_begins(r, &c->answer))
        return;
    r->object_bytes = object_bytes(r, &c->answer);
    blob_answer_fields(&c->answer, blob_answer_begin(r, c->answer.status));
    blob_answer_head(r, c->answer.has_length ? c->answer.length : BLOB_LENGTH_UNKNOWN);
}

static void on_body(struct blob_call *c, struct slice bytes)
{
    struct stream *stream = c->owner;

    if (!blob_refusal_takes(stream->request, bytes))
        blob_answer_put(stream->request, bytes);
}

static struct session *through(struct blob_call *c)
{
    struct stream *stream = c->owner;

    return &stream->request->session->base;
}

static void on_went(struct blob_call *c, size_t len)
{
    struct stream *stream = c->owner;

    blob_answer_went(stream->request, len);
}

static void fail(struct blob_call *c, enum err err, const char *why)
{
    struct stream *stream = c->owner;
    struct blob_request *r = stream->request;
    struct s3_fault fault = { 0 };

    blob_fault_of_call(c, blob_shard_of(r->side, r->op.key), err, why, &fault);
    blob_refuse(r, &fault); /* cuts it, if the head went out */
}

static void on_ended(struct blob_call *c, enum err err, const char *why)
{
    struct stream *stream = c->owner;
    struct blob_request *r = stream->request;

    if (err != ERR_NONE)
        fail(c, err, why);
    else if (!blob_refusal_ends(r))
        blob_answer_end(r);
}

static const struct blob_events EVENTS = {
    .room = on_room,
    .head = on_head,
    .body = on_body,
    .through = through,
    .went = on_went,
    .ended = on_ended,
};

/* ---- the client's side ---- */

static void begin(struct blob_request *r)
{
    struct stream *stream = arena_new(&r->arena, sizeof(*stream));

    r->state = stream;
    stream->request = r;
    stream->call.owner = stream;
    fill_ask(r, &stream->call.ask);
    blob_call_start(&stream->call, blob_shard_of(r->side, r->op.key), &EVENTS);
}

static void body(struct blob_request *r, struct slice piece)
{
    struct stream *stream = r->state;

    blob_call_send(&stream->call, piece);
    if (!blob_call_has_room(&stream->call))
        blob_body_wait(r);
}

static struct blob_call *taker(struct blob_request *r)
{
    struct stream *stream = r->state;

    return &stream->call;
}

static void hold(struct blob_request *r, bool hold)
{
    struct stream *stream = r->state;

    blob_call_hold(&stream->call, hold);
}

static void abandon(struct blob_request *r)
{
    struct stream *stream = r->state;

    blob_call_abort(&stream->call);
}

const struct blob_deed blob_deed_stream = {
    .begin = begin,
    .body = body,
    .taker = taker,
    .hold = hold,
    .abandon = abandon,
};
