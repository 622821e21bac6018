/* What a prepared statement's result looks like.  To PostgreSQL that is fixed when it is prepared:
 * if a table has other columns later, who uses the statement hears 0A000 ("cached plan must not
 * change result type") until he prepares it anew, so that a client which remembers the columns
 * never reads one for another.  A server that prepares the statement only then would answer with
 * the new columns.
 *
 * So each Parse to a server that others may rely on has a Describe behind it, swallowed.  The first
 * tells how the statement is to look; where a session's own statement is prepared at another
 * server, what it looks like there must be that, and is awaited before the statement is used there,
 * unless it was found so just now.  The types of its parameters are then told to the server as the
 * first one chose them.
 *
 * A statement that a session prepares after DDL is another one than before (its edition), though
 * its text be the same. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proxy/base/mem.h"
#include "proxy/sql/catalog_flow.h"
#include "proxy/sql/sql_words.h"

enum { TRUST_US = 1000 * 1000 }; /* so long a result is believed to be what it was found to be */

static struct sql_result *result_of(const struct pg_statement *st)
{
    return &((struct sql_note *)st->note)->result;
}

void sql_note_free(void *note)
{
    struct sql_note *n = note;

    free(n->result.types);
    free(n->name);
    free(n);
}

/* ---- what is told ---- */

/* Names and types: where the columns are from, and how they are written, does not matter. */
static bool read_columns(struct slice body, uint64_t *out)
{
    struct pg_columns columns;
    struct pg_column c;
    uint64_t hash = 1;

    if (pg_read_columns(body, &columns) != ERR_NONE)
        return false;
    while (pg_column_next(&columns, &c)) {
        uint32_t numbers[] = { c.type, (uint32_t)c.modifier };

        hash = XXH3_64bits_withSeed(numbers, sizeof(numbers), hash);
        hash = XXH3_64bits_withSeed(c.name.at, c.name.len, hash);
    }
    *out = hash;
    return true;
}

static void take_types(struct pg_statement *st, struct slice body)
{
    struct sql_result *result = result_of(st);
    struct pg_types found;

    if (result->types != NULL || pg_read_types(body, &found) != ERR_NONE || found.count == 0)
        return;
    result->types = mem_new(found.types.len);
    memcpy(result->types, found.types.at, found.types.len);
    result->type_count = found.count;
}

struct slice sql_result_known_types(const struct pg_statement *st)
{
    const struct sql_result *result = result_of(st);

    return result->types == NULL ? pg_statement_types(st)
                                 : slice_of(result->types, (size_t)result->type_count * 4);
}

static void put_types(const struct pg_statement *st, struct buf *out)
{
    struct slice types = sql_result_known_types(st);
    uint32_t *numbers = mem_new(types.len + 1);

    for (size_t i = 0; i < types.len / 4; i++)
        numbers[i] = pg_type_at(types, i);
    pg_put_types(out, numbers, types.len / 4);
    free(numbers);
}

bool sql_result_is_none(const struct pg_statement *st)
{
    const struct sql_result *result = result_of(st);

    return result->is_known && result->columns == 0;
}

void sql_result_put_none(const struct pg_statement *st, struct buf *out)
{
    put_types(st, out);
    pg_put_no_data(out);
}

/* It is another here than where it was prepared first: this server shall not keep it. */
static void is_changed(struct sql_upstream *u, struct pg_statement *st)
{
    pg_statement_retire(u->endpoint->side->statements, st);
    result_of(st)->found_us = 0;
    if (u->lessee != NULL)
        u->lessee->changed_id = st->id;
    else
        u->ending = true;
}

static void take_columns(struct sql_upstream *u, struct pg_statement *st, uint16_t note,
                         struct slice body)
{
    struct sql_result *result = result_of(st);
    uint64_t found = 0;

    if (body.at != NULL && !read_columns(body, &found))
        return;
    if (!result->is_known || ((note & SQL_NOTE_FIRST) && found != result->columns)) {
        result->columns = found; /* the newest has the last word */
        result->is_known = true;
    }
    if (found == result->columns)
        result->found_us = worker_now_us(u->base.worker);
    else
        is_changed(u, st);
}

void sql_result_frame(struct sql_upstream *u, const struct pg_expected *whose, struct slice rest,
                      struct pg_frame f)
{
    struct slice body;

    if (!pg_frame_is_whole(rest, f) || whose->subject == NULL)
        return;
    body = pg_frame_body(rest, f);
    if (f.type == PG_BACK_PARAMETER_DESCRIPTION)
        take_types(whose->subject, body);
    else if (f.type == PG_BACK_ROW_DESCRIPTION)
        take_columns(u, whose->subject, whose->note, body);
    else if (f.type == PG_BACK_NO_DATA)
        take_columns(u, whose->subject, whose->note, slice_of(NULL, 0));
}

/* ---- asking ---- */

bool sql_result_ask(struct sql_session *s, struct pg_statement *st, struct slice name,
                    uint16_t note, struct buf *out)
{
    if (!sql_message_expect(s, PG_EXPECT_DESCRIBE_STATEMENT, PG_EXPECT_SWALLOW,
                            SQL_NOTE_RESULT | note, pg_statement_ref(st))) {
        pg_statement_unref(sql_side_of(s)->statements, &st);
        return false;
    }
    pg_put_describe(out, PG_KIND_STATEMENT, name);
    return true;
}

bool sql_result_is_due(const struct sql_session *s, const struct pg_statement *st)
{
    const struct sql_result *result = result_of(st);

    if (!result->is_known)
        return false;
    return st->is_retired || st->edition != sql_catalog_edition(s) ||
           worker_now_us(s->base.worker) - result->found_us > TRUST_US;
}

bool sql_result_is_changed(const struct sql_session *s, const struct pg_statement *st)
{
    return s->changed_id == st->id;
}

/* ---- refusing ---- */

/* No statement has this name; what the server says of that is put in other words. */
static const char NOBODY[] = "_sheaf_";

struct slice sql_nobody(struct sql_session *s, struct slice name)
{
    buf_clear(&s->nobody);
    buf_slice(&s->nobody, name);
    return slice_text(NOBODY);
}

static void put_nobody(struct sql_session *s, enum pg_expect_kind kind, struct buf *out)
{
    if (kind == PG_EXPECT_BIND)
        pg_put_bind(out, slice_text(""), slice_text(NOBODY), NULL, 0);
    else
        pg_put_describe(out, PG_KIND_STATEMENT, slice_text(NOBODY));
    sql_message_put(s->lease, buf_all(out));
    buf_fini(out);
}

bool sql_nobody_ask(struct sql_session *s, struct slice name, enum pg_expect_kind kind)
{
    struct buf out = { 0 };

    if (!sql_message_expect(s, kind, 0, 0, NULL))
        return false;
    sql_nobody(s, name);
    put_nobody(s, kind, &out);
    return true;
}

void sql_nobody_reword(const struct sql_session *s, struct buf *message)
{
    static const char SAID[] = "\"_sheaf_\"";
    const uint8_t *found = memmem(message->at, message->len, SAID, sizeof(SAID) - 1);
    struct slice rest;
    struct buf out = { 0 };

    if (found == NULL || s->nobody.len == 0)
        return;
    buf_put(&out, message->at, (size_t)(found + 1 - message->at));
    buf_slice(&out, buf_all(&s->nobody));
    rest = slice_from(buf_all(message), (size_t)(found - message->at) + sizeof(SAID) - 2);
    buf_slice(&out, rest);
    buf_fini(message);
    *message = out;
}

bool sql_result_refuse(struct sql_session *s, struct pg_statement *st, enum pg_expect_kind kind)
{
    struct buf out = { 0 };

    if (!sql_statement_put_close(s, st, &out))
        return false;
    if (s->lease->prepared.unnamed == st->id)
        pg_prepared_unnamed_is_unknown(&s->lease->prepared);
    sql_message_expect(s, kind, 0, SQL_NOTE_CHANGED, pg_statement_ref(st));
    put_nobody(s, kind, &out);
    s->changed_id = 0;
    return true;
}

void sql_result_reword(const struct pg_expected *whose, struct pg_report *report, struct buf *out)
{
    if (!slice_is_text(report->sqlstate, "26000"))
        return;                                      /* it had something else to say first */
    if (whose->kind == PG_EXPECT_DESCRIBE_STATEMENT) /* of the types it speaks first */
        put_types(whose->subject, out);
    *report = (struct pg_report){
        .severity = report->severity,
        .severity_shown = report->severity_shown,
        .sqlstate = slice_text("0A000"),
        .message = slice_text("cached plan must not change result type"),
        .file = slice_text("plancache.c"),
        .routine = slice_text("RevalidateCachedQuery"), /* by which drivers know what to do */
    };
}

/* A plan that the server has is out of date: it is not what a new statement shall use. */
void sql_result_is_stale(struct sql_upstream *u, struct pg_statement *st,
                         const struct pg_report *report)
{
    if (st != NULL && slice_is_text(report->routine, "RevalidateCachedQuery"))
        pg_statement_retire(u->endpoint->side->statements, st);
}
