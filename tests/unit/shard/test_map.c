#include "shard/map.h"

#include <stdlib.h>

#include "shard/distribution.h"
#include "tests/unit/check.h"

enum { KEYS = 4000 };

/* `count` shards 10.0.0.1:7000, 10.0.0.1:7001, ... of weight 1. */
static struct shard_map_settings plain(struct shard_map_member *members, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        members[i] = (struct shard_map_member){ .host = "10.0.0.1", .port = (uint16_t)(7000 + i) };
    return (struct shard_map_settings){ .members = members, .count = count };
}

/* The map, or NULL with the reason; a warning counts as part of the reason. */
static struct shard_map *made(const struct shard_map_settings *settings, char why_text[600])
{
    struct shard_map *map = NULL;
    struct buf why = { 0 };
    enum err err = shard_map_new(settings, &map, &why);

    CHECK(err == ERR_NONE || err == ERR_CONFIG);
    CHECK((err == ERR_NONE) == (map != NULL));
    snprintf(why_text, 600, "%.*s", (int)why.len, why.at != NULL ? (const char *)why.at : "");
    buf_fini(&why);
    return map;
}

static struct shard_map *good(const struct shard_map_settings *settings)
{
    char why[600];
    struct shard_map *map = made(settings, why);

    CHECK(map != NULL);
    CHECK_TEXT(why, "");
    return map;
}

static bool refused(const struct shard_map_settings *settings, const char *part)
{
    char why[600];
    struct shard_map *map = made(settings, why);
    bool as_expected = map == NULL && strstr(why, part) != NULL;

    if (!as_expected)
        printf("%s\n", why);
    shard_map_free(&map);
    return as_expected;
}

static bool warned(const struct shard_map_settings *settings, const char *part)
{
    char why[600];
    struct shard_map *map = made(settings, why);
    bool as_expected = map != NULL && strstr(why, part) != NULL;

    if (!as_expected)
        printf("%s\n", why);
    shard_map_free(&map);
    return as_expected;
}

static struct slice key_of(int number, char text[24])
{
    return slice_of(text, (size_t)snprintf(text, 24, "user:%d", number));
}

/* Puts the shard of each of KEYS keys into `places`. */
static void place_all(const struct shard_map_settings *settings, uint32_t places[KEYS])
{
    struct shard_map *map = good(settings);
    char text[24];

    for (int i = 0; i < KEYS; i++) {
        places[i] = shard_map_find(map, key_of(i, text)).shard;
        CHECK(places[i] < settings->count);
    }
    shard_map_free(&map);
}

static void the_default_is_xxh3_modulo_the_number_of_shards(void)
{
    struct shard_map_member members[5];
    char text[24];

    for (uint32_t count = 1; count <= 5; count++) {
        struct shard_map_settings settings = plain(members, count);
        struct shard_map *map = good(&settings);

        for (int i = 0; i < KEYS; i++) {
            struct slice key = key_of(i, text);
            struct shard_place place = shard_map_find(map, key);

            CHECK(place.hash == shard_hash_find("xxh3")->hash(key));
            CHECK_INT(place.slot, place.hash % (count * 1024));
            CHECK_INT(place.shard, place.hash % count);
        }
        CHECK_INT(shard_map_slots(map), count * 1024);
        CHECK_INT(shard_map_count(map), count);
        CHECK_TEXT(shard_map_hash_name(map), "xxh3");
        CHECK_TEXT(shard_map_distribution_name(map), "modulo");
        shard_map_free(&map);
        CHECK(map == NULL);
    }
}

static void binary_and_empty_keys_have_their_published_shards(void)
{
    struct shard_map_member members[5];
    struct shard_map_settings settings = plain(members, 5);
    struct shard_map *map = good(&settings);
    uint8_t ones[32];

    memset(ones, 0xff, sizeof(ones));
    CHECK_INT(shard_map_find(map, slice_of(ones, 32)).shard, 0);
    CHECK_INT(shard_map_find(map, bytes("STALWART_SPAM_CLASSIFIER_MODEL.lz4")).shard, 2);
    CHECK_INT(shard_map_find(map, bytes("\x15\0\0\0\0\0\0\0\1local\0\0\0")).shard, 4);
    CHECK_INT(shard_map_find(map, bytes("foo")).shard, 2);
    CHECK_INT(shard_map_find(map, bytes("")).shard, 3);
    CHECK_INT(shard_map_find(map, (struct slice){ 0 }).shard, 3);
    shard_map_free(&map);
}

static void a_shard_counts_in_modulo_as_often_as_it_weighs(void)
{
    static const uint32_t WEIGHTS[] = { 1, 3, 1, 2, 5 };
    static const uint32_t EXPECTED[] = { 0, 1, 1, 1, 2, 3, 3, 4, 4, 4, 4, 4 };
    struct shard_map_member members[5];
    struct shard_map_settings settings = plain(members, 5);
    struct shard_map *map;
    char text[24];

    for (int i = 0; i < 5; i++)
        members[i].weight = WEIGHTS[i];
    settings.hash = "fnv1a_64";
    map = good(&settings);
    CHECK_INT(shard_map_slots(map), 12 * 1024);
    for (int i = 0; i < KEYS; i++) {
        struct shard_place place = shard_map_find(map, key_of(i, text));

        CHECK_INT(place.shard, EXPECTED[place.hash % 12]);
        CHECK_INT(place.slot, place.hash % (12 * 1024));
    }
    shard_map_free(&map);
}

static void hash_tags_are_as_twemproxy_and_redis_cluster_take_them(void)
{
    static const struct {
        const char *key, *hashed;
    } CASES[] = {
        { "{a}{b}", "a" },     { "x{}y", "x{}y" }, { "x{{a}}y", "{a" }, { "x{ab}y", "ab" },
        { "x}a{b}", "b" },     { "{a", "{a" },     { "a}", "a}" },      { "{}{a}", "{}{a}" },
        { "plain", "plain" },  { "", "" },         { "{", "{" },        { "{}", "{}" },
        { "user:{42}", "42" },
    };
    struct shard_map_member members[2];
    struct shard_map_settings settings = plain(members, 2);
    struct shard_map *map;

    settings.hash_tag = "{}";
    map = good(&settings);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        CHECK_BYTES(shard_map_hashed_part(map, slice_text(CASES[i].key)),
                    slice_text(CASES[i].hashed));
    CHECK(shard_map_find(map, bytes("x{ab}y")).hash == shard_map_find(map, bytes("ab")).hash);
    CHECK_INT(shard_map_hashed_part(map, (struct slice){ 0 }).len, 0);
    shard_map_free(&map);

    settings.hash_tag = "$$";
    map = good(&settings);
    CHECK_BYTES(shard_map_hashed_part(map, bytes("a$b$c$")), bytes("b"));
    shard_map_free(&map);

    settings.hash_tag = NULL;
    map = good(&settings);
    CHECK_BYTES(shard_map_hashed_part(map, bytes("{a}b")), bytes("{a}b"));
    shard_map_free(&map);
}

static void every_distribution_with_one_shard_gives_it_everything(void)
{
    const struct shard_distribution *distribution;
    struct shard_map_member members[1];
    struct shard_map_settings settings = plain(members, 1);
    uint32_t places[KEYS];

    for (size_t i = 0; (distribution = shard_distribution_at(i)) != NULL; i++) {
        settings.distribution = distribution->name;
        place_all(&settings, places); /* checks that all are below 1 */
    }
}

static void every_distribution_gives_each_shard_about_its_share(void)
{
    const struct shard_distribution *distribution;
    struct shard_map_member members[4];
    struct shard_map_settings settings = plain(members, 4);
    uint32_t places[KEYS];
    size_t count = 0;

    for (; (distribution = shard_distribution_at(count)) != NULL; count++) {
        int weight = distribution->weights ? 3 : 1, keys[4] = { 0 };

        members[1].weight = (uint32_t)weight;
        settings.distribution = distribution->name;
        place_all(&settings, places);
        for (int i = 0; i < KEYS; i++)
            keys[places[i]]++;
        for (int shard = 0; shard < 4; shard++) {
            int share = KEYS * (shard == 1 ? weight : 1) / (3 + weight);

            CHECK(keys[shard] > share * 2 / 3 && keys[shard] < share * 3 / 2);
        }
    }
    CHECK_INT(count, 7);
}

static void ketama_is_as_computed_apart(void)
{
    static const uint32_t WEIGHTS[] = { 1, 3, 1, 2, 5 };
    static const char EXPECTED[] = "342313144411243144114142031424304032414433400143311141412101";
    struct shard_map_member members[5];
    struct shard_map_settings settings = plain(members, 5);
    struct shard_map *map;
    char text[24];

    for (int i = 0; i < 5; i++)
        members[i].weight = WEIGHTS[i];
    settings.hash = "md5";
    settings.distribution = "ketama";
    map = good(&settings);
    CHECK_INT(shard_map_slots(map), 0);
    for (int i = 0; EXPECTED[i] != '\0'; i++) {
        struct shard_place place = shard_map_find(map, key_of(i, text));

        CHECK_INT(place.shard, EXPECTED[i] - '0');
        CHECK_INT(place.slot, SHARD_SLOT_NONE);
    }
    shard_map_free(&map);
}

/* How many keys changed places though neither place is `shard`. */
static int moved_elsewhere(const uint32_t before[KEYS], const uint32_t after[KEYS], uint32_t shard)
{
    int moved = 0;

    for (int i = 0; i < KEYS; i++)
        moved += before[i] != after[i] && before[i] != shard && after[i] != shard;
    return moved;
}

static void adding_a_last_shard_moves_keys_only_to_it(void)
{
    static const char *const NAMES[] = { "jump", "rendezvous", "ketama_libmemcached",
                                         "ketama_spy" };
    struct shard_map_member members[5];
    uint32_t before[KEYS], after[KEYS];

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        struct shard_map_settings settings = plain(members, 4);

        settings.distribution = NAMES[i];
        place_all(&settings, before);
        settings = plain(members, 5);
        settings.distribution = NAMES[i];
        place_all(&settings, after);
        CHECK_INT(moved_elsewhere(before, after, 4), 0);
        CHECK(memcmp(before, after, sizeof(before)) != 0);
    }
}

static void rendezvous_follows_the_names_and_not_the_order(void)
{
    struct shard_map_member members[3];
    struct shard_map_settings settings = plain(members, 3);
    uint32_t before[KEYS], after[KEYS];
    struct shard_map_member first;

    settings.distribution = "rendezvous";
    place_all(&settings, before);
    first = members[0];
    members[0] = members[2];
    members[2] = first;
    place_all(&settings, after);
    for (int i = 0; i < KEYS; i++)
        CHECK_INT(after[i], 2 - before[i]);
}

static void jump_is_as_published(void)
{
    /* Computed apart, from the published formula, for 1000 shards. */
    const struct shard_distribution *jump = shard_distribution_find("jump");
    struct shard_map_member members[1000];
    struct shard_map_settings settings = plain(members, 1000);
    void *state = jump->build(&settings, shard_hash_find("xxh3"), NULL);

    CHECK_INT(jump->find(state, 0), 0);
    CHECK_INT(jump->find(state, 1), 549);
    CHECK_INT(jump->find(state, 42), 571);
    CHECK_INT(jump->find(state, 0xdeadbeef), 285);
    CHECK_INT(jump->find(state, UINT64_MAX), 313);
    free(state);
}

/* As the mail server itself places its blobs. */
static void stalwarts_names_are_placed_by_what_they_stand_for(void)
{
    static const struct {
        const char *name;
        uint64_t hash;
    } CASES[] = {
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0xa057271c9071c99d },
        { "3333333333333333333333333333333333333333333333333"
          "33q",
          0x36f6a79eeaf603f2 },
        { "mail/aaaqeayeaudaocajbifqydiob2ibceqtcqkrmfyydenbwha0dypq", 0x3523581fe96e4c05 },
        { "knkectcxifjfix7tkbau7x7djravgu7jizeukus3jvhuirkmfzwhuna", 0x438e686cc1e4299a },
        { "mail-knkectcxifjfix7tkbau7x7ukjausts3iraviqjonr0di", 0x5dce0e6d1dc5f0fd },
        { "foo", 0xab6e5f64077e7d8a }, /* no such name: as it is */
        { "", 0x2d06800538d394c2 },
    };
    struct shard_map_member members[5];
    struct shard_map_settings settings = plain(members, 5);
    struct shard_map *map;

    settings.stalwart_names = true;
    map = good(&settings);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct shard_place place = shard_map_find(map, slice_text(CASES[i].name));

        CHECK(place.hash == CASES[i].hash);
        CHECK_INT(place.shard, CASES[i].hash % 5);
    }
    shard_map_free(&map);
}

static uint64_t digest(const struct shard_map_settings *settings)
{
    struct shard_map *map = good(settings);
    uint64_t digest = shard_map_digest(map);

    shard_map_free(&map);
    return digest;
}

static void the_digest_notices_all_that_moves_keys_and_nothing_else(void)
{
    struct shard_map_member members[3];
    struct shard_map_settings settings = plain(members, 2);
    uint64_t original = digest(&settings);

    CHECK(original == 0xeba84eb17699f821); /* servers carry it: it must never change */
    members[0].host = "elsewhere";
    members[1].name = "b";
    CHECK(digest(&settings) == original);
    members[1].weight = 2;
    CHECK(digest(&settings) != original);
    members[1].weight = 1;
    CHECK(digest(&settings) == original);
    settings.hash = "md5";
    CHECK(digest(&settings) != original);
    settings.hash = "xxh3";
    settings.distribution = "jump";
    CHECK(digest(&settings) != original);
    settings.distribution = "modulo";
    CHECK(digest(&settings) == original);
    settings.hash_tag = "{}";
    CHECK(digest(&settings) != original);
    settings.hash_tag = NULL;
    settings.stalwart_names = true;
    CHECK(digest(&settings) != original);
    settings = plain(members, 3);
    CHECK(digest(&settings) != original);
}

static void the_digest_of_a_ring_knows_its_names(void)
{
    struct shard_map_member members[2];
    struct shard_map_settings settings = plain(members, 2);
    uint64_t original;

    settings.distribution = "ketama";
    original = digest(&settings);
    members[0].host = "elsewhere";
    CHECK(digest(&settings) != original);
    members[0].name = "10.0.0.1:7000";
    CHECK(digest(&settings) == original);
    members[0].name = "other";
    CHECK(digest(&settings) != original);
}

static void bad_settings_are_refused_with_the_reason(void)
{
    struct shard_map_member members[3];
    struct shard_map_settings settings = plain(members, 3);

    settings.hash = "xxh2";
    CHECK(refused(&settings, "there is no hash \"xxh2\": it is one of xxh3, one_at_a_time, md5"));
    settings = plain(members, 3);
    settings.distribution = "random";
    CHECK(refused(&settings, "there is no distribution \"random\": it is one of jump, ketama, "));
    settings = plain(members, 3);
    settings.hash_tag = "{";
    CHECK(refused(&settings, "hash_tag \"{\" must be two characters"));
    settings.hash_tag = "{}}";
    CHECK(refused(&settings, "hash_tag \"{}}\" must be two characters"));
    settings = plain(members, 0);
    CHECK(refused(&settings, "there is no shard"));
    settings = plain(members, 3);
    settings.count = SHARD_MAP_SHARDS + 1;
    CHECK(refused(&settings, "4097 shards are too many: at most 4096"));
    settings = plain(members, 3);
    members[2].weight = 20000;
    CHECK(refused(&settings, "shard 2 weighs 20000, and all together may weigh 16384"));
    members[1].weight = members[2].weight = 10000;
    CHECK(refused(&settings, "the shards weigh 20001 together"));
    settings = plain(members, 3);
    members[2].weight = 3;
    settings.distribution = "jump";
    CHECK(refused(&settings, "shard 2 weighs 3, but jump knows no weights: take rendezvous"));
    settings.distribution = "ketama_libmemcached";
    CHECK(refused(&settings, "ketama_libmemcached knows no weights: take ketama_weighted"));
    settings = plain(members, 3);
    members[2].port = 7000;
    settings.distribution = "ketama";
    CHECK(
        refused(&settings, "shards 0 and 2 are both \"10.0.0.1:7000\": ketama places by the name"));
    members[2].host = NULL;
    settings.distribution = "rendezvous";
    CHECK(refused(&settings, "shard 2 needs a name: rendezvous places by it"));
}

static void what_is_hardly_meant_is_warned_of(void)
{
    struct shard_map_member members[300];
    struct shard_map_settings settings = plain(members, 3);

    settings.distribution = "ketama";
    settings.hash = "crc32";
    CHECK(warned(&settings, "ketama with hash crc32 puts every key on shard "));
    settings.hash = "xxh3";
    members[0].weight = 16000;
    CHECK(warned(&settings, "shard 1 gets no key: it weighs too little"));
    settings = plain(members, 300);
    settings.hash = "first_byte";
    CHECK(warned(&settings, "hash first_byte has only 256 values"));
}

int main(void)
{
    RUN(the_default_is_xxh3_modulo_the_number_of_shards);
    RUN(binary_and_empty_keys_have_their_published_shards);
    RUN(a_shard_counts_in_modulo_as_often_as_it_weighs);
    RUN(hash_tags_are_as_twemproxy_and_redis_cluster_take_them);
    RUN(every_distribution_with_one_shard_gives_it_everything);
    RUN(every_distribution_gives_each_shard_about_its_share);
    RUN(ketama_is_as_computed_apart);
    RUN(adding_a_last_shard_moves_keys_only_to_it);
    RUN(rendezvous_follows_the_names_and_not_the_order);
    RUN(jump_is_as_published);
    RUN(stalwarts_names_are_placed_by_what_they_stand_for);
    RUN(the_digest_notices_all_that_moves_keys_and_nothing_else);
    RUN(the_digest_of_a_ring_knows_its_names);
    RUN(bad_settings_are_refused_with_the_reason);
    RUN(what_is_hardly_meant_is_warned_of);
    return check_report();
}
