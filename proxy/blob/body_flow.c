/* A request's body on its way in: HTTP's framing is taken off, then aws-chunked's, what the client
 * declared of it is verified, and pieces go to the deed as they come.
 *
 * What is verified here and not by the store is not given whole to the store before it was: the
 * last byte is held back till then, and a store that lacks a byte commits nothing. */
#include <string.h>

#include "proxy/blob/blob_flow.h"

/* ---- the head ---- */

static const struct {
    enum http1_name name;
    enum checksum kind;
} DECLARED[] = {
    { HTTP1_NAME_X_AMZ_CHECKSUM_CRC32, CHECKSUM_CRC32 },
    { HTTP1_NAME_X_AMZ_CHECKSUM_CRC32C, CHECKSUM_CRC32C },
    { HTTP1_NAME_X_AMZ_CHECKSUM_CRC64NVME, CHECKSUM_CRC64NVME },
    { HTTP1_NAME_X_AMZ_CHECKSUM_SHA1, CHECKSUM_SHA1 },
    { HTTP1_NAME_X_AMZ_CHECKSUM_SHA256, CHECKSUM_SHA256 },
    { HTTP1_NAME_CONTENT_MD5, CHECKSUM_MD5 },
};

/* A server that speaks S3 is told the body's hash, if it is to sign, and verifies it: nobody need
 * do it twice. */
static bool is_verified_by_store(const struct blob_request *r, enum checksum kind)
{
    const struct blob_shard *shard = blob_shard_of(r->side, r->op.key);
    const struct endpoint_settings *settings = shard->settings;
    bool is_signed = settings->user != NULL || settings->store.credentials != BLOB_CREDENTIALS_URL;

    return (kind == CHECKSUM_MD5 || (kind == CHECKSUM_PAYLOAD && is_signed)) &&
           r->op.op != S3_OP_POST_OBJECT && s3_op_traits(r->op.op)->body == S3_BODY_STREAM &&
           shard->back == &blob_back_s3;
}

static enum s3_error declare(struct blob_request *r, struct s3_fault *fault)
{
    if (r->verdict.payload == SIGV4_PAYLOAD_HASH && r->has_body &&
        !is_verified_by_store(r, CHECKSUM_PAYLOAD)) {
        enum s3_error error =
            checksum_set_declare(&r->sums, CHECKSUM_PAYLOAD, r->verdict.payload_hash, fault);

        if (error != S3_NONE)
            return error;
    }
    /* Of CompleteMultipartUpload the others are about the object. */
    if (r->op.op == S3_OP_COMPLETE_UPLOAD)
        return S3_NONE;
    for (size_t i = 0; i < sizeof(DECLARED) / sizeof(DECLARED[0]); i++) {
        const struct http1_field *field = http1_field_find(&r->http.head, DECLARED[i].name);
        enum s3_error error;

        if (field == NULL || is_verified_by_store(r, DECLARED[i].kind))
            continue;
        error = checksum_set_declare(&r->sums, DECLARED[i].kind, field->value, fault);
        if (error != S3_NONE)
            return error;
    }
    return S3_NONE;
}

/* All that it announces, as one list. */
static struct slice trailers_of(struct blob_request *r)
{
    const struct http1_field *f = http1_field_find(&r->http.head, HTTP1_NAME_X_AMZ_TRAILER);
    struct buf all = { 0 };
    struct slice kept;

    for (; f != NULL; f = http1_field_next(&r->http.head, f)) {
        if (all.len > 0)
            buf_text(&all, ",");
        buf_slice(&all, f->value);
    }
    kept = all.len == 0 ? (struct slice){ 0 } : arena_copy(&r->arena, buf_all(&all));
    buf_fini(&all);
    return kept;
}

static enum s3_error begin_chunked(struct blob_request *r, struct s3_fault *fault)
{
    struct slice decoded = http1_value(&r->http.head, HTTP1_NAME_X_AMZ_DECODED_CONTENT_LENGTH);
    struct aws_chunked_head head = {
        .payload = r->verdict.payload,
        .decoded_length = UINT64_MAX,
        .trailer = trailers_of(r),
    };
    enum s3_error error;

    if (!slice_to_u64(decoded, &r->length)) {
        s3_fault_set(fault, S3_MISSING_CONTENT_LENGTH);
        return fault->error;
    }
    head.decoded_length = r->length;
    if (head.payload != SIGV4_PAYLOAD_UNSIGNED_TRAILER)
        head.seed = &r->verdict.seed;
    r->chunked = arena_new(&r->arena, sizeof(*r->chunked));
    error = aws_chunked_init(r->chunked, &head, &r->sums);
    if (error != S3_NONE)
        *fault = r->chunked->fault;
    return error;
}

/* A length is needed: stores want to know it before. */
static enum s3_error find_length(struct blob_request *r, struct s3_fault *fault)
{
    const struct http1_head *head = &r->http.head;

    if (sigv4_payload_is_chunked(r->verdict.payload))
        return begin_chunked(r, fault);
    if (head->framing == HTTP1_FRAMING_LENGTH || head->framing == HTTP1_FRAMING_NONE) {
        r->length = head->framing == HTTP1_FRAMING_NONE ? 0 : head->length;
        if (head->framing == HTTP1_FRAMING_NONE && r->op.op == S3_OP_PUT_OBJECT &&
            !head->has_length)
            s3_fault_set(fault, S3_MISSING_CONTENT_LENGTH);
        return fault->error;
    }
    if (s3_op_traits(r->op.op)->body == S3_BODY_STREAM &&
        !slice_to_u64(http1_value(head, HTTP1_NAME_X_AMZ_DECODED_CONTENT_LENGTH), &r->length)) {
        s3_fault_set(fault, S3_MISSING_CONTENT_LENGTH);
        return fault->error;
    }
    if (s3_op_traits(r->op.op)->body != S3_BODY_STREAM)
        r->length = UINT64_MAX; /* read whole: it is known then */
    return S3_NONE;
}

static uint64_t most_bytes(const struct blob_request *r)
{
    uint64_t object = r->side->settings->max_object_bytes;

    switch (s3_op_traits(r->op.op)->body) {
    case S3_BODY_STREAM:
        return r->op.op == S3_OP_POST_OBJECT ? object + BLOB_FORM_BYTES : object;
    case S3_BODY_WHOLE:
        return BLOB_WHOLE_BYTES;
    case S3_BODY_NONE:
        return BLOB_DROP_KEEP_BYTES; /* some clients send one all the same */
    }
    return 0;
}

enum s3_error blob_body_begin(struct blob_request *r, struct s3_fault *fault)
{
    const struct http1_head *head = &r->http.head;
    enum s3_error error;

    http1_body_begin(&r->body, head->framing, head->length);
    r->has_body = head->framing != HTTP1_FRAMING_NONE && !http1_body_is_whole(&r->body);
    error = find_length(r, fault);
    if (error == S3_NONE)
        error = declare(r, fault);
    if (error != S3_NONE)
        return error;
    if (r->length != UINT64_MAX && r->length > most_bytes(r)) {
        s3_fault_set(fault, S3_ENTITY_TOO_LARGE);
        return fault->error;
    }
    if (r->verdict.payload == SIGV4_PAYLOAD_HASH)
        r->payload_hash = r->verdict.payload_hash;
    r->is_verified_here = s3_op_traits(r->op.op)->body == S3_BODY_STREAM &&
                          (r->chunked != NULL || r->sums.wanted != 0);
    r->waits = r->has_body;
    return S3_NONE;
}

/* ---- pieces ---- */

static void refuse(struct blob_request *r, enum s3_error error)
{
    blob_refuse_with(r, error);
}

/* Of a body that is read whole. */
static void keep(struct blob_request *r, struct slice piece)
{
    struct s3_fault fault = { 0 };

    buf_slice(&r->whole, piece);
    blob_request_weigh(r);
    if (!blob_memory_is_short(r->side->worker))
        return;
    s3_fault_say(&fault, S3_SLOW_DOWN,
                 "Please reduce your request rate: max_memory is nearly reached.");
    blob_refuse(r, &fault);
}

static void give(struct blob_request *r, struct slice piece)
{
    if (s3_op_traits(r->op.op)->body == S3_BODY_WHOLE)
        keep(r, piece);
    else if (r->began && r->deed->body != NULL)
        r->deed->body(r, piece);
}

/* False: the request is over.  Stores begin a write when they have the whole body. */
static bool take(struct blob_request *r, struct slice piece, bool is_summed)
{
    struct blob_session *s = r->session;
    uint64_t most = r->length == UINT64_MAX ? most_bytes(r) : r->length;

    if (r->taken + piece.len == r->length && blob_took_back(r))
        return false;
    if (piece.len > most - r->taken) {
        refuse(r, r->length == UINT64_MAX ? S3_ENTITY_TOO_LARGE : S3_INCOMPLETE_BODY);
        return false;
    }
    if (!is_summed && r->sums.wanted != 0)
        checksum_set_add(&r->sums, piece);
    r->taken += piece.len;
    if (r->is_verified_here && r->taken == r->length && piece.len > 0) {
        r->holds_last = true;
        r->last_byte = piece.at[--piece.len];
    }
    if (piece.len > 0)
        give(r, piece);
    return s->request == r;
}

/* Payload of HTTP that has the framing of aws-chunked within.  False: the request is over. */
static bool unchunk(struct blob_request *r, struct slice in)
{
    struct slice piece;

    while (in.len > 0 || !r->chunks_ended) {
        switch (aws_chunked_next(r->chunked, &in, &piece)) {
        case AWS_CHUNKED_MORE:
            return true;
        case AWS_CHUNKED_PAYLOAD:
            if (!take(r, piece, true))
                return false;
            break;
        case AWS_CHUNKED_BAD:
            blob_refuse(r, &r->chunked->fault);
            return false;
        case AWS_CHUNKED_END:
            r->chunks_ended = true;
            if (in.len == 0)
                return true;
            refuse(r, S3_INCOMPLETE_BODY);
            return false;
        }
    }
    return true;
}

/* ---- the end ---- */

/* False: it is not what was said, and the request is over. */
static bool verify(struct blob_request *r)
{
    struct s3_fault fault = { 0 };

    if (r->chunked != NULL && !r->chunks_ended) {
        if (aws_chunked_cut(r->chunked) != S3_NONE) {
            blob_refuse(r, &r->chunked->fault);
            return false;
        }
    }
    if (r->length != UINT64_MAX && r->taken != r->length) {
        refuse(r, S3_INCOMPLETE_BODY);
        return false;
    }
    r->length = r->taken;
    /* aws_chunked_next() has compared its own. */
    if (r->chunked == NULL && r->sums.wanted != 0 &&
        checksum_set_end(&r->sums, &fault) != S3_NONE) {
        blob_refuse(r, &fault);
        return false;
    }
    return true;
}

static void ended(struct blob_request *r)
{
    struct blob_session *s = r->session;

    if (!verify(r))
        return;
    s->stage = BLOB_ANSWERS;
    r->body_is_done = true;
    r->heard_us = worker_now_us(s->base.worker);
    if (!r->began) {
        r->began = true;
        r->deed->begin(r);
        if (s->request != r || s3_op_traits(r->op.op)->body != S3_BODY_STREAM)
            return;
    }
    if (r->holds_last) {
        r->holds_last = false;
        give(r, slice_of(&r->last_byte, 1));
    }
    if (s->request == r && r->deed->body_ended != NULL)
        r->deed->body_ended(r);
}

size_t blob_body_input(struct blob_request *r, struct slice in)
{
    struct blob_session *s = r->session;
    enum http1_refusal why;
    struct slice payload;
    size_t at = 0, used;

    while (at < in.len && s->request == r && s->stage == BLOB_BODY) {
        enum parse found;

        if (r->waits) {
            session_pause(&s->base);
            break;
        }
        found = http1_body_decode(&r->body, slice_from(in, at), &used, &payload, &why);
        at += used;
        if (payload.len > 0 &&
            !(r->chunked != NULL ? unchunk(r, payload) : take(r, payload, false)))
            break;
        if (found == PARSE_BAD) {
            s->closes = true;
            refuse(r, S3_INCOMPLETE_BODY);
            break;
        }
        if (found == PARSE_DONE)
            ended(r);
        else if (used == 0)
            break;
    }
    blob_bodies_stop_if_short(s->base.worker);
    return at;
}

/* ---- memory ---- */

/* All at once, for in a turn many may be read from. */
void blob_bodies_stop_if_short(struct worker *w)
{
    if (blob_works_of(w)->is_short || !blob_memory_is_short(w))
        return;
    blob_works_of(w)->is_short = true;
    LIST_EACH (&w->sessions, link) {
        struct session *base = LIST_ITEM(link, struct session, link);
        struct blob_session *s = (struct blob_session *)base;

        if (base->limits->flow != &blob_flow || base->state != SESSION_READING ||
            s->stage != BLOB_BODY || s->request == NULL || s->request->waits || !s->request->began)
            continue;
        s->request->waits = s->request->is_stopped = true;
        session_pause(base);
    }
}

void blob_bodies_go_on(struct worker *w)
{
    size_t most = w->max_bytes - w->max_bytes / 4, held = worker_bytes(w);
    size_t count = held > most ? 0 : 1 + (most - held) / WORKER_SCRATCH_BYTES;

    if (!blob_works_of(w)->is_short || count == 0)
        return;
    LIST_EACH (&w->sessions, link) {
        struct session *base = LIST_ITEM(link, struct session, link);
        struct blob_request *r = ((struct blob_session *)base)->request;

        if (base->limits->flow != &blob_flow || base->state == SESSION_CLOSING || r == NULL ||
            !r->is_stopped)
            continue;
        if (count-- == 0)
            return;
        r->is_stopped = false;
        blob_body_wanted(r);
    }
    blob_works_of(w)->is_short = false;
}

/* ---- what goes by ---- */

/* The last byte of what is verified here stays behind. */
static uint64_t may_go(const struct blob_request *r)
{
    uint64_t left = http1_body_left(&r->body);

    return r->is_verified_here && left > 0 ? left - 1 : left;
}

bool blob_body_passes(struct blob_request *r, struct session_passage *passage)
{
    struct blob_call *taker;

    if (r->waits || r->chunked != NULL || r->body.framing != HTTP1_FRAMING_LENGTH || !r->began ||
        r->deed->taker == NULL)
        return false;
    taker = r->deed->taker(r);
    *passage = (struct session_passage){
        .to = taker != NULL ? blob_call_through(taker) : NULL,
        .most = may_go(r),
    };
    if (passage->to != NULL && r->sums.wanted != 0) {
        passage->view = sha256_pair_room(&blob_works_of(r->side->worker)->pair);
        passage->view_bytes = SHA256_PAIR_BYTES;
    }
    return passage->to != NULL;
}

void blob_body_seen(struct blob_request *r, size_t len)
{
    checksum_set_take(&r->sums, &blob_works_of(r->side->worker)->pair, len);
}

void blob_body_passed(struct blob_request *r, size_t len)
{
    struct blob_call *taker = r->deed->taker(r);
    struct worker *w = r->side->worker;

    r->taken += len;
    http1_body_pass(&r->body, len);
    blob_call_went(taker, len);
    if (http1_body_is_whole(&r->body)) {
        ended(r);
    } else if (!blob_call_has_room(taker)) {
        blob_body_wait(r);
        session_pause(&r->session->base);
    }
    blob_bodies_stop_if_short(w);
}

/* ---- the deed's side ---- */

void blob_body_continue(struct blob_request *r)
{
    if (!http1_has(&r->http.head, HTTP1_NAME_EXPECT) || r->http.head.minor == 0 || r->continues)
        return;
    r->continues = true;
    blob_answer_continue(r);
}

void blob_body_wanted(struct blob_request *r)
{
    struct blob_session *s = r->session;

    if (!r->waits || r->is_refused)
        return;
    r->waits = false;
    blob_body_continue(r);
    session_resume(&s->base);
    session_recall(&s->base);
}

void blob_body_wait(struct blob_request *r)
{
    if (!r->body_is_done)
        r->waits = true;
}
