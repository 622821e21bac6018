/* The numeric addresses of an endpoint, for probes whose library must not look up names itself: it
 * would block on them. */
#pragma once

#include <arpa/inet.h>

#include "config/snapshot.h"
#include "proxy/io/resolve.h"

/* Room for those of one check. */
struct steward_addresses {
    char text[RESOLVE_MOST_ADDRESSES][INET6_ADDRSTRLEN];
    const char *list[RESOLVE_MOST_ADDRESSES]; /* each in text, or the path of a Unix socket */
    size_t count;
};

/* Blocks up to the deadline.  *why is a constant text. */
enum err steward_addresses_find(struct resolver *resolver, const struct endpoint_settings *endpoint,
                                uint64_t deadline_us, struct steward_addresses *a, const char **why)
    MUST_CHECK;
