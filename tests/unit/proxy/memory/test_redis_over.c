/* Redis commands over memcached shards: what servers are asked, and what becomes of their answers.
 * That it is Redis's own answer is shown by tests/scenario/test_mixed.py. */
#include "proxy/memory/redis_over.h"

#include "tests/unit/proxy/memory/redis_stage.h"

/* "a" and "b" of two shards. */
static void begin(void)
{
    stage_begin(2);
    site.translates = true;
    pool.databases = 1;
}

/* What the only part is asked. */
#define CHECK_ASKED(expected)                                                                      \
    do {                                                                                           \
        CHECK_INT(op.way, MEMORY_PARTS);                                                           \
        CHECK_INT(op.part_count, 1);                                                               \
        CHECK_BYTES(op.parts[0].bytes, slice_text(expected));                                      \
    } while (0)

#define CHECK_ASKS(line, expected)                                                                 \
    do {                                                                                           \
        stage_say(line);                                                                           \
        CHECK_ASKED(expected);                                                                     \
    } while (0)

#define CHECK_REFUSED(line, word)                                                                  \
    do {                                                                                           \
        stage_say(line);                                                                           \
        CHECK_INT(op.way, MEMORY_ANSWERED);                                                        \
        CHECK(answer.len > 0 && answer.at[0] == '-');                                              \
        CHECK(memmem(answer.at, answer.len, word, strlen(word)) != NULL);                          \
    } while (0)

/* The server's answer, and another round. */
static void goes_on(const char *reply)
{
    stage_reply(0, reply);
    CHECK(!stage_merge());
}

static void a_command_that_memcached_has_is_one_round(void)
{
    begin();
    CHECK_ASKS("GET a", "mg a v\r\n");
    stage_reply(0, "VA 3\r\nabc\r\n");
    CHECK_MERGED("$3\r\nabc\r\n");
    CHECK_ASKS("GET a", "mg a v\r\n");
    stage_reply(0, "EN\r\n");
    CHECK_MERGED("$-1\r\n");
    CHECK_ASKS("STRLEN a", "mg a s\r\n");
    stage_reply(0, "HD s7\r\n");
    CHECK_MERGED(":7\r\n");
    CHECK_ASKS("TTL a", "mg a t\r\n");
    stage_reply(0, "HD t-1\r\n");
    CHECK_MERGED(":-1\r\n");
    CHECK_ASKS("PTTL a", "mg a t\r\n");
    stage_reply(0, "HD t9\r\n");
    CHECK_MERGED(":9000\r\n");
    CHECK_ASKS("TYPE a", "mg a\r\n");
    stage_reply(0, "HD\r\n");
    CHECK_MERGED("+string\r\n");
    stage_end();
}

static void set_is_one_round_unless_it_needs_what_was_there(void)
{
    begin();
    CHECK_ASKS("SET a xyz", "ms a 3\r\nxyz\r\n");
    stage_reply(0, "HD\r\n");
    CHECK_MERGED("+OK\r\n");
    CHECK_ASKS("SET a xyz NX EX 60", "ms a 3 ME T60\r\nxyz\r\n");
    stage_reply(0, "NS\r\n");
    CHECK_MERGED("$-1\r\n");
    CHECK_ASKS("SET a x pxat 1800000000000 xx", "ms a 1 MR T1800000000\r\nx\r\n");
    CHECK_ASKS("SETEX a 2592000 x", "ms a 1 T2592000\r\nx\r\n");
    CHECK_ASKS("PSETEX a 5000 x", "ms a 1 T5\r\nx\r\n");
    CHECK_ASKS("SETNX a x", "ms a 1 ME\r\nx\r\n");
    stage_reply(0, "NS\r\n");
    CHECK_MERGED(":0\r\n");
    CHECK_ASKS("SET a x GET", "mg a v t f c\r\n");
    goes_on("VA 1 t-1 f7 c3\r\nw\r\n");
    CHECK_ASKED("ms a 1 C3\r\nx\r\n");
    stage_reply(0, "HD\r\n");
    CHECK_MERGED("$1\r\nw\r\n");
    stage_end();
}

static void a_key_that_is_no_word_goes_in_base64(void)
{
    struct slice words[] = { bytes("GET"), bytes("a b") };

    begin();
    stage_say_words(words, 2);
    CHECK_ASKED("mg YSBi b v\r\n");
    stage_end();
}

static void what_changed_meanwhile_is_read_and_changed_anew(void)
{
    begin();
    CHECK_ASKS("INCRBY a -5", "mg a v t f c\r\n");
    CHECK(op.alone);
    goes_on("VA 1 t-1 f2 c7\r\n3\r\n");
    CHECK_ASKED("ms a 2 F2 C7\r\n-2\r\n");
    goes_on("EX\r\n");
    CHECK_ASKED("mg a v t f c\r\n");
    goes_on("EN\r\n");
    CHECK_ASKED("ms a 2 ME\r\n-5\r\n");
    goes_on("NS\r\n");
    CHECK_ASKED("mg a v t f c\r\n");
    goes_on("VA 1 t-1 f0 c9\r\n9\r\n");
    CHECK_ASKED("ms a 1 F0 C9\r\n4\r\n");
    stage_reply(0, "HD\r\n");
    CHECK_MERGED(":4\r\n");
    stage_end();
}

static void it_is_not_tried_for_ever(void)
{
    bool goes = true;
    int rounds = 0;

    begin();
    for (stage_say("INCR a"); goes && rounds < 1000; rounds++) {
        stage_reply(0, rounds % 2 == 0 ? "EN\r\n" : "NS\r\n");
        goes = !stage_merge();
    }
    CHECK(rounds < 300);
    CHECK(slice_starts(buf_all(&merged), slice_text("-ERR others changed the key")));
    stage_end();
}

static void what_changes_nothing_is_answered_after_one_round(void)
{
    begin();
    CHECK_ASKS("INCR a", "mg a v t f c\r\n");
    stage_reply(0, "VA 1 t-1 f0 c7\r\nx\r\n");
    CHECK_MERGED("-ERR value is not an integer or out of range\r\n");
    stage_say("GETRANGE a 1 1");
    stage_reply(0, "VA 3 t-1 f0 c7\r\nxyz\r\n");
    CHECK_MERGED("$1\r\ny\r\n");
    stage_say("GETDEL a");
    stage_reply(0, "EN\r\n");
    CHECK_MERGED("$-1\r\n");
    stage_end();
}

#define STATS(time) "STAT pid 1\r\nSTAT time " time "\r\nSTAT threads 1\r\nEND\r\n"

static void the_end_of_a_life_stays_by_the_servers_clock(void)
{
    begin();
    CHECK_ASKS("SET a x KEEPTTL", "mg a v t f c\r\n");
    goes_on("VA 1 t50 f0 c7\r\nw\r\n");
    CHECK_ASKED("stats\r\nmg a v t f c\r\nstats\r\n");
    CHECK_INT(op.parts[0].replies, 3);
    goes_on(STATS("1800000000") "VA 1 t50 f0 c7\r\nw\r\n" STATS("1800000001"));
    CHECK_ASKED("stats\r\nmg a v t f c\r\nstats\r\n"); /* which of the two seconds it was? */
    goes_on(STATS("1800000001") "VA 1 t49 f0 c7\r\nw\r\n" STATS("1800000001"));
    CHECK_ASKED("ms a 1 T1800000050 C7\r\nx\r\n");
    stage_reply(0, "HD\r\n");
    CHECK_MERGED("+OK\r\n");
    CHECK_ASKS("EXPIRETIME a", "stats\r\nmg a v t f c\r\nstats\r\n");
    stage_reply(0, STATS("1800000001") "VA 1 t49 f0 c7\r\nw\r\n" STATS("1800000001"));
    CHECK_MERGED(":1800000050\r\n");
    stage_end();
}

static void times_become_what_memcached_takes(void)
{
    begin();
    stage_say("EXPIRE a 60");
    goes_on("VA 1 t-1 f0 c7\r\nw\r\n");
    CHECK_ASKED("ms a 1 T60 F0 C7\r\nw\r\n");
    stage_say("EXPIRE a 0");
    goes_on("VA 1 t-1 f0 c7\r\nw\r\n");
    CHECK_ASKED("md a C7\r\n");
    stage_say("EXPIRE a 2592001"); /* beyond 30 days it is a time of day */
    goes_on("VA 1 t-1 f0 c7\r\nw\r\n");
    goes_on(STATS("1800000000") "VA 1 t-1 f0 c7\r\nw\r\n" STATS("1800000000"));
    CHECK_ASKED("ms a 1 T1802592001 F0 C7\r\nw\r\n");
    CHECK_REFUSED("SET a x PX 1500", "whole seconds");
    CHECK_REFUSED("PEXPIRE a 1", "whole seconds");
    CHECK_REFUSED("GETEX a PX 1", "whole seconds");
    stage_say("SET a x PXAT 1800000000001"); /* over or not by the server's clock */
    goes_on("VA 1 t-1 f0 c7\r\nw\r\n");
    stage_reply(0, STATS("1800000000") "VA 1 t-1 f0 c7\r\nw\r\n" STATS("1800000000"));
    CHECK(stage_merge());
    CHECK(memmem(merged.at, merged.len, "whole seconds", 13) != NULL);
    stage_say("SET a x PXAT 1500");
    goes_on("VA 1 t-1 f0 c7\r\nw\r\n");
    goes_on(STATS("1800000000") "VA 1 t-1 f0 c7\r\nw\r\n" STATS("1800000000"));
    CHECK_ASKED("md a C7\r\n");
    stage_say("EXPIREAT a 4000000000");
    stage_reply(0, STATS("1800000000") "VA 1 t-1 f0 c7\r\nw\r\n" STATS("1800000000"));
    CHECK(stage_merge());
    CHECK(memmem(merged.at, merged.len, "2038", 4) != NULL);
    stage_end();
}

/* A key of another shard than "a". */
static char other_key(void)
{
    char key[] = "b";

    while (stage_shard_of(key) == stage_shard_of("a") && key[0] < 'z')
        key[0]++;
    return key[0];
}

static void many_keys_are_asked_for_once_per_shard(void)
{
    char line[64];

    begin();
    snprintf(line, sizeof(line), "MGET a %c a", other_key());
    stage_say(line);
    CHECK_INT(op.part_count, 2);
    CHECK_BYTES(op.parts[0].bytes, bytes("mg a v\r\nmg a v\r\n"));
    CHECK_INT(op.parts[1].replies, 1);
    stage_reply(0, "VA 1\r\n1\r\nVA 1\r\n1\r\n");
    stage_reply(1, "EN\r\n");
    CHECK_MERGED("*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n1\r\n");
    snprintf(line, sizeof(line), "DEL a %c", other_key());
    stage_say(line);
    stage_reply(0, "HD\r\n");
    stage_reply(1, "NF\r\n");
    CHECK_MERGED(":1\r\n");
    stage_say(line);
    stage_reply(0, "HD\r\n");
    stage_fail(1, "-ERR it is down\r\n");
    CHECK_MERGED("-ERR it is down (1 of 2 shards did their part of this 'del')\r\n");
    snprintf(line, sizeof(line), "MSET a 1 %c 22", other_key());
    stage_say(line);
    CHECK_BYTES(op.parts[0].bytes, bytes("ms a 1\r\n1\r\n"));
    stage_reply(0, "HD\r\n");
    stage_reply(1, "SERVER_ERROR out of memory storing object\r\n");
    CHECK_MERGED("-OOM memcached answered: SERVER_ERROR out of memory storing object\r\n");
    stage_end();
}

static void answers_of_no_memcached_are_errors(void)
{
    static const char *const LINES[] = { "GET a", "STRLEN a", "TTL a", "SET a x", "INCR a" };
    static const char *const ANSWERS[] = { "STORED\r\n", "HD\r\n", "VA 1 t\r\nx\r\n", "" };

    begin();
    for (size_t i = 0; i < sizeof(LINES) / sizeof(LINES[0]); i++)
        for (size_t k = 0; k < sizeof(ANSWERS) / sizeof(ANSWERS[0]); k++) {
            bool is_done = strcmp(LINES[i], "SET a x") == 0 && k == 1;
            bool is_value = i == 0 && k == 2;

            stage_say(LINES[i]);
            stage_reply(0, ANSWERS[k]);
            CHECK(stage_merge());
            CHECK(merged.len > 0 && (is_done || is_value || merged.at[0] == '-'));
        }
    stage_end();
}

static void a_flush_is_done_when_every_server_says_so(void)
{
    static const char ODD[] =
        "-ERR shard 1 (10.0.0.1:6379) of pool sessions: the server answered something else than it "
        "was asked; see what listens at its address, and what stands between\r\n";
    static const char *const ANSWERS[][2] = {
        { "STORED\r\n", ODD },
        { "EN\r\nSTORED\r\n", ODD },
        { "OK\r\nEN\r\n", ODD },
        { "", ODD },
        { "OK\r\nSTORED\r\nSTORED\r\n", ODD },
        { "OK\r\nSERVER_ERROR full\r\n", "-ERR memcached answered: SERVER_ERROR full\r\n" },
        { "OK\r\nSTORED\r\n", "+OK\r\n" },
    };

    begin();
    for (size_t i = 0; i < sizeof(ANSWERS) / sizeof(ANSWERS[0]); i++) {
        stage_say("FLUSHALL");
        stage_reply(0, "OK\r\nNOT_STORED\r\n");
        stage_reply(1, ANSWERS[i][0]);
        CHECK_MERGED(ANSWERS[i][1]);
    }
    stage_end();
}

static void what_can_not_be_said_is_refused_with_the_reason(void)
{
    begin();
    CHECK_REFUSED("HSET a f v", "'hset' can't be served over memcached: it has strings only");
    CHECK_REFUSED("MULTI", "no transactions");
    CHECK_REFUSED("EVAL x 0", "no scripts");
    CHECK_REFUSED("SUBSCRIBE c", "no channels");
    CHECK_REFUSED("KEYS *", "no list of its keys");
    CHECK_REFUSED("OBJECT FREQ a", "nothing like it");
    CHECK_REFUSED("SELECT 1", "DB index");
    CHECK_REFUSED("NOSUCH a", "unknown command");
    CHECK_REFUSED("GET \"\"", "1 to 250");
    CHECK_REFUSED("GET " SHARD_STAMP_KEY, "mark");
    CHECK_ANSWER("PING", "+PONG\r\n");
    stage_end();
}

/* Whatever the table of commands has: it is planned or refused, and nothing is sent that is no
 * command of memcached's. */
static void every_command_has_its_place(void)
{
    const struct redis_command *cmd;
    const struct redis_over *row;

    for (size_t i = 0; (row = redis_over_at(i)) != NULL; i++)
        CHECK(row->name[0] == '@' || redis_command_named(slice_text(row->name)) != NULL);
    begin();
    for (size_t i = 0; (cmd = redis_command_at(i)) != NULL; i++) {
        struct slice words[8] = { { 0 } };
        const char *bar = strchr(cmd->name, '|');
        size_t count = (size_t)(cmd->arity < 0 ? -cmd->arity : cmd->arity), first = 1;

        words[0] = slice_of(cmd->name, bar == NULL ? cmd->name_len : (size_t)(bar - cmd->name));
        if (bar != NULL)
            words[first++] = slice_text(bar + 1);
        for (size_t k = first; k < count; k++)
            words[k] = slice_text("1");
        stage_say_words(words, count);
        CHECK(op.way == MEMORY_ANSWERED || op.way == MEMORY_PARTS || op.way == MEMORY_INQUIRY);
        if (op.way != MEMORY_PARTS || op.parts[0].bytes.len == 0)
            continue;
        CHECK(op.parts[0].bytes.at[0] == 'm' || op.parts[0].bytes.at[0] == 's' ||
              op.parts[0].bytes.at[0] == 'f');
        CHECK(op.merge != NULL);
    }
    stage_end();
}

int main(void)
{
    RUN(a_command_that_memcached_has_is_one_round);
    RUN(set_is_one_round_unless_it_needs_what_was_there);
    RUN(a_key_that_is_no_word_goes_in_base64);
    RUN(what_changed_meanwhile_is_read_and_changed_anew);
    RUN(it_is_not_tried_for_ever);
    RUN(what_changes_nothing_is_answered_after_one_round);
    RUN(the_end_of_a_life_stays_by_the_servers_clock);
    RUN(times_become_what_memcached_takes);
    RUN(many_keys_are_asked_for_once_per_shard);
    RUN(answers_of_no_memcached_are_errors);
    RUN(a_flush_is_done_when_every_server_says_so);
    RUN(what_can_not_be_said_is_refused_with_the_reason);
    RUN(every_command_has_its_place);
    return check_report();
}
