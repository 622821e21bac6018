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

void sql_portal_leave(struct sql_session *s)
{
    if (!s->portal_deeds)
        return;
    s->portal_deeds = false;
    s->probes = s->probes_settings = true;
    sql_deeds_take_back(s);
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

void sql_portal_bind(struct sql_session *s, const struct pg_statement *st,
                     const struct pg_bind *bind, struct slice body, bool whole)
{
    const struct sql_note *note = st->note;
    struct pg_bind full;

    pg_statement_unref(sql_side_of(s)->statements, &s->portal_said);
    s->dirties |= note->verdict.route > ROUTE_TRY;
    s->commits |= note->verdict.kind == STATEMENT_COMMIT ||
                  note->verdict.kind == STATEMENT_PREPARE_TRANSACTION;
    s->portal_copies = note->verdict.kind == STATEMENT_COPY_IN;
    s->portal_kind = note->verdict.kind;
    if (s->portal_kind == STATEMENT_PREPARE)
        sql_note_prepares(s);
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
    if (s->portal_kind == STATEMENT_DEALLOCATE ||
        (s->portal_kind == STATEMENT_DEALLOCATE_ALL && !sql_has_own_names(s))) {
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
