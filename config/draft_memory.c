/* See draft.h: what only pools of the kind memory have. */
#include <string.h>

#include "config/draft.h"
#include "config/draft_memory.h"
#include "config/draft_sql.h"
#include "config/option.h"
#include "config/schedule.h"
#include "config/tables.h"
#include "config/url.h"
#include "config/user.h"

/* "(sheaf.ini:7)": where the first of two stands. */
#define FIRST(place) (place).file, (place).line

static void begin(struct loading *l, struct draft *d)
{
    uint32_t users = draft_count_lines(d, "user") + draft_count_lines(d, "password");

    memory_pool_of(d->pool)->users = arena_new(l->arena, users * sizeof(struct user_settings));
}

/* The database that the path of a TCP URL names. */
static enum err take_path(struct loading *l, const struct url *url, struct endpoint_settings *e,
                          struct buf *why)
{
    const struct option *database = option_find(tables_shard_url, "db");

    if (url->path == NULL || url->path[0] == '\0')
        return ERR_NONE;
    if (option_set(database, e, url->path, NULL, l->arena, why) == ERR_NONE)
        return ERR_NONE;
    buf_clear(why); /* the path may be the rest of a password: not shown */
    buf_text(why, "behind the address only a \"/\" and the number of a database may stand");
    return ERR_SYNTAX;
}

static bool is_embedded(const struct endpoint_settings *e)
{
    return e->store_path != NULL;
}

/* In the process itself: there is nobody to log in to. */
static enum err begin_embedded(struct loading *l, const struct url *url,
                               struct endpoint_settings *e, struct buf *why)
{
    static const struct option SIZE = { "SIZE", OPTION_SIZE,
                                        offsetof(struct endpoint_settings, store_bytes),
                                        .min = 1 << 20, .form = "SIZE" };

    if (url->user != NULL || url->password != NULL || (url->path != NULL && url->path[0] != '\0')) {
        buf_text(why, "an embedded shard has neither user nor password, and nothing behind it");
        return ERR_SYNTAX;
    }
    e->store_path = e->address.path;
    if (strcmp(e->protocol, "ram") != 0)
        return ERR_NONE;
    if (e->store_path[0] == '\0') {
        buf_text(why, "how much it may hold must stand behind the slashes: ram://256mb");
        return ERR_SYNTAX;
    }
    return option_set(&SIZE, e, e->store_path, NULL, l->arena, why);
}

static enum err end_endpoint(struct loading *l, const struct url *url, struct endpoint_settings *e,
                             struct buf *why)
{
    if (strcmp(e->protocol, "postgresql") == 0)
        return draft_memory_end_postgresql(l, url, e, why);
    if (draft_memory_is_of_postgresql(url, why))
        return ERR_SYNTAX;
    if (!is_embedded(e) || e->database == 0)
        return ERR_NONE;
    buf_text(why, "\"db\" means nothing to an embedded shard: it has all databases of the pool");
    return ERR_SYNTAX;
}

static enum err begin_endpoint(struct loading *l, const struct url *url,
                               struct endpoint_settings *e, struct buf *why)
{
    static const char *const EMBEDDED[] = { "ram", "sqlite", "rocksdb" };

    if (strcmp(e->protocol, "postgresql") == 0) {
        draft_memory_begin_postgresql(url, e);
        return ERR_NONE;
    }
    for (size_t i = 0; i < sizeof(EMBEDDED) / sizeof(EMBEDDED[0]); i++)
        if (strcmp(e->protocol, EMBEDDED[i]) == 0)
            return begin_embedded(l, url, e, why);
    if (url->user != NULL && url->password == NULL) {
        buf_text(why,
                 "a user needs a password (\"USER:PASSWORD@\", or \":PASSWORD@\" without user)");
        return ERR_SYNTAX;
    }
    return take_path(l, url, e, why);
}

static enum err build_user(struct loading *l, struct draft *d, const struct draft_line *line,
                           struct buf *why)
{
    struct memory_pool *memory = memory_pool_of(d->pool);
    struct user_settings user = { 0 };

    if (draft_is_line(line, "password"))
        TRY(user_parse_password(line->value, l->arena, &user, why));
    else
        TRY(user_parse(line->value, l->arena, &user, why));
    user.place = line->place;
    for (uint32_t i = 0; i < memory->user_count; i++) {
        const struct user_settings *other = &memory->users[i];

        if (strcmp(other->name, user.name) == 0) {
            buf_format(why, "user \"%s\" is already there (%s:%u)", user.name, FIRST(other->place));
            return ERR_CONFIG;
        }
    }
    memory->users[memory->user_count++] = user;
    return ERR_NONE;
}

static void check_hash_tag(struct loading *l, const struct draft *d)
{
    size_t len = strlen(memory_pool_of(d->pool)->hash_tag);

    if (len != 0 && len != 2)
        problems_error(l->problems, draft_place(d, "hash_tag"),
                       "hash_tag: must be two characters, or off, not \"%s\"",
                       memory_pool_of(d->pool)->hash_tag);
}

static void check_limits(struct loading *l, const struct draft *d)
{
    const struct memory_pool *p = memory_pool_of(d->pool);
    const struct proxy_settings *proxy = &l->snapshot->proxy;
    const struct draft_order orders[] = {
        { "timeout", "tombstone_timeout", p->timeout_ms, p->tombstone_timeout_ms, false },
        { "backoff_min", "backoff_max", p->base.backoff_min_ms, p->base.backoff_max_ms, false },
        { "max_request", "max_session_memory", p->max_request_bytes, p->base.max_session_bytes,
          false },
        { "max_session_memory", "max_memory", p->base.max_session_bytes, proxy->max_memory_bytes,
          true },
        { "max_sessions", "max_sessions", p->base.max_sessions, proxy->max_sessions, true },
    };

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        draft_check_order(l, d, &orders[i]);
}

static bool is_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool are_one_store(const struct endpoint_settings *a, const struct endpoint_settings *b)
{
    return a->store_bytes == 0 && strcmp(a->protocol, b->protocol) == 0 &&
           address_is(&a->address, &b->address) && a->database == b->database &&
           is_text(a->database_name, b->database_name) && is_text(a->store_table, b->store_table);
}

/* Stamps would tell them apart, but not if they are off, and only once it runs. */
static void check_other_pools(struct loading *l, const struct endpoint_settings *one)
{
    const struct snapshot *s = l->snapshot;

    for (uint32_t i = 0; is_embedded(one) && i < s->endpoint_count; i++) {
        const struct endpoint_settings *other = &s->endpoints[i];

        if (other->pool->kind == POOL_MEMORY && other->pool->number < one->pool->number &&
            are_one_store(one, other)) {
            problems_error(l->problems, one->place,
                           "shard: %s is already a shard of [memory %s] (%s:%u), and a store is of "
                           "one pool",
                           one->name, other->pool->name, FIRST(other->place));
            return;
        }
    }
}

static void check_shards(struct loading *l, const struct pool_settings *p)
{
    for (uint32_t i = 0; i < p->endpoint_count; i++) {
        const struct endpoint_settings *one = p->endpoints[i];

        check_other_pools(l, one);
        for (uint32_t k = 0; k < i; k++) {
            const struct endpoint_settings *other = p->endpoints[k];

            if (are_one_store(one, other)) {
                problems_error(l->problems, one->place,
                               "shard: %s is already shard %u (%s:%u); two shards in one database "
                               "would share their keys",
                               one->name, k, FIRST(other->place));
                break;
            }
            if (one->label != NULL && other->label != NULL &&
                strcmp(one->label, other->label) == 0) {
                problems_error(l->problems, one->place,
                               "shard: the name \"%s\" is already given (%s:%u)", one->label,
                               FIRST(other->place));
                break;
            }
        }
    }
}

/* Embedded shards answer as Redis does. */
static const char *language_of(const struct endpoint_settings *e)
{
    return is_embedded(e) ? "redis" : e->protocol;
}

static void check_protocol(struct loading *l, const struct pool_settings *p)
{
    const char *first = p->endpoint_count > 0 ? language_of(p->endpoints[0]) : NULL;

    for (uint32_t i = 1; i < p->endpoint_count; i++)
        if (strcmp(language_of(p->endpoints[i]), first) != 0)
            problems_error(
                l->problems, p->endpoints[i]->place,
                "shard: the shards of a pool are of one kind, and the first is %s (%s:%u)", first,
                FIRST(p->endpoints[0]->place));
}

static void check_categories(struct loading *l, const struct user_settings *user,
                             const char *const *words, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (words[i][0] == '@' && strcmp(words[i], "@all") != 0 && strcmp(words[i], "@read") != 0 &&
            strcmp(words[i], "@write") != 0)
            problems_error(l->problems, user->place,
                           "user: memcached's commands are @read, @write or @all, not %s",
                           words[i]);
}

static bool listens_as(const struct pool_settings *p, const char *protocol)
{
    for (uint32_t i = 0; i < p->listener_count; i++)
        if (strcmp(p->listeners[i]->protocol, protocol) == 0)
            return true;
    return false;
}

/* What only Redis has; of its commands memcached's have the categories where they become them. */
static void check_memcached(struct loading *l, const struct draft *d)
{
    struct memory_pool *p = memory_pool_of(d->pool);

    for (uint32_t i = 0; i < p->base.endpoint_count; i++)
        if (p->base.endpoints[i]->database != 0)
            problems_error(l->problems, p->base.endpoints[i]->place,
                           "shard: memcached has no databases");
    p->databases = 1;
    for (uint32_t i = 0; i < p->user_count && listens_as(&p->base, "memcached"); i++) {
        check_categories(l, &p->users[i], (const char *const *)p->users[i].allow,
                         p->users[i].allow_count);
        check_categories(l, &p->users[i], (const char *const *)p->users[i].deny,
                         p->users[i].deny_count);
    }
}

static void check_kind(struct loading *l, const struct draft *d)
{
    const struct memory_pool *p = memory_pool_of(d->pool);

    check_protocol(l, d->pool);
    if (p->base.endpoint_count == 0)
        return;
    if (strcmp(p->base.endpoints[0]->protocol, "memcached") == 0)
        check_memcached(l, d);
}

static bool asks_for_password(const struct memory_pool *p)
{
    for (uint32_t i = 0; i < p->user_count; i++)
        if (p->users[i].nopass)
            return false;
    return p->user_count > 0;
}

static void print_lines(const struct pool_settings *pool, bool secrets, struct buf *out)
{
    const struct memory_pool *memory = memory_pool_of(pool);

    for (uint32_t i = 0; i < memory->user_count; i++) {
        buf_text(out, "user = ");
        user_print(&memory->users[i], secrets, out);
        buf_text(out, "\n");
    }
}

static const char *is_open(const struct listener_settings *n)
{
    return n->tls.on || asks_for_password(memory_pool_of(n->pool))
               ? NULL
               : "without password and TLS; give a \"password\", listen with TLS, or";
}

static void check_purge(struct loading *l, const struct draft *d)
{
    struct memory_pool *p = memory_pool_of(d->pool);
    struct buf why = { 0 };

    if (p->purge[0] != '\0' && schedule_parse(p->purge, &p->purge_when, &why) != ERR_NONE)
        draft_blame(l, draft_place(d, "purge"), "purge", &why);
    buf_fini(&why);
}

static void check(struct loading *l, const struct draft *d)
{
    check_purge(l, d);
    check_hash_tag(l, d);
    check_limits(l, d);
    check_shards(l, d->pool);
    check_kind(l, d);
}

const struct draft_kind draft_memory = {
    .kind = POOL_MEMORY,
    .size = sizeof(struct memory_pool),
    .table = tables_memory,
    .endpoint_url = tables_shard_url,
    .listen_url = tables_listen_url,
    .needed = (const char *const[]){ "listen", "shard", NULL },
    .endpoint_tls = "shard_tls_",
    .begin = begin,
    .build_line = build_user,
    .begin_endpoint = begin_endpoint,
    .end_endpoint = end_endpoint,
    .print_lines = print_lines,
    .shorten_path = draft_sql_shorten_path,
    .check = check,
    .is_open = is_open,
};
