/* MGET, MSET, DEL, UNLINK, EXISTS, TOUCH: once per shard with the keys that live there.  Keys that
 * all live on one shard go out as the request came. */
#include <string.h>

#include "proxy/memory/redis_kinds.h"
#include "proxy/memory/redis_merge.h"

/* The command for one shard: the name, and of each of its keys the `step` words. */
static struct slice part_bytes(struct redis_call *call, const struct redis_keys *keys,
                               const struct split_part *part, size_t step, struct slice *words)
{
    size_t count = 0;

    words[count++] = call->args[0];
    for (uint32_t i = 0; i < part->count; i++)
        for (size_t k = 0; k < step; k++)
            words[count++] = call->args[keys->at[part->keys[i]] + k];
    return redis_encode(call->op->arena, words, count);
}

static void plan_parts(struct redis_call *call, const struct redis_keys *keys,
                       struct redis_note *note)
{
    struct memory_operation *op = call->op;
    size_t step = call->cmd->keys == REDIS_KEYS_PAIRS ? 2 : 1;
    struct slice *words = arena_new(op->arena, call->count * sizeof(*words));

    op->parts = arena_new(op->arena, note->split.count * sizeof(*op->parts));
    op->part_count = (uint32_t)note->split.count;
    for (size_t i = 0; i < note->split.count; i++) {
        const struct split_part *part = &note->split.parts[i];

        op->parts[i].shard = part->shard;
        op->parts[i].replies = 1;
        op->parts[i].bytes = part_bytes(call, keys, part, step, words);
    }
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
    shards = arena_new(op->arena, (keys.count + 1) * sizeof(*shards));
    for (size_t i = 0; i < keys.count; i++) {
        shards[i] = shard_map_find(call->site->map, call->args[keys.at[i]]).shard;
        one = one && shards[i] == shards[0];
    }
    if (one) {
        redis_plan_one(call, shards[0], redis_call_bytes(call));
        return;
    }
    note = redis_note_new(call);
    note->key_count = (uint32_t)keys.count;
    split_by_shard(op->arena, shards, keys.count, shard_map_count(call->site->map), &note->split);
    plan_parts(call, &keys, note);
}
