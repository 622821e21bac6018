/* See outline.h. */
#include "replica/outline.h"

#include <string.h>

#include "replica/token.h"

/* False: there is no more room. */
static bool put(struct slice text, char *out, size_t room, size_t *len)
{
    size_t free = room - 1 - *len;
    size_t here = text.len < free ? text.len : free;

    if (here > 0)
        memcpy(out + *len, text.at, here);
    *len += here;
    return here == text.len;
}

static bool is_literal(const struct token *t)
{
    return t->kind == TOKEN_NUMBER || t->kind == TOKEN_STRING || t->kind == TOKEN_UNENDED;
}

size_t outline_of(struct slice text, bool backslash_escapes, char *out, size_t room)
{
    struct token_reader reader = { text, backslash_escapes };
    const uint8_t *end = text.at;
    struct token t;
    size_t len = 0;

    while (token_next_word(&reader, &t)) {
        bool is_apart = len > 0 && t.text.at > end;

        if (is_apart && !put(slice_text(" "), out, room, &len))
            break;
        if (!put(is_literal(&t) ? slice_text("?") : t.text, out, room, &len))
            break;
        end = t.text.at + t.text.len;
    }
    out[len] = '\0';
    return len;
}
