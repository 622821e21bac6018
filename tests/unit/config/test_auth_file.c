#include "config/auth_file.h"

#include <stdlib.h>

#include "tests/unit/check.h"

static struct arena arena;
static struct problems problems;
static char *told;
static size_t told_len;

static void begin(void)
{
    arena_fini(&arena);
    problems_fini(&problems);
    free(told);
    told = NULL;
}

static struct auth_users parse(struct slice text)
{
    struct auth_users users;
    FILE *out;

    begin();
    auth_file_parse(text, (struct place){ .file = "users.txt", .line = 9, .order = 3 }, &arena,
                    &users, &problems);
    out = open_memstream(&told, &told_len);
    problems_print(&problems, out);
    fclose(out);
    return users;
}

static void expect_problem(const char *text, const char *expected)
{
    parse(slice_text(text));
    CHECK_TEXT(told, expected);
}

#define VERIFIER                                                                                   \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="     \
    ":wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static void users_and_secrets_of_all_kinds_are_read(void)
{
    struct auth_users users =
        parse(bytes("; a comment \"a\" \"b\"\n"
                    "# another\n"
                    "\n"
                    "\"app\" \"" VERIFIER "\"\r\n"
                    "  \t\"old\"\t\"md5d3b07384d113edec49eaa6238ad5ff00\" ; said so\n"
                    "\"a \"\"b\"\"\"\"\" \"plain \\ ; # \"\"\"\n"
                    "\"bot\" \"\" \"and\" \"more\" # of pg_shadow\n"
                    "\"\xc3\xa9\" \"x\""));

    CHECK_TEXT(told, "");
    CHECK_INT(users.count, 5);
    CHECK_TEXT(users.list[0].name, "app");
    CHECK_TEXT(users.list[0].secret, VERIFIER);
    CHECK_INT(users.list[0].place.line, 4);
    CHECK_TEXT(users.list[0].place.file, "users.txt");
    CHECK_INT(users.list[0].place.order, 3);
    CHECK_TEXT(users.list[1].name, "old");
    CHECK_TEXT(users.list[1].secret, "md5d3b07384d113edec49eaa6238ad5ff00");
    CHECK_TEXT(users.list[2].name, "a \"b\"\"");
    CHECK_TEXT(users.list[2].secret, "plain \\ ; # \"");
    CHECK_TEXT(users.list[3].name, "bot");
    CHECK(users.list[3].secret == NULL);
    CHECK_TEXT(users.list[4].name, "\xc3\xa9");
    CHECK_INT(users.list[4].place.line, 8);
}

static void an_empty_file_has_nobody(void)
{
    CHECK_INT(parse(bytes("")).count, 0);
    CHECK_INT(parse(bytes("\n\r\n ; x\n")).count, 0);
    CHECK_INT(parse(bytes("\xEF\xBB\xBF\"a\" \"b\"")).count, 1);
    CHECK_TEXT(told, "");
}

static void what_is_wrong_is_told_with_its_line(void)
{
    expect_problem("app secret",
                   "users.txt:1: a line is \"USER\" \"SECRET\", both in double quotes\n");
    expect_problem("\n\"app",
                   "users.txt:2: a line is \"USER\" \"SECRET\", both in double quotes\n");
    expect_problem("\"app\"", "users.txt:1: user \"app\": a secret in double quotes must follow "
                              "(\"\" for none)\n");
    expect_problem("\"app\" secret", "users.txt:1: user \"app\": a secret in double quotes must "
                                     "follow (\"\" for none)\n");
    expect_problem("\"app\" \"sec\"ret\"",
                   "users.txt:1: user \"app\": only strings in quotes may follow the secret (a "
                   "quote within one is written twice)\n");
    expect_problem("\"\" \"x\"", "users.txt:1: a user's name has 1 to 128 bytes\n");
    expect_problem(
        "\"app\" \"SCRAM-SHA-256$4096:abc\"",
        "users.txt:1: user \"app\": the secret begins as a SCRAM verifier, but is not of "
        "the form SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY\n");
    expect_problem("\"a\" \"1\"\n\"b\" \"2\"\n\"a\" \"3\"\n\"a\" \"4\"",
                   "users.txt:3: user \"a\" is already there (line 1)\n"
                   "users.txt:4: user \"a\" is already there (line 1)\n");
    parse(bytes("\"a\0\" \"b\""));
    CHECK_TEXT(told, "users.txt:1: a zero byte is in this line\n");
}

static void what_is_right_stays_beside_what_is_wrong(void)
{
    struct auth_users users =
        parse(bytes("\"a\" \"1\"\nb 2\n\"c\" \"3\"\n\"a\" \"4\"\n\"d\" \"5\""));

    CHECK_INT(problems.errors, 2);
    CHECK_INT(users.count, 3);
    CHECK_TEXT(users.list[0].secret, "1");
    CHECK_TEXT(users.list[1].name, "c");
    CHECK_TEXT(users.list[2].name, "d");
}

static void names_and_secrets_may_be_only_so_long(void)
{
    for (int extra = 0; extra < 2; extra++) {
        struct buf text = { 0 };

        buf_text(&text, "\"");
        for (int i = 0; i < AUTH_NAME_BYTES + extra; i++)
            buf_text(&text, "n");
        buf_text(&text, "\" \"x\"\n\"a\" \"");
        for (int i = 0; i < AUTH_SECRET_BYTES + extra; i++)
            buf_text(&text, "s");
        buf_text(&text, "\"");
        CHECK_INT(parse(buf_all(&text)).count, extra ? 0 : 2);
        CHECK_TEXT(told, extra ? "users.txt:1: a user's name has 1 to 128 bytes\n"
                                 "users.txt:2: user \"a\": the secret is longer than 2048 bytes\n"
                               : "");
        buf_fini(&text);
    }
}

static void a_verifier_must_have_its_form(void)
{
    static const char *const GOOD[] = { "", "x", "md5", "SCRAM-SHA-256", VERIFIER };
    static const char *const BAD[] = { "SCRAM-SHA-256$",
                                       "SCRAM-SHA-256$:",
                                       "SCRAM-SHA-256$1:",
                                       "SCRAM-SHA-256$1:AAAA",
                                       "SCRAM-SHA-256$1:AAAA$",
                                       "SCRAM-SHA-256$x:AAAA$",
                                       VERIFIER "=",
                                       VERIFIER " " };
    struct buf why = { 0 };

    for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++)
        CHECK_INT(auth_secret_check(GOOD[i], &why), ERR_NONE);
    CHECK_INT(why.len, 0);
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        CHECK_INT(auth_secret_check(BAD[i], &why), ERR_SYNTAX);
    CHECK(why.len > 0);
    for (size_t len = sizeof("SCRAM-SHA-256$") - 1; len < sizeof(VERIFIER) - 1; len++) {
        char text[sizeof(VERIFIER)] = VERIFIER;

        text[len] = '\0';
        CHECK_INT(auth_secret_check(text, &why), ERR_SYNTAX);
    }
    buf_fini(&why);
}

int main(void)
{
    RUN(users_and_secrets_of_all_kinds_are_read);
    RUN(an_empty_file_has_nobody);
    RUN(what_is_wrong_is_told_with_its_line);
    RUN(what_is_right_stays_beside_what_is_wrong);
    RUN(names_and_secrets_may_be_only_so_long);
    RUN(a_verifier_must_have_its_form);
    begin();
    return check_report();
}
