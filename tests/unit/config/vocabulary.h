/* The words that these tests tell the configuration. */
#pragma once

#include "config/load.h"

static const char *const TEST_HASHES[] = { "xxh3", "fnv1a_64", "md5", "murmur", NULL };
static const char *const TEST_DISTRIBUTIONS[] = { "modulo", "ketama", "jump", NULL };
static const struct config_scheme TEST_SCHEMES[] = {
    { "redis", "redis", 6379, false, POOL_MEMORY },
    { "rediss", "redis", 6379, true, POOL_MEMORY },
    { "redis+unix", "redis", 0, false, POOL_MEMORY },
    { "memcached", "memcached", 11211, false, POOL_MEMORY },
    { "memcached+unix", "memcached", 0, false, POOL_MEMORY },
    { "ram", "ram", 0, false, POOL_MEMORY },
    { "sqlite", "sqlite", 0, false, POOL_MEMORY },
    { "rocksdb", "rocksdb", 0, false, POOL_MEMORY },
    { "postgresql", "postgresql", 5432, false, POOL_MEMORY },
    { "postgresql+unix", "postgresql", 0, false, POOL_MEMORY },
    { "postgresql", "postgresql", 5432, false, POOL_SQL },
    { "postgresql+unix", "postgresql", 0, false, POOL_SQL },
    { "s3", "s3", 80, false, POOL_BLOB },
    { "s3s", "s3", 443, true, POOL_BLOB },
    { "s3+unix", "s3", 0, false, POOL_BLOB },
    { "file", "file", 0, false, POOL_BLOB },
    { 0 },
};

static inline enum err test_check_pool(const struct pool_settings *pool, struct buf *why)
{
    if (pool->kind != POOL_MEMORY || strcmp(memory_pool_of(pool)->distribution, "jump") != 0)
        return ERR_NONE;
    buf_text(why, pool->endpoint_count > 1 ? "jump is odd\nso is this" : "jump needs two shards");
    return pool->endpoint_count > 1 ? ERR_NONE : ERR_CONFIG;
}

static const struct config_vocabulary TEST_VOCABULARY = {
    .hashes = TEST_HASHES,
    .distributions = TEST_DISTRIBUTIONS,
    .fronts = TEST_SCHEMES,
    .backs = TEST_SCHEMES,
    .check_pool = test_check_pool,
};

/* The problems as an operator sees them; the caller frees. */
static inline char *test_problems(struct problems *problems)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    problems_print(problems, out);
    fclose(out);
    problems_fini(problems);
    return text;
}

/* NULL, and the problems printed, if it does not load. */
static inline struct snapshot *test_load(const char *text)
{
    struct problems problems = { 0 };
    struct snapshot *s = NULL;

    if (config_load_text("t.ini", text, &TEST_VOCABULARY, &s, &problems) != ERR_NONE)
        problems_print(&problems, stdout);
    problems_fini(&problems);
    return s;
}
