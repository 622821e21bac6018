/* The admin endpoint: HTTP for people and machines, in the daemon's loop.
 *
 *     GET  /                   a page that draws what /api/v1/status says
 *     GET  /metrics            Prometheus text
 *     GET  /healthz            200 while the process lives
 *     GET  /readyz             200 while it takes sessions, 503 from the beginning of a drain.
 *                              Shards that are down do not count: the others are served, and
 *                              Sheaf's own error is clearer than none.  ?shards=all wants every
 *                              shard up, ?shards=any at least one of each pool
 *     GET  /api/v1/status      all of it, as JSON
 *     GET  /api/v1/slow        the slowest recent requests
 *     POST /api/v1/drain       takes an endpoint out of service: pool=NAME and shard=INDEX, or
 *                              endpoint=NAME (and pool=NAME, if several have it), as query or JSON
 *     POST /api/v1/undrain     puts it back
 *     POST /api/v1/reload      as SIGHUP, but answers with what is wrong
 *
 * Nobody logs in here, so it listens on loopback unless told otherwise in words.  A web page of a
 * stranger, open in a browser on this machine, gets nothing: requests whose Host is a foreign name
 * are refused (DNS rebinding; /healthz, /readyz and /metrics give nothing away and are for all), so
 * are POSTs whose Origin is another site, and no other origin is ever allowed to read.
 *
 * Every function belongs to the daemon's thread. */
#pragma once

#include "config/snapshot.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"

struct admin;
struct daemon;

enum err admin_start(struct daemon *daemon, struct admin **out) MUST_CHECK;
/* Listens where the settings say, and no longer where earlier ones did; on failure as before. */
enum err admin_follow(struct admin *a, const struct proxy_settings *settings, struct buf *why)
    MUST_CHECK;
/* About once a second. */
void admin_tick(struct admin *a);
void admin_stop(struct admin **where);
