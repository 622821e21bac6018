/* A refusal in words that all protocols share; a front says them as its own error. */
#include <inttypes.h>
#include <string.h>

#include "proxy/memory/memory.h"

/* Is nothing to be had from the shard at all, or only not this? */
static bool is_down(enum err err)
{
    return err == ERR_DOWN || err == ERR_CONNECT || err == ERR_RESOLVE || err == ERR_LOGIN ||
           err == ERR_TLS || err == ERR_STAMP || err == ERR_SYSTEM;
}

void memory_refusal_put(const struct memory_refusal *why, struct buf *out)
{
    const char *text = why->text == NULL || why->text[0] == '\0' ? err_text(why->err) : why->text;
    size_t begin = out->len;

    if (why->endpoint != NULL && strstr(text, why->endpoint) == NULL)
        buf_format(out, "shard %" PRIu32 " (%s)%s%s%s: %s", why->shard, why->endpoint,
                   why->pool == NULL ? "" : " of pool ", why->pool == NULL ? "" : why->pool,
                   is_down(why->err) ? " is down" : "", text);
    else
        buf_text(out, text);
    for (size_t i = begin; i < out->len; i++) /* it may be a server's own text */
        if (out->at[i] == '\r' || out->at[i] == '\n')
            out->at[i] = ' ';
}
