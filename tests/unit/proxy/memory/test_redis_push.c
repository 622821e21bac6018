#include "proxy/memory/redis_push.h"
#include "tests/unit/check.h"

static struct redis_push read_push(struct slice frame)
{
    struct redis_push push;

    redis_push_read(frame, &push);
    return push;
}

static void messages_of_each_space_are_known_in_both_protocols(void)
{
    struct redis_push push;

    push = read_push(bytes("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n"));
    CHECK_INT(push.kind, REDIS_PUSH_MESSAGE);
    CHECK_INT(push.space, REDIS_CHANNELS);
    CHECK_BYTES(push.name, bytes("news"));
    push = read_push(bytes(">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n"));
    CHECK_INT(push.kind, REDIS_PUSH_MESSAGE);
    CHECK_INT(push.space, REDIS_PATTERNS);
    CHECK_BYTES(push.name, bytes("n*"));
    push = read_push(bytes(">3\r\n$8\r\nsmessage\r\n$0\r\n\r\n$0\r\n\r\n"));
    CHECK_INT(push.kind, REDIS_PUSH_MESSAGE);
    CHECK_INT(push.space, REDIS_SHARD_CHANNELS);
    CHECK_BYTES(push.name, bytes(""));
}

static void confirmations_are_known_and_a_null_name_is_none(void)
{
    struct redis_push push = read_push(bytes("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"));

    CHECK_INT(push.kind, REDIS_PUSH_CONFIRMATION);
    CHECK_INT(push.space, REDIS_CHANNELS);
    push = read_push(bytes(">3\r\n$12\r\npunsubscribe\r\n_\r\n:0\r\n"));
    CHECK_INT(push.kind, REDIS_PUSH_CONFIRMATION);
    CHECK_INT(push.space, REDIS_PATTERNS);
    CHECK_INT(push.name.len, 0);
}

static void errors_and_all_else_are_told_apart(void)
{
    CHECK_INT(read_push(bytes("-NOPERM no\r\n")).kind, REDIS_PUSH_ERROR);
    CHECK_INT(read_push(bytes("!6\r\nNOPERM\r\n")).kind, REDIS_PUSH_ERROR);
    CHECK_INT(read_push(bytes("+PONG\r\n")).kind, REDIS_PUSH_OTHER);
    CHECK_INT(read_push(bytes("*2\r\n$4\r\npong\r\n$0\r\n\r\n")).kind, REDIS_PUSH_OTHER);
    CHECK_INT(read_push(bytes(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n")).kind,
              REDIS_PUSH_OTHER);
    CHECK_INT(read_push(bytes("$7\r\nmessage\r\n")).kind, REDIS_PUSH_OTHER);
    CHECK_INT(read_push(bytes("%3\r\n")).kind, REDIS_PUSH_OTHER);
    CHECK_INT(read_push(bytes("")).kind, REDIS_PUSH_OTHER);
}

static void every_prefix_of_a_message_is_read_without_harm(void)
{
    struct slice whole = bytes(">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n");
    size_t name_ends = sizeof(">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n") - 1;

    for (size_t n = 0; n < name_ends; n++)
        CHECK_INT(read_push(slice_of(whole.at, n)).kind, REDIS_PUSH_OTHER);
}

static void commands_have_a_space_and_a_direction(void)
{
    CHECK_INT(redis_subscribing_of("subscribe").space, REDIS_CHANNELS);
    CHECK(!redis_subscribing_of("subscribe").ends);
    CHECK_INT(redis_subscribing_of("psubscribe").space, REDIS_PATTERNS);
    CHECK_INT(redis_subscribing_of("ssubscribe").space, REDIS_SHARD_CHANNELS);
    CHECK(redis_subscribing_of("unsubscribe").ends);
    CHECK_INT(redis_subscribing_of("unsubscribe").space, REDIS_CHANNELS);
    CHECK_INT(redis_subscribing_of("punsubscribe").space, REDIS_PATTERNS);
    CHECK(redis_subscribing_of("sunsubscribe").ends);
    CHECK_INT(redis_subscribing_of("sunsubscribe").space, REDIS_SHARD_CHANNELS);
}

static void check_confirmation(unsigned version, const char *command, struct slice name,
                               uint64_t count, struct slice expected)
{
    struct buf out = { 0 };

    redis_push_confirm(&out, version, redis_subscribing_of(command), name, count);
    CHECK_BYTES(buf_all(&out), expected);
    buf_fini(&out);
}

static void confirmations_are_written_as_redis_does(void)
{
    check_confirmation(2, "subscribe", bytes("a"), 1,
                       bytes("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"));
    check_confirmation(3, "psubscribe", bytes(""), 12,
                       bytes(">3\r\n$10\r\npsubscribe\r\n$0\r\n\r\n:12\r\n"));
    check_confirmation(2, "unsubscribe", (struct slice){ 0 }, 0,
                       bytes("*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"));
    check_confirmation(3, "sunsubscribe", (struct slice){ 0 }, 2,
                       bytes(">3\r\n$12\r\nsunsubscribe\r\n_\r\n:2\r\n"));
}

static void a_command_carries_all_its_names(void)
{
    struct buf names = { 0 }, out = { 0 };

    redis_push_put_name(&names, bytes("a"));
    redis_push_put_name(&names, bytes("\r\n"));
    redis_push_put_command(&out, redis_subscribing_of("subscribe"), 2, buf_all(&names));
    CHECK_BYTES(buf_all(&out), bytes("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n$2\r\n\r\n\r\n"));
    buf_fini(&names);
    buf_fini(&out);
}

static void keyspace_events_come_from_all_servers(void)
{
    CHECK(redis_channel_is_of_all_servers(bytes("__keyspace@0__:k")));
    CHECK(redis_channel_is_of_all_servers(bytes("__keyevent@0__:expired")));
    CHECK(!redis_channel_is_of_all_servers(bytes("__keyspace")));
    CHECK(!redis_channel_is_of_all_servers(bytes("news")));
}

int main(void)
{
    RUN(messages_of_each_space_are_known_in_both_protocols);
    RUN(confirmations_are_known_and_a_null_name_is_none);
    RUN(errors_and_all_else_are_told_apart);
    RUN(every_prefix_of_a_message_is_read_without_harm);
    RUN(commands_have_a_space_and_a_direction);
    RUN(confirmations_are_written_as_redis_does);
    RUN(a_command_carries_all_its_names);
    RUN(keyspace_events_come_from_all_servers);
    return check_report();
}
