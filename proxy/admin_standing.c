/* See admin_standing.h.  Identifiers and positions are texts: as numbers of JSON they would not be
 * exact. */
#include "proxy/admin_standing.h"

#include <stdio.h>

#include "proxy/admin_gather.h"
#include "proxy/base/buf.h"
#include "proxy/daemon.h"
#include "proxy/steward.h"

/* "" if it is not known. */
static void put_system_id(cJSON *object, uint64_t id)
{
    char text[24] = "";

    if (id != 0)
        snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
    cJSON_AddStringToObject(object, "system_id", text);
}

/* As PostgreSQL writes it: "A/BC0000F8". */
static void put_position(cJSON *object, const char *name, uint64_t lsn)
{
    char text[24] = "";

    if (lsn != 0)
        snprintf(text, sizeof(text), "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
    cJSON_AddStringToObject(object, name, text);
}

void admin_standing_put_primary(cJSON *pool_json, const struct daemon *d,
                                const struct sql_pool *pool)
{
    const struct assembly *a = d->assembly;
    struct board_primary primary = board_primary(a->board, pool->base.number);
    cJSON *json = cJSON_AddObjectToObject(pool_json, "primary");
    uint64_t since_us = primary.since_ms * 1000;

    cJSON_AddStringToObject(
        json, "endpoint",
        primary.endpoint == BOARD_NONE ? "" : a->snapshot->endpoints[primary.endpoint].name);
    cJSON_AddNumberToObject(json, "since", (double)(int64_t)admin_gather_wall_s(since_us));
    cJSON_AddNumberToObject(json, "for_s", admin_gather_age_s(since_us));
    cJSON_AddNumberToObject(json, "epoch", primary.epoch);
    cJSON_AddNumberToObject(json, "timeline", primary.timeline);
    put_system_id(json, primary.system_id);
    cJSON_AddBoolToObject(json, "split", steward_is_split(d->steward, pool->base.number));
}

static void put_lag(cJSON *object, const struct standing *s)
{
    if (s->role != STANDING_ROLE_REPLICA || s->lsn == 0) {
        cJSON_AddNullToObject(object, "lag_s");
        cJSON_AddNullToObject(object, "lag_bytes");
        return;
    }
    if (s->lag_is_known)
        cJSON_AddNumberToObject(object, "lag_s", (double)s->lag_us / 1e6);
    else
        cJSON_AddNullToObject(object, "lag_s");
    cJSON_AddNumberToObject(object, "lag_bytes", (double)s->lag_bytes);
}

static void put_text(cJSON *object, const struct standing *s)
{
    struct buf text = { 0 };

    standing_tell(s, &text);
    buf_put(&text, "", 1);
    cJSON_AddStringToObject(object, "text", (const char *)buf_all(&text).at);
    buf_fini(&text);
}

void admin_standing_put(cJSON *endpoint_json, const struct daemon *d,
                        const struct endpoint_settings *endpoint)
{
    const struct standing s = steward_endpoint(d->steward, endpoint->number).standing;
    cJSON *json = cJSON_AddObjectToObject(endpoint_json, "standing");

    cJSON_AddStringToObject(json, "role", standing_role_name(s.role));
    cJSON_AddBoolToObject(json, "assumed", s.is_assumed);
    cJSON_AddStringToObject(json, "fit", standing_fit_word(s.fit));
    put_text(json, &s);
    put_position(json, "position", s.lsn);
    put_position(json, "received", s.received_lsn);
    put_lag(json, &s);
    cJSON_AddNumberToObject(json, "timeline", s.timeline);
    put_system_id(json, s.system_id);
    cJSON_AddNumberToObject(json, "version", s.version);
    cJSON_AddNumberToObject(json, "started", (double)s.started_wall_us / 1e6);
    cJSON_AddBoolToObject(json, "read_only", s.is_read_only);
    cJSON_AddBoolToObject(json, "replay_paused", s.replay_is_paused);
    if (s.measured_us != 0)
        cJSON_AddNumberToObject(json, "age_s", admin_gather_age_s(s.measured_us));
    else
        cJSON_AddNullToObject(json, "age_s");
}
