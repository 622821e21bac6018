/* What a reload changes: two snapshots compared, nothing done. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/problem.h"
#include "config/snapshot.h"

enum { DIFF_NONE = UINT32_MAX }; /* not there in the other one */

enum diff_change { DIFF_SAME, DIFF_CHANGED, DIFF_ADDED };

struct diff {
    /* Endpoints are the same if they are of pools of one name, and of one identity (server, login,
     * database, TLS); each of the old ones continues at most once. */
    uint32_t *endpoint_was; /* [new number] -> old number */
    uint32_t *endpoint_is;  /* [old number] -> new number */
    /* Listeners are the same if they listen at one address; pool, protocol or TLS may differ. */
    uint32_t *listener_was, *listener_is;
    uint32_t *pool_was, *pool_is;  /* by name */
    enum diff_change *pool_change; /* [new number]: SAME if nothing differs, users included */
    bool proxy_changed;
};

/* `problems` gets a warning for each change that a running process cannot make. */
void diff_init(struct diff *d, const struct snapshot *was, const struct snapshot *is,
               struct problems *problems);
void diff_fini(struct diff *d);
/* Does nothing of a pool differ, nor of the classes of its keys? */
bool diff_is_same_pool(const struct pool_settings *a, const struct pool_settings *b);
