/* See stamp.h.  The pool's name is written with %XX for all but letters, digits, '.', '_', '-' and
 * bytes above 0x7f; so the line has neither quotes nor doubtful spaces.  A text is a stamp if and
 * only if writing what was read gives it again: reading itself can then be plain. */
#include "shard/stamp.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

static const char START[] = "sheaf-stamp ";

static bool is_plain(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-' || byte > 0x7f;
}

static bool is_control(uint8_t byte)
{
    return byte < 0x20 || byte == 0x7f;
}

enum err stamp_expect(struct stamp *out, const char *pool, const struct shard_map *map,
                      uint32_t index, uint64_t epoch)
{
    struct stamp stamp = {
        .index = index,
        .count = shard_map_count(map),
        .map = shard_map_digest(map),
        .epoch = epoch,
    };
    size_t len = strlen(pool);

    assert(index < stamp.count);
    if (len == 0 || len >= sizeof(stamp.pool))
        return ERR_RANGE;
    for (size_t i = 0; i < len; i++)
        if (is_control((uint8_t)pool[i]))
            return ERR_RANGE;
    memcpy(stamp.pool, pool, len);
    snprintf(stamp.hash, sizeof(stamp.hash), "%s", shard_map_hash_name(map));
    snprintf(stamp.distribution, sizeof(stamp.distribution), "%s",
             shard_map_distribution_name(map));
    *out = stamp;
    return ERR_NONE;
}

void stamp_write(const struct stamp *stamp, struct buf *out)
{
    buf_format(out, "%s1 pool=", START);
    for (const char *at = stamp->pool; *at != '\0'; at++)
        if (is_plain((uint8_t)*at))
            buf_put(out, at, 1);
        else
            buf_format(out, "%%%02X", (uint8_t)*at);
    buf_format(out, " shard=%" PRIu32 "/%" PRIu32 " hash=%s distribution=%s", stamp->index,
               stamp->count, stamp->hash, stamp->distribution);
    buf_format(out, " map=%016" PRIx64 " epoch=%" PRIu64, stamp->map, stamp->epoch);
}

/* Takes what is before `end` off `*rest`, and `end` too; all of it if `end` is 0. */
static bool take_until(struct slice *rest, char end, struct slice *out)
{
    const uint8_t *at = end != 0 ? memchr(rest->at, end, rest->len) : rest->at + rest->len;

    if (at == NULL)
        return false;
    *out = slice_of(rest->at, (size_t)(at - rest->at));
    *rest = slice_from(*rest, out->len + (end != 0));
    return true;
}

static bool take_start(struct slice *rest, const char *start)
{
    if (!slice_starts(*rest, slice_text(start)))
        return false;
    *rest = slice_from(*rest, strlen(start));
    return true;
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

static bool read_pool(struct slice text, char out[STAMP_POOL_BYTES])
{
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        int byte = text.at[i];

        if (byte == '%') {
            if (text.len - i < 3 || hex_digit(text.at[i + 1]) < 0 || hex_digit(text.at[i + 2]) < 0)
                return false;
            byte = hex_digit(text.at[i + 1]) << 4 | hex_digit(text.at[i + 2]);
            i += 2;
        }
        if (is_control((uint8_t)byte) || len + 1 >= STAMP_POOL_BYTES)
            return false;
        out[len++] = (char)byte;
    }
    return len > 0;
}

/* The name of a hash or a distribution. */
static bool read_word(struct slice text, char out[STAMP_WORD_BYTES])
{
    if (text.len == 0 || text.len >= STAMP_WORD_BYTES)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.at[i];

        if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') && byte != '_')
            return false;
    }
    memcpy(out, text.at, text.len);
    return true;
}

static bool read_u32(struct slice text, uint32_t *out)
{
    uint64_t number;

    if (!slice_to_u64(text, &number) || number > UINT32_MAX)
        return false;
    *out = (uint32_t)number;
    return true;
}

static bool read_hex(struct slice text, uint64_t *out)
{
    uint64_t number = 0;

    if (text.len != 16)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (hex_digit(text.at[i]) < 0)
            return false;
        number = number << 4 | (uint64_t)hex_digit(text.at[i]);
    }
    *out = number;
    return true;
}

static bool read_fields(struct slice rest, struct stamp *out)
{
    struct slice pool, index, count, hash, distribution, map, epoch;

    return take_start(&rest, "pool=") && take_until(&rest, ' ', &pool) &&
           take_start(&rest, "shard=") && take_until(&rest, '/', &index) &&
           take_until(&rest, ' ', &count) && take_start(&rest, "hash=") &&
           take_until(&rest, ' ', &hash) && take_start(&rest, "distribution=") &&
           take_until(&rest, ' ', &distribution) && take_start(&rest, "map=") &&
           take_until(&rest, ' ', &map) && take_start(&rest, "epoch=") &&
           take_until(&rest, 0, &epoch) && read_pool(pool, out->pool) &&
           read_u32(index, &out->index) && read_u32(count, &out->count) &&
           read_word(hash, out->hash) && read_word(distribution, out->distribution) &&
           read_hex(map, &out->map) && slice_to_u64(epoch, &out->epoch) && out->index < out->count;
}

enum err stamp_read(struct slice text, struct stamp *out)
{
    struct stamp stamp = { 0 };
    struct slice rest = text, version;
    struct buf again = { 0 };
    uint64_t number;
    bool same;

    if (text.len > STAMP_TEXT_BYTES || !take_start(&rest, START) ||
        !take_until(&rest, ' ', &version) || !slice_to_u64(version, &number))
        return ERR_SYNTAX;
    if (number > 1)
        return ERR_UNSUPPORTED;
    if (!read_fields(rest, &stamp))
        return ERR_SYNTAX;
    stamp_write(&stamp, &again);
    same = slice_is(buf_all(&again), text);
    buf_fini(&again);
    if (!same)
        return ERR_SYNTAX;
    *out = stamp;
    return ERR_NONE;
}

/* What to do about it; the first difference that holds is the one that explains the most. */
static const char *advice(const struct stamp *expected, const struct stamp *found)
{
    if (strcmp(expected->pool, found->pool) != 0)
        return "It is another pool's server, or the pool was renamed: correct the shard line or "
               "the "
               "name of the pool";
    if (found->count != expected->count)
        return "Adding or removing a shard would make data unreachable: restore the list of "
               "shards, "
               "or move the data first";
    if (found->index != expected->index)
        return "The shard lines have changed places: put them back in order";
    if (strcmp(expected->hash, found->hash) != 0 ||
        strcmp(expected->distribution, found->distribution) != 0)
        return "Its data was placed another way: restore the hash and the distribution";
    if (expected->map != found->map)
        return "A weight, the hash tag or, where the distribution places by it, the name or "
               "address "
               "of a shard has changed: restore it";
    if (found->epoch > expected->epoch)
        return "The map has changed since: take the newer configuration";
    return "It missed a change of the map, as after restoring an old copy of its data: bring the "
           "data "
           "up to date";
}

static void put_stamp(const struct stamp *stamp, struct buf *out)
{
    buf_format(out, "shard %" PRIu32 " of %" PRIu32 " of pool \"%s\" (hash %s, distribution %s, ",
               stamp->index, stamp->count, stamp->pool, stamp->hash, stamp->distribution);
    buf_format(out, "map %016" PRIx64 ", epoch %" PRIu64 ")", stamp->map, stamp->epoch);
}

bool stamp_agrees(const struct stamp *expected, const struct stamp *found, struct buf *why)
{
    if (strcmp(expected->pool, found->pool) == 0 && expected->index == found->index &&
        expected->count == found->count && strcmp(expected->hash, found->hash) == 0 &&
        strcmp(expected->distribution, found->distribution) == 0 && expected->map == found->map &&
        expected->epoch == found->epoch)
        return true;
    buf_text(why, "the server's stamp says that it is ");
    put_stamp(found, why);
    buf_text(why, ", but it is configured as ");
    put_stamp(expected, why);
    buf_format(why, ". %s; if its data is not wanted, delete its key \"%s\"",
               advice(expected, found), SHARD_STAMP_KEY);
    return false;
}
