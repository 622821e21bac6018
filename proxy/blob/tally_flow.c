/* What calls met at their shards, for the steward's judgement. */
#include "health/tally.h"

#include "proxy/blob/blob_flow.h"

static enum health_reason reason_of(enum err err, uint16_t status)
{
    switch (err) {
    case ERR_NONE:
        return status == 500 || status == 502 || status == 504 ? HEALTH_PROBE_FAILED : HEALTH_FINE;
    case ERR_TIMEOUT:
        return HEALTH_RESPONSE_TIMEOUT;
    case ERR_CONNECT:
        return HEALTH_CONNECT_REFUSED;
    case ERR_RESOLVE:
        return HEALTH_RESOLVE_FAILED;
    case ERR_TLS:
        return HEALTH_TLS_FAILED;
    case ERR_PROTOCOL:
        return HEALTH_PROTOCOL_ERROR;
    case ERR_STAMP:
        return HEALTH_STAMP_MISMATCH;
    default:
        return HEALTH_CLOSED;
    }
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
