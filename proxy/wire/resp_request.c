/* Requests from clients.  Two halves: take_args() runs over what is whole and as it should be, and
 * stops without a word at anything else; judge_count() and judge_arg() look at what it stopped at
 * and find the word.  So the hot half has no failure to describe, and each refusal has one place.
 *
 * A partial request is passed over argument by argument (`progress`), without keeping anything;
 * once it is whole, one run from its start takes the arguments. */
#include "proxy/wire/resp_request.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/mem.h"

enum {
    SMALLEST_ARG_BYTES = 6, /* "$0\r\n\r\n" */
    LENGTH_MAX_DIGITS = 18, /* what fits an int64_t whatever the digits are */
    ARGS_FIRST_COUNT = 16,
    ARGS_KEPT_COUNT = 1 << 14, /* more than that is given back before the next request */
};

const struct resp_limits RESP_LIMITS_DEFAULT = {
    .max_args = 1024 * 1024,
    .max_inline_bytes = 64 * 1024,
    .max_bulk_bytes = (uint64_t)512 << 20,
    .max_request_bytes = (uint64_t)1 << 30,
};

const struct resp_limits RESP_LIMITS_UNAUTHENTICATED = {
    .max_args = 10,
    .max_inline_bytes = 64 * 1024,
    .max_bulk_bytes = 16384,
    .max_request_bytes = (uint64_t)1 << 20,
    .unauthenticated = true,
};

void resp_args_fini(struct resp_args *args)
{
    free(args->at);
    buf_fini(&args->unescaped);
    *args = (struct resp_args){ 0 };
}

static __attribute__((noinline)) void resize_args(struct resp_args *args, size_t count)
{
    size_t cap = ARGS_FIRST_COUNT;

    while (cap < count)
        cap *= 2;
    if (cap == args->cap)
        return;
    args->at = mem_resize(args->at, cap * sizeof(*args->at));
    args->cap = cap;
}

static inline void reserve_args(struct resp_args *args, size_t count)
{
    if (count > args->cap || args->cap > ARGS_KEPT_COUNT)
        resize_args(args, count);
}

static __attribute__((cold)) enum parse PRINTF_LIKE(2, 3)
    refuse(struct resp_problem *why, const char *format, ...)
{
    va_list list;

    *why = (struct resp_problem){ .kind = RESP_PROBLEM_PROTOCOL };
    va_start(list, format);
    vsnprintf(why->text, sizeof(why->text), format, list);
    va_end(list);
    return PARSE_BAD;
}

/* The length in "$5": the place behind its digits, or NULL if this is not the usual form of one. */
static inline const uint8_t *take_length(const uint8_t *p, const uint8_t *end, uint64_t *size)
{
    const uint8_t *q = p + 2, *stop;

    *size = (uint8_t)(p[1] - '0');
    if (p[0] != '$' || *size > 9 || (*size == 0 && *q != '\r'))
        return NULL;
    if (*q == '\r')
        return q;
    stop = end - p - 1 > LENGTH_MAX_DIGITS ? p + 1 + LENGTH_MAX_DIGITS : end;
    for (; q < stop && (uint8_t)(*q - '0') < 10; q++)
        *size = *size * 10 + (uint8_t)(*q - '0');
    return q;
}

/* Takes arguments from `*at` on while they are whole and well formed, `count` at most; returns how
 * many.  With `out` NULL they are only passed. */
static inline size_t take_args(struct slice in, size_t *at, size_t count,
                               const struct resp_limits *limits, struct slice *out)
{
    const uint64_t most = limits->max_request_bytes;
    const uint8_t *p = in.at + *at, *end = in.at + (in.len < most ? in.len : most);
    size_t i;

    for (i = 0; i < count && end - p >= SMALLEST_ARG_BYTES; i++) {
        uint64_t size;
        const uint8_t *q = take_length(p, end, &size);

        if (q == NULL || size > limits->max_bulk_bytes || end - q < 4 ||
            size > (uint64_t)(end - q) - 4)
            break;
        if (q[0] != '\r' || q[1] != '\n' || q[2 + size] != '\r' || q[3 + size] != '\n')
            break;
        if (out != NULL)
            out[i] = slice_of(q + 2, size);
        p = q + 2 + size + 2;
    }
    *at = (size_t)(p - in.at);
    return i;
}

/* The words for a line with a length that is refused. */
struct length_words {
    const char *too_big, *invalid, *unauthenticated;
};

static const struct length_words COUNT_WORDS = {
    .too_big = "Protocol error: too big mbulk count string",
    .invalid = "Protocol error: invalid multibulk length",
    .unauthenticated = "Protocol error: unauthenticated multibulk length",
};

static const struct length_words BULK_WORDS = {
    .too_big = "Protocol error: too big bulk count string",
    .invalid = "Protocol error: invalid bulk length",
    .unauthenticated = "Protocol error: unauthenticated bulk length",
};

/* A number as Redis writes one: no '+', no space, no leading zero. */
static bool read_number(struct slice text, int64_t *out)
{
    size_t sign = text.len > 0 && text.at[0] == '-';

    if (text.len > sign && text.at[sign] == '0' && text.len > 1)
        return false;
    return slice_to_i64(text, out);
}

/* What a judge is called to: the place in the input where the hot half stopped. */
struct judge {
    struct resp_progress *progress;
    struct slice in;
    const struct resp_limits *limits;
    struct resp_problem *why;
};

/* The line that begins at progress->at: *text is what stands between its first byte and CR LF. */
static enum parse take_line(struct judge *j, const struct length_words *words, struct slice *text)
{
    struct resp_progress *progress = j->progress;
    struct slice rest = slice_from(j->in, (size_t)progress->at);
    size_t max = (size_t)j->limits->max_inline_bytes + 1;
    size_t shown = rest.len < max ? rest.len : max;
    const uint8_t *end = NULL;

    if (progress->searched < shown)
        end = memchr(rest.at + progress->searched, '\r', shown - progress->searched);
    if (end == NULL) {
        if (rest.len >= max)
            return refuse(j->why, "%s", words->too_big);
        progress->searched = (uint32_t)shown;
        return PARSE_MORE;
    }
    progress->searched = (uint32_t)(end - rest.at);
    if (progress->searched + 1u == rest.len)
        return PARSE_MORE;
    if (end[1] != '\n')
        return refuse(j->why, "%s", words->invalid);
    *text = slice_of(rest.at + 1, (size_t)(end - rest.at) - 1);
    return PARSE_DONE;
}

/* "*3\r\n", at the request's start.  A count below one is none. */
static enum parse judge_count(struct judge *j, size_t *count, size_t *at)
{
    const struct resp_limits *limits = j->limits;
    struct slice text = { 0 };
    int64_t value;
    enum parse parse = take_line(j, &COUNT_WORDS, &text);

    if (parse != PARSE_DONE)
        return parse;
    if (!read_number(text, &value) || value > INT32_MAX)
        return refuse(j->why, "%s", COUNT_WORDS.invalid);
    if (value > (int64_t)limits->max_args)
        return refuse(j->why, "%s",
                      limits->unauthenticated ? COUNT_WORDS.unauthenticated : COUNT_WORDS.invalid);
    *count = value > 0 ? (size_t)value : 0;
    *at = text.len + 3;
    return PARSE_DONE;
}

static enum parse refuse_size(struct judge *j, uint64_t bytes)
{
    refuse(j->why, "Protocol error: request too large");
    j->why->kind = RESP_PROBLEM_TOO_LARGE;
    j->why->request_bytes = bytes;
    j->why->is_exact = j->progress->left == 1;
    return PARSE_BAD;
}

/* The argument at progress->at, at which take_args() stopped. */
static enum parse judge_arg(struct judge *j)
{
    struct resp_progress *progress = j->progress;
    const struct resp_limits *limits = j->limits;
    struct slice text = { 0 };
    int64_t size;
    uint64_t end;
    enum parse parse;

    if (progress->at == j->in.len)
        return PARSE_MORE;
    if (j->in.at[progress->at] != '$')
        return refuse(j->why, "Protocol error: expected '$', got '%c'", j->in.at[progress->at]);
    parse = take_line(j, &BULK_WORDS, &text);
    if (parse != PARSE_DONE)
        return parse;
    if (!read_number(text, &size) || size < 0)
        return refuse(j->why, "%s", BULK_WORDS.invalid);
    if ((uint64_t)size > limits->max_bulk_bytes)
        return refuse(j->why, "%s",
                      limits->unauthenticated ? BULK_WORDS.unauthenticated : BULK_WORDS.invalid);
    end = progress->at + text.len + 3 + (uint64_t)size;
    if (end + 2 > limits->max_request_bytes)
        return refuse_size(j, end + 2);
    if (j->in.len >= end + 2) /* all of it is there, so what was wrong is its CR LF */
        return refuse(j->why, "%s", BULK_WORDS.invalid);
    progress->need = (uint32_t)(end + 2);
    return PARSE_MORE;
}

/* Passes over what has come of a partial request. */
static enum parse pass_args(struct judge *j)
{
    struct resp_progress *progress = j->progress;
    size_t at = (size_t)progress->at;
    size_t taken = take_args(j->in, &at, progress->left, j->limits, NULL);

    if (taken > 0)
        *progress = (struct resp_progress){ .at = at, .left = progress->left - (uint32_t)taken };
    return progress->left == 0 ? PARSE_DONE : judge_arg(j);
}

/* The whole request, from its start; what is partial or bad is left to the judges. */
static enum parse take_request(struct judge *j, struct resp_args *args, size_t *len)
{
    struct slice in = j->in;
    size_t count = 0, at = 0, taken = 0;

    if (in.len >= 4 && (uint8_t)(in.at[1] - '0') < 10 && in.at[2] == '\r' && in.at[3] == '\n' &&
        (uint8_t)(in.at[1] - '0') <= j->limits->max_args) {
        count = (uint8_t)(in.at[1] - '0');
        at = 4;
    } else {
        enum parse parse = judge_count(j, &count, &at);

        if (parse != PARSE_DONE)
            return parse;
    }
    /* No memory for arguments that the input is too short for: a count is only a claim. */
    if ((in.len - at) / SMALLEST_ARG_BYTES >= count) {
        reserve_args(args, count);
        taken = take_args(in, &at, count, j->limits, args->at);
    }
    if (taken == count) {
        args->count = count;
        *len = at;
        return PARSE_DONE;
    }
    *j->progress = (struct resp_progress){ .at = at, .left = (uint32_t)(count - taken) };
    return taken > 0 ? judge_arg(j) : pass_args(j);
}

static enum parse parse_multibulk(struct judge *j, struct resp_args *args, size_t *len)
{
    if (j->progress->left > 0) {
        enum parse parse = pass_args(j);

        if (parse != PARSE_DONE)
            return parse;
        *j->progress = (struct resp_progress){ 0 };
    }
    return take_request(j, args, len);
}

/* As isspace() has it, whatever the locale. */
static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* What ends a word outside of quotes: less than is passed over between words, as in Redis. */
static bool ends_word(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The byte that the escape at `line`, behind its backslash, stands for; *used: how long it is. */
static uint8_t take_escape(struct slice line, size_t *used)
{
    *used = 1;
    switch (line.at[0]) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'b':
        return '\b';
    case 'a':
        return '\a';
    case 'x':
        if (line.len >= 3 && hex_value(line.at[1]) >= 0 && hex_value(line.at[2]) >= 0) {
            *used = 3;
            return (uint8_t)(hex_value(line.at[1]) << 4 | hex_value(line.at[2]));
        }
    }
    return line.at[0];
}

/* Appends what stands in quotes at the front of `line`; returns the bytes passed, with both quotes,
 * or 0: no second quote, or something other than a space behind it. */
static size_t take_quoted(struct slice line, struct buf *out)
{
    uint8_t quote = line.at[0];
    size_t at = 1;

    for (; at < line.len && line.at[at] != quote; at++) {
        uint8_t byte = line.at[at];

        if (byte == '\\' && at + 1 < line.len && quote == '"') {
            size_t used;

            byte = take_escape(slice_from(line, at + 1), &used);
            at += used;
        } else if (byte == '\\' && at + 1 < line.len && line.at[at + 1] == '\'') {
            byte = '\'';
            at++;
        }
        buf_put(out, &byte, 1);
    }
    if (at == line.len || (at + 1 < line.len && !is_space(line.at[at + 1])))
        return 0;
    return at + 1;
}

/* A word in which there are quotes; returns the bytes passed, or 0.  `out` has room for all that
 * the line can stand for, so that slices of it stay. */
static size_t take_quoted_word(struct slice line, struct buf *out, struct slice *word)
{
    size_t at = 0, start = out->len;

    while (at < line.len && !ends_word(line.at[at])) {
        if (line.at[at] == '"' || line.at[at] == '\'') {
            size_t used = take_quoted(slice_from(line, at), out);

            if (used == 0)
                return 0;
            at += used;
            break;
        }
        buf_put(out, line.at + at++, 1);
    }
    *word = slice_of(out->at + start, out->len - start);
    return at;
}

/* Splits the line into args->at; false: quotes are not balanced. */
static bool split_line(struct slice line, struct resp_args *args)
{
    size_t at = 0;

    args->count = 0;
    buf_clear(&args->unescaped);
    if (line.len > 0)
        buf_reserve(&args->unescaped, line.len); /* once: slices point into it */
    for (;;) {
        size_t start;

        while (at < line.len && is_space(line.at[at]))
            at++;
        if (at == line.len)
            return true;
        if (args->count >= args->cap)
            resize_args(args, args->count + 1);
        start = at;
        while (at < line.len && !ends_word(line.at[at]) && line.at[at] != '"' &&
               line.at[at] != '\'')
            at++;
        args->at[args->count] = slice_of(line.at + start, at - start);
        if (at < line.len && !ends_word(line.at[at])) {
            size_t used =
                take_quoted_word(slice_from(line, start), &args->unescaped, &args->at[args->count]);

            if (used == 0)
                return false;
            at = start + used;
        }
        args->count++;
    }
}

static enum parse parse_inline(struct judge *j, struct resp_args *args, size_t *len)
{
    struct slice line = j->in;
    size_t max = (size_t)j->limits->max_inline_bytes + 1;
    size_t shown = line.len < max ? line.len : max;
    const uint8_t *end = NULL;

    if (j->progress->searched < shown)
        end = memchr(line.at + j->progress->searched, '\n', shown - j->progress->searched);
    if (end == NULL) {
        if (line.len >= max)
            return refuse(j->why, "Protocol error: too big inline request");
        j->progress->searched = (uint32_t)shown;
        return PARSE_MORE;
    }
    *len = (size_t)(end - line.at) + 1;
    line.len = *len - 1;
    if (line.len > 0 && line.at[line.len - 1] == '\r')
        line.len--;
    end = memchr(line.at, '\0', line.len); /* Redis sees no further */
    if (end != NULL)
        line.len = (size_t)(end - line.at);
    reserve_args(args, ARGS_FIRST_COUNT);
    if (!split_line(line, args))
        return refuse(j->why, "Protocol error: unbalanced quotes in request");
    return PARSE_DONE;
}

enum parse resp_request_parse(struct resp_progress *progress, struct slice in,
                              const struct resp_limits *limits, struct resp_args *args, size_t *len,
                              struct resp_problem *why)
{
    struct judge judge = { progress, in, limits, why };
    enum parse parse;

    assert(in.len >= progress->at && limits->max_request_bytes <= UINT32_MAX);
    if (in.len == 0 || in.len < progress->need)
        return PARSE_MORE;
    if (in.at[0] == '*')
        parse = parse_multibulk(&judge, args, len);
    else
        parse = parse_inline(&judge, args, len);
    if (parse != PARSE_MORE)
        *progress = (struct resp_progress){ 0 };
    return parse;
}
