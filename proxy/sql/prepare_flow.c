/* Statements that SQL prepares, executes and deallocates, and settings that go back to what a
 * session began with: said to the server in words by which it understands what the client means.
 *
 *     PREPARE x (int) AS ...   PREPARE "_sheaf_..." (int) AS ..., once on each server
 *     EXECUTE x (1)            EXECUTE "_sheaf_..." (1), behind its preparation if it is not there
 *     DEALLOCATE x             nothing: others go on to use it
 *     RESET x                  SET x TO 'what it was at the start'
 *     ROLLBACK; EXECUTE x      in a failed transaction, which takes no preparation in front:
 *                              ROLLBACK; PREPARE "_sheaf_..." AS ...; EXECUTE "_sheaf_..."
 *
 * Where nothing is to be done, the server is asked to do nothing, so that it says when that is, and
 * in what transaction. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/sql/pg_type_names.h"
#include "proxy/sql/sql_words.h"

static const char NOTHING[] = "UNLISTEN \"_sheaf_\"";

const char *const SQL_TAGS[] = {
    [SQL_TAG_RESET] = "RESET",
    [SQL_TAG_PREPARE] = "PREPARE",
    [SQL_TAG_DEALLOCATE] = "DEALLOCATE",
    [SQL_TAG_DEALLOCATE_ALL] = "DEALLOCATE ALL",
    [SQL_TAG_SET] = "SET",
};

/* What becomes of one statement of a text. */
struct wording {
    struct sql_session *s;
    const struct sql_class *class;
    const struct script *script; /* its */
    const struct statement *st;  /* one of them */
    struct pg_statement **made;  /* by each of them; borrowed, or NULL */
    struct sql_edit edit;
    struct sql_rewording *r;
    bool leaves_failed; /* what comes first ends a transaction that has failed, or its failure */
};

/* Is it answered all that the session asked?  What sets its server may be under way, but nothing of
 * the session's behind that: what it prepares there may be skipped. */
static bool is_at_rest(const struct sql_session *s)
{
    const struct pg_expected *head = pg_expect_head(&s->lease->expect);

    return head == NULL ||
           ((head->note & SQL_NOTE_SETTINGS) && pg_expect_is_swallowed(&s->lease->expect));
}

void sql_put_prepare(struct buf *out, const struct pg_statement *st)
{
    char name[PG_STATEMENT_NAME_BYTES];

    pg_statement_name(st->id, name);
    buf_format(out, "PREPARE \"%s\" ", name);
    if (st->from_sql) {
        buf_slice(out, pg_statement_text(st));
        return;
    }
    (void)pg_type_names_put(out, sql_result_known_types(st), pg_statement_types(st));
    buf_text(out, "AS ");
    buf_slice(out, pg_statement_text(st));
    buf_text(out, "\n"); /* it may end in a comment */
}

/* Can PREPARE say what a client's Parse did?  It takes queries and changes of data; what begins
 * with a comment is not looked at. */
static bool is_sayable(const struct pg_statement *st)
{
    static const char *const WORDS[] = { "select", "values", "insert", "update",
                                         "delete", "with",   "merge",  "table" };
    struct slice text = pg_statement_text(st);
    struct buf types = { 0 };
    bool has_names;

    if (st->from_sql)
        return true;
    has_names = pg_type_names_put(&types, sql_result_known_types(st), pg_statement_types(st));
    buf_fini(&types);
    while (text.len > 0 && isspace(text.at[0]))
        text = slice_from(text, 1);
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
        size_t len = strlen(WORDS[i]);

        if (text.len > len && slice_is_word(slice_of(text.at, len), WORDS[i]))
            return has_names && isspace(text.at[len]);
    }
    return false;
}

static enum sql_words replace(struct wording *w, struct slice old, struct slice with,
                              enum sql_edit_end end)
{
    sql_edit_replace(&w->edit, old, with);
    sql_edit_end_with(&w->edit, end);
    return SQL_WORDS_OTHER;
}

static enum sql_words leave(struct wording *w)
{
    sql_edit_end_with(&w->edit, SQL_EDIT_KEEP);
    return SQL_WORDS_CLIENTS;
}

/* The name in the text becomes the server's. */
static enum sql_words replace_name(struct wording *w, const struct pg_statement *st)
{
    char name[PG_STATEMENT_NAME_BYTES];
    struct buf quoted = { 0 };

    pg_statement_name(st->id, name);
    buf_format(&quoted, "\"%s\"", name);
    replace(w, w->st->written, buf_all(&quoted), SQL_EDIT_KEEP);
    sql_edit_name(&w->edit, w->st->executed.at != NULL ? w->st->executed : w->st->name);
    buf_fini(&quoted);
    return SQL_WORDS_OTHER;
}

/* The server is to say that it knows no such statement, if it does not. */
static enum sql_words leave_name(struct wording *w, struct slice name)
{
    struct buf quoted = { 0 };

    if (!pg_statement_is_reserved(name) || w->st->written.len == 0)
        return leave(w);
    buf_text(&quoted, "\"");
    buf_slice(&quoted, sql_nobody(w->s, name));
    buf_text(&quoted, "\"");
    replace(w, w->st->written, buf_all(&quoted), SQL_EDIT_KEEP);
    buf_fini(&quoted);
    return SQL_WORDS_OTHER;
}

/* But what PREPARE and DEALLOCATE do, too: SET TRANSACTION comes too late behind a snapshot. */
static enum sql_words do_nothing(struct wording *w, enum sql_tag tag)
{
    return replace(w, w->st->text, slice_text("SELECT"), SQL_EDIT_TAGS + tag);
}

/* It is not the name that was said, but what could be read of it. */
static bool is_unknown(const struct wording *w, struct slice name)
{
    for (size_t i = 0; sql_is_masked(w->class) && i < name.len; i++)
        if (name.at[i] >= 0x80)
            return true;
    return false;
}

static size_t index_of(const struct wording *w)
{
    return (size_t)(w->st - w->script->statements);
}

/* What the session will know by this name when it comes so far, whoever prepared it; NULL: the
 * server shall say. */
static struct pg_statement *find(const struct wording *w, struct slice name)
{
    struct pg_statement *there;

    if (is_unknown(w, name))
        return NULL;
    for (size_t i = index_of(w); i-- > 0;) {
        const struct statement *st = &w->script->statements[i];

        if (st->kind == STATEMENT_DEALLOCATE_ALL || st->kind == STATEMENT_DISCARD_ALL)
            return NULL;
        if ((st->kind == STATEMENT_PREPARE || st->kind == STATEMENT_DEALLOCATE) &&
            slice_is(st->name, name))
            return w->made[i];
    }
    return pg_statements_session_find(&w->s->statements, name, &there) == PG_NAME_THERE ? there
                                                                                        : NULL;
}

/* Is it prepared by this text itself? */
static bool is_made(const struct wording *w, const struct pg_statement *st)
{
    for (size_t i = 0; i < index_of(w); i++)
        if (w->made[i] == st)
            return true;
    return false;
}

/* ---- what the server must have ---- */

/* As a statement of the text, which the client is told nothing of. */
static void prepare_within(struct wording *w, struct slice name, struct pg_statement *st)
{
    struct buf text = { 0 };

    sql_put_prepare(&text, st);
    buf_text(&text, "; ");
    sql_edit_define(&w->edit, name, st, true);
    replace(w, slice_of(w->st->text.at, 0), buf_all(&text), SQL_EDIT_SWALLOW);
    buf_fini(&text);
}

/* OTHER: it will be there.  CLIENTS: it can't be. */
static enum sql_words ensure(struct wording *w, struct slice name, struct pg_statement *st)
{
    bool must_send = false;

    if (is_made(w, st))
        return SQL_WORDS_OTHER;
    if (!w->leaves_failed)
        return sql_statement_ensure(w->s, st) ? SQL_WORDS_OTHER : SQL_WORDS_WAIT;
    if (!is_sayable(st) && pg_prepared_find(&w->s->lease->prepared, st->id) == PG_PREPARED_ABSENT)
        return SQL_WORDS_CLIENTS;
    if (!sql_statement_room(w->s, st, &must_send))
        return SQL_WORDS_WAIT;
    if (must_send)
        prepare_within(w, name, st);
    return SQL_WORDS_OTHER;
}

/* ---- PREPARE ---- */

/* "(int) AS SELECT ...". */
static void put_rest(struct buf *out, const struct wording *w)
{
    if (w->st->types.len > 0) {
        buf_text(out, "(");
        buf_slice(out, sql_part(w->class, w->st->types));
        buf_text(out, ") ");
    }
    buf_text(out, "AS ");
    buf_slice(out, sql_part(w->class, w->st->inner->text));
}

static enum sql_words leave_prepare(struct wording *w)
{
    w->r->leaves_prepare = true;
    return leave(w);
}

static enum err intern_prepared(const struct wording *w, struct pg_statement **out)
{
    struct buf rest = { 0 };
    enum err err;

    put_rest(&rest, w);
    err = sql_statement_intern_sql(w->s, buf_all(&rest), w->st->inner, out);
    buf_fini(&rest);
    return err;
}

static enum sql_words prepare_again(struct wording *w, struct pg_statement *there)
{
    struct pg_statement *again = NULL;
    enum sql_words words = SQL_WORDS_OTHER;

    if (pg_prepared_find(&w->s->lease->prepared, there->id) == PG_PREPARED_ABSENT)
        words = ensure(w, w->st->name, there);
    if (words == SQL_WORDS_CLIENTS)
        return leave_prepare(w);
    if (words == SQL_WORDS_WAIT)
        return words;
    if (intern_prepared(w, &again) == ERR_NONE)
        sql_edit_define_again(&w->edit, w->st->name, again);
    pg_statement_unref(sql_side_of(w->s)->statements, &again);
    return replace_name(w, there);
}

/* Its name will be the session's.  CLIENTS: there is no room for it. */
static enum sql_words define(struct wording *w, struct pg_statement *st)
{
    struct sql_session *s = w->s;
    bool must_send = false;

    if (!pg_statements_session_has_room(sql_side_of(s)->statements, &s->statements, w->st->name,
                                        st))
        return SQL_WORDS_CLIENTS;
    if (!is_made(w, st) && !sql_statement_room(s, st, &must_send))
        return SQL_WORDS_WAIT;
    sql_edit_define(&w->edit, w->st->name, st, must_send);
    w->made[index_of(w)] = st;
    return must_send ? replace_name(w, st) : do_nothing(w, SQL_TAG_PREPARE);
}

static enum sql_words reword_prepare(struct wording *w)
{
    struct sql_session *s = w->s;
    struct pg_statement *there = find(w, w->st->name);
    enum sql_words words;

    if (s->own_names || w->st->inner == NULL || w->st->written.len == 0 ||
        is_unknown(w, w->st->name))
        return leave_prepare(w);
    if (there != NULL)
        return prepare_again(w, there);
    if (sql_has_own_names(s))
        return leave_prepare(w);
    if (intern_prepared(w, &there) != ERR_NONE)
        return leave_prepare(w);
    words = define(w, there);
    pg_statement_unref(sql_side_of(s)->statements, &there);
    return words == SQL_WORDS_CLIENTS ? leave_prepare(w) : words;
}

/* ---- EXECUTE, also within EXPLAIN and CREATE TABLE AS ---- */

/* Its result is not what the session was told. */
static enum sql_words execute_nobody(struct wording *w, struct pg_statement *there)
{
    if (!sql_statement_close(w->s, there))
        return SQL_WORDS_WAIT;
    w->s->changed_id = 0;
    w->r->note |= SQL_NOTE_CHANGED;
    return replace(w, w->st->written, slice_text("\"_sheaf_\""), SQL_EDIT_KEEP);
}

/* A prepared statement is executed by SQL: what it does, this session does. */
static void sql_note_executed(struct sql_session *s, const struct pg_statement *st)
{
    const struct sql_note *note = st->note;

    sql_pins_note(s, &note->verdict, pg_statement_text(st));
    if (note->has_deeds)
        s->probes = s->probes_settings = true;
    if (note->verdict.kind == STATEMENT_PREPARE)
        sql_note_prepares(s);
}

void sql_note_prepares(struct sql_session *s)
{
    s->pins |= PG_PIN_SQL_PREPARE;
    s->probes = true;
}

static enum sql_words reword_execute(struct wording *w)
{
    struct sql_session *s = w->s;
    struct pg_statement *there = w->st->written.len == 0 ? NULL : find(w, w->st->executed);
    enum sql_words words;

    if (there != NULL && s->own_names) {
        sql_note_executed(s, there);
        return leave(w);
    }
    if (there == NULL)
        return leave_name(w, w->st->executed);
    if (sql_result_is_changed(s, there))
        return execute_nobody(w, there);
    if (!sql_sequences_are_own(s, &((const struct sql_note *)there->note)->verdict))
        return SQL_WORDS_WAIT;
    words = ensure(w, w->st->executed, there);
    if (words == SQL_WORDS_WAIT)
        return words;
    if (words == SQL_WORDS_CLIENTS)
        return leave_name(w, w->st->executed);
    sql_note_executed(s, there);
    return replace_name(w, there);
}

/* ---- the others ---- */

/* What its name means is settled by the session's deeds. */
static enum sql_words reword_deallocate(struct wording *w)
{
    if (w->s->own_names)
        return leave(w);
    if (w->st->kind == STATEMENT_DEALLOCATE)
        return find(w, w->st->name) == NULL ? leave_name(w, w->st->name)
                                            : do_nothing(w, SQL_TAG_DEALLOCATE);
    return sql_has_own_names(w->s) ? leave(w) : do_nothing(w, SQL_TAG_DEALLOCATE_ALL);
}

/* RESET x, SET x TO DEFAULT. */
static enum sql_words reword_reset(struct wording *w)
{
    const struct statement *st = w->st;
    struct buf text = { 0 };
    struct slice value;

    if (st->setting_count != 1 || !st->settings[0].is_default ||
        !pg_settings_session_start_value(&w->s->settings, st->settings[0].name, &value))
        return leave(w);
    pg_settings_put_assignment(&text, st->settings[0].name, value, st->settings[0].is_local);
    replace(w, st->text, buf_all(&text),
            SQL_EDIT_TAGS + (st->kind == STATEMENT_RESET ? SQL_TAG_RESET : SQL_TAG_SET));
    buf_fini(&text);
    return SQL_WORDS_OTHER;
}

/* Who it is then is known when the failed transaction's end has come. */
static bool may_be_another(const struct wording *w)
{
    const struct pg_settings *now = pg_settings_session_effective(&w->s->settings);

    return w->leaves_failed && now != NULL && now->has_role;
}

static enum sql_words reword_reset_all(struct wording *w)
{
    struct buf text = { 0 };
    size_t count;

    if (may_be_another(w))
        return leave(w);
    buf_text(&text, "RESET ALL");
    count = sql_restore_put(w->s, w->st, &text);
    if (count == 0) {
        buf_fini(&text);
        return leave(w);
    }
    replace(w, w->st->text, buf_all(&text), SQL_EDIT_TAGS + SQL_TAG_RESET);
    buf_fini(&text);
    while (count-- > 0)
        sql_edit_end_with(&w->edit, SQL_EDIT_SWALLOW);
    return SQL_WORDS_OTHER;
}

/* set_config(x, NULL, ...). */
static enum sql_words reword_others(struct wording *w)
{
    struct slice end = slice_from(w->st->text, w->st->text.len);
    struct buf text = { 0 };
    size_t count = may_be_another(w) ? 0 : sql_restore_put(w->s, w->st, &text);

    if (count == 0)
        return leave(w);
    replace(w, end, buf_all(&text), SQL_EDIT_RESTORED);
    buf_fini(&text);
    while (count-- > 0)
        sql_edit_end_with(&w->edit, SQL_EDIT_SWALLOW);
    return SQL_WORDS_OTHER;
}

static enum sql_words reword_one(struct wording *w)
{
    if (w->st->executed.at != NULL)
        return reword_execute(w);
    switch (w->st->kind) {
    case STATEMENT_SET:
    case STATEMENT_RESET:
        return reword_reset(w);
    case STATEMENT_RESET_ALL:
        return reword_reset_all(w);
    case STATEMENT_PREPARE:
        return reword_prepare(w);
    case STATEMENT_DEALLOCATE:
    case STATEMENT_DEALLOCATE_ALL:
        return reword_deallocate(w);
    case STATEMENT_DISCARD_ALL: /* see message_flow.c */
        return leave(w);
    default:
        return reword_others(w);
    }
}

/* ---- a whole text ---- */

static bool is_of_names(const struct statement *st)
{
    return st->executed.at != NULL || st->kind == STATEMENT_PREPARE ||
           st->kind == STATEMENT_DEALLOCATE || st->kind == STATEMENT_DEALLOCATE_ALL;
}

static bool is_reset(const struct statement *st)
{
    return st->kind == STATEMENT_RESET || st->kind == STATEMENT_RESET_ALL ||
           st->kind == STATEMENT_DISCARD_ALL || st->setting_count > 0;
}

static bool may_be_reworded(const struct script *script)
{
    for (size_t i = 0; i < script->count; i++)
        if (is_of_names(&script->statements[i]) || is_reset(&script->statements[i]))
            return true;
    return false;
}

/* All else a failed transaction refuses. */
static bool ends_failure(const struct statement *st)
{
    return st->kind == STATEMENT_ROLLBACK || st->kind == STATEMENT_ROLLBACK_TO ||
           st->kind == STATEMENT_COMMIT;
}

enum sql_words sql_reword(struct sql_session *s, const struct sql_class *class,
                          struct sql_rewording *r)
{
    struct wording w = { .s = s, .class = class, .script = class->script, .r = r };
    enum sql_words words = SQL_WORDS_CLIENTS;

    if (class->script == NULL || class->script->is_error || !may_be_reworded(class->script))
        return SQL_WORDS_CLIENTS;
    if (!is_at_rest(s))
        return SQL_WORDS_WAIT;
    w.leaves_failed = s->status == PG_STATUS_FAILED;
    if (w.leaves_failed && !ends_failure(&class->script->statements[0]))
        return SQL_WORDS_CLIENTS;
    sql_edit_begin(s, &w.edit, class, &r->text);
    pg_prepared_begin_text(&s->lease->prepared);
    w.made = mem_new((w.script->count + 1) * sizeof(struct pg_statement *));
    for (size_t i = 0; i < w.script->count && words != SQL_WORDS_WAIT; i++) {
        w.st = &w.script->statements[i];
        words = reword_one(&w);
    }
    free(w.made);
    pg_prepared_end_text(&s->lease->prepared);
    if (words != SQL_WORDS_WAIT && sql_edit_is_any(&w.edit)) {
        sql_edit_end(&w.edit);
        r->note |= SQL_NOTE_EDITED;
        r->edits = w.edit.edits;
        return SQL_WORDS_OTHER;
    }
    sql_edits_free(s, &w.edit.edits);
    return words;
}

/* ---- by the protocol ---- */

enum err sql_prepare_intern(struct sql_session *s, struct slice text, struct pg_statement **out)
{
    struct statement_options options = { .backslash_escapes =
                                             pg_settings_backslash_escapes(s->settings.current) };
    struct arena arena = { 0 };
    struct slice read = sql_readable(s, text, &arena);
    struct buf rest = { 0 };
    const struct statement *st;
    struct script script;
    enum err err = ERR_UNSUPPORTED;

    script_read(read, &options, &arena, &script);
    st = script.count == 1 ? &script.statements[0] : NULL;
    if (read.at == text.at && st != NULL && st->kind == STATEMENT_PREPARE && st->inner != NULL) {
        if (st->types.len > 0) {
            buf_text(&rest, "(");
            buf_slice(&rest, st->types);
            buf_text(&rest, ") ");
        }
        buf_text(&rest, "AS ");
        buf_slice(&rest, st->inner->text);
        err = sql_statement_intern_sql(s, buf_all(&rest), st->inner, out);
    }
    buf_fini(&rest);
    arena_fini(&arena);
    return err;
}

/* Another statement of the same meaning, with this text. */
static enum err say_as(struct sql_session *s, const struct pg_statement *st, struct slice text)
{
    struct pg_parse parse = { .text = text, .types = pg_statement_types(st) };

    pg_statement_unref(sql_side_of(s)->statements, &s->said);
    TRY(sql_statement_intern(s, &parse, &s->said));
    ((struct sql_note *)s->said->note)->said_for = st->id;
    return ERR_NONE;
}

void sql_statement_reword(const struct pg_statement *st, struct buf *message)
{
    const struct sql_note *note = st == NULL ? NULL : st->note;
    char said[PG_STATEMENT_NAME_BYTES], meant[PG_STATEMENT_NAME_BYTES];
    struct slice name;
    uint8_t *found;

    if (note == NULL || note->said_for == 0 || message->len == 0)
        return;
    name = pg_statement_name(st->id, said);
    found = memmem(message->at, message->len, name.at, name.len);
    if (found != NULL)
        memcpy(found, pg_statement_name(note->said_for, meant).at, name.len);
}

static bool is_of_others(const struct sql_note *note)
{
    return note->name != NULL || note->verdict.kind == STATEMENT_DEALLOCATE_ALL;
}

/* Is what it is about in its own words? */
static bool is_plain(const struct sql_note *note)
{
    return !is_of_others(note) || note->verdict.kind == STATEMENT_PREPARE;
}

/* With another name in it. */
static enum err say_name(struct sql_session *s, const struct pg_statement *st, struct slice name)
{
    const struct sql_note *note = st->note;
    struct slice text = pg_statement_text(st);
    struct buf out = { 0 };
    enum err err;

    buf_slice(&out, slice_of(text.at, note->written_at));
    buf_text(&out, "\"");
    buf_slice(&out, name);
    buf_text(&out, "\"");
    buf_slice(&out, slice_from(text, note->written_at + note->written_len));
    err = say_as(s, st, buf_all(&out));
    buf_fini(&out);
    return err;
}

/* EXECUTE x: of the statement that this name means now; PREPARE x: of that which is in its way. */
static enum err say_execute(struct sql_session *s, const struct pg_statement *st,
                            struct pg_statement *there)
{
    char name[PG_STATEMENT_NAME_BYTES];

    if (!sql_prepared_ensure(s, there, false))
        return ERR_AGAIN;
    return say_name(s, st, pg_statement_name(there->id, name));
}

/* The server says that it is not there. */
static enum err say_nobody(struct sql_session *s, struct pg_statement **st, struct slice name)
{
    enum err err;

    if (!pg_statement_is_reserved(name))
        return ERR_NONE;
    err = say_name(s, *st, sql_nobody(s, name));
    if (err == ERR_NONE)
        *st = s->said;
    return err == ERR_LIMIT ? ERR_NONE : err;
}

enum err sql_statement_say(struct sql_session *s, struct pg_statement **st)
{
    const struct sql_note *note = (*st)->note;
    struct pg_statement *there = NULL;
    enum pg_name found = PG_NAME_FREE;
    enum err err;

    if (s->own_names || !is_of_others(note) || (note->name == NULL && sql_has_own_names(s)))
        return ERR_NONE;
    if (note->name != NULL)
        found = pg_statements_session_find(&s->statements, slice_of(note->name, note->name_len),
                                           &there);
    if (found == PG_NAME_LATER)
        return sql_message_wait(s) > 0 ? ERR_NONE : ERR_AGAIN;
    if (found == PG_NAME_FREE && note->verdict.kind == STATEMENT_PREPARE)
        return ERR_NONE;
    if (note->name != NULL && found == PG_NAME_FREE)
        return say_nobody(s, st, slice_of(note->name, note->name_len));
    if (note->verdict.kind == STATEMENT_DEALLOCATE || note->name == NULL)
        err = say_as(s, *st, slice_text(NOTHING));
    else if (!is_plain(there->note))
        return ERR_NONE;
    else
        err = say_execute(s, *st, there);
    if (err == ERR_NONE)
        *st = s->said;
    return err == ERR_LIMIT ? ERR_NONE : err;
}

void sql_statement_note_executed(struct sql_session *s, const struct pg_statement *st)
{
    const struct sql_note *note = st->note;
    struct pg_statement *there;

    if (note->name != NULL && note->verdict.kind != STATEMENT_DEALLOCATE &&
        note->verdict.kind != STATEMENT_PREPARE &&
        pg_statements_session_find(&s->statements, slice_of(note->name, note->name_len), &there) ==
            PG_NAME_THERE)
        sql_note_executed(s, there);
}
