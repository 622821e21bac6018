/* The steward: runs health probes, judges endpoints and publishes verdicts, adds up what the
 * workers counted, and answers people and machines at the admin endpoint (admin.h).  Lives in the
 * daemon's loop: every function here belongs to its thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "health/judge.h"
#include "health/probe.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"

struct assembly;
struct daemon;
struct diff;
struct samples;
struct steward;

enum err steward_start(struct daemon *daemon, struct steward **out, struct buf *why) MUST_CHECK;
/* A reload: `next` becomes the configuration; verdicts of endpoints that stay are carried over.
 * Fails if the admin endpoint cannot listen where it should; then nothing has changed. */
enum err steward_follow(struct steward *s, struct assembly *next, const struct diff *diff,
                        struct buf *why) MUST_CHECK;
void steward_stop(struct steward **where);

/* What is known of an endpoint of the newest configuration. */
struct steward_endpoint {
    struct verdict verdict;
    bool is_drained;
    bool is_probed;                    /* a probe has been answered, or not, at least once */
    uint64_t probed_us;                /* when; monotonic */
    const struct probe_outcome *probe; /* borrowed until the next event */
    struct standing standing;          /* of SQL pools: what it is in its cluster */
};

struct steward_endpoint steward_endpoint(const struct steward *s, uint32_t number);
/* Takes an endpoint out of service, or puts it back; false: it was so already. */
bool steward_drain(struct steward *s, uint32_t endpoint, bool draining);
/* Would more than one server of the SQL pool take writes? */
bool steward_is_split(const struct steward *s, uint32_t pool);
const struct samples *steward_samples(const struct steward *s);
