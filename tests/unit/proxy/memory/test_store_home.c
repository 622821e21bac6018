/* When an embedded store is made durable: SQLite's, of which it is told what was put and not synced
 * since. */
#include "proxy/memory/store_home_flow.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/core/crew.h"
#include "proxy/core/stats.h"
#include "proxy/io/mailbox.h"
#include "proxy/memory/memory.h"
#include "proxy/wire/resp_write.h"
#include "tests/unit/check.h"

static const struct store_engine *sqlite;
static atomic_bool is_unsynced;
static atomic_int put_count, commit_count, closed;
static atomic_int syncs_to_fail, opened_in_vain;
static atomic_bool is_gone, was_called_without; /* the store */

enum { JOBS = 700, PIECES = 3 }; /* the first alone, as many as a piece may be, and the rest */
static atomic_bool is_watched;
static atomic_int asked, looks, committed, piece_commits[2];

static enum err put(struct store *store, const struct store_key *key,
                    const struct store_value *value)
{
    atomic_fetch_add(&put_count, 1);
    atomic_store(&is_unsynced, true);
    return sqlite->put(store, key, value);
}

/* Until all is asked, and its worker has looked for letters meanwhile. */
static void hold(void)
{
    int since;

    if (!atomic_load(&is_watched))
        return;
    while (atomic_load(&asked) < JOBS)
        usleep(100);
    since = atomic_load(&looks);
    while (atomic_load(&looks) < since + 2)
        usleep(100);
}

static enum err commit_piece(struct store *store, bool sync, int puts)
{
    enum err err;

    hold();
    err = sqlite->commit(store, sync);
    atomic_fetch_add(&piece_commits[sync], 1);
    atomic_store(&committed, puts);
    return err;
}

static enum err commit(struct store *store, bool sync)
{
    int puts = atomic_load(&put_count);

    if (store == NULL) {
        atomic_store(&was_called_without, true);
        return ERR_NONE;
    }
    if (atomic_load(&is_gone))
        return ERR_SYSTEM;
    if (sync && atomic_load(&syncs_to_fail) > 0) {
        atomic_fetch_sub(&syncs_to_fail, 1);
        return ERR_SYSTEM;
    }
    atomic_fetch_add(&commit_count, sync || atomic_load(&put_count) > 0);
    if (sync)
        atomic_store(&is_unsynced, false);
    if (puts > atomic_load(&committed))
        return commit_piece(store, sync, puts);
    return sqlite->commit(store, sync);
}

static void close_store(struct store **store)
{
    atomic_fetch_add(&closed, 1);
    sqlite->close(store);
}

static enum err open_store(const struct store_settings *settings, struct store **out,
                           struct buf *why)
{
    if (!atomic_load(&is_gone))
        return sqlite->open(settings, out, why);
    atomic_fetch_add(&opened_in_vain, 1);
    buf_text(why, "it is gone");
    return ERR_DOWN;
}

static bool is_lost(const struct store *store)
{
    (void)store;
    return atomic_load(&is_gone);
}

static void nobody(struct worker *w, struct store_job *job)
{
    (void)w;
    store_job_free(job);
}

typedef void done_f(struct worker *w, struct store_job *job);

static void ask_to_set(struct store_home *home, const char *key, done_f *done)
{
    struct slice words[] = { slice_text("SET"), slice_text(key), slice_text("value") };
    struct store_job *job = mem_new(sizeof(*job));

    resp_put_command(&job->bytes, words, 3);
    job->ask =
        (struct verbs_ask){ .bytes = buf_all(&job->bytes), .version = 2, .reply_most = 1 << 16 };
    job->done = done;
    CHECK(store_home_ask(home, job, 1 << 20));
}

static void set(struct store_home *home, const char *key)
{
    ask_to_set(home, key, nobody);
}

/* Of the engine above; each sync has a file of its own. */
static struct store_home *enter(const char *folder, enum memory_sync sync)
{
    static struct store_engine engine;
    char path[64];
    struct memory_pool pool = {
        .base.name = "main", .sync = sync, .base.backoff_min_ms = 100, .base.backoff_max_ms = 100
    };
    struct endpoint_settings endpoint = {
        .name = path, .identity = path, .protocol = "sqlite", .store_path = path, .pool = &pool.base
    };
    struct store_home *home;

    snprintf(path, sizeof(path), "%s/%d", folder, (int)sync);
    atomic_store(&is_unsynced, false);
    atomic_store(&put_count, 0);
    atomic_store(&commit_count, 0);
    atomic_store(&committed, 0);
    engine = *sqlite;
    engine.open = open_store;
    engine.put = put;
    engine.commit = commit;
    engine.close = close_store;
    engine.is_lost = is_lost;
    home = store_home_enter(&endpoint, &engine);
    store_home_follow(home, &endpoint, (struct slice){ 0 });
    return home;
}

static void remove_folder(const char *folder)
{
    char command[64];

    snprintf(command, sizeof(command), "rm -rf %s", folder);
    CHECK_INT(system(command), 0);
}

/* What was written before its end; then it is closed. */
static void write_and_leave(const char *folder, enum memory_sync sync)
{
    struct store_home *home = enter(folder, sync);

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
    char folder[] = "/tmp/sheaf-homes-XXXXXX";

    CHECK(mkdtemp(folder) != NULL);
    for (size_t i = 0; i < sizeof(SYNCS) / sizeof(SYNCS[0]); i++) {
        write_and_leave(folder, SYNCS[i]);
        CHECK_INT(atomic_load(&closed), (int)i + 1);
        CHECK(atomic_load(&is_unsynced) == (SYNCS[i] == MEMORY_SYNC_NEVER));
        CHECK_INT(count_keys(folder, SYNCS[i]), 2);
    }
    remove_folder(folder);
}

static void wait_for_a_sync(void)
{
    for (int i = 0; i < 10000 && atomic_load(&is_unsynced); i++)
        usleep(1000);
    CHECK(!atomic_load(&is_unsynced));
}

static void what_could_not_be_synced_is_tried_again_without_a_write(void)
{
    char folder[] = "/tmp/sheaf-homes-XXXXXX", log[2048];
    struct store_home *home;
    int ends[2];
    ssize_t len;

    CHECK(mkdtemp(folder) != NULL && pipe(ends) == 0);
    log_setup(&(struct log_settings){ .level = LOG_INFO, .fd = ends[1] });
    atomic_store(&syncs_to_fail, 1);
    home = enter(folder, MEMORY_SYNC_INTERVAL);
    set(home, "key");
    while (atomic_load(&syncs_to_fail) > 0)
        usleep(1000);
    CHECK(atomic_load(&is_unsynced));
    wait_for_a_sync();
    store_home_leave(&home);
    store_homes_end();
    log_setup(&(struct log_settings){ .level = LOG_INFO });
    len = read(ends[0], log, sizeof(log) - 1);
    log[len < 0 ? 0 : len] = '\0';
    CHECK(strstr(log, "store cannot be synced") != NULL);
    CHECK(strstr(log, "store is synced again") != NULL);
    close(ends[0]);
    close(ends[1]);
    remove_folder(folder);
}

static void a_store_that_is_lost_is_synced_when_it_is_back(void)
{
    char folder[] = "/tmp/sheaf-homes-XXXXXX";
    struct store_home *home;

    CHECK(mkdtemp(folder) != NULL);
    home = enter(folder, MEMORY_SYNC_INTERVAL);
    set(home, "first");
    while (atomic_load(&put_count) == 0 || atomic_load(&commit_count) < 2)
        usleep(1000);
    set(home, "second");
    while (atomic_load(&put_count) < 2 || atomic_load(&commit_count) < 3)
        usleep(1000);
    CHECK(atomic_load(&is_unsynced));
    atomic_store(&is_gone, true);
    set(home, "third");
    while (atomic_load(&opened_in_vain) < 12) /* each tenth of a second: the sync was due */
        usleep(1000);
    atomic_store(&is_gone, false);
    wait_for_a_sync();
    CHECK(!atomic_load(&was_called_without));
    store_home_leave(&home);
    store_homes_end();
    CHECK_INT(count_keys(folder, MEMORY_SYNC_INTERVAL), 2);
    remove_folder(folder);
}

/* In the order in which they were asked for. */
static int done_count;

static void note_done(struct worker *w, struct store_job *job)
{
    (void)w;
    CHECK(atomic_load(&committed) > done_count++);
    CHECK_INT(job->err, ERR_NONE);
    CHECK_BYTES(buf_all(&job->reply), bytes("+OK\r\n"));
    store_job_free(job);
}

/* By a worker that looks for answers all the time. */
static void ask_many(const char *folder, enum memory_sync sync, struct mailbox *box)
{
    struct store_home *home = enter(folder, sync);
    char key[16];

    done_count = 0;
    atomic_store(&asked, 0);
    atomic_store(&piece_commits[false], 0);
    atomic_store(&piece_commits[true], 0);
    atomic_store(&is_watched, true);
    ask_to_set(home, "first", note_done);
    while (atomic_load(&put_count) == 0)
        usleep(100);
    for (int i = 1; i < JOBS; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        ask_to_set(home, key, note_done);
    }
    atomic_store(&asked, JOBS);
    for (int i = 0; i < 50000 && done_count < JOBS; i++) {
        mailbox_empty(box);
        atomic_fetch_add(&looks, 1);
        usleep(200);
    }
    atomic_store(&is_watched, false);
    store_home_leave(&home);
    store_homes_end();
}

static void nobody_is_answered_before_what_he_wrote_is_committed(void)
{
    static const enum memory_sync SYNCS[] = { MEMORY_SYNC_ALWAYS, MEMORY_SYNC_INTERVAL,
                                              MEMORY_SYNC_NEVER };
    static struct worker worker;
    char folder[] = "/tmp/sheaf-homes-XXXXXX";
    struct event_base *base = event_base_new();
    struct mailbox *box;

    CHECK(mkdtemp(folder) != NULL);
    CHECK_INT(mailbox_open(base, &worker, &box), ERR_NONE);
    crew_join(&worker, box);
    for (size_t i = 0; i < sizeof(SYNCS) / sizeof(SYNCS[0]); i++) {
        bool syncs = SYNCS[i] == MEMORY_SYNC_ALWAYS;

        ask_many(folder, SYNCS[i], box);
        CHECK_INT(done_count, JOBS);
        CHECK_INT(atomic_load(&piece_commits[syncs]), PIECES);
        CHECK_INT(atomic_load(&piece_commits[!syncs]), 0);
        CHECK_INT(count_keys(folder, SYNCS[i]), JOBS);
    }
    crew_leave(&worker);
    mailbox_close(&box);
    event_base_free(base);
    remove_folder(folder);
}

/* What the purges go by; it is the test's. */
static atomic_llong time_s;

time_t time(time_t *out)
{
    time_t now_s = (time_t)atomic_load(&time_s);

    if (out != NULL)
        *out = now_s;
    return now_s;
}

static time_t at(const char *text)
{
    struct tm day = { 0 };

    CHECK(strptime(text, "%Y-%m-%d %H:%M:%S", &day) != NULL);
    return timegm(&day);
}

/* It has looked around since, and at the time. */
static void look_around(struct store_home *home, const struct stats_row *stats)
{
    uint64_t keys = counter_get(&stats->store_keys);
    static int number;
    char key[16];

    snprintf(key, sizeof(key), "k%d", number++);
    set(home, key);
    for (int i = 0; i < 10000 && counter_get(&stats->store_keys) == keys; i++)
        usleep(1000);
    CHECK_INT(counter_get(&stats->store_keys), keys + 1);
}

/* Did the last purge begin then? */
static void time_passes(struct store_home *home, const struct stats_row *stats, const char *now,
                        const char *began)
{
    atomic_store(&time_s, at(now));
    look_around(home, stats);
    look_around(home, stats);
    CHECK_INT(counter_get(&stats->purge_began_s), began == NULL ? 0 : at(began));
}

static void a_clock_that_is_set_back_loses_no_purge(void)
{
    char folder[] = "/tmp/sheaf-homes-XXXXXX", path[64];
    struct memory_pool pool = { .base.name = "main", .sync = MEMORY_SYNC_NEVER };
    struct endpoint_settings endpoint = {
        .name = path, .identity = path, .protocol = "sqlite", .store_path = path, .pool = &pool.base
    };
    struct stats_row *stats;
    struct store_home *home;
    struct buf why = { 0 };

    CHECK(mkdtemp(folder) != NULL);
    CHECK_INT(setenv("TZ", "UTC", 1), 0);
    CHECK_INT(schedule_parse("0 3 *", &pool.purge_when, &why), ERR_NONE);
    snprintf(path, sizeof(path), "%s/clock", folder);
    stats = stats_row_of("main", path, 0, STATS_NO_WORKER);
    atomic_store(&time_s, at("2031-05-05 12:00:00"));
    home = store_home_enter(&endpoint, sqlite);
    store_home_follow(home, &endpoint, (struct slice){ 0 });
    time_passes(home, stats, "2031-05-05 12:00:01", NULL);
    time_passes(home, stats, "2026-11-29 02:00:00", NULL);
    time_passes(home, stats, "2026-11-29 03:00:01", "2026-11-29 03:00:01");
    time_passes(home, stats, "2026-11-29 02:59:00", "2026-11-29 03:00:01");
    time_passes(home, stats, "2026-11-29 03:00:30", "2026-11-29 03:00:01"); /* not again */
    time_passes(home, stats, "2026-11-28 22:00:00", "2026-11-29 03:00:01");
    time_passes(home, stats, "2026-11-29 03:00:02", "2026-11-29 03:00:02");
    store_home_leave(&home);
    store_homes_end();
    remove_folder(folder);
    buf_fini(&why);
}

int main(void)
{
    sqlite = memory_back_find("sqlite")->engine;
    RUN(who_ends_in_order_leaves_nothing_unsynced);
    RUN(nobody_is_answered_before_what_he_wrote_is_committed);
    RUN(what_could_not_be_synced_is_tried_again_without_a_write);
    RUN(a_store_that_is_lost_is_synced_when_it_is_back);
    RUN(a_clock_that_is_set_back_loses_no_purge);
    return check_report();
}
