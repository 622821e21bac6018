/* See commands_pool.h. */
#include "proxy/commands_pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/load.h"
#include "proxy/base/mem.h"
#include "proxy/core/assembly.h"
#include "proxy/vocabulary.h"

struct snapshot *commands_load(const char *file)
{
    struct snapshot *snapshot = NULL;
    struct problems problems = { 0 };
    enum err err = config_load(file, vocabulary(), &snapshot, &problems);

    problems_print(&problems, stderr);
    problems_fini(&problems);
    return err == ERR_NONE ? snapshot : NULL;
}

const struct pool_settings *commands_find_pool(const char *command, const struct snapshot *s,
                                               const char *name, const char *why_not)
{
    const struct pool_settings *pool = snapshot_pool(s, name);

    if (pool != NULL && pool->kind != POOL_SQL)
        return pool;
    if (pool != NULL) {
        fprintf(stderr, "sheaf %s: pool \"%s\" is of the kind %s: %s\n", command, name,
                pool_kind_name(pool->kind), why_not);
        return NULL;
    }
    fprintf(stderr, "sheaf %s: there is no pool \"%s\"; pools:", command, name);
    for (uint32_t i = 0; i < s->pool_count; i++)
        fprintf(stderr, "%s %s", i == 0 ? "" : ",", s->pools[i]->name);
    fputs("\n", stderr);
    return NULL;
}

enum err commands_make_map(const char *command, const struct pool_settings *pool,
                           struct shard_map **map)
{
    struct shard_map_member *members = mem_new(pool->endpoint_count * sizeof(*members));
    struct shard_map_settings settings;
    struct buf why = { 0 };
    enum err err;

    assembly_map_settings(pool, members, &settings);
    err = shard_map_new(&settings, map, &why);
    if (err != ERR_NONE)
        fprintf(stderr, "sheaf %s: pool %s: %.*s\n", command, pool->name, (int)why.len,
                (const char *)why.at);
    buf_fini(&why);
    free(members);
    return err;
}
