/* See map.h.  A map is made in one thread and then never written, so it needs no lock. */
#include "shard/map.h"

#include <xxhash.h>

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "shard/distribution.h"
#include "shard/stalwart_name.h"

struct shard_map {
    char tag[2]; /* zero: no hash tag */
    bool stalwart_names;
    const struct shard_hash *hash;   /* borrowed: constant */
    const struct shard_slots *slots; /* borrowed: the state, if it is a table of slots */
    shard_distribution_find_f *find;
    void *state;
    uint32_t count;
    uint64_t digest;
    const struct shard_distribution *distribution; /* borrowed: constant */
};

static void put_hash_names(struct buf *why)
{
    for (size_t i = 0; shard_hash_at(i) != NULL; i++)
        buf_format(why, "%s%s", i > 0 ? ", " : "", shard_hash_at(i)->name);
}

static void put_distribution_names(struct buf *why)
{
    for (size_t i = 0; shard_distribution_at(i) != NULL; i++)
        buf_format(why, "%s%s", i > 0 ? ", " : "", shard_distribution_at(i)->name);
}

static enum err find_methods(const struct shard_map_settings *settings, struct shard_map *map,
                             struct buf *why)
{
    const char *hash = settings->hash != NULL ? settings->hash : "xxh3";
    const char *distribution = settings->distribution != NULL ? settings->distribution : "modulo";

    map->hash = shard_hash_find(hash);
    if (map->hash == NULL) {
        buf_format(why, "there is no hash \"%s\": it is one of ", hash);
        put_hash_names(why);
        return ERR_CONFIG;
    }
    map->distribution = shard_distribution_find(distribution);
    if (map->distribution == NULL) {
        buf_format(why, "there is no distribution \"%s\": it is one of ", distribution);
        put_distribution_names(why);
        return ERR_CONFIG;
    }
    return ERR_NONE;
}

static enum err set_tag(struct shard_map *map, const char *hash_tag, struct buf *why)
{
    size_t len = hash_tag != NULL ? strlen(hash_tag) : 0;

    if (len != 0 && len != 2) {
        buf_format(why, "hash_tag \"%s\" must be two characters, such as {}, or nothing", hash_tag);
        return ERR_CONFIG;
    }
    if (len == 2)
        memcpy(map->tag, hash_tag, 2);
    return ERR_NONE;
}

static enum err check_member(const struct shard_map_settings *settings, uint32_t index,
                             const struct shard_distribution *distribution, struct buf *why)
{
    const struct shard_map_member *member = &settings->members[index];
    uint32_t weight = shard_member_weight(member);

    if (weight > SHARD_MAP_WEIGHT) {
        buf_format(why, "shard %u weighs %u, and all together may weigh %d", index, weight,
                   SHARD_MAP_WEIGHT);
        return ERR_CONFIG;
    }
    if (weight != 1 && !distribution->weights) {
        buf_format(why, "shard %u weighs %u, but %s knows no weights: take ", index, weight,
                   distribution->name);
        buf_text(why, distribution->name_of != NULL ? "ketama_weighted" : "rendezvous");
        buf_text(why, ", or leave the weight out");
        return ERR_CONFIG;
    }
    if (distribution->name_of != NULL && !shard_member_has_name(member) &&
        member->unix_path == NULL && member->host == NULL) {
        buf_format(why, "shard %u needs a name: %s places by it, and it has no address", index,
                   distribution->name);
        return ERR_CONFIG;
    }
    return ERR_NONE;
}

static enum err check_members(const struct shard_map_settings *settings,
                              const struct shard_distribution *distribution, struct buf *why)
{
    if (settings->count == 0) {
        buf_text(why, "there is no shard");
        return ERR_CONFIG;
    }
    if (settings->count > SHARD_MAP_SHARDS) {
        buf_format(why, "%u shards are too many: at most %d", settings->count, SHARD_MAP_SHARDS);
        return ERR_CONFIG;
    }
    for (uint32_t i = 0; i < settings->count; i++)
        TRY(check_member(settings, i, distribution, why));
    if (shard_members_weight(settings) > SHARD_MAP_WEIGHT) {
        buf_format(why, "the shards weigh %u together: at most %d", shard_members_weight(settings),
                   SHARD_MAP_WEIGHT);
        return ERR_CONFIG;
    }
    return ERR_NONE;
}

/* Two shards of one name would claim the same places, and the second get no key at all.  Quadratic,
 * over a list that a person wrote. */
static enum err check_names(const struct slice *names, uint32_t count,
                            const struct shard_distribution *distribution, struct buf *why)
{
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (slice_is(names[i], names[j])) {
                buf_format(why, "shards %u and %u are both \"%.*s\": %s places by the name, so ", j,
                           i, (int)names[i].len, (const char *)names[i].at, distribution->name);
                buf_text(why, "give each its own");
                return ERR_CONFIG;
            }
    return ERR_NONE;
}

/* A text that says all that decides where keys lie, and its hash.  Never change it: servers carry
 * it in their stamps. */
static uint64_t digest_of(const struct shard_map *map, const struct shard_map_settings *settings,
                          const struct slice *names)
{
    struct buf text = { 0 };
    uint64_t digest;

    buf_format(&text, "sheaf-map 1\nhash %s\ndistribution %s\ntag %.2s\n", map->hash->name,
               map->distribution->name, map->tag);
    if (map->stalwart_names)
        buf_text(&text, "names stalwart\n");
    for (uint32_t i = 0; i < settings->count; i++) {
        buf_format(&text, "shard %u %zu ", shard_member_weight(&settings->members[i]),
                   names != NULL ? names[i].len : 0);
        if (names != NULL)
            buf_slice(&text, names[i]);
        buf_text(&text, "\n");
    }
    digest = XXH3_64bits(text.at, text.len);
    buf_fini(&text);
    return digest;
}

/* The names as the distribution knows them, in one block with their bytes; NULL if it knows
 * none. */
static struct slice *names_of(const struct shard_map_settings *settings,
                              shard_distribution_name_f *name_of, struct buf *bytes)
{
    struct slice *names;
    size_t start = 0;

    if (name_of == NULL)
        return NULL;
    names = mem_new(settings->count * sizeof(names[0]));
    for (uint32_t i = 0; i < settings->count; i++) {
        name_of(&settings->members[i], bytes);
        names[i].len = bytes->len - start;
        start = bytes->len;
    }
    start = 0;
    for (uint32_t i = 0; i < settings->count; i++) { /* only now do the bytes stay where they are */
        names[i].at = bytes->at + start;
        start += names[i].len;
    }
    return names;
}

static void warn_of_a_narrow_hash(const struct shard_map *map, uint32_t weight, struct buf *why)
{
    unsigned bits = map->hash->bits;

    if (map->count > 1 && bits < map->distribution->hash_bits) {
        uint32_t first;
        bool all;

        assert(map->find != NULL); /* slots take any width */
        first = map->find(map->state, 0);
        all = first == map->find(map->state, ((uint64_t)1 << bits) - 1);

        buf_format(why, "%s with hash %s puts %s on shard %u: the hash has %u bits, and the ring ",
                   map->distribution->name, map->hash->name, all ? "every key" : "nearly every key",
                   first, bits);
        buf_format(why, "is %u bits wide; take another hash, unless the data lies so already\n",
                   map->distribution->hash_bits);
    }
    if (bits < 32 && (uint32_t)1 << bits < weight)
        buf_format(why, "hash %s has only %u values, so some shards get no key\n", map->hash->name,
                   (uint32_t)1 << bits);
}

static enum err fill(struct shard_map *map, const struct shard_map_settings *settings,
                     struct buf *why)
{
    struct buf name_bytes = { 0 };
    struct slice *names;
    enum err err;

    TRY(find_methods(settings, map, why));
    TRY(set_tag(map, settings->hash_tag, why));
    map->stalwart_names = settings->stalwart_names;
    TRY(check_members(settings, map->distribution, why));
    names = names_of(settings, map->distribution->name_of, &name_bytes);
    err = names != NULL ? check_names(names, settings->count, map->distribution, why) : ERR_NONE;
    if (err == ERR_NONE) {
        map->count = settings->count;
        map->digest = digest_of(map, settings, names);
        map->state = map->distribution->build(settings, map->hash, why);
        map->find = map->distribution->find;
        map->slots = map->find == NULL ? map->state : NULL;
        warn_of_a_narrow_hash(map, shard_members_weight(settings), why);
    }
    free(names);
    buf_fini(&name_bytes);
    return err;
}

enum err shard_map_new(const struct shard_map_settings *settings, struct shard_map **out,
                       struct buf *why)
{
    struct shard_map *map = mem_new(sizeof(*map));
    enum err err = fill(map, settings, why);

    if (err != ERR_NONE) {
        shard_map_free(&map);
        return err;
    }
    *out = map;
    return ERR_NONE;
}

void shard_map_free(struct shard_map **map)
{
    if (*map == NULL)
        return;
    free((*map)->state);
    free(*map);
    *map = NULL;
}

struct slice shard_map_hashed_part(const struct shard_map *map, struct slice key)
{
    const uint8_t *open, *close;

    if (map->tag[0] == '\0' || key.len < 3)
        return key;
    open = memchr(key.at, map->tag[0], key.len);
    if (open == NULL)
        return key;
    open++;
    close = memchr(open, map->tag[1], (size_t)(key.at + key.len - open));
    if (close == NULL || close == open)
        return key;
    return slice_of(open, (size_t)(close - open));
}

/* Hash mod count, without a division where bits will do. */
static uint32_t slot_of(uint64_t hash, uint32_t count)
{
    if ((count & (count - 1)) == 0)
        return (uint32_t)hash & (count - 1);
    return (uint32_t)(hash % count);
}

static uint64_t hash_of(const struct shard_map *map, struct slice key)
{
    uint8_t raw[STALWART_KEY_MOST];
    size_t len;

    if (map->stalwart_names && stalwart_name_key(key, raw, &len))
        return map->hash->hash(slice_of(raw, len));
    return map->hash->hash(shard_map_hashed_part(map, key));
}

struct shard_place shard_map_find(const struct shard_map *map, struct slice key)
{
    struct shard_place place = { .hash = hash_of(map, key), .slot = SHARD_SLOT_NONE };

    if (map->slots != NULL) {
        place.slot = slot_of(place.hash, map->slots->count);
        place.shard = map->slots->shard[place.slot];
    } else {
        place.shard = map->find(map->state, place.hash);
    }
    return place;
}

uint32_t shard_map_count(const struct shard_map *map)
{
    return map->count;
}

uint32_t shard_map_slots(const struct shard_map *map)
{
    return map->slots != NULL ? map->slots->count : 0;
}

const char *shard_map_hash_name(const struct shard_map *map)
{
    return map->hash->name;
}

const char *shard_map_distribution_name(const struct shard_map *map)
{
    return map->distribution->name;
}

uint64_t shard_map_digest(const struct shard_map *map)
{
    return map->digest;
}
