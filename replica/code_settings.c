/* See code_settings.h. */
#include "replica/code_settings.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool is_of_word(uint8_t c)
{
    return isalnum(c) || c == '_' || c == '$' || c >= 0x80;
}

static size_t word_length(struct slice text)
{
    size_t len = 0;

    while (len < text.len && is_of_word(text.at[len]))
        len++;
    return len;
}

static struct slice skip_spaces(struct slice text)
{
    size_t len = 0;

    while (len < text.len && isspace(text.at[len]))
        len++;
    return slice_from(text, len);
}

static bool skip_mark(struct slice *text, char mark)
{
    *text = skip_spaces(*text);
    if (text->len == 0 || text->at[0] != (uint8_t)mark)
        return false;
    *text = slice_from(*text, 1);
    return true;
}

static bool skip_word(struct slice *text, const char *word)
{
    struct slice rest = skip_spaces(*text);
    size_t len = word_length(rest);

    if (len == 0 || !slice_is_word(slice_of(rest.at, len), word))
        return false;
    *text = slice_from(rest, len);
    return true;
}

/* "a.b" at the beginning of the text. */
static bool read_name(struct slice text, struct slice *name)
{
    size_t len = word_length(text);
    bool has_dot = false;

    while (len > 0 && len < text.len && text.at[len] == '.') {
        size_t more = word_length(slice_from(text, len + 1));

        if (more == 0)
            break;
        len += 1 + more;
        has_dot = true;
    }
    *name = slice_of(text.at, len);
    return has_dot && len <= CODE_SETTING_BYTES && !isdigit(text.at[0]);
}

/* Behind the word `set` or `set_config`. */
static bool read_setting(struct slice word, struct slice rest, struct slice *name)
{
    if (slice_is_word(word, "set_config")) {
        if (!skip_mark(&rest, '('))
            return false;
        rest = skip_spaces(rest);
        if (rest.len > 0 && (rest.at[0] | 0x20) == 'e')
            rest = slice_from(rest, 1);
        while (rest.len > 0 && rest.at[0] == '\'') /* twice, where the code is a literal itself */
            rest = slice_from(rest, 1);
        return read_name(rest, name);
    }
    if (!slice_is_word(word, "set"))
        return false;
    (void)(skip_word(&rest, "local") || skip_word(&rest, "session"));
    return read_name(skip_spaces(rest), name);
}

/* Behind a quote. */
static bool read_literal(struct slice rest, struct slice *name)
{
    return read_name(rest, name) && name->len < rest.len && rest.at[name->len] == '\'';
}

bool code_setting_next(struct slice *text, struct slice *name)
{
    while (text->len > 0) {
        bool is_quote = text->at[0] == '\'';
        size_t len = word_length(*text);
        struct slice word = slice_of(text->at, len);

        *text = slice_from(*text, len > 0 ? len : 1);
        if (is_quote && read_literal(*text, name)) {
            *text = slice_from(*text, name->len + 1);
            return true;
        }
        if (len >= 3 && (word.at[0] | 0x20) == 's' && read_setting(word, *text, name)) {
            *text = slice_from(*text, (size_t)(name->at + name->len - text->at));
            return true;
        }
    }
    return false;
}

/* Of a word, and what stands behind it. */
static unsigned leaves(struct slice word, struct slice rest)
{
    static const char *const LOADS[] = { "dblink_connect", "dblink_connect_u" };

    rest = skip_spaces(rest);
    if (rest.len == 0)
        return 0;
    if (slice_is_word(word, "load"))
        return rest.at[0] == '\'' ? CODE_LOADS : 0;
    if (slice_is_word(word, "deallocate"))
        return CODE_FORGETS;
    if (rest.at[0] != '(')
        return 0;
    for (size_t i = 0; i < sizeof(LOADS) / sizeof(LOADS[0]); i++)
        if (slice_is_word(word, LOADS[i]))
            return CODE_LOADS;
    return slice_is_word(word, "setseed") ? CODE_SEEDS : 0;
}

unsigned code_leaves(struct slice text)
{
    unsigned found = 0;

    while (text.len > 0) {
        size_t len = word_length(text);
        struct slice word = slice_of(text.at, len);

        text = slice_from(text, len > 0 ? len : 1);
        found |= leaves(word, text);
    }
    return found;
}
