/* How an upstream to memcached is made ready, and what its replies are. */
#define HELLO_BACK memory_back_memcached

#include "health/reason.h"
#include "tests/unit/proxy/memory/hello_stage.h"

static void the_plainest_upstream_is_only_asked_for_its_version(void)
{
    begin(false);
    CHECK_STEP("", "version\r\n");
    CHECK_STEP("VERSION 1.6.18\r\n", "");
    begin(false);
    CHECK_STEP("", "version\r\n");
    CHECK_REFUSED("CLIENT_ERROR unauthenticated\r\n", ERR_LOGIN, "CLIENT_ERROR unauthenticated");
    begin(false);
    CHECK_STEP("", "version\r\n");
    CHECK_REFUSED("STORED\r\n", ERR_PROTOCOL, "STORED");
    end();
}

static void a_login_comes_first(void)
{
    begin(false);
    endpoint.user = "bob";
    endpoint.password = "pw";
    CHECK_STEP("", "set login 0 0 6\r\nbob pw\r\n");
    CHECK_STEP("STORED\r\n", "");
    begin(false);
    endpoint.password = "pw";
    CHECK_STEP("", "set login 0 0 10\r\ndefault pw\r\n");
    CHECK_REFUSED("CLIENT_ERROR authentication failure\r\n", ERR_LOGIN,
                  "CLIENT_ERROR authentication failure");
    end();
}

static void a_stamp_that_is_there_is_found(void)
{
    begin(true);
    CHECK_STEP("", "version\r\n");
    CHECK_STEP("VERSION 1.6.18\r\n", "get S\r\n");
    CHECK_STEP("VALUE S 0 5\r\nother\r\nEND\r\n", "");
    CHECK_BYTES(greeting.found_stamp, bytes("other"));
    end();
}

static void a_stamp_that_is_missing_is_added_and_read_again(void)
{
    begin(true);
    CHECK_STEP("", "version\r\n");
    CHECK_STEP("VERSION 1.6.18\r\n", "get S\r\n");
    CHECK_STEP("END\r\n", "add S 0 0 4\r\nmine\r\n");
    CHECK(greeting.found_stamp.at == NULL);
    CHECK_STEP("NOT_STORED\r\n", "get S\r\n");
    CHECK_STEP("VALUE S 0 4\r\nmine\r\nEND\r\n", "");
    CHECK_BYTES(greeting.found_stamp, bytes("mine"));
    begin(true);
    CHECK_STEP("", "version\r\n");
    CHECK_STEP("VERSION 1.6.18\r\n", "get S\r\n");
    CHECK_STEP("END\r\n", "add S 0 0 4\r\nmine\r\n");
    CHECK_REFUSED("SERVER_ERROR out of memory storing object\r\n", ERR_DOWN,
                  "its stamp can't be written: SERVER_ERROR out of memory storing object");
    end();
}

static void replies_end_where_they_end(void)
{
    uint64_t scan[MEMORY_SCAN_BYTES / 8] = { 0 };
    bool out_of_band = true;
    size_t used;

    CHECK_INT(memory_back_memcached.scan(scan, bytes("VALUE k 0 9\r\nabc"), &used, &out_of_band),
              PARSE_MORE);
    CHECK_INT(used, 16);
    CHECK(!out_of_band);
    CHECK_INT(memory_back_memcached.body_left(scan), 6);
    memory_back_memcached.body_passed(scan, 6);
    CHECK_INT(memory_back_memcached.scan(scan, bytes("\r\nEND\r\nSTORED"), &used, &out_of_band),
              PARSE_DONE);
    CHECK_INT(used, 7);
}

static void only_some_errors_speak_of_the_server(void)
{
    CHECK_TEXT(
        memory_back_memcached.trouble(bytes("SERVER_ERROR out of memory storing object\r\n")),
        "oom");
    CHECK(memory_back_memcached.trouble(bytes("STORED\r\n")) == NULL);
    CHECK(memory_back_memcached.trouble(bytes("SERVER_ERROR object too large for cache\r\n")) ==
          NULL);
}

int main(void)
{
    RUN(the_plainest_upstream_is_only_asked_for_its_version);
    RUN(a_login_comes_first);
    RUN(a_stamp_that_is_there_is_found);
    RUN(a_stamp_that_is_missing_is_added_and_read_again);
    RUN(replies_end_where_they_end);
    RUN(only_some_errors_speak_of_the_server);
    return check_report();
}
