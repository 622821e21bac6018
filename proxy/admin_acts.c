/* See admin_acts.h. */
#include "proxy/admin_acts.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#include "proxy/base/log.h"
#include "proxy/daemon.h"
#include "proxy/steward.h"

enum { OK = 200, BAD_REQUEST = 400, NOT_FOUND = 404, CONFLICT = 409 };

static void print(cJSON *json, struct buf *out)
{
    char *text = cJSON_PrintUnformatted(json);

    buf_text(out, text);
    buf_text(out, "\n");
    cJSON_free(text);
    cJSON_Delete(json);
}

int admin_acts_error(int status, struct slice text, struct buf *out)
{
    cJSON *json = cJSON_CreateObject();
    struct buf copy = { 0 };

    buf_slice(&copy, text);
    buf_put(&copy, "", 1);
    cJSON_AddStringToObject(json, "error", (const char *)copy.at);
    print(json, out);
    buf_fini(&copy);
    return status;
}

/* ---- which endpoint is meant ---- */

/* What was asked for, from the query or the body. */
struct wish {
    const char *pool, *endpoint; /* NULL: not said */
    bool has_shard;
    uint64_t shard;
};

static bool read_text(const cJSON *json, const char *name, const char **value, struct buf *why)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

    if (item == NULL)
        return true;
    if (!cJSON_IsString(item)) {
        buf_format(why, "%s must be a text", name);
        return false;
    }
    *value = item->valuestring;
    return true;
}

static bool read_body(const cJSON *json, struct wish *wish, struct buf *why)
{
    const cJSON *shard = cJSON_GetObjectItemCaseSensitive(json, "shard");

    if (!cJSON_IsObject(json)) {
        buf_text(why, "the body must be a JSON object such as {\"pool\": \"main\", \"shard\": 0}");
        return false;
    }
    if (!read_text(json, "pool", &wish->pool, why) ||
        !read_text(json, "endpoint", &wish->endpoint, why))
        return false;
    if (shard == NULL)
        return true;
    if (!cJSON_IsNumber(shard) || shard->valuedouble < 0 || shard->valuedouble > UINT32_MAX ||
        shard->valuedouble != (double)(uint64_t)shard->valuedouble) {
        buf_text(why, "shard must be an index: 0, 1, ...");
        return false;
    }
    wish->has_shard = true;
    wish->shard = (uint64_t)shard->valuedouble;
    return true;
}

static bool read_query(const struct admin_words *words, struct wish *wish, struct buf *why)
{
    if (words->pool != NULL)
        wish->pool = words->pool;
    if (words->endpoint != NULL)
        wish->endpoint = words->endpoint;
    if (words->shard == NULL)
        return true;
    wish->has_shard = slice_to_u64(slice_text(words->shard), &wish->shard);
    if (!wish->has_shard)
        buf_format(why, "shard must be an index: 0, 1, ..., not \"%s\"", words->shard);
    return wish->has_shard;
}

static void list_pools(const struct snapshot *s, struct buf *why)
{
    for (uint32_t i = 0; i < s->pool_count; i++)
        buf_format(why, "%s%s", i == 0 ? "" : ", ", s->pools[i]->name);
}

static const struct endpoint_settings *find_by_name(const struct snapshot *s,
                                                    const struct wish *wish, struct buf *why)
{
    const struct endpoint_settings *found = NULL;

    for (uint32_t i = 0; i < s->endpoint_count; i++) {
        const struct endpoint_settings *e = &s->endpoints[i];

        if (strcmp(e->name, wish->endpoint) != 0 ||
            (wish->pool != NULL && strcmp(e->pool->name, wish->pool) != 0))
            continue;
        if (found != NULL) {
            buf_format(why, "%s is an endpoint of the pools %s and %s: say which, with pool=",
                       wish->endpoint, found->pool->name, e->pool->name);
            return NULL;
        }
        found = e;
    }
    if (found == NULL)
        buf_format(why, "there is no endpoint \"%s\"", wish->endpoint);
    return found;
}

static const struct endpoint_settings *find(const struct snapshot *s, const struct wish *wish,
                                            struct buf *why)
{
    const struct pool_settings *pool = wish->pool == NULL ? NULL : snapshot_pool(s, wish->pool);

    if (wish->pool != NULL && pool == NULL) {
        buf_format(why, "there is no pool \"%s\"; pools: ", wish->pool);
        list_pools(s, why);
        return NULL;
    }
    if (wish->endpoint != NULL)
        return find_by_name(s, wish, why);
    if (wish->shard >= pool->endpoint_count) {
        buf_format(why, "pool %s has the %ss 0 to %u", pool->name, pool_kind_endpoint(pool->kind),
                   pool->endpoint_count - 1);
        return NULL;
    }
    return pool->endpoints[wish->shard];
}

static int drain(struct daemon *d, const struct wish *wish, bool draining, struct buf *out)
{
    const struct endpoint_settings *e;
    struct buf why = { 0 };
    int status = OK;
    bool changed;
    cJSON *json;

    if (wish->endpoint == NULL && (wish->pool == NULL || !wish->has_shard))
        return admin_acts_error(
            BAD_REQUEST, slice_text("say which: pool=NAME and shard=INDEX, or endpoint=NAME"), out);
    e = find(d->assembly->snapshot, wish, &why);
    if (e == NULL) {
        status = admin_acts_error(NOT_FOUND, buf_all(&why), out);
        buf_fini(&why);
        return status;
    }
    changed = steward_drain(d->steward, e->number, draining);
    json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "pool", e->pool->name);
    cJSON_AddNumberToObject(json, "shard", e->shard);
    cJSON_AddStringToObject(json, "endpoint", e->name);
    cJSON_AddBoolToObject(json, "drained", draining);
    cJSON_AddBoolToObject(json, "changed", changed);
    cJSON_AddStringToObject(
        json, "state", judge_state_name(steward_endpoint(d->steward, e->number).verdict.state));
    print(json, out);
    return status;
}

int admin_acts_drain(struct daemon *d, const struct admin_words *words, bool draining,
                     struct buf *out)
{
    struct wish wish = { 0 };
    struct buf why = { 0 };
    cJSON *body = NULL;
    bool good = true;
    int status;

    if (words->body.len > 0) {
        body = cJSON_ParseWithLength((const char *)words->body.at, words->body.len);
        good = read_body(body, &wish, &why);
    }
    good = good && read_query(words, &wish, &why);
    status =
        good ? drain(d, &wish, draining, out) : admin_acts_error(BAD_REQUEST, buf_all(&why), out);
    cJSON_Delete(body);
    buf_fini(&why);
    return status;
}

int admin_acts_reload(struct daemon *d, struct buf *out)
{
    struct buf why = { 0 };
    cJSON *json;
    int status = OK;

    if (!daemon_reload(d, &why)) {
        status = admin_acts_error(CONFLICT, buf_all(&why), out);
    } else {
        json = cJSON_CreateObject();
        cJSON_AddBoolToObject(json, "reloaded", true);
        cJSON_AddNumberToObject(json, "generation", (double)d->assembly->snapshot->generation);
        print(json, out);
    }
    buf_fini(&why);
    return status;
}
