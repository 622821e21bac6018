/* Names of settings in code. */
#include <stdlib.h>

#include "tests/unit/check.h"

#include "replica/code_settings.h"

static void check_names(const char *code, const char *expected)
{
    struct slice text = slice_text(code), name;
    char found[256] = "";
    size_t len = 0;

    while (code_setting_next(&text, &name))
        len += (size_t)snprintf(found + len, sizeof(found) - len, "%s%.*s", len > 0 ? " " : "",
                                (int)name.len, (const char *)name.at);
    CHECK_TEXT(found, expected);
}

static void what_is_set_is_found(void)
{
    check_names("DO $$ BEGIN PERFORM set_config('app.user', 'x', false); END $$", "app.user");
    check_names(
        "SELECT pg_catalog.SET_CONFIG ( E'app.user', v, false), set_config('a.b.c', v, true)",
        "app.user a.b.c");
    check_names("set app.user = 1; SET LOCAL app.b TO 2;SET SESSION\napp.c=3",
                "app.user app.b app.c");
    check_names("SELECT sets('app.user', 'x.', 'a.b c', 'd', 'e.f')", "app.user e.f");
    check_names("EXECUTE 'SELECT set_config(''app.user'', $1, false)'", "app.user");
}

static void what_is_not_is_not(void)
{
    check_names("UPDATE t SET a = 1, b = t.c", "");
    check_names("SELECT set_config('work_mem', '1MB', false)", "");
    check_names("SELECT set_config(name, '1MB', false)", "");
    check_names("SELECT reset.a, offset_config(a.b)", "");
    check_names("SET 1.5", "");
    check_names("SET a.", "");
    check_names("SET", "");
    check_names("set_config(", "");
    check_names("set_config('", "");
    check_names("set_config('a.", "");
    check_names("", "");
}

static void a_name_that_is_too_long_is_none(void)
{
    char code[100] = "SET a.";

    memset(code + 6, 'b', 61);
    check_names(code, code + 4);
    memset(code + 6, 'b', 62);
    check_names(code, "");
}

static void the_end_of_the_text_is_the_end(void)
{
    const char *code = "SELECT set_config('app.user', 'x', false); SET LOCAL app.b = 1";

    for (size_t len = 0; len <= strlen(code); len++) {
        uint8_t *copy = malloc(len + 1);
        struct slice text, name;

        memcpy(copy + 1, code, len); /* ends where the text does: a look beyond it is seen */
        text = slice_of(copy + 1, len);
        while (code_setting_next(&text, &name))
            CHECK(name.at > copy && name.at + name.len <= copy + 1 + len);
        free(copy);
    }
}

static void what_no_server_tells_of_is_found(void)
{
    static const struct {
        const char *code;
        unsigned leaves;
    } CASES[] = {
        { "DO $$ BEGIN PERFORM setseed(0.5); END $$", CODE_SEEDS },
        { "PERFORM pg_catalog.SetSeed (0.5)", CODE_SEEDS },
        { "EXECUTE 'Deallocate all'", CODE_FORGETS },
        { "deallocated", 0 },
        { "PERFORM setseed", 0 },
        { "PERFORM my_setseed(1)", 0 },
        { "BEGIN LOAD 'auto_explain'; END", CODE_LOADS },
        { "EXECUTE 'load  ''auto_explain'''", CODE_LOADS },
        { "SELECT load FROM t; PERFORM load(1)", 0 },
        { "PERFORM dblink_connect('c', 'dbname=x')", CODE_LOADS },
        { "PERFORM public.dblink_connect_u\n('dbname=x')", CODE_LOADS },
        { "PERFORM dblink_disconnect('c')", 0 },
        { "setseed(1) load 'x'", CODE_SEEDS | CODE_LOADS },
        { "load", 0 },
        { "", 0 },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        CHECK_INT(code_leaves(slice_text(CASES[i].code)), CASES[i].leaves);
}

int main(void)
{
    RUN(what_is_set_is_found);
    RUN(what_no_server_tells_of_is_found);
    RUN(what_is_not_is_not);
    RUN(a_name_that_is_too_long_is_none);
    RUN(the_end_of_the_text_is_the_end);
    return check_report();
}
