/* See expand.h. */
#include "config/expand.h"

#include <ctype.h>
#include <stdlib.h>

static size_t name_len(struct slice s)
{
    size_t len = 0;

    while (len < s.len && (isalnum(s.at[len]) || s.at[len] == '_'))
        len++;
    return len;
}

/* `s` begins behind "${"; `used` counts up to and with the closing brace. */
static enum err put_variable(struct slice s, struct arena *arena, struct buf *out, size_t *used,
                             struct buf *why)
{
    size_t len = name_len(s);
    const char *name, *value;

    if (len == 0 || len == s.len || s.at[len] != '}') {
        buf_text(why, "\"${\" must be followed by the name of an environment variable and \"}\"");
        return ERR_SYNTAX;
    }
    name = arena_text(arena, slice_of(s.at, len));
    value = getenv(name); /* nothing sets it once threads run: NOLINT(concurrency-mt-unsafe) */
    if (value == NULL) {
        buf_format(why, "environment variable \"%s\" is not set", name);
        return ERR_NOT_FOUND;
    }
    buf_text(out, value);
    *used = len + 1;
    return ERR_NONE;
}

static enum err put_dollar(struct slice s, struct arena *arena, struct buf *out, size_t *used,
                           struct buf *why)
{
    if (s.len > 1 && s.at[1] == '$') {
        buf_text(out, "$");
        *used = 2;
        return ERR_NONE;
    }
    if (s.len > 1 && s.at[1] == '{') {
        TRY(put_variable(slice_from(s, 2), arena, out, used, why));
        *used += 2;
        return ERR_NONE;
    }
    buf_text(why, "a \"$\" must be written \"$$\", or \"${NAME}\" for an environment variable");
    return ERR_SYNTAX;
}

static int hex_digit(uint8_t letter)
{
    if (isdigit(letter))
        return letter - '0';
    return isxdigit(letter) ? tolower(letter) - 'a' + 10 : -1;
}

static enum err put_percent(struct slice s, struct buf *out, size_t *used, struct buf *why)
{
    int high = s.len > 2 ? hex_digit(s.at[1]) : -1;
    int low = s.len > 2 ? hex_digit(s.at[2]) : -1;
    uint8_t byte = (uint8_t)(high * 16 + low);

    if (high < 0 || low < 0 || byte == 0) {
        buf_text(why, "\"%\" in a URL must be followed by two hex digits, not 00 "
                      "(the percent sign itself is %25)");
        return ERR_SYNTAX;
    }
    buf_put(out, &byte, 1);
    *used = 3;
    return ERR_NONE;
}

static enum err put_all(struct slice text, enum expand_form form, struct arena *arena,
                        struct buf *out, struct buf *why)
{
    while (text.len > 0) {
        size_t used = 1;

        if (text.at[0] == '$')
            TRY(put_dollar(text, arena, out, &used, why));
        else if (text.at[0] == '%' && form == EXPAND_PERCENT)
            TRY(put_percent(text, out, &used, why));
        else
            buf_put(out, text.at, 1);
        text = slice_from(text, used);
    }
    return ERR_NONE;
}

enum err expand(struct slice text, enum expand_form form, struct arena *arena, const char **out,
                struct buf *why)
{
    struct buf expanded = { 0 };
    enum err err = put_all(text, form, arena, &expanded, why);

    if (err == ERR_NONE)
        *out = arena_text(arena, buf_all(&expanded));
    if (expanded.len > 0)
        explicit_bzero(expanded.at, expanded.len); /* may be a password */
    buf_fini(&expanded);
    return err;
}

bool expand_is_whole(struct slice text)
{
    size_t len;

    if (!slice_starts(text, slice_text("${")))
        return false;
    len = name_len(slice_from(text, 2));
    return len > 0 && text.len == len + 3 && text.at[len + 2] == '}';
}
