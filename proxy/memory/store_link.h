/* A connection to PostgreSQL, for a store on a thread that may wait.  What is asked goes out as one
 * pipeline and comes back as one; nothing waits without an end.
 *
 *     store_link_open(&settings, &link, &why);
 *     store_link_prepare(link, "get", "SELECT ...");        once, as all that is prepared
 *     store_link_ask(link, "get", values, 2);               as often as wanted
 *     store_link_run(link, results, 1);                     all of it; results are the caller's
 *
 * After a failure store_link_why() tells, and nothing of the pipeline is left.  Unless the link is
 * lost it can be asked again. */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

struct store_link;

enum { STORE_LINK_VALUES_MOST = 8 };

/* Borrowed for the call. */
struct store_link_settings {
    /* As libpq takes it, "hostaddr=db.example port=5432 ...": but its hostaddr may be a name, and
     * host is then only who the certificate must be of.  Without it host is a socket's folder. */
    const char *target;
    uint64_t connect_ms; /* for all addresses of the host */
    uint64_t stall_ms;   /* so long nothing may move while it is waited for */
    int stop_fd;         /* readable: nothing is waited for; as long as the link */
};

/* `why` gets the reason. */
enum err store_link_open(const struct store_link_settings *settings, struct store_link **out,
                         struct buf *why) MUST_CHECK;
void store_link_close(struct store_link **where);
bool store_link_is_lost(const struct store_link *l);
/* False: the other side has closed it, which is noticed without asking. */
bool store_link_is_there(struct store_link *l);

void store_link_prepare(struct store_link *l, const char *name, const char *text);
/* Values are in PostgreSQL's binary form. */
void store_link_ask(struct store_link *l, const char *name, const struct slice *values, int count);
/* `results` has room for what was asked since the last run, prepared statements counted.  On
 * failure there are none: ERR_CLOSED or ERR_TIMEOUT if the link is lost, else ERR_SYSTEM. */
enum err store_link_run(struct store_link *l, PGresult **results, size_t count) MUST_CHECK;
void store_link_clear(PGresult **results, size_t count);
const char *store_link_why(const struct store_link *l);

/* ---- PostgreSQL's binary form ---- */

int64_t store_link_number(const PGresult *result, int row, int column); /* of int8 */
struct slice store_link_bytes(const PGresult *result, int row, int column);
/* The head of an array; its elements follow, each behind its length. */
void store_link_put_array(struct buf *out, uint32_t type, uint32_t count);
void store_link_put_i32(struct buf *out, uint32_t number);
void store_link_put_i64(struct buf *out, uint64_t number);
