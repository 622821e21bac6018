/* SCAN over shards, and the stamp that no listing shows and no flush removes. */
#include "tests/unit/proxy/memory/redis_stage.h"

#define STAMP_BULK "$11\r\nsheaf:stamp\r\n"

static void scan_goes_from_shard_to_shard_and_hides_the_stamp(void)
{
    stage_begin(2);
    stage_say("SCAN 0 MATCH * COUNT 10");
    CHECK_PART(
        0, 0,
        "*6\r\n$4\r\nSCAN\r\n$1\r\n0\r\n$5\r\nMATCH\r\n$1\r\n*\r\n$5\r\nCOUNT\r\n$2\r\n10\r\n");
    stage_reply(0, "*2\r\n$1\r\n6\r\n*3\r\n$1\r\na\r\n" STAMP_BULK "$1\r\nb\r\n");
    CHECK_MERGED("*2\r\n$2\r\n12\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    stage_say("SCAN 12");
    CHECK_PART(0, 0, "*2\r\n$4\r\nSCAN\r\n$1\r\n6\r\n");
    stage_reply(0, "*2\r\n$1\r\n0\r\n*0\r\n");
    CHECK_MERGED("*2\r\n$1\r\n1\r\n*0\r\n");
    stage_say("SCAN 1");
    CHECK_PART(0, 1, "*2\r\n$4\r\nSCAN\r\n$1\r\n0\r\n");
    stage_reply(0, "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nz\r\n");
    CHECK_MERGED("*2\r\n$1\r\n0\r\n*1\r\n$1\r\nz\r\n");
    stage_end();
}

static void bad_cursors_are_refused_in_redis_words(void)
{
    stage_begin(3);
    CHECK_ANSWER("SCAN x", "-ERR invalid cursor\r\n");
    CHECK_ANSWER("SCAN -1", "-ERR invalid cursor\r\n");
    CHECK_ANSWER("SCAN 3", "-ERR invalid cursor\r\n");
    stage_say("SCAN 0 COUNT x");
    stage_reply(0, "-ERR value is not an integer or out of range\r\n");
    CHECK_MERGED("-ERR value is not an integer or out of range\r\n");
    stage_end();
}

static void keys_are_joined_without_the_stamps(void)
{
    stage_begin(2);
    stage_say("KEYS *");
    stage_reply(0, "*2\r\n" STAMP_BULK "$1\r\na\r\n");
    stage_reply(1, "*1\r\n" STAMP_BULK);
    CHECK_MERGED("*1\r\n$1\r\na\r\n");
    CHECK_ANSWER("SELECT 1", "+OK\r\n");
    stage_say("KEYS *");
    stage_reply(0, "*1\r\n" STAMP_BULK);
    stage_reply(1, "*0\r\n");
    CHECK_MERGED("*1\r\n" STAMP_BULK);
    stage_end();
}

static void dbsize_counts_stamps_that_are_really_there(void)
{
    stage_begin(2);
    stage_say("DBSIZE");
    CHECK_INT(op.parts[0].replies, 2);
    CHECK_PART(0, 0, "*1\r\n$6\r\nDBSIZE\r\n*2\r\n$6\r\nEXISTS\r\n" STAMP_BULK);
    stage_reply(0, ":5\r\n:1\r\n");
    stage_reply(1, ":3\r\n:0\r\n");
    CHECK_MERGED(":7\r\n");
    stage_end();
}

static void randomkey_draws_again_when_it_drew_the_stamp(void)
{
    uint32_t first;

    stage_begin(2);
    stage_say("RANDOMKEY");
    CHECK_INT(op.part_count, 1);
    first = op.parts[0].shard;
    stage_reply(0, STAMP_BULK);
    CHECK(!stage_merge());
    CHECK_INT(op.parts[0].shard, first);
    CHECK(op.parts[0].replies > 1);
    stage_reply(0, STAMP_BULK STAMP_BULK STAMP_BULK);
    CHECK(!stage_merge());
    CHECK_INT(op.parts[0].shard, 1 - first);
    CHECK_INT(op.parts[0].replies, 1);
    stage_reply(0, "$1\r\na\r\n");
    CHECK_MERGED("$1\r\na\r\n");
    stage_end();
}

static void randomkey_is_nil_only_when_all_shards_are_empty(void)
{
    stage_begin(2);
    stage_say("RANDOMKEY");
    stage_reply(0, "$-1\r\n");
    CHECK(!stage_merge());
    stage_reply(0, "$-1\r\n");
    CHECK_MERGED("$-1\r\n");
    state->version = 3;
    stage_say("RANDOMKEY");
    stage_reply(0, "_\r\n");
    CHECK(!stage_merge());
    stage_reply(0, "_\r\n");
    CHECK_MERGED("_\r\n");
    stage_end();
}

static void a_flush_writes_the_stamp_again_in_one_piece(void)
{
    struct stamp stamp;
    struct buf text = { 0 }, expected = { 0 };

    stage_begin(2);
    CHECK_INT(stamp_expect(&stamp, "sessions", site.map, 1, 1), ERR_NONE);
    stamp_write(&stamp, &text);
    stage_say("FLUSHALL ASYNC");
    buf_format(&expected,
               "*2\r\n$8\r\nFLUSHALL\r\n$5\r\nASYNC\r\n*3\r\n$3\r\nSET\r\n" STAMP_BULK
               "$%zu\r\n%.*s\r\n",
               text.len, (int)text.len, (char *)text.at);
    buf_put(&expected, "", 1);
    CHECK_PART(1, 1, (char *)expected.at);
    CHECK_INT(op.parts[1].replies, 2);
    stage_reply(0, "+OK\r\n+OK\r\n");
    stage_reply(1, "+OK\r\n+OK\r\n");
    CHECK_MERGED("+OK\r\n");
    stage_say("FLUSHALL");
    stage_reply(0, "+OK\r\n-OOM no\r\n");
    stage_reply(1, "+OK\r\n+OK\r\n");
    CHECK_MERGED("-OOM no (1 of 2 shards did their part of this 'flushall')\r\n");
    stage_say("FLUSHALL FOO");
    stage_reply(0, "-ERR syntax error\r\n+OK\r\n");
    stage_reply(1, "-ERR syntax error\r\n+OK\r\n");
    CHECK_MERGED("-ERR syntax error\r\n");
    buf_fini(&text);
    buf_fini(&expected);
    stage_end();
}

static void a_flush_from_another_database_comes_back_to_it(void)
{
    stage_begin(2);
    endpoints[0].database = 3;
    CHECK_ANSWER("SELECT 2", "+OK\r\n");
    stage_say("FLUSHALL");
    CHECK_INT(op.parts[0].replies, 4);
    CHECK(slice_starts(
        op.parts[0].bytes,
        bytes("*1\r\n$8\r\nFLUSHALL\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*3\r\n$3\r\nSET")));
    CHECK_BYTES(slice_from(op.parts[0].bytes, op.parts[0].bytes.len - 23),
                bytes("*2\r\n$6\r\nSELECT\r\n$1\r\n5\r\n"));
    stage_say("FLUSHDB");
    CHECK_INT(op.parts[0].replies, 1);
    stage_end();
}

int main(void)
{
    RUN(scan_goes_from_shard_to_shard_and_hides_the_stamp);
    RUN(bad_cursors_are_refused_in_redis_words);
    RUN(keys_are_joined_without_the_stamps);
    RUN(dbsize_counts_stamps_that_are_really_there);
    RUN(randomkey_draws_again_when_it_drew_the_stamp);
    RUN(randomkey_is_nil_only_when_all_shards_are_empty);
    RUN(a_flush_writes_the_stamp_again_in_one_piece);
    RUN(a_flush_from_another_database_comes_back_to_it);
    return check_report();
}
