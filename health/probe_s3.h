/* Asks a server that speaks S3 whether it is alive, on a thread that may block, with libcurl: an
 * unsigned HEAD.  Whoever answers is alive, though it be with a refusal; what says that the server
 * itself fails (500, 502, 503, 504 ...) counts against it.
 *
 *     probe = probe_s3_new();
 *     probe_s3_check(probe, &settings, deadline_us, &outcome);     as often as it is probed
 *     probe_s3_free(&probe);
 *
 * Nothing in it blocks longer than its deadline: addresses are given as numbers, and every wait can
 * be cancelled.  The connection is kept from one check to the next. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/probe.h"

struct probe_s3_settings {
    const char *host;
    uint16_t port;
    const char *const *addresses; /* of the host, numeric; whichever connects first is taken */
    size_t address_count;
    const char *unix_path; /* instead of addresses; NULL: none */
    const char *bucket;    /* NULL: the root is asked for */
    bool tls, verify;
    const char *tls_name; /* in the certificate, and for SNI; NULL: the host */
    const char *ca_file, *cert_file, *key_file; /* NULL: the system's authorities; none */
    bool tls_1_3_only;
    int cancel_fd; /* borrowed; readable: waits end as if the deadline had passed; 0: none */
};

struct probe_s3;

/* NULL: libcurl does not start.  Not of two threads at once, unlike all else. */
struct probe_s3 *probe_s3_new(void);
void probe_s3_free(struct probe_s3 **probe);
/* Writes the whole outcome anew. */
void probe_s3_check(struct probe_s3 *probe, const struct probe_s3_settings *settings,
                    uint64_t deadline_us, struct probe_outcome *outcome);
