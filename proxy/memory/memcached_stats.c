/* stats: what the servers tell, as of one server, and Sheaf's own figures behind it (or alone, as
 * "stats sheaf").  Counters are added up; of what can't be, the first server's is shown. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/memory/memcached_front.h"

enum { MOST_STATS = 4096 };

struct note {
    bool is_binary, with_ours;
    bool hides_stamp;  /* one of each server's items is Sheaf's own */
    bool are_settings; /* which are no counters */
    uint8_t opcode;
    uint32_t opaque;
};

static void put_stat(const struct note *note, struct buf *out, struct slice name,
                     struct slice value)
{
    struct memcached_binary_reply reply = {
        .opcode = note->opcode, .opaque = note->opaque, .key = name, .value = value
    };

    if (note->is_binary)
        memcached_binary_put(out, &reply);
    else
        buf_format(out, "STAT %.*s %.*s\r\n", (int)name.len, (const char *)name.at, (int)value.len,
                   (const char *)value.at);
}

static void put_end(const struct note *note, struct buf *out)
{
    if (note->is_binary)
        put_stat(note, out, slice_of("", 0), slice_of("", 0));
    else
        buf_text(out, "END\r\n");
}

/* ---- what servers tell ---- */

enum sum { SUM_FIRST, SUM_ADD, SUM_LEAST, SUM_MOST };

/* How a statistic of several servers becomes one. */
static enum sum sum_of(struct slice name)
{
    static const struct {
        const char *name;
        enum sum sum;
    } TABLE[] = {
        { "pid", SUM_FIRST },
        { "uptime", SUM_LEAST },
        { "time", SUM_MOST },
        { "pointer_size", SUM_FIRST },
        { "hash_power_level", SUM_MOST },
        { "accepting_conns", SUM_LEAST },
        { "slab_reassign_running", SUM_MOST },
        { "lru_crawler_running", SUM_MOST },
        { "hash_is_expanding", SUM_MOST },
        { "chunk_size", SUM_FIRST },
        { "chunks_per_page", SUM_FIRST },
        { "age", SUM_MOST },
        { "age_hot", SUM_MOST },
        { "age_warm", SUM_MOST },
        { "active_slabs", SUM_MOST },
        { "evicted_time", SUM_MOST },
    };
    const uint8_t *colon = name.len == 0 ? NULL : memrchr(name.at, ':', name.len);

    if (colon != NULL) /* "items:5:age" */
        name = slice_from(name, (size_t)(colon - name.at) + 1);
    for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++)
        if (slice_is_text(name, TABLE[i].name))
            return TABLE[i].sum;
    return SUM_ADD;
}

/* A setting is the first server's, but for what there is more of the more servers there are, and
 * how large a value may be for all of them. */
static enum sum sum_of_setting(struct slice name)
{
    if (slice_is_text(name, "maxbytes") || slice_is_text(name, "maxconns") ||
        slice_is_text(name, "num_threads"))
        return SUM_ADD;
    return slice_is_text(name, "item_size_max") ? SUM_LEAST : SUM_FIRST;
}

struct stat {
    struct slice name, value; /* the first server's */
    uint64_t number;
    uint64_t micros; /* of "0.000123" */
    bool is_number, is_decimal;
};

struct table {
    struct stat *at;
    uint32_t count, next; /* where the next server's same statistic should stand */
    bool are_settings;
};

/* "12.000345": seconds with six digits behind the point. */
static bool read_decimal(struct slice value, uint64_t *micros)
{
    const uint8_t *point = value.len == 0 ? NULL : memchr(value.at, '.', value.len);
    uint64_t whole, part;

    if (point == NULL || value.len != (size_t)(point - value.at) + 7)
        return false;
    if (!slice_to_u64(slice_of(value.at, (size_t)(point - value.at)), &whole) ||
        !slice_to_u64(slice_of(point + 1, 6), &part) || whole > UINT32_MAX)
        return false;
    *micros = whole * 1000000 + part;
    return true;
}

static struct stat *find(struct table *table, struct slice name)
{
    for (uint32_t i = 0; i < table->count; i++) {
        uint32_t at = (table->next + i) % table->count;

        if (slice_is(table->at[at].name, name)) {
            table->next = at + 1;
            return &table->at[at];
        }
    }
    if (table->count == MOST_STATS)
        return NULL;
    table->at[table->count] = (struct stat){ .name = name };
    return &table->at[table->count++];
}

static void add_stat(struct table *table, struct slice name, struct slice value)
{
    struct stat *stat = find(table, name);
    uint64_t number, micros;

    if (stat == NULL)
        return;
    if (stat->value.at == NULL) {
        stat->value = value;
        stat->is_number = slice_to_u64(value, &stat->number);
        stat->is_decimal = read_decimal(value, &stat->micros);
        return;
    }
    stat->is_decimal = stat->is_decimal && read_decimal(value, &micros);
    if (stat->is_decimal)
        stat->micros += micros;
    stat->is_number = stat->is_number && slice_to_u64(value, &number);
    if (!stat->is_number)
        return;
    switch (table->are_settings ? sum_of_setting(name) : sum_of(name)) {
    case SUM_FIRST:
        return;
    case SUM_ADD:
        stat->number += number;
        return;
    case SUM_LEAST:
        stat->number = number < stat->number ? number : stat->number;
        return;
    case SUM_MOST:
        stat->number = number > stat->number ? number : stat->number;
        return;
    }
}

/* "STAT name value" lines. */
static void add_reply(struct table *table, struct slice reply)
{
    for (uint32_t row = 0; row < MOST_STATS && slice_starts(reply, slice_text("STAT ")); row++) {
        const uint8_t *end = memchr(reply.at, '\n', reply.len);
        struct slice line = slice_of(reply.at + 5, (size_t)(end - reply.at) - 5), name;

        reply = slice_from(reply, (size_t)(end - reply.at) + 1);
        if (line.len > 0 && line.at[line.len - 1] == '\r')
            line.len--;
        if (!memcached_next_word(&line, &name))
            continue;
        if (line.len > 0)
            line = slice_from(line, 1);
        add_stat(table, name, line);
    }
}

static void put_sum(const struct note *note, const struct stat *stat, uint32_t stamps,
                    struct buf *out)
{
    char text[48];
    uint64_t number = stat->number;
    int len;

    if (note->hides_stamp && slice_is_text(stat->name, "curr_items"))
        number -= number < stamps ? number : stamps;
    if (stat->is_decimal)
        len = snprintf(text, sizeof(text), "%" PRIu64 ".%06" PRIu64, stat->micros / 1000000,
                       stat->micros % 1000000);
    else
        len = snprintf(text, sizeof(text), "%" PRIu64, number);
    put_stat(note, out, stat->name,
             stat->is_number || stat->is_decimal ? slice_of(text, (size_t)len) : stat->value);
}

/* ---- ours ---- */

/* "name:value\r\n" lines. */
static void put_ours(const struct memory_site *site, const struct note *note, struct buf *out)
{
    struct buf ours = { 0 };
    struct slice rest;

    if (site->host->describe != NULL)
        site->host->describe(site, &ours);
    rest = buf_all(&ours);
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.at, '\n', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.at) + 1;
        const uint8_t *colon = memchr(rest.at, ':', len);

        if (colon != NULL && len >= 2)
            put_stat(note, out, slice_of(rest.at, (size_t)(colon - rest.at)),
                     slice_of(colon + 1, (size_t)(rest.at + len - 2 - (colon + 1))));
        rest = slice_from(rest, len);
    }
    buf_fini(&ours);
}

/* ---- the command ---- */

static void merge_stats(struct memory_merge *m)
{
    const struct note *note = m->note;
    struct table table = { .are_settings = note->are_settings };
    uint32_t told = 0;

    table.at = arena_new(m->arena, MOST_STATS * sizeof(*table.at));
    for (uint32_t i = 0; i < m->part_count; i++)
        if (!memcached_reply_is_error(m->parts[i].reply)) {
            add_reply(&table, m->parts[i].reply);
            told++;
        }
    if (told == 0 && note->is_binary) {
        memcached_put_error(m->out, note->opcode, note->opaque, m->parts[0].reply);
        return;
    }
    if (told == 0) {
        buf_slice(m->out, m->parts[0].reply);
        return;
    }
    for (uint32_t i = 0; i < table.count; i++)
        put_sum(note, &table.at[i], told, m->out);
    if (note->with_ours)
        put_ours(m->site, note, m->out);
    put_end(note, m->out);
}

static void merge_reset(struct memory_merge *m)
{
    const struct note *note = m->note;
    struct slice error = memcached_first_error(m);

    if (!note->is_binary)
        buf_slice(m->out, error.at != NULL ? error : slice_text("RESET\r\n"));
    else if (error.at != NULL)
        memcached_put_error(m->out, note->opcode, note->opaque, error);
    else
        put_end(note, m->out);
}

void memcached_plan_stats(struct memcached_call *call, struct slice what)
{
    static const char *const MERGED[] = { "", "items", "slabs", "settings", "sizes", NULL };
    struct note *note = arena_new(call->op->arena, sizeof(*note));
    char bytes[32];
    int len = snprintf(bytes, sizeof(bytes), "stats%s%.*s\r\n", what.len > 0 ? " " : "",
                       what.len < 16 ? (int)what.len : 16, (const char *)what.at);
    struct slice question = slice_of(bytes, (size_t)len);

    note->is_binary = call->binary != NULL;
    if (note->is_binary) {
        note->opcode = call->binary->opcode;
        note->opaque = call->binary->opaque;
    }
    if (slice_is_text(what, "sheaf")) {
        put_ours(call->site, note, memcached_answer(call));
        put_end(note, memcached_answer(call));
        return;
    }
    if (call->site->translates && what.len == 0) {
        put_ours(call->site, note, memcached_answer(call));
        put_end(note, memcached_answer(call));
        return;
    }
    note->with_ours = what.len == 0;
    note->hides_stamp = call->site->pool->stamp;
    note->are_settings = slice_is_text(what, "settings");
    for (size_t i = 0; MERGED[i] != NULL; i++)
        if (slice_is_text(what, MERGED[i])) {
            memcached_plan_all(call, arena_copy(call->op->arena, question), merge_stats, note);
            return;
        }
    if (slice_is_text(what, "reset") && !memcached_user_may_write(call))
        return;
    if (slice_is_text(what, "reset"))
        memcached_plan_all(call, arena_copy(call->op->arena, question), merge_reset, note);
    else
        memcached_refuse(call, MEMCACHED_STATUS_NOT_FOUND,
                         "'stats %.*s' can't work through a pool of shards",
                         (int)(what.len < 64 ? what.len : 64), (const char *)what.at);
}
