/* A session's settings: scripts of what was done, and what is set then. */
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/sql/pg_settings_session.h"
#include "tests/unit/check.h"

static struct pg_settings_pool *pool;
static struct pg_settings_session session;

static void begin(void)
{
    pool = pg_settings_pool_new(&(struct pg_settings_limits){ 0 });
}

static void end(void)
{
    size_t count, bytes;

    pg_settings_session_fini(pool, &session);
    pg_settings_pool_count(pool, &count, &bytes);
    CHECK_INT(count, 0);
    pg_settings_pool_free(&pool);
    session = (struct pg_settings_session){ 0 };
}

/* One step: "x=1" SET; "local x=1"; "reset x"; "reset local x"; "reset all"; "discard"; "start
 * x=1"; "commit"; "rollback"; "stay"; "not prepared"; "savepoint a"; "release a"; "to a". */
static enum err step(char *text)
{
    char *equal = strchr(text, '='), *word = strrchr(text, ' ');
    struct slice last = slice_text(word == NULL ? text : word + 1), value = { 0 };

    if (equal != NULL) {
        last.len = (size_t)(equal - (const char *)last.at);
        value = slice_text(equal + 1);
    }
    if (strncmp(text, "start ", 6) == 0)
        return pg_settings_session_start(pool, &session, last, value);
    if (strncmp(text, "local ", 6) == 0)
        return pg_settings_session_set_local(pool, &session, last, value);
    if (equal != NULL)
        return pg_settings_session_set(pool, &session, last, value);
    if (strcmp(text, "reset all") == 0)
        return pg_settings_session_reset_all(pool, &session);
    if (strncmp(text, "reset local ", 12) == 0)
        return pg_settings_session_reset_local(pool, &session, last);
    if (strncmp(text, "reset ", 6) == 0)
        return pg_settings_session_reset(pool, &session, last);
    if (strncmp(text, "savepoint ", 10) == 0)
        return pg_settings_session_savepoint(pool, &session, last);
    if (strncmp(text, "release ", 8) == 0)
        pg_settings_session_release(pool, &session, last);
    else if (strncmp(text, "to ", 3) == 0)
        pg_settings_session_rollback_to(pool, &session, last);
    else if (strcmp(text, "commit") == 0)
        pg_settings_session_commit(pool, &session);
    else if (strcmp(text, "stay") == 0)
        pg_settings_session_stay(&session);
    else if (strcmp(text, "not prepared") == 0)
        pg_settings_session_not_prepared(pool, &session);
    else if (strcmp(text, "rollback") == 0)
        pg_settings_session_rollback(pool, &session);
    else if (strcmp(text, "discard") == 0)
        pg_settings_session_discard_all(pool, &session);
    else
        abort();
    return ERR_NONE;
}

static enum err run(const char *script)
{
    char *copy = mem_text(script), *rest = copy;
    enum err err = ERR_NONE;

    while (rest != NULL && err == ERR_NONE) {
        char *one = strsep(&rest, ";");

        while (*one == ' ')
            one++;
        if (*one != 0)
            err = step(one);
    }
    free(copy);
    return err;
}

static struct slice shown(const struct pg_settings *v)
{
    static char text[1024];
    size_t len = 0;

    for (size_t i = 0; i < pg_settings_count(v); i++) {
        struct pg_setting s = pg_settings_at(v, i);

        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s=%.*s", i > 0 ? " " : "",
                                (int)s.name.len, (const char *)s.name.at, (int)s.value.len,
                                (const char *)s.value.at);
    }
    return slice_of(text, len);
}

struct story {
    const char *script, *effective, *current;
};

static void tell(const struct story *stories, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int before = check_failures_here;

        begin();
        CHECK_INT(run(stories[i].script), ERR_NONE);
        CHECK_BYTES(shown(pg_settings_session_effective(&session)),
                    slice_text(stories[i].effective));
        CHECK_BYTES(shown(session.current), slice_text(stories[i].current));
        if (check_failures_here > before)
            printf("  after: %s\n", stories[i].script);
        end();
    }
}

#define TELL(stories) tell(stories, sizeof(stories) / sizeof(stories[0]))

static void transactions_undo(void)
{
    static const struct story STORIES[] = {
        { "", "", "" },
        { "x=1", "x=1", "x=1" },
        { "x=1; commit", "x=1", "x=1" },
        { "x=1; rollback", "", "" },
        { "x=1; commit; rollback", "x=1", "x=1" },
        { "x=1; commit; x=2; y=3; rollback", "x=1", "x=1" },
        { "x=1; commit; reset x; rollback", "x=1", "x=1" },
        { "x=1; commit; reset x; commit", "", "" },
        { "commit; rollback", "", "" },
        { "stay; not prepared", "", "" },
        { "x=1; not prepared; x=2; rollback", "x=1", "x=1" },
        { "x=1; stay; not prepared", "", "" },
        { "x=1; stay; rollback; x=2; not prepared", "x=2", "x=2" },
        { "stay; x=1; not prepared", "x=1", "x=1" },
    };

    TELL(STORIES);
}

static void savepoints_undo(void)
{
    static const struct story STORIES[] = {
        { "savepoint a; x=1; to a", "", "" },
        { "x=0; savepoint a; x=1; to a; commit", "x=0", "x=0" },
        { "savepoint a; x=1; release a; commit", "x=1", "x=1" },
        { "savepoint a; x=1; release a; rollback", "", "" },
        { "savepoint a; x=1; savepoint b; x=2; to a; x=3; to a; commit", "", "" },
        { "savepoint a; x=1; savepoint b; x=2; to b; commit", "x=1", "x=1" },
        { "savepoint a; x=1; savepoint b; x=2; release b; to a; commit", "", "" },
        { "savepoint a; x=1; savepoint a; x=2; to a; commit", "x=1", "x=1" },
        { "savepoint a; x=1; savepoint a; x=2; release a; to a; commit", "", "" },
        { "savepoint a; x=1; savepoint b; savepoint c; release b; x=2; to a", "", "" },
        { "savepoint a; x=1; to nothing; release nothing; commit", "x=1", "x=1" },
        { "savepoint a; savepoint b; x=1; to a; x=2; commit", "x=2", "x=2" },
        { "to a; release a; x=1; commit; to a", "x=1", "x=1" },
    };

    TELL(STORIES);
}

static void local_values_end_with_the_transaction(void)
{
    static const struct story STORIES[] = {
        { "local x=1", "x=1", "" },
        { "local x=1; commit", "", "" },
        { "local x=1; rollback", "", "" },
        { "local x=1; x=2", "x=2", "x=2" },
        { "x=2; local x=1", "x=1", "x=2" },
        { "local x=1; x=2; local x=3; commit", "x=2", "x=2" },
        { "local x=1; savepoint a; local x=5; release a", "x=5", "" },
        { "local x=1; savepoint a; local x=5; to a", "x=1", "" },
        { "x=7; reset local x", "", "x=7" },
        { "x=7; reset local x; commit", "x=7", "x=7" },
        { "local x=8; reset x; commit", "", "" },
        { "x=1; commit; local x=8; reset all; commit", "", "" },
        { "local role=r; reset all", "role=r", "" },
    };

    TELL(STORIES);
}

static void reset_goes_back_to_the_start(void)
{
    static const struct story STORIES[] = {
        { "start x=1; x=2; reset x", "x=1", "x=1" },
        { "start x=1; x=2; y=3; reset all", "x=1", "x=1" },
        { "start x=1; x=2; y=3; discard", "x=1", "x=1" },
        { "start x=1; start x=2; reset x", "x=2", "x=2" },
        { "start x=1; local x=2; reset local x; commit", "x=1", "x=1" },
        { "start x=1; X=2; RESET_me=1; reset RESET_ME; reset X", "x=1", "x=1" },
        { "role=r; x=1; reset all; commit", "role=r", "role=r" },
        { "start role=s; role=r; reset all; commit", "role=r", "role=r" },
        { "start role=s; role=r; reset role; commit", "role=s", "role=s" },
        { "role=r; x=1; discard", "", "" },
        { "start role=s; session_authorization=u; reset all", "role=none session_authorization=u",
          "role=none session_authorization=u" },
    };

    TELL(STORIES);
}

static void half_a_datestyle_is_made_whole(void)
{
    const struct pg_settings *reported = NULL;

    begin();
    CHECK_INT(run("start datestyle=sql"), ERR_NONE);
    pg_settings_report(pool, &reported, slice_text("DateStyle"), slice_text("SQL, DMY"));
    pg_settings_session_start_reported(pool, &session, reported);
    CHECK_BYTES(shown(session.current), slice_text("datestyle=SQL, DMY"));
    CHECK_INT(run("datestyle=iso,ymd; datestyle=mdy"), ERR_NONE);
    CHECK_BYTES(shown(session.current), slice_text("datestyle=iso, mdy"));
    CHECK_INT(run("reset datestyle"), ERR_NONE);
    CHECK_BYTES(shown(session.current), slice_text("datestyle=SQL, DMY"));
    pg_settings_unref(pool, &reported);
    end();
}

static void who_it_is_has_its_order(void)
{
    static const struct story STORIES[] = {
        { "role=r; session_authorization=u", "role=none session_authorization=u",
          "role=none session_authorization=u" },
        { "session_authorization=u; role=r; commit", "role=r session_authorization=u",
          "role=r session_authorization=u" },
        { "session_authorization=u; role=r; reset session_authorization", "", "" },
        { "session_authorization=u; role=r; reset role", "session_authorization=u",
          "session_authorization=u" },
        { "role=r; commit; session_authorization=u; rollback", "role=r", "role=r" },
        { "role=r; commit; local session_authorization=u", "role=none session_authorization=u",
          "role=r" },
        { "start role=s; session_authorization=u; role=r; reset session_authorization", "role=s",
          "role=s" },
    };

    TELL(STORIES);
}

static void savepoints_are_bounded(void)
{
    begin();
    for (int i = 0; i < PG_SETTINGS_SAVEPOINTS * 3; i++)
        CHECK_INT(run("savepoint a"), ERR_NONE); /* nothing was set: nothing can be lost */
    CHECK_INT(run("to a; release a; x=1"), ERR_LIMIT);
    CHECK(session.current == NULL);
    CHECK_INT(run("commit; x=1"), ERR_NONE);
    for (int i = 0; i < PG_SETTINGS_SAVEPOINTS; i++)
        CHECK_INT(run("savepoint a"), ERR_NONE);
    CHECK_INT(run("savepoint a"), ERR_LIMIT);
    CHECK_INT(run("rollback; x=1; commit"), ERR_NONE);
    end();
}

static void a_failure_changes_nothing(void)
{
    struct slice name = slice_text("app.x");
    char *large = mem_new(PG_SETTINGS_VALUE_BYTES + 1);

    begin();
    memset(large, 'x', PG_SETTINGS_VALUE_BYTES + 1);
    CHECK_INT(run("x=1; local x=2"), ERR_NONE);
    CHECK_INT(
        pg_settings_session_set(pool, &session, name, slice_of(large, PG_SETTINGS_VALUE_BYTES + 1)),
        ERR_LIMIT);
    CHECK_INT(pg_settings_session_set_local(pool, &session, slice_text("log_connections"),
                                            slice_text("on")),
              ERR_UNSUPPORTED);
    CHECK_BYTES(shown(pg_settings_session_effective(&session)), slice_text("x=2"));
    CHECK_BYTES(shown(session.current), slice_text("x=1"));
    free(large);
    end();
}

static enum err find(struct pg_settings_found *found, const char *name, const char *value,
                     const char *text)
{
    return pg_settings_session_found(pool, &session, found, slice_text(name), slice_text(value),
                                     slice_text(text));
}

static void what_the_server_has_is_adopted(void)
{
    struct pg_settings_found found = { .login = slice_text("app") };

    begin();
    CHECK_INT(run("work_mem=64MB; gone=1; app.kept=a; app.gone=b; app.other=c; sheaf.route=primary;"
                  "log_duration=on; datestyle=iso; commit"),
              ERR_NONE);
    CHECK_INT(find(&found, "work_mem", "65536", "64MB"), ERR_NONE);
    CHECK_INT(find(&found, "DateStyle", "SQL, DMY", "SQL, DMY"), ERR_NONE);
    CHECK_INT(find(&found, "statement_timeout", "5000", "5s"), ERR_NONE);
    CHECK_INT(find(&found, "app.kept", "a", "a"), ERR_NONE);
    CHECK_INT(find(&found, "app.gone", "", ""), ERR_NONE);
    CHECK_INT(find(&found, "app.never", "", ""), ERR_NONE);
    CHECK_INT(find(&found, "role", "none", "none"), ERR_NONE);
    CHECK_INT(find(&found, "session_authorization", "app", "app"), ERR_NONE);
    (void)!pg_settings_session_adopt(pool, &session, &found);
    CHECK(found.v == NULL);
    CHECK_BYTES(
        shown(session.current),
        slice_text("app.kept=a app.other=c datestyle=SQL, DMY log_duration=on sheaf.route=primary "
                   "statement_timeout=5000 work_mem=64MB"));
    CHECK_INT(find(&found, "session_authorization", "alice", "alice"), ERR_NONE);
    CHECK_INT(find(&found, "role", "r", "r"), ERR_NONE);
    CHECK_INT(find(&found, "app.kept", "", ""), ERR_NONE);
    CHECK_INT(find(&found, "app.other", "", ""), ERR_NONE);
    (void)!pg_settings_session_adopt(pool, &session, &found);
    CHECK_BYTES(shown(session.current), slice_text("log_duration=on role=r "
                                                   "session_authorization=alice "
                                                   "sheaf.route=primary"));
    end();
}

static void the_start_value_is_known(void)
{
    struct slice value;

    begin();
    CHECK_INT(run("start datestyle=iso; datestyle=sql"), ERR_NONE);
    CHECK(pg_settings_session_start_value(&session, slice_text("datestyle"), &value));
    CHECK_BYTES(value, slice_text("iso"));
    CHECK(!pg_settings_session_start_value(&session, slice_text("work_mem"), &value));
    end();
}

int main(void)
{
    RUN(transactions_undo);
    RUN(savepoints_undo);
    RUN(local_values_end_with_the_transaction);
    RUN(reset_goes_back_to_the_start);
    RUN(half_a_datestyle_is_made_whole);
    RUN(who_it_is_has_its_order);
    RUN(savepoints_are_bounded);
    RUN(a_failure_changes_nothing);
    RUN(what_the_server_has_is_adopted);
    RUN(the_start_value_is_known);
    return check_report();
}
