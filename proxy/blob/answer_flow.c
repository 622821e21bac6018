/* Answers: heads, bodies, refusals in S3's words. */
#include <string.h>
#include <time.h>

#include "proxy/blob/blob_flow.h"
#include "proxy/wire/http1_write.h"
#include "proxy/wire/s3_write.h"

/* Those of which the last one lacks its value. */
static struct slice first_lines(struct blob_works *works)
{
    int64_t second = (int64_t)time(NULL);
    struct buf *lines = &works->now.lines;

    if (works->now.second != second || lines->len == 0) {
        buf_clear(lines);
        http1_put_field_text(lines, "server", "sheaf");
        http1_put_field_date(lines, "date", second);
        buf_text(lines, "x-amz-request-id: ");
        works->now.second = second;
    }
    return buf_all(lines);
}

void blob_answer_continue(struct blob_request *r)
{
    struct session *s = &r->session->base;

    chain_slice(&s->out, &s->worker->chunks, slice_text("HTTP/1.1 100 Continue\r\n\r\n"));
    session_wants_flush(s);
}

struct buf *blob_answer_begin(struct blob_request *r, unsigned status)
{
    struct blob_works *works = blob_works_of(r->side->worker);
    struct buf *out = &works->head;

    r->status = (uint16_t)status;
    buf_clear(out);
    http1_put_status_line(out, status);
    buf_slice(out, first_lines(works));
    buf_put(out, r->id, sizeof(r->id) - 1);
    buf_text(out, "\r\n");
    return out;
}

static bool has_no_body(const struct blob_request *r)
{
    return r->http.method == HTTP1_METHOD_HEAD || r->status == 204 || r->status == 304;
}

void blob_answer_head(struct blob_request *r, uint64_t length)
{
    struct blob_session *s = r->session;
    struct buf *out = &blob_works_of(s->base.worker)->head;

    /* It came before the body did: the rest of that is not wanted, and the head must say whether
     * the connection goes on. */
    if (s->stage == BLOB_BODY)
        blob_session_drop_body(s);
    r->head_is_out = true;
    r->answered_us = worker_now_us(s->base.worker);
    r->has_no_body = has_no_body(r);
    r->answer_left = r->has_no_body ? 0 : length;
    if (length != BLOB_LENGTH_UNKNOWN && r->status != 204) {
        http1_put_length(out, length);
    } else if (!r->has_no_body && r->http.head.minor == 1) {
        http1_put_field_text(out, "transfer-encoding", "chunked");
        r->is_chunked = true;
    } else if (!r->has_no_body) {
        s->closes = true; /* HTTP/1.0: the body lasts until the close */
    }
    if (s->closes)
        http1_put_field_text(out, "connection", "close");
    else if (r->http.head.minor == 0)
        http1_put_field_text(out, "connection", "keep-alive");
    http1_put_end(out);
    counter_add(&r->side->stats->bytes_out, out->len);
    chain_slice(&s->base.out, &s->base.worker->chunks, buf_all(out));
    session_wants_flush(&s->base);
}

/* Long pieces are written at once; with a head that still waits before them they go together, so
 * that what follows finds nothing in its way. */
static void put(struct blob_session *s, struct slice bytes)
{
    bool is_long = bytes.len >= BLOB_THROUGH_BYTES / 2;

    counter_add(&blob_side_of(s)->stats->bytes_out, bytes.len);
    if (is_long && s->base.out.len == 0) {
        session_write_through(&s->base, bytes);
        return;
    }
    chain_slice(&s->base.out, &s->base.worker->chunks, bytes);
    if (is_long && !s->base.conn.watching_write)
        session_flush(&s->base);
    else
        session_wants_flush(&s->base);
}

static void throttle(struct blob_request *r)
{
    struct blob_session *s = r->session;

    if (s->base.throttled)
        return;
    s->base.throttled = true;
    if (r->deed->hold != NULL)
        r->deed->hold(r, true);
}

void blob_answer_went(struct blob_request *r, size_t len)
{
    counter_add(&r->side->stats->bytes_out, len);
    r->answer_bytes += len;
    r->answer_left -= len;
    if (r->session->base.out.len > 0)
        throttle(r);
}

void blob_answer_put(struct blob_request *r, struct slice bytes)
{
    struct blob_session *s = r->session;

    if (bytes.len == 0 || r->has_no_body)
        return;
    if (r->status >= 300 && r->error == S3_NONE && r->answer_bytes == 0)
        r->error = blob_counts_error_in(bytes);
    if (r->is_chunked) {
        uint8_t head[HTTP1_CHUNK_HEAD_BYTES];

        put(s, slice_of(head, http1_chunk_head(head, bytes.len, r->answer_bytes == 0)));
    }
    r->answer_bytes += bytes.len;
    r->answer_left -= r->answer_left == BLOB_LENGTH_UNKNOWN ? 0 : bytes.len;
    put(s, bytes);
    if (s->request != r)
        return;
    if (s->base.out.len >
        (blob_memory_is_short(s->base.worker) ? BLOB_SHORT_BYTES : BLOB_UNREAD_BYTES))
        throttle(r);
}

static void end(struct blob_request *r)
{
    struct blob_session *s = r->session;

    s->base.throttled = false;
    blob_request_free(r);
    blob_session_request_ended(s);
}

void blob_answer_end(struct blob_request *r)
{
    struct blob_session *s = r->session;

    if (!r->has_no_body && r->answer_left != BLOB_LENGTH_UNKNOWN && r->answer_left > 0) {
        blob_answer_cut(r);
        return;
    }
    if (r->is_chunked) {
        uint8_t head[HTTP1_CHUNK_HEAD_BYTES];

        put(s, slice_of(head, http1_chunk_head(head, 0, r->answer_bytes == 0)));
        put(s, slice_text("\r\n"));
        if (s->request != r)
            return;
    }
    end(r);
}

void blob_answer_cut(struct blob_request *r)
{
    struct blob_session *s = r->session;

    counter_add(&r->side->stats->failures, 1);
    r->error = S3_INTERNAL_ERROR;
    s->request = NULL;
    blob_request_free(r);
    session_close(&s->base, CLOSE_UPSTREAM_LOST);
}

/* Behind the declaration and blanks that went out. */
static void end_late(struct blob_request *r, struct slice document)
{
    const uint8_t *end = memmem(document.at, document.len, "?>", 2);

    if (end != NULL && slice_starts(document, slice_text("<?xml")))
        document = slice_from(document, (size_t)(end - document.at) + 2);
    blob_answer_put(r, document);
    if (r->session->request == r)
        blob_answer_end(r);
}

void blob_answer_expect_late(struct blob_request *r)
{
    r->may_be_late = true;
    r->late_us = worker_now_us(r->side->worker) + BLOB_LATE_US;
}

void blob_answer_tick(struct blob_request *r, uint64_t now_us)
{
    struct buf declaration = { 0 };

    if (!r->may_be_late || now_us < r->late_us)
        return;
    r->late_us = now_us + BLOB_LATE_US;
    if (r->is_late) {
        blob_answer_put(r, slice_text(" "));
        return;
    }
    http1_put_field_text(blob_answer_begin(r, 200), "content-type", "application/xml");
    blob_answer_head(r, BLOB_LENGTH_UNKNOWN);
    r->is_late = true;
    s3_write_declaration(&declaration);
    blob_answer_put(r, buf_all(&declaration));
    buf_fini(&declaration);
}

static inline bool is_ours(const struct http1_field *f);
static inline void put_field(struct buf *out, const struct http1_field *f);

void blob_answer_keep(struct blob_request *r, const struct blob_answer *answer)
{
    r->kept = arena_new(&r->arena, (answer->field_count + 1U) * sizeof(struct http1_field));
    r->kept_count = 0;
    for (size_t i = 0; i < answer->field_count; i++) {
        const struct http1_field *f = &answer->fields[i];

        if (!is_ours(f) &&
            (slice_starts(f->name, slice_text("x-amz-")) ||
             slice_is_word(f->name, "content-range") || slice_is_word(f->name, "retry-after")))
            r->kept[r->kept_count++] =
                (struct http1_field){ .name = arena_copy(&r->arena, f->name),
                                      .value = arena_copy(&r->arena, f->value),
                                      .known = f->known };
    }
}

void blob_answer_xml(struct blob_request *r, unsigned status, struct slice body)
{
    struct buf *out;

    if (r->is_late && body.len == 0) { /* the store has no words for it */
        blob_refuse_with(r, S3_INTERNAL_ERROR);
        return;
    }
    if (r->is_late) {
        end_late(r, body);
        return;
    }
    out = blob_answer_begin(r, status);
    if (body.len > 0)
        http1_put_field_text(out, "content-type", "application/xml");
    for (size_t i = 0; i < r->kept_count; i++)
        put_field(out, &r->kept[i]);
    blob_answer_head(r, body.len);
    blob_answer_put(r, body);
    if (r->session->request == r)
        blob_answer_end(r);
}

void blob_answer_nothing(struct blob_request *r, unsigned status)
{
    blob_answer_xml(r, status, (struct slice){ 0 });
}

/* ---- refusals ---- */

static void put_fault(const struct blob_request *r, const struct s3_fault *fault, struct buf *out)
{
    struct s3_error_extra extras[S3_DETAILS_MOST];
    struct s3_error_document document = {
        .code = s3_error_code(fault->error),
        .message = slice_text(s3_fault_message(fault)),
        .resource = r->http.path,
        .request_id = slice_text(r->id),
        .extras = extras,
        .extra_count = fault->details,
    };

    for (size_t i = 0; i < fault->details; i++)
        extras[i] = (struct s3_error_extra){ fault->detail[i].name, fault->detail[i].value };
    s3_write_error(out, &document, false);
}

static void abandon_deed(struct blob_request *r)
{
    if (r->began && r->deed != NULL && r->deed->abandon != NULL)
        r->deed->abandon(r);
    r->began = false;
}

void blob_refuse(struct blob_request *r, const struct s3_fault *fault)
{
    struct buf body = { 0 };

    abandon_deed(r);
    if (r->head_is_out && !r->is_late) { /* too late for words */
        blob_answer_cut(r);
        return;
    }
    r->error = fault->error;
    counter_add(s3_error_status(fault->error) >= 500 ? &r->side->stats->failures
                                                     : &r->side->stats->refusals,
                1);
    put_fault(r, fault, &body);
    blob_answer_xml(r, s3_error_status(fault->error), buf_all(&body));
    buf_fini(&body);
}

void blob_refuse_with(struct blob_request *r, enum s3_error error)
{
    struct s3_fault fault = { 0 };

    s3_fault_set(&fault, error);
    blob_refuse(r, &fault);
}

static bool may_be_done(const struct blob_call *c)
{
    return c->was_asked && blob_call_is_all_sent(c) &&
           (s3_op_traits(c->ask.op)->right & (S3_RIGHT_WRITE | S3_RIGHT_DELETE)) != 0;
}

void blob_fault_of_call(const struct blob_call *c, const struct blob_shard *shard, enum err err,
                        const char *why, struct s3_fault *fault)
{
    if (err == ERR_STAMP)
        s3_fault_say(fault, S3_SERVICE_UNAVAILABLE, "Shard %u (%s) is not used: %s", shard->index,
                     shard->name, why);
    else if (err == ERR_LIMIT)
        s3_fault_say(fault, S3_SLOW_DOWN, "Please reduce your request rate: shard %u (%s): %s",
                     shard->index, shard->name, why);
    else
        s3_fault_say(fault, S3_SLOW_DOWN, "Shard %u (%s) does not serve: %s%s", shard->index,
                     shard->name, why,
                     may_be_done(c) ? "; what was asked may have been carried out" : "");
}

/* Framing, the connection, and who answered are ours; all else is the store's to say. */
static inline bool is_ours(const struct http1_field *f)
{
    static const bool OURS[HTTP1_NAME_COUNT] = {
        [HTTP1_NAME_SERVER] = true,
        [HTTP1_NAME_DATE] = true,
        [HTTP1_NAME_X_AMZ_REQUEST_ID] = true,
        [HTTP1_NAME_X_AMZ_ID_2] = true,
        [HTTP1_NAME_CONNECTION] = true,
        [HTTP1_NAME_CONTENT_LENGTH] = true,
        [HTTP1_NAME_TRANSFER_ENCODING] = true,
        [HTTP1_NAME_KEEP_ALIVE] = true,
        [HTTP1_NAME_TRAILER] = true,
        [HTTP1_NAME_UPGRADE] = true,
    };
    enum http1_name name = f->known != HTTP1_NAME_OTHER ? f->known : http1_name_of(f->name);

    if (name != HTTP1_NAME_OTHER)
        return OURS[name];
    return slice_is_word(f->name, "x-trans-id") || slice_is_word(f->name, "x-openstack-request-id");
}

/* A name that was looked up came with its value in a head. */
static inline void put_field(struct buf *out, const struct http1_field *f)
{
    if (http1_name_stands_for_many(f->known))
        (void)!http1_put_field_named(out, f->name, f->value);
    else
        http1_put_field_known(out, f->known, f->value);
}

void blob_answer_fields(const struct blob_answer *answer, struct buf *out)
{
    for (size_t i = 0; i < answer->field_count; i++)
        if (!is_ours(&answer->fields[i]))
            put_field(out, &answer->fields[i]);
}
