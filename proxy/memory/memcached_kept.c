/* See memcached_kept.h. */
#include "proxy/memory/memcached_kept.h"

#include <openssl/sha.h>
#include <string.h>

static const uint8_t MARK[] = { 0xf5, 'm', 'c', 0x01 };

enum { FLAGS_AT = sizeof(MARK), CAS_AT = FLAGS_AT + MEMCACHED_KEPT_FLAGS_BYTES };

uint64_t memcached_kept_number(struct slice bytes)
{
    uint64_t number = 0;

    for (size_t i = 0; i < bytes.len; i++)
        number = number << 8 | bytes.at[i];
    return number;
}

void memcached_kept_put_number(uint8_t *at, uint64_t number, size_t len)
{
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)(number >> (8 * (len - 1 - i)));
}

struct memcached_kept memcached_kept_read(struct slice bytes, bool wants_cas)
{
    struct memcached_kept kept = { .value = bytes };
    uint8_t digest[SHA_DIGEST_LENGTH];

    if (bytes.len >= MEMCACHED_KEPT_HEAD_BYTES && memcmp(bytes.at, MARK, sizeof(MARK)) == 0) {
        kept.value = slice_from(bytes, MEMCACHED_KEPT_HEAD_BYTES);
        kept.flags = (uint32_t)memcached_kept_number(
            slice_of(bytes.at + FLAGS_AT, MEMCACHED_KEPT_FLAGS_BYTES));
        kept.cas = memcached_kept_number(slice_of(bytes.at + CAS_AT, MEMCACHED_KEPT_CAS_BYTES));
    } else if (wants_cas) {
        SHA1(bytes.at, bytes.len, digest);
        kept.cas = memcached_kept_number(slice_of(digest, MEMCACHED_KEPT_CAS_BYTES)) & INT64_MAX;
    }
    return kept;
}

void memcached_kept_put_head(uint8_t head[MEMCACHED_KEPT_HEAD_BYTES], uint32_t flags, uint64_t cas)
{
    memcpy(head, MARK, sizeof(MARK));
    memcached_kept_put_number(head + FLAGS_AT, flags, MEMCACHED_KEPT_FLAGS_BYTES);
    memcached_kept_put_number(head + CAS_AT, cas, MEMCACHED_KEPT_CAS_BYTES);
}
