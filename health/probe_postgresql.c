/* See probe_postgresql.h.
 *
 * libpq's environment and its files in the user's home are kept out as far as it can be told: what
 * is not configured is given as a file that is not there.  libpq does not tell the SQLSTATE of a
 * login that failed but inside its verbose text, "FATAL:  57P03: the database system ...": there it
 * is found whatever the server's language. */
#include "health/probe_postgresql.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/authorities.h"
#include "proxy/base/clock.h"
#include "proxy/base/mem.h"
#include "proxy/base/parse.h"
#include "proxy/base/slice.h"

enum { MOST_ROUNDS = 128, SQLSTATE_LEN = 5, MOST_PARAMETERS = 20 };

#define NO_FILE "/nonexistent/sheaf"

/* Some services keep what is of the whole cluster from their users. */
enum level { LEVEL_ALL, LEVEL_POSITION, LEVEL_ROLE, LEVELS };

struct probe_postgresql {
    PGconn *conn;
    enum level level; /* the most that it may ask */
};

/* One check. */
struct check {
    const struct probe_postgresql_settings *settings;
    uint64_t deadline_us;
    struct probe_outcome *outcome;
};

void probe_postgresql_close(struct probe_postgresql **kept)
{
    struct probe_postgresql *p = *kept;

    *kept = NULL;
    if (p == NULL)
        return;
    PQfinish(p->conn);
    free(p);
}

/* ---- what went wrong ---- */

static void note(struct check *c, enum health_reason reason, struct slice text)
{
    const uint8_t *end = text.len > 0 ? memchr(text.at, '\n', text.len) : NULL;
    size_t len = end != NULL ? (size_t)(end - text.at) : text.len;

    c->outcome->reason = reason;
    c->outcome->connection_is_good = false;
    snprintf(c->outcome->text, sizeof(c->outcome->text), "%.*s", (int)len, (const char *)text.at);
}

static bool is_sqlstate(const char *at)
{
    for (int i = 0; i < SQLSTATE_LEN; i++)
        if (!(at[i] >= '0' && at[i] <= '9') && !(at[i] >= 'A' && at[i] <= 'Z'))
            return false;
    return at[SQLSTATE_LEN] == ':' && at[SQLSTATE_LEN + 1] == ' ';
}

/* Where "57P03: text" begins in a verbose message; NULL: the server has said nothing. */
static const char *find_sqlstate(const char *message)
{
    const char *at = message;

    while ((at = strstr(at, ":  ")) != NULL) {
        at += 3;
        if (is_sqlstate(at))
            return at;
    }
    return NULL;
}

/* By whole SQLSTATEs and classes.  Who refuses us is alive. */
static enum health_reason reason_of_sqlstate(const char *state, const char *text)
{
    static const struct {
        const char *state;
        enum health_reason reason;
    } TABLE[] = {
        { "57P03", HEALTH_STARTING_UP },      /* cannot_connect_now */
        { "57P01", HEALTH_SHUTTING_DOWN },    /* admin_shutdown */
        { "57P02", HEALTH_SHUTTING_DOWN },    /* crash_shutdown */
        { "57P05", HEALTH_CLOSED },           /* idle_session_timeout */
        { "53300", HEALTH_CROWDED },          /* too_many_connections */
        { "28", HEALTH_PROBE_NOT_LET_IN },    /* invalid_authorization_specification */
        { "3D", HEALTH_PROBE_NOT_LET_IN },    /* invalid_catalog_name */
        { "42501", HEALTH_PROBE_NOT_LET_IN }, /* no right to connect to the database */
        { "55000", HEALTH_PROBE_NOT_LET_IN }, /* the database accepts no connections */
        { "08P01", HEALTH_PROBE_NOT_LET_IN }, /* poolers say so of users whom they do not know */
    };

    /* Both states have one code; the words may be translated, and are for the log then. */
    if (strncmp(state, "57P03", SQLSTATE_LEN) == 0 && strstr(text, "shutting down") != NULL)
        return HEALTH_SHUTTING_DOWN;
    for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++)
        if (strncmp(state, TABLE[i].state, strlen(TABLE[i].state)) == 0)
            return TABLE[i].reason;
    return HEALTH_PROBE_FAILED;
}

/* What libpq says itself, without 'connection to server at "127.0.0.1", port 5432 failed: '. */
static struct slice own_words(const char *message)
{
    const char *at = strstr(message, "failed: ");

    return slice_text(at != NULL ? at + strlen("failed: ") : message);
}

static bool is_of_closing(const char *message)
{
    return strstr(message, "closed the connection") != NULL ||
           strstr(message, "connection not open") != NULL ||
           strstr(message, "could not receive data") != NULL ||
           strstr(message, "could not send data") != NULL || strstr(message, "EOF") != NULL;
}

/* `was`: how far it was before the step that failed. */
static void note_no_connection(struct check *c, PGconn *conn, ConnStatusType was)
{
    const char *message = PQerrorMessage(conn), *state = find_sqlstate(message);

    if (state != NULL)
        note(c, reason_of_sqlstate(state, state), slice_text(state));
    else if (PQconnectionNeedsPassword(conn))
        note(c, HEALTH_PROBE_NOT_LET_IN, slice_text("it asks for a password, and none is known"));
    else if (was == CONNECTION_STARTED || was == CONNECTION_NEEDED)
        note(c, HEALTH_CONNECT_REFUSED, own_words(message));
    else if (is_of_closing(message))
        note(c, HEALTH_CLOSED, own_words(message));
    else
        note(c, was == CONNECTION_SSL_STARTUP ? HEALTH_TLS_FAILED : HEALTH_PROTOCOL_ERROR,
             own_words(message));
}

/* ---- waiting ---- */

static enum err wait_for(const struct check *c, int fd, short events, uint64_t deadline_us)
{
    int cancel_fd = c->settings->cancel_fd;
    struct pollfd p[] = { { .fd = fd, .events = events },
                          { .fd = cancel_fd > 0 ? cancel_fd : -1, .events = POLLIN } };

    for (;;) {
        uint64_t now_us = clock_now_us();
        uint64_t left_ms = deadline_us > now_us ? (deadline_us - now_us + 999) / 1000 : 0;
        int ready = poll(p, 2, left_ms > 1000000 ? 1000000 : (int)left_ms);

        if (ready > 0)
            return p[1].revents != 0 ? ERR_TIMEOUT : ERR_NONE;
        if (ready < 0 && errno != EINTR)
            return ERR_SYSTEM;
        if (clock_now_us() >= deadline_us)
            return ERR_TIMEOUT;
    }
}

/* ---- connecting ---- */

struct parameters {
    const char *keys[MOST_PARAMETERS + 1], *values[MOST_PARAMETERS + 1];
    size_t count;
};

static void put(struct parameters *p, const char *key, const char *value)
{
    if (value == NULL || p->count == MOST_PARAMETERS)
        return;
    p->keys[p->count] = key;
    p->values[p->count++] = value;
}

static void put_tls(struct parameters *p, const struct probe_postgresql_settings *s)
{
    static const char *const MODES[] = { "disable", "prefer", "require", "verify-full" };
    bool verifies = s->tls == PROBE_POSTGRESQL_TLS_VERIFY;

    put(p, "sslmode", MODES[s->tls]);
    put(p, "sslcert", s->cert_file != NULL ? s->cert_file : NO_FILE);
    put(p, "sslkey", s->key_file != NULL ? s->key_file : NO_FILE);
    put(p, "sslcrl", NO_FILE);
    /* Where there is a file it is verified against, whatever the mode. */
    put(p, "sslrootcert",
        !verifies            ? NO_FILE
        : s->ca_file != NULL ? s->ca_file
                             : authorities_file());
    put(p, "ssl_min_protocol_version", s->tls_1_3_only ? "TLSv1.3" : "TLSv1.2");
}

static PGconn *begin(const struct probe_postgresql_settings *s, const char *address)
{
    struct parameters p = { 0 };
    bool is_folder = address[0] == '/';
    char port[8];

    snprintf(port, sizeof(port), "%u", s->port);
    put(&p, "host", is_folder ? address : s->tls_name);
    put(&p, "hostaddr", is_folder ? NULL : address);
    put(&p, "port", port);
    put(&p, "user", s->user != NULL ? s->user : "sheaf");
    put(&p, "password", s->password);
    put(&p, "passfile", NO_FILE);
    put(&p, "dbname", s->database != NULL ? s->database : "postgres");
    put(&p, "application_name", "sheaf probe");
    put(&p, "gssencmode", "disable");
    put(&p, "target_session_attrs", "any");
    put_tls(&p, s);
    return PQconnectStartParams(p.keys, p.values, 0);
}

/* Notices would go to stderr. */
static void ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

static bool finish_connecting(struct check *c, PGconn *conn, uint64_t deadline_us)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;

    for (int round = 0; round < MOST_ROUNDS; round++) {
        ConnStatusType was = PQstatus(conn);
        enum err err;

        if (was == CONNECTION_BAD && round == 0) {
            note_no_connection(c, conn, CONNECTION_NEEDED);
            return false;
        }
        err = wait_for(c, PQsocket(conn), next == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                       deadline_us);
        if (err != ERR_NONE) {
            note(c, reason_of_err(err, was == CONNECTION_STARTED), slice_text(""));
            return false;
        }
        next = PQconnectPoll(conn);
        if (next == PGRES_POLLING_OK)
            return true;
        if (next == PGRES_POLLING_FAILED) {
            note_no_connection(c, conn, was);
            return false;
        }
    }
    note(c, HEALTH_PROTOCOL_ERROR, slice_text("no end of its login"));
    return false;
}

static PGconn *connect_to(struct check *c, const char *address, uint64_t deadline_us)
{
    PGconn *conn = begin(c->settings, address);

    if (conn == NULL) {
        note(c, HEALTH_PROBE_FAILED, slice_text("out of memory"));
        return NULL;
    }
    PQsetErrorVerbosity(conn, PQERRORS_VERBOSE);
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    if (finish_connecting(c, conn, deadline_us) && PQsetnonblocking(conn, 1) == 0)
        return conn;
    PQfinish(conn);
    return NULL;
}

/* Each address gets its share of what is left: a silent one must not hide the next. */
static struct probe_postgresql *connect_anew(struct check *c)
{
    size_t count = c->settings->address_count;
    struct probe_postgresql *p;
    PGconn *conn = NULL;

    note(c, HEALTH_RESOLVE_FAILED, slice_text(""));
    for (size_t i = 0; i < count && conn == NULL; i++) {
        uint64_t now_us = clock_now_us();
        uint64_t left_us = c->deadline_us > now_us ? c->deadline_us - now_us : 0;

        conn = connect_to(c, c->settings->addresses[i], now_us + left_us / (count - i));
        if (conn == NULL && !reason_is_failure(c->outcome->reason))
            return NULL; /* it answers there */
    }
    if (conn == NULL)
        return NULL;
    p = mem_new(sizeof(*p));
    p->conn = conn;
    return p;
}

/* ---- the question ---- */

enum column {
    COLUMN_IN_RECOVERY,
    COLUMN_READ_ONLY,
    COLUMN_STARTED,
    COLUMN_LSN,
    COLUMN_RECEIVED_LSN,
    COLUMN_PAUSED,
    COLUMN_SYSTEM_ID,
    COLUMN_WAL_FILE, /* of a primary: begins with its timeline */
    COLUMN_TIMELINE, /* the first of three: the greatest of them is a replica's */
    COLUMN_RECEIVED_TIMELINE = COLUMN_TIMELINE + 2,
    COLUMN_RECEIVER_PID,
    COLUMNS
};

/* What fails in recovery, or outside of it, is asked only where it does not: in_recovery is settled
 * once for the whole question.  No operators, and functions by their full names: nothing in the
 * search path can stand in for them.  The first words of each are those of all. */
#define ROLE_COLUMNS                                                                               \
    "SELECT in_recovery, pg_catalog.current_setting('default_transaction_read_only'),"             \
    " pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())"
#define POSITION_COLUMNS                                                                           \
    ", CASE WHEN in_recovery THEN pg_catalog.pg_last_wal_replay_lsn()"                             \
    " ELSE pg_catalog.pg_current_wal_flush_lsn() END,"                                             \
    " CASE WHEN in_recovery THEN pg_catalog.pg_last_wal_receive_lsn() END,"                        \
    " CASE WHEN in_recovery THEN pg_catalog.pg_is_wal_replay_paused() END"
#define CLUSTER_COLUMNS                                                                            \
    ", (SELECT system_identifier FROM pg_catalog.pg_control_system()),"                            \
    " CASE WHEN NOT in_recovery THEN"                                                              \
    " pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_flush_lsn()) END,"                      \
    " (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()),"                               \
    " (SELECT min_recovery_end_timeline FROM pg_catalog.pg_control_recovery()),"                   \
    " (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver),"                                 \
    " (SELECT pid FROM pg_catalog.pg_stat_wal_receiver)"
#define FROM_ITSELF " FROM (SELECT pg_catalog.pg_is_in_recovery() AS in_recovery) AS itself"

static const struct {
    const char *query;
    int columns;
} LEVEL[LEVELS] = {
    [LEVEL_ALL] = { ROLE_COLUMNS POSITION_COLUMNS CLUSTER_COLUMNS FROM_ITSELF, COLUMNS },
    [LEVEL_POSITION] = { ROLE_COLUMNS POSITION_COLUMNS FROM_ITSELF, COLUMN_SYSTEM_ID },
    [LEVEL_ROLE] = { ROLE_COLUMNS FROM_ITSELF, COLUMN_LSN },
};

static enum err send_query(const struct check *c, PGconn *conn, const char *query)
{
    if (PQsendQuery(conn, query) != 1)
        return ERR_CLOSED;
    for (;;) {
        int left = PQflush(conn);

        if (left <= 0)
            return left == 0 ? ERR_NONE : ERR_CLOSED;
        TRY(wait_for(c, PQsocket(conn), POLLOUT, c->deadline_us));
    }
}

/* *result is NULL at the end of the answer. */
static enum err next_result(const struct check *c, PGconn *conn, int *rounds, PGresult **result)
{
    while (PQisBusy(conn)) {
        if (++*rounds > MOST_ROUNDS)
            return ERR_PROTOCOL;
        TRY(wait_for(c, PQsocket(conn), POLLIN, c->deadline_us));
        if (PQconsumeInput(conn) != 1)
            return ERR_CLOSED;
    }
    *result = PQgetResult(conn);
    return ERR_NONE;
}

/* The first result; what follows is waited for and must be nothing, but for an error after which
 * the server closes. */
static enum err ask(const struct check *c, PGconn *conn, const char *query, PGresult **answer)
{
    PGresult *result = NULL, *more = NULL;
    int rounds = 0;
    enum err err;

    TRY(send_query(c, conn, query));
    TRY(next_result(c, conn, &rounds, &result));
    if (result == NULL)
        return ERR_PROTOCOL;
    err = next_result(c, conn, &rounds, &more);
    if (more != NULL)
        err = ERR_PROTOCOL;
    PQclear(more);
    if (err == ERR_NONE || PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL) {
        *answer = result;
        return ERR_NONE;
    }
    PQclear(result);
    return err;
}

/* ---- the answer ---- */

static struct slice value_of(const PGresult *answer, enum column column)
{
    return slice_of(PQgetvalue(answer, 0, column), (size_t)PQgetlength(answer, 0, column));
}

static bool is_on(const PGresult *answer, enum column column)
{
    struct slice value = value_of(answer, column);

    return slice_is_text(value, "t") || slice_is_text(value, "on");
}

static uint64_t number_of(const PGresult *answer, enum column column)
{
    uint64_t number = 0;

    return slice_to_u64(value_of(answer, column), &number) ? number : 0;
}

static uint64_t lsn_of(const PGresult *answer, enum column column)
{
    unsigned high, low;

    if (sscanf(PQgetvalue(answer, 0, column), "%8X/%8X", &high, &low) != 2)
        return 0;
    return (uint64_t)high << 32 | low;
}

/* A primary's from the name of the file that it writes: its control file is behind for a while. */
static uint32_t timeline_of(const PGresult *answer, enum standing_role role)
{
    uint64_t greatest = 0;
    unsigned timeline;

    if (role == STANDING_ROLE_PRIMARY)
        return sscanf(PQgetvalue(answer, 0, COLUMN_WAL_FILE), "%8X", &timeline) == 1 ? timeline : 0;
    for (int i = COLUMN_TIMELINE; i <= COLUMN_RECEIVED_TIMELINE; i++)
        if (number_of(answer, (enum column)i) > greatest)
            greatest = number_of(answer, (enum column)i);
    return (uint32_t)greatest;
}

static void read_standing(struct standing *s, const PGresult *answer, enum level level)
{
    s->role = is_on(answer, COLUMN_IN_RECOVERY) ? STANDING_ROLE_REPLICA : STANDING_ROLE_PRIMARY;
    s->is_read_only = is_on(answer, COLUMN_READ_ONLY);
    s->started_wall_us = (int64_t)(strtod(PQgetvalue(answer, 0, COLUMN_STARTED), NULL) * 1e6);
    if (level == LEVEL_ROLE)
        return;
    s->lsn = lsn_of(answer, COLUMN_LSN);
    s->received_lsn = lsn_of(answer, COLUMN_RECEIVED_LSN);
    s->replay_is_paused = is_on(answer, COLUMN_PAUSED);
    if (level == LEVEL_POSITION)
        return;
    s->system_id = (uint64_t)strtoll(PQgetvalue(answer, 0, COLUMN_SYSTEM_ID), NULL, 10);
    s->timeline = timeline_of(answer, s->role);
    s->receiver_pid = (uint32_t)number_of(answer, COLUMN_RECEIVER_PID);
    s->timeline_may_be_newer =
        s->role == STANDING_ROLE_REPLICA && number_of(answer, COLUMN_RECEIVED_TIMELINE) == 0;
}

/* It has no such function, or keeps it from us. */
static bool asks_too_much(const char *state)
{
    static const char *const STATES[] = { "42501", "42883", "42P01", "42703", "0A000" };

    for (size_t i = 0; i < sizeof(STATES) / sizeof(STATES[0]); i++)
        if (strcmp(state, STATES[i]) == 0)
            return true;
    return false;
}

/* False: the same is to be asked again, but less of it. */
static bool take_answer(struct check *c, struct probe_postgresql *p, const PGresult *answer,
                        uint64_t asked_us)
{
    const char *state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
    struct probe_outcome *o = c->outcome;

    if (PQresultStatus(answer) == PGRES_TUPLES_OK && PQntuples(answer) == 1 &&
        PQnfields(answer) == LEVEL[p->level].columns) {
        o->reason = HEALTH_FINE;
        o->connection_is_good = true;
        o->text[0] = '\0';
        o->latency_us = clock_now_us() - asked_us;
        o->standing = (struct standing){ .measured_us = asked_us,
                                         .version = (uint32_t)PQserverVersion(p->conn) };
        read_standing(&o->standing, answer, p->level);
        return true;
    }
    if (state == NULL) {
        note(c, HEALTH_PROTOCOL_ERROR, slice_text("its answer is not of the expected form"));
        return true;
    }
    if (asks_too_much(state) && p->level + 1 < LEVELS) {
        p->level++;
        return false;
    }
    note(c, reason_of_sqlstate(state, PQresultErrorMessage(answer)),
         slice_text(PQresultErrorField(answer, PG_DIAG_MESSAGE_PRIMARY)));
    return true;
}

/* After a lost connection libpq may know the last words of the server. */
static void note_lost(struct check *c, PGconn *conn, enum err err)
{
    const char *message = PQerrorMessage(conn);
    const char *state = err == ERR_CLOSED ? find_sqlstate(message) : NULL;

    if (state != NULL)
        note(c, reason_of_sqlstate(state, state), slice_text(state));
    else
        note(c, reason_of_err(err, false), slice_text(""));
}

static void question(struct check *c, struct probe_postgresql *p)
{
    bool is_answered = false;

    while (!is_answered) {
        uint64_t asked_us = clock_now_us();
        PGresult *answer = NULL;
        enum err err = ask(c, p->conn, LEVEL[p->level].query, &answer);

        if (err != ERR_NONE) {
            note_lost(c, p->conn, err);
            return;
        }
        is_answered = take_answer(c, p, answer, asked_us);
        PQclear(answer);
    }
}

void probe_postgresql_check(struct probe_postgresql **kept,
                            const struct probe_postgresql_settings *settings, uint64_t deadline_us,
                            struct probe_outcome *outcome)
{
    struct check c = { .settings = settings, .deadline_us = deadline_us, .outcome = outcome };

    *outcome = (struct probe_outcome){ .standing = outcome->standing };
    if (*kept != NULL) {
        question(&c, *kept);
        if (outcome->connection_is_good)
            return;
        probe_postgresql_close(kept);
        /* That a kept connection was closed in between says nothing of the server's health. */
        if (outcome->reason != HEALTH_CLOSED && outcome->reason != HEALTH_SHUTTING_DOWN)
            return;
    }
    *kept = connect_anew(&c);
    if (*kept == NULL)
        return;
    question(&c, *kept);
    if (!outcome->connection_is_good)
        probe_postgresql_close(kept);
}
