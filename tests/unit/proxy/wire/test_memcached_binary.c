#include "proxy/wire/memcached_binary.h"

#include "tests/unit/check.h"
#include "tests/unit/proxy/wire/transcript.h"

static struct memcached_binary_request request;
static size_t need;

static enum parse parse(struct slice in)
{
    return memcached_binary_parse(in, 1 << 20, &request, &need);
}

#define HEADER(op, key, extras, body)                                                              \
    "\x80" op "\0" key extras "\0\0\0\0\0\0" body "\xde\xad\xbe\xef\0\0\0\0\0\0\0\x11"
#define SET HEADER("\x11", "\x03", "\x08", "\x10") "\0\0\0\x05\0\0\0\x3ckeyhello"

static void a_request_is_taken_apart(void)
{
    struct slice in = bytes(SET);

    CHECK_INT(parse(in), PARSE_DONE);
    CHECK_INT(request.len, in.len);
    CHECK_INT(request.opcode, 0x11);
    CHECK_INT(request.loud, MEMCACHED_BINARY_SET);
    CHECK(request.is_quiet && request.is_well_formed);
    CHECK_INT(request.opaque, 0xdeadbeef);
    CHECK_INT(request.cas, 0x11);
    CHECK_INT(memcached_binary_u32(request.extras, 0), 5);
    CHECK_INT(memcached_binary_u32(request.extras, 4), 60);
    CHECK_BYTES(request.key, bytes("key"));
    CHECK_BYTES(request.value, bytes("hello"));
    for (size_t n = 0; n < in.len; n++) {
        CHECK_INT(parse(slice_of(in.at, n)), PARSE_MORE);
        CHECK(need > n && need <= in.len);
    }
}

static void what_is_too_large_is_to_be_passed(void)
{
    CHECK_INT(memcached_binary_parse(bytes(SET), 15, &request, &need), PARSE_DONE);
    CHECK_INT(request.len, 35);
    CHECK_INT(request.skip, 5);
    CHECK_BYTES(request.key, bytes("key"));
    CHECK_INT(memcached_binary_parse(bytes(SET), 16, &request, &need), PARSE_DONE);
    CHECK_INT(request.skip, 0);
}

static void lengths_that_contradict_each_other_are_bad(void)
{
    CHECK_INT(parse(bytes("get a\r\n")), PARSE_BAD);
    CHECK_INT(parse(bytes(HEADER("\0", "\x04", "\0", "\x03") "abc")), PARSE_BAD);
    CHECK_INT(parse(bytes(HEADER("\0", "\x02", "\x02", "\x03") "abc")), PARSE_BAD);
}

static void each_command_has_its_form(void)
{
    CHECK_INT(parse(bytes(HEADER("\0", "\x01", "\0", "\x01") "k")), PARSE_DONE);
    CHECK(request.is_well_formed);
    CHECK_INT(parse(bytes(HEADER("\0", "\0", "\0", "\0"))), PARSE_DONE);
    CHECK(!request.is_well_formed && request.name != NULL);
    CHECK_INT(parse(bytes(HEADER("\0", "\x01", "\x01", "\x02") "xk")), PARSE_DONE);
    CHECK(!request.is_well_formed);
    CHECK_INT(parse(bytes(HEADER("\0", "\x01", "\0", "\x02") "kv")), PARSE_DONE);
    CHECK(!request.is_well_formed);
    CHECK_INT(parse(bytes(HEADER("\x0a", "\0", "\0", "\0"))), PARSE_DONE);
    CHECK(request.is_well_formed);
    CHECK_INT(parse(bytes(HEADER("\x08", "\0", "\x04", "\x04") "\0\0\0\0")), PARSE_DONE);
    CHECK(request.is_well_formed);
    CHECK_INT(parse(bytes(HEADER("\x08", "\0", "\x03", "\x03") "\0\0\0")), PARSE_DONE);
    CHECK(!request.is_well_formed);
    CHECK_INT(parse(bytes(HEADER("\x55", "\0", "\0", "\0"))), PARSE_DONE);
    CHECK(request.name == NULL && request.loud == 0x55);
    CHECK_INT(parse(bytes(HEADER("\xff", "\0", "\0", "\0"))), PARSE_DONE);
    CHECK(request.name == NULL);
}

static void a_reply_is_what_memcached_writes(void)
{
    struct memcached_binary_reply reply = {
        .opcode = 0x0c,
        .opaque = 0xdeadbeef,
        .cas = 7,
        .extras = bytes("\0\0\0\5"),
        .key = bytes("k"),
        .value = bytes("value"),
    };
    struct buf out = { 0 };

    memcached_binary_put(&out, &reply);
    CHECK_BYTES(buf_all(&out), bytes("\x81\x0c\0\x01\x04\0\0\0\0\0\0\x0a\xde\xad\xbe\xef"
                                     "\0\0\0\0\0\0\0\7\0\0\0\5kvalue"));
    buf_fini(&out);
}

/* What is refused for its form, and with what words, is the same for all of memcached's replies. */
static void errors_are_worded_as_memcached_does(void)
{
    struct transcript t = transcript_open("memcached/binary.txt");
    struct buf out = { 0 };
    int seen = 0;

    while (transcript_next(&t)) {
        struct slice reply = buf_all(&t.reply);
        struct memcached_binary_reply error;

        CHECK_INT(parse(buf_all(&t.request)), PARSE_DONE);
        if (reply.len < 24 || reply.at[7] == 0 || reply.at[3] != 0)
            continue;
        if (reply.at[7] == MEMCACHED_STATUS_INVALID)
            CHECK(!request.is_well_formed);
        error = (struct memcached_binary_reply){ .opcode = request.opcode,
                                                 .status = reply.at[7],
                                                 .opaque = request.opaque };
        error.value = slice_text(memcached_status_text(error.status));
        buf_clear(&out);
        memcached_binary_put(&out, &error);
        CHECK_BYTES(buf_all(&out), reply);
        seen++;
    }
    CHECK(seen >= 12);
    buf_fini(&out);
}

int main(void)
{
    RUN(a_request_is_taken_apart);
    RUN(what_is_too_large_is_to_be_passed);
    RUN(lengths_that_contradict_each_other_are_bad);
    RUN(each_command_has_its_form);
    RUN(a_reply_is_what_memcached_writes);
    RUN(errors_are_worded_as_memcached_does);
    return check_report();
}
