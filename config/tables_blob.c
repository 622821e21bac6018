/* See tables.h: [blob NAME]. */
#include "config/snapshot.h"
#include "config/tables.h"
#include "config/tables_pool.h"

static const char *const STYLES[] = { "path", "virtual", NULL };
static const char *const CONDITIONS[] = { "none", "put", "writes", "all", NULL };
static const char *const CREDENTIALS[] = { "url", "environment", "file", "metadata", NULL };
static const char *const SYNCS[] = { "always", "interval", "never", NULL };
static const char *const LAYOUTS[] = { "keys", "stalwart", NULL };
static const char *const TRANSFORMS[] = { "none", "stalwart", NULL };
static const char *const SHARD_DOWN[] = { "error", "partial", NULL };
static const char *const ACCESS_LOGS[] = { "off", "s3", "json", NULL };

#define TB(n) ((uint64_t)(n) << 40)

#define AT(member) offsetof(struct blob_pool, member)

/* Why some defaults are what they are:
 *
 *   timeout 30s          a store that ends a large multipart upload, or waits for its disks
 *   stall_timeout 1m     a body that does not move for so long is a dead peer; AWS cuts at 20 s
 *   idle_timeout 2m      SDKs keep connections for a minute or so
 *   max_upstreams 256    per shard; a request holds one as long as its bodies last */
const struct option tables_blob[] = {
    { "listen", OPTION_LINES, .form = "URL",
      .text =
          "where clients connect: s3://HOST:PORT, s3s:// for TLS, s3+unix:///PATH; port 0 takes "
          "a free one" },
    { "shard", OPTION_LINES, .form = "URL",
      .text = "a store, s3://[ID:SECRET@]HOST:PORT[/BUCKET[/PREFIX]], s3s:// for TLS, or a folder, "
              "file:///FOLDER; the order of these lines is the map" },
    { "access_key", OPTION_LINES, .form = "ID SECRET [buckets=a,b*] [prefixes=...] [rights=rwld]",
      .text = "who may come in, and to which buckets and keys; rights: r(ead), w(rite), l(ist), "
              "d(elete)" },
    { "region", OPTION_LINES, .form = "NAME",
      .text = "what clients may sign for; without these lines any region will do" },
    { "public", OPTION_LINES, .form = "BUCKET",
      .text =
          "a bucket whose objects anyone may get, unsigned; a * at the end stands for anything" },
    { "virtual_host", OPTION_LINES, .form = "NAME",
      .text = "a host name whose subdomains are buckets: photos.s3.example.org" },
    { "unsigned_access", OPTION_FLAG, AT(unsigned_access), "no",
      .text = "nobody need sign: all is allowed to all who connect" },

    { "hash", OPTION_NAME, AT(hash), "xxh3", .words_from = OPTION_WORDS_HASHES,
      .text = "how a key becomes a number" },
    { "distribution", OPTION_NAME, AT(distribution), "modulo",
      .words_from = OPTION_WORDS_DISTRIBUTIONS, .text = "how that number becomes a shard" },
    { "key_transform", OPTION_WORD, AT(key_transform), "none", .words = TRANSFORMS,
      .text =
          "what of a key is hashed: all of it, or with stalwart the hash that a name of that mail "
          "server's stands for, so that its own sharding is kept (hash xxh3, distribution "
          "modulo)" },
    { "stamp", OPTION_FLAG, AT(stamp), "yes",
      .text = "each shard carries a small object, .sheaf/stamp, that says its place in the map, "
              "checked before it is used" },
    { "reads_while_shard_down", OPTION_WORD, AT(reads_while_shard_down), "error",
      .words = SHARD_DOWN,
      .text = "lists while a shard does not answer: an error, or what the others have, marked by "
              "the field x-sheaf-incomplete" },

    { "timeout", OPTION_DURATION, AT(timeout_ms), "30s", .min = 1, .max = HOURS(24),
      .text = "for a store: from the end of what it was sent to the beginning of its answer" },
    { "stall_timeout", OPTION_DURATION, AT(stall_timeout_ms), "1m", .min = SECONDS(1),
      .max = HOURS(24), .zero = "never",
      .text = "a body of which no byte comes for so long is given up" },
    { "connect_timeout", OPTION_DURATION, AT(base.connect_timeout_ms), "2s", .min = 1,
      .max = HOURS(1), .text = "for a connection to a store, with TLS" },
    { "queue_timeout", OPTION_DURATION, AT(queue_timeout_ms), "5s", .min = 1, .max = HOURS(1),
      .text = "for a request that waits for a connection to a store" },
    { "idle_timeout", OPTION_DURATION, AT(base.idle_timeout_ms), "2m", .min = 1, .max = HOURS(8760),
      .zero = "never", .text = "a client that asks nothing for so long is disconnected" },
    { "unread_timeout", OPTION_DURATION, AT(base.unread_timeout_ms), "1m", .min = 1,
      .max = HOURS(8760), .zero = "never",
      .text = "a client that takes no byte of its answer for so long is disconnected" },
    { "handshake_timeout", OPTION_DURATION, AT(base.handshake_timeout_ms), "10s", .min = 1,
      .max = HOURS(1), .text = "for a client's TLS handshake" },
    { "upstream_idle_timeout", OPTION_DURATION, AT(base.upstream_idle_timeout_ms), "30s", .min = 1,
      .max = HOURS(8760), .zero = "never",
      .text = "a connection to a store that nobody uses for so long is closed" },
    TABLES_POOL_BACKOFF,

    { "max_upstreams", OPTION_INTEGER, AT(max_upstreams), "256", .min = 1, .max = 100000,
      .text = "connections per shard, in the whole process; each worker has its share" },
    { "max_queue", OPTION_INTEGER, AT(max_queue), "10000", .min = 1, .max = 10000000,
      .text =
          "requests per worker and shard that wait for a connection; more are refused at once" },
    { "max_sessions", OPTION_INTEGER, AT(base.max_sessions), "unlimited", .min = 1, .max = 10000000,
      .zero = "unlimited",
      .text = "client connections of this pool; the process has its own limit" },
    { "max_session_memory", OPTION_SIZE, AT(base.max_session_bytes), "4mb", .min = KB(64),
      .max = GB(64),
      .text = "what may be held for one client; then its answers wait at the stores" },
    { "max_object", OPTION_SIZE, AT(max_object_bytes), "5120gb", .min = 1, .max = TB(50),
      .text = "an object or a part that is put" },
    { "max_head", OPTION_INTEGER, AT(max_head_bytes), "65536", .min = 8192, .max = 65536,
      .text = "bytes of a request's head" },
    { "tcp_keepalive", OPTION_FLAG, AT(base.tcp_keepalive), "yes",
      .text = "lets the system notice peers that vanished, within ten minutes" },

    { "access_log", OPTION_WORD, AT(access_log), "off", .words = ACCESS_LOGS,
      .text = "a line for each request, as Amazon's server access logs have them or as JSON" },
    { "access_log_file", OPTION_FILE, AT(access_log_file), .form = "FILE",
      .text = "where those go; opened anew by each reload; else to standard error" },

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

const struct option tables_blob_url[] = {
    { "weight", OPTION_INTEGER, AT(weight), "1", .min = 1, .max = 65535,
      .text = "share of the keys, beside the other shards' weights" },
    { "name", OPTION_TEXT, AT(label), .form = "NAME",
      .text = "what a ring hashes instead of the address" },
    { "region", OPTION_TEXT, AT(store.region), "us-east-1", .form = "NAME",
      .text = "what requests to it are signed for" },
    { "tls", OPTION_FLAG, AT(tls.on), .text = "s3://...?tls=on is s3s://..." },
    { "style", OPTION_WORD, AT(store.style), "path", .words = STYLES,
      .text = "whether its buckets stand in the path, or in front of the host's name" },
    { "conditions", OPTION_WORD, AT(store.conditions), "put", .words = CONDITIONS,
      .text =
          "which writes with If-Match or If-None-Match it heeds: none, put (copies are then made "
          "by puts), writes (also copies of its own and the end of uploads, as not all do that "
          "heed puts), or all (deletes, too; AWS); others are answered with NotImplemented" },
    { "encryption", OPTION_FLAG, AT(store.encryption), "no",
      .text = "whether it encrypts objects as x-amz-server-side-encryption and its like ask (AWS, "
              "Ceph over TLS); some pass over that (Swift), so it is answered with NotImplemented "
              "unless you say so" },
    { "credentials", OPTION_WORD, AT(store.credentials), "url", .words = CREDENTIALS,
      .text =
          "where its access key comes from: the URL; AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
          "AWS_SESSION_TOKEN of the environment; a file that is read again when it changes; or the "
          "metadata service of an instance or a container, or STS for a web identity, as the "
          "environment says to AWS's own tools" },
    { "credentials_file", OPTION_FILE, AT(store.credentials_file), .form = "FILE",
      .text = "that file, as AWS's tools have it; its profile \"default\" counts" },
    { "sync", OPTION_WORD, AT(store.sync), "always", .words = SYNCS,
      .text = "of a folder: when what was written is safe from a loss of power" },
    { "layout", OPTION_WORD, AT(store.layout), "keys", .words = LAYOUTS,
      .text = "of a folder: how keys become paths; stalwart is that mail server's own" },
    { "bucket", OPTION_TEXT, AT(store.folder_bucket), .form = "NAME",
      .text = "of a folder of that layout: the bucket that it is" },
    { "depth", OPTION_INTEGER, AT(store.stalwart_depth), "2", .max = 5,
      .text = "of a folder of that layout: how many folders deep its files lie" },
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
