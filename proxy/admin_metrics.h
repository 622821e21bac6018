/* All counters and gauges as Prometheus text. */
#pragma once

#include "proxy/base/buf.h"

struct daemon;

void admin_metrics_print(const struct daemon *d, struct buf *out);
