/* What the files of the memcached front share: a session's state, and one command on its way from
 * bytes to a plan.
 *
 *     front_memcached.c       which protocol, parsing, refusals
 *     memcached_text.c        text commands: forwarded as they came, but for what follows
 *     memcached_get.c         many keys: once per shard, merged in the order of the keys
 *     memcached_meta.c        meta commands: forwarded; quiet ones answered as far as they are
 *     memcached_number.c      quiet ones that may make a number
 *     memcached_join.c        append and prepend within what a class of keys takes
 *     memcached_binary.c      binary commands: translated to meta commands, and their replies back
 *     memcached_binary_get.c  binary gets: translated to `gets`, many quiet ones to one
 *     memcached_every_shard.c flush_all, verbosity
 *     memcached_stats.c       stats, merged
 *     memcached_login.c       who may what
 *     memcached_class.c       what classes of keys allow
 *     memcached_cache.c       values that workers keep
 *     memcached_over*.c       all of it over Redis and embedded shards
 *     memcached_kept.c        how flags and cas are kept there
 *     memcached_call.c        what all of them need
 *
 * Towards servers all is text or meta commands without noreply and q: so each command has one
 * reply, whatever becomes of it.  What a client did not want to hear is left out here. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/memory/memory.h"
#include "proxy/wire/memcached_binary.h"
#include "proxy/wire/memcached_text_reply.h"
#include "proxy/wire/memcached_text_request.h"
#include "shard/split.h"

/* Decided by a session's first byte. */
enum memcached_form { MEMCACHED_UNDECIDED, MEMCACHED_TEXT, MEMCACHED_BINARY };

struct memcached_session {
    struct memory_state base;
    struct memcached_text_progress progress;
    uint64_t skip; /* bytes to come of a value that was refused */
    enum memcached_form form;
    uint32_t user_index; /* where it stood in the pool's list */
};

/* Of one worker and pool: the request parsed last, whosever it is. */
struct memcached_shared {
    bool is_skipped; /* it is a part of a refused value, and nothing else */
    struct memcached_text_request text;
    struct memcached_binary_request binary;
    struct slice behind; /* of the input: what comes after `binary` */
    uint64_t random;     /* for memcached_over.c */
};

struct memcached_call {
    const struct memory_site *site;
    struct memcached_session *session;
    struct memory_operation *op;
    const struct user_settings *user; /* NULL: the pool has none, or nothing is kept from it */
    /* Exactly one of them is there. */
    const struct memcached_text_request *text;
    const struct memcached_binary_request *binary;
    struct slice bytes; /* of `text`, from its first word on, as servers are sent it */
};

static inline struct memcached_shared *memcached_shared_of(const struct memory_site *site)
{
    return site->shared;
}

static inline struct memcached_session *memcached_session_of(struct memory_state *state)
{
    return (struct memcached_session *)state;
}

#define MEMCACHED_SERVER_VERSION "1.6.18" /* the one whose commands these are */

void memcached_plan_text(struct memcached_call *call);
void memcached_plan_get(struct memcached_call *call);
void memcached_plan_meta(struct memcached_call *call);
/* A quiet one that may make a number.  False: it is none, and nothing was planned. */
bool memcached_plan_quiet_number(struct memcached_call *call, struct slice key, uint32_t shard);
/* Of what was planned: if it appends or prepends to a key whose class limits its values, the server
 * is asked first how long the value is. */
void memcached_limit_join(struct memcached_call *call, struct slice key);
void memcached_plan_binary(struct memcached_call *call);
void memcached_plan_binary_get(struct memcached_call *call); /* of a key that is a word */
void memcached_plan_flush(struct memcached_call *call, struct slice expiry); /* "": at once */
/* flush_all and what belongs to it, for the part's shard. */
void memcached_flush_part(const struct memory_site *site, struct arena *arena,
                          struct memory_part *part, struct slice expiry);
/* Did its server all of that?  Else *wrong begins with what it said instead of OK, or of the stamp,
 * which follows it. */
bool memcached_flush_is_done(struct slice reply, struct slice *wrong);
void memcached_plan_verbosity(struct memcached_call *call);
void memcached_plan_stats(struct memcached_call *call, struct slice what);

/* memcached_login.c */
void memcached_user_begin(const struct memory_site *site, struct memcached_session *session);
/* Finds the session's user in the configuration of now.  False: it is nobody. */
bool memcached_user_find(struct memcached_call *call);
/* May the user run it?  `name` is a text command's. */
bool memcached_user_may_run(const struct memcached_call *call, const char *name, bool is_write);
/* The command turns out to change something: false: the user may not, and was answered. */
bool memcached_user_may_write(struct memcached_call *call);
bool memcached_user_log_in(struct memcached_call *call, struct slice name, struct slice password);
void memcached_plan_text_login(struct memcached_call *call);
void memcached_plan_sasl(struct memcached_call *call);

/* ---- memcached_call.c ---- */

/* Marks the operation as answered and gives where the answer goes. */
struct buf *memcached_answer(struct memcached_call *call);
void memcached_answer_text(struct memcached_call *call, const char *line);
/* CLIENT_ERROR without those words, or the same in binary. */
void memcached_refuse(struct memcached_call *call, enum memcached_status status, const char *format,
                      ...) PRINTF_LIKE(3, 4);
/* A binary answer without key and value; errors have memcached's words. */
void memcached_answer_status(struct memcached_call *call, enum memcached_status status);

/* The key's shard.  False: answered with an error, as the key is the stamp's or not the user's, or
 * its class does not allow it. */
bool memcached_place(struct memcached_call *call, struct slice key, uint32_t *shard);
/* The class of the key, if its keys' lives are limited; else NULL. */
const struct key_class *memcached_class_of(const struct memcached_call *call, struct slice key);
/* get of one key.  True: answered with a value that the worker keeps.  Else it is planned, and then
 * asked for in such a way that it may be kept. */
bool memcached_cache_answers(struct memcached_call *call);
void memcached_cache_fill(struct memcached_call *call);
/* What the class makes of a time, which is told as memcached's protocol does; c may be NULL. */
int64_t memcached_class_expiry(const struct memcached_call *call, const struct key_class *c,
                               int64_t expiry);
/* The same of its text.  False: it may stay as it is (what is no number too, for the server says
 * so). */
bool memcached_class_limit(struct memcached_call *call, const struct key_class *c,
                           struct slice text, struct slice *out);
/* A copy of `bytes` with `other` in place of the `len` bytes from `place` on. */
struct slice memcached_splice(struct memcached_call *call, struct slice bytes, size_t place,
                              size_t len, struct slice other);
/* May the key's class have a value of that size? */
bool memcached_class_has_room(struct memcached_call *call, struct slice key, uint64_t value_bytes);
void memcached_plan_one(struct memcached_call *call, uint32_t shard, struct slice bytes);
/* `bytes` to each shard of the pool, one reply from each. */
void memcached_plan_all(struct memcached_call *call, struct slice bytes, memory_merge_f *merge,
                        void *note);
/* If the pool's dead shards count as misses, a read is answered so. */
void memcached_miss_if_down(struct memcached_call *call, const char *miss);
/* The reply of a part that failed, or an error that its server answered; .at is NULL: there is
 * none. */
struct slice memcached_first_error(const struct memory_merge *m);
/* The part's reply can't be an answer to what its server was asked. */
void memcached_put_out_of_step(struct memory_merge *m, uint32_t part, struct buf *out);
struct slice memcached_out_of_step(struct memory_merge *m, uint32_t part); /* in the arena */
/* What stands behind the letter of a meta command's flag, among the words from `first` on; .at is
 * NULL: it is not there. */
struct slice memcached_line_flag(struct slice line, uint32_t first, char flag);

/* ---- memcached_get.c ---- */

/* Walks the keys that a part asked for and the rows that its server found, which come in the same
 * order. */
struct memcached_cursor {
    struct slice keys; /* that were not looked for yet */
    struct slice rows; /* of its reply that were not taken yet; in the end "END\r\n", or an error */
};

struct memcached_cursor memcached_cursor_of(const struct memory_part *part, uint32_t words_before);
/* The part's next key.  True: it was found, and *row is it. */
bool memcached_cursor_next(struct memcached_cursor *c, struct slice *key,
                           struct memcached_row *row);
/* The words ("get", or "gat 60") and the part's keys, in the arena. */
struct slice memcached_keys_line(struct arena *arena, const struct slice *words,
                                 uint32_t word_count, const struct split_part *part,
                                 const struct slice *keys);

/* ---- memcached_binary.c ---- */

/* The value of a get; `key` is empty if it gives none. */
void memcached_put_value(struct buf *out, uint8_t opcode, uint32_t opaque, struct slice flags,
                         struct slice cas, struct slice key, struct slice value);
/* A get that found nothing: those that give keys give the key, and no words. */
void memcached_put_miss(struct buf *out, uint8_t opcode, uint32_t opaque, struct slice key);
/* A binary reply, and an error with the words of a text error ("SERVER_ERROR ..."). */
void memcached_put_status(struct buf *out, uint8_t opcode, uint32_t opaque,
                          enum memcached_status status);
void memcached_put_error(struct buf *out, uint8_t opcode, uint32_t opaque, struct slice error);
