/* The commands of Redis 7.0 to 8 and Valkey 8: where their keys are, and what a pool of shards does
 * with each.  Pure tables; `args` is always the whole request, args[0] the command's word.
 *
 *     cmd = redis_command_find(args, count);
 *     if (cmd == NULL)
 *         cmd = redis_learned_find(learned, args, count);
 *     if (cmd == NULL || !redis_command_arity_is_right(cmd, count))
 *         ... redis_command_put_error(out, cmd, args, count);
 *     switch (redis_command_plan(cmd, args, count)) ...
 *     if (redis_command_has_one_key(cmd))
 *         key = args[1];
 *     else if (redis_command_keys(cmd, args, count, keys, &n) != ERR_NONE)
 *         ... redis_command_put_error(out, cmd, args, count);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

/* What a pool does with a command. */
enum redis_plan {
    REDIS_KEYED,       /* all keys on one shard (else -CROSSSLOT), without keys on the first one */
    REDIS_DATABASE,    /* keyed, and names another database: COPY MOVE */
    REDIS_SPLIT,       /* once per shard with the keys that live there, then merged */
    REDIS_EVERY_SHARD, /* sent to all shards as it came, then merged */
    REDIS_ANY_SHARD,   /* touches no data: whichever shard answers is right */
    REDIS_SCAN,        /* SCAN: shard after shard behind one cursor */
    REDIS_LOCAL,       /* answered by the pool itself */
    REDIS_TRANSACTION, /* MULTI EXEC DISCARD WATCH UNWATCH; the keys are WATCH's */
    REDIS_BLOCKING,    /* keyed, and may wait: needs an upstream of its own */
    REDIS_SUBSCRIBE,   /* (P|S)(UN)SUBSCRIBE; redis_command_keys() gives the channels */
    REDIS_PUBLISH,     /* PUBLISH SPUBLISH: to the shard of the channel, given as the key */
    REDIS_SCRIPT,      /* EVAL FCALL and kin: keyed; without keys: the first shard */
    REDIS_ADMIN,       /* refused unless the user may; then keyed if it has keys, else all shards */
    REDIS_REFUSED,     /* cannot work behind a pool, whoever asks */
};

/* How the shards' replies become one.  For all but ANY_OK an error in any part is the reply. */
enum redis_merge {
    REDIS_MERGE_NONE,     /* one part only */
    REDIS_MERGE_FIRST,    /* the first shard's reply stands for all */
    REDIS_MERGE_ALL_OK,   /* +OK when all said so */
    REDIS_MERGE_ANY_OK,   /* +OK when one said so, else the first error: SCRIPT KILL */
    REDIS_MERGE_SUM,      /* integers added: DEL, DBSIZE */
    REDIS_MERGE_MINIMUM,  /* the smallest integer; of arrays of integers, place by place: WAITAOF */
    REDIS_MERGE_LARGEST,  /* the largest integer: PUBSUB NUMPAT */
    REDIS_MERGE_BY_KEY,   /* arrays with an element per key, put back in the order asked: MGET */
    REDIS_MERGE_CONCAT,   /* arrays (RESP3: or maps, sets) joined: KEYS, SLOWLOG GET */
    REDIS_MERGE_UNION,    /* arrays joined, equal elements once: PUBSUB CHANNELS */
    REDIS_MERGE_PAIR_SUM, /* name, integer, name, integer...: added pair by pair: PUBSUB NUMSUB */
    REDIS_MERGE_AND,      /* arrays of 0 and 1, place by place: 1 if all say 1: SCRIPT EXISTS */
    REDIS_MERGE_SAME,     /* all must say the same, which is the reply: SCRIPT LOAD */
    REDIS_MERGE_RANDOM,   /* the reply of a shard drawn by chance, nil only if all are: RANDOMKEY */
    REDIS_MERGE_INFO,     /* INFO's text: sections joined, counts added */
    REDIS_MERGE_TEXTS,    /* texts joined, each under its shard's name: LATENCY DOCTOR */
    REDIS_MERGE_HISTOGRAMS, /* LATENCY HISTOGRAM's counts added */
    REDIS_MERGE_RUNNING,    /* of the shard that runs a function, else the first: FUNCTION STATS */
};

/* Where the keys are. */
enum redis_keys_rule {
    REDIS_KEYS_NONE,
    REDIS_KEYS_RANGE,    /* first, last (negative: counted from the end, -1 the last), step */
    REDIS_KEYS_PAIRS,    /* first, value, next...: to the end, and none without value: MSET */
    REDIS_KEYS_CHANNELS, /* as RANGE, but the words are channels or patterns, not keys */
    REDIS_KEYS_COUNTED,  /* at `first_key` how many, then the keys, each `key_step` words */
    REDIS_KEYS_SCRIPT,   /* as COUNTED, and none at all is fine: EVAL */
    REDIS_KEYS_DESTINATION_COUNTED, /* a key at 1, then as COUNTED: ZUNIONSTORE */
    REDIS_KEYS_STREAMS,             /* after the word STREAMS the first half of the rest: XREAD */
    REDIS_KEYS_SORT,                /* 1, and what follows STORE */
    REDIS_KEYS_GEORADIUS,           /* 1, and what follows STORE or STOREDIST */
    REDIS_KEYS_MIGRATE,             /* 3, or if that is empty all after the word KEYS */
    REDIS_KEYS_DEBUG,               /* 2 in DEBUG OBJECT and the like */
};

enum redis_command_flag {
    REDIS_COMMAND_WRITE = 1 << 0,
    REDIS_COMMAND_READ = 1 << 1, /* changes nothing: may be asked again after a failure */
    REDIS_COMMAND_DENYOOM = 1 << 2,
    REDIS_COMMAND_FAST = 1 << 3,
    REDIS_COMMAND_ADMIN = 1 << 4,
    REDIS_COMMAND_PUBSUB = 1 << 5,
    REDIS_COMMAND_NOSCRIPT = 1 << 6,
    REDIS_COMMAND_BLOCKING = 1 << 7, /* may block; redis_command_plan() tells if this one does */
    REDIS_COMMAND_NO_AUTH = 1 << 8,  /* allowed before the login */
    REDIS_COMMAND_NO_MULTI = 1 << 9, /* an error inside MULTI, as Redis has it */
    REDIS_COMMAND_MOVABLE_KEYS = 1 << 10,
    REDIS_COMMAND_CONTAINER = 1 << 11, /* has subcommands: CLIENT, CONFIG... */
    REDIS_COMMAND_LEARNED = 1 << 12,   /* told by a server, not of our table */
};

/* Categories as in ACL rules: `REDIS_CATEGORY_GEO` is @geo. */
enum redis_category {
#define REDIS_CATEGORY(name, text, bit) REDIS_CATEGORY_##name = 1 << (bit),
#include "shard/redis_category.def"
#undef REDIS_CATEGORY
    REDIS_CATEGORY_ALL = (1 << 21) - 1,
};

#define REDIS_COMMAND_NAME_LIMIT 40

struct redis_command {
    char name[REDIS_COMMAND_NAME_LIMIT]; /* "get", "client|setname": lower case, zeros after it */
    uint8_t name_len;
    uint8_t plan;        /* enum redis_plan; ask redis_command_plan() */
    uint8_t merge;       /* enum redis_merge */
    uint8_t keys;        /* enum redis_keys_rule */
    int16_t arity;       /* words, the command's counted; negative: at least */
    int16_t first_key;   /* of the rule; 0: none */
    int16_t last_key;    /* of RANGE */
    int16_t key_step;    /* of RANGE, COUNTED */
    uint32_t flags;      /* enum redis_command_flag */
    uint32_t categories; /* enum redis_category */
};

/* Finds by args[0], and args[1] where that command has subcommands; without regard to case.  NULL:
 * no such command, or no such subcommand.  A container alone ("CLIENT") is found as itself: its
 * arity is then wrong.  Forever valid. */
const struct redis_command *redis_command_find(const struct slice *args, size_t count);

/* By the whole name, as in "client|setname". */
const struct redis_command *redis_command_named(struct slice name);

/* Every command of the table, for listings and tests; NULL from the end on. */
const struct redis_command *redis_command_at(size_t index);

bool redis_command_arity_is_right(const struct redis_command *cmd, size_t count);

static inline bool redis_command_has_subcommands(const struct redis_command *cmd)
{
    return (cmd->flags & REDIS_COMMAND_CONTAINER) != 0;
}

/* The short way of the common case: the only key is args[1], there if the arity is right. */
static inline bool redis_command_has_one_key(const struct redis_command *cmd)
{
    return cmd->keys == REDIS_KEYS_RANGE && cmd->first_key == 1 && cmd->last_key == 1;
}

/* Changes nothing on any shard, so it may be sent again after a failure. */
static inline bool redis_command_may_retry(const struct redis_command *cmd)
{
    return (cmd->flags & (REDIS_COMMAND_READ | REDIS_COMMAND_BLOCKING)) == REDIS_COMMAND_READ;
}

/* Writes the places in `args` of the keys (or channels), in the order given by the client, each
 * once; `keys` has room for `count`.  None is a success.
 *
 * ERR_SYNTAX: the words do not allow it.  Then the command must not be sent anywhere: what we
 * cannot read, a newer server perhaps could, and would do it to keys of another shard.  The client
 * is told with redis_command_put_error(), in the words that Redis has for it. */
MUST_CHECK enum err redis_command_keys(const struct redis_command *cmd, const struct slice *args,
                                       size_t count, uint32_t *keys, size_t *n);

/* The plan for these words: XREAD blocks only with BLOCK. */
enum redis_plan redis_command_plan(const struct redis_command *cmd, const struct slice *args,
                                   size_t count);

/* Keys that it reads and does not name: those of SORT's patterns, BY and GET.  The next one from
 * word *place on, which is 0 at first; `start` gets what stands before its `*`, with which all keys
 * of the pattern begin.  False: there is none. */
bool redis_command_next_pattern(const struct redis_command *cmd, const struct slice *args,
                                size_t count, size_t *place, struct slice *start);

/* Appends what Redis says of an unknown command or subcommand (cmd NULL), of a wrong number of
 * words, or of words that redis_command_keys() cannot read: "ERR ...", without '-' and line end. */
void redis_command_put_error(struct buf *out, const struct redis_command *cmd,
                             const struct slice *args, size_t count);

/* The bit of a category by its name, with or without '@'; "all" is every bit, an unknown one 0. */
uint32_t redis_category_find(struct slice name);
/* The name, without '@', of the category with this bit. */
const char *redis_category_name(enum redis_category category);

/* Commands that a server has and our table has not: of modules, or newer than us. */
struct redis_learned;

/* Reads a server's whole reply to COMMAND (RESP2 or RESP3), which may be hostile.  Kept are only
 * the commands that our table lacks.  One whose keys cannot be told from it is REDIS_REFUSED: they
 * move, other than behind their number, or none is named, and then we know neither what it touches
 * nor where.  Never changed afterwards.
 *
 * ERR_PROTOCOL: not such a reply.  ERR_LIMIT: too many commands. */
MUST_CHECK enum err redis_learned_read(struct slice reply, struct redis_learned **out);
void redis_learned_free(struct redis_learned **learned);

/* As redis_command_find(); `learned` may be NULL.  Valid as long as `learned`. */
const struct redis_command *redis_learned_find(const struct redis_learned *learned,
                                               const struct slice *args, size_t count);
size_t redis_learned_count(const struct redis_learned *learned);
