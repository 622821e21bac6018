/* Numbers in the words of memcached's text protocol.  memcached 1.6 up to 1.6.39 reads them with
 * strtol() and its kin, which take a sign, blanks of other kinds (a tab ...) and any number of
 * zeros before them, and it lets such a blank end them; later ones take digits only.  A server that
 * does not take a length as we did would read the value as commands, so what is not plain is
 * written anew before any server sees it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"

enum { MEMCACHED_NUMERAL_BYTES = 24 }; /* of one that is written anew, with the end of a C string */

/* Digits without zeros before them, behind a "-" at most, if there may be one: all servers take it
 * alike. */
bool memcached_numeral_is_plain(struct slice word, bool may_be_negative);
/* False: it is no such number to memcached, or too large for it. */
bool memcached_numeral_signed(struct slice word, int64_t *out);
bool memcached_numeral_unsigned(struct slice word, uint64_t *out);
/* The number as a plain word, of either of the two kinds.  Returns its length; 0: it is none. */
size_t memcached_numeral_rewrite(struct slice word, char out[MEMCACHED_NUMERAL_BYTES]);
