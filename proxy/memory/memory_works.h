/* What the process needs of the memory flow: its part of each worker. */
#pragma once

#include "proxy/core/worker.h"

struct session_limits;

extern const struct flow memory_flow;

void memory_works_init(struct worker *w);
/* Brings the worker's side of each pool in line with w->assembly: at the start and at each reload.
 * Upstreams to endpoints that stayed the same are kept. */
void memory_works_follow(struct worker *w);
void memory_works_fini(struct worker *w);
/* What a listener's sessions are opened with; NULL: the pool is not there (any more). */
const struct session_limits *memory_works_limits(struct worker *w, const char *pool);
