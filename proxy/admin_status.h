/* What the process says of itself, as JSON. */
#pragma once

#include "proxy/base/buf.h"

struct daemon;

void admin_status_print(const struct daemon *d, struct buf *out);
/* The slowest recent requests, the slowest first. */
void admin_status_print_slow(const struct daemon *d, struct buf *out);
