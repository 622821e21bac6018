/* A text request parsed at once, and the same bytes shown little by little, must end alike, with
 * all slices inside what was shown. */
#include <stdlib.h>

#include "proxy/wire/memcached_text_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static const struct memcached_text_limits LIMITS = { .line_bytes = 4096, .value_bytes = 1024 };

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void must_lie_in(struct slice part, struct slice whole)
{
    must(part.len == 0 || (part.at >= whole.at && part.at + part.len <= whole.at + whole.len));
}

static void check_parts(const struct memcached_text_request *r, struct slice in)
{
    struct slice whole = slice_of(in.at, r->len), keys = r->keys, word;

    must(r->len > 0 && r->len <= in.len);
    must_lie_in(r->line, whole);
    must_lie_in(r->key, whole);
    must_lie_in(r->value, whole);
    must_lie_in(r->keys, whole);
    for (uint32_t i = 0; i < r->word_count; i++)
        must_lie_in(r->words[i], whole);
    must(r->error != NULL || r->verb != MEMCACHED_VERBS);
    must(r->skip == 0 || r->error != NULL);
    if (r->error == NULL && r->keys.len > 0)
        while (memcached_next_word(&keys, &word))
            must(word.len <= MEMCACHED_KEY_BYTES);
}

static void check_growing(struct slice in, size_t step, enum parse expected, size_t len)
{
    struct memcached_text_progress progress = { 0 };
    struct memcached_text_request r;
    enum parse parse = PARSE_MORE;
    size_t need = 0;

    for (size_t shown = 0; parse == PARSE_MORE && shown < in.len;) {
        uint8_t *copy;

        shown = shown + step < in.len ? shown + step : in.len;
        copy = malloc(shown);
        memcpy(copy, in.at, shown);
        parse = memcached_text_parse(&progress, slice_of(copy, shown), &LIMITS, &r, &need);
        must(parse != PARSE_MORE || need > shown);
        free(copy);
    }
    must(parse == expected);
    must(parse != PARSE_DONE || r.len == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct slice in;
    size_t step;

    if (size < 1)
        return 0;
    step = 1 + at[0] % 16;
    for (in = slice_of(at + 1, size - 1); in.len > 0;) {
        struct memcached_text_progress progress = { 0 };
        struct memcached_text_request r;
        size_t need = 0;
        enum parse parse = memcached_text_parse(&progress, in, &LIMITS, &r, &need);

        check_growing(in, step, parse, r.len);
        if (parse != PARSE_DONE)
            break;
        check_parts(&r, in);
        in = slice_from(in, r.len);
    }
    return 0;
}
