/* What a worker has of sessions, upstreams, pools, databases, users and endpoints, as rows of the
 * console's tables.  One pass over all sessions and upstreams each: there may be many. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "proxy/io/tls.h"
#include "proxy/sql/console_flow.h"
#include "proxy/sql/halt_flow.h"
#include "replica/position.h"

bool console_row_is_room(struct console_letter *letter)
{
    letter->cut |= letter->rows.len > CONSOLE_ROWS_BYTES;
    return !letter->cut;
}

/* "2026-01-31 12:00:00 UTC" of a time of the monotonic clock. */
static void console_row_time(struct console_row *row, uint64_t monotonic_us, uint64_t now_us)
{
    time_t wall = time(NULL) - (time_t)((now_us - monotonic_us) / 1000000);
    struct tm parts;
    char text[40];

    gmtime_r(&wall, &parts);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
    console_row_text(row, text);
}

/* "[::1]:5432" as two cells. */
static void put_address(struct console_row *row, char *text)
{
    char *port = strrchr(text, ':');

    if (port == NULL) {
        console_row_text(row, text);
        console_row_number(row, 0);
        return;
    }
    *port = '\0';
    if (text[0] == '[' && port[-1] == ']') {
        port[-1] = '\0';
        text++;
    }
    console_row_text(row, text);
    console_row_number(row, strtoul(port + 1, NULL, 10));
}

/* "12 seconds and 34 microseconds" as two cells. */
static void put_wait(struct console_row *row, uint64_t since_us, uint64_t now_us)
{
    uint64_t waited_us = since_us == 0 || since_us > now_us ? 0 : now_us - since_us;

    console_row_number(row, waited_us / 1000000);
    console_row_number(row, waited_us % 1000000);
}

static const char *address_host(const struct address *a)
{
    return a->path != NULL ? a->path : a->host;
}

static const char *route_name(enum sql_route route)
{
    static const char *const NAMES[] = { "auto", "primary", "replica" };

    return NAMES[route];
}

static const char *role_of(const struct sql_endpoint *e)
{
    return e == sql_primary(e->side) ? "primary" : "replica";
}

static bool is_session_of(const struct session *base, const struct sql_side *side)
{
    return base->limits->flow == &sql_flow && base->state != SESSION_CLOSING &&
           sql_side_of((const struct sql_session *)base) == side;
}

static bool is_upstream_of(const struct upstream *base, const struct sql_side *side)
{
    return base->flow == &sql_flow && base->state != UPSTREAM_RETIRED &&
           ((const struct sql_upstream *)base)->endpoint->side == side;
}

static void put_tls(struct console_row *row, const struct conn *conn)
{
    console_row_text(row, conn->tls == NULL ? "" : tls_describe(conn->tls));
}

static void put_application(struct console_row *row, const struct pg_settings *settings)
{
    struct slice value = { 0 };

    if (pg_settings_find(settings, slice_text("application_name"), &value))
        console_row_slice(row, value);
    else
        console_row_text(row, "");
}

static void put_upstream_name(struct console_row *row, const struct sql_upstream *u)
{
    char text[64] = "";

    if (u != NULL)
        snprintf(text, sizeof(text), "S-%u-%u", u->endpoint->index, u->key_pid);
    console_row_text(row, text);
}

static void put_pins(struct console_row *row, uint32_t pins)
{
    struct buf text = { 0 };

    pg_pins_put_text(&text, pins);
    console_row_slice(row, buf_all(&text));
    buf_fini(&text);
}

/* ---- clients ---- */

static const char *state_of(const struct sql_session *s)
{
    if (s->stage == SQL_ASKING || (s->stage == SQL_WELCOMING && s->waits == SQL_WAITS_NOT))
        return "login";
    if (s->waits != SQL_WAITS_NOT)
        return "waiting";
    return s->lease != NULL || s->stage == SQL_CONSOLE ? "active" : "idle";
}

static const char *wait_of(const struct sql_session *s)
{
    return s->waits == SQL_WAITS_NOT
               ? ""
               : sql_counts_wait_word((enum sql_counts_wait)(s->waits - SQL_WAITS_LEASE));
}

static void put_client(struct sql_session *s, struct console_letter *letter,
                       struct console_row *row)
{
    struct worker *w = s->base.worker;
    uint64_t now_us = worker_now_us(w);
    char address[80], local[80], name[32];

    session_address(&s->base, address, sizeof(address));
    session_local_address(&s->base, local, sizeof(local));
    snprintf(name, sizeof(name), "C-%llu", (unsigned long long)s->base.id);
    console_row_text(row, "C");
    console_row_text(row, s->console != NULL ? s->console->user : s->account->user);
    console_row_text(row, s->console != NULL ? "sheaf" : s->account->database);
    console_row_text(row, s->stage == SQL_TUNNEL ? "physical or logical" : "none");
    console_row_text(row, state_of(s));
    put_address(row, address);
    put_address(row, local);
    console_row_time(row, (uint64_t)s->base.opened_s * 1000000, now_us);
    console_row_time(row, (uint64_t)s->base.active_s * 1000000, now_us);
    put_wait(row, s->waits == SQL_WAITS_NOT ? 0 : s->wait_since_us, now_us);
    console_row_number(row, s->base.winds_down || s->stage == SQL_LEAVING);
    console_row_text(row, name);
    put_upstream_name(row, s->lease);
    console_row_number(row, 0);
    put_tls(row, &s->base.conn);
    put_application(row, s->settings.current);
    console_row_number(row, s->account == NULL ? 0 : pg_statements_session_count(&s->statements));
    console_row_number(row, s->base.id);
    console_row_text(row, letter->pool);
    console_row_number(row, w->index);
    console_row_text(row, route_name((enum sql_route)s->route));
    console_row_text(row, s->lease == NULL ? "" : s->lease->endpoint->name);
    console_row_text(row, wait_of(s));
    put_pins(row, s->pins);
    console_row_end(row, &letter->rows);
}

static void put_clients(struct sql_side *side, struct console_letter *letter,
                        struct console_row *row)
{
    LIST_EACH (&side->worker->sessions, link) {
        struct session *base = LIST_ITEM(link, struct session, link);
        struct sql_session *s = (struct sql_session *)base;

        if (!is_session_of(base, side) || (s->account == NULL && s->console == NULL) ||
            s->stage == SQL_LEAVING)
            continue;
        if (!console_row_is_room(letter))
            return;
        put_client(s, letter, row);
    }
}

/* ---- servers ---- */

static const char *state_of_upstream(const struct sql_upstream *u)
{
    if (!u->stood)
        return "login";
    if (u->tunnel != NULL)
        return "tunnel";
    if (u->roster == NULL)
        return "sampler";
    if (u->cancels > 0)
        return "being_canceled";
    if (u->lessee != NULL)
        return "active";
    return u->resetting ? "tested" : "idle";
}

static void put_own_address(const struct sql_upstream *u, struct console_row *row)
{
    struct session shape = { .conn.fd = u->base.conn.fd };
    char local[80];

    session_local_address(&shape, local, sizeof(local));
    put_address(row, local);
}

static void put_server(struct sql_upstream *u, struct console_letter *letter,
                       struct console_row *row)
{
    struct worker *w = u->base.worker;
    const struct address *a = &u->base.endpoint->address;
    uint64_t now_us = worker_now_us(w);
    struct buf link = { 0 };

    console_row_text(row, "S");
    console_row_text(row, u->account->user);
    console_row_text(row, u->account->database);
    console_row_text(row, u->tunnel != NULL ? "physical or logical" : "none");
    console_row_text(row, state_of_upstream(u));
    console_row_text(row, address_host(a));
    console_row_number(row, a->path != NULL ? u->base.endpoint->socket_port : a->port);
    put_own_address(u, row);
    console_row_time(row, u->born_us, now_us);
    console_row_time(row, u->asked_us == 0 ? u->born_us : u->asked_us, now_us);
    put_wait(row, 0, now_us);
    console_row_number(row, u->ending);
    put_upstream_name(row, u);
    if (u->lessee != NULL)
        buf_format(&link, "C-%llu", (unsigned long long)u->lessee->base.id);
    console_row_slice(row, buf_all(&link));
    buf_fini(&link);
    console_row_number(row, u->key_pid);
    put_tls(row, &u->base.conn);
    put_application(row, u->settings);
    console_row_number(row, u->prepared.count);
    console_row_number(row, u->lessee == NULL ? 0 : u->lessee->base.id);
    console_row_text(row, letter->pool);
    console_row_number(row, w->index);
    console_row_text(row, role_of(u->endpoint));
    console_row_text(row, u->endpoint->name);
    put_pins(row, u->lessee == NULL ? 0 : u->lessee->pins);
    console_row_end(row, &letter->rows);
}

static void put_servers(struct sql_side *side, struct console_letter *letter,
                        struct console_row *row)
{
    LIST_EACH (&side->worker->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);

        if (!is_upstream_of(base, side))
            continue;
        if (!console_row_is_room(letter))
            return;
        put_server((struct sql_upstream *)base, letter, row);
    }
}

/* ---- pools ---- */

static void see_session(const struct sql_session *s)
{
    struct sql_seen *seen = &s->account->seen;

    if (s->waits != SQL_WAITS_NOT) {
        seen->waiting++;
        if (seen->since_us == 0 || s->wait_since_us < seen->since_us)
            seen->since_us = s->wait_since_us;
    }
    seen->pinned += s->pins != 0;
}

static void see_upstream(const struct sql_upstream *u)
{
    struct sql_seen *seen = &u->account->seen;

    if (u->roster == NULL)
        return;
    if (!u->stood)
        seen->starting++;
    else if (u->cancels > 0)
        seen->cancelled++;
    else if (u->lessee != NULL || u->resetting)
        seen->active++;
    else
        seen->idle++;
    if (u->endpoint == sql_primary(u->endpoint->side))
        seen->on_primary++;
    else
        seen->on_replica++;
}

static void see_all(struct sql_side *side)
{
    LIST_EACH (&side->accounts, link)
        LIST_ITEM(link, struct sql_account, link)->seen = (struct sql_seen){ 0 };
    LIST_EACH (&side->worker->sessions, link) {
        struct session *base = LIST_ITEM(link, struct session, link);

        if (is_session_of(base, side) && ((struct sql_session *)base)->account != NULL)
            see_session((struct sql_session *)base);
    }
    LIST_EACH (&side->worker->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);

        if (is_upstream_of(base, side))
            see_upstream((struct sql_upstream *)base);
    }
}

static void put_pools(struct sql_side *side, struct console_letter *letter, struct console_row *row)
{
    uint64_t now_us = worker_now_us(side->worker);

    see_all(side);
    LIST_EACH (&side->accounts, link) {
        const struct sql_account *a = LIST_ITEM(link, struct sql_account, link);
        const struct sql_seen *seen = &a->seen;

        if (!console_row_is_room(letter))
            return;
        console_row_text(row, a->database);
        console_row_text(row, a->user);
        console_row_number(row, a->sessions - seen->waiting);
        console_row_number(row, seen->waiting);
        console_row_empty(row, 2); /* those of clients' requests to cancel */
        console_row_number(row, seen->active);
        console_row_number(row, 0);
        console_row_number(row, seen->cancelled);
        console_row_number(row, seen->idle);
        console_row_empty(row, 2);
        console_row_number(row, seen->starting);
        put_wait(row, seen->since_us, now_us);
        console_row_text(row, sql_pooling_name(sql_account_pooling(a)));
        console_row_text(row, sql_balance_name(side->settings->balance));
        console_row_text(row, side->name);
        console_row_number(row, seen->pinned);
        console_row_number(row, seen->on_primary);
        console_row_number(row, seen->on_replica);
        console_row_end(row, &letter->rows);
    }
}

/* ---- databases and users ---- */

static uint32_t open_of(const struct sql_account *a)
{
    uint32_t open = 0;

    LIST_EACH ((struct list *)&a->rosters, link)
        open += LIST_ITEM(link, struct sql_roster, link)->open;
    return open;
}

static void put_database(struct sql_side *side, const char *name, uint32_t connections,
                         uint32_t clients, struct console_letter *letter, struct console_row *row)
{
    const struct sql_database *base = sql_pool_database(side->settings, name);
    const struct sql_sizes *sizes = base != NULL ? &base->sizes : &side->settings->sizes;
    const struct sql_endpoint *e = sql_primary(side);
    const struct endpoint_settings *at =
        e != NULL ? e->settings : side->settings->base.endpoints[0];

    console_row_text(row, name);
    console_row_text(row, address_host(&at->address));
    console_row_number(row, at->address.path != NULL ? at->socket_port : at->address.port);
    console_row_text(row, base != NULL && base->server_name != NULL ? base->server_name
                          : at->database_name != NULL               ? at->database_name
                                                                    : name);
    console_row_text(row, at->user);
    console_row_number(row, sizes->pool_size);
    console_row_number(row, sizes->min_pool_size);
    console_row_number(row, sizes->reserve_pool_size);
    console_row_number(row, side->settings->server_lifetime_ms / 1000);
    console_row_text(row, sql_pooling_name(base != NULL ? base->pooling : side->settings->pooling));
    console_row_text(row, sql_balance_name(side->settings->balance));
    console_row_number(row, sizes->max_connections);
    console_row_number(row, connections);
    console_row_number(row, side->settings->base.max_sessions);
    console_row_number(row, clients);
    console_row_number(row, sql_halt_stops(side, name));
    console_row_number(row, sql_halt_refuses(side, name));
    console_row_text(row, side->name);
    console_row_text(row, route_name(base != NULL ? base->route : SQL_ROUTE_AUTO));
    console_row_number(row, sizes->reserve_pool_size);
    console_row_end(row, &letter->rows);
}

static void put_databases(struct sql_side *side, struct console_letter *letter,
                          struct console_row *row)
{
    for (uint32_t i = 0; i < side->settings->database_count; i++)
        if (strcmp(side->settings->databases[i].name, "*") != 0)
            put_database(side, side->settings->databases[i].name, 0, 0, letter, row);
    LIST_EACH (&side->accounts, link) {
        const struct sql_account *a = LIST_ITEM(link, struct sql_account, link);

        if (!console_row_is_room(letter))
            return;
        put_database(side, a->database, open_of(a), a->sessions, letter, row);
    }
}

static const char *console_right(const struct sql_pool *pool, const char *user)
{
    for (uint32_t i = 0; i < pool->admin_user_count; i++)
        if (strcmp(pool->admin_users[i], user) == 0)
            return "admin";
    for (uint32_t i = 0; i < pool->stats_user_count; i++)
        if (strcmp(pool->stats_users[i], user) == 0)
            return "stats";
    return "";
}

static void put_user(struct sql_side *side, const char *name, uint32_t connections,
                     uint32_t clients, struct console_letter *letter, struct console_row *row)
{
    const struct sql_user *user = sql_pool_user(side->settings, name);

    console_row_text(row, name);
    console_row_number(row, user != NULL && user->pool_size > 0 ? user->pool_size
                                                                : side->settings->sizes.pool_size);
    console_row_number(row, side->settings->sizes.reserve_pool_size);
    console_row_text(row, sql_pooling_name(side->settings->pooling));
    console_row_number(row,
                       user != NULL ? user->max_connections : side->settings->max_user_connections);
    console_row_number(row, connections);
    console_row_number(row, 0);
    console_row_number(row, clients);
    console_row_text(row, route_name(user != NULL ? user->route : SQL_ROUTE_AUTO));
    console_row_text(row, console_right(side->settings, name));
    console_row_end(row, &letter->rows);
}

static void put_users(struct sql_side *side, struct console_letter *letter, struct console_row *row)
{
    for (uint32_t i = 0; i < side->settings->user_count && console_row_is_room(letter); i++)
        put_user(side, side->settings->users[i].name, 0, 0, letter, row);
    LIST_EACH (&side->accounts, link) {
        const struct sql_account *a = LIST_ITEM(link, struct sql_account, link);

        if (!console_row_is_room(letter))
            return;
        put_user(side, a->user, open_of(a), a->sessions, letter, row);
    }
}

/* ---- endpoints ---- */

static uint32_t waiting_for(struct sql_side *side, const struct sql_endpoint *e)
{
    uint32_t count = 0;

    LIST_EACH (&side->accounts, link) {
        struct sql_account *a = LIST_ITEM(link, struct sql_account, link);

        LIST_EACH (&a->rosters, roster)
            if (LIST_ITEM(roster, struct sql_roster, link)->endpoint == e)
                count += LIST_ITEM(roster, struct sql_roster, link)->waiter_count;
    }
    return count;
}

static void put_lag(const struct standing *standing, struct console_row *row)
{
    char lsn[POSITION_LSN_TEXT] = "", lag[32];

    if (standing->lag_is_known) {
        snprintf(lag, sizeof(lag), "%.3f", (double)standing->lag_us / 1e6);
        console_row_text(row, lag);
        console_row_number(row, standing->lag_bytes);
    } else {
        console_row_null(row);
        console_row_null(row);
    }
    if (standing->lsn != 0)
        position_put_lsn(standing->lsn, lsn);
    console_row_text(row, lsn);
    console_row_number(row, standing->timeline);
}

static void put_endpoint(struct sql_side *side, const struct sql_endpoint *e,
                         struct console_letter *letter, struct console_row *row)
{
    const struct board *board = side->assembly->board;
    struct standing standing = board_standing(board, e->settings->number);
    struct verdict verdict = board_get(board, e->settings->number);
    uint64_t leased = counter_get(&e->stats->upstreams_leased);
    uint64_t open = counter_get(&e->stats->upstreams_open);
    uint64_t own = counter_get(&e->counts->list[SQL_COUNT_SERVERS_OWN]);

    console_row_text(row, e->name);
    console_row_text(row, standing_role_name(standing.role));
    console_row_text(row, endpoint_role_name(e->settings->role));
    console_row_text(row, judge_state_name(verdict.state));
    console_row_text(row, standing_fit_word(standing.fit));
    put_lag(&standing, row);
    console_row_number(row, e->settings->weight);
    console_row_number(row, leased);
    console_row_number(row, open > leased + own ? open - leased - own : 0);
    console_row_number(row, counter_get(&e->counts->list[SQL_COUNT_SERVERS_STARTING]));
    console_row_number(row, waiting_for(side, e));
    console_row_text(row, e->failing ? e->why : "");
    console_row_end(row, &letter->rows);
}

static void put_endpoints(struct sql_side *side, struct console_letter *letter,
                          struct console_row *row)
{
    for (uint32_t i = 0; i < side->endpoint_count; i++)
        put_endpoint(side, side->endpoints[i], letter, row);
}

void console_put_rows(struct sql_side *side, struct console_letter *letter)
{
    struct console_row row = { .table = console_table(letter->table) };

    if (letter->table == CONSOLE_TABLE_CLIENTS)
        put_clients(side, letter, &row);
    else if (letter->table == CONSOLE_TABLE_SERVERS)
        put_servers(side, letter, &row);
    else if (letter->table == CONSOLE_TABLE_POOLS)
        put_pools(side, letter, &row);
    else if (letter->table == CONSOLE_TABLE_DATABASES)
        put_databases(side, letter, &row);
    else if (letter->table == CONSOLE_TABLE_USERS)
        put_users(side, letter, &row);
    else if (letter->table == CONSOLE_TABLE_ENDPOINTS)
        put_endpoints(side, letter, &row);
    console_row_fini(&row);
}
