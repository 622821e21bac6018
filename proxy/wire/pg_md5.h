/* PostgreSQL's method `md5`: what is kept of a password is "md5" and the hex digits of
 * md5(password, user); what is sent is "md5" and those of md5(these hex digits, a salt). */
#pragma once

#include <stdbool.h>

#include "proxy/base/slice.h"

enum {
    PG_MD5_BYTES = 35, /* "md5" and 32 hex digits */
};

/* Terminated. */
struct pg_md5 {
    char text[PG_MD5_BYTES + 1];
};

/* Has it the form of a kept hash? */
bool pg_md5_is_hash(struct slice text);
struct pg_md5 pg_md5_of_password(struct slice password, struct slice user);
/* `hash` must be of that form. */
struct pg_md5 pg_md5_answer(struct slice hash, const uint8_t salt[4]);
/* Compares in constant time. */
bool pg_md5_is(struct slice text, const struct pg_md5 *expected);
