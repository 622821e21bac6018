/* What is said to the console. */
#include "proxy/sql/console_command.h"
#include "tests/unit/check.h"

static struct console_command read(const char *text)
{
    struct console_command c;

    console_command_read(slice_text(text), &c);
    return c;
}

static void words_are_read_in_any_case_with_blanks_and_comments(void)
{
    static const char *const TEXTS[] = {
        "PAUSE",
        "pause;",
        "  Pause ; ;",
        "-- first\npause",
        "/* a */ PAUSE /* b */ -- c",
        "PAUSE -- to the end",
        "PAUSE /* that does not end",
    };

    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        CHECK_INT(read(TEXTS[i]).verb, CONSOLE_PAUSE);
        CHECK(!read(TEXTS[i]).has_name);
    }
}

static void nothing_is_no_command(void)
{
    static const char *const TEXTS[] = { "", " \n\t", ";", ";;", "-- SHOW POOLS", "/* PAUSE */;" };

    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++)
        CHECK_INT(read(TEXTS[i]).verb, CONSOLE_EMPTY);
}

static void names_are_taken_as_they_are_written(void)
{
    static const struct {
        const char *text, *name;
    } CASES[] = {
        { "PAUSE main", "main" },
        { "PAUSE Main;", "Main" },
        { "KILL app_1-test.x$", "app_1-test.x$" },
        { "RESUME \"odd; \"\"one\"\"\"", "odd; \"one\"" },
        { "RECONNECT 'it''s'", "it's" },
        { "RESUME m\xc3\xbcller", "m\xc3\xbcller" },
        { "SHOW pools", "pools" },
        { "PAUSE/**/main/**/", "main" },
        { "DISABLE \"a\\b\"", "a\\b" },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        CHECK(read(CASES[i].text).has_name);
        CHECK_TEXT(read(CASES[i].text).name, CASES[i].name);
    }
}

static void what_is_not_whole_is_refused(void)
{
    static const char *const TEXTS[] = {
        "SHOW",
        "KILL",
        "DISABLE ;",
        "ENABLE",
        "KILL_CLIENT",
        "KILL_CLIENT x",
        "PAUSE a b",
        "PAUSE a, b",
        "PAUSE \"open",
        "PAUSE 'open''",
        "PAUSE \"\"",
        "RELOAD now",
        "PAUSE; RESUME",
        "SHOW POOLS; SHOW CLIENTS",
        "PAUSE (a)",
        "KILL_CLIENT -1",
        "KILL_CLIENT 99999999999999999999999",
    };

    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        CHECK_INT(read(TEXTS[i]).verb, CONSOLE_MALFORMED);
        CHECK(read(TEXTS[i]).why != NULL);
    }
}

static void a_name_has_no_zero_byte(void)
{
    struct console_command c;

    console_command_read(bytes("KILL \"\0od\""), &c);
    CHECK_INT(c.verb, CONSOLE_MALFORMED);
}

static void a_name_has_a_limit(void)
{
    char text[CONSOLE_NAME_BYTES + 32];

    for (int quoted = 0; quoted < 2; quoted++)
        for (size_t len = CONSOLE_NAME_BYTES - 2; len < CONSOLE_NAME_BYTES + 2; len++) {
            int at = snprintf(text, sizeof(text), quoted ? "PAUSE \"" : "PAUSE ");

            memset(text + at, 'a', len);
            snprintf(text + at + len, 2, "%s", quoted ? "\"" : "");
            CHECK_INT(read(text).verb,
                      len < CONSOLE_NAME_BYTES ? CONSOLE_PAUSE : CONSOLE_MALFORMED);
        }
}

static void ids_are_numbers(void)
{
    CHECK_INT(read("KILL_CLIENT 17").verb, CONSOLE_KILL_CLIENT);
    CHECK_INT(read("KILL_CLIENT 17").number, 17);
}

static void other_words_are_unknown(void)
{
    static const char *const TEXTS[] = { "SELECT 1", "PAUSED", "\"PAUSE\"", "(", "\\d", "\xff" };

    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++)
        CHECK_INT(read(TEXTS[i]).verb, CONSOLE_UNKNOWN);
}

static void what_drivers_say_is_known(void)
{
    CHECK_INT(read("SET extra_float_digits = 3").verb, CONSOLE_SET);
    CHECK_INT(read("BEGIN ISOLATION LEVEL READ COMMITTED").verb, CONSOLE_BEGIN);
    CHECK_INT(read("DISCARD ALL").verb, CONSOLE_DISCARD);
}

static void only_admins_change(void)
{
    CHECK(!console_command_changes(CONSOLE_SHOW));
    CHECK(!console_command_changes(CONSOLE_SET));
    CHECK(!console_command_changes(CONSOLE_UNKNOWN));
    CHECK(console_command_changes(CONSOLE_PAUSE));
    CHECK(console_command_changes(CONSOLE_RELOAD));
    CHECK(console_command_changes(CONSOLE_KILL_CLIENT));
}

static void all_that_changes_is_listed(void)
{
    struct buf list = { 0 };

    console_command_list(&list);
    buf_put(&list, "", 1);
    CHECK(strstr((const char *)list.at, "PAUSE [DATABASE], RESUME [DATABASE]") != NULL);
    CHECK(strstr((const char *)list.at, "KILL_CLIENT ID") != NULL);
    CHECK(strstr((const char *)list.at, "SHUTDOWN") == NULL);
    buf_fini(&list);
}

int main(void)
{
    RUN(words_are_read_in_any_case_with_blanks_and_comments);
    RUN(nothing_is_no_command);
    RUN(names_are_taken_as_they_are_written);
    RUN(what_is_not_whole_is_refused);
    RUN(a_name_has_no_zero_byte);
    RUN(a_name_has_a_limit);
    RUN(ids_are_numbers);
    RUN(other_words_are_unknown);
    RUN(what_drivers_say_is_known);
    RUN(only_admins_change);
    RUN(all_that_changes_is_listed);
    return check_report();
}
