/* Figures of the whole process, for all ways of telling them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/core/worker.h"

struct daemon;

struct admin_gather {
    /* of all workers */
    uint64_t sessions_open, sessions_opened, closed[CLOSE_REASONS];
    uint64_t held_bytes, turns;
    /* of the process */
    double cpu_user_s, cpu_system_s;
    uint64_t resident_bytes, virtual_bytes;
    uint64_t open_files, most_files;
    double uptime_s;
    double started_wall_s; /* seconds since 1970 */
};

/* How long ago that was. */
double admin_gather_age_s(uint64_t monotonic_us);
struct admin_gather admin_gather(const struct daemon *d);
/* "client_left": valid until the next call of the thread. */
const char *admin_gather_close_word(enum close_reason reason);
/* Seconds since 1970 of a time of the monotonic clock. */
double admin_gather_wall_s(uint64_t monotonic_us);
