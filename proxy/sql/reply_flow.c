/* What a server says, in order: each frame belongs to what the upstream owes (pg_expect.h).  Most
 * is passed on as it came, in one piece for all that one read brought; what was asked on nobody's
 * behalf is swallowed.
 *
 * A replica's answer to an exchange that may be asked elsewhere is held until it is sure to be
 * one: if an error comes first that only says that the replica is not the right server, all of
 * it is dropped and the exchange asked again. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/log.h"
#include "proxy/sql/cancel_flow.h"
#include "proxy/sql/catalog_flow.h"
#include "proxy/sql/code_flow.h"
#include "proxy/sql/commit_flow.h"
#include "proxy/sql/sql_words.h"

/* One read's bytes while they are gone through. */
struct reply {
    struct sql_upstream *u;
    struct slice in;
    size_t at;   /* looked at */
    size_t from; /* of what is to be passed on: up to `at` */
};

/* ---- passing on ---- */

void sql_reply_release(struct sql_upstream *u)
{
    u->holds = false;
    if (u->kept.cap > SQL_HOLD_BYTES)
        buf_fini(&u->kept);
    if (u->held.len == 0)
        return;
    if (u->lessee != NULL)
        sql_session_put(u->lessee, buf_all(&u->held));
    buf_clear(&u->held);
}

static void deliver(struct sql_upstream *u, struct slice bytes)
{
    if (bytes.len == 0 || u->lessee == NULL)
        return;
    if (u->holds && u->held.len + bytes.len <= SQL_HOLD_BYTES) {
        buf_slice(&u->held, bytes);
        return;
    }
    sql_reply_release(u);
    sql_session_put(u->lessee, bytes);
}

static void flush_run(struct reply *r)
{
    deliver(r->u, slice_of(r->in.at + r->from, r->at - r->from));
    r->from = r->at;
}

/* Over the frame, or the part of it that is there. */
static void advance(struct reply *r, struct pg_frame f, bool shown)
{
    size_t there = r->in.len - r->at;
    size_t here = f.bytes < there ? f.bytes : there;

    if (!shown)
        flush_run(r);
    r->at += here;
    if (!shown)
        r->from = r->at;
    r->u->frame_left = f.bytes - here;
    r->u->frame_shown = shown;
}

static void say(struct reply *r, struct buf *out)
{
    flush_run(r);
    deliver(r->u, buf_all(out));
    buf_fini(out);
}

/* ---- in place of the server ---- */

static void fakes(struct sql_upstream *u)
{
    struct pg_expected e;
    struct buf out = { 0 };

    while (pg_expect_fake(&u->expect, &e)) {
        if (e.kind == PG_EXPECT_PARSE)
            pg_put_parse_complete(&out);
        else if (e.kind == PG_EXPECT_CLOSE)
            pg_put_close_complete(&out);
        else if (e.kind == PG_EXPECT_DESCRIBE_STATEMENT)
            sql_result_put_none(e.subject, &out);
        sql_settle_entry(u, &e, PG_OUTCOME_DONE);
    }
    deliver(u, buf_all(&out));
    buf_fini(&out);
}

static bool owes_fake(const struct sql_upstream *u)
{
    const struct pg_expected *head = pg_expect_head(&u->expect);

    return head != NULL && (head->flags & PG_EXPECT_FAKE);
}

void sql_reply_fakes(struct sql_upstream *u)
{
    if (owes_fake(u))
        fakes(u);
}

/* ---- parameters ---- */

/* What depends on the server's role is the primary's to tell, whoever answers. */
static bool is_of_role(struct slice name)
{
    return slice_is_text(name, "in_hot_standby");
}

static bool is_set(const struct pg_settings *v, struct slice name)
{
    char lower[PG_SETTINGS_NAME_BYTES];
    struct slice value;
    size_t len = name.len < sizeof(lower) ? name.len : sizeof(lower);

    for (size_t i = 0; i < len; i++)
        lower[i] = (char)tolower(name.at[i]);
    return pg_settings_find(v, slice_of(lower, len), &value);
}

/* Counted.  A replica may be configured to begin all transactions read only, as it can't do more:
 * a client who heard that would think it of the primary, too.  What he changes himself, in a
 * transaction that is at the replica, he hears. */
static const struct pg_settings *to_be_told(const struct sql_session *s,
                                            const struct sql_upstream *u, struct slice changed)
{
    struct slice name = slice_text("default_transaction_read_only"), own, before;
    const struct pg_settings *v = pg_settings_ref(u->reported);

    if (sql_is_primary(u->endpoint) ||
        (slice_is(changed, name) && u->status == PG_STATUS_IN_TRANSACTION) ||
        is_set(u->settings, name) || !pg_settings_find(u->reported, name, &own) ||
        !pg_settings_find(s->told, name, &before) || slice_is(own, before))
        return v;
    pg_settings_report(sql_side_of(s)->interned, &v, name, before);
    return v;
}

/* By what the server just said has `changed`, or with an answer's end. */
static void tell_news(struct reply *r, struct slice changed)
{
    struct sql_upstream *u = r->u;
    struct sql_session *s = u->lessee;
    struct pg_settings_walk walk = { 0 };
    const struct pg_settings *now;
    struct pg_setting news;
    struct buf out = { 0 };

    if (s == NULL || s->told == u->reported || s->stage != SQL_READY)
        return;
    flush_run(r);
    now = to_be_told(s, u, changed);
    while (pg_settings_news(s->told, now, &walk, &news))
        pg_put_parameter_status(&out, news.name, news.value);
    deliver(u, buf_all(&out));
    buf_fini(&out);
    pg_settings_unref(sql_side_of(s)->interned, &s->told);
    s->told = now;
}

static void report(struct reply *r, struct slice body, bool shown)
{
    struct sql_upstream *u = r->u;
    struct pg_parameter p;

    if (pg_read_parameter_status(body, &p) != ERR_NONE)
        return;
    if (is_of_role(p.name)) {
        sql_upstream_stands_by(u, p.value);
        return;
    }
    pg_settings_report(u->endpoint->side->interned, &u->reported, p.name, p.value);
    if (!is_set(u->settings, p.name)) /* the server's own configuration has changed */
        sql_welcomes_forget();
    if (!shown || u->holds)
        return;
    tell_news(r, p.name);
}

/* ---- errors ---- */

static void note_error(struct sql_upstream *u, const struct pg_report *report)
{
    size_t len = report->sqlstate.len < 5 ? report->sqlstate.len : 5;

    memcpy(u->sqlstate, report->sqlstate.at, len);
    u->sqlstate[len] = '\0';
}

/* By which of its names the session spoke of a statement. */
static uint32_t mark_of(const struct sql_session *s, const struct pg_expected *whose)
{
    const struct pg_statement *st = whose->kind == PG_EXPECT_EXECUTE ? whose->subject : NULL;
    const struct sql_note *note = st == NULL ? NULL : st->note;

    if (whose->note & SQL_NOTE_EDITED)
        return sql_edits_mark(s->edits);
    if (note != NULL && note->name != NULL) /* EXECUTE x */
        return pg_statement_name_mark(slice_of(note->name, note->name_len));
    return whose->kind == PG_EXPECT_PARSE || whose->kind == PG_EXPECT_BIND ? whose->number : 0;
}

/* The server spoke of a statement by the name that it knows. */
static void say_reworded(struct reply *r, struct pg_report *report, const struct pg_expected *whose)
{
    struct buf said = { 0 }, message = { 0 }, out = { 0 };

    if (whose->note & SQL_NOTE_CHANGED)
        sql_result_reword(whose, report, &out);
    buf_slice(&said, report->message);
    if (whose->kind == PG_EXPECT_BIND)
        sql_statement_reword(whose->subject, &said);
    pg_statements_session_reword(&r->u->lessee->statements, buf_all(&said),
                                 mark_of(r->u->lessee, whose), &message);
    sql_nobody_reword(r->u->lessee, &message);
    report->message = buf_all(&message);
    pg_put_error(&out, report);
    say(r, &out);
    buf_fini(&said);
    buf_fini(&message);
}

/* Queries and FunctionCalls get no ReadyForQuery of their own then. */
static void settle_skipped(struct sql_upstream *u)
{
    struct sql_session *s = u->lessee;
    struct pg_expected e;

    while (pg_expect_skipped(&u->expect, &e)) {
        bool is_request = e.kind == PG_EXPECT_QUERY || e.kind == PG_EXPECT_FUNCTION_CALL;

        if (s != NULL && is_request && !(e.flags & PG_EXPECT_SWALLOW) &&
            !(e.note & SQL_NOTE_GOES_ON)) {
            session_request_ends(&s->base);
            s->copies = false;
        }
        sql_settle_entry(u, &e, PG_OUTCOME_SKIPPED);
    }
}

static bool is_commit_mark(uint16_t note)
{
    return (note & SQL_NOTE_COMMIT) == SQL_NOTE_COMMIT;
}

static void log_unasked(struct sql_upstream *u, const struct pg_report *report, uint16_t note)
{
    log_event(LOG_WARN,
              (note & SQL_NOTE_BEFORE) == SQL_NOTE_SETTINGS && !is_commit_mark(note)
                  ? "settings of a session can't be set on a server"
                  : "a server refused what Sheaf asked",
              log_text("pool", u->endpoint->side->name), log_text("endpoint", u->endpoint->name),
              log_slice("error", report->message));
}

static bool speaks_of_ours(const struct pg_report *report)
{
    static const char PREFIX[] = "\"_sheaf_";

    return memmem(report->message.at, report->message.len, PREFIX, sizeof(PREFIX) - 1) != NULL;
}

/* The server takes data, or will not: what was held back behind a COPY FROM STDIN follows. */
static void end_copy_barrier(struct sql_upstream *u)
{
    if (u->lessee == NULL)
        return;
    u->lessee->copy_ended = false;
    if (!u->lessee->copy_barrier && !u->lessee->base.ended) /* whose data would never come */
        return;
    u->lessee->copy_barrier = false;
    sql_session_go_on(u->lessee);
}

/* What a Query was to execute could not be prepared: that is the error which it will have. */
static void keep_failure(struct reply *r, struct pg_frame f)
{
    struct slice rest = slice_from(r->in, r->at);

    buf_clear(&r->u->failure);
    if (pg_frame_is_whole(rest, f))
        buf_slice(&r->u->failure, pg_frame_body(rest, f));
}

/* The server's error as the client is to hear it.  True: it is not what the server said. */
static bool take_report(struct sql_upstream *u, const struct pg_expected *whose, struct slice body,
                        struct pg_report *report, char digits[SQL_PLACE_BYTES])
{
    bool is_another = false;

    if (u->failure.len > 0 && (whose->note & SQL_NOTE_EDITED)) {
        body = buf_all(&u->failure);
        is_another = true;
    }
    if (pg_read_report(body, report) != ERR_NONE)
        return false;
    if (!(whose->note & SQL_NOTE_APART))
        note_error(u, report);
    if (whose->kind == PG_EXPECT_BIND)
        sql_result_is_stale(u, whose->subject, report);
    if (!is_another && sql_edits_place(u, whose, report, digits))
        is_another = true;
    return is_another || (whose->note & SQL_NOTE_CHANGED) || speaks_of_ours(report);
}

enum telling { TELL, TELL_NOT, TELL_ENDS };

/* Is the session told of it?  TELL_ENDS: the upstream is gone. */
static enum telling tell_error(struct reply *r, struct pg_frame f, const struct pg_report *report,
                               bool shown)
{
    struct sql_upstream *u = r->u;
    const struct pg_expected *whose = &u->expect.ended;

    if (u->lessee != NULL && u->lessee->stage == SQL_WELCOMING) {
        sql_entry_tell_error(u->lessee, report);
        return TELL_NOT;
    }
    if (shown && u->holds && sql_heal_may(u)) {
        sql_begin_refused(u, report);
        u->refused = true;
        buf_clear(&u->held);
        r->from = r->at;
        return TELL_NOT;
    }
    if (shown)
        return u->refused ? TELL_NOT : TELL;
    if (u->lessee != NULL && (whose->note & SQL_NOTE_SETTINGS)) {
        log_unasked(u, report, whose->note);
        advance(r, f, false);
        sql_reply_settings_fail(u, report);
        return TELL_ENDS;
    }
    if (whose->note & SQL_NOTE_APART) { /* whoever needs it will be told */
        if (!(whose->note & SQL_NOTE_RESULT))
            keep_failure(r, f);
        return TELL_NOT;
    }
    if (whose->kind == PG_EXPECT_PARSE || (whose->note & (SQL_NOTE_PREPARES | SQL_NOTE_RESULT)))
        return u->refused ? TELL_NOT : TELL; /* what it had prepared can't be any more */
    log_unasked(u, report, whose->note);
    u->ending = true;
    return TELL_NOT;
}

/* False: the upstream is gone. */
static bool on_error(struct reply *r, struct pg_frame f, unsigned turn)
{
    struct sql_upstream *u = r->u;
    struct pg_expected *whose = &u->expect.ended;
    struct slice rest = slice_from(r->in, r->at);
    struct slice body = pg_frame_is_whole(rest, f) ? pg_frame_body(rest, f) : slice_of(NULL, 0);
    struct pg_report report = { 0 };
    struct buf hint = { 0 };
    char digits[SQL_PLACE_BYTES];
    enum telling telling;
    bool shown, is_another = take_report(u, whose, body, &report, digits);

    if (turn & PG_TURN_STRAY) {
        advance(r, f, false);
        sql_upstream_says_goodbye(u, &report);
        return false;
    }
    telling = tell_error(r, f, &report, !(turn & PG_TURN_SWALLOW));
    if (telling == TELL_ENDS)
        return false;
    shown = telling == TELL;
    u->error_told |= shown;
    if (shown &&
        (slice_is_text(report.severity, "FATAL") || slice_is_text(report.severity, "PANIC")))
        u->fatal = true; /* the session ends with its server, as it would without Sheaf */
    if (shown && u->lessee != NULL && (sql_begin_hint(u, &report, &hint) || is_another)) {
        advance(r, f, false);
        say_reworded(r, &report, whose);
    } else {
        advance(r, f, shown);
    }
    buf_fini(&hint);
    if (turn & PG_TURN_ENDS)
        sql_settle_entry(u, whose, PG_OUTCOME_FAILED);
    if (turn & PG_TURN_SKIPS)
        settle_skipped(u);
    if (shown && pg_expect_is_skipping(&u->expect))
        sql_reply_release(u); /* a Query ended it that is skipped: no ReadyForQuery comes */
    if (pg_expect_is_empty(&u->expect)) /* else what failed came before the COPY */
        end_copy_barrier(u);
    return true;
}

/* ---- ready ---- */

/* What ended with it is done, or failed. */
static void settle_ready(struct sql_upstream *u, const struct pg_expected *ended, bool shown)
{
    sql_settle_entry(u, ended, u->sqlstate[0] == '\0' ? PG_OUTCOME_DONE : PG_OUTCOME_FAILED);
    if ((ended->note & SQL_NOTE_PROBE) && u->probing)
        sql_probe_ended(u);
    else if ((ended->note & SQL_NOTE_PROBE) && !is_commit_mark(ended->note))
        sql_begin_isolation_ended(u);
    if (ended->note & SQL_NOTE_PROBE)
        sql_cancel_if_due(u);
    if (u->lessee != NULL && !(ended->flags & PG_EXPECT_SWALLOW)) {
        if (ended->flags & PG_EXPECT_WRITES) {
            u->lessee->has_written = true;
            u->sequences_pid = u->lessee->key_pid; /* by nextval(), for all that is known */
        }
        u->lessee->may_commit |= (ended->flags & PG_EXPECT_COMMITS) != 0;
    }
    if ((ended->note & SQL_NOTE_GOES_ON) && u->sqlstate[0] != '\0')
        u->hides_settings = u->lacks_start = true; /* what follows is done all the same */
    if (shown)
        buf_fini(&u->failure);
}

/* A Query, or a function call, ends a pipeline that has no Sync, as one does: asyncpg prepares with
 * a Flush alone.  It is the last of them, for nothing is owed behind it. */
static void end_without_sync(struct sql_session *s, const struct pg_expect *expect)
{
    if (s->in_exchange && !pg_expect_is_swallowed(expect))
        return;
    if (s->in_exchange)
        session_request_ends(&s->base);
    s->in_exchange = s->deeds_sent = false;
}

/* False: the upstream is not this exchange's any more. */
static bool on_ready(struct reply *r, struct pg_frame f, unsigned turn)
{
    struct sql_upstream *u = r->u;
    struct pg_expected ended = u->expect.ended;
    enum pg_status status;
    bool goes_on = ended.note & SQL_NOTE_GOES_ON;
    bool shown = !(turn & PG_TURN_SWALLOW) && !u->refused && !goes_on;

    if (pg_read_ready(pg_frame_body(slice_from(r->in, r->at), f), &status) != ERR_NONE) {
        upstream_fail(&u->base, ERR_PROTOCOL, "a ReadyForQuery that is not well formed");
        return false;
    }
    u->status = status;
    if (ended.kind == PG_EXPECT_SYNC && !(turn & PG_TURN_SWALLOW) && u->syncs_open > 0)
        u->syncs_open--;
    if (shown) {
        u->error_told = false;
        sql_reply_release(u);
        tell_news(r, (struct slice){ 0 });
    }
    advance(r, f, shown);
    flush_run(r);
    settle_ready(u, &ended, shown);
    if (u->lessee != NULL && shown) {
        if (ended.kind != PG_EXPECT_SYNC && u->lessee->query_last)
            end_without_sync(u->lessee, &u->expect);
        if (pg_expect_is_empty(&u->expect)) {
            u->lessee->copies = false;
            end_copy_barrier(u);
        }
    }
    if (u->refused && !(turn & PG_TURN_SWALLOW))
        sql_reply_elsewhere(u);
    else if (shown && u->lessee != NULL)
        sql_exchange_answered(u);
    if (pg_expect_is_empty(&u->expect))
        sql_exchange_ended(u);
    return u->base.state == UPSTREAM_READY;
}

/* ---- frames ---- */

static bool is_noted(const struct sql_upstream *u, uint16_t note)
{
    const struct pg_expected *head = pg_expect_head(&u->expect);

    return head != NULL && (head->note & note);
}

/* Those whose content matters, or that must not be told in halves. */
static bool must_be_whole(const struct sql_upstream *u, struct pg_frame f)
{
    switch (f.type) {
    case PG_BACK_DATA_ROW:
        return is_noted(u, SQL_NOTE_PROBE);
    case PG_BACK_ROW_DESCRIPTION:
    case PG_BACK_PARAMETER_DESCRIPTION:
        return is_noted(u, SQL_NOTE_RESULT) && f.bytes <= SQL_COLUMNS_BYTES;
    case PG_BACK_COPY_DATA:
    case PG_BACK_FUNCTION_RESULT:
        return false;
    }
    return true;
}

static bool read_fingerprint(struct sql_upstream *u, struct slice body)
{
    struct pg_row row;
    struct slice text;

    if (pg_read_row(body, &row) != ERR_NONE || row.count != 2)
        return false;
    text = pg_row_value(&row, 1).bytes;
    if (text.len < sizeof(u->fingerprint))
        snprintf(u->fingerprint, sizeof(u->fingerprint), "%.*s", (int)text.len,
                 (const char *)text.at);
    return true;
}

static uint32_t whole_most(uint8_t type)
{
    return type == PG_BACK_ROW_DESCRIPTION || type == PG_BACK_PARAMETER_DESCRIPTION ||
                   type == PG_BACK_DATA_ROW /* of two values, in letters of four bytes */
               ? SQL_COLUMNS_BYTES
               : SQL_WHOLE_BYTES;
}

static void read_probe_row(struct sql_upstream *u, struct slice body)
{
    struct sql_session *s = u->lessee;
    struct pg_pins_row row;

    if (s == NULL) /* he has left, and the rest of a probe is not about anything else */
        return;
    if (!u->probing)
        sql_begin_isolation(u, body);
    if (!u->probing || read_fingerprint(u, body) || pg_pins_read_row(body, &row) != ERR_NONE)
        return;
    if (!row.is_setting) {
        u->found = row.pins;
        if (row.prepared != u->prepared.count) {
            u->ending = true; /* code has prepared some of our names, or forgotten them */
            pg_prepared_doubt(&u->prepared);
        }
        return;
    }
    if (!sql_code_saw(s, row.name, row.value) &&
        pg_settings_session_found(u->endpoint->side->interned, &s->settings, &u->settings_found,
                                  row.name, row.value, row.shown) != ERR_NONE)
        s->pins |= PG_PIN_SETTINGS_LIMIT;
}

static void on_complete(struct sql_upstream *u, struct slice body, uint16_t note, bool reworded)
{
    struct sql_session *s = u->lessee;
    struct slice tag;

    if (!u->refused)
        sql_reply_release(u);
    if (s == NULL)
        return;
    s->changes_catalog |= s->may_change_catalog;
    if ((s->deeds == NULL && s->settings.undo == NULL && !s->changes_catalog) ||
        pg_read_complete(body, &tag) != ERR_NONE)
        return;
    if (s->changes_catalog && slice_is_text(tag, "COMMIT"))
        sql_catalog_changed(s); /* another transaction may follow at once */
    sql_deeds_complete(u, note, reworded, tag);
}

static bool on_async(struct reply *r, struct pg_frame f, unsigned turn)
{
    struct sql_upstream *u = r->u;
    bool shown = u->lessee != NULL && !u->refused &&
                 (f.type == PG_BACK_NOTIFICATION || !(turn & PG_TURN_SWALLOW)) &&
                 (!pg_expect_is_empty(&u->expect) || u->lessee->pins != 0);
    struct slice body = pg_frame_body(slice_from(r->in, r->at), f);

    if (f.type == PG_BACK_PARAMETER_STATUS) {
        advance(r, f, false); /* of what was edited only the end is told */
        report(r, body, shown && !is_noted(u, SQL_NOTE_GOES_ON | SQL_NOTE_EDITED));
        return true;
    }
    advance(r, f, shown);
    return true;
}

/* A statement is done. */
static void say_complete(struct reply *r, struct pg_frame f, uint16_t note, uint32_t tag,
                         enum sql_edit_end edit)
{
    struct slice body = pg_frame_body(slice_from(r->in, r->at), f);
    struct buf out = { 0 };

    if (edit >= SQL_EDIT_TAGS) {
        tag = edit - SQL_EDIT_TAGS;
        note |= SQL_NOTE_RETAG;
    }
    if (edit == SQL_EDIT_RESTORED)
        note |= SQL_NOTE_RESTORED;
    on_complete(r->u, body, note, note & (SQL_NOTE_RETAG | SQL_NOTE_GOES_ON | SQL_NOTE_RESTORED));
    if (!(note & SQL_NOTE_RETAG)) {
        advance(r, f, true);
        return;
    }
    advance(r, f, false);
    pg_put_complete(&out, SQL_TAGS[tag]);
    say(r, &out);
}

/* A frame that is more than a row. */
static bool on_special(struct reply *r, struct pg_frame f, unsigned turn, uint16_t note,
                       uint32_t tag)
{
    enum sql_edit_end edit = note & SQL_NOTE_EDITED ? sql_edits_next(r->u) : SQL_EDIT_KEEP;
    struct sql_upstream *u = r->u;
    struct slice body = pg_frame_body(slice_from(r->in, r->at), f);
    struct pg_expected ended = u->expect.ended;
    bool shown = !(turn & PG_TURN_SWALLOW) && !u->refused;

    if (turn & PG_TURN_BAD) {
        upstream_fail(&u->base, ERR_PROTOCOL, "the server says what nobody asked for");
        return false;
    }
    if (turn & PG_TURN_ERROR)
        return on_error(r, f, turn);
    if (turn & PG_TURN_STRAY)
        return on_error(r, f, turn);
    if (turn & PG_TURN_ASYNC)
        return on_async(r, f, turn);
    if (f.type == PG_BACK_READY)
        return on_ready(r, f, turn);
    if (f.type == PG_BACK_COMMAND_COMPLETE && (body.len == 0 || body.at[body.len - 1] != 0)) {
        upstream_fail(&u->base, ERR_PROTOCOL, "a CommandComplete that is not well formed");
        return false;
    }
    if (f.type == PG_BACK_COMMAND_COMPLETE && shown && edit != SQL_EDIT_SWALLOW)
        say_complete(r, f, note, tag, edit);
    else
        advance(r, f, shown && edit != SQL_EDIT_SWALLOW);
    if (f.type == PG_BACK_PORTAL_SUSPENDED)
        sql_deeds_suspended(u, note);
    if (f.type == PG_BACK_COMMAND_COMPLETE && (note & SQL_NOTE_EDITED))
        sql_edits_done(u);
    if (turn & PG_TURN_ENDS)
        sql_settle_entry(u, &ended, PG_OUTCOME_DONE);
    return true;
}

/* Of a statement in other words, whose rows the client did not ask for. */
static bool is_hidden(const struct sql_upstream *u, struct pg_frame f, uint16_t note)
{
    return (note & SQL_NOTE_EDITED) &&
           (f.type == PG_BACK_DATA_ROW || f.type == PG_BACK_ROW_DESCRIPTION) &&
           sql_edits_next(u) >= SQL_EDIT_SWALLOW;
}

static bool on_frame(struct reply *r, struct pg_frame f)
{
    struct sql_upstream *u = r->u;
    struct slice rest = slice_from(r->in, r->at);
    const struct pg_expected *head = pg_expect_head(&u->expect);
    uint16_t note = head != NULL ? head->note : 0;
    uint32_t tag = head != NULL ? head->number >> SQL_TAG_SHIFT : 0;
    unsigned turn;

    if (note & SQL_NOTE_RESULT)
        sql_result_frame(u, head, rest, f);
    turn = pg_expect_frame(&u->expect, f.type);
    if (f.type == PG_BACK_COPY_IN || f.type == PG_BACK_COPY_BOTH) {
        sql_reply_release(u);
        end_copy_barrier(u);
    }
    if ((turn & ~PG_TURN_SWALLOW) != 0 || f.type == PG_BACK_COMMAND_COMPLETE) {
        if (!on_special(r, f, turn, note, tag))
            return false;
    } else {
        if (f.type == PG_BACK_DATA_ROW && is_commit_mark(note))
            sql_commit_marked(u, pg_frame_body(rest, f));
        else if (f.type == PG_BACK_DATA_ROW && (note & SQL_NOTE_PROBE))
            read_probe_row(u, pg_frame_body(rest, f));
        advance(r, f, !(turn & PG_TURN_SWALLOW) && !u->refused && !is_hidden(u, f, note));
    }
    if (owes_fake(u)) {
        flush_run(r);
        fakes(u);
    }
    return true;
}

static bool stream_on(struct reply *r)
{
    struct sql_upstream *u = r->u;
    size_t there = r->in.len - r->at;
    size_t here = u->frame_left < there ? (size_t)u->frame_left : there;

    r->at += here;
    if (!u->frame_shown)
        r->from = r->at;
    u->frame_left -= here;
    return true;
}

/* False: more must come first, or the upstream is gone. */
static bool step(struct reply *r)
{
    struct slice rest = slice_from(r->in, r->at);
    struct pg_frame f;
    enum err err;

    if (r->u->frame_left > 0)
        return stream_on(r);
    err = pg_frame_read(rest, &f);
    if (err == ERR_PROTOCOL) {
        upstream_fail(&r->u->base, ERR_PROTOCOL, "a message of an impossible length");
        return false;
    }
    if (err == ERR_AGAIN)
        return false;
    if (!pg_frame_is_whole(rest, f) && must_be_whole(r->u, f)) {
        if (f.bytes <= whole_most(f.type))
            return false;
        if (f.type != PG_BACK_ERROR && f.type != PG_BACK_NOTICE) {
            upstream_fail(&r->u->base, ERR_PROTOCOL, "a message that is longer than it may be");
            return false;
        }
    }
    return on_frame(r, f);
}

/* Long messages go from socket to socket. */
static void pass_rest(struct sql_upstream *u)
{
    bool passes =
        u->frame_left >= SQL_PASS_BYTES && u->frame_shown && !u->holds && u->lessee != NULL;

    u->base.pass_to = passes ? &u->lessee->base : NULL;
    u->base.pass_left = passes ? u->frame_left : 0;
}

/* A message of an exchange under way waited for what came before it; or for the data of a COPY that
 * was none: a cursor of SQL's had its portal's name. */
static bool has_waited(const struct sql_session *s, const struct sql_upstream *u)
{
    return (s->barrier || s->copy_barrier) && s->in_exchange && pg_expect_is_empty(&u->expect);
}

/* Its client sends no more, and half of something is the last: what was owed in front of that may
 * be skipped by now. */
static bool may_be_left(const struct sql_session *s)
{
    return s->base.ended && (s->in_exchange || s->frame_left > 0);
}

static void let_go_on(struct sql_upstream *u)
{
    struct sql_session *s = u->lessee;

    if (s == NULL)
        return;
    if (has_waited(s, u))
        s->barrier = s->copy_barrier = false;
    else if (!may_be_left(s))
        return;
    sql_session_go_on(s);
}

size_t sql_reply_input(struct sql_upstream *u, struct slice in)
{
    struct reply r = { .u = u, .in = in };

    counter_add(&u->endpoint->stats->bytes_in, in.len);
    while (r.at < in.len && u->base.state == UPSTREAM_READY)
        if (!step(&r))
            break;
    if (u->base.state != UPSTREAM_READY)
        return in.len;
    flush_run(&r);
    if (u->fatal && u->frame_left == 0) { /* nothing follows: its process ends, in its own time */
        upstream_fail(&u->base, ERR_CLOSED, "the server ended the connection");
        return in.len;
    }
    pass_rest(u);
    let_go_on(u);
    if (u->lessee != NULL && u->lessee->base.throttled)
        upstream_pause(&u->base, true);
    return r.at;
}
