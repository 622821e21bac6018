/* Classes of keys ([class NAME]) as a worker has them: where their keys go, and what is counted of
 * them.  Which keys are asked for most is seen in samples, fewer where there is more to see. */
#include <stdlib.h>

#include "config/diff.h"
#include "proxy/base/mem.h"
#include "proxy/memory/memory_flow.h"
#include "proxy/memory/value_cache.h"

enum {
    SAMPLES_PER_SECOND = 500, /* about so many are looked at */
    WATCH_US = 200000,        /* so often that is reckoned anew */
};

/* ---- settings ---- */

/* The home of a class's keys, which is made if it is the first with that pool. */
static const struct memory_home *home_of(struct memory_side *side, const struct assembly *assembly,
                                         const struct memory_pool *pool)
{
    struct memory_site *site = &side->site;
    struct memory_home home = { .pool = pool, .map = assembly->maps[pool->base.number] };

    for (uint32_t i = 0; i < site->home_count; i++)
        if (side->homes[i].pool == pool)
            return &side->homes[i];
    home.first_shard = memory_site_shards(site);
    side->homes[site->home_count] = home;
    return &side->homes[site->home_count++];
}

static void count_cached(struct memory_side *side, uint64_t bytes)
{
    if (bytes > side->cached_bytes)
        worker_hold(side->worker, bytes - side->cached_bytes);
    else
        worker_release(side->worker, side->cached_bytes - bytes);
    side->cached_bytes = bytes;
}

void memory_classes_end(struct memory_side *side)
{
    for (uint32_t i = 0; side->classes != NULL && i < side->settings->class_count; i++)
        value_cache_free(&side->classes[i].cache);
    count_cached(side, 0);
    free(side->classes);
    free(side->homes);
    free(side->class_rows);
    side->classes = NULL;
    side->homes = NULL;
    side->class_rows = NULL;
}

/* Are keys of the same classes, and on the same shards, so that what is kept of them stays true? */
static bool are_same(const struct memory_pool *was, const struct memory_pool *is)
{
    if (was == NULL || is->class_count == 0 || !diff_is_same_pool(&was->base, &is->base))
        return false;
    for (uint32_t i = 0; i < is->class_count; i++) /* as many, in the same order */
        if (is->classes[i]->pool != NULL &&
            !diff_is_same_pool(&was->classes[i]->pool->base, &is->classes[i]->pool->base))
            return false;
    return true;
}

/* Takes the old caches away, so that they do not end; NULL: they may. */
static struct value_cache **take_caches(struct memory_side *side,
                                        const struct memory_pool *settings)
{
    struct value_cache **caches;

    if (side->classes == NULL || !are_same(side->settings, settings))
        return NULL;
    caches = mem_new(settings->class_count * sizeof(struct value_cache *));
    for (uint32_t i = 0; i < settings->class_count; i++) {
        caches[i] = side->classes[i].cache;
        side->classes[i].cache = NULL;
    }
    return caches;
}

/* Do clients of another pool read from caches what is on this pool's shards, or its classes'? */
static bool others_cache(const struct memory_side *side, const struct snapshot *s)
{
    for (uint32_t i = 0; i < s->pool_count; i++) {
        const struct memory_pool *other;

        if (s->pools[i]->kind != POOL_MEMORY || s->pools[i]->listener_count == 0)
            continue;
        other = memory_pool_of(s->pools[i]);
        for (uint32_t k = 0; other != side->site.pool && k < other->class_count; k++) {
            const struct key_class *c = other->classes[k];
            const struct memory_pool *home = c->pool == NULL ? other : c->pool;
            bool is_ours = home == side->site.pool;

            for (uint32_t h = 0; h < side->site.home_count; h++)
                is_ours = is_ours || side->homes[h].pool == home;
            if (is_ours && c->cache_ms > 0)
                return true;
        }
    }
    return false;
}

void memory_classes_follow(struct memory_side *side, struct assembly *assembly,
                           const struct memory_pool *settings)
{
    struct value_cache **caches = take_caches(side, settings);
    uint32_t count = settings->class_count;
    struct memory_site *site = &side->site;

    memory_classes_end(side);
    side->classes = mem_new((count + 1) * sizeof(*side->classes));
    side->homes = mem_new((count + 1) * sizeof(*side->homes));
    side->class_rows = mem_new((count + 1) * sizeof(struct class_row *));
    site->pool = settings;
    site->map = assembly->maps[settings->base.number];
    site->sorter = assembly->sorters[settings->base.number];
    site->classes = side->classes;
    site->homes = side->homes;
    site->home_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct key_class *c = settings->classes[i];

        side->classes[i].settings = c;
        if (c->pool != NULL && c->pool != settings)
            side->classes[i].home = home_of(side, assembly, c->pool);
        if (caches != NULL)
            side->classes[i].cache = caches[i];
        else if (c->cache_ms > 0)
            side->classes[i].cache = value_cache_new(c->cache_bytes);
        side->class_rows[i] = class_row_of(settings->base.name, c->name, side->worker->index);
    }
    side->class_rows[count] = class_row_of(settings->base.name, "", side->worker->index);
    free(caches);
    site->generation++;
    site->marks_all_writes = others_cache(side, assembly->snapshot);
}

/* ---- figures ---- */

static void sample(struct memory_side *side, const struct memory_operation *op)
{
    struct memory_watch *w = &side->watch;
    bool many = op->any_key.at != NULL;
    struct slice key = many ? op->any_key : op->key;
    const struct memory_class *c = memory_site_class(&side->site, key);
    struct class_row *row =
        side->class_rows[c == NULL ? side->settings->class_count : (size_t)(c - side->classes)];

    hot_keys_note(&row->hot, key, (double)w->gap * (many ? op->key_count : 1),
                  worker_now_us(side->worker));
    /* Not each gap-th: what clients do may have a beat of its own. */
    w->random = w->random * 1664525 + 1013904223;
    w->left = 1 + (w->random >> 8) % (2 * w->gap - 1);
}

void memory_classes_note(struct memory_side *side, struct memory_request *r,
                         const struct memory_operation *op)
{
    if (op->class != NULL) {
        struct class_row *row = side->class_rows[op->class - side->classes];

        r->class_row = row;
        counter_add(&row->requests, 1);
        counter_add(&row->writes, op->is_write);
        counter_add(&row->refused, op->is_against_class);
        counter_add(&row->cache_hits, op->cache == MEMORY_CACHE_HIT);
        counter_add(&row->cache_misses, op->cache == MEMORY_CACHE_MISS);
    }
    if (--side->watch.left == 0)
        sample(side, op);
}

void memory_classes_tick(struct memory_side *side, uint64_t now_us)
{
    struct memory_watch *w = &side->watch;
    uint64_t requests = counter_get(&side->stats->requests), passed_us = now_us - w->since_us;
    uint64_t bytes = 0;

    if (passed_us < WATCH_US)
        return;
    for (uint32_t i = 0; i < side->settings->class_count; i++)
        if (side->classes[i].cache != NULL)
            bytes += value_cache_bytes(side->classes[i].cache);
    count_cached(side, bytes);
    w->gap = 1 + (uint32_t)((requests - w->requests) * 1000000 / passed_us / SAMPLES_PER_SECOND);
    if (w->left > w->gap)
        w->left = w->gap;
    w->requests = requests;
    w->since_us = now_us;
}

void memory_classes_raise(const struct memory_request *r)
{
    for (uint32_t i = 0; i < r->touched_count; i++)
        value_mark_raise(r->touched[i]);
    if (r->touches_all)
        value_mark_raise_all();
}
