/* See verdicts.h.  Sets of entries that share a place, as in a processor's cache: a key has one set
 * to be in, and in a full set the entry that was used longest ago gives way.  The tags of a set lie
 * together, so that a look-up touches one line of them and the entry. */
#include "replica/verdicts.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"

enum { WAYS = 8 };

struct entry {
    struct verdict_key key;
    struct statement_verdict verdict;
    uint64_t hits;
    uint64_t used; /* the table's tick when it was found or kept last */
    uint64_t overruled_until_ms;
    uint32_t overruled;
    uint32_t epoch; /* 0: empty */
    char sqlstate[6];
};

struct verdicts {
    size_t sets; /* a power of two */
    uint32_t epoch;
    uint64_t tick;
    struct verdicts_counts counts;
    struct statement_verdict shown; /* what find() gave if a server overruled it */
    uint32_t (*tags)[WAYS];         /* owned */
    struct entry (*entries)[WAYS];  /* owned */
};

static uint64_t mix(const struct verdict_key *key)
{
    return key->low ^ (key->high + ((uint64_t)key->path << 32 | key->role)) * 0xff51afd7ed558ccdULL;
}

static size_t set_of(const struct verdicts *t, uint64_t mixed)
{
    return (size_t)(mixed >> 32) & (t->sets - 1);
}

static bool is_key(const struct verdict_key *a, const struct verdict_key *b)
{
    return a->low == b->low && a->high == b->high && a->path == b->path && a->role == b->role;
}

struct verdicts *verdicts_new(size_t max_bytes)
{
    struct verdicts *t = mem_new(sizeof(*t));
    size_t of_set = sizeof(*t->tags) + sizeof(*t->entries);

    t->sets = 1;
    while (t->sets * 2 * of_set <= max_bytes)
        t->sets *= 2;
    t->epoch = 1;
    t->tags = mem_new(t->sets * sizeof(*t->tags));
    t->entries = mem_new(t->sets * sizeof(*t->entries));
    t->counts.bytes = t->sets * of_set;
    return t;
}

void verdicts_free(struct verdicts **table)
{
    if (*table == NULL)
        return;
    free((*table)->tags);
    free((*table)->entries);
    free(*table);
    *table = NULL;
}

static struct entry *find(const struct verdicts *t, const struct verdict_key *key)
{
    uint64_t mixed = mix(key);
    size_t set = set_of(t, mixed);

    for (size_t way = 0; way < WAYS; way++) {
        struct entry *e = &t->entries[set][way];

        if (t->tags[set][way] == (uint32_t)mixed && e->epoch == t->epoch && is_key(&e->key, key))
            return e;
    }
    return NULL;
}

static const struct statement_verdict *overruled(struct verdicts *t, const struct entry *e)
{
    t->shown = e->verdict;
    t->shown.route = ROUTE_PRIMARY;
    t->shown.reason = "a replica refused it";
    return &t->shown;
}

const struct statement_verdict *verdicts_find(struct verdicts *t, const struct verdict_key *key,
                                              uint64_t now_ms)
{
    struct entry *e = find(t, key);

    if (e == NULL) {
        t->counts.misses++;
        return NULL;
    }
    t->counts.hits++;
    e->hits++;
    e->used = ++t->tick;
    return e->overruled_until_ms > now_ms ? overruled(t, e) : &e->verdict;
}

/* The way of a set in which a new entry goes: an empty or forgotten one, else the least used. */
static size_t choose_way(const struct verdicts *t, size_t set)
{
    size_t chosen = 0;

    for (size_t way = 0; way < WAYS; way++) {
        const struct entry *e = &t->entries[set][way];

        if (e->epoch != t->epoch)
            return way;
        if (e->used < t->entries[set][chosen].used)
            chosen = way;
    }
    return chosen;
}

void verdicts_keep(struct verdicts *t, const struct verdict_key *key,
                   const struct statement_verdict *v)
{
    uint64_t mixed = mix(key);
    size_t set = set_of(t, mixed), way;
    struct entry *e = find(t, key);

    t->counts.kept++;
    if (e != NULL) {
        e->verdict = *v;
        return;
    }
    way = choose_way(t, set);
    e = &t->entries[set][way];
    if (e->epoch == t->epoch)
        t->counts.evicted++;
    else
        t->counts.entries++;
    *e = (struct entry){ .key = *key, .verdict = *v, .used = ++t->tick, .epoch = t->epoch };
    t->tags[set][way] = (uint32_t)mixed;
}

void verdicts_overrule(struct verdicts *t, const struct verdict_key *key, const char *sqlstate,
                       uint64_t until_ms)
{
    struct entry *e = find(t, key);

    t->counts.overruled++;
    if (e == NULL)
        return;
    e->overruled++;
    e->overruled_until_ms = until_ms;
    strncpy(e->sqlstate, sqlstate, sizeof(e->sqlstate) - 1);
}

void verdicts_forget_all(struct verdicts *t)
{
    t->counts.entries = 0;
    if (++t->epoch != 0)
        return;
    t->epoch = 1; /* it went round: nothing may look as if it were of now */
    memset(t->entries, 0, t->sets * sizeof(*t->entries));
}

void verdicts_count(const struct verdicts *t, struct verdicts_counts *out)
{
    *out = t->counts;
}

bool verdicts_walk(const struct verdicts *t, uint64_t now_ms, size_t *cursor,
                   struct verdict_view *out)
{
    while (*cursor < t->sets * WAYS) {
        size_t at = (*cursor)++;
        const struct entry *e = &t->entries[at / WAYS][at % WAYS];

        if (e->epoch != t->epoch)
            continue;
        *out = (struct verdict_view){
            .key = e->key, .verdict = e->verdict, .hits = e->hits, .overruled = e->overruled
        };
        memcpy(out->sqlstate, e->sqlstate, sizeof(out->sqlstate));
        if (e->overruled_until_ms > now_ms)
            out->overruled_until = e->overruled_until_ms;
        return true;
    }
    return false;
}

struct statement_verdict verdict_of(const struct script *script)
{
    const struct statement *s = &script->statements[0];

    return (struct statement_verdict){ .reason = s->reason,
                                       .effects = s->effects,
                                       .kind = s->kind,
                                       .route = s->route,
                                       .is_certain = s->is_certain,
                                       .is_chain = s->is_chain,
                                       .is_analyze = s->is_analyze,
                                       .modes = s->modes };
}
