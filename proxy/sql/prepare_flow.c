/* Statements that SQL prepares, executes and deallocates, and RESET: said to the server in words by
 * which it understands what the client means.
 *
 *     PREPARE x (int) AS ...   PREPARE "_sheaf_..." (int) AS ..., once on each server
 *     EXECUTE x (1)            EXECUTE "_sheaf_..."(1), behind the PREPARE if it is not there yet
 *     DEALLOCATE x             nothing: others go on to use it
 *
 * Where nothing is to be done, the server is asked to do nothing, so that it says when that is, and
 * in what transaction. */
#include "proxy/sql/sql_flow.h"

static const char NOTHING[] = "UNLISTEN \"_sheaf_\"";

const char *const SQL_TAGS[] = {
    [SQL_TAG_RESET] = "RESET",
    [SQL_TAG_PREPARE] = "PREPARE",
    [SQL_TAG_DEALLOCATE] = "DEALLOCATE",
    [SQL_TAG_DEALLOCATE_ALL] = "DEALLOCATE ALL",
};

/* Is it answered all that the session asked?  What sets its server may be under way. */
static bool is_at_rest(const struct sql_session *s)
{
    const struct pg_expected *head = pg_expect_head(&s->lease->expect);

    return head == NULL || (head->note & SQL_NOTE_SETTINGS);
}

static void put_prepare(struct buf *out, const struct pg_statement *st)
{
    char name[PG_STATEMENT_NAME_BYTES];

    pg_statement_name(st->id, name);
    buf_format(out, "PREPARE \"%s\" ", name);
    buf_slice(out, pg_statement_text(st));
}

void sql_put_prepare(struct buf *out, const struct pg_statement *st)
{
    put_prepare(out, st);
}

/* "(int) AS SELECT ...". */
static void put_rest(struct buf *out, const struct statement *st)
{
    if (st->types.len > 0) {
        buf_text(out, "(");
        buf_slice(out, st->types);
        buf_text(out, ") ");
    }
    buf_text(out, "AS ");
    buf_slice(out, st->inner->text);
}

static enum sql_words prepare_again(struct sql_session *s, const struct statement *st,
                                    struct pg_statement *there, struct sql_rewording *r)
{
    char name[PG_STATEMENT_NAME_BYTES];

    if (pg_prepared_find(&s->lease->prepared, there->id) == PG_PREPARED_ABSENT &&
        !sql_statement_ensure(s, there))
        return SQL_WORDS_WAIT;
    pg_statement_name(there->id, name);
    buf_format(&r->text, "PREPARE \"%s\" ", name);
    put_rest(&r->text, st);
    r->note = SQL_NOTE_DUPLICATE;
    r->subject = pg_statement_ref(there);
    return SQL_WORDS_OTHER;
}

static enum sql_words reword_prepare(struct sql_session *s, const struct statement *st,
                                     struct sql_rewording *r)
{
    struct pg_statements *store = sql_side_of(s)->statements;
    struct pg_statement *there = NULL;
    struct buf rest = { 0 };
    bool must_send = false;
    enum err err;

    if (st->inner == NULL || (s->pins & (PG_PIN_SQL_PREPARE | PG_PIN_STATEMENTS_LIMIT)))
        return SQL_WORDS_CLIENTS;
    if (pg_statements_session_find(&s->statements, st->name, &there) == PG_NAME_THERE)
        return prepare_again(s, st, there, r);
    put_rest(&rest, st);
    err = sql_statement_intern_sql(s, buf_all(&rest), st->inner, &there);
    buf_fini(&rest);
    if (err != ERR_NONE)
        return SQL_WORDS_CLIENTS;
    if (!sql_statement_room(s, there, &must_send)) {
        pg_statement_unref(store, &there);
        return SQL_WORDS_WAIT;
    }
    if (pg_statements_session_define(store, &s->statements, st->name, there, PG_CHANGE_BY_QUERY) !=
        ERR_NONE) {
        if (must_send)
            pg_prepared_settle(&s->lease->prepared, there->id, PG_OUTCOME_SKIPPED);
        pg_statement_unref(store, &there);
        return SQL_WORDS_CLIENTS;
    }
    r->changes++;
    if (must_send) {
        put_prepare(&r->text, there);
        r->note = SQL_NOTE_PREPARES;
    } else {
        buf_text(&r->text, NOTHING);
        r->note = SQL_NOTE_RETAG;
        r->tag = SQL_TAG_PREPARE;
    }
    r->subject = there;
    return SQL_WORDS_OTHER;
}

/* Its result is not what the session was told. */
static enum sql_words reword_to_fail(struct sql_session *s, struct pg_statement *there,
                                     struct sql_rewording *r)
{
    if (!sql_statement_close(s, there))
        return SQL_WORDS_WAIT;
    s->changed_id = 0;
    buf_text(&r->text, "EXECUTE \"_sheaf_\"");
    r->note = SQL_NOTE_CHANGED;
    return SQL_WORDS_OTHER;
}

static enum sql_words reword_execute(struct sql_session *s, const struct statement *st,
                                     struct sql_rewording *r)
{
    char name[PG_STATEMENT_NAME_BYTES];
    struct pg_statement *there;
    bool must_send = false;

    if (pg_statements_session_find(&s->statements, st->name, &there) != PG_NAME_THERE)
        return SQL_WORDS_CLIENTS;
    if (sql_result_is_changed(s, there))
        return reword_to_fail(s, there, r);
    if (!there->from_sql || sql_result_is_due(s, there)) {
        if (!sql_statement_ensure(s, there))
            return SQL_WORDS_WAIT;
    } else if (!sql_statement_room(s, there, &must_send)) {
        return SQL_WORDS_WAIT;
    }
    if (must_send) {
        put_prepare(&r->text, there);
        buf_text(&r->text, ";");
        r->note = SQL_NOTE_PREPARES | SQL_NOTE_TWICE;
        r->subject = pg_statement_ref(there);
    }
    sql_pins_note(s, &((const struct sql_note *)there->note)->verdict);
    if (((const struct sql_note *)there->note)->has_deeds)
        s->probes = s->probes_settings = true;
    pg_statement_name(there->id, name);
    buf_format(&r->text, "EXECUTE \"%s\"", name);
    if (st->arguments.len > 0) {
        buf_text(&r->text, "(");
        buf_slice(&r->text, st->arguments);
        buf_text(&r->text, ")");
    }
    return SQL_WORDS_OTHER;
}

static enum sql_words do_nothing(struct sql_rewording *r, enum sql_tag tag)
{
    buf_text(&r->text, NOTHING);
    r->note = SQL_NOTE_RETAG;
    r->tag = tag;
    return SQL_WORDS_OTHER;
}

/* What its name means is settled by the session's deeds. */
static enum sql_words reword_deallocate(struct sql_session *s, const struct statement *st,
                                        struct sql_rewording *r)
{
    struct pg_statement *there;

    if (st->kind == STATEMENT_DEALLOCATE_ALL)
        return s->pins & PG_PIN_SQL_PREPARE ? SQL_WORDS_CLIENTS
                                            : do_nothing(r, SQL_TAG_DEALLOCATE_ALL);
    if (pg_statements_session_find(&s->statements, st->name, &there) != PG_NAME_THERE)
        return SQL_WORDS_CLIENTS;
    return do_nothing(r, SQL_TAG_DEALLOCATE);
}

enum sql_words sql_reword(struct sql_session *s, const struct sql_class *class,
                          struct sql_rewording *r)
{
    const struct statement *st;
    struct slice value;

    if (class->script == NULL || class->script->count != 1 || class->script->is_error)
        return SQL_WORDS_CLIENTS;
    st = &class->script->statements[0];
    switch (st->kind) {
    case STATEMENT_RESET:
        if (st->setting_count != 1 ||
            !pg_settings_session_start_value(&s->settings, st->settings[0].name, &value))
            return SQL_WORDS_CLIENTS;
        pg_settings_put_assignment(&r->text, st->settings[0].name, value);
        r->note = SQL_NOTE_RETAG;
        r->tag = SQL_TAG_RESET;
        return SQL_WORDS_OTHER;
    case STATEMENT_PREPARE:
    case STATEMENT_EXECUTE:
    case STATEMENT_DEALLOCATE:
    case STATEMENT_DEALLOCATE_ALL:
        break;
    default:
        return SQL_WORDS_CLIENTS;
    }
    if (!is_at_rest(s))
        return SQL_WORDS_WAIT;
    if (s->status == PG_STATUS_FAILED)
        return SQL_WORDS_CLIENTS;
    if (st->kind == STATEMENT_PREPARE)
        return reword_prepare(s, st, r);
    return st->kind == STATEMENT_EXECUTE ? reword_execute(s, st, r) : reword_deallocate(s, st, r);
}

struct slice sql_statement_words(struct sql_session *s, const struct pg_statement *st, bool unnamed)
{
    const struct sql_note *note = st->note;
    struct pg_statement *there;
    struct sql_class class;

    if (note->verdict.kind == STATEMENT_DEALLOCATE_ALL && !(s->pins & PG_PIN_SQL_PREPARE))
        return slice_text(NOTHING);
    if (note->verdict.kind != STATEMENT_DEALLOCATE)
        return pg_statement_text(st);
    sql_classify(s, pg_statement_text(st), &class);
    if (unnamed && (class.script == NULL || class.script->count != 1 ||
                    pg_statements_session_find(&s->statements, class.script->statements[0].name,
                                               &there) != PG_NAME_THERE))
        return pg_statement_text(st);
    return slice_text(NOTHING);
}
