/* See sql_counts.h.  The lock guards the list; the rows have one writer each. */
#include "proxy/sql/sql_counts.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/sql/pg_pins.h"

static_assert(PG_PIN_COUNT <= (int)SQL_COUNTS_PINS, "a pin has no counter");

static struct {
    pthread_mutex_t lock;
    struct sql_counts *rows; /* lock */
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

#define RISES true
#define NOW   false
const struct sql_count_kind sql_counts_kinds[SQL_COUNTS] = {
#define COUNT(name, of_endpoint, rises, metric, text) { metric, text, of_endpoint, rises },
#include "proxy/sql/sql_counts.def"
#undef COUNT
};

static const struct {
    const char *word, *text;
} WAITS[SQL_COUNTS_WAITS] = {
#define WAIT(name, word, text) { word, text },
#include "proxy/sql/sql_waits.def"
#undef WAIT
};

struct sql_counts *sql_counts_of(const char *pool, const char *endpoint, uint32_t worker)
{
    struct sql_counts *row;

    pthread_mutex_lock(&shared.lock);
    for (row = shared.rows; row != NULL; row = row->next)
        if (row->worker == worker && strcmp(row->pool, pool) == 0 &&
            strcmp(row->endpoint, endpoint) == 0)
            break;
    if (row == NULL) {
        row = mem_new(sizeof(*row));
        row->pool = mem_text(pool);
        row->endpoint = mem_text(endpoint);
        row->worker = worker;
        row->next = shared.rows;
        shared.rows = row;
    }
    pthread_mutex_unlock(&shared.lock);
    return row;
}

static void add(uint64_t *sums, const struct counter *counters, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sums[i] += counter_get(&counters[i]);
}

void sql_counts_sum(const char *pool, const char *endpoint, struct sql_totals *out)
{
    const struct sql_counts *row;

    pthread_mutex_lock(&shared.lock);
    row = shared.rows;
    pthread_mutex_unlock(&shared.lock);
    *out = (struct sql_totals){ 0 };
    for (; row != NULL; row = row->next) {
        if (strcmp(row->pool, pool) != 0 || strcmp(row->endpoint, endpoint) != 0)
            continue;
        add(out->list, row->list, SQL_COUNTS);
        add(out->waits, row->waits, SQL_COUNTS_WAITS);
        add(out->wait_us, row->wait_us, SQL_COUNTS_WAITS);
        add(out->waiting, row->waiting, SQL_COUNTS_WAITS);
        add(out->pins, row->pins, SQL_COUNTS_PINS);
        add(out->pinned, row->pinned, SQL_COUNTS_PINS);
        add(out->causes, row->causes, SQL_CAUSES);
    }
}

const char *sql_counts_wait_word(enum sql_counts_wait wait)
{
    return WAITS[wait].word;
}

const char *sql_counts_wait_text(enum sql_counts_wait wait)
{
    return WAITS[wait].text;
}

const char *sql_counts_cause_word(enum sql_cause cause)
{
    static const char *const WORDS[] = {
#define CAUSE(name, word, text) [SQL_CAUSE_##name] = (word),
#include "proxy/sql/sql_causes.def"
#undef CAUSE
    };

    return WORDS[cause];
}

const char *sql_counts_pin_label(unsigned pin)
{
    return pin < PG_PIN_COUNT ? pg_pins_label((enum pg_pin_number)pin) : NULL;
}

const char *sql_counts_pin_text(unsigned pin)
{
    return pin < PG_PIN_COUNT ? pg_pins_text((enum pg_pin_number)pin) : NULL;
}
