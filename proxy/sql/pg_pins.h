/* Why a session holds its server, and the question to the server whether it still must.
 *
 * A set of pins is an unsigned number.  When a pinned session is between transactions, and
 * something was done that may have changed its pins, the flow sends pg_pins_query() behind it,
 * swallowed, and gives each row of the answer to pg_pins_read_row(); at the CommandComplete
 *
 *     pins = pg_pins_after_probe(pins, found);
 *
 * The query takes a snapshot and some catalog look-ups; with `settings` it walks through all of the
 * server's settings too (some tenths of a millisecond), which tells what set_config() in functions
 * has done: for pg_settings_session_found(). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"
#include "proxy/sql/pg_settings.h"

enum pg_pin_number {
#define PIN(name, label, cleared_by, text) PG_PIN_NUMBER_##name,
#include "proxy/sql/pg_pins.def"
#undef PIN
    PG_PIN_COUNT,
};

enum pg_pin {
#define PIN(name, label, cleared_by, text) PG_PIN_##name = 1 << PG_PIN_NUMBER_##name,
#include "proxy/sql/pg_pins.def"
#undef PIN
};

/* For SHOW: "temporary objects, LISTEN"; for metrics, of one number: "temp", "advisory_lock". */
void pg_pins_put_text(struct buf *out, unsigned pins);
const char *pg_pins_text(enum pg_pin_number pin);
const char *pg_pins_label(enum pg_pin_number pin);

/* The text of the question; it means the same whatever is set, so that a server may be given it
 * prepared. */
struct slice pg_pins_query(bool settings);
/* The question with `settings`, and about settings of which no server gives a list: those with a
 * dot in their names (app.tenant) that are in `known`, and those named (found in the code of
 * functions, say). */
void pg_pins_put_query(struct buf *out, const struct pg_settings *known, const struct slice *names,
                       size_t count);

struct pg_pins_row {
    bool is_setting;
    unsigned pins;                   /* of the one row that is none: what the server has */
    uint64_t prepared;               /* and how many statements of ours */
    struct slice name, value, shown; /* of a setting; borrowed from the row */
};

/* The body of a DataRow. */
MUST_CHECK enum err pg_pins_read_row(struct slice body, struct pg_pins_row *out);

unsigned pg_pins_after_probe(unsigned pins, unsigned found);
/* DISCARD ALL went well. */
unsigned pg_pins_after_discard(unsigned pins);
