/* How many upstreams the process may have: counters that all workers share, by endpoint, database
 * and user.  The list of them is looked at when an account begins or ends, under a lock; the
 * counters themselves have none. */
#include <pthread.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/sql/sql_flow.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list all = { &all, &all };

struct sql_budget *sql_budget_open(const char *pool, const char *endpoint, const char *database,
                                   const char *user)
{
    struct sql_budget *b;
    struct buf key = { 0 };

    /* None of the parts has a control byte in it but, perhaps, names that clients made up: then the
     * length tells them apart. */
    buf_format(&key, "%s\t%s\t%zu\t%s\t%s", pool, endpoint, strlen(database), database, user);
    buf_put(&key, "", 1);
    pthread_mutex_lock(&lock);
    LIST_EACH (&all, link) {
        b = LIST_ITEM(link, struct sql_budget, link);
        if (strcmp(b->key, (const char *)key.at) == 0) {
            b->refs++;
            goto found;
        }
    }
    b = mem_new(sizeof(*b));
    b->key = mem_text((const char *)key.at);
    b->refs = 1;
    list_append(&all, &b->link);
found:
    pthread_mutex_unlock(&lock);
    buf_fini(&key);
    return b;
}

void sql_budget_close(struct sql_budget **where)
{
    struct sql_budget *b = *where;

    *where = NULL;
    pthread_mutex_lock(&lock);
    if (--b->refs == 0) {
        list_remove(&b->link);
        free(b->key);
        free(b);
    }
    pthread_mutex_unlock(&lock);
}

static bool take(struct sql_budget *b, uint32_t most, const struct sql_roster *roster,
                 uint64_t now_us)
{
    if (atomic_fetch_add(&b->open, 1) < most || most == 0)
        return true;
    atomic_fetch_sub(&b->open, 1);
    atomic_store(&b->wanted_by, (uintptr_t)roster);
    atomic_store(&b->wanted_us, now_us);
    return false;
}

/* Of the others' budgets, when it has been taken of its own. */
static bool take_others(struct sql_roster *roster, uint64_t now_us)
{
    const struct sql_account *a = roster->account;

    if (!take(roster->database_budget, sql_account_sizes(a).max_connections, roster, now_us))
        goto no_database;
    if (!take(roster->user_budget, sql_account_max_connections(a), roster, now_us))
        goto no_user;
    return true;
no_user:
    atomic_fetch_sub(&roster->database_budget->open, 1);
no_database:
    atomic_fetch_sub(&roster->budget->open, 1);
    return false;
}

bool sql_budget_take(struct sql_roster *roster, bool reserve)
{
    const struct sql_account *a = roster->account;
    uint64_t now_us = worker_now_us(a->side->worker);
    struct sql_sizes sizes = sql_account_sizes(a);

    return take(roster->budget, sizes.pool_size + (reserve ? sizes.reserve_pool_size : 0), roster,
                now_us) &&
           take_others(roster, now_us);
}

/* Nobody waits for it: it takes nothing from others, nor has them close what they have. */
bool sql_budget_take_least(struct sql_roster *roster)
{
    const struct sql_account *a = roster->account;
    struct sql_sizes sizes = sql_account_sizes(a);
    uint32_t user_most = sql_account_max_connections(a);

    if ((sizes.max_connections > 0 &&
         atomic_load(&roster->database_budget->open) >= sizes.max_connections) ||
        (user_most > 0 && atomic_load(&roster->user_budget->open) >= user_most))
        return false;
    if (atomic_fetch_add(&roster->budget->open, 1) >= sizes.min_pool_size) {
        atomic_fetch_sub(&roster->budget->open, 1);
        return false;
    }
    return take_others(roster, worker_now_us(a->side->worker));
}

static void keep(struct sql_budget *b)
{
    pthread_mutex_lock(&lock);
    b->refs++;
    pthread_mutex_unlock(&lock);
}

void sql_budgets_ref(struct sql_budgets budgets)
{
    keep(budgets.own);
    keep(budgets.database);
    keep(budgets.user);
}

void sql_budgets_unref(struct sql_budgets budgets)
{
    if (budgets.own == NULL)
        return;
    sql_budget_close(&budgets.own);
    sql_budget_close(&budgets.database);
    sql_budget_close(&budgets.user);
}

void sql_budgets_give(struct sql_budgets budgets)
{
    atomic_fetch_sub(&budgets.own->open, 1);
    atomic_fetch_sub(&budgets.database->open, 1);
    atomic_fetch_sub(&budgets.user->open, 1);
    sql_budgets_unref(budgets);
}

void sql_budget_give(struct sql_roster *roster)
{
    atomic_fetch_sub(&roster->user_budget->open, 1);
    atomic_fetch_sub(&roster->database_budget->open, 1);
    atomic_fetch_sub(&roster->budget->open, 1);
}

/* A wish is remembered for a little longer than the clock takes to come around. */
static bool is_wanted(const struct sql_budget *b, const struct sql_roster *roster, uint64_t now_us)
{
    return atomic_load(&b->wanted_us) + 2 * (uint64_t)WORKER_TICK_US > now_us &&
           atomic_load(&b->wanted_by) != (uintptr_t)roster;
}

bool sql_budget_is_wanted(const struct sql_roster *roster)
{
    uint64_t now_us = worker_now_us(roster->account->side->worker);

    return is_wanted(roster->database_budget, roster, now_us) ||
           is_wanted(roster->user_budget, roster, now_us);
}
