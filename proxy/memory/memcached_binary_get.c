/* Binary gets of keys that are words, as `gets` of text: unlike `mg` it leaves to meta clients what
 * is theirs alone, the right to renew a stale value.
 *
 * Many keys are asked for by a row of quiet gets, ended by a command that is answered.  As many of
 * them as are there, and as the session may have under way, become one operation, and each shard is
 * asked once for all of its keys. */
#include <string.h>

#include "proxy/memory/memcached_front.h"
#include "proxy/wire/memcached_meta.h"

enum { ROW_MOST = 64 };

/* How one of them is answered. */
struct asked {
    uint8_t opcode;
    bool is_quiet, gives_key;
    uint32_t opaque;
};

struct note {
    const uint32_t *part; /* of each key */
    uint32_t count;
    struct asked asked[];
};

struct row {
    uint32_t count;
    struct slice keys[ROW_MOST];
    uint32_t shards[ROW_MOST];
    struct asked asked[ROW_MOST];
};

/* ---- replies ---- */

static void answer_next(struct memcached_cursor *c, const struct asked *asked, struct buf *out)
{
    static const struct slice NO_KEY = { 0 };
    struct memcached_row row;
    struct slice key = NO_KEY;

    if (memcached_cursor_next(c, &key, &row))
        memcached_put_value(out, asked->opcode, asked->opaque, row.flags, row.cas,
                            asked->gives_key ? key : NO_KEY, row.value);
    else if (memcached_reply_is_error(c->rows))
        memcached_put_error(out, asked->opcode, asked->opaque, c->rows);
    else if (!asked->is_quiet)
        memcached_put_miss(out, asked->opcode, asked->opaque, asked->gives_key ? key : NO_KEY);
}

static void answer_all(struct memory_merge *m, struct memcached_cursor *cursors)
{
    const struct note *note = m->note;

    for (uint32_t i = 0; i < m->part_count; i++)
        cursors[i] = memcached_cursor_of(&m->parts[i], 1);
    for (uint32_t i = 0; i < note->count; i++)
        answer_next(&cursors[note->part[i]], &note->asked[i], m->out);
}

/* A part whose rows are not those that it asked for is wrong as a whole. */
static bool all_are_in_step(struct memory_merge *m, const struct memcached_cursor *cursors)
{
    bool are = true;

    for (uint32_t i = 0; i < m->part_count; i++)
        if (!slice_is_text(cursors[i].rows, "END\r\n") &&
            !memcached_reply_is_error(cursors[i].rows)) {
            m->parts[i].reply = memcached_out_of_step(m, i);
            are = false;
        }
    return are;
}

static void merge_gets(struct memory_merge *m)
{
    struct memcached_cursor *cursors = arena_new(m->arena, m->part_count * sizeof(*cursors));
    size_t begin = m->out->len;

    answer_all(m, cursors);
    if (all_are_in_step(m, cursors))
        return;
    m->out->len = begin;
    answer_all(m, cursors);
}

/* ---- planning ---- */

static void add(struct row *row, const struct memcached_binary_request *r, uint32_t shard)
{
    row->keys[row->count] = r->key;
    row->shards[row->count] = shard;
    row->asked[row->count++] = (struct asked){ .opcode = r->opcode,
                                               .is_quiet = r->is_quiet,
                                               .gives_key = r->loud == MEMCACHED_BINARY_GETK,
                                               .opaque = r->opaque };
}

/* The key's shard.  False: it is not to be had, as will be answered in its turn. */
static bool place_quietly(struct memcached_call *call, struct slice key, uint32_t *shard)
{
    struct memory_operation before = *call->op;

    if (memcached_place(call, key, shard))
        return true;
    buf_clear(before.answer);
    *call->op = before;
    return false;
}

/* More quiet gets, as far as they are there. */
static void take_more(struct memcached_call *call, struct row *row)
{
    uint32_t most = call->op->room < ROW_MOST ? call->op->room : ROW_MOST, shard;
    struct slice behind = memcached_shared_of(call->site)->behind;
    struct memcached_binary_request r;
    size_t need;

    while (row->count < most &&
           memcached_binary_parse(behind, MEMCACHED_KEY_BYTES, &r, &need) == PARSE_DONE &&
           r.is_quiet && r.is_well_formed && r.skip == 0 &&
           (r.loud == MEMCACHED_BINARY_GET || r.loud == MEMCACHED_BINARY_GETK) &&
           memcached_key_is_word(r.key) && place_quietly(call, r.key, &shard)) {
        add(row, &r, shard);
        call->op->raw.len += r.len;
        behind = slice_from(behind, r.len);
    }
}

static void plan_parts(struct memcached_call *call, const struct row *row, struct note *note)
{
    static const uint32_t FIRST[] = { 0 };
    const struct slice gets = slice_text("gets");
    struct memory_operation *op = call->op;
    struct split split;

    if (row->count == 1) {
        const struct split_part only = { row->shards[0], 1, FIRST };

        note->part = FIRST;
        memcached_plan_one(call, row->shards[0],
                           memcached_keys_line(op->arena, &gets, 1, &only, row->keys));
        return;
    }
    split_by_shard(op->arena, row->shards, row->count, memory_site_shards(call->site), &split);
    note->part = split.part;
    op->part_count = (uint32_t)split.count;
    op->parts = arena_new(op->arena, op->part_count * sizeof(*op->parts));
    for (uint32_t i = 0; i < op->part_count; i++)
        op->parts[i] = (struct memory_part){
            .shard = split.parts[i].shard,
            .replies = 1,
            .bytes = memcached_keys_line(op->arena, &gets, 1, &split.parts[i], row->keys),
        };
    op->way = MEMORY_PARTS;
}

void memcached_plan_binary_get(struct memcached_call *call)
{
    const struct memcached_binary_request *r = call->binary;
    struct memory_operation *op = call->op;
    struct row row;
    struct note *note;
    uint32_t shard;

    row.count = 0;
    if (!memcached_place(call, r->key, &shard))
        return;
    add(&row, r, shard);
    if (r->is_quiet)
        take_more(call, &row);
    note = arena_new(op->arena, sizeof(*note) + row.count * sizeof(note->asked[0]));
    note->count = row.count;
    memcpy(note->asked, row.asked, row.count * sizeof(note->asked[0]));
    op->key = r->key;
    op->reads = row.count;
    op->merge = merge_gets;
    op->note = note;
    memcached_miss_if_down(call, "END\r\n");
    plan_parts(call, &row, note);
}
