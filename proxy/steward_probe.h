/* How one protocol's servers are asked: a probe's driver.  proxy/steward_probe_NAME.c defines
 * steward_probe_NAME for endpoints of the protocol NAME; the name of the file is the registration.
 *
 * steward_probes.c has one state an endpoint and calls with it from one thread at a time, where
 * blocking is allowed up to the deadline, or until cancel_fd is readable. */
#pragma once

#include <stdint.h>

#include "health/probe.h"
#include "proxy/core/assembly.h"
#include "proxy/io/resolve.h"

/* Whom to ask, and with what. */
struct steward_probe_site {
    const struct assembly *assembly;          /* borrowed, as all, for as long as the state is */
    const struct endpoint_settings *endpoint; /* of it */
    struct resolver *resolver;
    int cancel_fd; /* readable: all end */
};

struct steward_probe {
    const char *protocol; /* of endpoints */
    void *(*new)(const struct steward_probe_site *site);
    /* The outcome is that of the call before, at first zero; what it learned may go on in it. */
    void (*ask)(void *state, uint64_t deadline_us, struct probe_outcome *outcome);
    /* A reload: `state` is new, `was` belongs to the same endpoint and is freed next. */
    void (*continue_from)(void *state, void *was);
    void (*free)(void **state);
};

/* In the place of a protocol: of all endpoints that lie within the process. */
#define STEWARD_PROBE_EMBEDDED "embedded"
