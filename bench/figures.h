/* What one thread counted; the main thread adds up and reports.  Counters and histograms may be
 * read by others while the thread writes; texts only once it has ended. */
#pragma once

#include <stdint.h>

#include "bench/mix.h"
#include "proxy/base/metric.h"
#include "proxy/base/slice.h"

enum { FIGURES_TEXTS = 8, FIGURES_TEXT_BYTES = 120 };

struct figures_text {
    char text[FIGURES_TEXT_BYTES];
    uint64_t count;
};

struct figures {
    struct counter calls; /* answered, errors included, within the measured time */
    struct counter misses, errors;
    struct counter foreign, lost;           /* verify: in the whole run */
    struct counter filled, audited, unread; /* keys written before, read back after, unreadable */
    struct counter unanswered;              /* calls on connections that ended or timed out */
    struct counter unsent; /* fixed rate: due within the time, but there was never room */
    struct counter reconnects, idle_lost;
    struct counter bytes_in, bytes_out;
    struct histogram latency[MIX_MAX]; /* microseconds, per entry of the mix */
    struct figures_text error_texts[FIGURES_TEXTS];
    struct figures_text foreign_texts[FIGURES_TEXTS], lost_texts[FIGURES_TEXTS];
};

/* Counts a text in a small table, by its first line; what no longer fits is counted in the last. */
void figures_note(struct figures_text table[static FIGURES_TEXTS], struct slice text,
                  uint64_t count);
void figures_merge(struct figures *into, const struct figures *from);
/* Of all entries of the mix. */
void figures_latency(const struct figures *f, struct histogram *out);
