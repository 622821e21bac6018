/* Patterns as in KEYS and CONFIG GET: * ? [a-z] [^a] and \ before a character taken as it is. */
#pragma once

#include <stdbool.h>

#include "proxy/base/slice.h"

/* Letters without case.  Takes time in proportion to the product of both lengths at most. */
bool redis_glob_fits(struct slice pattern, struct slice text);
/* The same, letters with case. */
bool redis_glob_fits_exactly(struct slice pattern, struct slice text);
