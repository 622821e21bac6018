/* Bytes that belong to someone else: a place and a length.  Never owned, never terminated. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct slice {
    const uint8_t *at; /* borrowed */
    size_t len;
};

static inline struct slice slice_of(const void *at, size_t len)
{
    return (struct slice){ at, len };
}

static inline struct slice slice_text(const char *text)
{
    return (struct slice){ (const uint8_t *)text, strlen(text) };
}

static inline bool slice_is(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool slice_is_text(struct slice a, const char *text)
{
    return slice_is(a, slice_text(text));
}

/* Compares letters without case, ASCII only. */
static inline bool slice_is_word(struct slice a, const char *word)
{
    return a.len == strlen(word) && strncasecmp((const char *)a.at, word, a.len) == 0;
}

static inline bool slice_starts(struct slice a, struct slice start)
{
    return a.len >= start.len && (start.len == 0 || memcmp(a.at, start.at, start.len) == 0);
}

static inline struct slice slice_from(struct slice a, size_t offset)
{
    return (struct slice){ a.at + offset, a.len - offset };
}

/* A whole decimal number, with an optional '-'; false if it is anything else or does not fit. */
bool slice_to_i64(struct slice a, int64_t *out);
bool slice_to_u64(struct slice a, uint64_t *out);
