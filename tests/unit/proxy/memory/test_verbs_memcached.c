/* What memcached's clients ask of embedded stores, with a clock that the test sets.  That clients
 * hear what memcached would say is shown by tests/scenario/test_embedded_memcached.py. */
#include "proxy/memory/memcached_kept.h"
#include "proxy/memory/memcached_script.h"
#include "proxy/memory/memory.h"
#include "proxy/memory/verbs.h"
#include "proxy/wire/resp_write.h"
#include "tests/unit/check.h"

#define CAS_1 "\0\0\0\0\0\0\0\1"
#define CAS_2 "\0\0\0\0\0\0\0\2"

static struct verbs v;
static struct buf reply;

static struct slice send(const struct slice *words, size_t count)
{
    struct buf request = { 0 };

    resp_put_command(&request, words, count);
    buf_clear(&reply);
    verbs_run(
        &v, &(struct verbs_ask){ .bytes = buf_all(&request), .version = 2, .reply_most = 1 << 16 },
        &reply);
    buf_fini(&request);
    return buf_all(&reply);
}

static struct slice ask(const char *a, const char *b, const char *c)
{
    struct slice words[] = { slice_text(a), slice_text(b), slice_text(c) };

    return send(words, c[0] == '\0' ? 2 : 3);
}

/* What is not set is empty; cas is CAS_1. */
struct change {
    const char *op, *mode, *unit, *time, *value, *first_unit, *first_time, *first, *compared, *cas,
        *most;
};

static struct slice or_nothing(const char *text)
{
    return slice_text(text == NULL ? "" : text);
}

static void words_of(const struct change *change, struct slice words[MEMCACHED_SCRIPT_WORDS])
{
    const char *cas = change->cas == NULL ? CAS_1 : change->cas;

    words[0] = slice_text("EVALSHA");
    words[1] = memcached_script_sha();
    words[2] = slice_text("1");
    words[MEMCACHED_SCRIPT_KEY] = slice_text("k");
    words[MEMCACHED_SCRIPT_OP] = slice_text(change->op);
    words[MEMCACHED_SCRIPT_MODE] = or_nothing(change->mode);
    words[MEMCACHED_SCRIPT_COMPARED] = slice_of(change->compared, change->compared ? 8 : 0);
    words[MEMCACHED_SCRIPT_CAS] = slice_of(cas, 8);
    words[MEMCACHED_SCRIPT_FLAGS] = slice_of("\0\0\1\2", 4);
    words[MEMCACHED_SCRIPT_UNIT] = or_nothing(change->unit);
    words[MEMCACHED_SCRIPT_TIME] = or_nothing(change->time);
    words[MEMCACHED_SCRIPT_VALUE] = or_nothing(change->value);
    words[MEMCACHED_SCRIPT_MOST] = or_nothing(change->most);
    words[MEMCACHED_SCRIPT_FIRST_UNIT] = or_nothing(change->first_unit);
    words[MEMCACHED_SCRIPT_FIRST_TIME] = or_nothing(change->first_time);
    words[MEMCACHED_SCRIPT_FIRST] = or_nothing(change->first);
}

static struct slice run(struct change change)
{
    struct slice words[MEMCACHED_SCRIPT_WORDS];

    words_of(&change, words);
    return send(words, MEMCACHED_SCRIPT_WORDS);
}

#define IS(reply, text) CHECK_BYTES(reply, bytes(text))

static void values_stand_behind_their_flags_and_cas(void)
{
    ask("DEL", "k", "");
    IS(run((struct change){ .op = "s", .mode = "S", .unit = "PERSIST", .value = "value" }),
       "*1\r\n$2\r\nHD\r\n");
    IS(ask("GET", "k", ""), "$21\r\n\xf5mc\x01\0\0\1\2" CAS_1 "value\r\n");
    IS(run((struct change){
           .op = "s", .mode = "S", .unit = "PERSIST", .value = "x", .compared = CAS_2 }),
       "*1\r\n$2\r\nEX\r\n");
    IS(run((struct change){
           .op = "s", .mode = "A", .value = "!", .compared = CAS_1, .cas = CAS_2 }),
       "*1\r\n$2\r\nHD\r\n");
    IS(run((struct change){ .op = "s", .mode = "P", .value = "a ", .most = "7" }),
       "*1\r\n$2\r\nTL\r\n");
    IS(run((struct change){ .op = "s", .mode = "P", .value = "a ", .most = "8" }),
       "*1\r\n$2\r\nHD\r\n");
    IS(ask("GET", "k", ""), "$24\r\n\xf5mc\x01\0\0\1\2" CAS_1 "a value!\r\n");
    IS(run((struct change){ .op = "d", .compared = CAS_2 }), "*1\r\n$2\r\nEX\r\n");
    IS(run((struct change){ .op = "d", .compared = CAS_1 }), "*1\r\n$2\r\nHD\r\n");
    IS(run((struct change){ .op = "d" }), "*1\r\n$2\r\nNF\r\n");
    IS(run((struct change){ .op = "s", .mode = "S", .unit = "PERSIST", .compared = CAS_1 }),
       "*1\r\n$2\r\nNF\r\n");
    IS(run((struct change){ .op = "s", .mode = "R", .unit = "PERSIST" }), "*1\r\n$2\r\nNS\r\n");
    IS(run((struct change){ .op = "s", .mode = "A", .unit = "PERSIST" }), "*1\r\n$2\r\nNS\r\n");
}

static void a_touched_key_is_there_to_the_last_millisecond(void)
{
    v.now_ms = 1000000;
    ask("SET", "k", "plain");
    IS(run((struct change){ .op = "g", .unit = "EX", .time = "2" }),
       "*4\r\n$2\r\nVA\r\n$5\r\nplain\r\n:2000\r\n:-1\r\n");
    v.now_ms = 1001999;
    IS(run((struct change){ .op = "g", .unit = "KEEP" }),
       "*4\r\n$2\r\nVA\r\n$5\r\nplain\r\n:1\r\n:1\r\n");
    IS(run((struct change){ .op = "s", .mode = "A", .value = "+" }), "*1\r\n$2\r\nHD\r\n");
    IS(ask("PTTL", "k", ""), ":1\r\n");
    v.now_ms = 1002000;
    IS(run((struct change){ .op = "g", .unit = "KEEP" }), "*1\r\n$2\r\nNF\r\n");
    ask("SET", "k", "plain");
    IS(run((struct change){ .op = "g", .unit = "EXAT", .time = "1002" }),
       "*4\r\n$2\r\nVA\r\n$5\r\nplain\r\n:-2\r\n:-1\r\n");
    IS(ask("EXISTS", "k", ""), ":0\r\n");
    IS(run((struct change){
           .op = "s", .mode = "S", .unit = "EXAT", .time = "1002", .value = "gone" }),
       "*1\r\n$2\r\nHD\r\n");
    IS(ask("EXISTS", "k", ""), ":0\r\n");
    ask("SET", "k", "plain");
    IS(run((struct change){ .op = "t", .unit = "EXAT", .time = "1003" }), "*1\r\n$2\r\nHD\r\n");
    IS(run((struct change){ .op = "t", .unit = "PERSIST" }), "*1\r\n$2\r\nHD\r\n");
    IS(ask("PTTL", "k", ""), ":-1\r\n");
}

static void numbers_are_memcacheds(void)
{
    static const struct {
        const char *was, *delta, *up, *down; /* NULL: it is none */
    } CASES[] = {
        { "41", "1", "42", "40" },
        { "0", "18446744073709551615", "18446744073709551615", "0" },
        { "18446744073709551615", "2", "1", "18446744073709551613" },
        { "18446744073709551616", "1", NULL, NULL },
        { "0000000000000000000000000007", "1", "8", "6" },
        { " \t12 x", "0", "12", "12" },
        { "+5", "5", "10", "0" },
        { "-0", "3", "3", "0" },
        { "-1", "1", NULL, NULL },
        { "-18446744073709551615", "1", "2", "0" },
        { "12x", "1", NULL, NULL },
        { "-", "1", NULL, NULL },
        { "", "1", NULL, NULL },
        { " ", "1", NULL, NULL },
    };
    char expected[128];

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        for (int up = 0; up < 2; up++) {
            const char *number = up ? CASES[i].up : CASES[i].down;

            ask("DEL", "k", "");
            run((struct change){
                .op = "s", .mode = "S", .unit = "PERSIST", .value = CASES[i].was });
            snprintf(expected, sizeof(expected), "*4\r\n$2\r\nVA\r\n$%zu\r\n%s\r\n:-1\r\n:-1\r\n",
                     number == NULL ? 0 : strlen(number), number == NULL ? "" : number);
            CHECK_BYTES(
                run((struct change){ .op = "i", .mode = up ? "I" : "D", .value = CASES[i].delta }),
                number == NULL ? bytes("*1\r\n$2\r\nNN\r\n") : slice_text(expected));
        }
    ask("DEL", "k", "");
    IS(run((struct change){ .op = "i", .mode = "I", .value = "1" }), "*1\r\n$2\r\nNF\r\n");
    IS(run((struct change){ .op = "i",
                            .mode = "I",
                            .unit = "KEEP",
                            .value = "1",
                            .first_unit = "EX",
                            .first_time = "9",
                            .first = "13" }),
       "*4\r\n$2\r\nVA\r\n$2\r\n13\r\n:9000\r\n:-2\r\n");
    IS(run((struct change){ .op = "i", .mode = "D", .unit = "KEEP", .value = "9" }),
       "*4\r\n$2\r\nVA\r\n$1\r\n4\r\n:9000\r\n:9000\r\n");
    IS(ask("GETRANGE", "k", "16"), "-ERR wrong number of arguments for 'getrange' command\r\n");
    IS(ask("STRLEN", "k", ""), ":18\r\n"); /* "4 ": no shorter than it was */
}

/* A word at a time is spoilt: such is no script of ours. */
static void what_is_not_quite_it_is_refused(void)
{
    static const struct {
        size_t at;
        const char *word;
    } SPOILT[] = {
        { 1, "0000000000000000000000000000000000000000" },
        { 2, "2" },
        { MEMCACHED_SCRIPT_OP, "" },
        { MEMCACHED_SCRIPT_OP, "x" },
        { MEMCACHED_SCRIPT_OP, "ss" },
        { MEMCACHED_SCRIPT_MODE, "" },
        { MEMCACHED_SCRIPT_MODE, "I" },
        { MEMCACHED_SCRIPT_COMPARED, "7 bytes" },
        { MEMCACHED_SCRIPT_CAS, "" },
        { MEMCACHED_SCRIPT_FLAGS, "12345" },
        { MEMCACHED_SCRIPT_UNIT, "PX" },
        { MEMCACHED_SCRIPT_TIME, "0" },
        { MEMCACHED_SCRIPT_TIME, "-5" },
        { MEMCACHED_SCRIPT_TIME, "9223372036854775807" },
        { MEMCACHED_SCRIPT_FIRST_UNIT, "EX" },
        { MEMCACHED_SCRIPT_MOST, "x" },
    };
    struct change change = { .op = "s", .mode = "S", .unit = "EX", .time = "5", .value = "value" };
    struct slice words[MEMCACHED_SCRIPT_WORDS];

    ask("DEL", "k", "");
    for (size_t i = 0; i < sizeof(SPOILT) / sizeof(SPOILT[0]); i++) {
        words_of(&change, words);
        words[SPOILT[i].at] = slice_text(SPOILT[i].word);
        CHECK(slice_starts(send(words, MEMCACHED_SCRIPT_WORDS), bytes("-ERR 'evalsha' is not")));
    }
    words_of(&change, words);
    CHECK(slice_starts(send(words, MEMCACHED_SCRIPT_WORDS - 1), bytes("-ERR 'evalsha' is not")));
    words_of(&(struct change){ .op = "i", .mode = "I", .value = "x" }, words);
    CHECK(slice_starts(send(words, MEMCACHED_SCRIPT_WORDS), bytes("-ERR 'evalsha' is not")));
    IS(ask("EXISTS", "k", ""), ":0\r\n");
}

static void it_is_foreseen_as_a_write(void)
{
    struct verbs_outlook ahead = { 0 };
    struct store_outlook outlook;
    struct slice words[MEMCACHED_SCRIPT_WORDS];
    struct buf request = { 0 };

    words_of(&(struct change){ .op = "d" }, words);
    resp_put_command(&request, words, MEMCACHED_SCRIPT_WORDS);
    verbs_look_ahead(
        &v, &(struct verbs_ask){ .bytes = buf_all(&request), .version = 2, .reply_most = 1 << 16 },
        &ahead);
    outlook = verbs_outlook_of(&ahead);
    CHECK(outlook.writes && !outlook.writes_any);
    CHECK_INT(outlook.count, 1);
    CHECK(outlook.keys[0].reads && outlook.keys[0].locks);
    CHECK_BYTES(outlook.keys[0].key.name, bytes("k"));
    buf_fini(&request);
    buf_fini(&ahead.glances);
}

int main(void)
{
    struct store_settings settings = { .path = "", .bytes_most = 1 << 20 };
    struct buf why = { 0 };

    v = (struct verbs){
        .engine = memory_back_find("ram")->engine, .name = "ram", .now_ms = 1000000, .random = 1
    };
    CHECK_INT(v.engine->open(&settings, &v.store, &why), ERR_NONE);
    RUN(values_stand_behind_their_flags_and_cas);
    RUN(a_touched_key_is_there_to_the_last_millisecond);
    RUN(numbers_are_memcacheds);
    RUN(what_is_not_quite_it_is_refused);
    RUN(it_is_foreseen_as_a_write);
    v.engine->close(&v.store);
    verbs_fini(&v);
    buf_fini(&reply);
    buf_fini(&why);
    return check_report();
}
