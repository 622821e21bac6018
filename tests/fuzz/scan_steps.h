/* What the fuzzers of replies have in common: a scan that is shown its input little by little. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "proxy/base/parse.h"
#include "proxy/base/slice.h"

static inline void must(bool condition)
{
    if (!condition)
        abort();
}

typedef enum parse scan_f(void *scan, struct slice in, size_t *used);

/* Each piece ends where its memory does, at an odd place; *total is what was used. */
static inline enum parse scan_in_steps(scan_f *more, void *scan, struct slice in, size_t step,
                                       size_t *total)
{
    enum parse parse = PARSE_MORE;
    size_t shown = 0;

    *total = 0;
    while (parse == PARSE_MORE && shown < in.len) {
        uint8_t *copy;
        size_t used, len;

        shown = shown + step < in.len ? shown + step : in.len;
        len = shown - *total;
        copy = malloc(len + 1);
        memcpy(copy + 1, in.at + *total, len);
        parse = more(scan, slice_of(copy + 1, len), &used);
        free(copy);
        must(used <= len);
        *total += used;
    }
    return parse;
}
