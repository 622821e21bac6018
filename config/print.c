/* See print.h and load.h: a snapshot as text, and the options as documentation, both from the
 * tables. */
#include "config/print.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/load.h"
#include "config/option.h"
#include "config/tables.h"
#include "config/url.h"
#include "config/user.h"

/* Dollars are doubled, as expand() halves them. */
static void put_value(const struct buf *value, struct buf *out)
{
    for (size_t i = 0; i < value->len; i++)
        buf_put(out, value->at[i] == '$' ? "$$" : (const char *)value->at + i,
                value->at[i] == '$' ? 2 : 1);
}

/* "name = value", as a comment if that is the default. */
static void put_option(const struct option *option, const void *settings, const void *presets,
                       struct buf *out)
{
    struct buf value = { 0 }, preset = { 0 };
    bool same;

    option_print(option, settings, &value);
    option_print(option, presets, &preset);
    same = slice_is(buf_all(&value), buf_all(&preset));
    if (value.len > 0 || !same) {
        buf_format(out, "%s%s = ", same ? ";" : "", option->name);
        put_value(&value, out);
        buf_text(out, "\n");
    }
    buf_fini(&value);
    buf_fini(&preset);
}

static void put_options(const struct option *table, const void *settings, size_t size,
                        struct buf *out)
{
    struct arena arena = { 0 };
    void *presets = arena_new(&arena, size);

    option_set_presets(table, presets, &arena);
    for (const struct option *option = table; option->name != NULL; option++) {
        if (table == tables_memory && tables_chapter(option->name) != NULL)
            buf_text(out, "\n");
        if (option->type != OPTION_LINES)
            put_option(option, settings, presets, out);
    }
    arena_fini(&arena);
}

void print_proxy(const struct proxy_settings *proxy, struct buf *out)
{
    buf_text(out, "[proxy]\n");
    put_options(tables_proxy, proxy, sizeof(*proxy), out);
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

static void put_address(const struct address *a, struct buf *out)
{
    if (a->path != NULL)
        url_print(a->path, "/:,", out);
    else
        url_print_address(a, out);
}

static void put_listener(const struct listener_settings *n, struct buf *out)
{
    struct listener_settings presets = { .tls = n->pool->listen_tls };
    struct arena arena = { 0 };

    option_set_presets(tables_listen_url, &presets, &arena);
    buf_format(out, "listen = %s://", n->scheme);
    put_address(&n->address, out);
    put_query(tables_listen_url, n, &presets, out);
    buf_text(out, "\n");
    arena_fini(&arena);
}

static void put_shard(const struct endpoint_settings *e, bool secrets, struct buf *out)
{
    struct endpoint_settings presets = { .tls = e->pool->endpoint_tls };
    struct arena arena = { 0 };

    option_set_presets(tables_shard_url, &presets, &arena);
    buf_format(out, "shard = %s://", e->scheme);
    if (e->password != NULL) {
        url_print(e->user != NULL ? e->user : "", "", out);
        buf_text(out, ":");
        url_print(secrets ? e->password : "***", secrets ? "" : "*", out);
        buf_text(out, "@");
    }
    put_address(&e->address, out);
    put_query(tables_shard_url, e, &presets, out);
    buf_text(out, "\n");
    arena_fini(&arena);
}

void print_pool(const struct pool_settings *pool, bool secrets, struct buf *out)
{
    const struct memory_pool *memory = memory_pool_of(pool);

    buf_format(out, "[memory %s]\n", pool->name);
    for (uint32_t i = 0; i < pool->listener_count; i++)
        put_listener(pool->listeners[i], out);
    for (uint32_t i = 0; i < pool->endpoint_count; i++)
        put_shard(pool->endpoints[i], secrets, out);
    for (uint32_t i = 0; i < memory->user_count; i++) {
        buf_text(out, "user = ");
        user_print(&memory->users[i], secrets, out);
        buf_text(out, "\n");
    }
    put_options(tables_memory, pool, sizeof(*memory), out);
}

void config_check_print(const struct snapshot *s, FILE *out)
{
    struct buf text = { 0 };

    print_proxy(&s->proxy, &text);
    for (uint32_t i = 0; i < s->pool_count; i++) {
        buf_text(&text, "\n");
        print_pool(s->pools[i], false, &text);
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
        const char *chapter = table == tables_memory ? tables_chapter(option->name) : NULL;

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
}
