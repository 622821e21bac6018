/* What the process needs of the memory flow: its part of each worker. */
#pragma once

#include "proxy/core/worker.h"

extern const struct flow memory_flow;
extern const struct flow_works memory_works;
