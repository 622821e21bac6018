/* RESET ALL, DISCARD ALL, RESET x, SET x TO DEFAULT and set_config(x, NULL, ...) go back to what a
 * client began with, which a server does not know: it goes back to what it was configured for.  So
 * the client's values are put behind it, and the client is not told of what was between.
 *
 *     a Query         RESET ALL;SET x TO 'mine'          see prepare_flow.c
 *     DISCARD ALL     runs alone: another Query behind it, and the client hears that he may go on
 *                     when that is done; see message_flow.c
 *     an Execute      others behind it, swallowed.  None that takes a snapshot: BEGIN may follow
 *
 * Nothing is put behind code that does it: the session is asked for what it has then. */
#include "proxy/sql/pg_settings_pool.h"
#include "proxy/sql/sql_words.h"

enum { ENTRIES = 5 }; /* of one statement: restore_one() */

/* Zero is its beginning. */
struct walk {
    size_t at; /* in the statement's settings, or what the client began with */
};

struct back {
    struct pg_setting to;
    bool is_local;
    char name[PG_SETTINGS_NAME_BYTES]; /* of a client's own words */
};

/* Of what RESET ALL sends back, it might not be allowed to set this as another. */
static bool is_left(const struct sql_session *s, const struct statement *st, struct slice name)
{
    const struct pg_settings *now = pg_settings_session_effective(&s->settings);

    return st->kind == STATEMENT_RESET_ALL && now != NULL && now->has_role &&
           (pg_settings_traits(name) & PG_TRAIT_PRIVILEGED);
}

static bool next_of_all(const struct sql_session *s, struct walk *walk, struct back *out)
{
    while (walk->at < pg_settings_count(s->settings.start)) {
        out->to = pg_settings_at(s->settings.start, walk->at++);
        if (!slice_starts(out->to.name, slice_text("sheaf.")) &&
            !slice_is_text(out->to.name, "role") &&
            !slice_is_text(out->to.name, "session_authorization"))
            return true;
    }
    return false;
}

bool sql_restore_is_left(const struct sql_session *s, const struct statement *st)
{
    struct walk walk = { 0 };
    struct back back;

    while (st->kind == STATEMENT_RESET_ALL && next_of_all(s, &walk, &back))
        if (is_left(s, st, back.to.name))
            return true;
    return false;
}

static bool next_back(const struct sql_session *s, const struct statement *st, struct walk *walk,
                      struct back *out)
{
    out->is_local = false;
    if (st == NULL)
        return false;
    if (st->kind == STATEMENT_RESET_ALL || st->kind == STATEMENT_DISCARD_ALL) {
        while (next_of_all(s, walk, out))
            if (!is_left(s, st, out->to.name))
                return true;
        return false;
    }
    while (walk->at < st->setting_count) {
        const struct setting *setting = &st->settings[walk->at++];

        if (!setting->is_known || !setting->is_default || setting->is_sheaf ||
            !pg_settings_fold(setting->name, out->name, &out->to.name) ||
            !pg_settings_session_start_value(&s->settings, out->to.name, &out->to.value))
            continue;
        out->is_local = setting->is_local;
        return true;
    }
    return false;
}

size_t sql_restore_count(const struct sql_session *s, const struct statement *st)
{
    struct walk walk = { 0 };
    struct back back;
    size_t count = 0;

    while (next_back(s, st, &walk, &back))
        count++;
    return count;
}

size_t sql_restore_put(const struct sql_session *s, const struct statement *st, struct buf *out)
{
    struct walk walk = { 0 };
    struct back back;
    size_t count = 0;

    for (; next_back(s, st, &walk, &back); count++) {
        buf_text(out, ";");
        pg_settings_put_assignment(out, back.to.name, back.to.value, back.is_local);
    }
    return count;
}

struct sql_edits *sql_restore_query(struct sql_session *s, const struct statement *st,
                                    struct buf *out)
{
    struct sql_edit edit;
    struct buf text = { 0 };
    size_t count = sql_restore_put(s, st, out);

    if (count == 0)
        return NULL;
    sql_edit_begin(s, &edit, NULL, &text);
    while (count-- > 0)
        sql_edit_end_with(&edit, SQL_EDIT_SWALLOW);
    return edit.edits;
}

/* ---- by the extended protocol ---- */

uint32_t sql_restore_entries(const struct sql_session *s)
{
    return 1 + ENTRIES * (uint32_t)sql_restore_count(s, sql_deeds_last(s));
}

static void expect(struct sql_session *s, enum pg_expect_kind kind)
{
    sql_message_expect(s, kind, PG_EXPECT_SWALLOW, 0, NULL);
}

static void restore_one(struct sql_session *s, const struct back *back, struct slice name,
                        struct buf *out)
{
    struct buf text = { 0 };

    pg_settings_put_assignment(&text, back->to.name, back->to.value, back->is_local);
    expect(s, PG_EXPECT_PARSE);
    expect(s, PG_EXPECT_BIND);
    expect(s, PG_EXPECT_EXECUTE);
    expect(s, PG_EXPECT_CLOSE);
    expect(s, PG_EXPECT_CLOSE);
    pg_put_parse(out, name, buf_all(&text), slice_of(NULL, 0));
    pg_put_bind(out, name, name, NULL, 0);
    pg_put_execute(out, name, 0);
    pg_put_close(out, PG_KIND_PORTAL, name);
    pg_put_close(out, PG_KIND_STATEMENT, name);
    buf_fini(&text);
}

void sql_restore_execute(struct sql_session *s)
{
    static const char OURS[] = "_sheaf_restore";
    const struct statement *st = sql_deeds_last(s);
    struct slice name = slice_text(OURS);
    struct walk walk = { 0 };
    struct buf out = { 0 };
    struct back back;

    expect(s, PG_EXPECT_CLOSE); /* it may be there, if it failed before */
    pg_put_close(&out, PG_KIND_STATEMENT, name);
    while (next_back(s, st, &walk, &back))
        restore_one(s, &back, name, &out);
    sql_message_put(s->lease, buf_all(&out));
    buf_fini(&out);
}
