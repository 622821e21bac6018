/* See shape.h.  The tokens are written in one normal form to a small buffer that is hashed whenever
 * it is full, so the memory is the same for any text. */
#include "replica/shape.h"

#include <string.h>
#include <xxhash.h>

#include "replica/shape_word.h"
#include "replica/token.h"
#include "replica/token_class.h"

enum {
    FORM_BYTES = 4096,
    PLACEHOLDER = 0x01, /* a literal or a parameter whose value does not matter */
    SEPARATOR = 0x02,   /* behind each token */
    ROOM = 2,           /* what a token may need beyond its own length */
    SHORT_BYTES = 64,   /* words up to this are written in one go */
};

struct form {
    XXH128_hash_t hash;
    size_t len;
    size_t group;        /* where the innermost parenthesis opened; 0: not known */
    size_t row, row_end; /* where a parenthesis before that one opened and ended; 0: not known */
    bool keeps_values;   /* literals stay */
    uint8_t bytes[FORM_BYTES];
};

static void form_flush(struct form *f)
{
    XXH128_hash_t part = XXH3_128bits_withSeed(f->bytes, f->len, f->hash.low64);

    f->hash.low64 = part.low64;
    f->hash.high64 = f->hash.high64 * 0x9e3779b97f4a7c15ULL ^ part.high64;
    f->len = f->group = f->row = f->row_end = 0;
}

static void form_put(struct form *f, const uint8_t *at, size_t len)
{
    while (len > FORM_BYTES - ROOM - f->len) {
        size_t part = FORM_BYTES - ROOM - f->len;

        memcpy(f->bytes + f->len, at, part);
        f->len += part;
        at += part;
        len -= part;
        form_flush(f);
    }
    memcpy(f->bytes + f->len, at, len);
    f->len += len;
}

static void form_put_folded(struct form *f, const uint8_t *at, size_t len)
{
    uint8_t *to;

    for (; len > FORM_BYTES - ROOM - f->len; at++, len--) {
        f->bytes[f->len++] = shape_fold(*at);
        if (f->len == FORM_BYTES - ROOM)
            form_flush(f);
    }
    to = f->bytes + f->len;
    for (size_t i = 0; i < len; i++)
        to[i] = shape_fold(at[i]);
    f->len += len;
}

static inline void form_end_token(struct form *f)
{
    f->bytes[f->len++] = SEPARATOR;
    if (f->len >= FORM_BYTES - ROOM)
        form_flush(f);
}

/* Is what was written last a placeholder with a comma behind it, so that one more adds nothing? */
static inline bool ends_in_list(const struct form *f)
{
    static const uint8_t LIST[] = { PLACEHOLDER, SEPARATOR, ',', SEPARATOR };

    return f->len >= sizeof(LIST) &&
           memcmp(f->bytes + f->len - sizeof(LIST), LIST, sizeof(LIST)) == 0;
}

/* "(-1, -2)" and "(1, 2)" are lists alike. */
static inline void drop_sign(struct form *f)
{
    const uint8_t *end = f->bytes + f->len;

    if (f->len >= 4 && end[-2] == '-' && end[-3] == SEPARATOR && (end[-4] == '(' || end[-4] == ','))
        f->len -= 2;
}

/* There is room for a token. */
static inline void put_placeholder(struct form *f)
{
    drop_sign(f);
    if (ends_in_list(f)) {
        f->len -= 2; /* the comma */
        return;
    }
    f->bytes[f->len++] = PLACEHOLDER;
    form_end_token(f);
}

static void put_value(struct form *f, struct slice text)
{
    if (f->keeps_values) {
        form_put(f, text.at, text.len);
        form_end_token(f);
        return;
    }
    put_placeholder(f);
}

/* A parenthesis was written.  If it closes the same as stands right before, with a comma between,
 * it adds nothing. */
static void track_row(struct form *f, uint8_t mark)
{
    size_t start = f->group, len = f->len - start;

    f->group = mark == '(' ? f->len - 2 : 0;
    if (mark == '(' || start == 0)
        return;
    if (f->row != 0 && f->row_end + 2 == start && f->row_end - f->row == len &&
        memcmp(f->bytes + f->row, f->bytes + start, len) == 0) {
        f->len = f->row_end;
        return;
    }
    f->row = start;
    f->row_end = f->len;
}

/* False: no mark of SQL, and one that could be taken for ours. */
static bool put_mark(struct form *f, uint8_t mark)
{
    form_put(f, &mark, 1);
    form_end_token(f);
    return mark >= ' ';
}

static inline bool word_is_telling(struct slice name)
{
    return (name.len == 10 && slice_is_word(name, "set_config")) ||
           (name.len == 15 && slice_is_word(name, "current_setting"));
}

/* Something whose literals decide where a statement goes. */
static bool is_telling(const struct token *t)
{
    struct slice name = t->text;

    if (t->kind == TOKEN_UNICODE)
        return true;
    if (t->kind == TOKEN_QUOTED)
        name = slice_of(name.at + 1, name.len - 2);
    return word_is_telling(name);
}

static void put_name(struct form *f, const struct token *t)
{
    if (t->kind == TOKEN_WORD)
        form_put_folded(f, t->text.at, t->text.len);
    else
        form_put(f, t->text.at, t->text.len);
    form_end_token(f);
    f->keeps_values |= is_telling(t);
}

static bool put_token(struct form *f, const struct token *t, struct shape_hints *hints)
{
    switch ((enum token_kind)t->kind) {
    case TOKEN_WORD:
    case TOKEN_QUOTED:
    case TOKEN_UNICODE:
        put_name(f, t);
        return true;
    case TOKEN_NUMBER:
    case TOKEN_STRING:
    case TOKEN_PARAMETER:
        put_value(f, t->text);
        return true;
    case TOKEN_MARK:
        return put_mark(f, t->text.at[0]);
    case TOKEN_COMMENT:
        shape_take_hints(t->text, hints);
        return true;
    case TOKEN_UNENDED:
        return false;
    }
    return false;
}

static inline bool is_lone_mark(const uint8_t *at, size_t len)
{
    return token_is_class(*at, CLASS_MAY_MARK) && len > 1 && at[1] != '-' && at[1] != '*' &&
           !token_is_class(at[1], CLASS_DIGIT);
}

/* The plain majority, without the detour of a token: a word, a whole number, a mark.  Returns
 * behind it; `at` if it must be looked at more closely.  There is room for it. */
static inline const uint8_t *put_plain(struct form *f, const uint8_t *at, const uint8_t *end)
{
    size_t most = end - at > SHORT_BYTES ? SHORT_BYTES : (size_t)(end - at), len;
    uint8_t *to = f->bytes + f->len;

    if (token_is_class(*at, CLASS_WORD_START)) {
        len = shape_word(at, most, to);
        if (len == SHORT_BYTES || (len == 1 && len < most && (at[1] == '\'' || at[1] == '&')))
            return at; /* long; E'...' */
        to[len] = SEPARATOR;
        f->len += len + 1;
        f->keeps_values |= word_is_telling(slice_of(to, len));
        return at + len;
    }
    if (token_is_class(*at, CLASS_DIGIT)) {
        len = (size_t)(token_skip(at, at + most, CLASS_DIGIT) - at);
        if (len == most || at[len] == '.' || (at[len] | 0x20) == 'e' || f->keeps_values)
            return at;
        put_placeholder(f);
        return at + len;
    }
    if (!token_is_class(*at, CLASS_MARK) && !is_lone_mark(at, most))
        return at;
    to[0] = *at;
    to[1] = SEPARATOR;
    f->len += 2;
    if (*at == '(' || *at == ')')
        track_row(f, *at);
    return at + 1;
}

bool shape_of(struct slice text, bool backslash_escapes, struct shape *out)
{
    const uint8_t *at = text.at, *end = text.at + text.len, *next;
    struct token token;
    struct shape_hints hints = { 0 };
    struct form form;

    form.hash = (XXH128_hash_t){ 0 };
    form.len = form.group = form.row = form.row_end = 0;
    form.keeps_values = false;
    while ((at = token_skip(at, end, CLASS_SPACE)) < end) {
        struct token_reader reader = { slice_of(at, (size_t)(end - at)), backslash_escapes };

        if (form.len > FORM_BYTES - SHORT_BYTES - SHAPE_WORD_STEP - ROOM)
            form_flush(&form);
        next = put_plain(&form, at, end);
        if (next == at) {
            if (!token_next(&reader, &token) || !put_token(&form, &token, &hints))
                return false;
            next = reader.rest.at;
        }
        at = next;
    }
    form_flush(&form);
    if (form.hash.low64 == 0 && form.hash.high64 == 0)
        form.hash.low64 = 1;
    *out = (struct shape){ form.hash.low64, form.hash.high64, hints };
    return true;
}
