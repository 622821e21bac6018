/* A request parsed at once, and the same bytes shown little by little, must give the same verdict,
 * and what was taken must be what it was made of. */
#include <stdlib.h>

#include "proxy/wire/resp_reply.h"
#include "proxy/wire/resp_request.h"
#include "proxy/wire/resp_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

struct verdict {
    enum parse parse;
    size_t len;
    struct resp_problem why;
    struct resp_progress progress;
};

/* A copy that is exactly as long as what is shown, so that a look beyond it is seen. */
static enum parse show(struct verdict *v, struct slice in, const struct resp_limits *limits,
                       struct resp_args *args)
{
    uint8_t *copy = malloc(in.len + 1);
    struct slice shown = { copy + 1, in.len };

    memcpy(copy + 1, in.at, in.len);
    v->parse = resp_request_parse(&v->progress, shown, limits, args, &v->len, &v->why);
    free(copy);
    return v->parse;
}

static void check_again(struct slice in, const struct verdict *v, const struct resp_args *args)
{
    struct resp_scan scan = { 0 };
    struct buf again = { 0 };
    size_t used;

    must(v->len > 0 && v->len <= in.len);
    resp_put_command(&again, args->at, args->count);
    if (in.at[0] == '*' && args->count > 0) {
        must(slice_is(buf_all(&again), slice_of(in.at, v->len)));
        must(resp_reply_scan(&scan, in, &used) == PARSE_DONE && used == v->len);
    }
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct resp_limits limits = { 8, 64, 100, 200, false };
    struct resp_args args = { 0 };
    struct slice in;
    size_t step;

    if (size < 1)
        return 0;
    if (at[0] & 0x80)
        limits = RESP_LIMITS_DEFAULT;
    limits.unauthenticated = at[0] & 0x40;
    step = 1 + (at[0] & 0x3f) / 4;
    for (in = slice_of(at + 1, size - 1); in.len > 0;) {
        struct verdict whole = { 0 }, parts = { 0 };

        if (resp_request_parse(&whole.progress, in, &limits, &args, &whole.len, &whole.why) ==
            PARSE_DONE)
            check_again(in, &whole, &args);
        show(&whole, in, &limits, &args);
        for (size_t n = step < in.len ? step : in.len;; n = n + step < in.len ? n + step : in.len)
            if (show(&parts, slice_of(in.at, n), &limits, &args) != PARSE_MORE || n == in.len)
                break;
        must(parts.parse == whole.parse);
        must(parts.parse != PARSE_MORE || parts.progress.need == whole.progress.need);
        must(parts.parse != PARSE_MORE || parts.progress.need == 0 || parts.progress.need > in.len);
        must(parts.parse != PARSE_DONE || parts.len == whole.len);
        must(parts.parse != PARSE_BAD || (strcmp(parts.why.text, whole.why.text) == 0 &&
                                          parts.why.request_bytes == whole.why.request_bytes));
        if (whole.parse != PARSE_DONE)
            break;
        in = slice_from(in, whole.len);
    }
    resp_args_fini(&args);
    return 0;
}
