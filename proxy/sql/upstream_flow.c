/* One upstream: it asks for TLS if that is wanted, logs in, serves leases, and goes.
 *
 *     sql_upstream_open() --> SSLRequest, TLS --> pg_login --> free, or a sampler's or tunnel's
 *
 * A server that can't be reached, or refuses the login, fails its endpoint for this worker:
 * nobody is sent there until the clock, backing off, lets one try again. */
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/backoff.h"
#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/sql/cancel_flow.h"
#include "proxy/sql/catalog_flow.h"
#include "proxy/sql/commit_flow.h"
#include "proxy/sql/inquiry_flow.h"
#include "proxy/sql/move_flow.h"
#include "proxy/sql/sample_flow.h"
#include "proxy/sql/sql_flow.h"
#include "proxy/sql/tunnel_flow.h"

enum {
    LEAST_REST_US = 1000 * 1000, /* after one that nobody waited for failed */
};

/* What a login borrows until it is over: of its own, since clients who log in meanwhile, and a
 * reload, change what it was taken from. */
struct sql_login_state {
    struct pg_login login;
    struct pg_login_settings settings;
    char *user, *database, *password; /* owned; password NULL: none */
    struct scram_keys keys, derived;  /* iterations 0: none */
    uint8_t endpoint_hash[SCRAM_ENDPOINT_MOST];
    struct sql_libpq *libpq; /* owned; NULL: it is not needed */
};

/* ---- opening ---- */

static struct sql_upstream *open_upstream(struct sql_account *a, struct sql_endpoint *e)
{
    struct sql_side *side = e->side;
    struct sql_upstream *u = (struct sql_upstream *)upstream_new(
        side->worker, sizeof(*u), &sql_flow, side->assembly, e->settings);

    u->endpoint = e;
    u->login = mem_new(sizeof(*u->login));
    u->account = a;
    u->status = PG_STATUS_IDLE;
    u->prepared.max = side->settings->max_prepared_statements;
    list_init(&u->idle_link);
    u->born_us = worker_now_us(side->worker);
    e->upstreams++;
    counter_add(&e->counts->list[SQL_COUNT_SERVERS_STARTING], 1);
    upstream_start(&u->base);
    return u;
}

void sql_upstream_open(struct sql_roster *roster)
{
    struct sql_upstream *u = open_upstream(roster->account, roster->endpoint);

    u->roster = roster;
    roster->open++;
    roster->starting++;
}

struct sql_upstream *sql_upstream_open_alone(struct sql_account *a, struct sql_endpoint *e)
{
    a->guests++;
    return open_upstream(a, e);
}

/* ---- login ---- */

/* Whom the URL names logs in, but asks auth_query only if he is its auth_user. */
static bool is_urls(const struct sql_upstream *u)
{
    const char *user = u->base.endpoint->user;

    return user != NULL && (u->inquirer == NULL || strcmp(user, u->account->user) == 0);
}

const char *sql_upstream_user(const struct sql_upstream *u)
{
    return is_urls(u) ? u->base.endpoint->user : u->account->user;
}

const char *sql_upstream_database(const struct sql_upstream *u)
{
    const struct endpoint_settings *settings = u->base.endpoint;
    const struct sql_account *a = u->account;

    if (a->database_settings != NULL && a->database_settings->server_name != NULL)
        return a->database_settings->server_name;
    if (u->inquirer != NULL && u->endpoint->side->settings->auth_dbname != NULL)
        return a->database;
    return settings->database_name != NULL ? settings->database_name : a->database;
}

/* Where keys that were derived are kept: the next login as this user takes what they are. */
static struct scram_keys *kept_keys(const struct sql_upstream *u)
{
    const char *password;
    struct scram_keys *keys = &u->account->credentials.derived;

    if (is_urls(u))
        return &u->endpoint->keys;
    if (u->inquirer != NULL)
        sql_inquiry_secrets(u->inquirer, &password, &keys);
    return keys;
}

static void take_secrets(const struct sql_upstream *u, struct sql_login_state *state)
{
    const struct sql_credentials *credentials = &u->account->credentials;
    struct scram_keys *derived = kept_keys(u);
    const char *password;

    if (is_urls(u))
        password = u->base.endpoint->password;
    else if (u->inquirer != NULL)
        sql_inquiry_secrets(u->inquirer, &password, &derived);
    else
        password = credentials->password;
    state->user = mem_text(sql_upstream_user(u));
    state->database = mem_text(sql_upstream_database(u));
    state->derived = *derived;
    if (!is_urls(u))
        state->keys = credentials->keys;
    if (state->derived.verifier.iterations > 0)
        state->settings.keys = &state->derived;
    if (state->keys.verifier.iterations > 0)
        state->settings.other_keys = &state->keys;
    if (password == NULL)
        return;
    state->password = mem_text(password);
    state->settings.password = slice_text(state->password);
}

static void begin_login(struct sql_upstream *u)
{
    struct sql_login_state *state = u->login;
    const struct endpoint_settings *e = u->base.endpoint;
    struct buf out = { 0 }, parameters = { 0 };
    size_t hash_len = 0;

    if (u->base.conn.tls != NULL &&
        tls_server_end_point(u->base.conn.tls, state->endpoint_hash, &hash_len) != ERR_NONE)
        hash_len = 0; /* a certificate that has no such hash: without channel binding */
    take_secrets(u, state);
    state->settings.user = slice_text(state->user);
    state->settings.database = slice_text(state->database);
    state->settings.endpoint = slice_of(state->endpoint_hash, hash_len);
    state->settings.is_private = u->base.conn.tls != NULL || e->address.path != NULL;
    state->settings.may_tell_password = address_is_local(&e->address);
    state->settings.has_deputy =
        u->endpoint->side->settings->server_login == SQL_SERVER_LOGIN_LIBPQ;
    state->settings.guesses_scram = u->roster != NULL && u->roster->guesses_scram;
    if (u->tunnel != NULL && u->lessee != NULL)
        sql_tunnel_parameters(u, &parameters);
    state->settings.parameters = (const struct pg_parameter *)parameters.at;
    state->settings.parameter_count = parameters.len / sizeof(struct pg_parameter);
    pg_login_begin(&state->login, &state->settings, &out);
    state->settings.parameters = NULL; /* they are said */
    state->settings.parameter_count = 0;
    buf_fini(&parameters);
    upstream_say(&u->base, buf_all(&out));
    buf_fini(&out);
    if (state->login.guessed) /* it asks, and goes on at once: one wake for both */
        conn_read_from(&u->base.conn, PG_LOGIN_ASKED_BYTES + 1);
}

void sql_upstream_connected(struct upstream *base)
{
    struct sql_upstream *u = (struct sql_upstream *)base;
    struct buf out = { 0 };

    if (base->conn.tls != NULL || base->endpoint->tls.need == TLS_NEED_OFF ||
        base->endpoint->address.path != NULL) {
        begin_login(u);
        return;
    }
    u->asks_tls = true;
    pg_put_ssl_request(&out);
    upstream_say(base, buf_all(&out));
    buf_fini(&out);
}

/* 'S', or 'N'; a server of before TLS would say an error. */
static size_t read_tls_answer(struct sql_upstream *u, struct slice in)
{
    u->asks_tls = false;
    if (in.at[0] == 'S' && in.len == 1) {
        upstream_secure(&u->base);
    } else if (in.at[0] == 'S') {
        upstream_fail(
            &u->base, ERR_TLS,
            "something follows the server's answer to SSLRequest: somebody is in between");
    } else if (in.at[0] == 'N' && in.len == 1 && u->base.endpoint->tls.need == TLS_NEED_ALLOW) {
        begin_login(u);
    } else {
        upstream_fail(&u->base, ERR_TLS,
                      "the server does not speak TLS, which server_tls asks for (server_tls = "
                      "prefer or off would go without)");
    }
    return in.len;
}

void sql_upstream_stands_by(struct sql_upstream *u, struct slice value)
{
    u->stands_by = slice_is_text(value, "on") ? SQL_STANDS_BY : SQL_STANDS_BY_NOT;
}

/* The next that is not the primary's to tell. */
static bool next_reported(struct slice *rest, struct pg_parameter *p)
{
    while (pg_parameter_next(rest, p))
        if (!slice_is_text(p->name, "in_hot_standby"))
            return true;
    return false;
}

static void read_role(struct sql_upstream *u, struct slice parameters)
{
    struct pg_parameter p;

    while (pg_parameter_next(&parameters, &p))
        if (slice_is_text(p.name, "in_hot_standby"))
            sql_upstream_stands_by(u, p.value);
}

static bool is_what_was_reported(const struct sql_roster *roster, struct slice parameters)
{
    return roster->reported != NULL && slice_is(buf_all(&roster->reported_as), parameters);
}

/* Mostly it is what the last one said. */
static void keep_reported(struct sql_upstream *u, const struct pg_login *login)
{
    struct pg_settings_pool *interned = u->endpoint->side->interned;
    struct slice all = buf_all(&login->parameters), rest = all;
    struct pg_parameter p;

    if (u->roster != NULL && is_what_was_reported(u->roster, all)) {
        u->reported = pg_settings_ref(u->roster->reported);
        return;
    }
    while (next_reported(&rest, &p))
        pg_settings_report(interned, &u->reported, p.name, p.value);
    if (u->roster == NULL)
        return;
    pg_settings_unref(interned, &u->roster->reported);
    u->roster->reported = pg_settings_ref(u->reported);
    buf_clear(&u->roster->reported_as);
    buf_slice(&u->roster->reported_as, all);
}

static void forget_login(struct sql_upstream *u)
{
    if (u->login == NULL)
        return;
    sql_libpq_end(&u->login->libpq);
    pg_login_fini(&u->login->login);
    if (u->login->password != NULL)
        OPENSSL_cleanse(u->login->password, strlen(u->login->password));
    free(u->login->password);
    free(u->login->user);
    free(u->login->database);
    scram_keys_wipe(&u->login->keys);
    scram_keys_wipe(&u->login->derived);
    free(u->login);
    u->login = NULL;
}

static void stands(struct sql_upstream *u)
{
    struct sql_login_state *state = u->login;
    struct sql_endpoint *e = u->endpoint;
    uint32_t secret = 0;

    read_role(u, buf_all(&state->login.parameters));
    keep_reported(u, &state->login);
    u->key_pid = state->login.pid;
    if (state->login.secret_len == sizeof(secret))
        memcpy(&secret, state->login.secret, sizeof(secret));
    u->key_secret = secret;
    if (state->login.keys.verifier.iterations > 0)
        *kept_keys(u) = state->login.keys;
    if (u->roster != NULL)
        u->roster->guesses_scram = state->login.may_guess;
    forget_login(u);
    u->stood = true;
    e->failing = false;
    e->backoff_ms = 0;
    counter_add(&e->stats->upstreams_opened, 1);
    counter_add(&e->stats->upstreams_open, 1);
    counter_sub(&e->counts->list[SQL_COUNT_SERVERS_STARTING], 1);
    counter_add(&e->counts->list[SQL_COUNT_SERVERS_OWN], u->roster == NULL);
    upstream_become_ready(&u->base);
    if (u->roster == NULL) {
        if (u->catalog != NULL)
            sql_catalog_ready(u);
        else if (u->inquirer != NULL)
            sql_inquiry_ready(u);
        else if (u->commit != NULL)
            sql_commit_ready(u);
        else
            sql_sampler_ready(u);
        return;
    }
    u->roster->starting--;
    sql_upstream_is_free(u);
}

/* The server knows another secret by now. */
static void forget_keys(struct sql_upstream *u)
{
    scram_keys_wipe(kept_keys(u));
    if (is_urls(u))
        return;
    scram_keys_wipe(&u->account->credentials.keys);
    sql_inquiry_doubt(u->endpoint->side, u->account->user, u->account->database);
}

static size_t read_login(struct sql_upstream *u, struct slice in)
{
    struct pg_login *login = &u->login->login;
    struct buf out = { 0 };
    size_t used = 0;
    bool guessed = login->guessed;
    enum err err = pg_login_feed(login, in, &used, &out);

    if (guessed)
        conn_read_from(&u->base.conn, 1);
    if (out.len > 0)
        upstream_say(&u->base, buf_all(&out));
    buf_fini(&out);
    if (err == ERR_AGAIN && login->for_deputy.len > 0) {
        bool told = sql_libpq_say(u, &u->login->libpq, buf_all(&login->for_deputy));

        if (!told)
            return in.len;
        buf_clear(&login->for_deputy);
    }
    if (err == ERR_NONE) {
        stands(u);
    } else if (err != ERR_AGAIN) {
        char why[PG_LOGIN_WHY_BYTES];

        if (login->is_wrong_secret)
            forget_keys(u);
        memcpy(u->sqlstate, login->sqlstate, sizeof(u->sqlstate));
        snprintf(why, sizeof(why), "%s", login->why);
        upstream_fail(&u->base, err, why);
        return in.len;
    }
    return used;
}

size_t sql_upstream_input(struct upstream *base, struct slice in)
{
    struct sql_upstream *u = (struct sql_upstream *)base;

    if (u->asks_tls)
        return read_tls_answer(u, in);
    if (u->login != NULL)
        return read_login(u, in);
    if (u->tunnel != NULL)
        return sql_tunnel_output(u, in);
    if (u->sampler != NULL)
        return sql_sampler_input(u, in);
    if (u->catalog != NULL)
        return sql_catalog_input(u, in);
    if (u->inquirer != NULL)
        return sql_inquiry_input(u, in);
    if (u->commit != NULL)
        return sql_commit_input(u, in);
    return sql_reply_input(u, in);
}

void sql_upstream_passed(struct upstream *base, size_t len)
{
    struct sql_upstream *u = (struct sql_upstream *)base;

    u->frame_left -= len;
    counter_add(&u->endpoint->stats->bytes_in, len);
}

void sql_upstream_drained(struct upstream *base, uint64_t before)
{
    struct sql_upstream *u = (struct sql_upstream *)base;

    (void)before;
    if (u->lessee != NULL && base->put_bytes - base->written_bytes <= SQL_UNSENT_BYTES)
        sql_session_go_on(u->lessee);
}

/* ---- asking on nobody's behalf ---- */

void sql_upstream_put_query(struct sql_upstream *u, struct slice text, uint16_t note)
{
    struct buf out = { 0 };

    (void)!pg_expect_push(
        &u->expect,
        (struct pg_expected){ .kind = PG_EXPECT_QUERY, .flags = PG_EXPECT_SWALLOW, .note = note });
    pg_put_query(&out, text);
    upstream_put(&u->base, buf_all(&out));
    buf_fini(&out);
    pg_prepared_unnamed_becomes(&u->prepared, 0);
}

void sql_upstream_ask(struct sql_upstream *u, struct slice text, uint16_t note)
{
    sql_upstream_put_query(u, text, note);
    worker_be_busy(u->base.worker);
}

void sql_upstream_reset(struct sql_upstream *u, bool discard)
{
    u->sqlstate[0] = '\0';
    if (u->status == PG_STATUS_IDLE && !discard) {
        sql_upstream_is_free(u);
        return;
    }
    u->resetting = true;
    u->discards = discard;
    u->asked_us = worker_now_us(u->base.worker);
    if (u->status != PG_STATUS_IDLE) {
        sql_upstream_ask(u, slice_text("ROLLBACK"), SQL_NOTE_RESET);
        return;
    }
    u->discards = false;
    sql_upstream_ask(u, slice_text("DISCARD ALL"), SQL_NOTE_RESET);
    pg_prepared_clear(&u->prepared);
    pg_settings_unref(u->endpoint->side->interned, &u->settings);
}

void sql_upstream_reset_ended(struct sql_upstream *u)
{
    if (!u->resetting)
        return;
    u->resetting = false;
    if (u->status != PG_STATUS_IDLE || u->sqlstate[0] != '\0')
        sql_upstream_close(u);
    else
        sql_upstream_reset(u, u->discards);
}

/* ---- ending ---- */

static void forget_expected(struct sql_upstream *u)
{
    sql_settle_lost(u);
    pg_expect_fini(&u->expect);
    u->syncs_open = 0;
}

/* What it holds, and its place in the budget. */
static void forget(struct sql_upstream *u)
{
    struct sql_side *side = u->endpoint->side;

    list_remove(&u->idle_link);
    sql_catalog_lost(u);
    sql_inquiry_forget(u);
    sql_commit_upstream_gone(u);
    if (u->sampler != NULL)
        sql_sampler_forget(u);
    sql_cancel_forget(u);
    forget_expected(u);
    pg_prepared_fini(&u->prepared);
    pg_settings_unref(side->interned, &u->settings);
    pg_settings_unref(side->interned, &u->reported);
    pg_settings_unref(side->interned, &u->settings_found.v);
    buf_fini(&u->kept);
    buf_fini(&u->held);
    buf_fini(&u->failure);
    if (u->stood)
        counter_sub(&u->endpoint->stats->upstreams_open, 1);
    else
        counter_sub(&u->endpoint->counts->list[SQL_COUNT_SERVERS_STARTING], 1);
    counter_sub(&u->endpoint->counts->list[SQL_COUNT_SERVERS_OWN], u->stood && u->roster == NULL);
    if (u->roster != NULL) {
        u->roster->starting -= !u->stood;
        u->roster->open--;
        sql_budget_give(u->roster);
    } else {
        u->account->guests--;
    }
    u->endpoint->upstreams--;
    forget_login(u);
    u->roster = NULL;
}

void sql_upstream_retire(struct sql_upstream *u)
{
    if (u->base.state == UPSTREAM_RETIRED)
        return;
    forget(u);
    upstream_retire(&u->base);
}

void sql_upstream_close(struct sql_upstream *u)
{
    struct buf out = { 0 };

    if (u->base.state == UPSTREAM_READY) {
        pg_put_terminate(&out);
        upstream_put(&u->base, buf_all(&out));
        upstream_flush(&u->base);
        buf_fini(&out);
    }
    if (u->base.state != UPSTREAM_DOWN)
        sql_upstream_retire(u);
}

void sql_upstream_end(struct sql_upstream *u)
{
    u->ending = true;
    if (u->lessee == NULL && u->base.state == UPSTREAM_READY && u->roster != NULL &&
        list_is_linked(&u->idle_link))
        sql_upstream_close(u);
}

void sql_endpoint_turn_away(struct sql_endpoint *e)
{
    LIST_EACH (&e->side->accounts, link) {
        struct sql_account *a = LIST_ITEM(link, struct sql_account, link);

        LIST_EACH (&a->rosters, roster)
            if (LIST_ITEM(roster, struct sql_roster, link)->endpoint == e)
                sql_roster_turn_away(LIST_ITEM(roster, struct sql_roster, link));
    }
}

void sql_endpoint_fails(struct sql_endpoint *e, enum err err, const char *why)
{
    struct sql_side *side = e->side;
    const struct pool_settings *settings = &side->settings->base;
    struct worker *w = side->worker;

    e->retry_at_us = worker_now_us(w) + backoff_next_us(&e->backoff_ms, settings->backoff_min_ms,
                                                        settings->backoff_max_ms, BACKOFF_DOUBLES,
                                                        worker_random(w));
    if (!e->failing || strcmp(e->why, why) != 0)
        log_event(LOG_WARN, "server can't be used", log_text("pool", side->name),
                  log_text("endpoint", e->name), log_text("why", why));
    if (e == sql_primary(side))
        board_ring(side->assembly->board, side->settings->base.number);
    e->failing = true;
    e->failure = err;
    snprintf(e->why, sizeof(e->why), "%s", why);
    worker_be_busy(w);
    sql_endpoint_turn_away(e);
}

/* A login that was refused is the account's trouble, not the server's: only those who wait for it
 * are told.  A secret that the server does not take is not the client's, who proved his; all else
 * he hears as the server says it. */
static void login_refused(struct sql_roster *roster, const char *sqlstate, const char *why)
{
    bool is_secret = sqlstate[0] == '\0' || strncmp(sqlstate, "28", 2) == 0;
    struct list *link;

    while ((link = list_first(&roster->waiters)) != NULL) {
        struct sql_session *s = LIST_ITEM(link, struct sql_session, wait_link);

        if (!is_secret)
            sql_session_fail_exchange(s, sqlstate, "%s", why);
        else
            sql_session_fail_exchange(s, sqlstate[0] != '\0' ? sqlstate : "08006",
                                      "server %s refused the login of user \"%s\": %s",
                                      roster->endpoint->name, roster->account->user, why);
    }
}

/* What it means for the health of the server: not that it refused a login, has no room, or ended
 * one connection with a word. */
static void tally_loss(const struct sql_upstream *u, enum err err)
{
    const struct sql_endpoint *e = u->endpoint;
    struct tally_sheet *sheet = e->side->assembly->tallies[u->base.worker->index];

    if (e->present && err != ERR_LOGIN && err != ERR_UNSUPPORTED && err != ERR_LIMIT &&
        u->sqlstate[0] == '\0')
        tally_failure(sheet, e->settings->number, reason_of_err(err, !u->stood));
}

/* How one was lost that has forgotten it meanwhile. */
struct loss {
    struct sql_endpoint *endpoint;
    struct sql_roster *roster;
    struct sql_inquirer *inquirer;
    enum err err;
    bool stood, is_catalog, is_tunnel, is_commit;
    char sqlstate[6], why[256];
};

/* A login that the server refused: its account's trouble, or its owner's. */
static void login_lost(const struct loss *l)
{
    if (l->roster != NULL)
        login_refused(l->roster, l->sqlstate, l->why);
    else if (l->inquirer != NULL)
        sql_inquiry_lost(l->inquirer, l->err, l->sqlstate, l->why);
    else if (l->is_catalog)
        log_event(LOG_WARN, "catalog can't be read", log_text("endpoint", l->endpoint->name),
                  log_text("why", l->why));
    else if (!l->is_tunnel && !l->is_commit) /* its session was told, or asks again */
        sql_endpoint_fails(l->endpoint, l->err, l->why);
}

static void no_room(const struct loss *l)
{
    if (l->roster != NULL)
        sql_move_ask(l->roster); /* others have what there is */
    else if (l->inquirer != NULL)
        sql_inquiry_lost(l->inquirer, l->err, l->sqlstate, l->why);
    log_event(LOG_WARN, "server has no room", log_text("endpoint", l->endpoint->name),
              log_text("why", l->why));
}

static void stood_lost(const struct loss *l)
{
    if (l->inquirer != NULL)
        sql_inquiry_lost(l->inquirer, l->err, l->sqlstate, l->why);
    else if (l->is_catalog)
        log_event(LOG_WARN, "catalog can't be read", log_text("endpoint", l->endpoint->name),
                  log_text("why", l->why));
}

static void upstream_lost(struct sql_upstream *u, enum err err, const char *why)
{
    struct loss l = { .endpoint = u->endpoint,
                      .roster = u->roster,
                      .inquirer = u->inquirer,
                      .err = err,
                      .stood = u->stood,
                      .is_catalog = u->catalog != NULL,
                      .is_tunnel = u->tunnel != NULL,
                      .is_commit = u->commit != NULL };

    snprintf(l.why, sizeof(l.why), "%s", why);
    memcpy(l.sqlstate, u->sqlstate, sizeof(l.sqlstate));
    counter_add(&l.endpoint->stats->upstreams_lost, l.stood);
    tally_loss(u, err);
    if (u->sampler != NULL)
        sql_sampler_lost(u);
    if (l.roster != NULL && !l.stood)
        l.roster->least_again_us = worker_now_us(u->base.worker) + LEAST_REST_US;
    if (l.is_tunnel)
        sql_tunnel_lost(u, err, l.why);
    else
        sql_reply_lost(u, l.why);
    sql_upstream_retire(u);
    if (!l.stood)
        worker_be_busy(l.endpoint->side->worker); /* for those who waited for it */
    if (l.stood)
        stood_lost(&l);
    else if (err == ERR_LOGIN || err == ERR_UNSUPPORTED)
        login_lost(&l);
    else if (err == ERR_LIMIT)
        no_room(&l);
    else
        sql_endpoint_fails(l.endpoint, err, l.why);
}

/* What the server asks for is another thing by now, or it wants to be the first to say so: the
 * login is begun anew, and nobody hears of it. */
static bool is_wrong_guess(const struct sql_upstream *u, enum err err)
{
    return u->login != NULL && u->login->login.guessed && err != ERR_TIMEOUT && err != ERR_DOWN &&
           err != ERR_LIMIT;
}

static void login_anew(struct sql_upstream *u)
{
    struct sql_roster *roster = u->roster;

    roster->guesses_scram = false;
    sql_upstream_retire(u);
    if (roster->endpoint->present && sql_budget_take(roster, false))
        sql_upstream_open(roster);
    else
        worker_be_busy(roster->account->side->worker); /* the clock looks after those who wait */
}

void sql_upstream_lost(struct upstream *base, enum err err, const char *why)
{
    struct sql_upstream *u = (struct sql_upstream *)base;

    if (is_wrong_guess(u, err))
        login_anew(u);
    else
        upstream_lost(u, err, why);
}

void sql_upstream_says_goodbye(struct sql_upstream *u, const struct pg_report *report)
{
    char why[256];

    snprintf(why, sizeof(why), "the server ended the connection: %.*s", (int)report->message.len,
             (const char *)report->message.at);
    u->says_why = report->sqlstate.len == sizeof(u->sqlstate) - 1;
    if (u->says_why)
        memcpy(u->sqlstate, report->sqlstate.at, sizeof(u->sqlstate) - 1);
    upstream_fail(&u->base, ERR_CLOSED, why);
}

/* ---- clock ---- */

/* A reset that does not come back must not keep its place in the budget. */
static bool hangs(const struct sql_upstream *u, uint64_t now_us)
{
    return u->resetting && u->base.state == UPSTREAM_READY &&
           now_us - u->asked_us > u->endpoint->side->settings->base.connect_timeout_ms * 1000;
}

void sql_upstream_tick(struct sql_upstream *u, uint64_t now_us, bool housekeeping)
{
    if (hangs(u, now_us)) {
        sql_upstream_close(u);
        return;
    }
    if (u->resetting)
        worker_be_busy(u->base.worker);
    if (housekeeping && pg_expect_is_empty(&u->expect)) {
        pg_expect_trim(&u->expect);
        if (!u->holds && u->kept.cap > 0)
            buf_fini(&u->kept);
        if (u->held.len == 0 && u->held.cap > 0)
            buf_fini(&u->held);
    }
}

/* An operator takes it out of service: what is free there goes, the rest when it is. */
static void end_drained(struct sql_endpoint *e)
{
    if (!e->present || e->upstreams == 0 ||
        board_get(e->side->assembly->board, e->settings->number).state != VERDICT_DRAINING)
        return;
    sql_endpoint_turn_away(e);
    LIST_EACH (&e->side->worker->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);
        struct sql_upstream *u = (struct sql_upstream *)base;

        if (base->flow == &sql_flow && base->state != UPSTREAM_RETIRED && u->endpoint == e &&
            u->tunnel == NULL)
            sql_upstream_end(u);
    }
}

/* It stands still, as its probes found: reads of which nothing came yet are asked elsewhere. */
static void leave_silent(struct sql_endpoint *e)
{
    if (!e->present || e->upstreams == 0 ||
        board_get(e->side->assembly->board, e->settings->number).state != VERDICT_DOWN)
        return;
    LIST_EACH (&e->side->worker->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);
        struct sql_upstream *u = (struct sql_upstream *)base;

        if (base->flow == &sql_flow && base->state == UPSTREAM_READY && u->endpoint == e &&
            u->lessee != NULL && u->holds && u->kept.len > 0 && !u->is_primary)
            upstream_fail(base, ERR_TIMEOUT, "the server does not answer, and is taken to be down");
    }
}

/* What was given up is worth a trial at once when the probes have found it again. */
static bool came_back(struct sql_endpoint *e)
{
    bool was_down = e->was_down;

    e->was_down = e->present && !sql_is_up(e);
    return was_down && !e->was_down;
}

void sql_endpoint_tick(struct sql_endpoint *e, uint64_t now_us)
{
    bool is_back = came_back(e);

    end_drained(e);
    leave_silent(e);
    if (e->failing && (is_back || now_us >= e->retry_at_us)) {
        e->failing = false; /* who comes next tries it */
        sql_primary_waiters_look(e->side);
    } else if (e->failing) {
        worker_be_busy(e->side->worker);
    }
    sql_sampler_tick(e, now_us);
}
