/* The hints that comments hold.  A comment counts if all of it is a list of pairs that we know; the
 * comments that libraries write (route='/polls/', traceparent='00-...') are not meant for us. */
#include "replica/shape.h"

static bool is_between(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',' || c == ';';
}

/* Cuts the next word off; empty at the end. */
static struct slice next_pair(struct slice *rest)
{
    size_t from = 0, to;

    while (from < rest->len && is_between(rest->at[from]))
        from++;
    to = from;
    while (to < rest->len && !is_between(rest->at[to]))
        to++;
    *rest = slice_from(*rest, to);
    return slice_of(rest->at - (to - from), to - from);
}

/* The value of `key=`; false if the pair has another key. */
static bool has_key(struct slice pair, const char *key, struct slice *value)
{
    size_t len = strlen(key);

    if (pair.len <= len || pair.at[len] != '=' || !slice_is_word(slice_of(pair.at, len), key))
        return false;
    *value = slice_from(pair, len + 1);
    return true;
}

/* Digits, and what a position has between them. */
static bool is_position(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr("0123456789abcdefABCDEF/:", text.at[i]) == NULL || text.at[i] == '\0')
            return false;
    return text.len > 0;
}

static bool take_route(struct slice value, struct shape_hints *hints)
{
    uint8_t route = slice_is_word(value, "primary")   ? HINT_PRIMARY
                    : slice_is_word(value, "replica") ? HINT_REPLICA
                    : slice_is_word(value, "any")     ? HINT_ANY
                                                      : HINT_NONE;

    if (route > hints->route)
        hints->route = route;
    return route != HINT_NONE;
}

static bool take_pair(struct slice pair, struct shape_hints *hints)
{
    struct slice value;

    if (has_key(pair, "route", &value))
        return take_route(value, hints);
    if (!has_key(pair, "min_lsn", &value) && !has_key(pair, "min_position", &value))
        return false;
    hints->min_position = value;
    return is_position(value);
}

void shape_take_hints(struct slice comment, struct shape_hints *hints)
{
    struct shape_hints found = *hints;
    struct slice rest, pair;
    bool is_block = comment.at[0] == '/';

    rest = slice_of(comment.at + 2, comment.len - (is_block ? 4 : 2));
    if (memchr(rest.at, '=', rest.len) == NULL)
        return;
    while ((pair = next_pair(&rest)).len > 0)
        if (!take_pair(pair, &found))
            return;
    *hints = found;
}
