/* When an embedded store is made durable: SQLite's, of which it is told what was put and not synced
 * since. */
#include "proxy/memory/store_home_flow.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/mem.h"
#include "proxy/memory/memory.h"
#include "proxy/wire/resp_write.h"
#include "tests/unit/check.h"

static const struct store_engine *sqlite;
static atomic_bool is_unsynced;
static atomic_int put_count, commit_count, closed;

static enum err put(struct store *store, const struct store_key *key,
                    const struct store_value *value)
{
    atomic_fetch_add(&put_count, 1);
    atomic_store(&is_unsynced, true);
    return sqlite->put(store, key, value);
}

static enum err commit(struct store *store, bool sync)
{
    atomic_fetch_add(&commit_count, sync || atomic_load(&put_count) > 0);
    if (sync)
        atomic_store(&is_unsynced, false);
    return sqlite->commit(store, sync);
}

static void close_store(struct store **store)
{
    atomic_fetch_add(&closed, 1);
    sqlite->close(store);
}

static void nobody(struct worker *w, struct store_job *job)
{
    (void)w;
    store_job_free(job);
}

static void set(struct store_home *home, const char *key)
{
    struct slice words[] = { slice_text("SET"), slice_text(key), slice_text("value") };
    struct store_job *job = mem_new(sizeof(*job));

    resp_put_command(&job->bytes, words, 3);
    job->ask =
        (struct verbs_ask){ .bytes = buf_all(&job->bytes), .version = 2, .reply_most = 1 << 16 };
    job->done = nobody;
    CHECK(store_home_ask(home, job, 1 << 20));
}

/* What was written before its end; then it is closed. */
static void write_and_leave(const char *folder, enum memory_sync sync)
{
    static struct store_engine engine;
    char path[64];
    struct memory_pool pool = {
        .base.name = "main", .sync = sync, .base.backoff_min_ms = 100, .base.backoff_max_ms = 1000
    };
    struct endpoint_settings endpoint = {
        .name = path, .identity = path, .protocol = "sqlite", .store_path = path, .pool = &pool.base
    };
    struct store_home *home;

    snprintf(path, sizeof(path), "%s/%d", folder, (int)sync);
    engine = *sqlite;
    engine.put = put;
    engine.commit = commit;
    engine.close = close_store;
    home = store_home_enter(&endpoint, &engine);
    store_home_follow(home, &endpoint, (struct slice){ 0 });
    set(home, "first");
    while (atomic_load(&put_count) == 0 || atomic_load(&commit_count) == 0)
        usleep(1000);
    set(home, "second"); /* the next sync by the clock is a second away */
    store_home_leave(&home);
    store_homes_end();
}

static uint64_t count_keys(const char *folder, enum memory_sync sync)
{
    char path[64];
    struct store_settings settings = { .path = path };
    struct store_size size;
    struct store *store;
    struct buf why = { 0 };

    snprintf(path, sizeof(path), "%s/%d", folder, (int)sync);
    CHECK_INT(sqlite->open(&settings, &store, &why), ERR_NONE);
    sqlite->measure(store, 0, &size);
    sqlite->close(&store);
    buf_fini(&why);
    return size.keys;
}

static void who_ends_in_order_leaves_nothing_unsynced(void)
{
    static const enum memory_sync SYNCS[] = { MEMORY_SYNC_ALWAYS, MEMORY_SYNC_INTERVAL,
                                              MEMORY_SYNC_NEVER };
    char folder[] = "/tmp/sheaf-homes-XXXXXX", command[64];

    CHECK(mkdtemp(folder) != NULL);
    for (size_t i = 0; i < sizeof(SYNCS) / sizeof(SYNCS[0]); i++) {
        atomic_store(&is_unsynced, false);
        atomic_store(&put_count, 0);
        atomic_store(&commit_count, 0);
        write_and_leave(folder, SYNCS[i]);
        CHECK_INT(atomic_load(&closed), (int)i + 1);
        CHECK(atomic_load(&is_unsynced) == (SYNCS[i] == MEMORY_SYNC_NEVER));
        CHECK_INT(count_keys(folder, SYNCS[i]), 2);
    }
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    CHECK_INT(system(command), 0);
}

int main(void)
{
    sqlite = memory_back_find("sqlite")->engine;
    RUN(who_ends_in_order_leaves_nothing_unsynced);
    return check_report();
}
