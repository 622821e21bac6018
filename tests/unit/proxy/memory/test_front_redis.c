/* One-key commands, errors before any shard is asked, and the session's own answers. */
#include "tests/unit/proxy/memory/redis_stage.h"

static void a_get_is_forwarded_as_it_came_to_the_shard_of_its_key(void)
{
    stage_begin(2);
    stage_say("GET a");
    CHECK_PART(0, stage_shard_of("a"), "*2\r\n$3\r\nGET\r\n$1\r\na\r\n");
    CHECK(op.merge == NULL);
    CHECK(op.parts == &op.one);
    CHECK(op.one.bytes.at == sent.at);
    CHECK_INT(op.part_count, 1);
    CHECK_INT(op.one.replies, 1);
    CHECK_INT(op.lease, MEMORY_SHARED);
    CHECK_BYTES(op.key, bytes("a"));
    CHECK_TEXT(op.name, "get");
    CHECK(!op.is_write);
    stage_say("incr b");
    CHECK_PART(0, stage_shard_of("b"), "*2\r\n$4\r\nincr\r\n$1\r\nb\r\n");
    CHECK(op.is_write);
    stage_end();
}

static void an_inline_request_is_sent_in_the_servers_form(void)
{
    stage_begin(1);
    buf_text(&sent, "set 'a b' \"\\x00\"\r\n");
    CHECK_INT(stage_take(), PARSE_DONE);
    CHECK_INT(op.way, MEMORY_PARTS);
    CHECK_BYTES(op.one.bytes, bytes("*3\r\n$3\r\nset\r\n$3\r\na b\r\n$1\r\n\0\r\n"));
    stage_end();
}

static void an_empty_line_is_nothing(void)
{
    stage_begin(1);
    buf_text(&sent, "\r\n");
    CHECK_INT(stage_take(), PARSE_DONE);
    CHECK_INT(op.way, MEMORY_NOTHING);
    stage_end();
}

static void protocol_errors_have_redis_words(void)
{
    static const struct {
        const char *in, *out;
    } CASES[] = {
        { "*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n" },
        { "*1\r\nPING\r\n", "-ERR Protocol error: expected '$', got 'P'\r\n" },
        { "*1\r\n$x\r\n", "-ERR Protocol error: invalid bulk length\r\n" },
        { "PING \"\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n" },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        stage_begin(1);
        buf_text(&sent, CASES[i].in);
        CHECK_INT(stage_take(), PARSE_BAD);
        CHECK_BYTES(buf_all(&last_words), slice_text(CASES[i].out));
        stage_end();
    }
}

static void every_prefix_of_a_request_asks_for_more(void)
{
    static const char SET[] = "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nhello\r\n";

    for (size_t n = 0; n < sizeof(SET) - 1; n++) {
        size_t need = 0;

        stage_begin(1);
        CHECK_INT(memory_front_redis.parse(&site, state, slice_of(SET, n), &op, &need, &last_words),
                  PARSE_MORE);
        CHECK(need > n);
        stage_end();
    }
}

static void wrong_commands_are_told_as_redis_tells_them(void)
{
    stage_begin(2);
    CHECK_ANSWER("GET", "-ERR wrong number of arguments for 'get' command\r\n");
    CHECK_ANSWER("get a b", "-ERR wrong number of arguments for 'get' command\r\n");
    CHECK_ANSWER("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n");
    CHECK_ANSWER("CLIENT NOPE x", "-ERR unknown subcommand 'NOPE'. Try CLIENT HELP.\r\n");
    CHECK_ANSWER("CLIENT MAINT_NOTIFICATIONS on",
                 "-ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP.\r\n");
    CHECK_ANSWER("CONFIG", "-ERR wrong number of arguments for 'config' command\r\n");
    CHECK_ANSWER(line_of("RENAME %s %s", stage_key(0, 0), stage_key(1, 0)),
                 "-CROSSSLOT Keys in request don't hash to the same slot\r\n");
    stage_say("RENAME {t}a {t}b");
    CHECK_INT(op.way, MEMORY_PARTS);
    stage_end();
}

static void the_stamp_is_not_for_clients(void)
{
    stage_begin(2);
    CHECK_ANSWER("GET sheaf:stamp", "-ERR 'sheaf:stamp' is the pool's own mark on this shard and "
                                    "can't be used through the pool\r\n");
    CHECK_ANSWER("DEL a sheaf:stamp", "-ERR 'sheaf:stamp' is the pool's own mark on this shard and "
                                      "can't be used through the pool\r\n");
    CHECK_ANSWER("SELECT 1", "+OK\r\n");
    stage_say("GET sheaf:stamp");
    CHECK_INT(op.way, MEMORY_PARTS);
    stage_end();
}

static void pings_are_answered_here(void)
{
    stage_begin(2);
    CHECK_ANSWER("PING", "+PONG\r\n");
    CHECK_ANSWER("PING hi", "$2\r\nhi\r\n");
    CHECK_ANSWER("PING a b", "-ERR wrong number of arguments for 'ping' command\r\n");
    CHECK_ANSWER("ECHO hi", "$2\r\nhi\r\n");
    state->subscribed = true;
    CHECK_ANSWER("PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    CHECK_ANSWER("PING x", "*2\r\n$4\r\npong\r\n$1\r\nx\r\n");
    CHECK_ANSWER("GET a", "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING "
                          "/ QUIT / RESET are allowed in this context\r\n");
    stage_end();
}

static void refusals_name_what_is_wrong(void)
{
    struct memory_refusal why = { .err = ERR_DOWN,
                                  .shard = 1,
                                  .endpoint = "10.0.0.2:6379",
                                  .pool = "sessions",
                                  .text = "connection refused" };

    stage_begin(2);
    memory_front_redis.refuse(state, &why, &answer);
    CHECK_BYTES(
        buf_all(&answer),
        bytes("-ERR shard 1 (10.0.0.2:6379) of pool sessions is down: connection refused\r\n"));
    buf_clear(&answer);
    why.text = NULL;
    why.err = ERR_TIMEOUT;
    memory_front_redis.refuse(state, &why, &answer);
    CHECK_BYTES(buf_all(&answer),
                bytes("-ERR shard 1 (10.0.0.2:6379) of pool sessions: deadline passed\r\n"));
    buf_clear(&answer);
    why.err = ERR_DOWN;
    why.text = "LOADING Redis is loading the dataset in memory";
    memory_front_redis.refuse(state, &why, &answer);
    CHECK(slice_starts(buf_all(&answer), bytes("-LOADING shard 1 (10.0.0.2:6379) of pool ")));
    buf_clear(&answer);
    why.text = "is loading its data";
    why.is_loading = true;
    memory_front_redis.refuse(state, &why, &answer);
    CHECK(slice_starts(buf_all(&answer), bytes("-LOADING shard 1 (10.0.0.2:6379) of pool ")));
    stage_end();
}

int main(void)
{
    RUN(a_get_is_forwarded_as_it_came_to_the_shard_of_its_key);
    RUN(an_inline_request_is_sent_in_the_servers_form);
    RUN(an_empty_line_is_nothing);
    RUN(protocol_errors_have_redis_words);
    RUN(every_prefix_of_a_request_asks_for_more);
    RUN(wrong_commands_are_told_as_redis_tells_them);
    RUN(the_stamp_is_not_for_clients);
    RUN(pings_are_answered_here);
    RUN(refusals_name_what_is_wrong);
    return check_report();
}
