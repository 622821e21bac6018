#include "shard/redis_command.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "tests/unit/check.h"

/* A command as servers have told it since 7.0: ten fields; `flags`, `sub`: how many and the
 * values. */
#define TELL(name, arity, flags, first, last, step, sub)                                           \
    "*10\r\n" name ":" arity "\r\n*" flags ":" first "\r\n:" last "\r\n:" step                     \
    "\r\n*1\r\n+@read\r\n*0\r\n*1\r\n%1\r\n$5\r\nflags\r\n~1\r\n+RO\r\n*" sub
#define NAME_GET   "$8\r\nJSON.GET\r\n"
#define NAME_ALL   "$8\r\nx.everyw\r\n"
#define NAME_BOX   "$5\r\nx.box\r\n"
#define NAME_OPEN  "$10\r\nx.box|open\r\n"
#define NAME_KNOWN "$3\r\nget\r\n"
#define NONE       "0\r\n"

static const struct redis_command *find(const struct redis_learned *learned, const char *first,
                                        const char *second)
{
    struct slice args[2] = { slice_text(first), slice_text(second != NULL ? second : "") };

    return redis_learned_find(learned, args, second != NULL ? 2 : 1);
}

static struct redis_learned *read_all(struct slice reply)
{
    struct redis_learned *learned = NULL;

    CHECK_INT(redis_learned_read(reply, &learned), ERR_NONE);
    return learned;
}

#define SEVERAL                                                                                    \
    "*4\r\n" TELL(NAME_GET, "-1", "2\r\n+readonly\r\n+fast\r\n", "1", "1", "1", NONE)              \
        TELL(NAME_ALL, "-2", "1\r\n+readonly\r\n", "0", "0", "0", NONE)                            \
            TELL(NAME_KNOWN, "9", "1\r\n+write\r\n", "4", "4", "1", NONE)                          \
                TELL(NAME_BOX, "-2", "0\r\n", "0", "0", "0",                                       \
                     "1\r\n" TELL(NAME_OPEN, "-3", "1\r\n+write\r\n", "2", "-1", "2", NONE))

static void what_the_table_lacks_is_learned(void)
{
    struct redis_learned *learned = read_all(bytes(SEVERAL));
    const struct redis_command *cmd = find(learned, "json.GET", "doc");
    struct slice args[6] = { bytes("X.BOX"), bytes("OPEN"), bytes("a"),
                             bytes("1"),     bytes("b"),    bytes("2") };
    uint32_t keys[6];
    size_t n;

    CHECK_INT(redis_learned_count(learned), 4 - 1 + 1);
    CHECK_TEXT(cmd->name, "json.get");
    CHECK_INT(cmd->plan, REDIS_KEYED);
    CHECK(redis_command_has_one_key(cmd));
    CHECK(redis_command_may_retry(cmd));
    CHECK_INT(cmd->categories, REDIS_CATEGORY_READ | REDIS_CATEGORY_FAST);
    CHECK(cmd->flags & REDIS_COMMAND_LEARNED);
    /* Told as -1: but a command with a key has two words. */
    CHECK(!redis_command_arity_is_right(cmd, 1));

    cmd = redis_learned_find(learned, args, 6);
    CHECK_TEXT(cmd->name, "x.box|open");
    CHECK_INT(redis_command_keys(cmd, args, 6, keys, &n), ERR_NONE);
    CHECK_INT(n, 2);
    CHECK_INT(keys[0], 2);
    CHECK_INT(keys[1], 4);
    CHECK(find(learned, "x.box", "shut") == NULL);
    CHECK_TEXT(find(learned, "x.box", NULL)->name, "x.box");
    redis_learned_free(&learned);
    CHECK(learned == NULL);
}

static void what_the_table_has_is_not_learned(void)
{
    struct redis_learned *learned = read_all(bytes(SEVERAL));

    CHECK(find(learned, "get", NULL) == NULL);
    CHECK(find(NULL, "json.get", NULL) == NULL);
    CHECK_INT(redis_learned_count(NULL), 0);
    redis_learned_free(&learned);
}

static void without_knowable_keys_it_is_refused(void)
{
    static const char *const told[] = {
        "*1\r\n" TELL(NAME_ALL, "-2", "1\r\n+readonly\r\n", "0", "0", "0", NONE),
        "*1\r\n" TELL(NAME_ALL, "-2", "1\r\n+movablekeys\r\n", "1", "1", "1", NONE),
        "*1\r\n" TELL(NAME_ALL, "-2", "1\r\n+write\r\n", "1", "1", "0", NONE),
        "*1\r\n" TELL(NAME_ALL, "-2", "1\r\n+write\r\n", "-1", "1", "1", NONE),
        "*1\r\n" TELL(NAME_ALL, "-2", "1\r\n+write\r\n", "3", "2", "1", NONE),
        "*1\r\n" TELL(NAME_ALL, "-2", "1\r\n+write\r\n", "1", "9999999", "1", NONE),
        "*1\r\n" TELL(NAME_ALL, "2", "1\r\n+write\r\n", "2", "2", "1", NONE),
    };

    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        struct redis_learned *learned = read_all(slice_text(told[i]));

        CHECK_INT(find(learned, "x.everyw", NULL)->plan, REDIS_REFUSED);
        redis_learned_free(&learned);
    }
}

/* A key specification as RESP2 tells it; the numbers as pairs of name and number. */
#define SPEC(flag, begin, index, find, count, numbers)                                             \
    "*6\r\n$5\r\nflags\r\n*1\r\n+" flag "\r\n$12\r\nbegin_search\r\n*4\r\n+type\r\n+" begin        \
    "\r\n+spec\r\n*2\r\n+index\r\n:" index "\r\n$9\r\nfind_keys\r\n*4\r\n+type\r\n+" find          \
    "\r\n+spec\r\n*" count "\r\n" numbers
#define KEYNUM(flag, begin, index, step)                                                           \
    SPEC(flag, begin, index, "keynum", "6",                                                        \
         "+keynumidx\r\n:0\r\n+firstkey\r\n:1\r\n+keystep\r\n:" step "\r\n")
#define RANGE(index, last)                                                                         \
    SPEC("RW", "index", index, "range", "6",                                                       \
         "+lastkey\r\n:" last "\r\n+keystep\r\n:1\r\n+limit\r\n:0\r\n")
#define MOVING(arity, specs)                                                                       \
    "*1\r\n*10\r\n" NAME_ALL ":" arity                                                             \
    "\r\n*1\r\n+movablekeys\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*" specs "*0\r\n"

static void keys_behind_their_number_are_found(void)
{
    static const struct {
        const char *told;
        enum redis_keys_rule keys;
        int arity, first, step;
    } CASES[] = {
        { MOVING("-2", "1\r\n" KEYNUM("RO", "index", "2", "1")), REDIS_KEYS_COUNTED, -4, 2, 1 },
        { MOVING("-9", "1\r\n" KEYNUM("RO", "index", "1", "2")), REDIS_KEYS_COUNTED, -9, 1, 2 },
        { MOVING("-4", "2\r\n" RANGE("1", "0") KEYNUM("RO", "index", "2", "1")),
          REDIS_KEYS_DESTINATION_COUNTED, -4, 2, 1 },
    };
    static const char *const unsure[] = {
        MOVING("-2", "1\r\n" KEYNUM("incomplete", "index", "2", "1")),
        MOVING("-2", "1\r\n" KEYNUM("not_key", "index", "2", "1")),
        MOVING("-2", "1\r\n" KEYNUM("RO", "keyword", "2", "1")),
        MOVING("-2", "1\r\n" KEYNUM("RO", "index", "0", "1")),
        MOVING("-2", "1\r\n" KEYNUM("RO", "index", "2", "0")),
        MOVING("2", "1\r\n" KEYNUM("RO", "index", "2", "1")),
        MOVING("-2", "1\r\n" RANGE("1", "-1")),
        MOVING("-2", "2\r\n" RANGE("1", "-1") KEYNUM("RO", "index", "2", "1")),
        MOVING("-2", "2\r\n" RANGE("3", "0") KEYNUM("RO", "index", "1", "1")),
        MOVING("-2", "3\r\n" RANGE("1", "0") KEYNUM("RO", "index", "2", "1") RANGE("9", "0")),
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct redis_learned *learned = read_all(slice_text(CASES[i].told));
        const struct redis_command *cmd = find(learned, "x.everyw", NULL);

        CHECK_INT(cmd->plan, REDIS_KEYED);
        CHECK_INT(cmd->keys, CASES[i].keys);
        CHECK_INT(cmd->arity, CASES[i].arity);
        CHECK_INT(cmd->first_key, CASES[i].first);
        CHECK_INT(cmd->key_step, CASES[i].step);
        redis_learned_free(&learned);
    }
    for (size_t i = 0; i < sizeof(unsure) / sizeof(unsure[0]); i++) {
        struct redis_learned *learned = read_all(slice_text(unsure[i]));

        CHECK_INT(find(learned, "x.everyw", NULL)->plan, REDIS_REFUSED);
        redis_learned_free(&learned);
    }
}

static void flags_decide_the_plan(void)
{
    struct redis_learned *learned = read_all(
        bytes("*1\r\n" TELL(NAME_GET, "3", "2\r\n+write\r\n+blocking\r\n", "1", "1", "1", NONE)));

    CHECK_INT(find(learned, "json.get", NULL)->plan, REDIS_BLOCKING);
    redis_learned_free(&learned);
    learned = read_all(bytes("*1\r\n" TELL(NAME_GET, "3", "1\r\n+admin\r\n", "1", "1", "1", NONE)));
    CHECK_INT(find(learned, "json.get", NULL)->plan, REDIS_ADMIN);
    redis_learned_free(&learned);
}

static void a_new_subcommand_of_an_old_command_is_learned(void)
{
    struct redis_learned *learned = read_all(bytes("*1\r\n" TELL(
        "$6\r\nobject\r\n", "-2", "0\r\n", "0", "0", "0",
        "1\r\n" TELL("$10\r\nobject|age\r\n", "3", "1\r\n+readonly\r\n", "2", "2", "1", NONE))));

    CHECK_INT(redis_learned_count(learned), 1);
    CHECK_TEXT(find(learned, "OBJECT", "AGE")->name, "object|age");
    CHECK(find(learned, "object", NULL) == NULL);
    redis_learned_free(&learned);
}

static void old_servers_tell_six_fields(void)
{
    struct redis_learned *learned =
        read_all(bytes("*2\r\n*6\r\n$3\r\nold\r\n:2\r\n*1\r\n+write\r\n:1\r\n:1\r\n:1\r\n*-1\r\n"));

    CHECK_INT(find(learned, "OLD", NULL)->plan, REDIS_KEYED);
    redis_learned_free(&learned);
}

static void every_prefix_is_refused(void)
{
    struct slice whole = bytes(SEVERAL);
    struct redis_learned *learned = NULL;

    for (size_t len = 0; len < whole.len; len++) {
        char *exact = mem_text_of(whole.at, len); /* so that a sanitizer sees what reads beyond */

        CHECK_INT(redis_learned_read(slice_of(exact, len), &learned), ERR_PROTOCOL);
        CHECK(learned == NULL);
        free(exact);
    }
}

static void what_is_no_command_reply_is_refused(void)
{
    static const char *const replies[] = {
        "+OK\r\n",
        "-ERR no\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*1\r\n+get\r\n",
        "*99999999999999999999\r\n",
        "*-2\r\n",
        "*2147483647\r\n",
        "*1\r\n*7\r\n+a.b\r\n:1\r\n*0\r\n:0\r\n:0\r\n:0\r\n*2147483647\r\n",
        "*1\r\n*8\r\n+a.b\r\n:1\r\n*0\r\n:0\r\n:0\r\n:0\r\n*0\r\n*2147483647\r\n+x\r\n",
        "*1\r\n*7\r\n$18446744073709551615\r\n",
        "*1\r\n*6\r\n+a.b\r\n:99999\r\n*0\r\n:0\r\n:0\r\n:0\r\n",
        "*0\r\n+more\r\n",
    };
    struct redis_learned *learned = NULL;

    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
        CHECK_INT(redis_learned_read(slice_text(replies[i]), &learned), ERR_PROTOCOL);
}

static void too_many_commands_are_refused(void)
{
    struct buf reply = { 0 };
    struct redis_learned *learned = NULL;

    buf_text(&reply, "*9000\r\n");
    for (int i = 0; i < 9000; i++)
        buf_format(&reply, "*6\r\n+x.%d\r\n:2\r\n*0\r\n:1\r\n:1\r\n:1\r\n", i);
    CHECK_INT(redis_learned_read(buf_all(&reply), &learned), ERR_LIMIT);
    CHECK(learned == NULL);
    buf_fini(&reply);
}

static void many_commands_are_all_found(void)
{
    struct buf reply = { 0 };

    buf_text(&reply, "*5000\r\n");
    for (int i = 0; i < 5000; i++)
        buf_format(&reply, "*6\r\n+module.%d\r\n:2\r\n*0\r\n:1\r\n:1\r\n:1\r\n", i);
    struct redis_learned *learned = read_all(buf_all(&reply));
    for (int i = 0; i < 5000; i++) {
        char name[32];

        snprintf(name, sizeof(name), "module.%d", i);
        CHECK_TEXT(find(learned, name, NULL)->name, name);
    }
    CHECK(find(learned, "module.5000", NULL) == NULL);
    redis_learned_free(&learned);
    buf_fini(&reply);
}

int main(void)
{
    RUN(what_the_table_lacks_is_learned);
    RUN(what_the_table_has_is_not_learned);
    RUN(without_knowable_keys_it_is_refused);
    RUN(keys_behind_their_number_are_found);
    RUN(flags_decide_the_plan);
    RUN(a_new_subcommand_of_an_old_command_is_learned);
    RUN(old_servers_tell_six_fields);
    RUN(every_prefix_is_refused);
    RUN(what_is_no_command_reply_is_refused);
    RUN(too_many_commands_are_refused);
    RUN(many_commands_are_all_found);
    return check_report();
}
