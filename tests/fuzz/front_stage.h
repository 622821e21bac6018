/* What the fuzzers of memory fronts have in common: requests are parsed and planned one after the
 * other in one session, and their parts are answered from the end of the same bytes. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "proxy/memory/memory.h"
#include "proxy/memory/value_cache.h"

enum { STAGE_SHARDS = 3, STAGE_MOST_ROUNDS = 8, STAGE_ROOM = 20 };

struct stage {
    const struct memory_front *front;
    struct slice border; /* of the input: between requests and what servers say */
    struct slice none;   /* the error of a server that has nothing to say */
    /* The length of the reply at the front of `in`; 0: it is not whole. */
    size_t (*reply_len)(struct slice in);
    void (*check_part)(const struct memory_part *part);
    bool may_be_silent;   /* a request can be answered by silence, and the session hung up on */
    bool translates;      /* servers speak another protocol than the front */
    struct slice refusal; /* then: what the front has for a part that failed */
    struct slice replies; /* what servers have yet to say */
};

static inline void must(bool condition)
{
    if (!condition)
        abort();
}

static inline struct slice stage_next_reply(struct stage *s)
{
    size_t len = s->replies.len == 0 ? 0 : s->reply_len(s->replies);
    struct slice reply = len == 0 ? s->none : slice_of(s->replies.at, len);

    s->replies = slice_from(s->replies, len);
    return reply;
}

/* All replies of one part, in one piece. */
static inline void stage_answer_part(struct stage *s, struct memory_part *part, struct arena *arena)
{
    struct buf all = { 0 };

    part->failed = s->replies.len > 0 && s->replies.at[0] == '!';
    must(part->unheard < part->replies);
    if (part->failed && s->translates)
        buf_slice(&all, s->refusal);
    else
        for (uint32_t i = 0; i < (part->failed ? 1 : part->replies - part->unheard); i++)
            buf_slice(&all, stage_next_reply(s));
    part->reply = arena_copy(arena, buf_all(&all));
    buf_fini(&all);
}

static inline void stage_carry_out(struct stage *s, struct memory_site *site,
                                   struct memory_state *state, struct memory_operation *op)
{
    struct buf out = { 0 };
    struct memory_merge m = {
        .site = site,
        .state = state,
        .note = op->note,
        .parts = op->parts,
        .part_count = op->part_count,
        .arena = op->arena,
        .out = &out,
    };

    for (int round = 0; round < STAGE_MOST_ROUNDS; round++) {
        for (uint32_t i = 0; i < m.part_count; i++) {
            must(m.parts[i].shard < memory_site_shards(site) && m.parts[i].replies > 0);
            s->check_part(&m.parts[i]);
            stage_answer_part(s, &m.parts[i], op->arena);
        }
        m.again = false;
        if (op->merge != NULL)
            op->merge(&m);
        if (!m.again)
            break;
    }
    must(op->merge == NULL || m.again || out.len > 0 || s->may_be_silent);
    buf_fini(&out);
}

static inline void stage_serve(struct stage *s, struct memory_site *site,
                               struct memory_state *state, struct slice in)
{
    struct buf answer = { 0 }, last_words = { 0 };
    enum parse parse = PARSE_DONE;

    while (parse == PARSE_DONE && in.len > 0 && !state->closes) {
        struct arena arena = { 0 };
        struct memory_operation op = { .answer = &answer, .arena = &arena, .room = STAGE_ROOM };
        size_t need = 0;

        buf_clear(&answer);
        site->now_us += in.at[in.len - 1] % 2 == 0 ? 10000000 : 1000;
        parse = s->front->parse(site, state, in, &op, &need, &last_words);
        if (parse == PARSE_DONE) {
            s->front->plan(site, state, &op);
            must(op.raw.len <= in.len); /* else it goes on beyond what there is */
            in = slice_from(in, op.raw.len);
            if (op.way == MEMORY_PARTS)
                stage_carry_out(s, site, state, &op);
            else if (op.way == MEMORY_ANSWERED)
                must(answer.len > 0 || op.silent || (state->closes && s->may_be_silent));
            else if (op.way == MEMORY_SUBSCRIBE)
                state->subscribed = true;
        } else if (parse == PARSE_BAD) {
            must(last_words.len > 0 || s->may_be_silent || op.is_inline); /* HTTP is told nothing */
        }
        arena_fini(&arena);
    }
    buf_fini(&answer);
    buf_fini(&last_words);
}

static inline struct shard_map *stage_map(void)
{
    static struct shard_map *map;
    struct shard_map_member members[STAGE_SHARDS] = { { .host = "a" },
                                                      { .host = "b" },
                                                      { .host = "c" } };
    struct buf why = { 0 };

    if (map == NULL)
        must(
            shard_map_new(&(struct shard_map_settings){ .members = members, .count = STAGE_SHARDS },
                          &map, &why) == ERR_NONE);
    buf_fini(&why);
    return map;
}

enum { STAGE_CLASSES = 5 };

/* Keys with a life, kept in the worker, on other shards, and not allowed, by their first letter. */
static inline void stage_begin_classes(struct memory_site *site, struct memory_pool *pool)
{
    static const struct key_class settings[STAGE_CLASSES] = {
        { .name = "b", .ttl_ms = 100000, .max_ttl_ms = 1000000 },
        { .name = "c", .cache_ms = 3600000 },
        { .name = "d" },
        { .name = "e", .access = KEY_ACCESS_READ_ONLY },
        { .name = "f", .ttl_ms = 1, .max_value_bytes = 3 },
    };
    static const struct key_class *list[STAGE_CLASSES];
    static struct memory_class classes[STAGE_CLASSES];
    static struct memory_home home;
    struct key_rule rules[STAGE_CLASSES];

    for (uint32_t i = 0; i < STAGE_CLASSES; i++) {
        uint8_t letter = (uint8_t)settings[i].name[0];

        rules[i] = (struct key_rule){
            .kind = KEY_RULE_FIRST_BYTE, .low = letter, .high = letter, .answer = i
        };
        list[i] = classes[i].settings = &settings[i];
    }
    home = (struct memory_home){ pool, site->map, STAGE_SHARDS };
    classes[1].cache = value_cache_new(4096);
    classes[2].home = &home;
    site->sorter = key_classes_new(rules, STAGE_CLASSES);
    site->classes = classes;
    site->homes = &home;
    site->home_count = 1;
    pool->classes = list;
    pool->class_count = STAGE_CLASSES;
}

static inline void stage_end_classes(struct memory_site *site)
{
    struct value_cache *cache = site->classes[1].cache;
    struct key_classes *sorter = (struct key_classes *)site->sorter;

    value_cache_free(&cache);
    key_classes_free(&sorter);
}

static inline int stage_run(struct stage *s, struct slice input)
{
    static struct endpoint_settings endpoints[STAGE_SHARDS];
    static struct endpoint_settings *shards[STAGE_SHARDS] = { &endpoints[0], &endpoints[1],
                                                              &endpoints[2] };
    static struct memory_pool pool = {
        .base.name = "p",
        .base.endpoints = shards,
        .base.endpoint_count = STAGE_SHARDS,
        .stamp = true,
        .databases = 4,
        .max_request_bytes = 4096,
        .base.max_session_bytes = 8192,
        .script_cache_bytes = 1000,
    };
    static const struct memory_host HOST;
    const uint8_t *border =
        input.len == 0 ? NULL : memmem(input.at, input.len, s->border.at, s->border.len);
    struct slice in = slice_of(input.at, border == NULL ? input.len : (size_t)(border - input.at));
    struct memory_site site = {
        .pool = &pool, .map = stage_map(), .host = &HOST, .idle = true, .now_us = 1
    };
    struct memory_state *state = calloc(1, s->front->state_size);

    must(state != NULL);
    site.translates = s->translates;
    stage_begin_classes(&site, &pool);
    site.shared = s->front->shared_new(&pool);
    s->replies = border == NULL ? slice_of("", 0) : slice_from(input, in.len + s->border.len);
    s->front->begin(&site, state);
    stage_serve(s, &site, state, in);
    s->front->end(state);
    s->front->shared_free(site.shared);
    stage_end_classes(&site);
    free(state);
    return 0;
}
