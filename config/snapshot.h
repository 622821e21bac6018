/* One loaded configuration.  It is never changed after config_load() made it, so every thread reads
 * it without a lock; who keeps one holds a reference.
 *
 * Everything in it is owned by the snapshot's arena.  Durations end in _ms, sizes in _bytes; 0
 * means "no limit" or "never" where the comment says so.  Every option's default, range and
 * description stands in config/tables.c. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/problem.h"
#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/slice.h"

struct address {
    const char *path; /* of a Unix socket; NULL for TCP */
    const char *host; /* a name or a numeric address without brackets; NULL for Unix sockets */
    uint16_t port;    /* listeners only: 0 lets the system choose */
};

enum tls_client { TLS_CLIENT_NONE, TLS_CLIENT_OPTIONAL, TLS_CLIENT_REQUIRED };
enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };

/* Files are read again by whoever makes the TLS contexts: once per snapshot, so a reload renews
 * certificates. */
struct tls_settings {
    bool on;
    const char *cert_file, *key_file; /* own certificate chain and key; NULL: none */
    const char *ca_file;              /* who signs the other side's; NULL: the system's */
    const char *server_name;          /* endpoints: SNI and name to verify; NULL: the host */
    bool verify;                      /* endpoints: the certificate and its name */
    enum tls_client client;           /* listeners: certificates of those who come in */
    enum tls_version min_version;
};

struct memory_pool;

struct endpoint_settings {
    uint32_t number; /* index in snapshot.endpoints and on the health board */
    /* "10.0.0.1:6379", "10.0.0.1:6379/2", "/run/redis.sock?db=2": for logs, errors and metrics;
     * never has the password. */
    const char *name;
    /* Equal text = same server, login and TLS: matched over a reload.  Holds the password: never
     * print it. */
    const char *identity;
    const char *scheme;   /* "redis", "rediss", "redis+unix" */
    const char *protocol; /* the back's name: the scheme without TLS and Unix: "redis" */
    struct address address;
    const char *user, *password; /* NULL: none */
    uint32_t database;
    struct tls_settings tls;
    uint32_t weight;   /* 1 by default */
    const char *label; /* what the ring hashes instead of the address (?name=); NULL: none */
    uint32_t shard;    /* index in pool->shards */
    const struct memory_pool *pool; /* borrowed */
    struct place place;
};

struct listener_settings {
    uint32_t number;  /* index in snapshot.listeners */
    const char *name; /* "redis://127.0.0.1:6379" */
    const char *scheme, *protocol;
    struct address address;
    struct tls_settings tls;
    uint32_t socket_mode;           /* of a Unix socket's file, as chmod takes it */
    const struct memory_pool *pool; /* borrowed */
    struct place place;
};

/* One password: its text, or the SHA-256 of it. */
struct user_password {
    const char *text; /* NULL if only its hash is known */
    uint8_t sha256[32];
};

/* Who may come in, and what they may do.  Words of `allow` and `deny`: "@read" is a category,
 * anything else a command in lower case, "config|set" one with a subcommand; "@all" is all.
 * A command is allowed if allow (absent: @all) covers it and deny does not; those of the category
 * @admin (dangerous administration) need `admin` besides. */
struct user_settings {
    const char *name;
    bool nopass; /* any password will do, or none */
    struct user_password *passwords;
    uint32_t password_count;
    struct slice *key_prefixes; /* keys and channels must start with one; none: any key */
    uint32_t key_prefix_count;
    const char **allow, **deny;
    uint32_t allow_count, deny_count;
    bool admin;
    struct place place;
};

enum on_shard_down { ON_SHARD_DOWN_ERROR };

struct health_settings {
    bool probe;           /* a witness of its own asks with PING; off: traffic alone is judged */
    uint64_t interval_ms; /* between probes, +-10 % */
    uint64_t timeout_ms;  /* of a probe, login included */
    uint32_t rise, fall;  /* probes in a row that bring it up, take it down */
    uint32_t breaker_failures; /* of requests in a second, half of all at least: it is down */
    uint64_t breaker_open_ms;  /* how long at first, before it is tried again */
};

struct memory_pool {
    uint32_t number; /* index in snapshot.pools */
    const char *name;
    struct place place;
    struct listener_settings **listeners; /* borrowed from the snapshot's list, as all three */
    uint32_t listener_count;
    struct endpoint_settings **shards; /* in the order of their lines: the map */
    uint32_t shard_count;
    struct user_settings *users; /* none: nobody must log in */
    uint32_t user_count;

    const char *hash, *distribution;
    const char *hash_tag; /* two bytes, "{}"; "" for none */
    bool stamp;
    enum on_shard_down on_shard_down;

    uint64_t timeout_ms;           /* of a request: from sending it to its reply */
    uint64_t connect_timeout_ms;   /* of an upstream, all addresses, TLS and login included */
    uint64_t queue_timeout_ms;     /* waiting for a leased upstream */
    uint64_t tombstone_timeout_ms; /* how long an expired request's late reply is waited for */
    uint64_t idle_timeout_ms;      /* of a session without requests; 0: never */
    uint64_t unread_timeout_ms;    /* of a session that does not read; 0: never */
    uint64_t handshake_timeout_ms; /* of a session: TLS, and the first login where one is needed */
    uint64_t upstream_idle_timeout_ms;       /* of an upstream that nobody uses; 0: never */
    uint64_t backoff_min_ms, backoff_max_ms; /* between attempts to connect to a failing endpoint */

    uint32_t upstreams;          /* shared ones per worker and endpoint */
    uint32_t max_upstreams;      /* leased ones per endpoint, for the whole process */
    uint32_t max_queue;          /* requests under way at an upstream, or waiting for a lease */
    uint32_t max_sessions;       /* of this pool; 0: only the process's limit */
    uint32_t max_pipeline;       /* requests of a session under way; then it is not read from */
    uint64_t max_request_bytes;  /* a request, all its arguments */
    uint64_t max_session_bytes;  /* what one session may hold; then its shards' replies wait */
    uint64_t script_cache_bytes; /* bodies of EVAL scripts kept to heal NOSCRIPT */
    uint32_t databases;          /* SELECT 0 to databases - 1 */
    unsigned insecure_listen;    /* 1: beyond loopback without password and TLS, in words */
    bool tcp_keepalive;
    struct tls_settings listen_tls, shard_tls; /* what URLs of this pool start from */
    struct health_settings health;
};

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct proxy_settings {
    uint32_t workers;  /* threads; 0: as many as cores */
    const char *admin; /* the URL as it was written; "off" */
    bool admin_on;
    struct address admin_address;
    unsigned insecure_listen;     /* 1: the admin endpoint beyond loopback, in words */
    uint64_t drain_timeout_ms;    /* after SIGTERM; then what is left is cut off */
    uint32_t max_sessions;        /* in all */
    uint64_t max_memory_bytes;    /* in all, of sessions' and upstreams' buffers */
    uint32_t backlog;             /* of listening sockets */
    uint64_t resolve_interval_ms; /* names are looked up again */
    uint32_t batch_wait_us;       /* least time between turns while many sessions wait; 0: off */
    uint32_t slow_requests;       /* how many slow ones /api/v1/slow keeps */
    uint64_t slow_time_ms;        /* requests faster than this are not looked at */
    enum log_level log_level;     /* LOG_ERROR ... LOG_DEBUG */
    enum log_format log_format;
    struct place place;
};

struct snapshot {
    atomic_uint refs;
    uint64_t generation; /* set by who loads: 1, 2, ... */
    const char *file;
    struct proxy_settings proxy;
    struct memory_pool *pools;
    uint32_t pool_count;
    struct listener_settings *listeners;
    uint32_t listener_count;
    struct endpoint_settings *endpoints;
    uint32_t endpoint_count;
    struct arena arena; /* owns all of the above and every text */
};

struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot **s); /* clears it; passwords are wiped with the last */

/* NULL if there is none of this name. */
const struct memory_pool *snapshot_pool(const struct snapshot *s, const char *name);

/* Is this only reachable from this machine?  Unix sockets, 127.0.0.0/8, ::1, "localhost". */
bool address_is_local(const struct address *a);
bool address_is(const struct address *a, const struct address *b);
