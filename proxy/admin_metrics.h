/* All counters and gauges as Prometheus text. */
#pragma once

#include "proxy/base/buf.h"

struct daemon;

/* For those who add to it: a metric's head, a label's value. */
void admin_metrics_begin(struct buf *out, const char *name, const char *type, const char *help);
void admin_metrics_quoted(struct buf *out, const char *value);
void admin_metrics_print(const struct daemon *d, struct buf *out);
