/* What our own login can't prove, libpq does: Kerberos by GSSAPI.  It blocks, on key servers and
 * files, so it runs in a thread of its own; and it wants a socket of its own, so it is given one
 * that leads to that thread, which carries the messages between it and our connection with the
 * server.  So TLS, the start of the session and its end stay ours, and nothing has to be taken
 * over.
 *
 *     TRY(pg_libpq_start(&settings, &fd));
 *     ... write to fd, whole, each request for authentication that the server sends ...
 *     ... of what is read from fd, 'p' is to be sent to the server as it is; 'f' holds why libpq
 *         gave up, a text ...
 *     close(fd);                                                  when the server let us in, or not
 *
 * The thread ends with the descriptor, or its time. */
#pragma once

#include <stdint.h>

#include "proxy/base/err.h"

enum {
    PG_LIBPQ_FAILS = 'f',
    PG_LIBPQ_MESSAGE_MOST = 128 * 1024, /* tickets can be long */
};

/* Copied. */
struct pg_libpq_settings {
    const char *host; /* whose name is asked for a ticket */
    const char *user, *database;
    uint64_t timeout_ms;
};

/* *fd is the caller's, and does not block.  ERR_LIMIT: too many such logins are under way;
 * ERR_SYSTEM. */
MUST_CHECK enum err pg_libpq_start(const struct pg_libpq_settings *settings, int *fd);
