/* See commands_table.h.  Cells are gathered first, so that columns are as wide as they must be. */
#include "proxy/commands_table.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/base/mem.h"

enum { COLUMNS = 12, CELL_BYTES = 160 };

enum colour { PLAIN, BOLD, GREEN, YELLOW, RED, DIM };

struct row {
    char cell[COLUMNS][CELL_BYTES];
    enum colour state; /* of the state's column */
    bool is_pool;
};

struct table {
    struct row *rows; /* owned */
    size_t count;
    bool with_colours;
    unsigned width; /* 0: no limit */
    struct buf *out;
};

enum {
    COLUMN_NAME,
    COLUMN_STATE,
    COLUMN_SINCE,
    COLUMN_RATE,
    COLUMN_FAILURES,
    COLUMN_P50,
    COLUMN_P99,
    COLUMN_P999,
    COLUMN_IN,
    COLUMN_OUT,
    COLUMN_OPEN,
    COLUMN_NOTE,
};

static const struct {
    const char *title;
    bool is_left;
} HEADS[COLUMNS] = {
    [COLUMN_NAME] = { "POOL / SHARD", true }, [COLUMN_STATE] = { "STATE", true },
    [COLUMN_SINCE] = { "FOR", false },        [COLUMN_RATE] = { "REQ/S", false },
    [COLUMN_FAILURES] = { "FAIL/S", false },  [COLUMN_P50] = { "P50", false },
    [COLUMN_P99] = { "P99", false },          [COLUMN_P999] = { "P99.9", false },
    [COLUMN_IN] = { "IN/S", false },          [COLUMN_OUT] = { "OUT/S", false },
    [COLUMN_OPEN] = { "OPEN", false },        [COLUMN_NOTE] = { "NOTE", true },
};

/* ---- values ---- */

static const cJSON *at(const cJSON *json, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(json, name);
}

static double number(const cJSON *json, const char *name)
{
    const cJSON *item = at(json, name);

    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* Control letters, of ASCII and beyond ("C1"), which UTF-8 writes as two bytes. */
static size_t control_len(const char *letter)
{
    uint8_t first = (uint8_t)letter[0], second = first == '\0' ? 0 : (uint8_t)letter[1];

    if (first == 0xc2 && second >= 0x80 && second < 0xa0)
        return 2;
    return first < ' ' || first == 0x7f;
}

/* Some of it was said by a server: nothing in it may steer the terminal. */
static const char *tame(char *words)
{
    for (char *letter = words; letter != NULL && *letter != '\0'; letter++)
        for (size_t len = control_len(letter); len > 0; len--)
            letter[len - 1] = '?';
    return words == NULL ? "" : words;
}

static const char *text(const cJSON *json, const char *name)
{
    const cJSON *item = at(json, name);

    return cJSON_IsString(item) ? tame(item->valuestring) : "";
}

static void put_amount(char *cell, double value)
{
    static const char *const UNITS[] = { "", "k", "M", "G", "T" };
    int unit = 0;

    while (value >= 9999.5 && unit < 4) {
        value /= 1000;
        unit++;
    }
    if (value >= 99.95 || (unit == 0 && value == (double)(long)value))
        snprintf(cell, CELL_BYTES, "%.0f%s", value, UNITS[unit]);
    else
        snprintf(cell, CELL_BYTES, "%.1f%s", value, UNITS[unit]);
}

static void put_bytes(char *cell, double value)
{
    static const char *const UNITS[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    int unit = 0;

    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    snprintf(cell, CELL_BYTES, value < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", value, UNITS[unit]);
}

static void put_microseconds(char *cell, double us)
{
    if (us < 1000)
        snprintf(cell, CELL_BYTES, "%.0f us", us);
    else if (us < 1e6)
        snprintf(cell, CELL_BYTES, us < 1e5 ? "%.1f ms" : "%.0f ms", us / 1e3);
    else
        snprintf(cell, CELL_BYTES, "%.2f s", us / 1e6);
}

static void put_seconds(char *cell, double s)
{
    unsigned long whole = (unsigned long)s;

    if (whole < 120)
        snprintf(cell, CELL_BYTES, "%lus", whole);
    else if (whole < 7200)
        snprintf(cell, CELL_BYTES, "%lum", whole / 60);
    else if (whole < 172800)
        snprintf(cell, CELL_BYTES, "%luh", whole / 3600);
    else
        snprintf(cell, CELL_BYTES, "%lud", whole / 86400);
}

/* ---- rows ---- */

static struct row *add_row(struct table *t)
{
    t->rows = mem_resize(t->rows, (t->count + 1) * sizeof(*t->rows));
    memset(&t->rows[t->count], 0, sizeof(*t->rows));
    return &t->rows[t->count++];
}

static void put_figures(struct row *r, const cJSON *json)
{
    const cJSON *rates = at(json, "per_second"), *recent = at(at(json, "latency_us"), "recent");

    put_amount(r->cell[COLUMN_RATE], number(rates, "requests"));
    put_amount(r->cell[COLUMN_FAILURES], number(rates, "failures"));
    put_bytes(r->cell[COLUMN_IN], number(rates, "received_bytes"));
    put_bytes(r->cell[COLUMN_OUT], number(rates, "sent_bytes"));
    if (number(recent, "count") == 0)
        return;
    put_microseconds(r->cell[COLUMN_P50], number(recent, "p50"));
    put_microseconds(r->cell[COLUMN_P99], number(recent, "p99"));
    put_microseconds(r->cell[COLUMN_P999], number(recent, "p999"));
}

static enum colour colour_of(const char *state)
{
    if (strcmp(state, "up") == 0)
        return GREEN;
    return strcmp(state, "down") == 0 ? RED : YELLOW;
}

/* What a server of an SQL pool is now, whatever the configuration says; "" of a shard. */
static const char *role_of(const cJSON *endpoint)
{
    const char *role = text(at(endpoint, "standing"), "role");

    return strcmp(role, "unknown") == 0 ? "?" : role;
}

/* Does its place in the cluster keep it from answering reads? */
static bool is_unfit(const cJSON *endpoint)
{
    const char *fit = text(at(endpoint, "standing"), "fit");

    return fit[0] != '\0' && strcmp(fit, "fresh") != 0 && strcmp(fit, "unknown") != 0;
}

/* Connections of SQL pools: what they are doing. */
static void put_servers(char *cell, const cJSON *servers)
{
    double starting = number(servers, "starting");

    if (servers == NULL)
        return;
    snprintf(cell, CELL_BYTES, "%.0f active, %.0f idle", number(servers, "active"),
             number(servers, "idle"));
    if (starting > 0)
        snprintf(cell + strlen(cell), CELL_BYTES - strlen(cell), ", %.0f starting", starting);
}

/* Of an embedded one. */
static void put_store(char *cell, const cJSON *endpoint)
{
    double percent = number(endpoint, "purge_percent");
    char keys[CELL_BYTES], bytes[CELL_BYTES];

    put_amount(keys, number(endpoint, "store_keys"));
    put_bytes(bytes, number(endpoint, "store_bytes"));
    snprintf(cell, CELL_BYTES, "%.12s keys, %.12s", keys, bytes);
    if (number(endpoint, "purge_began_seconds") > 0 && percent < 100)
        snprintf(cell + strlen(cell), CELL_BYTES - strlen(cell), ", purge at %.0f %%", percent);
}

static void put_endpoint(struct table *t, const cJSON *endpoint)
{
    const cJSON *health = at(endpoint, "health"), *probe = at(health, "probe");
    struct row *r = add_row(t);
    const char *reason = text(health, "text"), *words = text(probe, "text");
    const char *role = role_of(endpoint);

    if (role[0] != '\0')
        snprintf(r->cell[COLUMN_NAME], CELL_BYTES, "  %-7.16s  %.70s", role,
                 text(endpoint, "endpoint"));
    else
        snprintf(r->cell[COLUMN_NAME], CELL_BYTES, "  %.0f  %.80s", number(endpoint, "index"),
                 text(endpoint, "endpoint"));
    snprintf(r->cell[COLUMN_STATE], CELL_BYTES, "%s", text(health, "state"));
    r->state = colour_of(r->cell[COLUMN_STATE]);
    if (r->state == GREEN && is_unfit(endpoint))
        r->state = YELLOW;
    put_seconds(r->cell[COLUMN_SINCE], number(health, "for_s"));
    put_figures(r, endpoint);
    put_amount(r->cell[COLUMN_OPEN], number(endpoint, "upstreams_open"));
    if (strcmp(text(health, "reason"), "store_failed") == 0)
        snprintf(r->cell[COLUMN_NOTE], CELL_BYTES, "%.100s", words);
    else if (reason[0] != '\0')
        snprintf(r->cell[COLUMN_NOTE], CELL_BYTES, "%s", reason);
    else if (is_unfit(endpoint))
        snprintf(r->cell[COLUMN_NOTE], CELL_BYTES, "%.90s", text(at(endpoint, "standing"), "text"));
    else if (words[0] != '\0')
        snprintf(r->cell[COLUMN_NOTE], CELL_BYTES, "probe: %.80s", words);
    else if (number(endpoint, "store_keys") > 0 || number(endpoint, "store_bytes") > 0)
        put_store(r->cell[COLUMN_NOTE], endpoint);
    else
        put_servers(r->cell[COLUMN_NOTE], at(endpoint, "servers"));
}

/* ---- what was asked ---- */

enum { BUCKETS_SHOWN = 5, OPERATIONS_SHOWN = 12, HOT_KEYS_SHOWN = 3 };

/* Of a bucket or an operation, since the start. */
static void put_asked(struct table *t, const char *kind, const char *name, const cJSON *counts)
{
    struct row *r = add_row(t);
    char requests[CELL_BYTES], errors[CELL_BYTES], in[CELL_BYTES], out[CELL_BYTES],
        mean[CELL_BYTES];

    put_amount(requests, number(counts, "requests"));
    put_amount(errors, number(counts, "errors"));
    put_bytes(in, number(counts, "received_bytes"));
    put_bytes(out, number(counts, "sent_bytes"));
    put_microseconds(mean, number(counts, "mean_us"));
    snprintf(r->cell[COLUMN_NAME], CELL_BYTES, "  %s%.60s", kind, name);
    snprintf(r->cell[COLUMN_NOTE], CELL_BYTES,
             "%.12s asked, %.12s errors, %.12s in, %.12s out, mean %.12s", requests, errors, in,
             out, mean);
}

/* Who was asked for more than this, and most of those; NULL: nobody. */
static const cJSON *next_busy(const cJSON *list, const cJSON *before)
{
    const cJSON *best = NULL, *one;
    bool is_behind = before == NULL;

    cJSON_ArrayForEach(one, list)
    {
        double asked = number(one, "requests"), most = number(before, "requests");
        bool fits = before == NULL || asked < most || (asked == most && is_behind);

        if (one == before)
            is_behind = true;
        else if (fits && (best == NULL || asked > number(best, "requests")))
            best = one;
    }
    return best;
}

static void put_list(struct table *t, const char *name, const struct buf *words)
{
    struct row *r;

    if (words->len == 0)
        return;
    r = add_row(t);
    snprintf(r->cell[COLUMN_NAME], CELL_BYTES, "  %s", name);
    snprintf(r->cell[COLUMN_NOTE], CELL_BYTES, "%.*s", (int)words->len, (const char *)words->at);
}

/* {"temp": {"now": 1, "total": 3}} as "temp 1 now, 3 in all"; what never was is left out. */
static void put_states(struct table *t, const char *name, const cJSON *states)
{
    struct buf words = { 0 };
    const cJSON *one;

    cJSON_ArrayForEach(one, states)
    {
        char now[CELL_BYTES], total[CELL_BYTES];

        if (number(one, "total") == 0 || words.len > CELL_BYTES)
            continue;
        put_amount(now, number(one, "now"));
        put_amount(total, number(one, "total"));
        buf_format(&words, "%s%s %s now, %s in all", words.len > 0 ? "; " : "", tame(one->string),
                   now, total);
    }
    put_list(t, name, &words);
    buf_fini(&words);
}

/* {"NoSuchKey": 3} as "NoSuchKey 3", as far as there is room. */
static void put_words(struct table *t, const char *name, const cJSON *counts)
{
    struct buf words = { 0 };
    const cJSON *one;

    cJSON_ArrayForEach(one, counts)
    {
        char amount[CELL_BYTES];

        if (!cJSON_IsNumber(one) || one->valuedouble == 0 || words.len > CELL_BYTES)
            continue;
        put_amount(amount, one->valuedouble);
        buf_format(&words, "%s%s %s", words.len > 0 ? ", " : "", tame(one->string), amount);
    }
    put_list(t, name, &words);
    buf_fini(&words);
}

static void put_blob(struct table *t, const cJSON *pool)
{
    const cJSON *buckets = at(pool, "buckets"), *one = NULL;
    int shown = 0;

    while (shown++ < BUCKETS_SHOWN && (one = next_busy(buckets, one)) != NULL)
        if (text(one, "name")[0] != '\0')
            put_asked(t, "bucket ", text(one, "name"), one);
    one = NULL;
    shown = 0;
    while (shown++ < OPERATIONS_SHOWN && (one = next_busy(at(pool, "operations"), one)) != NULL)
        put_asked(t, "", tame(one->string), one);
    put_words(t, "errors", at(pool, "errors"));
}

/* "user:17 250/s, user:3 80/s": the keys that are asked for most. */
static void put_hot(struct buf *out, const cJSON *keys)
{
    const cJSON *key;
    int shown = 0;

    cJSON_ArrayForEach(key, keys)
    {
        char rate[CELL_BYTES];

        if (shown++ == HOT_KEYS_SHOWN)
            break;
        put_amount(rate, number(key, "per_second"));
        buf_format(out, "%s%.24s%s %s/s", shown > 1 ? ", " : "", text(key, "key"),
                   cJSON_IsTrue(at(key, "key_is_cut")) ? "..." : "", rate);
    }
}

static void put_class(struct table *t, const cJSON *class)
{
    const cJSON *totals = at(class, "totals");
    struct row *r = add_row(t);
    struct buf note = { 0 };
    char requests[CELL_BYTES], refused[CELL_BYTES], hits[CELL_BYTES];

    put_amount(requests, number(totals, "requests"));
    put_amount(refused, number(totals, "refused"));
    put_amount(hits, number(totals, "cache_hits"));
    buf_format(&note, "%.12s asked", requests);
    if (number(totals, "refused") > 0)
        buf_format(&note, ", %.12s refused", refused);
    if (number(class, "cache_ms") > 0)
        buf_format(&note, ", %.12s from the cache", hits);
    if (cJSON_GetArraySize(at(class, "hot_keys")) > 0)
        buf_text(&note, "; ");
    put_hot(&note, at(class, "hot_keys"));
    snprintf(r->cell[COLUMN_NAME], CELL_BYTES, "  class %.60s", text(class, "name"));
    snprintf(r->cell[COLUMN_NOTE], CELL_BYTES, "%.*s", (int)note.len, (const char *)note.at);
    buf_fini(&note);
}

/* Of keys, and of those that are of no class. */
static void put_classes(struct table *t, const cJSON *pool)
{
    struct buf hot = { 0 };
    const cJSON *class;

    cJSON_ArrayForEach(class, at(pool, "classes")) put_class(t, class);
    put_hot(&hot, at(pool, "hot_keys"));
    if (hot.len > 0) {
        struct row *r = add_row(t);

        snprintf(r->cell[COLUMN_NAME], CELL_BYTES, "  hot keys");
        snprintf(r->cell[COLUMN_NOTE], CELL_BYTES, "%.*s", (int)hot.len, (const char *)hot.at);
    }
    buf_fini(&hot);
}

static const char *trouble_of(const cJSON *primary)
{
    if (cJSON_IsTrue(at(primary, "split")))
        return ", MORE THAN ONE PRIMARY";
    return text(primary, "endpoint")[0] == '\0' ? ", NO PRIMARY" : "";
}

/* What its sessions do, and whether any must wait. */
static void put_clients(char *cell, const cJSON *clients)
{
    size_t len = strlen(cell);

    if (clients == NULL)
        return;
    snprintf(cell + len, CELL_BYTES - len, "; %.0f active, %.0f waiting, %.0f pinned",
             number(clients, "active"), number(clients, "waiting"), number(clients, "pinned"));
}

static void put_pool(struct table *t, const cJSON *pool)
{
    bool is_sql = strcmp(text(pool, "kind"), "sql") == 0;
    const cJSON *endpoints = at(pool, is_sql ? "endpoints" : "shards"), *endpoint;
    size_t index = t->count;
    unsigned up = 0, all = 0;
    struct row *r;

    add_row(t);
    cJSON_ArrayForEach(endpoint, endpoints)
    {
        put_endpoint(t, endpoint);
        all++;
        up += cJSON_IsTrue(at(at(endpoint, "health"), "up"));
    }
    r = &t->rows[index]; /* the rows may have moved */
    r->is_pool = true;
    snprintf(r->cell[COLUMN_NAME], CELL_BYTES, "%s", text(pool, "name"));
    snprintf(r->cell[COLUMN_STATE], CELL_BYTES, "%u/%u up", up, all);
    r->state = up == all ? GREEN : up == 0 ? RED : YELLOW;
    put_figures(r, pool);
    put_amount(r->cell[COLUMN_OPEN], number(pool, "sessions_open"));
    if (is_sql) {
        snprintf(r->cell[COLUMN_NOTE], CELL_BYTES, "%.20s pooling, %.20s reads%s",
                 text(pool, "pooling"), text(pool, "reads"), trouble_of(at(pool, "primary")));
        put_clients(r->cell[COLUMN_NOTE], at(pool, "clients"));
    } else {
        snprintf(r->cell[COLUMN_NOTE], CELL_BYTES, "%.40s, %.40s", text(pool, "hash"),
                 text(pool, "distribution"));
    }
    put_classes(t, pool);
    put_blob(t, pool);
    put_words(t, "routed", at(pool, "routed"));
    put_states(t, "pinned by", at(pool, "pins"));
    put_states(t, "waits for", at(pool, "waits"));
    put_words(t, "verdicts", at(pool, "verdicts"));
}

/* ---- drawing ---- */

static void put_coloured(struct table *t, enum colour colour, const char *format, int width,
                         const char *value)
{
    static const char *const CODES[] = {
        [PLAIN] = "",          [BOLD] = "\033[1m",   [GREEN] = "\033[32m",
        [YELLOW] = "\033[33m", [RED] = "\033[1;31m", [DIM] = "\033[2m",
    };
    bool is_on = t->with_colours && colour != PLAIN;

    if (is_on)
        buf_text(t->out, CODES[colour]);
    buf_format(t->out, format[1] == '-' ? "%-*s" : "%*s", width, value);
    if (is_on)
        buf_text(t->out, "\033[0m");
}

static void put_cell(struct table *t, int column, int width, const char *value, enum colour colour)
{
    if (column == COLUMN_NOTE && value[0] == '\0')
        return;
    if (column > 0)
        buf_text(t->out, "  ");
    put_coloured(t, colour, HEADS[column].is_left ? "%-" : "%", column == COLUMN_NOTE ? 0 : width,
                 value);
}

static void measure(const struct table *t, int *width)
{
    for (int c = 0; c < COLUMNS; c++) {
        width[c] = (int)strlen(HEADS[c].title);
        for (size_t i = 0; i < t->count; i++)
            if ((int)strlen(t->rows[i].cell[c]) > width[c])
                width[c] = (int)strlen(t->rows[i].cell[c]);
    }
}

/* What is left out has width 0.  A note that is cut says enough with 30 letters. */
static void fit(const struct table *t, int *width)
{
    static const int LEAST_FIRST[] = { COLUMN_OUT, COLUMN_IN,   COLUMN_P999,
                                       COLUMN_P50, COLUMN_OPEN, COLUMN_P99 };
    int all = width[COLUMN_NOTE] > 30 ? 30 : width[COLUMN_NOTE];

    for (int c = 0; c < COLUMN_NOTE; c++)
        all += width[c] + 2;
    for (size_t i = 0; i < sizeof(LEAST_FIRST) / sizeof(LEAST_FIRST[0]); i++) {
        if (t->width == 0 || all <= (int)t->width)
            return;
        all -= width[LEAST_FIRST[i]] + 2;
        width[LEAST_FIRST[i]] = 0;
    }
}

static void draw_row(struct table *t, const struct row *r, const int *width)
{
    for (int c = 0; c < COLUMNS; c++)
        if (width[c] > 0)
            put_cell(t, c, width[c], r->cell[c],
                     c == COLUMN_STATE                ? r->state
                     : r->is_pool && c == COLUMN_NAME ? BOLD
                                                      : PLAIN);
    buf_text(t->out, "\n");
}

static void draw(struct table *t)
{
    int width[COLUMNS];

    measure(t, width);
    fit(t, width);
    for (int c = 0; c < COLUMNS; c++)
        if (width[c] > 0)
            put_cell(t, c, width[c], HEADS[c].title, DIM);
    buf_text(t->out, "\n");
    for (size_t i = 0; i < t->count; i++)
        draw_row(t, &t->rows[i], width);
}

static void draw_head(struct table *t, const cJSON *json)
{
    const cJSON *memory = at(json, "memory"), *limits = at(json, "limits");
    char uptime[CELL_BYTES], held[CELL_BYTES], most[CELL_BYTES], resident[CELL_BYTES];

    put_seconds(uptime, number(json, "uptime_s"));
    put_bytes(held, number(memory, "held_bytes"));
    put_bytes(most, number(limits, "max_memory_bytes"));
    put_bytes(resident, number(memory, "resident_bytes"));
    put_coloured(t, BOLD, "%-", 0, "sheaf ");
    buf_format(t->out, "%s  %s, up %s, configuration %.0f of %s\n", text(json, "version"),
               text(json, "state"), uptime, number(json, "generation"), text(json, "file"));
    buf_format(t->out,
               "sessions %.0f of %.0f, buffers %s of %s, resident %s, %.0f workers, "
               "%.0f open files\n\n",
               number(at(json, "sessions"), "open"), number(limits, "max_sessions"), held, most,
               resident, number(json, "workers"), number(at(json, "process"), "open_files"));
}

enum err commands_table_print(struct slice json, bool with_colours, unsigned width, struct buf *out)
{
    struct table t = { .with_colours = with_colours, .width = width, .out = out };
    cJSON *all = cJSON_ParseWithLength((const char *)json.at, json.len);
    const cJSON *pools = at(all, "pools"), *pool;

    if (!cJSON_IsArray(pools)) {
        cJSON_Delete(all);
        return ERR_SYNTAX;
    }
    draw_head(&t, all);
    cJSON_ArrayForEach(pool, pools) put_pool(&t, pool);
    draw(&t);
    free(t.rows);
    cJSON_Delete(all);
    return ERR_NONE;
}
