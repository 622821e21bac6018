/* Multipart uploads: all of one is on the shard that its key belongs to.  The UploadId that clients
 * have names the map and the shard besides the store's own, so nothing is kept here. */
#include "proxy/blob/blob_flow.h"
#include "proxy/wire/digest.h"
#include "proxy/wire/http1_write.h"
#include "proxy/wire/s3_reply_xml.h"
#include "proxy/wire/s3_request_xml.h"
#include "proxy/wire/s3_write.h"
#include "shard/list_token.h"
#include "shard/map.h"

uint64_t blob_token_seed(const struct blob_request *r)
{
    uint64_t seed = 0xcbf29ce484222325ull; /* FNV-1a */

    for (size_t i = 0; i < r->op.bucket.len; i++)
        seed = (seed ^ r->op.bucket.at[i]) * 0x100000001b3ull;
    return seed;
}

uint64_t blob_map_epoch(const struct blob_side *side)
{
    return shard_map_digest(side->assembly->maps[side->settings->base.number]);
}

struct upload_deed {
    struct blob_fan *fan;  /* of all but parts */
    struct blob_call call; /* of parts, which stream */
    struct blob_request *request;
    struct blob_shard *shard;
    struct upload_token token;
    struct slice etag; /* of what is completed, as far as that can be known; in the arena */
    bool was_completed;
    struct blob_ask complete; /* that is asked once it is known that all of it will be heeded */
};

/* ---- names ---- */

/* False: it is no upload of ours, and that was told. */
static bool find_upload(struct blob_request *r, struct upload_deed *deed)
{
    struct blob_side *side = r->side;

    if (upload_token_read(r->op.upload_id, blob_token_seed(r), side->shard_count, &r->arena,
                          &deed->token) != ERR_NONE ||
        deed->token.epoch != blob_map_epoch(side) ||
        side->shards[deed->token.shard] != blob_shard_of(side, r->op.key)) {
        blob_refuse_with(r, S3_NO_SUCH_UPLOAD);
        return false;
    }
    deed->shard = side->shards[deed->token.shard];
    return true;
}

static void wrap(struct blob_request *r, const struct blob_shard *shard, struct slice id,
                 struct buf *out)
{
    struct upload_token token = { .epoch = blob_map_epoch(r->side),
                                  .shard = shard->index,
                                  .id = id };

    upload_token_write(&token, blob_token_seed(r), out);
}

void blob_upload_params(struct blob_request *r, struct slice id, struct blob_ask *ask)
{
    struct blob_param *params =
        arena_new(&r->arena, (r->op.param_count + 1) * sizeof(struct blob_param));

    for (size_t i = 0; i < r->op.param_count; i++) {
        params[i] = r->op.params[i];
        if (slice_is_text(params[i].name, "uploadId"))
            params[i].value = id;
    }
    ask->params = params;
    ask->param_count = r->op.param_count;
}

static struct blob_ask ask_of(struct blob_request *r, const struct upload_deed *deed)
{
    struct blob_ask ask = {
        .op = r->op.op, .bucket = r->op.bucket, .key = r->op.key, .request_id = slice_text(r->id)
    };

    blob_upload_params(r, deed->token.id, &ask);
    blob_ask_fields(r, &ask);
    return ask;
}

/* ---- what clients are told ---- */

static bool is_whole_answer(struct blob_fan_part *part, struct s3_reply_xml *reply,
                            enum s3_root root)
{
    enum err err = blob_fan_read(part, reply, NULL, NULL);

    return err == ERR_NONE && reply->root == root;
}

static void tell_created(struct blob_request *r, struct blob_fan_part *part)
{
    struct s3_reply_xml reply;
    struct buf id = { 0 }, out = { 0 };
    bool good = is_whole_answer(part, &reply, S3_ROOT_INITIATED) && reply.upload_id.len > 0 &&
                reply.upload_id.len <= UPLOAD_TOKEN_ID_BYTES;

    if (good) {
        wrap(r, part->shard, reply.upload_id, &id);
        s3_write_initiated(&out, r->op.bucket, r->op.key, buf_all(&id));
    }
    s3_reply_xml_fini(&reply);
    blob_fan_free(part->fan);
    if (good)
        blob_answer_xml(r, 200, buf_all(&out));
    else
        blob_refuse_with(r, S3_INTERNAL_ERROR);
    buf_fini(&id);
    buf_fini(&out);
}

static void put_location(const struct blob_request *r, struct buf *out)
{
    buf_text(out, r->side->settings->base.listen_tls.on ? "https://" : "http://");
    buf_slice(out, http1_value(&r->http.head, HTTP1_NAME_HOST));
    buf_slice(out, r->http.path);
}

static void write_completed(const struct blob_request *r, struct s3_completed *completed,
                            struct buf *out)
{
    struct buf location = { 0 };

    put_location(r, &location);
    completed->bucket = r->op.bucket;
    completed->key = r->op.key;
    completed->location = buf_all(&location);
    s3_write_completed(out, completed, false);
    buf_fini(&location);
}

/* Without its quotes. */
static struct slice etag_known(const struct upload_deed *deed)
{
    return deed->etag.len == 0 ? deed->etag : slice_of(deed->etag.at + 1, deed->etag.len - 2);
}

static void tell_completed(struct blob_request *r, struct blob_fan_part *part)
{
    struct s3_reply_xml reply;
    struct buf out = { 0 };
    enum s3_root root = blob_fan_verify(part, &reply);

    if (root == S3_ROOT_COMPLETED) {
        /* Ceph's gateway leaves it empty at first. */
        struct s3_completed completed = { .etag = reply.etag.len > 0 ? reply.etag
                                                                     : etag_known(r->state),
                                          .checksum = reply.checksum,
                                          .checksum_type = reply.checksum_type };

        write_completed(r, &completed, &out);
    }
    s3_reply_xml_fini(&reply);
    if (root == S3_ROOT_ERROR) {
        blob_fan_answer(part->fan, part);
        return;
    }
    blob_fan_free(part->fan);
    if (out.len > 0)
        blob_answer_xml(r, 200, buf_all(&out));
    else
        blob_refuse_with(r, S3_INTERNAL_ERROR);
    buf_fini(&out);
}

/* ---- what was completed before ---- */

/* The ETag of what these parts make; empty if not all of theirs are MD5s. */
static struct slice etag_of(struct arena *arena, const struct s3_part *parts, size_t count)
{
    uint8_t digest[DIGEST_MD5_BYTES], *all = arena_bytes(arena, count * DIGEST_MD5_BYTES + 1);
    struct buf out = { 0 };
    char hex[2 * DIGEST_MD5_BYTES + 1] = "";
    struct slice etag;

    for (size_t i = 0; i < count; i++)
        if (!digest_of_hex(parts[i].etag, all + i * DIGEST_MD5_BYTES, DIGEST_MD5_BYTES))
            return (struct slice){ 0 };
    digest_md5(slice_of(all, count * DIGEST_MD5_BYTES), digest);
    digest_hex(slice_of(digest, sizeof(digest)), hex);
    buf_format(&out, "\"%s-%zu\"", hex, count);
    etag = arena_copy(arena, buf_all(&out));
    buf_fini(&out);
    return etag;
}

static void on_head_again(struct blob_call *c)
{
    struct upload_deed *deed = c->owner;

    for (size_t i = 0; i < c->answer.field_count; i++)
        if (c->answer.status == 200 && slice_is_text(c->answer.fields[i].name, "etag"))
            deed->was_completed = slice_is(c->answer.fields[i].value, deed->etag);
}

static void on_ended_again(struct blob_call *c, enum err err, const char *why)
{
    struct upload_deed *deed = c->owner;
    struct blob_request *r = deed->request;
    struct s3_completed completed = { .etag = etag_known(deed) };
    struct buf out = { 0 };

    (void)why;
    if (err != ERR_NONE || !deed->was_completed) {
        blob_refuse_with(r, S3_NO_SUCH_UPLOAD);
        return;
    }
    write_completed(r, &completed, &out);
    blob_answer_xml(r, 200, buf_all(&out));
    buf_fini(&out);
}

static const struct blob_events AGAIN_EVENTS = { .head = on_head_again, .ended = on_ended_again };

/* Ceph's gateway says NoSuchKey of uploads, too. */
static bool is_gone(struct blob_fan_part *part)
{
    struct s3_reply_xml reply;
    bool gone = false;

    if (part->err != ERR_NONE || part->status != 404)
        return false;
    if (blob_fan_verify(part, &reply) == S3_ROOT_ERROR)
        gone = slice_is_text(reply.code, "NoSuchUpload") || slice_is_text(reply.code, "NoSuchKey");
    s3_reply_xml_fini(&reply);
    return gone;
}

/* Who did not hear that it was completed asks again, and the upload is gone: if the object is what
 * he asked for, it was done.  False: it is for others to tell. */
static bool looks_again(struct upload_deed *deed)
{
    struct blob_request *r = deed->request;

    if (deed->etag.len == 0)
        return false;
    deed->call.owner = deed;
    deed->call.ask =
        (struct blob_ask){ .op = S3_OP_HEAD_OBJECT, .bucket = r->op.bucket, .key = r->op.key };
    blob_call_start(&deed->call, deed->shard, &AGAIN_EVENTS);
    return true;
}

static enum err take_part(void *owner, const struct s3_entry *entry)
{
    s3_list_put(owner, entry);
    return ERR_NONE;
}

/* Folders tell none, and Ceph's gateway none of an upload without parts. */
static struct slice or_ours(struct slice id, struct slice told)
{
    return id.len > 0 ? told : slice_text(BLOB_OWNER);
}

static void tell_parts(struct blob_request *r, struct blob_fan_part *part)
{
    struct s3_list_writer list;
    struct s3_reply_xml reply;
    struct buf out = { 0 };
    bool good;

    s3_list_open(&list, S3_LIST_PARTS, false);
    good = blob_fan_read(part, &reply, take_part, &list) == ERR_NONE && reply.root == S3_ROOT_PARTS;
    if (good) {
        struct s3_list_head head = {
            .bucket = r->op.bucket,
            .key = r->op.key,
            .upload_id = r->op.upload_id,
            .max_keys = (uint32_t)reply.max_keys,
            .is_truncated = reply.is_truncated,
            .marker = s3_param_value(&r->op, "part-number-marker"),
            .next_marker = reply.next_marker,
            .owner_id = or_ours(reply.owner_id, reply.owner_id),
            .owner_name = or_ours(reply.owner_id, reply.owner_name),
            .initiator_id = or_ours(reply.initiator_id, reply.initiator_id),
            .initiator_name = or_ours(reply.initiator_id, reply.initiator_name),
            .storage_class = reply.storage_class,
            .algorithms = reply.algorithms,
            .checksum_type = reply.checksum_type,
        };

        s3_list_close(&list, &head, &out);
    }
    s3_list_fini(&list);
    s3_reply_xml_fini(&reply);
    blob_fan_free(part->fan);
    if (good)
        blob_answer_xml(r, 200, buf_all(&out));
    else
        blob_refuse_with(r, S3_INTERNAL_ERROR);
    buf_fini(&out);
}

static void done(struct blob_fan *fan)
{
    struct blob_request *r = fan->request;
    struct blob_fan_part *part = &fan->parts[0];

    if (is_gone(part) && r->op.op != S3_OP_CREATE_UPLOAD) {
        blob_fan_free(fan);
        if (!looks_again(r->state))
            blob_refuse_with(r, S3_NO_SUCH_UPLOAD);
        return;
    }
    if (blob_fan_refuses(fan))
        return;
    switch ((int)r->op.op) {
    case S3_OP_CREATE_UPLOAD:
        tell_created(r, part);
        return;
    case S3_OP_COMPLETE_UPLOAD:
        tell_completed(r, part);
        return;
    case S3_OP_LIST_PARTS:
        tell_parts(r, part);
        return;
    default:
        blob_fan_answer(fan, part);
    }
}

static void ask_store(struct blob_request *r, const struct blob_ask *ask)
{
    struct upload_deed *deed = r->state;

    deed->fan = blob_fan_new(r, 1, done);
    deed->fan->parts[0].shard = deed->shard;
    deed->fan->parts[0].call.ask = *ask;
    blob_fan_start(deed->fan);
}

/* ---- parts ---- */

static void on_room(struct blob_call *c)
{
    struct upload_deed *deed = c->owner;

    blob_body_wanted(deed->request);
}

static void on_head(struct blob_call *c)
{
    struct upload_deed *deed = c->owner;

    if (blob_refusal_begins(deed->request, &c->answer))
        return;
    blob_answer_fields(&c->answer, blob_answer_begin(deed->request, c->answer.status));
    blob_answer_head(deed->request, c->answer.has_length ? c->answer.length : BLOB_LENGTH_UNKNOWN);
}

static void on_body(struct blob_call *c, struct slice bytes)
{
    struct upload_deed *deed = c->owner;

    if (!blob_refusal_takes(deed->request, bytes))
        blob_answer_put(deed->request, bytes);
}

static void on_ended(struct blob_call *c, enum err err, const char *why)
{
    struct upload_deed *deed = c->owner;
    struct s3_fault fault = { 0 };

    if (err == ERR_NONE) {
        if (!blob_refusal_ends(deed->request))
            blob_answer_end(deed->request);
        return;
    }
    blob_fault_of_call(c, deed->shard, err, why, &fault);
    blob_refuse(deed->request, &fault);
}

static const struct blob_events PART_EVENTS = {
    .room = on_room,
    .head = on_head,
    .body = on_body,
    .ended = on_ended,
};

static void begin_part(struct blob_request *r, struct upload_deed *deed)
{
    deed->call.owner = deed;
    deed->call.ask = ask_of(r, deed);
    deed->call.ask.has_body = true;
    deed->call.ask.length = r->length;
    deed->call.ask.payload_hash = r->payload_hash;
    deed->call.ask.sums = r->sums.wanted;
    if (r->length == 0)
        deed->call.ask.body = slice_text("");
    blob_call_start(&deed->call, deed->shard, &PART_EVENTS);
}

/* ---- what is declared of the whole ---- */

/* Of the object that the parts make, not of the list of them: only who has the parts can verify
 * it. */
static bool declares_whole(const struct blob_request *r)
{
    static const enum http1_name NAMES[] = {
        HTTP1_NAME_X_AMZ_CHECKSUM_CRC32,     HTTP1_NAME_X_AMZ_CHECKSUM_CRC32C,
        HTTP1_NAME_X_AMZ_CHECKSUM_CRC64NVME, HTTP1_NAME_X_AMZ_CHECKSUM_SHA1,
        HTTP1_NAME_X_AMZ_CHECKSUM_SHA256,    HTTP1_NAME_X_AMZ_MP_OBJECT_SIZE,
    };

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        if (http1_has(&r->http.head, NAMES[i]))
            return true;
    return false;
}

static enum err take_sum(void *owner, const struct s3_entry *entry)
{
    bool *knows = owner;

    *knows |= entry->checksum.kind != S3_CHECKSUM_NONE;
    return ERR_NONE;
}

/* Would its store pass over it?  A folder verifies whatever it has, and says what it has not. */
static bool is_in_doubt(const struct blob_request *r, const struct upload_deed *deed)
{
    return r->op.op == S3_OP_COMPLETE_UPLOAD && deed->shard->settings->store.folder == NULL &&
           declares_whole(r);
}

/* A store that keeps checksums of parts verifies that of the whole; others would pass over it. */
static bool keeps_sums(struct blob_fan_part *part)
{
    struct s3_reply_xml reply;
    bool keeps = false;

    if (blob_fan_read(part, &reply, take_sum, &keeps) != ERR_NONE)
        keeps = false;
    s3_reply_xml_fini(&reply);
    return keeps;
}

static void parts_came(struct blob_fan *fan)
{
    struct blob_request *r = fan->request;
    struct upload_deed *deed = r->state;
    bool asks = is_gone(&fan->parts[0]); /* it may have been completed before */

    if (!asks && blob_fan_refuses(fan))
        return;
    asks |= keeps_sums(&fan->parts[0]);
    blob_fan_free(fan);
    deed->fan = NULL;
    if (asks)
        ask_store(r, &deed->complete);
    else
        blob_refuse_with(r, S3_NOT_IMPLEMENTED);
}

static void look_at_parts(struct blob_request *r, struct upload_deed *deed)
{
    struct blob_param *params = arena_new(&r->arena, 2 * sizeof(*params));

    params[0] = (struct blob_param){ slice_text("uploadId"), deed->token.id, true };
    params[1] = (struct blob_param){ slice_text("max-parts"), slice_text("1"), true };
    deed->fan = blob_fan_new(r, 1, parts_came);
    deed->fan->parts[0].shard = deed->shard;
    deed->fan->parts[0].call.ask = (struct blob_ask){ .op = S3_OP_LIST_PARTS,
                                                      .bucket = r->op.bucket,
                                                      .key = r->op.key,
                                                      .params = params,
                                                      .param_count = 2 };
    blob_fan_start(deed->fan);
}

/* ---- the deed ---- */

/* The list of parts is looked at before a store sees it, and said anew. */
static bool read_complete(struct blob_request *r, struct blob_ask *ask, struct buf *out)
{
    struct upload_deed *deed = r->state;
    struct s3_request_xml body;
    struct s3_fault fault = { 0 };
    enum err err;

    s3_request_xml_open(&body, S3_REQUEST_COMPLETE, &r->arena);
    err = s3_request_xml_feed(&body, buf_all(&r->whole));
    if (err == ERR_NONE)
        err = s3_request_xml_end(&body);
    if (err == ERR_NONE) {
        s3_write_complete(out, body.parts, body.part_count);
        deed->etag = etag_of(&r->arena, body.parts, body.part_count);
        ask->has_body = true;
        ask->body = arena_copy(&r->arena, buf_all(out));
        ask->length = ask->body.len;
    } else {
        s3_fault_say(&fault, s3_error_of_code(slice_text(body.refusal.code)), "%s",
                     body.refusal.message);
    }
    s3_request_xml_fini(&body);
    if (err != ERR_NONE)
        blob_refuse(r, &fault);
    return err == ERR_NONE;
}

static void begin(struct blob_request *r)
{
    struct upload_deed *deed = arena_new(&r->arena, sizeof(*deed));
    struct buf text = { 0 };
    struct blob_ask ask;
    bool good = true;

    r->state = deed;
    deed->request = r;
    deed->shard = blob_shard_of(r->side, r->op.key);
    if (r->op.op != S3_OP_CREATE_UPLOAD && !find_upload(r, deed))
        return;
    if (r->op.op == S3_OP_PUT_PART) {
        begin_part(r, deed);
        return;
    }
    ask = ask_of(r, deed);
    if (r->op.op == S3_OP_COMPLETE_UPLOAD)
        good = read_complete(r, &ask, &text);
    buf_fini(&text);
    if (!good)
        return;
    if (r->op.op == S3_OP_COMPLETE_UPLOAD)
        blob_answer_expect_late(r);
    deed->complete = ask;
    if (is_in_doubt(r, deed))
        look_at_parts(r, deed);
    else
        ask_store(r, &ask);
}

static void body(struct blob_request *r, struct slice piece)
{
    struct upload_deed *deed = r->state;

    blob_call_send(&deed->call, piece);
    if (!blob_call_has_room(&deed->call))
        blob_body_wait(r);
}

static struct blob_call *taker(struct blob_request *r)
{
    struct upload_deed *deed = r->state;

    return &deed->call;
}

static void hold(struct blob_request *r, bool hold)
{
    struct upload_deed *deed = r->state;

    blob_call_hold(&deed->call, hold);
}

static void abandon(struct blob_request *r)
{
    struct upload_deed *deed = r->state;

    if (deed->fan != NULL)
        blob_fan_free(deed->fan);
    blob_call_abort(&deed->call);
}

const struct blob_deed blob_deed_upload = {
    .begin = begin,
    .body = body,
    .taker = taker,
    .hold = hold,
    .abandon = abandon,
};
