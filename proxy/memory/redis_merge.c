/* See redis_merge.h.  Each merge first asks redis_merge_failed(): an error of any part is the
 * answer of all, for half an answer that looks whole would be a lie. */
#include "proxy/memory/redis_merge.h"

#include <string.h>
#include <xxhash.h>

#include "proxy/memory/redis_absent.h"
#include "proxy/wire/resp_reader.h"
#include "proxy/wire/resp_reply.h"

static const char OUT_OF_STEP[] = "ERR the shards' replies to this command do not fit together";

struct redis_note *redis_note_new(struct redis_call *call)
{
    struct redis_note *note = arena_new(call->op->arena, sizeof(*note));

    note->cmd = call->cmd;
    note->version = redis_version(call);
    return note;
}

static bool is_error(struct slice reply)
{
    return reply.len == 0 || reply.at[0] == '-' || reply.at[0] == '!';
}

static struct slice first_line(struct slice reply)
{
    const uint8_t *end = memchr(reply.at, '\r', reply.len);

    return slice_of(reply.at, end == NULL ? reply.len : (size_t)(end - reply.at));
}

bool redis_merge_failed(struct memory_merge *m)
{
    const struct redis_note *note = m->note;
    const struct memory_part *worst = NULL;
    uint32_t done = 0;

    for (uint32_t i = 0; i < m->part_count; i++) {
        if (!is_error(m->parts[i].reply))
            done++;
        else if (worst == NULL || (m->parts[i].failed && !worst->failed))
            worst = &m->parts[i];
    }
    if (worst == NULL)
        return false;
    if (worst->reply.len == 0) {
        resp_put_error_text(m->out, "%s", OUT_OF_STEP);
    } else if (done == 0 || (note->cmd->flags & REDIS_COMMAND_WRITE) == 0 ||
               worst->reply.at[0] != '-') {
        buf_slice(m->out, worst->reply);
    } else {
        buf_slice(m->out, first_line(worst->reply));
        buf_format(m->out, " (%u of %u shards did their part of this '%s')\r\n", done,
                   m->part_count, note->cmd->name);
    }
    return true;
}

void redis_merge_out_of_step(struct memory_merge *m)
{
    resp_put_error_text(m->out, "%s", OUT_OF_STEP);
}

bool redis_merge_has_shard(const struct memory_merge *m, uint32_t part)
{
    return m->parts[part].shard < memory_site_shards(m->site);
}

bool redis_merge_next_shard(struct memory_merge *m, struct redis_note *note)
{
    if (++note->round >= memory_site_shards(m->site))
        return false;
    m->parts[0].shard = (m->parts[0].shard + 1) % memory_site_shards(m->site);
    m->parts[0].bytes = note->words[0];
    m->parts[0].failed = false;
    m->again = true;
    return true;
}

void redis_merge_one(struct memory_merge *m)
{
    buf_slice(m->out, m->parts[0].reply);
}

static void merge_first(struct memory_merge *m)
{
    if (!redis_merge_failed(m))
        redis_merge_one(m);
}

static void merge_any_ok(struct memory_merge *m)
{
    for (uint32_t i = 0; i < m->part_count; i++)
        if (!is_error(m->parts[i].reply)) {
            buf_slice(m->out, m->parts[i].reply);
            return;
        }
    redis_merge_one(m);
}

static void merge_same(struct memory_merge *m)
{
    if (redis_merge_failed(m))
        return;
    for (uint32_t i = 1; i < m->part_count; i++)
        if (!slice_is(m->parts[i].reply, m->parts[0].reply)) {
            redis_merge_out_of_step(m);
            return;
        }
    redis_merge_one(m);
}

/* The integer that the part's reply is. */
static bool part_integer(const struct memory_part *part, int64_t *out)
{
    struct resp_reader reader = { part->reply };
    struct resp_item item;

    if (resp_read(&reader, &item) != ERR_NONE || item.type != ':')
        return false;
    *out = item.integer;
    return true;
}

static void merge_sum(struct memory_merge *m)
{
    int64_t sum = 0, one;

    if (redis_merge_failed(m))
        return;
    for (uint32_t i = 0; i < m->part_count; i++) {
        if (!part_integer(&m->parts[i], &one)) {
            redis_merge_out_of_step(m);
            return;
        }
        sum += one;
    }
    resp_put_integer(m->out, sum);
}

static void merge_largest(struct memory_merge *m)
{
    int64_t largest = INT64_MIN, one;

    if (redis_merge_failed(m))
        return;
    for (uint32_t i = 0; i < m->part_count; i++) {
        if (!part_integer(&m->parts[i], &one)) {
            redis_merge_out_of_step(m);
            return;
        }
        largest = one > largest ? one : largest;
    }
    resp_put_integer(m->out, largest);
}

enum { MOST_PLACES = 256 };

/* Integers place by place, of arrays or of plain integers (one place). */
struct places {
    int64_t at[MOST_PLACES];
    uint64_t count;
    bool is_array;
};

static bool read_places(struct slice reply, struct places *out)
{
    struct resp_reader reader = { reply };
    struct resp_item item;

    if (resp_read(&reader, &item) != ERR_NONE)
        return false;
    out->is_array = item.type == '*';
    out->count = out->is_array ? item.count : 1;
    if (out->count > MOST_PLACES)
        return false;
    if (!out->is_array)
        out->at[0] = item.integer;
    for (uint64_t i = 0; out->is_array && i < out->count; i++) {
        if (resp_read(&reader, &item) != ERR_NONE || item.type != ':')
            return false;
        out->at[i] = item.integer;
    }
    return out->is_array || item.type == ':';
}

/* The smallest of each place: for 0 and 1 that is also "and". */
static void merge_minimum(struct memory_merge *m)
{
    struct places least = { 0 }, one;

    if (redis_merge_failed(m))
        return;
    for (uint32_t i = 0; i < m->part_count; i++) {
        if (!read_places(m->parts[i].reply, &one) || (i > 0 && one.count != least.count)) {
            redis_merge_out_of_step(m);
            return;
        }
        if (i == 0)
            least = one;
        for (uint64_t k = 0; k < one.count; k++)
            least.at[k] = one.at[k] < least.at[k] ? one.at[k] : least.at[k];
    }
    if (least.is_array)
        resp_put_array(m->out, least.count);
    for (uint64_t k = 0; k < least.count; k++)
        resp_put_integer(m->out, least.at[k]);
}

/* The elements of one part, each with all that is in it. */
struct elements {
    struct slice *at; /* in the arena */
    size_t count;
};

static bool read_elements(struct memory_merge *m, const struct memory_part *part,
                          struct elements *out)
{
    struct resp_reader reader = { part->reply };
    struct resp_item item;

    if (resp_read(&reader, &item) != ERR_NONE || strchr("*~%", item.type) == NULL)
        return false;
    out->count = item.count;
    out->at = arena_new(m->arena, (out->count + 1) * sizeof(*out->at));
    for (size_t i = 0; i < out->count; i++)
        if (resp_read_skip(&reader, &out->at[i]) != ERR_NONE)
            return false;
    return true;
}

/* A reader for each part that stands before its first element; NULL: they do not fit the split. */
static struct resp_reader *readers_by_key(struct memory_merge *m, const struct split *split)
{
    struct resp_reader *readers = arena_bytes(m->arena, m->part_count * sizeof(*readers));
    struct resp_item item;

    for (uint32_t i = 0; i < m->part_count; i++) {
        struct slice reply = m->parts[i].reply;
        uint64_t count;
        size_t header = resp_reply_fast_count(reply, &count);

        readers[i] = (struct resp_reader){ header > 0 ? slice_from(reply, header) : reply };
        if (header == 0) {
            if (resp_read(&readers[i], &item) != ERR_NONE || strchr("*~%", item.type) == NULL)
                return NULL;
            count = item.count;
        }
        if (count != split->parts[i].count)
            return NULL;
    }
    return readers;
}

/* The next element, which mostly is of the common kinds. */
static inline bool take_element(struct resp_reader *reader, struct slice *raw)
{
    size_t len = resp_reply_fast(reader->in);

    if (len == 0)
        return resp_read_skip(reader, raw) == ERR_NONE;
    *raw = slice_of(reader->in.at, len);
    reader->in = slice_from(reader->in, len);
    return true;
}

/* The keys of a part kept their order, so each key's element is the next one of its part. */
static void merge_by_key(struct memory_merge *m)
{
    const struct redis_note *note = m->note;
    struct resp_reader *readers;
    size_t start = m->out->len, all = 0;
    struct slice element;

    for (uint32_t i = 0; i < m->part_count; i++)
        if (redis_absent_is_mark(&m->parts[i]))
            m->parts[i].reply =
                redis_absent_nulls(m->arena, note->version, note->split.parts[i].count);
    if (redis_merge_failed(m))
        return;
    readers = readers_by_key(m, &note->split);
    if (readers == NULL) {
        redis_merge_out_of_step(m);
        return;
    }
    for (uint32_t i = 0; i < m->part_count; i++)
        all += m->parts[i].reply.len;
    buf_reserve(m->out, all); /* once: its own first line is no longer than those of the parts */
    resp_put_array(m->out, note->key_count);
    for (uint32_t k = 0; k < note->key_count; k++) {
        if (!take_element(&readers[note->split.part[k]], &element)) {
            m->out->len = start;
            redis_merge_out_of_step(m);
            return;
        }
        buf_slice(m->out, element);
    }
}

/* The elements of all parts in a row, and what to write them as. */
struct joined {
    struct slice *at;
    size_t count;
    uint8_t type;
};

static bool join(struct memory_merge *m, struct joined *out)
{
    struct elements *parts = arena_new(m->arena, m->part_count * sizeof(*parts));
    size_t total = 0;

    for (uint32_t i = 0; i < m->part_count; i++) {
        if (!read_elements(m, &m->parts[i], &parts[i]))
            return false;
        total += parts[i].count;
    }
    *out = (struct joined){ .type = m->parts[0].reply.at[0] };
    out->at = arena_new(m->arena, (total + 1) * sizeof(*out->at));
    for (uint32_t i = 0; i < m->part_count; i++) {
        memcpy(out->at + out->count, parts[i].at, parts[i].count * sizeof(*out->at));
        out->count += parts[i].count;
    }
    return true;
}

static void put_count(struct buf *out, uint8_t type, size_t count)
{
    buf_format(out, "%c%zu\r\n", type, type == '%' ? count / 2 : count);
}

static void put_joined(struct memory_merge *m, const struct joined *all)
{
    put_count(m->out, all->type, all->count);
    for (size_t i = 0; i < all->count; i++)
        buf_slice(m->out, all->at[i]);
}

static bool is_hidden(const struct redis_note *note, struct slice key)
{
    if (note->hide_stamp && redis_is_stamp_key(key))
        return true;
    for (uint32_t i = 0; i < note->prefix_count; i++)
        if (slice_starts(key, note->prefixes[i]))
            return false;
    return note->prefix_count > 0;
}

size_t redis_merge_drop_hidden(const struct redis_note *note, struct slice *elements, size_t count)
{
    size_t kept = 0;

    if (!note->hide_stamp && note->prefix_count == 0)
        return count;
    for (size_t i = 0; i < count; i++) {
        struct resp_reader reader = { elements[i] };
        struct resp_item item;

        if (resp_read(&reader, &item) == ERR_NONE && item.type == '$' && is_hidden(note, item.text))
            continue;
        elements[kept++] = elements[i];
    }
    return kept;
}

static void merge_concat(struct memory_merge *m)
{
    const struct redis_note *note = m->note;
    struct joined all;

    if (redis_merge_failed(m))
        return;
    if (!join(m, &all)) {
        redis_merge_out_of_step(m);
        return;
    }
    all.count = redis_merge_drop_hidden(note, all.at, all.count);
    put_joined(m, &all);
}

/* An open table of the joined elements' places, for those merges that look for equal ones. */
struct places_by_text {
    uint32_t *at; /* place + 1; 0 is empty */
    size_t mask;
};

static void table_init(struct memory_merge *m, struct places_by_text *table, size_t count)
{
    size_t size = 16;

    while (size < count * 2)
        size *= 2;
    table->at = arena_new(m->arena, size * sizeof(*table->at));
    table->mask = size - 1;
}

/* The place of an equal element of `list`, or `place`, which is then in the table. */
static size_t table_find(struct places_by_text *table, const struct slice *list, size_t place)
{
    /* Clients choose the names: they may not know where these fall. */
    uint64_t hash =
        XXH3_64bits_withSeed(list[place].at, list[place].len, (uint64_t)(uintptr_t)table->at);
    size_t at;

    for (at = hash & table->mask; table->at[at] != 0; at = (at + 1) & table->mask)
        if (slice_is(list[table->at[at] - 1], list[place]))
            return table->at[at] - 1;
    table->at[at] = (uint32_t)place + 1;
    return place;
}

static void merge_union(struct memory_merge *m)
{
    struct places_by_text table;
    struct joined all;
    size_t kept = 0;

    if (redis_merge_failed(m))
        return;
    if (!join(m, &all)) {
        redis_merge_out_of_step(m);
        return;
    }
    table_init(m, &table, all.count);
    for (size_t i = 0; i < all.count; i++) {
        all.at[kept] = all.at[i];
        if (table_find(&table, all.at, kept) == kept)
            kept++;
    }
    all.count = kept;
    put_joined(m, &all);
}

static bool element_integer(struct slice element, int64_t *out)
{
    return element.len > 3 && element.at[0] == ':' &&
           slice_to_i64(slice_of(element.at + 1, element.len - 3), out);
}

/* All shards were asked the same names, and tell them in that order, twice what was asked twice. */
static void merge_pair_sum(struct memory_merge *m)
{
    struct elements *parts = arena_new(m->arena, m->part_count * sizeof(*parts));
    int64_t sum, one;

    if (redis_merge_failed(m))
        return;
    for (uint32_t i = 0; i < m->part_count; i++)
        if (!read_elements(m, &m->parts[i], &parts[i]) || parts[i].count % 2 != 0 ||
            parts[i].count != parts[0].count) {
            redis_merge_out_of_step(m);
            return;
        }
    put_count(m->out, m->parts[0].reply.at[0], parts[0].count);
    for (size_t k = 0; k < parts[0].count; k += 2) {
        sum = 0;
        for (uint32_t i = 0; i < m->part_count; i++)
            sum += element_integer(parts[i].at[k + 1], &one) ? one : 0;
        buf_slice(m->out, parts[0].at[k]);
        resp_put_integer(m->out, sum);
    }
}

memory_merge_f *redis_merge_of(enum redis_merge kind)
{
    switch (kind) {
    case REDIS_MERGE_NONE:
    case REDIS_MERGE_FIRST:
    case REDIS_MERGE_ALL_OK:
    case REDIS_MERGE_RANDOM:
        return merge_first;
    case REDIS_MERGE_ANY_OK:
        return merge_any_ok;
    case REDIS_MERGE_SUM:
        return merge_sum;
    case REDIS_MERGE_MINIMUM:
    case REDIS_MERGE_AND:
        return merge_minimum;
    case REDIS_MERGE_LARGEST:
        return merge_largest;
    case REDIS_MERGE_BY_KEY:
        return merge_by_key;
    case REDIS_MERGE_CONCAT:
        return merge_concat;
    case REDIS_MERGE_UNION:
        return merge_union;
    case REDIS_MERGE_PAIR_SUM:
        return merge_pair_sum;
    case REDIS_MERGE_SAME:
        return merge_same;
    case REDIS_MERGE_INFO:
        return redis_merge_info;
    case REDIS_MERGE_TEXTS:
        return redis_merge_texts;
    case REDIS_MERGE_HISTOGRAMS:
        return redis_merge_histograms;
    case REDIS_MERGE_RUNNING:
        return redis_merge_running;
    }
    return merge_first;
}
