/* A worker's side of each memory pool: made at the start, changed by a reload between two turns.
 *
 * A reload keeps what can be kept: sessions stay, upstreams go on if their endpoint's identity is
 * among the new shards, others end when their last request is answered. */
#include "proxy/memory/memory_flow.h"
#include "proxy/memory/store_home_flow.h"

#include <stdlib.h>

#include "proxy/base/mem.h"

static struct memory_side *side_of(struct list *link)
{
    return LIST_ITEM(link, struct memory_side, link);
}

struct memory_side *memory_side_find(struct worker *w, const char *pool,
                                     const struct memory_front *front)
{
    LIST_EACH (&memory_works_of(w)->sides, link)
        if (side_of(link)->front == front && strcmp(side_of(link)->name, pool) == 0)
            return side_of(link);
    return NULL;
}

/* ---- routes ---- */

struct memory_route *memory_route_of(struct memory_side *side, uint32_t database, uint8_t version)
{
    struct memory_route *route;

    LIST_EACH (&side->routes, link) {
        route = LIST_ITEM(link, struct memory_route, link);
        if (route->database == database && route->version == version) {
            route->sessions++;
            return route;
        }
    }
    route = mem_new(sizeof(*route));
    route->database = database;
    route->version = version;
    route->sessions = 1;
    route->shared =
        mem_new(side->shard_count * side->settings->upstreams * sizeof(struct memory_upstream *));
    list_append(&side->routes, &route->link);
    return route;
}

void memory_route_leave(struct memory_side *side, struct memory_route **where)
{
    struct memory_route *route = *where;

    *where = NULL;
    if (--route->sessions == 0)
        route->idle_since_us = worker_now_us(side->worker);
}

static void end_route(struct memory_route *route, uint32_t places)
{
    for (uint32_t i = 0; i < places; i++)
        if (route->shared[i] != NULL)
            memory_upstream_end(route->shared[i]);
    list_remove(&route->link);
    free(route->shared);
    free(route);
}

static void end_idle_routes(struct memory_side *side, uint64_t now_us)
{
    uint64_t timeout_us = side->settings->base.upstream_idle_timeout_ms * 1000;

    LIST_EACH (&side->routes, link) {
        struct memory_route *route = LIST_ITEM(link, struct memory_route, link);

        if (route->sessions == 0 && timeout_us > 0 && now_us > route->idle_since_us + timeout_us)
            end_route(route, side->shard_count * side->settings->upstreams);
    }
}

/* ---- shards ---- */

static struct memory_shard *shard_new(const struct endpoint_settings *endpoint)
{
    struct memory_shard *shard = mem_new(sizeof(*shard));

    list_init(&shard->link);
    list_init(&shard->idle_leases);
    list_init(&shard->waiters);
    list_init(&shard->asked);
    memory_store_begin(shard, endpoint);
    shard->identity = mem_text(endpoint->identity);
    shard->leavers = leavers_open(shard->identity);
    return shard;
}

/* What status shows of it moves with it when its place or name changes. */
static void follow_endpoint(struct memory_side *side, struct memory_shard *shard, uint32_t index,
                            const struct endpoint_settings *endpoint)
{
    struct stats_row *row =
        stats_row_of(endpoint->pool->name, endpoint->name, endpoint->shard, side->worker->index);

    if (shard->stats != NULL && shard->stats != row) {
        counter_sub(&shard->stats->upstreams_open, shard->ready);
        counter_sub(&shard->stats->upstreams_leased, shard->leased);
        counter_add(&row->upstreams_open, shard->ready);
        counter_add(&row->upstreams_leased, shard->leased);
    }
    shard->stats = row;
    shard->index = index;
    shard->told_index = endpoint->shard;
    shard->endpoint = endpoint;
    shard->present = true;
    free(shard->name);
    shard->name = mem_text(endpoint->name);
    free(shard->pool);
    shard->pool = mem_text(endpoint->pool->name);
}

static void shard_free(struct memory_shard *shard)
{
    list_remove(&shard->link);
    memory_store_end(shard);
    leavers_close(&shard->leavers);
    free(shard->identity);
    free(shard->name);
    free(shard->pool);
    free(shard);
}

static struct memory_shard *take_shard(struct memory_shard **shards, uint32_t count,
                                       const char *identity)
{
    for (uint32_t i = 0; i < count; i++)
        if (shards[i] != NULL && strcmp(shards[i]->identity, identity) == 0) {
            struct memory_shard *shard = shards[i];

            shards[i] = NULL;
            return shard;
        }
    return NULL;
}

/* The shards of a pool, from place `first` on. */
static void take_shards_of(struct memory_side *side, const struct memory_pool *pool, uint32_t first,
                           struct memory_shard **shards)
{
    for (uint32_t i = 0; i < pool->base.endpoint_count; i++) {
        const struct endpoint_settings *endpoint = pool->base.endpoints[i];
        struct memory_shard *shard =
            take_shard(side->shards, side->shard_count, endpoint->identity);

        if (shard == NULL)
            shard = shard_new(endpoint);
        shards[first + i] = shard;
        follow_endpoint(side, shard, first + i, endpoint);
        memory_store_follow(side, shard);
    }
}

/* The shards of the new settings: the old ones where the endpoint is the same.  What is left over
 * stays for what is under way. */
static void follow_shards(struct memory_side *side, const struct memory_pool *settings)
{
    uint32_t count = memory_site_shards(&side->site);
    struct memory_shard **shards = mem_new(count * sizeof(struct memory_shard *));

    take_shards_of(side, settings, 0, shards);
    for (uint32_t i = 0; i < side->site.home_count; i++)
        take_shards_of(side, side->homes[i].pool, side->homes[i].first_shard, shards);
    for (uint32_t i = 0; i < side->shard_count; i++)
        if (side->shards[i] != NULL) {
            side->shards[i]->present = false;
            list_append(&side->past_shards, &side->shards[i]->link);
        }
    free(side->shards);
    side->shards = shards;
    side->shard_count = count;
}

/* ---- upstreams over a reload ---- */

static bool is_of(const struct upstream *u, const struct memory_side *side)
{
    return u->flow == &memory_flow && u->state != UPSTREAM_RETIRED &&
           ((const struct memory_upstream *)u)->side == side;
}

/* If its server's place in the map is another one now, its stamp must be read again. */
static bool has_same_stamp(const struct memory_upstream *u, const struct assembly *assembly)
{
    return slice_is(buf_all(&u->base.assembly->stamps[u->base.endpoint->number]),
                    buf_all(&assembly->stamps[u->shard->endpoint->number]));
}

static void follow_upstreams(struct memory_side *side, struct assembly *assembly)
{
    LIST_EACH (&side->worker->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);
        struct memory_upstream *u = (struct memory_upstream *)base;

        if (!is_of(base, side))
            continue;
        if (!u->shard->present || !has_same_stamp(u, assembly)) {
            memory_upstream_end(u);
            continue;
        }
        if (u->leased) {
            atomic_fetch_sub(&base->assembly->leased[base->endpoint->number], 1);
            atomic_fetch_add(&assembly->leased[u->shard->endpoint->number], 1);
        }
        memory_upstream_adopt(u, assembly);
    }
}

/* Puts the shared upstreams of a route where their shards stand now. */
static void follow_route(struct memory_side *side, struct memory_route *route, uint32_t old_places,
                         uint32_t old_each)
{
    uint32_t each = side->settings->upstreams;
    struct memory_upstream **shared =
        mem_new(side->shard_count * each * sizeof(struct memory_upstream *));

    for (uint32_t i = 0; i < old_places; i++) {
        struct memory_upstream *u = route->shared[i];
        uint32_t which = i % old_each;

        if (u == NULL)
            continue;
        if (u->shard->present && which < each && !u->ending)
            shared[u->shard->index * each + which] = u;
        else
            memory_upstream_end(u);
    }
    free(route->shared);
    route->shared = shared;
}

/* ---- sides ---- */

static struct memory_side *side_new(struct worker *w, const struct memory_pool *settings,
                                    const struct memory_front *front)
{
    struct memory_side *side = mem_new(sizeof(*side));

    side->worker = w;
    side->name = mem_text(settings->base.name);
    side->front = front;
    side->session_slab.size = sizeof(struct memory_session) + side->front->state_size;
    list_init(&side->routes);
    list_init(&side->past_shards);
    side->stats = stats_row_of(settings->base.name, "", 0, w->index);
    side->watch.left = side->watch.gap = 1;
    if (side->front->shared_new != NULL)
        side->site.shared = side->front->shared_new(settings);
    side->site.host = &memory_flow_host;
    list_append(&memory_works_of(w)->sides, &side->link);
    return side;
}

/* Embedded shards answer as Redis does. */
static bool translates(const struct memory_side *side)
{
    const char *protocol = side->settings->base.endpoints[0]->protocol;
    bool is_memcached = strcmp(protocol, "memcached") == 0;

    return is_memcached != (strcmp(side->front->name, "memcached") == 0);
}

/* What a session asks next may go another way than what it asked before; so it waits for that. */
static void let_sessions_wait(struct memory_side *side)
{
    LIST_EACH (&side->worker->sessions, link) {
        struct session *s = LIST_ITEM(link, struct session, link);

        if (s->limits == &side->limits && s->open_requests > 0)
            ((struct memory_session *)s)->awaits_all = true;
    }
}

static void follow_settings(struct memory_side *side, const struct memory_pool *settings)
{
    struct worker *w = side->worker;
    struct assembly *old = side->assembly; /* keeps what `was` points to */
    const struct memory_pool *was = side->settings;
    uint32_t old_each = was == NULL ? 1 : was->upstreams;
    uint32_t old_places = side->shard_count * old_each;

    side->gone = false;
    memory_classes_follow(side, w->assembly, settings);
    follow_shards(side, settings);
    side->assembly = assembly_ref(w->assembly);
    side->settings = settings;
    side->limits = session_limits_of(&settings->base, &memory_flow, &side->session_slab);
    side->window_bytes = settings->base.max_session_bytes / 2 < MEMORY_WINDOW_BYTES
                             ? settings->base.max_session_bytes / 2
                             : MEMORY_WINDOW_BYTES;
    side->site.translates = translates(side);
    follow_upstreams(side, side->assembly);
    LIST_EACH (&side->routes, link)
        follow_route(side, LIST_ITEM(link, struct memory_route, link), old_places, old_each);
    let_sessions_wait(side);
    memory_subscribers_follow(side, was);
    assembly_unref(&old);
}

/* Its sessions are told goodbye; what is left ends when they have (see end_gone). */
static void pool_is_gone(struct memory_side *side)
{
    side->gone = true;
    LIST_EACH (&side->worker->sessions, link) {
        struct session *s = LIST_ITEM(link, struct session, link);

        if (s->limits == &side->limits)
            session_wind_down(s, CLOSE_POOL_GONE);
    }
}

/* Does the pool have listeners of that protocol?  One that only classes use has nobody to speak
 * with, so any will do. */
static bool speaks(const struct pool_settings *pool, const struct memory_front *front)
{
    if (pool->listener_count == 0)
        return front == memory_front_at(0);
    for (uint32_t i = 0; i < pool->listener_count; i++)
        if (strcmp(pool->listeners[i]->protocol, front->name) == 0)
            return true;
    return false;
}

static void follow_pool(struct worker *w, const struct memory_pool *pool)
{
    const struct memory_front *front;

    for (size_t i = 0; (front = memory_front_at(i)) != NULL; i++) {
        struct memory_side *side = memory_side_find(w, pool->base.name, front);

        if (speaks(&pool->base, front))
            follow_settings(side == NULL ? side_new(w, pool, front) : side, pool);
    }
}

static void follow(struct worker *w)
{
    const struct snapshot *snapshot = w->assembly->snapshot;

    for (uint32_t i = 0; i < snapshot->pool_count; i++)
        if (snapshot->pools[i]->kind == POOL_MEMORY)
            follow_pool(w, memory_pool_of(snapshot->pools[i]));
    LIST_EACH (&memory_works_of(w)->sides, link) {
        const struct pool_settings *pool = snapshot_pool(snapshot, side_of(link)->name);

        if (pool == NULL || pool->kind != POOL_MEMORY || !speaks(pool, side_of(link)->front))
            pool_is_gone(side_of(link));
    }
}

static const struct session_limits *limits(struct worker *w, uint32_t listener)
{
    const struct listener_settings *l = &w->assembly->snapshot->listeners[listener];
    struct memory_side *side = memory_side_find(w, l->pool->name, memory_front_find(l->protocol));

    return side == NULL ? NULL : &side->limits;
}

/* ---- clock and life ---- */

static void end_routes(struct memory_side *side)
{
    LIST_EACH (&side->routes, link)
        end_route(LIST_ITEM(link, struct memory_route, link),
                  side->shard_count * side->settings->upstreams);
}

static void side_free(struct memory_side *side)
{
    memory_inquiries_forget(side);
    memory_classes_end(side);
    for (uint32_t i = 0; i < side->shard_count; i++)
        shard_free(side->shards[i]);
    LIST_EACH (&side->past_shards, link)
        shard_free(LIST_ITEM(link, struct memory_shard, link));
    if (side->site.shared != NULL)
        side->front->shared_free(side->site.shared);
    slab_fini(&side->session_slab);
    assembly_unref(&side->assembly);
    buf_fini(&side->answer);
    free(side->shards);
    free(side->name);
    list_remove(&side->link);
    free(side);
}

/* Of a pool that was taken out of the configuration: the upstreams go after the sessions, and it
 * goes itself when nothing refers to it any more. */
static void end_gone(struct memory_side *side)
{
    bool used = false;

    LIST_EACH (&side->worker->sessions, link)
        if (LIST_ITEM(link, struct session, link)->limits == &side->limits)
            return;
    end_routes(side);
    for (uint32_t i = 0; i < side->shard_count; i++)
        used |= memory_store_is_busy(side->shards[i]);
    LIST_EACH (&side->past_shards, link)
        used |= memory_store_is_busy(LIST_ITEM(link, struct memory_shard, link));
    LIST_EACH (&side->worker->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);

        if (!is_of(base, side))
            continue;
        used = true;
        memory_upstream_end((struct memory_upstream *)base);
    }
    if (!used)
        side_free(side);
}

static void tick(struct worker *w, bool housekeeping)
{
    uint64_t now_us = worker_now_us(w);

    LIST_EACH (&w->upstreams, link) {
        struct upstream *u = LIST_ITEM(link, struct upstream, link);

        if (u->flow == &memory_flow)
            memory_upstream_tick((struct memory_upstream *)u, now_us);
    }
    LIST_EACH (&memory_works_of(w)->sides, link) {
        struct memory_side *side = side_of(link);

        memory_classes_tick(side, now_us);
        for (uint32_t i = 0; i < side->shard_count; i++)
            memory_shard_tick(side, side->shards[i], now_us);
        LIST_EACH (&side->past_shards, past)
            memory_wait_tick(side, LIST_ITEM(past, struct memory_shard, link), now_us);
        if (!housekeeping)
            continue;
        end_idle_routes(side, now_us);
        if (side->gone)
            end_gone(side);
    }
}

static size_t trim(struct worker *w)
{
    size_t given_back =
        slab_trim(&memory_works_of(w)->requests) + slab_trim(&memory_works_of(w)->blocks);

    LIST_EACH (&memory_works_of(w)->sides, link)
        given_back += slab_trim(&side_of(link)->session_slab);
    return given_back;
}

static void begin(struct worker *w)
{
    struct memory_works *works = mem_new(sizeof(*works));

    works->requests.size = sizeof(struct memory_request);
    works->blocks.size = ARENA_BLOCK_BYTES;
    list_init(&works->sides);
    list_init(&works->inquiries);
    w->works[POOL_MEMORY] = works;
}

static void leave(struct worker *w)
{
    LIST_EACH (&memory_works_of(w)->sides, link) {
        struct memory_side *side = side_of(link);

        for (uint32_t i = 0; i < side->shard_count; i++)
            memory_store_leave(side, side->shards[i]);
        LIST_EACH (&side->past_shards, past)
            memory_store_leave(side, LIST_ITEM(past, struct memory_shard, link));
    }
}

static void end(struct worker *w)
{
    struct memory_works *works = memory_works_of(w);

    LIST_EACH (&works->sides, link)
        end_routes(side_of(link));
    LIST_EACH (&w->upstreams, link) {
        struct upstream *u = LIST_ITEM(link, struct upstream, link);

        if (u->flow == &memory_flow)
            memory_upstream_retire((struct memory_upstream *)u);
    }
    worker_free_the_dead(w);
    LIST_EACH (&works->sides, link)
        side_free(side_of(link));
    store_homes_end();
    slab_fini(&works->requests);
    slab_fini(&works->blocks);
    buf_fini(&works->store_reply);
    free(works);
}

const struct flow_works memory_works = {
    .begin = begin,
    .follow = follow,
    .tick = tick,
    .trim = trim,
    .leave = leave,
    .end = end,
    .limits = limits,
};
