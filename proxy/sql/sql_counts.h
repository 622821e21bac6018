/* What is counted of sql pools besides core/stats.h, by worker: written by that worker, read by the
 * steward and by consoles without a lock.  A row is made when it is first needed, and stays for the
 * life of the process. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/metric.h"

enum sql_count {
#define COUNT(name, of_endpoint, rises, metric, text) SQL_COUNT_##name,
#include "proxy/sql/sql_counts.def"
#undef COUNT
    SQL_COUNTS,
};

/* What sessions wait for, in the order of enum sql_wait. */
enum sql_counts_wait {
#define WAIT(name, word, text) SQL_COUNTS_WAIT_##name,
#include "proxy/sql/sql_waits.def"
#undef WAIT
    SQL_COUNTS_WAITS,
};

enum sql_cause {
#define CAUSE(name, word, text) SQL_CAUSE_##name,
#include "proxy/sql/sql_causes.def"
#undef CAUSE
    SQL_CAUSES,
};

enum { SQL_COUNTS_PINS = 16 }; /* at least as many as there are in pg_pins.def */

struct sql_counts {
    struct sql_counts *next; /* of all */
    char *pool;              /* owned, for ever, as the next */
    char *endpoint;          /* "": of the pool itself */
    uint32_t worker;
    struct counter list[SQL_COUNTS];
    struct counter waits[SQL_COUNTS_WAITS], wait_us[SQL_COUNTS_WAITS], waiting[SQL_COUNTS_WAITS];
    struct counter pins[SQL_COUNTS_PINS], pinned[SQL_COUNTS_PINS]; /* of all time; now */
    struct counter causes[SQL_CAUSES];
};

/* Of all workers. */
struct sql_totals {
    uint64_t list[SQL_COUNTS];
    uint64_t waits[SQL_COUNTS_WAITS], wait_us[SQL_COUNTS_WAITS], waiting[SQL_COUNTS_WAITS];
    uint64_t pins[SQL_COUNTS_PINS], pinned[SQL_COUNTS_PINS];
    uint64_t causes[SQL_CAUSES];
};

/* How a count is told. */
struct sql_count_kind {
    const char *name, *text; /* "reasked"; "": not told by its own name */
    bool of_endpoint, rises;
};
extern const struct sql_count_kind sql_counts_kinds[SQL_COUNTS];

/* The row of this worker for a pool (endpoint "") or one of its servers.  Any thread. */
struct sql_counts *sql_counts_of(const char *pool, const char *endpoint, uint32_t worker);
/* Any thread. */
void sql_counts_sum(const char *pool, const char *endpoint, struct sql_totals *out);

const char *sql_counts_wait_word(enum sql_counts_wait wait); /* "lease" */
const char *sql_counts_wait_text(enum sql_counts_wait wait);
const char *sql_counts_cause_word(enum sql_cause cause); /* "behind" */
/* Of the pin of this number: "temp"; NULL: there is none. */
const char *sql_counts_pin_label(unsigned pin);
const char *sql_counts_pin_text(unsigned pin);
