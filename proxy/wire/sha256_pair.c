/* See sha256_pair.h.  A stream's state is OpenSSL's, which is public: words in the processor's
 * order, the number of bits, the beginning of a block.  Between two whole blocks others can lead
 * it on. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "proxy/wire/sha256_pair.h"

#include <assert.h>

#include "proxy/base/mem.h"
#include "proxy/wire/sha256_whole.h"

enum { ROOMS_BYTES = 2 * SHA256_PAIR_BYTES };

void sha256_pair_init(struct sha256_pair *pair, bool is_native)
{
    *pair = (struct sha256_pair){ .is_native = is_native };
}

void sha256_pair_fini(struct sha256_pair *pair)
{
    assert(pair->waiting == NULL);
    if (pair->rooms != NULL)
        mem_unmap(pair->rooms, ROOMS_BYTES);
    pair->rooms = NULL;
}

size_t sha256_pair_trim(struct sha256_pair *pair)
{
    bool had = pair->rooms != NULL;

    if (!pair->in_use && pair->waiting == NULL)
        sha256_pair_fini(pair);
    pair->in_use = false;
    return had && pair->rooms == NULL ? ROOMS_BYTES : 0;
}

uint8_t *sha256_pair_room(struct sha256_pair *pair)
{
    if (pair->rooms == NULL)
        pair->rooms = mem_map(ROOMS_BYTES);
    pair->in_use = true;
    return pair->rooms + (size_t)pair->room * SHA256_PAIR_BYTES;
}

/* ---- streams ---- */

void sha256_stream_init(struct sha256_stream *s)
{
    SHA256_Init(&s->state);
    s->pair = NULL;
}

/* Lets go of what waits. */
static struct slice stop_waiting(struct sha256_stream *s)
{
    struct sha256_pair *pair = s->pair;

    assert(pair->waiting == s);
    pair->waiting = NULL;
    s->pair = NULL;
    return pair->rest;
}

void sha256_stream_leave(struct sha256_stream *s)
{
    if (s->pair != NULL)
        (void)stop_waiting(s);
}

void sha256_stream_add(struct sha256_stream *s, struct slice bytes)
{
    if (s->pair != NULL) {
        struct slice rest = stop_waiting(s);

        SHA256_Update(&s->state, rest.at, rest.len);
    }
    SHA256_Update(&s->state, bytes.at, bytes.len);
}

void sha256_stream_tell(struct sha256_stream *s, uint8_t hash[SHA256_DIGEST_LENGTH])
{
    SHA256_CTX state;

    sha256_stream_add(s, (struct slice){ 0 });
    state = s->state;
    SHA256_Final(hash, &state);
}

/* ---- two of them ---- */

/* In the room that was free; the other is, from now on. */
static void wait_with(struct sha256_stream *s, struct sha256_pair *pair, struct slice rest)
{
    s->pair = pair;
    pair->waiting = s;
    pair->rest = rest;
    pair->room ^= 1;
}

/* Ends the block that was begun. */
static void fill_block(struct sha256_stream *s, struct slice *bytes)
{
    size_t lacks = (SHA256_WHOLE_BLOCK - s->state.num) % SHA256_WHOLE_BLOCK;
    size_t len = lacks < bytes->len ? lacks : bytes->len;

    SHA256_Update(&s->state, bytes->at, len);
    *bytes = slice_from(*bytes, len);
}

static void count(struct sha256_stream *s, size_t len)
{
    uint64_t bits = ((uint64_t)s->state.Nh << 32 | s->state.Nl) + (uint64_t)len * 8;

    s->state.Nl = (SHA_LONG)bits;
    s->state.Nh = (SHA_LONG)(bits >> 32);
}

/* As much as both have, from the front of each. */
static void hash_both(struct sha256_stream *s, struct slice *bytes, struct sha256_stream *other,
                      struct slice *rest)
{
    size_t len;

    fill_block(s, bytes);
    fill_block(other, rest);
    len = bytes->len < rest->len ? bytes->len : rest->len;
    len -= len % SHA256_WHOLE_BLOCK;
    if (len == 0)
        return;
    sha256_whole_two(s->state.h, bytes->at, other->state.h, rest->at, len / SHA256_WHOLE_BLOCK);
    count(s, len);
    count(other, len);
    *bytes = slice_from(*bytes, len);
    *rest = slice_from(*rest, len);
}

void sha256_stream_took(struct sha256_stream *s, struct sha256_pair *pair, size_t len)
{
    struct slice bytes = slice_of(sha256_pair_room(pair), len);

    assert(len <= SHA256_PAIR_BYTES && (s->pair == NULL || s->pair == pair));
    if (!pair->is_native) {
        sha256_stream_add(s, bytes);
        return;
    }
    if (s->pair != NULL)
        sha256_stream_add(s, (struct slice){ 0 });
    if (pair->waiting != NULL)
        hash_both(s, &bytes, pair->waiting, &pair->rest);
    if (pair->waiting != NULL && pair->rest.len < SHA256_WHOLE_BLOCK)
        sha256_stream_add(pair->waiting, (struct slice){ 0 });
    if (pair->waiting == NULL && bytes.len >= SHA256_WHOLE_BLOCK)
        wait_with(s, pair, bytes);
    else
        sha256_stream_add(s, bytes);
}
