/* COMMITs whose answer is lost with their server, with lost_commit_wait.
 *
 *     sql_commit_look()   a COMMIT comes: the transaction's mark is asked in front of it, by one
 *                         more Query that goes with it
 *     sql_commit_ask()    the server is lost with the answer: the session waits, while whoever is
 *                         the primary now is asked on a connection of its own
 *     tell()              and answers what the server owed: that it was done, an error that it was
 *                         not, or, when lost_commit_wait has passed, that nobody knows
 *
 * What can be concluded is told in pg_commit.h. */
#include "proxy/sql/commit_flow.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/sql/catalog_flow.h"
#include "proxy/sql/gather_flow.h"
#include "proxy/sql/halt_flow.h"
#include "proxy/sql/own_flow.h"
#include "proxy/sql/pg_commit.h"
#include "proxy/sql/sample_flow.h"

enum {
    AGAIN_US = 100 * 1000,
    OWED_MOST = 16, /* entries of one exchange */
    ASKING_MOST = 4,
};

struct sql_commit {
    struct sql_session *session;
    struct pg_commit_mark mark;

    /* Once it is asked of. */
    struct sql_upstream *upstream; /* NULL: none yet */
    struct pg_commit_found found;
    uint8_t owed[OWED_MOST]; /* enum pg_expect_kind, of what the client has not heard */
    uint32_t owed_count, changes;
    uint64_t until_us, again_us;
    uint64_t asked_us; /* 0: nothing is asked */
    bool is_over;      /* the session ends */
    bool changes_catalog;
    char server[128], why[200];
};

/* ---- the mark ---- */

/* A look at the first letter: most of what is said in a transaction is no COMMIT. */
static bool may_begin_commit(struct slice text)
{
    size_t at = 0;

    while (at < text.len && isspace(text.at[at]))
        at++;
    return at < text.len && strchr("cCeE/-", text.at[at]) != NULL;
}

static bool may_be_commit(struct sql_session *s, struct slice in)
{
    const struct sql_note *note;
    struct pg_statement *st;
    struct pg_parse parse;
    struct slice body;
    struct pg_bind bind;
    struct pg_frame f;

    if (pg_frame_read(in, &f) != ERR_NONE ||
        (f.type != PG_FRONT_BIND && !pg_frame_is_whole(in, f))) /* a Bind goes on without its end */
        return false;
    body = pg_frame_body_there(in, f);
    if (f.type == PG_FRONT_QUERY)
        return pg_read_query(body, &parse.text) == ERR_NONE && may_begin_commit(parse.text);
    if (f.type == PG_FRONT_PARSE)
        return pg_read_parse(body, &parse) == ERR_NONE && may_begin_commit(parse.text);
    if (f.type != PG_FRONT_BIND || pg_read_bind_head(body, &bind) != ERR_NONE ||
        pg_statements_session_find(&s->statements, bind.statement, &st) != PG_NAME_THERE)
        return false;
    note = sql_note_of(s, st);
    return note->verdict.kind == STATEMENT_COMMIT;
}

/* COMMIT alone, after which nothing is left of its transaction. */
static bool is_commit(const struct sql_gathering *g)
{
    return g->is_whole && g->any && !g->many && g->alone == NULL &&
           g->verdict.kind == STATEMENT_COMMIT && !g->verdict.is_chain &&
           !(g->effects & EFFECT_UNSEEN) && (g->class.text.at != NULL || g->executes) &&
           (g->class.script == NULL || g->class.script->count == 1);
}

bool sql_commit_look(struct sql_session *s, struct slice in)
{
    struct sql_upstream *u = s->lease;
    struct sql_gathering g;

    if (sql_side_of(s)->settings->lost_commit_wait_ms == 0 || !s->has_written ||
        s->status != PG_STATUS_IN_TRANSACTION || !sql_may_write_at(u->endpoint) ||
        (s->pins & PG_PIN_UNNAMED) || /* which a Query would end */
        sql_server_major(u) < PG_COMMIT_SINCE_MAJOR || !may_be_commit(s, in))
        return true;
    if (!sql_gather(s, in, &g))
        return false;
    if (!is_commit(&g))
        return true;
    if (s->commit == NULL)
        s->commit = mem_new(sizeof(*s->commit));
    *s->commit = (struct sql_commit){ .session = s };
    sql_upstream_put_query(u, pg_commit_mark_query(), SQL_NOTE_COMMIT);
    return true;
}

void sql_commit_marked(struct sql_upstream *u, struct slice row)
{
    struct sql_commit *c = u->lessee == NULL ? NULL : u->lessee->commit;

    if (c != NULL && pg_commit_read_mark(row, &c->mark) != ERR_NONE)
        c->mark = (struct pg_commit_mark){ 0 };
}

static void close_upstream(struct sql_commit *c)
{
    struct sql_upstream *u = c->upstream;

    if (u == NULL)
        return;
    sql_commit_upstream_gone(u);
    sql_upstream_close(u);
}

void sql_commit_forget(struct sql_session *s)
{
    if (s->commit == NULL)
        return;
    close_upstream(s->commit);
    free(s->commit);
    s->commit = NULL;
}

/* ---- its answer is lost ---- */

/* Entries that say more of it than can be said again. */
static bool is_plain(const struct pg_expected *e)
{
    enum {
        SAID = SQL_NOTE_DUPLICATE | SQL_NOTE_RETAG | SQL_NOTE_EDITED | SQL_NOTE_GOES_ON |
               SQL_NOTE_RESTORED | SQL_NOTE_CHANGED
    };

    return (e->note & SAID) == 0 && e->kind != PG_EXPECT_FUNCTION_CALL;
}

static bool is_end(const struct pg_expected *e)
{
    return e->kind == PG_EXPECT_QUERY || e->kind == PG_EXPECT_SYNC;
}

static bool is_done_by(const struct pg_expected *e)
{
    return e->kind == PG_EXPECT_QUERY || e->kind == PG_EXPECT_EXECUTE;
}

/* One exchange, of whose COMMIT nothing was heard. */
static bool owes_commit_alone(const struct pg_expect *expect)
{
    const struct pg_expected *e;
    uint32_t owed = 0, ends = 0, doers = 0;

    for (uint32_t i = 0; (e = pg_expect_at(expect, i)) != NULL; i++) {
        if (e->flags & PG_EXPECT_SWALLOW)
            continue;
        if (!is_plain(e) || ++owed > OWED_MOST || (i == 0 && expect->phase != PG_PHASE_BEGIN))
            return false;
        ends += is_end(e);
        doers += is_done_by(e);
    }
    return ends == 1 && doers == 1;
}

bool sql_commit_may_ask(const struct sql_session *s, const struct sql_upstream *u)
{
    return s->commit != NULL && s->commit->mark.xid != 0 && !s->in_exchange && !u->fatal &&
           u->held.len == 0 && !(u->frame_left > 0 && u->frame_shown) &&
           owes_commit_alone(&u->expect);
}

/* What the session is owed is kept; what the server was to know goes with it. */
static void take_owed(struct sql_commit *c, struct sql_upstream *u)
{
    struct pg_expected e;

    while (pg_expect_take(&u->expect, &e)) {
        if (!(e.flags & PG_EXPECT_SWALLOW)) {
            c->owed[c->owed_count++] = e.kind;
            if (e.note & SQL_NOTE_CHANGE) {
                uint32_t changes = e.number & ((1u << SQL_TAG_SHIFT) - 1);

                c->changes += changes > 1 ? changes : 1;
            }
            e.note &= (uint16_t)~SQL_NOTE_CHANGE;
        }
        sql_settle_entry(u, &e, PG_OUTCOME_SKIPPED);
    }
}

void sql_commit_ask(struct sql_upstream *u, const char *why, bool is_over, bool changes_catalog)
{
    struct sql_session *s = u->lessee;
    struct sql_side *side = sql_side_of(s);
    struct sql_commit *c = s->commit;

    snprintf(c->server, sizeof(c->server), "%s", u->endpoint->name);
    snprintf(c->why, sizeof(c->why), "%s", why);
    c->is_over = is_over;
    c->changes_catalog = changes_catalog;
    c->until_us = worker_now_us(side->worker) + side->settings->lost_commit_wait_ms * 1000;
    take_owed(c, u);
    sql_lease_drop(u);
    sql_wait_begin(s, SQL_WAITS_COMMIT, &side->commits);
}

/* ---- asking ---- */

static void ask(struct sql_commit *c)
{
    struct buf out = { 0 }, text = { 0 };

    c->found = (struct pg_commit_found){ 0 };
    c->asked_us = worker_now_us(c->session->base.worker);
    pg_commit_put_query(&text, &c->mark);
    pg_put_query(&out, buf_all(&text));
    upstream_put(&c->upstream->base, buf_all(&out));
    buf_fini(&text);
    buf_fini(&out);
}

/* How many have a connection for it: those that were lost were a pool's, these are beside it. */
static uint32_t asking(const struct sql_side *side)
{
    uint32_t count = 0;

    LIST_EACH (&side->commits, link)
        count += LIST_ITEM(link, struct sql_session, wait_link)->commit->upstream != NULL;
    return count;
}

static void open_upstream(struct sql_commit *c, uint64_t now_us)
{
    struct sql_session *s = c->session;
    struct sql_endpoint *e = sql_primary(sql_side_of(s));

    if (e == NULL || e->failing || sql_halt_is_on(s->account) ||
        asking(sql_side_of(s)) >= ASKING_MOST)
        return;
    c->again_us = now_us + AGAIN_US;
    c->upstream = sql_upstream_open_alone(s->account, e);
    c->upstream->commit = c;
}

void sql_commit_ready(struct sql_upstream *u)
{
    ask(u->commit);
}

void sql_commit_upstream_gone(struct sql_upstream *u)
{
    struct sql_commit *c = u->commit;

    if (c == NULL)
        return;
    u->commit = NULL;
    c->upstream = NULL;
    c->asked_us = 0;
    c->again_us = worker_now_us(c->session->base.worker) + AGAIN_US;
}

/* ---- telling ---- */

static void put_answers(const struct sql_commit *c, struct buf *out)
{
    for (uint32_t i = 0; i < c->owed_count; i++)
        switch (c->owed[i]) {
        case PG_EXPECT_PARSE:
            pg_put_parse_complete(out);
            break;
        case PG_EXPECT_BIND:
            pg_put_bind_complete(out);
            break;
        case PG_EXPECT_DESCRIBE_STATEMENT:
            pg_put_types(out, NULL, 0);
            pg_put_no_data(out);
            break;
        case PG_EXPECT_DESCRIBE_PORTAL:
            pg_put_no_data(out);
            break;
        case PG_EXPECT_CLOSE:
            pg_put_close_complete(out);
            break;
        case PG_EXPECT_EXECUTE:
        case PG_EXPECT_QUERY:
            pg_put_complete(out, "COMMIT");
            break;
        }
}

static void log_outcome(const struct sql_commit *c, const char *outcome)
{
    log_event(LOG_WARN, "the answer to a COMMIT was lost",
              log_text("pool", sql_side_of(c->session)->name), log_text("endpoint", c->server),
              log_text("why", c->why), log_number("xid", c->mark.xid),
              log_text("outcome", outcome));
}

static void count(const struct sql_commit *c, enum sql_count what)
{
    counter_add(&sql_side_of(c->session)->counts->list[what], 1);
}

/* The session has its answer, and goes on without a server. */
static void tell_done(struct sql_commit *c)
{
    struct sql_session *s = c->session;
    struct buf out = { 0 };

    log_outcome(c, "it was done");
    count(c, SQL_COUNT_LOST_COMMITS_DONE);
    put_answers(c, &out);
    pg_put_ready(&out, PG_STATUS_IDLE);
    sql_session_put(s, buf_all(&out));
    buf_fini(&out);
    if (c->is_over)
        sql_session_fatal(s, "08006",
                          "server %s was lost, and with it what this session had there: %s; "
                          "its COMMIT was done",
                          c->server, c->why);
}

static void tell_error(struct sql_commit *c, const char *sqlstate, const char *outcome)
{
    struct sql_session *s = c->session;
    struct buf out = { 0 };

    log_outcome(c, outcome);
    if (c->is_over) {
        sql_session_fatal(s, sqlstate,
                          "server %s was lost, and with it what this session had there: %s; %s",
                          c->server, c->why, outcome);
        return;
    }
    pg_put_error_text(&out, "ERROR", sqlstate, "server %s was lost: %s; %s", c->server, c->why,
                      outcome);
    pg_put_ready(&out, PG_STATUS_IDLE);
    sql_session_put(s, buf_all(&out));
    buf_fini(&out);
}

static void tell(struct sql_commit *c, enum pg_commit commit)
{
    struct sql_session *s = c->session;
    bool is_done = commit == PG_COMMIT_DONE;

    close_upstream(c);
    sql_wait_end(s);
    s->wait_since_us = 0;
    for (; c->changes > 0; c->changes--)
        pg_statements_session_settle(sql_side_of(s)->statements, &s->statements,
                                     is_done ? PG_OUTCOME_DONE : PG_OUTCOME_SKIPPED);
    session_request_ends(&s->base);
    if (commit != PG_COMMIT_UNDONE) { /* it may have been done long after its server was lost */
        sql_mark_dirty(s);
        if (c->changes_catalog)
            sql_catalog_changed(s);
    }
    if (is_done) {
        tell_done(c);
    } else if (commit == PG_COMMIT_UNDONE) {
        count(c, SQL_COUNT_LOST_COMMITS_UNDONE);
        tell_error(c, "08006", "what was asked was not carried out");
    } else {
        count(c, SQL_COUNT_LOST_COMMITS_UNKNOWN);
        tell_error(c, "08007", "what was asked may have been carried out");
    }
    sql_commit_forget(s);
    sql_loss_go_on(s, is_done);
}

/* What it says counts as long as it is the primary for all that is known. */
static bool is_left(const struct sql_upstream *u)
{
    return u->ending || !u->endpoint->present || u->endpoint != sql_primary(u->endpoint->side);
}

static void answered(struct sql_commit *c)
{
    enum pg_commit commit = pg_commit_judge(&c->mark, &c->found);

    c->asked_us = 0;
    c->again_us = worker_now_us(c->session->base.worker) + AGAIN_US;
    if (is_left(c->upstream) || c->found.in_recovery)
        close_upstream(c);
    else if (commit != PG_COMMIT_UNDER_WAY)
        tell(c, commit);
}

static const char NO_ANSWER[] = "not an answer to what became of a COMMIT";

static bool take_frame(struct sql_upstream *u, void *owner, struct pg_frame f, struct slice body)
{
    struct sql_commit *c = owner;

    if (f.type == PG_BACK_DATA_ROW && pg_commit_read_row(body, &c->found) != ERR_NONE)
        upstream_fail(&u->base, ERR_PROTOCOL, NO_ANSWER);
    else if (f.type == PG_BACK_READY && c->asked_us != 0)
        answered(c);
    return u->commit == c;
}

size_t sql_commit_input(struct sql_upstream *u, struct slice in)
{
    return sql_own_input(u, in, take_frame, u->commit, NO_ANSWER);
}

/* ---- clock ---- */

static bool is_late(const struct sql_commit *c, uint64_t now_us)
{
    uint64_t most_us = sql_side_of(c->session)->settings->base.connect_timeout_ms * 1000;

    return c->asked_us != 0 && now_us - c->asked_us > most_us;
}

static void look(struct sql_commit *c, uint64_t now_us)
{
    const struct sql_side *side = sql_side_of(c->session);

    if (now_us >= c->until_us) {
        tell(c, PG_COMMIT_UNKNOWN);
        return;
    }
    worker_be_busy(side->worker);
    if (c->upstream != NULL && (is_left(c->upstream) || is_late(c, now_us)))
        close_upstream(c);
    if (now_us < c->again_us)
        return;
    if (c->upstream == NULL)
        open_upstream(c, now_us);
    else if (c->asked_us == 0 && c->upstream->base.state == UPSTREAM_READY)
        ask(c);
}

void sql_commits_tick(struct sql_side *side, uint64_t now_us)
{
    LIST_EACH (&side->commits, link)
        look(LIST_ITEM(link, struct sql_session, wait_link)->commit, now_us);
}
