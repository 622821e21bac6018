/* Texts of enum err, made from err.def. */
#include "proxy/base/err.h"

static const struct {
    const char *text;
    bool may_retry;
} TABLE[] = {
    [ERR_NONE] = { "no error", false },
#define ERR(name, may_retry, text) [ERR_##name] = { text, may_retry },
#include "proxy/base/err.def"
#undef ERR
};

const char *err_text(enum err err)
{
    return TABLE[err].text;
}

bool err_may_retry(enum err err)
{
    return TABLE[err].may_retry;
}
