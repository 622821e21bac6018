/* Bodies: wherever the bytes are cut, payload, trailers and verdict are the same; of chunks llhttp
 * makes the same payload; what is written as chunks is read as it was. */
#include "proxy/wire/http1_body.h"
#include "tests/fuzz/http1_pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static struct oracle oracle;

struct outcome {
    enum parse found;
    enum http1_refusal why;
    size_t used;
    struct buf payload, trailers;
};

static void outcome_fini(struct outcome *o)
{
    buf_fini(&o->payload);
    buf_fini(&o->trailers);
}

/* Decodes what of `in` is not used yet. */
static void decode_on(struct outcome *o, struct http1_body *body, struct slice in)
{
    uint8_t *copy = copy_of(in);
    struct slice rest = slice_of(copy, in.len), payload;
    struct http1_field field;
    size_t used;

    do {
        o->found = http1_body_decode(body, rest, &used, &payload, &o->why);
        must(used <= rest.len && payload.len <= used);
        must(payload.len == 0 ||
             (payload.at >= rest.at && payload.at + payload.len <= rest.at + used));
        buf_slice(&o->payload, payload);
        rest = slice_from(rest, used);
        o->used += used;
    } while (o->found == PARSE_MORE && used > 0);
    must(o->found != PARSE_MORE || rest.len < HTTP1_TRAILER_MAX_BYTES);
    must(o->found == PARSE_BAD || body->payload == o->payload.len);
    must((o->found == PARSE_DONE) == http1_body_is_whole(body));
    if (o->found == PARSE_DONE) {
        buf_slice(&o->trailers, body->trailer);
        for (rest = body->trailer; http1_trailer_next(&rest, &field);)
            must(field.name.len > 0);
        must(rest.len == 0);
    }
    free(copy);
}

static void decode_by(struct outcome *o, struct slice in, enum http1_framing framing,
                      uint64_t length, size_t step)
{
    struct http1_body body;

    http1_body_begin(&body, framing, length);
    for (size_t end = 0;; end = end + step < in.len ? end + step : in.len) {
        decode_on(o, &body, slice_of(in.at + o->used, end - o->used));
        if (o->found != PARSE_MORE || end == in.len)
            break;
    }
}

static void check_written(struct slice payload, size_t step)
{
    uint8_t head[HTTP1_CHUNK_HEAD_BYTES];
    struct outcome o = { 0 };
    struct buf out = { 0 };

    for (size_t at = 0; at < payload.len; at += step) {
        size_t len = payload.len - at < step ? payload.len - at : step;

        buf_put(&out, head, http1_chunk_head(head, len, at == 0));
        buf_put(&out, payload.at + at, len);
    }
    buf_put(&out, head, http1_chunk_head(head, 0, payload.len == 0));
    buf_text(&out, "\r\n");
    decode_by(&o, buf_all(&out), HTTP1_FRAMING_CHUNKED, 0, step);
    must(o.found == PARSE_DONE && o.used == out.len && slice_is(buf_all(&o.payload), payload));
    outcome_fini(&o);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct outcome whole = { 0 }, pieces = { 0 };
    enum http1_framing framing;
    uint64_t length;
    struct slice in;
    size_t step;

    if (size < 2)
        return 0;
    framing = at[0] & 4 ? (enum http1_framing)(at[0] & 3) : HTTP1_FRAMING_CHUNKED;
    length = framing == HTTP1_FRAMING_LENGTH ? at[1] : 0;
    step = 1 + at[0] / 8;
    in = slice_of(at + 2, size - 2);
    decode_by(&whole, in, framing, length, in.len + 1);
    decode_by(&pieces, in, framing, length, step);
    must(whole.found == pieces.found);
    must(whole.found != PARSE_BAD || whole.why == pieces.why);
    must(whole.found != PARSE_DONE || whole.used == pieces.used);
    must(slice_is(buf_all(&whole.payload), buf_all(&pieces.payload)));
    must(slice_is(buf_all(&whole.trailers), buf_all(&pieces.trailers)));
    if (framing == HTTP1_FRAMING_CHUNKED && whole.found == PARSE_DONE) {
        oracle_read_body(&oracle, slice_of(in.at, whole.used));
        if (oracle.has_body_end)
            must(slice_is(buf_all(&oracle.payload), buf_all(&whole.payload)));
    }
    check_written(in, step);
    outcome_fini(&whole);
    outcome_fini(&pieces);
    return 0;
}
