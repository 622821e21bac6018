/* A pool of nutcracker.yml, between its reader (twemproxy_read.c) and its writer
 * (import_twemproxy.c).  Private to config/. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/problem.h"
#include "config/snapshot.h"
#include "proxy/base/arena.h"
#include "proxy/base/err.h"

struct twemproxy_server {
    struct twemproxy_server *next;
    struct address address;
    uint32_t weight;
    const char *label; /* NULL: none */
    struct place place;
};

/* Numbers are -1 where the file gives none. */
struct twemproxy_pool {
    struct twemproxy_pool *next;
    const char *name;
    struct place place;
    struct address listen;
    const char *listen_mode; /* of a Unix socket, octal; NULL: none */
    const char *hash, *distribution, *hash_tag, *redis_auth;
    struct place auth_place;
    int64_t timeout_ms, backlog, client_connections, server_connections, server_retry_timeout_ms,
        server_failure_limit, redis_db;
    bool preconnect, tcpkeepalive, redis, auto_eject_hosts, reuseport;
    struct twemproxy_server *servers; /* in twemproxy's own order */
    bool is_sorted;                   /* which is not that of the file */
};

/* All pools in the order of the file, in the arena; what is not understood is in the problems. */
struct twemproxy_pool *twemproxy_read(const char *name, const char *text, size_t len,
                                      struct arena *arena, struct problems *problems);
