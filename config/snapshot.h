/* One loaded configuration.  It is never changed after config_load() made it, so every thread reads
 * it without a lock.
 *
 * Everything in it is owned by the snapshot's arena.  Durations end in _ms, sizes in _bytes; 0
 * means "no limit" or "never" where the comment says so.  Every option's default, range and
 * description stands in config/tables.c. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/problem.h"
#include "config/schedule.h"
#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/slice.h"

struct address {
    const char *path; /* of a Unix socket; NULL for TCP */
    const char *host; /* a name or a numeric address without brackets; NULL for Unix sockets */
    uint16_t port;    /* listeners only: 0 lets the system choose */
};

enum pool_kind { POOL_MEMORY, POOL_SQL, POOL_BLOB };

/* Where TLS starts inside the protocol, as PostgreSQL's does: whether it may, whether it must. */
enum tls_need { TLS_NEED_OFF, TLS_NEED_ALLOW, TLS_NEED_REQUIRE };
enum tls_client { TLS_CLIENT_NONE, TLS_CLIENT_OPTIONAL, TLS_CLIENT_REQUIRED };
enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };

/* Files are read again by whoever makes the TLS contexts: once per snapshot, so a reload renews
 * certificates. */
struct tls_settings {
    bool on; /* is spoken, or may be: a context is needed */
    enum tls_need need;
    const char *cert_file, *key_file; /* own certificate chain and key; NULL: none */
    const char *ca_file;              /* who signs the other side's; NULL: the system's */
    const char *server_name;          /* endpoints: SNI and name to verify; NULL: the host */
    bool verify;                      /* endpoints: the certificate and its name */
    enum tls_client client;           /* listeners: certificates of those who come in */
    enum tls_version min_version;
};

struct pool_settings;
struct aws_keys;

enum blob_style { BLOB_STYLE_PATH, BLOB_STYLE_VIRTUAL };
/* Where a shard's own credentials come from. */
enum blob_credentials {
    BLOB_CREDENTIALS_URL, /* user and password of the endpoint; without: nothing is signed */
    BLOB_CREDENTIALS_ENVIRONMENT, /* AWS_ACCESS_KEY_ID and its like, at load */
    BLOB_CREDENTIALS_FILE,        /* read again when it changes */
    BLOB_CREDENTIALS_METADATA,    /* of a service that hands out temporary ones */
};
/* Which writes on a condition (If-Match, If-None-Match) a server does only if that holds; those
 * that it would do all the same are refused before it is asked. */
enum blob_conditions {
    BLOB_CONDITIONS_NONE,
    BLOB_CONDITIONS_PUT,
    BLOB_CONDITIONS_WRITES, /* copies and the ends of uploads, too */
    BLOB_CONDITIONS_ALL,
};
enum blob_sync { BLOB_SYNC_ALWAYS, BLOB_SYNC_INTERVAL, BLOB_SYNC_NEVER };
enum blob_layout { BLOB_LAYOUT_KEYS, BLOB_LAYOUT_STALWART };

/* What is behind an endpoint of a blob pool. */
struct blob_store {
    const char
        *bucket; /* the one that has all buckets of clients; NULL: they stand for themselves */
    const char *prefix; /* of all keys there, without a slash at the end; "" for none */
    const char *region;
    enum blob_style style;
    enum blob_conditions conditions;
    bool encryption; /* it does what fields ask of that */
    enum blob_credentials credentials;
    const char *credentials_file;
    const struct aws_keys *keys; /* at load; empty: not known; NULL: those of the URL, if any */
    const char *folder;          /* path; NULL: it is a server */
    const char *folder_bucket;   /* that it is, in the mail server's layout */
    enum blob_sync sync;
    enum blob_layout layout;
    uint32_t stalwart_depth;
};

#define STORE_TABLE "sheaf_keys" /* where none is named */

/* What a line of the configuration says an endpoint is; a primary is a candidate only, until its
 * probe tells. */
enum endpoint_role { ENDPOINT_SHARD, ENDPOINT_PRIMARY, ENDPOINT_REPLICA };

/* "shard", "primary", "replica": the line's name, too. */
const char *endpoint_role_name(enum endpoint_role role);

struct endpoint_settings {
    uint32_t number; /* index in snapshot.endpoints and on the health board */
    /* "10.0.0.1:6379", "10.0.0.1:6379/2", "/run/redis.sock?db=2": for logs, errors and metrics;
     * never has the password. */
    const char *name;
    /* Equal text = same server, login and TLS: matched over a reload.  Holds the password: never
     * print it. */
    const char *identity;
    const char *scheme;   /* "redis", "rediss", "redis+unix", "postgresql" */
    const char *protocol; /* the back's name: the scheme without TLS and Unix: "redis" */
    struct address address;
    const char *user, *password; /* NULL: none */
    uint32_t database;           /* of Redis */
    const char *database_name;   /* of PostgreSQL; NULL: what the client names */
    struct tls_settings tls;
    unsigned server_tls;     /* enum sql_server_tls, as it was given */
    uint32_t weight;         /* 1 by default */
    const char *label;       /* what the ring hashes instead of the address (?name=); NULL: none */
    uint32_t socket_port;    /* in the name of PostgreSQL's Unix sockets */
    struct blob_store store; /* of blob pools */
    const char *store_path;  /* of an embedded store of memory pools; NULL: it has none */
    uint64_t store_bytes;    /* what one in memory may hold */
    const char *store_table; /* of one at a PostgreSQL server; its path is libpq's text then, with
                              * the password */
    uint32_t shard;          /* index in pool->endpoints */
    enum endpoint_role role; /* as configured */
    const struct pool_settings *pool; /* borrowed */
    struct place place;
};

/* Where statements go: by what they are (a read to a replica), or all to one side. */
enum sql_route { SQL_ROUTE_AUTO, SQL_ROUTE_PRIMARY, SQL_ROUTE_REPLICA };

struct listener_settings {
    uint32_t number;  /* index in snapshot.listeners */
    const char *name; /* "redis://127.0.0.1:6379" */
    const char *scheme, *protocol;
    struct address address;
    struct tls_settings tls;
    uint32_t socket_mode; /* of a Unix socket's file, as chmod takes it */
    uint32_t socket_port; /* in the name of PostgreSQL's Unix sockets */
    unsigned sql_tls;     /* enum sql_listen_tls, as it was given */
    enum sql_route route; /* of sql pools: for sessions of users and databases with none */
    const struct pool_settings *pool; /* borrowed */
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

enum on_shard_down { ON_SHARD_DOWN_ERROR, ON_SHARD_DOWN_MISS };
/* Of embedded stores: when a write is safe from a loss of power; what a full one does. */
enum memory_sync { MEMORY_SYNC_ALWAYS, MEMORY_SYNC_INTERVAL, MEMORY_SYNC_NEVER };
enum memory_eviction { MEMORY_EVICTION_NONE, MEMORY_EVICTION_LRU };

struct health_settings {
    bool probe;           /* a witness of its own asks with PING; off: traffic alone is judged */
    uint64_t interval_ms; /* between probes, +-10 % */
    uint64_t timeout_ms;  /* of a probe, login included */
    uint32_t rise, fall;  /* probes in a row that bring it up, take it down */
    uint32_t breaker_failures; /* of requests in a second, half of all at least: it is down */
    uint64_t breaker_open_ms;  /* how long at first, before it is tried again */
    uint64_t slow_start_ms;    /* until it has its whole share again; 0: at once */
};

/* What pools of all kinds have: the first member of each kind's own struct. */
struct pool_settings {
    enum pool_kind kind;
    uint32_t number; /* index in snapshot.pools */
    const char *name;
    struct place place;
    struct listener_settings **listeners; /* borrowed from the snapshot's list, as all three */
    uint32_t listener_count;
    struct endpoint_settings **endpoints; /* in the order of their lines: a memory pool's map */
    uint32_t endpoint_count;

    uint64_t connect_timeout_ms;   /* of an upstream, all addresses, TLS and login included */
    uint64_t idle_timeout_ms;      /* of a session without requests; 0: never */
    uint64_t unread_timeout_ms;    /* of a session that does not read; 0: never */
    uint64_t handshake_timeout_ms; /* of a session: TLS, and the first login where one is needed */
    uint64_t upstream_idle_timeout_ms;       /* of an upstream that nobody uses; 0: never */
    uint64_t backoff_min_ms, backoff_max_ms; /* between attempts to connect to a failing endpoint */

    uint32_t max_sessions;      /* of this pool; 0: only the process's limit */
    uint64_t max_session_bytes; /* what one session may hold; then its upstreams' replies wait */
    unsigned insecure_listen;   /* 1: beyond loopback without password and TLS, in words */
    bool tcp_keepalive;
    struct tls_settings listen_tls, endpoint_tls; /* what URLs of this pool start from */
    struct health_settings health;
};

/* How the keys of a class are told: one line of its section. */
enum key_match_kind { KEY_MATCH_PREFIX, KEY_MATCH_FIRST_BYTE, KEY_MATCH_PATTERN };

struct key_match {
    enum key_match_kind kind;
    struct slice text; /* of a prefix or pattern */
    uint8_t low, high; /* of a first byte, both included */
    bool is_hex;       /* as the prefix was written */
};

enum key_access { KEY_ACCESS_FULL, KEY_ACCESS_READ_ONLY, KEY_ACCESS_FORBIDDEN };

struct memory_pool;

/* Keys of memory pools that are treated alike, [class NAME].  A key is of the first class of its
 * pool that it fits, in the order of the file. */
struct key_class {
    const char *name; /* as metrics, hot keys and slow requests have it */
    struct place place;
    const struct memory_pool **in; /* whose keys; none: of all memory pools */
    uint32_t in_count;
    struct key_match *matches; /* at least one; any is enough */
    uint32_t match_count;
    const char *pool_name;
    const struct memory_pool *pool; /* whose shards have its keys; NULL: those of the key's own */
    enum key_access access;
    uint64_t ttl_ms, max_ttl_ms; /* 0: none; ttl_ms is not above max_ttl_ms */
    uint64_t max_value_bytes;    /* 0: no limit */
    uint64_t cache_ms;           /* how old a value may be that a worker kept; 0: none is kept */
    uint64_t cache_bytes;        /* of each worker, for such values */
};

struct memory_pool {
    struct pool_settings base;
    const struct key_class **classes; /* of its keys, in the order of the file */
    uint32_t class_count;
    struct user_settings *users; /* none: nobody must log in */
    uint32_t user_count;

    const char *hash, *distribution;
    const char *hash_tag; /* two bytes, "{}"; "" for none */
    bool stamp;
    enum on_shard_down on_shard_down;

    uint64_t timeout_ms;           /* of a request: from sending it to its reply */
    uint64_t queue_timeout_ms;     /* waiting for a leased upstream */
    uint64_t tombstone_timeout_ms; /* how long an expired request's late reply is waited for */

    uint32_t upstreams;          /* shared ones per worker and endpoint */
    uint32_t max_upstreams;      /* leased ones per endpoint, for the whole process */
    uint32_t max_queue;          /* requests under way at an upstream, or waiting for a lease */
    uint32_t max_pipeline;       /* requests of a session under way; then it is not read from */
    uint64_t max_request_bytes;  /* a request, all its arguments */
    uint64_t script_cache_bytes; /* bodies of EVAL scripts kept to heal NOSCRIPT */
    uint32_t databases;          /* SELECT 0 to databases - 1 */

    enum memory_sync sync; /* of embedded shards, as all below */
    enum memory_eviction eviction;
    const char *purge; /* as written; "" for never */
    struct schedule purge_when;
};

enum sql_pooling { SQL_POOLING_TRANSACTION, SQL_POOLING_SESSION };
enum sql_reads { SQL_READS_CAUSAL, SQL_READS_BOUNDED, SQL_READS_ANY, SQL_READS_PRIMARY };
enum sql_causal_scope { SQL_CAUSAL_SESSION, SQL_CAUSAL_USER, SQL_CAUSAL_DATABASE };
enum sql_balance { SQL_BALANCE_ROUND_ROBIN, SQL_BALANCE_WEIGHTS, SQL_BALANCE_LEAST_BUSY };
enum sql_replicas_down { SQL_REPLICAS_DOWN_PRIMARY, SQL_REPLICAS_DOWN_ERROR };
enum sql_unknown_functions { SQL_UNKNOWN_FUNCTIONS_PRIMARY, SQL_UNKNOWN_FUNCTIONS_TRY };
enum sql_auth {
    SQL_AUTH_SCRAM,
    SQL_AUTH_MD5,
    SQL_AUTH_PASSWORD,
    SQL_AUTH_CERT,
    SQL_AUTH_PEER,
    SQL_AUTH_TRUST
};
/* AUTO: off for clients without a certificate of ours, for servers on this machine. */
enum sql_listen_tls { SQL_TLS_AUTO, SQL_TLS_OFF, SQL_TLS_ALLOW, SQL_TLS_REQUIRE };
enum sql_server_login { SQL_SERVER_LOGIN_OWN, SQL_SERVER_LOGIN_LIBPQ };
enum sql_server_tls {
    SQL_SERVER_TLS_AUTO,
    SQL_SERVER_TLS_OFF,
    SQL_SERVER_TLS_PREFER,
    SQL_SERVER_TLS_REQUIRE,
    SQL_SERVER_TLS_VERIFY
};

struct hba; /* config/hba.h, as the next */
struct ident;

/* How many upstreams; a database's start from the pool's. */
struct sql_sizes {
    uint32_t pool_size;         /* per endpoint, database and user, for the whole process */
    uint32_t min_pool_size;     /* kept open at the least */
    uint32_t reserve_pool_size; /* besides, after reserve_pool_timeout; 0: none */
    uint32_t max_connections;   /* per endpoint and database, of all users; 0: no limit */
};

/* What a secret is, by how it begins. */
enum sql_secret { SQL_SECRET_PASSWORD, SQL_SECRET_MD5, SQL_SECRET_SCRAM };

/* Who may come in, and what he proves it with. */
struct sql_user {
    const char *name;
    /* As PostgreSQL's pg_authid has it: "SCRAM-SHA-256$...", "md5...", else the password itself.
     * NULL: none, for those whom a certificate or the system vouches for. */
    const char *secret;
    uint32_t pool_size;       /* 0: the database's */
    uint32_t max_connections; /* per endpoint, of all databases; 0: no limit */
    enum sql_route route;     /* AUTO: as the database says, else the listener */
    bool is_of_file;          /* auth_file's, not a line's */
    struct place place;
};

/* A database that clients may name. */
struct sql_database {
    const char *name;        /* "*": any that no other line names */
    const char *server_name; /* what the servers call it; NULL: as the client does */
    struct sql_sizes sizes;
    enum sql_pooling pooling;
    enum sql_route route;
    struct place place;
};

struct sql_pool {
    struct pool_settings base; /* at least one endpoint is a primary */
    struct sql_user *users;    /* of lines and auth_file, by name */
    uint32_t user_count;
    const struct sql_user *known_user; /* the first whose password is known; NULL: none */
    struct sql_database *databases;    /* at least one: with no line a "*" is made */
    uint32_t database_count;
    const char **admin_users, **stats_users; /* of the console */
    uint32_t admin_user_count, stats_user_count;

    enum sql_pooling pooling;
    struct sql_sizes sizes;
    uint32_t max_user_connections; /* where users start from */
    uint64_t reserve_pool_timeout_ms;
    uint64_t server_lifetime_ms;    /* of an upstream; then it goes when it is idle; 0: no limit */
    uint64_t query_timeout_ms;      /* of a statement; then its session ends; 0: none */
    uint64_t query_wait_timeout_ms; /* for an upstream; 0: for ever */
    uint64_t idle_transaction_timeout_ms; /* of a session that holds a transaction; 0: none */
    uint32_t max_prepared_statements;     /* per upstream; the least used one goes first */

    enum sql_reads reads;
    uint64_t max_lag_ms; /* 0: no limit; also below */
    uint64_t max_lag_bytes;
    enum sql_causal_scope causal_scope;
    uint64_t causal_wait_ms; /* for a replica that is fresh enough; then the primary serves */
    enum sql_balance balance;
    enum sql_replicas_down on_replicas_down;
    enum sql_unknown_functions unknown_functions;
    uint64_t failover_wait_ms;    /* while there is no primary; then 57P03 */
    uint64_t lost_commit_wait_ms; /* to find out what became of a COMMIT; 0: it is not asked */
    uint64_t verdict_cache_bytes; /* of each worker */

    enum sql_auth auth;                            /* if there is no hba */
    const char *auth_file, *hba_file, *ident_file; /* NULL: none */
    struct hba *hba;                               /* NULL: none */
    struct ident *ident;                           /* without lines if there is no file */
    uint64_t files_digest;                         /* of what they said */
    const char *auth_query, *auth_user;            /* user NULL: off */
    const char *auth_dbname; /* where it is asked; NULL: in the client's own database */
    bool console;
    bool application_name_add_host;
    enum sql_listen_tls tls;
    enum sql_server_tls server_tls;
    enum sql_server_login server_login;
    const char *probe_user, *probe_password; /* as given; sql_probe_login() knows the rest */
    const char *probe_database;
};

/* What an access key allows: enum s3_right has the same bits. */
enum blob_right {
    BLOB_RIGHT_READ = 1 << 0,
    BLOB_RIGHT_WRITE = 1 << 1,
    BLOB_RIGHT_LIST = 1 << 2,
    BLOB_RIGHT_DELETE = 1 << 3,
};

/* Who may come in, and to what. */
struct blob_access_key {
    const char *id, *secret;
    const char **buckets; /* patterns, a '*' at the end stands for anything; none: all */
    uint32_t bucket_count;
    const char **prefixes; /* of keys; none: any */
    uint32_t prefix_count;
    unsigned rights; /* enum blob_right */
    struct place place;
};

enum blob_key_transform { BLOB_KEY_PLAIN, BLOB_KEY_STALWART };
enum blob_shard_down { BLOB_SHARD_DOWN_ERROR, BLOB_SHARD_DOWN_PARTIAL };
enum blob_access_log { BLOB_ACCESS_LOG_OFF, BLOB_ACCESS_LOG_S3, BLOB_ACCESS_LOG_JSON };

struct blob_pool {
    struct pool_settings base;
    struct blob_access_key *access_keys; /* by id */
    uint32_t access_key_count;
    const char **regions; /* none: any */
    uint32_t region_count;
    const char **public_buckets; /* patterns: anyone may read there, unsigned */
    uint32_t public_bucket_count;
    const char **virtual_hosts; /* names whose subdomains are buckets */
    uint32_t virtual_host_count;
    bool unsigned_access; /* nobody needs to sign: all is allowed to all */

    const char *hash, *distribution;
    bool stamp;
    enum blob_key_transform key_transform;
    enum blob_shard_down reads_while_shard_down; /* of lists */

    uint64_t max_object_bytes;
    uint64_t timeout_ms;       /* from a request's last byte to the head of a store's answer */
    uint64_t stall_timeout_ms; /* of a body that does not move, of either side */
    uint64_t queue_timeout_ms; /* waiting for an upstream */
    uint32_t max_upstreams;    /* per shard, for the whole process */
    uint32_t max_queue;        /* requests that wait for one, per shard and worker */
    uint32_t max_head_bytes;   /* of a request */
    enum blob_access_log access_log;
    const char *access_log_file; /* NULL: standard error */
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
    bool io_uring;
    uint64_t time_slice_ms;   /* of workers, see time_slice.h; 0: the system's own */
    uint32_t batch_wait_us;   /* least time between turns while many sessions wait; 0: off */
    uint32_t slow_requests;   /* how many slow ones /api/v1/slow keeps */
    uint64_t slow_time_ms;    /* requests faster than this are not looked at */
    enum log_level log_level; /* LOG_ERROR ... LOG_DEBUG */
    enum log_format log_format;
    struct place place;
};

struct snapshot {
    uint64_t generation; /* set by who loads: 1, 2, ... */
    const char *file;
    struct proxy_settings proxy;
    struct pool_settings **pools; /* each the base of its kind's struct */
    uint32_t pool_count;
    struct listener_settings *listeners;
    uint32_t listener_count;
    struct endpoint_settings *endpoints;
    uint32_t endpoint_count;
    struct key_class **classes; /* in the order of the file */
    uint32_t class_count;
    struct arena arena; /* owns all of the above and every text */
};

void snapshot_free(struct snapshot **s); /* clears it; passwords are wiped */

/* NULL if there is none of this name. */
const struct pool_settings *snapshot_pool(const struct snapshot *s, const char *name);

/* The pool as what it is; its kind must be that. */
static inline struct memory_pool *memory_pool_of(const struct pool_settings *pool)
{
    assert(pool->kind == POOL_MEMORY);
    return (struct memory_pool *)pool;
}

static inline struct sql_pool *sql_pool_of(const struct pool_settings *pool)
{
    assert(pool->kind == POOL_SQL);
    return (struct sql_pool *)pool;
}

static inline struct blob_pool *blob_pool_of(const struct pool_settings *pool)
{
    assert(pool->kind == POOL_BLOB);
    return (struct blob_pool *)pool;
}

/* The word that begins a section of it: "memory". */
const char *pool_kind_name(enum pool_kind kind);
/* What its endpoints are called, for people: "shard", "server". */
const char *pool_kind_endpoint(enum pool_kind kind);
/* The words of options that name a pool's ways, as the file has them. */
const char *sql_pooling_name(enum sql_pooling pooling);
const char *sql_reads_name(enum sql_reads reads);
const char *sql_balance_name(enum sql_balance balance);

enum sql_secret sql_secret_kind(const char *secret);

/* What holds for a user and a database, by the names that a client says.  NULL: not in the
 * configuration; of a database, that nobody may have it. */
const struct sql_user *sql_pool_user(const struct sql_pool *pool, const char *name);
const struct sql_database *sql_pool_database(const struct sql_pool *pool, const char *name);

/* What a session starts with: the first that says something of user, database and listener, of
 * which each may be NULL. */
enum sql_route sql_pool_route(const struct sql_user *user, const struct sql_database *database,
                              const struct listener_settings *listener);

/* A login at an endpoint. */
struct sql_login {
    const char *user, *password, *database; /* borrowed; user NULL: none is known; password too */
};
/* The witness's: what the configuration names for it, else the endpoint's URL, else the known user.
 */
struct sql_login sql_probe_login(const struct endpoint_settings *endpoint);

/* Is this only reachable from this machine?  Unix sockets, 127.0.0.0/8, ::1, "localhost". */
bool address_is_local(const struct address *a);
bool address_is(const struct address *a, const struct address *b);
