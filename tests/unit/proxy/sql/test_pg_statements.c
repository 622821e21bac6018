/* Prepared statements: each text once, and the names that sessions have for them while pipelines
 * are under way. */
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/sql/pg_statements.h"
#include "tests/unit/check.h"

static struct pg_settings_pool *settings;
static struct pg_statements *store;
static struct pg_statements_session session;
static int notes_freed;

static void note_free(void *note)
{
    notes_freed++;
    free(note);
}

static void begin_with(struct pg_statements_limits limits)
{
    limits.note_free = note_free;
    settings = pg_settings_pool_new(&(struct pg_settings_limits){ 0 });
    store = pg_statements_new(&limits, settings);
}

static void begin(void)
{
    begin_with((struct pg_statements_limits){ 0 });
}

static void end(void)
{
    pg_statements_session_fini(store, &session);
    pg_statements_free(&store);
    pg_settings_pool_free(&settings);
}

static struct pg_statement *intern(const char *text)
{
    struct pg_statement *st = NULL;
    struct pg_statement_key key = { .text = slice_text(text) };

    CHECK_INT(pg_statements_intern(store, &key, &st), ERR_NONE);
    return st;
}

static enum err try_to_define(const char *name, const char *text)
{
    struct pg_statement *st = intern(text);
    enum err err = pg_statements_session_define(store, &session, slice_text(name), st);

    pg_statement_unref(store, &st);
    return err;
}

static void define(const char *name, const char *text)
{
    CHECK_INT(try_to_define(name, text), ERR_NONE);
}

static void undefine(const char *name)
{
    CHECK_INT(pg_statements_session_undefine(&session, slice_text(name)), ERR_NONE);
}

static bool query(void)
{
    bool changes;

    CHECK_INT(pg_statements_session_query(&session, &changes), ERR_NONE);
    return changes;
}

static void sync(void)
{
    pg_statements_session_sync(&session);
}

static void settle(enum pg_outcome outcome)
{
    pg_statements_session_settle(store, &session, outcome);
}

/* The text, or "free", or "later". */
static struct slice found(const char *name)
{
    struct pg_statement *st = NULL;

    switch (pg_statements_session_find(&session, slice_text(name), &st)) {
    case PG_NAME_THERE:
        return pg_statement_text(st);
    case PG_NAME_LATER:
        return slice_text("later");
    case PG_NAME_FREE:
        break;
    }
    return slice_text("free");
}

#define CHECK_FOUND(name, expected) CHECK_BYTES(found(name), slice_text(expected))

/* --- The store ------------------------------------------------------------------------------- */

static void a_statement_is_known_by_all_that_it_means(void)
{
    const struct pg_settings *path = NULL;
    struct pg_statement *st[9] = { 0 };
    struct pg_statement_key key = { .text = slice_text("SELECT 1") };

    begin();
    CHECK_INT(pg_settings_set(settings, &path, slice_text("search_path"), slice_text("a")),
              ERR_NONE);
    CHECK_INT(pg_statements_intern(store, &key, &st[0]), ERR_NONE);
    CHECK_INT(pg_statements_intern(store, &key, &st[1]), ERR_NONE);
    CHECK(st[0] == st[1]);
    CHECK_INT(st[0]->interned, 2);
    key.types = bytes("\0\0\0\027");
    CHECK_INT(pg_statements_intern(store, &key, &st[2]), ERR_NONE);
    key.types = bytes("\0\0\0\024");
    CHECK_INT(pg_statements_intern(store, &key, &st[3]), ERR_NONE);
    key.meaning = pg_settings_meaning(path);
    CHECK_INT(pg_statements_intern(store, &key, &st[4]), ERR_NONE);
    key.scope = 3;
    CHECK_INT(pg_statements_intern(store, &key, &st[5]), ERR_NONE);
    key.from_sql = true;
    CHECK_INT(pg_statements_intern(store, &key, &st[6]), ERR_NONE);
    key.text = slice_text("SELECT 2");
    CHECK_INT(pg_statements_intern(store, &key, &st[7]), ERR_NONE);
    key.edition = 1;
    CHECK_INT(pg_statements_intern(store, &key, &st[8]), ERR_NONE);
    for (size_t i = 1; i < 9; i++)
        for (size_t j = i + 1; j < 9; j++)
            CHECK(st[i] != st[j] && st[i]->id != st[j]->id);
    CHECK_BYTES(pg_statement_text(st[7]), slice_text("SELECT 2"));
    CHECK_BYTES(pg_statement_types(st[7]), bytes("\0\0\0\024"));
    pg_settings_unref(settings, &path);
    for (size_t i = 0; i < 9; i++)
        pg_statement_unref(store, &st[i]);
    end();
}

static void what_is_retired_is_found_no_more(void)
{
    struct pg_statement *old, *now;
    size_t count, size;

    begin();
    old = intern("SELECT 1");
    define("s", "SELECT 1");
    pg_statement_retire(store, old);
    pg_statement_retire(store, old);
    now = intern("SELECT 1");
    CHECK(now != old && now->id != old->id);
    pg_statement_unref(store, &old);
    CHECK_FOUND("s", "SELECT 1");
    pg_statements_count(store, &count, &size);
    CHECK_INT(count, 2);
    settle(PG_OUTCOME_FAILED); /* which gives the last reference back */
    pg_statements_count(store, &count, &size);
    CHECK_INT(count, 1);
    pg_statement_unref(store, &now);
    end();
}

static void idle_statements_are_found_again_until_their_bytes_are_needed(void)
{
    enum { MANY = 1000 };
    struct pg_statement *st, *held;
    uint64_t id;
    char text[64];
    size_t count, size;

    begin_with((struct pg_statements_limits){ .bytes = 64 << 10 });
    held = intern("held");
    st = intern("SELECT 'once'");
    st->note = mem_new(8);
    id = st->id;
    pg_statement_unref(store, &st);
    st = intern("SELECT 'once'");
    CHECK_INT(st->id, id);
    CHECK(st->note != NULL);
    pg_statement_unref(store, &st);
    for (int i = 0; i < MANY; i++) {
        snprintf(text, sizeof(text), "SELECT %d", i);
        st = intern(text);
        pg_statement_unref(store, &st);
    }
    pg_statements_count(store, &count, &size);
    CHECK(count > 100 && count < MANY);
    CHECK(size <= 64 << 10);
    CHECK_INT(notes_freed, 1);
    st = intern("SELECT 'once'");
    CHECK(st->id != id);
    pg_statement_unref(store, &st);
    CHECK_BYTES(pg_statement_text(held), slice_text("held"));
    pg_statement_unref(store, &held);
    end();
    notes_freed = 0;
}

static void there_is_no_room_for_more_than_is_allowed(void)
{
    struct pg_statement *held, *st = NULL;
    char *large = mem_new(8192);
    struct pg_statement_key key = { .text = slice_of(large, 3000) };

    begin_with((struct pg_statements_limits){ .bytes = 4096 });
    CHECK_INT(pg_statements_intern(store, &key, &held), ERR_NONE);
    key.text.len = 2999;
    CHECK_INT(pg_statements_intern(store, &key, &st), ERR_LIMIT);
    CHECK(st == NULL);
    pg_statement_unref(store, &held);
    key.text.len = 8192;
    CHECK_INT(pg_statements_intern(store, &key, &st), ERR_LIMIT);
    key.text.len = 2999;
    CHECK_INT(pg_statements_intern(store, &key, &st), ERR_NONE);
    pg_statement_unref(store, &st);
    free(large);
    end();
}

static void servers_names_have_a_fixed_width(void)
{
    char name[PG_STATEMENT_NAME_BYTES];

    CHECK_BYTES(pg_statement_name(1, name), slice_text("_sheaf_0000000000000001"));
    CHECK_BYTES(pg_statement_name(UINT64_MAX - 15, name), slice_text("_sheaf_fffffffffffffff0"));
    CHECK_INT(strlen(name), PG_STATEMENT_NAME_BYTES - 1);
}

/* --- Names ----------------------------------------------------------------------------------- */

static void a_name_is_there_when_the_server_says_so(void)
{
    begin();
    CHECK_FOUND("a", "free");
    define("a", "SELECT 1");
    CHECK_FOUND("a", "SELECT 1"); /* for what follows in the pipeline */
    CHECK_FOUND("b", "free");
    CHECK_INT(pg_statements_session_count(&session), 0);
    settle(PG_OUTCOME_DONE);
    CHECK_INT(pg_statements_session_count(&session), 1);
    CHECK_FOUND("a", "SELECT 1");
    sync();
    CHECK_FOUND("a", "SELECT 1");
    undefine("a");
    CHECK_FOUND("a", "free");
    settle(PG_OUTCOME_DONE);
    CHECK_FOUND("a", "free");
    CHECK_INT(pg_statements_session_pending(&session), 0);
    end();
}

static void a_parse_that_failed_registers_nothing(void)
{
    begin();
    define("a", "SELECT 1");
    settle(PG_OUTCOME_FAILED);
    CHECK_FOUND("a", "free");
    define("a", "SELECT 1");
    define("b", "SELECT 2");
    settle(PG_OUTCOME_DONE);
    settle(PG_OUTCOME_SKIPPED);
    CHECK_FOUND("a", "SELECT 1");
    CHECK_FOUND("b", "free");
    end();
}

static void a_close_that_was_skipped_has_not_happened(void)
{
    begin();
    define("a", "SELECT 1");
    settle(PG_OUTCOME_DONE);
    undefine("a");
    define("a", "SELECT 2");
    CHECK_FOUND("a", "SELECT 2");
    settle(PG_OUTCOME_SKIPPED);
    settle(PG_OUTCOME_SKIPPED);
    CHECK_FOUND("a", "SELECT 1");
    undefine("a");
    define("a", "SELECT 2");
    settle(PG_OUTCOME_DONE);
    settle(PG_OUTCOME_FAILED);
    CHECK_FOUND("a", "free");
    end();
}

static void behind_a_sync_nothing_is_promised_until_the_reply(void)
{
    begin();
    define("a", "SELECT 1");
    sync();
    CHECK_FOUND("a", "later");
    CHECK_FOUND("b", "free");
    define("b", "SELECT 2");
    CHECK_FOUND("b", "SELECT 2");
    settle(PG_OUTCOME_DONE);
    CHECK_FOUND("a", "SELECT 1");
    undefine("a");
    sync();
    CHECK_FOUND("a", "later");
    settle(PG_OUTCOME_FAILED);
    settle(PG_OUTCOME_SKIPPED);
    CHECK_FOUND("a", "SELECT 1");
    CHECK_FOUND("b", "free");
    end();
}

static void the_unnamed_statement_has_its_own_life(void)
{
    begin();
    CHECK(!query()); /* nothing that it could end */
    define("", "SELECT 1");
    CHECK_FOUND("", "SELECT 1");
    settle(PG_OUTCOME_DONE);
    sync();
    CHECK_FOUND("", "SELECT 1"); /* it survives transactions */
    define("", "SELECT 2");
    settle(PG_OUTCOME_DONE);
    CHECK_FOUND("", "SELECT 2");
    define("", "SELEC");
    settle(PG_OUTCOME_FAILED); /* the old one goes, too */
    CHECK_FOUND("", "free");
    define("", "SELECT 3");
    settle(PG_OUTCOME_DONE);
    define("", "SELECT 4");
    settle(PG_OUTCOME_SKIPPED);
    CHECK_FOUND("", "SELECT 3");
    pg_statements_session_clear_now(store, &session);
    CHECK_FOUND("", "SELECT 3"); /* DEALLOCATE ALL is for names */
    CHECK(query());
    CHECK_FOUND("", "free");
    CHECK(!query());           /* one is enough */
    settle(PG_OUTCOME_FAILED); /* also a query that fails ends it */
    CHECK_FOUND("", "free");
    define("", "SELECT 5");
    settle(PG_OUTCOME_DONE);
    CHECK(query());
    settle(PG_OUTCOME_SKIPPED);
    CHECK_FOUND("", "SELECT 5");
    undefine("");
    settle(PG_OUTCOME_DONE);
    CHECK_FOUND("", "free");
    end();
}

static void a_change_that_was_not_sent_is_taken_back(void)
{
    begin();
    define("a", "SELECT 1");
    define("b", "SELECT 2");
    pg_statements_session_take_back(store, &session);
    CHECK_FOUND("a", "SELECT 1");
    CHECK_FOUND("b", "free");
    define("", "SELECT 3");
    pg_statements_session_take_back(store, &session);
    settle(PG_OUTCOME_DONE);
    CHECK_FOUND("a", "SELECT 1");
    CHECK_INT(pg_statements_session_pending(&session), 0);
    end();
}

static void what_a_reply_tells_comes_before_what_is_pending(void)
{
    begin();
    CHECK_INT(pg_statements_session_undefine_now(store, &session, slice_text("a")), 0);
    pg_statements_session_clear_now(store, &session);
    define("a", "SELECT 1");
    settle(PG_OUTCOME_DONE);
    define("b", "SELECT 2");
    CHECK_INT(pg_statements_session_undefine_now(store, &session, slice_text("b")), 0);
    CHECK_INT(pg_statements_session_undefine_now(store, &session, slice_text("a")), 1);
    CHECK_FOUND("a", "free");
    CHECK_FOUND("b", "SELECT 2");
    define("a", "SELECT 3");
    pg_statements_session_clear_now(store, &session);
    settle(PG_OUTCOME_DONE);
    settle(PG_OUTCOME_DONE);
    CHECK_FOUND("a", "SELECT 3");
    CHECK_FOUND("b", "SELECT 2");
    end();
}

static void many_names_come_and_go(void)
{
    enum { MANY = 3000 };
    char name[16], text[16];

    begin();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            snprintf(name, sizeof(name), "s%d", i);
            snprintf(text, sizeof(text), "T%d", i % 7);
            define(name, text);
            settle(PG_OUTCOME_DONE);
        }
        for (int i = 0; i < MANY; i += 2) {
            snprintf(name, sizeof(name), "s%d", i);
            undefine(name);
            settle(PG_OUTCOME_DONE);
        }
        for (int i = 0; i < MANY; i++) {
            snprintf(name, sizeof(name), "s%d", i);
            snprintf(text, sizeof(text), "T%d", i % 7);
            CHECK_FOUND(name, i % 2 == 0 ? "free" : text);
        }
        CHECK_INT(pg_statements_session_count(&session), MANY / 2);
        for (int i = 1; i < MANY; i += 2) {
            snprintf(name, sizeof(name), "s%d", i);
            undefine(name);
            settle(PG_OUTCOME_DONE);
        }
        CHECK_INT(pg_statements_session_count(&session), 0);
    }
    end();
}

static void a_session_is_bounded(void)
{
    char name[16];

    begin_with((struct pg_statements_limits){ .session_names = 3, .session_bytes = 4096 });
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        define(name, "SELECT 1");
    }
    CHECK_INT(try_to_define("s3", "SELECT 1"), ERR_LIMIT);
    CHECK_INT(try_to_define("", "SELECT 1"), ERR_NONE);
    settle(PG_OUTCOME_FAILED);
    CHECK_INT(try_to_define("s3", "SELECT 1"), ERR_NONE);
    for (int i = 0; i < 4; i++)
        settle(i == 2 ? PG_OUTCOME_FAILED : PG_OUTCOME_DONE);
    CHECK_INT(pg_statements_session_count(&session), 3);
    end();
    begin();
    for (int i = 0; i < PG_STATEMENTS_PENDING; i++)
        define("", "SELECT 1");
    CHECK_INT(try_to_define("", "SELECT 1"), ERR_AGAIN);
    CHECK_INT(pg_statements_session_undefine(&session, slice_text("x")), ERR_AGAIN);
    settle(PG_OUTCOME_DONE);
    define("", "SELECT 2");
    CHECK_INT(pg_statements_session_pending(&session), PG_STATEMENTS_PENDING);
    end();
}

static void servers_words_get_the_clients_names(void)
{
    struct buf out = { 0 }, text = { 0 };
    char name[PG_STATEMENT_NAME_BYTES];
    struct pg_statement *st;

    begin();
    pg_statements_session_reword(&session, slice_text("no _sheaf_ here"), 0, &out);
    CHECK_BYTES(buf_all(&out), slice_text("no _sheaf_ here"));
    define("mine", "SELECT 1");
    define("other", "SELECT 2");
    settle(PG_OUTCOME_DONE);
    st = intern("SELECT 1");
    buf_format(&text, "\"%s\" and ", (const char *)pg_statement_name(st->id, name).at);
    pg_statement_unref(store, &st);
    st = intern("SELECT 2");
    buf_format(&text, "%s but _sheaf_00000000 _sheaf_00000000000000ff",
               (const char *)pg_statement_name(st->id, name).at);
    pg_statement_unref(store, &st);
    buf_clear(&out);
    pg_statements_session_reword(&session, buf_all(&text), 0, &out);
    CHECK_BYTES(buf_all(&out), slice_text("\"mine\" and other but _sheaf_00000000 "
                                          "_sheaf_00000000000000ff"));
    buf_fini(&out);
    buf_fini(&text);
    end();
}

static void a_statement_with_several_names_is_called_by_the_one_that_was_said(void)
{
    static const char *const NAMES[] = { "one", "two", "three" };
    char name[PG_STATEMENT_NAME_BYTES];
    struct pg_statement *st;
    struct buf out = { 0 };

    begin();
    define("one", "SELECT 1");
    define("two", "SELECT 1");
    settle(PG_OUTCOME_DONE);
    settle(PG_OUTCOME_DONE);
    define("three", "SELECT 1"); /* pending */
    st = intern("SELECT 1");
    for (size_t i = 0; i < 3; i++) {
        buf_clear(&out);
        pg_statements_session_reword(&session, pg_statement_name(st->id, name),
                                     pg_statement_name_mark(slice_text(NAMES[i])), &out);
        CHECK_BYTES(buf_all(&out), slice_text(NAMES[i]));
    }
    pg_statement_unref(store, &st);
    settle(PG_OUTCOME_DONE);
    buf_fini(&out);
    end();
}

static const char *meaning_of(const char *name)
{
    struct pg_statement *there;

    if (pg_statements_session_find(&session, slice_text(name), &there) != PG_NAME_THERE)
        return "none";
    return slice_is_text(pg_statement_text(there), "old")   ? "old"
           : slice_is_text(pg_statement_text(there), "new") ? "new"
                                                            : "other";
}

static void settle_all(void)
{
    while (pg_statements_session_pending(&session) > 0)
        pg_statements_session_settle(store, &session, PG_OUTCOME_DONE);
}

static void what_an_exchange_changed_can_be_undone(void)
{
    begin();
    pg_statements_session_keep(store, &session); /* before there are any names */
    define("a", "new");
    settle_all();
    pg_statements_session_undo(store, &session);
    CHECK_TEXT(meaning_of("a"), "none");
    define("a", "old");
    define("b", "old");
    define("", "old");
    settle_all();
    pg_statements_session_keep(store, &session);
    CHECK_INT(pg_statements_session_undefine(&session, slice_text("a")), ERR_NONE);
    define("a", "new");
    define("", "new");
    define("c", "new");
    settle_all();
    pg_statements_session_clear_now(store, &session);
    define("b", "new");
    settle_all();
    CHECK_TEXT(meaning_of("b"), "new");
    pg_statements_session_undo(store, &session);
    CHECK_TEXT(meaning_of("a"), "old");
    CHECK_TEXT(meaning_of("b"), "old");
    CHECK_TEXT(meaning_of(""), "old");
    CHECK_TEXT(meaning_of("c"), "none");
    CHECK_INT(pg_statements_session_count(&session), 2);
    pg_statements_session_keep(store, &session);
    define("c", "new");
    settle_all();
    pg_statements_session_end_keeping(store, &session);
    pg_statements_session_undo(store, &session);
    CHECK_TEXT(meaning_of("c"), "new");
    end();
}

int main(void)
{
    RUN(a_statement_is_known_by_all_that_it_means);
    RUN(what_is_retired_is_found_no_more);
    RUN(idle_statements_are_found_again_until_their_bytes_are_needed);
    RUN(there_is_no_room_for_more_than_is_allowed);
    RUN(servers_names_have_a_fixed_width);
    RUN(a_name_is_there_when_the_server_says_so);
    RUN(a_parse_that_failed_registers_nothing);
    RUN(a_close_that_was_skipped_has_not_happened);
    RUN(behind_a_sync_nothing_is_promised_until_the_reply);
    RUN(the_unnamed_statement_has_its_own_life);
    RUN(a_change_that_was_not_sent_is_taken_back);
    RUN(what_a_reply_tells_comes_before_what_is_pending);
    RUN(many_names_come_and_go);
    RUN(a_session_is_bounded);
    RUN(servers_words_get_the_clients_names);
    RUN(a_statement_with_several_names_is_called_by_the_one_that_was_said);
    RUN(what_an_exchange_changed_can_be_undone);
    return check_report();
}
