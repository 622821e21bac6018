/* A script that stands in place of a command whose result may be larger than its class takes
 * (max_value), where the words do not tell how large that will be: APPEND, INCRBYFLOAT, RENAME ...
 *
 *     APPEND k v  --->  EVAL <script> 1 k <max_value> <class> sum APPEND k v
 *
 * It answers what the command answers, or the error of the class, and then all is as it was.
 * Embedded stores have no scripts: they know this one by its text and look at what they put
 * (verbs.c). */
#pragma once

#include "proxy/base/slice.h"

/* Where they stand in the request, behind the keys. */
enum {
    REDIS_GUARD_SCRIPT = 1,
    REDIS_GUARD_KEY_COUNT,
    REDIS_GUARD_KEYS,
    REDIS_GUARD_MOST = 0, /* behind the keys, as the next */
    REDIS_GUARD_CLASS,
    REDIS_GUARD_MODE,
    REDIS_GUARD_COMMAND, /* its words */
};

extern const char REDIS_GUARD[];

struct key_class;

/* How the command with so many words is told; NULL: it makes nothing larger that its words do not
 * tell, or nothing that the class does not take. */
const char *redis_guard_mode(struct slice command, const struct key_class *c);
