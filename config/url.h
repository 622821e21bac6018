/* URLs as the configuration writes them:
 *
 *     SCHEME://[USER[:PASSWORD]@]HOST[:PORT][/PATH][?NAME=VALUE&...]
 *     SCHEME+unix://[USER[:PASSWORD]@]/PATH[?...]
 *
 *     ram://SIZE[?...]                                the size stands where a path would
 *
 * Percent-coded; IPv6 addresses in brackets; ${NAME} in any part is taken as it is, whatever
 * letters the environment's value has. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/snapshot.h"
#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"

enum { URL_QUERY_MOST = 16 };

struct url_query {
    const char *name, *value;
};

struct url {
    const char *scheme;
    const char *user, *password; /* NULL: none; a user may stand alone */
    struct address address;      /* port 0 with has_port false: none was written */
    bool has_port;
    const char *path; /* TCP only: what follows the slash; NULL or "" if nothing */
    struct url_query query[URL_QUERY_MOST];
    unsigned query_count;
};

/* All texts go to the arena.  On failure `why` holds what is wrong, never with the password. */
enum err url_parse(const char *text, struct arena *arena, struct url *out, struct buf *why)
    MUST_CHECK;

/* Appends text, percent-coded but for letters, digits, "-._~" and what is in `keep`. */
void url_print(const char *text, const char *keep, struct buf *out);
/* "host:port", "[::1]:port" or the path. */
void url_print_address(const struct address *a, struct buf *out);
