/* How an upstream to memcached is made ready, and what its replies are. */
#include "health/reason.h"
#include "proxy/memory/memory.h"
#include "tests/unit/check.h"

extern const struct memory_back memory_back_memcached;

static struct endpoint_settings endpoint;
static struct memory_hello greeting;
static struct buf question, why;

static enum err step(const char *reply)
{
    buf_clear(&question);
    buf_clear(&why);
    return memory_back_memcached.hello(&greeting, slice_text(reply), &question, &why);
}

#define CHECK_STEP(reply, expected)                                                                \
    do {                                                                                           \
        CHECK_INT(step(reply), ERR_NONE);                                                          \
        CHECK_BYTES(buf_all(&question), slice_text(expected));                                     \
    } while (0)

#define CHECK_REFUSED(reply, err, text)                                                            \
    do {                                                                                           \
        CHECK_INT(step(reply), err);                                                               \
        CHECK_BYTES(buf_all(&why), slice_text(text));                                              \
    } while (0)

static void begin(bool with_stamp)
{
    endpoint = (struct endpoint_settings){ .name = "10.0.0.1:11211" };
    greeting = (struct memory_hello){ .endpoint = &endpoint };
    if (with_stamp) {
        greeting.stamp_key = bytes("S");
        greeting.stamp = bytes("mine");
    }
}

static void end(void)
{
    buf_fini(&question);
    buf_fini(&why);
}

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
