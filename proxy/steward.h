/* The steward: runs health probes, judges endpoints and publishes verdicts, adds up what the workers
 * counted, and answers people and machines at the admin endpoint.  Lives in the daemon's loop. */
#pragma once

#include "proxy/base/buf.h"
#include "proxy/base/err.h"

struct assembly;
struct daemon;
struct diff;
struct steward;

enum err steward_start(struct daemon *daemon, struct steward **out, struct buf *why) MUST_CHECK;
/* A reload: `next` becomes the configuration; verdicts of endpoints that stay are carried over. */
void steward_follow(struct steward *s, struct assembly *next, const struct diff *diff);
void steward_stop(struct steward **s);
