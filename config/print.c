/* See print.h and load.h: a snapshot as text, and the options as documentation, both from the
 * tables. */
#include "config/print.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/draft.h"
#include "config/load.h"
#include "config/option.h"
#include "config/tables.h"
#include "config/url.h"
#include "config/words.h"

/* "name = value", as a comment if that is the default. */
static void put_option(const struct option *option, const void *settings, const void *presets,
                       bool secrets, struct buf *out)
{
    struct buf value = { 0 }, preset = { 0 };
    bool same;

    option_print(option, settings, &value);
    option_print(option, presets, &preset);
    same = slice_is(buf_all(&value), buf_all(&preset));
    if (option->type == OPTION_SECRET && !secrets && value.len > 0) {
        explicit_bzero(value.at, value.len);
        buf_clear(&value);
        buf_text(&value, "***");
    }
    if (value.len > 0 || !same) {
        buf_format(out, "%s%s = ", same ? ";" : "", option->name);
        words_print(buf_all(&value), out);
        buf_text(out, "\n");
    }
    buf_fini(&value);
    buf_fini(&preset);
}

static void put_options(const struct option *table, const void *settings, size_t size, bool secrets,
                        struct buf *out)
{
    struct arena arena = { 0 };
    void *presets = arena_new(&arena, size);

    option_set_presets(table, presets, &arena);
    for (const struct option *option = table; option->name != NULL; option++) {
        if (tables_chapter(table, option->name) != NULL)
            buf_text(out, "\n");
        if (option->type != OPTION_LINES)
            put_option(option, settings, presets, secrets, out);
    }
    arena_fini(&arena);
}

void print_proxy(const struct proxy_settings *proxy, struct buf *out)
{
    buf_text(out, "[proxy]\n");
    put_options(tables_proxy, proxy, sizeof(*proxy), true, out);
}

/* What stands behind the "?": options that differ from what the URL started from. */
static void put_query(const struct option *table, const void *settings, const void *presets,
                      struct buf *out)
{
    const char *separator = "?";

    for (const struct option *option = table; option->name != NULL; option++) {
        struct buf value = { 0 }, preset = { 0 };

        option_print(option, settings, &value);
        option_print(option, presets, &preset);
        if (!slice_is(buf_all(&value), buf_all(&preset))) {
            buf_put(&value, "", 1);
            buf_format(out, "%s%s=", separator, option->name);
            url_print((const char *)value.at, "/:,", out);
            separator = "&";
        }
        buf_fini(&value);
        buf_fini(&preset);
    }
}

static void put_address(const struct address *a, const struct draft_kind *kind, struct buf *out)
{
    struct buf path = { 0 };

    if (a->path == NULL) {
        url_print_address(a, out);
        return;
    }
    buf_text(&path, a->path);
    if (kind->shorten_path != NULL)
        kind->shorten_path(&path);
    buf_put(&path, "", 1);
    url_print((const char *)path.at, "/:,", out);
    buf_fini(&path);
}

static void put_listener(const struct listener_settings *n, struct buf *out)
{
    const struct draft_kind *kind = draft_kind_of(n->pool);
    struct listener_settings presets = { .tls = n->pool->listen_tls, .pool = n->pool };
    struct arena arena = { 0 };

    option_set_presets(kind->listen_url, &presets, &arena);
    if (kind->begin_listener != NULL)
        kind->begin_listener(&presets);
    buf_format(out, "listen = %s://", n->scheme);
    put_address(&n->address, kind, out);
    put_query(kind->listen_url, n, &presets, out);
    buf_text(out, "\n");
    arena_fini(&arena);
}

static void put_endpoint(const struct endpoint_settings *e, bool secrets, struct buf *out)
{
    const struct draft_kind *kind = draft_kind_of(e->pool);
    struct endpoint_settings presets = { .tls = e->pool->endpoint_tls,
                                         .pool = e->pool,
                                         .role = e->role };
    struct arena arena = { 0 };

    option_set_presets(kind->endpoint_url, &presets, &arena);
    if (kind->preset_endpoint != NULL)
        kind->preset_endpoint(&presets);
    buf_format(out, "%s = %s://", endpoint_role_name(e->role), e->scheme);
    if (e->user != NULL || e->password != NULL) {
        url_print(e->user != NULL ? e->user : "", "", out);
        if (e->password != NULL) {
            buf_text(out, ":");
            url_print(secrets ? e->password : "***", secrets ? "" : "*", out);
        }
        buf_text(out, "@");
    }
    put_address(&e->address, kind, out);
    if (e->store.bucket != NULL) {
        buf_text(out, "/");
        url_print(e->store.bucket, "", out);
    }
    if (e->store.prefix != NULL) {
        buf_text(out, "/");
        url_print(e->store.prefix, "/", out);
    }
    put_query(kind->endpoint_url, e, &presets, out);
    buf_text(out, "\n");
    arena_fini(&arena);
}

void print_pool(const struct pool_settings *pool, bool secrets, struct buf *out)
{
    const struct draft_kind *kind = draft_kind_of(pool);

    buf_format(out, "[%s %s]\n", pool_kind_name(pool->kind), pool->name);
    for (uint32_t i = 0; i < pool->listener_count; i++)
        put_listener(pool->listeners[i], out);
    for (uint32_t i = 0; i < pool->endpoint_count; i++)
        put_endpoint(pool->endpoints[i], secrets, out);
    kind->print_lines(pool, secrets, out);
    put_options(kind->table, pool, kind->size, secrets, out);
}

static void put_match(const struct key_match *m, struct buf *out)
{
    switch (m->kind) {
    case KEY_MATCH_FIRST_BYTE:
        buf_format(out, m->low == m->high ? "first_byte = %02x" : "first_byte = %02x-%02x", m->low,
                   m->high);
        break;
    case KEY_MATCH_PATTERN:
        buf_text(out, "pattern = ");
        words_print(m->text, out);
        break;
    case KEY_MATCH_PREFIX:
        buf_text(out, m->is_hex ? "prefix_hex = " : "prefix = ");
        for (size_t i = 0; i < m->text.len && m->is_hex; i++)
            buf_format(out, "%02x", m->text.at[i]);
        if (!m->is_hex)
            words_print(m->text, out);
        break;
    }
    buf_text(out, "\n");
}

void print_class(const struct key_class *c, struct buf *out)
{
    buf_format(out, "[class %s]\n", c->name);
    for (uint32_t i = 0; i < c->in_count; i++)
        buf_format(out, "in = %s\n", c->in[i]->base.name);
    for (uint32_t i = 0; i < c->match_count; i++)
        put_match(&c->matches[i], out);
    put_options(tables_class, c, sizeof(*c), true, out);
}

void config_check_print(const struct snapshot *s, FILE *out)
{
    struct buf text = { 0 };

    print_proxy(&s->proxy, &text);
    for (uint32_t i = 0; i < s->pool_count; i++) {
        buf_text(&text, "\n");
        print_pool(s->pools[i], false, &text);
    }
    for (uint32_t i = 0; i < s->class_count; i++) {
        buf_text(&text, "\n");
        print_class(s->classes[i], &text);
    }
    fwrite(text.at, 1, text.len, out);
    buf_fini(&text);
}

static const char *const *words_of(const struct option *option, const struct config_vocabulary *v)
{
    switch (option->words_from) {
    case OPTION_WORDS_OWN:
        return option->words;
    case OPTION_WORDS_HASHES:
        return v->hashes;
    case OPTION_WORDS_DISTRIBUTIONS:
        return v->distributions;
    }
    return NULL;
}

/* In a Markdown table a bar would end the cell. */
static void put_cell(const char *text, FILE *out)
{
    for (; *text != '\0'; text++)
        fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void document_option(const struct option *option, const struct config_vocabulary *v,
                            FILE *out)
{
    struct buf range = { 0 };

    option_print_range(option, words_of(option, v), &range);
    buf_put(&range, "", 1);
    fprintf(out, "| `%s` | ", option->name);
    put_cell((const char *)range.at, out);
    if (option->preset != NULL)
        fprintf(out, " | `%s` | ", option->preset);
    else
        fputs(option->type == OPTION_LINES ? " | may repeat | " : " | | ", out);
    put_cell(option->text, out);
    fputs(" |\n", out);
    buf_fini(&range);
}

static void document_table(const char *title, const struct option *table,
                           const struct config_vocabulary *v, FILE *out)
{
    static const char HEAD[] =
        "| option | values | default | what it is for |\n|---|---|---|---|\n";

    fprintf(out, "### %s\n\n", title);
    for (const struct option *option = table; option->name != NULL; option++) {
        const char *chapter = tables_chapter(table, option->name);

        if (chapter != NULL)
            fprintf(out, "%s**%s**\n\n", option == table ? "" : "\n", chapter);
        if (chapter != NULL || option == table)
            fputs(HEAD, out);
        document_option(option, v, out);
    }
    fputs("\n", out);
}

void config_document(const struct config_vocabulary *vocabulary, FILE *out)
{
    document_table("`[proxy]`", tables_proxy, vocabulary, out);
    document_table("`[memory NAME]`", tables_memory, vocabulary, out);
    document_table("`shard` URLs, behind the `?`", tables_shard_url, vocabulary, out);
    document_table("`listen` URLs, behind the `?`", tables_listen_url, vocabulary, out);
    document_table("`[class NAME]`", tables_class, vocabulary, out);
    document_table("`[sql NAME]`", tables_sql, vocabulary, out);
    document_table("`primary` and `replica` URLs, behind the `?`", tables_server_url, vocabulary,
                   out);
    document_table("`listen` URLs of `[sql NAME]`, behind the `?`", tables_sql_listen_url,
                   vocabulary, out);
    document_table("`user` of `[sql NAME]`, behind name and password", tables_sql_user, vocabulary,
                   out);
    document_table("`database` of `[sql NAME]`, behind the names", tables_sql_database, vocabulary,
                   out);
    document_table("`[blob NAME]`", tables_blob, vocabulary, out);
    document_table("`shard` URLs of `[blob NAME]`, behind the `?`", tables_blob_url, vocabulary,
                   out);
}
