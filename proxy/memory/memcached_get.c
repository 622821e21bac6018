/* get, gets, gat, gats.  Keys that all live on one shard go out as the request came; else each
 * shard is asked once, for its own keys, and the rows are put together in the order of all. */
#include <assert.h>
#include <string.h>

#include "proxy/memory/memcached_front.h"

struct note {
    struct split split;
    uint32_t key_count;
    uint32_t words_before; /* of each part's request, before its keys */
};

/* ---- merging ---- */

struct memcached_cursor memcached_cursor_of(const struct memory_part *part, uint32_t words_before)
{
    struct memcached_cursor c = { slice_of(part->bytes.at, part->bytes.len - 2), part->reply };
    struct slice word;

    for (uint32_t i = 0; i < words_before; i++)
        (void)memcached_next_word(&c.keys, &word);
    return c;
}

bool memcached_cursor_next(struct memcached_cursor *c, struct slice *key, struct memcached_row *row)
{
    struct slice rest = c->rows;

    if (!memcached_next_word(&c->keys, key) || memcached_row_read(&rest, row) != ERR_NONE ||
        !slice_is(row->key, *key))
        return false;
    c->rows = rest;
    return true;
}

static void merge_rows(struct memory_merge *m)
{
    const struct note *note = m->note;
    struct slice error = memcached_first_error(m), key;
    struct memcached_cursor *cursors;
    struct memcached_row row;
    size_t begin = m->out->len;

    if (error.at != NULL) {
        buf_slice(m->out, error);
        return;
    }
    cursors = arena_new(m->arena, m->part_count * sizeof(*cursors));
    for (uint32_t i = 0; i < m->part_count; i++)
        cursors[i] = memcached_cursor_of(&m->parts[i], note->words_before);
    for (uint32_t k = 0; k < note->key_count; k++)
        if (memcached_cursor_next(&cursors[note->split.part[k]], &key, &row))
            buf_slice(m->out, row.raw);
    for (uint32_t i = 0; i < m->part_count; i++)
        if (!slice_is_text(cursors[i].rows, "END\r\n")) {
            m->out->len = begin;
            memcached_put_out_of_step(m, i, m->out);
            return;
        }
    buf_put(m->out, "END\r\n", 5);
}

/* ---- planning ---- */

struct slice memcached_keys_line(struct arena *arena, const struct slice *words,
                                 uint32_t word_count, const struct split_part *part,
                                 const struct slice *keys)
{
    size_t size = 2;
    uint8_t *bytes, *at;

    for (uint32_t i = 0; i < word_count; i++)
        size += words[i].len + (i > 0);
    for (uint32_t i = 0; i < part->count; i++)
        size += 1 + keys[part->keys[i]].len;
    at = bytes = arena_bytes(arena, size);
    for (uint32_t i = 0; i < word_count; i++) {
        if (i > 0)
            *at++ = ' ';
        at = mempcpy(at, words[i].at, words[i].len);
    }
    for (uint32_t i = 0; i < part->count; i++) {
        struct slice key = keys[part->keys[i]];

        *at++ = ' ';
        at = mempcpy(at, key.at, key.len);
    }
    at = mempcpy(at, "\r\n", 2);
    assert((size_t)(at - bytes) == size);
    return slice_of(bytes, size);
}

static void plan_parts(struct memcached_call *call, struct note *note, const struct slice *keys)
{
    struct memory_operation *op = call->op;

    op->part_count = (uint32_t)note->split.count;
    op->parts = arena_new(op->arena, op->part_count * sizeof(*op->parts));
    for (uint32_t i = 0; i < op->part_count; i++)
        op->parts[i] = (struct memory_part){
            .shard = note->split.parts[i].shard,
            .replies = 1,
            .bytes = memcached_keys_line(op->arena, call->text->words, call->text->word_count,
                                         &note->split.parts[i], keys),
        };
    op->merge = merge_rows;
    op->note = note;
    op->way = MEMORY_PARTS;
}

static void plan_many(struct memcached_call *call, struct slice bytes)
{
    const struct memcached_text_request *r = call->text;
    struct memory_operation *op = call->op;
    uint32_t count = memcached_count_words(r->keys);
    struct slice *keys = arena_bytes(op->arena, count * sizeof(*keys));
    uint32_t *shards = arena_bytes(op->arena, count * sizeof(*shards));
    struct slice rest = r->keys;
    struct note *note;
    bool one = true;

    for (uint32_t i = 0; i < count; i++) {
        (void)memcached_next_word(&rest, &keys[i]);
        if (!memcached_place(call, keys[i], &shards[i]))
            return;
        one = one && shards[i] == shards[0];
    }
    if (one) {
        memcached_plan_one(call, shards[0], bytes);
        return;
    }
    note = arena_new(op->arena, sizeof(*note));
    note->key_count = count;
    note->words_before = r->word_count;
    split_by_shard(op->arena, shards, count, memory_site_shards(call->site), &note->split);
    plan_parts(call, note, keys);
}

/* Of gat: the time that the classes of all its keys allow. */
static struct slice limited_time(struct memcached_call *call)
{
    const struct memcached_text_request *r = call->text;
    struct slice rest = r->keys, key, time = r->words[1];

    while (memcached_next_word(&rest, &key))
        (void)memcached_class_limit(call, memcached_class_of(call, key), time, &time);
    return time;
}

/* The request's bytes with such a time, in the arena; the call's words have it, too. */
static struct slice limit_time(struct memcached_call *call)
{
    const struct memcached_text_request *r = call->text;
    struct slice time;
    struct memcached_text_request *own;
    size_t place = (size_t)(r->words[1].at - r->line.at);

    if (call->site->sorter == NULL || r->word_count < 2)
        return call->bytes;
    time = limited_time(call);
    if (time.at == r->words[1].at)
        return call->bytes;
    own = arena_new(call->op->arena, sizeof(*own));
    *own = *r;
    own->words[1] = time;
    call->text = own;
    return memcached_splice(call, call->bytes, place, r->words[1].len, time);
}

void memcached_plan_get(struct memcached_call *call)
{
    const struct memcached_text_request *r = call->text;
    struct slice bytes;
    uint32_t shard;

    call->op->key = r->key;
    memcached_miss_if_down(call, "END\r\n");
    bytes = limit_time(call);
    if (r->key.len < r->keys.len) {
        plan_many(call, bytes);
        return;
    }
    if (!memcached_place(call, r->key, &shard) || memcached_cache_answers(call))
        return;
    memcached_plan_one(call, shard, bytes);
    memcached_cache_fill(call);
}
