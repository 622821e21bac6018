/* Where the servers stand in the log, asked when somebody needs to know, over one connection to
 * each server and worker.  Whoever wants to know while a question is under way waits for the next
 * one, so at most one is: that bounds the cost, whatever the number of sessions.
 *
 * A session that the primary answered must not be shown less by a replica.  Nothing is done at
 * once; when it next wants to read, a sample of the primary that *began* after that answer
 * covers it, and is asked for if there is none.  In the same way it does not change from one
 * replica to another before a sample of the one covers what it has seen there; one that reads
 * without a pause, so that no sample ever does, waits for such a sample now and then.
 *
 * What the primary shows is flushed, and that is what a sample asks for: it is what replicas can
 * have.  But for commits with synchronous_commit off: while anybody may do such ones, whose
 * settings say so, or whose code that we can see, or a role's settings, or a function's text, the
 * end of the log counts, and a replica has that once it was flushed. */
#include <stdlib.h>
#include <string.h>

#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/sql/halt_flow.h"
#include "proxy/sql/lease_flow.h"
#include "proxy/sql/own_flow.h"
#include "proxy/sql/sample_flow.h"
#include "proxy/sql/sql_flow.h"
#include "proxy/sql/tunnel_flow.h"

enum {
    SAMPLE_REST_US = 1000,            /* between two samples that nobody waits for, */
    SAMPLE_SEEN_US = 20 * 1000,       /* nor is the worse for: it stays where it reads meanwhile */
    SAMPLE_MOST_US = 2 * 1000 * 1000, /* a server that does not answer by then is given up */
    SAMPLER_IDLE_US = 300 * 1000 * 1000,
    SAMPLE_QUEUE_US = 8 * 1000, /* if one waits for so long, and another may be free first */
    SPREAD_US = 100 * 1000, /* so long a session that reads without a pause does at one replica */
    LAZY_US = 60 * 1000 * 1000, /* twice what the disk is let wait at most (wal_writer_delay) */
    LOOK_US = 10 * 1000 * 1000, /* from one look at roles and functions to the next */
};

/* A replica shows a commit a moment before it counts it as replayed.  So what it has replayed is
 * seen there for sure; but what may have been seen there is all that it had received. */
#define QUERY                                                                                      \
    "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"                           \
    " ELSE pg_current_wal_flush_lsn() END, pg_is_in_recovery(), CASE WHEN pg_is_in_recovery()"     \
    " THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_insert_lsn() END, "

static const char SAMPLE[] = QUERY "NULL, NULL";
static const char SAMPLE_AND_LOOK[] =
    QUERY "NOT pg_is_in_recovery() AND (current_setting('synchronous_commit') = 'off'"
          " OR EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) AS c"
          " WHERE c ~* '^synchronous_commit=(off|false|no|0)$')"
          " OR EXISTS (SELECT FROM pg_proc WHERE oid >= 16384"
          " AND position('synchronous_commit' IN prosrc) > 0)),"
          " pg_size_bytes(current_setting('wal_segment_size'))";

struct sql_sampler {
    struct sql_endpoint *endpoint;
    struct sql_upstream *upstream; /* NULL: none */
    struct list waiters;           /* sql_sessions */
    uint64_t asked_us;             /* when the question under way began; 0: none is */
    uint64_t known_us;             /* when the one began that `lsn` answers; 0: nothing is known */
    uint64_t used_us;
    uint64_t lsn;
    uint64_t seen_lsn;  /* no more than that can have been seen; 0: it does not tell */
    uint64_t looked_us; /* when the roles and functions were looked at; 0: to be done */
    uint64_t read_lsn, read_seen_lsn; /* of the row that came, for the answer under way */
    bool in_recovery, read_recovery;
    bool may_be_lazy;       /* by what was found then */
    uint64_t segment_bytes; /* the same; 0: not known */
    bool failed;
};

static struct sql_sampler *sampler_of(struct sql_endpoint *e)
{
    if (e->sampler == NULL) {
        e->sampler = mem_new(sizeof(*e->sampler));
        e->sampler->endpoint = e;
        list_init(&e->sampler->waiters);
    }
    return e->sampler;
}

/* ---- asking ---- */

static void close_upstream(struct sql_sampler *m)
{
    struct sql_upstream *u = m->upstream;

    u->sampler = NULL;
    m->upstream = NULL;
    m->asked_us = 0;
    sql_upstream_close(u);
}

/* It is to end, and does when it has been answered. */
static void end_if_wanted(struct sql_sampler *m)
{
    const struct sql_upstream *u = m->upstream;

    if (u != NULL && u->ending && m->asked_us == 0 && u->base.state == UPSTREAM_READY)
        close_upstream(m);
}

static void ask(struct sql_sampler *m)
{
    struct buf out = { 0 };
    bool looks;

    if (m->upstream == NULL || m->upstream->base.state != UPSTREAM_READY || m->asked_us != 0)
        return;
    m->asked_us = worker_now_us(m->endpoint->side->worker);
    looks = m->looked_us == 0 || m->asked_us - m->looked_us > LOOK_US;
    counter_add(&m->endpoint->counts->list[SQL_COUNT_SAMPLES], 1);
    m->failed = false;
    m->read_lsn = 0;
    pg_put_query(&out, slice_text(looks ? SAMPLE_AND_LOOK : SAMPLE));
    upstream_put(&m->upstream->base, buf_all(&out));
    buf_fini(&out);
    worker_be_busy(m->endpoint->side->worker);
}

static void want(struct sql_sampler *m, struct sql_account *a)
{
    m->used_us = worker_now_us(m->endpoint->side->worker);
    end_if_wanted(m);
    if (m->upstream == NULL && !m->endpoint->failing && m->endpoint->present &&
        !sql_halt_is_on(a)) {
        m->upstream = sql_upstream_open_alone(a, m->endpoint);
        m->upstream->sampler = m;
    }
    ask(m);
}

void sql_sampler_wait(struct sql_session *s, struct sql_endpoint *e, enum sql_wait wait)
{
    struct sql_sampler *m = sampler_of(e);

    sql_wait_begin(s, wait, &m->waiters);
    want(m, s->account);
    if (m->upstream == NULL) { /* it can't be asked */
        s->waited_for_position = true;
        sql_wait_end(s);
        sql_session_go_on(s);
    }
}

/* ---- what sessions need ---- */

static uint64_t shared_dirty_us(const struct sql_session *s)
{
    return s->account->scope == NULL ? 0 : atomic_load(&s->account->scope->dirty_us);
}

uint64_t sql_dirty_since_us(const struct sql_session *s)
{
    uint64_t shared_us = shared_dirty_us(s);

    if (shared_us > s->needed_as_of_us && shared_us > s->dirty_us)
        return shared_us;
    return s->dirty_us;
}

void sql_mark_dirty(struct sql_session *s)
{
    uint64_t now_us = worker_now_us(s->base.worker);

    s->dirty_us = now_us;
    if (s->account->scope != NULL)
        atomic_store(&s->account->scope->dirty_us, clock_now_us()); /* other workers compare */
}

static void mark_lazy(const struct sql_side *side)
{
    atomic_store(&side->shared->lazy_us, worker_now_us(side->worker));
}

void sql_sampler_heed_settings(const struct sql_session *s)
{
    if (pg_settings_commits_lazily(pg_settings_session_effective(&s->settings)))
        mark_lazy(sql_side_of(s));
}

void sql_sampler_heed_setting(const struct sql_session *s, const struct setting *set)
{
    if (!set->is_known || slice_is_word(set->name, "synchronous_commit"))
        mark_lazy(sql_side_of(s));
}

void sql_sampler_heed_code(const struct sql_session *s, struct slice text)
{
    static const char *const WORDS[] = { "synchronous_commit", "SYNCHRONOUS_COMMIT" };

    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++)
        if (text.len > 0 && memmem(text.at, text.len, WORDS[i], strlen(WORDS[i])) != NULL)
            mark_lazy(sql_side_of(s));
}

/* May something have been seen at the primary that is not flushed? */
static bool may_be_lazy(const struct sql_sampler *m)
{
    const struct sql_side *side = m->endpoint->side;
    uint64_t lazy_us = atomic_load(&side->shared->lazy_us);

    return m->may_be_lazy || (lazy_us != 0 && lazy_us + LAZY_US > worker_now_us(side->worker));
}

/* The position as a whole; what the witness does not know of its history is 0 for all servers. */
static struct position position_of(const struct sql_sampler *m)
{
    struct sql_endpoint *e = m->endpoint;
    struct standing standing = board_standing(e->side->assembly->board, e->settings->number);

    return (struct position){ standing.system_id, standing.timeline, m->lsn };
}

static void cover(struct sql_session *s, const struct sql_sampler *m)
{
    struct position p = position_of(m);

    position_keep(&s->needed, &p);
    if (s->dirty_us <= m->known_us)
        s->dirty_us = 0;
    s->needed_as_of_us = m->known_us;
}

/* What is asked in a turn is sent when the turn is over: behind all that was heard in it. */
static bool covers(const struct sql_sampler *m, uint64_t since_us)
{
    return m != NULL && m->known_us >= since_us;
}

bool sql_sample_covers(struct sql_session *s, uint64_t since_us)
{
    struct sql_endpoint *primary = sql_primary(sql_side_of(s));

    if (primary == NULL || !covers(primary->sampler, since_us) || primary->sampler->in_recovery)
        return false;
    cover(s, primary->sampler);
    return true;
}

void sql_sampler_spreads(struct sql_session *s)
{
    s->read_since_us = worker_now_us(s->base.worker);
}

/* Has it read there for so long that it looks for another?  Not if it has to wait for a connection
 * there: by its turn it is known where it may go. */
static bool is_spread_due(const struct sql_session *s)
{
    return s->read_from->waiting == 0 &&
           worker_now_us(s->base.worker) - s->read_since_us > SPREAD_US;
}

bool sql_sampler_may_spread(struct sql_session *s)
{
    struct sql_endpoint *e = s->read_from;

    return e != NULL && e->present && !e->failing && sql_is_causal(s) && !s->waited_for_position &&
           is_spread_due(s) && e->sampler != NULL && e->sampler->upstream != NULL &&
           e->sampler->upstream->base.state == UPSTREAM_READY && !covers(e->sampler, s->read_us);
}

static bool goes_elsewhere(const struct sql_session *s, const struct sql_endpoint *e)
{
    return s->read_from != NULL && s->read_from != e && sql_is_causal(s);
}

bool sql_must_stay(const struct sql_session *s, const struct sql_endpoint *e)
{
    return goes_elsewhere(s, e) &&
           (!s->read_from->present || !covers(s->read_from->sampler, s->read_us) ||
            s->read_from->sampler->seen_lsn == 0);
}

bool sql_may_read_from(const struct sql_session *s, const struct sql_endpoint *e,
                       const struct position *at)
{
    struct position seen;

    if (!goes_elsewhere(s, e))
        return true;
    if (sql_must_stay(s, e))
        return false;
    seen = position_of(s->read_from->sampler);
    seen.lsn = s->read_from->sampler->seen_lsn;
    return position_compare(&seen, at) == POSITION_REACHED;
}

void sql_leave_replica(struct sql_session *s)
{
    if (s->read_us > s->dirty_us && s->read_us > s->needed_as_of_us)
        s->dirty_us = s->read_us; /* the primary had all that was seen there */
    s->read_from = NULL;
}

void sql_sampler_saw(struct sql_session *s, struct sql_upstream *u)
{
    uint64_t now_us = worker_now_us(s->base.worker);
    struct sql_endpoint *e = u->endpoint;

    s->read_us = now_us; /* whatever is read by: SHOW sheaf.position covers it */
    if (!sql_is_causal(s))
        return;
    if (sql_may_write_at(e)) {
        s->dirty_us = now_us;
        s->read_from = NULL; /* no replica has shown more than the primary has */
        return;
    }
    if (s->read_from != e)
        s->read_since_us = now_us;
    s->read_from = e;
    if (e->side->endpoint_count > 2 && now_us - sampler_of(e)->used_us > SAMPLE_SEEN_US)
        want(e->sampler, s->account);
}

void sql_hint_position(struct sql_session *s, struct slice text)
{
    struct position p;

    if (position_parse(text, &p) != ERR_NONE)
        return;
    if (p.system == 0) {
        struct board_primary known =
            board_primary(sql_side_of(s)->assembly->board, sql_side_of(s)->settings->base.number);

        p.system = known.system_id;
        p.timeline = known.timeline;
    }
    position_keep(&s->needed, &p);
    s->has_min_position = true;
}

void sql_sampler_poke(struct sql_session *s, struct sql_endpoint *e)
{
    struct sql_sampler *m = sampler_of(e);

    if (worker_now_us(s->base.worker) - m->used_us > SAMPLE_REST_US)
        want(m, s->account);
}

void sql_sampler_waits(struct sql_session *s)
{
    const struct list *first = list_first(&s->waits_at->waiters);
    uint64_t now_us = worker_now_us(s->base.worker);
    struct sql_endpoint *e = s->read_from;

    if (e == NULL || !sql_is_causal(s) || e->side->endpoint_count <= 2 ||
        now_us - LIST_ITEM(first, struct sql_session, wait_link)->wait_began_us < SAMPLE_QUEUE_US)
        return;
    if (now_us - sampler_of(e)->used_us > SAMPLE_QUEUE_US)
        want(e->sampler, s->account);
}

void sql_sampler_position(const struct sql_endpoint *e, struct position *position)
{
    const struct sql_sampler *m = e->sampler;

    if (m != NULL && m->known_us > 0 && m->in_recovery && m->lsn > position->lsn)
        position->lsn = m->lsn;
}

/* ---- answers ---- */

static bool has_waited(const struct sql_session *s)
{
    uint64_t most_us = sql_side_of(s)->settings->causal_wait_ms * 1000;

    return worker_now_us(s->base.worker) - s->wait_since_us >= most_us;
}

/* Does this answer end its wait? */
static bool is_served(struct sql_session *s, const struct sql_sampler *m)
{
    struct position at;

    if (m->failed) {
        s->waited_for_position = true;
        return true;
    }
    if (s->waits == SQL_WAITS_SAMPLE)
        return covers(m, m->endpoint == s->read_from ? s->read_us : sql_dirty_since_us(s));
    at = position_of(m);
    if (position_compare(&s->needed, &at) == POSITION_REACHED)
        return true;
    s->waited_for_position = has_waited(s);
    return s->waited_for_position;
}

static void serve(struct sql_sampler *m)
{
    LIST_EACH (&m->waiters, link) {
        struct sql_session *s = LIST_ITEM(link, struct sql_session, wait_link);

        if (!is_served(s, m))
            continue;
        sql_wait_end(s);
        if (s->waited_for_position)
            counter_add(&sql_side_of(s)->counts->list[SQL_COUNT_CAUSAL_LATE], 1);
        sql_session_go_on(s);
    }
    if (list_is_empty(&m->waiters))
        return;
    want(m, LIST_ITEM(list_first(&m->waiters), struct sql_session, wait_link)->account);
    if (m->upstream == NULL) { /* it can't be asked any more: nobody waits */
        m->failed = true;
        serve(m);
    }
}

static void read_row(struct sql_sampler *m, struct slice body)
{
    struct pg_row row;
    struct pg_value recovery, lazy;

    if (pg_read_row(body, &row) != ERR_NONE || row.count != 5)
        return;
    recovery = pg_row_value(&row, 1);
    m->read_recovery = slice_is_text(recovery.bytes, "t");
    if (position_parse_lsn(pg_row_value(&row, 0).bytes, &m->read_lsn) != ERR_NONE)
        m->read_lsn = 0;
    if (pg_row_value(&row, 2).is_null ||
        position_parse_lsn(pg_row_value(&row, 2).bytes, &m->read_seen_lsn) != ERR_NONE ||
        m->read_seen_lsn < m->read_lsn) /* it reads an archive */
        m->read_seen_lsn = 0;
    lazy = pg_row_value(&row, 3);
    if (lazy.is_null)
        return;
    m->looked_us = m->asked_us;
    m->may_be_lazy = slice_is_text(lazy.bytes, "t");
    (void)slice_to_u64(pg_row_value(&row, 4).bytes, &m->segment_bytes);
}

/* What a replica can have of it. */
static uint64_t end_of_log(const struct sql_sampler *m)
{
    return position_before_page_header(m->read_seen_lsn, m->segment_bytes);
}

static void answered(struct sql_sampler *m)
{
    uint64_t asked_us = m->asked_us;

    m->asked_us = 0;
    m->failed = m->read_lsn == 0;
    if (!m->failed) {
        m->known_us = asked_us;
        m->in_recovery = m->read_recovery;
        m->lsn = m->in_recovery || !may_be_lazy(m) ? m->read_lsn : end_of_log(m);
        m->seen_lsn = m->in_recovery ? m->read_seen_lsn : m->lsn;
    }
    serve(m);
    sql_roamers_look(m->endpoint->side);
}

static bool take_frame(struct sql_upstream *u, void *owner, struct pg_frame f, struct slice body)
{
    if (f.type == PG_BACK_DATA_ROW)
        read_row(owner, body);
    else if (f.type == PG_BACK_READY)
        answered(owner);
    return u->sampler == owner;
}

size_t sql_sampler_input(struct sql_upstream *u, struct slice in)
{
    return sql_own_input(u, in, take_frame, u->sampler, "not an answer to where the server stands");
}

void sql_sampler_ready(struct sql_upstream *u)
{
    if (u->sampler != NULL)
        ask(u->sampler);
    else
        sql_tunnel_ready(u);
}

void sql_sampler_forget(struct sql_upstream *u)
{
    u->sampler->upstream = NULL;
    u->sampler->asked_us = u->sampler->looked_us = 0;
    u->sampler = NULL;
}

void sql_sampler_lost(struct sql_upstream *u)
{
    struct sql_sampler *m = u->sampler;

    sql_sampler_forget(u);
    m->known_us = 0;
    m->failed = true;
    serve(m);
}

void sql_sampler_leave(struct sql_endpoint *e)
{
    struct sql_sampler *m = e->sampler;

    if (m == NULL || m->upstream == NULL)
        return;
    close_upstream(m);
    m->failed = true;
    serve(m);
}

void sql_sampler_tick(struct sql_endpoint *e, uint64_t now_us)
{
    struct sql_sampler *m = e->sampler;

    if (m == NULL || m->upstream == NULL)
        return;
    end_if_wanted(m);
    if (m->upstream == NULL)
        return;
    if (m->asked_us != 0 && now_us - m->asked_us > SAMPLE_MOST_US) {
        upstream_fail(&m->upstream->base, ERR_TIMEOUT, "the server does not say where it stands");
        return;
    }
    if (m->asked_us != 0 || !list_is_empty(&m->waiters)) {
        worker_be_busy(e->side->worker);
    } else if (now_us - m->used_us > SAMPLER_IDLE_US) {
        close_upstream(m);
    }
}

void sql_sampler_free(struct sql_endpoint *e)
{
    if (e->sampler != NULL && e->sampler->upstream != NULL) {
        e->sampler->upstream->sampler = NULL;
        sql_upstream_retire(e->sampler->upstream);
    }
    free(e->sampler);
    e->sampler = NULL;
}
