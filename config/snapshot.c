/* See snapshot.h.  Built by load.c in one thread; then only the count of references changes. */
#include "config/snapshot.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static void wipe(const char *text)
{
    if (text != NULL)
        explicit_bzero((char *)text, strlen(text));
}

static void wipe_memory(const struct pool_settings *pool)
{
    const struct memory_pool *memory = memory_pool_of(pool);

    for (uint32_t u = 0; u < memory->user_count; u++)
        for (uint32_t p = 0; p < memory->users[u].password_count; p++)
            wipe(memory->users[u].passwords[p].text);
}

static void wipe_sql(const struct pool_settings *pool)
{
    const struct sql_pool *sql = sql_pool_of(pool);

    for (uint32_t u = 0; u < sql->user_count; u++)
        wipe(sql->users[u].secret);
    wipe(sql->probe_password);
}

static void wipe_blob(const struct pool_settings *pool)
{
    const struct blob_pool *blob = blob_pool_of(pool);

    for (uint32_t i = 0; i < blob->access_key_count; i++)
        wipe(blob->access_keys[i].secret);
}

static void (*const WIPERS[])(const struct pool_settings *) = {
    [POOL_MEMORY] = wipe_memory,
    [POOL_SQL] = wipe_sql,
    [POOL_BLOB] = wipe_blob,
};

static void wipe_secrets(struct snapshot *s)
{
    for (uint32_t i = 0; i < s->endpoint_count; i++) {
        wipe(s->endpoints[i].password);
        wipe(s->endpoints[i].identity);
    }
    for (uint32_t i = 0; i < s->pool_count; i++)
        WIPERS[s->pools[i]->kind](s->pools[i]);
}

void snapshot_free(struct snapshot **s)
{
    struct snapshot *gone = *s;

    *s = NULL;
    if (gone == NULL)
        return;
    wipe_secrets(gone);
    arena_fini(&gone->arena);
    free(gone);
}

const struct pool_settings *snapshot_pool(const struct snapshot *s, const char *name)
{
    for (uint32_t i = 0; i < s->pool_count; i++)
        if (strcmp(s->pools[i]->name, name) == 0)
            return s->pools[i];
    return NULL;
}

const char *endpoint_role_name(enum endpoint_role role)
{
    static const char *const NAMES[] = {
        [ENDPOINT_SHARD] = "shard", [ENDPOINT_PRIMARY] = "primary", [ENDPOINT_REPLICA] = "replica"
    };

    return NAMES[role];
}

const char *pool_kind_name(enum pool_kind kind)
{
    static const char *const NAMES[] = {
        [POOL_MEMORY] = "memory", [POOL_SQL] = "sql", [POOL_BLOB] = "blob"
    };

    return NAMES[kind];
}

const char *pool_kind_endpoint(enum pool_kind kind)
{
    static const char *const NAMES[] = {
        [POOL_MEMORY] = "shard", [POOL_SQL] = "server", [POOL_BLOB] = "shard"
    };

    return NAMES[kind];
}

enum sql_secret sql_secret_kind(const char *secret)
{
    enum { MD5_DIGITS = 32 };

    if (strncmp(secret, "SCRAM-SHA-256$", 14) == 0)
        return SQL_SECRET_SCRAM;
    return strncmp(secret, "md5", 3) == 0 && strlen(secret + 3) == MD5_DIGITS &&
                   strspn(secret + 3, "0123456789abcdefABCDEF") == MD5_DIGITS
               ? SQL_SECRET_MD5
               : SQL_SECRET_PASSWORD;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct sql_user *)a)->name, ((const struct sql_user *)b)->name);
}

const struct sql_user *sql_pool_user(const struct sql_pool *pool, const char *name)
{
    const struct sql_user key = { .name = name };

    if (pool->user_count == 0)
        return NULL;
    return bsearch(&key, pool->users, pool->user_count, sizeof(key), compare_names);
}

const struct sql_database *sql_pool_database(const struct sql_pool *pool, const char *name)
{
    const struct sql_database *any = NULL;

    for (uint32_t i = 0; i < pool->database_count; i++) {
        if (strcmp(pool->databases[i].name, name) == 0)
            return &pool->databases[i];
        if (strcmp(pool->databases[i].name, "*") == 0)
            any = &pool->databases[i];
    }
    return any;
}

enum sql_route sql_pool_route(const struct sql_user *user, const struct sql_database *database,
                              const struct listener_settings *listener)
{
    if (user != NULL && user->route != SQL_ROUTE_AUTO)
        return user->route;
    if (database != NULL && database->route != SQL_ROUTE_AUTO)
        return database->route;
    return listener == NULL ? SQL_ROUTE_AUTO : listener->route;
}

struct sql_login sql_probe_login(const struct endpoint_settings *endpoint)
{
    const struct sql_pool *pool = sql_pool_of(endpoint->pool);
    struct sql_login login = { .database = pool->probe_database };

    if (pool->probe_user != NULL) {
        login.user = pool->probe_user;
        login.password = pool->probe_password;
    } else if (endpoint->user != NULL) {
        login.user = endpoint->user;
        login.password = endpoint->password;
    } else if (pool->known_user != NULL) {
        login.user = pool->known_user->name;
        login.password = pool->known_user->secret;
    }
    return login;
}

bool address_is_local(const struct address *a)
{
    struct in_addr four;
    struct in6_addr six;

    if (a->path != NULL || strcasecmp(a->host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, a->host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, a->host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

bool address_is(const struct address *a, const struct address *b)
{
    if (a->path != NULL || b->path != NULL)
        return a->path != NULL && b->path != NULL && strcmp(a->path, b->path) == 0;
    return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}
