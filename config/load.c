/* See load.h.  Three passes: read all lines into drafts (here), build the snapshot's lists
 * (draft_build.c), look at the whole (draft_check.c).  Each pass adds its problems and goes on, so
 * that an operator sees all of them at once. */
#include "config/load.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config/draft.h"
#include "config/expand.h"
#include "config/tables.h"
#include "proxy/base/mem.h"

enum { POOL_NAME_BYTES = 64 };

void draft_blame(struct loading *l, struct place place, const char *name, struct buf *why)
{
    problems_error(l->problems, place, "%s: %.*s", name, (int)why->len, (const char *)why->at);
    buf_clear(why);
}

struct place draft_place(const struct draft *d, const char *option_name)
{
    const struct option *option = option_find(d->table, option_name);

    assert(option != NULL);
    return d->seen[option - d->table].line > 0 ? d->seen[option - d->table] : d->place;
}

static struct draft *find_draft(struct loading *l, const char *title)
{
    for (struct draft *d = l->drafts; d != NULL; d = d->next)
        if (d->table != NULL && strcmp(d->title, title) == 0)
            return d;
    return NULL;
}

static void begin_proxy(struct loading *l, struct draft *d, const char *name)
{
    if (name != NULL) {
        problems_error(l->problems, d->place, "[proxy] has no name: \"%s\" is too much", name);
        return;
    }
    l->snapshot->proxy.place = d->place;
    d->settings = &l->snapshot->proxy;
    d->table = tables_proxy;
}

static bool is_pool_name(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && strchr("-_.", name[i]) == NULL)
            return false;
    return len > 0 && len <= POOL_NAME_BYTES;
}

const struct draft_kind *draft_kind_of(const struct pool_settings *pool)
{
    static const struct draft_kind *const KINDS[] = {
        [POOL_MEMORY] = &draft_memory, [POOL_SQL] = &draft_sql, [POOL_BLOB] = &draft_blob
    };

    return KINDS[pool->kind];
}

/* NULL: there is no such kind. */
static const struct draft_kind *draft_kind_find(const char *name)
{
    for (int kind = POOL_MEMORY; kind <= POOL_BLOB; kind++)
        if (strcmp(pool_kind_name((enum pool_kind)kind), name) == 0)
            return draft_kind_of(&(struct pool_settings){ .kind = (enum pool_kind)kind });
    return NULL;
}

static const struct draft *find_pool(const struct loading *l, const char *name)
{
    for (const struct draft *d = l->drafts; d != NULL; d = d->next)
        if (d->pool != NULL && strcmp(d->pool->name, name) == 0)
            return d;
    return NULL;
}

static void begin_pool(struct loading *l, struct draft *d, const struct draft_kind *kind,
                       const char *name)
{
    const struct draft *other;

    if (name == NULL || !is_pool_name(name)) {
        problems_error(l->problems, d->place,
                       "a pool needs a name of 1 to 64 letters, digits, \"-\", \"_\" or \".\": "
                       "[%s NAME]",
                       pool_kind_name(kind->kind));
        return;
    }
    other = find_pool(l, name);
    if (other != NULL) {
        problems_error(l->problems, d->place, "there is already a pool of this name: [%s] (%s:%u)",
                       other->title, other->place.file, other->place.line);
        return;
    }
    d->kind = kind;
    d->pool = arena_new(l->arena, kind->size);
    d->pool->kind = kind->kind;
    d->pool->name = name;
    d->pool->place = d->place;
    d->settings = d->pool;
    d->table = kind->table;
    option_set_presets(d->table, d->settings, l->arena);
}

static void begin_class(struct loading *l, struct draft *d, const char *name)
{
    struct key_class *c;

    if (name == NULL || !is_pool_name(name)) {
        problems_error(l->problems, d->place,
                       "a class needs a name of 1 to 64 letters, digits, \"-\", \"_\" or \".\": "
                       "[class NAME]");
        return;
    }
    c = d->key_class = arena_new(l->arena, sizeof(*c));
    c->name = name;
    c->place = d->place;
    d->settings = c;
    d->table = tables_class;
    option_set_presets(d->table, d->settings, l->arena);
}

static void begin_unknown(struct loading *l, struct draft *d, const char *kind)
{
    static const char *const KINDS[] = { "proxy", "memory", "sql", "blob", "class", NULL };
    static const char *const LATER[] = { "search", NULL };
    struct buf text = { 0 };
    size_t unsuggested;

    for (size_t i = 0; LATER[i] != NULL; i++) {
        if (strcmp(LATER[i], kind) == 0) {
            problems_error(l->problems, d->place, "[%s] sections are not in this version", kind);
            return;
        }
    }
    buf_format(&text, "unknown section [%s]", d->title);
    unsuggested = text.len;
    option_suggest_word(KINDS, kind, &text);
    if (text.len == unsuggested)
        buf_text(&text, "; there are [proxy], [memory NAME], [sql NAME], [blob NAME] and "
                        "[class NAME]");
    problems_error(l->problems, d->place, "%.*s", (int)text.len, (char *)text.at);
    buf_fini(&text);
}

static struct slice trimmed(struct slice s)
{
    while (s.len > 0 && isspace(s.at[0]))
        s = slice_from(s, 1);
    while (s.len > 0 && isspace(s.at[s.len - 1]))
        s.len--;
    return s;
}

/* Kind and name apart, name NULL if there is none; as a title they have one space between them. */
static void split_title(struct loading *l, const char *text, struct draft *d, const char **kind,
                        const char **name)
{
    struct slice all = trimmed(slice_text(text)), rest;
    struct buf title = { 0 };
    size_t len = 0;

    while (len < all.len && !isspace(all.at[len]))
        len++;
    rest = trimmed(slice_from(all, len));
    *kind = arena_text(l->arena, slice_of(all.at, len));
    *name = rest.len == 0 ? NULL : arena_text(l->arena, rest);
    buf_put(&title, all.at, len);
    buf_text(&title, rest.len == 0 ? "" : " ");
    buf_slice(&title, rest);
    d->title = arena_text(l->arena, buf_all(&title));
    buf_fini(&title);
}

/* Of `struct lines`. */
static void *begin_section(void *owner, struct place place, const char *text)
{
    struct loading *l = owner;
    struct draft *d = arena_new(l->arena, sizeof(*d)), *first;
    const char *kind, *name;

    d->place = place;
    d->lines_end = &d->lines;
    split_title(l, text, d, &kind, &name);
    first = find_draft(l, d->title);
    if (first != NULL)
        problems_error(l->problems, place, "section [%s] is already there (%s:%u)", d->title,
                       first->place.file, first->place.line);
    else if (strcmp(kind, "proxy") == 0)
        begin_proxy(l, d, name);
    else if (strcmp(kind, "class") == 0)
        begin_class(l, d, name);
    else if (draft_kind_find(kind) != NULL)
        begin_pool(l, d, draft_kind_find(kind), name);
    else
        begin_unknown(l, d, kind);
    *l->drafts_end = d;
    l->drafts_end = &d->next;
    return d;
}

/* An option that is right elsewhere is told so; of others the nearest one of this section. */
static void suggest_home(const struct draft *d, const char *name, struct buf *text)
{
    const struct draft_kind *own = d->kind != NULL ? d->kind : &draft_memory;

    if (option_find(tables_proxy, name) != NULL)
        buf_text(text, "; it belongs to [proxy]");
    else if (option_find(own->endpoint_url, name) != NULL)
        buf_format(text, "; it belongs to the URL of a %s, behind a \"?\"",
                   own == &draft_memory ? "shard" : "server");
    else if (option_find(own->listen_url, name) != NULL)
        buf_text(text, "; it belongs to the URL of a listener, behind a \"?\"");
    else if (option_find(tables_memory, name) != NULL)
        buf_text(text, "; it belongs to a pool, [memory NAME]");
    else if (option_find(tables_sql, name) != NULL)
        buf_text(text, "; it belongs to a pool, [sql NAME]");
    else
        option_suggest(d->table, name, text);
}

static void refuse_name(struct loading *l, const struct draft *d, struct place place,
                        const char *name)
{
    struct buf text = { 0 };

    buf_format(&text, "unknown option \"%s\" in [%s]", name, d->title);
    if (d->key_class != NULL)
        option_suggest(d->table, name, &text);
    else
        suggest_home(d, name, &text);
    problems_error(l->problems, place, "%.*s", (int)text.len, (char *)text.at);
    buf_fini(&text);
}

static void keep_line(struct loading *l, struct draft *d, const struct option *option,
                      struct place place, const char *value)
{
    struct draft_line *line = arena_new(l->arena, sizeof(*line));

    line->option = option;
    line->value = arena_text(l->arena, slice_text(value));
    line->place = place;
    *d->lines_end = line;
    d->lines_end = &line->next;
}

static enum err set_option(struct loading *l, struct draft *d, const struct option *option,
                           const char *file, const char *value, struct buf *why)
{
    const char *const *words = option->words_from == OPTION_WORDS_HASHES ? l->vocabulary->hashes
                               : option->words_from == OPTION_WORDS_DISTRIBUTIONS
                                   ? l->vocabulary->distributions
                                   : NULL;
    const char *expanded;
    enum err err;

    TRY(expand(slice_text(value), EXPAND_PLAIN, l->arena, &expanded, why));
    if (option->type == OPTION_FILE)
        expanded = lines_path(l->arena, file, expanded);
    err = option_set(option, d->settings, expanded, words, l->arena, why);
    if (option->type == OPTION_SECRET)
        explicit_bzero((char *)expanded, strlen(expanded));
    return err;
}

/* Of `struct lines`. */
static void take_line(void *owner, void *section, struct place place, const char *name,
                      const char *value)
{
    struct loading *l = owner;
    struct draft *d = section;
    const struct option *option;
    struct place *seen;
    struct buf why = { 0 };

    if (d == NULL) {
        problems_error(l->problems, place, "\"%s\" stands before any [section]", name);
        return;
    }
    if (d->table == NULL)
        return;
    option = option_find(d->table, name);
    if (option == NULL) {
        refuse_name(l, d, place, name);
        return;
    }
    seen = &d->seen[option - d->table];
    if (option->type == OPTION_LINES)
        keep_line(l, d, option, place, value);
    else if (seen->line > 0)
        problems_error(l->problems, place, "%s: is already given (%s:%u)", name, seen->file,
                       seen->line);
    else if (value[0] == '\0')
        problems_error(l->problems, place, "%s: the value is missing", name);
    else if (set_option(l, d, option, place.file, value, &why) != ERR_NONE)
        draft_blame(l, place, name, &why);
    if (seen->line == 0)
        *seen = place;
    buf_fini(&why);
}

static void begin(struct loading *l, const char *file)
{
    assert(option_find(tables_memory, "breaker_open") - tables_memory < DRAFT_OPTIONS_MOST);
    assert(option_find(tables_sql, "probe_database") - tables_sql < DRAFT_OPTIONS_MOST);
    l->snapshot = mem_new(sizeof(*l->snapshot));
    l->arena = &l->snapshot->arena;
    l->snapshot->file = arena_text(l->arena, slice_text(file));
    l->drafts_end = &l->drafts;
    l->lines.owner = l;
    l->lines.section = begin_section;
    l->lines.line = take_line;
    l->lines.problems = l->problems;
    l->lines.arena = l->arena;
    option_set_presets(tables_proxy, &l->snapshot->proxy, l->arena);
    l->snapshot->proxy.place = (struct place){ .file = l->snapshot->file };
}

static enum err finish(struct loading *l, struct snapshot **out)
{
    draft_build(l);
    draft_check(l);
    problems_sort(l->problems);
    if (l->problems->errors > 0) {
        snapshot_free(&l->snapshot);
        return ERR_CONFIG;
    }
    *out = l->snapshot;
    return ERR_NONE;
}

enum err config_load(const char *file, const struct config_vocabulary *vocabulary,
                     struct snapshot **out, struct problems *problems)
{
    struct loading l = { .vocabulary = vocabulary, .problems = problems };

    begin(&l, file);
    lines_read_file(&l.lines, l.snapshot->file);
    return finish(&l, out);
}

enum err config_load_text(const char *name, const char *text,
                          const struct config_vocabulary *vocabulary, struct snapshot **out,
                          struct problems *problems)
{
    struct loading l = { .vocabulary = vocabulary, .problems = problems };

    begin(&l, name);
    l.lines.no_files = true;
    lines_read_text(&l.lines, l.snapshot->file, text);
    return finish(&l, out);
}
