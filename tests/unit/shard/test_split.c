#include "shard/split.h"

#include <stdlib.h>

#include "proxy/base/mem.h"
#include "tests/unit/check.h"

static void no_key_has_no_part(void)
{
    struct arena arena = { 0 };
    struct split split;

    split_by_shard(&arena, NULL, 0, 4, &split);
    CHECK_INT(split.count, 0);
    arena_fini(&arena);
}

static void keys_of_one_shard_are_one_part(void)
{
    static const uint32_t shards[] = { 2, 2, 2 };
    struct arena arena = { 0 };
    struct split split;

    split_by_shard(&arena, shards, 3, 4, &split);
    CHECK_INT(split.count, 1);
    CHECK_INT(split.parts[0].shard, 2);
    CHECK_INT(split.parts[0].count, 3);
    for (uint32_t i = 0; i < 3; i++)
        CHECK_INT(split.parts[0].keys[i], i);
    arena_fini(&arena);
}

static void parts_come_in_the_order_of_their_first_key_and_keep_the_order_of_keys(void)
{
    static const uint32_t shards[] = { 3, 0, 3, 1, 0, 3 };
    static const uint32_t expected_shard[] = { 3, 0, 1 };
    static const uint32_t expected[3][3] = { { 0, 2, 5 }, { 1, 4 }, { 3 } };
    static const uint32_t expected_count[] = { 3, 2, 1 };
    struct arena arena = { 0 };
    struct split split;

    split_by_shard(&arena, shards, 6, 4, &split);
    CHECK_INT(split.count, 3);
    for (size_t p = 0; p < 3; p++) {
        CHECK_INT(split.parts[p].shard, expected_shard[p]);
        CHECK_INT(split.parts[p].count, expected_count[p]);
        for (size_t i = 0; i < expected_count[p]; i++)
            CHECK_INT(split.parts[p].keys[i], expected[p][i]);
    }
    arena_fini(&arena);
}

static void each_key_knows_where_it_went(void)
{
    enum { KEYS = 10000, SHARDS = 7 };
    struct arena arena = { 0 };
    uint32_t *shards = mem_new(KEYS * sizeof(*shards)), random = 1;
    struct split split;
    size_t sum = 0, next[SHARDS] = { 0 };

    for (size_t i = 0; i < KEYS; i++) {
        random = random * 1664525 + 1013904223;
        shards[i] = (random >> 16) % SHARDS;
    }
    split_by_shard(&arena, shards, KEYS, SHARDS, &split);
    CHECK_INT(split.count, SHARDS);
    for (size_t i = 0; i < KEYS; i++) {
        const struct split_part *part = &split.parts[split.part[i]];

        CHECK_INT(part->shard, shards[i]);
        CHECK_INT(part->keys[next[split.part[i]]++], i);
    }
    for (size_t p = 0; p < split.count; p++)
        sum += split.parts[p].count;
    CHECK_INT(sum, KEYS);
    arena_fini(&arena);
    free(shards);
}

int main(void)
{
    RUN(no_key_has_no_part);
    RUN(keys_of_one_shard_are_one_part);
    RUN(parts_come_in_the_order_of_their_first_key_and_keep_the_order_of_keys);
    RUN(each_key_knows_where_it_went);
    return check_report();
}
