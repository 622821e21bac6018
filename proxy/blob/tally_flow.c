/* What calls met at their shards, for the steward's judgement. */
#include "health/tally.h"

#include "proxy/blob/blob_flow.h"

static enum health_reason reason_of(enum err err, uint16_t status)
{
    static const struct {
        enum err err;
        enum health_reason reason;
    } REASONS[] = {
        { ERR_TIMEOUT, HEALTH_RESPONSE_TIMEOUT }, { ERR_CONNECT, HEALTH_CONNECT_REFUSED },
        { ERR_RESOLVE, HEALTH_RESOLVE_FAILED },   { ERR_TLS, HEALTH_TLS_FAILED },
        { ERR_PROTOCOL, HEALTH_PROTOCOL_ERROR },  { ERR_STAMP, HEALTH_STAMP_MISMATCH },
    };

    if (err == ERR_NONE)
        return status == 500 || status == 502 || status == 504 ? HEALTH_PROBE_FAILED : HEALTH_FINE;
    for (size_t i = 0; i < sizeof(REASONS) / sizeof(REASONS[0]); i++)
        if (REASONS[i].err == err)
            return REASONS[i].reason;
    return HEALTH_CLOSED;
}

void blob_tally(struct blob_shard *shard, enum err err, uint16_t status, uint64_t took_us)
{
    struct blob_side *side = shard->side;
    struct tally_sheet *sheet = side->assembly->tallies[side->worker->index];
    enum health_reason reason = reason_of(err, status);

    if (!shard->present || err == ERR_LIMIT || err == ERR_DOWN)
        return;
    if (reason == HEALTH_FINE)
        tally_success(sheet, shard->settings->number, took_us);
    else
        tally_failure(sheet, shard->settings->number, reason);
}
