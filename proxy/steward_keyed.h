/* What probes of memory pools' endpoints share: a connection that is kept and asked how the server
 * is, now and then with what it tells of itself; the stamp of a shard is looked after. */
#pragma once

#include <stdbool.h>

#include "proxy/steward_probe.h"

/* The protocol's own questions; see health/probe_redis.h for each. */
struct steward_keyed_words {
    void (*login)(const struct probe_stream *, const struct probe_login *, uint64_t deadline_us,
                  struct probe_outcome *);
    void (*check)(const struct probe_stream *, bool with_info, uint64_t deadline_us,
                  struct probe_outcome *);
    bool (*keep_mark)(const struct probe_stream *, struct probe_mark *, uint64_t deadline_us,
                      struct probe_outcome *);
};

/* The members of a struct steward_probe; `words` are borrowed for ever. */
void *steward_keyed_new(const struct steward_probe_site *site,
                        const struct steward_keyed_words *words);
void steward_keyed_ask(void *state, uint64_t deadline_us, struct probe_outcome *outcome);
void steward_keyed_continue_from(void *state, void *was);
void steward_keyed_free(void **state);
