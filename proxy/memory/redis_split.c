/* MGET, MSET, DEL, UNLINK, EXISTS, TOUCH: once per shard with the keys that live there.  Keys that
 * all live on one shard go out as the request came. */
#include <assert.h>
#include <string.h>

#include "proxy/memory/redis_class.h"
#include "proxy/memory/redis_kinds.h"
#include "proxy/memory/redis_merge.h"

/* The words that go with one key, from its own on, as they came. */
static struct slice words_of_key(const struct redis_call *call, uint32_t key, size_t step)
{
    const struct slice *before = &call->args[key - 1], *last = &call->args[key + step - 1];
    const uint8_t *start = before->at + before->len + 2;

    return slice_of(start, (size_t)(last->at + last->len + 2 - start));
}

/* The command for one shard, written to `at`: the name, and the `step` words of each key. */
static uint8_t *put_part(uint8_t *at, struct redis_call *call, const struct redis_keys *keys,
                         const struct split_part *part, size_t step)
{
    struct slice name = call->args[0];

    at = redis_put_header(at, '*', 1 + part->count * step);
    at = redis_put_header(at, '$', name.len);
    at = mempcpy(mempcpy(at, name.at, name.len), "\r\n", 2);
    for (uint32_t i = 0; i < part->count; i++) {
        struct slice words = words_of_key(call, keys->at[part->keys[i]], step);

        at = mempcpy(at, words.at, words.len);
    }
    return at;
}

/* The commands of all parts, in one piece: the words of all keys, and what begins each part. */
static void put_parts(struct redis_call *call, const struct redis_keys *keys,
                      const struct split *split, size_t step)
{
    struct memory_operation *op = call->op;
    struct slice name = call->args[0];
    size_t begin =
        redis_header_bytes(1 + keys->count * step) + redis_header_bytes(name.len) + name.len + 2;
    uint8_t *start = arena_bytes(op->arena, split->count * begin + op->raw.len), *at = start;

    for (size_t i = 0; i < split->count; i++) {
        uint8_t *part = at;

        at = put_part(at, call, keys, &split->parts[i], step);
        op->parts[i].bytes = slice_of(part, (size_t)(at - part));
    }
    assert(at <= start + split->count * begin + op->raw.len);
}

/* The same of a request that did not come as words with lengths. */
static struct slice inline_part_bytes(struct redis_call *call, const struct redis_keys *keys,
                                      const struct split_part *part, size_t step)
{
    struct slice *words = arena_bytes(call->op->arena, (1 + part->count * step) * sizeof(*words));
    size_t count = 0;

    words[count++] = call->args[0];
    for (uint32_t i = 0; i < part->count; i++)
        for (size_t k = 0; k < step; k++)
            words[count++] = call->args[keys->at[part->keys[i]] + k];
    return redis_encode(call->op->arena, words, count);
}

static void add_ends(struct redis_call *call, const struct redis_keys *keys,
                     const struct split_part *split, struct memory_part *part)
{
    uint32_t *places = arena_bytes(call->op->arena, split->count * sizeof(*places));
    struct redis_ends ends;

    for (uint32_t i = 0; i < split->count; i++)
        places[i] = keys->at[split->keys[i]];
    ends = redis_class_ends(call, places, split->count);
    redis_add_ends(call->op->arena, part, &ends);
}

static void plan_parts(struct redis_call *call, const struct redis_keys *keys,
                       struct redis_note *note)
{
    struct memory_operation *op = call->op;
    size_t step = call->cmd->keys == REDIS_KEYS_PAIRS ? 2 : 1;

    op->parts = arena_new(op->arena, note->split.count * sizeof(*op->parts));
    op->part_count = (uint32_t)note->split.count;
    for (size_t i = 0; i < note->split.count; i++) {
        const struct split_part *part = &note->split.parts[i];

        op->parts[i].shard = part->shard;
        op->parts[i].replies = 1;
        if (op->is_inline)
            op->parts[i].bytes = inline_part_bytes(call, keys, part, step);
    }
    if (!op->is_inline)
        put_parts(call, keys, &note->split, step);
    for (size_t i = 0; call->leaves_no_end && i < note->split.count; i++)
        add_ends(call, keys, &note->split.parts[i], &op->parts[i]);
    op->merge = redis_merge_of(call->cmd->merge);
    op->note = note;
    op->way = MEMORY_PARTS;
}

void redis_plan_split(struct redis_call *call)
{
    struct memory_operation *op = call->op;
    struct redis_note *note;
    struct redis_keys keys;
    uint32_t *shards;
    bool one = true;

    if (!redis_call_keys(call, &keys))
        return;
    shards = arena_bytes(op->arena, (keys.count + 1) * sizeof(*shards));
    for (size_t i = 0; i < keys.count; i++) {
        shards[i] = memory_site_find(call->site, call->args[keys.at[i]]);
        one = one && shards[i] == shards[0];
    }
    if (one) {
        redis_plan_one(call, shards[0], redis_call_bytes(call));
        return;
    }
    note = redis_note_new(call);
    note->key_count = (uint32_t)keys.count;
    split_by_shard(op->arena, shards, keys.count, memory_site_shards(call->site), &note->split);
    plan_parts(call, &keys, note);
}
