/* The admin endpoint of a running Sheaf, asked from another process. */
#pragma once

#include <stdbool.h>

#include "proxy/base/buf.h"

struct commands_fetch {
    char *url;  /* owned: "http://127.0.0.1:9070" */
    char *path; /* owned: of a Unix socket; NULL: none */
    void *curl; /* owned: CURL, which keeps the connection */
};

/* `source` is a URL, a configuration file that names one, or NULL for the default.  False: it was
 * said on stderr why there is none. */
bool commands_fetch_open(struct commands_fetch *f, const char *source);
/* GET of the status; false: `why` says it, a sentence without a stop. */
bool commands_fetch_status(struct commands_fetch *f, struct buf *body, struct buf *why);
void commands_fetch_close(struct commands_fetch *f);
