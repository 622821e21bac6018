#include "shard/ring.h"

#include <stdlib.h>

#include "shard/md5.h"
#include "tests/unit/check.h"

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state;
}

/* The definition, plainly. */
static uint32_t shard_at(const struct ring_point *points, size_t count, uint32_t at)
{
    const struct ring_point *first = NULL, *lowest = &points[0];

    for (size_t i = 0; i < count; i++) {
        if (points[i].at >= at && (first == NULL || points[i].at < first->at))
            first = &points[i];
        if (points[i].at < lowest->at)
            lowest = &points[i];
    }
    return first != NULL ? first->shard : lowest->shard;
}

static void a_hash_belongs_to_the_first_point_at_or_after_it(void)
{
    uint32_t random = 1;

    for (size_t count = 1; count < 300; count = count * 3 / 2 + 1) {
        struct ring_point points[300], sorted[300];
        struct ring *ring;

        for (size_t i = 0; i < count; i++)
            points[i] = (struct ring_point){ next_random(&random), (uint32_t)i };
        memcpy(sorted, points, sizeof(points));
        ring = ring_new(sorted, count);
        for (size_t i = 0; i < count; i++)
            for (uint32_t off = 0; off < 3; off++) {
                uint32_t at = points[i].at + off - 1;

                CHECK_INT(ring_find(ring, at), shard_at(points, count, at));
            }
        CHECK_INT(ring_find(ring, 0), shard_at(points, count, 0));
        CHECK_INT(ring_find(ring, UINT32_MAX), shard_at(points, count, UINT32_MAX));
        free(ring);
    }
}

static void after_the_last_point_comes_the_first(void)
{
    struct ring_point points[] = { { 4000000000u, 1 }, { 100, 0 } };
    struct ring *ring = ring_new(points, 2);

    CHECK_INT(ring_find(ring, 4000000000u), 1);
    CHECK_INT(ring_find(ring, 4000000001u), 0);
    CHECK_INT(ring_find(ring, UINT32_MAX), 0);
    CHECK_INT(ring_find(ring, 100), 0);
    CHECK_INT(ring_find(ring, 101), 1);
    free(ring);
}

static void a_point_at_the_very_end_is_found(void)
{
    struct ring_point points[] = { { UINT32_MAX, 1 }, { 100, 0 } };
    struct ring *ring = ring_new(points, 2);

    CHECK_INT(ring_find(ring, UINT32_MAX), 1);
    free(ring);
}

static void where_points_meet_the_shard_listed_first_has_the_place(void)
{
    struct ring_point points[] = { { 7, 2 }, { 7, 1 }, { 7, 3 } };
    struct ring *ring = ring_new(points, 3);

    CHECK_INT(ring_find(ring, 7), 1);
    CHECK_INT(ring_find(ring, 8), 1);
    free(ring);
}

static void a_64_bit_hash_is_placed_by_its_lower_half(void)
{
    struct ring_point points[] = { { 100, 0 }, { 4000000000u, 1 } };
    struct ring *ring = ring_new(points, 2);

    CHECK_INT(ring_find(ring, 0xffffffff00000000u + 101), 1);
    free(ring);
}

/* Does shard 0 of `count` equal ones own all four points of its 40th digest? */
static bool has_its_40th_digest(uint32_t count)
{
    struct shard_map_member members[32] = { 0 };
    struct shard_map_settings settings = { .members = members, .count = count };
    struct md5 md5 = md5_of(bytes("10.0.0.1:7000-39"));
    struct buf why = { 0 };
    struct ring *ring;
    bool all = true;

    for (uint32_t i = 0; i < count; i++)
        members[i] = (struct shard_map_member){ .host = "10.0.0.1", .port = (uint16_t)(7000 + i) };
    ring = ring_new_md5(&settings, ring_name, &why);
    for (int word = 0; word < 4; word++)
        all = all && ring_find(ring, md5.words[word]) == 0;
    free(ring);
    buf_fini(&why);
    return all;
}

static void with_25_equal_shards_single_precision_takes_a_digest_away(void)
{
    CHECK(has_its_40th_digest(24));
    CHECK(!has_its_40th_digest(25));
    CHECK(has_its_40th_digest(26));
}

static void a_shard_is_named_as_the_originals_name_it(void)
{
    static const struct {
        struct shard_map_member member;
        const char *twemproxy, *libmemcached;
    } CASES[] = {
        { { .host = "h", .port = 6379 }, "h:6379", "h:6379" },
        { { .host = "h", .port = 11211 }, "h", "h" },
        { { .unix_path = "/run/r.sock" }, "/run/r.sock:", "/run/r.sock:0" },
        { { .host = "h", .port = 6379, .name = "first" }, "first", "first" },
        { { .host = "h", .port = 6379, .name = "" }, "h:6379", "h:6379" },
        { { .unix_path = "/run/r.sock", .name = "first" }, "first", "first" },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct buf name = { 0 };

        ring_name(&CASES[i].member, &name);
        CHECK_BYTES(buf_all(&name), slice_text(CASES[i].twemproxy));
        buf_clear(&name);
        ring_name_libmemcached(&CASES[i].member, &name);
        CHECK_BYTES(buf_all(&name), slice_text(CASES[i].libmemcached));
        buf_fini(&name);
    }
}

int main(void)
{
    RUN(a_hash_belongs_to_the_first_point_at_or_after_it);
    RUN(after_the_last_point_comes_the_first);
    RUN(a_point_at_the_very_end_is_found);
    RUN(where_points_meet_the_shard_listed_first_has_the_place);
    RUN(a_64_bit_hash_is_placed_by_its_lower_half);
    RUN(with_25_equal_shards_single_precision_takes_a_digest_away);
    RUN(a_shard_is_named_as_the_originals_name_it);
    return check_report();
}
