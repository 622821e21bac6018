/* See election.h. */
#include "health/election.h"

void election_init(struct election *e, uint64_t now_ms)
{
    *e = (struct election){ .primary = ELECTION_NONE, .since_ms = now_ms };
}

/* What one judgement looks at. */
struct poll {
    const struct election *election; /* as it was */
    const struct election_candidate *candidates;
    size_t count;
    uint64_t system_id;
    uint32_t timeline; /* the newest of the cluster */
};

/* ---- which cluster ---- */

static bool somebody_is_awaited(const struct poll *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->candidates[i].is_awaited)
            return true;
    return false;
}

/* The first that says so: of lines `primary`, then of primaries, then of all. */
static uint64_t first_system_id(const struct poll *p)
{
    uint64_t of_primary = 0, of_any = 0;

    for (size_t i = 0; i < p->count; i++) {
        const struct election_candidate *c = &p->candidates[i];

        if (c->system_id == 0)
            continue;
        if (c->given_as_primary)
            return c->system_id;
        if (of_primary == 0 && c->role == STANDING_ROLE_PRIMARY)
            of_primary = c->system_id;
        if (of_any == 0)
            of_any = c->system_id;
    }
    return of_primary != 0 ? of_primary : of_any;
}

/* The one that has taken the place of the cluster known so far, or that one. */
static uint64_t next_system_id(const struct poll *p)
{
    uint64_t known = p->election->system_id, next = known;

    for (size_t i = 0; i < p->count; i++) {
        const struct election_candidate *c = &p->candidates[i];

        if (!c->is_up || c->system_id == 0)
            continue;
        if (c->system_id == known)
            return known;
        if (next == known && c->given_as_primary && c->role == STANDING_ROLE_PRIMARY)
            next = c->system_id;
    }
    return next;
}

static bool is_of_cluster(const struct poll *p, const struct election_candidate *c)
{
    return c->system_id == 0 || p->system_id == 0 || c->system_id == p->system_id;
}

static uint32_t newest_timeline(const struct poll *p)
{
    uint32_t newest = 0;

    for (size_t i = 0; i < p->count; i++)
        if (is_of_cluster(p, &p->candidates[i]) && p->candidates[i].timeline > newest)
            newest = p->candidates[i].timeline;
    return newest;
}

/* ---- which primary ---- */

static bool is_of_older_timeline(const struct poll *p, const struct election_candidate *c)
{
    return c->timeline != 0 && c->timeline != p->timeline;
}

/* Is known to be the cluster's primary, or one of them. */
static bool is_eligible(const struct poll *p, const struct election_candidate *c)
{
    return c->is_up && c->role == STANDING_ROLE_PRIMARY && is_of_cluster(p, c) &&
           !is_of_older_timeline(p, c);
}

static bool may_be_assumed(const struct poll *p, const struct election_candidate *c)
{
    return c->is_up && c->role == STANDING_ROLE_UNKNOWN && !c->is_awaited && c->given_as_primary &&
           is_of_cluster(p, c);
}

/* Is `a` the better one?  Both are eligible. */
static bool is_better(const struct poll *p, uint32_t a, uint32_t b)
{
    const struct election_candidate *x = &p->candidates[a], *y = &p->candidates[b];

    if (x->timeline != y->timeline)
        return x->timeline > y->timeline;
    if ((a == p->election->primary) != (b == p->election->primary))
        return a == p->election->primary;
    if (x->given_as_primary != y->given_as_primary)
        return x->given_as_primary;
    return a < b;
}

static uint32_t elect(const struct poll *p, bool *is_split)
{
    uint32_t best = ELECTION_NONE;

    *is_split = false;
    for (uint32_t i = 0; i < p->count; i++) {
        if (!is_eligible(p, &p->candidates[i]))
            continue;
        *is_split = best != ELECTION_NONE;
        if (best == ELECTION_NONE || is_better(p, i, best))
            best = i;
    }
    return best;
}

/* Among those who cannot be asked: the one that it was, or the first. */
static uint32_t assume(const struct poll *p)
{
    uint32_t was = p->election->primary;

    if (was < p->count && may_be_assumed(p, &p->candidates[was]))
        return was;
    for (uint32_t i = 0; i < p->count; i++)
        if (may_be_assumed(p, &p->candidates[i]))
            return i;
    return ELECTION_NONE;
}

/* ---- who is what ---- */

static struct election_place place_of(const struct poll *p, uint32_t i, uint32_t primary)
{
    const struct election_candidate *c = &p->candidates[i];

    if (!is_of_cluster(p, c))
        return (struct election_place){ .fit = STANDING_OTHER_CLUSTER };
    if (i == primary)
        return (struct election_place){ .role = STANDING_ROLE_PRIMARY,
                                        .fit = STANDING_FRESH,
                                        .is_assumed = c->role == STANDING_ROLE_UNKNOWN };
    if (c->is_awaited)
        return (struct election_place){ 0 };
    switch (c->role) {
    case STANDING_ROLE_PRIMARY:
        return (struct election_place){ .fit =
                                            is_of_older_timeline(p, c) || primary != ELECTION_NONE
                                                ? STANDING_STALE_PRIMARY
                                                : STANDING_UNKNOWN };
    case STANDING_ROLE_REPLICA:
        return (struct election_place){ .role = STANDING_ROLE_REPLICA,
                                        .fit = is_of_older_timeline(p, c) ? STANDING_OTHER_TIMELINE
                                                                          : STANDING_FRESH };
    case STANDING_ROLE_UNKNOWN:
        break;
    }
    if (c->given_as_primary)
        return (struct election_place){ 0 };
    return (struct election_place){ .role = STANDING_ROLE_REPLICA, .is_assumed = true };
}

/* ---- one judgement ---- */

static unsigned settle_cluster(struct election *e, struct poll *p)
{
    unsigned events = 0;

    p->system_id = e->system_id != 0 ? next_system_id(p) : first_system_id(p);
    if (e->system_id != 0 && p->system_id != e->system_id)
        events = ELECTION_NEW_CLUSTER;
    e->system_id = p->system_id;
    return events;
}

static unsigned settle_primary(struct election *e, const struct poll *p, uint64_t now_ms)
{
    bool is_split, was_split = e->is_split;
    uint32_t primary = elect(p, &is_split), timeline = p->timeline;

    if (primary == ELECTION_NONE)
        primary = assume(p);
    else
        timeline = p->candidates[primary].timeline;
    e->is_split = is_split;
    if (primary != e->primary || (primary != ELECTION_NONE && timeline != e->timeline)) {
        e->epoch++;
        e->since_ms = now_ms;
        e->primary = primary;
        if (primary != ELECTION_NONE)
            e->first_lsn = p->candidates[primary].lsn;
        e->timeline = timeline;
        return ELECTION_CHANGED | (is_split ? ELECTION_SPLIT : 0u);
    }
    e->timeline = timeline;
    return is_split && !was_split ? ELECTION_SPLIT : ELECTION_QUIET;
}

unsigned election_judge(struct election *e, const struct election_candidate *candidates,
                        size_t count, uint64_t now_ms, struct election_place *places)
{
    struct poll p = { .election = e, .candidates = candidates, .count = count };
    unsigned events;

    /* At the start all are heard before anything is decided: whose cluster it is, and whether
     * somebody has been promoted since the configuration was written. */
    if (e->epoch == 0 && somebody_is_awaited(&p)) {
        for (uint32_t i = 0; i < count; i++)
            places[i] = (struct election_place){ 0 };
        return ELECTION_QUIET;
    }
    events = settle_cluster(e, &p);
    p.timeline = newest_timeline(&p);
    events |= settle_primary(e, &p, now_ms);
    for (uint32_t i = 0; i < count; i++)
        places[i] = place_of(&p, i, e->primary);
    return events;
}

void election_renumber(struct election *e, const uint32_t *is, size_t count, uint64_t now_ms)
{
    uint32_t now = e->primary < count ? is[e->primary] : ELECTION_NONE;

    if (e->primary == ELECTION_NONE)
        return;
    e->primary = now;
    if (now != ELECTION_NONE)
        return;
    e->epoch++;
    e->since_ms = now_ms;
}
