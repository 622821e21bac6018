/* See hba_lines.h.  A line that goes on in the next one is put together first, then split: so its
 * quotes and comments go on too, as PostgreSQL has it. */
#include "config/hba_lines.h"

#include <string.h>

#include "proxy/base/buf.h"

enum { LINE_BYTES = 64 * 1024 }; /* the longest, with those that it goes on in */

void *hba_grown(struct arena *arena, void *list, uint32_t count, size_t size)
{
    void *more;

    if ((count & (count - 1)) != 0) /* it grows at 0, 1, 2, 4, 8 ... */
        return list;
    more = arena_new(arena, (count == 0 ? 1 : 2 * (size_t)count) * size);
    if (count > 0)
        memcpy(more, list, count * size);
    return more;
}

void hba_lines_init(struct hba_lines *lines, struct slice text, struct place place,
                    struct arena *arena, struct problems *problems)
{
    *lines =
        (struct hba_lines){ .rest = text, .place = place, .arena = arena, .problems = problems };
    lines->place.line = 0;
    if (slice_starts(text, slice_text("\xEF\xBB\xBF")))
        lines->rest = slice_from(text, 3);
}

/* One line of the file, without its end; false: there is none. */
static bool take_line(struct hba_lines *l, struct slice *line)
{
    const uint8_t *end = l->rest.len == 0 ? NULL : memchr(l->rest.at, '\n', l->rest.len);

    if (l->rest.len == 0)
        return false;
    *line = l->rest;
    if (end != NULL)
        line->len = (size_t)(end - line->at);
    l->rest = slice_from(l->rest, end == NULL ? line->len : line->len + 1);
    l->place.line++;
    if (line->len > 0 && line->at[line->len - 1] == '\r')
        line->len--;
    return true;
}

/* With the lines that it goes on in. */
static bool take_whole(struct hba_lines *l, struct buf *whole, struct place *place)
{
    struct slice line;
    bool goes_on = true, is_first = true;

    buf_clear(whole);
    while (goes_on && take_line(l, &line)) {
        if (is_first)
            *place = l->place;
        is_first = false;
        goes_on = line.len > 0 && line.at[line.len - 1] == '\\';
        if (goes_on)
            line.len--;
        if (whole->len <= LINE_BYTES)
            buf_slice(whole, line);
    }
    return !is_first;
}

static bool is_blank(uint8_t letter)
{
    return letter == ' ' || letter == '\t' || letter == '\v' || letter == '\f' || letter == '\r';
}

static bool ends_token(uint8_t letter)
{
    return is_blank(letter) || letter == ',' || letter == '#';
}

/* The token at the front.  False: a quote is not closed. */
static bool take_token(struct slice *rest, struct arena *arena, struct hba_token *out)
{
    bool in_quote = false, was_quote = false;
    size_t len = 0, i = 0;
    char *text;

    while (i < rest->len && (in_quote || !ends_token(rest->at[i])))
        in_quote ^= rest->at[i++] == '"';
    if (in_quote)
        return false;
    text = arena_new(arena, i + 1);
    for (size_t from = 0; from < i; from++) {
        uint8_t letter = rest->at[from];

        if (letter != '"' || was_quote)
            text[len++] = (char)letter;
        was_quote = in_quote && letter == '"' && !was_quote;
        in_quote ^= letter == '"';
    }
    *out = (struct hba_token){ .text = text, .is_quoted = rest->at[0] == '"' };
    *rest = slice_from(*rest, i);
    return true;
}

static struct slice skip(struct slice s, bool commas)
{
    while (s.len > 0 && (is_blank(s.at[0]) || (commas && s.at[0] == ',')))
        s = slice_from(s, 1);
    return s;
}

/* A field ends at a blank, but not at one behind a comma. */
static bool take_field(struct slice *rest, struct arena *arena, struct hba_field *out)
{
    bool goes_on = true;

    *out = (struct hba_field){ 0 };
    while (goes_on) {
        *rest = skip(*rest, true);
        if (rest->len == 0 || rest->at[0] == '#')
            return true;
        out->tokens = hba_grown(arena, out->tokens, out->count, sizeof(*out->tokens));
        if (!take_token(rest, arena, &out->tokens[out->count]))
            return false;
        out->count++;
        goes_on = rest->len > 0 && rest->at[0] == ',';
    }
    return true;
}

static bool split(struct hba_lines *l, struct slice rest, struct hba_line *out)
{
    if (rest.len > LINE_BYTES) {
        problems_error(l->problems, out->place, "the line is longer than %d bytes", LINE_BYTES);
        return false;
    }
    if (rest.len > 0 && memchr(rest.at, 0, rest.len) != NULL) {
        problems_error(l->problems, out->place, "a zero byte is in this line");
        return false;
    }
    for (rest = skip(rest, true); rest.len > 0 && rest.at[0] != '#'; rest = skip(rest, true)) {
        out->fields = hba_grown(l->arena, out->fields, out->count, sizeof(*out->fields));
        if (!take_field(&rest, l->arena, &out->fields[out->count])) {
            problems_error(l->problems, out->place, "the quote that ends a name is missing");
            return false;
        }
        out->count++;
    }
    return out->count > 0;
}

bool hba_lines_next(struct hba_lines *l, struct hba_line *out)
{
    struct buf whole = { 0 };
    bool found = false;

    do {
        *out = (struct hba_line){ 0 };
    } while (take_whole(l, &whole, &out->place) && !(found = split(l, buf_all(&whole), out)));
    buf_fini(&whole);
    return found;
}
