/* Walks a shard of a blob pool and says what does not belong there: objects whose keys the pool's
 * map places elsewhere, and the stamp of another shard.  Reads lists page by page, so it holds one
 * page whatever the shard's size, and changes nothing.
 *
 *     struct verify_shard v = { .endpoint = e, .map = map, .stamp = expected, .found = found, .. };
 *     verify_shard_walk(&v);            blocks; its figures may be read by other threads meanwhile
 *     v.err, v.why                      it could not be walked to its end
 *     verify_shard_fini(&v); */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "config/snapshot.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"
#include "shard/map.h"

struct verify_finding {
    struct slice bucket, key;
    struct slice stamp; /* not empty: it is no object but the stamp, and says this */
    uint64_t size;
    uint32_t belongs_on;
};

struct verify_shard {
    const struct endpoint_settings *endpoint; /* borrowed, as all here */
    const struct shard_map *map;
    struct slice stamp;          /* that it must have; empty: stamps are off */
    struct slice bucket, prefix; /* to be looked at alone; empty: all */
    /* Once for each thing that is wrong; by the thread that walks. */
    void (*found)(struct verify_shard *v, const struct verify_finding *finding);
    void *owner;
    const atomic_bool *stops; /* set: it is to end early */

    atomic_ullong buckets, objects, bytes, misplaced, bad_stamps, missing_stamps;
    atomic_bool is_done;
    enum err err;
    struct buf why; /* owned */
};

void verify_shard_walk(struct verify_shard *v);
void verify_shard_fini(struct verify_shard *v);
