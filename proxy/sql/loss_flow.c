/* A server is lost, or does not take what a session has set: what its session is told, and whether
 * it goes on without it. */
#include <stdio.h>
#include <string.h>

#include "proxy/sql/catalog_flow.h"
#include "proxy/sql/commit_flow.h"
#include "proxy/sql/preset_flow.h"
#include "proxy/sql/sample_flow.h"
#include "proxy/sql/sql_flow.h"

static bool is_under_way(const struct sql_session *s, const struct sql_upstream *u)
{
    return !pg_expect_is_empty(&u->expect) || s->in_exchange;
}

static bool may_write(const struct sql_session *s, const struct sql_upstream *u)
{
    return s->dirties || s->has_written || (pg_expect_flags(&u->expect) & PG_EXPECT_WRITES);
}

/* Of all that is under way: what comes first may begin a transaction, or end that of the rest. */
static bool may_have_happened(const struct sql_session *s, const struct sql_upstream *u)
{
    if (!is_under_way(s, u))
        return false;
    return s->commits || s->may_commit || (pg_expect_flags(&u->expect) & PG_EXPECT_COMMITS) ||
           (s->status == PG_STATUS_IDLE && may_write(s, u));
}

/* What is told of what was under way. */
static const char *outcome_of(const struct sql_session *s, const struct sql_upstream *u,
                              const char **sqlstate)
{
    bool may = may_have_happened(s, u);

    *sqlstate = may ? "08007" : "08006";
    return may ? "what was asked may have been carried out" : "what was asked was not carried out";
}

/* Who asks whether it was done is to see it. */
static void heed_what_may_be_done(struct sql_session *s, const struct sql_upstream *u)
{
    if (may_have_happened(s, u))
        sql_mark_dirty(s);
    if (s->changes_catalog || s->may_change_catalog)
        sql_catalog_changed(s);
    s->may_change_catalog = false;
}

bool sql_loss_leaves_doubt(struct sql_session *s)
{
    const struct sql_upstream *u = s->lease;

    if (s->waits == SQL_WAITS_COMMIT)
        return true;
    if (s->stage != SQL_READY || u == NULL)
        return false;
    heed_what_may_be_done(s, u);
    return !pg_expect_is_empty(&u->expect) && may_have_happened(s, u);
}

/* Answers what is owed to the session: an error, and that it is ready again. */
static void answer_owed(struct sql_upstream *u, const char *sqlstate, const char *why)
{
    struct sql_session *s = u->lessee;
    struct pg_expected e;
    struct buf out = { 0 };
    bool told = u->error_told && u->held.len == 0; /* by the server: only its end is lost */

    while (pg_expect_take(&u->expect, &e)) {
        bool ends = e.kind == PG_EXPECT_QUERY || e.kind == PG_EXPECT_SYNC ||
                    e.kind == PG_EXPECT_FUNCTION_CALL;

        sql_settle_entry(u, &e, PG_OUTCOME_SKIPPED);
        if (e.flags & PG_EXPECT_SWALLOW)
            continue;
        if (!told)
            pg_put_error_text(&out, "ERROR", sqlstate, "%s", why);
        told = true;
        if (ends) {
            pg_put_ready(&out, PG_STATUS_IDLE);
            session_request_ends(&s->base);
            told = false;
        }
    }
    if (s->in_exchange) {
        s->in_exchange = false;
        s->skips = true; /* up to its Sync */
        session_request_ends(&s->base);
        if (!told)
            pg_put_error_text(&out, "ERROR", sqlstate, "%s", why);
    }
    sql_session_put(s, buf_all(&out));
    buf_fini(&out);
}

static bool lost_state(const struct sql_session *s, const struct sql_upstream *u)
{
    return s->pins != 0 || sql_account_pooling(s->account) == SQL_POOLING_SESSION ||
           (u->frame_left > 0 && u->frame_shown) ||
           (pg_expect_is_empty(&u->expect) && s->status != PG_STATUS_IDLE);
}

/* Its transaction has left nothing there but its BEGIN, and nothing is under way. */
static bool may_begin_elsewhere(const struct sql_session *s, const struct sql_upstream *u)
{
    return s->stage == SQL_READY && (s->begun == SQL_BEGUN_ALONE || s->begun == SQL_BEGUN_READS) &&
           s->pins == 0 && !s->in_exchange &&
           sql_account_pooling(s->account) == SQL_POOLING_TRANSACTION &&
           pg_expect_is_empty(&u->expect);
}

/* For what the server would have said. */
static void stop_waiting(struct sql_session *s)
{
    s->barrier = s->applies = s->verifies = false;
    s->copies = s->copy_barrier = s->copy_ended = false;
    s->deeds_sent = s->discards = false;
}

void sql_loss_go_on(struct sql_session *s, bool is_committed)
{
    struct pg_settings_pool *interned = sql_side_of(s)->interned;

    if (s->stage != SQL_READY)
        return;
    if (is_committed)
        pg_settings_session_commit(interned, &s->settings);
    else
        pg_settings_session_rollback(interned, &s->settings);
    sql_deeds_forget(s);
    sql_presets_changed(s);
    sql_presets_forget(s);
    if (s->frame_left > 0)
        s->drops_frame = true;
    s->status = PG_STATUS_IDLE;
    s->begun = SQL_BEGUN_NOT;
    sql_session_holds(s, false);
    stop_waiting(s);
    s->forced = s->conflicted = false;
    s->dirties = s->commits = s->has_written = s->may_commit = false;
    s->avoided = 0;
    sql_session_go_on(s);
}

static void let_session_go_on(struct sql_upstream *u)
{
    struct sql_session *s = u->lessee;

    sql_lease_drop(u);
    sql_loss_go_on(s, false);
}

static void tell_of_loss(struct sql_upstream *u, const char *why)
{
    char text[512];
    const char *sqlstate, *outcome = outcome_of(u->lessee, u, &sqlstate);

    heed_what_may_be_done(u->lessee, u);
    snprintf(text, sizeof(text), "server %s was lost: %s; %s", u->endpoint->name, why, outcome);
    answer_owed(u, sqlstate, text);
    let_session_go_on(u);
}

/* Nothing of what was put behind it was done: the server is in a failed transaction, and what could
 * end that was not sent. */
void sql_reply_settings_fail(struct sql_upstream *u, const struct pg_report *report)
{
    struct sql_session *s = u->lessee;
    char text[512];
    bool waited = s->applies;

    snprintf(text, sizeof(text), "%.*s", (int)report->message.len,
             (const char *)report->message.at);
    buf_clear(&u->held);
    u->holds = u->refused = false;
    if (s->pins != 0 || s->status != PG_STATUS_IDLE) {
        char sqlstate[6];

        memcpy(sqlstate, u->sqlstate, sizeof(sqlstate));
        sql_lease_drop(u);
        sql_upstream_close(u);
        sql_session_fatal(s, sqlstate, "%s", text);
        return;
    }
    heed_what_may_be_done(s, u);
    answer_owed(u, u->sqlstate, text);
    if (waited)
        sql_session_fail_exchange(s, u->sqlstate, "%s", text);
    let_session_go_on(u);
    sql_upstream_close(u);
}

/* What it had there is gone; of what was under way it hears all the same. */
static void end_with_server(struct sql_upstream *u, const char *why)
{
    struct sql_session *s = u->lessee;
    bool was_asked = is_under_way(s, u);
    bool says_why = u->says_why || memcmp(u->sqlstate, "57P", 3) == 0;
    bool says_all = says_why && (pg_expect_is_empty(&u->expect) || !may_have_happened(s, u));
    const char *sqlstate, *outcome = outcome_of(s, u, &sqlstate);
    char kept[6];

    memcpy(kept, sqlstate, sizeof(kept));
    if (says_all)
        memcpy(kept, u->sqlstate, sizeof(kept));
    heed_what_may_be_done(s, u);
    sql_lease_drop(u);
    sql_session_fatal(s, kept,
                      "server %s was lost, and with it what this session had there: %s%s%s",
                      u->endpoint->name, why, was_asked ? "; " : "", was_asked ? outcome : "");
}

/* Nothing of it was forwarded, nor may it have been done. */
static bool may_be_asked_elsewhere(const struct sql_session *s, const struct sql_upstream *u)
{
    return s->stage == SQL_READY && u->holds && u->kept.len > 0 &&
           !pg_expect_is_empty(&u->expect) && !(u->is_primary && may_write(s, u));
}

static void ask_elsewhere(struct sql_upstream *u)
{
    struct sql_session *s = u->lessee;

    sql_settle_lost(u);
    sql_reply_elsewhere(u);
    stop_waiting(s);
    s->forced = false;
    sql_lease_drop(u);
    sql_session_go_on(s);
}

/* The transaction was begun there anew, nothing was asked behind it yet: it is begun elsewhere. */
static void begin_elsewhere(struct sql_upstream *u)
{
    struct sql_session *s = u->lessee;

    sql_settle_lost(u);
    stop_waiting(s);
    sql_lease_drop(u);
    sql_session_go_on(s);
}

void sql_reply_lost(struct sql_upstream *u, const char *why)
{
    struct sql_session *s = u->lessee;

    if (s == NULL)
        return;
    if (may_be_asked_elsewhere(s, u)) {
        ask_elsewhere(u);
    } else if (s->stage == SQL_WELCOMING) {
        sql_lease_drop(u);
        sql_session_go_on(s);
    } else if (s->stage == SQL_READY && u->fatal) {
        sql_reply_release(u);
        sql_lease_drop(u);
        sql_session_end(s, CLOSE_UPSTREAM_LOST);
    } else if (s->stage == SQL_READY && sql_commit_may_ask(s, u)) {
        bool changes_catalog = s->changes_catalog || s->may_change_catalog;

        heed_what_may_be_done(s, u);
        sql_commit_ask(u, why, lost_state(s, u), changes_catalog);
    } else if (s->stage != SQL_READY || (u->frame_left > 0 && u->frame_shown)) {
        heed_what_may_be_done(s, u);
        sql_lease_drop(u);
        session_close(&s->base, CLOSE_UPSTREAM_LOST);
    } else if (may_begin_elsewhere(s, u) && sql_begin_elsewhere(s)) {
        sql_lease_drop(u);
    } else if (s->stage == SQL_READY && s->begun == SQL_BEGUN_AGAIN && s->applies) {
        begin_elsewhere(u);
    } else if (lost_state(s, u)) {
        end_with_server(u, why);
    } else {
        tell_of_loss(u, why);
    }
}
