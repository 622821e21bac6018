/* See reason.h; the table is reason.def. */
#include "health/reason.h"

enum weight { WEIGHT_NOTE, WEIGHT_FAILURE, WEIGHT_FATAL };

static const struct {
    const char *word, *text;
    enum weight weight;
} TABLE[] = {
    [HEALTH_FINE] = { "fine", "is fine", WEIGHT_NOTE },
#define REASON(name, word, weight, text) [HEALTH_##name] = { word, text, WEIGHT_##weight },
#include "health/reason.def"
#undef REASON
};

const char *reason_text(enum health_reason reason)
{
    return TABLE[reason].text;
}

const char *reason_word(enum health_reason reason)
{
    return TABLE[reason].word;
}

bool reason_is_failure(enum health_reason reason)
{
    return TABLE[reason].weight != WEIGHT_NOTE;
}

bool reason_is_fatal(enum health_reason reason)
{
    return TABLE[reason].weight == WEIGHT_FATAL;
}

enum health_reason reason_of_err(enum err err, bool connecting)
{
    switch (err) {
    case ERR_NONE:
        return HEALTH_FINE;
    case ERR_TIMEOUT:
        return connecting ? HEALTH_CONNECT_TIMEOUT : HEALTH_RESPONSE_TIMEOUT;
    case ERR_RESOLVE:
        return HEALTH_RESOLVE_FAILED;
    case ERR_TLS:
        return HEALTH_TLS_FAILED;
    case ERR_LOGIN:
        return HEALTH_LOGIN_REFUSED;
    case ERR_STAMP:
        return HEALTH_STAMP_MISMATCH;
    case ERR_PROTOCOL:
        return HEALTH_PROTOCOL_ERROR;
    default: /* rule 26 does not hold: errors that no connection has are told as its loss */
        return connecting ? HEALTH_CONNECT_REFUSED : HEALTH_CLOSED;
    }
}
