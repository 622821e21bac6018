/* See draft_sql.h: what only the whole of an sql pool tells. */
#include <string.h>

#include "config/draft_sql.h"
#include "config/hba.h"

/* "(sheaf.ini:7)": where the first of two stands. */
#define FIRST(place) (place).file, (place).line

static void check_limits(struct loading *l, const struct draft *d)
{
    const struct sql_pool *p = sql_pool_of(d->pool);
    const struct proxy_settings *proxy = &l->snapshot->proxy;
    const struct draft_order orders[] = {
        { "backoff_min", "backoff_max", p->base.backoff_min_ms, p->base.backoff_max_ms, false },
        { "min_pool_size", "pool_size", p->sizes.min_pool_size, p->sizes.pool_size, false },
        { "max_session_memory", "max_memory", p->base.max_session_bytes, proxy->max_memory_bytes,
          true },
        { "max_sessions", "max_sessions", p->base.max_sessions, proxy->max_sessions, true },
    };

    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
        draft_check_order(l, d, &orders[i]);
}

static void warn_unused(struct loading *l, const struct draft *d, const char *option,
                        const char *why)
{
    if (draft_is_given(d, option))
        problems_warn(l->problems, draft_place(d, option), "%s has no effect: %s", option, why);
}

/* As the file would say it. */
static const char *word_of(const struct draft *d, const char *option)
{
    const struct option *o = option_find(d->table, option);

    return o->words[*(const unsigned *)((const char *)d->settings + o->offset)];
}

/* ---- servers ---- */

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void check_server(struct loading *l, const struct pool_settings *p, uint32_t index)
{
    const struct endpoint_settings *e = p->endpoints[index], *first = p->endpoints[0];
    const char *line = endpoint_role_name(e->role);

    for (uint32_t i = 0; i < index; i++) {
        const struct endpoint_settings *other = p->endpoints[i];

        if (!address_is(&e->address, &other->address))
            continue;
        problems_error(l->problems, e->place,
                       "%s: %s is already a %s (%s:%u); a server stands there once", line, e->name,
                       endpoint_role_name(other->role), FIRST(other->place));
        return;
    }
    if (!is_same(e->user, first->user))
        problems_error(l->problems, e->place,
                       "%s: all servers of a pool must name the same user, or none (%s:%u)", line,
                       FIRST(first->place));
    if (!is_same(e->database_name, first->database_name))
        problems_error(l->problems, e->place,
                       "%s: all servers of a pool must name the same database, or none (%s:%u)",
                       line, FIRST(first->place));
    if (!e->tls.on && !address_is_local(&e->address))
        problems_warn(l->problems, e->place,
                      "%s: TLS is off, and %s is not on this machine: passwords and data cross the "
                      "network for anyone to read",
                      line, e->name);
}

static void check_servers(struct loading *l, const struct draft *d)
{
    const struct sql_pool *sql = sql_pool_of(d->pool);
    const struct pool_settings *p = d->pool;
    uint32_t weights = 0;
    bool weighed = false;

    for (uint32_t i = 0; i < p->endpoint_count; i++) {
        check_server(l, p, i);
        weights += p->endpoints[i]->weight;
        weighed |= p->endpoints[i]->weight != 1;
        if (p->endpoints[i]->weight != 1 && sql->balance != SQL_BALANCE_WEIGHTS)
            problems_warn(l->problems, p->endpoints[i]->place,
                          "%s: the weight has no effect: balance is %s, not weights",
                          endpoint_role_name(p->endpoints[i]->role), word_of(d, "balance"));
    }
    if (p->endpoint_count > 0 && weighed && weights == 0)
        problems_error(l->problems, p->endpoints[0]->place,
                       "%s: one server at least must have a weight",
                       endpoint_role_name(p->endpoints[0]->role));
}

/* ---- reads ---- */

static void check_reads(struct loading *l, const struct draft *d)
{
    static const char *const CAUSAL[] = { "causal_scope", "causal_wait" };
    static const char *const LAG[] = { "max_lag", "max_lag_bytes" };
    const struct sql_pool *p = sql_pool_of(d->pool);
    bool knows_lag = p->reads == SQL_READS_CAUSAL || p->reads == SQL_READS_BOUNDED;

    if (p->reads == SQL_READS_BOUNDED && p->max_lag_ms == 0 && p->max_lag_bytes == 0)
        problems_error(l->problems, draft_place(d, "reads"),
                       "reads: bounded needs a bound: max_lag or max_lag_bytes");
    for (size_t i = 0; i < 2; i++) {
        if (p->reads != SQL_READS_CAUSAL)
            warn_unused(l, d, CAUSAL[i], "reads is not causal");
        if (!knows_lag)
            warn_unused(l, d, LAG[i], "reads is neither causal nor bounded");
    }
}

/* ---- logins ---- */

static bool asks_for_password(enum sql_auth auth)
{
    return auth == SQL_AUTH_SCRAM || auth == SQL_AUTH_MD5 || auth == SQL_AUTH_PASSWORD;
}

static void check_users(struct loading *l, const struct draft *d)
{
    const struct sql_pool *p = sql_pool_of(d->pool);

    if (p->hba_file != NULL)
        return; /* its rules have methods of their own */
    if (asks_for_password(p->auth) && !draft_is_given(d, "user") && p->auth_file == NULL &&
        p->auth_user == NULL)
        problems_error(l->problems, d->place,
                       "[%s] knows no user, and auth = %s needs their passwords: \"user\" lines, "
                       "auth_file, or auth_user for auth_query",
                       d->title, word_of(d, "auth"));
    for (uint32_t i = 0; i < p->user_count; i++) {
        const struct sql_user *user = &p->users[i];

        if (user->is_of_file)
            continue; /* it may be there for other programs */
        if (user->secret == NULL && asks_for_password(p->auth))
            problems_error(l->problems, user->place,
                           "user: %s has no password, but auth = %s asks for one", user->name,
                           word_of(d, "auth"));
        else if (user->secret != NULL && p->auth == SQL_AUTH_SCRAM &&
                 sql_secret_kind(user->secret) == SQL_SECRET_MD5)
            problems_error(l->problems, user->place,
                           "user: of %s only the MD5 hash is known, which does not do for "
                           "auth = scram-sha-256",
                           user->name);
    }
}

static void check_auth_options(struct loading *l, const struct draft *d)
{
    const struct sql_pool *p = sql_pool_of(d->pool);

    if (p->auth_user == NULL) {
        warn_unused(l, d, "auth_query", "no auth_user is there to ask it");
        warn_unused(l, d, "auth_dbname", "no auth_user is there to ask auth_query");
    }
    if (p->auth_user != NULL && strstr(p->auth_query, "$1") == NULL)
        problems_error(l->problems, draft_place(d, "auth_query"),
                       "auth_query: must have $1 where the user's name belongs (written $$1)");
    if (p->hba_file == NULL)
        warn_unused(l, d, "ident_file", "only rules of an hba_file name its maps");
    else
        warn_unused(l, d, "auth", "the rules of hba_file have methods of their own");
}

static void check_listener_auth(struct loading *l, const struct sql_pool *p,
                                const struct listener_settings *n)
{
    bool is_unix = n->address.path != NULL;

    if (p->auth == SQL_AUTH_PEER && !is_unix)
        problems_error(l->problems, n->place,
                       "listen: auth = peer asks the system who connects, which it only knows on "
                       "Unix sockets");
    if (p->auth == SQL_AUTH_CERT &&
        (n->tls.need != TLS_NEED_REQUIRE || n->tls.client != TLS_CLIENT_REQUIRED))
        problems_error(l->problems, n->place,
                       "listen: auth = cert needs tls = require and tls_client = required");
    if (p->auth == SQL_AUTH_PASSWORD && n->tls.need != TLS_NEED_REQUIRE &&
        !address_is_local(&n->address))
        problems_warn(l->problems, n->place,
                      "listen: auth = password without tls = require: passwords cross the network "
                      "for anyone to read");
}

/* What may come in from beyond this machine by the rule. */
static bool is_far(const struct hba_rule *rule)
{
    static const uint8_t LOOPBACK_6[16] = { [15] = 1 };

    if (rule->type == HBA_LOCAL)
        return false;
    if (rule->family == AF_INET)
        return rule->address[0] != 127 || rule->mask[0] != 255;
    return rule->family != AF_INET6 || memcmp(rule->address, LOOPBACK_6, 16) != 0 ||
           rule->mask[15] != 255;
}

static void check_rule(struct loading *l, const struct sql_pool *p, const struct hba_rule *rule)
{
    bool needs_cert = rule->method == HBA_CERT || rule->client_cert != HBA_CLIENT_CERT_NOTHING;
    bool asks_for_cert = false, is_open = false, is_plain = false;

    for (uint32_t i = 0; i < p->base.listener_count; i++) {
        const struct listener_settings *n = p->base.listeners[i];

        asks_for_cert |= n->tls.on && n->tls.client != TLS_CLIENT_NONE;
        is_open |= !address_is_local(&n->address);
        is_plain |= !address_is_local(&n->address) && n->tls.need != TLS_NEED_REQUIRE;
    }
    if (needs_cert && !asks_for_cert)
        problems_error(l->problems, rule->place,
                       "no listener asks for certificates of clients: tls_client must be optional "
                       "or required");
    if (rule->method == HBA_TRUST && !needs_cert && is_open && is_far(rule) &&
        !p->base.insecure_listen)
        problems_error(l->problems, rule->place,
                       "trust lets in anyone from beyond this machine; allow it in words: "
                       "\"insecure_listen = anyone may connect\"");
    if (rule->method == HBA_PASSWORD && rule->type != HBA_HOSTSSL && is_plain && is_far(rule))
        problems_warn(l->problems, rule->place,
                      "password without TLS: passwords cross the network for anyone to read");
}

static void check_logins(struct loading *l, const struct draft *d)
{
    const struct sql_pool *p = sql_pool_of(d->pool);

    check_users(l, d);
    check_auth_options(l, d);
    for (uint32_t i = 0; p->hba != NULL && i < p->hba->count; i++)
        check_rule(l, p, &p->hba->rules[i]);
    for (uint32_t i = 0; i < p->base.listener_count && p->hba_file == NULL; i++)
        check_listener_auth(l, p, p->base.listeners[i]);
}

/* ---- databases and the console ---- */

static bool is_console(const char *database)
{
    return strcmp(database, "sheaf") == 0 || strcmp(database, "pgbouncer") == 0;
}

static void check_databases(struct loading *l, const struct draft *d)
{
    const struct sql_pool *p = sql_pool_of(d->pool);

    for (uint32_t i = 0; i < p->database_count && draft_is_given(d, "database"); i++) {
        const struct sql_database *base = &p->databases[i];

        if (base->sizes.min_pool_size > base->sizes.pool_size)
            problems_error(l->problems, base->place,
                           "database: pool_size (%u) of %s may not be less than min_pool_size (%u)",
                           base->sizes.pool_size, base->name, base->sizes.min_pool_size);
        if (p->console && is_console(base->name))
            problems_error(l->problems, base->place,
                           "database: %s is the console's name, unless console = no", base->name);
        if (p->base.endpoint_count > 0 && p->base.endpoints[0]->database_name != NULL)
            problems_error(l->problems, base->place,
                           "database: the servers' URLs name the database of all clients already "
                           "(%s:%u)",
                           FIRST(p->base.endpoints[0]->place));
    }
}

static void check_console_users(struct loading *l, const struct draft *d, const char *line,
                                const char *const *names, uint32_t count)
{
    const struct sql_pool *p = sql_pool_of(d->pool);

    if (!p->console)
        warn_unused(l, d, line, "console = no");
    if (p->auth_file != NULL || p->auth_user != NULL || !asks_for_password(p->auth))
        return; /* they may be known there */
    for (uint32_t i = 0; i < count; i++)
        if (sql_pool_user(p, names[i]) == NULL)
            problems_error(l->problems, draft_place(d, line), "%s: there is no user \"%s\"", line,
                           names[i]);
}

/* ---- probes ---- */

static void check_probe(struct loading *l, const struct draft *d)
{
    const struct sql_pool *p = sql_pool_of(d->pool);
    uint32_t count = p->base.endpoint_count;

    if (p->probe_password != NULL && p->probe_user == NULL)
        problems_error(l->problems, draft_place(d, "probe_password"),
                       "probe_password: needs probe_user");
    if (!p->base.health.probe) {
        if (count > 1)
            problems_warn(
                l->problems, draft_place(d, "probe"),
                "probe: without probes nobody learns which server is the primary, nor how "
                "far behind the others are");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (sql_probe_login(p->base.endpoints[i]).user != NULL)
            continue;
        problems_warn(l->problems, d->place,
                      "[%s] has no login for probes: give probe_user and probe_password, so that "
                      "roles and lag of the servers can be learned",
                      d->title);
        return;
    }
}

void draft_sql_check(struct loading *l, const struct draft *d)
{
    const struct sql_pool *p = sql_pool_of(d->pool);

    check_limits(l, d);
    check_servers(l, d);
    check_reads(l, d);
    check_logins(l, d);
    check_databases(l, d);
    check_console_users(l, d, "admin_user", p->admin_users, p->admin_user_count);
    check_console_users(l, d, "stats_user", p->stats_users, p->stats_user_count);
    check_probe(l, d);
}
