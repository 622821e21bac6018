/* What probes of all protocols share: the stream that they are given, and what they hand back. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/reason.h"
#include "health/standing.h"

/* Bytes with a deadline of the monotonic clock.  Both move at least one byte or fail (ERR_TIMEOUT,
 * ERR_CLOSED, ERR_TLS ...). */
struct probe_stream {
    void *state; /* borrowed */
    enum err (*read)(void *state, void *at, size_t len, uint64_t deadline_us, size_t *got);
    enum err (*write)(void *state, const void *at, size_t len, uint64_t deadline_us, size_t *put);
};

enum probe_role { PROBE_ROLE_UNKNOWN, PROBE_ROLE_PRIMARY, PROBE_ROLE_REPLICA };

/* What Redis' INFO told, or memcached's stats; a user without the right to it never learns any. */
struct probe_info {
    bool is_known;
    enum probe_role role;
    bool primary_link_is_up;                               /* a replica's */
    uint64_t replication_offset, used_memory, most_memory; /* most: 0 is no limit */
    char version[32];
    char flavor[16]; /* "redis", "valkey", "memcached" */
};

struct probe_outcome {
    enum health_reason reason; /* HEALTH_FINE, or a note, or a failure */
    bool connection_is_good;
    uint64_t latency_us;    /* of the PING or query */
    char text[128];         /* the server's own words if it answered with an error; may be empty */
    struct probe_info info; /* of Redis and memcached */
    struct standing standing; /* of PostgreSQL, as far as the server itself knows */
};

/* How servers of memory pools are logged in to. */
struct probe_login {
    const char *user;     /* NULL: none */
    const char *password; /* NULL: no login is needed */
    uint32_t db;          /* Redis's: SELECT is sent if it is not 0 */
};

/* A key that the server is to keep. */
struct probe_mark {
    const char *key, *text;
    bool was_there; /* zero at first */
};
