/* What people are shown of a statement. */
#include "tests/unit/check.h"

#include "replica/outline.h"

static void check_outline(const char *text, const char *expected)
{
    char out[64];

    CHECK_INT(outline_of(slice_text(text), false, out, sizeof(out)), strlen(expected));
    CHECK_TEXT(out, expected);
}

static void literals_are_left_out(void)
{
    check_outline("SELECT v FROM t WHERE id = 5 AND n='it''s'",
                  "SELECT v FROM t WHERE id = ? AND n=?");
    check_outline("ALTER ROLE a PASSWORD $x$secret$x$", "ALTER ROLE a PASSWORD ?");
    check_outline("SELECT E'\\'a', U&'b', B'1', 1.5e3, $1", "SELECT ?, ?, ?, ?, $1");
    check_outline("SELECT \"Column\"", "SELECT \"Column\"");
}

static void comments_are_left_out_and_spaces_are_one(void)
{
    check_outline("/* route=primary */ SELECT\n\t a.b -- secret\n , 1", "SELECT a.b , ?");
    check_outline("", "");
    check_outline(" -- nothing", "");
}

static void what_has_no_end_is_a_literal(void)
{
    check_outline("SELECT 'a secret that is c", "SELECT ?");
    check_outline("SELECT $x$a secret", "SELECT ?");
    check_outline("SELECT /* a secret", "SELECT ?");
}

static void backslashes_are_read_as_the_session_has_them(void)
{
    char out[64];

    outline_of(slice_text("SELECT 'a\\' secret'"), true, out, sizeof(out));
    CHECK_TEXT(out, "SELECT ?");
}

static void no_more_than_there_is_room_for(void)
{
    char out[8];

    for (size_t room = 1; room <= sizeof(out); room++) {
        memset(out, 'x', sizeof(out));
        CHECK_INT(outline_of(slice_text("SELECT 1"), false, out, room), room - 1);
        CHECK(strncmp(out, "SELECT ", room - 1) == 0);
        CHECK(out[room - 1] == '\0');
    }
}

int main(void)
{
    RUN(literals_are_left_out);
    RUN(comments_are_left_out_and_spaces_are_one);
    RUN(what_has_no_end_is_a_literal);
    RUN(backslashes_are_read_as_the_session_has_them);
    RUN(no_more_than_there_is_room_for);
    return check_report();
}
