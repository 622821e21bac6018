/* Parse: a statement gets a name of the session's, and is prepared at the server if it is not
 * there.
 *
 * A name that is taken must fail at its turn, and so must all but the end of a failed transaction:
 * what only the server knows it is asked. */
#include "proxy/sql/sql_words.h"

/* Notes that the name means another statement, should the server take it. */
static enum err define_again(struct sql_session *s, const struct pg_parse *parse)
{
    struct pg_statements *store = sql_side_of(s)->statements;
    struct pg_statement *st = NULL;
    enum err err = sql_statement_intern(s, parse, &st);

    if (err == ERR_NONE)
        err = pg_statements_session_define(store, &s->statements, parse->name, st);
    pg_statement_unref(store, &st);
    return err;
}

/* The server has what is to be prepared, but in a failed transaction, which that of a pipeline may
 * be by now, it takes nothing but the end of that. */
static bool may_fail(const struct sql_session *s, const struct pg_statement *st)
{
    const struct sql_note *note = st->note;

    return (s->status == PG_STATUS_FAILED || pg_expect_may_fail(&s->lease->expect)) &&
           note->verdict.kind != STATEMENT_ROLLBACK && note->verdict.kind != STATEMENT_COMMIT &&
           note->verdict.kind != STATEMENT_ROLLBACK_TO &&
           note->verdict.kind != STATEMENT_PREPARE_TRANSACTION;
}

/* In a failed transaction what is in its way can't be prepared, if it is not there; but the server
 * refuses the client's words, too, and looks at them before. */
static bool is_refused_anyway(struct sql_session *s, const struct pg_parse *parse,
                              const struct pg_statement *there)
{
    struct pg_statement *st = NULL;
    bool is_refused = false;

    if (s->status != PG_STATUS_FAILED || s->in_exchange || !pg_expect_is_empty(&s->lease->expect) ||
        pg_prepared_find(&s->lease->prepared, there->id) != PG_PREPARED_ABSENT)
        return false;
    if (sql_statement_intern(s, parse, &st) == ERR_NONE)
        is_refused = may_fail(s, st);
    pg_statement_unref(sql_side_of(s)->statements, &st);
    return is_refused;
}

/* By a name that nobody has. */
static size_t parse_in_vain(struct sql_session *s, struct slice in, struct pg_frame f,
                            const struct pg_parse *parse)
{
    struct buf out = { 0 };

    sql_message_expect(s, PG_EXPECT_PARSE, 0, 0, NULL);
    sql_message_begin(s);
    sql_message_keep(s->lease, slice_of(in.at, f.bytes));
    pg_put_parse(&out, sql_nobody(s, parse->name), parse->text, parse->types);
    sql_message_put(s->lease, buf_all(&out));
    buf_fini(&out);
    return f.bytes;
}

/* The server says 42P05 if it is given a name that it has: the client's words are put in later. */
static size_t parse_again(struct sql_session *s, struct slice in, struct pg_frame f,
                          const struct pg_parse *parse, struct pg_statement *there)
{
    char name[PG_STATEMENT_NAME_BYTES];
    struct buf out = { 0 };
    enum err err;

    if (is_refused_anyway(s, parse, there))
        return parse_in_vain(s, in, f, parse);
    if (!sql_prepared_ensure(s, there, false) || !sql_message_has_room(s, 1))
        return 0;
    err = define_again(s, parse);
    if (err == ERR_AGAIN)
        return sql_message_wait(s);
    sql_message_expect_named(s, PG_EXPECT_PARSE,
                             SQL_NOTE_DUPLICATE | (err == ERR_NONE ? SQL_NOTE_CHANGE : 0),
                             parse->name, there);
    sql_message_begin(s);
    sql_message_keep(s->lease, slice_of(in.at, f.bytes));
    pg_put_parse(&out, pg_statement_name(there->id, name), parse->text, parse->types);
    sql_message_put(s->lease, buf_all(&out));
    buf_fini(&out);
    return f.bytes;
}

/* Code, or PREPARE by the protocol, may have given the server a statement of that name. */
static bool may_be_taken(const struct sql_session *s, struct slice name)
{
    return (s->pins & (PG_PIN_SQL_PREPARE | PG_PIN_OPAQUE)) && !pg_statement_is_reserved(name);
}

/* It is prepared there by the client's own name, for its answer alone. */
static size_t send_parse_to_ask(struct sql_session *s, struct slice in, struct pg_frame f,
                                const struct pg_parse *parse, struct pg_statement *st)
{
    bool is_reserved = pg_statement_is_reserved(parse->name);
    struct slice name = is_reserved ? sql_nobody(s, parse->name) : parse->name;
    struct buf out = { 0 };

    sql_message_expect(s, PG_EXPECT_PARSE, 0, SQL_NOTE_CHANGE, NULL);
    sql_message_keep(s->lease, slice_of(in.at, f.bytes));
    pg_put_parse(&out, name, pg_statement_text(st), parse->types);
    (void)sql_result_ask(s, st, name, SQL_NOTE_FIRST, &out);
    sql_message_expect(s, PG_EXPECT_CLOSE, PG_EXPECT_SWALLOW, 0, NULL);
    pg_put_close(&out, PG_KIND_STATEMENT, name);
    sql_message_put(s->lease, buf_all(&out));
    buf_fini(&out);
    return f.bytes;
}

static size_t send_unnamed_parse(struct sql_session *s, struct slice in, struct pg_frame f,
                                 const struct pg_parse *parse, struct pg_statement *st)
{
    struct slice text = pg_statement_text(st);
    struct buf out = { 0 };

    s->pins &= ~(uint32_t)PG_PIN_UNNAMED;
    sql_message_expect(s, PG_EXPECT_PARSE, 0, SQL_NOTE_CHANGE | SQL_NOTE_UNNAMED,
                       pg_statement_ref(st));
    pg_prepared_unnamed_becomes(&s->lease->prepared, st->id);
    if (slice_is(text, parse->text))
        return sql_message_pass(s, in, f);
    sql_message_keep(s->lease, slice_of(in.at, f.bytes));
    pg_put_parse(&out, parse->name, text, parse->types);
    sql_message_put(s->lease, buf_all(&out));
    buf_fini(&out);
    return f.bytes;
}

enum { ROOM_TO_PARSE = 5 }; /* what makes room, the Parse, and a Describe */

static size_t send_parse(struct sql_session *s, struct slice in, struct pg_frame f,
                         const struct pg_parse *parse, struct pg_statement *st)
{
    char name[PG_STATEMENT_NAME_BYTES];
    struct buf out = { 0 };

    if (sql_statement_say(s, &st) != ERR_NONE || !sql_message_has_room(s, ROOM_TO_PARSE))
        return 0;
    if (parse->name.len == 0)
        return send_unnamed_parse(s, in, f, parse, st);
    if (may_be_taken(s, parse->name))
        return send_parse_to_ask(s, in, f, parse, st);
    switch (sql_prepared_there(s, st)) {
    case SQL_PREPARED:
        if (may_fail(s, st))
            return send_parse_to_ask(s, in, f, parse, st);
        if (!sql_message_expect(s, PG_EXPECT_PARSE, PG_EXPECT_FAKE, SQL_NOTE_CHANGE, NULL))
            return 0;
        sql_message_keep(s->lease, slice_of(in.at, f.bytes));
        return f.bytes;
    case SQL_PREPARE_IT:
        if (!sql_message_expect(s, PG_EXPECT_PARSE, 0, SQL_NOTE_CHANGE | SQL_NOTE_PREPARES,
                                pg_statement_ref(st))) {
            pg_prepared_settle(&s->lease->prepared, st->id, PG_OUTCOME_SKIPPED);
            return 0;
        }
        sql_message_keep(s->lease, slice_of(in.at, f.bytes));
        pg_put_parse(&out, pg_statement_name(st->id, name), pg_statement_text(st), parse->types);
        (void)sql_result_ask(s, st, slice_of(name, sizeof(name) - 1), SQL_NOTE_FIRST, &out);
        sql_message_put(s->lease, buf_all(&out));
        buf_fini(&out);
        return f.bytes;
    case SQL_PREPARED_LATER:
        break;
    }
    return sql_message_wait(s);
}

/* One too large to be remembered: the session keeps this server, which knows it by its own name; or
 * as the unnamed one, until another is, or a Query comes. */
static size_t pass_parse(struct sql_session *s, struct slice in, struct pg_frame f)
{
    bool is_unnamed, changes = false;

    if (in.len <= PG_HEADER_BYTES && f.bytes > PG_HEADER_BYTES) {
        s->base.need = PG_HEADER_BYTES + 1;
        return 0;
    }
    is_unnamed = f.bytes > PG_HEADER_BYTES && in.at[PG_HEADER_BYTES] == 0;
    if (is_unnamed && pg_statements_session_query(&s->statements, &changes) != ERR_NONE)
        return sql_message_wait(s);
    if (!sql_message_expect(s, PG_EXPECT_PARSE, 0,
                            (changes ? SQL_NOTE_CHANGE : 0) | (is_unnamed ? SQL_NOTE_UNNAMED : 0),
                            NULL)) {
        if (changes)
            pg_statements_session_take_back(sql_side_of(s)->statements, &s->statements);
        return 0;
    }
    sql_message_begin(s);
    if (is_unnamed)
        pg_prepared_unnamed_becomes(&s->lease->prepared, PG_UNNAMED_UNKNOWN);
    s->dirties = true;
    if (is_unnamed)
        sql_message_is_opaque(s);
    s->pins |= is_unnamed ? PG_PIN_UNNAMED : PG_PIN_STATEMENTS_LIMIT;
    return sql_message_pass(s, in, f);
}

/* By the session's own name: what it means is noted all the same. */
static size_t parse_own(struct sql_session *s, struct slice in, struct pg_frame f,
                        const struct pg_parse *parse)
{
    enum err err;

    if (!sql_message_has_room(s, 1))
        return 0;
    err = define_again(s, parse);
    if (err == ERR_AGAIN)
        return sql_message_wait(s);
    if (err != ERR_NONE)
        return pass_parse(s, in, f);
    sql_message_expect(s, PG_EXPECT_PARSE, 0, SQL_NOTE_CHANGE, NULL);
    s->pins |= PG_PIN_STATEMENTS_LIMIT; /* should a reload have it share the server */
    sql_slow_hear(s->lease, parse->text);
    sql_tally(s, SQL_DONE_CLIENT_PARSES, 1);
    sql_message_begin(s);
    return sql_message_pass(s, in, f);
}

static size_t define_and_send(struct sql_session *s, struct slice in, struct pg_frame f,
                              const struct pg_parse *parse, struct pg_statement *st)
{
    struct pg_statements *store = sql_side_of(s)->statements;
    size_t used;
    enum err err = pg_statements_session_define(store, &s->statements, parse->name, st);

    if (err == ERR_AGAIN)
        return sql_message_wait(s);
    if (err != ERR_NONE)
        return pass_parse(s, in, f);
    used = send_parse(s, in, f, parse, st);
    if (used == 0) {
        pg_statements_session_take_back(store, &s->statements);
        return 0;
    }
    sql_slow_hear(s->lease, parse->text);
    sql_tally(s, SQL_DONE_CLIENT_PARSES, 1);
    sql_message_begin(s);
    return used;
}

size_t sql_parse_forward(struct sql_session *s, struct slice in, struct pg_frame f)
{
    struct pg_statement *st = NULL, *there;
    struct pg_parse parse;
    enum pg_name found;
    size_t used;

    if (f.bytes > SQL_PARSE_BYTES)
        return pass_parse(s, in, f);
    if (!pg_frame_is_whole(in, f)) {
        s->base.need = f.bytes;
        return 0;
    }
    if (pg_read_parse(pg_frame_body(in, f), &parse) != ERR_NONE)
        return pass_parse(s, in, f); /* the server says what is wrong with it */
    if (s->own_names && parse.name.len > 0)
        return parse_own(s, in, f, &parse);
    found = pg_statements_session_find(&s->statements, parse.name, &there);
    if (found == PG_NAME_LATER)
        return sql_message_wait(s);
    if (found == PG_NAME_THERE && parse.name.len > 0)
        return parse_again(s, in, f, &parse, there);
    if ((parse.name.len > 0 && (s->pins & PG_PIN_STATEMENTS_LIMIT)) ||
        sql_statement_intern(s, &parse, &st) != ERR_NONE)
        return pass_parse(s, in, f);
    used = define_and_send(s, in, f, &parse, st);
    pg_statement_unref(sql_side_of(s)->statements, &st);
    return used;
}
