/* Parts of config_check_print() that others compare with.  Private to config/. */
#pragma once

#include "config/snapshot.h"
#include "proxy/base/buf.h"

/* A section as a file would say it; with `secrets`, equal text means equal in every respect. */
void print_proxy(const struct proxy_settings *proxy, struct buf *out);
void print_pool(const struct pool_settings *pool, bool secrets, struct buf *out);
void print_class(const struct key_class *c, struct buf *out);
