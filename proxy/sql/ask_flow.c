/* What a session asks.  Where it has a lease already, and must keep it, its messages go there as
 * they come.  Else an exchange begins: so much of it is gathered as is needed to know what it is,
 * an endpoint is chosen, an upstream leased; only then are its messages used up, one by one.
 *
 *     sql_ask_input() -> ask_one() -> begin_exchange() -> sql_gather(), sql_decide(),
 *                                  |                      sql_lease_ask()
 *                                  -> sql_message_forward()
 *
 * A session that waits leaves its input where it is, and is shown it again by
 * sql_session_go_on(). */
#include "proxy/sql/commit_flow.h"
#include "proxy/sql/demotion_flow.h"
#include "proxy/sql/gather_flow.h"
#include "proxy/sql/halt_flow.h"
#include "proxy/sql/lease_flow.h"
#include "proxy/sql/local_flow.h"
#include "proxy/sql/sample_flow.h"
#include "proxy/sql/sql_flow.h"

/* ---- what needs no server ---- */

/* Close and Sync, in a session that has no lease. */
static size_t answer_alone(struct sql_session *s, struct slice in, size_t bytes)
{
    struct buf out = { 0 };
    struct pg_target target;
    struct pg_frame f;

    for (size_t at = 0; at < bytes; at += f.bytes) {
        struct slice rest = slice_from(in, at);

        if (pg_frame_read(rest, &f) != ERR_NONE)
            break;
        if (f.type == PG_FRONT_SYNC) {
            pg_put_ready(&out, s->status);
        } else if (f.type == PG_FRONT_CLOSE &&
                   pg_read_target(pg_frame_body(rest, f), &target) == ERR_NONE) {
            if (target.kind == PG_KIND_STATEMENT &&
                pg_statements_session_undefine(&s->statements, target.name) == ERR_NONE)
                pg_statements_session_settle(sql_side_of(s)->statements, &s->statements,
                                             PG_OUTCOME_DONE);
            pg_put_close_complete(&out);
        }
    }
    sql_session_put(s, buf_all(&out));
    buf_fini(&out);
    return bytes;
}

/* As any simple Query does. */
static void end_unnamed(struct sql_session *s)
{
    bool changes = false;

    if (pg_statements_session_query(&s->statements, &changes) == ERR_NONE && changes)
        pg_statements_session_settle(sql_side_of(s)->statements, &s->statements, PG_OUTCOME_DONE);
}

/* SHOW sheaf.x and the like; an empty Query. */
static bool answer_query(struct sql_session *s, struct sql_gathering *g)
{
    struct buf out = { 0 };
    bool answered = false;

    if (g->is_whole && g->class.verdict.reason != NULL)
        answered = sql_local_answer(s, &g->class, &out);
    if (answered) {
        end_unnamed(s);
        pg_put_ready(&out, s->status);
        sql_session_put(s, buf_all(&out));
        s->base.active_s = (uint32_t)(worker_now_us(s->base.worker) / 1000000);
    }
    buf_fini(&out);
    return answered;
}

/* ---- routing ---- */

static struct sql_decision decide(struct sql_session *s, struct sql_gathering *g)
{
    struct statement_verdict v = g->verdict;

    if (g->alone != NULL || !g->any) {
        v = (struct statement_verdict){ .route = ROUTE_PRIMARY, .kind = STATEMENT_QUERY };
        v.reason = g->alone != NULL ? g->alone : "no statement";
    }
    if (g->hints.min_position.len > 0)
        sql_hint_position(s, g->hints.min_position);
    return sql_decide(s, &v, &g->hints);
}

/* True: the lease is there. */
static bool find_lease(struct sql_session *s, struct sql_gathering *g)
{
    struct sql_decision d;

    if (sql_halt_waits(s))
        return false;
    s->wants_own = (g->effects & EFFECT_CURRVAL) != 0;
    d = decide(s, g);
    switch (d.verb) {
    case SQL_GO:
        s->cause = (uint8_t)(d.cause + 1);
        return sql_lease_ask(s, d.endpoint, d.cause == SQL_CAUSE_READ);
    case SQL_WAIT_PRIMARY:
        sql_wait_begin(s, SQL_WAITS_PRIMARY, &sql_side_of(s)->waiters);
        return false;
    case SQL_WAIT_SAMPLE:
        sql_sampler_wait(s, d.endpoint, SQL_WAITS_SAMPLE);
        return false;
    case SQL_WAIT_POSITION:
        sql_sampler_wait(s, d.endpoint, SQL_WAITS_POSITION);
        return false;
    case SQL_REFUSE:
        sql_session_fail_exchange_hint(
            s, "57P03",
            "Ask the primary, by /* route=primary */ or SET sheaf.route = primary; with "
            "on_replicas_down = primary all reads do.",
            "no replica of pool \"%s\" may be read from: %s", sql_side_of(s)->name, d.why);
        return false;
    }
    return false;
}

static bool is_at_primary(const struct sql_session *s)
{
    return sql_is_primary(s->lease->endpoint);
}

/* Its answer may be dropped, and the whole be asked elsewhere, as long as nothing was forwarded. */
static void begin_hold(struct sql_session *s, const struct sql_gathering *g)
{
    struct sql_upstream *u = s->lease;

    buf_clear(&u->kept);
    u->refused = false;
    u->shape = g->shape;
    u->is_primary = sql_may_write_at(u->endpoint);
    u->holds = g->is_whole && g->bytes <= SQL_KEEP_BYTES;
    if (u->holds)
        pg_statements_session_keep(sql_side_of(s)->statements, &s->statements);
}

static bool names_role(const struct pg_settings *v)
{
    return v != NULL && v->has_role;
}

/* The server is set before the exchange is sent, not by what goes in front of it: if that failed,
 * the exchange must not run as somebody else, or with what another has set. */
static bool must_be_set_first(const struct sql_session *s, const struct sql_gathering *g)
{
    return g == NULL || g->alone != NULL || !g->any || g->may_end_failure ||
           names_role(s->lease->settings) ||
           names_role(pg_settings_session_effective(&s->settings));
}

/* False: it waits for that.  Exchange NULL: not looked at. */
static bool set_server(struct sql_session *s, const struct sql_gathering *g)
{
    bool first = must_be_set_first(s, g);

    if (s->lease->status != PG_STATUS_IDLE) /* what sets it is a transaction of its own */
        return true;
    if (s->pins & PG_PIN_SETTINGS_LIMIT) /* it is set as no one else knows */
        return true;
    if (!sql_settings_apply(s->lease, pg_settings_session_effective(&s->settings)) || !first)
        return true;
    s->applies = s->barrier = true;
    return false;
}

/* Why it goes there: who waits may be sent elsewhere meanwhile, and is counted once. */
static void count_cause(struct sql_session *s)
{
    if (s->cause > 0)
        counter_add(&sql_side_of(s)->counts->causes[s->cause - 1], 1);
    s->cause = 0;
}

/* False: it waits. */
static bool begun(struct sql_session *s, const struct sql_gathering *g)
{
    struct sql_upstream *u = s->lease;

    count_cause(s);
    u->sqlstate[0] = '\0';
    sql_slow_listen(u);
    begin_hold(s, g);
    sql_begin_ask(s, g->alone == NULL && g->any && !g->many ? &g->verdict : NULL);
    sql_sampler_heed_settings(s);
    if (s->wants_own && u->sequences_pid != s->key_pid && u->status == PG_STATUS_IDLE)
        sql_sequences_forget(s);
    s->wants_own = false;
    if (!set_server(s, g) || s->applies)
        return false;
    if (g->any && g->verdict.kind == STATEMENT_BEGIN)
        sql_begin_ask_isolation(s, &g->verdict);
    return true;
}

/* What sets the server is not answered yet, and a transaction that failed by it may be ended by
 * what comes next. */
static bool is_being_set(const struct sql_session *s)
{
    const struct pg_expected *head = s->lease == NULL ? NULL : pg_expect_head(&s->lease->expect);

    return head != NULL && (head->note & SQL_NOTE_SETTINGS);
}

/* What is sent behind an exchange that may be asked elsewhere would be answered before that.  At a
 * replica it waits; a primary's refusal is told then. */
static bool may_be_sent_behind(struct sql_session *s)
{
    struct sql_upstream *u = s->lease;

    if (s->in_exchange || !u->holds || pg_expect_is_empty(&u->expect))
        return true;
    if (u->is_primary)
        sql_reply_release(u);
    return u->is_primary;
}

static bool is_the_primarys(const struct sql_gathering *g)
{
    return g->alone != NULL || g->hints.route == HINT_PRIMARY ||
           (g->any && g->verdict.route > ROUTE_TRY);
}

/* An exchange that follows others which are not answered yet stays where those are, if it can. */
static bool may_follow(struct sql_session *s, struct sql_gathering *g)
{
    if (pg_expect_is_empty(&s->lease->expect) || is_at_primary(s))
        return may_be_sent_behind(s);
    return may_be_sent_behind(s) && g->any && !is_the_primarys(g);
}

/* SHOW sheaf.position tells what covers all that the session was answered, by replicas, too; and
 * EXPLAIN ROUTE where that may be read, as what is then asked would wait for. */
static bool waits_for_own_position(struct sql_session *s, const struct sql_gathering *g)
{
    struct sql_endpoint *primary = sql_primary(sql_side_of(s));
    uint64_t since_us;

    if (!g->is_whole ||
        (!g->asks_position && !(sql_is_causal(s) && sql_local_is_explain(&g->class))))
        return false;
    if (g->asks_position)
        sql_leave_replica(s);
    since_us = sql_dirty_since_us(s);
    if (since_us == 0 || primary == NULL || primary->failing || s->waited_for_position ||
        sql_sample_covers(s, since_us))
        return false;
    sql_sampler_wait(s, primary, SQL_WAITS_SAMPLE);
    return true;
}

enum begin { BEGIN_WAITS, BEGIN_DONE, BEGIN_ANSWERED };

static bool is_ours(const struct sql_gathering *g)
{
    return (g->is_whole || g->is_flushed) && g->has_ours && !g->has_theirs && g->alone == NULL;
}

static enum begin answer_ours(struct sql_session *s, struct slice in, const struct sql_gathering *g,
                              size_t *used)
{
    if (s->lease != NULL && !pg_expect_is_empty(&s->lease->expect)) {
        s->barrier = true; /* it is answered in its turn */
        return BEGIN_WAITS;
    }
    if (waits_for_own_position(s, g))
        return BEGIN_WAITS;
    sql_local_answer_messages(s, slice_of(in.at, g->bytes));
    s->base.active_s = (uint32_t)(worker_now_us(s->base.worker) / 1000000);
    *used = g->bytes;
    return BEGIN_ANSWERED;
}

static enum begin begin_exchange(struct sql_session *s, struct slice in, struct sql_gathering *g,
                                 size_t *used)
{
    if (!sql_gather(s, in, g))
        return BEGIN_WAITS;
    if (is_ours(g))
        return answer_ours(s, in, g, used);
    if (s->lease == NULL && g->is_local && g->is_whole) {
        *used = answer_alone(s, in, g->bytes);
        return BEGIN_ANSWERED;
    }
    if (waits_for_own_position(s, g))
        return BEGIN_WAITS;
    if (g->is_whole && s->lease != NULL && !pg_expect_is_empty(&s->lease->expect) &&
        sql_local_is(&g->class)) {
        s->barrier = true; /* it is answered in its turn */
        return BEGIN_WAITS;
    }
    if ((s->lease == NULL || pg_expect_is_empty(&s->lease->expect)) && answer_query(s, g)) {
        *used = g->bytes;
        return BEGIN_ANSWERED;
    }
    if (s->lease != NULL && (is_being_set(s) || !may_follow(s, g))) {
        s->barrier = true;
        return BEGIN_WAITS;
    }
    if (s->lease == NULL && !find_lease(s, g))
        return BEGIN_WAITS;
    if (pg_expect_is_empty(&s->lease->expect) && !begun(s, g))
        return BEGIN_WAITS;
    s->began_half = !g->is_whole;
    return BEGIN_DONE;
}

/* ---- asking ---- */

bool sql_keeps_lease(const struct sql_session *s)
{
    return s->lease != NULL &&
           (s->in_exchange || s->status != PG_STATUS_IDLE || s->pins != 0 ||
            sql_is_amid_message(s) || sql_account_pooling(s->account) == SQL_POOLING_SESSION);
}

/* A look at the first message, that costs next to nothing.  All but a Bind waits to be whole. */
static bool may_be_ours(struct sql_session *s, struct slice in, struct pg_frame f)
{
    struct slice body = pg_frame_body_there(in, f);
    struct pg_parse parse;
    struct pg_bind bind;
    struct pg_target target;
    struct slice name = { 0 };
    struct pg_statement *st;

    if (s->in_exchange || (f.type != PG_FRONT_BIND && !pg_frame_is_whole(in, f)))
        return false;
    if (f.type == PG_FRONT_QUERY)
        return pg_read_query(body, &parse.text) == ERR_NONE && sql_local_may_be(parse.text);
    if (f.type == PG_FRONT_PARSE)
        return pg_read_parse(body, &parse) == ERR_NONE && sql_local_may_be(parse.text);
    if (f.type == PG_FRONT_BIND && pg_read_bind_head(body, &bind) == ERR_NONE)
        name = bind.statement;
    else if (f.type == PG_FRONT_DESCRIBE && pg_read_target(body, &target) == ERR_NONE &&
             target.kind == PG_KIND_STATEMENT)
        name = target.name;
    return name.at != NULL &&
           pg_statements_session_find(&s->statements, name, &st) == PG_NAME_THERE &&
           st->note != NULL && ((const struct sql_note *)st->note)->is_ours;
}

/* The same within a transaction, where all else goes on to the lease.  BEGIN_DONE: it is none. */
static enum begin answer_within(struct sql_session *s, struct slice in, size_t *used)
{
    struct sql_gathering g;

    if (!sql_gather(s, in, &g))
        return BEGIN_WAITS;
    if (is_ours(&g))
        return answer_ours(s, in, &g, used);
    if (!g.is_whole || !sql_local_is(&g.class))
        return BEGIN_DONE;
    if (!pg_expect_is_empty(&s->lease->expect)) {
        s->barrier = true;
        return BEGIN_WAITS;
    }
    if (waits_for_own_position(s, &g))
        return BEGIN_WAITS;
    *used = g.bytes;
    return answer_query(s, &g) ? BEGIN_ANSWERED : BEGIN_DONE;
}

/* Of an exchange that failed before it was begun. */
static size_t skip_message(struct sql_session *s, struct slice in, struct pg_frame f)
{
    size_t here = f.bytes < in.len ? f.bytes : in.len;
    bool is_alone = f.type == PG_FRONT_QUERY || f.type == PG_FRONT_FUNCTION_CALL;

    if (f.type == PG_FRONT_SYNC || (s->fails_next && is_alone)) {
        struct buf out = { 0 };

        pg_put_ready(&out, s->status);
        sql_session_put(s, buf_all(&out));
        buf_fini(&out);
        s->skips = false;
    }
    s->fails_next = false;
    s->frame_left = f.bytes - here;
    s->drops_frame = true;
    return here;
}

/* COPY FROM STDIN, whose end was not sent. */
static bool is_amid_copy(const struct sql_session *s)
{
    return s->lease != NULL && pg_expect_is_copying_in(&s->lease->expect) &&
           (!s->copy_ended || s->frame_ends_copy);
}

/* Messages whose Sync was not sent, nor a Query, which does without unless it is skipped. */
static bool is_amid_pipeline(const struct sql_session *s)
{
    return s->in_exchange && s->lease != NULL &&
           (!s->query_last || pg_expect_is_skipping(&s->lease->expect));
}

/* Whole exchanges are under way, in front of what was begun. */
static bool owes_answers(const struct sql_session *s)
{
    if (s->lease == NULL || is_amid_copy(s))
        return false;
    if (!is_amid_pipeline(s) && s->frame_left == 0)
        return !pg_expect_is_empty(&s->lease->expect);
    return pg_expect_owes_end(&s->lease->expect, s->frame_asks && !s->drops_frame);
}

/* What was asked is done first, as the server would. */
static size_t wait_for_answers(struct sql_session *s)
{
    s->barrier = !is_amid_pipeline(s);
    s->ends = true;
    return 0;
}

/* A transaction that it has is undone, and so is an exchange without its Sync. */
static size_t leave(struct sql_session *s, struct slice in)
{
    if (owes_answers(s))
        return wait_for_answers(s);
    sql_session_end(s, CLOSE_CLIENT_QUIT);
    return in.len;
}

static void refuse_frame(struct sql_session *s, enum err err, struct pg_frame f)
{
    if (err == ERR_NONE && pg_front_max_bytes(f.type) == 0)
        sql_session_fatal(s, "08P01", "invalid frontend message type %u", f.type);
    else
        sql_session_fatal(s, "08P01", "invalid message length");
}

/* Something was prepared at a replica, and asked to be flushed; what comes next may belong
 * elsewhere. */
static bool may_move(const struct sql_session *s)
{
    return s->in_exchange && s->began_half && !s->executed && s->status == PG_STATUS_IDLE &&
           s->pins == 0 && s->lease != NULL && !is_at_primary(s) &&
           !pg_expect_is_skipping(&s->lease->expect);
}

/* A Query and a FunctionCall end the exchange.  All else that is not the primary's stays; and what
 * is behind a Bind, whose portal would not. */
static bool must_move(struct sql_session *s, struct slice in, struct pg_frame f, bool *is_whole)
{
    struct sql_gathering g;

    *is_whole = true;
    if (!may_move(s))
        return false;
    if (f.type == PG_FRONT_QUERY || f.type == PG_FRONT_FUNCTION_CALL)
        return true;
    if ((f.type != PG_FRONT_PARSE && f.type != PG_FRONT_BIND) || s->bound)
        return false;
    *is_whole = sql_gather(s, in, &g);
    return *is_whole && is_the_primarys(&g);
}

static void end_half(struct sql_session *s)
{
    struct buf out = { 0 };

    (void)!pg_expect_push(&s->lease->expect, (struct pg_expected){ .kind = PG_EXPECT_SYNC,
                                                                   .flags = PG_EXPECT_SWALLOW });
    pg_put_sync(&out);
    upstream_put(&s->lease->base, buf_all(&out));
    buf_fini(&out);
    pg_statements_session_sync(&s->statements);
    s->in_exchange = false;
    s->barrier = true; /* until the lease is given back */
    session_request_ends(&s->base);
}

/* False: it is none of Sheaf's.  True, and *used 0: it waits. */
static bool seen_to_within(struct sql_session *s, struct slice in, size_t *used)
{
    enum begin begin = answer_within(s, in, used);

    if (begin != BEGIN_ANSWERED)
        *used = 0;
    return begin != BEGIN_DONE;
}

/* Its transaction, of which nothing is at the replica, is begun anew at the primary. */
static void leave_replica(struct sql_session *s)
{
    struct sql_upstream *u = s->lease;

    (void)sql_begin_elsewhere(s);
    sql_lease_drop(u);
    sql_upstream_reset(u, false);
}

/* What comes behind BEGIN may be asked elsewhere, as that may, or must be.  False: it is not whole,
 * or waits. */
static bool place_behind_begin(struct sql_session *s, struct slice in)
{
    bool follows = s->begun == SQL_BEGUN_READING;
    struct sql_gathering g;

    if (s->lease == NULL || s->in_exchange ||
        (!follows && s->begun != SQL_BEGUN_ALONE && s->begun != SQL_BEGUN_READS))
        return true;
    if (!sql_gather(s, in, &g))
        return false;
    if (follows) {
        s->barrier = !sql_begin_may_follow(s, &g);
        return !s->barrier;
    }
    if (sql_begin_is_misplaced(s, &g)) {
        leave_replica(s);
        return true;
    }
    begin_hold(s, &g);
    /* Else it may be about a portal that is there; and who asks for replicas stays at his. */
    s->lease->holds &= g.any && s->route != SQL_ROUTE_REPLICA;
    s->lease->sqlstate[0] = '\0';
    sql_begin_go_on(s, &g);
    return true;
}

/* What is under way at a replica may end what keeps the session there, and what comes next be for
 * the primary: it waits for that. */
static bool may_leave_before(const struct sql_session *s)
{
    return !s->in_exchange && !is_at_primary(s) && !pg_expect_is_empty(&s->lease->expect) &&
           !s->copies && !pg_expect_is_copying_in(&s->lease->expect) &&
           s->begun != SQL_BEGUN_READING && s->route != SQL_ROUTE_REPLICA &&
           sql_account_pooling(s->account) == SQL_POOLING_TRANSACTION;
}

/* To the lease, that stays whatever is asked. */
static size_t go_on_there(struct sql_session *s, struct slice in, struct pg_frame f)
{
    sql_demotion_look(sql_side_of(s));
    if (s->lease != NULL && !s->in_exchange && pg_expect_is_empty(&s->lease->expect)) {
        sql_slow_listen(s->lease);
        if (!set_server(s, NULL) || !sql_begin_again(s) || !sql_commit_look(s, in))
            return 0;
    } else if (s->lease != NULL && (!may_be_sent_behind(s) || may_leave_before(s))) {
        s->barrier = true;
        return 0;
    }
    return sql_message_forward(s, in, f, NULL);
}

/* What begin_exchange() has found the Query to be that comes first, if all of that is in the class
 * itself. */
static const struct sql_class *class_of_first(const struct sql_gathering *g, struct pg_frame f)
{
    bool is_known = f.type == PG_FRONT_QUERY && g->class.text.at != NULL;

    return is_known && g->class.script == NULL ? &g->class : NULL;
}

static size_t ask_one(struct sql_session *s, struct slice in)
{
    struct pg_frame f = { 0 };
    enum err err = pg_frame_read(in, &f);
    struct sql_gathering g;
    size_t used = 0;
    bool is_whole;

    if (err == ERR_AGAIN)
        return 0;
    if (sql_gather_ends_before(err, f)) {
        if (s->lease != NULL && !pg_expect_is_empty(&s->lease->expect) && !is_amid_copy(s))
            return sql_message_wait(s); /* what was asked before is answered first */
        refuse_frame(s, err, f);
        return in.len;
    }
    if (f.type == PG_FRONT_TERMINATE)
        return leave(s, in);
    if (s->skips)
        return skip_message(s, in, f);
    if (must_move(s, in, f, &is_whole)) {
        if (!pg_expect_is_empty(&s->lease->expect))
            return sql_message_wait(s); /* an error of it would have what comes skipped */
        end_half(s);
        return 0;
    }
    if (!is_whole)
        return 0;
    if (is_amid_copy(s))
        return go_on_there(s, in, f); /* whatever it is: that waits for what the client says */
    if (sql_keeps_lease(s) && may_be_ours(s, in, f) && seen_to_within(s, in, &used))
        return used;
    if (!place_behind_begin(s, in))
        return 0;
    if (f.type == PG_FRONT_COPY_DATA || f.type == PG_FRONT_COPY_DONE ||
        f.type == PG_FRONT_COPY_FAIL || sql_keeps_lease(s))
        return go_on_there(s, in, f);
    switch (begin_exchange(s, in, &g, &used)) {
    case BEGIN_WAITS:
        return 0;
    case BEGIN_ANSWERED:
        return used;
    case BEGIN_DONE:
        if (!sql_begin_again(s))
            return 0;
        break;
    }
    return sql_message_forward(s, in, f, class_of_first(&g, f));
}

static bool may_ask(struct sql_session *s)
{
    bool barred =
        (s->barrier || s->copy_barrier) && s->frame_left == 0; /* half a message is no use */

    if (s->base.state == SESSION_CLOSING || s->stage != SQL_READY || s->waits != SQL_WAITS_NOT ||
        barred)
        return false;
    if (s->lease == NULL)
        return true;
    if (s->lease->base.put_bytes - s->lease->base.written_bytes <= SQL_UNSENT_BYTES)
        return true;
    if (s->lease->base.blocked)
        session_pause(&s->base); /* until sql_upstream_drained() */
    else
        session_recall(&s->base); /* it is written when this turn is over, and then goes on */
    return false;
}

/* A message, a pipeline or a COPY; what waits may still make it whole, and what is whole in front
 * of it is answered first. */
static bool left_half(struct sql_session *s, size_t left)
{
    if ((!is_amid_pipeline(s) && s->frame_left == 0 && !is_amid_copy(s)) || owes_answers(s))
        return false;
    return (left == 0 && s->replay.len == 0) || may_ask(s);
}

bool sql_ask_left(struct sql_session *s, size_t left)
{
    if (left_half(s, left)) {
        sql_session_end(s, CLOSE_CLIENT_LEFT);
        return true;
    }
    if (s->lease == NULL || pg_expect_is_empty(&s->lease->expect))
        sql_session_holds(s, false); /* its transaction, in which nothing more comes */
    return false;
}

static size_t ask_all(struct sql_session *s, struct slice in)
{
    size_t at = 0;

    while (at < in.len && may_ask(s)) {
        struct slice rest = slice_from(in, at);
        size_t used = s->frame_left > 0 ? sql_message_stream(s, rest) : ask_one(s, rest);

        if (used == 0)
            break;
        at += used;
    }
    return at;
}

/* What waits for something that is under way, be it what Sheaf asks first, is owed an answer: the
 * session stays for it, though its client sends no more. */
static void owe(struct sql_session *s, bool waits)
{
    if (s->asks_more == waits)
        return;
    s->asks_more = waits;
    if (waits)
        session_request_begins(&s->base);
    else
        session_request_ends(&s->base);
}

size_t sql_ask_input(struct sql_session *s, struct slice in)
{
    size_t used = 0;

    sql_local_follow(s);
    if (s->replay.len > 0) {
        size_t again = ask_all(s, buf_all(&s->replay));

        if (s->base.state == SESSION_CLOSING)
            return in.len;
        buf_skip(&s->replay, again);
        if (s->replay.len == 0)
            buf_fini(&s->replay);
    }
    if (s->replay.len == 0)
        used = ask_all(s, in);
    if (s->base.state == SESSION_CLOSING || s->stage != SQL_READY)
        return in.len;
    owe(s, s->barrier && (used < in.len || s->replay.len > 0));
    if (used == in.len && s->lease != NULL && s->waits == SQL_WAITS_NOT && !sql_keeps_lease(s) &&
        pg_expect_is_empty(&s->lease->expect))
        sql_lease_end(s->lease); /* what it was for came to nothing */
    if (s->base.ended && sql_ask_left(s, in.len - used))
        return in.len;
    if (in.len - used > SQL_KEPT_BYTES && s->base.need <= in.len)
        session_pause(&s->base); /* it is heard again when it need not wait */
    return used;
}
