/* SQL text as PostgreSQL's scanner cuts it: words, literals, marks, comments.  Looks at each byte
 * once; needs no memory; any bytes will do.
 *
 *     struct token_reader reader = { .rest = text };
 *
 *     while (token_next(&reader, &token))
 *         ...
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"

enum token_kind {
    TOKEN_WORD,      /* a keyword or an identifier without quotes, case as written */
    TOKEN_QUOTED,    /* "x", with its quotes */
    TOKEN_UNICODE,   /* U&"x": an identifier that is another than it looks */
    TOKEN_NUMBER,    /* without sign */
    TOKEN_STRING,    /* any kind, with its quotes, prefix and continuation lines */
    TOKEN_PARAMETER, /* $1 */
    TOKEN_MARK,      /* one character of an operator, or punctuation */
    TOKEN_COMMENT,   /* either kind, whole */
    TOKEN_UNENDED,   /* a literal or comment whose end is missing: the rest of the text */
};

struct token {
    uint8_t kind;      /* enum token_kind */
    struct slice text; /* borrowed from the reader's text */
};

struct token_reader {
    struct slice rest;      /* not yet read; borrowed */
    bool backslash_escapes; /* standard_conforming_strings is off */
};

/* False at the end; `out` is then a mark of no length. */
bool token_next(struct token_reader *reader, struct token *out);

/* As token_next(), but without comments. */
static inline bool token_next_word(struct token_reader *reader, struct token *out)
{
    bool is_there;

    do {
        is_there = token_next(reader, out);
    } while (is_there && out->kind == TOKEN_COMMENT);
    return is_there;
}

static inline bool token_is_mark(const struct token *t, char mark)
{
    return t->kind == TOKEN_MARK && t->text.len == 1 && t->text.at[0] == (uint8_t)mark;
}

static inline bool token_is_word(const struct token *t, const char *word)
{
    return t->kind == TOKEN_WORD && slice_is_word(t->text, word);
}
