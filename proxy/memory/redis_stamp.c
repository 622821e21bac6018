/* The stamp that a shard carries under SHARD_STAMP_KEY is the pool's, not its clients': SCAN, KEYS,
 * RANDOMKEY and DBSIZE do not show it, and FLUSHALL and FLUSHDB write it again in the same piece of
 * bytes, so that there is no moment in which another proxy would find the shard unmarked. */
#include "proxy/memory/redis_stamp.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/memory/redis_kinds.h"
#include "proxy/memory/redis_merge.h"
#include "proxy/wire/resp_reader.h"
#include "shard/scan_cursor.h"
#include "shard/stamp.h"

enum { FIRST_EPOCH = 1 };

static bool must_hide(struct redis_call *call)
{
    return redis_has_stamp(call->site, &call->session->base);
}

/* What must not be seen in a list of keys: the stamp, and what the user may not touch. */
static void hide(struct redis_call *call, struct redis_note *note)
{
    const struct user_settings *user = call->user;
    struct slice *prefixes;

    note->hide_stamp = must_hide(call);
    if (user == NULL || user->key_prefix_count == 0)
        return;
    prefixes = arena_new(call->op->arena, user->key_prefix_count * sizeof(*prefixes));
    for (uint32_t i = 0; i < user->key_prefix_count; i++)
        prefixes[i] = arena_copy(call->op->arena, user->key_prefixes[i]);
    note->prefixes = prefixes;
    note->prefix_count = user->key_prefix_count;
}

/* True: answered, for this user has keys of his own only. */
static bool is_bound(struct redis_call *call)
{
    if (call->user == NULL || call->user->key_prefix_count == 0)
        return false;
    redis_error(call, "NOPERM '%s' reaches any key, so a user with key prefixes may not run it",
                call->cmd->name);
    return true;
}

/* They go step by step, and what the session asks next must not be done meanwhile. */
static bool has_shards_on_disks(const struct memory_site *site)
{
    for (uint32_t i = 0; i < memory_site_shards(site); i++)
        if (memory_site_endpoint(site, i)->store_path != NULL)
            return true;
    return false;
}

void redis_stamp_plan_keys(struct redis_call *call)
{
    struct redis_note *note = redis_note_new(call);

    hide(call, note);
    redis_plan_all(call, redis_call_bytes(call), 1, redis_merge_of(REDIS_MERGE_CONCAT), note);
    call->op->alone |= has_shards_on_disks(call->site);
}

/* Each part's replies are DBSIZE's and EXISTS': the difference counts. */
static void merge_dbsize(struct memory_merge *m)
{
    int64_t sum = 0;

    if (redis_merge_failed(m))
        return;
    for (uint32_t i = 0; i < m->part_count; i++) {
        struct resp_reader reader = { m->parts[i].reply };
        struct resp_item all, stamps;

        if (resp_read(&reader, &all) != ERR_NONE || resp_read(&reader, &stamps) != ERR_NONE) {
            redis_merge_out_of_step(m);
            return;
        }
        sum += all.integer - (stamps.type == ':' ? stamps.integer : 0);
    }
    resp_put_integer(m->out, sum);
}

void redis_stamp_plan_dbsize(struct redis_call *call)
{
    const char *exists[] = { "EXISTS", SHARD_STAMP_KEY, NULL };
    struct arena *arena = call->op->arena;

    if (!must_hide(call)) {
        redis_plan_all(call, redis_call_bytes(call), 1, redis_merge_of(REDIS_MERGE_SUM),
                       redis_note_new(call));
        return;
    }
    redis_plan_all(call,
                   redis_join(arena, redis_call_bytes(call), redis_encode_texts(arena, exists)), 2,
                   merge_dbsize, redis_note_new(call));
}

/* Of one shard's replies the first that is a key of the clients. */
static bool find_random_key(const struct memory_part *part, bool hide_stamp, struct slice *key,
                            bool *saw_stamp)
{
    struct resp_reader reader = { part->reply };
    struct resp_item item;

    *saw_stamp = false;
    while (reader.in.len > 0 && resp_read(&reader, &item) == ERR_NONE) {
        if (item.type != '$' || item.is_null)
            continue;
        if (!hide_stamp || !redis_is_stamp_key(item.text)) {
            *key = item.text;
            return true;
        }
        *saw_stamp = true;
    }
    return false;
}

/* How often a shard that drew its stamp draws again, in one piece: with one other key there, all
 * are the stamp once in 2^TRIES. */
enum { TRIES = 20 };

static void draw_again(struct memory_merge *m)
{
    struct memory_part *part = &m->parts[0];
    const char *texts[] = { "RANDOMKEY", NULL };
    struct buf many = { 0 };
    struct slice one = redis_encode_texts(m->arena, texts);

    for (int i = 0; i < TRIES; i++)
        buf_slice(&many, one);
    part->bytes = arena_copy(m->arena, buf_all(&many));
    part->replies = TRIES;
    buf_fini(&many);
    m->again = true;
}

static void merge_randomkey(struct memory_merge *m)
{
    struct redis_note *note = m->note;
    struct memory_part *part = &m->parts[0];
    const char *texts[] = { "RANDOMKEY", NULL };
    struct slice key;
    bool saw_stamp;

    if (redis_merge_failed(m))
        return;
    if (find_random_key(part, note->hide_stamp, &key, &saw_stamp)) {
        resp_put_bulk(m->out, key);
    } else if (saw_stamp && part->replies == 1 && redis_merge_has_shard(m, 0)) {
        draw_again(m);
    } else if (++note->round < memory_site_shards(m->site)) {
        part->shard = (part->shard + 1) % memory_site_shards(m->site);
        part->bytes = redis_encode_texts(m->arena, texts);
        part->replies = 1;
        m->again = true;
    } else {
        resp_put_null(m->out, note->version);
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

void redis_stamp_plan_randomkey(struct redis_call *call)
{
    struct redis_shared *shared = redis_shared_of(call->site);
    uint32_t shard = (uint32_t)(next_random(&shared->random) % memory_site_shards(call->site));
    struct memory_operation *op = call->op;
    struct redis_note *note;

    if (is_bound(call))
        return;
    note = redis_note_new(call);
    note->hide_stamp = must_hide(call);
    redis_plan_one(call, shard, redis_call_bytes(call));
    op->parts = arena_new(op->arena, sizeof(*op->parts));
    *op->parts = op->one;
    op->merge = merge_randomkey;
    op->note = note;
}

/* The first reply is the flush's own; an error among the others says that the stamp is not back. */
static void merge_flush(struct memory_merge *m)
{
    for (uint32_t i = 0; i < m->part_count; i++) {
        struct resp_reader reader = { m->parts[i].reply };
        struct slice first, other;

        if (m->parts[i].failed || resp_read_skip(&reader, &first) != ERR_NONE)
            continue;
        while (first.at[0] != '-' && resp_read_skip(&reader, &other) == ERR_NONE)
            if (other.at[0] == '-')
                first = other;
        m->parts[i].reply = first;
    }
    redis_merge_of(REDIS_MERGE_ALL_OK)(m);
}

static void put_select(struct buf *out, uint32_t database)
{
    char number[16];
    int len = snprintf(number, sizeof(number), "%" PRIu32, database);
    struct slice words[] = { slice_text("SELECT"), slice_of(number, (size_t)len) };

    resp_put_command(out, words, 2);
}

/* Writes the shard's stamp in its own database, and comes back to the session's. */
static bool put_stamp(struct redis_call *call, uint32_t shard, struct buf *out, uint32_t *replies)
{
    const struct memory_home whose = memory_site_home(call->site, shard);
    uint32_t index = shard - whose.first_shard;
    uint32_t home = whose.pool->base.endpoints[index]->database;
    uint32_t here = call->session->base.database;
    struct buf text = { 0 };
    struct slice words[] = { slice_text("SET"), slice_text(SHARD_STAMP_KEY), { 0 } };
    struct stamp stamp;

    if (stamp_expect(&stamp, whose.pool->base.name, whose.map, index, FIRST_EPOCH) != ERR_NONE)
        return false;
    if (here != 0)
        put_select(out, home);
    stamp_write(&stamp, &text);
    words[2] = buf_all(&text);
    resp_put_command(out, words, 3);
    buf_fini(&text);
    if (here != 0)
        put_select(out, home + here);
    *replies = here != 0 ? 3 : 1;
    return true;
}

void redis_stamp_plan_flush(struct redis_call *call)
{
    struct memory_operation *op = call->op;
    bool all = strcmp(call->cmd->name, "flushall") == 0;
    struct slice bytes = redis_call_bytes(call);

    if (is_bound(call))
        return;
    redis_plan_all(call, bytes, 1, merge_flush, redis_note_new(call));
    if (!call->site->pool->stamp || (!all && call->session->base.database != 0))
        return;
    for (uint32_t i = 0; i < op->part_count; i++) {
        struct buf stamp = { 0 };
        uint32_t replies = 0;

        if (put_stamp(call, i, &stamp, &replies))
            op->parts[i].bytes = redis_join(op->arena, bytes, buf_all(&stamp));
        op->parts[i].replies += replies;
        buf_fini(&stamp);
    }
}

static void merge_scan(struct memory_merge *m)
{
    struct redis_note *note = m->note;
    struct resp_reader reader = { m->parts[0].reply };
    struct resp_item outer, cursor, inner;
    uint64_t server, next;
    struct slice *keys;
    size_t count;
    char number[24];

    if (redis_merge_failed(m))
        return;
    if (!redis_merge_has_shard(m, 0) || resp_read(&reader, &outer) != ERR_NONE ||
        outer.type != '*' || outer.count != 2 || resp_read(&reader, &cursor) != ERR_NONE ||
        !slice_to_u64(cursor.text, &server) || resp_read(&reader, &inner) != ERR_NONE ||
        inner.type != '*' ||
        scan_cursor_next(m->parts[0].shard, server, memory_site_shards(m->site), &next) !=
            ERR_NONE) {
        redis_merge_out_of_step(m);
        return;
    }
    count = inner.count;
    keys = arena_new(m->arena, (count + 1) * sizeof(*keys));
    for (size_t i = 0; i < count; i++)
        if (resp_read_skip(&reader, &keys[i]) != ERR_NONE) {
            redis_merge_out_of_step(m);
            return;
        }
    count = redis_merge_drop_hidden(note, keys, count);
    resp_put_array(m->out, 2);
    snprintf(number, sizeof(number), "%" PRIu64, next);
    resp_put_bulk_text(m->out, number);
    resp_put_array(m->out, count);
    for (size_t i = 0; i < count; i++)
        buf_slice(m->out, keys[i]);
}

void redis_plan_scan(struct redis_call *call)
{
    struct memory_operation *op = call->op;
    struct redis_note *note;
    struct scan_cursor cursor;
    struct slice *words;
    uint64_t told;
    char *number;

    if (!slice_to_u64(call->args[1], &told) ||
        scan_cursor_decode(told, memory_site_shards(call->site), &cursor) != ERR_NONE) {
        redis_error(call, "ERR invalid cursor");
        return;
    }
    number = arena_new(op->arena, 24);
    snprintf(number, 24, "%" PRIu64, cursor.server);
    words = arena_new(op->arena, call->count * sizeof(*words));
    memcpy(words, call->args, call->count * sizeof(*words));
    words[1] = slice_text(number);
    redis_plan_one(call, cursor.shard, redis_encode(op->arena, words, call->count));
    note = redis_note_new(call);
    hide(call, note);
    op->merge = merge_scan;
    op->note = note;
}
