/* What SQLite's COMMIT has acknowledged is in its files: whoever copies them has it. */
#include "proxy/memory/store_sqlite_log.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/check.h"

static char folder[] = "/tmp/sheaf-log-XXXXXX";

static void run(sqlite3 *db, const char *text)
{
    CHECK_INT(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
}

static sqlite3 *open_base(const char *cache)
{
    char path[64], text[64];
    sqlite3 *db;

    snprintf(path, sizeof(path), "%s/base", folder);
    CHECK_INT(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                              store_sqlite_log_name()),
              SQLITE_OK);
    snprintf(text, sizeof(text), "PRAGMA cache_size = %s", cache);
    run(db, text);
    run(db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
            "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 100;"
            "CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, v BLOB, n INTEGER)");
    return db;
}

static sqlite3_int64 number(sqlite3 *db, const char *text)
{
    sqlite3_stmt *statement;
    sqlite3_int64 found;

    CHECK_INT(sqlite3_prepare_v2(db, text, -1, &statement, NULL), SQLITE_OK);
    CHECK_INT(sqlite3_step(statement), SQLITE_ROW);
    found = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return found;
}

/* As a process that was killed now would leave them, opened by SQLite alone. */
static sqlite3_int64 sum_of_the_copy(void)
{
    char text[256], path[64];
    sqlite3_int64 sum;
    sqlite3 *db;

    snprintf(text, sizeof(text),
             "cd %s && rm -f copy copy-wal && cp base copy && if [ -e base-wal ]; then cp base-wal "
             "copy-wal; fi",
             folder);
    CHECK_INT(system(text), 0);
    snprintf(path, sizeof(path), "%s/copy", folder);
    CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
    CHECK_INT(number(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = "
                         "'ok'"),
              1);
    sum = number(db, "SELECT coalesce(sum(n), 0) FROM t");
    sqlite3_close(db);
    return sum;
}

/* Of so many rows, as often as that: with a small cache its pages go to the log before it ends, are
 * read there, and written there once more. */
static void change(sqlite3 *db, int rows, int times)
{
    char text[256];

    run(db, "BEGIN");
    for (int i = 0; i < times; i++) {
        snprintf(text, sizeof(text),
                 "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < %d) "
                 "INSERT INTO t SELECT x, randomblob(x %% 7 * 300), 1 FROM c WHERE true "
                 "ON CONFLICT DO UPDATE SET v = randomblob(k %% 5 * 400), n = n + 1",
                 rows);
        run(db, text);
    }
}

static void what_is_committed_is_in_the_files(void)
{
    static const char *const CACHES[] = { "5", "20", "-4096" };
    sqlite3_int64 sum = 0;

    for (size_t i = 0; i < sizeof(CACHES) / sizeof(CACHES[0]); i++) {
        sqlite3 *db = open_base(CACHES[i]);

        for (int rows = 1; rows <= 600; rows = rows * 3 + 1) {
            change(db, rows, 3);
            run(db, "COMMIT");
            sum += 3 * rows;
            CHECK_INT(sum_of_the_copy(), sum);
            change(db, rows * 2, 2);
            run(db, "ROLLBACK");
            CHECK_INT(sum_of_the_copy(), sum);
        }
        CHECK_INT(number(db, "SELECT sum(n) FROM t"), sum);
        sqlite3_close(db);
        CHECK_INT(sum_of_the_copy(), sum);
    }
}

int main(void)
{
    char text[64];

    CHECK(mkdtemp(folder) != NULL);
    RUN(what_is_committed_is_in_the_files);
    snprintf(text, sizeof(text), "rm -rf %s", folder);
    CHECK_INT(system(text), 0);
    return check_report();
}
