/* Accounts: a user in a database, for one worker.  They share upstreams; an account goes when it
 * has neither sessions nor upstreams any more. */
#include <openssl/crypto.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/sql/catalog_flow.h"
#include "proxy/sql/code_flow.h"
#include "proxy/sql/sql_flow.h"

enum { ACCOUNT_REST_US = 1000 * 1000 }; /* an account without sessions may be wanted again soon */

struct sql_sizes sql_account_sizes(const struct sql_account *a)
{
    struct sql_sizes sizes =
        a->database_settings != NULL ? a->database_settings->sizes : a->side->settings->sizes;

    if (a->user_settings != NULL && a->user_settings->pool_size > 0)
        sizes.pool_size = a->user_settings->pool_size;
    return sizes;
}

uint32_t sql_account_max_connections(const struct sql_account *a)
{
    return a->user_settings != NULL ? a->user_settings->max_connections
                                    : a->side->settings->max_user_connections;
}

enum sql_pooling sql_account_pooling(const struct sql_account *a)
{
    return a->database_settings != NULL ? a->database_settings->pooling
                                        : a->side->settings->pooling;
}

void sql_account_follow(struct sql_account *a, bool are_others)
{
    const struct sql_pool *pool = a->side->settings;

    a->user_settings = sql_pool_user(pool, a->user);
    a->database_settings = sql_pool_database(pool, a->database);
    sql_catalog_follow(a, are_others);
    if (a->scope != NULL)
        sql_budget_close(&a->scope);
    if (pool->causal_scope == SQL_CAUSAL_USER)
        a->scope = sql_budget_open(a->side->name, "", a->database, a->user);
    else if (pool->causal_scope == SQL_CAUSAL_DATABASE)
        a->scope = sql_budget_open(a->side->name, "", a->database, "");
}

static void sql_credentials_wipe(struct sql_credentials *c)
{
    if (c->password != NULL)
        OPENSSL_cleanse(c->password, strlen(c->password));
    free(c->password);
    c->password = NULL;
    scram_keys_wipe(&c->keys);
    scram_keys_wipe(&c->derived);
}

struct sql_account *sql_account_find(struct sql_side *side, struct slice database,
                                     struct slice user)
{
    struct sql_account *a;

    LIST_EACH (&side->accounts, link) {
        a = LIST_ITEM(link, struct sql_account, link);
        if (slice_is_text(database, a->database) && slice_is_text(user, a->user))
            return a;
    }
    a = mem_new(sizeof(*a));
    a->side = side;
    a->number = ++side->accounts_made;
    a->database = mem_text_of(database.at, database.len);
    a->user = mem_text_of(user.at, user.len);
    list_init(&a->rosters);
    a->idle_since_us = worker_now_us(side->worker);
    list_append(&side->accounts, &a->link);
    sql_account_follow(a, false);
    a->ledger = sql_ledger_of(side, a->database);
    return a;
}

/* How often a server's configuration was seen to change, by any worker. */
static atomic_uint changes;

static void forget_welcomes(struct sql_account *a)
{
    a->welcomed = atomic_load(&changes);
    while (a->welcomes != NULL) {
        struct sql_welcome *w = a->welcomes;

        a->welcomes = w->next;
        pg_settings_unref(a->side->interned, &w->start);
        pg_settings_unref(a->side->interned, &w->reported);
        free(w);
    }
    a->welcome_count = 0;
}

static void roster_free(struct sql_roster *roster)
{
    sql_budget_close(&roster->budget);
    sql_budget_close(&roster->database_budget);
    sql_budget_close(&roster->user_budget);
    pg_settings_unref(roster->account->side->interned, &roster->reported);
    buf_fini(&roster->reported_as);
    list_remove(&roster->link);
    roster->endpoint->rosters--;
    free(roster);
}

void sql_account_free(struct sql_account *a)
{
    /* Each leaves the list before it goes: NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    LIST_EACH (&a->rosters, link)
        roster_free(LIST_ITEM(link, struct sql_roster, link));
    forget_welcomes(a);
    sql_catalog_give(a);
    if (a->scope != NULL)
        sql_budget_close(&a->scope);
    sql_credentials_wipe(&a->credentials);
    sql_code_free(a);
    list_remove(&a->link);
    free(a->database);
    free(a->user);
    free(a);
}

struct sql_roster *sql_roster_of(struct sql_account *a, struct sql_endpoint *e)
{
    struct sql_side *side = a->side;
    struct sql_roster *roster;

    LIST_EACH (&a->rosters, link) {
        roster = LIST_ITEM(link, struct sql_roster, link);
        if (roster->endpoint == e)
            return roster;
    }
    roster = mem_new(sizeof(*roster));
    roster->account = a;
    roster->endpoint = e;
    e->rosters++;
    roster->budget = sql_budget_open(side->name, e->identity, a->database, a->user);
    roster->database_budget = sql_budget_open(side->name, e->identity, a->database, "");
    roster->user_budget = sql_budget_open(side->name, e->identity, "", a->user);
    list_init(&roster->idle);
    list_init(&roster->waiters);
    list_append(&a->rosters, &roster->link);
    return roster;
}

/* ---- what a client is told at its login ---- */

enum { WELCOMES_MOST = 64 };

bool sql_welcome_find(struct sql_account *a, const struct pg_settings *start,
                      const struct pg_settings **reported)
{
    if (a->welcomed != atomic_load(&changes))
        forget_welcomes(a);
    for (const struct sql_welcome *w = a->welcomes; w != NULL; w = w->next)
        if (w->start == start) {
            *reported = w->reported;
            return true;
        }
    return false;
}

void sql_welcome_keep(struct sql_account *a, const struct pg_settings *start,
                      const struct pg_settings *reported)
{
    struct sql_welcome *w;
    const struct pg_settings *known;

    if (sql_welcome_find(a, start, &known))
        return;
    if (a->welcome_count == WELCOMES_MOST)
        forget_welcomes(a);
    w = mem_new(sizeof(*w));
    w->start = pg_settings_ref(start);
    w->reported = pg_settings_ref(reported);
    w->next = a->welcomes;
    a->welcomes = w;
    a->welcome_count++;
}

/* The role of a server changed, or its configuration: what was told at logins may be old. */
void sql_welcomes_forget(void)
{
    atomic_fetch_add(&changes, 1);
}

void sql_account_tick(struct sql_account *a, uint64_t now_us, bool housekeeping)
{
    bool used = a->sessions > 0 || a->guests > 0;

    LIST_EACH (&a->rosters, link) {
        struct sql_roster *roster = LIST_ITEM(link, struct sql_roster, link);

        sql_roster_tick(roster, now_us);
        used |= roster->open > 0 || roster->waiter_count > 0;
        if (roster->open == 0 && roster->waiter_count == 0 && !roster->endpoint->present)
            roster_free(roster);
    }
    if (used)
        a->idle_since_us = now_us;
    else if (housekeeping && now_us - a->idle_since_us > ACCOUNT_REST_US)
        sql_account_free(a);
}
