/* What is counted: for the steward and SHOW in sql_counts.h, for SHOW STATS in a ledger of each
 * database, whose averages are those of the last whole minute. */
#include <assert.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/sql/sql_flow.h"

enum { LEDGERS_MOST = 1000, MINUTE_US = 60 * 1000 * 1000 };

static_assert(SQL_WAITS_RESUME - SQL_WAITS_LEASE == SQL_COUNTS_WAIT_RESUME,
              "a wait has no counter, or another's");

/* ---- ledgers ---- */

static struct sql_ledger *find(struct sql_side *side, const char *database)
{
    LIST_EACH (&side->ledgers, link) {
        struct sql_ledger *ledger = LIST_ITEM(link, struct sql_ledger, link);

        if (strcmp(ledger->database, database) == 0)
            return ledger;
    }
    return NULL;
}

/* They stay, so that totals never go back; clients may make names up, so there are not too many. */
struct sql_ledger *sql_ledger_of(struct sql_side *side, const char *database)
{
    const char *name = side->ledger_count < LEDGERS_MOST ? database : "(others)";
    struct sql_ledger *ledger = find(side, database);

    if (ledger == NULL)
        ledger = find(side, name);
    if (ledger != NULL)
        return ledger;
    ledger = mem_new(sizeof(*ledger));
    ledger->database = mem_text(name);
    list_append(&side->ledgers, &ledger->link);
    side->ledger_count++;
    return ledger;
}

void sql_ledgers_free(struct sql_side *side)
{
    LIST_EACH (&side->ledgers, link) {
        struct sql_ledger *ledger = LIST_ITEM(link, struct sql_ledger, link);

        list_remove(&ledger->link);
        free(ledger->database);
        free(ledger);
    }
}

static void end_minute(struct sql_ledger *ledger)
{
    for (int i = 0; i < SQL_DONE_COUNT; i++) {
        ledger->last_minute[i] = ledger->done[i] - ledger->done_before[i];
        ledger->done_before[i] = ledger->done[i];
    }
}

/* ---- events ---- */

void sql_tally_wait_begins(struct sql_session *s)
{
    s->wait_began_us = worker_now_us(s->base.worker);
    counter_add(&sql_side_of(s)->counts->waiting[s->waits - SQL_WAITS_LEASE], 1);
}

void sql_tally_wait_ends(struct sql_session *s)
{
    struct sql_counts *counts = sql_side_of(s)->counts;
    uint64_t took_us = worker_now_us(s->base.worker) - s->wait_began_us;
    int which = s->waits - SQL_WAITS_LEASE;

    counter_sub(&counts->waiting[which], 1);
    counter_add(&counts->waits[which], 1);
    counter_add(&counts->wait_us[which], took_us);
    sql_tally(s, SQL_DONE_WAIT_US, took_us);
}

void sql_tally_lease(struct sql_session *s, bool begins)
{
    struct counter *active = &sql_side_of(s)->counts->list[SQL_COUNT_CLIENTS_ACTIVE];

    if (begins) {
        counter_add(active, 1);
        sql_tally(s, SQL_DONE_ASSIGNMENTS, 1);
        s->began_us = 0;
    } else {
        counter_sub(active, 1);
        sql_tally_pins(s, 0);
    }
}

void sql_tally_answered(struct sql_session *s, const struct sql_upstream *u, uint64_t took_us)
{
    struct sql_side *side = sql_side_of(s);
    bool on_primary = u->endpoint == sql_primary(side);
    uint64_t now_us = worker_now_us(s->base.worker);

    counter_add(&side->counts->list[on_primary ? SQL_COUNT_ON_PRIMARY : SQL_COUNT_ON_REPLICA], 1);
    sql_tally(s, SQL_DONE_QUERIES, 1);
    sql_tally(s, SQL_DONE_QUERY_US, took_us);
    if (s->began_us == 0)
        s->began_us = now_us - took_us;
    if (u->status != PG_STATUS_IDLE)
        return;
    sql_tally(s, SQL_DONE_TRANSACTIONS, 1);
    sql_tally(s, SQL_DONE_TRANSACTION_US, now_us - s->began_us);
    s->began_us = 0;
}

void sql_tally_pins(struct sql_session *s, uint32_t pins)
{
    struct sql_counts *counts = sql_side_of(s)->counts;
    uint32_t changed = pins ^ s->pins_counted;

    if (changed == 0)
        return;
    for (int i = 0; i < PG_PIN_COUNT; i++) {
        uint32_t bit = 1u << i;

        if (!(changed & bit))
            continue;
        if (pins & bit) {
            counter_add(&counts->pinned[i], 1);
            counter_add(&counts->pins[i], 1);
        } else {
            counter_sub(&counts->pinned[i], 1);
        }
    }
    if ((pins != 0) != (s->pins_counted != 0))
        counter_add(&counts->list[SQL_COUNT_CLIENTS_PINNED], pins != 0 ? 1 : (uint64_t)-1);
    s->pins_counted = pins;
}

/* ---- clock ---- */

void sql_tally_tick(struct sql_side *side, uint64_t now_us)
{
    struct counter *list = side->counts->list;
    struct verdicts_counts v;

    verdicts_count(side->verdicts, &v);
    counter_set(&list[SQL_COUNT_VERDICT_HITS], v.hits);
    counter_set(&list[SQL_COUNT_VERDICT_MISSES], v.misses);
    counter_set(&list[SQL_COUNT_VERDICTS_OVERRULED], v.overruled);
    counter_set(&list[SQL_COUNT_VERDICTS], v.entries);
    counter_set(&list[SQL_COUNT_VERDICT_BYTES], v.bytes);
    if (now_us - side->minute_us < MINUTE_US)
        return;
    side->minute_us = now_us;
    LIST_EACH (&side->ledgers, link)
        end_minute(LIST_ITEM(link, struct sql_ledger, link));
}
