/* Commands that name another database: COPY, MOVE, SWAPDB.  A pool's databases count from the one
 * in the endpoint's URL, so the number that goes out is that of each shard's server; and database 0
 * has the stamp, which is not to be overwritten from another one. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/memory/redis_class.h"
#include "proxy/memory/redis_kinds.h"
#include "proxy/memory/redis_merge.h"
#include "proxy/memory/verbs_call.h"

#define NO_DATABASE UINT32_MAX

/* The pool's database that the word names; NO_DATABASE: none that it has. */
static uint32_t database_of(struct redis_call *call, struct slice word)
{
    int64_t database;

    if (!verb_integer(word, &database) || database < 0 || database >= call->site->pool->databases)
        return NO_DATABASE;
    return (uint32_t)database;
}

/* The word as the shard's server must hear it: errors are for it to tell, in their time and words.
 */
static struct slice translate(struct redis_call *call, uint32_t shard, struct slice word)
{
    uint32_t database = database_of(call, word);
    int64_t number;
    char *text;
    int len;

    if (!verb_integer(word, &number) || number != (int32_t)number)
        return word;
    text = arena_bytes(call->op->arena, 16);
    len = snprintf(text, 16, "%" PRIu32,
                   database == NO_DATABASE
                       ? (uint32_t)INT32_MAX /* no server has as many */
                       : memory_site_endpoint(call->site, shard)->database + database);
    return slice_of(text, (size_t)len);
}

static bool replace(struct redis_call *call, uint32_t shard, struct slice key, struct slice *word)
{
    if (call->site->pool->stamp && database_of(call, *word) == 0 && redis_is_stamp_key(key)) {
        redis_error_of_stamp(call);
        return false;
    }
    *word = translate(call, shard, *word);
    return true;
}

/* What follows a COPY to another database: there its key is, and may have no end. */
static void follow(struct redis_call *call, uint32_t shard, struct slice database)
{
    static const uint32_t COPIED[] = { 2 };
    struct arena *arena = call->op->arena;
    struct redis_ends ends = redis_class_ends(call, COPIED, 1);
    struct slice there[] = { slice_text("SELECT"), database };
    struct slice back[] = { slice_text("SELECT"), { 0 } };
    char *number;

    call->ends = ends;
    if (ends.count == 0)
        return;
    number = arena_bytes(arena, 16);
    back[1] = slice_of(number, (size_t)snprintf(number, 16, "%" PRIu32,
                                                memory_site_endpoint(call->site, shard)->database +
                                                    call->session->base.database));
    call->ends.count += 2;
    call->ends.bytes = redis_join(arena, redis_encode(arena, there, 2),
                                  redis_join(arena, ends.bytes, redis_encode(arena, back, 2)));
}

/* Options as the server reads them, up to one that it does not know. */
static bool replace_in_copy(struct redis_call *call, uint32_t shard, struct slice *words)
{
    for (size_t i = 3; i < call->count; i++) {
        if (slice_is_word(words[i], "replace"))
            continue;
        if (!slice_is_word(words[i], "db") || i + 1 == call->count)
            break;
        if (!replace(call, shard, words[2], &words[++i]))
            return false;
        if (call->leaves_no_end)
            follow(call, shard, words[i]);
    }
    return true;
}

bool redis_database_words(struct redis_call *call, uint32_t shard, const struct slice **words)
{
    struct slice *own = arena_new(call->op->arena, call->count * sizeof(*own));

    memcpy(own, call->args, call->count * sizeof(*own));
    *words = own;
    if (strcmp(call->cmd->name, "move") == 0)
        return replace(call, shard, own[1], &own[2]);
    return replace_in_copy(call, shard, own);
}

void redis_plan_database(struct redis_call *call)
{
    const struct slice *words;
    struct redis_keys keys;
    size_t count;
    uint32_t shard;

    if (!redis_call_keys(call, &keys) || !redis_call_shard(call, &keys, &shard) ||
        !redis_database_words(call, shard, &words))
        return;
    count = call->count;
    redis_call_guard(call, &words, &count);
    redis_plan_one(call, shard, redis_encode(call->op->arena, words, count));
}

void redis_plan_swapdb(struct redis_call *call)
{
    struct memory_operation *op = call->op;
    uint32_t first = database_of(call, call->args[1]), second = database_of(call, call->args[2]);

    if (call->site->pool->stamp && first != second && (first == 0 || second == 0)) {
        redis_error(call, "ERR database 0 has the pool's own mark on each shard and can't be "
                          "swapped, unless stamp = no is set");
        return;
    }
    redis_plan_all(call, redis_call_bytes(call), 1, redis_merge_of(call->cmd->merge),
                   redis_note_new(call));
    for (uint32_t i = 0; i < op->part_count; i++) {
        struct slice words[] = { call->args[0], translate(call, i, call->args[1]),
                                 translate(call, i, call->args[2]) };

        op->parts[i].bytes = redis_encode(op->arena, words, 3);
    }
}
