/* See vocabulary.h. */
#include "proxy/vocabulary.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/core/assembly.h"
#include "proxy/memory/memory.h"
#include "shard/distribution.h"
#include "shard/hash.h"

enum { WORDS_MOST = 64, SCHEMES_MOST = 32, SCHEME_BYTES = 32, SCHEMES_EACH = 4 };

static struct {
    const char *hashes[WORDS_MOST], *distributions[WORDS_MOST];
    struct config_scheme fronts[SCHEMES_MOST], backs[SCHEMES_MOST];
    char names[2 * SCHEMES_MOST][SCHEME_BYTES];
    size_t name_count;
    struct config_vocabulary all;
} table;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* redis, rediss (TLS), redis+unix, rediss+unix; or the name alone. */
static void add_schemes(struct config_scheme *schemes, const char *protocol, uint16_t port,
                        unsigned each)
{
    for (unsigned i = 0; i < each; i++) {
        bool tls = (i & 1) != 0, unix_path = (i & 2) != 0;
        char *name = table.names[table.name_count++];

        snprintf(name, SCHEME_BYTES, "%s%s%s", protocol, tls ? "s" : "", unix_path ? "+unix" : "");
        while (schemes->name != NULL)
            schemes++;
        *schemes = (struct config_scheme){ name, protocol, port, tls, POOL_MEMORY };
    }
}

/* An engine's name alone; that of one at a server may be reached by a Unix socket, too, and its TLS
 * starts inside the protocol. */
static void add_engine(struct config_scheme *schemes, const struct memory_back *back)
{
    add_schemes(schemes, back->name, back->default_port, 1);
    if (back->default_port == 0)
        return;
    while (schemes->name != NULL)
        schemes++;
    snprintf(table.names[table.name_count], SCHEME_BYTES, "%s+unix", back->name);
    *schemes = (struct config_scheme){ table.names[table.name_count++], back->name, 0, false,
                                       POOL_MEMORY };
}

/* TLS starts inside the protocol, so no scheme says it.  libpq takes the short form, too. */
static void add_sql_schemes(struct config_scheme *schemes)
{
    static const struct config_scheme ALL[] = {
        { "postgresql", "postgresql", 5432, false, POOL_SQL },
        { "postgres", "postgresql", 5432, false, POOL_SQL },
        { "postgresql+unix", "postgresql", 0, false, POOL_SQL },
        { "postgres+unix", "postgresql", 0, false, POOL_SQL },
    };

    while (schemes->name != NULL)
        schemes++;
    memcpy(schemes, ALL, sizeof(ALL));
}

static void add_blob_schemes(struct config_scheme *schemes, bool backs)
{
    static const struct config_scheme ALL[] = {
        { "s3", "s3", 80, false, POOL_BLOB },
        { "s3s", "s3", 443, true, POOL_BLOB },
        { "s3+unix", "s3", 0, false, POOL_BLOB },
        { "file", "file", 0, false, POOL_BLOB },
    };

    while (schemes->name != NULL)
        schemes++;
    memcpy(schemes, ALL, sizeof(ALL) - (backs ? 0 : sizeof(ALL[0])));
}

/* What only the map itself knows of its settings. */
static enum err check_map(const struct pool_settings *pool, struct buf *why)
{
    struct shard_map_member *members = mem_new(pool->endpoint_count * sizeof(*members));
    struct shard_map_settings settings;
    struct shard_map *map = NULL;
    enum err err;

    assembly_map_settings(pool, members, &settings);
    err = shard_map_new(&settings, &map, why);
    if (err == ERR_NONE)
        shard_map_free(&map);
    free(members);
    return err;
}

static enum err check_pool(const struct pool_settings *pool, struct buf *why)
{
    return pool->kind == POOL_SQL ? ERR_NONE : check_map(pool, why);
}

/* What only OpenSSL knows of the files. */
static enum err check_tls(const struct tls_settings *tls, bool listens, struct buf *why)
{
    struct tls_options options = assembly_tls_options(tls, listens ? TLS_ACCEPT : TLS_CONNECT);
    struct tls_context *context = NULL;

    TRY(tls_context_new(&options, &context, why));
    tls_context_warn(context, why);
    tls_context_unref(&context);
    return ERR_NONE;
}

static void gather(void)
{
    for (size_t i = 0; i < WORDS_MOST - 1 && shard_hash_at(i) != NULL; i++)
        table.hashes[i] = shard_hash_at(i)->name;
    for (size_t i = 0; i < WORDS_MOST - 1 && shard_distribution_at(i) != NULL; i++)
        table.distributions[i] = shard_distribution_at(i)->name;
    for (size_t i = 0; memory_front_at(i) != NULL; i++)
        add_schemes(table.fronts, memory_front_at(i)->name, memory_front_at(i)->default_port,
                    SCHEMES_EACH);
    for (size_t i = 0; memory_back_at(i) != NULL; i++) {
        const struct memory_back *back = memory_back_at(i);

        if (back->engine != NULL)
            add_engine(table.backs, back);
        else
            add_schemes(table.backs, back->name, back->default_port, SCHEMES_EACH);
    }
    add_sql_schemes(table.fronts);
    add_sql_schemes(table.backs);
    add_blob_schemes(table.fronts, false);
    add_blob_schemes(table.backs, true);
    table.all = (struct config_vocabulary){ .hashes = table.hashes,
                                            .distributions = table.distributions,
                                            .fronts = table.fronts,
                                            .backs = table.backs,
                                            .check_pool = check_pool,
                                            .check_tls = check_tls };
}

const struct config_vocabulary *vocabulary(void)
{
    pthread_once(&once, gather);
    return &table.all;
}
