/* Tagged value: KEY '|' VERSION as 8 hex digits '|' and then 8-byte words that count on from a
 * number made of key and version. */
#include "bench/payload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAYLOAD_TAG_EXTRA = 10, PAYLOAD_SIZE_MAX = 512 << 20 };
#define PAYLOAD_STEP UINT64_C(0x9e3779b97f4a7c15)

/* A size such as 64, 4K, 1M; true if the whole text was one. */
static bool read_size(const char *text, size_t len, uint32_t *out)
{
    uint64_t number, unit = 1;

    if (len > 0 && strchr("kK", text[len - 1]) != NULL)
        unit = 1 << 10;
    else if (len > 0 && strchr("mM", text[len - 1]) != NULL)
        unit = 1 << 20;
    if (!slice_to_u64(slice_of(text, len - (unit > 1)), &number))
        return false;
    if (number > PAYLOAD_SIZE_MAX || number * unit > PAYLOAD_SIZE_MAX)
        return false;
    *out = (uint32_t)(number * unit);
    return true;
}

/* One `LOW[-HIGH][:WEIGHT]`. */
static enum err parse_size(struct payload_size *size, const char *text, size_t len)
{
    const char *colon = memchr(text, ':', len), *dash;
    uint64_t weight = 1;

    if (colon != NULL) {
        if (!slice_to_u64(slice_of(colon + 1, (size_t)(text + len - colon - 1)), &weight))
            return ERR_SYNTAX;
        len = (size_t)(colon - text);
    }
    if (weight == 0 || weight > 1000000)
        return ERR_RANGE;
    size->weight = (uint32_t)weight;
    dash = memchr(text, '-', len);
    if (!read_size(text, dash == NULL ? len : (size_t)(dash - text), &size->low))
        return ERR_SYNTAX;
    size->high = size->low;
    if (dash != NULL && !read_size(dash + 1, (size_t)(text + len - dash - 1), &size->high))
        return ERR_SYNTAX;
    return size->low <= size->high ? ERR_NONE : ERR_RANGE;
}

enum err payload_parse(struct payload *p, const char *text)
{
    p->count = p->total_weight = 0;
    for (const char *at = text;;) {
        size_t len = strcspn(at, ",");

        if (p->count == PAYLOAD_SIZES_MAX)
            return ERR_LIMIT;
        TRY(parse_size(&p->sizes[p->count], at, len));
        p->total_weight += p->sizes[p->count++].weight;
        if (at[len] == '\0')
            return ERR_NONE;
        at += len + 1;
    }
}

size_t payload_size(const struct payload *p, struct slice key, struct dice *dice)
{
    const struct payload_size *s = p->sizes;
    size_t size, tag = key.len + PAYLOAD_TAG_EXTRA;

    if (p->count > 1) {
        uint64_t at = dice_below(dice, p->total_weight);

        for (; at >= s->weight; s++)
            at -= s->weight;
    }
    size = s->low == s->high ? s->low : s->low + dice_below(dice, (uint64_t)s->high - s->low + 1);
    return p->tagged && size < tag ? tag : size;
}

static uint64_t first_word(struct slice key, uint32_t version)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ key.at[i]) * 0x100000001b3u;
    return (hash ^ version) * PAYLOAD_STEP;
}

static void put_words(uint8_t *at, size_t len, uint64_t word)
{
    for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word), word += PAYLOAD_STEP)
        memcpy(at, &word, sizeof(word));
    memcpy(at, &word, len);
}

static bool words_are(const uint8_t *at, size_t len, uint64_t word)
{
    for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word), word += PAYLOAD_STEP) {
        if (memcmp(at, &word, sizeof(word)) != 0)
            return false;
    }
    return len == 0 || memcmp(at, &word, len) == 0;
}

void payload_put(const struct payload *p, struct buf *out, struct slice key, uint32_t version,
                 size_t size)
{
    char digits[PAYLOAD_TAG_EXTRA + 1];

    if (p->tagged) {
        buf_slice(out, key);
        snprintf(digits, sizeof(digits), "|%08x|", version);
        buf_put(out, digits, PAYLOAD_TAG_EXTRA);
        size -= key.len + PAYLOAD_TAG_EXTRA;
    }
    put_words(buf_reserve(out, size), size, first_word(key, version));
    buf_grow(out, size);
}

bool payload_check(struct slice key, struct slice value, uint32_t *version)
{
    char digits[9] = { 0 };
    char *end = NULL;
    size_t tag = key.len + PAYLOAD_TAG_EXTRA;

    if (value.len < tag || !slice_starts(value, key) || value.at[key.len] != '|' ||
        value.at[tag - 1] != '|')
        return false;
    memcpy(digits, value.at + key.len + 1, 8);
    *version = (uint32_t)strtoul(digits, &end, 16);
    if (end != digits + 8)
        return false;
    return words_are(value.at + tag, value.len - tag, first_word(key, *version));
}
