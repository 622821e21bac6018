/* See draft.h.  Turns the lines of all pools into the snapshot's listeners, endpoints and users.
 * The lists are allocated once, for as many as there are lines, so that pointers into them stay. */
#include <stdio.h>
#include <string.h>

#include "config/draft.h"
#include "config/url.h"

bool draft_is_line(const struct draft_line *line, const char *name)
{
    return strcmp(line->option->name, name) == 0;
}

uint32_t draft_count_lines(const struct draft *d, const char *name)
{
    uint32_t count = 0;

    for (const struct draft_line *line = d->lines; line != NULL; line = line->next)
        count += draft_is_line(line, name);
    return count;
}

static enum err find_scheme(const struct config_scheme *schemes, enum pool_kind kind,
                            const char *name, const struct config_scheme **out, struct buf *why)
{
    const struct config_scheme *elsewhere = NULL;
    const char *words[32];
    size_t count = 0;

    for (; schemes != NULL && schemes->name != NULL; schemes++) {
        bool is_it = strcmp(schemes->name, name) == 0;

        if (is_it && schemes->kind == kind) {
            *out = schemes;
            return ERR_NONE;
        }
        if (is_it)
            elsewhere = schemes;
        if (count < 31 && schemes->kind == kind)
            words[count++] = schemes->name;
    }
    words[count] = NULL;
    buf_format(why, "unknown scheme \"%.32s\"", name);
    if (elsewhere != NULL)
        buf_format(why, "; it belongs to a pool, [%s NAME]", pool_kind_name(elsewhere->kind));
    else
        option_suggest_word(words, name, why);
    return ERR_SYNTAX;
}

enum err draft_set_word(struct loading *l, const struct option *option, void *settings,
                        const char *value, const char *file, struct buf *why)
{
    if (option->type == OPTION_FILE)
        value = lines_path(l->arena, file, value);
    buf_format(why, "%s ", option->name);
    TRY(option_set(option, settings, value, NULL, l->arena, why));
    buf_clear(why);
    return ERR_NONE;
}

/* The options behind a "?", and what they are set in. */
struct query {
    const struct option *table;
    void *settings;
    size_t tls_from; /* where in the settings those begin that are for TLS only */
    bool tls;
    const char *file; /* relative paths start at its folder */
};

static enum err find_query(const struct query *q, const struct url *url, unsigned index,
                           const struct option **out, struct buf *why)
{
    const char *name = url->query[index].name;
    const struct option *option = option_find(q->table, name);

    if (option == NULL) {
        buf_format(why, "unknown option \"%.48s\" behind the \"?\"", name);
        option_suggest(q->table, name, why);
        return ERR_SYNTAX;
    }
    for (unsigned i = 0; i < index; i++) {
        if (strcmp(url->query[i].name, name) == 0) {
            buf_format(why, "\"%s\" stands twice behind the \"?\"", name);
            return ERR_SYNTAX;
        }
    }
    if (!q->tls && option->offset >= q->tls_from &&
        option->offset < q->tls_from + sizeof(struct tls_settings)) {
        buf_format(why, "\"%s\" is for TLS only, and this URL has none", name);
        return ERR_SYNTAX;
    }
    *out = option;
    return ERR_NONE;
}

static enum err take_query(struct loading *l, const struct url *url, const struct query *q,
                           struct buf *why)
{
    const struct option *option;

    for (unsigned i = 0; i < url->query_count; i++) {
        TRY(find_query(q, url, i, &option, why));
        TRY(draft_set_word(l, option, q->settings, url->query[i].value, q->file, why));
    }
    return ERR_NONE;
}

static const char *terminated(struct loading *l, struct buf *text)
{
    const char *copy = arena_text(l->arena, buf_all(text));

    explicit_bzero(text->at, text->len); /* identities hold passwords */
    buf_fini(text);
    return copy;
}

static void name_endpoint(struct loading *l, struct endpoint_settings *e)
{
    struct buf name = { 0 };

    if (e->store_bytes > 0)
        buf_format(&name, "%s://", e->scheme);
    url_print_address(&e->address, &name);
    if (e->database > 0)
        buf_format(&name, e->address.path != NULL ? "?db=%u" : "/%u", e->database);
    if (e->database_name != NULL)
        buf_format(&name, e->address.path != NULL ? "?database=%s" : "/%s", e->database_name);
    if (e->store.bucket != NULL)
        buf_format(&name, "/%s", e->store.bucket);
    if (e->store.prefix != NULL && e->store.prefix[0] != '\0')
        buf_format(&name, "/%s", e->store.prefix);
    if (e->store_table != NULL && strcmp(e->store_table, STORE_TABLE) != 0)
        buf_format(&name,
                   e->address.path != NULL && e->database_name != NULL ? "&table=%s" : "?table=%s",
                   e->store_table);
    e->name = terminated(l, &name);
}

static void identify_endpoint(struct loading *l, struct endpoint_settings *e)
{
    const struct tls_settings *t = &e->tls;
    const struct blob_store *store = &e->store;
    const char *texts[] = { e->user,
                            e->password,
                            t->ca_file,
                            t->cert_file,
                            t->key_file,
                            t->server_name,
                            store->region,
                            store->credentials_file,
                            store->folder_bucket };
    struct buf identity = { 0 };

    if (e->store_bytes > 0) /* it is nobody else's, whatever its size */
        buf_format(&identity, "%s://%s#%u ", e->scheme, e->pool->name, e->shard);
    else
        buf_format(&identity, "%s://%s %d%d%d ", e->scheme, e->name, t->verify, (int)t->min_version,
                   (int)t->need);
    buf_format(&identity, "%u%u%u%u%u ", (unsigned)store->style, (unsigned)store->credentials,
               (unsigned)store->sync, (unsigned)store->layout, store->stalwart_depth);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i] != NULL)
            url_print(texts[i], "/", &identity);
        buf_text(&identity, texts[i] == NULL ? " -" : " +");
    }
    e->identity = terminated(l, &identity);
}

static enum err build_endpoint(struct loading *l, const struct draft *d,
                               const struct draft_line *line, enum endpoint_role role,
                               struct endpoint_settings *e, struct buf *why)
{
    const struct draft_kind *kind = d->kind;
    struct query query = { .table = kind->endpoint_url,
                           .settings = e,
                           .tls_from = offsetof(struct endpoint_settings, tls),
                           .file = line->place.file };
    const struct config_scheme *scheme;
    struct url url;

    TRY(url_parse(line->value, l->arena, &url, why));
    TRY(find_scheme(l->vocabulary->backs, kind->kind, url.scheme, &scheme, why));
    option_set_presets(kind->endpoint_url, e, l->arena);
    e->scheme = arena_text(l->arena, slice_text(scheme->name));
    e->protocol = arena_text(l->arena, slice_text(scheme->protocol));
    e->address = url.address;
    if (e->address.host != NULL && !url.has_port)
        e->address.port = scheme->port;
    if (e->address.host != NULL && e->address.port == 0) {
        buf_text(why, "the port must be 1 to 65535");
        return ERR_RANGE;
    }
    e->user = url.user;
    e->password = url.password;
    e->pool = d->pool;
    e->role = role;
    e->shard = d->pool->endpoint_count;
    e->place = line->place;
    e->tls = d->pool->endpoint_tls;
    e->tls.on = query.tls = scheme->tls;
    TRY(kind->begin_endpoint(l, &url, e, why));
    query.tls |= e->tls.on;
    TRY(take_query(l, &url, &query, why));
    if (kind->end_endpoint != NULL)
        TRY(kind->end_endpoint(l, &url, e, why));
    name_endpoint(l, e);
    identify_endpoint(l, e);
    return ERR_NONE;
}

static enum err build_listener(struct loading *l, const struct draft *d,
                               const struct draft_line *line, struct listener_settings *n,
                               struct buf *why)
{
    const struct draft_kind *kind = d->kind;
    struct query query = { .table = kind->listen_url,
                           .settings = n,
                           .tls_from = offsetof(struct listener_settings, tls),
                           .file = line->place.file };
    const struct config_scheme *scheme;
    struct buf name = { 0 };
    struct url url;

    TRY(url_parse(line->value, l->arena, &url, why));
    TRY(find_scheme(l->vocabulary->fronts, kind->kind, url.scheme, &scheme, why));
    if (url.user != NULL || url.password != NULL || (url.path != NULL && url.path[0] != '\0')) {
        buf_text(why, "a listener's URL has no user, password or path "
                      "(clients log in as \"password\" and \"user\" lines say)");
        return ERR_SYNTAX;
    }
    option_set_presets(kind->listen_url, n, l->arena);
    n->scheme = arena_text(l->arena, slice_text(scheme->name));
    n->protocol = arena_text(l->arena, slice_text(scheme->protocol));
    n->address = url.address;
    if (n->address.host != NULL && !url.has_port)
        n->address.port = scheme->port;
    n->pool = d->pool;
    n->place = line->place;
    n->tls = d->pool->listen_tls;
    n->tls.on = query.tls = scheme->tls;
    if (kind->begin_listener != NULL)
        kind->begin_listener(n);
    query.tls |= n->tls.on;
    TRY(take_query(l, &url, &query, why));
    if (kind->end_listener != NULL)
        TRY(kind->end_listener(l, &url, n, why));
    buf_format(&name, "%s://", n->scheme);
    url_print_address(&n->address, &name);
    n->name = terminated(l, &name);
    return ERR_NONE;
}

/* Lines of endpoints are called as their role is. */
static bool find_role(const struct draft_line *line, enum endpoint_role *role)
{
    for (int i = ENDPOINT_SHARD; i <= ENDPOINT_REPLICA; i++) {
        *role = (enum endpoint_role)i;
        if (draft_is_line(line, endpoint_role_name(*role)))
            return true;
    }
    return false;
}

/* One line becomes one thing, or a problem and nothing. */
static void build_line(struct loading *l, struct draft *d, const struct draft_line *line)
{
    struct snapshot *s = l->snapshot;
    struct pool_settings *pool = d->pool;
    struct endpoint_settings endpoint = { .number = s->endpoint_count };
    struct listener_settings listener = { .number = s->listener_count };
    enum endpoint_role role;
    struct buf why = { 0 };
    enum err err;

    if (find_role(line, &role)) {
        err = build_endpoint(l, d, line, role, &endpoint, &why);
        if (err == ERR_NONE) {
            s->endpoints[s->endpoint_count] = endpoint;
            pool->endpoints[pool->endpoint_count++] = &s->endpoints[s->endpoint_count++];
        }
    } else if (draft_is_line(line, "listen")) {
        err = build_listener(l, d, line, &listener, &why);
        if (err == ERR_NONE) {
            s->listeners[s->listener_count] = listener;
            pool->listeners[pool->listener_count++] = &s->listeners[s->listener_count++];
        }
    } else {
        err = d->kind->build_line(l, d, line, &why);
    }
    if (err != ERR_NONE)
        draft_blame(l, line->place, line->option->name, &why);
    buf_fini(&why);
}

static uint32_t count_endpoints(const struct draft *d)
{
    enum endpoint_role role;
    uint32_t count = 0;

    for (const struct draft_line *line = d->lines; line != NULL; line = line->next)
        count += find_role(line, &role);
    return count;
}

static void build_pool(struct loading *l, struct draft *d)
{
    struct pool_settings *pool = d->pool;

    pool->number = l->snapshot->pool_count;
    l->snapshot->pools[l->snapshot->pool_count++] = pool;
    pool->listeners = arena_new(l->arena, draft_count_lines(d, "listen") * sizeof(void *));
    pool->endpoints = arena_new(l->arena, count_endpoints(d) * sizeof(void *));
    d->kind->begin(l, d);
    for (const struct draft_line *line = d->lines; line != NULL; line = line->next)
        build_line(l, d, line);
    if (d->kind->end != NULL)
        d->kind->end(l, d);
}

void draft_build(struct loading *l)
{
    struct snapshot *s = l->snapshot;
    size_t pools = 0, listeners = 0, endpoints = 0;

    for (const struct draft *d = l->drafts; d != NULL; d = d->next) {
        pools += d->pool != NULL;
        listeners += draft_count_lines(d, "listen");
        endpoints += count_endpoints(d);
    }
    s->pools = arena_new(l->arena, pools * sizeof(struct pool_settings *));
    s->listeners = arena_new(l->arena, listeners * sizeof(*s->listeners));
    s->endpoints = arena_new(l->arena, endpoints * sizeof(*s->endpoints));
    for (struct draft *d = l->drafts; d != NULL; d = d->next)
        if (d->pool != NULL)
            build_pool(l, d);
    draft_build_classes(l);
}
