/* The threads that put load on one target, for one round.  All threads go through the same stages
 * together: open the connections, fill, run, audit. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bench/figures.h"
#include "bench/load.h"
#include "bench/plan.h"

struct crew_result {
    struct figures figures;
    uint64_t elapsed_us; /* of the measured part */
    bool failed;         /* it could not be carried out: */
    char problem[256];
};

/* Runs one round; `round` and the plan's seed decide what is called.  crew_interrupt() ends it
 * early, from a signal handler too. */
void crew_run(const struct plan *plan, const struct load *load, uint32_t round,
              struct crew_result *out);
void crew_interrupt(void);
bool crew_is_interrupted(void);
