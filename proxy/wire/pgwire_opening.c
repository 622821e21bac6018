/* What a client says first: see pgwire.h.  A start-up message's parameters are checked here once,
 * so that walking them can't fail. */
#include "proxy/wire/pgwire_take.h"

enum {
    CODE_CANCEL = 80877102, /* 1234.5678 */
    CODE_SSL = 80877103,
    CODE_GSSENC = 80877104,
    LENGTH_AND_CODE_BYTES = 8,
};

/* Pairs of texts, then one zero that is the last byte. */
static bool is_list_of_parameters(struct slice body)
{
    struct slice name, value;

    while (pg_take_text(&body, &name)) {
        if (name.len == 0)
            return body.len == 0;
        if (!pg_take_text(&body, &value))
            return false;
    }
    return false;
}

static enum err read_cancel(struct slice body, struct pg_opening *found)
{
    if (!pg_take_u32(&body, &found->pid))
        return ERR_PROTOCOL;
    if (body.len < PG_SECRET_MIN_BYTES || body.len > PG_SECRET_MAX_BYTES)
        return ERR_PROTOCOL;
    found->secret = body;
    found->kind = PG_OPENING_CANCEL;
    return ERR_NONE;
}

static enum err read_startup(struct slice body, uint32_t code, struct pg_opening *found)
{
    found->major = (uint16_t)(code >> 16);
    found->minor = (uint16_t)code;
    if (found->major != 3) {
        found->kind = PG_OPENING_OTHER; /* whatever its body is */
        return ERR_NONE;
    }
    if (!is_list_of_parameters(body))
        return ERR_PROTOCOL;
    found->kind = PG_OPENING_STARTUP;
    found->parameters = body;
    return ERR_NONE;
}

static enum err read_body(struct slice body, uint32_t code, struct pg_opening *found)
{
    switch (code) {
    case CODE_CANCEL:
        return read_cancel(body, found);
    case CODE_SSL:
        found->kind = PG_OPENING_SSL;
        return body.len == 0 ? ERR_NONE : ERR_PROTOCOL;
    case CODE_GSSENC:
        found->kind = PG_OPENING_GSSENC;
        return body.len == 0 ? ERR_NONE : ERR_PROTOCOL;
    }
    return read_startup(body, code, found);
}

enum err pg_opening_read(struct slice in, struct pg_opening *out)
{
    struct pg_opening found = { 0 };

    if (in.len < 4)
        return ERR_AGAIN;
    found.bytes = pg_u32(in.at);
    if (found.bytes < LENGTH_AND_CODE_BYTES || found.bytes > PG_OPENING_MAX_BYTES)
        return ERR_PROTOCOL;
    if (in.len < found.bytes)
        return ERR_AGAIN;
    TRY(read_body(slice_of(in.at + LENGTH_AND_CODE_BYTES, found.bytes - LENGTH_AND_CODE_BYTES),
                  pg_u32(in.at + 4), &found));
    *out = found;
    return ERR_NONE;
}

enum err pg_ssl_answer_read(struct slice in, bool *is_yes)
{
    if (in.len == 0)
        return ERR_AGAIN;
    if (in.at[0] == PG_BACK_ERROR)
        return ERR_DOWN;
    if (in.len > 1 || (in.at[0] != 'S' && in.at[0] != 'N'))
        return ERR_PROTOCOL;
    *is_yes = in.at[0] == 'S';
    return ERR_NONE;
}

bool pg_parameter_next(struct slice *rest, struct pg_parameter *out)
{
    struct slice after = *rest;
    struct pg_parameter found;

    if (!pg_take_text(&after, &found.name) || found.name.len == 0)
        return false;
    if (!pg_take_text(&after, &found.value))
        return false;
    *out = found;
    *rest = after;
    return true;
}

bool pg_parameter_find(struct slice parameters, const char *name, struct slice *value)
{
    struct pg_parameter p;
    bool found = false;

    while (pg_parameter_next(&parameters, &p)) {
        if (slice_is_text(p.name, name)) {
            *value = p.value;
            found = true;
        }
    }
    return found;
}

bool pg_is_extension(struct slice name)
{
    return slice_starts(name, slice_text("_pq_."));
}

size_t pg_extensions_count(struct slice parameters)
{
    struct pg_parameter p;
    size_t count = 0;

    while (pg_parameter_next(&parameters, &p))
        count += pg_is_extension(p.name);
    return count;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Appends the next word of `options`, unescaped; false: there is none. */
static bool take_word(struct slice *options, struct buf *out)
{
    size_t at = 0;
    bool is_escaped = false;

    while (at < options->len && is_space(options->at[at]))
        at++;
    if (at == options->len)
        return false;
    *options = slice_from(*options, at);
    for (at = 0; at < options->len; at++) {
        uint8_t c = options->at[at];

        if (is_space(c) && !is_escaped)
            break;
        is_escaped = !is_escaped && c == '\\';
        if (!is_escaped)
            buf_put(out, &c, 1);
    }
    *options = slice_from(*options, at);
    return true;
}

/* Makes of the "name=value" that begins at `at`, and is the last of `out`, a pair of texts. */
static enum err make_pair(struct buf *out, size_t at)
{
    uint8_t *text = out->at + at;
    size_t len = out->len - at;
    uint8_t *equals = len > 0 ? memchr(text, '=', len) : NULL;

    if (equals == NULL || equals == text)
        return ERR_SYNTAX;
    for (uint8_t *c = text; c < equals; c++) {
        if (*c == '-')
            *c = '_';
    }
    *equals = 0;
    buf_put(out, "", 1);
    return ERR_NONE;
}

static void cut_front(struct buf *out, size_t at, size_t count)
{
    memmove(out->at + at, out->at + at + count, out->len - at - count);
    out->len -= count;
}

/* The word that begins at `at`, and if it is a lone "-c" the next one. */
static enum err read_switch(struct slice *options, struct buf *out, size_t at)
{
    struct slice word = slice_of(out->at + at, out->len - at);

    if (word.len < 2 || word.at[0] != '-')
        return ERR_SYNTAX;
    if (word.at[1] != 'c' && (word.at[1] != '-' || word.len == 2))
        return ERR_UNSUPPORTED;
    if (word.len == 2) {
        out->len = at;
        if (!take_word(options, out)) {
            buf_text(out, "-c");
            return ERR_SYNTAX;
        }
        return make_pair(out, at);
    }
    cut_front(out, at, 2);
    return make_pair(out, at);
}

enum err pg_options_split(struct slice options, struct buf *out, struct slice *word)
{
    size_t at = out->len;
    enum err err = ERR_NONE;

    if (options.len > 0 && memchr(options.at, 0, options.len) != NULL)
        options.len = strlen((const char *)options.at); /* as the server sees it */
    for (; err == ERR_NONE && take_word(&options, out); at = err == ERR_NONE ? out->len : at)
        err = read_switch(&options, out, at);
    if (err != ERR_NONE) {
        *word = slice_of(out->at + at, out->len - at);
        out->len = at;
    }
    return err;
}

/* Is `value` a beginning of `word` that is at least `min` long? */
static bool is_beginning(struct slice value, const char *word, size_t min)
{
    return value.len >= min && value.len <= strlen(word) &&
           strncasecmp((const char *)value.at, word, value.len) == 0;
}

enum err pg_replication_read(struct slice value, enum pg_replication *out)
{
    if (slice_is_text(value, "database"))
        *out = PG_REPLICATION_DATABASE;
    else if (is_beginning(value, "true", 1) || is_beginning(value, "yes", 1) ||
             is_beginning(value, "on", 2) || slice_is_text(value, "1"))
        *out = PG_REPLICATION_PHYSICAL;
    else if (is_beginning(value, "false", 1) || is_beginning(value, "no", 1) ||
             is_beginning(value, "off", 2) || slice_is_text(value, "0"))
        *out = PG_REPLICATION_NO;
    else
        return ERR_SYNTAX;
    return ERR_NONE;
}
