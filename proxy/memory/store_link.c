/* See store_link.h.  libpq connects and speaks without blocking, and poll() waits for it with a
 * deadline that begins anew whenever a byte has moved.  Names are looked up here, where that may
 * block, so that each address of a host has its share of the time. */
#include "proxy/memory/store_link.h"

#include <endian.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/authorities.h"
#include "proxy/base/clock.h"
#include "proxy/base/mem.h"

enum { WHY_BYTES = 256, PARAMETERS_MOST = 32, ADDRESSES_MOST = 8, ROUNDS_MOST = 1000 };

struct store_link {
    PGconn *conn;
    uint64_t stall_us, deadline_us;
    int stop_fd; /* borrowed */
    bool is_lost;
    char why[WHY_BYTES];
};

/* ---- what went wrong ---- */

/* The first line, without libpq's 'connection to server at "10.0.0.1", port 5432 failed: '. */
static void note(struct store_link *l, const char *text)
{
    const char *at = strstr(text, "failed: ");

    at = at != NULL ? at + strlen("failed: ") : text;
    snprintf(l->why, sizeof(l->why), "%.*s", (int)strcspn(at, "\n"), at);
}

static enum err lose(struct store_link *l, enum err err, const char *text)
{
    l->is_lost = true;
    note(l, text);
    return err;
}

static enum err lose_by_libpq(struct store_link *l)
{
    const char *text = PQerrorMessage(l->conn);

    return lose(l, ERR_CLOSED, text[0] != '\0' ? text : "the connection was closed");
}

const char *store_link_why(const struct store_link *l)
{
    return l->why;
}

bool store_link_is_lost(const struct store_link *l)
{
    return l->is_lost;
}

/* ---- waiting ---- */

static enum err wait_for(struct store_link *l, short events)
{
    struct pollfd p[] = { { .fd = PQsocket(l->conn), .events = events },
                          { .fd = l->stop_fd, .events = POLLIN } };

    for (;;) {
        uint64_t now_us = clock_now_us();
        uint64_t left_ms = l->deadline_us > now_us ? (l->deadline_us - now_us + 999) / 1000 : 0;
        int ready = poll(p, 2, left_ms > 1000000 ? 1000000 : (int)left_ms);

        if (ready > 0 && p[1].revents != 0)
            return lose(l, ERR_TIMEOUT, "it is not waited for any more");
        if (ready > 0)
            return ERR_NONE;
        if (ready < 0 && errno != EINTR)
            return lose(l, ERR_CLOSED, strerror(errno)); /* NOLINT(concurrency-mt-unsafe) */
        if (clock_now_us() >= l->deadline_us)
            return lose(l, ERR_TIMEOUT, "no answer in time");
    }
}

/* ---- connecting ---- */

struct target {
    PQconninfoOption *options; /* libpq's */
    char addresses[ADDRESSES_MOST][NI_MAXHOST];
    size_t address_count;
};

static const char *option_of(const struct target *t, const char *name)
{
    for (const PQconninfoOption *o = t->options; o->keyword != NULL; o++)
        if (strcmp(o->keyword, name) == 0)
            return o->val;
    return NULL;
}

static enum err look_up(struct target *t, struct buf *why)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
    const char *host = option_of(t, "hostaddr");
    int is;

    if (host == NULL) { /* a socket's folder */
        t->address_count = 1;
        return ERR_NONE;
    }
    is = getaddrinfo(host, NULL, &hints, &all);
    if (is != 0) {
        buf_format(why, "its name could not be resolved: %s", gai_strerror(is));
        return ERR_RESOLVE;
    }
    for (const struct addrinfo *a = all; a != NULL && t->address_count < ADDRESSES_MOST;
         a = a->ai_next)
        if (getnameinfo(a->ai_addr, a->ai_addrlen, t->addresses[t->address_count], NI_MAXHOST, NULL,
                        0, NI_NUMERICHOST) == 0)
            t->address_count++;
    freeaddrinfo(all);
    return ERR_NONE;
}

/* `hostaddr`: "" for none. */
static PGconn *begin(const struct target *t, const char *hostaddr)
{
    const char *keys[PARAMETERS_MOST + 1] = { 0 }, *values[PARAMETERS_MOST + 1] = { 0 };
    size_t count = 0;

    for (const PQconninfoOption *o = t->options; o->keyword != NULL; o++) {
        if (o->val == NULL || count == PARAMETERS_MOST - 2 || strcmp(o->keyword, "hostaddr") == 0)
            continue;
        keys[count] = o->keyword;
        values[count++] = o->val;
    }
    if (hostaddr[0] != '\0') {
        keys[count] = "hostaddr";
        values[count++] = hostaddr;
    }
    if (option_of(t, "sslrootcert") == NULL) {
        keys[count] = "sslrootcert";
        values[count] = authorities_file();
    }
    return PQconnectStartParams(keys, values, 0);
}

static enum err finish_connecting(struct store_link *l)
{
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;

    for (int round = 0; round < ROUNDS_MOST; round++) {
        if (PQstatus(l->conn) == CONNECTION_BAD)
            return lose_by_libpq(l);
        TRY(wait_for(l, next == PGRES_POLLING_READING ? POLLIN : POLLOUT));
        next = PQconnectPoll(l->conn);
        if (next == PGRES_POLLING_FAILED)
            return lose_by_libpq(l);
        if (next == PGRES_POLLING_OK)
            return ERR_NONE;
    }
    return lose(l, ERR_PROTOCOL, "its login has no end");
}

static void ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

static enum err connect_to(struct store_link *l, const struct target *t, size_t at)
{
    l->is_lost = false;
    l->conn = begin(t, t->addresses[at]);
    if (l->conn == NULL)
        return lose(l, ERR_SYSTEM, "out of memory");
    PQsetNoticeReceiver(l->conn, ignore_notice, NULL);
    TRY(finish_connecting(l));
    if (PQsetnonblocking(l->conn, 1) != 0 || PQenterPipelineMode(l->conn) != 1)
        return lose_by_libpq(l);
    return ERR_NONE;
}

static enum err connect_to_any(struct store_link *l, const struct target *t, uint64_t connect_us)
{
    enum err err = lose(l, ERR_RESOLVE, "its name has no address");

    for (size_t i = 0; i < t->address_count; i++) {
        PQfinish(l->conn);
        l->deadline_us = clock_now_us() + connect_us / t->address_count;
        err = connect_to(l, t, i);
        if (err == ERR_NONE)
            break;
    }
    return err;
}

enum err store_link_open(const struct store_link_settings *settings, struct store_link **out,
                         struct buf *why)
{
    struct store_link *l = mem_new(sizeof(*l));
    struct target target = { 0 };
    char *wrong = NULL;
    enum err err = ERR_CONFIG;

    l->stall_us = settings->stall_ms * 1000;
    l->stop_fd = settings->stop_fd;
    target.options = PQconninfoParse(settings->target, &wrong);
    if (target.options == NULL)
        buf_text(why, wrong == NULL ? "out of memory" : wrong);
    else
        err = look_up(&target, why);
    if (err == ERR_NONE) {
        err = connect_to_any(l, &target, settings->connect_ms * 1000);
        if (err != ERR_NONE)
            buf_text(why, l->why);
    }
    PQfreemem(wrong);
    PQconninfoFree(target.options);
    if (err != ERR_NONE) {
        store_link_close(&l);
        return err;
    }
    *out = l;
    return ERR_NONE;
}

void store_link_close(struct store_link **where)
{
    struct store_link *l = *where;

    *where = NULL;
    if (l == NULL)
        return;
    PQfinish(l->conn);
    free(l);
}

bool store_link_is_there(struct store_link *l)
{
    if (!l->is_lost && (PQconsumeInput(l->conn) != 1 || PQstatus(l->conn) == CONNECTION_BAD))
        lose_by_libpq(l);
    return !l->is_lost;
}

/* ---- asking ---- */

void store_link_prepare(struct store_link *l, const char *name, const char *text)
{
    if (!l->is_lost && PQsendPrepare(l->conn, name, text, 0, NULL) != 1)
        lose_by_libpq(l);
}

void store_link_ask(struct store_link *l, const char *name, const struct slice *values, int count)
{
    const char *at[STORE_LINK_VALUES_MOST];
    int lengths[STORE_LINK_VALUES_MOST], formats[STORE_LINK_VALUES_MOST];

    for (int i = 0; i < count; i++) {
        at[i] = (const char *)values[i].at;
        lengths[i] = (int)values[i].len;
        formats[i] = 1;
    }
    if (!l->is_lost && PQsendQueryPrepared(l->conn, name, count, at, lengths, formats, 1) != 1)
        lose_by_libpq(l);
}

/* Until there is a result to take. */
static enum err wait_for_result(struct store_link *l)
{
    while (PQisBusy(l->conn)) {
        int left = PQflush(l->conn);

        if (left < 0)
            return lose_by_libpq(l);
        TRY(wait_for(l, left > 0 ? POLLIN | POLLOUT : POLLIN));
        l->deadline_us = clock_now_us() + l->stall_us;
        if (PQconsumeInput(l->conn) != 1)
            return lose_by_libpq(l);
    }
    return ERR_NONE;
}

static bool is_failure(const PGresult *result)
{
    return PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK;
}

static void note_failure(struct store_link *l, const PGresult *result)
{
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    note(l, text != NULL ? text : PQresultErrorMessage(result));
}

/* Up to the end of the pipeline. */
static enum err take_results(struct store_link *l, PGresult **results, size_t count)
{
    enum err err = ERR_NONE;

    for (size_t at = 0; at <= count;) {
        PGresult *result;

        TRY(wait_for_result(l));
        result = PQgetResult(l->conn);
        if (result == NULL) {
            at++;
            continue;
        }
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            return err;
        }
        if (is_failure(result) && err == ERR_NONE) {
            note_failure(l, result);
            err = ERR_SYSTEM;
        }
        if (at < count && results[at] == NULL)
            results[at] = result;
        else
            PQclear(result);
        if (PQstatus(l->conn) == CONNECTION_BAD) {
            l->is_lost = true; /* with what the server said last as the reason */
            return ERR_CLOSED;
        }
    }
    return lose(l, ERR_PROTOCOL, "it answered what was not asked");
}

enum err store_link_run(struct store_link *l, PGresult **results, size_t count)
{
    enum err err;

    memset(results, 0, count * sizeof(PGresult *));
    l->deadline_us = clock_now_us() + l->stall_us;
    if (!l->is_lost && PQpipelineSync(l->conn) != 1)
        lose_by_libpq(l);
    if (l->is_lost)
        return ERR_CLOSED;
    err = take_results(l, results, count);
    if (err != ERR_NONE)
        store_link_clear(results, count);
    return err;
}

void store_link_clear(PGresult **results, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        PQclear(results[i]);
        results[i] = NULL;
    }
}

/* ---- PostgreSQL's binary form ---- */

int64_t store_link_number(const PGresult *result, int row, int column)
{
    uint64_t number = 0;

    if (PQgetlength(result, row, column) == sizeof(number))
        memcpy(&number, PQgetvalue(result, row, column), sizeof(number));
    return (int64_t)be64toh(number);
}

struct slice store_link_bytes(const PGresult *result, int row, int column)
{
    return slice_of(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
}

void store_link_put_i32(struct buf *out, uint32_t number)
{
    uint32_t coded = htobe32(number);

    buf_put(out, &coded, sizeof(coded));
}

void store_link_put_i64(struct buf *out, uint64_t number)
{
    uint64_t coded = htobe64(number);

    buf_put(out, &coded, sizeof(coded));
}

void store_link_put_array(struct buf *out, uint32_t type, uint32_t count)
{
    store_link_put_i32(out, count == 0 ? 0 : 1); /* dimensions */
    store_link_put_i32(out, 0);                  /* it holds no NULL */
    store_link_put_i32(out, type);
    if (count == 0)
        return;
    store_link_put_i32(out, count);
    store_link_put_i32(out, 1); /* where it begins */
}
