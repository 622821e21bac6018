#include "shard/stamp.h"

#include "tests/unit/check.h"

static const char LINE[] = "sheaf-stamp 1 pool=sessions shard=0/2 hash=xxh3 distribution=modulo "
                           "map=00c0ffee00c0ffee epoch=1";

static struct stamp sessions(void)
{
    return (struct stamp){ .pool = "sessions",
                           .count = 2,
                           .hash = "xxh3",
                           .distribution = "modulo",
                           .map = 0x00c0ffee00c0ffee,
                           .epoch = 1 };
}

static bool is_same(const struct stamp *a, const struct stamp *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static void it_is_written_as_one_readable_line(void)
{
    struct stamp stamp = sessions();
    struct buf out = { 0 };

    stamp_write(&stamp, &out);
    CHECK_BYTES(buf_all(&out), slice_text(LINE));
    buf_fini(&out);
}

static void what_was_written_is_read(void)
{
    struct stamp expected = sessions(), found;

    CHECK(stamp_read(slice_text(LINE), &found) == ERR_NONE);
    CHECK(is_same(&found, &expected));
}

static void the_strangest_and_longest_pool_goes_through(void)
{
    struct stamp stamp = sessions(), found;
    struct buf out = { 0 };

    snprintf(stamp.pool, sizeof(stamp.pool), "a b%%=/\"\xc3\xa9");
    stamp_write(&stamp, &out);
    CHECK(
        slice_starts(buf_all(&out), bytes("sheaf-stamp 1 pool=a%20b%25%3D%2F%22\xc3\xa9 shard=")));
    CHECK(stamp_read(buf_all(&out), &found) == ERR_NONE && is_same(&stamp, &found));

    memset(&stamp, ' ', sizeof(stamp.pool) - 1);
    memset(stamp.hash, 'h', sizeof(stamp.hash) - 1);
    memset(stamp.distribution, 'd', sizeof(stamp.distribution) - 1);
    stamp.index = UINT32_MAX - 1;
    stamp.count = UINT32_MAX;
    stamp.map = stamp.epoch = UINT64_MAX;
    buf_clear(&out);
    stamp_write(&stamp, &out);
    CHECK(out.len <= STAMP_TEXT_BYTES);
    CHECK(stamp_read(buf_all(&out), &found) == ERR_NONE && is_same(&stamp, &found));
    buf_fini(&out);
}

static void no_prefix_of_a_stamp_is_one(void)
{
    struct stamp found;

    for (size_t len = 0; len < sizeof(LINE) - 1; len++)
        CHECK(stamp_read(slice_of(LINE, len), &found) == ERR_SYNTAX);
    CHECK(stamp_read((struct slice){ 0 }, &found) == ERR_SYNTAX);
}

static void a_changed_byte_is_noticed_or_means_something_else(void)
{
    struct stamp expected = sessions();
    char text[sizeof(LINE)];

    for (size_t at = 0; at < sizeof(LINE) - 1; at++)
        for (int byte = 0; byte < 256; byte++) {
            struct stamp found = { 0 };
            struct buf again = { 0 };
            enum err err;

            memcpy(text, LINE, sizeof(LINE));
            text[at] = (char)byte;
            err = stamp_read(slice_of(text, sizeof(LINE) - 1), &found);
            if (byte == LINE[at]) {
                CHECK(err == ERR_NONE);
            } else if (err == ERR_NONE) {
                CHECK(!is_same(&found, &expected));
                stamp_write(&found, &again);
                CHECK_BYTES(buf_all(&again), slice_of(text, sizeof(LINE) - 1));
            }
            buf_fini(&again);
        }
}

static void what_is_not_exactly_a_stamp_is_refused(void)
{
    static const char *const BAD[] = {
        "",
        "hello",
        "sheaf-stamp",
        "sheaf-stamp 1",
        "sheaf-stamp 0 pool=p shard=0/2 hash=h distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp 01 pool=p shard=0/2 hash=h distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp -1 pool=p shard=0/2 hash=h distribution=d map=0000000000000000 epoch=1",
        " sheaf-stamp 1 pool=p shard=0/2 hash=h distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp 1 pool=p shard=0/2 hash=h distribution=d map=0000000000000000 epoch=1 ",
        "sheaf-stamp 1 pool=p shard=0/2 hash=h distribution=d map=0000000000000000 epoch=1\n",
        "sheaf-stamp 1  pool=p shard=0/2 hash=h distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp 1 pool= shard=0/2 hash=h distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp 1 pool=%41 shard=0/2 hash=h distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp 1 pool=%2f shard=0/2 hash=h distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp 1 pool=%00 shard=0/2 hash=h distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp 1 pool=%0A shard=0/2 hash=h distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp 1 pool=% shard=0/2 hash=h distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp 1 pool=%2 shard=0/2 hash=h distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp 1 pool=p shard=2/2 hash=h distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp 1 pool=p shard=0/0 hash=h distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp 1 pool=p shard=00/2 hash=h distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp 1 pool=p shard=0/4294967296 hash=h distribution=d map=0000000000000000 "
        "epoch=1",
        "sheaf-stamp 1 pool=p shard=0/2 hash= distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp 1 pool=p shard=0/2 hash=H distribution=d map=0000000000000000 epoch=1",
        "sheaf-stamp 1 pool=p shard=0/2 hash=hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh distribution=d "
        "map=0000000000000000 epoch=1",
        "sheaf-stamp 1 pool=p shard=0/2 hash=h distribution=d map=000000000000000 epoch=1",
        "sheaf-stamp 1 pool=p shard=0/2 hash=h distribution=d map=000000000000000A epoch=1",
        "sheaf-stamp 1 pool=p shard=0/2 hash=h distribution=d map=000000000000000g epoch=1",
        "sheaf-stamp 1 pool=p shard=0/2 hash=h distribution=d map=0000000000000000 epoch=",
        "sheaf-stamp 1 pool=p shard=0/2 hash=h distribution=d map=0000000000000000 "
        "epoch=18446744073709551616",
    };
    struct stamp found = sessions(), before = found;

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        CHECK(stamp_read(slice_text(BAD[i]), &found) == ERR_SYNTAX);
    CHECK(stamp_read(bytes("sheaf-stamp 1 pool=p\0 shard=0/2 hash=h distribution=d "
                           "map=0000000000000000 epoch=1"),
                     &found) == ERR_SYNTAX);
    CHECK(is_same(&found, &before));
}

static void a_pool_that_is_too_long_is_refused(void)
{
    struct buf text = { 0 };
    struct stamp found;

    buf_text(&text, "sheaf-stamp 1 pool=");
    for (int i = 0; i < STAMP_POOL_BYTES; i++)
        buf_text(&text, "p");
    buf_text(&text, " shard=0/2 hash=h distribution=d map=0000000000000000 epoch=1");
    CHECK(stamp_read(buf_all(&text), &found) == ERR_SYNTAX);
    buf_fini(&text);
}

static void a_later_version_is_told_apart(void)
{
    struct stamp found;

    CHECK(stamp_read(bytes("sheaf-stamp 2 something new"), &found) == ERR_UNSUPPORTED);
}

static bool says(const struct stamp *found, const char *part)
{
    struct stamp expected = sessions();
    struct buf why = { 0 };
    bool agrees = stamp_agrees(&expected, found, &why), has;

    buf_put(&why, "", 1);
    has = !agrees && strstr((const char *)why.at, part) != NULL;
    if (!has)
        printf("%s\n", why.at);
    buf_fini(&why);
    return has;
}

static void the_same_stamp_agrees_and_says_nothing(void)
{
    struct stamp expected = sessions(), found = sessions();
    struct buf why = { 0 };

    CHECK(stamp_agrees(&expected, &found, &why));
    CHECK_INT(why.len, 0);
}

static void each_difference_is_refused_with_what_to_do(void)
{
    struct stamp found = sessions();

    snprintf(found.pool, sizeof(found.pool), "carts");
    CHECK(says(&found, "or the pool was renamed"));
    found = sessions();
    found.index = 1;
    CHECK(says(&found, "The shard lines have changed places"));
    CHECK(says(&found, "it is shard 1 of 2 of pool \"sessions\""));
    CHECK(says(&found, "configured as shard 0 of 2 of pool \"sessions\""));
    found = sessions();
    found.count = 3;
    CHECK(says(&found, "restore the list of shards"));
    found = sessions();
    snprintf(found.hash, sizeof(found.hash), "md5");
    CHECK(says(&found, "restore the hash and the distribution"));
    found = sessions();
    snprintf(found.distribution, sizeof(found.distribution), "jump");
    CHECK(says(&found, "restore the hash and the distribution"));
    found = sessions();
    found.map++;
    CHECK(says(&found, "A weight, the hash tag"));
    found = sessions();
    found.epoch = 2;
    CHECK(says(&found, "take the newer configuration"));
    found.epoch = 0;
    CHECK(says(&found, "missed a change of the map"));
}

static void the_expected_stamp_comes_from_the_map(void)
{
    struct shard_map_member members[2] = { { .host = "a", .port = 1 }, { .host = "b", .port = 2 } };
    struct shard_map_settings settings = { .members = members, .count = 2 };
    struct buf why = { 0 }, text = { 0 };
    struct shard_map *map;
    struct stamp stamp = { 0 };
    char name[STAMP_POOL_BYTES + 1];

    CHECK(shard_map_new(&settings, &map, &why) == ERR_NONE);
    CHECK(stamp_expect(&stamp, "sessions", map, 1, 7) == ERR_NONE);
    stamp_write(&stamp, &text);
    CHECK(slice_starts(buf_all(&text), bytes("sheaf-stamp 1 pool=sessions shard=1/2 hash=xxh3 "
                                             "distribution=modulo map=")));
    CHECK(stamp.map == shard_map_digest(map) && stamp.epoch == 7);

    memset(name, 'p', sizeof(name));
    name[STAMP_POOL_BYTES] = '\0';
    CHECK(stamp_expect(&stamp, name, map, 0, 1) == ERR_RANGE);
    CHECK(stamp_expect(&stamp, "", map, 0, 1) == ERR_RANGE);
    CHECK(stamp_expect(&stamp, "a\nb", map, 0, 1) == ERR_RANGE);
    name[STAMP_POOL_BYTES - 1] = '\0';
    CHECK(stamp_expect(&stamp, name, map, 0, 1) == ERR_NONE);
    shard_map_free(&map);
    buf_fini(&text);
    buf_fini(&why);
}

int main(void)
{
    RUN(it_is_written_as_one_readable_line);
    RUN(what_was_written_is_read);
    RUN(the_strangest_and_longest_pool_goes_through);
    RUN(no_prefix_of_a_stamp_is_one);
    RUN(a_changed_byte_is_noticed_or_means_something_else);
    RUN(what_is_not_exactly_a_stamp_is_refused);
    RUN(a_pool_that_is_too_long_is_refused);
    RUN(a_later_version_is_told_apart);
    RUN(the_same_stamp_agrees_and_says_nothing);
    RUN(each_difference_is_refused_with_what_to_do);
    RUN(the_expected_stamp_comes_from_the_map);
    return check_report();
}
