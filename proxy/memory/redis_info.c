/* INFO of many servers as one: counters are added, databases joined, the rest is the first
 * server's.  A shard that does not answer is left out, for libraries ask INFO whether they may
 * begin at all; what is missing stands in the section "# Sheaf". */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/memory/redis_merge.h"
#include "proxy/wire/resp_reader.h"

struct line {
    struct slice name, value; /* of "name:value"; of a section's header only the name, with "# " */
};

/* Takes the next line that says something. */
static bool next_line(struct slice *text, struct line *out)
{
    while (text->len > 0) {
        const uint8_t *end = memchr(text->at, '\n', text->len), *colon;
        size_t used = end == NULL ? text->len : (size_t)(end - text->at) + 1;
        struct slice line = slice_of(text->at, used);

        *text = slice_from(*text, used);
        while (line.len > 0 && (line.at[line.len - 1] == '\n' || line.at[line.len - 1] == '\r'))
            line.len--;
        if (line.len == 0)
            continue;
        colon = line.at[0] == '#' ? NULL : memchr(line.at, ':', line.len);
        *out = (struct line){ .name = line };
        if (colon != NULL) {
            out->name.len = (size_t)(colon - line.at);
            out->value = slice_from(line, out->name.len + 1);
        }
        return true;
    }
    return false;
}

/* One server's text and how far it was compared: servers of one version give lines in one order. */
struct source {
    struct slice text, rest;
};

static bool find_line(struct source *source, struct slice name, struct slice *value)
{
    struct slice rest = source->rest;
    struct line line;

    for (int round = 0; round < 2; round++) {
        while (next_line(&rest, &line))
            if (slice_is(line.name, name)) {
                source->rest = rest;
                *value = line.value;
                return true;
            }
        rest = source->text;
    }
    return false;
}

static bool is_one_of(struct slice name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_is_text(name, names[i]))
            return true;
    return false;
}

#define IS_ONE_OF(name, names) is_one_of(name, names, sizeof(names) / sizeof((names)[0]))

/* Added over the shards; names that start with "total_" are, too. */
static bool is_added(struct slice name)
{
    static const char *const NAMES[] = {
        "connected_clients",
        "blocked_clients",
        "tracking_clients",
        "clients_in_timeout_table",
        "used_memory",
        "used_memory_rss",
        "used_memory_peak",
        "used_memory_overhead",
        "used_memory_startup",
        "used_memory_dataset",
        "used_memory_lua",
        "used_memory_scripts",
        "used_memory_functions",
        "used_memory_vm_total",
        "used_memory_vm_eval",
        "allocator_allocated",
        "allocator_active",
        "allocator_resident",
        "maxmemory",
        "mem_clients_normal",
        "mem_clients_slaves",
        "mem_replication_backlog",
        "number_of_cached_scripts",
        "number_of_functions",
        "rdb_changes_since_last_save",
        "instantaneous_ops_per_sec",
        "instantaneous_input_kbps",
        "instantaneous_output_kbps",
        "rejected_connections",
        "sync_full",
        "expired_keys",
        "evicted_keys",
        "evicted_clients",
        "keyspace_hits",
        "keyspace_misses",
        "pubsub_channels",
        "pubsubshard_channels",
        "unexpected_error_replies",
        "tracking_total_keys",
        "tracking_total_items",
        "dump_payload_sanitizations",
        "connected_slaves",
        "used_cpu_sys",
        "used_cpu_user",
        "used_cpu_sys_children",
        "used_cpu_user_children",
        "io_threaded_reads_processed",
        "io_threaded_writes_processed",
    };

    return slice_starts(name, slice_text("total_")) ? !slice_is_text(name, "total_system_memory")
                                                    : IS_ONE_OF(name, NAMES);
}

/* The largest of the shards: 1 if it is so on any. */
static bool is_largest(struct slice name)
{
    static const char *const NAMES[] = {
        "loading",         "async_loading",     "rdb_bgsave_in_progress", "aof_rewrite_in_progress",
        "pubsub_patterns", "uptime_in_seconds", "uptime_in_days"
    };

    return IS_ONE_OF(name, NAMES);
}

static double number_of(struct slice value, unsigned *decimals)
{
    char text[40];
    const char *dot;
    double number = 0;

    snprintf(text, sizeof(text), "%.*s", (int)(value.len < 39 ? value.len : 39),
             (const char *)value.at);
    sscanf(text, "%lf", &number);
    dot = strchr(text, '.');
    *decimals = dot == NULL ? 0 : (unsigned)strspn(dot + 1, "0123456789");
    return number;
}

static void put_number(struct memory_merge *m, struct source *sources, uint32_t count,
                       const struct line *line, bool largest)
{
    unsigned decimals, other_decimals;
    double result = number_of(line->value, &decimals);

    for (uint32_t i = 1; i < count; i++) {
        struct slice value;
        double one;

        if (!find_line(&sources[i], line->name, &value))
            continue;
        one = number_of(value, &other_decimals);
        if (!largest)
            result += one;
        else if (one > result)
            result = one;
    }
    buf_format(m->out, "%.*s:%.*f\r\n", (int)line->name.len, (const char *)line->name.at,
               (int)decimals, result);
}

struct database {
    uint32_t number;
    uint64_t keys, expires, ttl;
};

struct databases {
    struct database *at; /* in the arena */
    size_t count, cap;
};

static struct database *database_of(struct arena *arena, struct databases *all, uint32_t number)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->at[i].number == number)
            return &all->at[i];
    if (all->count == all->cap) {
        struct database *more = arena_new(arena, (all->cap * 2 + 16) * sizeof(*more));

        if (all->count > 0)
            memcpy(more, all->at, all->count * sizeof(*more));
        all->at = more;
        all->cap = all->cap * 2 + 16;
    }
    all->at[all->count] = (struct database){ .number = number };
    return &all->at[all->count++];
}

static bool read_database(const struct line *line, struct database *out)
{
    char text[128];

    if (!slice_starts(line->name, slice_text("db")) || line->value.len > 100)
        return false;
    snprintf(text, sizeof(text), "%.*s:%.*s", (int)line->name.len, (const char *)line->name.at,
             (int)line->value.len, (const char *)line->value.at);
    return sscanf(text, "db%" SCNu32 ":keys=%" SCNu64 ",expires=%" SCNu64 ",avg_ttl=%" SCNu64,
                  &out->number, &out->keys, &out->expires, &out->ttl) >= 3;
}

/* The pool's databases count from the one in the endpoint's URL, and the stamp is no key. */
static void add_databases(struct memory_merge *m, struct slice text, uint32_t home,
                          struct databases *all)
{
    const struct redis_note *note = m->note;
    struct line line;
    struct database one = { 0 };

    while (next_line(&text, &line)) {
        struct database *sum;

        if (!read_database(&line, &one) || one.number < home)
            continue;
        if (note->hide_stamp && one.number == home && one.keys > 0)
            one.keys--;
        if (one.keys == 0)
            continue;
        sum = database_of(m->arena, all, one.number - home);
        sum->keys += one.keys;
        sum->expires += one.expires;
        sum->ttl = one.ttl > sum->ttl ? one.ttl : sum->ttl;
    }
}

static void put_databases(struct memory_merge *m, const struct source *sources,
                          const uint32_t *homes, uint32_t count)
{
    struct databases all = { 0 };

    for (uint32_t i = 0; i < count; i++)
        add_databases(m, sources[i].text, homes[i], &all);
    for (size_t i = 0; i < all.count; i++)
        buf_format(m->out,
                   "db%" PRIu32 ":keys=%" PRIu64 ",expires=%" PRIu64 ",avg_ttl=%" PRIu64 "\r\n",
                   all.at[i].number, all.at[i].keys, all.at[i].expires, all.at[i].ttl);
}

static void put_lines(struct memory_merge *m, struct source *sources, const uint32_t *homes,
                      uint32_t count)
{
    struct slice rest = sources[0].text;
    struct database ignored;
    struct line line;

    for (size_t lines = 0; next_line(&rest, &line); lines++) {
        if (line.name.at[0] == '#') {
            buf_format(m->out, "%s%.*s\r\n", lines == 0 ? "" : "\r\n", (int)line.name.len,
                       (const char *)line.name.at);
            if (slice_is_text(line.name, "# Keyspace"))
                put_databases(m, sources, homes, count);
        } else if (slice_is_text(line.name, "role")) {
            buf_text(m->out, "role:master\r\n");
        } else if (is_added(line.name) || is_largest(line.name)) {
            put_number(m, sources, count, &line, is_largest(line.name));
        } else if (!read_database(&line, &ignored)) {
            buf_slice(m->out, line.name);
            buf_text(m->out, ":");
            buf_slice(m->out, line.value);
            buf_text(m->out, "\r\n");
        }
    }
}

/* The texts of the servers that answered, with their shards' home databases. */
static uint32_t read_sources(struct memory_merge *m, struct source *sources, uint32_t *homes)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < m->part_count; i++) {
        struct resp_reader reader = { m->parts[i].reply };
        struct resp_item item;

        if (m->parts[i].failed || resp_read(&reader, &item) != ERR_NONE ||
            (item.type != '$' && item.type != '='))
            continue;
        if (item.type == '=' && item.text.len >= 4)
            item.text = slice_from(item.text, 4);
        sources[count].text = sources[count].rest = item.text;
        homes[count++] = redis_merge_has_shard(m, i)
                             ? memory_site_endpoint(m->site, m->parts[i].shard)->database
                             : 0;
    }
    return count;
}

void redis_merge_info(struct memory_merge *m)
{
    const struct redis_note *note = m->note;
    struct source *sources = arena_new(m->arena, m->part_count * sizeof(*sources));
    uint32_t *homes = arena_new(m->arena, m->part_count * sizeof(*homes));
    uint32_t count = read_sources(m, sources, homes);
    struct buf *out = m->out, text = { 0 };

    if (count == 0) {
        if (!redis_merge_failed(m))
            redis_merge_out_of_step(m);
        return;
    }
    m->out = &text;
    put_lines(m, sources, homes, count);
    if (note->round != 0) {
        buf_text(&text, text.len == 0 ? "# Sheaf\r\n" : "\r\n# Sheaf\r\n");
        if (m->site->host->describe != NULL)
            m->site->host->describe(m->site, &text);
    }
    m->out = out;
    resp_put_verbatim(out, note->version, "txt", buf_all(&text));
    buf_fini(&text);
}
