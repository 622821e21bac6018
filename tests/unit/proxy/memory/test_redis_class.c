/* What classes of keys make of Redis's commands, word by word. */
#include "proxy/memory/redis_front.h"
#include "proxy/memory/value_cache.h"
#include "tests/unit/proxy/memory/redis_stage.h"

enum { BOTH, MOST, SOME, SHUT, FIXED, SMALL, KEPT, CLASSES };

static struct key_class settings[CLASSES] = {
    [BOTH] = { .name = "both", .ttl_ms = 100000, .max_ttl_ms = 1000000 },
    [MOST] = { .name = "most", .ttl_ms = 1000000, .max_ttl_ms = 1000000 },
    [SOME] = { .name = "some", .ttl_ms = 100000 },
    [SHUT] = { .name = "shut", .access = KEY_ACCESS_FORBIDDEN },
    [FIXED] = { .name = "fixed", .access = KEY_ACCESS_READ_ONLY },
    [SMALL] = { .name = "small", .max_value_bytes = 3 },
    [KEPT] = { .name = "kept", .cache_ms = 1000 },
};
static const char *const PREFIXES[CLASSES] = { "b:", "m:", "s:", "no:", "ro:", "3:", "c:" };
static struct memory_class classes[CLASSES];
static const struct key_class *pool_classes[CLASSES];
static struct key_classes *sorter;

static void begin(void)
{
    struct key_rule rules[CLASSES];

    stage_begin(1);
    for (uint32_t i = 0; i < CLASSES; i++) {
        rules[i] = (struct key_rule){ .text = slice_text(PREFIXES[i]), .answer = i };
        classes[i].settings = pool_classes[i] = &settings[i];
    }
    classes[KEPT].cache = value_cache_new(1 << 16);
    site.sorter = sorter = key_classes_new(rules, CLASSES);
    site.classes = classes;
    pool.classes = pool_classes;
    pool.class_count = CLASSES;
}

static void end(void)
{
    value_cache_free(&classes[KEPT].cache);
    key_classes_free(&sorter);
    stage_end();
}

/* Commands, with "|" between them, as a server would be sent them. */
static struct slice commands(const char *lines)
{
    static struct buf out;
    char copy[512], *line, *rest = copy, *word, *words_rest;

    buf_clear(&out);
    snprintf(copy, sizeof(copy), "%s", lines);
    while ((line = strsep(&rest, "|")) != NULL) {
        struct slice words[32];
        size_t count = 0;

        words_rest = line;
        while ((word = strsep(&words_rest, " ")) != NULL)
            words[count++] = slice_text(word);
        resp_put_command(&out, words, count);
    }
    return buf_all(&out);
}

static void check_sent(const char *said, const char *expected, uint32_t unheard)
{
    struct slice bytes;

    stage_say(said);
    CHECK_INT(op.way, MEMORY_PARTS);
    if (op.way != MEMORY_PARTS)
        return;
    bytes = commands(expected);
    CHECK_BYTES(op.parts[0].bytes, bytes);
    CHECK_INT(op.parts[0].unheard, unheard);
    CHECK_INT(op.parts[0].replies, unheard + 1);
}

static void check_refused(const char *said, const char *start)
{
    stage_say(said);
    CHECK_INT(op.way, MEMORY_ANSWERED);
    CHECK(slice_starts(buf_all(&answer), slice_text(start)));
    CHECK(op.is_against_class);
}

static void set_gets_the_classs_end_or_is_cut(void)
{
    begin();
    check_sent("SET x v", "SET x v", 0);
    check_sent("SET b:x v", "SET b:x v PX 100000", 0);
    check_sent("SET m:x v NX GET", "SET m:x v NX GET PX 1000000", 0);
    check_sent("SET b:x v EX 10", "SET b:x v EX 10", 0);
    check_sent("SET b:x v ex 1000", "SET b:x v ex 1000", 0);
    check_sent("SET b:x v ex 1001 XX", "SET b:x v PX 1000000 XX", 0);
    check_sent("SET s:x v EX 1001", "SET s:x v EX 1001", 0);
    check_sent("SET b:x v PX 1000001", "SET b:x v PX 1000000", 0);
    check_sent("SET b:x v EXAT 1700001000", "SET b:x v EXAT 1700001000", 0);
    check_sent("SET b:x v EXAT 1700001001", "SET b:x v PX 1000000", 0);
    check_sent("SET b:x v PXAT 1700001000123", "SET b:x v PXAT 1700001000123", 0);
    check_sent("SET b:x v PXAT 1700001000124", "SET b:x v PX 1000000", 0);
    check_sent("SET b:x v KEEPTTL", "SET b:x v KEEPTTL|PEXPIRE b:x 100000 NX", 1);
    check_sent("SET b:x keepttl", "SET b:x keepttl PX 100000", 0);
    check_sent("SET b:x ex IFEQ ex", "SET b:x ex IFEQ ex PX 100000", 0);
    end();
}

static void what_is_no_time_is_left_to_the_server(void)
{
    begin();
    check_sent("SET b:x v EX", "SET b:x v EX PX 100000",
               0); /* which knows no option PX 100000 then */
    check_sent("SET b:x v EX ten", "SET b:x v EX ten", 0);
    check_sent("SET b:x v EX -1", "SET b:x v EX -1", 0);
    check_sent("EXPIRE b:x ten", "EXPIRE b:x ten", 0);
    check_sent("SET b:x v EX 9223372036854775807", "SET b:x v EX 9223372036854775807", 0);
    check_sent("EXPIREAT b:x -9223372036854775808", "EXPIREAT b:x -9223372036854775808", 0);
    end();
}

static void others_that_tell_a_time_are_cut(void)
{
    begin();
    check_sent("SETEX b:x 10 v", "SETEX b:x 10 v", 0);
    check_sent("SETEX b:x 2000 v", "PSETEX b:x 1000000 v", 0);
    check_sent("PSETEX b:x 1000001 v", "PSETEX b:x 1000000 v", 0);
    check_sent("EXPIRE b:x 2000 GT", "PEXPIRE b:x 1000000 GT", 0);
    check_sent("PEXPIREAT b:x 1800000000000", "PEXPIRE b:x 1000000", 0);
    check_sent("PERSIST b:x", "PEXPIRE b:x 1000000", 0);
    check_sent("PERSIST s:x", "PERSIST s:x", 0);
    check_sent("GETEX b:x", "GETEX b:x", 0);
    check_sent("GETEX b:x EX 2000", "GETEX b:x PX 1000000", 0);
    check_sent("GETEX b:x PERSIST", "GETEX b:x PX 1000000", 0);
    check_sent("GETEX s:x PERSIST", "GETEX s:x PERSIST", 0);
    end();
}

static void what_may_leave_a_key_without_an_end_is_followed(void)
{
    begin();
    check_sent("INCR x", "INCR x", 0);
    check_sent("INCR b:x", "INCR b:x|PEXPIRE b:x 100000 NX", 1);
    check_sent("HSET m:x f v", "HSET m:x f v|PEXPIRE m:x 1000000 NX", 1);
    check_sent("DEL b:x", "DEL b:x", 0);
    check_sent("LPOP b:x", "LPOP b:x", 0);
    check_sent("GET b:x", "GET b:x", 0);
    check_sent("RENAME x b:x", "RENAME x b:x|PEXPIRE b:x 100000 NX|PEXPIRE b:x 1000000 LT", 2);
    check_sent("RENAME x m:x", "RENAME x m:x|PEXPIRE m:x 1000000 LT", 1);
    check_sent("RENAME x s:x", "RENAME x s:x|PEXPIRE s:x 100000 NX", 1);
    check_sent("MSET b:x 1 y 2 s:z 3",
               "MSET b:x 1 y 2 s:z 3|PEXPIRE b:x 100000 NX|PEXPIRE s:z 100000 NX", 2);
    check_sent("EVAL return 2 b:x s:y",
               "EVAL return 2 b:x s:y|PEXPIRE b:x 100000 NX|PEXPIRE b:x 1000000 LT|"
               "PEXPIRE s:y 100000 NX",
               3);
    check_sent("EVAL_RO return 1 b:x", "EVAL_RO return 1 b:x", 0);
    end();
}

static void a_transaction_is_followed_as_a_whole(void)
{
    begin();
    CHECK_ANSWER("MULTI", "+OK\r\n");
    CHECK_ANSWER("INCR b:x", "+QUEUED\r\n");
    CHECK_ANSWER("SET m:y 1", "+QUEUED\r\n");
    stage_say("EXEC");
    CHECK_INT(op.way, MEMORY_PARTS);
    CHECK_BYTES(op.one.bytes,
                commands("MULTI|INCR b:x|SET m:y 1 PX 1000000|EXEC|PEXPIRE b:x 100000 NX"));
    CHECK_INT(op.one.replies, 5);
    CHECK_INT(op.one.unheard, 1);
    end();
}

static void over_memcached_nothing_follows(void)
{
    begin();
    site.translates = true;
    stage_say("INCR b:x");
    CHECK_INT(op.way, MEMORY_PARTS);
    CHECK_INT(op.parts[0].unheard, 0); /* the life is set with the value, by redis_over */
    site.translates = false;
    end();
}

static void what_a_class_does_not_allow_is_refused(void)
{
    begin();
    check_refused("GET no:x", "-NOPERM keys of class shut are forbidden");
    check_refused("MGET x no:x", "-NOPERM keys of class shut are forbidden");
    check_refused("SET ro:x 1", "-NOPERM keys of class fixed are read-only");
    check_refused("EVAL return 1 ro:x", "-NOPERM keys of class fixed are read-only");
    check_refused("SET 3:x 1234",
                  "-ERR a value of 4 bytes is larger than max_value of class small, 3");
    check_refused("SETRANGE 3:x 2 12", "-ERR a value of 4 bytes");
    check_sent("GET ro:x", "GET ro:x", 0);
    check_sent("SET 3:x 123", "SET 3:x 123", 0);
    check_sent("MSET long 12345 3:x 123", "MSET long 12345 3:x 123", 0);
    end();
}

static void the_second_read_of_a_kept_value_asks_for_its_end_too(void)
{
    begin();
    check_sent("GET c:x", "GET c:x", 0);
    CHECK_INT(op.cache, MEMORY_CACHE_MISS);
    stage_say("GET c:x");
    CHECK_BYTES(op.parts[0].bytes, commands("MULTI|GET c:x|PTTL c:x|EXEC"));
    CHECK_INT(op.parts[0].replies, 4);
    stage_reply(0, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\nv\r\n:300\r\n");
    CHECK_MERGED("$1\r\nv\r\n");
    CHECK_ANSWER("GET c:x", "$1\r\nv\r\n");
    CHECK_INT(op.cache, MEMORY_CACHE_HIT);
    site.now_us += 298999;
    CHECK_ANSWER("GET c:x", "$1\r\nv\r\n");
    site.now_us += 1; /* its own end, which a part of a millisecond may lack */
    stage_say("GET c:x");
    CHECK_INT(op.way, MEMORY_PARTS);
    end();
}

static void a_kept_value_is_not_for_who_writes_or_watches(void)
{
    begin();
    stage_say("GET c:x");
    stage_say("GET c:x");
    stage_reply(0, "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\nv\r\n:-1\r\n");
    CHECK_MERGED("$1\r\nv\r\n");
    site.has_writes_open = true;
    stage_say("GET c:x");
    CHECK_INT(op.way, MEMORY_PARTS);
    site.has_writes_open = false;
    stage_say("WATCH c:x");
    stage_say("GET c:x");
    CHECK_INT(op.way, MEMORY_PARTS);
    stage_say("UNWATCH");
    CHECK_ANSWER("GET c:x", "$1\r\nv\r\n");
    stage_say("SET c:x w");
    CHECK_INT(op.touched_count, 1);
    value_mark_raise(op.touched[0]); /* as the flow does, when the server has answered */
    stage_say("GET c:x");
    CHECK_INT(op.way, MEMORY_PARTS);
    end();
}

static void what_can_not_be_said_in_a_transaction_is_asked_for_again(void)
{
    begin();
    stage_say("GET c:x");
    stage_say("GET c:x");
    stage_reply(0, "-NOPERM no multi\r\n$1\r\nv\r\n:5\r\n-ERR EXEC without MULTI\r\n");
    CHECK(!stage_merge());
    CHECK_BYTES(op.parts[0].bytes, commands("GET c:x"));
    CHECK_INT(op.parts[0].replies, 1);
    stage_reply(0, "$1\r\nv\r\n");
    CHECK_MERGED("$1\r\nv\r\n");
    end();
}

static void writes_name_what_they_touch(void)
{
    begin();
    stage_say("MSET c:x 1 y 2 c:z 3");
    CHECK_INT(op.touched_count, 2);
    stage_say("MGET c:x c:z");
    CHECK_INT(op.touched_count, 0);
    stage_say("EVAL return 1 c:x");
    CHECK_INT(op.touched_count, 1);
    stage_say("EVAL return 0");
    CHECK(op.touches_all);
    stage_say("FLUSHDB");
    CHECK(op.touches_all);
    stage_say("DBSIZE");
    CHECK(!op.touches_all);
    CHECK_ANSWER("MULTI", "+OK\r\n");
    CHECK_ANSWER("DEL c:x", "+QUEUED\r\n");
    CHECK_ANSWER("APPEND c:z 1", "+QUEUED\r\n");
    stage_say("EXEC");
    CHECK_INT(op.touched_count, 2);
    CHECK(op.touched[0] == value_hash(bytes("c:x")) && op.touched[1] == value_hash(bytes("c:z")));
    end();
}

int main(void)
{
    RUN(set_gets_the_classs_end_or_is_cut);
    RUN(what_is_no_time_is_left_to_the_server);
    RUN(others_that_tell_a_time_are_cut);
    RUN(what_may_leave_a_key_without_an_end_is_followed);
    RUN(a_transaction_is_followed_as_a_whole);
    RUN(over_memcached_nothing_follows);
    RUN(what_a_class_does_not_allow_is_refused);
    RUN(the_second_read_of_a_kept_value_asks_for_its_end_too);
    RUN(a_kept_value_is_not_for_who_writes_or_watches);
    RUN(what_can_not_be_said_in_a_transaction_is_asked_for_again);
    RUN(writes_name_what_they_touch);
    return check_report();
}
