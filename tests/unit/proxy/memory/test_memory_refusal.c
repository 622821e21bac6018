/* Who is blamed for an answer that is none. */
#include "proxy/memory/memory.h"

#include <stdlib.h>

#include "tests/unit/check.h"

enum { OWN = 2, OTHERS = 1 };

static struct endpoint_settings own[OWN], others[OTHERS];
static struct endpoint_settings *own_list[OWN], *others_list[OTHERS];
static struct memory_pool pool, durable;
static struct memory_home home;
static struct memory_site site;
static struct arena arena;
static struct memory_part part;
static struct memory_merge merge;
static struct buf out;

static struct shard_map *map_of(uint32_t count)
{
    struct shard_map_member members[OWN] = { { .host = "a", .port = 1 },
                                             { .host = "b", .port = 1 } };
    struct shard_map *map = NULL;
    struct buf why = { 0 };

    if (shard_map_new(
            &(struct shard_map_settings){ .members = members, .count = count, .hash_tag = "{}" },
            &map, &why) != ERR_NONE)
        abort();
    buf_fini(&why);
    return map;
}

static struct memory_pool pool_of(const char *name, struct endpoint_settings *endpoints,
                                  struct endpoint_settings **list, uint32_t count,
                                  const char *const *names)
{
    for (uint32_t i = 0; i < count; i++) {
        endpoints[i] = (struct endpoint_settings){ .name = names[i], .shard = i };
        list[i] = &endpoints[i];
    }
    return (struct memory_pool){ .base.name = name,
                                 .base.endpoints = list,
                                 .base.endpoint_count = count };
}

/* A pool of two shards; the keys of one of its classes are on those of another pool. */
static void begin(void)
{
    static const char *const NAMES[] = { "10.0.0.1:11211", "10.0.0.2:11211" };
    static const char *const OTHER_NAMES[] = { "10.0.0.3:11211" };

    pool = pool_of("cache", own, own_list, OWN, NAMES);
    durable = pool_of("durable", others, others_list, OTHERS, OTHER_NAMES);
    home = (struct memory_home){ .pool = &durable, .map = map_of(OTHERS), .first_shard = OWN };
    site = (struct memory_site){
        .pool = &pool, .map = map_of(OWN), .homes = &home, .home_count = 1, .generation = 7
    };
}

static struct slice blame(uint32_t shard)
{
    part = (struct memory_part){ .shard = shard };
    merge = (struct memory_merge){
        .site = &site, .generation = 7, .parts = &part, .part_count = 1, .arena = &arena
    };
    buf_clear(&out);
    memory_merge_blame(&merge, 0, &out);
    return buf_all(&out);
}

static void end(void)
{
    struct shard_map *maps[] = { (struct shard_map *)site.map, (struct shard_map *)home.map };

    shard_map_free(&maps[0]);
    shard_map_free(&maps[1]);
    arena_fini(&arena);
    buf_fini(&out);
}

#define TEXT                                                                                       \
    "the server answered something else than it was asked; see what listens at its address, and "  \
    "what stands between"

static void the_shard_is_named_as_people_know_it(void)
{
    begin();
    CHECK_BYTES(blame(1), bytes("shard 1 (10.0.0.2:11211) of pool cache: " TEXT));
    CHECK_TEXT(merge.blamed->endpoint, "10.0.0.2:11211");
    CHECK_BYTES(blame(2), bytes("shard 0 (10.0.0.3:11211) of pool durable: " TEXT));
    end();
}

/* Its number may be another shard's by then. */
static void nobody_is_named_after_a_reload(void)
{
    begin();
    site.generation++;
    CHECK_BYTES(blame(1), bytes(TEXT));
    site.generation--;
    CHECK_BYTES(blame(3), bytes(TEXT));
    CHECK(merge.blamed->endpoint == NULL && merge.blamed->pool == NULL);
    end();
}

int main(void)
{
    RUN(the_shard_is_named_as_people_know_it);
    RUN(nobody_is_named_after_a_reload);
    return check_report();
}
