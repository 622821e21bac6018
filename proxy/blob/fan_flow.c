/* See blob_flow.h: small questions to several shards. */
#include <string.h>

#include "proxy/blob/blob_flow.h"
#include "proxy/wire/http1_write.h"
#include "proxy/wire/s3_reply_xml.h"

static void weigh(struct blob_fan *fan)
{
    fan->request->deed_bytes = 0;
    for (uint32_t i = 0; i < fan->count; i++)
        fan->request->deed_bytes += fan->parts[i].answer.body.cap;
    blob_request_weigh(fan->request);
}

/* Of one answer about an object: its version and the like are told, too. */
static void on_head(struct blob_call *c)
{
    struct blob_fan_part *part = c->owner;
    struct blob_request *r = part->fan->request;

    if (part->fan->count == 1 && c->ask.op == r->op.op &&
        s3_op_traits(r->op.op)->where == S3_WHERE_OBJECT)
        blob_answer_keep(r, &c->answer);
}

static void on_body(struct blob_call *c, struct slice bytes)
{
    struct blob_fan_part *part = c->owner;

    blob_gather(&part->answer, bytes);
    weigh(part->fan);
}

static void on_ended(struct blob_call *c, enum err err, const char *why)
{
    struct blob_fan_part *part = c->owner;
    struct blob_fan *fan = part->fan;

    part->status = c->answer.status;
    part->err = err;
    part->why = why == NULL ? NULL : arena_text(&fan->request->arena, slice_text(why));
    if (err == ERR_NONE && part->answer.is_too_long) {
        part->err = ERR_LIMIT;
        part->why = "its answer is too long";
    }
    if (part->err != ERR_NONE)
        part->status = 0;
    if (--fan->pending == 0)
        fan->done(fan);
}

static const struct blob_events EVENTS = { .head = on_head, .body = on_body, .ended = on_ended };

struct blob_fan *blob_fan_new(struct blob_request *r, uint32_t count,
                              void (*done)(struct blob_fan *fan))
{
    struct blob_fan *fan =
        arena_new(&r->arena, sizeof(*fan) + count * sizeof(struct blob_fan_part));

    fan->request = r;
    fan->count = count;
    fan->done = done;
    for (uint32_t i = 0; i < count; i++) {
        fan->parts[i].fan = fan;
        fan->parts[i].call.owner = &fan->parts[i];
    }
    return fan;
}

void blob_fan_start(struct blob_fan *fan)
{
    fan->pending = fan->count;
    for (uint32_t i = 0; i < fan->count; i++) {
        struct blob_fan_part *part = &fan->parts[i];

        buf_clear(&part->answer.body);
        part->answer.is_too_long = false;
        part->status = 0;
        part->err = ERR_NONE;
        part->call.ask.request_id = slice_text(fan->request->id);
    }
    for (uint32_t i = 0; i < fan->count; i++)
        blob_call_start(&fan->parts[i].call, fan->parts[i].shard, &EVENTS);
}

void blob_fan_free(struct blob_fan *fan)
{
    for (uint32_t i = 0; i < fan->count; i++) {
        blob_call_abort(&fan->parts[i].call);
        buf_fini(&fan->parts[i].answer.body);
    }
    weigh(fan);
}

/* Stores that work long say blanks meanwhile, which readers of XML will not have at a beginning. */
static struct slice without_blanks(struct slice s)
{
    while (s.len > 0 && strchr(" \t\r\n", s.at[0]) != NULL && s.at[0] != '\0')
        s = slice_from(s, 1);
    return s;
}

void blob_fan_answer(struct blob_fan *fan, const struct blob_fan_part *part)
{
    struct blob_request *r = fan->request;
    struct slice body = arena_copy(&r->arena, without_blanks(buf_all(&part->answer.body)));
    const struct blob_shard *shard = part->shard;
    uint16_t status = part->status;

    blob_fan_free(fan);
    if (status >= 300)
        blob_answer_refusal(r, shard, status, body);
    else
        blob_answer_xml(r, status, body);
}

/* The store was asked HEAD in its place, or has no words: the client is told in S3's. */
static bool says_nothing(const struct blob_request *r, const struct blob_fan_part *part)
{
    return part->answer.body.len == 0 && r->http.method != HTTP1_METHOD_HEAD;
}

bool blob_fan_refuses(struct blob_fan *fan)
{
    struct blob_request *r = fan->request;

    for (uint32_t i = 0; i < fan->count; i++) {
        struct blob_fan_part *part = &fan->parts[i];
        struct s3_fault fault = { 0 };

        if (part->err == ERR_NONE)
            continue;
        blob_fault_of_call(&part->call, part->shard, part->err, part->why, &fault);
        blob_refuse(r, &fault); /* its deed frees the fan */
        return true;
    }
    for (uint32_t i = 0; i < fan->count; i++) {
        const struct blob_fan_part *part = &fan->parts[i];

        if (part->status < 300)
            continue;
        if (says_nothing(r, part))
            blob_refuse_with(r, blob_error_of_status(r, part->status));
        else
            blob_fan_answer(fan, part);
        return true;
    }
    return false;
}

enum s3_root blob_fan_verify(struct blob_fan_part *part, struct s3_reply_xml *reply)
{
    enum err err = blob_fan_read(part, reply, NULL, NULL);
    enum s3_error error;

    if (err != ERR_NONE)
        return S3_ROOT_NONE;
    if (reply->root == S3_ROOT_ERROR && part->status < 300) {
        error = s3_error_of_code(reply->code);
        part->status = error == S3_NONE ? 500 : s3_error_status(error);
    }
    return reply->root;
}

enum err blob_fan_read(struct blob_fan_part *part, struct s3_reply_xml *reply, s3_entry_f *take,
                       void *owner)
{
    enum err err;

    s3_reply_xml_open(reply, &part->fan->request->arena, take, owner, false);
    err = s3_reply_xml_feed(reply, buf_all(&part->answer.body));
    return err == ERR_NONE ? s3_reply_xml_end(reply) : err;
}
