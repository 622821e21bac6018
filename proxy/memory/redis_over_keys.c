/* What one meta command says.  See redis_over.h. */
#include <inttypes.h>
#include <string.h>

#include "proxy/memory/redis_cache.h"
#include "proxy/memory/redis_class.h"
#include "proxy/memory/redis_merge.h"
#include "proxy/memory/redis_over.h"
#include "proxy/memory/verbs_call.h"
#include "proxy/wire/memcached_meta.h"

struct note {
    enum redis_over_way way;
    enum resp_version version;
    bool in_milliseconds;
    bool as_integer;    /* a SET that answers 1 or 0: SETNX */
    uint32_t key_count; /* of those that name many, as the next */
    struct split split;
    const struct redis_command *cmd;
    const struct value_fill *fill; /* NULL: the value is not kept */
};

static struct note *note_new(struct redis_call *call, enum redis_over_way way)
{
    struct note *note = arena_new(call->op->arena, sizeof(*note));

    note->way = way;
    note->version = redis_version(call);
    note->cmd = call->cmd;
    return note;
}

static const char MISS[] = "EN\r\n";

static void miss_if_down(struct redis_call *call)
{
    if (call->site->pool->on_shard_down == ON_SHARD_DOWN_MISS)
        call->op->instead = slice_text(MISS);
}

static void plan_one(struct redis_call *call, uint32_t shard, const struct buf *line,
                     memory_merge_f *merge, struct note *note)
{
    redis_plan_one(call, shard, buf_all(line));
    call->op->merge = merge;
    call->op->note = note;
}

/* ---- GET, STRLEN, TYPE, TTL ---- */

/* What a key that is there is answered with; false: an error. */
static bool put_hit(const struct note *note, const struct memcached_reply *reply, struct buf *out)
{
    bool is_length = note->way == REDIS_OVER_LENGTH;
    int64_t number;

    if (note->way == REDIS_OVER_TYPE) {
        buf_text(out, "+string\r\n");
        return true;
    }
    if (note->way == REDIS_OVER_GET) {
        if (reply->has_value)
            resp_put_bulk(out, reply->value);
        return reply->has_value;
    }
    if (!slice_to_i64(memcached_reply_flag(reply, is_length ? 's' : 't'), &number) ||
        number > UINT32_MAX)
        return false;
    resp_put_integer(out, number > 0 && note->in_milliseconds ? number * 1000 : number);
    return true;
}

static void put_miss(const struct note *note, struct buf *out)
{
    if (note->way == REDIS_OVER_TYPE)
        buf_text(out, "+none\r\n");
    else if (note->way == REDIS_OVER_GET)
        resp_put_null(out, note->version);
    else
        resp_put_integer(out, note->way == REDIS_OVER_LENGTH ? 0 : -2);
}

/* What a look at one key is answered with; false: an error. */
static bool put_look(const struct note *note, const struct memcached_reply *reply, struct buf *out)
{
    if (slice_is_text(reply->code, "HD") || reply->has_value)
        return put_hit(note, reply, out);
    if (!slice_is_text(reply->code, "EN"))
        return false;
    put_miss(note, out);
    return true;
}

static void merge_look(struct memory_merge *m)
{
    const struct memory_part *part = &m->parts[0];
    const struct note *note = m->note;
    struct memcached_reply reply;
    size_t begin = m->out->len;

    if (redis_over_failed(part))
        buf_slice(m->out, part->reply);
    else if (memcached_reply_read(part->reply, &reply) != ERR_NONE ||
             !put_look(note, &reply, m->out))
        redis_over_put_error(m, 0, part->reply);
    else if (note->fill != NULL && reply.has_value)
        value_fill_keep_s(note->fill, m->site, slice_from(buf_all(m->out), begin),
                          memcached_reply_flag(&reply, 't'));
}

void redis_over_plan_look(struct redis_call *call, enum redis_over_way way)
{
    struct note *note = note_new(call, way);
    struct buf line = redis_over_line(call->op->arena, 0);
    struct slice key;
    uint32_t shard;

    if (!redis_over_place(call, &key, &shard))
        return;
    if (way == REDIS_OVER_GET && redis_cache_answers(call))
        return;
    if (way == REDIS_OVER_GET)
        note->fill = redis_cache_fill_new(call);
    note->in_milliseconds = call->cmd->name[0] == 'p';
    memcached_put_meta(&line, "mg", key);
    buf_text(&line, note->fill != NULL         ? " v t\r\n"
                    : way == REDIS_OVER_GET    ? " v\r\n"
                    : way == REDIS_OVER_LENGTH ? " s\r\n"
                    : way == REDIS_OVER_TTL    ? " t\r\n"
                                               : "\r\n");
    miss_if_down(call);
    plan_one(call, shard, &line, merge_look, note);
}

void redis_over_plan_get(struct redis_call *call)
{
    redis_over_plan_look(call, REDIS_OVER_GET);
}

/* ---- SET ---- */

/* SET and its kin, as one command can say it. */
struct setting {
    struct slice value;
    char mode;      /* of `ms`: Set, Replace, add (E) */
    int64_t expiry; /* as memcached takes it; 0: never */
};

/* As memcached takes it.  False: it must be asked for its time, or Redis has a word to say. */
static bool take_expiry(struct slice word, bool in_ms, bool is_absolute, struct setting *s)
{
    int64_t number;

    if (!verb_integer(word, &number) || (in_ms && number % 1000 != 0))
        return false;
    s->expiry = in_ms ? number / 1000 : number;
    return s->expiry > 0 && (is_absolute ? s->expiry > REDIS_OVER_DAYS_S && s->expiry <= INT32_MAX
                                         : s->expiry <= REDIS_OVER_DAYS_S);
}

/* NX or XX, and one time.  False: as above, or there is more to it. */
static bool take_options(const struct redis_call *call, struct setting *s)
{
    static const struct {
        const char *word;
        bool in_ms, is_absolute;
    } UNITS[] = { { "ex", false, false },
                  { "px", true, false },
                  { "exat", false, true },
                  { "pxat", true, true } };

    for (size_t at = 3; at < call->count; at++) {
        size_t unit = 0;

        if (s->mode == 'S' && slice_is_word(call->args[at], "nx")) {
            s->mode = 'E';
            continue;
        }
        if (s->mode == 'S' && slice_is_word(call->args[at], "xx")) {
            s->mode = 'R';
            continue;
        }
        while (unit < 4 && !slice_is_word(call->args[at], UNITS[unit].word))
            unit++;
        if (unit == 4 || s->expiry != 0 || ++at >= call->count ||
            !take_expiry(call->args[at], UNITS[unit].in_ms, UNITS[unit].is_absolute, s))
            return false;
    }
    return true;
}

static bool take_setting(const struct redis_call *call, struct setting *s)
{
    const char *name = call->cmd->name;
    bool is_timed = strcmp(name, "setex") == 0 || strcmp(name, "psetex") == 0;

    *s = (struct setting){ .value = call->args[is_timed ? 3 : 2], .mode = 'S' };
    if (is_timed) /* a class may have made the one of the other */
        return take_expiry(call->args[2], slice_is_word(call->args[0], "psetex"), false, s);
    if (strcmp(name, "setnx") == 0)
        s->mode = 'E';
    return strcmp(name, "getset") != 0 && (strcmp(name, "set") != 0 || take_options(call, s));
}

static void merge_set(struct memory_merge *m)
{
    const struct note *note = m->note;
    const struct memory_part *part = &m->parts[0];
    bool is_set = slice_is_text(part->reply, "HD\r\n");

    if (redis_over_failed(part))
        buf_slice(m->out, part->reply);
    else if (!is_set && !slice_is_text(part->reply, "NS\r\n"))
        redis_over_put_error(m, 0, part->reply);
    else if (note->as_integer)
        resp_put_integer(m->out, is_set);
    else if (is_set)
        buf_put(m->out, "+OK\r\n", 5);
    else
        resp_put_null(m->out, note->version);
}

/* What is set without an end gets its class's.  A life that memcached takes for a date is told as
 * one, by our clock: the class's word is no client's, who would have the server's. */
static void give_end(const struct redis_call *call, struct slice key, struct setting *s)
{
    int64_t left_s = (int64_t)(redis_class_end_ms(call, key) / 1000);

    if (s->expiry == 0 && left_s > 0)
        s->expiry = left_s > REDIS_OVER_DAYS_S ? call->site->wall_us / 1000000 + left_s : left_s;
}

static void put_set(struct buf *line, struct slice key, const struct setting *s)
{
    memcached_put_meta_set(line, key, s->value.len);
    if (s->mode != 'S')
        buf_format(line, " M%c", s->mode);
    if (s->expiry != 0)
        buf_format(line, " T%" PRId64, s->expiry);
    buf_put(line, "\r\n", 2);
    buf_slice(line, s->value);
    buf_put(line, "\r\n", 2);
}

void redis_over_plan_set(struct redis_call *call)
{
    struct setting setting;
    struct note *note;
    struct buf line;
    struct slice key;
    uint32_t shard;

    if (!redis_over_time_is_whole(call) || !redis_over_place(call, &key, &shard))
        return;
    if (!take_setting(call, &setting)) {
        redis_over_change(call, REDIS_OVER_SET, key, shard);
        return;
    }
    give_end(call, key, &setting);
    line = redis_over_line(call->op->arena, setting.value.len);
    put_set(&line, key, &setting);
    note = note_new(call, REDIS_OVER_SET);
    note->as_integer = strcmp(call->cmd->name, "setnx") == 0;
    plan_one(call, shard, &line, merge_set, note);
}

/* ---- many keys ---- */

/* The reply at the front of what is left of a part's; of one that failed, a miss each time. */
static struct slice next_reply(const struct memory_part *part, struct slice *rest)
{
    struct memcached_scan scan = { 0 };
    struct slice reply = *rest;
    size_t used = 0;

    if (part->failed)
        return slice_text(MISS);
    if (memcached_reply_scan(&scan, *rest, &used) != PARSE_DONE)
        return (struct slice){ 0 };
    *rest = slice_from(*rest, used);
    reply.len = used;
    return reply;
}

/* One key's reply; false: it is an error. */
static bool take_reply(const struct note *note, struct slice whole, int64_t *sum, struct buf *out)
{
    struct memcached_reply reply;

    if (whole.len == 0 || memcached_reply_read(whole, &reply) != ERR_NONE)
        return false;
    if (note->way == REDIS_OVER_MGET) {
        struct note one = { .way = REDIS_OVER_GET, .version = note->version };

        return put_look(&one, &reply, out);
    }
    *sum += slice_is_text(reply.code, "HD");
    return slice_is_text(reply.code, "HD") ||
           (note->way == REDIS_OVER_COUNT &&
            (slice_is_text(reply.code, "EN") || slice_is_text(reply.code, "NF")));
}

/* True: a shard did not answer, and its refusal does. */
static bool has_failed(struct memory_merge *m)
{
    const struct note *note = m->note;
    const struct memory_part *worst = NULL;
    uint32_t failed = 0;

    for (uint32_t i = 0; i < m->part_count; i++)
        if (redis_over_failed(&m->parts[i])) {
            worst = &m->parts[i];
            failed++;
        }
    if (worst == NULL)
        return false;
    buf_put(m->out, worst->reply.at, worst->reply.len - 2); /* our own: it ends with a line */
    if ((note->cmd->flags & REDIS_COMMAND_WRITE) != 0 && failed < m->part_count)
        buf_format(m->out, " (%u of %u shards did their part of this '%s')", m->part_count - failed,
                   m->part_count, note->cmd->name);
    buf_put(m->out, "\r\n", 2);
    return true;
}

static void merge_many(struct memory_merge *m)
{
    const struct note *note = m->note;
    struct slice *rests, error = { 0 };
    size_t begin = m->out->len;
    uint32_t wrong = 0; /* the part that has it */
    int64_t sum = 0;

    if (has_failed(m))
        return;
    rests = arena_new(m->arena, m->part_count * sizeof(*rests));
    for (uint32_t i = 0; i < m->part_count; i++)
        rests[i] = m->parts[i].reply;
    if (note->way == REDIS_OVER_MGET)
        resp_put_array(m->out, note->key_count);
    for (uint32_t k = 0; k < note->key_count && error.at == NULL; k++) {
        uint32_t part = note->split.part[k];
        struct slice reply = next_reply(&m->parts[part], &rests[part]);

        if (!take_reply(note, reply, &sum, m->out)) {
            error = reply.at == NULL ? slice_text("") : reply;
            wrong = part;
        }
    }
    if (error.at != NULL) {
        m->out->len = begin;
        redis_over_put_error(m, wrong, error);
    } else if (note->way == REDIS_OVER_COUNT) {
        resp_put_integer(m->out, sum);
    } else if (note->way == REDIS_OVER_MSET) {
        buf_text(m->out, "+OK\r\n");
    }
}

/* The command for the key in args[at]. */
static void put_command(const struct redis_call *call, size_t at, struct buf *out)
{
    const char *name = call->cmd->name;
    struct setting setting = { .mode = 'S' };

    if (strcmp(name, "mset") == 0) {
        setting.value = call->args[at + 1];
        give_end(call, call->args[at], &setting);
        put_set(out, call->args[at], &setting);
        return;
    }
    memcached_put_meta(out, (call->cmd->flags & REDIS_COMMAND_READ) != 0 ? "mg" : "md",
                       call->args[at]);
    buf_text(out, strcmp(name, "mget") == 0 ? " v\r\n" : "\r\n");
}

static void plan_parts(struct redis_call *call, const struct redis_keys *keys,
                       const struct split *split)
{
    struct memory_operation *op = call->op;
    struct buf bytes = { 0 };

    op->part_count = (uint32_t)split->count;
    op->parts = arena_new(op->arena, split->count * sizeof(*op->parts));
    for (uint32_t i = 0; i < op->part_count; i++) {
        const struct split_part *part = &split->parts[i];

        buf_clear(&bytes);
        for (uint32_t k = 0; k < part->count; k++)
            put_command(call, keys->at[part->keys[k]], &bytes);
        op->parts[i] = (struct memory_part){ .shard = part->shard,
                                             .replies = part->count,
                                             .bytes = arena_copy(op->arena, buf_all(&bytes)) };
    }
    buf_fini(&bytes);
    op->way = MEMORY_PARTS;
}

void redis_over_plan_many(struct redis_call *call, enum redis_over_way way)
{
    struct memory_operation *op = call->op;
    struct note *note = note_new(call, way);
    struct redis_keys keys;
    uint32_t *shards;

    if (!redis_call_keys(call, &keys))
        return;
    shards = arena_bytes(op->arena, keys.count * sizeof(*shards));
    for (size_t i = 0; i < keys.count; i++) {
        if (!redis_over_key_fits(call, call->args[keys.at[i]]))
            return;
        shards[i] = memory_site_find(call->site, call->args[keys.at[i]]);
    }
    note->key_count = (uint32_t)keys.count;
    split_by_shard(op->arena, shards, keys.count, memory_site_shards(call->site), &note->split);
    plan_parts(call, &keys, &note->split);
    op->merge = merge_many;
    op->note = note;
    if ((call->cmd->flags & REDIS_COMMAND_READ) != 0)
        miss_if_down(call);
}
