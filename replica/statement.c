/* See statement.h.  The whole text is parsed at once, as the server does; if that fails, it is cut
 * at its semicolons, and each part is parsed, and where that fails read by its words. */
#include "replica/statement.h"

#include "replica/grammar.h"
#include "replica/look.h"
#include "replica/token.h"

struct reading {
    struct look look;
    struct slice text; /* borrowed */
    struct statement *statements;
    size_t count, room;
};

const char *statement_kind_text(enum statement_kind kind)
{
    static const char *const TEXT[] = {
#define STATEMENT(name, text) [STATEMENT_##name] = (text),
#include "replica/statement_kind.def"
#undef STATEMENT
    };

    return TEXT[kind];
}

const char *statement_route_text(enum statement_route route)
{
    static const char *const TEXT[] = {
        [ROUTE_READ] = "replica", [ROUTE_TRY] = "try",         [ROUTE_SESSION] = "session",
        [ROUTE_HERE] = "primary", [ROUTE_PRIMARY] = "primary",
    };

    return TEXT[route];
}

void statement_forget_thread(void)
{
    grammar_forget_thread();
}

/* How long a character is that begins with a byte above ASCII. */
enum hiding { HIDES_NOTHING, HIDES_SJIS, HIDES_PAIRS, HIDES_GB18030, HIDES_JOHAB };

static enum hiding hiding_of(struct slice client_encoding)
{
    static const struct {
        const char *name;
        enum hiding hiding;
    } HIDING[] = {
        { "sjis", HIDES_SJIS },       { "mskanji", HIDES_SJIS },    { "shiftjis", HIDES_SJIS },
        { "win932", HIDES_SJIS },     { "windows932", HIDES_SJIS }, { "shiftjis2004", HIDES_SJIS },
        { "big5", HIDES_PAIRS },      { "win950", HIDES_PAIRS },    { "windows950", HIDES_PAIRS },
        { "gbk", HIDES_PAIRS },       { "win936", HIDES_PAIRS },    { "windows936", HIDES_PAIRS },
        { "uhc", HIDES_PAIRS },       { "win949", HIDES_PAIRS },    { "windows949", HIDES_PAIRS },
        { "gb18030", HIDES_GB18030 }, { "johab", HIDES_JOHAB },
    };
    char name[16];
    size_t len = 0;

    for (size_t i = 0; i < client_encoding.len && len < sizeof(name); i++) {
        uint8_t c = client_encoding.at[i];

        c |= (uint8_t)(((uint8_t)(c - 'A') < 26) << 5);
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
            name[len++] = (char)c;
    }
    for (size_t i = 0; i < sizeof(HIDING) / sizeof(HIDING[0]); i++)
        if (slice_is_text(slice_of(name, len), HIDING[i].name))
            return HIDING[i].hiding;
    return HIDES_NOTHING;
}

bool statement_encoding_hides_ascii(struct slice client_encoding)
{
    return hiding_of(client_encoding) != HIDES_NOTHING;
}

/* As PostgreSQL has it, whatever comes behind. */
static size_t length_of(enum hiding hiding, uint8_t first, uint8_t second)
{
    switch (hiding) {
    case HIDES_SJIS:
        return first >= 0xa1 && first <= 0xdf ? 1 : 2;
    case HIDES_GB18030:
        return second >= '0' && second <= '9' ? 4 : 2;
    case HIDES_JOHAB:
        return first == 0x8f ? 3 : 2;
    case HIDES_PAIRS:
    case HIDES_NOTHING:
        break;
    }
    return 2;
}

void statement_mask(struct slice client_encoding, struct slice text, uint8_t *out)
{
    enum hiding hiding = hiding_of(client_encoding);
    size_t i = 0;

    memcpy(out, text.at, text.len);
    while (hiding != HIDES_NOTHING && i < text.len) {
        size_t len = 1;

        if (text.at[i] >= 0x80)
            len = length_of(hiding, text.at[i], i + 1 < text.len ? text.at[i + 1] : 0);
        for (size_t k = 1; k < len && i + k < text.len; k++)
            out[i + k] = 0xff;
        i += len;
    }
}

static struct slice trimmed(struct slice text)
{
    while (text.len > 0 && strchr(" \t\n\r\f", text.at[0]) != NULL && text.at[0] != '\0')
        text = slice_from(text, 1);
    while (text.len > 0 && strchr(" \t\n\r\f", text.at[text.len - 1]) != NULL)
        text.len--;
    return text;
}

static struct statement *reading_add(struct reading *r, struct slice text)
{
    if (r->count == r->room) {
        size_t room = r->room == 0 ? 1 : r->room * 4;
        struct statement *larger = arena_bytes(r->look.arena, room * sizeof(*larger));

        if (r->count > 0)
            memcpy(larger, r->statements, r->count * sizeof(*larger));
        r->statements = larger;
        r->room = room;
    }
    r->statements[r->count] = (struct statement){ .text = trimmed(text), .reason = "a read" };
    return &r->statements[r->count++];
}

/* The one statement of a text that is not looked into. */
static void read_nothing(struct reading *r, const char *reason)
{
    struct statement *s;

    r->count = 0;
    s = reading_add(r, r->text);
    s->kind = STATEMENT_QUERY;
    s->effects = EFFECT_OPAQUE | EFFECT_UNSEEN | EFFECT_CATALOG;
    look_raise(s, ROUTE_PRIMARY, reason);
}

/* Parses a text as a whole and looks at its statements; false: it can't be. */
static bool read_tree(struct reading *r, struct slice text)
{
    const struct List *tree;
    struct statement *s;
    size_t from, len;
    const void *node;

    if (text.len > SCRIPT_PARSE_LIMIT ||
        !grammar_parse(arena_text(r->look.arena, text), r->look.options->backslash_escapes, &tree))
        return false;
    for (size_t i = 0; i < look_count(tree) && r->count <= SCRIPT_STATEMENT_LIMIT; i++) {
        node = look_raw(tree, i, &from, &len);
        s = reading_add(r, slice_of(text.at + from, len == 0 ? text.len - from : len));
        look_at_statement(&r->look, s, node);
    }
    return true;
}

/* A part between semicolons. */
static void read_part(struct reading *r, struct slice part, bool is_whole)
{
    size_t before = r->count;
    struct token_reader reader = { part, r->look.options->backslash_escapes };
    struct token first;

    if (!token_next_word(&reader, &first))
        return;
    if (is_whole || !read_tree(r, part) || r->count != before + 1) {
        r->count = before;
        look_at_words(&r->look, reading_add(r, part));
    }
    grammar_done();
}

/* Cuts the text at its semicolons.  False: what is between them may be no statement of its own. */
static bool read_parts(struct reading *r)
{
    struct token_reader reader = { r->text, r->look.options->backslash_escapes };
    const uint8_t *start = r->text.at, *end = r->text.at + r->text.len;
    struct token t;
    int depth = 0;

    while (token_next_word(&reader, &t)) {
        if (token_is_word(&t, "ATOMIC"))
            return false;
        depth += token_is_mark(&t, '(') - token_is_mark(&t, ')');
        if (depth > 0 || !token_is_mark(&t, ';'))
            continue;
        if (r->count >= SCRIPT_STATEMENT_LIMIT)
            return false;
        read_part(r, slice_of(start, (size_t)(t.text.at - start)), false);
        start = reader.rest.at;
    }
    read_part(r, slice_of(start, (size_t)(end - start)), r->count == 0);
    return true;
}

static void read_hints(struct slice text, bool backslash_escapes, struct shape_hints *hints)
{
    struct token_reader reader = { text, backslash_escapes };
    struct token t;

    if (memmem(text.at, text.len, "/*", 2) == NULL && memmem(text.at, text.len, "--", 2) == NULL)
        return;
    while (token_next(&reader, &t))
        if (t.kind == TOKEN_COMMENT)
            shape_take_hints(t.text, hints);
}

static void sum_up(struct script *script)
{
    for (size_t i = 0; i < script->count; i++) {
        const struct statement *s = &script->statements[i];

        script->effects |= s->effects;
        script->is_certain |= s->is_certain;
        if (script->count > 1 && s->route == ROUTE_SESSION && script->route < ROUTE_PRIMARY) {
            script->route = ROUTE_PRIMARY;
            script->reason = "more than one statement";
        } else if (s->route > script->route) {
            script->route = s->route;
            script->reason = s->reason;
        }
    }
}

/* Does the shape of a statement tell all that its session has to know of it? */
static bool tells_all(const struct statement *s)
{
    static const uint8_t KINDS[] = { STATEMENT_QUERY,    STATEMENT_BEGIN,   STATEMENT_COMMIT,
                                     STATEMENT_ROLLBACK, STATEMENT_COPY_IN, STATEMENT_COPY_OUT,
                                     STATEMENT_CALL,     STATEMENT_DO,      STATEMENT_LOAD,
                                     STATEMENT_EXPLAIN };

    return memchr(KINDS, s->kind, sizeof(KINDS)) != NULL && !s->depends_on_literals &&
           s->executed.at == NULL && (s->effects & (EFFECT_SETS | EFFECT_UNSEEN)) == 0;
}

/* EXPLAIN ROUTE is no SQL: returns behind the two words, or NULL. */
static const uint8_t *behind_explain_route(const struct reading *r)
{
    struct token_reader reader = { r->text, r->look.options->backslash_escapes };
    struct token t;

    if (!token_next_word(&reader, &t) || !token_is_word(&t, "EXPLAIN") ||
        !token_next_word(&reader, &t) || !token_is_word(&t, "ROUTE"))
        return NULL;
    return reader.rest.at;
}

/* The statement that EXPLAIN ROUTE asks about; of several, one that stands for all. */
static const struct statement *only_of(const struct script *script, struct arena *arena)
{
    struct statement *all;

    if (script->count == 1)
        return &script->statements[0];
    all = arena_new(arena, sizeof(*all));
    all->kind = script->count == 0 ? STATEMENT_EMPTY : STATEMENT_QUERY;
    all->route = script->route;
    all->effects = script->effects;
    all->reason = script->reason;
    return all;
}

static void read_script(struct reading *r, bool may_ask, struct script *out);

static void read_explain_route(struct reading *r, struct slice rest)
{
    struct reading inner = { .look = { .options = r->look.options, .arena = r->look.arena },
                             .text = rest };
    struct script asked;
    struct statement *s;

    read_script(&inner, false, &asked);
    s = reading_add(r, r->text);
    s->kind = STATEMENT_EXPLAIN_ROUTE;
    s->asked = rest;
    s->inner = only_of(&asked, r->look.arena);
    look_raise(s, ROUTE_SESSION, "answered by Sheaf");
}

static bool is_readable(const struct reading *r)
{
    if (r->look.options->hides_ascii)
        for (size_t i = 0; i < r->text.len; i++)
            if (r->text.at[i] >= 0x80)
                return false;
    return r->text.len == 0 || memchr(r->text.at, '\0', r->text.len) == NULL;
}

static void read_all(struct reading *r, bool may_ask, struct script *out)
{
    const uint8_t *asked = may_ask ? behind_explain_route(r) : NULL;

    read_hints(r->text, r->look.options->backslash_escapes, &out->hints);
    if (asked != NULL) {
        read_explain_route(r, slice_of(asked, (size_t)(r->text.at + r->text.len - asked)));
        return;
    }
    if (!read_tree(r, r->text)) {
        out->is_error = r->text.len <= SCRIPT_PARSE_LIMIT;
        if (!read_parts(r))
            read_nothing(r, "not of the grammar");
    }
    grammar_done();
    if (r->count > SCRIPT_STATEMENT_LIMIT)
        read_nothing(r, "too many statements");
}

/* `may_ask`: EXPLAIN ROUTE is known. */
static void read_script(struct reading *r, bool may_ask, struct script *out)
{
    *out = (struct script){ .reason = "a read" };
    if (r->text.len > SCRIPT_TEXT_LIMIT)
        read_nothing(r, "too long to be looked into");
    else if (!is_readable(r))
        read_nothing(r, "not readable");
    else
        read_all(r, may_ask, out);
    out->statements = r->statements;
    out->count = r->count;
    sum_up(out);
    out->may_be_remembered = r->count == 1 && tells_all(&r->statements[0]);
}

void script_read(struct slice text, const struct statement_options *options, struct arena *arena,
                 struct script *out)
{
    struct reading r = { .look = { .options = options, .arena = arena }, .text = text };

    read_script(&r, true, out);
}
