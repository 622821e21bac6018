/* Who may come in, and what they may do. */
#include "tests/unit/proxy/memory/redis_stage.h"

#define NOAUTH        "-NOAUTH Authentication required.\r\n"
#define WRONGPASS     "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
#define MAY_NOT(name) "-NOPERM this user has no permissions to run the '" name "' command\r\n"
#define NO_KEY                                                                                     \
    "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n"

static struct user_password words[] = {
    { .text = "secret" },
    { .text = "root" },
    /* SHA-256 of "hashed". */
    { .sha256 = { 0x1a, 0x06, 0xdf, 0x82, 0x4e, 0xd7, 0x41, 0xb5, 0x3c, 0x78, 0x50,
                  0x79, 0xa6, 0x34, 0x7f, 0x00, 0xee, 0xc5, 0xaf, 0x82, 0xf9, 0x85,
                  0x07, 0x75, 0x40, 0x9c, 0xa6, 0x9d, 0xff, 0x40, 0x68, 0xa6 } },
};
static struct slice prefixes[] = { { (const uint8_t *)"app:", 4 }, { (const uint8_t *)"x:", 2 } };
static const char *reads[] = { "@read", "@scripting", "publish" };
static const char *denied[] = { "keys", "@dangerous", "client" };

static struct user_settings users[] = {
    { .name = "default", .passwords = &words[0], .password_count = 1 },
    { .name = "root", .passwords = &words[1], .password_count = 1, .admin = true },
    { .name = "app",
      .passwords = &words[1],
      .password_count = 2,
      .key_prefixes = prefixes,
      .key_prefix_count = 2 },
    { .name = "reader", .nopass = true, .allow = reads, .allow_count = 3 },
    { .name = "tame", .nopass = true, .deny = denied, .deny_count = 3 },
};

static void begin(void)
{
    stage_begin_with(2, users, 5);
}

static void nothing_is_done_before_the_login(void)
{
    begin();
    CHECK(!state->logged_in);
    CHECK_ANSWER("GET a", NOAUTH);
    CHECK_ANSWER("PING", NOAUTH);
    CHECK_ANSWER("GET", "-ERR wrong number of arguments for 'get' command\r\n");
    CHECK_ANSWER("FOO", "-ERR unknown command 'FOO', with args beginning with: \r\n");
    CHECK_ANSWER(
        "HELLO 3",
        "-NOAUTH HELLO must be called with the client already authenticated, otherwise the "
        "HELLO AUTH <user> <pass> option can be used to authenticate the client and select "
        "the RESP protocol version at the same time\r\n");
    CHECK_INT(state->version, 2);
    CHECK_ANSWER("AUTH bad", WRONGPASS);
    CHECK_ANSWER("AUTH nobody secret", WRONGPASS);
    CHECK_ANSWER("AUTH secret", "+OK\r\n");
    CHECK(state->logged_in);
    CHECK_TEXT(state->user, "default");
    stage_say("GET a");
    CHECK_INT(op.way, MEMORY_PARTS);
    CHECK_ANSWER("AUTH app secret", WRONGPASS);
    stage_say("GET a");
    CHECK_INT(op.way, MEMORY_PARTS);
    CHECK_ANSWER("QUIT", "+OK\r\n");
    CHECK(state->closes);
    stage_end();
}

static void a_stranger_may_send_only_little(void)
{
    begin();
    buf_text(&sent, "*11\r\n");
    CHECK_INT(stage_take(), PARSE_BAD);
    CHECK_BYTES(buf_all(&last_words),
                bytes("-ERR Protocol error: unauthenticated multibulk length\r\n"));
    buf_clear(&sent);
    buf_text(&sent, "*1\r\n$16385\r\n");
    CHECK_INT(stage_take(), PARSE_BAD);
    CHECK_BYTES(buf_all(&last_words),
                bytes("-ERR Protocol error: unauthenticated bulk length\r\n"));
    stage_end();
}

static void passwords_may_be_kept_as_hashes_and_users_have_several(void)
{
    begin();
    CHECK_ANSWER("AUTH app root", "+OK\r\n");
    CHECK_ANSWER("AUTH app hashed", "+OK\r\n");
    CHECK_ANSWER("AUTH app Hashed", WRONGPASS);
    CHECK_ANSWER("AUTH reader whatever", "+OK\r\n");
    stage_end();
}

static void hello_logs_in(void)
{
    struct memory_portrait portrait;

    begin();
    stage_say("HELLO 3 AUTH default secret SETNAME me");
    CHECK(slice_starts(buf_all(&answer), bytes("%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n")));
    CHECK_INT(state->version, 3);
    memory_front_redis.portray(state, &portrait);
    CHECK_TEXT(portrait.name, "me");
    CHECK_ANSWER("HELLO 2 AUTH default no", WRONGPASS);
    CHECK_INT(state->version, 3);
    stage_end();
}

static void keys_outside_the_prefixes_are_refused(void)
{
    begin();
    CHECK_ANSWER("AUTH app hashed", "+OK\r\n");
    CHECK_ANSWER("GET a", NO_KEY);
    CHECK_ANSWER("MGET app:1 b", NO_KEY);
    CHECK_ANSWER("PUBLISH b x",
                 "-NOPERM this user has no permissions to access one of the channels "
                 "used as arguments\r\n");
    CHECK_ANSWER("SUBSCRIBE b",
                 "-NOPERM this user has no permissions to access one of the channels "
                 "used as arguments\r\n");
    CHECK_ANSWER("EVAL x 0",
                 "-NOPERM scripts can reach any key, so a user with key prefixes may not "
                 "run 'eval'\r\n");
    stage_say("GET app:1");
    CHECK_INT(op.way, MEMORY_PARTS);
    stage_say("SUBSCRIBE x:1");
    CHECK_INT(op.way, MEMORY_SUBSCRIBE);
    stage_say("MGET app:1 x:2");
    CHECK_INT(op.way, MEMORY_PARTS);
    stage_end();
}

static void commands_need_to_be_allowed(void)
{
    begin();
    CHECK_ANSWER("AUTH reader x", "+OK\r\n");
    CHECK_ANSWER("SET a 1", MAY_NOT("set"));
    CHECK_ANSWER("CONFIG GET a", MAY_NOT("config|get"));
    CHECK_ANSWER("PING", MAY_NOT("ping"));
    stage_say("GET a");
    CHECK_INT(op.way, MEMORY_PARTS);
    stage_say("EVAL x 0");
    CHECK_INT(op.way, MEMORY_PARTS);
    stage_say("PUBLISH a x");
    CHECK_INT(op.way, MEMORY_PARTS);
    CHECK_ANSWER("AUTH tame x", "+OK\r\n");
    CHECK_ANSWER("KEYS *", MAY_NOT("keys"));
    CHECK_ANSWER("FLUSHALL", MAY_NOT("flushall"));
    CHECK_ANSWER("CLIENT ID", MAY_NOT("client|id"));
    stage_say("SET a 1");
    CHECK_INT(op.way, MEMORY_PARTS);
    stage_end();
}

static void dangerous_administration_needs_the_word(void)
{
    begin();
    CHECK_ANSWER("AUTH secret", "+OK\r\n");
    CHECK_ANSWER("SHUTDOWN", "-NOPERM 'shutdown' is dangerous administration: it needs a user with "
                             "'admin' in pool sessions's configuration\r\n");
    CHECK_ANSWER("AUTH root root", "+OK\r\n");
    stage_say("CONFIG SET maxmemory 1");
    CHECK_INT(op.way, MEMORY_PARTS);
    CHECK_INT(op.part_count, 2);
    CHECK_ANSWER("SYNC",
                 "-ERR 'sync' can't work through a pool of shards: it belongs to one server\r\n");
    stage_end();
    stage_begin(2);
    stage_say("DEBUG SLEEP 1");
    CHECK_INT(op.way, MEMORY_ANSWERED);
    CHECK_ANSWER("AUTH x", "-ERR AUTH <password> called without any password configured for the "
                           "default user. Are you sure your configuration is correct?\r\n");
    CHECK_ANSWER("AUTH default x", "+OK\r\n");
    CHECK_ANSWER("AUTH bob x", WRONGPASS);
    CHECK_ANSWER("ACL WHOAMI", "$7\r\ndefault\r\n");
    stage_end();
}

static void reset_logs_out(void)
{
    begin();
    CHECK_ANSWER("AUTH app hashed", "+OK\r\n");
    CHECK_ANSWER("ACL WHOAMI", "$3\r\napp\r\n");
    CHECK_ANSWER("RESET", "+RESET\r\n");
    CHECK_ANSWER("GET app:1", NOAUTH);
    stage_end();
}

static void a_reload_that_moves_or_removes_users_is_followed(void)
{
    struct user_settings moved[2] = { users[0], users[2] };

    begin();
    CHECK_ANSWER("AUTH app hashed", "+OK\r\n");
    pool.users = moved;
    pool.user_count = 2;
    CHECK_ANSWER("GET a", NO_KEY);
    stage_say("GET app:1");
    CHECK_INT(op.way, MEMORY_PARTS);
    pool.user_count = 1;
    CHECK_ANSWER("GET app:1", NOAUTH);
    pool.user_count = 0;
    stage_say("GET app:1");
    CHECK_INT(op.way, MEMORY_PARTS);
    stage_end();
}

int main(void)
{
    RUN(nothing_is_done_before_the_login);
    RUN(a_stranger_may_send_only_little);
    RUN(passwords_may_be_kept_as_hashes_and_users_have_several);
    RUN(hello_logs_in);
    RUN(keys_outside_the_prefixes_are_refused);
    RUN(commands_need_to_be_allowed);
    RUN(dangerous_administration_needs_the_word);
    RUN(reset_logs_out);
    RUN(a_reload_that_moves_or_removes_users_is_followed);
    return check_report();
}
