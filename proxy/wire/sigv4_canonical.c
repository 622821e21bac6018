/* See sigv4_canonical.h.  Room is asked for once a line and filled by a pointer: the lines are
 * short and there are many. */
#include "proxy/wire/sigv4_canonical.h"

#include <openssl/crypto.h>

#include "proxy/wire/http_date.h"

void sigv4_scratch_fini(struct sigv4_scratch *scratch)
{
    buf_fini(&scratch->canonical);
    buf_fini(&scratch->query);
    buf_fini(&scratch->names);
    OPENSSL_cleanse(scratch->starts, sizeof(scratch->starts));
    OPENSSL_cleanse(scratch->usuals, sizeof(scratch->usuals));
}

/* There mostly is room. */
static inline uint8_t *reserve(struct buf *b, size_t more)
{
    return b->cap - b->len >= more ? b->at + b->len : buf_reserve(b, more);
}

static inline uint8_t *put(uint8_t *to, struct slice s)
{
    if (s.len > 0)
        memcpy(to, s.at, s.len);
    return to + s.len;
}

static inline uint8_t *put_text(uint8_t *to, const char *text)
{
    return put(to, slice_text(text));
}

static inline uint8_t *put_byte(uint8_t *to, char byte)
{
    *to = (uint8_t)byte;
    return to + 1;
}

static uint8_t *put_hex(uint8_t *to, const uint8_t hash[DIGEST_SHA256_BYTES])
{
    digest_hex(slice_of(hash, DIGEST_SHA256_BYTES), (char *)to);
    return to + DIGEST_SHA256_HEX;
}

/* --- Times ------------------------------------------------------------------------------------ */

struct slice sigv4_time_write(struct sigv4_scratch *scratch, int64_t seconds)
{
    struct sigv4_moment *last = &scratch->written;

    if (last->text[0] == '\0' || last->seconds != seconds) {
        iso_basic_write(seconds, (uint8_t *)last->text);
        last->seconds = seconds;
    }
    return slice_of(last->text, SIGV4_TIME);
}

enum err sigv4_time_read(struct sigv4_scratch *scratch, struct slice text, int64_t *seconds)
{
    struct sigv4_moment *last = &scratch->read;

    if (text.len != SIGV4_TIME || memcmp(last->text, text.at, SIGV4_TIME) != 0) {
        TRY(iso_basic_read(text, &last->seconds));
        memcpy(last->text, text.at, SIGV4_TIME);
    }
    *seconds = last->seconds;
    return ERR_NONE;
}

/* --- The query -------------------------------------------------------------------------------- */

static int compare(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.at, b.at, len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool is_behind(const struct sigv4_param *a, const struct sigv4_param *b)
{
    int order = compare(a->name, b->name);

    return order != 0 ? order > 0 : compare(a->value, b->value) > 0;
}

/* They are mostly in order already; and at most 64. */
static void sort(struct sigv4_query *query)
{
    for (size_t i = 1; i < query->count; i++) {
        struct sigv4_param param = query->params[i];
        size_t at = i;

        for (; at > 0 && is_behind(&query->params[at - 1], &param); at--)
            query->params[at] = query->params[at - 1];
        query->params[at] = param;
    }
}

static enum err read_part(struct buf *b, struct slice encoded, struct slice *out)
{
    size_t before = b->len;

    TRY(uri_put_canonical(b, encoded, URI_KEEP_UNRESERVED));
    *out = slice_of(b->at + before, b->len - before);
    return ERR_NONE;
}

enum err sigv4_query_read(struct sigv4_scratch *scratch, struct slice query,
                          struct sigv4_query *out)
{
    struct uri_item items[URI_QUERY_MAX_ITEMS];
    struct slice name;

    out->count = 0;
    out->may_sign = false;
    buf_clear(&scratch->query);
    if (query.len == 0)
        return ERR_NONE;
    TRY(uri_query_split(query, items, URI_QUERY_MAX_ITEMS, &out->count));
    buf_reserve(&scratch->query,
                3 * query.len); /* all of it: so slices of it stay where they are */
    for (size_t i = 0; i < out->count; i++) {
        TRY(read_part(&scratch->query, items[i].name, &out->params[i].name));
        TRY(read_part(&scratch->query, items[i].value, &out->params[i].value));
        name = out->params[i].name;
        out->may_sign |= name.len > 0 && (name.at[0] == 'X' || name.at[0] == 'A');
    }
    sort(out);
    return ERR_NONE;
}

const struct slice *sigv4_query_value(const struct sigv4_query *query, const char *name)
{
    for (size_t i = 0; i < query->count; i++) {
        if (slice_is_text(query->params[i].name, name))
            return &query->params[i].value;
    }
    return NULL;
}

/* --- The canonical request -------------------------------------------------------------------- */

static void put_query(struct buf *b, const struct sigv4_query *query, const char *omit)
{
    bool is_first = true;

    for (size_t i = 0; i < query->count; i++) {
        const struct sigv4_param *param = &query->params[i];
        uint8_t *to;

        if (omit != NULL && slice_is_text(param->name, omit))
            continue;
        to = reserve(b, param->name.len + param->value.len + 2);
        if (!is_first)
            to = put_byte(to, '&');
        to = put_byte(put(to, param->name), '=');
        to = put(to, param->value);
        b->len = (size_t)(to - b->at);
        is_first = false;
    }
}

enum err sigv4_canonical_begin(struct sigv4_scratch *scratch, struct slice method,
                               struct slice path, bool path_is_plain,
                               const struct sigv4_query *query, const char *omit)
{
    struct buf *b = &scratch->canonical;

    buf_clear(b);
    buf_slice(b, method);
    buf_put(b, "\n", 1);
    if (path_is_plain)
        buf_slice(b, path);
    else
        TRY(uri_put_canonical(b, path.len == 0 ? slice_text("/") : path, URI_KEEP_SLASH));
    buf_put(b, "\n", 1);
    put_query(b, query, omit);
    buf_put(b, "\n", 1);
    return ERR_NONE;
}

void sigv4_canonical_name(struct sigv4_scratch *scratch, struct slice name)
{
    uint8_t *to = reserve(&scratch->canonical, name.len + 1);

    memcpy(to, name.at, name.len);
    to[name.len] = ':';
    buf_grow(&scratch->canonical, name.len + 1);
}

/* Eight letters at once, those that are capitals being found by a carry into their highest bits. */
static uint64_t lower_of(uint64_t eight)
{
    const uint64_t ones = 0x0101010101010101, highest = 0x80 * ones;
    uint64_t low = eight & ~highest;
    uint64_t capital =
        ((low + (0x80 - 'A') * ones) ^ (low + (0x7f - 'Z') * ones)) & ~eight & highest;

    return eight | capital >> 2;
}

uint8_t *sigv4_lower(struct slice name, uint8_t *to)
{
    size_t i = 0;

    for (; i + 8 <= name.len; i += 8) {
        uint64_t eight;

        memcpy(&eight, name.at + i, sizeof(eight));
        eight = lower_of(eight);
        memcpy(to + i, &eight, sizeof(eight));
    }
    for (; i < name.len; i++)
        to[i] = name.at[i] >= 'A' && name.at[i] <= 'Z' ? name.at[i] | 0x20 : name.at[i];
    return to + name.len;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* Copies sixteen bytes or more, looking at them; false: a blank is among them. */
static inline bool put_sixteens(uint8_t *to, struct slice value)
{
    int8_t wrong __attribute__((vector_size(16))) = { 0 };
    uint8_t bytes __attribute__((vector_size(16)));
    size_t last = value.len - 16;
    uint64_t halves[2];

    for (size_t i = 0; i < last; i += 16) {
        memcpy(&bytes, value.at + i, sizeof(bytes));
        memcpy(to + i, &bytes, sizeof(bytes));
        wrong |= (bytes == ' ') | (bytes == '\t');
    }
    memcpy(&bytes, value.at + last, sizeof(bytes));
    memcpy(to + last, &bytes, sizeof(bytes));
    wrong |= (bytes == ' ') | (bytes == '\t');
    memcpy(halves, &wrong, sizeof(halves));
    return (halves[0] | halves[1]) == 0;
}

/* The same of eight to sixteen. */
static inline bool put_eights(uint8_t *to, struct slice value)
{
    uint8_t bytes __attribute__((vector_size(16)));
    int8_t wrong __attribute__((vector_size(16)));
    uint64_t halves[2];

    memcpy(&halves[0], value.at, 8);
    memcpy(&halves[1], value.at + value.len - 8, 8);
    memcpy(to, &halves[0], 8);
    memcpy(to + value.len - 8, &halves[1], 8);
    memcpy(&bytes, halves, sizeof(bytes));
    wrong = (bytes == ' ') | (bytes == '\t');
    memcpy(halves, &wrong, sizeof(halves));
    return (halves[0] | halves[1]) == 0;
}

/* Copies a value, looking at it on the way; false: it has a blank, and is not copied whole. */
static inline bool put_blank_free(uint8_t *to, struct slice value)
{
    if (value.len >= 16)
        return put_sixteens(to, value);
    if (value.len >= 8)
        return put_eights(to, value);
    for (size_t i = 0; i < value.len; i++) {
        if (is_blank(value.at[i]))
            return false;
        to[i] = value.at[i];
    }
    return true;
}

static uint8_t *put_collapsed(uint8_t *to, struct slice value)
{
    const uint8_t *start = to;
    bool is_due = false; /* a blank, if more comes */

    for (size_t i = 0; i < value.len; i++) {
        if (is_blank(value.at[i])) {
            is_due = to != start;
            continue;
        }
        if (is_due)
            to = put_byte(to, ' ');
        is_due = false;
        *to++ = value.at[i];
    }
    return to;
}

static inline uint8_t *put_value(uint8_t *to, struct slice value)
{
    return put_blank_free(to, value) ? to + value.len : put_collapsed(to, value);
}

void sigv4_canonical_field(struct sigv4_scratch *scratch, enum http1_name name, struct slice value)
{
    const struct http1_name_text *text = &http1_name_texts[name];
    struct buf *b = &scratch->canonical;
    uint8_t *to = reserve(b, HTTP1_NAME_ROOM + value.len + 2);

    memcpy(to, text->at, HTTP1_NAME_ROOM);
    to = put_byte(to + text->len, ':');
    to = put_byte(put_value(to, value), '\n');
    b->len = (size_t)(to - b->at);
}

void sigv4_canonical_value(struct sigv4_scratch *scratch, struct slice value, bool is_last)
{
    struct buf *b = &scratch->canonical;
    uint8_t *to = put_value(reserve(b, value.len + 1), value);

    to = put_byte(to, is_last ? '\n' : ',');
    b->len = (size_t)(to - b->at);
}

void sigv4_canonical_last(struct sigv4_scratch *scratch, struct slice names, struct slice payload)
{
    struct buf *b = &scratch->canonical;
    uint8_t *to = reserve(b, names.len + payload.len + 2);

    to = put_byte(to, '\n');
    to = put(to, names);
    to = put_byte(to, '\n');
    to = put(to, payload);
    b->len = (size_t)(to - b->at);
}

void sigv4_canonical_end(struct sigv4_scratch *scratch, struct slice names, struct slice payload,
                         uint8_t hash[DIGEST_SHA256_BYTES])
{
    sigv4_canonical_last(scratch, names, payload);
    digest_sha256(buf_all(&scratch->canonical), hash);
}

/* --- What is signed --------------------------------------------------------------------------- */

static inline uint8_t *put_start(uint8_t *to, const char *algorithm, struct slice time,
                                 struct slice scope)
{
    to = put_byte(put_text(to, algorithm), '\n');
    to = put_byte(put(to, time), '\n');
    return put_byte(put(to, scope), '\n');
}

size_t sigv4_string_begin(struct slice time, struct slice scope, char out[SIGV4_STRING_MOST])
{
    return (size_t)(put_start((uint8_t *)out, "AWS4-HMAC-SHA256", time, scope) - (uint8_t *)out);
}

size_t sigv4_string_write(struct slice time, struct slice scope,
                          const uint8_t hash[DIGEST_SHA256_BYTES], char out[SIGV4_STRING_MOST])
{
    uint8_t *to = (uint8_t *)out + sigv4_string_begin(time, scope, out);

    return (size_t)(put_hex(to, hash) - (uint8_t *)out);
}

void sigv4_string_sign(struct sigv4_scratch *scratch, const struct hmac_sha256 *key,
                       struct slice string, char signature[DIGEST_SHA256_HEX])
{
    uint8_t digest[DIGEST_SHA256_BYTES];

    hmac_sha256_of_start(key, &scratch->starts[key->inner.h[0] % SIGV4_STARTS], string, digest);
    digest_hex(slice_of(digest, sizeof(digest)), signature);
}

/* `between`: what stands before the hash, and ends its line. */
static void sign_further(const struct sigv4_seed *seed, const char *algorithm, const char *between,
                         const uint8_t hash[DIGEST_SHA256_BYTES], char signature[DIGEST_SHA256_HEX])
{
    uint8_t digest[DIGEST_SHA256_BYTES];
    uint8_t string[SIGV4_STRING_MOST + 2 * (DIGEST_SHA256_HEX + 1) + sizeof("-PAYLOAD")],
        *to = string;

    to = put_start(to, algorithm, slice_of(seed->time, SIGV4_TIME),
                   slice_of(seed->scope, seed->scope_len));
    to = put_byte(put(to, slice_of(seed->signature, DIGEST_SHA256_HEX)), '\n');
    to = put_text(to, between);
    to = put_hex(to, hash);
    hmac_sha256_of(&seed->key, slice_of(string, (size_t)(to - string)), digest);
    digest_hex(slice_of(digest, sizeof(digest)), signature);
}

void sigv4_string_sign_chunk(const struct sigv4_seed *seed, const uint8_t hash[DIGEST_SHA256_BYTES],
                             char signature[DIGEST_SHA256_HEX])
{
    char between[DIGEST_SHA256_HEX + 2];

    memcpy(between, DIGEST_OF_NOTHING, DIGEST_SHA256_HEX);
    memcpy(between + DIGEST_SHA256_HEX, "\n", sizeof("\n"));
    sign_further(seed, "AWS4-HMAC-SHA256-PAYLOAD", between, hash, signature);
}

void sigv4_string_sign_trailers(const struct sigv4_seed *seed,
                                const uint8_t hash[DIGEST_SHA256_BYTES],
                                char signature[DIGEST_SHA256_HEX])
{
    sign_further(seed, "AWS4-HMAC-SHA256-TRAILER", "", hash, signature);
}
