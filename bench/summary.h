/* What all rounds on one target came to, for people and as JSON. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bench/crew.h"
#include "bench/figures.h"
#include "bench/ledger.h"
#include "bench/plan.h"

enum { SUMMARY_ROUNDS_MAX = 1000 };

struct summary {
    const struct target *target; /* borrowed */
    struct figures figures;      /* of all rounds */
    struct histogram latency;    /* of all rounds and commands */
    uint32_t rounds;
    struct summary_round {
        uint64_t calls, elapsed_us, p50_us, p90_us, p99_us, p999_us, max_us;
        double per_second;
    } round[SUMMARY_ROUNDS_MAX];
    bool failed; /* a round could not be carried out */
};

void summary_add(struct summary *s, const struct crew_result *r);
double summary_per_second(const struct summary *s); /* median of the rounds */
/* Nothing foreign, nothing lost, and no errors unless they are tolerated? */
bool summary_is_fine(const struct summary *s, const struct plan *plan);

void summary_print(const struct summary *s, const struct plan *plan);
void summary_print_ratios(const struct summary *first, const struct summary *second);
/* Writes to plan->json_path; false, with a line on stderr, if that failed. */
MUST_CHECK bool summary_write_json(const struct summary *s, const struct plan *plan);
