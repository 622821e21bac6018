/* What the files of the Redis front share: a session's state, and one command on its way from words
 * to a plan.
 *
 *     front_redis.c          parsing, the short way of one-key commands, refusals
 *     redis_plan.c           every other command: checks in Redis's order, then by its kind
 *     redis_split.c          MGET, MSET, DEL ...: once per shard
 *     redis_database.c       COPY, MOVE, SWAPDB: the servers' numbers of databases
 *     redis_every_shard.c    commands of all shards
 *     redis_stamp.c          those of them that would show the stamp
 *     redis_merge.c          many replies into one
 *     redis_info.c           INFO, the one merge that is long
 *     redis_tell.c           what else servers tell of themselves: LATENCY, MEMORY, FUNCTION STATS
 *     redis_transaction.c    MULTI, EXEC, WATCH; redis_queue.c: what may stand in between
 *     redis_script.c         EVAL and its kin; redis_scripts.c: the bodies that are remembered
 *     redis_learn.c          commands that only the servers know
 *     redis_users.c          who may what
 *     redis_class.c          what classes of keys allow; redis_class_ttl.c: how long they live
 *     redis_cache.c          values that workers keep
 *     redis_local*.c         what is answered here
 *     redis_over*.c          all of it over memcached shards
 *     redis_call.c           what all of them need
 *
 * A plan function leaves the operation either answered or with its parts.  It may set op->after_all
 * and return at once (redis_must_wait()): then nothing may be changed, for it is called again. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/mem.h"
#include "proxy/memory/memory.h"
#include "proxy/memory/verbs.h"
#include "proxy/wire/resp_request.h"
#include "proxy/wire/resp_write.h"
#include "shard/redis_command.h"

struct redis_transaction;
struct redis_scripts;

/* Why a session's commands can't take the short way. */
enum redis_special {
    REDIS_SPECIAL_LOGGED_OUT = 1 << 0,
    REDIS_SPECIAL_MULTI = 1 << 1,  /* between MULTI and EXEC */
    REDIS_SPECIAL_SILENT = 1 << 2, /* CLIENT REPLY OFF */
    REDIS_SPECIAL_SKIP = 1 << 3,   /* the next command's reply is swallowed */
};

/* What few sessions have: those without it are smaller.  Texts are owned; NULL: not told. */
struct redis_extras {
    char *name;                            /* what it calls itself */
    char *library, *library_version;       /* what its client library says of itself */
    struct redis_transaction *transaction; /* NULL: neither MULTI nor WATCH */
};

struct redis_session {
    struct memory_state base;
    struct resp_progress progress;
    struct redis_extras *extras; /* NULL: it has none */
    uint32_t user_index;         /* where it stood in the pool's list; see redis_user_of() */
    uint32_t special;            /* enum redis_special */
};

enum { REDIS_LEARNED_MOST = 16 };

/* Of one worker and pool. */
struct redis_shared {
    struct resp_args args; /* of the request parsed last, whosever it is */
    struct redis_learned *learned[REDIS_LEARNED_MOST]; /* the newest last; see redis_learn.c */
    uint32_t learned_count;
    uint64_t learned_us;           /* when one answered what it knows; 0: never */
    struct redis_scripts *scripts; /* counted */
    uint64_t random;
    uint32_t draws;     /* likewise, for what need not be as good */
    struct verbs verbs; /* for redis_over_change.c */
};

/* Commands behind a command, that give keys of its class an end. */
struct redis_ends {
    struct slice bytes; /* in the arena */
    uint32_t count;     /* of commands, and of their replies */
};

struct redis_call {
    const struct memory_site *site;
    struct redis_session *session;
    struct memory_operation *op;
    const struct redis_command *cmd;
    const struct user_settings *user; /* NULL: the pool has none, everything is allowed */
    const struct slice *args;         /* op->words, or what a class made of them */
    size_t count;
    bool leaves_no_end;            /* keys of classes with a ttl may have none after it */
    const struct key_class *guard; /* whose max_value its result may not pass; see redis_guard.h */
    struct redis_ends ends;        /* for all its keys, if they are of one shard */
};

static inline struct redis_shared *redis_shared_of(const struct memory_site *site)
{
    return site->shared;
}

static inline struct redis_session *redis_session_of(struct memory_state *state)
{
    return (struct redis_session *)state;
}

/* To be written to. */
static inline struct redis_extras *redis_extras_of(struct redis_session *session)
{
    if (session->extras == NULL)
        session->extras = mem_new(sizeof(*session->extras));
    return session->extras;
}

static inline struct redis_transaction *redis_transaction_of(const struct redis_session *session)
{
    return session->extras == NULL ? NULL : session->extras->transaction;
}

static inline const char *redis_name_of(const struct redis_session *session)
{
    return session->extras == NULL ? NULL : session->extras->name;
}

static inline enum resp_version redis_version(const struct redis_call *call)
{
    return call->session->base.version == 3 ? RESP_VERSION_3 : RESP_VERSION_2;
}

/* All that is not the short way: front_redis.c hands it on. */
void redis_plan_slow(const struct memory_site *site, struct redis_session *session,
                     struct memory_operation *op, const struct redis_command *cmd);
/* What redis_plan_slow() does once it knows the command, which is for a learned one later. */
void redis_plan_checked(struct redis_call *call);

/* Marks the operation as answered and gives where the answer goes. */
struct buf *redis_answer(struct redis_call *call);
void redis_answer_ok(struct redis_call *call);
/* "ERR ..." without '-'.  Within MULTI the transaction is lost by it, as in Redis. */
void redis_error(struct redis_call *call, const char *format, ...) PRINTF_LIKE(2, 3);
/* May the session keep so many bytes more?  False: answered with an error. */
bool redis_may_hold(struct redis_call *call, size_t more);
/* The error of redis_command_put_error(): unknown, wrong number of words, unreadable keys. */
void redis_error_of_words(struct redis_call *call);

/* The stamp was named. */
void redis_error_of_stamp(struct redis_call *call);

/* True: leave, the plan is made later. */
bool redis_must_wait(struct redis_call *call);

/* What is sent in place of the words of a command that is guarded; else they stay. */
void redis_call_guard(struct redis_call *call, const struct slice **words, size_t *count);
/* The whole request as a server must see it; valid until the plan returns, if not longer. */
struct slice redis_call_bytes(struct redis_call *call);
/* Words as a request, in the arena.  The texts of the other form are terminated by a NULL. */
struct slice redis_encode(struct arena *arena, const struct slice *words, size_t count);
/* "*3\r\n", "$5\r\n": its length; written at `at`, where there is room, it returns its end. */
size_t redis_header_bytes(size_t value);
uint8_t *redis_put_header(uint8_t *at, char type, size_t value);
struct slice redis_encode_texts(struct arena *arena, const char *const *texts);
struct slice redis_join(struct arena *arena, struct slice a, struct slice b);

/* The call's ends follow. */
void redis_plan_one(struct redis_call *call, uint32_t shard, struct slice bytes);
void redis_add_ends(struct arena *arena, struct memory_part *part, const struct redis_ends *ends);
/* `bytes` to each shard of the pool, `replies` from each. */
void redis_plan_all(struct redis_call *call, struct slice bytes, uint32_t replies,
                    memory_merge_f *merge, void *note);

/* The keys of the request.  False: answered with an error (unreadable, not allowed, the stamp). */
struct redis_keys {
    const uint32_t *at; /* places in args; borrowed: the arena */
    size_t count;
};
bool redis_call_keys(struct redis_call *call, struct redis_keys *out);
/* The one shard of all keys; shard 0 without keys.  False: answered with -CROSSSLOT. */
bool redis_call_shard(struct redis_call *call, const struct redis_keys *keys, uint32_t *out);
/* False: answered with an error, for it reads keys that it does not name (SORT BY, GET), and those
 * may be another shard's or another user's. */
bool redis_call_names_its_keys(struct redis_call *call);

/* May there be a stamp in the session's database? */
bool redis_has_stamp(const struct memory_site *site, const struct memory_state *state);
bool redis_is_stamp_key(struct slice key);

#define REDIS_CROSSSLOT "CROSSSLOT Keys in request don't hash to the same slot"
