/* Where the load goes: a URL such as `redis://user:pw@host:6379/2` or
 * `redis+unix://:pw@/run/redis.sock?db=2`, taken apart and resolved. */
#pragma once

#include <stdint.h>
#include <sys/socket.h>

#include "proxy/base/err.h"

enum { TARGET_PROBLEM_BYTES = 256 };

struct load_driver;

struct target {
    const char *url; /* borrowed: the command line */
    const struct load_driver *driver;
    char *host, *path;                /* owned: one of the two; the path of a Unix socket */
    char *user, *password, *database; /* owned; NULL if the URL has none */
    uint16_t port;
    struct sockaddr_storage address;
    socklen_t address_len;
    char label[128]; /* host:port or the path: without passwords */
};

/* `problem` is a sentence for the user if this fails. */
MUST_CHECK enum err target_open(struct target *t, const char *url,
                                char problem[static TARGET_PROBLEM_BYTES]);
void target_close(struct target *t);
