/* See steward_probe.h: an embedded store is not asked: whoever has it tells how it stands
 * (core/condition.h), and tries again by itself. */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/core/condition.h"
#include "proxy/steward_probe.h"

struct embedded_probe {
    struct condition *condition; /* counted */
};

static void *embedded_new(const struct steward_probe_site *site)
{
    struct embedded_probe *p = mem_new(sizeof(*p));

    p->condition = condition_open(site->endpoint->identity);
    return p;
}

static void embedded_free(void **state)
{
    struct embedded_probe *p = *state;

    *state = NULL;
    condition_close(&p->condition);
    free(p);
}

static void embedded_continue_from(void *state, void *was)
{
    (void)state;
    (void)was;
}

static void embedded_ask(void *state, uint64_t deadline_us, struct probe_outcome *outcome)
{
    struct embedded_probe *p = state;
    char why[CONDITION_WHY_BYTES];
    enum err err = condition_get(p->condition, why);

    (void)deadline_us;
    *outcome = (struct probe_outcome){ .connection_is_good = true };
    if (err == ERR_NONE || err == ERR_AGAIN)
        return;
    outcome->connection_is_good = false;
    outcome->reason = err == ERR_STAMP ? HEALTH_STAMP_MISMATCH : HEALTH_STORE_FAILED;
    snprintf(outcome->text, sizeof(outcome->text), "%.*s", (int)sizeof(outcome->text) - 1, why);
}

extern const struct steward_probe steward_probe_embedded;
const struct steward_probe steward_probe_embedded = {
    .protocol = STEWARD_PROBE_EMBEDDED,
    .new = embedded_new,
    .ask = embedded_ask,
    .continue_from = embedded_continue_from,
    .free = embedded_free,
};
