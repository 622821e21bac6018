/* What the tables of all kinds of pools have in common: units, words, and rows of struct
 * pool_settings, which begins the struct of each kind. */
#pragma once

#include "config/option.h"
#include "config/snapshot.h"

#define SECONDS(n) ((uint64_t)(n)*1000)
#define HOURS(n)   ((uint64_t)(n)*3600000)
#define KB(n)      ((uint64_t)(n) << 10)
#define MB(n)      ((uint64_t)(n) << 20)
#define GB(n)      ((uint64_t)(n) << 30)

extern const char *const tables_server_tls[];
extern const char *const tables_tls_clients[], *const tables_tls_versions[],
                                                   *const tables_insecure[];

#define TABLES_POOL_AT(member) offsetof(struct pool_settings, member)

/* clang-format off: rows as in the tables */
#define TABLES_POOL_BACKOFF                                                                        \
    { "backoff_min",                                                                               \
      OPTION_DURATION,                                                                             \
      TABLES_POOL_AT(backoff_min_ms),                                                              \
      "50ms",                                                                                      \
      .min = 1,                                                                                    \
      .max = HOURS(1),                                                                             \
      .text = "least wait after a failed attempt to connect; doubles with each" },                 \
    {                                                                                              \
        "backoff_max", OPTION_DURATION, TABLES_POOL_AT(backoff_max_ms), "2s",                      \
            .min = 1, .max = HOURS(1), .text = "longest wait between attempts to connect"          \
    }

#define TABLES_POOL_SAFETY                                                                         \
    { "insecure_listen",                                                                           \
      OPTION_WORD,                                                                                 \
      TABLES_POOL_AT(insecure_listen),                                                             \
      "no",                                                                                        \
      .words = tables_insecure,                                                                    \
      .text = "lets this pool listen beyond loopback without password and TLS" },                  \
        { "tls_cert", OPTION_FILE, TABLES_POOL_AT(listen_tls.cert_file), .form = "FILE",           \
          .text = "certificate chain shown to clients (PEM)" },                                    \
        { "tls_key", OPTION_FILE, TABLES_POOL_AT(listen_tls.key_file), .form = "FILE",             \
          .text = "its key (PEM)" },                                                               \
        { "tls_client",                                                                            \
          OPTION_WORD,                                                                             \
          TABLES_POOL_AT(listen_tls.client),                                                       \
          "none",                                                                                  \
          .words = tables_tls_clients,                                                             \
          .text = "certificates of clients" },                                                     \
        { "tls_client_ca", OPTION_FILE, TABLES_POOL_AT(listen_tls.ca_file), .form = "FILE",        \
          .text = "who signs the clients' certificates (PEM)" },                                   \
    {                                                                                              \
        "tls_min_version", OPTION_WORD, TABLES_POOL_AT(listen_tls.min_version), "1.2",             \
            .words = tables_tls_versions, .text = "oldest version of TLS spoken with clients"      \
    }

#define TABLES_POOL_ENDPOINT_TLS_FILES(prefix)                                                     \
    { prefix "ca", OPTION_FILE, TABLES_POOL_AT(endpoint_tls.ca_file), .form = "FILE",              \
      .text = "who signs the servers' certificates (PEM); else whom the system trusts" },          \
        { prefix "cert", OPTION_FILE, TABLES_POOL_AT(endpoint_tls.cert_file), .form = "FILE",      \
          .text = "certificate shown to servers (PEM)" },                                          \
    {                                                                                              \
        prefix "key", OPTION_FILE, TABLES_POOL_AT(endpoint_tls.key_file), .form = "FILE",          \
                                                                          .text = "its key (PEM)"  \
    }

#define TABLES_POOL_ENDPOINT_TLS_FORM(prefix)                                                      \
    { prefix "server_name", OPTION_TEXT, TABLES_POOL_AT(endpoint_tls.server_name), .form = "NAME", \
      .text = "the name that servers are asked for (SNI) and must prove; else their host" },       \
    {                                                                                              \
        prefix "min_version", OPTION_WORD, TABLES_POOL_AT(endpoint_tls.min_version), "1.2",        \
            .words = tables_tls_versions, .text = "oldest version of TLS spoken with servers"      \
    }

#define TABLES_POOL_HEALTH                                                                         \
    { "probe", OPTION_FLAG, TABLES_POOL_AT(health.probe), "yes",                                   \
      .text = "asks each server regularly, beside the traffic" },                                  \
        { "probe_interval", OPTION_DURATION, TABLES_POOL_AT(health.interval_ms),      "1s",        \
          .min = 10,        .max = HOURS(1), .text = "between two probes of a server" },           \
        { "probe_timeout",                                                                         \
          OPTION_DURATION,                                                                         \
          TABLES_POOL_AT(health.timeout_ms),                                                       \
          "1s",                                                                                    \
          .min = 1,                                                                                \
          .max = HOURS(1),                                                                         \
          .text = "for a probe, with connection and login" },                                      \
        { "rise",                                                                                  \
          OPTION_INTEGER,                                                                          \
          TABLES_POOL_AT(health.rise),                                                             \
          "2",                                                                                     \
          .min = 1,                                                                                \
          .max = 1000,                                                                             \
          .text = "good probes in a row after which a server is up" },                             \
        { "fall",                                                                                  \
          OPTION_INTEGER,                                                                          \
          TABLES_POOL_AT(health.fall),                                                             \
          "3",                                                                                     \
          .min = 1,                                                                                \
          .max = 1000,                                                                             \
          .text = "bad probes in a row after which a server is down" },                            \
        { "breaker_failures",                                                                      \
          OPTION_INTEGER,                                                                          \
          TABLES_POOL_AT(health.breaker_failures),                                                 \
          "5",                                                                                     \
          .min = 1,                                                                                \
          .max = 10000,                                                                            \
          .text = "failed requests after which a server is down, if half of all within a second "  \
                  "failed" },                                                                      \
    {                                                                                              \
        "breaker_open", OPTION_DURATION, TABLES_POOL_AT(health.breaker_open_ms), "1s",             \
            .min = 1, .max = HOURS(1),                                                             \
            .text = "how long at first, before it is tried again; doubles up to backoff_max"       \
    }
/* clang-format on */
