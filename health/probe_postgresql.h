/* Asks a PostgreSQL server how it is, as an independent witness, on a thread that may block, with
 * libpq.  Nothing in it blocks longer than its deadline: addresses are given as numbers, and every
 * wait can be cancelled.
 *
 *     probe_postgresql_check(&kept, &settings, deadline_us, &outcome);     as often as it is probed
 *     probe_postgresql_close(&kept);
 *
 * The connection is kept from one check to the next, and made anew after a failure.  Whom the
 * server does not let in, for want of a password or a right, learns that it is alive, and no more:
 * the reason is a note then (PROBE_NOT_LET_IN), and the role is not known.
 *
 * What an ordinary user may ask is enough, with one exception: a replica's timeline is told at once
 * to members of pg_monitor alone, to others at its next restart point (follow.h helps). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/probe.h"

enum probe_postgresql_tls {
    PROBE_POSTGRESQL_TLS_OFF,
    PROBE_POSTGRESQL_TLS_PREFER,  /* if the server has it; nothing is verified */
    PROBE_POSTGRESQL_TLS_REQUIRE, /* nothing is verified */
    PROBE_POSTGRESQL_TLS_VERIFY,  /* the certificate and its name */
};

struct probe_postgresql_settings {
    const char *const *addresses; /* numeric; or a Unix socket's folder */
    size_t address_count;         /* tried in turn, each with its share of the time */
    uint16_t port;
    const char *user, *password, *database; /* NULL: none; the user is then "sheaf" */
    enum probe_postgresql_tls tls;
    const char *tls_name; /* in the certificate, and for SNI; NULL: the address */
    const char *ca_file, *cert_file, *key_file; /* NULL: the system's authorities; none */
    bool tls_1_3_only;
    int cancel_fd; /* borrowed; readable: waits end as if the deadline had passed; 0: none */
};

struct probe_postgresql; /* a kept connection; NULL: there is none */

/* Writes the whole outcome anew; `outcome->standing` keeps what earlier checks found until a newer
 * one is there. */
void probe_postgresql_check(struct probe_postgresql **kept,
                            const struct probe_postgresql_settings *settings, uint64_t deadline_us,
                            struct probe_outcome *outcome);
void probe_postgresql_close(struct probe_postgresql **kept);
