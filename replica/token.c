/* See token.h.  The rules are those of PostgreSQL's scan.l: comments nest, a string may go on in
 * the next line, and goes on with the escapes with which it began. */
#include "replica/token.h"

#include "replica/token_class.h"

enum {
    SPACE = CLASS_SPACE,
    NEWLINE = CLASS_NEWLINE,
    WORD_START = CLASS_WORD_START,
    WORD = CLASS_WORD,
    DIGIT = CLASS_DIGIT,
    MARK = CLASS_MARK,
};

const uint8_t TOKEN_CLASS[256] = {
    [' '] = SPACE,
    ['\t'] = SPACE,
    ['\f'] = SPACE,
    ['\n'] = SPACE | NEWLINE,
    ['\r'] = SPACE | NEWLINE,
    ['0' ... '9'] = WORD | DIGIT,
    ['A' ... 'Z'] = WORD_START | WORD,
    ['a' ... 'z'] = WORD_START | WORD,
    ['_'] = WORD_START | WORD,
    ['$'] = WORD,
    [128 ... 255] = WORD_START | WORD,
    ['('] = MARK,
    [')'] = MARK,
    ['*'] = MARK,
    ['+'] = MARK,
    [','] = MARK,
    [':'] = MARK,
    [';'] = MARK,
    ['<'] = MARK,
    ['='] = MARK,
    ['>'] = MARK,
    ['['] = MARK,
    [']'] = MARK,
    ['|'] = MARK,
    ['.'] = CLASS_MAY_MARK,
    ['-'] = CLASS_MAY_MARK,
    ['/'] = CLASS_MAY_MARK,
};

static bool has_pair(const uint8_t *at, const uint8_t *end, char first, char second)
{
    return end - at >= 2 && at[0] == (uint8_t)first && at[1] == (uint8_t)second;
}

/* The end of a line comment, or where it would begin. */
static const uint8_t *line_comment_end(const uint8_t *at, const uint8_t *end)
{
    while (at < end && !token_is_class(*at, NEWLINE))
        at++;
    return at;
}

/* NULL: it does not end.  `at` stands behind the first opening. */
static const uint8_t *comment_end(const uint8_t *at, const uint8_t *end)
{
    unsigned open = 1;

    while (end - at >= 2) {
        if (has_pair(at, end, '*', '/')) {
            at += 2;
            if (--open == 0)
                return at;
        } else if (has_pair(at, end, '/', '*')) {
            at += 2;
            open++;
        } else {
            at++;
        }
    }
    return NULL;
}

/* Behind the closing quote; NULL: there is none.  A doubled quote stands for one. */
static const uint8_t *quote_end(const uint8_t *at, const uint8_t *end, uint8_t quote, bool escapes)
{
    while (at < end) {
        if (*at == '\\' && escapes) {
            at += 2;
        } else if (*at == quote) {
            if (!has_pair(at, end, (char)quote, (char)quote))
                return at + 1;
            at += 2;
        } else {
            at++;
        }
    }
    return NULL;
}

/* A string goes on if nothing but space and comments with a newline among them stand before the
 * next quote: returns behind that one, else NULL. */
static const uint8_t *continuation(const uint8_t *at, const uint8_t *end)
{
    bool has_newline = false;

    while (at < end) {
        if (token_is_class(*at, SPACE)) {
            has_newline |= token_is_class(*at, NEWLINE);
            at++;
        } else if (has_pair(at, end, '-', '-')) {
            at = line_comment_end(at, end);
            if (at == end)
                return NULL;
        } else {
            return *at == '\'' && has_newline ? at + 1 : NULL;
        }
    }
    return NULL;
}

/* `at` stands behind the opening quote. */
static const uint8_t *string_end(const uint8_t *at, const uint8_t *end, bool escapes)
{
    for (;;) {
        const uint8_t *closed = quote_end(at, end, '\'', escapes);
        const uint8_t *more = closed == NULL ? NULL : continuation(closed, end);

        if (more == NULL)
            return closed;
        at = more;
    }
}

/* `at` is a '$': the end of a dollar-quoted string; `at` itself if it is none; NULL if it does not
 * end. */
static const uint8_t *dollar_end(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *tag_end = at + 1, *close;

    if (tag_end < end && token_is_class(*tag_end, WORD_START))
        while (tag_end < end && token_is_class(*tag_end, WORD) && *tag_end != '$')
            tag_end++;
    if (tag_end == end || *tag_end != '$')
        return at;
    tag_end++;
    close = memmem(tag_end, (size_t)(end - tag_end), at, (size_t)(tag_end - at));
    return close == NULL ? NULL : close + (tag_end - at);
}

static const uint8_t *number_end(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *exponent;

    at = token_skip(at, end, DIGIT);
    if (at < end && *at == '.' && !has_pair(at, end, '.', '.'))
        at = token_skip(at + 1, end, DIGIT);
    if (at == end || (*at | 0x20) != 'e')
        return at;
    exponent = at + 1;
    if (exponent < end && (*exponent == '+' || *exponent == '-'))
        exponent++;
    return exponent < end && token_is_class(*exponent, DIGIT) ? token_skip(exponent, end, DIGIT)
                                                              : at;
}

/* Takes up to `to`; NULL stands for what has no end. */
static bool take(struct token_reader *reader, enum token_kind kind, const uint8_t *to,
                 struct token *out)
{
    struct slice rest = reader->rest;
    size_t len = to == NULL ? rest.len : (size_t)(to - rest.at);

    *out = (struct token){ to == NULL ? TOKEN_UNENDED : kind, { rest.at, len } };
    reader->rest = slice_from(rest, len);
    return true;
}

/* A word, or a literal with a letter before its quote. */
static bool take_word(struct token_reader *reader, const uint8_t *at, const uint8_t *end,
                      struct token *out)
{
    uint8_t letter = *at | 0x20;

    if (end - at >= 2 && at[1] == '\'') {
        if (letter == 'e')
            return take(reader, TOKEN_STRING, string_end(at + 2, end, true), out);
        if (letter == 'n')
            return take(reader, TOKEN_STRING, string_end(at + 2, end, reader->backslash_escapes),
                        out);
        if (letter == 'b' || letter == 'x')
            return take(reader, TOKEN_STRING, string_end(at + 2, end, false), out);
    }
    if (letter == 'u' && end - at >= 3 && at[1] == '&') {
        if (at[2] == '\'')
            return take(reader, TOKEN_STRING, string_end(at + 3, end, false), out);
        if (at[2] == '"')
            return take(reader, TOKEN_UNICODE, quote_end(at + 3, end, '"', false), out);
    }
    return take(reader, TOKEN_WORD, token_skip(at, end, WORD), out);
}

static bool take_dollar(struct token_reader *reader, const uint8_t *at, const uint8_t *end,
                        struct token *out)
{
    const uint8_t *quoted;

    if (end - at >= 2 && token_is_class(at[1], DIGIT))
        return take(reader, TOKEN_PARAMETER, token_skip(at + 1, end, DIGIT), out);
    quoted = dollar_end(at, end);
    if (quoted == at)
        return take(reader, TOKEN_MARK, at + 1, out);
    return take(reader, TOKEN_STRING, quoted, out);
}

bool token_next(struct token_reader *reader, struct token *out)
{
    const uint8_t *end = reader->rest.at + reader->rest.len;
    const uint8_t *at = token_skip(reader->rest.at, end, SPACE);

    reader->rest = slice_of(at, (size_t)(end - at));
    if (at == end) {
        *out = (struct token){ TOKEN_MARK, reader->rest };
        return false;
    }
    if (token_is_class(*at, WORD_START))
        return take_word(reader, at, end, out);
    if (token_is_class(*at, DIGIT) || (*at == '.' && end - at >= 2 && token_is_class(at[1], DIGIT)))
        return take(reader, TOKEN_NUMBER, number_end(at, end), out);
    if (*at == '\'')
        return take(reader, TOKEN_STRING, string_end(at + 1, end, reader->backslash_escapes), out);
    if (*at == '"')
        return take(reader, TOKEN_QUOTED, quote_end(at + 1, end, '"', false), out);
    if (*at == '$')
        return take_dollar(reader, at, end, out);
    if (has_pair(at, end, '-', '-'))
        return take(reader, TOKEN_COMMENT, line_comment_end(at, end), out);
    if (has_pair(at, end, '/', '*'))
        return take(reader, TOKEN_COMMENT, comment_end(at + 2, end), out);
    return take(reader, TOKEN_MARK, at + 1, out);
}
