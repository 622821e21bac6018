/* See console_table.h.  Rows are merged by sorting, so that many cost no more than they must. */
#include "proxy/sql/console_table.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "proxy/base/mem.h"
#include "proxy/wire/pgwire_write.h"

#define K(name)                                                                                    \
    {                                                                                              \
        name, false, CONSOLE_KEY                                                                   \
    }
#define T(name)                                                                                    \
    {                                                                                              \
        name, false, CONSOLE_FIRST                                                                 \
    }
#define TM(name)                                                                                   \
    {                                                                                              \
        name, false, CONSOLE_MAX                                                                   \
    }
#define N(name)                                                                                    \
    {                                                                                              \
        name, true, CONSOLE_SUM                                                                    \
    }
#define NF(name)                                                                                   \
    {                                                                                              \
        name, true, CONSOLE_FIRST                                                                  \
    }
#define NM(name)                                                                                   \
    {                                                                                              \
        name, true, CONSOLE_MAX                                                                    \
    }

static const struct console_column VERSION[] = { T("version") };

static const struct console_column POOLS[] = {
    K("database"),
    K("user"),
    N("cl_active"),
    N("cl_waiting"),
    N("cl_active_cancel_req"),
    N("cl_waiting_cancel_req"),
    N("sv_active"),
    N("sv_active_cancel"),
    N("sv_being_canceled"),
    N("sv_idle"),
    N("sv_used"),
    N("sv_tested"),
    N("sv_login"),
    NM("maxwait"),
    NM("maxwait_us"),
    T("pool_mode"),
    T("load_balance_hosts"),
    T("pool"),
    N("cl_pinned"),
    N("sv_primary"),
    N("sv_replica"),
};

static const struct console_column CLIENTS[] = {
    T("type"),
    T("user"),
    T("database"),
    T("replication"),
    T("state"),
    T("addr"),
    NF("port"),
    T("local_addr"),
    NF("local_port"),
    T("connect_time"),
    T("request_time"),
    NF("wait"),
    NF("wait_us"),
    NF("close_needed"),
    T("ptr"),
    T("link"),
    NF("remote_pid"),
    T("tls"),
    T("application_name"),
    NF("prepared_statements"),
    NF("id"),
    T("pool"),
    NF("worker"),
    T("route"),
    T("endpoint"),
    T("waits_for"),
    T("pins"),
};

static const struct console_column SERVERS[] = {
    T("type"),
    T("user"),
    T("database"),
    T("replication"),
    T("state"),
    T("addr"),
    NF("port"),
    T("local_addr"),
    NF("local_port"),
    T("connect_time"),
    T("request_time"),
    NF("wait"),
    NF("wait_us"),
    NF("close_needed"),
    T("ptr"),
    T("link"),
    NF("remote_pid"),
    T("tls"),
    T("application_name"),
    NF("prepared_statements"),
    NF("id"),
    T("pool"),
    NF("worker"),
    T("role"),
    T("endpoint"),
    T("pins"),
};

#define TOTALS                                                                                     \
    N("total_server_assignment_count"), N("total_xact_count"), N("total_query_count"),             \
        N("total_received"), N("total_sent"), N("total_xact_time"), N("total_query_time"),         \
        N("total_wait_time"), N("total_client_parse_count"), N("total_server_parse_count"),        \
        N("total_bind_count")
/* Averages of counts add up over workers; those of times were divided already. */
#define AVERAGES                                                                                   \
    N("avg_server_assignment_count"), N("avg_xact_count"), N("avg_query_count"), N("avg_recv"),    \
        N("avg_sent"), NM("avg_xact_time"), NM("avg_query_time"), NM("avg_wait_time"),             \
        N("avg_client_parse_count"), N("avg_server_parse_count"), N("avg_bind_count")

static const struct console_column STATS[] = { K("database"), TOTALS, AVERAGES };
/* By themselves PgBouncer calls both alike. */
static const struct console_column STATS_TOTALS[] = {
    K("database"),           N("server_assignment_count"),
    N("xact_count"),         N("query_count"),
    N("bytes_received"),     N("bytes_sent"),
    N("xact_time"),          N("query_time"),
    N("wait_time"),          N("client_parse_count"),
    N("server_parse_count"), N("bind_count"),
};
static const struct console_column STATS_AVERAGES[] = {
    K("database"),           N("server_assignment_count"),
    N("xact_count"),         N("query_count"),
    N("bytes_received"),     N("bytes_sent"),
    NM("xact_time"),         NM("query_time"),
    NM("wait_time"),         N("client_parse_count"),
    N("server_parse_count"), N("bind_count"),
};

static const struct console_column DATABASES[] = {
    K("name"),
    T("host"),
    NF("port"),
    T("database"),
    T("force_user"),
    NF("pool_size"),
    NF("min_pool_size"),
    NF("reserve_pool_size"),
    NF("server_lifetime"),
    T("pool_mode"),
    T("load_balance_hosts"),
    NF("max_connections"),
    N("current_connections"),
    NF("max_client_connections"),
    N("current_client_connections"),
    NM("paused"),
    NM("disabled"),
    T("pool"),
    T("route"),
    NF("reserve_pool"), /* as older ones of PgBouncer call it */
};

static const struct console_column USERS[] = {
    K("name"),
    NF("pool_size"),
    NF("reserve_pool_size"),
    T("pool_mode"),
    NF("max_user_connections"),
    N("current_connections"),
    NF("max_user_client_connections"),
    N("current_client_connections"),
    T("route"),
    T("console"),
};

static const struct console_column ENDPOINTS[] = {
    K("endpoint"), T("role"),       T("configured"), T("state"),     T("fit"),
    T("lag"),      NF("lag_bytes"), T("position"),   NF("timeline"), NF("weight"),
    N("active"),   N("idle"),       N("starting"),   N("waiting"),   TM("why"),
};

static const struct console_column VERDICTS[] = {
    K("shape"),  K("database"), K("user"),      T("kind"),      T("route"),
    T("reason"), N("hits"),     N("overruled"), TM("sqlstate"), NM("overruled_for_s"),
};

static const struct console_column PINS[] = {
    K("pin"),
    T("reason"),
    N("clients"),
    N("total"),
};

static const struct console_column WAITS[] = {
    K("wait"), T("for"), N("clients"), N("total"), N("total_us"),
};

static const struct console_column CONFIG[] = { T("key"), T("value"), T("default"),
                                                T("changeable") };
static const struct console_column LISTS[] = { K("list"), N("items") };
static const struct console_column MEM[] = { K("name"), NM("size"), N("used"), N("free"),
                                             N("memtotal") };
static const struct console_column STATE[] = { K("key"), TM("value") };

static const struct console_table ALL[] = {
#define TABLE(name, merges, is_ours, text)                                                         \
    { #name, text, (name), sizeof(name) / sizeof((name)[0]), merges, is_ours },
#include "proxy/sql/console_tables.def"
#undef TABLE
};

enum console_table_number console_table_find(const char *name)
{
    for (int i = 0; i < CONSOLE_TABLES; i++)
        if (strcasecmp(name, ALL[i].name) == 0)
            return (enum console_table_number)i;
    return CONSOLE_TABLES;
}

const struct console_table *console_table(enum console_table_number number)
{
    return &ALL[number];
}

/* ---- putting a row ---- */

static void end_cell(struct console_row *row, bool is_null)
{
    assert(row->count < row->table->count);
    row->nulls[row->count] = is_null;
    row->ends[row->count++] = row->cells.len;
}

void console_row_slice(struct console_row *row, struct slice value)
{
    buf_slice(&row->cells, value);
    end_cell(row, false);
}

void console_row_text(struct console_row *row, const char *value)
{
    if (value != NULL)
        buf_text(&row->cells, value);
    end_cell(row, value == NULL);
}

void console_row_number(struct console_row *row, uint64_t value)
{
    buf_format(&row->cells, "%llu", (unsigned long long)value);
    end_cell(row, false);
}

void console_row_null(struct console_row *row)
{
    end_cell(row, true);
}

void console_row_empty(struct console_row *row, size_t cells)
{
    while (cells-- > 0)
        console_row_text(row, row->table->columns[row->count].is_number ? "0" : "");
}

void console_row_end(struct console_row *row, struct buf *out)
{
    struct pg_value values[CONSOLE_COLUMNS_MOST];
    size_t from = 0;

    assert(row->count == row->table->count);
    for (size_t i = 0; i < row->count; i++) {
        values[i].bytes = slice_of(row->cells.at + from, row->ends[i] - from);
        values[i].is_null = row->nulls[i];
        from = row->ends[i];
    }
    pg_put_row(out, values, row->count);
    buf_clear(&row->cells);
    row->count = 0;
}

void console_row_fini(struct console_row *row)
{
    buf_fini(&row->cells);
}

/* ---- columns ---- */

static bool is_binary(const struct console_formats *formats, size_t column)
{
    if (formats == NULL || formats->count == 0)
        return false;
    return formats->list[formats->count == 1 ? 0 : column] == 1;
}

void console_table_put_columns(const struct console_table *t, const struct console_formats *formats,
                               struct buf *out)
{
    struct pg_column columns[CONSOLE_COLUMNS_MOST];

    for (size_t i = 0; i < t->count; i++) {
        columns[i] =
            pg_column_of(t->columns[i].name, t->columns[i].is_number ? PG_TYPE_INT8 : PG_TYPE_TEXT);
        columns[i].format = is_binary(formats, i);
    }
    pg_put_columns(out, columns, t->count);
}

/* ---- merging ---- */

/* A row as it came. */
struct line {
    const struct console_table *table;
    struct pg_row row; /* borrowed from the rows */
};

/* Rows that are not of the table are left out. */
static bool take_line(const struct console_table *t, struct slice *rows, struct line *out)
{
    struct pg_frame f;
    struct slice at;

    while (pg_frame_read(*rows, &f) == ERR_NONE && pg_frame_is_whole(*rows, f)) {
        at = *rows;
        *rows = slice_from(*rows, f.bytes);
        out->table = t;
        if (pg_read_row(pg_frame_body(at, f), &out->row) == ERR_NONE && out->row.count == t->count)
            return true;
    }
    return false;
}

static int compare_bytes(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.at, b.at, len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* Keys are a table's first columns. */
static int by_keys(const void *left, const void *right)
{
    const struct line *a = left, *b = right;

    for (size_t i = 0; a->table->columns[i].merge == CONSOLE_KEY; i++) {
        int order = compare_bytes(pg_row_value(&a->row, i).bytes, pg_row_value(&b->row, i).bytes);

        if (order != 0)
            return order;
    }
    return 0;
}

static uint64_t number_of(struct pg_value v)
{
    uint64_t number = 0;

    return slice_to_u64(v.bytes, &number) ? number : 0;
}

/* What the cells of one column in lines of the same keys come to; numbers are written into
 * `room`. */
static struct pg_value merge_column(const struct line *lines, size_t count, size_t column,
                                    char room[24])
{
    const struct console_column *c = &lines->table->columns[column];
    struct pg_value v = pg_row_value(&lines[0].row, column);
    uint64_t sum = number_of(v), most = sum;

    if (c->merge == CONSOLE_KEY || c->merge == CONSOLE_FIRST || count == 1)
        return v;
    for (size_t i = 1; i < count; i++) {
        struct pg_value other = pg_row_value(&lines[i].row, column);
        uint64_t number = number_of(other);

        sum += number;
        most = number > most ? number : most;
        if (!c->is_number && compare_bytes(other.bytes, v.bytes) > 0)
            v = other;
    }
    if (c->is_number) {
        int len =
            snprintf(room, 24, "%llu", (unsigned long long)(c->merge == CONSOLE_SUM ? sum : most));

        v = (struct pg_value){ .bytes = slice_of(room, (size_t)len) };
    }
    return v;
}

static void put_merged(const struct line *lines, size_t count,
                       const struct console_formats *formats, struct buf *out)
{
    const struct console_table *t = lines->table;
    struct pg_value values[CONSOLE_COLUMNS_MOST];
    char room[CONSOLE_COLUMNS_MOST][24];
    uint64_t binary[CONSOLE_COLUMNS_MOST];

    for (size_t i = 0; i < t->count; i++) {
        values[i] = merge_column(lines, count, i, room[i]);
        if (!t->columns[i].is_number || values[i].is_null || !is_binary(formats, i))
            continue;
        binary[i] = htobe64(number_of(values[i]));
        values[i].bytes = slice_of(&binary[i], sizeof(binary[i]));
    }
    pg_put_row(out, values, t->count);
}

static size_t put_sorted(const struct console_table *t, struct slice rows,
                         const struct console_formats *formats, struct buf *out)
{
    struct line *lines = NULL, line;
    size_t count = 0, room = 0, put = 0, same;

    while (take_line(t, &rows, &line)) {
        if (count == room) {
            room = room == 0 ? 64 : room * 2;
            lines = mem_resize(lines, room * sizeof(*lines));
        }
        lines[count++] = line;
    }
    if (count > 0)
        qsort(lines, count, sizeof(*lines), by_keys);
    for (size_t i = 0; i < count; i += same, put++) {
        for (same = 1; i + same < count && by_keys(&lines[i], &lines[i + same]) == 0;)
            same++;
        put_merged(&lines[i], same, formats, out);
    }
    free(lines);
    return put;
}

size_t console_table_put_rows(const struct console_table *t, struct slice rows,
                              const struct console_formats *formats, struct buf *out)
{
    struct line line;
    size_t put = 0;

    if (t->merges)
        return put_sorted(t, rows, formats, out);
    for (; take_line(t, &rows, &line); put++)
        put_merged(&line, 1, formats, out);
    return put;
}
