/* What the command line asks for.  Constant once the load begins. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bench/keyspace.h"
#include "bench/load.h"
#include "bench/mix.h"
#include "bench/payload.h"
#include "bench/target.h"

enum { PLAN_TARGETS_MAX = 2 };

struct plan {
    struct target targets[PLAN_TARGETS_MAX]; /* the second: --compare */
    uint32_t target_count;
    struct mix mix;
    struct keyspace keys;
    struct payload values;
    uint32_t threads, connections, idle, pipeline, rounds, resp;
    enum load_query_mode query_mode;
    uint64_t rate;  /* calls per second; 0: as fast as replies come */
    uint64_t count; /* calls per round; 0: until the time is over */
    uint64_t duration_us, warmup_us, timeout_us, seed;
    bool poisson, fill, fill_only, verify, verify_writes, tolerate_errors, quiet;
    const char *json_path, *lost_path; /* borrowed: the command line; NULL: none */
};

enum plan_next { PLAN_RUN, PLAN_EXIT_FINE, PLAN_EXIT_USAGE };

/* Reads the arguments; on a mistake says on stderr which one and what is expected. */
enum plan_next plan_read(struct plan *p, int count, char **arguments);
void plan_fini(struct plan *p);
