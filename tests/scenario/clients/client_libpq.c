/* libpq as it is, its pipelines above all: client_libpq CONNINFO STORY.  Ends with 0 if all is
 * as it must be.  The stories are those of PostgreSQL's own test libpq_pipeline, and some
 * besides. */
#include <errno.h>
#include <libpq-fe.h>
#include <libpq/libpq-fs.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static PGconn *pg;
static const char *conninfo;

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: not true: %s: %s\n", __LINE__, #condition,                   \
                    PQerrorMessage(pg));                                                           \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static PGconn *connected(void)
{
    PGconn *conn = PQconnectdb(conninfo);
    if (PQstatus(conn) != CONNECTION_OK) {
        fprintf(stderr, "%s", PQerrorMessage(conn));
        exit(1);
    }
    return conn;
}

/* The next result is of this kind; it is the caller's. */
static PGresult *next_of(ExecStatusType status, int line)
{
    PGresult *result = PQgetResult(pg);
    if (result == NULL || PQresultStatus(result) != status) {
        fprintf(stderr, "line %d: %s instead of %s: %s\n", line,
                result == NULL ? "nothing" : PQresStatus(PQresultStatus(result)),
                PQresStatus(status), PQerrorMessage(pg));
        exit(1);
    }
    return result;
}

#define EXPECT(status) PQclear(next_of(status, __LINE__))
#define EXPECT_NULL()  MUST(PQgetResult(pg) == NULL)

static void expect_error(const char *sqlstate, int line)
{
    PGresult *result = next_of(PGRES_FATAL_ERROR, line);
    const char *said = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (said == NULL || strcmp(said, sqlstate) != 0) {
        fprintf(stderr, "line %d: %s instead of %s\n", line, said == NULL ? "none" : said,
                sqlstate);
        exit(1);
    }
    PQclear(result);
}

#define EXPECT_ERROR(sqlstate) expect_error(sqlstate, __LINE__)

static void exec(const char *sql, ExecStatusType status, int line)
{
    PGresult *result = PQexec(pg, sql);
    if (PQresultStatus(result) != status) {
        fprintf(stderr, "line %d: %s: %s", line, sql, PQerrorMessage(pg));
        exit(1);
    }
    PQclear(result);
}

#define EXEC(sql) exec(sql, PGRES_COMMAND_OK, __LINE__)

static void send_one(const char *sql, const char *value)
{
    MUST(PQsendQueryParams(pg, sql, value == NULL ? 0 : 1, NULL, &value, NULL, NULL, 0) == 1);
}

/* The end of a pipeline: its sync, and the answer to that. */
static void sync_pipeline(void)
{
    MUST(PQpipelineSync(pg) == 1);
}

static void disallowed(void)
{
    MUST(PQenterPipelineMode(pg) == 1);
    MUST(PQresultStatus(PQexec(pg, "SELECT 1")) == PGRES_FATAL_ERROR);
    send_one("SELECT 1", NULL);
    MUST(PQexitPipelineMode(pg) == 0); /* it is not empty */
    sync_pipeline();
    EXPECT(PGRES_TUPLES_OK);
    EXPECT_NULL();
    EXPECT(PGRES_PIPELINE_SYNC);
    EXPECT_NULL();
    MUST(PQexitPipelineMode(pg) == 1);
    exec("SELECT 1", PGRES_TUPLES_OK, __LINE__);
}

static void multi_pipelines(void)
{
    MUST(PQenterPipelineMode(pg) == 1);
    for (int n = 0; n < 10; n++) {
        send_one("SELECT $1::int", "1");
        sync_pipeline();
    }
    for (int n = 0; n < 10; n++) {
        EXPECT(PGRES_TUPLES_OK);
        EXPECT_NULL();
        EXPECT(PGRES_PIPELINE_SYNC);
    }
    EXPECT_NULL();
    MUST(PQexitPipelineMode(pg) == 1);
}

static void nosync(void)
{
    MUST(PQenterPipelineMode(pg) == 1);
    for (int n = 0; n < 10; n++) {
        send_one("SELECT repeat('xyzxz', 12)", NULL);
        MUST(PQsendFlushRequest(pg) == 1 && PQflush(pg) == 0);
    }
    for (int n = 0; n < 10; n++) {
        EXPECT(PGRES_TUPLES_OK);
        EXPECT_NULL();
    }
    sync_pipeline();
    EXPECT(PGRES_PIPELINE_SYNC);
}

/* All is written before anything is read. */
static void pipelined_insert(void)
{
    enum { ROWS = 20000 };
    MUST(PQenterPipelineMode(pg) == 1);
    send_one("BEGIN", NULL);
    send_one("DROP TABLE IF EXISTS pipelined", NULL);
    send_one("CREATE TABLE pipelined (id serial PRIMARY KEY, itemno int, v text)", NULL);
    sync_pipeline();
    MUST(PQsendPrepare(pg, "insert", "INSERT INTO pipelined (itemno, v) VALUES ($1, $2)", 2, NULL));
    for (int n = 0; n < ROWS; n++) {
        char number[16];
        snprintf(number, sizeof(number), "%d", n);
        const char *values[] = { number, "a text of which there is a lot in all" };
        MUST(PQsendQueryPrepared(pg, "insert", 2, values, NULL, NULL, 0) == 1);
    }
    send_one("COMMIT", NULL);
    sync_pipeline();
    for (int n = 0; n < 3; n++) {
        EXPECT(PGRES_COMMAND_OK);
        EXPECT_NULL();
    }
    EXPECT(PGRES_PIPELINE_SYNC);
    for (int n = 0; n < ROWS + 2; n++) {
        EXPECT(PGRES_COMMAND_OK);
        EXPECT_NULL();
    }
    EXPECT(PGRES_PIPELINE_SYNC);
    MUST(PQexitPipelineMode(pg) == 1);
    PGresult *count = PQexec(pg, "SELECT count(*), sum(itemno) FROM pipelined");
    MUST(strcmp(PQgetvalue(count, 0, 0), "20000") == 0);
    MUST(strcmp(PQgetvalue(count, 0, 1), "199990000") == 0);
    PQclear(count);
    EXEC("DROP TABLE pipelined");
}

static void prepared(void)
{
    MUST(PQenterPipelineMode(pg) == 1);
    MUST(PQsendPrepare(pg, "select_one", "SELECT $1, '42', $1::numeric, interval '1 sec'", 1,
                       (Oid[]){ 23 }) == 1);
    MUST(PQsendDescribePrepared(pg, "select_one") == 1);
    sync_pipeline();
    EXPECT(PGRES_COMMAND_OK);
    EXPECT_NULL();
    PGresult *described = next_of(PGRES_COMMAND_OK, __LINE__);
    MUST(PQnfields(described) == 4 && PQftype(described, 0) == 23 && PQftype(described, 3) == 1186);
    MUST(PQnparams(described) == 1 && PQparamtype(described, 0) == 23);
    PQclear(described);
    EXPECT_NULL();
    EXPECT(PGRES_PIPELINE_SYNC);
    MUST(PQexitPipelineMode(pg) == 1);

    EXEC("BEGIN");
    EXEC("DECLARE cursor_one CURSOR FOR SELECT 1");
    MUST(PQenterPipelineMode(pg) == 1);
    MUST(PQsendDescribePortal(pg, "cursor_one") == 1);
    sync_pipeline();
    described = next_of(PGRES_COMMAND_OK, __LINE__);
    MUST(PQnfields(described) == 1 && PQftype(described, 0) == 23);
    PQclear(described);
    EXPECT_NULL();
    EXPECT(PGRES_PIPELINE_SYNC);
    MUST(PQexitPipelineMode(pg) == 1);
    EXEC("ROLLBACK");
    described = PQdescribePrepared(pg, "nosuch");
    MUST(strcmp(PQresultErrorField(described, PG_DIAG_SQLSTATE), "26000") == 0);
    PQclear(described);
}

static void pipeline_abort(void)
{
    EXEC("CREATE TEMP TABLE aborting (a int PRIMARY KEY)");
    MUST(PQenterPipelineMode(pg) == 1);
    send_one("INSERT INTO aborting VALUES ($1)", "1");
    send_one("SELECT no_such_function($1)", "1");
    send_one("INSERT INTO aborting VALUES ($1)", "2");
    sync_pipeline();
    send_one("INSERT INTO aborting VALUES ($1)", "3");
    sync_pipeline();
    EXPECT(PGRES_COMMAND_OK);
    EXPECT_NULL();
    EXPECT_ERROR("42883");
    EXPECT_NULL();
    MUST(PQpipelineStatus(pg) == PQ_PIPELINE_ABORTED);
    EXPECT(PGRES_PIPELINE_ABORTED);
    EXPECT_NULL();
    EXPECT(PGRES_PIPELINE_SYNC);
    EXPECT(PGRES_COMMAND_OK);
    EXPECT_NULL();
    EXPECT(PGRES_PIPELINE_SYNC);

    /* Rows before the error. */
    send_one("SELECT 1.0/g FROM generate_series(3, -1, -1) g", NULL);
    MUST(PQsetSingleRowMode(pg) == 1);
    sync_pipeline();
    for (int n = 0; n < 3; n++)
        EXPECT(PGRES_SINGLE_TUPLE);
    EXPECT_ERROR("22012");
    EXPECT_NULL();
    EXPECT(PGRES_PIPELINE_SYNC);
    MUST(PQexitPipelineMode(pg) == 1);
    PGresult *count = PQexec(pg, "SELECT string_agg(a::text, ',') FROM aborting");
    MUST(strcmp(PQgetvalue(count, 0, 0), "3") == 0);
    PQclear(count);
}

static void singlerow(void)
{
    MUST(PQenterPipelineMode(pg) == 1);
    for (int n = 0; n < 3; n++)
        send_one("SELECT generate_series(42, $1::int)", (const char *[]){ "44", "45", "46" }[n]);
    sync_pipeline();
    for (int n = 0; n < 3; n++) {
        MUST(PQsetSingleRowMode(pg) == 1);
        for (int row = 0; row < 3 + n; row++)
            EXPECT(PGRES_SINGLE_TUPLE);
        EXPECT(PGRES_TUPLES_OK);
        EXPECT_NULL();
    }
    EXPECT(PGRES_PIPELINE_SYNC);
    MUST(PQexitPipelineMode(pg) == 1);
}

static void prepare_and_sync(const char *name, const char *sql)
{
    MUST(PQsendPrepare(pg, name, sql, 0, NULL) == 1);
}

/* Errors in transactions, where the parse of a statement fails too: one proxy hung on this. */
static void transaction(void)
{
    EXEC("DROP TABLE IF EXISTS pipeline_tst");
    EXEC("CREATE TABLE pipeline_tst (id int)");
    MUST(PQenterPipelineMode(pg) == 1);
    prepare_and_sync("rollback", "ROLLBACK");
    send_one("BEGIN", NULL);
    send_one("SELECT 0/0", NULL);
    MUST(PQsendQueryPrepared(pg, "rollback", 0, NULL, NULL, NULL, 1) == 1); /* is skipped */
    send_one("INSERT INTO pipeline_tst VALUES (1)", NULL);                  /* and this */
    sync_pipeline();
    MUST(PQsendQueryPrepared(pg, "rollback", 0, NULL, NULL, NULL, 1) == 1);
    send_one("INSERT INTO pipeline_tst VALUES (2)", NULL);
    sync_pipeline();
    send_one("INSERT INTO pipeline_tst VALUES (3)", NULL);
    sync_pipeline();
    send_one("BEGIN", NULL);
    send_one("INSERT INTO nosuch VALUES (4)", NULL);
    sync_pipeline();
    send_one("SELECT 'in a failed transaction'", NULL);
    sync_pipeline();
    MUST(PQsendQueryPrepared(pg, "rollback", 0, NULL, NULL, NULL, 1) == 1);
    sync_pipeline();

    ExecStatusType told[] = {
        PGRES_COMMAND_OK,       PGRES_COMMAND_OK,    PGRES_FATAL_ERROR,   PGRES_PIPELINE_ABORTED,
        PGRES_PIPELINE_ABORTED, PGRES_PIPELINE_SYNC, PGRES_COMMAND_OK,    PGRES_COMMAND_OK,
        PGRES_PIPELINE_SYNC,    PGRES_COMMAND_OK,    PGRES_PIPELINE_SYNC, PGRES_COMMAND_OK,
        PGRES_FATAL_ERROR,      PGRES_PIPELINE_SYNC, PGRES_FATAL_ERROR,   PGRES_PIPELINE_SYNC,
        PGRES_COMMAND_OK,       PGRES_PIPELINE_SYNC,
    };
    for (size_t n = 0; n < sizeof(told) / sizeof(told[0]); n++) {
        PQclear(next_of(told[n], (int)n));
        if (told[n] != PGRES_PIPELINE_SYNC)
            EXPECT_NULL();
    }
    MUST(PQexitPipelineMode(pg) == 1);
    PGresult *rows = PQexec(pg, "SELECT string_agg(id::text, ',' ORDER BY id) FROM pipeline_tst");
    MUST(strcmp(PQgetvalue(rows, 0, 0), "2,3") == 0);
    PQclear(rows);
    EXEC("DROP TABLE pipeline_tst");
}

/* Writes whenever that is possible, reads only when something is there, until the error has
 * come. */
static void uniqviol(void)
{
    EXEC("CREATE TEMP TABLE ppln_uniqviol (id bigint PRIMARY KEY, idata bytea)");
    MUST(PQsetnonblocking(pg, 1) == 0 && PQenterPipelineMode(pg) == 1);
    MUST(PQsendPrepare(pg, "insertion", "INSERT INTO ppln_uniqviol VALUES ($1, $2) RETURNING id", 2,
                       (Oid[]){ 20, 17 }) == 1);
    static char blob[3000];
    memset(blob, 'x', sizeof(blob) - 1);
    int sent = 0, rows = 0, tail = 0;
    bool failed = false;
    while (!failed || tail < 100) {
        /* The 5000th is of an id that is there. */
        char number[16];
        snprintf(number, sizeof(number), "%d", sent == 5000 ? 17 : sent);
        const char *values[] = { number, blob };
        MUST(PQsendQueryPrepared(pg, "insertion", 2, values, NULL, NULL, 1) == 1);
        tail += failed;
        MUST(++sent < 100000);
        struct pollfd one = { PQsocket(pg), POLLIN | (PQflush(pg) != 0 ? POLLOUT : 0), 0 };
        MUST(poll(&one, 1, (one.events & POLLOUT) != 0 ? 30000 : 0) >= 0);
        if ((one.revents & POLLIN) == 0)
            continue;
        MUST(PQconsumeInput(pg) == 1);
        for (int nulls = 0; nulls < 2 && !PQisBusy(pg);) {
            PGresult *result = PQgetResult(pg);
            nulls = result == NULL ? nulls + 1 : 0;
            rows += PQresultStatus(result) == PGRES_TUPLES_OK;
            failed = failed || (result != NULL && PQresultStatus(result) == PGRES_FATAL_ERROR);
            PQclear(result);
        }
        if (sent > 5000 && !failed && PQsendFlushRequest(pg) != 1)
            exit(1);
    }
    MUST(rows == 5000);
    MUST(PQsetnonblocking(pg, 0) == 0);
    sync_pipeline();
    for (int nulls = 0; nulls < 3;) {
        PGresult *result = PQgetResult(pg);
        nulls = result == NULL ? nulls + 1 : 0;
        if (result != NULL && PQresultStatus(result) == PGRES_PIPELINE_SYNC)
            nulls = 3;
        PQclear(result);
    }
    MUST(PQexitPipelineMode(pg) == 1);
}

static void cancel(void)
{
    char error[256];
    for (int n = 0; n < 20; n++) {
        MUST(PQsendQuery(pg, "SELECT pg_sleep(60)") == 1);
        PGcancel *key = PQgetCancel(pg);
        /* It may be there before the query is, and is void then. */
        while (PQisBusy(pg)) {
            MUST(PQcancel(key, error, sizeof(error)) == 1);
            struct pollfd one = { PQsocket(pg), POLLIN, 0 };
            if (poll(&one, 1, 20) > 0)
                MUST(PQconsumeInput(pg) == 1);
        }
        PQfreeCancel(key);
        EXPECT_ERROR("57014");
        EXPECT_NULL();
        exec("SELECT 1", PGRES_TUPLES_OK, __LINE__);
    }
}

static void copy(void)
{
    EXEC("DROP TABLE IF EXISTS copied");
    EXEC("CREATE TABLE copied (a int, b text)");
    exec("COPY copied FROM STDIN", PGRES_COPY_IN, __LINE__);
    for (int n = 0; n < 10000; n++) {
        char line[64];
        int length = snprintf(line, sizeof(line), "%d\tline %d\n", n, n);
        MUST(PQputCopyData(pg, line, length) == 1);
    }
    MUST(PQputCopyEnd(pg, NULL) == 1);
    EXPECT(PGRES_COMMAND_OK);
    EXPECT_NULL();
    exec("COPY copied FROM STDIN", PGRES_COPY_IN, __LINE__);
    MUST(PQputCopyData(pg, "1\tx\n", 4) == 1 && PQputCopyEnd(pg, "changed my mind") == 1);
    EXPECT_ERROR("57014");
    EXPECT_NULL();
    exec("COPY copied TO STDOUT", PGRES_COPY_OUT, __LINE__);
    char *row = NULL;
    int lines = 0;
    for (; PQgetCopyData(pg, &row, 0) > 0; lines++)
        PQfreemem(row);
    MUST(lines == 10000);
    EXPECT(PGRES_COMMAND_OK);
    EXPECT_NULL();
    EXEC("DROP TABLE copied");
}

static void large_objects(void)
{
    static char out[100000], in[100000];
    for (size_t n = 0; n < sizeof(out); n++)
        out[n] = (char)(n * 7);
    EXEC("BEGIN");
    Oid id = lo_creat(pg, INV_READ | INV_WRITE);
    MUST(id != 0);
    int fd = lo_open(pg, id, INV_WRITE | INV_READ);
    MUST(fd >= 0 && lo_write(pg, fd, out, sizeof(out)) == (int)sizeof(out));
    MUST(lo_lseek(pg, fd, 0, SEEK_SET) == 0);
    MUST(lo_read(pg, fd, in, sizeof(in)) == (int)sizeof(in) && memcmp(in, out, sizeof(in)) == 0);
    EXEC("COMMIT");
    EXEC("BEGIN");
    fd = lo_open(pg, id, INV_READ);
    MUST(lo_lseek(pg, fd, 50000, SEEK_SET) == 50000 && lo_read(pg, fd, in, 100) == 100);
    MUST(memcmp(in, out + 50000, 100) == 0 && lo_close(pg, fd) == 0);
    MUST(lo_unlink(pg, id) == 1);
    EXEC("COMMIT");
}

static void notifications(void)
{
    PGconn *other = connected();
    EXEC("LISTEN libpq");
    PQclear(PQexec(other, "NOTIFY libpq, 'hello'"));
    PGnotify *note = NULL;
    while ((note = PQnotifies(pg)) == NULL) {
        struct pollfd one = { PQsocket(pg), POLLIN, 0 };
        MUST(poll(&one, 1, 30000) == 1 && PQconsumeInput(pg) == 1);
    }
    MUST(strcmp(note->relname, "libpq") == 0 && strcmp(note->extra, "hello") == 0);
    MUST(note->be_pid != PQbackendPID(pg));
    PQfreemem(note);
    EXEC("UNLISTEN *");
    PQfinish(other);
}

static void sessions(void)
{
    MUST(PQserverVersion(pg) >= 100000 && PQprotocolVersion(pg) == 3 && PQbackendPID(pg) != 0);
    MUST(strcmp(PQparameterStatus(pg, "client_encoding"), "UTF8") == 0);
    MUST(PQsetClientEncoding(pg, "LATIN1") == 0);
    MUST(strcmp(PQparameterStatus(pg, "client_encoding"), "LATIN1") == 0);
    MUST(PQtransactionStatus(pg) == PQTRANS_IDLE);
    EXEC("BEGIN");
    MUST(PQtransactionStatus(pg) == PQTRANS_INTRANS);
    exec("bogus", PGRES_FATAL_ERROR, __LINE__);
    MUST(PQtransactionStatus(pg) == PQTRANS_INERROR);
    PQreset(pg);
    MUST(PQstatus(pg) == CONNECTION_OK && PQtransactionStatus(pg) == PQTRANS_IDLE);
    MUST(strcmp(PQparameterStatus(pg, "client_encoding"), "UTF8") == 0);
    MUST(PQping(conninfo) == PQPING_OK);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*tell)(void);
    } STORIES[] = {
        { "disallowed", disallowed },
        { "multi_pipelines", multi_pipelines },
        { "nosync", nosync },
        { "pipelined_insert", pipelined_insert },
        { "prepared", prepared },
        { "pipeline_abort", pipeline_abort },
        { "singlerow", singlerow },
        { "transaction", transaction },
        { "uniqviol", uniqviol },
        { "cancel", cancel },
        { "copy", copy },
        { "large_objects", large_objects },
        { "notifications", notifications },
        { "sessions", sessions },
    };
    if (argc != 3)
        return 2;
    conninfo = argv[1];
    for (size_t n = 0; n < sizeof(STORIES) / sizeof(STORIES[0]); n++)
        if (strcmp(STORIES[n].name, argv[2]) == 0) {
            pg = connected();
            STORIES[n].tell();
            PQfinish(pg);
            return 0;
        }
    fprintf(stderr, "no story %s\n", argv[2]);
    return 2;
}
