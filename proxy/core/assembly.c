/* See assembly.h. */
#include "proxy/core/assembly.h"

#include <stdlib.h>

#include "proxy/base/mem.h"
#include "shard/stamp.h"

void assembly_map_settings(const struct pool_settings *pool, struct shard_map_member *members,
                           struct shard_map_settings *out)
{
    for (uint32_t i = 0; i < pool->endpoint_count; i++) {
        const struct endpoint_settings *e = pool->endpoints[i];

        members[i] = (struct shard_map_member){ .host = e->address.host,
                                                .port = e->address.port,
                                                .unix_path = e->address.path,
                                                .name = e->label,
                                                .weight = e->weight };
    }
    *out = (struct shard_map_settings){ .members = members, .count = pool->endpoint_count };
    if (pool->kind == POOL_MEMORY) {
        out->hash = memory_pool_of(pool)->hash;
        out->distribution = memory_pool_of(pool)->distribution;
        out->hash_tag = memory_pool_of(pool)->hash_tag;
    } else {
        out->hash = blob_pool_of(pool)->hash;
        out->distribution = blob_pool_of(pool)->distribution;
        out->stalwart_names = blob_pool_of(pool)->key_transform == BLOB_KEY_STALWART;
    }
}

static enum err make_map(struct assembly *a, const struct pool_settings *pool, struct buf *why)
{
    struct shard_map_member *members = mem_new(pool->endpoint_count * sizeof(*members));
    struct shard_map_settings settings;
    enum err err;

    assembly_map_settings(pool, members, &settings);
    err = shard_map_new(&settings, &a->maps[pool->number], why);
    free(members);
    return err;
}

static struct key_rule rule_of(const struct key_match *m, uint32_t answer)
{
    static const enum key_rule_kind KINDS[] = {
        [KEY_MATCH_PREFIX] = KEY_RULE_PREFIX,
        [KEY_MATCH_FIRST_BYTE] = KEY_RULE_FIRST_BYTE,
        [KEY_MATCH_PATTERN] = KEY_RULE_PATTERN,
    };

    return (struct key_rule){
        .kind = KINDS[m->kind], .text = m->text, .low = m->low, .high = m->high, .answer = answer
    };
}

struct key_classes *assembly_sorter_new(const struct memory_pool *pool)
{
    struct key_classes *sorter;
    struct key_rule *rules;
    uint32_t count = 0;

    for (uint32_t i = 0; i < pool->class_count; i++)
        count += pool->classes[i]->match_count;
    if (count == 0)
        return NULL;
    rules = mem_new(count * sizeof(*rules));
    count = 0;
    for (uint32_t i = 0; i < pool->class_count; i++)
        for (uint32_t k = 0; k < pool->classes[i]->match_count; k++)
            rules[count++] = rule_of(&pool->classes[i]->matches[k], i);
    sorter = key_classes_new(rules, count);
    free(rules);
    return sorter;
}

static bool is_stamped(const struct pool_settings *pool)
{
    return pool->kind == POOL_MEMORY ? memory_pool_of(pool)->stamp
                                     : pool->kind == POOL_BLOB && blob_pool_of(pool)->stamp;
}

static enum err make_stamp(struct assembly *a, const struct endpoint_settings *e)
{
    struct stamp stamp;

    if (!is_stamped(e->pool))
        return ERR_NONE;
    TRY(stamp_expect(&stamp, e->pool->name, a->maps[e->pool->number], e->shard, 1));
    stamp_write(&stamp, &a->stamps[e->number]);
    return ERR_NONE;
}

struct tls_options assembly_tls_options(const struct tls_settings *t, enum tls_side side)
{
    return (struct tls_options){ .side = side,
                                 .cert_file = t->cert_file,
                                 .key_file = t->key_file,
                                 .ca_file = t->ca_file,
                                 .accept_anyone = side == TLS_CONNECT && !t->verify,
                                 .need_client_cert = t->client == TLS_CLIENT_REQUIRED,
                                 .only_tls_1_3 = t->min_version == TLS_VERSION_1_3 };
}

static enum err make_tls(struct assembly *a, struct buf *why)
{
    for (uint32_t i = 0; i < a->snapshot->endpoint_count; i++) {
        const struct tls_settings *t = &a->snapshot->endpoints[i].tls;
        struct tls_options options = assembly_tls_options(t, TLS_CONNECT);

        if (t->on)
            TRY(tls_context_new(&options, &a->endpoint_tls[i], why));
    }
    for (uint32_t i = 0; i < a->snapshot->listener_count; i++) {
        const struct tls_settings *t = &a->snapshot->listeners[i].tls;
        struct tls_options options = assembly_tls_options(t, TLS_ACCEPT);

        if (a->snapshot->listeners[i].pool->kind == POOL_SQL)
            options.protocol = "postgresql"; /* as its clients from PostgreSQL 17 on offer it */
        if (t->on)
            TRY(tls_context_new(&options, &a->listener_tls[i], why));
    }
    return ERR_NONE;
}

static enum err build(struct assembly *a, struct buf *why)
{
    const struct snapshot *s = a->snapshot;

    for (uint32_t i = 0; i < s->pool_count; i++)
        if (s->pools[i]->kind != POOL_SQL)
            TRY(make_map(a, s->pools[i], why));
    for (uint32_t i = 0; i < s->pool_count; i++)
        if (s->pools[i]->kind == POOL_MEMORY)
            a->sorters[i] = assembly_sorter_new(memory_pool_of(s->pools[i]));
    for (uint32_t i = 0; i < s->endpoint_count; i++)
        TRY(make_stamp(a, &s->endpoints[i]));
    for (uint32_t i = 0; i < s->endpoint_count; i++)
        if (s->endpoints[i].store.keys != NULL)
            a->keyrings[i] = keyring_new(s->endpoints[i].store.keys);
    return make_tls(a, why);
}

enum err assembly_new(struct snapshot *snapshot, uint32_t workers, struct assembly **out,
                      struct buf *why)
{
    struct assembly *a = mem_new(sizeof(*a));
    enum err err;

    a->refs = 1;
    a->snapshot = snapshot;
    a->maps = mem_new(snapshot->pool_count * sizeof(struct shard_map *));
    a->sorters = mem_new(snapshot->pool_count * sizeof(struct key_classes *));
    a->stamps = mem_new(snapshot->endpoint_count * sizeof(*a->stamps));
    a->endpoint_tls = mem_new(snapshot->endpoint_count * sizeof(struct tls_context *));
    a->listener_tls = mem_new(snapshot->listener_count * sizeof(struct tls_context *));
    a->keyrings = mem_new(snapshot->endpoint_count * sizeof(struct keyring *));
    a->board = board_new(snapshot->endpoint_count, snapshot->pool_count);
    a->workers = workers;
    a->tallies = mem_new(workers * sizeof(struct tally_sheet *));
    for (uint32_t i = 0; i < workers; i++)
        a->tallies[i] = tally_new(snapshot->endpoint_count);
    a->leased = mem_new(snapshot->endpoint_count * sizeof(*a->leased));
    a->wanted_us = mem_new(snapshot->endpoint_count * sizeof(*a->wanted_us));
    err = build(a, why);
    if (err != ERR_NONE)
        assembly_unref(&a);
    else
        *out = a;
    return err;
}

struct assembly *assembly_ref(struct assembly *a)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    return a;
}

void assembly_unref(struct assembly **where)
{
    struct assembly *a = *where;

    *where = NULL;
    if (a == NULL || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (uint32_t i = 0; i < a->snapshot->pool_count; i++)
        shard_map_free(&a->maps[i]);
    for (uint32_t i = 0; i < a->snapshot->pool_count; i++)
        key_classes_free(&a->sorters[i]);
    for (uint32_t i = 0; i < a->snapshot->endpoint_count; i++) {
        buf_fini(&a->stamps[i]);
        tls_context_unref(&a->endpoint_tls[i]);
    }
    for (uint32_t i = 0; i < a->snapshot->listener_count; i++)
        tls_context_unref(&a->listener_tls[i]);
    for (uint32_t i = 0; i < a->workers; i++)
        tally_free(&a->tallies[i]);
    for (uint32_t i = 0; i < a->snapshot->endpoint_count; i++)
        keyring_free(&a->keyrings[i]);
    free(a->keyrings);
    free(a->tallies);
    free(a->leased);
    free(a->wanted_us);
    board_free(&a->board);
    free(a->maps);
    free(a->sorters);
    free(a->stamps);
    free(a->endpoint_tls);
    free(a->listener_tls);
    snapshot_free(&a->snapshot);
    free(a);
}
