/* A statement's text for people: without comments, and with `?` for each literal, whose value may
 * be nobody's business.  Pure. */
#pragma once

#include <stdbool.h>

#include "proxy/base/slice.h"

/* Writes at most `room` - 1 bytes and a zero; returns how many.  `text` may be the beginning of a
 * longer one; `backslash_escapes`: standard_conforming_strings is off. */
size_t outline_of(struct slice text, bool backslash_escapes, char *out, size_t room);
