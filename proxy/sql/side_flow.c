/* A worker's side of each sql pool: made at the start, changed by a reload between two turns.
 *
 * A reload keeps what can be kept: sessions stay, and upstreams whose endpoint has the same
 * identity in the new configuration go on.  Others end when their lease does. */
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/sql/cancel_flow.h"
#include "proxy/sql/catalog_flow.h"
#include "proxy/sql/commit_flow.h"
#include "proxy/sql/console_flow.h"
#include "proxy/sql/demotion_flow.h"
#include "proxy/sql/halt_flow.h"
#include "proxy/sql/inquiry_flow.h"
#include "proxy/sql/lease_flow.h"
#include "proxy/sql/move_flow.h"
#include "proxy/sql/preset_flow.h"
#include "proxy/sql/sample_flow.h"
#include "proxy/sql/sql_flow.h"
#include "proxy/sql/sql_words.h"

static struct sql_side *side_of(struct list *link)
{
    return LIST_ITEM(link, struct sql_side, link);
}

struct sql_side *sql_side_find(struct worker *w, const char *pool)
{
    LIST_EACH (&sql_works_of(w)->sides, link)
        if (strcmp(side_of(link)->name, pool) == 0)
            return side_of(link);
    return NULL;
}

/* ---- listeners ---- */

static struct sql_gate *gate_find(struct sql_side *side, const char *name)
{
    LIST_EACH (&side->gates, link) {
        struct sql_gate *gate = LIST_ITEM(link, struct sql_gate, link);

        if (strcmp(gate->name, name) == 0)
            return gate;
    }
    return NULL;
}

static struct sql_gate *gate_new(struct sql_side *side, const char *name)
{
    struct sql_gate *gate = mem_new(sizeof(*gate));

    gate->side = side;
    gate->name = mem_text(name);
    list_append(&side->gates, &gate->link);
    return gate;
}

static void gate_free(struct sql_gate *gate)
{
    tls_context_unref(&gate->tls);
    list_remove(&gate->link);
    free(gate->name);
    free(gate);
}

static void follow_gate(struct sql_gate *gate, const struct listener_settings *listener)
{
    struct sql_side *side = gate->side;
    struct tls_context *tls = NULL;

    if (listener != NULL) {
        gate->settings = listener;
        tls = side->assembly->listener_tls[listener->number];
        tls_context_unref(&gate->tls);
        gate->tls = tls == NULL ? NULL : tls_context_ref(tls);
    }
    gate->limits = session_limits_of(&side->settings->base, &sql_flow, &side->session_slab);
}

/* Those whose listener is gone go on with what it had; their settings lie in the snapshot that the
 * side no longer keeps, so they are forgotten. */
static void follow_gates(struct sql_side *side)
{
    const struct pool_settings *settings = &side->settings->base;

    LIST_EACH (&side->gates, link)
        LIST_ITEM(link, struct sql_gate, link)->settings = NULL;
    for (uint32_t i = 0; i < settings->listener_count; i++) {
        const struct listener_settings *listener = settings->listeners[i];
        struct sql_gate *gate = gate_find(side, listener->name);

        follow_gate(gate == NULL ? gate_new(side, listener->name) : gate, listener);
    }
    LIST_EACH (&side->gates, link) {
        struct sql_gate *gate = LIST_ITEM(link, struct sql_gate, link);

        if (gate->settings == NULL)
            follow_gate(gate, NULL);
    }
}

/* ---- endpoints ---- */

static struct sql_endpoint *endpoint_new(struct sql_side *side,
                                         const struct endpoint_settings *settings)
{
    struct sql_endpoint *e = mem_new(sizeof(*e));

    e->side = side;
    list_init(&e->link);
    e->identity = mem_text(settings->identity);
    return e;
}

static void endpoint_free(struct sql_endpoint *e)
{
    LIST_EACH (&e->side->worker->sessions, link) {
        struct session *s = LIST_ITEM(link, struct session, link);

        if (s->limits->flow == &sql_flow && ((struct sql_session *)s)->read_from == e)
            sql_leave_replica((struct sql_session *)s);
    }
    sql_sampler_free(e);
    scram_keys_wipe(&e->keys);
    list_remove(&e->link);
    free(e->identity);
    free(e->name);
    free(e);
}

static struct sql_endpoint *take_endpoint(struct sql_side *side, const char *identity)
{
    for (uint32_t i = 0; i < side->endpoint_count; i++) {
        struct sql_endpoint *e = side->endpoints[i];

        if (e != NULL && strcmp(e->identity, identity) == 0) {
            side->endpoints[i] = NULL;
            return e;
        }
    }
    return NULL;
}

static bool is_open(const struct upstream *base, const struct sql_endpoint *e)
{
    const struct sql_upstream *u = (const struct sql_upstream *)base;

    return base->flow == &sql_flow && base->state != UPSTREAM_RETIRED && u->endpoint == e &&
           u->stood;
}

/* What status shows of it moves with it when its place changes. */
static void move_counts(const struct sql_endpoint *e, struct stats_row *row)
{
    uint32_t open = 0, leased = e->busy - e->waiting;

    if (e->stats == NULL || e->stats == row)
        return;
    LIST_EACH (&e->side->worker->upstreams, link)
        open += is_open(LIST_ITEM(link, struct upstream, link), e);
    counter_sub(&e->stats->upstreams_open, open);
    counter_sub(&e->stats->upstreams_leased, leased);
    counter_add(&row->upstreams_open, open);
    counter_add(&row->upstreams_leased, leased);
}

static void follow_endpoint(struct sql_endpoint *e, const struct endpoint_settings *settings)
{
    struct sql_side *side = e->side;
    struct stats_row *row =
        stats_row_of(side->name, settings->name, settings->shard, side->worker->index);

    move_counts(e, row);
    e->index = settings->shard;
    e->settings = settings;
    e->present = true;
    e->stats = row;
    e->counts = sql_counts_of(side->name, settings->name, side->worker->index);
    free(e->name);
    e->name = mem_text(settings->name);
}

static bool is_same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Returns whether there are others now, or other databases of theirs. */
static bool follow_endpoints(struct sql_side *side)
{
    const struct pool_settings *settings = &side->settings->base;
    struct sql_endpoint **endpoints =
        mem_new(settings->endpoint_count * sizeof(struct sql_endpoint *));
    bool are_others = side->endpoint_count != settings->endpoint_count;

    for (uint32_t i = 0; i < settings->endpoint_count; i++) {
        endpoints[i] = take_endpoint(side, settings->endpoints[i]->identity);
        if (endpoints[i] == NULL)
            endpoints[i] = endpoint_new(side, settings->endpoints[i]);
        if (endpoints[i]->settings == NULL || !is_same_text(endpoints[i]->settings->database_name,
                                                            settings->endpoints[i]->database_name))
            are_others = true;
        follow_endpoint(endpoints[i], settings->endpoints[i]);
    }
    for (uint32_t i = 0; i < side->endpoint_count; i++)
        if (side->endpoints[i] != NULL) {
            side->endpoints[i]->present = false;
            list_append(&side->past_endpoints, &side->endpoints[i]->link);
        }
    free(side->endpoints);
    side->endpoints = endpoints;
    side->endpoint_count = settings->endpoint_count;
    return are_others;
}

/* ---- upstreams over a reload ---- */

static bool is_of(const struct upstream *u, const struct sql_side *side)
{
    return u->flow == &sql_flow && u->state != UPSTREAM_RETIRED &&
           ((const struct sql_upstream *)u)->endpoint->side == side;
}

static void follow_upstreams(struct sql_side *side)
{
    LIST_EACH (&side->worker->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);
        struct sql_upstream *u = (struct sql_upstream *)base;

        if (!is_of(base, side))
            continue;
        if (u->endpoint->present)
            upstream_adopt(base, side->assembly, u->endpoint->settings);
        else
            sql_upstream_end(u);
    }
}

/* ---- sides ---- */

static struct sql_side *side_new(struct worker *w, const struct sql_pool *settings)
{
    struct sql_side *side = mem_new(sizeof(*side));

    side->worker = w;
    side->name = mem_text(settings->base.name);
    side->shared = sql_budget_open(side->name, "pool", "", "");
    side->session_slab.size = sizeof(struct sql_session);
    list_init(&side->gates);
    list_init(&side->past_endpoints);
    list_init(&side->accounts);
    list_init(&side->waiters);
    list_init(&side->halts);
    list_init(&side->consoles);
    list_init(&side->ledgers);
    list_init(&side->catalogs);
    list_init(&side->presets_past);
    list_init(&side->commits);
    side->stats = stats_row_of(side->name, "", 0, w->index);
    side->counts = sql_counts_of(side->name, "", w->index);
    side->minute_us = worker_now_us(w);
    side->turn.next = w->index; /* workers begin at different replicas */
    side->interned = pg_settings_pool_new(&(struct pg_settings_limits){ 0 });
    side->statements = pg_statements_new(
        &(struct pg_statements_limits){ .first_id = (uint64_t)(w->index + 1) << 48,
                                        .note_free = sql_note_free },
        side->interned);
    side->verdicts = verdicts_new(settings->verdict_cache_bytes);
    list_append(&sql_works_of(w)->sides, &side->link);
    return side;
}

/* What they are is known by the board that they have a place on. */
static void remember_endpoints(struct sql_side *side)
{
    for (uint32_t i = 0; i < side->endpoint_count; i++)
        side->endpoints[i]->may_write = sql_may_write_at(side->endpoints[i]);
}

/* Those who wait for one that was taken out look for another. */
static void leave_past_endpoints(struct sql_side *side)
{
    LIST_EACH (&side->past_endpoints, link) {
        struct sql_endpoint *e = LIST_ITEM(link, struct sql_endpoint, link);

        sql_endpoint_turn_away(e);
        sql_sampler_leave(e);
    }
}

static void follow_settings(struct sql_side *side, const struct sql_pool *settings)
{
    struct assembly *old = side->assembly; /* keeps what the old settings point to */
    bool are_others;

    side->gone = false;
    remember_endpoints(side);
    side->assembly = assembly_ref(side->worker->assembly);
    side->settings = settings;
    side->primary_known = false;
    follow_gates(side);
    are_others = follow_endpoints(side);
    LIST_EACH (&side->accounts, link)
        sql_account_follow(LIST_ITEM(link, struct sql_account, link), are_others);
    follow_upstreams(side);
    verdicts_forget_all(side->verdicts);
    side->verdict_epoch++;
    sql_inquiries_follow(side);
    sql_admission_follow(side);
    leave_past_endpoints(side);
    assembly_unref(&old);
}

static bool is_session_of(const struct session *s, const struct sql_side *side)
{
    return s->limits->flow == &sql_flow && sql_side_of((const struct sql_session *)s) == side;
}

static void pool_is_gone(struct sql_side *side)
{
    side->gone = true;
    LIST_EACH (&side->worker->sessions, link) {
        struct session *s = LIST_ITEM(link, struct session, link);

        if (is_session_of(s, side))
            session_wind_down(s, CLOSE_POOL_GONE);
    }
}

static void side_free(struct sql_side *side)
{
    sql_inquiries_free(side);
    LIST_EACH (&side->accounts, link)
        sql_account_free(LIST_ITEM(link, struct sql_account, link));
    for (uint32_t i = 0; i < side->endpoint_count; i++)
        endpoint_free(side->endpoints[i]);
    LIST_EACH (&side->past_endpoints, link)
        endpoint_free(LIST_ITEM(link, struct sql_endpoint, link));
    LIST_EACH (&side->gates, link)
        gate_free(LIST_ITEM(link, struct sql_gate, link));
    sql_halts_free(side);
    sql_presets_free(side);
    sql_ledgers_free(side);
    sql_admission_end(side);
    pg_statements_free(&side->statements);
    pg_settings_pool_free(&side->interned);
    verdicts_free(&side->verdicts);
    sql_budget_close(&side->shared);
    slab_fini(&side->session_slab);
    arena_fini(&side->arena);
    assembly_unref(&side->assembly);
    free(side->endpoints);
    free(side->name);
    list_remove(&side->link);
    free(side);
}

/* Of a pool that was taken out of the configuration: its upstreams go after its sessions. */
static void end_gone(struct sql_side *side)
{
    bool used = false;

    LIST_EACH (&side->worker->sessions, link)
        used |= is_session_of(LIST_ITEM(link, struct session, link), side);
    if (used)
        return;
    LIST_EACH (&side->worker->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);

        if (!is_of(base, side))
            continue;
        used = true;
        sql_upstream_end((struct sql_upstream *)base);
    }
    if (!used)
        side_free(side);
}

/* Endpoints of the past that nothing refers to any more. */
static void end_past(struct sql_side *side)
{
    LIST_EACH (&side->past_endpoints, link) {
        struct sql_endpoint *e = LIST_ITEM(link, struct sql_endpoint, link);

        if (e->rosters == 0 && e->upstreams == 0)
            endpoint_free(e);
    }
}

/* ---- works ---- */

static void follow(struct worker *w)
{
    const struct snapshot *snapshot = w->assembly->snapshot;

    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool_settings *pool = snapshot->pools[i];
        struct sql_side *side = sql_side_find(w, pool->name);

        if (pool->kind == POOL_SQL)
            follow_settings(side == NULL ? side_new(w, sql_pool_of(pool)) : side,
                            sql_pool_of(pool));
    }
    LIST_EACH (&sql_works_of(w)->sides, link) {
        const struct pool_settings *pool = snapshot_pool(snapshot, side_of(link)->name);

        if (pool == NULL || pool->kind != POOL_SQL)
            pool_is_gone(side_of(link));
    }
}

static const struct session_limits *limits(struct worker *w, uint32_t listener)
{
    const struct listener_settings *settings = &w->assembly->snapshot->listeners[listener];
    struct sql_side *side = sql_side_find(w, settings->pool->name);
    struct sql_gate *gate = side == NULL ? NULL : gate_find(side, settings->name);

    return gate == NULL ? NULL : &gate->limits;
}

static void tick(struct worker *w, bool housekeeping)
{
    uint64_t now_us = worker_now_us(w);

    LIST_EACH (&w->upstreams, link) {
        struct upstream *u = LIST_ITEM(link, struct upstream, link);

        if (u->flow == &sql_flow)
            sql_upstream_tick((struct sql_upstream *)u, now_us, housekeeping);
    }
    LIST_EACH (&sql_works_of(w)->sides, link) {
        struct sql_side *side = side_of(link);

        for (uint32_t i = 0; i < side->endpoint_count; i++)
            sql_endpoint_tick(side->endpoints[i], now_us);
        sql_demotion_tick(side, housekeeping);
        LIST_EACH (&side->accounts, account)
            sql_account_tick(LIST_ITEM(account, struct sql_account, link), now_us, housekeeping);
        sql_waiters_tick(side, now_us, housekeeping);
        sql_halts_tick(side, now_us, housekeeping);
        sql_consoles_tick(side, now_us);
        sql_catalogs_tick(side, now_us);
        sql_presets_tick(side, now_us);
        sql_inquiries_tick(side, now_us);
        sql_commits_tick(side, now_us);
        if (housekeeping)
            sql_tally_tick(side, now_us);
        if (housekeeping)
            end_past(side);
        if (housekeeping && side->gone)
            end_gone(side);
    }
    if (!housekeeping)
        return;
    LIST_EACH (&w->sessions, link) {
        struct session *s = LIST_ITEM(link, struct session, link);

        if (s->limits->flow == &sql_flow && s->state != SESSION_CLOSING)
            sql_session_tick((struct sql_session *)s, now_us);
    }
}

static size_t trim(struct worker *w)
{
    size_t given_back = 0;

    LIST_EACH (&sql_works_of(w)->sides, link)
        given_back += slab_trim(&side_of(link)->session_slab);
    return given_back;
}

static void begin(struct worker *w)
{
    struct sql_works *works = mem_new(sizeof(*works));

    list_init(&works->sides);
    list_init(&works->departing);
    w->works[POOL_SQL] = works;
}

static void leave(struct worker *w)
{
    (void)w;
    statement_forget_thread();
}

static void end(struct worker *w)
{
    struct sql_works *works = sql_works_of(w);

    LIST_EACH (&w->upstreams, link) {
        struct upstream *u = LIST_ITEM(link, struct upstream, link);

        if (u->flow == &sql_flow)
            sql_upstream_retire((struct sql_upstream *)u);
    }
    sql_cancel_end(w);
    worker_free_the_dead(w);
    LIST_EACH (&works->sides, link)
        side_free(side_of(link));
    free(works);
}

const struct flow_works sql_works = {
    .begin = begin,
    .follow = follow,
    .tick = tick,
    .turn_ends = sql_move_off,
    .trim = trim,
    .leave = leave,
    .end = end,
    .limits = limits,
};
