/* flush_all and verbosity go to all shards; the first error of one is the answer, or OK. */
#include <inttypes.h>

#include "proxy/memory/memcached_front.h"
#include "proxy/wire/memcached_numeral.h"
#include "shard/stamp.h"

enum { FIRST_EPOCH = 1 };

/* Who is answered in binary. */
struct note {
    bool is_binary, is_quiet;
    uint8_t opcode;
    uint32_t opaque;
};

static struct note *note_new(struct memcached_call *call)
{
    struct note *note = arena_new(call->op->arena, sizeof(*note));

    if (call->binary != NULL)
        *note = (struct note){ true, call->binary->is_quiet, call->binary->opcode,
                               call->binary->opaque };
    return note;
}

bool memcached_flush_is_done(struct slice reply, struct slice *wrong)
{
    const struct slice ok = slice_text("OK\r\n");

    *wrong = reply;
    if (!slice_starts(reply, ok))
        return false;
    *wrong = slice_from(reply, ok.len);
    return wrong->len == 0 || slice_is_text(*wrong, "STORED\r\n") ||
           slice_is_text(*wrong, "NOT_STORED\r\n");
}

/* What a part has to say but OK; .at is NULL: nothing. */
static struct slice objection(struct memory_merge *m, uint32_t part)
{
    struct slice wrong;

    if (memcached_flush_is_done(m->parts[part].reply, &wrong))
        return (struct slice){ 0 };
    return memcached_reply_is_error(wrong) ? wrong : memcached_out_of_step(m, part);
}

static void merge_all_ok(struct memory_merge *m)
{
    const struct note *note = m->note;
    struct slice error = memcached_first_error(m);

    for (uint32_t i = 0; i < m->part_count && error.at == NULL; i++)
        error = objection(m, i);
    if (note->is_binary && error.at != NULL)
        memcached_put_error(m->out, note->opcode, note->opaque, error);
    else if (note->is_binary && !note->is_quiet)
        memcached_put_status(m->out, note->opcode, note->opaque, MEMCACHED_STATUS_OK);
    else if (!note->is_binary)
        buf_slice(m->out, error.at != NULL ? error : slice_text("OK\r\n"));
}

/* The stamp is written again at once, as upstreams that stand do not see that it went. */
static void put_stamp(const struct memory_site *site, struct memory_part *part, struct buf *bytes)
{
    const struct memory_home whose = memory_site_home(site, part->shard);
    struct stamp stamp;
    struct buf text = { 0 };

    if (stamp_expect(&stamp, whose.pool->base.name, whose.map, part->shard - whose.first_shard,
                     FIRST_EPOCH) != ERR_NONE)
        return;
    stamp_write(&stamp, &text);
    buf_format(bytes, "add " SHARD_STAMP_KEY " 0 0 %zu\r\n%.*s\r\n", text.len, (int)text.len,
               (const char *)text.at);
    part->replies = 2;
    buf_fini(&text);
}

void memcached_flush_part(const struct memory_site *site, struct arena *arena,
                          struct memory_part *part, struct slice expiry)
{
    struct buf bytes = { 0 };

    part->replies = 1;
    buf_format(&bytes, "flush_all%s%.*s\r\n", expiry.len > 0 ? " " : "", (int)expiry.len,
               (const char *)expiry.at);
    if (site->pool->stamp)
        put_stamp(site, part, &bytes);
    part->bytes = arena_copy(arena, buf_all(&bytes));
    buf_fini(&bytes);
}

void memcached_plan_flush(struct memcached_call *call, struct slice expiry)
{
    struct memory_operation *op = call->op;

    if (call->user != NULL && call->user->key_prefix_count > 0) {
        memcached_refuse(call, MEMCACHED_STATUS_NOT_LET_IN,
                         "'flush_all' reaches any key, so a user with key prefixes may not run it");
        return;
    }
    memcached_plan_all(call, (struct slice){ 0 }, merge_all_ok, note_new(call));
    for (uint32_t i = 0; i < op->part_count; i++)
        memcached_flush_part(call->site, op->arena, &op->parts[i], expiry);
    op->touches_all = call->site->sorter != NULL || call->site->marks_all_writes;
}

void memcached_plan_verbosity(struct memcached_call *call)
{
    struct buf bytes = { 0 };
    uint64_t level;

    if (!memcached_numeral_unsigned(call->text->words[1], &level)) {
        memcached_answer_text(call, MEMCACHED_BAD_FORMAT);
        return;
    }
    buf_format(&bytes, "verbosity %" PRIu64 "\r\n", level);
    memcached_plan_all(call, arena_copy(call->op->arena, buf_all(&bytes)), merge_all_ok,
                       note_new(call));
    buf_fini(&bytes);
}
