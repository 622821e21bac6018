/* RESET ALL, DISCARD ALL, RESET x and SET x TO DEFAULT go back to what a client began with, which a
 * server does not know: it goes back to what it was configured for.  So the client's values are put
 * behind it, and the client is not told of what was between.
 *
 *     a Query         RESET ALL;SET x TO 'mine'          see prepare_flow.c
 *     DISCARD ALL     runs alone: another Query behind it, and the client hears that he may go on
 *                     when that is done
 *     an Execute      another statement behind it, swallowed */
#include "proxy/sql/pg_settings_pool.h"
#include "proxy/sql/sql_words.h"

static bool is_restored(struct slice name)
{
    return !slice_starts(name, slice_text("sheaf.")) && !slice_is_text(name, "role") &&
           !slice_is_text(name, "session_authorization");
}

/* As another it might not be allowed to. */
static bool may_restore(const struct sql_session *s)
{
    const struct pg_settings *now = pg_settings_session_effective(&s->settings);

    if (now == NULL || !now->has_role)
        return true;
    for (size_t i = 0; i < pg_settings_count(s->settings.start); i++)
        if (pg_settings_traits(pg_settings_at(s->settings.start, i).name) & PG_TRAIT_PRIVILEGED)
            return false;
    return true;
}

/* The next of what the client began with; `only`: of this name, or empty. */
static bool next_of(const struct sql_session *s, struct slice only, size_t *at,
                    struct pg_setting *out)
{
    while (*at < pg_settings_count(s->settings.start)) {
        *out = pg_settings_at(s->settings.start, (*at)++);
        if (is_restored(out->name) && (only.len == 0 || slice_is(only, out->name)))
            return true;
    }
    return false;
}

size_t sql_restore_put(const struct sql_session *s, struct buf *out)
{
    struct slice all = { 0 };
    struct pg_setting setting;
    size_t at = 0, count = 0;

    if (!may_restore(s))
        return 0;
    for (; next_of(s, all, &at, &setting); count++) {
        buf_text(out, ";");
        pg_settings_put_assignment(out, setting.name, setting.value);
    }
    return count;
}

struct sql_edits *sql_restore_query(struct sql_session *s, struct buf *out)
{
    struct sql_edit edit;
    struct buf text = { 0 };
    size_t count = sql_restore_put(s, out);

    if (count == 0)
        return NULL;
    sql_edit_begin(s, &edit, NULL, &text);
    while (count-- > 0)
        sql_edit_end_with(&edit, SQL_EDIT_SWALLOW);
    return edit.edits;
}

/* SELECT set_config(...), ... */
static bool put_select(const struct sql_session *s, struct slice only, struct buf *out)
{
    struct pg_setting setting;
    size_t at = 0;

    while (next_of(s, only, &at, &setting)) {
        buf_text(out, out->len == 0 ? "SELECT pg_catalog.set_config(" : ",pg_catalog.set_config(");
        pg_settings_put_literal(out, setting.name);
        buf_text(out, ",");
        pg_settings_put_literal(out, setting.value);
        buf_text(out, ",false)");
    }
    return out->len > 0;
}

bool sql_restores(const struct sql_session *s, struct slice only)
{
    struct pg_setting setting;
    size_t at = 0;

    return may_restore(s) && next_of(s, only, &at, &setting);
}

void sql_restore_execute(struct sql_session *s, struct slice only)
{
    static const char OURS[] = "_sheaf_restore";
    struct slice name = slice_text(OURS);
    struct buf text = { 0 }, out = { 0 };

    if (put_select(s, only, &text)) {
        sql_message_expect(s, PG_EXPECT_CLOSE, PG_EXPECT_SWALLOW, 0, NULL);
        sql_message_expect(s, PG_EXPECT_PARSE, PG_EXPECT_SWALLOW, 0, NULL);
        sql_message_expect(s, PG_EXPECT_BIND, PG_EXPECT_SWALLOW, 0, NULL);
        sql_message_expect(s, PG_EXPECT_EXECUTE, PG_EXPECT_SWALLOW, 0, NULL);
        sql_message_expect(s, PG_EXPECT_CLOSE, PG_EXPECT_SWALLOW, 0, NULL);
        sql_message_expect(s, PG_EXPECT_CLOSE, PG_EXPECT_SWALLOW, 0, NULL);
        pg_put_close(&out, PG_KIND_STATEMENT, name);
        pg_put_parse(&out, name, buf_all(&text), slice_of(NULL, 0));
        pg_put_bind(&out, name, name, NULL, 0);
        pg_put_execute(&out, name, 0);
        pg_put_close(&out, PG_KIND_PORTAL, name);
        pg_put_close(&out, PG_KIND_STATEMENT, name);
        sql_message_put(s->lease, buf_all(&out));
    }
    buf_fini(&text);
    buf_fini(&out);
}
