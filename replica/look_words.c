/* What the words of a statement tell, where the grammar gives up: because the text is long, or of a
 * newer PostgreSQL.  Stricter than the tree, for the place of a word is not known: whatever could
 * be the name of a function or a relation is judged as one. */
#include "replica/grammar.h"
#include "replica/look.h"
#include "replica/token.h"

struct words {
    struct look *look;
    struct statement *statement;
    struct slice schema; /* the name before a dot; or empty */
    struct token last;   /* before the present one */
    bool is_after_for;   /* FOR */
    bool is_member;      /* behind a dot */
};

static bool is_one_of(const struct token *t, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (token_is_word(t, words[i]))
            return true;
    return false;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The name as the catalog would have it. */
static struct slice name_of(struct look *l, const struct token *t)
{
    uint8_t *name = arena_bytes(l->arena, t->text.len + 1);
    size_t len = 0;

    if (t->kind == TOKEN_WORD) {
        for (; len < t->text.len; len++)
            name[len] = t->text.at[len] | (uint8_t)(((uint8_t)(t->text.at[len] - 'A') < 26) << 5);
        return slice_of(name, len);
    }
    for (size_t i = 1; i + 1 < t->text.len; i++) {
        name[len++] = t->text.at[i];
        i += t->text.at[i] == '"';
    }
    return slice_of(name, len);
}

/* Words that change data, wherever they stand. */
static void look_at_keyword(struct words *w, const struct token *t)
{
    static const char *const WRITE[] = { "INSERT", "UPDATE", "DELETE", "MERGE", "INTO" };
    static const char *const LOCK[] = { "UPDATE", "SHARE", "NO", "KEY" };

    if (w->is_after_for && is_one_of(t, LOCK, COUNT(LOCK)))
        look_raise(w->statement, ROUTE_PRIMARY, "row locks");
    if (is_one_of(t, WRITE, COUNT(WRITE)))
        look_raise(w->statement, ROUTE_PRIMARY, "a word that writes");
    w->is_after_for = token_is_word(t, "FOR");
}

/* Not a function though a parenthesis follows: a keyword, or an alias with columns. */
static bool is_no_function(const struct words *w, const struct token *t, struct slice name)
{
    static const char *const SYNTAX[] = {
        "over",         "filter",  "sets",    "rollup", "cube",
        "materialized", "columns", "passing", "by",     "within"
    };

    if (t->kind != TOKEN_WORD || w->is_member)
        return false;
    return token_is_word(&w->last, "AS") || is_one_of(t, SYNTAX, COUNT(SYNTAX)) ||
           (builtin_function_find(name) == NULL &&
            grammar_is_keyword(arena_text(w->look->arena, name)));
}

static void look_at_call(struct words *w, const struct token *t, struct slice name)
{
    if (is_no_function(w, t, name))
        return;
    look_at_function(w->look, w->statement, w->schema, name, (struct slice){ 0 });
    if (slice_is_text(name, "set_config"))
        look_add_setting(w->look, w->statement); /* which one is not known */
}

/* A name, and what comes behind it. */
static void look_at_name(struct words *w, const struct token *t, const struct token *next)
{
    struct slice name = name_of(w->look, t);

    if (t->kind == TOKEN_WORD && !w->is_member)
        look_at_keyword(w, t);
    if (token_is_mark(next, '(')) {
        look_at_call(w, t, name);
    } else if (t->kind != TOKEN_WORD || w->is_member ||
               !grammar_is_keyword(arena_text(w->look->arena, name))) {
        look_at_relation(w->look, w->statement, w->schema, name);
        if (w->is_member)
            look_at_member(w->look, w->statement, name);
    }
    w->schema = token_is_mark(next, '.') ? name : (struct slice){ 0 };
}

static void look_at_token(struct words *w, const struct token *t, const struct token *next)
{
    switch ((enum token_kind)t->kind) {
    case TOKEN_WORD:
    case TOKEN_QUOTED:
        look_at_name(w, t, next);
        break;
    case TOKEN_UNICODE:
    case TOKEN_UNENDED:
        look_raise(w->statement, ROUTE_PRIMARY, "not readable");
        w->statement->effects |= EFFECT_OPAQUE | EFFECT_UNSEEN;
        break;
    case TOKEN_NUMBER:
    case TOKEN_STRING:
    case TOKEN_PARAMETER:
    case TOKEN_MARK:
    case TOKEN_COMMENT:
        break;
    }
    w->is_member = token_is_mark(t, '.');
    w->last = *t;
}

/* By its first word: what else than functions and relations there is to it. */
static bool begin_words(struct statement *s, const struct token *first)
{
    static const char *const READ[] = { "SELECT", "WITH", "VALUES", "TABLE" };
    static const char *const WRITE[] = { "INSERT", "UPDATE", "DELETE", "MERGE" };
    static const char *const DDL[] = { "CREATE",  "ALTER",    "DROP",    "GRANT",  "REVOKE",
                                       "COMMENT", "TRUNCATE", "REINDEX", "VACUUM", "ANALYZE" };

    s->kind = STATEMENT_QUERY;
    s->reason = "a read";
    if (token_is_mark(first, '(') || is_one_of(first, READ, COUNT(READ))) {
        look_raise(s, ROUTE_TRY, "a read, by its words");
        return true;
    }
    look_raise(s, ROUTE_PRIMARY, "not of the grammar");
    if (is_one_of(first, WRITE, COUNT(WRITE)))
        return true;
    s->effects |= EFFECT_OPAQUE | EFFECT_CATALOG;
    if (token_is_word(first, "ALTER") || token_is_word(first, "DROP"))
        s->effects |= EFFECT_PRESETS;
    if (!is_one_of(first, DDL, COUNT(DDL)))
        s->effects |= EFFECT_UNSEEN;
    return false;
}

static void look_at_tokens(struct look *l, struct statement *s, struct slice text)
{
    struct token_reader reader = { text, l->options->backslash_escapes };
    struct words words = { .look = l, .statement = s };
    struct token token, next;
    bool is_there = token_next_word(&reader, &token);

    l->by_words = true;
    while (is_there) {
        is_there = token_next_word(&reader, &next);
        look_at_token(&words, &token, &next);
        token = next;
    }
    l->by_words = false;
}

/* What it names is a prepared statement. */
static void mean_prepared(struct look *l, struct statement *s, enum statement_kind kind)
{
    bool is_quoted = s->written.at[0] == '"';
    struct token name = { .kind = is_quoted ? TOKEN_QUOTED : TOKEN_WORD, .text = s->written };

    s->kind = (uint8_t)kind;
    s->name = name_of(l, &name);
    look_raise(s, ROUTE_SESSION, "means the session");
}

static bool look_at_execute(struct look *l, struct statement *s)
{
    look_cut_execute(l, s);
    if (s->written.len == 0)
        return false;
    mean_prepared(l, s, STATEMENT_EXECUTE);
    s->executed = s->name;
    look_at_tokens(l, s, s->arguments);
    return true;
}

/* But not PREPARE TRANSACTION. */
static bool look_at_prepare(struct look *l, struct statement *s)
{
    struct token_reader reader = { { 0 }, l->options->backslash_escapes };
    struct statement *inner = arena_new(l->arena, sizeof(*inner));
    struct token first;

    look_cut_prepare(l, s, &inner->text);
    reader.rest = inner->text;
    if (s->written.len == 0 || !token_next_word(&reader, &first) || !begin_words(inner, &first)) {
        s->written = s->types = (struct slice){ 0 };
        return false;
    }
    look_at_tokens(l, inner, inner->text);
    l->setting_room = 0;
    mean_prepared(l, s, STATEMENT_PREPARE);
    s->inner = inner;
    return true;
}

static bool look_at_deallocate(struct look *l, struct statement *s)
{
    look_cut_deallocate(l, s);
    if (s->written.len == 0)
        return false;
    mean_prepared(l, s, STATEMENT_DEALLOCATE);
    if (slice_is_text(s->name, "all") && s->written.at[0] != '"') {
        s->kind = STATEMENT_DEALLOCATE_ALL;
        s->name = s->written = (struct slice){ 0 };
    }
    return true;
}

static bool is_of_prepared(struct look *l, struct statement *s, const struct token *first)
{
    if (token_is_word(first, "EXECUTE"))
        return look_at_execute(l, s);
    if (token_is_word(first, "PREPARE"))
        return look_at_prepare(l, s);
    return token_is_word(first, "DEALLOCATE") && look_at_deallocate(l, s);
}

void look_at_words(struct look *l, struct statement *s)
{
    struct token_reader reader = { s->text, l->options->backslash_escapes };
    struct token first;

    l->setting_room = 0;
    if (!token_next_word(&reader, &first) || is_of_prepared(l, s, &first))
        return;
    if (begin_words(s, &first))
        look_at_tokens(l, s, s->text);
}

/* Skips to behind a word. */
static bool skip_to(struct token_reader *reader, const char *word)
{
    struct token t;

    while (token_next_word(reader, &t))
        if (token_is_word(&t, word))
            return true;
    return false;
}

/* Takes what is in the parentheses that come next, if they do. */
static struct slice take_parentheses(struct token_reader *reader)
{
    struct token_reader ahead = *reader;
    const uint8_t *start;
    struct token t;
    int depth = 1;

    if (!token_next_word(&ahead, &t) || !token_is_mark(&t, '('))
        return (struct slice){ 0 };
    start = ahead.rest.at;
    while (token_next_word(&ahead, &t)) {
        depth += token_is_mark(&t, '(') - token_is_mark(&t, ')');
        if (depth == 0) {
            *reader = ahead;
            return slice_of(start, (size_t)(t.text.at - start));
        }
    }
    return (struct slice){ 0 };
}

void look_cut_prepare(const struct look *l, struct statement *s, struct slice *inner)
{
    struct token_reader reader = { s->text, l->options->backslash_escapes };
    struct token name;

    if (!skip_to(&reader, "PREPARE") || !token_next_word(&reader, &name))
        return;
    if (name.kind == TOKEN_WORD || name.kind == TOKEN_QUOTED)
        s->written = name.text;
    s->types = take_parentheses(&reader);
    if (skip_to(&reader, "AS"))
        *inner = reader.rest;
}

/* Skips to behind the EXECUTE that is no name: at the beginning, behind AS, or EXPLAIN and what
 * belongs to it. */
static bool skip_to_execute(struct token_reader *reader)
{
    static const char *const BEFORE[] = { "AS", "EXPLAIN", "ANALYZE", "ANALYSE", "VERBOSE" };
    struct token t, last = { 0 };
    bool is_first = true;
    int depth = 0;

    while (token_next_word(reader, &t)) {
        if (depth == 0 && token_is_word(&t, "EXECUTE") &&
            (is_first || token_is_mark(&last, ')') || is_one_of(&last, BEFORE, COUNT(BEFORE))))
            return true;
        depth += token_is_mark(&t, '(') - token_is_mark(&t, ')');
        is_first = false;
        last = t;
    }
    return false;
}

void look_cut_execute(const struct look *l, struct statement *s)
{
    struct token_reader reader = { s->text, l->options->backslash_escapes };
    struct token name;

    if (!skip_to_execute(&reader) || !token_next_word(&reader, &name))
        return;
    if (name.kind == TOKEN_WORD || name.kind == TOKEN_QUOTED)
        s->written = name.text;
    s->arguments = take_parentheses(&reader);
}

/* Its last word. */
void look_cut_deallocate(const struct look *l, struct statement *s)
{
    struct token_reader reader = { s->text, l->options->backslash_escapes };
    struct token t;

    while (token_next_word(&reader, &t))
        s->written = t.kind == TOKEN_WORD || t.kind == TOKEN_QUOTED ? t.text : (struct slice){ 0 };
}
