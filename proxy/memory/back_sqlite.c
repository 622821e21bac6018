/* sqlite:///FILE: a store in one file of SQLite's, with its write-ahead log beside it.
 *
 *     keys(database, place, name, value, expires_ms)   in the order of places; expires_ms 0: never
 *     counts(database, keys)                            how many of them, written with them
 *
 * All that is between two commits is one transaction.  The file is this process's alone while it is
 * open, by a lock on FILE-lock beside it (store_lock.h) and SQLite's own; when it is not, sqlite3
 * and any other tool may look into it. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/memory/memory.h"
#include "proxy/memory/store.h"
#include "proxy/memory/store_counts.h"
#include "proxy/memory/store_disk.h"
#include "proxy/memory/store_lock.h"
#include "proxy/memory/store_sqlite_log.h"

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    GET,
    UPDATE,
    INSERT,
    DROP,
    WALK,
    FLUSH_ONE,
    FLUSH_ALL,
    PUT_COUNT,
    CHECKPOINT,
    STATEMENTS,
};

static const char *const TEXTS[STATEMENTS] = {
    [BEGIN] = "BEGIN",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [GET] = "SELECT value, expires_ms FROM keys WHERE database = ?1 AND place = ?2 AND name = ?3",
    [UPDATE] = ("UPDATE keys SET value = ?4, expires_ms = ?5 "
                "WHERE database = ?1 AND place = ?2 AND name = ?3"),
    [INSERT] = "INSERT INTO keys VALUES (?1, ?2, ?3, ?4, ?5)",
    [DROP] = "DELETE FROM keys WHERE database = ?1 AND place = ?2 AND name = ?3",
    [WALK] = ("SELECT place, name, value, expires_ms FROM keys WHERE database = ?1 AND place >= ?2 "
              "ORDER BY place, name"),
    [FLUSH_ONE] = "DELETE FROM keys WHERE database = ?1",
    [FLUSH_ALL] = "DELETE FROM keys",
    [PUT_COUNT] = "REPLACE INTO counts VALUES (?1, ?2)",
    [CHECKPOINT] = "PRAGMA wal_checkpoint(PASSIVE)",
};

/* Exclusive: no shared memory beside the file, and nobody else writes to it.  The log goes into the
 * file when it has 16 MiB: then a page that was changed again meanwhile goes once, and who waits
 * for that waits for some hundredths of a second. */
static const char SETTING_UP[] =
    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA cache_size = -65536;"
    "PRAGMA wal_autocheckpoint = 4096;"
    "CREATE TABLE IF NOT EXISTS keys (database INTEGER, place INTEGER, name BLOB, value BLOB NOT "
    "NULL, expires_ms INTEGER NOT NULL, PRIMARY KEY (database, place, name)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS counts (database INTEGER PRIMARY KEY, keys INTEGER NOT NULL);";

struct store {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    bool is_begun; /* a transaction */
    /* What the connection is set to, and what the next transaction should be: each commit is
     * synced.  Else the log is before it goes into the file, so a crash spoils nothing. */
    bool syncs, should_sync;
    struct store_counts counts, committed;
    struct buf value; /* of the last get */
    bool has_failed;  /* to write, when it was to last */
    bool spoilt_log;  /* what could not be synced of it may be lost, whatever is said next time */
    int lock;
    char why[200];
};

/* ---- statements ---- */

static const char *lite_why(struct store *s)
{
    return s->why;
}

static bool is_of_the_disk(int code)
{
    int kind = code & 0xff;

    return (kind == SQLITE_IOERR && code != SQLITE_IOERR_READ) || kind == SQLITE_FULL ||
           kind == SQLITE_CANTOPEN || kind == SQLITE_READONLY;
}

static enum err failed(struct store *s)
{
    s->has_failed |= is_of_the_disk(sqlite3_extended_errcode(s->db));
    snprintf(s->why, sizeof(s->why), "%s", sqlite3_errmsg(s->db));
    return ERR_SYSTEM;
}

/* One row, or ERR_NOT_FOUND.  The row is there until finish(). */
static enum err step(struct store *s, enum statement which)
{
    int is = sqlite3_step(s->statements[which]);

    if (is == SQLITE_ROW)
        return ERR_NONE;
    return is == SQLITE_DONE ? ERR_NOT_FOUND : failed(s);
}

static void finish(struct store *s, enum statement which)
{
    sqlite3_reset(s->statements[which]);
}

static enum err run(struct store *s, enum statement which)
{
    enum err err = step(s, which);

    finish(s, which);
    return err == ERR_SYSTEM ? err : ERR_NONE;
}

static enum err execute(struct store *s, const char *text)
{
    return sqlite3_exec(s->db, text, NULL, NULL, NULL) == SQLITE_OK ? ERR_NONE : failed(s);
}

/* Between two transactions. */
static enum err set_sync(struct store *s, bool sync)
{
    if (s->syncs == sync)
        return ERR_NONE;
    TRY(execute(s, sync ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL"));
    s->syncs = sync;
    return ERR_NONE;
}

static enum err begin(struct store *s)
{
    if (s->is_begun)
        return ERR_NONE;
    TRY(set_sync(s, s->should_sync));
    TRY(run(s, BEGIN));
    s->is_begun = true;
    return ERR_NONE;
}

static sqlite3_stmt *bind_key(struct store *s, enum statement which, const struct store_key *key)
{
    sqlite3_stmt *statement = s->statements[which];

    sqlite3_bind_int64(statement, 1, key->database);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)store_place(key->hash));
    sqlite3_bind_blob64(statement, 3, key->name.len == 0 ? (const void *)"" : key->name.at,
                        key->name.len, SQLITE_STATIC);
    return statement;
}

static struct slice column(sqlite3_stmt *statement, int index)
{
    const void *at = sqlite3_column_blob(statement, index);

    return slice_of(at, (size_t)sqlite3_column_bytes(statement, index));
}

/* ---- keys ---- */

static enum err lite_get(struct store *s, const struct store_key *key, struct store_value *out)
{
    sqlite3_stmt *get;
    enum err err;

    TRY(begin(s));
    get = bind_key(s, GET, key);
    err = step(s, GET);
    if (err == ERR_NONE) {
        buf_clear(&s->value);
        buf_slice(&s->value, column(get, 0));
        *out = (struct store_value){ buf_all(&s->value), sqlite3_column_int64(get, 1) };
    }
    finish(s, GET);
    return err;
}

static enum err put(struct store *s, enum statement which, const struct store_key *key,
                    const struct store_value *value)
{
    sqlite3_stmt *put = bind_key(s, which, key);

    sqlite3_bind_blob64(put, 4, value->bytes.len == 0 ? (const void *)"" : value->bytes.at,
                        value->bytes.len, SQLITE_STATIC);
    sqlite3_bind_int64(put, 5, value->expires_ms);
    return run(s, which);
}

/* A row that is there is written over in its place, in one search for it; to replace it would be
 * to look whether it is there, to take it out, and to put it in again. */
static enum err lite_put(struct store *s, const struct store_key *key,
                         const struct store_value *value)
{
    TRY(begin(s));
    TRY(put(s, UPDATE, key, value));
    if (sqlite3_changes(s->db) > 0)
        return ERR_NONE;
    TRY(put(s, INSERT, key, value));
    store_counts_add(&s->counts, key->database, 1);
    return ERR_NONE;
}

static enum err lite_drop(struct store *s, const struct store_key *key)
{
    TRY(begin(s));
    bind_key(s, DROP, key);
    TRY(run(s, DROP));
    if (sqlite3_changes(s->db) == 0)
        return ERR_NOT_FOUND;
    store_counts_add(&s->counts, key->database, -1);
    return ERR_NONE;
}

static enum err lite_walk(struct store *s, uint32_t database, uint64_t *place, uint64_t most,
                          store_visit_f *visit, void *arg)
{
    sqlite3_stmt *walk = s->statements[WALK];
    bool goes_on = true;
    enum err err;

    TRY(begin(s));
    sqlite3_bind_int64(walk, 1, database);
    sqlite3_bind_int64(walk, 2, (sqlite3_int64)*place);
    for (uint64_t i = 0; (err = step(s, WALK)) == ERR_NONE; i++) {
        uint64_t here = (uint64_t)sqlite3_column_int64(walk, 0);
        struct store_value value = { column(walk, 2), sqlite3_column_int64(walk, 3) };

        if ((!goes_on || i >= most) && here != *place) {
            *place = here;
            break;
        }
        *place = here;
        goes_on &= visit(arg, here, column(walk, 1), &value);
    }
    finish(s, WALK);
    if (err == ERR_NOT_FOUND)
        *place = 0;
    return err == ERR_SYSTEM ? err : ERR_NONE;
}

static enum err lite_flush(struct store *s, int64_t database)
{
    bool all = database == STORE_ALL_DATABASES;
    enum statement which = all ? FLUSH_ALL : FLUSH_ONE;

    TRY(begin(s));
    if (!all)
        sqlite3_bind_int64(s->statements[which], 1, database);
    TRY(run(s, which));
    for (uint32_t i = 0; i < s->counts.count; i++)
        if (all || database == i)
            store_counts_add(&s->counts, i, -(int64_t)s->counts.at[i]);
    return ERR_NONE;
}

/* ---- commit ---- */

static enum err put_counts(struct store *s)
{
    for (uint32_t i = 0; i < s->counts.count; i++) {
        sqlite3_bind_int64(s->statements[PUT_COUNT], 1, i);
        sqlite3_bind_int64(s->statements[PUT_COUNT], 2, (sqlite3_int64)s->counts.at[i]);
        if (s->counts.at[i] != store_counts_of(&s->committed, i))
            TRY(run(s, PUT_COUNT));
    }
    return ERR_NONE;
}

static void copy_counts(struct store_counts *to, const struct store_counts *from)
{
    for (uint32_t i = 0; i < from->count; i++)
        store_counts_add(to, i, (int64_t)(from->at[i] - store_counts_of(to, i)));
    to->changed = false;
}

static enum err end_transaction(struct store *s)
{
    bool writes;

    if (!s->is_begun)
        return ERR_NONE;
    if (s->counts.changed)
        TRY(put_counts(s));
    writes = sqlite3_txn_state(s->db, NULL) == SQLITE_TXN_WRITE;
    TRY(run(s, COMMIT));
    s->is_begun = false;
    s->has_failed &= !writes;
    if (s->counts.changed)
        copy_counts(&s->committed, &s->counts);
    s->counts.changed = false;
    return ERR_NONE;
}

/* All that is in the log goes into the file as well, both synced: a kernel that could not write a
 * part of the log tells so once, but it still has it. */
static enum err sync_file(struct store *s)
{
    TRY(set_sync(s, true));
    TRY(run(s, CHECKPOINT));
    s->spoilt_log = s->has_failed = false;
    return ERR_NONE;
}

/* By the library's own file: a transaction is on the disk once its log is. */
static enum err sync_log(struct store *s)
{
    sqlite3_file *log = NULL;

    if (s->spoilt_log ||
        sqlite3_file_control(s->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK ||
        log == NULL || log->pMethods == NULL)
        return sync_file(s);
    if (log->pMethods->xSync(log, SQLITE_SYNC_NORMAL) == SQLITE_OK)
        return ERR_NONE;
    s->spoilt_log = s->has_failed = true;
    snprintf(s->why, sizeof(s->why), "its log can't be synced: %s", strerrordesc_np(errno));
    return ERR_SYSTEM;
}

static enum err lite_commit(struct store *s, bool sync)
{
    bool is_synced = s->is_begun && s->syncs;

    store_trim(&s->value);
    TRY(end_transaction(s));
    return !sync || is_synced ? ERR_NONE : sync_log(s);
}

static void lite_abandon(struct store *s)
{
    char why[sizeof(s->why)];

    memcpy(why, s->why, sizeof(why)); /* what is told is why, not how this went */
    if (s->is_begun && sqlite3_get_autocommit(s->db) == 0 && run(s, ROLLBACK) != ERR_NONE)
        snprintf(s->why, sizeof(s->why), "%s", why);
    s->is_begun = false;
    for (uint32_t i = 0; i < s->counts.count; i++)
        s->counts.at[i] = store_counts_of(&s->committed, i);
    s->counts.changed = false;
}

/* ---- after a failure ---- */

/* It rolls back and goes on by itself.  But the files that it has open may be none any more, say
 * of a disk that was taken out and put in again: so it opens them anew. */
static bool lite_is_lost(const struct store *s)
{
    enum { ROOM = 1024 * 1024 };

    return s->has_failed && store_disk_takes(sqlite3_db_filename(s->db, "main"), ROOM);
}

static enum err lite_tend(struct store *s)
{
    return lite_is_lost(s) ? ERR_SYSTEM : ERR_NONE;
}

/* ---- figures ---- */

static void lite_measure(struct store *s, uint32_t database, struct store_size *out)
{
    *out = (struct store_size){ .keys = store_counts_of(&s->counts, database) };
}

static uint32_t lite_databases(struct store *s)
{
    return s->counts.count;
}

/* ---- opening ---- */

static enum err read_counts(struct store *s)
{
    enum { DATABASES_MOST = 65536 };
    sqlite3_stmt *read;
    int is;

    if (sqlite3_prepare_v2(s->db, "SELECT database, keys FROM counts", -1, &read, NULL) !=
        SQLITE_OK)
        return failed(s);
    while ((is = sqlite3_step(read)) == SQLITE_ROW) {
        sqlite3_int64 database = sqlite3_column_int64(read, 0);

        if (database >= 0 && database < DATABASES_MOST)
            store_counts_add(&s->counts, (uint32_t)database, sqlite3_column_int64(read, 1));
    }
    sqlite3_finalize(read);
    copy_counts(&s->committed, &s->counts);
    s->counts.changed = false;
    return is == SQLITE_DONE ? ERR_NONE : failed(s);
}

static enum err prepare(struct store *s)
{
    for (int i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(s->db, TEXTS[i], -1, SQLITE_PREPARE_PERSISTENT, &s->statements[i],
                               NULL) != SQLITE_OK)
            return failed(s);
    return ERR_NONE;
}

static void lite_close(struct store **where)
{
    struct store *s = *where;

    *where = NULL;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(s->statements[i]);
    sqlite3_close(s->db);
    store_lock_give_up(s->lock);
    store_counts_fini(&s->counts);
    store_counts_fini(&s->committed);
    buf_fini(&s->value);
    free(s);
}

/* Beside the file that it is in the end, as SQLite has it, which follows links. */
static enum err lock_file(struct store *s, struct buf *why)
{
    struct buf name = { 0 };
    enum err err;

    buf_format(&name, "%s-lock%c", sqlite3_db_filename(s->db, "main"), '\0');
    err = store_lock_take((const char *)name.at, "file", &s->lock, why);
    buf_fini(&name);
    return err;
}

static enum err set_up(struct store *s)
{
    sqlite3_extended_result_codes(s->db, 1);
    TRY(execute(s, SETTING_UP));
    TRY(set_sync(s, true));
    TRY(prepare(s));
    return read_counts(s);
}

/* SQLite opens the file, and looks at it only when it is set up. */
static enum err open_file(struct store *s, const char *path, struct buf *why)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

    enum err err = sqlite3_open_v2(path, &s->db, flags, store_sqlite_log_name()) == SQLITE_OK
                       ? ERR_NONE
                       : failed(s);

    if (err == ERR_NONE)
        TRY(lock_file(s, why));
    if (err == ERR_NONE)
        err = set_up(s);
    if (err != ERR_NONE)
        buf_text(why, s->why);
    return err;
}

static enum err lite_open(const struct store_settings *settings, struct store **out,
                          struct buf *why)
{
    struct store *s = mem_new(sizeof(*s));
    enum err err;

    s->lock = -1;
    s->should_sync = settings->syncs;
    s->spoilt_log = true; /* nobody knows how whoever had it before has left it */
    err = open_file(s, settings->path, why);
    if (err == ERR_NONE)
        *out = s;
    else
        lite_close(&s);
    return err;
}

static const struct store_engine engine = {
    .waits = true,
    .open = lite_open,
    .close = lite_close,
    .get = lite_get,
    .put = lite_put,
    .drop = lite_drop,
    .walk = lite_walk,
    .flush = lite_flush,
    .measure = lite_measure,
    .databases = lite_databases,
    .commit = lite_commit,
    .abandon = lite_abandon,
    .why = lite_why,
    .tend = lite_tend,
    .is_lost = lite_is_lost,
};

const struct memory_back memory_back_sqlite = { .name = "sqlite", .engine = &engine };
