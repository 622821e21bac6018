#include "shard/redis_command.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "tests/unit/check.h"

enum { WORDS = 32 };

/* Words with a space between; "-" is an empty one.  They point into `line`. */
static size_t split_words(const char *line, struct slice args[WORDS])
{
    size_t count = 0;

    while (*line != '\0' && count < WORDS) {
        size_t len = strcspn(line, " ");

        args[count++] = len == 1 && line[0] == '-' ? slice_of("", 0) : slice_of(line, len);
        line += len + (line[len] == ' ');
    }
    return count;
}

static const struct redis_command *find(const char *line)
{
    struct slice args[WORDS];

    return redis_command_find(args, split_words(line, args));
}

static enum redis_plan plan_of(const char *line)
{
    struct slice args[WORDS];
    size_t count = split_words(line, args);

    return redis_command_plan(redis_command_find(args, count), args, count);
}

/* The places of the keys as text: "1 3"; "syntax" where they cannot be told. */
static const char *keys_of(const char *line, char *text, size_t size)
{
    struct slice args[WORDS];
    uint32_t keys[WORDS];
    size_t count = split_words(line, args), n = 77, used = 0;

    text[0] = '\0';
    if (redis_command_keys(redis_command_find(args, count), args, count, keys, &n) != ERR_NONE) {
        CHECK_INT(n, 77);
        return "syntax";
    }
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, size - used, i > 0 ? " %u" : "%u", keys[i]);
    return text;
}

static void every_command_is_found_by_its_own_words(void)
{
    size_t index = 0;

    for (; redis_command_at(index) != NULL; index++) {
        const struct redis_command *cmd = redis_command_at(index);
        const char *bar = strchr(cmd->name, '|');
        struct slice args[2] = { slice_text(cmd->name) };

        CHECK_INT(cmd->name_len, strlen(cmd->name));
        CHECK(redis_command_named(args[0]) == cmd);
        if (bar != NULL) {
            args[0].len = (size_t)(bar - cmd->name);
            args[1] = slice_text(bar + 1);
            CHECK(redis_command_has_subcommands(redis_command_find(args, 1)));
        }
        CHECK(redis_command_find(args, bar != NULL ? 2 : 1) == cmd);
    }
    CHECK(index > 380);
}

static void case_does_not_matter(void)
{
    CHECK(find("GET") == find("get"));
    CHECK(find("gEt") == find("get"));
    CHECK(find("GEORADIUSBYMEMBER_RO") == find("georadiusbymember_ro"));
    CHECK(find("CLIENT SETNAME") == find("client setname"));
    CHECK_TEXT(find("Client No-Evict")->name, "client|no-evict");
    CHECK_TEXT(find("CLUSTER COUNT-FAILURE-REPORTS")->name, "cluster|count-failure-reports");
}

static void what_only_resembles_a_command_is_not_found(void)
{
    const struct slice strange[] = {
        bytes(""),
        bytes("ge"),
        bytes("gett"),
        bytes("get\0"),
        bytes("\0get"),
        bytes("g\0t"),
        bytes("get "),
        bytes("getrangE\0"),
        bytes("GE\x14"),
        bytes("\xc7\xc5\xd4"),
        bytes("eval\x7fro"),
        bytes("restore\rasking"),
        bytes("g%t"),
        bytes("client|"),
        bytes("[et"),
        bytes("`et"),
        bytes("georadiusbymember_ro_of_a_name_longer_than_any_that_is_known"),
    };

    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        CHECK(redis_command_find(&strange[i], 1) == NULL);
        struct slice client[2] = { bytes("client"), strange[i] };
        CHECK(redis_command_find(client, 2) == NULL);
    }
    CHECK(redis_command_find(NULL, 0) == NULL);
}

static void a_container_alone_is_itself_and_of_the_wrong_arity(void)
{
    CHECK_TEXT(find("CLIENT")->name, "client");
    CHECK(!redis_command_arity_is_right(find("CLIENT"), 1));
    CHECK(find("CLIENT NOSUCH") == NULL);
    /* The one container that is a command of its own. */
    CHECK(redis_command_arity_is_right(find("COMMAND"), 1));
    CHECK_INT(plan_of("COMMAND"), REDIS_ANY_SHARD);
}

static void arity_counts_the_command_s_own_word(void)
{
    CHECK(redis_command_arity_is_right(find("get k"), 2));
    CHECK(!redis_command_arity_is_right(find("get"), 1));
    CHECK(!redis_command_arity_is_right(find("get k l"), 3));
    CHECK(redis_command_arity_is_right(find("set k v"), 3));
    CHECK(redis_command_arity_is_right(find("set k v EX 1"), 5));
    CHECK(!redis_command_arity_is_right(find("set k"), 2));
    CHECK(redis_command_arity_is_right(find("client setname x"), 3));
}

static void plans_are_as_decided(void)
{
    static const struct {
        const char *line;
        enum redis_plan plan;
    } cases[] = {
        { "get k", REDIS_KEYED },
        { "msetnx a 1 b 2", REDIS_KEYED },
        { "rename a b", REDIS_KEYED },
        { "substr k 0 1", REDIS_KEYED },
        { "memory usage k", REDIS_KEYED },
        { "object encoding k", REDIS_KEYED },
        { "hexpire k 1 FIELDS 1 f", REDIS_KEYED },
        { "vadd k VALUES 1 1 e", REDIS_KEYED },
        { "copy a b", REDIS_DATABASE },
        { "mget a b", REDIS_SPLIT },
        { "mset a 1", REDIS_SPLIT },
        { "del a", REDIS_SPLIT },
        { "unlink a", REDIS_SPLIT },
        { "exists a", REDIS_SPLIT },
        { "touch a", REDIS_SPLIT },
        { "scan 0", REDIS_SCAN },
        { "sscan k 0", REDIS_KEYED },
        { "keys *", REDIS_EVERY_SHARD },
        { "flushall", REDIS_EVERY_SHARD },
        { "wait 1 0", REDIS_EVERY_SHARD },
        { "script load x", REDIS_EVERY_SHARD },
        { "eval s 0", REDIS_SCRIPT },
        { "fcall_ro f 1 k", REDIS_SCRIPT },
        { "ping", REDIS_LOCAL },
        { "asking", REDIS_LOCAL },
        { "config get save", REDIS_LOCAL },
        { "client id", REDIS_LOCAL },
        { "multi", REDIS_TRANSACTION },
        { "watch k", REDIS_TRANSACTION },
        { "blpop k 0", REDIS_BLOCKING },
        { "xread STREAMS k 0", REDIS_KEYED },
        { "xread COUNT 1 block 0 STREAMS k 0", REDIS_BLOCKING },
        { "xread COUNT block STREAMS k 0", REDIS_KEYED },
        { "xread STREAMS block 0", REDIS_KEYED },
        { "xreadgroup GROUP block c STREAMS k 0", REDIS_KEYED },
        { "xreadgroup GROUP g c BLOCK 5 STREAMS k 0", REDIS_BLOCKING },
        { "subscribe c", REDIS_SUBSCRIBE },
        { "sunsubscribe", REDIS_SUBSCRIBE },
        { "publish c m", REDIS_PUBLISH },
        { "config set a b", REDIS_ADMIN },
        { "shutdown", REDIS_ADMIN },
        { "replicaof a b", REDIS_ADMIN },
        { "acl setuser u", REDIS_ADMIN },
        { "acl whoami", REDIS_LOCAL },
        { "client tracking on", REDIS_REFUSED },
        { "client caching yes", REDIS_REFUSED },
        { "monitor", REDIS_REFUSED },
        { "psync a 1", REDIS_REFUSED },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (plan_of(cases[i].line) != cases[i].plan)
            printf("of: %s\n", cases[i].line);
        CHECK_INT(plan_of(cases[i].line), cases[i].plan);
    }
}

static void the_table_agrees_with_itself(void)
{
    for (size_t i = 0; redis_command_at(i) != NULL; i++) {
        const struct redis_command *cmd = redis_command_at(i);
        bool merged = cmd->plan == REDIS_SPLIT || cmd->plan == REDIS_EVERY_SHARD ||
                      (cmd->plan == REDIS_ADMIN && cmd->first_key == 0) ||
                      cmd->keys == REDIS_KEYS_DEBUG;
        bool keyed = cmd->plan == REDIS_KEYED || cmd->plan == REDIS_DATABASE ||
                     cmd->plan == REDIS_SPLIT || cmd->plan == REDIS_BLOCKING ||
                     cmd->plan == REDIS_SCRIPT || cmd->plan == REDIS_PUBLISH ||
                     cmd->plan == REDIS_SUBSCRIBE;

        if ((cmd->merge != REDIS_MERGE_NONE) != merged)
            printf("of: %s\n", cmd->name);
        CHECK((cmd->merge != REDIS_MERGE_NONE) == merged);
        CHECK(!keyed || cmd->keys != REDIS_KEYS_NONE);
        CHECK((cmd->flags & (REDIS_COMMAND_READ | REDIS_COMMAND_WRITE)) !=
              (REDIS_COMMAND_READ | REDIS_COMMAND_WRITE));
        CHECK(cmd->keys != REDIS_KEYS_RANGE || cmd->first_key >= 1);
        CHECK(!redis_command_has_one_key(cmd) || cmd->arity < -1 || cmd->arity > 1);
    }
}

/* What stands where in `line`, counted from 0; or "syntax". */
static const struct {
    const char *line, *keys;
} KEY_CASES[] = {
    { "get k", "1" },
    { "ping", "" },
    { "mget a b a", "1 2 3" },
    { "mset a 1 b 2", "1 3" },
    { "mset a 1 b", "syntax" },
    { "mset", "syntax" },
    { "msetex 2 a 1 b 2 NX", "2 4" },
    { "msetex 2 a 1 b", "syntax" },
    { "blpop a b 0", "1 2" },
    { "blpop 0", "syntax" },
    { "bitop AND d a b", "2 3 4" },
    { "object encoding k", "2" },
    { "xgroup create k g 0", "2" },
    { "eval s 0 a", "" },
    { "eval s 1 a", "3" },
    { "eval s 2 a b c", "3 4" },
    { "eval s 2 a", "syntax" },
    { "eval s -1 a", "syntax" },
    { "eval s x a", "syntax" },
    { "eval s 18446744073709551615 a", "syntax" },
    { "eval s 9223372036854775807 a", "syntax" },
    { "eval s", "syntax" },
    { "zunionstore d 2 a b WEIGHTS 1 2", "1 3 4" },
    { "zunionstore d 0 a", "syntax" },
    { "sintercard 2 a b LIMIT 1", "2 3" },
    { "sintercard 0 a", "syntax" },
    { "blmpop 0 2 a b LEFT", "3 4" },
    { "xread STREAMS a 0", "2" },
    { "xread COUNT 2 BLOCK 0 STREAMS a b 0 0", "6 7" },
    { "xread COUNT streams STREAMS a 0", "4" },
    { "xread STREAMS STREAMS 0", "2" },
    { "xread STREAMS", "syntax" },
    { "xread COUNT", "syntax" },
    { "xread COUNT 1", "syntax" },
    { "xread STREAMS a 0 b", "syntax" },
    { "xread NEWER 1 STREAMS a 0", "syntax" },
    { "xreadgroup GROUP g c NOACK STREAMS a >", "6" },
    { "sort k", "1" },
    { "sort k STORE d", "1 3" },
    { "sort k BY store GET STORE STORE d", "1 7" },
    { "sort k LIMIT STORE STORE STORE d", "1 6" },
    { "sort k STORE d STORE e", "1 3 5" },
    { "sort k STORE", "syntax" },
    { "sort k NEWER x", "syntax" },
    { "sort_ro k STORE d", "syntax" },
    { "georadius k 1 2 3 m STORE d", "1 7" },
    { "georadius k 1 2 3 m STORE d STOREDIST e", "1 7 9" },
    { "georadius k 1 2 3 m STORE", "syntax" },
    { "georadius store store store store m", "1" },
    { "georadiusbymember k m 3 km STOREDIST d", "1 6" },
    { "migrate h 1 k 0 9", "3" },
    { "migrate h 1 - 0 9 COPY AUTH keys KEYS a b", "10 11" },
    { "migrate h 1 k 0 9 KEYS a", "syntax" },
    { "migrate h 1 - 0 9 KEYS", "syntax" },
    { "migrate h 1 - 0 9 AUTH2 u", "syntax" },
    { "debug object k", "2" },
    { "debug sleep 0", "" },
    { "subscribe a b", "1 2" },
    { "unsubscribe", "" },
    { "publish c m", "1" },
    { "watch a b", "1 2" },
};

static void keys_are_where_the_rules_say(void)
{
    char text[256];

    for (size_t i = 0; i < sizeof(KEY_CASES) / sizeof(KEY_CASES[0]); i++) {
        const char *found = keys_of(KEY_CASES[i].line, text, sizeof(text));

        if (strcmp(found, KEY_CASES[i].keys) != 0)
            printf("of: %s\n", KEY_CASES[i].line);
        CHECK_TEXT(found, KEY_CASES[i].keys);
    }
}

static void the_short_way_agrees_with_the_long_one(void)
{
    CHECK(redis_command_has_one_key(find("get")));
    CHECK(redis_command_has_one_key(find("hset")));
    CHECK(!redis_command_has_one_key(find("mget")));
    CHECK(!redis_command_has_one_key(find("sort")));
    CHECK(!redis_command_has_one_key(find("georadius")));
    CHECK(!redis_command_has_one_key(find("publish")));
    CHECK(!redis_command_has_one_key(find("ping")));
}

static void patterns_of_sort_are_found_with_what_stands_before_their_star(void)
{
    static const struct {
        const char *line, *starts; /* each with a comma behind it */
    } cases[] = {
        { "sort k", "" },
        { "sort k BY w_*", "w_," },
        { "sort k by nosort", "" },
        { "sort k GET #", "" },
        { "sort k GET # GET o_*->f GET {t}*", "o_,{t}," },
        { "sort k BY *_{t} LIMIT 0 1 GET a*b*", ",a," },
        { "sort_ro k BY w*", "w," },
        { "sort k STORE *", "" },
        { "sort k BY - GET x", "" },
        { "sort k GET", "" },
        { "sort * LIMIT * *", "" },
        { "get *", "" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice args[WORDS], start;
        size_t count = split_words(cases[i].line, args), place = 0;
        const struct redis_command *cmd = redis_command_find(args, count);
        struct buf found = { 0 };

        while (redis_command_next_pattern(cmd, args, count, &place, &start)) {
            buf_slice(&found, start);
            buf_text(&found, ",");
        }
        buf_put(&found, "", 1);
        CHECK_TEXT((const char *)found.at, cases[i].starts);
        buf_fini(&found);
    }
}

static void only_what_changes_nothing_may_be_asked_again(void)
{
    CHECK(redis_command_may_retry(find("get")));
    CHECK(redis_command_may_retry(find("mget")));
    CHECK(!redis_command_may_retry(find("set")));
    CHECK(!redis_command_may_retry(find("sort")));
    CHECK(!redis_command_may_retry(find("eval")));
    CHECK(!redis_command_may_retry(find("xread")));
    CHECK(!redis_command_may_retry(find("publish")));
}

static void errors_are_in_redis_s_words(void)
{
    static const struct {
        const char *line, *error;
    } cases[] = {
        { "foo a b", "ERR unknown command 'foo', with args beginning with: 'a' 'b' " },
        { "FOO", "ERR unknown command 'FOO', with args beginning with: " },
        { "fo\r\n a\nb", "ERR unknown command 'fo  ', with args beginning with: 'a b' " },
        { "client foo", "ERR unknown subcommand 'foo'. Try CLIENT HELP." },
        { "client", "ERR wrong number of arguments for 'client' command" },
        { "client setname", "ERR wrong number of arguments for 'client|setname' command" },
        { "get", "ERR wrong number of arguments for 'get' command" },
        { "mset a 1 b", "ERR wrong number of arguments for 'mset' command" },
        { "zunion 0 a", "ERR at least 1 input key is needed for 'zunion' command" },
        { "zunion q a", "ERR value is not an integer or out of range" },
        { "lmpop 0 a LEFT", "ERR numkeys should be greater than 0" },
        { "eval s 3 a", "ERR Number of keys can't be greater than number of args" },
        { "eval s -3 a", "ERR Number of keys can't be negative" },
        { "fcall f x a", "ERR Bad number of keys provided" },
        { "sort k STORE", "ERR syntax error" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice args[WORDS];
        struct buf out = { 0 };
        size_t count = split_words(cases[i].line, args);

        redis_command_put_error(&out, redis_command_find(args, count), args, count);
        CHECK_BYTES(buf_all(&out), slice_text(cases[i].error));
        buf_fini(&out);
    }
}

static void an_error_line_has_a_bounded_length(void)
{
    struct slice args[3];
    char *large = mem_new(100000);
    struct buf out = { 0 };

    memset(large, 'x', 100000);
    for (size_t i = 0; i < 3; i++)
        args[i] = slice_of(large, 100000);
    redis_command_put_error(&out, NULL, args, 3);
    CHECK(out.len < 400);
    buf_fini(&out);
    free(large);
}

static void categories_have_names(void)
{
    CHECK_INT(redis_category_find(bytes("@read")), REDIS_CATEGORY_READ);
    CHECK_INT(redis_category_find(bytes("Geo")), REDIS_CATEGORY_GEO);
    CHECK_INT(redis_category_find(bytes("@all")), REDIS_CATEGORY_ALL);
    CHECK_INT(redis_category_find(bytes("@")), 0);
    CHECK_INT(redis_category_find(bytes("")), 0);
    CHECK_INT(redis_category_find(bytes("@nothing")), 0);
    CHECK_TEXT(redis_category_name(REDIS_CATEGORY_SCRIPTING), "scripting");
    for (uint32_t bit = 1; bit < REDIS_CATEGORY_ALL; bit <<= 1)
        CHECK_INT(redis_category_find(slice_text(redis_category_name(bit))), bit);
    CHECK(find("flushall")->categories & REDIS_CATEGORY_DANGEROUS);
    CHECK(find("get")->categories & REDIS_CATEGORY_FAST);
    CHECK(!(find("get")->categories & REDIS_CATEGORY_SLOW));
}

int main(void)
{
    RUN(every_command_is_found_by_its_own_words);
    RUN(case_does_not_matter);
    RUN(what_only_resembles_a_command_is_not_found);
    RUN(a_container_alone_is_itself_and_of_the_wrong_arity);
    RUN(arity_counts_the_command_s_own_word);
    RUN(plans_are_as_decided);
    RUN(the_table_agrees_with_itself);
    RUN(keys_are_where_the_rules_say);
    RUN(the_short_way_agrees_with_the_long_one);
    RUN(patterns_of_sort_are_found_with_what_stands_before_their_star);
    RUN(only_what_changes_nothing_may_be_asked_again);
    RUN(errors_are_in_redis_s_words);
    RUN(an_error_line_has_a_bounded_length);
    RUN(categories_have_names);
    return check_report();
}
