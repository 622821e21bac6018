/* Vectors of settings, and the SQL that leads from one to another. */
#include <stdlib.h>

#include "proxy/sql/pg_settings.h"
#include "proxy/sql/pg_settings_pool.h"
#include "tests/unit/check.h"

enum { VECTORS = 8 };

static struct pg_settings_pool *pool;
static const struct pg_settings *vectors[VECTORS];
static struct buf out;

static void begin(void)
{
    pool = pg_settings_pool_new(&(struct pg_settings_limits){ 0 });
}

static void end(void)
{
    for (size_t i = 0; i < VECTORS; i++)
        pg_settings_unref(pool, &vectors[i]);
    pg_settings_pool_free(&pool);
    buf_fini(&out);
}

static enum err set(size_t i, const char *name, const char *value)
{
    return pg_settings_set(pool, &vectors[i], slice_text(name), slice_text(value));
}

static enum err drop(size_t i, const char *name)
{
    return pg_settings_drop(pool, &vectors[i], slice_text(name));
}

/* The texts of the Query messages in `out`, each with a bar behind it. */
static struct slice texts(size_t expected_count)
{
    static char text[4096];
    size_t len = 0, count = 0;

    for (struct slice rest = buf_all(&out); rest.len > 0; count++) {
        size_t bytes = (size_t)rest.at[1] << 24 | rest.at[2] << 16 | rest.at[3] << 8 | rest.at[4];

        CHECK_INT(rest.at[0], 'Q');
        CHECK(bytes + 1 <= rest.len && rest.at[bytes] == 0);
        if (bytes + 1 > rest.len)
            break;
        memcpy(text + len, rest.at + 5, bytes - 5);
        len += bytes - 5;
        text[len++] = '|';
        rest = slice_from(rest, bytes + 1);
    }
    CHECK_INT(count, expected_count);
    return slice_of(text, len);
}

#define CHECK_WAY(from, to, expected)                                                              \
    do {                                                                                           \
        size_t count_;                                                                             \
                                                                                                   \
        buf_clear(&out);                                                                           \
        count_ = pg_settings_difference(vectors[from], vectors[to], &out);                         \
        CHECK_BYTES(texts(count_), slice_text(expected));                                          \
    } while (0)

static void equal_vectors_are_the_same_pointer(void)
{
    size_t count, bytes;

    begin();
    CHECK_INT(set(0, "work_mem", "64MB"), ERR_NONE);
    CHECK_INT(set(0, "search_path", "app"), ERR_NONE);
    CHECK_INT(set(1, "Search_Path", "app"), ERR_NONE);
    CHECK(vectors[0] != vectors[1]);
    CHECK_INT(set(1, "WORK_MEM", "64MB"), ERR_NONE);
    CHECK(vectors[0] == vectors[1]);
    CHECK_INT(pg_settings_count(vectors[0]), 2);
    CHECK_INT(set(1, "work_mem", "65MB"), ERR_NONE);
    CHECK(vectors[0] != vectors[1]);
    CHECK(pg_settings_number(vectors[0]) != pg_settings_number(vectors[1]));
    CHECK_INT(drop(0, "work_mem"), ERR_NONE);
    CHECK_INT(drop(1, "work_mem"), ERR_NONE);
    CHECK(vectors[0] == vectors[1]);
    CHECK_INT(drop(0, "search_path"), ERR_NONE);
    CHECK_INT(drop(0, "search_path"), ERR_NONE);
    CHECK(vectors[0] == NULL);
    CHECK_INT(drop(1, "search_path"), ERR_NONE);
    pg_settings_pool_count(pool, &count, &bytes);
    CHECK_INT(count, 0);
    CHECK_INT(bytes, 0);
    end();
}

static void many_vectors_are_found_again(void)
{
    enum { MANY = 1000 };
    const struct pg_settings *many[MANY] = { 0 }, *again;
    char value[16];
    size_t count, bytes;

    begin();
    for (int i = 0; i < MANY; i++) {
        snprintf(value, sizeof(value), "%d", i);
        CHECK_INT(pg_settings_set(pool, &many[i], slice_text("app.tenant"), slice_text(value)),
                  ERR_NONE);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(value, sizeof(value), "%d", i);
        again = NULL;
        CHECK_INT(pg_settings_set(pool, &again, slice_text("app.tenant"), slice_text(value)),
                  ERR_NONE);
        CHECK(again == many[i]);
        pg_settings_unref(pool, &again);
    }
    pg_settings_pool_count(pool, &count, &bytes);
    CHECK_INT(count, MANY);
    for (int i = 0; i < MANY; i++)
        pg_settings_unref(pool, &many[i]);
    end();
}

static void names_of_old_are_the_new_ones(void)
{
    struct slice value;

    begin();
    CHECK_INT(set(0, "sort_mem", "1MB"), ERR_NONE);
    CHECK(pg_settings_find(vectors[0], slice_text("work_mem"), &value));
    CHECK_BYTES(value, slice_text("1MB"));
    CHECK(!pg_settings_find(vectors[0], slice_text("sort_mem"), &value));
    end();
}

static void what_routing_asks_is_known(void)
{
    static const struct {
        const char *value;
        enum pg_switch is;
    } CASES[] = {
        { "on", PG_SWITCH_ON },        { "ON", PG_SWITCH_ON },   { "t", PG_SWITCH_ON },
        { "tru", PG_SWITCH_ON },       { "yes", PG_SWITCH_ON },  { "1", PG_SWITCH_ON },
        { "off", PG_SWITCH_OFF },      { "of", PG_SWITCH_OFF },  { "False", PG_SWITCH_OFF },
        { "n", PG_SWITCH_OFF },        { "0", PG_SWITCH_OFF },   { "o", PG_SWITCH_UNSAID },
        { "truer", PG_SWITCH_UNSAID }, { "", PG_SWITCH_UNSAID }, { "2", PG_SWITCH_UNSAID },
    };

    begin();
    CHECK_INT(pg_settings_read_only(NULL), PG_SWITCH_UNSAID);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        CHECK_INT(set(0, "default_transaction_read_only", CASES[i].value), ERR_NONE);
        CHECK_INT(pg_settings_read_only(vectors[0]), CASES[i].is);
        CHECK_INT(set(0, "default_transaction_deferrable", CASES[i].value), ERR_NONE);
        CHECK_INT(pg_settings_deferrable(vectors[0]), CASES[i].is);
        CHECK_INT(set(0, "standard_conforming_strings", CASES[i].value), ERR_NONE);
        CHECK_INT(pg_settings_backslash_escapes(vectors[0]), CASES[i].is == PG_SWITCH_OFF);
    }
    CHECK_INT(pg_settings_isolation(vectors[0]), PG_ISOLATION_UNSAID);
    CHECK_INT(set(0, "default_transaction_isolation", "Serializable"), ERR_NONE);
    CHECK_INT(pg_settings_isolation(vectors[0]), PG_ISOLATION_SERIALIZABLE);
    CHECK_INT(set(0, "default_transaction_isolation", "repeatable read"), ERR_NONE);
    CHECK_INT(pg_settings_isolation(vectors[0]), PG_ISOLATION_REPEATABLE_READ);
    CHECK_INT(drop(0, "default_transaction_isolation"), ERR_NONE);
    CHECK_INT(pg_settings_isolation(vectors[0]), PG_ISOLATION_UNSAID);
    end();
}

static void commits_that_do_not_wait_for_the_disk_are_known(void)
{
    static const char *const LAZY[] = { "off", "OFF", "false", "no", "0" };
    static const char *const OTHERS[] = {
        "on", "local", "remote_write", "remote_apply", "1", "of"
    };

    begin();
    CHECK(!pg_settings_commits_lazily(NULL));
    for (size_t i = 0; i < sizeof(LAZY) / sizeof(LAZY[0]); i++) {
        CHECK_INT(set(0, "synchronous_commit", LAZY[i]), ERR_NONE);
        CHECK(pg_settings_commits_lazily(vectors[0]));
    }
    for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++) {
        CHECK_INT(set(0, "synchronous_commit", OTHERS[i]), ERR_NONE);
        CHECK(!pg_settings_commits_lazily(vectors[0]));
    }
    end();
}

static void meaning_is_what_texts_depend_on_and_no_more(void)
{
    begin();
    CHECK_INT(set(0, "search_path", "app"), ERR_NONE);
    CHECK(pg_settings_meaning(vectors[0]) == vectors[0]);
    CHECK_INT(set(1, "search_path", "app"), ERR_NONE);
    CHECK_INT(set(1, "application_name", "psql"), ERR_NONE);
    CHECK(pg_settings_meaning(vectors[1]) == vectors[0]);
    CHECK_INT(set(2, "application_name", "psql"), ERR_NONE);
    CHECK(pg_settings_meaning(vectors[2]) == NULL);
    CHECK_INT(set(1, "role", "app_role"), ERR_NONE);
    CHECK(pg_settings_meaning(vectors[1]) != vectors[0]);
    CHECK(pg_settings_meaning(NULL) == NULL);
    CHECK_INT(set(3, "datestyle", "iso"), ERR_NONE);
    CHECK(pg_settings_meaning(vectors[3]) == vectors[3]);
    end();
}

static void settings_of_a_transaction_are_not_kept(void)
{
    begin();
    CHECK_INT(set(0, "transaction_isolation", "serializable"), ERR_NONE);
    CHECK_INT(set(0, "transaction_read_only", "on"), ERR_NONE);
    CHECK_INT(set(0, "seed", "0.5"), ERR_NONE);
    CHECK(vectors[0] == NULL);
    end();
}

static void what_cannot_be_moved_is_an_error_and_changes_nothing(void)
{
    char large[PG_SETTINGS_VALUE_BYTES + 2], name[24];

    begin();
    memset(large, 'x', sizeof(large));
    large[sizeof(large) - 1] = 0;
    CHECK_INT(set(0, "app.x", large), ERR_LIMIT);
    large[sizeof(large) - 2] = 0;
    CHECK_INT(set(0, "app.x", large), ERR_NONE);
    CHECK_INT(set(0, "app.y", large), ERR_LIMIT); /* with its name it is too much */
    CHECK_INT(pg_settings_count(vectors[0]), 1);
    for (int i = 0; i < PG_SETTINGS_COUNT; i++) {
        snprintf(name, sizeof(name), "app.x%d", i);
        CHECK_INT(set(1, name, ""), ERR_NONE);
    }
    CHECK_INT(set(1, "app.more", ""), ERR_LIMIT);
    CHECK_INT(set(1, "app.x7", "1"), ERR_NONE);
    CHECK_INT(set(2, "log_connections", "on"), ERR_UNSUPPORTED);
    CHECK_INT(set(2, "app.\303\251", "x"), ERR_UNSUPPORTED);
    CHECK_INT(set(2, "", "x"), ERR_LIMIT);
    CHECK_INT(pg_settings_set(pool, &vectors[2], slice_text("app.x"), bytes("a\0b")),
              ERR_UNSUPPORTED);
    CHECK_INT(
        pg_settings_set(pool, &vectors[2], slice_of(large, PG_SETTINGS_NAME_BYTES), slice_text("")),
        ERR_LIMIT);
    CHECK(vectors[2] == NULL);
    end();
}

static void values_stay_in_their_encoding(void)
{
    begin();
    CHECK_INT(set(0, "client_encoding", "LATIN1"), ERR_NONE);
    CHECK_INT(set(0, "app.x", "caf\351"), ERR_NONE);
    CHECK_INT(set(0, "client_encoding", "UTF8"), ERR_UNSUPPORTED);
    CHECK_INT(drop(0, "client_encoding"), ERR_UNSUPPORTED);
    CHECK_INT(set(0, "client_encoding", "LATIN1"), ERR_NONE);
    CHECK_INT(set(0, "app.x", "tea"), ERR_NONE);
    CHECK_INT(set(0, "client_encoding", "UTF8"), ERR_NONE);
    CHECK_INT(set(1, "client_encoding", "Shift-JIS"), ERR_NONE);
    CHECK_INT(set(1, "app.x", "\225\\"), ERR_UNSUPPORTED); /* one letter, and no backslash */
    CHECK_INT(set(1, "app.x", "x"), ERR_NONE);
    end();
}

static void a_way_sets_and_resets(void)
{
    begin();
    CHECK_INT(set(1, "work_mem", "64MB"), ERR_NONE);
    CHECK_INT(set(1, "application_name", "O'Reilly"), ERR_NONE);
    CHECK_INT(set(2, "work_mem", "1GB"), ERR_NONE);
    CHECK_INT(set(2, "app.user", "a\\b'c"), ERR_NONE);
    CHECK_WAY(0, 0, "");
    CHECK_WAY(0, 1, "BEGIN;SET application_name TO 'O''Reilly';SET work_mem TO '64MB';COMMIT|");
    CHECK_WAY(1, 0, "BEGIN;RESET application_name;RESET work_mem;COMMIT|");
    CHECK_WAY(1, 2,
              "BEGIN;RESET application_name;SET \"app\".\"user\" TO E'a\\\\b''c';"
              "SET work_mem TO '1GB';COMMIT|");
    CHECK_WAY(2, 2, "");
    end();
}

static void a_list_stays_a_list(void)
{
    static const struct {
        const char *value, *sql;
    } CASES[] = {
        { "app", "SET search_path TO 'app'" },
        { "app, public", "SET search_path TO 'app','public'" },
        { "\"$user\", public", "SET search_path TO '$user','public'" },
        { "\"it's\", b", "SET search_path TO 'it''s','b'" },
        { "", "SELECT pg_catalog.set_config('search_path','',false)" },
        { "\"\"", "SET search_path TO ''" },
        { "a,b", "SELECT pg_catalog.set_config('search_path','a,b',false)" },
        { "App", "SELECT pg_catalog.set_config('search_path','App',false)" },
        { "\"a\"\"b\"", "SELECT pg_catalog.set_config('search_path','\"a\"\"b\"',false)" },
        { "\"user\", b", "SET search_path TO 'user','b'" },
        { "user", "SELECT pg_catalog.set_config('search_path','user',false)" },
        { "\"app\"", "SELECT pg_catalog.set_config('search_path','\"app\"',false)" },
        { "a, ", "SELECT pg_catalog.set_config('search_path','a, ',false)" },
        { "a, \"b", "SELECT pg_catalog.set_config('search_path','a, \"b',false)" },
        { "\"a\\b\"", "SELECT pg_catalog.set_config('search_path',E'\"a\\\\b\"',false)" },
        { "a', b", "SELECT pg_catalog.set_config('search_path','a'', b',false)" },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        buf_clear(&out);
        pg_settings_put_assignment(&out, slice_text("search_path"), slice_text(CASES[i].value),
                                   false);
        CHECK_BYTES(buf_all(&out), slice_text(CASES[i].sql));
    }
    buf_clear(&out);
    pg_settings_put_assignment(&out, slice_text("datestyle"), slice_text("iso, dmy"), false);
    CHECK_BYTES(buf_all(&out), slice_text("SET datestyle TO 'iso, dmy'"));
    buf_clear(&out);
    pg_settings_put_assignment(&out, slice_text("a\"; drop.b"), slice_text("x"), true);
    CHECK_BYTES(buf_all(&out), slice_text("SET LOCAL \"a\"\"; drop\".\"b\" TO 'x'"));
    buf_fini(&out);
}

static void roles_come_before_what_others_may_set_and_after_what_only_some_may(void)
{
    begin();
    CHECK_INT(set(1, "log_statement", "all"), ERR_NONE); /* as who logged in */
    CHECK_INT(set(1, "session_authorization", "alice"), ERR_NONE);
    CHECK_INT(set(1, "role", "app"), ERR_NONE);
    CHECK_INT(set(1, "work_mem", "1MB"), ERR_NONE);
    CHECK_WAY(0, 1,
              "BEGIN;SET log_statement TO 'all';SET session_authorization TO 'alice';"
              "SET role TO 'app';SET work_mem TO '1MB';COMMIT|");
    CHECK_WAY(1, 0, "BEGIN;RESET ALL;RESET session_authorization;RESET role;COMMIT|");

    CHECK_INT(set(2, "role", "admin"), ERR_NONE);
    CHECK_INT(set(2, "session_replication_role", "replica"), ERR_NONE);
    CHECK_WAY(0, 2, "BEGIN;SET role TO 'admin';SET session_replication_role TO 'replica';COMMIT|");
    CHECK_WAY(2, 0, "BEGIN;RESET ALL;RESET role;COMMIT|");
    CHECK_INT(drop(2, "role"), ERR_NONE);
    CHECK_INT(set(2, "work_mem", "1MB"), ERR_NONE);
    CHECK_WAY(0, 2,
              "BEGIN;SET role TO 'admin';SET session_replication_role TO 'replica';"
              "RESET role;SET work_mem TO '1MB';COMMIT|");

    CHECK_INT(set(3, "session_authorization", "alice"), ERR_NONE);
    CHECK_WAY(0, 3, "BEGIN;SET session_authorization TO 'alice';COMMIT|");
    CHECK_WAY(3, 1,
              "BEGIN;RESET session_authorization;RESET role;SET log_statement TO 'all';"
              "SET session_authorization TO 'alice';SET role TO 'app';SET work_mem TO '1MB';"
              "COMMIT|");
    CHECK_INT(set(4, "role", "none"), ERR_NONE);
    CHECK_WAY(0, 4, "BEGIN;SET role TO 'none';COMMIT|");
    end();
}

static void from_a_server_of_which_nothing_is_known_all_is_taken_back(void)
{
    begin();
    buf_clear(&out);
    CHECK_INT(pg_settings_difference_from_unknown(NULL, &out), 1);
    CHECK_BYTES(texts(1),
                slice_text("BEGIN;RESET ALL;RESET session_authorization;RESET role;COMMIT|"));
    CHECK_INT(set(1, "log_statement", "all"), ERR_NONE);
    CHECK_INT(set(1, "role", "app"), ERR_NONE);
    CHECK_INT(set(1, "work_mem", "1MB"), ERR_NONE);
    buf_clear(&out);
    CHECK_INT(pg_settings_difference_from_unknown(vectors[1], &out), 1);
    CHECK_BYTES(texts(1), slice_text("BEGIN;RESET ALL;RESET session_authorization;RESET role;"
                                     "SET log_statement TO 'all';SET role TO 'app';"
                                     "SET work_mem TO '1MB';COMMIT|"));
    end();
}

static void the_encoding_is_said_in_a_message_before(void)
{
    begin();
    CHECK_INT(set(1, "client_encoding", "LATIN1"), ERR_NONE);
    CHECK_INT(set(1, "work_mem", "1MB"), ERR_NONE);
    CHECK_WAY(0, 1, "BEGIN;SET client_encoding TO 'LATIN1';SET work_mem TO '1MB';COMMIT|");
    CHECK_INT(set(1, "app.x", "\351"), ERR_NONE);
    CHECK_WAY(0, 1,
              "BEGIN;SET client_encoding TO 'LATIN1';COMMIT|"
              "BEGIN;SET \"app\".\"x\" TO '\351';SET work_mem TO '1MB';COMMIT|");
    CHECK_INT(set(2, "client_encoding", "UTF8"), ERR_NONE);
    CHECK_INT(set(3, "app.x", "\303\251"), ERR_NONE);
    CHECK_WAY(2, 3,
              "BEGIN;RESET client_encoding;COMMIT|"
              "BEGIN;SET \"app\".\"x\" TO '\303\251';COMMIT|");
    buf_clear(&out);
    CHECK_INT(pg_settings_difference_from_unknown(vectors[3], &out), 2);
    CHECK_BYTES(texts(2), slice_text("BEGIN;RESET ALL;COMMIT|"
                                     "BEGIN;RESET session_authorization;RESET role;"
                                     "SET \"app\".\"x\" TO '\303\251';COMMIT|"));
    end();
}

static void half_a_datestyle_is_said_upon_the_servers_own(void)
{
    begin();
    CHECK_INT(set(1, "datestyle", "sql"), ERR_NONE);
    CHECK_INT(set(2, "datestyle", "dmy"), ERR_NONE);
    CHECK_INT(set(3, "datestyle", "iso, ymd"), ERR_NONE);
    CHECK_WAY(0, 1, "BEGIN;SET datestyle TO 'sql';COMMIT|");
    CHECK_WAY(2, 1, "BEGIN;RESET datestyle;SET datestyle TO 'sql';COMMIT|");
    CHECK_WAY(2, 3, "BEGIN;SET datestyle TO 'iso, ymd';COMMIT|");
    end();
}

static void own_settings_are_kept_and_never_said(void)
{
    struct slice value;

    begin();
    CHECK_INT(set(1, "sheaf.route", "primary"), ERR_NONE);
    CHECK(pg_settings_find(vectors[1], slice_text("sheaf.route"), &value));
    CHECK_WAY(0, 1, "");
    CHECK_WAY(1, 0, "");
    CHECK_INT(set(1, "work_mem", "1MB"), ERR_NONE);
    CHECK_WAY(0, 1, "BEGIN;SET work_mem TO '1MB';COMMIT|");
    end();
}

static void datestyles_are_merged_as_a_server_does(void)
{
    static const struct {
        const char *before, *set, *after;
    } CASES[] = {
        { "German", "iso", "iso, dmy" },
        { "sql", "dmy", "sql, dmy" },
        { "ISO, MDY", "German", "German" },
        { "iso, dmy", "sql", "sql, dmy" },
        { "Postgres, Euro", "us", "postgres, mdy" },
        { "sql, dmy", "iso, ymd", "iso, ymd" },
        { "dmy", "ymd", "ymd" },
        { "sql, dmy", "default", "default" },
        { "German", "mdy", "german, mdy" },
        { "PostgreSQL, NonEuropean", "sql", "sql, mdy" },
        { "sql", "iso", "iso" },
    };
    struct slice value;

    begin();
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        CHECK_INT(drop(0, "datestyle"), ERR_NONE);
        CHECK_INT(set(0, "datestyle", CASES[i].before), ERR_NONE);
        CHECK_INT(set(0, "DateStyle", CASES[i].set), ERR_NONE);
        CHECK(pg_settings_find(vectors[0], slice_text("datestyle"), &value));
        CHECK_BYTES(value, slice_text(CASES[i].after));
    }
    end();
}

static void a_session_is_told_what_its_new_server_reports(void)
{
    struct pg_settings_walk walk = { 0 };
    struct pg_setting news;

    begin();
    pg_settings_report(pool, &vectors[0], slice_text("DateStyle"), slice_text("ISO, MDY"));
    pg_settings_report(pool, &vectors[0], slice_text("TimeZone"), slice_text("UTC"));
    pg_settings_report(pool, &vectors[0], slice_text("zero"), slice_text("gone there"));
    pg_settings_report(pool, &vectors[1], slice_text("TimeZone"), slice_text("Europe/Berlin"));
    pg_settings_report(pool, &vectors[1], slice_text("DateStyle"), slice_text("ISO, MDY"));
    pg_settings_report(pool, &vectors[1], slice_text("application_name"), slice_text("x"));
    CHECK(pg_settings_news(vectors[0], vectors[1], &walk, &news));
    CHECK_BYTES(news.name, slice_text("TimeZone"));
    CHECK_BYTES(news.value, slice_text("Europe/Berlin"));
    CHECK(pg_settings_news(vectors[0], vectors[1], &walk, &news));
    CHECK_BYTES(news.name, slice_text("application_name"));
    CHECK(!pg_settings_news(vectors[0], vectors[1], &walk, &news));
    walk = (struct pg_settings_walk){ 0 };
    CHECK(!pg_settings_news(vectors[1], vectors[1], &walk, &news));
    walk = (struct pg_settings_walk){ 0 };
    CHECK(pg_settings_news(NULL, vectors[0], &walk, &news));
    CHECK_BYTES(news.name, slice_text("DateStyle"));
    CHECK(pg_settings_meaning(vectors[0]) == NULL);
    end();
}

static void the_table_of_traits_is_in_order(void)
{
    static const char *const NAMES[] = {
#define TRAIT(name, traits) name,
#include "proxy/sql/pg_settings_traits.def"
#undef TRAIT
    };

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        CHECK(i == 0 || strcmp(NAMES[i - 1], NAMES[i]) < 0);
        CHECK(pg_settings_traits(slice_text(NAMES[i])) != 0);
    }
    CHECK_INT(pg_settings_traits(slice_text("work_mem")), 0);
    CHECK_INT(pg_settings_traits(slice_text("log_statem")), 0);
    CHECK_INT(pg_settings_traits(slice_text("zzz")), 0);
    CHECK_INT(pg_settings_traits(slice_text("sheaf.route")), PG_TRAIT_OWN);
}

int main(void)
{
    RUN(equal_vectors_are_the_same_pointer);
    RUN(many_vectors_are_found_again);
    RUN(names_of_old_are_the_new_ones);
    RUN(what_routing_asks_is_known);
    RUN(commits_that_do_not_wait_for_the_disk_are_known);
    RUN(meaning_is_what_texts_depend_on_and_no_more);
    RUN(settings_of_a_transaction_are_not_kept);
    RUN(what_cannot_be_moved_is_an_error_and_changes_nothing);
    RUN(values_stay_in_their_encoding);
    RUN(a_way_sets_and_resets);
    RUN(a_list_stays_a_list);
    RUN(roles_come_before_what_others_may_set_and_after_what_only_some_may);
    RUN(from_a_server_of_which_nothing_is_known_all_is_taken_back);
    RUN(the_encoding_is_said_in_a_message_before);
    RUN(half_a_datestyle_is_said_upon_the_servers_own);
    RUN(own_settings_are_kept_and_never_said);
    RUN(datestyles_are_merged_as_a_server_does);
    RUN(a_session_is_told_what_its_new_server_reports);
    RUN(the_table_of_traits_is_in_order);
    return check_report();
}
