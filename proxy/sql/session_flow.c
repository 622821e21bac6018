/* A session's life beside its exchanges: what the core tells of it, errors of ours, its end. */
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include "proxy/sql/cancel_flow.h"
#include "proxy/sql/catalog_flow.h"
#include "proxy/sql/commit_flow.h"
#include "proxy/sql/console_flow.h"
#include "proxy/sql/preset_flow.h"
#include "proxy/sql/sql_words.h"
#include "proxy/sql/tunnel_flow.h"

enum {
    WRITE_THROUGH_BYTES = 16 * 1024,
    TEXT_BYTES = 512, /* of an error of ours */
    HALF_MESSAGE_S =
        2, /* so long a session may hold a server with half a message, if others wait */
};

void sql_session_put(struct sql_session *s, struct slice bytes)
{
    sql_tally(s, SQL_DONE_SENT, bytes.len);
    if (bytes.len >= WRITE_THROUGH_BYTES) {
        session_write_through(&s->base, bytes);
    } else {
        chain_slice(&s->base.out, &s->base.worker->chunks, bytes);
        session_wants_flush(&s->base);
    }
    if (s->base.out.len > SQL_UNREAD_BYTES)
        s->base.throttled = true; /* its server is not read from: sql_reply_input() */
}

static void drained(struct session *base)
{
    struct sql_session *s = (struct sql_session *)base;

    base->throttled = false;
    if (s->lease != NULL)
        upstream_pause(&s->lease->base, false);
}

void sql_session_go_on(struct sql_session *s)
{
    if (s->base.state == SESSION_CLOSING)
        return;
    if (s->stage == SQL_WELCOMING)
        sql_entry_go_on(s);
    else if (s->base.state == SESSION_WAITING)
        session_resume(&s->base);
    session_recall(&s->base);
}

void sql_session_holds(struct sql_session *s, bool transaction)
{
    if (s->in_transaction == transaction || (transaction && s->base.ended))
        return;
    s->in_transaction = transaction;
    if (transaction)
        session_request_begins(&s->base);
    else
        session_request_ends(&s->base);
}

static void forget_requests(struct sql_session *s)
{
    while (s->base.open_requests > 0)
        session_request_ends(&s->base);
    s->in_transaction = s->asks_more = false;
}

/* ---- errors ---- */

static void put_error(struct sql_session *s, const char *severity, const char *sqlstate,
                      const char *hint, const char *text)
{
    struct buf out = { 0 };

    pg_put_error_hint(&out, severity, sqlstate, hint, text);
    sql_session_put(s, buf_all(&out));
    buf_fini(&out);
}

static void leave(struct sql_session *s, enum close_reason reason)
{
    sql_wait_end(s);
    sql_session_let_go(s);
    sql_commit_forget(s);
    forget_requests(s);
    s->stage = SQL_LEAVING;
    session_finish(&s->base, reason);
}

void sql_session_end(struct sql_session *s, enum close_reason reason)
{
    if (s->base.state != SESSION_CLOSING && s->stage != SQL_LEAVING)
        leave(s, reason);
}

/* What may have been done is not to be taken for undone, whatever its session ends for; and who was
 * shown half a message would take these words for the rest of it. */
static void put_fatal(struct sql_session *s, const char *sqlstate, const char *hint,
                      const char *text)
{
    const struct sql_upstream *u = s->lease;
    char doubtful[TEXT_BYTES + 64];
    bool is_doubtful = sql_loss_leaves_doubt(s);

    if (u != NULL && u->frame_left > 0 && u->frame_shown)
        return;
    snprintf(doubtful, sizeof(doubtful), "%s; what was asked may have been carried out", text);
    put_error(s, "FATAL", is_doubtful ? "08007" : sqlstate, hint, is_doubtful ? doubtful : text);
}

static void end_with(struct sql_session *s, const char *sqlstate, const char *hint,
                     const char *text)
{
    if (s->base.state == SESSION_CLOSING || s->stage == SQL_LEAVING)
        return;
    put_fatal(s, sqlstate, hint, text);
    leave(s, CLOSE_REFUSED);
}

void sql_session_fatal_hint(struct sql_session *s, const char *sqlstate, const char *hint,
                            const char *format, ...)
{
    va_list arguments;
    char text[TEXT_BYTES];

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    end_with(s, sqlstate, hint, text);
}

/* As PostgreSQL words it when it does the same. */
static void put_dismissal(struct sql_session *s)
{
    put_fatal(s, "57P01", "", "terminating connection due to administrator command");
}

void sql_session_kill(struct sql_session *s)
{
    if (s->base.state == SESSION_CLOSING || s->stage == SQL_LEAVING)
        return;
    put_dismissal(s);
    leave(s, CLOSE_KILLED);
}

static void fail_exchange(struct sql_session *s, const char *sqlstate, const char *hint,
                          const char *text)
{
    sql_wait_end(s);
    s->wait_since_us = 0;
    if (s->stage != SQL_READY || s->begun == SQL_BEGUN_AGAIN) { /* what it began is no more */
        end_with(s, sqlstate, hint, text);
        return;
    }
    counter_add(&sql_side_of(s)->stats->failures, 1);
    put_error(s, "ERROR", sqlstate, hint, text);
    s->skips = s->fails_next = true;
    s->forced = s->waited_for_position = s->healed = false;
    s->avoided = 0;
    sql_session_go_on(s);
}

void sql_session_fail_exchange_hint(struct sql_session *s, const char *sqlstate, const char *hint,
                                    const char *format, ...)
{
    va_list arguments;
    char text[TEXT_BYTES];

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fail_exchange(s, sqlstate, hint, text);
}

/* ---- the end ---- */

/* What it leaves behind at its server is undone, or the server's connection goes. */
void sql_session_let_go(struct sql_session *s)
{
    struct sql_upstream *u = s->lease;

    if (u == NULL)
        return;
    if (u->roster == NULL) { /* a tunnel's */
        sql_lease_drop(u);
        sql_upstream_close(u);
        return;
    }
    if (u->probing && u->expect.count == 1 && pg_pins_after_discard(s->pins) == 0) {
        u->probing = false; /* what it finds goes with all else */
        u->resetting = u->discards = true;
        u->asked_us = worker_now_us(s->base.worker);
        sql_lease_drop(u);
        return;
    }
    if (!pg_expect_is_empty(&u->expect) || s->in_exchange || s->frame_left > 0 ||
        pg_pins_after_discard(s->pins) != 0) {
        if (!pg_expect_is_empty(&u->expect))
            sql_cancel_upstream(u);
        sql_lease_drop(u);
        sql_upstream_close(u);
        return;
    }
    if (u->status != PG_STATUS_IDLE)
        sql_settings_undo(u);
    sql_lease_drop(u);
    sql_upstream_reset(u, s->pins != 0 || sql_account_pooling(s->account) == SQL_POOLING_SESSION);
}

static void end(struct session *base)
{
    struct sql_session *s = (struct sql_session *)base;
    struct sql_side *side = sql_side_of(s);

    sql_wait_end(s);
    sql_session_let_go(s);
    sql_commit_forget(s);
    sql_entry_free(s);
    sql_console_free(s);
    sql_deeds_forget(s);
    sql_edits_free(s, &s->edits);
    pg_statement_unref(side->statements, &s->said);
    pg_statement_unref(side->statements, &s->portal_said);
    buf_fini(&s->nobody);
    pg_statements_session_fini(side->statements, &s->statements);
    pg_settings_session_fini(side->interned, &s->settings);
    pg_settings_unref(side->interned, &s->told);
    buf_fini(&s->replay);
    pg_statement_unref(sql_side_of(s)->statements, &s->portal_prepares);
    if (s->changes_catalog || s->may_change_catalog)
        sql_catalog_changed(s);
    sql_presets_changed(s);
    sql_presets_forget(s);
    if (s->account != NULL)
        s->account->sessions--;
    s->account = NULL;
    counter_sub(&side->stats->sessions_open, 1);
}

/* A client that sends no more may read on, or be gone: what it knows already is told again, so that
 * its system says so. */
static void knock(struct sql_session *s)
{
    struct buf out = { 0 };

    if (s->stage != SQL_READY || s->base.out.len > 0 ||
        (s->lease != NULL && s->lease->frame_left > 0))
        return;
    pg_put_parameter_status(&out, slice_text("in_hot_standby"), slice_text("off"));
    sql_session_put(s, buf_all(&out));
    buf_fini(&out);
}

/* A client that sends no more: what it asked is still done and answered, what it left half is
 * not. */
static void half_closed(struct session *base)
{
    struct sql_session *s = (struct sql_session *)base;

    if (!base->ended && conn_has_input(&base->conn))
        knock(s); /* it is read on when there is room */
    else if (session_is_recalled(base))
        return; /* what is whole of what is kept is asked first */
    else
        (void)!sql_ask_left(s, base->in.len);
}

/* ---- input ---- */

static void begin(struct session *base)
{
    struct sql_session *s = (struct sql_session *)base;

    list_init(&s->wait_link);
    s->status = PG_STATUS_IDLE;
    counter_add(&sql_side_of(s)->stats->sessions_open, 1);
}

static size_t input(struct session *base, struct slice in)
{
    struct sql_session *s = (struct sql_session *)base;
    size_t used;

    switch (s->stage) {
    case SQL_OPENING:
    case SQL_ASKING:
    case SQL_ADMITTING:
    case SQL_WELCOMING:
        return sql_entry_input(s, in);
    case SQL_READY:
        used = sql_ask_input(s, in);
        sql_tally(s, SQL_DONE_RECEIVED, used);
        return used;
    case SQL_CONSOLE:
        return sql_console_input(s, in);
    case SQL_TUNNEL:
        return s->lease != NULL ? sql_tunnel_input(s, in) : in.len;
    case SQL_LEAVING:
        break;
    }
    return in.len;
}

/* As PostgreSQL words it when it does the same. */
static void dismissed(struct session *base)
{
    struct sql_session *s = (struct sql_session *)base;

    if (s->stage != SQL_READY) {
        session_close(base, base->reason);
        return;
    }
    if (base->reason == CLOSE_IDLE)
        put_fatal(s, "57P05", "",
                  "terminating connection due to idle-session timeout (idle_timeout)");
    else
        put_dismissal(s);
    leave(s, base->reason);
}

/* There are too many sessions, and too many who are to hear it: PostgreSQL's own words, which not
 * every client takes for an answer to its SSLRequest. */
static void turn_away(const struct session_limits *limits, int fd)
{
    struct buf out = { 0 };

    (void)limits;
    pg_put_error_hint(&out, "FATAL", "53300", SQL_TOO_MANY_HINT, "sorry, too many clients already");
    (void)!send(fd, out.at, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    buf_fini(&out);
}

void sql_session_tick(struct sql_session *s, uint64_t now_us)
{
    const struct sql_pool *settings = sql_side_of(s)->settings;
    uint64_t idle_ms = settings->idle_transaction_timeout_ms, query_ms = settings->query_timeout_ms;
    const struct sql_upstream *u = s->lease;

    if (s->base.ended && s->base.open_requests > 0)
        knock(s);
    if (u == NULL || s->stage != SQL_READY || s->base.state == SESSION_CLOSING)
        return;
    if (s->frame_left > 0 && u->roster != NULL && u->roster->waiter_count > 0 &&
        s->base.active_s + HALF_MESSAGE_S < now_us / 1000000)
        sql_session_fatal(s, "08P01",
                          "a message that was begun is not continued, and others wait for the "
                          "server connection");
    else if (idle_ms > 0 && s->status != PG_STATUS_IDLE && pg_expect_is_empty(&u->expect) &&
             now_us - s->status_us > idle_ms * 1000)
        sql_session_fatal(s, "25P03",
                          "terminating connection due to idle-in-transaction timeout "
                          "(idle_transaction_timeout)");
    else if (query_ms > 0 && !pg_expect_is_empty(&u->expect) &&
             now_us - u->asked_us > query_ms * 1000)
        sql_session_fatal(s, "57014", "canceling statement due to query_timeout");
}

const struct flow sql_flow = {
    .name = "sql",
    .tls_inside = true,
    .hears_surplus = true,
    .session_begin = begin,
    .session_input = input,
    .session_drained = drained,
    .session_half_closed = half_closed,
    .session_dismissed = dismissed,
    .turn_away = turn_away,
    .session_end = end,
    .upstream_connected = sql_upstream_connected,
    .upstream_input = sql_upstream_input,
    .upstream_passed = sql_upstream_passed,
    .upstream_lost = sql_upstream_lost,
    .upstream_drained = sql_upstream_drained,
};
