/* A text, a screen, and the bytes that draw it. */
#include "proxy/commands_screen.h"

#include <string.h>

#include "tests/unit/check.h"

static const char TEXT[] = "head\n1\n2\n3\n4\n5\n6\n7\n8\n";

#define END "\033[0m\033[K"

/* What is drawn of TEXT, in rows: without escapes. */
static const char *drawn(struct commands_screen *s, const char *text)
{
    static char rows[512];
    struct buf out = { 0 };
    size_t len = 0;
    bool in_escape = false;

    commands_screen_draw(s, slice_text(text), &out);
    for (size_t i = 0; i < out.len; i++) {
        in_escape = in_escape || out.at[i] == '\033';
        if (!in_escape && out.at[i] != '\r' && len < sizeof(rows) - 1)
            rows[len++] = (char)out.at[i];
        if (strchr("mKJH", out.at[i]) != NULL)
            in_escape = false;
    }
    rows[len] = '\0';
    buf_fini(&out);
    return rows;
}

static void what_fits_is_shown_whole(void)
{
    struct commands_screen s = { .rows = 20, .columns = 40, .head = 1 };

    CHECK_TEXT(drawn(&s, TEXT), "head\n1\n2\n3\n4\n5\n6\n7\n8q leaves");
}

static void the_head_stays_while_the_others_move(void)
{
    struct commands_screen s = { .rows = 6, .columns = 60, .head = 1 };

    CHECK_TEXT(drawn(&s, TEXT), "head\n1\n2\n3\n4q leaves; arrows and space move: 1 to 4 of 8");
    CHECK_INT(commands_screen_keys(&s, slice_text("jj\033[B")), 0);
    CHECK_TEXT(drawn(&s, TEXT), "head\n4\n5\n6\n7q leaves; arrows and space move: 4 to 7 of 8");
    CHECK_INT(commands_screen_keys(&s, slice_text("\033[6~\033[6~")), 0);
    CHECK_TEXT(drawn(&s, TEXT), "head\n5\n6\n7\n8q leaves; arrows and space move: 5 to 8 of 8");
    CHECK_INT(commands_screen_keys(&s, slice_text("\033OAk")), 0);
    CHECK_TEXT(drawn(&s, TEXT), "head\n3\n4\n5\n6q leaves; arrows and space move: 3 to 6 of 8");
    CHECK_INT(commands_screen_keys(&s, slice_text("\033[5~\033[5~k")), 0);
    CHECK_TEXT(drawn(&s, TEXT), "head\n1\n2\n3\n4q leaves; arrows and space move: 1 to 4 of 8");
}

static void a_tiny_screen_overflows_nowhere(void)
{
    struct commands_screen s = { .rows = 3, .columns = 2, .head = 4 };

    CHECK_TEXT(drawn(&s, TEXT), "he\n1\n2");
    s = (struct commands_screen){ .rows = 1, .columns = 1, .head = 4 };
    CHECK_TEXT(drawn(&s, TEXT), "h");
    s = (struct commands_screen){ .rows = 4, .columns = 3, .head = 4 };
    CHECK_TEXT(drawn(&s, TEXT), "hea\n1\n2q l");
    CHECK_TEXT(drawn(&s, ""), "q l");
}

static void colours_and_letters_beyond_ascii_take_the_room_that_they_show(void)
{
    struct commands_screen s = { .rows = 2, .columns = 3 };
    struct buf out = { 0 };

    commands_screen_draw(
        &s, slice_text("\033[32mup\033[0m \xc3\xa9\xc3\xa9\n\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\n"),
        &out);
    CHECK_BYTES(buf_all(&out), slice_text("\033[H\033[32mup\033[0m " END
                                          "\r\n\xc3\xa9\xc3\xa9\xc3\xa9" END "\033[J"));
    buf_fini(&out);
}

static void q_leaves_and_unknown_keys_do_nothing(void)
{
    struct commands_screen s = { .rows = 6, .columns = 60 };

    CHECK_INT(commands_screen_keys(&s, slice_text("xyz\033[C\033\t")), 0);
    CHECK_INT(s.first, 0);
    CHECK_INT(commands_screen_keys(&s, slice_text("jq")), 'q');
    CHECK_INT(commands_screen_keys(&s, slice_text("Q")), 'q');
}

int main(void)
{
    RUN(what_fits_is_shown_whole);
    RUN(the_head_stays_while_the_others_move);
    RUN(a_tiny_screen_overflows_nowhere);
    RUN(colours_and_letters_beyond_ascii_take_the_room_that_they_show);
    RUN(q_leaves_and_unknown_keys_do_nothing);
    return check_report();
}
