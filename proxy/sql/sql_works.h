/* What the process needs of the SQL flow: its part of each worker. */
#pragma once

#include "proxy/core/worker.h"

extern const struct flow sql_flow;
extern const struct flow_works sql_works;
