/* A worker's side of each blob pool: made at the start, changed by a reload between two turns.
 *
 * A reload keeps what can be kept: sessions stay, and shards that are the same server or folder in
 * the new configuration go on with their connections.  Requests under way go on with what they
 * began with. */
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/blob/blob_flow.h"
#include "proxy/wire/sha256_whole.h"
#include "shard/map.h"
#include "shard/stamp.h"

static struct blob_side *side_at(struct list *link)
{
    return LIST_ITEM(link, struct blob_side, link);
}

static struct blob_side *blob_side_find(struct worker *w, const char *pool)
{
    LIST_EACH (&blob_works_of(w)->sides, link)
        if (strcmp(side_at(link)->name, pool) == 0)
            return side_at(link);
    return NULL;
}

struct blob_shard *blob_shard_of(struct blob_side *side, struct slice key)
{
    const struct shard_map *map = side->assembly->maps[side->settings->base.number];

    return side->shards[shard_map_find(map, key).shard];
}

/* ---- listeners ---- */

static struct blob_gate *gate_find(struct blob_side *side, const char *name)
{
    LIST_EACH (&side->gates, link) {
        struct blob_gate *gate = LIST_ITEM(link, struct blob_gate, link);

        if (strcmp(gate->name, name) == 0)
            return gate;
    }
    return NULL;
}

/* Those whose listener is gone go on with what it had. */
static void follow_gates(struct blob_side *side)
{
    const struct pool_settings *settings = &side->settings->base;

    LIST_EACH (&side->gates, link)
        LIST_ITEM(link, struct blob_gate, link)->settings = NULL;
    for (uint32_t i = 0; i < settings->listener_count; i++) {
        const struct listener_settings *listener = settings->listeners[i];
        struct blob_gate *gate = gate_find(side, listener->name);

        if (gate == NULL) {
            gate = mem_new(sizeof(*gate));
            gate->side = side;
            gate->name = mem_text(listener->name);
            list_append(&side->gates, &gate->link);
        }
        gate->settings = listener;
    }
    LIST_EACH (&side->gates, link)
        LIST_ITEM(link, struct blob_gate, link)->limits =
            session_limits_of(settings, &blob_flow, &side->session_slab);
}

/* ---- shards ---- */

static const struct blob_back *back_of(const struct endpoint_settings *settings)
{
    return settings->store.folder != NULL ? &blob_back_folder : &blob_back_s3;
}

static struct blob_shard *shard_new(struct blob_side *side,
                                    const struct endpoint_settings *settings)
{
    struct blob_shard *shard = mem_new(sizeof(*shard));

    shard->side = side;
    shard->back = back_of(settings);
    shard->identity = mem_text(settings->identity);
    list_init(&shard->link);
    list_init(&shard->calls);
    list_init(&shard->stamps);
    return shard;
}

static void shard_free(struct blob_shard *shard)
{
    blob_stamps_forget(shard);
    shard->back->close(shard);
    list_remove(&shard->link);
    free(shard->identity);
    free(shard->name);
    free(shard);
}

static struct blob_shard *take_shard(struct blob_side *side, const char *identity)
{
    for (uint32_t i = 0; i < side->shard_count; i++) {
        struct blob_shard *shard = side->shards[i];

        if (shard != NULL && strcmp(shard->identity, identity) == 0) {
            side->shards[i] = NULL;
            return shard;
        }
    }
    return NULL;
}

/* What status shows of it moves with it when its place changes. */
static void move_counts(const struct blob_shard *shard, struct stats_row *row)
{
    if (shard->stats == NULL || shard->stats == row)
        return;
    counter_sub(&shard->stats->upstreams_open, shard->upstream_count);
    counter_sub(&shard->stats->requests_open, shard->call_count);
    counter_add(&row->upstreams_open, shard->upstream_count);
    counter_add(&row->requests_open, shard->call_count);
}

static void follow_shard(struct blob_shard *shard, const struct endpoint_settings *settings)
{
    struct blob_side *side = shard->side;
    struct stats_row *row =
        stats_row_of(side->name, settings->name, settings->shard, side->worker->index);

    move_counts(shard, row);
    shard->index = settings->shard;
    shard->settings = settings;
    shard->present = true;
    shard->stats = row;
    shard->counts = blob_counts_shard(side->name, settings->name, settings->shard);
    free(shard->name);
    shard->name = mem_text(settings->name);
    blob_stamps_forget(shard); /* its place in the map may be another */
    shard->back->open(shard);
}

static void follow_shards(struct blob_side *side)
{
    const struct pool_settings *settings = &side->settings->base;
    struct blob_shard **shards = mem_new(settings->endpoint_count * sizeof(struct blob_shard *));

    side->has_folders = false;
    for (uint32_t i = 0; i < settings->endpoint_count; i++) {
        shards[i] = take_shard(side, settings->endpoints[i]->identity);
        if (shards[i] == NULL)
            shards[i] = shard_new(side, settings->endpoints[i]);
        follow_shard(shards[i], settings->endpoints[i]);
        side->has_folders |= shards[i]->back == &blob_back_folder;
    }
    for (uint32_t i = 0; i < side->shard_count; i++)
        if (side->shards[i] != NULL) {
            side->shards[i]->present = false;
            side->shards[i]->past_since_us = worker_now_us(side->worker);
            list_append(&side->past_shards, &side->shards[i]->link);
        }
    free(side->shards);
    side->shards = shards;
    side->shard_count = settings->endpoint_count;
}

/* ---- sides ---- */

static struct blob_side *side_new(struct worker *w, const struct blob_pool *settings)
{
    struct blob_side *side = mem_new(sizeof(*side));

    side->worker = w;
    side->name = mem_text(settings->base.name);
    side->session_slab.size = sizeof(struct blob_session);
    side->request_slab.size = sizeof(struct blob_request);
    side->arena_slab.size = ARENA_BLOCK_BYTES;
    list_init(&side->gates);
    list_init(&side->past_shards);
    list_init(&side->due);
    list_init(&side->short_of);
    side->stats = stats_row_of(side->name, "", 0, w->index);
    side->counts = blob_counts_pool(side->name);
    side->log_fd = -1;
    list_append(&blob_works_of(w)->sides, &side->link);
    return side;
}

static void follow_settings(struct blob_side *side, const struct blob_pool *settings)
{
    struct assembly *old = side->assembly; /* keeps what the old settings point to */

    side->gone = false;
    side->assembly = assembly_ref(side->worker->assembly);
    side->settings = settings;
    follow_gates(side);
    follow_shards(side);
    blob_log_follow(side);
    assembly_unref(&old);
}

static bool is_session_of(const struct session *s, const struct blob_side *side)
{
    return s->limits->flow == &blob_flow && blob_side_of((const struct blob_session *)s) == side;
}

static void pool_is_gone(struct blob_side *side)
{
    side->gone = true;
    LIST_EACH (&side->worker->sessions, link) {
        struct session *s = LIST_ITEM(link, struct session, link);

        if (is_session_of(s, side))
            session_wind_down(s, CLOSE_POOL_GONE);
    }
}

static void side_free(struct blob_side *side)
{
    for (uint32_t i = 0; i < side->shard_count; i++)
        shard_free(side->shards[i]);
    LIST_EACH (&side->past_shards, link)
        shard_free(LIST_ITEM(link, struct blob_shard, link));
    LIST_EACH (&side->gates, link) {
        struct blob_gate *gate = LIST_ITEM(link, struct blob_gate, link);

        list_remove(link);
        free(gate->name);
        free(gate);
    }
    blob_log_end(side);
    slab_fini(&side->session_slab);
    slab_fini(&side->request_slab);
    slab_fini(&side->arena_slab);
    assembly_unref(&side->assembly);
    list_remove(&side->link);
    free(side->shards);
    free(side->name);
    free(side);
}

/* Of a pool that was taken out of the configuration: it goes after its sessions. */
static void end_gone(struct blob_side *side)
{
    LIST_EACH (&side->worker->sessions, link)
        if (is_session_of(LIST_ITEM(link, struct session, link), side))
            return;
    side_free(side);
}

/* When the oldest request under way began; now, if there is none. */
static uint64_t oldest_us(const struct blob_side *side)
{
    uint64_t oldest = worker_now_us(side->worker);

    LIST_EACH (&side->worker->sessions, link) {
        const struct session *s = LIST_ITEM(link, struct session, link);
        const struct blob_request *r = is_session_of(s, side) && s->state != SESSION_CLOSING
                                           ? ((const struct blob_session *)s)->request
                                           : NULL;

        if (r != NULL && r->began_us < oldest)
            oldest = r->began_us;
    }
    return oldest;
}

/* A request goes on with the shards that there were when it began. */
static void end_past(struct blob_side *side)
{
    uint64_t oldest = list_is_empty(&side->past_shards) ? 0 : oldest_us(side);

    LIST_EACH (&side->past_shards, link) {
        struct blob_shard *shard = LIST_ITEM(link, struct blob_shard, link);

        if (shard->call_count == 0 && oldest > shard->past_since_us)
            shard_free(shard);
    }
}

/* ---- works ---- */

static void follow(struct worker *w)
{
    const struct snapshot *snapshot = w->assembly->snapshot;

    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool_settings *pool = snapshot->pools[i];
        struct blob_side *side = blob_side_find(w, pool->name);

        if (pool->kind == POOL_BLOB)
            follow_settings(side == NULL ? side_new(w, blob_pool_of(pool)) : side,
                            blob_pool_of(pool));
    }
    LIST_EACH (&blob_works_of(w)->sides, link) {
        const struct pool_settings *pool = snapshot_pool(snapshot, side_at(link)->name);

        if (pool == NULL || pool->kind != POOL_BLOB)
            pool_is_gone(side_at(link));
    }
}

static const struct session_limits *limits(struct worker *w, uint32_t listener)
{
    const struct listener_settings *settings = &w->assembly->snapshot->listeners[listener];
    struct blob_side *side = blob_side_find(w, settings->pool->name);
    struct blob_gate *gate = side == NULL ? NULL : gate_find(side, settings->name);

    return gate == NULL ? NULL : &gate->limits;
}

static void tick(struct worker *w, bool housekeeping)
{
    uint64_t now_us = worker_now_us(w);

    LIST_EACH (&blob_works_of(w)->sides, link) {
        struct blob_side *side = side_at(link);

        blob_store_tick(side, now_us);
        if (housekeeping)
            end_past(side);
        if (housekeeping && side->gone)
            end_gone(side);
    }
    blob_bodies_go_on(w);
    if (!housekeeping)
        return;
    LIST_EACH (&w->sessions, link) {
        struct session *s = LIST_ITEM(link, struct session, link);

        if (s->limits->flow == &blob_flow && s->state != SESSION_CLOSING)
            blob_session_tick((struct blob_session *)s, now_us);
    }
}

static void turn_ends(struct worker *w)
{
    LIST_EACH (&blob_works_of(w)->sides, link) {
        blob_store_turn_ends(side_at(link));
        blob_log_write(side_at(link));
    }
}

static size_t trim_list_room(struct blob_works *works)
{
    size_t given_back = 0;

    if (!works->list_room_in_use) {
        given_back = works->list_room.cap;
        buf_fini(&works->list_room);
    }
    works->list_room_in_use = false;
    return given_back;
}

static size_t trim(struct worker *w)
{
    size_t given_back =
        sha256_pair_trim(&blob_works_of(w)->pair) + trim_list_room(blob_works_of(w));

    LIST_EACH (&blob_works_of(w)->sides, link) {
        given_back += slab_trim(&side_at(link)->session_slab);
        given_back += slab_trim(&side_at(link)->request_slab);
        given_back += slab_trim(&side_at(link)->arena_slab);
    }
    return given_back;
}

static void begin(struct worker *w)
{
    struct blob_works *works = mem_new(sizeof(*works));

    list_init(&works->sides);
    works->keys = sigv4_keys_new();
    sha256_pair_init(&works->pair, sha256_whole_is_native());
    w->works[POOL_BLOB] = works;
}

static void end(struct worker *w)
{
    struct blob_works *works = blob_works_of(w);

    LIST_EACH (&works->sides, link)
        side_free(side_at(link));
    worker_free_the_dead(w);
    sigv4_keys_free(&works->keys);
    sigv4_scratch_fini(&works->scratch);
    sha256_pair_fini(&works->pair);
    buf_fini(&works->head);
    buf_fini(&works->list_room);
    buf_fini(&works->now.lines);
    free(works);
}

const struct flow_works blob_works = {
    .begin = begin,
    .follow = follow,
    .tick = tick,
    .turn_ends = turn_ends,
    .trim = trim,
    .end = end,
    .limits = limits,
};
