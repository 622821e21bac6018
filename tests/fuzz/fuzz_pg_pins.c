/* What a server answers to the question what its session still has: rows of any bytes. */
#include <stdlib.h>

#include "proxy/sql/pg_pins.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool lies_within(struct slice part, struct slice whole)
{
    return part.len == 0 || (part.at >= whole.at && part.at + part.len <= whole.at + whole.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct pg_pins_row row = { .pins = ~0u, .prepared = 77 };
    struct slice body;
    uint8_t *copy = malloc(size + 1); /* ends where the row does: a look beyond it is seen */

    for (size_t i = 0; i < size; i++)
        copy[i + 1] = at[i];
    body = slice_of(copy + 1, size);
    if (pg_pins_read_row(body, &row) != ERR_NONE) {
        must(row.pins == ~0u && row.prepared == 77);
    } else if (row.is_setting) {
        must(row.pins == 0 && row.prepared == 0);
        must(lies_within(row.name, body) && lies_within(row.value, body) &&
             lies_within(row.shown, body));
    } else {
        must(row.pins >> PG_PIN_COUNT == 0);
        must(pg_pins_after_probe(0, row.pins) == row.pins);
        must(row.name.len == 0 && row.value.len == 0 && row.shown.len == 0);
    }
    free(copy);
    return 0;
}
