/* See commands_screen.h. */
#include "proxy/commands_screen.h"

#include <stdbool.h>
#include <stdio.h>

enum { ROWS_FOR_HEAD = 4, ROWS_FOR_FOOT = 4, FOOT_BYTES = 96 };

/* ---- lines ---- */

static struct slice take_line(struct slice *text)
{
    size_t len = 0;
    struct slice line;

    while (len < text->len && text->at[len] != '\n')
        len++;
    line = slice_of(text->at, len);
    *text = slice_from(*text, len + (len < text->len));
    return line;
}

static size_t count_lines(struct slice text)
{
    size_t count = 0;

    for (; text.len > 0; count++)
        take_line(&text);
    return count;
}

static bool continues_letter(uint8_t c) /* of UTF-8 */
{
    return (c & 0xc0) == 0x80;
}

static void put_line(const struct commands_screen *s, struct slice line, struct buf *out)
{
    unsigned column = 0;
    bool in_escape = false;

    for (size_t i = 0; i < line.len; i++) {
        uint8_t c = line.at[i];

        in_escape = in_escape || c == '\033';
        if (!in_escape && !continues_letter(c))
            column++;
        if (in_escape || column <= s->columns)
            buf_put(out, &c, 1);
        if (in_escape && c == 'm')
            in_escape = false;
    }
    buf_text(out, "\033[0m\033[K");
}

/* ---- the screen ---- */

static unsigned rows_of_foot(const struct commands_screen *s)
{
    return s->rows >= ROWS_FOR_FOOT;
}

static unsigned rows_of_head(const struct commands_screen *s)
{
    return s->rows >= s->head + ROWS_FOR_HEAD ? s->head : 0;
}

static size_t page(const struct commands_screen *s)
{
    size_t rows = s->rows - rows_of_head(s) - rows_of_foot(s);

    return rows > 0 ? rows : 1;
}

static void put_foot(const struct commands_screen *s, size_t lines, struct buf *out)
{
    size_t last = s->first + page(s) < lines ? s->first + page(s) : lines;
    char text[FOOT_BYTES];

    if (lines <= page(s))
        snprintf(text, sizeof(text), "\033[2mq leaves");
    else
        snprintf(text, sizeof(text), "\033[2mq leaves; arrows and space move: %zu to %zu of %zu",
                 s->first + 1, last, lines);
    put_line(s, slice_text(text), out);
}

void commands_screen_draw(struct commands_screen *s, struct slice text, struct buf *out)
{
    size_t lines = count_lines(text), head = rows_of_head(s), shown = 0;

    head = head < lines ? head : lines;
    lines -= head;
    if (s->first + page(s) > lines)
        s->first = lines > page(s) ? lines - page(s) : 0;
    buf_text(out, "\033[H");
    for (size_t i = 0; text.len > 0 && shown < head + page(s); i++) {
        struct slice line = take_line(&text);

        if (i >= head && i < head + s->first)
            continue;
        if (shown++ > 0)
            buf_text(out, "\r\n");
        put_line(s, line, out);
    }
    buf_text(out, "\033[J");
    if (rows_of_foot(s) == 0)
        return;
    buf_format(out, "\033[%u;1H", s->rows);
    put_foot(s, lines, out);
}

/* ---- keys ---- */

static void move(struct commands_screen *s, long lines)
{
    if (lines < 0 && (size_t)-lines > s->first)
        s->first = 0;
    else
        s->first += (size_t)lines;
}

/* The letter of a key; of those that send "ESC [ x" or "ESC O x", what stands for x. */
static char take_key(struct slice *typed)
{
    static const char SAME[][2] = { { 'A', 'k' }, { 'B', 'j' }, { '5', 'b' }, { '6', ' ' } };
    char key = (char)typed->at[0];

    if (key != '\033' || typed->len < 3 || (typed->at[1] != '[' && typed->at[1] != 'O')) {
        *typed = slice_from(*typed, 1);
        return key;
    }
    key = 0;
    for (size_t i = 0; i < sizeof(SAME) / sizeof(SAME[0]); i++)
        if ((char)typed->at[2] == SAME[i][0])
            key = SAME[i][1];
    *typed = slice_from(*typed, 3);
    if (typed->len > 0 && typed->at[0] == '~')
        *typed = slice_from(*typed, 1);
    return key;
}

char commands_screen_keys(struct commands_screen *s, struct slice typed)
{
    while (typed.len > 0) {
        switch (take_key(&typed)) {
        case 'q':
        case 'Q':
            return 'q';
        case 'k':
            move(s, -1);
            break;
        case 'j':
            move(s, 1);
            break;
        case 'b':
            move(s, -(long)page(s));
            break;
        case ' ':
            move(s, (long)page(s));
            break;
        default:
            break;
        }
    }
    return 0;
}
