/* A simple Query on its way to the upstream that its session leases: as it came, or in other words
 * where it prepares or executes statements, or goes back to what the client began with. */
#include "proxy/sql/sql_words.h"

/* Unless its text is not of the client's encoding, which the server finds before all else. */
static void query_ends_unnamed(struct sql_upstream *u)
{
    pg_prepared_unnamed_becomes(&u->prepared, PG_UNNAMED_UNKNOWN);
}

/* What is in it is not known: it may have a COPY FROM STDIN, too. */
static size_t pass_query(struct sql_session *s, struct slice in, struct pg_frame f)
{
    if (!sql_message_expect_end(
            s, (struct pg_expected){ .kind = PG_EXPECT_QUERY,
                                     .flags = PG_EXPECT_WRITES | PG_EXPECT_COMMITS }))
        return 0;
    sql_slow_hear(s->lease, slice_from(in, PG_HEADER_BYTES));
    session_request_begins(&s->base);
    s->pins &= ~(uint32_t)PG_PIN_UNNAMED;
    query_ends_unnamed(s->lease);
    s->query_last = true;
    s->copies = s->copy_barrier = true;
    sql_message_is_opaque(s);
    return sql_message_pass(s, in, f);
}

static void take_back(struct sql_session *s, size_t changes)
{
    while (changes-- > 0)
        pg_statements_session_take_back(sql_side_of(s)->statements, &s->statements);
}

/* May it end a transaction in which it is asked? */
static bool may_commit(const struct sql_class *class)
{
    return class->verdict.kind == STATEMENT_COMMIT ||
           class->verdict.kind == STATEMENT_PREPARE_TRANSACTION ||
           (class->verdict.effects & EFFECT_UNSEEN) ||
           (class->script != NULL && (class->script->count > 1 || class->script->is_error));
}

static void expect_query(struct sql_session *s, const struct sql_class *class,
                         const struct sql_rewording *r)
{
    s->dirties |= sql_may_write(&class->verdict) || s->forced;
    s->commits |= may_commit(class);
    (void)sql_message_expect_end(
        s, (struct pg_expected){ .kind = PG_EXPECT_QUERY,
                                 .note = r->note | (r->changes > 0 ? SQL_NOTE_CHANGE : 0) |
                                         (s->deeds != NULL ? SQL_NOTE_DEEDS : 0),
                                 .number = r->changes });
}

static void undo_rewording(struct sql_session *s, struct sql_rewording *r)
{
    take_back(s, r->changes);
    sql_edits_free(s, &r->edits);
    buf_fini(&r->text);
}

/* Those that the server knows by the client's own names. */
static void note_prepares(struct sql_session *s, const struct sql_class *class)
{
    for (size_t i = 0; class->script != NULL && i < class->script->count; i++)
        if (class->script->statements[i].kind == STATEMENT_PREPARE)
            sql_note_prepares(s);
}

/* What was prepared by a Query: what its result looks like is asked behind it. */
static void ask_for_result(struct sql_session *s)
{
    struct buf out = { 0 };

    sql_edits_ask(s, &out);
    if (out.len == 0)
        return;
    sql_message_expect(s, PG_EXPECT_SYNC, PG_EXPECT_SWALLOW, SQL_NOTE_APART, NULL);
    pg_put_sync(&out);
    sql_message_put(s->lease, buf_all(&out));
    buf_fini(&out);
}

/* DISCARD ALL runs alone, and the server has other settings then than the client began with. */
static bool restore_behind(struct sql_session *s, const struct sql_class *class, struct buf *text)
{
    struct sql_edits *edits;

    if (class->verdict.kind != STATEMENT_DISCARD_ALL || class->script == NULL ||
        s->status != PG_STATUS_IDLE || s->in_exchange)
        return false;
    edits = sql_restore_query(s, &class->script->statements[0], text);
    if (edits == NULL)
        return false;
    sql_edits_free(s, &s->edits);
    s->edits = edits;
    return true;
}

static void send_behind(struct sql_session *s, struct buf *text)
{
    struct buf out = { 0 };

    sql_message_expect(s, PG_EXPECT_QUERY, 0, SQL_NOTE_EDITED, NULL);
    pg_prepared_unnamed_becomes(&s->lease->prepared, 0);
    pg_put_query(&out, buf_all(text));
    sql_message_put(s->lease, buf_all(&out));
    buf_fini(&out);
}

static size_t send_query(struct sql_session *s, struct slice in, struct pg_frame f,
                         const struct sql_class *class)
{
    struct sql_rewording r = { 0 };
    struct buf out = { 0 };
    bool changes = false, behind;
    enum sql_words words;
    size_t used = f.bytes;

    if (pg_statements_session_query(&s->statements, &changes) != ERR_NONE)
        return sql_message_wait(s);
    r.changes = changes;
    words = sql_reword(s, class, &r);
    if (words == SQL_WORDS_WAIT || !sql_message_has_room(s, 2)) {
        undo_rewording(s, &r);
        return sql_message_wait(s);
    }
    behind = restore_behind(s, class, &out);
    r.note |= behind ? SQL_NOTE_GOES_ON : 0;
    expect_query(s, class, &r);
    session_request_begins(&s->base);
    query_ends_unnamed(s->lease);
    if (words == SQL_WORDS_OTHER) {
        sql_edits_free(s, &s->edits);
        s->edits = r.edits;
        s->barrier |= sql_edits_define(s->edits); /* what follows may mean it */
        sql_message_keep(s->lease, slice_of(in.at, f.bytes));
        pg_put_query(&out, buf_all(&r.text));
        sql_message_put(s->lease, buf_all(&out));
        ask_for_result(s);
    } else {
        used = sql_message_pass(s, in, f);
    }
    if (behind)
        send_behind(s, &out);
    if (words == SQL_WORDS_CLIENTS || r.leaves_prepare)
        note_prepares(s, class);
    buf_fini(&r.text);
    buf_fini(&out);
    return used;
}

static bool copies_in(const struct sql_class *class)
{
    if (class->script == NULL)
        return class->verdict.kind == STATEMENT_COPY_IN;
    for (size_t i = 0; i < class->script->count; i++)
        if (class->script->statements[i].kind == STATEMENT_COPY_IN)
            return true;
    return false;
}

size_t sql_query_forward(struct sql_session *s, struct slice in, struct pg_frame f,
                         const struct sql_class *class)
{
    struct sql_class found;
    struct slice text;
    size_t used;

    if (f.bytes > SQL_PARSE_BYTES)
        return pass_query(s, in, f);
    if (!pg_frame_is_whole(in, f)) {
        s->base.need = f.bytes;
        return 0;
    }
    if (pg_read_query(pg_frame_body(in, f), &text) != ERR_NONE)
        return pass_query(s, in, f);
    sql_portal_leave(s);
    if (class == NULL) {
        sql_classify(s, text, &found);
        class = &found;
    }
    if (!sql_sequences_are_own(s, &class->verdict))
        return 0;
    if (sql_class_has_deeds(class) && !s->query_noted)
        sql_deeds_note(s, text, NULL);
    s->query_noted = true;
    used = send_query(s, in, f, class);
    if (used == 0)
        return 0;
    sql_slow_hear(s->lease, text);
    s->pins &= ~(uint32_t)PG_PIN_UNNAMED;
    s->query_noted = false;
    s->query_last = true;
    s->copies = s->copy_barrier = copies_in(class);
    s->barrier |= s->deeds != NULL && !s->copies; /* whose data is not held up, but what follows */
    sql_pins_note(s, &class->verdict, text);
    return used;
}
