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
    case ERR_CLOSED:
    case ERR_CONNECT:
    case ERR_SYSTEM:
    case ERR_DOWN:
    case ERR_MORE: /* from here on errors that no connection has: told as its loss */
    case ERR_AGAIN:
    case ERR_LIMIT:
    case ERR_CONFIG:
    case ERR_NOT_FOUND:
    case ERR_RANGE:
    case ERR_SYNTAX:
    case ERR_UNSUPPORTED:
        break;
    }
    return connecting ? HEALTH_CONNECT_REFUSED : HEALTH_CLOSED;
}
