/* The values of settings, in two forms: as text, which is what set_config() takes and SHOW shows,
 * and as what can stand behind SET name TO.  They differ where a setting is a list of names: there
 * the text 'a, b' is two names, and SET's 'a, b' would be one. */
#include <stdio.h>

#include "proxy/base/buf.h"
#include "replica/grammar.h"
#include "replica/look.h"

static bool is_list_of_names(struct slice setting)
{
    return slice_is_text(setting, "search_path") || slice_is_text(setting, "temp_tablespaces") ||
           slice_is_text(setting, "local_preload_libraries") ||
           slice_is_text(setting, "session_preload_libraries") ||
           slice_is_text(setting, "shared_preload_libraries") ||
           slice_is_text(setting, "unix_socket_directories");
}

static struct slice keep(struct look *l, struct buf *b)
{
    struct slice kept = arena_copy(l->arena, buf_all(b));

    buf_fini(b);
    return kept;
}

static void put_quoted(struct buf *out, struct slice text, char quote)
{
    buf_put(out, &quote, 1);
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == (uint8_t)quote)
            buf_put(out, &quote, 1);
        buf_put(out, text.at + i, 1);
    }
    buf_put(out, &quote, 1);
}

/* A string that is read the same whatever standard_conforming_strings is. */
static void put_string(struct buf *out, struct slice text)
{
    struct buf escaped = { 0 };

    if (text.len == 0 || memchr(text.at, '\\', text.len) == NULL) {
        put_quoted(out, text, '\'');
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\\')
            buf_text(&escaped, "\\");
        buf_put(&escaped, text.at + i, 1);
    }
    buf_text(out, "E");
    put_quoted(out, buf_all(&escaped), '\'');
    buf_fini(&escaped);
}

/* As quote_identifier() does: only where it must be. */
static void put_name(struct look *l, struct buf *out, struct slice name)
{
    bool is_plain = name.len > 0 && (name.at[0] < '0' || name.at[0] > '9');

    for (size_t i = 0; i < name.len; i++)
        is_plain &= name.at[i] == '_' || (name.at[i] >= 'a' && name.at[i] <= 'z') ||
                    (name.at[i] >= '0' && name.at[i] <= '9');
    if (is_plain && !grammar_is_keyword(arena_text(l->arena, name)))
        buf_slice(out, name);
    else
        put_quoted(out, name, '"');
}

void look_set_items(struct look *l, struct setting *setting, const struct slice *items,
                    size_t count)
{
    struct buf value = { 0 }, text = { 0 };

    for (size_t i = 0; i < count; i++) {
        buf_text(&value, i > 0 ? ", " : "");
        buf_text(&text, i > 0 ? ", " : "");
        put_string(&value, items[i]);
        if (is_list_of_names(setting->name))
            put_name(l, &text, items[i]);
        else
            buf_slice(&text, items[i]);
    }
    setting->value = keep(l, &value);
    setting->text = keep(l, &text);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_space(struct slice *rest)
{
    while (rest->len > 0 && is_space(rest->at[0]))
        *rest = slice_from(*rest, 1);
}

/* Takes the inside of a quoted name, with its doubled quotes as one; false: the quote does not
 * end. */
static bool take_quoted(struct slice *rest, struct buf *out)
{
    for (size_t i = 1; i < rest->len; i++) {
        if (rest->at[i] == '"' && (i + 1 == rest->len || rest->at[i + 1] != '"')) {
            *rest = slice_from(*rest, i + 1);
            return true;
        }
        i += rest->at[i] == '"';
        buf_put(out, rest->at + i, 1);
    }
    return false;
}

static bool take_plain(struct slice *rest, struct buf *out)
{
    size_t n = 0;

    for (; n < rest->len && rest->at[n] != ',' && !is_space(rest->at[n]); n++) {
        uint8_t c = rest->at[n] | (uint8_t)(((uint8_t)(rest->at[n] - 'A') < 26) << 5);

        buf_put(out, &c, 1);
    }
    *rest = slice_from(*rest, n);
    return n > 0;
}

/* Writes the names of a list as strings; false: it is not well formed, and the server will say
 * so. */
static bool put_names(struct buf *value, struct slice rest)
{
    for (bool is_first = true;; is_first = false) {
        struct buf name = { 0 };
        bool is_taken;

        skip_space(&rest);
        is_taken = rest.len > 0 &&
                   (rest.at[0] == '"' ? take_quoted(&rest, &name) : take_plain(&rest, &name));
        buf_text(value, is_first ? "" : ", ");
        put_string(value, buf_all(&name));
        buf_fini(&name);
        skip_space(&rest);
        if (!is_taken || (rest.len > 0 && rest.at[0] != ','))
            return false;
        if (rest.len == 0)
            return true;
        rest = slice_from(rest, 1);
    }
}

void look_set_text(struct look *l, struct setting *setting, struct slice text)
{
    struct buf value = { 0 };

    setting->text = arena_copy(l->arena, text);
    if (!is_list_of_names(setting->name) || !put_names(&value, text)) {
        buf_clear(&value);
        put_string(&value, text);
    }
    setting->value = keep(l, &value);
}

void look_set_name(struct look *l, struct setting *setting, struct slice name)
{
    uint8_t *folded = arena_bytes(l->arena, name.len + 1);

    for (size_t i = 0; i < name.len; i++)
        folded[i] = name.at[i] | (uint8_t)(((uint8_t)(name.at[i] - 'A') < 26) << 5);
    setting->name = slice_of(folded, name.len);
    setting->is_sheaf = slice_starts(setting->name, slice_text("sheaf."));
}

size_t look_put_int(int value, char out[16])
{
    return (size_t)snprintf(out, 16, "%d", value);
}

void look_put_interval(struct look *l, struct slice inside, struct slice *out)
{
    struct buf text = { 0 };

    buf_text(&text, "INTERVAL '");
    buf_slice(&text, inside);
    buf_text(&text, "'");
    *out = keep(l, &text);
}
