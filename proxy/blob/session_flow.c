/* A client's connection: heads of requests, their bodies, and what is dropped of them.
 *
 *     BLOB_HEAD --whole head--> BLOB_BODY --its end--> BLOB_ANSWERS --answer's end--> BLOB_HEAD
 *                                   \--refused--> BLOB_DROPPING --its end--> BLOB_HEAD, or close */
#include <sys/socket.h>

#include "proxy/blob/blob_flow.h"
#include "proxy/wire/http1_write.h"
#include "proxy/wire/s3_write.h"

static struct blob_session *of(struct session *base)
{
    return (struct blob_session *)base;
}

/* ---- heads ---- */

enum s3_error blob_error_of_head(enum http1_refusal why)
{
    switch (http1_refusal_status(why)) {
    case 405:
        return S3_METHOD_NOT_ALLOWED;
    case 431:
        return S3_REQUEST_HEADER_SECTION_TOO_LARGE;
    case 501:
        return S3_NOT_IMPLEMENTED;
    default:
        return S3_BAD_REQUEST;
    }
}

/* What is no HTTP: there is nobody to blame but the connection. */
static void refuse_head(struct blob_session *s, enum http1_refusal why)
{
    enum s3_error error = blob_error_of_head(why);
    struct s3_error_document document = { .code = s3_error_code(error),
                                          .message = slice_text(http1_refusal_text(why)) };
    struct buf out = { 0 }, body = { 0 };

    s3_write_error(&body, &document, false);
    http1_put_status_line(&out, s3_error_status(error));
    http1_put_field_text(&out, "content-type", "application/xml");
    http1_put_field_u64(&out, "content-length", body.len);
    http1_put_field_text(&out, "connection", "close");
    http1_put_end(&out);
    buf_slice(&out, buf_all(&body));
    buf_fini(&body);
    chain_take(&s->base.out, &s->base.worker->chunks, &out);
    counter_add(&blob_side_of(s)->stats->refusals, 1);
    session_finish(&s->base, CLOSE_PROTOCOL);
}

static size_t take_head(struct blob_session *s, struct slice in)
{
    struct blob_works *works = blob_works_of(s->base.worker);
    size_t most = blob_side_of(s)->settings->max_head_bytes, len = 0;
    enum http1_refusal why;

    switch (http1_search(&s->search, in, most, &len, &works->lines, &why)) {
    case PARSE_MORE:
        return 0;
    case PARSE_BAD:
        refuse_head(s, why);
        return in.len;
    case PARSE_DONE:
        break;
    }
    blob_request_begin(s, slice_of(in.at, len));
    return len;
}

/* ---- what nobody wants ---- */

static void stop_dropping(struct blob_session *s)
{
    if (s->closes) {
        session_finish(&s->base, CLOSE_REFUSED);
        return;
    }
    s->stage = s->request != NULL ? BLOB_ANSWERS : BLOB_HEAD;
}

static size_t drop(struct blob_session *s, struct slice in)
{
    enum http1_refusal why;
    struct slice payload;
    size_t at = 0, used;

    while (at < in.len && s->stage == BLOB_DROPPING) {
        enum parse found =
            http1_body_decode(&s->dropped, slice_from(in, at), &used, &payload, &why);

        at += used;
        if (found == PARSE_BAD || used > s->drop_left) {
            session_finish(&s->base, CLOSE_REFUSED);
            return in.len;
        }
        s->drop_left -= used;
        if (found == PARSE_DONE) {
            stop_dropping(s);
            return s->base.last_words ? in.len : at;
        }
        if (used == 0)
            break;
    }
    return at;
}

void blob_session_drop_body(struct blob_session *s)
{
    struct blob_request *r = s->request;
    uint64_t left = http1_body_left(&r->body);

    if (s->stage != BLOB_BODY)
        return;
    s->dropped = r->body;
    s->stage = BLOB_DROPPING;
    /* Who waits for "100 Continue" will not send it; who sends on is heard out, so that he reads
     * why: unread bytes in a closed socket would take the answer away from him. */
    if (r->waits || r->body.framing != HTTP1_FRAMING_LENGTH || left > BLOB_DROP_KEEP_BYTES)
        s->closes = true;
    s->drop_left = BLOB_DROP_BYTES;
    s->drop_until_us = worker_now_us(s->base.worker) + BLOB_LINGER_US;
    session_resume(&s->base);
    session_recall(&s->base);
}

/* ---- input ---- */

static size_t input_once(struct blob_session *s, struct slice in)
{
    switch (s->stage) {
    case BLOB_HEAD:
        return take_head(s, in);
    case BLOB_BODY:
        return blob_body_input(s->request, in);
    case BLOB_DROPPING:
        return drop(s, in);
    case BLOB_ANSWERS:
        session_pause(&s->base); /* the next request waits */
        return 0;
    }
    return 0;
}

static size_t input(struct session *base, struct slice in)
{
    struct blob_session *s = of(base);
    size_t at = 0, used;

    while (at < in.len && base->state == SESSION_READING && !base->last_words) {
        enum blob_stage stage = s->stage;

        used = input_once(s, slice_from(in, at));
        at += used;
        if (used == 0 && stage == s->stage)
            break;
    }
    counter_add(&blob_side_of(s)->stats->bytes_in, at);
    return base->last_words ? in.len : at;
}

static bool passes(struct session *base, struct session_passage *passage)
{
    struct blob_session *s = of(base);

    return s->stage == BLOB_BODY && blob_body_passes(s->request, passage);
}

static void seen(struct session *base, struct slice bytes)
{
    blob_body_seen(of(base)->request, bytes.len);
}

static void passed(struct session *base, size_t len)
{
    struct blob_session *s = of(base);

    counter_add(&blob_side_of(s)->stats->bytes_in, len);
    blob_body_passed(s->request, len);
}

static void go_on_or_close(struct blob_session *s)
{
    if (s->base.winds_down || s->base.worker->draining)
        s->closes = true;
    if (s->stage == BLOB_DROPPING)
        return;
    if (s->closes) {
        session_finish(&s->base, CLOSE_CLIENT_QUIT);
        return;
    }
    s->stage = BLOB_HEAD;
    session_resume(&s->base);
    session_recall(&s->base);
}

void blob_session_request_ended(struct blob_session *s)
{
    s->request = NULL;
    if (s->base.state == SESSION_CLOSING)
        return;
    session_request_ends(&s->base);
    session_wants_flush(&s->base);
    go_on_or_close(s);
}

/* ---- the core's calls ---- */

static void begin(struct session *base)
{
    struct blob_side *side = blob_side_of(of(base));

    base->logged_in = true; /* each request says who it is of; idle_timeout does the rest */
    counter_add(&side->stats->sessions_open, 1);
}

static void end(struct session *base)
{
    struct blob_session *s = of(base);

    if (s->request != NULL)
        blob_request_abandon(s->request);
    s->request = NULL;
    counter_sub(&blob_side_of(s)->stats->sessions_open, 1);
}

static void drained(struct session *base)
{
    struct blob_session *s = of(base);

    base->throttled = false;
    if (s->request != NULL && s->request->deed != NULL && s->request->deed->hold != NULL)
        s->request->deed->hold(s->request, false);
}

/* Who sends no more may wait for his answer, or be gone: as yet nothing that he was sent can tell.
 * After a while he is asked, by what any client passes over; who is gone resets the connection
 * then. */
static void ask_if_there(struct blob_session *s)
{
    struct blob_request *r = s->request;
    uint64_t waited_us = r == NULL ? 0 : worker_now_us(s->base.worker) - r->heard_us;

    if (waited_us < BLOB_ASK_US || r->head_is_out || r->http.head.minor == 0 || r->was_asked)
        return;
    r->was_asked = true;
    blob_answer_continue(r);
}

/* A process that drains asks all who wait; who sends on may do so.  Of a body whose end has not
 * been read as much may lie in the socket as it lacks. */
static void half_closed(struct session *base)
{
    struct blob_session *s = of(base);

    if (base->ended && (s->stage == BLOB_BODY || s->stage == BLOB_DROPPING))
        session_close(base, CLOSE_CLIENT_LEFT); /* it will not come */
    else
        ask_if_there(s);
}

/* Of sessions that are not read from nobody else would tell. */
static bool is_gone(const struct blob_session *s)
{
    return s->request != NULL && (s->base.ended || s->base.state == SESSION_WAITING) &&
           conn_is_reset(&s->base.conn);
}

void blob_session_tick(struct blob_session *s, uint64_t now_us)
{
    const struct blob_pool *pool = blob_side_of(s)->settings;
    uint64_t still_ms = (now_us / 1000000 - s->base.active_s) * 1000;

    if (s->stage == BLOB_ANSWERS && s->request != NULL)
        blob_answer_tick(s->request, now_us);
    if (s->base.ended)
        ask_if_there(s);
    if (is_gone(s))
        session_close(&s->base, s->base.ended ? CLOSE_CLIENT_LEFT : CLOSE_CLIENT_RESET);
    else if (s->stage == BLOB_DROPPING && now_us > s->drop_until_us)
        session_close(&s->base, CLOSE_REFUSED);
    else if (s->stage == BLOB_BODY && !s->request->waits && pool->stall_timeout_ms > 0 &&
             still_ms > pool->stall_timeout_ms)
        session_close(&s->base, CLOSE_IDLE); /* a body that does not come */
    else if (s->stage == BLOB_BODY && s->request->is_stopped && pool->stall_timeout_ms > 0 &&
             still_ms > pool->stall_timeout_ms)
        blob_refuse_with(s->request, S3_SLOW_DOWN); /* one that there is no memory for */
}

static void turn_away(const struct session_limits *limits, int fd)
{
    static const char ANSWER[] =
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

    (void)limits;
    (void)!send(fd, ANSWER, sizeof(ANSWER) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

const struct flow blob_flow = {
    .name = "blob",
    .resumes_itself = true, /* when its store takes more of a body, or its answer is over */
    .session_begin = begin,
    .session_input = input,
    .session_passes = passes,
    .session_seen = seen,
    .session_passed = passed,
    .session_drained = drained,
    .session_half_closed = half_closed,
    .turn_away = turn_away,
    .session_end = end,
};
