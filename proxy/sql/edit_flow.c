/* A Query's text in which some words are replaced by others, and how the server's answer is told as
 * if it had been said in the client's: places in the text where an error is, and tags of the
 * statements.  One such text of a session is under way at a time. */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/sql/sql_words.h"

/* Characters, as servers count them: a byte at least each. */
struct sql_shift {
    uint32_t here, len;           /* in the text that the server was given */
    uint32_t there, replaced_len; /* in the client's */
};

/* The session's name of a statement, from the CommandComplete on that its PREPARE has. */
struct sql_definition {
    struct sql_definition *next;
    struct pg_statement *st; /* a reference */
    struct slice name;       /* owned */
    uint32_t end;
    bool is_sent;  /* to be prepared by it */
    bool is_again; /* that was to fail */
};

struct sql_end {   /* of a CommandComplete */
    uint32_t mark; /* pg_statement_name_mark() */
    uint8_t end;   /* enum sql_edit_end */
};

struct sql_edits {
    struct sql_shift *shifts; /* owned, in their order */
    struct sql_definition *first, **last;
    struct sql_end *ends; /* owned */
    uint32_t shift_count, end_count, done;
    bool is_utf8, is_masked;
};

static void end_first(struct sql_edits *edits, struct pg_statements *store)
{
    struct sql_definition *first = edits->first;

    edits->first = first->next;
    pg_statement_unref(store, &first->st);
    free((void *)first->name.at);
    free(first);
}

void sql_edits_free(struct sql_session *s, struct sql_edits **where)
{
    struct sql_edits *edits = *where;

    *where = NULL;
    if (edits == NULL)
        return;
    while (edits->first != NULL) {
        if (edits->first->is_sent && s->lease != NULL)
            pg_prepared_settle(&s->lease->prepared, edits->first->st->id, PG_OUTCOME_SKIPPED);
        end_first(edits, sql_side_of(s)->statements);
    }
    free(edits->shifts);
    free(edits->ends);
    free(edits);
}

/* ---- making ---- */

static bool speaks_utf8(const struct sql_session *s)
{
    struct slice encoding;

    return !pg_settings_find(s->told, slice_text("client_encoding"), &encoding) ||
           slice_is_text(encoding, "UTF8");
}

static uint32_t characters(const struct sql_edits *edits, struct slice text)
{
    uint32_t count = 0;

    if (!edits->is_utf8 && !edits->is_masked)
        return (uint32_t)text.len;
    for (size_t i = 0; i < text.len; i++)
        count += edits->is_masked ? text.at[i] != 0xff : (text.at[i] & 0xc0) != 0x80;
    return count;
}

void sql_edit_begin(struct sql_session *s, struct sql_edit *edit, const struct sql_class *class,
                    struct buf *out)
{
    *edit = (struct sql_edit){ .class = class, .out = out, .edits = mem_new(sizeof(*edit->edits)) };
    edit->edits->last = &edit->edits->first;
    edit->edits->is_masked = class != NULL && sql_is_masked(class);
    edit->edits->is_utf8 = speaks_utf8(s);
}

/* What stands before it goes over as it is. */
static void copy_to(struct sql_edit *edit, const uint8_t *at)
{
    const uint8_t *from = edit->class->read.at;
    struct slice part = slice_of(from + edit->copied, (size_t)(at - from) - edit->copied);
    uint32_t count = characters(edit->edits, part);

    buf_slice(edit->out, sql_part(edit->class, part));
    edit->here += count;
    edit->there += count;
    edit->copied += part.len;
}

/* Powers of two, so that seldom anything moves. */
static size_t room_for(size_t count)
{
    size_t room = 2;

    while (room < count)
        room *= 2;
    return room;
}

void sql_edit_replace(struct sql_edit *edit, struct slice old, struct slice with)
{
    struct sql_edits *edits = edit->edits;
    struct sql_shift shift;

    copy_to(edit, old.at);
    shift = (struct sql_shift){ edit->here, characters(edits, with), edit->there,
                                characters(edits, old) };
    edits->shifts =
        mem_resize(edits->shifts, room_for(edits->shift_count + 1) * sizeof(edits->shifts[0]));
    edits->shifts[edits->shift_count++] = shift;
    buf_slice(edit->out, with);
    edit->here += shift.len;
    edit->there += shift.replaced_len;
    edit->copied += old.len;
}

void sql_edit_end_with(struct sql_edit *edit, enum sql_edit_end end)
{
    struct sql_edits *edits = edit->edits;

    edits->ends = mem_resize(edits->ends, room_for(edits->end_count + 1) * sizeof(edits->ends[0]));
    edits->ends[edits->end_count++] = (struct sql_end){ .end = (uint8_t)end };
}

void sql_edit_name(struct sql_edit *edit, struct slice name)
{
    edit->edits->ends[edit->edits->end_count - 1].mark = pg_statement_name_mark(name);
}

void sql_edit_define(struct sql_edit *edit, struct slice name, struct pg_statement *st,
                     bool is_sent)
{
    struct sql_definition *definition = mem_new(sizeof(*definition));

    *definition = (struct sql_definition){
        .st = pg_statement_ref(st),
        .name = slice_of(mem_text_of(name.at, name.len), name.len),
        .end = edit->edits->end_count,
        .is_sent = is_sent,
    };
    *edit->edits->last = definition;
    edit->edits->last = &definition->next;
}

void sql_edit_define_again(struct sql_edit *edit, struct slice name, struct pg_statement *st)
{
    struct sql_definition **last = edit->edits->last;

    sql_edit_define(edit, name, st, false);
    (*last)->is_again = true;
}

bool sql_edit_is_any(const struct sql_edit *edit)
{
    return edit->edits->shift_count > 0;
}

void sql_edit_end(struct sql_edit *edit)
{
    copy_to(edit, edit->class->read.at + edit->class->read.len);
}

/* ---- telling ---- */

/* The session's Query that is answered now was edited. */
static struct sql_edits *edits_of(const struct sql_upstream *u)
{
    const struct pg_expected *head = pg_expect_head(&u->expect);

    return u->lessee != NULL && head != NULL && (head->note & SQL_NOTE_EDITED) ? u->lessee->edits
                                                                               : NULL;
}

enum sql_edit_end sql_edits_next(const struct sql_upstream *u)
{
    const struct sql_edits *edits = edits_of(u);

    return edits == NULL || edits->done >= edits->end_count
               ? SQL_EDIT_KEEP
               : (enum sql_edit_end)edits->ends[edits->done].end;
}

uint32_t sql_edits_mark(const struct sql_edits *edits)
{
    return edits == NULL || edits->done >= edits->end_count ? 0 : edits->ends[edits->done].mark;
}

bool sql_edits_define(const struct sql_edits *edits)
{
    return edits != NULL && edits->first != NULL;
}

void sql_edits_ask(struct sql_session *s, struct buf *out)
{
    char name[PG_STATEMENT_NAME_BYTES];

    for (const struct sql_definition *d = s->edits->first; d != NULL; d = d->next)
        if (d->is_sent && pg_expect_has_room(&s->lease->expect, 2))
            (void)sql_result_ask(s, d->st, pg_statement_name(d->st->id, name),
                                 SQL_NOTE_FIRST | SQL_NOTE_APART, out);
}

void sql_edits_done(struct sql_upstream *u)
{
    struct sql_edits *edits = edits_of(u);
    struct pg_statements *store = u->endpoint->side->statements;
    struct sql_definition *first;

    if (edits == NULL)
        return;
    first = edits->first;
    if (first != NULL && first->end == edits->done) {
        pg_statements_session_define_now(store, &u->lessee->statements, first->name, first->st);
        if (first->is_sent)
            pg_prepared_settle(&u->prepared, first->st->id, PG_OUTCOME_DONE);
        if (first->is_again)
            sql_prepared_is_another(u);
        end_first(edits, store);
    }
    edits->done++;
}

/* A place that is told in the server's text, counted from 1, in the client's. */
static uint32_t place_of(const struct sql_edits *edits, uint32_t place)
{
    uint32_t result = place - 1;

    for (uint32_t i = 0; i < edits->shift_count && place - 1 >= edits->shifts[i].here; i++) {
        const struct sql_shift *shift = &edits->shifts[i];

        result = place - 1 < shift->here + shift->len
                     ? shift->there
                     : shift->there + shift->replaced_len + (place - 1 - shift->here - shift->len);
    }
    return result + 1;
}

/* Of an Execute of what was said with another name in it. */
static bool shift_of(const struct sql_upstream *u, const struct pg_expected *whose,
                     struct sql_shift *shift)
{
    const struct pg_statement *st = whose->kind == PG_EXPECT_EXECUTE ? whose->subject : NULL;
    const struct sql_note *note = st == NULL ? NULL : st->note;
    struct sql_edits how = { .is_utf8 = u->lessee != NULL && speaks_utf8(u->lessee) };
    struct slice text;

    if (note == NULL || note->name == NULL)
        return false;
    text = pg_statement_text(st);
    shift->here = shift->there = characters(&how, slice_of(text.at, note->written_at));
    shift->len = PG_STATEMENT_NAME_BYTES - 1 + sizeof("\"\"") - 1;
    shift->replaced_len = characters(&how, slice_of(text.at + note->written_at, note->written_len));
    return true;
}

bool sql_edits_place(const struct sql_upstream *u, const struct pg_expected *whose,
                     struct pg_report *report, char digits[SQL_PLACE_BYTES])
{
    const struct sql_edits *edits = u->lessee == NULL ? NULL : u->lessee->edits;
    struct sql_shift shift;
    struct sql_edits one = { .shifts = &shift, .shift_count = 1 };
    uint64_t place;

    if (shift_of(u, whose, &shift))
        edits = &one;
    else if (!(whose->note & SQL_NOTE_EDITED))
        edits = NULL;
    if (edits == NULL || !slice_to_u64(report->position, &place) || place == 0 ||
        place > UINT32_MAX)
        return false;
    snprintf(digits, SQL_PLACE_BYTES, "%u", place_of(edits, (uint32_t)place));
    report->position = slice_text(digits);
    return true;
}
