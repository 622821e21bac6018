/* See tables.h.  A preset stands here and nowhere else; why it is what it is stands beside it where
 * that is not plain. */
#include "config/tables.h"

#include <string.h>

#include "config/snapshot.h"
#include "config/tables_pool.h"

static const char *const LOG_LEVELS[] = { "error", "warn", "info", "debug", NULL };
static const char *const LOG_FORMATS[] = { "text", "json", NULL };
static const char *const SHARD_DOWN[] = { "error", "miss", NULL };
static const char *const SYNCS[] = { "always", "interval", "never", NULL };
static const char *const EVICTIONS[] = { "none", "lru", NULL };
const char *const tables_tls_clients[] = { "none", "optional", "required", NULL };
const char *const tables_tls_versions[] = { "1.2", "1.3", NULL };
const char *const tables_insecure[] = { "no", "anyone may connect", NULL };

#define AT(member) offsetof(struct proxy_settings, member)

const struct option tables_proxy[] = {
    { "workers", OPTION_INTEGER, AT(workers), "auto", .min = 1, .max = 256, .zero = "auto",
      .text = "threads that serve; auto: as many as there are cores" },
    { "admin", OPTION_TEXT, AT(admin), "http://127.0.0.1:9070", .zero = "off",
      .form = "URL, or off",
      .text = "where status, metrics and health checks are served: http://HOST:PORT or "
              "http+unix:///PATH" },
    { "insecure_listen", OPTION_WORD, AT(insecure_listen), "no", .words = tables_insecure,
      .text =
          "lets the admin endpoint listen beyond loopback, where it asks nobody for a password" },
    { "drain_timeout", OPTION_DURATION, AT(drain_timeout_ms), "30s", .max = HOURS(24),
      .text = "how long requests may take to end after SIGTERM" },
    { "max_sessions", OPTION_INTEGER, AT(max_sessions), "10000", .min = 1, .max = 10000000,
      .text = "client connections in all" },
    { "max_memory", OPTION_SIZE, AT(max_memory_bytes), "1gb", .min = MB(16),
      .text = "memory in all that buffers of client and server connections may take" },
    { "backlog", OPTION_INTEGER, AT(backlog), "1024", .min = 1, .max = 65535,
      .text = "connections that may wait to be accepted, per listener and worker" },
    { "resolve_interval", OPTION_DURATION, AT(resolve_interval_ms), "30s", .min = SECONDS(1),
      .max = HOURS(24), .text = "how often host names are looked up again" },
    { "batch_wait_us", OPTION_INTEGER, AT(batch_wait_us), "500", .max = 1000,
      .text = "microseconds: while a crowd of memory pools' clients asks a worker as fast as it "
              "answers, it lets at most so much time pass before it writes what they ask to the "
              "servers (it learns how much costs no throughput; rarely a silent client or server "
              "makes it 5 ms), and writes together what came; 0 writes at once, at a higher cost" },
    { "time_slice", OPTION_DURATION, AT(time_slice_ms), "5ms", .max = 100,
      .text =
          "how long a worker may stay on its CPU while others want it, on Linux 6.12 and newer: "
          "with more than the system's own (about 1.5 ms, which 0 leaves as it is) it serves "
          "more at once, and costs less where servers or clients share its CPU" },
    { "io_uring", OPTION_FLAG, AT(io_uring), "yes",
      .text = "reads and writes many sockets by one system call, where the kernel lets it" },
    { "slow_requests", OPTION_INTEGER, AT(slow_requests), "128", .max = 1024,
      .text = "how many requests that were slow are remembered" },
    { "slow_time", OPTION_DURATION, AT(slow_time_ms), "10ms", .max = HOURS(1),
      .text = "requests that take less are not among the slow ones" },
    { "log_level", OPTION_WORD, AT(log_level), "info", .words = LOG_LEVELS,
      .text = "how much is logged, to standard error" },
    { "log_format", OPTION_WORD, AT(log_format), "text", .words = LOG_FORMATS,
      .text = "key=value lines, or JSON" },
    { 0 },
};

#undef AT
#define AT(member) offsetof(struct memory_pool, member)

const struct option tables_memory[] = {
    { "listen", OPTION_LINES, .form = "URL",
      .text = "where clients connect: redis://HOST:PORT, rediss:// for TLS, redis+unix:///PATH, "
              "or memcached://, memcacheds://, memcached+unix://; port 0 takes a free one" },
    { "shard", OPTION_LINES, .form = "URL",
      .text = "a server, redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE] or "
              "memcached://[USER:PASSWORD@]HOST[:PORT], or an embedded shard, ram://SIZE, "
              "sqlite:///FILE, rocksdb:///FOLDER, or a table of a PostgreSQL server, "
              "postgresql://[USER:PASSWORD@]HOST[:PORT]/DATABASE; the order of these lines is the "
              "map" },
    { "password", OPTION_LINES, .form = "PASSWORD",
      .text = "what AUTH must say; short for a user named default" },
    { "user", OPTION_LINES,
      .form =
          "NAME PASSWORD|#SHA256|nopass [password=...] [prefix=...] [allow=...] [deny=...] [admin]",
      .text =
          "who may come in, and what they may do: prefix: with keys that begin so; allow: these "
          "commands and @categories only (get,@read); deny: not these; admin: what is dangerous" },
    { "hash", OPTION_NAME, AT(hash), "xxh3", .words_from = OPTION_WORDS_HASHES,
      .text = "how a key becomes a number" },
    { "distribution", OPTION_NAME, AT(distribution), "modulo",
      .words_from = OPTION_WORDS_DISTRIBUTIONS, .text = "how that number becomes a shard" },
    { "hash_tag", OPTION_TEXT, AT(hash_tag), "{}", .zero = "off", .form = "two characters, or off",
      .text = "of a key, only what stands between these two is hashed" },
    { "stamp", OPTION_FLAG, AT(stamp), "yes",
      .text =
          "each shard carries a small key that says its place in the map, checked on connection; "
          "no: where a server's rights forbid it" },
    { "on_shard_down", OPTION_WORD, AT(on_shard_down), "error", .words = SHARD_DOWN,
      .text = "what the keys of a dead shard get; the map does not move; miss, for caches: who "
              "reads is told that they are not there, who writes gets an error" },

    { "timeout", OPTION_DURATION, AT(timeout_ms), "2s", .min = 1, .max = HOURS(24),
      .text = "for a request: from sending it to its reply; to a large reply that has begun, from "
              "its last bytes" },
    { "connect_timeout", OPTION_DURATION, AT(base.connect_timeout_ms), "1s", .min = 1,
      .max = HOURS(1),
      .text =
          "for a connection to a server, with TLS and login; the addresses of a name share it" },
    { "queue_timeout", OPTION_DURATION, AT(queue_timeout_ms), "1s", .min = 1, .max = HOURS(1),
      .text = "for a request that waits for a server connection of its own" },
    { "tombstone_timeout", OPTION_DURATION, AT(tombstone_timeout_ms), "30s", .min = 1,
      .max = HOURS(24),
      .text = "how long the late reply of an expired request is waited for, before "
              "its connection is given up" },
    { "idle_timeout", OPTION_DURATION, AT(base.idle_timeout_ms), "never", .min = 1,
      .max = HOURS(8760), .zero = "never",
      .text =
          "a client that asks nothing for so long is disconnected, unless it has subscriptions" },
    { "unread_timeout", OPTION_DURATION, AT(base.unread_timeout_ms), "1m", .min = 1,
      .max = HOURS(8760), .zero = "never",
      .text = "a client that takes no byte of its replies for so long, while they wait for it, is "
              "disconnected" },
    { "handshake_timeout", OPTION_DURATION, AT(base.handshake_timeout_ms), "10s", .min = 1,
      .max = HOURS(1), .text = "for a client's TLS handshake, and its login where one is needed" },
    { "upstream_idle_timeout", OPTION_DURATION, AT(base.upstream_idle_timeout_ms), "5m", .min = 1,
      .max = HOURS(8760), .zero = "never",
      .text = "a server connection that nobody uses for so long is closed; one that clients share "
              "stays while there is a session that could use it" },
    TABLES_POOL_BACKOFF,

    { "upstreams", OPTION_INTEGER, AT(upstreams), "1", .min = 1, .max = 64,
      .text = "server connections per worker and shard that all clients share" },
    { "max_upstreams", OPTION_INTEGER, AT(max_upstreams), "128", .min = 1, .max = 100000,
      .text = "server connections per shard, in the whole process, for transactions, blocking "
              "commands and subscriptions" },
    { "max_queue", OPTION_INTEGER, AT(max_queue), "100000", .min = 1, .max = 10000000,
      .text = "requests under way per worker and shard, and as many that wait for a server "
              "connection of their own; more are refused at once" },
    { "max_sessions", OPTION_INTEGER, AT(base.max_sessions), "unlimited", .min = 1, .max = 10000000,
      .zero = "unlimited",
      .text = "client connections of this pool; the process has its own limit" },
    { "max_pipeline", OPTION_INTEGER, AT(max_pipeline), "1024", .min = 1, .max = 1000000,
      .text = "requests of a client under way; then it is not read from" },
    { "max_request", OPTION_SIZE, AT(max_request_bytes), "64mb", .min = KB(1), .max = GB(2),
      .text = "a request with all its arguments" },
    { "max_session_memory", OPTION_SIZE, AT(base.max_session_bytes), "64mb", .min = KB(16),
      .max = GB(64),
      .text = "what may be held for one client; then its replies wait at the servers, a reply "
              "that several shards' are put together to is an error if it is larger, and embedded "
              "shards make no value longer" },
    { "script_cache", OPTION_SIZE, AT(script_cache_bytes), "16mb", .max = GB(1),
      .text = "bodies of scripts that are remembered, to run them on servers that forgot them" },
    { "databases", OPTION_INTEGER, AT(databases), "16", .min = 1, .max = 65536,
      .text = "SELECT takes 0 to one less than this" },
    { "tcp_keepalive", OPTION_FLAG, AT(base.tcp_keepalive), "yes",
      .text = "lets the system notice peers that vanished, within ten minutes" },

    { "sync", OPTION_WORD, AT(sync), "always", .words = SYNCS,
      .text =
          "of embedded shards on disk: when what was acknowledged is safe from a loss of power: "
          "before it is acknowledged, within a second, or when the system likes; the end of "
          "the process alone never loses anything" },
    { "eviction", OPTION_WORD, AT(eviction), "none", .words = EVICTIONS,
      .text = "of embedded shards in memory: a full one refuses what would make it larger, or lets "
              "go of keys that were not used for long" },
    { "purge", OPTION_TEXT, AT(purge), "0 3 *", .zero = "never",
      .form = "MINUTE HOUR WEEKDAY, or cron's five fields, or never",
      .text = "of embedded shards on disk: when all keys are looked over for those whose time is "
              "over, in local time; weekdays are 1 to 7, from Monday on" },

    TABLES_POOL_SAFETY,
    TABLES_POOL_ENDPOINT_TLS_FILES("shard_tls_"),
    { "shard_tls_verify", OPTION_FLAG, AT(base.endpoint_tls.verify), "yes",
      .text = "servers must show a certificate that is valid for their name" },
    TABLES_POOL_ENDPOINT_TLS_FORM("shard_tls_"),

    TABLES_POOL_HEALTH,
    { 0 },
};

#undef AT
#define AT(member) offsetof(struct endpoint_settings, member)

const struct option tables_shard_url[] = {
    { "weight", OPTION_INTEGER, AT(weight), "1", .min = 1, .max = 65535,
      .text = "share of the keys, beside the other shards' weights" },
    { "name", OPTION_TEXT, AT(label), .form = "NAME",
      .text = "what a ring hashes instead of the address" },
    { "db", OPTION_INTEGER, AT(database), "0", .max = 65535,
      .text = "database; for TCP also the URL's path" },
    { "table", OPTION_TEXT, AT(store_table), .form = "NAME or SCHEMA.NAME",
      .text = "of PostgreSQL, where the keys are, as all to tls; " STORE_TABLE
              " if none is named; made if there is none" },
    { "database", OPTION_TEXT, AT(database_name), .form = "NAME",
      .text = "for TCP also the URL's path; else the user's name" },
    { "port", OPTION_INTEGER, AT(socket_port), "5432", .min = 1, .max = 65535,
      .text = "in the name of a Unix socket" },
    { "tls", OPTION_WORD, AT(server_tls), "auto", .words = tables_server_tls,
      .text = "auto: off on this machine, else verify" },
    { "ca", OPTION_FILE, AT(tls.ca_file), .form = "FILE", .text = "instead of shard_tls_ca" },
    { "cert", OPTION_FILE, AT(tls.cert_file), .form = "FILE", .text = "instead of shard_tls_cert" },
    { "key", OPTION_FILE, AT(tls.key_file), .form = "FILE", .text = "instead of shard_tls_key" },
    { "verify", OPTION_FLAG, AT(tls.verify), .text = "instead of shard_tls_verify" },
    { "server_name", OPTION_TEXT, AT(tls.server_name), .form = "NAME",
      .text = "instead of shard_tls_server_name" },
    { "min_version", OPTION_WORD, AT(tls.min_version), .words = tables_tls_versions,
      .text = "instead of shard_tls_min_version" },
    { 0 },
};

#undef AT
#define AT(member) offsetof(struct listener_settings, member)

const struct option tables_listen_url[] = {
    { "mode", OPTION_OCTAL, AT(socket_mode), "0770", .max = 0777,
      .text = "rights of a Unix socket's file" },
    { "cert", OPTION_FILE, AT(tls.cert_file), .form = "FILE", .text = "instead of tls_cert" },
    { "key", OPTION_FILE, AT(tls.key_file), .form = "FILE", .text = "instead of tls_key" },
    { "client", OPTION_WORD, AT(tls.client), .words = tables_tls_clients,
      .text = "instead of tls_client" },
    { "client_ca", OPTION_FILE, AT(tls.ca_file), .form = "FILE",
      .text = "instead of tls_client_ca" },
    { "min_version", OPTION_WORD, AT(tls.min_version), .words = tables_tls_versions,
      .text = "instead of tls_min_version" },
    { 0 },
};

const char *tables_chapter(const struct option *table, const char *option_name)
{
    static const char *const OF_MEMORY[][2] = {
        { "listen", "Who and where" }, { "hash", "The map" },
        { "timeout", "Times" },        { "upstreams", "Limits" },
        { "sync", "Embedded shards" }, { "insecure_listen", "Safety" },
        { "probe", "Health" },         { NULL, NULL },
    };
    static const char *const OF_SQL[][2] = {
        { "listen", "Who and where" },  { "auth", "Logins" },
        { "pooling", "Pooling" },       { "reads", "Reads" },
        { "connect_timeout", "Times" }, { "max_sessions", "Limits" },
        { "console", "Console" },       { "insecure_listen", "Safety" },
        { "probe", "Health" },          { NULL, NULL },
    };
    static const char *const OF_BLOB[][2] = {
        { "listen", "Who and where" },
        { "hash", "The map" },
        { "timeout", "Times" },
        { "max_upstreams", "Limits" },
        { "access_log", "The access log" },
        { "insecure_listen", "Safety" },
        { "probe", "Health" },
        { NULL, NULL },
    };
    const char *const(*chapters)[2] = table == tables_memory ? OF_MEMORY
                                      : table == tables_sql  ? OF_SQL
                                      : table == tables_blob ? OF_BLOB
                                                             : NULL;

    for (; chapters != NULL && (*chapters)[0] != NULL; chapters++)
        if (strcmp((*chapters)[0], option_name) == 0)
            return (*chapters)[1];
    return NULL;
}
