/* What a worker has of figures, as rows of the console's tables: what was done, what is known of
 * statements, the configuration, and small lists. */
#include <stdio.h>

#include "config/option.h"
#include "config/tables.h"
#include "proxy/sql/console_flow.h"
#include "proxy/sql/halt_flow.h"

static void put_version(struct sql_side *side, struct console_letter *letter,
                        struct console_row *row)
{
    (void)side;
    console_row_text(row, "Sheaf " SHEAF_VERSION);
    console_row_end(row, &letter->rows);
}

/* ---- stats ---- */

enum { MINUTE_S = 60 };

static void put_totals(const struct sql_ledger *ledger, struct console_row *row)
{
    for (int i = 0; i < SQL_DONE_COUNT; i++)
        console_row_number(row, ledger->done[i]);
}

/* A second's count; of times, what one took. */
static uint64_t average(const uint64_t *minute, enum sql_done what)
{
    static const struct {
        enum sql_done time, of;
    } TIMES[] = {
        { SQL_DONE_TRANSACTION_US, SQL_DONE_TRANSACTIONS },
        { SQL_DONE_QUERY_US, SQL_DONE_QUERIES },
    };

    for (size_t i = 0; i < sizeof(TIMES) / sizeof(TIMES[0]); i++)
        if (TIMES[i].time == what)
            return minute[TIMES[i].of] == 0 ? 0 : minute[what] / minute[TIMES[i].of];
    return minute[what] / MINUTE_S;
}

static void put_averages(const struct sql_ledger *ledger, struct console_row *row)
{
    for (int i = 0; i < SQL_DONE_COUNT; i++)
        console_row_number(row, average(ledger->last_minute, (enum sql_done)i));
}

static void put_stats(struct sql_side *side, struct console_letter *letter, struct console_row *row)
{
    LIST_EACH (&side->ledgers, link) {
        const struct sql_ledger *ledger = LIST_ITEM(link, struct sql_ledger, link);

        console_row_text(row, ledger->database);
        if (letter->table != CONSOLE_TABLE_STATS_AVERAGES)
            put_totals(ledger, row);
        if (letter->table != CONSOLE_TABLE_STATS_TOTALS)
            put_averages(ledger, row);
        console_row_end(row, &letter->rows);
    }
}

/* ---- verdicts ---- */

static const struct sql_account *account_of(struct sql_side *side, uint32_t number)
{
    LIST_EACH (&side->accounts, link) {
        const struct sql_account *a = LIST_ITEM(link, struct sql_account, link);

        if ((uint32_t)a->number == number)
            return a;
    }
    return NULL;
}

static void put_verdict(const struct verdict_view *view, const struct sql_account *a,
                        uint64_t now_ms, struct console_row *row)
{
    bool is_overruled = view->overruled_until > now_ms;
    char shape[40];

    snprintf(shape, sizeof(shape), "%016llx%016llx", (unsigned long long)view->key.high,
             (unsigned long long)view->key.low);
    console_row_text(row, shape);
    console_row_text(row, a == NULL ? "" : a->database);
    console_row_text(row, a == NULL ? "" : a->user);
    console_row_text(row, statement_kind_text((enum statement_kind)view->verdict.kind));
    console_row_text(row, is_overruled
                              ? "primary"
                              : statement_route_text((enum statement_route)view->verdict.route));
    console_row_text(row, is_overruled ? "a replica refused it" : view->verdict.reason);
    console_row_number(row, view->hits);
    console_row_number(row, view->overruled);
    console_row_text(row, view->sqlstate);
    console_row_number(row, is_overruled ? (view->overruled_until - now_ms) / 1000 : 0);
}

static void put_verdicts(struct sql_side *side, struct console_letter *letter,
                         struct console_row *row)
{
    uint64_t now_ms = worker_now_us(side->worker) / 1000;
    const struct sql_account *a = NULL;
    struct verdict_view view;
    size_t cursor = 0;

    while (verdicts_walk(side->verdicts, now_ms, &cursor, &view) && console_row_is_room(letter)) {
        if (a == NULL || (uint32_t)a->number != view.key.role)
            a = account_of(side, view.key.role);
        put_verdict(&view, a, now_ms, row);
        console_row_end(row, &letter->rows);
    }
}

/* ---- pins and waits: of all workers ---- */

static void put_pins(struct sql_side *side, struct console_letter *letter, struct console_row *row)
{
    struct sql_totals totals;

    sql_counts_sum(side->name, "", &totals);
    for (unsigned i = 0; sql_counts_pin_label(i) != NULL; i++) {
        console_row_text(row, sql_counts_pin_label(i));
        console_row_text(row, sql_counts_pin_text(i));
        console_row_number(row, totals.pinned[i]);
        console_row_number(row, totals.pins[i]);
        console_row_end(row, &letter->rows);
    }
}

static void put_waits(struct sql_side *side, struct console_letter *letter, struct console_row *row)
{
    struct sql_totals totals;

    sql_counts_sum(side->name, "", &totals);
    for (int i = 0; i < SQL_COUNTS_WAITS; i++) {
        console_row_text(row, sql_counts_wait_word((enum sql_counts_wait)i));
        console_row_text(row, sql_counts_wait_text((enum sql_counts_wait)i));
        console_row_number(row, totals.waiting[i]);
        console_row_number(row, totals.waits[i]);
        console_row_number(row, totals.wait_us[i]);
        console_row_end(row, &letter->rows);
    }
}

/* ---- configuration ---- */

static void put_option(const struct option *option, const void *settings, const void *presets,
                       struct console_letter *letter, struct console_row *row)
{
    static const char *const FIXED[] = { "workers", "backlog" };
    struct buf value = { 0 }, preset = { 0 };
    bool changes = true;

    option_print(option, settings, &value);
    option_print(option, presets, &preset);
    for (size_t i = 0; i < sizeof(FIXED) / sizeof(FIXED[0]); i++)
        changes &= strcmp(option->name, FIXED[i]) != 0;
    console_row_text(row, option->name);
    if (option->type == OPTION_SECRET && value.len > 0)
        console_row_text(row, "***");
    else
        console_row_slice(row, buf_all(&value));
    console_row_slice(row, buf_all(&preset));
    console_row_text(row, changes ? "yes" : "no");
    console_row_end(row, &letter->rows);
    if (option->type == OPTION_SECRET && value.len > 0)
        explicit_bzero(value.at, value.len);
    buf_fini(&value);
    buf_fini(&preset);
}

static void put_options(const struct option *table, const void *settings, size_t size,
                        struct console_letter *letter, struct console_row *row)
{
    struct arena arena = { 0 };
    void *presets = arena_new(&arena, size);

    option_set_presets(table, presets, &arena);
    for (const struct option *option = table; option->name != NULL; option++)
        if (option->type != OPTION_LINES)
            put_option(option, settings, presets, letter, row);
    arena_fini(&arena);
}

static void put_config(struct sql_side *side, struct console_letter *letter,
                       struct console_row *row)
{
    console_row_text(row, "pool");
    console_row_text(row, side->name);
    console_row_text(row, "");
    console_row_text(row, "no");
    console_row_end(row, &letter->rows);
    put_options(tables_proxy, &side->assembly->snapshot->proxy, sizeof(struct proxy_settings),
                letter, row);
    put_options(tables_sql, side->settings, sizeof(struct sql_pool), letter, row);
}

/* ---- lists ---- */

static void put_item(struct console_letter *letter, struct console_row *row, const char *name,
                     uint64_t items)
{
    console_row_text(row, name);
    console_row_number(row, items);
    console_row_end(row, &letter->rows);
}

struct census {
    uint32_t idle, used, login, free_servers, used_servers;
};

static void count_sessions(struct sql_side *side, struct census *n)
{
    LIST_EACH (&side->worker->sessions, link) {
        struct session *base = LIST_ITEM(link, struct session, link);
        struct sql_session *s = (struct sql_session *)base;

        if (base->limits->flow != &sql_flow || sql_side_of(s) != side ||
            base->state == SESSION_CLOSING)
            continue;
        if (s->stage < SQL_READY)
            n->login++;
        else if (s->lease == NULL && s->waits == SQL_WAITS_NOT && s->stage == SQL_READY)
            n->idle++;
        else
            n->used++;
    }
}

static void count_upstreams(struct sql_side *side, struct census *n)
{
    LIST_EACH (&side->worker->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);
        struct sql_upstream *u = (struct sql_upstream *)base;

        if (base->flow != &sql_flow || base->state == UPSTREAM_RETIRED || u->endpoint->side != side)
            continue;
        if (list_is_linked(&u->idle_link))
            n->free_servers++;
        else
            n->used_servers++;
    }
}

static void put_lists(struct sql_side *side, struct console_letter *letter, struct console_row *row)
{
    bool is_first = side->worker->index == 0; /* what all workers would say is said once */
    struct census n = { 0 };
    uint32_t pools = 0;

    count_sessions(side, &n);
    count_upstreams(side, &n);
    LIST_EACH (&side->accounts, link)
        pools++;
    put_item(letter, row, "databases", is_first ? side->settings->database_count : 0);
    put_item(letter, row, "users", is_first ? side->settings->user_count : 0);
    put_item(letter, row, "pools", pools);
    put_item(letter, row, "free_clients", n.idle);
    put_item(letter, row, "used_clients", n.used);
    put_item(letter, row, "login_clients", n.login);
    put_item(letter, row, "free_servers", n.free_servers);
    put_item(letter, row, "used_servers", n.used_servers);
    put_item(letter, row, "dns_names", 0);
    put_item(letter, row, "dns_zones", 0);
    put_item(letter, row, "dns_queries", 0);
    put_item(letter, row, "dns_pending", 0);
    put_item(letter, row, "endpoints", is_first ? side->endpoint_count : 0);
    put_item(letter, row, "workers", 1);
}

static void put_memory(struct console_letter *letter, struct console_row *row, const char *name,
                       uint64_t size, uint64_t used, uint64_t all)
{
    console_row_text(row, name);
    console_row_number(row, size);
    console_row_number(row, used);
    console_row_number(row, size > 0 && all > size * used ? (all - size * used) / size : 0);
    console_row_number(row, all);
    console_row_end(row, &letter->rows);
}

static void put_mem(struct sql_side *side, struct console_letter *letter, struct console_row *row)
{
    struct census n = { 0 };
    struct verdicts_counts v;
    size_t count, bytes;

    count_sessions(side, &n);
    count_upstreams(side, &n);
    put_memory(letter, row, "sessions", sizeof(struct sql_session), n.idle + n.used + n.login,
               sizeof(struct sql_session) * (uint64_t)(n.idle + n.used + n.login));
    put_memory(letter, row, "upstreams", sizeof(struct sql_upstream),
               n.free_servers + n.used_servers,
               sizeof(struct sql_upstream) * (uint64_t)(n.free_servers + n.used_servers));
    verdicts_count(side->verdicts, &v);
    put_memory(letter, row, "verdicts", 0, v.entries, v.bytes);
    pg_statements_count(side->statements, &count, &bytes);
    put_memory(letter, row, "statements", 0, count, bytes);
    pg_settings_pool_count(side->interned, &count, &bytes);
    put_memory(letter, row, "settings", 0, count, bytes);
    put_memory(letter, row, "buffers", 1, worker_bytes(side->worker), worker_bytes(side->worker));
}

static void put_state(struct sql_side *side, struct console_letter *letter, struct console_row *row)
{
    bool paused = !list_is_empty(&side->halts);
    const struct {
        const char *key, *value;
    } STATES[] = {
        { "active", sql_halt_stops(side, NULL) ? "no" : "yes" },
        { "paused", paused ? "yes" : "no" },
        { "suspended", "no" },
    };

    for (size_t i = 0; i < sizeof(STATES) / sizeof(STATES[0]); i++) {
        console_row_text(row, STATES[i].key);
        console_row_text(row, STATES[i].value);
        console_row_end(row, &letter->rows);
    }
}

typedef void put_rows_f(struct sql_side *side, struct console_letter *letter,
                        struct console_row *row);

bool console_put_figures(struct sql_side *side, struct console_letter *letter)
{
    static put_rows_f *const ALL[CONSOLE_TABLES] = {
        [CONSOLE_TABLE_VERSION] = put_version,    [CONSOLE_TABLE_STATS] = put_stats,
        [CONSOLE_TABLE_STATS_TOTALS] = put_stats, [CONSOLE_TABLE_STATS_AVERAGES] = put_stats,
        [CONSOLE_TABLE_VERDICTS] = put_verdicts,  [CONSOLE_TABLE_PINS] = put_pins,
        [CONSOLE_TABLE_WAITS] = put_waits,        [CONSOLE_TABLE_CONFIG] = put_config,
        [CONSOLE_TABLE_LISTS] = put_lists,        [CONSOLE_TABLE_MEM] = put_mem,
        [CONSOLE_TABLE_STATE] = put_state,
    };
    struct console_row row = { .table = console_table(letter->table) };

    if (ALL[letter->table] == NULL)
        return false;
    ALL[letter->table](side, letter, &row);
    console_row_fini(&row);
    return true;
}
