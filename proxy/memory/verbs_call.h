/* What the files of the verbs share: one command on its way. */
#pragma once

#include "proxy/memory/verbs.h"
#include "proxy/wire/resp_write.h"
#include "shard/redis_command.h"

struct verb_call {
    struct verbs *v;
    const struct verbs_ask *ask;
    const struct redis_command *cmd;
    const struct slice *args;
    size_t count;
    uint32_t database; /* SELECT changes it, for what follows in the same ask */
    struct buf *out;
    size_t began;            /* of `out`: where the replies to this ask begin */
    struct verbs_walk *walk; /* NULL: all at once */
    uint64_t value_most;     /* a larger one is refused; 0: none */
    struct slice class;      /* which says so */
};

typedef void verb_f(struct verb_call *c);

#define VERB(name, function) verb_f function;
#include "proxy/memory/verbs.def"
#undef VERB

extern const char VERBS_NOT_INTEGER[], VERBS_SYNTAX[];

/* Is it served here? */
bool verbs_have(const struct redis_command *cmd);

/* EVALSHA, which is served as far as it is what memcached's clients ask for: is it? */
bool verb_is_memcached(const struct verb_call *c);

/* EVAL, which is served as far as it is redis_guard.h's script: is it?  Then the call is the
 * command that is guarded. */
bool verb_is_guarded(struct verb_call *c);

/* Takes one request off the front, and empty ones before it; false: there is none. */
bool verbs_next_request(struct verb_call *c, struct slice *bytes);

/* "ERR ..." without '-'. */
void verb_error(struct verb_call *c, const char *format, ...) PRINTF_LIKE(2, 3);
void verb_null(struct verb_call *c);

/* False: it is not there, or its time is over (then it is dropped), or the store is in trouble;
 * `out`, which was empty, is so then. */
bool verb_get(struct verb_call *c, struct slice name, struct store_value *out);
/* As it was read by a client: counts for INFO. */
bool verb_read(struct verb_call *c, struct slice name, struct store_value *out);
/* False: answered with an error. */
bool verb_put(struct verb_call *c, struct slice name, struct slice bytes, int64_t expires_ms);
bool verb_drop(struct verb_call *c, struct slice name); /* false: it was not there */
/* A value; false: answered with an error. */
bool verb_may_be_so_long(struct verb_call *c, uint64_t bytes);

/* How many keys a database has; false: answered with an error. */
bool verb_count(struct verb_call *c, uint32_t database, uint64_t *keys);

/* As Redis reads them: no blanks, no plus, no leading zeros. */
bool verb_integer(struct slice text, int64_t *out);
bool verb_argument(struct verb_call *c, size_t at, int64_t *out); /* false: answered */
bool verb_is(const struct verb_call *c, size_t at, const char *word);

/* What an expiry is given in. */
struct verb_time {
    bool in_seconds, is_absolute;
    size_t at; /* the argument; 0: none was given */
};
/* Of the number in that argument; false: answered with an error. */
bool verb_expires(struct verb_call *c, struct verb_time time, int64_t *out);
/* "EX", "PX", "EXAT", "PXAT" at `at`, with a number behind it. */
bool verb_take_time(const struct verb_call *c, size_t at, struct verb_time *out);
