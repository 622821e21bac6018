/* Why an endpoint is in the state it is in: one table for tallies, probes, verdicts, logs and
 * metrics. */
#pragma once

#include <stdbool.h>

#include "proxy/base/err.h"

enum health_reason {
    HEALTH_FINE,
#define REASON(name, word, weight, text) HEALTH_##name,
#include "health/reason.def"
#undef REASON
    HEALTH_REASONS, /* how many there are */
};

/* A sentence part such as "no response in time". */
const char *reason_text(enum health_reason reason);
/* A word for metrics and JSON: "response_timeout". */
const char *reason_word(enum health_reason reason);
bool reason_is_failure(enum health_reason reason); /* FATAL ones as well */
bool reason_is_fatal(enum health_reason reason);
/* What an error on the way to an endpoint means for its health; `connecting` tells a connection
 * that never stood from one that was lost. */
enum health_reason reason_of_err(enum err err, bool connecting);
