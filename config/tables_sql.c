/* See tables.h: [sql NAME].  Where an option means what PgBouncer's of that name means, it has that
 * name and its default, so that a file can be carried over line by line. */
#include "config/snapshot.h"
#include "config/tables.h"
#include "config/tables_pool.h"

static const char *const POOLINGS[] = { "transaction", "session", NULL };
static const char *const READS[] = { "causal", "bounded", "any", "primary", NULL };
static const char *const SCOPES[] = { "session", "user", "database", NULL };
static const char *const BALANCES[] = { "round-robin", "weights", "least-busy", NULL };
static const char *const REPLICAS_DOWN[] = { "primary", "error", NULL };
static const char *const UNKNOWN_FUNCTIONS[] = { "primary", "try", NULL };
static const char *const AUTHS[] = { "scram-sha-256", "md5",   "password", "cert",
                                     "peer",          "trust", NULL };
static const char *const LISTEN_TLS[] = { "auto", "off", "allow", "require", NULL };
const char *const tables_server_tls[] = { "auto", "off", "prefer", "require", "verify", NULL };
static const char *const SERVER_LOGINS[] = { "own", "libpq", NULL };
static const char *const ROUTES[] = { "auto", "primary", "replica", NULL };

const char *sql_pooling_name(enum sql_pooling pooling)
{
    return POOLINGS[pooling];
}

const char *sql_reads_name(enum sql_reads reads)
{
    return READS[reads];
}

const char *sql_balance_name(enum sql_balance balance)
{
    return BALANCES[balance];
}

/* PgBouncer's default. */
#define AUTH_QUERY                                                                                 \
    "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END "              \
    "FROM pg_authid WHERE rolname=$1 AND rolcanlogin"

#define AT(member) offsetof(struct sql_pool, member)

/* The defaults that are not PgBouncer's, and why:
 *
 *   connect_timeout 5s      not 15s: with several candidates a dead one must be passed over soon
 *   failover_wait 30s       what a promotion by the usual tools takes
 *   lost_commit_wait no     it costs each COMMIT a query, and 08007 is true without it
 *   max_lag 10s             a replica that far behind is broken or overwhelmed; reads that shall be
 *                           fresher than that say so, or are causal anyway
 *   causal_wait 2ms         the median wait for a position is below 1 ms; beyond that a read costs
 *                           less on the primary than the wait costs its client
 *   unread_timeout 1h       a client may hold a result while it works on it, but not for ever
 *   handshake_timeout 1m    PostgreSQL's authentication_timeout
 *   slow_start 10s          a server that comes back has cold caches */
const struct option tables_sql[] = {
    { "listen", OPTION_LINES, .form = "URL",
      .text = "where clients connect: postgresql://HOST:PORT, postgresql+unix:///FOLDER?port=5432; "
              "port 0 takes a free one" },
    { "primary", OPTION_LINES, .form = "URL",
      .text = "a server, postgresql://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]; of several the one "
              "that is not in recovery takes the writes, the others serve as replicas" },
    { "replica", OPTION_LINES, .form = "URL", .text = "a server for reads only" },
    { "database", OPTION_LINES, .form = "NAME|* [-> SERVER'S NAME] [OPTION=...]",
      .text = "a database that clients may name, and what the servers call it; without these lines "
              "any name is passed on" },
    { "user", OPTION_LINES, .form = "NAME PASSWORD|SCRAM-SHA-256$...|md5...|nopass [OPTION=...]",
      .text = "who may come in, beside those in auth_file and whom auth_query finds" },

    { "auth", OPTION_WORD, AT(auth), "scram-sha-256", .words = AUTHS,
      .text = "how clients prove who they are, unless the rules of an hba_file say it" },
    { "auth_file", OPTION_FILE, AT(auth_file), .form = "FILE",
      .text = "users and their passwords or hashes, in PgBouncer's format" },
    { "hba_file", OPTION_FILE, AT(hba_file), .form = "FILE",
      .text = "rules by address, database and user, in the format of pg_hba.conf" },
    { "ident_file", OPTION_FILE, AT(ident_file), .form = "FILE",
      .text = "names of the system or of certificates, and the users that they may be, in the "
              "format of pg_ident.conf" },
    { "auth_query", OPTION_TEXT, AT(auth_query), AUTH_QUERY, .form = "SQL",
      .text =
          "finds a user's name and his password or hash, of users that are not known otherwise; "
          "$1, written $$1, is the name that he gave" },
    { "auth_user", OPTION_TEXT, AT(auth_user), .form = "NAME",
      .text = "asks auth_query, with the password of his user line, of auth_file, or of the "
              "servers' URLs; without him it is not asked" },
    { "auth_dbname", OPTION_TEXT, AT(auth_dbname), .form = "NAME",
      .text = "where auth_query is asked; else in the client's own database" },

    { "pooling", OPTION_WORD, AT(pooling), "transaction", .words = POOLINGS,
      .text = "how long a client keeps its server connection; session: to the primary, or to one "
              "replica for those that begin with route = replica, and read there alone" },
    { "pool_size", OPTION_INTEGER, AT(sizes.pool_size), "20", .min = 1, .max = 100000,
      .text = "server connections per server, database and user, in the whole process, for what "
              "clients ask; what Sheaf asks for itself, and replication, is not counted" },
    { "min_pool_size", OPTION_INTEGER, AT(sizes.min_pool_size), "0", .max = 100000,
      .text = "so many of them are opened ahead and kept open, once there was a client" },
    { "reserve_pool_size", OPTION_INTEGER, AT(sizes.reserve_pool_size), "0", .max = 100000,
      .text = "more of them, for clients that wait longer than reserve_pool_timeout" },
    { "reserve_pool_timeout", OPTION_DURATION, AT(reserve_pool_timeout_ms), "5s", .max = HOURS(1),
      .text = "how long a client waits before the reserve is used" },
    { "max_db_connections", OPTION_INTEGER, AT(sizes.max_connections), "unlimited", .min = 1,
      .max = 100000, .zero = "unlimited",
      .text = "server connections per server and database, of all users; counted as in pool_size" },
    { "max_user_connections", OPTION_INTEGER, AT(max_user_connections), "unlimited", .min = 1,
      .max = 100000, .zero = "unlimited",
      .text = "server connections per server and user, of all databases; counted as in pool_size" },
    { "server_lifetime", OPTION_DURATION, AT(server_lifetime_ms), "1h", .min = SECONDS(1),
      .max = HOURS(8760), .zero = "unlimited",
      .text = "a server connection older than this is closed when it is free" },
    { "server_idle_timeout", OPTION_DURATION, AT(base.upstream_idle_timeout_ms), "10m",
      .min = SECONDS(1), .max = HOURS(8760), .zero = "never",
      .text = "a server connection that nobody uses for so long is closed" },
    { "max_prepared_statements", OPTION_INTEGER, AT(max_prepared_statements), "200", .min = 1,
      .max = 100000, .text = "kept on a server connection; the one unused for longest makes room" },
    { "application_name_add_host", OPTION_FLAG, AT(application_name_add_host), "no",
      .text = "the server sees the client's address and port behind its application_name" },

    { "reads", OPTION_WORD, AT(reads), "causal", .words = READS,
      .text = "causal: from a replica that has all that the session wrote or saw; bounded: from "
              "one within max_lag; any: from any; primary: from the primary" },
    { "max_lag", OPTION_DURATION, AT(max_lag_ms), "10s", .min = 1, .max = HOURS(24),
      .zero = "unlimited", .text = "a replica further behind gets no reads, but with reads = any" },
    { "max_lag_bytes", OPTION_SIZE, AT(max_lag_bytes), "unlimited", .min = 1, .zero = "unlimited",
      .text = "the same, in bytes of the log" },
    { "causal_scope", OPTION_WORD, AT(causal_scope), "session", .words = SCOPES,
      .text = "whose writes a read must see: its session's, its user's, or all of its database" },
    { "causal_wait", OPTION_DURATION, AT(causal_wait_ms), "2ms", .max = SECONDS(60),
      .text = "how long a read waits for a replica to be fresh enough; then the primary serves" },
    { "balance", OPTION_WORD, AT(balance), "round-robin", .words = BALANCES,
      .text = "which of the replicas that are good enough; round-robin: in turn, but where fewest "
              "clients wait, and who waits is served by the replica that is free first; "
              "weights: by shares, strictly" },
    { "on_replicas_down", OPTION_WORD, AT(on_replicas_down), "primary", .words = REPLICAS_DOWN,
      .text = "what reads get while no replica is good enough" },
    { "unknown_functions", OPTION_WORD, AT(unknown_functions), "primary",
      .words = UNKNOWN_FUNCTIONS,
      .text = "where a statement goes that names functions or relations which the catalog does not "
              "know, or not yet; try: a replica, and to the primary if that refuses" },
    { "verdict_cache", OPTION_SIZE, AT(verdict_cache_bytes), "16mb", .min = KB(64), .max = GB(4),
      .text = "for what is known of statements, in each worker" },

    { "connect_timeout", OPTION_DURATION, AT(base.connect_timeout_ms), "5s", .min = 1,
      .max = HOURS(1),
      .text =
          "for a connection to a server, with TLS and login; the addresses of a name share it" },
    { "query_timeout", OPTION_DURATION, AT(query_timeout_ms), "never", .min = 1, .max = HOURS(8760),
      .zero = "never",
      .text = "a statement that takes longer is cancelled, and its client disconnected" },
    { "query_wait_timeout", OPTION_DURATION, AT(query_wait_timeout_ms), "2m", .min = 1,
      .max = HOURS(8760), .zero = "never",
      .text = "a client that waits longer for a server connection is disconnected" },
    { "failover_wait", OPTION_DURATION, AT(failover_wait_ms), "30s", .max = HOURS(24),
      .text = "how long writes wait while there is no primary; 0: not at all" },
    { "lost_commit_wait", OPTION_DURATION, AT(lost_commit_wait_ms), "no", .min = 1, .max = HOURS(1),
      .zero = "no",
      .text = "a COMMIT whose answer is lost with its server waits so long to be told what became "
              "of it, by the primary there is then; one more query goes in front of each COMMIT" },
    { "idle_timeout", OPTION_DURATION, AT(base.idle_timeout_ms), "never", .min = 1,
      .max = HOURS(8760), .zero = "never",
      .text = "a client that asks nothing for so long, outside a transaction, is disconnected" },
    { "idle_transaction_timeout", OPTION_DURATION, AT(idle_transaction_timeout_ms), "never",
      .min = 1, .max = HOURS(8760), .zero = "never", .text = "the same, inside a transaction" },
    { "unread_timeout", OPTION_DURATION, AT(base.unread_timeout_ms), "1h", .min = 1,
      .max = HOURS(8760), .zero = "never",
      .text = "a client that takes no byte of its results for so long, while they wait for it, is "
              "disconnected" },
    { "handshake_timeout", OPTION_DURATION, AT(base.handshake_timeout_ms), "1m", .min = 1,
      .max = HOURS(1), .text = "for a client's TLS handshake and login" },
    TABLES_POOL_BACKOFF,

    { "max_sessions", OPTION_INTEGER, AT(base.max_sessions), "unlimited", .min = 1, .max = 10000000,
      .zero = "unlimited",
      .text = "client connections of this pool; the process has its own limit" },
    { "max_session_memory", OPTION_SIZE, AT(base.max_session_bytes), "64mb", .min = KB(64),
      .max = GB(64),
      .text = "what may be held for one client; then its results wait at the server" },
    { "tcp_keepalive", OPTION_FLAG, AT(base.tcp_keepalive), "yes",
      .text = "lets the system notice peers that vanished, within ten minutes" },

    { "console", OPTION_FLAG, AT(console), "yes",
      .text = "the databases sheaf and pgbouncer are PgBouncer's console, for the users below" },
    { "admin_user", OPTION_LINES, .form = "NAME", .text = "may do all on the console" },
    { "stats_user", OPTION_LINES, .form = "NAME", .text = "may look at what the console shows" },

    TABLES_POOL_SAFETY,
    { "tls", OPTION_WORD, AT(tls), "auto", .words = LISTEN_TLS,
      .text = "TLS with clients over TCP; auto: allow if there is a certificate, else off" },
    { "server_tls", OPTION_WORD, AT(server_tls), "auto", .words = tables_server_tls,
      .text = "TLS with servers over TCP; verify: and they must show a certificate that is valid "
              "for their name; auto: off on this machine, else verify" },
    TABLES_POOL_ENDPOINT_TLS_FILES("server_tls_"),
    TABLES_POOL_ENDPOINT_TLS_FORM("server_tls_"),
    { "server_login", OPTION_WORD, AT(server_login), "own", .words = SERVER_LOGINS,
      .text =
          "libpq: who asks for Kerberos (GSSAPI) is answered by libpq, with the tickets, keytabs "
          "and environment of the process; all else is done by our own login in any case" },

    TABLES_POOL_HEALTH,
    { "slow_start", OPTION_DURATION, AT(base.health.slow_start_ms), "10s", .max = HOURS(1),
      .text = "until a replica that is up again has its whole share of the reads" },
    { "probe_user", OPTION_TEXT, AT(probe_user), .form = "NAME",
      .text =
          "logs in to ask a server for its role and position; else the URL's user, or the first "
          "whose password is known; a member of pg_monitor is told that a replica follows a new "
          "primary, of others it must be concluded" },
    { "probe_password", OPTION_SECRET, AT(probe_password), .form = "PASSWORD",
      .text = "its password" },
    { "probe_database", OPTION_TEXT, AT(probe_database), "postgres", .form = "NAME",
      .text = "where it asks" },
    { 0 },
};

#undef AT
#define AT(member) offsetof(struct endpoint_settings, member)

const struct option tables_server_url[] = {
    { "weight", OPTION_INTEGER, AT(weight), "1", .max = 65535,
      .text = "share of the reads, with balance = weights" },
    { "database", OPTION_TEXT, AT(database_name), .form = "NAME",
      .text = "the database used, whatever clients name; for TCP also the URL's path" },
    { "port", OPTION_INTEGER, AT(socket_port), "5432", .min = 1, .max = 65535,
      .text = "in the name of a Unix socket's file" },
    { "tls", OPTION_WORD, AT(server_tls), .words = tables_server_tls,
      .text = "instead of server_tls" },
    { "ca", OPTION_FILE, AT(tls.ca_file), .form = "FILE", .text = "instead of server_tls_ca" },
    { "cert", OPTION_FILE, AT(tls.cert_file), .form = "FILE",
      .text = "instead of server_tls_cert" },
    { "key", OPTION_FILE, AT(tls.key_file), .form = "FILE", .text = "instead of server_tls_key" },
    { "server_name", OPTION_TEXT, AT(tls.server_name), .form = "NAME",
      .text = "instead of server_tls_server_name" },
    { "min_version", OPTION_WORD, AT(tls.min_version), .words = tables_tls_versions,
      .text = "instead of server_tls_min_version" },
    { 0 },
};

#undef AT
#define AT(member) offsetof(struct listener_settings, member)

const struct option tables_sql_listen_url[] = {
    { "route", OPTION_WORD, AT(route), "auto", .words = ROUTES,
      .text = "where sessions send their statements: auto, by what they are" },
    { "mode", OPTION_OCTAL, AT(socket_mode), "0770", .max = 0777,
      .text = "rights of a Unix socket's file" },
    { "port", OPTION_INTEGER, AT(socket_port), "5432", .min = 1, .max = 65535,
      .text = "in the name of a Unix socket's file" },
    { "tls", OPTION_WORD, AT(sql_tls), .words = LISTEN_TLS, .text = "instead of tls" },
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

#undef AT
#define AT(member) offsetof(struct sql_user, member)

const struct option tables_sql_user[] = {
    { "pool_size", OPTION_INTEGER, AT(pool_size), .min = 1, .max = 100000, .zero = "default",
      .text = "instead of the database's" },
    { "max_user_connections", OPTION_INTEGER, AT(max_connections), .min = 1, .max = 100000,
      .zero = "unlimited", .text = "instead of the pool's" },
    { "route", OPTION_WORD, AT(route), "auto", .words = ROUTES,
      .text = "where his statements go; auto: as the database says" },
    { 0 },
};

#undef AT
#define AT(member) offsetof(struct sql_database, member)

const struct option tables_sql_database[] = {
    { "pooling", OPTION_WORD, AT(pooling), .words = POOLINGS, .text = "instead of the pool's" },
    { "pool_size", OPTION_INTEGER, AT(sizes.pool_size), .min = 1, .max = 100000,
      .text = "instead of the pool's" },
    { "min_pool_size", OPTION_INTEGER, AT(sizes.min_pool_size), .max = 100000,
      .text = "instead of the pool's" },
    { "reserve_pool_size", OPTION_INTEGER, AT(sizes.reserve_pool_size), .max = 100000,
      .text = "instead of the pool's" },
    { "max_db_connections", OPTION_INTEGER, AT(sizes.max_connections), .min = 1, .max = 100000,
      .zero = "unlimited", .text = "instead of the pool's" },
    { "route", OPTION_WORD, AT(route), "auto", .words = ROUTES,
      .text = "where its statements go; auto: as the listener says" },
    { 0 },
};
