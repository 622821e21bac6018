/* How an upstream is made ready, and what its replies are. */
#define HELLO_BACK memory_back_redis

#include "health/reason.h"
#include "tests/unit/proxy/memory/hello_stage.h"

#define GET_STAMP "*2\r\n$3\r\nGET\r\n$1\r\nS\r\n"

static void the_plainest_upstream_is_only_pinged(void)
{
    begin(false);
    CHECK_STEP("", "*1\r\n$4\r\nPING\r\n");
    CHECK_STEP("+PONG\r\n", "");
    end();
}

static void a_login_is_awaited_before_anything_else(void)
{
    begin(true);
    endpoint.user = "bob";
    endpoint.password = "pw";
    endpoint.database = 2;
    greeting.database = 3;
    greeting.leased = true;
    CHECK_STEP("", "*3\r\n$4\r\nAUTH\r\n$3\r\nbob\r\n$2\r\npw\r\n");
    CHECK_STEP("+OK\r\n", "*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n");
    CHECK_STEP("+OK\r\n", GET_STAMP);
    CHECK_STEP("$4\r\nmine\r\n", "*2\r\n$6\r\nSELECT\r\n$1\r\n5\r\n");
    CHECK_STEP("+OK\r\n", "*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n");
    CHECK_STEP(":77\r\n", "");
    CHECK_INT(greeting.server_id, 77);
    end();
}

static void resp3_logs_in_with_hello(void)
{
    begin(false);
    greeting.version = 3;
    CHECK_STEP("", "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n");
    CHECK_STEP("%1\r\n$5\r\nproto\r\n:3\r\n", "");
    begin(false);
    greeting.version = 3;
    endpoint.password = "pw";
    CHECK_STEP("", "*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$2\r\npw\r\n");
    CHECK_REFUSED("-WRONGPASS invalid\r\n", ERR_LOGIN, "WRONGPASS invalid");
    end();
}

static void a_found_stamp_is_shown_to_be_judged(void)
{
    begin(true);
    step("");
    CHECK_STEP("+PONG\r\n", GET_STAMP);
    CHECK(greeting.found_stamp.at == NULL);
    CHECK_STEP("$5\r\nother\r\n", "");
    CHECK_BYTES(greeting.found_stamp, bytes("other"));
    end();
}

static void a_missing_stamp_is_written_unless_another_was_first(void)
{
    begin(true);
    step("");
    step("+PONG\r\n");
    CHECK_STEP("$-1\r\n", "*4\r\n$3\r\nSET\r\n$1\r\nS\r\n$4\r\nmine\r\n$2\r\nNX\r\n");
    CHECK(greeting.found_stamp.at == NULL);
    CHECK_STEP("$-1\r\n", GET_STAMP);
    CHECK_STEP("$6\r\ntheirs\r\n", "");
    CHECK_BYTES(greeting.found_stamp, bytes("theirs"));
    end();
}

static void errors_say_what_the_server_said(void)
{
    begin(true);
    step("");
    CHECK_REFUSED("-LOADING Redis is loading the dataset in memory\r\n", ERR_DOWN,
                  "LOADING Redis is loading the dataset in memory");
    begin(true);
    step("");
    CHECK_REFUSED("-NOAUTH Authentication required.\r\n", ERR_LOGIN,
                  "NOAUTH Authentication required.");
    begin(true);
    step("");
    step("+PONG\r\n");
    CHECK_REFUSED(
        "-NOPERM no permissions\r\n", ERR_LOGIN,
        "its user may not read and write the key 'S' (NOPERM no permissions): allow that, "
        "or set stamp = off");
    begin(true);
    step("");
    step("+PONG\r\n");
    step("$-1\r\n");
    CHECK_REFUSED(
        "-READONLY You can't write against a read only replica.\r\n", ERR_DOWN,
        "its stamp can't be read or written: READONLY You can't write against a read only "
        "replica.");
    begin(true);
    step("");
    CHECK_REFUSED("HTTP/1.1 400 Bad Request\r\n", ERR_PROTOCOL,
                  "its answer is not of the protocol");
    end();
}

static void a_server_without_client_id_is_fine(void)
{
    begin(false);
    greeting.leased = true;
    step("");
    step("+PONG\r\n");
    CHECK_STEP("-ERR unknown command\r\n", "");
    CHECK_INT(greeting.server_id, 0);
    end();
}

static void a_server_that_only_refuses_to_be_pinged_is_used(void)
{
    begin(false);
    step("");
    CHECK_STEP("-NOPERM this user has no permissions\r\n", "");
    begin(false);
    step("");
    CHECK_STEP("-MISCONF Redis is configured to save\r\n", "");
    begin(false);
    endpoint.password = "p";
    step("");
    CHECK_REFUSED("-NOPERM no\r\n", ERR_LOGIN, "NOPERM no");
    end();
}

static void replies_end_where_they_end(void)
{
    static const struct {
        const char *in;
        size_t used;
        bool push;
    } CASES[] = {
        { "+OK\r\n+OK\r\n", 5, false },
        { "$-1\r\n", 5, false },
        { "*2\r\n$1\r\na\r\n*1\r\n:1\r\n-x\r\n", 19, false },
        { ">2\r\n+a\r\n+b\r\n:1\r\n", 12, true },
        { "-keyalreadyexists\r\n", 19, false },
        { "%1\r\n+a\r\n_\r\n", 11, false },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        uint64_t scan[MEMORY_SCAN_BYTES / 8] = { 0 };
        size_t used = 0;
        bool push = true;

        CHECK_INT(memory_back_redis.scan(scan, slice_text(CASES[i].in), &used, &push), PARSE_DONE);
        CHECK_INT(used, CASES[i].used);
        CHECK_INT(push, CASES[i].push);
    }
}

static void every_prefix_of_a_reply_asks_for_more(void)
{
    static const char REPLY[] = "*2\r\n$5\r\nhello\r\n*1\r\n:1\r\n";

    for (size_t n = 0; n < sizeof(REPLY) - 1; n++) {
        uint64_t scan[MEMORY_SCAN_BYTES / 8] = { 0 };
        size_t used = 0, more = 0;
        bool push;

        CHECK_INT(memory_back_redis.scan(scan, slice_of(REPLY, n), &used, &push), PARSE_MORE);
        CHECK(used <= n);
        CHECK_INT(memory_back_redis.scan(scan, slice_of(REPLY + used, sizeof(REPLY) - 1 - used),
                                         &more, &push),
                  PARSE_DONE);
        CHECK_INT(used + more, sizeof(REPLY) - 1);
    }
}

static void some_errors_are_news_of_the_server(void)
{
    CHECK_TEXT(memory_back_redis.trouble(bytes("-LOADING Redis is loading\r\n")), "loading");
    CHECK_TEXT(memory_back_redis.trouble(bytes("-OOM\r\n")), "oom");
    CHECK(memory_back_redis.trouble(bytes("-OOMPH\r\n")) == NULL);
    CHECK(memory_back_redis.trouble(bytes("-ERR x\r\n")) == NULL);
    CHECK(memory_back_redis.trouble(bytes("$7\r\nLOADING\r\n")) == NULL);
}

static void all_news_of_the_server_are_in_healths_words(void)
{
    static const char *const REPLIES[] = {
        "-LOADING x\r\n",     "-READONLY x\r\n", "-MASTERDOWN x\r\n", "-OOM x\r\n",
        "-BUSY x\r\n",        "-MISCONF x\r\n",  "-NOREPLICAS x\r\n", "-NOAUTH x\r\n",
        "-CLUSTERDOWN x\r\n", "-TRYAGAIN x\r\n", "-MOVED 1 x\r\n"
    };

    for (size_t i = 0; i < sizeof(REPLIES) / sizeof(REPLIES[0]); i++) {
        const char *word = memory_back_redis.trouble(slice_text(REPLIES[i]));
        bool known = false;

        for (int reason = 0; reason < HEALTH_REASONS; reason++)
            known = known || strcmp(reason_word((enum health_reason)reason), word) == 0;
        CHECK(known);
    }
}

static void an_upstream_is_unblocked_by_its_id(void)
{
    memory_back_redis.unblock(12, false, &question);
    CHECK_BYTES(buf_all(&question), bytes("*3\r\n$6\r\nCLIENT\r\n$7\r\nUNBLOCK\r\n$2\r\n12\r\n"));
    buf_clear(&question);
    memory_back_redis.unblock(7, true, &question);
    CHECK_BYTES(buf_all(&question),
                bytes("*4\r\n$6\r\nCLIENT\r\n$7\r\nUNBLOCK\r\n$1\r\n7\r\n$5\r\nERROR\r\n"));
    end();
}

int main(void)
{
    RUN(the_plainest_upstream_is_only_pinged);
    RUN(a_login_is_awaited_before_anything_else);
    RUN(resp3_logs_in_with_hello);
    RUN(a_found_stamp_is_shown_to_be_judged);
    RUN(a_missing_stamp_is_written_unless_another_was_first);
    RUN(errors_say_what_the_server_said);
    RUN(a_server_without_client_id_is_fine);
    RUN(a_server_that_only_refuses_to_be_pinged_is_used);
    RUN(replies_end_where_they_end);
    RUN(every_prefix_of_a_reply_asks_for_more);
    RUN(some_errors_are_news_of_the_server);
    RUN(all_news_of_the_server_are_in_healths_words);
    RUN(an_upstream_is_unblocked_by_its_id);
    return check_report();
}
