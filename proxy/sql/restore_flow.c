/* RESET ALL, DISCARD ALL, RESET x, SET x TO DEFAULT and set_config(x, NULL, ...) go back to what a
 * client began with, which a server does not know: it goes back to what it was configured for.  So
 * the client's values are put behind it, and the client is not told of what was between.
 *
 *     a Query         RESET ALL;SET x TO 'mine'          see prepare_flow.c
 *     DISCARD ALL     runs alone: another Query behind it, and the client hears that he may go on
 *                     when that is done; see message_flow.c
 *     an Execute      others behind it, swallowed.  None that takes a snapshot: BEGIN may follow
 *
 * What only some may set is set as who logged in, if the session has a role.
 *
 * Nothing is put behind code that does it: the session is asked for what it has then. */
#include "proxy/sql/pg_settings_pool.h"
#include "proxy/sql/sql_words.h"

enum { ENTRIES = 5 }; /* of one statement: restore_one() */

/* What RESET ALL sends back and the present role may not set is set by who logged in. */
enum stage {
    STAGE_ALL,      /* what anyone may set */
    STAGE_LOGIN,    /* SET session_authorization, */
    STAGE_NO_ROLE,  /* SET role: whom the server's connection logged in as */
    STAGE_REST,     /* what only that one may set */
    STAGE_IDENTITY, /* SET session_authorization, */
    STAGE_ROLE,     /* SET role: who the session is */
    STAGE_END,
};

/* Zero is its beginning. */
struct walk {
    size_t at; /* in the statement's settings, or what the client began with */
    uint8_t stage;
};

struct back {
    struct pg_setting to;
    bool is_local;
    char name[PG_SETTINGS_NAME_BYTES]; /* of a client's own words */
};

static bool is_privileged(struct slice name)
{
    return (pg_settings_traits(name) & PG_TRAIT_PRIVILEGED) != 0;
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

static bool has_privileged(const struct sql_session *s)
{
    struct walk walk = { 0 };
    struct back back;

    while (next_of_all(s, &walk, &back))
        if (is_privileged(back.to.name))
            return true;
    return false;
}

/* SET LOCAL role, or session_authorization, to this, once: what either was set to behind which end
 * of the transaction stays as it is.  False: it is not due. */
static bool become(struct walk *walk, struct back *out, const char *name, bool is_due,
                   struct slice who)
{
    out->is_local = true;
    out->to = (struct pg_setting){ .name = slice_text(name), .value = who };
    return walk->at++ == 0 && is_due;
}

static bool next_of_rights(const struct sql_session *s, struct walk *walk, struct back *out,
                           bool privileged)
{
    out->is_local = false;
    while (next_of_all(s, walk, out))
        if (is_privileged(out->to.name) == privileged)
            return true;
    return false;
}

static bool next_of_stage(const struct sql_session *s, struct walk *walk, struct back *out)
{
    const struct pg_settings *now = pg_settings_session_effective(&s->settings);
    struct slice login = { 0 }, role = { 0 };
    bool has_login = pg_settings_find(now, slice_text("session_authorization"), &login);
    bool has_role = pg_settings_find(now, slice_text("role"), &role);

    switch ((enum stage)walk->stage) {
    case STAGE_ALL:
        return next_of_rights(s, walk, out, false);
    case STAGE_LOGIN:
        return become(walk, out, "session_authorization", has_login,
                      slice_text(sql_upstream_user(s->lease)));
    case STAGE_NO_ROLE:
        return become(walk, out, "role", has_role && !has_login, slice_text("none"));
    case STAGE_REST:
        return next_of_rights(s, walk, out, true);
    case STAGE_IDENTITY:
        return become(walk, out, "session_authorization", has_login, login);
    case STAGE_ROLE:
        return become(walk, out, "role", has_role, role);
    case STAGE_END:
        break;
    }
    return false;
}

/* As next_of_all(), by somebody with a role. */
static bool next_of_actor(const struct sql_session *s, struct walk *walk, struct back *out)
{
    for (; walk->stage != STAGE_END; walk->stage++, walk->at = 0) {
        if (next_of_stage(s, walk, out))
            return true;
        if (walk->stage == STAGE_ALL && !has_privileged(s))
            return false;
    }
    return false;
}

static bool next_back(const struct sql_session *s, const struct statement *st, struct walk *walk,
                      struct back *out)
{
    const struct pg_settings *now = pg_settings_session_effective(&s->settings);

    out->is_local = false;
    if (st == NULL)
        return false;
    if (st->kind == STATEMENT_RESET_ALL && now != NULL && now->has_role)
        return next_of_actor(s, walk, out);
    if (st->kind == STATEMENT_RESET_ALL || st->kind == STATEMENT_DISCARD_ALL)
        return next_of_all(s, walk, out);
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
