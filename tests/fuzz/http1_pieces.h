/* What the fuzzers of HTTP/1.1 have in common. */
#pragma once

#include <stdlib.h>

#include "tests/unit/proxy/wire/http1_oracle.h"

static inline void must(bool condition)
{
    if (!condition)
        abort();
}

/* Just as long as what is shown, so that a look beyond it is seen. */
static inline uint8_t *copy_of(struct slice in)
{
    uint8_t *copy = malloc(in.len > 0 ? in.len : 1);

    must(copy != NULL);
    if (in.len > 0)
        memcpy(copy, in.at, in.len);
    return copy;
}

static struct http1_lines lines_found; /* by the last search */

static inline enum parse search_shown(struct http1_search *search, struct slice in, size_t max,
                                      size_t *len, enum http1_refusal *why)
{
    uint8_t *copy = copy_of(in);
    enum parse found = http1_search(search, slice_of(copy, in.len), max, len, &lines_found, why);

    free(copy);
    return found;
}

/* Where the head ends: the same at once and in pieces.  `how`: their length, and the limit. */
static inline enum parse search_pieces(struct slice in, uint8_t how, size_t *len,
                                       enum http1_refusal *why)
{
    size_t step = 1 + how / 8, max = how & 4 ? 200 : HTTP1_HEAD_MAX_BYTES, piece_len = 0;
    enum http1_refusal piece_why = HTTP1_REFUSAL_NONE;
    struct http1_search search = { 0 };
    enum parse found, piece = PARSE_MORE;

    for (size_t n = 0; piece == PARSE_MORE; n = n + step < in.len ? n + step : in.len) {
        piece = search_shown(&search, slice_of(in.at, n), max, &piece_len, &piece_why);
        if (n == in.len)
            break;
    }
    search = (struct http1_search){ 0 };
    found = search_shown(&search, in, max, len, why);
    must(piece == found);
    must(found != PARSE_DONE || (piece_len == *len && *len <= max && *len <= in.len));
    must(found != PARSE_BAD || piece_why == *why);
    must(found != PARSE_MORE || in.len < max);
    return found;
}

/* Is the name of the field what lies in the head, or (of responses) the table's? */
static inline bool is_named(struct slice head, const struct http1_field *field)
{
    return field->name.at == http1_name_texts[field->known].at ||
           (field->name.at > head.at && field->value.at > field->name.at + field->name.len);
}

/* Each field lies in the head and is found in the row of its name. */
static inline void check_fields(struct slice head, const struct http1_head *h)
{
    unsigned seen = 0;

    must(h->field_count <= HTTP1_FIELDS_MAX);
    for (unsigned name = 0; name < HTTP1_NAME_COUNT; name++) {
        const struct http1_field *field = http1_field_find(h, (enum http1_name)name);

        for (; field != NULL; field = http1_field_next(h, field), seen++) {
            must(field >= h->fields && field < h->fields + h->field_count);
            must(field->known == name && http1_name_of(field->name) == name);
            must(field->name.len > 0 && is_named(head, field));
            must(field->value.at > head.at);
            must(field->value.at + field->value.len <= head.at + head.len - 4);
        }
    }
    must(seen == h->field_count);
    must(h->length <= INT64_MAX && (h->has_length || h->length == 0));
}

static inline bool heads_are_alike(const struct http1_head *a, const struct http1_head *b)
{
    if (a->field_count != b->field_count || a->keep_alive != b->keep_alive ||
        a->framing != b->framing || a->length != b->length)
        return false;
    for (unsigned i = 0; i < a->field_count; i++) {
        if (!slice_is(a->fields[i].name, b->fields[i].name) ||
            !slice_is(a->fields[i].value, b->fields[i].value))
            return false;
    }
    return true;
}
