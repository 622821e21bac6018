/* See steward_clusters.h.  The thinking is done in health/: election.h says who is what, lag.h how
 * far behind; here their memory is kept, and what they say is published and logged. */
#include "proxy/steward_clusters.h"

#include <stdlib.h>
#include <string.h>

#include "config/diff.h"
#include "health/election.h"
#include "health/follow.h"
#include "health/lag.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/mem.h"

enum { STALE_AFTER_PROBES = 3, FOLLOWS_WITHIN_PROBES = 3 };

/* One server of a pool. */
struct member {
    const struct endpoint_settings *endpoint; /* borrowed from the assembly */
    struct standing found;                    /* by its last good probe */
    uint64_t answered_us;                     /* when that one came back */
    bool is_asked;                            /* a probe has come back, good or not */
    bool is_failing;                          /* the last one failed */
    bool is_told;                             /* lag and gate have heard of `found` */
    bool is_counted;                          /* follow.h has heard of `found` */
    struct follow follow;
    uint32_t followed; /* the newest timeline that it was concluded to follow; 0: none */
    int64_t followed_start;
    struct lag lag;
    struct lag_gate gate;
    struct standing standing; /* as published */
    enum standing_fit logged;
};

struct cluster {
    const struct sql_pool *pool; /* borrowed from the assembly */
    struct election election;
    struct lag_history history;
    uint64_t history_us; /* when the primary was asked for its newest sight */
    struct member *members;
    uint32_t count;
};

struct clusters {
    struct assembly *assembly; /* counted reference; NULL at first */
    struct cluster **clusters; /* by pool number; NULL: not of SQL */
    uint32_t count;
};

/* ---- life ---- */

struct clusters *clusters_new(void)
{
    return mem_new(sizeof(struct clusters));
}

static void free_all(struct cluster **list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] != NULL)
            free(list[i]->members);
        free(list[i]);
    }
    free(list);
}

void clusters_free(struct clusters **where)
{
    struct clusters *c = *where;

    *where = NULL;
    if (c == NULL)
        return;
    free_all(c->clusters, c->count);
    assembly_unref(&c->assembly);
    free(c);
}

static struct cluster *cluster_new(const struct pool_settings *pool)
{
    struct cluster *cluster = mem_new(sizeof(*cluster));

    cluster->pool = sql_pool_of(pool);
    cluster->count = pool->endpoint_count;
    cluster->members = mem_new(cluster->count * sizeof(*cluster->members));
    election_init(&cluster->election, clock_now_us() / 1000);
    for (uint32_t i = 0; i < cluster->count; i++) {
        cluster->members[i].endpoint = pool->endpoints[i];
        cluster->members[i].is_asked = !pool->health.probe;
    }
    return cluster;
}

static struct cluster *find_by_name(const struct clusters *c, const char *name)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->clusters[i] != NULL && strcmp(c->clusters[i]->pool->base.name, name) == 0)
            return c->clusters[i];
    return NULL;
}

/* The memory of the old one goes on in `is`: of the pool, and of the members that stay. */
static void continue_cluster(struct cluster *is, const struct cluster *old, const uint32_t *was)
{
    uint32_t *moved = mem_new(old->count * sizeof(*moved));

    for (uint32_t i = 0; i < old->count; i++)
        moved[i] = ELECTION_NONE;
    for (uint32_t i = 0; i < is->count; i++) {
        const struct endpoint_settings *e = is->members[i].endpoint;

        for (uint32_t k = 0; k < old->count; k++) {
            if (was[e->number] != old->members[k].endpoint->number)
                continue;
            moved[k] = i;
            if (!e->pool->health.probe)
                continue; /* what was found would never be looked at again */
            is->members[i] = old->members[k];
            is->members[i].endpoint = e;
        }
    }
    is->election = old->election;
    is->history = old->history;
    is->history_us = old->history_us;
    election_renumber(&is->election, moved, old->count, clock_now_us() / 1000);
    free(moved);
}

void clusters_follow(struct clusters *c, struct assembly *next, const uint32_t *was)
{
    const struct snapshot *s = next->snapshot;
    struct cluster **list = mem_new(s->pool_count * sizeof(struct cluster *));

    for (uint32_t i = 0; i < s->pool_count; i++) {
        const struct cluster *old = find_by_name(c, s->pools[i]->name);

        if (s->pools[i]->kind != POOL_SQL)
            continue;
        list[i] = cluster_new(s->pools[i]);
        if (was != NULL && old != NULL)
            continue_cluster(list[i], old, was);
    }
    free_all(c->clusters, c->count);
    c->clusters = list;
    c->count = s->pool_count;
    assembly_unref(&c->assembly);
    c->assembly = assembly_ref(next);
    for (uint32_t i = 0; i < c->count; i++)
        clusters_judge(c, i);
}

/* ---- news ---- */

void clusters_probed(struct clusters *c, uint32_t endpoint, const struct probe_outcome *outcome)
{
    const struct endpoint_settings *e = &c->assembly->snapshot->endpoints[endpoint];
    struct cluster *cluster = c->clusters[e->pool->number];
    struct member *m;

    if (cluster == NULL)
        return;
    m = &cluster->members[e->shard];
    m->is_asked = true;
    m->is_failing = reason_is_failure(outcome->reason);
    if (outcome->standing.measured_us == m->found.measured_us)
        return; /* it did not tell */
    m->found = outcome->standing;
    m->answered_us = outcome->standing.measured_us + outcome->latency_us;
    m->is_told = m->is_counted = false;
}

/* ---- the log ---- */

static const char *name_of(const struct cluster *c, uint32_t member)
{
    return member == ELECTION_NONE ? "" : c->members[member].endpoint->name;
}

static void log_primary(const struct cluster *c, uint32_t was)
{
    const struct election *e = &c->election;
    const char *pool = c->pool->base.name;

    if (e->primary == ELECTION_NONE)
        log_event(LOG_WARN, "no primary", log_text("pool", pool), log_text("was", name_of(c, was)),
                  log_number("timeline", e->timeline));
    else
        log_event(LOG_WARN, "primary changed", log_text("endpoint", name_of(c, e->primary)),
                  log_text("pool", pool), log_text("was", name_of(c, was)),
                  log_number("timeline", e->timeline),
                  log_bool("assumed", c->members[e->primary].standing.is_assumed));
}

static void log_events(const struct cluster *c, unsigned events, uint32_t was)
{
    const char *pool = c->pool->base.name;

    if (events & ELECTION_NEW_CLUSTER)
        log_event(LOG_WARN, "another cluster is the pool's from now on", log_text("pool", pool),
                  log_number("system_id", c->election.system_id));
    if (events & ELECTION_CHANGED)
        log_primary(c, was);
    if (events & ELECTION_SPLIT)
        log_event(LOG_ERROR, "more than one server takes writes", log_text("pool", pool),
                  log_text("used", name_of(c, c->election.primary)),
                  log_number("timeline", c->election.timeline));
}

/* Of its place in the cluster; that it became known, or is a replica as any other, is no news. */
static void log_standing(struct member *m)
{
    const struct standing *s = &m->standing;
    bool was_usual = m->logged == STANDING_UNKNOWN || m->logged == STANDING_FRESH;
    bool is_usual = s->fit == STANDING_UNKNOWN || s->fit == STANDING_FRESH;
    struct buf text = { 0 };

    if (s->fit == m->logged)
        return;
    m->logged = s->fit;
    if (was_usual && is_usual)
        return;
    standing_tell(s, &text);
    log_event(is_usual ? LOG_INFO : LOG_WARN, "standing changed",
              log_text("endpoint", m->endpoint->name), log_text("pool", m->endpoint->pool->name),
              log_text("standing", standing_fit_word(s->fit)),
              log_text("role", standing_role_name(s->role)), log_slice("text", buf_all(&text)));
    buf_fini(&text);
}

/* ---- judging ---- */

static bool has_stale_primary(const struct cluster *c)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->members[i].standing.fit == STANDING_STALE_PRIMARY && !c->members[i].is_failing)
            return true;
    return false;
}

/* Of a replica that says it is on an older timeline, and may be wrong: is it the primary's? */
static bool follows_primary(const struct cluster *c, struct member *m)
{
    const struct election *e = &c->election;
    const struct health_settings *h = &m->endpoint->pool->health;
    struct lag lag = lag_of(&c->history, m->found.lsn, m->answered_us);
    struct follow_sight sight = {
        .is_new = !m->is_counted,
        .epoch = e->epoch,
        .receiver_pid = m->found.receiver_pid,
        .is_alone = !has_stale_primary(c),
        .moves_along = m->found.lsn >= e->first_lsn && lag.is_known &&
                       m->found.lsn <= lag_history_newest(&c->history) &&
                       lag.us <= FOLLOWS_WITHIN_PROBES * h->interval_ms * 1000,
    };

    m->is_counted = true;
    return follow_judge(&m->follow, &sight);
}

/* What was concluded holds for as long as that server runs: there is no way back. */
static uint32_t timeline_of(const struct cluster *c, struct member *m)
{
    const struct election *e = &c->election;

    if (m->followed_start != m->found.started_wall_us)
        m->followed = 0;
    if (m->found.timeline_may_be_newer && m->found.timeline < e->timeline &&
        m->followed < e->timeline && e->primary != ELECTION_NONE &&
        m->found.system_id == e->system_id && follows_primary(c, m)) {
        m->followed = e->timeline;
        m->followed_start = m->found.started_wall_us;
    }
    return m->followed > m->found.timeline ? m->followed : m->found.timeline;
}

static struct election_candidate candidate_of(const struct cluster *c, struct member *m,
                                              const struct board *board)
{
    enum verdict_state state = board_get(board, m->endpoint->number).state;

    return (struct election_candidate){
        .given_as_primary = m->endpoint->role == ENDPOINT_PRIMARY,
        .is_awaited = !m->is_asked,
        .is_up = state == VERDICT_UP || state == VERDICT_HALF_OPEN,
        .role = m->found.role,
        .timeline = timeline_of(c, m),
        .system_id = m->found.system_id,
        .lsn = m->found.lsn,
    };
}

/* Returns how many events there are. */
static unsigned elect(struct cluster *c, const struct board *board, uint64_t now_ms)
{
    struct election_candidate *candidates = mem_new(c->count * sizeof(*candidates));
    struct election_place *places = mem_new(c->count * sizeof(*places));
    unsigned events;

    for (uint32_t i = 0; i < c->count; i++)
        candidates[i] = candidate_of(c, &c->members[i], board);
    events = election_judge(&c->election, candidates, c->count, now_ms, places);
    for (uint32_t i = 0; i < c->count; i++) {
        struct member *m = &c->members[i];

        m->standing = m->found;
        m->standing.timeline = candidates[i].timeline;
        m->standing.role = places[i].role;
        m->standing.fit = places[i].fit;
        m->standing.is_assumed = places[i].is_assumed;
    }
    free(candidates);
    free(places);
    return events;
}

/* What the primary has told since it became so is the measure for all. */
static void note_primary(struct cluster *c, unsigned events)
{
    const struct member *primary;

    if (c->election.primary == ELECTION_NONE)
        return;
    if (events & ELECTION_CHANGED)
        lag_history_reset(&c->history);
    primary = &c->members[c->election.primary];
    if (primary->found.lsn == 0 || primary->found.measured_us == c->history_us)
        return;
    c->history_us = primary->found.measured_us;
    lag_history_add(&c->history, primary->found.lsn, primary->found.measured_us);
}

static bool is_out_of_date(const struct member *m, uint64_t now_us)
{
    const struct health_settings *h = &m->endpoint->pool->health;
    uint64_t most_us = STALE_AFTER_PROBES * (h->interval_ms + h->timeout_ms) * 1000;

    return now_us > m->found.measured_us && now_us - m->found.measured_us > most_us;
}

/* Of a replica that is well otherwise.  Each sight of it is judged once, or again as long as it
 * cannot be. */
static void judge_lag(const struct cluster *c, struct member *m, uint64_t now_us)
{
    struct lag_limits limits = { .most_us = c->pool->max_lag_ms * 1000,
                                 .most_bytes = c->pool->max_lag_bytes };
    struct standing *s = &m->standing;
    bool can_be_judged = m->lag.is_known;

    if (m->found.lsn != 0 && (!m->is_told || !m->lag.is_known)) {
        m->lag = lag_of(&c->history, m->found.lsn, m->answered_us);
        can_be_judged = m->lag.is_known || limits.most_us == 0 || m->lag.us > limits.most_us;
        if (can_be_judged)
            lag_gate_judge(&m->gate, &limits, &m->lag);
        m->is_told = true;
    }
    s->lag_is_known = m->lag.is_known;
    s->lag_us = m->lag.us;
    s->lag_bytes = m->lag.bytes;
    if (!can_be_judged || is_out_of_date(m, now_us))
        s->fit = STANDING_UNKNOWN;
    else
        s->fit = m->gate.is_open ? STANDING_FRESH : STANDING_LAGGING;
}

static void publish_primary(const struct cluster *c, struct board *board)
{
    const struct election *e = &c->election;
    struct board_primary primary = { .epoch = e->epoch,
                                     .endpoint = BOARD_NONE,
                                     .since_ms = e->since_ms,
                                     .system_id = e->system_id,
                                     .timeline = e->timeline,
                                     .first_lsn = e->first_lsn };

    if (e->primary != ELECTION_NONE)
        primary.endpoint = c->members[e->primary].endpoint->number;
    board_put_primary(board, c->pool->base.number, &primary);
}

/* A new primary is published last: whoever sees it sees what the others are beside it. */
void clusters_judge(struct clusters *all, uint32_t pool)
{
    struct cluster *c = all->clusters[pool];
    struct board *board = all->assembly->board;
    uint64_t now_us = clock_now_us();
    unsigned events;
    uint32_t was;

    if (c == NULL)
        return;
    was = c->election.primary;
    events = elect(c, board, now_us / 1000);
    note_primary(c, events);
    for (uint32_t i = 0; i < c->count; i++) {
        struct member *m = &c->members[i];

        if (m->standing.role == STANDING_ROLE_REPLICA && m->standing.fit == STANDING_FRESH)
            judge_lag(c, m, now_us);
        board_put_standing(board, m->endpoint->number, &m->standing);
    }
    publish_primary(c, board);
    log_events(c, events, was);
    for (uint32_t i = 0; i < c->count; i++)
        log_standing(&c->members[i]);
}

/* ---- questions ---- */

/* While there is no primary, or it does not answer, another may be promoted at any time. */
bool clusters_is_unsettled(const struct clusters *all, uint32_t endpoint)
{
    const struct endpoint_settings *e = &all->assembly->snapshot->endpoints[endpoint];
    const struct cluster *c = all->clusters[e->pool->number];

    if (c == NULL)
        return false;
    if (c->election.primary == ELECTION_NONE)
        return true;
    return c->members[c->election.primary].is_failing && c->election.primary != e->shard;
}

bool clusters_is_split(const struct clusters *all, uint32_t pool)
{
    return all->clusters[pool] != NULL && all->clusters[pool]->election.is_split;
}
