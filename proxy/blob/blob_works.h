/* What the process needs of the blob flow: its part of each worker. */
#pragma once

#include "proxy/core/worker.h"

extern const struct flow blob_flow;
extern const struct flow_works blob_works;
