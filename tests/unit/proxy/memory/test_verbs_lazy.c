/* A key whose time is over is dropped when somebody meets it.  Nobody may notice that: commands by
 * chance get the same replies from a store that is purged before each of them. */
#include <stdlib.h>

#include "proxy/memory/memory.h"
#include "proxy/memory/verbs.h"
#include "proxy/wire/resp_write.h"
#include "tests/unit/check.h"

enum { COMMANDS = 20000, WORDS_MOST = 8 };

/* k: a key; v: a value; n: a number; t: milliseconds; s: seconds. */
static const char *const shapes[] = {
    "SET k v",         "SET k v PX t",    "SET k v PX t NX",  "SET k v XX KEEPTTL",
    "SET k v KEEPTTL", "SET k v GET",     "SET k v PX t GET", "SET k n PX t",
    "SETEX k s v",     "PSETEX k t v",    "SETNX k v",        "GETSET k v",
    "GETDEL k",        "GETEX k",         "GETEX k PX t",     "GETEX k PERSIST",
    "GET k",           "MGET k k k",      "MSET k v k v",     "MSETNX k v k v",
    "APPEND k v",      "STRLEN k",        "SETRANGE k n v",   "GETRANGE k 0 n",
    "SUBSTR k n -1",   "INCR k",          "DECR k",           "INCRBY k n",
    "DECRBY k n",      "INCRBYFLOAT k n", "DEL k k",          "UNLINK k",
    "EXISTS k k",      "TOUCH k",         "TYPE k",           "RENAME k k",
    "RENAMENX k k",    "COPY k k",        "COPY k k REPLACE", "COPY k k DB 1",
    "MOVE k 1",        "EXPIRE k s",      "PEXPIRE k t",      "PEXPIRE k t NX",
    "PEXPIRE k t XX",  "PEXPIRE k t GT",  "PEXPIRE k t LT",   "PEXPIRE k -1",
    "TTL k",           "PTTL k",          "EXPIRETIME k",     "PEXPIRETIME k",
    "PERSIST k",
};

static unsigned seed;
static char folder[] = "/tmp/sheaf-verbs-lazy-XXXXXX";

static unsigned draw(unsigned below)
{
    return (unsigned)rand_r(&seed) % below;
}

static void open_store(struct verbs *v, const char *name)
{
    static char path[64];
    struct store_settings settings = { .path = path, .bytes_most = 1 << 20 };
    struct buf why = { 0 };

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    *v = (struct verbs){
        .engine = memory_back_find(name)->engine, .name = name, .now_ms = 1000000, .random = 1
    };
    CHECK_INT(v->engine->open(&settings, &v->store, &why), ERR_NONE);
    buf_fini(&why);
}

static void close_store(struct verbs *v)
{
    v->engine->close(&v->store);
    verbs_fini(v);
}

static void purge(struct verbs *v)
{
    uint32_t database = 0;
    uint64_t place = 0;

    do
        (void)verbs_purge(v, &database, &place, 1000);
    while (database != 0 || place != 0);
}

static void ask(struct verbs *v, const struct buf *request, uint32_t database, struct buf *reply)
{
    buf_clear(reply);
    verbs_run(
        v,
        &(struct verbs_ask){
            .bytes = buf_all(request), .database = database, .version = 2, .reply_most = 1 << 20 },
        reply);
    CHECK(!v->is_broken);
}

static void put_by_chance(struct buf *request)
{
    char shape[64], filled[WORDS_MOST][16], *rest = shape, *word;
    struct slice words[WORDS_MOST];
    size_t count = 0;

    snprintf(shape, sizeof(shape), "%s", shapes[draw(sizeof(shapes) / sizeof(shapes[0]))]);
    while ((word = strtok_r(rest, " ", &rest)) != NULL) {
        bool is_sign = word[0] >= 'a' && word[1] == '\0';
        unsigned number = draw(word[0] == 't' ? 6 : word[0] == 'k' ? 4 : 3) + (word[0] != 'n');

        if (is_sign && word[0] != 's' && word[0] != 't' && word[0] != 'n')
            snprintf(filled[count], sizeof(filled[count]), "%c%u", word[0], number);
        else if (is_sign)
            snprintf(filled[count], sizeof(filled[count]), "%u", number);
        else
            snprintf(filled[count], sizeof(filled[count]), "%s", word);
        words[count] = slice_text(filled[count]);
        count++;
    }
    buf_clear(request);
    resp_put_command(request, words, count);
}

static void nobody_notices(const char *name)
{
    struct verbs lazy, purged;
    struct buf request = { 0 }, found = { 0 }, expected = { 0 };

    open_store(&lazy, name);
    open_store(&purged, "ram");
    for (int i = 0; i < COMMANDS && check_failures_here == 0; i++) {
        uint32_t database = draw(8) == 0;

        lazy.now_ms = purged.now_ms += draw(3);
        purge(&purged);
        put_by_chance(&request);
        ask(&lazy, &request, database, &found);
        ask(&purged, &request, database, &expected);
        CHECK_BYTES(buf_all(&found), buf_all(&expected));
        if (check_failures_here > 0)
            printf("%s, command %d: %.*s\n", name, i, (int)request.len, (const char *)request.at);
    }
    CHECK(purged.expired > COMMANDS / 20);
    close_store(&lazy);
    close_store(&purged);
    buf_fini(&request);
    buf_fini(&found);
    buf_fini(&expected);
}

static void of_what_is_over_nobody_notices_when_it_goes(void)
{
    static const char *const NAMES[] = { "ram", "sqlite", "rocksdb" };

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        nobody_notices(NAMES[i]);
}

int main(void)
{
    char command[64];

    if (mkdtemp(folder) == NULL)
        return 1;
    seed = 1;
    RUN(of_what_is_over_nobody_notices_when_it_goes);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return check_report() != 0 || system(command) != 0;
}
