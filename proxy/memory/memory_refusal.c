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

/* After a reload a part's shard may be another one by that number. */
static bool is_known(const struct memory_merge *m, uint32_t shard)
{
    return m->generation == m->site->generation && shard < memory_site_shards(m->site);
}

void memory_merge_blame(struct memory_merge *m, uint32_t part, struct buf *out)
{
    uint32_t shard = m->parts[part].shard;
    struct memory_refusal *why = arena_new(m->arena, sizeof(*why));

    *why = (struct memory_refusal){
        .err = ERR_PROTOCOL,
        .shard = UINT32_MAX,
        .text = "the server answered something else than it was asked; see what listens at its "
                "address, and what stands between",
    };
    if (is_known(m, shard)) {
        struct memory_home home = memory_site_home(m->site, shard);

        why->shard = shard - home.first_shard;
        why->endpoint = memory_site_endpoint(m->site, shard)->name;
        why->pool = home.pool->base.name;
    }
    memory_refusal_put(why, out);
    m->blamed = why;
}
