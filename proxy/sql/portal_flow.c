/* Portals of the extended protocol whose execution changes what the session is: its settings, its
 * names of statements.
 *
 * The deeds of the portal that was bound last are noted, and done when its Execute is answered.  A
 * portal that is not executed before something else is bound or asked may be executed at any time,
 * also by FETCH, as long as its transaction lasts: the server is asked at the end what it has. */
#include <xxhash.h>

#include "proxy/sql/sql_words.h"

static uint64_t hash_of(struct slice portal)
{
    return XXH3_64bits(portal.len == 0 ? "" : (const char *)portal.at, portal.len);
}

/* The server may come to know its name at any time. */
static void leave_prepare(struct sql_session *s)
{
    if (s->portal_prepares == NULL)
        return;
    pg_statement_unref(sql_side_of(s)->statements, &s->portal_prepares);
    sql_note_prepares(s);
}

void sql_portal_leave(struct sql_session *s)
{
    leave_prepare(s);
    if (!s->portal_deeds)
        return;
    s->portal_deeds = false;
    s->probes = s->probes_settings = true;
    sql_deeds_take_back(s);
}

/* The server has it by the client's own name for the moment that it takes to find out what is wrong
 * with it, and whether that name is free. */
static bool is_movable(const struct sql_session *s, const struct pg_statement *st)
{
    const struct sql_note *note = st->note;
    struct slice name = slice_of(note->name, note->name_len);
    struct pg_statement *there;

    return note->name != NULL && !st->from_sql && !sql_has_own_names(s) &&
           !pg_statement_is_reserved(name) &&
           pg_statements_session_find(&s->statements, name, &there) == PG_NAME_FREE;
}

/* Notes the name that it gives; ERR_AGAIN: it waits. */
static enum err define(struct sql_session *s, struct slice name, struct pg_statement **out)
{
    struct pg_statements *store = sql_side_of(s)->statements;
    enum err err;

    TRY(sql_prepare_intern(s, pg_statement_text(s->portal_prepares), out));
    err = pg_statements_session_define(store, &s->statements, name, *out);
    if (err != ERR_NONE)
        pg_statement_unref(store, out);
    return err;
}

static size_t send_prepare(struct sql_session *s, struct slice in, struct pg_frame f,
                           struct slice name, struct pg_statement *made)
{
    struct buf out = { 0 };
    size_t used;

    sql_message_expect(s, PG_EXPECT_EXECUTE, 0, SQL_NOTE_CHANGE, NULL);
    used = sql_message_pass(s, in, f);
    (void)sql_result_ask(s, made, name, SQL_NOTE_FIRST, &out);
    sql_message_expect(s, PG_EXPECT_CLOSE, PG_EXPECT_SWALLOW, 0, NULL);
    pg_put_close(&out, PG_KIND_STATEMENT, name);
    sql_message_put(s->lease, buf_all(&out));
    buf_fini(&out);
    return used;
}

bool sql_portal_prepare(struct sql_session *s, struct slice in, struct pg_frame f,
                        struct slice body, size_t *used)
{
    enum { ENTRIES = 3 };
    struct pg_statements *store = sql_side_of(s)->statements;
    const struct sql_note *note = s->portal_prepares == NULL ? NULL : s->portal_prepares->note;
    struct pg_statement *made = NULL;
    struct pg_execute execute;
    struct slice name;
    enum err err = ERR_UNSUPPORTED;

    if (note == NULL)
        return false;
    name = slice_of(note->name, note->name_len);
    *used = 0;
    if (!sql_message_has_room(s, ENTRIES))
        return true;
    if (pg_read_execute(body, &execute) == ERR_NONE && hash_of(execute.portal) == s->portal_hash &&
        is_movable(s, s->portal_prepares))
        err = define(s, name, &made);
    if (err == ERR_AGAIN) {
        (void)sql_message_wait(s);
        return true;
    }
    if (err != ERR_NONE) {
        leave_prepare(s);
        return false;
    }
    *used = send_prepare(s, in, f, name, made);
    pg_statement_unref(store, &made);
    pg_statement_unref(store, &s->portal_prepares);
    return true;
}

void sql_portal_said(struct sql_session *s, struct pg_statement *own, struct slice portal)
{
    s->portal_said = pg_statement_ref(own);
    s->portal_named = hash_of(portal);
}

struct pg_statement *sql_portal_of(const struct sql_session *s, struct slice body)
{
    struct pg_execute execute;

    return s->portal_said != NULL && pg_read_execute(body, &execute) == ERR_NONE &&
                   hash_of(execute.portal) == s->portal_named
               ? pg_statement_ref(s->portal_said)
               : NULL;
}

enum { ANY_PORTAL = 0 }; /* several are COPYs: so may each be that is executed */

void sql_portal_holds_copy(struct sql_session *s, struct slice portal, bool copies)
{
    uint64_t hash = hash_of(portal);
    bool is_other = hash != s->portal_copied;

    if (copies) {
        s->portal_copied = s->portal_copies && is_other ? ANY_PORTAL : hash;
        s->portal_copies = true;
    } else if (!is_other) {
        s->portal_copies = false;
    }
}

bool sql_portal_is_copy(const struct sql_session *s, struct slice body)
{
    struct pg_execute execute;

    return s->portal_copies && pg_read_execute(body, &execute) == ERR_NONE &&
           (s->portal_copied == ANY_PORTAL || hash_of(execute.portal) == s->portal_copied);
}

void sql_portal_bind(struct sql_session *s, const struct pg_statement *st,
                     const struct pg_bind *bind, struct slice body, bool whole)
{
    const struct sql_note *note = st->note;
    struct pg_bind full;

    pg_statement_unref(sql_side_of(s)->statements, &s->portal_said);
    s->dirties |= sql_may_write(&note->verdict) || s->forced;
    s->commits |= note->verdict.kind == STATEMENT_COMMIT ||
                  note->verdict.kind == STATEMENT_PREPARE_TRANSACTION ||
                  (note->verdict.effects & EFFECT_UNSEEN);
    sql_portal_holds_copy(s, bind->portal, note->verdict.kind == STATEMENT_COPY_IN);
    s->portal_kind = note->verdict.kind;
    if (s->portal_kind == STATEMENT_PREPARE && is_movable(s, st)) {
        s->portal_prepares = pg_statement_ref((struct pg_statement *)st);
        s->portal_hash = hash_of(bind->portal);
    } else if (s->portal_kind == STATEMENT_PREPARE) {
        sql_note_prepares(s);
    }
    sql_pins_note(s, &note->verdict, pg_statement_text(st));
    sql_statement_note_executed(s, st);
    if (!note->has_deeds)
        return;
    if (st->from_sql) {
        s->probes = s->probes_settings = true;
        return;
    }
    if (whole && pg_read_bind(body, &full) == ERR_NONE)
        bind = &full;
    s->portal_hash = hash_of(bind->portal);
    s->portal_deeds = true;
    sql_deeds_note(s, pg_statement_text(st), bind);
}

bool sql_portal_is_due(struct sql_session *s, struct slice body)
{
    struct pg_execute execute;

    if (s->portal_deeds &&
        (pg_read_execute(body, &execute) != ERR_NONE || hash_of(execute.portal) != s->portal_hash))
        sql_portal_leave(s);
    return s->portal_deeds;
}

struct pg_expected sql_portal_execute(struct sql_session *s)
{
    struct pg_expected entry = { .kind = PG_EXPECT_EXECUTE, .note = SQL_NOTE_DEEDS };

    s->portal_deeds = false;
    s->deeds_sent = true;
    if (!s->own_names && (s->portal_kind == STATEMENT_DEALLOCATE ||
                          (s->portal_kind == STATEMENT_DEALLOCATE_ALL && !sql_has_own_names(s)))) {
        entry.note |= SQL_NOTE_RETAG;
        entry.number =
            (s->portal_kind == STATEMENT_DEALLOCATE ? SQL_TAG_DEALLOCATE : SQL_TAG_DEALLOCATE_ALL)
            << SQL_TAG_SHIFT;
    } else if (s->portal_kind == STATEMENT_DISCARD_ALL) {
        s->discards = true;
    } else if (sql_restore_count(s, sql_deeds_last(s)) > 0) {
        entry.note |= SQL_NOTE_RESTORED;
    }
    return entry;
}
