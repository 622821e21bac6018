/* Statements at the upstream: what a session's message needs there is prepared in front of it,
 * unless it is there already; what was used least makes room. */
#include "proxy/base/mem.h"
#include "proxy/sql/catalog_flow.h"
#include "proxy/sql/sql_words.h"

/* ---- what statements are ---- */

enum err sql_statement_intern_sql(struct sql_session *s, struct slice text,
                                  const struct statement *inner, struct pg_statement **out)
{
    struct sql_note *note;
    struct pg_statement_key key = {
        .text = text,
        .meaning = pg_settings_meaning(pg_settings_session_effective(&s->settings)),
        .scope = s->account->number,
        .edition = sql_catalog_edition(s),
        .from_sql = true,
    };

    TRY(pg_statements_intern(sql_side_of(s)->statements, &key, out));
    if ((*out)->note != NULL)
        return ERR_NONE;
    note = mem_new(sizeof(*note)); /* what its executions are; its own text is no statement */
    note->verdict = (struct statement_verdict){
        .kind = inner->kind, .route = inner->route, .effects = inner->effects, .reason = "EXECUTE"
    };
    note->is_of_sql = true;
    note->has_deeds = inner->setting_count > 0 || (inner->effects & EFFECT_SETS);
    (*out)->note = note;
    return ERR_NONE;
}

enum err sql_statement_intern(struct sql_session *s, const struct pg_parse *parse,
                              struct pg_statement **out)
{
    struct pg_statement_key key = {
        .text = parse->text,
        .types = parse->types,
        .meaning = pg_settings_meaning(pg_settings_session_effective(&s->settings)),
        .scope = s->account->number,
        .edition = sql_catalog_edition(s),
    };

    TRY(pg_statements_intern(sql_side_of(s)->statements, &key, out));
    (void)sql_note_of(s, *out);
    return ERR_NONE;
}

/* ---- at the upstream ---- */

/* What becomes of it is settled: if it is skipped, the server has it still, if it was there. */
static bool put_close(struct sql_session *s, uint64_t id, bool is_there, struct buf *out)
{
    char name[PG_STATEMENT_NAME_BYTES];
    struct pg_expected entry = {
        .kind = PG_EXPECT_CLOSE, .flags = PG_EXPECT_SWALLOW, .number = is_there, .closed = id
    };

    if (pg_expect_push(&s->lease->expect, entry) != ERR_NONE)
        return sql_message_wait(s) > 0;
    pg_put_close(out, PG_KIND_STATEMENT, pg_statement_name(id, name));
    return true;
}

static void close_now(struct sql_session *s, uint64_t id, bool is_there)
{
    struct buf out = { 0 };

    if (!put_close(s, id, is_there, &out) && is_there)
        pg_prepared_restore(&s->lease->prepared, id);
    sql_message_put(s->lease, buf_all(&out));
    buf_fini(&out);
}

static void make_room(struct sql_session *s, uint64_t evicted)
{
    uint64_t surplus = pg_prepared_surplus(&s->lease->prepared);

    if (evicted != 0)
        close_now(s, evicted, true);
    if (surplus != 0)
        close_now(s, surplus, true);
}

void sql_prepared_settle_close(struct sql_upstream *u, const struct pg_expected *e,
                               enum pg_outcome outcome)
{
    if (e->closed == 0)
        return;
    if (outcome == PG_OUTCOME_DONE)
        pg_prepared_closed(&u->prepared, e->closed);
    else if (e->number != 0)
        pg_prepared_restore(&u->prepared, e->closed);
}

void sql_prepared_is_another(struct sql_upstream *u)
{
    u->ending = true;
    pg_prepared_doubt(&u->prepared);
}

bool sql_statement_put_close(struct sql_session *s, const struct pg_statement *st, struct buf *out)
{
    enum pg_prepared_state there = pg_prepared_find(&s->lease->prepared, st->id);

    if (there == PG_PREPARED_SENT || !sql_message_has_room(s, 2))
        return sql_message_wait(s) > 0;
    pg_prepared_remove(&s->lease->prepared, st->id);
    return put_close(s, st->id, there == PG_PREPARED_READY, out);
}

enum sql_prepared sql_prepared_there(struct sql_session *s, struct pg_statement *st)
{
    struct sql_upstream *u = s->lease;
    uint64_t evicted = 0;

    switch (pg_prepared_find(&u->prepared, st->id)) {
    case PG_PREPARED_READY:
        return SQL_PREPARED;
    case PG_PREPARED_SENT:
        return u->syncs_open > 0 ? SQL_PREPARED_LATER : SQL_PREPARED;
    case PG_PREPARED_ABSENT:
        break;
    }
    if (pg_prepared_add(&u->prepared, st->id, &evicted) != ERR_NONE)
        return SQL_PREPARED_LATER;
    make_room(s, evicted);
    if (u->syncs_open > 0 || u->prepared.is_doubtful)
        close_now(s, st->id, false); /* a Close of it before that Sync may have been skipped */
    return SQL_PREPARE_IT;
}

/* In front of the session's message, by the extended protocol so that it disturbs no exchange that
 * is under way; in front of a Query with a Sync, or that would be skipped if it failed. */
static bool end_preparing(struct sql_session *s, struct buf *out, bool sent)
{
    if (sent && !s->in_exchange && s->prepares_for_query) {
        sent = sql_message_expect(s, PG_EXPECT_SYNC, PG_EXPECT_SWALLOW, 0, NULL);
        pg_put_sync(out);
    }
    sql_message_put(s->lease, buf_all(out));
    buf_fini(out);
    return sent;
}

/* Does a Query, whose answer is to come, tell of its failure? */
static uint16_t is_apart(const struct sql_session *s)
{
    return s->prepares_for_query && !s->in_exchange ? SQL_NOTE_APART : 0;
}

static bool prepare_by_sql(struct sql_session *s, struct pg_statement *st)
{
    static const char OURS[] = "_sheaf_prepare";
    struct slice name = slice_text(OURS);
    char known_as[PG_STATEMENT_NAME_BYTES];
    struct buf out = { 0 }, text = { 0 };
    bool sent = sql_message_expect(s, PG_EXPECT_CLOSE, PG_EXPECT_SWALLOW, 0, NULL) &&
                sql_message_expect(s, PG_EXPECT_PARSE, PG_EXPECT_SWALLOW, is_apart(s), NULL) &&
                sql_message_expect(s, PG_EXPECT_BIND, PG_EXPECT_SWALLOW, is_apart(s), NULL) &&
                sql_message_expect(s, PG_EXPECT_EXECUTE, PG_EXPECT_SWALLOW,
                                   SQL_NOTE_PREPARES | is_apart(s), pg_statement_ref(st)) &&
                sql_message_expect(s, PG_EXPECT_CLOSE, PG_EXPECT_SWALLOW, 0, NULL) &&
                sql_message_expect(s, PG_EXPECT_CLOSE, PG_EXPECT_SWALLOW, 0, NULL);

    sql_put_prepare(&text, st);
    pg_put_close(&out, PG_KIND_STATEMENT, name); /* it is there, if the last one failed */
    pg_put_parse(&out, name, buf_all(&text), slice_of(NULL, 0));
    pg_put_bind(&out, name, name, NULL, 0);
    pg_put_execute(&out, name, 0);
    pg_put_close(&out, PG_KIND_PORTAL, name);
    pg_put_close(&out, PG_KIND_STATEMENT, name);
    buf_fini(&text);
    sent = sent && sql_result_ask(s, st, pg_statement_name(st->id, known_as), 0, &out);
    return end_preparing(s, &out, sent);
}

static bool prepare(struct sql_session *s, struct pg_statement *st, bool unnamed)
{
    char buffer[PG_STATEMENT_NAME_BYTES];
    struct slice name = unnamed ? slice_text("") : pg_statement_name(st->id, buffer);
    struct buf out = { 0 };
    bool sent;

    if (st->from_sql)
        return prepare_by_sql(s, st);
    if (!sql_message_expect(s, PG_EXPECT_PARSE, PG_EXPECT_SWALLOW,
                            (unnamed ? SQL_NOTE_UNNAMED : SQL_NOTE_PREPARES) | is_apart(s),
                            pg_statement_ref(st)))
        return false;
    pg_put_parse(&out, name, pg_statement_text(st), sql_result_known_types(st));
    sent = sql_result_ask(s, st, name, 0, &out);
    if (unnamed)
        pg_prepared_unnamed_becomes(&s->lease->prepared, st->id);
    return end_preparing(s, &out, sent);
}

/* It was prepared here just now.  False: it waits until it is known that its result looks as it did
 * where the session prepared it. */
static bool verify(struct sql_session *s, struct pg_statement *st)
{
    if (!sql_result_is_due(s, st))
        return true;
    if (!s->prepares_for_query)
        sql_message_begin(s);
    else if (!s->in_exchange)
        s->verifies = true;
    return sql_message_wait(s) > 0;
}

enum { PREPARE_ENTRIES = 12 }; /* of what is expected, at most, and of what it is for */

bool sql_prepared_ensure(struct sql_session *s, struct pg_statement *st, bool unnamed)
{
    if (!sql_message_has_room(s, PREPARE_ENTRIES))
        return false;
    if (unnamed)
        return pg_prepared_unnamed_is(&s->lease->prepared, st->id) ||
               (prepare(s, st, true) && verify(s, st));
    switch (sql_prepared_there(s, st)) {
    case SQL_PREPARED:
        return true;
    case SQL_PREPARE_IT:
        return prepare(s, st, false) && verify(s, st);
    case SQL_PREPARED_LATER:
        break;
    }
    return sql_message_wait(s) > 0;
}

bool sql_statement_ensure(struct sql_session *s, struct pg_statement *st)
{
    bool done;

    if (s->lease->failure.len > 0)
        return true; /* it could not be, just now: the Query fails, by these words */
    s->prepares_for_query = true;
    done = sql_prepared_ensure(s, st, false);
    s->prepares_for_query = false;
    return done;
}

bool sql_statement_close(struct sql_session *s, struct pg_statement *st)
{
    struct buf out = { 0 };
    bool sent = sql_statement_put_close(s, st, &out);

    if (!sent)
        return false;
    s->prepares_for_query = true;
    sent = end_preparing(s, &out, sent);
    s->prepares_for_query = false;
    return sent;
}

bool sql_statement_room(struct sql_session *s, struct pg_statement *st, bool *must_send)
{
    enum sql_prepared there = sql_prepared_there(s, st);

    *must_send = there == SQL_PREPARE_IT;
    return there != SQL_PREPARED_LATER;
}
