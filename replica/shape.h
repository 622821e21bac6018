/* The shape of a statement: what is left of its text without comments, spaces and the values of
 * literals, as a hash of 128 bits.  Statements of one shape have one verdict, so that `WHERE id =
 * 5` and `WHERE id = 6` are looked into once.  Pure, about a nanosecond a byte.
 *
 * Words are case-folded unless they are quoted.  Lists of literals and parameters count as one (`IN
 * (1, 2, 3)`), as do rows of them (`VALUES (1, 'a'), (2, 'b')`).  After a word whose meaning
 * depends on its literals (current_setting, set_config) all of them stay in the shape. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"

/* From comments that hold nothing else than such pairs: "route=primary, min_lsn=0/16B3748". */
enum shape_hint_route { HINT_NONE, HINT_ANY, HINT_REPLICA, HINT_PRIMARY };

struct shape_hints {
    uint8_t route;             /* enum shape_hint_route; the strictest, if there are several */
    struct slice min_position; /* of the last min_lsn= or min_position=; borrowed; or empty */
};

struct shape {
    uint64_t low, high; /* never both 0 */
    struct shape_hints hints;
};

/* `backslash_escapes`: standard_conforming_strings is off.  False: the text has no shape (a literal
 * or comment does not end): it is not to be remembered. */
bool shape_of(struct slice text, bool backslash_escapes, struct shape *out);

/* What one comment, with its marks, adds to the hints. */
void shape_take_hints(struct slice comment, struct shape_hints *hints);
