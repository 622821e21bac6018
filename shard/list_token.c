/* See list_token.h.  Raw, before the letters:
 *
 *     kind and version   1 byte    a list token is 0x1v, an upload token 0x2v
 *     epoch              8 bytes   big-endian
 *     detail             4 bytes   list: 1 if the last item was a prefix; upload: the shard
 *     name or id         the rest but
 *     check              4 bytes   the low half of XXH3 with the seed over all before
 */
#include "shard/list_token.h"

#include <assert.h>
#include <xxhash.h>

#include "shard/url64.h"

enum {
    TOKEN_LIST = 0x10,
    TOKEN_UPLOAD = 0x20,
    TOKEN_VERSION = 1,
    HEAD_BYTES = 1 + 8 + 4,
    CHECK_BYTES = 4,
    RAW_BYTES = HEAD_BYTES + LIST_TOKEN_NAME_BYTES + CHECK_BYTES, /* no token has more */
};

struct token {
    uint8_t kind;
    uint64_t epoch;
    uint32_t detail;
    struct slice text;
};

static void put_number(uint8_t *at, uint64_t number, size_t bytes)
{
    for (size_t i = bytes; i-- > 0; number >>= 8)
        at[i] = (uint8_t)number;
}

static uint64_t take_number(const uint8_t *at, size_t bytes)
{
    uint64_t number = 0;

    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | at[i];
    return number;
}

static uint32_t check_of(struct slice raw, uint64_t seed)
{
    return (uint32_t)XXH3_64bits_withSeed(raw.at, raw.len, seed);
}

static void token_write(const struct token *token, uint64_t seed, struct buf *out)
{
    uint8_t raw[RAW_BYTES];
    size_t len = HEAD_BYTES + token->text.len;

    assert(len + CHECK_BYTES <= sizeof(raw));
    raw[0] = token->kind | TOKEN_VERSION;
    put_number(raw + 1, token->epoch, 8);
    put_number(raw + 9, token->detail, 4);
    if (token->text.len > 0)
        memcpy(raw + HEAD_BYTES, token->text.at, token->text.len);
    put_number(raw + len, check_of(slice_of(raw, len), seed), CHECK_BYTES);
    url64_encode(slice_of(raw, len + CHECK_BYTES), out);
}

/* The check comes first: what is garbled is not taken for a later version. */
static enum err token_read(struct slice text, uint8_t kind, uint64_t seed, struct arena *arena,
                           struct token *out)
{
    uint8_t raw[RAW_BYTES + 4];
    size_t len;

    if (URL64_RAW(text.len) > sizeof(raw))
        return ERR_SYNTAX;
    TRY(url64_decode(text, raw, &len));
    if (len <= HEAD_BYTES + CHECK_BYTES || len > RAW_BYTES)
        return ERR_SYNTAX;
    len -= CHECK_BYTES;
    if (take_number(raw + len, CHECK_BYTES) != check_of(slice_of(raw, len), seed))
        return ERR_SYNTAX;
    if ((raw[0] & 0xF0) != kind)
        return ERR_SYNTAX;
    if ((raw[0] & 0x0F) != TOKEN_VERSION)
        return ERR_UNSUPPORTED;
    *out =
        (struct token){ .kind = kind,
                        .epoch = take_number(raw + 1, 8),
                        .detail = (uint32_t)take_number(raw + 9, 4),
                        .text = arena_copy(arena, slice_of(raw + HEAD_BYTES, len - HEAD_BYTES)) };
    return ERR_NONE;
}

void list_token_write(const struct list_token *token, uint64_t seed, struct buf *out)
{
    struct token raw = {
        .kind = TOKEN_LIST, .epoch = token->epoch, .detail = token->is_prefix, .text = token->name
    };

    assert(token->name.len > 0 && token->name.len <= LIST_TOKEN_NAME_BYTES);
    token_write(&raw, seed, out);
}

enum err list_token_read(struct slice text, uint64_t seed, struct arena *arena,
                         struct list_token *out)
{
    struct token raw;

    TRY(token_read(text, TOKEN_LIST, seed, arena, &raw));
    if (raw.detail > 1)
        return ERR_SYNTAX;
    *out =
        (struct list_token){ .epoch = raw.epoch, .is_prefix = raw.detail == 1, .name = raw.text };
    return ERR_NONE;
}

void upload_token_write(const struct upload_token *token, uint64_t seed, struct buf *out)
{
    struct token raw = {
        .kind = TOKEN_UPLOAD, .epoch = token->epoch, .detail = token->shard, .text = token->id
    };

    assert(token->id.len > 0 && token->id.len <= UPLOAD_TOKEN_ID_BYTES);
    token_write(&raw, seed, out);
}

enum err upload_token_read(struct slice text, uint64_t seed, uint32_t shards, struct arena *arena,
                           struct upload_token *out)
{
    struct token raw;

    TRY(token_read(text, TOKEN_UPLOAD, seed, arena, &raw));
    if (raw.text.len > UPLOAD_TOKEN_ID_BYTES)
        return ERR_SYNTAX;
    if (raw.detail >= shards)
        return ERR_RANGE;
    *out = (struct upload_token){ .epoch = raw.epoch, .shard = raw.detail, .id = raw.text };
    return ERR_NONE;
}
