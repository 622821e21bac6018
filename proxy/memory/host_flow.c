/* What a front asks of the process: sessions, status, slow requests. */
#include "proxy/memory/memory_flow.h"

static void session_list(const struct memory_site *site, struct buf *out)
{
    (void)site;
    (void)out;
}

static void session_line(const struct memory_site *site, struct buf *out)
{
    const struct memory_session *s = site->session;
    char address[64];

    session_address(&s->base, address, sizeof(address));
    buf_format(out, "id=%llu addr=%s db=%u resp=%u", (unsigned long long)s->base.id, address,
               s->state->database, s->state->version);
}

static uint32_t session_kill(const struct memory_site *site, uint64_t id, struct slice address,
                             bool spare_self)
{
    (void)site;
    (void)id;
    (void)address;
    (void)spare_self;
    return 0;
}

static void describe(const struct memory_site *site, struct buf *out)
{
    buf_format(out, "sheaf_version:" SHEAF_VERSION "\r\npool:%s\r\n", site->pool->name);
}

static void slow_list(const struct memory_site *site, uint32_t most, struct buf *out)
{
    (void)site;
    (void)most;
    buf_text(out, "*0\r\n");
}

const struct memory_host memory_flow_host = {
    .session_list = session_list,
    .session_line = session_line,
    .session_kill = session_kill,
    .describe = describe,
    .slow_list = slow_list,
};
