/* Which keys there are and how often each is asked for.  A key is a number below `count`; its name
 * is a prefix and that number with leading zeros, so that all names are of one length. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "bench/dice.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum { KEYSPACE_NAME_MAX = 256 };

struct keyspace {
    const char *prefix; /* borrowed: the command line */
    uint32_t digits;
    uint64_t count;
    double exponent;                       /* of the zipf distribution; 0: uniform */
    double area_first, area_all, shortcut; /* of the zipf distribution, see keyspace.c */
};

/* Takes `uniform`, `zipf` or `zipf:EXPONENT`. */
MUST_CHECK enum err keyspace_shape(struct keyspace *k, const char *text);
/* Once prefix, digits, count and shape are set; ERR_RANGE if the names do not hold all numbers. */
MUST_CHECK enum err keyspace_begin(struct keyspace *k);
uint64_t keyspace_pick(const struct keyspace *k, struct dice *dice);
size_t keyspace_name_len(const struct keyspace *k);
/* Writes the name, not terminated; there is room for keyspace_name_len() bytes. */
void keyspace_name(const struct keyspace *k, uint64_t key, uint8_t *out);
