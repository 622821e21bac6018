/* Commands over each embedded store, with a clock that the test sets.  That their replies are
 * Redis's own is shown by tests/scenario/test_embedded.py. */
#include "proxy/memory/verbs.h"

#include <stdlib.h>
#include <unistd.h>

#include "proxy/memory/memory.h"
#include "proxy/wire/resp_write.h"
#include "tests/unit/check.h"

static struct verbs v;
static char folder[] = "/tmp/sheaf-verbs-XXXXXX";
static struct buf reply;

static void open_store(const char *name, bool evicts)
{
    static char path[64];
    struct store_settings settings = { .path = path, .bytes_most = 1 << 20, .evicts = evicts };
    struct buf why = { 0 };

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    v = (struct verbs){
        .engine = memory_back_find(name)->engine, .name = name, .now_ms = 1000000, .random = 1
    };
    CHECK_INT(v.engine->open(&settings, &v.store, &why), ERR_NONE);
    buf_fini(&why);
}

static void close_store(void)
{
    v.engine->close(&v.store);
    verbs_fini(&v);
}

static struct verbs_walk *walk; /* of the next request; NULL: it is done at once */

/* The words of the text as one request. */
static struct slice ask(const char *text)
{
    struct slice words[16];
    size_t count = 0;
    struct buf request = { 0 };

    while (*(text += strspn(text, " ")) != '\0') {
        size_t len = strcspn(text, " ");

        words[count++] = slice_of(text, len);
        text += len;
    }
    resp_put_command(&request, words, count);
    buf_clear(&reply);
    verbs_run(&v,
              &(struct verbs_ask){
                  .bytes = buf_all(&request), .version = 2, .reply_most = 1 << 20, .walk = walk },
              &reply);
    buf_fini(&request);
    return buf_all(&reply);
}

static void commit(void)
{
    if (v.engine->commit != NULL)
        CHECK_INT(v.engine->commit(v.store, true), ERR_NONE);
    v.has_written = false;
}

static void flush(void)
{
    CHECK_BYTES(ask("FLUSHALL"), bytes("+OK\r\n"));
    commit();
}

static void a_key_is_there_to_the_last_millisecond(void)
{
    flush();
    v.now_ms = 1000000;
    CHECK_BYTES(ask("SET k v PX 100"), bytes("+OK\r\n"));
    v.now_ms = 1000099;
    CHECK_BYTES(ask("GET k"), bytes("$1\r\nv\r\n"));
    CHECK_BYTES(ask("PTTL k"), bytes(":1\r\n"));
    CHECK_BYTES(ask("DBSIZE"), bytes(":1\r\n"));
    v.now_ms = 1000100;
    CHECK_BYTES(ask("KEYS *"), bytes("*0\r\n"));
    CHECK_BYTES(ask("RANDOMKEY"), bytes("$-1\r\n"));
    CHECK_BYTES(ask("GET k"), bytes("$-1\r\n"));
    CHECK_BYTES(ask("DBSIZE"), bytes(":0\r\n"));
    CHECK_INT(v.expired, 1);
    v.expired = 0;
}

/* It is dropped when it is met, and what is made in its place has nothing of it. */
static void what_is_over_is_no_part_of_what_follows(void)
{
    static const char *const asked[][3] = {
        { "APPEND k x", ":1\r\n", "$1\r\nx\r\n" },
        { "SETRANGE k 0 x", ":1\r\n", "$1\r\nx\r\n" },
        { "GETRANGE k 0 -1", "$0\r\n\r\n", "$-1\r\n" },
        { "STRLEN k", ":0\r\n", "$-1\r\n" },
        { "INCR k", ":1\r\n", "$1\r\n1\r\n" },
        { "SET k w KEEPTTL", "+OK\r\n", "$1\r\nw\r\n" },
        { "SET k w GET", "$-1\r\n", "$1\r\nw\r\n" },
        { "GETSET k w", "$-1\r\n", "$1\r\nw\r\n" },
    };

    flush();
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        v.now_ms = 1000000;
        CHECK_BYTES(ask("SET k 1234567 PX 100"), bytes("+OK\r\n"));
        v.now_ms = 1000100;
        CHECK_BYTES(ask(asked[i][0]), slice_text(asked[i][1]));
        CHECK_BYTES(ask("GET k"), slice_text(asked[i][2]));
        CHECK_BYTES(ask("TTL k"), asked[i][2][1] == '-' ? bytes(":-2\r\n") : bytes(":-1\r\n"));
    }
    v.expired = 0;
}

static void a_purge_drops_what_is_over_and_nothing_else(void)
{
    uint32_t database = 0;
    uint64_t place = 0, looked_at = 0;

    flush();
    v.now_ms = 1000000;
    for (int i = 0; i < 300; i++) {
        char text[64];

        snprintf(text, sizeof(text), "SET k%d v PX %d", i, i % 3 == 0 ? 100 : 100000);
        ask(text);
    }
    v.now_ms = 1000500;
    do {
        looked_at += verbs_purge(&v, &database, &place, 40);
        commit();
    } while (database != 0 || place != 0);
    CHECK_INT(looked_at, 300);
    CHECK_INT(v.expired, 100);
    CHECK_BYTES(ask("DBSIZE"), bytes(":200\r\n"));
    v.expired = 0;
}

static void what_was_not_committed_can_be_abandoned(void)
{
    if (v.engine->abandon == NULL)
        return;
    flush();
    ask("SET stays 1");
    commit();
    ask("SET stays 2");
    ask("SET goes 1");
    ask("DEL stays");
    CHECK(v.has_written);
    v.engine->abandon(v.store);
    CHECK_BYTES(ask("GET stays"), bytes("$1\r\n1\r\n"));
    CHECK_BYTES(ask("EXISTS goes"), bytes(":0\r\n"));
    CHECK_BYTES(ask("DBSIZE"), bytes(":1\r\n"));
    commit();
}

static void what_only_reads_writes_nothing(void)
{
    flush();
    ask("SET k v");
    commit();
    ask("GET k");
    ask("EXISTS k j");
    ask("SCAN 0");
    ask("EXPIRE j 10");
    ask("INCRBY k x");
    CHECK(!v.has_written);
}

static void a_transaction_is_all_or_nothing(void)
{
    struct slice request = bytes("*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n"
                                 "*2\r\n$4\r\nLPOP\r\n$1\r\nl\r\n*1\r\n$4\r\nEXEC\r\n");
    struct verbs_ask all = { .bytes = request, .version = 2, .reply_most = 1 << 16 };

    flush();
    buf_clear(&reply);
    verbs_run(&v, &all, &reply);
    CHECK(slice_starts(buf_all(&reply), bytes("+OK\r\n+QUEUED\r\n-ERR 'lpop' ")));
    CHECK(reply.len > 12 && memmem(reply.at, reply.len, "-EXECABORT ", 11) != NULL);
    CHECK_BYTES(ask("EXISTS n"), bytes(":0\r\n"));
    buf_clear(&reply); /* one that never ends */
    all.bytes.len = 15 + 21;
    verbs_run(&v, &all, &reply);
    CHECK_BYTES(ask("EXISTS n"), bytes(":0\r\n"));
}

static void a_reply_that_is_too_long_is_refused(void)
{
    struct buf text = { 0 };

    flush();
    buf_text(&text, "SET k ");
    for (int i = 0; i < 400000; i++)
        buf_text(&text, "x");
    buf_put(&text, "", 1);
    ask((const char *)text.at);
    CHECK_INT(ask("GET k").len, 9 + 400000 + 2);
    CHECK(slice_starts(ask("MGET k k k"), bytes("-ERR the reply is longer ")));
    buf_fini(&text);
}

/* ---- what is asked is known before ---- */

/* "0/k!" for database 0, key k, that is locked; '?' where its value is looked at. */
static char *outlook_of(const char *requests)
{
    static char text[256];
    struct buf bytes = { 0 };
    struct verbs_outlook o = { 0 };
    struct store_outlook out;
    size_t len = 0;

    for (const char *at = requests; *at != '\0'; at += strcspn(at, ";"), at += *at == ';') {
        struct slice words[16];
        size_t count = 0, end = strcspn(at, ";");

        for (size_t i = strspn(at, " "); i < end; i += strspn(at + i, " ")) {
            size_t word = strcspn(at + i, " ;");

            words[count++] = slice_of(at + i, word);
            i += word;
        }
        resp_put_command(&bytes, words, count);
    }
    verbs_look_ahead(
        &v, &(struct verbs_ask){ .bytes = buf_all(&bytes), .database = 2, .version = 2 }, &o);
    out = verbs_outlook_of(&o);
    text[0] = '\0';
    for (size_t i = 0; i < out.count; i++) {
        const struct store_glance *g = &out.keys[i];

        len += (size_t)snprintf(text + len, sizeof(text) - len, "%u/%.*s%s%s ", g->key.database,
                                (int)g->key.name.len, (const char *)g->key.name.at,
                                g->reads ? "?" : "", g->locks ? "!" : "");
        CHECK_INT(g->key.hash, store_hash(g->key.name));
    }
    snprintf(text + len, sizeof(text) - len, "%s%s%s", out.writes ? "writes" : "",
             out.writes_any ? " any" : "", out.at_one_moment ? " at once" : "");
    buf_fini(&bytes);
    buf_fini(&o.glances);
    return text;
}

static void the_keys_of_requests_are_known_before_they_are_run(void)
{
    open_store("ram", false);
    CHECK_TEXT(outlook_of("GET k"), "2/k? ");
    CHECK_TEXT(outlook_of("MGET a b; STRLEN c"), "2/a? 2/b? 2/c? ");
    CHECK_TEXT(outlook_of("SET k v"), "2/k! writes");
    CHECK_TEXT(outlook_of("SET k v NX"), "2/k?! writes");
    CHECK_TEXT(outlook_of("MSET a 1 b 2"), "2/a! 2/b! writes");
    CHECK_TEXT(outlook_of("GETEX k; GET other"), "2/k?! 2/other?! writes");
    CHECK_TEXT(outlook_of("INCR k; SELECT 5; DEL a"), "2/k?! 5/a?! writes");
    CHECK_TEXT(outlook_of("MULTI; GET a; EXEC"), "2/a?  at once");
    CHECK_TEXT(outlook_of("MULTI; GET a; INCR b; EXEC"), "2/a?! 2/b?! writes at once");
    CHECK_TEXT(outlook_of("FLUSHALL"), "writes any");
    CHECK_TEXT(outlook_of("MOVE k 7"), "2/k?! 7/k?! writes");
    CHECK_TEXT(outlook_of("COPY a b DB 9 REPLACE"), "2/a?! 9/a?! 2/b?! 9/b?! writes");
    CHECK_TEXT(outlook_of("COPY a b"), "2/a?! 2/b?! writes");
    CHECK_TEXT(outlook_of("SCAN 0; DBSIZE; PING"), "");
    CHECK_TEXT(outlook_of("LPUSH l 1; SET; GET a b; NONSENSE"), "");
    close_store();
}

static void every_store(void)
{
    static const char *const NAMES[] = { "ram", "sqlite", "rocksdb" };

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        open_store(NAMES[i], false);
        RUN(a_key_is_there_to_the_last_millisecond);
        RUN(what_is_over_is_no_part_of_what_follows);
        RUN(a_purge_drops_what_is_over_and_nothing_else);
        RUN(what_was_not_committed_can_be_abandoned);
        RUN(what_only_reads_writes_nothing);
        RUN(a_transaction_is_all_or_nothing);
        RUN(a_reply_that_is_too_long_is_refused);
        close_store();
    }
}

static void fill_up(int keys)
{
    for (int i = 0; i < keys; i++) {
        char text[300];

        snprintf(text, sizeof(text), "SET key:%d %0200d", i, i);
        ask(text);
        if (reply.at[0] == '-')
            return;
        ask("GET key:0"); /* is used all the time */
    }
}

static int times_listed(const char *name)
{
    struct slice rest = buf_all(&reply);
    struct buf bulk = { 0 };
    const uint8_t *at;
    int times = 0;

    resp_put_bulk(&bulk, slice_text(name));
    while ((at = memmem(rest.at, rest.len, bulk.at, bulk.len)) != NULL) {
        rest = slice_from(rest, (size_t)(at - rest.at) + bulk.len);
        times++;
    }
    buf_fini(&bulk);
    return times;
}

static long count_bulks(void)
{
    long count = 0;

    for (size_t i = 0; i < reply.len; i++)
        count += reply.at[i] == '$';
    return count;
}

static void put_many(int keys, const char *value)
{
    for (int i = 0; i < keys; i++) {
        char text[64];

        snprintf(text, sizeof(text), "SET key:%d %s", i, value);
        ask(text);
    }
}

static void keys_in_steps_tells_what_was_there_all_the_time_and_nothing_twice(void)
{
    enum { KEYS = 8000 };
    struct verbs_walk w = { 0 };
    int steps = 0;

    open_store("ram", false);
    put_many(KEYS, "v");
    do {
        char text[64];

        walk = &w;
        ask("KEYS *");
        walk = NULL;
        steps++;
        if (!w.goes_on)
            break;
        CHECK_INT(reply.len, 0);
        for (int i = 0; i < 100; i++) { /* others' */
            snprintf(text, sizeof(text), "DEL key:%d", steps * 100 + i);
            ask(text);
            snprintf(text, sizeof(text), "SET new:%d v", steps * 100 + i);
            ask(text);
        }
    } while (true);
    CHECK(steps > 3);
    buf_fini(&w.names);
    for (int i = 0; i < KEYS; i++) {
        char name[32];

        snprintf(name, sizeof(name), "key:%d", i);
        CHECK(times_listed(name) == 1 || (times_listed(name) == 0 && i / 100 < steps));
    }
    CHECK_INT(strtol((const char *)reply.at + 1, NULL, 10), count_bulks());
    close_store();
}

static void a_random_key_is_one_that_is_there_however_many_are_over(void)
{
    struct verbs_walk w = { 0 };
    int steps = 0;

    open_store("ram", false);
    put_many(8000, "v PX 1");
    ask("SET stays v");
    v.now_ms += 2;
    CHECK_BYTES(ask("RANDOMKEY"), bytes("$5\r\nstays\r\n"));
    walk = &w;
    do {
        ask("RANDOMKEY");
        steps++;
    } while (w.goes_on);
    CHECK_BYTES(buf_all(&reply), bytes("$5\r\nstays\r\n"));
    CHECK(steps > 0 && steps < 20);
    buf_fini(&w.names);
    walk = NULL;
    ask("DEL stays");
    CHECK_BYTES(ask("RANDOMKEY"), bytes("$-1\r\n"));
    close_store();
}

/* What is put needs no more room than there is while what was flushed is still held. */
static void what_was_flushed_is_in_nobodys_way(void)
{
    struct store_size size;

    open_store("ram", false);
    put_many(20000, "123456789012345678901234567890");
    CHECK(reply.at[0] == '-');
    v.engine->measure(v.store, 0, &size);
    CHECK(size.keys > 1000);
    ask("FLUSHALL");
    CHECK(v.has_flushed);
    v.engine->measure(v.store, 0, &size);
    CHECK(size.keys == 0 && size.bytes > 1 << 19);
    CHECK_BYTES(ask("DBSIZE"), bytes(":0\r\n"));
    for (int i = 0; i < 2000; i++) {
        char text[64];

        snprintf(text, sizeof(text), "SET other:%d v", i);
        CHECK_BYTES(ask(text), bytes("+OK\r\n"));
    }
    v.engine->measure(v.store, 0, &size);
    CHECK(size.bytes <= 1 << 20);
    while (v.engine->shed(v.store, 100))
        ;
    v.engine->measure(v.store, 0, &size);
    CHECK(size.keys == 2000 && size.bytes < 1 << 19);
    ask("FLUSHALL"); /* and the end of a store that holds some of it */
    close_store();
}

static void a_full_store_refuses(void)
{
    struct store_size size;

    open_store("ram", false);
    fill_up(100000);
    CHECK_BYTES(buf_all(&reply),
                bytes("-OOM command not allowed when used memory > 'maxmemory'.\r\n"));
    v.engine->measure(v.store, 0, &size);
    CHECK(size.bytes <= 1 << 20 && size.bytes > 1 << 19);
    CHECK_INT(ask("GET key:0").len, 6 + 200 + 2);
    close_store();
}

static void a_full_store_that_may_lets_go_of_what_is_not_used(void)
{
    struct store_size size;

    open_store("ram", true);
    fill_up(20000);
    CHECK(reply.at[0] == '$');
    v.engine->measure(v.store, 0, &size);
    CHECK(size.bytes <= 1 << 20 && size.evicted > 10000);
    CHECK_INT(ask("EXISTS key:0 key:19999").at[1], '2');
    CHECK_BYTES(ask("EXISTS key:1"), bytes(":0\r\n"));
    close_store();
}

int main(void)
{
    char command[64];

    if (mkdtemp(folder) == NULL)
        return 1;
    every_store();
    RUN(the_keys_of_requests_are_known_before_they_are_run);
    RUN(keys_in_steps_tells_what_was_there_all_the_time_and_nothing_twice);
    RUN(a_random_key_is_one_that_is_there_however_many_are_over);
    RUN(what_was_flushed_is_in_nobodys_way);
    RUN(a_full_store_refuses);
    RUN(a_full_store_that_may_lets_go_of_what_is_not_used);
    buf_fini(&reply);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return check_report() != 0 || system(command) != 0;
}
