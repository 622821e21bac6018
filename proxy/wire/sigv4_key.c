/* See sigv4_key.h.  A key belongs into one set of places, by a hash of what it is made of; in a set
 * the one that was not used for the longest time makes room.  Secrets are kept beside their keys
 * and compared whole, so a configuration that changed a secret needs to tell nobody. */
#include "proxy/wire/sigv4_key.h"

#include <assert.h>
#include <stdlib.h>

#include <openssl/crypto.h>
#include <xxhash.h>

#include "proxy/base/mem.h"

enum { WAYS = 4, SETS = SIGV4_KEYS / WAYS };

struct place {
    uint64_t used; /* by the cache's clock; 0: empty */
    uint8_t secret_len, region_len;
    char date[SIGV4_DATE];
    uint8_t secret[SIGV4_SECRET_MOST], region[SIGV4_REGION_MOST];
    struct hmac_sha256 key;
};

struct sigv4_keys {
    uint64_t clock;
    struct place *last; /* that was found: mostly the next, too */
    struct place places[SETS][WAYS];
};

static void hmac_of(struct slice key, struct slice text, uint8_t out[SHA256_DIGEST_LENGTH])
{
    struct hmac_sha256 h;

    hmac_sha256_begin(&h, key);
    hmac_sha256_of(&h, text, out);
    OPENSSL_cleanse(&h, sizeof(h));
}

void sigv4_key_make(struct slice secret, struct slice date, struct slice region,
                    struct slice service, struct hmac_sha256 *out)
{
    struct hmac_sha256 first;
    uint8_t key[SHA256_DIGEST_LENGTH], next[SHA256_DIGEST_LENGTH];
    static const uint8_t before[] = { 'A', 'W', 'S', '4' };
    uint8_t start[sizeof(before) + SIGV4_SECRET_MOST];
    size_t len = sizeof(before) + secret.len;

    assert(secret.len <= SIGV4_SECRET_MOST);
    memcpy(start, before, sizeof(before));
    if (secret.len > 0)
        memcpy(start + sizeof(before), secret.at, secret.len);
    hmac_sha256_begin(&first, slice_of(start, len));
    hmac_sha256_add(&first, date);
    hmac_sha256_end(&first, key);
    hmac_of(slice_of(key, sizeof(key)), region, next);
    hmac_of(slice_of(next, sizeof(next)), service, key);
    hmac_of(slice_of(key, sizeof(key)), slice_text("aws4_request"), next);
    hmac_sha256_begin(out, slice_of(next, sizeof(next)));
    OPENSSL_cleanse(start, sizeof(start));
    OPENSSL_cleanse(key, sizeof(key));
    OPENSSL_cleanse(next, sizeof(next));
}

struct sigv4_keys *sigv4_keys_new(void)
{
    return mem_new(sizeof(struct sigv4_keys));
}

void sigv4_keys_free(struct sigv4_keys **keys)
{
    if (*keys != NULL)
        OPENSSL_cleanse(*keys, sizeof(**keys));
    free(*keys);
    *keys = NULL;
}

static struct place *set_of(struct sigv4_keys *keys, struct slice secret, struct slice date,
                            struct slice region)
{
    XXH64_hash_t hash = XXH3_64bits_withSeed(region.at, region.len, date.at[SIGV4_DATE - 1]);

    return keys->places[XXH3_64bits_withSeed(secret.at, secret.len, hash) % SETS];
}

static bool place_is(const struct place *p, struct slice secret, struct slice date,
                     struct slice region)
{
    return p->used != 0 && memcmp(p->date, date.at, SIGV4_DATE) == 0 &&
           slice_is(slice_of(p->region, p->region_len), region) &&
           slice_is(slice_of(p->secret, p->secret_len), secret);
}

static const struct hmac_sha256 *look(struct sigv4_keys *keys, struct place *set,
                                      struct slice secret, struct slice date, struct slice region)
{
    for (size_t way = 0; way < WAYS; way++) {
        if (place_is(&set[way], secret, date, region)) {
            set[way].used = ++keys->clock;
            keys->last = &set[way];
            return &set[way].key;
        }
    }
    return NULL;
}

static const struct hmac_sha256 *look_at_last(struct sigv4_keys *keys, struct slice secret,
                                              struct slice date, struct slice region)
{
    if (keys->last == NULL || !place_is(keys->last, secret, date, region))
        return NULL;
    keys->last->used = ++keys->clock;
    return &keys->last->key;
}

static const struct hmac_sha256 *keep(struct sigv4_keys *keys, struct place *set,
                                      struct slice secret, struct slice date, struct slice region,
                                      const struct hmac_sha256 *made)
{
    struct place *p = set;

    for (size_t way = 1; way < WAYS; way++) {
        if (set[way].used < p->used)
            p = &set[way];
    }
    OPENSSL_cleanse(p, sizeof(*p));
    p->used = ++keys->clock;
    p->secret_len = (uint8_t)secret.len;
    p->region_len = (uint8_t)region.len;
    memcpy(p->date, date.at, SIGV4_DATE);
    if (secret.len > 0)
        memcpy(p->secret, secret.at, secret.len);
    if (region.len > 0)
        memcpy(p->region, region.at, region.len);
    p->key = *made;
    return &p->key;
}

static void check_bounds(struct slice secret, struct slice date, struct slice region)
{
    assert(secret.len <= SIGV4_SECRET_MOST);
    assert(date.len == SIGV4_DATE);
    assert(region.len <= SIGV4_REGION_MOST);
}

const struct hmac_sha256 *sigv4_keys_get(struct sigv4_keys *keys, struct slice secret,
                                         struct slice date, struct slice region)
{
    struct hmac_sha256 made;
    struct place *set;
    const struct hmac_sha256 *key;

    check_bounds(secret, date, region);
    key = look_at_last(keys, secret, date, region);
    if (key != NULL)
        return key;
    set = set_of(keys, secret, date, region);
    key = look(keys, set, secret, date, region);
    if (key != NULL)
        return key;
    sigv4_key_make(secret, date, region, slice_text("s3"), &made);
    key = keep(keys, set, secret, date, region, &made);
    OPENSSL_cleanse(&made, sizeof(made));
    return key;
}

const struct hmac_sha256 *sigv4_keys_find(struct sigv4_keys *keys, struct slice secret,
                                          struct slice date, struct slice region,
                                          struct hmac_sha256 *made)
{
    const struct hmac_sha256 *key;

    check_bounds(secret, date, region);
    key = look_at_last(keys, secret, date, region);
    if (key == NULL)
        key = look(keys, set_of(keys, secret, date, region), secret, date, region);
    if (key != NULL)
        return key;
    sigv4_key_make(secret, date, region, slice_text("s3"), made);
    return made;
}

void sigv4_keys_keep(struct sigv4_keys *keys, struct slice secret, struct slice date,
                     struct slice region, const struct hmac_sha256 *made)
{
    check_bounds(secret, date, region);
    keep(keys, set_of(keys, secret, date, region), secret, date, region, made);
}
